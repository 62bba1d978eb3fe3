/* probes.cu - see probes.h. In the language of the backend's kernels, straight on the runtime. */
#include "tensor/cuda/mma.cuh"
#include "tensor/cuda_host/probes.h"

#define LAUNCH(s, grid, block, shared, kernel, ...) host_launch(s, #kernel, dim3(grid), dim3(block), shared, kernel, __VA_ARGS__)
#define LANES 0xffffffffu

namespace {

struct Run { /* a stream and up to three device buffers, gone at the end */
    cudaStream_t s;
    void *p[3];
    int n;
};

void run_begin(Run *r)
{
    r->n = 0;
    cudaStreamCreateWithFlags(&r->s, cudaStreamNonBlocking);
}

template <typename T> T *run_in(Run *r, const T *host, size_t n)
{
    T *d;
    cudaMalloc(&d, n * sizeof *d);
    if (host)
        cudaMemcpyAsync(d, host, n * sizeof *d, cudaMemcpyHostToDevice, r->s);
    r->p[r->n++] = d;
    return d;
}

template <typename T> int run_end(Run *r, T *host, const T *device, size_t n)
{
    if (host)
        cudaMemcpyAsync(host, device, n * sizeof *host, cudaMemcpyDeviceToHost, r->s);
    const int rc = cudaStreamSynchronize(r->s);
    for (int i = 0; i < r->n; i++)
        cudaFree(r->p[i]);
    cudaStreamDestroy(r->s);
    return rc;
}

/* ---- products ---- */

__global__ void kernel_product(float *d, const uint16_t *a, const uint16_t *b)
{
    __shared__ __align__(16) uint16_t as[16][16], bs[16][8];
    const int l = (int)threadIdx.x;
    for (int i = l; i < 256; i += 32)
        as[i / 16][i % 16] = a[i];
    for (int i = l; i < 128; i += 32)
        bs[i / 8][i % 8] = b[i];
    __syncwarp();
    uint32_t af[4], bf[4];
    load_matrices(af, &as[l % 8 + l / 8 % 2 * 8][l / 16 * 8]);  /* rows 0-7 left, rows 8-15 left, then right */
    load_matrices_transposed(bf, &bs[l % 16][0]);               /* rows 0-7, rows 8-15; the upper lanes' matrices are not used */
    float acc[4];
    for (int i = 0; i < 4; i++)
        acc[i] = d[(l / 4 + i / 2 * 8) * 8 + 2 * (l % 4) + i % 2];
    mma_bf16(acc, af, bf);
    for (int i = 0; i < 4; i++)
        d[(l / 4 + i / 2 * 8) * 8 + 2 * (l % 4) + i % 2] = acc[i];
}

__global__ void kernel_product_by_hand(float *d, const uint16_t *a, const uint16_t *b)
{
    const int g = (int)threadIdx.x / 4, t = (int)threadIdx.x % 4;
    uint32_t af[4], bf[2];
    for (int i = 0; i < 4; i++) {
        const uint16_t *p = a + (g + (i & 1) * 8) * 16 + 2 * t + (i >> 1) * 8;
        af[i] = (uint32_t)p[1] << 16 | p[0];
    }
    for (int i = 0; i < 2; i++) {
        const uint16_t *p = b + (2 * t + 8 * i) * 8 + g;
        bf[i] = (uint32_t)p[8] << 16 | p[0];
    }
    float acc[4] = { d[g * 8 + 2 * t], d[g * 8 + 2 * t + 1], d[(g + 8) * 8 + 2 * t], d[(g + 8) * 8 + 2 * t + 1] };
    mma_bf16(acc, af, bf);
    d[g * 8 + 2 * t] = acc[0];
    d[g * 8 + 2 * t + 1] = acc[1];
    d[(g + 8) * 8 + 2 * t] = acc[2];
    d[(g + 8) * 8 + 2 * t + 1] = acc[3];
}

int product(float *d, const uint16_t *a, const uint16_t *b, void (*kernel)(float *, const uint16_t *, const uint16_t *))
{
    Run r;
    run_begin(&r);
    float *dd = run_in(&r, d, 128);
    const uint16_t *ad = run_in(&r, a, 256), *bd = run_in(&r, b, 128);
    LAUNCH(r.s, 1, 32, 0, kernel, dd, ad, bd);
    return run_end(&r, d, dd, 128);
}

__global__ void kernel_bf16(uint32_t *out, float low, float high)
{
    *out = bf16_pair(low, high);
}

/* ---- copies, shuffles, sums ---- */

__global__ void kernel_async(float *out, const float *in)
{
    __shared__ __align__(16) float a[32], b[32], none[4];
    const int l = (int)threadIdx.x;
    a[l] = 1.0f;
    __syncthreads();
    if (l < 8)
        copy_begin16(a + 4 * l, in + 4 * l, 16);
    copy_group();
    if (l < 8)
        copy_begin16(b + 4 * l, in + 32 + 4 * l, 16);
    if (l == 0)
        copy_begin16(none, in, 0);
    copy_group();
    __syncthreads();
    out[l] = a[l]; /* all have begun, none waits yet */
    __syncthreads();
    copy_wait<1>();
    __syncthreads();
    out[32 + l] = a[l] + (b[l] == b[l] ? 1e9f : 0.0f); /* b may not be there */
    __syncthreads();
    copy_wait<0>();
    __syncthreads();
    out[64 + l] = b[l];
    if (l < 4)
        out[96 + l] = none[l];
}

__global__ void kernel_shuffles(int *out)
{
    const int l = (int)threadIdx.x, v = 100 + l;
    out[l] = __shfl_xor_sync(LANES, v, 1);
    out[32 + l] = __shfl_down_sync(LANES, v, 3);
    out[64 + l] = __shfl_up_sync(LANES, v, 3);
    out[96 + l] = __shfl_sync(LANES, v, 5);
    out[128 + l] = (int)__shfl_xor_sync(LANES, (double)v, 1, 8);
    out[160 + l] = (int)__ballot_sync(LANES, l & 1);
}

__global__ void kernel_block_sum(double *out, int n)
{
    __shared__ double part[32];
    const int t = (int)threadIdx.x, warps = ((int)blockDim.x + 31) / 32;
    double s = 0;
    for (int i = t; i < n; i += (int)blockDim.x)
        s += i + 1;
    for (int step = 16; step > 0; step /= 2)
        s += __shfl_down_sync(LANES, s, (unsigned)step);
    if (t % 32 == 0)
        part[t / 32] = s;
    __syncthreads();
    if (t == 0) {
        for (int w = 1; w < warps; w++)
            s += part[w];
        *out = s;
    }
}

/* ---- broken rules ---- */

__global__ void kernel_rule(Probe p, float *out, float *in)
{
    __shared__ float s[64];
    SHARED_DYNAMIC(float, d);
    const int t = (int)threadIdx.x;
    if (p != PROBE_UNINITIALISED)
        s[t] = (float)t;
    if (p == PROBE_UNEVEN_BARRIER && t < 32)
        return;
    if (p == PROBE_OTHER_BARRIER && t < 32)
        __syncthreads();
    else if (p != PROBE_MISSING_BARRIER)
        __syncthreads();
    float v = s[63 - t];
    if (p == PROBE_LEFT_LANE && t == 40)
        return;
    if (p == PROBE_LEFT_LANE && t >= 32)
        v = __shfl_sync(LANES, v, 0);
    if (p == PROBE_SHORT_MASK)
        v = __shfl_sync(0xffffu, v, 0);
    if (p == PROBE_HALF_WARP && t < 16)
        v = __shfl_xor_sync(0xffffu, v, 1); /* a part of a warp among itself is allowed */
    if (p == PROBE_SHARED_OVERFLOW && t == 0)
        d[16] = 1.0f;
    if (p == PROBE_UNALIGNED_COPY)
        copy_begin16(s + 1, in, 16);
    if (p == PROBE_DEVICE_OVERFLOW && t == 0)
        in[63] = 1.0f;
    out[t] = v;
}

__global__ void kernel_put(float *p, float v) { *p = v; }
__global__ void kernel_copy(float *to, const float *from) { *to = *from; }

} /* namespace */

extern "C" int probe_product(float *d, const uint16_t *a, const uint16_t *b) { return product(d, a, b, kernel_product); }
extern "C" int probe_product_by_hand(float *d, const uint16_t *a, const uint16_t *b) { return product(d, a, b, kernel_product_by_hand); }

extern "C" int probe_bf16(uint32_t *pair, float low, float high)
{
    Run r;
    run_begin(&r);
    uint32_t *d = run_in(&r, pair, 1);
    LAUNCH(r.s, 1, 1, 0, kernel_bf16, d, low, high);
    return run_end(&r, pair, d, 1);
}

extern "C" int probe_async(float *out)
{
    Run r;
    float in[64];
    for (int i = 0; i < 64; i++)
        in[i] = 10.0f + (float)i;
    run_begin(&r);
    float *d = run_in(&r, out, 100);
    const float *from = run_in(&r, in, 64);
    LAUNCH(r.s, 1, 32, 0, kernel_async, d, from);
    return run_end(&r, out, d, 100);
}

extern "C" int probe_shuffles(int *out)
{
    Run r;
    run_begin(&r);
    int *d = run_in(&r, out, 192);
    LAUNCH(r.s, 1, 32, 0, kernel_shuffles, d);
    return run_end(&r, out, d, 192);
}

extern "C" int probe_block_sum(double *out, int n, int threads)
{
    Run r;
    run_begin(&r);
    double *d = run_in(&r, out, 1);
    LAUNCH(r.s, 1, threads, 0, kernel_block_sum, d, n);
    return run_end(&r, out, d, 1);
}

extern "C" int probe_rule(Probe p, float *out)
{
    Run r;
    run_begin(&r);
    float *d = run_in(&r, out, 64), *in = run_in(&r, out, 63); /* 252 bytes: the four behind them are no page's end */
    const dim3   grid = p == PROBE_HIGH_GRID ? dim3(1, 65536) : p == PROBE_EMPTY_GRID ? dim3(0) : dim3(1);
    const size_t shared = p == PROBE_MUCH_SHARED ? 60000 : 64;
    int rc = LAUNCH(r.s, grid, p == PROBE_WIDE_BLOCK ? 1056 : 64, shared, kernel_rule, p, d, in);
    if (p == PROBE_EARLY_FREE) {
        rc = cudaFree(in);
        r.n--;
    }
    const int end = run_end(&r, out, d, 64);
    return end ? end : rc;
}

extern "C" int probe_streams(float *late, float *ordered)
{
    Run r;
    cudaStream_t other;
    cudaEvent_t  done;
    run_begin(&r);
    cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking);
    cudaEventCreateWithFlags(&done, cudaEventDisableTiming);
    const float old = -1.0f;
    float *d = run_in(&r, &old, 1), *copy = run_in(&r, &old, 1);
    cudaStreamSynchronize(r.s);
    LAUNCH(r.s, 1, 1, 0, kernel_put, d, 5.0f);
    cudaEventRecord(done, r.s);
    LAUNCH(other, 1, 1, 0, kernel_copy, copy, d);
    cudaMemcpyAsync(late, copy, sizeof *late, cudaMemcpyDeviceToHost, other);
    cudaStreamWaitEvent(other, done, 0);
    LAUNCH(other, 1, 1, 0, kernel_copy, copy, d);
    cudaMemcpyAsync(ordered, copy, sizeof *ordered, cudaMemcpyDeviceToHost, other);
    cudaEventDestroy(done);
    cudaStreamDestroy(other);
    return run_end(&r, (float *)NULL, d, 0);
}

extern "C" int probe_pinned(float *got)
{
    Run r;
    float *pinned;
    run_begin(&r);
    cudaMallocHost(&pinned, sizeof *pinned);
    *pinned = 1.0f;
    float *d = run_in(&r, pinned, 1);
    *pinned = 2.0f; /* too early */
    const int rc = run_end(&r, got, d, 1);
    cudaFreeHost(pinned);
    return rc;
}
