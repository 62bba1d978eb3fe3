/* repair_chars.c - repairs of single characters and of white space: line endings, controls, what cannot be seen, spaces, normal form, quotes.
 * Invariant: text in code fences keeps its trailing spaces and blank lines (of the last two repairs); the others work on all of it.
 * To add a character that goes away: a row of invisible[]; one that becomes another: a row of spaces[] or quotes[]. */
#include "prep/repair_int.h"

typedef struct Swap { uint32_t lo, hi; const char *to; } Swap; /* characters lo to hi become `to` */

/* out gets `in` with the swaps applied; the number of characters swapped. */
static size_t swap_chars(StrBuf *out, Str in, const Swap *rows, size_t n)
{
    size_t count = 0, kept = 0;
    for (size_t i = 0; i < in.n;) {
        uint32_t cp;
        if ((unsigned char)in.p[i] < 0x80) {
            i++;
            continue;
        }
        const size_t len = (size_t)utf8_decode(in.p + i, in.n - i, &cp);
        for (size_t k = 0; k < n; k++)
            if (cp >= rows[k].lo && cp <= rows[k].hi) {
                strbuf_add(out, in.p + kept, i - kept);
                strbuf_addz(out, rows[k].to);
                kept = i + len;
                count++;
                break;
            }
        i += len;
    }
    strbuf_add(out, in.p + kept, in.n - kept);
    return count;
}

size_t repair_line_endings(StrBuf *out, Str in)
{
    static const Swap breaks[] = { { 0x85, 0x85, "\n" }, { 0x2028, 0x2029, "\n" } };
    StrBuf plain = { 0 };
    size_t count = 0, kept = 0;
    for (const char *cr = memchr(in.p, '\r', in.n); cr; cr = memchr(in.p + kept, '\r', in.n - kept)) {
        const size_t i = (size_t)(cr - in.p);
        strbuf_add(&plain, in.p + kept, i - kept);
        if (i + 1 == in.n || in.p[i + 1] != '\n')
            strbuf_addc(&plain, '\n');
        kept = i + 1;
        count++;
    }
    strbuf_add(&plain, in.p + kept, in.n - kept);
    count += swap_chars(out, strbuf_str(&plain), breaks, ARRAY_LEN(breaks));
    strbuf_release(&plain);
    return count;
}

/* Length of a terminal escape sequence (ECMA-48: CSI ... final byte; OSC ... BEL) at p, which is ESC; 1 when it is none. */
static size_t escape_length(const char *p, size_t n)
{
    size_t i = 2;
    if (n < 2 || (p[1] != '[' && p[1] != ']'))
        return 1;
    if (p[1] == ']') {
        while (i < n && i < 256 && p[i] != '\a' && p[i] != '\n')
            i++;
        return i < n && p[i] == '\a' ? i + 1 : 1;
    }
    while (i < n && i < 32 && p[i] >= 0x20 && p[i] < 0x40)
        i++;
    return i < n && p[i] >= 0x40 && p[i] < 0x7F ? i + 1 : 1;
}

size_t repair_controls(StrBuf *out, Str in)
{
    size_t count = 0, kept = 0;
    for (size_t i = 0; i < in.n;) {
        const unsigned char c = (unsigned char)in.p[i];
        const bool c1 = c == 0xC2 && i + 1 < in.n && (unsigned char)in.p[i + 1] < 0xA0;
        if (!c1 && (c >= 0x20 || c == '\n' || c == '\t') && c != 0x7F) {
            i++;
            continue;
        }
        strbuf_add(out, in.p + kept, i - kept);
        if (c == '\f' || c == '\v') /* a page's or a column's end parts words as a line's end does */
            strbuf_addc(out, '\n');
        i += c1 ? 2 : c == 0x1B ? escape_length(in.p + i, in.n - i) : 1;
        kept = i;
        count++;
    }
    strbuf_add(out, in.p + kept, in.n - kept);
    return count;
}

typedef enum { KEEP_NEVER, KEEP_JOINER, KEEP_WORD_BREAK, KEEP_VARIANT, KEEP_IDEOGRAPH, KEEP_FLAG } Keep;
static const struct { uint32_t lo, hi; Keep keep; } invisible[] = {
    { 0xAD, 0xAD, KEEP_NEVER },         /* soft hyphen */
    { 0x61C, 0x61C, KEEP_NEVER },       /* Arabic letter mark */
    { 0x180E, 0x180E, KEEP_NEVER },     /* Mongolian vowel separator */
    { 0x200B, 0x200B, KEEP_WORD_BREAK },
    { 0x200C, 0x200D, KEEP_JOINER },
    { 0x200E, 0x200F, KEEP_NEVER },     /* bidi marks, embeddings, isolates */
    { 0x202A, 0x202E, KEEP_NEVER },
    { 0x2060, 0x2064, KEEP_NEVER },     /* word joiner, invisible operators */
    { 0x2066, 0x206F, KEEP_NEVER },
    { 0xFE00, 0xFE0F, KEEP_VARIANT },
    { 0xFEFF, 0xFEFF, KEEP_NEVER },
    { 0xFFF9, 0xFFFB, KEEP_NEVER },     /* interlinear annotation */
    { 0xE0001, 0xE0001, KEEP_NEVER },
    { 0xE0020, 0xE007F, KEEP_FLAG },    /* tag characters: used to hide text, but the flags of England, Scotland and Wales need them */
    { 0xE0100, 0xE01EF, KEEP_IDEOGRAPH },
};

static bool is_pictograph(uint32_t c)
{
    return (c >= 0x1F000 && c <= 0x1FAFF) || (c >= 0x2190 && c <= 0x2BFF) || c == 0xFE0F || c == 0x20E3 || c == 0x3030 || c == 0x303D || c == 0xA9 || c == 0xAE;
}

/* Scripts whose shaping asks for joiners: Arabic to Thaana and N'Ko, the Indic blocks, Tibetan to Khmer and Mongolian, Arabic forms. */
static bool is_joined(uint32_t c)
{
    return (c >= 0x600 && c <= 0x7FF) || (c >= 0x8A0 && c <= 0xDFF) || (c >= 0xF00 && c <= 0x109F) || (c >= 0x1780 && c <= 0x18AF) ||
           (c >= 0xFB50 && c <= 0xFEFC && c != 0xFE0F) || (c >= 0x11000 && c <= 0x11FFF);
}

static bool invisible_stays(Keep keep, uint32_t cp, uint32_t before, uint32_t after)
{
    switch (keep) {
    case KEEP_JOINER:
        return (is_joined(before) && (is_joined(after) || cp == 0x200D || after == ' ' || after == 0)) ||
               (cp == 0x200D && is_pictograph(before) && is_pictograph(after));
    case KEEP_WORD_BREAK:
        return before >= 0xE00 && before <= 0x17FF && after >= 0xE00 && after <= 0x17FF; /* Thai, Lao, Tibetan, Myanmar, Khmer */
    case KEEP_VARIANT:
        return before > 0xA0 || (before >= '0' && before <= '9') || before == '#' || before == '*';
    case KEEP_IDEOGRAPH:
        return before >= 0x3400;
    case KEEP_FLAG:
        return before == 0x1F3F4 || (before >= 0xE0020 && before <= 0xE007E);
    case KEEP_NEVER:
        break;
    }
    return false;
}

size_t repair_invisible(StrBuf *out, Str in)
{
    size_t count = 0, kept = 0;
    uint32_t before = 0;
    for (size_t i = 0; i < in.n;) {
        uint32_t cp, after = 0;
        if ((unsigned char)in.p[i] < 0x80) {
            before = (unsigned char)in.p[i++];
            continue;
        }
        const size_t len = (size_t)utf8_decode(in.p + i, in.n - i, &cp);
        if (i + len < in.n)
            utf8_decode(in.p + i + len, in.n - i - len, &after);
        size_t k = 0;
        while (k < ARRAY_LEN(invisible) && !(cp >= invisible[k].lo && cp <= invisible[k].hi))
            k++;
        if (k < ARRAY_LEN(invisible) && !invisible_stays(invisible[k].keep, cp, before, after)) {
            strbuf_add(out, in.p + kept, i - kept);
            kept = i + len;
            count++;
        } else {
            before = cp;
        }
        i += len;
    }
    strbuf_add(out, in.p + kept, in.n - kept);
    return count;
}

size_t repair_spaces(StrBuf *out, Str in)
{
    static const Swap spaces[] = { { 0xA0, 0xA0, " " }, { 0x1680, 0x1680, " " }, { 0x2000, 0x200A, " " }, { 0x202F, 0x202F, " " }, { 0x205F, 0x205F, " " },
                                   { 0x3000, 0x3000, " " } };
    return swap_chars(out, in, spaces, ARRAY_LEN(spaces));
}

size_t repair_quotes(StrBuf *out, Str in)
{
    static const Swap quotes[] = { { 0x2018, 0x201B, "'" }, { 0x201C, 0x201F, "\"" }, { 0xAB, 0xAB, "\"" }, { 0xBB, 0xBB, "\"" }, { 0x2039, 0x203A, "'" },
                                   { 0x2032, 0x2032, "'" }, { 0x2033, 0x2033, "\"" } };
    return swap_chars(out, in, quotes, ARRAY_LEN(quotes));
}

size_t repair_nfc(StrBuf *out, Str in)
{
    utf8_normalise(out, in, UTF8_NFC);
    return !str_eq(strbuf_str(out), in);
}

size_t repair_trailing(StrBuf *out, Str in)
{
    size_t count = 0, end = 0; /* end: where the last line with text ends in out */
    bool any = false;
    Str line;
    for (RepairLines l = { 0 }; repair_next_line(&l, in, &line);) {
        Str s = line;
        while (!l.code && s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
            s.n--;
        count += s.n < line.n;
        if (s.n == 0 && !any && !l.code) {
            count += l.ended;
            continue;
        }
        any = true;
        strbuf_add(out, s.p, s.n);
        if (s.n || l.code)
            end = out->n;
        if (l.ended)
            strbuf_addc(out, '\n');
    }
    const size_t last = end + (out->n > end); /* one line break at the end stays: a prompt may want it */
    if (out->n > last) {
        count += out->n - last;
        out->n = last;
        out->p[last] = '\0';
    }
    return count;
}

size_t repair_blank_lines(StrBuf *out, Str in)
{
    size_t count = 0;
    int blanks = 0;
    Str line;
    for (RepairLines l = { 0 }; repair_next_line(&l, in, &line);) {
        const bool blank = !l.code && repair_trim(line).n == 0;
        blanks = blank ? blanks + 1 : 0;
        if (blanks > 1) {
            count++;
            continue;
        }
        strbuf_add(out, line.p, line.n);
        if (l.ended)
            strbuf_addc(out, '\n');
    }
    return count;
}
