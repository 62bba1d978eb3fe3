/* bench_gemv.c - products of few rows with a weight of each stored type, as decoding makes them: bytes of the weight a second, beside the speed at which
 * a loop reads memory that does nothing else (measured in turn with it). Medians; 100 % is as fast as it can be.
 *   bench_gemv [REPS] [THREADS] [ISA] [K]
 * K: numbers in a row of the weight, 2048 unless given. To add a type: types[]. */
#include "bench.h"
#include "base/clock.h"
#include <stdio.h>
#include <stdlib.h>

static const DType types[] = { DT_F32, DT_F16, DT_BF16, DT_INT8, DT_Q8_0, DT_Q6_K, DT_Q5_K, DT_Q5_0, DT_Q4_K, DT_Q4_0, DT_NF4, DT_Q5_1, DT_Q4_1,
                               DT_Q3_K, DT_Q2_K, DT_IQ4_NL };
static const int64_t rows[] = { 1, 2, 4 };

/* Rows of x against as many rows of w as fill BENCH_READ_BYTES. */
static void measure(Backend *be, Pool *pool, int reps, DType type, int64_t t, int64_t k)
{
    TArena arena;
    tarena_init(&arena, be);
    int64_t n = BENCH_READ_BYTES / (int64_t)dtype_bytes(type, k);
    Tensor *memory = bench_tensor(&arena, BENCH_READ_BYTES / 4096, 1024), *w = bench_stored(&arena, type, n, k);
    Tensor *x = bench_tensor(&arena, t, k), *y = bench_tensor(&arena, t, n);
    double share[BENCH_REPS_MAX], rate[BENCH_REPS_MAX];
    for (int r = 0; r < reps; r++) {
        double probe = bench_read(pool, memory), start = clock_seconds();
        be->linear(be, y, x, w, NULL, 1.0f, false);
        rate[r] = (double)BENCH_READ_BYTES / (clock_seconds() - start);
        share[r] = rate[r] / probe;
    }
    printf("  %4.0f %% %5.1f", 100 * bench_median(share, reps), 1e-9 * bench_median(rate, reps));
    tarena_release(&arena);
}

int main(int argc, char **argv)
{
    int reps;
    int64_t k = argc > 4 ? atoll(argv[4]) : 2048;
    Backend *be = bench_open(argc, argv, &reps);
    Pool *pool = pool_new(be->threads);
    printf("%d threads, k %lld; %% of reading and GB/s, median of %d\n%-8s", be->threads, (long long)k, reps, "");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        printf("  %lld row%-7s", (long long)rows[i], rows[i] == 1 ? "" : "s");
    printf("\n");
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (k % dtype_block(types[i]))
            continue;
        printf("%-8s", dtype_name(types[i]));
        for (size_t r = 0; r < ARRAY_LEN(rows); r++)
            measure(be, pool, reps, types[i], rows[r], k);
        printf("\n");
        fflush(stdout);
    }
    pool_free(pool);
    be->close(be);
    return 0;
}
