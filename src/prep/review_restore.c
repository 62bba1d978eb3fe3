/* review_restore.c - an edit is taken back: that of the repair pass by the texts in the log of decisions (before.h), that of a person by what review.jsonl
 * keeps of the row before it. Nothing is put back over what somebody has written since. */
#include "prep/review_int.h"

#include <stdlib.h>

#include "prep/before.h"
#include "prep/import.h"

Json *review_copy(const Json *j)
{
    StrBuf text = { 0 };
    Json  *copy = NULL;
    json_write(&text, j, false);
    int rc = json_parse(&copy, strbuf_str(&text), "row", NULL);
    BUG_ON(rc != 0); /* it was parsed from text before */
    strbuf_release(&text);
    return copy;
}

int review_canonical(int64_t id, const Json *old, const Json *said, Json **out, Err *e)
{
    static const ImportOptions none = { 0 };
    Import  *im = NULL;
    Record   rec = { 0 };
    StrBuf   note = { 0 };
    Json    *bare = json_obj_new(), *value;
    JsonIter it = { 0 };
    Str      key;
    int      rc = json_kind(said) == JSON_OBJECT ? 0 : err_set(e, ERR_ARG, "the edited row should be an object, it is %s", json_kind_name(said));
    while (!rc && json_each(said, &it, &key, &value))
        if (!str_eqz(key, "id") && !str_eqz(key, "meta"))
            json_set(bare, key.p, json_ref(value));
    if (!rc && !(rc = import_new(&im, &none, e))) {
        rc = import_row(im, bare, &rec, &note, e);
        bare = NULL;
    }
    if (!rc && note.n)
        rc = err_set(e, ERR_ARG, "the edited row is not in its canonical form: %s", strbuf_z(&note));
    if (!rc && json_get(rec.row, "meta"))
        rc = err_set(e, ERR_ARG, "the edited row has keys that its shape (%s) does not know", record_kind_name(rec.kind));
    if (!rc && old && record_kind_of(old) != (int)rec.kind)
        rc = err_set(e, ERR_ARG, "the edited row is of another kind (%s) than the row", record_kind_name(rec.kind));
    if (rc == ERR_INPUT)
        rc = e->code = ERR_ARG;
    if (!rc) {
        *out = json_obj_new();
        json_set(*out, "id", json_int_new(id));
        it = (JsonIter){ 0 };
        while (json_each(rec.row, &it, &key, &value))
            if (!str_eqz(key, "id"))
                json_set(*out, key.p, json_ref(value));
        if (json_get(old, "meta"))
            json_set(*out, "meta", json_ref(json_get(old, "meta")));
    }
    record_clear(&rec);
    import_free(im);
    strbuf_release(&note);
    json_free(bare);
    return rc;
}

/* What a row says: without its number and what stands beside it, which a label may have changed. */
static bool says_the_same(const Json *a, const Json *b)
{
    StrBuf      text[2] = { { 0 }, { 0 } };
    const Json *row[2] = { a, b };
    for (int i = 0; i < 2; i++) {
        Json    *value;
        JsonIter it = { 0 };
        Str      key;
        while (json_kind(row[i]) == JSON_OBJECT && json_each(row[i], &it, &key, &value))
            if (!str_eqz(key, "id") && !str_eqz(key, "meta")) {
                json_write_string(&text[i], key);
                json_write(&text[i], value, false);
            }
    }
    bool same = str_eq(strbuf_str(&text[0]), strbuf_str(&text[1]));
    strbuf_release(&text[0]);
    strbuf_release(&text[1]);
    return same;
}

/* The last edit of the repair pass in the log. */
static int take_repair_back(const Review *r, uint32_t row, const Json *content, Json **out, Err *e)
{
    Json *decision = NULL;
    int   rc = 0;
    for (uint32_t i = r->row.p[row].mark, end = review_marks_end(r, row); i < end && !rc; i++) {
        const ReviewReason *k = &r->reason.p[r->mark.p[i].kind];
        if (strcmp(k->pass, "repair") || strcmp(k->action, "edit"))
            continue;
        json_free(decision);
        decision = NULL;
        rc = json_parse(&decision, review_mark_line(r, &r->mark.p[i]), "decisions.jsonl", e);
    }
    if (!rc && !decision)
        rc = err_set(e, ERR_ARG, "no repair changed row %u", r->row.p[row].id);
    if (!rc && !json_get(decision, "before"))
        rc = err_set(e, ERR_ARG, "the texts before the repair are not in the log any more");
    if (!rc && !review_texts_known(content))
        rc = err_set(e, ERR_ARG, "row %u has no texts in a known form", r->row.p[row].id);
    if (!rc) {
        Record rec = { .row = review_copy(content), .kind = (RecordKind)record_kind_of(content) };
        rc = before_put_back(json_get(decision, "before"), &rec, e);
        if (!rc)
            rc = review_canonical(r->row.p[row].id, content, rec.row, out, e);
        json_free(rec.row);
    }
    json_free(decision);
    return rc;
}

static int take_action_back(const Review *r, uint32_t row, const Json *content, int64_t edit, Json **out, Err *e)
{
    const ReviewAction *a = edit >= 1 && (size_t)edit <= r->action.n ? &r->action.p[edit - 1] : NULL;
    Json               *j = NULL;
    if (!a || a->row != row || !review_kind_writes(a->kind))
        return err_set(e, ERR_ARG, "action %lld is no edit of row %u", (long long)edit, r->row.p[row].id);
    if (a->undone)
        return err_set(e, ERR_ARG, "it has been taken back already");
    int rc = review_action_json(r, a, &j, e);
    if (!rc && !says_the_same(json_get(j, "row_new"), content))
        rc = err_set(e, ERR_ARG, "the row has been edited since; take that edit back first");
    if (!rc && json_get(j, "raw_old"))
        rc = err_set(e, ERR_ARG, "the row could not be read before this edit, so there is no row to go back to; reject it and it leaves");
    if (!rc && json_kind(json_get(j, "row_old")) != JSON_OBJECT)
        rc = err_set(e, ERR_ARG, "review.jsonl does not say what the row was before (an older hone wrote it)");
    if (!rc)
        rc = review_canonical(r->row.p[row].id, content, json_get(j, "row_old"), out, e);
    json_free(j);
    return rc;
}

int review_restore(const Review *r, uint32_t row, const Json *content, int64_t edit, Json **out, Err *e)
{
    return edit ? take_action_back(r, row, content, edit, out, e) : take_repair_back(r, row, content, out, e);
}
