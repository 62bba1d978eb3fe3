/* advice.h - what a run is warned of before it starts: things that are allowed, but that make its result mean less than it seems. */
#ifndef HONE_ADVICE_H
#define HONE_ADVICE_H

#include "train/run.h"

void advise_on_overlap(const TrainRun *r);              /* held-out rows that are also training rows */
int  advise_on_end_token(const TrainRun *r, Err *e);    /* LoRA on a model whose end token was never trained */

#endif
