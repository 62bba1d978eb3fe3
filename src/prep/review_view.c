/* review_view.c - which rows fit a filter, and a page of them.
 * A view is found piece by piece, at most SLICE seconds per call, so that a search through ten million texts never holds up a verdict. Views stay as they
 * were found (a row does not vanish from the list when it is judged); the last VIEWS of them are kept.
 * A text is looked for in the bytes of the line first; where they hold it, or may hold it in an escaped form, the row is parsed and its texts decide. */
#include "prep/review_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "prep/record.h"

#define SLICE      0.2
#define CLOCK_EACH 128      /* rows between two looks at the clock */
#define HEAD_BYTES 200

static const char *const looks[LOOKS] = { "any", "open", "judged", "accepted", "rejected", "edited", "commented", "disagree", "changed" };

bool review_look_find(Str name, ReviewLook *l)
{
    for (int i = 0; i < LOOKS; i++)
        if (str_eqz(name, looks[i])) {
            *l = (ReviewLook)i;
            return true;
        }
    return false;
}

static const char *const sorts[SORTS] = { "id", "loss", "ifd", "quality", "length", "tokens", "similarity", "score", "reason" };

bool review_sort_find(Str name, ReviewSort *s)
{
    for (int i = 0; i < SORTS; i++)
        if (str_eqz(name, sorts[i])) {
            *s = (ReviewSort)i;
            return true;
        }
    return false;
}

const char *review_sort_name(ReviewSort s) { return sorts[s]; }

/* ---- a text without regard to case ------------------------------------------------------------------------------------------------------------------- */

typedef struct Letter { char form[2][12]; uint8_t n[2]; } Letter;
typedef struct Needle { VEC(Letter) letter; } Needle;

static void add_form(Letter *l, int which, Str s)
{
    l->n[which] = (uint8_t)MIN(s.n, sizeof l->form[which]);
    memcpy(l->form[which], s.p, l->n[which]);
}

/* escaped: as the text stands between the quotes of JSON. text: valid UTF-8. */
static void needle_make(Needle *d, Str text, bool escaped)
{
    StrBuf lower = { 0 }, upper = { 0 }, form = { 0 };
    for (size_t i = 0; i < text.n;) {
        uint32_t cp;
        int      n = utf8_decode(text.p + i, text.n - i, &cp);
        Letter  *l;
        BUG_ON(n < 1);
        strbuf_clear(&lower);
        strbuf_clear(&upper);
        utf8_lower(&lower, (Str){ text.p + i, (size_t)n });
        utf8_upper(&upper, (Str){ text.p + i, (size_t)n });
        strbuf_clear(&form);
        if (escaped && (cp < 32 || cp == '"' || cp == '\\')) {
            json_write_string(&form, (Str){ text.p + i, (size_t)n });
            l = vec_push(&d->letter);
            add_form(l, 0, (Str){ form.p + 1, form.n - 2 });
            add_form(l, 1, (Str){ form.p + 1, form.n - 2 });
        } else {
            l = vec_push(&d->letter);
            add_form(l, 0, strbuf_str(&lower));
            add_form(l, 1, strbuf_str(&upper));
        }
        i += (size_t)n;
    }
    strbuf_release(&lower);
    strbuf_release(&upper);
    strbuf_release(&form);
}

static bool needle_at(const Needle *d, const char *p, const char *end)
{
    for (size_t i = 0; i < d->letter.n; i++) {
        const Letter *l = &d->letter.p[i];
        const size_t  left = (size_t)(end - p);
        if (l->n[0] <= left && !memcmp(p, l->form[0], l->n[0]))
            p += l->n[0];
        else if (l->n[1] <= left && !memcmp(p, l->form[1], l->n[1]))
            p += l->n[1];
        else
            return false;
    }
    return true;
}

/* The next place where the first letter begins, in either form. */
static const char *first_of(const char *p, const char *end, const char *known[2], const Letter *l)
{
    for (int f = 0; f < 2; f++)
        if (known[f] < p) {
            known[f] = memchr(p, l->form[f][0], (size_t)(end - p));
            if (!known[f])
                known[f] = end;
        }
    return MIN(known[0], known[1]);
}

static bool needle_in(const Needle *d, Str s)
{
    const char *p = s.p, *end = s.p + s.n, *known[2];
    if (!d->letter.n)
        return true;
    if (!s.n)
        return false;
    known[0] = known[1] = p - 1;
    while ((p = first_of(p, end, known, &d->letter.p[0])) < end) {
        if (needle_at(d, p, end))
            return true;
        p++;
    }
    return false;
}

static bool texts_hold(const Json *j, const Needle *d)
{
    JsonIter it = { 0 };
    Str      key;
    Json    *value;
    if (json_kind(j) == JSON_STRING)
        return needle_in(d, json_str(j));
    while (json_kind(j) == JSON_OBJECT && json_each(j, &it, &key, &value))
        if (!str_eqz(key, "role") && texts_hold(value, d)) /* "user" is in every row */
            return true;
    for (size_t i = 0; json_kind(j) == JSON_ARRAY && i < json_len(j); i++)
        if (texts_hold(json_at(j, i), d))
            return true;
    return false;
}

/* ---- does a row fit? -------------------------------------------------------------------------------------------------------------------------------- */

typedef struct Match { const ReviewFilter *f; Needle line, text; int who; } Match; /* who: index of the filter's reviewer; -1: not known here */

static bool mark_fits(const Review *r, const ReviewFilter *f, const ReviewMark *m)
{
    const ReviewReason *k = &r->reason.p[m->kind];
    return (f->kind < 0 || m->kind == f->kind) && (!f->pass.n || str_eqz(f->pass, k->pass)) && (!f->action.n || str_eqz(f->action, k->action)) &&
           (isnan(f->least) || m->score >= (float)f->least) && (isnan(f->most) || m->score <= (float)f->most); /* no score: NAN compares false */
}

static bool marks_fit(const Review *r, const ReviewFilter *f, uint32_t row)
{
    if (f->kind < 0 && !f->pass.n && !f->action.n && isnan(f->least) && isnan(f->most))
        return true;
    for (uint32_t i = r->row.p[row].mark, end = review_marks_end(r, row); i < end; i++)
        if (mark_fits(r, f, &r->mark.p[i]))
            return true;
    return false;
}

static bool look_fits(const Review *r, const Match *m, uint32_t row)
{
    const ReviewFilter *f = m->f;
    RowState            s;
    if (f->look == LOOK_ANY && !f->label.n)
        return true;
    if (!r->row.p[row].touched)
        return f->look == LOOK_OPEN && !f->label.n;
    review_state(r, row, &s);
    if (f->label.n && (s.label == NO_ACTION || !str_eq(map_key(r->labels, r->action.p[s.label].label), f->label)))
        return false;
    switch (f->look) {
    case LOOK_OPEN:      return f->reviewer.n ? m->who < 0 || review_verdict_of(r, row, m->who) < 0 : s.verdict < 0;
    case LOOK_JUDGED:    return s.verdict >= 0;
    case LOOK_ACCEPTED:  return s.verdict == REVIEW_ACCEPT;
    case LOOK_REJECTED:  return s.verdict == REVIEW_REJECT;
    case LOOK_EDITED:    return s.edit != NO_ACTION;
    case LOOK_COMMENTED: return s.commented;
    case LOOK_DISAGREE:  return s.differ;
    case LOOK_CHANGED:   return review_pending(r, row, &s);
    default:             return true;
    }
}

static bool column_fits(const ReviewFilter *f, const Json *content)
{
    StrBuf scratch = { 0 };
    char   column[256];
    Record rec = { .row = (Json *)(uintptr_t)content };
    snprintf(column, sizeof column, "%.*s", (int)MIN(f->column.n, sizeof column - 1), f->column.p);
    bool fits = content && str_eq(record_meta(&rec, column, &scratch), f->value);
    strbuf_release(&scratch);
    return fits;
}

static bool content_fits(const Review *r, const Match *m, uint32_t row)
{
    const ReviewFilter *f = m->f;
    Json               *owner = NULL, *content = NULL;
    Err                 err;
    if (!f->text.n && !f->column.n)
        return true;
    if (f->text.n && !r->row.p[row].touched) {
        Str line = review_line(r, row);
        if (!needle_in(&m->line, line) && !memmem(line.p, line.n, "\\u", 2))
            return false;
    }
    bool fits = !review_content(r, row, &owner, &content, &err);
    if (fits && f->text.n)
        fits = texts_hold(content ? content : json_get(owner, "raw"), &m->text);
    if (fits && f->column.n)
        fits = column_fits(f, content);
    json_free(owner);
    return fits;
}

/* ---- views ------------------------------------------------------------------------------------------------------------------------------------------ */

static char *view_key(const ReviewFilter *f)
{
    StrBuf k = { 0 };
    const Str texts[] = { f->pass, f->action, f->look == LOOK_OPEN ? f->reviewer : (Str){ 0 }, f->label, f->column, f->value, f->text };
    strbuf_addf(&k, "%u %d %a %a %d %d %d %llu", f->parts, f->kind, f->least, f->most, (int)f->look, (int)f->sort, f->down, (unsigned long long)f->turn);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        strbuf_addf(&k, " %zu:", texts[i].n);
        strbuf_add(&k, texts[i].p, texts[i].n);
    }
    return strbuf_take(&k);
}

static ReviewView *view_of(Review *r, const ReviewFilter *f)
{
    char       *key = view_key(f);
    ReviewView *v = &r->view[0];
    for (int i = 0; i < VIEWS; i++) {
        if (r->view[i].key && !strcmp(r->view[i].key, key)) {
            v = &r->view[i];
            free(key);
            v->used = ++r->clock;
            return v;
        }
        if (r->view[i].used < v->used)
            v = &r->view[i];
    }
    free(v->key);
    vec_release(&v->row);
    vec_release(&v->order);
    *v = (ReviewView){ .key = key, .used = ++r->clock };
    return v;
}

static void view_go_on(Review *r, ReviewView *v, const ReviewFilter *f)
{
    Match    m = { .f = f, .who = -1 };
    int64_t  who;
    uint32_t n = (uint32_t)r->row.n;
    double   end = clock_seconds() + SLICE;
    if (v->next == n)
        return;
    if (f->reviewer.n && map_get(r->people, f->reviewer, &who))
        m.who = (int)who;
    if (f->text.n) {
        needle_make(&m.line, f->text, true);
        needle_make(&m.text, f->text, false);
    }
    for (; v->next < n && (v->next % CLOCK_EACH || clock_seconds() < end); v->next++) {
        const uint32_t i = v->next;
        if ((!f->parts || f->parts >> r->row.p[i].part & 1) && marks_fit(r, f, i) && look_fits(r, &m, i) && content_fits(r, &m, i))
            *vec_push(&v->row) = i;
    }
    vec_release(&m.line.letter);
    vec_release(&m.text.letter);
}

/* ---- order ------------------------------------------------------------------------------------------------------------------------------------------- */

/* The greatest score of its decisions of these passes. */
static float similarity_of(const Review *r, uint32_t row)
{
    static const char *const passes[] = { "duplicates", "semantic", "overlap" };
    float most = NAN;
    for (uint32_t i = r->row.p[row].mark, end = review_marks_end(r, row); i < end; i++)
        for (size_t p = 0; p < ARRAY_LEN(passes); p++)
            if (!strcmp(r->reason.p[r->mark.p[i].kind].pass, passes[p]) && !(r->mark.p[i].score <= most)) /* not less than NAN */
                most = isnan(r->mark.p[i].score) ? most : r->mark.p[i].score;
    return most;
}

static float score_of(const Review *r, const ReviewFilter *f, uint32_t row)
{
    for (uint32_t i = r->row.p[row].mark, end = review_marks_end(r, row); i < end; i++)
        if (mark_fits(r, f, &r->mark.p[i]) && !isnan(r->mark.p[i].score))
            return r->mark.p[i].score;
    return NAN;
}

/* rank: of each kind of decision, in the order of its words. */
static float reason_of(const Review *r, const float *rank, uint32_t row)
{
    const uint32_t first = r->row.p[row].mark, end = review_marks_end(r, row);
    for (uint32_t i = first; i < end; i++)
        if (!strcmp(r->reason.p[r->mark.p[i].kind].action, "remove"))
            return rank[r->mark.p[i].kind];
    return first < end ? rank[r->mark.p[first].kind] : NAN;
}

static float number_of(const Review *r, const ReviewFilter *f, const float *rank, uint32_t row)
{
    const uint32_t id = r->row.p[row].id;
    const Measure *m = id <= r->measures.n ? &r->measures.row[id - 1] : NULL;
    switch (f->sort) {
    case SORT_LOSS:       return r->score ? r->score[row].loss : NAN;
    case SORT_IFD:        return r->score ? r->score[row].ifd : NAN;
    case SORT_QUALITY:    return m ? m->quality : NAN;
    case SORT_LENGTH:     return m ? (float)m->question + (float)m->answer : NAN;
    case SORT_TOKENS:     return m && m->tokens >= 0 ? (float)m->tokens : NAN;
    case SORT_SIMILARITY: return similarity_of(r, row);
    case SORT_SCORE:      return score_of(r, f, row);
    case SORT_REASON:     return reason_of(r, rank, row);
    default:              return NAN;
    }
}

static int by_words(const void *a, const void *b)
{
    const ReviewReason *x = *(const ReviewReason *const *)a, *y = *(const ReviewReason *const *)b;
    int c = strcmp(x->pass, y->pass);
    c = c ? c : strcmp(x->action, y->action);
    return c ? c : strcmp(x->reason, y->reason);
}

static float *rank_kinds(const Review *r)
{
    float               *rank = mem_zalloc(r->reason.n + 1, sizeof *rank);
    const ReviewReason **at = mem_zalloc(r->reason.n + 1, sizeof *at);
    for (size_t i = 0; i < r->reason.n; i++)
        at[i] = &r->reason.p[i];
    if (r->reason.n)
        qsort(at, r->reason.n, sizeof *at, by_words);
    for (size_t i = 0; i < r->reason.n; i++)
        rank[at[i] - r->reason.p] = (float)i;
    free(at);
    return rank;
}

static int by_key(const void *a, const void *b, void *down)
{
    const ReviewKeyed *x = a, *y = b;
    const bool         no_x = isnan(x->key), no_y = isnan(y->key);
    if (no_x != no_y)
        return no_x - no_y;
    if (!no_x && (x->key < y->key || x->key > y->key))
        return (x->key < y->key) == !*(const bool *)down ? -1 : 1;
    return x->row < y->row ? -1 : 1; /* no row stands twice */
}

static void view_sort(const Review *r, ReviewView *v, const ReviewFilter *f)
{
    float *rank = rank_kinds(r);
    bool   down = f->down;
    for (size_t i = 0; i < v->row.n; i++)
        *vec_push(&v->order) = (ReviewKeyed){ number_of(r, f, rank, v->row.p[i]), v->row.p[i] };
    if (v->order.n)
        qsort_r(v->order.p, v->order.n, sizeof *v->order.p, by_key, &down);
    free(rank);
}

/* Rows of the view that someone judged; both lists are walked by whichever is shorter. */
static int64_t view_judged(const Review *r, const ReviewView *v)
{
    int64_t  n = 0;
    RowState s;
    for (size_t i = 0; i < map_count(r->last); i++) {
        uint32_t row;
        memcpy(&row, map_key(r->last, i).p, sizeof row);
        size_t lo = 0, hi = v->row.n;
        while (lo < hi) {
            size_t mid = lo + (hi - lo) / 2;
            if (v->row.p[mid] < row)
                lo = mid + 1;
            else
                hi = mid;
        }
        if (lo < v->row.n && v->row.p[lo] == row) {
            review_state(r, row, &s);
            n += s.verdict >= 0;
        }
    }
    return n;
}

/* ---- a page ----------------------------------------------------------------------------------------------------------------------------------------- */

static Json *head_json(Str s)
{
    size_t n = s.n > HEAD_BYTES ? utf8_complete(s.p, HEAD_BYTES) : s.n;
    return json_str_new((Str){ s.p, n });
}

/* What a row is about, in a line: the last question and the beginning of the answer. */
static void add_heads(Json *j, const Json *content, const Json *whole)
{
    const Json *messages = json_get(content, "messages");
    StrBuf      answer = { 0 };
    Str         question = json_str(json_get(content, "prompt"));
    Record      rec = { .row = (Json *)(uintptr_t)content };
    int         kind = content ? record_kind_of(content) : -1;
    for (size_t i = json_len(messages); i-- > 0 && !question.n;)
        if (str_eqz(json_str(json_get(json_at(messages, i), "role")), "user"))
            question = json_str(json_get(json_at(messages, i), "content"));
    if (kind >= 0) {
        rec.kind = (RecordKind)kind;
        record_answer(&rec, &answer);
    } else {
        question = json_str(json_get(whole, "raw"));
    }
    json_set(j, "head", head_json(question));
    json_set(j, "answer", head_json(strbuf_str(&answer)));
    strbuf_release(&answer);
}

static Json *row_line(Review *r, const ReviewFilter *f, uint32_t row, float key)
{
    const ReviewRow *w = &r->row.p[row];
    Json            *j = json_obj_new(), *owner = NULL, *content = NULL;
    RowState         s;
    Err              err;
    int64_t          who;
    review_state(r, row, &s);
    json_set(j, "id", json_int_new(w->id));
    json_set(j, "part", json_str_new(str_of(review_part[w->part])));
    json_set(j, "verdict", s.verdict < 0 ? json_null_new() : json_str_new(str_of(review_kind_name((ReviewKind)s.verdict))));
    if (f->reviewer.n && map_get(r->people, f->reviewer, &who)) {
        int mine = review_verdict_of(r, row, (int)who);
        json_set(j, "mine", mine < 0 ? json_null_new() : json_str_new(str_of(review_kind_name((ReviewKind)mine))));
    }
    json_set(j, "differ", json_bool_new(s.differ));
    json_set(j, "edited", json_bool_new(s.edit != NO_ACTION));
    json_set(j, "commented", json_bool_new(s.commented));
    if (s.label != NO_ACTION)
        json_set(j, "label", json_str_new(map_key(r->labels, r->action.p[s.label].label)));
    json_set(j, "decisions", json_int_new(review_marks_end(r, row) - w->mark));
    if (!isnan(key) && f->sort != SORT_REASON)
        json_set(j, "key", json_num_new((double)key));
    if (review_content(r, row, &owner, &content, &err))
        json_set(j, "error", json_str_new(str_of(err.text)));
    else
        add_heads(j, content, owner);
    json_free(owner);
    return j;
}

static int check_filter(const Review *r, const ReviewFilter *f, size_t n, Err *e)
{
    if (n > REVIEW_PAGE_MAX)
        return err_set(e, ERR_ARG, "%zu rows at once; at most %d are given", n, REVIEW_PAGE_MAX);
    if (f->text.n > REVIEW_SEARCH_MAX || f->value.n > REVIEW_SEARCH_MAX || f->column.n >= 256)
        return err_set(e, ERR_ARG, "the text to look for is longer than %d bytes", REVIEW_SEARCH_MAX);
    if (!utf8_valid(f->text, NULL) || !utf8_valid(f->value, NULL) || !utf8_valid(f->column, NULL))
        return err_set(e, ERR_ARG, "the text to look for is no UTF-8");
    if (f->kind >= (int)r->reason.n)
        return err_set(e, ERR_ARG, "there are %zu kinds of decision; number %d is none of them", r->reason.n, f->kind);
    return 0;
}

int review_rows(Review *r, const ReviewFilter *f, size_t from, size_t n, Json **out, Err *e)
{
    *out = NULL;
    int rc = check_filter(r, f, n, e);
    if (rc)
        return rc;
    pthread_mutex_lock(&r->mu);
    ReviewView *v = view_of(r, f);
    view_go_on(r, v, f);
    Json      *rows = json_arr_new();
    const bool sorted = f->sort != SORT_ID, complete = v->next == r->row.n;
    if (sorted && complete && !v->order.n)
        view_sort(r, v, f);
    const size_t count = sorted ? v->order.n : v->row.n;
    for (size_t i = from; i < count && i - from < n; i++)
        json_push(rows, sorted ? row_line(r, f, v->order.p[i].row, v->order.p[i].key) : row_line(r, f, v->row.p[i], NAN));
    *out = json_obj_new();
    json_set(*out, "count", json_int_new((int64_t)count));
    json_set(*out, "complete", json_bool_new(complete));
    json_set(*out, "done", json_num_new(r->row.n ? (double)v->next / (double)r->row.n : 1));
    json_set(*out, "judged", json_int_new(view_judged(r, v)));
    json_set(*out, "rows", rows);
    pthread_mutex_unlock(&r->mu);
    return 0;
}
