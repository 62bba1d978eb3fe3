/* kern_avx512vnni.c - products with whole numbers that AVX512-VNNI makes faster: of few rows by VPDPBUSD, of more by VPDPWSSD; all else is kern_avx512.c. */
#if defined(__x86_64__)
#define VW 16
#include "tensor/cpu/k_lanes.h"
#include "tensor/cpu/k_runs.h"

const Few few_avx512vnni = {
    .x_bytes = lanes_x_bytes, .x = lanes_x,
    .gemv = { [DT_Q4_K] = lanes_Q4_K, [DT_Q5_K] = lanes_Q5_K },
};

const Tiles whole_avx512vnni[DT_COUNT] = { WHOLE_TYPES(RUNS_TILES) };
#endif
