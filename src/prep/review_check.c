/* review_check.c - a row that a person edited goes once more through the passes that look at one row without changing it: its shape, personal data, tokens,
 * and the numbers of measures.h. The person has the last word on the text, so findings are told and nothing is rewritten; only a row that training would refuse
 * leaves, as in hone prep. Personal data counts when it was not in the row before: replacements look like what they stand for. Its values are written nowhere;
 * subjects.jsonl gets their keyed hashes, so that the person's rows are still found.
 * Main struct: ReviewCheck. */
#include "prep/review_int.h"

#include <math.h>
#include <stdlib.h>

#include "base/secret.h"
#include "prep/pii_replace.h"
#include "prep/pii_setup.h"
#include "prep/provenance.h"
#include "prep/row_checks.h"
#include "prep/subject.h"

struct ReviewCheck {
    const Review *r;
    Tok          *tok;         /* NULL: tokens are not counted */
    PiiSetup      pii;         /* no scanner: the folder was made with --pii off */
    PiiReplacer  *replacer;    /* made when the first value needs its hash */
    char         *key_path;
    uint32_t      off;         /* rules of --quality-skip */
};

static uint32_t skipped_rules(const char *list)
{
    uint32_t off = 0;
    Str      item;
    while (list && cfg_list_each(&list, &item)) {
        char     *name = mem_strndup(item.p, item.n);
        const int k = heuristic_kind_of(name);
        off |= k < 0 ? 0 : 1u << k;
        free(name);
    }
    return off;
}

static bool given(const char *s) { return s && *s; }

int review_check_open(ReviewCheck **out, const Review *r, const ReviewApplyOptions *o, Err *uncounted, Err *e)
{
    ReviewCheck   *c = mem_zalloc(1, sizeof *c);
    const PrepCfg *cfg = &r->cfg;
    const char    *model = given(o->model) ? o->model : cfg->model;
    int            rc = 0;
    *c = (ReviewCheck){ .r = r, .off = skipped_rules(cfg->quality_skip) };
    c->key_path = given(o->pii_key) ? mem_strdup(o->pii_key) : given(cfg->pii_key) ? mem_strdup(cfg->pii_key) : path_join(r->dir, "pii.key");
    *uncounted = (Err){ 0 };
    if (given(model) && tok_open(&c->tok, model, uncounted)) {
        c->tok = NULL;
        if (given(o->model)) /* asked for here and now; the folder's own may be gone by now */
            rc = err_set(e, uncounted->code, "%s", uncounted->text);
    }
    if (!rc && cfg->pii != PREP_PII_OFF)
        rc = pii_setup_open(&c->pii, cfg, e);
    *out = c;
    return rc;
}

void review_check_close(ReviewCheck *c)
{
    if (!c)
        return;
    pii_replacer_free(c->replacer);
    pii_setup_close(&c->pii);
    tok_free(c->tok);
    free(c->key_path);
    free(c);
}

void review_checked_release(ReviewChecked *out)
{
    strbuf_release(&out->log);
    strbuf_release(&out->subjects);
    strbuf_release(&out->refused);
}

/* ---- personal data ------------------------------------------------------------------------------------------------------------------------------------ */

typedef struct Hunt { ReviewCheck *c; Map *known, *fresh; PiiSpans spans; Err err; } Hunt; /* known: values that the row had; fresh: kind and value -> kind */

static bool hunt(void *user, TextRole role, Str text, StrBuf *out)
{
    Hunt *h = user;
    int64_t seen;
    (void)role, (void)out;
    if (h->err.code || pii_scan(h->c->pii.scanner, text, &h->spans, &h->err))
        return false;
    for (size_t i = 0; i < h->spans.n; i++) {
        const PiiSpan *s = &h->spans.p[i];
        Str            value = { text.p + s->begin, s->end - s->begin };
        if (!h->known)
            map_put(h->fresh, value, (int64_t)s->kind);
        else if (!map_get(h->known, value, &seen))
            map_put(h->fresh, value, (int64_t)s->kind);
    }
    return false;
}

static int values_of(ReviewCheck *c, const Json *row, Map *known, Map *fresh, Err *e)
{
    Hunt   h = { .c = c, .known = known, .fresh = fresh };
    Record rec = { .row = (Json *)(uintptr_t)row };
    if (row && review_texts_known(row)) {
        record_each_text(&rec, hunt, &h);
        record_each_key(&rec, hunt, &h);
    }
    vec_release(&h.spans);
    return h.err.code ? err_set(e, h.err.code, "%s", h.err.text) : 0;
}

static int need_replacer(ReviewCheck *c, uint32_t id, Err *e)
{
    char            key[SECRET_HEX];
    const PiiPolicy policy = pii_policy_default();
    if (c->replacer)
        return 0;
    if (!file_exists(c->key_path))
        return err_set(e, ERR_ARG, "the edit of row %u has what looks like personal data, and the index of persons (subjects.jsonl) needs the key for it, but %s is not there; give --pii-key FILE", id,
                       c->key_path);
    int rc = secret_file(c->key_path, key, e);
    return rc ? rc : pii_replacer_new(&c->replacer, c->pii.scanner, &policy, str_of(key), e);
}

typedef struct Finding { StrBuf *out; PiiKind kind; uint32_t id; } Finding;

static void add_key(void *user, const char key[PII_KEY_HEX], bool part)
{
    const Finding *f = user;
    (void)part;
    strbuf_addf(f->out, "{\"key\":\"%s\",\"kind\":\"%s\",\"row\":%u}\n", key, pii_kind_info(f->kind)->name, f->id);
}

static int check_personal(ReviewCheck *c, uint32_t id, RowPlace at, const Json *before, const Json *after, ReviewChecked *out, Err *e)
{
    Map    *known = map_new(), *fresh = map_new();
    StrBuf  what = { 0 };
    int64_t count[PII_KINDS] = { 0 };
    int     rc = values_of(c, before, NULL, known, e);
    if (!rc)
        rc = values_of(c, after, known, fresh, e);
    if (!rc && map_count(fresh))
        rc = need_replacer(c, id, e);
    for (size_t i = 0; i < map_count(fresh) && !rc; i++) {
        const PiiKind k = (PiiKind)map_value(fresh, i);
        subject_keys(c->replacer, k, map_key(fresh, i), add_key, &(Finding){ &out->subjects, k, id });
        count[k]++;
    }
    if (!rc && map_count(fresh)) {
        Json *kinds = json_obj_new(), *more = json_obj_new();
        strbuf_addz(&what, "an edit brought in");
        for (int k = 0; k < PII_KINDS; k++)
            if (count[k]) {
                strbuf_addf(&what, "%s %s", json_len(kinds) ? "," : "", pii_kind_info((PiiKind)k)->name);
                json_set(kinds, pii_kind_info((PiiKind)k)->name, json_int_new(count[k]));
            }
        json_set(more, "kinds", kinds);
        decision_add(&out->log, at, "pii", ACTION_NOTE, strbuf_z(&what), NAN, more);
        out->personal = true;
    }
    strbuf_release(&what);
    map_free(known);
    map_free(fresh);
    return rc;
}

/* ---- the row ------------------------------------------------------------------------------------------------------------------------------------------ */

static void check_tokens(const ReviewCheck *c, RowPlace at, const Record *rec, ReviewChecked *out)
{
    char note[160];
    Err  why = { 0 };
    if (row_tokens(rec, c->tok, c->r->cfg.max_length, &out->measure.tokens, &out->measure.trained, note, &why)) {
        strbuf_addf(&out->refused, "an edit made it: %s", why.text);
        decision_add(&out->log, at, "tokens", ACTION_REMOVE, strbuf_z(&out->refused), NAN, NULL);
    } else if (note[0]) {
        out->too_long = true;
        decision_add(&out->log, at, "tokens", ACTION_NOTE, note, (double)out->measure.tokens, NULL);
    }
}

static void measure(const ReviewCheck *c, const Record *rec, Measure *m)
{
    StrBuf          text = { 0 };
    HeuristicReport h;
    record_question(rec, &text);
    m->question = (uint32_t)MIN(text.n, (size_t)UINT32_MAX);
    strbuf_clear(&text);
    record_answer(rec, &text);
    m->answer = (uint32_t)MIN(text.n, (size_t)UINT32_MAX);
    strbuf_release(&text);
    row_quality(rec, c->off, &h);
    m->quality = c->r->cfg.quality == QUALITY_OFF ? NAN : h.score;
    row_language(rec, m->language);
}

int review_sound(const Review *r, uint32_t row, Err *e)
{
    const uint32_t id = r->row.p[row].id;
    Json          *whole = NULL, *owner = NULL, *content = NULL, *unused = NULL, *sound = NULL;
    RowState       s;
    Err            why = { 0 };
    review_state(r, row, &s);
    int rc = review_content(r, row, &owner, &content, e);
    if (!rc && !content) {
        rc = err_set(e, ERR_ARG, "row %u could not be read, so it has nothing to be trained on; edit it first", id);
    } else if (!rc && review_canonical(id, NULL, content, &sound, &why)) {
        rc = err_set(e, ERR_ARG, "row %u cannot be accepted as it is, since there is nothing to be trained on: %s; edit it first, or leave it out", id, why.text);
    } else if (!rc && s.edit == NO_ACTION && r->row.p[row].part == RP_REMOVED && !(rc = review_parse(r, row, &whole, &unused, e))) {
        const Str pass = json_str(json_get(whole, "pass")), reason = json_str(json_get(whole, "reason"));
        if (str_eqz(pass, "tokens") || str_eqz(pass, "import"))
            rc = err_set(e, ERR_ARG, "row %u cannot be accepted as it is, since training would refuse it: %.*s; edit it first, or leave it out", id, (int)MIN(reason.n, 400), reason.p);
    }
    json_free(sound);
    json_free(whole);
    json_free(owner);
    return rc;
}

/* A text before a repair is under the folder's policy like the row (pass_pii.c): what looks like personal data in it stands in for some, unless the policy
 * only reports. */
int review_check_row(ReviewCheck *c, uint32_t row, const Json *before, const Json *after, bool from_log, ReviewChecked *out, Err *e)
{
    const uint32_t id = c->r->row.p[row].id;
    RowPlace       at = { id, review_source(c->r, row), 0 };
    Json          *sound = NULL;
    int            rc = review_canonical(id, before, after, &sound, e);
    strbuf_clear(&out->log);
    strbuf_clear(&out->subjects);
    strbuf_clear(&out->refused);
    out->personal = out->too_long = false;
    out->measure = (Measure){ .tokens = -1, .trained = -1 };
    if (rc)
        return err_wrap(e, "%s/review.jsonl, the edit of row %u", c->r->dir, id);
    if (c->pii.scanner && !(from_log && c->r->cfg.pii != PREP_PII_REPORT))
        rc = check_personal(c, id, at, before, after, out, e);
    if (!rc) {
        const Record rec = { .row = sound, .kind = (RecordKind)record_kind_of(sound) };
        if (c->tok)
            check_tokens(c, at, &rec, out);
        measure(c, &rec, &out->measure);
    }
    json_free(sound);
    return rc;
}
