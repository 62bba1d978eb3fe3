/* rng.h - counter-based random numbers (Philox 4x32-10, Salmon et al. 2011): a number is a pure function of (seed, stream, index), so the
 * same draw comes out whatever the thread, the order, or a resume in between. Streams are named so that no two uses share draws. */
#ifndef HONE_RNG_H
#define HONE_RNG_H

#include "base/base.h"

typedef enum { RNG_SHUFFLE = 1, RNG_LORA_INIT, RNG_WEIGHT_INIT, RNG_SAMPLE, RNG_SPLIT, RNG_TEST } RngStream;

typedef struct Rng { uint64_t seed, stream, index; } Rng;

Rng      rng_at(uint64_t seed, RngStream stream, uint64_t sub, uint64_t index); /* sub: epoch, tensor number, sequence number, ...; below 2^56 no
                                                                                   two (stream, sub) share draws, a 64-bit hash is fine too */
uint32_t rng_u32(Rng *r);                       /* next draw; index advances by one */
uint64_t rng_below(Rng *r, uint64_t n);         /* uniform in [0, n), unbiased; n > 0; two draws, rarely more */
double   rng_unit(Rng *r);                      /* uniform in [0, 1), 53 bits; two draws */
#define RNG_GROUP 256
void     rng_normals(Rng *r, float *out, int64_t n); /* n standard normal numbers, drawn in groups: index goes up to a multiple of 4, then by n rounded up
                                                        to whole groups, so that what begins at a whole group can be drawn apart */
void     rng_shuffle(Rng *r, int64_t *v, int64_t n);
void     rng_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]); /* the bare block function, for tests and kernels */

#endif
