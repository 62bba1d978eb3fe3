/* head.c - projection to the vocabulary, log-softmax and pick; never T x V logits.
 *
 * The vocabulary is walked in chunks: a chunk of logits [n, chunk] (at most LOGIT_BYTES) is made by one product, used and forgotten, so that each
 * row of w is read once for all n rows of h. The forward keeps a running maximum and sum for each row, as flash attention does. head_fused with a
 * frozen w carries that to its end: dh is attention over the vocabulary with w as keys and values, coef (w[target] - sum p w), and needs
 * two products. When dw (or the bias's gradient) is wanted as well the final sum must be known first: rows are taken in slabs whose whole logits fit in
 * LOGIT_BYTES_DW, and three products follow.
 * Invariant: chunks and slabs follow from the shape alone; rows are independent, dh and dw are products (see gemm.c). */
#include "tensor/cpu/cpu_int.h"
#include <math.h>
#include <string.h>

#define LOGIT_BYTES    ((int64_t)2 << 20)
#define LOGIT_BYTES_DW ((int64_t)128 << 20)
#define CHUNK_LEAST    512  /* columns; with very many rows the logits take more than LOGIT_BYTES */
#define PIECE          4    /* rows */

typedef struct RowState { double sum; float top, picked, fade; } RowState; /* sum of exp(z - top); the target's logit; last rescaling */

typedef struct HeadJob {
    Cpu          *cpu;
    const Tensor *h, *w, *b, *target, *coef, *lse;
    const float  *bv;               /* b as f32 */
    HeadCfg       cfg;
    Tensor       *dh;
    int64_t       row0, rows;       /* of h */
    int64_t       col, cols;        /* of the vocabulary: this chunk */
    float        *z;                /* [rows, cols] */
    RowState     *state;            /* [rows] */
    bool          keep_exp;         /* leave exp(z - top) behind, rescale dh */
} HeadJob;

static int64_t target_of(const HeadJob *j, int64_t i)
{
    BUG_ON(j->target->dtype != DT_I32);
    int64_t v = ((const int32_t *)j->target->data)[j->row0 + i];
    BUG_ON(v < 0 || v >= tensor_rows(j->w));
    return v;
}

static float *row_of(const Tensor *t, int64_t i)
{
    return f32(t) + i * t->ld;
}

static float coef_of(const HeadJob *j, int64_t i)
{
    return f32(j->coef)[(j->row0 + i) * step_of(j->coef)];
}

static void run(HeadJob *j, PoolFn fn)
{
    cpu_for(j->cpu, (j->rows + PIECE - 1) / PIECE, j->rows * j->cols / j->cpu->kern->vw * 20, fn, j);
}

/* ---- the three products of a chunk ---- */

static void piece_softcap(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    const HeadJob *j = ctx;
    for (int64_t i = piece * PIECE; i < MIN(j->rows, (piece + 1) * PIECE); i++)
        j->cpu->kern->elem[ELEM_SOFTCAP](j->cols, (float *[3]){ j->z + i * j->cols }, (const float *[3]){ NULL }, &j->cfg.softcap);
}

static void logits(HeadJob *j)
{
    cpu_gemm(j->cpu, &(Gemm){ .m = j->rows, .n = j->cols, .k = tensor_cols(j->h), .a = row_of(j->h, j->row0), .lda = j->h->ld, .a_rows = true,
                              .b = elem_at(j->w, j->col * j->w->ld), .b_type = j->w->dtype, .ldb = j->w->ld, .b_rows = true, .c = j->z, .ldc = j->cols,
                              .epi = { .alpha = j->cfg.scale, .bias = j->bv ? j->bv + j->col : NULL } });
    if (j->cfg.softcap > 0)
        run(j, piece_softcap);
}

static void add_dh(const HeadJob *j, Tensor *dh)
{
    cpu_gemm(j->cpu, &(Gemm){ .m = j->rows, .n = tensor_cols(dh), .k = j->cols, .a = j->z, .lda = j->cols, .a_rows = true,
                              .b = elem_at(j->w, j->col * j->w->ld), .b_type = j->w->dtype, .ldb = j->w->ld, .c = row_of(dh, j->row0), .ldc = dh->ld,
                              .epi = { .alpha = j->cfg.scale, .load = true } });
}

static void add_dw(const HeadJob *j, Tensor *dw)
{
    cpu_gemm(j->cpu, &(Gemm){ .m = j->cols, .n = tensor_cols(dw), .k = j->rows, .a = j->z, .lda = j->cols,
                              .b = row_of(j->h, j->row0), .b_type = DT_F32, .ldb = j->h->ld, .c = row_of(dw, j->col), .ldc = dw->ld,
                              .epi = { .alpha = j->cfg.scale, .load = true } });
}

static void add_db(const HeadJob *j, Tensor *db)
{
    Tensor z = { .dtype = DT_F32, .rank = 2, .dim = { j->rows, j->cols }, .ld = j->cols, .data = j->z };
    Tensor part = { .dtype = DT_F32, .rank = 1, .dim = { j->cols }, .ld = j->cols, .data = f32(db) + j->col };
    cpu_linear_db(&j->cpu->be, &part, &z);
}

/* ---- the work on the rows of a chunk ---- */

/* x = f exp(x - top) times the slope of the softcap, if there is one; the sum of exp */
static double row_exp(const HeadJob *j, float *x, float top, float f)
{
    const Kern *kern = j->cpu->kern;
    return j->cfg.softcap > 0 ? kern->row_exp_capped(j->cols, x, top, f, j->cfg.softcap) : kern->row_exp(j->cols, x, top, f);
}

static float slope_of(const HeadJob *j, float z)
{
    float t = j->cfg.softcap > 0 ? z / j->cfg.softcap : 0.0f;
    return 1.0f - t * t;
}

/* Running maximum and sum; picks the target's logit when it comes by. */
static void piece_running(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    const HeadJob *j = ctx;
    const Kern *kern = j->cpu->kern;
    for (int64_t i = piece * PIECE; i < MIN(j->rows, (piece + 1) * PIECE); i++) {
        RowState *s = &j->state[i];
        float *z = j->z + i * j->cols, top = kern->row_max(j->cols, z);
        int64_t t = target_of(j, i) - j->col;
        if (t >= 0 && t < j->cols)
            s->picked = z[t];
        top = top > s->top ? top : s->top;
        float base = top == -INFINITY ? 0.0f : top; /* nothing but -infinity so far */
        s->fade = expf(s->top - base);
        s->sum *= (double)s->fade;
        s->top = top;
        if (!j->keep_exp) {
            s->sum += kern->row_sumexp(j->cols, z, base);
            continue;
        }
        s->sum += row_exp(j, z, base, 1.0f);
        if (s->fade != 1.0f) {
            float *dh = row_of(j->dh, j->row0 + i);
            kern->elem[ELEM_SCALE](tensor_cols(j->dh), (float *[3]){ dh }, (const float *[3]){ NULL }, &s->fade);
        }
    }
}

static double lse_of(const RowState *s)
{
    return (double)s->top + log(s->sum);
}

/* z becomes d(loss)/d(z) = coef ([v == target] - exp(z - lse)) times the slope of the softcap. */
static void piece_gradient(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    const HeadJob *j = ctx;
    for (int64_t i = piece * PIECE; i < MIN(j->rows, (piece + 1) * PIECE); i++) {
        float *z = j->z + i * j->cols, coef = coef_of(j, i);
        float lse = j->lse ? f32(j->lse)[(j->row0 + i) * step_of(j->lse)] : (float)lse_of(&j->state[i]);
        int64_t t = target_of(j, i) - j->col;
        bool here = t >= 0 && t < j->cols;
        float slope = here ? slope_of(j, z[t]) : 0.0f;
        row_exp(j, z, lse, -coef);
        if (here)
            z[t] += coef * slope;
    }
}

/* dh = coef (scale slope w[target] - dh / sum), where scale is in dh already: the end of the fused pass over a frozen w. */
static void piece_finish_dh(void *ctx, int64_t piece, int worker)
{
    const HeadJob *j = ctx;
    int64_t D = tensor_cols(j->h);
    float *wide = cpu_worker(j->cpu, worker);
    uint16_t *rounded = (uint16_t *)(wide + D);
    for (int64_t i = piece * PIECE; i < MIN(j->rows, (piece + 1) * PIECE); i++) {
        float *dh = row_of(j->dh, j->row0 + i), coef = coef_of(j, i), f = (float)(-coef / j->state[i].sum);
        j->cpu->kern->elem[ELEM_SCALE](D, (float *[3]){ dh }, (const float *[3]){ NULL }, &f);
        dtype_to_f32(wide, elem_at(j->w, target_of(j, i) * j->w->ld), j->w->dtype, D);
        if (j->cpu->be.compute == COMPUTE_BF16) { /* the row that the sum holds: when p is near 1 they must cancel */
            dtype_from_f32(rounded, wide, DT_BF16, D);
            dtype_to_f32(wide, rounded, DT_BF16, D);
        }
        j->cpu->kern->axpy(D, dh, coef * (j->cfg.scale * slope_of(j, j->state[i].picked)), wide);
    }
}

/* ---- passes ---- */

static bool begin(HeadJob *j, int64_t rows, int64_t cols)
{
    j->z = cpu_slot(j->cpu, SLOT_LOGITS, (size_t)(rows * cols) * sizeof(float));
    j->state = cpu_slot(j->cpu, SLOT_ROWS, (size_t)rows * sizeof(RowState));
    j->bv = cpu_wide(j->cpu, SLOT_WIDE, j->b);
    return j->z && j->state && (!j->b || j->bv);
}

static void state_clear(HeadJob *j)
{
    for (int64_t i = 0; i < j->rows; i++)
        j->state[i] = (RowState){ .top = -INFINITY };
}

static int64_t chunk_of(int64_t rows, int64_t V)
{
    return MIN(V, MAX(CHUNK_LEAST, LOGIT_BYTES / (int64_t)sizeof(float) / MAX(rows, 1) / 64 * 64));
}

static void write_results(const HeadJob *j, Tensor *logp, Tensor *lse)
{
    for (int64_t i = 0; i < j->rows; i++) {
        double l = lse_of(&j->state[i]);
        f32(logp)[(j->row0 + i) * step_of(logp)] = (float)((double)j->state[i].picked - l);
        if (lse)
            f32(lse)[(j->row0 + i) * step_of(lse)] = (float)l;
    }
}

/* One pass over the vocabulary: the state of every row, and with dh the gradient as well. */
static void forward(HeadJob *j, Tensor *logp, Tensor *lse)
{
    int64_t V = tensor_rows(j->w), chunk = chunk_of(j->rows, V);
    if (!begin(j, j->rows, chunk))
        return;
    state_clear(j);
    for (j->col = 0; j->col < V; j->col += chunk) {
        j->cols = MIN(chunk, V - j->col);
        logits(j);
        run(j, piece_running);
        if (j->dh)
            add_dh(j, j->dh);
    }
    write_results(j, logp, lse);
    if (j->dh && cpu_workers(j->cpu, (size_t)tensor_cols(j->h) * (sizeof(float) + sizeof(uint16_t))))
        run(j, piece_finish_dh);
}

void cpu_head_logp(Backend *be, Tensor *logp, Tensor *lse, const Tensor *h, const Tensor *w, const Tensor *b, const Tensor *target,
                   const HeadCfg *cfg)
{
    HeadJob j = { .cpu = cpu_of(be), .h = h, .w = w, .b = b, .target = target, .cfg = *cfg, .rows = tensor_rows(h) };
    forward(&j, logp, lse);
}

void cpu_head_logp_bwd(Backend *be, Tensor *dh, Tensor *dw, Tensor *db, const Tensor *dlogp, const Tensor *lse, const Tensor *h,
                       const Tensor *w, const Tensor *b, const Tensor *target, const HeadCfg *cfg)
{
    HeadJob j = { .cpu = cpu_of(be), .h = h, .w = w, .b = b, .target = target, .cfg = *cfg, .coef = dlogp, .lse = lse, .rows = tensor_rows(h) };
    int64_t V = tensor_rows(w), chunk = chunk_of(j.rows, V);
    if ((!dh && !dw && !db) || !begin(&j, j.rows, chunk))
        return;
    for (j.col = 0; j.col < V; j.col += chunk) {
        j.cols = MIN(chunk, V - j.col);
        logits(&j);
        run(&j, piece_gradient);
        if (dh)
            add_dh(&j, dh);
        if (dw)
            add_dw(&j, dw);
        if (db)
            add_db(&j, db);
    }
}

void cpu_head_fused(Backend *be, Tensor *logp, Tensor *dh, Tensor *dw, Tensor *db, const Tensor *h, const Tensor *w, const Tensor *b,
                    const Tensor *target, const Tensor *coef, const HeadCfg *cfg)
{
    HeadJob j = { .cpu = cpu_of(be), .h = h, .w = w, .b = b, .target = target, .cfg = *cfg, .coef = coef, .rows = tensor_rows(h) };
    cpu_fill(be, dh, 0.0f);
    if (!dw && !db) {
        j.dh = dh;
        j.keep_exp = true;
        forward(&j, logp, NULL);
        return;
    }
    int64_t n = tensor_rows(h), V = tensor_rows(w), slab = MIN(n, MAX(64, LOGIT_BYTES_DW / (int64_t)sizeof(float) / V));
    if (n == 0 || !begin(&j, slab, V))
        return;
    j.cols = V;
    for (j.row0 = 0; j.row0 < n; j.row0 += slab) {
        j.rows = MIN(slab, n - j.row0);
        state_clear(&j);
        logits(&j);
        run(&j, piece_running);
        write_results(&j, logp, NULL);
        run(&j, piece_gradient);
        add_dh(&j, dh);
        if (dw)
            add_dw(&j, dw);
        if (db)
            add_db(&j, db);
    }
}
