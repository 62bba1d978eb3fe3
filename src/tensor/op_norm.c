/* op_norm.c - the two normalisations. Groups of dim(w) elements: one per row for a block norm, one per head for a q/k norm. The statistics of
 * the forward pass are saved, so the backward reads x but never its own output (which a rotation may have turned in place). */
#include "tensor/ops.h"
#include "tensor/tape_int.h"

static int64_t groups_per_row(const Tensor *x, const Tensor *w)
{
    int64_t n = tensor_numel(w);
    BUG_ON(n == 0 || tensor_cols(x) % n != 0);
    return tensor_cols(x) / n;
}

Tensor *op_rmsnorm(Tape *t, Tensor *x, Tensor *w, float eps, float offset)
{
    if (!x)
        return NULL;
    int64_t T = tensor_rows(x), groups = groups_per_row(x, w);
    Tensor *y = tape_new(t, T, tensor_cols(x)), *rstd = tape_new(t, T, groups);
    if (!y || !rstd)
        return NULL;
    t->be->rmsnorm(t->be, y, rstd, x, w, eps, offset);
    y->wants_grad = t->recording && (x->wants_grad || w->wants_grad);
    if (y->wants_grad) {
        TapeRec *r = tape_push(t, OP_RMSNORM, y);
        r->in[0] = x;
        r->in[1] = w;
        r->saved[0] = rstd;
        r->u.offset = offset;
    }
    return y;
}

void back_rmsnorm(Tape *t, const TapeRec *r)
{
    t->be->rmsnorm_bwd(t->be, tape_grad(t, r->in[0]), tape_grad(t, r->in[1]), r->out->grad, r->in[0], r->in[1], r->saved[0], r->u.offset);
}

Tensor *op_layernorm(Tape *t, Tensor *x, Tensor *w, Tensor *b, float eps)
{
    if (!x)
        return NULL;
    BUG_ON(b && tensor_numel(b) != tensor_numel(w));
    int64_t T = tensor_rows(x), groups = groups_per_row(x, w);
    Tensor *y = tape_new(t, T, tensor_cols(x)), *stat = tape_new(t, T, 2 * groups); /* mean, rstd */
    if (!y || !stat)
        return NULL;
    t->be->layernorm(t->be, y, stat, x, w, b, eps);
    y->wants_grad = t->recording && (x->wants_grad || w->wants_grad || (b && b->wants_grad));
    if (y->wants_grad) {
        TapeRec *r = tape_push(t, OP_LAYERNORM, y);
        r->in[0] = x;
        r->in[1] = w;
        r->in[2] = b;
        r->saved[0] = stat;
    }
    return y;
}

void back_layernorm(Tape *t, const TapeRec *r)
{
    Tensor *db = r->in[2] ? tape_grad(t, r->in[2]) : NULL;
    t->be->layernorm_bwd(t->be, tape_grad(t, r->in[0]), tape_grad(t, r->in[1]), db, r->out->grad, r->in[0], r->in[1], r->saved[0]);
}
