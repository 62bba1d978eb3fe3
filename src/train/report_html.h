/* report_html.h - what every part of report.html writes with: text that cannot break out of its place, and numbers as people read them.
 * Invariant: nothing foreign reaches the page except through html_text. Plain functions on a StrBuf; to add a format, add a function. */
#ifndef HONE_REPORT_HTML_H
#define HONE_REPORT_HTML_H

#include "base/str.h"

extern const char report_style[];               /* the page's CSS (report_style.c) */

/* Escaped for element content and for quoted attributes. Control characters and those that turn or hide text (bidirectional marks, zero width, line
 * separators) are shown as [U+202E]; tab and line feed stay. Invalid UTF-8 becomes U+FFFD. */
void html_text(StrBuf *out, Str s);
void html_textz(StrBuf *out, const char *z);

/* A value that is not finite is written as a dash. */
void html_count(StrBuf *out, double v);         /* 1,234,567 */
void html_loss(StrBuf *out, double v);          /* 1.870; four significant digits where that is too coarse */
void html_short(StrBuf *out, double v);         /* three significant digits, no exponent between 1e-4 and 1e6 */
void html_epochs(StrBuf *out, double v);        /* 2.40 */
void html_change(StrBuf *out, double a, double b); /* the share by which b differs from a: -19.0 %; nothing when there is no such share */
void html_seconds(StrBuf *out, double seconds); /* 1 h 12 min */

#endif
