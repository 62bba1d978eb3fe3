/* divide.c - rows to train, validation and test, so that nothing is in two parts that belongs together.
 * What belongs together: rows of one --group value, of one --subject, of one question (its other answers would tell a part what the other asks), and
 * near-duplicates that both stay. Such a group goes to one part whole. Within each
 * --label value groups are drawn in an order that hangs on the seed and on what their rows say, not on the order of the inputs, until the part has its
 * share; what rounding leaves over in one label is carried to the next, so the shares hold for the whole even with many rare labels.
 * With --time the newest groups become the test part and the next newest the validation part; a group is as new as its newest row. What a group carries
 * over the boundary, older rows into a held-out part or newer ones into training, is counted and told.
 * Invariant: a group that would take a part more than half its own size beyond its share is left to training, so one huge group cannot swallow a part. */
#include "prep/prep_int.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "prep/time_text.h"

#define FORM_SHARE 0.05 /* a question that more of the rows ask is a form ("Write a poem"), and no part would take it whole */

typedef struct Group {
    uint64_t draw, label;
    int64_t  time;      /* of its newest row */
    int64_t  rows;
    uint32_t first;     /* index of the row that stands for it */
    Part     part;
} Group;

typedef struct Draw { VEC(Group) group; int64_t total; } Draw;

typedef struct KeyRow { uint64_t key; uint32_t row; } KeyRow;

static int by_key(const void *a, const void *b)
{
    const KeyRow *x = a, *y = b;
    return x->key != y->key ? (x->key < y->key ? -1 : 1) : (x->row > y->row) - (x->row < y->row);
}

/* Rows with the same key (not 0) join, unless more than this share of all that have one have it. */
static void join_equal(Prep *p, size_t field, double most_share)
{
    VEC(KeyRow) v = { 0 };
    for (size_t i = 0; i < p->row.n; i++) {
        uint64_t key;
        memcpy(&key, (const char *)&p->row.p[i] + field, sizeof key);
        if (key && p->row.p[i].part != PART_REMOVED)
            *vec_push(&v) = (KeyRow){ key, (uint32_t)i };
    }
    if (v.n)
        qsort(v.p, v.n, sizeof *v.p, by_key);
    for (size_t i = 0, end; i < v.n; i = end) {
        for (end = i + 1; end < v.n && v.p[end].key == v.p[i].key;)
            end++;
        for (size_t k = i + 1; k < end && (double)(end - i) <= most_share * (double)v.n + 1; k++)
            sets_join(&p->together, v.p[k].row, v.p[k - 1].row);
    }
    vec_release(&v);
}

static uint64_t mix(uint64_t seed, uint64_t x)
{
    uint64_t both[2] = { seed, x };
    return hash64(both, sizeof both);
}

static void collect(Prep *p, Draw *d)
{
    uint32_t *at = mem_alloc((p->row.n + 1) * sizeof *at); /* root -> index of its group */
    for (size_t i = 0; i < p->row.n; i++) {
        const RowEntry *r = &p->row.p[i];
        if (r->part == PART_REMOVED)
            continue;
        uint64_t draw = mix((uint64_t)p->cfg.seed, r->content);
        uint32_t root = sets_find(&p->together, (uint32_t)i);
        Group   *g;
        if (root == i || p->row.p[root].part == PART_REMOVED) { /* the one that stands for the set may have been removed: the first that stays takes over */
            if (root != i) {
                p->together.up[root] = (uint32_t)i;
                p->together.up[i] = (uint32_t)i;
            }
            at[i] = (uint32_t)d->group.n;
            g = vec_push(&d->group);
            *g = (Group){ draw, r->label, r->time, 0, (uint32_t)i, PART_TRAIN };
        } else {
            g = &d->group.p[at[root]];
            g->draw = MIN(g->draw, draw); /* whichever of its rows came first in the file */
            g->time = MAX(g->time, r->time);
        }
        g->rows++;
        d->total++;
    }
    free(at);
}

static int by_label_and_draw(const void *a, const void *b)
{
    const Group *x = a, *y = b;
    if (x->label != y->label)
        return x->label < y->label ? -1 : 1;
    if (x->draw != y->draw)
        return x->draw < y->draw ? -1 : 1;
    return (x->first > y->first) - (x->first < y->first);
}

static int by_time(const void *a, const void *b) /* newest first */
{
    const Group *x = a, *y = b;
    if (x->time != y->time)
        return x->time > y->time ? -1 : 1;
    return by_label_and_draw(a, b);
}

/* Fills part from the groups [from, to) that are still in training; owed: rows that it lacks so far, of this label and those before. */
static void fill(Draw *d, size_t from, size_t to, Part part, double *owed)
{
    int64_t stays = 0; /* at least one row of each stretch stays in training */
    for (size_t i = from; i < to; i++)
        stays += d->group.p[i].part == PART_TRAIN ? d->group.p[i].rows : 0;
    for (size_t i = from; i < to && *owed >= 0.5; i++) {
        Group *g = &d->group.p[i];
        if (g->part != PART_TRAIN || (double)g->rows > *owed * 1.5 + 0.5 || stays - g->rows < 1)
            continue;
        g->part = part;
        stays -= g->rows;
        *owed -= (double)g->rows;
    }
}

/* ---- what --time could not keep apart --------------------------------------------------------------------------------------------------------------- */

typedef struct Crossing { int64_t rows, groups; } Crossing;

/* Rows of a part beyond a time, on its newer or older side, and the groups that they belong to; group rows are counted by the row that stands for the group. */
static Crossing crossing(Prep *p, Part part, bool newer, int64_t time, uint8_t *seen)
{
    Crossing c = { 0 };
    memset(seen, 0, p->row.n);
    for (size_t i = 0; i < p->row.n; i++) {
        const RowEntry *r = &p->row.p[i];
        if (r->part != part || r->time == INT64_MIN || (newer ? r->time <= time : r->time >= time))
            continue;
        uint32_t root = sets_find(&p->together, (uint32_t)i);
        c.groups += !seen[root];
        c.rows++;
        seen[root] = 1;
    }
    return c;
}

/* A held-out part begins with the newest row of its oldest group. */
static int64_t begins(const Draw *d, Part part)
{
    int64_t time = INT64_MAX;
    for (size_t i = 0; i < d->group.n; i++)
        if (d->group.p[i].part == part)
            time = MIN(time, d->group.p[i].time);
    return time;
}

static void tell_times(Prep *p, const Draw *d)
{
    uint8_t *seen = mem_zalloc(p->row.n + 1, 1);
    char     when[TIME_TEXT_MAX];
    int64_t  held_out = INT64_MAX, undated = 0;
    for (Part part = PART_VALIDATION; part <= PART_TEST; part++) {
        const int64_t from = begins(d, part);
        held_out = MIN(held_out, from);
        if (from == INT64_MAX || from == INT64_MIN)
            continue;
        const Crossing older = crossing(p, part, false, from, seen);
        time_to_text(from, when);
        if (older.rows)
            prep_tell(p, "--time: %s begins at %s; %lld rows of %lld groups are older and stand there too, with the newer rows of their group", part_name[part], when,
                      (long long)older.rows, (long long)older.groups);
        else
            prep_tell(p, "--time: %s begins at %s", part_name[part], when);
    }
    const Crossing later = held_out == INT64_MAX ? (Crossing){ 0 } : crossing(p, PART_TRAIN, true, held_out, seen);
    time_to_text(held_out, when);
    if (later.rows)
        prep_tell(p, "--time: %lld rows of %lld groups are newer than %s and yet stand in train, because their groups are larger than what is held out; give larger --test and "
                     "--validation, or a finer --group, to keep them apart", (long long)later.rows, (long long)later.groups, when);
    for (size_t i = 0; i < p->row.n; i++)
        undated += p->row.p[i].part != PART_REMOVED && p->row.p[i].time == INT64_MIN;
    if (undated)
        prep_tell(p, "--time: %lld rows have no time in a known form and count as old", (long long)undated);
    free(seen);
}

int divide(Prep *p, Err *e)
{
    Draw   d = { 0 };
    double test = 0, validation = 0;
    bool   timed = p->cfg.time && *p->cfg.time;
    join_equal(p, offsetof(RowEntry, group), 1);
    join_equal(p, offsetof(RowEntry, subject), 1);
    join_equal(p, offsetof(RowEntry, asked), FORM_SHARE);
    collect(p, &d);
    if (!p->row.n)
        return err_set(e, ERR_INPUT, "none of the %zu inputs gave a row; the first: %s", p->input.n, strbuf_z(&p->first_why));
    if (!d.group.n) {
        p->none_left = true;
        return err_set(e, ERR_INPUT, "no row is left of %zu; decisions.jsonl in the folder says why each was removed%s%s", p->row.n, p->first_why.n ? "; the first: " : "",
                       strbuf_z(&p->first_why));
    }
    qsort(d.group.p, d.group.n, sizeof *d.group.p, timed ? by_time : by_label_and_draw);
    for (size_t from = 0, to; from < d.group.n; from = to) {
        int64_t rows = 0;
        for (to = from; to < d.group.n && (timed || d.group.p[to].label == d.group.p[from].label); to++)
            rows += d.group.p[to].rows;
        test += p->cfg.test * (double)rows;
        validation += p->cfg.validation * (double)rows;
        fill(&d, from, to, PART_TEST, &test);
        fill(&d, from, to, PART_VALIDATION, &validation);
    }
    for (size_t i = 0; i < d.group.n; i++)
        p->row.p[d.group.p[i].first].part = (uint8_t)d.group.p[i].part;
    for (size_t i = 0; i < p->row.n; i++) {
        RowEntry *r = &p->row.p[i];
        if (r->part != PART_REMOVED)
            r->part = p->row.p[sets_find(&p->together, (uint32_t)i)].part;
    }
    if (timed)
        tell_times(p, &d);
    vec_release(&d.group);
    return 0;
}
