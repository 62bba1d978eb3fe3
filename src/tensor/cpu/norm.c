/* norm.c - rmsnorm and layernorm over groups of D = dim(w) numbers, with their gradients.
 * Invariant: the gradients of w and b are summed over fixed runs of rows, then over the runs in order, whatever the threads. */
#include "tensor/cpu/cpu_int.h"
#include <string.h>

#define RUNS      64     /* at most so many partial sums of dw and db */
#define RUN_LEAST 16     /* rows */

typedef struct NormJob {
    const Kern   *kern;
    Tensor       *y, *stat, *dx;
    const Tensor *x, *w, *b, *dy, *saved;
    const float  *wv, *bv;            /* w and b as f32 */
    float         eps, offset;        /* offset: y = x^ (offset + w) */
    bool          centred;            /* layernorm */
    int64_t       rows, groups, D;
    int64_t       runs;
    float        *dw, *db;            /* [runs, D] partial sums, NULL: not wanted */
} NormJob;

static int64_t at(const Tensor *t, int64_t row)
{
    return row * t->ld;
}

static void piece_norm(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    const NormJob *j = ctx;
    for (int64_t r = j->rows * piece / j->runs; r < j->rows * (piece + 1) / j->runs; r++)
        for (int64_t g = 0; g < j->groups; g++) {
            const float *x = f32(j->x) + at(j->x, r) + g * j->D;
            float *y = f32(j->y) + at(j->y, r) + g * j->D, stat[2];
            if (j->centred)
                j->kern->layernorm(j->D, y, x, j->wv, j->bv, j->eps, stat);
            else
                stat[0] = j->kern->rmsnorm(j->D, y, x, j->wv, j->eps, j->offset);
            int n = j->centred ? 2 : 1;
            for (int i = 0; i < n; i++)
                f32(j->stat)[at(j->stat, r) + g * n + i] = stat[i];
        }
}

static void piece_norm_bwd(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    const NormJob *j = ctx;
    float *dw = j->dw ? j->dw + piece * j->D : NULL, *db = j->db ? j->db + piece * j->D : NULL;
    if (dw)
        memset(dw, 0, (size_t)j->D * sizeof(float));
    if (db)
        memset(db, 0, (size_t)j->D * sizeof(float));
    for (int64_t r = j->rows * piece / j->runs; r < j->rows * (piece + 1) / j->runs; r++)
        for (int64_t g = 0; g < j->groups; g++) {
            const float *stat = f32(j->saved) + at(j->saved, r) + g * (j->centred ? 2 : 1);
            j->kern->norm_bwd(j->D, j->dx ? f32(j->dx) + at(j->dx, r) + g * j->D : NULL, dw, db, f32(j->dy) + at(j->dy, r) + g * j->D,
                              f32(j->x) + at(j->x, r) + g * j->D, j->wv, j->centred ? stat[0] : 0.0f, stat[j->centred], j->offset, j->centred);
        }
}

static void norm_run(Backend *be, NormJob *j, int cost, PoolFn fn)
{
    Cpu *c = cpu_of(be);
    j->kern = c->kern;
    j->rows = tensor_rows(j->x);
    j->D = tensor_cols(j->w);
    j->groups = tensor_cols(j->x) / j->D;
    BUG_ON(tensor_cols(j->x) % j->D);
    j->wv = cpu_wide(c, SLOT_WIDE, j->w);
    j->bv = cpu_wide(c, SLOT_WIDE_B, j->b);
    if (!j->wv || (j->b && !j->bv))
        return;
    j->runs = MIN(RUNS, (j->rows + RUN_LEAST - 1) / RUN_LEAST);
    cpu_for(c, j->runs, tensor_numel(j->x) / c->kern->vw * cost, fn, j);
}

static void norm_bwd_run(Backend *be, NormJob *j, Tensor *dw, Tensor *db)
{
    Cpu *c = cpu_of(be);
    int64_t D = tensor_cols(j->w);
    float *sums = cpu_slot(c, SLOT_SUMS, (size_t)(2 * RUNS * D) * sizeof(float));
    if (!sums)
        return;
    j->dw = dw ? sums : NULL;
    j->db = db ? sums + RUNS * D : NULL;
    norm_run(be, j, 16, piece_norm_bwd);
    for (int64_t i = 0; i < j->runs; i++) {
        if (dw)
            j->kern->axpy(D, f32(dw), 1.0f, j->dw + i * D);
        if (db)
            j->kern->axpy(D, f32(db), 1.0f, j->db + i * D);
    }
}

void cpu_rmsnorm(Backend *be, Tensor *y, Tensor *stat, const Tensor *x, const Tensor *w, float eps, float offset)
{
    norm_run(be, &(NormJob){ .y = y, .stat = stat, .x = x, .w = w, .eps = eps, .offset = offset }, 6, piece_norm);
}

void cpu_rmsnorm_bwd(Backend *be, Tensor *dx, Tensor *dw, const Tensor *dy, const Tensor *x, const Tensor *w, const Tensor *stat, float offset)
{
    norm_bwd_run(be, &(NormJob){ .dx = dx, .dy = dy, .x = x, .w = w, .saved = stat, .offset = offset }, dw, NULL);
}

void cpu_layernorm(Backend *be, Tensor *y, Tensor *stat, const Tensor *x, const Tensor *w, const Tensor *b, float eps)
{
    norm_run(be, &(NormJob){ .y = y, .stat = stat, .x = x, .w = w, .b = b, .eps = eps, .centred = true }, 8, piece_norm);
}

void cpu_layernorm_bwd(Backend *be, Tensor *dx, Tensor *dw, Tensor *db, const Tensor *dy, const Tensor *x, const Tensor *w, const Tensor *stat)
{
    norm_bwd_run(be, &(NormJob){ .dx = dx, .dy = dy, .x = x, .w = w, .saved = stat, .centred = true }, dw, db);
}
