/* asked.h - rows of a part, as JSON in memory where a model is asked about them, and that model: what ranking and the search for rows of one meaning begin with. */
#ifndef HONE_ASKED_H
#define HONE_ASKED_H

#include "prep/removal.h"
#include "prep/score.h"

typedef struct Asked {
    Prep           *p;
    Removal         out;
    VEC(uint32_t)   number; /* of the conversations and pairs of the part, among Prep.rows */
    VEC(Json *)     row;    /* each of them, if asked for; owned */
    Backend        *be;     /* after asked_model */
    Model          *model;
    Tok            *tok;
} Asked;

int       asked_open(Asked *a, Prep *p, Part part, bool texts, Err *e); /* PART_REMOVED: no rows; after an error asked_close is still due */
int       asked_model(Asked *a, Err *e);                     /* --model */
ScoreRows asked_rows(const Asked *a);
const RowEntry *asked_entry(const Asked *a, size_t i);       /* of the i-th */
int       asked_close(Asked *a, int rc, Err *e);             /* rc 0: what the stage decided is put down; else it is forgotten and rc comes back */

/* For ScoreHooks with the Prep as user. */
void asked_tell(void *prep, const char *stage, size_t done, size_t of);
void asked_tell_embed(void *prep, size_t done, size_t of);
bool asked_stop(void *prep);

#endif
