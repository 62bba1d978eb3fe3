/* lanes.cuh - what kernels over rows share: sums over the lanes that hold a row together, in an order that follows from their number alone, and four numbers in one
 * access. Each lane adds its own numbers first, in order of index; lanes then meet in pairs, nearest last, so all end with the same bits; warps are added in order.
 *
 * Invariant: all threads of the block call these together; a lane without numbers brings 0. */
#ifndef HONE_CUDA_LANES_CUH
#define HONE_CUDA_LANES_CUH

#include "tensor/cuda/cuda_int.h"

#define ALL_LANES 0xffffffffu
#define WARPS_MOST 32   /* of a block */

/* The sum over `lanes` neighbours, a power of two up to 32; every one of them gets it. */
template <int lanes, typename T> static __device__ inline T lanes_sum(T v)
{
#pragma unroll
    for (int apart = lanes / 2; apart > 0; apart /= 2)
        v += __shfl_xor_sync(ALL_LANES, v, apart);
    return v;
}

/* n sums at once over `lanes` threads: up to 32 neighbours, else the whole block. A room serves one call; before its next a call with another room lies between
 * (so two rooms in turn do), or a barrier. */
template <int lanes, int n> static __device__ inline void row_sums(float (&v)[n], float (&room)[WARPS_MOST * n])
{
#pragma unroll
    for (int k = 0; k < n; k++)
        v[k] = lanes_sum<(lanes < 32 ? lanes : 32)>(v[k]);
    if (lanes <= 32)
        return;
    if (threadIdx.x % 32 == 0) {
#pragma unroll
        for (int k = 0; k < n; k++)
            room[threadIdx.x / 32 * n + k] = v[k];
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < n; k++)
        v[k] = 0;
#pragma unroll(lanes > 512 ? 8 : lanes / 32 + 1)
    for (int i = 0; i < lanes / 32; i++) {
#pragma unroll
        for (int k = 0; k < n; k++)
            v[k] += room[i * n + k];
    }
}

/* ---- four numbers in one access, where everything lies so ---- */

static inline bool by_four(const float *p, int64_t ld, int64_t cols)
{
    return (uintptr_t)p % 16 == 0 && ld % 4 == 0 && cols % 4 == 0;
}
static inline bool mat_by_four(const Mat *m) { return by_four(m->p, m->ld, m->cols); }

/* A matrix without gaps as one row. */
static inline Mat mat_flat(Mat m)
{
    if (m.ld == m.cols || m.rows == 1) {
        m.cols *= m.rows;
        m.ld = m.cols;
        m.rows = m.rows > 0;
    }
    return m;
}

template <int width> static __device__ inline void load(float (&v)[width], const float *p)
{
    if constexpr (width == 4) {
        const float4 f = *(const float4 *)p;
        v[0] = f.x;
        v[1] = f.y;
        v[2] = f.z;
        v[3] = f.w;
    } else {
#pragma unroll
        for (int i = 0; i < width; i++)
            v[i] = p[i];
    }
}
template <int width> static __device__ inline void store(float *p, const float (&v)[width])
{
    if constexpr (width == 4) {
        *(float4 *)p = make_float4(v[0], v[1], v[2], v[3]);
    } else {
#pragma unroll
        for (int i = 0; i < width; i++)
            p[i] = v[i];
    }
}

static inline int64_t pieces(int64_t n, int64_t each) { return (n + each - 1) / each; }

#endif
