/* backend.h - the seam: everything a device must do. `ref` (plain loops, double accumulation) defines the meaning of each function and is
 * the judge; `cpu` is the fast one. Kernels never print, never exit, never allocate on the caller's behalf (a backend may keep its own
 * scratch, sized on first use). Gradient outputs are always accumulated into (+=), NULL means "not wanted". All numbers are F32
 * and all indices I32, but for frozen weights: the table of embed, w of linear, linear_dx and the head functions (while dw is NULL) may be
 * of any type that holds weights (formats/dtype.h), and mean the numbers that it gives; a cache of keys and values may be F16 or Q8_0, moments 8 bits. Results must not depend on the
 * number of threads.
 *
 * Notation: T rows (tokens), D model width, H query heads, G key/value heads, d head size, V vocabulary. x[T,D] is row-major with x->ld.
 * To add an operation: a pointer here, its meaning in ref/, its row in tests/tensor/op_cases.c, then the fast versions. */
#ifndef HONE_BACKEND_H
#define HONE_BACKEND_H

#include "base/str.h"
#include "tensor/tensor.h"

/* gelu_quick is x sigmoid(1.702 x); relu_squared is max(0, x)^2. swiglu_clamped (gpt-oss) is for glu: gelu_quick(min(gate, 7)) times
 * 1 + up, up held within -7 and 7. */
typedef enum {
    ACT_SILU, ACT_GELU_TANH, ACT_GELU_ERF, ACT_RELU, ACT_GELU_QUICK, ACT_RELU_SQUARED, ACT_SWIGLU_CLAMPED, ACT_COUNT
} ActKind;

/* Which keys each query may see. Rows are laid out flat; segment s owns query rows [q0[s], q0[s]+nq[s]) and key rows [k0[s], k0[s]+nk[s]).
 * Query i of a segment stands at position nk-nq+i and sees keys 0..that position (causal), at most `window` of them when window > 0.
 * Training on packed documents: q0 == k0, nq == nk. Decoding with a cache: nq is 1 (or a prompt's length), nk what the cache holds.
 * The arrays are host memory and must live until the tape is done with them. */
typedef struct AttnShape {
    int     n_seg;
    const int32_t *q0, *nq, *k0, *nk;
    int     heads, kv_heads, head_dim;  /* H, G, d; H is a multiple of G: query head h reads kv head h / (H/G) */
    float   scale;                      /* scores are scale * q.k */
    int     window;                     /* 0: all */
    float   softcap;                    /* > 0: scores become softcap * tanh(score / softcap) before they are masked */
    Tensor *sinks;                      /* [H], NULL: none. One more score for each head, neither scaled nor capped, whose key has no value */
} AttnShape;

/* How hidden rows become logits: z = scale * h w' + bias, then softcap * tanh(z / softcap) when softcap > 0. */
typedef struct HeadCfg { float scale, softcap; } HeadCfg;

/* Which experts a token goes to: the top_k of the softmax over all experts. Equal logits: the lower index first (PyTorch promises no order). */
typedef struct RouteCfg {
    int  top_k;
    bool renormalise;   /* the top_k weights are divided by their sum */
} RouteCfg;

/* Rotary tables: cos and sin are [positions, rot/2] f32, built in double, both times a factor where the family asks for one. The first `rot`
 * elements of a head turn, element i with element i + rot/2 (half-split); those behind stay. */
typedef struct RopeTable { Tensor *cos, *sin; int rot; } RopeTable;

/* What the numbers that enter the products of linear, its gradients and the head are rounded to; sums are f32 and all else is as it was, but that `cuda` rounds those of
 * attention as well (q, k, v, probabilities and their gradients, dout). A product with few rows, as in decoding, which reads each number once, may leave them as they are. */
typedef enum { COMPUTE_F32, COMPUTE_BF16, COMPUTE_COUNT } Compute;

typedef struct AdamW { float lr, beta1, beta2, eps, weight_decay; int64_t step; /* 1-based, for bias correction */ } AdamW;

/* A device with memory of its own works on two tracks at once: kernels (with upload and download among them), and copies. What is called on one is done in the order of the
 * calls; between the two nothing is ordered but by marks: Mark n is what had been called on its track when it was made, 0 nothing. */
typedef enum { TRACK_KERNELS, TRACK_COPIES, TRACK_COUNT } Track;
typedef uint64_t Mark;

/* Bytes of a device that has memory of its own: what this backend holds of it, blocks and scratch, now and at most so far; what it would still give; what it has. */
typedef struct DeviceMemory { size_t held, most, free, total; } DeviceMemory;

struct Backend {
    const char *name;                                                    /* "ref", "cpu", "cuda" */
    int         threads;
    bool        has_bf16;                                                /* compute may be COMPUTE_BF16 */
    const char *note;                                                    /* what the user should know about this machine; NULL: nothing */
    Compute     compute;                                                 /* may be changed between calls */
    bool        whole;                                                   /* linear may take x as 16-bit whole numbers where w is of a blocked type, whatever the number
                                                                            of rows (with few it always may): for answers, not for losses. May be changed between calls */
    bool        sizing;                                                  /* kernels take the working memory that their shapes ask for and compute nothing: what
                                                                            they leave means nothing. Not for passes that read it back (experts) */
    bool        host;                                                    /* kernels read the program's own memory: a mapped file can be a tensor */
    const char *bus;                                                     /* where the card is: its PCI address, "0000:81:00.0"; NULL: no card */
    bool (*memory)(const Backend *, DeviceMemory *out);                  /* NULL, or false: there is none but the program's own */
    void *(*alloc)(Backend *, size_t nbytes);                            /* 64-byte aligned, NOT zeroed; NULL: does not fit */
    void  (*release)(Backend *, void *p, size_t nbytes);
    void  (*upload)(Backend *, void *dst, const void *src, size_t nbytes);
    void  (*download)(Backend *, void *dst, const void *src, size_t nbytes);
    /* Copies beside the kernels. All NULL where there is but one track; then upload and download do (backend_send, backend_take). */
    Mark  (*mark)(Backend *, Track of);                                    /* all that was called on that track so far */
    void  (*after)(Backend *, Track w, Mark m);                            /* what is called on w from here on begins when m, of the other track, is done */
    void  (*send)(Backend *, void *dst, const void *src, size_t nbytes); /* as upload; pinned memory is read when the copy's turn comes, other may be gone on return */
    void  (*take)(Backend *, void *dst, const void *src, size_t nbytes); /* as download, but into pinned memory it returns at once and the numbers are there after sync */
    bool  (*pin)(Backend *, void *p, size_t nbytes);                     /* the program's whole pages, which copies then go from and to by themselves; false: they do not, and still copy */
    void  (*unpin)(Backend *, void *p);                                  /* waits for what is under way */
    int   (*sync)(Backend *, Err *);                                     /* of both tracks; first failure since the last sync */
    void  (*close)(Backend *);                                           /* frees the backend itself */

    /* elementwise and rows */
    void (*fill)(Backend *, Tensor *x, float v);
    void (*add)(Backend *, Tensor *y, const Tensor *a, const Tensor *b);            /* y = a + b; y may be a or b */
    void (*acc)(Backend *, Tensor *y, const Tensor *x);                             /* y += x */
    void (*scale)(Backend *, Tensor *y, float f);                                   /* y *= f */
    void (*softcap)(Backend *, Tensor *y, float cap);                               /* y = cap * tanh(y / cap); cap > 0 */
    void (*embed)(Backend *, Tensor *y, const Tensor *table, const Tensor *ids);    /* y[i,:] = table[ids[i],:]; ids I32 [n] */
    void (*embed_bwd)(Backend *, Tensor *dtable, const Tensor *dy, const Tensor *ids); /* dtable[ids[i],:] += dy[i,:], in order of i */

    /* y = alpha * x w' (+ b) (+ y when accumulate);  x[T,K], w[N,K], b[N], y[T,N] */
    void (*linear)(Backend *, Tensor *y, const Tensor *x, const Tensor *w, const Tensor *b, float alpha, bool accumulate);
    void (*linear_dx)(Backend *, Tensor *dx, const Tensor *dy, const Tensor *w, float alpha);      /* dx += alpha * dy w   */
    /* Two products in one sweep, a weight and its low-rank addition: y = x w' + x2 w2' (+ b); dx += dy w + dy2 w2.
     * x2, dy2 [T,R]; w2 [N,R] in the first, [R,K] in the second; F32 */
    void (*linear_pair)(Backend *, Tensor *y, const Tensor *x, const Tensor *w, const Tensor *b, const Tensor *x2, const Tensor *w2);
    void (*linear_dx_pair)(Backend *, Tensor *dx, const Tensor *dy, const Tensor *w, const Tensor *dy2, const Tensor *w2);
    void (*linear_dw)(Backend *, Tensor *dw, const Tensor *dy, const Tensor *x, float alpha);      /* dw += alpha * dy' x  */
    void (*linear_db)(Backend *, Tensor *db, const Tensor *dy);                                    /* db += column sums    */

    /* Normalise groups of w->dim[0] elements: a row of width D holds D / dim(w) groups (1 for a block norm, H for a per-head norm).
     * stat holds one f32 per group for the backward: rstd (rmsnorm); mean and rstd, interleaved (layernorm). x^ = (x - mean) * rstd.
     * rmsnorm: y = x^ * (offset + w), where offset is 0 or 1. layernorm: y = x^ * w + b; b NULL: none. */
    void (*rmsnorm)(Backend *, Tensor *y, Tensor *stat, const Tensor *x, const Tensor *w, float eps, float offset);
    void (*rmsnorm_bwd)(Backend *, Tensor *dx, Tensor *dw, const Tensor *dy, const Tensor *x, const Tensor *w, const Tensor *stat, float offset);
    void (*layernorm)(Backend *, Tensor *y, Tensor *stat, const Tensor *x, const Tensor *w, const Tensor *b, float eps);
    void (*layernorm_bwd)(Backend *, Tensor *dx, Tensor *dw, Tensor *db, const Tensor *dy, const Tensor *x, const Tensor *w,
                          const Tensor *stat);

    /* In place: each head of x[T, heads*d] is turned by the angle of pos[t]; sign -1 turns the other way, which with a factor in the tables is
     * the transpose (the gradient) and not the inverse. pos I32 [T]. */
    void (*rope)(Backend *, Tensor *x, const Tensor *pos, const RopeTable *r, int head_dim, int sign);

    /* o[Tq, H*d] = softmax(scale * q k', capped) v per head; lse[Tq, H] is the log of the sum of exp of the scores, the sink's too (may be NULL when no gradient
     * is wanted). k and v are F32, or both F16 or Q8_0 (a cache), where each head begins at a whole block: [rows, G * dtype_whole(type, d)]. Backward reads o and lse and accumulates into dq, dk, dv; all F32. */
    void (*attn)(Backend *, Tensor *o, Tensor *lse, const Tensor *q, const Tensor *k, const Tensor *v, const AttnShape *s);
    void (*attn_bwd)(Backend *, Tensor *dq, Tensor *dk, Tensor *dv, const Tensor *dout, const Tensor *o, const Tensor *lse,
                     const Tensor *q, const Tensor *k, const Tensor *v, const AttnShape *s);
    void (*attn_sinks_bwd)(Backend *, Tensor *dsinks, const Tensor *dout, const Tensor *o, const Tensor *lse, const AttnShape *s);

    void (*glu)(Backend *, Tensor *y, const Tensor *gate, const Tensor *up, ActKind a);            /* y = a(gate) * up */
    void (*glu_bwd)(Backend *, Tensor *dgate, Tensor *dup, const Tensor *dy, const Tensor *gate, const Tensor *up, ActKind a);
    void (*act)(Backend *, Tensor *y, const Tensor *x, ActKind a);
    void (*act_bwd)(Backend *, Tensor *dx, const Tensor *dy, const Tensor *x, ActKind a);

    /* Head: projection, log-softmax and pick in one, in chunks: T x V logits never exist. h[n,D], w[V,D], b[V] (NULL: none), target I32 [n].
     * logp[n] = log p(target); lse[n] saved for the backward (may be NULL). */
    void (*head_logp)(Backend *, Tensor *logp, Tensor *lse, const Tensor *h, const Tensor *w, const Tensor *b, const Tensor *target,
                      const HeadCfg *cfg);
    void (*head_logp_bwd)(Backend *, Tensor *dh, Tensor *dw, Tensor *db, const Tensor *dlogp, const Tensor *lse, const Tensor *h,
                          const Tensor *w, const Tensor *b, const Tensor *target, const HeadCfg *cfg);
    /* Both directions at once when d(loss)/d(logp) is known beforehand (coef[n], F32): saves rebuilding the logits.
     * dh is overwritten, dw and db (may be NULL) accumulated. */
    void (*head_fused)(Backend *, Tensor *logp, Tensor *dh, Tensor *dw, Tensor *db, const Tensor *h, const Tensor *w, const Tensor *b,
                       const Tensor *target, const Tensor *coef, const HeadCfg *cfg);

    /* Mixture of experts, E experts, K = top_k. prob[T,E] = softmax(logits); pick[T,K] I32 the experts, best first; weight[T,K] their
     * probabilities. dweight[T,K] may be NULL; aux (host, [E], NULL: none) is a gradient that every row of prob gets besides. */
    void (*route)(Backend *, Tensor *weight, Tensor *pick, Tensor *prob, const Tensor *logits, const RouteCfg *cfg);
    void (*route_bwd)(Backend *, Tensor *dlogits, const Tensor *dweight, const float *aux, const Tensor *pick, const Tensor *prob,
                      const RouteCfg *cfg);
    /* host: count[e] += tokens that picked e, sum[e] += column sums of prob; in double, in order of rows */
    void (*route_count)(Backend *, double *count, double *sum, const Tensor *pick, const Tensor *prob);
    /* y[rows[i],:] += weight.flat[pick[i]] * x[i,:], in order of i; weight NULL: coefficient 1. rows, pick I32 [n]; no pick comes twice. */
    void (*combine)(Backend *, Tensor *y, const Tensor *x, const Tensor *rows, const Tensor *weight, const Tensor *pick);
    void (*combine_bwd)(Backend *, Tensor *dx, Tensor *dweight, const Tensor *dy, const Tensor *x, const Tensor *rows, const Tensor *weight,
                        const Tensor *pick);
    void (*gate_rows)(Backend *, Tensor *y, const Tensor *x, const Tensor *g);                  /* y[t,:] = x[t,:] * sigmoid(g[t]); g [T,1] */
    void (*gate_rows_bwd)(Backend *, Tensor *dx, Tensor *dg, const Tensor *dy, const Tensor *x, const Tensor *g);

    /* services */
    double (*sumsq)(Backend *, const Tensor *x);                                     /* in double, fixed order */
    /* g used as g*grad_scale. m and v: F32 like w; or DYN8 and UDYN8, the numbers of w one after the other up to whole blocks, then w and g are dense */
    void (*adamw)(Backend *, Tensor *w, const Tensor *g, Tensor *m, Tensor *v, const AdamW *a, float grad_scale);
    void (*copy_rows)(Backend *, Tensor *dst, int64_t dst_row, const Tensor *src, int64_t src_row, int64_t n); /* same width; KV cache writes: dst may be of any writable type, and the rest of a last block becomes 0 */
};

static inline Mark backend_mark(Backend *be, Track of) { return be->mark ? be->mark(be, of) : 0; }
static inline void backend_after(Backend *be, Track w, Mark m)
{
    if (m)
        be->after(be, w, m);
}
static inline void backend_send(Backend *be, void *dst, const void *src, size_t nbytes) { (be->send ? be->send : be->upload)(be, dst, src, nbytes); }
static inline void backend_take(Backend *be, void *dst, const void *src, size_t nbytes) { (be->take ? be->take : be->download)(be, dst, src, nbytes); }

/* "cpu", "cuda" (the first card that can be used), "cuda:N" or "ref"; threads 0: all cores; unknown name: ERR_ARG listing the names */
Backend *backend_open(const char *name, int threads, Err *e);
const char *backend_auto(void);                                /* the name that "auto" stands for here: a card if one can be used and every kernel of this build has passed on one, else the cpu */
const char *compute_name(Compute c);                           /* "f32", "bf16" */
int backend_check(const Backend *be, Compute c, Err *e);       /* ERR_ARG where be cannot */
const char *backend_cpu_features(void);                        /* "avx512f avx2 fma": what the cpu backend found and uses */
void backend_cpu_sets(StrBuf *out);                            /* "avx512 (in use), avx2, base": the kernels of this build, best first, and what holds for each */

#endif
