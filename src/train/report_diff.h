/* report_diff.h - which words of an answer are not in the expected one, and the other way round, as marked HTML. */
#ifndef HONE_REPORT_DIFF_H
#define HONE_REPORT_DIFF_H

#include "base/str.h"

#define DIFF_WORDS 1024 /* words compared on each side; what follows is written without marks */

/* Appends both texts, escaped; words outside a longest common subsequence stand in <mark class="extra"> (got) and <mark class="missing"> (want).
 * Either output may be NULL. A word is a run of letters and digits; a mark of punctuation or an ideograph stands for itself; spaces are
 * not compared. */
void diff_html(StrBuf *got_html, StrBuf *want_html, Str got, Str want);

#endif
