/* op_head.c - projection to the vocabulary, log-softmax and pick in one op; T x V logits never exist.
 * head_logp is general: the loss turns log-probabilities into their gradient on the host. head_fused knows that gradient beforehand (plain
 * supervised training: each token's weight) and takes both directions in one sweep over the vocabulary. With a tied head w is the
 * embedding table and both ops' gradients meet in one tensor. */
#include "tensor/ops.h"
#include "tensor/tape_int.h"

static void check_shapes(const Tensor *h, const Tensor *w, const Tensor *b, const Tensor *target)
{
    BUG_ON(w->rank != 2 || tensor_cols(h) != w->dim[1]);
    BUG_ON(b && tensor_numel(b) != w->dim[0]);
    BUG_ON(target->dtype != DT_I32 || tensor_numel(target) != tensor_rows(h));
}

static bool wants_any(const Tape *t, const Tensor *h, const Tensor *w, const Tensor *b)
{
    return t->recording && (h->wants_grad || w->wants_grad || (b && b->wants_grad));
}

Tensor *op_head_logp(Tape *t, Tensor *h, Tensor *w, Tensor *b, const Tensor *target, const HeadCfg *cfg)
{
    if (!h)
        return NULL;
    check_shapes(h, w, b, target);
    bool wants = wants_any(t, h, w, b);
    Tensor *logp = tape_new(t, tensor_rows(h), 1), *lse = wants ? tape_new(t, tensor_rows(h), 1) : NULL;
    if (!logp || (wants && !lse))
        return NULL;
    t->be->head_logp(t->be, logp, lse, h, w, b, target, cfg);
    logp->wants_grad = wants;
    if (wants) {
        TapeRec *r = tape_push(t, OP_HEAD_LOGP, logp);
        r->in[0] = h;
        r->in[1] = w;
        r->in[2] = b;
        r->saved[0] = lse;
        r->index = target;
        r->u.head = *cfg;
    }
    return logp;
}

void back_head_logp(Tape *t, const TapeRec *r)
{
    Tensor *h = r->in[0], *w = r->in[1], *b = r->in[2];
    t->be->head_logp_bwd(t->be, tape_grad(t, h), tape_grad(t, w), b ? tape_grad(t, b) : NULL, r->out->grad, r->saved[0], h, w, b, r->index,
                         &r->u.head);
}

Tensor *op_head_fused(Tape *t, Tensor *h, Tensor *w, Tensor *b, const Tensor *target, const Tensor *coef, const HeadCfg *cfg)
{
    if (!h)
        return NULL;
    if (!wants_any(t, h, w, b))
        return op_head_logp(t, h, w, b, target, cfg);
    check_shapes(h, w, b, target);
    BUG_ON(tensor_numel(coef) != tensor_rows(h));
    Tensor *logp = tape_new(t, tensor_rows(h), 1), *dh = tape_new(t, tensor_rows(h), tensor_cols(h));
    Tensor *dw = tape_grad(t, w), *db = b ? tape_grad(t, b) : NULL;
    if (!logp || !dh || (w->wants_grad && !dw) || (b && b->wants_grad && !db))
        return NULL;
    t->be->head_fused(t->be, logp, dh, dw, db, h, w, b, target, coef, cfg);
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
