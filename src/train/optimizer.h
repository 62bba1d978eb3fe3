/* optimizer.h - the trainable tensors of a run with their gradients and AdamW moments (Loshchilov & Hutter 2019, as torch.optim.AdamW computes it).
 * Main struct: Optimizer, a flat list; every entry knows its name, so no index arithmetic decides what is saved or decayed.
 * Moments may lie in the program's memory while all else is on a device (Rajbhandari et al. 2021, ZeRO-Infinity, paged optimizer state): an update takes them piece by piece through two rooms
 * on the device; while a piece is updated the next one comes and the one before goes. The same kernel on the same numbers: the same bits. */
#ifndef HONE_OPTIMIZER_H
#define HONE_OPTIMIZER_H

#include "base/spill.h"
#include "train/train_cfg.h"

#define OPTIM_PIECE ((int64_t)1 << 20) /* numbers of a tensor that pass through a room at a time: whole blocks */
typedef struct Trainable { char *name; Tensor *w, *grad, *m, *v; bool decays; } Trainable; /* m, v: their data is the program's where moments are paged */

typedef struct Optimizer {
    Backend   *be;
    Trainable *t;
    int        n;
    int64_t    n_values;   /* trained numbers in all */
    Optim      kind;
    TArena     arena;      /* gradients and moments, or the rooms that moments pass through */
    bool       paged;
    int64_t    piece;      /* OPTIM_PIECE; tests make it small, before optimizer_page */
    Spill      host;       /* paged: the moments */
    Tensor    *room[2];
    size_t     half;       /* bytes of a room for m, and of one for v behind */
    Arena      names;
} Optimizer;

/* Marks the adapter's factors (adapter != NULL) or every weight of the model as wanting gradients and makes their state, zeroed. With OPTIM_ADAMW_8BIT
 * moments are DYN8 and UDYN8 (formats/quant_dynamic.c), but those of tensors of less than OPTIM_8BIT_LEAST numbers stay F32, as bitsandbytes has it. */
#define OPTIM_8BIT_LEAST 4096
int    optimizer_open(Optimizer *o, Model *m, Adapter *adapter, Optim kind, bool paged, Err *e);
/* Moments from the device to the program's memory or back, all zero again: before the first update, and before a checkpoint is loaded. ERR_MEM; after it only optimizer_close,
 * or the other way once more. Of a backend in the program's memory: nothing. */
int    optimizer_page(Optimizer *o, bool paged, Err *e);
size_t optimizer_bytes(const Optimizer *o, bool paged);               /* of the backend's memory, either way */
size_t optimizer_host_bytes(const Optimizer *o);                      /* of the program's, paged */
void   optimizer_turn(Optimizer *o);                                  /* paged moments go through the device and come back as they were: for the clock */
void   optimizer_close(Optimizer *o);
void   optimizer_zero_grad(Optimizer *o);
double optimizer_grad_norm(const Optimizer *o);                       /* Euclidean, over all; NaN and infinity show */
double optimizer_weight_norm(const Optimizer *o);
/* One update. Gradients are scaled by clip / (norm + 1e-6) when that is below 1 (as torch's clip_grad_norm_); clip 0: not. step is 1-based. */
void   optimizer_step(Optimizer *o, const TrainCfg *c, double lr, double norm, int64_t step);

#endif
