/* test_quant.c - the blocked formats against llama.cpp: what its quantisers write is written and read here with the same bits. The golden file
 * holds rows of every kind (plain, constant, zero, huge, tiny, outliers, ties), what llama.cpp makes of them in each format, and SHA-256 sums of
 * what it reads back; tools/golden_gguf.py makes it, and compares millions of numbers more. */
#include "formats/gguf.h"

#include "base/hash.h"
#include "base/mem.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static Gguf *golden(void)
{
    Err e = {0};
    Gguf *g = NULL;
    int rc = gguf_open(&g, TEST_DIR "/formats/golden/gguf/quants.gguf", &e);
    if (rc)
        print_error("%s\n", e.text);
    assert_int_equal(rc, 0);
    return g;
}

/* The sum that the golden file has for t, read with NaN as 0 (which of its patterns a NaN has is nobody's business). */
static void expect_widened(const Gguf *g, const GgufTensor *t)
{
    char key[64], got[SHA256_HEX];
    Str want;
    Err e = {0};
    Sha256 h;
    float *x = mem_alloc((size_t)t->count * sizeof *x);
    snprintf(key, sizeof key, "widened.%s", t->name);
    assert_int_equal(gguf_need_str(g, key, &want, &e), 0);
    dtype_to_f32(x, t->data, t->dtype, t->count);
    for (int64_t i = 0; i < t->count; i++)
        x[i] = isnan(x[i]) ? 0.0f : x[i];
    sha256_init(&h);
    sha256_add(&h, x, (size_t)t->count * sizeof *x);
    sha256_hex(&h, got);
    if (!str_eqz(want, got))
        print_error("%s is read otherwise than by llama.cpp\n", t->name);
    assert_true(str_eqz(want, got));
    free(x);
}

static void test_read_as_llama_cpp_reads(void **state)
{
    (void)state;
    Gguf *g = golden();
    int n = 0;
    for (size_t i = 0; i < gguf_count(g); i++) {
        const GgufTensor *t = gguf_at(g, i);
        if (dtype_block(t->dtype) == 1)
            continue;
        expect_widened(g, t);
        n++;
    }
    assert_int_equal(n, 24);
    gguf_close(g);
}

static void test_written_as_llama_cpp_writes(void **state)
{
    (void)state;
    Gguf *g = golden();
    const GgufTensor *source = gguf_find(g, "source");
    float *x = mem_alloc(source->nbytes);
    memcpy(x, source->data, source->nbytes);
    int n = 0;
    for (unsigned k = 0; k < DT_COUNT; k++) {
        DType t = (DType)k;
        const GgufTensor *want = gguf_find(g, dtype_name(t));
        if (dtype_block(t) == 1 || t >= DT_NF4)                   /* not llama.cpp's */
            continue;
        uint8_t *got = mem_alloc(want->nbytes);
        size_t row = dtype_bytes(t, source->dim[1]);
        assert_int_equal(dtype_bytes(t, source->count), want->nbytes);
        dtype_from_f32(got, x, t, source->count);
        for (int64_t r = 0; r < source->dim[0]; r++) {
            const uint8_t *theirs = (const uint8_t *)want->data + (size_t)r * row;
            if (memcmp(got + (size_t)r * row, theirs, row) != 0)
                print_error("%s: row %d is not what llama.cpp writes\n", dtype_name(t), (int)r);
            assert_memory_equal(got + (size_t)r * row, theirs, row);
        }
        /* Blocks do not know each other: one alone, at another place and at an odd address, is the same. */
        int64_t block = dtype_block(t);
        uint8_t alone[512];
        for (int64_t b = 0; b < source->count / block; b += 7) {
            dtype_from_f32(alone + 1, x + b * block, t, block);
            assert_memory_equal(alone + 1, got + dtype_bytes(t, b * block), dtype_bytes(t, block));
        }
        free(got);
        n++;
    }
    assert_int_equal(n, 12);
    free(x);
    gguf_close(g);
}

/* Nothing promised but that it ends and stays inside. */
static void test_numbers_that_are_none(void **state)
{
    (void)state;
    enum { N = 1024 };
    static const float bad[] = { NAN, -NAN, INFINITY, -INFINITY, 3e38f, -3e38f };
    float x[N], back[N];
    uint8_t out[N * 4 + 1];
    for (unsigned k = 0; k < DT_COUNT; k++) {
        DType t = (DType)k;
        if (dtype_block(t) == 1 || !dtype_writable(t))
            continue;
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
            for (int j = 0; j < N; j++)
                x[j] = j % 256 < 3 || j > 768 ? bad[i] : (float)j - 500.0f;
            size_t n = dtype_bytes(t, N);
            out[n] = 0xee;
            dtype_from_f32(out, x, t, N);
            assert_int_equal(out[n], 0xee);
            dtype_to_f32(back, out, t, N);
        }
    }
}

/* From the definitions in quant_64.c; that the codes of NF4 are bitsandbytes' own is shown in test_packed.c. */
static void test_blocks_of_64(void **state)
{
    (void)state;
    enum { N = 64 * 50 };
    float x[N], back[N];
    uint8_t out[50 * 68 + 1], *bytes = out + 1; /* at an odd address */
    for (int i = 0; i < N; i++)
        x[i] = i < 64 ? 0 : sinf((float)(i * i)) * (float)(i / 64);
    assert_int_equal(dtype_bytes(DT_NF4, N), 50 * 36);
    dtype_from_f32(bytes, x, DT_NF4, N);
    dtype_to_f32(back, bytes, DT_NF4, N);
    for (int i = 0; i < N; i++) {
        float d;
        memcpy(&d, bytes + i / 64 * 36, sizeof d);
        int byte = bytes[i / 64 * 36 + 4 + i % 64 / 2], code = i % 2 ? byte & 15 : byte >> 4;
        assert_true(back[i] == dtype_nf4_code[code] * d);
        for (int k = 0; k < 16; k++)
            assert_true(fabsf(back[i] - x[i]) <= fabsf(dtype_nf4_code[k] * d - x[i]) + d * 1e-6f);
    }
    assert_int_equal(dtype_bytes(DT_INT8, N), 50 * 68);
    dtype_from_f32(bytes, x, DT_INT8, N);
    dtype_to_f32(back, bytes, DT_INT8, N);
    for (int i = 0; i < N; i++) {
        float d;
        memcpy(&d, bytes + i / 64 * 68, sizeof d);
        assert_true(back[i] == (float)(int8_t)bytes[i / 64 * 68 + 4 + i % 64] * d * 7.874015718698502e-3f);
        assert_true(fabsf(back[i] - x[i]) <= d / 127 * 0.5001f);
    }
}

static void test_shapes_of_blocks(void **state)
{
    (void)state;
    DType found;
    for (unsigned k = 0; k < DT_COUNT; k++) {
        DType t = (DType)k;
        int64_t block = dtype_block(t);
        assert_int_equal(dtype_bytes(t, 0), 0);
        assert_int_equal(dtype_bytes(t, 3 * block), 3 * dtype_bytes(t, block));
        assert_int_equal(dtype_find(str_of(dtype_name(t)), &found), block == 1);   /* safetensors has no blocked formats */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_as_llama_cpp_reads),
        cmocka_unit_test(test_written_as_llama_cpp_writes),
        cmocka_unit_test(test_numbers_that_are_none),
        cmocka_unit_test(test_blocks_of_64),
        cmocka_unit_test(test_shapes_of_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
