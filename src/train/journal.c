/* journal.c - see journal.h. */
#include "train/journal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/thread.h"
#include "tensor/cuda/cuda.h"

/* The journals that grow, and where RunState keeps their length at the checkpoint. */
static const struct { const char *name; size_t off; } journal[] = {
    { "metrics.jsonl", offsetof(RunState, metrics_bytes) },
    { "order.jsonl",   offsetof(RunState, order_bytes) },
    { "samples.jsonl", offsetof(RunState, samples_bytes) },
};

static int put_line(const TrainRun *r, const char *name, Json *j, Err *e)
{
    StrBuf text = { 0 };
    char  *path = path_join(r->cfg.out, name);
    json_write(&text, j, false);
    int rc = file_append_line(path, strbuf_str(&text), e);
    free(path);
    strbuf_release(&text);
    json_free(j);
    return rc;
}

static int put_file(const TrainRun *r, const char *name, Str text, Err *e)
{
    char *path = path_join(r->cfg.out, name);
    int   rc = file_write_atomic(path, text.p, text.n, e);
    free(path);
    return rc;
}

/* A recipe already in the folder must say the same, or two experiments would be mixed. */
static int check_recipe(const TrainRun *r, const char *path, Err *e)
{
    TrainCfg old = { 0 };
    char    *text = NULL;
    size_t   n = 0;
    cfg_defaults(train_options, &old);
    int rc = file_read_text(path, &text, &n, e);
    if (!rc && !(rc = cfg_parse_yaml(train_options, &old, (Str){ text, n }, path, NULL, e))) {
        const char *key = train_cfg_difference(&r->cfg, &old);
        if (key)
            rc = err_set(e, ERR_ARG, "%s: this folder holds a run with another recipe (%s differs); choose another --out, or remove the folder",
                         r->cfg.out, key);
    }
    cfg_release(train_options, &old);
    free(text);
    return rc;
}

static Json *data_facts(const DataSet *d)
{
    Json *files = json_arr_new(), *j = json_obj_new();
    for (size_t i = 0; i < d->n_files; i++) {
        Json *f = json_obj_new();
        json_set(f, "path", json_str_new(str_of(d->file[i].path)));
        json_set(f, "kind", json_str_new(str_of(data_kind_name(d->file[i].kind))));
        json_set(f, "sha256", json_str_new(str_of(d->file[i].sha256)));
        json_push(files, f);
    }
    json_set(j, "files", files);
    json_set(j, "examples", json_int_new((int64_t)d->n));
    json_set(j, "tokens", json_int_new(d->stats.tokens));
    json_set(j, "trained_tokens", json_int_new(d->stats.trained_tokens));
    json_set(j, "dropped_long", json_int_new(d->stats.dropped_long));
    json_set(j, "cut_long", json_int_new(d->stats.cut_long));
    json_set(j, "longest", json_int_new(d->stats.longest));
    return j;
}

/* A run goes on only with the very files it began with: name the first that has changed. */
static int compare_data(const TrainRun *r, const Json *then, const DataSet *now, Err *e)
{
    const Json *files = json_get(then, "files");
    for (size_t i = 0; then && now && i < now->n_files; i++)
        if (!str_eqz(json_str(json_get(json_at(files, i), "sha256")), now->file[i].sha256))
            return err_set(e, ERR_INPUT, "%s: this file has changed since the run in %s began; choose another --out, or remove the folder",
                           now->file[i].path, r->cfg.out);
    return 0;
}

static int check_data(const TrainRun *r, const Json *then, Err *e)
{
    const int rc = compare_data(r, json_get(then, "data"), r->train, e);
    return rc ? rc : compare_data(r, json_get(then, "held_out"), r->held_out, e);
}

static int check_base(const TrainRun *r, const Json *then, const Json *now, Err *e)
{
    Json *hash;
    Str   name;
    for (JsonIter it = { 0 }; then && json_each(now, &it, &name, &hash);)
        if (!str_eq(json_str(hash), json_str(json_get(json_get(then, "base_sha256"), name.p))))
            return err_set(e, ERR_INPUT, "%.*s of the base model %s has changed since the run in %s began; choose another --out, or remove the folder",
                           (int)name.n, name.p, r->cfg.model, r->cfg.out);
    return 0;
}

/* run.json as the folder has it; NULL: not yet. */
static int read_facts(const TrainRun *r, Json **then, Err *e)
{
    char *path = path_join(r->cfg.out, "run.json");
    *then = NULL;
    const int rc = file_exists(path) ? json_read_file(then, path, e) : 0;
    free(path);
    return rc;
}

/* A new run starts in a folder of its own: whatever else lies there is not ours to mix with. */
static int check_empty(const TrainRun *r, Err *e)
{
    FileList l = { 0 };
    int      rc = file_list(&l, r->cfg.out, e);
    for (size_t i = 0; i < l.n && !rc; i++)
        if (strcmp(l.name[i], "lock") != 0 && !strstr(l.name[i], ".tmp-"))
            rc = err_set(e, ERR_ARG, "%s: the folder holds %s and no run; choose another --out", r->cfg.out, l.name[i]);
    file_list_release(&l);
    return rc;
}

int journal_begin(const TrainRun *r, bool *done, Err *e)
{
    char  *recipe = path_join(r->cfg.out, "recipe.yaml"), *mark = path_join(r->cfg.out, "DONE");
    StrBuf text = { 0 };
    Json  *then = NULL;
    int    rc = 0;
    *done = false;
    if (file_exists(recipe)) {
        if (!(rc = check_recipe(r, recipe, e)) && !(rc = read_facts(r, &then, e)))
            rc = check_data(r, then, e);
        *done = !rc && file_exists(mark);
    } else if (!(rc = check_empty(r, e))) {
        cfg_write_yaml(&text, train_options, &r->cfg, true);
        rc = put_file(r, "recipe.yaml", strbuf_str(&text), e);
    }
    json_free(then);
    strbuf_release(&text);
    free(recipe);
    free(mark);
    return rc;
}

Json *journal_facts(const TrainRun *r)
{
    Json *j = json_obj_new();
    char  now[32];
    clock_iso8601(now);
    json_set(j, "hone_version", json_str_new(str_of(HONE_VERSION)));
    json_set(j, "started", json_str_new(str_of(now)));
    json_set(j, "backend", json_str_new(str_of(r->be->name)));
    json_set(j, "cpu_features", json_str_new(str_of(backend_cpu_features())));
    json_set(j, "threads", json_int_new(r->be->threads));
    if (r->be->bus) {
        StrBuf cards = { 0 };
        backend_cuda_describe(&cards);
        json_set(j, "cards", json_str_new(strbuf_str(&cards)));
        json_set(j, "card", json_str_new(str_of(r->be->bus)));
        strbuf_release(&cards);
    }
    json_set(j, "family", json_str_new(str_of(r->model->fam->hf)));
    json_set(j, "parameters", json_int_new(model_param_count(r->model) + (r->adapter ? r->opt.n_values : 0)));
    json_set(j, "trained_parameters", json_int_new(r->opt.n_values));
    json_set(j, "seed", json_int_new(r->cfg.seed));
    json_set(j, "total_steps", json_int_new(r->total_steps));
    json_set(j, "padding_share", json_num_new(r->pad_share));
    json_set(j, "plan", plan_json(&r->plan));
    json_set(j, "base_sha256", json_null_new()); /* its place; journal_settle knows it */
    json_set(j, "data", data_facts(r->train));
    if (r->held_out)
        json_set(j, "held_out", data_facts(r->held_out));
    return j;
}

int journal_settle(const TrainRun *r, Json *facts, Json *base, Err *e)
{
    Json  *then;
    StrBuf text = { 0 };
    int    rc = read_facts(r, &then, e);
    rc = rc ? rc : check_base(r, then, base, e);
    if (!rc && facts) {
        json_set(facts, "base_sha256", json_ref(base));
        json_write(&text, facts, true);
        rc = put_file(r, "run.json", strbuf_str(&text), e);
    }
    strbuf_release(&text);
    json_free(then);
    return rc;
}

int journal_rewind(const TrainRun *r, Err *e)
{
    int rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(journal) && !rc; i++) {
        const int64_t keep = *(const int64_t *)(const void *)((const char *)&r->state + journal[i].off);
        char         *path = path_join(r->cfg.out, journal[i].name);
        uint64_t      size = 0;
        if (file_exists(path) && !(rc = file_size(path, &size, e)) && size > (uint64_t)keep)
            rc = file_truncate(path, (uint64_t)keep, e);
        else if (!rc && size < (uint64_t)keep)
            rc = err_set(e, ERR_INPUT, "%s: the file is shorter than when the last checkpoint was made; put it back, or remove the folder to start again", path);
        free(path);
    }
    return rc;
}

int journal_mark(TrainRun *r, Err *e)
{
    int rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(journal) && !rc; i++) {
        char    *path = path_join(r->cfg.out, journal[i].name);
        uint64_t size = 0;
        if (file_exists(path))
            rc = file_size(path, &size, e);
        *(int64_t *)(void *)((char *)&r->state + journal[i].off) = (int64_t)size;
        free(path);
    }
    return rc;
}

int journal_sync(const TrainRun *r, Err *e)
{
    int rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(journal) && !rc; i++) {
        char *path = path_join(r->cfg.out, journal[i].name);
        if (file_exists(path))
            rc = file_sync(path, e);
        free(path);
    }
    return rc;
}

/* What the card told of itself. */
static void put_card(Json *j, const NvmlState *s)
{
    const struct { const char *key; double v; } number[] = {
        { "card_memory_bytes", s->memory_used }, { "card_watts", s->watts }, { "card_busy_percent", s->busy }, { "card_celsius", s->celsius }, { "card_megahertz", s->megahertz },
    };
    StrBuf why = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(number); i++)
        if (isfinite(number[i].v))
            json_set(j, number[i].key, json_num_new(number[i].v));
    nvml_reasons(&why, s->held_down);
    if (why.n)
        json_set(j, "card_held_down_by", json_str_new(strbuf_str(&why)));
    strbuf_release(&why);
}

int journal_step(const TrainRun *r, const TrainProgress *p, Err *e)
{
    Json *j = json_obj_new();
    json_set(j, "step", json_int_new(p->step));
    json_set(j, "epoch", json_num_new(p->epoch));
    json_set(j, "loss", json_num_new(p->loss));
    if (r->model->cfg.experts)
        json_set(j, "router_balance", json_num_new(p->balance));
    json_set(j, "lr", json_num_new(p->lr));
    json_set(j, "grad_norm", json_num_new(p->grad_norm));
    json_set(j, "tokens", json_int_new(r->state.tokens));
    json_set(j, "trained_tokens", json_int_new(r->state.trained_tokens));
    json_set(j, "seconds", json_num_new(r->state.seconds));
    json_set(j, "tokens_per_second", json_num_new(p->tokens_per_second));
    put_card(j, &p->card);
    return put_line(r, "metrics.jsonl", j, e);
}

int journal_order(const TrainRun *r, const PackPlan *plan, int64_t first_bin, int64_t last_bin, Err *e)
{
    Json *j = json_obj_new(), *micro = json_arr_new();
    for (int64_t b = first_bin; b < last_bin; b++) {
        Json *bin = json_arr_new();
        for (int64_t i = plan->first[b]; i < plan->first[b + 1]; i++)
            json_push(bin, json_int_new(plan->item[i]));
        json_push(micro, bin);
    }
    json_set(j, "step", json_int_new(r->state.step));
    json_set(j, "micro", micro);
    return put_line(r, "order.jsonl", j, e);
}

int journal_eval(const TrainRun *r, const TrainProgress *p, Err *e)
{
    Json *j = json_obj_new();
    json_set(j, "step", json_int_new(p->step));
    json_set(j, "epoch", json_num_new(p->epoch));
    json_set(j, "eval_loss", json_num_new(p->eval_loss));
    json_set(j, "best", json_bool_new(p->best));
    json_set(j, "seconds", json_num_new(r->state.seconds));
    return put_line(r, "metrics.jsonl", j, e);
}

int journal_sample(const TrainRun *r, const Example *x, Str prompt, Str expected, Str output, Err *e)
{
    Json *j = json_obj_new();
    json_set(j, "step", json_int_new(r->state.step));
    json_set(j, "file", json_str_new(str_of(r->held_out->file[x->file].path)));
    json_set(j, "line", json_int_new(x->line));
    json_set(j, "prompt", json_str_new(prompt));
    json_set(j, "expected", json_str_new(expected));
    json_set(j, "output", json_str_new(output));
    return put_line(r, "samples.jsonl", j, e);
}

static const struct { const char *key; size_t off; bool real; } result_field[] = {
    { "steps", offsetof(TrainResult, steps), false },           { "best_step", offsetof(TrainResult, best_step), false },
    { "first_loss", offsetof(TrainResult, first_loss), true },  { "best_loss", offsetof(TrainResult, best_loss), true },
    { "last_loss", offsetof(TrainResult, last_loss), true },    { "seconds", offsetof(TrainResult, seconds), true },
    { "tokens_per_second", offsetof(TrainResult, tokens_per_second), true }, { "train_serve_difference", offsetof(TrainResult, identity), true },
};

int journal_done(const TrainRun *r, const TrainResult *res, Err *e)
{
    Json  *j = json_obj_new();
    StrBuf text = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(result_field); i++) {
        const char *at = (const char *)res + result_field[i].off;
        json_set(j, result_field[i].key, result_field[i].real ? json_num_new(*(const double *)(const void *)at)
                                                              : json_int_new(*(const int64_t *)(const void *)at));
    }
    json_set(j, "stopped_early", json_bool_new(res->early));
    json_set(j, "memory_bytes", json_int_new((int64_t)res->memory));
    json_set(j, "planned_memory_bytes", json_int_new((int64_t)r->plan.memory));
    if (r->plan.device)
        json_set(j, "host_memory_bytes", json_int_new((int64_t)res->host_memory));
    if (isfinite(res->joules))
        json_set(j, "energy_joules", json_num_new(res->joules));
    if (r->plan.timed)
        json_set(j, "planned_seconds", json_num_new(r->plan.seconds));
    json_write(&text, j, true);
    int rc = put_file(r, "DONE", strbuf_str(&text), e);
    strbuf_release(&text);
    json_free(j);
    return rc;
}

int journal_read_done(const TrainRun *r, TrainResult *res, Err *e)
{
    Json *j = NULL;
    char *path = path_join(r->cfg.out, "DONE");
    int   rc = json_read_file(&j, path, e);
    *res = (TrainResult){ .already_done = true };
    for (size_t i = 0; i < ARRAY_LEN(result_field) && !rc; i++) {
        char *at = (char *)res + result_field[i].off;
        if (result_field[i].real) {
            *(double *)(void *)at = NAN;
            rc = json_opt_num(j, result_field[i].key, (double *)(void *)at, path, e);
        } else {
            rc = json_need_int(j, result_field[i].key, (int64_t *)(void *)at, path, e);
        }
    }
    if (!rc)
        rc = json_opt_bool(j, "stopped_early", &res->early, path, e);
    json_free(j);
    free(path);
    return rc;
}

void journal_running(const TrainRun *r)
{
    char *failed = path_join(r->cfg.out, "FAILED");
    remove(failed); /* absent most of the time */
    free(failed);
}

void journal_failed(const TrainRun *r, const char *sentence)
{
    put_file(r, "FAILED", str_of(sentence), NULL); /* the sentence reaches the user in any case; a full disk must not hide it */
}

void journal_log(void *run_out, LogLevel level, const char *room, const char *text)
{
    static const char *const word[] = { "debug", "info", "warning", "error" };
    char   now[32];
    StrBuf line = { 0 };
    char  *path = path_join(run_out, "log.txt");
    clock_iso8601(now);
    strbuf_addf(&line, "%s %s %s: %s", now, word[level], room, text);
    file_append_line(path, strbuf_str(&line), NULL);
    strbuf_release(&line);
    free(path);
}
