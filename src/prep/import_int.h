/* import_int.h - what the shapes of import.c and import_tickets.c share: a row on its way from a foreign form to ours. */
#ifndef HONE_IMPORT_INT_H
#define HONE_IMPORT_INT_H

#include "base/vec.h"
#include "prep/import.h"
#include "prep/mapping.h"

typedef struct RoleName { char *from; const char *to; } RoleName;

struct Import {
    Mapping      *system, *prompt, *completion, *text;
    VEC(RoleName) role; /* the user's names */
};

typedef struct ImportJob {
    const Import *im;
    Json         *row;  /* the foreign row; values leave it as they are used */
    Record       *out;
    StrBuf       *note;
    Err          *e;
} ImportJob;

void  import_note(ImportJob *j, const char *text);            /* for the log */
bool  import_has(const Json *row, const char *key);           /* null counts as absent */
Json *import_take(Json *row, const char *key);                /* the value leaves the row; NULL when it is absent */
Json *import_message(const char *role, Str content);
int   import_chat(ImportJob *j, Json *messages);              /* the row becomes REC_CHAT of these messages, which are stolen and checked */

/* ---- import_tickets.c: one ticket with its comments to one conversation ---- */
bool import_is_zendesk(const Json *row);
int  import_zendesk(ImportJob *j);
bool import_is_jira(const Json *row);
int  import_jira(ImportJob *j);
bool import_is_jira_csv(const Json *row);
int  import_jira_csv(ImportJob *j);

#endif
