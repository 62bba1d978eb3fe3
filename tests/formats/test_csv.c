/* test_csv.c - fields as Python's csv module reads them, dialects found, bounds, and random round trips of csv_write_row. */
#include "formats/csv.h"

#include "base/check.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"

#include <stdio.h>

#define GOLDEN TEST_DIR "/formats/golden/tables/csv/"

/* All records of the text must be the rows of `want`, whatever the size of the pieces that are shown to csv_cut. */
static void check_table(const char *name, const CsvDialect *d, Str text, const Json *want, size_t step)
{
    CsvFields f = { 0 };
    size_t pos = 0, seen = 0, row = 0;
    while (pos < text.n) {
        seen = MIN(MAX(seen, pos + step), text.n);
        const CsvCut c = csv_cut(d, (Str){ text.p + pos, seen - pos }, seen == text.n, 0);
        if (c.kind == CSV_MORE) {
            assert_true(seen < text.n);
            seen += step;
            continue;
        }
        Err e = { 0 };
        assert_int_equal(c.kind, CSV_RECORD);
        assert_true(c.used > 0 && c.n <= c.used);
        if (c.n) {
            assert_int_equal(csv_split(&f, d, (Str){ text.p + pos, c.n }, &e), 0);
            const Json *fields = json_at(want, row++);
            if (f.n != json_len(fields))
                fail_msg("%s: row %zu has %zu fields, expected %zu", name, row, f.n, json_len(fields));
            for (size_t i = 0; i < f.n; i++)
                if (!str_eq(f.field[i], json_str(json_at(fields, i))))
                    fail_msg("%s: row %zu, field %zu is [%.*s], expected [%s]", name, row, i, (int)f.field[i].n, f.field[i].p, json_str(json_at(fields, i)).p);
        }
        pos += c.used;
    }
    assert_int_equal(row, json_len(want));
    csv_fields_release(&f);
}

static void test_golden(void **state)
{
    (void)state;
    Json *all, *one;
    JsonIter it = { 0 };
    Str name;
    Err e = { 0 };
    assert_int_equal(json_read_file(&all, GOLDEN "expected.json", &e), 0);
    while (json_each(all, &it, &name, &one)) {
        char path[512], *bytes;
        size_t n;
        CsvDialect d;
        snprintf(path, sizeof path, GOLDEN "%s.csv", name.p);
        assert_int_equal(file_read_text(path, &bytes, &n, &e), 0);
        Str text = { bytes, n };
        if (str_starts(text, "\xef\xbb\xbf"))
            text = (Str){ text.p + 3, text.n - 3 };
        const char line_end = memchr(text.p, '\n', text.n) ? '\n' : '\r';
        csv_find_dialect(&d, text, true, line_end, NULL);
        if (str_eqz(name, "one_column"))
            assert_int_equal(d.delimiter, ',');
        else if (d.delimiter != *json_str(json_get(one, "delimiter")).p)
            fail_msg("%s: the delimiter found is '%c'", name.p, d.delimiter);
        for (size_t step = 1; step <= n; step = step * 3 + 1)
            check_table(name.p, &d, text, json_get(one, "rows"), step);
        free(bytes);
    }
    assert_true(json_len(all) >= 17);
    json_free(all);
}

static CsvDialect find_in(const char *text)
{
    CsvDialect d;
    csv_find_dialect(&d, str_of(text), true, '\n', NULL);
    return d;
}

static void test_headers(void **state)
{
    (void)state;
    static const struct { const char *text; bool header, sure; } rows[] = {
        { "text,label\nhello,a\n",                           true,  true },
        { "foo,bar\n1,2\n3,4\n",                             true,  true },   /* numbers below words */
        { "1,2\n3,4\n",                                      false, true },
        { "apple,red\nbanana,yellow\n",                      true,  false },
        { "apple,red\nbanana,yellow\napple,green\n",         false, false },  /* a name does not come again */
        { "Hello, how are you?,x\nFine.,y\n",                false, true },
        { "a,a\n1,2\n",                                      true,  true },   /* two columns of one name: plainly names, and the reader refuses them */
        { "id,name,name\n1,x,y\n",                           true,  true },
        { "a,a\nx,y\n",                                      false, false },  /* nothing says that these are names */
        { ",text\n0,hello\n1,bye\n",                         true,  true },   /* pandas leaves its index without a name */
        { "text\n",                                          true,  true },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const CsvDialect d = find_in(rows[i].text);
        if (d.header != rows[i].header || d.header_sure != rows[i].sure)
            fail_msg("row %zu: header %d, sure %d", i, d.header, d.header_sure);
    }
    CsvDialect d;
    csv_find_dialect(&d, STR_LIT("1,2\n"), true, '\n', &(CsvOptions){ .header = CSV_YES, .delimiter = ';', .quoting = CSV_NO, .backslash = CSV_YES });
    assert_true(d.header && d.header_sure && d.delimiter == ';' && !d.quote && d.escape == '\\');
}

static void test_marks(void **state)
{
    (void)state;
    assert_int_equal(find_in("a|b\nc|d\n").delimiter, '|');
    assert_int_equal(find_in("a,b;c\nd;e\nf;g,h,i\n").delimiter, ';');
    assert_int_equal(find_in("just text, no columns\nat all\nand more, and, more\nend\n").delimiter, ',');
    assert_int_equal(find_in("'a','b, c'\n'd','e'\n").quote, '\'');
    assert_int_equal(find_in("it's,'tis\nd'or,e\n").quote, '"');
    assert_int_equal(find_in("\"say \\\"hi\\\" now\",b\nx,y\n").escape, '\\');
    assert_int_equal(find_in("\"C:\\dir\\\",b\n\"x \"\"y\"\" z\",w\n").escape, 0);
    assert_int_equal(find_in("\"{\"\"a\"\": \"\"b \\\"\"c\\\"\" d\"\"}\",x\ny,z\n").escape, 0);   /* JSON in a field */
    const CsvDialect d = find_in("");
    assert_true(d.delimiter == ',' && !d.header);
}

static void test_bad_records(void **state)
{
    (void)state;
    const CsvDialect d = { .delimiter = ',', .quote = '"', .doubled = true, .line_end = '\n' };
    static const struct { const char *text; CsvCutKind kind; size_t used, lines, bad_lines; } rows[] = {
        { "a,\"b\nc,d\ne",       CSV_OPEN_QUOTE,   5, 1, 0 },
        { "\"a\nb\",\"c\nd\ne",  CSV_OPEN_QUOTE,   9, 2, 1 },   /* the second quote opens in the second line */
        { "\"a\"x,b\nc",         CSV_BEHIND_QUOTE, 7, 1, 0 },
        { "\"a\nb\"x\nc",        CSV_BEHIND_QUOTE, 3, 1, 0 },
        { "\"a\" ,b\nc",         CSV_BEHIND_QUOTE, 7, 1, 0 },
        { "\"",                  CSV_OPEN_QUOTE,   1, 0, 0 },
        { "\"a\"\r\nb",          CSV_RECORD,       5, 1, 0 },
        { "\"a\"\r",             CSV_RECORD,       4, 0, 0 },
        { "\"a\"\"\"\n",         CSV_RECORD,       6, 1, 0 },
        { "a\"b\"c,d\n",         CSV_RECORD,       8, 1, 0 },
        { "\n",                  CSV_RECORD,       1, 1, 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const CsvCut c = csv_cut(&d, str_of(rows[i].text), true, 0);
        if (c.kind != rows[i].kind || c.used != rows[i].used || c.lines != rows[i].lines || c.bad_lines != rows[i].bad_lines)
            fail_msg("row %zu: kind %d, used %zu, lines %zu, bad lines %zu", i, (int)c.kind, c.used, c.lines, c.bad_lines);
        for (size_t n = 0; n < strlen(rows[i].text); n++) {              /* with less text the answer is the same or "more" */
            const CsvCut part = csv_cut(&d, (Str){ rows[i].text, n }, false, 0);
            assert_true(part.kind == CSV_MORE || (part.kind == c.kind && part.used == c.used && part.lines == c.lines));
        }
    }
}

/* Behind a bad quote: the row ends before the next line that begins a record of so many fields, whatever the pieces that are shown. */
static void test_resume(void **state)
{
    (void)state;
    const CsvDialect d = { .delimiter = ';', .quote = '"', .doubled = true, .line_end = '\n' };
    static const struct { const char *text; size_t columns; const char *bad; bool resumed; } rows[] = {
        { "1;\"a \"b\" c\nmore; of it\nend\";x;y\n2;\"d\n\ne\";z;w\n3;f;g;h\n", 4, "1;\"a \"b\" c\nmore; of it\nend\";x;y", true }, /* quotes that are not doubled */
        { "1;x;y;\"never closed\nmore\n2;\"d\";z;w\n3;f;g;h\n",                   4, "1;x;y;\"never closed\nmore", true },
        { "1;x;y;\"never closed\r\nmore\r\n2;d;z;w\r\n",                          4, "1;x;y;\"never closed\r\nmore", true },       /* no quote behind it at all */
        { "1;\"a\"b;c;d\nmore\nand more",                                         4, "1;\"a\"b;c;d\nmore\nand more", false },
        { "\"a\"b;c\nDear Sir; yes\nno\n2;d\n3;e\n",                              2, "\"a\"b;c\nDear Sir; yes\nno", true },           /* one line with a mark is no record yet */
        { "\"a\"b;c\n2;d\n\n\"bad\"e;f\n",                                         2, "\"a\"b;c", true },
        { "\"a\"b\n\nword\n",                                                      1, "\"a\"b\n", true },
        { "\"a\"b\nx;y;z\n",                                                       0, "\"a\"b", true },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const Str text = str_of(rows[i].text);
        for (size_t n = 1; n <= text.n; n++) {
            const bool last = n == text.n;
            size_t budget = 1000;
            CsvCut c = csv_cut(&d, (Str){ text.p, n }, last, 0);
            if (c.kind == CSV_MORE || !csv_resume(&d, (Str){ text.p, n }, last, 0, rows[i].columns, &budget, &c)) {
                assert_false(last);
                continue;
            }
            if (c.n != strlen(rows[i].bad) || c.resumed != rows[i].resumed || c.kind == CSV_RECORD)
                fail_msg("row %zu, %zu bytes: kind %d, [%.*s], resumed %d", i, n, (int)c.kind, (int)c.n, text.p, c.resumed);
            size_t lines = 0;
            for (size_t k = 0; k < c.used; k++)
                lines += text.p[k] == '\n';
            assert_int_equal(c.lines, lines);
        }
    }
    /* a bound on what is looked at: quotes that hide each other for a megabyte end with the region, in no time */
    const size_t n = 3 << 20;
    char *hard = mem_alloc(n);
    memset(hard, '"', n);
    for (size_t i = 5; i < n; i += 6)
        hard[i] = '\n';
    memcpy(hard, "\"a\"b\n", 5);
    CsvCut c = csv_cut(&d, (Str){ hard, n }, true, 0);
    assert_int_equal(c.kind, CSV_BEHIND_QUOTE);
    size_t budget = 8 << 20;
    CsvCut cheap = c;
    assert_true(csv_resume(&d, (Str){ hard, n }, true, 0, 4, &budget, &c));
    assert_true(!c.resumed && c.used > CSV_RESUME_MAX - 8 && c.used <= CSV_RESUME_MAX + 8);
    budget = 1000; /* what is looked at in vain is paid for */
    assert_true(csv_resume(&d, (Str){ hard, n }, true, 0, 4, &budget, &cheap));
    assert_true(!cheap.resumed && !budget && cheap.used < 1100);
    free(hard);
}

static void test_bounds(void **state)
{
    (void)state;
    const CsvDialect d = { .delimiter = ',', .quote = '"', .doubled = true, .line_end = '\n' };
    CsvFields f = { 0 };
    Err e = { 0 };
    char *commas = mem_alloc(1000000);
    memset(commas, ',', 1000000);
    assert_int_equal(csv_split(&f, &d, (Str){ commas, 1000000 }, &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, "it has more than 65536 columns");
    assert_int_equal(csv_split(&f, &d, (Str){ commas, CSV_COLUMNS_MAX - 1 }, &e), 0);
    assert_int_equal(f.n, CSV_COLUMNS_MAX);
    free(commas);
    assert_int_equal(csv_cut(&d, STR_LIT("abcdefgh"), false, 5).kind, CSV_TOO_LONG);
    assert_int_equal(csv_cut(&d, STR_LIT("abcdefgh\nx"), false, 5).used, 9);
    assert_int_equal(csv_cut(&d, STR_LIT("abcde\nx"), false, 5).kind, CSV_RECORD);
    CsvCut c = csv_cut(&d, STR_LIT("ab\n\"cdefg\nhijk"), false, 5);
    assert_int_equal(c.kind, CSV_RECORD);
    c = csv_cut(&d, STR_LIT("\"cd\nefg\nhijk"), false, 5);
    assert_int_equal(c.kind, CSV_OPEN_TOO_LONG);
    assert_int_equal(c.used, 4);
    const size_t n = CSV_FIELD_MAX + 1;
    char *field = mem_alloc(n);
    memset(field, 'x', n);
    assert_int_equal(csv_split(&f, &d, (Str){ field, n }, &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, "column 1 has 67108865 bytes, at most 64 MiB are allowed");
    assert_int_equal(csv_split(&f, &d, (Str){ field, n - 1 }, &e), 0);
    assert_int_equal(csv_split(&f, &d, STR_LIT("a,\"b"), &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, "column 2 begins with a quote that is never closed");
    assert_int_equal(csv_split(&f, &d, STR_LIT("\"a\"b"), &e), ERR_INPUT);
    free(field);
    csv_fields_release(&f);
}

/* Rows of random bytes of the dangerous kind, in every dialect: what was written is read. */
static void test_round_trips(void **state)
{
    (void)state;
    static const char alphabet[] = "ab ,;\t|\"'\\\r\n\0\xc3\xa9";
    static const CsvDialect dialects[] = {
        { .delimiter = ',', .quote = '"', .doubled = true, .line_end = '\n' },
        { .delimiter = ';', .quote = '\'', .doubled = true, .line_end = '\n' },
        { .delimiter = '\t', .quote = '"', .escape = '\\', .line_end = '\n' },
        { .delimiter = '|', .quote = '"', .escape = '\\', .doubled = true, .line_end = '\n' },
        { .delimiter = ',', .quote = '"', .doubled = true, .line_end = '\r' },
        { .delimiter = ',', .quote = '"', .doubled = true, .skip_space = true, .line_end = '\n' },
    };
    Rng r = rng_at(7, RNG_TEST, 0, 0);
    CsvFields f = { 0 };
    for (int turn = 0; turn < 6000; turn++) {
        const CsvDialect *d = &dialects[turn % (int)ARRAY_LEN(dialects)];
        StrBuf text = { 0 };
        char bytes[4][5][12];
        Str fields[4][5];
        const size_t rows = 1 + rng_below(&r, 4), columns = 1 + rng_below(&r, 5);
        for (size_t i = 0; i < rows; i++) {
            for (size_t k = 0; k < columns; k++) {
                const size_t n = rng_below(&r, 12);
                for (size_t b = 0; b < n; b++)
                    bytes[i][k][b] = alphabet[rng_below(&r, sizeof alphabet - 1)];
                fields[i][k] = (Str){ bytes[i][k], n };
            }
            csv_write_row(&text, d, turn & 8, fields[i], columns);
        }
        size_t pos = 0;
        for (size_t i = 0; i < rows; i++) {
            Err e = { 0 };
            const CsvCut c = csv_cut(d, (Str){ text.p + pos, text.n - pos }, true, 0);
            if (c.kind != CSV_RECORD || csv_split(&f, d, (Str){ text.p + pos, c.n }, &e))
                fail_msg("turn %d, row %zu: kind %d %s", turn, i, (int)c.kind, e.text);
            assert_int_equal(f.n, columns);
            for (size_t k = 0; k < columns; k++)
                assert_true(str_eq(f.field[k], fields[i][k]));
            pos += c.used;
        }
        assert_int_equal(pos, text.n);
        strbuf_release(&text);
    }
    csv_fields_release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),      cmocka_unit_test(test_headers), cmocka_unit_test(test_marks),
        cmocka_unit_test(test_bad_records), cmocka_unit_test(test_resume), cmocka_unit_test(test_bounds),  cmocka_unit_test(test_round_trips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
