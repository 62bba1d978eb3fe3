/* quant_64.c - blocks of 64 numbers with one F32 scale d in front: how hone holds in memory what bitsandbytes packs.
 *   NF4   d, 32 bytes of nibbles, the first number high    x = code[q] d      d is the block's largest magnitude
 *   INT8  d, 64 signed bytes                               x = (q d) / 127    d is the row's largest magnitude, written: the block's
 * Invariant: products are rounded to F32 one after the other, the last by 1 / 127 as F32 has it, so both have the bits of bitsandbytes' dequantisation;
 * packing to NF4 gives the codes of bitsandbytes' CPU quantisation.
 *
 * To add a format: its pair here, its row in dtype.c. */
#include "formats/dtype.h"
#include "formats/half.h"
#include "formats/quant.h"

#include <math.h>

#define N 64

/* Dettmers et al. 2023, appendix E: quantiles of the normal distribution, scaled into [-1, 1]. */
const float dtype_nf4_code[16] = {
    -0x1.000000p+0f, -0x1.647362p-1f, -0x1.0cd660p-1f, -0x1.946540p-2f, -0x1.23449ap-2f, -0x1.7a6a7ep-3f, -0x1.74f0e2p-4f, 0,
    0x1.45f5fep-4f, 0x1.4995c6p-3f, 0x1.f809bap-3f, 0x1.5a0674p-2f, 0x1.c34970p-2f, 0x1.200f56p-1f, 0x1.722766p-1f, 0x1.000000p+0f,
};

static float f32_at(const uint8_t *p)
{
    float f;
    memcpy(&f, p, sizeof f);
    return f;
}

static float largest(const float *v)
{
    float top = 0;
    for (int i = 0; i < N; i++)
        top = fmaxf(top, fabsf(v[i]));
    return top;
}

/* ---- NF4 ---- */

void nf4_widen(float *dst, const uint8_t *src, int64_t blocks)
{
    for (; blocks > 0; blocks--, src += 36, dst += N) {
        float d = f32_at(src);
        for (int j = 0; j < N / 2; j++) {
            dst[2 * j] = dtype_nf4_code[src[4 + j] >> 4] * d;
            dst[2 * j + 1] = dtype_nf4_code[src[4 + j] & 15] * d;
        }
    }
}

/* The nearest code, the lower one in the middle: how many borders between neighbours lie below x. (Of NaN: 0.) */
void nf4_pack(uint8_t code[32], float *absmax, const float v[64])
{
    float top = largest(v), inverse = 1.0f / fmaxf(top, 1e-38f);
    int32_t q[N] = { 0 };
    for (int k = 0; k < 15; k++) {
        float border = (dtype_nf4_code[k] + dtype_nf4_code[k + 1]) / 2;
        for (int j = 0; j < N; j++)
            q[j] += border < v[j] * inverse;
    }
    for (int j = 0; j < N / 2; j++)
        code[j] = (uint8_t)(q[2 * j] << 4 | q[2 * j + 1]);
    *absmax = top;
}

void nf4_narrow(uint8_t *dst, const float *src, int64_t blocks)
{
    for (; blocks > 0; blocks--, src += N, dst += 36) {
        float absmax;
        nf4_pack(dst + 4, &absmax, src);
        memcpy(dst, &absmax, sizeof absmax);
    }
}

/* ---- INT8 ---- */

void int8_widen(float *dst, const uint8_t *src, int64_t blocks)
{
    for (; blocks > 0; blocks--, src += 68, dst += N) {
        float d = f32_at(src);
        for (int j = 0; j < N; j++)
            dst[j] = (float)(int8_t)src[4 + j] * d * DTYPE_INT8_UNIT;
    }
}

void int8_narrow(uint8_t *dst, const float *src, int64_t blocks)
{
    for (; blocks > 0; blocks--, src += N, dst += 68) {
        float d = largest(src), inverse = d > 0 ? 127.0f / d : 0;
        memcpy(dst, &d, sizeof d);
        for (int j = 0; j < N; j++) {
            int q = nearest_whole(src[j] * inverse);
            dst[4 + j] = (uint8_t)(int8_t)(q < -127 ? -127 : q > 127 ? 127 : q);
        }
    }
}
