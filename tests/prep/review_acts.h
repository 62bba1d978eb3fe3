/* review_acts.h - what the tests of the review share beside its sample (review_sample.h): opening it, acting as a person does, and what a search for a person finds. */
#ifndef HONE_TESTS_REVIEW_ACTS_H
#define HONE_TESTS_REVIEW_ACTS_H

#include "base/check.h"

#include "base/mem.h"
#include "prep/review_int.h"
#include "review_sample.h"

static inline Review *opened(const char *dir)
{
    Review *r;
    Err     e;
    if (review_open(&r, dir, &(ReviewOptions){ 0 }, &e))
        fail_msg("%s", e.text);
    return r;
}

static inline char *sample(bool group)
{
    char *dir = check_dir();
    sample_folder(dir, group);
    return dir;
}

static inline int64_t does(Review *r, const char *who, ReviewKind kind, int64_t row, const char *text)
{
    Err     e;
    int64_t about;
    if (review_act(r, &(ReviewAct){ .kind = kind, .row = row, .reviewer = str_of(who), .text = text ? str_of(text) : (Str){ 0 } }, &about, &e))
        fail_msg("%s", e.text);
    return about;
}

static inline void refuses(Review *r, const char *who, ReviewKind kind, int64_t row, const char *text, const char *says)
{
    Err     e = { 0 };
    int64_t about;
    assert_int_not_equal(review_act(r, &(ReviewAct){ .kind = kind, .row = row, .reviewer = str_of(who), .text = text ? str_of(text) : (Str){ 0 } }, &about, &e), 0);
    check_says(&e, ERR_ARG, says);
}

static inline void edits(Review *r, const char *who, int64_t row, const char *row_new, const char *says)
{
    Err     e = { 0 };
    int64_t about;
    Json   *j;
    if (json_parse(&j, str_of(row_new), "test", &e))
        fail_msg("%s", e.text);
    int rc = review_act(r, &(ReviewAct){ .kind = REVIEW_EDIT, .row = row, .reviewer = str_of(who), .row_new = j }, &about, &e);
    json_free(j);
    if (says)
        check_says(&e, ERR_ARG, says);
    else if (rc)
        fail_msg("%s", e.text);
}

/* Ids of the rows that fit, as "1 2 3". */
static inline char *ids(Review *r, ReviewFilter f)
{
    static uint64_t turn;
    StrBuf b = { 0 };
    Json  *j = NULL;
    Err    e;
    f.turn = ++turn;
    do {
        json_free(j);
        if (review_rows(r, &f, 0, REVIEW_PAGE_MAX, &j, &e))
            fail_msg("%s", e.text);
    } while (!json_bool(json_get(j, "complete")));
    const Json *rows = json_get(j, "rows");
    assert_int_equal(json_int(json_get(j, "count")), json_len(rows));
    for (size_t i = 0; i < json_len(rows); i++)
        strbuf_addf(&b, "%s%lld", i ? " " : "", (long long)json_int(json_get(json_at(rows, i), "id")));
    json_free(j);
    return strbuf_take(&b);
}

static inline Json *row_of(Review *r, int64_t id)
{
    Json *j;
    Err   e;
    if (review_row(r, id, &j, &e))
        fail_msg("%s", e.text);
    return j;
}

static inline void spoil(const char *dir, const char *name, const char *text)
{
    StrBuf b = { 0 };
    strbuf_addz(&b, text);
    sample_put(dir, name, &b);
    strbuf_release(&b);
}

/* --- edited rows are checked ------------------------------------------------------------------------------------------------------------------------ */

static const uint32_t lengths[SAMPLE_ROWS] = { 5, 900, 30, 31, 12 };

static inline bool sample_measure(const void *user, size_t i, Measure *m)
{
    (void)user;
    *m = (Measure){ i < 5 ? lengths[i] : 64, 10, i == 3 ? 7 : -1, i == 3 ? 3 : -1, i % 2 ? 0.5f : 0.25f, "de" };
    return i != 6;
}

static inline void add_measures(const char *dir)
{
    char *path = path_join(dir, "measures.bin");
    Err   e;
    assert_int_equal(measures_write(path, sample_measure, NULL, SAMPLE_ROWS, &e), 0);
    free(path);
}

/* The rows that hold the value, as "1 2 3 ". */
static inline void check_person(const char *dir, const char *value, const char *want)
{
    ReviewRows rows = { 0 };
    StrBuf     b = { 0 };
    Err        e = { 0 };
    if (review_person(dir, str_of(value), NULL, &rows, &e))
        fail_msg("%s", e.text);
    for (size_t k = 0; k < rows.n; k++)
        strbuf_addf(&b, "%lld ", (long long)rows.p[k]);
    if (strcmp(strbuf_z(&b), want))
        fail_msg("%s: rows %s, expected %s", value, strbuf_z(&b), want);
    strbuf_release(&b);
    vec_release(&rows);
}

#endif
