/* test_str.c - borrowed and growing text, typed arrays, the map. */
#include "base/check.h"

#include "base/map.h"
#include "base/str.h"
#include "base/vec.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

static void test_compare(void **state)
{
    (void)state;
    Str none = { 0 }, word = STR_LIT("model.safetensors");
    assert_true(str_eq(none, STR_LIT("")));
    assert_false(str_eq(word, none));
    assert_true(str_eqz(word, "model.safetensors"));
    assert_true(str_starts(word, "model.") && str_starts(word, "") && str_starts(none, ""));
    assert_true(str_ends(word, ".safetensors") && str_ends(word, "") && str_ends(none, ""));
    assert_false(str_starts(STR_LIT("mod"), "model"));
    assert_false(str_ends(STR_LIT("sors"), "tensors"));
    assert_false(str_eq(STR_LIT("a\0b"), STR_LIT("a\0c")));
    assert_int_equal(str_of(NULL).n, 0);
}

static void test_buffer(void **state)
{
    (void)state;
    StrBuf b = { 0 };
    assert_string_equal(strbuf_z(&b), "");
    assert_int_equal(strbuf_str(&b).n, 0);
    for (int i = 0; i < 1000; i++)
        strbuf_addf(&b, "%d,", i);
    assert_int_equal(b.n, 3890);
    assert_int_equal(b.p[b.n], 0);
    strbuf_clear(&b);
    assert_string_equal(strbuf_z(&b), "");
    strbuf_addc(&b, '\0');
    strbuf_addz(&b, "after");
    assert_int_equal(b.n, 6);
    char *text = strbuf_take(&b);
    assert_memory_equal(text, "\0after", 7);
    free(text);
    text = strbuf_take(&b); /* of an empty buffer: still a text */
    assert_string_equal(text, "");
    free(text);
    strbuf_release(&b);
}

static void test_maximum(void **state)
{
    (void)state;
    StrBuf b = { .max = 10 };
    strbuf_addz(&b, "0123456789"); /* exactly full */
    assert_false(b.over);
    strbuf_addc(&b, 'x');
    assert_true(b.over);
    assert_string_equal(b.p, "0123456789");
    strbuf_clear(&b);
    assert_false(b.over);
    strbuf_addz(&b, "abc");
    strbuf_addf(&b, "%d", 12345678); /* too long: nothing of it */
    strbuf_addc(&b, 'd');            /* and nothing behind the hole */
    assert_true(b.over);
    assert_string_equal(b.p, "abc");
    strbuf_release(&b);
}

static void test_real(void **state)
{
    (void)state;
    static const struct { double v; const char *text; } rows[] = {
        { 0.1, "0.1" }, { 1, "1" }, { -0.0, "-0" }, { 2e-4, "0.0002" }, { 1e300, "1e+300" }, { 1.0 / 3, "0.33333333333333331" },
    };
    StrBuf b = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        strbuf_clear(&b);
        strbuf_add_real(&b, rows[i].v);
        assert_string_equal(b.p, rows[i].text);
    }
    const double edges[] = { DBL_MAX, DBL_MIN, DBL_TRUE_MIN, M_PI, nextafter(1, 2), -DBL_EPSILON };
    for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
        strbuf_clear(&b);
        strbuf_add_real(&b, edges[i]);
        assert_true(strtod(b.p, NULL) == edges[i]);
    }
    strbuf_release(&b);
}

static void test_vec(void **state)
{
    (void)state;
    static char mark[] = "an old element";
    VEC(struct { int a; char *b; }) v = { 0 };
    for (int i = 0; i < 1000; i++) {
        assert_null(vec_push(&v)->b); /* zeroed */
        v.p[i].a = i;
    }
    v.p[5].b = mark;
    vec_clear(&v);
    for (int i = 0; i < 10; i++)
        assert_null(vec_push(&v)->b); /* also where an old element was */
    assert_int_equal(v.n, 10);
    vec_release(&v);
    assert_null(v.p);
}

static void test_map(void **state)
{
    (void)state;
    Map *m = map_new();
    char key[32];
    int64_t v = -1;
    assert_false(map_get(m, STR_LIT("nothing"), &v));
    assert_int_equal(v, -1);
    for (int i = 0; i < 100000; i++) {
        int n = snprintf(key, sizeof key, "key %d", i);
        assert_true(map_put(m, (Str){ key, (size_t)n }, i));
    }
    assert_int_equal(map_count(m), 100000);
    for (int i = 0; i < 100000; i++) { /* found again, and in the order of insertion */
        int n = snprintf(key, sizeof key, "key %d", i);
        assert_true(map_get(m, (Str){ key, (size_t)n }, &v) && v == i);
        assert_true(str_eq(map_key(m, (size_t)i), (Str){ key, (size_t)n }) && map_value(m, (size_t)i) == i);
    }
    assert_false(map_get(m, STR_LIT("key 100000"), &v));
    assert_false(map_put(m, STR_LIT("key 7"), 70)); /* replaced in place */
    assert_true(map_get(m, STR_LIT("key 7"), &v) && v == 70 && map_count(m) == 100000);
    map_free(m);
    map_free(NULL);
}

static void test_map_odd_keys(void **state)
{
    (void)state;
    Map *m = map_new();
    size_t n = (size_t)1 << 20;
    char *big = mem_alloc(n);
    memset(big, 'x', n);
    int64_t v = 0;
    assert_true(map_put(m, (Str){ 0 }, 1));
    assert_true(map_put(m, STR_LIT("a\0b"), 2));
    assert_true(map_put(m, STR_LIT("a\0c"), 3));
    assert_true(map_put(m, STR_LIT("a"), 4));
    assert_true(map_put(m, (Str){ big, n }, 5));
    assert_true(map_put(m, (Str){ big, n - 1 }, 6));
    big[0] = 'y'; /* keys are copies */
    assert_false(map_get(m, (Str){ big, n }, &v));
    assert_true(map_get(m, STR_LIT(""), &v) && v == 1);
    assert_true(map_get(m, STR_LIT("a\0c"), &v) && v == 3);
    assert_true(map_get(m, STR_LIT("a"), &v) && v == 4);
    free(big);
    map_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compare), cmocka_unit_test(test_buffer), cmocka_unit_test(test_maximum),      cmocka_unit_test(test_real),
        cmocka_unit_test(test_vec),     cmocka_unit_test(test_map),    cmocka_unit_test(test_map_odd_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
