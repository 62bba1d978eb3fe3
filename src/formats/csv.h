/* csv.h - comma-separated values by RFC 4180 and the dialects seen in the wild: cutting a text into records, a record into fields, finding the dialect,
 * and writing rows that read back the same.
 *
 * A record ends at a line end (\n, \r\n, or \r in files that have only those) outside of quotes. A quote opens a quoted field only at the field's start;
 * elsewhere it is an ordinary character. Text between a closing quote and the next delimiter is an error, because it means a quote inside the field was
 * not doubled. An escape character takes the next character as it is.
 * Bounds: a field CSV_FIELD_MAX bytes, a record CSV_ROW_MAX bytes, CSV_COLUMNS_MAX fields. */
#ifndef HONE_CSV_H
#define HONE_CSV_H

#include "base/err.h"
#include "base/str.h"

#define CSV_FIELD_MAX   ((size_t)64 << 20)
#define CSV_ROW_MAX     ((size_t)128 << 20)
#define CSV_COLUMNS_MAX 65536
#define CSV_RESUME_MAX  ((size_t)1 << 20)

typedef enum { CSV_FIND, CSV_YES, CSV_NO } CsvChoice;

typedef struct CsvDialect {
    char delimiter;          /* , ; tab | or any one character but a line end */
    char quote;              /* " or ' ; 0: nothing is quoted */
    char escape;             /* \ ; 0: none */
    bool doubled;            /* a quote inside a quoted field is written twice */
    bool skip_space;         /* spaces behind a delimiter are not part of the field */
    char line_end;           /* '\n' (a '\r' before it belongs to it) or '\r' */
    bool header;             /* the first record holds the names of the columns */
    bool header_sure;        /* false: a guess; `header` was neither given nor plain from the content */
} CsvDialect;

/* What the caller knows; zero: find it in the content. */
typedef struct CsvOptions {
    char      delimiter;
    char      quote;
    CsvChoice quoting;       /* CSV_NO: quotes are ordinary characters */
    CsvChoice backslash;     /* CSV_YES: \ escapes, CSV_NO: it is an ordinary character */
    CsvChoice header;
} CsvOptions;

/* The dialect of a text whose beginning is `sample` (UTF-8 without byte order mark); whole: the sample is all of it. opt may be NULL. */
void csv_find_dialect(CsvDialect *d, Str sample, bool whole, char line_end, const CsvOptions *opt);
/* Whether every record of the sample has the same number of fields, at least two. */
bool csv_is_regular(const CsvDialect *d, Str sample, bool whole);

typedef enum {
    CSV_RECORD,              /* a whole record */
    CSV_MORE,                /* the text ends before the record does */
    CSV_OPEN_QUOTE,          /* last text: a quote is never closed */
    CSV_BEHIND_QUOTE,        /* text behind a closing quote */
    CSV_TOO_LONG,            /* more than CSV_ROW_MAX bytes, outside of quotes */
    CSV_OPEN_TOO_LONG,       /* more than CSV_ROW_MAX bytes, and a quote still open */
} CsvCutKind;

typedef struct CsvCut {
    CsvCutKind kind;
    size_t     n;            /* bytes of the record without its line end */
    size_t     used;         /* bytes up to where reading goes on: behind the record, or behind the line where the quote opened that makes it bad */
    size_t     lines;        /* line ends within `used` */
    size_t     bad_lines;    /* line ends before the quote that makes it bad */
    size_t     seen;         /* of a bad one: bytes that were looked at to know it */
    bool       resumed;      /* csv_resume found where the next record begins */
} CsvCut;

/* Cuts the first record of text; last: no more text follows. row_max: 0 for CSV_ROW_MAX. */
CsvCut csv_cut(const CsvDialect *d, Str text, bool last, size_t row_max);

/* Behind a record that a quote makes bad (CSV_OPEN_QUOTE, CSV_BEHIND_QUOTE, CSV_OPEN_TOO_LONG): a field of several lines leaves lines that are no records, so the bad one
 * is taken to end before the next line from which a record of `columns` fields (0: of any number) can be cut. In tables of two or three columns, where a sentence
 * with a comma looks like one, what follows that record has to be one, too. Sets n, used, lines and resumed of *bad; none within CSV_RESUME_MAX bytes: all that was
 * looked at belongs to it. *budget: bytes that may be looked at in vain; it gets smaller by those that were, and when none are left the lines so far belong to the record. A
 * caller who lets it grow with the text has the whole done in time that does, too. text, last, row_max: as csv_cut had them. False: more text is needed (never when
 * last or text.n > row_max). */
bool csv_resume(const CsvDialect *d, Str text, bool last, size_t row_max, size_t columns, size_t *budget, CsvCut *bad);

typedef struct CsvFields {
    Str   *field;            /* borrowed from the record, or from text below */
    size_t n, cap;
    size_t quoted;           /* how many of them were in quotes */
    char  *text;             /* unescaped fields */
    size_t text_cap;
} CsvFields; /* zeroed is valid; reused from row to row */

/* Splits one whole record. ERR_INPUT with a clause ("column 3 has ...") when a bound is passed or the record is none. */
int  csv_split(CsvFields *f, const CsvDialect *d, Str record, Err *e);
void csv_fields_release(CsvFields *f);

/* Appends one record and its line end (\r\n by RFC 4180 unless the dialect ends lines with \r; lf: \n). Quotes where reading back needs it. The dialect must
 * have a quote with `doubled` or `escape`. */
void csv_write_row(StrBuf *out, const CsvDialect *d, bool lf, const Str *fields, size_t n);

#endif
