/* test_stop.c - stop texts: cut in every way into pieces, the answer is always the text before the first complete one; and nothing is held back
 * that cannot become one. */
#include "base/check.h"
#include "infer/stop.h"

static const struct { const char *stops, *text, *want; bool hit; } rows[] = {
    { "", "plain text", "plain text", false },
    { "END", "some textEND and more", "some text", true },
    { "END", "some EN text", "some EN text", false },
    { "END", "some textEN", "some textEN", false },
    { "END", "ENENDEND", "EN", true },
    { "aab", "aaab", "a", true },
    { "abcabd", "abcabcabd!", "abc", true },
    { "\\n\\n,###", "one\ntwo\n\nthree", "one\ntwo", true },
    { "\\n\\n,###", "one ## two ### three\n\n", "one ## two ", true },
    { "a\\,b", "1 a b, a,b", "1 a b, ", true },
    { "\xc3\xa9", "caf\xc3\xa9 au lait", "caf", true },
    { "END", "END", "", true },
    { "END", "", "", false },
};

static void scan_in_pieces(const StopList *l, const char *text, size_t piece, StrBuf *out, bool *hit)
{
    StopScan s = { .list = l };
    size_t   n = strlen(text);
    for (size_t i = 0; i < n && !s.hit; i += piece)
        stop_scan_push(&s, (Str){ text + i, MIN(piece, n - i) }, out);
    stop_scan_end(&s, out);
    *hit = s.hit;
    stop_scan_release(&s);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
        StopList l;
        Err      e = { 0 };
        if (stop_list_parse(&l, rows[r].stops, &e))
            fail_msg("%s", e.text);
        for (size_t piece = 1; piece <= strlen(rows[r].text) + 1; piece++) {
            StrBuf out = { 0 };
            bool   hit;
            scan_in_pieces(&l, rows[r].text, piece, &out, &hit);
            if (strcmp(strbuf_z(&out), rows[r].want) || hit != rows[r].hit)
                fail_msg("row %zu in pieces of %zu: \"%s\", expected \"%s\"", r, piece, strbuf_z(&out), rows[r].want);
            strbuf_release(&out);
        }
        stop_list_release(&l);
    }
}

static void test_holds_only_what_may_stop(void **state)
{
    (void)state;
    StopList l;
    StrBuf   out = { 0 };
    Err      e;
    assert_int_equal(stop_list_parse(&l, "STOP", &e), 0);
    StopScan s = { .list = &l };
    stop_scan_push(&s, STR_LIT("hello ST"), &out);
    assert_string_equal(strbuf_z(&out), "hello ");
    stop_scan_push(&s, STR_LIT("A"), &out);
    assert_string_equal(strbuf_z(&out), "hello STA");
    stop_scan_push(&s, STR_LIT("RS"), &out);
    assert_string_equal(strbuf_z(&out), "hello STAR");
    stop_scan_end(&s, &out);
    assert_string_equal(strbuf_z(&out), "hello STARS");
    strbuf_release(&out);
    stop_scan_release(&s);
    stop_list_release(&l);
}

static void test_parse(void **state)
{
    (void)state;
    static const char *const bad[] = { ",", "a,,b", "a,", ",a" };
    StopList l;
    Err      e = { 0 };
    assert_int_equal(stop_list_parse(&l, "a b,\\n,x\\,y,\\\\n,\\q, lead", &e), 0);
    static const char *const want[] = { "a b", "\n", "x,y", "\\n", "\\q", " lead" };
    assert_int_equal(l.n, ARRAY_LEN(want));
    for (size_t i = 0; i < l.n; i++)
        assert_string_equal(l.text[i], want[i]);
    stop_list_release(&l);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(stop_list_parse(&l, bad[i], &e), ERR_ARG);
        check_says(&e, ERR_ARG, "is empty");
        assert_int_equal(l.n, 0);
    }
    assert_int_equal(stop_list_parse(&l, "a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a", &e), ERR_ARG);
    check_says(&e, ERR_ARG, "more than 16");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows), cmocka_unit_test(test_holds_only_what_may_stop), cmocka_unit_test(test_parse) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
