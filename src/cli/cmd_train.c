/* cmd_train.c - hone train: recipe and flags to a run, with a progress line. The library decides everything; here it is shown. */
#include "cli/cli.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/machine.h"
#include "base/mem.h"
#include "base/term.h"
#include "cli/train_args.h"

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

/* --- progress ------------------------------------------------------------------------------------------------------------------------------ */

typedef struct Screen { bool tty, line_open; double last; } Screen;

static void show_card(const NvmlState *s)
{
    StrBuf why = { 0 };
    char   used[32];
    if (isfinite(s->memory_used)) {
        size_print(used, (size_t)s->memory_used);
        fprintf(stderr, "  %s", used);
    }
    if (isfinite(s->watts))
        fprintf(stderr, "  %.0f W", s->watts);
    if (isfinite(s->celsius))
        fprintf(stderr, "  %.0f \xC2\xB0" "C", s->celsius);
    nvml_reasons(&why, s->held_down);
    if (why.n)
        fprintf(stderr, "  held down by %s", strbuf_z(&why));
    strbuf_release(&why);
}

/* On a terminal one line that is written over, at most ten times a second; elsewhere a plain line every few seconds. */
static void show_step(Screen *s, const TrainProgress *p)
{
    const double now = clock_seconds();
    char         left[32];
    if (now - s->last < (s->tty ? 0.1 : 5) && p->step != p->total && p->step != 1)
        return;
    s->last = now;
    time_print(left, p->seconds_left);
    fprintf(stderr, "%sstep %lld/%lld  epoch %.2f  loss %.4f  lr %.2e  %.0f tokens/s  %s left", s->tty ? "\r\033[K" : "", (long long)p->step,
            (long long)p->total, p->epoch, p->loss, p->lr, p->tokens_per_second, left);
    show_card(&p->card);
    fputs(s->tty ? "" : "\n", stderr);
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

static void show_opened(const TrainRun *r)
{
    const DataStats *d = &r->train->stats;
    const int64_t    all = model_param_count(r->model) + (r->adapter ? r->opt.n_values : 0);
    fprintf(stderr, "model     %s: %s, %.3g M parameters", r->cfg.model, r->model->fam->hf, (double)model_param_count(r->model) / 1e6);
    if (r->model->cfg.experts)
        fprintf(stderr, ", %.3g M of them for each token", (double)model_active_count(r->model) / 1e6);
    fprintf(stderr, "\n");
    fprintf(stderr, "training  %s: %lld of %lld parameters (%.2f %%)%s\n", r->adapter ? "LoRA" : "all weights", (long long)r->opt.n_values,
            (long long)all, 100 * (double)r->opt.n_values / (double)all, r->cfg.compute == COMPUTE_BF16 ? ", products in bf16" : "");
    fprintf(stderr, "data      %zu examples, %lld tokens, %lld of them trained", r->train->n, (long long)d->tokens, (long long)d->trained_tokens);
    if (d->dropped_long)
        fprintf(stderr, "; %lld rows longer than max-length left out", (long long)d->dropped_long);
    if (d->cut_long)
        fprintf(stderr, "; %lld prompts cut from the left", (long long)d->cut_long);
    fprintf(stderr, "\nheld out  %zu examples\n", r->held_out ? r->held_out->n : 0);
    fprintf(stderr, "plan      %lld steps of at most %lld tokens, %.1f %% of the room unused\n", (long long)r->total_steps, (long long)r->cfg.batch_tokens,
            100 * r->pad_share);
    if (r->plan.planned)
        train_plan_print(stderr, r);
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
    json_set(j, "memory_bytes", json_int_new((int64_t)res->memory));
    json_set(j, "plan", plan_json(&r->plan));
    json_write(&text, j, false);
    printf("%s\n", strbuf_z(&text));
    strbuf_release(&text);
    json_free(j);
}

static void show_result(const TrainRun *r, const TrainResult *res)
{
    char took[32];
    time_print(took, res->seconds);
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
    if (r->plan.timed) {
        char planned[32], held[32], said[32];
        size_print(planned, r->plan.memory);
        size_print(held, res->memory);
        time_print(said, r->plan.seconds);
        fprintf(stderr, "plan and fact: %smemory %s and %s, time %s and %s%s\n", r->plan.device ? "the device's " : "", planned, held, said, took,
                res->early ? " (stopped early)" : "");
    }
    fprintf(stderr, "trained against served: log-probabilities differ by at most %.1e\n", res->identity);
    fprintf(stderr, "result: %s/%s    report: %s/report.html\n", r->cfg.out, r->adapter ? "adapter" : "model", r->cfg.out);
}

/* --- the command --------------------------------------------------------------------------------------------------------------------------- */

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
    CfgOption  *table = cli_table(train_options, extra_options, &n_rows);
    bool       *given = mem_zalloc((size_t)n_rows, sizeof *given), help;
    const char *recipe = NULL;
    TrainArgs   a = { 0 };
    TrainRun   *r = NULL;
    Backend    *be = NULL;
    TrainResult res;
    if ((rc = cli_parse("train", table, &a, argc, argv, &recipe, 1, &n_pos, given, &help, e)) || help)
        goto done;
    if (n_pos && (rc = train_read_recipe(&a.cfg, recipe, given, e)))
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
    Screen     screen = { .tty = term_is_tty(STDERR_FILENO) };
    TrainHooks hooks = { .user = &screen, .progress = show, .stop_asked = cli_stop_asked, .answer = train_answer };
    if ((rc = cli_backend(&be, a.cfg.device, a.cfg.threads, e)) || (rc = train_open(&r, &a.cfg, be, e)) ||
        (!a.preview && !train_is_done(r) && (rc = plan_make(r, &hooks, true, e))))
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
