/* fuzz_tok_sources.c - hostile SentencePiece models, tiktoken ranks and GGUF metadata. The first byte chooses the form, the rest is the file; what
 * opens encodes a text and goes back into the JSON that tok_open_json takes. */
#include <stdlib.h>

#include "base/log.h"
#include "formats/gguf.h"
#include "tokenizer/from_gguf.h"
#include "tokenizer/source.h"
#include "tokenizer/tok.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int convert(int form, Str file, Json **tokenizer, Json **config, Err *e)
{
    Gguf *g = NULL;
    if (form == 0)
        return tok_json_from_spm(tokenizer, config, file, "fuzz", e);
    *config = json_obj_new();
    if (form == 1 || form == 2) {
        json_set(*config, "tokenizer_class", json_str_new(form == 1 ? STR_LIT("QWenTokenizer") : STR_LIT("BertTokenizer")));
        return form == 1 ? tok_json_from_tiktoken(tokenizer, config, file, "fuzz", e) : tok_json_from_wordpiece(tokenizer, config, file, "fuzz", e);
    }
    json_free(*config);
    *config = NULL;
    int rc = gguf_open_memory(&g, file.p, file.n, "fuzz", e);
    rc = rc ? rc : tok_json_from_gguf(g, tokenizer, config, e);
    gguf_close(g);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] = " the  cat\t\xE2\x96\x81 x\xC3\xA9<s>ab";
    Json *tokenizer = NULL, *config = NULL;
    Tok *t = NULL;
    Err e;
    TokIds ids = { 0 };
    StrBuf back = { 0 };
    log_stderr(false);
    if (!size)
        return 0;
    char *copy = malloc(size); /* exactly as long as the file, so that a byte too far is seen */
    memcpy(copy, data + 1, size - 1);
    if (convert(data[0] % 4, (Str){ copy, size - 1 }, &tokenizer, &config, &e) == 0) {
        free(copy); /* nothing of the result may point into it */
        copy = NULL;
        if (tok_open_json(&t, tokenizer, config, "fuzz", &e) == 0 && tok_encode(t, str_of(text), 0, &ids, &e) == 0)
            tok_decode(t, ids.p, ids.n, false, &back);
    }
    free(copy);
    tok_free(t);
    json_free(tokenizer);
    json_free(config);
    vec_release(&ids);
    strbuf_release(&back);
    return 0;
}
