/* pass_pii.c - personal data and secrets (pii.h) leave every text of a row, its meta and the names in it included, before anything of it is written: also the texts before a repair,
 * which the log keeps, and the raw text of a row that could not be read. The log tells kinds and numbers, never values, and apart what was only seen. Which rows hold a value stands in
 * subjects.jsonl under a keyed hash, so that a person's rows can be found again by whoever has the key and the value.
 * A row is read twice: first all of its texts are scanned, then what was found in one of them, or stands in a column of persons, leaves all of them (pii_known.h).
 * Main struct: Hunt. Invariant: the second reading goes through the same texts in the same order. */
#include "prep/prep_int.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/secret.h"
#include "prep/before.h"
#include "prep/pii_column.h"
#include "prep/pii_known.h"
#include "prep/pii_replace.h"
#include "prep/pii_setup.h"
#include "prep/subject.h"

typedef struct Pii {
    PiiSetup     setup;
    PiiReplacer *replacer;
    PiiPolicy    policy;
    bool         change, drop; /* texts are rewritten; rows with findings leave */
    const char  *group, *subject; /* columns whose values may be numbers of customers; "": none. Borrowed */
} Pii;

/* ---- options --------------------------------------------------------------------------------------------------------------------------------------- */

/* Kinds that name no person (places, banks, companies) are reported in every mode. */
static PiiPolicy policy_of(int mode)
{
    PiiPolicy p = pii_policy_default();
    for (int k = 0; k < PII_KINDS; k++)
        if (mode != PREP_PII_REPLACE && p.mode[k] != PII_REPORT)
            p.mode[k] = mode == PREP_PII_HASH ? PII_HASH : mode == PREP_PII_REPORT ? PII_REPORT : PII_REDACT;
    return p;
}

const char *prep_kind_name(size_t i)
{
    return i < PII_KINDS ? pii_kind_info((PiiKind)i)->name : NULL;
}

char *prep_key_path(const Prep *p)
{
    return p->cfg.pii_key && *p->cfg.pii_key ? mem_strdup(p->cfg.pii_key) : prep_path(p, "pii.key");
}

static int pii_open(Prep *p, void **state, Err *e)
{
    if (p->cfg.pii == PREP_PII_OFF)
        return 0;
    Pii       *s = mem_zalloc(1, sizeof *s);
    BUG_ON(PII_KINDS > PREP_KINDS);
    char       key[SECRET_HEX];
    char      *path = prep_key_path(p);
    *state = s;
    s->change = p->cfg.pii != PREP_PII_REPORT;
    s->drop = p->cfg.pii == PREP_PII_DROP;
    s->group = p->cfg.group ? p->cfg.group : "";
    s->subject = p->cfg.subject && strcmp(p->cfg.subject, s->group) ? p->cfg.subject : "";
    s->policy = policy_of(p->cfg.pii);
    int rc = pii_setup_open(&s->setup, &p->cfg, e);
    if (!rc)
        rc = secret_file(path, key, e);
    if (!rc)
        rc = pii_replacer_new(&s->replacer, s->setup.scanner, &s->policy, str_of(key), e);
    free(path);
    return rc;
}

/* ---- one row --------------------------------------------------------------------------------------------------------------------------------------- */

typedef struct Scanned { uint64_t text; PiiSpans spans; } Scanned; /* text: its hash */
typedef struct Number { const char *column; char *value; size_t n; int64_t count; } Number; /* of a customer, and how often it stands in the row's texts */

typedef struct Hunt {
    const Pii *s;
    RowWork   *w;
    VEC(Scanned) scanned;  /* of the first reading */
    size_t     next;       /* of the second: how many of them it has met */
    PiiKnown  *known;
    Number     number[2];
    int64_t    count[PII_KINDS];
    Map       *keys;       /* that the index has of this row; NULL: none yet */
    Err        err;
} Hunt;

typedef struct Finding { Hunt *h; PiiKind kind; } Finding;

static void add_key(void *user, const char key[PII_KEY_HEX], bool part)
{
    const Finding *f = user;
    Hunt          *h = f->h;
    (void)part;
    if (!h->keys)
        h->keys = map_new();
    if (map_put(h->keys, str_of(key), 1))
        strbuf_addf(&h->w->subjects, "{\"key\":\"%s\",\"kind\":\"%s\",\"row\":%lld}\n", key, pii_kind_info(f->kind)->name, (long long)h->w->at.row);
}

/* The first reading. */
static void scan_text(Hunt *h, Str text)
{
    Scanned *one = vec_push(&h->scanned);
    *one = (Scanned){ .text = hash64(text.p, text.n) };
    if (pii_scan(h->s->setup.scanner, text, &one->spans, h->err.code ? NULL : &h->err))
        return;
    pii_known_take(h->known, text, &one->spans);
}

static bool scan_each(void *user, TextRole role, Str text, StrBuf *out)
{
    (void)role;
    (void)out;
    scan_text(user, text);
    return false;
}

/* The second: its findings, with those of the other texts. Valid until the next call. A text that two places of the row share may be another one by now. */
static PiiSpans *meet_text(Hunt *h, Str text)
{
    BUG_ON(h->next == h->scanned.n);
    const Scanned *first = &h->scanned.p[h->next++];
    PiiSpans      *spans = &h->scanned.p[h->next - 1].spans;
    if (first->text != hash64(text.p, text.n) && pii_scan(h->s->setup.scanner, text, spans, h->err.code ? NULL : &h->err))
        return spans;
    pii_known_find(h->known, text, spans);
    return spans;
}

static void columns_below(Hunt *h, const Json *value, Str above, Str name)
{
    JsonIter    it = { 0 };
    Str         key;
    Json       *child;
    const char *rule;
    for (size_t i = 0; json_kind(value) == JSON_ARRAY && i < json_len(value); i++)
        columns_below(h, json_at(value, i), above, name);
    while (json_kind(value) == JSON_OBJECT && json_each(value, &it, &key, &child))
        columns_below(h, child, name, key);
    if (json_kind(value) != JSON_STRING)
        return;
    const PiiColumn column = pii_column_of(above, name);
    if (column != PII_COLUMN_OTHER && pii_column_holds(h->s->setup.scanner, column, json_str(value), pii_known_heard(h->known, json_str(value)), &rule))
        pii_known_person(h->known, json_str(value), rule);
}

/* Its values are numbers of a customer rather than words when they have a digit and are long enough to mean one thing. */
static void note_number(Hunt *h, size_t i, const char *column)
{
    if (!*column)
        return;
    const Str v = record_meta(&h->w->rec, column, &h->w->scratch);
    bool      digit = false;
    for (size_t k = 0; k < v.n; k++)
        digit |= v.p[k] >= '0' && v.p[k] <= '9';
    if (digit && v.n > 3)
        h->number[i] = (Number){ column, mem_strndup(v.p, v.n), v.n, 0 };
}

static void count_number(Number *x, Str text)
{
    const char *end = text.p + text.n;
    for (const char *at = text.p; x->n && text.n && (at = memmem(at, (size_t)(end - at), x->value, x->n)) != NULL; at += x->n) {
        const char *behind = at + x->n;
        const bool  front = at == text.p || !((unsigned char)at[-1] >= 0x80 || isalnum((unsigned char)at[-1]));
        x->count += front && (behind == end || !((unsigned char)*behind >= 0x80 || isalnum((unsigned char)*behind)));
    }
}

static void add_subjects(Hunt *h, Str text, const PiiSpans *spans)
{
    for (size_t i = 0; i < spans->n; i++) {
        const PiiSpan *span = &spans->p[i];
        subject_keys(h->s->replacer, span->kind, (Str){ text.p + span->begin, span->end - span->begin }, add_key, &(Finding){ h, span->kind });
    }
}

/* True: out holds the text without them. */
static bool hunt_text(void *user, TextRole role, Str text, StrBuf *out)
{
    Hunt           *h = user;
    bool            drop;
    const PiiSpans *spans = meet_text(h, text);
    const bool      changes = spans->n && h->s->change;
    add_subjects(h, text, spans);
    for (size_t i = 0; i < spans->n; i++)
        h->count[spans->p[i].kind]++;
    if (changes)
        pii_replace(h->s->replacer, text, spans, out, &drop);
    for (size_t i = 0; i < ARRAY_LEN(h->number) && role != TEXT_META; i++)
        count_number(&h->number[i], changes ? strbuf_str(out) : text);
    return changes;
}

/* A text that the log keeps: the same, but it does not count again. The index knows its values, too: what a repair cut away (a signature) was said of that person, so
 * the row is found by it. */
static void clean_kept(Hunt *h, StrBuf *text)
{
    StrBuf          out = { 0 };
    bool            drop;
    const PiiSpans *spans = meet_text(h, strbuf_str(text));
    add_subjects(h, strbuf_str(text), spans);
    if (spans->n && h->s->change) {
        pii_replace(h->s->replacer, strbuf_str(text), spans, &out, &drop);
        strbuf_clear(text);
        strbuf_add(text, out.p, out.n);
    }
    strbuf_release(&out);
}

static void scan_held(Hunt *h)
{
    for (size_t i = 0; i < json_len(h->w->before); i++)
        scan_text(h, json_str(json_get(json_at(h->w->before, i), "text")));
}

static void clean_held(Hunt *h)
{
    Json *clean = json_arr_new();
    for (size_t i = 0; i < json_len(h->w->before); i++) {
        const Json *one = json_at(h->w->before, i);
        StrBuf      text = { 0 };
        Str         s = json_str(json_get(one, "text"));
        strbuf_add(&text, s.p, s.n);
        clean_kept(h, &text);
        before_add(clean, json_int(json_get(one, "at")), strbuf_str(&text));
        strbuf_release(&text);
    }
    json_free(h->w->before);
    h->w->before = clean;
}

/* The kinds of `mask` with their numbers; NULL: none. `what`: their names. */
static Json *kinds_of(const Hunt *h, uint32_t mask, StrBuf *what)
{
    Json *kinds = json_obj_new();
    for (int k = 0; k < PII_KINDS; k++)
        if (mask >> k & 1) {
            const char *name = pii_kind_info((PiiKind)k)->name;
            strbuf_addf(what, "%s%s", what->n ? ", " : "", name);
            json_set(kinds, name, json_int_new(h->count[k]));
        }
    Json *more = json_obj_new();
    json_set(more, "kinds", kinds);
    return more;
}

static void tell_numbers(Hunt *h)
{
    StrBuf what = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(h->number); i++)
        if (h->number[i].count) {
            Json *more = json_obj_new();
            json_set(more, "times", json_int_new(h->number[i].count));
            strbuf_clear(&what);
            strbuf_addf(&what, "the value of column %s stands in the texts and stays: it is of no kind", h->number[i].column);
            row_note(h->w, "pii", strbuf_z(&what), NAN, more);
        }
    strbuf_release(&what);
}

/* A row leaves for what the policy would have changed in it: a place alone, a bank or a company names nobody. What was changed and what was only seen are told apart. */
static void tell(Hunt *h)
{
    uint32_t personal = 0, seen = 0;
    for (int k = 0; k < PII_KINDS; k++)
        if (h->count[k])
            *(h->s->policy.mode[k] == PII_REPORT ? &seen : &personal) |= (uint32_t)1 << k;
    if (personal) {
        StrBuf what = { 0 };
        Json  *more = kinds_of(h, personal, &what);
        if (h->s->drop && !row_removed(h->w)) {
            row_remove(h->w, "pii", strbuf_z(&what), NAN, more);
            h->w->entry.personal = personal;
        } else
            row_edit(h->w, "pii", strbuf_z(&what), more);
        strbuf_release(&what);
    }
    if (seen) {
        StrBuf what = { 0 };
        Json  *more = kinds_of(h, seen, &what);
        row_note(h->w, "pii", strbuf_z(&what), NAN, more);
        strbuf_release(&what);
    }
    tell_numbers(h);
}

/* What the mail parser cut away (feed.h) is written nowhere, but said of somebody as well. */
static void pii_row(const void *state, RowWork *w)
{
    Hunt      h = { .s = state, .w = w };
    const Str cut = w->cut ? str_of(w->cut) : (Str){ 0 };
    h.known = pii_known_new(h.s->setup.scanner);
    if (w->rec.row) {
        record_each_text(&w->rec, scan_each, &h);
        record_each_key(&w->rec, scan_each, &h);
        note_number(&h, 0, h.s->group);
        note_number(&h, 1, h.s->subject);
    } else {
        scan_text(&h, strbuf_str(&w->raw));
        scan_text(&h, strbuf_str(&w->why));
    }
    scan_text(&h, cut);
    scan_held(&h);
    if (w->rec.row)
        columns_below(&h, json_get(w->rec.row, "meta"), (Str){ 0 }, (Str){ 0 });
    if (w->rec.row) {
        record_each_text(&w->rec, hunt_text, &h);
        record_each_key(&w->rec, hunt_text, &h);
    } else {
        StrBuf out = { 0 };
        if (hunt_text(&h, TEXT_PLAIN, strbuf_str(&w->raw), &out)) {
            strbuf_clear(&w->raw);
            strbuf_add(&w->raw, out.p, out.n);
        }
        strbuf_release(&out);
        clean_kept(&h, &w->why); /* the reader's sentence may quote the row, and stands in the log already */
        strbuf_clear(&w->log);
        decision_add(&w->log, w->at, w->why_pass, ACTION_REMOVE, strbuf_z(&w->why), NAN, NULL);
    }
    add_subjects(&h, cut, meet_text(&h, cut));
    if (w->before)
        clean_held(&h);
    row_held_edit(w);
    tell(&h);
    if (h.err.code)
        row_remove(w, "pii", h.err.text, NAN, NULL);
    for (size_t i = 0; i < h.scanned.n; i++)
        vec_release(&h.scanned.p[i].spans);
    vec_release(&h.scanned);
    for (size_t i = 0; i < ARRAY_LEN(h.number); i++)
        free(h.number[i].value);
    pii_known_free(h.known);
    map_free(h.keys);
}

static void pii_close(void *state)
{
    Pii *s = state;
    pii_replacer_free(s->replacer);
    pii_setup_close(&s->setup);
    free(s);
}

const Pass pass_pii = { "pii", true, pii_open, pii_row, pii_close };
