/* bench_ops.c - what a training step does besides the products: attention, norms, gated product, head, rotary turns, optimiser.
 * Milliseconds and the share of a limit measured beside it: arithmetic of the FMA probe (attention: causal half counted), passes over memory of a
 * copy (bytes read and written; at the largest T the tensors are larger than any cache).
 *   bench_ops [REPS] [THREADS] [ISA] [NAME]      NAME: only operations whose name begins so
 * To add an operation: a function and a row in cases[]; to add a shape of attention: a row in attn_shapes[]. */
#include "bench.h"
#include "base/clock.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Model { const char *name; int64_t D, hidden, V; int head_dim; } Model;
static const Model models[] = {
    { "135M", 576, 1536, 49152, 64 },
    { "0.5B", 896, 4864, 151936, 64 },
};

#define SEGMENTS_MAX 16
typedef struct Attn { int heads, kv_heads, head_dim, n_seg, len; } Attn; /* n_seg texts of len tokens */
static const Attn attn_shapes[] = {
    { 9, 3, 64, 1, 256 }, { 9, 3, 64, 1, 512 }, { 9, 3, 64, 1, 1024 }, { 9, 3, 64, 1, 2048 }, { 9, 3, 64, 1, 8192 }, { 9, 3, 64, 8, 128 }, { 9, 3, 64, 16, 37 },
    { 16, 8, 128, 1, 256 }, { 16, 8, 128, 1, 1024 }, { 16, 8, 128, 1, 4096 }, { 16, 8, 128, 8, 128 }, { 8, 4, 256, 1, 1024 },
};

typedef struct Bench {
    Backend     *be;
    const Model *m;
    int64_t      T;
    Tensor      *x, *dx, *w, *stat;                                          /* [T, D], [D], [T, 1] */
    Tensor      *q, *k, *v, *o, *lse, *dq, *dk, *dv, *dout;
    Tensor      *gate, *up, *y, *dgate, *dup;                                /* [T, hidden] */
    Tensor      *embed, *logp, *coef, *ids, *dh;
    Tensor      *big[4], *small[2];                                          /* optimiser: weight, gradient, moments; moments of 8 bits */
    RopeTable    rope;
    AttnShape    shape;
    int32_t      start[SEGMENTS_MAX], len[SEGMENTS_MAX];
} Bench;

static const HeadCfg plain_head = { .scale = 1 };

static void run_attn(Bench *b) { b->be->attn(b->be, b->o, b->lse, b->q, b->k, b->v, &b->shape); }
static void run_attn_bwd(Bench *b) { b->be->attn_bwd(b->be, b->dq, b->dk, b->dv, b->dout, b->o, b->lse, b->q, b->k, b->v, &b->shape); }
static void run_rmsnorm(Bench *b) { b->be->rmsnorm(b->be, b->dx, b->stat, b->x, b->w, 1e-5f, 0); }
static void run_rmsnorm_bwd(Bench *b) { b->be->rmsnorm_bwd(b->be, b->dx, NULL, b->x, b->x, b->w, b->stat, 0); }
static void run_rope(Bench *b) { b->be->rope(b->be, b->q, b->ids, &b->rope, b->m->head_dim, 1); }
static void run_glu(Bench *b) { b->be->glu(b->be, b->y, b->gate, b->up, ACT_SILU); }
static void run_glu_bwd(Bench *b) { b->be->glu_bwd(b->be, b->dgate, b->dup, b->y, b->gate, b->up, ACT_SILU); }
static void run_add(Bench *b) { b->be->add(b->be, b->dx, b->x, b->dx); }
static void run_head(Bench *b) { b->be->head_fused(b->be, b->logp, b->dh, NULL, NULL, b->x, b->embed, NULL, b->ids, b->coef, &plain_head); }
static void run_head_logp(Bench *b) { b->be->head_logp(b->be, b->logp, NULL, b->x, b->embed, NULL, b->ids, &plain_head); }
static const AdamW adam = { .lr = 1e-4f, .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f, .step = 9 };
static void run_adamw(Bench *b) { b->be->adamw(b->be, b->big[0], b->big[1], b->big[2], b->big[3], &adam, 1); }
static void run_adamw_8bit(Bench *b) { b->be->adamw(b->be, b->big[0], b->big[1], b->small[0], b->small[1], &adam, 1); }
static void run_fill(Bench *b) { b->be->fill(b->be, b->dx, 0); }
static void run_sumsq(Bench *b) { b->be->sumsq(b->be, b->big[1]); }

static double attn_flops(const Bench *b)
{
    const AttnShape *s = &b->shape;
    return 2.0 * s->n_seg * (double)s->nq[0] * s->nq[0] * s->heads * s->head_dim;
}
static double attn_bwd_flops(const Bench *b) { return 2.5 * attn_flops(b); }
static double head_flops(const Bench *b) { return 4.0 * (double)(b->T * b->m->D * b->m->V); }
static double head_logp_flops(const Bench *b) { return 2.0 * (double)(b->T * b->m->D * b->m->V); }
static double row_bytes(const Bench *b) { return 8.0 * (double)(b->T * b->m->D); }
static double row_bytes_3(const Bench *b) { return 12.0 * (double)(b->T * b->m->D); }
static double row_bytes_4(const Bench *b) { return 16.0 * (double)(b->T * b->m->D); }
static double fill_bytes(const Bench *b) { return 4.0 * (double)(b->T * b->m->D); }
static double glu_bytes(const Bench *b) { return 12.0 * (double)(b->T * b->m->hidden); }
static double glu_bwd_bytes(const Bench *b) { return 28.0 * (double)(b->T * b->m->hidden); }
static double adamw_bytes(const Bench *b) { return 28.0 * (double)(tensor_numel(b->big[0])); }
static double adamw_8bit_bytes(const Bench *b) { return 12.0 * (double)(tensor_numel(b->big[0])) + 4.0 * (double)dtype_bytes(DT_DYN8, tensor_numel(b->big[0])); }
static double sumsq_bytes(const Bench *b) { return 4.0 * (double)(tensor_numel(b->big[0])); }

typedef struct Case {
    const char *name;
    void      (*run)(Bench *);
    double    (*flops)(const Bench *), (*bytes)(const Bench *); /* one of them */
} Case;
static const Case attn_cases[] = {
    { "attn",        run_attn,        attn_flops,      NULL          },
    { "attn bwd",    run_attn_bwd,    attn_bwd_flops,  NULL          },
};
static const Case cases[] = {
    { "rmsnorm",     run_rmsnorm,     NULL,            row_bytes     },
    { "rmsnorm bwd", run_rmsnorm_bwd, NULL,            row_bytes_4   },
    { "rope",        run_rope,        NULL,            row_bytes     },
    { "glu",         run_glu,         NULL,            glu_bytes     },
    { "glu bwd",     run_glu_bwd,     NULL,            glu_bwd_bytes },
    { "add",         run_add,         NULL,            row_bytes_3   },
    { "fill",        run_fill,        NULL,            fill_bytes    },
    { "head logp",   run_head_logp,   head_logp_flops, NULL          },
    { "head fused",  run_head,        head_flops,      NULL          },
    { "adamw 16M",   run_adamw,       NULL,            adamw_bytes   },
    { "adamw 8 bit", run_adamw_8bit,  NULL,            adamw_8bit_bytes },
    { "sumsq 16M",   run_sumsq,       NULL,            sumsq_bytes   },
};
#define HEAD_ROWS_MAX 1024 /* more rows tell nothing new of the head and take long */

/* ---- the copy: what no pass over memory can beat ---- */

typedef float Vec __attribute__((vector_size(32), aligned(4), may_alias));
typedef struct Copy { Vec *dst; const Vec *src; int64_t n, each; } Copy; /* n, each: in vectors */

static void copy_piece(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    const Copy *c = ctx;
    int64_t at = piece * c->each, end = MIN(c->n, at + c->each);
    for (; at < end; at++)
        c->dst[at] = c->src[at] + 1.0f; /* an addition, lest it become memcpy and its stores past the cache, which a step has no use for */
}

/* GB/s of reading n floats and writing n others on all threads. */
static double copy_rate(Pool *pool, Tensor *dst, const Tensor *src)
{
    Copy c = { .dst = dst->data, .src = src->data, .n = tensor_numel(dst) / 8, .each = 1 << 12 };
    double start = clock_seconds();
    parallel_for(pool, (c.n + c.each - 1) / c.each, copy_piece, &c);
    return 64e-9 * (double)c.n / (clock_seconds() - start);
}

static void setup(Bench *b, TArena *a)
{
    const Model *m = b->m;
    int64_t T = b->T;
    Tensor **at_D[] = { &b->x, &b->dx, &b->dh, &b->q }, **at_hidden[] = { &b->gate, &b->up, &b->y, &b->dgate, &b->dup }, **at_one[] = { &b->stat, &b->logp, &b->coef };
    for (size_t i = 0; i < ARRAY_LEN(at_D); i++)
        *at_D[i] = bench_tensor(a, T, m->D);
    for (size_t i = 0; i < ARRAY_LEN(at_hidden); i++)
        *at_hidden[i] = bench_tensor(a, T, m->hidden);
    for (size_t i = 0; i < ARRAY_LEN(at_one); i++)
        *at_one[i] = bench_tensor(a, T, 1);
    for (size_t i = 0; i < ARRAY_LEN(b->big); i++)
        b->big[i] = bench_tensor(a, 4096, 4096);
    b->be->fill(b->be, b->big[3], 1.0f);
    const int64_t n = tensor_numel(b->big[0]);
    for (int i = 0; i < 2; i++) {
        b->small[i] = tarena_tensor(a, NULL, i ? DT_UDYN8 : DT_DYN8, 1, &n);
        memset(b->small[i]->data, 0, dtype_bytes(DT_DYN8, n));
    }
    b->w = bench_tensor(a, 1, m->D);
    b->embed = bench_tensor(a, m->V, m->D);
    b->ids = bench_ids(a, T, (int32_t)T);
    b->rope = (RopeTable){ .cos = bench_tensor(a, T, m->head_dim / 2), .sin = bench_tensor(a, T, m->head_dim / 2), .rot = m->head_dim };
}

static void setup_attn(Bench *b, TArena *a, const Attn *s)
{
    int64_t T = b->T = (int64_t)s->n_seg * s->len, wide = s->heads * s->head_dim, kv = s->kv_heads * s->head_dim;
    Tensor **at_q[] = { &b->q, &b->o, &b->dq, &b->dout }, **at_kv[] = { &b->k, &b->v, &b->dk, &b->dv };
    for (size_t i = 0; i < ARRAY_LEN(at_q); i++)
        *at_q[i] = bench_tensor(a, T, wide);
    for (size_t i = 0; i < ARRAY_LEN(at_kv); i++)
        *at_kv[i] = bench_tensor(a, T, kv);
    b->lse = bench_tensor(a, T, s->heads);
    for (int i = 0; i < s->n_seg; i++) {
        b->start[i] = i * s->len;
        b->len[i] = s->len;
    }
    b->shape = (AttnShape){ .n_seg = s->n_seg, .q0 = b->start, .k0 = b->start, .nq = b->len, .nk = b->len, .heads = s->heads,
                            .kv_heads = s->kv_heads, .head_dim = s->head_dim, .scale = 0.125f };
}

static double limit(const Case *c, const Bench *b, Pool *pool)
{
    return c->flops ? bench_probe(pool) : copy_rate(pool, b->big[0], b->big[1]);
}

static void measure(const Case *c, Bench *b, Pool *pool, const char *name, int reps)
{
    double ms[BENCH_REPS_MAX], share[BENCH_REPS_MAX], before = limit(c, b, pool);
    c->run(b);
    for (int r = 0; r < reps; r++) { /* each run between two looks at the limit: it moves, on a shared machine */
        double start = clock_seconds();
        c->run(b);
        double took = clock_seconds() - start, after = limit(c, b, pool);
        ms[r] = took * 1e3;
        share[r] = (c->flops ? c->flops(b) : c->bytes(b)) / took / (0.5e9 * (before + after)) * 100;
        before = after;
    }
    printf("%-24s %-12s %9.3f ms  %6.1f %% of the %s\n", name, c->name, bench_median(ms, reps), bench_median(share, reps), c->flops ? "probe" : "copy");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    int reps;
    const char *only = argc > 4 ? argv[4] : "";
    char name[64];
    Backend *be = bench_open(argc, argv, &reps);
    Pool *pool = pool_new(be->threads);
    TArena arena;
    tarena_init(&arena, be);
    printf("%d threads, %s, probe %.0f GFLOP/s, copy %.1f GB/s; median of %d\n", be->threads, backend_cpu_features(), bench_probe(pool),
           copy_rate(pool, bench_tensor(&arena, 4096, 4096), bench_tensor(&arena, 4096, 4096)), reps);
    tarena_release(&arena);
    for (size_t i = 0; i < ARRAY_LEN(attn_shapes); i++) {
        const Attn *s = &attn_shapes[i];
        Bench b = { .be = be };
        tarena_init(&arena, be);
        setup_attn(&b, &arena, s);
        snprintf(name, sizeof name, "%d/%d heads of %d, %d x %d", s->heads, s->kv_heads, s->head_dim, s->n_seg, s->len);
        for (size_t c = 0; c < ARRAY_LEN(attn_cases); c++)
            if (!strncmp(attn_cases[c].name, only, strlen(only)))
                measure(&attn_cases[c], &b, pool, name, reps);
        tarena_release(&arena);
    }
    for (size_t i = 0; i < ARRAY_LEN(models); i++)
        for (int64_t T = 1024; T <= 16384; T *= 16) {
            Bench b = { .be = be, .m = &models[i], .T = T };
            tarena_init(&arena, be);
            setup(&b, &arena);
            snprintf(name, sizeof name, "%s T=%lld", models[i].name, (long long)T);
            for (size_t c = 0; c < ARRAY_LEN(cases); c++)
                if (!strncmp(cases[c].name, only, strlen(only)) && (!strncmp(cases[c].name, "head", 4) ? T <= HEAD_ROWS_MAX : true))
                    measure(&cases[c], &b, pool, name, reps);
            tarena_release(&arena);
        }
    pool_free(pool);
    be->close(be);
    return 0;
}
