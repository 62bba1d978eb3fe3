/* elem.cuh - the mathematics of one element: activations with their slopes, the gate, soft capping; for kernels and, by themselves, for tests on the host.
 * All run through NaN (which stays), infinities and numbers too large for the result. To add an activation: a case in act_of. */
#ifndef HONE_CUDA_ELEM_CUH
#define HONE_CUDA_ELEM_CUH

#include "tensor/cuda/platform.cuh"

extern "C" {
#include "tensor/backend.h"
}

typedef struct Slope { float f, df; } Slope; /* value and derivative */

static __host__ __device__ inline float sigmoid_of(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

static __host__ __device__ inline float softcap_of(float x, float cap)
{
    return cap * tanhf(x / cap);
}

/* x sigmoid(k x) */
static __host__ __device__ inline Slope swish_of(float x, float k)
{
    const float s = sigmoid_of(k * x), f = x * s;
    Slope r = { f, fmaf(k * f, 1.0f - s, s) };
    if (s == 0.0f)
        r.f = r.df = 0.0f; /* far below 0, where x = -inf would give inf * 0 */
    return r;
}

/* Hendrycks & Gimpel 2016, the tanh form: (1 + tanh u) / 2 = sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3); past 100 nothing changes but x^3 would overflow */
static __host__ __device__ inline Slope gelu_tanh_of(float x)
{
    const float y = x > 100.0f ? 100.0f : x < -100.0f ? -100.0f : x; /* NaN stays */
    const float s = sigmoid_of(1.59576912f * y * fmaf(0.044715f * y, y, 1.0f)), du = 1.59576912f * fmaf(0.134145f * y, y, 1.0f);
    Slope r = { s == 0.0f ? 0.0f : x * s, fmaf(y * s * (1.0f - s), du, s) };
    return r;
}

/* x Phi(x); erfc keeps its digits where Phi is small */
static __host__ __device__ inline Slope gelu_erf_of(float x)
{
    const float y = x > 100.0f ? 100.0f : x < -100.0f ? -100.0f : x, cdf = 0.5f * erfcf(-0.707106781f * y);
    Slope r = { cdf == 0.0f ? 0.0f : x * cdf, fmaf(0.398942280f * y, expf(-0.5f * y * y), cdf) };
    return r;
}

#define SWIGLU_LIMIT 7.0f

static __host__ __device__ inline Slope act_of(ActKind a, float x)
{
    Slope r;
    switch (a) {
    case ACT_SILU:
        return swish_of(x, 1.0f);
    case ACT_GELU_TANH:
        return gelu_tanh_of(x);
    case ACT_GELU_ERF:
        return gelu_erf_of(x);
    case ACT_GELU_QUICK:
        return swish_of(x, 1.702f);
    case ACT_SWIGLU_CLAMPED: /* the gate's part */
        r = swish_of(x > SWIGLU_LIMIT ? SWIGLU_LIMIT : x, 1.702f);
        r.df = x > SWIGLU_LIMIT ? 0.0f : r.df;
        return r;
    case ACT_RELU_SQUARED: /* So et al. 2021 */
        r.df = x > 0.0f ? x : x == x ? 0.0f : x;
        r.f = r.df * r.df;
        r.df *= 2.0f;
        return r;
    default: /* ACT_RELU */
        r.f = x > 0.0f ? x : x == x ? 0.0f : x;
        r.df = x > 0.0f ? 1.0f : x == x ? 0.0f : x;
        return r;
    }
}

/* What the activated gate is multiplied by: `up` itself but for the clamped form. */
static __host__ __device__ inline Slope up_of(ActKind a, float up)
{
    Slope r = { up, 1.0f };
    if (a == ACT_SWIGLU_CLAMPED) {
        r.f = 1.0f + (up > SWIGLU_LIMIT ? SWIGLU_LIMIT : up < -SWIGLU_LIMIT ? -SWIGLU_LIMIT : up);
        r.df = fabsf(up) > SWIGLU_LIMIT ? 0.0f : 1.0f;
    }
    return r;
}

#endif
