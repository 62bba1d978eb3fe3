/* dedupe_ngram.h - which of the indexed texts share a run of n words with a text, and which run: the contamination check of GPT-3 and lm-eval
 * (n = 13; others use 8 to 12). Words are those of minhash_shingle.h, so in Chinese or Thai a run is n characters. A text of fewer than n words has no run
 * of n words: it is not found here, and ngram_index_add says so; near_index is the check for it. Memory: about 28 bytes per word indexed.
 * A run that more than NGRAM_FORM_TEXTS of the indexed texts and more than a tenth of them have is a form ("Translate the following request into ..."), not what
 * a text is known by: words that such runs cover take part in no match. near_index finds the text that is the same, form and all.
 * Runs are compared by their 64-bit hash; two different runs meet with probability 5e-20 per pair. */
#ifndef HONE_PREP_DEDUPE_NGRAM_H
#define HONE_PREP_DEDUPE_NGRAM_H

#include "base/vec.h"
#include "prep/minhash_shingle.h"

#define NGRAM_WORDS     13
#define NGRAM_FORM_TEXTS 16
#define NGRAM_RUNS_MAX  ((size_t)1 << 31) /* of all indexed texts */

typedef struct NgramIndex NgramIndex;
typedef struct NgramMatch {
    uint32_t text;   /* number in the order of ngram_index_add, from 0 */
    uint32_t runs;   /* distinct runs of n words that both have */
    uint32_t at;     /* the first shared one: words [at, at + n) of the text asked for; shingles_text shows them */
} NgramMatch;
typedef VEC(NgramMatch) NgramMatches;

NgramIndex *ngram_index_new(int n);                          /* 1 .. SHINGLE_MAX */
void        ngram_index_free(NgramIndex *x);
/* The text that s has just read. *indexed: false when it has fewer than n words (it keeps its number). ERR_INPUT past NGRAM_RUNS_MAX. */
int         ngram_index_add(NgramIndex *x, const Shingles *s, bool *indexed, Err *e);
void        ngram_index_build(NgramIndex *x);                /* once, after the last add */
size_t      ngram_index_forms(const NgramIndex *x);          /* after that: runs that are forms */
/* The matches of the text that s has just read, in order of number; out is emptied first. Any thread, each with its own s of the same cfg. */
void        ngram_index_find(const NgramIndex *x, const Shingles *s, NgramMatches *out);

#endif
