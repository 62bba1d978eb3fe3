/* pii_markup.c - a page's text as a reader sees it: "Am Markt 3<br>80331 <b>München</b>" stands in two lines, without tags, so that the matchers, which look at lines and
 * at neighbouring words, find what the tags part. What is found is told in places of the page.
 * Main struct: PiiPage, the plain text and the seams at which something of the page was left out.
 * Invariant: the plain text has no byte that the page has not at the place the seams give, but the line break or blank that stands for a tag.
 * Only tags of the lists below count, so code with "<" in it is no page. To add a tag: a word in the lists. */
#include "prep/pii_int.h"

#include <stdlib.h>

#define TAG_MAX 2048 /* bytes of a tag with its attributes; a longer one is text */

/* A line ends before and behind them. */
static const char lines[] = "|br|p|div|tr|li|td|th|h1|h2|h3|h4|h5|h6|table|ul|ol|body|html|hr|blockquote|head|title|pre|dl|dt|dd|section|article|header|footer|tbody|thead|"
                            "center|address|";
static const char inside[] = "|a|b|i|u|s|em|strong|span|font|small|big|sub|sup|mark|wbr|img|code|tt|label|";

/* The tag, or the space that is written as a word, at i: its length, 0: none. *as: what stands for it, 0: nothing. */
static size_t tag_at(Str s, size_t i, char *as)
{
    static const char *const spaces[] = { "&nbsp;", "&#160;" };
    const char *p = s.p;
    if (p[i] == '&') {
        *as = ' ';
        for (size_t k = 0; k < ARRAY_LEN(spaces); k++)
            if (s.n - i >= strlen(spaces[k]) && memcmp(p + i, spaces[k], strlen(spaces[k])) == 0)
                return strlen(spaces[k]);
        return 0;
    }
    size_t b = i + 1 + (i + 1 < s.n && p[i + 1] == '/'), e = b;
    while (e < s.n && e - b < 12 && ch_alnum(p[e]))
        e++;
    const bool line = pii_listed(lines, p + b, e - b);
    if (e >= s.n || !(line || pii_listed(inside, p + b, e - b)) || !strchr(" \t\r\n/>", p[e]) || !p[e])
        return 0;
    const char *shut = memchr(p + e, '>', MIN(s.n - e, (size_t)TAG_MAX));
    if (!shut || memchr(p + e, '<', (size_t)(shut - p) - e))
        return 0;
    *as = line ? '\n' : 0;
    return (size_t)(shut - p) + 1 - i;
}

bool pii_page_read(Str s, PiiPage *out)
{
    const char *p = s.p;
    size_t from = 0; /* what of the page is not copied yet */
    bool any = false;
    *out = (PiiPage){0};
    if (!s.n || !memchr(p, '<', s.n))
        return false;
    for (size_t i = 0; i < s.n; ) {
        const char *next = p + i;
        while (next < p + s.n && *next != '<' && *next != '&')
            next++;
        i = (size_t)(next - p);
        char as = 0;
        size_t len = i < s.n ? tag_at(s, i, &as) : 0;
        if (!len) {
            i += i < s.n;
            continue;
        }
        any |= p[i] == '<';
        strbuf_add(&out->text, p + from, i - from);
        i += len;
        while (as == '\n' && i < s.n && (ch_is(p[i], CH_SPACE) || p[i] == '<')) { /* one line break for all that a reader sees as one */
            char more = 0;
            const size_t step = p[i] == '<' ? tag_at(s, i, &more) : 1;
            if (!step || (p[i] == '<' && more != '\n'))
                break;
            i += step;
        }
        if (as && !(as == '\n' && (!out->text.n || out->text.p[out->text.n - 1] == '\n')))
            strbuf_addc(&out->text, as);
        *vec_push(&out->seam) = (PiiSeam){ out->text.n, i - out->text.n };
        from = i;
    }
    if (!any) {
        pii_page_release(out);
        return false;
    }
    strbuf_add(&out->text, p + from, s.n - from);
    return true;
}

void pii_page_release(PiiPage *g)
{
    strbuf_release(&g->text);
    vec_release(&g->seam);
}

/* Adds [begin, end) of the plain text, which has no seam inside, as what it is in the page, without the blanks at its ends: the last may stand for a tag. */
static void add_piece(const PiiPage *g, const PiiSpan *s, size_t begin, size_t end, size_t gap, PiiSpans *out)
{
    bool word = false;
    while (begin < end && ch_is(g->text.p[begin], CH_SPACE))
        begin++;
    while (end > begin && ch_is(g->text.p[end - 1], CH_SPACE))
        end--;
    for (size_t k = begin; k < end && !word; k++)
        word = pii_word_char(g->text.p, end, k) > 0;
    if (word)
        *vec_push(out) = (PiiSpan){ begin + gap, end + gap, s->kind, s->confidence, s->rule };
}

void pii_page_place(const PiiPage *g, const PiiSpans *found, PiiSpans *out)
{
    for (size_t i = 0; i < found->n; i++) {
        const PiiSpan *s = &found->p[i];
        size_t lo = 0, hi = g->seam.n; /* the first seam behind the beginning */
        while (lo < hi) {
            const size_t mid = lo + (hi - lo) / 2;
            if (g->seam.p[mid].plain <= s->begin)
                lo = mid + 1;
            else
                hi = mid;
        }
        size_t gap = lo ? g->seam.p[lo - 1].gap : 0, begin = s->begin;
        for (; lo < g->seam.n && g->seam.p[lo].plain < s->end; lo++) {
            add_piece(g, s, begin, g->seam.p[lo].plain, gap, out);
            gap = g->seam.p[lo].gap;
            begin = g->seam.p[lo].plain;
        }
        add_piece(g, s, begin, s->end, gap, out);
    }
}
