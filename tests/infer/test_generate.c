/* test_generate.c - cached generation against PyTorch's numbers (tests/golden), against itself (chunks, prefixes, sequences), and on a real
 * small model with its tokenizer: the known story, stop texts, seeds, limits. On ref and on cpu. */
#include "golden/golden.h"
#include "base/check.h"
#include "infer/generate.h"

#define TOL 2e-5 /* largest difference / largest logit */
#define STORIES SHARED_DIR "/models/stories260K"

static Backend *be;

static double largest_difference(const float *a, const float *b, int64_t n)
{
    double d = 0, scale = 1e-9;
    for (int64_t i = 0; i < n; i++) {
        d = fmax(d, fabs((double)a[i] - (double)b[i]));
        scale = fmax(scale, fabs((double)b[i]));
    }
    return d / scale;
}

static Model *open_model(const char *dir)
{
    Err    e = { 0 };
    Model *m = NULL;
    must(model_open(&m, dir, be, NULL, &e));
    return m;
}

static void test_greedy_equals_pytorch(void **state)
{
    (void)state;
    for (size_t f = 0; f < ARRAY_LEN(golden_family); f++) {
        Golden    g = golden_open(golden_family[f]);
        Model    *m = open_model(g.dir);
        int64_t   n_prompt, n_want;
        int32_t  *prompt = golden_i32(&g, "greedy.prompt", &n_prompt), *want = golden_i32(&g, "greedy.ids", &n_want);
        Generator gen;
        GenResult r;
        Err       e = { 0 };
        generator_open(&gen, m, NULL, NULL);
        gen.n_end = 0; /* PyTorch's were not stopped by an end token either */
        generator_plan(&gen, n_prompt + n_want);
        must(generator_prompt(&gen, prompt, (int32_t)n_prompt, &e));
        must(generator_run(&gen, &(GenOptions){ .max_tokens = n_want }, 0, NULL, NULL, &r, &e));
        assert_int_equal(r.n_tokens, n_want);
        assert_int_equal(r.finish, FINISH_LENGTH);
        assert_memory_equal(gen.ids.p + n_prompt, want, (size_t)n_want * sizeof *want);
        generator_close(&gen);
        free(prompt);
        free(want);
        model_close(m);
        golden_close(&g);
    }
}

/* Token by token through the cache, with and without an adapter, against the logits of PyTorch's whole pass. */
static void check_decode(const char *family, bool adapter)
{
    Golden       g = golden_open(family);
    Model       *m = open_model(g.dir);
    const float *want;
    float       *all = golden_f32(&g, adapter ? "lora.logits" : "logits", NULL);
    Adapter     *a = NULL;
    Generator    gen;
    Err          e = { 0 };
    if (adapter)
        must(adapter_open(&a, m, g.adapter_dir, &e));
    generator_open(&gen, m, a, NULL);
    for (int32_t s = 0; s < g.n_seq; s++) {
        generator_plan(&gen, g.len[s]);
        for (int32_t i = 0; i < g.len[s] && i + 1 < generator_positions(&gen); i++) {
            must(generator_prompt(&gen, g.ids + g.start[s], i + 1, &e));
            want = all + ((int64_t)s * g.width + i) * m->cfg.vocab;
            const double d = largest_difference(gen.prompt_logits, want, m->cfg.vocab);
            if (d > TOL)
                fail_msg("%s, text %d, token %d: logits differ by %g of the largest", family, s, i, d);
        }
    }
    generator_close(&gen);
    free(all);
    adapter_free(a);
    model_close(m);
    golden_close(&g);
}

static void test_cached_decode_equals_full(void **state)
{
    (void)state;
    for (size_t f = 0; f < ARRAY_LEN(golden_family); f++) {
        check_decode(golden_family[f], false);
        check_decode(golden_family[f], true);
    }
}

static void test_chunks_equal_one_pass(void **state)
{
    (void)state;
    for (size_t f = 0; f < ARRAY_LEN(golden_family); f++) {
        Golden    g = golden_open(golden_family[f]);
        Model    *m = open_model(g.dir);
        float    *want = mem_alloc((size_t)m->cfg.vocab * sizeof *want);
        Generator gen;
        Err       e = { 0 };
        for (int32_t chunk = 512; chunk > 0; chunk = chunk == 512 ? 7 : chunk - 2) {
            generator_open(&gen, m, NULL, NULL);
            gen.chunk = chunk;
            must(generator_prompt(&gen, g.ids, g.len[0], &e));
            if (chunk == 512)
                memcpy(want, gen.prompt_logits, (size_t)m->cfg.vocab * sizeof *want);
            assert_true(largest_difference(gen.prompt_logits, want, m->cfg.vocab) < TOL);
            generator_close(&gen);
        }
        free(want);
        model_close(m);
        golden_close(&g);
    }
}

/* A prompt that begins like the last text keeps its part of the cache and gives the same logits as a fresh one; the cache grows on the way. */
static void test_prefix_is_reused(void **state)
{
    (void)state;
    Golden    g = golden_open("llama");
    Model    *m = open_model(g.dir);
    int32_t   ids[400];
    Generator used, fresh;
    Err       e = { 0 };
    must(model_reserve_positions(m, m->cfg.max_positions, &e));
    const int32_t n = (int32_t)MIN((int64_t)ARRAY_LEN(ids), m->cfg.max_positions - 1);
    for (int32_t i = 0; i < n; i++)
        ids[i] = (int32_t)((i * 7 + 3) % m->cfg.vocab);
    generator_open(&used, m, NULL, NULL);
    must(generator_prompt(&used, ids, n / 2, &e));
    must(generator_run(&used, &(GenOptions){ .max_tokens = 3 }, 0, NULL, NULL, &(GenResult){ 0 }, &e));
    ids[n / 4] = (ids[n / 4] + 1) % (int32_t)m->cfg.vocab; /* from here on it is another text */
    must(generator_prompt(&used, ids, n, &e));
    generator_open(&fresh, m, NULL, NULL);
    must(generator_prompt(&fresh, ids, n, &e));
    assert_true(largest_difference(used.prompt_logits, fresh.prompt_logits, m->cfg.vocab) < TOL);
    must(generator_prompt(&used, ids, n, &e)); /* the very same again */
    assert_true(largest_difference(used.prompt_logits, fresh.prompt_logits, m->cfg.vocab) < TOL);
    must(generator_prompt(&used, ids, n / 3, &e)); /* and a beginning of it */
    must(generator_prompt(&fresh, ids + 1, 1, &e));
    must(generator_prompt(&fresh, ids, n / 3, &e));
    assert_true(largest_difference(used.prompt_logits, fresh.prompt_logits, m->cfg.vocab) < TOL);
    generator_close(&used);
    generator_close(&fresh);
    model_close(m);
    golden_close(&g);
}

static void test_wrong_prompts(void **state)
{
    (void)state;
    for (size_t f = 0; f < ARRAY_LEN(golden_family); f++) {
        Golden    g = golden_open(golden_family[f]);
        Model    *m = open_model(g.dir);
        Generator gen;
        Err       e = { 0 };
        must(model_reserve_positions(m, m->cfg.max_positions, &e));
        const int32_t n = (int32_t)m->cfg.max_positions;
        int32_t      *ids = mem_zalloc((size_t)n, sizeof *ids);
        generator_open(&gen, m, NULL, NULL);
        generator_prompt(&gen, ids, 0, &e);
        check_says(&e, ERR_INPUT, "the prompt is empty");
        generator_prompt(&gen, ids, n, &e);
        check_says(&e, ERR_INPUT, "has positions for");
        ids[1] = (int32_t)m->cfg.vocab;
        generator_prompt(&gen, ids, 3, &e);
        check_says(&e, ERR_INPUT, "token 2 of the prompt");
        ids[1] = -1;
        generator_prompt(&gen, ids, 3, &e);
        check_says(&e, ERR_INPUT, "token 2 of the prompt");
        generator_close(&gen);
        free(ids);
        model_close(m);
        golden_close(&g);
    }
}

/* ---- a real model ---- */

typedef struct Story { Model *m; Tok *tok; Generator g; } Story;

static bool story_open(Story *s, const char *prompt)
{
    Err    e = { 0 };
    TokIds ids = { 0 };
    if (!file_exists(STORIES "/model.safetensors")) {
        fprintf(stderr, "SKIPPED: %s is not there; nothing was checked on a real model\n", STORIES);
        return false;
    }
    s->m = open_model(STORIES);
    must(tok_open(&s->tok, STORIES, &e));
    generator_open(&s->g, s->m, NULL, s->tok);
    must(tok_encode(s->tok, str_of(prompt), TOK_SPECIAL, &ids, &e));
    must(generator_prompt(&s->g, ids.p, (int32_t)ids.n, &e));
    vec_release(&ids);
    return true;
}

static void story_close(Story *s)
{
    generator_close(&s->g);
    tok_free(s->tok);
    model_close(s->m);
}

static char *tell(Story *s, GenOptions o, uint64_t sequence, GenResult *r)
{
    StrBuf text = { 0 };
    Err    e = { 0 };
    must(generator_run(&s->g, &o, sequence, NULL, &text, r, &e));
    return strbuf_take(&text);
}

static void test_known_story(void **state)
{
    (void)state;
    static const char want[] = ", there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball. She wanted to play "
                               "with it, but it was too high.";
    Story     s;
    GenResult r;
    if (!story_open(&s, "Once upon a time"))
        skip();
    char *text = tell(&s, (GenOptions){ .max_tokens = 100 }, 0, &r);
    assert_memory_equal(text, want, strlen(want));
    free(text);
    text = tell(&s, (GenOptions){ .max_tokens = 100, .sample = { .temperature = 1, .top_k = 1, .seed = 9 } }, 4, &r);
    assert_memory_equal(text, want, strlen(want));
    free(text);
    text = tell(&s, (GenOptions){ .max_tokens = 5 }, 0, &r);
    assert_int_equal(r.finish, FINISH_LENGTH);
    assert_int_equal(r.n_tokens, 5);
    free(text);
    story_close(&s);
}

static void test_sequences(void **state)
{
    (void)state;
    Story            s;
    GenResult        r;
    char            *text[4], *again[4];
    const GenOptions o = { .max_tokens = 40, .sample = { .temperature = 1, .seed = 11 } };
    GenOptions       other = o;
    if (!story_open(&s, "Once upon a time"))
        skip();
    for (uint64_t i = 0; i < 4; i++)
        text[i] = tell(&s, o, i, &r);
    for (uint64_t i = 4; i-- > 0;) /* in another order: a sequence does not depend on those before it */
        again[i] = tell(&s, o, i, &r);
    other.sample.seed = 12;
    char *seeded = tell(&s, other, 0, &r);
    assert_string_not_equal(text[0], seeded);
    for (int i = 0; i < 4; i++) {
        assert_string_equal(text[i], again[i]);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(text[i], text[k]);
    }
    for (int i = 0; i < 4; i++) {
        free(text[i]);
        free(again[i]);
    }
    free(seeded);
    story_close(&s);
}

typedef struct Seen { StrBuf text; int pieces, asked; } Seen;

static void see(void *user, Str piece)
{
    Seen *s = user;
    strbuf_add(&s->text, piece.p, piece.n);
    s->pieces++;
}

static bool ask(void *user)
{
    return ++((Seen *)user)->asked > 3;
}

static void test_stop_text_and_hooks(void **state)
{
    (void)state;
    Story     s;
    StopList  l;
    StrBuf    text = { 0 };
    Seen      seen = { 0 };
    GenResult r;
    Err       e = { 0 };
    if (!story_open(&s, "Once upon a time"))
        skip();
    must(stop_list_parse(&l, "xyz,ed to play o,Lily went", &e)); /* several tokens long, and begins inside one */
    must(generator_run(&s.g, &(GenOptions){ .stop = &l, .max_tokens = 100 }, 0, &(GenHooks){ .user = &seen, .text = see }, &text, &r, &e));
    assert_string_equal(strbuf_z(&text), ", there was a little girl named Lily. She lov");
    assert_string_equal(strbuf_z(&seen.text), strbuf_z(&text));
    assert_true(seen.pieces > 5);
    assert_int_equal(r.finish, FINISH_STOP_TEXT);
    must(generator_run(&s.g, &(GenOptions){ .max_tokens = 100 }, 0, &(GenHooks){ .user = &seen, .stop_asked = ask }, NULL, &r, &e));
    assert_int_equal(r.finish, FINISH_ASKED);
    assert_int_equal(r.n_tokens, 3);
    strbuf_release(&seen.text);
    strbuf_release(&text);
    stop_list_release(&l);
    story_close(&s);
}

/* Without max_tokens a text ends by itself or fills the positions, and the reason says which; an id added as an end is one. */
static void test_ends(void **state)
{
    (void)state;
    Story     s;
    GenResult r;
    Err       e = { 0 };
    if (!story_open(&s, "Once upon a time"))
        skip();
    free(tell(&s, (GenOptions){ 0 }, 0, &r));
    assert_true(r.finish == FINISH_END || (int64_t)s.g.ids.n == s.m->cfg.max_positions);
    s.g.n_end = 0;
    free(tell(&s, (GenOptions){ .max_tokens = 1 << 20 }, 0, &r));
    assert_int_equal(r.finish, FINISH_LENGTH);
    assert_int_equal(s.g.ids.n, s.m->cfg.max_positions);
    generator_end_add(&s.g, s.g.ids.p[s.g.n_prompt + 6]);
    free(tell(&s, (GenOptions){ 0 }, 0, &r));
    assert_int_equal(r.finish, FINISH_END);
    assert_in_range(r.n_tokens, 1, 6);

    float *w = mem_alloc((size_t)tensor_numel(s.m->final_norm.w) * sizeof *w);
    for (int64_t i = 0; i < tensor_numel(s.m->final_norm.w); i++)
        w[i] = NAN;
    be->upload(be, s.m->final_norm.w->data, w, (size_t)tensor_numel(s.m->final_norm.w) * sizeof *w);
    free(w);
    must(generator_prompt(&s.g, (int32_t[]){ 1, 5, 6 }, 3, &e));
    assert_int_equal(generator_run(&s.g, &(GenOptions){ 0 }, 0, NULL, NULL, &r, &e), ERR_WORK);
    check_says(&e, ERR_WORK, "at token 4 of the text");
    story_close(&s);
}

int main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_greedy_equals_pytorch), cmocka_unit_test(test_cached_decode_equals_full), cmocka_unit_test(test_chunks_equal_one_pass),
        cmocka_unit_test(test_prefix_is_reused),      cmocka_unit_test(test_wrong_prompts),             cmocka_unit_test(test_known_story),
        cmocka_unit_test(test_sequences),             cmocka_unit_test(test_stop_text_and_hooks),       cmocka_unit_test(test_ends),
    };
    golden_main(be, tests);
}
