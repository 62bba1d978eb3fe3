/* test_config.c - config.json: both spellings of rotary settings give the frequencies of transformers at the sizes of real models; windows and layer
 * lists; what is silent; and what is refused, by name. */
#include "golden/golden.h"
#include "model/model_int.h"

static int read_text(ModelConfig *c, const char *text, Err *e)
{
    Json         *j = NULL;
    const Family *f;
    int           rc = json_parse(&j, str_of(text), "config.json", e);
    rc = rc ? rc : model_config_read(c, &f, j, NULL, "config.json", e);
    json_free(j);
    return rc;
}

/* Steps between two floats of the same sign. */
static int64_t ulps(float a, float b)
{
    int32_t x, y;
    memcpy(&x, &a, sizeof x);
    memcpy(&y, &b, sizeof y);
    return llabs((long long)x - y);
}

static void test_frequencies(void **state)
{
    (void)state;
    Err   e = { 0 };
    Json *rows = NULL;
    int   differ = 0, total = 0;
    must(json_read_file(&rows, TEST_DIR "/golden/rope.json", &e));
    assert_true(json_len(rows) > 10);
    for (size_t i = 0; i < json_len(rows); i++)
        for (int spelling = 0; spelling < 2; spelling++) {
            const Json   *row = json_at(rows, i), *want = json_get(row, "frequencies");
            const Str     name = json_str(json_get(row, "name"));
            const Family *f;
            ModelConfig   c;
            float         got[ROPE_PAIRS_MAX];
            must(model_config_read(&c, &f, json_get(row, spelling ? "new" : "old"), NULL, "config.json", &e));
            const RopeConfig *r = &c.rope[json_int(json_get(row, "set"))];
            rope_frequencies(r, json_int(json_get(row, "length")), got);
            assert_int_equal(r->rot / 2, json_len(want));
            assert_true(fabs(r->attention_factor - json_num(json_get(row, "attention_factor"))) < 1e-12);
            for (size_t k = 0; k < json_len(want); k++) {
                const int64_t off = ulps(got[k], (float)json_num(json_at(want, k)));
                differ += off != 0;
                total++;
                if (off > 2)
                    fail_msg("%.*s: frequency %zu is %.9g, transformers says %.9g", (int)name.n, name.p, k, (double)got[k], json_num(json_at(want, k)));
            }
        }
    print_message("%d of %d frequencies differ in the last bit or two\n", differ, total);
    json_free(rows);
}

#define SIZES "\"hidden_size\":32,\"num_hidden_layers\":6,\"num_attention_heads\":4,\"intermediate_size\":52,\"vocab_size\":9"
#define BODY "\"num_key_value_heads\":2," SIZES

/* One letter for each layer: . full, w windowed, n without rotation, b both, l windowed and turned by the local base. */
static void layers_text(const ModelConfig *c, char *out)
{
    static const char letter[] = { '.', 'w', 'n', 'b', '?', 'l', '?', '?' };
    for (int64_t i = 0; i < c->layers; i++)
        *out++ = letter[c->layer[i]];
    *out = 0;
}

static void test_layers(void **state)
{
    (void)state;
    static const struct { const char *json, *layers; int window; } row[] = {
        { "{\"model_type\":\"llama\"," BODY "}", "......", 0 },
        { "{\"model_type\":\"mistral\"," BODY "}", "wwwwww", 4096 }, /* silence is a window here, null is none */
        { "{\"model_type\":\"mistral\",\"sliding_window\":null," BODY "}", "......", 0 },
        { "{\"model_type\":\"mistral\",\"sliding_window\":7," BODY "}", "wwwwww", 7 },
        { "{\"model_type\":\"phi3\"," BODY "}", "......", 0 },
        { "{\"model_type\":\"phi3\",\"sliding_window\":2047," BODY "}", "wwwwww", 2047 },
        { "{\"model_type\":\"qwen2\",\"sliding_window\":8," BODY "}", "......", 0 },
        { "{\"model_type\":\"qwen2\",\"use_sliding_window\":true,\"sliding_window\":8,\"max_window_layers\":4," BODY "}", "....ww", 8 },
        { "{\"model_type\":\"qwen3\",\"use_sliding_window\":true,\"sliding_window\":8,\"max_window_layers\":4," BODY
          ",\"layer_types\":[\"sliding_attention\",\"full_attention\",\"full_attention\",\"full_attention\",\"full_attention\",\"sliding_attention\"]}",
          "w....w", 8 },
        { "{\"model_type\":\"smollm3\"," BODY "}", "...n..", 0 },
        { "{\"model_type\":\"smollm3\",\"no_rope_layer_interval\":3,\"use_sliding_window\":true,\"sliding_window\":5," BODY "}", "..b..b", 5 },
        { "{\"model_type\":\"smollm3\",\"no_rope_layers\":[0,1,1,1,1,0]," BODY "}", "n....n", 0 },
        { "{\"model_type\":\"gemma2\",\"sliding_window\":16," BODY "}", "w.w.w.", 16 },
        { "{\"model_type\":\"gemma3_text\",\"sliding_window\":16," BODY "}", "lllll.", 16 },
        { "{\"model_type\":\"gemma3_text\",\"sliding_window\":16,\"sliding_window_pattern\":2," BODY "}", "l.l.l.", 16 },
        { "{\"model_type\":\"starcoder2\",\"sliding_window\":3," BODY "}", "wwwwww", 3 },
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        Err         e = { 0 };
        ModelConfig c;
        char        got[LAYERS_MAX + 1];
        must(read_text(&c, row[i].json, &e));
        layers_text(&c, got);
        assert_string_equal(got, row[i].layers);
        assert_int_equal(c.window, row[i].window);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct { const char *json, *say; } bad[] = {
        { "{\"model_type\":\"llama\",\"sliding_window\":8," BODY "}", "sliding_window is set" },
        { "{\"model_type\":\"llama\",\"partial_rotary_factor\":0.5," BODY "}", "partial_rotary_factor" },
        { "{\"model_type\":\"llama\",\"attn_logit_softcapping\":50," BODY "}", "attn_logit_softcapping" },
        { "{\"model_type\":\"llama\",\"residual_multiplier\":0.5," BODY "}", "residual_multiplier" },
        { "{\"model_type\":\"llama\",\"rope_interleaved\":true," BODY "}", "rope_interleaved" },
        { "{\"model_type\":\"llama\",\"hidden_act\":\"mish\"," BODY "}", "mish" },
        { "{\"model_type\":\"llama\",\"num_key_value_heads\":3," SIZES "}", "cannot share" },
        { "{\"model_type\":\"gemma3_text\",\"vision_config\":{\"a\":1}," BODY "}", "vision_config" },
        { "{\"model_type\":\"gemma3_text\",\"use_bidirectional_attention\":true," BODY "}", "use_bidirectional_attention" },
        { "{\"model_type\":\"gemma3_text\",\"attn_logit_softcapping\":50," BODY "}", "attn_logit_softcapping" },
        { "{\"model_type\":\"gemma2\",\"sliding_window\":null," BODY "}", "windowed layers" },
        { "{\"model_type\":\"qwen2\"," BODY ",\"layer_types\":[\"full_attention\"]}", "names 1 layers" },
        { "{\"model_type\":\"qwen2\"," BODY ",\"layer_types\":[\"x\",\"x\",\"x\",\"x\",\"x\",\"x\"]}", "layer_types[0] is \"x\"" },
        { "{\"model_type\":\"mistral\",\"sliding_window\":0," BODY "}", "sliding_window is 0" },
        { "{\"model_type\":\"llama\"," BODY ",\"rope_scaling\":{\"type\":\"yarn\",\"factor\":2,\"sauce\":3}}", "sauce" },
        { "{\"model_type\":\"llama\"," BODY ",\"rope_scaling\":{\"type\":\"mrope\"}}", "mrope" },
        { "{\"model_type\":\"llama\"," BODY ",\"rope_scaling\":{\"type\":\"linear\"}}", "factor" },
        { "{\"model_type\":\"llama\"," BODY ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":0.5}}", "factor of at least 1" },
        { "{\"model_type\":\"phi3\"," BODY ",\"rope_scaling\":{\"type\":\"longrope\",\"short_factor\":[1],\"long_factor\":[1]}}", "short_factor" },
        { "{\"model_type\":\"gpt_neox\",\"rotary_pct\":0.4," SIZES "}", "even number" },
        { "{\"model_type\":\"gpt_neox\"," BODY "}", "one key/value head for each" },
        { "{\"model_type\":\"granite\",\"logits_scaling\":0," BODY "}", "logits_scaling" },
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        Err         e = { 0 };
        ModelConfig c;
        assert_int_equal(read_text(&c, bad[i].json, &e), ERR_INPUT);
        if (!strstr(e.text, bad[i].say))
            fail_msg("\"%s\" does not say %s", e.text, bad[i].say);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_frequencies), cmocka_unit_test(test_layers), cmocka_unit_test(test_refusals) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
