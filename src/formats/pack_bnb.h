/* pack_bnb.h - matrices in f32 -> what bitsandbytes stores: NF4 in blocks of 64 (plain or double quantised) and row-wise INT8, with the bits that
 * bitsandbytes' CPU quantisation gives. One difference: the offset of double quantisation is the mean of the absmaxes rounded once, torch's own depends on
 * its vector width in the last bit.
 * Saving a model takes two passes over its matrices, as StWriter does: pack_declare for each, in order; then pack_write for each, in the same order. Tensors
 * that stay plain are declared and written between them as usual. pack_config gives the quantization_config for config.json; matrices that are not packed
 * although they are linears (lm_head) are named in `skip`. */
#ifndef HONE_PACK_BNB_H
#define HONE_PACK_BNB_H

#include "base/json.h"
#include "formats/safetensors.h"

typedef enum { PACK_NF4, PACK_NF4_DOUBLE, PACK_INT8 } PackKind;

/* name: "model.layers.0.mlp.up_proj.weight"; [rows, cols], both at least 1. */
void  pack_declare(StWriter *w, PackKind kind, const char *name, int64_t rows, int64_t cols);
/* m [rows, cols], first rounded to dtype (F32, F16 or BF16: the type of the model it belongs to). A number that is not finite, or too large for F16 with
 * PACK_INT8, is ERR_WORK. */
int   pack_write(StWriter *w, PackKind kind, const char *name, const float *m, int64_t rows, int64_t cols, DType dtype, Err *e);
Json *pack_config(PackKind kind, DType dtype, const char *const *skip);   /* skip ends with NULL; the caller's to free or to give away */

/* The arithmetic alone. code [(n + 1) / 2], absmax [(n + 63) / 64]; for the second level code2 and absmax2 of [blocks], [(blocks + 255) / 256]. */
void  pack_nf4(uint8_t *code, float *absmax, const float *v, int64_t n);
void  pack_absmax(uint8_t *code2, float *absmax2, float *offset, const float *absmax, int64_t n);
void  pack_int8(int8_t *code, float *scb, const float *m, int64_t rows, int64_t cols); /* m already of F16's precision */
/* Double quantisation, as blocks of DT_NF4: each absmax is what its two levels stand for. dst holds (n + 63) / 64 blocks. */
void  pack_nf4_blocks(void *dst, const float *v, int64_t n);
void  pack_dynamic_map(float map[256]);                         /* the code book of the second level */

#endif
