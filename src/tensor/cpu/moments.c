/* moments.c - AdamW with moments of 8 bits: the maps of their codes, and the way to the threads. The loop is in k_moment.h, the format in
 * formats/quant_dynamic.c. Invariant: blocks know nothing of each other, so cutting is free. */
#include "tensor/cpu/cpu_int.h"

#include <math.h>

#define BLOCKS 32 /* of one piece */

/* The lowest code of the numbers from x on. */
static uint8_t code_from(const MomentMap *map, float x)
{
    int q = 0;
    while (map->border[q] < x)
        q++;
    return (uint8_t)q;
}

static float float_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static void map_make(MomentMap *map, DType type)
{
    MomentBlock all = { .absmax = 1 };
    for (int i = 0; i < MOMENT_BLOCK; i++)
        all.q[i] = (uint8_t)i;
    dtype_to_f32(map->code, &all, type, MOMENT_BLOCK);
    for (int i = 0; i < MOMENT_BLOCK - 1; i++)
        map->border[i] = (map->code[i] + map->code[i + 1]) / 2.0f;
    map->border[MOMENT_BLOCK - 1] = INFINITY;
    for (uint32_t i = 0; i < MOMENT_CELLS; i++) {
        const uint32_t bits = MOMENT_LEAST_BITS + (i << MOMENT_CELL_SHIFT);
        const float    low = i ? float_of(bits) : 0, high = float_of(bits + (1u << MOMENT_CELL_SHIFT) - 1);
        map->least[i] = code_from(map, low);
        map->least[MOMENT_CELLS + i] = code_from(map, -high);
        BUG_ON(code_from(map, high) > map->least[i] + 1 || code_from(map, -low) > map->least[MOMENT_CELLS + i] + 1);
    }
}

void cpu_moment_maps(MomentMap map[2])
{
    map_make(&map[0], DT_DYN8);
    map_make(&map[1], DT_UDYN8);
}

typedef struct MomentJob { const Cpu *c; float *w; const float *g; MomentBlock *m, *v; const AdamStep *a; int64_t n; } MomentJob;

static void piece_moments(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    const MomentJob *j = ctx;
    const int64_t block = piece * BLOCKS, at = block * MOMENT_BLOCK;
    j->c->kern->adamw_moments(MIN(j->n - at, BLOCKS * MOMENT_BLOCK), j->w + at, j->g + at, j->m + block, j->v + block, j->a, j->c->moment_map);
}

void cpu_adamw_moments(Cpu *c, Tensor *w, const Tensor *g, Tensor *m, Tensor *v, const AdamStep *a)
{
    MomentJob j = { .c = c, .w = f32(w), .g = f32(g), .m = m->data, .v = v->data, .a = a, .n = tensor_numel(w) };
    BUG_ON(m->dtype != DT_DYN8 || v->dtype != DT_UDYN8 || w->ld != tensor_cols(w) || g->ld != tensor_cols(g));
    cpu_for(c, (j.n + BLOCKS * MOMENT_BLOCK - 1) / (BLOCKS * MOMENT_BLOCK), j.n * 6, piece_moments, &j); /* most of it number by number */
}
