/* review_eval.c - an edit may make a row ask what an evaluation row of --eval asks. Edited rows are held against those sets once more, by the very pass of the
 * preparation (pass_overlap.c): near-duplicates, a question nearly whole, and 13 words that few others have. How many rows have such words is counted over the rows
 * that stay now. The sets are read from where they lay; one that is gone, or a file that has changed since, is told, and then no row is held against any.
 * A folder has no hash: it is not checked for changes, which is told as well, and edited rows are held against what lies there now.
 * Invariant: the outcome hangs on the files alone. Cost: the sets are indexed anew, and all rows that stay are read once where an edited row shares such words. */
#include <math.h>
#include <stdlib.h>

#include "base/log.h"
#include "prep/overlap.h"
#include "prep/prep_int.h"
#include "prep/review_int.h"

/* The files as the summary knows them; of an older hone it has no hashes, and what lies there is used. */
static bool sets_are_there(const Review *r, Err *why)
{
    const Json *known = json_get(r->manifest, "eval");
    const char *list = r->cfg.eval;
    Str         item;
    while (!why->code && cfg_list_each(&list, &item)) {
        char  hash[SHA256_HEX];
        char *path = mem_strndup(item.p, item.n);
        if (!file_exists(path) && !file_is_dir(path))
            err_set(why, ERR_INPUT, "%s of --eval is not there any more", path);
        else if (file_is_dir(path))
            log_warn("review", "%s of --eval is a folder, and folders are not checked: edited rows are held against what lies there now", path);
        else if (!sha256_file(path, hash, why))
            for (size_t i = 0; i < json_len(known); i++) {
                const Json *one = json_at(known, i);
                if (str_eqz(json_str(json_get(one, "file")), path) && json_get(one, "sha256") && !str_eqz(json_str(json_get(one, "sha256")), hash))
                    err_set(why, ERR_INPUT, "%s of --eval has changed since the preparation", path);
            }
        free(path);
    }
    return !why->code;
}

/* The passes that the evaluation rows go through, with the options of the folder. Without its key they count as they stand alone. */
static int open_passes(Prep *p, const Review *r, const char *pii_key, Err *e)
{
    const PrepCfg *c = &r->cfg;
    p->cfg = *c; /* its texts are the review's */
    p->cfg.out = r->dir;
    if (pii_key && *pii_key)
        p->cfg.pii_key = (char *)(uintptr_t)pii_key;
    p->pool = pool_new(1);
    char *key = prep_key_path(p);
    int   rc = import_new(&p->import, &(ImportOptions){ c->prompt, c->completion, c->system, c->text, c->roles }, e);
    if (!rc)
        rc = passes_open_one(p, &pass_repair, e);
    if (!rc && file_exists(key))
        rc = passes_open_one(p, &pass_pii, e);
    else if (!rc && c->pii != PREP_PII_OFF)
        log_warn("review", "%s is not there: rows are compared with the evaluation sets as those stand, without replaced personal data; give --pii-key FILE", key);
    if (!rc)
        rc = passes_open_one(p, &pass_overlap, e);
    free(key);
    return rc;
}

static int content_of(const Review *r, uint32_t row, Json **owner, Record *rec, Err *e)
{
    Json *content = NULL;
    int   rc = review_content(r, row, owner, &content, e);
    int   kind = rc || !content ? -1 : record_kind_of(content);
    *rec = (Record){ .row = kind < 0 ? NULL : content, .kind = (RecordKind)MAX(kind, 0) };
    return rc;
}

/* By what the row has alone. *shares: it may have more, beside others. */
static int look_at(const Prep *p, const Review *r, uint32_t row, ReviewOverlap *out, bool *shares, bool *found, Err *e)
{
    Json   *owner = NULL;
    RowWork w = { .at = { r->row.p[row].id, review_source(r, row), 0 } };
    int     rc = content_of(r, row, &owner, &w.rec, e);
    *found = *shares = false;
    if (!rc && w.rec.row) {
        pass_overlap.row(pass_state(p, &pass_overlap), &w);
        *found = row_removed(&w);
        *shares = !*found && w.entry.shares;
    }
    if (*found)
        *out = (ReviewOverlap){ .row = row, .why = mem_strdup(strbuf_z(&w.why)), .log = strbuf_take(&w.log) };
    w.rec.row = NULL; /* the owner's */
    row_release(&w);
    json_free(owner);
    return rc;
}

/* By runs of words: how many rows that stay have them decides. */
static int look_beside(const Prep *p, const Review *r, const uint8_t *to, const uint32_t *row, size_t n, ReviewOverlaps *out, Err *e)
{
    OverlapCount *c = overlap_count_new(pass_state(p, &pass_overlap));
    Json         *owner = NULL;
    Record        rec;
    int           rc = 0;
    for (uint32_t i = 0; i < r->row.n && !rc; i++, json_free(owner), owner = NULL)
        if (to[i] != RP_REMOVED && !(rc = content_of(r, i, &owner, &rec, e)) && rec.row)
            overlap_count(c, &rec, i);
    for (size_t i = 0; i < n && !rc; i++, json_free(owner), owner = NULL) {
        if ((rc = content_of(r, row[i], &owner, &rec, e)))
            break;
        Json        *told;
        const size_t overlaps = overlap_judge(c, &rec, &told);
        StrBuf       log = { 0 };
        if (overlaps) {
            decision_add(&log, (RowPlace){ r->row.p[row[i]].id, review_source(r, row[i]), 0 }, "overlap", ACTION_REMOVE, OVERLAP_RUN, (double)overlaps, told);
            *vec_push(out) = (ReviewOverlap){ .row = row[i], .why = mem_strdup(OVERLAP_RUN), .log = strbuf_take(&log) };
        } else {
            json_free(told);
        }
    }
    json_free(owner);
    overlap_count_free(c);
    return rc;
}

int review_overlaps(const Review *r, const uint8_t *to, const uint32_t *edited, size_t n, const char *pii_key, ReviewOverlaps *out, Err *unheld, Err *e)
{
    Prep          p = { 0 };
    VEC(uint32_t) share = { 0 };
    int           rc = 0;
    *unheld = (Err){ 0 };
    if (!n || !r->cfg.eval || !*r->cfg.eval || !sets_are_there(r, unheld))
        return 0;
    rc = open_passes(&p, r, pii_key, e);
    for (size_t i = 0; i < n && !rc; i++) {
        ReviewOverlap one;
        bool          shares = false, found = false;
        if (to[edited[i]] == RP_REMOVED)
            continue;
        rc = look_at(&p, r, edited[i], &one, &shares, &found, e);
        if (found)
            *vec_push(out) = one;
        if (shares)
            *vec_push(&share) = edited[i];
    }
    if (!rc && share.n)
        rc = look_beside(&p, r, to, share.p, share.n, out, e);
    vec_release(&share);
    passes_close(&p);
    import_free(p.import);
    pool_free(p.pool);
    return rc;
}
