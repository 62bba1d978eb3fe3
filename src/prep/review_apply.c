/* review_apply.c - the last verdicts take effect: where each row goes, what it says there, and the files anew (review_swap.c: all or none).
 * Invariant: a row is in exactly one part, before and after; the outcome hangs on the files and the actions alone, so a repetition changes nothing. */
#include "prep/review_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "prep/provenance.h"
#include "prep/record.h"

#define BLOCK   ((size_t)4 << 20)

typedef struct Accepted { uint32_t row, set; uint8_t home; } Accepted;   /* set: smallest index of those it goes with; home: where it goes when nothing binds it */

/* What the check of an edited row found. */
typedef struct Edited { uint32_t row; bool restored; char *leaves; const char *pass; Measure measure; } Edited; /* leaves: why, and by which pass; NULL: it may stay */

typedef struct Apply {
    Review  *r;
    ReviewApplyOptions options;
    VEC(Edited) edited;         /* ascending by row */
    StrBuf   log, subjects;     /* lines that those files get */
    uint8_t *to;                /* [rows] the part each row goes to */
    bool     dirty[RP_PARTS];   /* the part's file is written anew */
    VEC(Accepted) in;
    Map     *keys;              /* what binds rows together -> index of the first accepted row with it */
    VEC(uint8_t) mask;          /* [in] parts in which rows lie that belong to it */
    ReviewApplied facts;
} Apply;

/* ---- what belongs together: the rules of divide.c ------------------------------------------------------------------------------------------------------ */

static uint32_t set_of(Apply *a, uint32_t i)
{
    while (a->in.p[i].set != i)
        i = a->in.p[i].set = a->in.p[a->in.p[i].set].set;
    return i;
}

typedef struct Key { char kind; char pad[7]; uint64_t value; } Key;
static Str key_str(const Key *k) { return (Str){ (const char *)k, sizeof *k }; }

uint64_t review_columns_value(const char *columns, const Json *content)
{
    uint64_t h = 0;
    Str      item;
    StrBuf   scratch = { 0 };
    Record   rec = { .row = (Json *)(uintptr_t)content };
    while (columns && cfg_list_each(&columns, &item)) {
        char *name = mem_strndup(item.p, item.n);
        Str   value = record_meta(&rec, name, &scratch);
        free(name);
        if (value.n)
            h = h * 0x9E3779B97F4A7C15u + hash64(value.p, value.n) + 1;
    }
    strbuf_release(&scratch);
    return h;
}

/* Accepted row i has this key. */
static void bind_accepted(Apply *a, uint32_t i, Key k)
{
    int64_t other;
    if (!k.value)
        return;
    if (!map_get(a->keys, key_str(&k), &other)) {
        map_put(a->keys, key_str(&k), i);
        return;
    }
    uint32_t x = set_of(a, i), y = set_of(a, (uint32_t)other);
    a->in.p[MAX(x, y)].set = MIN(x, y);
}

/* A row that stays in `part` has this key. */
static void bind_part(Apply *a, uint8_t part, Key k)
{
    int64_t i;
    if (k.value && part != RP_REMOVED && map_get(a->keys, key_str(&k), &i))
        a->mask.p[i] = (uint8_t)(a->mask.p[i] | 1u << part);
}

typedef void (*KeyFn)(Apply *a, uint32_t at, Key k);
static void bind_part_at(Apply *a, uint32_t row, Key k) { bind_part(a, a->to[row], k); }

static int each_column_key(Apply *a, uint32_t row, KeyFn fn, uint32_t at, Err *e)
{
    const PrepCfg *c = &a->r->cfg;
    Json          *owner = NULL, *content = NULL;
    int            rc = 0;
    if (!(c->group && *c->group) && !(c->subject && *c->subject))
        return 0;
    if (!(rc = review_content(a->r, row, &owner, &content, e)) && content) {
        fn(a, at, (Key){ 'g', "", review_columns_value(c->group, content) });
        fn(a, at, (Key){ 's', "", review_columns_value(c->subject, content) });
    }
    json_free(owner);
    return rc;
}

/* Decisions of the duplicates pass name the row that was kept; rows with the same one are a cluster, and it is a part of it. */
static int each_cluster(Apply *a, uint32_t row, int64_t *kept, Err *e)
{
    const Review *r = a->r;
    int           rc = 0;
    *kept = 0;
    for (uint32_t i = r->row.p[row].mark, end = review_marks_end(r, row); i < end && !rc; i++) {
        Json *j = NULL;
        if (strcmp(r->reason.p[r->mark.p[i].kind].pass, "duplicates"))
            continue;
        rc = json_parse(&j, review_mark_line(r, &r->mark.p[i]), "decisions.jsonl", e);
        if (json_get(j, "kept"))
            *kept = json_int(json_get(j, "kept"));
        json_free(j);
    }
    return rc;
}

static int bind_all(Apply *a, Err *e)
{
    const Review *r = a->r;
    int64_t       kept;
    int           rc = 0;
    for (uint32_t i = 0; i < a->in.n && !rc; i++) {
        const uint32_t row = a->in.p[i].row;
        rc = each_column_key(a, row, bind_accepted, i, e);
        if (!rc && !(rc = each_cluster(a, row, &kept, e)))
            bind_accepted(a, i, (Key){ 'c', "", (uint64_t)(kept ? kept : r->row.p[row].id) });
    }
    for (uint32_t row = 0; row < r->row.n && !rc && a->in.n; row++) {
        if (a->to[row] == RP_REMOVED)
            continue;
        rc = each_column_key(a, row, bind_part_at, row, e);
        if (!rc && !(rc = each_cluster(a, row, &kept, e))) {
            bind_part(a, a->to[row], (Key){ 'c', "", (uint64_t)kept });
            bind_part(a, a->to[row], (Key){ 'c', "", r->row.p[row].id });
        }
    }
    return rc;
}

/* ---- where each row goes ---------------------------------------------------------------------------------------------------------------------------- */

static uint8_t home_of(const Review *r, uint32_t row)
{
    Json   *whole = NULL, *content;
    uint8_t home = RP_TRAIN;
    Err     err;
    if (!review_parse(r, row, &whole, &content, &err)) /* a row that a reviewer took out goes back to where it was */
        for (uint8_t p = RP_TRAIN; p < RP_PARTS; p++)
            if (str_eqz(json_str(json_get(whole, "part")), review_part[p]))
                home = p;
    json_free(whole);
    return home;
}

static void decide_rows(Apply *a)
{
    Review *r = a->r;
    for (uint32_t row = 0; row < r->row.n; row++) {
        RowState s;
        Err      why = { 0 };
        uint8_t  part = r->row.p[row].part;
        a->to[row] = part;
        if (!r->row.p[row].touched)
            continue;
        review_state(r, row, &s);
        a->facts.disagree += s.differ;
        if (s.verdict == REVIEW_REJECT && part != RP_REMOVED) {
            a->to[row] = RP_REMOVED;
            a->dirty[part] = a->dirty[RP_REMOVED] = true;
            a->facts.left++;
        } else if (s.verdict == REVIEW_ACCEPT && part == RP_REMOVED && review_sound(r, row, &why)) {
            if (!a->facts.unsound++)
                a->facts.unsound_why = why;
        } else if (s.verdict == REVIEW_ACCEPT && part == RP_REMOVED) {
            *vec_push(&a->in) = (Accepted){ row, (uint32_t)a->in.n - 1, home_of(r, row) };
        }
        if (s.edit != NO_ACTION && s.edit >= r->applied) {
            a->dirty[part] = true;
            a->facts.edited++;
            *vec_push(&a->edited) = (Edited){ .row = row, .restored = r->action.p[s.edit].kind == REVIEW_RESTORE };
        }
        if (s.label != NO_ACTION && s.label >= r->applied) {
            a->dirty[part] = true;
            a->facts.labelled++;
        }
    }
    for (uint32_t i = 0; i < a->in.n; i++) {
        a->in.p[i].set = i;
        *vec_push(&a->mask) = 0;
    }
}

static void place_accepted(Apply *a)
{
    for (uint32_t i = 0; i < a->in.n; i++)
        a->mask.p[set_of(a, i)] = (uint8_t)(a->mask.p[set_of(a, i)] | a->mask.p[i]);
    for (uint32_t i = 0; i < a->in.n; i++) {
        const uint32_t set = set_of(a, i);
        const uint8_t  mask = a->mask.p[set];
        uint8_t        part = a->in.p[set].home; /* of its first row, so that those who belong together stay together */
        for (uint8_t p = RP_TRAIN; p < RP_PARTS; p++)
            if (mask == 1u << p)
                part = p;
        if (mask & (mask - 1)) {
            a->facts.held++;
            continue;
        }
        a->to[a->in.p[i].row] = part;
        a->dirty[part] = a->dirty[RP_REMOVED] = true;
        a->facts.back++;
    }
}

/* ---- edited rows are checked ---------------------------------------------------------------------------------------------------------------------------- */

static int check_one(Apply *a, ReviewCheck *c, Edited *x, ReviewChecked *found, Err *e)
{
    Json *whole = NULL, *owner = NULL, *before = NULL, *after = NULL;
    int   rc = review_parse(a->r, x->row, &whole, &before, e);
    if (!rc)
        rc = review_content(a->r, x->row, &owner, &after, e);
    if (!rc)
        rc = review_check_row(c, x->row, before, after, x->restored && !json_int(json_get(owner, "edit")), found, e);
    if (!rc) {
        strbuf_add(&a->log, found->log.p, found->log.n);
        strbuf_add(&a->subjects, found->subjects.p, found->subjects.n);
        x->measure = found->measure;
        x->leaves = found->refused.n ? mem_strdup(found->refused.p) : NULL;
        x->pass = "tokens";
        a->facts.restored += x->restored;
        a->facts.personal += found->personal;
        a->facts.too_long += found->too_long;
    }
    json_free(whole);
    json_free(owner);
    return rc;
}

static int check_edited(Apply *a, Err *e)
{
    ReviewCheck  *c = NULL;
    ReviewChecked found = { 0 };
    int           rc = a->edited.n ? review_check_open(&c, a->r, &a->options, &a->facts.uncounted, e) : 0;
    for (size_t i = 0; i < a->edited.n && !rc; i++)
        rc = check_one(a, c, &a->edited.p[i], &found, e);
    review_check_close(c);
    review_checked_release(&found);
    return rc;
}

/* What training would refuse is in no part. */
static void take_refused_out(Apply *a)
{
    for (size_t i = 0; i < a->edited.n; i++) {
        const Edited *x = &a->edited.p[i];
        if (!x->leaves || a->to[x->row] == RP_REMOVED)
            continue;
        a->to[x->row] = RP_REMOVED;
        a->dirty[RP_REMOVED] = true;
        a->facts.refused++;
        a->facts.back -= a->r->row.p[x->row].part == RP_REMOVED;
    }
}

static Edited *edited_of(const Apply *a, uint32_t row)
{
    size_t lo = 0, hi = a->edited.n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (a->edited.p[mid].row < row)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < a->edited.n && a->edited.p[lo].row == row ? &a->edited.p[lo] : NULL;
}

/* ---- an edited row that asks what an evaluation row asks ------------------------------------------------------------------------------------------------- */

static void follow_overlap(Apply *a, ReviewOverlap *w)
{
    RowState s;
    StrBuf   why = { 0 };
    review_state(a->r, w->row, &s);
    if (s.verdict == REVIEW_ACCEPT) {
        strbuf_addf(&why, "after an edit it %s%s; it stays, since a reviewer accepted it", str_starts(str_of(w->why), "near") ? "is a " : "", w->why);
        decision_add(&a->log, (RowPlace){ a->r->row.p[w->row].id, review_source(a->r, w->row), 0 }, "overlap", ACTION_NOTE, strbuf_z(&why), NAN, NULL);
        strbuf_release(&why);
        a->facts.overlaps_kept++;
        return;
    }
    Edited *x = edited_of(a, w->row);
    strbuf_addz(&a->log, w->log);
    x->leaves = w->why;
    w->why = NULL;
    x->pass = "overlap";
    a->dirty[a->to[w->row]] = a->dirty[RP_REMOVED] = true;
    a->to[w->row] = RP_REMOVED;
    a->facts.overlaps++;
}

static int hold_edited(Apply *a, Err *e)
{
    ReviewOverlaps found = { 0 };
    VEC(uint32_t)  row = { 0 };
    for (size_t i = 0; i < a->edited.n; i++)
        *vec_push(&row) = a->edited.p[i].row;
    int rc = review_overlaps(a->r, a->to, row.p, row.n, a->options.pii_key, &found, &a->facts.unheld, e);
    for (size_t i = 0; i < found.n; i++) {
        if (!rc)
            follow_overlap(a, &found.p[i]);
        free(found.p[i].why);
        free(found.p[i].log);
    }
    if (!rc && a->facts.unheld.code) {
        StrBuf why = { 0 };
        strbuf_addf(&why, "edited rows were not held against the evaluation sets: %s", a->facts.unheld.text);
        decision_add(&a->log, (RowPlace){ 0, "", 0 }, "overlap", ACTION_NOTE, strbuf_z(&why), NAN, NULL);
        strbuf_release(&why);
    }
    vec_release(&found);
    vec_release(&row);
    return rc;
}

/* ---- an edited row that says what another part says ------------------------------------------------------------------------------------------------------ */

/* What is told of it: "an edit made it a near duplicate of row 29 (test), so it moved there from train". */
static void say_twin(const Apply *a, const ReviewTwin *w, StrBuf *out)
{
    static const char *const how[] = { [TWIN_EXACT] = "made it an exact copy of", [TWIN_NEAR] = "made it a near duplicate of", [TWIN_QUESTION] = "made it ask the same as" };
    strbuf_addf(out, "an edit %s ", how[w->how]);
    if (w->other == UINT32_MAX)
        strbuf_addz(out, "a row of another part");
    else
        strbuf_addf(out, "row %u (%s)", a->r->row.p[w->other].id, review_part[w->other_part]);
    if (w->to != RP_REMOVED)
        strbuf_addf(out, ", so it moved from %s to %s", review_part[w->from], review_part[w->to]);
    else if (w->torn)
        strbuf_addf(out, ", and other rows that belong to it stand in another part than that");
}

static void follow_twin(Apply *a, const ReviewTwin *w)
{
    const RowPlace at = { a->r->row.p[w->row].id, review_source(a->r, w->row), 0 };
    StrBuf         why = { 0 };
    Json          *more = NULL;
    say_twin(a, w, &why);
    if (w->how != TWIN_QUESTION && w->other != UINT32_MAX) { /* a cluster of the two from now on (each_cluster) */
        more = json_obj_new();
        json_set(more, "kept", json_int_new(a->r->row.p[w->other].id));
    }
    decision_add(&a->log, at, "duplicates", w->to == RP_REMOVED ? ACTION_REMOVE : ACTION_NOTE, strbuf_z(&why), w->jaccard, more);
    a->dirty[w->from] = a->dirty[w->to] = true;
    if (w->to == RP_REMOVED) {
        Edited *x = edited_of(a, w->row);
        x->leaves = strbuf_take(&why);
        x->pass = "duplicates";
        a->facts.twins++;
        a->facts.back -= a->r->row.p[w->row].part == RP_REMOVED;
    } else {
        a->facts.moved++;
    }
    strbuf_release(&why);
}

static int place_edited(Apply *a, Err *e)
{
    ReviewTwins   found = { 0 };
    VEC(uint32_t) row = { 0 };
    for (size_t i = 0; i < a->edited.n; i++)
        *vec_push(&row) = a->edited.p[i].row;
    int rc = review_twins(a->r, a->to, row.p, row.n, &found, e);
    for (size_t i = 0; i < found.n && !rc; i++)
        follow_twin(a, &found.p[i]);
    vec_release(&found);
    vec_release(&row);
    return rc;
}

/* ---- the new files ---------------------------------------------------------------------------------------------------------------------------------- */

void review_set_label(const Review *r, const RowState *s, Json *content)
{
    const char *column = r->cfg.label && *r->cfg.label ? r->cfg.label : "label";
    if (s->label == NO_ACTION || !content)
        return;
    if (json_kind(json_get(content, "meta")) != JSON_OBJECT)
        json_set(content, "meta", json_obj_new());
    json_set(json_get(content, "meta"), column, json_str_new(map_key(r->labels, r->action.p[s->label].label)));
}

static void put_left(const Apply *a, uint32_t row, const RowState *s, const Json *content, StrBuf *out)
{
    const Review    *r = a->r;
    const ReviewRow *w = &r->row.p[row];
    const Edited    *x = edited_of(a, row);
    StrBuf           reason = { 0 };
    Str              who = s->who >= 0 ? map_key(r->people, (size_t)s->who) : (Str){ 0 };
    const bool       edited = x && x->leaves && s->verdict != REVIEW_REJECT;
    if (edited)
        strbuf_addz(&reason, x->leaves);
    else
        strbuf_addf(&reason, "rejected by %.*s", (int)who.n, who.p);
    strbuf_addf(out, "{\"id\":%u,\"pass\":\"%s\",\"reason\":", w->id, edited ? x->pass : "review");
    json_write_string(out, strbuf_str(&reason));
    strbuf_addz(out, ",\"file\":");
    json_write_string(out, str_of(review_source(r, row)));
    strbuf_addf(out, ",\"part\":\"%s\",\"row\":", review_part[w->part]);
    json_write(out, content, false);
    strbuf_addz(out, "}\n");
    strbuf_release(&reason);
}

static int put_changed(const Apply *a, uint32_t row, StrBuf *out, Err *e)
{
    const Review *r = a->r;
    const uint8_t part = r->row.p[row].part;
    Json         *whole = NULL, *owner = NULL, *content = NULL, *unused;
    RowState      s;
    review_state(r, row, &s);
    int rc = review_content(r, row, &owner, &content, e);
    if (!rc)
        rc = review_parse(r, row, &whole, &unused, e);
    if (rc)
        goto done;
    review_set_label(r, &s, content);
    if (!content && (a->to[row] != RP_REMOVED || part != RP_REMOVED)) { /* review_act takes no accept of a raw row */
        rc = err_set(e, ERR_INPUT, "%s/review.jsonl accepts row %u, which could not be read and was not edited", r->dir, r->row.p[row].id);
    } else if (a->to[row] != RP_REMOVED) {
        json_write(out, content, false);
        strbuf_addc(out, '\n');
    } else if (part != RP_REMOVED) {
        put_left(a, row, &s, content, out);
    } else {
        if (content) {
            json_set(whole, "row", json_ref(content));
            json_drop(whole, "raw");
        }
        json_write(out, whole, false);
        strbuf_addc(out, '\n');
    }
done:
    json_free(whole);
    json_free(owner);
    return rc;
}

static bool row_changes(const Apply *a, uint32_t row)
{
    RowState s;
    if (!a->r->row.p[row].touched)
        return false;
    review_state(a->r, row, &s);
    return a->to[row] != a->r->row.p[row].part || (s.edit != NO_ACTION && s.edit >= a->r->applied) || (s.label != NO_ACTION && s.label >= a->r->applied);
}

static int put_part(const Apply *a, uint8_t part, const char *folder, Err *e)
{
    const Review *r = a->r;
    FileOut      *f = NULL;
    StrBuf        block = { 0 };
    char         *path = path_join(folder, review_file[part]);
    int           rc = file_out_open(&f, path, e);
    for (uint32_t row = 0; row < r->row.n && !rc; row++) {
        if (a->to[row] != part)
            continue;
        if (row_changes(a, row)) {
            rc = put_changed(a, row, &block, e);
        } else {
            Str line = review_line(r, row);
            strbuf_add(&block, line.p, line.n);
            strbuf_addc(&block, '\n');
        }
        if (!rc)
            rc = file_out_drain(f, &block, BLOCK, e);
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

static Json *part_object(Json *j, const char *key)
{
    if (json_kind(json_get(j, key)) != JSON_OBJECT)
        json_set(j, key, json_obj_new());
    return json_get(j, key);
}

/* The numbers of a row as it is after this. */
static bool numbers_of(const Apply *a, uint32_t row, Measure *m)
{
    const Edited *x = edited_of(a, row);
    const int64_t id = a->r->row.p[row].id;
    if (id > (int64_t)a->r->measures.n)
        return false;
    *m = x ? x->measure : a->r->measures.row[id - 1];
    return true;
}

static bool staying(const void *user, size_t i, Measure *m)
{
    const Apply *a = user;
    return a->to[i] != RP_REMOVED && numbers_of(a, (uint32_t)i, m);
}

static bool by_row_id(const void *user, size_t i, Measure *m)
{
    const Apply *a = user;
    uint32_t     row;
    if (review_find(a->r, (int64_t)i + 1, &row))
        return numbers_of(a, row, m);
    *m = a->r->measures.row[i];
    return true;
}

static void sum_up(Apply *a)
{
    Review *r = a->r;
    Json   *rows = part_object(r->manifest, "rows"), *review = part_object(r->manifest, "review");
    const struct { const char *key; int64_t more; } sums[] = {
        { "back", a->facts.back }, { "left", a->facts.left }, { "edited", a->facts.edited }, { "restored", a->facts.restored }, { "labelled", a->facts.labelled },
        { "personal", a->facts.personal }, { "too_long", a->facts.too_long }, { "refused", a->facts.refused },
        { "moved", a->facts.moved }, { "twins", a->facts.twins },
        { "overlaps", a->facts.overlaps }, { "overlaps_kept", a->facts.overlaps_kept }, { "control_left", a->facts.control_left },
    };
    part_object(r->manifest, "files");
    for (int p = 0; p < RP_PARTS; p++)
        json_set(rows, review_part[p], json_int_new(a->facts.part[p]));
    json_set(review, "actions", json_int_new((int64_t)r->action.n));
    for (size_t i = 0; i < ARRAY_LEN(sums); i++)
        json_set(review, sums[i].key, json_int_new(json_int(json_get(review, sums[i].key)) + sums[i].more));
    json_set(review, "held", json_int_new(a->facts.held));
    json_set(review, "unsound", json_int_new(a->facts.unsound));
    json_set(review, "disagree", json_int_new(a->facts.disagree));
    json_set(review, "agreement", review_agreement(r));
    if (r->measures.n)
        json_set(r->manifest, "statistics", measures_statistics(staying, a, r->row.n));
    else
        json_drop(r->manifest, "statistics"); /* an older hone made the folder; its tables are not true any more */
}

static int write_folder(Apply *a, Err *e)
{
    Review *r = a->r;
    char   *folder = NULL;
    int     rc = swap_begin(r, &folder, e);
    for (uint8_t p = 0; p < RP_PARTS && !rc; p++)
        if (a->dirty[p])
            rc = put_part(a, p, folder, e);
    if (!rc && a->log.n)
        rc = swap_longer(r, folder, "decisions.jsonl", strbuf_str(&a->log), e);
    if (!rc && a->subjects.n)
        rc = swap_longer(r, folder, "subjects.jsonl", strbuf_str(&a->subjects), e);
    if (!rc && a->edited.n && r->measures.n) {
        char *path = path_join(folder, "measures.bin");
        rc = measures_write(path, by_row_id, a, r->measures.n, e);
        free(path);
    }
    if (!rc)
        rc = review_controls(r, a->to, folder, &a->facts.control_left, e);
    if (!rc) {
        sum_up(a);
        rc = swap_manifest(r, folder, e);
    }
    if (!rc)
        rc = swap_commit(r, &folder, e);
    swap_abort(&folder);
    return rc;
}

static void count_parts(Apply *a)
{
    for (uint32_t row = 0; row < a->r->row.n; row++)
        a->facts.part[a->to[row]]++;
}

int review_apply(const char *dir, const ReviewApplyOptions *o, ReviewApplied *facts, Err *e)
{
    Apply a = { .keys = map_new(), .options = *o };
    *facts = (ReviewApplied){ 0 };
    int rc = review_open(&a.r, dir, &(ReviewOptions){ 0 }, e);
    if (rc)
        goto done;
    a.to = mem_zalloc(a.r->row.n + 1, 1);
    decide_rows(&a);
    if ((rc = bind_all(&a, e)))
        goto done;
    place_accepted(&a);
    if ((rc = check_edited(&a, e)))
        goto done;
    take_refused_out(&a);
    if ((rc = hold_edited(&a, e)))
        goto done;
    if ((rc = place_edited(&a, e)))
        goto done;
    count_parts(&a);
    if ((int64_t)a.r->action.n > a.r->applied && !(rc = write_folder(&a, e)))
        rc = swap_report(a.r, e);
    *facts = a.facts;
done:
    review_close(a.r);
    map_free(a.keys);
    vec_release(&a.in);
    vec_release(&a.mask);
    for (size_t i = 0; i < a.edited.n; i++)
        free(a.edited.p[i].leaves);
    vec_release(&a.edited);
    strbuf_release(&a.log);
    strbuf_release(&a.subjects);
    free(a.to);
    return rc;
}
