/* sum.cu - sums over whole matrices: the sum of squares, column sums, and the second half of every sum that blocks began.
 * Invariant: how the rows are cut follows from shapes and strides, never from the card; each part is summed in order of index, the parts in order of their number. */
#include "tensor/cuda/lanes.cuh"

#define BLOCK 256

/* ---- parts to sums: out[j] += part[0][j] + part[1][j] + ... ---- */

#define STRIP  32               /* columns of a block */
#define PLACES (BLOCK / STRIP)  /* threads that share a column: thread p takes the parts p, p + PLACES, ... */

/* Reads 4 bytes for each column of each part, and is small beside the kernel that made them: bounded by latency, some microseconds. */
template <typename T> static __global__ void __launch_bounds__(BLOCK) sum_parts(T *out, const T *part, int64_t parts, int64_t cols)
{
    __shared__ T  room[BLOCK];
    const int     place = threadIdx.x / STRIP;
    const int64_t col = (int64_t)blockIdx.x * STRIP + threadIdx.x % STRIP;
    T             sum = 0;
    if (col < cols) {
#pragma unroll 4
        for (int64_t i = place; i < parts; i += PLACES)
            sum += part[i * cols + col];
    }
    room[threadIdx.x] = sum;
    __syncthreads();
    if (place == 0 && col < cols) {
#pragma unroll
        for (int i = 1; i < PLACES; i++)
            sum += room[threadIdx.x + i * STRIP];
        out[col] += sum;
    }
}

void cuda_sum_parts(Cuda *c, float *out, const float *part, int64_t parts, int64_t cols)
{
    if (cuda_ok(c) && parts > 0 && cols > 0)
        CUDA_LAUNCH(c, (unsigned)pieces(cols, STRIP), BLOCK, 0, sum_parts<float>, out, part, parts, cols);
}

void cuda_sum_parts_double(Cuda *c, double *out, const double *part, int64_t parts, int64_t cols)
{
    if (cuda_ok(c) && parts > 0 && cols > 0)
        CUDA_LAUNCH(c, (unsigned)pieces(cols, STRIP), BLOCK, 0, sum_parts<double>, out, part, parts, cols);
}

/* ---- column sums ---- */

#define DB_BLOCKS 1024  /* about so many, however wide dy is */
#define DB_LEAST  32    /* rows of a part */

/* Reads 4 bytes of each number and writes 4 / (rows of a part): bounded by memory, at least 85 % of the copy rate. */
template <int width> static __global__ void __launch_bounds__(BLOCK) column_sums(float *part, Mat dy, int64_t parts)
{
    __shared__ float room[BLOCK * width];
    const int        place = threadIdx.x / STRIP;
    const int64_t    col = ((int64_t)blockIdx.x * STRIP + threadIdx.x % STRIP) * width;
    const int64_t    first = dy.rows * blockIdx.y / parts, end = dy.rows * (blockIdx.y + 1) / parts;
    float            sum[width] = { 0 };
    if (col < dy.cols) {
#pragma unroll 4
        for (int64_t r = first + place; r < end; r += PLACES) {
            float v[width];
            load<width>(v, dy.p + r * dy.ld + col);
#pragma unroll
            for (int k = 0; k < width; k++)
                sum[k] += v[k];
        }
    }
#pragma unroll
    for (int k = 0; k < width; k++)
        room[k * BLOCK + threadIdx.x] = sum[k];
    __syncthreads();
    if (place == 0 && col < dy.cols) {
#pragma unroll
        for (int k = 0; k < width; k++) {
            for (int i = 1; i < PLACES; i++)
                sum[k] += room[k * BLOCK + threadIdx.x + i * STRIP];
        }
        store<width>(part + blockIdx.y * dy.cols + col, sum);
    }
}

void cuda_linear_db(Backend *be, Tensor *db, const Tensor *dy)
{
    Cuda      *c = cuda_of(be);
    const Mat  d = mat_of(dy), out = mat_of(db);
    const bool wide = mat_by_four(&d);
    if (!cuda_ok(c) || d.rows == 0 || d.cols == 0)
        return;
    const int64_t strips = pieces(d.cols, wide ? 4 * STRIP : STRIP), parts = MIN(MAX(DB_BLOCKS / strips, 1), pieces(d.rows, DB_LEAST));
    float        *part = (float *)cuda_slot(c, SLOT_SUMS, (size_t)(parts * d.cols) * sizeof(float));
    if (!part)
        return;
    const dim3 grid((unsigned)strips, (unsigned)parts);
    if (wide)
        CUDA_LAUNCH(c, grid, BLOCK, 0, column_sums<4>, part, d, parts);
    else
        CUDA_LAUNCH(c, grid, BLOCK, 0, column_sums<1>, part, d, parts);
    cuda_sum_parts(c, out.p, part, parts, d.cols);
}

/* ---- the sum of squares ---- */

#define SQ_BLOCKS 1024  /* at most; the host adds what they made */
#define SQ_LEAST  16    /* accesses of a thread before there is a further block */

/* Reads 4 bytes of each number: bounded by memory, at least 85 % of the copy rate (cards with few units for double: 2 of their instructions for each number). */
template <int width> static __global__ void __launch_bounds__(BLOCK) sum_squares(double *part, Mat x)
{
    __shared__ double room[BLOCK / 32];
    const int64_t     across = x.cols / width, n = x.rows * across;
    double            sum = 0;
#pragma unroll 4
    for (int64_t i = (int64_t)blockIdx.x * BLOCK + threadIdx.x; i < n; i += (int64_t)gridDim.x * BLOCK) {
        const int64_t r = x.rows == 1 ? 0 : i / across;
        float         v[width];
        load<width>(v, x.p + r * x.ld + (i - r * across) * width);
#pragma unroll
        for (int k = 0; k < width; k++)
            sum = fma((double)v[k], (double)v[k], sum); /* the product is exact */
    }
    sum = lanes_sum<32>(sum);
    if (threadIdx.x % 32 == 0)
        room[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
#pragma unroll
        for (int i = 1; i < BLOCK / 32; i++)
            sum += room[i];
        part[blockIdx.x] = sum;
    }
}

double cuda_sumsq(Backend *be, const Tensor *t)
{
    Cuda      *c = cuda_of(be);
    const Mat  x = mat_flat(mat_of(t));
    const bool wide = mat_by_four(&x);
    double     part[SQ_BLOCKS], sum = 0;
    if (!cuda_ok(c) || x.rows == 0 || x.cols == 0)
        return 0;
    const int64_t parts = MIN(SQ_BLOCKS, pieces(x.rows * x.cols / (wide ? 4 : 1), BLOCK * SQ_LEAST));
    double       *made = (double *)cuda_slot(c, SLOT_SUMS, (size_t)parts * sizeof(double));
    if (!made)
        return 0;
    if (wide)
        CUDA_LAUNCH(c, (unsigned)parts, BLOCK, 0, sum_squares<4>, made, x);
    else
        CUDA_LAUNCH(c, (unsigned)parts, BLOCK, 0, sum_squares<1>, made, x);
    cuda_fetch(c, part, made, (size_t)parts * sizeof(double));
    for (int64_t i = 0; i < parts && cuda_ok(c); i++)
        sum += part[i];
    return sum;
}
