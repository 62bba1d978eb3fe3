/* dedupe_int.h - shared by dedupe.c (rows, results), dedupe_bucket.c (which pairs), dedupe_verify.c (are they similar), dedupe_sort.c. */
#ifndef HONE_PREP_DEDUPE_INT_H
#define HONE_PREP_DEDUPE_INT_H

#include "base/vec.h"
#include "prep/dedupe.h"

typedef struct DedupeRow { int64_t id; float score; uint32_t distinct; } DedupeRow; /* distinct: index of the distinct row it equals */

struct Dedupe {
    const MinHash *m;
    size_t cache_bytes;
    VEC(DedupeRow) row;
    /* one entry per distinct row, of n_distinct */
    VEC(Hash128) exact;
    VEC(uint32_t) first;       /* index into row */
    VEC(uint32_t) n_shingles;
    VEC(uint32_t) key;         /* [n_distinct, bands] */
    uint32_t *slot;            /* open addressing over exact: distinct + 1, 0 free */
    size_t    n_slot;          /* a power of two, at least 4/3 of the distinct rows */
    bool      finished;
};

/* --- dedupe_sort.c -------------------------------------------------------------------------------------------------------------------- */
/* Stable by the upper 32 bits; tmp has room for n. */
void dedupe_sort(uint64_t *v, uint64_t *tmp, size_t n, Pool *pool);

/* --- dedupe_verify.c: pairs of distinct rows, compared in batches by all threads ---------------------------------------------------------- */
typedef struct Verify Verify;

Verify  *verify_new(const Dedupe *d, Pool *pool, DedupeText text_of, void *ctx);
void     verify_free(Verify *v);
uint32_t verify_root(Verify *v, uint32_t i);                        /* the smallest row of i's cluster so far */
bool     verify_near_size(const Verify *v, uint32_t a, uint32_t b); /* the sizes alone do not rule out the threshold */
int      verify_pair(Verify *v, uint32_t a, uint32_t b, Err *e);    /* to be compared, unless one cluster holds both or it was compared lately */
int      verify_flush(Verify *v, Err *e);                           /* all pairs given so far are compared, and joined where they are similar */
/* True Jaccard of n pairs (a[i], b[i]), without joining anything. */
int      verify_measure(Verify *v, const uint32_t *a, const uint32_t *b, size_t n, double *jaccard, Err *e);
/* Calls fn for all n rows on all threads, i the position in rows; set is ascending and gone afterwards. */
typedef void (*VerifyEach)(void *ctx, size_t i, const uint64_t *set, size_t n);
int      verify_each(Verify *v, const uint32_t *rows, size_t n, VerifyEach fn, void *ctx, Err *e);
uint64_t verify_compared(const Verify *v);

/* --- dedupe_bucket.c ------------------------------------------------------------------------------------------------------------------- */
int bucket_search(const Dedupe *d, Verify *v, Pool *pool, uint64_t *left_out, Err *e); /* gives all candidate pairs to v */

#endif
