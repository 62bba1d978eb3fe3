/* model.h - a transformer of any supported family, loaded from a Hugging Face folder: configuration, weights, one block function, and the passes
 * made of it. The same block serves training, evaluation and generation, so "trained well, served differently" cannot happen.
 *
 * Lifetimes: weights live in the model's arena until model_close; adapters (lora.h) are objects of their own, named per Step.
 * To add a family: a row in families.c, a paragraph in MODELS.md, a golden tiny model (tools/export_golden.py). */
#ifndef HONE_MODEL_H
#define HONE_MODEL_H

#include "base/arena.h"
#include "base/str.h"
#include "formats/hf_dir.h"
#include "tensor/ops.h"

typedef enum { NORM_RMS, NORM_LAYER } NormKind;
typedef enum { POS_ROPE, POS_LEARNED } PosKind;
typedef enum { ROPE_PLAIN, ROPE_LLAMA3 } RopeScaling;

typedef struct ModelConfig {
    int64_t hidden, layers, heads, kv_heads, head_dim, ffn, vocab, max_positions;
    float   norm_eps;
    ActKind act;
    bool    tied;                       /* lm_head is the embedding table */
    bool    qkv_bias, o_bias, mlp_bias;
    double  rope_theta;
    RopeScaling rope_scaling;
    double  rope_factor, rope_low_freq, rope_high_freq, rope_original_positions; /* llama3 scaling */
    double  init_std;                   /* for random weights */
    int32_t eos[8];                     /* every id that ends a text: config.json and generation_config.json */
    int     n_eos;
} ModelConfig;

/* What differs between families; config.json speaks first where it speaks. */
typedef struct BlockRule { const char *module; size_t off; bool norm; } BlockRule; /* module name inside a layer -> field of Block */
typedef struct Family {
    const char *hf;                     /* model_type in config.json */
    const char *architecture;           /* architectures[0] */
    NormKind    norm;
    PosKind     pos;
    bool        gated;                  /* gate and up projections, else up only */
    bool        qk_norm;                /* RMS norm per head on q and k before rope */
    bool        fused_qkv;
    bool        transposed;             /* linear weights stored [in, out] (GPT-2's Conv1D) */
    const char *prefix;                 /* of the modules below; some files leave it out */
    const char *embed, *pos_embed, *layers, *final_norm;
    const BlockRule *rule;              /* ends with module == NULL */
    int (*read_config)(ModelConfig *c, const Json *config, const char *where, Err *e);
} Family;

typedef struct Norm { Tensor *w, *b; } Norm;                    /* w == NULL: absent */
typedef struct Linear {
    Tensor     *w, *b;                  /* w [out, in]; b [out] or NULL */
    const char *module;                 /* "model.layers.0.self_attn.q_proj": the name PEFT uses */
    int         index;                  /* into Adapter.pair */
} Linear;

typedef struct Block {
    Norm   attn_norm, mlp_norm, q_norm, k_norm;
    Linear qkv, q, k, v, o, gate, up, down;                     /* qkv.w != NULL: q, k, v are its columns */
} Block;

typedef struct Param { Tensor *w; bool decays; } Param;         /* decays: weight decay applies (matrices of linears only) */

typedef struct Model {
    const Family *fam;
    ModelConfig   cfg;
    Backend      *be;
    TArena        weights;
    Arena         names;
    char         *path;
    DType         file_dtype;           /* of the linear weights as stored; what a merged model is written in */
    Tensor       *embed, *pos_embed, *head_w;                   /* head_w == embed when tied */
    Norm          final_norm;
    Block        *block;
    Linear       *linear;               /* [n_linear] all adaptable linears of all blocks, in order; views of the Linears in block */
    int           n_linear;
    RopeTable     rope;
    TArena        rope_arena;
    struct SlotList *slots;             /* every weight by its name in files: model_int.h */
    Param        *param;                /* every weight once */
    int           n_param;
} Model;

struct Adapter;

/* Keys and values of earlier tokens: `slots` sequences of at most `capacity` tokens. */
typedef struct KvCache {
    int      slots;
    int32_t  capacity;
    Tensor **k, **v;                    /* per layer: [slots * capacity, G*d] */
    TArena   arena;
} KvCache;

/* One pass over a flat batch of tokens. */
typedef struct Step {
    const Tensor *ids, *pos;            /* I32 [T] */
    AttnShape     attn;                 /* segments; heads etc. are filled by step_init */
    KvCache      *kv;                   /* NULL: keys are the batch's own */
    const struct Adapter *adapter;      /* NULL: base model */
} Step;

/* Opens a folder; every weight found, used once and of the shape the config says, or an error that names it. */
int   model_open(Model **out, const char *path, Backend *be, Err *e);
/* The same from config.json alone with weights drawn from N(0, initializer_range), norms 1, biases 0 (o and down projections divided by sqrt(2 layers), as GPT-2). */
int   model_open_random(Model **out, const char *config_dir, Backend *be, uint64_t seed, Err *e);
void  model_close(Model *m);
int   model_reserve_positions(Model *m, int64_t n, Err *e);     /* rope tables for positions below n; learned positions: n must fit */
int64_t model_param_count(const Model *m);

/* Writes weights (with `adapter` merged in: W + s B A, when not NULL) in dtype, and every side file of the base folder. Atomic. */
int   model_save(const Model *m, const struct Adapter *adapter, const char *path, DType dtype, Err *e);

void  step_init(Step *s, const Model *m, const Tensor *ids, const Tensor *pos, int n_seg, const int32_t *start, const int32_t *len);

Tensor *block_forward(Tape *t, const Model *m, int layer, Tensor *x, const Step *s);      /* block.c */
Tensor *model_hidden(Tape *t, const Model *m, const Step *s);   /* [T, D] after the final norm */
Tensor *model_logits(Tape *t, const Model *m, Tensor *hidden);  /* [rows, V]; for generation, few rows */

/* log p(target[i] | text up to row[i]) for n rows, no gradient. */
int   model_logp(const Model *m, TArena *scratch, const Step *s, const Tensor *row, const Tensor *target, Tensor **logp, Err *e);

typedef enum { KEEP_ALL, CHECKPOINT_BLOCKS } ActivationPolicy;
/* Forward and backward of loss = sum_i coef[i] * logp[i]; gradients are added to every wanting weight's grad. The result is the
 * same under both policies; CHECKPOINT_BLOCKS keeps only each block's input and runs the block again. */
int   model_train_pass(const Model *m, TArena *scratch, const Step *s, const Tensor *row, const Tensor *target, const Tensor *coef,
                       ActivationPolicy policy, Tensor **logp, Err *e);

int   kv_open(KvCache *kv, const Model *m, int slots, int32_t capacity, Err *e);
void  kv_close(KvCache *kv);

/* Reads and range-checks config.json (and the end-of-text ids of generation_config.json, may be NULL). */
int   model_config_read(ModelConfig *c, const Family **fam, const Json *config, const Json *generation, const char *where, Err *e);
const Family *family_find(Str model_type);
void  family_names(StrBuf *out);                                /* "llama, qwen2, ..." for errors */

#endif
