/* dtype.c - the table of number formats and their conversion to and from float.
 * Model files are gigabytes, so the conversions are plain loops without branches over blocks of a fixed length: that is what lets every
 * compiler turn them into vector code, also at -O2. Files give their 16-bit numbers at any address; each block passes through an aligned
 * local copy, and a tail is padded with zeros to a whole block. No step depends on the processor's flush-to-zero mode.
 * Invariant: widening is exact for every bit pattern (NaN payloads included); narrowing rounds to nearest even, what is too large becomes
 * infinity, a NaN stays a (quiet) NaN of the same sign.
 *
 * To add a format: a row in formats[], and its two block functions when hone computes with it. */
#include "formats/dtype.h"

#define BLOCK 256                      /* elements; both sides of a block stay in the first-level cache */

typedef struct {
    const char *name;
    size_t      size;                  /* bytes of one element */
    void      (*widen)(float *restrict dst, const uint16_t *restrict src);    /* exactly BLOCK elements; NULL: not converted */
    void      (*narrow)(uint16_t *restrict dst, const float *restrict src);
} Format;

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

/* F16: 1 sign, 5 exponent (bias 15), 10 fraction bits. F32: 1, 8 (bias 127), 23. The exponents differ by 112. */
#define EXP_SHIFT     (112u << 23)
#define F32_INF       0x7f800000u
#define F16_MIN_NORM  0x38800000u      /* 2^-14 as F32 bits */

static void f16_widen(float *restrict dst, const uint16_t *restrict src)
{
    for (int i = 0; i < BLOCK; i++) {
        uint32_t h = src[i], sign = (h & 0x8000u) << 16, em = h & 0x7fffu;
        uint32_t normal = (em << 13) + EXP_SHIFT;
        uint32_t special = normal + EXP_SHIFT;                                /* infinity and NaN: all exponent bits set */
        uint32_t tiny = bits_of_float((float)(int32_t)em * 0x1p-24f);         /* zero and subnormal: a multiple of 2^-24 */
        uint32_t u = pick(em < 0x0400u, tiny, pick(em >= 0x7c00u, special, normal));
        dst[i] = float_of_bits(u | sign);
    }
}

static void f16_narrow(uint16_t *restrict dst, const float *restrict src)
{
    for (int i = 0; i < BLOCK; i++) {
        uint32_t x = bits_of_float(src[i]), sign = (x >> 16) & 0x8000u, a = x & 0x7fffffffu;
        /* Adding just under half of the last kept bit, plus that bit itself when odd, is round to nearest even. */
        uint32_t normal = ((a + 0xfffu + ((a >> 13) & 1u)) >> 13) - (112u << 10);
        normal = normal > 0x7c00u ? 0x7c00u : normal;
        /* The last bit of 0.5f weighs 2^-24, as in an F16 subnormal: the processor's own addition rounds. */
        uint32_t tiny = bits_of_float(float_of_bits(a) + 0.5f) - 0x3f000000u;
        uint32_t nan = 0x7e00u | ((a >> 13) & 0x3ffu);
        uint32_t h = pick(a < F16_MIN_NORM, tiny, pick(a > F32_INF, nan, normal));
        dst[i] = (uint16_t)(h | sign);
    }
}

/* BF16 is the upper half of F32. */
static void bf16_widen(float *restrict dst, const uint16_t *restrict src)
{
    for (int i = 0; i < BLOCK; i++)
        dst[i] = float_of_bits((uint32_t)src[i] << 16);
}

static void bf16_narrow(uint16_t *restrict dst, const float *restrict src)
{
    for (int i = 0; i < BLOCK; i++) {
        uint32_t x = bits_of_float(src[i]);
        uint32_t rounded = (x + 0x7fffu + ((x >> 16) & 1u)) >> 16;
        uint32_t nan = (x >> 16) | 0x40u;                                     /* the quiet bit: the payload's upper half may be zero */
        dst[i] = (uint16_t)((x & 0x7fffffffu) > F32_INF ? nan : rounded);
    }
}

static const Format formats[DT_COUNT] = {
    [DT_F32]  = { "F32",  4, NULL,       NULL        },
    [DT_F16]  = { "F16",  2, f16_widen,  f16_narrow  },
    [DT_BF16] = { "BF16", 2, bf16_widen, bf16_narrow },
    [DT_I32]  = { "I32",  4, NULL,       NULL        },
};

static const Format *format_of(DType t)
{
    BUG_ON((unsigned)t >= DT_COUNT);
    return &formats[t];
}

const char *dtype_name(DType t)
{
    return format_of(t)->name;
}

size_t dtype_size(DType t)
{
    return format_of(t)->size;
}

bool dtype_find(Str safetensors_name, DType *t)
{
    for (unsigned i = 0; i < DT_COUNT; i++)
        if (str_eqz(safetensors_name, formats[i].name)) {
            *t = (DType)i;
            return true;
        }
    return false;
}

void dtype_to_f32(float *dst, const void *src, DType t, int64_t n)
{
    const Format *f = format_of(t);
    const uint8_t *from = src;
    BUG_ON(n < 0 || (t != DT_F32 && !f->widen));
    if (n == 0)
        return;
    if (t == DT_F32) {
        memcpy(dst, src, (size_t)n * sizeof *dst);
        return;
    }
    for (int64_t i = 0; i < n; i += BLOCK) {
        size_t len = (size_t)MIN(n - i, BLOCK);
        uint16_t in[BLOCK];
        memcpy(in, from + (size_t)i * f->size, len * f->size);
        if (len == BLOCK) {
            f->widen(dst + i, in);
        } else {
            float tail[BLOCK];
            memset(in + len, 0, sizeof in - len * sizeof *in);
            f->widen(tail, in);
            memcpy(dst + i, tail, len * sizeof *dst);
        }
    }
}

void dtype_from_f32(void *dst, const float *src, DType t, int64_t n)
{
    const Format *f = format_of(t);
    uint8_t *to = dst;
    BUG_ON(n < 0 || (t != DT_F32 && !f->narrow));
    if (n == 0)
        return;
    if (t == DT_F32) {
        memcpy(dst, src, (size_t)n * sizeof *src);
        return;
    }
    for (int64_t i = 0; i < n; i += BLOCK) {
        size_t len = (size_t)MIN(n - i, BLOCK);
        uint16_t out[BLOCK];
        if (len == BLOCK) {
            f->narrow(out, src + i);
        } else {
            float tail[BLOCK] = {0};
            memcpy(tail, src + i, len * sizeof *src);
            f->narrow(out, tail);
        }
        memcpy(to + (size_t)i * f->size, out, len * f->size);
    }
}
