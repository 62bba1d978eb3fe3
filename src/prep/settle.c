/* settle.c - judges rows beside each other: of a cluster of duplicates the best stays, an input uses no more than its share of the mixture,
 * and no label and no length has more rows than asked for (balance.c).
 * Decisions and removed rows are put behind those of the intake; when this stage is stopped, the next start cuts them off again and repeats it. */
#include "prep/prep_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "prep/dedupe.h"
#include "prep/removal.h"

#define ANSWERS_MAX 256 /* different answers that are told apart when they are counted */

typedef struct Settle {
    Prep   *p;
    Removal out;
} Settle;

static RowEntry *entry_of(const Prep *p, int64_t id) { return &p->row.p[id - 1]; }

/* ---- duplicates ------------------------------------------------------------------------------------------------------------------------------------ */

static int text_of(void *ctx, int64_t id, int worker, StrBuf *out, Err *e)
{
    const Settle   *s = ctx;
    const RowEntry *r = entry_of(s->p, id);
    Record          rec = { .kind = (RecordKind)r->kind };
    (void)worker;
    int rc = json_parse(&rec.row, removal_line(&s->out, r), "work/rows.jsonl", e);
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
            removal_add(&s->out, r, "duplicates", reason, d->jaccard, duplicate_facts(d));
        } else {
            decision_add(&s->out.log, (RowPlace){ r->id, p->input.p[r->source].path, r->line }, "duplicates", ACTION_NOTE, reason, d->jaccard, duplicate_facts(d));
            sets_join(&p->together, (uint32_t)d->row - 1, (uint32_t)d->kept - 1);
        }
        rc = removal_flush(&s->out, false, e);
    }
    if (!rc && found.left_out) {
        snprintf(text, sizeof text, "%llu pairs of rows that share common text were not compared; near duplicates among them may remain", (unsigned long long)found.left_out);
        decision_add(&s->out.log, (RowPlace){ 0, "", 0 }, "duplicates", ACTION_NOTE, text, NAN, NULL);
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
        removal_add(&s->out, &p->row.p[v.p[i].row], "mixture", "beyond the share of its input", share, NULL);
    vec_release(&v);
}

/* ---- contradictions --------------------------------------------------------------------------------------------------------------------------------- */

typedef struct Asking { uint64_t asked, answered; size_t row; } Asking;

static int by_question(const void *a, const void *b)
{
    const Asking *x = a, *y = b;
    return x->asked != y->asked ? (x->asked < y->asked ? -1 : 1) : (x->row > y->row) - (x->row < y->row);
}

static int64_t different_answers(const Asking *v, size_t n)
{
    int64_t count = 0;
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < i && k < ANSWERS_MAX && v[k].answered != v[i].answered)
            k++;
        count += k == i;
    }
    return count;
}

/* Rows that ask the same and answer differently: a question to a person, not a fault ("Write a poem" has many answers), so they are only noted. */
static int settle_contradictions(Settle *s, Err *e)
{
    Prep       *p = s->p;
    VEC(Asking) v = { 0 };
    int         rc = 0;
    for (size_t i = 0; i < p->row.n; i++)
        if (p->row.p[i].asked && p->row.p[i].part != PART_REMOVED)
            *vec_push(&v) = (Asking){ p->row.p[i].asked, p->row.p[i].answered, i };
    if (v.n)
        qsort(v.p, v.n, sizeof *v.p, by_question);
    for (size_t i = 0, end; i < v.n && !rc; i = end) {
        for (end = i + 1; end < v.n && v.p[end].asked == v.p[i].asked;)
            end++;
        int64_t answers = end - i > 1 ? different_answers(&v.p[i], end - i) : 1;
        for (size_t k = i; k < end && answers > 1 && !rc; k++) {
            const RowEntry *r = &p->row.p[v.p[k].row];
            Json           *more = json_obj_new();
            json_set(more, "first", json_int_new(p->row.p[v.p[i].row].id));
            json_set(more, "answers", json_int_new(answers));
            decision_add(&s->out.log, (RowPlace){ r->id, p->input.p[r->source].path, r->line }, "contradiction", ACTION_NOTE, "the same question has other answers", NAN, more);
            rc = removal_flush(&s->out, false, e);
        }
    }
    vec_release(&v);
    return rc;
}

/* ---- the stage ------------------------------------------------------------------------------------------------------------------------------------ */

int settle(Prep *p, Err *e)
{
    Settle s = { .p = p };
    int    rc = removal_open(&s.out, p, e);
    sets_init(&p->together, p->row.n);
    if (!rc && p->hooks.progress)
        p->hooks.progress(p->hooks.user, "comparing", p->facts.bytes, p->facts.bytes, (int64_t)p->row.n);
    if (!rc && p->dedupe)
        rc = settle_duplicates(&s, e);
    for (size_t i = 0; i < p->input.n && !rc; i++)
        if (p->input.p[i].weight < 1)
            settle_share(&s, (int32_t)i);
    if (!rc)
        rc = balance(p, &s.out, e);
    if (!rc)
        rc = settle_contradictions(&s, e);
    if (!rc)
        return removal_close(&s.out, e);
    removal_release(&s.out);
    return rc;
}
