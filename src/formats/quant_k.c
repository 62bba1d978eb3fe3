/* quant_k.c - reads the K formats: 256 numbers of a row whose 8 or 16 sub-blocks have small whole scales s (and minima m) of a common scale d (and
 * dmin), F16 both. x = d s q - dmin m where there are minima, else x = d s (q - half).
 *   Q2_K  16 bytes (s low, m high nibble), 64 bytes of 2 bits, d, dmin                  16 sub-blocks of 16
 *   Q3_K  32 bytes of third bits, 64 bytes of 2 bits, 12 bytes of 16 six-bit s + 32, d   16 sub-blocks of 16, half 4
 *   Q4_K  d, dmin, 12 bytes of 8 six-bit s and m, 128 bytes of nibbles                   8 sub-blocks of 32
 *   Q5_K  d, dmin, the same 12 bytes, 32 bytes of fifth bits, 128 bytes of nibbles       8 sub-blocks of 32
 *   Q6_K  128 bytes of nibbles, 64 bytes of 2 upper bits, 16 signed s, d                 16 sub-blocks of 16, half 32
 * Numbers lie in runs of 32 that share 32 bytes: bytes of 2 bits hold four runs, of nibbles two, of single bits eight; the earlier run lower. (In
 * Q6_K the nibbles of a half, 128 numbers, pair runs 0 with 2 and 1 with 3.)
 * Invariant: products and differences are F32, in the order of ggml's reference. The other direction is quant_k_write.c.
 *
 * To add a format: its function here, its row in dtype.c. */
#include "formats/quant.h"

#include "formats/half.h"

#define N   256
#define RUN 32

void q2_k_widen(float *dst, const uint8_t *src, int64_t blocks)
{
    for (; blocks > 0; blocks--, src += 84, dst += N) {
        float d = f16_at(src + 80), dmin = f16_at(src + 82);
        for (int sub = 0; sub < 16; sub++) {
            const uint8_t *q = src + 16 + sub / 8 * 32 + sub % 2 * 16;
            int shift = sub / 2 % 4 * 2;
            float scale = d * (float)(src[sub] & 15), min = dmin * (float)(src[sub] >> 4);
            for (int j = 0; j < 16; j++)
                dst[16 * sub + j] = scale * (float)(q[j] >> shift & 3) - min;
        }
    }
}

/* Six-bit scale of sub-block i: 4 low bits in the first 8 bytes, 2 upper ones in the last 4. */
static int q3_scale(const uint8_t *p, int i)
{
    int low = i < 8 ? p[i] & 15 : p[i - 8] >> 4;
    return (low | (p[8 + i % 4] >> i / 4 * 2 & 3) << 4) - 32;
}

void q3_k_widen(float *dst, const uint8_t *src, int64_t blocks)
{
    for (; blocks > 0; blocks--, src += 110, dst += N) {
        float d = f16_at(src + 108);
        for (int sub = 0; sub < 16; sub++) {
            const uint8_t *high = src + sub % 2 * 16, *q = src + 32 + sub / 8 * 32 + sub % 2 * 16;
            int bit = sub / 2, shift = sub / 2 % 4 * 2;
            float scale = d * (float)q3_scale(src + 96, sub);
            for (int j = 0; j < 16; j++)
                dst[16 * sub + j] = scale * (float)((q[j] >> shift & 3) + (high[j] >> bit & 1) * 4 - 4);
        }
    }
}

/* Six-bit scale and minimum of sub-block i: the first four in a byte each, whose upper two bits are those of the last four. */
static void q4_scales(int *s, int *m, const uint8_t *p, int i)
{
    if (i < 4) {
        *s = p[i] & 63;
        *m = p[i + 4] & 63;
    } else {
        *s = (p[i + 4] & 15) | (p[i - 4] >> 6) << 4;
        *m = p[i + 4] >> 4 | (p[i] >> 6) << 4;
    }
}

void q4_k_widen(float *dst, const uint8_t *src, int64_t blocks)
{
    for (; blocks > 0; blocks--, src += 144, dst += N) {
        float d = f16_at(src), dmin = f16_at(src + 2);
        for (int run = 0; run < 8; run++) {
            const uint8_t *q = src + 16 + run / 2 * RUN;
            int s, m, shift = run % 2 * 4;
            q4_scales(&s, &m, src + 4, run);
            float scale = d * (float)s, min = dmin * (float)m;
            for (int j = 0; j < RUN; j++)
                dst[RUN * run + j] = scale * (float)(q[j] >> shift & 15) - min;
        }
    }
}

void q5_k_widen(float *dst, const uint8_t *src, int64_t blocks)
{
    for (; blocks > 0; blocks--, src += 176, dst += N) {
        float d = f16_at(src), dmin = f16_at(src + 2);
        for (int run = 0; run < 8; run++) {
            const uint8_t *high = src + 16, *q = src + 48 + run / 2 * RUN;
            int s, m, shift = run % 2 * 4;
            q4_scales(&s, &m, src + 4, run);
            float scale = d * (float)s, min = dmin * (float)m;
            for (int j = 0; j < RUN; j++)
                dst[RUN * run + j] = scale * (float)((q[j] >> shift & 15) + (high[j] >> run & 1) * 16) - min;
        }
    }
}

void q6_k_widen(float *dst, const uint8_t *src, int64_t blocks)
{
    for (; blocks > 0; blocks--, src += 210, dst += N) {
        float d = f16_at(src + 208);
        for (int sub = 0; sub < 16; sub++) {
            int half = sub / 8, run = sub / 2 % 4, at = sub % 2 * 16;
            const uint8_t *q = src + half * 64 + run % 2 * RUN + at, *high = src + 128 + half * RUN + at;
            int shift = run / 2 * 4;
            float scale = d * (float)(int8_t)src[192 + sub];
            for (int j = 0; j < 16; j++)
                dst[16 * sub + j] = scale * (float)(((q[j] >> shift & 15) | (high[j] >> 2 * run & 3) << 4) - 32);
        }
    }
}
