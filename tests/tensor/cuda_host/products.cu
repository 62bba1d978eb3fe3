/* products.cu - see products.h. */
#include "tensor/cuda/cuda_int.h"
#include "tensor/cuda/quant.cuh"
#include "tensor/cuda_host/products.h"

void product_widen(Backend *be, void *dst, DType to, int64_t ld_dst, const Tensor *w, int64_t first, int64_t rows)
{
    cuda_widen(cuda_of(be), dst, to, ld_dst, w, first, rows);
}

void product_gemm(Backend *be, const ProductCase *p, const void *a, const void *b, float *c, const float *bias)
{
    const CudaGemm g = { p->m, p->n, p->k, p->bf16 && !p->rounds ? DT_BF16 : DT_F32, a, b, p->lda, p->ldb, p->a_rows, p->b_rows, c, p->ldc, p->alpha, p->beta, bias, p->rounds };
    cuda_gemm(cuda_of(be), &g);
}

void product_panels(Backend *be, int64_t nbytes) { cuda_of(be)->panel_bytes = nbytes; }

int64_t product_wrong_halves(void)
{
    int64_t wrong = 0;
    for (uint32_t h = 0; h < 0x10000u; h++) {
        const uint16_t bits = (uint16_t)h;
        float f16, bf16;
        dtype_to_f32(&f16, &bits, DT_F16, 1);
        dtype_to_f32(&bf16, &bits, DT_BF16, 1);
        wrong += bits_of(f16) != bits_of(f16_wide(h)) || bits_of(bf16) != bits_of(bf16_wide(h));
    }
    return wrong;
}
