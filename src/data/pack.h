/* pack.h - lays examples into micro-batches of at most `capacity` tokens without letting one see another.
 * A micro-batch is flat: segments one after the other, positions restart at each, attention is per segment, nothing is padded; the share of the
 * capacity left empty is reported as padding share. Order: shuffle by (seed, epoch), cut into windows of PACK_WINDOW capacities,
 * first-fit-decreasing in each window (Johnson 1973), shuffle the bins; pack.c says it exactly. Invariant: every example is used exactly once per epoch. */
#ifndef HONE_PACK_H
#define HONE_PACK_H

#include "data/dataset.h"

#define PACK_WINDOW 64

typedef struct PackPlan {        /* one epoch: bin b holds examples item[first[b] .. first[b+1]) */
    int64_t *item, *first;
    int64_t  n_bins, capacity;
    double   pad_share;          /* 1 - tokens / (bins * capacity) */
} PackPlan;
/* shuffle false keeps file order (evaluation). packing false: one example per bin. capacity: tokens, at least the set's longest example. */
void pack_plan(PackPlan *p, const DataSet *d, int64_t capacity, bool packing, bool shuffle, uint64_t seed, int64_t epoch);
void pack_plan_release(PackPlan *p);

typedef struct MicroBatch {      /* host arrays, owned; reused between fills */
    int32_t  n_tokens, n_seg, n_rows;
    int32_t *ids, *pos;          /* [n_tokens]; pos restarts at 0 in each segment */
    int32_t *seg_start, *seg_len;/* [n_seg] */
    int64_t *example;            /* [n_seg] */
    int32_t *row, *target;       /* [n_rows]: position whose next token is trained, and that token */
    int32_t  cap_tokens, cap_seg;
} MicroBatch;
void microbatch_fill(MicroBatch *m, const DataSet *d, const int64_t *examples, int64_t n);
void microbatch_release(MicroBatch *m);

#endif
