/* k_attn.h - one block of attention, forward and backward, without a T x T matrix (Dao et al. 2022). Part of kern_body.h.
 *
 * Forward: lanes are queries. The scores stand transposed, [key][lane], so that maximum, exponential and sum over keys need no sums across a
 * vector, and the probabilities are already the packed operand of the product with v. Running maximum and sum as in the paper's algorithm 1.
 * A query alone (decoding) has its own loops, below.
 * Backward: lanes are keys; probabilities come back from the saved log-sum-exp (algorithm 4).
 * Invariants: key blocks start at multiples of ATTN_K in the segment, masked scores give an exact 0, so a lane's result does not depend on
 * the other lanes. Rows that are not whole vectors, or whose distance makes them collide in the cache, are copied into padded scratch. */
#ifndef HONE_CPU_K_ATTN_H
#define HONE_CPU_K_ATTN_H

#include "tensor/cpu/k_gemm.h"
#include "tensor/cpu/k_math.h"

static const Epi epi_store = { .alpha = 1.0f, .load = false }, epi_add = { .alpha = 1.0f, .load = true };

static int64_t attn_pad(int d)
{
    return (d + VW - 1) / VW * VW;
}

static size_t attn_scratch(int d)
{
    int64_t dp = attn_pad(d), rows = 64 * dp, square = 64 * 64;
    _Static_assert(ATTN_Q == 64 && ATTN_K == 64 && ATTN_BWD_Q == 64, "the sizes above");
    return (size_t)(7 * rows + 2 * square) * sizeof(float);
}

/* n rows of d numbers, ld apart, each readable in whole vectors. */
typedef struct Rows { const float *p; int64_t ld; } Rows;

/* dst[dp] = f * src[d], zeros behind */
VINLINE void attn_copy(float *dst, const float *src, int64_t d, int64_t dp, float f)
{
    for (int64_t i = 0; i < dp; i += VW)
        vstore(dst + i, f * vget(src + i, d - i));
}

/* The rows where they lie, if that serves; else a copy in `room` [n, dp]. */
VINLINE Rows attn_take(float *room, const float *src, int64_t ld, int64_t n, int64_t d, int64_t dp)
{
    if (d == dp && ld % 1024) /* rows 4 KiB apart fall on the same few places of the first cache */
        return (Rows){ src, ld };
    for (int64_t r = 0; r < n; r++)
        attn_copy(room + r * dp, src + r * ld, d, dp, 1.0f);
    return (Rows){ room, dp };
}

/* c[h, d] += or = over k of a(i, kk) times row kk of b, in tiles of NR columns; a lies by columns or by rows, as in the tiles */
VINLINE void attn_cols(int64_t h, int64_t d, int64_t k, const float *a, int64_t lda, const float *b, int64_t ldb, float *c, int64_t ldc, const Epi *e)
{
    for (int64_t j = 0; j < d; j += NR)
        tile_cols(h, MIN(d - j, NR), k, a, lda, b + j, ldb, c + j, ldc, e);
}

VINLINE void attn_rows(int64_t h, int64_t d, int64_t k, const float *a, int64_t lda, const float *b, int64_t ldb, float *c, int64_t ldc, const Epi *e)
{
    for (int64_t j = 0; j < d; j += NR)
        tile_rows(h, MIN(d - j, NR), k, a, lda, b + j, ldb, c + j, ldc, e);
}

/* A head's part of rows of a stored type: row r begins r * step bytes behind p. */
typedef struct StoredRows { const char *p; int64_t step; size_t bytes; } StoredRows;

static StoredRows attn_stored(DType type, const void *p, int64_t ld, int64_t d)
{
    return (StoredRows){ p, (int64_t)dtype_bytes(type, ld), dtype_bytes(type, dtype_whole(type, d)) };
}

/* Asks for n rows that will be used soon: a head's slices of rows lie too far apart for the processor to foresee them. */
VINLINE void attn_fetch(StoredRows rows, int64_t first, int64_t n)
{
    for (int64_t r = first; r < first + n; r++)
        for (size_t i = 0; i < rows.bytes; i += KERN_ALIGN)
            __builtin_prefetch(rows.p + r * rows.step + i);
}

/* Numbers [at, at + n) of a row; of a blocked type, whose blocks are runs, the whole run. Zeros behind n or the run. */
VINLINE void attn_read(DType type, vf x[RUN_VECS], const char *row, int64_t at, int64_t n)
{
    if (type == DT_Q8_0) { /* an F16 scale and RUN whole numbers */
        const char *block = row + at / RUN * (2 + RUN);
        vf scale = vset(vload_half((const uint16_t *)(const void *)block, DT_F16)[0]);
#pragma GCC unroll 8
        for (int v = 0; v < RUN_VECS; v++)
            x[v] = vload_int8((const int8_t *)block + 2 + v * VW) * scale;
    } else {
#pragma GCC unroll 8
        for (int v = 0; v < RUN_VECS; v++)
            x[v] = vget_as(row, at + v * VW, n - v * VW, type);
    }
}

/* attn_take of rows from `first` on, of any type of a cache. */
VINLINE Rows attn_take_as(DType type, float *room, StoredRows rows, int64_t first, int64_t n, int64_t d, int64_t dp)
{
    const char *row = rows.p + first * rows.step;
    if (type == DT_F32)
        return attn_take(room, (const float *)(const void *)row, rows.step / (int64_t)sizeof(float), n, d, dp);
    for (int64_t r = 0; r < n; r++, row += rows.step)
        for (int64_t at = 0; at < d; at += RUN) {
            vf x[RUN_VECS];
            attn_read(type, x, row, at, d - at);
            for (int v = 0; v < RUN_VECS && at + v * VW < dp; v++)
                vstore(room + r * dp + at + v * VW, x[v]);
        }
    return (Rows){ room, dp };
}

/* ---- forward ---- */

/* The scores st [seen][ATTN_Q] of VW lanes against keys j .. j + seen become exp(score - top); their running maximum and sum go on. */
VINLINE void attn_softmax(const AttnBlock *b, const int32_t *pos, int64_t j, int64_t seen, bool masked, float *st, float *top, float *sum, float *shrink)
{
    vf old = vload(top), high = old;
    for (int64_t r = 0; r < seen; r++) {
        vf s = vload(st + r * ATTN_Q);
        if (b->softcap > 0)
            s = b->softcap * vtanh(s * (1.0f / b->softcap));
        if (masked) {
            vi ahead = *(const viu *)pos - (int32_t)(j + r);
            vi see = b->window ? (ahead >= 0) & (ahead < b->window) : ahead >= 0;
            s = vsel(see, s, vset(-INFINITY));
        }
        if (masked || b->softcap > 0)
            vstore(st + r * ATTN_Q, s);
        high = vmax(s, high);
    }
    vf base = vsel(high == -INFINITY, (vf){ 0 }, high), total = { 0 };
    for (int64_t r = 0; r < seen; r++) {
        vf e = vexp(vload(st + r * ATTN_Q) - base);
        vstore(st + r * ATTN_Q, e);
        total += e;
    }
    vf fade = vexp(old - base);
    vstore(top, high);
    vstore(sum, vfma(vload(sum), fade, total));
    vstore(shrink, fade);
}

static void attn(const AttnBlock *b, void *scratch)
{
    int64_t d = b->d, dp = attn_pad(b->d);
    float *kb = scratch, *vb = kb + ATTN_K * dp, *qb = vb + ATTN_K * dp, *out = qb + ATTN_Q * dp;
    float *qt = out + ATTN_Q * dp, *st = qt + ATTN_Q * dp;          /* qt [d][ATTN_Q]; st [ATTN_K][ATTN_Q] */
    float top[ATTN_Q], sum[ATTN_Q], shrink[ATTN_Q];
    int32_t pos[ATTN_Q], least[ATTN_Q / VW], most[ATTN_Q / VW];     /* of each vector of lanes */

    int64_t j = b->first, keys = MIN(j / ATTN_K * ATTN_K + ATTN_K, (int64_t)b->last + 1) - j;
    StoredRows all_k = attn_stored(b->kv_type, b->k, b->ldk, d), all_v = attn_stored(b->kv_type, b->v, b->ldv, d);
    attn_fetch(all_k, j, keys);
    attn_fetch(all_v, j, keys);
    for (int l = 0; l < b->n; l++) {
        attn_fetch((StoredRows){ .p = (const char *)b->o[l], .bytes = (size_t)d * sizeof(float) }, 0, 1);
        attn_copy(qb + l * dp, b->q[l], d, dp, b->scale);
    }
    pack_rows_F32(qt, ATTN_Q, qb, dp, b->n, d);
    for (int l = 0; l < ATTN_Q; l++) {
        pos[l] = l < b->n ? b->pos[l] : b->first; /* idle lanes see a key, so that nothing is divided by 0 */
        top[l] = -INFINITY;
        sum[l] = 0;
        least[l / VW] = l % VW ? MIN(least[l / VW], pos[l]) : pos[l];
        most[l / VW] = l % VW ? MAX(most[l / VW], pos[l]) : pos[l];
    }

    for (bool first = true; j <= b->last; j += keys, first = false) {
        keys = MIN(j / ATTN_K * ATTN_K + ATTN_K, (int64_t)b->last + 1) - j;
        int64_t next = MIN(ATTN_K, b->last + 1 - (j + keys));
        attn_fetch(all_k, j + keys, next);
        attn_fetch(all_v, j + keys, next);
        Rows k = attn_take_as(b->kv_type, kb, all_k, j, keys, d, dp), v = attn_take_as(b->kv_type, vb, all_v, j, keys, d, dp);
        for (int64_t p = 0; p < b->n; p += NR) {
            /* keys that some lane of the first and of the second vector sees, counted from j */
            int64_t lanes = MIN(b->n - p, NR), seen0 = MIN(keys, most[p / VW] - j + 1), seen1 = lanes > VW ? MIN(keys, most[p / VW + 1] - j + 1) : 0;
            int64_t seen = MAX(MAX(seen0, seen1), 0);
            if (!seen && !first)
                continue;
            for (int64_t r = 0; r < seen; r += MR_ROWS) {
                int64_t from = r < seen0 ? 0 : VW, to = r < seen1 ? NR : VW;
                tile_rows(MIN(seen - r, MR_ROWS), to - from, d, k.p + r * k.ld, k.ld, qt + p + from, ATTN_Q, st + r * ATTN_Q + p + from, ATTN_Q, &epi_store);
            }
            for (int64_t l = p; l < p + lanes; l += VW) {
                int64_t own = MAX(l == p ? seen0 : seen1, 0);
                bool masked = least[l / VW] < j + own - 1 || (b->window && most[l / VW] - j >= b->window);
                attn_softmax(b, pos + l, j, own, masked, st + l, top + l, sum + l, shrink + l);
                for (int64_t r = own; r < seen; r++)
                    vstore(st + r * ATTN_Q + l, (vf){ 0 });
            }
            if (!first)
                for (int64_t l = p; l < p + lanes; l++)
                    if (shrink[l] != 1.0f)
                        for (int64_t i = 0; i < dp; i += VW)
                            vstore(out + l * dp + i, vload(out + l * dp + i) * shrink[l]);
            /* equal groups of lanes, each of at most MR */
            int64_t groups = (lanes + MR - 1) / MR;
            for (int64_t g = 0; g < groups; g++) {
                int64_t l = p + g * lanes / groups, end = p + (g + 1) * lanes / groups, own = 0;
                for (int64_t i = l; i < end; i++)
                    own = MAX(own, MIN(seen, pos[i] - j + 1));
                if (own || first)
                    attn_cols(end - l, d, own, st + l, ATTN_Q, v.p, v.ld, out + l * dp, dp, first ? &epi_store : &epi_add);
            }
        }
    }
    for (int l = 0; l < b->n; l++) {
        if (b->with_sinks) { /* one more score, without a value */
            float high = b->sink[l] > top[l] ? b->sink[l] : top[l], fade = expf(top[l] - high);
            sum[l] = sum[l] * fade + expf(b->sink[l] - high);
            top[l] = high;
            for (int64_t i = 0; i < dp; i += VW)
                vstore(out + l * dp + i, vload(out + l * dp + i) * fade);
        }
        for (int64_t i = 0; i < d; i += VW)
            vput(b->o[l] + i, vget(out + l * dp + i, d - i) / sum[l], d - i);
        if (b->lse[l])
            *b->lse[l] = (float)((double)top[l] + log((double)sum[l]));
    }
}

/* ---- forward of a query alone ----
 *
 * It sees every key of its part, so nothing is masked, and each key and value is needed once: what counts is that memory never waits. Numbers become
 * f32 in registers, for as many heads as have room there. While keys are scored their values are asked for, and while those are added the keys
 * that follow: into the second cache, since rows of a power of two fall on few places of the first. */

#define PART_HEADS (VW / 4) /* at once: 4, 2, 1; four keys or one run of each have their sums in registers */
#define PART_KEYS  32       /* between two looks at the running maximum */

VINLINE void part_fetch(StoredRows rows, int64_t r)
{
    for (size_t i = 0; i < rows.bytes; i += KERN_ALIGN)
        __builtin_prefetch(rows.p + r * rows.step + i, 0, 2);
}

/* acc[h][r] += q of head h times row r, over numbers [at, at + n) */
VINLINE void part_dots(DType type, int heads, vf acc[][4], const float *q, int64_t d, const char *const row[4], int64_t at, int64_t n)
{
    vf x[4][RUN_VECS];
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++)
        attn_read(type, x[r], row[r], at, n);
#pragma GCC unroll 4
    for (int h = 0; h < heads; h++)
#pragma GCC unroll 8
        for (int v = 0; v < RUN_VECS; v++) {
            vf qv = vget(q + h * d + at + v * VW, n - v * VW);
#pragma GCC unroll 4
            for (int r = 0; r < 4; r++)
                acc[h][r] = vfma(qv, x[r][v], acc[h][r]);
        }
}

/* s[h][key] = q . k for VW keys from key j on; those from n on stand for the last one. Two vectors of half-sums fold into one, first for four
 * keys at a time, then for all. */
VINLINE void part_scores(DType type, int heads, const AttnPart *p, const float *q, StoredRows k, StoredRows v, int64_t j, int64_t n, float *s)
{
    vf four[PART_HEADS][VW / 4];
    int64_t d = p->d;
    for (int f = 0; f < VW / 4; f++) {
        vf acc[PART_HEADS][4] = { { { 0 } } };
        const char *row[4];
        int64_t at = 0;
        for (int r = 0; r < 4; r++) {
            int64_t key = MIN(j + 4 * f + r, n - 1);
            row[r] = k.p + key * k.step;
            part_fetch(v, key);
        }
        for (; at + RUN <= d; at += RUN)
            part_dots(type, heads, acc, q, d, row, at, RUN);
        if (at < d)
            part_dots(type, heads, acc, q, d, row, at, d - at);
#pragma GCC unroll 4
        for (int h = 0; h < heads; h++)
            four[h][f] = vfold(vfold(acc[h][0], acc[h][2], 2), vfold(acc[h][1], acc[h][3], 2), 1);
    }
    for (int h = 0; h < heads; h++)
#if VW == 16
        vstore(s + h * PART_KEYS + j, vfold(vfold(four[h][0], four[h][2], 8), vfold(four[h][1], four[h][3], 8), 4));
#elif VW == 8
        vstore(s + h * PART_KEYS + j, vfold(four[h][0], four[h][1], 4));
#else
        vstore(s + h * PART_KEYS + j, four[h][0]);
#endif
}

/* Products of one head with n keys become exp(score - top), zeros behind up to whole vectors; top and sum go on. Returns what earlier sums
 * shrink by. */
VINLINE float part_softmax(const AttnPart *p, int64_t n, float *s, float *top, float *sum)
{
    float old = *top;
    vf high = vset(old), total = { 0 };
    for (int64_t l = 0; l < n; l += VW) {
        vf x = p->scale * vload(s + l);
        if (p->softcap > 0)
            x = p->softcap * vtanh(x * (1.0f / p->softcap));
        x = vsel(VIOTA < (int32_t)(n - l), x, vset(-INFINITY));
        vstore(s + l, x);
        high = vmax(x, high);
    }
    *top = vtop(high);
    for (int64_t l = 0; l < n; l += VW) {
        vf e = vexp(vload(s + l) - *top);
        vstore(s + l, e);
        total += e;
    }
    float fade = expf(old - *top);
    *sum = *sum * fade + vsum(total);
    return fade;
}

/* out[h] = fade[h] out[h] + sum over keys of s[h][key] v[key], for numbers [at, at + n) */
VINLINE void part_values(DType type, int heads, int64_t d, const float *s, const float *fade, StoredRows v, StoredRows soon, int64_t keys, int64_t at,
                         int64_t n, float *out)
{
    vf acc[PART_HEADS][RUN_VECS];
#pragma GCC unroll 4
    for (int h = 0; h < heads; h++)
#pragma GCC unroll 8
        for (int i = 0; i < RUN_VECS; i++)
            acc[h][i] = fade[h] * vget(out + h * d + at + i * VW, n - i * VW);
    for (int64_t j = 0; j < keys; j++) {
        vf x[RUN_VECS];
        attn_read(type, x, v.p + j * v.step, at, n);
        part_fetch(soon, j);
#pragma GCC unroll 4
        for (int h = 0; h < heads; h++)
#pragma GCC unroll 8
            for (int i = 0; i < RUN_VECS; i++)
                acc[h][i] = vfma(vset(s[h * PART_KEYS + j]), x[i], acc[h][i]);
    }
#pragma GCC unroll 4
    for (int h = 0; h < heads; h++)
#pragma GCC unroll 8
        for (int i = 0; i < RUN_VECS; i++)
            vput(out + h * d + at + i * VW, acc[h][i], n - i * VW);
}

/* Heads from h on against up to PART_KEYS keys; `soon`: the keys that follow these, if they are to be asked for. */
VINLINE void part_heads(DType type, int heads, const AttnPart *p, int h, StoredRows k, StoredRows v, StoredRows soon, int64_t keys)
{
    const StoredRows nothing = { 0 };
    float s[PART_HEADS * PART_KEYS], fade[PART_HEADS], *out = p->out + h * p->d;
    int64_t d = p->d, at = 0;
    for (int64_t j = 0; j < keys; j += VW)
        part_scores(type, heads, p, p->q + h * d, k, h ? nothing : v, j, keys, s);
    for (int i = 0; i < heads; i++)
        fade[i] = part_softmax(p, keys, s + i * PART_KEYS, p->top + h + i, p->sum + h + i);
    for (; at + RUN <= d; at += RUN)
        part_values(type, heads, d, s, fade, v, h || at ? nothing : soon, keys, at, RUN, out);
    if (at < d)
        part_values(type, heads, d, s, fade, v, nothing, keys, at, d - at, out);
}

VINLINE void part_of(DType type, const AttnPart *p)
{
    StoredRows k = attn_stored(type, p->k, p->ldk, p->d), v = attn_stored(type, p->v, p->ldv, p->d), soon = k;
    for (int h = 0; h < p->heads; h++) {
        p->top[h] = -INFINITY;
        p->sum[h] = 0;
    }
    memset(p->out, 0, (size_t)(p->heads * p->d) * sizeof(float));
    for (int64_t left = p->keys; left > 0; left -= PART_KEYS, k.p = soon.p, v.p += PART_KEYS * v.step) {
        int64_t keys = MIN(left, PART_KEYS);
        soon.p += PART_KEYS * soon.step;
        soon.bytes = left > PART_KEYS ? k.bytes : 0;
        for (int h = 0; h < p->heads; h += PART_HEADS)
            switch (MIN(p->heads - h, PART_HEADS)) {
            case 1: part_heads(type, 1, p, h, k, v, soon, keys); break;
#if PART_HEADS > 1
            case 2: part_heads(type, 2, p, h, k, v, soon, keys); break;
#endif
#if PART_HEADS > 2
            case 3: part_heads(type, 3, p, h, k, v, soon, keys); break;
            case 4: part_heads(type, 4, p, h, k, v, soon, keys); break;
#endif
            }
    }
}

static void attn_part(const AttnPart *p)
{
    switch (p->kv_type) {
    case DT_F32: part_of(DT_F32, p); break;
    case DT_F16: part_of(DT_F16, p); break;
    default:     part_of(DT_Q8_0, p); break;
    }
}

/* ---- backward ---- */

/* Probabilities and their gradient for `rows` queries from query i on, in place: s = scores -> p, dp = dout . v -> ds. Lanes are keys; those
 * from `seen` on, which no query of these rows sees, become 0: dk and dv are summed over groups of keys that may reach beyond. */
VINLINE void attn_bwd_rows(const AttnBwdBlock *b, int head, int32_t i, int64_t rows, int64_t seen, float *s, float *dp)
{
    float to_cap = b->softcap > 0 ? b->scale / b->softcap : 0.0f;
    for (int64_t r = 0; r < rows; r++) {
        int32_t ahead0 = i + (int32_t)r + b->shift - b->key0; /* distance from the first key */
        bool masked = ahead0 < b->n_keys - 1 || (b->window && ahead0 >= b->window);
        float lse = b->lse[(i + r) * b->ldl + head], inner = b->inner[(i + r) * b->ldi + head];
        for (int64_t l = 0; l < b->n_keys; l += VW) {
            if (l >= seen) {
                vstore(s + r * ATTN_K + l, (vf){ 0 });
                vstore(dp + r * ATTN_K + l, (vf){ 0 });
                continue;
            }
            vf score = vload(s + r * ATTN_K + l), p, ds = vload(dp + r * ATTN_K + l) - inner;
            if (b->softcap > 0) {
                vf t = vtanh(score * to_cap);
                p = vexp(b->softcap * t - lse);
                ds *= p * (1.0f - t * t);
            } else {
                p = vexp(vfma(score, vset(b->scale), vset(-lse)));
                ds *= p;
            }
            if (masked) {
                vi ahead = ahead0 - (int32_t)l - VIOTA;
                vi see = b->window ? (ahead >= 0) & (ahead < b->window) : ahead >= 0;
                p = vsel(see, p, (vf){ 0 });
                ds = vsel(see, ds, (vf){ 0 });
            }
            vstore(s + r * ATTN_K + l, p);
            vstore(dp + r * ATTN_K + l, ds);
        }
    }
}

static void attn_bwd(const AttnBwdBlock *b, void *scratch)
{
    int64_t d = b->d, dp = attn_pad(b->d), keys = b->n_keys;
    float *kb = scratch, *kt = kb + ATTN_K * dp, *vt = kt + ATTN_K * dp; /* kt, vt [d][ATTN_K] */
    float *qb = vt + ATTN_K * dp, *ob = qb + ATTN_BWD_Q * dp, *dk = ob + ATTN_BWD_Q * dp, *dv = dk + ATTN_K * dp;
    float *s = dv + ATTN_K * dp, *ds = s + ATTN_BWD_Q * ATTN_K;                                  /* [ATTN_BWD_Q][ATTN_K] */
    const Epi to_dq = { .alpha = b->scale, .load = true };

    Rows k = attn_take(kb, b->k + b->key0 * b->ldk, b->ldk, keys, d, dp);
    pack_rows_F32(kt, ATTN_K, k.p, k.ld, keys, d);
    pack_rows_F32(vt, ATTN_K, b->v + b->key0 * b->ldv, b->ldv, keys, d);
    memset(dk, 0, (size_t)(keys * dp) * sizeof(float));
    memset(dv, 0, (size_t)(keys * dp) * sizeof(float));

    int32_t begin = MAX(0, b->key0 - b->shift), end = b->nq;
    if (b->window)
        end = (int32_t)MIN((int64_t)end, (int64_t)b->key0 + keys - 1 + b->window - b->shift);
    for (int head = 0; head < b->heads; head++)
        for (int32_t i = begin; i < end; i += ATTN_BWD_Q) {
            int64_t rows = MIN(ATTN_BWD_Q, end - i);
            Rows q = attn_take(qb, b->q + i * b->ldq + head * d, b->ldq, rows, d, dp);
            Rows o = attn_take(ob, b->dout + i * b->ldo + head * d, b->ldo, rows, d, dp);
            for (int64_t r = 0; r < rows; r += MR_ROWS) {
                int64_t h = MIN(rows - r, MR_ROWS), seen = MIN(keys, i + r + h - 1 + b->shift - b->key0 + 1);
                for (int64_t j = 0; j < seen; j += NR) {
                    tile_rows(h, NR, d, q.p + r * q.ld, q.ld, kt + j, ATTN_K, s + r * ATTN_K + j, ATTN_K, &epi_store);
                    tile_rows(h, NR, d, o.p + r * o.ld, o.ld, vt + j, ATTN_K, ds + r * ATTN_K + j, ATTN_K, &epi_store);
                }
                attn_bwd_rows(b, head, (int32_t)(i + r), h, seen, s + r * ATTN_K, ds + r * ATTN_K);
                if (b->dq)
                    attn_rows(h, d, seen, ds + r * ATTN_K, ATTN_K, k.p, k.ld, b->dq + (i + r) * b->lddq + head * d, b->lddq, &to_dq);
            }
            int64_t groups = (keys + MR - 1) / MR;
            for (int64_t g = 0; g < groups; g++) {
                int64_t l = g * keys / groups, h = (g + 1) * keys / groups - l;
                int64_t r = MAX(0, b->key0 + l - b->shift - i); /* the first query that sees key l */
                if (r >= rows)
                    break;
                if (b->dv)
                    attn_cols(h, d, rows - r, s + r * ATTN_K + l, ATTN_K, o.p + r * o.ld, o.ld, dv + l * dp, dp, &epi_add);
                if (b->dk)
                    attn_cols(h, d, rows - r, ds + r * ATTN_K + l, ATTN_K, q.p + r * q.ld, q.ld, dk + l * dp, dp, &epi_add);
            }
        }
    for (int64_t r = 0; r < keys; r++) {
        float *to_k = b->dk ? b->dk + (b->key0 + r) * b->lddk : NULL, *to_v = b->dv ? b->dv + (b->key0 + r) * b->lddv : NULL;
        for (int64_t i = 0; i < d; i += VW) {
            if (to_k)
                vput(to_k + i, vfma(vload(dk + r * dp + i), vset(b->scale), vget(to_k + i, d - i)), d - i);
            if (to_v)
                vput(to_v + i, vget(to_v + i, d - i) + vload(dv + r * dp + i), d - i);
        }
    }
}

#endif
