/* adam.cuh - the optimiser's arithmetic on one number, and the codes of moments of 8 bits: functions that a card and the host work out to the same bits (each product that
 * enters a sum is an fmaf or stands alone, so no compiler has a choice).
 * Main struct: MomentMap, what is known of one type's codes; optim.cu makes it from formats/dtype.h. */
#ifndef HONE_CUDA_ADAM_CUH
#define HONE_CUDA_ADAM_CUH

#include "tensor/cuda/platform.cuh"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* The constants of one step, worked out in double. */
typedef struct AdamwStep { float b1, c1, b2, c2, grad_scale, unbias1, unbias2, lr, eps, decay; } AdamwStep;

/* Loshchilov & Hutter 2019, algorithm 2: the decay acts on the weight, not through the gradient. */
static __host__ __device__ inline void adamw_number(float *w, float g, float *m, float *v, const AdamwStep *a)
{
    g *= a->grad_scale;
    *m = fmaf(g, a->c1, *m * a->b1);
    *v = fmaf(g * a->c2, g, *v * a->b2);
    const float step = *m * a->unbias1 / (sqrtf(*v * a->unbias2) + a->eps);
    *w = fmaf(fmaf(*w, a->decay, step), -a->lr, *w);
}

/* ---- moments of 8 bits: DT_DYN8 and DT_UDYN8 of formats/quant_dynamic.c ---- */

#define MOMENT_BLOCK      256
#define MOMENT_BYTES      (MOMENT_BLOCK + 4)                     /* the largest magnitude, then a code for each number */

/* A cell is all numbers of one sign that share the exponent and the first bits of the fraction; the first holds whatever is smaller, too. No cell has more than one border
 * between codes, so the code of a number is the cell's lowest or the next. */
#define MOMENT_CELL_SHIFT 16                                     /* 7 bits of fraction */
#define MOMENT_LEAST      0x1p-23f                               /* below the smallest border */
#define MOMENT_LEAST_BITS 0x34000000
#define MOMENT_CELLS      (((0x3f800000 - MOMENT_LEAST_BITS) >> MOMENT_CELL_SHIFT) + 1) /* the last one begins with 1 */

typedef struct MomentMap {
    float   code[MOMENT_BLOCK];
    float   border[MOMENT_BLOCK];        /* between a code and the next; behind the last: infinity */
    uint8_t least[2 * MOMENT_CELLS + 2]; /* the lowest code of a cell: of 0 and more, then below 0; made whole words */
} MomentMap;

/* The nearest code of x, a number over its block's largest magnitude, the lower one in the middle; of NaN 0, as quant_dynamic.c has it. */
static __host__ __device__ inline int moment_code(const MomentMap *map, float x)
{
    const float size = fminf(fmaxf(fabsf(x), MOMENT_LEAST), 1.0f);
    int32_t     bits;
    memcpy(&bits, &size, sizeof bits);
    const int q = map->least[((bits - MOMENT_LEAST_BITS) >> MOMENT_CELL_SHIFT) + (x < 0 ? MOMENT_CELLS : 0)];
    return x == x ? q + (map->border[q] < x) : 0;
}

#endif
