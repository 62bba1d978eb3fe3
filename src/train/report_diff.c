/* report_diff.c - see report_diff.h. The textbook table of longest common subsequences: with DIFF_WORDS on each side it has a million cells. */
#include "train/report_diff.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "train/report_html.h"

typedef struct Words {
    Str    text;
    size_t n;
    Str    word[DIFF_WORDS]; /* in order, without the spaces between them */
    bool   shared[DIFF_WORDS];
} Words;

typedef enum { CHAR_SPACE, CHAR_WORD, CHAR_ALONE } CharClass;

static CharClass char_at(Str s, size_t i, size_t *len)
{
    uint32_t  c = 0xFFFD;
    const int n = utf8_decode(s.p + i, s.n - i, &c);
    *len = n > 0 ? (size_t)n : 1;
    if (utf8_is_space(c))
        return CHAR_SPACE;
    const bool ideograph = (c >= 0x2E80 && c < 0xAC00) || (c >= 0xF900 && c < 0xFB00) || c >= 0x1F000; /* scripts without spaces; pictures */
    return ideograph || utf8_is_punct(c) || (c < 0x80 && strchr("$+<=>^`|~", (int)c)) ? CHAR_ALONE : CHAR_WORD;
}

static Words *words_of(Str text)
{
    Words *w = mem_zalloc(1, sizeof *w);
    size_t i = 0, len;
    w->text = text;
    while (i < text.n && w->n < DIFF_WORDS) {
        const size_t    from = i;
        const CharClass class = char_at(text, i, &len);
        i += len;
        while (class == CHAR_WORD && i < text.n && char_at(text, i, &len) == CHAR_WORD)
            i += len;
        if (class != CHAR_SPACE)
            w->word[w->n++] = (Str){ text.p + from, i - from };
    }
    return w;
}

/* Marks the shared words of both. common[i][j]: length of the longest common subsequence of a[i..] and b[j..]. */
static void compare(Words *a, Words *b)
{
    const size_t stride = b->n + 1;
    uint16_t    *common = mem_zalloc((a->n + 1) * stride, sizeof *common);
    for (size_t i = a->n; i-- > 0;)
        for (size_t j = b->n; j-- > 0;)
            common[i * stride + j] = str_eq(a->word[i], b->word[j]) ? (uint16_t)(common[(i + 1) * stride + j + 1] + 1)
                                                                    : MAX(common[(i + 1) * stride + j], common[i * stride + j + 1]);
    for (size_t i = 0, j = 0; i < a->n && j < b->n;) {
        if (str_eq(a->word[i], b->word[j]))
            a->shared[i++] = b->shared[j++] = true;
        else if (common[(i + 1) * stride + j] >= common[i * stride + j + 1])
            i++;
        else
            j++;
    }
    free(common);
}

/* Neighbouring words of one kind share one mark, spaces between them included. */
static void put_words(StrBuf *out, const Words *w, const char *class)
{
    const char *at = w->text.p, *end = w->text.p + w->text.n;
    for (size_t i = 0; out && i < w->n;) {
        size_t last = i;
        while (last + 1 < w->n && w->shared[last + 1] == w->shared[i])
            last++;
        const char *stop = w->word[last].p + w->word[last].n;
        html_text(out, (Str){ at, (size_t)(w->word[i].p - at) });
        if (!w->shared[i])
            strbuf_addf(out, "<mark class=\"%s\">", class);
        html_text(out, (Str){ w->word[i].p, (size_t)(stop - w->word[i].p) });
        if (!w->shared[i])
            strbuf_addz(out, "</mark>");
        at = stop;
        i = last + 1;
    }
    if (out)
        html_text(out, (Str){ at, (size_t)(end - at) });
}

void diff_html(StrBuf *got_html, StrBuf *want_html, Str got, Str want)
{
    Words *a = words_of(got), *b = words_of(want);
    compare(a, b);
    put_words(got_html, a, "extra");
    put_words(want_html, b, "missing");
    free(a);
    free(b);
}
