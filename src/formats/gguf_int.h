/* gguf_int.h - for gguf*.c: an open file's insides, and the table of tensor types that reader and writer share. */
#ifndef HONE_GGUF_INT_H
#define HONE_GGUF_INT_H

#include "base/arena.h"
#include "base/file.h"
#include "base/map.h"
#include "base/vec.h"
#include "formats/gguf.h"

/* One metadata value, checked. Keys are terminated; everything else lies in the file. */
typedef struct GgufMeta {
    Str       key;
    GgufKind  kind;
    Str       raw;             /* the value's bytes as they stand, without its kind; of an array: with its own kind and count */
    GgufArray array;           /* of an array */
} GgufMeta;

typedef struct GgufShard {
    char          *path;
    FileMap        map;        /* p NULL when the bytes are the caller's */
    VEC(GgufMeta)  meta;       /* in file order */
    Map           *keys;       /* key -> number in meta */
} GgufShard;

struct Gguf {
    char           *path;      /* as given */
    VEC(GgufShard)  shard;     /* at least one; the first one's metadata are the model's */
    VEC(GgufTensor) tensor;
    VEC(size_t)     owner;     /* [tensor.n] number of the shard that holds the tensor */
    Map            *index;     /* name -> number of the tensor */
    size_t          excess;    /* bytes behind the tensors */
    Arena           arena;     /* keys, names, places of strings */
};

/* Every number format of the file format. */
typedef struct GgufType {
    uint32_t    id;
    const char *name;
    int64_t     block, bytes;  /* numbers in a block of the row, and its bytes */
    bool        known;
    DType       dtype;         /* when known */
} GgufType;

const GgufType *gguf_type_of_id(uint32_t id);          /* NULL: no such type */
const GgufType *gguf_type_of_dtype(DType t);           /* BUG: every DType has one */

size_t   gguf_kind_size(GgufKind kind);                /* bytes of one value; 0: a string or an array */
uint64_t gguf_le(const uint8_t *p, size_t n);          /* n <= 8 bytes, little-endian */

/* Reads the count of metadata values that begin at *at in p[n]; *at ends behind them. */
int gguf_read_meta(Gguf *g, GgufShard *s, uint64_t count, const uint8_t *p, size_t n, size_t *at, Err *e);

/* A whole number of a shard's metadata; absent: *v as it is. */
int gguf_shard_int(const GgufShard *s, const char *key, int64_t *v, Err *e);

#endif
