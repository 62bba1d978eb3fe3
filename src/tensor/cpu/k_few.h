/* k_few.h - the product with few rows of x (decoding): each number of w is read once, at the speed of memory. Part of kern_body.h.
 *
 * Where w holds floats the sums are of floats. Making a float of each number of a blocked type would take several times as long as reading it, so
 * there whole numbers are multiplied: few_x makes of each run of 32 numbers of x a scale and 16-bit whole numbers, once for a product, and the sum
 * over a run of w is scale_w scale_x (sum of q_w q_x), exact up to that product, which joins the row's sum as a float.
 * Accuracy: a number of x moves by at most 2^-16 of the largest of its run (half a step of 1 / 32767), which is all that this path loses
 * beside rounding to f32: |error of y| <= 2^-16 sum over runs of (max |x| of the run) (sum of |w| of the run). An NF4 code, being no whole number, is one
 * of 15684ths, again at most 2^-16 of the largest off. Minima and offsets meet the sum of the same whole x, so nothing is lost where they cancel.
 * Overflow: an int32 lane of a run adds up four products of |q_x| <= 32767 with |q_w| <= 15684, less than 2^31.
 * Invariant: one chain of sums for each row of x and of w, in the order of k: its bits depend on nothing else. */
#ifndef HONE_CPU_K_FEW_H
#define HONE_CPU_K_FEW_H

#include "tensor/cpu/k_quant.h"
#include "tensor/cpu/kern.h"
#include "tensor/cpu/simd.h"

#define FEW_AT_ONCE 4   /* rows of w: four chains hide the latency of an addition */
#define NF4_STEPS   15684  /* of all numbers of steps below 2^14 that with which the codes lie nearest to whole ones */
#define X_STEPS     32767
#define X_TINY      1e-30f /* a run of x below this is all zero */

/* A row's own cache lines are not followed by the processor's prefetching, since rows are short and there are four streams of them: the rows after
 * these are asked for. */
#define AHEAD(p) __builtin_prefetch((p), 0, 2)

/* dtype_nf4_code NF4_STEPS */
static const int16_t nf4_steps[16] = { -15684, -10919, -8235, -6194, -4461, -2898, -1428, 0, 1248, 2524, 3860, 5300, 6912, 8824, 11339, 15684 };

#if VW >= 8

/* ---- x as whole numbers ---- */

typedef float   v8f __attribute__((vector_size(32)));
typedef int32_t v8i __attribute__((vector_size(32)));

VINLINE v8f load8(const float *p)
{
    typedef float unaligned __attribute__((vector_size(32), aligned(4), may_alias));
    return *(const unaligned *)p;
}

VINLINE v8f fma8(v8f a, v8f b, v8f c)
{
    return (v8f)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}

VINLINE v8f set8(float f) { return f - (v8f){ 0 }; }

/* Lane i: a[2 i] b[2 i] + a[2 i + 1] b[2 i + 1]. */
VINLINE v8i dot_pairs(vs a, vs b)
{
    return (v8i)_mm256_madd_epi16((__m256i)a, (__m256i)b);
}

typedef struct WholeRow {
    int16_t *q;     /* [k] in the order in which run_read gives those of w */
    float   *scale; /* [runs], or of a type with halves [2 runs]; SPAN zeros behind */
    float   *sum;   /* as many: the sum of the numbers, times the offset of w; SPAN zeros behind */
} WholeRow;

VINLINE WholeRow whole_row(DType type, const void *row, int64_t k)
{
    int64_t n = k / RUN * (stored_types[type].halves ? 2 : 1) + SPAN;
    float *scale = (float *)(uintptr_t)row;
    return (WholeRow){ .scale = scale, .sum = scale + n, .q = (int16_t *)(scale + 2 * n) };
}

static size_t few_x_bytes(DType type, int64_t k)
{
    if (!stored_types[type].runs)
        return 0;
    WholeRow r = whole_row(type, NULL, k);
    return ((size_t)((uintptr_t)(r.q + k)) + KERN_ALIGN - 1) / KERN_ALIGN * KERN_ALIGN;
}

/* The largest magnitude; NaN where there is one, since as a whole number it is above infinity. */
VINLINE float run_top(const float *x)
{
    v8i top = (v8i)load8(x) & INT32_MAX;
#pragma GCC unroll 4
    for (int j = 8; j < RUN; j += 8)
        top = (v8i)_mm256_max_epi32((__m256i)top, (__m256i)((v8i)load8(x + j) & INT32_MAX));
    __m128i four = _mm_max_epi32(_mm256_castsi256_si128((__m256i)top), _mm256_extracti128_si256((__m256i)top, 1));
    four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0xb1));
    return _mm_cvtss_f32(_mm_castsi128_ps(four));
}

/* Half a run of x, times f, to the nearest whole numbers. */
VINLINE vs whole(const float *x, float f)
{
    __m256i a = _mm256_cvtps_epi32((__m256)(load8(x) * f)), b = _mm256_cvtps_epi32((__m256)(load8(x + 8) * f));
    return (vs)_mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
}

VINLINE int sum8(v8i v)
{
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128((__m256i)v), _mm256_extracti128_si256((__m256i)v, 1));
    four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
}

static void few_x(DType type, int64_t k, const float *x, void *to)
{
    const StoredType t = stored_types[type];
    const float unit = type == DT_INT8 ? DTYPE_INT8_UNIT : type == DT_NF4 ? 1.0f / NF4_STEPS : 1.0f;
    const vs one = (vs){ 0 } + 1;
    WholeRow r = whole_row(type, to, k);
    int64_t i = 0;
    for (int64_t kk = 0; kk < k; kk += RUN) {
        float top = run_top(x + kk), scale = top < X_TINY ? 0.0f : top / X_STEPS, f = top < X_TINY ? 0.0f : X_STEPS / top;
        vs q[2] = { whole(x + kk, f), whole(x + kk + RUN / 2, f) };
        v8i first = dot_pairs(q[0], one), second = dot_pairs(q[1], one);
        if (t.pairs)
            run_split(q);
        memcpy(r.q + kk, q, sizeof q);
        if (!t.halves)
            first += second;
        r.scale[i] = scale * unit;
        r.sum[i++] = (float)sum8(first) * scale * (float)MAX(1, t.offset);
        if (t.halves) {
            r.scale[i] = scale * unit;
            r.sum[i++] = (float)sum8(second) * scale * (float)MAX(1, t.offset);
        }
    }
    memset(r.scale + i, 0, SPAN * sizeof *r.scale);
    memset(r.sum + i, 0, SPAN * sizeof *r.sum);
}

/* ---- blocked types ---- */

/* The numbers of n (constant) runs from `run` on, of which w holds the first block. */
VINLINE void dots_span(DType type, int rows, int n, const WholeRow *x, int64_t run, const uint8_t *w, int64_t step, v8f acc[FEW_AT_ONCE])
{
    const StoredType t = stored_types[type];
    const int parts = t.halves ? 2 : 1, blocks = n / t.runs;
    Scales s[FEW_AT_ONCE];
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++) {
#pragma GCC unroll 8
        for (int line = 0; line < t.bytes * blocks; line += 64)
            AHEAD(w + (i + FEW_AT_ONCE) * step + line);
        scales_read(type, &s[i], w + i * step, blocks);
#pragma GCC unroll 2
        for (int v = 0; v < SPAN * parts; v += SPAN) {
            v8f scale = load8(s[i].s + v);
            if (t.min || t.offset)
                acc[i] = fma8(t.min ? load8(s[i].min + v) : scale, -load8(x->sum + run * parts + v), acc[i]);
            scale *= load8(x->scale + run * parts + v);
            memcpy(s[i].s + v, &scale, sizeof scale);
        }
        __asm__("" : "+m"(s[i].s)); /* to memory: a load spreads one of them over a vector, where shuffles would stand in the way of the others */
    }
#pragma GCC unroll 8
    for (int r = 0; r < n; r++) {
        vs q[2], xq[2];
        memcpy(xq, x->q + (run + r) * RUN, sizeof xq);
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++) {
            run_read(type, q, w + i * step + r / t.runs * t.bytes, r % t.runs);
            if (type == DT_NF4) {
                q[0] = vlookup_short(q[0], nf4_steps);
                q[1] = vlookup_short(q[1], nf4_steps);
            }
            v8i first = dot_pairs(q[0], xq[0]), second = dot_pairs(q[1], xq[1]);
            if (t.halves) {
                acc[i] = fma8(__builtin_convertvector(first, v8f), set8(s[i].s[2 * r]), acc[i]);
                acc[i] = fma8(__builtin_convertvector(second, v8f), set8(s[i].s[2 * r + 1]), acc[i]);
            } else {
                acc[i] = fma8(__builtin_convertvector(first + second, v8f), set8(s[i].s[r]), acc[i]);
            }
        }
    }
}

VINLINE void dots_blocks(DType type, int rows, int64_t k, const void *xrow, const char *row, int64_t step, float out[FEW_AT_ONCE])
{
    const StoredType t = stored_types[type];
    const WholeRow x = whole_row(type, xrow, k);
    const int64_t runs = k / RUN;
    const uint8_t *w = (const uint8_t *)row;
    int64_t run = 0;
    v8f acc[FEW_AT_ONCE] = { { 0 } };
    for (; run + SPAN <= runs; run += SPAN, w += SPAN / t.runs * t.bytes)
        dots_span(type, rows, SPAN, &x, run, w, step, acc);
    for (; run < runs; run += t.runs, w += t.bytes)
        dots_span(type, rows, t.runs, &x, run, w, step, acc);
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++) {
        for (int l = 4; l > 0; l /= 2)
            for (int j = 0; j < l; j++)
                acc[i][j] += acc[i][j + l];
        out[i] = acc[i][0];
    }
}

#else

static size_t few_x_bytes(DType type, int64_t k)
{
    (void)type;
    (void)k;
    return 0;
}

static void few_x(DType type, int64_t k, const float *x, void *to)
{
    (void)type;
    (void)to;
    BUG_ON(x || k); /* nobody asks */
}

#endif

/* ---- floats, and types without a reader ---- */

/* One chain for each row of w and lane. */
VINLINE void dots_plain(DType type, int rows, int64_t k, const float *x, const char *w, int64_t step, vf acc[FEW_AT_ONCE])
{
    int64_t kk = 0;
    for (; kk + VW <= k; kk += VW) {
        vf xv = vload(x + kk);
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++) {
            AHEAD(w + (i + FEW_AT_ONCE) * step + kk * (type == DT_F32 ? 4 : 2));
            acc[i] = vfma(xv, vget_as(w + i * step, kk, VW, type), acc[i]);
        }
    }
    if (kk < k) {
        vf xv = vget(x + kk, k - kk);
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++)
            acc[i] = vfma(xv, vget_as(w + i * step, kk, k - kk, type), acc[i]);
    }
}

#define WIDE 256 /* numbers made f32 at once */

static void dots_other(DType type, int rows, int64_t k, const float *x, const char *w, int64_t step, vf acc[FEW_AT_ONCE])
{
    float wide[WIDE];
    for (int64_t kk = 0; kk < k; kk += WIDE)
        for (int i = 0; i < rows; i++) {
            int64_t n = MIN(k - kk, WIDE);
            dtype_to_f32(wide, w + i * step + dtype_bytes(type, kk), type, n);
            for (int64_t l = 0; l < n; l += VW) /* blocks are whole vectors */
                acc[i] = vfma(vload(x + kk + l), vload(wide + l), acc[i]);
        }
}

VINLINE void dots_floats(DType type, int rows, int64_t k, const float *x, const char *w, int64_t step, float out[FEW_AT_ONCE])
{
    vf acc[FEW_AT_ONCE] = { { 0 } };
    if (type == DT_F32 || type == DT_F16 || type == DT_BF16)
        dots_plain(type, rows, k, x, w, step, acc);
    else
        dots_other(type, rows, k, x, w, step, acc);
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++)
        out[i] = vsum(acc[i]);
}

/* ---- all types ---- */

VINLINE void dots(DType type, int rows, int64_t k, const void *x, const char *w, int64_t step, float out[FEW_AT_ONCE])
{
#if VW >= 8
    if (stored_types[type].runs) {
        dots_blocks(type, rows, k, x, w, step, out);
        return;
    }
#endif
    dots_floats(type, rows, k, x, w, step, out);
}

VINLINE void gemv(DType type, int64_t t, int64_t n, int64_t k, const void *x, int64_t ldx, const void *w, int64_t ldw, float *c, int64_t ldc,
                  const Epi *e)
{
    int64_t step = (int64_t)dtype_bytes(type, ldw);
    const char *row = w;
    for (int64_t j = 0; j < n; j += FEW_AT_ONCE, row += FEW_AT_ONCE * step)
        for (int64_t i = 0; i < t; i++) {
            float sum[FEW_AT_ONCE], *out = c + i * ldc + j;
            const char *xi = (const char *)x + i * ldx;
            int64_t rows = MIN(n - j, FEW_AT_ONCE);
            if (rows == FEW_AT_ONCE)
                dots(type, FEW_AT_ONCE, k, xi, row, step, sum);
            else
                for (int64_t r = 0; r < rows; r++)
                    dots(type, 1, k, xi, row + r * step, step, sum + r);
            for (int64_t r = 0; r < rows; r++)
                out[r] = (e->load ? out[r] : 0.0f) + e->alpha * sum[r] + (e->bias ? e->bias[j + r] : 0.0f);
        }
}

#define GEMV_ARGS int64_t t, int64_t n, int64_t k, const void *x, int64_t ldx, const void *w, int64_t ldw, float *c, int64_t ldc, const Epi *e
#define GEMV_FN(T) static void gemv_##T(GEMV_ARGS) { gemv(DT_##T, t, n, k, x, ldx, w, ldw, c, ldc, e); }
STORED_TYPES(GEMV_FN)

#endif
