/* tensor.c - shapes, views and the arena of backend memory.
 * Duty: say what a Tensor's sizes are, cut views out of it, and give tensors their bytes. Main struct: TArena, a list of chunks asked from a
 * Backend and used in order. Invariants: everything before `cur` is full or left behind, everything after it is free; a request that does
 * not fit in the rest of `cur` moves to the next chunk. A fixed sequence of requests therefore lands in the same places on every turn, and
 * the second turn asks the backend for nothing. */
#include "tensor/tensor.h"
#include "base/mem.h"
#include "tensor/backend.h"
#include <stdlib.h>

#define ALIGN       ((size_t)64)
#define CHUNK_LEAST ((size_t)1 << 20)
#define CHUNK_MOST  ((size_t)256 << 20) /* growth by doubling ends here; the unused end of a chunk is never touched, so it is not resident */
#define CHUNK_DEVICE ((size_t)2 << 20)  /* on a device it is taken all the same, so what is larger gets a chunk of its size */

struct TArenaChunk {
    TArenaChunk *next;
    char        *base;
    size_t       size, off; /* bytes; off: first free byte */
};

int64_t tensor_numel(const Tensor *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++)
        n *= t->dim[i];
    return n;
}

bool tensor_same_shape(const Tensor *a, const Tensor *b)
{
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i])
            return false;
    return true;
}

static Tensor view_at(const Tensor *t, int64_t elem)
{
    Tensor v = *t;
    v.data = (char *)t->data + dtype_bytes(t->dtype, elem);
    v.wants_grad = false;
    v.grad = NULL;
    return v;
}

Tensor tensor_col_view(const Tensor *t, int64_t first, int64_t cols)
{
    BUG_ON(first < 0 || cols < 0 || first + cols > tensor_cols(t) || cols % dtype_block(t->dtype));
    Tensor v = view_at(t, first);
    v.dim[v.rank - 1] = cols;
    return v;
}

Tensor tensor_row_view(const Tensor *t, int64_t first, int64_t rows)
{
    BUG_ON(first < 0 || rows < 0 || first + rows > tensor_rows(t));
    Tensor v = view_at(t, first * t->ld);
    v.dim[1] = tensor_cols(t);
    v.dim[0] = rows;
    v.rank = 2;
    return v;
}

void tarena_init(TArena *a, Backend *be)
{
    *a = (TArena){ .be = be };
}

/* Frees the chunks of a list; returns the bytes they held. */
static size_t chunks_free(Backend *be, TArenaChunk *c)
{
    size_t total = 0;
    while (c) {
        TArenaChunk *next = c->next;
        be->release(be, c->base, c->size);
        total += c->size;
        free(c);
        c = next;
    }
    return total;
}

static bool chunk_take(TArena *a, TArenaChunk **link, size_t size)
{
    char *base = a->be->alloc(a->be, size);
    if (!base)
        return false;
    *link = mem_alloc(sizeof **link);
    **link = (TArenaChunk){ .base = base, .size = size };
    a->reserved += size;
    a->cur = *link;
    return true;
}

/* Makes the next chunk current, one with room for `need` bytes. The chunks behind `cur` are free; when the next is too small all of them are
 * exchanged for one as large as they were together, so that requests growing from turn to turn do not pile up small chunks. */
static bool chunk_advance(TArena *a, size_t need)
{
    TArenaChunk **link = a->cur ? &a->cur->next : &a->first;
    if (!*link || (*link)->size < need) {
        size_t size = chunks_free(a->be, *link);
        a->reserved -= size;
        *link = NULL;
        size = MAX(size, a->be->host ? MIN(MAX(a->reserved, CHUNK_LEAST), CHUNK_MOST) : CHUNK_DEVICE);
        size = MAX(size, need);
        if (!chunk_take(a, link, size) && (size == need || !chunk_take(a, link, need))) {
            a->refused = need;
            return false;
        }
    }
    a->cur = *link;
    a->cur->off = 0;
    return true;
}

/* Bytes of a dense tensor, padded to the alignment and never 0; SIZE_MAX when the number has no place in 63 bits. */
static size_t padded_bytes(DType t, int rank, const int64_t *dim)
{
    int64_t block = dtype_block(t), n = (int64_t)dtype_bytes(t, block);
    BUG_ON(dim[rank - 1] % block);
    for (int i = 0; i < rank; i++) {
        BUG_ON(dim[i] < 0);
        if (__builtin_mul_overflow(n, i == rank - 1 ? dim[i] / block : dim[i], &n))
            return SIZE_MAX;
    }
    if (n > INT64_MAX - (int64_t)ALIGN)
        return SIZE_MAX;
    return (MAX((size_t)n, 1) + ALIGN - 1) / ALIGN * ALIGN;
}

Tensor *tarena_tensor(TArena *a, const char *name, DType t, int rank, const int64_t *dim)
{
    BUG_ON(rank < 1 || rank > TENSOR_RANK_MAX);
    if (a->refused)
        return NULL;
    size_t need = padded_bytes(t, rank, dim);
    if (need == SIZE_MAX) {
        a->refused = need;
        return NULL;
    }
    if ((!a->cur || a->cur->size - a->cur->off < need) && !chunk_advance(a, need))
        return NULL;

    Tensor *x = arena_alloc(&a->structs, sizeof *x);
    *x = (Tensor){ .name = name, .dtype = t, .rank = rank, .ld = dim[rank - 1], .be = a->be, .data = a->cur->base + a->cur->off };
    for (int i = 0; i < rank; i++)
        x->dim[i] = dim[i];
    a->cur->off += need;
    a->used += need;
    a->high = MAX(a->high, a->used);
    return x;
}

bool tarena_reserve(TArena *a, size_t nbytes)
{
    BUG_ON(a->used || a->refused);
    tarena_release(a);
    if (nbytes && !chunk_take(a, &a->first, nbytes)) {
        a->refused = nbytes;
        return false;
    }
    const int64_t n = (int64_t)(nbytes / sizeof(float));
    if (n)
        a->be->fill(a->be, &(Tensor){ .dtype = DT_F32, .rank = 1, .dim = { n }, .ld = n, .data = a->first->base, .be = a->be }, 0);
    return true;
}

bool tarena_failed(const TArena *a, Err *e)
{
    const double mib = 1.0 / (1 << 20);
    if (a->refused == SIZE_MAX)
        err_set(e, ERR_MEM, "A tensor of more bytes than a machine can address was asked for; use a smaller batch or a shorter length.");
    else if (a->refused)
        err_set(e, ERR_MEM,
                "Out of memory: %.1f MiB more were asked for on \"%s\" while %.1f MiB were in use; use a smaller batch or a shorter length, or "
                "close other programs.", (double)a->refused * mib, a->be->name, (double)a->used * mib);
    return a->refused != 0;
}

TArenaMark tarena_mark(const TArena *a)
{
    return (TArenaMark){ .chunk = a->cur, .off = a->cur ? a->cur->off : 0, .used = a->used, .structs = arena_mark(&a->structs) };
}

void tarena_rewind(TArena *a, TArenaMark m)
{
    BUG_ON(m.used > a->used);
    a->cur = m.chunk;
    if (a->cur)
        a->cur->off = m.off;
    a->used = m.used;
    arena_rewind(&a->structs, m.structs);
}

void tarena_release(TArena *a)
{
    chunks_free(a->be, a->first);
    arena_release(&a->structs);
    tarena_init(a, a->be);
}
