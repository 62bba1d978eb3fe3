/* repair_int.h - what the files of repair share: the shape of one repair, and walking a text by lines with its code fences known.
 * A repair appends the whole new text to out and returns how many places it changed; when it returns 0 its output is thrown away. */
#ifndef HONE_PREP_REPAIR_INT_H
#define HONE_PREP_REPAIR_INT_H

#include "base/utf8.h"
#include "prep/repair.h"

/* What a text holds, found in one pass over its bytes, so that a repair that has nothing to do is not asked. */
enum {
    HOLDS_HIGH    = 1 << 0, /* bytes from 0x80 */
    HOLDS_CONTROL = 1 << 1,
    HOLDS_CR      = 1 << 2,
    HOLDS_AMP     = 1 << 3,
    HOLDS_LESS    = 1 << 4,
    HOLDS_LINE    = 1 << 5, /* a line break */
    HOLDS_EDGE    = 1 << 6, /* a space or tab before a line break or the end; a line break first or last */
    HOLDS_GAP     = 1 << 7, /* three line breaks, perhaps with spaces between */
    HOLDS_ALWAYS  = 1 << 8,
};

typedef size_t RepairFn(StrBuf *out, Str in);
RepairFn repair_line_endings, repair_mojibake, repair_controls, repair_hidden, repair_entities, repair_tags, repair_invisible, repair_spaces, repair_nfc, repair_quotes,
    repair_mail_quote, repair_mail_signature, repair_mail_device, repair_mail_closing, repair_mail_legal, repair_mail_tracking, repair_trailing,
    repair_blank_lines;

/* Lines without their LF. Start with zeros; `code` tells of the line just given: it is a fence or stands between two. A fence that is never
 * closed counts to the end. */
typedef struct RepairLines {
    size_t at;      /* where the next line starts */
    bool   code, inside;
    char   mark;
    size_t width;
    bool   ended;   /* the line was ended by an LF */
} RepairLines;
bool repair_next_line(RepairLines *l, Str text, Str *line);
Str  repair_trim(Str s); /* without spaces and tabs at both ends */
bool repair_is_letter(Str text); /* it begins with a salutation, or a closing stands in it */

#endif
