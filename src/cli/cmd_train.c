/* cmd_train.c - hone train: recipe and flags to a run, with a progress line. The library decides everything; here it is shown. */
#include "cli/cli.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/term.h"
#include "infer/generate.h"
#include "tokenizer/chat.h"
#include "train/run.h"

typedef struct TrainArgs {
    TrainCfg cfg; /* first, so that train_options' offsets hold */
    int64_t  preview;
    bool     print_recipe, json, help;
} TrainArgs;

static const CfgOption extra_options[] = {
    { "preview",      CFG_INT,  offsetof(TrainArgs, preview),      "0",     0, 1e6, NULL, "show N examples with their trained tokens, and stop", true },
    { "print-recipe", CFG_BOOL, offsetof(TrainArgs, print_recipe), "false", 0, 0,   NULL, "print the full recipe, and stop", true },
    { "json",         CFG_BOOL, offsetof(TrainArgs, json),         "false", 0, 0,   NULL, "print the result (or the preview) as JSON", true },
    { "help",         CFG_BOOL, offsetof(TrainArgs, help),         "false", 0, 0,   NULL, "this text", true },
    { 0 },
};

/* train_options and the command's own rows in one table. */
static CfgOption *whole_table(int *n)
{
    int a = 0, b = 0;
    while (train_options[a].name)
        a++;
    while (extra_options[b].name)
        b++;
    CfgOption *t = mem_zalloc((size_t)(a + b + 1), sizeof *t);
    memcpy(t, train_options, (size_t)a * sizeof *t);
    memcpy(t + a, extra_options, (size_t)b * sizeof *t);
    *n = a + b;
    return t;
}

/* --- progress ------------------------------------------------------------------------------------------------------------------------------ */

typedef struct Screen { bool tty, line_open; double last; } Screen;

static void format_time(char out[32], double seconds)
{
    const long s = (long)(seconds + 0.5);
    if (s >= 3600)
        snprintf(out, 32, "%ldh%02ldm", s / 3600, s / 60 % 60);
    else
        snprintf(out, 32, "%ldm%02lds", s / 60, s % 60);
}

/* On a terminal one line that is written over, at most ten times a second; elsewhere a plain line every few seconds. */
static void show_step(Screen *s, const TrainProgress *p)
{
    const double now = clock_seconds();
    char         left[32];
    if (now - s->last < (s->tty ? 0.1 : 5) && p->step != p->total && p->step != 1)
        return;
    s->last = now;
    format_time(left, p->seconds_left);
    fprintf(stderr, "%sstep %lld/%lld  epoch %.2f  loss %.4f  lr %.2e  %.0f tokens/s  %s left%s", s->tty ? "\r\033[K" : "", (long long)p->step,
            (long long)p->total, p->epoch, p->loss, p->lr, p->tokens_per_second, left, s->tty ? "" : "\n");
    s->line_open = s->tty;
}

static void show(void *user, const TrainProgress *p)
{
    Screen *s = user;
    if (p->event == TRAIN_STEP) {
        show_step(s, p);
        return;
    }
    if (p->event == TRAIN_SAVED)
        return;
    if (s->line_open)
        fputc('\n', stderr);
    s->line_open = false;
    if (p->event == TRAIN_EVAL)
        fprintf(stderr, "step %lld/%lld  held-out loss %.4f%s\n", (long long)p->step, (long long)p->total, p->eval_loss,
                p->step == 0 ? "  (before training)" : p->best ? "  best so far" : "");
    else if (p->event == TRAIN_RESUMED)
        fprintf(stderr, "going on from step %lld of %lld\n", (long long)p->step, (long long)p->total);
}

static int answer(void *user, const Model *m, const Adapter *a, const Tok *tok, const int32_t *prompt, int32_t n, int64_t max_tokens, StrBuf *out, Err *e)
{
    Generator g;
    int32_t   end = chat_terminator(tok, NULL);
    (void)user;
    generator_open(&g, m, a, tok);
    if (end >= 0)
        generator_end_add(&g, end);
    int rc = generator_answer(&g, prompt, n, max_tokens, out, e);
    generator_close(&g);
    return rc;
}

static void show_opened(const TrainRun *r)
{
    const DataStats *d = &r->train->stats;
    const int64_t    all = model_param_count(r->model) + (r->adapter ? r->opt.n_values : 0);
    fprintf(stderr, "model     %s: %s, %.3g M parameters", r->cfg.model, r->model->fam->hf, (double)model_param_count(r->model) / 1e6);
    if (r->model->cfg.experts)
        fprintf(stderr, ", %.3g M of them for each token", (double)model_active_count(r->model) / 1e6);
    fprintf(stderr, "\n");
    fprintf(stderr, "training  %s: %lld of %lld parameters (%.2f %%)\n", r->adapter ? "LoRA" : "all weights", (long long)r->opt.n_values,
            (long long)all, 100 * (double)r->opt.n_values / (double)all);
    fprintf(stderr, "data      %zu examples, %lld tokens, %lld of them trained", r->train->n, (long long)d->tokens, (long long)d->trained_tokens);
    if (d->dropped_long)
        fprintf(stderr, "; %lld rows longer than max-length left out", (long long)d->dropped_long);
    if (d->cut_long)
        fprintf(stderr, "; %lld prompts cut from the left", (long long)d->cut_long);
    fprintf(stderr, "\nheld out  %zu examples\n", r->held_out ? r->held_out->n : 0);
    fprintf(stderr, "plan      %lld steps of at most %lld tokens, %.1f %% of the room unused\n", (long long)r->total_steps, (long long)r->cfg.batch_tokens,
            100 * r->pad_share);
}

static void show_json(const TrainRun *r, const TrainResult *res)
{
    StrBuf text = { 0 };
    Json  *j = json_obj_new();
    json_set(j, "run", json_str_new(str_of(r->cfg.out)));
    json_set(j, "steps", json_int_new(res->steps));
    json_set(j, "best_step", json_int_new(res->best_step));
    json_set(j, "first_loss", json_num_new(res->first_loss));
    json_set(j, "best_loss", json_num_new(res->best_loss));
    json_set(j, "last_loss", json_num_new(res->last_loss));
    json_set(j, "seconds", json_num_new(res->seconds));
    json_set(j, "tokens_per_second", json_num_new(res->tokens_per_second));
    json_set(j, "train_serve_difference", json_num_new(res->identity));
    json_set(j, "stopped_early", json_bool_new(res->early));
    json_write(&text, j, false);
    printf("%s\n", strbuf_z(&text));
    strbuf_release(&text);
    json_free(j);
}

static void show_result(const TrainRun *r, const TrainResult *res)
{
    char took[32];
    format_time(took, res->seconds);
    if (res->already_done)
        fprintf(stderr, "this run is already done\n");
    if (res->early)
        fprintf(stderr, "stopped early: %lld evaluations without a better held-out loss\n", (long long)r->cfg.patience);
    if (!r->held_out)
        fprintf(stderr, "done: %lld steps in %s, %.0f tokens/s\n", (long long)res->steps, took, res->tokens_per_second);
    else if (res->best_step == 0)
        fprintf(stderr, "done: %lld steps in %s, but the held-out loss never fell below the %.4f before training; the result is the base model\n",
                (long long)res->steps, took, res->first_loss);
    else
        fprintf(stderr, "done: %lld steps in %s, %.0f tokens/s; held-out loss %.4f -> %.4f (step %lld)\n", (long long)res->steps, took,
                res->tokens_per_second, res->first_loss, res->best_loss, (long long)res->best_step);
    fprintf(stderr, "trained against served: log-probabilities differ by at most %.1e\n", res->identity);
    fprintf(stderr, "result: %s/%s    report: %s/report.html\n", r->cfg.out, r->adapter ? "adapter" : "model", r->cfg.out);
}

/* --- the command --------------------------------------------------------------------------------------------------------------------------- */

static int read_recipe(TrainArgs *a, const char *path, const bool *given, Err *e)
{
    const bool out_given = a->cfg.out && *a->cfg.out;
    char  *text = NULL, *inside = file_is_dir(path) ? path_join(path, "recipe.yaml") : NULL; /* a run folder: go on with it */
    size_t n = 0;
    int    rc = file_read_text(inside ? inside : path, &text, &n, e);
    if (!rc)
        rc = cfg_parse_yaml(train_options, &a->cfg, (Str){ text, n }, inside ? inside : path, given, e);
    if (!rc && inside && !out_given) {
        free(a->cfg.out);
        a->cfg.out = mem_strdup(path);
    }
    free(inside);
    free(text);
    return rc;
}

static void print_preview(const TrainRun *r, int64_t n)
{
    StrBuf text = { 0 };
    for (size_t i = 0; i < MIN((size_t)n, r->train->n); i++)
        dataset_preview(r->train, i, r->tok, term_colour(STDOUT_FILENO), &text);
    fputs(strbuf_z(&text), stdout);
    strbuf_release(&text);
}

/* The same for programs: one row per line, ids and mask; training rows first, then the held-out ones. */
static void print_rows(const DataSet *d, int64_t n, bool held_out)
{
    StrBuf text = { 0 };
    for (size_t i = 0; d && i < MIN((size_t)n, d->n); i++) {
        const Example *x = &d->ex[i];
        Json *j = json_obj_new(), *ids = json_arr_new(), *train = json_arr_new();
        for (int32_t k = 0; k < x->n; k++) {
            json_push(ids, json_int_new(x->ids[k]));
            json_push(train, json_int_new(x->train[k]));
        }
        json_set(j, "file", json_str_new(str_of(d->file[x->file].path)));
        json_set(j, "line", json_int_new(x->line));
        json_set(j, "held_out", json_bool_new(held_out));
        json_set(j, "ids", ids);
        json_set(j, "train", train);
        strbuf_clear(&text);
        json_write(&text, j, false);
        puts(strbuf_z(&text));
        json_free(j);
    }
    strbuf_release(&text);
}

int cmd_train(int argc, char **argv, Err *e)
{
    int         n_rows, n_pos = 0, rc;
    CfgOption  *table = whole_table(&n_rows);
    bool       *given = mem_zalloc((size_t)n_rows, sizeof *given), help;
    const char *recipe = NULL;
    TrainArgs   a = { 0 };
    TrainRun   *r = NULL;
    Backend    *be = NULL;
    TrainResult res;
    if ((rc = cli_parse("train", table, &a, argc, argv, &recipe, 1, &n_pos, given, &help, e)) || help)
        goto done;
    if (n_pos && (rc = read_recipe(&a, recipe, given, e)))
        goto done;
    if (a.print_recipe) {
        StrBuf text = { 0 };
        cfg_write_yaml(&text, train_options, &a.cfg, true);
        fputs(strbuf_z(&text), stdout);
        strbuf_release(&text);
        goto done;
    }
    if (a.preview && !(a.cfg.out && *a.cfg.out)) {
        free(a.cfg.out);
        a.cfg.out = mem_strdup("-"); /* a preview writes nothing */
    }
    if ((rc = cli_backend(&be, a.cfg.device, a.cfg.threads, e)) || (rc = train_open(&r, &a.cfg, be, e)))
        goto done;
    show_opened(r);
    if (a.preview) {
        if (a.json) {
            print_rows(r->train, a.preview, false);
            print_rows(r->held_out, a.preview, true);
        } else {
            print_preview(r, a.preview);
        }
        goto done;
    }
    Screen     screen = { .tty = term_is_tty(STDERR_FILENO) };
    TrainHooks hooks = { .user = &screen, .progress = show, .stop_asked = cli_stop_asked, .answer = answer };
    term_catch_stop();
    rc = train_go(r, &hooks, &res, e);
    if (screen.line_open)
        fputc('\n', stderr);
    if (rc)
        goto done;
    show_result(r, &res);
    if (a.json)
        show_json(r, &res);
done:
    train_close(r);
    if (be)
        be->close(be);
    cfg_release(table, &a);
    free(given);
    free(table);
    return rc;
}
