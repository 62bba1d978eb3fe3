/* test_sources.c - tokenizers from SentencePiece models, tiktoken ranks, GGUF metadata and plain word lists: ids as the official libraries give them
 * (tools/golden_sources.py), the way back into GGUF, and foreign bytes that are wrong. */
#include "base/check.h"

#include <stdio.h>

#include "base/base64.h"
#include "formats/protobuf.h"
#include "tokenizer/from_gguf.h"
#include "tokenizer/source.h"
#include "tokenizer/to_gguf.h"
#include "tokenizer/tok.h"

#define GOLDEN TEST_DIR "/golden/sources/"

static Json *parse(const char *text)
{
    Json *j = NULL;
    Err e;
    if (text && json_parse(&j, str_of(text), "test", &e))
        fail_msg("%s", e.text);
    return j;
}

static Tok *open_pair(Json *tokenizer, Json *config)
{
    Tok *t = NULL;
    Err e;
    if (tok_open_json(&t, tokenizer, config, "test", &e))
        fail_msg("%s", e.text);
    return t;
}

/* Every text of the golden file, with and without spans; and decoding gives the text back where the tokenizer loses nothing. */
static void check_cases(const Tok *t, const char *name, unsigned flags)
{
    char *path = path_join(GOLDEN, name);
    Json *cases = NULL;
    Err e;
    TokIds ids = { 0 }, again = { 0 };
    TokSpans spans = { 0 };
    if (json_read_file(&cases, path, &e))
        fail_msg("%s", e.text);
    assert_true(json_len(cases) > 100);
    for (size_t i = 0; i < json_len(cases); i++) {
        const Json *want = json_at(json_at(cases, i), 1);
        Str text = json_str(json_at(json_at(cases, i), 0));
        vec_clear(&ids);
        vec_clear(&again);
        vec_clear(&spans);
        if (tok_encode(t, text, flags, &ids, &e) || tok_encode_spans(t, text, flags, &again, &spans, &e))
            fail_msg("%s: %s", name, e.text);
        bool same = ids.n == json_len(want) && again.n == ids.n;
        for (size_t k = 0; same && k < ids.n; k++)
            same = ids.p[k] == json_int(json_at(want, k)) && again.p[k] == ids.p[k];
        if (!same)
            fail_msg("%s: other ids than the library for case %zu, \"%.*s\"", name, i, (int)text.n, text.p);
    }
    vec_release(&ids);
    vec_release(&again);
    vec_release(&spans);
    json_free(cases);
    free(path);
}

static void read_file(const char *name, char **bytes, size_t *n)
{
    char *path = path_join(GOLDEN, name);
    Err e;
    if (file_read_text(path, bytes, n, &e))
        fail_msg("%s", e.text);
    free(path);
}

static void open_spm(const char *name, const char *config_text, Json **tokenizer, Json **config)
{
    char *bytes;
    size_t n;
    Err e;
    read_file(name, &bytes, &n);
    *config = parse(config_text);
    if (tok_json_from_spm(tokenizer, config, (Str){ bytes, n }, name, &e))
        fail_msg("%s", e.text);
    free(bytes); /* nothing of the result points into the file */
}

/* --- equal to the libraries ------------------------------------------------------------------------------------------------------- */

static const char *const models[] = { "bpe_bytes", "bpe_plain", "bpe_user", "unigram", "unigram_bytes" };

static void test_sentencepiece(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(models); i++) {
        char name[40];
        Json *tokenizer, *config;
        snprintf(name, sizeof name, "%s.model", models[i]);
        open_spm(name, NULL, &tokenizer, &config);
        Tok *t = open_pair(tokenizer, config);
        assert_int_equal(tok_bos(t), i == 2 ? 2 : 1);
        assert_int_equal(tok_eos(t), i == 2 ? 1 : 2);
        snprintf(name, sizeof name, "%s.json", models[i]);
        check_cases(t, name, TOK_PLAIN);
        tok_free(t);
        json_free(tokenizer);
        json_free(config);
    }
}

/* Beside special tokens we do as transformers: found in the raw text, the prefix space only at the start of all. */
static void test_specials(void **state)
{
    (void)state;
    Json *tokenizer, *config;
    Err e;
    TokIds ids = { 0 };
    StrBuf text = { 0 };
    open_spm("bpe_bytes.model", "{\"tokenizer_class\":\"LlamaTokenizer\",\"added_tokens_decoder\":{\"520\":{\"content\":\"<|end|>\",\"special\":true}}}",
             &tokenizer, &config);
    Tok *t = open_pair(tokenizer, config);
    assert_int_equal(tok_encode(t, STR_LIT("<s>the the</s>the"), 0, &ids, &e), 0);
    for (size_t i = 0; i < ids.n; i++) {
        strbuf_add(&text, tok_text(t, ids.p[i]).p, tok_text(t, ids.p[i]).n);
        strbuf_addc(&text, '|');
    }
    assert_int_equal(ids.p[0], 1);
    assert_null(strstr(strbuf_z(&text), "s>|\xE2\x96\x81")); /* behind <s> or </s> */
    strbuf_clear(&text);
    tok_decode(t, ids.p, ids.n, false, &text);
    assert_string_equal(strbuf_z(&text), "<s>the the</s>the");
    strbuf_release(&text);
    vec_release(&ids);
    tok_free(t);
    json_free(tokenizer);
    json_free(config);
}

static void test_t5(void **state)
{
    (void)state;
    Json *tokenizer, *config;
    Err e;
    TokIds ids = { 0 };
    int32_t id;
    open_spm("unigram.model", "{\"tokenizer_class\":\"T5Tokenizer\"}", &tokenizer, &config);
    Tok *t = open_pair(tokenizer, config);
    int32_t n = tok_size(t);
    assert_true(tok_find(t, STR_LIT("<extra_id_0>"), &id) && id == n - 1);
    assert_int_equal(tok_encode(t, STR_LIT("the <extra_id_0> the"), TOK_SPECIAL, &ids, &e), 0);
    assert_int_equal(ids.p[ids.n - 1], tok_eos(t));
    vec_release(&ids);
    tok_free(t);
    json_free(tokenizer);
    json_free(config);
}

static void test_tiktoken(void **state)
{
    (void)state;
    char *bytes;
    size_t n;
    Err e;
    int32_t id;
    Json *tokenizer = NULL, *config = parse("{\"tokenizer_class\":\"QWenTokenizer\"}");
    read_file("ranks.tiktoken", &bytes, &n);
    if (tok_json_from_tiktoken(&tokenizer, &config, (Str){ bytes, n }, "ranks.tiktoken", &e))
        fail_msg("%s", e.text);
    Tok *t = open_pair(tokenizer, config);
    check_cases(t, "ranks.json", TOK_PLAIN);
    assert_true(tok_find(t, STR_LIT("<|im_start|>"), &id) && id == 421);
    assert_int_equal(tok_eos(t), 420);
    assert_int_equal(tok_size(t), 420 + 3 + 205);
    tok_free(t);
    json_free(tokenizer);
    json_free(config);
    /* Llama 3's special tokens have other names from version to version, so the configuration must list them. */
    config = parse("{\"tokenizer_class\":\"PreTrainedTokenizerFast\"}");
    assert_int_equal(tok_json_from_tiktoken(&tokenizer, &config, (Str){ bytes, n }, "ranks", &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, "no tokenizer_config.json with \"added_tokens_decoder\" says which");
    json_free(tokenizer);
    json_free(config);
    config = parse("{\"tokenizer_class\":\"PreTrainedTokenizerFast\",\"added_tokens_decoder\":{\"420\":{\"content\":\"<|begin_of_text|>\",\"special\":true},"
                   "\"425\":{\"content\":\"<|eot_id|>\",\"special\":true}}}");
    if (tok_json_from_tiktoken(&tokenizer, &config, (Str){ bytes, n }, "ranks", &e))
        fail_msg("%s", e.text);
    t = open_pair(tokenizer, config);
    assert_int_equal(tok_bos(t), 420);
    assert_true(tok_find(t, STR_LIT("<|eot_id|>"), &id) && id == 425);
    tok_free(t);
    json_free(tokenizer);
    json_free(config);
    free(bytes);
}

static void test_gguf(void **state)
{
    (void)state;
    static const struct { const char *file, *cases; int bos; } rows[] = { { "llama.gguf", "llama.json", 1 }, { "gpt2.gguf", "gpt2.json", 0 } };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *path = path_join(GOLDEN, rows[i].file);
        Tok *t = NULL;
        Err e;
        if (tok_open(&t, path, &e))
            fail_msg("%s", e.text);
        assert_int_equal(tok_bos(t), rows[i].bos);
        check_cases(t, rows[i].cases, TOK_SPECIAL | TOK_PLAIN);
        tok_free(t);
        free(path);
    }
}

/* --- into GGUF and back ----------------------------------------------------------------------------------------------------------- */

static Tok *through_gguf(const Json *tokenizer, const Json *config, int64_t vocab_size, const char *chat)
{
    char *dir = check_dir(), *path = path_join(dir, "x.gguf");
    GgufWriter *w = NULL;
    Tok *t = NULL;
    Err e;
    if (gguf_create(&w, path, &e) || tok_gguf_meta(tokenizer, config, vocab_size, str_of(chat), w, "test", &e) || gguf_commit(&w, &e) ||
        tok_open(&t, path, &e))
        fail_msg("%s", e.text);
    assert_int_equal(tok_size(t), vocab_size);
    free(path);
    dir_remove(dir, NULL);
    free(dir);
    return t;
}

static void test_round_trip(void **state)
{
    (void)state;
    static const struct { const char *model; unsigned flags; } rows[] = { { "bpe_bytes", TOK_PLAIN }, { "bpe_user", TOK_PLAIN } };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char name[40];
        Json *tokenizer, *config;
        int32_t id;
        snprintf(name, sizeof name, "%s.model", rows[i].model);
        open_spm(name, NULL, &tokenizer, &config);
        Tok *t = through_gguf(tokenizer, config, 600, "{{ x }}");
        snprintf(name, sizeof name, "%s.json", rows[i].model);
        check_cases(t, name, rows[i].flags);
        assert_true(tok_find(t, STR_LIT("[PAD599]"), &id) && id == 599);
        tok_free(t);
        json_free(tokenizer);
        json_free(config);
    }
    Json *tokenizer, *config;
    char *where;
    Err e;
    if (tok_json_from_dir(&tokenizer, &config, &where, GOLDEN "gpt2.gguf", &e))
        fail_msg("%s", e.text);
    Tok *t = through_gguf(tokenizer, config, 700, NULL);
    check_cases(t, "gpt2.json", TOK_PLAIN);
    tok_free(t);
    json_free(tokenizer);
    json_free(config);
    free(where);
}

static void test_no_name(void **state)
{
    (void)state;
    static const struct { const char *tokenizer, *config, *says; int64_t size; } cases[] = {
#define BPE(rest) "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"[PAD3]\":4},\"merges\":[\"a b\"]}," rest "}"
#define BYTES "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true}"
        { BPE("\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"x+\"},\"behavior\":\"Isolated\","
              "\"invert\":false}," BYTES "]}"), NULL, "there is no name for this one", 0 },
        { BPE("\"pre_tokenizer\":" BYTES ",\"normalizer\":{\"type\":\"Lowercase\"}"), NULL, "no normalizer like this one", 0 },
        { BPE("\"pre_tokenizer\":null,\"normalizer\":{\"type\":\"NFKC\"}"), NULL, "no normalizer like this one", 0 },
        { BPE("\"pre_tokenizer\":" BYTES), "{\"eos_token\":\"x\"}", "names \"x\" as eos_token", 0 },
        { BPE("\"pre_tokenizer\":" BYTES), NULL, "the tokenizer has 5 tokens, the model has rows for 4", 4 },
        { BPE("\"pre_tokenizer\":" BYTES), NULL, "would be called \"[PAD3]\"", 5 },
        { BPE("\"pre_tokenizer\":" BYTES ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"a\"}},{\"Sequence\":"
              "{\"id\":\"A\"}}],\"special_tokens\":{\"a\":{\"ids\":[0]}}}"), "{\"bos_token\":\"b\"}", "puts \"a\" before every text", 0 },
        { "{\"model\":{\"type\":\"WordPiece\"}}", NULL, "this one is WordPiece", 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Json *tokenizer = parse(cases[i].tokenizer), *config = parse(cases[i].config);
        char *dir = check_dir(), *path = path_join(dir, "x.gguf");
        GgufWriter *w = NULL;
        Err e = { 0 };
        assert_int_equal(gguf_create(&w, path, &e), 0);
        tok_gguf_meta(tokenizer, config, cases[i].size, (Str){ NULL, 0 }, w, "test", &e);
        check_says(&e, ERR_INPUT, cases[i].says);
        gguf_abort(&w);
        dir_remove(dir, NULL);
        free(dir);
        free(path);
        json_free(tokenizer);
        json_free(config);
    }
}

/* --- bytes that are wrong --------------------------------------------------------------------------------------------------------- */

#define PIECE(len, text, rest) "\x0A" len "\x0A" text rest
#define UNK PIECE("\x07", "\x03" "unk", "\x18\x02")
#define A   PIECE("\x08", "\x01" "a", "\x15\0\0\0\0")
#define BPE_SPEC "\x12\x02\x18\x02"

static void test_bad_spm(void **state)
{
    (void)state;
    static const struct { Str bytes; const char *says; } cases[] = {
        { { "", 0 }, "has no pieces" },
        { STR_LIT("\x0A"), "ends inside a length" },
        { STR_LIT("\x0A\x7F" "abc"), "says it has 127 bytes, but 3 are left" },
        { STR_LIT("\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"), "are left" },
        { STR_LIT("\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"), "more than 64 bits" },
        { STR_LIT("\x00\x01"), "no field number" },
        { STR_LIT("\x0B\x0C"), "wire type 3" },
        { STR_LIT("\x08\x01"), "\"pieces\" should be written as a length and bytes" },
        { STR_LIT(UNK PIECE("\x08", "\x01" "a", "\x15\0\0\xC0\x7F")), "has the score nan" },
        { STR_LIT(UNK A A BPE_SPEC), "pieces 1 and 2 are both \"a\"" },
        { STR_LIT(A BPE_SPEC), "0 pieces of type unknown" },
        { STR_LIT(UNK A UNK), "2 pieces of type unknown" },
        { STR_LIT(A UNK), "unk_id is 0, but the piece of type unknown is another" },
        { STR_LIT(UNK "\x0A\x00"), "piece 1 is empty" },
        { STR_LIT(UNK "\x0A\x04\x0A\x02\xC3\x28"), "piece 1 is not valid UTF-8" },
        { STR_LIT(UNK "\x0A\x05\x0A\x01" "b\x18\x09"), "has the type 9" },
        { STR_LIT(UNK A "\x12\x02\x18\x03"), "of type 3 (words)" },
        { STR_LIT(UNK A "\x12\x02\x18\x04"), "of type 4 (characters)" },
        { STR_LIT(UNK A "\x12\x03\xC0\x01\x01"), "treat_whitespace_as_suffix" },
        { STR_LIT(UNK A "\x2A\x03\x12\x01x"), "denormalizer" },
        { STR_LIT(UNK A "\x12\x03\x98\x02\x01" BPE_SPEC), "has no piece \"<0x00>\"" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Json *tokenizer = NULL, *config = NULL;
        Err e = { 0 };
        tok_json_from_spm(&tokenizer, &config, cases[i].bytes, "test", &e);
        check_says(&e, ERR_INPUT, cases[i].says);
        json_free(tokenizer);
        json_free(config);
    }
    Json *tokenizer = NULL, *config = parse("{\"tokenizer_class\":\"AlbertTokenizer\"}");
    Err e = { 0 };
    tok_json_from_spm(&tokenizer, &config, STR_LIT(UNK A), "test", &e);
    check_says(&e, ERR_INPUT, "the tokenizer class \"AlbertTokenizer\"");
    json_free(config);
}

static void test_bad_tiktoken(void **state)
{
    (void)state;
    static const struct { const char *text, *says; } cases[] = {
        { "", "the file has no ranks" },
        { "YQ== 0\nYg==\n", "line 2: a token in base64, a space and its rank" },
        { "YQ= 0\n", "line 1: a token in base64" },
        { "YR== 0\n", "line 1: a token in base64" },
        { "YQ== x\n", "line 1" },
        { "YQ== -1\n", "line 1" },
        { "YQ== 99999999999\n", "line 1" },
        { "YQ== 8388608\n", "is larger than" },
        { "YQ== 0\nYQ== 1\n", "line 2: this token already has the rank 0" },
        { "YQ== 0\nYg== 5\n", "without holes" },
        { "YQ== 0\nYg== 0\n", "two tokens have the rank 0" },
        { "YQ== 0\n", "the byte 0x00 has no rank" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Json *tokenizer = NULL, *config = NULL;
        Err e = { 0 };
        tok_json_from_tiktoken(&tokenizer, &config, str_of(cases[i].text), "test", &e);
        check_says(&e, ERR_INPUT, cases[i].says);
    }
    char *bytes;
    size_t n;
    Json *tokenizer = NULL, *config = NULL;
    Err e = { 0 };
    read_file("ranks.tiktoken", &bytes, &n);
    tok_json_from_tiktoken(&tokenizer, &config, (Str){ bytes, n }, "test", &e);
    check_says(&e, ERR_INPUT, "hone does not know them for 420 ranks");
    free(bytes);
}

static void set_tokens(GgufWriter *w, size_t n)
{
    static const Str tokens[] = { STR_LIT("<unk>"), STR_LIT("<s>"), STR_LIT("</s>"), STR_LIT("a"), STR_LIT("b"), STR_LIT("a") };
    gguf_set_strs(w, "tokenizer.ggml.tokens", tokens, n);
}

static void bad_none(GgufWriter *w)   { (void)w; }
static void bad_model(GgufWriter *w)  { gguf_set_str(w, "tokenizer.ggml.model", STR_LIT("rwkv")); }
static void bad_tokens(GgufWriter *w) { gguf_set_str(w, "tokenizer.ggml.model", STR_LIT("llama")); }
static void bad_scores(GgufWriter *w)
{
    bad_tokens(w);
    set_tokens(w, 5);
    gguf_set_f32s(w, "tokenizer.ggml.scores", (float[]){ 0, 1 }, 2);
}
static void bad_twice(GgufWriter *w)
{
    bad_tokens(w);
    set_tokens(w, 6);
    gguf_set_f32s(w, "tokenizer.ggml.scores", (float[]){ 0, 0, 0, 0, 0, 0 }, 6);
}
static void bad_nan(GgufWriter *w)
{
    bad_tokens(w);
    set_tokens(w, 5);
    gguf_set_f32s(w, "tokenizer.ggml.scores", (float[]){ 0, 0, 0, 0, __builtin_nanf("") }, 5);
}
static void bad_types(GgufWriter *w)
{
    bad_tokens(w);
    set_tokens(w, 5);
    gguf_set_f32s(w, "tokenizer.ggml.scores", (float[]){ 0, 0, 0, 0, 0 }, 5);
    gguf_set_i32s(w, "tokenizer.ggml.token_type", (int32_t[]){ 2, 3, 3, 1, 17 }, 5);
}
static void gpt2(GgufWriter *w)
{
    gguf_set_str(w, "tokenizer.ggml.model", STR_LIT("gpt2"));
    set_tokens(w, 5);
}
static void bad_no_pre(GgufWriter *w) { gpt2(w); }
static void bad_pre(GgufWriter *w)
{
    gpt2(w);
    gguf_set_str(w, "tokenizer.ggml.pre", STR_LIT("sesame"));
}
static void bad_merge(GgufWriter *w)
{
    gpt2(w);
    gguf_set_str(w, "tokenizer.ggml.pre", STR_LIT("gpt-2"));
    gguf_set_strs(w, "tokenizer.ggml.merges", (Str[]){ STR_LIT("ab") }, 1);
}
static void bad_id(GgufWriter *w)
{
    gpt2(w);
    gguf_set_str(w, "tokenizer.ggml.pre", STR_LIT("gpt-2"));
    gguf_set_u32(w, "tokenizer.ggml.bos_token_id", 77);
}

static void test_bad_gguf(void **state)
{
    (void)state;
    static const struct { void (*make)(GgufWriter *); const char *says; } cases[] = {
        { bad_none, "the file has no tokenizer" },       { bad_model, "the tokenizer model \"rwkv\"" },   { bad_tokens, "tokenizer.ggml.tokens" },
        { bad_scores, "with a number for each token" },  { bad_twice, "pieces 3 and 5 are both \"a\"" },  { bad_nan, "has the score" },
        { bad_types, "has the type 17" },                { bad_no_pre, "tokenizer.ggml.pre is missing" }, { bad_pre, "the pre-tokenizer \"sesame\"" },
        { bad_merge, "merge number 0" },                 { bad_id, "bos_token_id is 77, but there are 5 tokens" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *dir = check_dir(), *path = path_join(dir, "x.gguf");
        GgufWriter *w = NULL;
        Tok *t = NULL;
        Err e = { 0 };
        assert_int_equal(gguf_create(&w, path, &e), 0);
        cases[i].make(w);
        if (gguf_commit(&w, &e))
            fail_msg("%s", e.text);
        tok_open(&t, path, &e);
        check_says(&e, ERR_INPUT, cases[i].says);
        dir_remove(dir, NULL);
        free(dir);
        free(path);
    }
}

/* --- folders ---------------------------------------------------------------------------------------------------------------------- */

static void put(const char *dir, const char *name, const char *text, size_t n)
{
    char *path = path_join(dir, name);
    assert_int_equal(file_write_atomic(path, text, n, NULL), 0);
    free(path);
}

static void test_folders(void **state)
{
    (void)state;
    char *dir = check_dir(), *bytes;
    size_t n;
    Tok *t = NULL;
    Err e = { 0 };
    int32_t id;
    tok_open(&t, dir, &e);
    check_says(&e, ERR_INPUT, "there is no tokenizer; tokenizer.json, tokenizer.model");
    static const char words[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\n##n\n";
    put(dir, "vocab.txt", words, sizeof words - 1);
    if (tok_open(&t, dir, &e))
        fail_msg("%s", e.text);
    TokIds ids = { 0 };
    assert_int_equal(tok_encode(t, STR_LIT("Then x"), TOK_SPECIAL, &ids, &e), 0);
    assert_memory_equal(ids.p, ((const int32_t[]){ 2, 4, 5, 1, 3 }), 5 * sizeof(int32_t));
    tok_free(t);
    static const char merges[] = "#version: 0.2\na b\n", vocab[] = "{\"a\":0,\"b\":1,\"ab\":2,\"<|endoftext|>\":3}";
    put(dir, "merges.txt", merges, sizeof merges - 1);
    put(dir, "vocab.json", vocab, sizeof vocab - 1);
    tok_open(&t, dir, &e);
    check_says(&e, ERR_INPUT, "should be GPT2Tokenizer or Qwen2Tokenizer");
    put(dir, "tokenizer_config.json", "{\"tokenizer_class\":\"GPT2Tokenizer\"}", 35);
    if (tok_open(&t, dir, &e))
        fail_msg("%s", e.text);
    vec_clear(&ids);
    assert_int_equal(tok_encode(t, STR_LIT("ab<|endoftext|>"), 0, &ids, &e), 0);
    assert_memory_equal(ids.p, ((const int32_t[]){ 2, 3 }), 2 * sizeof(int32_t));
    assert_int_equal(tok_eos(t), 3);
    tok_free(t);
    read_file("ranks.tiktoken", &bytes, &n);
    put(dir, "q.tiktoken", bytes, n);
    put(dir, "tokenizer_config.json", "{\"tokenizer_class\":\"QWenTokenizer\"}", 35);
    if (tok_open(&t, dir, &e))
        fail_msg("%s", e.text);
    assert_true(tok_find(t, STR_LIT("<|im_end|>"), &id) && id == 422);
    tok_free(t);
    put(dir, "tokenizer.model", bytes, n); /* by content: ranks too */
    if (tok_open(&t, dir, &e))
        fail_msg("%s", e.text);
    tok_free(t);
    free(bytes);
    read_file("bpe_bytes.model", &bytes, &n);
    put(dir, "tokenizer.model", bytes, n);
    put(dir, "tokenizer_config.json", "{\"tokenizer_class\":\"LlamaTokenizer\",\"add_bos_token\":true}", 57);
    if (tok_open(&t, dir, &e))
        fail_msg("%s", e.text);
    check_cases(t, "bpe_bytes.json", TOK_PLAIN);
    tok_free(t);
    free(bytes);
    vec_release(&ids);
    dir_remove(dir, NULL);
    free(dir);
}

static void test_base64(void **state)
{
    (void)state;
    StrBuf text = { 0 }, back = { 0 };
    for (size_t n = 0; n < 70; n++) {
        unsigned char bytes[70];
        for (size_t i = 0; i < n; i++)
            bytes[i] = (unsigned char)(i * 37 + n);
        strbuf_clear(&text);
        strbuf_clear(&back);
        base64_write(&text, bytes, n);
        assert_true(base64_read(&back, strbuf_str(&text)) && back.n == n && (!n || memcmp(back.p, bytes, n) == 0));
    }
    strbuf_clear(&text);
    base64_write(&text, "foob", 4);
    assert_string_equal(strbuf_z(&text), "Zm9vYg=="); /* RFC 4648, section 10 */
    assert_false(base64_read(&back, STR_LIT("Zm9v=A==")) || base64_read(&back, STR_LIT("Zm9")) || base64_read(&back, STR_LIT("Zm-v")));
    strbuf_release(&text);
    strbuf_release(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sentencepiece), cmocka_unit_test(test_specials),     cmocka_unit_test(test_t5),       cmocka_unit_test(test_tiktoken),
        cmocka_unit_test(test_gguf),          cmocka_unit_test(test_round_trip),   cmocka_unit_test(test_no_name),  cmocka_unit_test(test_bad_spm),
        cmocka_unit_test(test_bad_tiktoken),  cmocka_unit_test(test_bad_gguf),     cmocka_unit_test(test_folders),  cmocka_unit_test(test_base64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
