/* op_linear.c - y = x w' + b + s (x A') B'. A dense layer with an optional low-rank addition (Hu et al. 2021, eq. 3).
 * Invariant: a frozen w costs no gradient of its own; the input's gradient still passes through it. */
#include "tensor/ops.h"
#include "tensor/tape_int.h"

enum { X, W, B, LORA_A, LORA_B }; /* places in TapeRec.in */

static void check_shapes(const Tensor *x, const Tensor *w, const Tensor *b, const Tensor *lora_a, const Tensor *lora_b)
{
    BUG_ON(w->rank != 2 || tensor_cols(x) != w->dim[1]);
    BUG_ON(b && tensor_numel(b) != w->dim[0]);
    BUG_ON(!lora_a != !lora_b);
    BUG_ON(lora_a && (lora_a->dim[1] != w->dim[1] || lora_b->dim[0] != w->dim[0] || lora_a->dim[0] != lora_b->dim[1]));
}

Tensor *op_linear(Tape *t, Tensor *x, Tensor *w, Tensor *b, Tensor *lora_a, Tensor *lora_b, float lora_scale)
{
    if (!x)
        return NULL;
    check_shapes(x, w, b, lora_a, lora_b);
    int64_t T = tensor_rows(x);
    Tensor *y = tape_new(t, T, w->dim[0]), *h = NULL;
    if (lora_a)
        h = tape_new(t, T, lora_a->dim[0]); /* s x A' [T, r] */
    if (!y || (lora_a && !h))
        return NULL;

    if (lora_a) {
        t->be->linear(t->be, h, x, lora_a, NULL, lora_scale, false);
        t->be->linear_pair(t->be, y, x, w, b, h, lora_b);
    } else {
        t->be->linear(t->be, y, x, w, b, 1.0f, false);
    }

    Tensor *in[] = { x, w, b, lora_a, lora_b };
    for (size_t i = 0; i < ARRAY_LEN(in); i++)
        y->wants_grad |= t->recording && in[i] && in[i]->wants_grad;
    if (y->wants_grad) {
        TapeRec *r = tape_push(t, OP_LINEAR, y);
        for (size_t i = 0; i < ARRAY_LEN(in); i++)
            r->in[i] = in[i];
        r->saved[0] = h;
        r->u.lora_scale = lora_scale;
    }
    return y;
}

static Tensor *grad_or_null(Tape *t, Tensor *x)
{
    return x ? tape_grad(t, x) : NULL;
}

void back_linear(Tape *t, const TapeRec *r)
{
    const Tensor *dy = r->out->grad, *x = r->in[X], *h = r->saved[0];
    float s = r->u.lora_scale;
    /* All gradients before the scratch below, which ends with this function. */
    Tensor *dx = tape_grad(t, r->in[X]), *dw = tape_grad(t, r->in[W]), *db = grad_or_null(t, r->in[B]);
    Tensor *da = grad_or_null(t, r->in[LORA_A]), *dlb = grad_or_null(t, r->in[LORA_B]);

    if (dx && !h)
        t->be->linear_dx(t->be, dx, dy, r->in[W], 1.0f);
    if (dw)
        t->be->linear_dw(t->be, dw, dy, x, 1.0f);
    if (db)
        t->be->linear_db(t->be, db, dy);
    if (dlb)
        t->be->linear_dw(t->be, dlb, dy, h, 1.0f); /* s is in h */
    if (!h || (!da && !dx))
        return;

    TArenaMark mark = tarena_mark(t->arena);
    Tensor *u = tape_new(t, tensor_rows(h), tensor_cols(h)); /* s dy B [T, r]: the gradient of x A' */
    if (u) {
        t->be->fill(t->be, u, 0.0f);
        t->be->linear_dx(t->be, u, dy, r->in[LORA_B], s);
        if (da)
            t->be->linear_dw(t->be, da, u, x, 1.0f);
        if (dx)
            t->be->linear_dx_pair(t->be, dx, dy, r->in[W], u, r->in[LORA_A]);
    }
    tarena_rewind(t->arena, mark);
}
