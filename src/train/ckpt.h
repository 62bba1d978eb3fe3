/* ckpt.h - checkpoints: everything that decides how a run goes on, so that a run killed at any moment ends with the same bits as one that was not.
 * A checkpoint is a folder RUN/checkpoints/step-000120 that appears whole or not at all:
 *   state.json          where the run stands (RunState)
 *   state.safetensors   every trainable tensor NAME with its moments NAME.m and NAME.v, f32; moments of 8 bits as bytes [blocks, 260], a block being
 *                       the f32 scale and the codes of 256 numbers (formats/quant_dynamic.c)
 *   manifest.json       size and SHA-256 of the other two; a checkpoint that does not match is passed over with a warning
 * Random numbers need no state: they are functions of (seed, stream, index). */
#ifndef HONE_CKPT_H
#define HONE_CKPT_H

#include "train/optimizer.h"

typedef struct RunState {
    int64_t step;                 /* optimizer steps done */
    int64_t best_step, since_best;/* evaluations since the best one */
    double  best_loss, first_loss, last_loss; /* held-out; NaN when there was none */
    int64_t tokens, trained_tokens;           /* seen so far */
    double  seconds, run_seconds; /* spent in training steps, and in all, over all sittings */
    double  joules;               /* that a card has spent on the run, over all sittings; NaN: unknown */
    int64_t metrics_bytes, order_bytes, samples_bytes; /* lengths of the run's journals when the checkpoint was made */
} RunState;

/* Written in two parts, so that the slow one can be done while training goes on: begin reads all that training changes, commit brings it safely to the disk
 * under its name and removes all but the newest `keep`. close in any case; without commit nothing is left of it. */
typedef struct Ckpt { int64_t step; char *path, *tmp; } Ckpt;
int  ckpt_begin(Ckpt *c, const char *run, const Optimizer *o, const RunState *s, Err *e);
int  ckpt_commit(Ckpt *c, int64_t keep, Err *e);
void ckpt_close(Ckpt *c);                   /* zeroed: fine */
size_t ckpt_room(const Optimizer *o);       /* bytes of memory that it takes */
size_t ckpt_bytes(const Optimizer *o);      /* bytes of a checkpoint on disk, but for names and text */
/* Finds the newest checkpoint that is whole, fills the optimizer and the state. *found false: there is none. */
int ckpt_load(const char *run, Optimizer *o, RunState *s, bool *found, Err *e);

#endif
