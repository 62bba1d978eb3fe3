/* dedupe.h - which rows say the same: exact and near duplicates of a stream of any length.
 * Use: minhash_row on any thread, dedupe_add in the order of the rows, which lays what was found of them into a file, dedupe_find once over that file. Exact
 * duplicates (MinHashRow.exact) are never sorted or read again. Near duplicates are rows that share a band's key and whose true Jaccard, computed from the texts,
 * reaches the threshold; the clusters are the connected parts of that relation. Of a cluster the row with the highest score stays (ties: the first).
 * The result depends on the rows and the cfg alone, never on threads or on how much memory there is for sorting.
 *
 * Memory: nothing while rows are added (a block of DEDUPE_BLOCK rows). While they are compared at most DEDUPE_ROW_BYTES for each row that was added, and whatever
 * their number `sort_bytes`, one and a half `cache_bytes` (shingle sets; pairs), the windows of a few files (view.h), and 8 MiB. Joining a large bucket takes 12 bytes
 * more for each of its rows and two and a half `cache_bytes`; one of more rows than `sort_bytes` hold another 16 for each. tests/prep/test_dedupe.c counts it.
 * Disk: 28 + 4 * bands bytes for each row (23 bands: 120); while the search goes on 16 for each copy, and at its end 80 for each row of a cluster, for a while.
 * How: the file is written in columns, so each step reads what it needs and nothing else. What does not fit into `sort_bytes` is done in several goes over the
 * same column, each taking one range of the hashes or keys: 4 bytes a row that are read again cost less than 8 that are written, sorted and merged, and need no disk.
 * Of what is found, which concerns the rows that have duplicates alone, records are put into order on disk (sorter.h).
 *
 * Many rows under one key (boilerplate) do not become all their pairs. (1) Neighbours of a bucket are compared first, and rows already in one cluster
 * are never compared again: copies cost one comparison each. (2) In a bucket of more than DEDUPE_BUCKET rows, what is left is joined by prefix filter
 * (Chaudhuri, Ganti, Kaushik 2006; Bayardo, Ma, Srikant 2007): shingles are ordered from rare to frequent in the bucket, and two sets with Jaccard >= t
 * must share one among the first n - ceil(t n) + 1 of each, so only rows that share a rare shingle meet, and no pair is lost by it. (3) Where even one such
 * shingle joins more than DEDUPE_WINDOW rows, each is compared with the DEDUPE_WINDOW of other clusters that follow it by size; what that leaves out is
 * counted in DedupeFound.left_out; it is above 0 where more than DEDUPE_WINDOW rows of a bucket have about t of their shingles in common with all of
 * each other and are no duplicates (a template with Jaccard between t / (2 - t) and t), so that no rare shingle tells them apart. */
#ifndef HONE_PREP_DEDUPE_H
#define HONE_PREP_DEDUPE_H

#include "base/thread.h"
#include "prep/minhash.h"

#define DEDUPE_ROWS_MAX  ((size_t)1 << 31)  /* the largest id of a row */
#define DEDUPE_ROW_BYTES 7
#define DEDUPE_BLOCK     4096               /* rows of a block of the file, at most */
#define DEDUPE_BUCKET    64
#define DEDUPE_WINDOW    512
#define DEDUPE_CACHE     ((size_t)32 << 20)
#define DEDUPE_CACHE_MIN ((size_t)64 << 10)
#define DEDUPE_SORT      ((size_t)16 << 20)
#define DEDUPE_SORT_MIN  ((size_t)4 << 10)

/* ---- rows to the file: a block of each column after the other. Not thread-safe ---- */
typedef struct DedupeKeys DedupeKeys;
DedupeKeys *dedupe_keys_new(const MinHash *m);                     /* m is borrowed */
/* Ids are >= 0 and ascending (a broken promise stops the program); gaps are fine. A NaN score is below every other. What is ready for the file is appended to
 * out. ERR_INPUT: an id above DEDUPE_ROWS_MAX. */
int         dedupe_add(DedupeKeys *k, int64_t row, const MinHashRow *h, float score, StrBuf *out, Err *e);
void        dedupe_end_block(DedupeKeys *k, StrBuf *out);          /* the rest; where a file is cut, and at its end */
void        dedupe_keys_free(DedupeKeys *k);

/* ---- the search ---- */
/* The text of a row as it was when it was added, appended to out (empty when called). Called from several threads at once, each with its own worker
 * number (0 .. pool_threads - 1) and out; returns 0 or an error, which ends dedupe_find. */
typedef int (*DedupeText)(void *ctx, int64_t row, int worker, StrBuf *out, Err *e);

typedef struct DedupeRemoved {
    int64_t row, kept;  /* ids as given to dedupe_add */
    size_t  cluster;    /* from 0, in the order of the first rows of the clusters */
    double  jaccard;    /* true Jaccard of row and kept; may lie below the threshold when a chain of similar rows leads from one to the other */
    bool    exact;      /* row and kept have the same exact hash (jaccard 1) */
} DedupeRemoved;

/* Called for every row that a better one of its cluster stands for, in ascending order, by the thread that called dedupe_find; an error ends it. */
typedef int (*DedupeEach)(void *ctx, const DedupeRemoved *r, Err *e);

typedef struct DedupeCfg {
    const MinHash *minhash;      /* the one that made the rows */
    const char    *keys;         /* path of the file. Files KEYS.* are written beside it, and gone afterwards */
    Pool          *pool;         /* NULL: this thread alone */
    DedupeText     text_of;
    DedupeEach     removed;
    void          *ctx;          /* of all three */
    size_t         cache_bytes;  /* 0: DEDUPE_CACHE, at least DEDUPE_CACHE_MIN; one pair of texts is admitted whatever it takes */
    size_t         sort_bytes;   /* 0: DEDUPE_SORT, at least DEDUPE_SORT_MIN */
    bool         (*stop_asked)(void *ctx); /* NULL: never. Asked a few times a second, by the thread that called dedupe_find */
} DedupeCfg;

typedef struct DedupeFound {
    size_t   rows, distinct, removed, exact; /* exact: of the removed ones, those that have it set */
    size_t   clusters;
    uint64_t compared; /* pairs whose true Jaccard was computed, the removed rows' own included */
    uint64_t left_out; /* rule (3) above did not compare at most so many pairs */
} DedupeFound;

/* ERR_INPUT: the file is none of rows that this minhash made, or a text has changed. ERR_STOP: stop_asked said so; ERR_IO: the disk is full. */
int dedupe_find(const DedupeCfg *c, DedupeFound *out, Err *e);

#endif
