/* write_out.c - the rows that stay, part by part, in the order of the inputs; each file appears whole or not at all. */
#include "prep/prep_int.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"

#define BLOCK ((size_t)4 << 20)

static int put_part(Prep *p, const View *rows, Part part, Err *e)
{
    char     name[32];
    FileOut *f = NULL;
    StrBuf   block = { 0 };
    snprintf(name, sizeof name, "%s.jsonl", part_name[part]);
    char *path = prep_path(p, name);
    int   rc = file_out_open(&f, path, e);
    for (size_t i = 0; i < p->rows.n && !rc; i++) {
        if (entries_part(&p->rows, i) != part)
            continue;
        const RowEntry *r = entries_at(&p->rows, i);
        strbuf_add(&block, view_at(rows, r->off, (size_t)r->bytes), (size_t)r->bytes);
        rc = file_out_drain(f, &block, BLOCK, e);
        if (!rc && !(i & 4095) && prep_stop_asked(p))
            rc = err_set(e, ERR_STOP, "stopped while writing %s; the same command goes on", path);
    }
    if (!rc)
        rc = file_out_drain(f, &block, 0, e);
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
    *m = row_measure(p, i);
    return true;
}

/* Of the rows that left, too. */
static int put_measures(Prep *p, Err *e)
{
    char *path = prep_path(p, "measures.bin");
    int   rc = measures_write(path, numbers_of, p, p->rows.n, e);
    free(path);
    return rc;
}

/* Training takes one shape: who mixes conversations, pairs and texts should know before, and how they become one. */
static void tell_shapes(Prep *p)
{
    int64_t n[REC_KINDS] = { 0 };
    int     kinds = 0;
    StrBuf  text = { 0 };
    for (size_t i = 0; i < p->rows.n; i++)
        n[entries_at(&p->rows, i)->kind] += entries_part(&p->rows, i) == PART_TRAIN;
    for (int k = 0; k < REC_KINDS; k++)
        if (n[k])
            strbuf_addf(&text, "%s%lld %s", kinds++ ? ", " : "", (long long)n[k], record_kind_name((RecordKind)k));
    if (kinds > 1)
        prep_tell(p, "train holds rows of %d shapes (%s), and hone train takes one: prepare texts in a folder of their own%s; `hone prep export DATA -o FILE --shape messages` "
                  "makes conversations of pairs", kinds, strbuf_z(&text), n[REC_TEXT] && n[REC_CHAT] && p->cfg.unanswered == UNANSWERED_TEXT ?
                  " (of a mailbox, --unanswered drop leaves out what is no conversation)" : "");
    strbuf_release(&text);
}

int write_out(Prep *p, Err *e)
{
    View    rows = { 0 };
    char   *path = prep_path(p, "work/rows.jsonl");
    int     rc = view_open(&rows, path, e);
    for (Part part = PART_TRAIN; part < PARTS && !rc; part++)
        rc = put_part(p, &rows, part, e);
    if (!rc)
        rc = put_measures(p, e);
    for (size_t i = 0; i < p->rows.n; i++) {
        const RowEntry *r = entries_at(&p->rows, i);
        p->facts.part[entries_part(&p->rows, i)]++;
        p->facts.why[entries_why(&p->rows, i)]++;
        for (uint32_t kinds = r->personal, k = 0; kinds; kinds >>= 1, k++)
            p->facts.personal[k] += kinds & 1;
        p->facts.pairs |= entries_part(&p->rows, i) == PART_TRAIN && r->kind == REC_PAIR;
    }
    p->facts.read = (int64_t)p->rows.n;
    tell_shapes(p);
    view_close(&rows);
    free(path);
    return rc;
}
