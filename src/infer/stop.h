/* stop.h - texts that end an answer. They are found across token borders: what may be the beginning of one is held back until it is clear,
 * and the stop text itself is never shown.
 * Main structs: StopList, what to look for; StopScan, one answer on its way through. */
#ifndef HONE_STOP_H
#define HONE_STOP_H

#include "base/err.h"
#include "base/str.h"

#define STOP_LIST_MAX 16

typedef struct StopList {
    char  *text[STOP_LIST_MAX];
    size_t n;
} StopList; /* zeroed is empty */

/* Texts joined by commas; \, \n \t \\ are a comma, a line's end, a tab and a backslash. Empty texts are ERR_ARG: they would end every answer. */
int  stop_list_parse(StopList *l, const char *texts, Err *e);
void stop_list_release(StopList *l);

typedef struct StopScan {
    const StopList *list; /* NULL or empty: everything passes */
    StrBuf          held;
    bool            hit;  /* a stop text was complete; the rest of the answer is not wanted */
} StopScan;

void stop_scan_push(StopScan *s, Str text, StrBuf *out); /* appends what is certain to be before a stop text */
void stop_scan_end(StopScan *s, StrBuf *out);            /* nothing follows: what was held back is ordinary text */
void stop_scan_release(StopScan *s);

#endif
