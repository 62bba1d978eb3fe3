/* test_arrow.c - files and streams of pyarrow (tools/golden_arrow.py) give the rows that pyarrow gives; cut anywhere they are refused or give fewer rows, never
 * others; what is not read is refused by name. More tables, against pyarrow itself: tools/judge_arrow.py, by hand. */
#include "base/check.h"

#include "base/file.h"
#include "base/mem.h"
#include "formats/arrow.h"
#include "formats/jsonl.h"

#include <stdio.h>

#define GOLDEN TEST_DIR "/formats/golden/arrow/"

static void expect(int rc, const Err *e)
{
    if (rc)
        fail_msg("%s", e->text);
}

static char *text_of(const Json *j)
{
    StrBuf b = { 0 };
    json_write(&b, j, false);
    return strbuf_take(&b);
}

static void expect_rows(const ArrowFile *f, Jsonl *want)
{
    Err     e = { 0 };
    int64_t seen = 0;
    for (size_t i = 0; i < arrow_batches(f); i++) {
        ArrowBatch *b = NULL;
        expect(arrow_batch_read(f, i, &b, &e), &e);
        assert_int_equal(arrow_batch_first(b), seen);
        for (int64_t r = 0; r < arrow_batch_rows(b); r++, seen++) {
            Json *row = NULL, *line = NULL;
            expect(arrow_row(b, r, &row, &e), &e);
            assert_int_equal(jsonl_next(want, &line, &e), 1);
            char *x = text_of(row), *y = text_of(line);
            if (strcmp(x, y) != 0)
                fail_msg("%s, row %d:\n%s\nexpected\n%s", want->path, (int)seen + 1, x, y);
            free(x);
            free(y);
            json_free(row);
            json_free(line);
        }
        arrow_batch_free(b);
    }
    Json *more;
    assert_int_equal(jsonl_next(want, &more, &e), 0);
    assert_int_equal(seen, arrow_rows(f));
}

static void test_golden(void **state)
{
    FileList list;
    Err      e = { 0 };
    size_t   files = 0;
    (void)state;
    expect(file_list(&list, GOLDEN, &e), &e);
    for (size_t i = 0; i < list.n; i++) {
        Str  name = str_of(list.name[i]);
        char path[512], rows[512];
        if (!str_ends(name, ".arrow"))
            continue;
        snprintf(path, sizeof path, GOLDEN "%s", name.p);
        snprintf(rows, sizeof rows, GOLDEN "%.*s.jsonl", (int)(name.n - 6), name.p);
        ArrowFile *f = NULL;
        Jsonl      want;
        expect(arrow_open(&f, path, &e), &e);
        expect(jsonl_open(&want, rows, &e), &e);
        expect_rows(f, &want);
        jsonl_close(&want);
        arrow_close(f);
        files++;
    }
    assert_int_equal(files, 17);
    file_list_release(&list);
}

/* All that can be read of these bytes, as one text; NULL: refused. */
static char *rows_of(const char *p, size_t n, Err *e)
{
    ArrowFile *f = NULL;
    StrBuf     out = { 0 };
    int        rc = arrow_open_memory(&f, p, n, "memory", 0, e);
    for (size_t i = 0; !rc && i < arrow_batches(f); i++) {
        ArrowBatch *b = NULL;
        rc = arrow_batch_read(f, i, &b, e);
        for (int64_t r = 0; !rc && r < arrow_batch_rows(b); r++) {
            Json *row = NULL;
            if (!(rc = arrow_row(b, r, &row, e))) {
                json_write(&out, row, false);
                strbuf_addc(&out, '\n');
            }
            json_free(row);
        }
        arrow_batch_free(b);
    }
    arrow_close(f);
    if (rc) {
        assert_int_equal(rc, ERR_INPUT);
        assert_true(str_starts(str_of(e->text), "memory"));
        strbuf_release(&out);
        return NULL;
    }
    return strbuf_take(&out);
}

static void test_cut(void **state)
{
    static const char *const names[] = { "types-stream-lz4.arrow", "types-file-plain.arrow", "deltas.arrow" };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char   path[512], *bytes;
        size_t n, good = 0;
        Err    e = { 0 };
        snprintf(path, sizeof path, GOLDEN "%s", names[i]);
        expect(file_read_text(path, &bytes, &n, &e), &e);
        char *all = rows_of(bytes, n, &e);
        assert_non_null(all);
        for (size_t cut = 0; cut < n; cut++) {
            char *copy = mem_alloc(cut + 1); /* so that a byte too far is seen */
            memcpy(copy, bytes, cut);
            char *some = rows_of(copy, cut, &e);
            if (some) {
                assert_memory_equal(some, all, strlen(some));
                good++;
            }
            free(some);
            free(copy);
        }
        assert_true(str_starts(str_of(names[i]), "types-file") ? good == 0 : good > 0 && good < n / 4); /* a stream may end behind any of its messages */
        free(all);
        free(bytes);
    }
}

/* One bit turned over: the rows may change, but nothing else happens. */
static void test_damage(void **state)
{
    char   path[512], *bytes;
    size_t n, refused = 0;
    Err    e = { 0 };
    (void)state;
    snprintf(path, sizeof path, GOLDEN "types-stream-zstd.arrow");
    expect(file_read_text(path, &bytes, &n, &e), &e);
    for (size_t at = 0; at < n; at += 5) {
        const char was = bytes[at];
        bytes[at] = (char)(was ^ 1 << at % 8);
        char *some = rows_of(bytes, n, &e);
        refused += !some;
        free(some);
        bytes[at] = was;
    }
    assert_true(refused > n / 100);
    free(bytes);
}

static void test_refused(void **state)
{
    Err        e = { 0 };
    ArrowFile *f = NULL;
    (void)state;
    assert_int_equal(arrow_open(&f, GOLDEN "refused/union.stream", &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, "union.stream: column what is a union, which is not supported; drop the column where the file is made");
    assert_int_equal(arrow_open_memory(&f, "ARROW1\0\0no footer here", 22, "x", 0, &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, "does not end as an Arrow file");
    assert_int_equal(arrow_open_memory(&f, "", 0, "x", 0, &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, "no schema");
    static const char short_end[] = /* a schema, and four zero bytes behind it: once read for ever */
        "\xff\xff\xff\xff\x90\x00\x00\x00\x10\x00\x00\x00\x00\x00\x0a\x00\x0c\x00\x06\x00\x05\x00\x08\x00\x0a\x00\x00\x00\x00\x01\x04\x00\x04\x00\x00\x00"
        "\xbc\xff\xff\xff\x04\x00\x00\x00\x01\x00\x00\x00\x14\x00\x00\x00\x10\x00\x18\x00\x08\x00\x06\x00\x07\x00\x0c\x00\x10\x00\x00\x00\x00\x00\x00\x00"
        "\x00\x00\x00\x00\xff\xfa\x00\x00\x00\x00\x00\x00\x00\x00\x0c\x00\x00\x00\x00\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00\x02\xff\xff\xff\x00\x00"
        "\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00"
        "\x00\x00\x00\x00\xff\x5d\xff\xff\x00\x00\x00\x00";
    free(rows_of(short_end, sizeof short_end - 1, &e));
    assert_false(arrow_is(STR_LIT("{\"prompt\":\"a\",\"completion\":\"b\"}")));
    assert_false(arrow_is((Str){ "\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0", 16 }));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden), cmocka_unit_test(test_cut), cmocka_unit_test(test_damage), cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
