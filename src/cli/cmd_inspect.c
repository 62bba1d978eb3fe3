/* cmd_inspect.c - hone inspect: what a path holds, without loading weights: a model, an adapter, a run, a safetensors file, or data.
 * Every kind fills one JSON object, which is printed as it is (--json) or as aligned lines; so both say the same. What would keep hone from using
 * the thing stands under "problems".
 * To add a kind: a row in `kinds`. */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "data/dataset.h"
#include "formats/jsonl.h"
#include "tokenizer/chat.h"
#include "train/train_cfg.h"

typedef struct Options {
    char *model, *separator;
    bool  json, help;
} Options;

#define AT(f) offsetof(Options, f)
#define ANY_LENGTH ((int32_t)1 << 30)

static const CfgOption table[] = {
    { "model",     CFG_STR,  AT(model),     NULL,    0, 0, "DIR",  "with a data file: count its tokens as this model sees them" },
    { "separator", CFG_STR,  AT(separator), NULL,    0, 0, "TEXT", "with a data file: put between prompt and completion" },
    { "json",      CFG_BOOL, AT(json),      "false", 0, 0, NULL,   "one JSON object" },
    { 0 },
};

static void set_text(Json *j, const char *key, const char *text) { json_set(j, key, text ? json_str_new(str_of(text)) : json_null_new()); }
static void set_int(Json *j, const char *key, int64_t v) { json_set(j, key, json_int_new(v)); }

PRINTF_LIKE(2, 3) static void problem(Json *problems, const char *fmt, ...)
{
    char    text[sizeof((Err){ 0 }.text) + 256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    json_push(problems, json_str_new(str_of(text)));
}

/* ---- models ---- */

static void add_weights(Json *j, const StFile *f, Json *problems)
{
    Json   *types = json_obj_new();
    int64_t n = 0, nbytes = 0;
    for (size_t i = 0; i < st_count(f); i++) {
        const StTensor *t = st_at(f, i);
        n += t->count;
        nbytes += (int64_t)t->nbytes;
        if (!t->known && !json_get(types, t->dtype_text))
            problem(problems, "%s is stored as %s, which hone cannot compute with", t->name, t->dtype_text);
        set_int(types, t->dtype_text, json_int(json_get(types, t->dtype_text)) + t->count);
    }
    set_int(j, "parameters", n);
    set_int(j, "bytes", nbytes);
    set_int(j, "tensors", (int64_t)st_count(f));
    json_set(j, "numbers_by_dtype", types);
}

static void set_token(Json *j, const char *key, const Tok *tok, int32_t id)
{
    StrBuf text = { 0 };
    Str    name = id >= 0 ? tok_text(tok, id) : (Str){ 0 };
    if (id >= 0)
        strbuf_addf(&text, "%.*s (%d)", (int)name.n, name.p, id);
    set_text(j, key, id >= 0 ? strbuf_z(&text) : NULL);
    strbuf_release(&text);
}

static void add_tokenizer(Json *j, const char *path, const ModelConfig *c, Json *problems)
{
    Err   e = { 0 };
    Tok  *tok = NULL;
    Json *t = json_obj_new();
    if (tok_open(&tok, path, &e)) {
        problem(problems, "%s", e.text);
        json_free(t);
        return;
    }
    const int32_t end = chat_terminator(tok, &e), eos = tok_eos(tok);
    bool          model_ends = c->n_eos == 0 || eos < 0;
    set_text(t, "kind", tok_kind(tok));
    set_int(t, "entries", tok_size(tok));
    set_token(t, "bos", tok, tok_bos(tok));
    set_token(t, "eos", tok, eos);
    set_token(t, "pad", tok, tok_pad(tok));
    set_token(t, "chat_terminator", tok, end);
    if (tok_size(tok) > c->vocab)
        problem(problems, "the tokenizer has %d entries, the embedding only %lld rows", tok_size(tok), (long long)c->vocab);
    if (end < 0)
        problem(problems, "%s", e.text);
    for (int i = 0; i < c->n_eos; i++)
        model_ends |= c->eos[i] == eos;
    if (!model_ends)
        problem(problems, "the tokenizer's end-of-text token has id %d, which config.json and generation_config.json do not name as eos_token_id", eos);
    json_set(j, "tokenizer", t);
    tok_free(tok);
}

static void add_config(Json *j, const HfDir *d, ModelConfig *c, Json *problems)
{
    Err           e = { 0 };
    const Family *f = NULL;
    json_set(j, "family", json_str_new(json_str(json_get(d->config, "model_type"))));
    *c = (ModelConfig){ 0 };
    if (model_config_read(c, &f, d->config, d->generation, "config.json", &e)) {
        *c = (ModelConfig){ 0 };
        problem(problems, "%s", e.text);
        return;
    }
    set_text(j, "architecture", f->architecture);
    set_int(j, "layers", c->layers);
    set_int(j, "hidden", c->hidden);
    set_int(j, "heads", c->heads);
    set_int(j, "kv_heads", c->kv_heads);
    set_int(j, "head_dim", c->head_dim);
    set_int(j, "ffn", c->ffn);
    set_int(j, "vocabulary", c->vocab);
    set_int(j, "positions", c->max_positions);
    json_set(j, "tied", json_bool_new(c->tied));
}

static int inspect_model(const char *path, const Options *o, Json *j, Json *problems, Err *e)
{
    (void)o;
    HfDir      *d = NULL;
    ModelConfig c;
    int         rc = hf_dir_open(&d, path, e);
    if (rc)
        return rc;
    add_config(j, d, &c, problems);
    if (d->weights)
        add_weights(j, d->weights, problems);
    else
        problem(problems, "there are no weights (model.safetensors); hone init makes random ones");
    add_tokenizer(j, path, &c, problems);
    hf_dir_close(d);
    return 0;
}

/* ---- adapters ---- */

static int inspect_adapter(const char *path, const Options *o, Json *j, Json *problems, Err *e)
{
    (void)o;
    static const char *const keys[] = { "peft_type", "base_model_name_or_path", "r", "lora_alpha", "use_rslora", "target_modules" };
    static const char *const says[] = { "method", "base", "rank", "alpha", "rslora", "targets" };
    HfDir                   *d = NULL;
    int                      rc = hf_dir_open(&d, path, e);
    if (rc)
        return rc;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (json_get(d->adapter, keys[i]))
            json_set(j, says[i], json_ref(json_get(d->adapter, keys[i])));
    const Str base = json_str(json_get(d->adapter, "base_model_name_or_path"));
    if (base.n && !file_is_dir(base.p))
        problem(problems, "the base model %.*s is no folder on this machine", (int)MIN(base.n, (size_t)200), base.p);
    if (d->weights)
        add_weights(j, d->weights, problems);
    else
        problem(problems, "there are no weights (adapter_model.safetensors)");
    hf_dir_close(d);
    return 0;
}

/* ---- runs ---- */

static int add_recipe(Json *j, const char *path, Err *e)
{
    static const char *const methods[] = { [METHOD_LORA] = "lora", [METHOD_QLORA] = "qlora", [METHOD_FULL] = "full" };
    static const char *const goals[] = { [GOAL_AUTO] = "auto", [GOAL_SFT] = "sft", [GOAL_TEXT] = "text" };
    TrainCfg cfg = { 0 };
    char    *text = NULL;
    size_t   n = 0;
    cfg_defaults(train_options, &cfg);
    int rc = file_read_text(path, &text, &n, e);
    if (!rc && !(rc = cfg_parse_yaml(train_options, &cfg, (Str){ text, n }, path, NULL, e))) {
        set_text(j, "model", cfg.model);
        set_text(j, "data", cfg.data);
        set_text(j, "eval", cfg.eval);
        set_text(j, "method", methods[cfg.method]);
        set_text(j, "objective", goals[cfg.objective]);
    }
    free(text);
    cfg_release(train_options, &cfg);
    return rc;
}

/* The newest step and evaluation; a journal may end in half a line when the run was just killed. */
static void add_progress(Json *j, const char *path)
{
    Jsonl r;
    Json *row, *step = NULL, *eval = NULL;
    if (!file_exists(path) || jsonl_open(&r, path, NULL))
        return;
    while (jsonl_next(&r, &row, NULL) == 1) {
        Json **kept = json_get(row, "eval_loss") ? &eval : &step;
        json_free(*kept);
        *kept = row;
    }
    jsonl_close(&r);
    if (step)
        json_set(j, "last_step", step);
    if (eval)
        json_set(j, "last_evaluation", eval);
}

static int inspect_run(const char *path, const Options *o, Json *j, Json *problems, Err *e)
{
    (void)o;
    char  *recipe = path_join(path, "recipe.yaml"), *metrics = path_join(path, "metrics.jsonl"), *done = path_join(path, "DONE");
    char  *failed = path_join(path, "FAILED"), *facts = path_join(path, "run.json"), *text = NULL;
    Json  *summary = NULL, *run = NULL;
    size_t n = 0;
    int    rc = add_recipe(j, recipe, e);
    if (rc)
        goto done;
    set_text(j, "state", file_exists(done) ? "done" : file_exists(failed) ? "failed" : "unfinished");
    add_progress(j, metrics);
    if (file_exists(facts) && !json_read_file(&run, facts, NULL) && json_get(run, "total_steps"))
        json_set(j, "total_steps", json_ref(json_get(run, "total_steps")));
    if (file_exists(done) && !json_read_file(&summary, done, NULL))
        json_set(j, "summary", json_ref(summary));
    if (!file_exists(done) && file_exists(failed) && !file_read_text(failed, &text, &n, NULL))
        problem(problems, "%s", text);
done:
    json_free(summary);
    json_free(run);
    free(text);
    free(recipe);
    free(metrics);
    free(done);
    free(failed);
    free(facts);
    return rc;
}

/* ---- files ---- */

static int inspect_safetensors(const char *path, const Options *o, Json *j, Json *problems, Err *e)
{
    (void)o;
    StFile *f = NULL;
    Json   *list = json_arr_new();
    int     rc = st_open(&f, path, e);
    if (!rc)
        add_weights(j, f, problems);
    for (size_t i = 0; !rc && i < st_count(f); i++) {
        const StTensor *t = st_at(f, i);
        Json           *row = json_obj_new(), *shape = json_arr_new();
        for (int k = 0; k < t->rank; k++)
            json_push(shape, json_int_new(t->dim[k]));
        set_text(row, "name", t->name);
        set_text(row, "dtype", t->dtype_text);
        json_set(row, "shape", shape);
        json_push(list, row);
    }
    if (!rc)
        json_set(j, "list", json_ref(list));
    json_free(list);
    st_close(f);
    return rc;
}

static int inspect_data(const char *path, const Options *o, Json *j, Json *problems, Err *e)
{
    DataKind kind;
    int64_t  rows;
    uint64_t size = 0;
    Tok     *tok = NULL;
    DataSet *d = NULL;
    int      rc = data_sniff(path, &kind, &rows, e);
    if (rc || (rc = file_size(path, &size, e)))
        return rc;
    set_text(j, "shape", data_kind_name(kind));
    set_int(j, "rows", rows);
    set_int(j, "bytes", (int64_t)size);
    if (!*o->model)
        return 0;
    const bool        answers = kind == DATA_MESSAGES || kind == DATA_PAIR;
    const DataOptions opt = { .objective = answers ? OBJECTIVE_SFT : OBJECTIVE_TEXT, .max_length = ANY_LENGTH, .separator = o->separator };
    Err               found = { 0 };
    if ((rc = tok_open(&tok, o->model, e)))
        return rc;
    if (dataset_load(&d, path, tok, &opt, &found)) {
        problem(problems, "%s", found.text);
    } else {
        set_int(j, "tokens", d->stats.tokens);
        set_int(j, "trained_tokens", d->stats.trained_tokens);
        set_int(j, "longest", d->stats.longest);
        json_set(j, "tokens_per_row", json_num_new((double)d->stats.tokens / (double)MAX(d->stats.rows, 1)));
    }
    dataset_free(d);
    tok_free(tok);
    return 0;
}

/* ---- which ---- */

static bool has_file(const char *dir, const char *name)
{
    char *path = path_join(dir, name);
    bool  there = file_exists(path);
    free(path);
    return there;
}

static bool is_adapter(const char *path) { return has_file(path, "adapter_config.json"); }
static bool is_run(const char *path) { return has_file(path, "recipe.yaml") && !has_file(path, "config.json"); } /* a model folder may keep the recipe that made it */
static bool is_folder(const char *path) { return file_is_dir(path); }
static bool is_safetensors(const char *path) { return str_ends(str_of(path), ".safetensors"); }
static bool is_any(const char *path) { return path != NULL; }

static const struct {
    const char *name;
    bool (*is)(const char *path);
    int  (*inspect)(const char *path, const Options *o, Json *j, Json *problems, Err *e);
} kinds[] = { /* the first that says yes */
    { "adapter",     is_adapter,     inspect_adapter     },
    { "run",         is_run,         inspect_run         },
    { "model",       is_folder,      inspect_model       },
    { "safetensors", is_safetensors, inspect_safetensors },
    { "data",        is_any,         inspect_data        },
};

/* ---- printing ---- */

static void print_value(StrBuf *out, const Json *v)
{
    if (json_kind(v) == JSON_STRING)
        utf8_visible(out, json_str(v));
    else
        json_write(out, v, false);
}

/* Objects and lists of objects or texts get lines of their own; the rest stands behind its key. */
static void print_object(StrBuf *out, const Json *j, int indent)
{
    JsonIter it = { 0 };
    Str      key;
    Json    *v;
    while (json_each(j, &it, &key, &v)) {
        strbuf_addf(out, "%*s%-*.*s", indent, "", MAX(24 - indent, (int)MIN(key.n, (size_t)100) + 1), (int)MIN(key.n, (size_t)100), key.p);
        if (json_kind(v) == JSON_OBJECT) {
            strbuf_addc(out, '\n');
            print_object(out, v, indent + 2);
            continue;
        }
        const bool lines = json_kind(v) == JSON_ARRAY && json_len(v) && json_kind(json_at(v, 0)) != JSON_INT;
        for (size_t i = 0; lines && i < json_len(v); i++) {
            strbuf_addf(out, "\n%*s", indent + 2, "");
            print_value(out, json_at(v, i));
        }
        if (!lines)
            print_value(out, v);
        strbuf_addc(out, '\n');
    }
}

int cmd_inspect(int argc, char **argv, Err *e)
{
    Options     o = { 0 };
    const char *path = NULL;
    Json       *j = json_obj_new(), *problems = json_arr_new();
    StrBuf      out = { 0 };
    size_t      i = 0;
    int         n_pos = 0, rc = cli_parse("inspect", table, &o, argc, argv, &path, 1, &n_pos, NULL, &o.help, e);
    if (rc || o.help)
        goto done;
    if (!n_pos) {
        rc = err_set(e, ERR_ARG, "PATH is missing: name a model, adapter or run folder, or a file, as in hone inspect PATH");
        goto done;
    }
    if (!file_exists(path)) {
        rc = err_set(e, ERR_INPUT, "%s: there is nothing of this name; expected is a model, adapter or run folder, or a file", path);
        goto done;
    }
    while (!kinds[i].is(path))
        i++;
    set_text(j, "kind", kinds[i].name);
    set_text(j, "path", path);
    if ((rc = kinds[i].inspect(path, &o, j, problems, e)))
        goto done;
    json_set(j, "problems", json_ref(problems));
    if (o.json) {
        json_write(&out, j, false);
        strbuf_addc(&out, '\n');
    } else {
        print_object(&out, j, 0);
    }
    fwrite(out.p, 1, out.n, stdout);
done:
    strbuf_release(&out);
    json_free(problems);
    json_free(j);
    cfg_release(table, &o);
    return rc;
}
