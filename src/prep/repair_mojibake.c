/* repair_mojibake.c - UTF-8 that was read as Windows-1252, Latin-1 or another one-byte code page, any number of times, undone.
 * The heuristic is ftfy's (R. Speer, ftfy 6.3.1, Apache-2.0), which is also the judge in tools/judge_repair.py: a line is touched only when
 * it holds a sequence of characters that readers do not write but mojibake does (rules[] below); then the first code page that can hold all
 * its characters, and whose bytes are UTF-8, is taken; otherwise runs that look like UTF-8 are mended one by one.
 * Left out of ftfy: CESU-8 and the two-byte NUL. Invariant: each step makes the line shorter or takes C1 controls out of it, so it ends.
 * To add a rule: a row of rules[]; to add a code page: a row in tools/repair_tables.py. */
#include "base/mem.h"
#include "prep/repair_int.h"

#include <stdlib.h>

#define REPAIR_MOJIBAKE_TABLES
#include "prep/repair_tables.inc"

enum { /* the bits of kinds[].classes, then some that are computed */
    COMMON = 1 << 0, C1 = 1 << 1, BAD = 1 << 2, LAW = 1 << 3, CURRENCY = 1 << 4, OPEN = 1 << 5, CLOSE = 1 << 6, NUMERIC = 1 << 7, KAOMOJI = 1 << 8,
    UPPER = 1 << 9, LOWER = 1 << 10, UPPER_COMMON = 1 << 11, LOWER_COMMON = 1 << 12, BOX = 1 << 13,
    LEAD2 = 1 << 14, LEAD3 = 1 << 15, LEAD4 = 1 << 16, CONT = 1 << 17, CONT_STRICT = 1 << 18,
    ASCII_LOWER = 1 << 19, ASCII_UPPER = 1 << 20, SPACE = 1 << 21, WORD = 1 << 22, NOT_LATIN = 1 << 23, ANY = 1 << 24, START = 1 << 25,
};

typedef struct Spot { uint32_t classes; const char *chars; } Spot; /* one character: of any of these classes, or one of these */
#define SYMBOLS (UPPER | LOWER | BOX | OPEN | CLOSE | CURRENCY | NUMERIC | LAW)
#define PAIRED (C1 | BAD | OPEN | CLOSE | CURRENCY)
#define ARABIC_TAIL { COMMON | CURRENCY | BAD | NUMERIC | OPEN, "ŸŠ®°µ»" }

static const Spot rules[][5] = {
    { { C1 } },
    { { BAD | SYMBOLS }, { BAD } },
    { { ASCII_LOWER | ASCII_UPPER }, { LOWER_COMMON | UPPER_COMMON }, { BAD } },
    { { BAD }, { SYMBOLS } },
    { { LOWER | LOWER_COMMON | BOX | CLOSE | CURRENCY | NUMERIC }, { UPPER } },
    { { BOX | CLOSE | CURRENCY | NUMERIC }, { LOWER } },
    { { LOWER | BOX | CLOSE }, { CURRENCY } },
    { { SPACE }, { UPPER }, { CURRENCY } },
    { { UPPER | BOX }, { NUMERIC | LAW } },
    { { LOWER | UPPER | BOX | CURRENCY | CLOSE }, { OPEN }, { NUMERIC } },
    { { LOWER | UPPER | CURRENCY | NUMERIC | BOX | LAW }, { CLOSE }, { OPEN } },
    { { CURRENCY | NUMERIC | BOX }, { OPEN } },
    { { ASCII_LOWER }, { UPPER }, { OPEN | CURRENCY } },
    { { BOX }, { KAOMOJI } },
    { { LOWER | UPPER | CURRENCY | NUMERIC | OPEN | CLOSE | LAW }, { BOX } },
    { { BOX }, { CLOSE } },
    { { LOWER | UPPER }, { OPEN | CLOSE }, { WORD } },
    { { 0, "Œœ" }, { NOT_LATIN } },
    { { UPPER }, { 0, "°" } },
    { { 0, "ÂÃÎÐ" }, { OPEN | CLOSE, "€œŠš¢£Ÿž\u00A0\u00AD®©°·»–—´" } }, /* two characters of Windows-1252 */
    { { 0, "×" }, { 0, "²³" } },
    { { 0, "ØÙ" }, ARABIC_TAIL, { 0, "ØÙ" }, ARABIC_TAIL },
    { { 0, "à" }, { 0, "²µ¹¼½¾" } }, /* South Asian scripts */
    { { 0, "√" }, { 0, "±∂†≠®™´≤≥¥µø" } }, /* MacRoman */
    { { 0, "≈" }, { 0, "°¢" } },
    { { 0, "‚" }, { 0, "Ä" }, { 0, "ìîïòôúùû†°¢π" } },
    { { 0, "‚" }, { 0, "âó" }, { 0, "àä°ê" } },
    { { 0, "в" }, { 0, "Ђ" } }, /* Windows-1251 of U+2000 ... */
    { { 0, "ВГРС" }, { PAIRED, "°µ" }, { 0, "ВГРС" } },
    { { 0, "Г" }, { 0, "ў" }, { 0, "В" }, { 0, "Ђ" }, { 0, "В" } }, /* and any one, and a Latin letter or space: rule_cyrillic */
    { { 0, "Ã" }, { 0, "\u00A0¡" } },
    { { ASCII_LOWER }, { 0, "ÃÂ" }, { 0, " " } },
    { { ASCII_LOWER }, { SPACE }, { 0, "ÃÂ" }, { 0, " " } },
    { { START }, { 0, "ÃÂ" }, { 0, " " } },
    { { ASCII_LOWER | CLOSE, ".,?!" }, { 0, "Â" }, { OPEN | CLOSE, " " } },
    { { 0, "β" }, { 0, "€" }, { 0, "™\u00A0Ά\u00AD®°" } }, /* Windows-1253 */
    { { 0, "ΒΓΞΟ" }, { PAIRED, "°" }, { 0, "ΒΓΞΟ" } },
    { { 0, "ā" }, { 0, "€" } }, /* Windows-1257 */
};
#define RULE_REACH 3 /* a rule's first character beyond ASCII is at most its third */

typedef struct Chars { uint32_t *cp, *kind; size_t n; } Chars; /* [n + 1]: an invisible START, then the line's characters */

static uint32_t kind_of(uint32_t cp)
{
    uint32_t k = ANY;
    if (cp < 0x80) {
        const bool lower = cp >= 'a' && cp <= 'z', upper = cp >= 'A' && cp <= 'Z';
        k |= lower ? ASCII_LOWER | WORD : upper ? ASCII_UPPER | WORD : NOT_LATIN;
        k |= (cp >= '0' && cp <= '9') || cp == '_' ? (uint32_t)WORD : 0;
        k |= cp == ' ' || (cp >= 9 && cp <= 13) || (cp >= 0x1C && cp <= 0x1F) ? (uint32_t)SPACE : 0;
        return k | (cp == ' ' ? (uint32_t)CONT : 0);
    }
    k |= NOT_LATIN | (utf8_is_alpha(cp) || cp == 0xB2 || cp == 0xB3 || cp == 0xB9 || (cp >= 0xBC && cp <= 0xBE) ? (uint32_t)WORD : 0) |
         (utf8_is_space(cp) ? (uint32_t)SPACE : 0);
    size_t lo = 0, hi = ARRAY_LEN(kinds);
    while (lo < hi) {
        const size_t mid = (lo + hi) / 2;
        if (kinds[mid].cp < cp)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < ARRAY_LEN(kinds) && kinds[lo].cp == cp ? k | kinds[lo].classes : k;
}

static void chars_read(Chars *c, Str line)
{
    c->cp = mem_alloc((line.n + 1) * sizeof *c->cp);
    c->kind = mem_alloc((line.n + 1) * sizeof *c->kind);
    c->cp[0] = 0;
    c->kind[0] = START;
    c->n = 0;
    for (size_t i = 0; i < line.n;) {
        uint32_t cp;
        i += (size_t)utf8_decode(line.p + i, line.n - i, &cp);
        c->n++;
        c->cp[c->n] = cp;
        c->kind[c->n] = kind_of(cp);
    }
}

static void chars_release(Chars *c)
{
    free(c->cp);
    free(c->kind);
}

static bool is_one_of(uint32_t cp, const char *chars)
{
    const size_t n = strlen(chars);
    for (size_t i = 0; i < n;) {
        uint32_t one;
        i += (size_t)utf8_decode(chars + i, n - i, &one);
        if (one == cp)
            return true;
    }
    return false;
}

static bool spot_fits(const Spot *s, uint32_t cp, uint32_t kind)
{
    return (s->classes & kind) || (s->chars && is_one_of(cp, s->chars));
}

/* Whether a rule fits at character i of from ... to (numbers into Chars, to excluded). */
static bool rule_fits(const Spot rule[5], const Chars *c, size_t i, size_t to)
{
    size_t k = 0;
    for (; k < 5 && (rule[k].classes || rule[k].chars); k++)
        if (i + k >= to || !spot_fits(&rule[k], c->cp[i + k], c->kind[i + k]))
            return false;
    if (k < 5)
        return true;
    return i + 6 < to && (c->cp[i + 6] == ' ' || (c->kind[i + 6] & (ASCII_LOWER | ASCII_UPPER))); /* the row of five: any one, then Latin */
}

static bool is_bad(const Chars *c, size_t from, size_t to)
{
    size_t done = from;
    for (size_t high = from; high < to; high++) {
        if (c->cp[high] < 0x80)
            continue;
        for (size_t i = MAX(done, high - MIN(high - from, (size_t)RULE_REACH - 1)); i <= high; i++)
            for (size_t r = 0; r < ARRAY_LEN(rules); r++)
                if (rule_fits(rules[r], c, i, to))
                    return true;
        done = high + 1;
    }
    return false;
}

/* The byte of a character in a page, or -1. U+FFFD stands for a lost byte, written 0x1A, in the Windows pages. */
static int page_byte(size_t page, uint32_t cp)
{
    const bool sloppy = page >= 1 && page <= 6;
    if (sloppy && (cp == 0xFFFD || cp == 0x1A))
        return cp == 0xFFFD ? 0x1A : -1;
    if (cp < 0x80)
        return (int)cp;
    if (page == 0)
        return cp < 0x100 ? (int)cp : -1;
    for (int b = 0; b < 128; b++)
        if (pages[page][b] == cp)
            return b + 128;
    return -1;
}

static bool between(unsigned char b, unsigned lo, unsigned hi)
{
    return b >= lo && b <= hi;
}

/* Bytes that would be UTF-8 if a space were the A0 that someone took for one. Returns the length of such a sequence, or 0. */
static size_t spaced_sequence(const unsigned char *b, size_t n)
{
    if (n >= 2 && memchr("\xC2\xC3\xC5\xCE\xD0\xD9", b[0], 6) && b[1] == ' ')
        return 2;
    const bool tail = n >= 3 && b[2] != 0x85 && b[2] != 0xA0 && between(b[2], 0x80, 0xBF);
    if (n >= 3 && (b[0] == 0xE2 || b[0] == 0xE3) && b[1] == ' ' && tail)
        return 3;
    if (n >= 3 && between(b[0], 0xE0, 0xE3) && b[1] != 0x85 && b[1] != 0xA0 && between(b[1], 0x80, 0xBF) && b[2] == ' ')
        return 3;
    if (n >= 4 && b[0] == 0xF0) {
        int spaces = 0, conts = 0;
        for (int k = 1; k < 4; k++)
            spaces += b[k] == ' ', conts += between(b[k], 0x80, 0xBF);
        return spaces == 1 && conts == 2 ? 4 : 0;
    }
    return 0;
}

/* Whether C3 and a space are a lost "a grave" with its own space: not before words that Portuguese and Italian write with it joined. */
static bool is_grave_word(const unsigned char *b, size_t n)
{
    static const char *const joined[] = { " ", "quele", "quela", "quilo", "s " };
    if (n < 2 || b[0] != 0xC3 || b[1] != ' ')
        return false;
    for (size_t k = 0; k < ARRAY_LEN(joined); k++)
        if (str_starts((Str){ (const char *)b + 2, n - 2 }, joined[k]))
            return false;
    return true;
}

static void restore_spaces(StrBuf *out, Str in)
{
    StrBuf graves = { 0 };
    const unsigned char *b = (const unsigned char *)in.p;
    for (size_t i = 0; i < in.n; i++)
        if (is_grave_word(b + i, in.n - i)) {
            strbuf_add(&graves, "\xC3\xA0 ", 3);
            i++;
        } else {
            strbuf_addc(&graves, in.p[i]);
        }
    b = (const unsigned char *)strbuf_z(&graves);
    for (size_t i = 0; i < graves.n;) {
        const size_t n = spaced_sequence(b + i, graves.n - i);
        for (size_t k = 0; k < MAX(n, (size_t)1); k++)
            strbuf_addc(out, n && b[i + k] == ' ' ? '\xA0' : (char)b[i + k]);
        i += MAX(n, (size_t)1);
    }
    strbuf_release(&graves);
}

/* A UTF-8 sequence of which a byte was lost (0x1A, or a question mark in its place): its length, or 0. */
static size_t lossy_sequence(const unsigned char *b, size_t n)
{
    if (n >= 2 && ((between(b[0], 0xC2, 0xDF) && b[1] == 0x1A) || (between(b[0], 0xC2, 0xC3) && b[1] == '?')))
        return 2;
    const size_t want = between(b[0], 0xE0, 0xEF) ? 3 : between(b[0], 0xF0, 0xF4) ? 4 : 0;
    if (want && n >= want) {
        int asked = 0, lost = 0, whole = 0;
        for (size_t k = 1; k < want; k++)
            asked += b[k] == '?', lost += b[k] == 0x1A, whole += between(b[k], 0x80, 0xBF);
        if (asked + lost + whole == (int)want - 1 && asked <= 1 && asked + lost >= 1)
            return want;
    }
    return b[0] == 0x1A ? 1 : 0;
}

static void replace_lossy(StrBuf *out, Str in)
{
    for (size_t i = 0; i < in.n;) {
        const size_t n = lossy_sequence((const unsigned char *)in.p + i, in.n - i);
        if (n)
            strbuf_addz(out, "\xEF\xBF\xBD");
        else
            strbuf_addc(out, in.p[i]);
        i += MAX(n, (size_t)1);
    }
}

/* The line in the bytes of one page, lost bytes put back; true when that is UTF-8. */
static bool decode_by_page(StrBuf *out, const Chars *c, size_t from, size_t to, size_t page)
{
    StrBuf bytes = { 0 }, spaced = { 0 };
    bool ok = true;
    for (size_t i = from; i < to && ok; i++) {
        const int b = page_byte(page, c->cp[i]);
        ok = b >= 0;
        if (ok)
            strbuf_addc(&bytes, (char)b);
    }
    strbuf_clear(out);
    if (ok) {
        StrBuf *last = &bytes;
        if (page != 8) { /* in MacRoman this would take en dashes */
            restore_spaces(&spaced, strbuf_str(&bytes));
            last = &spaced;
        }
        if (page >= 1 && page <= 6)
            replace_lossy(out, strbuf_str(last));
        else
            strbuf_add(out, last->p, last->n);
        ok = utf8_valid(strbuf_str(out), NULL);
    }
    strbuf_release(&bytes);
    strbuf_release(&spaced);
    return ok;
}

static void chars_write(StrBuf *out, const Chars *c, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        char bytes[4];
        strbuf_add(out, bytes, (size_t)utf8_encode(c->cp[i], bytes));
    }
}

static size_t clue_at(const Chars *c, size_t i, size_t to)
{
    static const struct { uint32_t lead; size_t n; } leads[] = { { LEAD2, 2 }, { LEAD3, 3 }, { LEAD4, 4 } };
    for (size_t k = 0; k < ARRAY_LEN(leads); k++) {
        size_t n = 1;
        if (!(c->kind[i] & leads[k].lead) || i + leads[k].n > to)
            continue;
        while (n < leads[k].n && (c->kind[i + n] & CONT))
            n++;
        if (n == leads[k].n)
            return n;
    }
    return 0;
}

static bool fix_chars(StrBuf *out, Str line, bool whole);

/* Runs that look like UTF-8 inside a line that as a whole is in no single page. */
static bool fix_runs(StrBuf *out, const Chars *c)
{
    bool fixed = false;
    strbuf_clear(out);
    for (size_t i = 1; i <= c->n;) {
        size_t end = i;
        if (!(c->kind[i - 1] & CONT_STRICT))
            for (size_t n; end <= c->n && (n = clue_at(c, end, c->n + 1)) > 0; end += n)
                continue;
        if (end == i) {
            chars_write(out, c, i, i + 1);
            i++;
            continue;
        }
        StrBuf run = { 0 }, mended = { 0 };
        chars_write(&run, c, i, end);
        if (end - i < c->n && fix_chars(&mended, strbuf_str(&run), false)) {
            fixed = true;
            strbuf_add(out, mended.p, mended.n);
        } else {
            strbuf_add(out, run.p, run.n);
        }
        strbuf_release(&run);
        strbuf_release(&mended);
        i = end;
    }
    return fixed;
}

/* One step after the other until the text is plausible or nothing helps; false: nothing was done, out is to be thrown away.
 * `whole` is false within fix_runs, whose runs are not cut again (they are one run each). */
static bool fix_chars(StrBuf *out, Str line, bool whole)
{
    StrBuf cur = { 0 }, next = { 0 };
    bool fixed = false;
    strbuf_add(&cur, line.p, line.n);
    for (bool moved = true; moved;) {
        Chars c;
        chars_read(&c, strbuf_str(&cur));
        const size_t end = c.n + 1;
        bool c1 = false, high = false;
        for (size_t i = 1; i < end; i++) {
            c1 = c1 || (c.cp[i] >= 0x80 && c.cp[i] < 0xA0);
            high = high || c.cp[i] >= 0x80;
        }
        moved = false;
        if (high && is_bad(&c, 0, end)) {
            for (size_t page = 0; page < ARRAY_LEN(pages) && !moved; page++)
                moved = decode_by_page(&next, &c, 1, end, page);
            moved = moved || (whole && fix_runs(&next, &c));
            if (!moved && c1) { /* the controls that Latin-1 has where Windows-1252 has letters: nobody wants those */
                strbuf_clear(&next);
                for (size_t i = 1; i < end; i++) {
                    if (c.cp[i] >= 0x80 && c.cp[i] < 0xA0)
                        c.cp[i] = pages[1][c.cp[i] - 0x80];
                    chars_write(&next, &c, i, i + 1);
                }
                moved = true;
            }
            moved = moved && !str_eq(strbuf_str(&next), strbuf_str(&cur));
        }
        chars_release(&c);
        if (moved) {
            const StrBuf swap = cur;
            cur = next;
            next = swap;
            fixed = true;
        }
    }
    strbuf_add(out, cur.p, cur.n);
    strbuf_release(&cur);
    strbuf_release(&next);
    return fixed;
}

size_t repair_mojibake(StrBuf *out, Str in)
{
    size_t count = 0;
    Str line;
    for (RepairLines l = { 0 }; repair_next_line(&l, in, &line);) {
        bool high = false;
        for (size_t i = 0; i < line.n && !high; i++)
            high = (unsigned char)line.p[i] >= 0x80;
        StrBuf fixed = { 0 };
        if (high && fix_chars(&fixed, line, true)) {
            count++;
            line = strbuf_str(&fixed);
        }
        strbuf_add(out, line.p, line.n);
        if (l.ended)
            strbuf_addc(out, '\n');
        strbuf_release(&fixed);
    }
    return count;
}
