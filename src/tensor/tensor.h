/* tensor.h - a named, typed, row-major block of numbers on some backend.
 * A Tensor does not own its numbers: they lie in an arena (TArena) or in a mapping, and end with it. Rows may be wider than the tensor
 * (ld > last dim), so a slice of columns is a view by struct copy. Kernels see matrices: [rows, cols] = [numel / last, last].
 * Frozen weights may be of any stored type, also a blocked one: then the last dim and ld are multiples of the block, row r begins
 * dtype_bytes(dtype, r * ld) behind data, and a slice of columns begins and ends between blocks. Everything else is F32 (indices I32). */
#ifndef HONE_TENSOR_H
#define HONE_TENSOR_H

#include "base/arena.h"
#include "base/err.h"
#include "formats/dtype.h"

#define TENSOR_RANK_MAX 4

typedef struct Backend Backend;
typedef struct Tensor Tensor;
struct Tensor {
    const char *name;                   /* "layers.3.q.w": used by errors, dumps and tests; NULL for activations */
    DType       dtype;
    int         rank;                   /* 1..4 */
    int64_t     dim[TENSOR_RANK_MAX];   /* dim[rank-1] is contiguous */
    int64_t     ld;                     /* numbers between rows; == dim[rank-1] unless a column slice */
    void       *data;                   /* device address of the first number, or block */
    Backend    *be;
    bool        wants_grad;             /* set for trainable leaves, inherited by outputs on a recording tape */
    Tensor     *grad;                   /* same shape, F32; made on first use; always accumulated into */
};

static inline int64_t tensor_cols(const Tensor *t) { return t->dim[t->rank - 1]; }
int64_t tensor_numel(const Tensor *t);
static inline int64_t tensor_rows(const Tensor *t) { return tensor_cols(t) ? tensor_numel(t) / tensor_cols(t) : 0; }
bool    tensor_same_shape(const Tensor *a, const Tensor *b);
/* Views are for data (caches, slabs, gradients): they never want a gradient themselves, so an op must not be given a view of a tensor
 * that does. Pieces with a gradient: op_embed for rows, op_cols for columns. */
Tensor  tensor_col_view(const Tensor *t, int64_t first, int64_t cols);     /* same rows, columns [first, first+cols) */
Tensor  tensor_row_view(const Tensor *t, int64_t first, int64_t rows);     /* rank 2 result */

/* A bump arena of backend memory: activations live here and end by mark and rewind. Chunks are kept across rewinds, so the
 * second training step allocates nothing. The Tensor structs lie in host memory and end with the same marks. */
typedef struct TArenaChunk TArenaChunk;
typedef struct TArena {
    Backend     *be;
    TArenaChunk *first, *cur;
    size_t       used, high;            /* bytes in use and their high-water mark */
    size_t       reserved;              /* bytes taken from the backend */
    size_t       refused;               /* bytes of the first request that did not fit; 0: none */
    Arena        structs;               /* the Tensor structs */
} TArena;
typedef struct TArenaMark { TArenaChunk *chunk; size_t off, used; ArenaMark structs; } TArenaMark;

void       tarena_init(TArena *a, Backend *be);
/* Uninitialised numbers, 64-byte aligned, dense. NULL when the backend has no memory left; the arena then stays failed and answers every
 * further request with NULL until tarena_release, so that one check at the end of a pass (tarena_failed) is enough. */
Tensor    *tarena_tensor(TArena *a, const char *name, DType t, int rank, const int64_t *dim);
bool       tarena_failed(const TArena *a, Err *e);  /* true and a sentence with the bytes asked for, when an allocation did not fit */
/* Of an empty arena: one chunk of nbytes, written to once so that it is really there; with the same sequence of requests it is never outgrown
 * when nbytes is the `high` of an earlier turn. false: no memory, and the arena has failed. */
bool       tarena_reserve(TArena *a, size_t nbytes);
TArenaMark tarena_mark(const TArena *a);
void       tarena_rewind(TArena *a, TArenaMark m);
void       tarena_release(TArena *a);               /* gives everything back; the arena is empty and may be used again */

#endif
