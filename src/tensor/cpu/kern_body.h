/* kern_body.h - everything an instruction set brings, compiled by kern_base.c, kern_avx2.c and kern_avx512.c with VW and KERN_NAME set. */
#include "tensor/cpu/k_attn.h"
#include "tensor/cpu/k_elem.h"
#include "tensor/cpu/k_few.h"
#include "tensor/cpu/k_gemm.h"
#include "tensor/cpu/k_moment.h"
#include "tensor/cpu/k_pack.h"
#include "tensor/cpu/k_rows.h"

#define GEMV_ROW(T) [DT_##T] = gemv_##T,
#define KERN_TABLE                                                                                                               \
    {                                                                                                                            \
        .vw = VW, .nr = NR,           .mr_rows = MR_ROWS, .f32 = TILES, .tile_rows = tile_rows,                                  \
        .few = { .x_bytes = few_x_bytes, .x = few_x, .gemv = { STORED_TYPES(GEMV_ROW) } },                                       \
        .elem = { [ELEM_FILL] = elem_fill, [ELEM_ADD] = elem_add, [ELEM_SCALE] = elem_scale, [ELEM_SOFTCAP] = elem_softcap,      \
                  [ELEM_ADAMW] = elem_adamw, ACT_ROWS(ACT_SILU), ACT_ROWS(ACT_GELU_TANH), ACT_ROWS(ACT_GELU_ERF),                \
                  ACT_ROWS(ACT_RELU), ACT_ROWS(ACT_GELU_QUICK), ACT_ROWS(ACT_RELU_SQUARED), ACT_ROWS(ACT_SWIGLU_CLAMPED) },      \
        .adamw_moments = adamw_moments,                                                                                          \
        .dot = row_dot, .axpy = row_axpy, .sumsq = row_sumsq, .row_max = row_max, .row_sumexp = row_sumexp, .row_exp = row_exp,  \
        .row_exp_capped = row_exp_capped,                                                                                        \
        .rope = row_rope, .rmsnorm = row_rmsnorm, .layernorm = row_layernorm, .norm_bwd = row_norm_bwd,                          \
        .attn_scratch = attn_scratch, .attn = attn, .attn_part = attn_part, .attn_bwd = attn_bwd,                                   \
    }
