/* guard.h - hard stops: a run that has diverged ends with the step and the reason, before anything good is overwritten. */
#ifndef HONE_GUARD_H
#define HONE_GUARD_H

#include "train/run.h"

/* A guess costs ln(vocabulary) per token; ten times that is no training any more. */
int guard_step(const TrainRun *r, const TrainProgress *p, Err *e);   /* loss and gradient norm finite, loss sane, some gradient there */
int guard_eval(const TrainRun *r, const TrainProgress *p, Err *e);   /* held-out loss finite and sane */
int guard_weights(const TrainRun *r, Err *e);                        /* before a checkpoint: the trained weights finite and of a sane size */

#endif
