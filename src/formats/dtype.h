/* dtype.h - the number formats that files and tensors share: name in each file format, block length, bytes, conversion to float.
 * To add a format: a row in dtype.c and its conversion pair. */
#ifndef HONE_DTYPE_H
#define HONE_DTYPE_H

#include "base/base.h"
#include "base/str.h"

typedef enum { DT_F32, DT_F16, DT_BF16, DT_I32, DT_COUNT } DType;

const char *dtype_name(DType t);                            /* "F32", as safetensors writes it */
size_t      dtype_size(DType t);                            /* bytes of one element */
bool        dtype_find(Str safetensors_name, DType *t);
void        dtype_to_f32(float *dst, const void *src, DType t, int64_t n);   /* F32, F16, BF16; exact */
void        dtype_from_f32(void *dst, const float *src, DType t, int64_t n); /* round to nearest even; overflow to infinity; NaN stays NaN */

#endif
