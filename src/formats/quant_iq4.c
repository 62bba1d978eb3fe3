/* quant_iq4.c - the formats whose 16 steps are unequal: x = d s steps[q]. Nibbles lie as in quant_legacy.c, 16 bytes for 32 numbers.
 *   IQ4_NL  d (F16), 16 bytes of nibbles; s = 1                                                  32 numbers
 *   IQ4_XS  d (F16), 2 bytes of upper bits, 4 bytes of lower nibbles: 8 six-bit s + 32; nibbles   256 numbers in 8 sub-blocks of 32
 * Writing searches each run's scale among 15 guesses of the step that the largest number lands on, for the least squared error where each number
 * weighs its square; the rest is as in quant_k_write.c.
 * Invariant: every step is one rounded F32 operation in the order that ggml's reference takes, so the bytes are the same ones.
 *
 * To add a format: its pair here, its row in dtype.c. */
#include "formats/quant.h"

#include "formats/half.h"
#include "formats/lanes.h"

#include <math.h>

#define RUN   32
#define TINY  1e-15f               /* a run below this is all zero */
#define TRIES 7

const int16_t dtype_iq4_steps[16] = { -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113 };

/* ---- Reading ---- */

static void widen_run(float *dst, const uint8_t *src, float d)
{
    for (int j = 0; j < RUN / 2; j++) {
        dst[j] = d * (float)dtype_iq4_steps[src[j] & 15];
        dst[j + RUN / 2] = d * (float)dtype_iq4_steps[src[j] >> 4];
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

/* ---- Writing ---- */

/* The step nearest to x, the upper one in the middle. (Also of NaN, which is below nothing: the last.) */
static inline int nearest_step(float x)
{
    int q = 0;
    for (int k = 0; k < 15; k++)
        q += !(x < (float)(dtype_iq4_steps[k] + dtype_iq4_steps[k + 1]) / 2.0f);
    return q;
}

static void round_run(uint8_t *q, const float *x, float inv)
{
    for (int j = 0; j < RUN; j++)
        q[j] = (uint8_t)nearest_step(inv * x[j]);
}

/* With the steps nearest to inv * x, the best scale is sxq / sqq. */
static void try_scale(const F4 *x, F4 inv, F4 *sxq, F4 *sqq)
{
    F4 xq = {0}, qq = {0};
    for (int j = 0; j < RUN; j++) {
        F4 v = inv * x[j], w = x[j] * x[j];
        I4 step = (I4){0} + dtype_iq4_steps[0];
        for (int k = 0; k < 15; k++)                       /* up by what lies between, for every middle that v is not below */
            step += ~(v < (float)(dtype_iq4_steps[k] + dtype_iq4_steps[k + 1]) / 2.0f) & (dtype_iq4_steps[k + 1] - dtype_iq4_steps[k]);
        F4 s = f4_of_i4(step), ws = w * s;
        xq += ws * x[j];
        qq += ws * s;
    }
    *sxq = xq;
    *sqq = qq;
}

/* Of four runs that follow each other. */
static void find_scales(float scale[LANES], const float *src)
{
    F4 x[RUN], sxq, sqq;
    f4_gather(x, src, RUN);
    F4 max = f4_peak(x, RUN);
    try_scale(x, 1.0f / (-max / (float)dtype_iq4_steps[0]), &sxq, &sqq);
    F4 d = sxq / sqq, best = d * sxq;
    for (int k = -TRIES; k <= TRIES; k++) {
        try_scale(x, (float)(k + dtype_iq4_steps[0]) / max, &sxq, &sqq);
        I4 better = (sqq > 0.0f) & (sxq * sxq > best * sqq);
        d = f4_pick(better, sxq / sqq, d);
        best = f4_pick(better, d * sxq, best);
    }
    d = f4_pick(f4_abs(max) < TINY, (F4){0}, d);
    memcpy(scale, &d, sizeof d);
}

static float inverse(float d)
{
    return d != 0.0f ? 1.0f / d : 0.0f;
}

static void put_run(uint8_t *dst, const float *x, float scale)
{
    uint8_t q[RUN];
    round_run(q, x, inverse(scale));
    for (int j = 0; j < RUN / 2; j++)
        dst[j] = (uint8_t)(q[j] | q[j + RUN / 2] << 4);
}

void iq4_nl_narrow(uint8_t *dst, const float *src, int64_t blocks)
{
    for (; blocks > 0; blocks -= LANES, src += LANES * RUN) {
        int n = blocks < LANES ? (int)blocks : LANES;
        float four[LANES * RUN] = {0}, d[LANES];
        memcpy(four, src, (size_t)(n * RUN) * sizeof *src);
        find_scales(d, four);
        for (int i = 0; i < n; i++, dst += 18) {
            f16_put(dst, d[i]);
            put_run(dst + 2, four + RUN * i, d[i]);
        }
    }
}

void iq4_xs_narrow(uint8_t *dst, const float *src, int64_t blocks)
{
    for (; blocks > 0; blocks--, src += 8 * RUN, dst += 136) {
        float scale[8], max = 0.0f, amax = 0.0f;
        unsigned high = 0;
        find_scales(scale, src);
        find_scales(scale + LANES, src + LANES * RUN);
        for (int i = 0; i < 8; i++) {
            float a = fabsf(scale[i]);
            max = a > amax ? scale[i] : max;
            amax = a > amax ? a : amax;
        }
        float d = -max / 32.0f, inv = inverse(d);
        f16_put(dst, d);
        for (int i = 0; i < 8; i++) {
            int s = nearest_whole(inv * scale[i]);
            s = s < -32 ? -32 : s > 31 ? 31 : s;
            put_run(dst + 8 + RUN / 2 * i, src + RUN * i, d * (float)s);
            unsigned bits = (unsigned)(s + 32);
            dst[4 + i / 2] = (uint8_t)(i % 2 ? dst[4 + i / 2] | (bits & 15) << 4 : bits & 15);
            high |= bits >> 4 << 2 * i;
        }
        dst[2] = (uint8_t)high;
        dst[3] = (uint8_t)(high >> 8);
    }
}
