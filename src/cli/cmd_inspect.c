/* cmd_inspect.c - hone inspect: what a path holds, without loading weights: a model, an adapter, a run, a safetensors file, or data.
 * It ends with 0 whenever the thing could be opened, whatever its problems: looking at it was the work, and that was done.
 * Every kind fills one JSON object, which is printed as it is (--json) or as aligned lines; so both say the same. What would keep hone from using
 * the thing stands under "problems".
 * To add a kind: a row in `kinds`. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "cli/inspect_model.h"
#include "data/dataset.h"
#include "formats/jsonl.h"
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
    { "json",      CFG_BOOL, AT(json),      "false", 0, 0, NULL,   "one JSON object; scripts look at its list \"problems\", for the exit code is 0 whatever it holds" },
    { 0 },
};

/* ---- models and adapters ---- */

static int inspect_model(const char *path, const Options *o, Json *j, Json *problems, Err *e)
{
    (void)o;
    return inspect_model_at(path, j, problems, e);
}

static int inspect_adapter(const char *path, const Options *o, Json *j, Json *problems, Err *e)
{
    (void)o;
    return inspect_adapter_at(path, j, problems, e);
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
        inspect_text(j, "model", cfg.model);
        inspect_text(j, "data", cfg.data);
        inspect_text(j, "eval", cfg.eval);
        inspect_text(j, "method", methods[cfg.method]);
        inspect_text(j, "objective", goals[cfg.objective]);
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
    inspect_text(j, "state", file_exists(done) ? "done" : file_exists(failed) ? "failed" : "unfinished");
    add_progress(j, metrics);
    if (file_exists(facts) && !json_read_file(&run, facts, NULL) && json_get(run, "total_steps"))
        json_set(j, "total_steps", json_ref(json_get(run, "total_steps")));
    if (file_exists(done) && !json_read_file(&summary, done, NULL))
        json_set(j, "summary", json_ref(summary));
    if (!file_exists(done) && file_exists(failed) && !file_read_text(failed, &text, &n, NULL))
        inspect_problem(problems, "%s", text);
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
        inspect_st(f, j, problems);
    for (size_t i = 0; !rc && i < st_count(f); i++) {
        const StTensor *t = st_at(f, i);
        Json           *row = json_obj_new(), *shape = json_arr_new();
        for (int k = 0; k < t->rank; k++)
            json_push(shape, json_int_new(t->dim[k]));
        inspect_text(row, "name", t->name);
        inspect_text(row, "dtype", t->dtype_text);
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
    inspect_text(j, "shape", data_kind_name(kind));
    inspect_int(j, "rows", rows);
    inspect_int(j, "bytes", (int64_t)size);
    if (!*o->model)
        return 0;
    const bool        answers = kind == DATA_MESSAGES || kind == DATA_PAIR;
    const DataOptions opt = { .objective = answers ? OBJECTIVE_SFT : OBJECTIVE_TEXT, .max_length = ANY_LENGTH, .separator = o->separator };
    Err               found = { 0 };
    if ((rc = tok_open(&tok, o->model, e)))
        return rc;
    if (dataset_load(&d, path, tok, &opt, &found)) {
        inspect_problem(problems, "%s", found.text);
    } else {
        inspect_int(j, "tokens", d->stats.tokens);
        inspect_int(j, "trained_tokens", d->stats.trained_tokens);
        inspect_int(j, "longest", d->stats.longest);
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

static bool is_adapter(const char *path) { return has_file(path, "adapter_config.json") || inspect_is_gguf_adapter(path); }
static bool is_run(const char *path) { return has_file(path, "recipe.yaml") && !has_file(path, "config.json"); } /* a model folder may keep the recipe that made it */
static bool is_model(const char *path) { return file_is_dir(path) || str_ends(str_of(path), ".gguf"); }
static bool is_safetensors(const char *path) { return str_ends(str_of(path), ".safetensors"); }
static bool is_any(const char *path) { return path != NULL; }

static const struct {
    const char *name;
    bool (*is)(const char *path);
    int  (*inspect)(const char *path, const Options *o, Json *j, Json *problems, Err *e);
} kinds[] = { /* the first that says yes */
    { "adapter",     is_adapter,     inspect_adapter     },
    { "run",         is_run,         inspect_run         },
    { "model",       is_model,       inspect_model       },
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
    inspect_text(j, "kind", kinds[i].name);
    inspect_text(j, "path", path);
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
