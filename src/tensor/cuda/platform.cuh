/* platform.cuh - the language that kernels are written in: CUDA C where nvcc reads it; for the tests, where no card is, the host's compiler reads the same
 * sources with HONE_CUDA_HOST defined, and tests/tensor/cuda_host gives every word its meaning (threads of a block are fibers, a launch is a loop).
 * A kernel uses of CUDA: threadIdx, blockIdx, blockDim, gridDim, __syncthreads, __syncwarp, __shfl_sync, __shfl_xor_sync, __shfl_down_sync, __ballot_sync, __shared__ arrays of
 * fixed size, SHARED_DYNAMIC, the vector types, __trap (for broken promises: the run ends), fast functions with a host equal (rsqrtf, __expf), and what mma.cuh has. No atomics on numbers: sums are taken
 * in a fixed order. */
#ifndef HONE_CUDA_PLATFORM_CUH
#define HONE_CUDA_PLATFORM_CUH

#ifdef HONE_CUDA_HOST
#include "cuda_host.h"
#else
#include <cuda_runtime.h>

/* The block's shared memory whose size the launch gives, as an array of `type`. */
#define SHARED_DYNAMIC(type, name)                             \
    extern __shared__ __align__(16) unsigned char shared_bytes[]; \
    type *const name = (type *)shared_bytes
#endif

#endif
