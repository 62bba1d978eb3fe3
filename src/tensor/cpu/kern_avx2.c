/* kern_avx2.c - the kernels for AVX2 with fused multiply-add: vectors of eight floats. */
#if defined(__x86_64__)
#define VW 8
#include "tensor/cpu/kern_body.h"

const Kern kern_avx2 = KERN_TABLE;
#endif
