/* block.c - one transformer block: the function a reader must understand. With a KV cache in Step and the tape not recording it is the
 * inference path; recording, it is the training path. What a family leaves out (a norm, a bias, the rotation of one layer) is absent in Block or
 * a value in ModelConfig that changes nothing. */
#include "model/lora.h"
#include "model/model_int.h"

Tensor *nn_norm(Tape *t, const Model *m, const Norm *n, Tensor *x)
{
    if (!n->w)
        return x;
    return m->fam->norm == NORM_RMS ? op_rmsnorm(t, x, n->w, m->cfg.norm_eps, m->fam->norm_offset) : op_layernorm(t, x, n->w, n->b, m->cfg.norm_eps);
}

Tensor *nn_linear(Tape *t, const Linear *l, Tensor *x, const Step *s)
{
    const LoraPair *p = s->adapter ? &s->adapter->pair[l->index] : NULL;
    return op_linear(t, x, l->w, l->b, p ? p->a : NULL, p ? p->b : NULL, s->adapter ? s->adapter->scale : 0);
}

/* Queries or keys [T, heads*d] -> norm where the family has one (per head or over all), then the turn by position. */
static Tensor *position(Tape *t, const Model *m, int layer, const Norm *n, Tensor *x, const Step *s)
{
    const uint8_t kind = m->cfg.layer[layer];
    x = nn_norm(t, m, n, x);
    if (m->fam->pos != POS_ROPE || kind & LAYER_NO_ROPE)
        return x;
    const RopeTable *table = &s->rope[kind & LAYER_LOCAL_ROPE ? ROPE_LOCAL : ROPE_GLOBAL];
    if (!table->cos || !table->sin || !s->rope_row) /* a step's own tables did not fit: as in every op, NULL goes on to the pass's end */
        return NULL;
    return op_rope(t, x, s->rope_row, table, (int)m->cfg.head_dim);
}

/* Appends this batch's keys or values behind those the cache already holds for each sequence, head by head: in the cache each begins at a whole
 * block. */
static Tensor *cache_write(const Model *m, Tensor *cache, const Tensor *x, const AttnShape *a)
{
    const int64_t d = a->head_dim, whole = dtype_whole(cache->dtype, d);
    for (int g = 0; x && g < a->kv_heads; g++) { /* x is NULL when the arena is full; model_logp and its like report it */
        Tensor to = tensor_col_view(cache, g * whole, whole), from = tensor_col_view(x, g * d, d);
        for (int i = 0; i < a->n_seg; i++)
            m->be->copy_rows(m->be, &to, a->k0[i] + a->nk[i] - a->nq[i], &from, a->q0[i], a->nq[i]);
    }
    return cache;
}

/* The rows by number; all of them where row is NULL. */
static Tensor *rows_of(Tape *t, Tensor *x, const Tensor *row)
{
    return row ? op_embed(t, x, row) : x;
}

static Tensor *attention(Tape *t, const Model *m, int layer, Tensor *h, const Step *s, const Tensor *row)
{
    const Block  *b = &m->block[layer];
    const int64_t nq = m->cfg.heads * m->cfg.head_dim, nk = m->cfg.kv_heads * m->cfg.head_dim;
    AttnShape     shape = s->attn;
    Tensor       *q, *k, *v;
    shape.window = m->cfg.layer[layer] & LAYER_WINDOW ? m->cfg.window : 0;
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
    q = position(t, m, layer, &b->q_norm, q, s);
    k = position(t, m, layer, &b->k_norm, k, s);
    if (s->kv) {
        k = cache_write(m, s->kv->k[layer], k, &s->attn);
        v = cache_write(m, s->kv->v[layer], v, &s->attn);
    }
    return nn_linear(t, &b->o, rows_of(t, op_attention(t, q, k, v, &shape), row), s);
}

static Tensor *mlp(Tape *t, const Model *m, const Block *b, Tensor *h, const Step *s)
{
    Tensor *mid;
    if (b->expert)
        return moe_forward(t, m, b, h, s);
    if (b->gate_up.w) {
        Tensor *both = nn_linear(t, &b->gate_up, h, s);
        mid = op_glu(t, op_cols(t, both, 0, m->cfg.ffn), op_cols(t, both, m->cfg.ffn, m->cfg.ffn), m->cfg.act);
    } else {
        Tensor *up = nn_linear(t, &b->up, h, s);
        mid = m->fam->gated ? op_glu(t, nn_linear(t, &b->gate, h, s), up, m->cfg.act) : op_act(t, up, m->cfg.act);
    }
    return nn_linear(t, &b->down, mid, s);
}

static Tensor *residual(Tape *t, const Model *m, Tensor *x, Tensor *branch)
{
    return op_add(t, x, m->cfg.residual_scale == 1 ? branch : op_scale(t, branch, m->cfg.residual_scale));
}

/* x [T, D] -> [T, D], or [n, D], the n rows that anyone reads of the last block: what follows attention is computed for these alone. (Not where a
 * router counts: its loss is one of all tokens.) Residual block: norms before each branch (Xiong et al. 2020), after it, or both; the branches
 * one after the other, or side by side on the same x (Wang & Komatsuzaki 2021). */
Tensor *block_forward(Tape *t, const Model *m, int layer, Tensor *x, const Step *s, const Tensor *row)
{
    const Block  *b = &m->block[layer];
    const Tensor *early = b->expert && s->route ? NULL : row, *late = early ? NULL : row;
    Tensor       *h = nn_norm(t, m, &b->attn_norm, x);
    Tensor       *a = nn_norm(t, m, &b->attn_post, attention(t, m, layer, h, s, early));
    x = rows_of(t, x, early);
    if (m->cfg.parallel) {
        Tensor *f = mlp(t, m, b, b->mlp_norm.w ? nn_norm(t, m, &b->mlp_norm, x) : rows_of(t, h, early), s);
        x = residual(t, m, residual(t, m, x, a), nn_norm(t, m, &b->mlp_post, f));
    } else {
        x = residual(t, m, x, a);
        x = residual(t, m, x, nn_norm(t, m, &b->mlp_post, mlp(t, m, b, nn_norm(t, m, &b->mlp_norm, x), s)));
    }
    return rows_of(t, x, late);
}
