/* k_quant.h - numbers of stored types made f32: whole rows for packing (widen), and in registers for products with few rows. Part of kern_body.h.
 *
 * A blocked type is read in runs of 32 numbers. What a run holds is said once, by run_read: whole numbers or table entries q, so that the number is
 * scale * q - min; scales_read finds the scales of a block. From these two widen makes the bits of dtype_to_f32, and k_gemm.h dot products.
 * Invariant: the numbers have the bits of formats/quant_*.c, one rounded product, or a product and a difference. Where there is a minimum the product is
 * exact (11 bits of d, 6 of a scale, at most 5 of q), so fusing the two rounds no differently.
 * To add a type: a row in stored_types, a case in scales_read and in run_read, its WIDEN_ line. Types without a reader here go through dtype_to_f32. */
#ifndef HONE_CPU_K_QUANT_H
#define HONE_CPU_K_QUANT_H

#include "tensor/cpu/kern.h"
#include "tensor/cpu/simd.h"

#define RUN       32
#define RUN_VECS  (RUN / VW)
#define RUNS_MOST 8 /* in a block */

typedef struct StoredType {
    int  runs, bytes; /* of a block */
    bool min;         /* numbers are scale * q - min */
    bool halves;      /* each half of a run has its own scale and minimum */
    bool pairs;       /* of two vectors of q the first holds the even, the second the odd of 2 VW numbers */
} StoredType;

/* A constant where the type is. */
static const StoredType stored_types[DT_COUNT] = {
    [DT_Q4_0] = { 1, 18 },
    [DT_Q4_1] = { 1, 20, .min = true },
    [DT_Q5_0] = { 1, 22 },
    [DT_Q5_1] = { 1, 24, .min = true },
    [DT_Q8_0] = { 1, 34 },
    [DT_Q2_K] = { 8, 84, .min = true, .halves = true },
    [DT_Q3_K] = { 8, 110, .halves = true },
    [DT_Q4_K] = { 8, 144, .min = true },
    [DT_Q5_K] = { 8, 176, .min = true },
    [DT_Q6_K] = { 8, 210, .halves = true },
    [DT_NF4]  = { 2, 36, .pairs = true },
    [DT_INT8] = { 2, 68 },
};

typedef struct Scales { float s[2 * RUNS_MOST], min[2 * RUNS_MOST]; } Scales; /* one for each run, or with halves two */

VINLINE float f32_at(const uint8_t *p)
{
    float f;
    memcpy(&f, p, sizeof f);
    return f;
}

VINLINE float f16_at(const uint8_t *p)
{
#if VW >= 8
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return _cvtsh_ss(h);
#else
    float f;
    dtype_to_f32(&f, p, DT_F16, 1);
    return f;
#endif
}

/* d times eight bytes; d times eight signed ones. With intrinsics, since GCC takes the conversion of bytes apart. */
VINLINE void scale_bytes(float *s, float d, const void *bytes)
{
#if VW >= 8
    _mm256_storeu_ps(s, _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(bytes))) * d);
#else
    for (int i = 0; i < 8; i++)
        s[i] = d * (float)((const uint8_t *)bytes)[i];
#endif
}

VINLINE void scale_chars(float *s, float d, const void *chars)
{
#if VW >= 8
    _mm256_storeu_ps(s, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(chars))) * d);
#else
    for (int i = 0; i < 8; i++)
        s[i] = d * (float)((const int8_t *)chars)[i];
#endif
}

/* Eight six-bit scales and minima in 12 bytes: four at a time, see q4_scales in formats/quant_k.c. */
VINLINE void scales_k(Scales *to, const uint8_t *p)
{
    float d = f16_at(p), dmin = f16_at(p + 2);
    uint32_t w[3];
    memcpy(w, p + 4, sizeof w);
    uint32_t s[2] = { w[0] & 0x3f3f3f3f, (w[2] & 0x0f0f0f0f) | (w[0] >> 2 & 0x30303030) };
    uint32_t m[2] = { w[1] & 0x3f3f3f3f, (w[2] >> 4 & 0x0f0f0f0f) | (w[1] >> 2 & 0x30303030) };
    scale_bytes(to->s, d, s);
    scale_bytes(to->min, dmin, m);
}

/* Sixteen scales and minima, four bits each. */
VINLINE void scales_q2(Scales *to, const uint8_t *p)
{
    float d = f16_at(p + 80), dmin = f16_at(p + 82);
    for (int i = 0; i < 2; i++) {
        uint64_t b, s, m;
        memcpy(&b, p + 8 * i, sizeof b);
        s = b & 0x0f0f0f0f0f0f0f0f;
        m = b >> 4 & 0x0f0f0f0f0f0f0f0f;
        scale_bytes(to->s + 8 * i, d, &s);
        scale_bytes(to->min + 8 * i, dmin, &m);
    }
}

/* Sixteen six-bit scales, less 32, in 12 bytes: see q3_scale in formats/quant_k.c. */
VINLINE void scales_q3(Scales *to, const uint8_t *p)
{
    float d = f16_at(p + 108);
    uint32_t w[3], s[4];
    memcpy(w, p + 96, sizeof w);
    for (int i = 0; i < 4; i++) {
        s[i] = (w[i % 2] >> i / 2 * 4 & 0x0f0f0f0f) | (w[2] >> 2 * i & 0x03030303) << 4;
        s[i] = ((s[i] | 0x80808080) - 0x20202020) ^ 0x80808080; /* each byte by itself */
    }
    scale_chars(to->s, d, s);
    scale_chars(to->s + 8, d, s + 2);
}

VINLINE void scales_read(DType type, Scales *to, const uint8_t *p)
{
    if (type == DT_Q4_K || type == DT_Q5_K) {
        scales_k(to, p);
    } else if (type == DT_Q6_K) {
        float d = f16_at(p + 208);
        scale_chars(to->s, d, p + 192);
        scale_chars(to->s + 8, d, p + 200);
    } else if (type == DT_Q2_K) {
        scales_q2(to, p);
    } else if (type == DT_Q3_K) {
        scales_q3(to, p);
    } else if (type == DT_NF4 || type == DT_INT8) {
        to->s[0] = to->s[1] = f32_at(p);
    } else if (type == DT_Q4_1 || type == DT_Q5_1) {
        to->s[0] = f16_at(p);
        to->min[0] = -f16_at(p + 2);
    } else {
        to->s[0] = f16_at(p);
    }
}

/* VW bytes as whole numbers */
VINLINE vi vload_bytes(const uint8_t *p)
{
#if VW == 16
    return (vi)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
#elif VW == 8
    return (vi)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
#else
    return (vi){ p[0], p[1], p[2], p[3] };
#endif
}

VINLINE vi vload_chars(const uint8_t *p)
{
#if VW == 16
    return (vi)_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p));
#elif VW == 8
    return (vi)_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p));
#else
    return (vi){ (int8_t)p[0], (int8_t)p[1], (int8_t)p[2], (int8_t)p[3] };
#endif
}

/* table[low four bits of each lane] */
VINLINE vf vlookup(vi at, const float *table)
{
#if VW == 16
    return (vf)_mm512_permutexvar_ps((__m512i)at, _mm512_loadu_ps(table));
#elif VW == 8
    __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), (__m256i)at), high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), (__m256i)at);
    return (vf)_mm256_blendv_ps(low, high, (__m256)(at << 28));
#else
    return (vf){ table[at[0] & 15], table[at[1] & 15], table[at[2] & 15], table[at[3] & 15] };
#endif
}

/* The low four bits of each lane plus `first`, as floats: where one instruction looks a vector of sixteen up, that is the shorter way. */
VINLINE vf vnibble(vi v, int first)
{
#if VW == 16
    vf table = __builtin_convertvector(VIOTA + first, vf);
    return (vf)_mm512_permutexvar_ps((__m512i)v, (__m512)table);
#else
    return __builtin_convertvector((v & 15) + first, vf);
#endif
}

/* Numbers [at, at + VW) of a run whose fifth bits are the four bytes at `bits` and whose nibbles follow as in Q4_0, plus `first`. */
VINLINE vf vfive(const uint8_t *bits, const uint8_t *nibbles, int at, int first)
{
    uint32_t fifth;
    memcpy(&fifth, bits, sizeof fifth);
    vi high = ((vi)((vu){ 0 } + fifth) >> (VIOTA + at)) & 1;
    return __builtin_convertvector((((vload_bytes(nibbles + at % 16) >> at / 16 * 4) & 15) | high << 4) + first, vf);
}

/* Run `run` of the block at p. */
VINLINE void run_read(DType type, vf q[RUN_VECS], const uint8_t *p, int run)
{
#pragma GCC unroll 8
    for (int v = 0; v < RUN_VECS; v++) {
        int at = v * VW;
        if (type == DT_Q8_0) {
            q[v] = __builtin_convertvector(vload_chars(p + 2 + at), vf);
        } else if (type == DT_INT8) {
            q[v] = __builtin_convertvector(vload_chars(p + 4 + run * RUN + at), vf);
        } else if (type == DT_NF4) {
            vi b = vload_bytes(p + 4 + run * RUN / 2 + at / (2 * VW) * VW);
            q[v] = vlookup(v % 2 ? b : b >> 4, dtype_nf4_code);
        } else if (type == DT_Q4_0) {
            q[v] = vnibble(vload_bytes(p + 2 + at % 16) >> at / 16 * 4, -8);
        } else if (type == DT_Q4_1) {
            q[v] = vnibble(vload_bytes(p + 4 + at % 16) >> at / 16 * 4, 0);
        } else if (type == DT_Q5_0) {
            q[v] = vfive(p + 2, p + 6, at, -16);
        } else if (type == DT_Q5_1) {
            q[v] = vfive(p + 4, p + 8, at, 0);
        } else if (type == DT_Q2_K) {
            q[v] = __builtin_convertvector(vload_bytes(p + 16 + run / 4 * RUN + at) >> run % 4 * 2 & 3, vf);
        } else if (type == DT_Q3_K) {
            vi low = vload_bytes(p + 32 + run / 4 * RUN + at) >> run % 4 * 2 & 3, high = vload_bytes(p + at) >> run & 1;
            q[v] = __builtin_convertvector(low + high * 4 - 4, vf);
        } else if (type == DT_Q4_K) {
            q[v] = vnibble(vload_bytes(p + 16 + run / 2 * RUN + at) >> run % 2 * 4, 0);
        } else if (type == DT_Q5_K) {
            vi low = vload_bytes(p + 48 + run / 2 * RUN + at) >> run % 2 * 4, high = vload_bytes(p + 16 + at) >> run;
            q[v] = __builtin_convertvector((low & 15) | (high & 1) << 4, vf);
        } else {
            int half = run / 4, part = run % 4;
            vi low = vload_bytes(p + half * 64 + part % 2 * RUN + at) >> part / 2 * 4, high = vload_bytes(p + 128 + half * RUN + at) >> 2 * part;
            q[v] = __builtin_convertvector(((low & 15) | (high & 3) << 4) - 32, vf);
        }
    }
}

/* Where in Scales vector v of a run finds its own. */
VINLINE int scale_at(DType type, int run, int v) { return stored_types[type].halves ? 2 * run + v * VW / 16 : run; }

/* Two vectors of which one holds the even and one the odd numbers, and back. */
#define SPLIT_EVEN(i, b)  (2 * (i))
#define SPLIT_ODD(i, b)   (2 * (i) + 1)
#define JOIN_LOW(i, b)    ((i) / 2 + (i) % 2 * VW)
#define JOIN_HIGH(i, b)   (VW / 2 + (i) / 2 + (i) % 2 * VW)
VINLINE void vsplit_pair(vf v[2])
{
    vf a = v[0], b = v[1];
    v[0] = __builtin_shufflevector(a, b, LANES(SPLIT_EVEN, 0));
    v[1] = __builtin_shufflevector(a, b, LANES(SPLIT_ODD, 0));
}
VINLINE void vjoin_pair(vf v[2])
{
    vf a = v[0], b = v[1];
    v[0] = __builtin_shufflevector(a, b, LANES(JOIN_LOW, 0));
    v[1] = __builtin_shufflevector(a, b, LANES(JOIN_HIGH, 0));
}

/* ---- widen ---- */

VINLINE void widen_blocks(DType type, float *dst, const void *src, int64_t n)
{
    const StoredType t = stored_types[type];
    for (const uint8_t *p = src; n > 0; p += t.bytes, n -= t.runs * RUN) {
        Scales s;
        scales_read(type, &s, p);
#pragma GCC unroll 8
        for (int run = 0; run < t.runs; run++, dst += RUN) {
            vf q[RUN_VECS];
            run_read(type, q, p, run);
#pragma GCC unroll 8
            for (int v = 0; v < RUN_VECS; v++) {
                int at = scale_at(type, run, v);
                q[v] = t.min ? vfma(q[v], vset(s.s[at]), vset(-s.min[at])) : q[v] * vset(s.s[at]);
                if (type == DT_INT8)
                    q[v] = q[v] * DTYPE_INT8_UNIT;
            }
#pragma GCC unroll 8
            for (int v = 0; v < RUN_VECS; v++) {
                if (t.pairs && v % 2 == 0)
                    vjoin_pair(q + v);
                vstore(dst + v * VW, q[v]);
            }
        }
    }
}

VINLINE void widen_halves(DType type, float *dst, const void *src, int64_t n)
{
    for (int64_t i = 0; i < n; i += VW)
        vput(dst + i, vget_as(src, i, n - i, type), n - i);
}

#define WIDEN_ARGS float *dst, const void *src, int64_t n
#define WIDEN_BLOCKS(T) static void widen_##T(WIDEN_ARGS) { widen_blocks(DT_##T, dst, src, n); }
#define WIDEN_HALVES(T) static void widen_##T(WIDEN_ARGS) { widen_halves(DT_##T, dst, src, n); }
#define WIDEN_OTHER(T)  static void widen_##T(WIDEN_ARGS) { dtype_to_f32(dst, src, DT_##T, n); }
WIDEN_OTHER(F32) WIDEN_HALVES(F16) WIDEN_HALVES(BF16)
WIDEN_BLOCKS(Q4_0) WIDEN_BLOCKS(Q8_0) WIDEN_BLOCKS(Q4_K) WIDEN_BLOCKS(Q5_K) WIDEN_BLOCKS(Q6_K) WIDEN_BLOCKS(NF4) WIDEN_BLOCKS(INT8)
WIDEN_BLOCKS(Q4_1) WIDEN_BLOCKS(Q5_0) WIDEN_BLOCKS(Q5_1) WIDEN_BLOCKS(Q2_K) WIDEN_BLOCKS(Q3_K)
WIDEN_OTHER(IQ4_NL) WIDEN_OTHER(IQ4_XS)

/* f(type) for each type that a weight may have */
#define STORED_TYPES(f)                                                                                              \
    f(F32) f(F16) f(BF16) f(Q4_0) f(Q4_1) f(Q5_0) f(Q5_1) f(Q8_0) f(Q2_K) f(Q3_K) \
    f(Q4_K) f(Q5_K) f(Q6_K) f(IQ4_NL) f(IQ4_XS) f(NF4) f(INT8)

#define WIDEN_ROW(T) [DT_##T] = widen_##T,
static void (*const widen_of[DT_COUNT])(WIDEN_ARGS) = { STORED_TYPES(WIDEN_ROW) };

#endif
