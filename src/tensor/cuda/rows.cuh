/* rows.cuh - one number or one pair at a time: rounding to what a cache keeps, and the rotary turn; for kernels and for tests on the host. */
#ifndef HONE_CUDA_ROWS_CUH
#define HONE_CUDA_ROWS_CUH

#include "tensor/cuda/platform.cuh"

/* The bits of dtype_from_f32 (formats/half.h says how): nearest even, too large becomes infinity, NaN stays one. */
static __host__ __device__ inline uint16_t f16_bits(float f)
{
    union { float f; uint32_t u; } v = { f }, t;
    const uint32_t sign = v.u >> 16 & 0x8000u, a = v.u & 0x7fffffffu;
    uint32_t normal = ((a + 0xfffu + (a >> 13 & 1u)) >> 13) - (112u << 10);
    normal = normal > 0x7c00u ? 0x7c00u : normal;
    v.u = a;
    t.f = v.f + 0.5f; /* the last bit of 0.5f weighs as much as that of a subnormal F16 */
    return (uint16_t)(sign | (a < 0x38800000u ? t.u - 0x3f000000u : a > 0x7f800000u ? 0x7e00u | (a >> 13 & 0x3ffu) : normal));
}

static __host__ __device__ inline uint16_t bf16_bits(float f)
{
    union { float f; uint32_t u; } v = { f };
    return (uint16_t)((v.u & 0x7fffffffu) > 0x7f800000u ? v.u >> 16 | 0x40u : (v.u + 0x7fffu + (v.u >> 16 & 1u)) >> 16);
}

/* A block of Q8_0 holds scale d = (largest magnitude) / 127 as F16 and round(x / d), halves away from zero. */
static __host__ __device__ inline float q8_0_inverse(float d)
{
    return d != 0.0f ? 1.0f / d : 0.0f;
}

static __host__ __device__ inline int8_t q8_0_code(float x, float inverse)
{
    const float y = x * inverse;
    if (!(fabsf(y) < 0x1p31f)) /* the inverse of a subnormal scale is infinite */
        return 0;
    const int   i = (int)y;
    const float rest = y - (float)i;
    return (int8_t)(fabsf(y) < 0x1p22f ? i + (rest >= 0.5f) - (rest <= -0.5f) : i);
}

/* (a, b) turned by the angle of (c, s). */
static __host__ __device__ inline void rope_turn(float *a, float *b, float c, float s)
{
    const float x = *a, y = *b;
    *a = fmaf(x, c, -(y * s));
    *b = fmaf(y, c, x * s);
}

#endif
