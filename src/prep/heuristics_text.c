/* heuristics_text.c - counts of characters and words, and repetition. Invariant: one pass over the text for all counts; tables are sized by the
 * text, so a short one is cheap. */
#include "base/mem.h"
#include "prep/heuristics_int.h"

#include <math.h>
#include <stdlib.h>
#include <strings.h>

#define GRAM_WORDS_MIN 40 /* shorter answers repeat words by right */
#define LINES_MIN      5
#define LINE_BYTES_MIN 12 /* "}" and "---" may come again */
#define LOOP_BYTES_MIN 60

Str text_trim(Str s)
{
    while (s.n && strchr(" \t\n\r", *s.p) && *s.p)
        s.p++, s.n--;
    while (s.n && strchr(" \t\n\r", s.p[s.n - 1]) && s.p[s.n - 1])
        s.n--;
    return s;
}

bool text_has(Str s, const char *part)
{
    const size_t n = strlen(part);
    const char first = (char)(part[0] | 0x20);
    for (size_t i = 0; i + n <= s.n; i++)
        if ((char)(s.p[i] | 0x20) == first && strncasecmp(s.p + i, part, n) == 0)
            return true;
    return false;
}

bool text_has_any(Str s, const char *const *parts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (text_has(s, parts[i]))
            return true;
    return false;
}

/* A word of Latin letters: too many consonants in a row (German and Polish reach six: "Angstschweiss" more, but rarely), or no vowel at all.
 * Counts towards long_words only in small letters: abbreviations and constants are no words. */
static void word_judge(TextCounts *c, Str w)
{
    int run = 0, longest = 0, vowels = 0;
    if (w.n < 5 || w.n > 40)
        return;
    for (size_t i = 0; i < w.n; i++) {
        const char ch = w.p[i];
        if (ch >= 'A' && ch <= 'Z' && i > 0)
            return;
        const bool vowel = !((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z') || strchr("aeiouyAEIOUY", ch); /* letters beyond ASCII count as vowels */
        vowels += vowel;
        run = vowel ? 0 : run + 1;
        longest = MAX(longest, run);
    }
    c->long_words++;
    c->hard += vowels == 0 || longest >= 6;
}

static size_t url_length(const char *p, size_t n)
{
    size_t k = 0;
    if (!(n > 8 && (strncasecmp(p, "http://", 7) == 0 || strncasecmp(p, "https://", 8) == 0)) && !(n > 4 && strncasecmp(p, "www.", 4) == 0))
        return 0;
    while (k < n && (unsigned char)p[k] > ' ')
        k++;
    return k;
}

void heuristic_text_count(Str s, TextCounts *c)
{
    uint32_t bytes[256] = { 0 };
    *c = (TextCounts){ .letters = 0 };
    c->word = mem_alloc((MIN(s.n / 2 + 1, (size_t)HEURISTIC_WORDS_MAX)) * sizeof *c->word);
    size_t start = SIZE_MAX, url_end = 0; /* of the word that is open */
    uint64_t h = 0;
    for (size_t i = 0; i <= s.n;) {
        uint32_t cp = i < s.n ? (unsigned char)s.p[i] : ' ';
        size_t len = 1;
        bool letter = (cp | 0x20) >= 'a' && (cp | 0x20) <= 'z', digit = cp >= '0' && cp <= '9', space = cp <= ' ';
        if (cp >= 0x80) {
            const int k = utf8_decode(s.p + i, s.n - i, &cp);
            len = k > 0 ? (size_t)k : 1;
            letter = k > 0 && (utf8_is_alpha(cp) || utf8_is_mark(cp));
            space = k > 0 && utf8_is_space(cp);
        }
        for (size_t k = 0; k < len && i < s.n; k++)
            bytes[(unsigned char)s.p[i + k]]++;
        c->letters += letter;
        c->digits += digit;
        c->solid += i < s.n && !space;
        if ((cp | 0x20) == 'h' || (cp | 0x20) == 'w') {
            const size_t n = i >= url_end && start == SIZE_MAX ? url_length(s.p + i, s.n - i) : 0;
            c->urls += n;
            url_end = n ? i + n : url_end;
        }
        if (letter || digit) {
            if (start == SIZE_MAX) {
                start = i;
                h = 14695981039346656037u;
            }
            for (size_t k = 0; k < len; k++)
                h = (h ^ (unsigned char)(s.p[i + k] | 0x20)) * 1099511628211u;
        } else if (start != SIZE_MAX) {
            if (c->words < HEURISTIC_WORDS_MAX)
                c->word[c->words++] = h;
            if (i > url_end)
                word_judge(c, (Str){ s.p + start, i - start });
            start = SIZE_MAX;
        }
        i += len;
    }
    double bits = 0;
    for (size_t k = 0; k < 256 && s.n; k++)
        if (bytes[k])
            bits -= bytes[k] * log2((double)bytes[k] / (double)s.n);
    c->entropy = s.n ? (float)(bits / (double)s.n) : 0;
}

void text_release(TextCounts *c)
{
    free(c->word);
}

typedef struct Gram { uint64_t h; uint32_t n; } Gram;

static Gram *gram_find(Gram *table, size_t size, uint64_t h)
{
    size_t at = (size_t)(h * 0x9E3779B97F4A7C15u >> 20) & (size - 1);
    while (table[at].n && table[at].h != h)
        at = (at + 1) & (size - 1);
    table[at].h = h;
    return &table[at];
}

void repeat_measure(const TextCounts *c, float *top, float *repeated)
{
    *top = *repeated = 0;
    if (c->words < GRAM_WORDS_MIN)
        return;
    size_t size = 64;
    while (size < c->words * 2)
        size *= 2;
    Gram *table = mem_zalloc(size, sizeof *table);
    uint32_t most = 0, again = 0;
    for (size_t i = 0; i + 3 <= c->words; i++) {
        Gram *g = gram_find(table, size, (c->word[i] * 31 + c->word[i + 1]) * 31 + c->word[i + 2]);
        most = MAX(most, ++g->n);
    }
    memset(table, 0, size * sizeof *table);
    for (size_t i = 0; i + 5 <= c->words; i++) {
        uint64_t h = 0;
        for (size_t k = 0; k < 5; k++)
            h = h * 31 + c->word[i + k];
        again += gram_find(table, size, h)->n++ > 0;
    }
    free(table);
    *top = most < 3 ? 0 : MIN(1.0f, 3 * (float)most / (float)c->words);
    *repeated = (float)again / (float)(c->words - 4);
}

static uint64_t line_hash(Str s)
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (unsigned char)s.p[i]) * 1099511628211u;
    return h;
}

float repeat_lines(Str s)
{
    size_t n = 1, lines = 0, again = 0, size = 16;
    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == '\n';
    if (n < LINES_MIN)
        return 0;
    while (size < n * 2)
        size *= 2;
    Gram *table = mem_zalloc(size, sizeof *table);
    for (size_t at = 0; at < s.n;) {
        const char *end = memchr(s.p + at, '\n', s.n - at);
        const size_t len = end ? (size_t)(end - (s.p + at)) : s.n - at;
        const Str line = text_trim((Str){ s.p + at, len });
        if (line.n >= LINE_BYTES_MIN) {
            lines++;
            again += gram_find(table, size, line_hash(line))->n++ > 0;
        }
        at += len + 1;
    }
    free(table);
    return lines < LINES_MIN ? 0 : (float)again / (float)lines;
}

float repeat_loop(Str s)
{
    unsigned char b[HEURISTIC_TAIL];
    const size_t n = MIN(s.n, (size_t)HEURISTIC_TAIL);
    float best = 1;
    if (n < LOOP_BYTES_MIN)
        return best;
    for (size_t i = 0; i < n; i++)
        b[i] = (unsigned char)s.p[s.n - 1 - i]; /* the end first */
    for (size_t p = 1; p * 3 < n; p++) { /* a piece of p bytes that stands k/p + 1 times; less than three times is no loop */
        size_t k = 0;
        while (p + k < n && b[k] == b[p + k])
            k++;
        if (p + k < LOOP_BYTES_MIN)
            continue;
        bool word = false; /* rules of dashes and rows of noughts are no loops */
        for (size_t i = 0; i < p && !word; i++)
            word = (b[i] | 0x20) >= 'a' || b[i] >= 0x80;
        best = word ? MAX(best, (float)(p + k) / (float)p) : best;
        if (p + k == n)
            break; /* all of it repeats: longer pieces are this one several times */
    }
    return best;
}
