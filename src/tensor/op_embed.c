/* op_embed.c - rows of a table by number: token embeddings, learned positions, and picking the rows that have a loss. */
#include "tensor/ops.h"
#include "tensor/tape_int.h"

Tensor *op_embed(Tape *t, Tensor *table, const Tensor *ids)
{
    if (!table)
        return NULL;
    BUG_ON(ids->dtype != DT_I32 || table->rank != 2);
    Tensor *y = tape_new(t, tensor_numel(ids), tensor_cols(table));
    if (!y)
        return NULL;
    t->be->embed(t->be, y, table, ids);
    y->wants_grad = t->recording && table->wants_grad;
    if (y->wants_grad) {
        TapeRec *r = tape_push(t, OP_EMBED, y);
        r->in[0] = table;
        r->index = ids;
    }
    return y;
}

void back_embed(Tape *t, const TapeRec *r)
{
    Tensor *dtable = tape_grad(t, r->in[0]);
    if (dtable)
        t->be->embed_bwd(t->be, dtable, r->out->grad, r->index);
}
