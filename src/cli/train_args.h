/* train_args.h - what hone train and hone plan share: the same arguments, the answers that samples are made of, the plan in words. */
#ifndef HONE_TRAIN_ARGS_H
#define HONE_TRAIN_ARGS_H

#include "cli/cli.h"

#include <stdio.h>

#include "train/run.h"

/* A recipe, or a run folder, which is its recipe and its --out. */
int  train_read_recipe(TrainCfg *cfg, const char *path, const bool *given, Err *e);
int  train_answer(void *user, const Model *m, const Adapter *a, const Tok *tok, const int32_t *prompt, int32_t n, int64_t max_tokens, StrBuf *out, Err *e);
void train_plan_print(FILE *f, const TrainRun *r);   /* memory, time and what was chosen, on one line */
void time_print(char out[32], double seconds);       /* "1m05s" */

#endif
