/* k_moment.h - AdamW on moments of 8 bits: a block is made f32, goes through the optimiser's loop and becomes 8 bits again, without leaving the first cache.
 * Part of kern_body.h, behind k_elem.h.
 * Invariant: the bytes are those of dtype_from_f32 (formats/quant_dynamic.c), which finds a code by seven comparisons; here a MomentMap says for the sign, the
 * exponent and the first seven bits of the fraction which code a number has at least, and one comparison decides whether it has the next. */
#ifndef HONE_CPU_K_MOMENT_H
#define HONE_CPU_K_MOMENT_H

#include "tensor/cpu/k_elem.h"

static void moments_widen(float dst[MOMENT_BLOCK], const MomentBlock *src, const MomentMap *map)
{
    const float d = src->absmax;
    for (int i = 0; i < MOMENT_BLOCK; i++)
        dst[i] = map->code[src->q[i]] * d;
}

static void moments_narrow(MomentBlock *dst, const float x[MOMENT_BLOCK], const MomentMap *map)
{
    float   y[MOMENT_BLOCK];
    int32_t cell[MOMENT_BLOCK];
    vf      most = { 0 };
    for (int i = 0; i < MOMENT_BLOCK; i += VW)
        most = vmax(most, vabs(vload(x + i)));
    dst->absmax = vtop(most);
    const float inverse = 1.0f / MAX(dst->absmax, DTYPE_DYNAMIC_LEAST);
    for (int i = 0; i < MOMENT_BLOCK; i += VW) {
        vf scaled = vload(x + i) * inverse;
        vf size = vmin(vmax(vabs(scaled), vset(MOMENT_LEAST)), vset(1)); /* of NaN, too */
        vstore(y + i, scaled);
        *(viu *)(cell + i) = (((vi)size - MOMENT_LEAST_BITS) >> MOMENT_CELL_SHIFT) + (((vi)scaled < 0) & MOMENT_CELLS);
    }
    for (int i = 0; i < MOMENT_BLOCK; i++) {
        const uint8_t q = map->least[cell[i]];
        dst->q[i] = (uint8_t)(q + (map->border[q] < y[i]));
    }
}

static void adamw_moments(int64_t n, float *w, const float *g, MomentBlock *m, MomentBlock *v, const AdamStep *a, const MomentMap map[2])
{
    float mv[MOMENT_BLOCK], vv[MOMENT_BLOCK];
    for (int64_t i = 0; i < n; i += MOMENT_BLOCK, m++, v++) {
        moments_widen(mv, m, &map[0]);
        moments_widen(vv, v, &map[1]);
        elem_adamw(MIN(n - i, MOMENT_BLOCK), (float *[3]){ w + i, mv, vv }, (const float *[3]){ g + i }, a);
        moments_narrow(m, mv, &map[0]);
        moments_narrow(v, vv, &map[1]);
    }
}

#endif
