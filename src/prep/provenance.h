/* provenance.h - the log of every decision about every row: DATA/decisions.jsonl, one JSON object per line, in row order within a pass:
 *   {"row": 12, "file": "tickets.csv", "line": 40, "pass": "quality", "action": "remove", "reason": "answer is cut off", "score": 0.31, ...}
 * action: remove (the row is in removed.jsonl), edit (it was changed), note (nothing happened to it), keep (a person or a later pass took a
 * removal back). What else a pass knows (the duplicate that stays, the texts before a repair) stands behind. */
#ifndef HONE_PROVENANCE_H
#define HONE_PROVENANCE_H

#include "base/json.h"

typedef enum { ACTION_REMOVE, ACTION_EDIT, ACTION_NOTE, ACTION_KEEP } Action;
const char *action_name(Action a);

typedef struct RowPlace { int64_t row; const char *file; int64_t line; } RowPlace; /* row 0: of no row, the file as a whole */

/* Appends one line. score NAN: none. more: an object whose keys follow, stolen; NULL: none. */
void decision_add(StrBuf *log, RowPlace at, const char *pass, Action action, const char *reason, double score, Json *more);

/* The beginning of a line of removed.jsonl, {"id", "pass", "reason", "file", "line", up to the comma before "row" or "raw". */
void removed_begin(StrBuf *out, RowPlace at, const char *pass, Str reason);

#endif
