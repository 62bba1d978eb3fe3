/* cmd_chat.c - hone chat: a conversation, line by line. Works at a terminal and in a pipe: standard output gets the answers, everything else goes
 * to standard error.
 * Main struct: Chat. Invariant: `messages` is what the model has seen and said; a message that could not be answered is taken out again.
 * To add a word that begins with a slash: a row in `words`. */
#include "cli/cli.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/term.h"
#include "cli/lines.h"
#include "infer/generate.h"
#include "tokenizer/chat.h"

typedef struct Options {
    char   *adapter, *system, *device;
    double  temperature, top_p, min_p, repetition_penalty;
    int64_t max_tokens, top_k, seed, threads;
    int     kv;
    bool    help;
} Options;

#define AT(f) offsetof(Options, f)

static const CfgOption table[] = {
    { "adapter",            CFG_STR,  AT(adapter),            NULL,   0, 0,    "DIR",          "adapter to put on the model: a PEFT folder or a .gguf file" },
    { "system",             CFG_STR,  AT(system),             NULL,   0, 0,    "TEXT",         "system message at the beginning" },
    { "max-tokens",         CFG_INT,  AT(max_tokens),         "1024", 0, 1e9,  NULL,           "most tokens of an answer; 0: as many as the model has positions for" },
    { "temperature",        CFG_REAL, AT(temperature),        "0.8",  0, 100,  NULL,           "0: always the likeliest token; higher: more varied" },
    { "top-k",              CFG_INT,  AT(top_k),              "0",    0, 1e9,  NULL,           "only the k likeliest tokens; 0: off" },
    { "top-p",              CFG_REAL, AT(top_p),              "1",    0, 1,    NULL,           "only the likeliest tokens that together reach this; 0 or 1: off" },
    { "min-p",              CFG_REAL, AT(min_p),              "0",    0, 1,    NULL,           "only tokens at least this share as likely as the likeliest; 0: off" },
    { "repetition-penalty", CFG_REAL, AT(repetition_penalty), "1",    0, 100,  NULL,           "makes tokens already used less likely; 0 or 1: off" },
    { "seed",               CFG_INT,  AT(seed),               "0",    0, 9e15, NULL,           "same seed and messages, same answers" },
    { "kv",                 CFG_CHOICE, AT(kv),               "f32",  0, 0,    CLI_KV_CHOICES, CLI_KV_HELP },
    { "device",             CFG_STR,  AT(device),             "auto", 0, 0,    "auto|cpu|cuda[:n]|ref", "where to compute; ref: the slow judge" },
    { "threads",            CFG_INT,  AT(threads),            "0",    0, 1024, NULL,           "0: all cores; does not change the result" },
    { 0 },
};

typedef struct Chat {
    const Options *opt;
    Model         *model;
    Generator      g;
    Json          *messages;
    uint64_t       n_answers; /* each answer draws its own random numbers */
    bool           quit;
} Chat;

/* Ctrl-C ends the answer in work, not the conversation, and the next answer starts anew; so it is not term.h's, which ends the program. */
static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

static void add_message(Chat *c, const char *role, Str content)
{
    Json *m = json_obj_new();
    json_set(m, "role", json_str_new(str_of(role)));
    json_set(m, "content", json_str_new(content));
    json_push(c->messages, m);
}

static void start_over(Chat *c, Str system)
{
    json_free(c->messages);
    c->messages = json_arr_new();
    if (system.n)
        add_message(c, "system", system);
}

/* The first n messages again; an array cannot be shortened. */
static void keep_messages(Chat *c, size_t n)
{
    Json *kept = json_arr_new();
    for (size_t i = 0; i < n; i++)
        json_push(kept, json_ref(json_at(c->messages, i)));
    json_free(c->messages);
    c->messages = kept;
}

static Str system_of(const Chat *c)
{
    const Json *first = json_at(c->messages, 0);
    return first && str_eqz(json_str(json_get(first, "role")), "system") ? json_str(json_get(first, "content")) : (Str){ 0 };
}

static void word_reset(Chat *c, Str rest)
{
    (void)rest;
    StrBuf system = { 0 };
    Str    s = system_of(c);
    strbuf_add(&system, s.p, s.n);
    start_over(c, strbuf_str(&system));
    strbuf_release(&system);
    fprintf(stderr, "the conversation starts anew\n");
}

static void word_system(Chat *c, Str rest)
{
    start_over(c, rest);
    fprintf(stderr, "the conversation starts anew %s\n", rest.n ? "with this system message" : "without a system message");
}

static void word_quit(Chat *c, Str rest)
{
    (void)rest;
    c->quit = true;
}

static const struct { const char *word; void (*run)(Chat *c, Str rest); const char *help; } words[] = {
    { "/reset",  word_reset,  "start the conversation anew; the system message stays" },
    { "/system", word_system, "start anew with the text behind it as system message" },
    { "/quit",   word_quit,   "end" },
};

static void run_word(Chat *c, Str line)
{
    const char *space = memchr(line.p, ' ', line.n);
    const Str   word = { line.p, space ? (size_t)(space - line.p) : line.n };
    const Str   rest = space ? (Str){ space + 1, line.n - word.n - 1 } : (Str){ 0 };
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_eqz(word, words[i].word)) {
            words[i].run(c, rest);
            return;
        }
    fprintf(stderr, "these words can be used here:\n");
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        fprintf(stderr, "  %-8s %s\n", words[i].word, words[i].help);
}

static bool stop_asked(void *user)
{
    (void)user;
    return interrupted != 0;
}

static int answer(Chat *c, Err *e)
{
    const Options   *o = c->opt;
    const GenOptions opt = { .max_tokens = o->max_tokens,
                             .sample = { .temperature = o->temperature, .top_k = o->top_k, .top_p = o->top_p, .min_p = o->min_p,
                                         .repetition_penalty = o->repetition_penalty, .seed = (uint64_t)o->seed } };
    const GenHooks   hooks = { .text = cli_print_piece, .stop_asked = stop_asked };
    const int64_t    positions = c->model->cfg.max_positions;
    ChatOut          prompt = { 0 };
    StrBuf           text = { 0 };
    GenResult        r;
    interrupted = 0;
    int rc = chat_render(c->g.tok, c->messages, true, "the conversation", &prompt, e);
    if (!rc)
        rc = model_reserve_positions(c->model, o->max_tokens ? MIN((int64_t)prompt.ids.n + o->max_tokens, positions) : positions, e);
    if (!rc)
        generator_plan(&c->g, o->max_tokens ? (int64_t)prompt.ids.n + o->max_tokens : 0);
    if (!rc && (rc = generator_prompt(&c->g, prompt.ids.p, (int32_t)prompt.ids.n, e)) == ERR_INPUT)
        err_wrap(e, "the conversation (/reset starts a new one)");
    if (rc)
        goto done;
    rc = generator_run(&c->g, &opt, c->n_answers++, &hooks, &text, &r, e);
    putchar('\n');
    fflush(stdout);
    if (rc)
        goto done;
    if (r.finish == FINISH_ASKED)
        fprintf(stderr, "(stopped)\n");
    if (r.finish == FINISH_LENGTH)
        fprintf(stderr, "(cut after %lld tokens)\n", (long long)r.n_tokens);
    add_message(c, "assistant", strbuf_str(&text));
done:
    strbuf_release(&text);
    chat_out_release(&prompt);
    return rc;
}

static int converse(Chat *c, bool person, Err *e)
{
    Lines in;
    Str   line;
    int   rc = 0;
    lines_open(&in);
    while (!c->quit) {
        if (person) {
            fprintf(stderr, "> ");
            fflush(stderr);
        }
        rc = lines_next(&in, &line, e);
        if (rc == 0)
            break;
        const size_t n = json_len(c->messages);
        if (rc == 1 && line.n && line.p[0] == '/') {
            run_word(c, line);
        } else if (rc == 1 && line.n) {
            add_message(c, "user", line);
            rc = answer(c, e);
            if (rc)
                keep_messages(c, n);
        }
        if (rc < 0 && !person)
            break;
        if (rc < 0)
            fprintf(stderr, "%s\n", e->text);
        rc = 0;
    }
    if (person && !c->quit)
        fprintf(stderr, "\n");
    lines_close(&in);
    return rc;
}

int cmd_chat(int argc, char **argv, Err *e)
{
    Options     o = { 0 };
    const char *path = NULL;
    Opened      opened = { 0 };
    Chat        c = { .opt = &o };
    int         n_pos = 0, rc = cli_parse("chat", table, &o, argc, argv, &path, 1, &n_pos, NULL, &o.help, e);
    if (rc || o.help)
        goto done;
    if (!n_pos) {
        rc = err_set(e, ERR_ARG, "MODEL is missing: name a model or run folder, as in hone chat MODEL");
        goto done;
    }
    if ((rc = cli_open(&opened, path, o.adapter, o.device, o.threads, e)))
        goto done;
    int32_t end = chat_terminator(opened.tok, e);
    if (end < 0) {
        rc = err_wrap(e, "%s", path);
        goto done;
    }
    struct sigaction action = { .sa_handler = on_interrupt }; /* no SA_RESTART: at the prompt it ends the input */
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    c.model = opened.model;
    generator_open(&c.g, opened.model, opened.adapter, opened.tok);
    c.g.kv_type = cli_kv_type[o.kv];
    generator_end_add(&c.g, end);
    start_over(&c, str_of(o.system));
    rc = converse(&c, term_is_tty(STDIN_FILENO), e);
done:
    json_free(c.messages);
    generator_close(&c.g);
    cli_close(&opened);
    cfg_release(table, &o);
    return rc;
}
