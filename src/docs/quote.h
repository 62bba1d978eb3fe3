/* quote.h - how mail programs introduce the mail before, in the languages that they write it in: attributions ("Am 3. Mai 2024 um 10:12 schrieb Ann:"),
 * lines behind which everything is an earlier message ("-----Original Message-----"), and the head that Outlook copies ("Von: ... Gesendet: ... An: ...
 * Betreff: ..."). Pure functions of lines; a line is given without its end and without spaces around it. Bounds: a line of more than QUOTE_LINE_MAX bytes is
 * none of these; a head is looked for in QUOTE_HEAD_LINES lines.
 * To add a language: a row in forms[], marks[] and heads[] of quote.c. */
#ifndef HONE_QUOTE_H
#define HONE_QUOTE_H

#include "base/str.h"

#define QUOTE_LINE_MAX   240 /* mail programs wrap at 78, but names and addresses are long */
#define QUOTE_HEAD_LINES 8   /* a list of recipients may take a few */

bool quote_attribution(Str line);                 /* says who wrote when; what it introduces has to follow */
bool quote_attribution_sure(Str line);            /* with a date and an address or a time: no other sentence looks so */
bool quote_mark(Str line);                        /* "-----Urspruengliche Nachricht-----", "Begin forwarded message:" */
/* The head of a copied message begins at text.p[at]. sure: with sender, time and subject, as nobody writes them by hand; else two lines are enough. */
bool quote_head(Str text, size_t at, bool sure);

#endif
