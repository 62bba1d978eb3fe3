/* arrow_int.h - what the files of the Arrow reader share: arrow_meta.c reads the metadata (flatbuffers: the schema, and where each batch and its buffers lie),
 * arrow.c opens files and batches, arrow_row.c turns a row into JSON. A leaf's values become JSON by the table of parquet_value.c, so ArField holds a PqNode.
 * Main structs: ArField, the tree of the schema; ArMessage, one batch or dictionary in the file; ArColumn, the buffers of a field in a batch. */
#ifndef HONE_ARROW_INT_H
#define HONE_ARROW_INT_H

#include "base/file.h"
#include "base/vec.h"
#include "formats/arrow.h"
#include "formats/parquet_int.h"

typedef enum { AR_NULL, AR_BOOL, AR_FIXED, AR_BYTES, AR_LARGE_BYTES, AR_VIEW, AR_LIST, AR_LARGE_LIST, AR_FIXED_LIST, AR_STRUCT, AR_MAP } ArLayout;

typedef struct ArField {
    char     *name;
    ArLayout  layout;        /* of the values; with a dictionary, of the dictionary's */
    int32_t   width;         /* bytes of an AR_FIXED, elements of an AR_FIXED_LIST */
    int64_t   times;         /* a date or time is multiplied by this (seconds); < 0: divided (date64) */
    bool      is_signed, real;
    PqNode    leaf;          /* kind of the values, where they are no list and no struct */
    bool      coded;         /* values are indices into a dictionary */
    int64_t   dictionary;    /* its id */
    int32_t   index_width;
    bool      index_signed;
    struct ArField *parent, *child;
    size_t    n_child;
} ArField;

typedef struct ArMessage { size_t meta, meta_n, body; int64_t body_n, rows, first, id; bool is_delta, is_dictionary; } ArMessage;

struct ArrowFile {
    FileMap  map;
    bool     borrowed;
    char    *path;
    size_t   group_max;
    ArField  root;           /* a struct */
    size_t   n_fields;
    VEC(ArMessage) message;  /* dictionaries and batches in order */
    VEC(size_t)    batch;    /* indices of the batches */
    int64_t  rows;
};

typedef struct ArBuffer { int64_t offset, length; } ArBuffer;
typedef struct ArNode { int64_t length, nulls; } ArNode;
/* What the metadata of a batch says. Arrays lie in the metadata, little-endian, n_* entries of 16 (variadic: 8) bytes. */
typedef struct ArBatchMeta { int64_t length; const uint8_t *node, *buffer, *variadic; uint32_t n_node, n_buffer, n_variadic; int codec; } ArBatchMeta; /* codec -1: none */

int  ar_file_index(ArrowFile *f, Err *e);                                          /* schema and messages */
int  ar_batch_meta(const ArrowFile *f, const ArMessage *m, ArBatchMeta *out, Err *e);
void ar_field_release(ArField *f);
void ar_field_path(StrBuf *out, const ArField *f);

typedef struct ArColumn ArColumn;
typedef struct ArDictionary { const ArColumn **part; size_t n; } ArDictionary;       /* what follows a delta stands behind */
struct ArColumn {
    const ArField *field;
    int64_t   length;
    const uint8_t *valid;    /* bits; NULL: all are */
    Str       offsets, data; /* data of a coded column: indices */
    Str      *view;          /* [n_view] buffers that an AR_VIEW points into */
    size_t    n_view;
    ArColumn *child;         /* [field->n_child] */
    ArDictionary dictionary;
};

struct ArrowBatch {
    const ArrowFile *f;
    int64_t   rows, first;
    ArColumn  root;
    VEC(void *) owned;       /* everything allocated for it */
};

#endif
