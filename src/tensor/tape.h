/* tape.h - what happened, so that it can be undone in reverse. Ops run at once; a recording tape notes each call. It lives for one block
 * (checkpointing) or one pass. Tensors made through a tape lie in its arena; gradients as well, zeroed on first use.
 *
 * Out of memory flows like a value: tape_new gives NULL, an op given NULL returns NULL, a gradient that does not fit is passed over. The
 * caller asks tarena_failed once, after the pass.
 *
 * Gradients of activations are dead once the record that made the activation has been undone; a residual addition hands its buffer on to
 * its input. So after tape_backward only the gradients of leaves mean something. Leaves that outlive the tape's arena (trainable weights,
 * the input of a checkpointed block) bring their own grad; only a leaf without one gets it from the arena. */
#ifndef HONE_TAPE_H
#define HONE_TAPE_H

#include "tensor/backend.h"

typedef enum {
#define OP(name, back) OP_##name,
#include "tensor/ops.def"
#undef OP
    OP_COUNT
} OpKind;

typedef struct TapeRec {
    OpKind  op;
    Tensor *out, *in[5];
    Tensor *saved[2];
    const Tensor *index;     /* token ids, positions, targets or rows: read again, never differentiated */
    const Tensor *pick;      /* route: the experts; combine: places of the weights */
    union {
        AttnShape        attn;
        struct { const RopeTable *table; int head_dim; } rope;
        ActKind          act;
        float            lora_scale, factor, offset;
        HeadCfg          head;
        struct { RouteCfg cfg; struct RouteStats *stats; } route;
    } u;
} TapeRec;

typedef struct Tape {
    Backend *be;
    TArena  *arena;
    TapeRec *rec;
    int      n, cap;
    bool     recording;      /* false: inference, or the first pass under checkpointing: ops run, nothing is noted */
} Tape;

void    tape_init(Tape *t, Backend *be, TArena *arena, bool recording);
void    tape_release(Tape *t);
Tensor *tape_new(Tape *t, int64_t rows, int64_t cols);        /* F32 [rows, cols], uninitialised; NULL: out of memory */
/* A new record, valid until the next push; NULL when not recording. An op pushes only when an input wants a gradient, after setting
 * out->wants_grad. */
TapeRec *tape_push(Tape *t, OpKind op, Tensor *out);
Tensor *tape_grad(Tape *t, Tensor *x);                         /* x->grad, made and zeroed on first use; NULL when x does not want one */
/* Walks back from the last record. The caller has filled grads of outputs (tape_grad); a record whose output got none is passed over.
 * Clears the records. */
void    tape_backward(Tape *t);
/* The same down to record `first`, which stays with all before it: for who lets the gradients of a stretch of records end with that stretch. */
void    tape_backward_to(Tape *t, int first);
const char *op_name(OpKind k);

#endif
