/* cli.h - what the commands share: the command table's row, opening the things every command needs, printing an error.
 * To add a command: cmd_x.c with cmd_x(), a declaration here, a row in main.c. Results go to standard output, everything else to standard error. */
#ifndef HONE_CLI_H
#define HONE_CLI_H

#include "base/cfg.h"
#include "base/err.h"
#include "model/lora.h"
#include "tokenizer/tok.h"

typedef int (*CommandFn)(int argc, char **argv, Err *e); /* argv[0] is the command's name; returns 0 or an ErrCode */

typedef struct Command { const char *name; CommandFn run; const char *usage, *summary; } Command;
extern const Command commands[];                         /* main.c; ends with name == NULL */

int cmd_train(int argc, char **argv, Err *e);
int cmd_prep(int argc, char **argv, Err *e);
int cmd_prep_export(int argc, char **argv, Err *e);
int cmd_prep_review(int argc, char **argv, Err *e);
int cmd_plan(int argc, char **argv, Err *e);
int cmd_init(int argc, char **argv, Err *e);
int cmd_generate(int argc, char **argv, Err *e);
int cmd_chat(int argc, char **argv, Err *e);
int cmd_score(int argc, char **argv, Err *e);
int cmd_eval(int argc, char **argv, Err *e);
int cmd_tokenize(int argc, char **argv, Err *e);
int cmd_render(int argc, char **argv, Err *e);
int cmd_export(int argc, char **argv, Err *e);
int cmd_inspect(int argc, char **argv, Err *e);

/* Parses by table; --help prints the command's help and makes *help true (the command then returns 0). */
int  cli_parse(const char *command, const CfgOption *table, void *opts, int argc, char **argv, const char **pos, int max_pos, int *n_pos,
               bool *given, bool *help, Err *e);

/* A room's options and a command's own rows in one table; owned. n: its rows. The command's struct begins with the room's. */
CfgOption *cli_table(const CfgOption *room, const CfgOption *own, int *n);

/* device as backend_open has it, or "auto" (also NULL and ""): backend_auto. */
int  cli_backend(Backend **be, const char *device, int64_t threads, Err *e);

/* The model a command talks to: a model folder, or a run folder (its base with its adapter, or its model), with `adapter` on top when given. */
typedef struct Opened {
    Backend *be;
    Model   *model;
    Adapter *adapter;
    Tok     *tok;
    char    *separator; /* of the run's recipe: what stands between prompt and completion; NULL: nothing, or no run */
    int      on_long;   /* of the run's recipe: LongPolicy; -1: no run */
} Opened;
int  cli_open(Opened *o, const char *path, const char *adapter, const char *device, int64_t threads, Err *e);
void cli_close(Opened *o);
int  cli_open_tokenizer(Tok **tok, const char *path, Err *e); /* of a model, or of a run's base */

/* --kv: what keys and values of earlier tokens are kept in. */
#define CLI_KV_CHOICES "f32|f16|int8"
#define CLI_KV_HELP    "keys and values kept; f16: half the memory, rounded to 11 bits; int8: about a quarter, 8 bits and a scale for each 32 numbers of a head"
extern const DType cli_kv_type[];

/* What commands that write texts share; user is not looked at. */
void cli_print_piece(void *user, Str piece);                             /* to standard output, at once */
bool cli_stop_asked(void *user);                                         /* Ctrl-C, after term_catch_stop */
void cli_message_add(Json *messages, const char *role, Str content);     /* one more {"role", "content"} */

#endif
