/* review_log.c - what people decide: appended to review.jsonl and to the log of decisions, on disk before it counts; read back when the folder is opened.
 * Invariants: review.jsonl is the truth, its lines are numbered from 1 without a gap; the log of decisions has a line for each of them after opening; an
 * action is in both or in none. */
#include "prep/review_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "prep/provenance.h"

static const struct { const char *name; Action action; const char *reason; bool verdict, writes; } kinds[REVIEW_KINDS] = {
    [REVIEW_ACCEPT]  = { "accept",  ACTION_KEEP,   "accepted",  true,  false },
    [REVIEW_REJECT]  = { "reject",  ACTION_REMOVE, "rejected",  true,  false },
    [REVIEW_EDIT]    = { "edit",    ACTION_EDIT,   "edited",    false, true },
    [REVIEW_RESTORE] = { "restore", ACTION_EDIT,   "an edit taken back", false, true },
    [REVIEW_LABEL]   = { "label",   ACTION_NOTE,   "labelled",  false, false },
    [REVIEW_COMMENT] = { "comment", ACTION_NOTE,   "commented", false, false },
    [REVIEW_UNDO]    = { "undo",    ACTION_NOTE,   "took back", false, false },
};

bool review_kind_writes(int kind) { return kinds[kind].writes; }

const char *review_kind_name(ReviewKind k)
{
    BUG_ON((size_t)k >= REVIEW_KINDS);
    return kinds[k].name;
}

bool review_kind_find(Str name, ReviewKind *k)
{
    for (int i = 0; i < REVIEW_KINDS; i++)
        if (str_eqz(name, kinds[i].name)) {
            *k = (ReviewKind)i;
            return true;
        }
    return false;
}

/* ---- what the actions say of a row ------------------------------------------------------------------------------------------------------------------ */

static Str row_key(const uint32_t *row) { return (Str){ (const char *)row, sizeof *row }; }

uint32_t review_last(const Review *r, uint32_t row)
{
    int64_t at;
    return map_get(r->last, row_key(&row), &at) ? (uint32_t)at : NO_ACTION;
}

void review_state(const Review *r, uint32_t row, RowState *s)
{
    bool heard[REVIEW_PEOPLE_MAX] = { false };
    *s = (RowState){ .verdict = -1, .edit = NO_ACTION, .label = NO_ACTION, .who = -1 };
    for (uint32_t i = review_last(r, row); i != NO_ACTION; i = r->action.p[i].before) {
        const ReviewAction *a = &r->action.p[i];
        if (a->undone)
            continue;
        if (kinds[a->kind].verdict && s->verdict < 0) {
            s->verdict = a->kind;
            s->who = a->who;
        }
        if (kinds[a->kind].verdict && !heard[a->who]) {
            heard[a->who] = true;
            s->differ = s->differ || a->kind != s->verdict;
        }
        if (kinds[a->kind].writes && s->edit == NO_ACTION)
            s->edit = i;
        if (a->kind == REVIEW_LABEL && s->label == NO_ACTION)
            s->label = i;
        s->commented = s->commented || a->kind == REVIEW_COMMENT;
    }
}

int review_verdict_of(const Review *r, uint32_t row, int who)
{
    for (uint32_t i = review_last(r, row); i != NO_ACTION; i = r->action.p[i].before)
        if (!r->action.p[i].undone && kinds[r->action.p[i].kind].verdict && r->action.p[i].who == who)
            return r->action.p[i].kind;
    return -1;
}

int review_action_json(const Review *r, const ReviewAction *a, Json **out, Err *e)
{
    char   *path = path_join(r->dir, "review.jsonl");
    FileMap m;
    int     rc = file_map(&m, path, e);
    if (!rc && a->off + a->bytes > m.n)
        rc = err_set(e, ERR_INPUT, "%s was cut while it was in use", path);
    if (!rc)
        rc = json_parse(out, (Str){ (const char *)m.p + a->off, a->bytes }, path, e);
    file_unmap(&m);
    free(path);
    return rc;
}

int review_content(const Review *r, uint32_t row, Json **owner, Json **content, Err *e)
{
    RowState s;
    review_state(r, row, &s);
    if (s.edit == NO_ACTION)
        return review_parse(r, row, owner, content, e);
    int rc = review_action_json(r, &r->action.p[s.edit], owner, e);
    *content = rc ? NULL : json_get(*owner, "row_new");
    return rc;
}

bool review_pending(const Review *r, uint32_t row, const RowState *s)
{
    const bool removed = r->row.p[row].part == RP_REMOVED;
    return (s->verdict == REVIEW_ACCEPT && removed) || (s->verdict == REVIEW_REJECT && !removed) || (s->edit != NO_ACTION && s->edit >= r->applied) ||
           (s->label != NO_ACTION && s->label >= r->applied);
}

/* ---- an action takes effect in memory --------------------------------------------------------------------------------------------------------------- */

static int index_of(Map *names, Str name, size_t max, const char *what, Err *e)
{
    int64_t at;
    if (map_get(names, name, &at))
        return (int)at;
    if (map_count(names) == max)
        return err_set(e, ERR_ARG, "there are %zu %s already, and no more are kept", max, what);
    map_put(names, name, (int64_t)map_count(names));
    return (int)map_count(names) - 1;
}

static void take_effect(Review *r, ReviewAction a, int64_t undoes)
{
    const uint32_t at = (uint32_t)r->action.n;
    a.before = NO_ACTION;
    if (undoes) {
        r->action.p[undoes - 1].undone = true;
        a.row = NO_ACTION;
    } else if (a.row != NO_ACTION) {
        a.before = review_last(r, a.row);
        map_put(r->last, row_key(&a.row), at);
        r->row.p[a.row].touched = 1;
    }
    *vec_push(&r->action) = a;
}

/* ---- reading back ----------------------------------------------------------------------------------------------------------------------------------- */

static int check_undo(const Review *r, int64_t undoes, int who, const char *where, Err *e)
{
    if (undoes < 1 || (size_t)undoes > r->action.n || r->action.p[undoes - 1].who != who || r->action.p[undoes - 1].kind == REVIEW_UNDO)
        return err_set(e, ERR_INPUT, "%s: \"undoes\" is %lld, which is no earlier action of the same reviewer", where, (long long)undoes);
    return 0;
}

static int read_action(Review *r, Str line, uint64_t off, const char *where, Err *e)
{
    Json      *j = NULL;
    int64_t    n = 0, row = 0, undoes = 0;
    Str        who, action, text = { 0 };
    ReviewKind kind = REVIEW_UNDO;
    int        person = 0, label = 0;
    bool       erased = false;
    int rc = json_parse(&j, line, where, e);
    if (rc || (rc = json_need_int(j, "n", &n, where, e)) || (rc = json_need_int(j, "row", &row, where, e)) || (rc = json_need_str(j, "reviewer", &who, where, e)) ||
        (rc = json_need_str(j, "action", &action, where, e)) || (rc = json_opt_str(j, "text", &text, where, e)) || (rc = json_opt_int(j, "undoes", &undoes, where, e)) || (rc = json_opt_bool(j, "erased", &erased, where, e)))
        goto done;
    if (n != (int64_t)r->action.n + 1)
        rc = err_set(e, ERR_INPUT, "%s: \"n\" is %lld and should be %zu; lines were taken out or put in", where, (long long)n, r->action.n + 1);
    else if (line.n > UINT32_MAX || n >= NO_ACTION)
        rc = err_set(e, ERR_INPUT, "%s: too much for a review", where);
    else if (!review_kind_find(action, &kind))
        rc = err_set(e, ERR_INPUT, "%s: \"%.*s\" is no action of a review", where, (int)MIN(action.n, 40), action.p);
    else if ((person = index_of(r->people, who, REVIEW_PEOPLE_MAX, "reviewers", e)) < 0)
        rc = person;
    else if (kind == REVIEW_LABEL && !erased && (label = index_of(r->labels, text, UINT16_MAX, "labels", e)) < 0)
        rc = label;
    else if (kind == REVIEW_UNDO)
        rc = check_undo(r, undoes, person, where, e);
    else if (kinds[kind].writes && !erased && (json_kind(json_get(j, "row_new")) != JSON_OBJECT || json_int(json_get(json_get(j, "row_new"), "id")) != row))
        rc = err_set(e, ERR_INPUT, "%s: an edit needs a \"row_new\" with the id %lld", where, (long long)row);
    if (!rc) {
        uint32_t at = NO_ACTION;
        if (!review_find(r, row, &at) || erased) /* what it said is gone, and in the files */
            at = NO_ACTION;
        take_effect(r, (ReviewAction){ .off = off, .bytes = (uint32_t)line.n, .row = at, .who = (uint16_t)person, .label = (uint16_t)label, .kind = (uint8_t)kind },
                    kind == REVIEW_UNDO ? undoes : 0);
    }
done:
    json_free(j);
    return rc;
}

/* Lines up to the last whole one; *whole: their bytes. */
static int read_actions(Review *r, const FileMap *m, uint64_t *whole, Err *e)
{
    int rc = 0;
    *whole = 0;
    while (!rc && *whole < m->n) {
        char        where[96];
        const char *p = (const char *)m->p + *whole, *end = memchr(p, '\n', m->n - *whole);
        if (!end)
            break; /* a power loss cut it; its reviewer never heard that it counts */
        snprintf(where, sizeof where, "review.jsonl, line %zu", r->action.n + 1);
        rc = read_action(r, (Str){ p, (size_t)(end - p) }, *whole, where, e);
        *whole += (uint64_t)(end - p) + 1;
    }
    return rc ? err_wrap(e, "%s", r->dir) : 0;
}

/* ---- writing ---------------------------------------------------------------------------------------------------------------------------------------- */

/* Where the row came from: its own line in removed.jsonl, or what a decision says, or the manifest's counts. `owner` keeps the text alive. */
static RowPlace place_of(const Review *r, uint32_t row, Json **owner)
{
    const ReviewRow *w = &r->row.p[row];
    RowPlace         at = { w->id, review_source(r, row), 0 };
    Str              line = { 0 };
    if (w->part == RP_REMOVED)
        line = review_line(r, row);
    else if (w->mark < review_marks_end(r, row))
        line = review_mark_line(r, &r->mark.p[w->mark]);
    if (line.n && !json_parse(owner, line, "", NULL)) {
        Str file = json_str(json_get(*owner, "file"));
        if (file.n)
            at = (RowPlace){ w->id, file.p, json_int(json_get(*owner, "line")) };
    }
    return at;
}

static void add_decision(const Review *r, const ReviewAction *a, int64_t n, int64_t undoes, Str text, StrBuf *out)
{
    const ReviewAction *about = undoes ? &r->action.p[undoes - 1] : a;
    Json    *owner = NULL, *more = json_obj_new();
    StrBuf   reason = { 0 };
    RowPlace at = { 0, "", 0 };
    if (about->row != NO_ACTION)
        at = place_of(r, about->row, &owner);
    strbuf_addf(&reason, "%s by a reviewer", kinds[a->kind].reason);
    json_set(more, "review", json_int_new(n));
    json_set(more, "reviewer", json_str_new(map_key(r->people, a->who)));
    if (undoes)
        json_set(more, "undoes", json_str_new(str_of(kinds[about->kind].name)));
    if (text.n)
        json_set(more, "text", json_str_new(text));
    decision_add(out, at, "review", kinds[a->kind].action, strbuf_z(&reason), NAN, more);
    strbuf_release(&reason);
    json_free(owner);
}

static int log_back(FileLog *f, uint64_t size, Err *e)
{
    char *path = mem_strdup(f->path);
    file_log_close(f);
    int rc = file_log_open(f, path, size, e);
    free(path);
    return rc;
}

static int put_both(Review *r, Str line, Str decision, Err *e)
{
    const uint64_t a = r->log.size, b = r->prov.size;
    Err            back;
    if (r->stuck)
        return err_set(e, ERR_IO, "%s: an earlier failure to write could not be taken back; start the review again", r->dir);
    int rc = file_log_add(&r->log, line.p, line.n, e);
    if (!rc)
        rc = file_log_add(&r->prov, decision.p, decision.n, e);
    if (!rc)
        rc = file_log_sync(&r->log, e);
    if (!rc)
        rc = file_log_sync(&r->prov, e);
    if (rc) /* a file whose flush failed may have lost what was written: both are cut to what was known before */
        r->stuck = log_back(&r->log, a, &back) || log_back(&r->prov, b, &back);
    return rc;
}

/* The log of decisions lacks what was written to review.jsonl before a crash. */
static int catch_up(Review *r, Err *e)
{
    StrBuf text = { 0 };
    int    rc = 0;
    for (size_t i = (size_t)MIN(r->logged, (int64_t)r->action.n); i < r->action.n && !rc; i++) {
        Json *j = NULL;
        rc = review_action_json(r, &r->action.p[i], &j, e);
        if (!rc)
            add_decision(r, &r->action.p[i], (int64_t)i + 1, json_int(json_get(j, "undoes")), json_str(json_get(j, "text")), &text);
        json_free(j);
    }
    if (!rc && text.n && !(rc = file_log_add(&r->prov, text.p, text.n, e)))
        rc = file_log_sync(&r->prov, e);
    strbuf_release(&text);
    return rc;
}

int review_log_open(Review *r, Err *e)
{
    char    *path = path_join(r->dir, "review.jsonl"), *decisions = path_join(r->dir, "decisions.jsonl");
    uint64_t whole = 0, known = r->decisions.n;
    FileMap  m = { 0 };
    int      rc = file_exists(path) ? file_map(&m, path, e) : 0;
    while (known && r->decisions.p[known - 1] != '\n')
        known--;
    if (!rc)
        rc = read_actions(r, &m, &whole, e);
    file_unmap(&m);
    if (!rc && !r->read_only && !(rc = file_log_open(&r->log, path, whole, e)) && !(rc = file_log_open(&r->prov, decisions, known, e)))
        rc = catch_up(r, e);
    free(path);
    free(decisions);
    return rc;
}

void review_log_close(Review *r)
{
    file_log_close(&r->log);
    file_log_close(&r->prov);
    vec_release(&r->action);
}

/* ---- a new action ----------------------------------------------------------------------------------------------------------------------------------- */

static int check_text(Str s, const char *what, size_t max, bool lines, Err *e)
{
    size_t bad;
    if (!s.n)
        return err_set(e, ERR_ARG, "the %s is empty", what);
    if (s.n > max)
        return err_set(e, ERR_ARG, "the %s has %zu bytes; at most %zu are kept", what, s.n, max);
    if (!utf8_valid(s, &bad))
        return err_set(e, ERR_ARG, "the %s is no UTF-8 at byte %zu", what, bad);
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 32 && !(lines && (s.p[i] == '\n' || s.p[i] == '\t')))
            return err_set(e, ERR_ARG, "the %s holds a control character", what);
    return 0;
}

/* row_new in canonical form, and what the row said before: *old is borrowed from *owner; NULL: it could not be read. */
static int check_edit(const Review *r, uint32_t row, const ReviewAct *in, Json **owner, Json **old, Json **out, Err *e)
{
    int rc = review_content(r, row, owner, old, e);
    if (!rc && in->kind == REVIEW_RESTORE)
        return review_restore(r, row, *old, in->edit, out, e);
    return rc ? rc : review_canonical(r->row.p[row].id, *old, in->row_new, out, e);
}

static int find_undo(const Review *r, int who, int64_t *undoes, Err *e)
{
    for (size_t i = r->action.n; i-- > 0;) {
        const ReviewAction *a = &r->action.p[i];
        if (a->who != who || a->undone || a->kind == REVIEW_UNDO)
            continue;
        *undoes = (int64_t)i + 1;
        if (*undoes <= r->applied)
            return err_set(e, ERR_ARG, "your last action is in the files already (--apply); give the opposite verdict instead");
        return 0;
    }
    return err_set(e, ERR_ARG, "there is nothing of yours to take back");
}

static int put_action(Review *r, const ReviewAct *in, ReviewAction a, int64_t undoes, Json *row_new, const Json *owner, const Json *old, Err *e)
{
    char          when[32];
    const int64_t n = (int64_t)r->action.n + 1;
    const ReviewAction *about = undoes ? &r->action.p[undoes - 1] : &a;
    StrBuf        line = { 0 }, decision = { 0 };
    Json         *j = json_obj_new();
    clock_iso8601(when);
    json_set(j, "n", json_int_new(n));
    json_set(j, "row", json_int_new(about->row == NO_ACTION ? 0 : r->row.p[about->row].id));
    json_set(j, "reviewer", json_str_new(in->reviewer));
    json_set(j, "action", json_str_new(str_of(kinds[in->kind].name)));
    json_set(j, "time", json_str_new(str_of(when)));
    if (in->text.n)
        json_set(j, "text", json_str_new(in->text));
    if (undoes)
        json_set(j, "undoes", json_int_new(undoes));
    if (in->kind == REVIEW_RESTORE)
        json_set(j, "edit", json_int_new(in->edit));
    if (row_new)
        json_set(j, "row_new", row_new);
    if (row_new && old)
        json_set(j, "row_old", review_copy(old));
    else if (row_new && json_get(owner, "raw"))
        json_set(j, "raw_old", json_ref(json_get(owner, "raw")));
    json_write(&line, j, false);
    a.off = r->log.size;
    a.bytes = (uint32_t)line.n;
    strbuf_addc(&line, '\n');
    add_decision(r, &a, n, undoes, in->text, &decision);
    int rc = put_both(r, strbuf_str(&line), strbuf_str(&decision), e);
    if (!rc)
        take_effect(r, a, undoes);
    json_free(j);
    strbuf_release(&line);
    strbuf_release(&decision);
    return rc;
}

static int act(Review *r, const ReviewAct *in, int64_t *row, Err *e)
{
    ReviewAction a = { .row = NO_ACTION, .kind = (uint8_t)in->kind };
    Json        *row_new = NULL, *owner = NULL, *old = NULL;
    int64_t      undoes = 0;
    int          rc = check_text(in->reviewer, "reviewer's name", REVIEW_NAME_MAX, false, e), who, label = 0;
    if (!rc && in->kind == REVIEW_LABEL)
        rc = check_text(in->text, "label", REVIEW_LABEL_MAX, false, e);
    if (!rc && in->kind == REVIEW_COMMENT)
        rc = check_text(in->text, "comment", REVIEW_TEXT_MAX, true, e);
    if (!rc && in->text.n && in->kind != REVIEW_LABEL && in->kind != REVIEW_COMMENT)
        rc = err_set(e, ERR_ARG, "\"%s\" takes no text", kinds[in->kind].name);
    if (!rc && in->kind != REVIEW_UNDO && !review_find(r, in->row, &a.row))
        rc = err_set(e, ERR_ARG, "there is no row %lld", (long long)in->row);
    if (!rc && r->action.n >= NO_ACTION - 1)
        rc = err_set(e, ERR_ARG, "the review has %zu actions, and no more are kept", r->action.n);
    if (!rc && (who = index_of(r->people, in->reviewer, REVIEW_PEOPLE_MAX, "reviewers", e)) < 0)
        rc = who;
    else if (!rc)
        a.who = (uint16_t)who;
    if (!rc && in->kind == REVIEW_LABEL && (label = index_of(r->labels, in->text, UINT16_MAX, "labels", e)) < 0)
        rc = label;
    a.label = (uint16_t)MAX(label, 0);
    if (!rc && kinds[in->kind].writes)
        rc = check_edit(r, a.row, in, &owner, &old, &row_new, e);
    if (!rc && in->kind == REVIEW_ACCEPT)
        rc = review_sound(r, a.row, e);
    if (!rc && in->kind == REVIEW_UNDO)
        rc = find_undo(r, a.who, &undoes, e);
    if (!rc) {
        const uint32_t about = undoes ? r->action.p[undoes - 1].row : a.row;
        *row = about == NO_ACTION ? 0 : r->row.p[about].id;
        rc = put_action(r, in, a, undoes, row_new, owner, old, e);
    }
    json_free(owner);
    return rc;
}

int review_act(Review *r, const ReviewAct *a, int64_t *row, Err *e)
{
    *row = 0;
    BUG_ON(r->read_only);
    pthread_mutex_lock(&r->mu);
    int rc = act(r, a, row, e);
    pthread_mutex_unlock(&r->mu);
    return rc;
}
