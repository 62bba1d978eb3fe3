/* k_attn.h - one block of attention, forward and backward, without a T x T matrix (Dao et al. 2022). Part of kern_body.h.
 *
 * Forward: lanes are queries. The scores stand transposed, [key][lane], so that maximum, exponential and sum over keys need no sums across a
 * vector, and the probabilities are already the packed operand of the product with v. Running maximum and sum as in the paper's algorithm 1.
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

/* Asks for n rows that will be used soon: a head's slices of rows lie too far apart for the processor to foresee them. */
VINLINE void attn_fetch(const void *rows, DType type, int64_t first, int64_t ld, int64_t n, int64_t d)
{
    int64_t size = type == DT_F32 ? 4 : 2;
    for (int64_t r = first; r < first + n; r++)
        for (int64_t i = 0; i < d * size; i += KERN_ALIGN)
            __builtin_prefetch((const char *)rows + r * ld * size + i);
}

/* attn_take of rows from `first` on, of a type that may have 16 bits. */
VINLINE Rows attn_take_as(DType type, float *room, const void *rows, int64_t first, int64_t ld, int64_t n, int64_t d, int64_t dp)
{
    if (type == DT_F32)
        return attn_take(room, (const float *)rows + first * ld, ld, n, d, dp);
    for (int64_t r = 0; r < n; r++)
        for (int64_t i = 0; i < dp; i += VW)
            vstore(room + r * dp + i, i < d ? vget_as(rows, (first + r) * ld + i, d - i, DT_F16) : (vf){ 0 });
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
    attn_fetch(b->k, b->kv_type, j, b->ldk, keys, d);
    attn_fetch(b->v, b->kv_type, j, b->ldv, keys, d);
    for (int l = 0; l < b->n; l++) {
        attn_fetch(b->o[l], DT_F32, 0, 0, 1, d);
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
        attn_fetch(b->k, b->kv_type, j + keys, b->ldk, next, d);
        attn_fetch(b->v, b->kv_type, j + keys, b->ldv, next, d);
        Rows k = attn_take_as(b->kv_type, kb, b->k, j, b->ldk, keys, d, dp), v = attn_take_as(b->kv_type, vb, b->v, j, b->ldv, keys, d, dp);
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
