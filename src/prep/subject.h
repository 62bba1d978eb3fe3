/* subject.h - under which keys the index of persons (subjects.jsonl) has a value: its own keyed hash (pii_key) and, of a person's name, that of each of its words,
 * so that "Moore" finds the rows that say "Hannah Moore", and "Moore, Hannah" is found by "Hannah Moore". */
#ifndef HONE_PREP_SUBJECT_H
#define HONE_PREP_SUBJECT_H

#include "prep/pii_replace.h"

#define SUBJECT_WORDS 8 /* of one name; further ones have no key of their own */

/* The words of a name, as they stand in it: at least two, else *n is 0. Initials and single letters are none. */
void subject_words(Str name, Str word[SUBJECT_WORDS], size_t *n);
/* Calls fn with each key; part: false for the value itself, true for a word of it. */
typedef void (*SubjectFn)(void *user, const char key[PII_KEY_HEX], bool part);
void subject_keys(const PiiReplacer *r, PiiKind kind, Str value, SubjectFn fn, void *user);

#endif
