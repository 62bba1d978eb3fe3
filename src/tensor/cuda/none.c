/* none.c - what stands in the place of the cuda backend in a build without CUDA: it says so. */
#include "tensor/cuda/cuda.h"

#define WHY "This hone was built without CUDA, so it cannot compute on a card"

Backend *backend_cuda_open(int device, Err *e)
{
    (void)device;
    err_set(e, ERR_ARG, WHY "; build it where nvcc (CUDA 13.0 or newer) is found, or choose device cpu.");
    return NULL;
}

int backend_cuda_count(void)
{
    return 0;
}

void backend_cuda_describe(StrBuf *out)
{
    strbuf_addz(out, "none (" WHY ")");
}

bool backend_cuda_memory(const Backend *be, size_t *free_bytes, size_t *total)
{
    (void)be;
    *free_bytes = *total = 0;
    return false;
}

bool backend_cuda_proven(void) { return false; }

void backend_cuda_verified(StrBuf *out)
{
    (void)out; /* there are no kernels */
}
