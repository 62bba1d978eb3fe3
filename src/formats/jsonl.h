/* jsonl.h - one JSON object per line, read by mapping. Lines end with \n or \r\n; a last line without an end counts; blank lines are
 * skipped but counted, so that line numbers are the editor's. A byte order mark at the start is passed over. A bad line is ERR_INPUT with file,
 * line and column; a line may have at most JSONL_LINE_MAX bytes. */
#ifndef HONE_JSONL_H
#define HONE_JSONL_H

#include "base/file.h"
#include "base/json.h"

#define JSONL_LINE_MAX ((size_t)64 << 20)

typedef struct Jsonl {
    FileMap map;
    char   *path;      /* what errors call the source */
    size_t  off;       /* where the next line starts */
    int64_t line;      /* number of the line read last, from 1 */
    bool    borrowed;  /* map is the caller's memory */
} Jsonl;

int  jsonl_open(Jsonl *r, const char *path, Err *e);
void jsonl_open_memory(Jsonl *r, Str text, const char *name);   /* borrowed text */
void jsonl_open_part(Jsonl *r, Str text, const char *name, int64_t line); /* text from the middle of a file: whole lines behind its first `line` ones */
/* 1: a row (owned by the caller, an object), 0: end, <0: error; the next call goes on behind the bad line. */
int  jsonl_next(Jsonl *r, Json **row, Err *e);
void jsonl_close(Jsonl *r);

#endif
