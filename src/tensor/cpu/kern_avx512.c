/* kern_avx512.c - the kernels for AVX-512 (F, DQ, BW, VL): vectors of sixteen floats. */
#if defined(__x86_64__)
#define VW 16
#include "tensor/cpu/kern_body.h"

const Kern kern_avx512 = KERN_TABLE;
#endif
