/* table_int.h - what table.c (the stream), table_kinds.c (the kinds) and table_json.c (streamed JSON) share. */
#ifndef HONE_TABLE_INT_H
#define HONE_TABLE_INT_H

#include "base/mem.h"
#include "base/vec.h"
#include "formats/columnar.h"
#include "formats/table.h"

#include <stdlib.h>

/* Why an item is no row. BAD_TEXT: the sentence stands in item->text. */
typedef enum {
    BAD_NONE, BAD_TEXT, BAD_LONG, BAD_OPEN_QUOTE, BAD_OPEN_QUOTE_LONG, BAD_BEHIND_QUOTE, BAD_JSON_COMMA, BAD_JSON_NO_ROW, BAD_JSON_END, BAD_JSON_TAIL, BAD_COUNT
} TableBad;

/* What a kind found at the beginning of the unread text. */
typedef struct TableCut {
    enum { CUT_ROW, CUT_SKIP, CUT_MORE, CUT_END } kind; /* a row (or a bad one); nothing to tell; give me more text; the rest of the member is of no use */
    size_t   used;
    Str      text;
    TableBad bad;
    int64_t  lines;          /* line ends within used */
    int64_t  bad_lines;      /* line ends before what is wrong */
    bool     cut_line;       /* CUT_ROW, too long: what comes up to the next line end belongs to it */
    bool     cut, resumed;   /* of a bad one: as in TableItem */
    int64_t  until;          /* line ends before its last line, where it took more than one line on; 0: it did not */
    bool     whole_member;   /* the badness is the member's: row 0 */
} TableCut;

/* One value of JSON, walked over block by block. */
typedef struct JsonWalk { int64_t depth; bool begun, in_string, escaped, scalar; } JsonWalk;
/* Where the value at s.p[from] ends, and *done; s.n when it goes on. Only brackets and strings are looked at: json_parse judges the rest. */
size_t json_walk(JsonWalk *w, Str s, size_t from, bool *done);

typedef enum { JSON_AT_START, JSON_AT_KEY, JSON_AT_VALUE, JSON_SKIP_VALUE, JSON_AFTER_VALUE, JSON_AT_ROW, JSON_IN_ROW, JSON_SKIP_ROW, JSON_AFTER_ROW, JSON_AT_TAIL } JsonState;

typedef struct TableJson {
    JsonState state;
    JsonWalk  walk;
    size_t    walked;        /* bytes of the unread text that walk has seen */
    bool      in_object;     /* the array stands in an object */
    bool      found;         /* an array of rows was met */
    bool      alone;         /* the row is an object at the top, not in an array */
    bool      wanted;        /* the key just read is the one asked for */
    bool      behind_comma;
} TableJson;

typedef struct KindOps KindOps;

struct Table {
    char         *path;
    Source       *source;
    TableOptions  opt;
    char         *encoding, *array, *spool;        /* owned copies of opt's strings */
    size_t        row_max;

    Columnar     *columnar;                        /* of a Parquet or Arrow member; then there is no decoder */
    Decoder      *decoder;                         /* NULL between members */
    char         *window;                          /* unread text in [pos, end) */
    size_t        pos, end, cap;
    uint64_t      base;                            /* offset of window[0] */
    bool          last;                            /* no more text follows in this member */
    bool          cut_line;                        /* pass over text up to the next line end */
    Err           failed;                          /* reading failed behind the window's end */

    VEC(TableMember *) members;
    TableMember  *member;                          /* the current one */
    const KindOps *ops;
    int64_t       row, line;                       /* of the next row; of window[pos] */
    uint64_t      start;                           /* offset of the member's first byte */
    uint64_t      began;                           /* bytes of the file that were read when the member began */
    char          line_end;
    StrBuf        why;                             /* the sentence of a BAD_TEXT */

    bool          columns_known;
    VEC(char *)   columns;
    size_t        resume;                          /* budget of csv_resume: grows with what is cut */
    TableJson     json;
};

struct KindOps {
    TableKind   kind;
    const char *name;
    const char *endings;                           /* of file names, with spaces around each */
    TableCut  (*cut)(Table *t, Str s, bool last);  /* s.n > 0, or last. Must use up text; or give CUT_MORE, but not when last or s.n > t->row_max; or CUT_END, and so
                                                      when nothing is left */
    int       (*parse)(const Table *t, const TableItem *item, Json **row, Err *e);
};

const KindOps *table_ops(TableKind kind);
/* The kind of the member whose text begins with `sample`, or the sentence why it is none in t->why. */
const KindOps *table_find_kind(Table *t, Str sample, bool whole);
TableCut table_cut_json(Table *t, Str s, bool last);
void table_keep_raw(TableCut *c, Str s, size_t n); /* text of a bad row, of which n bytes are known */
TableCut table_bad_member(Table *t, const char *fmt, ...) PRINTF_LIKE(2, 3); /* CUT_END with a sentence about the whole member */
int64_t table_lines(const Table *t, Str s, size_t n);         /* line ends in the first n bytes */
void table_forget_columns(Table *t);
int table_say(const TableItem *item, const TableMember *m, int64_t line, Err *e, const char *fmt, ...) PRINTF_LIKE(5, 6); /* "FILE, line 7, row 6: ..." */

#endif
