/* pii_known.h - what one text of a row says of the others: a name, an address or a number that was found in one of them, or stands in a column of persons, is found in
 * all. So a row never shows the value and what stands in its place side by side.
 * Main struct: PiiKnown, the values of one row. A value is looked for as whole words; a name of several words and an e-mail address without regard to case, the rest as
 * it is. Of a name the parts are looked for as well where they are surely names, of an address its lines.
 * Bounds: a value of more than PII_KNOWN_WORDS words or PII_KNOWN_BYTES bytes is looked for nowhere else. */
#ifndef HONE_PREP_PII_KNOWN_H
#define HONE_PREP_PII_KNOWN_H

#include "prep/pii.h"

#define PII_KNOWN_WORDS 16
#define PII_KNOWN_BYTES 256

typedef struct PiiKnown PiiKnown;

PiiKnown *pii_known_new(const PiiScanner *s);  /* borrowed, outlives it */
void      pii_known_free(PiiKnown *k);

void pii_known_take(PiiKnown *k, Str text, const PiiSpans *found);      /* what pii_scan found in a text of the row */
void pii_known_person(PiiKnown *k, Str value, const char *rule);        /* the value of a column of persons; rule: pii_column_holds */
bool pii_known_heard(const PiiKnown *k, Str word);                      /* a name that was taken has this word, though it may be an ordinary one */

/* Adds to the findings of a text (ordered, apart, and so they stay) those values that stand in it beside them or around them. */
void pii_known_find(const PiiKnown *k, Str text, PiiSpans *found);

#endif
