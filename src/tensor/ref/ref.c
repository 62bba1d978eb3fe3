/* ref.c - what every backend function means, in the plainest loops.
 * Main struct: Ref, a Backend with host scratch for sums in double. Invariants: numbers are stored as f32 and computed in double; every
 * output element is rounded once; loops run in index order. Nothing here is fast on purpose: read it to know what a fast version must do.
 * To add a function: write it here first, from the formula, and put it into the table at the end. */
#include "tensor/ref/ref.h"
#include "base/arena.h"
#include "base/mem.h"
#include <math.h>
#include <stdlib.h>

typedef struct Ref {
    Backend be;      /* first: a Backend * of ours is a Ref * */
    Arena   scratch; /* each function marks and rewinds */
} Ref;

/* ---- access to rows ---- */

static float *row_f32(const Tensor *t, int64_t r)
{
    BUG_ON(t->dtype != DT_F32);
    return (float *)t->data + r * t->ld;
}

static int64_t index_at(const Tensor *ids, int64_t i, int64_t limit)
{
    BUG_ON(ids->dtype != DT_I32);
    int64_t v = ((const int32_t *)ids->data)[i];
    BUG_ON(v < 0 || v >= limit);
    return v;
}

static ArenaMark scratch_mark(Backend *be)
{
    return arena_mark(&((Ref *)be)->scratch);
}

static void scratch_rewind(Backend *be, ArenaMark m)
{
    arena_rewind(&((Ref *)be)->scratch, m);
}

static double *doubles(Backend *be, int64_t n) /* zeroed */
{
    return arena_zalloc(&((Ref *)be)->scratch, (size_t)n, sizeof(double));
}

/* A weight of any stored type as a dense F32 one in the scratch; an F32 one as it is. */
static Tensor widened(Backend *be, const Tensor *w)
{
    Tensor wide = *w;
    if (w->dtype == DT_F32)
        return wide;
    int64_t cols = tensor_cols(w);
    float *p = arena_zalloc(&((Ref *)be)->scratch, (size_t)tensor_numel(w), sizeof *p);
    for (int64_t r = 0; r < tensor_rows(w); r++)
        dtype_to_f32(p + r * cols, (const char *)w->data + dtype_bytes(w->dtype, r * w->ld), w->dtype, cols);
    wide.dtype = DT_F32;
    wide.data = p;
    wide.ld = cols;
    return wide;
}

static void add_doubles(float *y, const double *x, double f, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)(y[i] + f * x[i]);
}

static double dot(const float *a, const float *b, int64_t n)
{
    double s = 0;
    for (int64_t i = 0; i < n; i++)
        s += (double)a[i] * b[i];
    return s;
}

/* ---- memory ---- */

static void *ref_alloc(Backend *be, size_t nbytes)
{
    (void)be;
    if (nbytes > SIZE_MAX - 64)
        return NULL;
    return aligned_alloc(64, (MAX(nbytes, 1) + 63) / 64 * 64);
}

static void ref_free(Backend *be, void *p, size_t nbytes)
{
    (void)be;
    (void)nbytes;
    free(p);
}

static void ref_copy(Backend *be, void *dst, const void *src, size_t nbytes)
{
    (void)be;
    if (nbytes)
        memcpy(dst, src, nbytes);
}

static int ref_sync(Backend *be, Err *e)
{
    (void)be;
    (void)e;
    return 0; /* loops on the host do not fail */
}

static void ref_close(Backend *be)
{
    arena_release(&((Ref *)be)->scratch);
    free(be);
}

/* ---- elementwise and rows ---- */

static void ref_fill(Backend *be, Tensor *x, float v)
{
    (void)be;
    for (int64_t r = 0; r < tensor_rows(x); r++)
        for (int64_t c = 0; c < tensor_cols(x); c++)
            row_f32(x, r)[c] = v;
}

static void ref_add(Backend *be, Tensor *y, const Tensor *a, const Tensor *b)
{
    (void)be;
    for (int64_t r = 0; r < tensor_rows(y); r++)
        for (int64_t c = 0; c < tensor_cols(y); c++)
            row_f32(y, r)[c] = row_f32(a, r)[c] + row_f32(b, r)[c];
}

static void ref_acc(Backend *be, Tensor *y, const Tensor *x)
{
    ref_add(be, y, y, x);
}

static void ref_scale(Backend *be, Tensor *y, float f)
{
    (void)be;
    for (int64_t r = 0; r < tensor_rows(y); r++)
        for (int64_t c = 0; c < tensor_cols(y); c++)
            row_f32(y, r)[c] *= f;
}

static double capped(double x, double cap) /* cap 0: as it is */
{
    return cap > 0 ? cap * tanh(x / cap) : x;
}

static double capped_slope(double y, double cap) /* of y = capped(x) */
{
    return cap > 0 ? 1.0 - (y / cap) * (y / cap) : 1.0;
}

static void ref_softcap(Backend *be, Tensor *y, float cap)
{
    (void)be;
    for (int64_t r = 0; r < tensor_rows(y); r++)
        for (int64_t c = 0; c < tensor_cols(y); c++)
            row_f32(y, r)[c] = (float)capped(row_f32(y, r)[c], cap);
}

static void ref_embed(Backend *be, Tensor *y, const Tensor *table, const Tensor *ids)
{
    (void)be;
    for (int64_t i = 0; i < tensor_rows(y); i++)
        dtype_to_f32(row_f32(y, i), (const char *)table->data + dtype_bytes(table->dtype, index_at(ids, i, tensor_rows(table)) * table->ld),
                     table->dtype, tensor_cols(y));
}

static void ref_embed_bwd(Backend *be, Tensor *dtable, const Tensor *dy, const Tensor *ids)
{
    (void)be;
    for (int64_t i = 0; i < tensor_rows(dy); i++) {
        float *d = row_f32(dtable, index_at(ids, i, tensor_rows(dtable)));
        for (int64_t c = 0; c < tensor_cols(dy); c++)
            d[c] += row_f32(dy, i)[c];
    }
}

static void ref_copy_rows(Backend *be, Tensor *dst, int64_t dst_row, const Tensor *src, int64_t src_row, int64_t n)
{
    int64_t cols = tensor_cols(src), whole = dtype_whole(dst->dtype, cols);
    BUG_ON(tensor_cols(dst) != whole);
    for (int64_t i = 0; i < n; i++) {
        char *row = (char *)dst->data + dtype_bytes(dst->dtype, (dst_row + i) * dst->ld);
        if (dst->dtype == src->dtype) {
            memcpy(row, (const char *)src->data + dtype_bytes(src->dtype, (src_row + i) * src->ld), dtype_bytes(src->dtype, cols));
        } else {
            ArenaMark mark = scratch_mark(be);
            float    *wide = (float *)doubles(be, whole); /* zeros */
            memcpy(wide, row_f32(src, src_row + i), (size_t)cols * sizeof *wide);
            dtype_from_f32(row, wide, dst->dtype, whole);
            scratch_rewind(be, mark);
        }
    }
}

/* ---- linear ---- */

static void ref_linear(Backend *be, Tensor *y, const Tensor *x, const Tensor *w, const Tensor *b, float alpha, bool accumulate)
{
    ArenaMark mark = scratch_mark(be);
    Tensor wide = widened(be, w);
    int64_t K = tensor_cols(x), N = tensor_rows(w);
    for (int64_t t = 0; t < tensor_rows(x); t++)
        for (int64_t n = 0; n < N; n++) {
            float *out = row_f32(y, t) + n;
            double v = alpha * dot(row_f32(x, t), row_f32(&wide, n), K);
            *out = (float)(v + (b ? row_f32(b, 0)[n] : 0.0f) + (accumulate ? *out : 0.0f));
        }
    scratch_rewind(be, mark);
}

static void ref_linear_dx(Backend *be, Tensor *dx, const Tensor *dy, const Tensor *w, float alpha)
{
    ArenaMark mark = scratch_mark(be);
    Tensor wide = widened(be, w);
    int64_t K = tensor_cols(dx), N = tensor_rows(w);
    for (int64_t t = 0; t < tensor_rows(dx); t++) {
        ArenaMark row = scratch_mark(be);
        double *sum = doubles(be, K);
        for (int64_t n = 0; n < N; n++)
            for (int64_t k = 0; k < K; k++)
                sum[k] += (double)row_f32(dy, t)[n] * row_f32(&wide, n)[k];
        add_doubles(row_f32(dx, t), sum, alpha, K);
        scratch_rewind(be, row);
    }
    scratch_rewind(be, mark);
}

static void ref_linear_pair(Backend *be, Tensor *y, const Tensor *x, const Tensor *w, const Tensor *b, const Tensor *x2, const Tensor *w2)
{
    ref_linear(be, y, x, w, b, 1.0f, false);
    ref_linear(be, y, x2, w2, NULL, 1.0f, true);
}

static void ref_linear_dx_pair(Backend *be, Tensor *dx, const Tensor *dy, const Tensor *w, const Tensor *dy2, const Tensor *w2)
{
    ref_linear_dx(be, dx, dy, w, 1.0f);
    ref_linear_dx(be, dx, dy2, w2, 1.0f);
}

static void ref_linear_dw(Backend *be, Tensor *dw, const Tensor *dy, const Tensor *x, float alpha)
{
    int64_t K = tensor_cols(x);
    for (int64_t n = 0; n < tensor_rows(dw); n++) {
        ArenaMark mark = scratch_mark(be);
        double *sum = doubles(be, K);
        for (int64_t t = 0; t < tensor_rows(x); t++)
            for (int64_t k = 0; k < K; k++)
                sum[k] += (double)row_f32(dy, t)[n] * row_f32(x, t)[k];
        add_doubles(row_f32(dw, n), sum, alpha, K);
        scratch_rewind(be, mark);
    }
}

static void ref_linear_db(Backend *be, Tensor *db, const Tensor *dy)
{
    ArenaMark mark = scratch_mark(be);
    int64_t N = tensor_cols(dy);
    double *sum = doubles(be, N);
    for (int64_t t = 0; t < tensor_rows(dy); t++)
        for (int64_t n = 0; n < N; n++)
            sum[n] += row_f32(dy, t)[n];
    add_doubles(row_f32(db, 0), sum, 1.0, N);
    scratch_rewind(be, mark);
}

/* ---- norms: groups of D = dim(w) elements, G groups in a row ---- */

static void ref_rmsnorm(Backend *be, Tensor *y, Tensor *stat, const Tensor *x, const Tensor *w, float eps, float offset)
{
    (void)be;
    int64_t D = tensor_cols(w), G = tensor_cols(x) / D;
    const float *wv = row_f32(w, 0);
    for (int64_t t = 0; t < tensor_rows(x); t++)
        for (int64_t g = 0; g < G; g++) {
            const float *xv = row_f32(x, t) + g * D;
            float *yv = row_f32(y, t) + g * D;
            double rstd = 1.0 / sqrt(dot(xv, xv, D) / (double)D + eps);
            for (int64_t i = 0; i < D; i++)
                yv[i] = (float)(xv[i] * rstd * ((double)offset + wv[i]));
            row_f32(stat, t)[g] = (float)rstd;
        }
}

/* With x^ = (x - mean) rstd and a = dy (offset + w):  dx = rstd (a - mean(a) - x^ mean(a x^)).  The rms norm has neither mean. */
static void norm_bwd(Backend *be, Tensor *dx, Tensor *dw, Tensor *db, const Tensor *dy, const Tensor *x, const Tensor *w, const Tensor *stat,
                     double offset, bool centred)
{
    ArenaMark mark = scratch_mark(be);
    int64_t D = tensor_cols(w), G = tensor_cols(x) / D;
    const float *wv = row_f32(w, 0);
    double *sum_w = doubles(be, D), *sum_b = doubles(be, D);
    for (int64_t t = 0; t < tensor_rows(x); t++)
        for (int64_t g = 0; g < G; g++) {
            const float *xv = row_f32(x, t) + g * D, *d = row_f32(dy, t) + g * D;
            const float *st = row_f32(stat, t) + g * (centred ? 2 : 1);
            double mean = centred ? st[0] : 0.0, rstd = centred ? st[1] : st[0];
            double mean_a = 0, mean_ax = 0;
            for (int64_t i = 0; i < D; i++) {
                double xh = (xv[i] - mean) * rstd, a = d[i] * (offset + wv[i]);
                mean_a += a / (double)D;
                mean_ax += a * xh / (double)D;
                sum_w[i] += d[i] * xh;
                sum_b[i] += d[i];
            }
            for (int64_t i = 0; dx && i < D; i++) {
                double xh = (xv[i] - mean) * rstd, a = d[i] * (offset + wv[i]);
                float *out = row_f32(dx, t) + g * D + i;
                *out = (float)(*out + rstd * (a - (centred ? mean_a : 0.0) - xh * mean_ax));
            }
        }
    if (dw)
        add_doubles(row_f32(dw, 0), sum_w, 1.0, D);
    if (db)
        add_doubles(row_f32(db, 0), sum_b, 1.0, D);
    scratch_rewind(be, mark);
}

static void ref_rmsnorm_bwd(Backend *be, Tensor *dx, Tensor *dw, const Tensor *dy, const Tensor *x, const Tensor *w, const Tensor *stat,
                            float offset)
{
    norm_bwd(be, dx, dw, NULL, dy, x, w, stat, offset, false);
}

static void ref_layernorm(Backend *be, Tensor *y, Tensor *stat, const Tensor *x, const Tensor *w, const Tensor *b, float eps)
{
    (void)be;
    int64_t D = tensor_cols(w), G = tensor_cols(x) / D;
    const float *wv = row_f32(w, 0), *bv = b ? row_f32(b, 0) : NULL;
    for (int64_t t = 0; t < tensor_rows(x); t++)
        for (int64_t g = 0; g < G; g++) {
            const float *xv = row_f32(x, t) + g * D;
            float *yv = row_f32(y, t) + g * D;
            double mean = 0, var = 0;
            for (int64_t i = 0; i < D; i++)
                mean += xv[i] / (double)D;
            for (int64_t i = 0; i < D; i++)
                var += (xv[i] - mean) * (xv[i] - mean) / (double)D;
            double rstd = 1.0 / sqrt(var + eps);
            for (int64_t i = 0; i < D; i++)
                yv[i] = (float)((xv[i] - mean) * rstd * wv[i] + (bv ? bv[i] : 0.0f));
            row_f32(stat, t)[2 * g] = (float)mean;
            row_f32(stat, t)[2 * g + 1] = (float)rstd;
        }
}

static void ref_layernorm_bwd(Backend *be, Tensor *dx, Tensor *dw, Tensor *db, const Tensor *dy, const Tensor *x, const Tensor *w,
                              const Tensor *stat)
{
    norm_bwd(be, dx, dw, db, dy, x, w, stat, 0.0, true);
}

/* ---- rotary positions ---- */

static void ref_rope(Backend *be, Tensor *x, const Tensor *pos, const RopeTable *table, int head_dim, int sign)
{
    (void)be;
    int half = table->rot / 2;
    for (int64_t t = 0; t < tensor_rows(x); t++) {
        int64_t p = index_at(pos, t, tensor_rows(table->cos));
        const float *cosv = row_f32(table->cos, p), *sinv = row_f32(table->sin, p);
        for (int64_t h = 0; h < tensor_cols(x) / head_dim; h++) {
            float *v = row_f32(x, t) + h * head_dim;
            for (int i = 0; i < half; i++) {
                double a = v[i], b = v[i + half], c = cosv[i], s = sign * (double)sinv[i];
                v[i] = (float)(a * c - b * s);
                v[i + half] = (float)(b * c + a * s);
            }
        }
    }
}

/* ---- attention ---- */

/* The keys that query i of a segment sees: [first, last], in rows of the segment. */
static void visible(const AttnShape *s, int seg, int64_t i, int64_t *first, int64_t *last)
{
    BUG_ON(s->nk[seg] < s->nq[seg]);
    *last = s->nk[seg] - s->nq[seg] + i;
    *first = s->window > 0 ? MAX(0, *last - s->window + 1) : 0;
}

/* Head g of a row of keys or values, as f32: where it lies, or in `room`. Heads begin at whole blocks. */
static const float *head_row(const Tensor *t, int64_t row, int g, int d, float *room)
{
    int64_t whole = dtype_whole(t->dtype, d);
    if (t->dtype == DT_F32)
        return row_f32(t, row) + g * d;
    dtype_to_f32(room, (const char *)t->data + dtype_bytes(t->dtype, row * t->ld + g * whole), t->dtype, whole);
    return room;
}

static void ref_attn(Backend *be, Tensor *o, Tensor *lse, const Tensor *q, const Tensor *k, const Tensor *v, const AttnShape *s)
{
    int d = s->head_dim, per_group = s->heads / s->kv_heads;
    for (int seg = 0; seg < s->n_seg; seg++)
        for (int64_t i = 0; i < s->nq[seg]; i++)
            for (int h = 0; h < s->heads; h++) {
                ArenaMark mark = scratch_mark(be);
                int g = h / per_group;
                int64_t first, last, row = s->q0[seg] + i;
                visible(s, seg, i, &first, &last);
                double *score = doubles(be, last + 1), *out = doubles(be, d);
                float  *room = (float *)doubles(be, dtype_whole(k->dtype, d));
                double top = s->sinks ? row_f32(s->sinks, 0)[h] : -INFINITY, sink = top, sum = 0;
                for (int64_t j = first; j <= last; j++) {
                    score[j] = capped(s->scale * dot(row_f32(q, row) + h * d, head_row(k, s->k0[seg] + j, g, d, room), d), s->softcap);
                    top = fmax(top, score[j]);
                }
                if (s->sinks)
                    sum = exp(sink - top);
                for (int64_t j = first; j <= last; j++) {
                    double p = exp(score[j] - top);
                    const float *vj = head_row(v, s->k0[seg] + j, g, d, room);
                    sum += p;
                    for (int c = 0; c < d; c++)
                        out[c] += p * vj[c];
                }
                for (int c = 0; c < d; c++)
                    row_f32(o, row)[h * d + c] = (float)(out[c] / sum);
                if (lse)
                    row_f32(lse, row)[h] = (float)(top + log(sum));
                scratch_rewind(be, mark);
            }
}

/* p_j = exp(score_j - lse);  dv_j += p_j dout;  ds_j = p_j (dout . v_j - dout . o) cap'_j;  dq += scale sum ds_j k_j;  dk_j += scale ds_j q.
 * Keys gather from many queries, so their sums stand in double until the segment is done. Dao et al. 2022, algorithm 4. */
static void ref_attn_bwd(Backend *be, Tensor *dq, Tensor *dk, Tensor *dv, const Tensor *dout, const Tensor *o, const Tensor *lse,
                         const Tensor *q, const Tensor *k, const Tensor *v, const AttnShape *s)
{
    int d = s->head_dim, per_group = s->heads / s->kv_heads;
    for (int seg = 0; seg < s->n_seg; seg++)
        for (int g = 0; g < s->kv_heads; g++) {
            ArenaMark mark = scratch_mark(be);
            int64_t nk = s->nk[seg];
            double *sum_k = doubles(be, nk * d), *sum_v = doubles(be, nk * d), *sum_q = doubles(be, d);
            for (int h = g * per_group; h < (g + 1) * per_group; h++)
                for (int64_t i = 0; i < s->nq[seg]; i++) {
                    int64_t first, last, row = s->q0[seg] + i;
                    visible(s, seg, i, &first, &last);
                    const float *qi = row_f32(q, row) + h * d, *doi = row_f32(dout, row) + h * d;
                    double inner = dot(doi, row_f32(o, row) + h * d, d);
                    memset(sum_q, 0, (size_t)d * sizeof *sum_q);
                    for (int64_t j = first; j <= last; j++) {
                        const float *kj = row_f32(k, s->k0[seg] + j) + g * d, *vj = row_f32(v, s->k0[seg] + j) + g * d;
                        double score = capped(s->scale * dot(qi, kj, d), s->softcap), p = exp(score - row_f32(lse, row)[h]);
                        double ds = s->scale * p * (dot(doi, vj, d) - inner) * capped_slope(score, s->softcap);
                        for (int c = 0; c < d; c++) {
                            sum_q[c] += ds * kj[c];
                            sum_k[j * d + c] += ds * qi[c];
                            sum_v[j * d + c] += p * doi[c];
                        }
                    }
                    if (dq)
                        add_doubles(row_f32(dq, row) + h * d, sum_q, 1.0, d);
                }
            for (int64_t j = 0; j < nk; j++) {
                if (dk)
                    add_doubles(row_f32(dk, s->k0[seg] + j) + g * d, sum_k + j * d, 1.0, d);
                if (dv)
                    add_doubles(row_f32(dv, s->k0[seg] + j) + g * d, sum_v + j * d, 1.0, d);
            }
            scratch_rewind(be, mark);
        }
}

/* The sink is a score without a value: its probability times (0 - dout . o). */
static void ref_attn_sinks_bwd(Backend *be, Tensor *dsinks, const Tensor *dout, const Tensor *o, const Tensor *lse, const AttnShape *s)
{
    (void)be;
    int d = s->head_dim;
    for (int h = 0; h < s->heads; h++) {
        double sum = 0;
        for (int64_t row = 0; row < tensor_rows(o); row++)
            sum -= exp((double)row_f32(s->sinks, 0)[h] - row_f32(lse, row)[h]) * dot(row_f32(dout, row) + h * d, row_f32(o, row) + h * d, d);
        add_doubles(row_f32(dsinks, 0) + h, &sum, 1.0, 1);
    }
}

/* ---- activations: value and slope ---- */

#define SQRT_2_OVER_PI 0.79788456080286535588
#define SQRT_1_2       0.70710678118654752440
#define SQRT_1_OVER_2PI 0.39894228040143267794
#define GELU_CUBIC     0.044715

typedef struct Slope { double f, df; } Slope;

static Slope silu(double x)
{
    double s = 1.0 / (1.0 + exp(-x));
    return (Slope){ x * s, s * (1.0 + x * (1.0 - s)) };
}

static Slope gelu_tanh(double x) /* Hendrycks & Gimpel 2016, the tanh form */
{
    double t = tanh(SQRT_2_OVER_PI * (x + GELU_CUBIC * x * x * x));
    double du = SQRT_2_OVER_PI * (1.0 + 3.0 * GELU_CUBIC * x * x);
    return (Slope){ 0.5 * x * (1.0 + t), 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * du };
}

static Slope gelu_erf(double x)
{
    double cdf = 0.5 * (1.0 + erf(x * SQRT_1_2));
    return (Slope){ x * cdf, cdf + x * SQRT_1_OVER_2PI * exp(-0.5 * x * x) };
}

static Slope relu(double x)
{
    return (Slope){ x > 0 ? x : 0.0, x > 0 ? 1.0 : 0.0 };
}

#define QUICK 1.702

static Slope gelu_quick(double x)
{
    double s = 1.0 / (1.0 + exp(-QUICK * x));
    return (Slope){ x * s, s * (1.0 + QUICK * x * (1.0 - s)) };
}

static Slope relu_squared(double x) /* So et al. 2021 */
{
    return (Slope){ x > 0 ? x * x : 0.0, x > 0 ? 2.0 * x : 0.0 };
}

#define SWIGLU_LIMIT 7.0

static Slope swiglu_gate(double x)
{
    Slope g = gelu_quick(fmin(x, SWIGLU_LIMIT));
    return (Slope){ g.f, x > SWIGLU_LIMIT ? 0.0 : g.df };
}

/* What the activated gate is multiplied by: `up` itself but for the clamped form. */
static Slope up_factor(ActKind a, double up)
{
    if (a != ACT_SWIGLU_CLAMPED)
        return (Slope){ up, 1.0 };
    return (Slope){ 1.0 + fmax(-SWIGLU_LIMIT, fmin(up, SWIGLU_LIMIT)), fabs(up) > SWIGLU_LIMIT ? 0.0 : 1.0 };
}

static Slope (*const act_table[ACT_COUNT])(double) = {
    [ACT_SILU] = silu, [ACT_GELU_TANH] = gelu_tanh, [ACT_GELU_ERF] = gelu_erf, [ACT_RELU] = relu,
    [ACT_GELU_QUICK] = gelu_quick, [ACT_RELU_SQUARED] = relu_squared, [ACT_SWIGLU_CLAMPED] = swiglu_gate,
};

static void ref_glu(Backend *be, Tensor *y, const Tensor *gate, const Tensor *up, ActKind a)
{
    (void)be;
    for (int64_t r = 0; r < tensor_rows(y); r++)
        for (int64_t c = 0; c < tensor_cols(y); c++)
            row_f32(y, r)[c] = (float)(act_table[a](row_f32(gate, r)[c]).f * up_factor(a, row_f32(up, r)[c]).f);
}

static void ref_glu_bwd(Backend *be, Tensor *dgate, Tensor *dup, const Tensor *dy, const Tensor *gate, const Tensor *up, ActKind a)
{
    (void)be;
    for (int64_t r = 0; r < tensor_rows(dy); r++)
        for (int64_t c = 0; c < tensor_cols(dy); c++) {
            Slope  g = act_table[a](row_f32(gate, r)[c]), u = up_factor(a, row_f32(up, r)[c]);
            double d = row_f32(dy, r)[c];
            if (dgate)
                row_f32(dgate, r)[c] = (float)(row_f32(dgate, r)[c] + d * u.f * g.df);
            if (dup)
                row_f32(dup, r)[c] = (float)(row_f32(dup, r)[c] + d * g.f * u.df);
        }
}

static void ref_act(Backend *be, Tensor *y, const Tensor *x, ActKind a)
{
    (void)be;
    for (int64_t r = 0; r < tensor_rows(y); r++)
        for (int64_t c = 0; c < tensor_cols(y); c++)
            row_f32(y, r)[c] = (float)act_table[a](row_f32(x, r)[c]).f;
}

static void ref_act_bwd(Backend *be, Tensor *dx, const Tensor *dy, const Tensor *x, ActKind a)
{
    (void)be;
    for (int64_t r = 0; r < tensor_rows(dy); r++)
        for (int64_t c = 0; c < tensor_cols(dy); c++)
            row_f32(dx, r)[c] = (float)(row_f32(dx, r)[c] + row_f32(dy, r)[c] * act_table[a](row_f32(x, r)[c]).df);
}

/* ---- head ---- */

/* One float per row, in either of the shapes [n] and [n, 1]. */
static float *per_row(const Tensor *t, int64_t i)
{
    return t->rank == 1 ? row_f32(t, 0) + i : row_f32(t, i);
}

static double logit(const Tensor *h, int64_t i, const Tensor *w, const Tensor *b, int64_t v, const HeadCfg *cfg)
{
    return capped(cfg->scale * dot(row_f32(h, i), row_f32(w, v), tensor_cols(h)) + (b ? row_f32(b, 0)[v] : 0.0f), cfg->softcap);
}

/* logp[i] = z_i[target] - lse_i. `lse` (may be NULL) and `lse_wide` (may be NULL) receive the log of the sum of exp. */
static void head_forward(Backend *be, Tensor *logp, Tensor *lse, double *lse_wide, const Tensor *h, const Tensor *w, const Tensor *b,
                         const Tensor *target, const HeadCfg *cfg)
{
    ArenaMark mark = scratch_mark(be);
    int64_t V = tensor_rows(w);
    double *z = doubles(be, V);
    for (int64_t i = 0; i < tensor_rows(h); i++) {
        double top = -INFINITY, sum = 0;
        for (int64_t v = 0; v < V; v++) {
            z[v] = logit(h, i, w, b, v, cfg);
            top = fmax(top, z[v]);
        }
        for (int64_t v = 0; v < V; v++)
            sum += exp(z[v] - top);
        double l = top + log(sum);
        *per_row(logp, i) = (float)(z[index_at(target, i, V)] - l);
        if (lse)
            *per_row(lse, i) = (float)l;
        if (lse_wide)
            lse_wide[i] = l;
    }
    scratch_rewind(be, mark);
}

/* dz_i[v] = dlogp_i ([v == target_i] - exp(z_i[v] - lse_i)) cap'(z);  dh += scale dz w;  dw += scale dz' h;  db += column sums of dz. */
static void head_backward(Backend *be, Tensor *dh, Tensor *dw, Tensor *db, const Tensor *dlogp, const double *lse, const Tensor *h,
                          const Tensor *w, const Tensor *b, const Tensor *target, const HeadCfg *cfg)
{
    ArenaMark mark = scratch_mark(be);
    int64_t n = tensor_rows(h), D = tensor_cols(h), V = tensor_rows(w);
    double *sum_h = doubles(be, n * D), *sum_w = doubles(be, D);
    for (int64_t v = 0; v < V; v++) {
        const float *wv = row_f32(w, v);
        double sum_b = 0;
        memset(sum_w, 0, (size_t)D * sizeof *sum_w);
        for (int64_t i = 0; i < n; i++) {
            const float *hi = row_f32(h, i);
            double z = logit(h, i, w, b, v, cfg), p = exp(z - lse[i]);
            double dz = *per_row(dlogp, i) * ((v == index_at(target, i, V) ? 1.0 : 0.0) - p) * capped_slope(z, cfg->softcap);
            sum_b += dz;
            for (int64_t c = 0; c < D; c++) {
                sum_h[i * D + c] += dz * wv[c];
                sum_w[c] += dz * hi[c];
            }
        }
        if (dw)
            add_doubles(row_f32(dw, v), sum_w, cfg->scale, D);
        if (db)
            add_doubles(row_f32(db, 0) + v, &sum_b, 1.0, 1);
    }
    for (int64_t i = 0; dh && i < n; i++)
        add_doubles(row_f32(dh, i), sum_h + i * D, cfg->scale, D);
    scratch_rewind(be, mark);
}

static void ref_head_logp(Backend *be, Tensor *logp, Tensor *lse, const Tensor *h, const Tensor *w, const Tensor *b, const Tensor *target,
                          const HeadCfg *cfg)
{
    ArenaMark mark = scratch_mark(be);
    Tensor wide = widened(be, w);
    head_forward(be, logp, lse, NULL, h, &wide, b, target, cfg);
    scratch_rewind(be, mark);
}

static void ref_head_logp_bwd(Backend *be, Tensor *dh, Tensor *dw, Tensor *db, const Tensor *dlogp, const Tensor *lse, const Tensor *h,
                              const Tensor *w, const Tensor *b, const Tensor *target, const HeadCfg *cfg)
{
    ArenaMark mark = scratch_mark(be);
    Tensor wide = widened(be, w);
    double *lse_wide = doubles(be, tensor_rows(h));
    for (int64_t i = 0; i < tensor_rows(h); i++)
        lse_wide[i] = *per_row(lse, i);
    head_backward(be, dh, dw, db, dlogp, lse_wide, h, &wide, b, target, cfg);
    scratch_rewind(be, mark);
}

static void ref_head_fused(Backend *be, Tensor *logp, Tensor *dh, Tensor *dw, Tensor *db, const Tensor *h, const Tensor *w, const Tensor *b,
                           const Tensor *target, const Tensor *coef, const HeadCfg *cfg)
{
    ArenaMark mark = scratch_mark(be);
    Tensor wide = widened(be, w);
    double *lse_wide = doubles(be, tensor_rows(h));
    head_forward(be, logp, NULL, lse_wide, h, &wide, b, target, cfg);
    ref_fill(be, dh, 0.0f);
    head_backward(be, dh, dw, db, coef, lse_wide, h, &wide, b, target, cfg);
    scratch_rewind(be, mark);
}

/* ---- mixture of experts ---- */

static int32_t *row_i32(const Tensor *t, int64_t r)
{
    BUG_ON(t->dtype != DT_I32);
    return (int32_t *)t->data + r * t->ld;
}

/* The places of the k largest of z[n], largest first, the lower place first among equals. */
static void top_places(int32_t *place, int k, const float *z, int64_t n)
{
    for (int i = 0; i < k; i++) {
        int64_t best = -1;
        for (int64_t e = 0; e < n; e++) {
            bool taken = false;
            for (int j = 0; j < i; j++)
                taken |= place[j] == e;
            if (!taken && (best < 0 || z[e] > z[best]))
                best = e;
        }
        place[i] = (int32_t)best;
    }
}

static void ref_route(Backend *be, Tensor *weight, Tensor *pick, Tensor *prob, const Tensor *logits, const RouteCfg *cfg)
{
    ArenaMark mark = scratch_mark(be);
    int64_t E = tensor_cols(logits);
    double *p = doubles(be, E);
    for (int64_t t = 0; t < tensor_rows(logits); t++) {
        const float *z = row_f32(logits, t);
        int32_t *at = row_i32(pick, t);
        double top = -INFINITY, sum = 0, kept = 0;
        for (int64_t e = 0; e < E; e++)
            top = fmax(top, z[e]);
        for (int64_t e = 0; e < E; e++)
            sum += p[e] = exp(z[e] - top);
        for (int64_t e = 0; e < E; e++)
            row_f32(prob, t)[e] = (float)(p[e] / sum);
        top_places(at, cfg->top_k, z, E);
        for (int k = 0; k < cfg->top_k; k++)
            kept += p[at[k]];
        for (int k = 0; k < cfg->top_k; k++)
            row_f32(weight, t)[k] = (float)(p[at[k]] / (cfg->renormalise ? kept : sum));
    }
    scratch_rewind(be, mark);
}

/* With w_k = p_k / s, s the sum of the picked (or 1):  dp_k = (dw_k - sum dw w) / s (or dw_k), plus aux;  dz = p (dp - sum p dp). */
static void ref_route_bwd(Backend *be, Tensor *dlogits, const Tensor *dweight, const float *aux, const Tensor *pick, const Tensor *prob,
                          const RouteCfg *cfg)
{
    ArenaMark mark = scratch_mark(be);
    int64_t E = tensor_cols(prob);
    double *dp = doubles(be, E);
    for (int64_t t = 0; t < tensor_rows(prob); t++) {
        const float *p = row_f32(prob, t), *dw = dweight ? row_f32(dweight, t) : NULL;
        const int32_t *at = row_i32(pick, t);
        double kept = 0, inner = 0, mean = 0;
        for (int64_t e = 0; e < E; e++)
            dp[e] = aux ? aux[e] : 0.0;
        for (int k = 0; dw && k < cfg->top_k; k++) {
            kept += p[at[k]];
            inner += (double)dw[k] * p[at[k]];
        }
        for (int k = 0; dw && k < cfg->top_k; k++)
            dp[at[k]] += cfg->renormalise ? (dw[k] - inner / kept) / kept : dw[k];
        for (int64_t e = 0; e < E; e++)
            mean += p[e] * dp[e];
        for (int64_t e = 0; e < E; e++)
            row_f32(dlogits, t)[e] = (float)(row_f32(dlogits, t)[e] + p[e] * (dp[e] - mean));
    }
    scratch_rewind(be, mark);
}

static void ref_route_count(Backend *be, double *count, double *sum, const Tensor *pick, const Tensor *prob)
{
    (void)be;
    for (int64_t t = 0; t < tensor_rows(prob); t++) {
        for (int64_t k = 0; k < tensor_cols(pick); k++)
            count[row_i32(pick, t)[k]] += 1;
        for (int64_t e = 0; e < tensor_cols(prob); e++)
            sum[e] += row_f32(prob, t)[e];
    }
}

static float *picked_weight(const Tensor *weight, const Tensor *pick, int64_t i)
{
    return row_f32(weight, 0) + index_at(pick, i, tensor_numel(weight));
}

static void ref_combine(Backend *be, Tensor *y, const Tensor *x, const Tensor *rows, const Tensor *weight, const Tensor *pick)
{
    (void)be;
    for (int64_t i = 0; i < tensor_rows(x); i++) {
        float *to = row_f32(y, index_at(rows, i, tensor_rows(y)));
        double f = weight ? *picked_weight(weight, pick, i) : 1.0;
        for (int64_t c = 0; c < tensor_cols(x); c++)
            to[c] = (float)(to[c] + f * row_f32(x, i)[c]);
    }
}

static void ref_combine_bwd(Backend *be, Tensor *dx, Tensor *dweight, const Tensor *dy, const Tensor *x, const Tensor *rows,
                            const Tensor *weight, const Tensor *pick)
{
    (void)be;
    for (int64_t i = 0; i < tensor_rows(x); i++) {
        const float *d = row_f32(dy, index_at(rows, i, tensor_rows(dy)));
        double f = weight ? *picked_weight(weight, pick, i) : 1.0;
        if (dweight)
            *picked_weight(dweight, pick, i) += (float)dot(d, row_f32(x, i), tensor_cols(x));
        for (int64_t c = 0; dx && c < tensor_cols(x); c++)
            row_f32(dx, i)[c] = (float)(row_f32(dx, i)[c] + f * d[c]);
    }
}

static double sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

static void ref_gate_rows(Backend *be, Tensor *y, const Tensor *x, const Tensor *g)
{
    (void)be;
    for (int64_t t = 0; t < tensor_rows(x); t++)
        for (int64_t c = 0; c < tensor_cols(x); c++)
            row_f32(y, t)[c] = (float)(row_f32(x, t)[c] * sigmoid(*row_f32(g, t)));
}

static void ref_gate_rows_bwd(Backend *be, Tensor *dx, Tensor *dg, const Tensor *dy, const Tensor *x, const Tensor *g)
{
    (void)be;
    for (int64_t t = 0; t < tensor_rows(x); t++) {
        double s = sigmoid(*row_f32(g, t));
        if (dg)
            *row_f32(dg, t) += (float)(s * (1.0 - s) * dot(row_f32(dy, t), row_f32(x, t), tensor_cols(x)));
        for (int64_t c = 0; dx && c < tensor_cols(x); c++)
            row_f32(dx, t)[c] = (float)(row_f32(dx, t)[c] + s * row_f32(dy, t)[c]);
    }
}

/* ---- services ---- */

static double ref_sumsq(Backend *be, const Tensor *x)
{
    (void)be;
    double s = 0;
    for (int64_t r = 0; r < tensor_rows(x); r++)
        s += dot(row_f32(x, r), row_f32(x, r), tensor_cols(x));
    return s;
}

/* Loshchilov & Hutter 2019, algorithm 2: the decay acts on the weight, not through the gradient. */
static void adamw_run(int64_t n, float *w, const float *g, float *m, float *v, const AdamW *a, float grad_scale)
{
    double b1 = a->beta1, b2 = a->beta2;
    double unbias1 = 1.0 - pow(b1, (double)a->step), unbias2 = 1.0 - pow(b2, (double)a->step);
    for (int64_t i = 0; i < n; i++) {
        double gv = (double)g[i] * grad_scale;
        double mv = b1 * m[i] + (1.0 - b1) * gv, vv = b2 * v[i] + (1.0 - b2) * gv * gv;
        double step = (mv / unbias1) / (sqrt(vv / unbias2) + a->eps);
        w[i] = (float)(w[i] - a->lr * (step + a->weight_decay * (double)w[i]));
        m[i] = (float)mv;
        v[i] = (float)vv;
    }
}

/* Moments in blocks are numbers only during the update. */
static void ref_adamw(Backend *be, Tensor *w, const Tensor *g, Tensor *m, Tensor *v, const AdamW *a, float grad_scale)
{
    if (m->dtype == DT_F32) {
        for (int64_t r = 0; r < tensor_rows(w); r++)
            adamw_run(tensor_cols(w), row_f32(w, r), row_f32(g, r), row_f32(m, r), row_f32(v, r), a, grad_scale);
        return;
    }
    BUG_ON(m->dtype != DT_DYN8 || v->dtype != DT_UDYN8 || w->ld != tensor_cols(w) || g->ld != tensor_cols(g));
    ArenaMark mark = scratch_mark(be);
    Tensor    mv = widened(be, m), vv = widened(be, v);
    adamw_run(tensor_numel(w), row_f32(w, 0), row_f32(g, 0), mv.data, vv.data, a, grad_scale);
    dtype_from_f32(m->data, mv.data, m->dtype, tensor_numel(m));
    dtype_from_f32(v->data, vv.data, v->dtype, tensor_numel(v));
    scratch_rewind(be, mark);
}

static const Backend ref_table = {
    .name = "ref", .threads = 1, .host = true,
    .alloc = ref_alloc, .release = ref_free, .upload = ref_copy, .download = ref_copy, .sync = ref_sync, .close = ref_close,
    .fill = ref_fill, .add = ref_add, .acc = ref_acc, .scale = ref_scale, .softcap = ref_softcap, .embed = ref_embed, .embed_bwd = ref_embed_bwd,
    .linear = ref_linear, .linear_dx = ref_linear_dx, .linear_pair = ref_linear_pair, .linear_dx_pair = ref_linear_dx_pair,
    .linear_dw = ref_linear_dw, .linear_db = ref_linear_db,
    .rmsnorm = ref_rmsnorm, .rmsnorm_bwd = ref_rmsnorm_bwd, .layernorm = ref_layernorm, .layernorm_bwd = ref_layernorm_bwd,
    .rope = ref_rope, .attn = ref_attn, .attn_bwd = ref_attn_bwd, .attn_sinks_bwd = ref_attn_sinks_bwd,
    .glu = ref_glu, .glu_bwd = ref_glu_bwd, .act = ref_act, .act_bwd = ref_act_bwd,
    .head_logp = ref_head_logp, .head_logp_bwd = ref_head_logp_bwd, .head_fused = ref_head_fused,
    .route = ref_route, .route_bwd = ref_route_bwd, .route_count = ref_route_count, .combine = ref_combine, .combine_bwd = ref_combine_bwd,
    .gate_rows = ref_gate_rows, .gate_rows_bwd = ref_gate_rows_bwd,
    .sumsq = ref_sumsq, .adamw = ref_adamw, .copy_rows = ref_copy_rows,
};

Backend *backend_ref_open(void)
{
    Ref *ref = mem_zalloc(1, sizeof *ref);
    ref->be = ref_table;
    return &ref->be;
}
