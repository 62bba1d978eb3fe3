/* removal.c - see removal.h. */
#include "prep/removal.h"

#include <stdlib.h>

#include "base/mem.h"

#define LINES_MAX ((size_t)4 << 20) /* bytes on their way */

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
    int rc = view_open(&r->rows, path, e);
    if (!rc)
        rc = open_behind(p, "decisions.jsonl", &r->log_file, e);
    if (!rc)
        rc = open_behind(p, "removed.jsonl", &r->removed_file, e);
    free(path);
    return rc;
}

Str removal_line(const Removal *r, size_t row)
{
    const RowEntry *x = entries_at(&r->p->rows, row);
    BUG_ON(!x->bytes);
    return (Str){ view_at(&r->rows, x->off, (size_t)x->bytes), (size_t)x->bytes - 1 };
}

RowPlace removal_place(const Removal *r, size_t row)
{
    const RowEntry *x = entries_at(&r->p->rows, row);
    return (RowPlace){ x->id, r->p->input.p[x->source].path, x->line };
}

void removal_add(Removal *r, size_t row, const char *pass, const char *reason, double score, Json *more)
{
    const RowPlace at = removal_place(r, row);
    const Str      line = removal_line(r, row);
    decision_add(&r->log, at, pass, ACTION_REMOVE, reason, score, more);
    removed_begin(&r->removed, at, pass, str_of(reason));
    strbuf_addz(&r->removed, "\"row\":");
    strbuf_add(&r->removed, line.p, line.n);
    strbuf_addz(&r->removed, "}\n");
    entries_put(&r->p->rows, row, PART_REMOVED, prep_pass_number(pass));
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
    view_close(&r->rows);
    file_log_close(&r->log_file);
    file_log_close(&r->removed_file);
    strbuf_release(&r->log);
    strbuf_release(&r->removed);
}
