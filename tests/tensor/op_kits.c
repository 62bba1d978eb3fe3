/* op_kits.c - for each op: how to lay out its inputs, how to call it, which backend functions belong to it. Included by the programs that run the rows of
 * op_cases.c (test_ops.c, test_cuda.c), since the build makes one program of each test_*.c. To add an op: its kit below and its rows. */
#include "base/mem.h"
#include "tensor/inspect.h"
#include "tensor/ops.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "tensor/op_cases.c"
#include "tensor/op_lab.c"

/* max|cpu - ref| / max|ref| per output: f32 sums of up to 2,050 terms in any order, one f32 exp; ref rounds once. eps * sqrt(terms) = 2.7e-6. */
#define CPU_TOL 4e-6
/* The same for gradients of the head in bf16, where probabilities are rounded in between, to 8 bits: each by at most 2^-8 of itself. */
#define BF16_TOL 3.9e-3
#define EPS 1e-5f

/* ---- kits: inputs, call, kernels ---- */

typedef struct Kit {
    void    (*setup)(Lab *l);               /* makes the leaves for `call` */
    Tensor *(*call)(Lab *l, Tape *t);
    void    (*kernels)(Lab *l);             /* runs the op's backend functions on boxes of their own */
} Kit;

static void embed_setup(Lab *l)
{
    l->leaf[0] = lab_weight(l, "table", l->c->N, l->c->K);
    l->index = lab_ids(l, "ids", l->c->T, l->c->N);
}

static Tensor *embed_call(Lab *l, Tape *t)
{
    return op_embed(t, l->leaf[0], l->index);
}

static void embed_kernels(Lab *l)
{
    int T = l->c->T, K = l->c->K;
    embed_setup(l);
    l->be->embed(l->be, lab_exact(l, lab_mat(l, "y", BOX_SET, T, K)), l->leaf[0], l->index);
    l->be->embed_bwd(l->be, lab_exact(l, lab_mat(l, "dtable", BOX_ACC, l->c->N, K)), lab_mat(l, "dy", BOX_IN, T, K), l->index);
}

static void linear_setup(Lab *l)
{
    const OpCase *c = l->c;
    l->leaf[0] = lab_mat(l, "x", BOX_IN, c->T, c->K);
    l->leaf[1] = lab_weight(l, "w", c->N, c->K);
    l->leaf[2] = c->bias ? lab_vec(l, "b", BOX_IN, c->N) : NULL;
    l->leaf[3] = c->rank ? lab_mat(l, "lora_a", BOX_IN, c->rank, c->K) : NULL;
    l->leaf[4] = c->rank ? lab_mat(l, "lora_b", BOX_IN, c->N, c->rank) : NULL;
}

static Tensor *linear_call(Lab *l, Tape *t)
{
    return op_linear(t, l->leaf[0], l->leaf[1], l->leaf[2], l->leaf[3], l->leaf[4], 0.75f);
}

static void linear_kernels(Lab *l)
{
    Backend *be = l->be;
    int T = l->c->T, K = l->c->K, N = l->c->N;
    Tensor *x = lab_mat(l, "x", BOX_IN, T, K), *w = lab_weight(l, "w", N, K);
    Tensor *b = lab_vec(l, "b", BOX_IN, N), *dy = lab_mat(l, "dy", BOX_IN, T, N);
    be->linear(be, lab_mat(l, "y", BOX_SET, T, N), x, w, NULL, 1.0f, false);
    be->linear(be, lab_mat(l, "y with bias", BOX_SET, T, N), x, w, b, 1.0f, false);
    be->linear(be, lab_mat(l, "y scaled, with bias", BOX_SET, T, N), x, w, b, 0.5f, false);
    be->linear(be, lab_mat(l, "y accumulated", BOX_ACC, T, N), x, w, NULL, 0.75f, true);
    be->linear(be, lab_mat(l, "y accumulated, with bias", BOX_ACC, T, N), x, w, b, -2.0f, true);
    const int R = l->c->rank ? l->c->rank : 7;
    be->linear_pair(be, lab_mat(l, "y of a pair", BOX_SET, T, N), x, w, b, lab_mat(l, "x2", BOX_IN, T, R), lab_mat(l, "w2", BOX_IN, N, R));
    be->linear_dx_pair(be, lab_mat(l, "dx of a pair", BOX_ACC, T, K), dy, w, lab_mat(l, "dy2", BOX_IN, T, R), lab_mat(l, "w2 back", BOX_IN, R, K));
    be->linear_dx(be, lab_mat(l, "dx", BOX_ACC, T, K), dy, w, 1.0f);
    be->linear_dx(be, lab_mat(l, "dx scaled", BOX_ACC, T, K), dy, w, 0.75f);
    be->linear_dw(be, lab_mat(l, "dw", BOX_ACC, N, K), dy, x, 1.0f);
    be->linear_dw(be, lab_mat(l, "dw scaled", BOX_ACC, N, K), dy, x, 0.75f);
    be->linear_db(be, lab_vec(l, "db", BOX_ACC, N), dy);
}

static int norm_group(const OpCase *c)
{
    return c->group ? c->group : c->K;
}

static void norm_setup(Lab *l)
{
    l->leaf[0] = lab_mat(l, "x", BOX_IN, l->c->T, l->c->K);
    l->leaf[1] = lab_vec(l, "w", BOX_IN, norm_group(l->c));
    if (l->c->op == OP_LAYERNORM && l->c->bias)
        l->leaf[2] = lab_vec(l, "b", BOX_IN, norm_group(l->c));
}

static Tensor *rmsnorm_call(Lab *l, Tape *t)
{
    return op_rmsnorm(t, l->leaf[0], l->leaf[1], EPS, l->c->offset);
}

static void rmsnorm_kernels(Lab *l)
{
    Backend *be = l->be;
    int T = l->c->T, K = l->c->K, D = norm_group(l->c);
    float offset = l->c->offset;
    norm_setup(l);
    Tensor *x = l->leaf[0], *w = l->leaf[1], *dy = lab_mat(l, "dy", BOX_IN, T, K), *stat = lab_col(l, "rstd", BOX_SET, T, K / D);
    be->rmsnorm(be, lab_mat(l, "y", BOX_SET, T, K), stat, x, w, EPS, offset);
    be->rmsnorm_bwd(be, lab_mat(l, "dx", BOX_ACC, T, K), lab_vec(l, "dw", BOX_ACC, D), dy, x, w, stat, offset);
    be->rmsnorm_bwd(be, lab_mat(l, "dx alone", BOX_ACC, T, K), NULL, dy, x, w, stat, offset);
    be->rmsnorm_bwd(be, NULL, lab_vec(l, "dw alone", BOX_ACC, D), dy, x, w, stat, offset);
}

static Tensor *layernorm_call(Lab *l, Tape *t)
{
    return op_layernorm(t, l->leaf[0], l->leaf[1], l->leaf[2], EPS);
}

static void layernorm_kernels(Lab *l)
{
    Backend *be = l->be;
    int T = l->c->T, K = l->c->K, D = norm_group(l->c);
    norm_setup(l);
    Tensor *x = l->leaf[0], *w = l->leaf[1], *b = l->leaf[2], *dy = lab_mat(l, "dy", BOX_IN, T, K);
    Tensor *stat = lab_col(l, "mean, rstd", BOX_SET, T, 2 * (K / D));
    be->layernorm(be, lab_mat(l, "y", BOX_SET, T, K), stat, x, w, b, EPS);
    be->layernorm_bwd(be, lab_mat(l, "dx", BOX_ACC, T, K), lab_vec(l, "dw", BOX_ACC, D), lab_vec(l, "db", BOX_ACC, D),
                      dy, x, w, stat);
    be->layernorm_bwd(be, lab_mat(l, "dx alone", BOX_ACC, T, K), NULL, NULL, dy, x, w, stat);
    be->layernorm_bwd(be, NULL, lab_vec(l, "dw alone", BOX_ACC, D), NULL, dy, x, w, stat);
    be->layernorm_bwd(be, NULL, NULL, lab_vec(l, "db alone", BOX_ACC, D), dy, x, w, stat);
}

static void rope_setup(Lab *l)
{
    lab_rope(l);
    l->leaf[0] = lab_mat(l, "x0", BOX_IN, l->c->T, l->c->heads * l->c->head_dim);
    l->leaf[1] = lab_mat(l, "x1", BOX_IN, l->c->T, l->c->heads * l->c->head_dim);
}

static Tensor *rope_call(Lab *l, Tape *t) /* in place, so on a sum and not on a leaf */
{
    return op_rope(t, op_add(t, l->leaf[0], l->leaf[1]), l->index, &l->rope, l->c->head_dim);
}

static void rope_kernels(Lab *l)
{
    int D = l->c->heads * l->c->head_dim;
    lab_rope(l);
    l->be->rope(l->be, lab_mat(l, "x", BOX_ACC, l->c->T, D), l->index, &l->rope, l->c->head_dim, +1);
    l->be->rope(l->be, lab_mat(l, "x turned back", BOX_ACC, l->c->T, D), l->index, &l->rope, l->c->head_dim, -1);
}

static void attn_setup(Lab *l)
{
    lab_attn(l);
    l->leaf[0] = lab_mat(l, "q", BOX_IN, l->q_rows, l->c->heads * l->c->head_dim);
    l->leaf[1] = lab_poison_gaps(l, lab_mat(l, "k", BOX_IN, l->k_rows, l->c->kv_heads * l->c->head_dim));
    l->leaf[2] = lab_poison_gaps(l, lab_mat(l, "v", BOX_IN, l->k_rows, l->c->kv_heads * l->c->head_dim));
    l->attn.sinks = l->leaf[3] = l->c->sinks ? lab_vec(l, "sinks", BOX_IN, l->c->heads) : NULL;
}

static Tensor *attn_call(Lab *l, Tape *t)
{
    return op_attention(t, l->leaf[0], l->leaf[1], l->leaf[2], &l->attn);
}

static void attn_kernels(Lab *l)
{
    Backend *be = l->be;
    attn_setup(l);
    const AttnShape *s = &l->attn;
    Tensor *q = l->leaf[0], *k = l->leaf[1], *v = l->leaf[2];
    int64_t Q = l->q_rows, K = l->k_rows, wq = tensor_cols(q), wk = tensor_cols(k);
    Tensor *o = lab_mat(l, "o", BOX_SET, Q, wq), *lse = lab_col(l, "lse", BOX_SET, Q, s->heads);
    Tensor *dout = lab_mat(l, "dout", BOX_IN, Q, wq);
    be->attn(be, o, lse, q, k, v, s);
    be->attn(be, lab_mat(l, "o without lse", BOX_SET, Q, wq), NULL, q, k, v, s);
    be->attn_bwd(be, lab_mat(l, "dq", BOX_ACC, Q, wq), lab_mat(l, "dk", BOX_ACC, K, wk),
                 lab_mat(l, "dv", BOX_ACC, K, wk), dout, o, lse, q, k, v, s);
    be->attn_bwd(be, lab_mat(l, "dq alone", BOX_ACC, Q, wq), NULL, NULL, dout, o, lse, q, k, v, s);
    be->attn_bwd(be, NULL, lab_mat(l, "dk alone", BOX_ACC, K, wk), NULL, dout, o, lse, q, k, v, s);
    be->attn_bwd(be, NULL, NULL, lab_mat(l, "dv alone", BOX_ACC, K, wk), dout, o, lse, q, k, v, s);
    if (s->sinks)
        be->attn_sinks_bwd(be, lab_vec(l, "dsinks", BOX_ACC, s->heads), dout, o, lse, s);
}

static void glu_setup(Lab *l)
{
    l->leaf[0] = lab_mat(l, "gate", BOX_IN, l->c->T, l->c->K);
    l->leaf[1] = lab_mat(l, "up", BOX_IN, l->c->T, l->c->K);
}

static Tensor *glu_call(Lab *l, Tape *t)
{
    return op_glu(t, l->leaf[0], l->leaf[1], l->c->act);
}

static void glu_kernels(Lab *l)
{
    Backend *be = l->be;
    int T = l->c->T, K = l->c->K;
    glu_setup(l);
    Tensor *gate = l->leaf[0], *up = l->leaf[1], *dy = lab_mat(l, "dy", BOX_IN, T, K);
    be->glu(be, lab_mat(l, "y", BOX_SET, T, K), gate, up, l->c->act);
    be->glu_bwd(be, lab_mat(l, "dgate", BOX_ACC, T, K), lab_mat(l, "dup", BOX_ACC, T, K), dy, gate, up, l->c->act);
    be->glu_bwd(be, lab_mat(l, "dgate alone", BOX_ACC, T, K), NULL, dy, gate, up, l->c->act);
    be->glu_bwd(be, NULL, lab_mat(l, "dup alone", BOX_ACC, T, K), dy, gate, up, l->c->act);
}

static void act_setup(Lab *l)
{
    l->leaf[0] = lab_mat(l, "x", BOX_IN, l->c->T, l->c->K);
}

static Tensor *act_call(Lab *l, Tape *t)
{
    return op_act(t, l->leaf[0], l->c->act);
}

static void act_kernels(Lab *l)
{
    int T = l->c->T, K = l->c->K;
    act_setup(l);
    l->be->act(l->be, lab_mat(l, "y", BOX_SET, T, K), l->leaf[0], l->c->act);
    l->be->act_bwd(l->be, lab_mat(l, "dx", BOX_ACC, T, K), lab_mat(l, "dy", BOX_IN, T, K), l->leaf[0], l->c->act);
}

static void add_setup(Lab *l)
{
    l->leaf[0] = lab_mat(l, "a", BOX_IN, l->c->T, l->c->K);
    if (!l->c->same)
        l->leaf[1] = lab_mat(l, "b", BOX_IN, l->c->T, l->c->K);
}

static Tensor *add_call(Lab *l, Tape *t)
{
    return op_add(t, l->leaf[0], l->c->same ? l->leaf[0] : l->leaf[1]);
}

static void add_kernels(Lab *l)
{
    Backend *be = l->be;
    int T = l->c->T, K = l->c->K;
    Tensor *a = lab_mat(l, "a", BOX_IN, T, K), *b = lab_mat(l, "b", BOX_IN, T, K);
    Tensor *ya = lab_exact(l, lab_mat(l, "y = y + b", BOX_ACC, T, K)), *yb = lab_exact(l, lab_mat(l, "y = a + y", BOX_ACC, T, K));
    be->add(be, lab_exact(l, lab_mat(l, "y", BOX_SET, T, K)), a, b);
    be->add(be, ya, ya, b);
    be->add(be, yb, a, yb);
    be->acc(be, lab_exact(l, lab_mat(l, "y += x", BOX_ACC, T, K)), a);
}

static void scale_setup(Lab *l)
{
    l->leaf[0] = lab_mat(l, "x", BOX_IN, l->c->T, l->c->K);
}

static Tensor *scale_call(Lab *l, Tape *t)
{
    Tensor *y = op_scale(t, l->leaf[0], l->c->scale);
    return l->c->same ? op_add(t, y, l->leaf[0]) : y; /* x has a gradient already when the scaling is undone */
}

static void scale_kernels(Lab *l)
{
    l->be->scale(l->be, lab_exact(l, lab_mat(l, "y", BOX_ACC, l->c->T, l->c->K)), l->c->scale);
}

static RouteCfg route_cfg(const OpCase *c)
{
    return (RouteCfg){ .top_k = c->top_k, .renormalise = c->renormalise };
}

static void route_setup(Lab *l)
{
    l->leaf[0] = lab_logits(l, l->c->T, l->c->N);
}

/* Twice, as two layers would, so that the statistics run over more than one router. */
static Tensor *route_call(Lab *l, Tape *t)
{
    RouteCfg cfg = route_cfg(l->c);
    Tensor  *pick;
    l->route = (RouteStats){ .coef = l->c->aux };
    Tensor *first = op_route(t, l->leaf[0], &cfg, l->c->aux > 0 ? &l->route : NULL, &pick);
    return op_add(t, first, op_route(t, op_scale(t, l->leaf[0], 2.0f), &cfg, l->c->aux > 0 ? &l->route : NULL, &pick));
}

static void route_kernels(Lab *l)
{
    Backend *be = l->be;
    int      T = l->c->T, E = l->c->N, K = l->c->top_k;
    RouteCfg cfg = route_cfg(l->c);
    double   count[ROUTE_EXPERTS_MAX] = { 0 }, sum[ROUTE_EXPERTS_MAX] = { 0 };
    float    aux[ROUTE_EXPERTS_MAX];
    route_setup(l);
    Tensor *pick = lab_exact(l, lab_numbers(l, "pick", BOX_SET, T, K, NULL)), *prob = lab_mat(l, "prob", BOX_SET, T, E);
    Tensor *dweight = lab_mat(l, "dweight", BOX_IN, T, K);
    be->route(be, lab_mat(l, "weight", BOX_SET, T, K), pick, prob, l->leaf[0], &cfg);
    be->route_count(be, count, sum, pick, prob);
    double counted = 0, mass = 0;
    for (int e = 0; e < E; e++) {
        aux[e] = 0.1f * (float)(e % 7);
        counted += count[e];
        mass += sum[e];
        l->scalar += e * count[e]; /* compared with ref's */
    }
    assert_true(counted == (double)T * K && fabs(mass - T) < 1e-5 * T);
    be->route_bwd(be, lab_mat(l, "dlogits", BOX_ACC, T, E), dweight, NULL, pick, prob, &cfg);
    be->route_bwd(be, lab_mat(l, "dlogits with aux", BOX_ACC, T, E), dweight, aux, pick, prob, &cfg);
    be->route_bwd(be, lab_mat(l, "dlogits of aux alone", BOX_ACC, T, E), NULL, aux, pick, prob, &cfg);
}

/* Row i goes to a token, in no order; with weights each to another one and another place, without them tokens come again. */
static void combine_setup(Lab *l)
{
    int T = l->c->T, tokens = l->c->N, K = l->c->top_k;
    int32_t rows[256], pick[256];
    assert_true(T <= 256 && (!K || T <= tokens));
    for (int i = 0; i < T; i++) {
        rows[i] = (int32_t)((tokens - 1 - i % tokens + tokens / 2) % tokens);
        pick[i] = (int32_t)(rows[i] * K + i % MAX(K, 1));
    }
    l->leaf[0] = lab_mat(l, "x", BOX_IN, T, l->c->K);
    l->leaf[1] = K ? lab_col(l, "weight", BOX_IN, tokens, K) : NULL;
    l->leaf[2] = lab_mat(l, "y0", BOX_IN, tokens, l->c->K);
    l->index = lab_numbers(l, "rows", BOX_IN, 1, T, rows);
    l->pick = K ? lab_numbers(l, "pick", BOX_IN, 1, T, pick) : NULL;
}

static Tensor *combine_call(Lab *l, Tape *t) /* in place, so on a copy and not on a leaf */
{
    Tensor *y = op_combine(t, op_scale(t, l->leaf[2], 1.0f), l->leaf[0], l->index, l->leaf[1], l->pick);
    return op_combine(t, y, l->leaf[0], l->index, l->leaf[1], l->pick);
}

static void combine_kernels(Lab *l)
{
    Backend *be = l->be;
    int T = l->c->T, D = l->c->K, tokens = l->c->N, K = l->c->top_k;
    combine_setup(l);
    const Tensor *x = l->leaf[0], *w = l->leaf[1], *dy = lab_mat(l, "dy", BOX_IN, tokens, D);
    be->combine(be, lab_mat(l, "y", BOX_ACC, tokens, D), x, l->index, w, l->pick);
    be->combine_bwd(be, lab_mat(l, "dx", BOX_ACC, T, D), K ? lab_col(l, "dweight", BOX_ACC, tokens, K) : NULL, dy, x, l->index, w, l->pick);
    be->combine_bwd(be, lab_mat(l, "dx alone", BOX_ACC, T, D), NULL, dy, x, l->index, w, l->pick);
    if (K)
        be->combine_bwd(be, NULL, lab_col(l, "dweight alone", BOX_ACC, tokens, K), dy, x, l->index, w, l->pick);
}

static void gate_rows_setup(Lab *l)
{
    l->leaf[0] = lab_mat(l, "x", BOX_IN, l->c->T, l->c->K);
    l->leaf[1] = lab_mat(l, "g", BOX_IN, l->c->T, 1);
}

static Tensor *gate_rows_call(Lab *l, Tape *t)
{
    return op_gate_rows(t, l->leaf[0], l->leaf[1]);
}

static void gate_rows_kernels(Lab *l)
{
    Backend *be = l->be;
    int T = l->c->T, K = l->c->K;
    gate_rows_setup(l);
    const Tensor *x = l->leaf[0], *g = l->leaf[1], *dy = lab_mat(l, "dy", BOX_IN, T, K);
    be->gate_rows(be, lab_mat(l, "y", BOX_SET, T, K), x, g);
    be->gate_rows_bwd(be, lab_mat(l, "dx", BOX_ACC, T, K), lab_mat(l, "dg", BOX_ACC, T, 1), dy, x, g);
    be->gate_rows_bwd(be, lab_mat(l, "dx alone", BOX_ACC, T, K), NULL, dy, x, g);
    be->gate_rows_bwd(be, NULL, lab_mat(l, "dg alone", BOX_ACC, T, 1), dy, x, g);
}

static HeadCfg head_cfg(const OpCase *c)
{
    return (HeadCfg){ .scale = c->scale > 0 ? c->scale : 1.0f, .softcap = c->softcap };
}

static void head_setup(Lab *l)
{
    l->leaf[0] = lab_mat(l, "h", BOX_IN, l->c->T, l->c->K);
    l->leaf[1] = lab_weight(l, "w", l->c->N, l->c->K);
    l->leaf[2] = l->c->bias ? lab_vec(l, "b", BOX_IN, l->c->N) : NULL;
    l->index = lab_ids(l, "target", l->c->T, l->c->N);
    if (l->c->op == OP_HEAD_FUSED)
        l->coef = lab_vec(l, "coef", BOX_IN, l->c->T);
}

static Tensor *head_logp_call(Lab *l, Tape *t)
{
    HeadCfg cfg = head_cfg(l->c);
    return op_head_logp(t, l->leaf[0], l->leaf[1], l->leaf[2], l->index, &cfg);
}

static void head_logp_kernels(Lab *l)
{
    Backend *be = l->be;
    int T = l->c->T, K = l->c->K, V = l->c->N;
    head_setup(l);
    HeadCfg cfg = head_cfg(l->c);
    Tensor *h = l->leaf[0], *w = l->leaf[1], *b = l->leaf[2], *dlogp = lab_col(l, "dlogp", BOX_IN, T, 1), *lse = lab_col(l, "lse", BOX_SET, T, 1);
    be->head_logp(be, lab_col(l, "logp", BOX_SET, T, 1), lse, h, w, b, l->index, &cfg);
    be->head_logp(be, lab_col(l, "logp without lse", BOX_SET, T, 1), NULL, h, w, b, l->index, &cfg);
    be->head_logp_bwd(be, lab_mat(l, "dh alone", BOX_ACC, T, K), NULL, NULL, dlogp, lse, h, w, b, l->index, &cfg);
    if (w->dtype != DT_F32)
        return;
    be->head_logp_bwd(be, lab_mat(l, "dh", BOX_ACC, T, K), lab_mat(l, "dw", BOX_ACC, V, K), lab_vec(l, "db", BOX_ACC, V), dlogp, lse, h, w, b,
                      l->index, &cfg);
    be->head_logp_bwd(be, NULL, lab_mat(l, "dw alone", BOX_ACC, V, K), NULL, dlogp, lse, h, w, b, l->index, &cfg);
    be->head_logp_bwd(be, NULL, NULL, lab_vec(l, "db alone", BOX_ACC, V), dlogp, lse, h, w, b, l->index, &cfg);
}

static Tensor *head_fused_call(Lab *l, Tape *t)
{
    HeadCfg cfg = head_cfg(l->c);
    return op_head_fused(t, l->leaf[0], l->leaf[1], l->leaf[2], l->index, l->coef, &cfg);
}

static void head_fused_kernels(Lab *l)
{
    Backend *be = l->be;
    int T = l->c->T, K = l->c->K, V = l->c->N;
    head_setup(l);
    HeadCfg cfg = head_cfg(l->c);
    Tensor *h = l->leaf[0], *w = l->leaf[1], *b = l->leaf[2];
    if (w->dtype == DT_F32)
        be->head_fused(be, lab_col(l, "logp", BOX_SET, T, 1), lab_mat(l, "dh", BOX_SET, T, K), lab_mat(l, "dw", BOX_ACC, V, K),
                       lab_vec(l, "db", BOX_ACC, V), h, w, b, l->index, l->coef, &cfg);
    be->head_fused(be, lab_col(l, "logp, w frozen", BOX_SET, T, 1), lab_mat(l, "dh, w frozen", BOX_SET, T, K), NULL, NULL, h, w, b, l->index,
                   l->coef, &cfg);
    be->head_fused(be, lab_col(l, "logp, only b trains", BOX_SET, T, 1), lab_mat(l, "dh, only b trains", BOX_SET, T, K), NULL,
                   lab_vec(l, "db alone", BOX_ACC, V), h, w, b, l->index, l->coef, &cfg);
}

static void services_kernels(Lab *l)
{
    Backend *be = l->be;
    int T = l->c->T, K = l->c->K;
    Tensor *x = lab_mat(l, "x", BOX_IN, T, K);
    be->fill(be, lab_exact(l, lab_mat(l, "filled", BOX_SET, T, K)), -2.5f);
    be->scale(be, lab_exact(l, lab_mat(l, "scaled", BOX_ACC, T, K)), 0.3f);
    be->softcap(be, lab_mat(l, "capped", BOX_ACC, T, K), 0.75f);
    be->softcap(be, lab_mat(l, "hardly capped", BOX_ACC, T, K), 30.0f);
    l->scalar = be->sumsq(be, x);

    Tensor *cache = lab_exact(l, lab_mat(l, "cache", BOX_ACC, T + 4, K));
    be->copy_rows(be, cache, 3, x, 0, T);
    be->copy_rows(be, cache, 0, x, T / 2, T - T / 2 > 2 ? 2 : T - T / 2);

    Tensor *w = lab_mat(l, "weight", BOX_ACC, T, K), *m = lab_mat(l, "first moment", BOX_ACC, T, K);
    Tensor *v = lab_mat(l, "second moment", BOX_ACC, T, K), *zero = lab_mat(l, "g", BOX_IN, T, K);
    be->fill(be, m, 0.0f);
    be->fill(be, v, 0.0f);
    AdamW a = { .lr = 0.01f, .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f, .weight_decay = 0.1f };
    for (a.step = 1; a.step <= 3; a.step++)
        be->adamw(be, w, a.step == 2 ? zero : x, m, v, &a, 0.5f);
}

/* A function added to the seam after copy_rows or between: bring it into a kit above, then raise the number. */
_Static_assert(sizeof(Backend) == offsetof(Backend, fill) + 38 * sizeof(void (*)(void)), "a backend function has no row here");

static const Kit kits[OP_COUNT + 1] = {
    [OP_EMBED]      = { embed_setup, embed_call, embed_kernels },
    [OP_LINEAR]     = { linear_setup, linear_call, linear_kernels },
    [OP_RMSNORM]    = { norm_setup, rmsnorm_call, rmsnorm_kernels },
    [OP_LAYERNORM]  = { norm_setup, layernorm_call, layernorm_kernels },
    [OP_ROPE]       = { rope_setup, rope_call, rope_kernels },
    [OP_ATTENTION]  = { attn_setup, attn_call, attn_kernels },
    [OP_GLU]        = { glu_setup, glu_call, glu_kernels },
    [OP_ACT]        = { act_setup, act_call, act_kernels },
    [OP_ADD]        = { add_setup, add_call, add_kernels },
    [OP_SCALE]      = { scale_setup, scale_call, scale_kernels },
    [OP_ROUTE]      = { route_setup, route_call, route_kernels },
    [OP_COMBINE]    = { combine_setup, combine_call, combine_kernels },
    [OP_GATE_ROWS]  = { gate_rows_setup, gate_rows_call, gate_rows_kernels },
    [OP_HEAD_LOGP]  = { head_setup, head_logp_call, head_logp_kernels },
    [OP_HEAD_FUSED] = { head_setup, head_fused_call, head_fused_kernels },
    [CASE_SERVICES] = { NULL, NULL, services_kernels },
};

static inline const char *case_op(const OpCase *c)
{
    return c->op == CASE_SERVICES ? "SERVICES" : op_name((OpKind)c->op);
}

static void run_kernels(Lab *l, const OpCase *c, Backend *be, bool bf16)
{
    lab_init(l, c, be);
    l->bf16 = bf16;
    kits[c->op].kernels(l);
    Err e = { 0 };
    if (be->sync(be, &e))
        fail_msg("%s: %s", be->name, e.text);
    lab_check_guards(l);
}

static inline bool is_product(OpKind op)
{
    return op == OP_LINEAR || op == OP_HEAD_LOGP || op == OP_HEAD_FUSED;
}

/* The planner lets a pass go by without computing to learn what kernels will take; not one with experts, whose kernels are read back. */
static inline void check_sizing(size_t (*scratch_of)(const OpCase *c, bool sizing), size_t least)
{
    size_t most = 0;
    for (const OpCase *c = op_cases; c < op_cases + op_cases_count; c++) {
        if (c->op == OP_ROUTE || c->op == OP_COMBINE)
            continue;
        const size_t computed = scratch_of(c, false), sized = scratch_of(c, true);
        if (sized != computed)
            fail_msg("%s, case %d: takes %zu bytes when it computes and %zu when it is sized", case_op(c), (int)(c - op_cases), computed, sized);
        most = MAX(most, computed);
    }
    assert_true(most > least);
}
