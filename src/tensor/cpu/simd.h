/* simd.h - a vector of VW floats and the few operations the kernels need, by GCC's vector types, with intrinsics only where the language has
 * no word: fused multiply-add, square root, maximum, partial loads. Included once per kern_*.c after VW (4, 8, 16) is set.
 * NaN: vmax and vmin return their second argument when either is NaN, so the value that must not vanish goes second. */
#ifndef HONE_CPU_SIMD_H
#define HONE_CPU_SIMD_H

#include "formats/dtype.h"
#include <math.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

typedef float   vf  __attribute__((vector_size(4 * VW)));
typedef float   vfu __attribute__((vector_size(4 * VW), aligned(4), may_alias)); /* in memory, anywhere */
typedef int32_t vi  __attribute__((vector_size(4 * VW)));
typedef int32_t viu __attribute__((vector_size(4 * VW), aligned(4), may_alias));

#define VINLINE static inline __attribute__((always_inline))

/* f(0, b), f(1, b), ... for each lane: the only way to write a constant vector of any width. */
#define LANES4(f, b, i) f((i), b), f((i) + 1, b), f((i) + 2, b), f((i) + 3, b)
#if VW == 16
#define LANES(f, b) LANES4(f, b, 0), LANES4(f, b, 4), LANES4(f, b, 8), LANES4(f, b, 12)
#elif VW == 8
#define LANES(f, b) LANES4(f, b, 0), LANES4(f, b, 4)
#else
#define LANES(f, b) LANES4(f, b, 0)
#endif
#define LANE_NUMBER(i, b) (i)
#define VIOTA ((vi){ LANES(LANE_NUMBER, 0) })

VINLINE vf vset(float f) { return f - (vf){ 0 }; } /* minus, so that -0 stays -0 */
VINLINE vf vload(const float *p) { return *(const vfu *)p; }
VINLINE void vstore(float *p, vf v) { *(vfu *)p = v; }
VINLINE vf vsel(vi mask, vf yes, vf no) { return (vf)((mask & (vi)yes) | (~mask & (vi)no)); }
VINLINE vf vabs(vf v) { return (vf)((vi)v & 0x7fffffff); }

#if VW == 16
VINLINE vf vfma(vf a, vf b, vf c) { return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }
VINLINE vf vsqrt(vf a) { return (vf)_mm512_sqrt_ps((__m512)a); }
VINLINE vf vmax(vf a, vf b) { return (vf)_mm512_max_ps((__m512)a, (__m512)b); }
VINLINE vf vmin(vf a, vf b) { return (vf)_mm512_min_ps((__m512)a, (__m512)b); }
VINLINE __mmask16 vpart(int64_t n) { return (__mmask16)((1u << n) - 1u); } /* the first n lanes, 0 <= n < 16 */
VINLINE vf vload_part(const float *p, int64_t n) { return (vf)_mm512_maskz_loadu_ps(vpart(n), p); }
VINLINE void vstore_part(float *p, vf v, int64_t n) { _mm512_mask_storeu_ps(p, vpart(n), (__m512)v); }
#elif VW == 8
VINLINE vf vfma(vf a, vf b, vf c) { return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
VINLINE vf vsqrt(vf a) { return (vf)_mm256_sqrt_ps((__m256)a); }
VINLINE vf vmax(vf a, vf b) { return (vf)_mm256_max_ps((__m256)a, (__m256)b); }
VINLINE vf vmin(vf a, vf b) { return (vf)_mm256_min_ps((__m256)a, (__m256)b); }
VINLINE vf vload_part(const float *p, int64_t n) { return (vf)_mm256_maskload_ps(p, (__m256i)(VIOTA < (int32_t)n)); }
VINLINE void vstore_part(float *p, vf v, int64_t n) { _mm256_maskstore_ps(p, (__m256i)(VIOTA < (int32_t)n), (__m256)v); }
#else
VINLINE vf vfma(vf a, vf b, vf c) { return a * b + c; } /* the oldest machines have no fused form: two roundings */
#if defined(__x86_64__)
VINLINE vf vsqrt(vf a) { return (vf)_mm_sqrt_ps((__m128)a); }
#else
VINLINE vf vsqrt(vf a)
{
    for (int i = 0; i < VW; i++)
        a[i] = sqrtf(a[i]);
    return a;
}
#endif
VINLINE vf vmax(vf a, vf b) { return vsel(a > b, a, b); }
VINLINE vf vmin(vf a, vf b) { return vsel(a < b, a, b); }
VINLINE vf vload_part(const float *p, int64_t n)
{
    vf v = { 0 };
    for (int64_t i = 0; i < n; i++)
        v[i] = p[i];
    return v;
}
VINLINE void vstore_part(float *p, vf v, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        p[i] = v[i];
}
#endif

/* The first min(n, VW) floats at p, zeros behind them; n may be 0 or negative. */
VINLINE vf vget(const float *p, int64_t n)
{
    return n >= VW ? vload(p) : n > 0 ? vload_part(p, n) : (vf){ 0 };
}

VINLINE void vput(float *p, vf v, int64_t n)
{
    if (n >= VW)
        vstore(p, v);
    else if (n > 0)
        vstore_part(p, v, n);
}

/* ---- numbers of another type, made f32 on the way in; `type` is a constant where these are inlined ---- */

typedef uint16_t vhalf  __attribute__((vector_size(2 * VW), aligned(2), may_alias));
typedef uint32_t vu     __attribute__((vector_size(4 * VW)));

VINLINE vf vload_half(const uint16_t *p, DType type)
{
    if (type == DT_BF16)
        return (vf)(__builtin_convertvector(*(const vhalf *)p, vu) << 16);
#if VW == 16
    return (vf)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
#elif VW == 8
    return (vf)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
#else
    vi h = (vi)__builtin_convertvector(*(const vhalf *)p, vu), size = h & 0x7fff, normal = (size << 13) + (112 << 23); /* as f32_of_f16 */
    vf tiny = __builtin_convertvector(size, vf) * 0x1p-24f, special = (vf)(normal + (112 << 23));
    return (vf)((vi)vsel(size < 0x0400, tiny, vsel(size >= 0x7c00, special, (vf)normal)) | (h & 0x8000) << 16);
#endif
}

/* VW whole numbers */
VINLINE vf vload_int8(const int8_t *p)
{
#if VW == 16
    return __builtin_convertvector((vi)_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)), vf);
#elif VW == 8
    return __builtin_convertvector((vi)_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)), vf);
#else
    return (vf){ p[0], p[1], p[2], p[3] };
#endif
}

/* vget of numbers [at, at + n) of an array of any float type */
VINLINE vf vget_as(const void *array, int64_t at, int64_t n, DType type)
{
    if (type == DT_F32)
        return vget((const float *)array + at, n);
    const uint16_t *p = (const uint16_t *)array + at;
    if (n >= VW)
        return vload_half(p, type);
    uint16_t part[VW] = { 0 };
    for (int64_t i = 0; i < n; i++)
        part[i] = p[i];
    return vload_half(part, type);
}

/* Zeros in the lanes from n on. */
VINLINE vf vkeep(vf v, int64_t n) { return (vf)((vi)v & (VIOTA < (int32_t)MIN(n, VW))); }

VINLINE float vsum(vf v)
{
    for (int w = VW / 2; w > 0; w /= 2)
        for (int i = 0; i < w; i++)
            v[i] += v[i + w];
    return v[0];
}

VINLINE float vtop(vf v)
{
    float top = v[0];
    for (int i = 1; i < VW; i++)
        top = v[i] > top ? v[i] : top;
    return top;
}

/* Transposes VW vectors in place by exchanging ever smaller off-diagonal blocks. */
#define SWAP_UP(i, b) ((i) & (b)) ? VW + (i) - (b) : (i)
#define SWAP_DOWN(i, b) ((i) & (b)) ? VW + (i) : (i) + (b)
#define TRANSPOSE_STEP(r, b)                                               \
    for (int i_ = 0; i_ < VW; i_++)                                        \
        if (!(i_ & (b))) {                                                 \
            vf up_ = (r)[i_], down_ = (r)[i_ + (b)];                       \
            (r)[i_] = __builtin_shufflevector(up_, down_, LANES(SWAP_UP, b)); \
            (r)[i_ + (b)] = __builtin_shufflevector(up_, down_, LANES(SWAP_DOWN, b)); \
        }

/* Half-sums of two vectors in one: lane i holds the sum of lanes i and i ^ b, of x where i has not the bit b, of y where it has. */
#define vfold(x, y, b) (__builtin_shufflevector(x, y, LANES(SWAP_UP, b)) + __builtin_shufflevector(x, y, LANES(SWAP_DOWN, b)))

VINLINE void vtranspose(vf r[VW])
{
#if VW >= 16
    TRANSPOSE_STEP(r, 8)
#endif
#if VW >= 8
    TRANSPOSE_STEP(r, 4)
#endif
    TRANSPOSE_STEP(r, 2)
    TRANSPOSE_STEP(r, 1)
}

#endif
