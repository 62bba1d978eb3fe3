/* test_intake.c - what becomes of rows that are no rows, of empty columns, and of files without the columns that are asked for: whole preparations in this
 * process, judged by the files that they leave. */
#include "base/check.h"

#include <stdio.h>

#include "base/hash.h"
#include "base/mem.h"
#include "prep/prep.h"
#include "review_acts.h"

typedef struct Run { char *dir, *out; PrepCfg cfg; PrepFacts facts; Err e; } Run;

static void run_begin(Run *r)
{
    *r = (Run){ .dir = check_dir() };
    r->out = path_join(r->dir, "data");
    cfg_defaults(prep_options, &r->cfg);
    free(r->cfg.out);
    r->cfg.out = mem_strdup(r->out);
    r->cfg.pii = PREP_PII_OFF;
    r->cfg.quality = QUALITY_OFF;
    r->cfg.duplicates = DUPLICATES_OFF;
    r->cfg.validation = r->cfg.test = 0;
    r->cfg.threads = 2;
}

static void set(char **option, const char *value)
{
    free(*option);
    *option = mem_strdup(value);
}

static void run_end(Run *r)
{
    cfg_release(prep_options, &r->cfg);
    free(r->out);
    check_dir_done(r->dir);
}

static void put(const Run *r, const char *name, const char *text)
{
    char *path = path_join(r->dir, name);
    Err   e;
    assert_int_equal(file_write_atomic(path, text, strlen(text), &e), 0);
    free(path);
}

/* Prepares files of the folder, named one by one. */
static int run_on(Run *r, const char *const *names, size_t n, const PrepHooks *hooks)
{
    char *path[4];
    for (size_t i = 0; i < n; i++)
        path[i] = path_join(r->dir, names[i]);
    r->e = (Err){ 0 };
    const int rc = prep_run(&r->cfg, (const char *const *)path, n, hooks ? hooks : &(PrepHooks){ 0 }, &r->facts, &r->e);
    for (size_t i = 0; i < n; i++)
        free(path[i]);
    return rc;
}
#define RUN_ON(r, ...) run_on(r, (const char *const[]){ __VA_ARGS__ }, sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *), NULL)

static void good(const Run *r, int rc)
{
    if (rc)
        fail_msg("%s", r->e.text);
}

static void has(const Run *r, const char *name, const char *part, bool wanted)
{
    char *text = check_read(r->out, name);
    if (!strstr(text, part) == wanted)
        fail_msg("%s %s \"%s\":\n%s", name, wanted ? "has no" : "has", part, text);
    free(text);
}

static void refused(Run *r, int rc, const char *says)
{
    assert_int_not_equal(rc, 0);
    check_says(&r->e, ERR_ARG, says);
    if (file_exists(r->out))
        fail_msg("%s: the folder is left", says);
}

/* Bad quotes: what stands there is kept with its number and its beginning, costs one row, and the next one is read. */
static void test_broken_rows_are_kept(void **state)
{
    Run r;
    (void)state;
    run_begin(&r);
    put(&r, "t.csv", "id;customer;question;answer\n"
                     "1;K-1;\"How?\";\"Like this.\"\n"
                     "2;K-2;\"She said \"hello\" to me;\nand more\nand; more\";\"So what.\"\n"
                     "3;K-3;\"Two\n\nlines?\";\"Yes.\"\n"
                     "4;K-4;\"never closed\nmore of it\n"
                     "5;K-5;\"Where?\";\"There.\"\n"
                     "6;K-6;\"Why?\";\n");
    set(&r.cfg.prompt, "{question}");
    set(&r.cfg.completion, "{answer}");
    good(&r, RUN_ON(&r, "t.csv"));
    assert_int_equal(r.facts.read, 6);
    assert_int_equal(r.facts.part[1], 3);
    has(&r, "removed.jsonl", "\"raw\":\"2;K-2;\\\"She said \\\"hello\\\" to me;\\nand more\\nand; more\\\";\\\"So what.\\\"\"", true);
    has(&r, "removed.jsonl", "the lines up to 5 are taken as part of this row, and behind them the next whole row begins", true);
    has(&r, "removed.jsonl", "\"raw\":\"4;K-4;\\\"never closed\\nmore of it\"", true);
    has(&r, "removed.jsonl", "missing_content: the answer is empty", true);
    has(&r, "train.jsonl", "\"prompt\":\"Two\\n\\nlines?\"", true);
    run_end(&r);

    StrBuf text = { 0 };
    run_begin(&r);
    strbuf_addz(&text, "id,question,answer,more\n1,How?,So.,x\n2,\"a \"b\" c");
    for (int i = 0; i < 20000; i++)
        strbuf_addz(&text, "word\n");
    put(&r, "t.csv", strbuf_z(&text));
    good(&r, RUN_ON(&r, "t.csv"));
    assert_int_equal(r.facts.read, 2);
    has(&r, "removed.jsonl", "of its text the first 64 KiB are kept\"", true);
    has(&r, "removed.jsonl", "\"raw\":\"2,\\\"a \\\"b\\\" cword\\nword", true);
    char *removed = check_read(r.out, "removed.jsonl");
    assert_true(strlen(removed) > 65536 && strlen(removed) < 65536 * 5 / 4 + 1000);
    free(removed);
    strbuf_release(&text);
    run_end(&r);
}

/* Nothing is asked: the row leaves by name; a template that has more than the empty column keeps it, and that is told. */
static void test_empty_columns(void **state)
{
    static const char text[] = "subject,body,answer\nLamp,It flickers.,Turn it.\nCable,,\"Plug it in, please.\"\nPlug,\" \",We send one.\n";
    Run r;
    (void)state;
    run_begin(&r);
    put(&r, "t.csv", text);
    set(&r.cfg.prompt, "{body}");
    set(&r.cfg.completion, "{answer}");
    good(&r, RUN_ON(&r, "t.csv"));
    assert_int_equal(r.facts.part[1], 1);
    has(&r, "removed.jsonl", "missing_content: the question is empty", true);
    has(&r, "removed.jsonl", "\"raw\":\"Cable,,", true);
    run_end(&r);
    run_begin(&r);
    put(&r, "t.csv", text);
    set(&r.cfg.prompt, "{subject}: {body}");
    set(&r.cfg.completion, "{answer}");
    good(&r, RUN_ON(&r, "t.csv"));
    assert_int_equal(r.facts.part[1], 3);
    has(&r, "decisions.jsonl", "{\"row\":2,\"file\":", true);
    has(&r, "decisions.jsonl", "\"line\":3,\"pass\":\"import\",\"action\":\"note\",\"reason\":\"the column \\\"body\\\" of --prompt is empty\"", true);
    has(&r, "decisions.jsonl", "\"line\":4,\"pass\":\"import\",\"action\":\"note\",\"reason\":\"the column \\\"body\\\" of --prompt is empty\"", true);
    has(&r, "decisions.jsonl", "\"line\":2,\"pass\":\"import\"", false);
    has(&r, "report.html", "the column &quot;body&quot; of --prompt is empty", true);
    run_end(&r);
}

/* Files that lack the columns: refused when they were named and nothing was read yet, else told by name; a table without a template leaves nothing. */
static void test_files_without_columns(void **state)
{
    static const char good_rows[] = "q,a\nWhere?,There.\nWho?,Bob.\n", other[] = "foo,bar,baz\n1,2,3\n4,5,6\n";
    Run r;
    (void)state;
    run_begin(&r);
    put(&r, "a.csv", good_rows);
    put(&r, "b.csv", other);
    put(&r, "b.jsonl", "{\"foo\":1}\n{\"foo\":2}\n");
    set(&r.cfg.prompt, "{q}");
    set(&r.cfg.completion, "{a}");
    refused(&r, RUN_ON(&r, "a.csv", "b.csv"), "b.csv, line 2: --prompt asks for the column \"q\"; the row has foo, bar, baz");
    refused(&r, RUN_ON(&r, "b.jsonl", "a.csv"), "b.jsonl, line 1: --prompt asks for the column \"q\"; the row has foo");
    put(&r, "c.csv", "q,a\nWhen?,Now.\n");
    good(&r, RUN_ON(&r, "a.csv", "b.jsonl", "c.csv")); /* what was read before it stays, and what comes behind it is read */
    assert_int_equal(r.facts.part[1], 3);
    if (!strstr(r.facts.told, "b.jsonl: none of its 2 rows can be used, since they lack the columns that are asked for; line 1: --prompt asks for the column \"q\"; the row has foo"))
        fail_msg("told: %s", r.facts.told);
    has(&r, "report.html", "b.jsonl: none of its 2 rows can be used", true);
    assert_int_equal(dir_remove(r.out, &r.e), 0);
    refused(&r, RUN_ON(&r, "b.csv"), "b.csv, line 2: --prompt asks for the column \"q\"");
    char *in = path_join(r.dir, "in");
    assert_int_equal(dir_make(in, &r.e), 0);
    free(in);
    put(&r, "in/a.csv", good_rows);
    put(&r, "in/b.csv", other);
    good(&r, RUN_ON(&r, "in"));
    assert_int_equal(r.facts.part[1], 2);
    if (!strstr(r.facts.told, "in/b.csv: none of its 2 rows can be used, since they lack the columns that are asked for; line 2: --prompt asks for the column \"q\"; the row has foo, bar, baz"))
        fail_msg("told: %s", r.facts.told);
    has(&r, "report.html", "in/b.csv: none of its 2 rows can be used", true);
    run_end(&r);

    run_begin(&r); /* no template, no known shape */
    put(&r, "b.csv", other);
    put(&r, "b.jsonl", "{\"foo\":1}\n");
    refused(&r, RUN_ON(&r, "b.csv"), "b.csv, line 2: missing_messages_list: the row has none of the known shapes (its columns: foo, bar, baz); say which column is what");
    refused(&r, RUN_ON(&r, "b.jsonl"), "b.jsonl, line 1: missing_messages_list: the row has none of the known shapes");
    run_end(&r);
}

static void test_column_nearly_right(void **state)
{
    Run r;
    (void)state;
    run_begin(&r);
    put(&r, "t.csv", "question,answer,Kategorie,Kunden-Nr\nWhere?,There.,x,1\nWho?,Bob.,y,2\n");
    set(&r.cfg.label, "kategorie");
    refused(&r, RUN_ON(&r, "t.csv"), "--label kategorie: no row has this column (did you mean Kategorie?); beside what became texts the rows have Kategorie, Kunden-Nr");
    set(&r.cfg.label, "Kategorie");
    set(&r.cfg.group, "kunden_nr");
    refused(&r, RUN_ON(&r, "t.csv"), "--group kunden_nr: no row has this column (did you mean Kunden-Nr?)");
    run_end(&r);
}

/* Rows of a label by part, and groups, against a count of the files. */
static void test_report_has_labels_and_groups(void **state)
{
    static const char *const parts[] = { "train.jsonl", "validation.jsonl", "test.jsonl" };
    Run    r;
    StrBuf text = { 0 };
    Json  *manifest = NULL;
    (void)state;
    run_begin(&r);
    strbuf_addz(&text, "question,answer,kind,who\n");
    for (int i = 0; i < 200; i++)
        strbuf_addf(&text, "Where is number %d of the hall?,In room %d.,%s,%s%d\n", i, i * 7, i % 4 ? "many" : i % 8 ? "" : "few & odd", i % 50 ? "c" : "", i % 50 ? i % 40 : 0);
    put(&r, "t.csv", strbuf_z(&text));
    set(&r.cfg.label, "kind");
    set(&r.cfg.group, "who");
    r.cfg.validation = r.cfg.test = 0.2;
    good(&r, RUN_ON(&r, "t.csv"));
    char *path = path_join(r.out, "manifest.json");
    assert_int_equal(json_read_file(&manifest, path, &r.e), 0);
    free(path);
    const Json *rows = json_get(json_get(json_get(manifest, "divided"), "labels"), "rows"), *groups = json_get(json_get(manifest, "divided"), "groups");
    assert_int_equal(json_len(rows), 3);
    assert_string_equal(json_str(json_at(json_at(rows, 0), 0)).p, "many");
    assert_int_equal(json_kind(json_at(json_at(rows, 1), 0)) == JSON_NULL || json_kind(json_at(json_at(rows, 2), 0)) == JSON_NULL, 1);
    for (int p = 0; p < 3; p++) {
        char   *part = check_read(r.out, parts[p]);
        int64_t n = 0;
        for (const char *at = part; (at = strstr(at, "\"kind\":\"many\"")); at++)
            n++;
        assert_int_equal(json_int(json_at(json_at(rows, 0), (size_t)p + 1)), n);
        assert_true(n > 0);
        free(part);
    }
    int64_t members[41] = { 0 }, most = 0, n = 0;
    for (int i = 0; i < 200; i++)
        members[i % 50 ? i % 40 : 40]++;
    for (int i = 0; i < 41; i++) {
        n += members[i] > 0;
        most = MAX(most, members[i]);
    }
    assert_int_equal(json_int(json_get(groups, "groups")), n);
    assert_int_equal(json_int(json_get(groups, "largest")), most);
    assert_int_equal(json_int(json_get(groups, "in_two_parts")), 0);
    has(&r, "report.html", "few &amp; odd", true);
    has(&r, "report.html", "none is in two parts", true);
    json_free(manifest);
    strbuf_release(&text);
    run_end(&r);
}

/* Progress counts rows, not what was read ahead of them. */
typedef struct Seen { double share; int64_t rows; } Seen;

static void first_share(void *user, const char *stage, uint64_t done, uint64_t total, int64_t rows)
{
    Seen *s = user;
    if (strcmp(stage, "reading") || s->rows)
        return;
    *s = (Seen){ (double)done / (double)total, rows };
}

static void test_progress_counts_rows(void **state)
{
    Run    r;
    StrBuf text = { 0 };
    Seen   seen = { 0 };
    (void)state;
    run_begin(&r);
    strbuf_addz(&text, "question,answer\n");
    for (int i = 0; i < 10000; i++)
        strbuf_addf(&text, "Where is number %05d?,In room %05d.\n", i, i);
    put(&r, "t.csv", strbuf_z(&text));
    good(&r, run_on(&r, (const char *const[]){ "t.csv" }, 1, &(PrepHooks){ .user = &seen, .progress = first_share }));
    assert_true(seen.rows > 0 && seen.rows < 10000);
    if (seen.share < (double)seen.rows / 10000 - 0.05 || seen.share > (double)seen.rows / 10000 + 0.05)
        fail_msg("%g of the file after %lld of 10000 rows", seen.share, (long long)seen.rows);
    strbuf_release(&text);
    run_end(&r);
}

/* An evaluation set that changes while rows are read: the summary has the hash of what was compared with. */
static void change_set(void *user, const char *stage, uint64_t done, uint64_t total, int64_t rows)
{
    (void)done;
    (void)total;
    (void)rows;
    if (!strcmp(stage, "reading"))
        put(user, "eval.jsonl", "{\"prompt\":\"Which lever opens the valve?\"}\n");
}

static void test_eval_hash_is_of_what_was_read(void **state)
{
    Run   r;
    char  hash[SHA256_HEX];
    Json *manifest = NULL;
    (void)state;
    run_begin(&r);
    put(&r, "t.csv", "question,answer\nWhere?,There.\nWho?,Bob.\n");
    put(&r, "eval.jsonl", "{\"prompt\":\"How often is the filter of the old pump rinsed?\"}\n");
    r.cfg.eval = path_join(r.dir, "eval.jsonl");
    assert_int_equal(sha256_file(r.cfg.eval, hash, &r.e), 0);
    good(&r, run_on(&r, (const char *const[]){ "t.csv" }, 1, &(PrepHooks){ .user = &r, .progress = change_set }));
    char *path = path_join(r.out, "manifest.json");
    assert_int_equal(json_read_file(&manifest, path, &r.e), 0);
    const Json *eval = json_at(json_get(manifest, "eval"), 0);
    assert_string_equal(json_str(json_get(eval, "file")).p, r.cfg.eval);
    assert_string_equal(json_str(json_get(eval, "sha256")).p, hash);
    json_free(manifest);
    free(path);
    run_end(&r);
}

/* A name is found by its words, in any order; each finds at least what the whole does. */
static void test_person_by_words(void **state)
{
    static const struct { const char *value, *rows; } cases[] = {
        { "Hannah Moore", "1 2 " }, { "Moore, Hannah", "1 2 " }, { "moore", "1 2 3 " }, { "hannah", "1 2 " }, { "Peter Moore", "3 " }, { "Peter Hannah", "" },
        { "C-778899", "2 " },
    };
    Run r;
    (void)state;
    run_begin(&r);
    put(&r, "t.csv", "question,answer,customer\n\"My name is Hannah Moore, where is it?\",It is in the post.,C-1\n\"Dear team, kind regards, Hannah Moore\",Dear Ms Hannah Moore: it is here.,C-778899\n"
                     "\"My name is Peter Moore, where is it?\",It is at the door.,C-7788991\nWho has it?,Nobody has it.,C-2\n");
    put(&r, "key", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"); /* the same surrogates in every run */
    r.cfg.pii = PREP_PII_REPLACE;
    free(r.cfg.pii_key);
    r.cfg.pii_key = path_join(r.dir, "key");
    good(&r, RUN_ON(&r, "t.csv"));
    has(&r, "train.jsonl", "Moore", false);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check_person(r.out, cases[i].value, cases[i].rows);
    run_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broken_rows_are_kept), cmocka_unit_test(test_empty_columns),  cmocka_unit_test(test_files_without_columns), cmocka_unit_test(test_column_nearly_right),
        cmocka_unit_test(test_report_has_labels_and_groups), cmocka_unit_test(test_progress_counts_rows), cmocka_unit_test(test_person_by_words),
        cmocka_unit_test(test_eval_hash_is_of_what_was_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
