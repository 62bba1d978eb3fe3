/* arrow.h - Apache Arrow IPC files and streams to rows of JSON (https://arrow.apache.org/docs/format/Columnar.html, metadata versions 4 and 5): what
 * `datasets` of Hugging Face keeps on disk (data-00000-of-00001.arrow, a stream), Feather 2, and what polars and pandas write.
 *
 * The file is mapped; a record batch is opened as a whole and then gives its rows in any order, to any number of threads. What a value becomes is as in
 * parquet.h: structs and maps with text keys are objects, lists are arrays, dates and times ISO 8601 text, decimals exact text, bytes must be text; a dictionary's
 * values stand for themselves, a duration is a number of its unit. Buffers may be packed by LZ4 or Zstandard.
 * Refused, by name: union, interval, run-end encoded, list view, big-endian files, Feather 1.
 *
 * Memory: while a batch lives, its buffers that are packed, unpacked; above group_max it is refused before it is allocated. Bounds: those of parquet.h
 * (nodes, depth, rows of a batch, bytes of a row). Every offset is checked where it is used. */
#ifndef HONE_ARROW_H
#define HONE_ARROW_H

#include "base/json.h"

typedef struct ArrowFile  ArrowFile;    /* never written after opening */
typedef struct ArrowBatch ArrowBatch;

bool    arrow_is(Str head);                                                             /* by its first bytes, 512 are enough */
int     arrow_open(ArrowFile **out, const char *path, Err *e);
int     arrow_open_memory(ArrowFile **out, const void *p, size_t n, const char *name, size_t group_max, Err *e); /* borrowed bytes; group_max 0: PARQUET_GROUP_MAX */
void    arrow_close(ArrowFile *f);
int64_t arrow_rows(const ArrowFile *f);
size_t  arrow_batches(const ArrowFile *f);
int     arrow_batch_read(const ArrowFile *f, size_t i, ArrowBatch **out, Err *e);
void    arrow_batch_free(ArrowBatch *b);
int64_t arrow_batch_rows(const ArrowBatch *b);
int64_t arrow_batch_first(const ArrowBatch *b);                                         /* rows of the file before this batch */
int     arrow_row(const ArrowBatch *b, int64_t row, Json **out, Err *e);                /* row < arrow_batch_rows; the caller owns *out, an object */

#endif
