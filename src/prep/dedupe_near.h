/* dedupe_near.h - near duplicates of a text among texts indexed once: does this training row say what an evaluation row says, does a row of one
 * side of a split have a twin on the other? Exact: every indexed text whose true Jaccard with the text is at least the threshold is found, none other.
 * The index holds every shingle of its texts (about 40 bytes each): it is made for evaluation sets, not for the corpus. */
#ifndef HONE_PREP_DEDUPE_NEAR_H
#define HONE_PREP_DEDUPE_NEAR_H

#include "base/vec.h"
#include "prep/minhash_shingle.h"

#define NEAR_SHINGLES_MAX ((size_t)1 << 31) /* of all indexed texts */

typedef struct NearIndex NearIndex;
typedef struct NearMatch { uint32_t text; double jaccard; } NearMatch; /* text: number in the order of near_index_add, from 0 */
typedef VEC(NearMatch) NearMatches;

NearIndex *near_index_new(double threshold);                /* 0 < threshold <= 1 */
void       near_index_free(NearIndex *x);
/* The text that s has just read; texts without shingles keep their number and match nothing. ERR_INPUT past NEAR_SHINGLES_MAX. */
int        near_index_add(NearIndex *x, Shingles *s, Err *e);
void       near_index_build(NearIndex *x);                  /* once, after the last add */
/* The matches of the text that s has just read, most similar first, ties in order of number; out is emptied first. Any thread, each with its own s,
 * made with the same cfg as those that indexed. */
void       near_index_find(const NearIndex *x, Shingles *s, NearMatches *out);

#endif
