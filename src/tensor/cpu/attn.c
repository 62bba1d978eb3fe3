/* attn.c - attention cut into blocks for the threads; the arithmetic stands in k_attn.h.
 *
 * Forward: a piece is up to ATTN_Q lanes of one segment and kv head. With many queries the lanes are queries of one query head; with few
 * they are pairs of query and head, so that the whole group reads each key once.
 * Pieces that run at the same time should lie in different rows: heads are neighbours in a row, and a core that fetches ahead takes the lines
 * that another is writing. So heads are the slow part of a piece's number.
 * A segment with one query (decoding) is cut along its keys instead, into parts that begin at multiples of ATTN_PART; a piece is a part and kv
 * head, and what the parts bring is joined in their order (flash-decoding, Dao et al. 2023). So the bits follow from the segment alone.
 * Backward: a piece owns some key blocks of one segment and kv head, so dk and dv need no care. Every key block also adds to dq: key blocks are
 * dealt in turn to a fixed number of stripes; the first stripe adds to dq itself, each other to a copy of its own, and the copies are added in
 * order afterwards. The number of stripes follows from the shape, not from the threads: the bits stay the same. */
#include "tensor/cpu/cpu_int.h"
#include <math.h>
#include <string.h>

#define PIECES_WANTED 12 /* backward pieces, if heads and segments are few; more would mean more copies of dq */
#define STRIPES_MOST  8

typedef struct AttnJob {
    Cpu             *cpu;
    const AttnShape *s;
    Tensor          *o, *lse, *dq, *dk, *dv;
    const Tensor    *q, *k, *v, *dout, *saved_o, *saved_lse;
    const float     *sinks;         /* [H] */
    float           *dsinks;
    float           *inner;         /* [Tq, H] dout . o */
    float           *copies;        /* [stripes - 1][Tq, H d] */
    int64_t          stripes;
    int64_t          group;         /* query heads of a kv head */
    int64_t          width;         /* numbers of a head in k and v: d, made whole blocks */
    int64_t          at_once;       /* forward: heads that share a block; one when the queries fill it */
    int64_t         *first;         /* [n_seg + 1] forward: a segment's first block of those of one set of heads */
    int64_t         *part;          /* [n_seg + 1] forward: a segment's first part of those of one head */
    float           *parts;         /* [parts][H (d + 2)] forward: sums of all heads, their tops, the sums of their exponentials */
} AttnJob;

/* Vector operations of a whole call, forward; the backward is about 2.5 times as much. */
static int64_t attn_work(const AttnJob *j)
{
    const AttnShape *s = j->s;
    int64_t pairs = 0;
    for (int i = 0; i < s->n_seg; i++)
        pairs += (int64_t)s->nq[i] * (s->window ? MIN(s->window, s->nk[i]) : s->nk[i] - s->nq[i] / 2);
    return pairs * s->heads * (2 * s->head_dim + 16) / j->cpu->kern->vw;
}

/* ---- forward ---- */

/* The segment whose pieces, numbered from first[segment] on, hold this one. */
static int segment_of(const int64_t *first, int n, int64_t piece)
{
    int seg = 0;
    while (n - seg > 1) {
        int middle = seg + (n - seg) / 2;
        *(first[middle] <= piece ? &seg : &n) = middle;
    }
    return seg;
}

static void piece_attn(void *ctx, int64_t piece, int worker)
{
    const AttnJob *j = ctx;
    const AttnShape *s = j->s;
    int64_t blocks = j->first[s->n_seg], runs = (j->group + j->at_once - 1) / j->at_once, d = s->head_dim;
    int64_t set = piece / blocks, g = set / runs, h0 = set % runs * j->at_once, queries = ATTN_Q / j->at_once;
    piece %= blocks;
    int seg = segment_of(j->first, s->n_seg, piece);
    int64_t i0 = (j->first[seg + 1] - 1 - piece) * queries, i1 = MIN(i0 + queries, s->nq[seg]); /* the last queries see most: they go first */

    AttnBlock b = { .d = s->head_dim, .window = s->window, .scale = s->scale, .softcap = s->softcap, .with_sinks = s->sinks != NULL, .ldk = j->k->ld, .ldv = j->v->ld,
                    .kv_type = j->k->dtype,
                    .k = elem_at(j->k, s->k0[seg] * j->k->ld + g * j->width), .v = elem_at(j->v, s->k0[seg] * j->v->ld + g * j->width) };
    for (int64_t h = g * j->group + h0; h < g * j->group + MIN(h0 + j->at_once, j->group); h++)
        for (int64_t i = i0; i < i1; i++, b.n++) {
            int64_t row = s->q0[seg] + i;
            b.q[b.n] = f32(j->q) + row * j->q->ld + h * d;
            b.o[b.n] = f32(j->o) + row * j->o->ld + h * d;
            b.lse[b.n] = j->lse ? f32(j->lse) + row * j->lse->ld + h : NULL;
            b.pos[b.n] = (int32_t)(s->nk[seg] - s->nq[seg] + i);
            b.sink[b.n] = j->sinks ? j->sinks[h] : 0.0f;
        }
    b.last = (int32_t)(s->nk[seg] - s->nq[seg] + i1 - 1);
    b.first = s->window ? (int32_t)MAX(0, s->nk[seg] - s->nq[seg] + i0 - s->window + 1) : 0;
    j->cpu->kern->attn(&b, cpu_worker(j->cpu, worker));
}

/* The first key that a segment's only query sees. */
static int64_t alone_first(const AttnShape *s, int seg)
{
    return s->window ? MAX(0, s->nk[seg] - s->window) : 0;
}

static void piece_part(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    const AttnJob *j = ctx;
    const AttnShape *s = j->s;
    int64_t d = s->head_dim, part = piece / s->kv_heads, g = piece % s->kv_heads, h = g * j->group;
    int seg = segment_of(j->part, s->n_seg, part);
    int64_t at = (alone_first(s, seg) / ATTN_PART + part - j->part[seg]) * ATTN_PART, key = MAX(at, alone_first(s, seg)), row = s->k0[seg] + key;
    float *to = j->parts + part * s->heads * (d + 2), *tops = to + s->heads * d;
    AttnPart p = { .heads = (int)j->group, .d = s->head_dim, .q = f32(j->q) + s->q0[seg] * j->q->ld + h * d, .kv_type = j->k->dtype,
                   .k = elem_at(j->k, row * j->k->ld + g * j->width), .ldk = j->k->ld, .v = elem_at(j->v, row * j->v->ld + g * j->width), .ldv = j->v->ld,
                   .keys = MIN(at + ATTN_PART, s->nk[seg]) - key, .scale = s->scale, .softcap = s->softcap,
                   .out = to + h * d, .top = tops + h, .sum = tops + s->heads + h };
    j->cpu->kern->attn_part(&p);
}

/* Joins the parts of a segment, head by head, and the sink, one more score without a value. */
static void piece_join(void *ctx, int64_t seg, int worker)
{
    (void)worker;
    const AttnJob *j = ctx;
    const AttnShape *s = j->s;
    int64_t H = s->heads, d = s->head_dim, each = H * (d + 2), n = j->part[seg + 1] - j->part[seg];
    for (int64_t h = 0; n && h < H; h++) {
        const float *out = j->parts + j->part[seg] * each + h * d, *top = j->parts + j->part[seg] * each + H * d + h, *sum = top + H;
        float *o = f32(j->o) + s->q0[seg] * j->o->ld + h * d, high = j->sinks ? j->sinks[h] : -INFINITY, total;
        for (int64_t i = 0; i < n; i++)
            high = MAX(high, top[i * each]);
        total = j->sinks ? expf(j->sinks[h] - high) : 0;
        for (int64_t i = 0; i < n; i++)
            total += expf(top[i * each] - high) * sum[i * each];
        memset(o, 0, (size_t)d * sizeof *o);
        for (int64_t i = 0; i < n; i++)
            j->cpu->kern->axpy(d, o, expf(top[i * each] - high) / total, out + i * each);
        if (j->lse)
            f32(j->lse)[s->q0[seg] * j->lse->ld + h] = (float)((double)high + log((double)total));
    }
}

void cpu_attn(Backend *be, Tensor *o, Tensor *lse, const Tensor *q, const Tensor *k, const Tensor *v, const AttnShape *s)
{
    Cpu *c = cpu_of(be);
    AttnJob j = { .cpu = c, .s = s, .o = o, .lse = lse, .q = q, .k = k, .v = v, .group = s->heads / s->kv_heads,
                  .width = dtype_whole(k->dtype, s->head_dim) };
    BUG_ON(s->heads % s->kv_heads || k->dtype != v->dtype || (k->dtype != DT_F32 && k->dtype != DT_F16 && k->dtype != DT_Q8_0));
    j.sinks = cpu_wide(c, SLOT_WIDE, s->sinks);
    j.first = cpu_slot(c, SLOT_ROWS, 2 * ((size_t)s->n_seg + 1) * sizeof *j.first);
    if (!cpu_workers(c, c->kern->attn_scratch(s->head_dim)) || (s->sinks && !j.sinks) || !j.first)
        return;
    int64_t longest = 1, sets;
    for (int i = 0; i < s->n_seg; i++) {
        BUG_ON(s->nk[i] < s->nq[i]);
        longest = MAX(longest, s->nq[i]);
    }
    j.at_once = MAX(1, MIN(j.group, ATTN_Q / longest));
    j.part = j.first + s->n_seg + 1;
    j.first[0] = j.part[0] = 0;
    for (int i = 0; i < s->n_seg; i++) {
        bool alone = s->nq[i] == 1;
        j.first[i + 1] = j.first[i] + (alone ? 0 : (s->nq[i] + ATTN_Q / j.at_once - 1) / (ATTN_Q / j.at_once));
        j.part[i + 1] = j.part[i] + (alone ? (s->nk[i] - 1) / ATTN_PART - alone_first(s, i) / ATTN_PART + 1 : 0);
    }
    j.parts = cpu_slot(c, SLOT_SUMS, (size_t)(j.part[s->n_seg] * s->heads * (s->head_dim + 2)) * sizeof *j.parts);
    if (!j.parts)
        return;
    sets = (j.group + j.at_once - 1) / j.at_once * s->kv_heads;
    cpu_for(c, sets * j.first[s->n_seg], attn_work(&j), piece_attn, &j);
    cpu_for(c, s->kv_heads * j.part[s->n_seg], attn_work(&j), piece_part, &j);
    cpu_for(c, s->n_seg, j.part[s->n_seg] * s->heads * s->head_dim / c->kern->vw, piece_join, &j);
}

/* ---- backward ---- */

static void piece_inner(void *ctx, int64_t row, int worker)
{
    (void)worker;
    const AttnJob *j = ctx;
    int64_t d = j->s->head_dim, H = j->s->heads;
    for (int64_t h = 0; h < H; h++)
        j->inner[row * H + h] = j->cpu->kern->dot(d, f32(j->dout) + row * j->dout->ld + h * d, f32(j->saved_o) + row * j->saved_o->ld + h * d);
}

static void piece_attn_bwd(void *ctx, int64_t piece, int worker)
{
    const AttnJob *j = ctx;
    const AttnShape *s = j->s;
    int64_t d = s->head_dim, H = s->heads, width = H * d;
    int64_t seg = piece % s->n_seg, stripe = piece / s->n_seg % j->stripes, g = piece / s->n_seg / j->stripes;
    int64_t q0 = s->q0[seg], k0 = s->k0[seg], first_head = g * j->group;

    float *dq = j->dq ? f32(j->dq) + q0 * j->dq->ld + first_head * d : NULL;
    int64_t lddq = j->dq ? j->dq->ld : 0;
    if (dq && stripe > 0) {
        dq = j->copies + ((stripe - 1) * tensor_rows(j->q) + q0) * width + first_head * d;
        lddq = width;
        for (int64_t i = 0; i < s->nq[seg]; i++)
            memset(dq + i * lddq, 0, (size_t)(j->group * d) * sizeof(float));
    }
    AttnBwdBlock b = {
        .d = s->head_dim, .heads = (int)j->group, .nq = s->nq[seg], .shift = s->nk[seg] - s->nq[seg], .window = s->window,
        .scale = s->scale, .softcap = s->softcap,
        .k = f32(j->k) + k0 * j->k->ld + g * d, .ldk = j->k->ld, .v = f32(j->v) + k0 * j->v->ld + g * d, .ldv = j->v->ld,
        .q = f32(j->q) + q0 * j->q->ld + first_head * d, .ldq = j->q->ld,
        .dout = f32(j->dout) + q0 * j->dout->ld + first_head * d, .ldo = j->dout->ld,
        .lse = f32(j->saved_lse) + q0 * j->saved_lse->ld + first_head, .ldl = j->saved_lse->ld,
        .inner = j->inner + q0 * H + first_head, .ldi = H,
        .dq = dq, .lddq = lddq,
        .dk = j->dk ? f32(j->dk) + k0 * j->dk->ld + g * d : NULL, .lddk = j->dk ? j->dk->ld : 0,
        .dv = j->dv ? f32(j->dv) + k0 * j->dv->ld + g * d : NULL, .lddv = j->dv ? j->dv->ld : 0,
    };
    for (int64_t key = stripe * ATTN_K; key < s->nk[seg]; key += j->stripes * ATTN_K) {
        b.key0 = (int32_t)key;
        b.n_keys = (int32_t)MIN(ATTN_K, s->nk[seg] - key);
        j->cpu->kern->attn_bwd(&b, cpu_worker(j->cpu, worker));
    }
}

static void piece_add_copies(void *ctx, int64_t row, int worker)
{
    (void)worker;
    const AttnJob *j = ctx;
    int64_t width = (int64_t)j->s->heads * j->s->head_dim, rows = tensor_rows(j->q);
    for (int64_t i = 0; i < j->stripes - 1; i++)
        j->cpu->kern->axpy(width, f32(j->dq) + row * j->dq->ld, 1.0f, j->copies + (i * rows + row) * width);
}

void cpu_attn_bwd(Backend *be, Tensor *dq, Tensor *dk, Tensor *dv, const Tensor *dout, const Tensor *o, const Tensor *lse, const Tensor *q,
                  const Tensor *k, const Tensor *v, const AttnShape *s)
{
    Cpu *c = cpu_of(be);
    AttnJob j = { .cpu = c, .s = s, .dq = dq, .dk = dk, .dv = dv, .dout = dout, .saved_o = o, .saved_lse = lse, .q = q, .k = k, .v = v,
                  .group = s->heads / s->kv_heads };
    int64_t rows = tensor_rows(q), width = (int64_t)s->heads * s->head_dim, longest = 0;
    for (int i = 0; i < s->n_seg; i++)
        longest = MAX(longest, s->nk[i]);
    if (rows == 0 || longest == 0)
        return;
    j.stripes = (PIECES_WANTED + s->n_seg * s->kv_heads - 1) / (s->n_seg * s->kv_heads);
    j.stripes = MIN(MIN(j.stripes, STRIPES_MOST), (longest + ATTN_K - 1) / ATTN_K);

    j.inner = cpu_slot(c, SLOT_ROWS, (size_t)(rows * s->heads) * sizeof(float));
    j.copies = cpu_slot(c, SLOT_SUMS, (size_t)((dq ? j.stripes - 1 : 0) * rows * width) * sizeof(float));
    if (!j.inner || !j.copies || !cpu_workers(c, c->kern->attn_scratch(s->head_dim)))
        return;
    cpu_for(c, rows, rows * width / c->kern->vw * 2, piece_inner, &j);
    cpu_for(c, s->n_seg * s->kv_heads * j.stripes, attn_work(&j) * 5 / 2, piece_attn_bwd, &j);
    if (dq && j.stripes > 1)
        cpu_for(c, rows, rows * width / c->kern->vw * j.stripes, piece_add_copies, &j);
}

/* The sink is a score without a value: its probability times (0 - dout . o). A piece is a head. */
static void piece_sink(void *ctx, int64_t h, int worker)
{
    (void)worker;
    const AttnJob *j = ctx;
    int64_t d = j->s->head_dim;
    double sum = 0;
    for (int64_t row = 0; row < tensor_rows(j->saved_o); row++) {
        float inner = j->cpu->kern->dot(d, f32(j->dout) + row * j->dout->ld + h * d, f32(j->saved_o) + row * j->saved_o->ld + h * d);
        sum -= exp((double)j->sinks[h] - (double)f32(j->saved_lse)[row * j->saved_lse->ld + h]) * (double)inner;
    }
    j->dsinks[h] += (float)sum;
}

void cpu_attn_sinks_bwd(Backend *be, Tensor *dsinks, const Tensor *dout, const Tensor *o, const Tensor *lse, const AttnShape *s)
{
    Cpu *c = cpu_of(be);
    AttnJob j = { .cpu = c, .s = s, .dsinks = f32(dsinks), .dout = dout, .saved_o = o, .saved_lse = lse };
    j.sinks = cpu_wide(c, SLOT_WIDE, s->sinks);
    if (j.sinks)
        cpu_for(c, s->heads, tensor_numel(o) / c->kern->vw * 4, piece_sink, &j);
}
