/* overlap.h - what pass_overlap.c knows of rows beside each other: how many of them have a run of words by which an evaluation question is known. Those of more
 * than NGRAM_FORM_TEXTS rows are a form. Main struct: OverlapCount. Use: overlap_count for every row that stays, then overlap_judge for those that are asked about. */
#ifndef HONE_PREP_OVERLAP_H
#define HONE_PREP_OVERLAP_H

#include "base/json.h"
#include "prep/record.h"

/* SHA-256 of the i-th set of --eval, in hex, as it was when it was read; "": a folder, which has none. state: of the pass. */
const char   *overlap_set_hash(const void *state, size_t i);

typedef struct OverlapCount OverlapCount;
OverlapCount *overlap_count_new(const void *state);                  /* state: of the pass */
void          overlap_count(OverlapCount *c, const Record *r, uint32_t row); /* once for each row */
/* How many such runs the row shares that are no form. *told, owned: the first of them, or of a form: words and evaluation row; NULL: it shares nothing. */
size_t        overlap_judge(OverlapCount *c, const Record *r, Json **told);
void          overlap_count_free(OverlapCount *c);                   /* NULL is fine */
#define OVERLAP_RUN "shares a run of words with an evaluation row"

#endif
