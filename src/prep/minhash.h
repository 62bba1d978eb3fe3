/* minhash.h - a text's sketch for near-duplicate search: its exact hash and one key per band. Two texts whose shingle sets have Jaccard J share at
 * least one key with probability P(J) = 1 - (1 - J^rows)^bands (Broder 1997; Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, 3.4).
 * Scheme: bands * rows permutations of the 32-bit range by multiply-add, h_i(x) = a_i x + b_i mod 2^32 with odd a_i, of the upper half of each
 * shingle's XXH3; of each the smallest value, eight at a time; a band's key is XXH3 of its rows' smallest values, 32 bits of it: a false meeting of
 * keys (one in 4 billion pairs) costs a verification, not a mistake. Every shingle is one multiplication per permutation, there is no sort, no division,
 * and no estimate: each of the rows is a permutation of its own, so the formula holds for short texts as well as for long ones.
 * A MinHash never changes after minhash_new: all threads share one, each with its own Shingles. Results depend on text and cfg alone. */
#ifndef HONE_PREP_MINHASH_H
#define HONE_PREP_MINHASH_H

#include "prep/minhash_shingle.h"

#define MINHASH_TEXT_MAX    ((size_t)4 << 20) /* bytes of a text; of a longer one only exact copies are known: its shingles would take ten times its size */
#define MINHASH_PERM_MAX    512    /* bands * rows at most */
#define MINHASH_BANDS_MAX   64
#define MINHASH_PERM_PLAN   144    /* what minhash_plan may spend */
#define MINHASH_THRESHOLD   0.8
#define MINHASH_RECALL      0.999  /* P(threshold) that minhash_plan asks for */

typedef struct MinHashCfg {
    ShingleCfg shingle;
    double     threshold;   /* of the true Jaccard, 0.1 .. 1; 0: MINHASH_THRESHOLD */
    int        bands, rows; /* both 0: minhash_plan's for the threshold (0.8: 23 x 6, P(0.8) = 0.9991, P(0.9) above 0.9999999, P(0.5) = 0.304) */
    uint64_t   seed;        /* which permutations */
    bool       exact_bytes; /* exact means the same bytes; else the same words after normalisation */
} MinHashCfg;

typedef struct MinHash MinHash;

int    minhash_new(MinHash **out, const MinHashCfg *c, Err *e);   /* ERR_ARG: out of bounds, in one sentence */
void   minhash_free(MinHash *m);
const MinHashCfg *minhash_cfg(const MinHash *m);                  /* nothing in it is 0 that stands for a default, seed excepted */
Shingles *minhash_shingles(const MinHash *m);                     /* a work object for one thread; shingles_free */

typedef struct MinHashRow {
    Hash128  exact;                    /* texts without words are compared by their bytes in either mode: "?" is not "!" */
    uint32_t n_shingles;               /* distinct; 0: no near duplicates, the keys are unset (no words, or more than MINHASH_TEXT_MAX bytes) */
    uint32_t key[MINHASH_BANDS_MAX];   /* [bands] */
} MinHashRow;

Hash128 minhash_exact(const MinHash *m, Shingles *work, Str text); /* MinHashRow.exact alone */
void   minhash_row(const MinHash *m, Shingles *work, Str text, MinHashRow *out);

double minhash_catch(double jaccard, int bands, int rows);        /* P above */
/* The bands and rows, of at most MINHASH_PERM_PLAN permutations, that minimise 1/2 (false positives: the integral of P below the threshold) + 1/2 (false
 * negatives: of 1 - P above it), the field's optimum, among those with P(threshold) >= MINHASH_RECALL: candidates are verified, so a false one costs
 * little and a lost one cannot be found again. */
void   minhash_plan(double threshold, int *bands, int *rows);

#endif
