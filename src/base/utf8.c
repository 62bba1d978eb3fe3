/* utf8.c - UTF-8 by the table of well-formed byte sequences (Unicode 15, table 3-7); classes and normal forms by utf8proc.
 * Invariant: every function here agrees on what is valid, because all of them ask utf8_step. Ill-formed input is cut into "maximal subparts",
 * the way browsers, Rust and Python replace it: one U+FFFD for a truncated character, one for each byte that can start nothing. */
#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <utf8proc.h>

/* Looks at the character that starts at p (n > 0). *len: the bytes seen that belong together (>= 1). Returns its full length when it is
 * complete, 0 when the text ends inside it, -1 when it is ill-formed. */
static int utf8_step(const char *p, size_t n, size_t *len)
{
    const unsigned char *b = (const unsigned char *)p;
    unsigned lo = 0x80, hi = 0xBF; /* range of the second byte; narrower where it would be overlong, a surrogate, or too large */
    int want;
    *len = 1;
    if (b[0] < 0x80)
        return 1;
    else if (b[0] < 0xC2 || b[0] > 0xF4)
        return -1;
    else if (b[0] < 0xE0)
        want = 2;
    else if (b[0] < 0xF0)
        want = 3;
    else
        want = 4;
    switch (b[0]) {
    case 0xE0: lo = 0xA0; break;
    case 0xED: hi = 0x9F; break;
    case 0xF0: lo = 0x90; break;
    case 0xF4: hi = 0x8F; break;
    default: break;
    }
    for (; *len < (size_t)want; (*len)++, lo = 0x80, hi = 0xBF) {
        if (*len == n)
            return 0;
        if (b[*len] < lo || b[*len] > hi)
            return -1;
    }
    return want;
}

int utf8_decode(const char *p, size_t n, uint32_t *cp)
{
    static const uint32_t lead_mask[5] = { 0, 0x7F, 0x1F, 0x0F, 0x07 };
    size_t len;
    int want = utf8_step(p, n, &len);
    if (want <= 0)
        return -1;
    uint32_t c = (unsigned char)p[0] & lead_mask[want];
    for (int i = 1; i < want; i++)
        c = c << 6 | ((unsigned char)p[i] & 0x3Fu);
    *cp = c;
    return want;
}

int utf8_encode(uint32_t cp, char out[4])
{
    BUG_ON(cp > 0x10FFFF || (cp >= 0xD800 && cp <= 0xDFFF));
    return (int)utf8proc_encode_char((utf8proc_int32_t)cp, (utf8proc_uint8_t *)out);
}

bool utf8_valid(Str s, size_t *bad_offset)
{
    for (size_t i = 0, len; i < s.n; i += len) {
        uint64_t eight; /* most text is ASCII, and eight bytes of that are told by one test */
        while (i + 8 <= s.n && (memcpy(&eight, s.p + i, 8), !(eight & 0x8080808080808080u)))
            i += 8;
        if (i == s.n)
            break;
        if (utf8_step(s.p + i, s.n - i, &len) <= 0) {
            if (bad_offset)
                *bad_offset = i;
            return false;
        }
    }
    return true;
}

size_t utf8_complete(const char *p, size_t n)
{
    for (size_t back = 1, len; back <= 3 && back <= n; back++) {
        if (((unsigned char)p[n - back] & 0xC0) == 0x80)
            continue; /* a continuation byte: the start lies further back */
        return utf8_step(p + n - back, back, &len) == 0 ? n - back : n;
    }
    return n;
}

void utf8_vformat(char *out, size_t size, const char *fmt, va_list ap)
{
    const int n = vsnprintf(out, size, fmt, ap);
    BUG_ON(n < 0 || size == 0);
    if ((size_t)n >= size)
        out[utf8_complete(out, size - 1)] = '\0';
}

void utf8_repair(StrBuf *out, Str s)
{
    size_t from = 0, i = 0;
    while (i < s.n) {
        size_t len;
        if (utf8_step(s.p + i, s.n - i, &len) <= 0) {
            strbuf_add(out, s.p + from, i - from);
            strbuf_addz(out, "\xEF\xBF\xBD");
            from = i + len;
        }
        i += len;
    }
    strbuf_add(out, s.p + from, s.n - from);
}

static bool utf8_is_ascii(Str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
    return true;
}

void utf8_normalise(StrBuf *out, Str s, Utf8Form form)
{
    static const utf8proc_option_t options[] = {
        [UTF8_NFC] = UTF8PROC_STABLE | UTF8PROC_COMPOSE,
        [UTF8_NFD] = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE,
        [UTF8_NFKC] = UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT,
        [UTF8_NFKD] = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT,
    };
    if (utf8_is_ascii(s)) { /* its own normal form in all four, and most of what we see */
        strbuf_add(out, s.p, s.n);
        return;
    }
    utf8proc_uint8_t *text = NULL;
    utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)s.p, (utf8proc_ssize_t)s.n, &text, options[form]);
    BUG_ON(n < 0); /* the caller promised valid text */
    strbuf_add(out, text, (size_t)n);
    free(text);
}

void utf8_lower(StrBuf *out, Str s)
{
    for (size_t i = 0; i < s.n;) {
        uint32_t cp;
        int len = utf8_decode(s.p + i, s.n - i, &cp);
        BUG_ON(len < 0);
        i += (size_t)len;
        char bytes[4];
        if (cp == 0x130) /* the only character whose lower case is two, in every language: i and a combining dot */
            strbuf_addz(out, "i\xCC\x87");
        else
            strbuf_add(out, bytes, (size_t)utf8_encode((uint32_t)utf8proc_tolower((utf8proc_int32_t)cp), bytes));
    }
}

void utf8_upper(StrBuf *out, Str s)
{
    static const struct { uint32_t cp; const char *to; } longer[] = { /* characters whose upper case is several */
        { 0xDF, "SS" }, { 0x149, "\xCA\xBCN" }, { 0x1F0, "J\xCC\x8C" }, { 0xFB00, "FF" }, { 0xFB01, "FI" }, { 0xFB02, "FL" }, { 0xFB03, "FFI" },
        { 0xFB04, "FFL" }, { 0xFB05, "ST" }, { 0xFB06, "ST" },
    };
    for (size_t i = 0; i < s.n;) {
        uint32_t cp;
        int len = utf8_decode(s.p + i, s.n - i, &cp);
        BUG_ON(len < 0);
        i += (size_t)len;
        const char *to = NULL;
        char bytes[4];
        for (size_t k = 0; k < ARRAY_LEN(longer) && cp >= 0xDF; k++)
            to = longer[k].cp == cp ? longer[k].to : to;
        if (to)
            strbuf_addz(out, to);
        else
            strbuf_add(out, bytes, (size_t)utf8_encode((uint32_t)utf8proc_toupper((utf8proc_int32_t)cp), bytes));
    }
}

uint32_t utf8_title(uint32_t cp)
{
    return (uint32_t)utf8proc_totitle((utf8proc_int32_t)cp);
}

bool utf8_is_upper(uint32_t cp)
{
    return utf8proc_category((utf8proc_int32_t)cp) == UTF8PROC_CATEGORY_LU;
}

bool utf8_is_lower(uint32_t cp)
{
    return utf8proc_category((utf8proc_int32_t)cp) == UTF8PROC_CATEGORY_LL;
}

bool utf8_is_alpha(uint32_t cp)
{
    utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
    return c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO;
}

bool utf8_is_printable(uint32_t cp)
{
    utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
    return cp == ' ' || (c != UTF8PROC_CATEGORY_CN && c < UTF8PROC_CATEGORY_ZS);
}

bool utf8_is_space(uint32_t cp)
{
    return (cp >= 0x09 && cp <= 0x0D) || cp == 0x20 || cp == 0x85 || cp == 0xA0 || cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200A) ||
           cp == 0x2028 || cp == 0x2029 || cp == 0x202F || cp == 0x205F || cp == 0x3000;
}

bool utf8_is_punct(uint32_t cp)
{
    utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
    return c >= UTF8PROC_CATEGORY_PC && c <= UTF8PROC_CATEGORY_PO;
}

bool utf8_is_mark_nonspacing(uint32_t cp)
{
    return utf8proc_category((utf8proc_int32_t)cp) == UTF8PROC_CATEGORY_MN;
}

bool utf8_is_mark(uint32_t cp)
{
    utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
    return c >= UTF8PROC_CATEGORY_MN && c <= UTF8PROC_CATEGORY_ME;
}

bool utf8_is_number(uint32_t cp)
{
    utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
    return c >= UTF8PROC_CATEGORY_ND && c <= UTF8PROC_CATEGORY_NO;
}

uint32_t utf8_lower_one(uint32_t cp)
{
    return (uint32_t)utf8proc_tolower((utf8proc_int32_t)cp);
}

void utf8_visible(StrBuf *out, Str s)
{
    for (size_t i = 0; i < s.n;) {
        uint32_t c = 0;
        int n = utf8_decode(s.p + i, s.n - i, &c);
        if (n < 1 || (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7F && c < 0xA0))
            strbuf_addf(out, "\\x%02x", n < 1 ? (unsigned)(unsigned char)s.p[i] : (unsigned)c);
        else
            strbuf_add(out, s.p + i, (size_t)n);
        i += (size_t)MAX(n, 1);
    }
}
