/* moe.c - mixture of experts: routing tokens, bringing the experts' rows back, gates on whole rows.
 * Main struct: MoeJob. Invariant: pieces are runs of rows, each row by itself; in `combine`, where a row of y may come several times, they are
 * strips of columns, and each walks the rows in order. The experts are chosen by their logits, not by rounded probabilities. */
#include "tensor/cpu/cpu_int.h"
#include <math.h>
#include <string.h>

typedef struct MoeJob {
    const Kern     *kern;
    const RouteCfg *cfg;
    Tensor         *out, *pick_out, *prob_out, *dx, *dw;
    const Tensor   *x, *g, *dy, *rows, *weight, *pick, *prob;
    const float    *aux;
    float          *room;           /* route_bwd: [T, E] */
    int64_t         n, step;        /* rows in all, and of one piece */
} MoeJob;

#define PIECE 16384 /* numbers of one piece */
#define STRIP 64    /* columns */

static void run_rows(Backend *be, MoeJob *j, int64_t cols, int cost, PoolFn fn)
{
    Cpu *c = cpu_of(be);
    j->kern = c->kern;
    j->step = MAX(1, PIECE / MAX(cols, 1));
    cpu_for(c, (j->n + j->step - 1) / j->step, j->n * cols / c->kern->vw * cost, fn, j);
}

static float *row_of(const Tensor *t, int64_t i)
{
    return f32(t) + i * t->ld;
}

static int32_t *picks_of(const Tensor *t, int64_t i)
{
    BUG_ON(t->dtype != DT_I32);
    return (int32_t *)t->data + i * t->ld;
}

static int64_t number_at(const Tensor *ids, int64_t i, int64_t limit)
{
    int64_t v = picks_of(ids, 0)[i];
    BUG_ON(v < 0 || v >= limit);
    return v;
}

static void scale_row(const Kern *kern, int64_t n, float *x, float f)
{
    kern->elem[ELEM_SCALE](n, (float *[3]){ x }, (const float *[3]){ NULL }, &f);
}

/* ---- route ---- */

/* One more: the largest of z[n] that is not among the first `k` of `place`; the lower place among equals, and some place whatever z holds. */
static int32_t next_place(const int32_t *place, int k, const float *z, int64_t n)
{
    int64_t best = -1;
    for (int64_t e = 0; e < n; e++) {
        if (best >= 0 && !(z[e] > z[best]))
            continue;
        bool taken = false;
        for (int i = 0; i < k; i++)
            taken |= place[i] == e;
        if (!taken)
            best = e;
    }
    return (int32_t)best;
}

static void piece_route(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    const MoeJob *j = ctx;
    int64_t E = tensor_cols(j->x);
    for (int64_t t = piece * j->step; t < MIN(j->n, (piece + 1) * j->step); t++) {
        const float *z = row_of(j->x, t);
        float *p = row_of(j->prob_out, t), *w = row_of(j->out, t), kept = 0;
        int32_t *place = picks_of(j->pick_out, t);
        memcpy(p, z, (size_t)E * sizeof *p);
        double sum = j->kern->row_exp(E, p, j->kern->row_max(E, p), 1.0f);
        scale_row(j->kern, E, p, (float)(1.0 / sum));
        for (int k = 0; k < j->cfg->top_k; k++) {
            place[k] = next_place(place, k, z, E);
            kept += p[place[k]];
        }
        for (int k = 0; k < j->cfg->top_k; k++)
            w[k] = j->cfg->renormalise ? p[place[k]] / kept : p[place[k]];
    }
}

void cpu_route(Backend *be, Tensor *weight, Tensor *pick, Tensor *prob, const Tensor *logits, const RouteCfg *cfg)
{
    MoeJob j = { .cfg = cfg, .out = weight, .pick_out = pick, .prob_out = prob, .x = logits, .n = tensor_rows(logits) };
    run_rows(be, &j, tensor_cols(logits) * (cfg->top_k + 1), 20, piece_route);
}

/* dp as in ref; dz = p (dp - sum p dp) */
static void piece_route_bwd(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    const MoeJob *j = ctx;
    int64_t E = tensor_cols(j->prob);
    for (int64_t t = piece * j->step; t < MIN(j->n, (piece + 1) * j->step); t++) {
        const float *p = row_of(j->prob, t), *dw = j->dy ? row_of(j->dy, t) : NULL;
        const int32_t *place = picks_of(j->pick, t);
        float *dp = j->room + t * E, *dz = row_of(j->dx, t), kept = 0, inner = 0;
        for (int64_t e = 0; e < E; e++)
            dp[e] = j->aux ? j->aux[e] : 0.0f;
        for (int k = 0; dw && k < j->cfg->top_k; k++) {
            kept += p[place[k]];
            inner += dw[k] * p[place[k]];
        }
        for (int k = 0; dw && k < j->cfg->top_k; k++)
            dp[place[k]] += j->cfg->renormalise ? (dw[k] - inner / kept) / kept : dw[k];
        float mean = j->kern->dot(E, p, dp);
        for (int64_t e = 0; e < E; e++)
            dz[e] += p[e] * (dp[e] - mean);
    }
}

void cpu_route_bwd(Backend *be, Tensor *dlogits, const Tensor *dweight, const float *aux, const Tensor *pick, const Tensor *prob,
                   const RouteCfg *cfg)
{
    MoeJob j = { .cfg = cfg, .dx = dlogits, .dy = dweight, .aux = aux, .pick = pick, .prob = prob, .n = tensor_rows(prob) };
    j.room = cpu_slot(cpu_of(be), SLOT_ROWS, (size_t)tensor_numel(prob) * sizeof(float));
    if (j.room)
        run_rows(be, &j, tensor_cols(prob), 30, piece_route_bwd);
}

void cpu_route_count(Backend *be, double *count, double *sum, const Tensor *pick, const Tensor *prob)
{
    (void)be;
    for (int64_t t = 0; t < tensor_rows(prob); t++) {
        const float *p = row_of(prob, t);
        const int32_t *place = picks_of(pick, t);
        for (int64_t k = 0; k < tensor_cols(pick); k++)
            count[place[k]] += 1;
        for (int64_t e = 0; e < tensor_cols(prob); e++)
            sum[e] += (double)p[e];
    }
}

/* ---- combine ---- */

static float *weight_at(const Tensor *weight, const Tensor *pick, int64_t i)
{
    return f32(weight) + number_at(pick, i, tensor_numel(weight));
}

static void piece_combine(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    const MoeJob *j = ctx;
    int64_t col = piece * STRIP, n = MIN(tensor_cols(j->x) - col, STRIP);
    for (int64_t i = 0; i < j->n; i++)
        j->kern->axpy(n, row_of(j->out, number_at(j->rows, i, tensor_rows(j->out))) + col, j->weight ? *weight_at(j->weight, j->pick, i) : 1.0f,
                      row_of(j->x, i) + col);
}

void cpu_combine(Backend *be, Tensor *y, const Tensor *x, const Tensor *rows, const Tensor *weight, const Tensor *pick)
{
    Cpu *c = cpu_of(be);
    MoeJob j = { .kern = c->kern, .out = y, .x = x, .rows = rows, .weight = weight, .pick = pick, .n = tensor_rows(x) };
    cpu_for(c, (tensor_cols(x) + STRIP - 1) / STRIP, tensor_numel(x) / c->kern->vw * 4, piece_combine, &j);
}

static void piece_combine_bwd(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    const MoeJob *j = ctx;
    int64_t D = tensor_cols(j->x);
    for (int64_t i = piece * j->step; i < MIN(j->n, (piece + 1) * j->step); i++) {
        const float *d = row_of(j->dy, number_at(j->rows, i, tensor_rows(j->dy)));
        if (j->dw)
            *weight_at(j->dw, j->pick, i) += j->kern->dot(D, d, row_of(j->x, i));
        if (j->dx)
            j->kern->axpy(D, row_of(j->dx, i), j->weight ? *weight_at(j->weight, j->pick, i) : 1.0f, d);
    }
}

void cpu_combine_bwd(Backend *be, Tensor *dx, Tensor *dweight, const Tensor *dy, const Tensor *x, const Tensor *rows, const Tensor *weight,
                     const Tensor *pick)
{
    MoeJob j = { .dx = dx, .dw = dweight, .dy = dy, .x = x, .rows = rows, .weight = weight, .pick = pick, .n = tensor_rows(x) };
    run_rows(be, &j, tensor_cols(x), 6, piece_combine_bwd);
}

/* ---- a gate on each row ---- */

static float sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

static void piece_gate(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    const MoeJob *j = ctx;
    int64_t D = tensor_cols(j->x);
    for (int64_t t = piece * j->step; t < MIN(j->n, (piece + 1) * j->step); t++) {
        memcpy(row_of(j->out, t), row_of(j->x, t), (size_t)D * sizeof(float));
        scale_row(j->kern, D, row_of(j->out, t), sigmoid(*row_of(j->g, t)));
    }
}

void cpu_gate_rows(Backend *be, Tensor *y, const Tensor *x, const Tensor *g)
{
    MoeJob j = { .out = y, .x = x, .g = g, .n = tensor_rows(x) };
    run_rows(be, &j, tensor_cols(x), 4, piece_gate);
}

static void piece_gate_bwd(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    const MoeJob *j = ctx;
    int64_t D = tensor_cols(j->x);
    for (int64_t t = piece * j->step; t < MIN(j->n, (piece + 1) * j->step); t++) {
        float s = sigmoid(*row_of(j->g, t));
        if (j->dw)
            *row_of(j->dw, t) += s * (1.0f - s) * j->kern->dot(D, row_of(j->dy, t), row_of(j->x, t));
        if (j->dx)
            j->kern->axpy(D, row_of(j->dx, t), s, row_of(j->dy, t));
    }
}

void cpu_gate_rows_bwd(Backend *be, Tensor *dx, Tensor *dg, const Tensor *dy, const Tensor *x, const Tensor *g)
{
    MoeJob j = { .dx = dx, .dw = dg, .dy = dy, .x = x, .g = g, .n = tensor_rows(x) };
    run_rows(be, &j, tensor_cols(x), 6, piece_gate_bwd);
}
