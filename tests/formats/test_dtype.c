/* test_dtype.c - conversions against plain arithmetic in double, over every 16-bit pattern and a thick sample of floats, and against torch. */
#include "formats/dtype.h"
#include "formats/safetensors.h"

#include "base/mem.h"
#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* Fraction bits, exponent of the smallest normal number, and of the largest. */
typedef struct { DType type; int fraction, exp_min, exp_max; } Half;
static const Half halves[] = { { DT_F16, 10, -14, 15 }, { DT_BF16, 7, -126, 127 } };

static uint32_t bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static float of_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

/* What a 16-bit pattern means, from the definition of the format. */
static double meaning(const Half *h, unsigned pattern)
{
    int fraction = (int)(pattern & ((1u << h->fraction) - 1)), exponent = (int)((pattern & 0x7fffu) >> h->fraction);
    double sign = pattern & 0x8000u ? -1.0 : 1.0;
    if (exponent == h->exp_max - h->exp_min + 2)
        return fraction ? (double)NAN : sign * (double)INFINITY;
    if (exponent == 0)
        return sign * ldexp(fraction, h->exp_min - h->fraction);
    return sign * ldexp(fraction + (1 << h->fraction), exponent - 1 + h->exp_min - h->fraction);
}

/* The number of the format that is nearest to x, ties to even. */
static double nearest(const Half *h, double x)
{
    int exponent = x == 0 || !isfinite(x) ? 0 : ilogb(x);
    double unit = ldexp(1, MAX(exponent, h->exp_min) - h->fraction);
    double y = nearbyint(x / unit) * unit;
    return fabs(y) >= ldexp(1, h->exp_max + 1) ? copysign((double)INFINITY, x) : y;
}

static void test_widening_is_exact_for_every_pattern(void **state)
{
    (void)state;
    uint16_t *in = mem_alloc(65536 * sizeof *in);
    float *out = mem_alloc(65536 * sizeof *out);
    for (unsigned i = 0; i < 65536; i++)
        in[i] = (uint16_t)i;
    for (size_t k = 0; k < ARRAY_LEN(halves); k++) {
        dtype_to_f32(out, in, halves[k].type, 65536);
        for (unsigned i = 0; i < 65536; i++) {
            double want = meaning(&halves[k], i);
            if (isnan(want))
                assert_true(isnan(out[i]));
            else
                assert_int_equal(bits(out[i]), bits((float)want));
            assert_int_equal(bits(out[i]) >> 31, i >> 15);
        }
    }
    free(in);
    free(out);
}

static void test_narrowing_returns_every_pattern(void **state)
{
    (void)state;
    uint16_t *in = mem_alloc(65536 * sizeof *in), *back = mem_alloc(65536 * sizeof *back);
    float *wide = mem_alloc(65536 * sizeof *wide);
    for (unsigned i = 0; i < 65536; i++)
        in[i] = (uint16_t)i;
    for (size_t k = 0; k < ARRAY_LEN(halves); k++) {
        dtype_to_f32(wide, in, halves[k].type, 65536);
        dtype_from_f32(back, wide, halves[k].type, 65536);
        for (unsigned i = 0; i < 65536; i++) {
            if (isnan(meaning(&halves[k], i)))
                assert_true(isnan(meaning(&halves[k], back[i])));
            else
                assert_int_equal(back[i], i);
        }
    }
    free(in);
    free(back);
    free(wide);
}

static void check_narrowing(const Half *h, const float *x, int64_t n)
{
    uint16_t *narrow = mem_alloc((size_t)n * sizeof *narrow);
    dtype_from_f32(narrow, x, h->type, n);
    for (int64_t i = 0; i < n; i++) {
        double got = meaning(h, narrow[i]);
        if (isnan(x[i])) {
            assert_true(isnan(got));
        } else {
            assert_true(got == nearest(h, (double)x[i]));
            assert_int_equal(narrow[i] >> 15, bits(x[i]) >> 31);
        }
    }
    free(narrow);
}

static void test_narrowing_is_nearest_even(void **state)
{
    (void)state;
    enum { N = 1 << 20 };
    float *x = mem_alloc(N * sizeof *x);
    Rng r = rng_at(1, RNG_TEST, 0, 0);
    for (size_t k = 0; k < ARRAY_LEN(halves); k++) {
        for (int i = 0; i < N; i++)
            x[i] = of_bits(rng_u32(&r));                                       /* every magnitude, NaN and subnormals */
        check_narrowing(&halves[k], x, N);
        for (int i = 0; i < N; i++)
            x[i] = (float)ldexp(rng_unit(&r) - 0.5, (int)rng_below(&r, 48) - 30);   /* the range of F16 */
        check_narrowing(&halves[k], x, N);
        int n = 0;
        for (unsigned i = 0; i + 1 < 1u << 15; i++) {                          /* the middle between neighbours, and beside it */
            double a = meaning(&halves[k], i), b = meaning(&halves[k], i + 1);
            if (!isfinite(a) || !isfinite(b))
                continue;
            uint32_t middle = bits((float)((a + b) / 2));
            for (int sign = 0; sign < 2; sign++)
                for (uint32_t d = 0; d < 3; d++)
                    x[n++] = of_bits((middle + d - (middle > 0)) | (uint32_t)sign << 31);
        }
        check_narrowing(&halves[k], x, n);
    }
    free(x);
}

static void test_special_values(void **state)
{
    (void)state;
    static const struct { uint32_t in; uint16_t f16, bf16; } rows[] = {
        { 0x00000000, 0x0000, 0x0000 }, { 0x80000000, 0x8000, 0x8000 },       /* zeros keep their sign */
        { 0x477fefff, 0x7bff, 0x4780 }, { 0x477ff000, 0x7c00, 0x4780 },       /* 65519.996 stays 65504 in F16, 65520 is infinite */
        { 0x7f7fffff, 0x7c00, 0x7f80 }, { 0xff7fffff, 0xfc00, 0xff80 },       /* the largest float overflows */
        { 0x7f800000, 0x7c00, 0x7f80 }, { 0xff800000, 0xfc00, 0xff80 },
        { 0x7fc00000, 0x7e00, 0x7fc0 }, { 0xff800001, 0xfe00, 0xffc0 },       /* a payload that vanishes must not leave infinity */
        { 0x33000000, 0x0000, 0x3300 }, { 0x33000001, 0x0001, 0x3300 },       /* half the smallest subnormal of F16: to even, and above */
        { 0x387fffff, 0x0400, 0x3880 },                                        /* rounds from subnormal up to normal */
        { 0x00000001, 0x0000, 0x0000 }, { 0x00008001, 0x0000, 0x0001 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        float x = of_bits(rows[i].in);
        uint16_t f16, bf16;
        dtype_from_f32(&f16, &x, DT_F16, 1);
        dtype_from_f32(&bf16, &x, DT_BF16, 1);
        assert_int_equal(f16, rows[i].f16);
        assert_int_equal(bf16, rows[i].bf16);
    }
}

/* Files hold numbers at odd addresses; and nothing behind the last element may be touched. */
static void test_any_address_and_length(void **state)
{
    (void)state;
    uint8_t raw[2 * 600 + 1];
    uint8_t back[2 * 600 + 2];
    float wide[601];
    for (size_t i = 0; i < sizeof raw; i++)
        raw[i] = (uint8_t)(i * 7 % 120);                                       /* no pattern of all exponent bits */
    for (size_t k = 0; k < ARRAY_LEN(halves); k++)
        for (int64_t n = 0; n <= 600; n++) {
            wide[n] = 12345.0f;
            memset(back, 0xee, sizeof back);
            dtype_to_f32(wide, raw + 1, halves[k].type, n);
            dtype_from_f32(back + 1, wide, halves[k].type, n);
            assert_true(wide[n] == 12345.0f);
            assert_memory_equal(back + 1, raw + 1, (size_t)n * 2);
            assert_int_equal(back[0], 0xee);
            assert_int_equal(back[1 + 2 * n], 0xee);
        }
    float same[3] = { 1.5f, -0.0f, of_bits(0x7f800001) }, copy[3];
    dtype_to_f32(copy, same, DT_F32, 3);
    assert_memory_equal(copy, same, sizeof same);
    dtype_from_f32(copy, same, DT_F32, 3);
    assert_memory_equal(copy, same, sizeof same);
}

static void test_agrees_with_torch(void **state)
{
    (void)state;
    static const char *const names[] = { "source_f16", "source_bf16" };
    Err e = {0};
    StFile *f = NULL;
    assert_int_equal(st_open(&f, TEST_DIR "/formats/golden/single.safetensors", &e), 0);
    const StTensor *source = st_find(f, "source");
    assert_non_null(source);
    assert_true(source->count > 3000);
    float *x = mem_alloc(source->nbytes);
    dtype_to_f32(x, source->data, DT_F32, source->count);
    for (size_t k = 0; k < ARRAY_LEN(halves); k++) {
        const StTensor *want = st_find(f, names[k]);
        assert_non_null(want);
        uint16_t *ours = mem_alloc(want->nbytes), *theirs = mem_alloc(want->nbytes);
        memcpy(theirs, want->data, want->nbytes);
        dtype_from_f32(ours, x, halves[k].type, source->count);
        for (int64_t i = 0; i < source->count; i++) {
            if (isnan(x[i]))
                assert_true(isnan(meaning(&halves[k], ours[i])) && isnan(meaning(&halves[k], theirs[i])));
            else
                assert_int_equal(ours[i], theirs[i]);
        }
        free(ours);
        free(theirs);
    }
    free(x);
    st_close(f);
}

static void test_names_and_sizes(void **state)
{
    (void)state;
    static const size_t sizes[DT_COUNT] = { [DT_F32] = 4, [DT_F16] = 2, [DT_BF16] = 2, [DT_I32] = 4 };
    for (unsigned i = 0; i < DT_COUNT; i++) {
        if (dtype_block((DType)i) > 1)                                         /* test_quant.c */
            continue;
        DType found = DT_COUNT;
        assert_true(dtype_find(str_of(dtype_name((DType)i)), &found));
        assert_int_equal(found, i);
        assert_int_equal(dtype_size((DType)i), sizes[i]);
    }
    DType found = DT_COUNT;
    assert_false(dtype_find(STR_LIT("F64"), &found));
    assert_false(dtype_find(STR_LIT("F3"), &found));
    assert_false(dtype_find(STR_LIT(""), &found));
    assert_int_equal(found, DT_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_widening_is_exact_for_every_pattern),
        cmocka_unit_test(test_narrowing_returns_every_pattern),
        cmocka_unit_test(test_narrowing_is_nearest_even),
        cmocka_unit_test(test_special_values),
        cmocka_unit_test(test_any_address_and_length),
        cmocka_unit_test(test_agrees_with_torch),
        cmocka_unit_test(test_names_and_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
