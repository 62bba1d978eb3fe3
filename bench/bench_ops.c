/* bench_ops.c - what a training step does besides the products: attention, norms, gated product, head, rotary turns, optimiser.
 * Milliseconds, and where it has a meaning the share of the FMA probe (attention: causal half counted) or GB/s.
 *   bench_ops [REPS] [THREADS] [ISA]
 * To add an operation: a function and a row in cases[]. */
#include "bench.h"
#include "base/clock.h"
#include "tensor/cpu/cpu.h"
#include <stdio.h>
#include <stdlib.h>

typedef struct Model { const char *name; int64_t D, hidden, V; int heads, kv_heads, head_dim; } Model;
static const Model models[] = {
    { "135M", 576, 1536, 49152, 9, 3, 64 },
    { "0.5B", 896, 4864, 151936, 14, 2, 64 },
    { "2B wide heads", 1024, 2048, 32000, 8, 4, 256 },
};

typedef struct Bench {
    Backend     *be;
    const Model *m;
    int64_t      T;
    Tensor      *x, *dx, *w, *stat;                                          /* [T, D], [D], [T, 1] */
    Tensor      *q, *k, *v, *o, *lse, *dq, *dk, *dv, *dout;
    Tensor      *gate, *up, *y, *dgate, *dup;                                /* [T, hidden] */
    Tensor      *embed, *logp, *coef, *ids, *dh;
    Tensor      *big[4];                                                     /* optimiser: weight, gradient, moments */
    RopeTable    rope;
    AttnShape    shape;
    int32_t      start, len;
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
static void run_adamw(Bench *b)
{
    b->be->adamw(b->be, b->big[0], b->big[1], b->big[2], b->big[3], &(AdamW){ .lr = 1e-4f, .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f, .step = 9 }, 1);
}
static void run_sumsq(Bench *b) { b->be->sumsq(b->be, b->big[1]); }

static double attn_flops(const Bench *b) { return 2.0 * (double)b->T * (double)b->T * b->m->heads * b->m->head_dim; }
static double attn_bwd_flops(const Bench *b) { return 2.5 * attn_flops(b); }
static double head_flops(const Bench *b) { return 4.0 * (double)(b->T * b->m->D * b->m->V); }
static double head_logp_flops(const Bench *b) { return 2.0 * (double)(b->T * b->m->D * b->m->V); }
static double row_bytes(const Bench *b) { return 8.0 * (double)(b->T * b->m->D); }
static double glu_bytes(const Bench *b) { return 12.0 * (double)(b->T * b->m->hidden); }
static double glu_bwd_bytes(const Bench *b) { return 28.0 * (double)(b->T * b->m->hidden); }
static double adamw_bytes(const Bench *b) { return 28.0 * (double)(tensor_numel(b->big[0])); }
static double sumsq_bytes(const Bench *b) { return 4.0 * (double)(tensor_numel(b->big[0])); }

static const struct {
    const char *name;
    void      (*run)(Bench *);
    double    (*flops)(const Bench *), (*bytes)(const Bench *); /* one of them */
} cases[] = {
    { "attn",        run_attn,        attn_flops,      NULL          },
    { "attn bwd",    run_attn_bwd,    attn_bwd_flops,  NULL          },
    { "rmsnorm",     run_rmsnorm,     NULL,            row_bytes     },
    { "rmsnorm bwd", run_rmsnorm_bwd, NULL,            row_bytes     },
    { "rope",        run_rope,        NULL,            row_bytes     },
    { "glu",         run_glu,         NULL,            glu_bytes     },
    { "glu bwd",     run_glu_bwd,     NULL,            glu_bwd_bytes },
    { "add",         run_add,         NULL,            row_bytes     },
    { "head logp",   run_head_logp,   head_logp_flops, NULL          },
    { "head fused",  run_head,        head_flops,      NULL          },
    { "adamw 4M",    run_adamw,       NULL,            adamw_bytes   },
    { "sumsq 4M",    run_sumsq,       NULL,            sumsq_bytes   },
};

static void setup(Bench *b, TArena *a)
{
    const Model *m = b->m;
    int64_t T = b->T, wide = m->heads * m->head_dim, kv = m->kv_heads * m->head_dim;
    Tensor **at_D[] = { &b->x, &b->dx, &b->dh }, **at_q[] = { &b->q, &b->o, &b->dq, &b->dout }, **at_kv[] = { &b->k, &b->v, &b->dk, &b->dv };
    Tensor **at_hidden[] = { &b->gate, &b->up, &b->y, &b->dgate, &b->dup }, **at_one[] = { &b->stat, &b->logp, &b->coef };
    for (size_t i = 0; i < ARRAY_LEN(at_D); i++)
        *at_D[i] = bench_tensor(a, T, m->D);
    for (size_t i = 0; i < ARRAY_LEN(at_q); i++)
        *at_q[i] = bench_tensor(a, T, wide);
    for (size_t i = 0; i < ARRAY_LEN(at_kv); i++)
        *at_kv[i] = bench_tensor(a, T, kv);
    for (size_t i = 0; i < ARRAY_LEN(at_hidden); i++)
        *at_hidden[i] = bench_tensor(a, T, m->hidden);
    for (size_t i = 0; i < ARRAY_LEN(at_one); i++)
        *at_one[i] = bench_tensor(a, T, 1);
    for (size_t i = 0; i < ARRAY_LEN(b->big); i++)
        b->big[i] = bench_tensor(a, 2048, 2048);
    b->be->fill(b->be, b->big[3], 1.0f);
    b->lse = bench_tensor(a, T, m->heads);
    b->w = bench_tensor(a, 1, m->D);
    b->embed = bench_tensor(a, m->V, m->D);
    b->ids = bench_ids(a, T, (int32_t)T);
    b->rope = (RopeTable){ .cos = bench_tensor(a, T, m->head_dim / 2), .sin = bench_tensor(a, T, m->head_dim / 2), .rot = m->head_dim };
    b->start = 0;
    b->len = (int32_t)T;
    b->shape = (AttnShape){ .n_seg = 1, .q0 = &b->start, .k0 = &b->start, .nq = &b->len, .nk = &b->len, .heads = m->heads,
                            .kv_heads = m->kv_heads, .head_dim = m->head_dim, .scale = 0.125f };
}

int main(int argc, char **argv)
{
    int reps = argc > 1 ? atoi(argv[1]) : 7, threads = argc > 2 ? atoi(argv[2]) : 0;
    reps = MAX(1, MIN(reps, BENCH_REPS_MAX));
    Err e = { 0 };
    Backend *be = argc > 3 ? backend_cpu_open_isa(argv[3], threads, &e) : backend_cpu_open(threads, &e);
    if (!be) {
        fprintf(stderr, "%s\n", e.text);
        return 2;
    }
    Pool *pool = pool_new(be->threads);
    printf("%d threads, %s, probe %.0f GFLOP/s; median of %d\n", be->threads, backend_cpu_features(), bench_probe(pool), reps);
    for (size_t i = 0; i < ARRAY_LEN(models); i++)
        for (int64_t T = 256; T <= 1024; T *= 4) {
            TArena arena;
            tarena_init(&arena, be);
            Bench b = { .be = be, .m = &models[i], .T = T };
            setup(&b, &arena);
            for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
                double ms[BENCH_REPS_MAX], rate[BENCH_REPS_MAX];
                cases[c].run(&b);
                for (int r = 0; r < reps; r++) {
                    double per = cases[c].flops ? bench_probe(pool) * 1e9 : 1e9, start = clock_seconds();
                    cases[c].run(&b);
                    double took = clock_seconds() - start;
                    ms[r] = took * 1e3;
                    rate[r] = (cases[c].flops ? cases[c].flops(&b) * 100 : cases[c].bytes(&b)) / took / per;
                }
                printf("%s T=%-5lld %-12s %9.3f ms  %6.1f %s\n", models[i].name, (long long)T, cases[c].name, bench_median(ms, reps),
                       bench_median(rate, reps), cases[c].flops ? "% of the probe" : "GB/s");
                fflush(stdout);
            }
            tarena_release(&arena);
        }
    pool_free(pool);
    be->close(be);
    return 0;
}
