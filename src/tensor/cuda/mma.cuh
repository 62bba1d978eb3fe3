/* mma.cuh - the matrix units and the copies around them, one instruction each (PTX ISA, sections "Matrix multiply-accumulate" and "Asynchronous copy"), for
 * compute capability 8.0 and newer. On the host cuda_host.h has functions of the same names and meaning, worked out over the 32 lanes of a warp.
 * All 32 lanes call them together. Fragments of m16n8k16, lane = 4 g + t: a[0] row g, columns 2t and 2t+1; a[1] row g+8; a[2] row g, columns 2t+8 and 2t+9; a[3] row g+8 of
 * those; b[0] rows 2t and 2t+1 of column g, b[1] rows 2t+8 and 2t+9; d[0], d[1] row g, columns 2t and 2t+1, d[2], d[3] row g+8. The lower index lies in the lower half. */
#ifndef HONE_CUDA_MMA_CUH
#define HONE_CUDA_MMA_CUH

#include "tensor/cuda/platform.cuh"

#ifndef HONE_CUDA_HOST
#include <stdint.h>

/* d += a b; a [16,16], b [16,8] in bf16, d [16,8] in f32 */
static __device__ __forceinline__ void mma_bf16(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/* Four 8 x 8 matrices of 16-bit numbers from shared memory: lane l gives the address of row l % 8 of matrix l / 8 (16 bytes, so aligned) and gets of matrix i in r[i] the
 * numbers 2 (l % 4) and 2 (l % 4) + 1 of row l / 4; transposed: of column l / 4. */
static __device__ __forceinline__ void load_matrices(uint32_t r[4], const void *row)
{
    const uint32_t at = (uint32_t)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at));
}
static __device__ __forceinline__ void load_matrices_transposed(uint32_t r[4], const void *row)
{
    const uint32_t at = (uint32_t)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at));
}

/* 16 bytes from device to shared memory, both 16-byte aligned; `bytes` of them (0 or 16) are read, the rest become zeros. */
static __device__ __forceinline__ void copy_begin16(void *shared, const void *global, int bytes)
{
    const uint32_t at = (uint32_t)__cvta_generic_to_shared(shared);
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(at), "l"(global), "r"(bytes));
}
static __device__ __forceinline__ void copy_group(void) { asm volatile("cp.async.commit_group;"); }
template <int pending> static __device__ __forceinline__ void copy_wait(void) { asm volatile("cp.async.wait_group %0;" ::"n"(pending)); } /* then __syncthreads */

/* two f32 to two bf16 (nearest even), low in the lower half */
static __device__ __forceinline__ uint32_t bf16_pair(float low, float high)
{
    uint32_t r;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
    return r;
}
#endif

#endif
