/* measures.c - see measures.h. */
#include "prep/measures.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/vec.h"

#define BLOCK ((size_t)1 << 20)

/* ---- the file -------------------------------------------------------------------------------------------------------------------------------------- */

int measures_open(Measures *m, const char *dir, Err *e)
{
    char *path = path_join(dir, "measures.bin");
    int   rc = 0;
    *m = (Measures){ 0 };
    if (file_exists(path))
        rc = file_map(&m->map, path, e);
    if (!rc && m->map.n) {
        if (m->map.n < MEASURES_HEAD || memcmp(m->map.p, MEASURES_MAGIC, MEASURES_HEAD) || (m->map.n - MEASURES_HEAD) % sizeof(Measure))
            rc = err_set(e, ERR_INPUT, "%s: %zu bytes that are no measures of rows; take the file away (lists are then not sorted by them), or prepare the data anew", path, m->map.n);
        m->row = (const Measure *)(const void *)(m->map.p + MEASURES_HEAD);
        m->n = rc ? 0 : (m->map.n - MEASURES_HEAD) / sizeof(Measure);
    }
    free(path);
    return rc;
}

void measures_close(Measures *m)
{
    file_unmap(&m->map);
    *m = (Measures){ 0 };
}

int measures_write(const char *path, MeasureFn get, const void *user, size_t n, Err *e)
{
    const Measure none = { .tokens = -1, .trained = -1, .quality = NAN };
    FileOut      *f = NULL;
    StrBuf        block = { 0 };
    int           rc = file_out_open(&f, path, e);
    strbuf_add(&block, MEASURES_MAGIC, MEASURES_HEAD);
    for (size_t i = 0; i < n && !rc; i++) {
        Measure m;
        if (!get(user, i, &m))
            m = none;
        strbuf_add(&block, &m, sizeof m);
        rc = file_out_drain(f, &block, BLOCK, e);
    }
    if (!rc)
        rc = file_out_drain(f, &block, 0, e);
    if (!rc)
        rc = file_out_commit(&f, e);
    file_out_abort(&f);
    strbuf_release(&block);
    return rc;
}

/* ---- lengths --------------------------------------------------------------------------------------------------------------------------------------- */

int measure_bin(int64_t v)
{
    int b = 0;
    while (v > 0) {
        v >>= 1;
        b++;
    }
    return MIN(b, MEASURE_BINS - 1);
}

void measure_bin_name(int bin, char out[48])
{
    int64_t low = bin ? (int64_t)1 << (bin - 1) : 0, high = bin ? ((int64_t)1 << bin) - 1 : 0;
    snprintf(out, 48, low == high ? "%lld" : "%lld to %lld", (long long)low, (long long)high);
}

/* ---- tables ---------------------------------------------------------------------------------------------------------------------------------------- */

typedef struct Rows { MeasureFn get; const void *user; size_t n; } Rows;
typedef int64_t (*ValueFn)(const Measure *);

/* Buckets from the first to the last that has rows, empty ones between them included, so that the shape can be seen. */
static Json *histogram(const Rows *r, ValueFn value)
{
    int64_t n[MEASURE_BINS] = { 0 };
    int     first = MEASURE_BINS, last = -1;
    Json   *j = json_obj_new();
    char    name[48];
    Measure m;
    for (size_t i = 0; i < r->n; i++) {
        if (!r->get(r->user, i, &m) || value(&m) < 0)
            continue;
        int b = measure_bin(value(&m));
        n[b]++;
        first = MIN(first, b);
        last = MAX(last, b);
    }
    for (int b = first; b <= last; b++) {
        measure_bin_name(b, name);
        json_set(j, name, json_int_new(n[b]));
    }
    return j;
}

static int64_t question_of(const Measure *m) { return m->question; }
static int64_t answer_of(const Measure *m) { return m->answer; }
static int64_t tokens_of(const Measure *m) { return m->tokens; }
static int64_t trained_of(const Measure *m) { return m->trained; }

/* How many values there are of each upper (shift 16) or lower half, of those whose upper half is `upper` (-1: of all). Two such tables find any rank. */
static int64_t count_halves(const Rows *r, ValueFn value, int shift, int64_t upper, int64_t n[1 << 16])
{
    int64_t total = 0;
    Measure m;
    memset(n, 0, sizeof *n << 16);
    for (size_t i = 0; i < r->n; i++) {
        const int64_t v = r->get(r->user, i, &m) ? value(&m) : -1;
        if (v < 0 || (upper >= 0 && v >> 16 != upper))
            continue;
        n[v >> shift & 0xFFFF]++;
        total++;
    }
    return total;
}

/* The half in which the rank-th value lies, from 1; the rank becomes that among those of the half. */
static int64_t half_of(const int64_t n[1 << 16], int64_t *rank)
{
    int64_t half = 0;
    while (*rank > n[half])
        *rank -= n[half++];
    return half;
}

/* The value that q percent of the rows do not exceed (nearest rank). */
static Json *percentiles(const Rows *r, ValueFn value)
{
    static const int   at[] = { 5, 50, 95, 99, 100 };
    static const char *const name[] = { "5 %", "half", "95 %", "99 %", "all" };
    int64_t      *upper = mem_alloc(sizeof *upper << 16), *lower = mem_alloc(sizeof *lower << 16), known = -1; /* known: whose lower halves are counted */
    const int64_t total = count_halves(r, value, 16, -1, upper);
    Json         *j = json_obj_new();
    for (size_t i = 0; i < ARRAY_LEN(at) && total; i++) {
        int64_t       rank = MAX((total * at[i] + 99) / 100, (int64_t)1);
        const int64_t half = half_of(upper, &rank);
        if (half != known)
            count_halves(r, value, 0, known = half, lower);
        json_set(j, name[i], json_int_new(half << 16 | half_of(lower, &rank)));
    }
    free(upper);
    free(lower);
    return j;
}

/* Languages by their number of rows; there are some sixty. */
typedef struct Spoken { char code[5]; int64_t rows; } Spoken;

static int by_rows(const void *a, const void *b)
{
    const Spoken *x = a, *y = b;
    return x->rows != y->rows ? (x->rows > y->rows ? -1 : 1) : strcmp(x->code, y->code);
}

static Json *languages(const Rows *r)
{
    VEC(Spoken) v = { 0 };
    Json       *j = json_obj_new();
    Measure     m;
    for (size_t i = 0; i < r->n; i++) {
        size_t k = 0;
        if (!r->get(r->user, i, &m) || !m.language[0])
            continue;
        while (k < v.n && strncmp(v.p[k].code, m.language, sizeof m.language))
            k++;
        if (k == v.n) {
            *vec_push(&v) = (Spoken){ "", 0 };
            memcpy(v.p[k].code, m.language, sizeof m.language);
        }
        v.p[k].rows++;
    }
    if (v.n)
        qsort(v.p, v.n, sizeof *v.p, by_rows);
    for (size_t i = 0; i < v.n; i++)
        json_set(j, !strcmp(v.p[i].code, "und") ? "not sure" : !strcmp(v.p[i].code, "code") ? "source code" : v.p[i].code, json_int_new(v.p[i].rows));
    vec_release(&v);
    return j;
}

static const struct { const char *title; ValueFn value; Json *(*table)(const Rows *, ValueFn); } tables[] = {
    { "Bytes of a question, rows",                question_of, histogram },
    { "Bytes of an answer, rows",                 answer_of,   histogram },
    { "Tokens of an example, rows",               tokens_of,   histogram },
    { "Trained tokens of an example, rows",       trained_of,  histogram },
    { "Tokens that so many of the examples do not exceed", tokens_of, percentiles },
};

Json *measures_statistics(MeasureFn get, const void *user, size_t n)
{
    const Rows r = { get, user, n };
    Json      *j = json_obj_new();
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        Json *t = tables[i].table(&r, tables[i].value);
        if (json_len(t))
            json_set(j, tables[i].title, t);
        else
            json_free(t);
    }
    json_set(j, "Languages, rows", languages(&r));
    return j;
}
