/* test_chat.c - conversations to tokens: the text says what the ids say, a generation prompt is the beginning of the conversation with its
 * answer, and whatever is wrong with a message is said with its place. Masks of whole rows stand in data/masks.test. */
#include "base/check.h"
#include "data/tiny_tok.h"
#include "tokenizer/chat.h"

#define STORIES SHARED_DIR "/models/stories260K"

static const TinyTok tiny[] = { TINY_BYTES, TINY_NOBOS, TINY_CHATML, TINY_GPT2 };

static Json *parse(const char *text)
{
    Json *j;
    Err e;
    if (json_parse(&j, str_of(text), "test", &e))
        fail_msg("%s", e.text);
    return j;
}

static void render(const Tok *t, const char *messages, bool generation_prompt, ChatOut *out)
{
    Err e;
    Json *j = parse(messages);
    if (chat_render(t, j, generation_prompt, "test", out, &e))
        fail_msg("%s", e.text);
    assert_int_equal(out->ids.n, out->mask.n);
    json_free(j);
}

static void test_templates(void **state)
{
    (void)state;
    static const char talk[] = "[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"user\",\"content\":\"Q\"},{\"role\":\"assistant\",\"content\":\"A\"}]";
    static const char chatml[] = "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n";
    static const char *const want[] = {
        "<s>system:\nS</s>\nuser:\nQ</s>\nassistant:\nA</s>\n",
        "system:\nS</s>\nuser:\nQ</s>\nassistant:\nA</s>\n",
        chatml,
        "system:\nS<|endoftext|>\nuser:\nQ<|endoftext|>\nassistant:\nA<|endoftext|>\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(tiny); i++) {
        Tok *t = tiny_tok(tiny[i]);
        ChatOut out = { 0 };
        StrBuf back = { 0 };
        size_t n_trained = 0;
        render(t, talk, false, &out);
        assert_string_equal(strbuf_z(&out.text), want[i]);
        tok_decode(t, out.ids.p, out.ids.n, false, &back);
        assert_string_equal(strbuf_z(&back), want[i]);
        for (size_t k = 0; k < out.mask.n; k++)
            n_trained += out.mask.p[k];
        assert_int_equal(n_trained, 2); /* "A" and its terminator, which stand before the last newline */
        assert_int_equal(out.mask.p[out.mask.n - 2], 1);
        assert_int_equal(out.ids.p[out.ids.n - 2], chat_terminator(t, NULL));

        chat_out_clear(&out);
        render(t, "[{\"role\":\"user\",\"content\":\"Q\"}]", true, &out);
        assert_true(str_ends(strbuf_str(&out.text), tiny[i].chatml ? "Q<|im_end|>\n<|im_start|>assistant\n" : "\nassistant:\n"));
        for (size_t k = 0; k < out.mask.n; k++)
            assert_int_equal(out.mask.p[k], 0);
        strbuf_release(&back);
        chat_out_release(&out);
        tok_free(t);
    }
}

/* What the model is asked to continue is what it saw in training, whatever the answer starts with. */
static void check_prefix(const Tok *t)
{
    static const char *const answers[] = { "A", " A", "\\n\\nA", "\\n", "", "ab", "\\u00e9", "<|im_end|></s><s>", "  A", "\\t\\r\\n x", "\\u0000" };
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        ChatOut prompt = { 0 }, talk = { 0 };
        StrBuf json = { 0 };
        strbuf_addf(&json, "[{\"role\":\"user\",\"content\":\"Q%s\"},{\"role\":\"assistant\",\"content\":\"%s\"}]", answers[i], answers[i]);
        render(t, strbuf_z(&json), false, &talk);
        strbuf_clear(&json);
        strbuf_addf(&json, "[{\"role\":\"user\",\"content\":\"Q%s\"}]", answers[i]);
        render(t, strbuf_z(&json), true, &prompt);
        assert_true(talk.ids.n > prompt.ids.n);
        assert_memory_equal(talk.ids.p, prompt.ids.p, prompt.ids.n * sizeof *prompt.ids.p);
        assert_memory_equal(talk.text.p, prompt.text.p, prompt.text.n);
        for (size_t k = 0; k < prompt.ids.n; k++)
            assert_int_equal(talk.mask.p[k], 0);
        assert_int_equal(talk.mask.p[prompt.ids.n], 1);
        strbuf_release(&json);
        chat_out_release(&prompt);
        chat_out_release(&talk);
    }
}

static void test_prefix(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(tiny); i++) {
        Tok *t = tiny_tok(tiny[i]);
        check_prefix(t);
        tok_free(t);
    }
}

/* The ids are those of the text, as any other program that encodes the text would find them. */
static void test_real_tokenizer(void **state)
{
    (void)state;
    Err e;
    Tok *t = NULL;
    ChatOut out = { 0 };
    TokIds ids = { 0 };
    if (!file_exists(STORIES "/tokenizer.json")) {
        print_message("SKIPPED: this test needs %s\n", STORIES);
        return;
    }
    if (tok_open(&t, STORIES, &e))
        fail_msg("%s", e.text);
    check_prefix(t);
    render(t, "[{\"role\":\"user\",\"content\":\"Tell me a story.\\n\\nPlease!\"},{\"role\":\"assistant\",\"content\":\"Once upon a time \\u00fc\"},"
              "{\"role\":\"tool\",\"content\":\"{}\"},{\"role\":\"assistant\",\"content\":\" Lily\"}]", false, &out);
    if (tok_encode(t, strbuf_str(&out.text), 0, &ids, &e))
        fail_msg("%s", e.text);
    assert_int_equal(ids.n, out.ids.n);
    assert_memory_equal(ids.p, out.ids.p, ids.n * sizeof *ids.p);
    vec_release(&ids);
    chat_out_release(&out);
    tok_free(t);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct { const char *messages, *says; } cases[] = {
        { "[]", "test: \"messages\" must be an array with at least one message, found an empty one" },
        { "{}", "found an object" },
        { "[5]", "test, messages[0]: expected an object with role and content, found a number" },
        { "[{\"content\":\"x\"}]", "test, messages[0]: \"role\" is missing" },
        { "[{\"role\":1,\"content\":\"x\"}]", "\"role\" is a number" },
        { "[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"human\",\"content\":\"x\"}]", "test, messages[1]: unknown role \"human\"; expected system" },
        { "[{\"role\":\"user\"}]", "\"content\" is missing" },
        { "[{\"role\":\"user\",\"content\":null}]", "\"content\" is missing" },
        { "[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]", "\"content\" is an array" },
        { "[{\"role\":\"user\",\"content\":\"x\",\"weight\":1}]", "\"weight\" stands on a message of role user" },
        { "[{\"role\":\"assistant\",\"content\":\"x\",\"weight\":2}]", "\"weight\" is 2; expected 0 (not trained) or 1" },
        { "[{\"role\":\"assistant\",\"content\":\"x\",\"weight\":\"1\"}]", "\"weight\" is a string" },
        { "[{\"role\":\"assistant\",\"content\":\"x\",\"weight\":0.5}]", "\"weight\" is 0.5" },
        { "[{\"role\":\"assistant\",\"content\":\"x\",\"tool_calls\":[{}]}]", "\"tool_calls\" needs the model's own chat template" },
        { "[{\"role\":\"assistant\",\"content\":null,\"function_call\":{\"name\":\"f\"}}]", "\"function_call\" needs the model's own chat template" },
        { "[{\"role\":\"assistant\",\"content\":\"x\",\"reasoning_content\":\"hm\"}]", "\"reasoning_content\" needs" },
    };
    Tok *t = tiny_tok(TINY_BYTES), *noeos = tiny_tok(TINY_NOEOS);
    Err e;
    ChatOut out = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Json *j = parse(cases[i].messages);
        e = (Err){ 0 };
        chat_render(t, j, false, "test", &out, &e);
        check_says(&e, ERR_INPUT, cases[i].says);
        json_free(j);
    }
    e = (Err){ 0 };
    assert_int_equal(chat_render(t, NULL, false, "test", &out, &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, "found nothing");
    assert_true(chat_terminator(noeos, &e) < 0);
    check_says(&e, ERR_INPUT, "no token that could end an answer");
    Json *j = parse("[{\"role\":\"user\",\"content\":\"x\"}]");
    assert_int_equal(chat_render(noeos, j, true, "test", &out, &e), ERR_INPUT);
    json_free(j);
    chat_out_release(&out);
    tok_free(t);
    tok_free(noeos);
}

static void test_rows(void **state)
{
    (void)state;
    static const struct { const char *row, *says; } cases[] = {
        { "{\"messages\":[{\"role\":\"user\",\"content\":\"x\",\"name\":\"Ann\",\"tool_calls\":[]}],\"tools\":[],\"functions\":null,\"id\":1}", NULL },
        { "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"tools\":[{}]}", "test: \"tools\" needs" },
        { "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"functions\":[{}]}", "test: \"functions\" needs" },
        { "{\"prompt\":\"x\"}", "found nothing" },
    };
    Tok *t = tiny_tok(TINY_CHATML);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Err e = { 0 };
        ChatOut out = { 0 };
        Json *j = parse(cases[i].row);
        int rc = chat_render_row(t, j, false, "test", &out, &e);
        if (cases[i].says)
            check_says(&e, ERR_INPUT, cases[i].says);
        else if (rc)
            fail_msg("%s", e.text);
        json_free(j);
        chat_out_release(&out);
    }
    tok_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_templates), cmocka_unit_test(test_prefix), cmocka_unit_test(test_real_tokenizer),
        cmocka_unit_test(test_refusals),  cmocka_unit_test(test_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
