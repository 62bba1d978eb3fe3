/* test_plan.c - what is promised before a run: the dry run asks for exactly the bytes that the real pass takes, for both methods, both policies and every
 * kind of block, and for at least as many where routing depends on the data; planning leaves no trace in the result; a limit is kept or refused with the
 * least that works; a disk that fails or is slow. */
#include "train/small_run.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file_test.h"
#include "base/machine.h"
#include "base/mem.h"
#include "formats/jsonl.h"
#include "tensor/dry/dry.h"

/* Odd sizes, so that rounding to cache lines counts. */
#define COMMON "\"hidden_size\":36,\"num_hidden_layers\":5,\"num_attention_heads\":3,\"vocab_size\":2048,\"max_position_embeddings\":128,"
static const struct { const char *name, *config; bool routed; } family[] = {
    { "llama", "{\"model_type\":\"llama\"," COMMON "\"num_key_value_heads\":1,\"intermediate_size\":50,\"tie_word_embeddings\":true}", false },
    { "gpt2", "{\"model_type\":\"gpt2\",\"n_embd\":36,\"n_layer\":4,\"n_head\":3,\"vocab_size\":2048,\"n_positions\":128,\"n_ctx\":128}", false },
    { "qwen3", "{\"model_type\":\"qwen3\"," COMMON "\"num_key_value_heads\":3,\"head_dim\":14,\"intermediate_size\":50,\"tie_word_embeddings\":false}", false },
    { "qwen3_moe", "{\"model_type\":\"qwen3_moe\"," COMMON "\"num_key_value_heads\":1,\"head_dim\":12,\"intermediate_size\":50,\"num_experts\":4,"
                   "\"num_experts_per_tok\":2,\"moe_intermediate_size\":20,\"norm_topk_prob\":true,\"decoder_sparse_step\":1,\"mlp_only_layers\":[]}", true },
};

static int make_home(void **state)
{
    (void)state;
    home = check_dir();
    for (size_t i = 0; i < ARRAY_LEN(family); i++)
        small_model(family[i].name, family[i].config);
    small_rows();
    return 0;
}

static int open_run(TrainRun **r, Backend *be, const char *model, const char *out, const char *const *more, Err *e)
{
    static const char *const options[] = { "steps", "6", "batch-tokens", "256", "max-length", "64", "eval-every", "3", "seed", "5", "patience", "0", "rank", "5", NULL };
    return small_open(r, be, model, out, options, more, e);
}

/* Gradients of 4 bytes; moments of 4 each, or of 1 and 4 more for every 256; in whole cache lines. */
static size_t state_bytes(const Optimizer *o, bool eight_bits)
{
    size_t sum = 0;
    for (int i = 0; i < o->n; i++) {
        const size_t n = (size_t)tensor_numel(o->t[i].w), wide = (4 * n + 63) / 64 * 64, narrow = ((n + 255) / 256 * 260 + 63) / 64 * 64;
        sum += wide + 2 * (eight_bits && n >= 4096 ? narrow : wide);
    }
    return sum;
}

static void dry_is_real(void **state)
{
    (void)state;
    static const char *const method[] = { "lora", "full" }, *const policy[] = { "keep", "checkpoint", "spill" }, *const optim[] = { "adamw", "adamw_8bit" };
    for (size_t f = 0; f < ARRAY_LEN(family); f++)
        for (size_t k = 0; k < 12; k++) {
            Err         e = { 0 };
            TrainRun   *r;
            TrainResult res;
            char        out[64];
            static size_t pass[12];
            const char *more[] = { "method", method[k / 3 % 2], "activations", policy[k % 3], "optim", optim[k / 6], NULL };
            Backend    *be = backend_open("cpu", 1, &e);
            snprintf(out, sizeof out, "run-%s-%zu", family[f].name, k);
            if (open_run(&r, be, family[f].name, out, more, &e) || plan_make(r, NULL, false, &e) || train_go(r, &(TrainHooks){ 0 }, &res, &e))
                fail_msg("%s %s %s %s: %s", family[f].name, more[1], more[3], more[5], e.text);
            assert_true(r->plan.pass > 0);
            assert_int_equal(r->opt.arena.used, state_bytes(&r->opt, k / 6));
            if (family[f].routed)
                assert_in_range(r->pass.scratch.high, r->plan.pass / 100 * 97, r->plan.pass);
            else
                assert_int_equal(r->pass.scratch.high, r->plan.pass);
            assert_int_equal(r->pass.scratch.reserved, r->plan.pass); /* and nothing was asked for besides */
            assert_int_equal(r->pass.spill.size, r->plan.file);
            assert_true((r->plan.file > 0) == (k % 3 == 2));
            assert_true(k % 3 == 0 || r->plan.pass < pass[k - 1]); /* each rung takes less than the one before */
            pass[k] = r->plan.pass;
            train_close(r);
            be->close(be);
        }
}

static void weights_of(const char *model, bool planned, float **w, int64_t *n)
{
    Err         e = { 0 };
    TrainRun   *r;
    TrainResult res;
    Backend    *be = backend_open("cpu", 2, &e);
    if (open_run(&r, be, model, planned ? "timed" : "plain", (const char *const[]){ "method", "full", "lr", "1e-3", NULL }, &e) ||
        (planned && plan_make(r, NULL, true, &e)) || train_go(r, &(TrainHooks){ 0 }, &res, &e))
        fail_msg("%s", e.text);
    assert_true(r->plan.timed == planned);
    if (planned)
        assert_true(r->plan.seconds > 0 && r->plan.tokens_per_second > 0 && isfinite(r->plan.seconds));
    *n = r->opt.n_values;
    *w = mem_alloc((size_t)*n * sizeof **w);
    float *to = *w;
    for (int i = 0; i < r->opt.n; i++) {
        be->download(be, to, r->opt.t[i].w->data, (size_t)tensor_numel(r->opt.t[i].w) * sizeof *to);
        to += tensor_numel(r->opt.t[i].w);
    }
    train_close(r);
    be->close(be);
}

static void measuring_leaves_no_trace(void **state)
{
    (void)state;
    float  *a, *b;
    int64_t n, m;
    weights_of("llama", false, &a, &n);
    weights_of("llama", true, &b, &m);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, (size_t)n * sizeof *a);
    free(a);
    free(b);
}

static void limits(void **state)
{
    (void)state;
    Err       e = { 0 };
    TrainRun *r;
    char      least[32];
    Backend  *be = backend_open("cpu", 1, &e);
    assert_int_equal(open_run(&r, be, "llama", "small", (const char *const[]){ "memory", "1MiB", NULL }, &e), 0);
    assert_int_equal(plan_make(r, NULL, false, &e), ERR_MEM);
    assert_non_null(strstr(e.text, "needs at least"));
    const char *named = strstr(e.text, "(--memory ");
    assert_non_null(named);
    assert_int_equal(sscanf(named, "(--memory %31[0-9MiB]", least), 1);
    train_close(r);
    e = (Err){ 0 };
    if (open_run(&r, be, "llama", "small", (const char *const[]){ "memory", least, NULL }, &e) || plan_make(r, NULL, false, &e))
        fail_msg("%s is not enough: %s", least, e.text);
    assert_true(r->cfg.activations != ACTIVATIONS_AUTO);
    train_close(r);
    be->close(be);
}

/* Micro-tokens chosen when a run began hold for the run that goes on; activations, which give the same bits, are chosen by the memory there is, and may be
 * given anew. */
static void chosen_once(void **state)
{
    (void)state;
    Err         e = { 0 };
    TrainRun   *r;
    TrainResult res;
    Backend    *be = backend_open("cpu", 1, &e);
    assert_int_equal(open_run(&r, be, "llama", "chosen", (const char *const[]){ "activations", "checkpoint", "micro-tokens", "128", NULL }, &e), 0);
    assert_int_equal(train_go(r, &(TrainHooks){ 0 }, &res, &e), 0);
    train_close(r);
    assert_int_equal(open_run(&r, be, "llama", "chosen", NULL, &e), 0);
    assert_int_equal(r->cfg.micro_tokens, 128);
    assert_int_equal(plan_make(r, NULL, false, &e), 0);
    assert_int_equal(r->cfg.activations, ACTIVATIONS_KEEP);
    train_close(r);
    be->close(be);
}

/* A disk that fails in the middle of a step ends the run with a sentence that says how to go on, and it goes on. */
static void failing_disk(void **state)
{
    (void)state;
    Err               e = { 0 };
    TrainRun         *r;
    TrainResult       res;
    Backend          *be = backend_open("cpu", 1, &e);
    const char *const more[] = { "activations", "spill", NULL };
    assert_int_equal(open_run(&r, be, "qwen3_moe", "failing", more, &e), 0);
    assert_int_equal(plan_make(r, NULL, false, &e), 0);
    assert_true(r->plan.file > 0);
    close(r->pass.spill.fd);
    r->pass.spill.fd = open("/dev/full", O_RDWR | O_CLOEXEC);
    assert_int_equal(train_go(r, &(TrainHooks){ 0 }, &res, &e), ERR_IO);
    check_says(&e, ERR_IO, "No space left on device");
    check_says(&e, ERR_IO, "run the same command again");
    train_close(r);
    e = (Err){ 0 };
    if (open_run(&r, be, "qwen3_moe", "failing", more, &e) || train_go(r, &(TrainHooks){ 0 }, &res, &e))
        fail_msg("%s", e.text);
    assert_int_equal(res.steps, 6);
    train_close(r);
    be->close(be);
}

/* A disk is waited for only where memory cannot stand in for it, and only as long as it takes longer than the blocks it goes beside. */
static void waits(void **state)
{
    (void)state;
    static const struct { double inputs; size_t room, unwritten; double put, get, seconds; } rows[] = { /* 100 bytes in 10 s forward and 20 s back */
        { 100, 100, 100, 9, 9, 0 },     /* memory holds all */
        { 100, 100, 60, 0.25, 9, 0 },   /* 40 bytes are written, in exactly the time there is */
        { 100, 100, 60, 0.5, 9, 10 },   /* in twice the time */
        { 100, 60, 100, 9, 0.5, 0 },    /* 40 bytes are read, in exactly the time there is */
        { 100, 0, 0, 1, 1, 90 + 80 },
        { 100, 0, 0, NAN, NAN, 0 },     /* nobody knows */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const PlanRates rate = { .put = rows[i].put, .get = rows[i].get };
        assert_true(fabs(plan_wait(rows[i].inputs, rows[i].room, rows[i].unwritten, &rate, 10, 20) - rows[i].seconds) < 1e-9);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dry_is_real),
        cmocka_unit_test(measuring_leaves_no_trace),
        cmocka_unit_test(limits),
        cmocka_unit_test(chosen_once),
        cmocka_unit_test(failing_disk),
        cmocka_unit_test(waits),
    };
    return cmocka_run_group_tests(tests, make_home, remove_home);
}
