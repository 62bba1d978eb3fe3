/* review_apply.c - the last verdicts take effect.
 * Order, so that a kill at any point loses nothing: the new files are written into a folder beside the old ones and flushed; the folder appears under its name
 * DATA/review-apply at once (that is the decision); its files are renamed over the old ones one by one; the empty folder goes. Whoever opens DATA next
 * finds the folder and goes on with the renaming; what stands in a folder of another name was never decided and is cleared.
 * Invariant: a row is in exactly one part, before and after; the outcome hangs on the files and the actions alone, so a repetition changes nothing. */
#include "prep/review_int.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "prep/prep_report.h"
#include "prep/record.h"

#define DECIDED "review-apply"
#define BLOCK   ((size_t)4 << 20)

static const char *const swapped[] = { "removed.jsonl", "train.jsonl", "validation.jsonl", "test.jsonl", "manifest.json" }; /* the summary last */

typedef struct Accepted { uint32_t row, set; uint8_t home; } Accepted;   /* set: smallest index of those it goes with; home: where it goes when nothing binds it */

typedef struct Apply {
    Review  *r;
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

/* Values of the columns as one number; 0: the row has none of them. */
static uint64_t columns_value(const char *columns, const Json *content)
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
        fn(a, at, (Key){ 'g', "", columns_value(c->group, content) });
        fn(a, at, (Key){ 's', "", columns_value(c->subject, content) });
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
        } else if (s.verdict == REVIEW_ACCEPT && part == RP_REMOVED) {
            *vec_push(&a->in) = (Accepted){ row, (uint32_t)a->in.n - 1, home_of(r, row) };
        }
        if (s.edit != NO_ACTION && s.edit >= r->applied) {
            a->dirty[part] = true;
            a->facts.edited++;
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

/* ---- the new files ---------------------------------------------------------------------------------------------------------------------------------- */

static void set_label(const Review *r, const RowState *s, Json *content)
{
    const char *column = r->cfg.label && *r->cfg.label ? r->cfg.label : "label";
    if (s->label == NO_ACTION || !content)
        return;
    if (json_kind(json_get(content, "meta")) != JSON_OBJECT)
        json_set(content, "meta", json_obj_new());
    json_set(json_get(content, "meta"), column, json_str_new(map_key(r->labels, r->action.p[s->label].label)));
}

static void put_rejected(const Apply *a, uint32_t row, const RowState *s, const Json *content, StrBuf *out)
{
    const Review    *r = a->r;
    const ReviewRow *w = &r->row.p[row];
    StrBuf           reason = { 0 };
    Str              who = map_key(r->people, (size_t)s->who);
    strbuf_addf(&reason, "rejected by %.*s", (int)who.n, who.p);
    strbuf_addf(out, "{\"id\":%u,\"pass\":\"review\",\"reason\":", w->id);
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
    set_label(r, &s, content);
    if (!content && (a->to[row] != RP_REMOVED || part != RP_REMOVED)) { /* review_act takes no accept of a raw row */
        rc = err_set(e, ERR_INPUT, "%s/review.jsonl accepts row %u, which could not be read and was not edited", r->dir, r->row.p[row].id);
    } else if (a->to[row] != RP_REMOVED) {
        json_write(out, content, false);
        strbuf_addc(out, '\n');
    } else if (part != RP_REMOVED) {
        put_rejected(a, row, &s, content, out);
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
        if (!rc && block.n >= BLOCK) {
            rc = file_out_write(f, block.p, block.n, e);
            strbuf_clear(&block);
        }
    }
    if (!rc)
        rc = file_out_write(f, block.p, block.n, e);
    if (!rc)
        rc = file_out_commit(&f, e);
    file_out_abort(&f);
    strbuf_release(&block);
    free(path);
    return rc;
}

static int set_hash(Json *files, const char *folder, const char *name, Err *e)
{
    char  hash[SHA256_HEX];
    char *path = path_join(folder, name);
    int   rc = sha256_file(path, hash, e);
    if (!rc)
        json_set(files, name, json_str_new(str_of(hash)));
    free(path);
    return rc;
}

static Json *part_object(Json *j, const char *key)
{
    if (json_kind(json_get(j, key)) != JSON_OBJECT)
        json_set(j, key, json_obj_new());
    return json_get(j, key);
}

static int put_manifest(Apply *a, const char *folder, Err *e)
{
    Review *r = a->r;
    Json   *j = r->manifest, *files = part_object(j, "files"), *rows = part_object(j, "rows"), *review = part_object(j, "review");
    StrBuf  text = { 0 };
    char   *path = path_join(folder, "manifest.json");
    int     rc = set_hash(files, r->dir, "decisions.jsonl", e);
    for (int p = 0; p < RP_PARTS && !rc; p++) {
        if (a->dirty[p])
            rc = set_hash(files, folder, review_file[p], e);
        json_set(rows, review_part[p], json_int_new(a->facts.part[p]));
    }
    json_set(review, "actions", json_int_new((int64_t)r->action.n));
    json_set(review, "back", json_int_new(json_int(json_get(review, "back")) + a->facts.back));
    json_set(review, "left", json_int_new(json_int(json_get(review, "left")) + a->facts.left));
    json_set(review, "edited", json_int_new(json_int(json_get(review, "edited")) + a->facts.edited));
    json_set(review, "labelled", json_int_new(json_int(json_get(review, "labelled")) + a->facts.labelled));
    json_set(review, "held", json_int_new(a->facts.held));
    json_set(review, "disagree", json_int_new(a->facts.disagree));
    json_set(review, "agreement", review_agreement(r));
    json_write(&text, j, true);
    strbuf_addc(&text, '\n');
    if (!rc)
        rc = file_write_atomic(path, text.p, text.n, e);
    strbuf_release(&text);
    free(path);
    return rc;
}

static int write_folder(Apply *a, Err *e)
{
    char *tmp = NULL, *decided = path_join(a->r->dir, DECIDED);
    int   rc = folder_begin(&tmp, decided, e);
    for (uint8_t p = 0; p < RP_PARTS && !rc; p++)
        if (a->dirty[p])
            rc = put_part(a, p, tmp, e);
    if (!rc)
        rc = put_manifest(a, tmp, e);
    if (!rc)
        rc = folder_commit(&tmp, decided, e);
    folder_abort(&tmp);
    free(decided);
    return rc;
}

/* ---- the swap ----------------------------------------------------------------------------------------------------------------------------------------- */

int review_apply_resume(const char *dir, Err *e)
{
    char *decided = path_join(dir, DECIDED);
    int   rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(swapped) && !rc && file_is_dir(decided); i++) {
        char *from = path_join(decided, swapped[i]), *to = path_join(dir, swapped[i]);
        if (file_exists(from))
            rc = file_rename(from, to, e);
        free(from);
        free(to);
    }
    if (!rc && file_is_dir(decided) && !(rc = file_sync(dir, e)))
        rc = dir_remove(decided, e);
    free(decided);
    return rc;
}

/* The page for people is made of the files, so it is made anew. */
static int renew_report(const Review *r, Err *e)
{
    char *path = path_join(r->dir, "report.html");
    int   rc = file_exists(path) ? prep_report_write(r->dir, r->manifest, e) : 0;
    free(path);
    return rc;
}

static void count_parts(Apply *a)
{
    for (uint32_t row = 0; row < a->r->row.n; row++)
        a->facts.part[a->to[row]]++;
}

int review_apply(const char *dir, ReviewApplied *facts, Err *e)
{
    Apply a = { .keys = map_new() };
    *facts = (ReviewApplied){ 0 };
    int rc = review_open(&a.r, dir, &(ReviewOptions){ 0 }, e);
    if (rc)
        goto done;
    a.to = mem_zalloc(a.r->row.n + 1, 1);
    decide_rows(&a);
    if ((rc = bind_all(&a, e)))
        goto done;
    place_accepted(&a);
    count_parts(&a);
    if ((int64_t)a.r->action.n > a.r->applied && !(rc = write_folder(&a, e)) && !(rc = review_apply_resume(a.r->dir, e)))
        rc = renew_report(a.r, e);
    *facts = a.facts;
done:
    review_close(a.r);
    map_free(a.keys);
    vec_release(&a.in);
    vec_release(&a.mask);
    free(a.to);
    return rc;
}
