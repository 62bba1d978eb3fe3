/* write_out.c - the rows that stay, part by part, in the order of the inputs; each file appears whole or not at all. */
#include "prep/prep_int.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"

#define BLOCK ((size_t)4 << 20)

static int put_part(Prep *p, const FileMap *rows, Part part, Err *e)
{
    char     name[32];
    FileOut *f = NULL;
    StrBuf   block = { 0 };
    snprintf(name, sizeof name, "%s.jsonl", part_name[part]);
    char *path = prep_path(p, name);
    int   rc = file_out_open(&f, path, e);
    for (size_t i = 0; i < p->row.n && !rc; i++) {
        const RowEntry *r = &p->row.p[i];
        if (r->part != part)
            continue;
        BUG_ON(r->off + r->bytes > rows->n);
        strbuf_add(&block, rows->p + r->off, (size_t)r->bytes);
        if (block.n >= BLOCK) {
            rc = file_out_write(f, block.p, block.n, e);
            strbuf_clear(&block);
            file_forget(rows->p, (size_t)r->off);
        }
        if (!rc && !(i & 4095) && prep_stop_asked(p))
            rc = err_set(e, ERR_STOP, "stopped while writing %s; the same command goes on", path);
    }
    if (!rc && block.n)
        rc = file_out_write(f, block.p, block.n, e);
    if (!rc)
        rc = file_out_commit(&f, e);
    file_out_abort(&f);
    strbuf_release(&block);
    free(path);
    return rc;
}

static bool numbers_of(const void *user, size_t i, Measure *m)
{
    const Prep *p = user;
    *m = row_measure(p, &p->row.p[i]);
    return true;
}

/* Of the rows that left, too. */
static int put_measures(Prep *p, Err *e)
{
    char *path = prep_path(p, "measures.bin");
    int   rc = measures_write(path, numbers_of, p, p->row.n, e);
    free(path);
    return rc;
}

int write_out(Prep *p, Err *e)
{
    FileMap rows = { 0 };
    char   *path = prep_path(p, "work/rows.jsonl");
    int     rc = file_map(&rows, path, e);
    for (Part part = PART_TRAIN; part < PARTS && !rc; part++)
        rc = put_part(p, &rows, part, e);
    if (!rc)
        rc = put_measures(p, e);
    for (size_t i = 0; i < p->row.n; i++) {
        p->facts.part[p->row.p[i].part]++;
        p->facts.why[p->row.p[i].why]++;
        for (uint32_t kinds = p->row.p[i].personal, k = 0; kinds; kinds >>= 1, k++)
            p->facts.personal[k] += kinds & 1;
        p->facts.pairs |= p->row.p[i].part == PART_TRAIN && p->row.p[i].kind == REC_PAIR;
    }
    p->facts.read = (int64_t)p->row.n;
    file_unmap(&rows);
    free(path);
    return rc;
}
