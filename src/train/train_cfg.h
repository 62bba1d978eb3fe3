/* train_cfg.h - everything that decides a training run: the recipe. Every field is a recipe key and a --flag (train_options), has a
 * default and a range. Zero or empty means "chosen for you"; train_cfg_resolve puts the choice in, so that recipe.yaml in the run folder is complete. */
#ifndef HONE_TRAIN_CFG_H
#define HONE_TRAIN_CFG_H

#include "base/cfg.h"
#include "data/dataset.h"
#include "model/lora.h"

/* Each of the activations after auto does what the one before it does, and one thing more. */
typedef enum { METHOD_LORA, METHOD_QLORA, METHOD_FULL } Method;
typedef enum { GOAL_AUTO, GOAL_SFT, GOAL_TEXT } Goal;
typedef enum { SCHEDULE_COSINE, SCHEDULE_LINEAR, SCHEDULE_CONSTANT } ScheduleKind;
typedef enum { ACTIVATIONS_AUTO, ACTIVATIONS_KEEP, ACTIVATIONS_CHECKPOINT, ACTIVATIONS_SPILL, ACTIVATIONS_STREAM } Activations;
typedef enum { OPTIM_ADAMW, OPTIM_ADAMW_8BIT } Optim;
typedef enum { MOMENTS_AUTO, MOMENTS_DEVICE, MOMENTS_HOST } Moments; /* where a device's lie */
extern const char *const train_activations[];

typedef struct TrainCfg {
    char   *model, *data, *out, *eval, *init_adapter, *separator, *target_modules, *device;
    int     method, objective, on_long, schedule, activations, moments, optim, compute; /* the enums above, LongPolicy and Compute */
    double  epochs;
    int64_t steps, batch_tokens, micro_tokens, max_length;
    double  lr, lr_floor, warmup, weight_decay, beta1, beta2, adam_eps, clip;
    int64_t rank;
    double  alpha;
    bool    rslora, packing, keep_tokens;
    double  router_aux_loss;
    int64_t eval_every, patience, save_every, keep_checkpoints, samples, sample_tokens;
    int64_t seed, threads, memory;
} TrainCfg;

extern const CfgOption train_options[];

/* Checks what belongs together and fills in what was left to hone, given the model. n_examples etc. are not needed yet. */
int train_cfg_resolve(TrainCfg *c, const Model *m, DataKind first_kind, Err *e);
/* The same for the sizes of a batch, once the longest example (in tokens, held-out ones too) is known. device: it computes on a card. */
int train_cfg_resolve_batch(TrainCfg *c, int64_t longest, bool device, Err *e);
ActivationPolicy train_policy(int activations); /* not of auto */
/* Name of the first key in which two recipes differ, other than those that cannot change the result (threads, memory, activations, keep-tokens); NULL: same. */
const char *train_cfg_difference(const TrainCfg *a, const TrainCfg *b);

#endif
