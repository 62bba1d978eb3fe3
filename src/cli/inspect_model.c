/* inspect_model.c - see inspect_model.h. A model is looked at through the faces that loading uses too (configuration, Weights, tokenizer), so a problem
 * found here is one that loading would meet. */
#include "cli/inspect_model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "formats/packed.h"
#include "model/gguf_model.h"
#include "tokenizer/chat.h"

#define CACHE_TOKENS 1024

void inspect_text(Json *j, const char *key, const char *text) { json_set(j, key, text ? json_str_new(str_of(text)) : json_null_new()); }
void inspect_int(Json *j, const char *key, int64_t v) { json_set(j, key, json_int_new(v)); }

void inspect_problem(Json *problems, const char *fmt, ...)
{
    char    text[sizeof((Err){ 0 }.text) + 256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    json_push(problems, json_str_new(str_of(text)));
}

/* ---- weights ---- */

static bool is_table(Str name) /* embeddings and heads, by the names that families use */
{
    static const char *const tails[] = { "embed_tokens.weight", "wte.weight", "wpe.weight", "embed_in.weight", "embed_out.weight", "lm_head.weight" };
    for (size_t i = 0; i < ARRAY_LEN(tails); i++)
        if (str_ends(name, tails[i]))
            return true;
    return false;
}

static void add_weights(Json *j, const Weights *w, const Json *config, Json *problems)
{
    Json   *types = json_obj_new();
    int64_t n = 0, nbytes = 0, tables = 0, experts = 0;
    for (size_t i = 0; i < w->n; i++) {
        const WeightInfo *t = &w->info[i];
        n += t->count;
        nbytes += (int64_t)t->nbytes;
        tables += is_table(str_of(t->name)) ? t->count : 0;
        experts += strstr(t->name, ".experts.") ? t->count : 0;
        if (!t->readable && !json_get(types, t->stored))
            inspect_problem(problems, "%s is stored as %s, which hone cannot compute with", t->name, t->stored);
        inspect_int(types, t->stored, json_int(json_get(types, t->stored)) + t->count);
    }
    inspect_int(j, "parameters", n);
    inspect_int(j, "embedding_parameters", tables);
    if (experts) {
        const Json   *all = json_get(config, json_get(config, "num_local_experts") ? "num_local_experts" : "num_experts");
        const int64_t of = json_int(all), used = json_int(json_get(config, "num_experts_per_tok"));
        inspect_int(j, "active_parameters", of > 0 ? n - experts + experts / of * used : n);
    }
    inspect_int(j, "bytes", nbytes);
    inspect_int(j, "tensors", (int64_t)w->n);
    json_set(j, "numbers_by_dtype", types);
}

void inspect_st(const StFile *f, Json *j, Json *problems)
{
    Weights *w = NULL;
    Err      why = { 0 };
    if (weights_open_st(&w, f, &why))
        inspect_problem(problems, "%s", why.text);
    else
        add_weights(j, w, NULL, problems);
    weights_close(w);
}

/* hone computes in f32 whatever the file holds. */
static void add_memory(Json *j, const ModelConfig *c)
{
    Json *m = json_obj_new();
    inspect_int(m, "stored", json_int(json_get(j, "bytes")));
    inspect_int(m, "weights_in_use", json_int(json_get(j, "parameters")) * 4);
    if (c->layers)
        inspect_int(m, "cache_for_1024_tokens", c->layers * 2 * c->kv_heads * c->head_dim * CACHE_TOKENS * 4);
    json_set(j, "memory_bytes", m);
}

/* ---- configuration ---- */

static void add_rope(Json *j, const RopeConfig *r)
{
    static const char *const names[] = { [ROPE_DEFAULT] = "default", [ROPE_LINEAR] = "linear", [ROPE_DYNAMIC] = "dynamic", [ROPE_LLAMA3] = "llama3",
                                         [ROPE_YARN] = "yarn", [ROPE_LONG] = "longrope" };
    Json *o = json_obj_new();
    inspect_text(o, "scaling", names[r->kind]);
    json_set(o, "theta", json_num_new(r->theta));
    inspect_int(o, "rotating", r->rot);
    if (r->kind != ROPE_DEFAULT) {
        json_set(o, "factor", json_num_new(r->factor));
        json_set(o, "original_positions", json_num_new(r->original));
    }
    json_set(j, "rope", o);
}

static void add_config(Json *j, const Json *config, const Json *generation, const char *where, ModelConfig *c, Json *problems)
{
    Err           e = { 0 };
    const Family *f = NULL;
    bool          windows = false;
    json_set(j, "family", json_str_new(json_str(json_get(config, "model_type"))));
    *c = (ModelConfig){ 0 };
    if (model_config_read(c, &f, config, generation, where, &e)) {
        *c = (ModelConfig){ 0 };
        inspect_problem(problems, "%s", e.text);
        return;
    }
    inspect_text(j, "architecture", f->architecture);
    inspect_int(j, "layers", c->layers);
    inspect_int(j, "hidden", c->hidden);
    inspect_int(j, "heads", c->heads);
    inspect_int(j, "kv_heads", c->kv_heads);
    inspect_int(j, "head_dim", c->head_dim);
    inspect_int(j, "ffn", c->ffn);
    inspect_int(j, "vocabulary", c->vocab);
    inspect_int(j, "positions", c->max_positions);
    for (int64_t i = 0; i < MIN(c->layers, LAYERS_MAX); i++)
        windows |= (c->layer[i] & LAYER_WINDOW) != 0;
    if (windows)
        inspect_int(j, "window", c->window);
    if (f->pos == POS_ROPE)
        add_rope(j, &c->rope[ROPE_GLOBAL]);
    json_set(j, "tied", json_bool_new(c->tied));
}

/* ---- tokenizer and template ---- */

static void set_token(Json *j, const char *key, const Tok *tok, int32_t id)
{
    StrBuf text = { 0 };
    Str    name = id >= 0 ? tok_text(tok, id) : (Str){ 0 };
    if (id >= 0)
        strbuf_addf(&text, "%.*s (%d)", (int)name.n, name.p, id);
    inspect_text(j, key, id >= 0 ? strbuf_z(&text) : NULL);
    strbuf_release(&text);
}

static void add_template(Json *j, const Tok *tok, Json *problems)
{
    ChatOut out = { 0 };
    Err     e = { 0 };
    Json   *t = json_obj_new(), *messages = json_arr_new();
    inspect_text(t, "sha256", chat_template_hash(tok));
    cli_message_add(messages, "user", STR_LIT("Hello"));
    cli_message_add(messages, "assistant", STR_LIT("Hi."));
    cli_message_add(messages, "user", STR_LIT("Bye"));
    if (chat_render(tok, messages, true, "the sample conversation", &out, &e))
        inspect_problem(problems, "%s", e.text);
    else
        json_set(t, "sample", json_str_new(strbuf_str(&out.text)));
    json_set(j, "chat_template", t);
    json_free(messages);
    chat_out_release(&out);
}

static void add_tokenizer(Json *j, const char *path, const ModelConfig *c, Json *problems)
{
    Err   e = { 0 };
    Tok  *tok = NULL;
    Json *t = json_obj_new();
    if (tok_open(&tok, path, &e)) {
        inspect_problem(problems, "%s", e.text);
        json_free(t);
        return;
    }
    const int32_t end = chat_terminator(tok, &e), eos = tok_eos(tok);
    bool          model_ends = c->n_eos == 0 || eos < 0;
    inspect_text(t, "kind", tok_kind(tok));
    inspect_int(t, "entries", tok_size(tok));
    set_token(t, "bos", tok, tok_bos(tok));
    set_token(t, "eos", tok, eos);
    set_token(t, "pad", tok, tok_pad(tok));
    set_token(t, "chat_terminator", tok, end);
    if (c->vocab && tok_size(tok) > c->vocab)
        inspect_problem(problems, "the tokenizer has %d entries, the embedding only %lld rows", tok_size(tok), (long long)c->vocab);
    if (end < 0)
        inspect_problem(problems, "%s", e.text);
    for (int i = 0; i < c->n_eos; i++)
        model_ends |= c->eos[i] == eos;
    if (!model_ends)
        inspect_problem(problems, "the tokenizer's end-of-text token has id %d, which config.json and generation_config.json do not name as eos_token_id", eos);
    json_set(j, "tokenizer", t);
    if (end >= 0)
        add_template(j, tok, problems);
    tok_free(tok);
}

/* ---- models ---- */

static void add_excess(const Gguf *g, Json *problems)
{
    if (gguf_excess(g))
        inspect_problem(problems, "%zu bytes stand behind the last tensor, which hone passes over: something was appended, or the file is not what its "
                        "head says; download or copy it again", gguf_excess(g));
}

static int inspect_gguf(const char *path, Json *j, Json *problems, Err *e)
{
    Gguf       *g = NULL;
    GgufModel  *m = NULL;
    ModelConfig c = { 0 };
    Err         why = { 0 };
    int         rc = gguf_open(&g, path, e);
    if (rc)
        return rc;
    inspect_text(j, "container", "GGUF");
    add_excess(g, problems);
    if (gguf_model_from(&m, g, &why)) {
        inspect_problem(problems, "%s", why.text);
        return 0;
    }
    add_config(j, m->config, m->generation, path, &c, problems);
    add_weights(j, m->weights, m->config, problems);
    add_memory(j, &c);
    gguf_model_close(m);
    add_tokenizer(j, path, &c, problems);
    return 0;
}

int inspect_model_at(const char *path, Json *j, Json *problems, Err *e)
{
    HfDir      *d = NULL;
    Weights    *w = NULL;
    ModelConfig c;
    Err         why = { 0 };
    if (gguf_path_is(path))
        return inspect_gguf(path, j, problems, e);
    int rc = hf_dir_open(&d, path, e);
    if (rc)
        return rc;
    char *where = path_join(path, "config.json");
    add_config(j, d->config, d->generation, "config.json", &c, problems);
    if (!d->weights)
        inspect_problem(problems, "there are no weights (model.safetensors); hone init makes random ones");
    else if (weights_open_hf(&w, d->weights, d->config, where, &why))
        inspect_problem(problems, "%s", why.text);
    else
        add_weights(j, w, d->config, problems);
    if (w)
        add_memory(j, &c);
    add_tokenizer(j, path, &c, problems);
    weights_close(w);
    hf_dir_close(d);
    free(where);
    return 0;
}

/* ---- adapters ---- */

bool inspect_is_gguf_adapter(const char *path)
{
    Gguf *g = NULL;
    Str   type = { 0 };
    if (!gguf_path_is(path) || gguf_open(&g, path, NULL))
        return false;
    const bool adapter = !gguf_opt_str(g, "general.type", &type, NULL) && str_eqz(type, "adapter");
    gguf_close(g);
    return adapter;
}

static int inspect_gguf_adapter(const char *path, Json *j, Json *problems, Err *e)
{
    Gguf   *g = NULL;
    Str     arch = { 0 }, type = { 0 };
    double  alpha = 0;
    int64_t rank = 0, numbers = 0;
    int     rc = gguf_open(&g, path, e);
    if (rc || (rc = gguf_opt_str(g, "general.architecture", &arch, e)) || (rc = gguf_opt_str(g, "adapter.type", &type, e)) ||
        (rc = gguf_opt_num(g, "adapter.lora.alpha", &alpha, e)))
        goto done;
    inspect_text(j, "container", "GGUF");
    add_excess(g, problems);
    json_set(j, "method", json_str_new(type));
    json_set(j, "architecture", json_str_new(arch));
    for (size_t i = 0; i < gguf_count(g); i++) {
        const GgufTensor *t = gguf_at(g, i);
        numbers += t->count;
        if (str_ends(str_of(t->name), ".lora_a") && t->rank >= 2)
            rank = MAX(rank, t->dim[t->rank - 2]);
        else if (!str_ends(str_of(t->name), ".lora_b"))
            inspect_problem(problems, "%s is no factor of an adapter (.lora_a, .lora_b)", t->name);
    }
    inspect_int(j, "rank", rank);
    json_set(j, "alpha", json_num_new(alpha));
    inspect_int(j, "parameters", numbers);
    inspect_int(j, "tensors", (int64_t)gguf_count(g));
    if (!gguf_arch_find(arch, false) && !gguf_arch_find(arch, true))
        inspect_problem(problems, "the adapter is for %.*s models, which hone does not know", (int)MIN(arch.n, (size_t)60), arch.p ? arch.p : "");
    if (!str_eqz(type, "lora"))
        inspect_problem(problems, "adapter.type is \"%.*s\", hone reads lora", (int)MIN(type.n, (size_t)40), type.p ? type.p : "");
done:
    gguf_close(g);
    return rc;
}

int inspect_adapter_at(const char *path, Json *j, Json *problems, Err *e)
{
    static const char *const keys[] = { "peft_type", "base_model_name_or_path", "r", "lora_alpha", "use_rslora", "target_modules" };
    static const char *const says[] = { "method", "base", "rank", "alpha", "rslora", "targets" };
    HfDir                   *d = NULL;
    if (gguf_path_is(path))
        return inspect_gguf_adapter(path, j, problems, e);
    int rc = hf_dir_open(&d, path, e);
    if (rc)
        return rc;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (json_get(d->adapter, keys[i]))
            json_set(j, says[i], json_ref(json_get(d->adapter, keys[i])));
    const Str base = json_str(json_get(d->adapter, "base_model_name_or_path"));
    if (base.n && !file_exists(base.p))
        inspect_problem(problems, "the base model %.*s is not on this machine", (int)MIN(base.n, (size_t)200), base.p);
    if (!d->weights)
        inspect_problem(problems, "there are no weights (adapter_model.safetensors)");
    else
        inspect_st(d->weights, j, problems);
    hf_dir_close(d);
    return 0;
}
