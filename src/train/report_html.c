/* report_html.c - see report_html.h. */
#include "train/report_html.h"

#include <math.h>
#include <stdio.h>

#include "base/utf8.h"

#define DASH  "\xE2\x80\x93"
#define MINUS "\xE2\x88\x92"

/* Ranges that a browser would obey or hide instead of showing. Unicode 15: controls but tab and line feed, soft hyphen, zero width and
 * bidirectional marks, separators, byte order mark, interlinear and tag characters, noncharacters of the first plane. Not the joiners U+200C and
 * U+200D, which Persian, Indic scripts and pictures need and which move nothing. */
static const struct { uint32_t first, last; } unseen[] = {
    { 0x00, 0x08 },     { 0x0B, 0x1F },     { 0x7F, 0x9F },     { 0xAD, 0xAD },     { 0x61C, 0x61C },   { 0x180E, 0x180E },   { 0x200B, 0x200B },
    { 0x200E, 0x200F }, { 0x2028, 0x202E }, { 0x2060, 0x206F }, { 0xFDD0, 0xFDEF }, { 0xFEFF, 0xFEFF }, { 0xFFF0, 0xFFFB },   { 0xFFFE, 0xFFFF },
    { 0xE0000, 0xE007F },
};

static bool is_unseen(uint32_t c)
{
    for (size_t i = 0; i < ARRAY_LEN(unseen); i++)
        if (c >= unseen[i].first && c <= unseen[i].last)
            return true;
    return false;
}

void html_text(StrBuf *out, Str s)
{
    static const char *const entity[128] = { ['&'] = "&amp;", ['<'] = "&lt;", ['>'] = "&gt;", ['"'] = "&quot;", ['\''] = "&#39;" };
    StrBuf valid = { 0 };
    if (!utf8_valid(s, NULL)) {
        utf8_repair(&valid, s);
        s = strbuf_str(&valid);
    }
    for (size_t i = 0; i < s.n;) {
        uint32_t  c = 0;
        const int n = utf8_decode(s.p + i, s.n - i, &c);
        BUG_ON(n < 1);
        if (c < 0x80 && entity[c])
            strbuf_addz(out, entity[c]);
        else if (is_unseen(c))
            strbuf_addf(out, "[U+%04X]", (unsigned)c);
        else
            strbuf_add(out, s.p + i, (size_t)n);
        i += (size_t)n;
    }
    strbuf_release(&valid);
}

void html_textz(StrBuf *out, const char *z)
{
    html_text(out, str_of(z));
}

void html_count(StrBuf *out, double v)
{
    char      text[32];
    const int n = isfinite(v) && fabs(v) < 1e15 ? snprintf(text, sizeof text, "%.0f", v) : 0;
    if (!n) {
        strbuf_addz(out, DASH);
        return;
    }
    for (int i = 0; i < n; i++) {
        if (i && (n - i) % 3 == 0 && text[i - 1] != '-')
            strbuf_addc(out, ',');
        strbuf_addc(out, text[i]);
    }
}

void html_loss(StrBuf *out, double v)
{
    const double size = fabs(v);
    if (!isfinite(v))
        strbuf_addz(out, DASH);
    else if (v == 0 || (size >= 0.1 && size < 1e5))
        strbuf_addf(out, "%.3f", v);
    else
        strbuf_addf(out, "%.4g", v);
}

void html_short(StrBuf *out, double v)
{
    if (!isfinite(v))
        strbuf_addz(out, DASH);
    else if (fabs(v) >= 100 && fabs(v) < 1e6)
        html_count(out, v);
    else if (v == 0)
        strbuf_addc(out, '0');
    else
        strbuf_addf(out, "%#.3g", v);
}

void html_epochs(StrBuf *out, double v)
{
    if (isfinite(v))
        strbuf_addf(out, "%.2f", v);
    else
        strbuf_addz(out, DASH);
}

void html_change(StrBuf *out, double a, double b)
{
    const double percent = 100 * (b - a) / fabs(a);
    if (isfinite(percent))
        strbuf_addf(out, "%s%.1f\xC2\xA0%%", percent < 0 ? MINUS : "+", fabs(percent));
}

void html_seconds(StrBuf *out, double seconds)
{
    if (!(seconds >= 0 && seconds < 1e10)) {
        strbuf_addz(out, DASH);
    } else if (seconds < 60) {
        strbuf_addf(out, seconds < 10 ? "%.1f s" : "%.0f s", seconds);
    } else {
        const int64_t s = (int64_t)(seconds + 0.5), day = s / 86400, h = s / 3600 % 24, min = s / 60 % 60;
        if (day)
            strbuf_addf(out, "%lld d %lld h", (long long)day, (long long)h);
        else if (h)
            strbuf_addf(out, "%lld h %lld min", (long long)h, (long long)min);
        else
            strbuf_addf(out, "%lld min %lld s", (long long)min, (long long)(s % 60));
    }
}
