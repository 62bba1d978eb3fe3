/* balance.c - what there is too much of is cut: of each label (--most-per-label) and of each length (--most-per-length) the best rows stay.
 * A length is a bin of measures.h, powers of two: of a row's tokens, or of the bytes of its question and answer where no tokens were counted (no --model; a
 * preference). The bins are those of the report's histograms. Of rows of one quality chance decides, by seed and content, never the order of the inputs. */
#include "prep/removal.h"

#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "prep/sorter.h"

#define BYTES_BINS MEASURE_BINS /* behind the bins of tokens */

typedef struct Candidate { uint64_t key, draw; float quality; uint32_t row; } Candidate;

static int by_key_and_quality(const void *a, const void *b)
{
    const Candidate *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    if (x->quality != y->quality)
        return x->quality > y->quality ? -1 : 1;
    return x->draw != y->draw ? (x->draw < y->draw ? -1 : 1) : (x->row > y->row) - (x->row < y->row);
}

static uint64_t label_of(const RowEntry *r) { return r->label; }

static uint64_t length_of(const RowEntry *r)
{
    return 1 + (uint64_t)(r->tokens >= 0 ? measure_bin(r->tokens) : BYTES_BINS + measure_bin((int64_t)r->question + r->answer));
}

static void length_name(uint64_t key, StrBuf *out)
{
    const bool bytes = key > BYTES_BINS;
    char       name[48];
    measure_bin_name((int)(key - 1) - (bytes ? BYTES_BINS : 0), name);
    strbuf_addf(out, "%s %s", name, bytes ? "bytes" : "tokens");
}

static const Candidate *candidate(const Sorter *v, size_t i) { return sorter_at(v, i); }

/* Rows that stay and have a key (not 0), by key, the best first; to be freed, also after an error. */
static int collect(const Prep *p, uint64_t (*key)(const RowEntry *), Sorter **out, Err *e)
{
    char   *path = prep_path(p, "work/balance");
    Sorter *v = *out = sorter_new(path, sizeof(Candidate), by_key_and_quality, 0);
    int     rc = 0;
    for (size_t i = 0; i < p->rows.n && !rc; i++) {
        const RowEntry *r = entries_at(&p->rows, i);
        uint64_t        both[2] = { (uint64_t)p->cfg.seed, r->content };
        if (entries_part(&p->rows, i) != PART_REMOVED && key(r))
            rc = sorter_add(v, &(Candidate){ key(r), hash64(both, sizeof both), r->quality, (uint32_t)i }, e);
    }
    free(path);
    return rc ? rc : sorter_end(v, e);
}

static size_t stretch(const Sorter *v, size_t from)
{
    const uint64_t key = candidate(v, from)->key;
    size_t         to = from;
    while (to < sorter_count(v) && candidate(v, to)->key == key)
        to++;
    return to;
}

static int cut_labels(Prep *p, Removal *out, Err *e)
{
    Sorter *v;
    int     rc = collect(p, label_of, &v, e);
    for (size_t from = 0, to; from < sorter_count(v) && !rc; from = to) {
        to = stretch(v, from);
        for (size_t i = from + (size_t)p->cfg.most_per_label; i < to && !rc; i++) {
            removal_add(out, candidate(v, i)->row, "balance", "its label has enough rows", (double)candidate(v, i)->quality, NULL);
            rc = removal_flush(out, false, e);
        }
    }
    sorter_free(v);
    return rc;
}

/* The rows of each length: few lengths, since they are bins. */
typedef struct Length { uint64_t key; size_t from, n; } Length;
typedef VEC(Length) Lengths;

static void lengths_of(const Sorter *v, Lengths *out)
{
    for (size_t from = 0, to; from < sorter_count(v); from = to) {
        to = stretch(v, from);
        *vec_push(out) = (Length){ candidate(v, from)->key, from, to - from };
    }
}

/* The most rows of a length so that none has more than `share` of all that then stay: the largest c with c <= share * sum of min(rows, c). What is on the
 * right grows ever slower with c, so every smaller c holds, too. 0: not even one row each does. */
static size_t cap_of_share(const Lengths *v, size_t rows, double share)
{
    size_t low = 0, high = rows + 1; /* low holds, high does not */
    while (high - low > 1) {
        const size_t c = low + (high - low) / 2;
        double       stay = 0;
        for (size_t i = 0; i < v->n; i++)
            stay += (double)MIN(v->p[i].n, c);
        if ((double)c <= share * stay + 1e-6)
            low = c;
        else
            high = c;
    }
    return low;
}

/* What was done, for the report: the lengths that were cut. */
static void tell(Removal *out, const Lengths *v, size_t cap, double asked)
{
    StrBuf text = { 0 };
    strbuf_addf(&text, "--most-per-length %g: at most %zu rows of each length stay;", asked, cap);
    const char *between = "";
    for (size_t i = 0; i < v->n; i++) {
        if (v->p[i].n <= cap)
            continue;
        strbuf_addf(&text, "%s ", between);
        length_name(v->p[i].key, &text);
        strbuf_addf(&text, " had %zu", v->p[i].n);
        between = ",";
    }
    decision_add(&out->log, (RowPlace){ 0, "", 0 }, "length", ACTION_NOTE, *between ? strbuf_z(&text) : "--most-per-length: no length has more rows than that", NAN, NULL);
    strbuf_release(&text);
}

static int cut_lengths(Prep *p, Removal *out, Err *e)
{
    const double asked = p->cfg.most_per_length;
    Sorter      *v;
    Lengths      length = { 0 };
    StrBuf       name = { 0 };
    int          rc = collect(p, length_of, &v, e);
    if (!rc)
        lengths_of(v, &length);
    const size_t cap = asked < 1 ? cap_of_share(&length, sorter_count(v), asked) : (size_t)asked;
    if (length.n && !cap)
        rc = err_set(e, ERR_ARG, "--most-per-length %g: the rows have %zu lengths (powers of two), so one of them always has %.2f of the rows or more; give more than that, or a number of rows",
                     asked, length.n, 1 / (double)length.n);
    else if (length.n)
        tell(out, &length, cap, asked);
    for (size_t k = 0; k < length.n && !rc; k++) {
        const Length *l = &length.p[k];
        strbuf_clear(&name);
        length_name(l->key, &name);
        for (size_t i = l->from + cap; i < l->from + l->n && !rc; i++) {
            Json *more = json_obj_new();
            json_set(more, "length", json_str_new(strbuf_str(&name)));
            removal_add(out, candidate(v, i)->row, "length", "its length has enough rows", (double)candidate(v, i)->quality, more);
            rc = removal_flush(out, false, e);
        }
    }
    strbuf_release(&name);
    vec_release(&length);
    sorter_free(v);
    return rc;
}

int balance(Prep *p, Removal *out, Err *e)
{
    int rc = p->cfg.most_per_label ? cut_labels(p, out, e) : 0;
    return rc || p->cfg.most_per_length <= 0 ? rc : cut_lengths(p, out, e);
}
