/* op_attn.c - rotary positions and attention over packed segments. */
#include "tensor/ops.h"
#include "tensor/tape_int.h"

/* In place, and so is its backward: x->grad is turned back before earlier ops read it. Whoever used x before the rotation must not need
 * its numbers again; the norms and the linear layer do not read their own outputs. */
Tensor *op_rope(Tape *t, Tensor *x, const Tensor *pos, const RopeTable *table, int head_dim)
{
    if (!x)
        return NULL;
    BUG_ON(pos->dtype != DT_I32 || tensor_numel(pos) != tensor_rows(x));
    BUG_ON(head_dim < table->rot || tensor_cols(x) % head_dim != 0);
    t->be->rope(t->be, x, pos, table, head_dim, +1);
    if (t->recording && x->wants_grad) {
        TapeRec *r = tape_push(t, OP_ROPE, x);
        r->in[0] = x;
        r->index = pos;
        r->u.rope.table = table;
        r->u.rope.head_dim = head_dim;
    }
    return x;
}

void back_rope(Tape *t, const TapeRec *r)
{
    t->be->rope(t->be, r->out->grad, r->index, r->u.rope.table, r->u.rope.head_dim, -1);
}

Tensor *op_attention(Tape *t, Tensor *q, Tensor *k, Tensor *v, const AttnShape *s)
{
    if (!q || !k || !v)
        return NULL;
    BUG_ON(s->kv_heads < 1 || s->heads % s->kv_heads != 0);
    BUG_ON(tensor_cols(q) != (int64_t)s->heads * s->head_dim);
    BUG_ON(tensor_cols(k) != s->kv_heads * dtype_whole(k->dtype, s->head_dim) || !tensor_same_shape(k, v));
    int64_t T = tensor_rows(q);
    BUG_ON(s->sinks && tensor_numel(s->sinks) != s->heads);
    bool wants = t->recording && (q->wants_grad || k->wants_grad || v->wants_grad || (s->sinks && s->sinks->wants_grad));
    Tensor *o = tape_new(t, T, tensor_cols(q)), *lse = wants ? tape_new(t, T, s->heads) : NULL;
    if (!o || (wants && !lse))
        return NULL;
    t->be->attn(t->be, o, lse, q, k, v, s);
    o->wants_grad = wants;
    if (wants) {
        TapeRec *r = tape_push(t, OP_ATTENTION, o);
        r->in[0] = q;
        r->in[1] = k;
        r->in[2] = v;
        r->saved[0] = lse;
        r->u.attn = *s;
    }
    return o;
}

void back_attention(Tape *t, const TapeRec *r)
{
    Tensor *q = r->in[0], *k = r->in[1], *v = r->in[2];
    t->be->attn_bwd(t->be, tape_grad(t, q), tape_grad(t, k), tape_grad(t, v), r->out->grad, r->out, r->saved[0], q, k, v, &r->u.attn);
    Tensor *sinks = r->u.attn.sinks, *dsinks = sinks ? tape_grad(t, sinks) : NULL;
    if (dsinks)
        t->be->attn_sinks_bwd(t->be, dsinks, r->out->grad, r->out, r->saved[0], &r->u.attn);
}
