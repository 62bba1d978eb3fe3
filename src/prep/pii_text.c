/* pii_text.c - characters, words, context and shapes: the small readers that all matchers of personal data share.
 * Invariant: no function reads outside [p, p + n), whatever the bytes are. */
#include "base/utf8.h"
#include "prep/pii_int.h"

#define D (CH_DIGIT | CH_HEX | CH_LOCAL)
#define UH (CH_UPPER | CH_HEX | CH_LOCAL)
#define LH (CH_LOWER | CH_HEX | CH_LOCAL)
#define U (CH_UPPER | CH_LOCAL)
#define L (CH_LOWER | CH_LOCAL)
#define M CH_LOCAL
const uint8_t pii_class[256] = {
    ['0'] = D, D, D, D, D, D, D, D, D, D,
    ['A'] = UH, UH, UH, UH, UH, UH, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U,
    ['a'] = LH, LH, LH, LH, LH, LH, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L,
    ['.'] = M, ['_'] = M, ['%'] = M, ['+'] = M, ['-'] = M, ['&'] = M, ['\''] = M, ['~'] = M, ['!'] = M, ['#'] = M, ['$'] = M, ['*'] = M,
    [' '] = CH_SPACE, ['\t'] = CH_SPACE, ['\n'] = CH_SPACE, ['\r'] = CH_SPACE, ['\f'] = CH_SPACE, ['\v'] = CH_SPACE,
};
#undef D
#undef UH
#undef LH
#undef U
#undef L
#undef M

size_t pii_word_char_wide(const char *p, size_t n, size_t i)
{
    const unsigned char c = (unsigned char)p[i];
    const unsigned char d = i + 1 < n ? (unsigned char)p[i + 1] : 0;
    if ((c == 0xC2 && d != 0xAA && d != 0xB5 && d != 0xBA) || (c == 0xE2 && d <= 0x81) || (c == 0xE3 && d == 0x80) || (c == 0xC3 && (d == 0x97
            || d == 0xB7)))
        return 0;
    size_t len = c < 0xC0 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
    return MIN(len, n - i);
}

size_t pii_word_end(const char *p, size_t n, size_t i)
{
    for (size_t len; (len = pii_word_char(p, n, i)) > 0; )
        i += len;
    return i;
}

bool pii_word_before(const char *p, size_t i)
{
    if (!i)
        return false;
    size_t at = i - 1;
    while (at > 0 && i - at < 4 && ((unsigned char)p[at] & 0xC0) == 0x80)
        at--;
    return pii_word_char(p, i, at) > 0;
}

bool pii_upper_at(const char *p, size_t n, size_t i)
{
    uint32_t cp;
    if (i >= n)
        return false;
    if ((unsigned char)p[i] < 0x80)
        return ch_is(p[i], CH_UPPER);
    return utf8_decode(p + i, n - i, &cp) > 0 && utf8_is_upper(cp);
}

size_t pii_space(const char *p, size_t n, size_t i)
{
    if (i < n && (p[i] == ' ' || p[i] == '\t'))
        return 1;
    if (i + 1 < n && (unsigned char)p[i] == 0xC2 && (unsigned char)p[i + 1] == 0xA0)
        return 2; /* U+00A0 */
    return i + 2 < n && (unsigned char)p[i] == 0xE2 && (unsigned char)p[i + 1] == 0x80 && (unsigned char)p[i + 2] == 0xAF ? 3 : 0; /* U+202F */
}

size_t pii_apostrophe(const char *p, size_t n, size_t i)
{
    if (i < n && (p[i] == '\'' || p[i] == '`'))
        return 1;
    if (i + 2 < n && memcmp(p + i, "\xE2\x80\x99", 3) == 0)
        return 3; /* U+2019 */
    return i + 1 < n && memcmp(p + i, "\xC2\xB4", 2) == 0 ? 2 : 0; /* U+00B4 */
}

bool pii_alone(const PiiText *t, size_t begin, size_t end)
{
    const char *p = t->p;
    if (begin) {
        const char b = p[begin - 1];
        if (pii_word_before(p, begin) || (b != 0 && strchr("_-/\\@$%&^~+", b)))
            return false;
        if ((b == '.' || b == ',' || b == ':') && begin > 1 && ch_digit(p[begin - 2]))
            return false; /* the tail of 3.14, 1,000 or 12:30 */
    }
    if (end < t->n) {
        const char a = p[end], after = end + 1 < t->n ? p[end + 1] : ' ';
        if (pii_word_char(p, t->n, end) || (a != 0 && strchr("_@%^~\\", a)))
            return false;
        if ((a == '-' || a == '/' || a == '.' || a == ',' || a == ':' || a == '+' || a == '=') && ch_alnum(after))
            return false;
    }
    return true;
}

bool pii_closed(const PiiText *t, size_t end)
{
    return end >= t->n || (t->p[end] != 0 && strchr(",;:.!?)\n\r\"", t->p[end]) != NULL);
}

/* One alternative at s[i]; whole words must not go on to either side. */
static bool stands(const char *s, size_t n, size_t i, const char *w, size_t nw, bool whole)
{
    if (i + nw > n)
        return false;
    for (size_t k = 0; k < nw; k++)
        if (ch_low(s[i + k]) != w[k])
            return false;
    return !whole || (!pii_word_before(s, i) && !pii_word_char(s, n, i + nw));
}

static bool window_has(const char *s, size_t n, const char *words)
{
    for (const char *w = words; *w; ) {
        const bool whole = *w == '=';
        w += whole;
        const char *bar = strchr(w, '|');
        const size_t nw = bar ? (size_t)(bar - w) : strlen(w);
        for (size_t i = 0; i + nw <= n; i++)
            if (ch_low(s[i]) == *w && stands(s, n, i, w, nw, whole))
                return true;
        w += nw + (bar != NULL);
    }
    return false;
}

bool pii_context(const PiiText *t, size_t begin, size_t end, const char *words)
{
    const size_t from = begin > 80 ? begin - 80 : 0, to = MIN(t->n, end + 32);
    return window_has(t->p + from, begin - from, words) || window_has(t->p + end, to - end, words);
}

size_t pii_shape(const char *shape, const char *p, size_t n, char buf[PII_SHAPE_MAX + 1], size_t *nbuf)
{
    size_t i = 0, k = 0;
    for (; *shape; shape++) {
        const char c = i < n ? p[i] : 0;
        bool ok = false;
        switch (*shape) {
        case '9': ok = ch_digit(c); break;
        case 'A': ok = ch_alpha(c); break;
        case 'U': ok = ch_is(c, CH_UPPER); break;
        case 'X': ok = ch_alnum(c); break;
        case ' ': i += pii_space(p, n, i); continue;
        case '-':
        case '+': {
            const size_t blank = pii_space(p, n, i), step = blank ? blank : c == '-' || c == '.' || c == '/';
            if (!step && *shape == '+')
                return 0;
            i += step;
            continue;
        }
        case '=':
            shape++;
            if (ch_up(c) != ch_up(*shape) || i >= n)
                return 0;
            if (!ch_alnum(c)) {
                i++;
                continue;
            }
            ok = true;
            break;
        default: BUG_ON(true);
        }
        if (!ok || k == PII_SHAPE_MAX)
            return 0;
        buf[k++] = ch_up(c);
        i++;
    }
    buf[k] = 0;
    *nbuf = k;
    return i;
}
