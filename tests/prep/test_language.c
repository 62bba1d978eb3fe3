/* test_language.c - sentences of an outside source in all languages that it has (golden/language.tsv), source code, what must stay unsure, windows. */
#include "base/check.h"
#include "base/utf8.h"
#include "prep/language.h"

#include <stdio.h>

#define RIGHT_MIN 0.96 /* of the sentences; what was reached when the table was made: see tools/judge_language.py for the figures by length */

static void check_code(const char *text, const char *code)
{
    LanguageGuess g;
    language_guess(str_of(text), &g);
    if (strcmp(g.code, code))
        fail_msg("\"%s\" is %s (%.2f, then %s), expected %s", text, g.code, (double)g.probability, g.second, code);
}

static void test_sentences(void **state)
{
    (void)state;
    char *text;
    size_t n, right = 0, rows = 0, second = 0;
    Err e;
    if (file_read_text(TEST_DIR "/prep/golden/language.tsv", &text, &n, &e))
        fail_msg("%s", e.text);
    for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
        char *tab = strchr(line, '\t');
        LanguageGuess g;
        if (*line == '#' || !tab)
            continue;
        *tab = '\0';
        language_guess(str_of(tab + 1), &g);
        rows++;
        right += strcmp(g.code, line) == 0;
        second += strcmp(g.second, line) == 0;
        if (strcmp(g.code, line))
            printf("%s: %s %.2f, then %s %.2f: %s\n", line, g.code, (double)g.probability, g.second, (double)g.second_probability, tab + 1);
        assert_true(g.probability >= 0 && g.probability <= 1 && g.second_probability <= 1);
    }
    printf("%zu of %zu right, %zu more were the runner-up\n", right, rows, second);
    assert_true(rows > 250 && (double)right >= RIGHT_MIN * (double)rows);
    free(text);
}

static void test_code(void **state)
{
    (void)state;
    check_code("find . -name '*.txt' -print0 | xargs -0 grep -l foo", "code");
    check_code("int main(void)\n{\n    for (int i = 0; i < n; i++)\n        printf(\"%d\\n\", a[i]);\n    return 0;\n}\n", "code");
    check_code("def add(a, b):\n    return a + b\n\nclass Foo(object):\n    def __init__(self):\n        self.x = 1\n", "code");
    check_code("{\"name\": \"Ann\", \"age\": 31, \"tags\": [\"a\", \"b\"], \"ok\": true}", "code");
    check_code("I ordered a new card two weeks ago and it still has not arrived.", "en");
    check_code("Natalia sold 48/2 = 24 clips in May. She sold 48+24 = 72 clips altogether in April and May.", "en");
}

static void test_unsure(void **state)
{
    (void)state;
    LanguageGuess g;
    static const char *const none[] = { "", "12", "?!", "ab", "\xFF\xFE\xFF\xFE", "2024-05-06 12:30" };
    for (size_t k = 0; k < ARRAY_LEN(none); k++) {
        language_guess(str_of(none[k]), &g);
        if (strcmp(g.code, "und") && strcmp(g.code, "code"))
            fail_msg("\"%s\" is %s", none[k], g.code);
    }
    language_guess((Str){ 0 }, &g);
    assert_string_equal(g.code, "und");
    assert_string_equal(g.script, "Zyyy");
}

static void test_scripts(void **state)
{
    (void)state;
    static const struct { const char *text, *code, *script; } rows[] = {
        { "Καλημέρα κόσμε, τι κάνεις;", "el", "Grek" }, { "これは日本語の文です。", "ja", "Jpan" }, { "这是一个中文句子。", "zh", "Hani" },
        { "이것은 한국어 문장입니다.", "ko", "Kore" },   { "ეს არის წინადადება", "ka", "Geor" },  { "זהו משפט בעברית", "he", "Hebr" },
    };
    size_t letters, inside;
    for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
        check_code(rows[k].text, rows[k].code);
        assert_string_equal(language_script(rows[k].code), rows[k].script);
        assert_string_equal(language_script_of(str_of(rows[k].text), &letters, &inside), rows[k].script);
        assert_true(letters == inside && letters > 5);
    }
    assert_null(language_script("xx"));
    size_t n = 0;
    for (; language_known(n); n++)
        if (strcmp(language_known(n), "code"))
            assert_non_null(language_script(language_known(n)));
    assert_true(n >= 60);
}

/* A long text is read in three windows that may start inside a character. */
static void test_windows(void **state)
{
    (void)state;
    for (size_t shift = 0; shift < 4; shift++) {
        StrBuf b = { 0 };
        for (size_t k = 0; k < shift; k++)
            strbuf_addc(&b, 'x');
        while (b.n < 20000)
            strbuf_addz(&b, "Быстрая коричневая лиса прыгает через ленивую собаку, и никто не знает почему. ");
        LanguageGuess g;
        language_guess(strbuf_str(&b), &g);
        assert_string_equal(g.code, "ru");
        assert_true(g.probability > 0.95f);
        strbuf_release(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sentences), cmocka_unit_test(test_code), cmocka_unit_test(test_unsure), cmocka_unit_test(test_scripts), cmocka_unit_test(test_windows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
