/* test_repair.c - runs the triples of tests/prep/repair.test (that file tells how to add one); every result must be valid UTF-8 and stay as it is
 * when repaired again. Then what a table of texts cannot say: ill-formed input, reports, switches, long texts. */
#include "base/check.h"
#include "base/json.h"
#include "base/utf8.h"
#include "prep/repair.h"

#include <stdio.h>

static void check_unescape(StrBuf *out, const char *line)
{
    StrBuf quoted = { 0 };
    Json *j = NULL;
    Err e;
    strbuf_addf(&quoted, "[\"%s\"]", line);
    if (json_parse(&j, strbuf_str(&quoted), line, &e))
        fail_msg("%s", e.text);
    Str s = json_str(json_at(j, 0));
    strbuf_clear(out);
    strbuf_add(out, s.p, s.n);
    json_free(j);
    strbuf_release(&quoted);
}

static RepairOptions options_of(char *line)
{
    RepairOptions o = { 0 };
    char *word = strsep(&line, " ");
    if (strcmp(word, "all")) {
        assert_true(repair_kind_of(word) >= 0);
        o.on = 1u << repair_kind_of(word);
        o.off = ~o.on;
    }
    while ((word = strsep(&line, " ")))
        o.on |= 1u << repair_kind_of(word);
    return o;
}

static void test_rows(void **state)
{
    (void)state;
    char *text, *line[3];
    size_t n, rows = 0, failed = 0, have = 0;
    Err e;
    StrBuf in = { 0 }, want = { 0 }, got = { 0 }, again = { 0 };
    if (file_read_text(TEST_DIR "/prep/repair.test", &text, &n, &e))
        fail_msg("%s", e.text);
    for (char *rest = text, *l; (l = strsep(&rest, "\n"));) {
        if (have == 0 && (*l == '#' || *l == '\0'))
            continue;
        line[have++] = l;
        if (have < 3)
            continue;
        have = 0;
        rows++;
        check_unescape(&in, line[1]);
        check_unescape(&want, line[2]);
        const RepairOptions o = options_of(line[0]);
        RepairReport r;
        strbuf_clear(&got);
        strbuf_clear(&again);
        const bool changed = repair_text(&got, strbuf_str(&in), &o, &r);
        assert_true(changed == !str_eq(strbuf_str(&in), strbuf_str(&got)) && r.changed == changed);
        if (!str_eq(strbuf_str(&got), strbuf_str(&want))) {
            printf("%s: %s\n  got  %s\n  want %s\n", line[0], strbuf_z(&in), strbuf_z(&got), strbuf_z(&want));
            failed++;
        }
        if (repair_text(&again, strbuf_str(&got), &o, &r))
            fail_msg("repaired twice: %s became %s", strbuf_z(&got), strbuf_z(&again));
    }
    assert_int_equal(have, 0);
    assert_int_equal(failed, 0);
    assert_true(rows >= 60);
    free(text);
    strbuf_release(&in);
    strbuf_release(&want);
    strbuf_release(&got);
    strbuf_release(&again);
}

static void test_report(void **state)
{
    (void)state;
    StrBuf out = { 0 };
    RepairReport r;
    assert_true(repair_text(&out, STR_LIT("a\xFF b\xC3\r\nSch\xC3\x83\xC2\xB6n \xE2\x80\x8B."), NULL, &r));
    assert_string_equal(out.p, "a\xEF\xBF\xBD b\xEF\xBF\xBD\nSch\xC3\xB6n .");
    assert_true(r.changed && r.replacement == 2 && r.count[REPAIR_UTF8] == 1 && r.count[REPAIR_LINE_ENDINGS] == 1 && r.count[REPAIR_MOJIBAKE] == 1 &&
                r.count[REPAIR_INVISIBLE] == 1 && r.count[REPAIR_QUOTES] == 0);
    strbuf_clear(&out);
    assert_false(repair_text(&out, STR_LIT("plain text\n"), NULL, &r));
    assert_string_equal(out.p, "plain text\n");
    strbuf_clear(&out);
    assert_false(repair_text(&out, (Str){ 0 }, NULL, NULL));
    assert_int_equal(out.n, 0);

    const RepairOptions off = { .on = 1u << REPAIR_SPACES, .off = 1u << REPAIR_SPACES }, keep = { .keep_markup = true };
    assert_false(repair_text(&out, STR_LIT("a\xC2\xA0""b"), &off, NULL));
    assert_false(repair_text(&out, STR_LIT("<b>a</b> &amp; c"), &keep, NULL));
    assert_true(repair_about_markup(STR_LIT("an HTML page")) && !repair_about_markup(STR_LIT("my card has not arrived")));
    strbuf_release(&out);
}

/* The German for day, the page of a manual and a number of a form ask for no page. */
static void test_asks_for_page(void **state)
{
    (void)state;
    static const struct { const char *text; bool asks; } cases[] = {
        { "Guten Tag, wo ist mein Paket?", false }, { "Seit 12 Tagen warte ich, auch tags\xC3\xBC" "ber.", false }, { "The manual on page 7 does not help.", false },
        { "Die Anleitung auf Seite 17 hilft nicht.", false }, { "Mein Code 4711 geht nicht", false }, { "Which tag makes text bold?", true }, { "Close the tags, please", true },
        { "Build me a page for my shop", true }, { "Baue eine Seite mit einem Bild", true }, { "Write a script that counts", true },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (repair_asks_for_page(str_of(cases[i].text)) != cases[i].asks)
            fail_msg("%s", cases[i].text);
    assert_true(repair_is_page(STR_LIT("Subject: <html><body>Hi</body></html>")));
    assert_false(repair_is_page(STR_LIT("Subject: 5 < 6 and <b>bold</b>")));
}

static void test_rows_are_whole(void **state)
{
    (void)state;
    for (int k = 0; k < REPAIR_KINDS; k++) {
        assert_true(repair_rows[k].name && repair_rows[k].does && repair_rows[k].risk);
        assert_int_equal(repair_kind_of(repair_rows[k].name), k);
    }
    assert_int_equal(repair_kind_of("nothing"), -1);
}

/* Work must grow with the length, not with its square. */
static void test_long(void **state)
{
    (void)state;
    static const char *const pieces[] = { "&amp;", "<p>", "`", "```\n", "\xC3\x83\xC2\xA9 ", "> x\n", "-- \n", "\n", "On 1 wrote:\n", "&amp;amp;", "<p><", "a: On 1 wrote:\n", "x: <html>", "&lt;a@b", "<a\n", "e\xCC\x81", "\r", " \n", "<html><!--", "<script ", "<?xml ", "<p><title " };
    for (size_t k = 0; k < ARRAY_LEN(pieces); k++) {
        StrBuf in = { 0 }, out = { 0 }, again = { 0 };
        while (in.n < 300000)
            strbuf_addz(&in, pieces[k]);
        repair_text(&out, strbuf_str(&in), NULL, NULL);
        assert_true(utf8_valid(strbuf_str(&out), NULL));
        assert_false(repair_text(&again, strbuf_str(&out), NULL, NULL));
        strbuf_release(&in);
        strbuf_release(&out);
        strbuf_release(&again);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows), cmocka_unit_test(test_report), cmocka_unit_test(test_asks_for_page), cmocka_unit_test(test_rows_are_whole), cmocka_unit_test(test_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
