/* pii_known.c - see pii_known.h. A table of the values by their words, and one of first words, so that a text is read once whatever the number of values: at a word that
 * begins no value nothing more is looked up. Invariant: the same values in the same order give the same findings. */
#include "prep/pii_known.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "prep/pii_allow.h"
#include "prep/pii_int.h"
#include "prep/pii_key.h"

typedef struct Value {
    PiiKind     kind;
    const char *rule;
    bool        exact;     /* the case counts */
    bool        alone;     /* it must be the whole text: an ordinary word that is a name here */
    bool        word;      /* one word of a name: none behind an article */
    char       *text;      /* as it stood */
    size_t      n;
} Value;

struct PiiKnown {
    const PiiScanner *s;
    VEC(Value) value;
    Map       *at;         /* normal form -> index in value */
    Map       *first;      /* first word in small letters -> most words of a value that begins so */
    Map       *heard;      /* words of names in small letters */
    uint8_t    begins[32]; /* a set of bits: bytes that first words begin with, in either case */
};

PiiKnown *pii_known_new(const PiiScanner *s)
{
    PiiKnown *k = mem_zalloc(1, sizeof *k);
    k->s = s;
    return k;
}

void pii_known_free(PiiKnown *k)
{
    if (!k)
        return;
    for (size_t i = 0; i < k->value.n; i++)
        free(k->value.p[i].text);
    vec_release(&k->value);
    map_free(k->at);
    map_free(k->first);
    map_free(k->heard);
    free(k);
}

/* Small letters, a blank for each run of white space. */
static void normal(Str s, StrBuf *out)
{
    StrBuf low = {0};
    pii_lower(s, &low);
    for (size_t i = 0; i < low.n; ) {
        const size_t wide = pii_space(low.p, low.n, i), step = wide ? wide : ch_is(low.p[i], CH_SPACE);
        if (!step)
            strbuf_addc(out, low.p[i++]);
        else {
            i += step;
            if (out->n && out->p[out->n - 1] != ' ')
                strbuf_addc(out, ' ');
        }
    }
    strbuf_release(&low);
}

static size_t first_word(Str s)
{
    size_t i = 0;
    while (i < s.n && !pii_word_char(s.p, s.n, i))
        i++;
    return i;
}

static size_t count_words(Str s)
{
    size_t words = 0;
    for (size_t i = 0, end; i < s.n; i = end) {
        end = pii_word_end(s.p, s.n, i);
        words += end > i;
        end += end == i;
    }
    return words;
}

static void set_begin(PiiKnown *k, char c)
{
    const unsigned char b[] = { (unsigned char)c, (unsigned char)ch_up(c) };
    for (size_t i = 0; i < 2; i++)
        k->begins[b[i] / 8] = (uint8_t)(k->begins[b[i] / 8] | 1u << b[i] % 8);
}

/* A value that stands already keeps its kind and rule; what it asks for becomes the weaker. */
static void put(PiiKnown *k, Str text, Value v)
{
    const size_t from = first_word(text);
    StrBuf key = {0}, word = {0};
    int64_t most = 0, there = 0;
    text = (Str){ text.p + from, text.n - from };
    while (text.n && ch_is(text.p[text.n - 1], CH_SPACE))
        text.n--;
    const size_t words = count_words(text);
    if (!words || words > PII_KNOWN_WORDS || text.n > PII_KNOWN_BYTES)
        return;
    if (!k->at) {
        k->at = map_new();
        k->first = map_new();
    }
    normal(text, &key);
    normal((Str){ text.p, pii_word_end(text.p, text.n, 0) }, &word);
    if (map_get(k->at, strbuf_str(&key), &there)) {
        Value *old = &k->value.p[there];
        old->alone &= v.alone;
        old->exact &= v.exact;
    } else {
        v.text = mem_strndup(text.p, text.n);
        v.n = text.n;
        map_put(k->at, strbuf_str(&key), (int64_t)k->value.n);
        *vec_push(&k->value) = v;
    }
    map_get(k->first, strbuf_str(&word), &most);
    map_put(k->first, strbuf_str(&word), MAX(most, (int64_t)words));
    set_begin(k, word.p[0]);
    /* letters above ASCII begin with a byte that their capital may not share */
    set_begin(k, text.p[0]);
    strbuf_release(&key);
    strbuf_release(&word);
}

/* The end of the part of a name at i: O'Connor and Müller-Lüdenscheidt are one. */
static size_t part_end(Str s, size_t i)
{
    size_t end = pii_word_end(s.p, s.n, i);
    for (size_t step; end > i && (step = end < s.n && s.p[end] == '-' ? 1 : pii_apostrophe(s.p, s.n, end)) > 0 && pii_word_char(s.p, s.n, end + step); )
        end = pii_word_end(s.p, s.n, end + step);
    return end;
}

/* `sure`: the words are those of a name though no table may have them. */
static void put_person(PiiKnown *k, Str name, const char *rule, bool sure)
{
    size_t parts = 0, last = 0, last_end = 0, start = name.n; /* start: behind the titles */
    const bool turned = strcmp(rule, "person-turned") == 0;
    for (size_t i = first_word(name), end; i < name.n; i = end) {
        end = part_end(name, i);
        if (end == i) {
            end++;
            continue;
        }
        const unsigned w = pii_words_find(k->s->words, (Str){ name.p + i, end - i });
        if (w & WORD_TITLE && !(w & (WORD_GIVEN | WORD_FAMILY)) && !parts)
            continue;
        start = MIN(start, i);
        if ((!pii_upper_at(name.p, name.n, i) && w & WORD_PARTICLE) || end - i < 4)
            continue;
        StrBuf low = {0};
        normal((Str){ name.p + i, end - i }, &low);
        if (!k->heard)
            k->heard = map_new();
        map_put(k->heard, strbuf_str(&low), 1);
        strbuf_release(&low);
        parts++;
        last = i;
        last_end = end;
        const bool known = w & (WORD_GIVEN | WORD_FAMILY), family = turned ? parts == 1 : !(w & WORD_GIVEN);
        if (!(w & (WORD_PLAIN | WORD_STOP | WORD_PLACE | WORD_THING | WORD_WARE | WORD_BRAND)) && (known || sure) && pii_upper_at(name.p, name.n, i))
            put(k, (Str){ name.p + i, end - i }, (Value){ .kind = PII_PERSON, .rule = family ? "person-title" : "person-given", .exact = true, .word = true });
    }
    const Str part = { name.p + last, last_end - last };
    name = (Str){ name.p + start, name.n - start };
    if (name.n && part_end(name, 0) < name.n)
        put(k, name, (Value){ .kind = PII_PERSON, .rule = rule });
    else if (parts && sure)
        put(k, part, (Value){ .kind = PII_PERSON, .rule = rule, .exact = true, .alone = true, .word = true });
}

/* Line by line, and as a whole: "Am Markt 5, 10115 Berlin" stands elsewhere in two lines. */
static void put_address(PiiKnown *k, Str v, const char *rule)
{
    put(k, v, (Value){ .kind = PII_ADDRESS, .rule = rule });
    for (size_t i = 0, end; i < v.n; i = end + 1) {
        bool digit = false, capital = false;
        for (end = i; end < v.n && !strchr(",\n\r", v.p[end]); end++) {
            digit |= ch_digit(v.p[end]);
            capital |= pii_upper_at(v.p, v.n, end);
        }
        const Str line = { v.p + i, end - i };
        if (digit && capital && line.n > 5 && line.n < v.n && count_words(line) > 1)
            put(k, line, (Value){ .kind = PII_ADDRESS, .rule = rule, .exact = true });
    }
}

void pii_known_take(PiiKnown *k, Str text, const PiiSpans *found)
{
    static const char *const sure[] = { "person-title", "person-farewell", "person-naming", "person-signed", "person-greeting", "person-line" };
    for (size_t i = 0; i < found->n; i++) {
        const PiiSpan *s = &found->p[i];
        const Str v = { text.p + s->begin, s->end - s->begin };
        bool digit = false;
        switch (s->kind) {
        case PII_PERSON: {
            bool by_form = false;
            for (size_t r = 0; r < ARRAY_LEN(sure); r++)
                by_form |= strcmp(s->rule, sure[r]) == 0;
            if (s->confidence >= 60)
                put_person(k, v, s->rule, by_form && s->confidence >= 80);
            break;
        }
        case PII_ADDRESS:
            if (s->confidence >= 60)
                put_address(k, v, s->rule);
            break;
        case PII_EMAIL:
            put(k, v, (Value){ .kind = s->kind, .rule = s->rule });
            break;
        case PII_PLACE: case PII_POSTCODE: case PII_BIC: case PII_COMPANY_ID: case PII_URL_LOGIN: /* they name nobody, or are too short to mean one thing */
            break;
        default:
            for (size_t b = 0; b < v.n; b++)
                digit |= ch_digit(v.p[b]);
            if (digit && v.n > 5)
                put(k, v, (Value){ .kind = s->kind, .rule = s->rule, .exact = true });
        }
    }
}

void pii_known_person(PiiKnown *k, Str value, const char *rule)
{
    const bool sure = strcmp(rule, "person-words") != 0;
    put_person(k, value, rule, sure);
    const char *comma = value.n ? memchr(value.p, ',', value.n) : NULL;
    if (!comma)
        return;
    StrBuf name = {0}; /* "Schmidt, Anna" is Anna Schmidt in the texts */
    const size_t n = (size_t)(comma - value.p);
    strbuf_add(&name, comma + 1, value.n - n - 1);
    strbuf_addc(&name, ' ');
    strbuf_add(&name, value.p, n);
    put_person(k, strbuf_str(&name), "person-column", sure);
    strbuf_release(&name);
}

bool pii_known_heard(const PiiKnown *k, Str word)
{
    StrBuf low = {0};
    int64_t v = 0;
    normal(word, &low);
    while (low.n && low.p[low.n - 1] == ' ')
        low.n--;
    const bool there = k->heard && map_get(k->heard, strbuf_str(&low), &v);
    strbuf_release(&low);
    return there;
}

/* Does this value stand at [b, e) of the text? */
static bool stands(const PiiKnown *k, const PiiText *t, const Value *v, size_t b, size_t e)
{
    if (v->exact && (e - b != v->n || memcmp(t->p + b, v->text, v->n) != 0))
        return false;
    if (v->alone) {
        for (size_t i = 0; i < t->n; i++)
            if ((i < b || i >= e) && pii_word_char(t->p, t->n, i))
                return false;
    }
    if (v->word && !v->alone && pii_behind_article(t, b))
        return false;
    if (v->word && b && strchr("_/\\@#$-", t->p[b - 1]) && t->p[b - 1])
        return false; /* a piece of a path, of code, of a longer word */
    return !k->s->allow || !pii_allow_holds(k->s->allow, (Str){ t->p, t->n }, &(PiiSpan){ b, e, v->kind, 90, v->rule });
}

/* The longest value that begins with the word at i; its end, 0: none. */
static size_t value_at(const PiiKnown *k, const PiiText *t, size_t i, const Value **out)
{
    StrBuf key = {0};
    int64_t most = 0, at = 0;
    size_t end = pii_word_end(t->p, t->n, i), best = 0;
    normal((Str){ t->p + i, MIN(end - i, (size_t)PII_KNOWN_BYTES) }, &key);
    if (!map_get(k->first, strbuf_str(&key), &most))
        most = 0;
    for (int64_t words = 1; words <= most && end - i <= 2 * PII_KNOWN_BYTES; words++) {
        strbuf_clear(&key);
        normal((Str){ t->p + i, end - i }, &key);
        /* a value may end with a sign: "Anna S.", "... (AV)" */
        for (size_t more = 0; more < 2; more++) {
            const Value *v;
            if (map_get(k->at, strbuf_str(&key), &at) && (v = &k->value.p[at], stands(k, t, v, i, end + more))) {
                best = end + more;
                *out = v;
            }
            if (end + more >= t->n || (unsigned char)t->p[end] >= 0x80 || !strchr(".)", t->p[end]) || !t->p[end])
                break;
            strbuf_addc(&key, t->p[end]);
        }
        while (end < t->n && !pii_word_char(t->p, t->n, end) && end - i <= 2 * PII_KNOWN_BYTES)
            end++;
        if (end >= t->n || !pii_word_char(t->p, t->n, end))
            break;
        end = pii_word_end(t->p, t->n, end);
    }
    strbuf_release(&key);
    return best;
}

/* Both in order of place. A finding that crosses a new one, or lies around it, stays; those within a new one give way to it. */
static void join(PiiSpans *found, const PiiSpans *fresh)
{
    PiiSpans out = {0};
    size_t i = 0;
    for (size_t j = 0; j < fresh->n; j++) {
        const PiiSpan *one = &fresh->p[j];
        bool holds = true;
        while (i < found->n && found->p[i].end <= one->begin)
            *vec_push(&out) = found->p[i++];
        size_t to = i;
        for (; to < found->n && found->p[to].begin < one->end; to++)
            holds &= found->p[to].begin >= one->begin && found->p[to].end <= one->end && found->p[to].end - found->p[to].begin < one->end - one->begin;
        if (holds) {
            *vec_push(&out) = *one;
            i = to;
        }
    }
    while (i < found->n)
        *vec_push(&out) = found->p[i++];
    vec_release(found);
    *found = out;
}

void pii_known_find(const PiiKnown *k, Str text, PiiSpans *found)
{
    const PiiText t = { .s = k->s, .p = text.p, .n = text.n };
    PiiSpans fresh = {0};
    if (!k->value.n)
        return;
    for (size_t i = 0; i < text.n; ) {
        const size_t len = pii_word_char(text.p, text.n, i);
        if (!len) {
            i++;
            continue;
        }
        const unsigned char c = (unsigned char)text.p[i];
        const Value *v = NULL;
        const size_t end = c >= 0x80 || k->begins[c / 8] >> c % 8 & 1 ? value_at(k, &t, i, &v) : 0;
        if (end) {
            size_t b = i;
            if (v->kind == PII_PHONE) /* "+49", "(030)": the sign before its first digit */
                b -= i > 0 && (text.p[i - 1] == '+' || text.p[i - 1] == '(');
            *vec_push(&fresh) = (PiiSpan){ b, end, v->kind, 90, v->rule };
        }
        i = end ? end : pii_word_end(text.p, text.n, i);
    }
    if (fresh.n)
        join(found, &fresh);
    vec_release(&fresh);
}
