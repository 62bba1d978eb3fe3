/* dtype.h - the number formats that files and tensors share: name in each file format, block length, bytes, conversion to float.
 * Plain formats hold one number in dtype_size bytes. Blocked ones (GGUF's, from DT_Q4_0 on, and hone's own from DT_NF4 on) hold a block of
 * 32, 64 or 256 numbers of one row in some bytes with common scales; they are how weights and moments are stored, never what a tensor is computed in.
 * To add a format: a row in dtype.c and its conversion pair; blocked ones live in quant_*.c. */
#ifndef HONE_DTYPE_H
#define HONE_DTYPE_H

#include "base/base.h"
#include "base/str.h"

typedef enum {
    DT_F32, DT_F16, DT_BF16, DT_I32,
    DT_Q4_0, DT_Q4_1, DT_Q5_0, DT_Q5_1, DT_Q8_0, DT_Q2_K, DT_Q3_K, DT_Q4_K, DT_Q5_K, DT_Q6_K, DT_IQ4_NL, DT_IQ4_XS,
    DT_NF4, DT_INT8,
    DT_DYN8, DT_UDYN8, /* moments of the optimiser; those before them can hold weights */
    DT_COUNT
} DType;

const char *dtype_name(DType t);                            /* "F32", as safetensors writes it; "Q4_K", as GGUF does */
size_t      dtype_size(DType t);                            /* bytes of one element of a plain format */
int64_t     dtype_block(DType t);                           /* numbers in a block; 1: a plain format */
size_t      dtype_bytes(DType t, int64_t n);                /* bytes of n numbers; n a multiple of the block */
int64_t     dtype_whole(DType t, int64_t n);                /* n made whole blocks */
bool        dtype_find(Str safetensors_name, DType *t);     /* plain formats only */
bool        dtype_writable(DType t);                        /* dtype_from_f32 knows it */

/* Plain: exact to F32. Blocked: the bits that ggml's own reading gives; of hone's own those of bitsandbytes. */
void        dtype_to_f32(float *dst, const void *src, DType t, int64_t n);

/* Plain: round to nearest even; overflow to infinity; NaN stays NaN. Blocked: the bytes of ggml's reference quantiser without an importance matrix,
 * each block by itself, so callers may divide the work by rows; NF4, DYN8 and UDYN8 as bitsandbytes packs them, INT8 see quant_64.c. Infinite and NaN numbers
 * spoil their block, but never crash. */
void        dtype_from_f32(void *dst, const float *src, DType t, int64_t n);

#define DTYPE_DYNAMIC_LEAST 1e-38f                              /* a block of DYN8 or UDYN8 is scaled by 1 / the larger of this and its largest magnitude */
#define DTYPE_INT8_UNIT 7.874015718698502e-3f                   /* 1 / 127, as bitsandbytes multiplies by it */
extern const int16_t dtype_iq4_steps[16];                  /* what the codes of IQ4_NL and IQ4_XS stand for, times the run's scale */
extern const float dtype_nf4_code[16];                      /* the numbers that NF4's codes stand for, times the block's largest */

#endif
