/* lora.h - low-rank adapters (Hu et al. 2021): y = x W' + s (x A') B', s = alpha / r, or alpha / sqrt(r) (rank-stabilised, Kalajdzievski 2023).
 * An Adapter is a set of pairs for some linears of one model, kept in f32 beside it; files are PEFT's format. */
#ifndef HONE_LORA_H
#define HONE_LORA_H

#include "base/json.h"
#include "formats/safetensors.h"
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
    Tensor   *embed, *head;             /* tables that take the place of the base model's; NULL: none (lora_tables.c) */
    char     *base;                     /* base_model_name_or_path */
    char      trained_on[SHA256_HEX];   /* model_fingerprint of the base; "": unknown */
    char      chat_template[SHA256_HEX]; /* hash of the chat template that the conversations were rendered with; "": not trained on conversations */
} Adapter;

/* targets: comma-separated module names ("q_proj,v_proj") or "all" for every linear of attention and MLP
 * (every expert's too, but not the router that chooses between them). A ~ U(-1/sqrt(in), 1/sqrt(in)), B = 0. */
int  adapter_new(Adapter **out, const Model *m, const char *targets, int rank, double alpha, bool rslora, uint64_t seed, Err *e);
int  adapter_open(Adapter **out, const Model *m, const char *path, Err *e);
/* How the base must be opened so that it is the one the adapter was trained on. A path that is no adapter gives the usual options. */
int  adapter_base_options(ModelOptions *o, const char *path, Err *e);
int  adapter_from(Adapter **out, const Model *m, const Json *config, const StFile *f, const char *path, Err *e); /* its parts, already open; path for messages */
int  adapter_save(const Adapter *a, const Model *m, const char *path, Err *e);
int  adapter_write(const Adapter *a, const Model *m, const char *dir, Err *e); /* into a folder that the caller commits (folder_begin) */
void adapter_free(Adapter *a);

/* The tables in force: the adapter's (may be NULL) where it has them, else the model's. */
Tensor *adapter_embed(const Adapter *a, const Model *m);
Tensor *adapter_head(const Adapter *a, const Model *m);
bool    adapter_unties(const Adapter *a, const Model *m);       /* the model is tied, but no longer with this adapter */

/* For whoever reads adapter files: an adapter without pairs, and room for the pair of linear i once the rank is known. */
Adapter *adapter_alloc(const Model *m);
int      adapter_pair_make(Adapter *a, const Model *m, int i, Err *e);

#endif
