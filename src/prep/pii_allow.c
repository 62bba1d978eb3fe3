/* pii_allow.c - each text in the list under each of its words, so that a finding is compared with the few that share its first word.
 * Main struct: PiiAllow. Invariant: texts are kept with single blanks, those without quotes in small letters. */
#include "prep/pii_allow.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "prep/pii_int.h"
#include "prep/pii_key.h"

typedef struct Text { char *p; size_t n; bool exact; } Text;
typedef struct Link { uint32_t text, next; } Link; /* next: index + 1 in links; 0 ends */

struct PiiAllow {
    VEC(Text) text;
    VEC(Link) link;
    Map      *word;    /* in small letters -> index + 1 of its first link */
    Map      *number;  /* the texts as pii_normalise has numbers */
};

#define WINDOW (PII_ALLOW_BYTES + 8)    /* bytes beside a finding that are looked at: a text may begin with its first byte or end with its last */

/* One text as the lists of numbers have it: 'p' as a telephone number, 'n' as another. */
static void number_key(PiiKind k, Str s, StrBuf *out)
{
    strbuf_clear(out);
    strbuf_addc(out, k == PII_PHONE ? 'p' : 'n');
    pii_normalise(k, s, out);
}

static bool blank_at(Str s, size_t i, size_t *len)
{
    const size_t wide = pii_space(s.p, s.n, i);
    *len = wide ? wide : 1;
    return wide || s.p[i] == '\n' || s.p[i] == '\r';
}

/* Appends with any run of blanks and line breaks as one blank, also across the seam to what is there. */
static void add_squeezed(StrBuf *out, Str s)
{
    for (size_t i = 0, len; i < s.n; i += len) {
        if (!blank_at(s, i, &len))
            strbuf_addc(out, s.p[i]);
        else if (!out->n || out->p[out->n - 1] != ' ')
            strbuf_addc(out, ' ');
    }
}

/* `small`: in small letters. */
static void add_form(StrBuf *out, Str s, bool small)
{
    StrBuf low = { 0 };
    if (small)
        pii_lower(s, &low);
    add_squeezed(out, small ? strbuf_str(&low) : s);
    strbuf_release(&low);
}

static void index_words(PiiAllow *a, uint32_t text)
{
    StrBuf low = { 0 };
    pii_lower((Str){ a->text.p[text].p, a->text.p[text].n }, &low);
    for (size_t i = 0, end; i < low.n; i = end) {
        int64_t first = 0;
        end = pii_word_end(low.p, low.n, i);
        if (end == i) {
            end++;
            continue;
        }
        const Str word = { low.p + i, end - i };
        map_get(a->word, word, &first);
        *vec_push(&a->link) = (Link){ text, (uint32_t)first };
        map_put(a->word, word, (int64_t)a->link.n);
    }
    strbuf_release(&low);
}

static int add_line(PiiAllow *a, Str s, const char *name, size_t line, Err *e)
{
    const bool exact = s.p[0] == '"';
    if (exact && (s.n < 2 || s.p[s.n - 1] != '"'))
        return err_set(e, ERR_INPUT, "%s, line %zu: a quote opens and does not close; write \"text\" for an exact text, or text", name, line);
    if (exact)
        s = (Str){ s.p + 1, s.n - 2 };
    if (s.n > PII_ALLOW_BYTES)
        return err_set(e, ERR_INPUT, "%s, line %zu: %zu bytes, a text that stays may have %zu; give its beginning or its parts", name, line, s.n, PII_ALLOW_BYTES);
    if (a->text.n == PII_ALLOW_LINES)
        return err_set(e, ERR_INPUT, "%s, line %zu: more than %zu texts", name, line, PII_ALLOW_LINES);
    StrBuf form = { 0 };
    size_t words = a->link.n;
    add_form(&form, s, !exact);
    const size_t n = form.n;
    *vec_push(&a->text) = (Text){ strbuf_take(&form), n, exact };
    index_words(a, (uint32_t)a->text.n - 1);
    if (a->link.n == words)
        return err_set(e, ERR_INPUT, "%s, line %zu: no letter and no digit in \"%.*s\"; give the text that is to stay", name, line, (int)s.n, s.p);
    size_t digits = 0;
    for (size_t k = 0; k < s.n; k++)
        digits += ch_digit(s.p[k]);
    if (!exact && digits > 4) {
        StrBuf key = { 0 };
        number_key(PII_PHONE, s, &key);
        map_put(a->number, strbuf_str(&key), 1);
        number_key(PII_CARD, s, &key);
        map_put(a->number, strbuf_str(&key), 1);
        strbuf_release(&key);
    }
    return 0;
}

int pii_allow_new(PiiAllow **out, Str list, const char *name, Err *e)
{
    size_t    bad, line = 0;
    PiiAllow *a = mem_zalloc(1, sizeof *a);
    int       rc = 0;
    *out = NULL;
    a->word = map_new();
    a->number = map_new();
    if (!utf8_valid(list, &bad))
        rc = err_set(e, ERR_INPUT, "%s: byte %zu is not UTF-8; save the list as UTF-8", name, bad);
    if (list.n >= 3 && memcmp(list.p, "\xEF\xBB\xBF", 3) == 0)
        list = (Str){ list.p + 3, list.n - 3 };
    while (list.n && !rc) {
        const char *stop = memchr(list.p, '\n', list.n);
        Str         s = { list.p, stop ? (size_t)(stop - list.p) : list.n };
        const size_t step = s.n + (stop != NULL);
        list = (Str){ list.p + step, list.n - step };
        line++;
        while (s.n && ch_is(s.p[0], CH_SPACE))
            s = (Str){ s.p + 1, s.n - 1 };
        while (s.n && ch_is(s.p[s.n - 1], CH_SPACE))
            s.n--;
        if (s.n && s.p[0] != '#')
            rc = add_line(a, s, name, line, e);
    }
    if (rc)
        pii_allow_free(a);
    else
        *out = a;
    return rc;
}

void pii_allow_free(PiiAllow *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < a->text.n; i++)
        free(a->text.p[i].p);
    vec_release(&a->text);
    vec_release(&a->link);
    map_free(a->word);
    map_free(a->number);
    free(a);
}

/* A piece of the text around the finding, [from, to) of it in `p`. */
typedef struct Window { StrBuf p; size_t from, to; } Window;

static void open_window(Window *w, Str text, const PiiSpan *s, bool small)
{
    const size_t left = s->begin > WINDOW ? s->begin - WINDOW : 0, right = MIN(text.n, s->end + WINDOW);
    add_form(&w->p, (Str){ text.p + left, s->begin - left }, small);
    w->from = w->p.n;
    add_form(&w->p, (Str){ text.p + s->begin, s->end - s->begin }, small);
    w->to = w->p.n;
    add_form(&w->p, (Str){ text.p + s->end, right - s->end }, small);
}

/* The text stands in the window, as whole words, and covers the finding. */
static bool covers(const Window *w, const Text *x)
{
    const char *p = w->p.p;
    if (x->n < w->to - w->from)
        return false;
    const size_t first = w->to > x->n ? w->to - x->n : 0;
    for (size_t at = first; at <= w->from && at + x->n <= w->p.n; at++)
        if (p[at] == x->p[0] && memcmp(p + at, x->p, x->n) == 0 && !(pii_word_char(p, w->p.n, at) && pii_word_before(p, at)) &&
            !(pii_word_before(p, at + x->n) && pii_word_char(p, w->p.n, at + x->n)))
            return true;
    return false;
}

bool pii_allow_holds(const PiiAllow *a, Str text, const PiiSpan *s)
{
    const Str value = { text.p + s->begin, s->end - s->begin };
    StrBuf    key = { 0 };
    int64_t   link = 0;
    number_key(s->kind, value, &key);
    bool held = map_get(a->number, strbuf_str(&key), &link);
    /* the finding's first word, from its beginning */
    size_t from = s->begin;
    while (from < s->end && !pii_word_char(text.p, text.n, from))
        from++;
    while (s->begin - MIN(from, s->begin) < PII_WORD_MAX && from > 0 && pii_word_before(text.p, from))
        from--;
    while (from < s->end && ((unsigned char)text.p[from] & 0xC0) == 0x80)
        from++;
    strbuf_clear(&key);
    pii_lower((Str){ text.p + from, pii_word_end(text.p, text.n, from) - from }, &key);
    link = 0;
    if (!held && value.n <= 2 * PII_ALLOW_BYTES && map_get(a->word, strbuf_str(&key), &link)) {
        Window plain = { 0 }, small = { 0 };
        open_window(&plain, text, s, false);
        open_window(&small, text, s, true);
        for (; link && !held; link = a->link.p[link - 1].next) {
            const Text *x = &a->text.p[a->link.p[link - 1].text];
            held = covers(x->exact ? &plain : &small, x);
        }
        strbuf_release(&plain.p);
        strbuf_release(&small.p);
    }
    strbuf_release(&key);
    return held;
}
