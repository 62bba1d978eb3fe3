/* quant_iq4.c - the formats whose 16 steps are unequal: x = d s steps[q]. Nibbles lie as in quant_legacy.c, 16 bytes for 32 numbers.
 *   IQ4_NL  d (F16), 16 bytes of nibbles; s = 1                                                  32 numbers
 *   IQ4_XS  d (F16), 2 bytes of upper bits, 4 bytes of lower nibbles: 8 six-bit s + 32; nibbles   256 numbers in 8 sub-blocks of 32
 * Invariant: products are F32, in the order of ggml's reference.
 *
 * To add a format: its pair here, its row in dtype.c. */
#include "formats/quant.h"

#include "formats/half.h"

#define RUN 32

static const int8_t steps[16] = { -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113 };

static void widen_run(float *dst, const uint8_t *src, float d)
{
    for (int j = 0; j < RUN / 2; j++) {
        dst[j] = d * (float)steps[src[j] & 15];
        dst[j + RUN / 2] = d * (float)steps[src[j] >> 4];
    }
}

void iq4_nl_widen(float *dst, const uint8_t *src, int64_t blocks)
{
    for (; blocks > 0; blocks--, src += 18, dst += RUN)
        widen_run(dst, src + 2, f16_at(src));
}

void iq4_xs_widen(float *dst, const uint8_t *src, int64_t blocks)
{
    for (; blocks > 0; blocks--, src += 136, dst += 8 * RUN) {
        unsigned high = src[2] | (unsigned)src[3] << 8;
        for (int i = 0; i < 8; i++) {
            int s = (src[4 + i / 2] >> i % 2 * 4 & 15) | (int)(high >> 2 * i & 3) << 4;
            widen_run(dst + RUN * i, src + 8 + RUN / 2 * i, f16_at(src) * (float)(s - 32));
        }
    }
}
