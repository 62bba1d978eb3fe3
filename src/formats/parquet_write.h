/* parquet_write.h - one column of a row group being written, between parquet_write.c (rows, footer) and parquet_write_page.c (pages). */
#ifndef HONE_PARQUET_WRITE_H
#define HONE_PARQUET_WRITE_H

#include "base/file.h"
#include "formats/parquet_int.h"
#include "formats/parquet_shape.h"

/* A place between two rows. */
typedef struct PqCut { size_t entries, values, bytes; } PqCut;

typedef struct PqLeafOut {
    const ParquetShape *shape;
    VEC(Str)     path;         /* names from the top, into the shape or fixed */
    int          def, rep;     /* greatest levels */
    VEC(uint8_t) def_of, rep_of;
    StrBuf       data;         /* values in PLAIN; bool one byte each */
    size_t       values;
    VEC(PqCut)   cut;          /* where pages end */
    PqCut        row;          /* where the row being written began */
} PqLeafOut;

typedef struct PqChunkOut { uint64_t start, dictionary, plain, packed; bool has_dictionary; } PqChunkOut;   /* plain, packed: bytes with headers */

PqType pq_leaf_type(const ParquetShape *leaf);
/* Writes the column's pages at byte *at of the file, moves *at, and fills *out. */
int    pq_leaf_write(PqLeafOut *l, ParquetPacking packing, FileOut *f, uint64_t *at, PqChunkOut *out, Err *e);

#endif
