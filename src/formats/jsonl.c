/* jsonl.c - walks a mapped file line by line and parses one row at a time, so a data set may be larger than the memory.
 * Invariant: off and line stand behind the last line looked at, good or bad; a caller that counts bad lines just goes on. */
#include "formats/jsonl.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdlib.h>

static void start(Jsonl *r, const char *name)
{
    static const char bom[] = "\xef\xbb\xbf";
    r->path = mem_strdup(name);
    if (str_starts((Str){ (const char *)r->map.p, r->map.n }, bom))
        r->off = sizeof bom - 1;
}

int jsonl_open(Jsonl *r, const char *path, Err *e)
{
    *r = (Jsonl){0};
    int rc = file_map(&r->map, path, e);
    if (!rc)
        start(r, path);
    return rc;
}

void jsonl_open_memory(Jsonl *r, Str text, const char *name)
{
    *r = (Jsonl){ .map = { (const uint8_t *)text.p, text.n }, .borrowed = true };
    start(r, name);
}

void jsonl_open_part(Jsonl *r, Str text, const char *name, int64_t line)
{
    *r = (Jsonl){ .map = { (const uint8_t *)text.p, text.n }, .path = mem_strdup(name), .line = line, .borrowed = true };
}

/* The next line without its \n (a \r before it is white space to JSON); false at the end of the file. */
static bool take_line(Jsonl *r, Str *line)
{
    size_t left = r->map.n - r->off;
    if (!left)
        return false;
    const char *p = (const char *)r->map.p + r->off, *nl = memchr(p, '\n', left);
    size_t n = nl ? (size_t)(nl - p) : left;
    r->off += nl ? n + 1 : n;
    r->line++;
    *line = (Str){ p, n };
    return true;
}

static bool is_blank(Str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != ' ' && s.p[i] != '\t' && s.p[i] != '\r')
            return false;
    return true;
}

/* A row is one line, so json_parse's own "line 1" gives way to the line of the file. */
static int parse_row(Json **row, Str line, const Jsonl *r, Err *e)
{
    static const char first[] = ", line 1, ";
    Err inner = {0};
    int rc = json_parse(row, line, "", &inner);
    if (rc)
        return err_set(e, rc, "%s, line %" PRId64 ", %s", r->path, r->line,
                       inner.text + (str_starts(str_of(inner.text), first) ? sizeof first - 1 : 0));
    if (json_kind(*row) != JSON_OBJECT) {
        rc = err_set(e, ERR_INPUT, "%s, line %" PRId64 ", column 1: each line must be one JSON object like {\"text\": ...}, this is %s", r->path,
                     r->line, json_kind_name(*row));
        json_free(*row);
        *row = NULL;
    }
    return rc;
}

int jsonl_next(Jsonl *r, Json **row, Err *e)
{
    Str line;
    size_t bad;
    *row = NULL;
    do {
        if (!take_line(r, &line))
            return 0;
    } while (is_blank(line));
    if (line.n > JSONL_LINE_MAX)
        return err_set(e, ERR_INPUT, "%s, line %" PRId64 ": the line has %zu bytes, at most %zu MiB are allowed; one line must hold one JSON object",
                       r->path, r->line, line.n, JSONL_LINE_MAX >> 20);
    if (!utf8_valid(line, &bad))
        return err_set(e, ERR_INPUT, "%s, line %" PRId64 ", byte %zu: the byte 0x%02x is not valid UTF-8 text; save the file as UTF-8", r->path,
                       r->line, bad + 1, (unsigned)(unsigned char)line.p[bad]);
    int rc = parse_row(row, line, r, e);
    return rc ? rc : 1;
}

void jsonl_close(Jsonl *r)
{
    if (!r->borrowed)
        file_unmap(&r->map);
    free(r->path);
    *r = (Jsonl){0};
}
