/* cpu_int.h - what the files of this folder share: the backend's own struct, its scratch memory, its way to the threads, the product.
 *
 * Invariants: scratch is asked for before the pieces run, by the calling thread only; a slot belongs to the function that asked until it
 * returns, so two functions that call each other use different slots. A piece writes places of its own and sums in index order: results do not
 * depend on the number of threads. How work is cut may depend on that number, the order of a sum never. */
#ifndef HONE_CPU_INT_H
#define HONE_CPU_INT_H

#include "base/thread.h"
#include "tensor/cpu/kern.h"

typedef enum {
    SLOT_PACK,   /* gemm: packed rows of a */
    SLOT_SUMS,   /* partial sums of norms, biases, attention's dq */
    SLOT_ROWS,   /* a few numbers for each row: running sums, inner products, a router's gradients */
    SLOT_LOGITS, /* head */
    SLOT_WIDE,   /* small weights of another type as f32 */
    SLOT_WIDE_B, /* a second one */
    SLOT_COUNT
} Slot;

typedef struct Scratch { void *p; size_t n, touched; } Scratch; /* touched: so many bytes were written while sizing, so that they are really there */

typedef struct Cpu {
    Backend     be;               /* first: a Backend * of ours is a Cpu * */
    const Kern *kern;
    const Few  *few[DT_COUNT];    /* by type of w */
    const Tiles *tiles[COMPUTE_COUNT]; /* by Backend.compute; NULL: the processor lacks it */
    const Tiles *whole;           /* [DT_COUNT] by type of w, for Backend.whole; NULL: none */
    Pool       *pool;
    Scratch     slot[SLOT_COUNT];
    Scratch    *worker;           /* [threads] */
    MomentMap   moment_map[2];    /* of first and second moments */
    size_t      refused;          /* bytes of the first scratch block that did not fit; sync reports it */
} Cpu;

static inline Cpu *cpu_of(Backend *be) { return (Cpu *)be; }

/* Scratch of at least n bytes, uninitialised, KERN_ALIGN. NULL (and sync will tell) when there is no memory: return at once. */
void *cpu_slot(Cpu *c, Slot s, size_t n);
bool  cpu_workers(Cpu *c, size_t n);                              /* at least n bytes for each worker */
static inline void *cpu_worker(Cpu *c, int worker) { return c->worker[worker].p; }

/* Runs n pieces; in place when the whole work, in vector operations, is too small to wake anyone; none of them while sizing. */
void cpu_for(Cpu *c, int64_t n, int64_t work, PoolFn fn, void *ctx);

static inline float *f32(const Tensor *t)
{
    BUG_ON(t->dtype != DT_F32);
    return t->data;
}

/* A vector as f32 (the weight of a norm, a bias): itself, or converted into the slot. NULL: no memory, or t is NULL. */
const float *cpu_wide(Cpu *c, Slot s, const Tensor *t);
static inline const void *elem_at(const Tensor *t, int64_t i) { return (const char *)t->data + dtype_bytes(t->dtype, i); }

/* One float per row, in either of the shapes [n] and [n, 1]. */
static inline int64_t step_of(const Tensor *t) { return t->rank == 1 ? 1 : t->ld; }

/* c[m, n] = (load ? c : 0) + alpha * sum over k of a(i, kk) b(kk, j) + bias[j].
 * a_rows: a(i, kk) = a[i lda + kk], else a[kk lda + i].  b_rows: b(kk, j) = b[j ldb + kk], else b[kk ldb + j]. */
typedef struct Gemm {
    int64_t      m, n, k;
    const float *a;
    int64_t      lda;
    bool         a_rows;
    const void  *b;
    DType        b_type;  /* any stored type; becomes f32 while it is packed */
    int64_t      ldb;     /* numbers; of a blocked type its rows are whole blocks */
    bool         b_rows;
    float       *c;
    int64_t      ldc;
    Epi          epi;
    int64_t      k2;      /* so many more numbers of k behind those, the inner side of a low-rank pair: a2 by rows, b2 as b_rows says, F32; 0: none */
    const float *a2, *b2;
    int64_t      lda2, ldb2;
} Gemm;
void cpu_gemm(Cpu *c, const Gemm *g);

#if defined(__x86_64__)
const char *amx_refused(void);               /* NULL: the tiles of AMX may be used on all threads; else why not. For processors that have them */
bool tiles_right(const Tiles *t, int nr);    /* whether they get a known product right; nr as Kern.nr */
#endif

void cpu_moment_maps(MomentMap map[2]);
void cpu_adamw_moments(Cpu *c, Tensor *w, const Tensor *g, Tensor *m, Tensor *v, const AdamStep *a);

/* The functions of Backend, by file. */
void cpu_linear(Backend *, Tensor *y, const Tensor *x, const Tensor *w, const Tensor *b, float alpha, bool accumulate);
void cpu_linear_dx(Backend *, Tensor *dx, const Tensor *dy, const Tensor *w, float alpha);
void cpu_linear_pair(Backend *, Tensor *y, const Tensor *x, const Tensor *w, const Tensor *b, const Tensor *x2, const Tensor *w2);
void cpu_linear_dx_pair(Backend *, Tensor *dx, const Tensor *dy, const Tensor *w, const Tensor *dy2, const Tensor *w2);
void cpu_linear_dw(Backend *, Tensor *dw, const Tensor *dy, const Tensor *x, float alpha);
void cpu_linear_db(Backend *, Tensor *db, const Tensor *dy);

void cpu_fill(Backend *, Tensor *x, float v);
void cpu_add(Backend *, Tensor *y, const Tensor *a, const Tensor *b);
void cpu_acc(Backend *, Tensor *y, const Tensor *x);
void cpu_scale(Backend *, Tensor *y, float f);
void cpu_softcap(Backend *, Tensor *y, float cap);
void cpu_glu(Backend *, Tensor *y, const Tensor *gate, const Tensor *up, ActKind a);
void cpu_glu_bwd(Backend *, Tensor *dgate, Tensor *dup, const Tensor *dy, const Tensor *gate, const Tensor *up, ActKind a);
void cpu_act(Backend *, Tensor *y, const Tensor *x, ActKind a);
void cpu_act_bwd(Backend *, Tensor *dx, const Tensor *dy, const Tensor *x, ActKind a);
void cpu_adamw(Backend *, Tensor *w, const Tensor *g, Tensor *m, Tensor *v, const AdamW *a, float grad_scale);
double cpu_sumsq(Backend *, const Tensor *x);

void cpu_embed(Backend *, Tensor *y, const Tensor *table, const Tensor *ids);
void cpu_embed_bwd(Backend *, Tensor *dtable, const Tensor *dy, const Tensor *ids);
void cpu_copy_rows(Backend *, Tensor *dst, int64_t dst_row, const Tensor *src, int64_t src_row, int64_t n);
void cpu_rope(Backend *, Tensor *x, const Tensor *pos, const RopeTable *r, int head_dim, int sign);

void cpu_rmsnorm(Backend *, Tensor *y, Tensor *stat, const Tensor *x, const Tensor *w, float eps, float offset);
void cpu_rmsnorm_bwd(Backend *, Tensor *dx, Tensor *dw, const Tensor *dy, const Tensor *x, const Tensor *w, const Tensor *stat, float offset);
void cpu_layernorm(Backend *, Tensor *y, Tensor *stat, const Tensor *x, const Tensor *w, const Tensor *b, float eps);
void cpu_layernorm_bwd(Backend *, Tensor *dx, Tensor *dw, Tensor *db, const Tensor *dy, const Tensor *x, const Tensor *w, const Tensor *stat);

void cpu_attn(Backend *, Tensor *o, Tensor *lse, const Tensor *q, const Tensor *k, const Tensor *v, const AttnShape *s);
void cpu_attn_bwd(Backend *, Tensor *dq, Tensor *dk, Tensor *dv, const Tensor *dout, const Tensor *o, const Tensor *lse, const Tensor *q,
                  const Tensor *k, const Tensor *v, const AttnShape *s);
void cpu_attn_sinks_bwd(Backend *, Tensor *dsinks, const Tensor *dout, const Tensor *o, const Tensor *lse, const AttnShape *s);

void cpu_head_logp(Backend *, Tensor *logp, Tensor *lse, const Tensor *h, const Tensor *w, const Tensor *b, const Tensor *target, const HeadCfg *cfg);
void cpu_head_logp_bwd(Backend *, Tensor *dh, Tensor *dw, Tensor *db, const Tensor *dlogp, const Tensor *lse, const Tensor *h, const Tensor *w,
                       const Tensor *b, const Tensor *target, const HeadCfg *cfg);
void cpu_head_fused(Backend *, Tensor *logp, Tensor *dh, Tensor *dw, Tensor *db, const Tensor *h, const Tensor *w, const Tensor *b,
                    const Tensor *target, const Tensor *coef, const HeadCfg *cfg);

void cpu_route(Backend *, Tensor *weight, Tensor *pick, Tensor *prob, const Tensor *logits, const RouteCfg *cfg);
void cpu_route_bwd(Backend *, Tensor *dlogits, const Tensor *dweight, const float *aux, const Tensor *pick, const Tensor *prob, const RouteCfg *cfg);
void cpu_route_count(Backend *, double *count, double *sum, const Tensor *pick, const Tensor *prob);
void cpu_combine(Backend *, Tensor *y, const Tensor *x, const Tensor *rows, const Tensor *weight, const Tensor *pick);
void cpu_combine_bwd(Backend *, Tensor *dx, Tensor *dweight, const Tensor *dy, const Tensor *x, const Tensor *rows, const Tensor *weight,
                     const Tensor *pick);
void cpu_gate_rows(Backend *, Tensor *y, const Tensor *x, const Tensor *g);
void cpu_gate_rows_bwd(Backend *, Tensor *dx, Tensor *dg, const Tensor *dy, const Tensor *x, const Tensor *g);

#endif
