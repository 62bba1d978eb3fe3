/* cli.c - see cli.h. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/term.h"
#include "tensor/cuda/cuda.h"
#include "tokenizer/chat.h"
#include "train/train_cfg.h"

static const Command *command_of(const char *name)
{
    const Command *c = commands;
    while (c->name && strcmp(c->name, name) != 0)
        c++;
    return c;
}

/* "-o" is what every compiler calls its output. */
static void long_names(const CfgOption *table, int argc, char **argv)
{
    static char out[] = "--out";
    while (table->name && strcmp(table->name, "out"))
        table++;
    for (int i = 1; table->name && i < argc && strcmp(argv[i], "--"); i++)
        if (!strcmp(argv[i], "-o"))
            argv[i] = out;
}

int cli_parse(const char *command, const CfgOption *table, void *opts, int argc, char **argv, const char **pos, int max_pos, int *n_pos,
              bool *given, bool *help, Err *e)
{
    const Command *c = command_of(command);
    *help = false;
    cfg_defaults(table, opts);
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        *help |= !strcmp(argv[i], "--help") || !strcmp(argv[i], "-h");
    if (*help) {
        StrBuf text = { 0 };
        cfg_write_help(&text, table);
        printf("usage: hone %s %s [options]\n%s\n\n%s", c->name, c->usage, c->summary, strbuf_z(&text));
        strbuf_release(&text);
        return 0;
    }
    long_names(table, argc, argv);
    return cfg_parse_args(table, opts, argc, argv, pos, max_pos, n_pos, given, e);
}

CfgOption *cli_table(const CfgOption *room, const CfgOption *own, int *n)
{
    int a = 0, b = 0;
    while (room[a].name)
        a++;
    while (own[b].name)
        b++;
    CfgOption *t = mem_zalloc((size_t)(a + b + 1), sizeof *t);
    memcpy(t, room, (size_t)a * sizeof *t);
    memcpy(t + a, own, (size_t)b * sizeof *t);
    *n = a + b;
    return t;
}

const DType cli_kv_type[] = { DT_F32, DT_F16, DT_Q8_0 }; /* as CLI_KV_CHOICES */

int cli_backend(Backend **be, const char *device, int64_t threads, Err *e)
{
    const bool chosen = device && *device && strcmp(device, "auto") != 0;
    *be = backend_open(chosen ? device : backend_auto(), (int)threads, e);
    if (*be && !chosen && !strcmp((*be)->name, "cpu") && backend_cuda_count() > 0)
        log_warn("cuda", "there is an NVIDIA card, but hone's kernels for it have not passed on one yet (hone --version --verbose), so the processor computes; --device cuda takes the card");
    if (*be && (*be)->note)
        log_warn((*be)->name, "%s", (*be)->note);
    return *be ? 0 : e->code;
}

/* A run folder names its base in recipe.yaml; its result lies in adapter/ or model/. */
static int find_run(const char *path, char **base, char **adapter, char **separator, int *on_long, Err *e)
{
    char    *recipe = path_join(path, "recipe.yaml"), *config = path_join(path, "config.json"), *model = path_join(path, "model"), *lora = path_join(path, "adapter"), *text = NULL;
    TrainCfg cfg = { 0 };
    size_t   n = 0;
    int      rc = 0;
    cfg_defaults(train_options, &cfg);
    *on_long = -1;
    if (!file_exists(recipe) || file_exists(config)) { /* a model folder may keep the recipe that made it */
        *base = mem_strdup(path);
        goto done;
    }
    if ((rc = file_read_text(recipe, &text, &n, e)) || (rc = cfg_parse_yaml(train_options, &cfg, (Str){ text, n }, recipe, NULL, e)))
        goto done;
    if (file_is_dir(model)) {
        *base = mem_strdup(model);
    } else if (file_is_dir(lora)) {
        *base = mem_strdup(cfg.model);
        *adapter = mem_strdup(lora);
    } else {
        rc = err_set(e, ERR_INPUT, "%s: this run has no result yet; let hone train finish (or reach its first evaluation)", path);
    }
    *separator = cfg.separator && *cfg.separator ? mem_strdup(cfg.separator) : NULL;
    *on_long = cfg.on_long;
done:
    cfg_release(train_options, &cfg);
    free(text);
    free(recipe);
    free(config);
    free(model);
    free(lora);
    return rc;
}

/* An adapter of another program does not say what it was trained with, but may bring a template, which is not used here: so much is said. */
static int other_template(const char *has, const char *base, const char *adapter, Err *e)
{
    char brings[SHA256_HEX];
    int  rc = file_is_dir(adapter) ? chat_template_folder_hash(brings, adapter, e) : 0;
    if (!rc && file_is_dir(adapter) && brings[0] && strcmp(brings, has) != 0)
        log_warn("chat", "%s brings a chat template of its own, conversations are written by that of %s; if the adapter was trained with its own, put it "
                         "into the model's folder as chat_template.jinja", adapter, base);
    return rc;
}

/* An adapter, or a model of which all weights were trained, answers as it was trained only behind the template it was trained with. */
static int same_template(const Opened *o, const char *base, const char *adapter, Err *e)
{
    const char *had = o->adapter ? o->adapter->chat_template : o->model->chat_template, *has = chat_template_hash(o->tok);
    if (!had[0])
        return o->adapter ? other_template(has, base, adapter, e) : 0;
    if (!strcmp(had, has))
        return 0;
    return err_set(e, ERR_INPUT, "%s: this %s was trained with the chat template %.12s, but %s has %.12s now; give the model its old template back "
                                 "(chat_template.jinja or tokenizer_config.json), or train the %s again", o->adapter ? adapter : base,
                   o->adapter ? "adapter" : "model", had, o->adapter ? base : "its folder", has, o->adapter ? "adapter" : "model");
}

int cli_open(Opened *o, const char *path, const char *adapter, const char *device, int64_t threads, Err *e)
{
    char *base = NULL, *lora = NULL;
    *o = (Opened){ 0 };
    int rc = find_run(path, &base, &lora, &o->separator, &o->on_long, e);
    if (!rc && lora && adapter && *adapter)
        rc = err_set(e, ERR_ARG, "%s: this run brings its own adapter; --adapter goes with a model folder", path);
    const char  *use = lora ? lora : adapter;
    ModelOptions as = { 0 };
    if (!rc && use && *use)
        rc = adapter_base_options(&as, use, e);
    if (rc || (rc = cli_backend(&o->be, device, threads, e)) || (rc = model_open(&o->model, base, o->be, &as, e)) || (rc = tok_open(&o->tok, base, e)))
        goto done;
    if (tok_size(o->tok) > o->model->cfg.vocab)
        rc = err_set(e, ERR_INPUT, "%s: the tokenizer has %d entries, the embedding %lld rows; they do not belong together", base, tok_size(o->tok),
                     (long long)o->model->cfg.vocab);
    else if (use && *use)
        rc = adapter_open(&o->adapter, o->model, use, e);
    rc = rc ? rc : same_template(o, base, use, e);
done:
    if (rc)
        cli_close(o);
    free(base);
    free(lora);
    return rc;
}

int cli_open_tokenizer(Tok **tok, const char *path, Err *e)
{
    char *base = NULL, *lora = NULL, *separator = NULL;
    int   on_long, rc = find_run(path, &base, &lora, &separator, &on_long, e);
    rc = rc ? rc : tok_open(tok, base, e);
    free(base);
    free(lora);
    free(separator);
    return rc;
}

void cli_close(Opened *o)
{
    free(o->separator);
    tok_free(o->tok);
    adapter_free(o->adapter);
    model_close(o->model);
    if (o->be)
        o->be->close(o->be);
    *o = (Opened){ 0 };
}

void cli_print_piece(void *user, Str piece)
{
    (void)user;
    fwrite(piece.p, 1, piece.n, stdout);
    fflush(stdout);
}

bool cli_stop_asked(void *user)
{
    (void)user;
    return term_stop_asked();
}

void cli_message_add(Json *messages, const char *role, Str content)
{
    Json *m = json_obj_new();
    json_set(m, "role", json_str_new(str_of(role)));
    json_set(m, "content", json_str_new(content));
    json_push(messages, m);
}
