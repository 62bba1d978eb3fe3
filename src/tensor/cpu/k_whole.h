/* k_whole.h - a run of x as whole numbers of 16 bits, for products with stored whole numbers. Part of k_quant.h's readers and of all ways to multiply them:
 * few rows of x (k_few.h, k_lanes.h) and more (k_runs.h). */
#ifndef HONE_CPU_K_WHOLE_H
#define HONE_CPU_K_WHOLE_H

#include "tensor/cpu/simd.h"

#define RUN    32     /* numbers that share a scale of x */
#define X_TINY 1e-30f /* a run of x below this is all zero */
#define X_STEPS 32767 /* of 16 bits on each side of zero */

#if VW >= 8

typedef float   v8f __attribute__((vector_size(32)));
typedef int32_t v8i __attribute__((vector_size(32)));
typedef int16_t vs  __attribute__((vector_size(RUN))); /* half a run, whatever VW is */

VINLINE v8f load8(const float *p)
{
    typedef float unaligned __attribute__((vector_size(32), aligned(4), may_alias));
    return *(const unaligned *)p;
}

/* Lane i: a[2 i] b[2 i] + a[2 i + 1] b[2 i + 1]. */
VINLINE v8i dot_pairs(vs a, vs b)
{
    return (v8i)_mm256_madd_epi16((__m256i)a, (__m256i)b);
}

VINLINE int sum8(v8i v)
{
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128((__m256i)v), _mm256_extracti128_si256((__m256i)v, 1));
    four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
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

/* What a whole number of a run stands for when its largest magnitude is `steps` of them; *f: how many of them one is. */
VINLINE float run_scale(const float *x, int steps, float *f)
{
    const float top = run_top(x);
    *f = top < X_TINY ? 0.0f : (float)steps / top;
    return top < X_TINY ? 0.0f : top / (float)steps;
}

/* Half a run of x, times f, to the nearest whole numbers. */
VINLINE vs whole(const float *x, float f)
{
    __m256i a = _mm256_cvtps_epi32((__m256)(load8(x) * f)), b = _mm256_cvtps_epi32((__m256)(load8(x + 8) * f));
    return (vs)_mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
}

#endif
#endif
