/* removal.h - rows that leave after the intake: the decision and the row as it was go behind what the intake wrote. A stage that was stopped leaves nothing
 * that the next start would believe: that one cuts both files back to where the intake ended. */
#ifndef HONE_REMOVAL_H
#define HONE_REMOVAL_H

#include "base/file.h"
#include "prep/prep_int.h"

typedef struct Removal {
    Prep   *p;
    View    rows;          /* work/rows.jsonl */
    FileLog log_file, removed_file;
    StrBuf  log, removed;  /* lines for decisions.jsonl (others may be added to it) and removed.jsonl, on their way */
} Removal;

int  removal_open(Removal *r, Prep *p, Err *e);
Str  removal_line(const Removal *r, size_t row);             /* its JSON, without the line end; valid until the end. On any thread */
RowPlace removal_place(const Removal *r, size_t row);
void removal_add(Removal *r, size_t row, const char *pass, const char *reason, double score, Json *more); /* more: stolen */
int  removal_flush(Removal *r, bool all, Err *e);            /* lines to their files, when there are many or all: so memory stays bounded */
int  removal_close(Removal *r, Err *e);                      /* puts both behind the files; releases */
void removal_release(Removal *r);

#endif
