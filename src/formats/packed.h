/* packed.h - safetensors folders whose matrices are packed, opened as Weights: every packed matrix appears once, under the name it would have
 * unpacked ("model.layers.0.self_attn.q_proj.weight", [out, in], packed = true), and its scales, zero points and code books do not appear.
 * What is read, and with which rounding; each is the arithmetic of the official implementation:
 *   bitsandbytes NF4, FP4   code[nibble] * absmax in f32; double quantised: absmax = code2[byte] * absmax2 + offset, each step in f32. The f32
 *                           number is the base, not its rounding to the 16-bit type of the original model.
 *   bitsandbytes INT8       (byte * SCB) * (1 / 127) in f32, one SCB a row.
 *   fp8, fbgemm_fp8         E4M3 or E5M2 code * scale in f32; a scale for the tensor, a row, or a block of weight_block_size (blocks at the
 *                           edges may be cut). Scales in F32, F16, BF16, or as a power of two (E8M0).
 *   compressed-tensors      float-quantized, int-quantized, naive-quantized and pack-quantized (1 to 8 bits in 32-bit words):
 *                           (code - zero) * scale, rounded to the type of the scale.
 *   gptq                    2, 3, 4, 8 bits, gptq and gptq_v2, with and without act order: scale * (code - zero), rounded to the scale's type.
 *   awq                     4 bits, gemm order, likewise.
 * Scales for activations and key-value caches (input_scale, k_scale, ...) do not change the weights and are passed over.
 * Invariants: shapes of all parts agree before a Weights is given out; memory in use is at most 16 times the bytes of the file. To add a method:
 * packed.c. */
#ifndef HONE_PACKED_H
#define HONE_PACKED_H

#include "base/json.h"
#include "formats/weights.h"

/* config: config.json, or NULL; where names it in errors. Without a quantization_config this is weights_open_st. Borrows f. */
int weights_open_hf(Weights **out, const StFile *f, const Json *config, const char *where, Err *e);

#endif
