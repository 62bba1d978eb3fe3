/* attn_plan.cu - what both directions of attention do before their own kernels: the plan of the work, on the host, and the rounded copies that the matrix units read.
 * The plan is made anew for each call: some thousand items at most, made while the card is busy with what was launched before. */
#include "tensor/cuda/attn.cuh"

extern "C" {
#include "base/mem.h"
}
#include <stdlib.h>

/* ---- the plan ---- */

int attn_width(int d)
{
    static const int widths[] = { ATTN_WIDTHS };
    for (size_t i = 0; i < ARRAY_LEN(widths); i++)
        if (d <= widths[i])
            return widths[i];
    return 0;
}

void attn_plan_init(AttnPlan *p, const AttnShape *s, bool few)
{
    *p = AttnPlan();
    p->s = s;
    p->seg = (AttnSeg *)mem_zalloc((size_t)s->n_seg + 1, sizeof *p->seg);
    int64_t rows = 0; /* of partial results */
    int longest = 0;
    for (int i = 0; i < s->n_seg; i++)
        longest = MAX(longest, s->nk[i]);
    p->window = s->window < longest ? s->window : 0;
    for (int i = 0; i < s->n_seg; i++) {
        AttnSeg *g = &p->seg[i];
        BUG_ON(s->nk[i] < s->nq[i]);
        g->q0 = s->q0[i];
        g->nq = s->nq[i];
        g->k0 = s->k0[i];
        g->nk = s->nk[i];
        g->q_at = g->k_at = -1;
        if (few && g->nq > 0 && g->nq <= ATTN_FEW && g->nk > g->nq) {
            const int seen = p->window ? MAX(0, g->nk - g->nq - p->window + 1) : 0; /* the first key of the first query */
            g->part_keys = FEW_CHUNK * ((g->nk + FEW_CHUNK * FEW_PARTS - 1) / (FEW_CHUNK * FEW_PARTS));
            g->part0 = seen / g->part_keys;
            g->parts = (g->nk - 1) / g->part_keys - g->part0 + 1;
            g->part_at = (int32_t)rows;
            rows += (int64_t)g->parts * g->nq * s->heads;
        } else if (g->nq > 0) {
            g->q_at = (int32_t)p->q_rows;
            g->k_at = (int32_t)p->k_rows;
            p->q_rows += g->nq;
            p->k_rows += g->nk;
        }
    }
    BUG_ON(rows > INT32_MAX);
    p->seg[s->n_seg].part_at = (int32_t)rows;
}

static AttnItem *plan_add(AttnPlan *p)
{
    if (p->n_item == p->room) {
        p->room = MAX(64, 2 * p->room);
        p->item = (AttnItem *)mem_realloc(p->item, (size_t)p->room, sizeof *p->item);
    }
    return &p->item[p->n_item++];
}

/* The longest first, so that the last blocks are short; equal ones in their order. */
static int longer(const void *a, const void *b)
{
    const AttnItem *x = (const AttnItem *)a, *y = (const AttnItem *)b;
    if (x->meets != y->meets)
        return x->meets > y->meets ? -1 : 1;
    if (x->seg != y->seg)
        return x->seg < y->seg ? -1 : 1;
    return x->first < y->first ? -1 : x->first > y->first;
}

AttnList attn_plan_cut(AttnPlan *p, AttnCut what, int tile)
{
    const bool queries = what == ATTN_QUERIES || what == ATTN_QUERY_ROWS;
    AttnList list = { p->n_item, 0 };
    for (int i = 0; i < p->s->n_seg; i++) {
        const AttnSeg *g = &p->seg[i];
        const int n = g->q_at < 0 ? 0 : queries ? g->nq : g->nk, shift = g->nk - g->nq, window = p->window;
        for (int first = 0; first < n; first += tile) {
            const int end = MIN(first + tile, n);
            int meets = 1;
            if (what == ATTN_QUERIES)
                meets = shift + end - (window ? MAX(0, shift + first - window + 1) : 0);
            else if (what == ATTN_KEYS)
                meets = (window ? MIN(g->nq, end - 1 + window - shift) : g->nq) - MAX(0, first - shift);
            else if (what == ATTN_KEY_ROWS && window)
                meets = end - (shift - window + 1);
            if (meets <= 0) /* keys that have left the window of every query */
                continue;
            AttnItem *t = plan_add(p);
            *t = AttnItem();
            t->seg = i;
            t->first = first;
            t->meets = meets;
        }
    }
    list.n = p->n_item - list.first;
    if (list.n && (what == ATTN_QUERIES || what == ATTN_KEYS))
        qsort(p->item + list.first, (size_t)list.n, sizeof *p->item, longer);
    return list;
}

/* Items of the parts, and of each query whose parts are to be joined. */
AttnList attn_plan_parts(AttnPlan *p)
{
    AttnList list = { p->n_item, 0 };
    const int group = p->s->heads / p->s->kv_heads;
    for (int i = 0; i < p->s->n_seg; i++)
        for (int part = 0; part < p->seg[i].parts; part++)
            for (int run = 0; run * FEW_PAIRS < p->seg[i].nq * group; run++) {
                AttnItem *t = plan_add(p);
                t->seg = i;
                t->first = (p->seg[i].part0 + part) * p->seg[i].part_keys;
                t->run = run;
                t->meets = part;
            }
    list.n = p->n_item - list.first;
    return list;
}

AttnList attn_plan_few(AttnPlan *p)
{
    AttnList list = { p->n_item, 0 };
    for (int i = 0; i < p->s->n_seg; i++)
        for (int row = 0; p->seg[i].parts && row < p->seg[i].nq; row++) {
            AttnItem *t = plan_add(p);
            *t = AttnItem();
            t->seg = i;
            t->first = row;
        }
    list.n = p->n_item - list.first;
    return list;
}

bool attn_plan_stage(Cuda *c, AttnPlan *p)
{
    p->seg_at = (const AttnSeg *)cuda_stage(c, p->seg, ((size_t)p->s->n_seg + 1) * sizeof *p->seg);
    p->item_at = p->n_item ? (const AttnItem *)cuda_stage(c, p->item, (size_t)p->n_item * sizeof *p->item) : NULL;
    return cuda_ok(c);
}

void attn_plan_release(AttnPlan *p)
{
    free(p->seg);
    free(p->item);
}

AttnRead attn_read_of(const Tensor *t, int heads, int d)
{
    AttnRead r = AttnRead();
    r.p = (const unsigned char *)t->data;
    r.step = (int64_t)dtype_bytes(t->dtype, t->ld);
    r.head = (int64_t)dtype_bytes(t->dtype, dtype_whole(t->dtype, d));
    r.type = t->dtype;
    const uintptr_t all = (uintptr_t)t->data | (uintptr_t)r.step | (uintptr_t)(heads > 1 ? r.head : 0);
    r.wide = d % 4 == 0 && (t->dtype == DT_F32 ? all % 16 == 0 : t->dtype == DT_F16 && all % 8 == 0);
    return r;
}

/* ---- the rounded copies ----
 * 4 bytes read and 2 written for each number (F32), with inner 8 and 2: memory; bar 85 % of the copy rate. A warp is a row of a head. */

template <int TYPE> __global__ static __launch_bounds__(256) void attn_round_rows(AttnRound a)
{
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    const AttnItem item = a.item[blockIdx.x / (unsigned)a.heads];
    const AttnSeg seg = a.seg[item.seg];
    const int h = (int)(blockIdx.x % (unsigned)a.heads);
    const int n = min(ATTN_ROWS, (a.keys ? seg.nk : seg.nq) - item.first);
    for (int r = warp; r < n; r += 8) {
        const int64_t row = (int64_t)(a.keys ? seg.k0 : seg.q0) + item.first + r;
        const unsigned char *from = a.from.p + row * a.from.step + h * a.from.head;
        uint16_t *to = a.to ? a.to + h * a.plane + ((int64_t)(a.keys ? seg.k_at : seg.q_at) + item.first + r) * a.width : NULL;
        float sum = 0.0f;
        for (int c = lane * 4; c < a.width; c += 128) {
            float4 v = attn_quad<TYPE>(from, c, a.d, a.from.wide);
            if (to) {
                const uint2 two = make_uint2(bf16_pair(v.x, v.y), bf16_pair(v.z, v.w));
                *(uint2 *)(to + c) = two;
                v = make_float4(__uint_as_float(two.x << 16), __uint_as_float(two.x & 0xffff0000u), __uint_as_float(two.y << 16), __uint_as_float(two.y & 0xffff0000u));
            }
            if (a.inner) {
                const float4 o = attn_quad<DT_F32>(a.o.p + row * a.o.step + h * a.o.head, c, a.d, a.o.wide);
                sum = fmaf(v.x, o.x, fmaf(v.y, o.y, fmaf(v.z, o.z, fmaf(v.w, o.w, sum))));
            }
        }
        if (a.inner) {
            for (int bit = 16; bit > 0; bit /= 2)
                sum += __shfl_xor_sync(0xffffffffu, sum, bit);
            if (lane == 0)
                a.inner[row * a.heads + h] = sum;
        }
    }
}

template <int TYPE> static void round_rows(Cuda *c, const AttnRound *r, int64_t items)
{
    void (*const attn_round_rows)(AttnRound) = ::attn_round_rows<TYPE>;
    CUDA_LAUNCH(c, (unsigned)(items * r->heads), 256, 0, attn_round_rows, *r);
}

void attn_round(Cuda *c, const AttnRound *r, int64_t items)
{
    if (!items || !cuda_ok(c))
        return;
    switch (r->from.type) {
    case DT_F32: round_rows<DT_F32>(c, r, items); break;
    case DT_F16: round_rows<DT_F16>(c, r, items); break;
    default:     round_rows<DT_Q8_0>(c, r, items); break;
    }
}
