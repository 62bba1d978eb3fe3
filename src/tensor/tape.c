/* tape.c - recording and the reverse walk.
 * Duty: keep the list of what ran, hand out tensors and gradients, and call the backward functions in reverse order. Main struct: Tape.
 * Invariant: records stand in the order in which the ops ran, so when a record is undone everything that used its output is undone already.
 * To add an op: a row in ops.def, its forward and backward side by side in an op_*.c, its row in tests/tensor/op_cases.c. */
#include "tensor/tape_int.h"
#include "base/mem.h"
#include <stdlib.h>

static const struct {
    const char *name;
    void      (*back)(Tape *t, const TapeRec *r);
} op_table[OP_COUNT] = {
#define OP(name, back) [OP_##name] = { #name, back },
#include "tensor/ops.def"
#undef OP
};

void tape_init(Tape *t, Backend *be, TArena *arena, bool recording)
{
    *t = (Tape){ .be = be, .arena = arena, .recording = recording };
}

void tape_release(Tape *t)
{
    free(t->rec);
    *t = (Tape){ 0 };
}

Tensor *tape_new(Tape *t, int64_t rows, int64_t cols)
{
    return tarena_tensor(t->arena, NULL, DT_F32, 2, (int64_t[]){ rows, cols });
}

TapeRec *tape_push(Tape *t, OpKind op, Tensor *out)
{
    if (!t->recording)
        return NULL;
    if (t->n == t->cap) {
        t->cap = MAX(64, 2 * t->cap);
        t->rec = mem_realloc(t->rec, (size_t)t->cap, sizeof *t->rec);
    }
    TapeRec *r = &t->rec[t->n++];
    *r = (TapeRec){ .op = op, .out = out };
    return r;
}

Tensor *tape_grad(Tape *t, Tensor *x)
{
    if (!x->wants_grad || x->grad)
        return x->wants_grad ? x->grad : NULL;
    x->grad = tarena_tensor(t->arena, x->name, DT_F32, x->rank, x->dim);
    if (x->grad)
        t->be->fill(t->be, x->grad, 0.0f);
    return x->grad;
}

void tape_backward(Tape *t)
{
    tape_backward_to(t, 0);
}

void tape_backward_to(Tape *t, int first)
{
    while (t->n > first) {
        const TapeRec *r = &t->rec[--t->n];
        /* The fused head took its gradient on the way forward and needs none from outside. */
        if (r->out->grad || r->op == OP_HEAD_FUSED)
            op_table[r->op].back(t, r);
    }
}

const char *op_name(OpKind k)
{
    BUG_ON((unsigned)k >= OP_COUNT);
    return op_table[k].name;
}
