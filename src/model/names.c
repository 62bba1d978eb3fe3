/* names.c - the list of a model's weights: file name, place in the structs, shape. Loading, saving, random weights, the list of trainable
 * parameters and the adaptable linears all walk this one list, so they cannot disagree.
 * Invariant: a Slot's `at` points into Model and stays valid until model_close. */
#include "model/model_int.h"

#include "base/mem.h"

static Slot *add(SlotList *l, char *name, Tensor **at, int rank, int64_t d0, int64_t d1)
{
    if (l->n == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 64;
        l->p = mem_realloc(l->p, (size_t)l->cap, sizeof *l->p);
    }
    Slot *s = &l->p[l->n++];
    *s = (Slot){ .name = name, .at = at, .rank = rank, .dim = { d0, d1 }, .prefixed = true, .linear = -1 };
    return s;
}

/* Rows of a linear's weight, and whether it carries a bias, by its place in the block. */
static void linear_shape(const ModelConfig *c, size_t off, int64_t *out, int64_t *in, bool *bias)
{
    const int64_t q = c->heads * c->head_dim, kv = c->kv_heads * c->head_dim;
    const struct { size_t off; int64_t out, in; bool bias; } shape[] = {
        { offsetof(Block, qkv), q + 2 * kv, c->hidden, c->qkv_bias }, { offsetof(Block, q), q, c->hidden, c->qkv_bias },
        { offsetof(Block, k), kv, c->hidden, c->qkv_bias },           { offsetof(Block, v), kv, c->hidden, c->qkv_bias },
        { offsetof(Block, o), c->hidden, q, c->o_bias },              { offsetof(Block, gate), c->ffn, c->hidden, c->mlp_bias },
        { offsetof(Block, up), c->ffn, c->hidden, c->mlp_bias },      { offsetof(Block, down), c->hidden, c->ffn, c->mlp_bias },
    };
    for (size_t i = 0; i < ARRAY_LEN(shape); i++)
        if (shape[i].off == off) {
            *out = shape[i].out;
            *in = shape[i].in;
            *bias = shape[i].bias;
            return;
        }
    BUG_ON(true);
}

static void add_norm(Model *m, SlotList *l, const char *module, Norm *n, int64_t width)
{
    add(l, arena_printf(&m->names, "%s.weight", module), &n->w, 1, width, 1);
    if (m->fam->norm == NORM_LAYER)
        add(l, arena_printf(&m->names, "%s.bias", module), &n->b, 1, width, 1);
}

static void add_linear(Model *m, SlotList *l, const char *module, Linear *lin, size_t off)
{
    int64_t out, in;
    bool    bias;
    linear_shape(&m->cfg, off, &out, &in, &bias);
    lin->module = arena_printf(&m->names, "%s%s", m->fam->prefix, module);
    lin->index = m->n_linear;
    Slot *s = add(l, arena_printf(&m->names, "%s.weight", module), &lin->w, 2, out, in);
    s->transposed = m->fam->transposed;
    s->linear = m->n_linear++;
    s->decays = true;
    if (bias)
        add(l, arena_printf(&m->names, "%s.bias", module), &lin->b, 1, out, 1);
}

void slots_build(Model *m)
{
    SlotList          *l = m->slots = mem_zalloc(1, sizeof *l);
    const Family      *f = m->fam;
    const ModelConfig *c = &m->cfg;
    m->block = mem_zalloc((size_t)c->layers, sizeof *m->block);
    add(l, arena_printf(&m->names, "%s.weight", f->embed), &m->embed, 2, c->vocab, c->hidden);
    if (f->pos_embed)
        add(l, arena_printf(&m->names, "%s.weight", f->pos_embed), &m->pos_embed, 2, c->max_positions, c->hidden);
    for (int64_t i = 0; i < c->layers; i++)
        for (const BlockRule *r = f->rule; r->module; r++) {
            const bool head_norm = r->off == offsetof(Block, q_norm) || r->off == offsetof(Block, k_norm);
            if (head_norm && !f->qk_norm)
                continue;
            char *module = arena_printf(&m->names, "%s.%lld.%s", f->layers, (long long)i, r->module);
            void *field = (char *)&m->block[i] + r->off;
            if (r->norm)
                add_norm(m, l, module, field, head_norm ? c->head_dim : c->hidden);
            else
                add_linear(m, l, module, field, r->off);
        }
    add_norm(m, l, f->final_norm, &m->final_norm, c->hidden);
    if (!c->tied) {
        Slot *s = add(l, arena_strdup(&m->names, "lm_head.weight"), &m->head_w, 2, c->vocab, c->hidden);
        s->prefixed = false;
        s->decays = true;
    }
}
