/* fuzz_tokenizer.c - a hostile tokenizer.json, then text through what it opened. The input is the file, a NUL byte, the text; without a NUL the
 * text is the input itself. Whatever opens must encode with and without spans alike, and stream what it decodes. */
#include <stdlib.h>

#include "base/log.h"
#include "tokenizer/tok.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const Tok *t, Str text, unsigned flags)
{
    TokIds ids = { 0 }, again = { 0 };
    TokSpans spans = { 0 };
    StrBuf whole = { 0 }, pieces = { 0 };
    Err e;
    int rc = tok_encode(t, text, flags, &ids, &e);
    BUG_ON(rc != tok_encode_spans(t, text, flags, &again, &spans, &e));
    BUG_ON(ids.n != again.n || spans.n != again.n || (ids.n && memcmp(ids.p, again.p, ids.n * sizeof *ids.p) != 0));
    for (size_t i = 0; i < spans.n; i++)
        BUG_ON(spans.p[i].begin > spans.p[i].end || spans.p[i].end > text.n || ids.p[i] < 0 || ids.p[i] >= tok_size(t) || !tok_text(t, ids.p[i]).p);
    for (size_t i = 0; i < text.n && i < 64; i++) /* ids that no encoder would give */
        *vec_push(&ids) = (int32_t)(unsigned char)text.p[i] - 8;
    tok_decode(t, ids.p, ids.n, flags & TOK_SPECIAL, &whole);
    TokStream *s = tok_stream_new(t, flags & TOK_SPECIAL);
    for (size_t i = 0; i < ids.n; i++)
        tok_stream_push(s, ids.p[i], &pieces);
    tok_stream_end(s, &pieces);
    tok_stream_free(s);
    BUG_ON(!str_eq(strbuf_str(&whole), strbuf_str(&pieces)));
    vec_release(&ids);
    vec_release(&again);
    vec_release(&spans);
    strbuf_release(&whole);
    strbuf_release(&pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    log_stderr(false);
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    Str all = { size ? (const char *)data : "", size };
    Str file = { all.p, nul ? (size_t)(nul - data) : size };
    Str text = nul ? (Str){ all.p + file.n + 1, size - file.n - 1 } : all;
    Json *j = NULL;
    Tok *t = NULL;
    Err e;
    if (json_parse(&j, file, "fuzz", &e) == 0 && tok_open_json(&t, j, j, "fuzz", &e) == 0)
        for (unsigned flags = 0; flags < 4; flags++)
            use(t, text, flags);
    tok_free(t);
    json_free(j);
    return 0;
}
