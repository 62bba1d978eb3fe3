/* removal.c - see removal.h. */
#include "prep/removal.h"

#include <stdlib.h>

int removal_open(Removal *r, Prep *p, Err *e)
{
    char *path = prep_path(p, "work/rows.jsonl");
    *r = (Removal){ .p = p };
    int rc = file_map(&r->rows, path, e);
    free(path);
    return rc;
}

Str removal_line(const Removal *r, const RowEntry *row)
{
    BUG_ON(row->off + row->bytes > r->rows.n);
    return (Str){ (const char *)r->rows.p + row->off, (size_t)row->bytes - 1 };
}

void removal_add(Removal *r, RowEntry *row, const char *pass, const char *reason, double score, Json *more)
{
    RowPlace at = { row->id, r->p->input.p[row->source].path, row->line };
    Str      line = removal_line(r, row);
    decision_add(&r->log, at, pass, ACTION_REMOVE, reason, score, more);
    strbuf_addf(&r->removed, "{\"id\":%lld,\"pass\":", (long long)row->id);
    json_write_string(&r->removed, str_of(pass));
    strbuf_addz(&r->removed, ",\"reason\":");
    json_write_string(&r->removed, str_of(reason));
    strbuf_addz(&r->removed, ",\"file\":");
    json_write_string(&r->removed, str_of(at.file));
    strbuf_addf(&r->removed, ",\"line\":%lld,\"row\":", (long long)row->line);
    strbuf_add(&r->removed, line.p, line.n);
    strbuf_addz(&r->removed, "}\n");
    row->part = PART_REMOVED;
}

static int put_behind(const Prep *p, const char *name, const StrBuf *text, Err *e)
{
    char    *path = prep_path(p, name);
    uint64_t size = 0;
    FileLog  f = { .fd = -1 };
    int      rc = file_size(path, &size, e);
    if (!rc)
        rc = file_log_open(&f, path, size, e);
    if (!rc)
        rc = file_log_add(&f, text->p, text->n, e);
    if (!rc)
        rc = file_log_sync(&f, e);
    file_log_close(&f);
    free(path);
    return rc;
}

int removal_close(Removal *r, Err *e)
{
    int rc = put_behind(r->p, "decisions.jsonl", &r->log, e);
    if (!rc)
        rc = put_behind(r->p, "removed.jsonl", &r->removed, e);
    removal_release(r);
    return rc;
}

void removal_release(Removal *r)
{
    file_unmap(&r->rows);
    strbuf_release(&r->log);
    strbuf_release(&r->removed);
}
