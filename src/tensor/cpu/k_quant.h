/* k_quant.h - numbers of stored types: made f32 in whole rows for packing (widen), and read as whole numbers for products with few rows. Part of kern_body.h.
 *
 * A blocked type is read in runs of 32 numbers. What a run holds is said once, by run_read: whole numbers or codes q as int16, so that the number is
 * scale * (q - offset) or scale * q - min; scales_read finds the scales of a block. From these two widen makes the bits of dtype_to_f32, and k_few.h dot
 * products. Invariant: the numbers have the bits of formats/quant_*.c, one rounded product, or a product and a difference. Where there is a minimum the
 * product is exact (11 bits of d, 6 of a scale, at most 5 of q), so fusing the two rounds no differently.
 * To add a type: a row in stored_types, a case in scales_read and in run_read, its WIDEN_ line. Types without a reader here go through dtype_to_f32. */
#ifndef HONE_CPU_K_QUANT_H
#define HONE_CPU_K_QUANT_H

#include "tensor/cpu/k_whole.h"
#include "tensor/cpu/kern.h"
#include "tensor/cpu/simd.h"

#define RUN_VECS  (RUN / VW)
#define SPAN      8  /* runs whose scales are read together: at most a block, or several short ones */

typedef struct StoredType {
    int     runs, bytes; /* of a block */
    int16_t offset;      /* numbers are scale * (q - offset) ... */
    bool    min;         /* ... or scale * q - min */
    bool    halves;      /* each half of a run has its own scale and minimum */
    bool    pairs;       /* of a run the first half holds the even, the second the odd numbers */
} StoredType;

/* A constant where the type is. Without vectors of eight there are no readers. */
static const StoredType stored_types[DT_COUNT] = {
#if VW >= 8
    [DT_Q4_0] = { 1, 18, .offset = 8 },
    [DT_Q4_1] = { 1, 20, .min = true },
    [DT_Q5_0] = { 1, 22, .offset = 16 },
    [DT_Q5_1] = { 1, 24, .min = true },
    [DT_Q8_0] = { 1, 34 },
    [DT_Q2_K] = { 8, 84, .min = true, .halves = true },
    [DT_Q3_K] = { 8, 110, .offset = 4, .halves = true },
    [DT_Q4_K] = { 8, 144, .min = true },
    [DT_Q5_K] = { 8, 176, .min = true },
    [DT_Q6_K] = { 8, 210, .offset = 32, .halves = true },
    [DT_IQ4_NL] = { 1, 18 },
    [DT_IQ4_XS] = { 8, 136 },
    [DT_NF4]  = { 2, 36, .pairs = true },
    [DT_INT8] = { 2, 68 },
#endif
};

#if VW >= 8

typedef struct Scales { float s[2 * SPAN], min[2 * SPAN]; } Scales; /* one for each run, or with halves two */

VINLINE float f32_at(const uint8_t *p)
{
    float f;
    memcpy(&f, p, sizeof f);
    return f;
}

VINLINE float f16_at(const uint8_t *p)
{
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return _cvtsh_ss(h);
}

/* d times eight bytes; d times eight signed ones. */
VINLINE void scale_bytes(float *s, float d, const void *bytes)
{
    _mm256_storeu_ps(s, _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(bytes))) * d);
}

VINLINE void scale_chars(float *s, float d, const void *chars)
{
    _mm256_storeu_ps(s, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(chars))) * d);
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

/* Eight six-bit scales, less 32: four lower bits of each in 4 bytes, behind two upper ones of each in 2. */
VINLINE void scales_iq4(Scales *to, const uint8_t *p)
{
    uint16_t high;
    int32_t  low;
    memcpy(&high, p + 2, sizeof high);
    memcpy(&low, p + 4, sizeof low);
    const v8i at = { 0, 1, 2, 3, 4, 5, 6, 7 };
    const v8i s = (((v8i){ 0 } + low) >> 4 * at & 15) | (((v8i){ 0 } + high) >> 2 * at & 3) << 4;
    _mm256_storeu_ps(to->s, _mm256_cvtepi32_ps((__m256i)(s - 32)) * f16_at(p));
}

VINLINE int short_at(const uint8_t *p)
{
    uint16_t bits;
    memcpy(&bits, p, sizeof bits);
    return bits;
}

/* SPAN numbers of F16, `step` bytes apart; or one, and zeros behind it. Two chains of inserts are the fastest way to collect them (GCC's own goes through
 * general registers, a gather costs twice as much). */
VINLINE void f16_apart(float to[SPAN], const uint8_t *p, int step, bool one)
{
    __m128i a = _mm_cvtsi32_si128(short_at(p));
    if (!one) {
        __m128i b = _mm_cvtsi32_si128(short_at(p + 4 * step));
        a = _mm_insert_epi16(a, short_at(p + 1 * step), 1);
        b = _mm_insert_epi16(b, short_at(p + 5 * step), 1);
        a = _mm_insert_epi16(a, short_at(p + 2 * step), 2);
        b = _mm_insert_epi16(b, short_at(p + 6 * step), 2);
        a = _mm_insert_epi16(a, short_at(p + 3 * step), 3);
        b = _mm_insert_epi16(b, short_at(p + 7 * step), 3);
        a = _mm_unpacklo_epi64(a, b);
    }
    _mm256_storeu_ps(to, _mm256_cvtph_ps(a));
}

/* Of one block, or of as many as hold SPAN runs. */
VINLINE void scales_read(DType type, Scales *to, const uint8_t *p, int blocks)
{
    const int bytes = stored_types[type].bytes;
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
    } else if (type == DT_IQ4_XS) {
        scales_iq4(to, p);
    } else if (type == DT_NF4 || type == DT_INT8) {
        float a = f32_at(p), b = 0, c = 0, d = 0;
        if (blocks > 1)
            b = f32_at(p + bytes), c = f32_at(p + 2 * bytes), d = f32_at(p + 3 * bytes);
        _mm256_storeu_ps(to->s, _mm256_set_ps(d, d, c, c, b, b, a, a));
    } else {
        f16_apart(to->s, p, bytes, blocks == 1);
        if (stored_types[type].min) { /* written as what is added */
            f16_apart(to->min, p + 2, bytes, blocks == 1);
            _mm256_storeu_ps(to->min, -_mm256_loadu_ps(to->min));
        }
    }
}

/* ---- whole numbers: half a run in one vector, whatever VW is ---- */

/* Sixteen bytes; sixteen signed ones. With intrinsics, since GCC takes the conversion of bytes apart. */
VINLINE vs vbytes(const uint8_t *p) { return (vs)_mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)p)); }
VINLINE vs vchars(const uint8_t *p) { return (vs)_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p)); }

/* q + what, in the lanes whose bit is set. */
VINLINE vs vadd_where(vs q, const uint8_t *bits, int16_t what)
{
    uint16_t set;
    memcpy(&set, bits, sizeof set);
#if VW == 16
    return (vs)_mm256_mask_add_epi16((__m256i)q, set, (__m256i)q, _mm256_set1_epi16(what));
#else
    const vs bit = { 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, INT16_MIN };
    return q + (((((vs){ 0 } + (int16_t)set) & bit) == bit) & what);
#endif
}

/* table[each lane], lanes in [0, 16) */
VINLINE vs vlookup_short(vs at, const int16_t *table)
{
#if VW == 16
    return (vs)_mm256_permutexvar_epi16((__m256i)at, _mm256_loadu_si256((const __m256i *)table));
#else
    __m256i a = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)table)), b = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)table + 1));
    __m256i lower = _mm256_packus_epi16(a & _mm256_set1_epi16(255), b & _mm256_set1_epi16(255));
    __m256i upper = _mm256_packus_epi16(_mm256_srli_epi16(a, 8), _mm256_srli_epi16(b, 8));
    return (vs)(_mm256_shuffle_epi8(lower, (__m256i)(at | INT16_MIN)) | _mm256_shuffle_epi8(upper, (__m256i)(at << 8 | 128))); /* bit 7: 0 */
#endif
}

/* Run `run` of the block at p: whole numbers q, not yet less the type's offset; of NF4 codes. */
VINLINE void run_read(DType type, vs q[2], const uint8_t *p, int run)
{
#pragma GCC unroll 2
    for (int h = 0; h < 2; h++) {
        const int at = h * RUN / 2;
        if (type == DT_Q8_0) {
            q[h] = vchars(p + 2 + at);
        } else if (type == DT_INT8) {
            q[h] = vchars(p + 4 + run * RUN + at);
        } else if (type == DT_NF4) {
            vs b = vbytes(p + 4 + run * RUN / 2);
            q[h] = h ? b & 15 : b >> 4;
        } else if (type == DT_Q2_K || type == DT_Q3_K) {
            q[h] = vbytes(p + (type == DT_Q2_K ? 16 : 32) + run / 4 * RUN + at) >> run % 4 * 2 & 3;
            if (type == DT_Q3_K)
                q[h] |= (vbytes(p + at) >> run & 1) << 2;
        } else if (type == DT_Q4_K || type == DT_Q5_K) {
            vs b = vbytes(p + (type == DT_Q4_K ? 16 : 48) + run / 2 * RUN + at);
            q[h] = run % 2 ? b >> 4 : b & 15;
            if (type == DT_Q5_K)
                q[h] |= (run < 4 ? vbytes(p + 16 + at) << (4 - run) : vbytes(p + 16 + at) >> (run - 4)) & 16;
        } else if (type == DT_Q6_K) {
            const int half = run / 4, part = run % 4;
            vs b = vbytes(p + half * 64 + part % 2 * RUN + at), high = vbytes(p + 128 + half * RUN + at);
            q[h] = (part / 2 ? b >> 4 : b & 15) | ((part < 2 ? high << (4 - 2 * part) : high >> (2 * part - 4)) & 48);
        } else if (type == DT_IQ4_XS) {
            vs b = vbytes(p + 8 + run * RUN / 2);
            q[h] = vlookup_short(h ? b >> 4 : b & 15, dtype_iq4_steps);
        } else { /* nibbles at the end, of which the lower ones are the first half; fifth bits before them */
            vs b = vbytes(p + stored_types[type].bytes - RUN / 2);
            q[h] = h ? b >> 4 : b & 15;
            if (type == DT_Q5_0 || type == DT_Q5_1)
                q[h] = vadd_where(q[h], p + (type == DT_Q5_0 ? 2 : 4) + at / 8, 16);
            if (type == DT_IQ4_NL)
                q[h] = vlookup_short(q[h], dtype_iq4_steps);
        }
    }
}

/* Vector v of a run as floats. */
VINLINE vf run_floats(const vs q[2], int v)
{
    typedef int16_t part __attribute__((vector_size(2 * VW), may_alias));
    return __builtin_convertvector(__builtin_convertvector(((const part *)q)[v], vi), vf);
}

/* Puts the even numbers of a run before the odd ones; and back. */
VINLINE void run_split(vs q[2])
{
    vs a = q[0], b = q[1];
    q[0] = __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    q[1] = __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
}

VINLINE void run_join(vs q[2])
{
    vs a = q[0], b = q[1];
    q[0] = __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    q[1] = __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

/* table[each lane] of whole numbers in [0, 16) */
VINLINE vf vlookup(vf at, const float *table)
{
    vi i = __builtin_convertvector(at, vi);
#if VW == 16
    return (vf)_mm512_permutexvar_ps((__m512i)i, _mm512_loadu_ps(table));
#else
    __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), (__m256i)i), high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), (__m256i)i);
    return (vf)_mm256_blendv_ps(low, high, (__m256)(i << 28));
#endif
}

/* Where in Scales vector v of a run finds its own. */
VINLINE int scale_at(DType type, int run, int v) { return stored_types[type].halves ? 2 * run + v * VW / 16 : run; }

/* ---- widen ---- */

VINLINE void widen_blocks(DType type, float *dst, const void *src, int64_t n)
{
    const StoredType t = stored_types[type];
    for (const uint8_t *p = src; n > 0; p += t.bytes, n -= t.runs * RUN) {
        Scales s;
        scales_read(type, &s, p, 1);
#pragma GCC unroll 8
        for (int run = 0; run < t.runs; run++, dst += RUN) {
            vs q[2];
            run_read(type, q, p, run);
            if (t.pairs)
                run_join(q);
            q[0] -= t.offset;
            q[1] -= t.offset;
#pragma GCC unroll 8
            for (int v = 0; v < RUN_VECS; v++) {
                vf f = run_floats(q, v);
                int at = scale_at(type, run, v);
                if (type == DT_NF4)
                    f = vlookup(f, dtype_nf4_code);
                f = t.min ? vfma(f, vset(s.s[at]), vset(-s.min[at])) : f * vset(s.s[at]);
                vstore(dst + v * VW, type == DT_INT8 ? f * DTYPE_INT8_UNIT : f);
            }
        }
    }
}

#endif

VINLINE void widen_halves(DType type, float *dst, const void *src, int64_t n)
{
    for (int64_t i = 0; i < n; i += VW)
        vput(dst + i, vget_as(src, i, n - i, type), n - i);
}

#define WIDEN_ARGS float *dst, const void *src, int64_t n
#if VW >= 8
#define WIDEN_BLOCKS(T) static void widen_##T(WIDEN_ARGS) { widen_blocks(DT_##T, dst, src, n); }
#else
#define WIDEN_BLOCKS(T) WIDEN_OTHER(T)
#endif
#define WIDEN_HALVES(T) static void widen_##T(WIDEN_ARGS) { widen_halves(DT_##T, dst, src, n); }
#define WIDEN_OTHER(T)  static void widen_##T(WIDEN_ARGS) { dtype_to_f32(dst, src, DT_##T, n); }
WIDEN_OTHER(F32) WIDEN_HALVES(F16) WIDEN_HALVES(BF16)
WIDEN_BLOCKS(Q4_0) WIDEN_BLOCKS(Q8_0) WIDEN_BLOCKS(Q4_K) WIDEN_BLOCKS(Q5_K) WIDEN_BLOCKS(Q6_K) WIDEN_BLOCKS(NF4) WIDEN_BLOCKS(INT8)
WIDEN_BLOCKS(Q4_1) WIDEN_BLOCKS(Q5_0) WIDEN_BLOCKS(Q5_1) WIDEN_BLOCKS(Q2_K) WIDEN_BLOCKS(Q3_K)
WIDEN_BLOCKS(IQ4_NL) WIDEN_BLOCKS(IQ4_XS)

/* f(type) for each type that a weight may have */
#define STORED_TYPES(f)                                                                                              \
    f(F32) f(F16) f(BF16) f(Q4_0) f(Q4_1) f(Q5_0) f(Q5_1) f(Q8_0) f(Q2_K) f(Q3_K) \
    f(Q4_K) f(Q5_K) f(Q6_K) f(IQ4_NL) f(IQ4_XS) f(NF4) f(INT8)

#define WIDEN_ROW(T) [DT_##T] = widen_##T,
static void (*const widen_of[DT_COUNT])(WIDEN_ARGS) = { STORED_TYPES(WIDEN_ROW) };

#endif
