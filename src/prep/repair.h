/* repair.h - mends what conversion, copying and mail did to a text, and says what was mended. Pure: the same text and options give the same
 * result on every thread. Each repair is one row of repair_rows[] in repair.c: a name for logs and switches, a default, what it may harm.
 *
 * Invariants: the result is valid UTF-8 whatever came in; a repaired text is not changed by repairing it again with the same options; a text
 * that needs nothing is copied as it is. Text between ``` or ~~~ fences keeps its spaces, entities and tags (its mojibake is mended).
 * Bounds: a text may have up to REPAIR_TEXT_MAX bytes; the result is at most three times as long (an ill-formed byte becomes U+FFFD), plus
 * what canonical composition needs. */
#ifndef HONE_PREP_REPAIR_H
#define HONE_PREP_REPAIR_H

#include "base/err.h"
#include "base/str.h"

#define REPAIR_TEXT_MAX   ((size_t)64 << 20)
#define REPAIR_ROUNDS_MAX 32 /* rounds over all rows until nothing changes; one mending can uncover another */

typedef enum {
    REPAIR_UTF8,          /* ill-formed bytes become U+FFFD */
    REPAIR_LINE_ENDINGS,  /* CR LF, CR, NEL, U+2028, U+2029 become LF */
    REPAIR_MOJIBAKE,      /* UTF-8 that was read in a one-byte code page, once or more times */
    REPAIR_CONTROLS,      /* C0 and C1 controls but tab and LF, and terminal escape sequences */
    REPAIR_HIDDEN,        /* what a page does not show: scripts, styles, comments, its head, in a text that is not about markup */
    REPAIR_TAGS,          /* leftover <br>, <p>, </span> ... in a text that is not about markup */
    REPAIR_ENTITIES,      /* &amp; &#8217; in a text that is not about markup; the tags are gone then */
    REPAIR_INVISIBLE,     /* zero-width characters, bidi controls, BOM; joiners stay where a script or an emoji needs them */
    REPAIR_SPACES,        /* no-break and other exotic spaces become a space */
    REPAIR_NFC,           /* canonical composition */
    REPAIR_QUOTES,        /* curly quotes become straight */
    REPAIR_MAIL_QUOTE,    /* "On ... wrote:" with the quoted text behind it, "-----Original Message-----" and all that follows */
    REPAIR_MAIL_SIGNATURE,/* "-- " and what follows, at the end */
    REPAIR_MAIL_DEVICE,   /* "Sent from my iPhone" */
    REPAIR_MAIL_CLOSING,  /* "Best regards," and the names behind it, at the end */
    REPAIR_MAIL_LEGAL,    /* a paragraph of legal disclaimer */
    REPAIR_MAIL_TRACKING, /* "View this email in your browser", "Unsubscribe" lines */
    REPAIR_TRAILING,      /* spaces at the ends of lines, blank lines at both ends of the text */
    REPAIR_BLANK_LINES,   /* three or more line breaks become two */
    REPAIR_KINDS,
} RepairKind;

typedef struct RepairRow {
    const char *name; /* for switches and logs; never changes */
    bool        on;   /* default */
    const char *does, *risk;
} RepairRow;
extern const RepairRow repair_rows[REPAIR_KINDS];

/* Zeroed: the defaults of repair_rows. */
typedef struct RepairOptions {
    uint32_t on, off;     /* bit n: RepairKind n is switched on / off against its default; `off` wins */
    bool     keep_markup; /* another text of the same record is about markup (see repair_about_markup): entities and tags stay */
} RepairOptions;

typedef struct RepairReport {
    uint32_t count[REPAIR_KINDS]; /* how many places each repair changed (lines, characters or blocks, whichever it works on) */
    uint32_t replacement;         /* U+FFFD in the result: what was lost before it came to us, or just now */
    bool     changed;
    bool     too_long;            /* more than REPAIR_TEXT_MAX bytes: left as it is but for REPAIR_UTF8 */
} RepairReport;

/* Appends the repaired text to out; returns whether it differs from `in`. */
bool repair_text(StrBuf *out, Str in, const RepairOptions *opt, RepairReport *report);
/* The text speaks of HTML, XML or the like, or is code in it: a caller sets keep_markup for all texts of the record. */
bool repair_about_markup(Str text);
/* The text is a page or a mail in HTML and not a text about it: it begins with a tag, perhaps behind words of a template or a form ("Subject: <html>..."), or has
 * scripts or styles between its tags. */
bool repair_is_page(Str text);
/* The text asks for a page or for code: an answer that is a page then stays one. */
bool repair_asks_for_page(Str text);
/* The kind called so, or -1. */
int  repair_kind_of(const char *name);

#endif
