/* bench_probe.c - what the machine gives: bench_probe [THREADS]. One line: GFLOP/s of fused multiply-adds, GB/s of memory read, GB/s of memory copied
 * (bytes read and bytes written both count), on all threads. Buffers are far larger than any cache; medians. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

#define BYTES  (512ull << 20)
#define PIECES 64
#define REPS   7

typedef uint64_t Wide __attribute__((vector_size(64)));
typedef struct Memory { char *from, *to; volatile uint64_t sink; } Memory;

static void read_piece(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    Memory     *m = ctx;
    const Wide *p = (const Wide *)(m->from + (size_t)piece * (BYTES / PIECES));
    Wide        sum[4] = { { 0 } };
    for (size_t i = 0; i < BYTES / PIECES / sizeof *p; i += 4)
        for (int k = 0; k < 4; k++)
            sum[k] ^= p[i + (size_t)k];
    m->sink = sum[0][0] ^ sum[1][0] ^ sum[2][0] ^ sum[3][0];
}

/* The lower half of the buffer to the upper one's size in `to`: as many bytes touched as read_piece touches. */
static void copy_piece(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    Memory      *m = ctx;
    const size_t n = BYTES / 2 / PIECES;
    memcpy(m->to + (size_t)piece * n, m->from + (size_t)piece * n, n);
}

static double bandwidth(Pool *pool, PoolFn fn, Memory *m)
{
    double v[REPS];
    for (int r = -1; r < REPS; r++) { /* the first round is for the pages */
        const double start = clock_seconds();
        parallel_for(pool, PIECES, fn, m);
        if (r >= 0)
            v[r] = (double)BYTES / (clock_seconds() - start) * 1e-9;
    }
    return bench_median(v, REPS);
}

int main(int argc, char **argv)
{
    Pool  *pool = pool_new(argc > 1 ? atoi(argv[1]) : 0);
    double flops[REPS];
    Memory m = { .from = aligned_alloc(64, BYTES), .to = aligned_alloc(64, BYTES / 2) };
    BUG_ON(!m.from || !m.to);
    memset(m.from, 1, BYTES); /* else all pages would be the one page of zeros */
    memset(m.to, 1, BYTES / 2);
    for (int r = 0; r < REPS; r++)
        flops[r] = bench_probe(pool);
    const double read = bandwidth(pool, read_piece, &m), copy = bandwidth(pool, copy_piece, &m);
    printf("%.1f %.2f %.2f\n", bench_median(flops, REPS), read, copy);
    free(m.from);
    free(m.to);
    pool_free(pool);
    return 0;
}
