/* bench.h - what the measurements share: the FMA probe, medians, tensors full of numbers. */
#ifndef HONE_BENCH_H
#define HONE_BENCH_H

#include "base/thread.h"
#include "tensor/backend.h"

#define BENCH_REPS_MAX 64

/* The cpu backend of a measurement called with [REPS] [THREADS] [ISA] and more; ends the program where it cannot be. */
Backend *bench_open(int argc, char **argv, int *reps);

/* GFLOP/s of a loop of fused multiply-adds that touches only registers, at the widest vectors of the machine, on all threads of the pool: what
 * no product can beat. Takes about 20 ms. */
double  bench_probe(Pool *pool);
/* Bytes a second of a loop that only reads memory, on all threads: 256 MiB, which no cache holds; t has them. What no product with one row can beat. */
#define BENCH_READ_BYTES ((int64_t)256 << 20)
double  bench_read(Pool *pool, const Tensor *t);
double  bench_median(double *v, int n);                          /* sorts v */
Compute bench_compute(const Backend *be, const char *name);       /* "f32", "bf16"; ends the program where be cannot */
Tensor *bench_tensor(TArena *a, int64_t rows, int64_t cols);     /* uniform in [-1, 1) */
Tensor *bench_stored(TArena *a, DType type, int64_t rows, int64_t cols);   /* the same, in another type */
Tensor *bench_ids(TArena *a, int64_t n, int32_t limit);

#endif
