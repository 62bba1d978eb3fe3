/* op_head.c - projection to the vocabulary, log-softmax and pick in one op; T x V logits never exist.
 * head_logp is general: the loss turns log-probabilities into their gradient on the host. head_fused knows that gradient beforehand (plain
 * supervised training: each token's weight) and takes both directions in one sweep over the vocabulary. With a tied head w is the
 * embedding table and both ops' gradients meet in one tensor. */
#include "tensor/ops.h"
#include "tensor/tape_int.h"

static void check_shapes(const Tensor *h, const Tensor *w, const Tensor *target)
{
    BUG_ON(w->rank != 2 || tensor_cols(h) != w->dim[1]);
    BUG_ON(target->dtype != DT_I32 || tensor_numel(target) != tensor_rows(h));
}

Tensor *op_head_logp(Tape *t, Tensor *h, Tensor *w, const Tensor *target)
{
    if (!h)
        return NULL;
    check_shapes(h, w, target);
    bool wants = t->recording && (h->wants_grad || w->wants_grad);
    Tensor *logp = tape_new(t, tensor_rows(h), 1), *lse = wants ? tape_new(t, tensor_rows(h), 1) : NULL;
    if (!logp || (wants && !lse))
        return NULL;
    t->be->head_logp(t->be, logp, lse, h, w, target);
    logp->wants_grad = wants;
    if (wants) {
        TapeRec *r = tape_push(t, OP_HEAD_LOGP, logp);
        r->in[0] = h;
        r->in[1] = w;
        r->saved[0] = lse;
        r->index = target;
    }
    return logp;
}

void back_head_logp(Tape *t, const TapeRec *r)
{
    t->be->head_logp_bwd(t->be, tape_grad(t, r->in[0]), tape_grad(t, r->in[1]), r->out->grad, r->saved[0], r->in[0], r->in[1], r->index);
}

Tensor *op_head_fused(Tape *t, Tensor *h, Tensor *w, const Tensor *target, const Tensor *coef)
{
    if (!h)
        return NULL;
    if (!t->recording || (!h->wants_grad && !w->wants_grad))
        return op_head_logp(t, h, w, target);
    check_shapes(h, w, target);
    BUG_ON(tensor_numel(coef) != tensor_rows(h));
    Tensor *logp = tape_new(t, tensor_rows(h), 1), *dh = tape_new(t, tensor_rows(h), tensor_cols(h));
    Tensor *dw = tape_grad(t, w);
    if (!logp || !dh || (w->wants_grad && !dw))
        return NULL;
    t->be->head_fused(t->be, logp, dh, dw, h, w, target, coef);
    logp->wants_grad = true;
    if (h->wants_grad) {
        TapeRec *r = tape_push(t, OP_HEAD_FUSED, logp);
        r->in[0] = h;
        r->saved[0] = dh;
    }
    return logp;
}

void back_head_fused(Tape *t, const TapeRec *r)
{
    Tensor *h = r->in[0], *dh = r->saved[0];
    if (h->grad)
        t->be->acc(t->be, h->grad, dh);
    else
        h->grad = dh;
}
