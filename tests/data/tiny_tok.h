/* tiny_tok.h - a byte-level BPE tokenizer of a few lines, built in memory, for tests about masks: every byte is one token, except that
 * "\n\n" and "ab" are merged, so that borders inside a token can be tested. */
#ifndef HONE_TESTS_TINY_TOK_H
#define HONE_TESTS_TINY_TOK_H

#include "base/utf8.h"
#include "tokenizer/tok.h"

typedef struct TinyTok {
    const char *bos, *eos; /* NULL: has none; the same text for both is allowed */
    bool        adds_bos;  /* by its post-processor */
    bool        chatml;    /* has <|im_start|> and <|im_end|> */
} TinyTok;

static inline void tiny_special(Json *added, Json *vocab, const char *text)
{
    if (!text || json_get(vocab, text))
        return;
    Json *t = json_obj_new();
    json_set(vocab, text, json_int_new((int64_t)json_len(vocab)));
    json_set(t, "id", json_ref(json_get(vocab, text)));
    json_set(t, "content", json_str_new(str_of(text)));
    static const char *const off[] = { "single_word", "lstrip", "rstrip", "normalized" };
    for (size_t i = 0; i < ARRAY_LEN(off); i++)
        json_set(t, off[i], json_bool_new(false));
    json_set(t, "special", json_bool_new(true));
    json_push(added, t);
}

/* The printable character that stands for a byte in GPT-2's alphabet. */
static inline void tiny_byte(char out[5], unsigned b)
{
    static uint32_t of[256];
    for (uint32_t i = 0, next = 256; !of[255] && i < 256; i++)
        of[i] = (i >= 33 && i <= 126) || (i >= 161 && i <= 172) || i >= 174 ? i : next++;
    out[utf8_encode(of[b], out)] = '\0';
}

static inline void tiny_merge(Json *vocab, Json *merges, unsigned a, unsigned b)
{
    char left[5], right[5], both[9] = { 0 };
    tiny_byte(left, a);
    tiny_byte(right, b);
    memcpy(both, left, strlen(left));
    memcpy(both + strlen(left), right, strlen(right));
    Json *pair = json_arr_new();
    json_push(pair, json_str_new(str_of(left)));
    json_push(pair, json_str_new(str_of(right)));
    json_push(merges, pair);
    json_set(vocab, both, json_int_new((int64_t)json_len(vocab)));
}

static inline Tok *tiny_tok(TinyTok c)
{
    static const char frame[] =
        "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"normalizer\":null,\"post_processor\":null,"
        "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":false},"
        "\"decoder\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":false},"
        "\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,"
        "\"fuse_unk\":false,\"byte_fallback\":false,\"ignore_merges\":false}}";
    Err e = { 0 };
    Json *j = NULL, *vocab = json_obj_new(), *merges = json_arr_new(), *added = json_arr_new(), *config = json_obj_new();
    BUG_ON(json_parse(&j, str_of(frame), "tiny tokenizer", &e));
    tiny_special(added, vocab, c.bos);
    tiny_special(added, vocab, c.eos);
    tiny_special(added, vocab, c.chatml ? "<|im_start|>" : NULL);
    tiny_special(added, vocab, c.chatml ? "<|im_end|>" : NULL);
    for (unsigned b = 0; b < 256; b++) {
        char text[5];
        tiny_byte(text, b);
        json_set(vocab, text, json_int_new((int64_t)json_len(vocab)));
    }
    tiny_merge(vocab, merges, '\n', '\n');
    tiny_merge(vocab, merges, 'a', 'b');
    if (c.adds_bos) {
        Json *post = NULL;
        StrBuf b = { 0 };
        strbuf_addf(&b, "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"%s\",\"type_id\":0}},"
                        "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],"
                        "\"pair\":[{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"Sequence\":{\"id\":\"B\",\"type_id\":1}}],"
                        "\"special_tokens\":{\"%s\":{\"id\":\"%s\",\"ids\":[%lld],\"tokens\":[\"%s\"]}}}",
                    c.bos, c.bos, c.bos, (long long)json_int(json_get(vocab, c.bos)), c.bos);
        BUG_ON(json_parse(&post, strbuf_str(&b), "tiny post-processor", &e));
        json_set(j, "post_processor", post);
        strbuf_release(&b);
    }
    if (c.bos)
        json_set(config, "bos_token", json_str_new(str_of(c.bos)));
    if (c.eos)
        json_set(config, "eos_token", json_str_new(str_of(c.eos)));
    json_set(json_get(j, "model"), "vocab", vocab);
    json_set(json_get(j, "model"), "merges", merges);
    json_set(j, "added_tokens", added);

    Tok *t = NULL;
    if (tok_open_json(&t, j, config, "tiny tokenizer", &e))
        bug_stop(e.text, __FILE__, __LINE__);
    json_free(j);
    json_free(config);
    return t;
}

/* The usual ones. */
#define TINY_BYTES  ((TinyTok){ .bos = "<s>", .eos = "</s>", .adds_bos = true })
#define TINY_NOBOS  ((TinyTok){ .eos = "</s>" })
#define TINY_NOEOS  ((TinyTok){ .bos = "<s>", .adds_bos = true })
#define TINY_CHATML ((TinyTok){ .eos = "<|endoftext|>", .chatml = true })
#define TINY_GPT2   ((TinyTok){ .bos = "<|endoftext|>", .eos = "<|endoftext|>" })

#endif
