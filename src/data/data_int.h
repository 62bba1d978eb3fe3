/* data_int.h - what the files of this room share: rows.c finds rows, encode.c turns one into tokens, dataset.c fits and keeps them. */
#ifndef HONE_DATA_INT_H
#define HONE_DATA_INT_H

#include "data/encode.h"
#include "formats/jsonl.h"

#define DATA_RAW_MAX ((size_t)1 << 30) /* bytes of one raw text */
#define DATA_FILES_MAX 1024            /* files in one data set */

/* ---- rows.c ---- */
typedef struct RowReader {
    DataKind    kind;   /* of every row in the file */
    const char *name;   /* what errors call the file; borrowed */
    Str         text;   /* raw text: all of it, behind a byte order mark; borrowed */
    Jsonl       lines;  /* one row per line */
    Json       *array;  /* or one array of rows; NULL otherwise */
    int64_t     line;   /* of the row read last; in an array its number */
    StrBuf      where;  /* "FILE, line 3" or "FILE, row 3" of the row read last */
} RowReader;

int  rows_open(RowReader *r, Str text, const char *name, Err *e); /* finds the kind by the first row; r needs rows_close in any case */
int  rows_next(RowReader *r, Json **row, Err *e);                 /* 1: a row of r->kind, owned by the caller; 0: end; <0: error. Not for raw text */
void rows_close(RowReader *r);
int  rows_kind(const Json *row, const char *where, DataKind *kind, Err *e); /* by its keys; ERR_INPUT: none, or a mixture */

/* ---- dataset.c ---- */
typedef struct DataPath { const char *name; Str text; } DataPath;
int  dataset_load_memory(DataSet **out, const DataPath *file, size_t n, const Tok *t, const DataOptions *o, Err *e);
void dataset_count(DataSet *d);                                    /* fills the stats that follow from the examples */

#endif
