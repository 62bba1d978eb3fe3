/* cpu.h - the fast backend for the machine's own cores: packed matrix products, flash attention and vector kernels, f32. Where the processor multiplies
 * bf16 (AVX512-BF16, AMX-BF16), Backend.compute may say that large products round their numbers to it; sums and all else stay f32.
 *
 * What holds for the bits: every output element is summed in an order that follows from the shape alone, so results do not depend on the number
 * of threads. A row of `linear` (forward and dx) does not depend on the other rows or on their number either, except that 1 to 4 rows
 * (decoding) take another path than 5 and more. A query's attention does not depend on the queries beside it. Different instruction sets
 * round differently. The stored type of a weight does not change the bits of a product: a weight of Q4_K gives those of the F32 numbers it means,
 * again but for 1 to 4 rows. */
#ifndef HONE_CPU_H
#define HONE_CPU_H

#include "tensor/backend.h"

size_t   backend_cpu_scratch(const Backend *be);                      /* bytes of working space that kernels hold now; it only grows */
/* threads 0: all usable cores. The best instruction set found, or that which the variable HONE_KERNELS of the environment names; ERR_ARG as below */
Backend *backend_cpu_open(int threads, Err *e);
Backend *backend_cpu_open_isa(const char *isa, int threads, Err *e);  /* "base", "avx2", "avx512", "avx512vnni", "avx512bf16", "amxbf16"; ERR_ARG when the machine lacks it */

#endif
