/* test_gguf.c - files of the gguf package are read, ours are read back, and no lie in a file gets through. */
#include "formats/gguf.h"

#include "base/file.h"
#include "base/file_test.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define GOLDEN TEST_DIR "/formats/golden/gguf/"

static Gguf *open_good(const char *path)
{
    Err e = {0};
    Gguf *g = NULL;
    int rc = gguf_open(&g, path, &e);
    if (rc)
        print_error("%s\n", e.text);
    assert_int_equal(rc, 0);
    return g;
}

/* ---- what the package wrote ---- */

/* The rule of tools/golden_gguf.py. */
static void expect_rule_values(const GgufTensor *t)
{
    float *x = mem_alloc((size_t)t->count * sizeof *x);
    dtype_to_f32(x, t->data, t->dtype, t->count);
    for (int64_t i = 0; i < t->count; i++)
        assert_true(x[i] == (float)(i % 61 - 30) / 4);
    free(x);
}

static const GgufTensor *expect_tensor(const Gguf *g, const char *name, const char *type, int rank, const int64_t *dim, size_t nbytes)
{
    const GgufTensor *t = gguf_find(g, name);
    assert_non_null(t);
    assert_string_equal(t->name, name);
    assert_string_equal(t->type_text, type);
    assert_int_equal(t->rank, rank);
    int64_t count = 1;
    for (int i = 0; i < rank; i++) {
        assert_int_equal(t->dim[i], dim[i]);
        count *= dim[i];
    }
    assert_int_equal(t->count, count);
    assert_int_equal(t->nbytes, nbytes);
    return t;
}

static void test_golden_tensors(void **state)
{
    (void)state;
    Gguf *g = open_good(GOLDEN "kinds.gguf");
    assert_int_equal(gguf_count(g), 7);
    expect_rule_values(expect_tensor(g, "rank1", "F32", 1, (int64_t[]){ 5 }, 20));
    expect_rule_values(expect_tensor(g, "rank2", "F16", 2, (int64_t[]){ 3, 4 }, 24));
    expect_rule_values(expect_tensor(g, "rank3", "F32", 3, (int64_t[]){ 2, 3, 4 }, 96));
    expect_rule_values(expect_tensor(g, "bf16", "BF16", 2, (int64_t[]){ 2, 4 }, 16));
    const GgufTensor *t = expect_tensor(g, "rank4", "I32", 4, (int64_t[]){ 1, 2, 3, 20 }, 480);
    for (int32_t i = 0, got; i < 120; i++) {
        memcpy(&got, (const uint8_t *)t->data + 4 * i, 4);
        assert_int_equal(got, i);
    }
    t = expect_tensor(g, "bytes", "I8", 1, (int64_t[]){ 3 }, 3);
    assert_memory_equal(t->data, "\1\2\3", 3);
    assert_false(t->known);
    assert_false(expect_tensor(g, "wide", "F64", 1, (int64_t[]){ 2 }, 16)->known);
    assert_null(gguf_find(g, "absent"));
    assert_string_equal(gguf_where(g, t), GOLDEN "kinds.gguf");
    assert_string_equal(gguf_path(g), GOLDEN "kinds.gguf");
    gguf_close(g);
}

static void expect_int(const Gguf *g, const char *key, int64_t want)
{
    int64_t v = 0;
    Err e = {0};
    int rc = gguf_need_int(g, key, &v, &e);
    if (rc)
        print_error("%s\n", e.text);
    assert_int_equal(rc, 0);
    assert_true(v == want);
}

static void expect_num(const Gguf *g, const char *key, double want)
{
    double v = 0;
    Err e = {0};
    assert_int_equal(gguf_need_num(g, key, &v, &e), 0);
    assert_true(v == want);
}

static void expect_sentence(int rc, const Err *e, const char *words)
{
    if (rc != ERR_INPUT || !strstr(e->text, words))
        print_error("expected \"%s\", got %d: %s\n", words, rc, e->text);
    assert_int_equal(rc, ERR_INPUT);
    assert_non_null(strstr(e->text, words));
}

static void test_golden_metadata(void **state)
{
    (void)state;
    Gguf *g = open_good(GOLDEN "kinds.gguf");
    Err e = {0};
    Str s;
    bool b = false;
    int64_t i = 7;
    double d = 7;
    GgufArray a;
    GgufKind kind;
    assert_int_equal(gguf_meta_count(g), 20);
    assert_true(str_eqz(gguf_meta_key(g, 0), "general.architecture"));
    expect_int(g, "k.u8", 200);
    expect_int(g, "k.i8", -100);
    expect_int(g, "k.u16", 60000);
    expect_int(g, "k.i16", -30000);
    expect_int(g, "k.u32", 4000000000);
    expect_int(g, "k.i32", -2000000000);
    expect_int(g, "k.u64.small", ((int64_t)1 << 53) + 1);
    expect_int(g, "k.i64", -((int64_t)1 << 62));
    expect_int(g, "k.f32.whole", 10000);
    expect_num(g, "k.i8", -100);
    expect_num(g, "k.u64", 0x1p63);
    expect_num(g, "k.f32", (double)0.1f);
    expect_num(g, "k.f64", 1e300);
    assert_int_equal(gguf_need_bool(g, "k.true", &b, &e), 0);
    assert_true(b);
    assert_int_equal(gguf_need_bool(g, "k.false", &b, &e), 0);
    assert_false(b);
    assert_int_equal(gguf_need_str(g, "k.string", &s, &e), 0);
    assert_true(str_eqz(s, "a \"quoted\" line\nand \xc3\xa9"));
    assert_int_equal(gguf_need_array(g, "k.strings", &a, &e), 0);
    static const char *const strings[] = { "", "\xc3\xa9", "three words here", "\xe2\x96\x81x" };
    assert_int_equal(a.n, ARRAY_LEN(strings));
    for (size_t k = 0; k < a.n; k++)
        assert_true(str_eqz(gguf_array_str(&a, k), strings[k]));
    assert_int_equal(gguf_need_array(g, "k.ints", &a, &e), 0);
    assert_true(a.n == 3 && gguf_array_is_int(&a) && gguf_array_int(&a, 0) == 1 && gguf_array_int(&a, 1) == -2 && gguf_array_num(&a, 2) == 3);
    assert_int_equal(gguf_need_array(g, "k.floats", &a, &e), 0);
    assert_true(a.n == 2 && !gguf_array_is_int(&a) && gguf_array_is_num(&a) && gguf_array_num(&a, 1) == -1.25);
    assert_int_equal(gguf_need_array(g, "k.bools", &a, &e), 0);
    assert_true(a.n == 3 && !gguf_array_is_num(&a) && gguf_array_int(&a, 0) == 1 && gguf_array_int(&a, 1) == 0);
    assert_true(gguf_kind(g, "k.bools", &kind) && kind == GGUF_ARRAY && gguf_kind(g, "k.u16", &kind) && kind == GGUF_U16);
    assert_false(gguf_kind(g, "absent", &kind));
    /* what does not fit */
    expect_sentence(gguf_need_int(g, "absent", &i, &e), &e, "kinds.gguf: the metadata value \"absent\" is missing");
    expect_sentence(gguf_need_int(g, "k.u64", &i, &e), &e, "must be a whole number that fits in 64 bits, it is 9.22337e+18");
    expect_sentence(gguf_need_int(g, "k.f32", &i, &e), &e, "must be a whole number that fits in 64 bits, it is 0.1");
    expect_sentence(gguf_need_int(g, "k.f64", &i, &e), &e, "must be a whole number");
    expect_sentence(gguf_need_int(g, "k.true", &i, &e), &e, "must be a whole number, it is of kind bool");
    expect_sentence(gguf_need_num(g, "k.string", &d, &e), &e, "must be a number, it is of kind string");
    expect_sentence(gguf_need_bool(g, "k.u8", &b, &e), &e, "must be true or false, it is of kind u8");
    expect_sentence(gguf_need_str(g, "k.strings", &s, &e), &e, "must be a string, it is of kind array");
    expect_sentence(gguf_opt_array(g, "k.u8", &a, &e), &e, "must be an array, it is of kind u8");
    assert_int_equal(gguf_opt_int(g, "absent", &i, &e), 0);
    assert_int_equal(gguf_opt_num(g, "absent", &d, &e), 0);
    assert_true(i == 7 && d == 7);
    gguf_close(g);
}

static void test_golden_split(void **state)
{
    (void)state;
    static const char *const names[] = { "embed", "layer.0.w", "norm", "layer.1.w", "head" };
    for (int k = 1; k <= 3; k++) {                         /* by the path of any piece */
        char path[256];
        snprintf(path, sizeof path, GOLDEN "split-%05d-of-00003.gguf", k);
        Gguf *g = open_good(path);
        assert_int_equal(gguf_count(g), ARRAY_LEN(names));
        for (int i = 0; i < (int)ARRAY_LEN(names); i++) {
            assert_string_equal(gguf_at(g, (size_t)i)->name, names[i]);
            expect_rule_values(expect_tensor(g, names[i], "F32", 2, (int64_t[]){ i + 1, 4 }, (size_t)(i + 1) * 16));
            char want[64];
            snprintf(want, sizeof want, "split-%05d-of-00003.gguf", i / 2 + 1);
            assert_string_equal(path_base(gguf_where(g, gguf_at(g, (size_t)i))), want);
        }
        expect_int(g, "llama.block_count", 1);
        gguf_close(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_tensors),
        cmocka_unit_test(test_golden_metadata),
        cmocka_unit_test(test_golden_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
