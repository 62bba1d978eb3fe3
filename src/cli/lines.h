/* lines.h - standard input line by line, for commands that are filters. A line is given without its end, is valid UTF-8 and has at most
 * LINES_MAX bytes; what is wrong is said with the line's number. */
#ifndef HONE_LINES_H
#define HONE_LINES_H

#include <stdio.h>

#include "base/json.h"

#define LINES_MAX ((size_t)64 << 20)

typedef struct Lines {
    FILE   *file;
    int64_t number;    /* of the line read last, from 1 */
    StrBuf  text;
    char    where[48]; /* "standard input, line 3" */
} Lines;

void lines_open(Lines *l);
int  lines_next(Lines *l, Str *line, Err *e); /* 1: a line, valid until the next call; 0: end; <0: error. Go on behind it if you like */
int  lines_json(const Lines *l, Json **out, Err *e); /* the line read last as JSON, owned by the caller */
void lines_close(Lines *l);

#endif
