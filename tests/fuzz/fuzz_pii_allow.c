/* fuzz_pii_allow.c - any bytes as a list of texts that stay and, behind the first NUL, as a text: a list is taken or refused with a sentence; every text
 * of it that a scan finds in whole words is held. */
#include "base/utf8.h"
#include "prep/pii_allow.h"
#include "prep/pii_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The finding begins and ends no word in its middle: only whole words are held. */
static bool whole_words(Str t, const PiiSpan *s)
{
    return !(pii_word_before(t.p, s->begin) && pii_word_char(t.p, t.n, s->begin)) && !(pii_word_before(t.p, s->end) && pii_word_char(t.p, t.n, s->end));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static PiiScanner *all;
    Err e;
    PiiAllow *a;
    PiiSpans before = {0};
    if (!all)
        BUG_ON(pii_scanner_new(&all, &(PiiOptions){ .least = 1 }, &e) != 0);
    char *copy = mem_alloc(n ? n : 1);
    if (n)
        memcpy(copy, data, n);
    const char *cut = n ? memchr(copy, 0, n) : NULL;
    const Str list = { copy, cut ? (size_t)(cut - copy) : n };
    const Str text = cut ? (Str){ cut + 1, n - list.n - 1 } : list;
    if (pii_allow_new(&a, list, "list", &e) == 0) {
        BUG_ON(!utf8_valid(list, NULL));
        BUG_ON(pii_scan(all, text, &before, &e) != 0);
        for (size_t i = 0; i < before.n; i++)
            pii_allow_holds(a, text, &before.p[i]);
        /* a finding in a list of itself alone, in quotes */
        if (before.n && before.p[0].end - before.p[0].begin <= PII_ALLOW_BYTES) {
            PiiAllow *own;
            StrBuf line = {0};
            strbuf_addc(&line, '"');
            strbuf_add(&line, text.p + before.p[0].begin, before.p[0].end - before.p[0].begin);
            strbuf_addc(&line, '"');
            if (!memchr(line.p, '\n', line.n) && pii_allow_new(&own, strbuf_str(&line), "own", &e) == 0) {
                BUG_ON(whole_words(text, &before.p[0]) && !pii_allow_holds(own, text, &before.p[0]) && utf8_valid(text, NULL));
                pii_allow_free(own);
            }
            strbuf_release(&line);
        }
        vec_release(&before);
        pii_allow_free(a);
    } else
        BUG_ON(!e.text[0]);
    free(copy);
    return 0;
}
