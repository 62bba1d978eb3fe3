/* cuda_int.h - what the files of this folder share: the backend's own struct, its scratch memory, how a kernel is launched, and the functions by file.
 *
 * All work but copies that may go beside it (send, take) is on one stream in the order of the calls, those on a second; marks, which are events, order one after the other. A function here looks at its tensors (shapes, strides: host memory), asks for scratch, launches, and
 * returns before the card has done it. The first failure sticks (c->failed): every later function returns at once, and sync tells it. Numbers of the
 * program that a kernel needs besides its arguments (segments, tables) go through cuda_stage.
 *
 * Invariants: results do not depend on timing: each output element is written by one thread, sums are taken in a fixed order that depends on shapes alone.
 * Activations, gradients and sums are F32; with COMPUTE_BF16 the operands of products are rounded to bf16 on the way into the matrix units. A scratch slot
 * belongs to the function that asked until it returns, so two functions that call each other use different slots; the stream keeps later kernels behind earlier ones.
 * After the first turn of a run no slot grows: nothing is allocated in a step (c->grown counts; tests and the planner look).
 *
 * To add an operation: its function here, its kernel in the file it belongs to, its line in cuda_table (cuda.cu). */
#ifndef HONE_CUDA_INT_H
#define HONE_CUDA_INT_H

#include "tensor/cuda/platform.cuh"

extern "C" {
#include "base/err.h"
#include "tensor/backend.h"
}

typedef enum {
    SLOT_A, SLOT_B,     /* a product's operands as the matrix units read them: bf16 copies, weights of a blocked type as bf16 or f32 */
    SLOT_A2, SLOT_B2,   /* those of its low-rank pair */
    SLOT_SUMS,          /* partial sums */
    SLOT_ROWS,          /* a few numbers for each row */
    SLOT_LOGITS,        /* head: a chunk of logits */
    SLOT_WORK,          /* the product library's workspace */
    SLOT_BIAS,          /* a product's bias as f32 */
    SLOT_MOMENTS,       /* optim.cu's alone, and kept: its tables of the codes of 8-bit moments */
    SLOT_COUNT
} CudaSlot;

#define CUDA_MARKS  16      /* the newest of each track; an older one is taken for the one that has its event now, which is later */
#define CUDA_PINNED 8       /* pieces of the program's memory */

typedef struct CudaScratch { void *p; size_t n; } CudaScratch;
typedef struct CudaLt CudaLt;           /* lt.cu: the product library, loaded at run time; NULL: not there, hone's own kernels do it */
typedef struct CudaRing CudaRing;       /* stage.cu: pinned memory for what goes to the card */

typedef struct Cuda {
    Backend      be;                    /* first: a Backend * of ours is a Cuda * */
    int          device, capability;    /* 80, 86, 89, 90, 100, 120 */
    int          multiprocessors;
    int          shared_limit;          /* bytes of shared memory that one block may ask for */
    cudaStream_t stream, copies;        /* TRACK_KERNELS and TRACK_COPIES */
    cudaEvent_t  mark[TRACK_COUNT][CUDA_MARKS];
    Mark         marks[TRACK_COUNT];      /* made so far */
    struct { char *p; size_t n; } pinned[CUDA_PINNED];
    CudaScratch  slot[SLOT_COUNT];
    CudaRing    *ring;
    CudaLt      *lt;
    int64_t      panel_bytes;           /* most bytes of one of linear's and the head's pieces in scratch; 0: their own bounds. Tests make it small */
    int64_t      grown;                 /* how often scratch had to grow */
    size_t       held, most;            /* bytes of device memory that this backend holds now: alloc's and scratch; and at most so far */
    char         bus[32];               /* be.bus */
    Err          failed;                /* the first failure; code 0: none */
} Cuda;

/* ---- cuda.cu ---- */

void  cuda_fail(Cuda *c, cudaError_t code, const char *what);          /* keeps the first; what: "kernel rmsnorm", "copy to the card" */
static inline bool cuda_ok(const Cuda *c) { return c->failed.code == 0; }
bool  cuda_try(Cuda *c, cudaError_t code, const char *what);           /* true: cudaSuccess; else it is kept */
/* The calling thread's card is ours from here on: the runtime keeps one for each thread, and another backend or thread may have chosen another. */
static inline Cuda *cuda_of(Backend *be)
{
    Cuda *c = (Cuda *)be;
    cuda_try(c, cudaSetDevice(c->device), "choosing the card");
    return c;
}
void *cuda_slot(Cuda *c, CudaSlot s, size_t nbytes);                   /* at least nbytes, uninitialised, 256-byte aligned; NULL and a failure: no memory */
/* A device copy of n bytes of the program's memory, good for kernels launched until CUDA_STAGE_TURNS further calls; the source may be gone on return. */
#define CUDA_STAGE_TURNS 64
const void *cuda_stage(Cuda *c, const void *host, size_t nbytes);
void  cuda_fetch(Cuda *c, void *host, const void *device, size_t nbytes); /* waits */
void  cuda_send(Cuda *c, void *device, const void *host, size_t nbytes);  /* the source may be gone on return; the copy itself comes in its turn */
void  cuda_send_beside(Backend *, void *device, const void *host, size_t nbytes);  /* Backend.send and take */
void  cuda_take_beside(Backend *, void *host, const void *device, size_t nbytes);
bool  cuda_ring_open(Cuda *c);
void  cuda_ring_close(Cuda *c);

/* grid and block: an int, or dim3(x, y); kernel: a name, or (name<a, b>) in brackets; the arguments follow. Nothing is launched while sizing. */
#ifdef HONE_CUDA_HOST
#define CUDA_LAUNCH(c, grid, block, shared, kernel, ...) \
    (void)((c)->be.sizing || cuda_try(c, host_launch((c)->stream, #kernel, dim3(grid), dim3(block), (size_t)(shared), kernel, __VA_ARGS__), "kernel " #kernel))
#else
#define CUDA_LAUNCH(c, grid, block, shared, kernel, ...)                          \
    do {                                                                          \
        if ((c)->be.sizing)                                                       \
            break;                                                                \
        kernel<<<dim3(grid), dim3(block), (size_t)(shared), (c)->stream>>>(__VA_ARGS__); \
        cuda_try(c, cudaGetLastError(), "kernel " #kernel);                       \
    } while (0)
#endif
/* Kernels above 48 KB of shared memory say so before their first launch. */
#define CUDA_SHARED(c, kernel, nbytes) cuda_try(c, cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)(nbytes)), "shared memory of " #kernel)

/* ---- matrices as kernels take them ---- */

typedef struct Mat { float *p; int64_t ld; int64_t rows, cols; } Mat;
static inline Mat mat_of(const Tensor *t)  /* F32; NULL: p is NULL */
{
    Mat m = { NULL, 0, 0, 0 };
    if (!t)
        return m;
    BUG_ON(t->dtype != DT_F32);
    m.p = (float *)t->data;
    m.ld = t->ld;
    m.rows = tensor_rows(t);
    m.cols = tensor_cols(t);
    return m;
}
static inline const int32_t *i32_of(const Tensor *t)
{
    BUG_ON(t->dtype != DT_I32);
    return (const int32_t *)t->data;
}
/* One float per row, in either of the shapes [n] and [n, 1]. */
static inline int64_t step_of(const Tensor *t) { return t->rank == 1 ? 1 : t->ld; }

/* ---- quant.cu: every stored type, on the card ---- */

/* dst[rows, cols] (dense rows of ld_dst numbers; to: DT_F32 or DT_BF16) = the numbers of rows [first, first + rows) of w, any stored type. F32 has dtype_to_f32's bits, BF16 those
 * rounded to nearest even. */
void cuda_widen(Cuda *c, void *dst, DType to, int64_t ld_dst, const Tensor *w, int64_t first, int64_t rows);
/* A small vector (norm's weight, bias) of any plain type as dense f32: itself when it is, else a copy in the slot; NULL for NULL. */
const float *cuda_vector(Cuda *c, CudaSlot s, const Tensor *t);

/* ---- gemm.cu, lt.cu: c[m, n] = alpha * sum over k of a(i, kk) b(kk, j) + beta * c[m, n] + bias[j], row-major, accumulated in f32 ---- */

typedef struct CudaGemm {
    int64_t      m, n, k;
    DType        type;      /* of a and b: DT_F32 or DT_BF16 */
    const void  *a, *b;
    int64_t      lda, ldb;
    bool         a_rows;    /* a(i, kk) = a[i lda + kk], else a[kk lda + i] */
    bool         b_rows;    /* b(kk, j) = b[j ldb + kk] (a weight [n, k]), else b[kk ldb + j] */
    float       *c;
    int64_t      ldc;
    float        alpha, beta;   /* beta 0: c is not read */
    const float *bias;      /* [n]; NULL: none */
    bool         rounds;    /* of F32 operands: they are rounded to bf16 on their way, with the bits of a product of rounded copies. Skinny ones only */
} CudaGemm;
#define CUDA_SKINNY 64      /* m or n at most */
void    cuda_gemm(Cuda *c, const CudaGemm *g);          /* the library where it is there and takes the shape, else hone's own */
void    cuda_gemm_own(Cuda *c, const CudaGemm *g);
CudaLt *cuda_lt_open(Cuda *c);                          /* NULL: not there */
bool    cuda_lt_gemm(Cuda *c, const CudaGemm *g);       /* false: it does not take this product */
void    cuda_lt_close(CudaLt *lt);
const char *cuda_lt_version(const CudaLt *lt);

/* few.cu: at most CUDA_FEW rows of x (decoding): y = alpha x w' + beta y + bias, F32 numbers of a w of any stored type, which is read once as it lies */
#define CUDA_FEW 8
void cuda_few(Cuda *c, Tensor *y, const Tensor *x, const Tensor *w, const float *bias, float alpha, float beta);
/* ---- sum.cu: out[j] += part[i][j] over i in order; part [parts, cols], what blocks of a kernel before this one made, in one of the slots ---- */

void cuda_sum_parts(Cuda *c, float *out, const float *part, int64_t parts, int64_t cols);
void cuda_sum_parts_double(Cuda *c, double *out, const double *part, int64_t parts, int64_t cols);

/* ---- the functions of Backend, by file ---- */

/* elem.cu */
void cuda_fill(Backend *, Tensor *x, float v);
void cuda_add(Backend *, Tensor *y, const Tensor *a, const Tensor *b);
void cuda_acc(Backend *, Tensor *y, const Tensor *x);
void cuda_scale(Backend *, Tensor *y, float f);
void cuda_softcap(Backend *, Tensor *y, float cap);
void cuda_glu(Backend *, Tensor *y, const Tensor *gate, const Tensor *up, ActKind a);
void cuda_glu_bwd(Backend *, Tensor *dgate, Tensor *dup, const Tensor *dy, const Tensor *gate, const Tensor *up, ActKind a);
void cuda_act(Backend *, Tensor *y, const Tensor *x, ActKind a);
void cuda_act_bwd(Backend *, Tensor *dx, const Tensor *dy, const Tensor *x, ActKind a);
void cuda_gate_rows(Backend *, Tensor *y, const Tensor *x, const Tensor *g);
void cuda_gate_rows_bwd(Backend *, Tensor *dx, Tensor *dg, const Tensor *dy, const Tensor *x, const Tensor *g);

/* rows.cu */
void cuda_embed(Backend *, Tensor *y, const Tensor *table, const Tensor *ids);
void cuda_embed_bwd(Backend *, Tensor *dtable, const Tensor *dy, const Tensor *ids);
void cuda_copy_rows(Backend *, Tensor *dst, int64_t dst_row, const Tensor *src, int64_t src_row, int64_t n);
void cuda_rope(Backend *, Tensor *x, const Tensor *pos, const RopeTable *r, int head_dim, int sign);

/* norm.cu */
void cuda_rmsnorm(Backend *, Tensor *y, Tensor *stat, const Tensor *x, const Tensor *w, float eps, float offset);
void cuda_rmsnorm_bwd(Backend *, Tensor *dx, Tensor *dw, const Tensor *dy, const Tensor *x, const Tensor *w, const Tensor *stat, float offset);
void cuda_layernorm(Backend *, Tensor *y, Tensor *stat, const Tensor *x, const Tensor *w, const Tensor *b, float eps);
void cuda_layernorm_bwd(Backend *, Tensor *dx, Tensor *dw, Tensor *db, const Tensor *dy, const Tensor *x, const Tensor *w, const Tensor *stat);

/* sum.cu */
double cuda_sumsq(Backend *, const Tensor *x);
void cuda_linear_db(Backend *, Tensor *db, const Tensor *dy);

/* optim.cu */
void cuda_adamw(Backend *, Tensor *w, const Tensor *g, Tensor *m, Tensor *v, const AdamW *a, float grad_scale);

/* linear.cu */
void cuda_linear(Backend *, Tensor *y, const Tensor *x, const Tensor *w, const Tensor *b, float alpha, bool accumulate);
void cuda_linear_dx(Backend *, Tensor *dx, const Tensor *dy, const Tensor *w, float alpha);
void cuda_linear_pair(Backend *, Tensor *y, const Tensor *x, const Tensor *w, const Tensor *b, const Tensor *x2, const Tensor *w2);
void cuda_linear_dx_pair(Backend *, Tensor *dx, const Tensor *dy, const Tensor *w, const Tensor *dy2, const Tensor *w2);
void cuda_linear_dw(Backend *, Tensor *dw, const Tensor *dy, const Tensor *x, float alpha);

/* attn.cu, attn_bwd.cu */
void cuda_attn(Backend *, Tensor *o, Tensor *lse, const Tensor *q, const Tensor *k, const Tensor *v, const AttnShape *s);
void cuda_attn_bwd(Backend *, Tensor *dq, Tensor *dk, Tensor *dv, const Tensor *dout, const Tensor *o, const Tensor *lse, const Tensor *q,
                   const Tensor *k, const Tensor *v, const AttnShape *s);
void cuda_attn_sinks_bwd(Backend *, Tensor *dsinks, const Tensor *dout, const Tensor *o, const Tensor *lse, const AttnShape *s);

/* head.cu */
void cuda_head_logp(Backend *, Tensor *logp, Tensor *lse, const Tensor *h, const Tensor *w, const Tensor *b, const Tensor *target, const HeadCfg *cfg);
void cuda_head_logp_bwd(Backend *, Tensor *dh, Tensor *dw, Tensor *db, const Tensor *dlogp, const Tensor *lse, const Tensor *h, const Tensor *w,
                        const Tensor *b, const Tensor *target, const HeadCfg *cfg);
void cuda_head_fused(Backend *, Tensor *logp, Tensor *dh, Tensor *dw, Tensor *db, const Tensor *h, const Tensor *w, const Tensor *b,
                     const Tensor *target, const Tensor *coef, const HeadCfg *cfg);

/* moe.cu */
void cuda_route(Backend *, Tensor *weight, Tensor *pick, Tensor *prob, const Tensor *logits, const RouteCfg *cfg);
void cuda_route_bwd(Backend *, Tensor *dlogits, const Tensor *dweight, const float *aux, const Tensor *pick, const Tensor *prob, const RouteCfg *cfg);
void cuda_route_count(Backend *, double *count, double *sum, const Tensor *pick, const Tensor *prob);
void cuda_combine(Backend *, Tensor *y, const Tensor *x, const Tensor *rows, const Tensor *weight, const Tensor *pick);
void cuda_combine_bwd(Backend *, Tensor *dx, Tensor *dweight, const Tensor *dy, const Tensor *x, const Tensor *rows, const Tensor *weight,
                      const Tensor *pick);

#endif
