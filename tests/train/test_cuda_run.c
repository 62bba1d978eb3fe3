/* test_cuda_run.c - training on a device with memory of its own, judged against `ref` and the same work in the program's memory: ten steps of every kind of model, by every
 * method; packed and alone; every way of keeping activations, weights streamed; the plan against what was held; runs that are stopped, killed, failed by the device or robbed
 * of its memory, and go on. On the far backend (tensor/far.h), and on the cuda backend's stand-in; test_cuda_run_card is the same with the card itself, where there is one. */
#include "golden/golden.h"

#include "tensor/far.h"
#include "train/small_run.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/rng.h"
#include "tensor/cuda/cuda.h"
#ifdef HONE_CUDA_HOST
#include "tensor/cuda_host/host_control.h"
#endif

#define ROOM ((size_t)1 << 30) /* of the device's memory, where it is not what is tested */

/* ---- the devices ---- */

static Backend *open_far(size_t total, Err *e) { return &far_open(1, total, e)->be; }
static Backend *open_ref(size_t total, Err *e) { (void)total; return backend_open("ref", 1, e); }
static Backend *open_cpu(size_t total, Err *e) { (void)total; return backend_open("cpu", 2, e); }
#ifdef HONE_CUDA_HOST
static HostCuda paced;
static Backend *open_stand_in(size_t total, Err *e)
{
    paced.memory = total;
    host_cuda_set(&paced);
    return backend_cuda_open(0, e);
}
#endif

#ifndef HONE_CUDA_HOST
static Backend *open_card(size_t total, Err *e) { (void)total; return backend_open("cuda", 0, e); }
#endif

/* How a device's two ways keep pace with each other; must not show in results. */
static void keep_pace(int pace)
{
#ifdef HONE_CUDA_HOST
    static const struct { HostPace pace; unsigned seed; } row[] = { { HOST_LATE, 0 }, { HOST_FIRST_EARLY, 0 }, { HOST_OTHERS_EARLY, 0 }, { HOST_ANY, 1 }, { HOST_ANY, 2 } };
    paced = (HostCuda){ .pace = row[pace].pace, .seed = row[pace].seed };
#endif
    (void)pace;
}
#define PACES 5

/* slow: threads of a card one after the other; fewer kinds of models and fewer turns must do. */
typedef struct Device { const char *name; Backend *(*open)(size_t total, Err *e); bool slow; } Device;
static const Device far_device = { "far", open_far, false };
static const Device device[] = {
    { "far", open_far, false },
#ifdef HONE_CUDA_HOST
    { "the cuda stand-in", open_stand_in, true },
#else
    { "the card", open_card, false },
#endif
};
static size_t n_device = ARRAY_LEN(device);
static const char *const few_families[] = { "llama", "qwen3", "gemma2", "gpt2", "qwen2_moe" };
static bool is_few(const char *family)
{
    for (size_t i = 0; i < ARRAY_LEN(few_families); i++)
        if (!strcmp(few_families[i], family))
            return true;
    return false;
}

static Backend *open_on(const Device *d, size_t total)
{
    Err      e = { 0 };
    Backend *be = d->open(total, &e);
    if (!be)
        fail_msg("%s: %s", d->name, e.text);
    return be;
}

/* ---- ten steps ---- */

#define STEPS 10
#define FEW   3 /* on a slow device, of what is not the first of its kind */
typedef struct Way { const char *dir, *adapter; bool full, nf4, stream, paged, eight; Compute compute; ActivationPolicy policy; Spill *spill; int n_seq, steps; int32_t *len, *ids; } Way; /* steps 0: all */

static int steps_of(const Way *w) { return w->steps ? w->steps : STEPS; }

/* Losses of ten steps over the same texts: every token but the first of each is trained. */
static void follow(Backend *be, const Way *w, double loss[STEPS])
{
    static const TrainCfg cfg = { .beta1 = 0.9, .beta2 = 0.999, .adam_eps = 1e-8, .clip = 1, .weight_decay = 0.01 };
    Err       e = { 0 };
    Model    *m;
    Adapter  *ad = NULL;
    Optimizer o;
    TArena    a;
    int32_t   start[8], pos[512], row[512], target[512], total = 0, n = 0;
    float     coef[512], lp[512];
    for (int s = 0; s < w->n_seq; s++) {
        start[s] = total;
        for (int32_t i = 0; i < w->len[s]; i++, total++) {
            pos[total] = i;
            if (i) {
                row[n] = total - 1;
                target[n++] = w->ids[total];
            }
        }
    }
    must(model_open(&m, w->dir, be, &(ModelOptions){ .trainable = w->full, .nf4 = w->nf4 }, &e));
    if (w->stream)
        must(model_stream(m, true, &e));
    const bool pinned = w->spill && w->spill->mem && be->pin && be->pin(be, w->spill->mem, (size_t)w->spill->size);
    if (!w->full && w->adapter)
        must(adapter_open(&ad, m, w->adapter, &e));
    else if (!w->full)
        must(adapter_new(&ad, m, "all", 4, 8, false, 3, &e));
    must(optimizer_open(&o, m, ad, w->eight ? OPTIM_ADAMW_8BIT : OPTIM_ADAMW, w->paged, &e));
    if (w->paged) { /* many pieces of a tensor, and a last one that is no whole block */
        o.piece = 11 * 256;
        must(optimizer_page(&o, true, &e));
    }
    tarena_init(&a, be);
    for (int i = 0; i < n; i++)
        coef[i] = -1.0f / (float)n;
    for (int step = 0; step < steps_of(w); step++) {
        Tensor    *logp;
        Step       s;
        TArenaMark mark = tarena_mark(&a);
        double     nll = 0;
        step_init(&s, m, &a, golden_put(&a, DT_I32, w->ids, total), golden_put(&a, DT_I32, pos, total), w->n_seq, start, w->len);
        s.adapter = ad;
        s.spill = w->spill;
        optimizer_zero_grad(&o);
        be->compute = w->compute;
        must(model_train_pass(m, &a, &s, golden_put(&a, DT_I32, row, n), golden_put(&a, DT_I32, target, n), golden_put(&a, DT_F32, coef, n), w->policy, &logp, &e));
        be->compute = COMPUTE_F32;
        tensor_get(logp, lp);
        must(be->sync(be, &e));
        tarena_rewind(&a, mark);
        for (int i = 0; i < n; i++)
            nll -= (double)lp[i];
        loss[step] = nll / n;
        optimizer_step(&o, &cfg, w->full ? 1e-3 : 5e-3, optimizer_grad_norm(&o), step + 1);
    }
    must(be->sync(be, &e));
    if (pinned)
        be->unpin(be, w->spill->mem);
    tarena_release(&a);
    optimizer_close(&o);
    adapter_free(ad);
    model_close(m);
}

static void follow_on(const Device *d, const Way *w, double loss[STEPS])
{
    Backend *be = open_on(d, ROOM);
    follow(be, w, loss);
    be->close(be);
}

static double worst(const double *a, const double *b, int n)
{
    double most = 0;
    for (int i = 0; i < n; i++)
        most = fmax(most, isnan(a[i]) ? INFINITY : fabs(a[i] - b[i]) / fabs(b[i]));
    return most;
}

static Way golden_way(const Golden *g, bool full)
{
    return (Way){ .dir = g->dir, .adapter = full ? NULL : g->adapter_dir, .full = full, .n_seq = g->n_seq, .len = (int32_t *)(uintptr_t)g->len, .ids = g->ids };
}

static const Device reference = { "ref", open_ref, false }, cpu_device = { "cpu", open_cpu, false };

/* Sums in f32 of products of f32, in another order than ref's in double. */
#define SAME 1e-5

static void steps_as_ref(void **state)
{
    (void)state;
    for (size_t f = 0; f < ARRAY_LEN(golden_family); f++)
        for (int full = 0; full < 2; full++) {
            Golden    g = golden_open(golden_family[f]);
            Way       w = golden_way(&g, full);
            double    want[STEPS], got[STEPS];
            follow_on(&reference, &w, want);
            for (size_t d = 0; d < n_device; d++) {
                if (device[d].slow && !is_few(golden_family[f]))
                    continue;
                w.steps = device[d].slow && f ? FEW : 0; /* all ten of the first family */
                follow_on(&device[d], &w, got);
                if (!(worst(got, want, steps_of(&w)) <= SAME))
                    fail_msg("%s on %s, %s: losses off by %.2g", golden_family[f], device[d].name, full ? "full" : "lora", worst(got, want, steps_of(&w)));
            }
            golden_close(&g);
        }
}

static int32_t home_ids[96], home_len[3] = { 31, 40, 25 };
static Way home_way(char **dir)
{
    *dir = at("model");
    for (int i = 0; i < 96; i++)
        home_ids[i] = (i * 37 + i * i) % 500;
    return (Way){ .dir = *dir, .n_seq = 3, .len = home_len, .ids = home_ids };
}

static void qlora_as_ref(void **state)
{
    (void)state;
    char  *dir;
    Way    w = home_way(&dir);
    double want[STEPS], got[STEPS], plain[STEPS];
    follow_on(&reference, &w, plain);
    w.nf4 = true;
    follow_on(&reference, &w, want);
    assert_true(worst(plain, want, STEPS) > 1e-4); /* the base is another one */
    for (size_t d = 0; d < n_device; d++) {
        follow_on(&device[d], &w, got);
        if (!(worst(got, want, STEPS) <= SAME))
            fail_msg("%s: losses off by %.2g", device[d].name, worst(got, want, STEPS));
    }
    free(dir);
}

/* An operand rounded to bf16 is off by 2^-9 of itself at most, 2^-8 for a product of two; errors of a sum are independent. The loss is a mean over many such sums, so it moves
 * by less than one rounding, and after each step by what a step's gradient, off by as much, moves it: in ten steps no more than a rounding each. */
#define BF16_ROUNDING 3.9e-3

static void bf16_near_f32(void **state)
{
    (void)state;
    for (size_t d = 0; d < n_device; d++)
        for (int full = 0; full < 2; full++) {
            char    *dir;
            Way      w = home_way(&dir);
            double   want[STEPS], got[STEPS];
            Backend *be = open_on(&device[d], ROOM);
            if (!be->has_bf16) {
                print_message("SKIPPED: %s computes no bf16\n", device[d].name);
            } else {
                w.full = full;
                w.steps = device[d].slow && full ? FEW : 0;
                follow_on(&reference, &w, want);
                w.compute = COMPUTE_BF16;
                follow(be, &w, got);
                for (int i = 0; i < steps_of(&w); i++)
                    if (!(fabs(got[i] - want[i]) <= BF16_ROUNDING * (1 + i) * want[i]))
                        fail_msg("%s, %s, step %d: loss %.6f, in f32 %.6f", device[d].name, full ? "full" : "lora", i + 1, got[i], want[i]);
                assert_true(worst(got, want, steps_of(&w)) > 0);
            }
            be->close(be);
            free(dir);
        }
}

/* Every policy and streamed weights give the bits of activations kept. */
static void ways_give_the_same_bits(void **state)
{
    (void)state;
    for (size_t d = 0; d < n_device; d++)
        for (int nf4 = 0; nf4 < 2; nf4++) {
            char    *dir;
            Way      w = home_way(&dir);
            double   want[STEPS], got[STEPS];
            Err      e = { 0 };
            Spill    file, memory;
            const uint64_t room = 3 * 96 * 64 * sizeof(float);
            w.nf4 = nf4;
            w.steps = device[d].slow ? 1 + !nf4 : 0;
            must(spill_open(&file, home, room, &e));
            must(spill_open_memory(&memory, room, &e));
            follow_on(&device[d], &w, want);
            const struct { ActivationPolicy policy; Spill *spill; bool stream; } way[] = {
                { CHECKPOINT_BLOCKS, NULL, false }, { SPILL_INPUTS, &file, false }, { SPILL_INPUTS, &memory, false }, { SPILL_INPUTS, &memory, true }, { CHECKPOINT_BLOCKS, NULL, true },
            };
            for (size_t i = 0; i < ARRAY_LEN(way); i++) {
                if (way[i].stream && nf4) /* packed while they are loaded: nowhere in the file */
                    continue;
                w.policy = way[i].policy;
                w.spill = way[i].spill;
                w.stream = way[i].stream;
                for (int pace = 0; pace < (device[d].slow && !nf4 && w.spill == &memory ? PACES : 1); pace++) {
                    keep_pace(pace);
                    follow_on(&device[d], &w, got);
                    if (memcmp(got, want, (size_t)steps_of(&w) * sizeof *got) != 0)
                        fail_msg("%s, way %zu, pace %d: other losses than with all kept, by %.2g", device[d].name, i, pace, worst(got, want, steps_of(&w)));
                }
                keep_pace(0);
            }
            spill_close(&file);
            spill_close(&memory);
            free(dir);
        }
}

/* Moments in the program's memory, which pass through the device piece by piece: the bits of those that stay there, of every kind and in every pace. */
static void paged_moments_give_the_same_bits(void **state)
{
    (void)state;
    for (size_t d = 0; d < n_device; d++)
        for (int k = 0; k < 3; k++) { /* adapters, all weights, all weights with moments of 8 bits */
            char  *dir;
            Way    w = home_way(&dir);
            double want[STEPS], got[STEPS];
            w.full = k > 0;
            w.eight = k == 2;
            w.steps = device[d].slow ? FEW : 0;
            follow_on(&device[d], &w, want);
            w.paged = true;
            for (int pace = 0; pace < (device[d].slow && k == 0 ? PACES : 1); pace++) {
                keep_pace(pace);
                follow_on(&device[d], &w, got);
                if (memcmp(got, want, (size_t)steps_of(&w) * sizeof *got) != 0)
                    fail_msg("%s, kind %d, pace %d: other losses than with moments on the device, by %.2g", device[d].name, k, pace, worst(got, want, steps_of(&w)));
            }
            keep_pace(0);
            free(dir);
        }
}

/* Weights go back and forth between all on the device and two blocks of them, in so many bytes as is told. */
static void streaming_takes_what_it_says(void **state)
{
    (void)state;
    for (size_t d = 0; d < n_device; d++) {
        Err          e = { 0 };
        Model       *m;
        char        *dir = at("model"), was[SHA256_HEX], now[SHA256_HEX];
        Backend     *be = open_on(&device[d], ROOM);
        DeviceMemory held, then;
        must(model_open(&m, dir, be, NULL, &e));
        assert_false(m->stream);
        assert_true(be->memory(be, &held));
        assert_int_equal(m->blocks.reserved, model_blocks_bytes(m, false));
        model_fingerprint(m, was);
        for (int turn = 0; turn < 2; turn++) {
            must(model_stream(m, true, &e));
            assert_true(be->memory(be, &then));
            assert_int_equal(held.held - then.held, model_blocks_bytes(m, false) - model_blocks_bytes(m, true));
            model_fingerprint(m, now);
            assert_string_equal(was, now);
            must(model_stream(m, false, &e));
            assert_true(be->memory(be, &then));
            assert_int_equal(held.held, then.held);
        }
        model_close(m);
        /* A device that does not hold the model streams it from the first, and says the same. */
        must(model_open(&m, dir, be, &(ModelOptions){ .memory = (size_t)600 << 10 }, &e));
        assert_true(m->stream);
        model_fingerprint(m, now);
        assert_string_equal(was, now);
        char *out = at("copy"), *want = at("copy-cpu");
        must(model_save(m, NULL, out, &(SaveOptions){ .dtype = DT_BF16 }, &e));
        model_close(m);
        be->close(be);
        be = open_on(&cpu_device, 0);
        must(model_open(&m, dir, be, NULL, &e));
        must(model_save(m, NULL, want, &(SaveOptions){ .dtype = DT_BF16 }, &e));
        model_close(m);
        be->close(be);
        char *x = check_read(out, "config.json");
        free(x);
        char a[SHA256_HEX], b[SHA256_HEX], *pa = path_join(out, "model.safetensors"), *pb = path_join(want, "model.safetensors");
        must(sha256_file(pa, a, &e));
        must(sha256_file(pb, b, &e));
        assert_string_equal(a, b);
        must(dir_remove(out, &e));
        must(dir_remove(want, &e));
        free(pa);
        free(pb);
        free(out);
        free(want);
        free(dir);
    }
}

/* A text's log-probabilities do not hang on what else is in the micro-batch. */
static void packed_as_alone(void **state)
{
    (void)state;
    for (size_t d = 0; d < n_device; d++) {
        Err      e = { 0 };
        Backend *be = open_on(&device[d], ROOM);
        char    *dir;
        Way      w = home_way(&dir);
        Model   *m;
        TArena   a;
        float    packed[96], alone[96];
        int32_t  start[3] = { 0, 31, 71 }, pos[96], row[96], target[96];
        must(model_open(&m, dir, be, NULL, &e));
        for (int pass = 0; pass < 2; pass++)
            for (int s = 0; s < (pass ? 3 : 1); s++) {
                const int32_t from = pass ? start[s] : 0, n = pass ? w.len[s] : 96, zero = 0;
                Tensor       *logp;
                Step          step;
                for (int32_t i = 0; i < n; i++) {
                    row[i] = i;
                    target[i] = w.ids[(from + i + 1) % 96];
                    for (int k = 0; k < 3; k++)
                        if (from + i >= start[k])
                            pos[i] = from + i - start[k];
                }
                tarena_init(&a, be);
                step_init(&step, m, &a, golden_put(&a, DT_I32, w.ids + from, n), golden_put(&a, DT_I32, pos, n), pass ? 1 : 3, pass ? &zero : start, pass ? &w.len[s] : w.len);
                must(model_logp(m, &a, &step, golden_put(&a, DT_I32, row, n), golden_put(&a, DT_I32, target, n), &logp, &e));
                tensor_get(logp, pass ? alone + from : packed);
                tarena_release(&a);
            }
        for (int i = 0; i < 96; i++)
            if (!(fabs((double)packed[i] - (double)alone[i]) <= 2e-6 * fabs((double)alone[i])))
                fail_msg("%s, token %d: %.8g packed, %.8g alone", device[d].name, i, (double)packed[i], (double)alone[i]);
        model_close(m);
        be->close(be);
        free(dir);
    }
}

/* ---- whole runs ---- */

static int open_run(TrainRun **r, Backend *be, const char *out, const char *const *more, Err *e)
{
    static const char *const options[] = { "steps", "8", "batch-tokens", "256", "micro-tokens", "128", "max-length", "64", "eval-every", "4", "save-every", "2", "lr", "1e-2",
                                           "seed", "5", "patience", "0", "rank", "5", NULL };
    return small_open(r, be, "model", out, options, more, e);
}

typedef struct Counter { int64_t steps, stop_after; } Counter;
static void count(void *user, const TrainProgress *p) { ((Counter *)user)->steps += p->event == TRAIN_STEP; }
static bool stop(void *user)
{
    const Counter *c = user;
    return c->stop_after && c->steps >= c->stop_after;
}

static int run_on(Backend *be, const char *out, int64_t stop_after, const char *const *more, Err *e)
{
    TrainRun   *r;
    TrainResult res;
    Counter     c = { .stop_after = stop_after };
    int         rc = open_run(&r, be, out, more, e);
    if (!rc) {
        rc = train_go(r, &(TrainHooks){ .user = &c, .progress = count, .stop_asked = stop }, &res, e);
        train_close(r);
    }
    return rc;
}

static void hash_of(const char *out, const char *name, char hex[SHA256_HEX])
{
    Err   e = { 0 };
    char *dir = at(out), *path = path_join(dir, name);
    must(sha256_file(path, hex, &e));
    free(path);
    free(dir);
}

static void check_same_after(const char *a, const char *b, bool full, int steps)
{
    char ckpt[64];
    snprintf(ckpt, sizeof ckpt, "checkpoints/step-%09d/state.safetensors", steps);
    const char *name[] = { ckpt, "order.jsonl", full ? "model/model.safetensors" : "adapter/adapter_model.safetensors" };
    char        x[SHA256_HEX], y[SHA256_HEX];
    for (size_t i = 0; i < ARRAY_LEN(name); i++) {
        hash_of(a, name[i], x);
        hash_of(b, name[i], y);
        if (strcmp(x, y) != 0)
            fail_msg("%s/%s and %s/%s differ", a, name[i], b, name[i]);
    }
}

static void check_same(const char *a, const char *b, bool full) { check_same_after(a, b, full, 8); }

static void remove_run(const char *name)
{
    Err   e = { 0 };
    char *path = at(name);
    must(dir_remove(path, &e));
    free(path);
}

static const char *const recipe[][8] = { { "method", "lora", NULL }, { "method", "qlora", NULL }, { "method", "full", "optim", "adamw_8bit", NULL },
                                         { "method", "full", "moments", "host", NULL } };

/* What the plan says is what the device then holds at most, to the byte: by every method and every way of keeping activations. */
static void plan_is_fact(void **state)
{
    (void)state;
    static const char *const way[] = { "keep", "checkpoint", "spill", "stream" };
    for (size_t d = 0; d < n_device; d++)
        for (size_t k = 0; k < ARRAY_LEN(recipe); k++) {
            size_t before = SIZE_MAX;
            for (size_t a = 0; a < (device[d].slow && k ? 1 : ARRAY_LEN(way)); a++) {
                const bool   exact = !device[d].slow || (k % 3 == 0 && a == 0); /* one step alone may not meet the epoch's largest micro-batch */
                const char  *more[] = { "activations", way[a], "steps", exact ? "8" : "1", recipe[k][0], recipe[k][1], recipe[k][2], recipe[k][3], NULL };
                Err          e = { 0 };
                TrainRun    *r;
                TrainResult  res;
                DeviceMemory held;
                Backend     *be = open_on(&device[d], ROOM);
                must(open_run(&r, be, "planned", more, &e));
                const int rc = plan_make(r, NULL, a % 2 && !device[d].slow, &e);
                if (a == 3 && k > 0) { /* weights that are no part of the file cannot be streamed */
                    check_says(&e, ERR_ARG, "held in memory");
                } else {
                    if (rc)
                        fail_msg("%s, %s, %s: %s", device[d].name, recipe[k][1], way[a], e.text);
                    assert_true(r->plan.device);
                    assert_true((r->plan.inputs > 0) == (a > 1) && r->plan.file == 0);
                    assert_true(r->opt.paged == (k == 3) && r->plan.moments == (k == 3 ? optimizer_host_bytes(&r->opt) : 0));
                    assert_int_equal(r->opt.arena.reserved, optimizer_bytes(&r->opt, k == 3));
                    assert_true(r->pass.spill.mem != NULL || a < 2);
                    must(train_go(r, &(TrainHooks){ 0 }, &res, &e));
                    assert_true(exact ? r->pass.scratch.high == r->plan.pass : r->pass.scratch.high <= r->plan.pass);
                    assert_int_equal(r->pass.scratch.reserved, r->plan.pass);
                    assert_true(be->memory(be, &held));
                    if (!exact)
                        assert_true(held.most <= r->plan.memory && (double)held.most > 0.98 * (double)r->plan.memory);
                    else
                        assert_int_equal(held.most, r->plan.memory);
                    assert_int_equal(res.memory, held.most);
                    assert_true(held.held <= r->plan.memory);
                    assert_true(a == 3 || r->plan.pass < before);
                    before = r->plan.pass;
                }
                train_close(r);
                be->close(be);
                remove_run("planned");
            }
        }
}

/* The device's memory decides, or what --memory leaves of it; the least that is named is enough; and the sentence says what would need less. */
static void limits(void **state)
{
    (void)state;
    Err       e = { 0 };
    TrainRun *r;
    char      least[32];
    Backend  *be = open_on(&far_device, ROOM);
    must(open_run(&r, be, "small", (const char *const[]){ "memory", "1MiB", NULL }, &e));
    assert_int_equal(plan_make(r, NULL, false, &e), ERR_MEM);
    check_says(&e, ERR_MEM, "of the device's memory");
    check_says(&e, ERR_MEM, "method qlora");
    check_says(&e, ERR_MEM, "thousand million parameters would fit");
    const char *named = strstr(e.text, "(--memory ");
    assert_non_null(named);
    assert_int_equal(sscanf(named, "(--memory %31[0-9MiB]", least), 1);
    train_close(r);
    e = (Err){ 0 };
    must(open_run(&r, be, "small", (const char *const[]){ "memory", least, NULL }, &e));
    must(plan_make(r, NULL, false, &e));
    assert_true(r->plan.memory <= r->plan.limit);
    train_close(r);
    be->close(be);

    /* a device that is too small altogether */
    be = open_on(&far_device, (size_t)5 << 20);
    const int rc = open_run(&r, be, "small", NULL, &e);
    if (!rc) {
        assert_int_equal(plan_make(r, NULL, false, &e), ERR_MEM);
        check_says(&e, ERR_MEM, "the device gives");
        train_close(r);
    } else {
        assert_int_equal(rc, ERR_MEM);
    }
    be->close(be);
}

/* Moments go to the program's memory where the device's has no room for them, and not before; whatever is asked, the run ends with the same bits. */
static void moments_go_where_there_is_room(void **state)
{
    (void)state;
    static const char *const full[] = { "method", "full", "activations", "checkpoint", NULL }, *const there[] = { "method", "full", "activations", "checkpoint", "moments", "device", NULL };
    Err         e = { 0 };
    TrainRun   *r;
    TrainResult res;
    Backend    *be = open_on(&far_device, ROOM);
    must(open_run(&r, be, "roomy", full, &e));
    must(plan_make(r, NULL, false, &e));
    assert_false(r->opt.paged);
    assert_int_equal(r->cfg.moments, MOMENTS_DEVICE);
    const size_t enough = r->plan.standing + r->plan.pass + r->plan.aside, moments = optimizer_host_bytes(&r->opt);
    must(train_go(r, &(TrainHooks){ 0 }, &res, &e));
    train_close(r);
    be->close(be);
    be = open_on(&far_device, enough - ((size_t)1 << 20));
    must(open_run(&r, be, "tight", full, &e));
    r->opt.piece = 4096;
    r->free_micro = false;
    must(plan_make(r, NULL, false, &e));
    assert_true(r->opt.paged);
    assert_int_equal(r->cfg.moments, MOMENTS_HOST);
    assert_int_equal(r->plan.moments, moments);
    must(train_go(r, &(TrainHooks){ 0 }, &res, &e));
    assert_int_equal(res.memory, r->plan.memory);
    train_close(r);
    check_same("roomy", "tight", true);
    must(open_run(&r, be, "small", there, &e));
    r->free_micro = false;
    assert_int_equal(plan_make(r, NULL, false, &e), ERR_MEM);
    train_close(r);
    be->close(be);
    remove_run("tight");
    remove_run("roomy");
    for (size_t less = 0; less < 10; less++) { /* left to the planner, what one of both places can do is done */
        static const char *const places[] = { "auto", "device", "host" };
        bool fits[3];
        for (int i = 0; i < 3; i++) {
            const char *const adapter[] = { "rank", "64", "moments", places[i], NULL };
            be = open_on(&far_device, ((size_t)17 << 20) - less * ((size_t)320 << 10));
            int rc = open_run(&r, be, "swept", adapter, &e);
            if (!rc) {
                rc = plan_make(r, NULL, false, &e);
                train_close(r);
            }
            assert_true(!rc || rc == ERR_MEM);
            fits[i] = !rc;
            be->close(be);
        }
        print_message("%zu KiB less: auto %d, device %d, host %d\n", less * 320, fits[0], fits[1], fits[2]);
        assert_int_equal(fits[0], fits[1] || fits[2]);
    }
    remove_run("swept");
}

/* Memory that another program takes: between plan and reservation, and in the middle of a run. */
static void robbed(void **state)
{
    (void)state;
    Err         e = { 0 };
    TrainRun   *r;
    TrainResult res;
    Far        *f = far_open(1, ROOM, &e);
    must(open_run(&r, &f->be, "robbed", NULL, &e));
    must(plan_make(r, NULL, false, &e));
    const size_t pass = r->plan.pass;
    train_close(r);
    must(open_run(&r, &f->be, "robbed", NULL, &e));
    f->refuse = pass; /* only the reservation asks for so much */
    assert_int_equal(plan_make(r, NULL, false, &e), ERR_MEM);
    check_says(&e, ERR_MEM, "another program takes memory there");
    train_close(r);
    f->refuse = 0;
    e = (Err){ 0 };
    must(open_run(&r, &f->be, "robbed", NULL, &e));
    must(plan_make(r, NULL, false, &e));
    f->others = f->memory.total - f->memory.held; /* nothing is left for the cache of the last check */
    assert_int_equal(train_go(r, &(TrainHooks){ 0 }, &res, &e), ERR_MEM);
    check_says(&e, ERR_MEM, "run the same command again");
    check_says(&e, ERR_MEM, "if another program took memory");
    train_close(r);
    f->others = 0;
    e = (Err){ 0 };
    must(run_on(&f->be, "robbed", 0, NULL, &e));
    f->be.close(&f->be);
}

/* Also where moments lie elsewhere before and after. */
static void stopped_runs_end_the_same(void **state)
{
    (void)state;
    for (size_t d = 0; d < n_device; d++)
        for (size_t k = 0; k < ARRAY_LEN(recipe); k++) {
            const bool  slow = device[d].slow;
            const char *more[] = { recipe[k][0], recipe[k][1], "steps", slow ? "3" : "8", recipe[k][2], recipe[k][3], NULL };
            const char *there[] = { recipe[k][0], recipe[k][1], "steps", slow ? "3" : "8", recipe[k][2], k == 3 ? "device" : recipe[k][3], NULL }; /* moments of the last */
            Err         e = { 0 };
            Backend    *be = open_on(&device[d], ROOM);
            must(run_on(be, "whole", 0, there, &e));
            for (int64_t after = slow ? 2 : 1; after < (slow ? 3 : 8); after += 2) {
                assert_int_equal(run_on(be, "broken", after, after % 4 == 1 ? there : more, &e), ERR_STOP);
                e = (Err){ 0 };
                must(run_on(be, "broken", 0, after % 4 == 3 ? there : more, &e));
                check_same_after("whole", "broken", k >= 2, slow ? 3 : 8);
                remove_run("broken");
            }
            remove_run("whole");
            be->close(be);
        }
}

/* The same run in the program's memory: same kernels, same bits. */
static void far_is_near(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(recipe); k++) {
        Err      e = { 0 };
        Backend *be = open_on(&far_device, ROOM);
        must(run_on(be, "far", 0, recipe[k], &e));
        be->close(be);
        be = open_on(&cpu_device, 0);
        must(run_on(be, "near", 0, recipe[k], &e));
        be->close(be);
        check_same("far", "near", k >= 2);
        remove_run("far");
        remove_run("near");
    }
}

/* A device that fails, at any call: the step and the kernel are named, what was saved before is whole, and the run goes on from it to the same bits. Of a step that failed nothing
 * is told or saved. */
static void failures(void **state)
{
    (void)state;
    static const struct { const char *in; int64_t at; } row[] = {
        { NULL, 400 }, { NULL, 1500 }, { "linear_pair", 150 }, { "head_fused", 5 }, { "adamw", 30 }, { "sumsq", 40 }, { "download", 25 }, { "download", 100 }, { "attn_bwd", 21 },
    };
    Err  e = { 0 };
    Far *f = far_open(1, ROOM, &e);
    must(run_on(&f->be, "whole", 0, NULL, &e));
    f->be.close(&f->be);
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        char kernel[64];
        e = (Err){ 0 };
        f = far_open(1, ROOM, &e);
        f->fail_in = row[i].in;
        f->fail_at = row[i].at;
        const int rc = run_on(&f->be, "failed", 0, NULL, &e);
        snprintf(kernel, sizeof kernel, "kernel %s", row[i].in ? row[i].in : "");
        if (rc != ERR_DEVICE)
            fail_msg("row %zu: %s", i, rc ? e.text : "the device did not fail");
        check_says(&e, ERR_DEVICE, kernel);
        if (strstr(e.text, "step "))
            check_says(&e, ERR_DEVICE, "run the same command again");
        assert_int_equal(err_exit_status(rc), 3);
        f->be.close(&f->be);
        e = (Err){ 0 };
        f = far_open(1, ROOM, &e);
        must(run_on(&f->be, "failed", 0, NULL, &e));
        f->be.close(&f->be);
        check_same("whole", "failed", false);
        remove_run("failed");
    }
    remove_run("whole");
}

#ifdef HONE_CUDA_HOST
/* The same of the cuda backend: a kernel or a call of the runtime that fails in the middle, once a checkpoint is there; and memory that is not given. */
static void stand_in_failures(void **state)
{
    (void)state;
    static const struct { const char *call; int nth, code; const char *says; } row[] = {
        { "kernel adamw", 30, 719, "step 1: cuda:0 failed" }, { "kernel kernel_rope", 12, 700, "cuda:0 failed" }, { "cudaMemcpyAsync", 150, 719, "cuda:0 failed" },
    };
    static const char *const more[] = { "steps", "2", "save-every", "1", "eval", "0", NULL };
    Err      e = { 0 };
    Backend *be = open_on(&device[1], ROOM);
    must(run_on(be, "whole", 0, more, &e));
    be->close(be);
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        e = (Err){ 0 };
        host_cuda_set(&(HostCuda){ .memory = ROOM, .fail_call = row[i].call, .fail_nth = row[i].nth, .fail_code = row[i].code });
        be = backend_cuda_open(0, &e);
        assert_non_null(be);
        const int rc = run_on(be, "failed", 0, more, &e);
        be->close(be);
        if (!rc)
            fail_msg("row %zu: the card did not fail", i);
        print_message("%d: %s\n", rc, e.text);
        if (!strstr(e.text, row[i].says))
            fail_msg("row %zu: %s", i, e.text);
        e = (Err){ 0 };
        be = open_on(&device[1], ROOM);
        must(run_on(be, "failed", 0, more, &e));
        be->close(be);
        check_same_after("whole", "failed", false, 2);
        remove_run("failed");
    }
    remove_run("whole");
}
#endif

/* A run that is killed at any moment goes on to the same bits. */
static void killed(void **state)
{
    (void)state;
    Err e = { 0 };
    for (size_t d = 0; d < n_device; d++) {
        const char *const more[] = { "steps", device[d].slow ? "4" : "8", NULL };
        Backend          *be = open_on(&device[d], ROOM);
        must(run_on(be, "whole", 0, more, &e));
        be->close(be);
        Rng r = rng_at(7, RNG_SAMPLE, d, 0);
        for (int turn = 0, kills = 0; turn < 12 && kills < (device[d].slow ? 3 : 6); turn++) {
            const pid_t child = fork();
            assert_true(child >= 0);
            if (!child) { /* neither a card nor its stand-in goes through a fork */
                char *const again[] = { (char[]){ "test_cuda_run" }, (char[]){ "--run" }, (char[]){ (char)('0' + d), 0 }, home, NULL };
                execv("/proc/self/exe", again);
                _exit(127);
            }
            int status = 0;
            usleep((useconds_t)(5000 + rng_unit(&r) * (device[d].slow ? 2000000 : 150000)));
            kill(child, SIGKILL);
            waitpid(child, &status, 0);
            kills += WIFSIGNALED(status);
        }
        be = open_on(&device[d], ROOM);
        must(run_on(be, "killed", 0, more, &e));
        be->close(be);
        check_same_after("whole", "killed", false, device[d].slow ? 4 : 8);
        remove_run("whole");
        remove_run("killed");
    }
}

/* ---- the house ---- */

static int make_home(void **state)
{
    (void)state;
    home = check_dir();
    small_model("model", "{\"model_type\":\"llama\",\"architectures\":[\"LlamaForCausalLM\"],\"hidden_size\":64,\"num_hidden_layers\":4,\"num_attention_heads\":4,"
                         "\"num_key_value_heads\":2,\"intermediate_size\":128,\"vocab_size\":2048,\"max_position_embeddings\":128,\"tie_word_embeddings\":true}");
    small_rows();
    return 0;
}

/* The run that is killed: test_cuda_run --run DEVICE HOME. */
static int run_again(char **argv)
{
    Err               e = { 0 };
    const Device     *d = &device[argv[2][0] - '0'];
    const char *const more[] = { "steps", d->slow ? "4" : "8", NULL };
    Backend          *be = d->open(ROOM, &e);
    home = argv[3];
    return be && !run_on(be, "killed", 0, more, &e) ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 4 && !strcmp(argv[1], "--run"))
        return run_again(argv);
    if (argc == 2)
        cmocka_set_test_filter(argv[1]); /* one of them, by name */
#ifndef HONE_CUDA_HOST
    n_device -= backend_cuda_count() == 0;
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_as_ref),
        cmocka_unit_test(qlora_as_ref),
        cmocka_unit_test(bf16_near_f32),
        cmocka_unit_test(ways_give_the_same_bits),
        cmocka_unit_test(paged_moments_give_the_same_bits),
        cmocka_unit_test(streaming_takes_what_it_says),
        cmocka_unit_test(packed_as_alone),
        cmocka_unit_test(plan_is_fact),
        cmocka_unit_test(limits),
        cmocka_unit_test(moments_go_where_there_is_room),
        cmocka_unit_test(robbed),
        cmocka_unit_test(stopped_runs_end_the_same),
        cmocka_unit_test(far_is_near),
        cmocka_unit_test(failures),
#ifdef HONE_CUDA_HOST
        cmocka_unit_test(stand_in_failures),
#endif
        cmocka_unit_test(killed),
    };
    return cmocka_run_group_tests(tests, make_home, remove_home);
}
