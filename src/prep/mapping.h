/* mapping.h - columns of a foreign row to texts, by a template: "Ticket {id}: {subject}" with the row's values in place of the braces;
 * "{{" and "}}" stand for single braces. Strings are taken as they are, numbers and booleans as JSON writes them, null as nothing; a path
 * "{customer.name}" goes into objects. An error about a column that is not there names one that is, if it is nearly the same. */
#ifndef HONE_MAPPING_H
#define HONE_MAPPING_H

#include "base/json.h"

typedef struct Mapping Mapping;
int  mapping_new(Mapping **m, const char *template, const char *option, Err *e); /* option: what errors call it, "--prompt"; ERR_ARG with the place of the fault */
void mapping_free(Mapping *m);
int  mapping_apply(const Mapping *m, const Json *row, StrBuf *out, Err *e);      /* appends; ERR_INPUT when the row lacks a column: lists the ones it has */
bool mapping_fits(const Mapping *m, const Json *row);                             /* the row has every column asked for */
bool mapping_uses(const Mapping *m, Str column);                                /* so that what became text is not kept as meta, too */
/* The columns asked for that hold nothing in this row (null or white space), each once as `the column "body" of --prompt is empty` and a zero byte; appends. */
void mapping_gaps(const Mapping *m, const Json *row, StrBuf *out);
/* Whether two names are the same but for case, spaces, dashes, underscores and the like: "Ticket-ID", "ticket_id". UTF-8. */
bool names_alike(Str a, Str b);

#endif
