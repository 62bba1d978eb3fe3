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

/* Training takes one shape: who mixes conversations, pairs and texts should know before, and how they become one. */
static void tell_shapes(Prep *p)
{
    int64_t n[REC_KINDS] = { 0 };
    int     kinds = 0;
    StrBuf  text = { 0 };
    for (size_t i = 0; i < p->row.n; i++)
        n[p->row.p[i].kind] += p->row.p[i].part == PART_TRAIN;
    for (int k = 0; k < REC_KINDS; k++)
        if (n[k])
            strbuf_addf(&text, "%s%lld %s", kinds++ ? ", " : "", (long long)n[k], record_kind_name((RecordKind)k));
    if (kinds > 1)
        prep_tell(p, "train holds rows of %d shapes (%s), and hone train takes one: prepare texts in a folder of their own; `hone prep export DATA -o FILE --shape messages` "
                  "makes conversations of pairs", kinds, strbuf_z(&text));
    strbuf_release(&text);
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
    tell_shapes(p);
    file_unmap(&rows);
    free(path);
    return rc;
}
