/* test_tok.c - the tokenizer beyond what the library can judge: wrong files refused by name, names from tokenizer_config.json, user text that
 * never becomes a control token, streams that hold back what is not final, long words in time, one Tok in many threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/thread.h"
#include "tokenizer/tok.h"

#define MODEL "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"<s>\":3,\"abab\":4},\"merges\":[\"a b\",[\"ab\",\"ab\"]]}"

static int open_text(Tok **t, const char *text, const char *config, Err *e)
{
    Json *j = NULL, *c = NULL;
    assert_int_equal(json_parse(&j, str_of(text), "test", e), 0);
    if (config)
        assert_int_equal(json_parse(&c, str_of(config), "config", e), 0);
    int rc = tok_open_json(t, j, c, "tokenizer.json", e);
    json_free(j);
    json_free(c);
    return rc;
}

static Tok *must_open(const char *text, const char *config)
{
    Tok *t = NULL;
    Err e = { 0 };
    if (open_text(&t, text, config, &e))
        fail_msg("%s", e.text);
    return t;
}

static void check_ids(const Tok *t, const char *text, unsigned flags, const char *want)
{
    TokIds ids = { 0 };
    StrBuf got = { 0 };
    Err e = { 0 };
    assert_int_equal(tok_encode(t, str_of(text), flags, &ids, &e), 0);
    for (size_t i = 0; i < ids.n; i++)
        strbuf_addf(&got, i ? " %d" : "%d", ids.p[i]);
    assert_string_equal(strbuf_z(&got), want);
    strbuf_release(&got);
    vec_release(&ids);
}

/* --- files that are wrong --------------------------------------------------------------------------------------------------------- */

#define NORMAL(x) "{" MODEL ",\"normalizer\":" x "}"
#define PRETOK(x) "{" MODEL ",\"pre_tokenizer\":" x "}"
#define DECODER(x) "{" MODEL ",\"decoder\":" x "}"
#define POST(x) "{" MODEL ",\"post_processor\":" x "}"
#define SPLIT(regex) PRETOK("{\"type\":\"Split\",\"pattern\":{\"Regex\":\"" regex "\"},\"behavior\":\"Isolated\",\"invert\":false}")
#define BPE(x) "{\"model\":{\"type\":\"BPE\"," x "}}"
#define UNIGRAM(unk, vocab) "{\"model\":{\"type\":\"Unigram\",\"unk_id\":" unk ",\"vocab\":[" vocab "]}}"
#define ADDED(x) "{" MODEL ",\"added_tokens\":[" x "]}"

static const struct { const char *file, *says; } wrong[] = {
    { "[]", "an object was expected" },
    { "{}", "\"model\" should be an object" },
    { "{\"model\":{\"type\":\"Trigram\"}}", "\"Trigram\"" },
    { UNIGRAM("0", ""), "1 to" },
    { UNIGRAM("1", "[\"a\",0]"), "\"unk_id\" is 1" },
    { UNIGRAM("-1", "[\"a\",0]"), "\"unk_id\" is -1" },
    { UNIGRAM("0", "[\"a\",null]"), "entry 0" },
    { UNIGRAM("0", "[\"a\"]"), "entry 0" },
    { UNIGRAM("0", "7"), "entry 0" },
    { "{\"model\":{\"type\":\"WordPiece\"}}", "unk_token" },
    { "{\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"u\",\"vocab\":{\"a\":0}}}", "continuing_subword_prefix" },
    { "{\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"u\",\"vocab\":[]}}", "\"vocab\" should be an object" },
    { NORMAL("{\"type\":\"Precompiled\",\"precompiled_charsmap\":null}"), "precompiled_charsmap" },
    { NORMAL("{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"\"}"), "base64" },
    { NORMAL("{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"A!==\"}"), "base64" },
    { NORMAL("{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"//////8=\"}"), "damaged" },
    { NORMAL("{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"BAAAAAAEQAA=\"}"), "points outside" },
    { NORMAL("{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":1,\"strip_accents\":null,\"lowercase\":true}"), "handle_chinese_chars" },
    { PRETOK("{\"type\":\"CharDelimiterSplit\",\"delimiter\":\"ab\"}"), "one character" },
    { PRETOK("{\"type\":\"FixedLength\",\"length\":0}"), "1 or more" },
    { DECODER("{\"type\":\"CTC\",\"pad_token\":\"p\",\"word_delimiter_token\":\"\",\"cleanup\":true}"), "word_delimiter_token" },
    { POST("{\"type\":\"BertProcessing\",\"sep\":[\"x\",9],\"cls\":[\"a\",0]}"), "\"sep\"" },
    { "{" MODEL ",\"version\":\"2.0\"}", "version \"2.0\"" },
    { "{" MODEL ",\"speed\":1}", "option \"speed\"" },
    { "{" MODEL ",\"added_tokens\":{}}", "added_tokens" },
    { BPE("\"vocab\":[],\"merges\":[]"), "\"vocab\" should be an object" },
    { BPE("\"vocab\":{},\"merges\":[]"), "the vocabulary is empty" },
    { BPE("\"vocab\":{\"a\":-1},\"merges\":[]"), "\"a\"" },
    { BPE("\"vocab\":{\"a\":4000000000},\"merges\":[]"), "\"a\"" },
    { BPE("\"vocab\":{\"a\":\"x\"},\"merges\":[]"), "\"a\"" },
    { BPE("\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]"), "both \"a\" and \"b\"" },
    { BPE("\"vocab\":{\"a\":0}"), "\"merges\" should be a list" },
    { BPE("\"vocab\":{\"a\":0},\"merges\":[\"a\"]"), "merge number 0" },
    { BPE("\"vocab\":{\"a\":0},\"merges\":[\"a b c\"]"), "merge number 0" },
    { BPE("\"vocab\":{\"a\":0},\"merges\":[[\"a\"]]"), "merge number 0" },
    { BPE("\"vocab\":{\"a\":0},\"merges\":[7]"), "merge number 0" },
    { BPE("\"vocab\":{\"a\":0},\"merges\":[\"a a\"]"), "the vocabulary lacks" },
    { BPE("\"vocab\":{\"a\":0},\"merges\":[],\"dropout\":0.1"), "dropout" },
    { BPE("\"vocab\":{\"a\":0},\"merges\":[],\"fuse_unk\":1"), "fuse_unk" },
    { BPE("\"vocab\":{\"a\":0},\"merges\":[],\"odd\":1"), "option \"odd\"" },
    { NORMAL("{\"type\":\"Precompilid\"}"), "normalizer \"Precompilid\"" },
    { NORMAL("{\"type\":\"NFC\",\"x\":1}"), "option \"x\"" },
    { NORMAL("{\"type\":\"Strip\",\"strip_left\":true}"), "strip_right" },
    { NORMAL("{\"type\":\"Replace\",\"pattern\":\"x\",\"content\":\"y\"}"), "\"pattern\"" },
    { NORMAL("{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"(\"},\"content\":\"y\"}"), "regular expression" },
    { PRETOK("{\"type\":\"BertPreTokeniser\"}"), "pre-tokenizer \"BertPreTokeniser\"" },
    { PRETOK("{\"type\":\"Metaspace\",\"replacement\":\"ab\"}"), "one character" },
    { PRETOK("{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":\"last\"}"), "\"last\"" },
    { PRETOK("{\"type\":\"Punctuation\",\"behavior\":\"Maybe\"}"), "\"Maybe\"" },
    { PRETOK("{\"type\":\"ByteLevel\",\"trim_offsets\":true}"), "add_prefix_space" },
    { SPLIT("[a[:alpha:]]"), "a set inside a set" },
    { SPLIT("[a-[b]]"), "a set inside a set" },
    { SPLIT("[a&&]"), "closing bracket" },
    { SPLIT("[a[b]"), "closing bracket" },
    { SPLIT("[[[[[[a]]]]]]"), "nested too deep" },
    { SPLIT("(?s:.)"), "group" },
    { SPLIT("a{2}?"), "{n}?" },
    { SPLIT("\\\\y"), "escape \\y" },
    { SPLIT("\\\\xe9"), "above 7F" },
    { SPLIT("\\\\p{Nonsense}"), "cannot be read" },
    { DECODER("{\"type\":\"CTX\"}"), "decoder \"CTX\"" },
    { DECODER("{\"type\":\"Strip\",\"content\":\" \",\"start\":-1,\"stop\":0}"), "negative" },
    { DECODER("{\"type\":\"BPEDecoder\",\"suffix\":\"\"}"), "suffix" },
    { POST("{\"type\":\"RobertaProcessor\"}"), "\"RobertaProcessor\"" },
    { POST("{\"type\":\"TemplateProcessing\",\"single\":[],\"pair\":[],\"special_tokens\":{}}"), "sequence A once" },
    { POST("{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\",\"type_id\":0}}],\"pair\":[],\"special_tokens\":{}}"), "\"<s>\"" },
    { POST("{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"x\",\"type_id\":0}}],\"pair\":[],\"special_tokens\":{\"x\":{\"ids\":[99]}}}"),
      "ids from 0 to 4" },
    { "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":2},\"merges\":[]},\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":"
      "[{\"SpecialToken\":{\"id\":\"x\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[],\"special_tokens\":{\"x\":{\"ids\":[1]}}}}",
      "id 1, which is no token" },
    { POST("{\"type\":\"Sequence\",\"processors\":[{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[],"
           "\"special_tokens\":{}},{\"type\":\"BertProcessing\",\"sep\":[\"a\",0],\"cls\":[\"a\",0]}]}"), "behind a TemplateProcessing" },
    { ADDED("{\"id\":5,\"content\":\"x\"}"), "single_word" },
    { ADDED("7"), "an object was expected" },
};

static void test_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        Tok *t = NULL;
        Err e = { 0 };
        if (open_text(&t, wrong[i].file, NULL, &e) != ERR_INPUT || !strstr(e.text, wrong[i].says) || strncmp(e.text, "tokenizer.json", 14) != 0)
            fail_msg("row %zu: \"%s\" should say %s", i, e.text, wrong[i].says);
        assert_null(t);
    }
}

static void test_nested(void **state)
{
    (void)state;
    StrBuf text = { 0 };
    Tok *t = NULL;
    Err e = { 0 };
    strbuf_addz(&text, "{" MODEL ",\"normalizer\":");
    for (int i = 0; i < 20; i++)
        strbuf_addz(&text, "{\"type\":\"Sequence\",\"normalizers\":[");
    strbuf_addz(&text, "{\"type\":\"NFC\"}");
    for (int i = 0; i < 20; i++)
        strbuf_addz(&text, "]}");
    strbuf_addz(&text, "}");
    assert_int_equal(open_text(&t, strbuf_z(&text), NULL, &e), ERR_INPUT);
    assert_non_null(strstr(e.text, "nested"));
    strbuf_release(&text);
}

/* A normaliser that doubles the text twenty times does not eat the memory. */
static void test_growth(void **state)
{
    (void)state;
    StrBuf text = { 0 };
    Err e = { 0 };
    TokIds ids = { 0 };
    strbuf_addz(&text, "{" MODEL ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[");
    for (int i = 0; i < 20; i++)
        strbuf_addf(&text, "%s{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"aa\"}", i ? "," : "");
    strbuf_addz(&text, "]}}");
    Tok *t = must_open(strbuf_z(&text), NULL);
    assert_int_equal(tok_encode(t, STR_LIT("aa"), 0, &ids, &e), ERR_INPUT);
    assert_non_null(strstr(e.text, "normalizer"));
    assert_int_equal(ids.n, 0);
    tok_free(t);
    strbuf_release(&text);
    vec_release(&ids);
}

static void test_bad_text(void **state)
{
    (void)state;
    Tok *t = must_open("{" MODEL "}", NULL);
    Err e = { 0 };
    TokIds ids = { 0 };
    assert_int_equal(tok_encode(t, STR_LIT("ab\xFF"), 0, &ids, &e), ERR_INPUT);
    assert_string_equal(e.text, "the text is not valid UTF-8 at byte 2");
    assert_int_equal(ids.n, 0);
    vec_release(&ids);
    tok_free(t);
    t = must_open(BPE("\"vocab\":{\"a\":0},\"merges\":[],\"unk_token\":\"?\""), NULL);
    assert_int_equal(tok_encode(t, STR_LIT("ab"), 0, &ids, &e), ERR_INPUT);
    assert_non_null(strstr(e.text, "\"?\""));
    assert_int_equal(ids.n, 0);
    vec_release(&ids);
    tok_free(t);
    t = must_open(SPLIT("(a+)+$"), NULL); /* the classic that backtracks for ever */
    assert_int_equal(tok_encode(t, STR_LIT("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"), 0, &ids, &e), ERR_INPUT);
    assert_non_null(strstr(e.text, "too many steps"));
    vec_release(&ids);
    tok_free(t);
}

/* Sorting a long run of marks takes quadratic time in the Unicode library: such a text is refused before, quickly. */
static void test_marks(void **state)
{
    (void)state;
    Tok *t = must_open(NORMAL("{\"type\":\"NFC\"}"), NULL);
    StrBuf text = { 0 };
    TokIds ids = { 0 };
    Err e = { 0 };
    double start = clock_seconds();
    for (int i = 0; i < 500; i++)
        strbuf_addz(&text, "\xCC\x81\xCC\xA3");
    assert_int_equal(tok_encode(t, strbuf_str(&text), 0, &ids, &e), 0);
    for (int i = 0; i < 500000; i++)
        strbuf_addz(&text, "\xEF\xBE\x9E\xCC\x81");
    assert_int_equal(tok_encode(t, strbuf_str(&text), 0, &ids, &e), ERR_INPUT);
    assert_non_null(strstr(e.text, "combining marks"));
    assert_true(clock_seconds() - start < 10);
    strbuf_release(&text);
    vec_release(&ids);
    tok_free(t);
}

/* --- names, entries, flags -------------------------------------------------------------------------------------------------------- */

#define SPECIAL_S "{\"id\":3,\"content\":\"<s>\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true}"

static void test_names(void **state)
{
    (void)state;
    Err e = { 0 };
    int32_t id = -7;
    Tok *t = must_open(ADDED(SPECIAL_S), "{\"bos_token\":{\"content\":\"<s>\"},\"eos_token\":\"ab\",\"pad_token\":null}");
    assert_int_equal(tok_bos(t), 3);
    assert_int_equal(tok_eos(t), 2);
    assert_int_equal(tok_pad(t), -1);
    assert_int_equal(tok_size(t), 5);
    assert_string_equal(tok_kind(t), "BPE");
    assert_true(tok_find(t, STR_LIT("abab"), &id) && id == 4);
    assert_false(tok_find(t, STR_LIT("aba"), &id));
    assert_true(str_eqz(tok_text(t, 2), "ab"));
    assert_null(tok_text(t, 5).p);
    assert_null(tok_text(t, -1).p);
    assert_true(tok_is_special(t, 3));
    assert_true(tok_is_special(t, 2)); /* what the configuration names is special, whatever the file says */
    assert_false(tok_is_special(t, 1) || tok_is_special(t, 5) || tok_is_special(t, -1));
    tok_free(t);
    log_stderr(false);
    t = must_open("{" MODEL "}", "{\"pad_token\":\"<pad>\"}");
    log_stderr(true);
    assert_int_equal(tok_pad(t), -1);
    tok_free(t);
    assert_int_equal(open_text(&t, "{" MODEL "}", "{\"eos_token\":\"</s>\"}", &e), ERR_INPUT);
    assert_non_null(strstr(e.text, "\"</s>\" as eos_token"));
    assert_int_equal(open_text(&t, "{" MODEL "}", "{\"bos_token\":7}", &e), ERR_INPUT);
}

static void test_missing_folder(void **state)
{
    (void)state;
    Tok *t = NULL;
    Err e = { 0 };
    assert_true(tok_open(&t, "/nonexistent/model", &e) < 0);
    assert_non_null(strstr(e.text, "/nonexistent/model: there is no such folder"));
    assert_null(t);
}

/* What a user writes never becomes a control token, even where merges or whole words would make one. */
static void test_plain(void **state)
{
    (void)state;
    Tok *t = must_open(ADDED(SPECIAL_S), NULL);
    check_ids(t, "a<s>b", 0, "0 3 1");
    check_ids(t, "a<s>b", TOK_PLAIN, "2"); /* < s > are not in the vocabulary and there is no unknown token: a and b meet */
    tok_free(t);
    t = must_open("{\"model\":{\"type\":\"BPE\",\"ignore_merges\":true,\"vocab\":{\"<\":0,\"s\":1,\">\":2,\"<s\":3,\"<s>\":4},"
                  "\"merges\":[\"< s\",\"<s >\"]},\"added_tokens\":[{\"id\":4,\"content\":\"<s>\",\"single_word\":false,\"lstrip\":false,"
                  "\"rstrip\":false,\"normalized\":false,\"special\":true}]}", NULL);
    check_ids(t, "<s>", 0, "4");
    check_ids(t, "<s>", TOK_PLAIN, "3 2");
    check_ids(t, "<s><s>", TOK_PLAIN, "3 2 3 2");
    check_ids(t, "<s>", 0, "4"); /* and one call does not remember the other */
    tok_free(t);
}

/* The same holds for models that know a special token as an entry. Unknown neighbours become one token; ties keep what was found first. */
static void test_other_models(void **state)
{
    (void)state;
    static const char special[] = "\"added_tokens\":[{\"id\":1,\"content\":\"<s>\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,"
                                  "\"normalized\":false,\"special\":true}]}";
    StrBuf file = { 0 };
    strbuf_addf(&file, "{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"<unk>\",0],[\"<s>\",0],[\"<\",-1],[\"s\",-1],[\">\",-1],[\"aa\",-1],[\"a\",-0.5]]},%s",
                special);
    Tok *t = must_open(strbuf_z(&file), NULL);
    check_ids(t, "s<s>xys", 0, "3 1 0 3");
    check_ids(t, "s<s>", TOK_PLAIN, "3 2 3 4");
    check_ids(t, "aaa", 0, "6 5");
    tok_free(t);
    strbuf_clear(&file);
    strbuf_addf(&file, "{\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"u\",\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":5,"
                "\"vocab\":{\"u\":0,\"<s>\":1,\"<\":2,\"##s\":3,\"##>\":4}},%s", special);
    t = must_open(strbuf_z(&file), NULL);
    check_ids(t, "<s><s", 0, "1 2 3");
    check_ids(t, "<s>", TOK_PLAIN, "2 3 4");
    check_ids(t, "<s>ss", TOK_PLAIN, "2 3 4 3 3");
    check_ids(t, "<s>sss", TOK_PLAIN, "0");
    check_ids(t, "<x", 0, "0");
    tok_free(t);
    Err e = { 0 };
    TokIds ids = { 0 };
    t = must_open("{\"model\":{\"type\":\"Unigram\",\"unk_id\":null,\"vocab\":[[\"a\",0]]}}", NULL);
    assert_int_equal(tok_encode(t, STR_LIT("ab"), 0, &ids, &e), ERR_INPUT);
    assert_non_null(strstr(e.text, "unk_id"));
    vec_release(&ids);
    tok_free(t);
    strbuf_release(&file);
}

/* --- streams ---------------------------------------------------------------------------------------------------------------------- */

static void push(TokStream *s, int32_t id, StrBuf *out, const char *want)
{
    strbuf_clear(out);
    tok_stream_push(s, id, out);
    assert_string_equal(strbuf_z(out), want);
}

static void test_stream_fallback(void **state)
{
    (void)state;
    StrBuf out = { 0 };
    Tok *t = must_open("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"<0xE2>\":1,\"<0x82>\":2,\"<0xAC>\":3,\"\xE2\x96\x81x\":4},\"merges\":[]},"
                       "\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":\"\xE2\x96\x81\"},"
                       "\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}]}}", NULL);
    TokStream *s = tok_stream_new(t, false);
    push(s, 4, &out, "x"); /* only the first space of all is stripped, and at once */
    push(s, 4, &out, " x");
    push(s, 1, &out, "");
    push(s, 2, &out, "");
    push(s, 3, &out, ""); /* complete, but one more bad byte would undo it */
    push(s, 0, &out, "\xE2\x82\xAC" "a");
    push(s, 99, &out, "");
    push(s, -1, &out, "");
    push(s, 1, &out, "");
    push(s, 0, &out, "\xEF\xBF\xBD" "a");
    push(s, 1, &out, "");
    push(s, 2, &out, "");
    strbuf_clear(&out);
    tok_stream_end(s, &out);
    assert_string_equal(strbuf_z(&out), "\xEF\xBF\xBD\xEF\xBF\xBD");
    tok_stream_free(s);
    strbuf_release(&out);
    tok_free(t);
}

static void test_stream_bytes(void **state)
{
    (void)state;
    StrBuf out = { 0 };
    Tok *t = must_open("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"\xC3\xA2\":1,\"\xC4\xA4\":2,\"\xC2\xAC\":3},\"merges\":[]},\"decoder\":"
                       "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":false}}", NULL);
    TokStream *s = tok_stream_new(t, false);
    push(s, 1, &out, "");             /* E2 */
    push(s, 2, &out, "");             /* 82 */
    push(s, 3, &out, "\xE2\x82\xAC"); /* AC: now it is a character */
    push(s, 1, &out, "");
    push(s, 0, &out, "\xEF\xBF\xBD" "a");
    push(s, 3, &out, "\xEF\xBF\xBD"); /* can start nothing */
    push(s, 1, &out, "");
    strbuf_clear(&out);
    tok_stream_end(s, &out);
    assert_string_equal(strbuf_z(&out), "\xEF\xBF\xBD");
    tok_stream_free(s);
    strbuf_release(&out);
    tok_free(t);
}

/* --- long texts and threads ------------------------------------------------------------------------------------------------------- */

/* A million symbols in one word: n log n takes a fraction of a second, n squared would take hours. */
static void test_long_word(void **state)
{
    (void)state;
    Tok *t = must_open("{" MODEL "}", NULL);
    TokIds ids = { 0 };
    Err e = { 0 };
    size_t n = (size_t)1 << 20;
    char *text = mem_alloc(n);
    for (size_t i = 0; i < n; i++)
        text[i] = "ab"[i % 2];
    double start = clock_seconds();
    assert_int_equal(tok_encode(t, (Str){ text, n }, 0, &ids, &e), 0);
    assert_true(clock_seconds() - start < 20);
    assert_int_equal(ids.n, n / 4);
    for (size_t i = 0; i < ids.n; i++)
        assert_int_equal(ids.p[i], 4);
    vec_release(&ids);
    free(text);
    tok_free(t);
}

static void test_long_spaces(void **state)
{
    (void)state;
    char *text;
    size_t n;
    Err e = { 0 };
    assert_int_equal(file_read_text(TEST_DIR "/golden/tokenizer/byte_level.json", &text, &n, &e), 0);
    Tok *t = must_open(text, NULL);
    free(text);
    TokIds ids = { 0 };
    StrBuf out = { 0 };
    n = (size_t)12 << 20;
    text = mem_alloc(n);
    memset(text, ' ', n);
    text[n - 1] = 'x';
    assert_int_equal(tok_encode(t, (Str){ text, n }, 0, &ids, &e), 0);
    tok_decode(t, ids.p, ids.n, false, &out);
    assert_int_equal(out.n, n);
    assert_memory_equal(out.p, text, n);
    vec_release(&ids);
    strbuf_release(&out);
    free(text);
    tok_free(t);
}

typedef struct Shared { const Tok *t; StrBuf text; TokIds want; int bad[64]; } Shared;

static void encode_piece(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    Shared *s = ctx;
    TokIds ids = { 0 };
    Err e = { 0 };
    int rc = tok_encode(s->t, strbuf_str(&s->text), 0, &ids, &e);
    s->bad[piece] = rc || ids.n != s->want.n || memcmp(ids.p, s->want.p, ids.n * sizeof *ids.p) != 0;
    vec_release(&ids);
}

static void test_threads(void **state)
{
    (void)state;
    char *json;
    size_t n;
    Err e = { 0 };
    Shared s = { 0 };
    assert_int_equal(file_read_text(TEST_DIR "/golden/tokenizer/byte_level.json", &json, &n, &e), 0);
    Tok *t = must_open(json, NULL);
    s.t = t;
    for (int i = 0; i < 300; i++)
        strbuf_addf(&s.text, "word%d of the <|im_start|> little\tgirl %d\n", i, i * i);
    assert_int_equal(tok_encode(t, strbuf_str(&s.text), 0, &s.want, &e), 0);
    Pool *pool = pool_new(4);
    parallel_for(pool, (int64_t)ARRAY_LEN(s.bad), encode_piece, &s);
    pool_free(pool);
    for (size_t i = 0; i < ARRAY_LEN(s.bad); i++)
        assert_int_equal(s.bad[i], 0);
    strbuf_release(&s.text);
    vec_release(&s.want);
    free(json);
    tok_free(t);
}

/* Shared out over any number of threads: the ids of each text, and the error of the first bad one. */
static void test_many(void **state)
{
    (void)state;
    enum { N = 3000 };
    static char store[N][32];
    Str texts[N];
    TokIds want[N] = { 0 };
    Err e = { 0 };
    Tok *t = must_open(ADDED(SPECIAL_S), NULL);
    for (size_t i = 0; i < N; i++) {
        snprintf(store[i], sizeof store[i], "ab%.*s<s>%.*sb", (int)(i % 7), "abababa", (int)(i % 5), "baaba");
        texts[i] = str_of(store[i]);
        assert_int_equal(tok_encode(t, texts[i], 0, &want[i], &e), 0);
    }
    for (int threads = 0; threads < 4; threads++) {
        Pool *pool = threads ? pool_new(threads) : NULL;
        TokIds got[N] = { 0 };
        size_t bad = 0;
        assert_int_equal(tok_encode_many(t, pool, texts, N, 0, got, &bad, &e), 0);
        for (size_t i = 0; i < N; i++) {
            assert_int_equal(got[i].n, want[i].n);
            assert_memory_equal(got[i].p, want[i].p, want[i].n * sizeof *want[i].p);
        }
        Str was = texts[1234];
        texts[1234] = texts[2990] = STR_LIT("a\xFF");
        assert_int_equal(tok_encode_many(t, pool, texts, N, 0, got, &bad, &e), ERR_INPUT);
        assert_int_equal(bad, 1234);
        assert_string_equal(e.text, "the text is not valid UTF-8 at byte 1");
        texts[1234] = was;
        texts[2990] = str_of(store[2990]);
        for (size_t i = 0; i < N; i++)
            vec_release(&got[i]);
        pool_free(pool);
    }
    assert_int_equal(tok_encode_many(t, NULL, NULL, 0, 0, NULL, NULL, &e), 0);
    for (size_t i = 0; i < N; i++)
        vec_release(&want[i]);
    tok_free(t);
}

/* tokenizer_config.json adds tokens to those of the file and changes them; the expected ids are those of transformers 5.23. */
static void test_config_tokens(void **state)
{
    (void)state;
    static const struct { const char *config, *text, *ids; } rows[] = {
        { "{\"bos_token\":\"<s>\",\"eos_token\":\"ab\",\"add_bos_token\":true}", "abab <s>  abab", "2 2 10 3 10 10 2 2" },
        { "{\"eos_token\":\"<s>\",\"added_tokens_decoder\":{\"12\":{\"content\":\"<x>\",\"special\":true},\"11\":{\"content\":\"<im>\",\"lstrip\":true,"
          "\"special\":false,\"normalized\":false},\"2\":{\"content\":\"ab\",\"special\":true}}}", "a <im> <x>b", "0 11 10 12 1" },
        { "{\"additional_special_tokens\":[\"<im>\",\"ab\"],\"added_tokens_decoder\":{\"3\":{\"content\":\"<s>\",\"rstrip\":true,\"special\":true}}}",
          "a <im> <s> <x>b", "0 10 11 10 3 5 7 6 1" },
        { "{\"pad_token\":\"abab\",\"unk_token\":\"b\"}", "abab <s>  abab ab", "4 10 3 10 10 4 10 0 1" },
    };
    static const char file[] = "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"<s>\":3,\"abab\":4,\"<\":5,\">\":6,\"x\":7,\"i\":8,\"m\":9,"
                               "\" \":10},\"merges\":[\"a b\",\"ab ab\"]},\"added_tokens\":[" SPECIAL_S "]}";
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        log_stderr(false); /* the flag add_bos_token is not followed, which is said */
        Tok *t = must_open(file, rows[i].config);
        log_stderr(true);
        check_ids(t, rows[i].text, TOK_SPECIAL, rows[i].ids);
        tok_free(t);
    }
    Tok *t = NULL;
    Err e = { 0 };
    assert_int_equal(open_text(&t, file, "{\"added_tokens_decoder\":{\"x\":{\"content\":\"y\"}}}", &e), ERR_INPUT);
    assert_non_null(strstr(e.text, "added_tokens_decoder"));
    assert_int_equal(open_text(&t, file, "{\"additional_special_tokens\":[7]}", &e), ERR_INPUT);
    assert_non_null(strstr(e.text, "additional_special_tokens"));
}

/* Spans through normalisers: each token points at the characters it came from. */
/* The same for the same files, another for whatever is another: vocabulary, names, template. */
static void test_hash(void **state)
{
    (void)state;
    static const char *const texts[][2] = {
        { "{" MODEL "}", NULL },
        { "{" MODEL "}", "{}" },
        { "{" MODEL "}", "{\"bos_token\":\"a\"}" },
        { "{" MODEL "}", "{\"eos_token\":\"a\"}" },
        { "{" MODEL "}", "{\"chat_template\":\"{{ messages[0].content }}\"}" },
        { "{" MODEL "}", "{\"chat_template\":\"{{ messages[0].content  }}\"}" },
        { "{" MODEL ",\"normalizer\":{\"type\":\"NFC\"}}", NULL },
        { "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"<s>\":3,\"abab\":4},\"merges\":[\"a b\"]}}", NULL },
        { "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":1,\"b\":0,\"ab\":2,\"<s>\":3,\"abab\":4},\"merges\":[\"a b\",[\"ab\",\"ab\"]]}}", NULL },
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        for (size_t k = 0; k <= i; k++) {
            Tok *a = must_open(texts[i][0], texts[i][1]), *b = must_open(texts[k][0], texts[k][1]);
            assert_int_equal(strlen(tok_hash(a)), 64);
            assert_int_equal(strcmp(tok_hash(a), tok_hash(b)) == 0, i == k);
            tok_free(a);
            tok_free(b);
        }
}

static void test_spans(void **state)
{
    (void)state;
    static const TokSpan want[] = { { 0, 3 }, { 3, 4 }, { 4, 5 } }; /* e and its accent, f, g */
    TokIds ids = { 0 };
    TokSpans spans = { 0 };
    Err e = { 0 };
    Tok *t = must_open("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"\xC3\xA9\":0,\"f\":1,\"g\":2},\"merges\":[]},\"normalizer\":{\"type\":\"Sequence\","
                       "\"normalizers\":[{\"type\":\"NFC\"},{\"type\":\"Lowercase\"}]}}", NULL);
    assert_int_equal(tok_encode_spans(t, STR_LIT("e\xCC\x81" "Fg"), 0, &ids, &spans, &e), 0);
    assert_int_equal(ids.n, 3);
    assert_int_equal(spans.n, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(ids.p[i], i);
        assert_int_equal(spans.p[i].begin, want[i].begin);
        assert_int_equal(spans.p[i].end, want[i].end);
    }
    vec_release(&ids);
    vec_release(&spans);
    tok_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong),           cmocka_unit_test(test_nested),      cmocka_unit_test(test_growth),
        cmocka_unit_test(test_bad_text),        cmocka_unit_test(test_names),       cmocka_unit_test(test_missing_folder),
        cmocka_unit_test(test_plain),           cmocka_unit_test(test_stream_fallback), cmocka_unit_test(test_stream_bytes),
        cmocka_unit_test(test_long_word),       cmocka_unit_test(test_long_spaces), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_hash),            cmocka_unit_test(test_spans),           cmocka_unit_test(test_marks),
        cmocka_unit_test(test_other_models),
        cmocka_unit_test(test_many),            cmocka_unit_test(test_config_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
