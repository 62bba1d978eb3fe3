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
        { offsetof(Block, gate_up), 2 * c->ffn, c->hidden, c->mlp_bias },
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

static void add_linear(Model *m, SlotList *l, const char *module, Linear *lin, size_t off)
{
    int64_t out, in;
    bool    bias;
    linear_shape(&m->cfg, off, &out, &in, &bias);
    lin->module = arena_printf(&m->names, "%s%s", m->fam->prefix, module);
    lin->index = m->n_linear;
    lin->by_head = m->fam->qkv_by_head && off == offsetof(Block, qkv);
    Slot *s = add(l, arena_printf(&m->names, "%s.weight", module), &lin->w, 2, out, in);
    s->transposed = m->fam->transposed;
    s->linear = m->n_linear++;
    s->decays = true;
    s->by_head = lin->by_head;
    if (bias)
        add(l, arena_printf(&m->names, "%s.bias", module), &lin->b, 1, out, 1)->by_head = lin->by_head;
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
            char *module = arena_printf(&m->names, "%s.%lld.%s", f->layers, (long long)i, r->module);
            void *field = (char *)&m->block[i] + r->off;
            if (!r->norm)
                add_linear(m, l, module, field, r->off);
            else if (norm_width(c, r->off))
                add_norm(m, l, module, field, norm_width(c, r->off));
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
