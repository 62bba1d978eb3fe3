/* test_import.c - runs tests/prep/import.test (the file tells how to add a case), and checks the parts of a record. */
#include "base/check.h"
#include "base/mem.h"
#include "prep/import.h"

#include <stdio.h>

typedef struct Case { char *prompt, *completion, *system, *roles; } Case;

static void set_option(Case *c, char *item)
{
    char *eq = strchr(item, '=');
    assert_non_null(eq);
    *eq = 0;
    char **to = !strcmp(item, "prompt") ? &c->prompt : !strcmp(item, "completion") ? &c->completion : !strcmp(item, "system") ? &c->system : !strcmp(item, "roles") ? &c->roles : NULL;
    assert_non_null(to);
    *to = eq + 1;
}

static void read_options(Case *c, char *line)
{
    for (char *next; line; line = next) {
        next = strstr(line, " ; ");
        if (next) {
            *next = 0;
            next += 3;
        }
        set_option(c, line);
    }
}

static void one_case(Case *c, const char *row_text, const char *want, const char *note, int at)
{
    Import *im = NULL;
    Err     e = { 0 };
    Json   *row = NULL;
    Record  rec = { 0 };
    StrBuf  said = { 0 }, got = { 0 };
    int     rc = import_new(&im, &(ImportOptions){ .prompt = c->prompt, .completion = c->completion, .system = c->system, .roles = c->roles }, &e);
    if (!rc && row_text[0] == '[') { /* only an object can be parsed from a line */
        row = json_arr_new();
        rc = import_row(im, row, &rec, &said, &e);
    } else if (!rc && !(rc = json_parse(&row, str_of(row_text), "row", &e))) {
        rc = import_row(im, row, &rec, &said, &e);
    }
    if (!strncmp(want, "error: ", 7)) {
        if (!rc || !strstr(e.text, want + 7))
            fail_msg("import.test, line %d: expected \"%s\", got %d \"%s\"", at, want + 7, rc, e.text);
        assert_null(rec.row);
    } else {
        if (rc)
            fail_msg("import.test, line %d: %s", at, e.text);
        json_write(&got, rec.row, false);
        if (strcmp(strbuf_z(&got), want) || strcmp(strbuf_z(&said), note ? note : ""))
            fail_msg("import.test, line %d:\n got  %s\n want %s\n note %s", at, strbuf_z(&got), want, strbuf_z(&said));
        assert_int_equal(record_kind_of(rec.row), rec.kind);
    }
    record_clear(&rec);
    strbuf_release(&said);
    strbuf_release(&got);
    import_free(im);
}

static void test_cases(void **state)
{
    (void)state;
    char  *text = NULL, *line[4];
    size_t n;
    Err    e = { 0 };
    int    n_lines = 0, at = 0, cases = 0;
    assert_int_equal(file_read_text(TEST_DIR "/prep/import.test", &text, &n, &e), 0);
    for (char *rest = text, *l; (l = strsep(&rest, "\n"));) {
        at++;
        if (*l && *l != '#') {
            assert_true(n_lines < 4);
            line[n_lines++] = l;
            continue;
        }
        if (!n_lines)
            continue;
        Case c = { 0 };
        int  i = 0;
        if (!strncmp(line[0], "options: ", 9))
            read_options(&c, line[i++] + 9);
        const char *note = !strncmp(line[n_lines - 1], "note: ", 6) ? line[n_lines - 1] + 6 : NULL;
        assert_int_equal(n_lines - i - (note != NULL), 2);
        one_case(&c, line[i], line[i + 1], note, at - n_lines);
        n_lines = 0;
        cases++;
    }
    assert_true(cases > 35);
    free(text);
}

static Record record_of(const char *text)
{
    Record r = { 0 };
    Err    e = { 0 };
    assert_int_equal(json_parse(&r.row, str_of(text), "row", &e), 0);
    r.kind = (RecordKind)record_kind_of(r.row);
    return r;
}

static void check_part(void (*part)(const Record *, StrBuf *), const char *row, const char *want)
{
    Record r = record_of(row);
    StrBuf out = { 0 };
    part(&r, &out);
    assert_string_equal(strbuf_z(&out), want);
    strbuf_release(&out);
    record_clear(&r);
}

/* What a row without an answer asks. */
static void test_question(void **state)
{
    (void)state;
    static const struct { const char *row, *asks; } cases[] = { /* asks NULL: nothing */
        { "{\"prompt\":\"Why?\"}", "Why?" },
        { "{\"question\":\"Why?\",\"id\":3}", "Why?" },
        { "{\"instruction\":\"Sort\",\"input\":\"b a\"}", "Sort\n\nb a" },
        { "{\"messages\":[{\"role\":\"system\",\"content\":\"Be brief\"},{\"role\":\"user\",\"content\":\"Why?\"},{\"role\":\"user\",\"content\":\"Tell!\"}]}", "Why?\nTell!" },
        { "{\"conversations\":[{\"from\":\"human\",\"value\":\"Why?\"}]}", "Why?" },
        { "{\"answer\":\"So\"}", NULL },
        { "{\"prompt\":3}", NULL },
        { "{\"messages\":[]}", NULL },
    };
    Import *im = NULL;
    assert_int_equal(import_new(&im, &(ImportOptions){ 0 }, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Json  *row = NULL;
        StrBuf out = { 0 };
        assert_int_equal(json_parse(&row, str_of(cases[i].row), "row", NULL), 0);
        assert_true(import_question(im, row, &out) == (cases[i].asks != NULL));
        assert_string_equal(strbuf_z(&out), cases[i].asks ? cases[i].asks : "");
        json_free(row);
        strbuf_release(&out);
    }
    import_free(im);
    assert_int_equal(import_new(&im, &(ImportOptions){ .prompt = "{a}: {b}", .completion = "{c}" }, NULL), 0);
    Json  *row = NULL;
    StrBuf out = { 0 };
    assert_int_equal(json_parse(&row, STR_LIT("{\"a\":\"x\",\"b\":2}"), "row", NULL), 0);
    assert_true(import_question(im, row, &out));
    assert_string_equal(strbuf_z(&out), "x: 2");
    json_free(row);
    strbuf_release(&out);
    import_free(im);
}

static void test_parts(void **state)
{
    (void)state;
    static const char chat[] = "{\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"a\"},"
                               "{\"role\":\"user\",\"content\":\"r\"},{\"role\":\"assistant\",\"content\":\"b\"}]}";
    static const char preference[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"}],\"chosen\":[{\"role\":\"assistant\",\"content\":\"g\"}],"
                                     "\"rejected\":[{\"role\":\"assistant\",\"content\":\"b\"}]}";
    check_part(record_question, chat, "s\nq\na\nr");
    check_part(record_answer, chat, "b");
    check_part(record_text, chat, "s\nq\na\nr\nb");
    check_part(record_question, preference, "q");
    check_part(record_answer, preference, "g");
    check_part(record_text, preference, "q\ng\nb");
    check_part(record_question, "{\"prompt\":\"p\",\"completion\":\"c\"}", "p");
    check_part(record_answer, "{\"prompt\":\"p\",\"completion\":\"c\"}", "c");
    check_part(record_question, "{\"text\":\"t\"}", "");
    check_part(record_answer, "{\"text\":\"t\"}", "t");
}

static bool shout(void *user, TextRole role, Str text, StrBuf *out)
{
    int *n = user;
    n[role]++;
    if (text.n == 1)
        return false;
    strbuf_addf(out, "<%.*s>", (int)text.n, text.p);
    return true;
}

/* Every text is met once, in its role; what is returned takes its place, also deep in arguments and meta. */
static void test_each_text(void **state)
{
    (void)state;
    int    n[TEXT_ROLES] = { 0 };
    StrBuf got = { 0 };
    Record r = record_of("{\"messages\":[{\"role\":\"user\",\"content\":\"qq\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"function\":{\"name\":\"f\","
                         "\"arguments\":{\"to\":\"ab\",\"deep\":[{\"x\":\"cd\"}]}}}]},{\"role\":\"tool\",\"content\":\"o\"}],\"meta\":{\"who\":\"me\",\"n\":3}}");
    assert_int_equal(record_each_text(&r, shout, n), 4);
    json_write(&got, r.row, false);
    assert_string_equal(strbuf_z(&got), "{\"messages\":[{\"role\":\"user\",\"content\":\"<qq>\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"function\":{\"name\":\"f\","
                                        "\"arguments\":{\"to\":\"<ab>\",\"deep\":[{\"x\":\"<cd>\"}]}}}]},{\"role\":\"tool\",\"content\":\"o\"}],\"meta\":{\"who\":\"<me>\",\"n\":3}}");
    assert_int_equal(n[TEXT_USER], 1);
    assert_int_equal(n[TEXT_ANSWER], 2);
    assert_int_equal(n[TEXT_TOOL], 1);
    assert_int_equal(n[TEXT_META], 1);
    strbuf_release(&got);
    record_clear(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_cases), cmocka_unit_test(test_question), cmocka_unit_test(test_parts), cmocka_unit_test(test_each_text) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
