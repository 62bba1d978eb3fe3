/* dtype.c - the table of number formats and their conversion to and from float.
 * Model files are gigabytes, so the conversions are plain loops without branches over blocks of a fixed length: that is what lets every
 * compiler turn them into vector code, also at -O2. Files give their 16-bit numbers at any address; each block passes through an aligned
 * local copy, and a tail is padded with zeros to a whole block. No step depends on the processor's flush-to-zero mode.
 * Invariant: widening is exact for every bit pattern (NaN payloads included); narrowing rounds to nearest even, what is too large becomes
 * infinity, a NaN stays a (quiet) NaN of the same sign.
 *
 * To add a format: a row in formats[], and its two block functions when hone computes with it. */
#include "formats/dtype.h"

#include "formats/half.h"
#include "formats/quant.h"

#define BLOCK 256                      /* elements; both sides of a block stay in the first-level cache */

typedef struct {
    const char *name;
    int64_t     block;                 /* numbers in a block; 1: plain */
    size_t      size;                  /* bytes of a block */
    void      (*widen)(float *restrict dst, const uint16_t *restrict src);    /* exactly BLOCK elements; NULL: not converted */
    void      (*narrow)(uint16_t *restrict dst, const float *restrict src);
    QuantWiden  widen_blocks;          /* of blocked formats */
    QuantNarrow narrow_blocks;         /* NULL: hone only reads the format */
} Format;

static void f16_widen(float *restrict dst, const uint16_t *restrict src)
{
    for (int i = 0; i < BLOCK; i++)
        dst[i] = f32_of_f16(src[i]);
}

static void f16_narrow(uint16_t *restrict dst, const float *restrict src)
{
    for (int i = 0; i < BLOCK; i++)
        dst[i] = f16_of_f32(src[i]);
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
        dst[i] = (uint16_t)((x & 0x7fffffffu) > F32_INF_BITS ? nan : rounded);
    }
}

static const Format formats[DT_COUNT] = {
    [DT_F32]    = { "F32",    1,   4,   NULL,       NULL        },
    [DT_F16]    = { "F16",    1,   2,   f16_widen,  f16_narrow  },
    [DT_BF16]   = { "BF16",   1,   2,   bf16_widen, bf16_narrow },
    [DT_I32]    = { "I32",    1,   4,   NULL,       NULL        },
    [DT_Q4_0]   = { "Q4_0",   32,  18,  NULL, NULL, q4_0_widen,   q4_0_narrow   },
    [DT_Q4_1]   = { "Q4_1",   32,  20,  NULL, NULL, q4_1_widen,   q4_1_narrow   },
    [DT_Q5_0]   = { "Q5_0",   32,  22,  NULL, NULL, q5_0_widen,   q5_0_narrow   },
    [DT_Q5_1]   = { "Q5_1",   32,  24,  NULL, NULL, q5_1_widen,   q5_1_narrow   },
    [DT_Q8_0]   = { "Q8_0",   32,  34,  NULL, NULL, q8_0_widen,   q8_0_narrow   },
    [DT_Q2_K]   = { "Q2_K",   256, 84,  NULL, NULL, q2_k_widen,   q2_k_narrow   },
    [DT_Q3_K]   = { "Q3_K",   256, 110, NULL, NULL, q3_k_widen,   q3_k_narrow   },
    [DT_Q4_K]   = { "Q4_K",   256, 144, NULL, NULL, q4_k_widen,   q4_k_narrow   },
    [DT_Q5_K]   = { "Q5_K",   256, 176, NULL, NULL, q5_k_widen,   q5_k_narrow   },
    [DT_Q6_K]   = { "Q6_K",   256, 210, NULL, NULL, q6_k_widen,   q6_k_narrow   },
    [DT_IQ4_NL] = { "IQ4_NL", 32,  18,  NULL, NULL, iq4_nl_widen, iq4_nl_narrow },
    [DT_IQ4_XS] = { "IQ4_XS", 256, 136, NULL, NULL, iq4_xs_widen, iq4_xs_narrow },
    [DT_NF4]    = { "NF4",    64,  36,  NULL, NULL, nf4_widen,    nf4_narrow    },
    [DT_INT8]   = { "INT8",   64,  68,  NULL, NULL, int8_widen,   int8_narrow   },
    [DT_DYN8]   = { "DYN8",   256, 260, NULL, NULL, dyn8_widen,   dyn8_narrow   },
    [DT_UDYN8]  = { "UDYN8",  256, 260, NULL, NULL, udyn8_widen,  udyn8_narrow  },
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
    const Format *f = format_of(t);
    BUG_ON(f->block != 1);
    return f->size;
}

int64_t dtype_block(DType t)
{
    return format_of(t)->block;
}

size_t dtype_bytes(DType t, int64_t n)
{
    const Format *f = format_of(t);
    size_t bytes;
    BUG_ON(n < 0 || n % f->block || __builtin_mul_overflow((size_t)(n / f->block), f->size, &bytes));
    return bytes;
}

int64_t dtype_whole(DType t, int64_t n)
{
    int64_t block = format_of(t)->block;
    return (n + block - 1) / block * block;
}

bool dtype_writable(DType t)
{
    const Format *f = format_of(t);
    return t == DT_F32 || f->narrow || f->narrow_blocks;
}

bool dtype_find(Str safetensors_name, DType *t)
{
    for (unsigned i = 0; i < DT_COUNT; i++)
        if (formats[i].block == 1 && str_eqz(safetensors_name, formats[i].name)) {
            *t = (DType)i;
            return true;
        }
    return false;
}

void dtype_to_f32(float *dst, const void *src, DType t, int64_t n)
{
    const Format *f = format_of(t);
    const uint8_t *from = src;
    BUG_ON(n < 0 || n % f->block || (t != DT_F32 && !f->widen && !f->widen_blocks));
    if (n == 0)
        return;
    if (f->block > 1) {
        f->widen_blocks(dst, src, n / f->block);
        return;
    }
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
    BUG_ON(n < 0 || n % f->block || (t != DT_F32 && !f->narrow && !f->narrow_blocks));
    if (n == 0)
        return;
    if (f->block > 1) {
        f->narrow_blocks(dst, src, n / f->block);
        return;
    }
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
