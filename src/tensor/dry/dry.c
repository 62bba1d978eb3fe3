/* dry.c - see dry.h. Main struct: Dry, the blocks handed out. Addresses come from mappings without access, so a kernel that did compute would be
 * found at once. To follow a new operation of Backend: its line here, naming what it writes. */
#include "tensor/dry/dry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/mem.h"

#define PAGE      ((size_t)4 << 10)
#define HUGE_PAGE ((size_t)2 << 20)

typedef struct Block { char *base; size_t size, used; } Block;

typedef struct Dry {
    Backend  be;                    /* first: a Backend * of ours is a Dry * */
    Block   *block;
    int      n, cap, last;          /* last: the block found by the last search, mostly the next one's too */
    DryBytes bytes;
    const void *pick;               /* what the last router chose: [rows, top_k] of so many experts */
    int64_t  n_pick, experts;
} Dry;

static Dry *dry_of(Backend *be) { return (Dry *)be; }

/* The cpu backend asks for huge pages under large blocks (cpu.c): a page that is touched at all is there as a whole. */
static bool huge_pages(void)
{
    static int known = -1;
    if (known < 0) {
        char  text[64] = "";
        FILE *f = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");
        known = f && fgets(text, sizeof text, f) && !strstr(text, "[never]");
        if (f)
            fclose(f);
    }
    return known == 1;
}

static size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

size_t backend_dry_pages(size_t block, size_t used)
{
    return round_up(used, block >= 2 * HUGE_PAGE && huge_pages() ? HUGE_PAGE : PAGE);
}

static void *dry_alloc(Backend *be, size_t nbytes)
{
    Dry  *d = dry_of(be);
    char *p = mmap(NULL, MAX(nbytes, 1), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    if (d->n == d->cap) {
        d->cap = MAX(16, 2 * d->cap);
        d->block = mem_realloc(d->block, (size_t)d->cap, sizeof *d->block);
    }
    d->block[d->n++] = (Block){ p, nbytes, 0 };
    d->bytes.asked += nbytes;
    d->bytes.asked_high = MAX(d->bytes.asked_high, d->bytes.asked);
    return p;
}

static void dry_release(Backend *be, void *p, size_t nbytes)
{
    Dry *d = dry_of(be);
    int  i = 0;
    while (i < d->n && d->block[i].base != p)
        i++;
    BUG_ON(i == d->n || d->block[i].size != nbytes);
    munmap(p, MAX(nbytes, 1));
    d->bytes.asked -= nbytes;
    d->bytes.resident -= backend_dry_pages(nbytes, d->block[i].used);
    d->block[i] = d->block[--d->n];
    d->last = 0;
}

static bool inside(const Block *b, const char *p) { return p >= b->base && p < b->base + b->size; }

static void touch_bytes(Backend *be, const void *from, size_t nbytes)
{
    Dry        *d = dry_of(be);
    const char *p = from;
    if (d->last >= d->n || !inside(&d->block[d->last], p))
        for (d->last = 0; d->last < d->n && !inside(&d->block[d->last], p);)
            d->last++;
    if (d->last == d->n) /* another backend's */
        return;
    Block       *b = &d->block[d->last];
    const size_t end = (size_t)(p - b->base) + nbytes;
    BUG_ON(end > b->size);
    if (end <= b->used)
        return;
    d->bytes.resident += backend_dry_pages(b->size, end) - backend_dry_pages(b->size, b->used);
    d->bytes.resident_high = MAX(d->bytes.resident_high, d->bytes.resident);
    b->used = end;
}

static void touch(Backend *be, const Tensor *t)
{
    if (t && tensor_numel(t))
        touch_bytes(be, t->data, dtype_bytes(t->dtype, (tensor_rows(t) - 1) * t->ld + tensor_cols(t)));
}

static void dry_upload(Backend *be, void *dst, const void *src, size_t nbytes)
{
    (void)src;
    if (nbytes)
        touch_bytes(be, dst, nbytes);
}

/* The most rounding up to whole cache lines, and every expert at work. */
static int32_t worst_pick(const Dry *d, int64_t i)
{
    return (int32_t)MIN(i, d->experts - 1);
}

static void dry_download(Backend *be, void *dst, const void *src, size_t nbytes)
{
    const Dry *d = dry_of(be);
    memset(dst, 0, nbytes);
    if (src != d->pick && nbytes >= sizeof(float))
        ((float *)dst)[nbytes / sizeof(float) / 2] = 1;
    for (int64_t i = 0; src == d->pick && i < d->n_pick; i++)
        ((int32_t *)dst)[i] = worst_pick(d, i);
}

static int dry_sync(Backend *be, Err *e)
{
    (void)be;
    (void)e;
    return 0;
}

static void dry_close(Backend *be)
{
    Dry *d = dry_of(be);
    BUG_ON(d->n); /* somebody kept a block */
    free(d->block);
    free(d);
}

/* ---- the kernels: what each would write ---- */

static void dry_route(Backend *be, Tensor *weight, Tensor *pick, Tensor *prob, const Tensor *logits, const RouteCfg *cfg)
{
    Dry *d = dry_of(be);
    (void)cfg;
    touch(be, weight);
    touch(be, pick);
    touch(be, prob);
    d->pick = pick->data;
    d->n_pick = tensor_numel(pick);
    d->experts = tensor_cols(logits);
}

static void dry_route_count(Backend *be, double *count, double *sum, const Tensor *pick, const Tensor *prob)
{
    (void)be;
    (void)count;
    (void)sum;
    (void)pick;
    (void)prob;
}

static double dry_sumsq(Backend *be, const Tensor *x)
{
    (void)be;
    (void)x;
    return 0;
}

static void dry_copy_rows(Backend *be, Tensor *dst, int64_t dst_row, const Tensor *src, int64_t src_row, int64_t n)
{
    (void)src;
    (void)src_row;
    if (n)
        touch_bytes(be, dst->data, dtype_bytes(dst->dtype, (dst_row + n - 1) * dst->ld + tensor_cols(dst)));
}

#pragma GCC diagnostic ignored "-Wunused-parameter"
/* The rest writes whole tensors. */
#define WRITES1(name, a, ...)       static void dry_##name(Backend *be, Tensor *a, __VA_ARGS__) { touch(be, a); }
#define WRITES2(name, a, b, ...)    static void dry_##name(Backend *be, Tensor *a, Tensor *b, __VA_ARGS__) { touch(be, a); touch(be, b); }
#define WRITES3(name, a, b, c, ...) static void dry_##name(Backend *be, Tensor *a, Tensor *b, Tensor *c, __VA_ARGS__) { touch(be, a); touch(be, b); touch(be, c); }
#define WRITES4(name, a, b, c, d, ...) \
    static void dry_##name(Backend *be, Tensor *a, Tensor *b, Tensor *c, Tensor *d, __VA_ARGS__) { touch(be, a); touch(be, b); touch(be, c); touch(be, d); }

WRITES1(fill, x, float v)
WRITES1(add, y, const Tensor *a, const Tensor *b)
WRITES1(acc, y, const Tensor *x)
WRITES1(scale, y, float f)
WRITES1(softcap, y, float cap)
WRITES1(embed, y, const Tensor *table, const Tensor *ids)
WRITES1(embed_bwd, dtable, const Tensor *dy, const Tensor *ids)
WRITES1(linear, y, const Tensor *x, const Tensor *w, const Tensor *b, float alpha, bool accumulate)
WRITES1(linear_dx, dx, const Tensor *dy, const Tensor *w, float alpha)
WRITES1(linear_pair, y, const Tensor *x, const Tensor *w, const Tensor *b, const Tensor *x2, const Tensor *w2)
WRITES1(linear_dx_pair, dx, const Tensor *dy, const Tensor *w, const Tensor *dy2, const Tensor *w2)
WRITES1(linear_dw, dw, const Tensor *dy, const Tensor *x, float alpha)
WRITES1(linear_db, db, const Tensor *dy)
WRITES2(rmsnorm, y, stat, const Tensor *x, const Tensor *w, float eps, float offset)
WRITES2(rmsnorm_bwd, dx, dw, const Tensor *dy, const Tensor *x, const Tensor *w, const Tensor *stat, float offset)
WRITES2(layernorm, y, stat, const Tensor *x, const Tensor *w, const Tensor *b, float eps)
WRITES3(layernorm_bwd, dx, dw, db, const Tensor *dy, const Tensor *x, const Tensor *w, const Tensor *stat)
WRITES1(rope, x, const Tensor *pos, const RopeTable *r, int head_dim, int sign)
WRITES2(attn, o, lse, const Tensor *q, const Tensor *k, const Tensor *v, const AttnShape *s)
WRITES3(attn_bwd, dq, dk, dv, const Tensor *dout, const Tensor *o, const Tensor *lse, const Tensor *q, const Tensor *k, const Tensor *v, const AttnShape *s)
WRITES1(attn_sinks_bwd, dsinks, const Tensor *dout, const Tensor *o, const Tensor *lse, const AttnShape *s)
WRITES1(glu, y, const Tensor *gate, const Tensor *up, ActKind a)
WRITES2(glu_bwd, dgate, dup, const Tensor *dy, const Tensor *gate, const Tensor *up, ActKind a)
WRITES1(act, y, const Tensor *x, ActKind a)
WRITES1(act_bwd, dx, const Tensor *dy, const Tensor *x, ActKind a)
WRITES2(head_logp, logp, lse, const Tensor *h, const Tensor *w, const Tensor *b, const Tensor *target, const HeadCfg *cfg)
WRITES3(head_logp_bwd, dh, dw, db, const Tensor *dlogp, const Tensor *lse, const Tensor *h, const Tensor *w, const Tensor *b, const Tensor *target, const HeadCfg *cfg)
WRITES4(head_fused, logp, dh, dw, db, const Tensor *h, const Tensor *w, const Tensor *b, const Tensor *target, const Tensor *coef, const HeadCfg *cfg)
WRITES1(route_bwd, dlogits, const Tensor *dweight, const float *aux, const Tensor *pick, const Tensor *prob, const RouteCfg *cfg)
WRITES1(combine, y, const Tensor *x, const Tensor *rows, const Tensor *weight, const Tensor *pick)
WRITES2(combine_bwd, dx, dweight, const Tensor *dy, const Tensor *x, const Tensor *rows, const Tensor *weight, const Tensor *pick)
WRITES1(gate_rows, y, const Tensor *x, const Tensor *g)
WRITES2(gate_rows_bwd, dx, dg, const Tensor *dy, const Tensor *x, const Tensor *g)

static void dry_adamw(Backend *be, Tensor *w, const Tensor *g, Tensor *m, Tensor *v, const AdamW *a, float grad_scale)
{
    touch(be, w);
    touch(be, m);
    touch(be, v);
}

static const Backend dry_table = {
    .name = "dry", .threads = 1, .host = true, .sizing = true,
    .alloc = dry_alloc, .release = dry_release, .upload = dry_upload, .download = dry_download, .sync = dry_sync, .close = dry_close,
    .fill = dry_fill, .add = dry_add, .acc = dry_acc, .scale = dry_scale, .softcap = dry_softcap,
    .embed = dry_embed, .embed_bwd = dry_embed_bwd,
    .linear = dry_linear, .linear_dx = dry_linear_dx, .linear_pair = dry_linear_pair, .linear_dx_pair = dry_linear_dx_pair,
    .linear_dw = dry_linear_dw, .linear_db = dry_linear_db,
    .rmsnorm = dry_rmsnorm, .rmsnorm_bwd = dry_rmsnorm_bwd, .layernorm = dry_layernorm, .layernorm_bwd = dry_layernorm_bwd,
    .rope = dry_rope, .attn = dry_attn, .attn_bwd = dry_attn_bwd, .attn_sinks_bwd = dry_attn_sinks_bwd,
    .glu = dry_glu, .glu_bwd = dry_glu_bwd, .act = dry_act, .act_bwd = dry_act_bwd,
    .head_logp = dry_head_logp, .head_logp_bwd = dry_head_logp_bwd, .head_fused = dry_head_fused,
    .route = dry_route, .route_bwd = dry_route_bwd, .route_count = dry_route_count, .combine = dry_combine, .combine_bwd = dry_combine_bwd,
    .gate_rows = dry_gate_rows, .gate_rows_bwd = dry_gate_rows_bwd,
    .sumsq = dry_sumsq, .adamw = dry_adamw, .copy_rows = dry_copy_rows,
};

Backend *backend_dry_open(void)
{
    Dry *d = mem_zalloc(1, sizeof *d);
    d->be = dry_table;
    return &d->be;
}

DryBytes backend_dry_bytes(const Backend *be)
{
    return ((const Dry *)be)->bytes;
}

void backend_dry_restart(Backend *be)
{
    DryBytes *b = &dry_of(be)->bytes;
    b->asked_high = b->asked;
    b->resident_high = b->resident;
}
