/* parquet_int.h - what the files of the Parquet reader share. The path of the bytes:
 *     parquet_meta.c    footer -> schema elements and row groups         parquet_schema.c  elements -> the tree of PqNode
 *     parquet_column.c  a column chunk's pages -> PqColumn               parquet_codec.c   one compressed page -> its bytes
 *     parquet_decode.c  one encoding of one page -> values               parquet_value.c   one value -> JSON by its logical type
 *     parquet.c         files and groups                                 parquet_row.c     levels and values of all columns -> one row
 * Numbers of types, encodings and codecs are the format's own (parquet.thrift). */
#ifndef HONE_PARQUET_INT_H
#define HONE_PARQUET_INT_H

#include "base/file.h"
#include "formats/parquet.h"
#include "formats/parquet_thrift.h"

typedef enum { PQ_BOOLEAN, PQ_INT32, PQ_INT64, PQ_INT96, PQ_FLOAT, PQ_DOUBLE, PQ_BYTE_ARRAY, PQ_FIXED, PQ_TYPES } PqType;
#define PQ_OF(type) (1u << PQ_##type)              /* sets of physical types, in tables */
#define PQ_ANY   ((1u << PQ_TYPES) - 1)
typedef enum { PQ_REQUIRED, PQ_OPTIONAL, PQ_REPEATED } PqRepeat;
enum { PQ_PLAIN = 0, PQ_PLAIN_DICTIONARY = 2, PQ_RLE = 3, PQ_BIT_PACKED = 4, PQ_DELTA_BINARY_PACKED = 5, PQ_DELTA_LENGTH_BYTE_ARRAY = 6,
       PQ_DELTA_BYTE_ARRAY = 7, PQ_RLE_DICTIONARY = 8, PQ_BYTE_STREAM_SPLIT = 9 };
enum { PQ_UNCOMPRESSED, PQ_SNAPPY, PQ_GZIP, PQ_LZO, PQ_BROTLI, PQ_LZ4, PQ_ZSTD, PQ_LZ4_RAW };
enum { PQ_DATA_PAGE, PQ_INDEX_PAGE, PQ_DICTIONARY_PAGE, PQ_DATA_PAGE_V2 };
/* The union LogicalType; the older ConvertedType is translated into it. */
enum { PQ_L_NONE, PQ_L_STRING, PQ_L_MAP, PQ_L_LIST, PQ_L_ENUM, PQ_L_DECIMAL, PQ_L_DATE, PQ_L_TIME, PQ_L_TIMESTAMP, PQ_L_INTERVAL, PQ_L_INTEGER,
       PQ_L_UNKNOWN, PQ_L_JSON, PQ_L_BSON, PQ_L_UUID, PQ_L_FLOAT16, PQ_L_VARIANT, PQ_L_GEOMETRY, PQ_L_GEOGRAPHY, PQ_LOGICALS };
enum { PQ_MILLIS = 1, PQ_MICROS, PQ_NANOS };

typedef struct PqLogical {
    int     kind;       /* PQ_L_...; past PQ_LOGICALS: one this version does not know */
    int     unit;       /* of times */
    bool    utc;        /* of times */
    int     bits;       /* of integers */
    bool    is_signed;
    int32_t scale, precision;
} PqLogical;

/* One field of the schema as it stands in the footer, depth first. */
typedef struct PqElement {
    Str       name;
    bool      is_leaf;
    int32_t   type, length, repeat, children, converted;   /* converted -1: none */
    PqLogical logical;
} PqElement;

typedef enum { PQ_LEAF, PQ_STRUCT, PQ_LIST, PQ_MAP, PQ_WRAP } PqShape;   /* WRAP: the middle level of a list, whose value is its only child's */

typedef struct PqNode PqNode;
typedef struct PqKind PqKind;
struct PqNode {
    const char   *name;       /* zero-terminated UTF-8 */
    PqShape       shape;
    PqRepeat      repeat;
    PqType        type;       /* of a leaf */
    int32_t       length;     /* bytes of a PQ_FIXED */
    PqLogical     logical;
    const PqKind *kind;       /* of a leaf that can be read: how its values become JSON */
    const char   *refused;    /* why this node cannot be read, NULL when it can */
    int           def, rep;   /* levels of an entry at which this node is there; def counts optional and repeated nodes down to it, rep the repeated */
    uint32_t      leaf, leaf_end;   /* the leaves below, numbered over the file */
    PqNode       *parent, *child, *next;
    bool          wanted;     /* of top-level nodes and their leaves */
};

/* How values of one logical type become JSON: one row of the table in parquet_value.c. */
typedef struct PqValue { int64_t i; double d; Str s; } PqValue;   /* i: BOOLEAN, INT32, INT64; d: FLOAT, DOUBLE; s: INT96 and byte arrays */
struct PqKind {
    int         logical;
    unsigned    types;        /* a bit for each PqType that may carry it */
    const char *name;         /* as parquet_schema says it */
    int       (*json)(const PqNode *leaf, const PqValue *v, Json **out, Err *e);
};
/* Sets kind or refused. */
void pq_kind_find(PqNode *leaf);
void pq_kind_text(StrBuf *out, const PqNode *leaf);

typedef struct PqRowGroup { Str bytes; int64_t rows, first; } PqRowGroup;   /* bytes: the struct in the footer, from its first field on */

struct ParquetFile {
    FileMap     map;
    bool        borrowed;
    char       *path;
    size_t      group_max;
    size_t      data_end;     /* the footer starts here */
    int64_t     rows;
    PqElement  *element;
    size_t      n_elements;
    PqRowGroup *group;
    size_t      n_groups, cap_groups;
    PqNode     *node;         /* [n_elements], the root first */
    PqNode    **leaf;         /* [n_leaves] */
    size_t      n_leaves;
    char       *names;        /* the text that names point into */
};

/* Where the pages of one column of one row group lie. */
typedef struct PqChunk {
    bool    there, encrypted, elsewhere;   /* elsewhere: in another file */
    int32_t type, codec;
    int64_t values, start, dictionary;     /* start: of the first data page; dictionary: 0 when none was announced */
} PqChunk;

int pq_footer_read(ParquetFile *f, Err *e);                                       /* fills element, group, rows, data_end */
int pq_group_chunks(const ParquetFile *f, size_t i, PqChunk *chunk, Err *e);      /* chunk[n_leaves] */
int pq_schema_build(ParquetFile *f, Err *e);                                      /* element -> node, leaf */
void pq_node_path(StrBuf *out, const PqNode *n);                                  /* "messages.list.element.role" */

/* Memory of a group: counted before it is asked for. */
typedef struct PqBudget { size_t left, max; } PqBudget;
int  pq_alloc(PqBudget *b, void **out, uint64_t count, size_t size, Err *e);      /* uninitialised; free() or pq_give() it */
void pq_give(PqBudget *b, void *p, uint64_t count, size_t size);

typedef struct PqColumn {
    const PqNode *leaf;
    int64_t    entries, values, rows;
    uint8_t   *def, *rep;     /* [entries]; NULL where the leaf's level is 0 */
    size_t     width;         /* bytes of a value in `fixed`; 0: values are in `text` */
    uint8_t   *fixed;         /* [values][width], as in the file: little-endian; BOOLEAN one byte */
    Str       *text;          /* [values], into the file or into `page` */
    uint32_t  *entry_at;      /* [rows + 1] first entry of each row; NULL when entry = row */
    uint32_t  *value_at;      /* [rows + 1] first value of each row; NULL when value = entry */
    void     **page;          /* decompressed pages that `text` points into */
    size_t     n_pages;
} PqColumn;

int  pq_column_read(PqColumn *c, const ParquetFile *f, const PqNode *leaf, const PqChunk *chunk, int64_t rows, PqBudget *b, Err *e);
void pq_column_release(PqColumn *c);

/* Exactly `size` bytes out of in, or an Err. */
int  pq_decompress(uint8_t *out, size_t size, Str in, int codec, Err *e);
bool pq_lz4_frame(uint8_t *out, size_t size, Str in);                             /* LZ4's frame, which Arrow has; false: damaged */

/* Values of one page, or of the dictionary. */
typedef struct PqValues {
    PqType      type;
    size_t      width;        /* bytes of a value in fixed: pq_width */
    int32_t     length;       /* of a PQ_FIXED */
    int64_t     n;            /* values wanted */
    uint8_t    *fixed;        /* one of the two, with room for n */
    Str        *text;
    const struct PqValues *dictionary;   /* NULL: none was there */
    PqBudget   *budget;
    void       *owned;        /* out: what text points into beside the page; the column keeps it */
} PqValues;

size_t pq_width(PqType type);                                                     /* 0: byte arrays of either kind */
int    pq_decode(PqValues *v, int encoding, Str in, Err *e);
/* Levels: n numbers of `bits` bits, at most max, out of in; returns 0. Hybrid of runs and packed groups, or (packed) the old BIT_PACKED. */
int    pq_levels(uint8_t *out, int64_t n, int max, Str in, bool packed, Err *e);
int    pq_bits(uint32_t max);                                                     /* bits of the largest number */

static inline uint32_t pq_u32(const void *p)
{
    const uint8_t *b = p;
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static inline uint64_t pq_u64(const void *p)
{
    return pq_u32(p) | (uint64_t)pq_u32((const uint8_t *)p + 4) << 32;
}

#endif
