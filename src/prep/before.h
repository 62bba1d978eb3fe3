/* before.h - what a row's texts were before an edit, so that the edit can be taken back: the list "before" of an edit in decisions.jsonl,
 *   [{"at": 2, "text": "as it stood", "now": "9f1c..."}, ...]
 * in order. at: which text of the row, counted in the order of record_each_text; now: a hash of the text that the edit put there, so that nothing is put back over what
 * somebody has written since. The texts are under the protection of the rows beside them: with a personal-data mode that changes texts they are changed
 * like the row (pass_pii.c), so what stood in the place of a replacement is not in the log and cannot come back from it. */
#ifndef HONE_BEFORE_H
#define HONE_BEFORE_H

#include "base/err.h"
#include "prep/record.h"

void before_add(Json *list, int64_t at, Str text);
void before_seal(Json *list, Record *row);                    /* sets "now", of the row as the edit left it */
/* Puts the texts back into the row. ERR_ARG, and the row is unchanged: a text is not the one that the edit left, or the list is of another form. */
int  before_put_back(const Json *list, Record *row, Err *e);

#endif
