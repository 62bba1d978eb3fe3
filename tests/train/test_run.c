/* test_run.c - whole runs on a random tiny model: the same bits for any number of threads and after any interruption, an overfitted batch, a run
 * that diverges, a folder with another recipe, a full disk. */
#include "train/small_run.h"

#include <math.h>
#include <stdio.h>

#include "base/file_test.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "formats/jsonl.h"
#include "tensor/inspect.h"

static int make_home(void **state)
{
    (void)state;
    home = check_dir();
    small_model("model", "{\"model_type\":\"llama\",\"architectures\":[\"LlamaForCausalLM\"],\"hidden_size\":32,\"num_hidden_layers\":2,"
                         "\"num_attention_heads\":4,\"num_key_value_heads\":2,\"intermediate_size\":48,\"vocab_size\":2048,"
                         "\"max_position_embeddings\":128,\"tie_word_embeddings\":true}");
    small_rows();
    return 0;
}

typedef struct Plan { const char *out, *more[12]; int threads; int64_t stop_after; } Plan;
typedef struct Counter { int64_t steps, stop_after; double last_loss; } Counter;

static void count(void *user, const TrainProgress *p)
{
    Counter *c = user;
    if (p->event == TRAIN_STEP) {
        c->steps++;
        c->last_loss = p->loss;
    }
}

static bool stop(void *user)
{
    const Counter *c = user;
    return c->stop_after && c->steps >= c->stop_after;
}

/* Runs a recipe of few steps; `more` holds key, value pairs. */
static int run(const Plan *p, Counter *c, TrainResult *res, Err *e)
{
    TrainCfg  cfg = { 0 };
    TrainRun *r = NULL;
    char     *model = at("model"), *data = at("data.jsonl"), *out = at(p->out);
    const char *base[] = { "model", model, "data", data, "out", out, "steps", "12", "batch-tokens", "256", "micro-tokens", "128", "max-length", "64",
                           "lr", "1e-2", "eval-every", "3", "save-every", "2", "seed", "5", "patience", "0" };
    cfg_defaults(train_options, &cfg);
    int rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(base); i += 2)
        rc |= cfg_set(train_options, &cfg, str_of(base[i]), str_of(base[i + 1]), "test", e);
    for (size_t i = 0; i + 1 < ARRAY_LEN(p->more) && p->more[i]; i += 2)
        rc |= cfg_set(train_options, &cfg, str_of(p->more[i]), str_of(p->more[i + 1]), "test", e);
    assert_int_equal(rc, 0);
    Backend *be = backend_open("cpu", p->threads ? p->threads : 1, e);
    assert_non_null(be);
    *c = (Counter){ .stop_after = p->stop_after };
    rc = train_open(&r, &cfg, be, e);
    if (!rc)
        rc = train_go(r, &(TrainHooks){ .user = c, .progress = count, .stop_asked = stop }, res, e);
    train_close(r);
    be->close(be);
    cfg_release(train_options, &cfg);
    free(model);
    free(data);
    free(out);
    return rc;
}

static void hash_of(const char *name, char hex[SHA256_HEX])
{
    Err   e = { 0 };
    char *path = at(name);
    if (sha256_file(path, hex, &e))
        fail_msg("%s", e.text);
    free(path);
}

#define CKPT "/checkpoints/step-000000012/state.safetensors"

static void check_same(const char *a, const char *b)
{
    char x[SHA256_HEX], y[SHA256_HEX];
    hash_of(a, x);
    hash_of(b, y);
    assert_string_equal(x, y);
}

static void must_run(const Plan *p, Counter *c, TrainResult *res)
{
    Err e = { 0 };
    if (run(p, c, res, &e))
        fail_msg("%s", e.text);
}

static void test_threads_do_not_matter(void **state)
{
    (void)state;
    Counter     c;
    TrainResult res;
    must_run(&(Plan){ .out = "t1", .threads = 1 }, &c, &res);
    assert_int_equal(res.steps, 12);
    assert_true(res.best_loss < res.first_loss);
    print_message("trained against served: %.2g\n", res.identity);
    assert_true(res.identity < 1e-4);
    must_run(&(Plan){ .out = "t2", .threads = 2 }, &c, &res);
    must_run(&(Plan){ .out = "t4", .threads = 4 }, &c, &res);
    check_same("t1" CKPT, "t2" CKPT);
    check_same("t1" CKPT, "t4" CKPT);
    check_same("t1/adapter/adapter_model.safetensors", "t4/adapter/adapter_model.safetensors");
}

/* Products in bf16: other bits than f32, but the same for any number of threads, after an interruption, and with blocks computed twice; what is served is
 * f32, and so is what a run says of it. A run does not go on in another format. */
static void test_bf16(void **state)
{
    (void)state;
    Counter     c;
    TrainResult res;
    Err         e = { 0 };
    char        f32[SHA256_HEX], bf16[SHA256_HEX];
    const Plan  one = { .out = "b1", .more = { "compute", "bf16" } };
    Backend    *be = backend_open("cpu", 1, &e);
    const bool  can = !backend_check(be, COMPUTE_BF16, &e);
    be->close(be);
    if (!can) {
        print_message("SKIPPED: runs in bf16: %s\n", e.text);
        assert_int_equal(run(&one, &c, &res, &e), ERR_ARG);
        check_says(&e, ERR_ARG, "AVX512-BF16");
        return;
    }
    must_run(&(Plan){ .out = "f32" }, &c, &res);
    const double first = res.first_loss;
    must_run(&one, &c, &res);
    assert_true(res.first_loss == first);
    assert_true(res.best_loss < res.first_loss);
    assert_true(res.identity < 1e-4);
    hash_of("f32" CKPT, f32);
    hash_of("b1" CKPT, bf16);
    assert_string_not_equal(f32, bf16);
    must_run(&(Plan){ .out = "b2", .threads = 2, .more = { "compute", "bf16" } }, &c, &res);
    must_run(&(Plan){ .out = "b4", .threads = 4, .more = { "compute", "bf16", "activations", "checkpoint" } }, &c, &res);
    assert_int_equal(run(&(Plan){ .out = "b5", .stop_after = 5, .more = { "compute", "bf16" } }, &c, &res, &e), ERR_STOP);
    assert_int_equal(run(&(Plan){ .out = "b5" }, &c, &res, &e), ERR_ARG);
    check_says(&e, ERR_ARG, "compute");
    must_run(&(Plan){ .out = "b5", .more = { "compute", "bf16" } }, &c, &res);
    check_same("b1" CKPT, "b2" CKPT);
    check_same("b1" CKPT, "b4" CKPT);
    check_same("b1" CKPT, "b5" CKPT);
}

/* metrics.jsonl without its times, which no two runs share. */
static void metrics_of(const char *name, StrBuf *out)
{
    static const char *const key[] = { "step", "epoch", "loss", "lr", "grad_norm", "tokens", "trained_tokens", "eval_loss", "best" };
    Err   e = { 0 };
    Jsonl lines;
    Json *row;
    char *path = at(name);
    if (jsonl_open(&lines, path, &e))
        fail_msg("%s", e.text);
    while (jsonl_next(&lines, &row, &e) == 1) {
        for (size_t i = 0; i < ARRAY_LEN(key); i++) {
            if (json_get(row, key[i]))
                json_write(out, json_get(row, key[i]), false);
            strbuf_addc(out, ' ');
        }
        strbuf_addc(out, '\n');
        json_free(row);
    }
    jsonl_close(&lines);
    free(path);
}

static void check_same_metrics(const char *a, const char *b)
{
    StrBuf x = { 0 }, y = { 0 };
    metrics_of(a, &x);
    metrics_of(b, &y);
    assert_string_equal(strbuf_z(&x), strbuf_z(&y));
    strbuf_release(&x);
    strbuf_release(&y);
}

static void remove_run(const char *name)
{
    Err   e = { 0 };
    char *path = at(name);
    dir_remove(path, &e);
    free(path);
}

static void test_interrupted_run_ends_the_same(void **state)
{
    (void)state;
    Counter     c;
    TrainResult res, want;
    Err         e = { 0 };
    must_run(&(Plan){ .out = "whole" }, &c, &want);
    for (int64_t after = 1; after <= 12; after++) {
        assert_int_equal(run(&(Plan){ .out = "broken", .stop_after = after }, &c, &res, &e), after < 12 ? ERR_STOP : 0);
        must_run(&(Plan){ .out = "broken" }, &c, &res);
        assert_int_equal(c.steps, 12 - after);
        assert_int_equal(res.best_step, want.best_step);
        check_same("whole" CKPT, "broken" CKPT);
        check_same("whole/order.jsonl", "broken/order.jsonl");
        check_same("whole/adapter/adapter_model.safetensors", "broken/adapter/adapter_model.safetensors");
        check_same_metrics("whole/metrics.jsonl", "broken/metrics.jsonl");
        remove_run("broken");
    }
    must_run(&(Plan){ .out = "whole" }, &c, &res);
    assert_true(res.already_done);
    assert_int_equal(c.steps, 0);
}

/* Moments of 8 bits: the embedding has them, the smaller matrices stay below the least size. */
#define EIGHT_BITS "method", "full", "lr", "3e-3", "optim", "adamw_8bit"

static void test_moments_of_8_bits(void **state)
{
    (void)state;
    Counter     c;
    TrainResult res, want;
    Err         e = { 0 };
    must_run(&(Plan){ .out = "eight", .threads = 1, .more = { EIGHT_BITS } }, &c, &want);
    assert_true(want.best_loss < want.first_loss);
    for (int threads = 2; threads <= 4; threads += 2) {
        must_run(&(Plan){ .out = "eight-more", .threads = threads, .more = { EIGHT_BITS } }, &c, &res);
        check_same("eight" CKPT, "eight-more" CKPT);
        remove_run("eight-more");
    }
    for (int64_t after = 1; after < 12; after += 4) {
        assert_int_equal(run(&(Plan){ .out = "eight-broken", .stop_after = after, .more = { EIGHT_BITS } }, &c, &res, &e), ERR_STOP);
        must_run(&(Plan){ .out = "eight-broken", .more = { EIGHT_BITS } }, &c, &res);
        check_same("eight" CKPT, "eight-broken" CKPT);
        check_same("eight/model/model.safetensors", "eight-broken/model/model.safetensors");
        remove_run("eight-broken");
    }
}

/* Neither a folder of the other kind nor its checkpoints are gone on with. */
static void test_moments_are_not_exchanged(void **state)
{
    (void)state;
    Counter     c;
    TrainResult res;
    Err         e = { 0 };
    const Plan  wide = { .out = "wide", .stop_after = 3, .more = { "method", "full", "lr", "3e-3" } };
    const Plan  narrow = { .out = "narrow", .stop_after = 3, .more = { EIGHT_BITS } };
    assert_int_equal(run(&wide, &c, &res, &e), ERR_STOP);
    assert_int_equal(run(&narrow, &c, &res, &e), ERR_STOP);
    Plan other = wide;
    other.out = "narrow";
    assert_int_equal(run(&other, &c, &res, &e), ERR_ARG);
    check_says(&e, ERR_ARG, "optim");
    char *from = at("wide/checkpoints"), *to = at("narrow/checkpoints");
    assert_int_equal(dir_remove(to, &e), 0);
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(run(&narrow, &c, &res, &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, "embed_tokens.weight.m is F32 and should be U8; the moments of optim adamw and of adamw_8bit cannot be exchanged");
    free(from);
    free(to);
}

/* A rate that makes the held-out loss rise after a while: the best step is not the last, and patience ends the run, wherever it was interrupted. */
static void test_early_stop_survives_interruption(void **state)
{
    (void)state;
    Counter     c;
    TrainResult res, want;
    Err         e = { 0 };
    const Plan  rising = { .out = "rise", .more = { "steps", "60", "lr", "0.2", "patience", "2", "eval-every", "2", "schedule", "constant", "clip", "0" } };
    must_run(&rising, &c, &want);
    assert_true(want.early);
    assert_true(want.best_step < want.steps);
    for (int64_t after = 1; after < want.steps; after += 3) {
        Plan broken = rising;
        broken.out = "rise-broken";
        broken.stop_after = after;
        assert_int_equal(run(&broken, &c, &res, &e), ERR_STOP);
        broken.stop_after = 0;
        must_run(&broken, &c, &res);
        assert_int_equal(res.steps, want.steps);
        assert_int_equal(res.best_step, want.best_step);
        check_same_metrics("rise/metrics.jsonl", "rise-broken/metrics.jsonl");
        check_same("rise/adapter/adapter_model.safetensors", "rise-broken/adapter/adapter_model.safetensors");
        remove_run("rise-broken");
    }
}

/* Other data or another base under the same recipe is another run. */
static void test_changed_inputs_are_refused(void **state)
{
    (void)state;
    Counter     c;
    TrainResult res;
    Err         e = { 0 };
    write_file("mine.jsonl", "{\"prompt\":\"a\",\"completion\":\" b\"}\n{\"prompt\":\"c\",\"completion\":\" d\"}\n");
    char *mine = at("mine.jsonl");
    const Plan p = { .out = "fixed", .more = { "data", mine, "eval", "0" }, .stop_after = 2 };
    assert_int_equal(run(&p, &c, &res, &e), ERR_STOP);
    write_file("mine.jsonl", "{\"prompt\":\"a\",\"completion\":\" b\"}\n{\"prompt\":\"c\",\"completion\":\" e\"}\n");
    assert_int_equal(run(&p, &c, &res, &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, "mine.jsonl");
    free(mine);
}

/* ... and so is one whose base has changed: it is hashed while the first step computes, and nothing is told of that step. */
static void test_changed_base_is_refused(void **state)
{
    (void)state;
    static const char *const name[] = { "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json" };
    Counter     c;
    TrainResult res;
    Err         e = { 0 };
    char       *other = at("other"), *order = at("based/order.jsonl"), *facts = at("based/run.json"), *text, *then;
    size_t      n, n_then;
    Json       *j;
    assert_int_equal(dir_make(other, &e), 0);
    for (size_t i = 0; i < ARRAY_LEN(name); i++) {
        char *model = at("model"), *from = path_join(model, name[i]), *to = path_join(other, name[i]);
        assert_int_equal(file_read_text(from, &text, &n, &e), 0);
        assert_int_equal(file_write_atomic(to, text, n, &e), 0);
        free(text);
        free(model);
        free(from);
        free(to);
    }
    const Plan p = { .out = "based", .more = { "model", other }, .stop_after = 3 };
    assert_int_equal(run(&p, &c, &res, &e), ERR_STOP);
    assert_int_equal(json_read_file(&j, facts, &e), 0);
    for (size_t i = 0; i < ARRAY_LEN(name); i++) {
        char hex[SHA256_HEX], *path = path_join(other, name[i]);
        assert_int_equal(sha256_file(path, hex, &e), 0);
        assert_string_equal(json_str(json_get(json_get(j, "base_sha256"), name[i])).p, hex);
        free(path);
    }
    json_free(j);
    char *config = path_join(other, "config.json");
    assert_int_equal(file_read_text(order, &then, &n_then, &e), 0);
    assert_int_equal(file_read_text(config, &text, &n, &e), 0);
    text[n] = '\n'; /* in the place of the end: the same configuration, another file */
    assert_int_equal(file_write_atomic(config, text, n + 1, &e), 0);
    assert_int_equal(run(&p, &c, &res, &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, "config.json of the base model");
    assert_int_equal(c.steps, 0);
    free(text);
    assert_int_equal(file_read_text(order, &text, &n, &e), 0);
    assert_int_equal(n, n_then);
    assert_memory_equal(text, then, n);
    free(text);
    free(then);
    free(config);
    free(order);
    free(facts);
    free(other);
}

/* What was saved while training went on is what a run that ended there has. */
static void test_saved_beside_is_what_was(void **state)
{
    (void)state;
    static const char *const method[] = { "lora", "full" };
    Counter     c;
    TrainResult res;
    Err         e = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(method); i++) {
        must_run(&(Plan){ .out = "every", .threads = 2, .more = { "method", method[i], "lr", "3e-3", "save-every", "1", "keep-checkpoints", "100" } }, &c, &res);
        for (int64_t after = 1; after < 12; after += 2) {
            char a[80], b[80];
            snprintf(a, sizeof a, "every/checkpoints/step-%09lld/state.safetensors", (long long)after);
            snprintf(b, sizeof b, "ended/checkpoints/step-%09lld/state.safetensors", (long long)after);
            assert_int_equal(run(&(Plan){ .out = "ended", .stop_after = after, .more = { "method", method[i], "lr", "3e-3", "save-every", "100" } }, &c, &res, &e), ERR_STOP);
            check_same(a, b);
            remove_run("ended");
        }
        remove_run("every");
    }
}

/* A damaged checkpoint is passed over, and does not outlive the new ones. */
static void test_damaged_checkpoint_is_passed_over(void **state)
{
    (void)state;
    Counter     c;
    TrainResult res;
    Err         e = { 0 };
    must_run(&(Plan){ .out = "sound" }, &c, &res);
    assert_int_equal(run(&(Plan){ .out = "hurt", .stop_after = 9, .more = { "keep-checkpoints", "1" } }, &c, &res, &e), ERR_STOP);
    write_file("hurt/checkpoints/step-000000009/state.safetensors", "damaged");
    assert_int_equal(run(&(Plan){ .out = "hurt", .stop_after = 3, .more = { "keep-checkpoints", "1" } }, &c, &res, &e), ERR_STOP);
    must_run(&(Plan){ .out = "hurt", .more = { "keep-checkpoints", "1" } }, &c, &res);
    assert_int_equal(c.steps, 9); /* from the checkpoint of step 3, not again from the beginning */
    check_same("sound" CKPT, "hurt" CKPT);
}

static void test_full_method_and_checkpointing(void **state)
{
    (void)state;
    Counter     c;
    TrainResult res;
    must_run(&(Plan){ .out = "keep", .more = { "method", "full", "lr", "3e-3" } }, &c, &res);
    must_run(&(Plan){ .out = "again", .more = { "method", "full", "lr", "3e-3", "activations", "checkpoint" }, .threads = 2 }, &c, &res);
    assert_true(res.best_loss < res.first_loss);
    check_same("keep/model/model.safetensors", "again/model/model.safetensors");
}

/* One batch seen again and again must be learnt by heart. */
static void test_overfits_one_batch(void **state)
{
    (void)state;
    Counter     c;
    TrainResult res;
    write_file("one.jsonl", "{\"prompt\":\"the first\",\"completion\":\" answer is seven\"}\n{\"prompt\":\"a second\",\"completion\":\" one says nothing\"}\n");
    char *one = at("one.jsonl");
    must_run(&(Plan){ .out = "overfit", .more = { "data", one, "eval", "0", "steps", "150", "method", "full", "lr", "1e-2", "schedule", "constant" } }, &c, &res);
    assert_true(c.last_loss < 0.01);
    free(one);
}

static void test_divergence_stops_with_the_step(void **state)
{
    (void)state;
    Counter     c;
    TrainResult res;
    Err         e = { 0 };
    assert_int_equal(run(&(Plan){ .out = "wild", .more = { "lr", "1e9", "warmup", "0" } }, &c, &res, &e), ERR_WORK);
    check_says(&e, ERR_WORK, "step ");
    check_says(&e, ERR_WORK, "lower lr");
    char *failed = at("wild/FAILED"), *good = at("wild/checkpoints/step-000000000/state.safetensors"), *done = at("wild/DONE");
    assert_true(file_exists(failed));
    assert_true(file_exists(good));
    assert_false(file_exists(done));
    free(failed);
    free(good);
    free(done);
}

static void test_another_recipe_is_refused(void **state)
{
    (void)state;
    Counter     c;
    TrainResult res;
    Err         e = { 0 };
    must_run(&(Plan){ .out = "mine" }, &c, &res);
    assert_int_equal(run(&(Plan){ .out = "mine", .more = { "rank", "4" } }, &c, &res, &e), ERR_ARG);
    check_says(&e, ERR_ARG, "rank");
}

static void test_full_disk_keeps_what_was_saved(void **state)
{
    (void)state;
    Counter     c;
    TrainResult res;
    Err         e = { 0 };
    must_run(&(Plan){ .out = "roomy" }, &c, &res);
    char *last = at("roomy" CKPT);
    for (int64_t room = 20000; room < 2000000; room = room * 3 / 2) {
        char    *out = at("tight");
        FileList l = { 0 };
        file_test_fail_after(room);
        int rc = run(&(Plan){ .out = "tight" }, &c, &res, &e);
        file_test_fail_after(-1);
        if (rc)
            check_says(&e, ERR_IO, "tight");
        /* whatever is there is whole: the run goes on from it and ends as ever */
        must_run(&(Plan){ .out = "tight" }, &c, &res);
        check_same("roomy" CKPT, "tight" CKPT);
        assert_int_equal(file_list(&l, out, &e), 0);
        for (size_t i = 0; i < l.n; i++)
            assert_null(strstr(l.name[i], ".tmp-"));
        file_list_release(&l);
        dir_remove(out, &e);
        free(out);
    }
    free(last);
}

/* --- advice ---------------------------------------------------------------------------------------------------------------------------------- */

static void remember(void *user, LogLevel level, const char *room, const char *text)
{
    (void)level;
    (void)room;
    strbuf_addf(user, "%s\n", text);
}

static void check_advice(const Plan *p, const char *want)
{
    Counter     c;
    TrainResult res;
    StrBuf      said = { 0 };
    log_sink_add(remember, &said);
    must_run(p, &c, &res);
    log_sink_remove(remember, &said);
    if (want && !strstr(strbuf_z(&said), want))
        fail_msg("not said: %s, but: %s", want, strbuf_z(&said));
    if (!want && (strstr(strbuf_z(&said), "never trained") || strstr(strbuf_z(&said), "held-out rows")))
        fail_msg("said: %s", strbuf_z(&said));
    strbuf_release(&said);
    remove_run(p->out);
}

/* Held-out rows that are trained on are counted, each copy of them, however often the training rows have them. */
static void test_overlap_is_told(void **state)
{
    (void)state;
#define ROW(x) "{\"prompt\":\"" x "\",\"completion\":\" y\"}\n"
    write_file("seen.jsonl", ROW("a") ROW("b") ROW("a") ROW("c"));
    write_file("held.jsonl", ROW("a") ROW("d") ROW("a") ROW("b") ROW("a"));
    write_file("new.jsonl", ROW("d") ROW("e"));
    char *seen = at("seen.jsonl"), *held = at("held.jsonl"), *fresh = at("new.jsonl");
    check_advice(&(Plan){ .out = "overlap", .more = { "data", seen, "eval", held, "steps", "1" } }, "4 of 5 held-out rows are also training rows");
    check_advice(&(Plan){ .out = "overlap", .more = { "data", seen, "eval", fresh, "steps", "1" } }, NULL);
    check_advice(&(Plan){ .out = "overlap", .more = { "data", seen, "eval", "0", "steps", "1" } }, NULL);
    free(seen);
    free(held);
    free(fresh);
}

/* Rows of the head that are multiples of the end token's count; those that only begin like it, or are a little off, do not. */
static void test_untrained_end_is_told(void **state)
{
    (void)state;
    static const char config[] = "{\"model_type\":\"llama\",\"architectures\":[\"LlamaForCausalLM\"],\"hidden_size\":256,\"num_hidden_layers\":1,"
                                 "\"num_attention_heads\":4,\"num_key_value_heads\":2,\"intermediate_size\":48,\"vocab_size\":2048,"
                                 "\"max_position_embeddings\":128,\"tie_word_embeddings\":true}";
    Err      e = { 0 };
    Model   *m;
    Tok     *tok;
    float    end[256], row[256];
    char    *shape = at("shape"), *wide = at("wide-shape"), *out = at("wide-model");
    Backend *be = backend_open("cpu", 2, &e);
    small_shape("wide-shape", config);
    assert_int_equal(tok_open(&tok, shape, &e), 0);
    for (int turn = 0; turn < 2; turn++) { /* 1: the end token's row is zero, and so are the five */
        if (model_open_random(&m, wide, be, DT_F32, 7, &e))
            fail_msg("%s", e.text);
        Tensor view = tensor_row_view(m->embed, tok_eos(tok), 1);
        if (turn)
            m->be->fill(m->be, &view, 0);
        tensor_get(&view, end);
        for (int k = 0; k < 9; k++) {
            for (int i = 0; i < 256; i++)
                row[i] = end[i] * (float)(k + 1) + (k == 5 && i >= 128 ? 0.1f : k == 6 ? 0.01f * (float)(i % 3) : k == 7 && i == 200 ? 1.0f : k == 8 && i == 3 ? 1.0f : 0);
            view = tensor_row_view(m->embed, 1000 + 100 * k, 1);
            tensor_put(&view, row);
        }
        if (model_save(m, NULL, out, &(SaveOptions){ .dtype = DT_F32 }, &e))
            fail_msg("%s", e.text);
        model_close(m);
        for (int threads = 1; threads <= 3; threads++)
            check_advice(&(Plan){ .out = "untrained", .threads = threads, .more = { "model", out, "steps", "1", "eval", "0" } }, "5 other tokens have the same row");
    }
    check_advice(&(Plan){ .out = "untrained", .more = { "steps", "1", "eval", "0" } }, NULL);
    tok_free(tok);
    be->close(be);
    free(shape);
    free(wide);
    free(out);
}

static void test_bad_input_is_named(void **state)
{
    (void)state;
    static const struct { const char *file, *text, *say; } bad[] = {
        { "empty.jsonl", "", "empty" },
        { "broken.jsonl", "{\"prompt\":\"a\",\"completion\":\"b\"}\n{\"prompt\":\"a\",\n", "line 2" },
        { "bytes.jsonl", "{\"prompt\":\"a\xff\",\"completion\":\"b\"}\n", "UTF-8" },
        { "keys.jsonl", "{\"question\":\"a\",\"answer\":\"b\"}\n", "line 1" },
    };
    Counter     c;
    TrainResult res;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        Err   e = { 0 };
        char *path = at(bad[i].file);
        write_file(bad[i].file, bad[i].text);
        assert_int_equal(run(&(Plan){ .out = "never", .more = { "data", path } }, &c, &res, &e), ERR_INPUT);
        check_says(&e, ERR_INPUT, bad[i].say);
        check_says(&e, ERR_INPUT, bad[i].file);
        free(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_do_not_matter),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_interrupted_run_ends_the_same),
        cmocka_unit_test(test_moments_of_8_bits),
        cmocka_unit_test(test_moments_are_not_exchanged),
        cmocka_unit_test(test_early_stop_survives_interruption),
        cmocka_unit_test(test_changed_inputs_are_refused),
        cmocka_unit_test(test_changed_base_is_refused),
        cmocka_unit_test(test_saved_beside_is_what_was),
        cmocka_unit_test(test_damaged_checkpoint_is_passed_over),
        cmocka_unit_test(test_full_method_and_checkpointing),
        cmocka_unit_test(test_overfits_one_batch),
        cmocka_unit_test(test_divergence_stops_with_the_step),
        cmocka_unit_test(test_another_recipe_is_refused),
        cmocka_unit_test(test_full_disk_keeps_what_was_saved),
        cmocka_unit_test(test_overlap_is_told),
        cmocka_unit_test(test_untrained_end_is_told),
        cmocka_unit_test(test_bad_input_is_named),
    };
    return cmocka_run_group_tests(tests, make_home, remove_home);
}
