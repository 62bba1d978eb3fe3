/* k_few.h - the product with few rows of x (decoding): each number of w is read once, at the speed of memory. Part of kern_body.h.
 *
 * Where w holds floats the sums are of floats. Making a float of each number of a blocked type would take several times as long as reading it, so
 * there whole numbers are multiplied: few_x makes of each run of 32 numbers of x a scale and 16-bit whole numbers, once for a product, and the sum
 * over a run of w is scale_w scale_x (sum of q_w q_x), exact up to that product, which joins the row's sum as a float.
 * Accuracy: a number of x moves by at most 2^-16 of the largest of its run (half a step of 1 / 32767), which is all that this path loses
 * beside rounding to f32 (and a run whose largest is below X_TINY, which counts as zero): |error of y| <= 2^-16 sum over runs of (max |x| of the run) (sum of |w| of the run). An NF4 code, being no whole number, is one
 * of 15684ths, again at most 2^-16 of the largest off. Minima and offsets meet the sum of the same whole x, so nothing is lost where they cancel.
 * Overflow: an int32 lane of a run adds up four products of |q_x| <= 32767 with |q_w| <= 15684, less than 2^31.
 * Invariant: one chain of sums for each row of x and of w, in the order of k: its bits depend on nothing else. */
#ifndef HONE_CPU_K_FEW_H
#define HONE_CPU_K_FEW_H

#include "tensor/cpu/k_quant.h"
#include "tensor/cpu/kern.h"
#include "tensor/cpu/simd.h"

_Static_assert(GEMV_ROWS == 4, "gemv knows 1, 2 and 4 rows");
#define CHAINS      4   /* sums at once, of rows of w times rows of x: they hide the latency of an addition */
#define NF4_STEPS   15684  /* of all numbers of steps below 2^14 that with which the codes lie nearest to whole ones */

/* A row's own cache lines are not followed by the processor's prefetching, since rows are short and there are four streams of them: the same place
 * in rows that follow is asked for, AHEAD_BYTES or more in front. */
#define AHEAD_BYTES 4096
#define AHEAD(p, step) __builtin_prefetch((p) + (AHEAD_BYTES / (CHAINS * (step)) + 1) * CHAINS * (step), 0, 2)

/* dtype_nf4_code NF4_STEPS */
static const int16_t nf4_steps[16] = { -15684, -10919, -8235, -6194, -4461, -2898, -1428, 0, 1248, 2524, 3860, 5300, 6912, 8824, 11339, 15684 };

#if VW >= 8

/* ---- x as whole numbers ---- */

VINLINE vs load_shorts(const int16_t *p)
{
    typedef int16_t unaligned __attribute__((vector_size(32), aligned(2), may_alias));
    return *(const unaligned *)p;
}

VINLINE v8f fma8(v8f a, v8f b, v8f c)
{
    return (v8f)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}

VINLINE v8f set8(float f) { return f - (v8f){ 0 }; }

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

static void few_x(DType type, int64_t k, const float *x, void *to)
{
    const StoredType t = stored_types[type];
    const float unit = type == DT_INT8 ? DTYPE_INT8_UNIT : type == DT_NF4 ? 1.0f / NF4_STEPS : 1.0f;
    const vs one = (vs){ 0 } + 1;
    WholeRow r = whole_row(type, to, k);
    int64_t i = 0;
    for (int64_t kk = 0; kk < k; kk += RUN) {
        float f, scale = run_scale(x + kk, X_STEPS, &f);
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

/* The numbers of n (constant) runs from `run` on, of which w holds the first block: rows of w (constant) against t of x (constant). */
VINLINE void dots_span(DType type, int rows, int t, int n, const WholeRow *x, int64_t run, const uint8_t *w, int64_t step, v8f acc[CHAINS])
{
    const StoredType st = stored_types[type];
    const int parts = st.halves ? 2 : 1, blocks = n / st.runs;
    Scales s[CHAINS];
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++) {
#pragma GCC unroll 8
        for (int line = 0; line < st.bytes * blocks; line += 64)
            AHEAD(w + i * step + line, step);
        Scales own;
        scales_read(type, &own, w + i * step, blocks);
#pragma GCC unroll 4
        for (int c = i * t; c < (i + 1) * t; c++) {
#pragma GCC unroll 2
            for (int v = 0; v < SPAN * parts; v += SPAN) {
                v8f scale = load8(own.s + v);
                if (st.min || st.offset)
                    acc[c] = fma8(st.min ? load8(own.min + v) : scale, -load8(x[c % t].sum + run * parts + v), acc[c]);
                scale *= load8(x[c % t].scale + run * parts + v);
                memcpy(s[c].s + v, &scale, sizeof scale);
            }
            __asm__("" : "+m"(s[c].s)); /* to memory: a load spreads one of them over a vector, where shuffles would stand in the way of the others */
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < n; r++)
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++) {
            vs q[2];
            run_read(type, q, w + i * step + r / st.runs * st.bytes, r % st.runs);
            if (type == DT_NF4) {
                q[0] = vlookup_short(q[0], nf4_steps);
                q[1] = vlookup_short(q[1], nf4_steps);
            }
#pragma GCC unroll 4
            for (int c = i * t; c < (i + 1) * t; c++) {
                const int16_t *xq = x[c % t].q + (run + r) * RUN;
                v8i sum = dot_pairs(q[0], load_shorts(xq));
                if (st.halves) {
                    acc[c] = fma8(__builtin_convertvector(sum, v8f), set8(s[c].s[2 * r]), acc[c]);
                    sum = dot_pairs(q[1], load_shorts(xq + RUN / 2));
                } else {
                    sum += dot_pairs(q[1], load_shorts(xq + RUN / 2));
                }
                acc[c] = fma8(__builtin_convertvector(sum, v8f), set8(s[c].s[(r + 1) * parts - 1]), acc[c]);
            }
        }
}

VINLINE void dots_blocks(DType type, int rows, int t, int64_t k, const char *x, int64_t ldx, const char *row, int64_t step, float out[CHAINS])
{
    const StoredType st = stored_types[type];
    const int64_t runs = k / RUN;
    const uint8_t *w = (const uint8_t *)row;
    int64_t run = 0;
    v8f acc[CHAINS] = { { 0 } };
    WholeRow xr[CHAINS];
    for (int i = 0; i < t; i++)
        xr[i] = whole_row(type, x + i * ldx, k);
    for (; run + SPAN <= runs; run += SPAN, w += SPAN / st.runs * st.bytes)
        dots_span(type, rows, t, SPAN, xr, run, w, step, acc);
    for (; run < runs; run += st.runs, w += st.bytes)
        dots_span(type, rows, t, st.runs, xr, run, w, step, acc);
#pragma GCC unroll 4
    for (int c = 0; c < rows * t; c++) {
        for (int l = 4; l > 0; l /= 2)
            for (int j = 0; j < l; j++)
                acc[c][j] += acc[c][j + l];
        out[c] = acc[c][0];
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

VINLINE void dots_plain(DType type, int rows, int t, int64_t k, const char *x, int64_t ldx, const char *w, int64_t step, vf acc[CHAINS])
{
    for (int64_t kk = 0; kk < k; kk += VW) {
        const int64_t n = MIN(k - kk, VW);
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++) {
            AHEAD(w + i * step + kk * (type == DT_F32 ? 4 : 2), step);
            vf wv = vget_as(w + i * step, kk, n, type);
#pragma GCC unroll 4
            for (int c = i * t; c < (i + 1) * t; c++)
                acc[c] = vfma(vget((const float *)(x + c % t * ldx) + kk, n), wv, acc[c]);
        }
    }
}

#define WIDE 256 /* numbers made f32 at once */

static void dots_other(DType type, int rows, int t, int64_t k, const char *x, int64_t ldx, const char *w, int64_t step, vf acc[CHAINS])
{
    float wide[WIDE];
    for (int64_t kk = 0; kk < k; kk += WIDE)
        for (int i = 0; i < rows; i++) {
            int64_t n = MIN(k - kk, WIDE);
            dtype_to_f32(wide, w + i * step + dtype_bytes(type, kk), type, n);
            for (int c = i * t; c < (i + 1) * t; c++)
                for (int64_t l = 0; l < n; l += VW) /* blocks are whole vectors */
                    acc[c] = vfma(vload((const float *)(x + c % t * ldx) + kk + l), vload(wide + l), acc[c]);
        }
}

VINLINE void dots_floats(DType type, int rows, int t, int64_t k, const char *x, int64_t ldx, const char *w, int64_t step, float out[CHAINS])
{
    vf acc[CHAINS] = { { 0 } };
    if (type == DT_F32 || type == DT_F16 || type == DT_BF16)
        dots_plain(type, rows, t, k, x, ldx, w, step, acc);
    else
        dots_other(type, rows, t, k, x, ldx, w, step, acc);
#pragma GCC unroll 4
    for (int c = 0; c < rows * t; c++)
        out[c] = vsum(acc[c]);
}

/* ---- all types ---- */

/* out[rows][t]; both are constants. */
VINLINE void dots(DType type, int rows, int t, int64_t k, const char *x, int64_t ldx, const char *w, int64_t step, float out[CHAINS])
{
#if VW >= 8
    if (stored_types[type].runs) {
        dots_blocks(type, rows, t, k, x, ldx, w, step, out);
        return;
    }
#endif
    dots_floats(type, rows, t, k, x, ldx, w, step, out);
}

/* t rows of x, a constant: alone with four rows of w at once, several with one. */
VINLINE void gemv_rows(DType type, int t, int64_t n, int64_t k, const char *x, int64_t ldx, const char *w, int64_t step, float *c, int64_t ldc, const Epi *e)
{
    for (int64_t j = 0, rows; j < n; j += rows, w += rows * step) {
        float sum[CHAINS];
        rows = t == 1 && n - j >= CHAINS ? CHAINS : 1;
        if (t == 1 && rows == CHAINS)
            dots(type, CHAINS, 1, k, x, ldx, w, step, sum);
        else
            dots(type, 1, t, k, x, ldx, w, step, sum);
        for (int64_t i = 0; i < rows * t; i++) {
            float *out = c + i % t * ldc + j + i / t;
            *out = (e->load ? *out : 0.0f) + e->alpha * sum[i] + (e->bias ? e->bias[j + i / t] : 0.0f);
        }
    }
}

VINLINE void gemv(DType type, int64_t t, int64_t n, int64_t k, const void *x, int64_t ldx, const void *w, int64_t ldw, float *c, int64_t ldc,
                  const Epi *e)
{
    int64_t step = (int64_t)dtype_bytes(type, ldw);
    const char *xi = x;
    if (t == 4) {
        gemv_rows(type, 4, n, k, xi, ldx, w, step, c, ldc, e);
        return;
    }
    if (t >= 2) {
        gemv_rows(type, 2, n, k, xi, ldx, w, step, c, ldc, e);
        xi += 2 * ldx;
        c += 2 * ldc;
    }
    if (t % 2)
        gemv_rows(type, 1, n, k, xi, ldx, w, step, c, ldc, e);
}

#define GEMV_ARGS int64_t t, int64_t n, int64_t k, const void *x, int64_t ldx, const void *w, int64_t ldw, float *c, int64_t ldc, const Epi *e
#define GEMV_FN(T) static void gemv_##T(GEMV_ARGS) { gemv(DT_##T, t, n, k, x, ldx, w, ldw, c, ldc, e); }
STORED_TYPES(GEMV_FN)

#endif
