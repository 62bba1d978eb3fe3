/* k_rows.h - loops over one row: dot products, sums, norms with their gradients, the exponentials of the head, rotary turns.
 * Part of kern_body.h. Sums run in four vectors of f32 (one sum then covers n / (4 VW) numbers, so short chains) unless they say double. */
#ifndef HONE_CPU_K_ROWS_H
#define HONE_CPU_K_ROWS_H

#include "tensor/cpu/k_math.h"
#include "tensor/cpu/kern.h"

static float row_dot(int64_t n, const float *a, const float *b)
{
    vf s[4] = { { 0 } };
    int64_t i = 0;
    for (; i + 4 * VW <= n; i += 4 * VW)
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++)
            s[j] = vfma(vload(a + i + j * VW), vload(b + i + j * VW), s[j]);
    for (; i < n; i += VW)
        s[0] = vfma(vget(a + i, n - i), vget(b + i, n - i), s[0]);
    return vsum((s[0] + s[1]) + (s[2] + s[3]));
}

static void row_axpy(int64_t n, float *y, float f, const float *x)
{
    vf fv = vset(f);
    for (int64_t i = 0; i < n; i += VW)
        vput(y + i, vfma(fv, vget(x + i, n - i), vget(y + i, n - i)), n - i);
}

typedef double vd  __attribute__((vector_size(4 * VW)));                          /* VW / 2 doubles */
typedef float  vhu __attribute__((vector_size(2 * VW), aligned(4), may_alias));   /* VW / 2 floats in memory */

static double row_sumsq(int64_t n, const float *x)
{
    vd s[4] = { { 0 } };
    int64_t i = 0;
    for (; i + 2 * VW <= n; i += 2 * VW)
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            vd v = __builtin_convertvector(*(const vhu *)(x + i + j * VW / 2), vd);
            s[j] += v * v;
        }
    vd t = (s[0] + s[1]) + (s[2] + s[3]);
    double sum = 0;
    for (int j = 0; j < VW / 2; j++)
        sum += t[j];
    for (; i < n; i++)
        sum += (double)x[i] * x[i];
    return sum;
}

static float row_max(int64_t n, const float *x)
{
    vf top = vset(-INFINITY);
    int64_t i = 0;
    for (; i + VW <= n; i += VW)
        top = vmax(vload(x + i), top);
    float t = vtop(top);
    for (; i < n; i++)
        t = x[i] > t ? x[i] : t;
    return t;
}

#define EXP_RUN (64 * VW) /* so many exponentials are summed in f32 before the sum goes to double */

static double row_sumexp(int64_t n, const float *x, float top)
{
    double sum = 0;
    for (int64_t i0 = 0; i0 < n; i0 += EXP_RUN) {
        vf s = { 0 };
        for (int64_t i = i0; i < MIN(n, i0 + EXP_RUN); i += VW)
            s += vkeep(vexp(vget(x + i, n - i) - top), n - i);
        sum += vsum(s);
    }
    return sum;
}

static double row_exp(int64_t n, float *x, float top, float f)
{
    double sum = 0;
    for (int64_t i0 = 0; i0 < n; i0 += EXP_RUN) {
        vf s = { 0 };
        for (int64_t i = i0; i < MIN(n, i0 + EXP_RUN); i += VW) {
            vf p = vkeep(vexp(vget(x + i, n - i) - top), n - i);
            vput(x + i, f * p, n - i);
            s += p;
        }
        sum += vsum(s);
    }
    return sum;
}

/* x is a softcapped logit; with it goes the slope of the cap. */
static double row_exp_capped(int64_t n, float *x, float top, float f, float cap)
{
    double sum = 0;
    float inverse = 1.0f / cap;
    for (int64_t i0 = 0; i0 < n; i0 += EXP_RUN) {
        vf s = { 0 };
        for (int64_t i = i0; i < MIN(n, i0 + EXP_RUN); i += VW) {
            vf z = vget(x + i, n - i), p = vkeep(vexp(z - top), n - i), t = z * inverse;
            vput(x + i, f * p * (1.0f - t * t), n - i);
            s += p;
        }
        sum += vsum(s);
    }
    return sum;
}

static void row_rope(float *x, const float *cosv, const float *sinv, int64_t half, float sign)
{
    for (int64_t i = 0; i < half; i += VW) {
        int64_t left = half - i;
        vf a = vget(x + i, left), b = vget(x + half + i, left), c = vget(cosv + i, left), s = sign * vget(sinv + i, left);
        vput(x + i, vfma(a, c, -(b * s)), left);
        vput(x + half + i, vfma(b, c, a * s), left);
    }
}

/* ---- norms ---- */

static float row_rmsnorm(int64_t n, float *y, const float *x, const float *w, float eps, float offset)
{
    float rstd = (float)(1.0 / sqrt((double)row_dot(n, x, x) / (double)n + eps));
    for (int64_t i = 0; i < n; i += VW)
        vput(y + i, vget(x + i, n - i) * rstd * (vget(w + i, n - i) + offset), n - i);
    return rstd;
}

static void row_layernorm(int64_t n, float *y, const float *x, const float *w, const float *b, float eps, float stat[2])
{
    vf s = { 0 }, q = { 0 };
    for (int64_t i = 0; i < n; i += VW)
        s += vget(x + i, n - i);
    float mean = (float)((double)vsum(s) / (double)n);
    for (int64_t i = 0; i < n; i += VW) {
        vf c = vkeep(vget(x + i, n - i) - mean, n - i);
        q = vfma(c, c, q);
    }
    float rstd = (float)(1.0 / sqrt((double)vsum(q) / (double)n + eps));
    for (int64_t i = 0; i < n; i += VW)
        vput(y + i, vfma((vget(x + i, n - i) - mean) * rstd, vget(w + i, n - i), b ? vget(b + i, n - i) : (vf){ 0 }), n - i);
    stat[0] = mean;
    stat[1] = rstd;
}

/* With x^ = (x - mean) rstd and a = dy (offset + w):  dx = rstd (a - mean(a) - x^ mean(a x^)).  The rms norm has neither mean. */
static void row_norm_bwd(int64_t n, float *dx, float *dw, float *db, const float *dy, const float *x, const float *w, float mean, float rstd,
                         float offset, bool centred)
{
    vf sum_a = { 0 }, sum_ax = { 0 };
    for (int64_t i = 0; i < n; i += VW) {
        int64_t left = n - i;
        vf d = vget(dy + i, left), a = d * (vget(w + i, left) + offset), xh = (vget(x + i, left) - mean) * rstd;
        sum_a += a;
        sum_ax = vfma(a, xh, sum_ax);
        if (dw)
            vput(dw + i, vfma(d, xh, vget(dw + i, left)), left);
        if (db)
            vput(db + i, vget(db + i, left) + d, left);
    }
    if (!dx)
        return;
    float mean_a = centred ? vsum(sum_a) / (float)n : 0.0f, mean_ax = vsum(sum_ax) / (float)n;
    for (int64_t i = 0; i < n; i += VW) {
        int64_t left = n - i;
        vf a = vget(dy + i, left) * (vget(w + i, left) + offset), xh = (vget(x + i, left) - mean) * rstd;
        vput(dx + i, vfma(a - mean_a - xh * mean_ax, vset(rstd), vget(dx + i, left)), left);
    }
}

#endif
