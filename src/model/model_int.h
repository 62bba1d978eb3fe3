/* model_int.h - what the files of this folder share and nobody else sees. */
#ifndef HONE_MODEL_INT_H
#define HONE_MODEL_INT_H

#include "base/thread.h"
#include "model/model.h"

/* Metadata of safetensors files, which other programs pass over. */
#define CHAT_TEMPLATE_KEY "hone.chat_template"
#define TRAINED_ON_KEY    "hone.trained_on"

/* A hash (or "built-in") that metadata may hold; "" without it, or when it is something else. */
void model_metadata(const StFile *f, const char *key, char out[SHA256_HEX]);

#define ROPE_PAIRS_MAX 512          /* half of the largest head size */

/* One weight of the model: the name files use for it (without the family's prefix), where it lies, its shape in memory. */
typedef struct Slot {
    char    *name;                  /* "layers.0.self_attn.q_proj.weight"; the prefix is added by who reads or writes */
    char    *file_name;             /* the whole name in the file it came from, and is written back under; NULL: prefix and name */
    Tensor **at;
    int      rank;
    int64_t  dim[2];                /* in memory; the file holds the transpose when `transposed` */
    bool     transposed;
    bool     prefixed;              /* the family's prefix belongs to the name (not for the head) */
    bool     by_head;               /* rows in the file as linear_file_row says */
    int      layer;                 /* block that it belongs to, or -1 */
    const void *mapped;             /* where its numbers lie in the model's file, as kernels read them; a device has a copy. NULL: nowhere */
    int      linear;                /* index into Model.linear for the weight matrix of an adaptable linear, else -1 */
    bool     decays;
} Slot;

typedef struct SlotList {
    Slot *p;
    int   n, cap;
    Slot  tied_head;                /* of a tied model: the head that a file has only when an adapter unties it */
} SlotList;

/* Lays out the model described by m->cfg and m->fam: makes m->block, names every linear, lists every weight in file order (m->slots). */
void slots_build(Model *m);
void slot_name(const Model *m, const Slot *s, StrBuf *out);     /* the name it has, or would get, in a file */
/* File layout <-> memory layout of a whole weight: transposes, and puts rows in order. dst and src do not overlap. */
void slot_from_file(const Model *m, const Slot *s, float *dst, const float *src);
void slot_to_file(const Model *m, const Slot *s, float *dst, const float *src);
bool slot_same_layout(const Slot *s);
const Tensor *adapter_weight(const struct Adapter *a, const Model *m, const Slot *s); /* lora_tables.c: the slot's weight, or what replaces it */
/* A weight as files hold it, the adapter (may be NULL) merged in; *out points into buf, which has room for twice its numbers. */
int  slot_merged(const Model *m, const struct Adapter *ad, const Slot *s, TArena *scratch, float *buf, const float **out, Err *e);

/* Threads for the program's own work on weights: the backend's, or, beside a device, all. */
static inline Pool *model_pool(const Backend *be) { return pool_new(be->host ? be->threads : 0); }

/* A weight as f32, [dim[0], dim[1]]; t: the slot's, or what an adapter has in its place. Also of one that is not on the device now. */
void slot_numbers(const Slot *s, const Tensor *t, float *dst);

/* Around a block that runs; `next` is the one that runs after it, none: any other number. */
void stream_begin(const Model *m, int layer, int next);
void stream_end(const Model *m, int layer, int next);
void stream_close(Model *m);
/* Numbers of a slot's mapped weight get their place on the device, or (dst NULL) are to be streamed; *dst is that place. */
int  stream_place(Model *m, Slot *s, void **dst, Err *e);

void rope_frequencies(const RopeConfig *c, int64_t text_len, float *freq /* [rot / 2] */);
bool rope_by_length(const ModelConfig *c);                      /* the angles depend on the length of the text */

int model_config_check_sizes(const ModelConfig *c, const char *where, Err *e);
int family_read_config(ModelConfig *c, const Family *f, const Json *config, const char *where, Err *e); /* all but sizes that are out of range */

/* family_config.c: one for each spelling of config.json. */
typedef int ReadConfig(ModelConfig *c, const Family *f, const Json *config, const char *where, Err *e);
ReadConfig read_llama, read_windowed, read_ministral, read_qwen2, read_qwen3, read_smollm3, read_olmo2, read_granite, read_gemma, read_gemma2, read_gemma3;
ReadConfig read_phi, read_starcoder2, read_gpt_neox, read_gpt2, read_mixtral, read_qwen2_moe, read_qwen3_moe, read_olmoe;

Tensor *nn_norm(Tape *t, const Model *m, const Norm *n, Tensor *x); /* block.c: the family's norm; x itself where it is absent */
Tensor *nn_linear(Tape *t, const Linear *l, Tensor *x, const Step *s);                  /* with its adapter */
Tensor *moe_forward(Tape *t, const Model *m, const Block *b, Tensor *h, const Step *s);  /* moe.c: the experts in place of an MLP */

#endif
