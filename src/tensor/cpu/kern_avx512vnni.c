/* kern_avx512vnni.c - products of few rows that VPDPBUSD makes faster; all else is kern_avx512.c. */
#if defined(__x86_64__)
#define VW 16
#include "tensor/cpu/k_lanes.h"

const Few few_avx512vnni = {
    .x_bytes = lanes_x_bytes, .x = lanes_x,
    .gemv = { [DT_Q4_K] = lanes_Q4_K, [DT_Q5_K] = lanes_Q5_K },
};
#endif
