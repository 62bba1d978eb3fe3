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
    size_t      end;    /* of the array's rows */
    int64_t     line;   /* of the row read last; in an array its number */
    StrBuf      where;  /* "FILE, line 3" or "FILE, row 3" of the row read last */
} RowReader;

int  rows_open(RowReader *r, Str text, const char *name, Err *e); /* finds the kind by the first row; r needs rows_close in any case */
int  rows_next(RowReader *r, Json **row, Err *e);                 /* 1: a row of r->kind, owned by the caller; 0: end; <0: error. Not for raw text */
void rows_close(RowReader *r);
/* The reader in parts, each a reader of its own for rows_next and rows_close, so that several threads may read at once. Where they are cut hangs on the text
 * alone. from: {0} at first, moved behind the part; false: there is no more. r, just opened, stays open meanwhile. Not for raw text. */
#define PART_BYTES ((size_t)128 << 10) /* of lines, to the end of the one that this falls into */
#define PART_ROWS  256                 /* of an array */
typedef struct RowMark { size_t at; int64_t line; } RowMark;
bool rows_part(RowReader *part, const RowReader *r, RowMark *from);
int  rows_kind(const Json *row, const char *where, DataKind *kind, Err *e); /* by its keys; ERR_INPUT: none, or a mixture */

#define ROW_PLACE "%s, %s %lld" /* file, "line" or "row", number */

/* ---- dataset.c ---- */
typedef struct LongRows { int64_t n, longest, n_cut, first; int32_t file; bool in_array; } LongRows; /* rows beyond max_length; where the first one stands */
typedef struct DataPath { const char *name; Str text; } DataPath;
int  dataset_load_memory(DataSet **out, const DataPath *file, size_t n, const Tok *t, const DataOptions *o, Err *e);
void dataset_count(DataSet *d);                                    /* fills the stats that follow from the examples */


/* ---- tokens.c ---- */
void tokens_key(char key[SHA256_HEX], const char *data_sha256, const Tok *t, const DataOptions *o);
/* The examples of d->file[file] from FILE.hone-tokens, when it was written under the same key and is whole; else false and nothing has changed. */
bool tokens_read(DataSet *d, size_t *cap, LongRows *too_long, int32_t file, const char *key, const DataOptions *o);
/* Keeps examples [first, d->n), all of that file. What cannot be written is done without. */
void tokens_write(const DataSet *d, size_t first, const LongRows *too_long, int32_t file, const char *key);

#endif
