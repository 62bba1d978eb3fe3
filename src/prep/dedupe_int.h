/* dedupe_int.h - shared by dedupe.c (the search, results), dedupe_keys.c (the file of rows), dedupe_exact.c (copies), dedupe_bucket.c (which pairs),
 * dedupe_verify.c (are they similar), dedupe_cache.c (their texts), dedupe_sort.c. */
#ifndef HONE_PREP_DEDUPE_INT_H
#define HONE_PREP_DEDUPE_INT_H

#include "base/vec.h"
#include "prep/dedupe.h"
#include "prep/sorter.h"
#include "prep/view.h"

/* --- dedupe_keys.c: the file, read by columns of blocks --------------------------------------------------------------------------------- */
typedef struct KeyBlock { uint64_t at; size_t first; uint32_t n; } KeyBlock; /* rows [first, first + n) of the file */
typedef struct KeyFile { View view; VEC(KeyBlock) block; size_t rows; } KeyFile;

int             key_file_open(KeyFile *f, const char *path, int bands, Err *e);
void            key_file_close(KeyFile *f);
const Hash128  *key_file_exact(const KeyFile *f, const KeyBlock *b);             /* [n] */
const uint32_t *key_file_ids(const KeyFile *f, const KeyBlock *b);
const uint32_t *key_file_shingles(const KeyFile *f, const KeyBlock *b);
const float    *key_file_scores(const KeyFile *f, const KeyBlock *b);
const uint32_t *key_file_band(const KeyFile *f, const KeyBlock *b, size_t band);
uint32_t        key_file_id(const KeyFile *f, size_t row);                       /* of one row, as the next */
uint32_t        key_file_size(const KeyFile *f, size_t row);

/* --- the search -------------------------------------------------------------------------------------------------------------------------- */
/* Distinct rows are the first of their text; they are numbered in order. What is kept of each row: a bit of `first`, 1/16 byte of `before`, 2 bytes of size. */
typedef struct Dedupe {
    DedupeCfg c;             /* nothing in it is 0 that stands for a default */
    KeyFile   file;
    uint64_t *first;         /* a bit for each row of the file: it is distinct */
    uint32_t *before;        /* distinct rows before each stretch of the file */
    size_t    distinct;
    uint16_t *size;          /* [distinct] shingles, DEDUPE_LARGE: as many or more, and the file says how many */
    Sorter   *copies;        /* Copy of each other row, in order of row */
} Dedupe;
typedef struct Copy { uint32_t row, first; } Copy; /* rows of the file */
#define DEDUPE_LARGE UINT16_MAX

static inline bool dedupe_is_first(const Dedupe *d, size_t row) { return d->first[row / 64] >> row % 64 & 1; }
int dedupe_stopped(const Dedupe *d, Err *e);                        /* dedupe.c: ERR_STOP when the caller asks for it */

/* --- dedupe_exact.c ---------------------------------------------------------------------------------------------------------------------- */
int      exact_find(Dedupe *d, Err *e);                             /* fills in all behind `file` */
uint32_t exact_number(const Dedupe *d, size_t row);                 /* of a distinct row */
size_t   exact_row(const Dedupe *d, uint32_t number);               /* and back */
uint32_t exact_size(const Dedupe *d, uint32_t number);              /* its shingles */

/* --- dedupe_sort.c -------------------------------------------------------------------------------------------------------------------- */
/* Stable by the upper 32 bits; tmp has room for n. */
void dedupe_sort(uint64_t *v, uint64_t *tmp, size_t n, Pool *pool);

/* --- dedupe_cache.c: shingles of distinct rows, within cache_bytes ----------------------------------------------------------------------- */
typedef struct Cache Cache;

Cache   *cache_new(const Dedupe *d);
void     cache_free(Cache *c);
bool     cache_has_room(const Cache *c, uint32_t a, uint32_t b);    /* for the sets of both */
void     cache_admit(Cache *c, uint32_t row);                       /* its set will be there after cache_load, if it is not there already */
int      cache_load(Cache *c, Err *e);
const uint64_t *cache_set(const Cache *c, uint32_t row, size_t *n); /* ascending; of a row that was loaded. On any thread */
void     cache_clear(Cache *c);

/* --- dedupe_verify.c: pairs of distinct rows, compared in batches by all threads ---------------------------------------------------------- */
typedef struct Verify Verify;

Verify  *verify_new(const Dedupe *d);
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
void     verify_end_joining(Verify *v);                             /* verify_measure alone is called from now on: the clusters are forgotten */

/* --- dedupe_bucket.c ------------------------------------------------------------------------------------------------------------------- */
int bucket_search(const Dedupe *d, Verify *v, uint64_t *left_out, Err *e); /* gives all candidate pairs to v */

#endif
