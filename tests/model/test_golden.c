/* test_golden.c - every family against PyTorch: logits, log-probabilities, every gradient, with and without an adapter; and hone against itself:
 * packed and alone, kept and checkpointed, merged and unmerged, cached and whole, saved and loaded. On ref and on cpu. */
#include "golden/golden.h"
#include "model/model_int.h"

#include <fcntl.h>
#include <unistd.h>

#define LOGITS_TOL 1e-5  /* largest difference / largest logit; f32 against f32 in another order gives about 1e-6 */
#define GRAD_TOL   1e-4  /* |difference| / |gradient|, Frobenius */

static Backend *be;

typedef struct Fixture { Golden g; Model *m; Adapter *ad; TArena a; } Fixture;

static Fixture open_family(const char *family, bool adapter)
{
    Fixture f = { .g = golden_open(family) };
    Err     e = { 0 };
    must(model_open(&f.m, f.g.dir, be, &(ModelOptions){ .trainable = true }, &e));
    if (adapter)
        must(adapter_open(&f.ad, f.m, f.g.adapter_dir, &e));
    tarena_init(&f.a, be);
    return f;
}

static void close_family(Fixture *f)
{
    tarena_release(&f->a);
    adapter_free(f->ad);
    model_close(f->m);
    golden_close(&f->g);
}

static Step packed_step(Fixture *f)
{
    Step s;
    step_init(&s, f->m, &f->a, golden_put(&f->a, DT_I32, f->g.ids, f->g.total), golden_put(&f->a, DT_I32, f->g.pos, f->g.total), f->g.n_seq, f->g.start, f->g.len);
    s.adapter = f->ad;
    return s;
}

static float *logits_of(Fixture *f, const Step *s)
{
    Tape t;
    tape_init(&t, be, &f->a, false);
    Tensor *y = model_logits(&t, f->m, s->adapter, model_hidden(&t, f->m, s, NULL));
    float  *v = mem_alloc((size_t)tensor_numel(y) * sizeof *v);
    tensor_get(y, v);
    tape_release(&t);
    return v;
}

static double worst(const float *a, const float *b, int64_t n, double *largest)
{
    double d = 0;
    for (int64_t i = 0; i < n; i++) {
        d = fmax(d, fabs((double)a[i] - (double)b[i]));
        *largest = fmax(*largest, fabs((double)b[i]));
    }
    return d;
}

static void check_logits(const char *family, bool adapter)
{
    Fixture f = open_family(family, adapter);
    Step    s = packed_step(&f);
    float  *got = logits_of(&f, &s), *want = golden_f32(&f.g, adapter ? "lora.logits" : "logits", NULL);
    const int64_t v = f.m->cfg.vocab;
    double  diff = 0, largest = 0;
    for (int32_t i = 0; i < f.g.n_seq; i++)
        diff = fmax(diff, worst(got + f.g.start[i] * v, want + (int64_t)i * f.g.width * v, f.g.len[i] * v, &largest));
    print_message("%s %s%s: logits differ by %.2g of the largest\n", be->name, family, adapter ? " + adapter" : "", diff / largest);
    assert_true(diff <= LOGITS_TOL * largest);
    free(got);
    free(want);
    close_family(&f);
}

static void test_logits(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(golden_family); i++) {
        check_logits(golden_family[i], false);
        check_logits(golden_family[i], true);
    }
}

/* Packed rows may not see each other: the same sequence alone gives the same logits. */
static void test_packed_equals_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(golden_family); i++) {
        Fixture f = open_family(golden_family[i], true);
        Step    s = packed_step(&f);
        float  *packed = logits_of(&f, &s);
        for (int32_t k = 0; k < f.g.n_seq; k++) {
            const int32_t zero = 0;
            Step          alone;
            step_init(&alone, f.m, &f.a, golden_put(&f.a, DT_I32, f.g.ids + f.g.start[k], f.g.len[k]),
                      golden_put(&f.a, DT_I32, f.g.pos + f.g.start[k], f.g.len[k]), 1, &zero, &f.g.len[k]);
            alone.adapter = f.ad;
            float *one = logits_of(&f, &alone);
            double largest = 0, diff = worst(one, packed + f.g.start[k] * f.m->cfg.vocab, f.g.len[k] * f.m->cfg.vocab, &largest);
            assert_true(diff <= 1e-6 * largest);
            free(one);
        }
        free(packed);
        close_family(&f);
    }
}

/* --- gradients ------------------------------------------------------------------------------------------------------------------------- */

typedef struct Leaf { char name[256]; Tensor *w; const Slot *slot; const Linear *rows_of; } Leaf; /* slot: a base weight; rows_of: a B */

static void want_grad(Fixture *f, Tensor *w)
{
    w->wants_grad = true;
    w->grad = tarena_tensor(&f->a, NULL, DT_F32, w->rank, w->dim);
    be->fill(be, w->grad, 0);
}

static int leaves(Fixture *f, Leaf *l)
{
    int n = 0;
    if (f->ad) {
        for (int i = 0; i < f->m->n_linear; i++)
            for (int k = 0; k < 2; k++) {
                snprintf(l[n].name, sizeof l[n].name, "lora.grad.base_model.model.%s.lora_%c.weight", f->m->linear[i].module, k ? 'B' : 'A');
                l[n].slot = NULL;
                l[n].rows_of = k ? &f->m->linear[i] : NULL;
                l[n++].w = k ? f->ad->pair[i].b : f->ad->pair[i].a;
            }
    } else {
        for (int i = 0; i < f->m->slots->n; i++) {
            const Slot *slot = &f->m->slots->p[i];
            snprintf(l[n].name, sizeof l[n].name, "grad.%s", slot->file_name);
            l[n].slot = slot;
            l[n].rows_of = NULL;
            l[n++].w = *slot->at;
        }
    }
    for (int i = 0; i < n; i++)
        want_grad(f, l[i].w);
    return n;
}

/* Runs the whole golden batch; the loss is the mean over all trained targets. */
static double train_pass(Fixture *f, ActivationPolicy policy, int32_t first_seq, int32_t last_seq)
{
    Err     e = { 0 };
    Tensor *logp;
    Golden *g = &f->g;
    float   coef[256];
    double  nll = 0;
    int32_t n = 0, row[256], target[256], start[8];
    const int32_t first = g->start[first_seq], total = g->start[last_seq - 1] + g->len[last_seq - 1] - first;
    for (int32_t i = 0; i < g->n_rows; i++)
        if (g->row[i] >= first && g->row[i] < first + total) {
            row[n] = g->row[i] - first;
            target[n] = g->target[i];
            coef[n++] = (float)(-1.0 / g->n_rows);
        }
    for (int32_t i = first_seq; i < last_seq; i++)
        start[i - first_seq] = g->start[i] - first;
    TArenaMark mark = tarena_mark(&f->a);
    Step s;
    step_init(&s, f->m, &f->a, golden_put(&f->a, DT_I32, g->ids + first, total), golden_put(&f->a, DT_I32, g->pos + first, total), last_seq - first_seq,
              start, g->len + first_seq);
    s.adapter = f->ad;
    Spill file = { .fd = -1 };
    if (policy == SPILL_INPUTS)
        must(spill_open(&file, P_tmpdir, model_spill_bytes(f->m, total), &e));
    s.spill = &file;
    must(model_train_pass(f->m, &f->a, &s, golden_put(&f->a, DT_I32, row, n), golden_put(&f->a, DT_I32, target, n),
                          golden_put(&f->a, DT_F32, coef, n), policy, &logp, &e));
    float lp[256];
    tensor_get(logp, lp);
    for (int32_t i = 0; i < n; i++)
        nll -= (double)lp[i];
    tarena_rewind(&f->a, mark);
    spill_close(&file);
    return nll / g->n_rows;
}

/* `file` is in the order of the file. */
static double grad_error(const Fixture *f, const Leaf *l, const float *file, const float *got)
{
    const int64_t n = tensor_numel(l->w), cols = l->w->rank == 2 ? l->w->dim[1] : 1;
    double        diff = 0, norm = 0;
    float        *want = mem_alloc((size_t)n * sizeof *want);
    memcpy(want, file, (size_t)n * sizeof *want);
    if (l->slot)
        slot_from_file(f->m, l->slot, want, file);
    for (int64_t i = 0; i < n / cols && l->rows_of; i++)
        memcpy(want + i * cols, file + linear_file_row(f->m, l->rows_of, i) * cols, (size_t)cols * sizeof *want);
    for (int64_t i = 0; i < n; i++) {
        const double w = (double)want[i], d = (double)got[i] - w;
        diff += d * d;
        norm += w * w;
    }
    free(want);
    return sqrt(diff) / fmax(sqrt(norm), 1e-6); /* a gradient that is zero in truth (GPT-2's key bias alone) is compared absolutely */
}

static void check_gradients(const char *family, bool adapter)
{
    Fixture f = open_family(family, adapter);
    Leaf    leaf[256];
    const int n = leaves(&f, leaf);
    double  loss = train_pass(&f, KEEP_ALL, 0, f.g.n_seq), top = 0;
    float  *want_loss = golden_f32(&f.g, adapter ? "lora.loss" : "loss", NULL);
    assert_true(fabs(loss - (double)want_loss[0]) <= 1e-5 * (double)want_loss[0]);
    for (int i = 0; i < n; i++) {
        int64_t count;
        float  *want = golden_f32(&f.g, leaf[i].name, &count), *got = mem_alloc((size_t)count * sizeof *got);
        assert_int_equal(count, tensor_numel(leaf[i].w));
        tensor_get(leaf[i].w->grad, got);
        const double err = grad_error(&f, &leaf[i], want, got);
        if (!(err <= GRAD_TOL))
            fail_msg("%s %s: %s is off by %.3g of its norm", be->name, family, leaf[i].name, err);
        top = fmax(top, err);
        free(want);
        free(got);
    }
    print_message("%s %s%s: loss %.6f, %d gradients, worst off by %.2g of its norm\n", be->name, family, adapter ? " + adapter" : "", loss, n, top);
    free(want_loss);
    close_family(&f);
}

static void test_gradients(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(golden_family); i++) {
        check_gradients(golden_family[i], false);
        check_gradients(golden_family[i], true);
    }
}

/* All gradients of one way of computing, end to end, to compare with another way. */
static float *all_gradients(const char *family, bool adapter, ActivationPolicy policy, bool one_by_one, int64_t *count, double *loss)
{
    Fixture f = open_family(family, adapter);
    Leaf    leaf[256];
    const int n = leaves(&f, leaf);
    *loss = 0;
    *count = 0;
    for (int32_t i = 0; i < f.g.n_seq; i += one_by_one ? 1 : f.g.n_seq)
        *loss += train_pass(&f, policy, i, one_by_one ? i + 1 : f.g.n_seq);
    for (int i = 0; i < n; i++)
        *count += tensor_numel(leaf[i].w);
    float *v = mem_alloc((size_t)*count * sizeof *v), *p = v;
    for (int i = 0; i < n; p += tensor_numel(leaf[i++].w))
        tensor_get(leaf[i].w->grad, p);
    close_family(&f);
    return v;
}

static void test_policies_change_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(golden_family); i++)
        for (int adapter = 0; adapter < 2; adapter++) {
            int64_t n;
            double  loss_a, loss_b;
            float  *a = all_gradients(golden_family[i], adapter, KEEP_ALL, false, &n, &loss_a);
            for (ActivationPolicy policy = CHECKPOINT_BLOCKS; policy <= SPILL_INPUTS; policy++) {
                float *b = all_gradients(golden_family[i], adapter, policy, false, &n, &loss_b);
                assert_true(loss_a == loss_b);
                assert_memory_equal(a, b, (size_t)n * sizeof *a);
                free(b);
            }
            free(a);
        }
}

/* The arena holds every block's input and, in full length, two gradients; or two inputs and one gradient. A disk that fails is told. */
static void test_spilled_inputs_leave_the_arena(void **state)
{
    (void)state;
    Fixture      f = open_family("llama", false);
    Leaf         leaf[256];
    Err          e = { 0 };
    Tensor      *logp;
    Spill        file;
    size_t       high[2];
    const int    layers = (int)f.m->cfg.layers;
    float        coef[256] = { 0 };
    leaves(&f, leaf);
    for (int k = 0; k < 2; k++) { /* checkpointed; spilled; on a full disk */
        TArena a;
        tarena_init(&a, be);
        Step s;
        step_init(&s, f.m, &a, golden_put(&a, DT_I32, f.g.ids, f.g.total), golden_put(&a, DT_I32, f.g.pos, f.g.total), f.g.n_seq, f.g.start, f.g.len);
        must(spill_open(&file, P_tmpdir, model_spill_bytes(f.m, f.g.total), &e));
        assert_int_equal(file.size, (uint64_t)(layers - 1) * (uint64_t)f.g.total * (uint64_t)f.m->cfg.hidden * sizeof(float));
        s.spill = &file;
        if (k == 2) {
            close(file.fd);
            file.fd = open("/dev/full", O_RDWR | O_CLOEXEC);
            assert_true(file.fd >= 0);
        }
        int rc = model_train_pass(f.m, &a, &s, golden_put(&a, DT_I32, f.g.row, f.g.n_rows), golden_put(&a, DT_I32, f.g.target, f.g.n_rows),
                                  golden_put(&a, DT_F32, coef, f.g.n_rows), k ? SPILL_INPUTS : CHECKPOINT_BLOCKS, &logp, &e);
        assert_int_equal(rc, k < 2 ? 0 : ERR_IO);
        if (k < 2)
            high[k] = a.high;
        else
            assert_non_null(strstr(e.text, "No space left on device"));
        spill_close(&file);
        tarena_release(&a);
    }
    const size_t one = (size_t)(f.g.total * f.m->cfg.hidden) * sizeof(float);
    const int held = be->host ? 2 : 3; /* on a device one comes while another is read */
    print_message("%s: the arena's peak is %zu bytes with %d inputs in it, %zu with %d\n", be->name, high[0], layers, high[1], held);
    assert_int_equal(high[0] - high[1], (size_t)(layers + 1 - held) * one + (size_t)(f.g.n_rows * f.m->cfg.hidden) * sizeof(float));
    close_family(&f);
}

/* Unequal lengths, one at a time or all at once: the same mean over trained tokens, the same gradient. */
static void test_accumulation_equals_one_batch(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(golden_family); i++)
        for (int adapter = 0; adapter < 2; adapter++) {
            int64_t n;
            double  loss_a, loss_b, largest = 0;
            float  *a = all_gradients(golden_family[i], adapter, KEEP_ALL, false, &n, &loss_a);
            float  *b = all_gradients(golden_family[i], adapter, KEEP_ALL, true, &n, &loss_b);
            assert_true(fabs(loss_a - loss_b) <= 1e-6 * loss_a);
            assert_true(worst(a, b, n, &largest) <= 3e-6 * largest);
            free(a);
            free(b);
        }
}

/* --- inference and files ----------------------------------------------------------------------------------------------------------------- */

static void test_cached_decode_equals_full(void **state)
{
    (void)state;
    /* F16 rounds a number by at most 2^-11 of it, Q8_0 by at most 1/254 + 2^-11 of the largest of its block (half a step, and the scale's own
     * rounding). What becomes of that in a logit depends on the weights: measured over the families, at most 5.2 times as much of the largest logit
     * for F16 (qwen2) and 8.5 times for Q8_0 (mixtral). */
    static const struct { DType type; double off; } cache[] = { { DT_F32, 1e-5 }, { DT_F16, 6 * 0x1p-11 }, { DT_Q8_0, 10 * (1.0 / 254 + 0x1p-11) } };
    const int32_t zero = 0;
    for (size_t i = 0; i < ARRAY_LEN(golden_family) * ARRAY_LEN(cache); i++) {
        Fixture f = open_family(golden_family[i / ARRAY_LEN(cache)], true);
        Err     e = { 0 };
        Step    s = packed_step(&f);
        KvCache kv;
        float  *full = logits_of(&f, &s);
        must(kv_open(&kv, f.m, 1, f.g.len[0], cache[i % ARRAY_LEN(cache)].type, &e));
        for (int32_t t = 0; t < f.g.len[0];) {
            const int32_t n = t == 0 ? 5 : 1, nk = t + n; /* a prompt of five, then one by one */
            Step          d;
            step_init_cached(&d, f.m, &f.a, golden_put(&f.a, DT_I32, f.g.ids + t, n), golden_put(&f.a, DT_I32, f.g.pos + t, n), 1, &zero, &n, &kv, &zero,
                             &nk, &f.g.len[0]);
            d.adapter = f.ad;
            float *got = logits_of(&f, &d);
            double largest = 0, diff = worst(got, full + t * f.m->cfg.vocab, n * f.m->cfg.vocab, &largest);
            assert_true(diff <= cache[i % ARRAY_LEN(cache)].off * largest);
            free(got);
            t += n;
        }
        kv_close(&kv);
        free(full);
        close_family(&f);
    }
}

static bool file_exists_in(const char *dir, const char *name)
{
    char *path = path_join(dir, name);
    bool  there = file_exists(path);
    free(path);
    return there;
}

/* Every second one in shards: each of at most 4000 bytes or of a single weight. */
static void test_merged_equals_unmerged(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(golden_family); i++) {
        Fixture f = open_family(golden_family[i], true);
        Err     e = { 0 };
        char    dir[] = "/tmp/hone-merge-XXXXXX", path[64];
        Model  *merged = NULL, *base = f.m;
        Step    s = packed_step(&f);
        float  *want = logits_of(&f, &s);
        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof path, "%s/model", dir);
        must(model_save(f.m, f.ad, path, &(SaveOptions){ .dtype = DT_F32, .max_shard_bytes = i % 2 ? 4000 : 0 }, &e));
        assert_int_equal(file_exists_in(path, "model.safetensors.index.json"), i % 2);
        assert_int_equal(file_exists_in(path, "model.safetensors"), !(i % 2));
        must(model_open(&merged, path, be, NULL, &e));
        f.m = merged;
        s.adapter = NULL;
        float *got = logits_of(&f, &s);
        double largest = 0, diff = worst(got, want, f.g.total * base->cfg.vocab, &largest);
        assert_true(diff <= 1e-5 * largest);
        /* an adapter that is read back is the same adapter */
        Adapter *again = NULL;
        snprintf(path, sizeof path, "%s/adapter", dir);
        must(adapter_save(f.ad, base, path, &e));
        must(adapter_open(&again, base, path, &e));
        assert_int_equal(again->n_adapted, f.ad->n_adapted);
        for (int k = 0; k < base->n_linear; k++) {
            const int64_t n = tensor_numel(again->pair[k].b);
            float        *x = mem_alloc((size_t)(2 * n) * sizeof *x);
            tensor_get(again->pair[k].b, x);
            tensor_get(f.ad->pair[k].b, x + n);
            assert_memory_equal(x, x + n, (size_t)n * sizeof *x);
            free(x);
        }
        adapter_free(again);
        f.m = base;
        model_close(merged);
        dir_remove(dir, NULL);
        free(got);
        free(want);
        close_family(&f);
    }
}

/* Adapters with a whole embedding and head, on an untied model and (the embedding alone) on a tied one: PEFT's logits, and the same after merging and
 * after writing the adapter and reading it back. A table of other rows is refused with both numbers. */
static void test_whole_tables(void **state)
{
    (void)state;
    static const char *const family[] = { "mistral", "qwen2_yarn" };
    for (size_t i = 0; i < ARRAY_LEN(family); i++) {
        Fixture f = open_family(family[i], false);
        Err     e = { 0 };
        StFile *want_file = NULL;
        Model  *merged = NULL, *base = f.m;
        Adapter *again = NULL;
        char    dir[] = "/tmp/hone-tables-XXXXXX", path[1024];
        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof path, "%s/tables/golden.safetensors", f.g.dir);
        must(st_open(&want_file, path, &e));
        const StTensor *want = st_find(want_file, "logits");
        assert_non_null(want);
        snprintf(path, sizeof path, "%s/tables", f.g.dir);
        must(adapter_open(&f.ad, f.m, path, &e));
        assert_int_equal(adapter_unties(f.ad, f.m), f.m->cfg.tied);
        snprintf(path, sizeof path, "%s/adapter", dir);
        must(adapter_save(f.ad, base, path, &e));
        must(adapter_open(&again, base, path, &e));
        snprintf(path, sizeof path, "%s/model", dir);
        must(model_save(base, again, path, &(SaveOptions){ .dtype = DT_F32 }, &e));
        must(model_open(&merged, path, be, NULL, &e));
        assert_false(merged->cfg.tied);
        Adapter *const with[] = { f.ad, again, NULL };
        for (size_t k = 0; k < ARRAY_LEN(with); k++) {
            Step s = packed_step(&f);
            s.adapter = with[k];
            f.m = with[k] ? base : merged;
            float *got = logits_of(&f, &s), *truth = mem_alloc(want->nbytes);
            double diff = 0, largest = 0;
            memcpy(truth, want->data, want->nbytes);
            for (int32_t q = 0; q < f.g.n_seq; q++)
                diff = fmax(diff, worst(got + f.g.start[q] * base->cfg.vocab, truth + (int64_t)q * f.g.width * base->cfg.vocab, f.g.len[q] * base->cfg.vocab, &largest));
            if (!(diff <= LOGITS_TOL * largest))
                fail_msg("%s %s, way %zu: logits with whole tables differ by %.3g of the largest", be->name, family[i], k, diff / largest);
            free(got);
            free(truth);
        }
        f.m = base;
        if (i == 0) { /* the adapter of another base, and of this one with a resized vocabulary */
            Fixture other = open_family("llama", false);
            Adapter *none = NULL;
            snprintf(path, sizeof path, "%s/tables", f.g.dir);
            assert_int_equal(adapter_open(&none, other.m, path, &e), ERR_INPUT);
            assert_non_null(strstr(e.text, "golden/mistral"));
            close_family(&other);
        }
        adapter_free(again);
        model_close(merged);
        st_close(want_file);
        dir_remove(dir, NULL);
        close_family(&f);
    }
}

static void test_wrong_weights_are_named(void **state)
{
    (void)state;
    Err    e = { 0 };
    Model *m = NULL;
    char   dir[] = "/tmp/hone-wrong-XXXXXX", path[1200], config[1200];
    assert_non_null(mkdtemp(dir));
    /* llama's weights under qwen3's configuration: the per-head norms are missing */
    snprintf(path, sizeof path, "cp %s/golden/models/llama/model.safetensors %s/golden/models/qwen3/config.json %s/", TEST_DIR, TEST_DIR, dir);
    assert_int_equal(system(path), 0);
    assert_int_equal(model_open(&m, dir, be, NULL, &e), ERR_INPUT);
    assert_null(m);
    snprintf(config, sizeof config, "%s/config.json", dir);
    static const struct { const char *json, *say; } bad[] = {
        { "{\"model_type\":\"nonesuch\"}", "nonesuch" },
        { "{\"model_type\":\"llama\"}", "hidden_size" },
        { "{\"model_type\":\"llama\",\"hidden_size\":32,\"num_hidden_layers\":2,\"num_attention_heads\":0,\"intermediate_size\":52,\"vocab_size\":9}", "heads" },
        { "{\"model_type\":\"llama\",\"hidden_size\":32,\"num_hidden_layers\":2,\"num_attention_heads\":4,\"intermediate_size\":52,\"vocab_size\":9,"
          "\"rope_scaling\":{\"type\":\"yorn\",\"factor\":2}}", "yorn" },
        { "{\"model_type\":\"llama\",\"hidden_size\":\"32\"}", "hidden_size" },
        { "{\"model_type\":\"llama\",", "line 1" },
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        must(file_write_atomic(config, bad[i].json, strlen(bad[i].json), &e));
        assert_int_equal(model_open(&m, dir, be, NULL, &e), ERR_INPUT);
        if (!strstr(e.text, bad[i].say))
            fail_msg("\"%s\" does not say %s", e.text, bad[i].say);
    }
    dir_remove(dir, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logits),
        cmocka_unit_test(test_packed_equals_alone),
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_policies_change_nothing),
        cmocka_unit_test(test_spilled_inputs_leave_the_arena),
        cmocka_unit_test(test_accumulation_equals_one_batch),
        cmocka_unit_test(test_cached_decode_equals_full),
        cmocka_unit_test(test_merged_equals_unmerged),
        cmocka_unit_test(test_whole_tables),
        cmocka_unit_test(test_wrong_weights_are_named),
    };
    golden_main(be, tests);
}
