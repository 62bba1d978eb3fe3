/* convert.h - a canonical record to the shapes of import.h, so that a prepared data set can go to other tools, or back where it came from.
 * What a shape cannot say is refused by name, never dropped: ERR_INPUT "... has tool calls, which the alpaca shape cannot express".
 * Invariant: import_row of a converted row gives the same canonical row ("id" stands in "meta" then).
 * To add a shape: a row in `shapes`. */
#ifndef HONE_CONVERT_H
#define HONE_CONVERT_H

#include "prep/record.h"

#define CONVERT_CHOICES "canonical|messages|pair|alpaca|sharegpt|preference|kto|text"
typedef enum { CONVERT_CANONICAL, CONVERT_MESSAGES, CONVERT_PAIR, CONVERT_ALPACA, CONVERT_SHAREGPT, CONVERT_PREFERENCE, CONVERT_KTO, CONVERT_TEXT } ConvertShape;

int convert_row(const Record *r, ConvertShape to, Json **out, Err *e); /* owned */

#endif
