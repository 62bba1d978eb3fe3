/* measures.h - the numbers of each row that was read, beside the texts: DATA/measures.bin. With them a review sorts ten million rows, and --apply makes the
 * statistics anew, without reading a text. The file is "hone measures 1\n" and then a Measure for each row, in order of id from 1, little-endian.
 * Main struct: Measure. To add a number: a field, another number in the magic, and where write_out.c and review_check.c fill it in. */
#ifndef HONE_MEASURES_H
#define HONE_MEASURES_H

#include "base/file.h"
#include "base/json.h"

typedef struct Measure {
    uint32_t question, answer;  /* bytes; UINT32_MAX: so many or more */
    int32_t  tokens, trained;   /* -1: not counted */
    float    quality;           /* heuristics.h, 0..1; NAN: not asked */
    char     language[4];       /* ISO 639-1, "code" for source code, "und" when unsure; filled with zero bytes; all zero: not asked */
} Measure;

#define MEASURES_MAGIC "hone measures 1\n" /* 16 bytes */
#define MEASURES_HEAD  16

/* Of a finished folder. n: rows; the map is empty when there is no such file (an older hone made the folder). ERR_INPUT: it is none, or was cut. */
typedef struct Measures { FileMap map; const Measure *row; size_t n; } Measures;
int  measures_open(Measures *m, const char *dir, Err *e);
void measures_close(Measures *m);

/* Lengths are told apart by powers of two: bin 0 is 0, bin 1 is 1, bin 2 is 2 to 3, bin 3 is 4 to 7, ... */
#define MEASURE_BINS 33
int  measure_bin(int64_t v);
void measure_bin_name(int bin, char out[48]);   /* "64 to 127" */

/* The numbers of row i < n (id i + 1 in a file), or false: it has none, or is not meant. */
typedef bool (*MeasureFn)(const void *user, size_t i, Measure *m);
int   measures_write(const char *path, MeasureFn get, const void *user, size_t n, Err *e); /* the file appears whole or not at all */
/* Tables of the rows that stay, for manifest and report: {"title": {"bucket": rows, ...}, ...}; owned. get is false for those that left. */
Json *measures_statistics(MeasureFn get, const void *user, size_t n);

#endif
