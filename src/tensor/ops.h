/* ops.h - the differentiable ops. Each runs at once on the tape's backend and is noted when the tape records and an input wants a gradient.
 * Forward and backward of an op stand in the same file (op_linear.c, op_norm.c, op_attn.c, op_mlp.c, op_moe.c, op_embed.c, op_head.c, op_misc.c).
 * All activations are F32 [T, cols]. Shape mistakes are BUG_ON: the model checked the shapes when it was loaded. */
#ifndef HONE_OPS_H
#define HONE_OPS_H

#include "tensor/tape.h"

Tensor *op_embed(Tape *t, Tensor *table, const Tensor *ids);      /* also gathers rows: [n, D] = table[ids] */

/* y = x w' + b + s (x A') B'   (b, and the low-rank pair A [r,K], B [N,r], may be NULL). Hu et al. 2021, eq. 3. One op, so that the
 * low-rank products accumulate into y instead of making extra passes. Frozen w: only dx. */
Tensor *op_linear(Tape *t, Tensor *x, Tensor *w, Tensor *b, Tensor *lora_a, Tensor *lora_b, float lora_scale);

Tensor *op_rmsnorm(Tape *t, Tensor *x, Tensor *w, float eps, float offset);         /* x^ (offset + w). Zhang & Sennrich 2019 */
Tensor *op_layernorm(Tape *t, Tensor *x, Tensor *w, Tensor *b, float eps);          /* b may be NULL */
Tensor *op_rope(Tape *t, Tensor *x, const Tensor *pos, const RopeTable *r, int head_dim); /* in place: returns x. Su et al. 2021 */
Tensor *op_attention(Tape *t, Tensor *q, Tensor *k, Tensor *v, const AttnShape *s);
Tensor *op_glu(Tape *t, Tensor *gate, Tensor *up, ActKind a);
Tensor *op_act(Tape *t, Tensor *x, ActKind a);
Tensor *op_add(Tape *t, Tensor *a, Tensor *b);                    /* backward: the gradient's buffer goes on to an input without one, see op_misc.c */
Tensor *op_scale(Tape *t, Tensor *x, float f);                    /* f x; the same */

/* Columns [first, first+cols) of x as a view: no copy, no record; its gradient is the same view of x's. For fused projections. */
Tensor *op_cols(Tape *t, Tensor *x, int64_t first, int64_t cols);

/* ---- mixture of experts: route, then for each expert in order gather its rows (op_embed), its MLP by ordinary ops, op_combine ---- */

#define ROUTE_EXPERTS_MAX 1024

/* The load-balancing loss of a pass, over all its routers together (Fedus et al. 2021, eq. 4 to 6, as Mixtral has it):
 * experts * sum over e of (count[e] / rows) (sum[e] / rows). Zeroed but for coef before a pass; op_route adds to it in the forward. `frozen` is set
 * when all blocks have run: under checkpointing they run again, which must not count twice, and the backward needs the finished sums. */
typedef struct RouteStats {
    float   coef;                       /* coef * route_aux is added to the loss: its gradient goes to the logits; 0: only counted */
    bool    frozen;
    int     experts;
    int64_t rows;                       /* tokens, times routers */
    double  count[ROUTE_EXPERTS_MAX];   /* tokens that picked the expert, in any place */
    double  sum[ROUTE_EXPERTS_MAX];     /* of its probabilities */
} RouteStats;
double route_aux(const RouteStats *s);  /* 0 before any row */

/* weight [T, K] from logits [T, E]; *pick becomes I32 [T, K], in the tape's arena, best expert first (read it with the backend's download). stats
 * may be NULL. */
Tensor *op_route(Tape *t, Tensor *logits, const RouteCfg *cfg, RouteStats *stats, Tensor **pick);
/* In place, returns y: y[rows[i], :] += weight.flat[pick[i]] * x[i, :]; rows and pick are I32 [n] and live as long as the tape. weight NULL (then
 * pick too): coefficient 1. No place of weight may be picked twice in a call. Whoever used y before must not need its numbers again. */
Tensor *op_combine(Tape *t, Tensor *y, Tensor *x, const Tensor *rows, Tensor *weight, const Tensor *pick);
Tensor *op_gate_rows(Tape *t, Tensor *x, Tensor *g);              /* x[t, :] * sigmoid(g[t]); g [T, 1] */

/* log p(target) per row: logp [n, 1]; b [V] may be NULL. See backend.h. */
Tensor *op_head_logp(Tape *t, Tensor *h, Tensor *w, Tensor *b, const Tensor *target, const HeadCfg *cfg);
/* The same when the loss is sum(coef * logp): the gradient is taken in the forward pass. Its record only adds the stored dh, and ignores logp's grad. */
Tensor *op_head_fused(Tape *t, Tensor *h, Tensor *w, Tensor *b, const Tensor *target, const Tensor *coef, const HeadCfg *cfg);

#endif
