/* kern.h - the inner loops, once per instruction set. A Kern is a table of functions that work on plain rows and blocks, on one thread, in
 * scratch memory that the caller gives. The drivers (gemm.c, attn.c, head.c, ...) cut tensors into such blocks, hand them to the threads
 * and fix the order of summation; they know nothing of vectors. kern_body.h gathers the sources that kern_base.c, kern_avx2.c and
 * kern_avx512.c compile at their vector width; kern_avx512vnni.c adds faster products with whole numbers, kern_avx512bf16.c compiles the packing and the tiles once more, for bf16, and kern_amxbf16.c the packing
 * with tiles of its own.
 *
 * To add an instruction set: a kern_x.c with VW and its flags in isa.cmake, a row in feature_sets (features.c) and in isa_table (cpu.c), and the few lines
 * of simd.h.
 * To add an inner loop: a pointer here, its source in one of the k_*.h, its row at the end of kern_body.h. */
#ifndef HONE_CPU_KERN_H
#define HONE_CPU_KERN_H

#include "tensor/backend.h"

#define KERN_ALIGN 64   /* bytes; every scratch block starts on it */
#define GEMV_ROWS  4    /* most rows of x that gemv takes */
#define ATTN_Q     64   /* lanes of an attention block: queries, or pairs of query and head */
#define ATTN_K     64   /* keys of an attention block */
#define ATTN_BWD_Q 64   /* queries of a block in the backward */
#define ATTN_PART  256  /* keys of a part, where a query stands alone */

/* How a tile of sums goes to memory: c = (load ? c : 0) + alpha * sum + (bias ? bias[column] : 0). */
typedef struct Epi {
    float        alpha;
    bool         load;
    const float *bias;
} Epi;

/* Elementwise loops: out[] and in[] hold up to three rows each, `arg` what the kind needs. NULL outputs are "not wanted". */
typedef enum {
    ELEM_FILL,     /* out0 = *(float *)arg                                   */
    ELEM_ADD,      /* out0 = in0 + in1                                       */
    ELEM_SCALE,    /* out0 *= *(float *)arg                                  */
    ELEM_SOFTCAP,  /* out0 = cap tanh(out0 / cap), cap = *(float *)arg       */
    ELEM_ADAMW,    /* w, m, v = out0..2; g = in0; arg: AdamStep              */
    ELEM_GLU,      /* + ActKind: out0 = a(in0) in1                           */
    ELEM_GLU_BWD = ELEM_GLU + ACT_COUNT,     /* out0 += in0 in2 a'(in1); out1 += in0 a(in1)     in: dy, gate, up */
    ELEM_ACT = ELEM_GLU_BWD + ACT_COUNT,     /* out0 = a(in0)                                   */
    ELEM_ACT_BWD = ELEM_ACT + ACT_COUNT,     /* out0 += in0 a'(in1)                  in: dy, x  */
    ELEM_COUNT = ELEM_ACT_BWD + ACT_COUNT
} ElemKind;
typedef void (*ElemFn)(int64_t n, float *const out[3], const float *const in[3], const void *arg);

/* AdamW with the constants of one step worked out in double. */
typedef struct AdamStep { float b1, c1, b2, c2, grad_scale, unbias1, unbias2, lr, eps, decay; } AdamStep;

/* Moments of 8 bits, as DT_DYN8 and DT_UDYN8 are laid out, and what is known of one type's codes. A cell is all numbers of one sign that share the
 * exponent and the first bits of the fraction; the first holds whatever is smaller, too. No cell has more than one border between codes. */
#define MOMENT_BLOCK      256
#define MOMENT_CELL_SHIFT 16                                     /* 7 bits of fraction */
#define MOMENT_LEAST      0x1p-23f                               /* below the smallest border */
#define MOMENT_LEAST_BITS 0x34000000
#define MOMENT_CELLS      (((0x3f800000 - MOMENT_LEAST_BITS) >> MOMENT_CELL_SHIFT) + 1) /* the last one begins with 1 */
typedef struct MomentBlock { float absmax; uint8_t q[MOMENT_BLOCK]; } MomentBlock;
typedef struct MomentMap {
    float   code[MOMENT_BLOCK];
    float   border[MOMENT_BLOCK];       /* between a code and the next; behind the last: infinity */
    uint8_t least[2 * MOMENT_CELLS];    /* the lowest code in a cell; positive cells, negative cells */
} MomentMap;

typedef void (*GemvFn)(int64_t t, int64_t n, int64_t k, const void *x, int64_t ldx, const void *w, int64_t ldw, float *c, int64_t ldc,
                       const Epi *e);

/* One block of attention: up to ATTN_Q lanes that share a kv head. Lane l reads its query at q[l] and stands at key position pos[l]; lanes
 * are sorted by nothing, unused lanes are absent (n). Keys are rows j of k and v, j in [first, last], those that any lane sees. */
typedef struct AttnBlock {
    int          n, d;
    const float *q[ATTN_Q];
    float       *o[ATTN_Q];
    float       *lse[ATTN_Q];      /* NULL: not wanted */
    int32_t      pos[ATTN_Q];
    const void  *k, *v;            /* row 0 of the segment, at this kv head */
    DType        kv_type;          /* F32, or a cache's F16 or Q8_0, made f32 block by block */
    int64_t      ldk, ldv;
    int32_t      first, last;
    int          window;
    float        scale, softcap;
    bool         with_sinks;
    float        sink[ATTN_Q];
} AttnBlock;

/* A query that stands alone, as in decoding: the heads that share a kv head, against keys all of which it sees. What comes out is not divided
 * yet, so that parts can be joined: of head h the largest score top[h], the sum of exp(score - top) in sum[h], that of exp(score - top) v
 * in out[h d]. */
typedef struct AttnPart {
    int          heads, d;
    const float *q;                /* [heads, d] */
    const void  *k, *v;            /* rows of the part, at this kv head */
    DType        kv_type;
    int64_t      ldk, ldv, keys;
    float        scale, softcap;
    float       *out, *top, *sum;
} AttnPart;

/* Backward of ATTN_K keys of one kv head against a run of query rows. The heads of the group follow each other in q, dout and dq. */
typedef struct AttnBwdBlock {
    int          d, heads;          /* head size; query heads of this kv head */
    int32_t      n_keys, key0;      /* keys key0 .. key0 + n_keys of the segment */
    int32_t      nq, shift;         /* query i of the segment stands at key position i + shift */
    int          window;
    float        scale, softcap;
    const float *k, *v, *q, *dout, *lse, *inner;   /* row 0 of the segment, at this kv head or its first query head */
    int64_t      ldk, ldv, ldq, ldo, ldl, ldi;     /* inner [rows, heads]: dout . o */
    float       *dq, *dk, *dv;                     /* NULL: not wanted */
    int64_t      lddq, lddk, lddv;
} AttnBwdBlock;

/* Fills panels, from any stored type: here a weight becomes f32, with the bits of dtype_to_f32, and then words. A panel is slices of p words, slice kk
 * at dst + kk p, zeros for the missing p - n and up to a whole number of units behind k; up to vw words past its end may be overwritten. p is a multiple
 * of vw, or less than vw. By rows: one panel, element (i, kk) is number i ld + kk of src. By columns: as many panels as n needs, `step` words
 * apart, element (i, kk) is number kk ld + i. A blocked src begins with a block of 256 or less, and what is read of each of its rows are whole
 * blocks. The panels of a may be laid out in another way, and come from F32 alone; what begins at a whole unit kk begins at kk p there, too. */
typedef void (*PackRows)(DType type, float *dst, int64_t p, const void *src, int64_t ld, int64_t n, int64_t k);
typedef void (*PackCols)(DType type, float *dst, int64_t p, int64_t step, const void *src, int64_t ld, int64_t n, int64_t k);

/* What a large product is made of. Panels hold words of 32 bits: a number of k, or two neighbours of k rounded to bf16, or two as whole numbers, with words
 * for scales behind each run. */
typedef struct Tiles {
    int numbers, words;     /* of k: so many numbers, a unit, are so many words; panels hold whole units */
    int mr, rows;           /* rows of a panel of a: at most mr, a multiple of `rows` */
    PackRows a_rows, b_rows;
    PackCols a_cols, b_cols; /* NULL in whole_*: both sides are read by rows */
    void (*begin)(void);    /* on the thread, before the first and behind the last tile of a piece; NULL: nothing to do */
    void (*end)(void);
    /* One tile of c [h, n] from sums over k words of the panel a, of lda rows, and of b: slices of nr words readable in full, ldb apart. The order of a
     * sum follows from k alone. */
    void (*tile)(int64_t h, int64_t n, int64_t k, const float *a, int64_t lda, const float *b, int64_t ldb, float *c, int64_t ldc, const Epi *e);
} Tiles;

/* Products of up to GEMV_ROWS rows of x with rows of w where they lie, by type of w: gemv gives c[t, n] for t rows of x, ldx bytes apart. Where x_bytes is 0
 * x are floats; elsewhere x() has made of each row of floats what gemv of the type takes, so many bytes, KERN_ALIGN. */
typedef struct Few {
    size_t (*x_bytes)(DType type, int64_t k);
    void   (*x)(DType type, int64_t k, const float *x, void *to);
    GemvFn gemv[DT_COUNT];
} Few;

typedef struct Kern {
    int vw;                 /* floats in a vector */
    int nr;                 /* all tiles: at most nr = 2 vw columns */
    int mr_rows;            /* tile_rows: at most this many rows */

    Tiles f32;
    /* A tile with a read where it lies: a(i, kk) = a[i lda + kk] */
    void (*tile_rows)(int64_t h, int64_t n, int64_t k, const float *a, int64_t lda, const float *b, int64_t ldb, float *c, int64_t ldc, const Epi *e);
    Few few;                /* all types */

    ElemFn elem[ELEM_COUNT];
    /* ELEM_ADAMW with moments in blocks; map: of the first and the second moment */
    void (*adamw_moments)(int64_t n, float *w, const float *g, MomentBlock *m, MomentBlock *v, const AdamStep *a, const MomentMap map[2]);

    /* rows */
    float  (*dot)(int64_t n, const float *a, const float *b);
    void   (*axpy)(int64_t n, float *y, float f, const float *x);                       /* y += f x */
    double (*sumsq)(int64_t n, const float *x);                                         /* squares and sums in double */
    float  (*row_max)(int64_t n, const float *x);                                       /* may overlook NaN: the sum of exp will not */
    double (*row_sumexp)(int64_t n, const float *x, float top);                         /* sum of exp(x - top) */
    double (*row_exp)(int64_t n, float *x, float top, float f);                         /* x = f exp(x - top); the sum of exp */
    double (*row_exp_capped)(int64_t n, float *x, float top, float f, float cap);       /* x = f exp(x - top) (1 - (x / cap)^2); the sum of exp */
    void   (*rope)(float *x, const float *cosv, const float *sinv, int64_t half, float sign);  /* one head */
    float  (*rmsnorm)(int64_t n, float *y, const float *x, const float *w, float eps, float offset);  /* one group; returns rstd */
    void   (*layernorm)(int64_t n, float *y, const float *x, const float *w, const float *b, float eps, float stat[2]);    /* b may be NULL */
    /* dx, dw, db (each may be NULL) +=; mean is 0 and `centred` false for the rms norm */
    void   (*norm_bwd)(int64_t n, float *dx, float *dw, float *db, const float *dy, const float *x, const float *w, float mean, float rstd,
                       float offset, bool centred);

    /* attention; scratch: attn_scratch(d) bytes */
    size_t (*attn_scratch)(int d);
    void   (*attn)(const AttnBlock *b, void *scratch);
    void   (*attn_part)(const AttnPart *p);
    void   (*attn_bwd)(const AttnBwdBlock *b, void *scratch);
} Kern;

extern const Kern kern_base;
#if defined(__x86_64__)
extern const Kern kern_avx2, kern_avx512;
extern const Tiles tiles_avx512bf16, tiles_amxbf16; /* for the vectors of kern_avx512 */
extern const Few few_avx512vnni;                    /* the types that it is faster with */
extern const Tiles whole_avx512vnni[DT_COUNT];      /* by type of b, for Backend.whole; without a tile: not there */
#endif

#endif
