/* test_tok_golden.c - the tokenizers library as judge (tools/golden_tokenizer.py wrote what it says): ids, decoded text, streams and spans of
 * 20,000 mixed lines with two tokenizers, and of small tokenizers for every model, component and option. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/utf8.h"
#include "tokenizer/tok.h"

#define GOLDEN TEST_DIR "/golden/tokenizer/"

static Json *read_json(const char *path)
{
    Err e = { 0 };
    Json *j = NULL;
    if (json_read_file(&j, path, &e))
        fail_msg("%s", e.text);
    return j;
}

static Tok *open_json(const Json *j, const char *name)
{
    Err e = { 0 };
    Tok *t = NULL;
    if (tok_open_json(&t, j, NULL, name, &e))
        fail_msg("%s", e.text);
    return t;
}

static void check_stream(const Tok *t, const TokIds *ids, bool skip, Str whole)
{
    StrBuf out = { 0 };
    TokStream *s = tok_stream_new(t, skip);
    for (size_t i = 0; i < ids->n; i++) {
        tok_stream_push(s, ids->p[i], &out);
        assert_true(utf8_valid(strbuf_str(&out), NULL));
    }
    tok_stream_end(s, &out);
    tok_stream_free(s);
    assert_int_equal(out.n, whole.n);
    assert_memory_equal(strbuf_z(&out), whole.n ? whole.p : "", whole.n);
    strbuf_release(&out);
}

/* Spans lie in the text, between characters, in order; together with ids they do not depend on asking for them. */
static void check_spans(const Tok *t, Str text, const TokIds *ids)
{
    TokIds again = { 0 };
    TokSpans spans = { 0 };
    Err e = { 0 };
    assert_int_equal(tok_encode_spans(t, text, TOK_SPECIAL, &again, &spans, &e), 0);
    assert_int_equal(again.n, ids->n);
    assert_int_equal(spans.n, ids->n);
    assert_memory_equal(again.p, ids->p, ids->n * sizeof *ids->p);
    uint32_t begin = 0;
    for (size_t i = 0; i < spans.n; i++) {
        TokSpan s = spans.p[i];
        assert_true(s.begin >= begin && s.begin <= s.end && s.end <= text.n);
        assert_true(s.begin == text.n || ((unsigned char)text.p[s.begin] & 0xC0) != 0x80);
        assert_true(s.end == text.n || ((unsigned char)text.p[s.end] & 0xC0) != 0x80);
        begin = s.begin;
    }
    vec_release(&again);
    vec_release(&spans);
}

static void add_ids(StrBuf *buf, const TokIds *ids)
{
    int32_t end = -1;
    strbuf_add(buf, ids->p, ids->n * sizeof *ids->p);
    strbuf_add(buf, &end, sizeof end);
}

static void check_hash(StrBuf *buf, const Json *golden, const char *what, size_t block)
{
    char got[32];
    snprintf(got, sizeof got, "%016llx", (unsigned long long)hash64(buf->p, buf->n));
    Str want = json_str(json_at(json_get(golden, what), block));
    if (!str_eqz(want, got))
        fail_msg("%s of block %zu: hash %s, the library has %.*s", what, block, got, (int)want.n, want.p);
    strbuf_clear(buf);
}

/* One block of lines ends: its four hashes are compared. */
static void check_big(const Tok *t, const Json *golden, size_t block_size)
{
    char *text;
    size_t n, line = 0, block = 0;
    Err e = { 0 };
    StrBuf ids_buf = { 0 }, plain_buf = { 0 }, text_buf = { 0 }, skip_buf = { 0 }, out = { 0 };
    TokIds ids = { 0 };
    const Json *full = json_get(golden, "full");
    assert_int_equal(file_read_text(GOLDEN "lines.jsonl", &text, &n, &e), 0);
    for (char *at = text, *next; (next = strchr(at, '\n')); at = next + 1) {
        Json *j = NULL;
        assert_int_equal(json_parse(&j, (Str){ at, (size_t)(next - at) }, "lines.jsonl", &e), 0);
        Str s = json_str(j);
        vec_clear(&ids);
        assert_int_equal(tok_encode(t, s, TOK_PLAIN, &ids, &e), 0);
        add_ids(&plain_buf, &ids);
        for (size_t i = 0; i < ids.n; i++)
            assert_false(tok_is_special(t, ids.p[i]));
        vec_clear(&ids);
        assert_int_equal(tok_encode(t, s, TOK_SPECIAL, &ids, &e), 0);
        add_ids(&ids_buf, &ids);
        for (size_t i = 0; line < json_len(full) && i < MAX(ids.n, json_len(json_at(full, line))); i++)
            assert_int_equal(i < ids.n ? ids.p[i] : -1, json_int(json_at(json_at(full, line), i)));
        for (int skip = 0; skip < 2; skip++) {
            strbuf_clear(&out);
            tok_decode(t, ids.p, ids.n, skip, &out);
            check_stream(t, &ids, skip, strbuf_str(&out));
            strbuf_add(skip ? &skip_buf : &text_buf, out.p, out.n);
            strbuf_addc(skip ? &skip_buf : &text_buf, (char)0xFF);
        }
        check_spans(t, s, &ids);
        json_free(j);
        if (++line % block_size == 0) {
            check_hash(&ids_buf, golden, "ids", block);
            check_hash(&plain_buf, golden, "plain", block);
            check_hash(&text_buf, golden, "text", block);
            check_hash(&skip_buf, golden, "skip", block);
            block++;
        }
    }
    assert_int_equal(line, 20000);
    assert_int_equal(block, json_len(json_get(golden, "ids")));
    strbuf_release(&ids_buf);
    strbuf_release(&plain_buf);
    strbuf_release(&text_buf);
    strbuf_release(&skip_buf);
    strbuf_release(&out);
    vec_release(&ids);
    free(text);
}

static void test_byte_level(void **state)
{
    (void)state;
    Json *golden = read_json(GOLDEN "big.json"), *file = read_json(GOLDEN "byte_level.json");
    Tok *t = open_json(file, "byte_level.json");
    assert_string_equal(tok_kind(t), "BPE (byte-level)");
    check_big(t, json_get(golden, "byte_level"), (size_t)json_int(json_get(golden, "block")));
    tok_free(t);
    json_free(file);
    json_free(golden);
}

static void test_stories(void **state)
{
    (void)state;
    if (!file_exists(SHARED_DIR "/models/stories260K/tokenizer.json")) {
        print_message("SKIPPED: no %s/models/stories260K\n", SHARED_DIR);
        skip();
    }
    Err e = { 0 };
    Json *golden = read_json(GOLDEN "big.json");
    Tok *t = NULL;
    TokIds ids = { 0 };
    TokSpans spans = { 0 };
    static const int32_t once[] = { 1, 403, 407, 261, 378 };
    static const TokSpan from[] = { { 0, 0 }, { 0, 4 }, { 4, 9 }, { 9, 11 }, { 11, 16 } };
    assert_int_equal(tok_open(&t, SHARED_DIR "/models/stories260K", &e), 0);
    assert_string_equal(tok_kind(t), "BPE (byte fallback)");
    assert_int_equal(tok_size(t), 512);
    assert_int_equal(tok_bos(t), 1);
    assert_int_equal(tok_eos(t), 2);
    assert_int_equal(tok_pad(t), -1);
    assert_int_equal(tok_encode_spans(t, STR_LIT("Once upon a time"), TOK_SPECIAL, &ids, &spans, &e), 0);
    assert_int_equal(ids.n, ARRAY_LEN(once));
    assert_memory_equal(ids.p, once, sizeof once);
    assert_memory_equal(spans.p, from, sizeof from);
    check_big(t, json_get(golden, "stories260K"), (size_t)json_int(json_get(golden, "block")));
    vec_release(&ids);
    vec_release(&spans);
    tok_free(t);
    json_free(golden);
}

/* --- one small tokenizer for each component --------------------------------------------------------------------------------------- */

static Json *shape_file(const Json *shape, const Json *vocabs)
{
    Json *file = json_obj_new(), *model = json_obj_new(), *value;
    const Json *vocab = json_get(vocabs, json_str(json_get(shape, "vocab")).p);
    JsonIter it = { 0 };
    Str key;
    json_set(model, "type", json_str_new(STR_LIT("BPE")));
    json_set(model, "vocab", json_ref(json_get(vocab, "vocab")));
    json_set(model, "merges", json_ref(json_get(vocab, "merges")));
    while (json_each(json_get(shape, "model"), &it, &key, &value))
        json_set(model, key.p, json_ref(value));
    it = (JsonIter){ 0 };
    while (json_each(json_get(shape, "rest"), &it, &key, &value))
        json_set(file, key.p, json_ref(value));
    json_set(file, "model", model);
    return file;
}

static void check_case(const Tok *t, const Json *c, const char *name)
{
    Err e = { 0 };
    TokIds ids = { 0 };
    StrBuf out = { 0 };
    Str text = json_str(json_at(c, 0));
    const Json *want = json_at(c, 1);
    if (tok_encode(t, text, TOK_SPECIAL, &ids, &e))
        fail_msg("%s: %s", name, e.text);
    bool same = ids.n == json_len(want);
    for (size_t i = 0; same && i < ids.n; i++)
        same = ids.p[i] == json_int(json_at(want, i));
    if (!same)
        fail_msg("%s: other ids than the library for \"%.*s\"", name, (int)text.n, text.p);
    for (int skip = 0; skip < 2; skip++) {
        strbuf_clear(&out);
        tok_decode(t, ids.p, ids.n, skip, &out);
        if (!str_eq(strbuf_str(&out), json_str(json_at(c, skip ? 3 : 2))))
            fail_msg("%s: other text than the library for \"%.*s\": \"%s\"", name, (int)text.n, text.p, strbuf_z(&out));
        check_stream(t, &ids, skip, strbuf_str(&out));
    }
    vec_release(&ids);
    strbuf_release(&out);
}

static void test_shapes(void **state)
{
    (void)state;
    Json *golden = read_json(GOLDEN "shapes.json");
    const Json *shapes = json_get(golden, "shapes");
    size_t cases = 0;
    log_stderr(false); /* ids of added tokens in these files disagree on purpose */
    for (size_t i = 0; i < json_len(shapes); i++) {
        const Json *shape = json_at(shapes, i), *list = json_get(shape, "cases");
        const char *name = json_str(json_get(shape, "name")).p;
        Json *file = shape_file(shape, json_get(golden, "vocabs"));
        Tok *t = open_json(file, name);
        json_free(file);
        for (size_t k = 0; k < json_len(list); k++, cases++)
            check_case(t, json_at(list, k), name);
        tok_free(t);
    }
    log_stderr(true);
    assert_true(json_len(shapes) >= 70 && cases >= 1000);
    json_free(golden);
}

/* The same for the models that are no BPE: here a shape names a whole model of the file. */
static void test_kinds(void **state)
{
    (void)state;
    Json *golden = read_json(GOLDEN "kinds.json");
    const Json *shapes = json_get(golden, "shapes");
    size_t cases = 0;
    for (size_t i = 0; i < json_len(shapes); i++) {
        const Json *shape = json_at(shapes, i), *list = json_get(shape, "cases");
        const char *name = json_str(json_get(shape, "name")).p;
        Json *file = json_obj_new(), *value;
        JsonIter it = { 0 };
        Str key;
        while (json_each(json_get(shape, "rest"), &it, &key, &value))
            json_set(file, key.p, json_ref(value));
        json_set(file, "model", json_ref(json_get(json_get(golden, "models"), json_str(json_get(shape, "model")).p)));
        Tok *t = open_json(file, name);
        json_free(file);
        for (size_t k = 0; k < json_len(list); k++, cases++) {
            TokIds ids = { 0 };
            Err e = { 0 };
            check_case(t, json_at(list, k), name);
            Str text = json_str(json_at(json_at(list, k), 0));
            assert_int_equal(tok_encode(t, text, TOK_SPECIAL, &ids, &e), 0);
            check_spans(t, text, &ids);
            vec_release(&ids);
        }
        tok_free(t);
    }
    assert_true(json_len(shapes) >= 38 && cases >= 454);
    json_free(golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_byte_level),
        cmocka_unit_test(test_stories),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
