/* test_table.c - rows of every kind, packing and encoding with their places; bad rows told and passed; resuming; bounds. */
#include "formats/table.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/thread.h"
#include "base/utf8.h"

#include <stdio.h>

#define GOLDEN TEST_DIR "/formats/golden/tables/"

/* Everything a table gives, as text: one line per row "LINE ROW JSON" or "LINE ROW ! sentence", and at the end what table_read said. */
static char *dump_table(Table *t, size_t max_items, size_t max_bytes)
{
    StrBuf out = { 0 };
    TableItem items[100];
    size_t n;
    Err e = { 0 };
    int rc;
    while (!(rc = table_read(t, items, MIN(max_items, ARRAY_LEN(items)), max_bytes, &n, &e)) && n) {
        for (size_t i = 0; i < n; i++) {
            Json *row = NULL;
            Err bad = { 0 };
            strbuf_addf(&out, "%lld %lld ", (long long)items[i].at.line, (long long)items[i].at.row);
            if (table_parse(t, &items[i], &row, &bad))
                strbuf_addf(&out, "! %s", bad.text);
            else
                json_write(&out, row, false);
            if (items[i].replaced)
                strbuf_addf(&out, " (%u replaced)", items[i].replaced);
            strbuf_addc(&out, '\n');
            json_free(row);
        }
    }
    if (rc)
        strbuf_addf(&out, "!! %s\n", e.text);
    return strbuf_take(&out);
}

static char *dump_bytes(Str bytes, const char *name, const TableOptions *opt, size_t max_items, size_t max_bytes)
{
    Table *t;
    Err e = { 0 };
    if (table_open_memory(&t, bytes, name, opt, &e))
        fail_msg("%s", e.text);
    char *text = dump_table(t, max_items, max_bytes);
    table_close(t);
    return text;
}

/* The same rows come whatever the size of the calls. */
static void check_rows(Str bytes, const char *name, const TableOptions *opt, const char *want)
{
    static const size_t sizes[][2] = { { 1, 1 }, { 100, 1 }, { 3, 1 << 20 }, { 100, 1 << 20 } };
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        char *got = dump_bytes(bytes, name, opt, sizes[i][0], sizes[i][1]);
        if (strcmp(got, want) != 0)
            fail_msg("%s:\n%s\nexpected:\n%s", name, got, want);
        free(got);
    }
}

static void test_jsonl(void **state)
{
    (void)state;
    check_rows(STR_LIT("{\"a\":1}\n\n{\"a\":2}\r\n \t\r\n{\"a\":\"x\\ny\"}"), "x", NULL, "1 1 {\"a\":1}\n3 2 {\"a\":2}\n5 3 {\"a\":\"x\\ny\"}\n");
    check_rows(STR_LIT("\xef\xbb\xbf{\"a\":1}\r{\"a\":2}\r"), "x", NULL, "1 1 {\"a\":1}\n2 2 {\"a\":2}\n");
    check_rows(STR_LIT("{\"a\":1}\n{\"a\":}\n[1]\n{\"a\":1,\"a\":2}\n{\"a\":4}\n"), "x.jsonl", NULL,
               "1 1 {\"a\":1}\n2 2 ! x.jsonl, line 2, row 2: column 6: this is not usable JSON: unexpected token near '}'\n"
               "3 3 ! x.jsonl, line 3, row 3: each row must be a JSON object like {\"text\": ...}, this is an array\n"
               "4 4 ! x.jsonl, line 4, row 4: column 10: this is not usable JSON: duplicate object key near '\"a\"'\n5 5 {\"a\":4}\n");
    check_rows(STR_LIT(""), "x.jsonl", NULL, "");
    check_rows(STR_LIT("\n\n"), "x.jsonl", NULL, "");
    StrBuf deep = { 0 };
    strbuf_addz(&deep, "{\"a\":");
    for (int i = 0; i < 200; i++)
        strbuf_addc(&deep, '[');
    strbuf_addz(&deep, "\n{\"a\":1}\n");
    check_rows(strbuf_str(&deep), "x.jsonl", NULL,
               "1 1 ! x.jsonl, line 1, row 1: column 133: arrays and objects are nested more than 128 levels deep, which is refused\n2 2 {\"a\":1}\n");
    strbuf_release(&deep);
}

static void test_json(void **state)
{
    (void)state;
    static const char two[] = "1 1 {\"a\":1}\n2 2 {\"b\":[{\"c\":\"]}\"}]}\n";
    check_rows(STR_LIT("[{\"a\":1},\n{\"b\":[{\"c\":\"]}\"}]}\n]\n"), "x", NULL, two);
    check_rows(STR_LIT("{\"data\":[{\"a\":1},\n{\"b\":[{\"c\":\"]}\"}]}\n]\n}\n"), "x.json", NULL, two);
    check_rows(STR_LIT("{\"v\":\"1.0\",\"names\":[\"x\"],\"o\":{\"p\":[1]},\"data\" : [ {\"a\":1},\n{\"b\":[{\"c\":\"]}\"}]}\n],\"end\":null}\n"), "x.json", NULL, two);
    check_rows(STR_LIT("{\"rows\":[{\"z\":1}],\"data\":[{\"a\":1},\n{\"b\":[{\"c\":\"]}\"}]}\n]}"), "x.json", &(TableOptions){ .array = "data" }, two);
    check_rows(STR_LIT("{\n\"a\":1}\n{\n\"b\":2}"), "x", NULL, "1 1 {\"a\":1}\n3 2 {\"b\":2}\n");   /* objects one after the other, over several lines */
    check_rows(STR_LIT("{\n\"a\": {\"b\": 1}\n}"), "x.json", NULL, "1 1 {\"a\":{\"b\":1}}\n");      /* one object is one row */
    check_rows(STR_LIT("[]"), "x.json", NULL, "");
    check_rows(STR_LIT("[{\"a\":1}"), "x.json", NULL, "1 1 {\"a\":1}\n1 2 ! x.json, line 1, row 2: the file ends inside of this element of the array; "
               "it is cut short, or a quote or bracket is missing\n");
    check_rows(STR_LIT("[{\"a\":1},{\"b\":"), "x.json", NULL, "1 1 {\"a\":1}\n1 2 ! x.json, line 1, row 2: the file ends inside of this element of the array; "
               "it is cut short, or a quote or bracket is missing\n");
    check_rows(STR_LIT("[{\"a\":1} {\"a\":2},,{\"a\":3},]"), "x.json", NULL,
               "1 1 {\"a\":1}\n1 2 ! x.json, line 1, row 2: a comma or the end of the array was expected here\n1 3 {\"a\":2}\n"
               "1 4 ! x.json, line 1, row 4: an element of the array was expected here\n1 5 {\"a\":3}\n"
               "1 6 ! x.json, line 1, row 6: an element of the array was expected here\n");
    check_rows(STR_LIT("[{\"a\":1},\n{\n\"a\":},\n7]x"), "x.json", NULL,
               "1 1 {\"a\":1}\n2 2 ! x.json, line 3, row 2: column 5: this is not usable JSON: unexpected token near '}'\n"
               "4 3 ! x.json, line 4, row 3: each row must be a JSON object like {\"text\": ...}, this is a number\n"
               "4 4 ! x.json, line 4, row 4: text follows behind the end of the rows\n");
    check_rows(STR_LIT("{\"a\":[{\"x\":1}],\"b\":[{\"y\":2}]}"), "x.json", NULL,
               "1 1 {\"x\":1}\n1 0 ! x.json: line 1: a second array of rows begins; say by its key which one is meant\n");
    check_rows(STR_LIT("{\"a\":[1]}"), "x.json", &(TableOptions){ .array = "b" }, "1 0 ! x.json: it has no array named \"b\" at its top level\n");
    check_rows(STR_LIT("plain"), "x.json", NULL, "1 0 ! x.json: line 1: a JSON file of rows begins with [ or {, and this does not\n");
}

/* A long array in one line, shown in every size of window. */
static void test_long_json(void **state)
{
    (void)state;
    StrBuf text = { 0 };
    strbuf_addz(&text, "{\"skipped\":\"");
    for (int i = 0; i < 400000; i++)
        strbuf_addz(&text, "\\\"[{");
    strbuf_addz(&text, "\",\"data\":[");
    for (int i = 0; i < 20000; i++)
        strbuf_addf(&text, "%s{\"i\":%d,\"t\":\"%*s\\\\\"}", i ? "," : "", i, i % 100, "");
    strbuf_addz(&text, "]}");
    for (size_t bytes = 1; bytes < (1 << 24); bytes = bytes * 256) {
        Table *t;
        TableItem items[64];
        Err e = { 0 };
        size_t n;
        int64_t rows = 0;
        assert_int_equal(table_open_memory(&t, strbuf_str(&text), "x.json", NULL, &e), 0);
        while (!table_read(t, items, ARRAY_LEN(items), bytes, &n, &e) && n)
            for (size_t i = 0; i < n; i++) {
                Json *row;
                if (table_parse(t, &items[i], &row, &e))
                    fail_msg("%s", e.text);
                assert_int_equal(json_int(json_get(row, "i")), rows++);
                assert_int_equal(items[i].at.row, rows);
                assert_memory_equal(text.p + items[i].at.offset, items[i].text.p, items[i].text.n);
                json_free(row);
            }
        assert_int_equal(rows, 20000);
        table_close(t);
    }
    strbuf_release(&text);
}

static void test_csv(void **state)
{
    (void)state;
    check_rows(STR_LIT("text,label\nhello,a\n\n\"two\nlines\",b\n"), "x", NULL,
               "2 1 {\"text\":\"hello\",\"label\":\"a\"}\n4 2 {\"text\":\"two\\nlines\",\"label\":\"b\"}\n");
    check_rows(STR_LIT("text\tlabel\r\n5\" disk\ta\r\n"), "x.tsv", NULL, "2 1 {\"text\":\"5\\\" disk\",\"label\":\"a\"}\n");
    check_rows(STR_LIT("1,2\r3,4\r"), "x.csv", NULL, "1 1 {\"column_1\":\"1\",\"column_2\":\"2\"}\n2 2 {\"column_1\":\"3\",\"column_2\":\"4\"}\n");
    check_rows(STR_LIT("1,2\n3,4\n"), "x.csv", &(TableOptions){ .csv.header = CSV_YES }, "2 1 {\"1\":\"3\",\"2\":\"4\"}\n");
    check_rows(STR_LIT("text,label\na,b,c\nd\ne,f\n"), "x.csv", NULL,
               "2 1 ! x.csv, line 2, row 1: it has 3 fields and the header has 2; a delimiter or quote is missing or too many\n"
               "3 2 ! x.csv, line 3, row 2: it has 1 fields and the header has 2; a delimiter or quote is missing or too many\n4 3 {\"text\":\"e\",\"label\":\"f\"}\n");
    check_rows(STR_LIT("text,label\na,b\n\"c\nd,e\nf,g\n"), "x.csv", NULL,
               "2 1 {\"text\":\"a\",\"label\":\"b\"}\n3 2 ! x.csv, line 3, row 2: a quote opens here and is never closed; close it, or double it if it belongs to the text\n"
               "4 3 {\"text\":\"d\",\"label\":\"e\"}\n5 4 {\"text\":\"f\",\"label\":\"g\"}\n");
    check_rows(STR_LIT("text,label\n\"a\" b,c\nd,e\n"), "x.csv", NULL,
               "2 1 ! x.csv, line 2, row 1: text follows behind the closing quote of the field that opens here; a quote inside a quoted field must be doubled\n"
               "3 2 {\"text\":\"d\",\"label\":\"e\"}\n");
    check_rows(STR_LIT("id;text;label\n1;\"a \"b\" c\n\nmore\";x\n2;\"two\nlines\";y\n3;z;\"open\nmore\n4;u;v\n5;\"w\"w;x\nrest\n"), "x.csv", NULL,
               "2 1 ! x.csv, line 2, row 1: text follows behind the closing quote of the field that opens here; a quote inside a quoted field must be doubled; "
               "the lines up to 4 are taken as part of this row, and behind them the next whole row begins\n"
               "5 2 {\"id\":\"2\",\"text\":\"two\\nlines\",\"label\":\"y\"}\n"
               "7 3 ! x.csv, line 7, row 3: text follows behind the closing quote of the field that opens here; a quote inside a quoted field must be doubled; "
               "the lines up to 8 are taken as part of this row, and behind them the next whole row begins\n"
               "9 4 {\"id\":\"4\",\"text\":\"u\",\"label\":\"v\"}\n"
               "10 5 ! x.csv, line 10, row 5: text follows behind the closing quote of the field that opens here; a quote inside a quoted field must be doubled; "
               "no whole row begins in the lines behind it, so those up to 11 are taken as part of it\n");
    check_rows(STR_LIT("text,text\na,b\n"), "x.csv", &(TableOptions){ .csv.header = CSV_YES },
               "1 0 ! x.csv: line 1: columns 1 and 2 are both named \"text\"; rename one, or say that the file has no header "
               "(--header no), and they are called column_1, column_2, ...\n");
    check_rows(STR_LIT("text,la\0bel\na,b\n"), "x.csv", &(TableOptions){ .csv.header = CSV_YES },
               "1 0 ! x.csv: line 1: the name of column 2 holds a zero byte; correct the header\n");
    check_rows(STR_LIT("text,label\n\"\0\",\0\n"), "x.csv", NULL, "2 1 {\"text\":\"\\u0000\",\"label\":\"\\u0000\"}\n");
    check_rows(STR_LIT("text,\n1,2\n"), "x.csv", &(TableOptions){ .csv.header = CSV_YES }, "2 1 {\"text\":\"1\",\"column_2\":\"2\"}\n");
    check_rows(STR_LIT("text,label\n"), "x.csv", NULL, "");
}

static void test_wide_csv(void **state)
{
    (void)state;
    StrBuf text = { 0 };
    strbuf_addz(&text, "a,b\n");
    for (int i = 0; i < 999999; i++)
        strbuf_addc(&text, ',');
    strbuf_addz(&text, "\n1,2\n");
    check_rows(strbuf_str(&text), "x.csv", NULL, "2 1 ! x.csv, line 2, row 1: it has more than 65536 columns, the most that is allowed\n3 2 {\"a\":\"1\",\"b\":\"2\"}\n");
    strbuf_release(&text);
}

static void test_text(void **state)
{
    (void)state;
    check_rows(STR_LIT("Hello,\n\nworld.\n"), "x.txt", NULL, "1 1 {\"text\":\"Hello,\\n\\nworld.\\n\"}\n");
    check_rows(STR_LIT("\n\nHello,\nyou.\r\n\r\n  \nworld.\n"), "x.md", &(TableOptions){ .paragraphs = true }, "3 1 {\"text\":\"Hello,\\nyou.\"}\n7 2 {\"text\":\"world.\"}\n");
    check_rows(STR_LIT(""), "x.txt", NULL, "");
    check_rows(STR_LIT("Some words. Other words, and\nnothing in columns\n"), "LICENSE", NULL,
               "1 0 ! LICENSE: it is no JSON, its lines do not fall into columns, and its name tells nothing; give it the ending of what it is (.jsonl, .json, .csv, .tsv, .txt)\n");
    check_rows(STR_LIT("<?xml version='1.0'?><a/>"), "x", NULL, "1 0 ! x: this is an XML file, not rows; turn it into JSONL or CSV\n");
    check_rows(STR_LIT("version https://git-lfs.github.com/spec/v1\n"), "x.csv", NULL,
               "1 0 ! x.csv: this is a Git LFS pointer and not the data; fetch it with \"git lfs pull\"\n");
}

static void test_kinds(void **state)
{
    (void)state;
    TableKind kind;
    assert_true(table_kind_of("JSONL", &kind) && kind == TABLE_JSONL);
    assert_true(table_kind_of("ndjson", &kind) && kind == TABLE_JSONL);
    assert_true(table_kind_of("tsv", &kind) && kind == TABLE_TSV);
    assert_true(table_kind_of("md", &kind) && kind == TABLE_TEXT);
    assert_false(table_kind_of("exe", &kind));
    assert_false(table_kind_of("", &kind));
    assert_false(table_kind_of("csv tsv", &kind));
    assert_string_equal(table_kind_name(TABLE_CSV), "csv");
}

static void test_encodings(void **state)
{
    (void)state;
    check_rows(STR_LIT("name,text\nJos\xe9,caf\xe9\nM\xc3\xbcller,\xc3\xa9\n"), "x.csv", NULL,
               "2 1 {\"name\":\"José\",\"text\":\"café\"}\n3 2 {\"name\":\"Müller\",\"text\":\"é\"}\n");
    check_rows(STR_LIT("\xff\xfet\0,\0u\0\n\0a\0,\0\xe9\0\n\0"), "x.csv", &(TableOptions){ .csv.header = CSV_YES }, "2 1 {\"t\":\"a\",\"u\":\"é\"}\n");
    check_rows(STR_LIT("{\"a\":\"\xc3\xa9\xc3\xa8 \xff\"}\n{\"a\":1}\n"), "x.jsonl", NULL, "1 1 {\"a\":\"éè \xef\xbf\xbd\"} (1 replaced)\n2 2 {\"a\":1}\n");
    check_rows(STR_LIT("{\"a\":\"\xe9\"}\n"), "x.jsonl", &(TableOptions){ .encoding = "ISO-8859-5" }, "1 1 {\"a\":\"щ\"}\n");
    Table *t;
    TableItem items[4];
    Err e = { 0 };
    size_t n;
    assert_int_equal(table_open_memory(&t, STR_LIT("name,text\nJos\xe9,caf\xe9\nM\xc3\xbcller,\xc3\xa9\n"), "x.csv", &(TableOptions){ .encoding = NULL }, &e), 0);
    assert_int_equal(table_read(t, items, 4, 1000, &n, &e), 0);
    const TableMember *m = table_member(t, 0);
    assert_int_equal(n, 2);
    assert_string_equal(m->encoding.name, "windows-1252");
    assert_true(m->encoding.utf8 && m->encoding.converted.count == 1 && m->encoding.converted.first[0] == 2);
    assert_true(m->kind == TABLE_CSV && m->rows == 2 && m->csv.header && table_members(t) == 1);
    const char *const *names;
    assert_int_equal(table_columns(t, &names), 2);
    assert_string_equal(names[1], "text");
    table_close(t);
    /* a record of two lines is one row; the header is none */
    assert_int_equal(table_open_memory(&t, STR_LIT("name,t\xc3\xa9xt\nM\xc3\xbcller,\"\xc3\xa9\n\xc3\xa9\"\nJos\xe9,caf\xe9\nx,\xc3\xa9\n"), "x.csv", &(TableOptions){ .encoding = "CP1252" }, &e), 0);
    do
        assert_int_equal(table_read(t, items, ARRAY_LEN(items), 1000, &n, &e), 0);
    while (n);
    assert_int_equal(table_member(t, 0)->misread, 2);
    assert_int_equal(table_member(t, 0)->encoding.misread.count, 4);
    table_close(t);
    assert_int_equal(table_open_memory(&t, STR_LIT("a"), "x.csv", &(TableOptions){ .encoding = "nonsense" }, &e), 0);
    assert_int_equal(table_read(t, items, 4, 1000, &n, &e), ERR_ARG);
    table_close(t);
}

static char *dump_golden(const char *name, const TableOptions *opt)
{
    Table *t;
    Err e = { 0 };
    char *path = path_join(GOLDEN, name);
    if (table_open(&t, path, opt, &e))
        fail_msg("%s", e.text);
    char *text = dump_table(t, 100, 1 << 20);
    table_close(t);
    free(path);
    return text;
}

static void test_packings(void **state)
{
    (void)state;
    static const char *const files[] = { "packed/rows.jsonl.gz", "packed/two_parts.gz", "packed/rows.bz2", "packed/rows.xz", "packed/rows.zst" };
    static const char *const archives[] = { "packed/members.zip", "packed/members.tar", "packed/members.tar.gz", "packed/members.tar.xz", "packed/members.tar.zst", "packed/gz_inside.zip" };
    char *want = dump_golden("packed/rows.jsonl", NULL);
    assert_true(strlen(want) > 50 * 30 && !strchr(want, '!'));
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char *got = dump_golden(files[i], NULL);
        check_text(got, want);
        free(got);
    }
    StrBuf both = { 0 };
    strbuf_addf(&both, "%s2 1 {\"text\":\"hello\",\"label\":\"a\"}\n3 2 {\"text\":\"bye\",\"label\":\"b\"}\n", want);
    for (size_t i = 0; i < ARRAY_LEN(archives); i++) {
        char *got = dump_golden(archives[i], NULL);
        check_text(got, both.p);
        free(got);
    }
    char *cut = dump_golden("packed/cut.gz", NULL), *end = strstr(cut, "!! ");   /* whole rows first, then the damage */
    assert_non_null(end);
    assert_true(end > cut + 500);
    assert_memory_equal(cut, want, (size_t)(end - cut));
    assert_non_null(strstr(end, "cut.gz: the gzip data is damaged"));
    free(cut);
    cut = dump_golden("packed/damaged.zip", NULL);
    assert_non_null(strstr(cut, "data/rows.jsonl: the zip archive is damaged"));
    free(cut);
    cut = dump_golden("packed/bomb.zip", &(TableOptions){ .row_max = 1 << 20 });
    assert_non_null(strstr(cut, "zeros.txt: "));
    free(cut);
    strbuf_release(&both);
    free(want);
}

/* The rows of every golden CSV file are those of Python, under the names of its first row. */
static void test_golden_csv(void **state)
{
    (void)state;
    Json *all, *one;
    JsonIter it = { 0 };
    Str name;
    Err e = { 0 };
    assert_int_equal(json_read_file(&all, GOLDEN "csv/expected.json", &e), 0);
    while (json_each(all, &it, &name, &one)) {
        const Json *rows = json_get(one, "rows"), *head = json_at(rows, 0);
        char path[512];
        Table *t;
        TableItem items[100];
        size_t n;
        snprintf(path, sizeof path, GOLDEN "csv/%s.csv", name.p);
        assert_int_equal(table_open(&t, path, &(TableOptions){ .csv.header = CSV_YES }, &e), 0);
        assert_int_equal(table_read(t, items, ARRAY_LEN(items), 1 << 20, &n, &e), 0);
        if (str_eqz(name, "quotes_inside"))
            n--;                                         /* Python takes the text behind a closing quote; here it is an error */
        for (size_t i = 0; i < n; i++) {
            Json *row;
            if (table_parse(t, &items[i], &row, &e))
                fail_msg("%s", e.text);
            assert_int_equal(json_len(row), json_len(head));
            for (size_t k = 0; k < json_len(head); k++)
                assert_true(str_eq(json_str(json_get(row, json_str(json_at(head, k)).p)), json_str(json_at(json_at(rows, i + 1), k))));
            json_free(row);
        }
        assert_int_equal(n + str_eqz(name, "quotes_inside"), json_len(rows) - 1);
        table_close(t);
    }
    json_free(all);
}

static void test_row_bound(void **state)
{
    (void)state;
    const TableOptions small = { .row_max = 300000 }, paragraphs = { .row_max = 300000, .paragraphs = true };
    StrBuf text = { 0 };
    char *xs = mem_alloc(900001), want[200];
    memset(xs, 'x', 900000);
    xs[900000] = '\0';
    strbuf_addf(&text, "{\"a\":1}\n{\"a\":\"%s\"}\n{\"a\":3}\n", xs);
    check_rows(strbuf_str(&text), "x.jsonl", &small, "1 1 {\"a\":1}\n2 2 ! x.jsonl, line 2, row 2: the row is longer than 300000 bytes, the most that is allowed; split it\n3 3 {\"a\":3}\n");
    strbuf_clear(&text);
    strbuf_addf(&text, "[{\"a\":1},\n{\"a\":\"%s\n\"},\n{\"a\":3}]", xs);
    check_rows(strbuf_str(&text), "x.json", &small, "1 1 {\"a\":1}\n2 2 ! x.json, line 2, row 2: the row is longer than 300000 bytes, the most that is allowed; split it\n4 3 {\"a\":3}\n");
    strbuf_clear(&text);
    strbuf_addf(&text, "a,b\n1,2\n3,%s\n5,\"%s\n7,8\n", xs, xs);
    check_rows(strbuf_str(&text), "x.csv", &small,
               "2 1 {\"a\":\"1\",\"b\":\"2\"}\n3 2 ! x.csv, line 3, row 2: the row is longer than 300000 bytes, the most that is allowed; split it\n"
               "4 3 ! x.csv, line 4, row 3: a quote opens here and is not closed within 300000 bytes, the most that one row may have; close it, double it if it belongs to the text, or split the row\n"
               "5 4 {\"a\":\"7\",\"b\":\"8\"}\n");
    strbuf_clear(&text);
    strbuf_addf(&text, "a\n\n%s\n\nb", xs);
    snprintf(want, sizeof want, "1 1 {\"text\":\"a\"}\n3 0 ! x.txt: line 3: the paragraph is longer than 300000 bytes, the most that one row may have; it and what follows is not read\n");
    check_rows(strbuf_str(&text), "x.txt", &paragraphs, want);
    strbuf_clear(&text);
    strbuf_addz(&text, "{\"a\":[0");
    for (size_t i = 0; i < TABLE_VALUES_MAX; i++)
        strbuf_addz(&text, ",0");
    strbuf_addz(&text, "]}\n{\"a\":\"");
    for (size_t i = 0; i < TABLE_VALUES_MAX; i++)
        strbuf_addz(&text, ",,");
    strbuf_addz(&text, "\"}\n");
    Table *t;
    TableItem item[2];
    size_t n = 0;
    Json *row = NULL;
    Err e = { 0 };
    assert_int_equal(table_open_memory(&t, strbuf_str(&text), "x.jsonl", NULL, &e), 0);
    assert_int_equal(table_read(t, item, 2, SIZE_MAX, &n, &e), 0);
    assert_int_equal(n, 2);
    assert_int_equal(table_parse(t, &item[0], &row, &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, "the row holds more than 4194304 values, the most that is allowed; split it");
    assert_int_equal(table_parse(t, &item[1], &row, &e), 0); /* commas in a text are no values */
    json_free(row);
    table_close(t);
    free(xs);
    strbuf_release(&text);
}

/* A row of 100 MB, which the reader for training does not take. */
static void test_huge_row(void **state)
{
    (void)state;
    const size_t n = (size_t)100 << 20;
    char *text = mem_alloc(n + 64);
    memset(text, 'y', n + 64);
    memcpy(text, "{\"a\":1}\n{\"text\":\"", 17);
    memcpy(text + n, "\"}\n{\"a\":2}\n", 11);
    Table *t;
    TableItem items[4];
    Err e = { 0 };
    size_t got, rows = 0;
    assert_int_equal(table_open_memory(&t, (Str){ text, n + 11 }, "x.jsonl", NULL, &e), 0);
    while (!table_read(t, items, 4, 1 << 20, &got, &e) && got)
        for (size_t i = 0; i < got; i++) {
            Json *row;
            if (table_parse(t, &items[i], &row, &e))
                fail_msg("%s", e.text);
            rows++;
            if (rows == 2)
                assert_int_equal(json_str(json_get(row, "text")).n, n - 17);
            json_free(row);
        }
    assert_int_equal(rows, 3);
    table_close(t);
    free(text);
}

/* Parquet and Arrow: the rows are those of the file's own reader, wherever it lies. tests/formats/golden/arrow/types-*.jsonl has them. */
static void check_columnar(const char *path, TableKind kind, const char *member, const char *rows)
{
    Table    *t;
    TableItem items[2];
    Err       e = { 0 };
    size_t    n, row = 0;
    char     *want, *at, *dir = check_dir();
    assert_int_equal(file_read_text(rows, &want, &n, &e), 0);
    at = want;
    assert_int_equal(table_open(&t, path, &(TableOptions){ .spool = dir }, &e), 0);
    for (;;) {
        if (table_read(t, items, ARRAY_LEN(items), 1 << 20, &n, &e))
            fail_msg("%s", e.text);
        if (!n)
            break;
        for (size_t i = 0; i < n; i++, row++) {
            Json  *got = NULL, *line = NULL;
            StrBuf a = { 0 }, b = { 0 };
            char  *end = strchr(at, '\n');
            assert_int_equal(items[i].at.row, row + 1);
            if (table_parse(t, &items[i], &got, &e))
                fail_msg("%s", e.text);
            assert_int_equal(json_parse(&line, (Str){ at, (size_t)(end - at) }, rows, &e), 0);
            json_write(&a, got, false);
            json_write(&b, line, false);
            assert_string_equal(strbuf_z(&a), strbuf_z(&b));
            at = end + 1;
            json_free(got);
            json_free(line);
            strbuf_release(&a);
            strbuf_release(&b);
        }
    }
    assert_int_equal(*at, 0);
    assert_int_equal(table_members(t), 1);
    assert_int_equal(table_member(t, 0)->kind, kind);
    assert_int_equal(table_member(t, 0)->rows, row);
    assert_string_equal(table_member(t, 0)->name, member);
    table_close(t);
    free(want);
    check_dir_done(dir); /* what was unpacked left nothing */
}

static void test_columnar(void **state)
{
    (void)state;
    check_columnar(TEST_DIR "/formats/golden/arrow/types-stream-zstd.arrow", TABLE_ARROW, "", TEST_DIR "/formats/golden/arrow/types-stream-zstd.jsonl");
    check_columnar(TEST_DIR "/formats/golden/arrow/types-file-lz4.arrow", TABLE_ARROW, "", TEST_DIR "/formats/golden/arrow/types-file-lz4.jsonl");
    check_columnar(TEST_DIR "/formats/golden/arrow/packed/stream.arrow.gz", TABLE_ARROW, "", TEST_DIR "/formats/golden/arrow/types-stream-plain.jsonl");
    check_columnar(TEST_DIR "/formats/golden/arrow/packed/rows.zip", TABLE_PARQUET, "data/rows.parquet", TEST_DIR "/formats/golden/arrow/packed/rows.jsonl");
    check_columnar(TEST_DIR "/formats/golden/arrow/packed/rows.tar", TABLE_PARQUET, "rows.parquet", TEST_DIR "/formats/golden/arrow/packed/rows.jsonl");
    /* a damaged one among others, and no room */
    Table    *t;
    TableItem items[4];
    Err       e = { 0 };
    size_t    n;
    assert_int_equal(table_open(&t, TEST_DIR "/formats/golden/arrow/packed/three.zip", NULL, &e), 0);
    assert_int_equal(table_read(t, items, 4, 1 << 20, &n, &e), 0);
    assert_int_equal(n, 2);
    assert_int_equal(table_read(t, items, 4, 1 << 20, &n, &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, "three.zip: b.arrow: the message at byte");
    assert_int_equal(table_read(t, items, 4, 1 << 20, &n, &e), 0);
    assert_int_equal(n, 1);
    assert_int_equal(table_read(t, items, 4, 1 << 20, &n, &e), 0);
    assert_int_equal(n, 0);
    table_close(t);
    assert_int_equal(table_open(&t, TEST_DIR "/formats/golden/arrow/packed/rows.zip", &(TableOptions){ .spool = "/nowhere" }, &e), 0);
    assert_int_equal(table_read(t, items, 4, 1 << 20, &n, &e), ERR_IO);
    check_says(&e, ERR_IO, "/nowhere: no file can be made there to unpack into");
    table_close(t);
    assert_int_equal(table_open(&t, TEST_DIR "/formats/golden/arrow/packed/rows.zip", &(TableOptions){ .limits.bytes = 1000 }, &e), 0);
    assert_int_equal(table_read(t, items, 4, 1 << 20, &n, &e), ERR_INPUT); /* the bounds of unpacking hold */
    table_close(t);
}

/* Parsing on several threads gives what one gives. */
typedef struct Parse { Table *t; TableItem *items; Json **rows; } Parse;

static void parse_piece(void *ctx, int64_t i, int worker)
{
    (void)worker;
    Parse *p = ctx;
    Err e;
    table_parse(p->t, &p->items[i], &p->rows[i], &e);
}

static void test_threads(void **state)
{
    (void)state;
    StrBuf text = { 0 }, got = { 0 };
    strbuf_addz(&text, "id,text\n");
    for (int i = 0; i < 5000; i++)
        strbuf_addf(&text, "%d,\"row \"\"%d\"\"\"\n", i, i);
    static TableItem items[5000];
    static Json *rows[5000];
    Table *t;
    Err e = { 0 };
    size_t n;
    Pool *pool = pool_new(4);
    assert_int_equal(table_open_memory(&t, strbuf_str(&text), "x.csv", NULL, &e), 0);
    assert_int_equal(table_read(t, items, 5000, 1 << 24, &n, &e), 0);
    assert_int_equal(n, 5000);
    parallel_for(pool, 5000, parse_piece, &(Parse){ t, items, rows });
    for (int i = 0; i < 5000; i++) {
        strbuf_clear(&got);
        strbuf_addf(&got, "row \"%d\"", i);
        assert_true(str_eq(json_str(json_get(rows[i], "text")), strbuf_str(&got)));
        json_free(rows[i]);
    }
    table_close(t);
    pool_free(pool);
    strbuf_release(&text);
    strbuf_release(&got);
}

static void test_banking77(void **state)
{
    (void)state;
    static const char path[] = SHARED_DIR "/data/banking77/train.csv";
    if (!file_exists(path)) {
        print_message("SKIPPED: %s is not there\n", path);
        skip();
    }
    Table *t;
    TableItem items[100];
    Err e = { 0 };
    size_t n, rows = 0, breaks = 0;
    assert_int_equal(table_open(&t, path, NULL, &e), 0);
    while (!table_read(t, items, 100, 1 << 20, &n, &e) && n)
        for (size_t i = 0; i < n; i++) {
            Json *row;
            if (table_parse(t, &items[i], &row, &e))
                fail_msg("%s", e.text);
            const Str text = json_str(json_get(row, "text"));
            assert_true(text.n && json_str(json_get(row, "category")).n);
            breaks += memchr(text.p, '\n', text.n) != NULL;
            rows++;
            json_free(row);
        }
    assert_int_equal(rows, 10003);    /* as Python's csv counts */
    assert_true(breaks > 0);
    table_close(t);
}

/* What could not be read is given as it stands, up to a bound, and what is read ahead is no progress yet. */
static void test_raw(void **state)
{
    (void)state;
    StrBuf text = { 0 };
    Table *t = NULL;
    Err e = { 0 };
    TableItem item[4];
    size_t n;
    uint64_t done, total;
    strbuf_addz(&text, "id;text\n7;\"a \"b\" c\nmore\n8;d\n9;e\n10;\"x\"");
    for (int i = 0; i < 40000; i++)
        strbuf_addz(&text, "\xc3\xa4\xe2\x82\xac\n");
    assert_int_equal(table_open_memory(&t, strbuf_str(&text), "x.csv", NULL, &e), 0);
    assert_int_equal(table_read(t, item, 1, 1, &n, &e), 0);
    assert_int_equal(n, 1);
    assert_true(item[0].bad && !item[0].cut && str_eqz(item[0].text, "7;\"a \"b\" c\nmore"));
    table_progress(t, &done, &total);
    assert_int_equal(total, text.n);
    assert_true(done < 100);
    assert_int_equal(table_read(t, item, 4, 1 << 20, &n, &e), 0);
    assert_int_equal(n, 3);
    assert_true(item[2].bad && item[2].cut && item[2].text.n <= TABLE_RAW_MAX && item[2].text.n > TABLE_RAW_MAX - 4 && utf8_valid(item[2].text, NULL));
    table_progress(t, &done, &total);
    assert_int_equal(done, total);
    table_close(t);
    strbuf_release(&text);
    assert_int_equal(table_open_memory(&t, STR_LIT("{\"a\":1234567890}\n"), "x.jsonl", &(TableOptions){ .row_max = 8 }, &e), 0);
    assert_int_equal(table_read(t, item, 1, 1, &n, &e), 0);
    assert_true(n == 1 && item[0].bad && str_starts(item[0].text, "{\"a\":1"));
    table_close(t);
}

/* Random cuts and changes of good files: never a crash, every call ends, every bad row has its sentence. */
static void test_noise(void **state)
{
    (void)state;
    static const char *const files[] = { "packed/rows.jsonl", "csv/comma_lf.csv", "csv/backslash.csv", "packed/members.zip", "packed/members.tar.gz", "encodings/chinese_gbk.txt" };
    Rng r = rng_at(11, RNG_TEST, 0, 0);
    for (int turn = 0; turn < 600; turn++) {
        char *path = path_join(GOLDEN, files[turn % (int)ARRAY_LEN(files)]), *bytes;
        size_t n;
        Err e = { 0 };
        assert_int_equal(file_read_text(path, &bytes, &n, &e), 0);
        n = rng_below(&r, n) + 1;
        for (int k = 0; k < 3; k++)
            bytes[rng_below(&r, n)] = (char)rng_below(&r, 256);
        char *copy = mem_strndup(bytes, 0);
        copy = mem_realloc(copy, n, 1);
        memcpy(copy, bytes, n);
        free(dump_bytes((Str){ copy, n }, "x", &(TableOptions){ .paragraphs = turn & 1 }, 7, 1000));
        free(copy);
        free(bytes);
        free(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jsonl),     cmocka_unit_test(test_json),       cmocka_unit_test(test_long_json), cmocka_unit_test(test_csv),       cmocka_unit_test(test_wide_csv),
        cmocka_unit_test(test_text),      cmocka_unit_test(test_kinds),      cmocka_unit_test(test_encodings), cmocka_unit_test(test_packings),  cmocka_unit_test(test_golden_csv),
        cmocka_unit_test(test_row_bound), cmocka_unit_test(test_huge_row),   cmocka_unit_test(test_columnar),    cmocka_unit_test(test_threads),   cmocka_unit_test(test_banking77),
        cmocka_unit_test(test_raw),       cmocka_unit_test(test_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
