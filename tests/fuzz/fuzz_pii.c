/* fuzz_pii.c - any bytes as a text: findings are ordered, apart and inside; of valid UTF-8 they stand on borders of characters, and what comes out
 * in their place is valid UTF-8 again, the same each time. */
#include "base/utf8.h"
#include "prep/pii_replace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_spans(Str text, const PiiSpans *v, bool valid)
{
    for (size_t i = 0; i < v->n; i++) {
        const PiiSpan *s = &v->p[i];
        BUG_ON(s->begin >= s->end || s->end > text.n || (i && v->p[i - 1].end > s->begin) || s->confidence < 1 || s->confidence > 100);
        BUG_ON(valid && (((unsigned char)text.p[s->begin] & 0xC0) == 0x80 || (s->end < text.n && ((unsigned char)text.p[s->end] & 0xC0) == 0x80)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static PiiScanner *all, *usual;
    static PiiReplacer *surrogates, *hashes;
    Err e;
    PiiSpans v = {0};
    StrBuf once = {0}, twice = {0};
    bool drop;
    if (!all) {
        PiiPolicy replace, hash;
        for (int k = 0; k < PII_KINDS; k++) {
            replace.mode[k] = PII_REPLACE;
            hash.mode[k] = k % 2 ? PII_HASH : PII_REDACT;
        }
        BUG_ON(pii_scanner_new(&all, &(PiiOptions){ .least = 1 }, &e) != 0 || pii_scanner_new(&usual, NULL, &e) != 0);
        BUG_ON(pii_replacer_new(&surrogates, all, &replace, STR_LIT("sixteen bytes or more"), &e) != 0
                || pii_replacer_new(&hashes, all, &hash, STR_LIT("sixteen bytes or more"), &e) != 0);
    }
    /* a copy of the exact size, so that reading past the end is seen */
    char *copy = mem_alloc(n ? n : 1);
    if (n)
        memcpy(copy, data, n);
    const Str text = { copy, n };
    const bool valid = utf8_valid(text, NULL);
    for (int k = 0; k < 2; k++) {
        BUG_ON(pii_scan(k ? usual : all, text, &v, &e) != 0);
        check_spans(text, &v, valid);
        strbuf_clear(&once);
        strbuf_clear(&twice);
        pii_replace(surrogates, text, &v, &once, &drop);
        pii_replace(surrogates, text, &v, &twice, &drop);
        BUG_ON(!str_eq(strbuf_str(&once), strbuf_str(&twice)) || (valid && !utf8_valid(strbuf_str(&once), NULL)));
        strbuf_clear(&twice);
        pii_replace(hashes, text, &v, &twice, &drop);
        BUG_ON(valid && !utf8_valid(strbuf_str(&twice), NULL));
    }
    vec_release(&v);
    strbuf_release(&once);
    strbuf_release(&twice);
    free(copy);
    return 0;
}
