/* review_twin.c - an edit may make a row say, or ask, what a row of another part says: one part would then hold what the other is tested on. Edited rows are
 * compared with all rows that stay, by the rules of the preparation: exact copies and near-duplicates (settle.c; unless --duplicates off), the same question, and
 * rows of one --group or --subject (divide.c). What is found decides where the edited row goes; the rows that nobody edited stay where they are.
 * Invariant: edited rows are judged one after the other in order of id, each beside the places of those before it, so the outcome hangs on the files alone.
 * Cost: every row that stays is read and cut into shingles once, in an application with edits alone; memory: the shingles of the edited rows. */
#include "prep/review_int.h"

#include <math.h>
#include <stdlib.h>

#include "prep/dedupe_near.h"
#include "prep/minhash.h"
#include "prep/record.h"
#include "prep/row_checks.h"

enum { TIE_GROUP, TIE_SUBJECT, TIE_QUESTION, TIES };

/* Rows with one value of a tie, by part. first: one of them, NO_ROW where it went. */
#define NO_ROW UINT32_MAX
typedef struct Tie { uint32_t n[RP_PARTS], first[RP_PARTS]; } Tie;

typedef struct One {
    uint32_t row, same;      /* same: the next edited row with its exact hash, index + 1; 0: none */
    int64_t  tie[TIES];      /* index in ties; -1: the row has no such value */
    bool     unread;         /* of no shape that is compared */
} One;

typedef struct Twin { uint32_t one, row; double jaccard; bool exact; } Twin; /* one: index of the edited row */

typedef struct Twins {
    const Review *r;
    uint8_t      *to;
    VEC(One)      one;
    VEC(Twin)     twin;
    VEC(Tie)      ties;
    VEC(uint32_t) text;      /* number in `near` -> index of the edited row */
    Map          *value;     /* kind and value of a tie -> index in ties */
    Map          *exact;     /* -> index of the first edited row */
    MinHash      *minhash;   /* NULL: --duplicates off */
    Shingles     *work, *words;
    NearIndex    *near;
    NearMatches   found;
    int64_t       asking;    /* rows with a question */
} Twins;

typedef struct TieKey { uint64_t kind, value; } TieKey;

/* The row as people left it. */
static int content_of(const Twins *t, uint32_t row, Json **owner, Record *rec, Err *e)
{
    Json *content = NULL;
    int   rc = review_content(t->r, row, owner, &content, e);
    int   kind = rc || !content ? -1 : record_kind_of(content);
    *rec = (Record){ .row = kind < 0 ? NULL : content, .kind = (RecordKind)MAX(kind, 0) };
    return rc;
}

static void values_of(const Twins *t, const Record *rec, uint64_t value[TIES])
{
    value[TIE_GROUP] = review_columns_value(t->r->cfg.group, rec->row);
    value[TIE_SUBJECT] = review_columns_value(t->r->cfg.subject, rec->row);
    value[TIE_QUESTION] = row_asked(rec, t->words);
}

/* ---- the edited rows --------------------------------------------------------------------------------------------------------------------------------- */

static void add_ties(Twins *t, const Record *rec, One *one)
{
    uint64_t value[TIES];
    values_of(t, rec, value);
    for (int k = 0; k < TIES; k++) {
        const TieKey key = { (uint64_t)k, value[k] };
        one->tie[k] = -1;
        if (!value[k] || map_get(t->value, (Str){ (const char *)&key, sizeof key }, &one->tie[k]))
            continue;
        one->tie[k] = (int64_t)t->ties.n;
        map_put(t->value, (Str){ (const char *)&key, sizeof key }, one->tie[k]);
        *vec_push(&t->ties) = (Tie){ .first = { NO_ROW, NO_ROW, NO_ROW, NO_ROW } };
    }
}

static int add_text(Twins *t, const Record *rec, uint32_t at, Err *e)
{
    StrBuf  text = { 0 };
    int64_t other;
    record_text(rec, &text);
    const Hash128 hash = minhash_exact(t->minhash, t->work, strbuf_str(&text));
    const Str     key = { (const char *)&hash, sizeof hash };
    t->one.p[at].same = map_get(t->exact, key, &other) ? (uint32_t)other + 1 : 0;
    map_put(t->exact, key, at);
    int rc = 0;
    if (text.n <= MINHASH_TEXT_MAX && !(rc = near_index_add(t->near, t->work, e)))
        *vec_push(&t->text) = at;
    strbuf_release(&text);
    return rc;
}

static int add_edited(Twins *t, uint32_t row, Err *e)
{
    Json          *owner = NULL;
    Record         rec;
    const uint32_t at = (uint32_t)t->one.n;
    int            rc = content_of(t, row, &owner, &rec, e);
    *vec_push(&t->one) = (One){ .row = row, .tie = { -1, -1, -1 }, .unread = !rec.row };
    if (!rc && rec.row) {
        add_ties(t, &rec, &t->one.p[at]);
        rc = t->minhash ? add_text(t, &rec, at, e) : 0;
    }
    json_free(owner);
    return rc;
}

/* ---- all rows beside them ------------------------------------------------------------------------------------------------------------------------------ */

static void count_ties(Twins *t, const Record *rec, uint32_t row)
{
    uint64_t      value[TIES];
    int64_t       at;
    const uint8_t part = t->to[row];
    values_of(t, rec, value);
    t->asking += value[TIE_QUESTION] != 0;
    for (int k = 0; k < TIES; k++) {
        const TieKey key = { (uint64_t)k, value[k] };
        if (!value[k] || !map_get(t->value, (Str){ (const char *)&key, sizeof key }, &at))
            continue;
        Tie *tie = &t->ties.p[at];
        if (!tie->n[part]++)
            tie->first[part] = row;
    }
}

static void find_twins(Twins *t, const Record *rec, uint32_t row)
{
    StrBuf  text = { 0 };
    int64_t first;
    record_text(rec, &text);
    const Hash128 hash = minhash_exact(t->minhash, t->work, strbuf_str(&text));
    if (map_get(t->exact, (Str){ (const char *)&hash, sizeof hash }, &first))
        for (uint32_t i = (uint32_t)first + 1; i; i = t->one.p[i - 1].same)
            *vec_push(&t->twin) = (Twin){ i - 1, row, 1, true };
    vec_clear(&t->found);
    if (text.n <= MINHASH_TEXT_MAX)
        near_index_find(t->near, t->work, &t->found);
    for (size_t i = 0; i < t->found.n; i++)
        *vec_push(&t->twin) = (Twin){ t->text.p[t->found.p[i].text], row, t->found.p[i].jaccard, false };
    strbuf_release(&text);
}

static int look_at(Twins *t, uint32_t row, Err *e)
{
    Json  *owner = NULL;
    Record rec;
    int    rc = content_of(t, row, &owner, &rec, e);
    if (!rc && rec.row) {
        count_ties(t, &rec, row);
        if (t->minhash)
            find_twins(t, &rec, row);
    }
    json_free(owner);
    return rc;
}

/* ---- where an edited row goes -------------------------------------------------------------------------------------------------------------------------- */

static int by_edited(const void *a, const void *b) /* the closest first */
{
    const Twin *x = a, *y = b;
    if (x->one != y->one)
        return x->one < y->one ? -1 : 1;
    if (x->exact != y->exact)
        return x->exact ? -1 : 1;
    if (x->jaccard != y->jaccard)
        return x->jaccard > y->jaccard ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

/* Parts in which other rows have this value; *other: one of them that stands in no part of `but`. */
static unsigned parts_of(const Twins *t, const One *one, int kind, unsigned but, uint32_t *other)
{
    const Tie *tie = one->tie[kind] < 0 ? NULL : &t->ties.p[one->tie[kind]];
    unsigned   mask = 0;
    int64_t    all = 0;
    for (uint8_t p = RP_TRAIN; tie && p < RP_PARTS; p++) {
        const uint32_t n = tie->n[p] - (p == t->to[one->row]);
        all += n;
        mask |= n ? 1u << p : 0;
        if (n && !(but & 1u << p) && *other == NO_ROW)
            *other = tie->first[p];
    }
    return kind == TIE_QUESTION && (double)all > QUESTION_FORM_SHARE * (double)t->asking ? 0 : mask; /* a form has no part of its own */
}

static void move(Twins *t, const One *one, uint8_t to)
{
    const uint8_t from = t->to[one->row];
    for (int k = 0; k < TIES; k++) {
        Tie *tie = one->tie[k] < 0 ? NULL : &t->ties.p[one->tie[k]];
        if (!tie)
            continue;
        tie->n[from]--;
        tie->first[from] = tie->first[from] == one->row ? NO_ROW : tie->first[from];
        if (to != RP_REMOVED && !tie->n[to]++)
            tie->first[to] = one->row;
    }
    t->to[one->row] = to;
}

/* twin[from, end): those of this row. */
static bool judge(Twins *t, uint32_t at, size_t from, size_t end, ReviewTwin *out)
{
    const One     *one = &t->one.p[at];
    const uint8_t  part = t->to[one->row];
    const unsigned own = 1u << part;
    unsigned       mask = 0;
    const Twin    *best = NULL, *away = NULL; /* the closest, and the closest of another part */
    RowState       s;
    *out = (ReviewTwin){ .row = one->row, .from = part, .other = NO_ROW };
    if (one->unread || part == RP_REMOVED)
        return false;
    for (size_t i = from; i < end; i++) {
        const Twin *w = &t->twin.p[i];
        if (w->row == one->row || t->to[w->row] == RP_REMOVED)
            continue;
        best = best ? best : w;
        away = away || t->to[w->row] == part ? away : w;
        mask |= 1u << t->to[w->row];
    }
    review_state(t->r, one->row, &s);
    const int mode = t->r->cfg.duplicates;
    if (best && best->exact && s.verdict != REVIEW_ACCEPT && (mode == DUPLICATES_EXACT || mode == DUPLICATES_NEAR)) {
        *out = (ReviewTwin){ .row = one->row, .from = part, .to = RP_REMOVED, .other = best->row, .how = TWIN_EXACT, .jaccard = 1 };
    } else {
        uint32_t       asks = NO_ROW, unused = NO_ROW;
        const unsigned question = parts_of(t, one, TIE_QUESTION, own, &asks);
        const unsigned tied = mask | question | parts_of(t, one, TIE_GROUP, 0, &unused) | parts_of(t, one, TIE_SUBJECT, 0, &unused);
        if (!((mask | question) & ~own)) /* nothing that the edit made */
            return false;
        *out = (ReviewTwin){ .row = one->row, .from = part, .to = RP_REMOVED, .other = away ? away->row : asks, .jaccard = away ? away->jaccard : NAN,
                             .how = !away ? TWIN_QUESTION : away->exact ? TWIN_EXACT : TWIN_NEAR, .torn = tied & (tied - 1) };
        for (uint8_t p = RP_TRAIN; p < RP_PARTS && !out->torn; p++)
            out->to = tied == 1u << p ? p : out->to;
    }
    out->other_part = out->other == NO_ROW ? RP_REMOVED : t->to[out->other];
    move(t, one, out->to);
    return true;
}

static int open_work(Twins *t, Err *e)
{
    const PrepCfg   *c = &t->r->cfg;
    const MinHashCfg cfg = { .threshold = c->near };
    t->words = row_asked_work();
    if (c->duplicates == DUPLICATES_OFF)
        return 0;
    int rc = minhash_new(&t->minhash, &cfg, e);
    if (rc)
        return rc;
    t->work = minhash_shingles(t->minhash);
    t->near = near_index_new(c->near);
    return 0;
}

int review_twins(const Review *r, uint8_t *to, const uint32_t *edited, size_t n, ReviewTwins *out, Err *e)
{
    Twins t = { .r = r, .to = to, .value = map_new(), .exact = map_new() };
    int   rc = n ? open_work(&t, e) : 0;
    vec_clear(out);
    for (size_t i = 0; i < n && !rc; i++)
        rc = add_edited(&t, edited[i], e);
    if (!rc && t.near)
        near_index_build(t.near);
    for (uint32_t row = 0; row < r->row.n && n && !rc; row++)
        if (to[row] != RP_REMOVED)
            rc = look_at(&t, row, e);
    if (!rc && t.twin.n)
        qsort(t.twin.p, t.twin.n, sizeof *t.twin.p, by_edited);
    for (size_t i = 0, from = 0, end; i < t.one.n && !rc; i++, from = end) {
        ReviewTwin found;
        for (end = from; end < t.twin.n && t.twin.p[end].one == i;)
            end++;
        if (judge(&t, (uint32_t)i, from, end, &found))
            *vec_push(out) = found;
    }
    vec_release(&t.one);
    vec_release(&t.twin);
    vec_release(&t.ties);
    vec_release(&t.text);
    vec_release(&t.found);
    map_free(t.value);
    map_free(t.exact);
    near_index_free(t.near);
    shingles_free(t.work);
    shingles_free(t.words);
    minhash_free(t.minhash);
    return rc;
}
