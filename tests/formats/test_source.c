/* test_source.c - every packing gives the bytes that Python packed; damage, bombs and bounds are one sentence with the member's name. */
#include "formats/source.h"

#include "base/mem.h"
#include "base/check.h"

#include <zlib.h>

#define GOLDEN TEST_DIR "/formats/golden/tables/packed/"

static char *rows;
static size_t rows_n;

/* The whole member; the error's code when reading it fails. */
static int read_member(Source *s, StrBuf *out, size_t step, Err *e)
{
    uint8_t buf[65536];
    size_t n;
    int rc;
    strbuf_clear(out);
    while (!(rc = source_read(s, buf, MIN(step, sizeof buf), &n, e)) && n)
        strbuf_add(out, buf, n);
    return rc;
}

static void check_rows(Source *s, size_t step)
{
    StrBuf text = { 0 };
    Err e = { 0 };
    if (read_member(s, &text, step, &e))
        fail_msg("%s", e.text);
    assert_int_equal(text.n, rows_n);
    assert_memory_equal(text.p, rows, rows_n);
    strbuf_release(&text);
}

static Source *open_golden(const char *name, const SourceLimits *limits)
{
    Source *s = NULL;
    Err e = { 0 };
    char *path = path_join(GOLDEN, name);
    if (source_open(&s, path, limits, &e))
        fail_msg("%s", e.text);
    free(path);
    return s;
}

static void test_single_files(void **state)
{
    (void)state;
    static const struct { const char *file, *packing; } files[] = {
        { "rows.jsonl", "plain" }, { "rows.jsonl.gz", "gzip" }, { "two_parts.gz", "gzip" }, { "rows.bz2", "bzip2 file" }, { "rows.xz", "xz file" }, { "rows.zst", "zstd file" },
    };
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        for (size_t step = 1; step < 100000; step = step * 7 + 1) {
            Err e = { 0 };
            Source *s = open_golden(files[i].file, NULL);
            assert_int_equal(source_next(s, &e), 1);
            assert_string_equal(source_member(s), "");
            assert_string_equal(source_packing(s), files[i].packing);
            assert_int_equal(source_is_plain(s), i == 0);
            check_rows(s, step);
            assert_int_equal(source_next(s, &e), 0);
            uint64_t done, total;
            source_progress(s, &done, &total);
            assert_true(total > 0 && done <= total);
            source_close(s);
        }
}

static void test_archives(void **state)
{
    (void)state;
    static const struct { const char *file; uint64_t skipped; } files[] = {
        { "members.zip", 2 }, { "members.tar", 4 }, { "members.tar.gz", 4 }, { "members.tar.xz", 4 }, { "members.tar.zst", 4 },
    };
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        for (int skip = 0; skip < 2; skip++) {
            Err e = { 0 };
            StrBuf text = { 0 };
            Source *s = open_golden(files[i].file, NULL);
            assert_int_equal(source_next(s, &e), 1);
            assert_string_equal(source_member(s), "data/rows.jsonl");
            assert_true(str_ends(str_of(source_where(s)), ": data/rows.jsonl"));
            if (!skip)
                check_rows(s, 1000);
            assert_int_equal(source_next(s, &e), 1);
            assert_string_equal(source_member(s), "data/table.csv");
            assert_int_equal(read_member(s, &text, 10, &e), 0);
            check_text(text.p, "text,label\nhello,a\nbye,b\n");
            assert_int_equal(source_next(s, &e), 0);
            assert_int_equal(source_next(s, &e), 0);
            assert_int_equal(source_skipped(s), files[i].skipped);
            strbuf_release(&text);
            source_close(s);
        }
}

static void test_gzip_inside(void **state)
{
    (void)state;
    Err e = { 0 };
    Source *s = open_golden("gz_inside.zip", NULL);
    assert_int_equal(source_next(s, &e), 1);
    assert_string_equal(source_member(s), "rows.jsonl.gz");
    check_rows(s, 777);
    assert_int_equal(source_next(s, &e), 1);
    assert_string_equal(source_member(s), "table.csv");
    assert_int_equal(source_next(s, &e), 0);
    source_close(s);
    s = open_golden("zip_inside.zip", NULL);
    assert_int_equal(source_next(s, &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, "zip_inside.zip: inner.zip: this is a zip archive inside of an archive");
    assert_int_equal(source_next(s, &e), 1); /* the next member can be read all the same */
    assert_string_equal(source_member(s), "table.csv");
    source_close(s);
}

static void test_empty(void **state)
{
    (void)state;
    Err e = { 0 };
    uint8_t b;
    size_t n = 1;
    Source *s = open_golden("empty.gz", NULL);
    assert_int_equal(source_next(s, &e), 1);
    assert_int_equal(source_read(s, &b, 1, &n, &e), 0);
    assert_int_equal(n, 0);
    source_close(s);
    assert_int_equal(source_open_memory(&s, (Str){ 0 }, "nothing", NULL, &e), 0);
    assert_int_equal(source_next(s, &e), 1);
    assert_int_equal(source_read(s, &b, 1, &n, &e), 0);
    assert_int_equal(n, 0);
    source_close(s);
    assert_int_equal(source_open_memory(&s, STR_LIT("BZh1\x17rE8P\x90\0\0\0\0"), "nothing.bz2", NULL, &e), 0);
    assert_int_equal(source_next(s, &e), 1);
    assert_int_equal(source_peek(s).n, 0);
    source_close(s);
    assert_int_equal(source_open(&s, GOLDEN "absent", NULL, &e), ERR_INPUT);
    assert_null(s);
    assert_true(source_open(&s, GOLDEN, NULL, &e) < 0);
}

/* Reads all members to the first error; returns the bytes that came out before it. */
static size_t read_to_error(const char *name, const SourceLimits *limits, Err *e)
{
    Source *s = open_golden(name, limits);
    StrBuf text = { 0 };
    size_t bytes = 0;
    int rc;
    while ((rc = source_next(s, e)) > 0) {
        rc = read_member(s, &text, 65536, e);
        bytes += text.n;
        if (rc)
            break;
    }
    if (rc >= 0)
        fail_msg("%s: read to the end without an error, %zu bytes", name, bytes);
    for (int i = 0; i < 100 && source_next(s, NULL) != 0; i++) /* the walk ends */
        assert_true(i < 99);
    strbuf_release(&text);
    source_close(s);
    return bytes;
}

static void test_damage(void **state)
{
    (void)state;
    static const struct { const char *file, *sentence; } files[] = {
        { "cut.gz",      "cut.gz: the gzip data is damaged after" },      { "checksum.gz", "incorrect data check" },
        { "trailing.gz", "other bytes follow its end" },                  { "cut.xz",      "cut.xz: the xz file is damaged" },
        { "cut.zst",     "cut.zst: the zstd file is damaged" },           { "cut.bz2",     "cut.bz2: the bzip2 file is damaged" },
        { "cut.tar.gz",  "cut.tar.gz: data/rows.jsonl: the tar archive is damaged" },
        { "damaged.zip", "damaged.zip: data/rows.jsonl: the zip archive is damaged" },
    };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        Err e = { 0 };
        read_to_error(files[i].file, NULL, &e);
        check_says(&e, ERR_INPUT, files[i].sentence);
    }
    Err e = { 0 };
    assert_int_equal(read_to_error("checksum.gz", NULL, &e), rows_n); /* what could be unpacked is given first */
    assert_true(read_to_error("cut.gz", NULL, &e) > rows_n / 3);
}

static void test_bombs(void **state)
{
    (void)state;
    static const char *const files[] = { "bomb.gz", "bomb.xz", "bomb.zip", "bomb_hidden.tar.xz" };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        Err e = { 0 };
        assert_true(read_to_error(files[i], NULL, &e) < (size_t)24 << 20);
        check_says(&e, ERR_INPUT, "it unpacks to more than 1000 times its size, which no data does");
    }
}

/* ---- zips with a bad member, written here ---- */

typedef struct Zipped { const char *name; Str data; int harm; } Zipped; /* harm: see put_zip */
typedef enum { BOX_PLAIN, BOX_GZIP, BOX_GZIP_STREAM, BOXES } Box;       /* STREAM: sizes stand behind the data, as programs write that cannot go back */
enum { HARM_NONE, HARM_DATA, HARM_CRC, HARM_SIGN, HARM_NAME, HARM_EXTRA, HARM_FIELDS, HARM_OFFSET };

static void put_le(StrBuf *out, uint32_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        strbuf_addc(out, (char)(v >> (8 * i)));
}

static void put_entry(StrBuf *out, const Zipped *z, uint32_t crc, uint32_t packed, int64_t offset)
{
    put_le(out, offset < 0 ? 0x04034b50 : 0x02014b50, 4);
    if (offset >= 0)
        put_le(out, 20, 2);
    put_le(out, 20, 2); /* version, flags (the name is UTF-8), deflate, time, date */
    put_le(out, 0x800, 2);
    put_le(out, 8, 2);
    put_le(out, 0, 4);
    put_le(out, crc, 4);
    put_le(out, packed, 4);
    put_le(out, (uint32_t)z->data.n, 4);
    put_le(out, (uint32_t)strlen(z->name), 4); /* and no extra field */
    if (offset >= 0) {
        put_le(out, 0, 4); /* comment, disk, attributes */
        put_le(out, 0, 2);
        put_le(out, 0, 4);
        put_le(out, (uint32_t)offset, 4);
    }
    strbuf_addz(out, z->name);
}

/* An archive of these with its table of contents; HARM_DATA spoils the packed bytes of a member, HARM_CRC its checksum; of the header before them HARM_SIGN the
 * signature, HARM_NAME and HARM_EXTRA a length, HARM_FIELDS what the table says as well; HARM_OFFSET the place that the table tells. */
static void put_zip(StrBuf *out, const Zipped *z, size_t n, Box box)
{
    StrBuf table = { 0 };
    for (size_t i = 0; i < n; i++) {
        const int64_t offset = (int64_t)out->n;
        z_stream      d = { 0 };
        assert_int_equal(deflateInit2(&d, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY), Z_OK);
        const size_t room = deflateBound(&d, z[i].data.n);
        uint8_t     *packed = mem_alloc(room);
        d.next_in = (Bytef *)(uintptr_t)z[i].data.p;
        d.avail_in = (uInt)z[i].data.n;
        d.next_out = packed;
        d.avail_out = (uInt)room;
        assert_int_equal(deflate(&d, Z_FINISH), Z_STREAM_END);
        const uint32_t size = (uint32_t)d.total_out, crc = (uint32_t)crc32(0, (const Bytef *)z[i].data.p, (uInt)z[i].data.n) ^ (z[i].harm == HARM_CRC);
        deflateEnd(&d);
        if (z[i].harm == HARM_DATA)
            memset(packed, 0xff, size / 2); /* a block of a kind that is not there */
        put_entry(out, &z[i], crc, size, -1);
        char *header = out->p + offset;
        header[0] = z[i].harm == HARM_SIGN ? 'Q' : header[0];
        header[27] = z[i].harm == HARM_NAME ? '\x7f' : header[27];
        header[29] = z[i].harm == HARM_EXTRA ? '\x7f' : header[29];
        if (z[i].harm == HARM_FIELDS)
            memset(header + 4, 0xff, 22);
        if (box == BOX_GZIP_STREAM) {
            header[6] = 8;
            memset(header + 14, 0, 12);
        }
        strbuf_add(out, (const char *)packed, size);
        if (box == BOX_GZIP_STREAM) {
            strbuf_addz(out, "PK\7\10");
            put_le(out, crc, 4);
            put_le(out, size, 4);
            put_le(out, (uint32_t)z[i].data.n, 4);
        }
        put_entry(&table, &z[i], crc, size, z[i].harm == HARM_OFFSET ? 0x7ffffff : offset);
        free(packed);
    }
    const uint32_t at = (uint32_t)out->n;
    strbuf_add(out, table.p, table.n);
    put_le(out, 0x06054b50, 4);
    put_le(out, 0, 4);
    put_le(out, (uint32_t)(n << 16 | n), 4);
    put_le(out, (uint32_t)table.n, 4);
    put_le(out, at, 4);
    put_le(out, 0, 2);
    strbuf_release(&table);
}

static void put_gzip(StrBuf *b)
{
    z_stream d = { 0 };
    assert_int_equal(deflateInit2(&d, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
    const size_t room = deflateBound(&d, b->n);
    char        *packed = mem_alloc(room);
    d.next_in = (Bytef *)b->p;
    d.avail_in = (uInt)b->n;
    d.next_out = (Bytef *)packed;
    d.avail_out = (uInt)room;
    assert_int_equal(deflate(&d, Z_FINISH), Z_STREAM_END);
    strbuf_clear(b);
    strbuf_add(b, packed, d.total_out);
    deflateEnd(&d);
    free(packed);
}

/* A bad member is told once, by its name, and those before and behind it are whole. */
static void test_bad_member(void **state)
{
    enum { ZEROS = 48 << 20 };
    char *zeros = mem_zalloc(ZEROS, 1);
    const Str good = { rows, rows_n }, bomb = { zeros, ZEROS };
    const struct { Zipped bad; const char *sentence; } cases[] = {
        { { "bad.jsonl", bomb, HARM_NONE }, "box.zip: bad.jsonl: it unpacks to more than 1000 times its size" },
        { { "bad.jsonl", good, HARM_DATA }, "box.zip: bad.jsonl: the zip archive is damaged" },
        { { "bad.jsonl", good, HARM_CRC },  "box.zip: bad.jsonl: the zip archive is damaged" },
        { { "b\xc3\xa4" "d.jsonl", good, HARM_SIGN }, "box.zip: b\xc3\xa4" "d.jsonl: the header before its data is damaged" },
        { { "bad.jsonl", good, HARM_NAME },   "box.zip: bad.jsonl: the header before its data is damaged" },
        { { "bad.jsonl", good, HARM_EXTRA },  "box.zip: bad.jsonl: the header before its data is damaged" },
        { { "bad.jsonl", good, HARM_OFFSET }, "box.zip: bad.jsonl: the header before its data is damaged" },
        { { "bad.jsonl", good, HARM_FIELDS }, NULL }, /* the table of contents knows better, and the checksum agrees */
    };
    (void)state;
    for (size_t c = 0; c < ARRAY_LEN(cases); c++)
        for (size_t k = 0; k < (size_t)3 * BOXES; k++) {
            const size_t place = k % 3;
            const Box    box = (Box)(k / 3);
            Zipped  z[3] = { { "a.jsonl", good, HARM_NONE }, { "b.jsonl", good, HARM_NONE }, { "c.jsonl", good, HARM_NONE } };
            StrBuf  zip = { 0 }, text = { 0 };
            Err     e = { 0 };
            Source *s;
            size_t  whole = 0, errors = 0;
            int     rc;
            if (box != BOX_PLAIN && cases[c].bad.data.p != zeros) /* where members come one after the other, damage hides the next */
                continue;
            z[place] = cases[c].bad;
            put_zip(&zip, z, ARRAY_LEN(z), box);
            if (box != BOX_PLAIN)
                put_gzip(&zip);
            assert_int_equal(source_open_memory(&s, strbuf_str(&zip), "box.zip", NULL, &e), 0);
            while ((rc = source_next(s, &e)) != 0) {
                if (rc > 0)
                    rc = read_member(s, &text, 65536, &e);
                if (!rc) {
                    if (text.n != rows_n || memcmp(text.p, rows, rows_n))
                        fail_msg("case %zu, place %zu, box %d: %s has %zu bytes that are not its own", c, place, box, source_where(s), text.n);
                    whole++;
                } else {
                    check_says(&e, ERR_INPUT, cases[c].sentence ? cases[c].sentence : "no error");
                    errors++;
                }
                if (errors + whole > 3)
                    fail_msg("case %zu, place %zu, box %d: the walk does not end: %s", c, place, box, e.text);
            }
            if (cases[c].sentence ? whole != 2 || errors != 1 : whole != 3 || errors)
                fail_msg("case %zu, place %zu, box %d: %zu whole members, %zu errors (%s)", c, place, box, whole, errors, e.text);
            source_close(s);
            strbuf_release(&zip);
            strbuf_release(&text);
        }
    free(zeros);
}

static void test_bounds(void **state)
{
    (void)state;
    Err e = { 0 };
    read_to_error("rows.jsonl.gz", &(SourceLimits){ .bytes = 100 }, &e);
    check_says(&e, ERR_INPUT, "rows.jsonl.gz: it unpacks to more than 100 bytes");
    read_to_error("members.zip", &(SourceLimits){ .bytes = 100 }, &e);
    check_says(&e, ERR_INPUT, "members.zip: data/rows.jsonl: it unpacks to more than 100 bytes");
    read_to_error("members.tar", &(SourceLimits){ .members = 2 }, &e);
    check_says(&e, ERR_INPUT, "members.tar: the archive has more than 2 members");
}

static void test_refused(void **state)
{
    (void)state;
    const struct { Str bytes; const char *sentence; } files[] = {
        { STR_LIT("7z\xbc\xaf\x27\x1c\0\4"), "this is a 7-Zip archive, which is not read here" },
        { STR_LIT("Rar!\x1a\x07\x01\0"), "this is a RAR archive" },
        { STR_LIT("PK\x03\x04 and nothing"), "the zip archive is damaged" },
    };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        Source *s;
        Err e = { 0 };
        assert_int_equal(source_open_memory(&s, files[i].bytes, "x", NULL, &e), 0);
        int rc = source_next(s, &e);
        if (rc > 0) {
            StrBuf text = { 0 };
            rc = read_member(s, &text, 100, &e);
            strbuf_release(&text);
        }
        assert_int_equal(rc, ERR_INPUT);
        check_says(&e, ERR_INPUT, files[i].sentence);
        source_close(s);
    }
}

/* The beginning of a member is seen before it is read, and is read all the same. */
static void test_peek(void **state)
{
    (void)state;
    static const char *const names[] = { "rows.jsonl", "rows.zst", "members.tar.gz" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        Err     e = { 0 };
        Source *s = open_golden(names[i], NULL);
        char    got[512];
        size_t  n, at = 0;
        assert_int_equal(source_next(s, &e), 1);
        Str  head = source_peek(s);
        char seen[512];
        assert_true(head.n > 0 && head.n <= 512);
        memcpy(seen, head.p, head.n);
        while (at < head.n && !source_read(s, got + at, head.n - at, &n, &e) && n)
            at += n;
        assert_int_equal(at, head.n);
        assert_memory_equal(got, seen, at);
        if (source_is_plain(s))
            assert_int_equal(source_bytes(s).n, rows_n);
        source_close(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single_files), cmocka_unit_test(test_archives), cmocka_unit_test(test_gzip_inside), cmocka_unit_test(test_empty),
        cmocka_unit_test(test_damage),       cmocka_unit_test(test_bombs),    cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_bad_member),   cmocka_unit_test(test_refused),
        cmocka_unit_test(test_peek),
    };
    Err e = { 0 };
    if (file_read_text(GOLDEN "rows.jsonl", &rows, &rows_n, &e)) {
        print_error("%s\n", e.text);
        return 1;
    }
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    free(rows);
    return rc;
}
