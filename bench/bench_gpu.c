/* bench_gpu.c - what a card does, through the backend: lines of JSON for bench/gpu.sh.
 *   bench_gpu DEVICE rates SECONDS                        sustained rate of a large bf16 product and of a copy, over so many seconds each
 *   bench_gpu DEVICE kernels SHAPE TOKENS TFLOPS GBS      every kernel of a step on the shapes of a model: time, bytes, operations, per cent of the bar that binds it
 *   bench_gpu DEVICE step SHAPE METHOD LENGTH TOKENS TFLOPS [STEPS]   whole steps of a random model: tokens/s, share of the product's rate, memory against its dry run
 * DEVICE: as --device of hone. SHAPE: a row of `shape`; METHOD: lora, qlora, full. TFLOPS, GBS: the bars, as `rates` gave them; 0: none. Exit status 2: the device cannot be
 * opened, with the sentence that says why. Weights are random and repeated (model_open_repeated), so that loading takes seconds.
 * Bytes of a kernel: each input read once, each output written once. To add a kernel: a function and a row in kernel[]. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "tensor/cuda/nvml.h"
#include "tensor/dry/dry.h"
#include "train/optimizer.h"

#define RANK 16

typedef struct Shape { const char *name; int64_t hidden, layers, heads, kv_heads, ffn, vocab; } Shape; /* heads of hidden / heads */
static const Shape shape[] = {
    { "8b", 4096, 32, 32, 8, 14336, 128256 },
    { "1.5b", 1536, 28, 12, 2, 8960, 151936 },
    { "70b", 8192, 80, 64, 8, 28672, 128256 },
    { "tiny", 128, 3, 4, 2, 256, 1024 },
};

static Err      e;
static Backend *be;

static int ended(const char *what)
{
    fprintf(stderr, "bench_gpu: %s: %s\n", what, e.text);
    return 1;
}

static const Shape *shape_of(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(shape); i++)
        if (!strcmp(shape[i].name, name))
            return &shape[i];
    fprintf(stderr, "bench_gpu: there is no shape %s\n", name);
    exit(2);
}

/* --- tensors full of numbers ------------------------------------------------------------------------------------------------------------------- */

#define DRAWN ((int64_t)1 << 20) /* numbers; random enough that a product takes the power it takes */

static void fill_random(Tensor *t)
{
    static float v[DRAWN];
    void        *raw = mem_alloc(dtype_bytes(t->dtype, DRAWN));
    uint32_t     seed = 12345;
    for (int64_t i = 0; i < DRAWN; i++) {
        seed = seed * 1664525u + 1013904223u;
        v[i] = (float)(int32_t)seed * 0x1p-31f;
    }
    dtype_from_f32(raw, v, t->dtype, DRAWN);
    for (int64_t at = 0, n = tensor_numel(t); at < n; at += DRAWN)
        be->upload(be, (char *)t->data + dtype_bytes(t->dtype, at), raw, dtype_bytes(t->dtype, MIN(DRAWN, n - at)));
    free(raw);
}

static Tensor *make(TArena *a, DType type, int64_t rows, int64_t cols)
{
    Tensor *t = tarena_tensor(a, NULL, type, 2, (int64_t[]){ rows, cols });
    if (!t) {
        tarena_failed(a, &e);
        exit(ended("a tensor"));
    }
    if (type == DT_DYN8 || type == DT_UDYN8) { /* zeros */
        Tensor words = *t;
        words.dtype = DT_F32;
        words.rank = 1;
        words.dim[0] = words.ld = (int64_t)(dtype_bytes(type, rows * cols) / sizeof(float));
        be->fill(be, &words, 0);
    } else {
        fill_random(t);
    }
    return t;
}

static Tensor *make_ids(TArena *a, int64_t n, int64_t step, int64_t limit)
{
    Tensor  *t = tarena_tensor(a, NULL, DT_I32, 1, &n);
    int32_t *v = mem_alloc((size_t)n * sizeof *v);
    for (int64_t i = 0; i < n; i++)
        v[i] = (int32_t)(i * step % limit);
    if (t)
        be->upload(be, t->data, v, (size_t)n * sizeof *v);
    free(v);
    return t;
}

static double bytes_of(const Tensor *t) { return t ? (double)dtype_bytes(t->dtype, tensor_numel(t)) : 0; }

/* --- rates ------------------------------------------------------------------------------------------------------------------------------------- */

/* Calls a second of fn, kept up for so long; the last half counts, when clocks have settled. */
static double calls_per_second(void (*fn)(void *), void *ctx, double seconds)
{
    const double began = clock_seconds();
    double       half = 0;
    int64_t      n = 0, at_half = 0;
    fn(ctx);
    be->sync(be, &e);
    for (int64_t turn = 1;;) {
        const double t = clock_seconds();
        if (!half && t - began >= seconds / 2) {
            half = t;
            at_half = n;
        }
        if (half && t - began >= seconds && n > at_half)
            return (double)(n - at_half) / (t - half);
        for (int64_t i = 0; i < turn; i++, n++)
            fn(ctx);
        be->sync(be, &e);
        if (clock_seconds() - t < 0.05)
            turn *= 2;
    }
}

typedef struct Three { Tensor *y, *x, *w; } Three;
static void product(void *ctx)
{
    Three *t = ctx;
    be->linear(be, t->y, t->x, t->w, NULL, 1, false);
}
static void copy(void *ctx)
{
    Three *t = ctx;
    be->copy_rows(be, t->y, 0, t->x, 0, tensor_rows(t->x));
}

static int rates(double seconds, int64_t n)
{
    TArena    a;
    NvmlState card;
    Nvml     *nvml = nvml_open(be->bus, NULL);
    tarena_init(&a, be);
    Three t = { make(&a, DT_F32, n, n), make(&a, DT_F32, n, n), make(&a, be->has_bf16 ? DT_BF16 : DT_F32, n, n) };
    be->compute = be->has_bf16 ? COMPUTE_BF16 : COMPUTE_F32;
    const double tflops = 2.0 * (double)n * (double)n * (double)n * calls_per_second(product, &t, seconds) * 1e-12;
    nvml_read(nvml, &card);
    const double gbs = 2 * bytes_of(t.x) * calls_per_second(copy, &t, seconds / 3) * 1e-9;
    printf("{\"case\":\"rates\",\"tflops\":%.4g,\"copy_gbs\":%.4g,\"compute\":\"%s\",\"size\":%lld", tflops, gbs, compute_name(be->compute), (long long)n);
    if (isfinite(card.watts))
        printf(",\"watts\":%.0f,\"megahertz\":%.0f,\"celsius\":%.0f,\"held_down\":%llu", card.watts, card.megahertz, card.celsius, (unsigned long long)card.held_down);
    printf("}\n");
    tarena_release(&a);
    nvml_close(nvml);
    return be->sync(be, &e) ? ended("rates") : 0;
}

/* --- kernels ------------------------------------------------------------------------------------------------------------------------------------ */

typedef struct Lab {
    const Shape *s;
    int64_t   n, d, f, q, k;                                   /* tokens; widths of a row, the mlp, all queries, all keys */
    Tensor   *x, *y, *dy, *wide, *wide2, *wide3, *wq, *wd, *wnf4, *wgrad, *lora_x, *lora_w, *norm, *stat, *qq, *kk, *vv, *o, *lse, *dq, *dk, *dv;
    Tensor   *ids, *pos, *target, *coef, *logp, *dh, *head, *h, *table, *p, *g, *m, *v, *m8, *v8;
    RopeTable rope;
    AttnShape attn;
    int32_t   zero, tokens;
} Lab;

static void k_linear(Lab *l) { be->linear(be, l->y, l->x, l->wq, NULL, 1, false); }
static void k_linear_nf4(Lab *l) { be->linear(be, l->y, l->x, l->wnf4, NULL, 1, false); }
static void k_up(Lab *l) { be->linear(be, l->wide, l->x, l->wd, NULL, 1, false); }
static void k_dx(Lab *l) { be->linear_dx(be, l->dy, l->y, l->wq, 1); }
static void k_dx_nf4(Lab *l) { be->linear_dx(be, l->dy, l->y, l->wnf4, 1); }
static void k_dw(Lab *l) { be->linear_dw(be, l->wgrad, l->y, l->x, 1); }
static void k_pair(Lab *l) { be->linear_pair(be, l->y, l->x, l->wq, NULL, l->lora_x, l->lora_w); }
static void k_norm(Lab *l) { be->rmsnorm(be, l->y, l->stat, l->x, l->norm, 1e-5f, 0); }
static void k_norm_bwd(Lab *l) { be->rmsnorm_bwd(be, l->dy, NULL, l->y, l->x, l->norm, l->stat, 0); }
static void k_rope(Lab *l) { be->rope(be, l->qq, l->pos, &l->rope, (int)(l->d / l->s->heads), 1); }
static void k_glu(Lab *l) { be->glu(be, l->wide3, l->wide, l->wide2, ACT_SILU); }
static void k_glu_bwd(Lab *l) { be->glu_bwd(be, l->wide, l->wide2, l->wide3, l->wide, l->wide2, ACT_SILU); }
static void k_attn(Lab *l) { be->attn(be, l->o, l->lse, l->qq, l->kk, l->vv, &l->attn); }
static void k_attn_bwd(Lab *l) { be->attn_bwd(be, l->dq, l->dk, l->dv, l->y, l->o, l->lse, l->qq, l->kk, l->vv, &l->attn); }
static void k_head(Lab *l)
{
    const HeadCfg c = { 1, 0 };
    be->head_fused(be, l->logp, l->dh, NULL, NULL, l->h, l->head, NULL, l->target, l->coef, &c);
}
static void k_embed(Lab *l) { be->embed(be, l->y, l->head, l->ids); }
static void k_add(Lab *l) { be->add(be, l->y, l->x, l->dy); }
static void k_acc(Lab *l) { be->acc(be, l->y, l->x); }
static void k_fill(Lab *l) { be->fill(be, l->y, 0); }
static void k_copy(Lab *l) { be->copy_rows(be, l->y, 0, l->x, 0, l->n); }
static void k_sumsq(Lab *l) { be->sumsq(be, l->g); }
static const AdamW step_of_adam = { .lr = 1e-6f, .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f, .step = 2 };
static void k_adamw(Lab *l) { be->adamw(be, l->p, l->g, l->m, l->v, &step_of_adam, 1); }
static void k_adamw8(Lab *l) { be->adamw(be, l->p, l->g, l->m8, l->v8, &step_of_adam, 1); }

static Lab lab_make(TArena *a, const Shape *s, int64_t n)
{
    const int64_t d = s->hidden, head = d / s->heads, k = head * s->kv_heads, rows = MIN(n, 2048);
    Lab l = { .s = s, .n = n, .d = d, .f = s->ffn, .q = d, .k = k, .tokens = (int32_t)n };
    const DType weight = DT_BF16;
    l.x = make(a, DT_F32, n, d), l.y = make(a, DT_F32, n, d), l.dy = make(a, DT_F32, n, d);
    l.wide = make(a, DT_F32, n, s->ffn), l.wide2 = make(a, DT_F32, n, s->ffn), l.wide3 = make(a, DT_F32, n, s->ffn);
    l.wq = make(a, weight, d, d), l.wd = make(a, weight, s->ffn, d), l.wnf4 = make(a, DT_NF4, d, d), l.wgrad = make(a, DT_F32, d, d);
    l.lora_x = make(a, DT_F32, n, RANK), l.lora_w = make(a, DT_F32, d, RANK);
    l.norm = tarena_tensor(a, NULL, DT_F32, 1, &d);
    be->fill(be, l.norm, 1);
    l.stat = make(a, DT_F32, n, 1);
    l.qq = make(a, DT_F32, n, d), l.kk = make(a, DT_F32, n, k), l.vv = make(a, DT_F32, n, k), l.o = make(a, DT_F32, n, d), l.lse = make(a, DT_F32, n, s->heads);
    l.dq = make(a, DT_F32, n, d), l.dk = make(a, DT_F32, n, k), l.dv = make(a, DT_F32, n, k);
    l.rope = (RopeTable){ make(a, DT_F32, n, head / 2), make(a, DT_F32, n, head / 2), (int)head };
    l.ids = make_ids(a, n, 7919, s->vocab), l.pos = make_ids(a, n, 1, n), l.target = make_ids(a, rows, 7919, s->vocab);
    l.head = make(a, weight, s->vocab, d), l.h = make(a, DT_F32, rows, d), l.dh = make(a, DT_F32, rows, d), l.logp = make(a, DT_F32, rows, 1), l.coef = make(a, DT_F32, rows, 1);
    l.p = make(a, DT_F32, d, d), l.g = make(a, DT_F32, d, d), l.m = make(a, DT_F32, d, d), l.v = make(a, DT_F32, d, d);
    be->fill(be, l.v, 1);
    l.m8 = make(a, DT_DYN8, 1, dtype_whole(DT_DYN8, d * d)), l.v8 = make(a, DT_UDYN8, 1, dtype_whole(DT_UDYN8, d * d));
    return l;
}

static int kernels(const Shape *s, int64_t n, double tflops, double gbs)
{
    TArena a;
    tarena_init(&a, be);
    Lab l = lab_make(&a, s, n);
    l.attn = (AttnShape){ .n_seg = 1, .q0 = &l.zero, .nq = &l.tokens, .k0 = &l.zero, .nk = &l.tokens, .heads = (int)s->heads, .kv_heads = (int)s->kv_heads,
                          .head_dim = (int)(s->hidden / s->heads), .scale = 0.1f };
    const double row = 4.0 * (double)(n * l.d), wide = 4.0 * (double)(n * l.f), square = (double)(l.d * l.d), key = 4.0 * (double)(n * l.k);
    const double one = 2.0 * (double)n * square, seen = 2.0 * (double)n * (double)n * (double)l.d, rows = (double)tensor_rows(l.h);
    const struct { const char *name; void (*run)(Lab *); double bytes, flops; } kernel[] = {
        { "linear", k_linear, 2 * row + 2 * square, one },
        { "linear up", k_up, row + wide + 2 * bytes_of(l.wd) / 2, 2.0 * (double)n * (double)(l.d * l.f) },
        { "linear nf4", k_linear_nf4, 2 * row + bytes_of(l.wnf4), one },
        { "linear_dx", k_dx, 3 * row + 2 * square, one },
        { "linear_dx nf4", k_dx_nf4, 3 * row + bytes_of(l.wnf4), one },
        { "linear_dw", k_dw, 2 * row + 8 * square, one },
        { "linear_pair", k_pair, 2 * row + 2 * square, one + 2.0 * (double)n * (double)l.d * RANK },
        { "rmsnorm", k_norm, 2 * row, 0 },
        { "rmsnorm_bwd", k_norm_bwd, 4 * row, 0 },
        { "rope", k_rope, 2 * row, 0 },
        { "glu", k_glu, 3 * wide, 0 },
        { "glu_bwd", k_glu_bwd, 7 * wide, 0 },
        { "attn", k_attn, 2 * row + 2 * key, seen },
        { "attn_bwd", k_attn_bwd, 5 * row + 6 * key, 2.5 * seen },
        { "head_fused", k_head, 8 * rows * (double)l.d + 2 * bytes_of(l.head), 4 * rows * (double)tensor_numel(l.head) },
        { "embed", k_embed, row * 1.5, 0 },
        { "add", k_add, 3 * row, 0 },
        { "acc", k_acc, 3 * row, 0 },
        { "fill", k_fill, row, 0 },
        { "copy_rows", k_copy, 2 * row, 0 },
        { "sumsq", k_sumsq, 4 * square, 0 },
        { "adamw", k_adamw, 28 * square, 0 },
        { "adamw 8 bit", k_adamw8, 16 * square, 0 },
    };
    int rc = 0;
    be->compute = be->has_bf16 ? COMPUTE_BF16 : COMPUTE_F32;
    for (size_t i = 0; i < ARRAY_LEN(kernel) && !rc; i++) {
        double  took = 0;
        int64_t calls = 1;
        kernel[i].run(&l);
        rc = be->sync(be, &e);
        while (took < 0.1 && !rc) { /* the last, longest round counts */
            const double began = clock_seconds();
            for (int64_t c = 0; c < calls; c++)
                kernel[i].run(&l);
            rc = be->sync(be, &e);
            took = clock_seconds() - began;
            if (took < 0.1)
                calls *= 2;
        }
        const double seconds = took / (double)calls, bound_bytes = gbs > 0 ? kernel[i].bytes / (gbs * 1e9) : 0, bound_flops = tflops > 0 ? kernel[i].flops / (tflops * 1e12) : 0;
        const bool   by_flops = bound_flops > bound_bytes;
        printf("{\"case\":\"kernel\",\"kernel\":\"%s\",\"shape\":\"%s\",\"tokens\":%lld,\"us\":%.2f,\"gb\":%.4g,\"gflop\":%.4g,\"gbs\":%.4g,\"tflops\":%.4g,\"bound\":\"%s\",\"of_bar\":%.3f}\n",
               kernel[i].name, s->name, (long long)n, seconds * 1e6, kernel[i].bytes * 1e-9, kernel[i].flops * 1e-9, kernel[i].bytes / seconds * 1e-9,
               kernel[i].flops / seconds * 1e-12, by_flops ? "flops" : "bytes", (by_flops ? bound_flops : bound_bytes) / seconds);
        fflush(stdout);
    }
    tarena_release(&a);
    return rc ? ended("kernels") : 0;
}

/* --- whole steps -------------------------------------------------------------------------------------------------------------------------------- */

static char *config_of(const Shape *s, int64_t positions)
{
    char   made[] = "/tmp/bench_gpu.XXXXXX";
    StrBuf text = { 0 };
    char  *dir = mem_strdup(mkdtemp(made) ? made : "/tmp"), *path = path_join(dir, "config.json");
    strbuf_addf(&text, "{\"model_type\":\"llama\",\"architectures\":[\"LlamaForCausalLM\"],\"hidden_size\":%lld,\"num_hidden_layers\":%lld,\"num_attention_heads\":%lld,"
                       "\"num_key_value_heads\":%lld,\"intermediate_size\":%lld,\"vocab_size\":%lld,\"max_position_embeddings\":%lld,\"rope_theta\":500000.0,\"rms_norm_eps\":1e-05,"
                       "\"initializer_range\":0.02,\"tie_word_embeddings\":false}",
                (long long)s->hidden, (long long)s->layers, (long long)s->heads, (long long)s->kv_heads, (long long)s->ffn, (long long)s->vocab, (long long)positions);
    if (file_write_atomic(path, text.p, text.n, &e))
        exit(ended("config.json"));
    strbuf_release(&text);
    free(path);
    return dir;
}

typedef struct Job { Model *m; Adapter *ad; Optimizer opt; TArena a; int64_t length, tokens; bool full; } Job;

static int job_open(Job *j, Backend *on, const char *dir, const char *method, int64_t length, int64_t tokens)
{
    const bool full = !strcmp(method, "full"), qlora = !strcmp(method, "qlora");
    int        rc = model_open_repeated(&j->m, dir, on, qlora ? DT_NF4 : DT_BF16, full, &e);
    j->length = length;
    j->tokens = tokens;
    j->full = full;
    tarena_init(&j->a, on);
    rc = rc ? rc : model_reserve_positions(j->m, length, &e);
    if (!rc && !full)
        rc = adapter_new(&j->ad, j->m, "all", RANK, 2 * RANK, false, 1, &e);
    return rc ? rc : optimizer_open(&j->opt, j->m, j->ad, full ? OPTIM_ADAMW_8BIT : OPTIM_ADAMW, false, &e);
}

static void job_close(Job *j)
{
    if (j->a.be)
        tarena_release(&j->a);
    optimizer_close(&j->opt);
    adapter_free(j->ad);
    model_close(j->m);
    *j = (Job){ 0 };
}

/* One optimizer step over one micro-batch; every token is trained. */
static int job_step(Job *j, Backend *on, ActivationPolicy policy, int64_t number, double *loss)
{
    static const TrainCfg cfg = { .beta1 = 0.9, .beta2 = 0.999, .adam_eps = 1e-8, .clip = 1 };
    const int64_t n = j->tokens, segments = n / j->length;
    int32_t *v = mem_alloc((size_t)(3 * n + 2 * segments) * sizeof *v), *start = v + 3 * n, *len = start + segments;
    float   *lp = mem_alloc((size_t)n * sizeof *lp);
    Step     s;
    Tensor  *logp, *t[5];
    TArenaMark mark = tarena_mark(&j->a);
    for (int64_t i = 0; i < segments; i++) {
        start[i] = (int32_t)(i * j->length);
        len[i] = (int32_t)j->length;
    }
    for (int64_t i = 0; i < n; i++) {
        v[i] = (int32_t)((i * 7919 + number * 104729) % j->m->cfg.vocab);
        v[n + i] = (int32_t)(i % j->length);
        v[2 * n + i] = (int32_t)i;
        lp[i] = -1.0f / (float)n;
    }
    const void *from[5] = { v, v + n, v + 2 * n, v, lp };
    for (int i = 0; i < 5; i++) {
        t[i] = tarena_tensor(&j->a, NULL, i < 4 ? DT_I32 : DT_F32, 1, &n);
        if (t[i])
            on->upload(on, t[i]->data, from[i], (size_t)n * 4);
    }
    int rc = tarena_failed(&j->a, &e) ? e.code : 0;
    if (!rc) {
        step_init(&s, j->m, &j->a, t[0], t[1], (int)segments, start, len);
        s.adapter = j->ad;
        optimizer_zero_grad(&j->opt);
        on->compute = on->has_bf16 ? COMPUTE_BF16 : COMPUTE_F32;
        rc = model_train_pass(j->m, &j->a, &s, t[2], t[3], t[4], policy, &logp, &e);
        on->compute = COMPUTE_F32;
    }
    if (!rc) {
        on->download(on, lp, logp->data, (size_t)n * sizeof *lp);
        *loss = 0;
        for (int64_t i = 0; i < n; i++)
            *loss -= (double)lp[i] / (double)n;
        optimizer_step(&j->opt, &cfg, 1e-5, optimizer_grad_norm(&j->opt), number);
        rc = on->sync(on, &e);
    }
    tarena_rewind(&j->a, mark);
    free(v);
    free(lp);
    return rc;
}

/* Bytes that blocks of memory take, by a dry run. */
static size_t planned(const char *dir, const char *method, int64_t length, int64_t tokens, ActivationPolicy policy)
{
    Backend *dry = backend_dry_open();
    Job      j = { 0 };
    double   loss;
    size_t   n = SIZE_MAX;
    dry->host = be->host;
    if (!job_open(&j, dry, dir, method, length, tokens) && !job_step(&j, dry, policy, 1, &loss))
        n = backend_dry_bytes(dry).asked_high;
    job_close(&j);
    dry->close(dry);
    return n;
}

/* Operations of one token: products forward and for the input's gradient, for all weights' where they are trained; an adapter's six per number; attention over a text of
 * `length`, whose backward is two and a half times its forward. */
static double flops_of_token(const Job *j)
{
    const Model *m = j->m;
    double       block = 0, pairs = (double)j->length * (double)(m->cfg.heads * m->cfg.head_dim) * (double)m->cfg.layers * 2;
    for (int i = 0; i < m->n_linear; i++)
        block += (double)tensor_numel(m->linear[i].w);
    return (block + (double)tensor_numel(m->head_w)) * (j->full ? 6 : 4) + 3.5 * pairs + (j->ad ? 6.0 * (double)j->opt.n_values : 0);
}

static int compare(const void *a, const void *b) { return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b); }

static int steps(const Shape *s, const char *method, int64_t length, int64_t tokens, double tflops, int n)
{
    static const struct { ActivationPolicy policy; const char *name; } way[] = { { KEEP_ALL, "keep" }, { CHECKPOINT_BLOCKS, "checkpoint" } };
    DeviceMemory mem = { 0 };
    Job          j = { 0 };
    Sha256       h;
    char         hex[SHA256_HEX], *dir = config_of(s, MAX(length, 2048)), *path = path_join(dir, "config.json");
    double       took[16], loss = NAN, first = NAN;
    size_t       plan = 0, w = 0;
    if (be->memory)
        be->memory(be, &mem);
    for (w = 0; w < ARRAY_LEN(way); w++) {
        plan = planned(dir, method, length, tokens, way[w].policy);
        if (!be->memory || plan + ((size_t)3 << 30) < mem.free) /* scratch of the kernels, and some for the driver */
            break;
    }
    int rc = 0;
    if (w == ARRAY_LEN(way))
        rc = err_set(&e, ERR_MEM, "%s %s, %lld tokens: %.1f GiB, and the device gives %.1f", s->name, method, (long long)tokens, (double)plan * 0x1p-30, (double)mem.free * 0x1p-30);
    const double began = clock_seconds();
    rc = rc ? rc : job_open(&j, be, dir, method, length, tokens);
    rc = rc ? rc : be->sync(be, &e);
    const double opened = clock_seconds() - began;
    sha256_init(&h);
    n = MIN(n, (int)ARRAY_LEN(took));
    for (int i = -1; i < n && !rc; i++) { /* turn -1 warms up */
        const double start = clock_seconds();
        rc = job_step(&j, be, way[w].policy, i + 2, &loss);
        if (i >= 0)
            took[i] = clock_seconds() - start;
        else
            first = loss;
        sha256_add(&h, &loss, sizeof loss);
    }
    if (!rc) {
        sha256_hex(&h, hex);
        qsort(took, (size_t)n, sizeof *took, compare);
        const double speed = (double)tokens / took[n / 2], done = speed * flops_of_token(&j) * 1e-12;
        if (be->memory)
            be->memory(be, &mem);
        printf("{\"case\":\"step\",\"shape\":\"%s\",\"method\":\"%s\",\"length\":%lld,\"tokens\":%lld,\"activations\":\"%s\",\"tokens_per_second\":%.1f,\"tflops\":%.4g,\"of_gemm\":%.3f,"
               "\"memory\":%zu,\"blocks_planned\":%zu,\"first_loss\":%.6f,\"last_loss\":%.6f,\"bits\":\"%.16s\",\"open_seconds\":%.1f}\n",
               s->name, method, (long long)length, (long long)tokens, way[w].name, speed, done, tflops > 0 ? done / tflops : 0, mem.most, plan, first, loss, hex, opened);
    }
    job_close(&j);
    unlink(path);
    rmdir(dir);
    free(path);
    free(dir);
    return rc ? ended("step") : 0;
}

int main(int argc, char **argv)
{
    int rc = 2;
    if (argc < 4) {
        fprintf(stderr, "usage: bench_gpu DEVICE rates SECONDS [SIZE] | kernels SHAPE TOKENS TFLOPS GBS | step SHAPE METHOD LENGTH TOKENS TFLOPS [STEPS]\n");
        return 2;
    }
    be = backend_open(argv[1], 0, &e);
    if (!be) {
        fprintf(stderr, "no card: %s\n", e.text);
        return 2;
    }
    if (!strcmp(argv[2], "rates"))
        rc = rates(atof(argv[3]), argc > 4 ? atoll(argv[4]) : 16384);
    else if (!strcmp(argv[2], "kernels") && argc > 6)
        rc = kernels(shape_of(argv[3]), atoll(argv[4]), atof(argv[5]), atof(argv[6]));
    else if (!strcmp(argv[2], "step") && argc > 7)
        rc = steps(shape_of(argv[3]), argv[4], atoll(argv[5]), MAX(atoll(argv[6]), atoll(argv[5])), atof(argv[7]), argc > 8 ? atoi(argv[8]) : 3);
    be->close(be);
    return rc;
}
