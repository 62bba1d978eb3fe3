/* lora.h - low-rank adapters (Hu et al. 2021): y = x W' + s (x A') B', s = alpha / r, or alpha / sqrt(r) (rank-stabilised, Kalajdzievski 2023).
 * An Adapter is a set of pairs for some linears of one model, kept in f32 beside it; files are PEFT's format. */
#ifndef HONE_LORA_H
#define HONE_LORA_H

#include "model/model.h"

typedef struct LoraPair { Tensor *a, *b; } LoraPair;            /* a [r, in], b [out, r]; NULL: this linear is not adapted */

typedef struct Adapter {
    int       rank;
    double    alpha;
    bool      rslora;
    float     scale;
    LoraPair *pair;                     /* [model->n_linear] */
    int       n_pair, n_adapted;
    TArena    arena;
    char     *base;                     /* base_model_name_or_path */
    char      chat_template[65];        /* hash of the chat template that the conversations were rendered with; "": not trained on conversations */
} Adapter;

/* targets: comma-separated module names ("q_proj,v_proj") or "all" for every linear of attention and MLP. A ~ U(-1/sqrt(in), 1/sqrt(in)), B = 0. */
int  adapter_new(Adapter **out, const Model *m, const char *targets, int rank, double alpha, bool rslora, uint64_t seed, Err *e);
int  adapter_open(Adapter **out, const Model *m, const char *path, Err *e);
int  adapter_save(const Adapter *a, const Model *m, const char *path, Err *e);
void adapter_free(Adapter *a);

/* For whoever reads adapter files: an adapter without pairs, and room for the pair of linear i once the rank is known. */
Adapter *adapter_alloc(const Model *m);
int      adapter_pair_make(Adapter *a, const Model *m, int i, Err *e);

#endif
