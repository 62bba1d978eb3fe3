/* k_math.h - exp and what is built on it, for a vector of floats. Part of kern_body.h.
 *
 * Errors, measured over all magnitudes against double: vexp 1 ulp (results below 2^-126 are 0), vsigmoid 2.5 ulp, vtanh 2 ulp, vcdf (the normal
 * distribution) 6.3 ulp; with the base instruction set, which has no fused multiply-add, vcdf loses up to x^2/2 ulp in its lower tail. All run
 * through NaN, infinities and numbers too large or too small for the result without a special case. */
#ifndef HONE_CPU_K_MATH_H
#define HONE_CPU_K_MATH_H

#include "tensor/cpu/simd.h"

/* exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln2 / 2. ln 2 is taken in two parts (the first has 9 bits, so n times it is exact); exp(r) is
 * 1 + r + r^2 q(r), q a minimax fit with error 3e-9. */
VINLINE vf vexp(vf x)
{
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer, which then stands in the low bits */
    vi tiny = x < -87.336540f; /* 2^-126: what follows would be a denormal number, which costs a hundred times as much */
    x = vmin(vset(89.0f), vmax(vset(-87.336540f), x)); /* past the upper end the result is infinity */
    vf t = vfma(x, vset(1.44269504f), vset(magic));
    vf n = t - magic;
    vf r = vfma(n, vset(-0.693359375f), x);
    r = vfma(n, vset(2.12194440e-4f), r);
    vf q = vset(0.00138145988f);
    q = vfma(q, r, vset(0.00836871658f));
    q = vfma(q, r, vset(0.0416683890f));
    q = vfma(q, r, vset(0.166665211f));
    q = vfma(q, r, vset(0.499999940f));
    q = vfma(q, r * r, r) + 1.0f;
#if VW == 16
    return (vf)_mm512_mask_scalef_ps(_mm512_setzero_ps(), _mm512_movepi32_mask((__m512i)~tiny), (__m512)q, (__m512)n);
#else
    /* in two halves, since 2^n itself may leave the range that a float has where the result does not */
    vi ni = (vi)t - (vi)vset(magic), half = ni >> 1;
    return vsel(tiny, (vf){ 0 }, q * (vf)((half + 127) << 23) * (vf)((ni - half + 127) << 23));
#endif
}

VINLINE vf vsigmoid(vf x)
{
    return 1.0f / (1.0f + vexp(-x));
}

/* tanh(x): near 0 x + x^3 p(x^2), p a minimax fit with relative error 3e-9 for |x| up to 0.6; beyond 1 - 2 / (exp(2 |x|) + 1). */
VINLINE vf vtanh(vf x)
{
    vf z = vabs(x), u = x * x;
    vf p = vset(-0.00589515546f);
    p = vfma(p, u, vset(0.0207959693f));
    p = vfma(p, u, vset(-0.0537838295f));
    p = vfma(p, u, vset(0.133319241f));
    p = vfma(p, u, vset(-0.33333298f));
    vf near = vfma(x * u, p, x), far = 1.0f - 2.0f / (vexp(z + z) + 1.0f);
    far = (vf)((vi)far | ((vi)x & (vi)vset(-0.0f)));
    return vsel(z < 0.6f, near, far);
}

/* The normal distribution function and, in *pdf, its density times sqrt(2 pi). With z = |x| / sqrt 2 the tail is
 * erfc(z) / 2 = exp(-z^2) t p(t), t = 1 / (1 + z/2), p a minimax fit with relative error 4e-8 for z up to 10.5, where exp(-z^2) ends. */
VINLINE vf vcdf(vf x, vf *pdf)
{
    vf h = 0.5f * x, s = h * x, lost = vfma(h, x, -s); /* s + lost is x^2 / 2 to twice the digits */
    vf finite = vsel(s < 200.0f, lost, (vf){ 0 });
    vf e = vexp(-s);
    e = vfma(e, -finite, e);
    vf t = 1.0f / vfma(vabs(x), vset(0.353553391f), vset(1.0f));
    vf p = vset(-0.0591933501f);
    p = vfma(p, t, vset(0.285182919f));
    p = vfma(p, t, vset(-0.488461067f));
    p = vfma(p, t, vset(0.279512804f));
    p = vfma(p, t, vset(-0.0276235741f));
    p = vfma(p, t, vset(0.20310998f));
    p = vfma(p, t, vset(0.2429966f));
    p = vfma(p, t, vset(0.282390069f));
    p = vfma(p, t, vset(0.282085575f));
    vf tail = 0.5f * e * t * p;
    *pdf = e;
    return vsel(x > 0.0f, 1.0f - tail, tail);
}

#endif
