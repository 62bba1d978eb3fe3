/* test_review_apply.c - what a review does to the folder: review_apply, what binds rows, nothing lost, killed at every step, repeated; edits taken back, rows of a
 * person found and erased. */
#include "review_acts.h"

#include "base/file_test.h"
#include "base/log.h"
#include "prep/before.h"

#include <signal.h>
#include <sys/resource.h>

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

/* A second apply has nothing to do: everything stays as it is. */
static ReviewApplied applies_again(const char *dir)
{
    char               *before = outcome(dir);
    const ReviewApplied f = apply(dir);
    char               *after = outcome(dir);
    assert_string_equal(after, before);
    free(before);
    free(after);
    return f;
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
        { "1234", "3 " },                 /* signs between the digits hide no value, and no border of it */
        { "12-34", "3 " },
        { "99887766", "3 " },             /* a digit behind a blank is no further one */
        { "99-88-77-66", "3 " },
        { "(99) 88/77.66", "3 " },
        { "1239", "" },                   /* of 12 395 */
        { "9887-766", "" },               /* of 99 88 77 66 */
        { "5678", "" },                   /* of x56 78 */
    };
    char   *dir = sample(false);
    StrBuf  b = { 0 };
    Review *r;
    (void)state;
    put_instead(dir, "manifest.json", "\"options\":\"\"", ",\"inputs\"", "\"options\":\"pii: off\\n\"");
    put_instead(dir, "train.jsonl", "{\"id\":2,", "{\"id\":4,", "{\"id\":2,\"prompt\":\"Customer K-12721, Hildegard\\nGro\xC3\x9Fmann: where?\",\"completion\":\"There.\"}\n"
                "{\"id\":3,\"prompt\":\"Dann? Ann! Ihre Kundennummer 12 34 bitte, nicht 12 395, x56 78.\",\"completion\":\"Not K-127213. Es sind 99 88 77 66 15 Mal.\"}\n");
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
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check_person(dir, cases[i].value, cases[i].rows);
    strbuf_release(&b);
    check_dir_done(dir);
}

/* --- apply ------------------------------------------------------------------------------------------------------------------------------------------ */

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
    assert_int_equal(file_is_dir(file) ? 0 : sha256_file(file, hash, &e), 0);
    json_set(one, "file", json_str_new(str_of(file)));
    json_set(one, "sha256", file_is_dir(file) ? json_null_new() : json_str_new(str_of(hash)));
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
    char *log = check_read(dir, "decisions.jsonl"), *removed = check_read(dir, "removed.jsonl");
    assert_non_null(strstr(log, "{\"row\":3,\"file\":\"data/tickets.csv\",\"line\":0,\"pass\":\"overlap\",\"action\":\"remove\",\"reason\":\"near duplicate of an evaluation row\""));
    assert_non_null(strstr(log, "{\"row\":5,\"file\":\"data/tickets.csv\",\"line\":0,\"pass\":\"overlap\",\"action\":\"remove\",\"reason\":\"shares a run of words with an evaluation row\""));
    assert_non_null(strstr(log, "\"eval_line\":2,\"words\":\"how often the brass filter of the old pump in the cellar must\""));
    assert_non_null(strstr(log, "\"reason\":\"after an edit it is a near duplicate of an evaluation row; it stays, since a reviewer accepted it\""));
    assert_non_null(strstr(removed, "{\"id\":5,\"pass\":\"overlap\",\"reason\":\"shares a run of words with an evaluation row\""));
    free(log);
    free(removed);
    f = applies_again(dir);

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

static void keep_said(void *user, LogLevel level, const char *room, const char *text)
{
    if (level == LOG_WARN && !strcmp(room, "review"))
        strbuf_addf(user, "%s\n", text);
}

/* A folder has no hash: its rows count as they are now, and that is said. */
static void test_apply_tells_of_an_eval_folder(void **state)
{
    static const char cases[] = "Id,Subject,Description\n1,Valve,Which lever opens the green valve above the second boiler?\n";
    static const char comments[] = "ParentId,CommentBody,CreatedDate\n1,The red one.,2026-01-02T09:00:00Z\n";
    char         *dir = sample(false), *eval = path_join(dir, "export"), *file = path_join(eval, "Case.csv"), *more = path_join(eval, "CaseComment.csv");
    StrBuf        said = { 0 };
    Err           e = { 0 };
    ReviewApplied f;
    (void)state;
    assert_int_equal(dir_make(eval, &e), 0);
    assert_int_equal(file_write_atomic(file, cases, sizeof cases - 1, &e), 0);
    assert_int_equal(file_write_atomic(more, comments, sizeof comments - 1, &e), 0);
    set_eval(dir, eval, "");
    Review *r = opened(dir);
    edits_to(r, 3, "Valve\\n\\nWhich lever opens the green valve above the second boiler?", "Ask the crew.");
    review_close(r);
    log_sink_add(keep_said, &said);
    f = apply(dir);
    log_sink_remove(keep_said, &said);
    if (f.unheld.code)
        fail_msg("%s", f.unheld.text);
    assert_int_equal(f.overlaps, 1);
    if (!strstr(strbuf_z(&said), "export of --eval is a folder, and folders are not checked: edited rows are held against what lies there now"))
        fail_msg("said: %s", strbuf_z(&said));
    strbuf_release(&said);
    free(more);
    free(file);
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
    char *log = check_read(dir, "decisions.jsonl"), *removed = check_read(dir, "removed.jsonl");
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        if (!strstr(log, lines[i]))
            fail_msg("not in the log: %s", lines[i]);
    assert_non_null(strstr(removed, "{\"id\":3,\"pass\":\"duplicates\",\"reason\":\"an edit made it an exact copy of row 29 (test)\",\"file\":\"data/tickets.csv\",\"part\":\"train\",\"row\":{\"id\":3,"));
    free(log);
    free(removed);
    f = applies_again(dir);
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
        cmocka_unit_test(test_accept_what_training_refuses),
        cmocka_unit_test(test_person_in_the_texts),
        cmocka_unit_test(test_apply),
        cmocka_unit_test(test_apply_keeps_groups_together),
        cmocka_unit_test(test_apply_finds_twins),
        cmocka_unit_test(test_apply_holds_against_eval),
        cmocka_unit_test(test_apply_tells_of_an_eval_folder),
        cmocka_unit_test(test_apply_follows_controls),
        cmocka_unit_test(test_apply_killed_while_writing),
        cmocka_unit_test(test_apply_killed_while_swapping),
        cmocka_unit_test(test_apply_on_a_full_disk),
        cmocka_unit_test(test_restore),
        cmocka_unit_test(test_apply_checks_edits),
        cmocka_unit_test(test_erase),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
