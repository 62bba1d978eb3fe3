/* schedule.h - the learning rate of each step. */
#ifndef HONE_SCHEDULE_H
#define HONE_SCHEDULE_H

#include "train/train_cfg.h"

/* step: 1-based, of total. Warm-up over W = ceil(warmup * total) steps: lr * step / W. Then, with x = (step - W - 1) / (total - W), so that no step has rate 0:
 * cosine: lr * (floor + (1 - floor) * (1 + cos(pi x)) / 2) (Loshchilov & Hutter 2017); linear: lr * (1 - x); constant: lr. */
double schedule_lr(const TrainCfg *c, int64_t step, int64_t total);

#endif
