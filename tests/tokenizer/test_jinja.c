/* test_jinja.c - the template engine against what jinja2 gives, set up as transformers does it: golden/templates/constructs.jsonl holds templates,
 * values and texts (or the fact that jinja2 raises), made by tools/golden_templates.py. Then limits, marks of bytes, and refusals.
 * With a file of the same kind as argument the program renders it and prints one JSON line for each, for comparisons by hand. */
#include <stdio.h>
#include <time.h>

#include "base/check.h"
#include "base/file.h"
#include "tokenizer/jinja.h"

#define GOLDEN TEST_DIR "/golden/templates/"

static const struct tm golden_now = { .tm_year = 124, .tm_mon = 6, .tm_mday = 26, .tm_hour = 12, .tm_min = 34, .tm_sec = 56, .tm_wday = 5, .tm_yday = 207 };

static int render(Str source, const Json *data, const Json *trusted, JinjaOut *out, Err *e)
{
    Jinja *j = NULL;
    JinjaOptions o = { .now = &golden_now };
    int rc = jinja_compile(&j, source, "test", e);
    if (!rc)
        rc = jinja_render(j, data, trusted, &o, out, e);
    jinja_free(j);
    return rc;
}

typedef void LineFn(const Json *row, size_t line, void *arg);

static void each_line(const char *path, LineFn *fn, void *arg)
{
    char *text = NULL;
    size_t n = 0, line = 0;
    Err e;
    if (file_read_text(path, &text, &n, &e))
        fail_msg("%s", e.text);
    for (char *p = text, *end; p < text + n; p = end + 1) {
        end = memchr(p, '\n', (size_t)(text + n - p));
        if (!end)
            end = text + n;
        Json *row = NULL;
        if (json_parse(&row, (Str){ p, (size_t)(end - p) }, path, &e))
            fail_msg("%s", e.text);
        fn(row, ++line, arg);
        json_free(row);
    }
    free(text);
}

static void check_row(const Json *row, size_t line, void *arg)
{
    size_t *wrong = arg;
    Err e = { 0 };
    JinjaOut out = { 0 };
    const Json *want = json_get(row, "text");
    int rc = render(json_str(json_get(row, "template")), json_get(row, "data"), json_get(row, "trusted"), &out, &e);
    bool ok = want && json_kind(want) == JSON_STRING ? !rc && str_eq(strbuf_str(&out.text), json_str(want)) : rc == ERR_INPUT && strstr(e.text, "test, line ");
    if (!ok) {
        Str t = json_str(json_get(row, "template")), w = json_str(want);
        print_message("line %zu: %.*s\n  wanted %.*s\n  got    %s\n", line, (int)t.n, t.p, w.p ? (int)w.n : 8, w.p ? w.p : "an error", rc ? e.text : strbuf_z(&out.text));
        ++*wrong;
    }
    assert_int_equal(out.marks.n, out.text.n);
    jinja_out_release(&out);
}

static void test_constructs(void **state)
{
    (void)state;
    size_t wrong = 0;
    each_line(GOLDEN "constructs.jsonl", check_row, &wrong);
    assert_int_equal(wrong, 0);
}

static void test_families(void **state)
{
    (void)state;
    size_t wrong = 0;
    each_line(GOLDEN "families.jsonl", check_row, &wrong);
    assert_int_equal(wrong, 0);
}

static Json *parse(const char *text)
{
    Json *j = NULL;
    Err e;
    if (json_parse(&j, str_of(text), "test", &e))
        fail_msg("%s", e.text);
    return j;
}

/* Each byte knows where it came from, whatever was done to the text. */
static void test_marks(void **state)
{
    (void)state;
    static const struct { const char *template, *text, *marks; } cases[] = {
        { "<{{ messages[0].content }}|{{ messages[1].content }}>", "<ab|cd>", "0110220" },
        { "{{ ('x' ~ messages[0].content ~ 'y')|upper }}", "XABY", "0110" },
        { "{{ messages[0].content.replace('b', 'zz') }}", "azz", "100" },
        { "{{ (messages[0].content + messages[1].content)[1:3] }}", "bc", "12" },
        { "{{ ' '.join([messages[0].content, messages[1].content]) }}", "ab cd", "11022" },
        { "{{ (messages[1].content ~ '-x').split('-')[0]|title }}", "Cd", "22" },
        { "{{ messages[0].content|tojson }}", "\"ab\"", "0110" },
        { "{{ '%s!' % messages[0].content }}", "ab!", "110" },
        { "{{ '{}!'.format(messages[0].content) }}", "ab!", "110" },
        { "{% set x %}{{ bos }}{{ messages[0].content }}{% endset %}{{ x|trim }}", "<s>ab", "00011" },
        { "{{ messages[0].content[::-1] }}{{ [messages[1].content] }}", "ba['cd']", "11002200" },
        { "{% macro m(x) %}({{ x }}){% endmacro %}{{ m(messages[1].content) }}", "(cd)", "0220" },
        { "{{ tools }}", "t", "9" },
    };
    Json *data = parse("{\"messages\":[{\"content\":\"ab\"},{\"content\":\"cd\"}],\"tools\":\"t\"}"), *trusted = parse("{\"bos\":\"<s>\"}");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        JinjaOut out = { 0 };
        Err e;
        if (render(str_of(cases[i].template), data, trusted, &out, &e))
            fail_msg("%s: %s", cases[i].template, e.text);
        assert_string_equal(strbuf_z(&out.text), cases[i].text);
        for (size_t k = 0; k < out.text.n; k++)
            if (out.marks.p[k] != (cases[i].marks[k] == '9' ? JINJA_DATA : (uint32_t)(cases[i].marks[k] - '0')))
                fail_msg("%s: byte %zu is marked %u", cases[i].template, k, out.marks.p[k]);
        jinja_out_release(&out);
    }
    json_free(data);
    json_free(trusted);
}

static void test_generation(void **state)
{
    (void)state;
    Json *data = parse("{\"messages\":[{\"content\":\"ab\"},{\"content\":\"cd\"}]}");
    JinjaOut out = { 0 };
    Err e;
    if (render(STR_LIT("{% for m in messages %}<{% generation %}{{ m.content }}!{% endgeneration %}>{% endfor %}"), data, NULL, &out, &e))
        fail_msg("%s", e.text);
    assert_string_equal(strbuf_z(&out.text), "<ab!><cd!>");
    assert_int_equal(out.generation.n, 2);
    assert_int_equal(out.generation.p[0].begin, 1);
    assert_int_equal(out.generation.p[0].end, 4);
    assert_int_equal(out.generation.p[1].begin, 6);
    assert_int_equal(out.generation.p[1].end, 9);
    jinja_out_release(&out);
    json_free(data);
}

static void refused(const char *template, const char *says)
{
    JinjaOut out = { 0 };
    Err e = { 0 };
    if (!render(str_of(template), NULL, NULL, &out, &e))
        fail_msg("%.200s was not refused", template);
    if (!strstr(e.text, says))
        fail_msg("%.200s: %s", template, e.text);
    jinja_out_release(&out);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct { const char *template, *says; } cases[] = {
        { "a\n{% include 'x' %}", "line 2 of the template: {% include %} is not a statement that hone knows" },
        { "{% extends 'x' %}", "{% extends %} is not" },
        { "{% block x %}{% endblock %}", "{% block %} is not" },
        { "{% import 'x' as y %}", "{% import %} is not" },
        { "{% trans %}x{% endtrans %}", "{% trans %} is not" },
        { "{% autoescape true %}{% endautoescape %}", "{% autoescape %} is not" },
        { "{{ x|nofilter }}", "the filter \"nofilter\" is not one that hone knows" },
        { "{{ x is notest }}", "the test \"notest\" is not one that hone knows" },
        { "{{ raise_exception('Roles must alternate') }}", "the template refuses the conversation: Roles must alternate" },
        { "{{ x.y }}", "'x' is undefined" },
        { "{{ none.y.z }}", "'NoneType object' has no attribute 'y'" },
        { "{{ [].append(1) }}", "templates cannot change values" },
        { "{{ 9223372036854775807 + 1 }}", "beyond 64 bits" },
        { "{{ 1 / 0 }}", "division by zero" },
        { "{% for i in range(1000000) %}{% endfor %}", "a range of 1000000 numbers is refused" },
        { "{% for i in range(99999) %}{% for k in range(99999) %}{% endfor %}{% endfor %}", "the rendering needs more than 512 MiB of memory" },
        { "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "calls itself for ever" },
        { "{{ 'x' * 1000000000 }}", "too long" },
        { "{% set ns = namespace(x='x') %}{% for i in range(64) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}", "MiB of memory" },
        { "{% set ns = namespace(x=[]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}", "levels deep" },
        { "{{ 'x", "a text in quotes is not closed" },
        { "{% if x %}", "{% endif %} is still to come" },
        { "{{ x", "{{ is not closed with }}" },
        { "{% for x in %}{% endfor %}", "expected an expression" },
        { "{{ (1 }}", "does not match" },
        { "{% break %}", "stands outside of a loop" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        refused(cases[i].template, cases[i].says);
    StrBuf b = { 0 };
    for (size_t i = 0; i < 5000; i++)
        strbuf_addz(&b, "{{ ");
    refused(strbuf_z(&b), "nested too deep");
    static const char *const nests[][2] = { { "(", "nested too deep" }, { "[", "nested too deep" }, { "not ", "levels of nesting" }, { "-", "levels of nesting" }, { "a if ", "if" }, { "a+", "operands" }, { "|trim", "chain" } };
    for (size_t k = 0; k < ARRAY_LEN(nests); k++) {
        strbuf_clear(&b);
        strbuf_addz(&b, k == 6 ? "{{ a" : "{{ ");
        for (size_t i = 0; i < 5000 / strlen(nests[k][0]); i++)
            strbuf_addz(&b, nests[k][0]);
        strbuf_addz(&b, " }}");
        refused(strbuf_z(&b), nests[k][1]);
    }
    strbuf_release(&b);
}

static void print_row(const Json *row, size_t line, void *arg)
{
    (void)line;
    (void)arg;
    Err e = { 0 };
    JinjaOut out = { 0 };
    StrBuf b = { 0 };
    Json *j = json_obj_new();
    if (render(json_str(json_get(row, "template")), json_get(row, "data"), json_get(row, "trusted"), &out, &e))
        json_set(j, "error", json_str_new(str_of(e.text)));
    else
        json_set(j, "text", json_str_new(strbuf_str(&out.text)));
    json_write(&b, j, false);
    puts(strbuf_z(&b));
    json_free(j);
    strbuf_release(&b);
    jinja_out_release(&out);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        each_line(argv[1], print_row, NULL);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_constructs), cmocka_unit_test(test_families), cmocka_unit_test(test_marks), cmocka_unit_test(test_generation),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
