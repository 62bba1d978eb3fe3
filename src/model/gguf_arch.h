/* gguf_arch.h - how llama.cpp calls and lays out what Hugging Face's files hold: one row for each architecture that both know. Reading a GGUF
 * model, writing one, and adapters in GGUF all go through this table, so they cannot disagree.
 * Main struct: GgufArch. Names are patterns: # stands for the number of a layer, @ for that of an expert (whose matrices GGUF stacks into one
 * tensor); the endings .weight and .bias are the same on both sides and not part of a pattern.
 * To add an architecture: its list of names and a row in gguf_arch.c; keys of its own also in gguf_keys.c. */
#ifndef HONE_GGUF_ARCH_H
#define HONE_GGUF_ARCH_H

#include "model/model.h"

/* What llama.cpp's converter does to a tensor; every turn can be undone. */
typedef enum {
    TURN_NONE,
    TURN_Q, TURN_K,         /* rows of each head reordered, so that the two elements that rotate together are neighbours; by heads, by kv heads */
    TURN_BY_HEAD,           /* fused q/k/v: head by head in Hugging Face's file, all q, all k, all v in GGUF */
    TURN_TRANSPOSE,         /* matrices only: [in, out] in Hugging Face's file */
    TURN_ADD_ONE,           /* norm weights: GGUF holds 1 + w */
    TURN_ROW,               /* [1, D] in Hugging Face's file; GGUF may hold [D] */
} GgufTurn;

typedef struct GgufName {
    const char *hf, *gguf;  /* "model.layers.#.self_attn.q_proj", "blk.#.attn_q" */
    GgufTurn    turn;
    bool        bias;       /* llama.cpp reads a bias here */
    bool        full;       /* always stored as F32, like everything of one dimension */
} GgufName;

/* What llama.cpp computes for an architecture beyond the plain transformer. */
enum {
    GGUF_TIED      = 1,     /* output.weight may be absent: the embedding is the head */
    GGUF_ONLY_TIED = 2,     /* there is never an output.weight */
    GGUF_PARTIAL   = 4,     /* a part of each head may rotate */
    GGUF_FREQS     = 8,     /* reads rope_freqs.weight, factors of single frequencies (Llama 3's scaling) */
    GGUF_LONGROPE  = 16,    /* reads rope_factors_long.weight and rope_factors_short.weight */
    GGUF_WINDOW    = 32,    /* attention.sliding_window */
    GGUF_HEAD_SIZE = 64,    /* heads x head size need not be the width of the model */
    GGUF_LAYERNORM = 128,   /* its epsilon is attention.layer_norm_epsilon */
    GGUF_POSITIONS = 256,   /* learned positions: no rotation */
    GGUF_LOGIT_CAP = 512,   /* final_logit_softcapping */
    GGUF_ATTN_CAP  = 1024,  /* attn_logit_softcapping */
    GGUF_SCALES    = 2048,  /* Granite's four multipliers */
    GGUF_NORM_TOPK = 4096,  /* the weights of the chosen experts are made to sum to one */
    GGUF_EXPERTS   = 8192,
    GGUF_NOTES_WINDOW = 16384, /* the window is written and read, but llama.cpp does not compute it */
};

typedef struct GgufArch {
    const char     *name;       /* general.architecture */
    const char     *hf;         /* model_type */
    const GgufName *names;      /* ends with hf == NULL */
    unsigned        can;
    ActKind         act;
    const char     *act_name;   /* as config.json spells it */
    int             period;     /* every period-th layer is without window; 0: none has one, unless the file says so layer by layer */
} GgufArch;

const GgufArch *gguf_arch_of_family(Str model_type);                    /* NULL: llama.cpp does not know the family */
const GgufArch *gguf_arch_find(Str name, bool experts);                 /* "llama" is Mixtral when there are experts */
void            gguf_arch_names(StrBuf *out);                           /* "llama, qwen2, ..." for errors */

/* The row of a tensor's name by either side; layer and expert are -1 where the pattern has none. `bias` tells the ending, .weight or .bias. */
const GgufName *gguf_name_by_hf(const GgufArch *a, Str hf, int64_t *layer, int64_t *expert, bool *bias);
const GgufName *gguf_name_by_gguf(const GgufArch *a, Str gguf, int64_t *layer, bool *bias);
char           *gguf_name_fill(Arena *arena, const char *pattern, int64_t layer, int64_t expert, const char *ending);

/* What turns depend on. */
typedef struct GgufShape { int64_t heads, kv_heads, head_dim; } GgufShape;
/* Where row `hf` of Hugging Face's tensor lies in GGUF's (turns that move rows; the same number for the others). */
int64_t gguf_turn_row(GgufTurn turn, const GgufShape *s, int64_t hf);

int64_t gguf_experts(const Model *m);                                   /* experts of a layer, told from the names of the weights; 0: none */
bool gguf_path_is(const char *path);                                    /* a file (not a folder) whose name ends with .gguf */

#endif
