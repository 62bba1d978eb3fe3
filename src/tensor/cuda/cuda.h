/* cuda.h - the cuda backend: NVIDIA cards from compute capability 8.0 on. Its kernels are CUDA C and need nvcc to be built (without it none.c stands
 * here, whose open says so); one binary runs with and without a driver. Meaning and invariants are backend.h's; how the folder works: cuda_int.h. */
#ifndef HONE_CUDA_H
#define HONE_CUDA_H

#include "tensor/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* device: index among the cards that the driver shows; negative: the first that can be used. ERR_ARG: no such card or one that is too old; ERR_IO: no driver, one older
 * than this build's toolkit, a card that does not answer; ERR_MEM. Each with the sentence that says what to do. */
Backend *backend_cuda_open(int device, Err *e);
int      backend_cuda_count(void);                 /* cards that can be used; 0: none, no driver, or a build without CUDA */
void     backend_cuda_describe(StrBuf *out);       /* for --version: "NVIDIA H200 (9.0, 139.8 GiB), driver 13.0", or why there is none */
bool     backend_cuda_memory(const Backend *be, size_t *free_bytes, size_t *total); /* of the card; false: be is not on a card */
bool     backend_cuda_proven(void);                 /* every source of kernels has passed on a card (verified.tsv); false also in a build without CUDA */
void     backend_cuda_verified(StrBuf *out);       /* for --version --verbose: a line for each source of kernels, when and on which card it last passed, or UNVERIFIED */

#ifdef __cplusplus
}
#endif
#endif
