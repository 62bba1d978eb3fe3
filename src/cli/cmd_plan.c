/* cmd_plan.c - hone plan: what hone train with the same arguments would take; nothing is started and nothing written. */
#include <math.h>
#include <stdlib.h>

#include "base/machine.h"
#include "base/mem.h"
#include "cli/train_args.h"

typedef struct PlanArgs {
    TrainCfg cfg; /* first, so that train_options' offsets hold */
    bool     json, help;
} PlanArgs;

static const CfgOption extra_options[] = {
    { "json", CFG_BOOL, offsetof(PlanArgs, json), "false", 0, 0, NULL, "print the plan as JSON", true },
    { "help", CFG_BOOL, offsetof(PlanArgs, help), "false", 0, 0, NULL, "this text", true },
    { 0 },
};

static const char *method_name(const TrainRun *r, const PlanRow *row)
{
    return row->full ? "full" : r->cfg.method == METHOD_QLORA ? "qlora" : "lora";
}

static const char *optim_name(const PlanRow *row) { return row->optim == OPTIM_ADAMW_8BIT ? "adamw_8bit" : "adamw"; }

static Json *rows_json(const TrainRun *r, const PlanRow *row, int n)
{
    Json *rows = json_arr_new();
    for (int i = 0; i < n; i++) {
        Json *j = json_obj_new();
        json_set(j, "method", json_str_new(str_of(method_name(r, &row[i]))));
        json_set(j, "optim", json_str_new(str_of(optim_name(&row[i]))));
        json_set(j, "activations", json_str_new(str_of(train_activations[row[i].activations])));
        json_set(j, "compute", json_str_new(str_of(compute_name(row[i].compute))));
        json_set(j, "micro_tokens", json_int_new(row[i].micro_tokens));
        json_set(j, "memory_bytes", json_int_new((int64_t)row[i].memory));
        json_set(j, "file_bytes", json_int_new(row[i].file));
        json_set(j, "train_seconds", json_num_new(row[i].train_seconds));
        json_set(j, "fits", json_bool_new(row[i].fits));
        json_set(j, "best", json_bool_new(row[i].best));
        json_push(rows, j);
    }
    return rows;
}

static void show_json(const TrainRun *r, Json *j, const PlanRow *row, int n)
{
    StrBuf text = { 0 };
    json_set(j, "activations", json_str_new(str_of(train_activations[r->cfg.activations])));
    json_set(j, "compute", json_str_new(str_of(compute_name((Compute)r->cfg.compute))));
    json_set(j, "micro_tokens", json_int_new(r->cfg.micro_tokens));
    json_set(j, "steps", json_int_new(r->total_steps));
    json_set(j, "alternatives", rows_json(r, row, n));
    json_write(&text, j, false);
    printf("%s\n", strbuf_z(&text));
    strbuf_release(&text);
}

static void show_text(const TrainRun *r, const PlanRow *row, int n)
{
    const TrainPlan *p = &r->plan;
    char             a[32], b[32], c[32], d[32];
    train_plan_print(stdout, r);
    size_print(a, p->standing);
    size_print(b, p->pass);
    size_print(c, p->aside);
    size_print(d, p->limit);
    printf("memory    %s standing, %s for a micro-batch, %s beside it for answers%s; there are %s\n", a, b, c, p->device ? "" : " and saving", d);
    if (p->device) {
        size_print(a, p->host);
        size_print(b, (size_t)p->inputs);
        printf("          of the device; %s of the machine, %s of it for the inputs of blocks\n", a, b);
    }
    time_print(a, p->train_seconds);
    time_print(b, p->eval_seconds);
    time_print(c, p->sample_seconds);
    time_print(d, p->save_seconds + p->open_seconds);
    printf("time      %lld steps %s, evaluations %s, samples %s, reading and saving %s\n", (long long)r->total_steps, a, b, c, d);
    size_print(a, (size_t)p->disk);
    size_print(b, (size_t)MAX(p->disk_free, 0));
    printf("disk      %s, ", a);
    if (p->file) {
        size_print(a, (size_t)p->file);
        printf("%s of it for the inputs of blocks while the run goes, ", a);
    }
    printf("%s free\n", p->disk_free < 0 ? "unknown" : b);
    if (isfinite(p->joules))
        printf("energy    about %.3g Wh\n", p->joules / 3600);
    printf("\n  method  optim      activations  compute  micro-tokens      memory    training\n");
    for (int i = 0; i < n; i++) {
        if (row[i].activations == ACTIVATIONS_SPILL && row[i - 1].fits) /* the row before is the same with the inputs in memory, which is enough then */
            continue;
        size_print(a, row[i].memory);
        time_print(b, row[i].train_seconds);
        printf("%c %-7s %-10s %-12s %-8s %12lld %11s %11s%s\n", row[i].best ? '*' : ' ', method_name(r, &row[i]), optim_name(&row[i]),
               train_activations[row[i].activations], compute_name(row[i].compute), (long long)row[i].micro_tokens, a, b, row[i].fits ? "" : "  does not fit");
    }
}

int cmd_plan(int argc, char **argv, Err *e)
{
    int         n_rows, n_pos = 0, n = 0, rc;
    CfgOption  *table = cli_table(train_options, extra_options, &n_rows);
    bool       *given = mem_zalloc((size_t)n_rows, sizeof *given), help;
    const char *recipe = NULL;
    PlanArgs    a = { 0 };
    TrainRun   *r = NULL;
    Backend    *be = NULL;
    TrainHooks  hooks = { .answer = train_answer };
    PlanRow     row[PLAN_ROWS];
    Json       *j = NULL;
    if ((rc = cli_parse("plan", table, &a, argc, argv, &recipe, 1, &n_pos, given, &help, e)) || help)
        goto done;
    if (n_pos && (rc = train_read_recipe(&a.cfg, recipe, given, e)))
        goto done;
    if (!(a.cfg.out && *a.cfg.out)) {
        free(a.cfg.out);
        a.cfg.out = mem_strdup("."); /* only the room on its disk is looked at */
    }
    if ((rc = cli_backend(&be, a.cfg.device, a.cfg.threads, e)) || (rc = train_open(&r, &a.cfg, be, e)) || (rc = plan_make(r, &hooks, true, e)))
        goto done;
    j = plan_json(&r->plan);
    if ((rc = plan_rows(r, &hooks, row, &n, e)))
        goto done;
    if (a.json)
        show_json(r, j, row, n);
    else
        show_text(r, row, n);
done:
    json_free(j);
    train_close(r);
    if (be)
        be->close(be);
    cfg_release(table, &a);
    free(given);
    free(table);
    return rc;
}
