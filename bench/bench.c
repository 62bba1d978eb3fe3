/* bench.c - the probe and small helpers of the measurements. */
#include "bench.h"
#include "base/clock.h"
#include "tensor/cpu/cpu.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void end_with(const Err *e)
{
    fprintf(stderr, "%s\n", e->text);
    exit(2);
}

Backend *bench_open(int argc, char **argv, int *reps)
{
    const int threads = argc > 2 ? atoi(argv[2]) : 0;
    Err       e = { 0 };
    Backend  *be = argc > 3 && *argv[3] ? backend_cpu_open_isa(argv[3], threads, &e) : backend_cpu_open(threads, &e);
    *reps = MAX(1, MIN(argc > 1 ? atoi(argv[1]) : 7, BENCH_REPS_MAX));
    if (!be)
        end_with(&e);
    return be;
}

#define CHAINS     15 /* more than latency times ports of any machine, in 16 registers */
#define CHAINS_128 12

/* One probe for each vector width. Assembler, since nothing else keeps a compiler from being clever with a loop without a result. */
#if defined(__x86_64__)
#define PROBE_LOOP(reg, list)                                                                                       \
    __asm__ volatile(".irp r,0," list "\n vxorps %%xmm\\r, %%xmm\\r, %%xmm\\r\n .endr\n"                           \
                     "1: .irp r," list "\n vfmadd231ps %%" reg "0, %%" reg "0, %%" reg "\\r\n .endr\n"            \
                     "dec %0\n jnz 1b\n" : "+r"(turns) : : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",   \
                     "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15")

__attribute__((target("avx512f,avx512vl"))) static void probe_512(int64_t turns)
{
    PROBE_LOOP("zmm", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15");
}

__attribute__((target("avx2,fma"))) static void probe_256(int64_t turns)
{
    PROBE_LOOP("ymm", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15");
}
#endif

static void probe_128(int64_t turns)
{
    typedef float vec __attribute__((vector_size(16)));
    vec acc[CHAINS_128], x = { 0.5f, 0.5f, 0.5f, 0.5f };
    for (int i = 0; i < CHAINS_128; i++)
        acc[i] = x;
    for (int64_t t = 0; t < turns; t++)
        for (int i = 0; i < CHAINS_128; i++)
            acc[i] = acc[i] * x + x;
    volatile float sink = 0;
    for (int i = 0; i < CHAINS_128; i++)
        sink += acc[i][0];
}

typedef struct Probe { void (*fn)(int64_t); int64_t turns; } Probe;

static void probe_piece(void *ctx, int64_t piece, int worker)
{
    (void)piece;
    (void)worker;
    const Probe *p = ctx;
    p->fn(p->turns);
}

double bench_probe(Pool *pool)
{
    Probe p = { .fn = probe_128, .turns = 1000 };
    double flops = CHAINS_128 * 4 * 2; /* of one turn */
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512vl")) {
        p.fn = probe_512;
        flops = CHAINS * 16 * 2;
    } else if (__builtin_cpu_supports("fma")) {
        p.fn = probe_256;
        flops = CHAINS * 8 * 2;
    }
#endif
    double took = 0;
    while (took < 0.01) { /* the last, longest round counts */
        p.turns *= 2;
        double start = clock_seconds();
        parallel_for(pool, pool_threads(pool), probe_piece, &p);
        took = clock_seconds() - start;
    }
    return flops * (double)p.turns * pool_threads(pool) / took * 1e-9;
}

#define READ_PIECES 256

static void read_piece(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    typedef int32_t vec __attribute__((vector_size(64)));
    const Tensor *t = ctx;
    int64_t n = BENCH_READ_BYTES / READ_PIECES / (int64_t)sizeof(vec);
    const vec *p = (const vec *)t->data + piece * n;
    vec sum[4] = { { 0 } };
    for (int64_t i = 0; i < n; i += 4)
        for (int k = 0; k < 4; k++)
            sum[k] += p[i + k];
    vec all = sum[0] ^ sum[1] ^ sum[2] ^ sum[3];
    volatile int32_t sink = all[0] + all[15];
    (void)sink;
}

double bench_read(Pool *pool, const Tensor *t)
{
    double start = clock_seconds();
    parallel_for(pool, READ_PIECES, read_piece, (void *)(uintptr_t)t);
    return (double)BENCH_READ_BYTES / (clock_seconds() - start);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_value);
    return v[n / 2];
}

Tensor *bench_tensor(TArena *a, int64_t rows, int64_t cols)
{
    Tensor *t = tarena_tensor(a, NULL, DT_F32, 2, (int64_t[]){ rows, cols });
    BUG_ON(!t);
    uint32_t seed = 12345;
    for (int64_t i = 0; i < rows * cols; i++) {
        seed = seed * 1664525u + 1013904223u;
        ((float *)t->data)[i] = (float)(int32_t)seed * 0x1p-31f;
    }
    return t;
}

Tensor *bench_stored(TArena *a, DType type, int64_t rows, int64_t cols)
{
    Tensor *t = tarena_tensor(a, NULL, type, 2, (int64_t[]){ rows, cols });
    TArena  one;
    tarena_init(&one, a->be);
    BUG_ON(!t);
    Tensor *row = bench_tensor(&one, 1, cols);
    for (int64_t r = 0; r < rows; r++) /* quantising is slow: all rows are the same */
        if (r == 0)
            dtype_from_f32(t->data, row->data, type, cols);
        else
            memcpy((char *)t->data + dtype_bytes(type, r * cols), t->data, dtype_bytes(type, cols));
    tarena_release(&one);
    return t;
}

Tensor *bench_ids(TArena *a, int64_t n, int32_t limit)
{
    Tensor *t = tarena_tensor(a, NULL, DT_I32, 1, &n);
    BUG_ON(!t);
    for (int64_t i = 0; i < n; i++)
        ((int32_t *)t->data)[i] = (int32_t)(i * 7919 % limit);
    return t;
}

Compute bench_compute(const Backend *be, const char *name)
{
    const Compute c = strcmp(name, "bf16") ? COMPUTE_F32 : COMPUTE_BF16;
    Err e = { 0 };
    if (backend_check(be, c, &e))
        end_with(&e);
    return c;
}
