/* optimizer.h - the trainable tensors of a run with their gradients and AdamW moments (Loshchilov & Hutter 2019, as torch.optim.AdamW computes it).
 * Main struct: Optimizer, a flat list; every entry knows its name, so no index arithmetic decides what is saved or decayed. */
#ifndef HONE_OPTIMIZER_H
#define HONE_OPTIMIZER_H

#include "train/train_cfg.h"

typedef struct Trainable { char *name; Tensor *w, *grad, *m, *v; bool decays; } Trainable;

typedef struct Optimizer {
    Backend   *be;
    Trainable *t;
    int        n;
    int64_t    n_values;   /* trained numbers in all */
    TArena     arena;      /* gradients and moments */
    Arena      names;
} Optimizer;

/* Marks the adapter's factors (adapter != NULL) or every weight of the model as wanting gradients and makes their state, zeroed. With OPTIM_ADAMW_8BIT
 * moments are DYN8 and UDYN8 (formats/quant_dynamic.c), but those of tensors of less than OPTIM_8BIT_LEAST numbers stay F32, as bitsandbytes has it. */
#define OPTIM_8BIT_LEAST 4096
int    optimizer_open(Optimizer *o, Model *m, Adapter *adapter, Optim kind, Err *e);
void   optimizer_close(Optimizer *o);
void   optimizer_zero_grad(Optimizer *o);
double optimizer_grad_norm(const Optimizer *o);                       /* Euclidean, over all; NaN and infinity show */
double optimizer_weight_norm(const Optimizer *o);
/* One update. Gradients are scaled by clip / (norm + 1e-6) when that is below 1 (as torch's clip_grad_norm_); clip 0: not. step is 1-based. */
void   optimizer_step(Optimizer *o, const TrainCfg *c, double lr, double norm, int64_t step);

#endif
