/* far.h - a backend whose memory the program cannot touch: the cpu backend, whose blocks are told by addresses without memory; only a call knows where the bytes are. So
 * whoever reads or writes a device's numbers without download and upload ends the test at once, and so does whoever calls from a second thread. It fails when it is told to, as a device does:
 * the failure stays, every later call returns at once, what was to be read back is not there. Its memory is as large as the test says, and others may take of it.
 * Main struct: Far. To add an operation: its line below. */
#ifndef HONE_TESTS_FAR_H
#define HONE_TESTS_FAR_H

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/mem.h"
#include "tensor/backend.h"

#define FAR_REGION ((size_t)4 << 30)
#define FAR_STEP   ((size_t)4096)

typedef struct FarBlock { size_t at, size; } FarBlock;
typedef struct Far {
    Backend      be;            /* first: a Backend * of ours is a Far * */
    Backend     *real;
    char        *base, *near;   /* the addresses that are told, which nobody may touch, and where the bytes are */
    Tensor       view[12];      /* of this call */
    int          n_view;
    FarBlock    *block;         /* by address */
    int          n, cap;
    DeviceMemory memory;        /* free: computed */
    size_t       others;        /* bytes that other programs have taken */
    size_t       refuse;        /* requests of so many bytes and more find no memory, as if another program had just taken it; 0: none */
    int64_t      calls, fail_at; /* the call with this number fails; 0: none */
    const char  *fail_in;       /* only calls of this function count; NULL: all */
    Err          failed;
    pthread_t    owner;
} Far;

static inline Far *far_of(Backend *be) { return (Far *)(void *)be; }

static inline bool far_enter(Backend *be, const char *name)
{
    Far *f = far_of(be);
    BUG_ON(!pthread_equal(f->owner, pthread_self()));
    if (!f->failed.code && f->fail_at && (!f->fail_in || !strcmp(name, f->fail_in)) && ++f->calls == f->fail_at)
        err_set(&f->failed, ERR_DEVICE, "kernel %s: an illegal memory access was encountered", name);
    if (f->failed.code)
        return false;
    f->real->compute = be->compute;
    f->real->sizing = be->sizing;
    f->n_view = 0;
    return true;
}

static inline char *far_near(const Far *f, const void *p)
{
    BUG_ON((const char *)p < f->base || (const char *)p >= f->base + FAR_REGION);
    return f->near + ((const char *)p - f->base);
}

/* A tensor as the cpu backend can reach it. */
static inline Tensor *far_view(Far *f, const Tensor *t)
{
    if (!t)
        return NULL;
    BUG_ON(f->n_view == ARRAY_LEN(f->view));
    Tensor *v = &f->view[f->n_view++];
    *v = *t;
    v->data = tensor_numel(t) ? far_near(f, t->data) : NULL;
    v->be = f->real;
    return v;
}
#define N(t) far_view(far_of(be), t)

static inline void *far_alloc(Backend *be, size_t n)
{
    Far   *f = far_of(be);
    size_t size = (MAX(n, 1) + FAR_STEP - 1) / FAR_STEP * FAR_STEP, at = 0;
    int    i = 0;
    if (f->memory.held + f->others + n > f->memory.total || (f->refuse && n >= f->refuse))
        return NULL;
    while (i < f->n && f->block[i].at - at < size) {
        at = f->block[i].at + f->block[i].size;
        i++;
    }
    BUG_ON(at + size > FAR_REGION);
    if (f->n == f->cap)
        f->block = mem_realloc(f->block, (size_t)(f->cap = MAX(64, 2 * f->cap)), sizeof *f->block);
    memmove(f->block + i + 1, f->block + i, (size_t)(f->n++ - i) * sizeof *f->block);
    f->block[i] = (FarBlock){ at, size };
    f->memory.held += n;
    f->memory.most = MAX(f->memory.most, f->memory.held);
    memset(f->near + at, 0xff, size); /* NaNs */
    return f->base + at;
}

static inline void far_release(Backend *be, void *p, size_t n)
{
    Far *f = far_of(be);
    int  i = 0;
    BUG_ON(!pthread_equal(f->owner, pthread_self()));
    while (i < f->n && f->base + f->block[i].at != (char *)p)
        i++;
    BUG_ON(i == f->n);
    memmove(f->block + i, f->block + i + 1, (size_t)(--f->n - i) * sizeof *f->block);
    f->memory.held -= n;
}

static inline void far_upload(Backend *be, void *dst, const void *src, size_t n)
{
    if (!n || !far_enter(be, "upload"))
        return;
    memcpy(far_near(far_of(be), dst), src, n);
}

static inline void far_download(Backend *be, void *dst, const void *src, size_t n)
{
    if (!n || !far_enter(be, "download"))
        return;
    memcpy(dst, far_near(far_of(be), src), n);
}

static inline int far_sync(Backend *be, Err *e)
{
    Far *f = far_of(be);
    if (f->failed.code && e)
        *e = f->failed;
    return f->failed.code ? f->failed.code : f->real->sync(f->real, e);
}

static inline bool far_memory(const Backend *be, DeviceMemory *out)
{
    const Far *f = (const Far *)(const void *)be;
    *out = f->memory;
    out->free = f->memory.total - MIN(f->memory.total, f->memory.held + f->others);
    return true;
}

static inline void far_close(Backend *be)
{
    Far *f = far_of(be);
    BUG_ON(f->n); /* somebody kept a block */
    munmap(f->base, FAR_REGION);
    munmap(f->near, FAR_REGION);
    f->real->close(f->real);
    free(f->block);
    free(f);
}

#define FAR_DO(name, params, args)                 \
    static inline void far_##name params           \
    {                                              \
        Backend *real = far_of(be)->real;          \
        if (far_enter(be, #name))                  \
            real->name args;                       \
    }
FAR_DO(fill, (Backend *be, Tensor *x, float v), (real, N(x), v))
FAR_DO(add, (Backend *be, Tensor *y, const Tensor *a, const Tensor *b), (real, N(y), N(a), N(b)))
FAR_DO(acc, (Backend *be, Tensor *y, const Tensor *x), (real, N(y), N(x)))
FAR_DO(scale, (Backend *be, Tensor *y, float f), (real, N(y), f))
FAR_DO(softcap, (Backend *be, Tensor *y, float cap), (real, N(y), cap))
FAR_DO(embed, (Backend *be, Tensor *y, const Tensor *table, const Tensor *ids), (real, N(y), N(table), N(ids)))
FAR_DO(embed_bwd, (Backend *be, Tensor *d, const Tensor *dy, const Tensor *ids), (real, N(d), N(dy), N(ids)))
FAR_DO(linear, (Backend *be, Tensor *y, const Tensor *x, const Tensor *w, const Tensor *b, float f, bool add), (real, N(y), N(x), N(w), N(b), f, add))
FAR_DO(linear_dx, (Backend *be, Tensor *dx, const Tensor *dy, const Tensor *w, float f), (real, N(dx), N(dy), N(w), f))
FAR_DO(linear_pair, (Backend *be, Tensor *y, const Tensor *x, const Tensor *w, const Tensor *b, const Tensor *x2, const Tensor *w2), (real, N(y), N(x), N(w), N(b), N(x2), N(w2)))
FAR_DO(linear_dx_pair, (Backend *be, Tensor *dx, const Tensor *dy, const Tensor *w, const Tensor *dy2, const Tensor *w2), (real, N(dx), N(dy), N(w), N(dy2), N(w2)))
FAR_DO(linear_dw, (Backend *be, Tensor *dw, const Tensor *dy, const Tensor *x, float f), (real, N(dw), N(dy), N(x), f))
FAR_DO(linear_db, (Backend *be, Tensor *db, const Tensor *dy), (real, N(db), N(dy)))
FAR_DO(rmsnorm, (Backend *be, Tensor *y, Tensor *stat, const Tensor *x, const Tensor *w, float eps, float off), (real, N(y), N(stat), N(x), N(w), eps, off))
FAR_DO(rmsnorm_bwd, (Backend *be, Tensor *dx, Tensor *dw, const Tensor *dy, const Tensor *x, const Tensor *w, const Tensor *stat, float off), (real, N(dx), N(dw), N(dy), N(x), N(w), N(stat), off))
FAR_DO(layernorm, (Backend *be, Tensor *y, Tensor *stat, const Tensor *x, const Tensor *w, const Tensor *b, float eps), (real, N(y), N(stat), N(x), N(w), N(b), eps))
FAR_DO(layernorm_bwd, (Backend *be, Tensor *dx, Tensor *dw, Tensor *db, const Tensor *dy, const Tensor *x, const Tensor *w, const Tensor *stat), (real, N(dx), N(dw), N(db), N(dy), N(x), N(w), N(stat)))
static inline void far_rope(Backend *be, Tensor *x, const Tensor *pos, const RopeTable *r, int d, int sign)
{
    if (far_enter(be, "rope"))
        far_of(be)->real->rope(far_of(be)->real, N(x), N(pos), &(RopeTable){ N(r->cos), N(r->sin), r->rot }, d, sign);
}
static inline AttnShape far_shape(Backend *be, const AttnShape *s)
{
    AttnShape shape = *s;
    shape.sinks = N(s->sinks);
    return shape;
}
FAR_DO(attn, (Backend *be, Tensor *o, Tensor *lse, const Tensor *q, const Tensor *k, const Tensor *v, const AttnShape *s), (real, N(o), N(lse), N(q), N(k), N(v), (const AttnShape[]){ far_shape(be, s) }))
FAR_DO(attn_bwd, (Backend *be, Tensor *dq, Tensor *dk, Tensor *dv, const Tensor *dout, const Tensor *o, const Tensor *lse, const Tensor *q, const Tensor *k, const Tensor *v,
                  const AttnShape *s), (real, N(dq), N(dk), N(dv), N(dout), N(o), N(lse), N(q), N(k), N(v), (const AttnShape[]){ far_shape(be, s) }))
FAR_DO(attn_sinks_bwd, (Backend *be, Tensor *ds, const Tensor *dout, const Tensor *o, const Tensor *lse, const AttnShape *s), (real, N(ds), N(dout), N(o), N(lse), (const AttnShape[]){ far_shape(be, s) }))
FAR_DO(glu, (Backend *be, Tensor *y, const Tensor *gate, const Tensor *up, ActKind a), (real, N(y), N(gate), N(up), a))
FAR_DO(glu_bwd, (Backend *be, Tensor *dg, Tensor *du, const Tensor *dy, const Tensor *gate, const Tensor *up, ActKind a), (real, N(dg), N(du), N(dy), N(gate), N(up), a))
FAR_DO(act, (Backend *be, Tensor *y, const Tensor *x, ActKind a), (real, N(y), N(x), a))
FAR_DO(act_bwd, (Backend *be, Tensor *dx, const Tensor *dy, const Tensor *x, ActKind a), (real, N(dx), N(dy), N(x), a))
FAR_DO(head_logp, (Backend *be, Tensor *logp, Tensor *lse, const Tensor *h, const Tensor *w, const Tensor *b, const Tensor *t, const HeadCfg *c), (real, N(logp), N(lse), N(h), N(w), N(b), N(t), c))
FAR_DO(head_logp_bwd, (Backend *be, Tensor *dh, Tensor *dw, Tensor *db, const Tensor *dlogp, const Tensor *lse, const Tensor *h, const Tensor *w, const Tensor *b, const Tensor *t,
                       const HeadCfg *c), (real, N(dh), N(dw), N(db), N(dlogp), N(lse), N(h), N(w), N(b), N(t), c))
FAR_DO(head_fused, (Backend *be, Tensor *logp, Tensor *dh, Tensor *dw, Tensor *db, const Tensor *h, const Tensor *w, const Tensor *b, const Tensor *t, const Tensor *coef,
                    const HeadCfg *c), (real, N(logp), N(dh), N(dw), N(db), N(h), N(w), N(b), N(t), N(coef), c))
FAR_DO(route, (Backend *be, Tensor *weight, Tensor *pick, Tensor *prob, const Tensor *logits, const RouteCfg *c), (real, N(weight), N(pick), N(prob), N(logits), c))
FAR_DO(route_bwd, (Backend *be, Tensor *dl, const Tensor *dw, const float *aux, const Tensor *pick, const Tensor *prob, const RouteCfg *c), (real, N(dl), N(dw), aux, N(pick), N(prob), c))
FAR_DO(route_count, (Backend *be, double *count, double *sum, const Tensor *pick, const Tensor *prob), (real, count, sum, N(pick), N(prob)))
FAR_DO(combine, (Backend *be, Tensor *y, const Tensor *x, const Tensor *rows, const Tensor *w, const Tensor *pick), (real, N(y), N(x), N(rows), N(w), N(pick)))
FAR_DO(combine_bwd, (Backend *be, Tensor *dx, Tensor *dw, const Tensor *dy, const Tensor *x, const Tensor *rows, const Tensor *w, const Tensor *pick), (real, N(dx), N(dw), N(dy), N(x), N(rows), N(w), N(pick)))
FAR_DO(gate_rows, (Backend *be, Tensor *y, const Tensor *x, const Tensor *g), (real, N(y), N(x), N(g)))
FAR_DO(gate_rows_bwd, (Backend *be, Tensor *dx, Tensor *dg, const Tensor *dy, const Tensor *x, const Tensor *g), (real, N(dx), N(dg), N(dy), N(x), N(g)))
FAR_DO(adamw, (Backend *be, Tensor *w, const Tensor *g, Tensor *m, Tensor *v, const AdamW *a, float f), (real, N(w), N(g), N(m), N(v), a, f))
FAR_DO(copy_rows, (Backend *be, Tensor *dst, int64_t at, const Tensor *src, int64_t from, int64_t n), (real, N(dst), at, N(src), from, n))

static inline double far_sumsq(Backend *be, const Tensor *x)
{
    if (!far_enter(be, "sumsq"))
        return 0;
    return far_of(be)->real->sumsq(far_of(be)->real, N(x));
}

/* On the cpu backend with so many threads; total: bytes of its memory. */
static inline Far *far_open(int threads, size_t total, Err *e)
{
    Backend *real = backend_open("cpu", threads, e);
    void    *p = mmap(NULL, FAR_REGION, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    void    *near = mmap(NULL, FAR_REGION, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    BUG_ON(p == MAP_FAILED || near == MAP_FAILED || !real);
    Far *f = mem_zalloc(1, sizeof *f);
    f->be = (Backend){
        .name = "far", .threads = real->threads, .has_bf16 = real->has_bf16, .memory = far_memory,
        .alloc = far_alloc, .release = far_release, .upload = far_upload, .download = far_download, .sync = far_sync, .close = far_close,
        .fill = far_fill, .add = far_add, .acc = far_acc, .scale = far_scale, .softcap = far_softcap, .embed = far_embed, .embed_bwd = far_embed_bwd,
        .linear = far_linear, .linear_dx = far_linear_dx, .linear_pair = far_linear_pair, .linear_dx_pair = far_linear_dx_pair, .linear_dw = far_linear_dw,
        .linear_db = far_linear_db, .rmsnorm = far_rmsnorm, .rmsnorm_bwd = far_rmsnorm_bwd, .layernorm = far_layernorm, .layernorm_bwd = far_layernorm_bwd,
        .rope = far_rope, .attn = far_attn, .attn_bwd = far_attn_bwd, .attn_sinks_bwd = far_attn_sinks_bwd, .glu = far_glu, .glu_bwd = far_glu_bwd, .act = far_act,
        .act_bwd = far_act_bwd, .head_logp = far_head_logp, .head_logp_bwd = far_head_logp_bwd, .head_fused = far_head_fused, .route = far_route,
        .route_bwd = far_route_bwd, .route_count = far_route_count, .combine = far_combine, .combine_bwd = far_combine_bwd, .gate_rows = far_gate_rows,
        .gate_rows_bwd = far_gate_rows_bwd, .sumsq = far_sumsq, .adamw = far_adamw, .copy_rows = far_copy_rows,
    };
    f->real = real;
    f->base = p;
    f->near = near;
    f->memory.total = total;
    f->owner = pthread_self();
    return f;
}

#endif
