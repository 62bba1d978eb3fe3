/* dedupe_near.c - the index of whole shingle sets, asked by prefix filter (shingles_prefix): of the text's shingles the rarest in the index are taken,
 * since their lists are the shortest (and most are empty). Candidates are compared by merging. Invariant: every indexed set is ascending. */
#include "prep/dedupe_near.h"

#include "prep/dedupe_lists.h"

struct NearIndex {
    double     threshold;
    bool       built;
    VEC(uint64_t) hash;     /* all sets, one behind the other */
    VEC(size_t)   end;      /* [texts] where a set ends */
    HashLists  lists;
};

NearIndex *near_index_new(double threshold)
{
    BUG_ON(!(threshold > 0 && threshold <= 1));
    NearIndex *x = mem_zalloc(1, sizeof *x);
    x->threshold = threshold;
    return x;
}

void near_index_free(NearIndex *x)
{
    if (!x)
        return;
    vec_release(&x->hash);
    vec_release(&x->end);
    hash_lists_release(&x->lists);
    free(x);
}

int near_index_add(NearIndex *x, Shingles *s, Err *e)
{
    BUG_ON(x->built);
    shingles_sorted(s);
    size_t n;
    const uint64_t *set = shingles_set(s, &n);
    if (x->hash.n + n > NEAR_SHINGLES_MAX)
        return err_set(e, ERR_INPUT, "text %zu: the texts to compare with have more than %zu shingles in all; give fewer or shorter ones", x->end.n + 1,
                       NEAR_SHINGLES_MAX);
    for (size_t i = 0; i < n; i++)
        *vec_push(&x->hash) = set[i];
    *vec_push(&x->end) = x->hash.n;
    return 0;
}

static const uint64_t *set_of(const NearIndex *x, size_t text, size_t *n)
{
    const size_t from = text ? x->end.p[text - 1] : 0;
    *n = x->end.p[text] - from;
    return x->hash.p + from;
}

void near_index_build(NearIndex *x)
{
    BUG_ON(x->built);
    x->built = true;
    HashItem *item = mem_alloc(MAX(x->hash.n, (size_t)1) * sizeof *item);
    for (size_t t = 0, i = 0; t < x->end.n; t++)
        for (; i < x->end.p[t]; i++)
            item[i] = (HashItem){ x->hash.p[i], (uint32_t)t };
    hash_lists_build(&x->lists, item, x->hash.n);
    free(item);
}

typedef struct List { size_t n; const uint32_t *text; } List;

static int by_length(const void *a, const void *b)
{
    const List *x = a, *y = b;
    return (x->n > y->n) - (x->n < y->n);
}

static int by_number(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static int by_jaccard(const void *a, const void *b)
{
    const NearMatch *x = a, *y = b;
    return x->jaccard != y->jaccard ? (x->jaccard > y->jaccard ? -1 : 1) : (x->text > y->text) - (x->text < y->text);
}

void near_index_find(const NearIndex *x, Shingles *s, NearMatches *out)
{
    BUG_ON(!x->built);
    vec_clear(out);
    size_t n, n_lists = 0;
    const uint64_t *set = shingles_set(s, &n);
    const size_t prefix = shingles_prefix(n, x->threshold);
    List *list = mem_alloc(MAX(n, (size_t)1) * sizeof *list);
    for (size_t i = 0; i < n; i++) {
        List l = { 0 };
        l.n = hash_lists_find(&x->lists, set[i], &l.text);
        if (l.n)
            list[n_lists++] = l;
    }
    const size_t absent = n - n_lists; /* the rarest of all */
    VEC(uint32_t) near = { 0 };
    if (absent < prefix) {
        qsort(list, n_lists, sizeof *list, by_length);
        for (size_t i = 0; i < prefix - absent; i++)
            for (size_t k = 0; k < list[i].n; k++)
                *vec_push(&near) = list[i].text[k];
    }
    if (near.n) {
        qsort(near.p, near.n, sizeof *near.p, by_number);
        shingles_sorted(s);
        set = shingles_set(s, &n);
    }
    for (size_t i = 0; i < near.n; i++) {
        if (i && near.p[i] == near.p[i - 1])
            continue;
        size_t m;
        const uint64_t *other = set_of(x, near.p[i], &m);
        if ((double)MIN(n, m) / (double)MAX(n, m) < x->threshold)
            continue;
        const double j = shingles_jaccard(set, n, other, m, x->threshold);
        if (j >= x->threshold)
            *vec_push(out) = (NearMatch){ near.p[i], j };
    }
    if (out->n)
        qsort(out->p, out->n, sizeof *out->p, by_jaccard);
    vec_release(&near);
    free(list);
}
