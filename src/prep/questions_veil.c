/* questions_veil.c - see questions_veil.h. */
#include "prep/questions_veil.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/secret.h"
#include "infer/teacher.h"
#include "prep/pii_replace.h"
#include "prep/pii_setup.h"

struct Veil {
    PiiSetup     setup;
    PiiReplacer *replacer;
    PiiPolicy    policy;
};

static bool wanted(const PrepCfg *c)
{
    return c->teacher && teacher_is_address(c->teacher) && c->teacher_sees == TEACHER_SEES_REPLACED && c->pii != PREP_PII_OFF && c->pii != PREP_PII_REPORT;
}

int veil_open(Veil **out, const PrepCfg *c, const char *key_path, Err *e)
{
    char key[SECRET_HEX];
    *out = NULL;
    if (!wanted(c))
        return 0;
    Veil *v = *out = mem_zalloc(1, sizeof *v);
    v->policy = pii_policy_default();
    int rc = pii_setup_open(&v->setup, c, e);
    if (!rc)
        rc = secret_file(key_path, key, e);
    return rc ? rc : pii_replacer_new(&v->replacer, v->setup.scanner, &v->policy, str_of(key), e);
}

void veil_close(Veil *v)
{
    if (!v)
        return;
    pii_replacer_free(v->replacer);
    pii_setup_close(&v->setup);
    free(v);
}

/* ---- veiling ----------------------------------------------------------------------------------------------------------------------------------------- */

static void add_pair(Veiled *w, Str shown, Str own)
{
    if (!shown.n || str_eq(shown, own))
        return;
    for (size_t i = 0; i < w->pair.n; i++)
        if (str_eqz(shown, w->pair.p[i].shown))
            return; /* of two own values with one shown value the first is told back, and becomes that value again */
    *vec_push(&w->pair) = (VeilPair){ mem_strndup(shown.p, shown.n), mem_strndup(own.p, own.n) };
}

static Str next_word(Str *rest)
{
    size_t from = 0, to;
    while (from < rest->n && rest->p[from] == ' ')
        from++;
    for (to = from; to < rest->n && rest->p[to] != ' ';)
        to++;
    const Str word = { rest->p + from, to - from };
    *rest = (Str){ rest->p + to, rest->n - to };
    return word;
}

static size_t words_of(Str s)
{
    size_t n = 0;
    while (next_word(&s).n)
        n++;
    return n;
}

/* "Anna Schmidt" that is shown as "Maria Weber" may come back as "Mrs. Weber". */
static void add_words(Veiled *w, Str shown, Str own)
{
    if (words_of(shown) != words_of(own) || words_of(own) < 2)
        return;
    for (Str a = next_word(&shown), b = next_word(&own); a.n && b.n; a = next_word(&shown), b = next_word(&own))
        if (a.n > 2)
            add_pair(w, a, b);
}

static int veil_text(const Veil *v, Str text, PiiSpans *spans, Veiled *w, char **out, Err *e)
{
    StrBuf shown = { 0 }, one = { 0 };
    size_t at = 0;
    int    rc = text.n ? pii_scan(v->setup.scanner, text, spans, e) : 0;
    for (size_t i = 0; !rc && text.n && i < spans->n; i++) {
        const PiiSpan *s = &spans->p[i];
        const PiiMode  mode = v->policy.mode[s->kind];
        const Str      own = { text.p + s->begin, s->end - s->begin };
        strbuf_clear(&one);
        if (mode == PII_REPLACE)
            pii_surrogate(v->replacer, s->kind, s->rule, own, &one);
        else if (mode == PII_REDACT)
            strbuf_addf(&one, "[%s]", pii_kind_info(s->kind)->label);
        else
            continue;
        w->personal = true;
        if (mode == PII_REPLACE) {
            add_pair(w, strbuf_str(&one), own);
            if (s->kind == PII_PERSON)
                add_words(w, strbuf_str(&one), own);
        }
        strbuf_add(&shown, text.p + at, s->begin - at);
        strbuf_add(&shown, one.p ? one.p : "", one.n);
        at = s->end;
    }
    strbuf_add(&shown, text.n ? text.p + at : "", text.n - at);
    *out = strbuf_take(&shown);
    strbuf_release(&one);
    return rc;
}

static int by_length(const void *a, const void *b)
{
    const VeilPair *x = a, *y = b;
    const size_t    n = strlen(x->shown), m = strlen(y->shown);
    return n != m ? (n > m ? -1 : 1) : strcmp(x->shown, y->shown);
}

int veil_passage(const Veil *v, const PassagePlace *p, Veiled *out, Err *e)
{
    const Str field[] = { p->title, p->part, p->section, p->lead, p->text };
    PiiSpans  spans = { 0 };
    int       rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(field) && !rc; i++)
        rc = veil_text(v, field[i], &spans, out, &out->field[i], e);
    if (out->pair.n)
        qsort(out->pair.p, out->pair.n, sizeof *out->pair.p, by_length);
    vec_release(&spans);
    return rc;
}

PassagePlace veiled_place(const Veiled *w)
{
    return (PassagePlace){ str_of(w->field[0]), str_of(w->field[1]), str_of(w->field[2]), str_of(w->field[3]), str_of(w->field[4]) };
}

/* ---- lifting ----------------------------------------------------------------------------------------------------------------------------------------- */

static bool in_word(Str s, size_t i)
{
    const unsigned char c = i < s.n ? (unsigned char)s.p[i] : ' ';
    return c >= 0x80 || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

void veiled_lift(const Veiled *w, Str text, StrBuf *out)
{
    for (size_t i = 0; i < text.n;) {
        const Str rest = { text.p + i, text.n - i };
        size_t    k = 0, n = 0;
        const bool inside = i && in_word(text, i - 1) && in_word(text, i);
        for (; !inside && k < w->pair.n; k++) {
            n = strlen(w->pair.p[k].shown);
            if (str_starts(rest, w->pair.p[k].shown) && !(in_word(rest, n - 1) && in_word(rest, n)))
                break;
        }
        if (!inside && k < w->pair.n) {
            strbuf_addz(out, w->pair.p[k].own);
            i += n;
        } else {
            strbuf_addc(out, text.p[i++]);
        }
    }
}

void veiled_release(Veiled *w)
{
    for (size_t i = 0; i < ARRAY_LEN(w->field); i++)
        free(w->field[i]);
    for (size_t i = 0; i < w->pair.n; i++) {
        free(w->pair.p[i].shown);
        free(w->pair.p[i].own);
    }
    vec_release(&w->pair);
    *w = (Veiled){ 0 };
}
