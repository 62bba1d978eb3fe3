/* pii_index.h - which rows speak of whom: (kind, keyed hash of the value) -> rows, so that a request for erasure finds every row without the index
 * holding any clear value. One index per thread is filled and merged; once sealed it does not depend on the order in which rows came. */
#ifndef HONE_PREP_PII_INDEX_H
#define HONE_PREP_PII_INDEX_H

#include "prep/pii_replace.h"

#define PII_ROW_MAX 1024 /* longest name of a row, bytes */

typedef struct PiiIndex PiiIndex;
typedef VEC(Str) PiiRows;

PiiIndex *pii_index_new(void);
void      pii_index_free(PiiIndex *x);
/* The name of the row is copied; ERR_INPUT: longer than PII_ROW_MAX. */
int       pii_index_add(PiiIndex *x, const PiiReplacer *r, Str row, Str text, const PiiSpans *spans, Err *e);
void      pii_index_merge(PiiIndex *into, const PiiIndex *from);
void      pii_index_seal(PiiIndex *x);              /* sorts, and leaves out doubles; before find and write */
size_t    pii_index_count(const PiiIndex *x);       /* pairs of value and row */

/* The rows in which the value stands, borrowed; value as a person writes it ("max@x.de", "+49 30 123"). */
void pii_index_find(const PiiIndex *x, const PiiReplacer *r, PiiKind k, Str value, PiiRows *rows);

/* JSON Lines: {"kind": "email", "key": 32 hexadecimal digits, "rows": [...]}, ordered by kind and key. */
void pii_index_write(const PiiIndex *x, StrBuf *out);
int  pii_index_read(PiiIndex **out, Str text, const char *name, Err *e); /* sealed; ERR_INPUT says the line */

#endif
