/* quant_legacy.c - blocks of 32 numbers with one scale d (F16), and in the _1 formats a minimum m (F16) as well.
 *   Q4_0  d, 16 bytes of nibbles            x = d (q - 8)        Q4_1  d, m, 16 bytes of nibbles            x = d q + m
 *   Q5_0  d, 4 bytes of fifth bits, nibbles x = d (q - 16)       Q5_1  d, m, 4 bytes of fifth bits, nibbles x = d q + m
 *   Q8_0  d, 32 signed bytes                x = d q
 * Byte j of the nibbles holds number j low and number j + 16 high; bit j of the fifth bits (little-endian) belongs to number j.
 * Invariant: every step is one rounded F32 operation in the order that ggml's reference takes, so the bytes are the same ones. The scale is
 * rounded to F16 only when stored: numbers are divided by the unrounded one.
 *
 * To add a format: its pair here, its row in dtype.c. */
#include "formats/quant.h"

#include "formats/half.h"

#include <float.h>
#include <math.h>

#define N 32

/* Towards zero; what does not fit (the inverse of a subnormal scale is infinite) becomes INT32_MIN, as x86 has it, and so 0 in its lowest byte. */
static inline int32_t whole(float x)
{
    return fabsf(x) < 0x1p31f ? (int32_t)x : INT32_MIN;
}

/* ---- Reading ---- */

/* q[32] of 16 bytes of nibbles. */
static void nibbles(int32_t q[restrict N], const uint8_t *restrict p)
{
    for (int j = 0; j < N / 2; j++) {
        q[j] = p[j] & 15;
        q[j + N / 2] = p[j] >> 4;
    }
}

/* The fifth bits on top. */
static void add_fifth(int32_t q[restrict N], const uint8_t *restrict p)
{
    uint32_t bits = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    for (int j = 0; j < N; j++)
        q[j] |= (int32_t)(bits >> j & 1u) << 4;
}

void q4_0_widen(float *dst, const uint8_t *src, int64_t blocks)
{
    for (; blocks > 0; blocks--, src += 18, dst += N) {
        int32_t q[N];
        float d = f16_at(src);
        nibbles(q, src + 2);
        for (int j = 0; j < N; j++)
            dst[j] = (float)(q[j] - 8) * d;
    }
}

void q4_1_widen(float *dst, const uint8_t *src, int64_t blocks)
{
    for (; blocks > 0; blocks--, src += 20, dst += N) {
        int32_t q[N];
        float d = f16_at(src), m = f16_at(src + 2);
        nibbles(q, src + 4);
        for (int j = 0; j < N; j++)
            dst[j] = (float)q[j] * d + m;
    }
}

void q5_0_widen(float *dst, const uint8_t *src, int64_t blocks)
{
    for (; blocks > 0; blocks--, src += 22, dst += N) {
        int32_t q[N];
        float d = f16_at(src);
        nibbles(q, src + 6);
        add_fifth(q, src + 2);
        for (int j = 0; j < N; j++)
            dst[j] = (float)(q[j] - 16) * d;
    }
}

void q5_1_widen(float *dst, const uint8_t *src, int64_t blocks)
{
    for (; blocks > 0; blocks--, src += 24, dst += N) {
        int32_t q[N];
        float d = f16_at(src), m = f16_at(src + 2);
        nibbles(q, src + 8);
        add_fifth(q, src + 4);
        for (int j = 0; j < N; j++)
            dst[j] = (float)q[j] * d + m;
    }
}

void q8_0_widen(float *dst, const uint8_t *src, int64_t blocks)
{
    for (; blocks > 0; blocks--, src += 34, dst += N) {
        float d = f16_at(src);
        for (int j = 0; j < N; j++)
            dst[j] = (float)(int8_t)src[2 + j] * d;
    }
}

/* ---- Writing ---- */

/* The number of largest magnitude, the first of equals, with its sign. */
static float peak(const float *x)
{
    float amax = 0.0f, max = 0.0f;
    for (int j = 0; j < N; j++) {
        float a = fabsf(x[j]);
        max = amax < a ? x[j] : max;
        amax = amax < a ? a : amax;
    }
    return max;
}

static float inverse(float d)
{
    return d != 0.0f ? 1.0f / d : 0.0f;
}

static void put_nibbles(uint8_t *restrict p, const int32_t q[restrict N])
{
    for (int j = 0; j < N / 2; j++)
        p[j] = (uint8_t)((q[j] & 15) | (q[j + N / 2] & 15) << 4);
}

static void put_fifth(uint8_t *p, const int32_t q[N])
{
    uint32_t bits = 0;
    for (int j = 0; j < N; j++)
        bits |= (uint32_t)(q[j] >> 4 & 1) << j;
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(bits >> (8 * i));
}

/* Symmetric: the peak becomes the lowest step, -half; top is the highest q. */
static float narrow_peak(int32_t q[restrict N], const float *restrict x, int half, int32_t top)
{
    float d = peak(x) / (float)-half, id = inverse(d);
    for (int j = 0; j < N; j++) {
        int32_t v = (int8_t)whole(x[j] * id + ((float)half + 0.5f));
        q[j] = v < top ? v : top;
    }
    return d;
}

/* From the smallest number, m, to the largest in top steps of d. */
static float narrow_range(int32_t q[restrict N], float *m, const float *restrict x, int32_t top)
{
    float min = FLT_MAX, max = -FLT_MAX;
    for (int j = 0; j < N; j++) {
        min = x[j] < min ? x[j] : min;
        max = x[j] > max ? x[j] : max;
    }
    float d = (max - min) / (float)top, id = inverse(d);
    for (int j = 0; j < N; j++)
        q[j] = whole((x[j] - min) * id + 0.5f);
    *m = min;
    return d;
}

void q4_0_narrow(uint8_t *dst, const float *src, int64_t blocks)
{
    for (; blocks > 0; blocks--, src += N, dst += 18) {
        int32_t q[N];
        f16_put(dst, narrow_peak(q, src, 8, 15));
        put_nibbles(dst + 2, q);
    }
}

void q4_1_narrow(uint8_t *dst, const float *src, int64_t blocks)
{
    for (; blocks > 0; blocks--, src += N, dst += 20) {
        int32_t q[N];
        float m;
        f16_put(dst, narrow_range(q, &m, src, 15));
        f16_put(dst + 2, m);
        for (int j = 0; j < N; j++) {
            int32_t v = (int8_t)q[j];
            q[j] = v < 15 ? v : 15;
        }
        put_nibbles(dst + 4, q);
    }
}

void q5_0_narrow(uint8_t *dst, const float *src, int64_t blocks)
{
    for (; blocks > 0; blocks--, src += N, dst += 22) {
        int32_t q[N];
        f16_put(dst, narrow_peak(q, src, 16, 31));
        put_fifth(dst + 2, q);
        put_nibbles(dst + 6, q);
    }
}

void q5_1_narrow(uint8_t *dst, const float *src, int64_t blocks)
{
    for (; blocks > 0; blocks--, src += N, dst += 24) {
        int32_t q[N];
        float m;
        f16_put(dst, narrow_range(q, &m, src, 31));
        f16_put(dst + 2, m);
        put_fifth(dst + 4, q);
        put_nibbles(dst + 8, q);
    }
}

/* Nearest, halves away from zero. */
static inline int32_t rounded(float x)
{
    int32_t i = whole(x);
    float rest = x - (float)i;
    int32_t up = (rest >= 0.5f) - (rest <= -0.5f);
    return fabsf(x) < 0x1p22f ? i + up : i;
}

void q8_0_narrow(uint8_t *dst, const float *src, int64_t blocks)
{
    for (; blocks > 0; blocks--, src += N, dst += 34) {
        float amax = 0.0f;
        for (int j = 0; j < N; j++) {
            float a = fabsf(src[j]);
            amax = amax < a ? a : amax;
        }
        float d = amax / 127.0f, id = inverse(d);
        f16_put(dst, d);
        for (int j = 0; j < N; j++)
            dst[2 + j] = (uint8_t)rounded(src[j] * id);
    }
}
