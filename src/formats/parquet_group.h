/* parquet_group.h - a decoded row group, between parquet.c, which fills it, and parquet_row.c, which reads rows from it.
 * Invariant: once filled it is never written, so any number of threads may take rows. */
#ifndef HONE_PARQUET_GROUP_H
#define HONE_PARQUET_GROUP_H

#include "formats/parquet_int.h"

struct ParquetGroup {
    const ParquetFile *f;
    size_t    index;
    int64_t   rows, first;
    PqColumn *column;      /* [n_leaves]; leaves that were not asked for stay empty */
};

#endif
