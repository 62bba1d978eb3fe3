/* op_cases.h - one row per op and shape. A row drives the gradient check on `ref`, the comparison of `cpu` with `ref` (guard bytes
 * included) and the equality of bits over thread counts: see test_ops.c. To cover a new shape, add a row to op_cases.c and nothing else. */
#ifndef HONE_TEST_OP_CASES_H
#define HONE_TEST_OP_CASES_H

#include "tensor/tape.h"

#define CASE_SEGS_MAX 4
#define CASE_SERVICES OP_COUNT /* fill, scale, acc, sumsq, adamw, copy_rows: no gradient, hence not in ops.def */

typedef struct OpCase {
    int      op;                       /* OpKind or CASE_SERVICES */
    int      T;                        /* rows; attention: see nq */
    int      K, N;                     /* input width; output width, table rows or vocabulary */
    int      rank;                     /* linear: width of the low-rank pair; 0: none */
    bool     bias;                     /* linear, layernorm, head */
    float    offset;                   /* rmsnorm */
    int      top_k;                    /* route, combine */
    bool     renormalise;              /* route */
    float    aux;                      /* route: coefficient of the load-balancing loss */
    float    scale, softcap;           /* head, 0: 1 and none; attention: softcap; op_scale: scale */
    int      group;                    /* norms: elements per group, divides K; 0: K */
    int      heads, kv_heads, head_dim, rot;
    float    rope_factor;              /* of cos and sin; 0: 1 */
    int      n_seg, nq[CASE_SEGS_MAX], nk[CASE_SEGS_MAX];
    bool     sinks;                    /* attention */
    int      window, key_gap;          /* attention; key_gap: cache rows between segments that nobody may read */
    ActKind  act;
    unsigned frozen;                   /* bit i: input i (in the order of the op's arguments) wants no gradient */
    int      pad;                      /* ld - cols of every matrix in the backend comparison */
    float    sigma;                    /* spread of the inputs; 0: 1 */
    float    slack;                    /* times the tolerance of the backend comparison, where large scores lose bits before the exp; 0: 1 */
    DType    stored;                   /* embed, linear, head: type of the table or weight, which then has no gradient; K a multiple of the block */
    bool     same;                     /* add: both inputs are one tensor */
    bool     no_grad;                  /* too large, or too steep for finite differences */
} OpCase;

extern const OpCase op_cases[];
extern const int    op_cases_count;

#endif
