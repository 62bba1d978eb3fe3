/* block.c - one transformer block: the function a reader must understand. With a KV cache in Step and the tape not recording it is the
 * inference path; recording, it is the training path. A family that needs more than the table can say brings its own block function. */
#include "model/lora.h"
#include "model/model_int.h"

Tensor *nn_norm(Tape *t, const Model *m, const Norm *n, Tensor *x)
{
    return m->fam->norm == NORM_RMS ? op_rmsnorm(t, x, n->w, m->cfg.norm_eps, 0) : op_layernorm(t, x, n->w, n->b, m->cfg.norm_eps);
}

static Tensor *nn_linear(Tape *t, const Linear *l, Tensor *x, const Step *s)
{
    const LoraPair *p = s->adapter ? &s->adapter->pair[l->index] : NULL;
    return op_linear(t, x, l->w, l->b, p ? p->a : NULL, p ? p->b : NULL, s->adapter ? s->adapter->scale : 0);
}

/* Queries or keys [T, heads*d] -> per-head norm where the family has one, then the turn by position. */
static Tensor *position(Tape *t, const Model *m, const Norm *n, Tensor *x, const Step *s)
{
    if (n->w)
        x = op_rmsnorm(t, x, n->w, m->cfg.norm_eps, 0);
    return m->fam->pos == POS_ROPE ? op_rope(t, x, s->pos, &m->rope, (int)m->cfg.head_dim) : x;
}

/* Appends this batch's keys or values behind those the cache already holds for each sequence. */
static Tensor *cache_write(const Model *m, Tensor *cache, const Tensor *x, const AttnShape *a)
{
    for (int i = 0; x && i < a->n_seg; i++) /* x is NULL when the arena is full; model_logp and its like report it */
        m->be->copy_rows(m->be, cache, a->k0[i] + a->nk[i] - a->nq[i], x, a->q0[i], a->nq[i]);
    return cache;
}

static Tensor *attention(Tape *t, const Model *m, int layer, Tensor *h, const Step *s)
{
    const Block  *b = &m->block[layer];
    const int64_t nq = m->cfg.heads * m->cfg.head_dim, nk = m->cfg.kv_heads * m->cfg.head_dim;
    Tensor       *q, *k, *v;
    if (b->qkv.w) {
        Tensor *qkv = nn_linear(t, &b->qkv, h, s);
        q = op_cols(t, qkv, 0, nq);
        k = op_cols(t, qkv, nq, nk);
        v = op_cols(t, qkv, nq + nk, nk);
    } else {
        q = nn_linear(t, &b->q, h, s);
        k = nn_linear(t, &b->k, h, s);
        v = nn_linear(t, &b->v, h, s);
    }
    q = position(t, m, &b->q_norm, q, s);
    k = position(t, m, &b->k_norm, k, s);
    if (s->kv) {
        k = cache_write(m, s->kv->k[layer], k, &s->attn);
        v = cache_write(m, s->kv->v[layer], v, &s->attn);
    }
    return nn_linear(t, &b->o, op_attention(t, q, k, v, &s->attn), s);
}

static Tensor *mlp(Tape *t, const Model *m, const Block *b, Tensor *h, const Step *s)
{
    Tensor *up = nn_linear(t, &b->up, h, s);
    Tensor *mid = m->fam->gated ? op_glu(t, nn_linear(t, &b->gate, h, s), up, m->cfg.act) : op_act(t, up, m->cfg.act);
    return nn_linear(t, &b->down, mid, s);
}

/* x [T, D] -> [T, D]. Pre-norm residual block (Xiong et al. 2020). */
Tensor *block_forward(Tape *t, const Model *m, int layer, Tensor *x, const Step *s)
{
    const Block *b = &m->block[layer];
    x = op_add(t, x, attention(t, m, layer, nn_norm(t, m, &b->attn_norm, x), s));
    return op_add(t, x, mlp(t, m, b, nn_norm(t, m, &b->mlp_norm, x), s));
}
