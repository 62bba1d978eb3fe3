/* pii_allow.h - texts that the user says must stay: the company's own support address, its hotline, the names of its products.
 * One text a line. Upper and lower case and the width of blanks do not matter, unless the text stands in double quotes: then it must be written exactly so.
 * Empty lines are passed over, and lines that begin with '#'; a text that begins with '#' or '"' itself goes into quotes.
 * Read-only once made; all threads share it. */
#ifndef HONE_PREP_PII_ALLOW_H
#define HONE_PREP_PII_ALLOW_H

#include "prep/pii.h"

#define PII_ALLOW_LINES ((size_t)100000) /* texts in a list */
#define PII_ALLOW_BYTES ((size_t)200)    /* of one text */

typedef struct PiiAllow PiiAllow;

/* From the content of a list; `name` is what an error calls it. ERR_INPUT: bytes that are no UTF-8, a line or list that is too long, an open quote, a text
 * without a letter or digit; with the number of the line. */
int  pii_allow_new(PiiAllow **out, Str list, const char *name, Err *e);
void pii_allow_free(PiiAllow *a);

/* True when the finding [begin, end) of the text lies within one of the texts, as whole words: "Walker" in the product "Walker Card Plus", but not in
 * "Walker Cardiff"; what is more than such a text ("Anna Walker", when "Walker" is in the list) stays a finding. A telephone number or another number with
 * separators is also held when only these differ: "0800 / 123-456". */
bool pii_allow_holds(const PiiAllow *a, Str text, const PiiSpan *s);

#endif
