/* main.c - the table of commands. */
#include "cli/cli.h"

#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"
#include "base/thread.h"
#include "tensor/backend.h"
#include "tensor/cuda/cuda.h"

const Command commands[] = {
    { "prep",     cmd_prep,     "FILE... -o DATA",                            "clean, de-duplicate, protect and divide data; every decision is logged" },
    { "prep review", cmd_prep_review, "DATA",                                 "look through prepared data in the browser, and have the last word" },
    { "prep export", cmd_prep_export, "DATA|FILE -o FILE",                    "prepared rows in the shape and container of another tool" },
    { "train",    cmd_train,    "RECIPE | --model DIR --data FILE --out RUN", "fine-tune a model; an unfinished run goes on" },
    { "plan",     cmd_plan,     "RECIPE | --model DIR --data FILE",           "what train with the same arguments would take" },
    { "generate", cmd_generate, "MODEL --prompt TEXT",                        "continue a text" },
    { "chat",     cmd_chat,     "MODEL",                                      "talk to a model" },
    { "eval",     cmd_eval,     "MODEL --data FILE",                          "loss, perplexity and task score on a data file" },
    { "score",    cmd_score,    "MODEL --data FILE",                          "log-probability of every token of texts" },
    { "inspect",  cmd_inspect,  "PATH",                                       "what is this: model, adapter, run or data file" },
    { "export",   cmd_export,   "RUN|MODEL --format F --out PATH",            "write a merged model or an adapter" },
    { "tokenize", cmd_tokenize, "MODEL < FILE",                               "lines of text to token ids, and back" },
    { "render",   cmd_render,   "MODEL < FILE",                               "conversations as the model sees them" },
    { "init",     cmd_init,     "DIR --out MODEL",                            "a model with random weights, to train from scratch" },
    { NULL, NULL, NULL, NULL },
};

static void print_help(FILE *f)
{
    fprintf(f, "hone %s: fine-tune open language models on your own machine\n\nusage: hone COMMAND [options]\n\n", HONE_VERSION);
    for (const Command *c = commands; c->name; c++)
        fprintf(f, "  %-12s %-43s %s\n", c->name, c->usage, c->summary);
    fprintf(f, "\nhone COMMAND --help lists a command's options; hone --version says what this build is.\n"
               "exit status: 0 done; 1 the work failed, or was stopped; 2 the command line or a file is wrong; 3 the device failed, and the same command may be given again\n");
}

/* "prep export" goes before "prep"; a file called export is written ./export. */
static const Command *find(int argc, char **argv, int *words)
{
    const Command *found = NULL;
    for (const Command *c = commands; c->name; c++) {
        const size_t n = strlen(argv[1]);
        const bool   one = !strcmp(c->name, argv[1]), two = argc > 2 && !strncmp(c->name, argv[1], n) && c->name[n] == ' ' && !strcmp(c->name + n + 1, argv[2]);
        if (two || (one && !found)) {
            found = c;
            *words = two ? 2 : 1;
        }
    }
    return found;
}

/* verbose: also on which cards each source of kernels has passed. */
static void print_version(bool verbose)
{
    StrBuf sets = { 0 }, cards = { 0 }, verified = { 0 };
    backend_cpu_sets(&sets);
    backend_cuda_describe(&cards);
    printf("hone %s (compiler %s)\ncpu      %s\nkernels  %s\ndevices  cpu (%d cores), ref (the slow judge)\ncards    %s\n", HONE_VERSION, __VERSION__, backend_cpu_features(),
           strbuf_z(&sets), thread_cores(), strbuf_z(&cards));
    if (verbose)
        backend_cuda_verified(&verified);
    fputs(strbuf_z(&verified), stdout);
    strbuf_release(&sets);
    strbuf_release(&cards);
    strbuf_release(&verified);
}

int main(int argc, char **argv)
{
    signal(SIGXFSZ, SIG_IGN); /* a file-size limit then fails the write, with a sentence */
    setlocale(LC_CTYPE, ""); /* numbers stay in the C locale */
    if (argc < 2) {
        print_help(stderr);
        return 2;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        print_help(stdout);
        return 0;
    }
    if (!strcmp(argv[1], "--version")) {
        print_version(argc > 2 && !strcmp(argv[2], "--verbose"));
        return 0;
    }
    int            words = 1;
    const Command *c = find(argc, argv, &words);
    if (!c) {
        fprintf(stderr, "hone: there is no command \"%s\"; hone --help lists them\n", argv[1]);
        return 2;
    }
    Err e = { 0 };
    int rc = c->run(argc - words, argv + words, &e);
    if (rc)
        fprintf(stderr, "hone %s: %s\n", c->name, e.text);
    else if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "hone %s: the output could not be written completely (is the disk full, or the reader gone?)\n", c->name);
        return 1;
    }
    return err_exit_status(rc);
}
