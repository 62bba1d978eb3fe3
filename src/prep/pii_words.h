/* pii_words.h - the tables of names: is this word a given name, a family name, a place; and names to put in the place of others.
 * Made once by pii_words_new, read-only afterwards. */
#ifndef HONE_PREP_PII_WORDS_H
#define HONE_PREP_PII_WORDS_H

#include "base/str.h"

enum {
    WORD_FEMALE = 1, WORD_MALE = 2, WORD_GIVEN = 3,  /* both bits: borne by both */
    WORD_FAMILY = 4,
    WORD_CITY = 8, WORD_COUNTRY = 16, WORD_PLACE = 24,
    WORD_PART = 32,         /* the first word of a place of several words */
    WORD_PLAIN = 64,        /* also an ordinary word: counts only beside another hint */
    WORD_STOP = 128,        /* never part of a name: "The", "Montag", "GmbH" */
    WORD_TITLE = 256, WORD_GREETING = 512, WORD_PARTICLE = 1024, /* "Frau"; "Dear"; "van" */
    WORD_THING = 2048,      /* behind a name it makes a street or a company of it */
    WORD_FRONT = 4096,      /* stands before the name of a street: "Via", "rue" */
    WORD_LINK = 8192,       /* small words inside the name of a street: "de", "della" */
    WORD_WARE = 65536,      /* behind a word it makes goods or a service of it: "Card", "Edition" */
    WORD_BRAND = 131072,    /* a name that a make bears: alone it is no person */
    WORD_BEHIND = 16384, WORD_BEHIND_RARE = 32768 /* stands behind the name of a street; rare ones need a place behind them */
};

#define PII_WORD_MAX 64     /* longest word looked up, bytes */

typedef struct PiiWords PiiWords;

PiiWords *pii_words_new(void);
void      pii_words_free(PiiWords *w);
/* WORD_* of a word or a place of several words, whatever its case; 0 when no table has it or it is longer than PII_WORD_MAX. */
unsigned  pii_words_find(const PiiWords *w, Str word);
/* False when no given name has these first three bytes, this last one and this length; most words of a text in small letters. The word is in small letters, n > 2. */
bool      pii_words_may_be_given(const PiiWords *w, const char *p, size_t n);
/* The number of words (1..5) of the longest place that begins at p, its length in *len; 0: none. */
size_t    pii_words_place(const PiiWords *w, const char *p, size_t n, size_t *len, unsigned *flags);
/* A name of the kind (WORD_FEMALE, WORD_MALE, WORD_GIVEN: of both, WORD_FAMILY, WORD_CITY, WORD_COUNTRY) for a number; never an ordinary word. */
Str       pii_words_pick(const PiiWords *w, unsigned kind, uint64_t number);

#endif
