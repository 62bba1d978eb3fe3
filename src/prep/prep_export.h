/* prep_export.h - rows of a data folder, or of any file that hone prep reads, to one file for other tools: a shape (convert.h) in a container.
 *   .jsonl  one object per line        .json  one array        .csv .tsv  a column per text column        .parquet
 * Tables (CSV, TSV) hold texts: objects and lists stand in them as JSON. A row that the shape cannot express ends the export with the row's number and
 * what it is; nothing is written then. */
#ifndef HONE_PREP_EXPORT_H
#define HONE_PREP_EXPORT_H

#include "prep/convert.h"

/* from: a data folder (its part: "train", "validation", "test", or "all" of the three) or a file. to: its ending says the container. */
int prep_export(const char *from, const char *part, ConvertShape shape, const char *to, int64_t *rows, Err *e);

#endif
