/* products.h - the inner functions of src/tensor/cuda's products for tests in C: the backend's seam shows them only together. */
#ifndef HONE_TEST_PRODUCTS_H
#define HONE_TEST_PRODUCTS_H

#include "tensor/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ProductCase {
    int64_t m, n, k;
    bool    bf16, rounds, a_rows, b_rows; /* rounds: of F32 operands, on the way */
    int64_t lda, ldb, ldc;
    float   alpha, beta;
} ProductCase;

/* Addresses are the card's. */
void product_widen(Backend *be, void *dst, DType to, int64_t ld_dst, const Tensor *w, int64_t first, int64_t rows);
void product_gemm(Backend *be, const ProductCase *p, const void *a, const void *b, float *c, const float *bias);
void product_panels(Backend *be, int64_t nbytes);       /* most bytes of a piece in scratch */
int64_t product_wrong_halves(void);                     /* how many patterns of 16 bits f16_wide and bf16_wide get wrong, by themselves */

#ifdef __cplusplus
}
#endif
#endif
