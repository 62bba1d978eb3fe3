/* sorter.h - puts more records into order than memory should hold: an external merge sort. Records of one size are added, sorted in memory as long as they fit into
 * `bytes`, and else in runs that go to a file and are merged into a second one. Either way they are read by number afterwards.
 * Memory: twice `bytes` while they are added (the C library's sort takes as much again), then a view of the file (view.h). On disk: twice the records while they are
 * merged, then once; the files are gone with sorter_free, or with the work folder after a kill. */
#ifndef HONE_SORTER_H
#define HONE_SORTER_H

#include "base/err.h"

#define SORTER_BYTES ((size_t)8 << 20)

typedef struct Sorter Sorter;
/* Of two records; 0 never, so that the result does not hang on how much fits into memory. */
typedef int (*SorterOrder)(const void *a, const void *b);

Sorter     *sorter_new(const char *path, size_t size, SorterOrder order, size_t bytes); /* files: PATH.runs, PATH.sorted. bytes 0: SORTER_BYTES; two records at least */
int         sorter_add(Sorter *s, const void *record, Err *e);
int         sorter_end(Sorter *s, Err *e);               /* once, after the last */
size_t      sorter_count(const Sorter *s);
const void *sorter_at(const Sorter *s, size_t i);        /* i < count, in order; valid until sorter_free */
void        sorter_free(Sorter *s);                      /* NULL is fine */

#endif
