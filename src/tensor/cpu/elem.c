/* elem.c - elementwise functions and the optimiser: rows or runs of numbers, cut into pieces, handed to a loop of the Kern.
 * Invariant: each number is computed from its own inputs, so cutting is free. To add one: a row of ElemKind and its loop in k_elem.h. */
#include "tensor/cpu/cpu_int.h"
#include <math.h>

#define RUN 8192 /* numbers of one piece: a few pages, so that several runs fit in the second cache */

typedef struct ElemJob {
    ElemFn        fn;
    const void   *arg;
    Tensor       *out[3];
    const Tensor *in[3];
    int64_t       rows, cols, row_step; /* dense tensors are one long row */
} ElemJob;

static void piece_elem(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    const ElemJob *j = ctx;
    int64_t runs = (j->cols + RUN - 1) / RUN, col = piece % runs * RUN, n = MIN(j->cols - col, RUN);
    int64_t first = piece / runs * j->row_step, last = MIN(j->rows, first + j->row_step);
    for (int64_t r = first; r < last; r++) {
        float *out[3];
        const float *in[3];
        for (int i = 0; i < 3; i++) {
            out[i] = j->out[i] ? f32(j->out[i]) + r * j->out[i]->ld + col : NULL;
            in[i] = j->in[i] ? f32(j->in[i]) + r * j->in[i]->ld + col : NULL;
        }
        j->fn(n, out, in, j->arg);
    }
}

/* cost: vector operations for one vector of the result */
static void elem_run(Backend *be, int kind, int cost, ElemJob j)
{
    Cpu *c = cpu_of(be);
    const Tensor *like = j.out[0] ? j.out[0] : j.out[1];
    if (!like || tensor_numel(like) == 0)
        return;
    j.fn = c->kern->elem[kind];
    j.rows = tensor_rows(like);
    j.cols = tensor_cols(like);
    bool dense = true;
    for (int i = 0; i < 3; i++)
        dense &= (!j.out[i] || j.out[i]->ld == j.cols) && (!j.in[i] || j.in[i]->ld == j.cols);
    if (dense) {
        j.cols *= j.rows;
        j.rows = 1;
    }
    j.row_step = MAX(1, RUN / j.cols);
    int64_t pieces = (j.cols + RUN - 1) / RUN * ((j.rows + j.row_step - 1) / j.row_step);
    cpu_for(c, pieces, j.rows * j.cols / c->kern->vw * cost, piece_elem, &j);
}

void cpu_fill(Backend *be, Tensor *x, float v)
{
    elem_run(be, ELEM_FILL, 2, (ElemJob){ .out = { x }, .arg = &v });
}

void cpu_add(Backend *be, Tensor *y, const Tensor *a, const Tensor *b)
{
    elem_run(be, ELEM_ADD, 4, (ElemJob){ .out = { y }, .in = { a, b } });
}

void cpu_acc(Backend *be, Tensor *y, const Tensor *x)
{
    cpu_add(be, y, y, x);
}

void cpu_scale(Backend *be, Tensor *y, float f)
{
    elem_run(be, ELEM_SCALE, 2, (ElemJob){ .out = { y }, .arg = &f });
}

void cpu_softcap(Backend *be, Tensor *y, float cap)
{
    elem_run(be, ELEM_SOFTCAP, 20, (ElemJob){ .out = { y }, .arg = &cap });
}

void cpu_glu(Backend *be, Tensor *y, const Tensor *gate, const Tensor *up, ActKind a)
{
    elem_run(be, ELEM_GLU + (int)a, 20, (ElemJob){ .out = { y }, .in = { gate, up } });
}

void cpu_glu_bwd(Backend *be, Tensor *dgate, Tensor *dup, const Tensor *dy, const Tensor *gate, const Tensor *up, ActKind a)
{
    elem_run(be, ELEM_GLU_BWD + (int)a, 30, (ElemJob){ .out = { dgate, dup }, .in = { dy, gate, up } });
}

void cpu_act(Backend *be, Tensor *y, const Tensor *x, ActKind a)
{
    elem_run(be, ELEM_ACT + (int)a, 20, (ElemJob){ .out = { y }, .in = { x } });
}

void cpu_act_bwd(Backend *be, Tensor *dx, const Tensor *dy, const Tensor *x, ActKind a)
{
    elem_run(be, ELEM_ACT_BWD + (int)a, 20, (ElemJob){ .out = { dx }, .in = { dy, x } });
}

void cpu_adamw(Backend *be, Tensor *w, const Tensor *g, Tensor *m, Tensor *v, const AdamW *a, float grad_scale)
{
    double b1 = a->beta1, b2 = a->beta2;
    AdamStep s = {
        .b1 = a->beta1, .c1 = (float)(1.0 - b1), .b2 = a->beta2, .c2 = (float)(1.0 - b2), .grad_scale = grad_scale,
        .unbias1 = (float)(1.0 / (1.0 - pow(b1, (double)a->step))), .unbias2 = (float)(1.0 / (1.0 - pow(b2, (double)a->step))),
        .lr = a->lr, .eps = a->eps, .decay = a->weight_decay,
    };
    if (m->dtype != DT_F32)
        cpu_adamw_moments(cpu_of(be), w, g, m, v, &s);
    else
        elem_run(be, ELEM_ADAMW, 40, (ElemJob){ .out = { w, m, v }, .in = { g }, .arg = &s });
}

/* ---- the sum of squares ---- */

typedef struct SumsqJob { const Kern *kern; const Tensor *x; int64_t rows, cols, runs; double *sum; /* [rows * runs] */ } SumsqJob;

static void piece_sumsq(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    const SumsqJob *j = ctx;
    int64_t col = piece % j->runs * RUN;
    j->sum[piece] = j->kern->sumsq(MIN(j->cols - col, RUN), f32(j->x) + piece / j->runs * j->x->ld + col);
}

double cpu_sumsq(Backend *be, const Tensor *x)
{
    Cpu *c = cpu_of(be);
    SumsqJob j = { .kern = c->kern, .x = x, .rows = tensor_rows(x), .cols = tensor_cols(x) };
    if (x->ld == j.cols) {
        j.cols *= j.rows;
        j.rows = MIN(j.rows, 1);
    }
    j.runs = (j.cols + RUN - 1) / RUN;
    j.sum = cpu_slot(c, SLOT_SUMS, (size_t)(j.rows * j.runs) * sizeof(double));
    if (!j.sum)
        return NAN;
    cpu_for(c, j.rows * j.runs, j.rows * j.cols / c->kern->vw * 4, piece_sumsq, &j);
    double sum = 0;
    for (int64_t i = 0; i < j.rows * j.runs; i++)
        sum += j.sum[i];
    return sum;
}
