/* op_misc.c - the residual addition, and a tensor times a number. */
#include "tensor/ops.h"
#include "tensor/tape_int.h"

Tensor *op_add(Tape *t, Tensor *a, Tensor *b)
{
    if (!a || !b)
        return NULL;
    BUG_ON(!tensor_same_shape(a, b));
    Tensor *y = tape_new(t, tensor_rows(a), tensor_cols(a));
    if (!y)
        return NULL;
    t->be->add(t->be, y, a, b);
    y->wants_grad = t->recording && (a->wants_grad || b->wants_grad);
    if (y->wants_grad) {
        TapeRec *r = tape_push(t, OP_ADD, y);
        r->in[0] = a;
        r->in[1] = b;
    }
    return y;
}

/* dy is dead after this record, so the first input that has no gradient yet takes over its buffer: a residual stream carries one gradient
 * from the last block to the first without a copy. The input that takes it goes last, because from then on the buffer is its own (and
 * a + a must add dy to itself only once). */
void back_add(Tape *t, const TapeRec *r)
{
    Tensor *dy = r->out->grad, *heir = NULL;
    for (int i = 0; i < 2 && !heir; i++)
        if (r->in[i]->wants_grad && !r->in[i]->grad)
            heir = r->in[i];
    if (r->in[0] == r->in[1] && heir) {
        t->be->scale(t->be, dy, 2.0f);
    } else {
        for (int i = 0; i < 2; i++) {
            Tensor *dx = r->in[i] == heir ? NULL : tape_grad(t, r->in[i]);
            if (dx)
                t->be->acc(t->be, dx, dy);
        }
    }
    if (heir)
        heir->grad = dy;
}

Tensor *op_scale(Tape *t, Tensor *x, float f)
{
    if (!x)
        return NULL;
    Tensor *y = tape_new(t, tensor_rows(x), tensor_cols(x));
    if (!y)
        return NULL;
    t->be->copy_rows(t->be, y, 0, x, 0, tensor_rows(x));
    t->be->scale(t->be, y, f);
    y->wants_grad = t->recording && x->wants_grad;
    if (y->wants_grad) {
        TapeRec *r = tape_push(t, OP_SCALE, y);
        r->in[0] = x;
        r->u.factor = f;
    }
    return y;
}

void back_scale(Tape *t, const TapeRec *r)
{
    Tensor *x = r->in[0], *dy = r->out->grad;
    t->be->scale(t->be, dy, r->u.factor);
    if (x->grad)
        t->be->acc(t->be, x->grad, dy);
    else
        x->grad = dy;
}
