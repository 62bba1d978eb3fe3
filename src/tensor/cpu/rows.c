/* rows.c - functions that move or turn whole rows: embedding and its gradient, copies into a cache, rotary positions.
 * Invariant: rows are independent, but for embed_bwd, where the same row may come several times: there the pieces are strips of columns, and
 * each walks the ids in order. */
#include "tensor/cpu/cpu_int.h"
#include <string.h>

typedef struct RowJob {
    const Kern      *kern;
    Tensor          *dst;
    const Tensor    *src, *ids;      /* ids: rows of the table, or positions */
    int64_t          dst_row, src_row, rows, step; /* step: rows, or columns, of one piece */
    const RopeTable *rope;
    int64_t          head_dim;
    float            sign;
} RowJob;

#define PIECE 16384 /* numbers of one piece */

static void run_rows(Backend *be, RowJob *j, int64_t cols, int cost, PoolFn fn)
{
    Cpu *c = cpu_of(be);
    j->kern = c->kern;
    j->step = MAX(1, PIECE / MAX(cols, 1));
    cpu_for(c, (j->rows + j->step - 1) / j->step, j->rows * cols / c->kern->vw * cost, fn, j);
}

static int64_t id_at(const Tensor *ids, int64_t i, int64_t limit)
{
    BUG_ON(ids->dtype != DT_I32);
    int64_t v = ((const int32_t *)ids->data)[i];
    BUG_ON(v < 0 || v >= limit);
    return v;
}

/* n numbers of a row into another type, by way of f32 where both differ from it; the rest of a last block becomes 0. */
static void row_as(void *dst, DType to, const void *src, DType from, int64_t n)
{
    if (to == from) {
        memcpy(dst, src, dtype_bytes(to, n));
    } else if (to == DT_F32) {
        dtype_to_f32(dst, src, from, n);
    } else {
        float wide[256];
        for (int64_t i = 0; i < n; i += 256) {
            int64_t m = MIN(n - i, 256), whole = dtype_whole(to, m);
            dtype_to_f32(wide, (const char *)src + dtype_bytes(from, i), from, m);
            memset(wide + m, 0, (size_t)(whole - m) * sizeof *wide);
            dtype_from_f32((char *)dst + dtype_bytes(to, i), wide, to, whole);
        }
    }
}

static void piece_embed(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    const RowJob *j = ctx;
    for (int64_t r = piece * j->step; r < MIN(j->rows, (piece + 1) * j->step); r++)
        row_as(f32(j->dst) + r * j->dst->ld, DT_F32, elem_at(j->src, id_at(j->ids, r, tensor_rows(j->src)) * j->src->ld), j->src->dtype,
               tensor_cols(j->dst));
}

void cpu_embed(Backend *be, Tensor *y, const Tensor *table, const Tensor *ids)
{
    run_rows(be, &(RowJob){ .dst = y, .src = table, .ids = ids, .rows = tensor_rows(y) }, tensor_cols(y), 4, piece_embed);
}

#define STRIP 64 /* columns */

static void piece_embed_bwd(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    const RowJob *j = ctx;
    int64_t col = piece * STRIP, n = MIN(tensor_cols(j->src) - col, STRIP);
    for (int64_t r = 0; r < j->rows; r++)
        j->kern->axpy(n, f32(j->dst) + id_at(j->ids, r, tensor_rows(j->dst)) * j->dst->ld + col, 1.0f, f32(j->src) + r * j->src->ld + col);
}

void cpu_embed_bwd(Backend *be, Tensor *dtable, const Tensor *dy, const Tensor *ids)
{
    Cpu *c = cpu_of(be);
    RowJob j = { .kern = c->kern, .dst = dtable, .src = dy, .ids = ids, .rows = tensor_rows(dy) };
    cpu_for(c, (tensor_cols(dy) + STRIP - 1) / STRIP, tensor_numel(dy) / c->kern->vw * 4, piece_embed_bwd, &j);
}

static void piece_copy(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    const RowJob *j = ctx;
    for (int64_t r = piece * j->step; r < MIN(j->rows, (piece + 1) * j->step); r++)
        row_as((char *)j->dst->data + dtype_bytes(j->dst->dtype, (j->dst_row + r) * j->dst->ld), j->dst->dtype,
               elem_at(j->src, (j->src_row + r) * j->src->ld), j->src->dtype, tensor_cols(j->src));
}

void cpu_copy_rows(Backend *be, Tensor *dst, int64_t dst_row, const Tensor *src, int64_t src_row, int64_t n)
{
    BUG_ON(tensor_cols(dst) != dtype_whole(dst->dtype, tensor_cols(src)));
    run_rows(be, &(RowJob){ .dst = dst, .src = src, .dst_row = dst_row, .src_row = src_row, .rows = n }, tensor_cols(dst), 4, piece_copy);
}

static void piece_rope(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    const RowJob *j = ctx;
    const Tensor *cosv = j->rope->cos, *sinv = j->rope->sin;
    for (int64_t r = piece * j->step; r < MIN(j->rows, (piece + 1) * j->step); r++) {
        int64_t p = id_at(j->ids, r, tensor_rows(cosv));
        for (int64_t h = 0; h < tensor_cols(j->dst); h += j->head_dim)
            j->kern->rope(f32(j->dst) + r * j->dst->ld + h, f32(cosv) + p * cosv->ld, f32(sinv) + p * sinv->ld, j->rope->rot / 2, j->sign);
    }
}

void cpu_rope(Backend *be, Tensor *x, const Tensor *pos, const RopeTable *r, int head_dim, int sign)
{
    BUG_ON(tensor_cols(x) % head_dim || r->rot > head_dim);
    run_rows(be, &(RowJob){ .dst = x, .ids = pos, .rope = r, .head_dim = head_dim, .sign = (float)sign, .rows = tensor_rows(x) },
             tensor_cols(x), 6, piece_rope);
}
