/* test_utf8.c - every length's edges, what must be refused, streaming borders, replacement, normal forms, classes. */
#include "base/check.h"

#include "base/utf8.h"

static void test_every_character(void **state)
{
    (void)state;
    for (uint32_t cp = 0; cp <= 0x10FFFF; cp++) {
        if (cp >= 0xD800 && cp <= 0xDFFF)
            continue;
        char bytes[4];
        uint32_t back = 0;
        int n = utf8_encode(cp, bytes);
        if (n != (cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4) || utf8_decode(bytes, (size_t)n, &back) != n || back != cp)
            fail_msg("U+%04X does not come back", cp);
        for (int cut = 1; cut < n; cut++)
            if (utf8_decode(bytes, (size_t)cut, &back) != -1 || utf8_complete(bytes, (size_t)cut) != 0)
                fail_msg("U+%04X cut to %d bytes is taken for whole", cp, cut);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const struct { const char *bytes; size_t bad; } rows[] = {
        { "\x80", 0 },                     /* continuation alone */
        { "a\xBF", 1 },
        { "\xC0\x80", 0 },                 /* overlong NUL */
        { "\xC1\xBF", 0 },                 /* overlong */
        { "\xE0\x80\xAF", 0 },             /* overlong / */
        { "\xE0\x9F\xBF", 0 },
        { "\xF0\x80\x80\xAF", 0 },
        { "\xF0\x8F\xBF\xBF", 0 },
        { "ab\xED\xA0\x80", 2 },           /* surrogates */
        { "\xED\xBF\xBF", 0 },
        { "\xF4\x90\x80\x80", 0 },         /* past U+10FFFF */
        { "\xF5\x80\x80\x80", 0 },
        { "\xF8\x88\x80\x80\x80", 0 },     /* five bytes */
        { "\xFE", 0 },
        { "\xFF", 0 },
        { "\xC3\xA4\xE2\x82", 2 },         /* truncated */
        { "\xE2\x82z", 0 },                /* broken off */
        { "\xF0\x9F\x98", 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t bad = 99;
        if (utf8_valid(str_of(rows[i].bytes), &bad) || bad != rows[i].bad)
            fail_msg("row %zu: bad byte at %zu, expected %zu", i, bad, rows[i].bad);
    }
    assert_true(utf8_valid(STR_LIT("\xEF\xBF\xBF \xF4\x8F\xBF\xBF \xED\x9F\xBF \xEE\x80\x80 \0"), NULL));
    assert_true(utf8_valid((Str){ 0 }, NULL));
}

static void test_complete(void **state)
{
    (void)state;
    static const struct { const char *bytes; size_t want; } rows[] = {
        { "", 0 },          { "abc", 3 },        { "a\xC3", 1 },         { "a\xC3\xA4", 3 },      { "a\xE2\x82", 1 },  { "a\xF0", 1 },
        { "a\xF0\x9F", 1 }, { "a\xF0\x9F\x98", 1 }, { "a\xF0\x9F\x98\x80", 5 },
        { "a\xE0\x80", 3 }, /* can never become a character: nothing to wait for */
        { "\x80\x80\x80\x80", 4 }, { "a\xFF", 2 }, { "a\xC3z", 3 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (utf8_complete(rows[i].bytes, strlen(rows[i].bytes)) != rows[i].want)
            fail_msg("row %zu", i);
}

static void test_repair(void **state)
{
    (void)state;
    static const struct { const char *in, *out; } rows[] = {
        { "", "" }, { "gr\xC3\xBC\xC3\x9F", "gr\xC3\xBC\xC3\x9F" }, { "a\xFFz", "a?z" }, { "\xE2\x82", "?" }, { "\xE2\x82z", "?z" },
        { "\xF0\x9F\x98", "?" }, { "\xED\xA0\x80", "???" }, { "\xC0\xAF", "??" }, { "\xF0\x80\x80\x41", "???A" },
        { "a\xF1\x80\x80\xE1\x80\xC2z\x80y", "a???z?y" }, /* the example of Unicode 15, table 3-8 */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        StrBuf got = { 0 }, want = { 0 };
        utf8_repair(&got, str_of(rows[i].in));
        for (const char *p = rows[i].out; *p; p++)
            if (*p == '?')
                strbuf_addz(&want, "\xEF\xBF\xBD");
            else
                strbuf_addc(&want, *p);
        assert_string_equal(strbuf_z(&got), strbuf_z(&want));
        strbuf_release(&got);
        strbuf_release(&want);
    }
}

static void check_form(const char *in, Utf8Form form, const char *want)
{
    StrBuf b = { 0 };
    utf8_normalise(&b, str_of(in), form);
    check_text(strbuf_z(&b), want);
    strbuf_release(&b);
}

static void test_forms(void **state)
{
    (void)state;
    check_form("A\xCC\x8A", UTF8_NFC, "\xC3\x85");                     /* A + ring -> one character */
    check_form("\xE2\x84\xAB", UTF8_NFC, "\xC3\x85");                  /* the Angstrom sign */
    check_form("\xC3\x85", UTF8_NFD, "A\xCC\x8A");
    check_form("\xEF\xAC\x81", UTF8_NFC, "\xEF\xAC\x81");              /* the fi ligature stays ... */
    check_form("\xEF\xAC\x81", UTF8_NFKC, "fi");                       /* ... unless for compatibility */
    check_form("\xE2\x91\xA0", UTF8_NFKD, "1");
    check_form("\xEA\xB0\x80", UTF8_NFD, "\xE1\x84\x80\xE1\x85\xA1");  /* Hangul */
    check_form("\xE1\x84\x80\xE1\x85\xA1", UTF8_NFC, "\xEA\xB0\x80");
    check_form("q\xCC\x87\xCC\xA3", UTF8_NFC, "q\xCC\xA3\xCC\x87");    /* marks are put in order */
    check_form("plain", UTF8_NFKC, "plain");
    check_form("", UTF8_NFD, "");
}

static void test_lower(void **state)
{
    (void)state;
    StrBuf b = { 0 };
    utf8_lower(&b, STR_LIT("ABC \xC3\x84\xC3\x9F \xCE\xA3 \xC4\xB0 \xF0\x90\x90\x80"));
    assert_string_equal(b.p, "abc \xC3\xA4\xC3\x9F \xCF\x83 i\xCC\x87 \xF0\x90\x90\xA8");
    strbuf_release(&b);
}

static void test_classes(void **state)
{
    (void)state;
    const uint32_t spaces[] = { ' ', '\t', '\n', 0x0B, '\r', 0x85, 0xA0, 0x1680, 0x2003, 0x2028, 0x3000 };
    const uint32_t not_spaces[] = { 'a', 0, 0x1C, 0x180E, 0x200B, 0x2060, 0xFEFF, 0x10FFFF };
    for (size_t i = 0; i < ARRAY_LEN(spaces); i++)
        assert_true(utf8_is_space(spaces[i]));
    for (size_t i = 0; i < ARRAY_LEN(not_spaces); i++)
        assert_false(utf8_is_space(not_spaces[i]));
    assert_true(utf8_is_punct('!') && utf8_is_punct('_') && utf8_is_punct(0x3002) && utf8_is_punct(0xAB));
    assert_false(utf8_is_punct('+') || utf8_is_punct('$') || utf8_is_punct('a') || utf8_is_punct(' '));
    assert_true(utf8_is_mark_nonspacing(0x301));
    assert_true(utf8_is_mark(0x301) && utf8_is_mark(0x903) && utf8_is_mark(0x20DD) && !utf8_is_mark('a') && !utf8_is_mark(' '));
    assert_true(utf8_lower_one(0xC4) == 0xE4 && utf8_lower_one('a') == 'a' && utf8_lower_one(0x130) == 'i' && utf8_lower_one(0x410) == 0x430);
    assert_false(utf8_is_mark_nonspacing(0x903) || utf8_is_mark_nonspacing('a')); /* 903 is a spacing mark */
}

static void test_visible(void **state)
{
    (void)state;
    StrBuf b = { 0 };
    utf8_visible(&b, (Str){ "a\n\t\x1b[31m \xC3\xA4\xC2\x9B\xFFz\0", 16 });
    assert_string_equal(b.p, "a\n\t\\x1b[31m \xC3\xA4\\x9b\\xffz\\x00");
    strbuf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_character), cmocka_unit_test(test_refused), cmocka_unit_test(test_complete), cmocka_unit_test(test_repair),
        cmocka_unit_test(test_forms),           cmocka_unit_test(test_lower),   cmocka_unit_test(test_classes),
        cmocka_unit_test(test_visible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
