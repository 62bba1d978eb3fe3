/* weights.h - a model's weights by their Hugging Face names, whatever they lie in: plain safetensors, safetensors whose matrices are packed
 * (NF4, INT8, FP8, GPTQ, AWQ), or a GGUF file. The model room sees names, shapes and f32 numbers; who packs them otherwise embeds Weights as
 * its first member and fills the face.
 * Invariants: names are unique; info[] does not move while the Weights is open; reading is thread-safe. */
#ifndef HONE_WEIGHTS_H
#define HONE_WEIGHTS_H

#include "base/map.h"
#include "formats/safetensors.h"

#define WEIGHT_RANK_MAX 4

typedef struct WeightInfo {
    const char *name;
    char        stored[24];             /* "BF16", "NF4", "Q4_K": for people */
    DType       dtype;                  /* the plain type that a copy of these numbers is best written in: F32, F16 or BF16 */
    bool        readable;               /* false: hone cannot turn `stored` into numbers; weights_read says so */
    bool        packed;                 /* fewer than 16 bits a number: a frozen base, not to be trained in full */
    DType       kernel;                 /* a type whose rows hold exactly these numbers, see weights_rows; DT_COUNT: none is known */
    int         rank;
    int64_t     dim[WEIGHT_RANK_MAX];
    int64_t     count;
    size_t      nbytes;                 /* as stored, scales included */
    const void *source;                 /* the implementer's own */
} WeightInfo;

typedef struct Weights Weights;
struct Weights {
    WeightInfo *info;
    size_t      n;
    Map        *by_name;                /* name -> index in info */
    int  (*read)(const Weights *, const WeightInfo *, int64_t first, int64_t n, float *dst, Err *);
    const void *(*row)(const Weights *, const WeightInfo *, int64_t row);                         /* NULL: no weight has one */
    int  (*make_row)(const Weights *, const WeightInfo *, int64_t row, void *dst, Err *);         /* for kernel types that row does not find */
    void (*forget)(const Weights *, const WeightInfo *);
    const char *(*where)(const Weights *, const WeightInfo *);   /* path of the file that holds it */
    void (*close)(Weights *);
};

/* A safetensors file or shard set, all tensors as they stand. Borrows f. */
int  weights_open_st(Weights **out, const StFile *f, Err *e);

void weights_close(Weights *w);                                  /* NULL is fine */
const WeightInfo *weights_find(const Weights *w, const char *name);          /* NULL: absent */
const char *weights_where(const Weights *w, const WeightInfo *i);
/* Numbers [first, first + n) in row-major order as f32; first and n are multiples of the last dimension (or the whole tensor). */
int  weights_read(const Weights *w, const WeightInfo *i, int64_t first, int64_t n, float *dst, Err *e);

/* The pages of the file that it lies in may leave memory: for who has copied it. */
void weights_forget(const Weights *w, const WeightInfo *i);

/* A matrix in its kernel type, for who computes with stored numbers. Where all rows lie one after the other in the mapped file, aligned to their
 * plain type, that place; it lives as long as the Weights. NULL: ask for a copy. */
const void *weights_mapped(const Weights *w, const WeightInfo *i);
/* The copy: dst holds dtype_bytes(i->kernel, i->count) bytes. Only where i->kernel is not DT_COUNT. */
int  weights_rows(const Weights *w, const WeightInfo *i, void *dst, Err *e);

#endif
