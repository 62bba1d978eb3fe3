/* gguf_weights.c - a GGUF file's tensors behind the face of weights.h: under Hugging Face's names, turned back into Hugging Face's layout, widened to
 * f32 row by row as they are asked for. Stacked experts appear one by one.
 * Main struct: View, where the numbers of one weight lie. A tensor that the architecture's table does not name keeps GGUF's name: the loader then
 * refuses it by that name. */
#include "model/gguf_model.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "tokenizer/from_gguf.h"

#define EXPERTS_LIMIT 4096

typedef struct View {
    const GgufTensor *t;
    GgufTurn          turn;
    int64_t           first;    /* first number of it in t: an expert's place in the stack */
} View;

typedef struct GgufWeights {
    Weights     face;
    const Gguf *g;
    GgufShape   shape;
    View       *view;
    Arena       names;
} GgufWeights;

static const void *at(const View *v, int64_t number)
{
    return (const char *)v->t->data + dtype_bytes(v->t->dtype, v->first + number);
}

/* Rows [first, first + n) of a matrix whose rows or columns were exchanged. */
static void read_turned(const GgufWeights *w, const View *v, int64_t first, int64_t n, int64_t rows, int64_t cols, float *dst)
{
    if (v->turn != TURN_TRANSPOSE) {
        for (int64_t i = 0; i < n; i++)
            dtype_to_f32(dst + i * cols, at(v, gguf_turn_row(v->turn, &w->shape, first + i) * cols), v->t->dtype, cols);
        return;
    }
    float *line = mem_alloc((size_t)MAX(rows, 1) * sizeof *line); /* the file's rows are our columns */
    for (int64_t j = 0; j < cols; j++) {
        dtype_to_f32(line, at(v, j * rows), v->t->dtype, rows);
        for (int64_t i = 0; i < n; i++)
            dst[i * cols + j] = line[first + i];
    }
    free(line);
}

static bool moves(GgufTurn t) { return t == TURN_Q || t == TURN_K || t == TURN_BY_HEAD; }

static int read(const Weights *face, const WeightInfo *i, int64_t first, int64_t n, float *dst, Err *e)
{
    (void)e;
    const GgufWeights *w = (const GgufWeights *)face;
    const View        *v = i->source;
    if (!n)
        return 0;
    if (i->rank == 2 && (moves(v->turn) || v->turn == TURN_TRANSPOSE)) {
        read_turned(w, v, first / i->dim[1], n / i->dim[1], i->dim[0], i->dim[1], dst);
    } else if (i->rank == 1 && moves(v->turn)) { /* asked for as a whole */
        float *all = mem_alloc((size_t)MAX(n, 1) * sizeof *all);
        dtype_to_f32(all, at(v, first), v->t->dtype, n);
        for (int64_t k = 0; k < n; k++)
            dst[k] = all[gguf_turn_row(v->turn, &w->shape, k)];
        free(all);
    } else {
        dtype_to_f32(dst, at(v, first), v->t->dtype, n);
    }
    for (int64_t k = 0; v->turn == TURN_ADD_ONE && k < n; k++)
        dst[k] -= 1;
    return 0;
}

/* Only whole rows move in some of the turns: those are found in the file, at another place. */
static const void *row(const Weights *face, const WeightInfo *i, int64_t r)
{
    const View *v = i->source;
    return at(v, (moves(v->turn) ? gguf_turn_row(v->turn, &((const GgufWeights *)face)->shape, r) : r) * i->dim[1]);
}

static void forget(const Weights *face, const WeightInfo *i)
{
    (void)face;
    file_forget(at(i->source, 0), i->nbytes);
}

static const char *where(const Weights *face, const WeightInfo *i)
{
    return gguf_where(((const GgufWeights *)face)->g, ((const View *)i->source)->t);
}

static void close_weights(Weights *face)
{
    GgufWeights *w = (GgufWeights *)face;
    free(w->view);
    arena_release(&w->names);
    free(w);
}

/* A moved row count that is not the model's is left alone: its shape will be refused against config.json. */
static GgufTurn turn_of(const GgufName *name, const GgufTensor *t, const GgufShape *s)
{
    const int64_t heads = name->turn == TURN_Q ? s->heads : name->turn == TURN_K ? s->kv_heads : 3 * s->heads;
    if (moves(name->turn) && (t->rank < 1 || t->dim[0] != heads * s->head_dim || (name->turn != TURN_BY_HEAD && s->head_dim % 2)))
        return TURN_NONE;
    return name->turn == TURN_TRANSPOSE && t->rank != 2 ? TURN_NONE : name->turn;
}

static void describe(GgufWeights *w, char *name, const GgufTensor *t, GgufTurn turn, int64_t expert)
{
    const size_t n = w->face.n++;
    WeightInfo  *i = &w->face.info[n];
    View        *v = &w->view[n];
    const int    skip = expert >= 0;
    if (turn == TURN_TRANSPOSE && t->known && dtype_block(t->dtype) > 1)
        turn = TURN_NONE; /* the loader takes packed matrices as [out, in], which these are */
    *i = (WeightInfo){ .name = name, .dtype = DT_BF16, .kernel = DT_COUNT, .rank = t->rank - skip, .count = 1, .source = v };
    for (int d = 0; d < i->rank; d++)
        i->count *= i->dim[d] = t->dim[d + skip];
    *v = (View){ t, turn, skip ? expert * i->count : 0 };
    if (turn == TURN_TRANSPOSE) {
        i->dim[0] = t->dim[1];
        i->dim[1] = t->dim[0];
    } else if (turn == TURN_ROW && i->rank == 1) {
        i->rank = 2;
        i->dim[1] = i->dim[0];
        i->dim[0] = 1;
    }
    snprintf(i->stored, sizeof i->stored, "%s", t->type_text);
    i->nbytes = skip && t->dim[0] ? t->nbytes / (size_t)t->dim[0] : t->nbytes;
    i->readable = t->known && t->dtype != DT_I32;
    i->packed = i->readable && dtype_block(t->dtype) > 1;
    if (i->readable && !i->packed)
        i->dtype = t->dtype;
    if (i->readable && turn != TURN_TRANSPOSE && turn != TURN_ADD_ONE && i->rank == 2 && i->dim[1] % dtype_block(t->dtype) == 0)
        i->kernel = t->dtype;
    map_put(w->face.by_name, str_of(name), (int64_t)n);
}

static bool is_rope_table(const char *name)
{
    static const char *const known[] = { "rope_freqs.weight", "rope_factors_short.weight", "rope_factors_long.weight" };
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (!strcmp(name, known[i]))
            return true;
    return false;
}

static bool is_stack(const GgufName *n) { return n && strchr(n->hf, '@') != NULL; }

static int count_views(const Gguf *g, const GgufArch *a, size_t *n, Err *e)
{
    *n = 0;
    for (size_t i = 0; i < gguf_count(g); i++) {
        const GgufTensor *t = gguf_at(g, i);
        int64_t           layer;
        bool              bias;
        if (!is_stack(gguf_name_by_gguf(a, str_of(t->name), &layer, &bias))) {
            ++*n;
            continue;
        }
        if (t->rank != 3 || t->dim[0] < 1 || t->dim[0] > EXPERTS_LIMIT || !t->count)
            return err_set(e, ERR_INPUT, "%s: %s should hold the matrices of 1 to %d experts", gguf_where(g, t), t->name, EXPERTS_LIMIT);
        *n += (size_t)t->dim[0];
    }
    return 0;
}

int gguf_weights_open(Weights **out, const Gguf *g, const GgufArch *a, const GgufShape *s, Err *e)
{
    size_t n;
    int    rc = count_views(g, a, &n, e);
    *out = NULL;
    if (rc)
        return rc;
    GgufWeights *w = mem_zalloc(1, sizeof *w);
    w->g = g;
    w->shape = *s;
    w->view = mem_zalloc(MAX(n, (size_t)1), sizeof *w->view);
    w->face = (Weights){ .info = mem_zalloc(MAX(n, (size_t)1), sizeof *w->face.info), .by_name = map_new(), .read = read, .row = row, .forget = forget, .where = where,
                         .close = close_weights };
    for (size_t i = 0; i < gguf_count(g); i++) {
        const GgufTensor *t = gguf_at(g, i);
        int64_t           layer;
        bool              bias;
        const GgufName   *name = gguf_name_by_gguf(a, str_of(t->name), &layer, &bias);
        if (is_rope_table(t->name))
            continue;
        if (!name)
            describe(w, arena_strdup(&w->names, t->name), t, TURN_NONE, -1);
        for (int64_t x = 0; name && x < (is_stack(name) ? t->dim[0] : 1); x++)
            describe(w, gguf_name_fill(&w->names, name->hf, layer, x, bias ? ".bias" : ".weight"), t,
                     bias && !moves(name->turn) ? TURN_NONE : turn_of(name, t, s), is_stack(name) ? x : -1);
    }
    *out = &w->face;
    return 0;
}

/* ---- the whole file ---- */

int gguf_model_from(GgufModel **out, Gguf *g, Err *e)
{
    GgufModel *m = *out = mem_zalloc(1, sizeof *m);
    m->file = g;
    int rc = gguf_config_read(m, e);
    if (!rc)
        rc = gguf_weights_open(&m->weights, g, m->arch, &m->shape, e);
    if (rc) {
        gguf_model_close(m);
        *out = NULL;
    }
    return rc;
}

int gguf_model_open(GgufModel **out, const char *path, Err *e)
{
    Gguf *g = NULL;
    int   rc = gguf_open(&g, path, e);
    *out = NULL;
    return rc ? rc : gguf_model_from(out, g, e);
}

int gguf_read_config(Json **config, const char *path, Err *e)
{
    GgufModel *m = NULL;
    int        rc = gguf_model_open(&m, path, e);
    *config = rc ? NULL : json_ref(m->config);
    gguf_model_close(m);
    return rc;
}

static int write_json(const char *dir, const char *name, const Json *j, Err *e)
{
    StrBuf text = { 0 };
    char  *path = path_join(dir, name);
    json_write(&text, j, true);
    int rc = file_write_atomic(path, text.p, text.n, e);
    strbuf_release(&text);
    free(path);
    return rc;
}

int gguf_write_side_files(const char *path, const char *dir, Err *e)
{
    GgufModel *m = NULL;
    Json      *tokenizer = NULL, *config = NULL;
    int        rc = gguf_model_open(&m, path, e);
    rc = rc ? rc : tok_json_from_gguf(m->file, &tokenizer, &config, e);
    rc = rc ? rc : write_json(dir, "generation_config.json", m->generation, e);
    rc = rc ? rc : write_json(dir, "tokenizer.json", tokenizer, e);
    if (!rc && config)
        rc = write_json(dir, "tokenizer_config.json", config, e);
    json_free(tokenizer);
    json_free(config);
    gguf_model_close(m);
    return rc;
}

void gguf_model_close(GgufModel *m)
{
    if (!m)
        return;
    weights_close(m->weights);
    json_free(m->config);
    json_free(m->generation);
    gguf_close(m->file);
    free(m);
}
