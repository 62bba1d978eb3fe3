/* dedupe.h - which rows say the same: exact and near duplicates of a stream of any length.
 * Use: minhash_row on any thread, dedupe_add in the order of the rows, dedupe_finish once. Exact duplicates (MinHashRow.exact) are known when they are
 * added and are never sketched, sorted or read again. Near duplicates are rows that share a band's key and whose true Jaccard, computed from the texts,
 * reaches the threshold; the clusters are the connected parts of that relation. Of a cluster the row with the highest score stays (ties: the first).
 * The result depends on the rows and the cfg alone, never on threads.
 *
 * Memory: per distinct row 40 + 4 * bands bytes and about 8 of a hash table (23 bands: 140), per exact duplicate 16; while finishing 24 more per
 * distinct row, and the cache of shingle sets. 20 million distinct rows: 3.3 GB.
 *
 * Many rows under one key (boilerplate) do not become all their pairs. (1) Neighbours of a bucket are compared first, and rows already in one cluster
 * are never compared again: copies cost one comparison each. (2) In a bucket of more than DEDUPE_BUCKET rows, what is left is joined by prefix filter
 * (Chaudhuri, Ganti, Kaushik 2006; Bayardo, Ma, Srikant 2007): shingles are ordered from rare to frequent in the bucket, and two sets with Jaccard >= t
 * must share one among the first n - ceil(t n) + 1 of each, so only rows that share a rare shingle meet, and no pair is lost by it. (3) Where even one such
 * shingle joins more than DEDUPE_WINDOW rows, each is compared with the DEDUPE_WINDOW of other clusters that follow it by size; what that leaves out is
 * counted in DedupeResult.left_out; it is above 0 where more than DEDUPE_WINDOW rows of a bucket have about t of their shingles in common with all of
 * each other and are no duplicates (a template with Jaccard between t / (2 - t) and t), so that no rare shingle tells them apart. */
#ifndef HONE_PREP_DEDUPE_H
#define HONE_PREP_DEDUPE_H

#include "base/thread.h"
#include "prep/minhash.h"

#define DEDUPE_ROWS_MAX  ((size_t)1 << 31)  /* rows added */
#define DEDUPE_BUCKET    64
#define DEDUPE_WINDOW    512
#define DEDUPE_CACHE     ((size_t)256 << 20)
#define DEDUPE_CACHE_MIN ((size_t)64 << 10)

typedef struct Dedupe Dedupe;

/* The text of a row as it was when it was added, appended to out (empty when called). Called from several threads at once, each with its own worker
 * number (0 .. pool_threads - 1) and out; returns 0 or an error, which ends dedupe_finish. */
typedef int (*DedupeText)(void *ctx, int64_t row, int worker, StrBuf *out, Err *e);

typedef struct DedupeRemoved {
    int64_t row, kept;  /* ids as given to dedupe_add */
    size_t  cluster;    /* index into DedupeResult.cluster */
    double  jaccard;    /* true Jaccard of row and kept; may lie below the threshold when a chain of similar rows leads from one to the other */
    bool    exact;      /* row and kept have the same exact hash (jaccard 1) */
} DedupeRemoved;

typedef struct DedupeCluster {
    int64_t kept;
    size_t  first, n;   /* member[first .. first + n), ascending ids, the kept row among them; n >= 2 */
} DedupeCluster;

typedef struct DedupeResult {
    DedupeRemoved *removed;  /* [n_removed] ascending by row */
    size_t         n_removed, n_exact; /* n_exact of them have exact set */
    DedupeCluster *cluster;  /* [n_clusters] in the order of their first member */
    size_t         n_clusters;
    int64_t       *member;   /* [sum of n] */
    size_t         rows, distinct;
    uint64_t       compared; /* pairs whose true Jaccard was computed, the removed rows' own included */
    uint64_t       left_out; /* rule (3) above did not compare at most so many pairs */
} DedupeResult;

Dedupe *dedupe_new(const MinHash *m, size_t cache_bytes);          /* m is borrowed; cache_bytes: shingle sets in memory while finishing, 0: DEDUPE_CACHE, at least DEDUPE_CACHE_MIN;
                                                                      one pair of texts is admitted whatever it takes */
void    dedupe_free(Dedupe *d);
/* Ids are >= 0 and ascending (a broken promise stops the program); gaps are fine. A NaN score is below every other. ERR_INPUT past DEDUPE_ROWS_MAX. */
int     dedupe_add(Dedupe *d, int64_t row, const MinHashRow *h, float score, Err *e);
/* Once, after the last row. pool NULL: this thread alone. */
int     dedupe_finish(Dedupe *d, Pool *pool, DedupeText text_of, void *ctx, DedupeResult *out, Err *e);
void    dedupe_result_release(DedupeResult *r);

#endif
