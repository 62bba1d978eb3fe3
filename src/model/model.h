/* model.h - a transformer of any supported family, loaded from a Hugging Face folder: configuration, weights, one block function, and the passes
 * made of it. The same block serves training, evaluation and generation, so "trained well, served differently" cannot happen.
 *
 * Lifetimes: weights live in the model's arena until model_close; adapters (lora.h) are objects of their own, named per Step.
 * To add a family: a row in families.c, a paragraph in MODELS.md, a golden tiny model (tools/export_golden.py). */
#ifndef HONE_MODEL_H
#define HONE_MODEL_H

#include "base/arena.h"
#include "base/hash.h"
#include "base/spill.h"
#include "base/str.h"
#include "formats/hf_dir.h"
#include "formats/pack_bnb.h"
#include "tensor/ops.h"

typedef enum { NORM_RMS, NORM_LAYER } NormKind;
typedef enum { POS_ROPE, POS_LEARNED } PosKind;
typedef enum { QK_NONE, QK_HEAD, QK_WIDE } QkNorm;      /* norm on q and k before the rotation: none, over each head, over the whole width */
typedef enum { ROPE_DEFAULT, ROPE_LINEAR, ROPE_DYNAMIC, ROPE_LLAMA3, ROPE_YARN, ROPE_LONG } RopeKind;
enum { ROPE_GLOBAL, ROPE_LOCAL, ROPE_SETS };            /* Gemma 3 turns its windowed layers by another base */

#define LAYERS_MAX 1024
#define ROPE_FACTORS_MAX 256                            /* pairs of elements that longrope scales one by one */

/* How positions become angles; rope.c has the formulas. */
typedef struct RopeConfig {
    RopeKind kind;
    double   theta;
    int64_t  rot;                       /* elements of a head that turn, the first ones; the others stay */
    double   factor, original;          /* original: positions the model had before its context was stretched */
    double   low_freq, high_freq;       /* llama3 */
    double   beta_fast, beta_slow;      /* yarn */
    bool     truncate;                  /* yarn */
    double   attention_factor;          /* cos and sin are multiplied by it; 1 unless yarn or longrope */
    float    short_factor[ROPE_FACTORS_MAX], long_factor[ROPE_FACTORS_MAX]; /* longrope */
} RopeConfig;

enum { LAYER_WINDOW = 1, LAYER_NO_ROPE = 2, LAYER_LOCAL_ROPE = 4, LAYER_EXPERTS = 8 }; /* bits of ModelConfig.layer[] */

typedef struct ModelConfig {
    int64_t hidden, layers, heads, kv_heads, head_dim, ffn, vocab, max_positions;
    float   norm_eps;
    ActKind act;
    bool    tied;                       /* lm_head is the embedding table */
    bool    qkv_bias, o_bias, mlp_bias, head_bias;
    QkNorm  qk_norm;
    bool    parallel;                   /* x + attention(norm x) + mlp(norm x), instead of one after the other */
    int     window;                     /* tokens that a layer with LAYER_WINDOW sees, itself included */
    uint8_t layer[LAYERS_MAX];
    float   embed_scale, residual_scale, attn_scale, logit_scale; /* products; 1: none */
    float   attn_softcap, logit_softcap;                          /* c tanh(x / c); 0: none */
    RopeConfig rope[ROPE_SETS];
    int64_t experts, top_k;             /* of a layer with LAYER_EXPERTS, and how many of them a token goes to; 0: no layer has experts */
    int64_t expert_ffn, shared_ffn;     /* widths of an expert and of the expert that every token goes to (0: there is none) */
    bool    norm_topk;                  /* the weights of a token's experts are made to sum to 1 */
    float   aux_coef;                   /* of the load-balancing loss, where config.json asks for it; else 0 */
    double  init_std;                   /* for random weights */
    int32_t eos[8];                     /* every id that ends a text: config.json and generation_config.json */
    int     n_eos;
} ModelConfig;

/* Module name inside a layer -> field of Block; with `each`, module.N.each -> field of Block.expert[N]. */
typedef struct BlockRule { const char *module; size_t off; bool norm; const char *each; } BlockRule;

/* What differs between families; config.json speaks first where it speaks. */
typedef struct Family {
    const char *hf;                     /* model_type in config.json */
    const char *architecture;           /* architectures[0] */
    NormKind    norm;
    float       norm_offset;            /* RMS weights count from here (Gemma stores w and multiplies by 1 + w) */
    PosKind     pos;
    bool        gated;                  /* gate and up projections, else up only */
    bool        transposed;             /* linear weights stored [in, out] (GPT-2's Conv1D) */
    bool        qkv_by_head;            /* fused q/k/v stored head by head: q0 k0 v0 q1 k1 v1 ...; in memory all q, all k, all v */
    const char *prefix;                 /* of the modules below; some files leave it out */
    const char *embed, *pos_embed, *layers, *final_norm;
    const char *head;                   /* module name of the head where it is not tied, in files */
    const BlockRule *rule;              /* ends with module == NULL */
    struct { int64_t kv_heads, head_dim, max_positions, window; double theta, partial, eps; const char *act; bool tied; }
                silent;                 /* the family's values where config.json is silent; 0: heads, hidden / heads, 2048, none, 10000, 1, 1e-6 */
    const char *computes;               /* options of config.json beyond the common ones that this family computes; see options[] in family_config.c */
    int (*read_config)(ModelConfig *c, const struct Family *f, const Json *config, const char *where, Err *e);
} Family;

typedef struct Norm { Tensor *w, *b; } Norm;                    /* w == NULL: absent */
typedef struct Linear {
    Tensor     *w, *b;                  /* w [out, in]; b [out] or NULL */
    const char *module;                 /* "model.layers.0.self_attn.q_proj": the name PEFT uses */
    int         index;                  /* into Adapter.pair */
    bool        by_head;                /* its rows lie head by head in files: linear_file_row */
    bool        router;                 /* weighs experts: "all" does not adapt it, only its name does */
} Linear;

typedef struct Expert { Linear gate, up, down; } Expert;

typedef struct Block {
    Norm   attn_norm, attn_post, mlp_norm, mlp_post, q_norm, k_norm; /* before and after each branch; a branch without a norm before it */
    Linear qkv, q, k, v, o;                                     /* qkv.w != NULL: q, k, v are its columns */
    Linear gate_up, gate, up, down;                             /* gate_up.w != NULL: gate, up are its columns */
    Expert *expert;                                             /* [experts]; NULL: the MLP above */
    Linear  router, shared_gate;
    Expert  shared;                                             /* w == NULL: none */
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
    char          chat_template[SHA256_HEX]; /* hash of the chat template that all its weights were trained behind; "": unknown */
    bool          packed;               /* some weights have fewer than 16 bits in the file: a frozen base */
    bool          stream;               /* mapped weights of a block leave memory when it has run; set by who has little memory, with model_stream */
    int           first;                /* number of block[0]; not 0 in a slice of a model */
    TArena        blocks;               /* a device's copies of the blocks' mapped weights: all, or (stream) room for those of two blocks */
    struct Rooms *rooms;                /* that room: stream.c; NULL: there is none */
    bool          nf4;                  /* linears were packed while they were loaded */
    int           unblocked;            /* matrices that ModelOptions.nf4 could not keep in 4 bits */
    struct Source *source;              /* the open files: mapped weights lie in them */
    Tensor       *embed, *pos_embed, *head_w, *head_b;          /* head_w == embed when tied; head_b mostly NULL */
    Norm          final_norm;
    Block        *block;
    Linear       *linear;               /* [n_linear] all adaptable linears of all blocks, in order; views of the Linears in block */
    int           n_linear;
    RopeTable     rope[ROPE_SETS];      /* cos == NULL where the angles depend on the length of a text: step_init makes them */
    int64_t       positions;            /* that model_reserve_positions has made ready */
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
    Tensor **k, **v;                    /* per layer: [slots * capacity, G * d made whole blocks] */
    TArena   arena;
} KvCache;

/* One pass over a flat batch of tokens. */
typedef struct Step {
    const Tensor *ids, *pos;            /* I32 [T] */
    AttnShape     attn;                 /* segments; heads etc. are filled by step_init */
    KvCache      *kv;                   /* NULL: keys are the batch's own */
    const struct Adapter *adapter;      /* NULL: base model */
    RopeTable     rope[ROPE_SETS];      /* the model's, or this step's own where angles depend on the length of each text */
    const Tensor *rope_row;             /* I32 [T]: row of the tables */
    RouteStats   *route;                /* training a mixture of experts: zeroed but for coef, for one pass; NULL: nothing is counted */
    Spill        *spill;                /* under SPILL_INPUTS: where they go; model_spill_bytes of room. A device's may go to the program's memory */
} Step;

typedef struct ModelOptions {
    bool trainable;                     /* every weight in f32 and in memory of its own; else frozen matrices stay as stored, mapped where they can be */
    bool nf4;                           /* QLoRA: the linears of the blocks, but routers, are packed while they load (Dettmers et al. 2023) */
    size_t memory;                      /* of a device, that may be taken; 0: what it has free. Weights that do not fit are streamed, where they lie in the file as kernels read them */
} ModelOptions;
/* Opens a folder; every weight found, used once and of the shape the config says, or an error that names it. o NULL: frozen, as stored. */
int   model_open(Model **out, const char *path, Backend *be, const ModelOptions *o, Err *e);
/* The same from config.json alone with weights drawn from N(0, initializer_range), norms 1, biases 0, matrices rounded to `keep` (o and down projections divided by sqrt(2 layers), as GPT-2). */
int   model_open_random(Model **out, const char *config_dir, Backend *be, DType keep, uint64_t seed, Err *e);
/* The same for measurements, made as fast as a device takes numbers: a few million drawn ones again and again in every matrix, the linears of blocks in `keep`, which may be NF4
 * (where rows are whole blocks of 64; the rest is then in BF16); trainable: all in F32. */
int   model_open_repeated(Model **out, const char *config_dir, Backend *be, DType keep, bool trainable, Err *e);
void  model_close(Model *m);
size_t model_mapped_bytes(const Model *m, int layer);           /* of a block's matrices, or (-1) of those outside blocks, that lie in the model's file */
bool   model_is_mapped(const Model *m, const Tensor *w);       /* does this weight lie in the model's file? */
void  model_forget(const Model *m);                             /* the pages of mapped weights may leave memory until they are read again */
/* Whether mapped weights of a block leave memory, a device's or the program's, when it has run. ERR_MEM: a device has no room for the other way; then no pass may be run until
 * the way back has succeeded. */
int   model_stream(Model *m, bool stream, Err *e);
size_t model_blocks_bytes(const Model *m, bool stream);         /* of a device, that the copies of mapped blocks take either way; 0: the program's memory */
Model model_slice(const Model *m, int first, int layers);      /* the same model with `layers` blocks from `first` on; lives as long as m */
int   model_reserve_positions(Model *m, int64_t n, Err *e);     /* rope tables for positions below n; learned positions: n must fit */
void  model_fingerprint(const Model *m, char out[SHA256_HEX]); /* the same for every copy of a model that is not packed: fingerprint.c */
int64_t model_param_count(const Model *m);
int64_t model_active_count(const Model *m);                     /* of those, how many a token meets: all but the experts it does not go to */

typedef struct SaveOptions {
    DType  dtype;                       /* F32, F16 or BF16 */
    size_t max_shard_bytes;             /* 0: 5 GB; a larger model becomes several files with model.safetensors.index.json */
    bool   packed;                      /* the linears of the blocks are packed as `pack` says, the rest stays in dtype */
    PackKind pack;
} SaveOptions;
/* Writes weights (with `adapter` merged in: W + s B A, when not NULL) under the names they were read by, and every side file of the base folder.
 * Atomic. */
int   model_save(const Model *m, const struct Adapter *adapter, const char *path, const SaveOptions *o, Err *e);
int   model_write(const Model *m, const struct Adapter *adapter, const char *dir, const SaveOptions *o, Err *e); /* into a folder that the caller commits (folder_begin) */

size_t model_save_room(const Model *m, const SaveOptions *o);   /* bytes of memory that it takes while it writes; no adapter */

/* A pass over n_seg whole texts that lie one after the other. `a` holds what the step needs until it is done (small). */
void  step_init(Step *s, const Model *m, TArena *a, const Tensor *ids, const Tensor *pos, int n_seg, const int32_t *start, const int32_t *len);
/* The same behind a cache: segment i now has nk[i] tokens, the last len[i] of them in this batch, at row k0[i] of the cache. plan[i] is the length
 * that the text is meant to reach; where angles depend on the length of a text it decides from the first token on, so that cached = whole. */
void  step_init_cached(Step *s, const Model *m, TArena *a, const Tensor *ids, const Tensor *pos, int n_seg, const int32_t *start, const int32_t *len,
                       KvCache *kv, const int32_t *k0, const int32_t *nk, const int32_t *plan);

Tensor *block_forward(Tape *t, const Model *m, int layer, Tensor *x, const Step *s, const Tensor *row);   /* block.c; row as below */
/* After the final norm: [T, D], or only the rows row[n] (I32; NULL: all), which spares the last block what nobody reads. */
Tensor *model_hidden(Tape *t, const Model *m, const Step *s, const Tensor *row);
Tensor *model_logits(Tape *t, const Model *m, const struct Adapter *a, Tensor *hidden); /* [rows, V]; for generation, few rows */
Tensor *model_head_logp(Tape *t, const Model *m, const struct Adapter *a, Tensor *hidden, const Tensor *target); /* [rows, 1] */

/* log p(target[i] | text up to row[i]) for n rows, no gradient. */
int   model_logp(const Model *m, TArena *scratch, const Step *s, const Tensor *row, const Tensor *target, Tensor **logp, Err *e);

/* What is held for the way back: everything; each block's input, and the block runs again; the same, with the inputs in a file until then. */
typedef enum { KEEP_ALL, CHECKPOINT_BLOCKS, SPILL_INPUTS } ActivationPolicy;
/* Forward and backward of loss = sum_i coef[i] * logp[i] (and the load-balancing loss of s->route, if its coef is not 0); gradients are added to every wanting weight's grad.
 * Every policy gives the same bits. */
int   model_train_pass(const Model *m, TArena *scratch, const Step *s, const Tensor *row, const Tensor *target, const Tensor *coef,
                       ActivationPolicy policy, Tensor **logp, Err *e);
/* Bytes that a pass over so many tokens puts into its file and gets from it again: the inputs of all blocks but the last. */
uint64_t model_spill_bytes(const Model *m, int64_t tokens);

int   kv_open(KvCache *kv, const Model *m, int slots, int32_t capacity, DType type, Err *e);   /* F32; F16, Q8_0: half, about a quarter of the memory, rounded */
void  kv_close(KvCache *kv);

/* Reads and range-checks config.json (and the end-of-text ids of generation_config.json, may be NULL). */
int   model_config_read(ModelConfig *c, const Family **fam, const Json *config, const Json *generation, const char *where, Err *e);
/* Row of a linear's matrix or bias in files -> nothing moves but families with qkv_by_head: memory row -> file row. */
int64_t linear_file_row(const Model *m, const Linear *l, int64_t row);
/* Are the angles of a text of n tokens other than those of a text of m tokens? (A cache made under one plan is then of no use under the other.) */
bool  rope_plans_differ(const ModelConfig *c, int64_t n, int64_t m);
const Family *family_find(Str model_type);
void  family_names(StrBuf *out);                                /* "llama, qwen2, ..." for errors */

#endif
