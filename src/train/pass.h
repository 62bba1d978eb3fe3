/* pass.h - a packed micro-batch through the model: the loss with gradients (training) or without (evaluation).
 * The loss of a text is the mean of -log p over its trained tokens; of an optimizer step, over the trained tokens of all its micro-batches,
 * never a mean of means. */
#ifndef HONE_PASS_H
#define HONE_PASS_H

#include "data/pack.h"
#include "model/lora.h"

typedef struct PassCtx {
    const Model   *model;
    const Adapter *adapter;      /* NULL: base */
    TArena         scratch;      /* kept between passes, so that later ones allocate nothing */
    MicroBatch     batch;
    float         *logp;         /* [cap], host: log p of each trained token of the last pass */
    int64_t        cap;
    Compute        compute;      /* of training passes; evaluation is f32, as the result will be used */
    double         aux_coef;     /* of the routers' load-balancing loss in training; 0: none */
    RouteStats     route;        /* what the routers of the last training pass chose */
    Spill          spill;        /* the file of SPILL_INPUTS; closed with the pass */
} PassCtx;

void pass_open(PassCtx *p, const Model *m, const Adapter *a);
void pass_close(PassCtx *p);
/* Room of nbytes for the inputs of blocks in the program's memory, held in place where the device can copy to and from it by itself. ERR_MEM */
int  pass_spill_memory(PassCtx *p, uint64_t nbytes, Err *e);
/* Adds the gradient of -sum(log p) / total_trained to the trainable tensors; *nll += -sum(log p). The load-balancing loss of a micro-batch is a
 * function of all its tokens; it counts by the batch's share of total_trained, so that a step's shares sum to one. *balance += share * that loss. */
int  pass_train(PassCtx *p, const DataSet *d, const int64_t *examples, int64_t n, int64_t total_trained, ActivationPolicy policy, double *nll,
                double *balance, Err *e);
/* log p of the batch's trained tokens in p->logp, in order of p->batch.row; *nll += -sum. */
int  pass_eval(PassCtx *p, const DataSet *d, const int64_t *examples, int64_t n, double *nll, Err *e);

typedef struct EvalResult { double loss, perplexity; int64_t tokens, examples; } EvalResult;
/* Whole set, in file order, in micro-batches of `capacity` tokens. */
int  pass_eval_set(PassCtx *p, const DataSet *d, int64_t capacity, EvalResult *r, Err *e);

#endif
