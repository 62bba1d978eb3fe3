/* kern_avx512bf16.c - packing and tiles of products whose numbers are rounded to bf16, for AVX-512 with VDPBF16PS: twice the multiplications of f32. */
#if defined(__x86_64__)
#define VW  16
#define PER 2
#include "tensor/cpu/k_gemm.h"

const Tiles tiles_avx512bf16 = TILES;
#endif
