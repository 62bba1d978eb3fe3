/* few.cu - products of few rows, as in decoding: y = alpha x w' + beta y + bias at the speed at which w can be read.
 * A warp makes ROWS columns of y: its lanes share out the numbers of k, eight at a time, read w as it is stored (quant.cuh), multiply with every row of x (which
 * all warps read, so that it stays in the first cache) and add up across the lanes at the end. Nothing is rounded on the way, whatever Backend.compute is.
 * Invariants: a row's sums do not depend on how many rows there are, nor on the type that holds the numbers of w.
 * To add a type: nothing here; quant.cuh. */
#include "tensor/cuda/cuda_int.h"
#include "tensor/cuda/quant.cuh"

#define ROWS  2   /* of w to a warp: each number of x serves twice */
#define WARPS 4

typedef struct Few {
    float *y;
    const float *x, *bias;
    const unsigned char *w;
    int64_t ldy, ldx, row_bytes, n, k;
    float alpha, beta;
    int m;
    bool fast_x, fast_w;            /* rows of x, those of a w of plain type begin at multiples of 16 bytes */
    QuantCodes codes;
} Few;

/* Numbers [g, g + 8) of a row of k; zeros beyond the end. */
template <int type> static __device__ __forceinline__ void eight_of(float v[8], const unsigned char *row, int64_t g, int64_t k, bool fast, const float *code)
{
    enum { N = QuantShape<type>::block, SIZE = QuantShape<type>::size };
    const unsigned char *p = row + g / N * SIZE;
    if constexpr (N > 1) {
        quant_eight<type>(v, p, (int)(g % N) / 8, code);
    } else {
        __align__(16) unsigned char in[8 * SIZE];
        if (fast && g + 8 <= k) {
            for (int b = 0; b < 8 * SIZE; b += 16)
                store16(in + b, load16(p + b));
        } else {
            memset(in, 0, sizeof in);
            for (int i = 0; i < 8; i++)
                if (g + i < k)
                    memcpy(in + i * SIZE, __builtin_assume_aligned(p + i * SIZE, SIZE), SIZE);
        }
        quant_eight<type>(v, in, 0, code);
    }
}

static __device__ __forceinline__ void eight_of_x(float v[8], const float *x, int64_t g, int64_t k, bool fast)
{
    if (fast && g + 8 <= k) {
        *(float4 *)v = *(const float4 *)(x + g);
        *(float4 *)(v + 4) = *(const float4 *)(x + g + 4);
        return;
    }
#pragma unroll
    for (int i = 0; i < 8; i++)
        v[i] = g + i < k ? x[g + i] : 0.0f;
}

/* Bytes for a number of w: its own (BF16 2, NF4 0.5625), each once; 2 m FLOP. Bound by memory for types of 16 bits (bar 3.5 TB/s), by the unpacking of the
 * types of 4 bits: about 10 instructions a number, 2.8e12 numbers/s on 9.0, so bar 1.5 TB/s of their bytes: what BF16 takes 1.6 times as long for. */
template <int type, int M> static __global__ void __launch_bounds__(WARPS * 32) few_rows(const Few a)
{
    __shared__ float code[16];
    const int     lane = (int)threadIdx.x % 32;
    const int64_t first = ((int64_t)blockIdx.x * WARPS + threadIdx.x / 32) * ROWS;
    float         sum[M][ROWS];
#pragma unroll
    for (int i = 0; i < M * ROWS; i++)
        sum[i / ROWS][i % ROWS] = 0.0f;
    quant_codes_share(code, a.codes);
    __syncthreads();
    for (int64_t g = lane * 8; g < a.k; g += 32 * 8) {
        float w[ROWS][8], x[8];
#pragma unroll
        for (int r = 0; r < ROWS; r++) /* the last warp's second row may not exist: then the last row again, not written */
            eight_of<type>(w[r], a.w + (first + r < a.n ? first + r : a.n - 1) * a.row_bytes, g, a.k, a.fast_w, code);
#pragma unroll
        for (int t = 0; t < M; t++)
            if (M == 1 || t < a.m) {
                eight_of_x(x, a.x + t * a.ldx, g, a.k, a.fast_x);
#pragma unroll
                for (int r = 0; r < ROWS; r++)
#pragma unroll
                    for (int i = 0; i < 8; i++)
                        sum[t][r] = mul_add(x[i], w[r][i], sum[t][r]);
            }
    }
#pragma unroll
    for (int t = 0; t < M; t++)
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            float s = sum[t][r];
#pragma unroll
            for (int step = 16; step > 0; step /= 2)
                s += __shfl_xor_sync(0xffffffffu, s, step);
            const int64_t j = first + r;
            if (lane == 0 && j < a.n && t < a.m) {
                float *y = a.y + t * a.ldy + j, v = a.alpha * s;
                *y = (a.beta != 0.0f ? mul_add(a.beta, *y, v) : v) + (a.bias ? a.bias[j] : 0.0f);
            }
        }
}

template <int type> static void launch_few(Cuda *c, const Few *few)
{
    const Few  a = *few;
    const int64_t blocks = (a.n + ROWS * WARPS - 1) / (ROWS * WARPS);
    BUG_ON(blocks > INT32_MAX);
    if (a.m == 1)
        CUDA_LAUNCH(c, (unsigned)blocks, WARPS * 32, 0, (few_rows<type, 1>), a);
    else
        CUDA_LAUNCH(c, (unsigned)blocks, WARPS * 32, 0, (few_rows<type, CUDA_FEW>), a);
}

void cuda_few(Cuda *c, Tensor *y, const Tensor *x, const Tensor *w, const float *bias, float alpha, float beta)
{
    const Mat my = mat_of(y), mx = mat_of(x);
    BUG_ON(mx.rows > CUDA_FEW);
    if (!cuda_ok(c) || my.rows == 0 || my.cols == 0)
        return;
    const Few a = { my.p, mx.p, bias, (const unsigned char *)w->data, my.ld, mx.ld, (int64_t)dtype_bytes(w->dtype, w->ld), my.cols, mx.cols, alpha, beta, (int)mx.rows,
                    (uintptr_t)mx.p % 16 == 0 && (mx.rows == 1 || mx.ld % 4 == 0),
                    (uintptr_t)w->data % 16 == 0 && dtype_bytes(w->dtype, w->ld) % 16 == 0, quant_codes(w->dtype) };
    switch (w->dtype) {
#define LAUNCH(type, ...) case type: launch_few<type>(c, &a); break;
        QUANT_BLOCKED(LAUNCH)
        LAUNCH(DT_F32) LAUNCH(DT_F16) LAUNCH(DT_BF16)
#undef LAUNCH
    default: BUG_ON(!"a type that holds weights");
    }
}
