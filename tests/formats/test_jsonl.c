/* test_jsonl.c - rows, line numbers, and one clear sentence for each kind of bad line. */
#include "formats/jsonl.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static void expect_row(Jsonl *r, int64_t line, const char *key, int64_t value)
{
    Err e = {0};
    Json *row = NULL;
    int rc = jsonl_next(r, &row, &e);
    if (rc != 1)
        print_error("%s\n", e.text);
    assert_int_equal(rc, 1);
    assert_int_equal(r->line, line);
    assert_int_equal(json_int(json_get(row, key)), value);
    json_free(row);
}

static void expect_end(Jsonl *r)
{
    Json *row = NULL;
    assert_int_equal(jsonl_next(r, &row, NULL), 0);
    assert_null(row);
    assert_int_equal(jsonl_next(r, &row, NULL), 0);
    jsonl_close(r);
}

static void expect_error(Jsonl *r, const char *sentence)
{
    Err e = {0};
    Json *row = NULL;
    assert_int_equal(jsonl_next(r, &row, &e), ERR_INPUT);
    assert_null(row);
    if (strncmp(e.text, sentence, strlen(sentence)) != 0)
        print_error("%s\n", e.text);
    assert_int_equal(strncmp(e.text, sentence, strlen(sentence)), 0);
}

static void test_line_ends_blank_lines_and_numbers(void **state)
{
    (void)state;
    Jsonl r;
    jsonl_open_memory(&r, STR_LIT("\xef\xbb\xbf{\"a\":1}\n\n{\"a\":2}\r\n \t\r\n\r\n{\"a\":3}"), "x.jsonl");
    expect_row(&r, 1, "a", 1);
    expect_row(&r, 3, "a", 2);
    expect_row(&r, 6, "a", 3);
    expect_end(&r);
    jsonl_open_memory(&r, STR_LIT("  {\"a\":1}  \n"), "x.jsonl");
    expect_row(&r, 1, "a", 1);
    expect_end(&r);
}

static void test_no_rows(void **state)
{
    (void)state;
    static const char *const texts[] = { "", "\n", "\r\n\r\n", "\xef\xbb\xbf", "   " };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        Jsonl r;
        jsonl_open_memory(&r, str_of(texts[i]), "x.jsonl");
        expect_end(&r);
    }
}

static void test_bad_lines(void **state)
{
    (void)state;
    static const struct { const char *line, *sentence; } rows[] = {
        { "{\"a\":}",              "x.jsonl, line 2, column 6: " },
        { "{\"a\":1} {}",          "x.jsonl, line 2, column 9: " },
        { "{\"a\":1",              "x.jsonl, line 2, column 6: " },
        { "{\"a\":1,\"a\":2}",     "x.jsonl, line 2, column " },
        { "[1]",                   "x.jsonl, line 2, column 1: each line must be one JSON object like {\"text\": ...}, this is an array" },
        { "\"text\"",              "x.jsonl, line 2, column 1: each line must be one JSON object like {\"text\": ...}, this is a string" },
        { "17",                    "x.jsonl, line 2, column 1: each line must be one JSON object like {\"text\": ...}, this is a number" },
        { "null",                  "x.jsonl, line 2, column 1: each line must be one JSON object like {\"text\": ...}, this is null" },
        { "{\"a\":\"\xff\"}",      "x.jsonl, line 2, byte 7: the byte 0xff is not valid UTF-8 text" },
        { "{\"a\":\"caf\xe9\"}",   "x.jsonl, line 2, byte 10: the byte 0xe9 is not valid UTF-8 text" },
        { "{\"a\":\"\xed\xa0\x80\"}", "x.jsonl, line 2, byte 7: the byte 0xed is not valid UTF-8 text" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        StrBuf text = {0};
        Jsonl r;
        strbuf_addf(&text, "{\"a\":1}\n%s\n{\"a\":3}\n", rows[i].line);
        jsonl_open_memory(&r, strbuf_str(&text), "x.jsonl");
        expect_row(&r, 1, "a", 1);
        expect_error(&r, rows[i].sentence);
        expect_row(&r, 3, "a", 3);                         /* a caller that counts bad lines goes on behind them */
        expect_end(&r);
        strbuf_release(&text);
    }
}

static void test_deep_nesting(void **state)
{
    (void)state;
    StrBuf text = {0};
    Jsonl r;
    strbuf_addz(&text, "\n{\"a\":");
    for (int i = 0; i < 100000; i++)
        strbuf_addc(&text, '[');
    jsonl_open_memory(&r, strbuf_str(&text), "x.jsonl");
    expect_error(&r, "x.jsonl, line 2, column 133: arrays and objects are nested more than 128 levels deep");
    expect_end(&r);
    strbuf_release(&text);
}

static void test_line_length_is_bounded(void **state)
{
    (void)state;
    size_t n = JSONL_LINE_MAX + 1;
    char *text = mem_alloc(n + 9);
    memset(text, ' ', n);
    text[0] = '{';
    text[n - 1] = '}';
    memcpy(text + n, "\n{\"a\":5}", 8);
    Jsonl r;
    jsonl_open_memory(&r, (Str){ text, n + 8 }, "x.jsonl");
    expect_error(&r, "x.jsonl, line 1: the line has 67108865 bytes, at most 64 MiB are allowed");
    expect_row(&r, 2, "a", 5);
    expect_end(&r);
    jsonl_open_memory(&r, (Str){ text + 1, n - 1 }, "x.jsonl");            /* the longest line that is allowed */
    text[1] = '{';
    expect_row(&r, 1, "absent", 0);
    expect_end(&r);
    free(text);
}

static void test_files(void **state)
{
    (void)state;
    char dir[] = "/tmp/hone-jsonl-XXXXXX", sentence[128];
    Err e = {0};
    Jsonl r;
    assert_non_null(mkdtemp(dir));
    char *path = path_join(dir, "rows.jsonl"), *absent = path_join(dir, "absent.jsonl");
    assert_int_equal(jsonl_open(&r, absent, &e), ERR_INPUT);
    assert_non_null(strstr(e.text, "absent.jsonl"));
    jsonl_close(&r);
    assert_true(jsonl_open(&r, dir, &e) < 0);

    assert_int_equal(file_write_atomic(path, "", 0, &e), 0);
    assert_int_equal(jsonl_open(&r, path, &e), 0);
    expect_end(&r);

    const char text[] = "{\"a\":1}\r\noops";
    assert_int_equal(file_write_atomic(path, text, sizeof text - 1, &e), 0);
    assert_int_equal(jsonl_open(&r, path, &e), 0);
    expect_row(&r, 1, "a", 1);
    snprintf(sentence, sizeof sentence, "%s, line 2, column ", path);
    expect_error(&r, sentence);
    expect_end(&r);
    assert_int_equal(dir_remove(dir, &e), 0);
    free(path);
    free(absent);
}

/* Every beginning of a small file: never a crash, rows before the cut come out. */
static void test_every_truncation(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":\"\xc3\xa9\"}\n{\"b\":[1,{\"c\":null}]}\r\n";
    for (size_t n = 0; n < sizeof text; n++) {
        char *copy = mem_strndup(text, n);                 /* its own block, so that a read past the end is seen */
        Jsonl r;
        Json *row = NULL;
        int rc, rows = 0, bad = 0;
        jsonl_open_memory(&r, (Str){ copy, n }, "x.jsonl");
        while ((rc = jsonl_next(&r, &row, NULL)) != 0) {
            rows += rc > 0;
            bad += rc < 0;
            json_free(row);
        }
        jsonl_close(&r);
        free(copy);
        size_t first = strlen("{\"a\":\"e'\"}"), both = sizeof text - 3;
        assert_int_equal(rows, (n >= first) + (n >= both));
        assert_int_equal(bad, (n > 0 && n < first) || (n > first + 1 && n < both));
    }
}

static void test_real_data(void **state)
{
    (void)state;
    static const char path[] = SHARED_DIR "/data/gsm8k/test.jsonl";
    if (!file_exists(path)) {
        print_message("SKIPPED: %s is not there\n", path);
        skip();
    }
    Err e = {0};
    Jsonl r;
    Json *row;
    int rc, rows = 0;
    assert_int_equal(jsonl_open(&r, path, &e), 0);
    while ((rc = jsonl_next(&r, &row, &e)) > 0) {
        assert_non_null(json_str(json_get(row, "question")).p);
        rows++;
        json_free(row);
    }
    assert_int_equal(rc, 0);
    assert_int_equal(rows, 1319);
    jsonl_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line_ends_blank_lines_and_numbers),
        cmocka_unit_test(test_no_rows),
        cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_deep_nesting),
        cmocka_unit_test(test_line_length_is_bounded),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_real_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
