/* test_amx.c - what the emulated tiles of AMX rest on: the meaning of each instruction, held to numbers worked out by hand from the manual; the check that
 * real ones must pass before they are used; and rows whose bits do not depend on their neighbours. test_ops.c compares the kernel with `ref`. */
#include "base/check.h"

#include "base/mem.h"
#include "tensor/cpu/cpu.h"
#include "tensor/cpu/cpu_int.h"
#include <stdatomic.h>

#if defined(__x86_64__)
#define AMX_EMULATED
#include "tensor/cpu/amx.h"

extern const Tiles tiles_amxbf16_emulated;

typedef struct Pair { float low, high; } Pair;

static uint32_t word_of(Pair p)
{
    uint16_t half[2];
    uint32_t word;
    dtype_from_f32(half, &p.low, DT_BF16, 2);
    memcpy(&word, half, sizeof word);
    return word;
}

/* Register 0: c; 1: a, one row of the words x; 2: b, one column of the words y; 2 words of k. */
static float product(float c, const Pair x[2], const Pair y[2])
{
    static const AmxConfig small = { .palette = 1, .row_bytes = { 4, 8, 4 }, .rows = { 1, 1, 2 } };
    const uint32_t a[2] = { word_of(x[0]), word_of(x[1]) }, b[2] = { word_of(y[0]), word_of(y[1]) };
    float got;
    amx_config(&small);
    amx_load(0, &c, 4);
    amx_load(1, a, 8);
    amx_load(2, b, 4);
    amx_dpbf16(0, 1, 2);
    amx_store(0, &got, 4);
    amx_release();
    return got;
}

static void test_meaning(void **state)
{
    (void)state;
    static const struct { float c; Pair x[2], y[2]; float want; const char *what; } rows[] = {
        { 5, { { 1, 2 }, { 3, 4 } }, { { 10, 100 }, { 1000, 8192 } }, 35983, "pairs meet pairs" },
        { 0, { { 0x1p12f, 1 }, { 0, 1 } }, { { 0x1p12f, 1 }, { 0, 1 } }, 0x1p24f + 2, "two chains: 2^24 + 1 + 1 in one would lose both" },
        { 1, { { 0x1p12f, 0x1p12f } }, { { 0x1p12f, -0x1p12f } }, 1, "c comes last: first it would be lost" },
        { 0, { { 0x1p12f, 1 }, { 0, 0 } }, { { 0x1p12f, 1 }, { 0, 0 } }, 0x1p24f, "a tie goes to the even number, below" },
        { 0, { { 0x1p12f, 1 }, { 1, 0 } }, { { 0x1p12f, 1 }, { 2, 0 } }, 0x1p24f + 4, "and above" },
        { 0, { { 0x1p-130f, 0 } }, { { 0x1p100f, 0 } }, 0, "a subnormal number is 0" },
        { 0, { { 0x1p-70f, 0 } }, { { 0x1p-70f, 0 } }, 0, "a subnormal product is 0" },
        { 0x1p-140f, { { 0, 0 } }, { { 0, 0 } }, 0, "a subnormal c is 0" },
        { 0, { { 0x1p-126f, 0x1p-127f * 1.5f } }, { { 1, -1 } }, 0x1p-126f, "of one that is normal and one that is not" },
        { 0, { { 0x1.8p-126f, 0x1p-126f } }, { { 1, -1 } }, 0, "a subnormal sum is 0" },
        { 0, { { 0x1p100f, 0 } }, { { 0x1p100f, 0 } }, INFINITY, "too large" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        float got = product(rows[i].c, rows[i].x, rows[i].y);
        if (got != rows[i].want)
            fail_msg("%s: %a instead of %a", rows[i].what, (double)got, (double)rows[i].want);
    }
    assert_true(isnan(product(0, (Pair[2]){ { INFINITY, 0 } }, (Pair[2]){ { 0, 0 } })));
}

/* All of a register: rows and columns lie where they should, what is outside the configured part is 0. */
static void test_places(void **state)
{
    (void)state;
    static const AmxConfig odd = { .palette = 1, .row_bytes = { 20, 12, 20 }, .rows = { 7, 7, 3 } };
    uint32_t a[7][5], b[3][9];
    float    c[8][6], want;
    for (int i = 0; i < 7; i++)
        for (int k = 0; k < 5; k++)
            a[i][k] = word_of((Pair){ (float)(i + k), (float)(2 * i - k) });
    for (int k = 0; k < 3; k++)
        for (int j = 0; j < 9; j++)
            b[k][j] = word_of((Pair){ (float)(3 * j - k), (float)(j + 5 * k) });
    for (int i = 0; i < 8 * 6; i++)
        c[i / 6][i % 6] = 77;
    amx_config(&odd);
    amx_zero(0);
    amx_load(1, a, sizeof a[0]);
    amx_load(2, b, sizeof b[0]);
    amx_dpbf16(0, 1, 2);
    amx_dpbf16(0, 1, 2);
    amx_store(0, c, sizeof c[0]);
    assert_int_equal(amx.word[1][0][3], 0);
    assert_int_equal(amx.word[1][7][0], 0);
    amx_release();
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 6; j++) {
            want = i < 7 && j < 5 ? 0 : 77;
            for (int k = 0; k < 3 && i < 7 && j < 5; k++)
                want += 2 * (float)((i + k) * (3 * j - k) + (2 * i - k) * (j + 5 * k));
            assert_true(c[i][j] == want);
        }
}

static void unconfigured(void) { amx_zero(0); }
static void released(void) { amx_config(&(AmxConfig){ .palette = 1, .row_bytes = { 64 }, .rows = { 16 } }), amx_release(), amx_zero(0); }
static void too_many_rows(void) { amx_config(&(AmxConfig){ .palette = 1, .row_bytes = { 64 }, .rows = { 17 } }); }
static void not_matching(void)
{
    amx_config(&(AmxConfig){ .palette = 1, .row_bytes = { 64, 64, 64 }, .rows = { 16, 16, 15 } });
    amx_dpbf16(0, 1, 2);
}

/* The kernel's own registers are there between begin and end, and not after. */
static void after_the_end(void)
{
    float c;
    tiles_amxbf16_emulated.begin();
    tiles_amxbf16_emulated.tile(1, 1, 0, NULL, AMX_ROWS, NULL, 2 * AMX_WORDS, &c, 1, &(Epi){ .alpha = 1 });
    tiles_amxbf16_emulated.end();
    if (c != 0)
        _exit(1);
    tiles_amxbf16_emulated.tile(1, 1, 0, NULL, AMX_ROWS, NULL, 2 * AMX_WORDS, &c, 1, &(Epi){ .alpha = 1 });
}

static void test_faults(void **state)
{
    (void)state;
    void (*const wrong[])(void) = { unconfigured, released, too_many_rows, not_matching, after_the_end };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        int status = check_child(wrong[i]);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
}

static void off_by_one(int64_t h, int64_t n, int64_t k, const float *a, int64_t lda, const float *b, int64_t ldb, float *c, int64_t ldc, const Epi *e)
{
    tiles_amxbf16_emulated.tile(h, n, k, a, lda, b, ldb, c, ldc, e);
    c[(h - 1) * ldc + n - 1] += 1;
}

static bool has_bf16(void)
{
    Backend *be = backend_cpu_open_isa("avx512bf16", 1, NULL);
    if (be)
        be->close(be);
    else
        print_message("SKIPPED: packing needs AVX512-BF16\n");
    return be != NULL;
}

/* The gate before real tiles lets right ones through, and no others. */
static void test_gate(void **state)
{
    (void)state;
    if (!has_bf16())
        return;
    assert_true(tiles_right(&tiles_amxbf16_emulated, kern_avx512.nr));
    assert_true(tiles_right(&tiles_avx512bf16, kern_avx512.nr));
    assert_true(tiles_right(&kern_avx512.f32, kern_avx512.nr) && tiles_right(&kern_avx2.f32, kern_avx2.nr) && tiles_right(&kern_base.f32, kern_base.nr));
    Tiles wrong = tiles_amxbf16_emulated;
    wrong.tile = off_by_one;
    assert_false(tiles_right(&wrong, kern_avx512.nr));
}

enum { T = 70, N = 75, PAIR = 13, K_MOST = 1120 };

typedef struct Numbers { float x[T * K_MOST], w[N * K_MOST], x2[T * PAIR], w2[N * PAIR], all[T * N], some[T * N]; } Numbers;

static atomic_int begun, ended;
static void count_begin(void) { tiles_amxbf16_emulated.begin(), atomic_fetch_add(&begun, 1); }
static void count_end(void) { tiles_amxbf16_emulated.end(), atomic_fetch_add(&ended, 1); }

typedef enum { FILL_NAN, FILL_WHOLE, FILL_FRACTIONS } Fill;

static void fill(float *x, int64_t n, Fill how)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = how == FILL_NAN ? NAN : how == FILL_WHOLE ? (float)(i * 7919 % 17 - 8) : (float)(i * 7919 % 1999 - 999) / 512;
}

/* The product and its pair; the same numbers of x and w may be read by rows or by columns. Of x rows first .. first + m. */
static void multiply(Cpu *cpu, Numbers *v, int way, int64_t k, int64_t first, int64_t m, float *c)
{
    const bool x_cols = way & 1, w_cols = way & 2;
    Gemm g = { .m = m, .n = N, .k = k, .a = v->x + first * (x_cols ? 1 : k), .lda = x_cols ? T : k, .a_rows = !x_cols, .b = v->w, .b_type = DT_F32,
               .ldb = w_cols ? N : k, .b_rows = !w_cols, .c = c, .ldc = N, .epi = { .alpha = 1 }, .k2 = x_cols ? 0 : PAIR, .a2 = v->x2 + first * PAIR, .lda2 = PAIR,
               .b2 = v->w2, .ldb2 = w_cols ? N : PAIR };
    cpu_gemm(cpu, &g);
}

static void fill_all(Numbers *v, Fill how)
{
    fill(v->x, ARRAY_LEN(v->x), how);
    fill(v->w, ARRAY_LEN(v->w), how);
    fill(v->x2, ARRAY_LEN(v->x2), how);
    fill(v->w2, ARRAY_LEN(v->w2), how);
}

/* Of whole numbers, whose sums are exact, the products are those of the other tiles for bf16. Of fractions rows first .. first + 5 alone have the bits that they
 * have among 70: whatever block they fall into. An earlier product left NaN in the panels, up to the last word of a whole unit. All ways in which the two
 * sides may lie; k odd in two stretches, even in one, less than a unit. */
static void test_products(void **state)
{
    (void)state;
    static const int64_t sizes[][2] = { { 1093, K_MOST }, { 326, 352 }, { 7, 32 } };
    if (!has_bf16())
        return;
    Backend *be = backend_cpu_open_isa("avx512bf16", 3, NULL), *other = backend_cpu_open_isa("avx512bf16", 1, NULL);
    Numbers *v = mem_zalloc(1, sizeof *v);
    be->compute = other->compute = COMPUTE_BF16;
    Tiles counted = tiles_amxbf16_emulated;
    counted.begin = count_begin;
    counted.end = count_end;
    cpu_of(be)->tiles[COMPUTE_BF16] = &counted;
    for (int way = 0; way < 4; way++)
        for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
            const int64_t k = sizes[s][0];
            fill_all(v, FILL_NAN);
            multiply(cpu_of(be), v, way, sizes[s][1], 0, T, v->all);
            fill_all(v, FILL_WHOLE);
            multiply(cpu_of(be), v, way, k, 0, T, v->all);
            multiply(cpu_of(other), v, way, k, 0, T, v->some);
            for (int i = 0; i < T * N; i++)
                if (v->all[i] != v->some[i])
                    fail_msg("way %d, k %d, number %d: %.9g, and with AVX512-BF16 %.9g", way, (int)k, i, (double)v->all[i], (double)v->some[i]);
            fill_all(v, FILL_FRACTIONS);
            multiply(cpu_of(be), v, way, k, 0, T, v->all);
            for (int first = 0; first + 5 <= T; first += 13) {
                multiply(cpu_of(be), v, way, k, first, 5, v->some);
                assert_memory_equal(v->some, v->all + first * N, 5 * N * sizeof(float));
            }
        }
    assert_true(begun > 0 && begun == ended);
    be->close(be);
    other->close(other);
    free(v);
}
#endif

int main(void)
{
#if defined(__x86_64__)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meaning), cmocka_unit_test(test_places), cmocka_unit_test(test_faults),
        cmocka_unit_test(test_gate),    cmocka_unit_test(test_products),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
#else
    return 77;
#endif
}
