/* op_mlp.c - the activations of the feed-forward branch: gated (Shazeer 2020) and plain. */
#include "tensor/ops.h"
#include "tensor/tape_int.h"

Tensor *op_glu(Tape *t, Tensor *gate, Tensor *up, ActKind a)
{
    if (!gate || !up)
        return NULL;
    BUG_ON(!tensor_same_shape(gate, up));
    Tensor *y = tape_new(t, tensor_rows(gate), tensor_cols(gate));
    if (!y)
        return NULL;
    t->be->glu(t->be, y, gate, up, a);
    y->wants_grad = t->recording && (gate->wants_grad || up->wants_grad);
    if (y->wants_grad) {
        TapeRec *r = tape_push(t, OP_GLU, y);
        r->in[0] = gate;
        r->in[1] = up;
        r->u.act = a;
    }
    return y;
}

void back_glu(Tape *t, const TapeRec *r)
{
    t->be->glu_bwd(t->be, tape_grad(t, r->in[0]), tape_grad(t, r->in[1]), r->out->grad, r->in[0], r->in[1], r->u.act);
}

Tensor *op_act(Tape *t, Tensor *x, ActKind a)
{
    if (!x)
        return NULL;
    Tensor *y = tape_new(t, tensor_rows(x), tensor_cols(x));
    if (!y)
        return NULL;
    t->be->act(t->be, y, x, a);
    y->wants_grad = t->recording && x->wants_grad;
    if (y->wants_grad) {
        TapeRec *r = tape_push(t, OP_ACT, y);
        r->in[0] = x;
        r->u.act = a;
    }
    return y;
}

void back_act(Tape *t, const TapeRec *r)
{
    Tensor *dx = tape_grad(t, r->in[0]);
    if (dx)
        t->be->act_bwd(t->be, dx, r->out->grad, r->in[0], r->u.act);
}
