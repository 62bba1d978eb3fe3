/* ops.h - the differentiable ops. Each runs at once on the tape's backend and is noted when the tape records and an input wants a gradient.
 * Forward and backward of an op stand in the same file (op_linear.c, op_norm.c, op_attn.c, op_mlp.c, op_embed.c, op_head.c, op_misc.c).
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

/* log p(target) per row: logp [n, 1]; b [V] may be NULL. See backend.h. */
Tensor *op_head_logp(Tape *t, Tensor *h, Tensor *w, Tensor *b, const Tensor *target, const HeadCfg *cfg);
/* The same when the loss is sum(coef * logp): the gradient is taken in the forward pass. Its record only adds the stored dh, and ignores logp's grad. */
Tensor *op_head_fused(Tape *t, Tensor *h, Tensor *w, Tensor *b, const Tensor *target, const Tensor *coef, const HeadCfg *cfg);

#endif
