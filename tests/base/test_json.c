/* test_json.c - what is refused and where, what the getters say, what is written, and that large objects stay fast. */
#include "base/check.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"

#include <math.h>

static Json *parse(const char *text)
{
    Err e;
    Json *j;
    if (json_parse(&j, str_of(text), "test", &e))
        fail_msg("%s", e.text);
    return j;
}

static void refuse(Str text, const char *part)
{
    Err e;
    Json *j = (Json *)&e;
    assert_int_equal(json_parse(&j, text, "in.json", &e), ERR_INPUT);
    assert_null(j);
    check_says(&e, ERR_INPUT, part);
    assert_true(str_starts(str_of(e.text), "in.json, line "));
}

static void check_written(const Json *j, bool pretty, const char *want)
{
    StrBuf b = { 0 };
    json_write(&b, j, pretty);
    check_text(strbuf_z(&b), want);
    strbuf_release(&b);
}

static void test_refused(void **state)
{
    (void)state;
    refuse(STR_LIT(""), "line 1, column 1");
    refuse(STR_LIT("{\n  \"a\": 1,\n  \"b\": ,\n}"), "line 3, column 8");
    refuse(STR_LIT("{\"a\": 1, \"b\": 2, \"a\": 3}"), "duplicate");
    refuse(STR_LIT("{\"a\": {\"x\": 1, \"x\": 1}}"), "duplicate");
    refuse(STR_LIT("[1, 2] 3"), "line 1, column 8");
    refuse(STR_LIT("[1, 2"), "end of file");
    refuse(STR_LIT("[1,]"), "line 1");
    refuse(STR_LIT("[01]"), "line 1");
    refuse(STR_LIT("[NaN]"), "NaN");
    refuse(STR_LIT("['a']"), "line 1");
    refuse(STR_LIT("[\"a\nb\"]"), "line");
    refuse(STR_LIT("[9223372036854775808]"), "too big integer");
    refuse(STR_LIT("[-9223372036854775809]"), "integer");
    refuse(STR_LIT("[1e999]"), "real number overflow");
    refuse(STR_LIT("[\"\xC3\"]"), "line 1");       /* truncated UTF-8 */
    refuse(STR_LIT("[\"\xED\xA0\x80\"]"), "line 1"); /* a surrogate as bytes */
    refuse(STR_LIT("[\"\\uD800\"]"), "line 1");      /* and as a lone escape */
    refuse(STR_LIT("[\"\\uDC00\\uD800\"]"), "line 1");
    refuse(STR_LIT("[1]\0"), "line 1");
    refuse(STR_LIT("{\"a\\u0000b\": 1}"), "line 1"); /* zero in a key */
}

static void test_depth(void **state)
{
    (void)state;
    StrBuf b = { 0 };
    for (int deep = JSON_DEPTH_MAX; deep <= JSON_DEPTH_MAX + 1; deep++) {
        strbuf_clear(&b);
        for (int i = 0; i < deep; i++)
            strbuf_addz(&b, i % 2 ? "{\"[[\\\"{\":" : "[");
        strbuf_addc(&b, '1');
        for (int i = deep; i-- > 0;)
            strbuf_addc(&b, i % 2 ? '}' : ']');
        if (deep > JSON_DEPTH_MAX)
            refuse(strbuf_str(&b), "128 levels");
        else
            json_free(parse(strbuf_z(&b)));
    }
    strbuf_clear(&b);
    strbuf_addz(&b, "\n\"\xC3\xA4\"");
    for (int i = 0; i < 1000000; i++)
        strbuf_addc(&b, '[');
    refuse(strbuf_str(&b), "line 2, column 132");
    strbuf_release(&b);
}

static void test_plain_access(void **state)
{
    (void)state;
    Json *j = parse("\xEF\xBB\xBF{\"n\": null, \"t\": true, \"i\": -9223372036854775808, \"r\": 2.5, \"w\": 1e3, \"s\": \"a\\u0000b\", \"a\": [1, [2]], \"o\": {}}");
    assert_int_equal(json_kind(j), JSON_OBJECT);
    assert_int_equal(json_len(j), 8);
    assert_int_equal(json_kind(json_get(j, "n")), JSON_NULL);
    assert_true(json_bool(json_get(j, "t")));
    assert_true(json_int(json_get(j, "i")) == INT64_MIN);
    assert_int_equal(json_int(json_get(j, "r")), 0);
    assert_int_equal(json_int(json_get(j, "w")), 1000);
    assert_true(json_num(json_get(j, "r")) == 2.5 && json_num(json_at(json_get(j, "a"), 0)) == 1);
    assert_true(str_eq(json_str(json_get(j, "s")), STR_LIT("a\0b")));
    assert_int_equal(json_len(json_at(json_get(j, "a"), 1)), 1);
    assert_null(json_at(json_get(j, "a"), 2));
    assert_null(json_get(j, "absent"));
    assert_null(json_get(json_get(j, "a"), "x"));
    assert_null(json_at(j, 0));
    assert_null(json_str(json_get(j, "i")).p);
    assert_false(json_bool(NULL) || json_int(NULL) || json_len(NULL) || json_num(NULL) != 0 || json_get(NULL, "x"));
    assert_string_equal(json_kind_name(NULL), "nothing");
    assert_string_equal(json_kind_name(json_get(j, "r")), "a number");
    static const char order[] = "ntirwsao";
    size_t i = 0;
    Str key;
    Json *value;
    for (JsonIter it = { 0 }; json_each(j, &it, &key, &value); i++)
        assert_true(key.n == 1 && key.p[0] == order[i] && value == json_get(j, (char[]){ order[i], 0 }));
    assert_int_equal(i, 8);
    JsonIter none = { 0 };
    assert_false(json_each(json_get(j, "o"), &none, &key, &value) || json_each(json_get(j, "a"), &none, &key, &value));
    json_free(j);
    json_free(NULL);
}

static void test_typed_access(void **state)
{
    (void)state;
    Err e;
    Json *j = parse("{\"i\": 5, \"w\": 5.0, \"r\": 5.5, \"huge\": 1e19, \"s\": \"x\", \"n\": null, \"b\": false, \"a\": []}"), *a = NULL;
    int64_t i = -1;
    double d = -1;
    bool b = true;
    Str s = { 0 };
    assert_int_equal(json_need_int(j, "i", &i, "f", &e), 0);
    assert_int_equal(i, 5);
    i = -1;
    assert_int_equal(json_need_int(j, "w", &i, "f", &e), 0);
    assert_int_equal(i, 5);
    assert_int_equal(json_opt_int(j, "absent", &i, "f", &e), 0);
    assert_int_equal(json_opt_int(j, "n", &i, "f", &e), 0);
    assert_int_equal(i, 5); /* left alone */
    json_need_int(j, "r", &i, "config.json", &e);
    check_says(&e, ERR_INPUT, "config.json: \"r\" is 5.5; it must be a whole number");
    json_opt_int(j, "huge", &i, "config.json", &e);
    check_says(&e, ERR_INPUT, "\"huge\" is 1e+19");
    json_need_int(j, "absent", &i, "config.json", &e);
    check_says(&e, ERR_INPUT, "config.json: \"absent\" is missing; it must be a whole number");
    json_need_int(j, "n", &i, "config.json", &e);
    check_says(&e, ERR_INPUT, "\"n\" is missing");
    json_opt_int(j, "s", &i, "config.json", &e);
    check_says(&e, ERR_INPUT, "config.json: \"s\" is a string; it must be a whole number");
    json_need_int(json_get(j, "a"), "x", &i, "config.json", &e);
    check_says(&e, ERR_INPUT, "\"x\" was looked for in an object, but there is an array");
    json_need_int(NULL, "x", &i, "config.json", &e);
    check_says(&e, ERR_INPUT, "there is nothing");
    assert_int_equal(json_need_num(j, "i", &d, "f", &e), 0);
    assert_true(d == 5);
    assert_int_equal(json_opt_num(j, "r", &d, "f", &e), 0);
    assert_true(d == 5.5);
    assert_int_equal(json_opt_bool(j, "b", &b, "f", &e), 0);
    assert_false(b);
    assert_int_equal(json_opt_bool(j, "i", &b, "f", &e), ERR_INPUT);
    assert_int_equal(json_need_str(j, "s", &s, "f", &e), 0);
    assert_true(str_eqz(s, "x"));
    assert_int_equal(json_opt_str(j, "a", &s, "f", &e), ERR_INPUT);
    assert_int_equal(json_opt_array(j, "a", &a, "f", &e), 0);
    assert_ptr_equal(a, json_get(j, "a"));
    assert_int_equal(json_opt_array(j, "s", &a, "f", &e), ERR_INPUT);
    json_free(j);
}

static void test_writing(void **state)
{
    (void)state;
    Json *j = json_obj_new(), *a = json_arr_new();
    json_set(j, "name", json_str_new(STR_LIT("q\"b\\s\n\t\x01\x7F \xC3\xA4 \0")));
    json_set(j, "numbers", a);
    const double reals[] = { 0.1, 3, -0.0, 1e300, 5e-324, 1.0 / 3, 2e-4, NAN, -INFINITY, 123456789, 1234567890123 };
    for (size_t i = 0; i < ARRAY_LEN(reals); i++)
        json_push(a, json_num_new(reals[i]));
    json_push(a, json_int_new(INT64_MIN));
    json_set(j, "name2", json_bool_new(true));
    json_set(j, "empty", json_obj_new());
    json_set(j, "none", json_arr_new());
    json_set(j, "name2", json_null_new()); /* replaced in place */
    check_written(j, false,
                  "{\"name\":\"q\\\"b\\\\s\\n\\t\\u0001\x7F \xC3\xA4 \\u0000\",\"numbers\":[0.1,3.0,-0.0,1e+300,4.94065646e-324,0.33333333333333331,"
                  "0.0002,null,null,123456789.0,1234567890123.0,-9223372036854775808],\"name2\":null,\"empty\":{},\"none\":[]}");
    json_free(j);
    j = parse("{\"a\":[1,{\"b\":[]}],\"c\":\"\"}");
    check_written(j, true, "{\n  \"a\": [\n    1,\n    {\n      \"b\": []\n    }\n  ],\n  \"c\": \"\"\n}");
    json_free(j);
    j = json_obj_new();
    json_set(j, "bad\xFFkey", json_str_new(STR_LIT("bad\xC3value")));
    check_written(j, false, "{\"bad\xEF\xBF\xBDkey\":\"bad\xEF\xBF\xBDvalue\"}");
    Json *again = json_ref(j);
    json_free(j);
    assert_int_equal(json_len(again), 1);
    json_free(again);
    StrBuf small = { .max = 8 }, empty = { 0 };
    json_write_string(&small, STR_LIT("longer than eight"));
    assert_true(small.over && small.n <= 8);
    json_write_string(&empty, (Str){ 0 });
    assert_string_equal(empty.p, "\"\"");
    strbuf_release(&small);
    strbuf_release(&empty);
}

static void test_file(void **state)
{
    (void)state;
    Err e;
    Json *j;
    char *dir = check_dir(), *path = path_join(dir, "a.json");
    assert_int_equal(json_read_file(&j, path, &e), ERR_INPUT);
    assert_null(j);
    assert_int_equal(file_write_atomic(path, "{\"a\":\n[}", 8, &e), 0);
    assert_int_equal(json_read_file(&j, path, &e), ERR_INPUT);
    assert_true(str_starts(str_of(e.text), path));
    check_says(&e, ERR_INPUT, "a.json, line 2, column 2");
    assert_int_equal(file_write_atomic(path, "{\"a\": 1}", 8, &e), 0);
    assert_int_equal(json_read_file(&j, path, &e), 0);
    assert_int_equal(json_int(json_get(j, "a")), 1);
    json_free(j);
    free(path);
    check_dir_done(dir);
}

/* A vocabulary of 200,000 words: a second at most where anything quadratic would take minutes. */
static void test_large(void **state)
{
    (void)state;
    StrBuf b = { 0 };
    for (int i = 0; i < 200000; i++)
        strbuf_addf(&b, "%s\"word number %d\": %d", i ? ",\n" : "{", i, i);
    strbuf_addc(&b, '}');
    double start = clock_seconds();
    Json *j = parse(strbuf_z(&b)), *value;
    Str key;
    int64_t i = 0;
    for (JsonIter it = { 0 }; json_each(j, &it, &key, &value); i++)
        assert_true(json_int(value) == i);
    assert_int_equal(i, 200000);
    strbuf_clear(&b);
    json_write(&b, j, true);
    json_free(j);
    strbuf_release(&b);
    double took = clock_seconds() - start;
    print_message("200000 entries: %.3f s\n", took);
    assert_true(took < 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),      cmocka_unit_test(test_depth),   cmocka_unit_test(test_plain_access),
        cmocka_unit_test(test_typed_access), cmocka_unit_test(test_writing), cmocka_unit_test(test_file),
        cmocka_unit_test(test_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
