/* bench_step.c - where the time of a training step goes: a random model of SmolLM2-135M's shape (or of CONFIG, a folder with a config.json), LoRA of
 * rank 16 on every linear, or all weights, one pass forward and backward and the optimizer's update, with every operation of the backend timed.
 *   bench_step [REPS] [THREADS] [TRAINED] [COMPUTE] [METHOD] [CONFIG]      TRAINED: every so manieth token is trained, 1: all; COMPUTE: f32, bf16;
 *                                                                          METHOD: lora, full
 * The timing is a Backend around the real one: a table of functions that look at the clock and pass on. To add an operation: its line in TIMED. */
#include "bench.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "train/optimizer.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TOKENS    1024
#define SEGMENTS  8
#define THIN      64 /* a linear with fewer columns than this on one side is a LoRA factor */

static const char shape_135m[] =
    "{\"model_type\":\"llama\",\"architectures\":[\"LlamaForCausalLM\"],\"hidden_size\":576,\"num_hidden_layers\":30,\"num_attention_heads\":9,"
    "\"num_key_value_heads\":3,\"intermediate_size\":1536,\"vocab_size\":49152,\"max_position_embeddings\":8192,\"rope_theta\":100000.0,"
    "\"rms_norm_eps\":1e-05,\"tie_word_embeddings\":true}";

/* ---- the timing backend ---- */

typedef enum { LINEAR, LINEAR_DX, LINEAR_DW, LORA, LORA_DX, LORA_DW, ATTN, ATTN_BWD, NORM, NORM_BWD, ROPE, GLU, GLU_BWD, HEAD, ADD, ACC, FILL, COPY, EMBED,
               EMBED_BWD, GRAD_NORM, UPDATE, KINDS } Kind;
static const char *const kind_names[KINDS] = {
    "linear", "linear dx", "linear dw", "lora", "lora dx", "lora dw", "attention", "attention bwd", "rmsnorm", "rmsnorm bwd", "rope", "glu", "glu bwd",
    "head both ways", "add", "acc", "fill", "copy rows", "embed, rows", "embed bwd",
    "gradient norm", "update",
};

static Backend *real;
static struct { double seconds, flops; int64_t calls; } spent[KINDS];

static void note(Kind k, double start, double flops)
{
    spent[k].seconds += clock_seconds() - start;
    spent[k].flops += flops;
    spent[k].calls++;
}

static double product(const Tensor *t, const Tensor *w) { return 2.0 * (double)(tensor_rows(t) * tensor_numel(w)); }
static int thin(const Tensor *w) { return w->dim[0] < THIN || w->dim[1] < THIN ? LORA - LINEAR : 0; }
static double pairs(const AttnShape *s)
{
    double n = 0;
    for (int i = 0; i < s->n_seg; i++)
        n += s->nq[i] * (s->nk[i] - 0.5 * s->nq[i]);
    return 4 * n * s->heads * s->head_dim;
}

#define TIMED(fn, params, args, kind, flops)                                                        \
    static void timed_##fn params                                                                   \
    {                                                                                               \
        double start = clock_seconds();                                                             \
        (void)be;                                                                                   \
        real->fn args;                                                                              \
        note(kind, start, flops);                                                                   \
    }
TIMED(linear, (Backend *be, Tensor *y, const Tensor *x, const Tensor *w, const Tensor *b, float f, bool add), (real, y, x, w, b, f, add),
      LINEAR + (Kind)thin(w), product(x, w))
TIMED(linear_dx, (Backend *be, Tensor *dx, const Tensor *dy, const Tensor *w, float f), (real, dx, dy, w, f), LINEAR_DX + (Kind)thin(w), product(dy, w))
TIMED(linear_pair, (Backend *be, Tensor *y, const Tensor *x, const Tensor *w, const Tensor *b, const Tensor *x2, const Tensor *w2), (real, y, x, w, b, x2, w2),
      LINEAR, product(x, w) + product(x2, w2))
TIMED(linear_dx_pair, (Backend *be, Tensor *dx, const Tensor *dy, const Tensor *w, const Tensor *dy2, const Tensor *w2), (real, dx, dy, w, dy2, w2),
      LINEAR_DX, product(dy, w) + product(dy2, w2))
TIMED(linear_dw, (Backend *be, Tensor *dw, const Tensor *dy, const Tensor *x, float f), (real, dw, dy, x, f), LINEAR_DW + (Kind)thin(dw), product(dy, dw))
TIMED(attn, (Backend *be, Tensor *o, Tensor *lse, const Tensor *q, const Tensor *k, const Tensor *v, const AttnShape *s), (real, o, lse, q, k, v, s),
      ATTN, pairs(s))
TIMED(attn_bwd, (Backend *be, Tensor *dq, Tensor *dk, Tensor *dv, const Tensor *dout, const Tensor *o, const Tensor *lse, const Tensor *q,
                 const Tensor *k, const Tensor *v, const AttnShape *s), (real, dq, dk, dv, dout, o, lse, q, k, v, s), ATTN_BWD, 2.5 * pairs(s))
TIMED(rmsnorm, (Backend *be, Tensor *y, Tensor *stat, const Tensor *x, const Tensor *w, float eps, float offset), (real, y, stat, x, w, eps, offset), NORM, 0)
TIMED(rmsnorm_bwd, (Backend *be, Tensor *dx, Tensor *dw, const Tensor *dy, const Tensor *x, const Tensor *w, const Tensor *stat, float offset),
      (real, dx, dw, dy, x, w, stat, offset), NORM_BWD, 0)
TIMED(rope, (Backend *be, Tensor *x, const Tensor *pos, const RopeTable *r, int head_dim, int sign), (real, x, pos, r, head_dim, sign), ROPE, 0)
TIMED(glu, (Backend *be, Tensor *y, const Tensor *gate, const Tensor *up, ActKind a), (real, y, gate, up, a), GLU, 0)
TIMED(glu_bwd, (Backend *be, Tensor *dgate, Tensor *dup, const Tensor *dy, const Tensor *gate, const Tensor *up, ActKind a),
      (real, dgate, dup, dy, gate, up, a), GLU_BWD, 0)
TIMED(head_fused, (Backend *be, Tensor *logp, Tensor *dh, Tensor *dw, Tensor *db, const Tensor *h, const Tensor *w, const Tensor *b, const Tensor *target,
                   const Tensor *coef, const HeadCfg *cfg), (real, logp, dh, dw, db, h, w, b, target, coef, cfg), HEAD, (dw ? 3 : 2) * product(h, w))
TIMED(add, (Backend *be, Tensor *y, const Tensor *a, const Tensor *b), (real, y, a, b), ADD, 0)
TIMED(acc, (Backend *be, Tensor *y, const Tensor *x), (real, y, x), ACC, 0)
TIMED(fill, (Backend *be, Tensor *x, float v), (real, x, v), FILL, 0)
TIMED(copy_rows, (Backend *be, Tensor *dst, int64_t dst_row, const Tensor *src, int64_t src_row, int64_t n), (real, dst, dst_row, src, src_row, n), COPY, 0)
TIMED(embed, (Backend *be, Tensor *y, const Tensor *table, const Tensor *ids), (real, y, table, ids), EMBED, 0)
TIMED(embed_bwd, (Backend *be, Tensor *dtable, const Tensor *dy, const Tensor *ids), (real, dtable, dy, ids), EMBED_BWD, 0)

TIMED(adamw, (Backend *be, Tensor *w, const Tensor *g, Tensor *m, Tensor *v, const AdamW *a, float f), (real, w, g, m, v, a, f), UPDATE, 0)

static double timed_sumsq(Backend *be, const Tensor *x)
{
    const double start = clock_seconds(), sum = real->sumsq(real, x);
    (void)be;
    note(GRAD_NORM, start, 0);
    return sum;
}

static void *pass_alloc(Backend *be, size_t n) { (void)be; return real->alloc(real, n); }
static void pass_release(Backend *be, void *p, size_t n) { (void)be; real->release(real, p, n); }
static int pass_sync(Backend *be, Err *e) { (void)be; return real->sync(real, e); }

/* Operations without a line above would be called with the wrong backend; a null pointer says so at once. */
static Backend timing(void)
{
    return (Backend){
        .name = "timing", .host = real->host, .threads = real->threads, .alloc = pass_alloc, .release = pass_release, .upload = real->upload, .download = real->download,
        .sync = pass_sync, .linear = timed_linear, .linear_dx = timed_linear_dx, .linear_pair = timed_linear_pair,
        .linear_dx_pair = timed_linear_dx_pair, .linear_dw = timed_linear_dw, .attn = timed_attn,
        .attn_bwd = timed_attn_bwd, .rmsnorm = timed_rmsnorm, .rmsnorm_bwd = timed_rmsnorm_bwd, .rope = timed_rope, .glu = timed_glu,
        .glu_bwd = timed_glu_bwd, .head_fused = timed_head_fused, .add = timed_add, .acc = timed_acc, .fill = timed_fill,
        .copy_rows = timed_copy_rows, .embed = timed_embed, .embed_bwd = timed_embed_bwd,
        .sumsq = timed_sumsq, .adamw = timed_adamw,
    };
}

/* ---- the step ---- */

static int step(const Model *m, const Adapter *ad, Optimizer *opt, TArena *a, int n_seg, int trained, int64_t number, Err *e)
{
    static const TrainCfg cfg = { .beta1 = 0.9, .beta2 = 0.999, .adam_eps = 1e-8, .clip = 1 };
    int32_t start[SEGMENTS], len[SEGMENTS], n = TOKENS / trained;
    TArenaMark mark = tarena_mark(a);
    Tensor *ids = bench_ids(a, TOKENS, (int32_t)m->cfg.vocab), *pos = bench_ids(a, TOKENS, INT32_MAX);
    Tensor *row = bench_ids(a, n, INT32_MAX), *target = bench_ids(a, n, (int32_t)m->cfg.vocab), *coef = bench_tensor(a, 1, n), *logp;
    for (int i = 0; i < n_seg; i++) {
        len[i] = TOKENS / n_seg;
        start[i] = i * len[i];
    }
    for (int32_t i = 0; i < TOKENS; i++)
        ((int32_t *)pos->data)[i] = i % len[0];
    for (int32_t i = 0; i < n; i++)
        ((int32_t *)row->data)[i] = i * trained + trained - 1;
    Step s;
    step_init(&s, m, a, ids, pos, n_seg, start, len);
    s.adapter = ad;
    optimizer_zero_grad(opt);
    int rc = model_train_pass(m, a, &s, row, target, coef, KEEP_ALL, &logp, e);
    tarena_rewind(a, mark);
    if (!rc)
        optimizer_step(opt, &cfg, 1e-6, optimizer_grad_norm(opt), number);
    return rc;
}

static void report(int n_seg, int reps, const double *seconds, const double *share)
{
    double v[BENCH_REPS_MAX], all = 0, flops = 0, sum = 0;
    for (int r = 0; r < reps; r++) {
        sum += seconds[r];
        v[r] = seconds[r];
    }
    for (int k = 0; k < KINDS; k++) {
        all += spent[k].seconds;
        flops += spent[k].flops;
    }
    double took = bench_median(v, reps), probe = 0;
    for (int r = 0; r < reps; r++)
        v[r] = share[r];
    probe = bench_median(v, reps);
    printf("\n%d x %d: %.0f tokens/s, %.1f %% of the probe\n", n_seg, TOKENS / n_seg, TOKENS / took, 100 * flops / reps / probe);
    for (int k = 0; k < KINDS; k++)
        if (spent[k].calls)
            printf("  %-16s %7.1f ms %6.2f %% of the step  %6lld calls  %6.1f %% of the probe\n", kind_names[k], 1e3 * spent[k].seconds / reps,
                   100 * spent[k].seconds / sum, (long long)spent[k].calls / reps, 100 * spent[k].flops / spent[k].seconds / probe * took);
    printf("  %-16s %7.1f ms %6.2f %% of the step\n", "between", 1e3 * (sum - all) / reps, 100 * (sum - all) / sum);
}

int main(int argc, char **argv)
{
    int reps = argc > 1 ? atoi(argv[1]) : 5, threads = argc > 2 ? atoi(argv[2]) : 0, trained = argc > 3 ? MAX(1, atoi(argv[3])) : 1, rc;
    char made[] = "/tmp/bench_step.XXXXXX", *config = NULL;
    const bool full = argc > 5 && !strcmp(argv[5], "full");
    const char *dir = argc > 6 ? argv[6] : mkdtemp(made);
    Err e = { 0 };
    Model *m = NULL;
    Adapter *ad = NULL;
    Optimizer opt = { 0 };
    reps = MAX(1, MIN(reps, BENCH_REPS_MAX));
    real = backend_open("cpu", threads, &e);
    if (!real || !dir) {
        fprintf(stderr, "%s\n", e.text);
        return 2;
    }
    real->compute = bench_compute(real, argc > 4 ? argv[4] : "f32");
    Backend be = timing();
    Pool *pool = pool_new(real->threads);
    TArena a;
    tarena_init(&a, &be);
    if (argc <= 6) {
        config = path_join(dir, "config.json");
        rc = file_write_atomic(config, shape_135m, strlen(shape_135m), &e);
    } else {
        rc = 0;
    }
    rc = rc ? rc : model_open_random(&m, dir, &be, DT_F32, 1, &e);
    rc = rc ? rc : model_reserve_positions(m, TOKENS, &e);
    if (!rc && !full)
        rc = adapter_new(&ad, m, "all", 16, 32, false, 1, &e);
    rc = rc ? rc : optimizer_open(&opt, m, ad, OPTIM_ADAMW, false, &e);
    if (!rc)
        printf("%d threads, probe %.0f GFLOP/s; %s, %s, one of %d tokens trained; medians of %d\n", be.threads, bench_probe(pool),
               full ? "full" : "lora", argc > 4 ? argv[4] : "f32", trained, reps);
    for (int n_seg = 1; n_seg <= SEGMENTS && !rc; n_seg *= 2) {
        double seconds[BENCH_REPS_MAX], share[BENCH_REPS_MAX];
        for (int r = -1; r < reps && !rc; r++) { /* turn -1 warms up */
            double probe = bench_probe(pool);
            if (r <= 0)
                memset(spent, 0, sizeof spent);
            double start = clock_seconds();
            rc = step(m, ad, &opt, &a, n_seg, trained, r + 2, &e);
            if (r >= 0) {
                seconds[r] = clock_seconds() - start;
                share[r] = seconds[r] * (probe + bench_probe(pool)) * 0.5e9; /* what the probe would have done meanwhile */
            }
        }
        if (!rc)
            report(n_seg, reps, seconds, share);
    }
    if (rc)
        fprintf(stderr, "bench_step: %s\n", e.text);
    if (config) {
        unlink(config);
        rmdir(made);
    }
    free(config);
    tarena_release(&a);
    optimizer_close(&opt);
    adapter_free(ad);
    model_close(m);
    pool_free(pool);
    real->close(real);
    return rc != 0;
}
