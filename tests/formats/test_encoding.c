/* test_encoding.c - texts as Python encodes them come back, whatever the size of the blocks; mixtures and damage are counted and placed. */
#include "formats/encoding.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "base/check.h"

#include <stdio.h>

#define GOLDEN TEST_DIR "/formats/golden/tables/encodings/"

typedef struct Feed { Str left; size_t step; } Feed;

static int feed(void *ctx, void *p, size_t cap, size_t *n, Err *e)
{
    (void)e;
    Feed *f = ctx;
    *n = MIN(MIN(cap, f->step), f->left.n);
    if (*n)
        memcpy(p, f->left.p, *n);
    f->left = (Str){ f->left.p + *n, f->left.n - *n };
    return 0;
}

static void decode(StrBuf *out, Str bytes, size_t step, size_t take, const char *encoding, EncodingReport *report)
{
    Feed f = { bytes, step };
    Decoder *d;
    Err e = { 0 };
    char buf[5000];
    size_t n;
    strbuf_clear(out);
    if (decoder_open(&d, feed, &f, encoding, "x", &e))
        fail_msg("%s", e.text);
    for (;;) {
        if (decoder_read(d, buf, MIN(take, sizeof buf), &n, &e))
            fail_msg("%s", e.text);
        if (!n)
            break;
        strbuf_add(out, buf, n);
    }
    *report = *decoder_report(d);
    decoder_close(d);
}

static void test_golden(void **state)
{
    (void)state;
    Json *all, *one;
    Str name;
    JsonIter it = { 0 };
    Err e = { 0 };
    size_t n, checked = 0;
    assert_int_equal(json_read_file(&all, GOLDEN "expected.json", &e), 0);
    while (json_each(all, &it, &name, &one)) {
        char path[512], *bytes;
        StrBuf out = { 0 };
        snprintf(path, sizeof path, GOLDEN "%s.txt", name.p);
        assert_int_equal(file_read_text(path, &bytes, &n, &e), 0);
        const Str want = json_str(json_get(one, "text"));
        const char *encoding = json_str(json_get(one, "encoding")).p;
        for (size_t step = 1; step <= n; step = step * 5 + 1) {
            EncodingReport r;
            decode(&out, (Str){ bytes, n }, step, step, NULL, &r);
            if (!str_eq(strbuf_str(&out), want) || strcmp(r.name, encoding) != 0)
                fail_msg("%s: taken for %s%s, expected %s: %.300s", name.p, r.name, r.unsure ? " (unsure)" : "", encoding, strbuf_z(&out));
            assert_int_equal(r.characters, 0);
            if (r.unsure)
                fail_msg("%s: unsure", name.p);
        }
        EncodingReport r;
        Err bad = { 0 };
        strbuf_clear(&out);
        assert_int_equal(encoding_to_utf8(&out, (Str){ bytes, n }, NULL, "x", &r, &bad), 0);
        assert_true(str_eq(strbuf_str(&out), want));
        strbuf_release(&out);
        free(bytes);
        checked++;
    }
    assert_true(checked > 40);
    json_free(all);
}

/* Lines of UTF-8 and of Windows-1252 in one file. */
static void test_mixture(void **state)
{
    (void)state;
    const Str text = STR_LIT("ascii\ncaf\xc3\xa9 utf8\ncaf\xe9 old\nna\xefve old\n\xe2\x82\xac utf8\nlast \xfc old");
    StrBuf out = { 0 };
    EncodingReport r;
    for (size_t step = 1; step < 100; step++) {
        decode(&out, text, step, 7, NULL, &r);
        check_text(strbuf_z(&out), "ascii\ncaf\xc3\xa9 utf8\ncaf\xc3\xa9 old\nna\xc3\xafve old\n\xe2\x82\xac utf8\nlast \xc3\xbc old");
        assert_string_equal(r.name, "windows-1252");
        assert_true(r.utf8 && r.guessed);
        assert_int_equal(r.converted.count, 3);
        assert_int_equal(r.converted.first[0], 3);
        assert_int_equal(r.converted.first[1], 4);
        assert_int_equal(r.converted.first[2], 6);
        assert_int_equal(r.replaced.count, 0);
    }
    strbuf_release(&out);
}

/* The older encoding shows only far behind the beginning, at any distance from the end of a block. */
static void test_late_mixture(void **state)
{
    (void)state;
    for (size_t before = ENCODING_BLOCK - 40; before < ENCODING_BLOCK + 40; before += 13) {
        StrBuf text = { 0 }, want = { 0 }, out = { 0 };
        EncodingReport r;
        for (size_t i = 0; i < before; i++)
            strbuf_addc(&text, i % 50 == 49 ? '\n' : 'x');
        strbuf_add(&want, text.p, text.n);
        strbuf_addz(&text, "\nWiedzie\xe6, \xbf" "e ma\xb3y \xb6wi\xeaty ko\xf1\nend\n");  /* ISO-8859-2 */
        strbuf_addz(&want, "\nWiedzieć, że mały święty koń\nend\n");
        decode(&out, strbuf_str(&text), 100000, 5000, NULL, &r);
        assert_true(str_eq(strbuf_str(&out), strbuf_str(&want)));
        assert_string_equal(r.name, "ISO-8859-2");
        assert_int_equal(r.converted.count, 1);
        assert_int_equal(r.converted.first[0], (int)(before / 50 + 2));
        strbuf_release(&text);
        strbuf_release(&want);
        strbuf_release(&out);
    }
}

/* A cut character in a line of good UTF-8 is damage, not another encoding. */
static void test_damaged_utf8(void **state)
{
    (void)state;
    const Str text = STR_LIT("fine\n\xc3\xa9t\xc3\xa9 \xe4\xb8\x96\xe7\x95 \xc3\xa0\nfine\n\xd0\xb4\xd0\xb0\xff\xd0\xb4\n");
    StrBuf out = { 0 };
    EncodingReport r;
    decode(&out, text, 1000, 1000, NULL, &r);
    check_text(strbuf_z(&out), "fine\nété 世\xef\xbf\xbd à\nfine\nда\xef\xbf\xbdд\n");
    assert_string_equal(r.name, "UTF-8");
    assert_int_equal(r.replaced.count, 2);
    assert_int_equal(r.replaced.first[0], 2);
    assert_int_equal(r.replaced.first[1], 4);
    assert_int_equal(r.characters, 2);
    assert_int_equal(r.converted.count, 0);
    strbuf_release(&out);
}

/* In a text with lines of an older encoding they are that: one field of a row in UTF-8, another not. */
static void test_mixed_line(void **state)
{
    (void)state;
    const Str text = STR_LIT("fine\ncaf\xe9 na\xefve\nB\xc3\xbcgel \xc3\xa9t\xc3\xa9;\xc9milie Wei\xdf\n");
    StrBuf out = { 0 };
    EncodingReport r;
    decode(&out, text, 1000, 1000, NULL, &r);
    check_text(strbuf_z(&out), "fine\ncafé naïve\nBügel été;Émilie Weiß\n");
    assert_int_equal(r.characters, 0);
    assert_int_equal(r.converted.count, 2);
    strbuf_release(&out);
}

/* Windows-1252 and ISO-8859-15 differ in eight signs: where they stand says which it is, and where none stands it is Windows-1252. */
static void test_latin9(void **state)
{
    (void)state;
    static const struct { Str bytes; const char *text, *name; } cases[] = {
        { STR_LIT("caf\xe9"), "café", "windows-1252" },
        { STR_LIT("Man nehme 1\xbd Liter Milch"), "Man nehme 1½ Liter Milch", "windows-1252" },
        { STR_LIT("\xbd l Milch, \xbc l Wein"), "½ l Milch, ¼ l Wein", "windows-1252" },
        { STR_LIT("Wie geht\xb4s dir, wie l\xe4uft\xb4s?"), "Wie geht´s dir, wie läuft´s?", "windows-1252" },
        { STR_LIT("\x93Nimm \xbd Ei\x94, sagt er, \x84und \xbd Apfel, \xbd Ei, \xbd Ei, \xbd Ei, \xbd Ei, \xbd Ei, \xbd Ei, \xbd Ei, \xbd Ei\x93"),
          "“Nimm ½ Ei”, sagt er, „und ½ Apfel, ½ Ei, ½ Ei, ½ Ei, ½ Ei, ½ Ei, ½ Ei, ½ Ei, ½ Ei“", "windows-1252" },
        { STR_LIT("Das kostet 5 \x80 im Caf\xe9"), "Das kostet 5 € im Café", "windows-1252" },
        { STR_LIT("Le c\xbdur co\xfbte 5 \xa4"), "Le cœur coûte 5 €", "ISO-8859-15" },
        { STR_LIT("L'\xbduvre d'une s\xbd" "ur \xe2g\xe9" "e"), "L'œuvre d'une sœur âgée", "ISO-8859-15" },
        { STR_LIT("Das kostet f\xfcnf \xa4"), "Das kostet fünf €", "ISO-8859-15" },
    };
    StrBuf out = { 0 };
    EncodingReport r;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        decode(&out, cases[i].bytes, 1000, 1000, NULL, &r);
        if (!str_eqz(strbuf_str(&out), cases[i].text) || strcmp(r.name, cases[i].name))
            fail_msg("case %zu: %s: %s", i, r.name, strbuf_z(&out));
    }
    strbuf_release(&out);
}

/* Names put foreign letters into a text. Where its own letters and whole words say which encoding it is, nothing is in doubt; where they do not, the rival is named. */
static void test_doubt(void **state)
{
    (void)state;
    static const struct { const char *line, *text; int lines; const char *name, *rival; } cases[] = {
        { "S\xf8ren M\xfcller aus K\xf6ln schreibt f\xfcr Zo\xeb Gro\xdfmann\n", "Søren Müller aus Köln schreibt für Zoë Großmann\n", 30, "windows-1252", NULL },
        { "S\xf8ren; Gro\xc3\x9fmann; f\xfcr M\xfcller, K\xf6nig und J\xfcrgen\n", "Søren; GroÃŸmann; für Müller, König und Jürgen\n", 30, "windows-1252", NULL },
        { "F\xfcr Herrn Dvo\xf8\xe1k in M\xfcnchen, sch\xf6ne Gr\xfc\xdf" "e\n", "Für Herrn Dvořák in München, schöne Grüße\n", 5, "windows-1250", NULL },
        { "F\xfcr Herrn Y\xfdlmaz in M\xfcnchen, sch\xf6ne Gr\xfc\xdf" "e\n", "Für Herrn Yýlmaz in München, schöne Grüße\n", 3, "windows-1252", "windows-1254" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        StrBuf text = { 0 }, want = { 0 }, out = { 0 };
        EncodingReport r;
        for (int k = 0; k < cases[i].lines; k++) {
            strbuf_addz(&text, cases[i].line);
            strbuf_addz(&want, cases[i].text);
        }
        decode(&out, strbuf_str(&text), 1000, 1000, NULL, &r);
        if (!str_eq(strbuf_str(&out), strbuf_str(&want)) || strcmp(r.name, cases[i].name) || r.unsure != (cases[i].rival != NULL) ||
            strcmp(r.rival ? r.rival : "", cases[i].rival ? cases[i].rival : ""))
            fail_msg("case %zu: %s, %s, rival %s: %.200s", i, r.name, r.unsure ? "unsure" : "sure", r.rival ? r.rival : "none", strbuf_z(&out));
        strbuf_release(&text);
        strbuf_release(&want);
        strbuf_release(&out);
    }
}

/* A given encoding is taken at its word, and lines of UTF-8 are told; not in the words of an encoding of double bytes that look like it. */
static void test_misread(void **state)
{
    (void)state;
    StrBuf out = { 0 };
    EncodingReport r;
    for (size_t step = 1; step < 60; step++) {
        decode(&out, STR_LIT("caf\xc3\xa9\nna\xefve\nplain\n\xe2\x82\xac 5\nlast \xc3\xbc"), step, 7, "CP1252", &r);
        check_text(strbuf_z(&out), "cafÃ©\nnaïve\nplain\nâ‚¬ 5\nlast Ã¼");
        assert_int_equal(r.misread.count, 3);
        assert_int_equal(r.misread.first[0], 1);
        assert_int_equal(r.misread.first[1], 4);
        assert_int_equal(r.misread.first[2], 5);
    }
    decode(&out, STR_LIT("\xc3\xbb\xd3\xd0\n\xc3\xbb\n"), 1000, 1000, "GB18030", &r);
    check_text(strbuf_z(&out), "没有\n没\n");
    assert_int_equal(r.misread.count, 0);
    decode(&out, STR_LIT("\xe4\xb8\x96\xe7\x95\x8c\n"), 1000, 1000, "GB18030", &r);
    assert_int_equal(r.misread.count, 1);
    decode(&out, STR_LIT("caf\xc3\xa9\n"), 1000, 1000, "ISO-IR-193", &r);
    check_text(strbuf_z(&out), "café\n");
    assert_int_equal(r.misread.count, 0);
    decode(&out, STR_LIT("caf\xc3\xa9\n"), 1000, 1000, NULL, &r);
    assert_int_equal(r.misread.count, 0);

    Feed f = { STR_LIT("caf\xc3\xa9\nna\xefve\n\xc3\xbc\n"), 1000 };
    Decoder *d;
    Err e = { 0 };
    char buf[100];
    size_t n;
    assert_int_equal(decoder_open(&d, feed, &f, "CP1252", "x", &e), 0);
    assert_int_equal(decoder_read(d, buf, sizeof buf, &n, &e), 0);
    assert_int_equal(decoder_misread(d, 0, 8), 1);
    assert_int_equal(decoder_misread(d, 8, 15), 0);
    assert_int_equal(decoder_misread(d, 15, n), 1);
    decoder_close(d);
    strbuf_release(&out);
}

static void test_unfit_bytes(void **state)
{
    (void)state;
    StrBuf out = { 0 };
    EncodingReport r;
    decode(&out, STR_LIT("\xe9t\xe9 d\xe9j\xe0 pass\xe9 caf\xe9 \x81\x8d\n\nr\xe9p\xe9t\xe9 \xe0 \x90"), 1000, 1000, NULL, &r);    /* Windows-1252 has nothing at 0x81, 0x8d and 0x90 */
    check_text(strbuf_z(&out), "été déjà passé café \xef\xbf\xbd\xef\xbf\xbd\n\nrépété à \xef\xbf\xbd");
    assert_int_equal(r.characters, 3);
    assert_int_equal(r.replaced.count, 2);
    assert_int_equal(r.replaced.first[1], 3);
    decode(&out, STR_LIT("\xff\xfe" "a\0\x00\xd8" "b\0\n\0\x00\xdc" "c"), 1000, 1000, NULL, &r);  /* two lone surrogates, and half a character */
    check_text(strbuf_z(&out), "a\xef\xbf\xbd" "b\n\xef\xbf\xbd\xef\xbf\xbd");
    assert_int_equal(r.characters, 3);
    assert_int_equal(r.replaced.count, 2);
    decode(&out, STR_LIT("caf\xe9 \xc3\xa9\n"), 1000, 1000, "utf-8", &r);
    check_text(strbuf_z(&out), "caf\xef\xbf\xbd é\n");
    decode(&out, STR_LIT("\xc3\xa9\n"), 1000, 1000, "ISO-8859-1", &r);                   /* given: taken at its word */
    check_text(strbuf_z(&out), "Ã©\n");
    strbuf_release(&out);
}

static void test_not_wide(void **state)
{
    (void)state;
    const Str texts[] = { STR_LIT("a,b\0c\nd,e\nsome more text here\n"), STR_LIT("\0\0\0\0\0\0\0\0"), STR_LIT("a\0"), STR_LIT("x\n\0"), STR_LIT("name,text\na\0b,c\n\"\0\",d\n") };
    StrBuf out = { 0 };
    EncodingReport r;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        decode(&out, texts[i], 1000, 1000, NULL, &r);
        assert_true(str_eq(strbuf_str(&out), texts[i]));
        assert_string_equal(r.name, "UTF-8");
    }
    strbuf_release(&out);
}

/* U+FFFD is counted in the range of output where it stands; the offsets of unchanged text are the input's. */
static void test_places(void **state)
{
    (void)state;
    Feed f = { STR_LIT("\xef\xbb\xbfgood\n\xc3\xa9 \xc3\xa9 \xff\n"), 1000 };
    Decoder *d;
    Err e = { 0 };
    char buf[100];
    size_t n;
    assert_int_equal(decoder_open(&d, feed, &f, NULL, "x", &e), 0);
    assert_int_equal(decoder_offset(d), 3);
    assert_int_equal(decoder_read(d, buf, sizeof buf, &n, &e), 0);
    assert_int_equal(n, 5);
    assert_int_equal(decoder_read(d, buf, sizeof buf, &n, &e), 0);
    assert_int_equal(decoder_replaced(d, 3, 8), 0);
    assert_int_equal(decoder_replaced(d, 8, 18), 1);
    decoder_close(d);
    assert_int_equal(decoder_open(&d, feed, &f, "no-such-encoding", "x", &e), ERR_ARG);
    check_says(&e, ERR_ARG, "cannot convert the encoding \"no-such-encoding\"");
}

/* Old text in lines longer than a block: pieces are cut where no encoding minds. */
static void test_long_lines(void **state)
{
    (void)state;
    StrBuf text = { 0 }, want = { 0 }, out = { 0 };
    EncodingReport r;
    while (text.n < 3 * ENCODING_BLOCK) {
        strbuf_addz(&text, "\x83\x4a\x81\x5b\x83\x68\x82\xaa\x82\xdc\x82\xbe ");              /* Shift_JIS, no line end */
        strbuf_addz(&want, "カードがまだ ");
    }
    decode(&out, strbuf_str(&text), 65536, 5000, NULL, &r);
    assert_string_equal(r.name, "Shift_JIS");
    assert_true(str_eq(strbuf_str(&out), strbuf_str(&want)));
    assert_int_equal(r.characters, 0);
    strbuf_release(&text);
    strbuf_release(&want);
    strbuf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),      cmocka_unit_test(test_mixture),  cmocka_unit_test(test_late_mixture), cmocka_unit_test(test_damaged_utf8), cmocka_unit_test(test_mixed_line),
        cmocka_unit_test(test_doubt),       cmocka_unit_test(test_misread),
        cmocka_unit_test(test_latin9),      cmocka_unit_test(test_unfit_bytes), cmocka_unit_test(test_not_wide), cmocka_unit_test(test_places),       cmocka_unit_test(test_long_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
