/* bench_gemm.c - the three products at the shapes of real models, as a share of the FMA probe; then forward and dx with weights of each stored
 * type. (Few rows: bench_gemv.) Each repetition runs probe, ours and OpenBLAS one after the other, and the median of
 * the ratios is printed: on a shared machine only ratios mean something.
 *   bench_gemm [REPS] [THREADS] [ISA] [COMPUTE] [stored]      ISA "": the best; COMPUTE: f32, bf16; stored: only the second table
 * "whole" is forward as answers have it, with Backend.whole.
 * To add a shape: a row in shapes[]; a stored type: types[]. */
#include "bench.h"
#include "base/clock.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef HAVE_OPENBLAS
#include <cblas.h>
#endif

static const struct { const char *name; int64_t K, N; } shapes[] = { /* x [M, K], w [N, K] */
    { "135M q,o",     576,   576 }, { "135M k,v",   576,   192 }, { "135M gate,up", 576, 1536 }, { "135M down", 1536, 576 },
    { "0.5B q,o",     896,   896 }, { "0.5B k,v",   896,   128 }, { "0.5B gate,up", 896, 4864 }, { "0.5B down", 4864, 896 },
    { "1B q,o",      2048,  2048 }, { "1B k,v",    2048,   512 }, { "1B gate,up",  2048, 8192 }, { "1B down",  8192, 2048 },
    { "135M head/12", 576,  4096 },
    { "lora in 16",   576,    16 }, { "lora out 16", 16,   576 }, { "lora in 64",   896,   64 }, { "lora out 64", 64, 896 },
};
static const int64_t row_counts[] = { 1, 128, 512, 1024, 2048 };
static const DType types[] = { DT_F32, DT_F16, DT_BF16, DT_Q8_0, DT_INT8, DT_Q6_K, DT_Q5_K, DT_Q4_K, DT_Q4_0, DT_NF4, DT_Q5_0, DT_Q3_K, DT_Q2_K, DT_IQ4_NL, DT_IQ4_XS };

enum { FORWARD, DX, DW, KINDS };
static const char *const kind_names[KINDS] = { "forward", "dx", "dw" };

static void ours(Backend *be, int kind, Tensor *x, Tensor *w, Tensor *y)
{
    if (kind == FORWARD)
        be->linear(be, y, x, w, NULL, 1.0f, false);
    else if (kind == DX)
        be->linear_dx(be, x, y, w, 1.0f);
    else
        be->linear_dw(be, w, y, x, 1.0f);
}

#ifdef HAVE_OPENBLAS
static void blas(int kind, Tensor *x, Tensor *w, Tensor *y)
{
    int M = (int)x->dim[0], K = (int)x->dim[1], N = (int)w->dim[0];
    if (kind == FORWARD)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, M, N, K, 1, x->data, K, w->data, K, 0, y->data, N);
    else if (kind == DX)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, M, K, N, 1, y->data, N, w->data, K, 1, x->data, K);
    else
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, N, K, M, 1, y->data, N, x->data, K, 1, w->data, K);
}
#endif

typedef struct Rate { double ours, blas; } Rate; /* share of the probe */

static Rate measure(Backend *be, Pool *pool, int kind, int reps, Tensor *x, Tensor *w, Tensor *y)
{
    double flops = 2.0 * (double)(x->dim[0] * x->dim[1] * w->dim[0]), a[BENCH_REPS_MAX], b[BENCH_REPS_MAX] = { 0 };
    int calls = 1 + (int)(2e8 / flops); /* small products several times: a measurement lasts at least a millisecond */
    ours(be, kind, x, w, y);
    for (int r = 0; r < reps; r++) {
        double probe = bench_probe(pool) * 1e9, start = clock_seconds();
        for (int i = 0; i < calls; i++)
            ours(be, kind, x, w, y);
        a[r] = flops * calls / (clock_seconds() - start) / probe;
#ifdef HAVE_OPENBLAS
        blas(kind, x, w, y);
        start = clock_seconds();
        for (int i = 0; i < calls; i++)
            blas(kind, x, w, y);
        b[r] = flops * calls / (clock_seconds() - start) / probe;
#endif
    }
    return (Rate){ bench_median(a, reps), bench_median(b, reps) };
}

/* Forward, dx and forward with Backend.whole at the shapes of Llama-3.2-1B, 512 rows, the mean of their shares. */
static void stored_many_rows(Backend *be, Pool *pool, int reps, DType type)
{
    static const int64_t size[][2] = { { 2048, 2048 }, { 2048, 512 }, { 2048, 8192 }, { 8192, 2048 } }; /* K, N */
    enum { COLUMNS = 3 };
    double share[COLUMNS] = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(size); i++) {
        TArena arena;
        tarena_init(&arena, be);
        Tensor *x = bench_tensor(&arena, 512, size[i][0]), *w = bench_stored(&arena, type, size[i][1], size[i][0]);
        Tensor *y = bench_tensor(&arena, 512, size[i][1]);
        for (int i_kind = 0; i_kind < COLUMNS; i_kind++) {
            double a[BENCH_REPS_MAX];
            const int kind = i_kind == 1 ? DX : FORWARD;
            be->whole = i_kind == 2;
            ours(be, kind, x, w, y);
            for (int r = 0; r < reps; r++) {
                double probe = bench_probe(pool) * 1e9, start = clock_seconds();
                ours(be, kind, x, w, y);
                a[r] = 2.0 * 512 * (double)(size[i][0] * size[i][1]) / (clock_seconds() - start) / probe;
            }
            share[i_kind] += bench_median(a, reps) / ARRAY_LEN(size);
        }
        be->whole = false;
        tarena_release(&arena);
    }
    printf("  %4.0f       %4.0f       %4.0f\n", 100 * share[0], 100 * share[1], 100 * share[2]);
}

int main(int argc, char **argv)
{
    int reps;
    Backend *be = bench_open(argc, argv, &reps);
    be->compute = bench_compute(be, argc > 4 ? argv[4] : "f32");
    Pool *pool = pool_new(be->threads);
#ifdef HAVE_OPENBLAS
    openblas_set_num_threads(be->threads);
#endif
    printf("%d threads, %s, probe %.0f GFLOP/s; %% of the probe, median of %d: ours / OpenBLAS\n", be->threads, backend_cpu_features(), bench_probe(pool), reps);
    const bool stored_only = argc > 5 && !strcmp(argv[5], "stored");
    if (!stored_only) {
        printf("%-14s %6s %6s %6s", "", "M", "K", "N");
        for (int k = 0; k < KINDS; k++)
            printf("  %-11s", kind_names[k]);
        printf("\n");
    }
    for (size_t m = 0; m < ARRAY_LEN(row_counts) && !stored_only; m++)
        for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
            TArena arena;
            tarena_init(&arena, be);
            int64_t M = row_counts[m], K = shapes[i].K, N = shapes[i].N;
            Tensor *x = bench_tensor(&arena, M, K), *w = bench_tensor(&arena, N, K), *y = bench_tensor(&arena, M, N);
            printf("%-14s %6lld %6lld %6lld", shapes[i].name, (long long)M, (long long)K, (long long)N);
            for (int k = 0; k < KINDS; k++) {
                Rate r = measure(be, pool, k, reps, x, w, y);
                printf("  %4.0f / %-4.0f", 100 * r.ours, 100 * r.blas);
                fflush(stdout);
            }
            printf("\n");
            tarena_release(&arena);
        }
    printf("\n%-14s %-10s %s\n", "stored type", "forward", "dx         whole (M 512)");
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        printf("%-14s", dtype_name(types[i]));
        stored_many_rows(be, pool, reps, types[i]);
        fflush(stdout);
    }
    pool_free(pool);
    be->close(be);
    return 0;
}
