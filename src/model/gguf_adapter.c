/* gguf_adapter.c - adapters as GGUF files (general.type adapter, adapter.type lora): "<tensor>.lora_a" [r, in] and "<tensor>.lora_b" [out, r] for each
 * adapted tensor, under llama.cpp's names. llama.cpp computes alpha / r, so a rank-stabilised adapter is written with the alpha that gives the same.
 * Rows that llama.cpp reorders in a matrix are reordered in lora_b. Stacked experts have stacked factors. */
#include "model/gguf_save.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "formats/gguf.h"
#include "model/model_int.h"

/* Where one linear's factors lie in the file. */
typedef struct Place { const GgufName *name; char *tensor; int64_t expert; } Place;

static int place_of(const Model *m, const GgufArch *a, Arena *names, int i, Place *p, Err *e)
{
    char    hf[560];
    int64_t layer;
    bool    bias;
    snprintf(hf, sizeof hf, "%s.weight", m->linear[i].module);
    p->name = gguf_name_by_hf(a, str_of(hf), &layer, &p->expert, &bias);
    if (!p->name)
        return err_set(e, ERR_INPUT, "%s: llama.cpp's %s models have no place for an adapter of %s", m->path, a->name, m->linear[i].module);
    p->tensor = gguf_name_fill(names, p->name->gguf, layer, p->expert, ".weight");
    return 0;
}

/* The rows of lora_b (f32, [out, r]) from memory to GGUF, or back. */
static void turn_b(const Model *m, const Linear *l, GgufTurn turn, float *dst, const float *src, int64_t rows, int64_t r, bool to_gguf)
{
    const GgufShape s = { m->cfg.heads, m->cfg.kv_heads, m->cfg.head_dim };
    for (int64_t i = 0; i < rows; i++) {
        const int64_t at = gguf_turn_row(turn == TURN_TRANSPOSE ? TURN_NONE : turn, &s, linear_file_row(m, l, i));
        memcpy(dst + (to_gguf ? at : i) * r, src + (to_gguf ? i : at) * r, (size_t)r * sizeof *dst);
    }
}

static float *host_of(const Model *m, const Tensor *t)
{
    const size_t n = (size_t)tensor_numel(t);
    float       *v = mem_alloc(MAX(n, (size_t)1) * sizeof *v);
    m->be->download(m->be, v, t->data, n * sizeof *v);
    return v;
}

static int write_pair(GgufWriter *w, const Adapter *a, const Model *m, const Place *p, int i, bool second, Err *e)
{
    const Tensor *t = second ? a->pair[i].b : a->pair[i].a;
    const size_t  n = (size_t)tensor_numel(t);
    float        *v = host_of(m, t), *turned = v;
    if (second) {
        turned = mem_alloc(MAX(n, (size_t)1) * sizeof *turned);
        turn_b(m, &m->linear[i], p->name->turn, turned, v, t->dim[0], t->dim[1], true);
        free(v);
    }
    int rc = gguf_write(w, turned, n * sizeof *turned, e);
    free(turned);
    return rc;
}

/* Experts of one stack follow each other in Model.linear only with the same matrix of the next expert some places on: found by name. */
static int parts_of(const Adapter *a, const Place *p, int n, int i, int *part)
{
    int k = 0;
    for (int j = i; j < n; j++)
        if (a->pair[j].a && p[j].tensor && !strcmp(p[j].tensor, p[i].tensor))
            part[k++] = j;
    return k;
}

typedef int (*EachFn)(GgufWriter *w, const Adapter *a, const Model *m, const Place *p, const int *part, int n, Err *e);

static int declare(GgufWriter *w, const Adapter *a, const Model *m, const Place *p, const int *part, int n, Err *e)
{
    (void)m;
    (void)e;
    char          name[600];
    const Tensor *t[2] = { a->pair[part[0]].a, a->pair[part[0]].b };
    for (int k = 0; k < 2; k++) {
        const int64_t dim[3] = { n, t[k]->dim[0], t[k]->dim[1] };
        const int     skip = p[part[0]].expert < 0;
        snprintf(name, sizeof name, "%s.lora_%c", p[part[0]].tensor, k ? 'b' : 'a');
        gguf_declare(w, name, DT_F32, 3 - skip, dim + skip);
    }
    return 0;
}

static int write_all(GgufWriter *w, const Adapter *a, const Model *m, const Place *p, const int *part, int n, Err *e)
{
    int rc = 0;
    for (int second = 0; second < 2; second++)
        for (int k = 0; k < n && !rc; k++)
            rc = write_pair(w, a, m, &p[part[k]], part[k], second, e);
    return rc;
}

/* Every tensor once, in the order of its first linear; a stack must be adapted as a whole. */
static int each_tensor(GgufWriter *w, const Adapter *a, const Model *m, const Place *p, EachFn fn, Err *e)
{
    const int n = m->n_linear;
    int      *part = mem_alloc((size_t)MAX(n, 1) * sizeof *part), rc = 0;
    Map      *done = map_new();
    for (int i = 0; i < n && !rc; i++) {
        if (!a->pair[i].a || !map_put(done, str_of(p[i].tensor), 1))
            continue;
        const int parts = parts_of(a, p, n, i, part);
        if (p[i].expert >= 0 && (p[i].expert != 0 || parts != gguf_experts(m)))
            rc = err_set(e, ERR_INPUT, "%s is adapted for some experts only; llama.cpp's adapters have all of them or none", p[i].tensor);
        else
            rc = fn(w, a, m, p, part, parts, e);
    }
    map_free(done);
    free(part);
    return rc;
}

int gguf_save_adapter(const Adapter *a, const Model *m, const char *path, Err *e)
{
    const GgufArch *arch = gguf_arch_of_family(str_of(m->fam->hf));
    GgufWriter     *w = NULL;
    Arena           names = { 0 };
    Place          *p = mem_zalloc((size_t)MAX(m->n_linear, 1), sizeof *p);
    const double    alpha = (double)a->scale * a->rank;
    int             rc = arch ? 0 : err_set(e, ERR_INPUT, "%s: llama.cpp has no %s models", m->path, m->fam->hf);
    if (!rc && (a->embed || a->head))
        rc = err_set(e, ERR_INPUT, "the adapter brings a whole embedding or head, for which llama.cpp's adapters have no place; export the merged model");
    if (!rc && alpha == 0) /* llama.cpp takes a zero for "not said" and uses 1 */
        rc = err_set(e, ERR_INPUT, "the adapter's alpha is 0, so it does nothing; llama.cpp cannot be told so");
    for (int i = 0; i < m->n_linear && !rc; i++)
        if (a->pair[i].a)
            rc = place_of(m, arch, &names, i, &p[i], e);
    if (rc || (rc = gguf_create(&w, path, e)))
        goto done;
    gguf_set_str(w, "general.architecture", str_of(arch->name));
    gguf_set_str(w, "general.type", STR_LIT("adapter"));
    gguf_set_str(w, "adapter.type", STR_LIT("lora"));
    gguf_set_f32(w, "adapter.lora.alpha", (float)alpha);
    gguf_set_u32(w, "general.file_type", 0);
    if (!(rc = each_tensor(w, a, m, p, declare, e)) && !(rc = each_tensor(w, a, m, p, write_all, e)))
        rc = gguf_commit(&w, e);
done:
    gguf_abort(&w);
    arena_release(&names);
    free(p);
    return rc;
}

/* ---- reading ---- */

static int read_head(const Gguf *g, const GgufArch *arch, const Model *m, double *alpha, Err *e)
{
    Str type = { 0 }, kind = { 0 }, name = { 0 };
    int rc;
    *alpha = 0;
    if ((rc = gguf_need_str(g, "general.type", &type, e)) || (rc = gguf_need_str(g, "general.architecture", &name, e)))
        return rc;
    if (!str_eqz(type, "adapter"))
        return err_set(e, ERR_INPUT, "%s: general.type is \"%.*s\", an adapter was expected", gguf_path(g), (int)MIN(type.n, (size_t)40), type.p);
    if ((rc = gguf_need_str(g, "adapter.type", &kind, e)) || (rc = gguf_opt_num(g, "adapter.lora.alpha", alpha, e)))
        return rc;
    if (!str_eqz(kind, "lora"))
        return err_set(e, ERR_INPUT, "%s: adapter.type is \"%.*s\", hone reads lora", gguf_path(g), (int)MIN(kind.n, (size_t)40), kind.p);
    if (gguf_has(g, "adapter.alora.invocation_tokens"))
        return err_set(e, ERR_INPUT, "%s: the adapter works only behind certain tokens (aLoRA), which hone does not compute", gguf_path(g));
    if (!str_eqz(name, arch->name))
        return err_set(e, ERR_INPUT, "%s: the adapter is for %.*s models, the base %s is a %s model", gguf_path(g), (int)MIN(name.n, (size_t)60),
                       name.p, m->path, arch->name);
    if (!(fabs(*alpha) <= 1e6))
        return err_set(e, ERR_INPUT, "%s: adapter.lora.alpha is %g, expected at most a million", gguf_path(g), *alpha);
    return 0;
}

/* Factor of linear i: [d0, d1], or one of a stack of them. */
static int find_factor(const Gguf *g, const Place *p, char letter, int64_t d0, int64_t d1, const GgufTensor **t, const char **data, Err *e)
{
    char name[600];
    snprintf(name, sizeof name, "%s.lora_%c", p->tensor, letter);
    *t = gguf_find(g, name);
    if (!*t)
        return 0;
    const int stack = p->expert >= 0;
    if ((*t)->rank != 2 + stack || (*t)->dim[stack] != (d0 < 0 ? (*t)->dim[stack] : d0) || (*t)->dim[stack + 1] != (d1 < 0 ? (*t)->dim[stack + 1] : d1) ||
        (stack && p->expert >= (*t)->dim[0]))
        return err_set(e, ERR_INPUT, "%s: %s does not have the shape that the base model and the rank ask for; is it an adapter of another model?",
                       gguf_where(g, *t), name);
    if (!(*t)->known || (*t)->dtype == DT_I32)
        return err_set(e, ERR_INPUT, "%s: %s is stored as %s, which hone cannot read", gguf_where(g, *t), name, (*t)->type_text);
    *data = (const char *)(*t)->data + (stack ? dtype_bytes((*t)->dtype, p->expert * (*t)->dim[1] * (*t)->dim[2]) : 0);
    return 0;
}

static int load_pair(Adapter *a, const Model *m, const Gguf *g, const Place *p, int i, Map *used, Err *e)
{
    const Linear     *l = &m->linear[i];
    const GgufTensor *t[2] = { NULL };
    const char       *data[2] = { NULL };
    int               rc;
    if ((rc = find_factor(g, p, 'a', a->rank ? a->rank : -1, l->w->dim[1], &t[0], &data[0], e)))
        return rc;
    const int64_t rank = t[0] ? t[0]->dim[t[0]->rank - 2] : -1;
    if ((rc = find_factor(g, p, 'b', l->w->dim[0], rank, &t[1], &data[1], e)))
        return rc;
    if (!t[0] && !t[1])
        return 0;
    if (!t[0] || !t[1])
        return err_set(e, ERR_INPUT, "%s: %s has one of its two factors only", gguf_path(g), p->tensor);
    if (rank < 1 || rank > 1 << 16)
        return err_set(e, ERR_INPUT, "%s: %s has rank %lld, expected 1 to 65536", gguf_path(g), p->tensor, (long long)rank);
    a->rank = (int)rank;
    if ((rc = adapter_pair_make(a, m, i, e)))
        return rc;
    for (int k = 0; k < 2; k++) {
        Tensor       *dst = k ? a->pair[i].b : a->pair[i].a;
        const int64_t n = tensor_numel(dst);
        float        *v = mem_alloc((size_t)n * 2 * sizeof *v);
        dtype_to_f32(v, data[k], t[k]->dtype, n);
        for (int64_t x = 0; x < n && !rc; x++)
            if (!isfinite(v[x]))
                rc = err_set(e, ERR_INPUT, "%s: %s holds a value that is not a number; the file is damaged", gguf_path(g), t[k]->name);
        if (k && !rc)
            turn_b(m, l, p->name->turn, v + n, v, dst->dim[0], dst->dim[1], false);
        m->be->upload(m->be, dst->data, k ? v + n : v, (size_t)n * sizeof *v);
        free(v);
        map_put(used, str_of(t[k]->name), 1);
    }
    return rc;
}

int gguf_open_adapter(Adapter **out, const Model *m, const char *path, Err *e)
{
    const GgufArch *arch = gguf_arch_of_family(str_of(m->fam->hf));
    Gguf           *g = NULL;
    Map            *used = map_new();
    Arena           names = { 0 };
    Adapter        *a = adapter_alloc(m);
    int64_t         dummy;
    int             rc = arch ? gguf_open(&g, path, e)
                              : err_set(e, ERR_INPUT, "%s: llama.cpp has no %s models, so this is no adapter of one", path, m->fam->hf);
    if (rc || (rc = read_head(g, arch, m, &a->alpha, e)))
        goto done;
    for (int i = 0; i < m->n_linear && !rc; i++) {
        Place p;
        if (!(rc = place_of(m, arch, &names, i, &p, e)))
            rc = load_pair(a, m, g, &p, i, used, e);
    }
    for (size_t i = 0; i < gguf_count(g) && !rc; i++)
        if (!map_get(used, str_of(gguf_at(g, i)->name), &dummy))
            rc = err_set(e, ERR_INPUT, "%s: %s fits no linear of the base model %s", path, gguf_at(g, i)->name, m->path);
    if (!rc && !a->n_adapted)
        rc = err_set(e, ERR_INPUT, "%s: the adapter holds no tensors", path);
    if (!rc && a->alpha == 0) /* not said: factors as they stand */
        a->alpha = a->rank;
    if (!rc)
        a->scale = (float)(a->alpha / a->rank);
done:
    gguf_close(g);
    map_free(used);
    arena_release(&names);
    if (rc) {
        adapter_free(a);
        a = NULL;
    }
    *out = a;
    return rc;
}
