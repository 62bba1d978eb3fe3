/* lora.c - adapters: make, read, write. The product itself is op_linear. Files are PEFT's: adapter_config.json and adapter_model.safetensors with
 * base_model.model.<module>.lora_A.weight [r, in] and .lora_B.weight [out, r]. An option of PEFT that would change the mathematics and
 * that hone does not compute is refused by name. Whole tables beside the pairs: lora_tables.c. Invariant: an adapter that opened adapts at least one linear,
 * each by a full pair, or brings a table. */
#include "model/lora_int.h"

#include "model/gguf_save.h"
#include "model/model_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/thread.h"
#include "base/rng.h"

#define BASE_PACKING_KEY "hone.base_packing" /* "nf4": trained on a base that was packed while it loaded */

Adapter *adapter_alloc(const Model *m)
{
    Adapter *a = mem_zalloc(1, sizeof *a);
    a->n_pair = m->n_linear;
    a->pair = mem_zalloc((size_t)MAX(m->n_linear, 1), sizeof *a->pair);
    tarena_init(&a->arena, m->be);
    return a;
}

static void set_scale(Adapter *a)
{
    a->scale = (float)(a->alpha / (a->rslora ? sqrt((double)a->rank) : (double)a->rank));
}

int adapter_pair_make(Adapter *a, const Model *m, int i, Err *e)
{
    const Linear *l = &m->linear[i];
    LoraPair     *p = &a->pair[i];
    p->a = tarena_tensor(&a->arena, l->module, DT_F32, 2, (int64_t[]){ a->rank, l->w->dim[1] });
    p->b = tarena_tensor(&a->arena, l->module, DT_F32, 2, (int64_t[]){ l->w->dim[0], a->rank });
    a->n_adapted++;
    if (tarena_failed(&a->arena, e))
        return err_wrap(e, "the adapter for %s", l->module);
    return 0;
}

static Str last_part(const char *module)
{
    const char *dot = strrchr(module, '.');
    return str_of(dot ? dot + 1 : module);
}

/* PEFT's rule: a target names a module when it is its whole name or its last parts ("attn.c_proj" is not "mlp.c_proj"). */
static bool target_hits(Str target, const char *module)
{
    const size_t n = strlen(module);
    return target.n <= n && memcmp(module + n - target.n, target.p, target.n) == 0 && (target.n == n || module[n - target.n - 1] == '.');
}

static int unknown_target(const Model *m, Str target, Err *e)
{
    StrBuf names = { 0 };
    Map   *seen = map_new();
    for (int i = 0; i < m->n_linear; i++)
        if (map_put(seen, last_part(m->linear[i].module), 1)) {
            Str s = last_part(m->linear[i].module);
            strbuf_addf(&names, "%s%.*s", names.n ? ", " : "", (int)s.n, s.p);
        }
    int rc = err_set(e, ERR_ARG, "target-modules: no linear of this model is called \"%.*s\"; it has %s (or say all)", (int)MIN(target.n, 80), target.p,
                     strbuf_z(&names));
    strbuf_release(&names);
    map_free(seen);
    return rc;
}

/* Marks in `chosen` the linears that the comma-separated list names. */
static int choose(const Model *m, const char *targets, bool *chosen, Err *e)
{
    for (const char *p = targets; *p;) {
        const size_t n = strcspn(p, ",");
        const Str    t = { p, n };
        bool         hit = false;
        for (int i = 0; i < m->n_linear; i++)
            if ((str_eqz(t, "all") && !m->linear[i].router) || target_hits(t, m->linear[i].module))
                hit = chosen[i] = true;
        if (!hit)
            return unknown_target(m, t, e);
        p += n + (p[n] == ',');
    }
    return 0;
}

#define INIT_AT_ONCE 64 /* pairs drawn on all threads before they are put where they belong */

typedef struct Init { const Adapter *a; uint64_t seed; int first; float *v[INIT_AT_ONCE]; } Init;

/* Every pair has random numbers of its own, so it does not matter which thread draws them. */
static void draw_pair(void *ctx, int64_t piece, int worker)
{
    Init           *in = ctx;
    const Tensor   *t = in->a->pair[in->first + piece].a;
    (void)worker;
    if (!t)
        return;
    const int64_t n = tensor_numel(t);
    const double  bound = 1 / sqrt((double)tensor_cols(t));
    float        *v = in->v[piece] = mem_alloc((size_t)MAX(n, 1) * sizeof *v);
    Rng           r = rng_at(in->seed, RNG_LORA_INIT, (uint64_t)(in->first + piece), 0);
    for (int64_t i = 0; i < n; i++)
        v[i] = (float)((2 * rng_unit(&r) - 1) * bound);
}

/* A backend has one caller at a time, so the threads only draw. */
static void init_pairs(const Adapter *a, const Model *m, uint64_t seed)
{
    Pool *pool = model_pool(m->be);
    for (int first = 0; first < a->n_pair; first += INIT_AT_ONCE) {
        Init      in = { .a = a, .seed = seed, .first = first };
        const int n = MIN(INIT_AT_ONCE, a->n_pair - first);
        parallel_for(pool, n, draw_pair, &in);
        for (int i = 0; i < n; i++) {
            const Tensor *t = a->pair[first + i].a;
            if (t)
                m->be->upload(m->be, t->data, in.v[i], (size_t)tensor_numel(t) * sizeof(float));
            free(in.v[i]);
        }
    }
    pool_free(pool);
}

int adapter_new(Adapter **out, const Model *m, const char *targets, int rank, double alpha, bool rslora, uint64_t seed, Err *e)
{
    bool    *chosen = mem_zalloc((size_t)MAX(m->n_linear, 1), sizeof *chosen);
    Adapter *a = adapter_alloc(m);
    int      rc = choose(m, targets, chosen, e);
    a->rank = rank;
    a->alpha = alpha;
    a->rslora = rslora;
    a->base = mem_strdup(m->path);
    set_scale(a);
    for (int i = 0; i < m->n_linear && !rc; i++)
        if (chosen[i] && !(rc = adapter_pair_make(a, m, i, e)))
            m->be->fill(m->be, a->pair[i].b, 0);
    if (!rc)
        init_pairs(a, m, seed);
    if (!rc && !a->n_adapted)
        rc = err_set(e, ERR_ARG, "target-modules: the list is empty; name the linears to adapt, or say all");
    free(chosen);
    if (rc) {
        adapter_free(a);
        a = NULL;
    }
    *out = a;
    return rc;
}

void adapter_free(Adapter *a)
{
    if (!a)
        return;
    tarena_release(&a->arena);
    free(a->pair);
    free(a->base);
    free(a);
}

/* --- reading --------------------------------------------------------------------------------------------------------------------------- */

/* Options of adapter_config.json that must be off (absent, null, false, empty, zero) because hone does not compute them. */
static const char *const must_be_off[] = {
    "use_dora", "lora_bias", "rank_pattern", "alpha_pattern", "layer_replication", "megatron_config", "trainable_token_indices",
    "use_qalora", "alora_invocation_tokens", "target_parameters", "use_bdlora", "kasa_config", "velora_config", "monteclora_config", "arrow_config",
};

static bool is_off(const Json *v)
{
    if (!v)
        return true;
    switch (json_kind(v)) {
    case JSON_NULL:   return true;
    case JSON_BOOL:   return !json_bool(v);
    case JSON_ARRAY:
    case JSON_OBJECT: return json_len(v) == 0;
    case JSON_INT:
    case JSON_REAL:   return json_num(v) == 0;
    case JSON_STRING: return json_str(v).n == 0;
    }
    return false;
}

static int read_adapter_config(Adapter *a, const Json *j, const char *where, Err *e)
{
    int     rc;
    Str     type, bias = STR_LIT("none"), base = { 0 };
    int64_t rank = 0;
    if ((rc = json_need_str(j, "peft_type", &type, where, e)) || (rc = json_need_int(j, "r", &rank, where, e)) ||
        (rc = json_need_num(j, "lora_alpha", &a->alpha, where, e)) || (rc = json_opt_str(j, "bias", &bias, where, e)) ||
        (rc = json_opt_bool(j, "use_rslora", &a->rslora, where, e)) || (rc = json_opt_str(j, "base_model_name_or_path", &base, where, e)))
        return rc;
    if (!str_eqz(type, "LORA"))
        return err_set(e, ERR_INPUT, "%s: peft_type is \"%.*s\", hone reads LORA", where, (int)MIN(type.n, 40), type.p);
    if (!str_eqz(bias, "none"))
        return err_set(e, ERR_INPUT, "%s: bias is \"%.*s\", hone reads adapters with \"none\"", where, (int)MIN(bias.n, 40), bias.p);
    if (rank < 1 || rank > 1 << 16)
        return err_set(e, ERR_INPUT, "%s: r is %lld, expected 1 to 65536", where, (long long)rank);
    for (size_t i = 0; i < ARRAY_LEN(must_be_off); i++)
        if (!is_off(json_get(j, must_be_off[i])))
            return err_set(e, ERR_INPUT, "%s: %s is set, which hone does not compute; merge the adapter with the tool that made it", where,
                           must_be_off[i]);
    if (!(fabs(a->alpha) <= 1e6))
        return err_set(e, ERR_INPUT, "%s: lora_alpha is %g, expected at most a million", where, a->alpha);
    /* Some initialisations move part of the base weights into the adapter; such an adapter belongs to a base that is not the one in the folder. */
    Str init = json_str(json_get(j, "init_lora_weights"));
    if (init.p && !str_eqz(init, "gaussian") && !str_eqz(init, "orthogonal") && !str_eqz(init, "eva"))
        return err_set(e, ERR_INPUT, "%s: init_lora_weights is \"%.*s\", which changes the base weights as well; merge the adapter with the tool that made it",
                       where, (int)MIN(init.n, 40), init.p);
    a->rank = (int)rank;
    a->base = base.p ? mem_strndup(base.p, base.n) : NULL;
    set_scale(a);
    return 0;
}

static int check_factor(const Adapter *a, const Model *m, const StFile *f, const StTensor *t, int64_t d0, int64_t d1, Err *e)
{
    if (t->rank != 2 || t->dim[0] != d0 || t->dim[1] != d1)
        return err_set(e, ERR_INPUT, "%s: %s has shape [%lld, %lld]; the base model %s and rank %d ask for [%lld, %lld]. The adapter was made for %s",
                       st_where(f, t), t->name, (long long)(t->rank ? t->dim[0] : 0), (long long)(t->rank > 1 ? t->dim[1] : 0), m->path, a->rank,
                       (long long)d0, (long long)d1, a->base ? a->base : "a base that it does not name");
    if (!t->known || (t->dtype != DT_F32 && t->dtype != DT_F16 && t->dtype != DT_BF16))
        return err_set(e, ERR_INPUT, "%s: %s is stored as %s, expected F32, F16 or BF16", st_where(f, t), t->name, t->dtype_text);
    return 0;
}

/* Rows of B lie as in the base model's matrix: for some families not in the order of the file. */
static void order_rows(const Model *m, const Linear *l, float *dst, const float *src, int64_t rows, int64_t cols, bool to_file)
{
    for (int64_t i = 0; i < rows; i++) {
        const int64_t k = linear_file_row(m, l, i);
        memcpy(dst + (to_file ? k : i) * cols, src + (to_file ? i : k) * cols, (size_t)cols * sizeof *dst);
    }
}

static void load_factor(const Model *m, const Linear *rows_of, Tensor *dst, const StTensor *t)
{
    float *v = mem_alloc((size_t)MAX(2 * t->count, 1) * sizeof *v), *out = v;
    dtype_to_f32(v, t->data, t->dtype, t->count);
    if (rows_of && rows_of->by_head)
        order_rows(m, rows_of, out = v + t->count, v, t->dim[0], t->dim[1], false);
    m->be->upload(m->be, dst->data, out, (size_t)t->count * sizeof *v);
    free(v);
}

/* PEFT makes no factors for a linear that target_modules does not name, and passes over what the file has for it. A text is a pattern: not looked into. */
static int check_target(const Json *config, const char *module, const char *where, Err *e)
{
    const Json *targets = json_get(config, "target_modules");
    const Str   name = str_of(module);
    if (!targets || json_kind(targets) != JSON_ARRAY)
        return 0;
    for (size_t i = 0; i < json_len(targets); i++) {
        const Str t = json_str(json_at(targets, i));
        if (t.p && t.n <= name.n && !memcmp(name.p + name.n - t.n, t.p, t.n) && (t.n == name.n || (t.n && name.p[name.n - t.n - 1] == '.')))
            return 0;
    }
    return err_set(e, ERR_INPUT, "%s: target_modules does not name %s, but the adapter has weights for it; PEFT would leave them out. Name it there, or take the "
                   "weights out", where, module);
}

static int load_pairs(Adapter *a, const Model *m, const StFile *f, const Json *config, const char *path, const char *where, Err *e)
{
    Map    *used = map_new();
    int64_t dummy;
    int     rc = 0;
    for (int i = 0; i < m->n_linear && !rc; i++) {
        const Linear   *l = &m->linear[i];
        char            name[2][512];
        snprintf(name[0], sizeof name[0], PEFT_PREFIX "%s.lora_A.weight", l->module);
        snprintf(name[1], sizeof name[1], PEFT_PREFIX "%s.lora_B.weight", l->module);
        const StTensor *ta = st_find(f, name[0]), *tb = st_find(f, name[1]);
        if (!ta && !tb)
            continue;
        if (!ta || !tb) {
            rc = err_set(e, ERR_INPUT, "%s: %s has %s without its partner", path, l->module, ta ? "lora_A" : "lora_B");
        } else if (!(rc = check_target(config, l->module, where, e)) && !(rc = check_factor(a, m, f, ta, a->rank, l->w->dim[1], e)) && !(rc = check_factor(a, m, f, tb, l->w->dim[0], a->rank, e)) &&
                   !(rc = adapter_pair_make(a, m, i, e))) {
            load_factor(m, NULL, a->pair[i].a, ta);
            load_factor(m, l, a->pair[i].b, tb);
            map_put(used, str_of(name[0]), 1);
            map_put(used, str_of(name[1]), 1);
        }
    }
    rc = rc ? rc : adapter_load_tables(a, m, f, config, used, where, e);
    for (size_t i = 0; i < st_count(f) && !rc; i++)
        if (!map_get(used, str_of(st_at(f, i)->name), &dummy))
            rc = err_set(e, ERR_INPUT, "%s: %s fits no linear of the base model %s; the adapter was made for %s", path, st_at(f, i)->name, m->path,
                         a->base ? a->base : "a base that it does not name");
    map_free(used);
    if (rc)
        return rc;
    if (!a->n_adapted && !a->embed && !a->head)
        return err_set(e, ERR_INPUT, "%s: the adapter holds no tensors", path);
    return 0;
}

int adapter_from(Adapter **out, const Model *m, const Json *config, const StFile *f, const char *path, Err *e)
{
    Adapter *a = adapter_alloc(m);
    char    *where = path_join(path, "adapter_config.json");
    int      rc = read_adapter_config(a, config, where, e);
    rc = rc ? rc : load_pairs(a, m, f, config, path, where, e);
    model_metadata(f, CHAT_TEMPLATE_KEY, a->chat_template);
    model_metadata(f, TRAINED_ON_KEY, a->trained_on);
    free(where);
    if (rc) {
        adapter_free(a);
        a = NULL;
    }
    *out = a;
    return rc;
}

/* Names and shapes agree, or adapter_from had refused: so this may be the very base in another packing, or another one. */
static void check_base(const Adapter *a, const Model *m, const char *path)
{
    char now[SHA256_HEX];
    if (!a->trained_on[0])
        return;
    model_fingerprint(m, now);
    if (strcmp(a->trained_on, now) != 0)
        log_warn("adapter", "%s was trained on a base whose weights have the fingerprint %.12s, those of %s have %.12s: a copy with fewer bits (NF4, GGUF), which "
                            "is well, or another model, with which its answers mean nothing; it was trained on %s", path, a->trained_on, m->path, now,
                 a->base ? a->base : "a base that it does not name");
}

int adapter_open(Adapter **out, const Model *m, const char *path, Err *e)
{
    if (gguf_path_is(path))
        return gguf_open_adapter(out, m, path, e);
    char    *config = path_join(path, "adapter_config.json"), *weights = path_join(path, "adapter_model.safetensors");
    Json    *j = NULL;
    StFile  *f = NULL;
    int      rc;
    *out = NULL;
    if (!file_exists(config)) {
        rc = err_set(e, ERR_INPUT, "%s: there is no adapter_config.json, so this is no adapter folder", path);
        goto done;
    }
    if (!(rc = json_read_file(&j, config, e)) && !(rc = st_open(&f, weights, e)))
        rc = adapter_from(out, m, j, f, path, e);
    if (!rc)
        check_base(*out, m, path);
done:
    st_close(f);
    json_free(j);
    free(config);
    free(weights);
    return rc;
}

/* --- writing --------------------------------------------------------------------------------------------------------------------------- */

static int write_config(const Adapter *a, const Model *m, const char *dir, Err *e)
{
    Json  *j = json_obj_new(), *targets = json_arr_new();
    Map   *seen = map_new();
    for (int i = 0; i < m->n_linear; i++)
        if (a->pair[i].a) {
            /* The shortest spelling that PEFT matches and that means exactly the adapted linears: the last part, unless a linear left alone ends the same. */
            Str t = last_part(m->linear[i].module);
            for (int k = 0; k < m->n_linear; k++)
                if (!a->pair[k].a && target_hits(t, m->linear[k].module))
                    t = str_of(m->linear[i].module);
            if (map_put(seen, t, 1))
                json_push(targets, json_str_new(t));
        }
    json_set(j, "peft_type", json_str_new(STR_LIT("LORA")));
    json_set(j, "task_type", json_str_new(STR_LIT("CAUSAL_LM")));
    json_set(j, "base_model_name_or_path", json_str_new(str_of(a->base ? a->base : m->path)));
    json_set(j, "r", json_int_new(a->rank));
    json_set(j, "lora_alpha", a->alpha == floor(a->alpha) ? json_int_new((int64_t)a->alpha) : json_num_new(a->alpha));
    json_set(j, "lora_dropout", json_num_new(0));
    json_set(j, "use_rslora", json_bool_new(a->rslora));
    json_set(j, "bias", json_str_new(STR_LIT("none")));
    json_set(j, "fan_in_fan_out", json_bool_new(m->fam->transposed));
    json_set(j, "target_modules", targets);
    Json *tables = adapter_tables_json(a, m);
    if (json_len(tables))
        json_set(j, "modules_to_save", tables);
    else
        json_free(tables);
    json_set(j, "inference_mode", json_bool_new(true));
    StrBuf text = { 0 };
    json_write(&text, j, true);
    char *path = path_join(dir, "adapter_config.json");
    int   rc = file_write_atomic(path, text.p, text.n, e);
    free(path);
    strbuf_release(&text);
    json_free(j);
    map_free(seen);
    return rc;
}

static int write_factor(const Model *m, const Linear *rows_of, StWriter *w, const Tensor *t, Err *e)
{
    const int64_t n = tensor_numel(t);
    float        *v = mem_alloc((size_t)(2 * n) * sizeof *v), *out = v;
    m->be->download(m->be, v, t->data, (size_t)n * sizeof *v);
    if (rows_of && rows_of->by_head)
        order_rows(m, rows_of, out = v + n, v, t->dim[0], t->dim[1], true);
    int rc = st_write(w, out, (size_t)n * sizeof *v, e);
    free(v);
    return rc;
}

static int write_pairs(const Adapter *a, const Model *m, const char *dir, Err *e)
{
    StWriter *w = NULL;
    Arena     names = { 0 };
    char     *path = path_join(dir, "adapter_model.safetensors");
    int       rc = st_create(&w, path, e);
    if (rc)
        goto done;
    st_meta(w, "format", "pt");
    if (a->chat_template[0])
        st_meta(w, CHAT_TEMPLATE_KEY, a->chat_template);
    if (m->nf4)
        st_meta(w, BASE_PACKING_KEY, "nf4");
    if (a->trained_on[0])
        st_meta(w, TRAINED_ON_KEY, a->trained_on);
    for (int i = 0; i < m->n_linear; i++)
        if (a->pair[i].a) {
            st_declare(w, arena_printf(&names, PEFT_PREFIX "%s.lora_A.weight", m->linear[i].module), DT_F32, 2, a->pair[i].a->dim);
            st_declare(w, arena_printf(&names, PEFT_PREFIX "%s.lora_B.weight", m->linear[i].module), DT_F32, 2, a->pair[i].b->dim);
        }
    adapter_declare_tables(a, m, w, &names);
    for (int i = 0; i < m->n_linear && !rc; i++)
        if (a->pair[i].a && !(rc = write_factor(m, NULL, w, a->pair[i].a, e)))
            rc = write_factor(m, &m->linear[i], w, a->pair[i].b, e);
    if (!rc)
        rc = adapter_write_tables(a, m, w, e);
    if (!rc)
        rc = st_commit(&w, e);
done:
    st_abort(&w);
    arena_release(&names);
    free(path);
    return rc;
}

int adapter_base_options(ModelOptions *o, const char *path, Err *e)
{
    StFile *f = NULL;
    char   *weights = path_join(path, "adapter_model.safetensors");
    int     rc = file_is_dir(path) && file_exists(weights) ? st_open(&f, weights, e) : 0;
    *o = (ModelOptions){ 0 };
    if (!rc && f) {
        const Str packing = st_metadata(f, BASE_PACKING_KEY);
        o->nf4 = str_eqz(packing, "nf4");
        if (packing.n && !o->nf4)
            rc = err_set(e, ERR_INPUT, "%s: this adapter was trained on a base packed as \"%.*s\", which this version of hone does not know", weights,
                         (int)MIN(packing.n, 40), packing.p);
    }
    st_close(f);
    free(weights);
    return rc;
}

int adapter_write(const Adapter *a, const Model *m, const char *dir, Err *e)
{
    const int rc = write_pairs(a, m, dir, e);
    return rc ? rc : write_config(a, m, dir, e);
}

int adapter_save(const Adapter *a, const Model *m, const char *path, Err *e)
{
    char *tmp = NULL;
    int   rc = folder_begin(&tmp, path, e);
    if (!rc && !(rc = adapter_write(a, m, tmp, e)))
        rc = folder_commit(&tmp, path, e);
    folder_abort(&tmp);
    return rc;
}
