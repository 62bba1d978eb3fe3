/* minhash_shingle.h - a text as the set of its shingles: what two texts are compared by.
 * Words: the text is decomposed (NFKD), brought to lower case and cut at spaces, punctuation and control characters; accents go (marks that write
 * no sound of their own: Latin, Greek and Cyrillic accents, Hebrew points, Arabic vowel signs), the vowel signs of Thai and of the Indian scripts
 * stay. In scripts that put no spaces between words (Han, kana, Thai, Lao, Khmer, Burmese, ...) each character, with its marks, is a word, so that
 * their shingles are character n-grams; symbols (emoji) are a word each. Bytes that are no UTF-8 count as U+FFFD, a symbol.
 * Shingles: XXH3 of every run of n words; a text of fewer words has one shingle, all of it; a text without words has none.
 * The work object is one thread's: it keeps its memory from text to text, about 50 bytes per word and 4 per byte of the longest text. */
#ifndef HONE_PREP_MINHASH_SHINGLE_H
#define HONE_PREP_MINHASH_SHINGLE_H

#include "base/hash.h"
#include "base/str.h"

#define SHINGLE_WORDS    5                    /* the field's default (datatrove, text-dedup); rows of a sentence or two are better served by 2 or 3 */
#define SHINGLE_MAX      64                   /* words of a shingle at most */
#define SHINGLE_TEXT_MAX ((size_t)1 << 30)    /* bytes of a text at most; jsonl.h lets no longer line in */

typedef struct ShingleCfg {
    int  words;        /* of a shingle: 1 .. SHINGLE_MAX; 0: SHINGLE_WORDS */
    bool fold_numbers; /* each run of digits counts as one 0: "page 12" is "page 7" */
    bool keep_punct;   /* punctuation characters are words too: for code, where a | b is not a > b */
} ShingleCfg;

typedef struct Shingles Shingles;

Shingles *shingles_new(const ShingleCfg *c);            /* c->words within its bounds */
void      shingles_free(Shingles *s);
/* Reads a text (at most SHINGLE_TEXT_MAX bytes); what the functions below return belongs to it until the next one. A pure function of text and cfg. */
void      shingles_read(Shingles *s, Str text);
size_t    shingles_words(const Shingles *s);            /* words of the text */
uint64_t  shingles_run(const Shingles *s, size_t from, size_t n); /* the hash of the words [from, from + n) */
Str       shingles_text(const Shingles *s, size_t from, size_t n); /* the same words as normalised, one space between them */
const uint64_t *shingles_set(const Shingles *s, size_t *n);       /* the distinct shingles, in order of first appearance */
void      shingles_sorted(Shingles *s);                 /* from now on shingles_set is in ascending order */

/* Prefix filter (Chaudhuri, Ganti, Kaushik 2006): whoever has Jaccard >= threshold with a set of n shares at least ceil(threshold n) of its shingles, hence
 * one of any n - ceil(threshold n) + 1 of them; this is that number. */
size_t    shingles_prefix(size_t n, double threshold);
/* |a and b| / |a or b| of two ascending sets; 0 when both are empty. A result below `floor` may be any number below it (the walk stops early). */
double    shingles_jaccard(const uint64_t *a, size_t na, const uint64_t *b, size_t nb, double floor);

#endif
