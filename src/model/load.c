/* load.c - files -> Model. Files are normalised at the door: transposed weights are turned, so that the rest of the program knows one layout. A frozen
 * matrix stays in the type it is stored in, where that can be in the mapped file itself; vectors, and all that is to be trained, become f32.
 * Invariants: a model that opened has every weight of its slots, and the file had nothing else of meaning; what type a weight is kept in changes no
 * result of five rows or more (a decoded token by rounding), but for method qlora, which is asked for. */
#include "model/model_int.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/thread.h"
#include "formats/packed.h"
#include "model/gguf_model.h"
#include "tensor/inspect.h"

/* Names that files carry but that are no weights: constants that older exporters saved along. */
static bool is_constant(Str name)
{
    static const char *const tail[] = { ".rotary_emb.inv_freq", ".attn.bias", ".attn.masked_bias" };
    for (size_t i = 0; i < ARRAY_LEN(tail); i++)
        if (str_ends(name, tail[i]))
            return true;
    return false;
}

static const WeightInfo *find(const Model *m, const Weights *w, const Slot *s)
{
    char buf[512];
    snprintf(buf, sizeof buf, "%s%s", s->prefixed ? m->fam->prefix : "", s->name);
    const WeightInfo *t = weights_find(w, buf);
    if (!t && s->prefixed)
        t = weights_find(w, s->name); /* some files leave the prefix out */
    if (!t && !s->prefixed && m->fam->head) { /* or call the head as everybody does */
        snprintf(buf, sizeof buf, "lm_head%s", strrchr(s->name, '.'));
        t = weights_find(w, buf);
    }
    return t;
}

static int check_shape(const Weights *w, const WeightInfo *t, const Slot *s, Err *e)
{
    const int64_t d0 = s->transposed ? s->dim[1] : s->dim[0], d1 = s->transposed ? s->dim[0] : s->dim[1];
    if (t->rank == s->rank && t->dim[0] == d0 && (s->rank != 2 || t->dim[1] == d1))
        return 0;
    char got[128] = "";
    for (int i = 0, n = 0; i < t->rank && n < 100; i++)
        n += snprintf(got + n, sizeof got - (size_t)n, "%s%lld", i ? ", " : "", (long long)t->dim[i]);
    if (s->rank == 2)
        return err_set(e, ERR_INPUT, "%s: %s has shape [%s], config.json says [%lld, %lld]", weights_where(w, t), t->name, got, (long long)d0,
                       (long long)d1);
    return err_set(e, ERR_INPUT, "%s: %s has shape [%s], config.json says [%lld]", weights_where(w, t), t->name, got, (long long)d0);
}

/* ---- where a weight lies: mapped, copied as it is stored, or as plain numbers ---- */

static int make_tensor(Model *m, const Slot *s, DType type, Err *e)
{
    *s->at = tarena_tensor(&m->weights, s->name, type, s->rank, s->dim);
    if (!*s->at) {
        tarena_failed(&m->weights, e);
        return err_wrap(e, "%s: %s", m->path, s->name);
    }
    return 0;
}

/* A tensor whose numbers are the file's own bytes, or a copy of them on the device: nobody writes to a frozen weight. */
static void map_tensor(Model *m, Slot *s, DType type, const void *data)
{
    Tensor *t = *s->at = arena_alloc(&m->names, sizeof *t);
    *t = (Tensor){ .name = s->name, .dtype = type, .rank = s->rank, .dim = { s->dim[0], s->dim[1] }, .ld = s->dim[1], .be = m->be,
                   .data = m->be->host ? (void *)(uintptr_t)data : NULL };
    s->mapped = data;
}

#define CHECK_RUN 4096 /* numbers looked at at once; a multiple of every block */

/* The exponent's bits are all ones in infinities and NaNs, and in nothing else. Four numbers at a time: those bits turned round are zero only there, so that
 * adding 0x7fff to each sets its highest bit in all others. */
static bool all_finite16(const uint16_t *v, int64_t n, uint16_t exponent)
{
    const uint64_t each = 0x0001000100010001u, high = 0x8000 * each;
    uint64_t       four, good = high;
    int64_t        i = 0;
    for (; i + 4 <= n; i += 4) {
        memcpy(&four, v + i, sizeof four);
        good &= (~four & (exponent * each)) + 0x7fff * each;
    }
    for (; i < n; i++)
        good &= (v[i] & exponent) == exponent ? 0 : high;
    return good == high;
}

static bool all_finite(const void *v, DType type, int64_t n)
{
    float    wide[CHECK_RUN];
    unsigned bad = 0;
    if (type == DT_F16 || type == DT_BF16)
        return all_finite16(v, n, type == DT_F16 ? 0x7c00 : 0x7f80);
    dtype_to_f32(wide, v, type, n);
    for (int64_t i = 0; i < n; i++)
        bad |= (unsigned)!isfinite(wide[i]);
    return !bad;
}

#define CHECK_PIECE (256 * CHECK_RUN) /* numbers of one piece: the whole model is read at every opening, so all threads do it */

typedef struct Check { const void *v; DType type; int64_t n; _Atomic int64_t bad; } Check; /* bad: first number of the first run that has one; n: none */

static void check_piece(void *ctx, int64_t piece, int worker)
{
    Check        *c = ctx;
    const int64_t end = MIN(c->n, (piece + 1) * CHECK_PIECE);
    (void)worker;
    for (int64_t i = piece * CHECK_PIECE; i < end; i += CHECK_RUN)
        if (!all_finite((const char *)c->v + dtype_bytes(c->type, i), c->type, MIN(end - i, CHECK_RUN))) {
            int64_t first = atomic_load(&c->bad);
            while (i < first && !atomic_compare_exchange_weak(&c->bad, &first, i)) {}
            return;
        }
}

static int check_finite(Pool *pool, const Weights *w, const WeightInfo *t, const void *v, DType type, Err *e)
{
    Check c = { .v = v, .type = type, .n = t->count, .bad = t->count };
    parallel_for(pool, (c.n + CHECK_PIECE - 1) / CHECK_PIECE, check_piece, &c);
    const int64_t bad = atomic_load(&c.bad);
    if (bad == c.n)
        return 0;
    return err_set(e, ERR_INPUT, "%s: %s holds a value that is not a number among elements %lld to %lld; the file is damaged", weights_where(w, t), t->name,
                   (long long)bad, (long long)MIN(t->count, bad + CHECK_RUN) - 1);
}

typedef struct Checking { Pool *pool; const Weights *w; const WeightInfo *t; const void *v; int rc; Err err; } Checking;

static void check_beside(void *ctx)
{
    Checking *c = ctx;
    c->rc = check_finite(c->pool, c->w, c->t, c->v, c->t->kernel, &c->err);
}

/* From the file's pages straight to the device, while the other threads look at the numbers: a page that either brings in is there for both. */
static int upload_checked(Model *m, Pool *pool, const Weights *w, const WeightInfo *t, void *dst, const void *v, Err *e)
{
    Checking c = { .pool = pool, .w = w, .t = t, .v = v };
    Beside  *beside = beside_start(check_beside, &c);
    if (dst)
        m->be->upload(m->be, dst, v, dtype_bytes(t->kernel, t->count));
    beside_join(beside);
    if (c.rc && e)
        *e = c.err;
    return c.rc;
}

/* A matrix as the file stores it. Kernels read every stored type while they pack it, with the same bits in a result of five rows or more as from its
 * f32 numbers. */
static int keep_stored(Model *m, Pool *pool, const Weights *w, const WeightInfo *t, Slot *s, Err *e)
{
    const void *mapped = weights_mapped(w, t);
    void       *v = NULL, *dst = NULL;
    int         rc;
    if (mapped && m->be->host) {
        map_tensor(m, s, t->kernel, mapped);
        rc = check_finite(pool, w, t, mapped, t->kernel, e);
        weights_forget(w, t); /* until a block is run */
        return rc;
    }
    if (mapped && s->layer >= 0) {
        map_tensor(m, s, t->kernel, mapped);
        rc = stream_place(m, s, &dst, e);
    } else if (!(rc = make_tensor(m, s, t->kernel, e))) {
        dst = (*s->at)->data;
    }
    if (!rc && !mapped) {
        v = mem_alloc(dtype_bytes(t->kernel, t->count));
        rc = weights_rows(w, t, v, e);
    }
    rc = rc ? rc : upload_checked(m, pool, w, t, dst, mapped ? mapped : v, e);
    free(v);
    if (!rc)
        weights_forget(w, t);
    return rc;
}

/* Half the memory, and twice the speed where memory is the limit, when 16 bits hold every number; else f32. `half` has room for n of `to`. */
static bool narrows(void *half, const float *v, DType to, int64_t n)
{
    float back[CHECK_RUN];
    for (int64_t i = 0; i < n; i += CHECK_RUN) {
        const int64_t len = MIN(n - i, CHECK_RUN);
        char         *h = (char *)half + dtype_bytes(to, i);
        dtype_from_f32(h, v + i, to, len);
        dtype_to_f32(back, h, to, len);
        if (memcmp(back, v + i, (size_t)len * sizeof *back) != 0)
            return false;
    }
    return true;
}

static int keep_numbers(Model *m, const Slot *s, float *v, DType best, bool trainable, Err *e)
{
    const int64_t n = s->dim[0] * s->dim[1];
    void         *half = s->rank == 2 && !trainable && best != DT_F32 ? mem_alloc(dtype_bytes(best, MAX(n, 1))) : NULL;
    const bool    fits = half && narrows(half, v, best, n);
    int           rc = make_tensor(m, s, fits ? best : DT_F32, e);
    if (!rc)
        m->be->upload(m->be, (*s->at)->data, fits ? half : v, dtype_bytes((*s->at)->dtype, n));
    free(half);
    return rc;
}

/* A linear of a block as QLoRA has it: NF4, double quantised, blocks of 64 that run through the matrix. Where a row is no whole number of
 * blocks no tensor can hold them, and the numbers they stand for are kept instead. */
static int keep_nf4(Model *m, const Slot *s, float *v, Err *e)
{
    const int64_t n = s->dim[0] * s->dim[1];
    void         *blocks = mem_alloc(dtype_bytes(DT_NF4, (n + 63) / 64 * 64));
    int           rc;
    pack_nf4_blocks(blocks, v, n);
    if (s->dim[1] % 64) {
        float *wide = mem_alloc((size_t)((n + 63) / 64 * 64) * sizeof *wide);
        dtype_to_f32(wide, blocks, DT_NF4, (n + 63) / 64 * 64);
        rc = keep_numbers(m, s, wide, DT_F32, false, e);
        m->unblocked++;
        free(wide);
    } else if (!(rc = make_tensor(m, s, DT_NF4, e))) {
        m->be->upload(m->be, (*s->at)->data, blocks, dtype_bytes(DT_NF4, n));
    }
    free(blocks);
    return rc;
}

static bool is_router(const Slot *s)
{
    return s->linear >= 0 && ((const Linear *)(const void *)s->at)->router; /* `at` is the first member of its Linear */
}

static bool is_packed_while_loaded(const ModelOptions *o, const WeightInfo *t, const Slot *s)
{
    return o->nf4 && !t->packed && s->linear >= 0 && s->rank == 2 && !is_router(s);
}

/* As the file has it, or turned: whoever packs a matrix packs it as [out, in]. */
static Slot slot_stored(const Slot *s, const WeightInfo *t)
{
    Slot stored = *s;
    stored.transposed &= !t->packed;
    return stored;
}

static bool is_kept_stored(const ModelOptions *o, const WeightInfo *t, const Slot *s)
{
    const Slot stored = slot_stored(s, t);
    return t->readable && s->rank == 2 && slot_same_layout(&stored) && t->kernel != DT_COUNT && !o->trainable && !is_packed_while_loaded(o, t, s);
}

/* Before anything is loaded to a device: are its weights more than may be taken, so that those that lie in the file as kernels read them are to be streamed? */
static bool must_stream(const Model *m, const Weights *w, const ModelOptions *o)
{
    DeviceMemory have;
    size_t       all = 0, could = 0;
    if (m->be->host || !m->be->memory || !m->be->memory(m->be, &have))
        return false;
    for (int i = 0; i < m->slots->n; i++) {
        const Slot       *s = &m->slots->p[i];
        const WeightInfo *t = find(m, w, s);
        if (t && is_kept_stored(o, t, s) && s->layer >= 0 && weights_mapped(w, t))
            could += dtype_bytes(t->kernel, t->count);
        if (t)
            all += is_kept_stored(o, t, s) ? dtype_bytes(t->kernel, t->count) : is_packed_while_loaded(o, t, s) ? (size_t)t->count * 9 / 16
                                                                              : (size_t)t->count * (s->rank == 2 && !o->trainable ? dtype_size(t->dtype) : sizeof(float));
    }
    return could && all + have.held > (o->memory ? o->memory : have.held + have.free);
}

static int load_slot(Model *m, Pool *pool, const Weights *w, Slot *s, const ModelOptions *o, Map *used, Err *e)
{
    const WeightInfo *t = find(m, w, s);
    if (!t)
        return err_set(e, ERR_INPUT, "%s: the weights lack %s%s, which config.json asks for", m->path, s->prefixed ? m->fam->prefix : "", s->name);
    const Slot stored = slot_stored(s, t);
    int rc = check_shape(w, t, &stored, e);
    if (rc)
        return rc;
    if (o->trainable && t->packed)
        return err_set(e, ERR_INPUT, "%s: %s is packed, and what full training learns could not be stored in it; use method lora, or the model in 16 bits",
                       weights_where(w, t), t->name);
    map_put(used, str_of(t->name), 1);
    s->file_name = arena_strdup(&m->names, t->name);
    if (s->linear >= 0)
        m->file_dtype = t->dtype;
    m->packed |= t->packed;
    const bool nf4 = is_packed_while_loaded(o, t, s);
    m->nf4 |= nf4;
    if (is_kept_stored(o, t, s))
        return keep_stored(m, pool, w, t, s, e);

    float *host = mem_alloc((size_t)MAX(t->count, 1) * sizeof(float) * (slot_same_layout(&stored) ? 1 : 2));
    rc = weights_read(w, t, 0, t->count, host, e);
    rc = rc ? rc : check_finite(pool, w, t, host, DT_F32, e);
    float *dense = host;
    if (!rc && !slot_same_layout(&stored)) {
        dense = host + t->count;
        slot_from_file(m, &stored, dense, host);
    }
    if (!rc)
        rc = nf4 ? keep_nf4(m, s, dense, e) : keep_numbers(m, s, dense, t->dtype, o->trainable, e);
    free(host);
    if (!rc)
        weights_forget(w, t);
    return rc;
}

static int same_numbers(const Weights *w, const WeightInfo *a, const WeightInfo *b, bool *same, Err *e)
{
    int rc = 0;
    *same = a->count == b->count && a->rank == 2 && b->rank == 2 && a->dim[1] == b->dim[1];
    if (!*same)
        return 0;
    float *row = mem_alloc((size_t)MAX(2 * a->dim[1], 1) * sizeof *row);
    for (int64_t i = 0; i < a->count && *same && !rc; i += a->dim[1]) {
        rc = weights_read(w, a, i, a->dim[1], row, e);
        rc = rc ? rc : weights_read(w, b, i, a->dim[1], row + a->dim[1], e);
        *same = !rc && memcmp(row, row + a->dim[1], (size_t)a->dim[1] * sizeof *row) == 0;
    }
    free(row);
    return rc;
}

/* A tied model may still carry lm_head.weight; it must then be the embedding, or somebody's tool trained a head that would be lost. */
static int check_tied(const Model *m, const Weights *w, Map *used, Err *e)
{
    const WeightInfo *head = m->cfg.tied ? weights_find(w, "lm_head.weight") : NULL;
    if (!head)
        return 0;
    char name[256];
    snprintf(name, sizeof name, "%s%s.weight", m->fam->prefix, m->fam->embed);
    const WeightInfo *embed = weights_find(w, name);
    if (!embed) /* a file without prefixes */
        embed = weights_find(w, name + strlen(m->fam->prefix));
    bool same = false;
    int  rc = embed ? same_numbers(w, head, embed, &same, e) : 0;
    if (rc)
        return rc;
    if (!same)
        return err_set(e, ERR_INPUT, "%s: config.json ties lm_head.weight to %s, but the file holds two different tables; set tie_word_embeddings to "
                       "false to keep the head", weights_where(w, head), name);
    map_put(used, str_of("lm_head.weight"), 1);
    return 0;
}

static int check_leftovers(const Weights *w, const Map *used, Err *e)
{
    int64_t dummy;
    for (size_t i = 0; i < w->n; i++) {
        const WeightInfo *t = &w->info[i];
        if (!map_get(used, str_of(t->name), &dummy) && !is_constant(str_of(t->name)))
            return err_set(e, ERR_INPUT, "%s: %s has no place in the model that config.json describes", weights_where(w, t), t->name);
    }
    return 0;
}

static void finish(Model *m)
{
    const SlotList *l = m->slots;
    m->linear = mem_zalloc((size_t)MAX(m->n_linear, 1), sizeof *m->linear);
    m->param = mem_zalloc((size_t)l->n, sizeof *m->param);
    for (int i = 0; i < l->n; i++) {
        const Slot *s = &l->p[i];
        m->param[m->n_param++] = (Param){ *s->at, s->decays };
    }
    for (int i = 0; i < l->n; i++)
        if (l->p[i].linear >= 0) /* `at` is the first member of its Linear */
            m->linear[l->p[i].linear] = *(const Linear *)(const void *)l->p[i].at;
    if (m->cfg.tied)
        m->head_w = m->embed;
}

/* Where a model lies: a folder, or one GGUF file that says the same. */
typedef struct Source {
    HfDir      *dir;
    GgufModel  *file;
    Weights    *opened;         /* of the folder */
    const Json *config, *generation;
    const Weights *weights;     /* NULL: there are none */
    char       *where;          /* what errors call the configuration */
} Source;

static int source_open(Source *s, const char *path, Err *e)
{
    int rc;
    if (gguf_path_is(path)) {
        if ((rc = gguf_model_open(&s->file, path, e)))
            return rc;
        s->config = s->file->config;
        s->generation = s->file->generation;
        s->weights = s->file->weights;
        s->where = mem_strdup(path);
        return 0;
    }
    if ((rc = hf_dir_open(&s->dir, path, e)))
        return rc;
    if (!s->dir->config)
        return err_set(e, ERR_INPUT, "%s: this is an adapter, not a model; name its base model, and this folder as --adapter", path);
    s->config = s->dir->config;
    s->generation = s->dir->generation;
    s->where = path_join(path, "config.json");
    if (s->dir->weights && (rc = weights_open_hf(&s->opened, s->dir->weights, s->dir->config, s->where, e)))
        return rc;
    s->weights = s->opened;
    return 0;
}

static void source_close(Source *s)
{
    weights_close(s->opened);
    gguf_model_close(s->file);
    hf_dir_close(s->dir);
    free(s->where);
}

static int begin(Model **out, const char *path, const Source *s, Backend *be, Err *e)
{
    Model *m = *out = mem_zalloc(1, sizeof *m);
    m->be = be;
    m->path = mem_strdup(path);
    m->file_dtype = DT_F32;
    tarena_init(&m->weights, be);
    tarena_init(&m->blocks, be);
    tarena_init(&m->rope_arena, be);
    int rc = model_config_read(&m->cfg, &m->fam, s->config, s->generation, s->where, e);
    if (!rc)
        slots_build(m);
    return rc;
}

void model_metadata(const StFile *f, const char *key, char out[SHA256_HEX])
{
    const Str v = st_metadata(f, key);
    size_t    n = 0;
    while (n < v.n && (v.p[n] == '-' || (v.p[n] >= '0' && v.p[n] <= '9') || (v.p[n] >= 'a' && v.p[n] <= 'z')))
        n++;
    snprintf(out, SHA256_HEX, "%.*s", n == v.n && n < SHA256_HEX ? (int)n : 0, v.p ? v.p : "");
}

int model_open(Model **out, const char *path, Backend *be, const ModelOptions *o, Err *e)
{
    static const ModelOptions frozen;
    Source         s = { 0 };
    Model         *m = NULL;
    const Weights *w;
    Map           *used = map_new();
    Pool          *pool = model_pool(be);
    int            rc = source_open(&s, path, e);
    o = o ? o : &frozen;
    if (rc || (rc = begin(&m, path, &s, be, e)))
        goto done;
    if (s.dir && s.dir->weights)
        model_metadata(s.dir->weights, CHAT_TEMPLATE_KEY, m->chat_template);
    if (!(w = s.weights)) {
        rc = err_set(e, ERR_INPUT, "%s: there is a config.json but no model.safetensors (and no model.safetensors.index.json)", path);
        goto done;
    }
    m->stream = must_stream(m, w, o);
    for (int i = 0; i < m->slots->n; i++)
        if ((rc = load_slot(m, pool, w, &m->slots->p[i], o, used, e)))
            goto done;
    if ((rc = check_tied(m, w, used, e)) || (rc = check_leftovers(w, used, e)))
        goto done;
    finish(m);
    rc = m->stream ? model_stream(m, true, e) : 0;
    rc = rc ? rc : model_reserve_positions(m, MIN(m->cfg.max_positions, 2048), e);
    *(m->source = mem_alloc(sizeof s)) = s; /* mapped weights lie in it */
    s = (Source){ 0 };
done:
    pool_free(pool);
    map_free(used);
    source_close(&s);
    if (rc) {
        model_close(m);
        m = NULL;
    }
    *out = m;
    return rc;
}

#define DRAW_RUN (256 * RNG_GROUP) /* numbers of one piece */

typedef struct Draw { char *to; DType type; int64_t n; Rng from; float std; } Draw;

static void draw_piece(void *ctx, int64_t piece, int worker)
{
    const Draw   *d = ctx;
    const int64_t at = piece * DRAW_RUN;
    Rng           r = d->from;
    float         v[RNG_GROUP];
    (void)worker;
    r.index = (uint64_t)at;
    for (int64_t i = at; i < MIN(d->n, at + DRAW_RUN); i += RNG_GROUP) {
        const int64_t n = MIN(d->n - i, RNG_GROUP);
        rng_normals(&r, v, RNG_GROUP);
        for (int k = 0; k < RNG_GROUP; k++)
            v[k] *= d->std;
        dtype_from_f32(d->to + dtype_bytes(d->type, i), v, d->type, n);
    }
}

static int draw_slot(Model *m, const Slot *s, DType keep, uint64_t seed, uint64_t number, Pool *pool, Err *e)
{
    int rc = make_tensor(m, s, s->rank == 2 ? keep : DT_F32, e);
    if (rc)
        return rc;
    Tensor       *t = *s->at;
    const int64_t n = tensor_numel(t);
    const bool    residual = str_ends(str_of(s->name), "o_proj.weight") || str_ends(str_of(s->name), "down_proj.weight") ||
                          str_ends(str_of(s->name), "c_proj.weight") || str_ends(str_of(s->name), ".w2.weight");
    const double std = m->cfg.init_std * (residual ? 1 / sqrt(2.0 * (double)m->cfg.layers) : 1);
    const bool   norm_weight = s->rank == 1 && str_ends(str_of(s->name), ".weight");
    if (s->rank == 1) {
        m->be->fill(m->be, t, norm_weight ? 1 : 0);
        return 0;
    }
    Draw d = { .to = mem_alloc(dtype_bytes(keep, n)), .type = keep, .n = n, .from = rng_at(seed, RNG_WEIGHT_INIT, number, 0), .std = (float)std };
    parallel_for(pool, (n + DRAW_RUN - 1) / DRAW_RUN, draw_piece, &d);
    m->be->upload(m->be, t->data, d.to, dtype_bytes(keep, n));
    free(d.to);
    return 0;
}

int model_open_random(Model **out, const char *config_dir, Backend *be, DType keep, uint64_t seed, Err *e)
{
    Source s = { 0 };
    Model *m = NULL;
    Pool  *pool = model_pool(be);
    int    rc = source_open(&s, config_dir, e);
    if (rc || (rc = begin(&m, config_dir, &s, be, e)))
        goto done;
    for (int i = 0; i < m->slots->n; i++)
        if ((rc = draw_slot(m, &m->slots->p[i], keep, seed, (uint64_t)i, pool, e)))
            goto done;
    finish(m);
    rc = model_reserve_positions(m, MIN(m->cfg.max_positions, 2048), e);
done:
    pool_free(pool);
    source_close(&s);
    if (rc) {
        model_close(m);
        m = NULL;
    }
    *out = m;
    return rc;
}

#define REPEATED ((int64_t)1 << 23) /* numbers drawn; a multiple of every block */

/* One tensor full of them. */
static int repeat_slot(Model *m, const Slot *s, DType keep, const void *drawn, Err *e)
{
    const int rc = make_tensor(m, s, s->rank == 2 ? keep : DT_F32, e);
    if (rc)
        return rc;
    Tensor       *t = *s->at;
    const int64_t n = tensor_numel(t);
    if (s->rank == 1)
        m->be->fill(m->be, t, str_ends(str_of(s->name), ".weight") ? 1 : 0);
    for (int64_t at = 0; s->rank == 2 && at < n; at += REPEATED)
        m->be->upload(m->be, (char *)t->data + dtype_bytes(keep, at), drawn, dtype_bytes(keep, MIN(REPEATED, n - at)));
    return 0;
}

int model_open_repeated(Model **out, const char *config_dir, Backend *be, DType keep, bool trainable, Err *e)
{
    const DType plain = trainable ? DT_F32 : keep == DT_NF4 ? DT_BF16 : keep;
    Source s = { 0 };
    Model *m = NULL;
    Pool  *pool = model_pool(be);
    float *v = mem_alloc((size_t)REPEATED * sizeof *v);
    void  *drawn[2] = { mem_alloc(dtype_bytes(plain, REPEATED)), mem_alloc(dtype_bytes(DT_NF4, REPEATED)) };
    int    rc = source_open(&s, config_dir, e);
    if (rc || (rc = begin(&m, config_dir, &s, be, e)))
        goto done;
    Draw d = { .to = (char *)v, .type = DT_F32, .n = REPEATED, .from = rng_at(1, RNG_WEIGHT_INIT, 0, 0), .std = (float)m->cfg.init_std };
    parallel_for(pool, (REPEATED + DRAW_RUN - 1) / DRAW_RUN, draw_piece, &d);
    dtype_from_f32(drawn[0], v, plain, REPEATED);
    pack_nf4_blocks(drawn[1], v, REPEATED);
    for (int i = 0; i < m->slots->n && !rc; i++) {
        const Slot *slot = &m->slots->p[i];
        const bool  nf4 = keep == DT_NF4 && !trainable && slot->linear >= 0 && slot->rank == 2 && !is_router(slot) && slot->dim[1] % 64 == 0;
        rc = repeat_slot(m, slot, nf4 ? DT_NF4 : plain, drawn[nf4], e);
    }
    if (!rc) {
        finish(m);
        rc = model_reserve_positions(m, MIN(m->cfg.max_positions, 2048), e);
    }
done:
    free(v);
    free(drawn[0]);
    free(drawn[1]);
    pool_free(pool);
    source_close(&s);
    if (rc) {
        model_close(m);
        m = NULL;
    }
    *out = m;
    return rc;
}

void model_close(Model *m)
{
    if (!m)
        return;
    tarena_release(&m->weights);
    stream_close(m);
    tarena_release(&m->rope_arena);
    arena_release(&m->names);
    if (m->slots)
        free(m->slots->p);
    free(m->slots);
    for (int64_t i = 0; m->block && i < m->cfg.layers; i++)
        free(m->block[i].expert);
    free(m->block);
    free(m->linear);
    free(m->param);
    if (m->source)
        source_close(m->source);
    free(m->source);
    free(m->path);
    free(m);
}

int64_t model_param_count(const Model *m)
{
    int64_t n = 0;
    for (int i = 0; i < m->n_param; i++)
        n += tensor_numel(m->param[i].w);
    return n;
}

int64_t model_active_count(const Model *m)
{
    int64_t n = model_param_count(m);
    for (int64_t i = 0; i < m->cfg.layers; i++)
        if (m->block[i].expert)
            n -= (m->cfg.experts - m->cfg.top_k) * 3 * m->cfg.expert_ffn * m->cfg.hidden;
    return n;
}
