/* test_review.c - the model of a review: the index (quick reading of lines against parsing them), filters against a plain reading of the same files, word
 * diffs (they must give both texts back), verdicts and undo across a restart, durability against a full disk and torn lines, agreement against the
 * official package and against the delta method, and review_apply: what binds rows, nothing lost, killed at every step, repeated. */
#include "base/check.h"

#include "base/file_test.h"
#include "base/mem.h"
#include "prep/before.h"
#include "prep/review_int.h"
#include "review_sample.h"

#include <signal.h>
#include <sys/resource.h>

static Review *opened(const char *dir)
{
    Review *r;
    Err     e;
    if (review_open(&r, dir, &(ReviewOptions){ 0 }, &e))
        fail_msg("%s", e.text);
    return r;
}

static char *sample(bool group)
{
    char *dir = check_dir();
    sample_folder(dir, group);
    return dir;
}

static int64_t does(Review *r, const char *who, ReviewKind kind, int64_t row, const char *text)
{
    Err     e;
    int64_t about;
    if (review_act(r, &(ReviewAct){ .kind = kind, .row = row, .reviewer = str_of(who), .text = text ? str_of(text) : (Str){ 0 } }, &about, &e))
        fail_msg("%s", e.text);
    return about;
}

static void refuses(Review *r, const char *who, ReviewKind kind, int64_t row, const char *text, const char *says)
{
    Err     e = { 0 };
    int64_t about;
    assert_int_not_equal(review_act(r, &(ReviewAct){ .kind = kind, .row = row, .reviewer = str_of(who), .text = text ? str_of(text) : (Str){ 0 } }, &about, &e), 0);
    check_says(&e, ERR_ARG, says);
}

static void edits(Review *r, const char *who, int64_t row, const char *row_new, const char *says)
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
static char *ids(Review *r, ReviewFilter f)
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

static void restores(Review *r, const char *who, int64_t row, int64_t edit, const char *says)
{
    Err     e = { 0 };
    int64_t about;
    int     rc = review_act(r, &(ReviewAct){ .kind = REVIEW_RESTORE, .row = row, .reviewer = str_of(who), .edit = edit }, &about, &e);
    if (says)
        check_says(&e, ERR_ARG, says);
    else if (rc)
        fail_msg("%s", e.text);
}

static void check_ids(Review *r, ReviewFilter f, const char *want)
{
    char *got = ids(r, f);
    assert_string_equal(got, want);
    free(got);
}

static Json *row_of(Review *r, int64_t id)
{
    Json *j;
    Err   e;
    if (review_row(r, id, &j, &e))
        fail_msg("%s", e.text);
    return j;
}

static Json *facts_of(Review *r)
{
    Json *j;
    review_facts(r, &j);
    return j;
}

/* --- the index --------------------------------------------------------------------------------------------------------------------------------- */

static void test_quick_reading(void **state)
{
    static const char *const lines[] = {
        "{\"row\":12,\"file\":\"a.csv\",\"line\":3,\"pass\":\"quality\",\"action\":\"remove\",\"reason\":\"cut off\",\"score\":0.25}",
        "{\"row\":12,\"file\":\"a \\\"b\\\".csv\",\"line\":3,\"pass\":\"quality\",\"action\":\"remove\",\"reason\":\"cut off\",\"more\":1}",
        "{\"row\":1,\"file\":\"\",\"line\":0,\"pass\":\"p\",\"action\":\"note\",\"reason\":\"\",\"score\":1e-3,\"review\":7,\"x\":{}}",
        "{\"row\":1,\"file\":\"\",\"line\":0,\"pass\":\"review\",\"action\":\"note\",\"reason\":\"r\",\"review\":7}",
        "{\"row\":9,\"file\":\"f\",\"line\":0,\"pass\":\"p\",\"action\":\"note\",\"reason\":\"r\",\"score\":-0}",
    };
    static const char *const others[] = { /* not as hone writes it: parsed whole */
        "{\"row\": 12, \"file\":\"a\",\"line\":3,\"pass\":\"q\",\"action\":\"remove\",\"reason\":\"x\"}",
        "{\"row\":12,\"file\":\"a\",\"line\":3,\"pass\":\"q\\u0041\",\"action\":\"remove\",\"reason\":\"x\"}",
        "{\"row\":12,\"file\":\"a\",\"line\":3,\"pass\":\"q\",\"action\":\"remove\",\"reason\":\"a \\\"word\\\"\"}",
        "{\"row\":12.0,\"file\":\"a\",\"line\":3,\"pass\":\"q\",\"action\":\"remove\",\"reason\":\"x\"}",
        "{\"row\":1e1,\"file\":\"a\",\"line\":3,\"pass\":\"q\",\"action\":\"remove\",\"reason\":\"x\"}",
    };
    MarkHead a, b;
    Err      e;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        Json *owner = NULL;
        assert_true(review_mark_quick(str_of(lines[i]), &a));
        assert_int_equal(review_mark_slow(str_of(lines[i]), "test", &b, &owner, &e), 0);
        assert_true(a.row == b.row && a.review == b.review && str_eq(a.pass, b.pass) && str_eq(a.action, b.action) && str_eq(a.reason, b.reason));
        assert_true(isnan(a.score) ? isnan(b.score) : a.score == b.score);
        for (size_t n = 0; n < strlen(lines[i]); n++) /* cut anywhere: never read as something else */
            if (review_mark_quick((Str){ lines[i], n }, &a))
                assert_true(a.row == b.row && str_eq(a.reason, b.reason));
        json_free(owner);
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_false(review_mark_quick(str_of(others[i]), &a));
}

static void test_reasons_are_grouped(void **state)
{
    static const char *const pairs[][2] = {
        { "answer has 12 words", "answer has … words" }, { "score 0.25, limit 1,000.", "score …, limit …." }, { "holds \"x y\" and \"z\"", "holds … and …" },
        { "an open \" quote 7", "an open \" quote …" }, { "", "" }, { "7", "…" },
    };
    StrBuf b = { 0 };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        strbuf_clear(&b);
        review_reason_key(&b, str_of(pairs[i][0]));
        assert_string_equal(strbuf_z(&b), pairs[i][1]);
    }
    strbuf_release(&b);
}

static void test_open(void **state)
{
    char   *dir = sample(false);
    Review *r = opened(dir), *second;
    Err     e = { 0 };
    (void)state;
    Json *f = facts_of(r);
    assert_int_equal(json_int(json_get(f, "rows")), SAMPLE_ROWS);
    assert_int_equal(json_int(json_get(json_get(f, "parts"), "train")), 24);
    assert_int_equal(json_int(json_get(json_get(f, "parts"), "removed")), 8);
    json_free(f);
    assert_int_equal(review_open(&second, dir, &(ReviewOptions){ 0 }, &e), ERR_IO);
    check_says(&e, ERR_IO, "another process is changing this folder (process ");
    Json *j = row_of(r, 33);
    assert_string_equal(json_str(json_get(j, "part")).p, "removed");
    assert_string_equal(json_str(json_get(json_get(j, "removed"), "pass")).p, "duplicates");
    assert_int_equal(json_int(json_get(json_get(j, "row"), "id")), 33);
    json_free(j);
    j = row_of(r, 10);
    assert_int_equal(json_len(json_get(j, "decisions")), 2);
    assert_int_equal(json_int(json_get(j, "line")), 11);
    const Json *diff = json_at(json_get(json_at(json_get(j, "decisions"), 0), "diff"), 0);
    StrBuf now = { 0 };
    for (size_t i = 0; i < json_len(diff); i++)
        if (*json_str(json_at(json_at(diff, i), 0)).p != '-')
            strbuf_addz(&now, json_str(json_at(json_at(diff, i), 1)).p);
    assert_string_equal(strbuf_z(&now), "Antwort 10, see the page.");
    strbuf_release(&now);
    json_free(j);
    assert_int_equal(review_row(r, 41, &j, &e), ERR_ARG);
    review_close(r);
    check_dir_done(dir);
}

static void spoil(const char *dir, const char *name, const char *text)
{
    StrBuf b = { 0 };
    strbuf_addz(&b, text);
    sample_put(dir, name, &b);
    strbuf_release(&b);
}

/* Who finds the folder locked is told by whom. */
static void test_locked_by_the_page(void **state)
{
    char   *dir = sample(false), says[80];
    Review *r, *second;
    Err     e = { 0 };
    ReviewApplied f;
    (void)state;
    assert_int_equal(review_open(&r, dir, &(ReviewOptions){ .page = true }, &e), 0);
    snprintf(says, sizeof says, "the review page of this folder is open (process %ld)", (long)getpid());
    assert_int_equal(review_open(&second, dir, &(ReviewOptions){ 0 }, &e), ERR_IO);
    check_says(&e, ERR_IO, says);
    assert_int_equal(review_apply(dir, &(ReviewApplyOptions){ 0 }, &f, &e), ERR_IO);
    check_says(&e, ERR_IO, says);
    review_close(r);
    assert_int_equal(review_apply(dir, &(ReviewApplyOptions){ 0 }, &f, &e), 0);
    check_dir_done(dir);
}

/* What begins with `head`, up to its line's end or `tail`, becomes another text. */
static void put_instead(const char *dir, const char *name, const char *head, const char *tail, const char *with)
{
    char  *text = check_read(dir, name);
    StrBuf all = { 0 };
    size_t from = 0;
    while (text[from] && strncmp(text + from, head, strlen(head)))
        from++;
    assert_true(text[from]);
    size_t to = from;
    while (strncmp(text + to, tail, strlen(tail)))
        to++;
    strbuf_add(&all, text, from);
    strbuf_addf(&all, "%s%s", with, text + to);
    sample_put(dir, name, &all);
    strbuf_release(&all);
    free(text);
}

static void put_removed(const char *dir, int id, const char *line)
{
    char head[20];
    snprintf(head, sizeof head, "{\"id\":%d,", id);
    put_instead(dir, "removed.jsonl", head, "\n", line);
}

static ReviewApplied apply(const char *dir);

/* What training would refuse cannot be accepted as it is: in the page, and when an accept stands there all the same. */
static void test_accept_what_training_refuses(void **state)
{
    char         *dir = sample(false);
    ReviewApplied f;
    (void)state;
    put_removed(dir, 35, "{\"id\":35,\"pass\":\"repair\",\"reason\":\"nothing is left of the answer\",\"file\":\"f\",\"line\":1,\"row\":{\"id\":35,\"prompt\":\"How?\",\"completion\":\"\","
                         "\"meta\":{\"language\":\"en\"}}}");
    put_removed(dir, 37, "{\"id\":37,\"pass\":\"tokens\",\"reason\":\"no token of the row is trained\",\"file\":\"f\",\"line\":1,\"row\":{\"id\":37,\"prompt\":\"How?\",\"completion\":\"So.\"}}");
    Review *r = opened(dir);
    refuses(r, "Ann", REVIEW_ACCEPT, 35, NULL, "row 35 cannot be accepted as it is, since there is nothing to be trained on: missing_content: the answer is empty; edit it first");
    refuses(r, "Ann", REVIEW_ACCEPT, 37, NULL, "row 37 cannot be accepted as it is, since training would refuse it: no token of the row is trained; edit it first");
    edits(r, "Ann", 35, "{\"prompt\":\"How?\",\"completion\":\"  \"}", "missing_content: the answer is empty");
    edits(r, "Ann", 35, "{\"prompt\":\"How?\",\"completion\":\"Like this.\"}", NULL);
    does(r, "Ann", REVIEW_ACCEPT, 35, NULL);
    does(r, "Ann", REVIEW_ACCEPT, 34, NULL);
    review_close(r);
    /* as an older hone left it: the accept without the edit */
    spoil(dir, "review.jsonl", "{\"n\":1,\"row\":35,\"reviewer\":\"Ann\",\"action\":\"accept\",\"time\":\"2026-11-28T19:04:55Z\"}\n"
                               "{\"n\":2,\"row\":34,\"reviewer\":\"Ann\",\"action\":\"accept\",\"time\":\"2026-11-28T19:04:56Z\"}\n");
    for (int turn = 0; turn < 2; turn++) {
        f = apply(dir);
        assert_int_equal(f.unsound, 1);
        assert_int_equal(f.back, turn ? 0 : 1);
        check_says(&f.unsound_why, ERR_ARG, "row 35 cannot be accepted as it is");
        assert_int_equal(f.part[RP_REMOVED], 7);
    }
    char *train = check_read(dir, "train.jsonl"), *removed = check_read(dir, "removed.jsonl");
    assert_null(strstr(train, "\"completion\":\"\""));
    assert_non_null(strstr(removed, "{\"id\":35,\"pass\":\"repair\""));
    free(train);
    free(removed);
    check_dir_done(dir);
}

/* For an erasure: what no detector knows is found by what stands there, whole and in any writing. */
static void test_person_in_the_texts(void **state)
{
    static const struct { const char *value, *rows; } cases[] = {
        { "K-12721", "2 34 40 " },        /* a text, meta, a raw row; not K-127213 of row 3 */
        { "k\xE2\x80\x91" "12721", "2 34 40 " }, /* the dash that does not break: signs do not count beside digits */
        { "K 12721", "2 34 40 " },
        { "hildegard  GRO\xC3\x9FMANN", "2 5 " }, /* row 5: only a comment says so */
        { "Gro\xC3\x9Fmann", "2 5 33 " }, /* row 33: before a repair */
        { "Ann", "3 " },                  /* short: not within other words */
        { "stranger@web.de", "" },
        { "messages", "" },               /* hone's own words are none of a row */
    };
    char   *dir = sample(false);
    StrBuf  b = { 0 };
    Review *r;
    (void)state;
    put_instead(dir, "manifest.json", "\"options\":\"\"", ",\"inputs\"", "\"options\":\"pii: off\\n\"");
    put_instead(dir, "train.jsonl", "{\"id\":2,", "{\"id\":4,", "{\"id\":2,\"prompt\":\"Customer K-12721, Hildegard\\nGro\xC3\x9Fmann: where?\",\"completion\":\"There.\"}\n"
                "{\"id\":3,\"prompt\":\"Dann? Ann!\",\"completion\":\"Not K-127213.\"}\n");
    put_removed(dir, 34, "{\"id\":34,\"pass\":\"quality\",\"reason\":\"why\",\"file\":\"f\",\"line\":1,\"row\":{\"id\":34,\"prompt\":\"How?\",\"completion\":\"So.\",\"meta\":{\"by\":{\"K-12721\":1}}}}");
    put_removed(dir, 40, "{\"id\":40,\"pass\":\"import\",\"reason\":\"why\",\"file\":\"f\",\"line\":1,\"raw\":\"7;k-12721;\\\"x\"}");
    char *log = check_read(dir, "decisions.jsonl");
    strbuf_clear(&b);
    strbuf_addf(&b, "%s{\"row\":33,\"file\":\"f\",\"line\":1,\"pass\":\"repair\",\"action\":\"edit\",\"reason\":\"mail_signature\",\"before\":[{\"at\":1,\"text\":\"H. Gro\xC3\x9Fmann\"}]}\n", log);
    sample_put(dir, "decisions.jsonl", &b);
    free(log);
    r = opened(dir);
    does(r, "Ann", REVIEW_COMMENT, 5, "it is of Hildegard Gro\xC3\x9Fmann");
    review_close(r);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ReviewRows rows = { 0 };
        Err        e = { 0 };
        if (review_person(dir, str_of(cases[i].value), NULL, &rows, &e))
            fail_msg("%s", e.text);
        strbuf_clear(&b);
        for (size_t k = 0; k < rows.n; k++)
            strbuf_addf(&b, "%lld ", (long long)rows.p[k]);
        if (strcmp(strbuf_z(&b), cases[i].rows))
            fail_msg("%s: rows %s, expected %s", cases[i].value, strbuf_z(&b), cases[i].rows);
        vec_release(&rows);
    }
    strbuf_release(&b);
    check_dir_done(dir);
}

static void test_bad_folders(void **state)
{
    static const struct { const char *file, *text; int code; const char *says; } cases[] = {
        { "train.jsonl", "{\"id\":1}\n{\"id\":1}\n", ERR_INPUT, "row 1 stands in" },
        { "train.jsonl", "{\"id\":0}\n", ERR_INPUT, "train.jsonl, line 1: \"id\" is 0" },
        { "train.jsonl", "{\"id\":4294967295}\n", ERR_INPUT, "the ids of a prepared data set" },
        { "train.jsonl", "{\"id\":1}\nnot json\n", ERR_INPUT, "train.jsonl, line 2" },
        { "decisions.jsonl", "{\"row\":1}\n", ERR_INPUT, "decisions.jsonl, line 1" },
        { "review.jsonl", "{\"n\":2,\"row\":1,\"reviewer\":\"a\",\"action\":\"accept\"}\n", ERR_INPUT, "\"n\" is 2 and should be 1" },
        { "review.jsonl", "{\"n\":1,\"row\":1,\"reviewer\":\"a\",\"action\":\"fly\"}\n", ERR_INPUT, "no action of a review" },
        { "review.jsonl", "{\"n\":1,\"row\":1,\"reviewer\":\"a\",\"action\":\"undo\",\"undoes\":1}\n", ERR_INPUT, "no earlier action" },
        { "review.jsonl", "{\"n\":1,\"row\":1,\"reviewer\":\"a\",\"action\":\"edit\",\"row_new\":{\"id\":2}}\n", ERR_INPUT, "an edit needs a" },
        { "manifest.json", "{\"options\":\"nonsense: 1\"}", ERR_INPUT, "nonsense" },
    };
    Review *r;
    Err     e = { 0 };
    (void)state;
    assert_int_equal(review_open(&r, "/nowhere/at all", &(ReviewOptions){ 0 }, &e), ERR_INPUT);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *dir = sample(false);
        spoil(dir, cases[i].file, cases[i].text);
        e = (Err){ 0 };
        assert_int_not_equal(review_open(&r, dir, &(ReviewOptions){ 0 }, &e), 0);
        check_says(&e, cases[i].code, cases[i].says);
        assert_null(r);
        check_dir_done(dir);
    }
    char *dir = sample(false), *done = path_join(dir, "DONE");
    assert_int_equal(unlink(done), 0);
    assert_int_equal(review_open(&r, dir, &(ReviewOptions){ 0 }, &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, "no finished data folder");
    free(done);
    check_dir_done(dir);
}

/* Rows that somebody changed by hand are shown as they are, or refused in a sentence. */
static void test_strange_rows(void **state)
{
    static const char *const lines[] = {
        "{\"id\":1,\"messages\":[{\"role\":\"robot\",\"content\":\"x\"},3]}\n", "{\"id\":1,\"messages\":5,\"chosen\":[{}],\"rejected\":{}}\n", "{\"id\":1}\n",
        "{\"id\":1,\"text\":7,\"meta\":[]}\n", "{\"id\":1,\"prompt\":null,\"completion\":[1]}\n",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        char        *dir = sample(true);
        ReviewFilter f = REVIEW_ALL;
        spoil(dir, "train.jsonl", lines[i]);
        Review *r = opened(dir);
        f.parts = 1u << RP_TRAIN;
        check_ids(r, f, "1");
        Json *j = row_of(r, 1);
        assert_non_null(json_get(j, "row"));
        json_free(j);
        does(r, "Ann", REVIEW_LABEL, 1, "odd");
        does(r, "Ann", REVIEW_REJECT, 1, NULL);
        review_close(r);
        ReviewApplied a;
        Err           e;
        if (review_apply(dir, &(ReviewApplyOptions){ 0 }, &a, &e))
            fail_msg("%s", e.text);
        assert_int_equal(a.left, 1);
        check_dir_done(dir);
    }
    char   *dir = sample(false);
    Review *r;
    Err     e = { 0 };
    Json   *j;
    ReviewApplied a;
    spoil(dir, "removed.jsonl", "{\"id\":33,\"row\":{\"id\":34}}\n{\"id\":40,\"raw\":\"x\"}\n");
    spoil(dir, "review.jsonl", "{\"n\":1,\"row\":40,\"reviewer\":\"a\",\"action\":\"accept\"}\n");
    r = opened(dir);
    assert_int_equal(review_row(r, 33, &j, &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, "another \"id\" (34)");
    review_close(r);
    assert_int_equal(review_apply(dir, &(ReviewApplyOptions){ 0 }, &a, &e), 0);
    assert_int_equal(a.unsound, 1);
    check_says(&a.unsound_why, ERR_ARG, "row 40 could not be read");
    check_dir_done(dir);
}

/* --- filters ------------------------------------------------------------------------------------------------------------------------------------ */

static void test_filters(void **state)
{
    char        *dir = sample(false);
    Review      *r = opened(dir);
    ReviewFilter f = REVIEW_ALL;
    (void)state;
    f.parts = 1u << RP_VALIDATION | 1u << RP_TEST;
    check_ids(r, f, "25 26 27 28 29 30 31 32");
    f = REVIEW_ALL, f.pass = STR_LIT("duplicates");
    check_ids(r, f, "33 36 39");
    f = REVIEW_ALL, f.action = STR_LIT("remove"), f.pass = STR_LIT("quality");
    check_ids(r, f, "34 35 37 38");
    f = REVIEW_ALL, f.least = 0.9;
    check_ids(r, f, "33 36 38"); /* 0.9 itself counts; 38: quality 0.95 */
    f = REVIEW_ALL, f.most = 0.1, f.pass = STR_LIT("quality");
    check_ids(r, f, "2 4 34");
    f = REVIEW_ALL, f.least = 0.1, f.most = 0.2, f.action = STR_LIT("note"); /* of one decision */
    check_ids(r, f, "4 6 8");
    f = REVIEW_ALL, f.text = STR_LIT("FRAGE 1:");
    check_ids(r, f, "1");
    f = REVIEW_ALL, f.text = STR_LIT("die \xC3\xBC""bersicht"), f.parts = 1u << RP_TEST; /* the rows say it with a capital letter */
    check_ids(r, f, "29 30 31 32");
    f = REVIEW_ALL, f.text = STR_LIT("\"quoted\", with a\nline");
    check_ids(r, f, "8");
    f = REVIEW_ALL, f.text = STR_LIT("assistant"); /* roles and keys are no texts */
    check_ids(r, f, "");
    f = REVIEW_ALL, f.text = STR_LIT("row,at");
    check_ids(r, f, "40");
    f = REVIEW_ALL, f.column = STR_LIT("customer"), f.value = STR_LIT("c3");
    check_ids(r, f, "3 26 34");
    f = REVIEW_ALL, f.column = STR_LIT("language"), f.value = STR_LIT("de"), f.parts = 1u << RP_REMOVED;
    check_ids(r, f, "33 35 37 39");
    Json *facts = facts_of(r);
    const Json *kinds = json_get(facts, "kinds");
    bool seen = false;
    for (size_t i = 0; i < json_len(kinds); i++)
        if (!strcmp(json_str(json_get(json_at(kinds, i), "reason")).p, "answer has … words")) {
            seen = true;
            assert_int_equal(json_int(json_get(json_at(kinds, i), "rows")), 3);
            f = REVIEW_ALL, f.kind = (int)i;
            check_ids(r, f, "34 35 37");
        }
    assert_true(seen);
    json_free(facts);
    review_close(r);
    check_dir_done(dir);
}

static void test_looks(void **state)
{
    char        *dir = sample(false);
    Review      *r = opened(dir);
    ReviewFilter f = REVIEW_ALL;
    (void)state;
    does(r, "Ann", REVIEW_ACCEPT, 1, NULL);
    does(r, "Ann", REVIEW_REJECT, 2, NULL);
    does(r, "Ben", REVIEW_REJECT, 1, NULL);
    does(r, "Ben", REVIEW_REJECT, 2, NULL);
    does(r, "Ann", REVIEW_COMMENT, 3, "odd\nbut fine");
    does(r, "Ann", REVIEW_LABEL, 4, "billing");
    does(r, "Ann", REVIEW_ACCEPT, 33, NULL);
    edits(r, "Ann", 7, "{\"prompt\":\"How do I stop it?\",\"completion\":\"Under Settings.\"}", NULL);
    f.look = LOOK_JUDGED;
    check_ids(r, f, "1 2 33");
    f.look = LOOK_ACCEPTED;
    check_ids(r, f, "33");
    f.look = LOOK_REJECTED;
    check_ids(r, f, "1 2");
    f.look = LOOK_DISAGREE;
    check_ids(r, f, "1");
    f.look = LOOK_COMMENTED;
    check_ids(r, f, "3");
    f.look = LOOK_EDITED;
    check_ids(r, f, "7");
    f.look = LOOK_CHANGED;
    check_ids(r, f, "1 2 4 7 33");
    f.look = LOOK_OPEN, f.reviewer = STR_LIT("Ben"), f.parts = 1u << RP_REMOVED;
    check_ids(r, f, "33 34 35 36 37 38 39 40");
    f.reviewer = STR_LIT("Ann");
    check_ids(r, f, "34 35 36 37 38 39 40");
    f.reviewer = (Str){ 0 };
    check_ids(r, f, "34 35 36 37 38 39 40");
    f = REVIEW_ALL, f.label = STR_LIT("billing");
    check_ids(r, f, "4");
    f = REVIEW_ALL, f.text = STR_LIT("stop it"); /* an edited row is what it says now */
    check_ids(r, f, "7");
    f = REVIEW_ALL, f.text = STR_LIT("cancel");
    check_ids(r, f, "");
    edits(r, "Ann", 7, "{\"prompt\":\"Where?\",\"completion\":\"Write to anna.meier@example.org, anna.meier@example.org.\"}", NULL);
    Json *j = row_of(r, 7), *personal = json_get(j, "personal"); /* what looks like personal data is shown, once */
    assert_int_equal(json_len(personal), 1);
    assert_string_equal(json_str(json_get(json_at(personal, 0), "text")).p, "anna.meier@example.org");
    json_free(j);
    review_close(r);
    check_dir_done(dir);
}

/* --- diffs -------------------------------------------------------------------------------------------------------------------------------------- */

static void check_diff(const char *a, const char *b, const char *want)
{
    Json  *d = review_diff(str_of(a), str_of(b));
    StrBuf left = { 0 }, right = { 0 }, all = { 0 };
    for (size_t i = 0; i < json_len(d); i++) {
        char op = *json_str(json_at(json_at(d, i), 0)).p;
        Str  text = json_str(json_at(json_at(d, i), 1));
        if (op != '+')
            strbuf_add(&left, text.p, text.n);
        if (op != '-')
            strbuf_add(&right, text.p, text.n);
        strbuf_addf(&all, "%c(%.*s)", op, (int)text.n, text.p);
    }
    assert_string_equal(strbuf_z(&left), a);
    assert_string_equal(strbuf_z(&right), b);
    if (want)
        assert_string_equal(strbuf_z(&all), want);
    strbuf_release(&left);
    strbuf_release(&right);
    strbuf_release(&all);
    json_free(d);
}

static void test_diff(void **state)
{
    (void)state;
    check_diff("", "", "");
    check_diff("a b c", "a b c", "=(a b c)");
    check_diff("a b c", "a x c", "=(a )-(b)+(x)=( c)");
    check_diff("", "new text", "+(new text)");
    check_diff("old", "", "-(old)");
    check_diff("one two three four", "one three four five", "=(one )-(two )=(three four)+( five)");
    check_diff("f\xC3\x83\xC2\xBCr  dich", "f\xC3\xBCr dich", NULL);
    unsigned seed = 1;
    for (int round = 0; round < 300; round++) { /* any two texts come back whole */
        char text[2][80];
        for (int s = 0; s < 2; s++) {
            size_t n = 0;
            for (unsigned k = (seed = seed * 1103515245u + 12345u) >> 16 & 31; k--;)
                text[s][n++] = "ab .,"[((seed = seed * 1103515245u + 12345u) >> 16) % 5];
            text[s][n] = '\0';
        }
        check_diff(text[0], text[1], NULL);
    }
    StrBuf a = { 0 }, b = { 0 }; /* more differences than are looked for */
    for (int i = 0; i < 3000; i++) {
        strbuf_addf(&a, "x%d ", i);
        strbuf_addf(&b, "y%d ", i);
    }
    check_diff(strbuf_z(&a), strbuf_z(&b), NULL);
    strbuf_release(&a);
    strbuf_release(&b);
}

/* --- verdicts ------------------------------------------------------------------------------------------------------------------------------------ */

static void check_verdict(Review *r, int64_t id, const char *want)
{
    Json *j = row_of(r, id);
    Str   v = json_str(json_get(j, "verdict"));
    assert_string_equal(v.p ? v.p : "none", want);
    json_free(j);
}

static void test_verdicts(void **state)
{
    char   *dir = sample(false);
    Review *r = opened(dir);
    (void)state;
    refuses(r, "", REVIEW_ACCEPT, 1, NULL, "reviewer's name is empty");
    refuses(r, "A\nB", REVIEW_ACCEPT, 1, NULL, "control character");
    refuses(r, "\xFF", REVIEW_ACCEPT, 1, NULL, "no UTF-8");
    refuses(r, "Ann", REVIEW_ACCEPT, 99, NULL, "no row 99");
    refuses(r, "Ann", REVIEW_LABEL, 1, NULL, "label is empty");
    refuses(r, "Ann", REVIEW_ACCEPT, 1, "x", "takes no text");
    refuses(r, "Ann", REVIEW_ACCEPT, SAMPLE_RAW, NULL, "could not be read");
    refuses(r, "Ann", REVIEW_UNDO, 0, NULL, "nothing of yours");
    edits(r, "Ann", 1, "{\"prompt\":\"a\",\"completion\":\"b\"}", "another kind");
    edits(r, "Ann", 1, "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}", "");
    edits(r, "Ann", 1, "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"robot\",\"content\":\"b\"}]}", "");
    edits(r, "Ann", 7, "{\"prompt\":\"a\",\"completion\":\"b\",\"strange\":1}", "does not know");
    edits(r, "Ann", 7, "[1]", "should be an object");
    does(r, "Ann", REVIEW_ACCEPT, 1, NULL);
    does(r, "Ben", REVIEW_REJECT, 1, NULL);
    check_verdict(r, 1, "reject");
    assert_int_equal(does(r, "Ben", REVIEW_UNDO, 0, NULL), 1);
    check_verdict(r, 1, "accept");
    does(r, "Ben", REVIEW_COMMENT, 2, "x");
    does(r, "Ann", REVIEW_REJECT, 1, NULL);
    assert_int_equal(does(r, "Ben", REVIEW_UNDO, 0, NULL), 2); /* his own last, not the last of all */
    refuses(r, "Ben", REVIEW_UNDO, 0, NULL, "nothing of yours");
    edits(r, "Ann", SAMPLE_RAW, "{\"prompt\":\"a\",\"completion\":\"b\"}", NULL);
    does(r, "Ann", REVIEW_ACCEPT, SAMPLE_RAW, NULL); /* now there is something to accept */
    review_close(r);
    r = opened(dir); /* and all of it is still so */
    check_verdict(r, 1, "reject");
    check_verdict(r, SAMPLE_RAW, "accept");
    refuses(r, "Ben", REVIEW_UNDO, 0, NULL, "nothing of yours");
    Json *j = row_of(r, 1);
    assert_int_equal(json_len(json_get(j, "history")), 3);
    assert_true(json_bool(json_get(json_at(json_get(j, "history"), 1), "undone")));
    json_free(j);
    review_close(r);
    check_dir_done(dir);
}

/* How often a file holds a text. */
static size_t times(const char *dir, const char *name, const char *holding)
{
    char  *path = path_join(dir, name), *text;
    size_t n, count = 0;
    Err    e;
    if (file_read_text(path, &text, &n, &e))
        fail_msg("%s", e.text);
    for (char *p = text; (p = strstr(p, holding)); p += strlen(holding))
        count++;
    free(text);
    free(path);
    return count;
}

static void test_torn_and_full(void **state)
{
    char   *dir = sample(false), *log = path_join(dir, "review.jsonl"), *decisions = path_join(dir, "decisions.jsonl");
    Review *r = opened(dir);
    Err     e;
    int64_t about;
    (void)state;
    does(r, "Ann", REVIEW_ACCEPT, 1, NULL);
    uint64_t whole, logged;
    file_size(log, &whole, &e);
    file_size(decisions, &logged, &e);
    for (int64_t room = 0; room < 400; room += 7) { /* the disk is full after so many bytes: not heard, not there */
        file_test_fail_after(room);
        int rc = review_act(r, &(ReviewAct){ .kind = REVIEW_REJECT, .row = 2, .reviewer = STR_LIT("Ann") }, &about, &e);
        file_test_fail_after(-1);
        uint64_t now, then;
        file_size(log, &now, &e);
        file_size(decisions, &then, &e);
        if (rc) {
            assert_int_equal(rc, ERR_IO);
            assert_true(now == whole && then == logged);
            check_verdict(r, 2, "none");
        } else {
            does(r, "Ann", REVIEW_UNDO, 0, NULL);
            file_size(log, &whole, &e);
            file_size(decisions, &logged, &e);
        }
    }
    review_close(r);
    /* a power loss in the middle of the next line, and one between the two logs */
    file_append_line(log, STR_LIT("{\"n\":2,\"row\":1,\"rev"), &e);
    file_size(log, &whole, &e);
    file_truncate(log, whole - 1, &e);
    r = opened(dir);
    size_t before = times(dir, "decisions.jsonl", "\"pass\":\"review\"");
    does(r, "Ann", REVIEW_REJECT, 3, NULL);
    review_close(r);
    file_size(decisions, &logged, &e);
    file_truncate(decisions, logged - 20, &e);
    r = opened(dir);
    check_verdict(r, 3, "reject");
    review_close(r);
    assert_int_equal(times(dir, "decisions.jsonl", "\"pass\":\"review\""), before + 1);
    assert_int_equal(times(dir, "review.jsonl", "\n"), times(dir, "decisions.jsonl", "\"pass\":\"review\""));
    free(log);
    free(decisions);
    check_dir_done(dir);
}

typedef struct Crowd { Review *r; char name[8]; int wrong; } Crowd;

static void *one_of_many(void *user)
{
    Crowd *c = user;
    for (int i = 0; i < 30; i++) {
        Err          e;
        int64_t      about;
        Json        *j = NULL;
        ReviewFilter f = REVIEW_ALL;
        f.text = STR_LIT("Antwort"), f.turn = (uint64_t)i;
        c->wrong += review_act(c->r, &(ReviewAct){ .kind = i % 2 ? REVIEW_REJECT : REVIEW_ACCEPT, .row = 1 + i % 20, .reviewer = str_of(c->name) }, &about, &e) != 0;
        c->wrong += review_rows(c->r, &f, 0, 10, &j, &e) != 0;
        json_free(j);
        c->wrong += review_row(c->r, 1 + i % 20, &j, &e) != 0;
        json_free(j);
        review_facts(c->r, &j);
        json_free(j);
    }
    return NULL;
}

static void test_many_at_once(void **state)
{
    char     *dir = sample(false);
    Review   *r = opened(dir);
    pthread_t thread[4];
    Crowd     crowd[4];
    (void)state;
    for (int i = 0; i < 4; i++) {
        crowd[i] = (Crowd){ r, { (char)('A' + i) }, 0 };
        assert_int_equal(pthread_create(&thread[i], NULL, one_of_many, &crowd[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(thread[i], NULL);
        assert_int_equal(crowd[i].wrong, 0);
    }
    review_close(r);
    r = opened(dir); /* every line whole, numbered without a gap */
    assert_int_equal(times(dir, "review.jsonl", "\n"), 120);
    assert_int_equal(times(dir, "decisions.jsonl", "\"pass\":\"review\""), 120);
    review_close(r);
    check_dir_done(dir);
}

/* --- agreement ------------------------------------------------------------------------------------------------------------------------------------ */

/* kappa of proportions, for the delta method. */
static double kappa_of(const double *p, int k)
{
    double po = 0, pe = 0, total = 0;
    for (int i = 0; i < k * k; i++)
        total += p[i];
    for (int i = 0; i < k; i++) {
        double row = 0, col = 0;
        for (int j = 0; j < k; j++) {
            row += p[i * k + j] / total;
            col += p[j * k + i] / total;
        }
        po += p[i * k + i] / total;
        pe += row * col;
    }
    return (po - pe) / (1 - pe);
}

static void test_kappa(void **state)
{
    /* kappa, low and high of statsmodels 0.14.4, stats.inter_rater.cohens_kappa */
    static const struct { int k; int64_t t[9]; double kappa, low, high; } cases[] = {
        { 2, { 20, 5, 10, 15 }, 0.3999999999999999, 0.151092290476661, 0.6489077095233389 },
        { 2, { 88, 2, 7, 3 }, 0.35714285714285743, 0.03502923313793194, 0.6792564811477829 },
        { 3, { 53, 1, 2, 5, 33, 0, 7, 11, 28 }, 0.7171717171717171, 0.6215286080800315, 0.8128148262634027 },
        { 2, { 3, 40, 30, 2 }, -0.8343815513626838, -0.9833059361209301, -0.6854571666044375 },
    };
    (void)state;
    for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
        const int   k = cases[c].k;
        ReviewKappa got = review_kappa(cases[c].t, k);
        assert_true(fabs(got.kappa - cases[c].kappa) < 1e-12 && fabs(got.low - cases[c].low) < 1e-6 && fabs(got.high - cases[c].high) < 1e-6);
        double p[9], n = 0, mean = 0, square = 0;
        for (int i = 0; i < k * k; i++)
            n += (double)cases[c].t[i];
        for (int i = 0; i < k * k; i++)
            p[i] = (double)cases[c].t[i] / n;
        for (int i = 0; i < k * k; i++) { /* the variance of a function of multinomial shares */
            double kept = p[i], up, down;
            p[i] = kept + 1e-6, up = kappa_of(p, k);
            p[i] = kept - 1e-6, down = kappa_of(p, k);
            p[i] = kept;
            double slope = (up - down) / 2e-6;
            mean += kept * slope;
            square += kept * slope * slope;
        }
        assert_true(fabs(got.high - got.low - 2 * 1.959963984540054 * sqrt((square - mean * mean) / n)) < 1e-5);
    }
    ReviewKappa one = review_kappa((int64_t[]){ 9, 0, 0, 0 }, 2);
    assert_true(isnan(one.kappa) && one.agree == 1 && one.n == 9);
    assert_true(isnan(review_kappa((int64_t[]){ 0, 0, 0, 0 }, 2).agree));
}

static void test_agreement_of_reviewers(void **state)
{
    static const struct { int n, a, b; } table[] = { { 6, 0, 0 }, { 2, 0, 1 }, { 1, 1, 0 }, { 5, 1, 1 } };
    char   *dir = sample(false);
    Review *r = opened(dir);
    int     row = 1;
    (void)state;
    for (size_t t = 0; t < ARRAY_LEN(table); t++)
        for (int i = 0; i < table[t].n; i++, row++) {
            does(r, "Ann", table[t].a ? REVIEW_REJECT : REVIEW_ACCEPT, row, NULL);
            does(r, "Ben", table[t].b ? REVIEW_REJECT : REVIEW_ACCEPT, row, NULL);
        }
    does(r, "Ann", REVIEW_ACCEPT, 20, NULL); /* one alone does not count */
    Json *f = facts_of(r);
    const Json *pair = json_at(json_get(f, "agreement"), 0);
    assert_int_equal(json_int(json_get(pair, "rows")), 14);
    assert_true(fabs(json_num(json_get(pair, "kappa")) - review_kappa((int64_t[]){ 6, 2, 1, 5 }, 2).kappa) < 1e-12);
    assert_int_equal(json_int(json_get(f, "disagree")), 3);
    json_free(f);
    review_close(r);
    check_dir_done(dir);
}

/* --- apply ------------------------------------------------------------------------------------------------------------------------------------------ */

/* Part of each row as the files say; every row must be in exactly one. */
static void places(const char *dir, char out[SAMPLE_ROWS + 2])
{
    static const char letter[] = "Rtvx";
    memset(out, '.', SAMPLE_ROWS + 1);
    out[SAMPLE_ROWS + 1] = '\0';
    for (int p = 0; p < RP_PARTS; p++) {
        char  *path = path_join(dir, review_file[p]), *text, *save = NULL;
        size_t n;
        Err    e;
        if (file_read_text(path, &text, &n, &e))
            fail_msg("%s", e.text);
        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
            Json *j;
            if (json_parse(&j, str_of(line), path, &e))
                fail_msg("%s", e.text);
            int64_t id = json_int(json_get(j, "id"));
            assert_in_range(id, 1, SAMPLE_ROWS);
            assert_int_equal(out[id], '.');
            out[id] = letter[p];
            if (json_get(j, "row"))
                assert_int_equal(json_int(json_get(json_get(j, "row"), "id")), id);
            json_free(j);
        }
        free(text);
        free(path);
    }
    for (int id = 1; id <= SAMPLE_ROWS; id++)
        assert_int_not_equal(out[id], '.');
}

static ReviewApplied apply(const char *dir)
{
    ReviewApplied f;
    Err           e;
    if (review_apply(dir, &(ReviewApplyOptions){ 0 }, &f, &e))
        fail_msg("%s", e.text);
    return f;
}

/* The verdicts that the tests of apply share. */
static void judge(const char *dir)
{
    Review *r = opened(dir);
    does(r, "Ann", REVIEW_ACCEPT, 33, NULL);   /* its duplicate was kept in test */
    does(r, "Ann", REVIEW_ACCEPT, 34, NULL);   /* with --group, rows of its customer are in train and validation */
    does(r, "Ann", REVIEW_ACCEPT, 35, NULL);
    does(r, "Ann", REVIEW_ACCEPT, 36, NULL);   /* its duplicate was kept in train */
    does(r, "Ann", REVIEW_ACCEPT, 38, NULL);   /* with --group bound to 39, which is a duplicate of 25 in validation */
    does(r, "Ann", REVIEW_ACCEPT, 39, NULL);
    does(r, "Ann", REVIEW_REJECT, 2, NULL);
    does(r, "Ann", REVIEW_REJECT, 27, NULL);
    does(r, "Ann", REVIEW_ACCEPT, 1, NULL);
    edits(r, "Ann", 7, "{\"prompt\":\"How do I stop it?\",\"completion\":\"Under \\\"Settings\\\".\"}", NULL);
    does(r, "Ann", REVIEW_LABEL, 30, "billing");
    edits(r, "Ann", SAMPLE_RAW, "{\"prompt\":\"a\",\"completion\":\"b\"}", NULL);
    does(r, "Ben", REVIEW_ACCEPT, 2, NULL);
    does(r, "Ben", REVIEW_REJECT, 2, NULL);
    does(r, "Ben", REVIEW_REJECT, 5, NULL);
    does(r, "Ben", REVIEW_UNDO, 0, NULL);
    review_close(r);
}

static void test_apply(void **state)
{
    char         *dir = sample(false), at[SAMPLE_ROWS + 2];
    ReviewApplied f;
    (void)state;
    judge(dir);
    f = apply(dir);
    places(dir, at);
    assert_string_equal(at + 1, "tRtttttttttttttttttttttt" "vvRv" "xxxx" "xtttRtvR");
    assert_int_equal(f.back, 6);
    assert_int_equal(f.left, 2);
    assert_int_equal(f.edited, 2);
    assert_int_equal(f.labelled, 1);
    assert_int_equal(f.part[RP_REMOVED], 4);
    char *train = check_read(dir, "train.jsonl"), *test = check_read(dir, "test.jsonl"), *removed = check_read(dir, "removed.jsonl");
    assert_non_null(strstr(train, "{\"id\":7,\"prompt\":\"How do I stop it?\",\"completion\":\"Under \\\"Settings\\\".\",\"meta\":{\"language\":\"en\"}}\n"));
    assert_non_null(strstr(test, "\"customer\":\"c30\",\"label\":\"billing\"}}\n"));
    assert_non_null(strstr(removed, "{\"id\":2,\"pass\":\"review\",\"reason\":\"rejected by Ben\",\"file\":\"data/tickets.csv\",\"part\":\"train\",\"row\":{\"id\":2,"));
    assert_non_null(strstr(removed, "\"row\":{\"id\":40,\"prompt\":\"a\",\"completion\":\"b\"}}"));
    free(test);
    /* the summary fits the files */
    Json *m;
    Err   e;
    char *path = path_join(dir, "manifest.json");
    assert_int_equal(json_read_file(&m, path, &e), 0);
    assert_int_equal(json_int(json_get(json_get(m, "rows"), "train")), 27);
    const char *const hashed[] = { "train.jsonl", "validation.jsonl", "test.jsonl", "removed.jsonl", "decisions.jsonl" };
    for (size_t i = 0; i < ARRAY_LEN(hashed); i++) {
        char  hash[SHA256_HEX], *name = path_join(dir, hashed[i]);
        assert_int_equal(sha256_file(name, hash, &e), 0);
        assert_string_equal(json_str(json_get(json_get(m, "files"), hashed[i])).p, hash);
        free(name);
    }
    json_free(m);
    /* again: nothing */
    f = apply(dir);
    assert_int_equal(f.left, 0);
    char *again = check_read(dir, "train.jsonl");
    assert_string_equal(again, train);
    free(again);
    free(train);
    free(removed);
    /* what is in the files is not taken back, but can be turned round: the row goes where it was */
    Review *r = opened(dir);
    refuses(r, "Ann", REVIEW_UNDO, 0, NULL, "in the files already");
    does(r, "Ann", REVIEW_ACCEPT, 27, NULL);
    does(r, "Ann", REVIEW_REJECT, 35, NULL);
    review_close(r);
    f = apply(dir);
    places(dir, at);
    assert_string_equal(at + 1, "tRtttttttttttttttttttttt" "vvvv" "xxxx" "xtRtRtvR");
    assert_int_equal(f.back + f.left, 2);
    free(path);
    check_dir_done(dir);
}

static void test_apply_keeps_groups_together(void **state)
{
    char         *dir = sample(true), at[SAMPLE_ROWS + 2];
    ReviewApplied f;
    (void)state;
    judge(dir);
    f = apply(dir);
    places(dir, at);
    assert_string_equal(at + 1, "tRtttttttttttttttttttttt" "vvRv" "xxxx" "xRttRvvR"); /* 34 stays out; 38 follows 39 into validation */
    assert_int_equal(f.held, 1);
    check_dir_done(dir);
}

/* Everything that apply writes, as one text. */
static char *outcome(const char *dir)
{
    static const char *const names[] = { "train.jsonl", "validation.jsonl", "test.jsonl", "removed.jsonl", "manifest.json" };
    StrBuf b = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char *text = check_read(dir, names[i]), *path = path_join(dir, names[i]);
        strbuf_addz(&b, text);
        free(text);
        free(path);
    }
    return strbuf_take(&b);
}

/* A conversation whose question and answer are these. */
static void edits_to(Review *r, int64_t row, const char *question, const char *answer)
{
    StrBuf b = { 0 };
    strbuf_addf(&b, "{\"messages\":[{\"role\":\"user\",\"content\":\"%s\"},{\"role\":\"assistant\",\"content\":\"%s\"}]}", question, answer);
    edits(r, "Ann", row, b.p, NULL);
    strbuf_release(&b);
}

/* What leaves training leaves the control sets, too, and an edit is there as well; rows that --select alone took out stay in them. */
static void test_apply_follows_controls(void **state)
{
    static const int ids[] = { 1, 2, 3, 4, 5, 34, 35, 36, 37 }; /* 33 and more: in no part */
    char         *dir = sample(false);
    StrBuf        lines = { 0 };
    ReviewApplied f;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        sample_row(&lines, ids[i]);
        strbuf_addc(&lines, '\n');
    }
    sample_put(dir, "control_random.jsonl", &lines);
    sample_put(dir, "control_longest.jsonl", &lines);
    Review *r = opened(dir);
    does(r, "Ann", REVIEW_REJECT, 2, NULL);
    edits_to(r, 3, "wie hoch steht das wasser?", "bis zum rand der tonne.");
    edits_to(r, 4, "Frage 32: Wo finde ich die \xC3\x9C""bersicht?", "Das steht im Handbuch, Seite zwei, ganz unten auf dem Blatt."); /* goes to test */
    does(r, "Ann", REVIEW_LABEL, 5, "billing");
    does(r, "Ann", REVIEW_REJECT, 35, NULL);
    edits_to(r, 36, "wie lang ist das seil?", "bis auf den boden.");
    does(r, "Ann", REVIEW_ACCEPT, 37, NULL);
    review_close(r);
    f = apply(dir);
    assert_int_equal(f.control_left, 2 * 4);
    static const char *const names[] = { "control_random.jsonl", "control_longest.jsonl" };
    for (size_t k = 0; k < ARRAY_LEN(names); k++) {
        char *got = check_read(dir, names[k]), *p = got;
        static const int stay[] = { 1, 3, 5, 34, 37 };
        for (size_t i = 0; i < ARRAY_LEN(stay); i++) {
            Json *j = NULL;
            Err   e = { 0 };
            char *lf = strchr(p, '\n');
            assert_non_null(lf);
            assert_int_equal(json_parse(&j, (Str){ p, (size_t)(lf - p) }, "line", &e), 0);
            assert_int_equal(json_int(json_get(j, "id")), stay[i]);
            if (stay[i] == 3)
                check_text(json_str(json_get(json_at(json_get(j, "messages"), 1), "content")).p, "bis zum rand der tonne.");
            if (stay[i] == 5)
                check_text(json_str(json_get(json_get(j, "meta"), "label")).p, "billing");
            json_free(j);
            p = lf + 1;
        }
        assert_string_equal(p, "");
        free(got);
    }
    strbuf_release(&lines);
    check_dir_done(dir);
}

/* The manifest of a sample made with --eval FILE. */
static void set_eval(const char *dir, const char *file, const char *options)
{
    Err    e = { 0 };
    Json  *j = NULL, *one = json_obj_new(), *list = json_arr_new();
    StrBuf text = { 0 };
    char  *path = path_join(dir, "manifest.json"), hash[SHA256_HEX];
    assert_int_equal(json_read_file(&j, path, &e), 0);
    strbuf_addf(&text, "eval: %s\n%s", file, options);
    json_set(j, "options", json_str_new(strbuf_str(&text)));
    assert_int_equal(sha256_file(file, hash, &e), 0);
    json_set(one, "file", json_str_new(str_of(file)));
    json_set(one, "sha256", json_str_new(str_of(hash)));
    json_push(list, one);
    json_set(j, "eval", list);
    strbuf_clear(&text);
    json_write(&text, j, true);
    assert_int_equal(file_write_atomic(path, text.p, text.n, &e), 0);
    strbuf_release(&text);
    free(path);
    json_free(j);
}

/* An edit must not carry an evaluation question into training, whichever part the row stands in. */
static void test_apply_holds_against_eval(void **state)
{
    static const char set[] = "{\"prompt\":\"Which lever opens the green valve above the second boiler?\",\"completion\":\"The red one.\"}\n"
                              "{\"prompt\":\"Tell me how often the brass filter of the old pump in the cellar must be rinsed and who may do it when nobody of the crew is "
                              "there to help with the heavy lid or the long hose that hangs on the wall\"}\n";
    static const char run[] = "We have one more thing to ask of you today: how often the brass filter of the old pump in the cellar must be rinsed, if at all?";
    char         *dir = sample(false), at[SAMPLE_ROWS + 2], *eval = path_join(dir, "eval.jsonl");
    Err           e = { 0 };
    ReviewApplied f;
    (void)state;
    assert_int_equal(file_write_atomic(eval, set, sizeof set - 1, &e), 0);
    set_eval(dir, eval, "");
    Review *r = opened(dir);
    edits_to(r, 3, "Which lever opens the green valve above the second boiler", "Ask the crew.");
    edits_to(r, 5, run, "Each week.");
    edits_to(r, 9, "which lever opens the green valve above the second boiler?", "The blue lever, I think, on the left.");
    does(r, "Ann", REVIEW_ACCEPT, 9, NULL); /* it is wanted all the same */
    edits_to(r, 10, "Which pump has a lid?", "The old one in the cellar.");
    edits_to(r, 26, "Which lever opens the green valve above the second boiler?", "None of them.");
    review_close(r);
    f = apply(dir);
    if (f.unheld.code)
        fail_msg("%s", f.unheld.text);
    places(dir, at);
    assert_string_equal(at + 1, "ttRtRttttttttttttttttttt" "vRvv" "xxxx" "RRRRRRRR");
    assert_int_equal(f.overlaps, 3);
    assert_int_equal(f.overlaps_kept, 1);
    char *log = check_read(dir, "decisions.jsonl"), *removed = check_read(dir, "removed.jsonl"), *before = outcome(dir);
    assert_non_null(strstr(log, "{\"row\":3,\"file\":\"data/tickets.csv\",\"line\":0,\"pass\":\"overlap\",\"action\":\"remove\",\"reason\":\"near duplicate of an evaluation row\""));
    assert_non_null(strstr(log, "{\"row\":5,\"file\":\"data/tickets.csv\",\"line\":0,\"pass\":\"overlap\",\"action\":\"remove\",\"reason\":\"shares a run of words with an evaluation row\""));
    assert_non_null(strstr(log, "\"eval_line\":2,\"words\":\"how often the brass filter of the old pump in the cellar must\""));
    assert_non_null(strstr(log, "\"reason\":\"after an edit it is a near duplicate of an evaluation row; it stays, since a reviewer accepted it\""));
    assert_non_null(strstr(removed, "{\"id\":5,\"pass\":\"overlap\",\"reason\":\"shares a run of words with an evaluation row\""));
    f = apply(dir);
    char *after = outcome(dir);
    assert_string_equal(after, before);
    free(log);
    free(removed);
    free(before);
    free(after);

    /* a set that is not what it was, or not there, is said, and nothing is guessed from it */
    assert_int_equal(file_write_atomic(eval, set, 40, &e), 0);
    r = opened(dir);
    edits_to(r, 11, "Which lever opens the green valve above the second boiler?", "Nobody knows it by heart.");
    review_close(r);
    f = apply(dir);
    check_says(&f.unheld, ERR_INPUT, "eval.jsonl of --eval has changed since the preparation");
    assert_int_equal(f.overlaps, 0);
    log = check_read(dir, "decisions.jsonl");
    assert_non_null(strstr(log, "\"reason\":\"edited rows were not held against the evaluation sets: "));
    free(log);
    assert_int_equal(unlink(eval), 0);
    r = opened(dir);
    edits_to(r, 12, "Which lever opens the green valve above the second boiler?", "It hangs on the wall behind you.");
    review_close(r);
    f = apply(dir);
    check_says(&f.unheld, ERR_INPUT, "eval.jsonl of --eval is not there any more");
    free(eval);
    check_dir_done(dir);
}

/* An edit must not carry what a test row says into training: the edited row goes to its twin, or leaves. */
static void test_apply_finds_twins(void **state)
{
    static const char *const lines[] = { /* of decisions.jsonl */
        "{\"row\":3,\"file\":\"data/tickets.csv\",\"line\":0,\"pass\":\"duplicates\",\"action\":\"remove\",\"reason\":\"an edit made it an exact copy of row 29 (test)\",\"score\":1,\"kept\":29}\n",
        "\"row\":5,\"file\":\"data/tickets.csv\",\"line\":0,\"pass\":\"duplicates\",\"action\":\"note\",\"reason\":\"an edit made it a near duplicate of row 31 (test), so it moved from train to test\",\"score\":0.9",
        "\"reason\":\"an edit made it ask the same as row 32 (test), so it moved from train to test\"}\n",
        "{\"row\":9,\"file\":\"data/tickets.csv\",\"line\":0,\"pass\":\"duplicates\",\"action\":\"note\",\"reason\":\"an edit made it an exact copy of row 25 (validation), so it moved from train to "
        "validation\",\"score\":1,\"kept\":25}\n",
        "{\"row\":10,\"file\":\"data/tickets.csv\",\"line\":0,\"pass\":\"duplicates\",\"action\":\"remove\",\"reason\":\"an edit made it an exact copy of row 11 (train)\",\"score\":1,\"kept\":11}\n",
    };
    static const char *const longer = "Wer den Hauptschalter findet, dreht ihn nach links, wartet zwei Minuten, prueft die gruene Lampe am Gehaeuse und ruft erst dann den Dienst unter der "
                                      "Nummer auf der Tafel neben der Tuer an, die im Erdgeschoss links vom Eingang haengt, falls sie noch lesbar ist";
    char         *dir = sample(false), at[SAMPLE_ROWS + 2];
    StrBuf        more = { 0 };
    ReviewApplied f;
    (void)state;
    Review *r = opened(dir);
    edits_to(r, 3, "frage 29:  WO finde ich die \xC3\x9C""bersicht?", "Antwort 29, see the page!"); /* the same words */
    edits_to(r, 31, "Was nun?", longer);
    strbuf_addf(&more, "%s heute", longer);
    edits_to(r, 5, "Was nun?", more.p);
    edits_to(r, 6, "Frage 32: Wo finde ich die \xC3\x9C""bersicht?", "Das steht im Handbuch, Seite zwei, ganz unten auf dem Blatt.");
    edits_to(r, 9, "Frage 25: Wo finde ich die \xC3\x9C""bersicht?", "Antwort 25, see the page.");
    does(r, "Ann", REVIEW_ACCEPT, 9, NULL); /* it is wanted all the same */
    edits_to(r, 10, "Frage 11: Wo finde ich die \xC3\x9C""bersicht?", "Antwort 11, see the page.");
    edits_to(r, 12, "Frage 12: Wo finde ich die \xC3\x9C""bersicht?", "Dort."); /* of its own, as before */
    review_close(r);
    f = apply(dir);
    places(dir, at);
    assert_string_equal(at + 1, "ttRtxxttvRtttttttttttttt" "vvvv" "xxxx" "RRRRRRRR");
    assert_int_equal(f.moved, 3);
    assert_int_equal(f.twins, 2);
    char *log = check_read(dir, "decisions.jsonl"), *removed = check_read(dir, "removed.jsonl"), *before = outcome(dir);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        if (!strstr(log, lines[i]))
            fail_msg("not in the log: %s", lines[i]);
    assert_non_null(strstr(removed, "{\"id\":3,\"pass\":\"duplicates\",\"reason\":\"an edit made it an exact copy of row 29 (test)\",\"file\":\"data/tickets.csv\",\"part\":\"train\",\"row\":{\"id\":3,"));
    f = apply(dir);
    char *after = outcome(dir);
    assert_string_equal(after, before);
    free(log);
    free(removed);
    free(before);
    free(after);
    strbuf_release(&more);
    check_dir_done(dir);

    dir = sample(true); /* row 3 is bound to row 26 by --group, so it cannot follow row 32 into test */
    r = opened(dir);
    edits_to(r, 3, "Frage 32: Wo finde ich die \xC3\x9C""bersicht?", "Das steht im Handbuch, Seite zwei, ganz unten auf dem Blatt.");
    review_close(r);
    f = apply(dir);
    places(dir, at);
    assert_string_equal(at + 1, "ttRttttttttttttttttttttt" "vvvv" "xxxx" "RRRRRRRR");
    removed = check_read(dir, "removed.jsonl");
    assert_non_null(strstr(removed, "\"reason\":\"an edit made it ask the same as row 32 (test), and other rows that belong to it stand in another part than that\""));
    free(removed);
    check_dir_done(dir);
}

static void copy_folder(const char *from, const char *to)
{
    FileList l;
    Err      e;
    assert_int_equal(dir_make(to, &e), 0);
    assert_int_equal(file_list(&l, from, &e), 0);
    for (size_t i = 0; i < l.n; i++) {
        char  *a = path_join(from, l.name[i]), *b = path_join(to, l.name[i]), *text;
        size_t n;
        assert_int_equal(file_read_text(a, &text, &n, &e), 0);
        assert_int_equal(file_write_atomic(b, text, n, &e), 0);
        free(text);
        free(a);
        free(b);
    }
    file_list_release(&l);
}

static void test_apply_killed_while_writing(void **state)
{
    char *root = check_dir(), *judged = path_join(root, "judged"), *done = path_join(root, "done"), *before;
    (void)state;
    sample_folder(judged, true);
    judge(judged);
    before = outcome(judged);
    copy_folder(judged, done);
    apply(done);
    char *want = outcome(done);
    int   killed = 0;
    for (rlim_t size = 1; size < 9000; size += 331) { /* the system ends the process when a file grows beyond so many bytes */
        char *dir = path_join(root, "try");
        copy_folder(judged, dir);
        pid_t pid = fork();
        if (pid == 0) {
            setrlimit(RLIMIT_FSIZE, &(struct rlimit){ size, size });
            ReviewApplied f;
            Err           e;
            _exit(review_apply(dir, &(ReviewApplyOptions){ 0 }, &f, &e) ? 1 : 0);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        char *now = outcome(dir);
        if (WIFSIGNALED(status)) {
            killed++;
            assert_string_equal(now, before);
        } else {
            assert_int_equal(WEXITSTATUS(status), 0);
        }
        free(now);
        apply(dir);
        now = outcome(dir);
        assert_string_equal(now, want);
        free(now);
        Err e;
        dir_remove(dir, &e);
        free(dir);
    }
    assert_true(killed > 3);
    free(before);
    free(want);
    free(judged);
    free(done);
    check_dir_done(root);
}

static void test_apply_killed_while_swapping(void **state)
{
    static const char *const order[] = { "removed.jsonl", "train.jsonl", "validation.jsonl", "test.jsonl", "manifest.json" };
    char *root = check_dir(), *judged = path_join(root, "judged"), *done = path_join(root, "done");
    Err   e;
    (void)state;
    sample_folder(judged, true);
    judge(judged);
    copy_folder(judged, done);
    apply(done);
    char *want = outcome(done);
    for (size_t swapped = 0; swapped <= ARRAY_LEN(order); swapped++) {
        char *dir = path_join(root, "try"), *decided = path_join(dir, "review-apply");
        copy_folder(judged, dir);
        dir_make(decided, &e);
        for (size_t i = 0; i < ARRAY_LEN(order); i++) {
            char *from = path_join(done, order[i]), *to = path_join(i < swapped ? dir : decided, order[i]), *text;
            size_t n;
            assert_int_equal(file_read_text(from, &text, &n, &e), 0);
            assert_int_equal(file_write_atomic(to, text, n, &e), 0);
            free(text);
            free(from);
            free(to);
        }
        if (swapped % 2)
            apply(dir); /* by the next apply, */
        else
            review_close(opened(dir)); /* or by whoever opens it */
        char *now = outcome(dir);
        assert_string_equal(now, want);
        assert_false(file_exists(decided));
        free(now);
        dir_remove(dir, &e);
        free(dir);
        free(decided);
    }
    free(want);
    free(judged);
    free(done);
    check_dir_done(root);
}

static void test_apply_on_a_full_disk(void **state)
{
    char *dir = sample(true), at[SAMPLE_ROWS + 2];
    (void)state;
    judge(dir);
    char *before = outcome(dir);
    for (int64_t room = 0;; room += 997) {
        ReviewApplied f;
        Err           e;
        file_test_fail_after(room);
        int rc = review_apply(dir, &(ReviewApplyOptions){ 0 }, &f, &e);
        file_test_fail_after(-1);
        if (!rc)
            break;
        assert_int_equal(rc, ERR_IO);
        char *now = outcome(dir);
        assert_string_equal(now, before);
        free(now);
    }
    places(dir, at);
    assert_string_equal(at + 1, "tRtttttttttttttttttttttt" "vvRv" "xxxx" "xRttRvvR");
    free(before);
    check_dir_done(dir);
}

/* --- edits taken back ------------------------------------------------------------------------------------------------------------------------------- */

/* Row 9 as the repair pass would have logged it: the answer had an entity and a space too many, and the question nothing. */
static void add_repair(const char *dir)
{
    StrBuf log = { 0 };
    Json  *row = NULL, *more = json_obj_new(), *before = json_arr_new();
    char  *old = check_read(dir, "decisions.jsonl");
    Err    e;
    sample_row(&log, 9);
    assert_int_equal(json_parse(&row, strbuf_str(&log), "row", &e), 0);
    strbuf_clear(&log);
    strbuf_addz(&log, old);
    before_add(before, 1, STR_LIT("Antwort&nbsp;9,  see the page."));
    before_seal(before, &(Record){ .row = row });
    json_set(more, "before", before);
    sample_decision(&log, 9, "repair", ACTION_EDIT, "entities, spaces", NAN, more);
    sample_put(dir, "decisions.jsonl", &log);
    json_free(row);
    free(old);
    strbuf_release(&log);
}

static char *answer_of(Review *r, int64_t id)
{
    Json  *j = row_of(r, id);
    Str    s = json_str(json_get(json_at(json_get(json_get(j, "row"), "messages"), 1), "content"));
    char  *text = mem_strndup(s.p, s.n);
    json_free(j);
    return text;
}

static void check_answer(Review *r, int64_t id, const char *want)
{
    char *got = answer_of(r, id);
    assert_string_equal(got, want);
    free(got);
}

static const Json *edit_in(const Json *row, const char *list, const char *pass_or_action)
{
    const Json *found = NULL;
    for (size_t i = 0; i < json_len(json_get(row, list)); i++) {
        const Json *d = json_at(json_get(row, list), i);
        if (!json_bool(json_get(d, "undone")) && (str_eqz(json_str(json_get(d, "pass")), pass_or_action) || str_eqz(json_str(json_get(d, "action")), pass_or_action)))
            found = d;
    }
    return found;
}

#define ROW_9(answer) "{\"messages\":[{\"role\":\"user\",\"content\":\"Frage 9: Wo finde ich die \xC3\x9C" "bersicht?\"},{\"role\":\"assistant\",\"content\":\"" answer "\"}]}"

static void test_restore(void **state)
{
    char *dir = sample(false);
    (void)state;
    add_repair(dir);
    Review *r = opened(dir);
    Json   *row = row_of(r, 9);
    assert_true(json_bool(json_get(edit_in(row, "decisions", "repair"), "back")));
    json_free(row);
    /* a repair: taken back, taken back that, and both on disk */
    restores(r, "Ann", 9, 0, NULL);
    check_answer(r, 9, "Antwort&nbsp;9,  see the page.");
    restores(r, "Ann", 9, 0, "edited since");
    restores(r, "Ann", 9, 1, NULL);
    check_answer(r, 9, "Antwort 9, see the page.");
    does(r, "Ann", REVIEW_UNDO, 0, NULL);
    check_answer(r, 9, "Antwort&nbsp;9,  see the page.");
    /* of another row, of another action, of an older log */
    restores(r, "Ann", 8, 1, "no edit of row 8");
    restores(r, "Ann", 9, 99, "no edit of row 9");
    restores(r, "Ann", 10, 0, "an older hone wrote it");
    restores(r, "Ann", 11, 0, "no repair changed row 11");
    review_close(r);
    ReviewApplied f = apply(dir);
    assert_int_equal(f.edited, 1);
    assert_int_equal(f.restored, 1);
    assert_int_equal(f.personal, 0);
    char *train = check_read(dir, "train.jsonl");
    assert_non_null(strstr(train, "\"content\":\"Antwort&nbsp;9,  see the page.\""));
    free(train);
    /* in the files it can be taken back all the same */
    r = opened(dir);
    row = row_of(r, 9);
    assert_true(json_bool(json_get(edit_in(row, "history", "restore"), "back")));
    assert_null(json_get(edit_in(row, "decisions", "repair"), "back"));
    json_free(row);
    restores(r, "Ben", 9, 1, NULL);
    check_answer(r, 9, "Antwort 9, see the page.");
    /* a person's edit, in the files; a label meanwhile stays */
    edits(r, "Ben", 9, ROW_9("Antwort neun."), NULL);
    does(r, "Ben", REVIEW_LABEL, 9, "nine");
    review_close(r);
    assert_int_equal(apply(dir).edited, 1);
    r = opened(dir);
    check_answer(r, 9, "Antwort neun.");
    restores(r, "Ann", 9, 0, "edited since");
    edits(r, "Ann", 9, ROW_9("Antwort IX."), NULL);
    restores(r, "Ann", 9, 5, "edited since");
    does(r, "Ann", REVIEW_UNDO, 0, NULL);
    restores(r, "Ann", 9, 5, NULL);
    check_answer(r, 9, "Antwort 9, see the page.");
    review_close(r);
    apply(dir);
    train = check_read(dir, "train.jsonl");
    assert_non_null(strstr(train, "\"content\":\"Antwort 9, see the page.\"}],\"meta\":{\"language\":\"de\",\"customer\":\"c9\",\"label\":\"nine\"}}"));
    free(train);
    /* a row that could not be read has nothing to go back to; what it said is kept */
    r = opened(dir);
    edits(r, "Ann", SAMPLE_RAW, "{\"prompt\":\"a\",\"completion\":\"b\"}", NULL);
    restores(r, "Ann", SAMPLE_RAW, (int64_t)r->action.n, "could not be read before");
    review_close(r);
    char *log = check_read(dir, "review.jsonl");
    assert_non_null(strstr(log, "\"raw_old\":\"no,row,at all\""));
    free(log);
    check_dir_done(dir);
}

/* --- edited rows are checked ------------------------------------------------------------------------------------------------------------------------ */

static const uint32_t lengths[SAMPLE_ROWS] = { 5, 900, 30, 31, 12 };

static bool sample_measure(const void *user, size_t i, Measure *m)
{
    (void)user;
    *m = (Measure){ i < 5 ? lengths[i] : 64, 10, i == 3 ? 7 : -1, i == 3 ? 3 : -1, i % 2 ? 0.5f : 0.25f, "de" };
    return i != 6;
}

static void add_measures(const char *dir)
{
    char *path = path_join(dir, "measures.bin");
    Err   e;
    assert_int_equal(measures_write(path, sample_measure, NULL, SAMPLE_ROWS, &e), 0);
    free(path);
}

static void test_apply_checks_edits(void **state)
{
    char         *dir = sample(false), *key = path_join(dir, "elsewhere.key");
    ReviewApplied f;
    Err           e = { 0 };
    (void)state;
    add_measures(dir);
    Review *r = opened(dir);
    edits(r, "Ann", 9, ROW_9("Schreiben Sie an karla.nord@beispielfirma.de, bitte."), NULL);
    edits(r, "Ann", 7, "{\"prompt\":\"How do I stop it?\",\"completion\":\"Under Settings.\"}", NULL);
    review_close(r);
    char *before = outcome(dir);
    assert_int_equal(review_apply(dir, &(ReviewApplyOptions){ 0 }, &f, &e), ERR_ARG);
    check_says(&e, ERR_ARG, "pii.key is not there; give --pii-key FILE");
    char *now = outcome(dir);
    assert_string_equal(now, before);
    free(now);
    free(before);
    assert_int_equal(file_write_atomic(key, "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n", 65, &e), 0);
    if (review_apply(dir, &(ReviewApplyOptions){ .pii_key = key }, &f, &e))
        fail_msg("%s", e.text);
    assert_int_equal(f.edited, 2);
    assert_int_equal(f.personal, 1);
    char *log = check_read(dir, "decisions.jsonl"), *subjects = check_read(dir, "subjects.jsonl"), *manifest = check_read(dir, "manifest.json");
    assert_non_null(strstr(log, "{\"row\":9,\"file\":\"data/tickets.csv\",\"line\":0,\"pass\":\"pii\",\"action\":\"note\",\"reason\":\"an edit brought in email\",\"kinds\":{\"email\":1}}\n"));
    assert_null(strstr(log, "karla"));
    assert_non_null(strstr(subjects, "\"kind\":\"email\",\"row\":9}\n"));
    assert_null(strstr(subjects, "karla"));
    /* the numbers and the tables follow the edit: row 7 had none and has some now */
    assert_non_null(strstr(manifest, "\"statistics\""));
    r = opened(dir);
    assert_int_equal(r->measures.n, SAMPLE_ROWS);
    assert_int_equal(r->measures.row[6].question, strlen("How do I stop it?"));
    assert_int_equal(r->measures.row[6].answer, strlen("Under Settings."));
    assert_true(r->measures.row[6].quality > 0.5f);
    assert_int_equal(r->measures.row[1].question, 900);
    review_close(r);
    free(log);
    free(subjects);
    free(manifest);
    free(key);
    check_dir_done(dir);
}

/* --- the order of lists ------------------------------------------------------------------------------------------------------------------------------ */

static void check_order(Review *r, ReviewSort sort, bool down, const char *begins)
{
    ReviewFilter f = REVIEW_ALL;
    f.sort = sort;
    f.down = down;
    char *got = ids(r, f);
    if (strncmp(got, begins, strlen(begins)))
        fail_msg("order %s: %s", review_sort_name(sort), got);
    free(got);
}

static void test_orders(void **state)
{
    char      *dir = sample(false);
    StrBuf     scores = { 0 };
    ReviewSort s;
    (void)state;
    strbuf_addz(&scores, "{\"id\":1,\"loss\":2.5,\"ifd_loss\":0.9,\"note\":\"\"}\n{\"id\":4,\"loss\":0.5,\"ifd_loss\":1.25}\n{\"id\":6,\"note\":\"too short\"}\n{\"id\":12,\"loss\":1.5,\"ifd_loss\":0.25}\n");
    sample_put(dir, "scores.jsonl", &scores);
    add_measures(dir);
    Review *r = opened(dir);
    check_order(r, SORT_ID, false, "1 2 3 4 ");
    check_order(r, SORT_LOSS, false, "4 12 1 2 3 5 6 7 "); /* rows without a number come last, by id */
    check_order(r, SORT_LOSS, true, "1 12 4 2 3 5 ");
    check_order(r, SORT_IFD, true, "4 1 12 2 3 5 ");
    check_order(r, SORT_LENGTH, false, "7 1 5 3 4 6 8 9 ");
    check_order(r, SORT_LENGTH, true, "2 6 8 9 ");
    check_order(r, SORT_TOKENS, true, "4 1 2 3 5 ");
    check_order(r, SORT_QUALITY, true, "2 4 6 8 ");
    check_order(r, SORT_SIMILARITY, true, "36 33 39 1 2 ");
    check_order(r, SORT_REASON, false, "36 33 39 40 2 4 6 8 12 "); /* duplicates: exact, near; import; quality: note, remove; repair */
    ReviewFilter f = REVIEW_ALL;
    f.sort = SORT_SCORE;
    f.pass = STR_LIT("quality");
    f.action = STR_LIT("note");
    f.down = true;
    f.parts = 1u << RP_TRAIN;
    check_ids(r, f, "24 22 20 18 16 14 12 10 8 6 4 2");
    assert_true(review_sort_find(STR_LIT("ifd"), &s) && s == SORT_IFD);
    assert_false(review_sort_find(STR_LIT("colour"), &s));
    Json *facts = facts_of(r);
    assert_int_equal(json_len(json_get(facts, "sorts")), 8); /* no tokens: the folder was made without --model */
    json_free(facts);
    review_close(r);
    check_dir_done(dir);
    strbuf_release(&scores);
}

/* --- erasure ------------------------------------------------------------------------------------------------------------------------------------------ */

static bool folder_holds(const char *dir, const char *text)
{
    FileList l;
    Err      e;
    bool     found = false;
    assert_int_equal(file_list(&l, dir, &e), 0);
    for (size_t i = 0; i < l.n; i++) {
        char   *path = path_join(dir, l.name[i]);
        FileMap m = { 0 };
        if (!file_is_dir(path) && !file_map(&m, path, &e) && m.n && memmem(m.p, m.n, text, strlen(text)))
            found = true;
        file_unmap(&m);
        free(path);
    }
    file_list_release(&l);
    return found;
}

static void test_erase(void **state)
{
    char  *dir = sample(false);
    StrBuf b = { 0 };
    Err    e = { 0 };
    (void)state;
    add_repair(dir);
    add_measures(dir);
    strbuf_addz(&b, "{\"key\":\"aa\",\"kind\":\"email\",\"row\":9}\n{\"key\":\"aa\",\"kind\":\"email\",\"row\":90}\n");
    sample_put(dir, "subjects.jsonl", &b);
    strbuf_clear(&b);
    strbuf_addz(&b, "{\"id\":9,\"loss\":1}\n{\"id\":10,\"loss\":2}\n");
    sample_put(dir, "scores.jsonl", &b);
    strbuf_clear(&b);
    strbuf_addz(&b, "old");
    sample_put(dir, "report.html", &b);
    Review *r = opened(dir);
    edits(r, "Ann", 9, ROW_9("Antwort neun."), NULL);
    does(r, "Ann", REVIEW_COMMENT, 9, "ask Karla Nord");
    does(r, "Ann", REVIEW_LABEL, 9, "nine");
    does(r, "Ben", REVIEW_REJECT, 10, NULL);
    review_close(r);
    assert_int_equal(review_erase(dir, (int64_t[]){ 9 }, 1, false, &e), ERR_ARG);
    check_says(&e, ERR_ARG, "give --apply first");
    apply(dir);
    /* only what it said earlier */
    assert_true(folder_holds(dir, "Antwort&nbsp;9") && folder_holds(dir, "Karla") && folder_holds(dir, "Antwort 9, see the page."));
    assert_int_equal(review_erase(dir, (int64_t[]){ 9, 99 }, 2, true, &e), ERR_ARG);
    check_says(&e, ERR_ARG, "has no row 99; nothing was erased");
    assert_int_equal(review_erase(dir, (int64_t[]){ 9 }, 1, true, &e), 0);
    assert_false(folder_holds(dir, "Antwort&nbsp;9") || folder_holds(dir, "Karla") || folder_holds(dir, "Antwort 9, see the page."));
    r = opened(dir);
    check_answer(r, 9, "Antwort neun.");
    assert_int_equal(r->action.n, 4);
    restores(r, "Ann", 9, 1, "no edit of row 9");
    restores(r, "Ann", 9, 0, "not in the log any more");
    edits(r, "Ann", 9, ROW_9("Antwort IX."), NULL); /* the log goes on with the next number */
    does(r, "Ann", REVIEW_ACCEPT, 10, NULL);
    review_close(r);
    apply(dir);
    /* all of it */
    assert_int_equal(review_erase(dir, (int64_t[]){ 9, 33 }, 2, false, &e), 0);
    assert_false(folder_holds(dir, "Antwort IX") || folder_holds(dir, "Antwort neun") || folder_holds(dir, "Frage 9:") || folder_holds(dir, "Frage 33:") || folder_holds(dir, "c33") ||
                 folder_holds(dir, "nine"));
    assert_true(folder_holds(dir, "Frage 10:") && folder_holds(dir, "\"row\":90}") && folder_holds(dir, "{\"id\":10,\"loss\":2}"));
    assert_false(folder_holds(dir, "\"email\",\"row\":9}") || folder_holds(dir, "{\"id\":9,"));
    r = opened(dir);
    assert_int_equal(r->row.n, SAMPLE_ROWS - 2);
    assert_int_equal(r->action.n, 6);
    assert_int_equal(r->measures.row[8].question, 0);
    assert_int_equal(json_int(json_get(json_get(r->manifest, "rows"), "erased")), 2);
    assert_int_equal(json_int(json_get(json_get(r->manifest, "rows"), "train")), 23);
    does(r, "Ann", REVIEW_REJECT, 10, NULL);
    review_close(r);
    assert_int_equal(apply(dir).left, 1);
    strbuf_release(&b);
    check_dir_done(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quick_reading),
        cmocka_unit_test(test_reasons_are_grouped),
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_locked_by_the_page), cmocka_unit_test(test_accept_what_training_refuses), cmocka_unit_test(test_person_in_the_texts), cmocka_unit_test(test_bad_folders),
        cmocka_unit_test(test_strange_rows),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_looks),
        cmocka_unit_test(test_diff),
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_torn_and_full),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_kappa),
        cmocka_unit_test(test_agreement_of_reviewers),
        cmocka_unit_test(test_apply),
        cmocka_unit_test(test_apply_keeps_groups_together),
        cmocka_unit_test(test_apply_finds_twins),
        cmocka_unit_test(test_apply_holds_against_eval),
        cmocka_unit_test(test_apply_follows_controls),
        cmocka_unit_test(test_apply_killed_while_writing),
        cmocka_unit_test(test_apply_killed_while_swapping),
        cmocka_unit_test(test_apply_on_a_full_disk),
        cmocka_unit_test(test_restore),
        cmocka_unit_test(test_apply_checks_edits),
        cmocka_unit_test(test_orders),
        cmocka_unit_test(test_erase),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
