/* table.h - rows of data out of any file: JSONL, JSON, CSV, TSV, plain text in any encoding (encoding.h), Parquet and Arrow (columnar.h), packed or not (source.h),
 * as JSON objects.
 *
 * In two steps, so that the costly one runs on all cores: table_read cuts raw rows out of the stream, cheaply and in order; table_parse turns one of them into an
 * object and may be called from any number of threads at once, between two calls of table_read.
 *
 *   Table *t;  TableItem items[256];  size_t n;
 *   table_open(&t, path, &(TableOptions){0}, e);
 *   while (!(rc = table_read(t, items, 256, 4 << 20, &n, e)) && n)
 *       for (i < n)  rc = table_parse(t, &items[i], &row, e);      // ERR_INPUT: this row is bad; the others go on
 *
 * Each row has its place: member, row and line number from 1 (as an editor counts; the header of a CSV file is no row), and byte offset. A bad row is
 * never skipped in silence: it has an item with its text, and table_parse says what is wrong with it. What is wrong with a whole member of an archive comes the same way,
 * with row 0. What is wrong with the file (damaged, a bound passed) ends the reading: table_read gives the rows before it, then the error, then the end.
 *
 * Bounds: a row TABLE_ROW_MAX bytes of UTF-8, and TABLE_VALUES_MAX values of JSON, each of which takes some hundred bytes of memory; nesting and duplicate keys as base/json.h; columns and fields as csv.h; unpacking as source.h. Memory: one
 * window of max_bytes or one row, whichever is larger, doubled at most.
 * Of Parquet and Arrow files table_read gives places without a text, within one row group at a time; a line is a row there. Memory: a decoded group. Packed
 * ones are unpacked into a nameless file in the folder `spool`, within the bounds of unpacking.
 * To add a kind of file: one row in kinds[] of table_kinds.c. */
#ifndef HONE_TABLE_H
#define HONE_TABLE_H

#include "base/json.h"
#include "formats/csv.h"
#include "formats/encoding.h"
#include "formats/source.h"

#define TABLE_ROW_MAX    ((size_t)128 << 20)
#define TABLE_VALUES_MAX ((size_t)4 << 20)
#define TABLE_RAW_MAX    ((size_t)64 << 10)

typedef enum {
    TABLE_AUTO,              /* found from the content; the ending of the name decides where the content leaves it open */
    TABLE_JSONL,             /* one object per line */
    TABLE_JSON,              /* an array of objects, or an object with one array of objects in it */
    TABLE_CSV,
    TABLE_TSV,               /* CSV whose delimiter is the tab */
    TABLE_TEXT,              /* {"text": ...}: one row per file, or per paragraph */
    TABLE_PARQUET, TABLE_ARROW, /* found from the content alone */
} TableKind;

const char *table_kind_name(TableKind kind);                 /* "jsonl", ... */
bool        table_kind_of(const char *name, TableKind *kind); /* the name as above, or an ending such as "tsv", "ndjson", "txt" */

typedef struct TableOptions { /* zeroed: find everything out */
    TableKind    kind;
    const char  *encoding;   /* any name iconv knows */
    CsvOptions   csv;
    const char  *array;      /* JSON: the key of the array that holds the rows, at the top level */
    bool         paragraphs; /* text: one row per paragraph (blank lines between) */
    SourceLimits limits;
    const char  *spool;      /* folder for what has to be unpacked to disk; NULL: $TMPDIR or /tmp */
    size_t       row_max;    /* 0: TABLE_ROW_MAX; may only be smaller */
} TableOptions;

/* Where a row stands. Plain numbers: may be kept in a file. */
typedef struct TablePlace {
    uint32_t member;         /* index, from 0 */
    uint64_t offset;         /* of the row's first byte in the member's text as UTF-8 */
    int64_t  row, line;      /* from 1 */
} TablePlace;

typedef struct TableItem {
    Str        text;         /* the raw row; borrowed until the next table_read or table_close */
    TablePlace at;
    uint32_t   replaced;     /* U+FFFD put into this row for bytes that fit no encoding */
    int        bad;          /* for table_parse: 0, or why there is no row here (text is then what stands there, its first TABLE_RAW_MAX bytes at most) ... */
    int64_t    bad_line;     /* ... and in which line that shows */
    bool       cut;          /* more stands there than text holds */
    int64_t    until;        /* of a bad row of CSV that took further lines: the last of them; 0: it took none */
    bool       resumed;      /* ... and behind them a whole row begins */
} TableItem;

/* One file of rows: the file itself, or a member of an archive. Known once its first row has been read. */
typedef struct TableMember {
    char          *name;     /* in the archive; "" where the file is no archive */
    char          *where;    /* "FILE" or "FILE: MEMBER" */
    TableKind      kind;
    int64_t        rows;     /* so far, bad ones included */
    EncodingReport encoding; /* so far */
    int64_t        misread;  /* rows so far with lines of UTF-8 that were read in the encoding that was given */
    CsvDialect     csv;      /* CSV and TSV */
} TableMember;

typedef struct Table Table;

int  table_open(Table **t, const char *path, const TableOptions *opt, Err *e);                       /* opt may be NULL; its strings are copied */
int  table_open_memory(Table **t, Str bytes, const char *name, const TableOptions *opt, Err *e);     /* bytes borrowed */
/* Up to max_items (>= 1) rows; after max_bytes of rows no further is begun. *n == 0: the end. */
int  table_read(Table *t, TableItem *items, size_t max_items, size_t max_bytes, size_t *n, Err *e);
/* One item to an owned object. ERR_INPUT "FILE, line 7, row 6: ..." when the row is bad. Thread-safe. */
int  table_parse(const Table *t, const TableItem *item, Json **row, Err *e);
TablePlace table_place(const Table *t);                       /* of the row that table_read gives next */
size_t             table_members(const Table *t);             /* met so far */
const TableMember *table_member(const Table *t, size_t i);    /* stays valid until table_close */
size_t             table_columns(const Table *t, const char *const **names); /* of the current member, when it is CSV or TSV; else 0 */
void table_progress(const Table *t, uint64_t *done, uint64_t *total); /* bytes of the file as it lies on disk */
void table_close(Table *t);                                   /* NULL is fine */

#endif
