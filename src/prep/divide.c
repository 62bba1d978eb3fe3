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
#include "prep/row_checks.h"
#include "prep/sorter.h"
#include "prep/time_text.h"

/* Which part a group goes to is the part of its first row until all are divided. */
typedef struct Group {
    uint64_t draw, label;
    int64_t  time;      /* of its newest row */
    uint32_t rows;
    uint32_t first;     /* index of the row that stands for it */
} Group;

typedef struct KeyRow { uint64_t key; uint32_t row; } KeyRow;

static int by_key(const void *a, const void *b)
{
    const KeyRow *x = a, *y = b;
    return x->key != y->key ? (x->key < y->key ? -1 : 1) : (x->row > y->row) - (x->row < y->row);
}

static const KeyRow *key_row(const Sorter *v, size_t i) { return sorter_at(v, i); }

/* Rows with the same key (not 0) join, unless more than this share of all that have one have it. */
static int join_equal(Prep *p, size_t field, double most_share, Err *e)
{
    char   *path = prep_path(p, "work/together");
    Sorter *v = sorter_new(path, sizeof(KeyRow), by_key, 0);
    int     rc = 0;
    for (size_t i = 0; i < p->rows.n && !rc; i++) {
        uint64_t key;
        memcpy(&key, (const char *)entries_at(&p->rows, i) + field, sizeof key);
        if (key && entries_part(&p->rows, i) != PART_REMOVED)
            rc = sorter_add(v, &(KeyRow){ key, (uint32_t)i }, e);
    }
    rc = rc ? rc : sorter_end(v, e);
    const size_t n = rc ? 0 : sorter_count(v);
    for (size_t i = 0, end; i < n; i = end) {
        const uint64_t key = key_row(v, i)->key;
        for (end = i + 1; end < n && key_row(v, end)->key == key;)
            end++;
        uint32_t before = key_row(v, i)->row;
        for (size_t k = i + 1; k < end && (double)(end - i) <= most_share * (double)n + 1; k++) {
            const uint32_t row = key_row(v, k)->row;
            sets_join(&p->together, row, before);
            before = row;
        }
    }
    sorter_free(v);
    free(path);
    return rc;
}

static uint64_t mix(uint64_t seed, uint64_t x)
{
    uint64_t both[2] = { seed, x };
    return hash64(both, sizeof both);
}

/* A row that stays, on the way to its group. */
typedef struct Held { uint64_t draw; int64_t time; uint32_t root, row; } Held;

static int by_root(const void *a, const void *b)
{
    const Held *x = a, *y = b;
    return x->root != y->root ? (x->root < y->root ? -1 : 1) : (x->row > y->row) - (x->row < y->row);
}

static const Held *held_at(const Sorter *v, size_t i) { return sorter_at(v, i); }

static int hold_rows(Prep *p, Sorter *held, Err *e)
{
    int rc = 0;
    for (size_t i = 0; i < p->rows.n && !rc; i++) {
        const RowEntry *r = entries_at(&p->rows, i);
        if (entries_part(&p->rows, i) != PART_REMOVED)
            rc = sorter_add(held, &(Held){ mix((uint64_t)p->cfg.seed, r->content), r->time, sets_find(&p->together, (uint32_t)i), (uint32_t)i }, e);
    }
    return rc ? rc : sorter_end(held, e);
}

/* The rows of one set that stay are a group; the first of them stands for it, since the one that stood for the set may have been removed. */
static int collect(Prep *p, bool timed, Sorter *groups, Err *e)
{
    char   *path = prep_path(p, "work/held");
    Sorter *held = sorter_new(path, sizeof(Held), by_root, 0);
    int     rc = hold_rows(p, held, e);
    for (size_t i = 0, end; i < sorter_count(held) && !rc; i = end) {
        const Held first = *held_at(held, i);
        Group      g = { first.draw, entries_at(&p->rows, first.row)->label, first.time, 0, first.row };
        for (end = i; end < sorter_count(held) && held_at(held, end)->root == first.root; end++, g.rows++) {
            g.draw = MIN(g.draw, held_at(held, end)->draw); /* whichever of its rows came first in the file */
            g.time = MAX(g.time, held_at(held, end)->time);
        }
        g.time = timed ? g.time : INT64_MIN;
        p->together.up[first.root] = p->together.up[first.row] = first.row;
        rc = sorter_add(groups, &g, e);
    }
    sorter_free(held);
    free(path);
    return rc ? rc : sorter_end(groups, e);
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

static const Group *group_at(const Sorter *v, size_t i) { return sorter_at(v, i); }

/* Fills part from the groups [from, to) that are still in training; owed: rows that it lacks so far, of this label and those before. */
static void fill(Prep *p, const Sorter *v, size_t from, size_t to, Part part, double *owed)
{
    Entries *rows = &p->rows;
    int64_t  stays = 0; /* at least one row of each stretch stays in training */
    for (size_t i = from; i < to; i++)
        stays += entries_part(rows, group_at(v, i)->first) == PART_TRAIN ? group_at(v, i)->rows : 0;
    for (size_t i = from; i < to && *owed >= 0.5; i++) {
        const Group *g = group_at(v, i);
        if (entries_part(rows, g->first) != PART_TRAIN || (double)g->rows > *owed * 1.5 + 0.5 || stays - (int64_t)g->rows < 1)
            continue;
        entries_put(rows, g->first, part, 0);
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
    memset(seen, 0, p->rows.n);
    for (size_t i = 0; i < p->rows.n; i++) {
        if (entries_part(&p->rows, i) != part)
            continue;
        const int64_t at = entries_at(&p->rows, i)->time;
        if (at == INT64_MIN || (newer ? at <= time : at >= time))
            continue;
        uint32_t root = sets_find(&p->together, (uint32_t)i);
        c.groups += !seen[root];
        c.rows++;
        seen[root] = 1;
    }
    return c;
}

/* A held-out part begins with the newest row of its oldest group. */
static int64_t begins(const Prep *p, const Sorter *v, Part part)
{
    int64_t time = INT64_MAX;
    for (size_t i = 0; i < sorter_count(v); i++)
        if (entries_part(&p->rows, group_at(v, i)->first) == part)
            time = MIN(time, group_at(v, i)->time);
    return time;
}

static void tell_times(Prep *p, const Sorter *v)
{
    uint8_t *seen = mem_zalloc(p->rows.n + 1, 1);
    char     when[TIME_TEXT_MAX];
    int64_t  held_out = INT64_MAX, undated = 0;
    for (Part part = PART_VALIDATION; part <= PART_TEST; part++) {
        const int64_t from = begins(p, v, part);
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
    for (size_t i = 0; i < p->rows.n; i++)
        undated += entries_part(&p->rows, i) != PART_REMOVED && entries_at(&p->rows, i)->time == INT64_MIN;
    if (undated)
        prep_tell(p, "--time: %lld rows have no time in a known form and count as old", (long long)undated);
    free(seen);
}

/* Some row has to be there to be divided. */
static int check_rows(Prep *p, const Sorter *groups, Err *e)
{
    if (!p->rows.n)
        return err_set(e, ERR_INPUT, "none of the %zu inputs gave a row; the first: %s", p->input.n, strbuf_z(&p->first_why));
    if (sorter_count(groups))
        return 0;
    p->none_left = true;
    return err_set(e, ERR_INPUT, "no row is left of %zu; decisions.jsonl in the folder says why each was removed%s%s", p->rows.n, p->first_why.n ? "; the first: " : "",
                   strbuf_z(&p->first_why));
}

static void give_parts(Prep *p, const Sorter *groups, bool timed)
{
    double       test = 0, validation = 0;
    const size_t n = sorter_count(groups);
    for (size_t from = 0, to; from < n; from = to) {
        const uint64_t label = group_at(groups, from)->label;
        int64_t        rows = 0;
        for (to = from; to < n && (timed || group_at(groups, to)->label == label); to++)
            rows += group_at(groups, to)->rows;
        test += p->cfg.test * (double)rows;
        validation += p->cfg.validation * (double)rows;
        fill(p, groups, from, to, PART_TEST, &test);
        fill(p, groups, from, to, PART_VALIDATION, &validation);
    }
    for (size_t i = 0; i < p->rows.n; i++)
        if (entries_part(&p->rows, i) != PART_REMOVED)
            entries_put(&p->rows, i, entries_part(&p->rows, sets_find(&p->together, (uint32_t)i)), 0);
}

int divide(Prep *p, Err *e)
{
    static const struct { size_t field; double most_share; } key[] = {
        { offsetof(RowEntry, group), 1 }, { offsetof(RowEntry, subject), 1 }, { offsetof(RowEntry, asked), QUESTION_FORM_SHARE },
    };
    const bool timed = p->cfg.time && *p->cfg.time;
    char      *path = prep_path(p, "work/groups");
    Sorter    *groups = sorter_new(path, sizeof(Group), timed ? by_time : by_label_and_draw, 0);
    int        rc = 0;
    sets_init(&p->together, p->rows.n);
    for (size_t i = 0; i < ARRAY_LEN(key) && !rc; i++)
        rc = join_equal(p, key[i].field, key[i].most_share, e);
    if (!rc && !(rc = collect(p, timed, groups, e)) && !(rc = check_rows(p, groups, e))) {
        give_parts(p, groups, timed);
        if (timed)
            tell_times(p, groups);
    }
    sorter_free(groups);
    free(path);
    return rc;
}
