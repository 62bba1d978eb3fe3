/* questions_ground.c - see questions_ground.h. A text is cut into tokens once (words, numbers, pairs of characters of scripts without spaces); of the passage the
 * words lie sorted, so that those which begin alike are neighbours. Phrases, stop words and number words stand in questions_words.inc. */
#include "prep/questions_ground.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "base/vec.h"

#include "prep/questions_words.inc"

#define MEANING_LEAST 4   /* letters of a word that carries meaning */
#define ENDING_MOST   3   /* letters in which two forms of a word may differ at the end */
#define STEM_LEAST    5   /* letters that two forms share at least, unless one is the beginning of the other */
#define NOUNS_SHARE   0.25

typedef enum { TOKEN_WORD, TOKEN_NUMBER, TOKEN_PAIR } TokenKind;

typedef struct Token {
    TokenKind kind;
    size_t    at, n;      /* of Tokens.text */
    int       letters;
    bool      first;      /* it begins a sentence */
    int       capitals;   /* at its beginning, and behind it */
    bool      leads;      /* its first letter is one */
} Token;

typedef struct Tokens { StrBuf text; /* in lower case, behind each other */ VEC(Token) item; } Tokens;

struct Ground {
    Tokens        all;
    VEC(Str)      word;    /* sorted */
    VEC(uint64_t) number;  /* readings, sorted */
    bool          nouns;   /* capitals are for all nouns here */
};

static Str text_of(const Tokens *t, size_t i) { return (Str){ t->text.p + t->item.p[i].at, t->item.p[i].n }; }

static void tokens_release(Tokens *t)
{
    strbuf_release(&t->text);
    vec_release(&t->item);
}

/* ---- cutting --------------------------------------------------------------------------------------------------------------------------------------- */

/* Letters that stand without spaces between words. */
static bool is_dense(uint32_t c)
{
    static const struct { uint32_t from, to; } ranges[] = { { 0x0e00, 0x0eff }, { 0x1000, 0x109f }, { 0x1780, 0x17ff }, { 0x3040, 0x30ff }, { 0x3400, 0x4dbf },
                                                            { 0x4e00, 0x9fff }, { 0xf900, 0xfaff }, { 0x20000, 0x3ffff } };
    for (size_t i = 0; i < ARRAY_LEN(ranges); i++)
        if (c >= ranges[i].from && c <= ranges[i].to)
            return true;
    return false;
}

static bool is_digit(uint32_t c) { return c >= '0' && c <= '9'; }
static bool in_word(uint32_t c) { return (utf8_is_alpha(c) || utf8_is_mark(c)) && !is_dense(c); }

/* The character at `at`, its length in *n; 0 at the end. */
static uint32_t peek(Str s, size_t at, size_t *n)
{
    uint32_t c = 0;
    int      k = at < s.n ? utf8_decode(s.p + at, s.n - at, &c) : 0;
    *n = k > 0 ? (size_t)k : at < s.n;
    return k > 0 && c ? c : at < s.n ? 0xfffd : 0; /* a zero byte is no end */
}

static void put_lower(StrBuf *out, uint32_t c)
{
    char bytes[4];
    strbuf_add(out, bytes, (size_t)utf8_encode(utf8_lower_one(c), bytes));
}

static size_t cut_word(Tokens *t, Str s, size_t at, bool first)
{
    Token    k = { .kind = TOKEN_WORD, .at = t->text.n, .first = first };
    size_t   n;
    uint32_t c;
    while ((c = peek(s, at, &n)) && in_word(c)) {
        k.leads |= !k.letters && utf8_is_upper(c);
        k.capitals += utf8_is_upper(c);
        k.letters++;
        put_lower(&t->text, c);
        at += n;
    }
    k.n = t->text.n - k.at;
    *vec_push(&t->item) = k;
    return at;
}

/* Digits, and between two of them a full stop, comma or apostrophe. */
static size_t cut_number(Tokens *t, Str s, size_t at)
{
    Token k = { .kind = TOKEN_NUMBER, .at = t->text.n };
    while (at < s.n && (isdigit((unsigned char)s.p[at]) || (strchr(".,'", s.p[at]) && s.p[at] && at + 1 < s.n && isdigit((unsigned char)s.p[at + 1]))))
        strbuf_addc(&t->text, s.p[at++]);
    k.n = t->text.n - k.at;
    *vec_push(&t->item) = k;
    return at;
}

static size_t cut_pair(Tokens *t, Str s, size_t at)
{
    size_t   n, next;
    uint32_t a = peek(s, at, &n), b = peek(s, at + n, &next);
    Token    k = { .kind = TOKEN_PAIR, .at = t->text.n, .letters = 2 };
    put_lower(&t->text, a);
    if (b && is_dense(b))
        put_lower(&t->text, b);
    k.n = t->text.n - k.at;
    *vec_push(&t->item) = k;
    return at + n;
}

/* Appends the tokens of a text. */
static void cut(Tokens *t, Str text)
{
    StrBuf   form = { 0 };
    bool     first = true;
    size_t   n;
    uint32_t c;
    utf8_normalise(&form, text, UTF8_NFKC);
    const Str s = strbuf_str(&form);
    for (size_t at = 0; (c = peek(s, at, &n));) {
        const bool ends = strchr(".!?:\n|", (int)(c < 128 ? c : 1)) || c == 0x3002 || c == 0x2026;
        if (is_digit(c))
            at = cut_number(t, s, at);
        else if (is_dense(c) && utf8_is_alpha(c))
            at = cut_pair(t, s, at);
        else if (in_word(c))
            at = cut_word(t, s, at, first);
        else
            at += n;
        first = ends || (first && !is_digit(c) && !in_word(c)); /* quotes, brackets, dashes and spaces may stand before the first word */
    }
    strbuf_release(&form);
}

/* ---- numbers --------------------------------------------------------------------------------------------------------------------------------------- */

static uint64_t reading(const char *digits, size_t n, const char *fraction, size_t k)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a of "12.5" */
    while (n > 1 && *digits == '0')
        digits++, n--;
    for (const bool thousand = k == 3; !thousand && k && fraction[k - 1] == '0';) /* 3.50 is 3.5; but 1,500, mostly a thousand and a half, is not 1.5 */
        k--;
    for (size_t i = 0; i < n; i++)
        if (isdigit((unsigned char)digits[i]))
            h = (h ^ (unsigned char)digits[i]) * 0x100000001b3u;
    h = k ? (h ^ '.') * 0x100000001b3u : h;
    for (size_t i = 0; i < k; i++)
        h = (h ^ (unsigned char)fraction[i]) * 0x100000001b3u;
    return h;
}

#define READINGS_MAX 64

/* What a number can mean: its digits as thousands, with a fraction, or each of its parts (dates, versions). `parts`: how many of the readings, the last ones,
 * are parts, which must all be there. */
static size_t readings(Str s, uint64_t out[READINGS_MAX], size_t *parts)
{
    size_t      n = 0, separators = 0, last = 0, begin = 0;
    bool        thousands = true, same = true;
    for (size_t i = 0; i < s.n; i++)
        if (!isdigit((unsigned char)s.p[i])) {
            thousands &= separators ? i - last == 4 : i >= 1 && i <= 3;
            same &= !separators || s.p[i] == s.p[last];
            separators++;
            last = i;
        }
    *parts = 0;
    if (!separators) {
        out[n++] = reading(s.p, s.n, NULL, 0);
        return n;
    }
    thousands &= s.n - last == 4;
    if (thousands && same)
        out[n++] = reading(s.p, s.n, NULL, 0);
    if (separators == 1)
        out[n++] = reading(s.p, last, s.p + last + 1, s.n - last - 1);
    else if (!same && s.n - last - 1 > 0) /* 1,234.5 */
        out[n++] = reading(s.p, last, s.p + last + 1, s.n - last - 1);
    for (size_t i = 0; separators > 1 && !(thousands && same) && i <= s.n && n < READINGS_MAX; i++)
        if (i == s.n || !isdigit((unsigned char)s.p[i])) {
            out[n++] = reading(s.p + begin, i - begin, NULL, 0);
            begin = i + 1;
            (*parts)++;
        }
    return n;
}

static int by_number(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static bool has_reading(const Ground *g, uint64_t r) { return g->number.n && bsearch(&r, g->number.p, g->number.n, sizeof r, by_number); }

static bool has_number(const Ground *g, Str s)
{
    uint64_t r[READINGS_MAX];
    size_t   parts, n = readings(s, r, &parts), there = 0;
    for (size_t i = 0; i + parts < n; i++)
        if (has_reading(g, r[i]))
            return true;
    for (size_t i = n - parts; i < n; i++)
        there += has_reading(g, r[i]);
    return parts && there == parts;
}

/* "two" */
static const char *number_word(Str word)
{
    for (size_t i = 0; i < ARRAY_LEN(number_words); i++)
        if (str_eqz(word, number_words[i].word))
            return number_words[i].digits;
    return NULL;
}

/* ---- words ----------------------------------------------------------------------------------------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
    const Str *x = a, *y = b;
    const int  c = memcmp(x->p, y->p, MIN(x->n, y->n));
    return c ? c : (x->n > y->n) - (x->n < y->n);
}

static int letters_of(Str s)
{
    int n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += (s.p[i] & 0xc0) != 0x80;
    return n;
}

static bool one_word(Str a, Str b)
{
    size_t same = 0;
    while (same < a.n && same < b.n && a.p[same] == b.p[same])
        same++;
    if (same == a.n && same == b.n)
        return true;
    const int na = letters_of(a), nb = letters_of(b), common = letters_of((Str){ a.p, utf8_complete(a.p, same) });
    if (MIN(na, nb) < MEANING_LEAST || MAX(na, nb) - common > ENDING_MOST)
        return false;
    return common == MIN(na, nb) || (common >= STEM_LEAST && 3 * common >= 2 * MAX(na, nb));
}

static bool is_stop_word(Str word)
{
    for (size_t i = 0; i < ARRAY_LEN(stop_words); i++)
        if (str_eqz(word, stop_words[i]))
            return true;
    return false;
}

/* The first word that is not less. */
static size_t lower_bound(const Ground *g, Str word)
{
    size_t from = 0, to = g->word.n;
    while (from < to) {
        const size_t mid = (from + to) / 2;
        if (by_text(&g->word.p[mid], &word) < 0)
            from = mid + 1;
        else
            to = mid;
    }
    return from;
}

/* Forms of a word share its first letters, so they stand together. */
static bool has_word(const Ground *g, Str word)
{
    size_t head = 0;
    for (int letters = 0; head < word.n; head++)
        if ((word.p[head] & 0xc0) != 0x80 && letters++ == MEANING_LEAST)
            break;
    const Str begin = { word.p, head };
    for (size_t i = lower_bound(g, begin); i < g->word.n; i++) {
        const Str w = g->word.p[i];
        if (w.n < begin.n || memcmp(w.p, begin.p, begin.n))
            return false;
        if (one_word(w, word))
            return true;
    }
    return false;
}

/* ---- the passage ----------------------------------------------------------------------------------------------------------------------------------- */

/* Numbers whose parts are given apart count whole and in parts: of 12.03.2024 an answer may name the year. */
static void add_numbers(Ground *g, Str s)
{
    uint64_t r[READINGS_MAX];
    size_t   parts, n = readings(s, r, &parts);
    for (size_t i = 0; i < n; i++)
        *vec_push(&g->number) = r[i];
}

Ground *ground_new(Str passage, Str title, Str section)
{
    Ground *g = mem_zalloc(1, sizeof *g);
    size_t  inside = 0, capital = 0;
    cut(&g->all, passage);
    for (size_t i = 0; i < g->all.item.n; i++) {
        const Token *t = &g->all.item.p[i];
        inside += t->kind == TOKEN_WORD && !t->first;
        capital += t->kind == TOKEN_WORD && !t->first && t->leads;
    }
    g->nouns = (double)capital > NOUNS_SHARE * (double)inside;
    cut(&g->all, title);
    cut(&g->all, section);
    for (size_t i = 0; i < g->all.item.n; i++) {
        const Str   s = text_of(&g->all, i);
        const char *digits = number_word(s);
        if (g->all.item.p[i].kind == TOKEN_NUMBER)
            add_numbers(g, s);
        else
            *vec_push(&g->word) = s;
        if (digits)
            add_numbers(g, str_of(digits));
    }
    if (g->word.n)
        qsort(g->word.p, g->word.n, sizeof *g->word.p, by_text);
    if (g->number.n)
        qsort(g->number.p, g->number.n, sizeof *g->number.p, by_number);
    return g;
}

void ground_free(Ground *g)
{
    if (!g)
        return;
    tokens_release(&g->all);
    vec_release(&g->word);
    vec_release(&g->number);
    free(g);
}

/* ---- the pair -------------------------------------------------------------------------------------------------------------------------------------- */

static bool is_name(const Ground *g, const Token *t)
{
    if (t->kind != TOKEN_WORD || t->letters < 2 || !t->capitals)
        return false;
    return t->capitals > 1 || (t->leads && !t->first && !g->nouns);
}

/* What is wrong, and with which word, cut to what fits. */
static void say(Grounding *out, const char *why, Str word)
{
    const size_t n = utf8_complete(word.p, MIN(word.n, sizeof out->what - 1));
    snprintf(out->why, sizeof out->why, "%s", why);
    snprintf(out->what, sizeof out->what, "%.*s", (int)n, word.p);
}

/* Numbers and names of a text; true: all are there. */
static bool facts_there(const Ground *g, const Tokens *t, int *found, Grounding *out)
{
    for (size_t i = 0; i < t->item.n; i++) {
        const Token *k = &t->item.p[i];
        const Str    s = text_of(t, i);
        if (k->kind == TOKEN_NUMBER && !has_number(g, s)) {
            say(out, "unsupported_number: a number is not in the passage", s);
            return false;
        }
        if (is_name(g, k) && !is_stop_word(s) && !has_word(g, s)) {
            say(out, "unsupported_name: a name is not in the passage", s);
            return false;
        }
        *found += k->kind == TOKEN_NUMBER || is_name(g, k);
    }
    return true;
}

static bool carries(const Tokens *t, size_t i, int least)
{
    const Token *k = &t->item.p[i];
    return k->kind == TOKEN_PAIR || (k->kind == TOKEN_WORD && k->letters >= least && !is_stop_word(text_of(t, i)));
}

static bool asked(const Tokens *question, Str word)
{
    for (size_t i = 0; i < question->item.n; i++)
        if (question->item.p[i].kind != TOKEN_NUMBER && one_word(text_of(question, i), word))
            return true;
    return false;
}

/* Counts the answer's words of at least so many letters. */
static void count_words(const Ground *g, const Tokens *question, const Tokens *answer, int least, Grounding *out)
{
    out->words = out->found = 0;
    for (size_t i = 0; i < answer->item.n; i++) {
        if (!carries(answer, i, least))
            continue;
        const Str  s = text_of(answer, i);
        const bool there = has_word(g, s) || (number_word(s) && has_number(g, str_of(number_word(s))));
        if (!there && asked(question, s))
            continue;
        out->words++;
        out->found += there;
    }
}

/* The text in lower case with single blanks, one at each end, punctuation as blanks: so that phrases are found as words. */
static void flatten(StrBuf *out, Str text)
{
    StrBuf   form = { 0 };
    size_t   n;
    uint32_t c;
    utf8_normalise(&form, text, UTF8_NFKC);
    strbuf_addc(out, ' ');
    for (size_t at = 0; (c = peek(strbuf_str(&form), at, &n)); at += n)
        if (utf8_is_alpha(c) || utf8_is_mark(c) || utf8_is_number(c))
            put_lower(out, c);
        else if (out->p[out->n - 1] != ' ')
            strbuf_addc(out, ' ');
    if (out->p[out->n - 1] != ' ')
        strbuf_addc(out, ' ');
    strbuf_release(&form);
}

static bool points_at_passage(Str question, Grounding *out)
{
    static const char pointing[] = "pointing_question: the question points at what its reader does not see";
    StrBuf flat = { 0 };
    bool   found = false;
    flatten(&flat, question);
    for (size_t i = 0; i < ARRAY_LEN(pointing_phrases) && !found; i++) {
        char phrase[64];
        snprintf(phrase, sizeof phrase, " %s ", pointing_phrases[i]);
        found = strstr(flat.p, phrase);
        if (found)
            say(out, pointing, str_of(pointing_phrases[i]));
    }
    for (size_t i = 0; i < ARRAY_LEN(pointing_dense) && !found; i++) {
        found = strstr(flat.p, pointing_dense[i]);
        if (found)
            say(out, pointing, str_of(pointing_dense[i]));
    }
    strbuf_release(&flat);
    return found;
}

static bool about_passage(const Ground *g, const Tokens *question)
{
    for (size_t i = 0; i < question->item.n; i++)
        if (question->item.p[i].kind == TOKEN_NUMBER || (carries(question, i, MEANING_LEAST) && has_word(g, text_of(question, i))) ||
            (is_name(g, &question->item.p[i]) && has_word(g, text_of(question, i))))
            return true;
    return false;
}

bool ground_judge(const Ground *g, Str question, Str answer, Grounding *out)
{
    Tokens q = { 0 }, a = { 0 };
    int    facts = 0, of_question = 0;
    *out = (Grounding){ 0 };
    cut(&q, question);
    cut(&a, answer);
    count_words(g, &q, &a, MEANING_LEAST, out);
    if (points_at_passage(question, out) || !facts_there(g, &q, &of_question, out) || !facts_there(g, &a, &facts, out))
        goto done;
    if (!about_passage(g, &q)) {
        snprintf(out->why, sizeof out->why, "foreign_question: none of its words is in the passage");
        goto done;
    }
    if (!out->words && !facts) /* "Red." */
        count_words(g, &q, &a, 2, out);
    if (!out->words && !facts)
        snprintf(out->why, sizeof out->why, "empty_answer: it has no word, number or name that could be looked for in the passage");
    out->share = out->words ? (double)out->found / out->words : facts > 0;
    if (out->words && out->share < GROUND_LEAST)
        snprintf(out->why, sizeof out->why, "unsupported_answer: %d of its %d words are in the passage", out->found, out->words);
done:
    out->share = out->words ? (double)out->found / out->words : out->share;
    tokens_release(&q);
    tokens_release(&a);
    return !*out->why;
}
