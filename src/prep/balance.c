/* balance.c - what there is too much of is cut: of each label (--most-per-label) and of each length (--most-per-length) the best rows stay.
 * A length is a bin of measures.h, powers of two: of a row's tokens, or of the bytes of its question and answer where no tokens were counted (no --model; a
 * preference). The bins are those of the report's histograms. Of rows of one quality chance decides, by seed and content, never the order of the inputs. */
#include "prep/removal.h"

#include <math.h>
#include <stdlib.h>

#include "base/hash.h"

#define BYTES_BINS MEASURE_BINS /* behind the bins of tokens */

typedef struct Candidate { uint64_t key, draw; float quality; size_t row; } Candidate;
typedef VEC(Candidate) Candidates;

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

/* Rows that stay and have a key (not 0), by key, the best first. */
static void collect(const Prep *p, uint64_t (*key)(const RowEntry *), Candidates *v)
{
    for (size_t i = 0; i < p->row.n; i++) {
        const RowEntry *r = &p->row.p[i];
        uint64_t        both[2] = { (uint64_t)p->cfg.seed, r->content };
        if (r->part != PART_REMOVED && key(r))
            *vec_push(v) = (Candidate){ key(r), hash64(both, sizeof both), r->quality, i };
    }
    if (v->n)
        qsort(v->p, v->n, sizeof *v->p, by_key_and_quality);
}

static size_t stretch(const Candidates *v, size_t from)
{
    size_t to = from;
    while (to < v->n && v->p[to].key == v->p[from].key)
        to++;
    return to;
}

static int cut_labels(Prep *p, Removal *out, Err *e)
{
    Candidates v = { 0 };
    int        rc = 0;
    collect(p, label_of, &v);
    for (size_t from = 0, to; from < v.n && !rc; from = to) {
        to = stretch(&v, from);
        for (size_t i = from + (size_t)p->cfg.most_per_label; i < to && !rc; i++) {
            removal_add(out, &p->row.p[v.p[i].row], "balance", "its label has enough rows", (double)v.p[i].quality, NULL);
            rc = removal_flush(out, false, e);
        }
    }
    vec_release(&v);
    return rc;
}

/* The most rows of a length so that none has more than `share` of all that then stay: the largest c with c <= share * sum of min(rows, c). What is on the
 * right grows ever slower with c, so every smaller c holds, too. 0: not even one row each does. */
static size_t cap_of_share(const Candidates *v, double share)
{
    size_t low = 0, high = v->n + 1; /* low holds, high does not */
    while (high - low > 1) {
        const size_t c = low + (high - low) / 2;
        double       stay = 0;
        for (size_t from = 0, to; from < v->n; from = to) {
            to = stretch(v, from);
            stay += (double)MIN(to - from, c);
        }
        if ((double)c <= share * stay + 1e-6)
            low = c;
        else
            high = c;
    }
    return low;
}

static size_t keys(const Candidates *v)
{
    size_t n = 0;
    for (size_t from = 0; from < v->n; from = stretch(v, from))
        n++;
    return n;
}

/* What was done, for the report: the lengths that were cut. */
static void tell(Removal *out, const Candidates *v, size_t cap, double asked)
{
    StrBuf text = { 0 };
    strbuf_addf(&text, "--most-per-length %g: at most %zu rows of each length stay;", asked, cap);
    const char *between = "";
    for (size_t from = 0, to; from < v->n; from = to) {
        to = stretch(v, from);
        if (to - from <= cap)
            continue;
        strbuf_addf(&text, "%s ", between);
        length_name(v->p[from].key, &text);
        strbuf_addf(&text, " had %zu", to - from);
        between = ",";
    }
    decision_add(&out->log, (RowPlace){ 0, "", 0 }, "length", ACTION_NOTE, *between ? strbuf_z(&text) : "--most-per-length: no length has more rows than that", NAN, NULL);
    strbuf_release(&text);
}

static int cut_lengths(Prep *p, Removal *out, Err *e)
{
    const double asked = p->cfg.most_per_length;
    Candidates   v = { 0 };
    StrBuf       name = { 0 };
    int          rc = 0;
    collect(p, length_of, &v);
    const size_t cap = asked < 1 ? cap_of_share(&v, asked) : (size_t)asked;
    if (v.n && !cap)
        rc = err_set(e, ERR_ARG, "--most-per-length %g: the rows have %zu lengths (powers of two), so one of them always has %.2f of the rows or more; give more than that, or a number of rows",
                     asked, keys(&v), 1 / (double)keys(&v));
    else if (v.n)
        tell(out, &v, cap, asked);
    for (size_t from = 0, to; from < v.n && !rc; from = to) {
        to = stretch(&v, from);
        strbuf_clear(&name);
        length_name(v.p[from].key, &name);
        for (size_t i = from + cap; i < to && !rc; i++) {
            Json *more = json_obj_new();
            json_set(more, "length", json_str_new(strbuf_str(&name)));
            removal_add(out, &p->row.p[v.p[i].row], "length", "its length has enough rows", (double)v.p[i].quality, more);
            rc = removal_flush(out, false, e);
        }
    }
    strbuf_release(&name);
    vec_release(&v);
    return rc;
}

int balance(Prep *p, Removal *out, Err *e)
{
    int rc = p->cfg.most_per_label ? cut_labels(p, out, e) : 0;
    return rc || p->cfg.most_per_length <= 0 ? rc : cut_lengths(p, out, e);
}
