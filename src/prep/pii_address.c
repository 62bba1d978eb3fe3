/* pii_address.c - postal addresses by their patterns: street and number in the orders of the main European languages, postcode and place, and the
 * postcodes that have a form of their own. A street begins the span and what follows it (postcode, place) is taken in.
 * To add a language: words in the tables. */
#include "prep/pii_int.h"

#define CHAIN 80 /* bytes of a name held together by dashes; keeps the scan linear */

/* What a street's last word ends with (one word with the name, or a word of its own): the number follows. */
static const char *const endings[] = { "straße", "strasse", "str", "weg", "allee", "platz", "gasse", "damm", "ufer", "steig", "chaussee",
    "stieg", "promenade", "straat", "laan", "plein",
                                       "gracht", "kade", "dreef", "singel", "steeg", "gatan", "vägen", "gata", "dijk", "baan", "plantsoen", "zeile", "kai", "boulevard", "veien", "vej", "gade", "katu",
                                       "allé", "torget", "stigen", "gränd", "allén", "platsen", "backen", "hof",
                                       "ring", "pfad", "markt", "tie", "pad", "berg", "feld", "garten", "graben", "wall", "winkel",
    "park", "brücke", "erf", "hoek", "wal", "veld" }; /* from "ring" on: also the end of other words */
#define SHARED (ARRAY_LEN(endings) - 17)
static unsigned word_at(const PiiText *t, size_t i, size_t end) { return pii_words_find(t->s->words, (Str){ t->p + i, end - i }); }

int pii_street_kind(const char *p, size_t n)
{
    for (size_t k = 0; k < ARRAY_LEN(endings); k++) {
        const size_t len = strlen(endings[k]);
        if (len > n)
            continue;
        size_t m = 0;
        while (m < len && ch_low(p[n - len + m]) == endings[k][m])
            m++;
        if (m == len && (n > len + 1 || n == len))
            return k < SHARED ? 2 : 1;
    }
    return 0;
}

size_t pii_street_ending(const char *p, size_t n)
{
    size_t longest = 0;
    for (size_t k = 0; k < SHARED; k++) {
        const size_t len = strlen(endings[k]);
        size_t m = 0;
        while (len <= n && m < len && ch_low(p[n - len + m]) == endings[k][m])
            m++;
        if (len <= n && m == len)
            longest = MAX(longest, len);
    }
    return longest;
}

/* A house number at i: 12, 12a, 12-14, 12/3, 12 B. */
static size_t house(const PiiText *t, size_t i)
{
    const char *p = t->p;
    size_t k = i;
    while (k < t->n && ch_digit(p[k]) && k - i < 6)
        k++;
    if (k == i || k - i > 5 || p[i] == '0')
        return 0;
    if (k < t->n && ch_alpha(p[k]) && !pii_word_char(p, t->n, k + 1))
        k++;
    else if (k + 1 < t->n && p[k] == ' ' && ch_is(p[k + 1], CH_LOWER) && !pii_word_char(p, t->n, k + 2))
        k += 2;
    if (k + 1 < t->n && (p[k] == '-' || p[k] == '/') && ch_digit(p[k + 1])) {
        k++;
        while (k < t->n && ch_digit(p[k]))
            k++;
    }
    return pii_word_char(p, t->n, k) ? 0 : k - i;
}

size_t pii_capital_words(const PiiText *t, size_t i, int most)
{
    size_t end = i, at = i;
    for (int w = 0; w < most && pii_upper_at(t->p, t->n, at); w++) {
        end = pii_word_end(t->p, t->n, at);
        while (end + 1 < t->n && end - at < CHAIN && strchr("-'/", t->p[end]) && t->p[end] && pii_word_char(t->p, t->n, end + 1))
            end = pii_word_end(t->p, t->n, end + 1);
        const size_t blank = pii_space(t->p, t->n, end);
        if (!blank)
            break;
        at = end + blank;
    }
    return end;
}

/* The forms are 99999, 9999, 99-999, 9999-999, 999 99, 9999 AA. */
size_t pii_postcode(const PiiText *t, size_t i, const char **rule)
{
    static const struct { const char *shape, *rule; } forms[] = {
        { "9999-999", "postcode-pt" }, { "99=-999", "postcode-pl" }, { "9999 UU", "postcode-nl" }, { "99999", "postcode-5" },
        { "999 99", "postcode-se" }, { "9999", "postcode-4" },
    };
    char buf[PII_SHAPE_MAX + 1];
    size_t n, k = i;
    if (k + 2 < t->n && ch_is(t->p[k], CH_UPPER) && (t->p[k + 1] == '-' || (ch_is(t->p[k + 1], CH_UPPER) && t->p[k + 2] == '-')))
        k += t->p[k + 1] == '-' ? 2 : 3;
    for (size_t f = 0; f < ARRAY_LEN(forms); f++) {
        const size_t len = pii_shape(forms[f].shape, t->p + k, t->n - k, buf, &n);
        if (len && !pii_word_char(t->p, t->n, k + len) && (k > i || ch_digit(t->p[k]))) {
            *rule = forms[f].rule;
            return k + len - i;
        }
    }
    return 0;
}

/* Behind a street: ", 10115 Berlin", "\n75001 Paris", ", Apt. 5". Returns the end of all that belongs to it. */
static size_t take_in(const PiiText *t, size_t end)
{
    const char *p = t->p, *rule;
    size_t k = end;
    for (int part = 0; part < 4; part++) {
        size_t at = k;
        while (at < t->n && at - k < 4 && (p[at] == ',' || p[at] == ' ' || p[at] == '\n' || p[at] == '\r'))
            at++;
        if (at == k)
            break;
        const size_t code = pii_postcode(t, at, &rule);
        if (code) {
            k = at + code;
            const size_t blank = k < t->n && (p[k] == '\n' || p[k] == ',') ? 1 + pii_space(p, t->n, k + 1) : pii_space(p, t->n, k);
            const size_t place = blank ? pii_capital_words(t, k + blank, 3) : k;
            k = place > k + blank ? place : k;
            continue;
        }
        static const char *const units[] = { "Apt. ", "Apt ", "Suite ", "Unit ", "Flat ", "Floor ", "Piso ", "piso ", "Puerta ", "Interno ",
            "Appartamento " };
        size_t unit = 0;
        for (size_t u = 0; u < ARRAY_LEN(units) && !unit; u++)
            if (t->n - at > strlen(units[u]) && memcmp(p + at, units[u], strlen(units[u])) == 0 && ch_digit(p[at + strlen(units[u])]))
                unit = strlen(units[u]);
        if (unit) {
            k = pii_word_end(p, t->n, at + unit);
            continue;
        }
        size_t len = 0;
        unsigned flags = 0;
        if (pii_upper_at(p, t->n, at) && pii_words_place(t->s->words, p + at, t->n - at, &len, &flags)) {
            k = at + len;
            continue;
        }
        const size_t town = pii_capital_words(t, at, 3); /* "Kevinburgh, HI 40397" */
        if (town > at && town + 10 <= t->n && p[town] == ',' && p[town + 1] == ' ' && ch_is(p[town + 2], CH_UPPER)
                && ch_is(p[town + 3], CH_UPPER) && p[town + 4] == ' ' &&
            ch_digit(p[town + 5])) {
            k = town + 4;
            continue;
        }
        if (at + 2 <= t->n && ch_is(p[at], CH_UPPER) && ch_is(p[at + 1], CH_UPPER) && !pii_word_char(p, t->n, at + 2)) { /* a state, "NY 10001" */
            k = at + 2;
            continue;
        }
        break;
    }
    return k;
}

static void add_street(PiiText *t, size_t begin, size_t end, int confidence, const char *rule)
{
    const size_t all = take_in(t, end);
    pii_add(t, begin, all, PII_ADDRESS, all > end ? MIN(confidence + 15, 96) : confidence, rule);
}

/* 12 Baker Street; 12, rue de la Paix; 221b Baker St. */
static void number_first(PiiText *t, size_t i)
{
    const char *p = t->p;
    const size_t n = house(t, i);
    if (!n || (i && strchr(".,-/:$#", p[i - 1])))
        return;
    size_t at = i + n;
    at += at < t->n && p[at] == ',';
    const size_t blank = pii_space(p, t->n, at);
    if (!blank)
        return;
    at += blank;
    size_t end = pii_word_end(p, t->n, at);
    if (!pii_upper_at(p, t->n, at) && word_at(t, at, end) & (WORD_FRONT | WORD_LINK)) { /* bis rue, ter rue */
        int capitals = 0;
        size_t stop = end;
        for (int w = 0; w < 6; w++) {
            const size_t gap = pii_space(p, t->n, end);
            size_t next = gap ? end + gap : end < t->n && (p[end] == '\'' || p[end] == '-') ? end + 1 : 0;
            if (!next && end + 3 < t->n && memcmp(p + end, "\xE2\x80\x99", 3) == 0)
                next = end + 3;
            if (!next)
                break;
            end = pii_word_end(p, t->n, next);
            if (pii_upper_at(p, t->n, next)) {
                capitals++;
                stop = end;
            } else if (capitals || !(word_at(t, next, end) & (WORD_LINK | WORD_FRONT)))
                break;
        }
        if (capitals)
            add_street(t, i, stop, 80, "street-fr");
        return;
    }
    for (int w = 0; w < 5 && pii_upper_at(p, t->n, at); w++) {
        end = pii_word_end(p, t->n, at);
        const unsigned last = w ? word_at(t, at, end) : 0;
        if (last & (WORD_BEHIND | WORD_BEHIND_RARE)) {
            const size_t gap = pii_space(p, t->n, end), next = end + gap, stop = gap ? pii_word_end(p, t->n, next) : end;
            const unsigned behind = gap && pii_upper_at(p, t->n, next) ? word_at(t, next, stop) : 0;
            if (!(behind & (WORD_BEHIND | WORD_BEHIND_RARE))) { /* "Lake Street": the last such word */
                end += end < t->n && p[end] == '.' && end - at < 5;
                add_street(t, i, end, last & WORD_BEHIND ? 78 : 45, "street-en");
                return;
            }
        }
        while (end + 1 < t->n && end - at < CHAIN && (p[end] == '\'' || p[end] == '-') && pii_word_char(p, t->n, end + 1))
            end = pii_word_end(p, t->n, end + 1);
        const size_t gap = end < t->n && p[end] == '.' ? 1 + pii_space(p, t->n, end + 1) : pii_space(p, t->n, end);
        if (!gap)
            return;
        at = end + gap;
    }
}

/* "Am Alten Markt 5", "Im Winkel 3": where the name of the street begins that goes on at `begin`, its preposition taken in; the end of the text: it has none. With a capital
 * it belongs to the name. */
static size_t preposition(const PiiText *t, size_t begin)
{
    static const char *const words[] = { "Am ", "Im ", "Zum ", "Zur ", "An der ", "An den ", "Auf dem ", "Auf der ", "In der ", "In den ", "Unter den ", "Hinter der ", "Vor dem " };
    for (size_t k = 0; k < ARRAY_LEN(words); k++) {
        const size_t n = strlen(words[k]);
        if (t->n - begin > n && memcmp(t->p + begin, words[k], n) == 0)
            return begin;
        if (begin >= n && memcmp(t->p + begin - n, words[k], n) == 0 && !pii_word_before(t->p, begin - n))
            return begin - n;
    }
    return t->n;
}

/* Berliner Straße 12, Hauptstr. 5a, Prinsengracht 263: the word at i ends as a street does and a number follows. */
static void street_first(PiiText *t, size_t i, size_t end)
{
    const char *p = t->p;
    size_t begin = i, stop = end;
    while (stop + 1 < t->n && stop - i < CHAIN && p[stop] == '-' && pii_word_char(p, t->n, stop + 1))
        stop = pii_word_end(p, t->n, stop + 1);
    size_t at = stop + (stop < t->n && p[stop] == '.');
    const size_t blank = pii_space(p, t->n, at), n = blank ? house(t, at + blank) : 0;
    const int end_kind = n ? pii_street_kind(p + i, stop - i) : 0;
    if (!end_kind)
        return;
    if (pii_street_ending(p + i, stop - i) == stop - i || stop - i <= 6) { /* "Straße 12" alone needs its name: the word before */
        size_t b = i;
        if (b > 1 && p[b - 1] == ' ') {
            b--;
            while (b > 0 && (pii_word_before(p, b) || p[b - 1] == '-') && i - b < 60)
                b--;
            while (b < i && ((unsigned char)p[b] & 0xC0) == 0x80)
                b++;
        }
        if (b == i || !pii_upper_at(p, t->n, b))
            return;
        begin = b;
    }
    const size_t stands = end_kind == 1 && pii_closed(t, at + blank + n) ? preposition(t, begin) : t->n;
    if (stands < t->n)
        add_street(t, stands, at + blank + n, 62, "street-number");
    else
        add_street(t, begin, at + blank + n, end_kind == 2 ? 78 : 45, "street-number");
}

/* Via Roma 12; Calle de Alcalá, 5; ul. Długa 7: the word before i stands in `fronts`. */
static void front_word(PiiText *t, size_t i)
{
    const char *p = t->p;
    size_t b = i;
    for (int back = 0; back < 3 && b > 0; back++) {
        size_t e = b;
        while (e > 0 && (p[e - 1] == ' ' || p[e - 1] == '.') && b - e < 3)
            e--;
        if (e == b)
            return;
        size_t w = e;
        while (w > 0 && pii_word_before(p, w) && e - w < 24)
            w--;
        const unsigned word = word_at(t, w, e);
        if (word & WORD_FRONT && (p[e] == ' ' || e - w < 5)) {
            size_t end = pii_capital_words(t, i, 4);
            size_t at = end + (end < t->n && p[end] == ',');
            const size_t blank = pii_space(p, t->n, at);
            at += blank;
            for (size_t k = 0; k < 2 && at + 3 < t->n && (memcmp(p + at, "n. ", 3) == 0 || memcmp(p + at, "nr ", 3) == 0); k++)
                at += 3;
            const size_t n = blank ? house(t, at) : 0;
            if (n)
                add_street(t, w, at + n, 78, "street-front");
            return;
        }
        if (!(word & WORD_LINK))
            return;
        b = w;
    }
}

/* 10115 Berlin, 1012 AB Amsterdam, 00-950 Warszawa: a postcode and a place of the tables, or one with a form that few other numbers have. */
static void code_and_place(PiiText *t, size_t i)
{
    const char *p = t->p, *rule = NULL;
    size_t b = i;
    if (i > 1 && p[i - 1] == '-' && ch_is(p[i - 2], CH_UPPER) && !(i > 2 && pii_word_before(p, i - 2)))
        b = i - 2;
    const size_t n = pii_postcode(t, b, &rule);
    if (!n || (b && (pii_word_before(p, b) || strchr(".,-/_", p[b - 1]) != NULL)))
        return;
    const size_t end = b + n, blank = pii_space(p, t->n, end);
    size_t len = 0;
    unsigned flags = 0;
    if (!blank || !pii_upper_at(p, t->n, end + blank))
        return;
    const size_t words = pii_words_place(t->s->words, p + end + blank, t->n - end - blank, &len, &flags);
    const bool special = strcmp(rule, "postcode-nl") == 0 || strcmp(rule, "postcode-pl") == 0 || strcmp(rule, "postcode-pt") == 0;
    const bool year = n == 4 && (p[b] == '1' || p[b] == '2');
    if (words && flags & WORD_CITY)
        pii_add(t, b, end + blank + len, PII_ADDRESS, year ? 35 : n == 4 ? 66 : 80, rule);
    else if (special || b < i)
        pii_add(t, b, pii_capital_words(t, end + blank, 2), PII_ADDRESS, 72, rule);
    else if (n == 5 && pii_context(t, b, end, "plz|postleitzahl|anschrift|adresse|wohn|straße|strasse|str.|code postal|c.p.|=cap|postal|zip|address"))
        pii_add(t, b, pii_capital_words(t, end + blank, 2), PII_ADDRESS, 60, rule);
}

/* The forms of the Universal Postal Union for British codes: A9 9AA, A99 9AA, AA9 9AA, AA99 9AA, A9A 9AA, AA9A 9AA; the last two letters leave
 * out C I K M O V, the first Q V X. Canadian ones: A9A 9A9. */
static void lettered_code(PiiText *t, size_t i)
{
    static const struct { const char *shape, *rule; } forms[] = {
        { "UU9U 9UU", "postcode-uk" }, { "U9U 9UU", "postcode-uk" }, { "UU99 9UU", "postcode-uk" }, { "UU9 9UU", "postcode-uk" },
        { "U99 9UU", "postcode-uk" }, { "U9 9UU", "postcode-uk" },
        { "U9U 9U9", "postcode-ca" },
    };
    char buf[PII_SHAPE_MAX + 1];
    size_t n;
    if (!pii_wants(t, PII_POSTCODE) || !ch_is(t->p[i], CH_UPPER) || i + 5 >= t->n || !(ch_digit(t->p[i + 1]) || ch_digit(t->p[i + 2])))
        return;
    for (size_t f = 0; f < ARRAY_LEN(forms); f++) {
        const size_t len = pii_shape(forms[f].shape, t->p + i, t->n - i, buf, &n);
        if (!len || !pii_alone(t, i, i + len))
            continue;
        const bool uk = f < 6, blank = memchr(t->p + i, ' ', len) != NULL;
        if (uk && (strchr("QVX", buf[0]) || strchr("CIKMOV", buf[n - 1]) || strchr("CIKMOV", buf[n - 2])))
            continue;
        const bool near = pii_context(t, i, i + len, "postcode|post code|postal|zip|address|=live");
        pii_add(t, i, i + len, PII_POSTCODE, near ? 88 : blank ? 68 : 30, forms[f].rule);
        return;
    }
}

/* "ZIP: 3910", "my postcode is 7412 SL": any code of three to ten letters and digits right behind the word, with one blank or dash. */
static void named_code(PiiText *t, size_t i)
{
    const char *p = t->p;
    size_t k = i;
    if (!pii_wants(t, PII_POSTCODE) || !pii_preceded(t, i, PII_BEFORE_CODE))
        return;
    while (k < t->n && ch_is(p[k], CH_DIGIT | CH_UPPER) && k - i < 8)
        k++;
    if (k + 1 < t->n && (p[k] == '-' || p[k] == ' ') && ch_is(p[k + 1], CH_DIGIT | CH_UPPER)) {
        size_t e = k + 1;
        while (e < t->n && ch_is(p[e], CH_DIGIT | CH_UPPER) && e - k < 5)
            e++;
        if (e - k > 2 && !pii_word_char(p, t->n, e))
            k = e;
    }
    if (k - i >= 3 && !pii_word_char(p, t->n, k))
        pii_add(t, i, k, PII_POSTCODE, 85, "postcode-named");
}

void pii_match_address(PiiText *t, size_t i, size_t end)
{
    if (pii_word_before(t->p, i))
        return;
    lettered_code(t, i);
    if (!pii_wants(t, PII_ADDRESS))
        return;
    pii_match_block(t, i);
    if (ch_digit(t->p[i])) {
        number_first(t, i);
        code_and_place(t, i);
        pii_match_box(t, i);
        named_code(t, i);
        if (end - i == 5 && ch_digit(t->p[i + 1]) && ch_digit(t->p[i + 2]) && ch_digit(t->p[i + 3]) && ch_digit(t->p[i + 4]) && pii_alone(t, i, end))
            pii_add(t, i, end, PII_POSTCODE, pii_context(t, i, end, "=plz|postleitzahl|zip code|=zip|postcode|code postal|postal code") ? 70 : 5,
                    "postcode-5");
    } else {
        street_first(t, i, end);
        front_word(t, i);
    }
}
