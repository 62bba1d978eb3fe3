/* dedupe_ngram.c - runs of n words in an inverted index; each distinct run of a text stands in it once.
 * Invariant: items are added text by text, so every list is ascending. */
#include "prep/dedupe_ngram.h"

#include "prep/dedupe_lists.h"

struct NgramIndex {
    size_t    n;
    bool      built;
    uint32_t  texts;
    size_t    common; /* runs of more texts are forms */
    HashItems item;   /* until built */
    HashLists lists;
};

NgramIndex *ngram_index_new(int n)
{
    BUG_ON(n < 1 || n > SHINGLE_MAX);
    NgramIndex *x = mem_zalloc(1, sizeof *x);
    x->n = (size_t)n;
    return x;
}

void ngram_index_free(NgramIndex *x)
{
    if (!x)
        return;
    vec_release(&x->item);
    hash_lists_release(&x->lists);
    free(x);
}

typedef struct Run { uint64_t hash; uint32_t at; } Run;

static int by_hash(const void *a, const void *b)
{
    const Run *x = a, *y = b;
    return x->hash != y->hash ? (x->hash < y->hash ? -1 : 1) : (x->at > y->at) - (x->at < y->at);
}

static int by_text(const void *a, const void *b)
{
    const NgramMatch *x = a, *y = b;
    return x->text != y->text ? (x->text < y->text ? -1 : 1) : (x->at > y->at) - (x->at < y->at);
}

/* The distinct runs of a text, each where it is first; freed by the caller. */
static Run *runs_of(const NgramIndex *x, const Shingles *s, size_t *n)
{
    const size_t words = shingles_words(s), all = words >= x->n ? words - x->n + 1 : 0;
    Run *r = mem_alloc(MAX(all, (size_t)1) * sizeof *r);
    for (size_t i = 0; i < all; i++)
        r[i] = (Run){ shingles_run(s, i, x->n), (uint32_t)i };
    qsort(r, all, sizeof *r, by_hash);
    *n = 0;
    for (size_t i = 0; i < all; i++)
        if (!i || r[i].hash != r[i - 1].hash)
            r[(*n)++] = r[i];
    return r;
}

int ngram_index_add(NgramIndex *x, const Shingles *s, bool *indexed, Err *e)
{
    BUG_ON(x->built);
    size_t n;
    Run *r = runs_of(x, s, &n);
    const bool fits = x->item.n + n <= NGRAM_RUNS_MAX && x->texts < UINT32_MAX;
    for (size_t i = 0; i < n && fits; i++)
        *vec_push(&x->item) = (HashItem){ r[i].hash, x->texts };
    free(r);
    *indexed = n != 0;
    if (!fits)
        return err_set(e, ERR_INPUT, "text %zu: the texts to compare with have more than %zu runs of %zu words in all; give fewer or shorter ones",
                       (size_t)x->texts + 1, NGRAM_RUNS_MAX, x->n);
    x->texts++;
    return 0;
}

void ngram_index_build(NgramIndex *x)
{
    BUG_ON(x->built);
    x->built = true;
    hash_lists_build(&x->lists, x->item.p, x->item.n);
    vec_release(&x->item);
    x->common = MAX((size_t)NGRAM_FORM_TEXTS, (size_t)x->texts / 10);
}

size_t ngram_index_forms(const NgramIndex *x)
{
    size_t forms = 0;
    for (size_t k = 0; k < x->lists.n; k++)
        forms += x->lists.from[k + 1] - x->lists.from[k] > x->common;
    return forms;
}

/* Whether any run of the text is in the index and no form; *form: the words that forms cover, a byte each, owned; NULL: there are none. */
static bool any_known(const NgramIndex *x, const Shingles *s, size_t words, uint8_t **form)
{
    bool any = false;
    const uint32_t *text;
    *form = NULL;
    for (size_t i = 0; i + x->n <= words; i++) {
        const size_t len = hash_lists_find(&x->lists, shingles_run(s, i, x->n), &text);
        any |= len && len <= x->common;
        if (len <= x->common)
            continue;
        if (!*form)
            *form = mem_zalloc(words, 1);
        memset(*form + i, 1, x->n);
    }
    return any;
}

void ngram_index_find(const NgramIndex *x, const Shingles *s, NgramMatches *out)
{
    BUG_ON(!x->built);
    vec_clear(out);
    uint8_t *form;
    size_t   n = 0, kept = 0;
    const uint32_t *text;
    Run *r = any_known(x, s, shingles_words(s), &form) ? runs_of(x, s, &n) : NULL; /* most texts share nothing: they are not worth a sort */
    for (size_t i = 0; i < n; i++) {
        const bool outside = !form || !memchr(form + r[i].at, 1, x->n);
        for (size_t k = 0, len = outside ? hash_lists_find(&x->lists, r[i].hash, &text) : 0; k < len; k++)
            *vec_push(out) = (NgramMatch){ text[k], 1, r[i].at };
    }
    free(r);
    free(form);
    if (out->n)
        qsort(out->p, out->n, sizeof *out->p, by_text);
    for (size_t i = 0; i < out->n; i++)
        if (kept && out->p[kept - 1].text == out->p[i].text)
            out->p[kept - 1].runs++;
        else
            out->p[kept++] = out->p[i];
    out->n = kept;
}
