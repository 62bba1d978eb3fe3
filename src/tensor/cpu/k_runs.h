/* k_runs.h - tiles of the product with a weight of a blocked type whose whole numbers are multiplied as they are, for AVX512-VNNI. Part of kern_avx512vnni.c.
 *
 * What k_few.h does for few rows, for many: x becomes 16-bit whole numbers with a scale for each run of 32, VPDPWSSD adds up the products of two neighbours
 * in every lane, twice what an f32 instruction multiplies, and the sum of a run (or of half a run, where halves have scales of their own) joins the f32 sum
 * with both scales. Minima meet the sum of the same whole x.
 * Panels: slices of p words, of one part of a run (RUN / 2 / parts) of pairs of numbers, one of scales, and with minima one more: of x the sum, negated, of the
 * weight the minimum.
 * Accuracy: as k_few.h: a number of x moves by at most 2^-16 of the largest of its run. Overflow: a lane adds up RUN products of at most 128 * 32767, so NF4,
 * whose codes need more steps, has no tiles here.
 * Cost of a run of 32 in a sum of sixteen lanes: 16 VPDPWSSD, where f32 takes 32 multiplications, and 3 operations of the same kind (4 with minima, twice as many with
 * halves): 1.7, 1.6, 1.5 times the speed of f32 at most, 1.3 with both.
 * Invariant: one chain of sums over the runs of a stretch: its bits depend on k alone.
 * To add a type: its line in WHOLE_TYPES. */
#ifndef HONE_CPU_K_RUNS_H
#define HONE_CPU_K_RUNS_H

#include "tensor/cpu/k_quant.h"
#include "tensor/cpu/k_whole.h"
#include "tensor/cpu/kern.h"
#include "tensor/cpu/simd.h"

#define RUNS_MR  7        /* 14 sums of whole numbers, 14 of floats, 2 of b, 1 broadcast: 31 of 32 registers */
#define RUNS_NR  (2 * VW)

/* Of a type with `halves` and `min`, each 0 or 1: parts of a run, pairs in a part, slices of a part and of a run. */
#define PARTS(halves)            (1 + (halves))
#define PAIRS(halves)            (RUN / 2 / PARTS(halves))
#define PART_SLICES(halves, min) (PAIRS(halves) + 1 + (min))
#define RUN_SLICES(halves, min)  (PARTS(halves) * PART_SLICES(halves, min))

/* ---- packing ---- */

/* One run of one row, into lane `dst` of a panel of x. */
VINLINE void run_pack_x(DType type, float *dst, int64_t p, const float *x)
{
    const StoredType t = stored_types[type];
    const vs         one = (vs){ 0 } + 1;
    float            f;
    const float      scale = run_scale(x, X_STEPS, &f);
    const vs         q[2] = { whole(x, f), whole(x + RUN / 2, f) };
    const v8i        sum[2] = { dot_pairs(q[0], one), dot_pairs(q[1], one) };
    float            pair[RUN / 2];
    memcpy(pair, q, sizeof pair);
    for (int part = 0; part < PARTS(t.halves); part++) {
        for (int l = 0; l < PAIRS(t.halves); l++, dst += p)
            memcpy(dst, &pair[part * PAIRS(t.halves) + l], sizeof *dst);
        *dst = type == DT_INT8 ? scale * DTYPE_INT8_UNIT : scale;
        dst += p;
        if (t.min) {
            *dst = -(float)sum8(t.halves ? sum[part] : sum[0] + sum[1]) * scale;
            dst += p;
        }
    }
}

/* PackRows of a: what lies behind row n of the panel is not written, and never read. */
VINLINE void runs_pack_x(DType type, float *dst, int64_t p, const float *x, int64_t ld, int64_t n, int64_t k)
{
    const int slices = RUN_SLICES(stored_types[type].halves, stored_types[type].min);
    for (int64_t i = 0; i < n; i++)
        for (int64_t kk = 0; kk < k; kk += RUN)
            run_pack_x(type, dst + kk / RUN * slices * p + i, p, x + i * ld + kk);
}

/* A block of VW rows of w, `rows` of them there, `step` bytes apart. */
VINLINE void block_pack_w(DType type, float *dst, const uint8_t *w, int64_t step, int64_t rows)
{
    const StoredType t = stored_types[type];
    Scales           s[VW];
    for (int64_t i = 0; i < VW; i++) {
        if (i < rows)
            scales_read(type, &s[i], w + i * step, 1);
        else
            memset(&s[i], 0, sizeof s[i]);
    }
    for (int run = 0; run < t.runs; run++) {
        vf r[VW];
#pragma GCC unroll 16
        for (int64_t i = 0; i < VW; i++) {
            vs q[2] = { { 0 } };
            if (i < rows) {
                run_read(type, q, w + i * step, run);
                q[0] -= t.offset;
                q[1] -= t.offset;
            }
            memcpy(&r[i], q, sizeof r[i]);
        }
        vtranspose(r);
        for (int part = 0; part < PARTS(t.halves); part++) {
            for (int l = 0; l < PAIRS(t.halves); l++, dst += RUNS_NR)
                vstore(dst, r[part * PAIRS(t.halves) + l]);
            for (int i = 0; i < VW; i++)
                dst[i] = s[i].s[run * PARTS(t.halves) + part];
            dst += RUNS_NR;
            if (t.min) {
                for (int i = 0; i < VW; i++)
                    dst[i] = s[i].min[run * PARTS(t.halves) + part];
                dst += RUNS_NR;
            }
        }
    }
}

/* PackRows of b. */
VINLINE void runs_pack_w(DType type, float *dst, const void *w, int64_t ld, int64_t n, int64_t k)
{
    const StoredType t = stored_types[type];
    const int64_t    step = (int64_t)dtype_bytes(type, ld), size = t.runs * RUN_SLICES(t.halves, t.min) * RUNS_NR;
    for (int64_t i = 0; i < RUNS_NR; i += VW)
        for (int64_t block = 0; block < k / (t.runs * RUN); block++)
            block_pack_w(type, dst + block * size + i, (const uint8_t *)w + i * step + block * t.bytes, step, MIN(MAX(n - i, 0), VW));
}

/* ---- the tile ---- */

VINLINE vi pairs_add(vi sum, vi x, vi w) { return (vi)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)x, (__m512i)w); }
VINLINE vi pair_set(const float *p) { return (vi)_mm512_set1_epi32(*(const int32_t __attribute__((may_alias)) *)p); }
VINLINE vi pair_load(const float *p) { return (vi)_mm512_loadu_si512(p); }

/* halves, min and h are constants where this is inlined; k words. */
VINLINE void tile_runs(bool halves, bool min, int h, int64_t n, int64_t k, const float *a, int64_t lda, const float *b, float *c, int64_t ldc, const Epi *e)
{
    vf acc[RUNS_MR][2] = { { { 0 } } };
    for (int64_t part = k / PART_SLICES(halves, min); part > 0; part--) {
        vi sum[RUNS_MR][2] = { { { 0 } } };
        for (int half = 0; half < 2; half++)
#pragma GCC unroll 8
            for (int u = 0; u < PAIRS(halves) / 2; u++, a += lda, b += RUNS_NR) {
                const vi b0 = pair_load(b), b1 = pair_load(b + VW);
#pragma GCC unroll 8
                for (int i = 0; i < h; i++) {
                    const vi x = pair_set(a + i);
                    sum[i][0] = pairs_add(sum[i][0], x, b0);
                    sum[i][1] = pairs_add(sum[i][1], x, b1);
                }
                __asm__("" : "+r"(a), "+r"(b)); /* as in k_gemm.h */
            }
        vf b0 = vload(b), b1 = vload(b + VW);
#pragma GCC unroll 8
        for (int i = 0; i < h; i++) {
            const vf x = vset(a[i]);
            acc[i][0] = vfma(__builtin_convertvector(sum[i][0], vf), b0 * x, acc[i][0]);
            acc[i][1] = vfma(__builtin_convertvector(sum[i][1], vf), b1 * x, acc[i][1]);
        }
        a += lda, b += RUNS_NR;
        if (min) {
            b0 = vload(b), b1 = vload(b + VW);
#pragma GCC unroll 8
            for (int i = 0; i < h; i++) {
                const vf x = vset(a[i]);
                acc[i][0] = vfma(b0, x, acc[i][0]);
                acc[i][1] = vfma(b1, x, acc[i][1]);
            }
            a += lda, b += RUNS_NR;
        }
    }
    const vf alpha = vset(e->alpha);
#pragma GCC unroll 8
    for (int i = 0; i < h; i++, c += ldc)
#pragma GCC unroll 2
        for (int j = 0; j < 2 * VW; j += VW) {
            vf v = alpha * acc[i][j / VW];
            if (e->bias)
                v += vget(e->bias + j, n - j);
            vput(c + j, e->load ? vget(c + j, n - j) + v : v, n - j);
        }
}

#define RUNS_ARGS int64_t n, int64_t k, const float *a, int64_t lda, const float *b, float *c, int64_t ldc, const Epi *e
typedef void (*RunsFn)(RUNS_ARGS);
#define RUNS_FN(halves, min, h) static void runs_##halves##_##min##_##h(RUNS_ARGS) { tile_runs(halves, min, h, n, k, a, lda, b, c, ldc, e); }
#define RUNS_KIND(halves, min)                                                                                                                              \
    RUNS_FN(halves, min, 1) RUNS_FN(halves, min, 2) RUNS_FN(halves, min, 3) RUNS_FN(halves, min, 4) RUNS_FN(halves, min, 5) RUNS_FN(halves, min, 6)         \
    RUNS_FN(halves, min, 7)
#define RUNS_ROW(halves, min)                                                                                                                               \
    { runs_##halves##_##min##_1, runs_##halves##_##min##_2, runs_##halves##_##min##_3, runs_##halves##_##min##_4, runs_##halves##_##min##_5,                \
      runs_##halves##_##min##_6, runs_##halves##_##min##_7 }
RUNS_KIND(0, 0) RUNS_KIND(0, 1) RUNS_KIND(1, 0) RUNS_KIND(1, 1)
static const RunsFn runs_fn[2][2][RUNS_MR] = { { RUNS_ROW(0, 0), RUNS_ROW(0, 1) }, { RUNS_ROW(1, 0), RUNS_ROW(1, 1) } };

/* ---- all types ---- */

/* f(type, halves, min), as stored_types has them */
#define WHOLE_TYPES(f)                                                                                                                                      \
    f(Q4_0, 0, 0) f(Q4_1, 0, 1) f(Q5_0, 0, 0) f(Q5_1, 0, 1) f(Q8_0, 0, 0) f(INT8, 0, 0)                                                                     \
    f(Q2_K, 1, 1) f(Q3_K, 1, 0) f(Q4_K, 0, 1) f(Q5_K, 0, 1) f(Q6_K, 1, 0) f(IQ4_NL, 0, 0) f(IQ4_XS, 0, 0)

#define RUNS_TYPE(T, halves_, min_)                                                                                                                         \
    static void runs_x_##T(DType type, float *dst, int64_t p, const void *src, int64_t ld, int64_t n, int64_t k)                                            \
    {                                                                                                                                                       \
        BUG_ON(type != DT_F32 || stored_types[DT_##T].halves != halves_ || stored_types[DT_##T].min != min_);                                               \
        runs_pack_x(DT_##T, dst, p, src, ld, n, k);                                                                                                         \
    }                                                                                                                                                       \
    static void runs_w_##T(DType type, float *dst, int64_t p, const void *src, int64_t ld, int64_t n, int64_t k)                                            \
    {                                                                                                                                                       \
        BUG_ON(type != DT_##T || p != RUNS_NR);                                                                                                             \
        runs_pack_w(DT_##T, dst, src, ld, n, k);                                                                                                            \
    }                                                                                                                                                       \
    static void runs_tile_##T(int64_t h, int64_t n, int64_t k, const float *a, int64_t lda, const float *b, int64_t ldb, float *c, int64_t ldc,             \
                              const Epi *e)                                                                                                                 \
    {                                                                                                                                                       \
        BUG_ON(ldb != RUNS_NR);                                                                                                                             \
        runs_fn[halves_][min_][h - 1](n, k, a, lda, b, c, ldc, e);                                                                                          \
    }
#define RUNS_TILES(T, halves_, min_)                                                                                                                        \
    [DT_##T] = { .numbers = RUN, .words = RUN_SLICES(halves_, min_), .mr = RUNS_MR, .rows = 1, .a_rows = runs_x_##T, .b_rows = runs_w_##T,                  \
                 .tile = runs_tile_##T },

WHOLE_TYPES(RUNS_TYPE)

#endif
