/* pass_pii.c - personal data and secrets (pii.h) leave every text of a row, its meta and the names in it included, before anything of it is written: also the texts before a repair,
 * which the log keeps, and the raw text of a row that could not be read. The log tells kinds and numbers, never values. Which rows hold a value stands in
 * subjects.jsonl under a keyed hash, so that a person's rows can be found again by whoever has the key and the value. */
#include "prep/prep_int.h"

#include <math.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/secret.h"
#include "prep/before.h"
#include "prep/pii_replace.h"
#include "prep/pii_setup.h"
#include "prep/subject.h"

typedef struct Pii {
    PiiSetup     setup;
    PiiReplacer *replacer;
    PiiPolicy    policy;
    bool         change, drop; /* texts are rewritten; rows with findings leave */
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

typedef struct Hunt {
    const Pii *s;
    RowWork   *w;
    PiiSpans   spans;
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
    Hunt *h = user;
    bool  drop;
    (void)role;
    if (pii_scan(h->s->setup.scanner, text, &h->spans, &h->err) || !h->spans.n)
        return false;
    add_subjects(h, text, &h->spans);
    for (size_t i = 0; i < h->spans.n; i++)
        h->count[h->spans.p[i].kind]++;
    if (!h->s->change)
        return false;
    pii_replace(h->s->replacer, text, &h->spans, out, &drop);
    return true;
}

/* A text that the log keeps: the same, but it does not count again. The index knows its values, too: what a repair cut away (a signature) was said of that person, so
 * the row is found by it. */
static void clean_kept(Hunt *h, StrBuf *text)
{
    PiiSpans spans = { 0 };
    StrBuf   out = { 0 };
    bool     drop;
    const bool found = !pii_scan(h->s->setup.scanner, strbuf_str(text), &spans, NULL) && spans.n;
    if (found)
        add_subjects(h, strbuf_str(text), &spans);
    if (found && h->s->change) {
        pii_replace(h->s->replacer, strbuf_str(text), &spans, &out, &drop);
        strbuf_clear(text);
        strbuf_add(text, out.p, out.n);
    }
    strbuf_release(&out);
    vec_release(&spans);
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

/* What the mail parser cut away (feed.h) is written nowhere, but said of somebody as well. */
static void index_cut(Hunt *h, Str text)
{
    PiiSpans spans = { 0 };
    if (text.n && !pii_scan(h->s->setup.scanner, text, &spans, NULL))
        add_subjects(h, text, &spans);
    vec_release(&spans);
}

/* A row leaves for what the policy would have changed in it: a place alone, a bank or a company names nobody. */
static void tell(Hunt *h)
{
    StrBuf   what = { 0 }, leaves = { 0 };
    uint32_t personal = 0;
    Json    *kinds = json_obj_new();
    for (int k = 0; k < PII_KINDS; k++)
        if (h->count[k]) {
            const char *name = pii_kind_info((PiiKind)k)->name;
            strbuf_addf(&what, "%s%s", what.n ? ", " : "", name);
            json_set(kinds, name, json_int_new(h->count[k]));
            if (h->s->policy.mode[k] == PII_REPORT)
                continue;
            strbuf_addf(&leaves, "%s%s", leaves.n ? ", " : "", name);
            personal |= (uint32_t)1 << k;
        }
    Json *more = json_obj_new();
    json_set(more, "kinds", kinds);
    if (!what.n)
        json_free(more);
    else if (h->s->drop && personal && !row_removed(h->w)) {
        row_remove(h->w, "pii", strbuf_z(&leaves), NAN, more);
        h->w->entry.personal = personal;
    } else if (h->s->change && personal)
        row_edit(h->w, "pii", strbuf_z(&what), more);
    else
        row_note(h->w, "pii", strbuf_z(&what), NAN, more);
    strbuf_release(&what);
    strbuf_release(&leaves);
}

static void pii_row(const void *state, RowWork *w)
{
    Hunt h = { .s = state, .w = w };
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
    if (w->cut)
        index_cut(&h, str_of(w->cut));
    if (w->before)
        clean_held(&h);
    row_held_edit(w);
    tell(&h);
    if (h.err.code)
        row_remove(w, "pii", h.err.text, NAN, NULL);
    vec_release(&h.spans);
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
