/* quant.cuh - the numbers of every stored type from their bytes, eight at a time: what the kernels of quant.cu and few.cu share, and what host tests can call by
 * themselves. Layouts are those of src/formats/quant_*.c, whose functions decide what is right.
 * Invariant: the bits of dtype_to_f32. Each step is one rounded F32 operation in the same order; mul_apart and add_apart keep the compiler from fusing two.
 * To add a type: a row in QUANT_BLOCKED, its case in quant_eight. */
#ifndef HONE_CUDA_QUANT_CUH
#define HONE_CUDA_QUANT_CUH

#include "tensor/cuda/mma.cuh"

extern "C" {
#include "formats/dtype.h"
}

#include <stdint.h>
#include <string.h>

/* X(type, numbers in a block, bytes of a block, what its address is a multiple of) */
#define QUANT_BLOCKED(X)                                                                                            \
    X(DT_Q4_0, 32, 18, 2) X(DT_Q4_1, 32, 20, 4) X(DT_Q5_0, 32, 22, 2) X(DT_Q5_1, 32, 24, 4) X(DT_Q8_0, 32, 34, 2)     \
    X(DT_Q2_K, 256, 84, 4) X(DT_Q3_K, 256, 110, 2) X(DT_Q4_K, 256, 144, 4) X(DT_Q5_K, 256, 176, 4) X(DT_Q6_K, 256, 210, 2) \
    X(DT_IQ4_NL, 32, 18, 2) X(DT_IQ4_XS, 256, 136, 4) X(DT_NF4, 64, 36, 4) X(DT_INT8, 64, 68, 4)

template <int type> struct QuantShape;
#define QUANT_SHAPE(type, n, nbytes, multiple) \
    template <> struct QuantShape<type> { enum { block = n, size = nbytes, align = multiple }; };
QUANT_BLOCKED(QUANT_SHAPE)
template <> struct QuantShape<DT_F32> { enum { block = 1, size = 4, align = 4 }; };
template <> struct QuantShape<DT_F16> { enum { block = 1, size = 2, align = 2 }; };
template <> struct QuantShape<DT_BF16> { enum { block = 1, size = 2, align = 2 }; };

/* What the 16 codes of NF4 and of the IQ4 types stand for; of other types unused. Kernels keep them in shared memory: 16 words in 16 banks, so
 * 32 lanes look up 32 codes at once. */
typedef struct QuantCodes { float v[16]; } QuantCodes;
QuantCodes quant_codes(DType type); /* quant.cu */

static __device__ __forceinline__ void quant_codes_share(float *shared, const QuantCodes &codes) /* then __syncthreads */
{
#pragma unroll
    for (int i = 0; i < 16; i++) /* a run-time index would put the argument into local memory */
        if ((int)threadIdx.x == i)
            shared[i] = codes.v[i];
}

/* ---- words at known alignment; memcpy, since the bytes have no type of their own ---- */

template <int align> static __host__ __device__ __forceinline__ uint32_t word_at(const unsigned char *p)
{
    if (align >= 4) {
        uint32_t w;
        memcpy(&w, __builtin_assume_aligned(p, 4), 4);
        return w;
    }
    uint16_t h[2];
    memcpy(&h[0], __builtin_assume_aligned(p, 2), 2);
    memcpy(&h[1], __builtin_assume_aligned(p + 2, 2), 2);
    return h[0] | (uint32_t)h[1] << 16;
}

static __host__ __device__ __forceinline__ uint32_t half_at(const unsigned char *p)
{
    uint16_t h;
    memcpy(&h, __builtin_assume_aligned(p, 2), 2);
    return h;
}

static __host__ __device__ __forceinline__ uint4 load16(const void *p)
{
    uint4 v;
    memcpy(&v, __builtin_assume_aligned(p, 16), 16);
    return v;
}

static __host__ __device__ __forceinline__ void store16(void *p, uint4 v) { memcpy(__builtin_assume_aligned(p, 16), &v, 16); }

/* ---- one number ---- */

static __host__ __device__ __forceinline__ float float_of(uint32_t u)
{
    float f;
    memcpy(&f, &u, 4);
    return f;
}

static __host__ __device__ __forceinline__ uint32_t bits_of(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}

static __host__ __device__ __forceinline__ float mul_apart(float a, float b)
{
#ifdef __CUDA_ARCH__
    return __fmul_rn(a, b);
#else
    return a * b;
#endif
}

static __host__ __device__ __forceinline__ float add_apart(float a, float b)
{
#ifdef __CUDA_ARCH__
    return __fadd_rn(a, b);
#else
    return a + b;
#endif
}

/* a b + c, rounded once by the card. The host, whose fused form may be a call of its library, rounds twice. */
static __host__ __device__ __forceinline__ float mul_add(float a, float b, float c)
{
#ifdef __CUDA_ARCH__
    return fmaf(a, b, c);
#else
    return a * b + c;
#endif
}

/* Exact for every pattern, NaN payloads included. */
static __host__ __device__ __forceinline__ float f16_wide(uint32_t h)
{
    const uint32_t sign = (h & 0x8000u) << 16, em = h & 0x7fffu, normal = (em << 13) + (112u << 23);
    const uint32_t tiny = bits_of((float)(int32_t)em * 0x1p-24f);
    return float_of((em < 0x400u ? tiny : em >= 0x7c00u ? normal + (112u << 23) : normal) | sign);
}

static __host__ __device__ __forceinline__ float bf16_wide(uint32_t h) { return float_of(h << 16); }
static __host__ __device__ __forceinline__ int byte_of(const uint32_t w[2], int i) { return (int)(w[i >> 2] >> 8 * (i & 3) & 255u); }

/* A code times its block's scale. */
static __host__ __device__ __forceinline__ float code_number(const float *code, uint32_t q, float d) { return mul_apart(code[q & 15u], d); }

/* Six-bit scale of sub-block i of Q3_K: 4 low bits in the first 8 bytes, 2 upper ones in the last 4. */
static __host__ __device__ __forceinline__ int q3_k_scale(const unsigned char *p, int i)
{
    const int low = i < 8 ? p[i] & 15 : p[i - 8] >> 4;
    return (low | (p[8 + i % 4] >> i / 4 * 2 & 3) << 4) - 32;
}

/* Six-bit scale and minimum of sub-block i of Q4_K and Q5_K. */
static __host__ __device__ __forceinline__ void q4_k_scales(int *s, int *m, const unsigned char *p, int i)
{
    if (i < 4) {
        *s = p[i] & 63;
        *m = p[i + 4] & 63;
    } else {
        *s = (p[i + 4] & 15) | (p[i - 4] >> 6) << 4;
        *m = p[i + 4] >> 4 | (p[i] >> 6) << 4;
    }
}

/* ---- numbers [8 part, 8 part + 8) of a block; of a plain type the eight at p ---- */

template <int type> static __host__ __device__ __forceinline__ void quant_eight(float v[8], const unsigned char *p, int part, const float *code)
{
    enum { align = QuantShape<type>::align };
    uint32_t w[2], u[2];
    if constexpr (type == DT_F32) {
        for (int i = 0; i < 8; i++)
            v[i] = float_of(word_at<4>(p + 4 * i));
    } else if constexpr (type == DT_F16) {
        for (int i = 0; i < 8; i++)
            v[i] = f16_wide(half_at(p + 2 * i));
    } else if constexpr (type == DT_BF16) {
        for (int i = 0; i < 8; i++)
            v[i] = bf16_wide(half_at(p + 2 * i));
    } else if constexpr (type == DT_Q4_0 || type == DT_Q4_1 || type == DT_Q5_0 || type == DT_Q5_1) {
        constexpr bool has_min = type == DT_Q4_1 || type == DT_Q5_1, fifth = type == DT_Q5_0 || type == DT_Q5_1;
        constexpr int high_at = has_min ? 4 : 2, at = high_at + (fifth ? 4 : 0);
        const float d = f16_wide(half_at(p)), m = has_min ? f16_wide(half_at(p + 2)) : 0.0f;
        const uint32_t high = fifth ? word_at<align>(p + high_at) >> 8 * part : 0u;
        const int shift = part / 2 * 4;
        w[0] = word_at<align>(p + at + part % 2 * 8);
        w[1] = word_at<align>(p + at + part % 2 * 8 + 4);
        for (int i = 0; i < 8; i++) {
            const int q = (byte_of(w, i) >> shift & 15) | (int)(high >> i & 1u) << 4;
            v[i] = has_min ? add_apart(mul_apart((float)q, d), m) : mul_apart((float)(q - (fifth ? 16 : 8)), d);
        }
    } else if constexpr (type == DT_Q8_0) {
        const float d = f16_wide(half_at(p));
        w[0] = word_at<align>(p + 2 + 8 * part);
        w[1] = word_at<align>(p + 6 + 8 * part);
        for (int i = 0; i < 8; i++)
            v[i] = mul_apart((float)(int8_t)byte_of(w, i), d);
    } else if constexpr (type == DT_Q2_K) {
        const int sub = part / 2, at = 16 + sub / 8 * 32 + sub % 2 * 16 + part % 2 * 8, shift = sub / 2 % 4 * 2;
        const float scale = mul_apart(f16_wide(half_at(p + 80)), (float)(p[sub] & 15)), min = mul_apart(f16_wide(half_at(p + 82)), (float)(p[sub] >> 4));
        w[0] = word_at<align>(p + at);
        w[1] = word_at<align>(p + at + 4);
        for (int i = 0; i < 8; i++)
            v[i] = add_apart(mul_apart(scale, (float)(byte_of(w, i) >> shift & 3)), -min);
    } else if constexpr (type == DT_Q3_K) {
        const int sub = part / 2, in = sub % 2 * 16 + part % 2 * 8, bit = sub / 2, shift = sub / 2 % 4 * 2;
        const float scale = mul_apart(f16_wide(half_at(p + 108)), (float)q3_k_scale(p + 96, sub));
        w[0] = word_at<align>(p + 32 + sub / 8 * 32 + in);
        w[1] = word_at<align>(p + 36 + sub / 8 * 32 + in);
        u[0] = word_at<align>(p + in);
        u[1] = word_at<align>(p + in + 4);
        for (int i = 0; i < 8; i++)
            v[i] = mul_apart(scale, (float)((byte_of(w, i) >> shift & 3) + (byte_of(u, i) >> bit & 1) * 4 - 4));
    } else if constexpr (type == DT_Q4_K || type == DT_Q5_K) {
        constexpr bool fifth = type == DT_Q5_K;
        const int run = part / 4, at = (fifth ? 48 : 16) + run / 2 * 32 + part % 4 * 8, shift = run % 2 * 4;
        int s, m;
        q4_k_scales(&s, &m, p + 4, run);
        const float scale = mul_apart(f16_wide(half_at(p)), (float)s), min = mul_apart(f16_wide(half_at(p + 2)), (float)m);
        w[0] = word_at<align>(p + at);
        w[1] = word_at<align>(p + at + 4);
        u[0] = fifth ? word_at<align>(p + 16 + part % 4 * 8) : 0u;
        u[1] = fifth ? word_at<align>(p + 20 + part % 4 * 8) : 0u;
        for (int i = 0; i < 8; i++)
            v[i] = add_apart(mul_apart(scale, (float)((byte_of(w, i) >> shift & 15) + (byte_of(u, i) >> run & 1) * 16)), -min);
    } else if constexpr (type == DT_Q6_K) {
        const int sub = part / 2, half = sub / 8, run = sub / 2 % 4, in = sub % 2 * 16 + part % 2 * 8, shift = run / 2 * 4;
        const float scale = mul_apart(f16_wide(half_at(p + 208)), (float)(int8_t)p[192 + sub]);
        w[0] = word_at<align>(p + half * 64 + run % 2 * 32 + in);
        w[1] = word_at<align>(p + half * 64 + run % 2 * 32 + in + 4);
        u[0] = word_at<align>(p + 128 + half * 32 + in);
        u[1] = word_at<align>(p + 132 + half * 32 + in);
        for (int i = 0; i < 8; i++)
            v[i] = mul_apart(scale, (float)(((byte_of(w, i) >> shift & 15) | (byte_of(u, i) >> 2 * run & 3) << 4) - 32));
    } else if constexpr (type == DT_IQ4_NL || type == DT_IQ4_XS) {
        constexpr bool small = type == DT_IQ4_XS;
        const int run = part / 4, in = part % 4, shift = in / 2 * 4, at = (small ? 8 + 16 * run : 2) + in % 2 * 8;
        float d = f16_wide(half_at(p));
        if (small) {
            const int s = (p[4 + run / 2] >> run % 2 * 4 & 15) | (int)(half_at(p + 2) >> 2 * run & 3u) << 4;
            d = mul_apart(d, (float)(s - 32));
        }
        w[0] = word_at<align>(p + at);
        w[1] = word_at<align>(p + at + 4);
        for (int i = 0; i < 8; i++)
            v[i] = code_number(code, (uint32_t)(byte_of(w, i) >> shift), d);
    } else if constexpr (type == DT_NF4) {
        const float d = float_of(word_at<4>(p));
        const uint32_t q = word_at<4>(p + 4 + 4 * part);
        for (int i = 0; i < 8; i++) /* the first number of a byte lies high */
            v[i] = code_number(code, q >> (i / 2 * 8 + (i % 2 ? 0 : 4)), d);
    } else {
        static_assert(type == DT_INT8, "a stored type without its numbers");
        const float d = float_of(word_at<4>(p));
        w[0] = word_at<4>(p + 4 + 8 * part);
        w[1] = word_at<4>(p + 8 + 8 * part);
        for (int i = 0; i < 8; i++)
            v[i] = mul_apart(mul_apart((float)(int8_t)byte_of(w, i), d), DTYPE_INT8_UNIT);
    }
}

#endif
