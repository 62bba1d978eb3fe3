/* half.h - for this room's loops: one F16 number to F32 and back, and fast rounding. Without branches, so that every compiler turns the loops into
 * vector code; no step depends on the processor's flush-to-zero mode. Widening is exact; narrowing rounds to nearest even, see dtype.h.
 * F16: 1 sign, 5 exponent (bias 15), 10 fraction bits. F32: 1, 8 (bias 127), 23. The exponents differ by 112. */
#ifndef HONE_HALF_H
#define HONE_HALF_H

#include "base/base.h"

#include <string.h>

#define F32_INF_BITS  0x7f800000u

static inline float float_of_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static inline uint32_t bits_of_float(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

/* yes where cond, else no. Written with masks: a ?: would let the compiler move float arithmetic behind a branch, which it may then not
 * turn back into vector code. */
static inline uint32_t pick(bool cond, uint32_t yes, uint32_t no)
{
    uint32_t mask = 0u - (uint32_t)cond;
    return (yes & mask) | (no & ~mask);
}

static inline float f32_of_f16(uint16_t half)
{
    uint32_t h = half, sign = (h & 0x8000u) << 16, em = h & 0x7fffu;
    uint32_t normal = (em << 13) + (112u << 23);
    uint32_t special = normal + (112u << 23);                                 /* infinity and NaN: all exponent bits set */
    uint32_t tiny = bits_of_float((float)(int32_t)em * 0x1p-24f);             /* zero and subnormal: a multiple of 2^-24 */
    uint32_t u = pick(em < 0x0400u, tiny, pick(em >= 0x7c00u, special, normal));
    return float_of_bits(u | sign);
}

static inline uint16_t f16_of_f32(float f)
{
    uint32_t x = bits_of_float(f), sign = (x >> 16) & 0x8000u, a = x & 0x7fffffffu;
    /* Adding just under half of the last kept bit, plus that bit itself when odd, is round to nearest even. */
    uint32_t normal = ((a + 0xfffu + ((a >> 13) & 1u)) >> 13) - (112u << 10);
    normal = normal > 0x7c00u ? 0x7c00u : normal;
    /* The last bit of 0.5f weighs 2^-24, as in an F16 subnormal: the processor's own addition rounds. */
    uint32_t tiny = bits_of_float(float_of_bits(a) + 0.5f) - 0x3f000000u;
    uint32_t nan = 0x7e00u | ((a >> 13) & 0x3ffu);
    uint32_t h = pick(a < 0x38800000u, tiny, pick(a > F32_INF_BITS, nan, normal));     /* below 2^-14: subnormal */
    return (uint16_t)(h | sign);
}

/* Nearest whole number, ties to even, for |x| < 2^22: adding 1.5 * 2^23 leaves it in the low bits. Of anything else, some number. */
static inline int nearest_whole(float x)
{
    return (int)(bits_of_float(x + 12582912.0f) & 0x007fffffu) - 0x00400000;
}

/* Two bytes of a file, at any address. */
static inline float f16_at(const uint8_t *p)
{
    return f32_of_f16((uint16_t)(p[0] | p[1] << 8));
}

static inline void f16_put(uint8_t *p, float f)
{
    uint16_t h = f16_of_f32(f);
    p[0] = (uint8_t)h;
    p[1] = (uint8_t)(h >> 8);
}

#endif
