/* settle.c - judges rows beside each other: of a cluster of duplicates the best stays, and an input uses no more than its share of the mixture.
 * Decisions and removed rows are put behind those of the intake; when this stage is stopped, the next start cuts them off again and repeats it. */
#include "prep/prep_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "prep/dedupe.h"

typedef struct Settle {
    Prep   *p;
    FileMap rows;          /* work/rows.jsonl */
    StrBuf  log, removed;
} Settle;

static RowEntry *entry_of(const Prep *p, int64_t id) { return &p->row.p[id - 1]; }

static Str line_of(const Settle *s, const RowEntry *r)
{
    BUG_ON(r->off + r->bytes > s->rows.n);
    return (Str){ (const char *)s->rows.p + r->off, (size_t)r->bytes - 1 };
}

/* The row leaves now, for this reason. */
static void remove_row(Settle *s, RowEntry *r, const char *pass, const char *reason, double score, Json *more)
{
    RowPlace at = { r->id, s->p->input.p[r->source].path, r->line };
    Str      line = line_of(s, r);
    decision_add(&s->log, at, pass, ACTION_REMOVE, reason, score, more);
    strbuf_addf(&s->removed, "{\"id\":%lld,\"pass\":", (long long)r->id);
    json_write_string(&s->removed, str_of(pass));
    strbuf_addz(&s->removed, ",\"reason\":");
    json_write_string(&s->removed, str_of(reason));
    strbuf_addz(&s->removed, ",\"file\":");
    json_write_string(&s->removed, str_of(at.file));
    strbuf_addf(&s->removed, ",\"line\":%lld,\"row\":", (long long)r->line);
    strbuf_add(&s->removed, line.p, line.n);
    strbuf_addz(&s->removed, "}\n");
    r->part = PART_REMOVED;
}

/* ---- duplicates ------------------------------------------------------------------------------------------------------------------------------------ */

static int text_of(void *ctx, int64_t id, int worker, StrBuf *out, Err *e)
{
    const Settle   *s = ctx;
    const RowEntry *r = entry_of(s->p, id);
    Record          rec = { .kind = (RecordKind)r->kind };
    (void)worker;
    int rc = json_parse(&rec.row, line_of(s, r), "work/rows.jsonl", e);
    if (!rc)
        record_text(&rec, out);
    json_free(rec.row);
    return rc;
}

static Json *duplicate_facts(const DedupeRemoved *d)
{
    Json *more = json_obj_new();
    json_set(more, "kept", json_int_new(d->kept));
    json_set(more, "cluster", json_int_new((int64_t)d->cluster + 1));
    return more;
}

static int settle_duplicates(Settle *s, Err *e)
{
    Prep        *p = s->p;
    DedupeResult found = { 0 };
    char         text[160];
    int          rc = dedupe_finish(p->dedupe, p->pool, text_of, s, &found, e);
    for (size_t i = 0; i < found.n_removed && !rc; i++) {
        const DedupeRemoved *d = &found.removed[i];
        RowEntry            *r = entry_of(p, d->row);
        const char          *reason = d->exact ? "exact duplicate" : "near duplicate";
        if (p->cfg.duplicates == DUPLICATES_NEAR || (p->cfg.duplicates == DUPLICATES_EXACT && d->exact)) {
            remove_row(s, r, "duplicates", reason, d->jaccard, duplicate_facts(d));
        } else {
            decision_add(&s->log, (RowPlace){ r->id, p->input.p[r->source].path, r->line }, "duplicates", ACTION_NOTE, reason, d->jaccard, duplicate_facts(d));
            sets_join(&p->together, (uint32_t)d->row - 1, (uint32_t)d->kept - 1);
        }
    }
    if (!rc && found.left_out) {
        snprintf(text, sizeof text, "%llu pairs of rows that share common text were not compared; near duplicates among them may remain", (unsigned long long)found.left_out);
        decision_add(&s->log, (RowPlace){ 0, "", 0 }, "duplicates", ACTION_NOTE, text, NAN, NULL);
    }
    dedupe_result_release(&found);
    return rc;
}

/* ---- mixture --------------------------------------------------------------------------------------------------------------------------------------- */

typedef struct Drawn { uint64_t draw; size_t row; } Drawn;

static int by_draw(const void *a, const void *b)
{
    const Drawn *x = a, *y = b;
    return x->draw != y->draw ? (x->draw < y->draw ? -1 : 1) : (x->row > y->row) - (x->row < y->row);
}

/* Which rows an input gives hangs on what they say and the seed. */
static void settle_share(Settle *s, int32_t input)
{
    Prep       *p = s->p;
    VEC(Drawn)  v = { 0 };
    const double share = p->input.p[input].weight;
    for (size_t i = 0; i < p->row.n; i++)
        if (p->row.p[i].source == input && p->row.p[i].part != PART_REMOVED) {
            uint64_t both[2] = { (uint64_t)p->cfg.seed, p->row.p[i].content };
            *vec_push(&v) = (Drawn){ hash64(both, sizeof both), i };
        }
    if (v.n)
        qsort(v.p, v.n, sizeof *v.p, by_draw);
    for (size_t i = (size_t)ceil(share * (double)v.n); i < v.n; i++)
        remove_row(s, &p->row.p[v.p[i].row], "mixture", "beyond the share of its input", share, NULL);
    vec_release(&v);
}

/* ---- the stage ------------------------------------------------------------------------------------------------------------------------------------- */

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

int settle(Prep *p, Err *e)
{
    Settle s = { .p = p };
    char  *path = prep_path(p, "work/rows.jsonl");
    int    rc = file_map(&s.rows, path, e);
    sets_init(&p->together, p->row.n);
    if (!rc && p->hooks.progress)
        p->hooks.progress(p->hooks.user, "comparing", p->facts.bytes, p->facts.bytes, (int64_t)p->row.n);
    if (!rc && p->dedupe)
        rc = settle_duplicates(&s, e);
    for (size_t i = 0; i < p->input.n && !rc; i++)
        if (p->input.p[i].weight < 1)
            settle_share(&s, (int32_t)i);
    if (!rc)
        rc = put_behind(p, "decisions.jsonl", &s.log, e);
    if (!rc)
        rc = put_behind(p, "removed.jsonl", &s.removed, e);
    file_unmap(&s.rows);
    strbuf_release(&s.log);
    strbuf_release(&s.removed);
    free(path);
    return rc;
}
