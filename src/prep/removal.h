/* removal.h - rows that leave after the intake: the decision and the row as it was go behind what the intake wrote. A stage that was stopped leaves nothing
 * that the next start would believe: that one cuts both files back to where the intake ended. */
#ifndef HONE_REMOVAL_H
#define HONE_REMOVAL_H

#include "base/file.h"
#include "prep/prep_int.h"

typedef struct Removal {
    Prep   *p;
    FileMap rows;          /* work/rows.jsonl */
    _Atomic size_t *lines; /* that were read since the file's pages left memory */
    FileLog log_file, removed_file;
    StrBuf  log, removed;  /* lines for decisions.jsonl (others may be added to it) and removed.jsonl, on their way */
} Removal;

int  removal_open(Removal *r, Prep *p, Err *e);
/* Its JSON, without the line end. On any thread. Of the file little stays in memory, however many rows are read, in whatever order. */
Str  removal_line(const Removal *r, const RowEntry *row);
void removal_add(Removal *r, RowEntry *row, const char *pass, const char *reason, double score, Json *more); /* more: stolen */
int  removal_flush(Removal *r, bool all, Err *e);            /* lines to their files, when there are many or all: so memory stays bounded */
int  removal_close(Removal *r, Err *e);                      /* puts both behind the files; releases */
void removal_release(Removal *r);

#endif
