/* statistics.c - tables of the rows that stay, for the manifest and the report: {"title": {"bucket": rows, ...}, ...}. */
#include "prep/prep_int.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "prep/language.h"

#define BUCKETS 33

/* Powers of two: lengths of texts spread over many sizes. */
static int bucket_of(int64_t v)
{
    int b = 0;
    while (v > 0) {
        v >>= 1;
        b++;
    }
    return MIN(b, BUCKETS - 1);
}

/* Buckets from the first to the last that has rows, empty ones between them included, so that the shape can be seen. */
static Json *histogram(const Prep *p, int64_t (*value)(const RowEntry *))
{
    int64_t n[BUCKETS] = { 0 };
    int     first = BUCKETS, last = -1;
    Json   *j = json_obj_new();
    char    name[48];
    for (size_t i = 0; i < p->row.n; i++) {
        int64_t v = p->row.p[i].part == PART_REMOVED ? -1 : value(&p->row.p[i]);
        if (v < 0)
            continue;
        int b = bucket_of(v);
        n[b]++;
        first = MIN(first, b);
        last = MAX(last, b);
    }
    for (int b = first; b <= last; b++) {
        int64_t low = b ? (int64_t)1 << (b - 1) : 0, high = b ? ((int64_t)1 << b) - 1 : 0;
        snprintf(name, sizeof name, low == high ? "%lld" : "%lld to %lld", (long long)low, (long long)high);
        json_set(j, name, json_int_new(n[b]));
    }
    return j;
}

static int64_t question_of(const RowEntry *r) { return r->question; }
static int64_t answer_of(const RowEntry *r) { return r->answer; }
static int64_t tokens_of(const RowEntry *r) { return r->tokens; }
static int64_t trained_of(const RowEntry *r) { return r->trained; }

static int up(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The value that q percent of the rows do not exceed (nearest rank). */
static Json *percentiles(const Prep *p, int64_t (*value)(const RowEntry *))
{
    static const int   at[] = { 5, 50, 95, 99, 100 };
    static const char *const name[] = { "5 %", "half", "95 %", "99 %", "all" };
    VEC(int64_t) v = { 0 };
    Json        *j = json_obj_new();
    for (size_t i = 0; i < p->row.n; i++)
        if (p->row.p[i].part != PART_REMOVED && value(&p->row.p[i]) >= 0)
            *vec_push(&v) = value(&p->row.p[i]);
    if (v.n)
        qsort(v.p, v.n, sizeof *v.p, up);
    for (size_t i = 0; i < ARRAY_LEN(at) && v.n; i++)
        json_set(j, name[i], json_int_new(v.p[MAX((v.n * (size_t)at[i] + 99) / 100, (size_t)1) - 1]));
    vec_release(&v);
    return j;
}

/* Languages by their number of rows. */
typedef struct Spoken { const char *code; int64_t rows; } Spoken;

static int by_rows(const void *a, const void *b)
{
    const Spoken *x = a, *y = b;
    return x->rows != y->rows ? (x->rows > y->rows ? -1 : 1) : strcmp(x->code, y->code);
}

static Json *languages(const Prep *p)
{
    Spoken v[256] = { [ROW_UNSURE].code = "not sure", [ROW_CODE].code = "source code" };
    Json  *j = json_obj_new();
    for (size_t i = 0; i + ROW_LANGUAGE < ARRAY_LEN(v); i++)
        v[i + ROW_LANGUAGE].code = i && !v[i - 1 + ROW_LANGUAGE].code ? NULL : language_known(i);
    for (size_t i = 0; i < p->row.n; i++)
        if (p->row.p[i].part != PART_REMOVED && p->row.p[i].language)
            v[p->row.p[i].language].rows++;
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(v); i++)
        if (v[i].rows)
            v[n++] = v[i];
    qsort(v, n, sizeof *v, by_rows);
    for (size_t i = 0; i < n; i++)
        json_set(j, v[i].code, json_int_new(v[i].rows));
    return j;
}

static const struct { const char *title; int64_t (*value)(const RowEntry *); Json *(*table)(const Prep *, int64_t (*)(const RowEntry *)); } tables[] = {
    { "Bytes of a question, rows",                question_of, histogram },
    { "Bytes of an answer, rows",                 answer_of,   histogram },
    { "Tokens of an example, rows",               tokens_of,   histogram },
    { "Trained tokens of an example, rows",       trained_of,  histogram },
    { "Tokens that so many of the examples do not exceed", tokens_of, percentiles },
};

Json *statistics(const Prep *p)
{
    Json *j = json_obj_new();
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        Json *t = tables[i].table(p, tables[i].value);
        if (json_len(t))
            json_set(j, tables[i].title, t);
        else
            json_free(t);
    }
    json_set(j, "Languages, rows", languages(p));
    return j;
}
