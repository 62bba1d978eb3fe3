/* cmd_eval.c - hone eval: how well a model predicts a data file (loss over the trained tokens), and with --generate how well it does the task. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/term.h"
#include "base/utf8.h"
#include "eval/task.h"
#include "train/pass.h"

typedef struct Options {
    char   *data, *adapter, *separator, *device;
    int     objective, on_long;
    int64_t max_length, limit, max_tokens, show, threads;
    bool    generate, json, help;
} Options;

#define AT(f) offsetof(Options, f)
#define DEFAULT_LENGTH 2048
#define LEAST_BATCH 1024 /* tokens computed at once */

enum { GOAL_BY_DATA, GOAL_ANSWERS, GOAL_ALL };

static const CfgOption table[] = {
    { "data",       CFG_LIST,   AT(data),       NULL,    0, 0,    "FILE[,FILE]",          "what to evaluate on: JSONL rows or plain text" },
    { "adapter",    CFG_STR,    AT(adapter),    NULL,    0, 0,    "DIR",                  "adapter to put on the model: a PEFT folder or a .gguf file" },
    { "objective",  CFG_CHOICE, AT(objective),  "auto",  0, 0,    "auto|sft|text",        "loss on answers only, or on all text; auto: by the data" },
    { "max-length", CFG_INT,    AT(max_length), "0",     0, 1e7,  NULL,                   "most tokens of one example; 0: 2048, or what the model can" },
    { "on-long",    CFG_CHOICE, AT(on_long),    "fail",  0, 0,    "fail|drop|cut-prompt", "a row longer than max-length; of a run folder: as the run had it" },
    { "separator",  CFG_STR,    AT(separator),  NULL,    0, 0,    "TEXT",                 "put between prompt and completion; as the run had it" },
    { "limit",      CFG_INT,    AT(limit),      "0",     0, 1e12, NULL,                   "only so many examples, from the beginning; 0: all" },
    { "generate",   CFG_BOOL,   AT(generate),   "false", 0, 0,    NULL,                   "answer the prompts (greedily) and compare with what is expected" },
    { "max-tokens", CFG_INT,    AT(max_tokens), "0",     0, 1e6,  NULL,                   "most tokens of such an answer; 0: twice the expected one, at least 64" },
    { "show",       CFG_INT,    AT(show),       "0",     0, 1e12, NULL,                   "print so many answers beside what is expected, wrong ones marked" },
    { "json",       CFG_BOOL,   AT(json),       "false", 0, 0,    NULL,                   "the result as one JSON object" },
    { "device",     CFG_STR,    AT(device),     "auto",  0, 0,    "auto|cpu|cuda[:n]|ref",         "where to compute; ref: the slow judge" },
    { "threads",    CFG_INT,    AT(threads),    "0",     0, 1024, NULL,                   "0: all cores; does not change the result" },
    { 0 },
};

typedef struct Showing { int64_t left; int64_t number; } Showing;

/* One answer under its label; further lines stand under the first, so that answers cannot be taken for labels. */
static void show_text(const char *label, Str text)
{
    StrBuf seen = { 0 };
    utf8_visible(&seen, text);
    printf("   %-10s", label);
    for (const char *p = strbuf_z(&seen); *p; p++)
        *p == '\n' ? printf("\n%13s", "") : putchar(*p);
    putchar('\n');
    strbuf_release(&seen);
}

static void show_answer(void *user, const TaskAnswer *a)
{
    Showing *s = user;
    s->number++;
    if (s->left <= 0)
        return;
    s->left--;
    printf("%lld. %s\n", (long long)s->number, a->exact ? "equal" : "different");
    show_text("expected", a->expected);
    show_text("got", a->got);
}

/* The measures of a score, for both ways of printing. */
typedef struct Measure { const char *key, *of; TaskShare share; } Measure;
#define MEASURES 3

static void measures(const TaskScore *s, Measure out[MEASURES])
{
    out[0] = (Measure){ "exact_match", "answers", s->exact };
    out[1] = (Measure){ "valid_json", "answers", s->valid_json };
    out[2] = (Measure){ "field_accuracy", "fields", s->fields };
}

static Json *interval(TaskShare s)
{
    double low, high;
    Json  *j = json_arr_new();
    task_interval(s, &low, &high);
    json_push(j, json_num_new(low));
    json_push(j, json_num_new(high));
    return j;
}

static void print_json(const EvalResult *r, const TaskScore *s)
{
    Measure m[MEASURES];
    Json   *j = json_obj_new(), *fields = json_obj_new(), *intervals = json_obj_new();
    StrBuf  text = { 0 };
    json_set(j, "loss", json_num_new(r->loss));
    json_set(j, "perplexity", json_num_new(r->perplexity));
    json_set(j, "tokens", json_int_new(r->tokens));
    json_set(j, "examples", json_int_new(r->examples));
    if (s) {
        measures(s, m);
        for (size_t i = 0; i < MEASURES; i++)
            if (m[i].share.of) {
                json_set(j, m[i].key, json_num_new(task_share(m[i].share)));
                json_set(intervals, m[i].key, interval(m[i].share));
            }
        json_set(j, "interval95", json_ref(intervals));
        for (size_t i = 0; i < s->field.n; i++) {
            strbuf_clear(&text);
            strbuf_add(&text, map_key(s->field_names, i).p, map_key(s->field_names, i).n);
            json_set(fields, strbuf_z(&text), json_num_new(task_share(s->field.p[i])));
        }
        if (s->field.n)
            json_set(j, "fields", json_ref(fields));
    }
    strbuf_clear(&text);
    json_write(&text, j, false);
    puts(strbuf_z(&text));
    strbuf_release(&text);
    json_free(j);
    json_free(fields);
    json_free(intervals);
}

static void print_share(const char *name, const char *of, TaskShare s)
{
    double low, high;
    task_interval(s, &low, &high);
    printf("%-16s %6.2f %%   %lld of %lld %s, 95 %% interval %.2f to %.2f %%\n", name, 100 * task_share(s), (long long)s.hits, (long long)s.of, of, 100 * low,
           100 * high);
}

static void print_text(const EvalResult *r, const TaskScore *s)
{
    Measure m[MEASURES];
    printf("%-16s %.4f per trained token\n%-16s %.4f\n%-16s %lld trained tokens in %lld examples\n", "loss", r->loss, "perplexity", r->perplexity, "over",
           (long long)r->tokens, (long long)r->examples);
    if (!s)
        return;
    measures(s, m);
    for (size_t i = 0; i < MEASURES; i++)
        if (m[i].share.of)
            print_share(m[i].key, m[i].of, m[i].share);
    for (size_t i = 0; i < s->field.n; i++) {
        StrBuf name = { 0 };
        strbuf_addf(&name, "  %.*s", (int)map_key(s->field_names, i).n, map_key(s->field_names, i).p);
        print_share(strbuf_z(&name), "examples", s->field.p[i]);
        strbuf_release(&name);
    }
}

static int check_options(const Options *o, int n_pos, Err *e)
{
    if (!n_pos)
        return err_set(e, ERR_ARG, "MODEL is missing: name a model or run folder, as in hone eval MODEL --data FILE");
    if (!*o->data)
        return err_set(e, ERR_ARG, "--data is missing: name a file with examples, as in hone eval MODEL --data FILE");
    if (o->show && (o->json || !o->generate))
        return err_set(e, ERR_ARG, "--show prints answers, so it needs --generate and cannot stand with --json");
    return 0;
}

/* Rows are cut or dropped as in the run's training, unless the command says otherwise. */
static void long_as_trained(Options *o, const Opened *opened, const bool *given)
{
    size_t i = 0;
    while (strcmp(table[i].name, "on-long"))
        i++;
    if (given[i] || opened->on_long <= 0 || opened->on_long == o->on_long)
        return;
    o->on_long = opened->on_long;
    fprintf(stderr, "--on-long %s, as the run was trained\n", o->on_long == LONG_CUT_PROMPT ? "cut-prompt" : "drop");
}

static int load_data(DataSet **d, const Options *o, const Opened *opened, int32_t *max_length, Err *e)
{
    const int64_t positions = opened->model->cfg.max_positions;
    DataOptions   opt = { .on_long = (LongPolicy)o->on_long, .separator = *o->separator ? o->separator : opened->separator, .vocab = (int32_t)opened->model->cfg.vocab };
    DataKind      kind;
    int64_t       rows;
    char         *first = mem_strndup(o->data, strcspn(o->data, ","));
    int           rc = data_sniff(first, &kind, &rows, e);
    free(first);
    if (rc)
        return rc;
    const bool answers = kind == DATA_MESSAGES || kind == DATA_PAIR;
    if (o->generate && (!answers || o->objective == GOAL_ALL))
        return err_set(e, ERR_ARG, "%s: --generate needs prompts with expected answers: rows with prompt and completion, or messages", o->data);
    *max_length = (int32_t)(o->max_length ? o->max_length : MIN(DEFAULT_LENGTH, positions));
    if (*max_length > positions || *max_length < 2)
        return err_set(e, ERR_ARG, "--max-length is %d; expected are 2 to %lld, the positions of the model", *max_length, (long long)positions);
    opt.max_length = *max_length;
    opt.objective = o->objective == GOAL_ALL || (o->objective == GOAL_BY_DATA && !answers) ? OBJECTIVE_TEXT : OBJECTIVE_SFT;
    return dataset_load(d, o->data, opened->tok, &opt, e);
}

int cmd_eval(int argc, char **argv, Err *e)
{
    Options     o = { 0 };
    const char *path = NULL;
    Opened      opened = { 0 };
    DataSet    *d = NULL;
    PassCtx     pass = { 0 };
    Generator   g = { 0 };
    TaskScore   score = { 0 };
    EvalResult  result;
    int32_t     max_length = 0;
    bool        given[ARRAY_LEN(table)] = { false };
    int         n_pos = 0, rc = cli_parse("eval", table, &o, argc, argv, &path, 1, &n_pos, given, &o.help, e);
    if (rc || o.help || (rc = check_options(&o, n_pos, e)) || (rc = cli_open(&opened, path, o.adapter, o.device, o.threads, e)))
        goto done;
    long_as_trained(&o, &opened, given);
    if ((rc = load_data(&d, &o, &opened, &max_length, e)))
        goto done;
    if (o.limit)
        d->n = MIN(d->n, (size_t)o.limit);
    /* An answer may be longer than the one expected, so generation has room beyond max_length where the model has. */
    const int64_t positions = MIN(opened.model->cfg.max_positions, o.generate ? 2 * (int64_t)max_length : max_length);
    if ((rc = model_reserve_positions(opened.model, positions, e)))
        goto done;
    pass_open(&pass, opened.model, opened.adapter);
    if ((rc = pass_eval_set(&pass, d, MAX(max_length, LEAST_BATCH), &result, e)))
        goto done;
    if (o.generate) {
        Showing           showing = { .left = o.show };
        const TaskOptions task = { .max_tokens = o.max_tokens, .user = &showing, .answered = show_answer, .stop_asked = cli_stop_asked };
        term_catch_stop();
        generator_open(&g, opened.model, opened.adapter, opened.tok);
        generator_end_add(&g, chat_terminator(opened.tok, NULL));
        if ((rc = task_run(&g, d, &task, &score, e)))
            goto done;
    }
    (o.json ? print_json : print_text)(&result, o.generate ? &score : NULL);
done:
    task_score_release(&score);
    generator_close(&g);
    pass_close(&pass);
    dataset_free(d);
    cli_close(&opened);
    cfg_release(table, &o);
    return rc;
}
