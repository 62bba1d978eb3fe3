/* dedupe_lists.h - from a hash to the list of texts that have it: the inverted index under dedupe_near and dedupe_ngram. Built once, then read by any
 * number of threads. Memory: 4 bytes per (hash, text), about 24 per distinct hash. */
#ifndef HONE_PREP_DEDUPE_LISTS_H
#define HONE_PREP_DEDUPE_LISTS_H

#include "base/vec.h"

typedef struct HashItem { uint64_t hash; uint32_t text; } HashItem;
typedef VEC(HashItem) HashItems;

typedef struct HashLists {
    uint64_t *hash;    /* [n] distinct, in order of first appearance */
    uint64_t *from;    /* [n + 1] where a list begins in text */
    uint32_t *text;    /* in the order of the items */
    uint32_t *slot;    /* open addressing: index into hash + 1, 0 free */
    size_t    n, n_slot;
} HashLists; /* zeroed: empty */

void   hash_lists_build(HashLists *l, const HashItem *item, size_t n); /* fewer than 2^32 - 1 distinct hashes */
size_t hash_lists_find(const HashLists *l, uint64_t hash, const uint32_t **text); /* the list's length, 0: no such hash */
void   hash_lists_release(HashLists *l);

#endif
