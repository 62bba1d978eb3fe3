/* op_lab.h - the bench on which one case runs on one backend: tensors between guard bytes, filled from a fixed random stream.
 * Duty: make every buffer a box (guard, rows with gap columns, guard), and afterwards say whether anything outside the promised elements was
 * written. Two labs of the same case hold the same boxes in the same order, so results are compared box by box. */
#ifndef HONE_TEST_OP_LAB_H
#define HONE_TEST_OP_LAB_H

#include "base/rng.h"
#include "tensor/op_cases.h"
#include "tensor/ops.h"

typedef enum {
    BOX_IN,   /* read: not one byte may change                                                    */
    BOX_SET,  /* overwritten: elements start as NaN, so one that is forgotten shows               */
    BOX_ACC,  /* accumulated into: elements start as random numbers                               */
} BoxKind;

typedef struct Box {
    const char *name;
    BoxKind     kind;
    bool        exact;   /* the result has one right bit pattern: copies and single roundings */
    Tensor      t;
    char       *raw;     /* device */
    size_t      nbytes, first;
    char       *before;  /* host: all bytes as they were at the start */
} Box;

#define LAB_BOXES_MAX 32

typedef struct Lab {
    const OpCase *c;
    Backend      *be;
    Rng           rng;
    int64_t       drawn;              /* numbers taken from the common pool */
    bool          bf16;               /* they are rounded to bf16: a product that rounds its operands changes nothing in them */
    Box           box[LAB_BOXES_MAX];
    int           n;
    double        scalar;             /* sumsq */
    Tensor       *leaf[5];            /* gradient check: the op's inputs in the order of its arguments; NULL: none */
    const Tensor *index, *coef;       /* ids, positions or targets; the fused head's weights */
    RopeTable     rope;
    const Tensor *pick;
    RouteStats    route;
    AttnShape     attn;
    int32_t       q0[CASE_SEGS_MAX], nq[CASE_SEGS_MAX], k0[CASE_SEGS_MAX], nk[CASE_SEGS_MAX];
    int           q_rows, k_rows;
} Lab;

void    lab_init(Lab *l, const OpCase *c, Backend *be);
void    lab_release(Lab *l);
Tensor *lab_mat(Lab *l, const char *name, BoxKind kind, int64_t rows, int64_t cols);   /* rows with gap columns when the case says so */
Tensor *lab_weight(Lab *l, const char *name, int64_t rows, int64_t cols);               /* BOX_IN of the case's stored type */
Tensor *lab_vec(Lab *l, const char *name, BoxKind kind, int64_t n);                     /* rank 1 */
Tensor *lab_col(Lab *l, const char *name, BoxKind kind, int64_t rows, int64_t cols);   /* never with a gap: statistics, logp */
Tensor *lab_ids(Lab *l, const char *name, int64_t n, int64_t limit);                    /* I32 [n] below limit */
Tensor *lab_numbers(Lab *l, const char *name, BoxKind kind, int64_t rows, int64_t cols, const int32_t *v); /* I32; v NULL: -1 everywhere */
Tensor *lab_logits(Lab *l, int64_t rows, int64_t cols);                                  /* each row a permutation of well separated numbers */
Tensor *lab_exact(Lab *l, Tensor *t);                                                   /* marks the box of t */
Tensor *lab_poison_gaps(Lab *l, Tensor *t);                                             /* NaN in the key rows between segments */
void    lab_rope(Lab *l);                                                               /* table and positions */
void    lab_attn(Lab *l);                                                               /* segments */
void    lab_check_guards(const Lab *l);
/* The worst over all results of max|got - want| / max|want|; a difference in an exact box is infinite. Results past `allowed` are printed. */
double  lab_difference(const Lab *got, const Lab *want, double allowed, const char *who);
bool    lab_same_bits(const Lab *a, const Lab *b, const char **where);

#endif
