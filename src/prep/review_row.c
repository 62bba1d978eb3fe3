/* review_row.c - what is shown: the folder as a whole, and one row with everything that is known of it. */
#include "prep/review_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "data/data_int.h"
#include "prep/record.h"

#define PERSONAL_MAX   ((size_t)1 << 20) /* bytes of a text that is looked through while someone waits */
#define PERSONAL_SPANS 500

/* ---- the folder ------------------------------------------------------------------------------------------------------------------------------------- */

static Json *kinds_json(const Review *r)
{
    Json *list = json_arr_new();
    for (size_t i = 0; i < r->reason.n; i++) {
        const ReviewReason *k = &r->reason.p[i];
        Json               *j = json_obj_new();
        json_set(j, "pass", json_str_new(str_of(k->pass)));
        json_set(j, "action", json_str_new(str_of(k->action)));
        json_set(j, "reason", json_str_new(str_of(k->reason)));
        json_set(j, "rows", json_int_new(k->rows));
        json_push(list, j);
    }
    return list;
}

static void count_people(const Review *r, Json *out)
{
    int64_t *judged = mem_zalloc(map_count(r->people) + 1, sizeof *judged), any = 0, changes = 0, differ = 0;
    Json    *people = json_arr_new(), *labels = json_arr_new();
    for (size_t i = 0; i < map_count(r->last); i++) {
        uint32_t row;
        RowState s;
        memcpy(&row, map_key(r->last, i).p, sizeof row);
        review_state(r, row, &s);
        any += s.verdict >= 0;
        differ += s.differ;
        changes += review_pending(r, row, &s);
        for (size_t p = 0; s.verdict >= 0 && p < map_count(r->people); p++)
            judged[p] += review_verdict_of(r, row, (int)p) >= 0;
    }
    for (size_t p = 0; p < map_count(r->people); p++) {
        Json *j = json_obj_new();
        json_set(j, "name", json_str_new(map_key(r->people, p)));
        json_set(j, "judged", json_int_new(judged[p]));
        json_push(people, j);
    }
    for (size_t l = 0; l < map_count(r->labels) && l < 200; l++)
        json_push(labels, json_str_new(map_key(r->labels, l)));
    json_set(out, "reviewers", people);
    json_set(out, "labels", labels);
    json_set(out, "judged", json_int_new(any));
    json_set(out, "disagree", json_int_new(differ));
    json_set(out, "changes", json_int_new(changes));
    json_set(out, "actions", json_int_new((int64_t)r->action.n));
    free(judged);
}

/* Orders that tell rows of this folder apart. */
static Json *sorts_json(const Review *r)
{
    Json      *out = json_arr_new();
    const bool numbers = r->measures.n, marks = r->mark.n, scores = r->score;
    const bool has[SORTS] = {
        [SORT_ID] = true, [SORT_LOSS] = scores, [SORT_IFD] = scores, [SORT_QUALITY] = numbers && r->cfg.quality != QUALITY_OFF, [SORT_LENGTH] = numbers,
        [SORT_TOKENS] = numbers && r->cfg.model && *r->cfg.model, [SORT_SIMILARITY] = marks, [SORT_SCORE] = marks, [SORT_REASON] = marks,
    };
    for (int s = 0; s < SORTS; s++)
        if (has[s])
            json_push(out, json_str_new(str_of(review_sort_name((ReviewSort)s))));
    return out;
}

void review_facts(Review *r, Json **out)
{
    Json *j = json_obj_new(), *parts = json_obj_new();
    pthread_mutex_lock(&r->mu);
    for (int p = 0; p < RP_PARTS; p++)
        json_set(parts, review_part[p], json_int_new(r->part[p]));
    json_set(j, "dir", json_str_new(str_of(path_base(r->dir))));
    json_set(j, "rows", json_int_new((int64_t)r->row.n));
    json_set(j, "parts", parts);
    json_set(j, "kinds", kinds_json(r));
    json_set(j, "columns", json_ref(r->columns));
    json_set(j, "label_column", json_str_new(str_of(r->cfg.label && *r->cfg.label ? r->cfg.label : "")));
    json_set(j, "model", r->model ? json_str_new(str_of(path_base(r->model))) : json_null_new());
    json_set(j, "sorts", sorts_json(r));
    json_set(j, "agreement", review_agreement(r));
    count_people(r, j);
    pthread_mutex_unlock(&r->mu);
    *out = j;
}

/* ---- decisions of a row ------------------------------------------------------------------------------------------------------------------------------ */

typedef VEC(Str) Texts;
typedef struct Gather { Texts text; } Gather;

static bool gather(void *user, TextRole role, Str text, StrBuf *out)
{
    (void)role, (void)out;
    *vec_push(&((Gather *)user)->text) = text;
    return false;
}

static bool roles_known(const Json *messages)
{
    for (size_t i = 0; i < json_len(messages); i++) {
        Str  role = json_str(json_get(json_at(messages, i), "role"));
        bool known = false;
        for (int r = TEXT_SYSTEM; r <= TEXT_TOOL; r++)
            known = known || str_eqz(role, text_role_name((TextRole)r));
        if (!known)
            return false;
    }
    return true;
}

bool review_texts_known(const Json *content)
{
    return content && record_kind_of(content) >= 0 && roles_known(json_get(content, "messages")) && roles_known(json_get(content, "chosen")) &&
           roles_known(json_get(content, "rejected"));
}

/* The texts of a row; none of one that somebody changed into no canonical row. Borrowed from it. */
static void gather_texts(Json *content, Gather *now)
{
    Record rec = { .row = content };
    if (review_texts_known(content))
        record_each_text(&rec, gather, now);
}

/* How much two texts begin and end alike, 0..1: enough to find the one that a text was repaired into. */
static double alike(Str a, Str b)
{
    size_t n = MIN(a.n, b.n), head = 0, tail = 0;
    while (head < n && a.p[head] == b.p[head])
        head++;
    while (tail < n - head && a.p[a.n - 1 - tail] == b.p[b.n - 1 - tail])
        tail++;
    return a.n + b.n ? 2.0 * (double)(head + tail) / (double)(a.n + b.n) : 1;
}

/* "before" is what before.h says; of a folder that an older hone or somebody else made a text, a list of texts, or an object of texts by place. A text without
 * a place is compared with the text of the row now that it is most like. */
static void diff_one(const Gather *now, Str before, Json *out)
{
    size_t best = now->text.n;
    double most = -1;
    for (size_t i = 0; i < now->text.n; i++) {
        double like = alike(before, now->text.p[i]);
        if (like > most) {
            most = like;
            best = i;
        }
    }
    json_push(out, review_diff(before, best < now->text.n ? now->text.p[best] : (Str){ "", 0 }));
}

static Json *diffs_json(const Json *before, Json *content)
{
    Json    *out = json_arr_new(), *value;
    Gather   now = { 0 };
    JsonIter it = { 0 };
    Str      key;
    gather_texts(content, &now);
    if (json_kind(before) == JSON_STRING)
        diff_one(&now, json_str(before), out);
    while (json_kind(before) == JSON_OBJECT && json_each(before, &it, &key, &value))
        if (json_kind(value) == JSON_STRING)
            diff_one(&now, json_str(value), out);
    for (size_t i = 0; json_kind(before) == JSON_ARRAY && i < json_len(before); i++) {
        const Json *item = json_at(before, i);
        const Json *at = json_get(item, "at");
        Str         text = json_kind(item) == JSON_OBJECT ? json_str(json_get(item, "text")) : json_str(item);
        if (text.p && at && json_int(at) >= 0 && (size_t)json_int(at) < now.text.n)
            json_push(out, review_diff(text, now.text.p[json_int(at)]));
        else if (text.p)
            diff_one(&now, text, out);
    }
    vec_release(&now.text);
    return out;
}

/* Whether an edit can be taken back, and if not, why. */
static void add_back(const Review *r, uint32_t row, const Json *content, int64_t edit, Json *j)
{
    Json *restored = NULL;
    Err   why = { 0 };
    if (review_restore(r, row, content, edit, &restored, &why))
        json_set(j, "no_back", json_str_new(str_of(why.text)));
    else
        json_set(j, "back", json_bool_new(true));
    json_free(restored);
}

/* content: what the file says, now: what people made of it. */
static int decisions_json(const Review *r, uint32_t row, Json *content, const Json *now, Json **out, Err *e)
{
    int rc = 0;
    *out = json_arr_new();
    for (uint32_t i = r->row.p[row].mark, end = review_marks_end(r, row); i < end && !rc; i++) {
        Json *j = NULL;
        char  where[64];
        snprintf(where, sizeof where, "decisions.jsonl, byte %llu", (unsigned long long)mark_off(&r->mark.p[i]));
        if ((rc = json_parse(&j, review_mark_line(r, &r->mark.p[i]), where, e)))
            break;
        const ReviewReason *k = &r->reason.p[r->mark.p[i].kind];
        json_set(j, "kind", json_int_new(r->mark.p[i].kind));
        if (!strcmp(k->action, "edit") && !strcmp(k->pass, "repair"))
            add_back(r, row, now, 0, j);
        else if (!strcmp(k->action, "edit"))
            json_set(j, "no_back", json_str_new(!strcmp(k->pass, "pii") ? STR_LIT("What stood here is written nowhere in this folder, only in the input, if you kept it. Edit the "
                                                                                 "text, or prepare the data anew with --pii-skip KIND.")
                                                                        : STR_LIT("It changed the form of the row, not its words; the input has it as it was.")));
        if (json_get(j, "before")) {
            json_set(j, "diff", diffs_json(json_get(j, "before"), content));
            json_drop(j, "before");
        }
        json_push(*out, j);
    }
    return rc;
}

/* ---- what people did with it -------------------------------------------------------------------------------------------------------------------------- */

/* Text by text; a turn that was put in or taken out stands alone. */
static Json *edit_diff(Json *old, Json *new)
{
    Gather a = { 0 }, b = { 0 };
    Json  *out = json_arr_new();
    gather_texts(old, &a);
    gather_texts(new, &b);
    for (size_t i = 0; i < MAX(a.text.n, b.text.n); i++) {
        Str x = i < a.text.n ? a.text.p[i] : (Str){ "", 0 }, y = i < b.text.n ? b.text.p[i] : (Str){ "", 0 };
        if (!str_eq(x, y))
            json_push(out, review_diff(x, y));
    }
    vec_release(&a.text);
    vec_release(&b.text);
    return out;
}

static int history_json(const Review *r, uint32_t row, const Json *now, Json **out, Err *e)
{
    VEC(uint32_t) chain = { 0 };
    int rc = 0;
    *out = json_arr_new();
    for (uint32_t i = review_last(r, row); i != NO_ACTION; i = r->action.p[i].before)
        *vec_push(&chain) = i;
    for (size_t i = chain.n; i-- > 0 && !rc;) {
        Json *j = NULL;
        const ReviewAction *a = &r->action.p[chain.p[i]];
        if ((rc = review_action_json(r, a, &j, e)))
            break;
        if (review_kind_writes(a->kind) && !a->undone) {
            add_back(r, row, now, chain.p[i] + 1, j);
            json_set(j, "diff", edit_diff(json_get(j, "row_old"), json_get(j, "row_new")));
        }
        json_drop(j, "row_new");
        json_drop(j, "row_old");
        json_set(j, "undone", json_bool_new(r->action.p[chain.p[i]].undone));
        json_push(*out, j);
    }
    vec_release(&chain);
    return rc;
}

static Json *verdicts_json(const Review *r, uint32_t row)
{
    Json *out = json_arr_new();
    for (size_t p = 0; p < map_count(r->people); p++) {
        int v = review_verdict_of(r, row, (int)p);
        if (v < 0)
            continue;
        Json *j = json_obj_new();
        json_set(j, "name", json_str_new(map_key(r->people, p)));
        json_set(j, "verdict", json_str_new(str_of(review_kind_name((ReviewKind)v))));
        json_push(out, j);
    }
    return out;
}

/* ---- personal data: what stands in its place, and what was not found ------------------------------------------------------------------------------- */

/* [{"text", "kind", "what"}], each text once: replacements look like what they stand for, so the same scanner finds them. */
static Json *personal_json(const Review *r, Json *content)
{
    Json    *out = json_arr_new();
    Gather   now = { 0 };
    PiiSpans spans = { 0 };
    Map     *seen = map_new();
    gather_texts(content, &now);
    for (size_t t = 0; t < now.text.n; t++) {
        Str text = now.text.p[t];
        if (text.n > PERSONAL_MAX || pii_scan(r->pii, text, &spans, NULL))
            continue;
        for (size_t i = 0; i < spans.n && json_len(out) < PERSONAL_SPANS; i++) {
            const PiiSpan *s = &spans.p[i];
            Str            part = { text.p + s->begin, s->end - s->begin };
            if (!map_put(seen, part, 1))
                continue;
            Json *j = json_obj_new();
            json_set(j, "text", json_str_new(part));
            json_set(j, "kind", json_str_new(str_of(pii_kind_info(s->kind)->name)));
            json_set(j, "what", json_str_new(str_of(pii_kind_info(s->kind)->what)));
            json_push(out, j);
        }
    }
    vec_release(&spans);
    vec_release(&now.text);
    map_free(seen);
    return out;
}

/* ---- as training sees it ------------------------------------------------------------------------------------------------------------------------------- */

/* [[text, trained], ...]: neighbours of the same kind are one piece. */
static Json *pieces_json(const Tok *tok, const ChatOut *c)
{
    Json      *out = json_arr_new();
    TokStream *s = tok_stream_new(tok, false);
    StrBuf     piece = { 0 };
    for (size_t i = 0; i < c->ids.n; i++) {
        tok_stream_push(s, c->ids.p[i], &piece);
        if (i + 1 == c->ids.n)
            tok_stream_end(s, &piece);
        if (i + 1 < c->ids.n && c->mask.p[i + 1] == c->mask.p[i])
            continue;
        Json *one = json_arr_new();
        json_push(one, json_str_new(strbuf_str(&piece)));
        json_push(one, json_bool_new(c->mask.p[i]));
        json_push(out, one);
        strbuf_clear(&piece);
    }
    tok_stream_free(s);
    strbuf_release(&piece);
    return out;
}

static Json *tokens_json(const Review *r, uint32_t row, const Json *content)
{
    static const int data_kind[REC_KINDS] = { DATA_MESSAGES, DATA_PAIR, DATA_TEXT_ROWS, -1, DATA_MESSAGES };
    DataOptions o = { .max_length = (int32_t)MIN(MAX(r->cfg.max_length, 2), 1000000000), .separator = "" };
    ChatOut     c = { 0 };
    Err         err = { 0 };
    Json       *j = json_obj_new();
    int         kind = record_kind_of(content), rc = 0, n_trained = 0;
    char        where[40];
    snprintf(where, sizeof where, "row %u", r->row.p[row].id);
    if (kind < 0 || data_kind[kind] < 0) {
        rc = err_set(&err, ERR_INPUT, "tokens are not shown for %s rows", kind < 0 ? "such" : "preference");
    } else if (kind == REC_TEXT) {
        o.objective = OBJECTIVE_TEXT;
        rc = encode_text(json_str(json_get(content, "text")), true, r->tok, where, &c, &err);
        for (size_t i = 0; i < c.mask.n; i++)
            c.mask.p[i] = i > 0; /* continued pre-training: every token but the first */
    } else if (!(rc = encode_possible((DataKind)data_kind[kind], r->tok, &o, where, &err))) {
        rc = encode_row(content, (DataKind)data_kind[kind], r->tok, &o, where, &c, &err);
    }
    for (size_t i = 0; i < c.mask.n; i++)
        n_trained += c.mask.p[i];
    if (!rc) {
        json_set(j, "pieces", pieces_json(r->tok, &c));
        json_set(j, "tokens", json_int_new((int64_t)c.ids.n));
        json_set(j, "trained", json_int_new(n_trained));
        json_set(j, "max_length", json_int_new(o.max_length));
        rc = encode_check(&c, (DataKind)data_kind[kind], r->tok, &o, where, &err);
    }
    if (rc)
        json_set(j, "error", json_str_new(str_of(err.text)));
    chat_out_release(&c);
    return j;
}

/* ---- one row --------------------------------------------------------------------------------------------------------------------------------------------- */

static void add_removal(Json *j, const Json *whole)
{
    Json *removed = json_obj_new();
    json_set(removed, "pass", json_str_new(json_str(json_get(whole, "pass"))));
    json_set(removed, "reason", json_str_new(json_str(json_get(whole, "reason"))));
    json_set(j, "removed", removed);
    if (json_get(whole, "raw"))
        json_set(j, "raw", json_ref(json_get(whole, "raw")));
}

static void put_number(Json *j, const char *key, double v)
{
    if (isfinite(v) && v >= 0)
        json_set(j, key, json_num_new(v));
}

/* What lists are sorted by. */
static Json *measure_json(const Review *r, uint32_t row)
{
    Json          *j = json_obj_new();
    const uint32_t id = r->row.p[row].id;
    if (id <= r->measures.n) {
        const Measure *m = &r->measures.row[id - 1];
        Str            language = { m->language, strnlen(m->language, sizeof m->language) };
        put_number(j, "length", (double)m->question + m->answer);
        put_number(j, "tokens", m->tokens);
        put_number(j, "quality", (double)m->quality);
        if (language.n && utf8_valid(language, NULL))
            json_set(j, "language", json_str_new(language));
    }
    if (r->score) {
        put_number(j, "loss", (double)r->score[row].loss);
        put_number(j, "ifd", (double)r->score[row].ifd);
    }
    return j;
}

static int row_json(Review *r, uint32_t row, Json *j, Err *e)
{
    const ReviewRow *w = &r->row.p[row];
    Json            *whole = NULL, *file_content = NULL, *owner = NULL, *content = NULL, *decisions = NULL, *history = NULL;
    RowState         s;
    int              rc = review_parse(r, row, &whole, &file_content, e);
    if (rc || (rc = review_content(r, row, &owner, &content, e)) || (rc = decisions_json(r, row, file_content, content, &decisions, e)) ||
        (rc = history_json(r, row, content, &history, e)))
        goto done;
    review_state(r, row, &s);
    json_set(j, "id", json_int_new(w->id));
    json_set(j, "part", json_str_new(str_of(review_part[w->part])));
    json_set(j, "file", json_str_new(str_of(review_source(r, row))));
    for (size_t i = 0; i < json_len(decisions); i++)
        if (json_get(json_at(decisions, i), "line"))
            json_set(j, "line", json_ref(json_get(json_at(decisions, i), "line")));
    if (w->part == RP_REMOVED)
        add_removal(j, whole);
    if (content)
        json_set(j, "row", json_ref(content));
    json_set(j, "edited", json_bool_new(s.edit != NO_ACTION));
    if (s.edit != NO_ACTION && file_content)
        json_set(j, "original", json_ref(file_content));
    json_set(j, "verdict", s.verdict < 0 ? json_null_new() : json_str_new(str_of(review_kind_name((ReviewKind)s.verdict))));
    json_set(j, "verdicts", verdicts_json(r, row));
    if (s.label != NO_ACTION)
        json_set(j, "label", json_str_new(map_key(r->labels, r->action.p[s.label].label)));
    json_set(j, "decisions", json_ref(decisions));
    json_set(j, "history", json_ref(history));
    json_set(j, "measure", measure_json(r, row));
    if (content)
        json_set(j, "personal", personal_json(r, content));
    if (r->tok && content)
        json_set(j, "tokens", tokens_json(r, row, content));
done:
    json_free(whole);
    json_free(owner);
    json_free(decisions);
    json_free(history);
    return rc;
}

int review_row(Review *r, int64_t id, Json **out, Err *e)
{
    uint32_t row;
    *out = NULL;
    if (!review_find(r, id, &row))
        return err_set(e, ERR_ARG, "there is no row %lld", (long long)id);
    *out = json_obj_new();
    pthread_mutex_lock(&r->mu);
    int rc = row_json(r, row, *out, e);
    pthread_mutex_unlock(&r->mu);
    if (rc) {
        json_free(*out);
        *out = NULL;
    }
    return rc;
}
