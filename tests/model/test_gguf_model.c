/* test_gguf_model.c - models and adapters through GGUF files and back, for every architecture: the same weights, the same logits; what must be refused is
 * refused by name. (What llama.cpp itself computes from such files is compared by tools/judge_gguf.py.) */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "formats/gguf.h"
#include "model/gguf_model.h"
#include "model/gguf_save.h"
#include "model/model_int.h"
#include "tensor/inspect.h"

#define BASE "\"hidden_size\":64,\"num_hidden_layers\":4,\"num_attention_heads\":4,\"num_key_value_heads\":2,\"intermediate_size\":96,\"vocab_size\":80," \
             "\"max_position_embeddings\":64,"

static const struct { const char *name, *config; double slack; } models[] = {
    { "llama", "{\"model_type\":\"llama\"," BASE "\"rms_norm_eps\":1e-5}", 0 },
    { "llama, tied, biases, head size", "{\"model_type\":\"llama\"," BASE "\"tie_word_embeddings\":true,\"attention_bias\":true,\"mlp_bias\":true,\"head_dim\":8}", 0 },
    { "llama, llama3 as released", "{\"model_type\":\"llama\"," BASE "\"rope_theta\":500000,\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":1,"
      "\"high_freq_factor\":4,\"original_max_position_embeddings\":8192}}", 0 },
    { "llama, llama3 otherwise", "{\"model_type\":\"llama\"," BASE "\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":4,\"low_freq_factor\":1,"
      "\"high_freq_factor\":4,\"original_max_position_embeddings\":32}}", 1e-5 },
    { "llama, linear", "{\"model_type\":\"llama\"," BASE "\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":2}}", 0 },
    { "llama, yarn", "{\"model_type\":\"llama\"," BASE "\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":2,\"original_max_position_embeddings\":32}}", 1e-6 },
    { "mistral", "{\"model_type\":\"mistral\"," BASE "\"sliding_window\":null,\"head_dim\":32}", 0 },
    { "qwen2", "{\"model_type\":\"qwen2\"," BASE "\"rope_theta\":1000000}", 0 },
    { "qwen3", "{\"model_type\":\"qwen3\"," BASE "\"head_dim\":32}", 0 },
    { "gpt2", "{\"model_type\":\"gpt2\",\"n_embd\":64,\"n_layer\":2,\"n_head\":4,\"vocab_size\":80,\"n_positions\":32,\"n_inner\":96}", 0 },
    { "gemma", "{\"model_type\":\"gemma\"," BASE "\"head_dim\":32}", 0 },
    { "gemma2", "{\"model_type\":\"gemma2\"," BASE "\"head_dim\":16,\"query_pre_attn_scalar\":16,\"sliding_window\":8}", 0 },
    { "gemma3", "{\"model_type\":\"gemma3_text\"," BASE "\"head_dim\":16,\"query_pre_attn_scalar\":16,\"sliding_window\":8}", 0 },
    { "gemma3, linear, own pattern", "{\"model_type\":\"gemma3_text\"," BASE "\"head_dim\":16,\"query_pre_attn_scalar\":16,\"sliding_window\":8,\"layer_types\":["
      "\"full_attention\",\"sliding_attention\",\"full_attention\",\"sliding_attention\"],\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":8}}", 0 },
    { "phi3", "{\"model_type\":\"phi3\"," BASE "\"sliding_window\":8}", 0 },
    { "phi3, longrope, partial", "{\"model_type\":\"phi3\"," BASE "\"partial_rotary_factor\":0.5,\"original_max_position_embeddings\":16,\"rope_scaling\":{\"rope_type\":"
      "\"longrope\",\"short_factor\":[1,1.25,1.5,2],\"long_factor\":[1,2,3,4]}}", 1e-6 },
    { "phi2", "{\"model_type\":\"phi\"," BASE "\"partial_rotary_factor\":0.5}", 0 },
    { "gpt_neox", "{\"model_type\":\"gpt_neox\",\"hidden_size\":64,\"num_hidden_layers\":3,\"num_attention_heads\":4,\"intermediate_size\":96,\"vocab_size\":80,"
      "\"max_position_embeddings\":64,\"rotary_pct\":0.25,\"use_parallel_residual\":false}", 0 },
    { "smollm3", "{\"model_type\":\"smollm3\"," BASE "\"tie_word_embeddings\":true}", 0 },
    { "olmo2", "{\"model_type\":\"olmo2\"," BASE "\"tie_word_embeddings\":false}", 0 },
    { "granite", "{\"model_type\":\"granite\"," BASE "\"attention_multiplier\":0.1,\"embedding_multiplier\":3,\"residual_multiplier\":0.5,\"logits_scaling\":2}", 1e-6 },
    { "mixtral", "{\"model_type\":\"mixtral\"," BASE "\"num_local_experts\":4,\"num_experts_per_tok\":2,\"sliding_window\":null}", 0 },
    { "qwen2_moe", "{\"model_type\":\"qwen2_moe\"," BASE "\"num_experts\":4,\"num_experts_per_tok\":2,\"moe_intermediate_size\":48,"
      "\"shared_expert_intermediate_size\":40}", 0 },
    { "qwen3_moe", "{\"model_type\":\"qwen3_moe\"," BASE "\"num_experts\":4,\"num_experts_per_tok\":2,\"moe_intermediate_size\":48,\"head_dim\":32,"
      "\"norm_topk_prob\":true}", 0 },
    { "starcoder2", "{\"model_type\":\"starcoder2\"," BASE "\"tie_word_embeddings\":true}", 0 },
};

static char *scratch_dir(void)
{
    char  text[] = "/tmp/hone-gguf-XXXXXX";
    char *d = mkdtemp(text);
    assert_non_null(d);
    return mem_strdup(d);
}

static void need(int rc, const Err *e, const char *what)
{
    if (rc)
        fail_msg("%s: %s", what, e->text);
}

/* A model of random weights in which norms and biases are random too, so that a misplaced one shows. NULL: this build has no such family. */
static Model *make(const char *dir, const char *config, Backend *be)
{
    Err    e = { 0 };
    Model *m = NULL;
    char  *path = path_join(dir, "config.json");
    need(file_write_atomic(path, config, strlen(config), &e), &e, path);
    int rc = model_open_random(&m, dir, be, DT_F32, 5, &e);
    free(path);
    if (rc && strstr(e.text, "is not a family hone knows"))
        return NULL;
    need(rc, &e, config);
    for (int i = 0; i < m->slots->n; i++) {
        Tensor *t = *m->slots->p[i].at;
        if (m->slots->p[i].rank != 1)
            continue;
        Rng    r = rng_at(9, RNG_WEIGHT_INIT, (uint64_t)i, 1);
        float *v = mem_alloc((size_t)tensor_numel(t) * sizeof *v);
        rng_normals(&r, v, tensor_numel(t));
        for (int64_t k = 0; k < tensor_numel(t); k++)
            v[k] = (str_ends(str_of(m->slots->p[i].name), ".bias") ? 0.0f : 1.0f - m->fam->norm_offset) + 0.25f * v[k];
        m->be->upload(m->be, t->data, v, (size_t)tensor_numel(t) * sizeof *v);
        free(v);
    }
    return m;
}

static float *values(const Tensor *t)
{
    float *v = mem_alloc((size_t)tensor_numel(t) * sizeof *v);
    tensor_get(t, v);
    return v;
}

static float *logits(Model *m, const Adapter *a, int32_t n)
{
    TArena  scratch;
    Err     e = { 0 };
    Step    s;
    Tape    t;
    int32_t id[64], pos[64], zero = 0;
    tarena_init(&scratch, m->be);
    for (int32_t i = 0; i < n; i++) {
        id[i] = (i * 37 + 5) % (int32_t)m->cfg.vocab;
        pos[i] = i;
    }
    Tensor *ids = tarena_tensor(&scratch, NULL, DT_I32, 1, (int64_t[]){ n }), *at = tarena_tensor(&scratch, NULL, DT_I32, 1, (int64_t[]){ n });
    m->be->upload(m->be, ids->data, id, (size_t)n * sizeof *id);
    m->be->upload(m->be, at->data, pos, (size_t)n * sizeof *pos);
    need(model_reserve_positions(m, n, &e), &e, "positions");
    step_init(&s, m, &scratch, ids, at, 1, &zero, &n);
    s.adapter = a;
    tape_init(&t, m->be, &scratch, false);
    Tensor *out = model_logits(&t, m, s.adapter, model_hidden(&t, m, &s, NULL));
    assert_false(tarena_failed(&scratch, &e));
    float *v = values(out);
    tape_release(&t);
    tarena_release(&scratch);
    return v;
}

static double largest_difference(const float *a, const float *b, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++) {
        const double d = fabs((double)a[i] - (double)b[i]);
        most = d <= most ? most : d; /* a NaN stays */
    }
    return most;
}

static Model *through(const Model *m, const char *dir, const char *type, StrBuf *notes)
{
    Err             e = { 0 };
    Model          *again = NULL;
    const GgufType *t = NULL;
    char           *path = path_join(dir, "m.gguf");
    unlink(path);
    need(gguf_type_find(&t, type, &e), &e, type);
    need(gguf_save(m, NULL, NULL, NULL, path, t, 2, notes, &e), &e, path);
    need(model_open(&again, path, m->be, NULL, &e), &e, path);
    free(path);
    return again;
}

static void test_round_trip(void **state)
{
    (void)state;
    Err      e = { 0 };
    Backend *be = backend_open("cpu", 1, &e);
    char    *dir = scratch_dir();
    int      done = 0;
    for (size_t i = 0; i < ARRAY_LEN(models); i++) {
        StrBuf notes = { 0 };
        Model *m = make(dir, models[i].config, be);
        if (!m)
            continue;
        done++;
        Model *again = through(m, dir, "F32", &notes);
        for (int k = 0; k < m->slots->n; k++) {
            const Slot *s = &m->slots->p[k];
            int         at = 0;
            while (at < again->slots->n && strcmp(again->slots->p[at].name, s->name) != 0)
                at++;
            if (at == again->slots->n)
                fail_msg("%s: %s is lost", models[i].name, s->name);
            float *a = values(*s->at), *b = values(*again->slots->p[at].at);
            /* 1 + w and back: the sum is rounded once, and hone adds the 1 again */
            const double slack = m->fam->norm_offset > 0 && s->rank == 1 ? 2e-7 : 0;
            if (!(largest_difference(a, b, tensor_numel(*s->at)) <= slack))
                fail_msg("%s: %s has other numbers", models[i].name, s->name);
            free(a);
            free(b);
        }
        float       *was = logits(m, NULL, 24), *now = logits(again, NULL, 24);
        const double slack = models[i].slack + (m->fam->norm_offset > 0 ? 1e-5 : 0), d = largest_difference(was, now, 24 * m->cfg.vocab);
        if (!(d <= slack))
            fail_msg("%s: logits differ by %g, %g is allowed", models[i].name, d, slack);
        free(was);
        free(now);
        model_close(again);
        model_close(m);
        strbuf_release(&notes);
    }
    assert_true(done >= 8);
    dir_remove(dir, NULL);
    free(dir);
    be->close(be);
}

/* Every written type: matrices near the source, what is always F32 untouched. */
static void test_types(void **state)
{
    (void)state;
    static const struct { const char *type; double share; } types[] = {
        { "F16", 1e-3 }, { "BF16", 1e-2 }, { "Q8_0", 2e-2 }, { "Q5_1", 0.1 }, { "Q5_0", 0.1 }, { "Q4_1", 0.2 }, { "Q4_0", 0.2 }, { "Q4_K_M", 0.2 }, { "q2_k", 0.6 },
    };
    Err      e = { 0 };
    Backend *be = backend_open("cpu", 1, &e);
    char    *dir = scratch_dir();
    Model   *m = make(dir, models[0].config, be);
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        StrBuf notes = { 0 };
        Model *again = through(m, dir, types[i].type, &notes);
        assert_int_equal(again->packed, types[i].share > 1e-2);
        for (int k = 0; k < m->slots->n; k++) {
            const Slot *s = &m->slots->p[k];
            float      *a = values(*s->at), *b = values(*again->slots->p[k].at);
            double      off = 0, all = 0;
            for (int64_t x = 0; x < tensor_numel(*s->at); x++) {
                off += ((double)a[x] - (double)b[x]) * ((double)a[x] - (double)b[x]);
                all += (double)a[x] * (double)a[x];
            }
            if (!(sqrt(off / all) <= (s->rank == 1 ? 0 : types[i].share)))
                fail_msg("%s: %s is off by a share of %g", types[i].type, s->name, sqrt(off / all));
            free(a);
            free(b);
        }
        model_close(again);
        strbuf_release(&notes);
    }
    model_close(m);
    dir_remove(dir, NULL);
    free(dir);
    be->close(be);
}

static void test_adapter(void **state)
{
    (void)state;
    Err      e = { 0 };
    Backend *be = backend_open("cpu", 1, &e);
    char    *dir = scratch_dir(), *path = path_join(dir, "lora.gguf");
    for (size_t i = 0; i < ARRAY_LEN(models); i++) {
        Model   *m = make(dir, models[i].config, be);
        Adapter *a = NULL, *b = NULL;
        if (!m)
            continue;
        need(adapter_new(&a, m, "all", 3, 7, true, 1, &e), &e, models[i].name);
        for (int k = 0; k < m->n_linear; k++)
            if (a->pair[k].b) {
                const int64_t n = tensor_numel(a->pair[k].b);
                float        *v = mem_alloc((size_t)n * sizeof *v);
                Rng           r = rng_at(2, RNG_LORA_INIT, (uint64_t)k, 1);
                rng_normals(&r, v, n);
                be->upload(be, a->pair[k].b->data, v, (size_t)n * sizeof *v);
                free(v);
            }
        unlink(path);
        need(gguf_save_adapter(a, m, path, &e), &e, models[i].name);
        need(adapter_open(&b, m, path, &e), &e, models[i].name);
        assert_int_equal(b->rank, 3);
        assert_int_equal(b->n_adapted, a->n_adapted);
        float *was = logits(m, a, 12), *now = logits(m, b, 12);
        if (!(largest_difference(was, now, 12 * m->cfg.vocab) <= 1e-4))
            fail_msg("%s: the adapter computes something else", models[i].name);
        free(was);
        free(now);
        adapter_free(a);
        adapter_free(b);
        model_close(m);
    }
    dir_remove(dir, NULL);
    free(dir);
    free(path);
    be->close(be);
}

/* An adapter that brings a head of its own to a tied model: the merged file has both tables and computes what the adapter did. */
static void test_trained_head(void **state)
{
    (void)state;
    Err             e = { 0 };
    Backend        *be = backend_open("cpu", 1, &e);
    char           *dir = scratch_dir(), *path = path_join(dir, "m.gguf");
    Model          *m = make(dir, models[1].config, be), *again = NULL;
    Adapter        *a = NULL;
    const GgufType *type = NULL;
    StrBuf          notes = { 0 };
    assert_true(m->cfg.tied);
    need(adapter_new(&a, m, "all", 2, 4, false, 1, &e), &e, "adapter");
    a->head = tarena_tensor(&a->arena, "head", DT_F32, 2, m->embed->dim);
    const int64_t n = tensor_numel(a->head);
    float        *v = mem_alloc((size_t)n * sizeof *v);
    Rng           r = rng_at(4, RNG_WEIGHT_INIT, 0, 1);
    rng_normals(&r, v, n);
    be->upload(be, a->head->data, v, (size_t)n * sizeof *v);
    need(gguf_type_find(&type, "F32", &e), &e, "F32");
    need(gguf_save(m, a, NULL, NULL, path, type, 1, &notes, &e), &e, path);
    need(model_open(&again, path, be, NULL, &e), &e, path);
    assert_false(again->cfg.tied);
    float *was = logits(m, a, 12), *now = logits(again, NULL, 12);
    assert_true(largest_difference(was, now, 12 * m->cfg.vocab) <= 1e-5);
    unlink(path);
    assert_int_not_equal(gguf_save_adapter(a, m, path, &e), 0);
    assert_non_null(strstr(e.text, "whole embedding or head"));
    free(was);
    free(now);
    free(v);
    adapter_free(a);
    model_close(again);
    model_close(m);
    strbuf_release(&notes);
    dir_remove(dir, NULL);
    free(dir);
    free(path);
    be->close(be);
}

/* What llama.cpp would compute otherwise is refused; where only long texts differ there is a shorter context and a note. */
static void test_limits(void **state)
{
    (void)state;
    static const struct { const char *config, *says; } refused[] = {
        { "{\"model_type\":\"llama\"," BASE "\"hidden_act\":\"gelu\"}", "activation" },
        { "{\"model_type\":\"qwen2\"," BASE "\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":4,\"low_freq_factor\":1,\"high_freq_factor\":4,"
          "\"original_max_position_embeddings\":32}}", "llama3" },
        { "{\"model_type\":\"gemma2\"," BASE "\"head_dim\":16,\"query_pre_attn_scalar\":20,\"sliding_window\":8}", "scaled by another number" },
        { "{\"model_type\":\"llama\"," BASE "\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":2,\"beta_fast\":16,\"original_max_position_embeddings\":32}}", "yarn" },
    };
    Err             e = { 0 };
    Backend        *be = backend_open("cpu", 1, &e);
    char           *dir = scratch_dir(), *path = path_join(dir, "m.gguf");
    const GgufType *type = NULL;
    StrBuf          notes = { 0 };
    need(gguf_type_find(&type, "F32", &e), &e, "F32");
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        Model *m = make(dir, refused[i].config, be);
        if (!m)
            continue;
        assert_int_not_equal(gguf_save(m, NULL, NULL, NULL, path, type, 1, &notes, &e), 0);
        if (!strstr(e.text, refused[i].says))
            fail_msg("\"%s\" does not say \"%s\"", e.text, refused[i].says);
        assert_false(file_exists(path));
        model_close(m);
    }
    Model *m = make(dir, "{\"model_type\":\"qwen2\"," BASE "\"use_sliding_window\":true,\"sliding_window\":16,\"max_window_layers\":0}", be);
    Model *again = through(m, dir, "F32", &notes);
    assert_int_equal(again->cfg.max_positions, 16);
    assert_non_null(strstr(strbuf_z(&notes), "windows"));
    model_close(again);
    model_close(m);
    assert_int_not_equal(gguf_type_find(&type, "Q7_K", &e), 0);
    assert_non_null(strstr(e.text, "Q4_K_M"));
    strbuf_release(&notes);
    dir_remove(dir, NULL);
    free(dir);
    free(path);
    be->close(be);
}

/* ---- files that must be refused ---- */

typedef void (*EditFn)(GgufWriter *w);
static void nothing(GgufWriter *w) { (void)w; }
static void unknown_key(GgufWriter *w) { gguf_set_u32(w, "llama.attention.secret_window", 4); }
static void clamped(GgufWriter *w) { gguf_set_f32(w, "llama.attention.clamp_kqv", 8); }
static void not_causal(GgufWriter *w) { gguf_set_bool(w, "llama.attention.causal", false); }
static void other_values(GgufWriter *w) { gguf_set_u32(w, "llama.attention.value_length", 4); }
static void windowed(GgufWriter *w) { gguf_set_u32(w, "llama.attention.sliding_window", 4); }
static void odd_scaling(GgufWriter *w) { gguf_set_str(w, "llama.rope.scaling.type", STR_LIT("spiral")); }

static const struct { const char *arch, *type; int64_t layers; EditFn edit; const char *says; } bad[] = {
    { "llama", "model", 1, nothing, "the weights lack" },
    { "lama", "model", 1, nothing, "general.architecture is \"lama\"" },
    { "llama", "adapter", 1, nothing, "name its base model" },
    { "llama", "model", 0, nothing, "llama.block_count is 0" },
    { "llama", "model", 1 << 30, nothing, "llama.block_count is 1073741824" },
    { "llama", "model", 1, unknown_key, "llama.attention.secret_window" },
    { "llama", "model", 1, clamped, "llama.attention.clamp_kqv" },
    { "llama", "model", 1, not_causal, "look back only" },
    { "llama", "model", 1, other_values, "keys have" },
    { "llama", "model", 1, windowed, "without windows" },
    { "llama", "model", 1, odd_scaling, "\"spiral\"" },
};

static void test_refused(void **state)
{
    (void)state;
    Err      e = { 0 };
    Backend *be = backend_open("cpu", 1, &e);
    char    *dir = scratch_dir(), *path = path_join(dir, "bad.gguf");
    float    zeros[8 * 8] = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        GgufWriter *w = NULL;
        Model      *m = NULL;
        unlink(path);
        need(gguf_create(&w, path, &e), &e, path);
        gguf_set_str(w, "general.architecture", str_of(bad[i].arch));
        gguf_set_str(w, "general.type", str_of(bad[i].type));
        gguf_set_u32(w, "llama.block_count", (uint32_t)bad[i].layers);
        gguf_set_u32(w, "llama.context_length", 16);
        gguf_set_u32(w, "llama.embedding_length", 8);
        gguf_set_u32(w, "llama.feed_forward_length", 8);
        gguf_set_u32(w, "llama.attention.head_count", 1);
        gguf_set_f32(w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
        bad[i].edit(w);
        gguf_declare(w, "token_embd.weight", DT_F32, 2, (int64_t[]){ 8, 8 });
        need(gguf_write(w, zeros, sizeof zeros, &e), &e, path);
        need(gguf_commit(&w, &e), &e, path);
        assert_int_not_equal(model_open(&m, path, be, NULL, &e), 0);
        if (!strstr(e.text, bad[i].says))
            fail_msg("row %zu: \"%s\" does not say \"%s\"", i, e.text, bad[i].says);
    }
    dir_remove(dir, NULL);
    free(dir);
    free(path);
    be->close(be);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_types),   cmocka_unit_test(test_adapter),
        cmocka_unit_test(test_trained_head),
        cmocka_unit_test(test_limits),     cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
