/* removal.c - see removal.h. */
#include "prep/removal.h"

#include <stdlib.h>

#include "base/mem.h"

#define LINES_MAX  ((size_t)4 << 20) /* bytes on their way */
#define LINES_READ 1024              /* after so many the pages of rows.jsonl leave: each may have brought 64 KiB */

static int open_behind(const Prep *p, const char *name, FileLog *f, Err *e)
{
    char    *path = prep_path(p, name);
    uint64_t size = 0;
    int      rc = file_size(path, &size, e);
    if (!rc)
        rc = file_log_open(f, path, size, e);
    free(path);
    return rc;
}

int removal_open(Removal *r, Prep *p, Err *e)
{
    char *path = prep_path(p, "work/rows.jsonl");
    *r = (Removal){ .p = p, .log_file.fd = -1, .removed_file.fd = -1 };
    r->lines = mem_zalloc(1, sizeof *r->lines);
    int rc = file_map(&r->rows, path, e);
    if (!rc)
        rc = open_behind(p, "decisions.jsonl", &r->log_file, e);
    if (!rc)
        rc = open_behind(p, "removed.jsonl", &r->removed_file, e);
    free(path);
    return rc;
}

Str removal_line(const Removal *r, const RowEntry *row)
{
    BUG_ON(row->off + row->bytes > r->rows.n);
    if (++*r->lines % LINES_READ == 0)
        file_forget(r->rows.p, r->rows.n); /* who still reads one has it come back */
    return (Str){ (const char *)r->rows.p + row->off, (size_t)row->bytes - 1 };
}

void removal_add(Removal *r, RowEntry *row, const char *pass, const char *reason, double score, Json *more)
{
    RowPlace at = { row->id, r->p->input.p[row->source].path, row->line };
    Str      line = removal_line(r, row);
    decision_add(&r->log, at, pass, ACTION_REMOVE, reason, score, more);
    removed_begin(&r->removed, at, pass, str_of(reason));
    strbuf_addz(&r->removed, "\"row\":");
    strbuf_add(&r->removed, line.p, line.n);
    strbuf_addz(&r->removed, "}\n");
    row->part = PART_REMOVED;
    row->why = prep_pass_number(pass);
}

int removal_flush(Removal *r, bool all, Err *e)
{
    if (!all && r->log.n + r->removed.n < LINES_MAX)
        return 0;
    int rc = file_log_add(&r->log_file, r->log.p ? r->log.p : "", r->log.n, e);
    if (!rc)
        rc = file_log_add(&r->removed_file, r->removed.p ? r->removed.p : "", r->removed.n, e);
    strbuf_clear(&r->log);
    strbuf_clear(&r->removed);
    return rc;
}

int removal_close(Removal *r, Err *e)
{
    int rc = removal_flush(r, true, e);
    if (!rc)
        rc = file_log_sync(&r->log_file, e);
    if (!rc)
        rc = file_log_sync(&r->removed_file, e);
    removal_release(r);
    return rc;
}

void removal_release(Removal *r)
{
    file_unmap(&r->rows);
    free(r->lines);
    r->lines = NULL;
    file_log_close(&r->log_file);
    file_log_close(&r->removed_file);
    strbuf_release(&r->log);
    strbuf_release(&r->removed);
}
