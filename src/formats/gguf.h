/* gguf.h - the file format of llama.cpp (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), versions 2 and 3, little-endian: magic, counts,
 * metadata of typed values, tensor entries, padding, data. Read by mapping, no copies; every rule is checked before a byte of data is believed:
 * counts that the remaining bytes could hold, strings and arrays inside the file, keys and names once, shapes without overflow, rows of whole
 * blocks, data aligned, inside the file and without overlap. Memory taken is bounded by the counts below and, for arrays, by the file.
 * Refused although the format allows them: arrays of arrays, more than GGUF_RANK_MAX dimensions, names and keys with control characters, so that
 * every name and key can be printed; and files of big-endian machines.
 * A model cut into -00001-of-0000N.gguf files opens by the path of any of them, all behind one face; metadata is the first one's. */
#ifndef HONE_GGUF_H
#define HONE_GGUF_H

#include "base/err.h"
#include "formats/dtype.h"

#define GGUF_RANK_MAX 4
#define GGUF_NAME_MAX 512             /* bytes of a tensor's name */
#define GGUF_KEY_MAX 65535            /* bytes of a key, the format's own limit */
#define GGUF_ALIGN 32                 /* of tensor data, unless general.alignment says otherwise */
#define GGUF_ALIGN_MAX 65536
#define GGUF_SPLITS_MAX 4096
#define GGUF_VALUES_MAX 65536         /* metadata values and tensors of a file: with these bounds a head of tiny entries takes under 100 MB */
#define GGUF_TENSORS_MAX 262144

/* Kinds of metadata values, with the numbers of the file format. */
typedef enum {
    GGUF_U8 = 0, GGUF_I8 = 1, GGUF_U16 = 2, GGUF_I16 = 3, GGUF_U32 = 4, GGUF_I32 = 5, GGUF_F32 = 6, GGUF_BOOL = 7, GGUF_STR = 8, GGUF_ARRAY = 9,
    GGUF_U64 = 10, GGUF_I64 = 11, GGUF_F64 = 12, GGUF_KINDS
} GgufKind;

typedef struct GgufTensor {
    const char *name;
    char        type_text[16];       /* "Q4_K": known to the format even when hone cannot compute with it */
    bool        known;               /* dtype below is valid */
    DType       dtype;
    int         rank;
    int64_t     dim[GGUF_RANK_MAX];  /* as in Tensor: dim[rank-1] lies contiguous; the file stores the reverse */
    int64_t     count;               /* product of dim; 1 for rank 0 */
    const void *data;                /* into the mapping; aligned within the file only */
    size_t      nbytes;
} GgufTensor;

/* Borrowed from the file: n values of one kind, never arrays. */
typedef struct GgufArray {
    GgufKind        kind;
    size_t          n;
    const char     *key;             /* for messages */
    const uint8_t  *data;
    const uint64_t *at;              /* strings: where each one's text begins, from data */
} GgufArray;

typedef struct Gguf Gguf;

int  gguf_open(Gguf **out, const char *path, Err *e);
int  gguf_open_memory(Gguf **out, const void *p, size_t n, const char *name, Err *e);  /* borrowed bytes, no split; for tests, fuzzing */
void gguf_close(Gguf *g);
const char *gguf_path(const Gguf *g);                                       /* as given to open */
const char *gguf_where(const Gguf *g, const GgufTensor *t);                 /* path of the file that holds t */
size_t gguf_excess(const Gguf *g);                                         /* bytes behind the last tensor and its padding, of all files */
size_t gguf_count(const Gguf *g);
const GgufTensor *gguf_at(const Gguf *g, size_t i);                         /* in the order of the entries; splits in order */
const GgufTensor *gguf_find(const Gguf *g, const char *name);               /* NULL: absent */

/* Metadata. need: an absent key is an Err. opt: an absent key leaves *v as it is and returns 0; a value of the wrong kind is an Err for both.
 * Whole numbers of any kind convert to int where they fit (a float only when it is whole), every number to num. */
size_t      gguf_meta_count(const Gguf *g);
Str         gguf_meta_key(const Gguf *g, size_t i);                         /* in file order; zero-terminated, printable */
bool        gguf_has(const Gguf *g, const char *key);
bool        gguf_kind(const Gguf *g, const char *key, GgufKind *kind);      /* false: absent */
const char *gguf_kind_name(GgufKind kind);                                  /* "u32", "string", "array" */
int  gguf_need_int(const Gguf *g, const char *key, int64_t *v, Err *e);
int  gguf_need_num(const Gguf *g, const char *key, double *v, Err *e);
int  gguf_need_bool(const Gguf *g, const char *key, bool *v, Err *e);
int  gguf_need_str(const Gguf *g, const char *key, Str *v, Err *e);         /* any bytes: valid UTF-8 is the reader's to check */
int  gguf_need_array(const Gguf *g, const char *key, GgufArray *v, Err *e);
int  gguf_opt_int(const Gguf *g, const char *key, int64_t *v, Err *e);
int  gguf_opt_num(const Gguf *g, const char *key, double *v, Err *e);
int  gguf_opt_bool(const Gguf *g, const char *key, bool *v, Err *e);
int  gguf_opt_str(const Gguf *g, const char *key, Str *v, Err *e);
int  gguf_opt_array(const Gguf *g, const char *key, GgufArray *v, Err *e);
/* Element i < n, in O(1). The kind must fit (BUG otherwise): ask gguf_array_is_int and a->kind first. */
bool    gguf_array_is_int(const GgufArray *a);                              /* bools, whole numbers of kinds that fit int64: no u64 */
bool    gguf_array_is_num(const GgufArray *a);                              /* any numbers */
Str     gguf_array_str(const GgufArray *a, size_t i);
int64_t gguf_array_int(const GgufArray *a, size_t i);
double  gguf_array_num(const GgufArray *a, size_t i);

/* Atomic writer of version 3: set all metadata, declare all tensors, then give the data in the order of declaring, in pieces if wished; padding is
 * the writer's. commit fails when bytes are missing. A key or name given twice is a BUG. */
typedef struct GgufWriter GgufWriter;
int  gguf_create(GgufWriter **out, const char *path, Err *e);
void gguf_set_str(GgufWriter *w, const char *key, Str v);
void gguf_set_bool(GgufWriter *w, const char *key, bool v);
void gguf_set_u32(GgufWriter *w, const char *key, uint32_t v);
void gguf_set_i32(GgufWriter *w, const char *key, int32_t v);
void gguf_set_u64(GgufWriter *w, const char *key, uint64_t v);
void gguf_set_f32(GgufWriter *w, const char *key, float v);
void gguf_set_strs(GgufWriter *w, const char *key, const Str *v, size_t n);
void gguf_set_bools(GgufWriter *w, const char *key, const bool *v, size_t n);
void gguf_set_u8s(GgufWriter *w, const char *key, const uint8_t *v, size_t n);
void gguf_set_u32s(GgufWriter *w, const char *key, const uint32_t *v, size_t n);
void gguf_set_i32s(GgufWriter *w, const char *key, const int32_t *v, size_t n);
void gguf_set_f32s(GgufWriter *w, const char *key, const float *v, size_t n);
void gguf_set_copy(GgufWriter *w, const Gguf *from, const char *key);       /* the value of an open file as it stands; the key must be there */
void gguf_declare(GgufWriter *w, const char *name, DType t, int rank, const int64_t *dim);   /* dim[rank-1] contiguous, a multiple of the block */
int  gguf_write(GgufWriter *w, const void *p, size_t nbytes, Err *e);       /* first call writes everything before the data */
int  gguf_commit(GgufWriter **w, Err *e);
void gguf_abort(GgufWriter **w);

#endif
