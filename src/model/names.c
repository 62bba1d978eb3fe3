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
    *s = (Slot){ .name = name, .at = at, .rank = rank, .dim = { d0, d1 }, .prefixed = true, .layer = -1, .linear = -1 };
    return s;
}

typedef struct LinearShape { size_t off; int64_t out, in; bool bias; } LinearShape;

/* Rows and columns of a linear's weight, and whether it carries a bias, by its place in the block; out 0: this layer has none there. A layer with
 * experts has no MLP beside them. */
static LinearShape linear_shape(const ModelConfig *c, bool mixed, size_t off)
{
    const int64_t     q = c->heads * c->head_dim, kv = c->kv_heads * c->head_dim;
    const int64_t     ffn = mixed ? 0 : c->ffn, experts = mixed ? c->experts : 0, shared = mixed ? c->shared_ffn : 0;
    const LinearShape shape[] = {
        { offsetof(Block, qkv), q + 2 * kv, c->hidden, c->qkv_bias }, { offsetof(Block, q), q, c->hidden, c->qkv_bias },
        { offsetof(Block, k), kv, c->hidden, c->qkv_bias },           { offsetof(Block, v), kv, c->hidden, c->qkv_bias },
        { offsetof(Block, o), c->hidden, q, c->o_bias },              { offsetof(Block, gate), ffn, c->hidden, c->mlp_bias },
        { offsetof(Block, up), ffn, c->hidden, c->mlp_bias },         { offsetof(Block, down), ffn ? c->hidden : 0, ffn, c->mlp_bias },
        { offsetof(Block, gate_up), 2 * ffn, c->hidden, c->mlp_bias },
        { offsetof(Block, router), experts, c->hidden, false },       { offsetof(Block, shared_gate), shared ? 1 : 0, c->hidden, false },
        { offsetof(Block, shared.gate), shared, c->hidden, false },   { offsetof(Block, shared.up), shared, c->hidden, false },
        { offsetof(Block, shared.down), shared ? c->hidden : 0, shared, false },
    };
    size_t i = 0;
    while (shape[i].off != off)
        BUG_ON(++i == ARRAY_LEN(shape));
    return shape[i];
}

static LinearShape expert_shape(const ModelConfig *c, size_t off)
{
    return off == offsetof(Expert, down) ? (LinearShape){ off, c->hidden, c->expert_ffn, false } : (LinearShape){ off, c->expert_ffn, c->hidden, false };
}

static void add_norm(Model *m, SlotList *l, const char *module, Norm *n, int64_t width)
{
    add(l, arena_printf(&m->names, "%s.weight", module), &n->w, 1, width, 1);
    if (m->fam->norm == NORM_LAYER)
        add(l, arena_printf(&m->names, "%s.bias", module), &n->b, 1, width, 1);
}

/* Width of a norm by its place in the block; 0: this model has none there. */
static int64_t norm_width(const ModelConfig *c, size_t off)
{
    const bool q = off == offsetof(Block, q_norm), k = off == offsetof(Block, k_norm);
    if (!q && !k)
        return c->hidden;
    if (c->qk_norm == QK_NONE)
        return 0;
    return c->head_dim * (c->qk_norm == QK_HEAD ? 1 : q ? c->heads : c->kv_heads);
}

static void add_linear(Model *m, SlotList *l, const char *module, Linear *lin, LinearShape shape)
{
    lin->module = arena_printf(&m->names, "%s%s", m->fam->prefix, module);
    lin->index = m->n_linear;
    Slot *s = add(l, arena_printf(&m->names, "%s.weight", module), &lin->w, 2, shape.out, shape.in);
    s->transposed = m->fam->transposed;
    s->linear = m->n_linear++;
    s->decays = true;
    s->by_head = lin->by_head;
    if (shape.bias)
        add(l, arena_printf(&m->names, "%s.bias", module), &lin->b, 1, shape.out, 1)->by_head = lin->by_head;
}

/* What one rule names in one layer: a norm, a linear, or a linear in each of its experts; nothing where this layer has none. */
static void add_rule(Model *m, SlotList *l, int64_t layer, const BlockRule *r)
{
    const ModelConfig *c = &m->cfg;
    Block             *b = &m->block[layer];
    const bool         mixed = c->layer[layer] & LAYER_EXPERTS;
    char              *module = arena_printf(&m->names, "%s.%lld.%s", m->fam->layers, (long long)layer, r->module);
    void              *field = (char *)b + r->off;
    if (r->norm) {
        if (norm_width(c, r->off))
            add_norm(m, l, module, field, norm_width(c, r->off));
    } else if (r->each) {
        for (int64_t i = 0; i < c->experts && mixed; i++)
            add_linear(m, l, arena_printf(&m->names, "%s.%lld.%s", module, (long long)i, r->each), (void *)((char *)&b->expert[i] + r->off),
                       expert_shape(c, r->off));
    } else if (linear_shape(c, mixed, r->off).out) {
        Linear *lin = field;
        lin->by_head = m->fam->qkv_by_head && r->off == offsetof(Block, qkv);
        lin->router = r->off == offsetof(Block, router) || r->off == offsetof(Block, shared_gate);
        add_linear(m, l, module, lin, linear_shape(c, mixed, r->off));
    }
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
    for (int64_t i = 0; i < c->layers; i++) {
        if (c->layer[i] & LAYER_EXPERTS)
            m->block[i].expert = mem_zalloc((size_t)c->experts, sizeof *m->block[i].expert);
        const int first = l->n;
        for (const BlockRule *r = f->rule; r->module; r++)
            add_rule(m, l, i, r);
        for (int k = first; k < l->n; k++)
            l->p[k].layer = (int)i;
    }
    add_norm(m, l, f->final_norm, &m->final_norm, c->hidden);
    const char *head = f->head ? f->head : "lm_head";
    if (!c->tied) {
        Slot *s = add(l, arena_printf(&m->names, "%s.weight", head), &m->head_w, 2, c->vocab, c->hidden);
        s->prefixed = false;
        s->decays = true;
    }
    l->tied_head = (Slot){ .name = arena_printf(&m->names, "%s.weight", head), .at = &m->head_w, .rank = 2, .dim = { c->vocab, c->hidden }, .linear = -1 };
    if (c->head_bias)
        add(l, arena_printf(&m->names, "%s.bias", head), &m->head_b, 1, c->vocab, 1)->prefixed = false;
}

void slot_name(const Model *m, const Slot *s, StrBuf *out)
{
    strbuf_clear(out);
    if (s->file_name)
        strbuf_addf(out, "%s", s->file_name);
    else
        strbuf_addf(out, "%s%s", s->prefixed ? m->fam->prefix : "", s->name);
}

/* --- layout in files -------------------------------------------------------------------------------------------------------------------- */

/* q0 k0 v0 q1 k1 v1 ... in files, each d rows; q0 q1 ... k0 k1 ... v0 v1 ... here. */
static int64_t row_by_head(const ModelConfig *c, int64_t row)
{
    const int64_t d = c->head_dim, part = row / (c->heads * d), head = row / d % c->heads;
    return (3 * head + part) * d + row % d;
}

int64_t linear_file_row(const Model *m, const Linear *l, int64_t row)
{
    return l->by_head ? row_by_head(&m->cfg, row) : row;
}

bool slot_same_layout(const Slot *s)
{
    return !s->transposed && !s->by_head;
}

/* Where element (i, j) of the weight in memory stands in the file. */
static int64_t file_place(const Model *m, const Slot *s, int64_t i, int64_t j)
{
    const int64_t row = s->by_head ? row_by_head(&m->cfg, i) : i;
    return s->transposed ? j * s->dim[0] + row : row * s->dim[1] + j;
}

void slot_from_file(const Model *m, const Slot *s, float *dst, const float *src)
{
    for (int64_t i = 0; i < s->dim[0]; i++)
        for (int64_t j = 0; j < s->dim[1]; j++)
            dst[i * s->dim[1] + j] = src[file_place(m, s, i, j)];
}

void slot_to_file(const Model *m, const Slot *s, float *dst, const float *src)
{
    for (int64_t i = 0; i < s->dim[0]; i++)
        for (int64_t j = 0; j < s->dim[1]; j++)
            dst[file_place(m, s, i, j)] = src[i * s->dim[1] + j];
}
