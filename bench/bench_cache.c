/* bench_cache.c - attention of one new token against a long cache of keys and values, as an answer is written: what share of reading that memory it
 * reaches. A step of a model meets a cache for each layer and its weights in between, so one measurement walks as many caches as fill
 * BENCH_READ_BYTES, and none lies near. Time is the process's own on the processor, since the machine may be shared.
 *   bench_cache [REPS] [THREADS] [ISA]
 * To add a shape: a row in shapes[]; a type of cache: one in types[]. */
#include "bench.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const struct { int heads, kv_heads, head_dim; } shapes[] = { { 9, 3, 64 }, { 14, 2, 64 }, { 32, 8, 64 }, { 16, 8, 128 } };
static const DType   types[] = { DT_F32, DT_F16, DT_Q8_0 };
static const int32_t lengths[] = { 1024, 4096, 8192 };

/* Seconds of one thread. */
static double cpu_seconds(const Backend *be)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return ((double)t.tv_sec + 1e-9 * (double)t.tv_nsec) / be->threads;
}

static double read_rate(const Backend *be, Pool *pool, const Tensor *t)
{
    double start = cpu_seconds(be);
    bench_read(pool, t);
    return (double)BENCH_READ_BYTES / (cpu_seconds(be) - start);
}

static void measure(Backend *be, Pool *pool, const Tensor *large, size_t i, DType type, int32_t len, int reps)
{
    const int32_t   zero = 0, one = 1;
    const int64_t   wide = shapes[i].kv_heads * shapes[i].head_dim;
    const AttnShape s = { .n_seg = 1, .q0 = &zero, .nq = &one, .k0 = &zero, .nk = &len, .heads = shapes[i].heads, .kv_heads = shapes[i].kv_heads,
                          .head_dim = shapes[i].head_dim, .scale = 0.125f };
    const size_t    bytes = dtype_bytes(type, 2 * len * wide);
    const int       caches = (int)((size_t)BENCH_READ_BYTES / bytes);
    TArena          a;
    double          rate[BENCH_REPS_MAX], share[BENCH_REPS_MAX];
    tarena_init(&a, be);
    Tensor *q = bench_tensor(&a, 1, s.heads * s.head_dim), *o = bench_tensor(&a, 1, s.heads * s.head_dim), *all = bench_stored(&a, type, 2 * (int64_t)caches * len, wide);
    for (int r = 0; r < reps; r++) {
        double read = read_rate(be, pool, large), start = cpu_seconds(be);
        for (int c = 0; c < caches; c++) {
            Tensor k = tensor_row_view(all, 2 * (int64_t)c * len, len), v = tensor_row_view(all, (2 * (int64_t)c + 1) * len, len);
            be->attn(be, o, NULL, q, &k, &v, &s);
        }
        rate[r] = (double)bytes * caches / (cpu_seconds(be) - start);
        share[r] = rate[r] / read * 100;
    }
    printf("%2d/%d heads of %-3d  %-4s  %5d keys  %7.2f GB/s  %5.1f %% of reading\n", s.heads, s.kv_heads, s.head_dim, dtype_name(type), (int)len,
           bench_median(rate, reps) * 1e-9, bench_median(share, reps));
    fflush(stdout);
    tarena_release(&a);
}

int main(int argc, char **argv)
{
    int reps;
    Backend *be = bench_open(argc, argv, &reps);
    Pool *pool = pool_new(be->threads);
    TArena a;
    tarena_init(&a, be);
    Tensor *large = bench_tensor(&a, BENCH_READ_BYTES / 4096, 1024);
    printf("%d threads; median of %d\n", be->threads, reps);
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++)
        for (size_t t = 0; t < ARRAY_LEN(types); t++)
            for (size_t l = 0; l < ARRAY_LEN(lengths); l++)
                measure(be, pool, large, i, types[t], lengths[l], reps);
    tarena_release(&a);
    pool_free(pool);
    be->close(be);
    return 0;
}
