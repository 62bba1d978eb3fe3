/* quant.h - for dtype.c: whole blocks of the blocked formats to float and back. Layouts, bytes at any address:
 * quant_legacy.c has the formats of 32 numbers with a scale each, quant_iq4.c those with a table of unequal steps, quant_k.c and quant_k_write.c
 * those of 256 numbers whose sub-blocks have small scales of a common one, quant_64.c hone's own of 64 numbers with an F32 scale,
 * quant_dynamic.c those of 256, for the moments of the optimiser. */
#ifndef HONE_QUANT_H
#define HONE_QUANT_H

#include "base/base.h"

typedef void (*QuantWiden)(float *dst, const uint8_t *src, int64_t blocks);
typedef void (*QuantNarrow)(uint8_t *dst, const float *src, int64_t blocks);

#define QUANT_PAIR(name)                                                  \
    void name##_widen(float *dst, const uint8_t *src, int64_t blocks);    \
    void name##_narrow(uint8_t *dst, const float *src, int64_t blocks);

QUANT_PAIR(q4_0)
QUANT_PAIR(q4_1)
QUANT_PAIR(q5_0)
QUANT_PAIR(q5_1)
QUANT_PAIR(q8_0)
QUANT_PAIR(q2_k)
QUANT_PAIR(q3_k)
QUANT_PAIR(q4_k)
QUANT_PAIR(q5_k)
QUANT_PAIR(q6_k)
QUANT_PAIR(iq4_nl)
QUANT_PAIR(iq4_xs)
QUANT_PAIR(nf4)
QUANT_PAIR(int8)
QUANT_PAIR(dyn8)
QUANT_PAIR(udyn8)

/* One block of 64 as bitsandbytes packs it: its largest magnitude, and the code of each number, two a byte, the first one high. */
void nf4_pack(uint8_t code[32], float *absmax, const float v[64]);

#endif
