/* cmd_generate.c - hone generate: continue a text, or answer it with --chat. Standard output gets the text and nothing else. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/term.h"
#include "infer/generate.h"
#include "tokenizer/chat.h"

typedef struct Options {
    char   *prompt, *prompt_file, *adapter, *system, *stop, *device;
    double  temperature, top_p, min_p, repetition_penalty;
    int64_t max_tokens, top_k, n, seed, threads;
    int     kv;
    bool    echo, chat, json, help;
} Options;

#define AT(f) offsetof(Options, f)

static const CfgOption table[] = {
    { "prompt",             CFG_STR,  AT(prompt),             NULL,    0, 0,     "TEXT",         "what to continue" },
    { "prompt-file",        CFG_STR,  AT(prompt_file),        NULL,    0, 0,     "FILE",         "the same, from a file, to its last byte" },
    { "adapter",            CFG_STR,  AT(adapter),            NULL,    0, 0,     "DIR",          "adapter to put on the model: a PEFT folder or a .gguf file" },
    { "chat",               CFG_BOOL, AT(chat),               "false", 0, 0,     NULL,           "the prompt is a user's message; answer it" },
    { "system",             CFG_STR,  AT(system),             NULL,    0, 0,     "TEXT",         "system message before it; with --chat" },
    { "max-tokens",         CFG_INT,  AT(max_tokens),         "256",   0, 1e9,   NULL,           "most tokens of the answer; 0: as many as the model has positions for" },
    { "temperature",        CFG_REAL, AT(temperature),        "0.8",   0, 100,   NULL,           "0: always the likeliest token; higher: more varied" },
    { "top-k",              CFG_INT,  AT(top_k),              "0",     0, 1e9,   NULL,           "only the k likeliest tokens; 0: off" },
    { "top-p",              CFG_REAL, AT(top_p),              "1",     0, 1,     NULL,           "only the likeliest tokens that together reach this; 0 or 1: off" },
    { "min-p",              CFG_REAL, AT(min_p),              "0",     0, 1,     NULL,           "only tokens at least this share as likely as the likeliest; 0: off" },
    { "repetition-penalty", CFG_REAL, AT(repetition_penalty), "1",     0, 100,   NULL,           "makes tokens already used less likely; 0 or 1: off" },
    { "stop",               CFG_STR,  AT(stop),               NULL,    0, 0,     "TEXT[,TEXT]",  "end before any of these texts; \\n is a line's end, \\, a comma" },
    { "n",                  CFG_INT,  AT(n),                  "1",     1, 10000, NULL,           "number of answers" },
    { "seed",               CFG_INT,  AT(seed),               "0",     0, 9e15,  NULL,           "same seed, same answers" },
    { "echo",               CFG_BOOL, AT(echo),               "false", 0, 0,     NULL,           "print the prompt before the answer" },
    { "json",               CFG_BOOL, AT(json),               "false", 0, 0,     NULL,           "one JSON object per answer" },
    { "kv",                 CFG_CHOICE, AT(kv),               "f32",   0, 0,     CLI_KV_CHOICES, CLI_KV_HELP },
    { "device",             CFG_STR,  AT(device),             "auto",  0, 0,     "auto|cpu|cuda[:n]|ref", "where to compute; ref: the slow judge" },
    { "threads",            CFG_INT,  AT(threads),            "0",     0, 1024,  NULL,           "0: all cores; does not change the result" },
    { 0 },
};
enum { ROW_PROMPT, ROW_PROMPT_FILE };

static int check_options(const Options *o, const bool *given, int n_pos, Err *e)
{
    if (!n_pos)
        return err_set(e, ERR_ARG, "MODEL is missing: name a model or run folder, as in hone generate MODEL --prompt TEXT");
    if (given[ROW_PROMPT] == given[ROW_PROMPT_FILE])
        return err_set(e, ERR_ARG, given[ROW_PROMPT] ? "--prompt and --prompt-file are both given; one of them is the prompt"
                                                     : "the prompt is missing: give --prompt TEXT or --prompt-file FILE");
    if (*o->system && !o->chat)
        return err_set(e, ERR_ARG, "--system goes with --chat; without it the prompt is continued as it stands");
    return 0;
}

static int make_prompt(Generator *g, const Options *o, Str text, TokIds *ids, Err *e)
{
    if (!o->chat) {
        int rc = tok_encode(g->tok, text, TOK_SPECIAL, ids, e);
        return rc ? err_wrap(e, "the prompt") : 0;
    }
    Json   *messages = json_arr_new();
    ChatOut out = { 0 };
    if (*o->system)
        cli_message_add(messages, "system", str_of(o->system));
    cli_message_add(messages, "user", text);
    int rc = chat_render(g->tok, messages, true, "the prompt", &out, e);
    for (size_t i = 0; i < out.ids.n; i++)
        *vec_push(ids) = out.ids.p[i];
    if (!rc)
        generator_end_add(g, chat_terminator(g->tok, NULL));
    chat_out_release(&out);
    json_free(messages);
    return rc;
}

static void print_json(const Generator *g, const GenResult *r, int64_t number, Str echo, Str text)
{
    StrBuf line = { 0 };
    Json  *j = json_obj_new();
    strbuf_add(&line, echo.p, echo.n);
    strbuf_add(&line, text.p, text.n);
    json_set(j, "text", json_str_new(strbuf_str(&line)));
    json_set(j, "finish", json_str_new(str_of(finish_name(r->finish))));
    json_set(j, "sequence", json_int_new(number));
    json_set(j, "prompt_tokens", json_int_new(g->n_prompt));
    json_set(j, "tokens", json_int_new(r->n_tokens));
    strbuf_clear(&line);
    json_write(&line, j, false);
    puts(strbuf_z(&line));
    strbuf_release(&line);
    json_free(j);
}

static int answer(Generator *g, const Options *o, const StopList *stop, int64_t number, Str echo, Err *e)
{
    const GenOptions opt = { .max_tokens = o->max_tokens, .stop = stop,
                             .sample = { .temperature = o->temperature, .top_k = o->top_k, .top_p = o->top_p, .min_p = o->min_p,
                                         .repetition_penalty = o->repetition_penalty, .seed = (uint64_t)o->seed } };
    const GenHooks   hooks = { .text = o->json ? NULL : cli_print_piece, .stop_asked = cli_stop_asked };
    GenResult        r;
    StrBuf           text = { 0 };
    if (!o->json) {
        if (number)
            putchar('\n');
        cli_print_piece(NULL, echo);
    }
    int rc = generator_run(g, &opt, (uint64_t)number, &hooks, &text, &r, e);
    if (!o->json)
        putchar('\n');
    else if (!rc)
        print_json(g, &r, number, echo, strbuf_str(&text));
    if (!rc && r.finish == FINISH_ASKED)
        rc = err_set(e, ERR_STOP, "stopped in answer %lld of %lld", (long long)number + 1, (long long)o->n);
    strbuf_release(&text);
    return rc;
}

int cmd_generate(int argc, char **argv, Err *e)
{
    Options     o = { 0 };
    bool        given[ARRAY_LEN(table)] = { 0 };
    const char *path = NULL;
    char       *file = NULL;
    size_t      n_file = 0;
    Opened      opened = { 0 };
    Generator   g = { 0 };
    StopList    stop = { 0 };
    TokIds      ids = { 0 };
    StrBuf      prompt = { 0 }, echo = { 0 };
    int         n_pos = 0, rc = cli_parse("generate", table, &o, argc, argv, &path, 1, &n_pos, given, &o.help, e);
    if (rc || o.help || (rc = check_options(&o, given, n_pos, e)) || (rc = stop_list_parse(&stop, o.stop, e)))
        goto done;
    if (given[ROW_PROMPT_FILE] && (rc = file_read_text(o.prompt_file, &file, &n_file, e)))
        goto done;
    if ((rc = cli_open(&opened, path, o.adapter, o.device, o.threads, e)))
        goto done;
    generator_open(&g, opened.model, opened.adapter, opened.tok);
    g.kv_type = cli_kv_type[o.kv];
    strbuf_add(&prompt, file ? file : o.prompt, file ? n_file : strlen(o.prompt));
    if (opened.separator && !o.chat)
        strbuf_addz(&prompt, opened.separator); /* the run saw its prompts with it */
    if ((rc = make_prompt(&g, &o, strbuf_str(&prompt), &ids, e)))
        goto done;
    const int64_t positions = opened.model->cfg.max_positions, wanted = o.max_tokens ? (int64_t)ids.n + o.max_tokens : positions;
    if ((rc = model_reserve_positions(opened.model, MIN(wanted, positions), e)))
        goto done;
    generator_plan(&g, wanted);
    if ((rc = generator_prompt(&g, ids.p, (int32_t)ids.n, e)))
        goto done;
    if (o.echo)
        tok_decode(opened.tok, ids.p, ids.n, true, &echo);
    term_catch_stop();
    for (int64_t i = 0; i < o.n && !rc; i++)
        rc = answer(&g, &o, &stop, i, strbuf_str(&echo), e);
done:
    strbuf_release(&prompt);
    strbuf_release(&echo);
    vec_release(&ids);
    generator_close(&g);
    cli_close(&opened);
    stop_list_release(&stop);
    free(file);
    cfg_release(table, &o);
    return rc;
}
