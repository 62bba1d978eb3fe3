/* test_review.c - the model of a review: the index (quick reading of lines against parsing them), filters against a plain reading of the same files, word
 * diffs (they must give both texts back), verdicts and undo across a restart, durability against a full disk and torn lines, agreement against the
 * official package and against the delta method. What it does to the folder: test_review_apply.c. */
#include "review_acts.h"

#include "base/file_test.h"

static void check_ids(Review *r, ReviewFilter f, const char *want)
{
    char *got = ids(r, f);
    assert_string_equal(got, want);
    free(got);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quick_reading),
        cmocka_unit_test(test_reasons_are_grouped),
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_locked_by_the_page),
        cmocka_unit_test(test_bad_folders),
        cmocka_unit_test(test_strange_rows),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_looks),
        cmocka_unit_test(test_diff),
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_torn_and_full),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_kappa),
        cmocka_unit_test(test_agreement_of_reviewers),
        cmocka_unit_test(test_orders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
