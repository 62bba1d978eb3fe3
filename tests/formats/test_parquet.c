/* test_parquet.c - files of pyarrow (tools/golden_parquet.py) give the rows that pyarrow gives; what hone writes it reads back; damage is refused.
 * That pyarrow reads what hone writes is for tools/judge_parquet.py, by hand. */
#include "base/check.h"

#include "base/mem.h"
#include "base/thread.h"
#include "formats/jsonl.h"
#include "formats/parquet.h"

#include <stdio.h>

#define GOLDEN TEST_DIR "/formats/golden/parquet/"

static void expect(int rc, const Err *e)
{
    if (rc)
        fail_msg("%s", e->text);
}

static char *text_of(const Json *j)
{
    StrBuf b = {0};
    json_write(&b, j, false);
    return strbuf_take(&b);
}

/* Every row of the file equals the JSON lines. */
static void expect_rows(const ParquetFile *f, Jsonl *want)
{
    Err e = {0};
    int64_t seen = 0;
    for (size_t i = 0; i < parquet_groups(f); i++) {
        ParquetGroup *g = NULL;
        expect(parquet_group_read(f, i, &g, &e), &e);
        assert_int_equal(parquet_group_first(g), seen);
        for (int64_t r = 0; r < parquet_group_rows(g); r++, seen++) {
            Json *row = NULL, *line = NULL;
            expect(parquet_row(g, r, &row, &e), &e);
            assert_int_equal(jsonl_next(want, &line, &e), 1);
            char *a = text_of(row), *b = text_of(line);
            if (strcmp(a, b) != 0)
                fail_msg("%s, row %d:\n%s\nexpected\n%s", want->path, (int)seen + 1, a, b);
            free(a);
            free(b);
            json_free(row);
            json_free(line);
        }
        parquet_group_free(g);
    }
    Json *more;
    assert_int_equal(jsonl_next(want, &more, &e), 0);
    assert_int_equal(seen, parquet_rows(f));
}

static void test_golden(void **state)
{
    (void)state;
    FileList list;
    Err e = {0};
    size_t files = 0;
    expect(file_list(&list, GOLDEN, &e), &e);
    for (size_t i = 0; i < list.n; i++) {
        Str name = str_of(list.name[i]);
        if (!str_ends(name, ".parquet") || str_eqz(name, "refused.parquet"))
            continue;
        char path[512], rows[512];
        snprintf(path, sizeof path, GOLDEN "%s", name.p);
        snprintf(rows, sizeof rows, GOLDEN "%.*s.jsonl", (int)(name.n - 8), name.p);
        if (str_starts(name, "types-"))
            snprintf(rows, sizeof rows, GOLDEN "%s.jsonl", str_starts(name, "types-gzip") ? "types-int96" : "types");
        ParquetFile *f = NULL;
        Jsonl want;
        expect(parquet_open(&f, path, NULL, &e), &e);
        expect(jsonl_open(&want, rows, &e), &e);
        expect_rows(f, &want);
        jsonl_close(&want);
        parquet_close(f);
        files++;
    }
    assert_int_equal(files, 36);
    file_list_release(&list);
}

/* ---- columns ---- */

static void test_columns(void **state)
{
    (void)state;
    static const struct { const char *column, *says; } refused[] = {
        { "bson", "column bson is BSON" },   { "geometry", "column geometry is GEOMETRY" }, { "future", "logical type that this version does not know" },
        { "none", "no column \"none\"; the file has good, bson" },
    };
    static const struct { const char *column, *says; } later[] = {
        { "lzo", "rows 1 to 1: column lzo: page 1: the compression LZO" }, { "bytes", "row 1: column bytes: byte 1 of the text is not valid UTF-8" },
        { "u8", "row 1: column u8: the value 300 does not fit an unsigned integer of 8 bits" }, { "i8", "-129 does not fit a signed integer of 8 bits" },
        { "dec", "a decimal has 4 digits; the column says at most 3" }, { "time", "the time 86400000 ms is not within one day" },
        { "torn", "row 1: column torn.b: its levels do not fit the schema or its neighbours" },
    };
    Err e = {0};
    ParquetFile *f = NULL;
    Json *row = NULL;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        ParquetOptions o = { .columns = (const char *const[]){ "good", refused[i].column }, .n_columns = 2 };
        parquet_open(&f, GOLDEN "refused.parquet", &o, &e);
        check_says(&e, ERR_INPUT, refused[i].says);
        assert_null(f);
    }
    for (size_t i = 0; i < ARRAY_LEN(later); i++) {
        ParquetGroup *g = NULL;
        ParquetOptions o = { .columns = (const char *const[]){ later[i].column }, .n_columns = 1 };
        expect(parquet_open(&f, GOLDEN "refused.parquet", &o, &e), &e);
        if (parquet_group_read(f, 0, &g, &e) == 0)
            parquet_row(g, 0, &row, &e);
        check_says(&e, ERR_INPUT, later[i].says);
        assert_null(row);
        parquet_group_free(g);
        parquet_close(f);
    }
    ParquetOptions o = { .columns = (const char *const[]){ "good" }, .n_columns = 1 };
    Jsonl want;
    jsonl_open_memory(&want, STR_LIT("{\"good\":\"x\"}"), "rows");
    expect(parquet_open(&f, GOLDEN "refused.parquet", &o, &e), &e);
    expect_rows(f, &want);
    parquet_close(f);
    jsonl_close(&want);
}

static void test_schema(void **state)
{
    (void)state;
    Err e = {0};
    ParquetFile *f = NULL;
    expect(parquet_open(&f, GOLDEN "odd-lists.parquet", NULL, &e), &e);
    Json *schema = parquet_schema(f);
    char *text = text_of(json_at(schema, 0)), *pair = text_of(json_at(schema, 2));
    check_text(text, "{\"name\":\"bare\",\"type\":\"list\",\"nullable\":false,\"of\":[{\"name\":\"bare\",\"type\":\"int32\",\"nullable\":false}]}");
    check_text(pair, "{\"name\":\"pair\",\"type\":\"list\",\"nullable\":true,\"of\":[{\"name\":\"element\",\"type\":\"struct\",\"nullable\":false,\"of\":"
                     "[{\"name\":\"a\",\"type\":\"int32\",\"nullable\":false},{\"name\":\"b\",\"type\":\"int32\",\"nullable\":true}]}]}");
    free(text);
    free(pair);
    json_free(schema);
    parquet_close(f);
    expect(parquet_open(&f, GOLDEN "types-zstd-v1.parquet", NULL, &e), &e);
    schema = parquet_schema(f);
    static const struct { const char *name, *type; } want[] = {
        { "u8", "uint8" }, { "i64", "int64" }, { "f16", "float16" }, { "dec38", "decimal(38,0)" }, { "t_ns", "time(ns)" }, { "s_us", "timestamp(us,UTC)" },
        { "uuid", "uuid" }, { "json", "json" }, { "null", "null" }, { "bytes", "binary" },
    };
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        size_t k = 0;
        while (k < json_len(schema) && !str_eqz(json_str(json_get(json_at(schema, k), "name")), want[i].name))
            k++;
        assert_true(str_eqz(json_str(json_get(json_at(schema, k), "type")), want[i].type));
    }
    json_free(schema);
    parquet_close(f);
}

/* ---- damage ---- */

/* Reads all it can: every call ends in rows or in a sentence. Returns 0 when the whole file was read. */
static int read_all(const uint8_t *p, size_t n, size_t group_max, Err *e)
{
    ParquetFile *f = NULL;
    ParquetOptions o = { .group_max = group_max };
    *e = (Err){0};
    int rc = parquet_open_memory(&f, p, n, "memory", &o, e);
    for (size_t i = 0; !rc && i < parquet_groups(f); i++) {
        ParquetGroup *g = NULL;
        rc = parquet_group_read(f, i, &g, e);
        for (int64_t r = 0; !rc && r < parquet_group_rows(g); r++) {
            Json *row = NULL;
            rc = parquet_row(g, r, &row, e);
            json_free(row);
        }
        parquet_group_free(g);
    }
    parquet_close(f);
    assert_true(rc ? e->code == rc && e->text[0] : !e->code);
    return rc;
}

static void test_damage(void **state)
{
    (void)state;
    static const char *const names[] = { "odd-lists", "odd-dictionary", "odd-lz4-hadoop", "odd-gzip-members", "random-09" };
    Err e = {0};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char path[512];
        char *text;
        size_t n;
        snprintf(path, sizeof path, GOLDEN "%s.parquet", names[i]);
        expect(file_read_text(path, &text, &n, &e), &e);
        uint8_t *p = (uint8_t *)text;
        assert_int_equal(read_all(p, n, 0, &e), 0);
        for (size_t k = 0; k < n; k++)                            /* no beginning of a file is a file */
            assert_int_equal(read_all(p, k, 0, &e), ERR_INPUT);
        for (size_t k = 0; k < n; k++)
            for (int bit = 0; bit < 8; bit += 3) {
                p[k] ^= (uint8_t)(1 << bit);
                read_all(p, n, 1 << 20, &e);
                p[k] ^= (uint8_t)(1 << bit);
            }
        assert_int_equal(read_all(p, n, 16, &e), ERR_INPUT);
        check_says(&e, ERR_INPUT, "smaller row groups");
        memcpy(p + n - 4, "PARE", 4);
        assert_int_equal(read_all(p, n, 0, &e), ERR_INPUT);
        check_says(&e, ERR_INPUT, "footer is encrypted");
        free(text);
    }
}

static void write_lines(const char *path, Str lines, const ParquetWriteOptions *o);

/* A changed letter is still a letter: only the page's checksum can tell. */
static void test_checksum(void **state)
{
    (void)state;
    char *dir = check_dir(), *path = path_join(dir, "t.parquet"), *text;
    size_t n;
    Err e = {0};
    write_lines(path, STR_LIT("{\"a\":\"unmistakable\"}\n"), &(ParquetWriteOptions){ .packing = PARQUET_PLAIN });
    expect(file_read_text(path, &text, &n, &e), &e);
    assert_int_equal(read_all((uint8_t *)text, n, 0, &e), 0);
    char *at = memmem(text, n, "unmistakable", 12);
    assert_non_null(at);
    at[0] = 'U';
    assert_int_equal(read_all((uint8_t *)text, n, 0, &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, "row group 1, rows 1 to 1: column a: page 1: the page's checksum is");
    free(text);
    free(path);
    check_dir_done(dir);
}

/* Runs let a few bytes stand for a long row. */
static void test_long_row(void **state)
{
    (void)state;
    char *dir = check_dir(), *path = path_join(dir, "t.parquet"), *text;
    size_t n;
    Err e = {0};
    StrBuf line = {0};
    strbuf_addz(&line, "{\"a\":[1");
    for (int i = 0; i < 20000; i++)
        strbuf_addz(&line, ",null");
    strbuf_addz(&line, "]}\n");
    write_lines(path, strbuf_str(&line), NULL);
    expect(file_read_text(path, &text, &n, &e), &e);
    assert_true(n < 500);
    assert_int_equal(read_all((uint8_t *)text, n, 0, &e), 0);
    assert_int_equal(read_all((uint8_t *)text, n, 1 << 20, &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, "row 1: column a.list: the row takes more than 1 MiB of memory");
    free(text);
    strbuf_release(&line);
    free(path);
    check_dir_done(dir);
}

/* ---- writing ---- */

static void write_lines(const char *path, Str lines, const ParquetWriteOptions *o)
{
    Err e = {0};
    ParquetShape *shape = parquet_shape_new();
    ParquetWriter *w = NULL;
    for (int pass = 0; pass < 2; pass++) {
        Jsonl in;
        Json *row;
        jsonl_open_memory(&in, lines, "rows");
        if (pass)
            expect(parquet_create(&w, path, shape, o, &e), &e);
        while (jsonl_next(&in, &row, &e) > 0) {
            expect(pass ? parquet_write_row(w, row, &e) : parquet_shape_add(shape, row, &e), &e);
            json_free(row);
        }
        jsonl_close(&in);
    }
    expect(parquet_commit(&w, &e), &e);
    assert_null(w);
    parquet_shape_free(shape);
}

static void expect_lines(const char *path, Str lines)
{
    Err e = {0};
    ParquetFile *f = NULL;
    Jsonl want;
    jsonl_open_memory(&want, lines, path);
    expect(parquet_open(&f, path, NULL, &e), &e);
    expect_rows(f, &want);
    parquet_close(f);
    jsonl_close(&want);
}

static void test_round_trip(void **state)
{
    (void)state;
    static const char some[] =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"hi \\u00fc\"},{\"role\":\"assistant\",\"content\":null}],\"n\":9223372036854775807,\"x\":0.1,"
        "\"ok\":true,\"none\":null,\"deep\":[[[1]],[],null,[null,[2,3]]]}\n"
        "{\"messages\":[],\"n\":-9223372036854775808,\"x\":3.0,\"ok\":false,\"none\":null,\"deep\":null}\n"
        "{\"messages\":null,\"n\":null,\"x\":null,\"ok\":null,\"none\":null,\"deep\":[]}\n";
    char *dir = check_dir(), *path = path_join(dir, "t.parquet"), *again = path_join(dir, "u.parquet");
    StrBuf many = {0};
    for (int i = 0; i < 2000; i++)   /* row groups, repeated strings, and enough text for several pages */
        strbuf_addf(&many, "{\"i\":%d,\"kind\":\"kind %d\",\"text\":\"%01000d\",\"flag\":%s}\n", i, i / 100 % 7, i, i % 3 ? "true" : "null");
    for (int p = PARQUET_ZSTD; p <= PARQUET_PLAIN; p++)
        for (int64_t rows = 0; rows < 2000; rows += 700) {
            ParquetWriteOptions o = { .packing = (ParquetPacking)p, .group_rows = rows };
            write_lines(path, str_of(some), &o);
            expect_lines(path, str_of(some));
            write_lines(path, strbuf_str(&many), &o);
            expect_lines(path, strbuf_str(&many));
            write_lines(again, strbuf_str(&many), &o);
            Err e = {0};
            FileMap a, b;
            expect(file_map(&a, path, &e), &e);
            expect(file_map(&b, again, &e), &e);
            assert_int_equal(a.n, b.n);
            assert_memory_equal(a.p, b.p, a.n);
            file_unmap(&a);
            file_unmap(&b);
        }
    strbuf_release(&many);
    free(path);
    free(again);
    check_dir_done(dir);
}

static Json *parsed(const char *text)
{
    Err e = {0};
    Json *j = NULL;
    expect(json_parse(&j, str_of(text), "test", &e), &e);
    return j;
}

static void test_shapes_refused(void **state)
{
    (void)state;
    static const struct { const char *first, *second, *says; } cases[] = {
        { "{\"a\":1}", "{\"a\":\"x\"}", "row 2: a is string here and was int64" },
        { "{\"m\":[{\"r\":1}]}", "{\"m\":[{\"r\":[1]}]}", "row 2: m[].r is list here and was int64" },
        { "{\"a\":9007199254740993}", "{\"a\":0.5}", "no double holds exactly" },
        { "{\"a\":0.5}", "{\"a\":9007199254740993}", "no double holds exactly" },
        { "{\"a\":1}", "[1]", "row 2: a row must be an object, this is an array" },
        { "{\"a\":true}", "{\"a\":1}", "a is int64 here and was bool" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Err e = {0};
        ParquetShape *s = parquet_shape_new();
        Json *a = parsed(cases[i].first), *b = parsed(cases[i].second);
        expect(parquet_shape_add(s, a, &e), &e);
        parquet_shape_add(s, b, &e);
        check_says(&e, ERR_INPUT, cases[i].says);
        parquet_shape_free(s);
        json_free(a);
        json_free(b);
    }
    Err e = {0};
    StrBuf deep = {0};
    for (int i = 0; i < 40; i++)
        strbuf_addz(&deep, "{\"a\":");
    strbuf_addz(&deep, "1");
    for (int i = 0; i < 40; i++)
        strbuf_addc(&deep, '}');
    ParquetShape *s = parquet_shape_new();
    Json *row = parsed(deep.p);
    parquet_shape_add(s, row, &e);
    check_says(&e, ERR_INPUT, "nested more than 28 levels");
    parquet_shape_free(s);
    json_free(row);
    strbuf_release(&deep);
}

static void test_writer_refuses(void **state)
{
    (void)state;
    static const struct { const char *row, *says; } cases[] = {
        { "{\"f\":false,\"t\":\"no\",\"a\":\"x\",\"l\":[1]}", "row 2: a is string, the file's column is int64" },
        { "{\"a\":1,\"l\":[1,2,\"x\"]}", "row 2: l[] is string, the file's column is int64" },
        { "{\"a\":1.5}", "row 2: a is double, the file's column is int64" },
        { "{\"a\":1,\"extra\":2}", "row 2: the key \"extra\" has no column in the file" },
        { "{\"s\":{\"x\":1,\"extra\":2}}", "row 2: the key \"extra\" of s has no column" },
        { "{\"d\":9007199254740993}", "row 2: d is an integer that no double holds exactly" },
    };
    char *dir = check_dir(), *path = path_join(dir, "t.parquet");
    Err e = {0};
    ParquetShape *s = NULL;
    Json *d = parsed("{\"f\":\"bool\",\"t\":\"string\",\"a\":\"int64\",\"l\":[\"int64\"],\"d\":\"double\",\"s\":{\"x\":\"int64\"}}");
    Json *good = parsed("{\"f\":true,\"t\":\"y\",\"a\":1,\"l\":[1,2],\"d\":3}");
    ParquetWriter *w = NULL;
    expect(parquet_shape_parse(&s, d, &e), &e);
    Json *back = parquet_shape_json(s);
    char *x = text_of(d), *y = text_of(back);
    check_text(y, x);
    expect(parquet_create(&w, path, s, NULL, &e), &e);
    expect(parquet_write_row(w, good, &e), &e);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Json *bad = parsed(cases[i].row);
        parquet_write_row(w, bad, &e);
        check_says(&e, ERR_INPUT, cases[i].says);
        json_free(bad);
    }
    expect(parquet_write_row(w, good, &e), &e);
    assert_false(file_exists(path));
    expect(parquet_commit(&w, &e), &e);
    static const char want[] = "{\"f\":true,\"t\":\"y\",\"a\":1,\"l\":[1,2],\"d\":3.0,\"s\":null}\n"
                               "{\"f\":true,\"t\":\"y\",\"a\":1,\"l\":[1,2],\"d\":3.0,\"s\":null}\n";
    expect_lines(path, str_of(want));
    parquet_shape_free(s);
    free(x);
    free(y);
    json_free(d);
    json_free(back);
    json_free(good);
    static const struct { const char *description, *says; } shapes[] = {
        { "{\"a\":{}}", "a is an object without keys" }, { "{}", "the row is an object without keys" },
    };
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        d = parsed(shapes[i].description);
        expect(parquet_shape_parse(&s, d, &e), &e);
        parquet_create(&w, path, s, NULL, &e);
        check_says(&e, ERR_INPUT, shapes[i].says);
        assert_null(w);
        parquet_shape_free(s);
        json_free(d);
    }
    d = parsed("{\"a\":[\"string\"]}");                          /* no rows are a file, too */
    expect(parquet_shape_parse(&s, d, &e), &e);
    expect(parquet_create(&w, path, s, NULL, &e), &e);
    expect(parquet_commit(&w, &e), &e);
    expect_lines(path, STR_LIT(""));
    parquet_shape_free(s);
    json_free(d);
    d = parsed("{\"a\":\"float\"}");
    parquet_shape_parse(&s, d, &e);
    check_says(&e, ERR_INPUT, "a description of rows is made of");
    json_free(d);
    free(path);
    check_dir_done(dir);
}

/* ---- threads ---- */

typedef struct Reading { const ParquetGroup *g; char **text; } Reading;

static void read_piece(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    Reading *r = ctx;
    Err e = {0};
    Json *row = NULL;
    if (parquet_row(r->g, piece, &row, &e) == 0)
        r->text[piece] = text_of(row);
    json_free(row);
}

static void test_threads(void **state)
{
    (void)state;
    Err e = {0};
    ParquetFile *f = NULL;
    ParquetGroup *g = NULL;
    expect(parquet_open(&f, GOLDEN "random-11.parquet", NULL, &e), &e);
    expect(parquet_group_read(f, 0, &g, &e), &e);
    int64_t n = parquet_group_rows(g);
    Pool *pool = pool_new(4);
    char **text[2];
    for (int k = 0; k < 2; k++) {
        text[k] = mem_zalloc((size_t)n, sizeof *text[k]);
        parallel_for(k ? pool : NULL, n, read_piece, &(Reading){ g, text[k] });
    }
    for (int64_t i = 0; i < n; i++) {
        check_text(text[1][i], text[0][i]);
        free(text[0][i]);
        free(text[1][i]);
    }
    free(text[0]);
    free(text[1]);
    pool_free(pool);
    parquet_group_free(g);
    parquet_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),           cmocka_unit_test(test_columns),          cmocka_unit_test(test_schema),
        cmocka_unit_test(test_damage),           cmocka_unit_test(test_checksum),         cmocka_unit_test(test_long_row),
        cmocka_unit_test(test_round_trip),       cmocka_unit_test(test_shapes_refused),   cmocka_unit_test(test_writer_refuses),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
