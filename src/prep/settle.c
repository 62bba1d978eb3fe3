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
#include "prep/sorter.h"

#define ANSWERS_MAX 256 /* different answers that are told apart when they are counted */

_Static_assert(DEDUPE_ROW_BYTES + sizeof(uint8_t) <= PREP_ROW_BYTES, "what the search for duplicates and Entries keep of a row");

typedef struct Settle {
    Prep   *p;
    Removal out;
} Settle;

/* ---- duplicates ------------------------------------------------------------------------------------------------------------------------------------ */

static int text_of(void *ctx, int64_t id, int worker, StrBuf *out, Err *e)
{
    const Settle *s = ctx;
    const size_t  row = (size_t)id - 1;
    Record        rec = { .kind = (RecordKind)entries_at(&s->p->rows, row)->kind };
    (void)worker;
    int rc = json_parse(&rec.row, removal_line(&s->out, row), "work/rows.jsonl", e);
    if (!rc)
        record_text(&rec, out);
    json_free(rec.row);
    return rc;
}

static bool stop_asked(void *ctx) { return prep_stop_asked(((const Settle *)ctx)->p); }

static Json *duplicate_facts(const DedupeRemoved *d)
{
    Json *more = json_obj_new();
    json_set(more, "kept", json_int_new(d->kept));
    json_set(more, "cluster", json_int_new((int64_t)d->cluster + 1));
    return more;
}

static int one_duplicate(void *ctx, const DedupeRemoved *d, Err *e)
{
    Settle      *s = ctx;
    Prep        *p = s->p;
    const size_t row = (size_t)d->row - 1;
    const char  *reason = d->exact ? "exact duplicate" : "near duplicate";
    if (p->cfg.duplicates == DUPLICATES_NEAR || (p->cfg.duplicates == DUPLICATES_EXACT && d->exact)) {
        removal_add(&s->out, row, "duplicates", reason, d->jaccard, duplicate_facts(d));
    } else {
        decision_add(&s->out.log, removal_place(&s->out, row), "duplicates", ACTION_NOTE, reason, d->jaccard, duplicate_facts(d));
        sets_init(&p->together, p->rows.n); /* now: while rows are compared there are none of them in memory */
        sets_join(&p->together, (uint32_t)row, (uint32_t)d->kept - 1);
    }
    return removal_flush(&s->out, false, e);
}

static int settle_duplicates(Settle *s, Err *e)
{
    Prep        *p = s->p;
    char         text[160];
    char        *keys = prep_path(p, "work/keys.bin");
    DedupeFound  found;
    int          rc = dedupe_find(&(DedupeCfg){ .minhash = p->minhash, .keys = keys, .pool = p->pool, .text_of = text_of, .removed = one_duplicate, .ctx = s,
                                                .stop_asked = stop_asked }, &found, e);
    if (!rc && found.left_out) {
        snprintf(text, sizeof text, "%llu pairs of rows that share common text were not compared; near duplicates among them may remain", (unsigned long long)found.left_out);
        decision_add(&s->out.log, (RowPlace){ 0, "", 0 }, "duplicates", ACTION_NOTE, text, NAN, NULL);
    }
    free(keys);
    return rc;
}

/* ---- mixture --------------------------------------------------------------------------------------------------------------------------------------- */

typedef struct Drawn { uint64_t draw; uint32_t row; } Drawn;

static int by_draw(const void *a, const void *b)
{
    const Drawn *x = a, *y = b;
    return x->draw != y->draw ? (x->draw < y->draw ? -1 : 1) : (x->row > y->row) - (x->row < y->row);
}

/* Which rows an input gives hangs on what they say and the seed. */
static int settle_share(Settle *s, int32_t input, Err *e)
{
    Prep        *p = s->p;
    const double share = p->input.p[input].weight;
    char        *path = prep_path(p, "work/mixture");
    Sorter      *v = sorter_new(path, sizeof(Drawn), by_draw, 0);
    int          rc = 0;
    for (size_t i = 0; i < p->rows.n && !rc; i++) {
        if (entries_part(&p->rows, i) == PART_REMOVED || entries_at(&p->rows, i)->source != input)
            continue;
        uint64_t both[2] = { (uint64_t)p->cfg.seed, entries_at(&p->rows, i)->content };
        rc = sorter_add(v, &(Drawn){ hash64(both, sizeof both), (uint32_t)i }, e);
    }
    rc = rc ? rc : sorter_end(v, e);
    for (size_t i = (size_t)ceil(share * (double)sorter_count(v)); i < sorter_count(v) && !rc; i++) {
        const Drawn *d = sorter_at(v, i);
        removal_add(&s->out, d->row, "mixture", "beyond the share of its input", share, NULL);
        rc = removal_flush(&s->out, false, e);
    }
    sorter_free(v);
    free(path);
    return rc;
}

/* ---- contradictions --------------------------------------------------------------------------------------------------------------------------------- */

typedef struct Asking { uint64_t asked, answered; uint32_t row; } Asking;

static int by_question(const void *a, const void *b)
{
    const Asking *x = a, *y = b;
    return x->asked != y->asked ? (x->asked < y->asked ? -1 : 1) : (x->row > y->row) - (x->row < y->row);
}

static const Asking *asking_at(const Sorter *v, size_t i) { return sorter_at(v, i); }

static int64_t different_answers(const Sorter *v, size_t from, size_t end)
{
    uint64_t first[ANSWERS_MAX];
    int64_t  count = 0;
    for (size_t i = 0; i < end - from; i++) {
        const uint64_t answered = asking_at(v, from + i)->answered;
        size_t         k = 0;
        if (i < ANSWERS_MAX)
            first[i] = answered;
        while (k < i && k < ANSWERS_MAX && first[k] != answered)
            k++;
        count += k == i;
    }
    return count;
}

/* Rows that ask the same and answer differently: a question to a person, not a fault ("Write a poem" has many answers), so they are only noted. */
static int note_contradictions(Settle *s, const Sorter *v, Err *e)
{
    const Entries *rows = &s->p->rows;
    int         rc = 0;
    for (size_t i = 0, end; i < sorter_count(v) && !rc; i = end) {
        const Asking first = *asking_at(v, i);
        for (end = i + 1; end < sorter_count(v) && asking_at(v, end)->asked == first.asked;)
            end++;
        int64_t answers = end - i > 1 ? different_answers(v, i, end) : 1;
        for (size_t k = i; k < end && answers > 1 && !rc; k++) {
            Json *more = json_obj_new();
            json_set(more, "first", json_int_new(entries_at(rows, first.row)->id));
            json_set(more, "answers", json_int_new(answers));
            decision_add(&s->out.log, removal_place(&s->out, asking_at(v, k)->row), "contradiction", ACTION_NOTE, "the same question has other answers", NAN, more);
            rc = removal_flush(&s->out, false, e);
        }
    }
    return rc;
}

static int settle_contradictions(Settle *s, Err *e)
{
    const Entries *rows = &s->p->rows;
    char       *path = prep_path(s->p, "work/questions_asked");
    Sorter     *v = sorter_new(path, sizeof(Asking), by_question, 0);
    int         rc = 0;
    for (size_t i = 0; i < rows->n && !rc; i++) {
        const RowEntry *r = entries_at(rows, i);
        if (r->asked && entries_part(rows, i) != PART_REMOVED)
            rc = sorter_add(v, &(Asking){ r->asked, r->answered, (uint32_t)i }, e);
    }
    rc = rc ? rc : sorter_end(v, e);
    rc = rc ? rc : note_contradictions(s, v, e);
    sorter_free(v);
    free(path);
    return rc;
}

/* ---- the stage ------------------------------------------------------------------------------------------------------------------------------------ */

int settle(Prep *p, Err *e)
{
    Settle s = { .p = p };
    mem_give_back(); /* what the passes held while rows were read would stand beside what comparing takes */
    int    rc = removal_open(&s.out, p, e);
    if (!rc && p->hooks.progress)
        p->hooks.progress(p->hooks.user, "comparing", p->facts.bytes, p->facts.bytes, (int64_t)p->rows.n);
    if (!rc && p->minhash)
        rc = settle_duplicates(&s, e);
    if (!rc)
        rc = overlap_settle(p, &s.out, e);
    for (size_t i = 0; i < p->input.n && !rc; i++)
        if (p->input.p[i].weight < 1)
            rc = settle_share(&s, (int32_t)i, e);
    if (!rc)
        rc = balance(p, &s.out, e);
    if (!rc)
        rc = settle_contradictions(&s, e);
    if (!rc)
        return removal_close(&s.out, e);
    removal_release(&s.out);
    return rc;
}
