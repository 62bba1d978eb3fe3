/* quant_dynamic.c - blocks of 256 numbers with one F32 scale d in front, d the block's largest magnitude, and a byte for each: how the optimiser holds its
 * moments in 8 bits (Dettmers et al. 2022, "8-bit Optimizers via Block-wise Quantization").
 *   DYN8    x = code[q] d, codes from -0.993 to 1      the first moment
 *   UDYN8   x = code[q] d, codes from 0 to 1           the second, which is never negative
 * The codes are a dynamic tree (section 1.3 there): seven decades below 1, each with twice as many numbers as the one before it, evenly spread over
 * [0.1, 1] of it; besides them 0 and 1. They are sorted, so a code's number orders its value.
 * Invariants: codes have the bits of bitsandbytes' create_dynamic_map, blocks those of its portable quantisation (its vector code for the CPU looks codes
 * up by a rounded number and is often one beside the nearest, for a second moment of 0 seven); a block of zero bytes holds zeros.
 *
 * The signed map has half as many numbers in a decade, mirrored around code 127. */
#include "formats/dtype.h"
#include "formats/quant.h"

#include <math.h>

#define N     256
#define BYTES (N + (int)sizeof(float))

/* Border `i` of the `n` equal parts of [0.1, 1], each half counted from its own end and rounded once, as torch.linspace does where there are fused
 * multiplications. */
static float part_border(int i, int n)
{
    const float step = (1.0f - 0.1f) / (float)n;
    return i < (n + 1) / 2 ? fmaf(step, (float)i, 0.1f) : fmaf(-step, (float)(n - i), 1.0f);
}

/* Number `rank` of the positive codes, counted from 1: 2^decade times `first` of them in each decade. */
static float positive_code(int rank, int first)
{
    static const float power[7] = { 1e-6f, 1e-5f, 1e-4f, 1e-3f, 1e-2f, 1e-1f, 1.0f };
    int decade = 0, parts = first, i = rank - 1;
    for (; decade < 7 && i >= parts; decade++, parts *= 2)
        i -= parts;
    return decade == 7 ? 1.0f : power[decade] * ((part_border(i, parts) + part_border(i + 1, parts)) / 2.0f);
}

static float code_signed(int q)
{
    return q > 127 ? positive_code(q - 127, 1) : q < 127 ? -positive_code(127 - q, 1) : 0;
}

static float code_unsigned(int q)
{
    return q ? positive_code(q, 2) : 0;
}

typedef float (*Code)(int q);

static void widen(Code code, float *dst, const uint8_t *src, int64_t blocks)
{
    for (; blocks > 0; blocks--, src += BYTES, dst += N) {
        float d;
        memcpy(&d, src, sizeof d);
        for (int i = 0; i < N; i++)
            dst[i] = code(src[sizeof d + (size_t)i]) * d;
    }
}

/* The nearest code, the lower one in the middle: how many borders between neighbours lie below x. (Of NaN: 0.) */
static int nearest(Code code, float x)
{
    int q = 0;
    for (int step = 128; step > 0; step /= 2)
        if ((code(q + step - 1) + code(q + step)) / 2.0f < x)
            q += step;
    return q;
}

static void narrow(Code code, uint8_t *dst, const float *src, int64_t blocks)
{
    for (; blocks > 0; blocks--, src += N, dst += BYTES) {
        float d = 0;
        for (int i = 0; i < N; i++)
            d = fmaxf(d, fabsf(src[i]));
        const float inverse = 1.0f / fmaxf(d, DTYPE_DYNAMIC_LEAST);
        memcpy(dst, &d, sizeof d);
        for (int i = 0; i < N; i++)
            dst[sizeof d + (size_t)i] = (uint8_t)nearest(code, src[i] * inverse);
    }
}

void dyn8_widen(float *dst, const uint8_t *src, int64_t blocks) { widen(code_signed, dst, src, blocks); }
void dyn8_narrow(uint8_t *dst, const float *src, int64_t blocks) { narrow(code_signed, dst, src, blocks); }
void udyn8_widen(float *dst, const uint8_t *src, int64_t blocks) { widen(code_unsigned, dst, src, blocks); }
void udyn8_narrow(uint8_t *dst, const float *src, int64_t blocks) { narrow(code_unsigned, dst, src, blocks); }
