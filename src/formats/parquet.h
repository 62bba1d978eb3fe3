/* parquet.h - Apache Parquet files to rows of JSON and back (https://github.com/apache/parquet-format, version 2.12).
 *
 * Reading. The file is mapped; a row group is decoded as a whole, column chunk by column chunk, and then gives its rows in any order, to any
 * number of threads. What a row becomes:
 *     group, top level                 an object, keys as in the file; a null is an explicit null
 *     LIST, a bare repeated field      an array
 *     MAP with text keys               an object (of keys that come twice the last counts, as the format says)
 *     MAP with other keys              an array of {"key": ..., "value": ...}
 *     boolean, integers to 64 bits     true/false, an integer, always exact; an unsigned one from 2^63 on is text
 *     FLOAT, DOUBLE, FLOAT16           a number; NaN and infinities, which JSON does not have, are null
 *     STRING, ENUM, JSON               text, which must be UTF-8; so is an unannotated BYTE_ARRAY (older writers mark no strings)
 *     DECIMAL                          exact decimal text, "-12.50"
 *     DATE, TIME, TIMESTAMP, INT96     ISO 8601 text, "2024-02-29T12:00:00.250Z"; Z only where the file says UTC; INT96 has no zone
 *     INTERVAL, UUID                   "P1M2DT3.004S", "00112233-4455-6677-8899-aabbccddeeff"
 * Refused, by name and only when the column is asked for: BSON, VARIANT, GEOMETRY, GEOGRAPHY, encrypted columns, bytes that are no text, LZO.
 * Compressions: none, Snappy, gzip, Brotli, Zstandard, LZ4 (raw and Hadoop's framing). A page's checksum is compared when it has one.
 *
 * Memory: while a row group lives, it takes the decompressed pages of the columns asked for, 16 bytes a text or the value's own size, 1 byte a
 * level and 4 or 8 bytes a row and nullable or nested column. Above group_max it is refused before it is allocated.
 *
 * Writing. A ParquetShape is what the rows look like, learnt from them or described; a writer then takes the same rows once more.
 *     string, int64, double, bool, null; lists; structs; each of them nullable (an absent key is written as null, hence read as one).
 * Pages of about PARQUET_PAGE bytes, version 1, with checksums; repetitive strings through a dictionary; row groups bounded in bytes and rows. */
#ifndef HONE_PARQUET_H
#define HONE_PARQUET_H

#include "base/json.h"

#define PARQUET_FOOTER_MAX   ((size_t)256 << 20) /* bytes */
#define PARQUET_NODES_MAX    100000              /* fields of the schema, groups counted */
#define PARQUET_DEPTH_MAX    60                  /* groups within groups; a list takes two */
#define PARQUET_GROUPS_MAX   10000000            /* row groups of a file */
#define PARQUET_ROWS_MAX     ((int64_t)1 << 31)  /* rows, and values of a column, in one row group: below this */
#define PARQUET_GROUP_MAX    ((size_t)4 << 30)   /* bytes of a decoded row group, unless the options say otherwise */
#define PARQUET_ROW_BYTES_MAX ((size_t)1 << 30)  /* bytes of one row as JSON in memory, or group_max when that is less */
#define PARQUET_DECIMAL_MAX  154                 /* digits: 64 bytes */

/* ---- reading ---- */

typedef struct ParquetFile  ParquetFile;   /* never written after opening: any number of threads may read groups of it */
typedef struct ParquetGroup ParquetGroup;

typedef struct ParquetOptions {
    const char *const *columns;  /* top-level names wanted; rows keep the file's order. An absent name is an error */
    size_t             n_columns;/* 0: all columns */
    size_t             group_max;/* 0: PARQUET_GROUP_MAX */
} ParquetOptions;

int     parquet_open(ParquetFile **out, const char *path, const ParquetOptions *o, Err *e);                    /* o NULL: the defaults */
int     parquet_open_memory(ParquetFile **out, const void *p, size_t n, const char *name, const ParquetOptions *o, Err *e); /* borrowed bytes */
void    parquet_close(ParquetFile *f);
int64_t parquet_rows(const ParquetFile *f);
size_t  parquet_groups(const ParquetFile *f);
/* All columns, asked for or not, a new reference: [{"name": "x", "type": "list", "nullable": true, "of": [{"name": "element", "type": "int64", ...}]}].
 * Types: struct, list, map; int8..int64, uint8..uint64, float16, float, double, bool, string, enum, json, binary, decimal(P,S), date,
 * time(ms|us|ns[,UTC]), timestamp(...), uuid, interval, null; of a column that would be refused, what the refusal calls it. */
Json   *parquet_schema(const ParquetFile *f);

/* Decodes row group i < parquet_groups. Errors name the group, its rows (from 1 over the whole file), the column and the page. */
int     parquet_group_read(const ParquetFile *f, size_t i, ParquetGroup **out, Err *e);
void    parquet_group_free(ParquetGroup *g);
int64_t parquet_group_rows(const ParquetGroup *g);
int64_t parquet_group_first(const ParquetGroup *g);                                     /* rows of the file before this group */
int     parquet_row(const ParquetGroup *g, int64_t row, Json **out, Err *e);            /* row < parquet_group_rows; the caller owns *out, an object */

/* ---- writing ---- */

#define PARQUET_PAGE         ((size_t)1 << 20)   /* bytes of values after which a page ends at the next row */
#define PARQUET_TEXT_MAX     ((size_t)1 << 30)   /* bytes of one string, and of the strings of one row in one column */
#define PARQUET_WRITE_DEPTH  28                  /* arrays and objects of a row within each other */

typedef struct ParquetShape ParquetShape;
ParquetShape *parquet_shape_new(void);
void          parquet_shape_free(ParquetShape *s);
/* Learns from one row, an object. Integers and reals make double, provided that every integer is exact in it; anything else that does not fit what
 * earlier rows had is refused with the row (counted from 1 by the shape), the place and both kinds. */
int           parquet_shape_add(ParquetShape *s, const Json *row, Err *e);
/* The description {"id": "int64", "tags": ["string"], "who": {"name": "string", "age": "int64"}}: string, int64, double, bool, null. */
int           parquet_shape_parse(ParquetShape **out, const Json *description, Err *e);
Json         *parquet_shape_json(const ParquetShape *s);                                /* the same notation; a new reference */

typedef enum { PARQUET_ZSTD, PARQUET_SNAPPY, PARQUET_PLAIN } ParquetPacking;
typedef struct ParquetWriteOptions {
    ParquetPacking packing;
    size_t         group_bytes;  /* uncompressed bytes after which a row group ends; 0: 64 MiB; at most 1 GiB */
    int64_t        group_rows;   /* 0: 2^20 */
} ParquetWriteOptions;

typedef struct ParquetWriter ParquetWriter;
/* s is copied; o NULL: the defaults. */
int  parquet_create(ParquetWriter **out, const char *path, const ParquetShape *s, const ParquetWriteOptions *o, Err *e);
/* One row. What the shape has no place for is refused with its row number, and the row leaves no trace. */
int  parquet_write_row(ParquetWriter *w, const Json *row, Err *e);
int  parquet_commit(ParquetWriter **w, Err *e);                                         /* the file appears whole, or not at all; frees */
void parquet_abort(ParquetWriter **w);                                                  /* NULL is fine */

#endif
