/* k_elem.h - elementwise loops: arithmetic, activations and gated products with their gradients, the optimiser. Part of kern_body.h.
 * To add an activation: a case in `act`, its line of ACT_FNS and its ACT_ROWS in kern_body.h. */
#ifndef HONE_CPU_K_ELEM_H
#define HONE_CPU_K_ELEM_H

#include "tensor/cpu/k_math.h"
#include "tensor/cpu/kern.h"

#define ELEM_ARGS int64_t n, float *const out[3], const float *const in[3], const void *arg

static void elem_fill(ELEM_ARGS)
{
    (void)in;
    vf v = vset(*(const float *)arg);
    for (int64_t i = 0; i < n; i += VW)
        vput(out[0] + i, v, n - i);
}

static void elem_add(ELEM_ARGS)
{
    (void)arg;
    for (int64_t i = 0; i < n; i += VW)
        vput(out[0] + i, vget(in[0] + i, n - i) + vget(in[1] + i, n - i), n - i);
}

static void elem_scale(ELEM_ARGS)
{
    (void)in;
    vf f = vset(*(const float *)arg);
    for (int64_t i = 0; i < n; i += VW)
        vput(out[0] + i, vget(out[0] + i, n - i) * f, n - i);
}

static void elem_softcap(ELEM_ARGS)
{
    (void)in;
    float cap = *(const float *)arg, inverse = 1.0f / cap;
    for (int64_t i = 0; i < n; i += VW)
        vput(out[0] + i, cap * vtanh(vget(out[0] + i, n - i) * inverse), n - i);
}

/* Loshchilov & Hutter 2019, algorithm 2 */
static void elem_adamw(ELEM_ARGS)
{
    const AdamStep *a = arg;
    float *w = out[0], *m = out[1], *v = out[2];
    for (int64_t i = 0; i < n; i += VW) {
        int64_t left = n - i;
        vf g = vget(in[0] + i, left) * a->grad_scale, wv = vget(w + i, left);
        vf mv = vfma(g, vset(a->c1), vget(m + i, left) * a->b1);
        vf vv = vfma(g * a->c2, g, vget(v + i, left) * a->b2);
        vf step = mv * a->unbias1 / (vsqrt(vv * a->unbias2) + a->eps);
        step = vfma(wv, vset(a->decay), step);
        vput(w + i, vfma(step, vset(-a->lr), wv), left);
        vput(m + i, mv, left);
        vput(v + i, vv, left);
    }
}

/* ---- activations: value f and slope df; `a` is a constant where this is inlined, and a slope that nobody reads costs nothing ---- */

#define SWIGLU_LIMIT 7.0f

VINLINE vf act_quick(vf x, vf *df)
{
    vf s = vsigmoid(1.702f * x), f = x * s;
    *df = vfma(1.702f * f, 1.0f - s, s);
    return f;
}

VINLINE vf act(ActKind a, vf x, vf *df)
{
    vf s, f, y, du;
    switch (a) {
    case ACT_SILU:
        s = vsigmoid(x);
        f = x * s;
        *df = vfma(f, 1.0f - s, s);
        return f;
    case ACT_GELU_TANH: /* (1 + tanh u) / 2 = sigmoid(2 u), u = sqrt(2/pi) (x + 0.044715 x^3); past 100 nothing changes but x^3 would overflow */
        y = vmin(vset(100.0f), vmax(vset(-100.0f), x));
        s = vsigmoid(1.59576912f * y * vfma(0.044715f * y, y, vset(1.0f)));
        f = x * s;
        du = 1.59576912f * vfma(0.134145f * y, y, vset(1.0f));
        *df = vfma(y * s * (1.0f - s), du, s);
        return f;
    case ACT_GELU_ERF:
        s = vcdf(x, &y);
        f = x * s;
        *df = vfma(0.398942280f * vmin(vset(100.0f), vmax(vset(-100.0f), x)), y, s);
        return f;
    case ACT_GELU_QUICK:
        return act_quick(x, df);
    case ACT_SWIGLU_CLAMPED: /* the gate's part */
        f = act_quick(vmin(vset(SWIGLU_LIMIT), x), df);
        *df = vsel(x > SWIGLU_LIMIT, (vf){ 0 }, *df);
        return f;
    case ACT_RELU_SQUARED:
        y = vmax((vf){ 0 }, x); /* NaN stays */
        *df = 2.0f * y;
        return y * y;
    default: /* ACT_RELU */
        *df = vsel(x > 0.0f, vset(1.0f), vsel(x == x, (vf){ 0 }, x)); /* NaN stays */
        return vmax((vf){ 0 }, x);
    }
}

/* What the activated gate is multiplied by, and its slope: `up` itself but for the clamped form. */
VINLINE vf up_factor(ActKind a, vf up, vf *du)
{
    *du = vset(1.0f);
    if (a != ACT_SWIGLU_CLAMPED)
        return up;
    *du = vsel(vabs(up) > SWIGLU_LIMIT, (vf){ 0 }, *du);
    return 1.0f + vmin(vset(SWIGLU_LIMIT), vmax(vset(-SWIGLU_LIMIT), up));
}

VINLINE void glu(ActKind a, int64_t n, float *const out[3], const float *const in[3])
{
    for (int64_t i = 0; i < n; i += VW) {
        vf df, du;
        vput(out[0] + i, act(a, vget(in[0] + i, n - i), &df) * up_factor(a, vget(in[1] + i, n - i), &du), n - i);
    }
}

VINLINE void glu_bwd(ActKind a, int64_t n, float *const out[3], const float *const in[3])
{
    for (int64_t i = 0; i < n; i += VW) {
        int64_t left = n - i;
        vf df, du, dy = vget(in[0] + i, left), f = act(a, vget(in[1] + i, left), &df), u = up_factor(a, vget(in[2] + i, left), &du);
        if (out[0])
            vput(out[0] + i, vfma(dy * u, df, vget(out[0] + i, left)), left);
        if (out[1])
            vput(out[1] + i, vfma(dy * du, f, vget(out[1] + i, left)), left);
    }
}

VINLINE void act_fwd(ActKind a, int64_t n, float *const out[3], const float *const in[3])
{
    for (int64_t i = 0; i < n; i += VW) {
        vf df;
        vput(out[0] + i, act(a, vget(in[0] + i, n - i), &df), n - i);
    }
}

VINLINE void act_bwd(ActKind a, int64_t n, float *const out[3], const float *const in[3])
{
    for (int64_t i = 0; i < n; i += VW) {
        vf df;
        act(a, vget(in[1] + i, n - i), &df);
        vput(out[0] + i, vfma(vget(in[0] + i, n - i), df, vget(out[0] + i, n - i)), n - i);
    }
}

#define ACT_FNS(A)                                                            \
    static void glu_##A(ELEM_ARGS) { (void)arg; glu(A, n, out, in); }         \
    static void glu_bwd_##A(ELEM_ARGS) { (void)arg; glu_bwd(A, n, out, in); } \
    static void act_##A(ELEM_ARGS) { (void)arg; act_fwd(A, n, out, in); }     \
    static void act_bwd_##A(ELEM_ARGS) { (void)arg; act_bwd(A, n, out, in); }
ACT_FNS(ACT_SILU)
ACT_FNS(ACT_GELU_TANH)
ACT_FNS(ACT_GELU_ERF)
ACT_FNS(ACT_RELU)
ACT_FNS(ACT_GELU_QUICK)
ACT_FNS(ACT_RELU_SQUARED)
ACT_FNS(ACT_SWIGLU_CLAMPED)
#define ACT_ROWS(A) \
    [ELEM_GLU + A] = glu_##A, [ELEM_GLU_BWD + A] = glu_bwd_##A, [ELEM_ACT + A] = act_##A, [ELEM_ACT_BWD + A] = act_bwd_##A

#endif
