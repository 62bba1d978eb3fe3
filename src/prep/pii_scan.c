/* pii_scan.c - one walk over a text that calls the matchers where their triggers stand, then the choice among findings that overlap.
 * Triggers: '@', ':' (addresses of the Internet), a word with a digit in it or right behind "+" or "(", a word with a capital letter. Words of small
 * letters, which are most of a text, cost one table look-up a byte. Invariant: *out is ordered and free of overlaps. */
#include "prep/pii_allow.h"
#include "prep/pii_int.h"
#include "prep/secrets.h"

#include <stdlib.h>

int pii_scanner_new(PiiScanner **out, const PiiOptions *o, Err *e)
{
    *out = NULL;
    if (o && (o->least < 0 || o->least > 100))
        return err_set(e, ERR_ARG, "personal data: the least confidence is %d, expected 0 to 100", o->least);
    PiiScanner *s = mem_zalloc(1, sizeof *s);
    s->off = o ? o->off : 0;
    s->least = o && o->least ? o->least : 50;
    s->allow = o ? o->allow : NULL;
    const int rc = pii_countries_read(o ? o->countries : NULL, &s->home, e);
    if (rc) {
        free(s);
        return rc;
    }
    s->words = pii_words_new();
    pii_phrases_index(&s->phrases);
    *out = s;
    return 0;
}

void pii_scanner_free(PiiScanner *s)
{
    if (s)
        pii_words_free(s->words);
    free(s);
}

void pii_add(PiiText *t, size_t begin, size_t end, PiiKind k, int confidence, const char *rule)
{
    BUG_ON(begin >= end || end > t->n);
    if (confidence >= t->s->least && pii_wants(t, k))
        *vec_push(t->out) = (PiiSpan){ begin, end, k, MIN(confidence, 100), rule };
}

/* What begins with a digit or holds one. */
static void match_number(PiiText *t, size_t i, size_t end)
{
    static const PiiMatcher all[] = { pii_match_ip4, pii_match_iban, pii_match_card, pii_match_phone, pii_match_id, pii_match_birth,
            pii_match_coordinates };
    for (size_t m = 0; m < ARRAY_LEN(all); m++)
        all[m](t, i);
    pii_match_wallet(t, i, end);
    pii_match_address(t, i, end);
}

/* A letter-only word of two may begin an IBAN ("DE 89 ..."), a hexadecimal one an address of a network card, a few begin numbers ("HRB 12345"). */
static void match_letters(PiiText *t, size_t i, size_t end)
{
    const char *p = t->p;
    const size_t next = end + pii_space(p, t->n, end);
    const bool digits_follow = next < t->n && (ch_digit(p[next]) || (p[end] == '-' && end + 1 < t->n && ch_alnum(p[end + 1])));
    if (end - i == 2)
        pii_match_mac(t, i);
    if (digits_follow && end - i <= 5) {
        if (end - i == 2)
            pii_match_iban(t, i);
        pii_match_id(t, i);
    } else if (ch_is(p[i], CH_UPPER) && (end - i == 16 || end - i == 9 || end - i == 10))
        pii_match_id(t, i);         /* codes that may hold letters alone */
    if ((end - i == 8 || end - i == 11) && ch_is(p[i], CH_UPPER))
        pii_match_bic(t, i, end);
    if (pii_upper_at(p, t->n, i)) {
        pii_match_birth(t, i);
        pii_match_address(t, i, end);
        pii_match_name(t, i, end);
    }
    if (end - i >= 26)
        pii_match_wallet(t, i, end);
}

static size_t match_word(PiiText *t, size_t i)
{
    const char *p = t->p;
    size_t end = i;
    while (end < t->n && ch_is(p[end], CH_LOWER))
        end++;
    const bool plain = end > i + 5 && !pii_word_char(p, t->n, end);
    bool digit = false;
    for (size_t len; !plain && (len = pii_word_char(p, t->n, end)) > 0; end += len)
        digit |= ch_digit(p[end]);
    if (!ch_is(p[i], CH_UPPER | CH_DIGIT) && pii_small_due(t, i, end))
        pii_match_small(t, i);
    if (end - i == 2 && (p[i] == 'a' || p[i] == 'A') && (p[i + 1] == 't' || p[i + 1] == 'T'))
        pii_match_email_spelt(t, i);
    if (plain)
        return end; /* an ordinary word */
    for (size_t k = i; k < end && !digit; k++)
        digit = ch_digit(p[k]);
    if (digit) {
        match_number(t, i, end);
        if (end - i == 2)
            pii_match_mac(t, i);
        if ((end - i == 8 || end - i == 11) && ch_alpha(p[i]))
            pii_match_bic(t, i, end);
    } else
        match_letters(t, i, end);
    return end;
}

static void walk(PiiText *t)
{
    const char *p = t->p;
    for (size_t i = 0; i < t->n; ) {
        const char c = p[i];
        if (ch_is(c, CH_SPACE)) {
            i++;
        } else if (pii_word_char(p, t->n, i)) {
            i = match_word(t, i);
        } else {
            if (c == '@')
                pii_match_email(t, i);
            else if (c == '(' || c == '[' || c == '{')
                pii_match_email_spelt(t, i);
            else if (c == ':') {
                pii_match_login(t, i);
                pii_match_ip6(t, i);
            }
            i++;
        }
    }
}

/* Of those that begin together the longest first: what lies inside another comes behind it. */
static int by_place(const void *a, const void *b)
{
    const PiiSpan *x = a, *y = b;
    return x->begin != y->begin ? (x->begin < y->begin ? -1 : 1) : x->end != y->end ? (x->end > y->end ? -1 : 1) : (int)x->kind - (int)y->kind;
}

static int by_strength(const void *a, const void *b)
{
    const PiiSpan *x = a, *y = b;
    const size_t nx = x->end - x->begin, ny = y->end - y->begin;
    if (x->confidence != y->confidence)
        return y->confidence - x->confidence;
    if (nx != ny)
        return nx < ny ? 1 : -1;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->kind != y->kind ? (int)x->kind - (int)y->kind : strcmp(x->rule, y->rule);
}

/* A street is named after a person, an address holds a place and a postcode: the address is more than what lies inside it, so it must not lose to that.
 * Spans in order of place. */
#define WHOLE 65 /* an address of less is a guess, and the name inside it the better one */

static void prefer_whole(PiiSpan *s, size_t n)
{
    size_t whole = n;
    for (size_t k = 0; k < n; k++) {
        const bool part = s[k].kind == PII_PERSON || s[k].kind == PII_PLACE || s[k].kind == PII_POSTCODE || s[k].kind == PII_ADDRESS;
        if (whole < n && part && s[k].end <= s[whole].end && s[k].end - s[k].begin < s[whole].end - s[whole].begin)
            s[whole].confidence = MAX(s[whole].confidence, MIN(s[k].confidence + 1, 97));
        if (s[k].kind == PII_ADDRESS && s[k].confidence >= WHOLE && (whole == n || s[k].end >= s[whole].end))
            whole = k;
    }
}

/* Keeps the strongest of one group of spans that hang together by overlaps. `taken` has a byte for each of the group's bytes of text, so the
 * cost is linear in their length. Returns how many stay. */
static size_t choose(PiiSpan *s, size_t n)
{
    size_t from = s[0].begin, to = s[0].end, kept = 0;
    for (size_t k = 1; k < n; k++)
        to = MAX(to, s[k].end);
    uint8_t *taken = mem_zalloc(to - from, 1);
    prefer_whole(s, n);
    qsort(s, n, sizeof *s, by_strength);
    for (size_t k = 0; k < n; k++) {
        if (memchr(taken + (s[k].begin - from), 1, s[k].end - s[k].begin))
            continue;
        memset(taken + (s[k].begin - from), 1, s[k].end - s[k].begin);
        s[kept++] = s[k];
    }
    free(taken);
    qsort(s, kept, sizeof *s, by_place);
    return kept;
}

/* Before the choice: what overlapped an allowed finding may stand for itself. */
static void leave_allowed(const PiiAllow *a, Str text, PiiSpans *v)
{
    size_t kept = 0;
    for (size_t i = 0; i < v->n; i++)
        if (!pii_allow_holds(a, text, &v->p[i]))
            v->p[kept++] = v->p[i];
    v->n = kept;
}

static void resolve(PiiSpans *v)
{
    size_t kept = 0;
    if (v->n)
        qsort(v->p, v->n, sizeof *v->p, by_place);
    for (size_t i = 0, k; i < v->n; i = k) {
        size_t end = v->p[i].end;
        for (k = i + 1; k < v->n && v->p[k].begin < end; k++)
            end = MAX(end, v->p[k].end);
        const size_t n = k - i > 1 ? choose(v->p + i, k - i) : 1;
        memmove(v->p + kept, v->p + i, n * sizeof *v->p);
        kept += n;
    }
    v->n = kept;
}

/* What only shows without the tags of a page. */
static void scan_page(const PiiScanner *s, Str text, PiiSpans *out)
{
    PiiPage page;
    PiiSpans found = {0};
    if (!pii_page_read(text, &page))
        return;
    PiiText t = { .s = s, .p = page.text.p, .n = page.text.n, .out = &found, .small = pii_no_capital(strbuf_str(&page.text)) };
    walk(&t);
    resolve(&found);
    pii_page_place(&page, &found, out);
    vec_release(&found);
    pii_page_release(&page);
}

int pii_scan(const PiiScanner *s, Str text, PiiSpans *out, Err *e)
{
    vec_clear(out);
    if (text.n > PII_TEXT_MAX)
        return err_set(e, ERR_INPUT, "personal data: a text of %zu bytes is longer than the most that is scanned, %zu; cut it into records",
                text.n, PII_TEXT_MAX);
    PiiText t = { .s = s, .p = text.p, .n = text.n, .out = out, .small = pii_no_capital(text) };
    walk(&t);
    scan_page(s, text, out);
    if (pii_wants(&t, PII_SECRET))
        secrets_scan(text, s->least, out);
    if (s->allow)
        leave_allowed(s->allow, text, out);
    resolve(out);
    return 0;
}
