/* knowledge_text.c - questions and answers as texts: which is which in a row, how a text is normalised, when two answers are the same (knowledge.h). */
#include "prep/knowledge.h"

#include <stdlib.h>

#include "base/utf8.h"

static bool next_word(Str text, size_t *at, Str *word)
{
    while (*at < text.n && text.p[*at] == ' ')
        (*at)++;
    const size_t begin = *at;
    while (*at < text.n && text.p[*at] != ' ')
        (*at)++;
    *word = (Str){ text.p + begin, *at - begin };
    return word->n > 0;
}

void knowledge_normalise(StrBuf *out, Str text)
{
    StrBuf   form = { 0 }, lower = { 0 }, bare = { 0 };
    uint32_t c;
    Str      word;
    size_t   at = 0, begin = out->n;
    utf8_repair(&form, text);
    utf8_normalise(&lower, strbuf_str(&form), UTF8_NFKC);
    strbuf_clear(&form);
    utf8_lower(&form, strbuf_str(&lower));
    for (size_t i = 0; i < form.n;) {
        const int n = utf8_decode(form.p + i, form.n - i, &c);
        BUG_ON(n < 1); /* repaired above */
        if (utf8_is_space(c))
            strbuf_addc(&bare, ' ');
        else if (!utf8_is_punct(c))
            strbuf_add(&bare, form.p + i, (size_t)n);
        i += (size_t)n;
    }
    while (next_word(strbuf_str(&bare), &at, &word)) {
        if (str_eqz(word, "a") || str_eqz(word, "an") || str_eqz(word, "the"))
            continue;
        if (out->n > begin)
            strbuf_addc(out, ' ');
        strbuf_add(out, word.p, word.n);
    }
    strbuf_release(&form);
    strbuf_release(&lower);
    strbuf_release(&bare);
}

typedef VEC(Str) Words;

static int by_text(const void *a, const void *b)
{
    const Str *x = a, *y = b;
    const int  c = memcmp(x->p, y->p, MIN(x->n, y->n));
    return c ? c : (x->n > y->n) - (x->n < y->n);
}

static void words_of(Words *w, Str text)
{
    size_t at = 0;
    Str    word;
    while (next_word(text, &at, &word))
        *vec_push(w) = word;
    if (w->n)
        qsort(w->p, w->n, sizeof *w->p, by_text);
}

double knowledge_f1(Str a, Str b)
{
    Words  x = { 0 }, y = { 0 };
    size_t common = 0;
    words_of(&x, a);
    words_of(&y, b);
    for (size_t i = 0, j = 0; i < x.n && j < y.n;) {
        const int c = by_text(&x.p[i], &y.p[j]);
        common += !c;
        i += c <= 0;
        j += c >= 0;
    }
    const double f1 = x.n + y.n ? 2.0 * (double)common / (double)(x.n + y.n) : 1;
    vec_release(&x);
    vec_release(&y);
    return f1;
}

bool knowledge_right(Str expected, Str answer)
{
    StrBuf a = { 0 }, b = { 0 };
    knowledge_normalise(&a, expected);
    knowledge_normalise(&b, answer);
    /* An answer of punctuation alone is compared as it stands: nothing is left of it otherwise. */
    const bool right = a.n ? knowledge_f1(strbuf_str(&a), strbuf_str(&b)) >= KNOWLEDGE_F1 : str_eq(expected, answer);
    strbuf_release(&a);
    strbuf_release(&b);
    return right;
}

bool knowledge_question(const Json *row, Str *question, Str *answer)
{
    const Json *messages = json_get(row, "messages");
    Str         role;
    *question = json_str(json_get(row, "prompt"));
    *answer = json_str(json_get(row, "completion"));
    if (!messages)
        return question->p && answer->p;
    for (size_t i = 0; i < json_len(messages); i++) {
        const Json *m = json_at(messages, i);
        role = json_str(json_get(m, "role"));
        Str content = json_str(json_get(m, "content"));
        if (str_eqz(role, "system") && !question->p)
            continue;
        const bool first = str_eqz(role, "user") && !question->p, second = str_eqz(role, "assistant") && question->p && !answer->p;
        if (!content.p || (!first && !second))
            return false;
        *(first ? question : answer) = content;
    }
    return question->p && answer->p;
}
