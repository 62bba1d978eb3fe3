/* division.c - what became of --label and --group: rows of each label by part, and whether a group lies in two parts. For the manifest's "divided":
 *   {"labels": {"column", "rows": [["Refund", 90, 5, 5], ...], "others": [rows]}, "groups": {"column", "groups", "largest", "in_two_parts", "rows_without"}}
 * the numbers in the order train, validation, test; labels with the most rows first, at most LABELS_TOLD of them.
 * Memory: LABELS_MAX labels; groups go through a sorter. Names of labels are those that the data set has (replaced, where they were personal data). */
#include "prep/prep_int.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "prep/sorter.h"

#define LABELS_MAX  10000 /* told apart; rows of further ones count as others */
#define LABELS_TOLD 100

typedef struct Label { int64_t rows[PARTS], all; size_t first; uint64_t hash; } Label; /* first: index of a row that has it; hash 0: rows without a label */
typedef struct Member { uint64_t group; uint8_t part; uint8_t pad[7]; } Member;

static Json *counts(const int64_t rows[PARTS], Json *list)
{
    for (int part = PART_TRAIN; part < PARTS; part++)
        json_push(list, json_int_new(rows[part]));
    return list;
}

static int by_rows(const void *a, const void *b)
{
    const Label *x = a, *y = b;
    return x->all != y->all ? (x->all < y->all ? 1 : -1) : (x->first > y->first) - (x->first < y->first);
}

/* What the row says in the column, in the data set. */
static int name_of(const Prep *p, const View *rows, const Label *l, Json **out, Err *e)
{
    const RowEntry *r = entries_at(&p->rows, l->first);
    Record          rec = { 0 };
    StrBuf          scratch = { 0 };
    int             rc = !l->hash ? 0 : json_parse(&rec.row, (Str){ view_at(rows, r->off, (size_t)r->bytes), (size_t)r->bytes - 1 }, "work/rows.jsonl", e);
    Str             name = !rec.row ? (Str){ 0 } : record_meta(&rec, p->cfg.label, &scratch);
    *out = l->hash ? json_str_new(name.p ? name : STR_LIT("")) : json_null_new();
    strbuf_release(&scratch);
    json_free(rec.row);
    return rc;
}

static void count_labels(const Prep *p, Label *label, size_t *n, int64_t others[PARTS])
{
    Map *known = map_new();
    for (size_t i = 0; i < p->rows.n; i++) {
        const uint64_t hash = entries_at(&p->rows, i)->label;
        const Part     part = entries_part(&p->rows, i);
        const Str      key = { (const char *)&hash, sizeof hash };
        int64_t        at;
        if (part == PART_REMOVED)
            continue;
        if (!map_get(known, key, &at)) {
            if (*n == LABELS_MAX) {
                others[part]++;
                continue;
            }
            at = (int64_t)(*n)++;
            label[at] = (Label){ .first = i, .hash = hash };
            map_put(known, key, at);
        }
        label[at].rows[part]++;
        label[at].all++;
    }
    map_free(known);
}

static int labels_json(const Prep *p, Json **out, Err *e)
{
    Label  *label = mem_zalloc(LABELS_MAX, sizeof *label);
    int64_t others[PARTS] = { 0 };
    size_t  n = 0;
    View    rows = { 0 };
    char   *path = prep_path(p, "work/rows.jsonl");
    Json   *list = json_arr_new();
    int     rc = view_open(&rows, path, e);
    count_labels(p, label, &n, others);
    if (n)
        qsort(label, n, sizeof *label, by_rows);
    for (size_t i = 0; i < n && !rc; i++) {
        Json *name = NULL, *one = json_arr_new();
        if (i >= LABELS_TOLD) {
            for (int part = 0; part < PARTS; part++)
                others[part] += label[i].rows[part];
            json_free(one);
            continue;
        }
        rc = name_of(p, &rows, &label[i], &name, e);
        json_push(one, name);
        json_push(list, counts(label[i].rows, one));
    }
    *out = json_obj_new();
    json_set(*out, "column", json_str_new(str_of(p->cfg.label)));
    json_set(*out, "rows", list);
    if (others[PART_TRAIN] + others[PART_VALIDATION] + others[PART_TEST])
        json_set(*out, "others", counts(others, json_arr_new()));
    view_close(&rows);
    free(label);
    free(path);
    return rc;
}

static int by_group(const void *a, const void *b)
{
    const Member *x = a, *y = b;
    return x->group != y->group ? (x->group < y->group ? -1 : 1) : (x->part > y->part) - (x->part < y->part);
}

static const Member *member_at(const Sorter *s, size_t i) { return sorter_at(s, i); }

static int groups_json(const Prep *p, Json **out, Err *e)
{
    char   *path = prep_path(p, "work/divided");
    Sorter *all = sorter_new(path, sizeof(Member), by_group, 0);
    int64_t groups = 0, largest = 0, torn = 0, without = 0;
    int     rc = 0;
    for (size_t i = 0; i < p->rows.n && !rc; i++) {
        const Member m = { .group = entries_at(&p->rows, i)->group, .part = (uint8_t)entries_part(&p->rows, i) };
        if (m.part == PART_REMOVED)
            continue;
        without += !m.group;
        rc = m.group ? sorter_add(all, &m, e) : 0;
    }
    rc = rc ? rc : sorter_end(all, e);
    const size_t n = rc ? 0 : sorter_count(all);
    for (size_t i = 0, end; i < n; i = end) {
        const Member first = *member_at(all, i);
        for (end = i + 1; end < n && member_at(all, end)->group == first.group;)
            end++;
        groups++;
        largest = MAX(largest, (int64_t)(end - i));
        torn += member_at(all, end - 1)->part != first.part;
    }
    *out = json_obj_new();
    json_set(*out, "column", json_str_new(str_of(p->cfg.group)));
    json_set(*out, "groups", json_int_new(groups));
    json_set(*out, "largest", json_int_new(largest));
    json_set(*out, "in_two_parts", json_int_new(torn));
    json_set(*out, "rows_without", json_int_new(without));
    sorter_free(all);
    free(path);
    return rc;
}

int division(const Prep *p, Json **out, Err *e)
{
    const bool labels = p->cfg.label && *p->cfg.label, groups = p->cfg.group && *p->cfg.group;
    Json      *one = NULL;
    int        rc = 0;
    *out = labels || groups ? json_obj_new() : NULL;
    if (labels && !(rc = labels_json(p, &one, e)))
        json_set(*out, "labels", json_ref(one));
    json_free(one);
    one = NULL;
    if (!rc && groups && !(rc = groups_json(p, &one, e)))
        json_set(*out, "groups", json_ref(one));
    json_free(one);
    return rc;
}
