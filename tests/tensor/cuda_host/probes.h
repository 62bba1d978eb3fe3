/* probes.h - small kernels that show what the stand-in does and what it finds; each returns the error of the synchronisation behind it. */
#ifndef HONE_TEST_PROBES_H
#define HONE_TEST_PROBES_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* d [16,8] += a [16,16] b [16,8], numbers of bf16 as uint16, dense; both operands through shared memory and the loads of matrices. */
int probe_product(float *d, const uint16_t *a, const uint16_t *b);
/* The same with each lane's numbers put together by hand from the fragments that mma.cuh describes. */
int probe_product_by_hand(float *d, const uint16_t *a, const uint16_t *b);
int probe_bf16(uint32_t *pair, float low, float high);
/* out[0..31]: before the wait, [32..63]: after a wait that leaves one group open, [64..95]: after the last; [96..99]: of 0 bytes. */
int probe_async(float *out);
int probe_shuffles(int *out /* [6][32]: xor 1, down 3, up 3, from lane 5, xor 1 in eights, ballot of odd lanes */);
int probe_block_sum(double *out, int n, int threads);          /* sum of 1..n by warps and a barrier */

typedef enum {
    PROBE_FINE, PROBE_MISSING_BARRIER, PROBE_UNEVEN_BARRIER, PROBE_OTHER_BARRIER, PROBE_LEFT_LANE, PROBE_SHORT_MASK, PROBE_SHARED_OVERFLOW, PROBE_UNINITIALISED, PROBE_NO_LEAVE,
    PROBE_MUCH_SHARED, PROBE_WIDE_BLOCK, PROBE_HIGH_GRID, PROBE_EMPTY_GRID, PROBE_HALF_WARP, PROBE_UNALIGNED_COPY, PROBE_EARLY_FREE, PROBE_DEVICE_OVERFLOW, PROBE_COUNT
} Probe;
int probe_rule(Probe p, float *out /* [64] */);
int probe_streams(float *late, float *ordered);                 /* what another stream reads of a running one without an event, and with it */
int probe_pinned(float *got);                                   /* what arrives when pinned memory changes before its copy has run */

#ifdef __cplusplus
}
#endif
#endif
