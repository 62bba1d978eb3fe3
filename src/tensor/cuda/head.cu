/* head.cu - projection to the vocabulary, log-softmax and pick; never T x V logits.
 *
 * Rows of h are taken in chunks whose whole logits fit in LOGIT_BYTES (2,600 rows at 128k words, 1,300 at 256k). For the fused form a chunk is: logits by one product,
 * one kernel that finds maximum and sum of each row, writes the log-probability of the target and puts the gradient over the logits, products for dh and dw. The
 * gradient is what the next products read: F32, or with COMPUTE_BF16 already bf16, lying in the first half of its row of logits.
 * Where that many logits of one row would leave chunks of less than LEAST_ROWS rows, columns are cut as well: a first pass over the pieces carries maximum and
 * sum of each row along (RowState), a second builds the logits again and turns each piece into its gradient. The separate forms are those two passes.
 * w is read where it lies when it has the product's type, else widened in panels of rows (SLOT_B); logits take the panels upwards, dh and dw downwards, so that
 * the last one serves twice.
 * Invariants: chunks, pieces and panels follow from shapes (and panel_bytes) alone; a row is worked on by one block, whose sums have a fixed order.
 * To add a form: its passes over chunks, the kernels are per row. */
#include "tensor/cuda/cuda_int.h"
#include "tensor/cuda/quant.cuh"

#define LOGIT_BYTES ((int64_t)1280 << 20)
#define PANEL_BYTES ((int64_t)512 << 20)  /* larger than linear's: every chunk widens all panels but one again */
#define LEAST_ROWS  256                   /* fewer rows would leave the product waiting for w; reached above 1.3 million words */
#define MOST_ROWS   4096
#define MOST_WARPS  16

typedef struct RowState { float top, sum, picked; } RowState; /* largest logit, sum of exp(z - top), the target's logit */

/* Which of the columns of a chunk [rows, cols] are whose, and where they stand. */
typedef struct Chunk {
    float        *z;
    int64_t       ld, cols, col0, row0; /* col0: of the vocabulary; row0: of h */
    const int32_t *target;
    float         cap;
} Chunk;

typedef struct PerRow { float *p; int64_t step; } PerRow; /* p NULL: none */

/* ---- one number ---- */

static __host__ __device__ __forceinline__ float head_capped(float z, float cap) { return cap > 0.0f ? cap * tanhf(z / cap) : z; }
static __host__ __device__ __forceinline__ float head_slope(float z, float cap) /* of z = head_capped(x) */
{
    const float t = cap > 0.0f ? z / cap : 0.0f;
    return 1.0f - t * t;
}

/* Two parts of a row become one. */
static __host__ __device__ __forceinline__ void head_join(float *top, float *sum, float top2, float sum2)
{
    const float t = fmaxf(*top, top2);
    if (t == -INFINITY) { /* nothing but -infinity in either: sums of nothing, or of a NaN */
        *sum += sum2;
        return;
    }
    *sum = *sum * expf(*top - t) + sum2 * expf(top2 - t);
    *top = t;
}

/* d(loss)/d(z) of a logit z with probability p. */
static __host__ __device__ __forceinline__ float head_gradient_of(float z, float p, bool is_target, float coef, float cap)
{
    return coef * ((is_target ? 1.0f : 0.0f) - p) * head_slope(z, cap);
}

/* ---- one row, by one block ---- */

/* Numbers [i, i + 4) of a row of logits, capped; -infinity beyond the end. */
static __device__ __forceinline__ float4 four_logits(const float *z, int64_t i, int64_t n, float cap)
{
    float4 v = *(const float4 *)(z + i); /* rows are whole groups of four */
    v.x = head_capped(v.x, cap);
    v.y = i + 1 < n ? head_capped(v.y, cap) : -INFINITY;
    v.z = i + 2 < n ? head_capped(v.z, cap) : -INFINITY;
    v.w = i + 3 < n ? head_capped(v.w, cap) : -INFINITY;
    return v;
}

/* Largest and sum of exp for all threads of the block. A NaN makes the sum one. */
static __device__ __forceinline__ void row_top_sum(float *top, float *sum, const float *z, int64_t n, float cap)
{
    __shared__ float tops[MOST_WARPS], sums[MOST_WARPS];
    float t = -INFINITY, s = 0.0f;
    for (int64_t i = (int64_t)threadIdx.x * 4; i < n; i += (int64_t)blockDim.x * 4) {
        const float4 v = four_logits(z, i, n, cap);
        const float  high = fmaxf(fmaxf(v.x, v.y), fmaxf(v.z, v.w)), base = high == -INFINITY ? 0.0f : high;
        head_join(&t, &s, high, expf(v.x - base) + expf(v.y - base) + expf(v.z - base) + expf(v.w - base));
    }
#pragma unroll
    for (int step = 16; step > 0; step /= 2) {
        const float t2 = __shfl_xor_sync(0xffffffffu, t, step), s2 = __shfl_xor_sync(0xffffffffu, s, step);
        head_join(&t, &s, t2, s2);
    }
    if (threadIdx.x % 32 == 0) {
        tops[threadIdx.x / 32] = t;
        sums[threadIdx.x / 32] = s;
    }
    __syncthreads();
    t = tops[0];
    s = sums[0];
    for (int w = 1; w < (int)blockDim.x / 32; w++)
        head_join(&t, &s, tops[w], sums[w]);
    *top = t;
    *sum = s;
}

/* The row of logits becomes that of gradients: p = exp(z - top) factor. As bf16 it moves into the first half: what a sweep of the block writes lies below what it
 * has read, behind the barrier. */
template <bool bf16>
static __device__ __forceinline__ void row_gradient(float *z, int64_t n, int64_t target, float top, float factor, float coef, float cap)
{
    const int64_t sweep = (int64_t)blockDim.x * 4;
    for (int64_t first = 0; first < n; first += sweep) {
        const int64_t i = first + threadIdx.x * 4;
        float4        g = make_float4(0.0f, 0.0f, 0.0f, 0.0f); /* also of the columns that fill the last four */
        if (i < n) {
            const float4 v = four_logits(z, i, n, cap);
            g.x = head_gradient_of(v.x, expf(v.x - top) * factor, i == target, coef, cap);
            g.y = i + 1 < n ? head_gradient_of(v.y, expf(v.y - top) * factor, i + 1 == target, coef, cap) : 0.0f;
            g.z = i + 2 < n ? head_gradient_of(v.z, expf(v.z - top) * factor, i + 2 == target, coef, cap) : 0.0f;
            g.w = i + 3 < n ? head_gradient_of(v.w, expf(v.w - top) * factor, i + 3 == target, coef, cap) : 0.0f;
        }
        if (bf16)
            __syncthreads();
        if (i < n && bf16)
            *(uint2 *)((uint16_t *)z + i) = make_uint2(bf16_pair(g.x, g.y), bf16_pair(g.z, g.w));
        else if (i < n)
            *(float4 *)(z + i) = g;
    }
}

/* Bytes for a logit: 4 twice read (a row of 128k leaves the second cache between the two), 2 or 4 written: 10 or 12. Bound by memory, bar 3.5 TB/s; at 128k words and D
 * 4096 in bf16 that is 3 us a row, the two products 5.5 us. */
template <bool bf16> static __global__ void __launch_bounds__(MOST_WARPS * 32, 2) head_rows_fused(const Chunk k, const PerRow logp, const PerRow coef)
{
    const int64_t r = blockIdx.x, row = k.row0 + r, t = k.target[row] - k.col0;
    float        *z = k.z + r * k.ld, top, sum;
    row_top_sum(&top, &sum, z, k.cols, k.cap);
    if (threadIdx.x == 0)
        logp.p[row * logp.step] = head_capped(z[t], k.cap) - top - logf(sum);
    __syncthreads(); /* before the target's logit is written over */
    row_gradient<bf16>(z, k.cols, t, top, 1.0f / sum, coef.p[row * coef.step], k.cap);
}

/* 4 bytes a logit, bar 3.7 TB/s. */
static __global__ void __launch_bounds__(MOST_WARPS * 32, 2) head_rows_forward(const Chunk k, RowState *state, const bool first, const bool last, const PerRow logp, const PerRow lse)
{
    const int64_t r = blockIdx.x, row = k.row0 + r, t = k.target[row] - k.col0;
    float         top, sum;
    row_top_sum(&top, &sum, k.z + r * k.ld, k.cols, k.cap);
    if (threadIdx.x != 0)
        return;
    RowState s = { -INFINITY, 0.0f, 0.0f };
    if (!first)
        s = state[r];
    head_join(&s.top, &s.sum, top, sum);
    if (t >= 0 && t < k.cols)
        s.picked = head_capped(k.z[r * k.ld + t], k.cap);
    state[r] = s;
    if (last) {
        logp.p[row * logp.step] = s.picked - s.top - logf(s.sum);
        if (lse.p)
            lse.p[row * lse.step] = s.top + logf(s.sum);
    }
}

/* 4 bytes read, 2 or 4 written, bar 3.7 TB/s. */
template <bool bf16> static __global__ void __launch_bounds__(MOST_WARPS * 32, 2) head_rows_backward(const Chunk k, const PerRow lse, const PerRow coef)
{
    const int64_t r = blockIdx.x, row = k.row0 + r;
    row_gradient<bf16>(k.z + r * k.ld, k.cols, k.target[row] - k.col0, lse.p[row * lse.step], 1.0f, coef.p[row * coef.step], k.cap);
}

/* db += column sums of the gradient, in runs of 64 rows. 2 or 4 bytes an element, neighbours by neighbours; bar 2.5 TB/s (few threads: one for each word). */
template <bool bf16> static __global__ void __launch_bounds__(128) head_columns(const Chunk k, int64_t rows, float *db)
{
    const int64_t j = (int64_t)blockIdx.x * 128 + threadIdx.x;
    if (j >= k.cols)
        return;
    float sum = 0.0f;
    for (int64_t r = 0; r < rows;) {
        const int64_t end = r + 64 < rows ? r + 64 : rows;
        float         run = 0.0f;
#pragma unroll 8
        for (; r < end; r++)
            run += bf16 ? bf16_wide(((const uint16_t *)(k.z + r * k.ld))[j]) : k.z[r * k.ld + j];
        sum += run;
    }
    db[k.col0 + j] += sum;
}

/* ---- chunks ---- */

typedef struct Head {
    Cuda         *c;
    const Tensor *h, *w, *b;
    HeadCfg       cfg;
    DType         type;           /* of the products */
    int64_t       n, V, D;
    int64_t       rows, cols;     /* of a chunk; cols V: whole rows */
    bool          ready;          /* w is read where it lies */
    int64_t       panel, held;    /* rows of w in a panel; the first row of the one in SLOT_B, -1: none */
    void         *wide, *hs;      /* SLOT_B, SLOT_A */
    RowState     *state;
    PerRow        lse;            /* fused, with cut columns: its own */
    const float  *bias;
    Chunk         chunk;
    int64_t       chunk_rows;
} Head;

static int64_t whole8(int64_t n) { return (n + 7) / 8 * 8; }
static int64_t size_of(const Head *d) { return d->type == DT_BF16 ? 2 : 4; }

static PerRow per_row(const Tensor *t)
{
    PerRow p = { NULL, 0 };
    if (t) {
        BUG_ON(t->dtype != DT_F32);
        p.p = (float *)t->data;
        p.step = step_of(t);
    }
    return p;
}

static bool begin(Head *d, Backend *be, const Tensor *h, const Tensor *w, const Tensor *b, const Tensor *target, const HeadCfg *cfg)
{
    Cuda *c = cuda_of(be);
    memset(d, 0, sizeof *d);
    d->c = c;
    d->h = h;
    d->w = w;
    d->b = b;
    d->cfg = *cfg;
    d->type = be->compute == COMPUTE_BF16 ? DT_BF16 : DT_F32;
    d->n = tensor_rows(h);
    d->V = tensor_rows(w);
    d->D = tensor_cols(h);
    if (!cuda_ok(c) || d->n == 0)
        return false;
    const int64_t limit = c->panel_bytes ? c->panel_bytes : LOGIT_BYTES, wide = c->panel_bytes ? c->panel_bytes : PANEL_BYTES, ld = whole8(d->D);
    d->rows = MIN(MIN(d->n, MOST_ROWS), limit / 4 / whole8(d->V));
    d->cols = d->V;
    if (d->rows < MIN(d->n, LEAST_ROWS)) {
        d->rows = MIN(d->n, LEAST_ROWS);
        d->cols = MIN(d->V, MAX(1, limit / 4 / d->rows / 64) * 64);
    } else if (d->rows < d->n && d->rows >= 128) {
        d->rows = d->rows / 128 * 128;
    }
    d->held = -1;
    d->ready = w->dtype == d->type && (d->type == DT_F32 || (w->ld % 8 == 0 && (uintptr_t)w->data % 16 == 0));
    d->panel = d->ready ? d->V : MIN(d->V, MAX(1, wide / (ld * size_of(d)) / 64) * 64);
    d->chunk.ld = whole8(d->cols);
    d->chunk.target = i32_of(target);
    d->chunk.cap = cfg->softcap;
    d->bias = cuda_vector(c, SLOT_BIAS, b);
    d->chunk.z = (float *)cuda_slot(c, SLOT_LOGITS, (size_t)(d->rows * d->chunk.ld) * sizeof(float));
    const size_t states = (size_t)d->rows * sizeof(RowState);
    char *per = (char *)cuda_slot(c, SLOT_ROWS, states + (size_t)d->n * sizeof(float));
    d->state = (RowState *)per;
    d->lse.p = (float *)(per + states);
    d->lse.step = 1;
    if (!d->ready)
        d->wide = cuda_slot(c, SLOT_B, (size_t)(d->panel * ld * size_of(d)));
    if (d->type == DT_BF16)
        d->hs = cuda_slot(c, SLOT_A, (size_t)(d->rows * ld) * sizeof(uint16_t));
    return cuda_ok(c);
}

static void rows_at(Head *d, int64_t row)
{
    d->chunk.row0 = row;
    d->chunk_rows = MIN(d->rows, d->n - row);
    if (d->type == DT_BF16)
        cuda_widen(d->c, d->hs, DT_BF16, whole8(d->D), d->h, row, d->chunk_rows);
}

static void cols_at(Head *d, int64_t col)
{
    d->chunk.col0 = col;
    d->chunk.cols = MIN(d->cols, d->V - col);
}

/* Rows of h as the products read them. */
static const void *h_operand(const Head *d, int64_t *ld)
{
    *ld = d->type == DT_BF16 ? whole8(d->D) : d->h->ld;
    return d->type == DT_BF16 ? d->hs : (const void *)((const float *)d->h->data + d->chunk.row0 * d->h->ld);
}

/* Rows [v, ...) of w as the products read them; v begins a panel, or lies in one. */
static const void *w_operand(Head *d, int64_t v, int64_t *ld)
{
    if (d->ready) {
        *ld = d->w->ld;
        return (const char *)d->w->data + dtype_bytes(d->w->dtype, v * d->w->ld);
    }
    const int64_t first = v / d->panel * d->panel;
    *ld = whole8(d->D);
    if (d->held != first)
        cuda_widen(d->c, d->wide, d->type, *ld, d->w, first, MIN(d->panel, d->V - first));
    d->held = first;
    return (const char *)d->wide + (v - first) * *ld * size_of(d);
}

/* The stretch of this piece's columns that one panel of w covers: the first from col on, or the last before it. */
static int64_t stretch_up(const Head *d, int64_t col) { return MIN(d->chunk.col0 + d->chunk.cols, (col / d->panel + 1) * d->panel); }
static int64_t stretch_down(const Head *d, int64_t end) { return MAX(d->chunk.col0, (end - 1) / d->panel * d->panel); }

static void make_logits(Head *d)
{
    const int64_t end = d->chunk.col0 + d->chunk.cols;
    for (int64_t v = d->chunk.col0, next; v < end; v = next) {
        int64_t lda, ldb;
        next = stretch_up(d, v);
        const void *a = h_operand(d, &lda), *b = w_operand(d, v, &ldb);
        const CudaGemm g = { d->chunk_rows, next - v, d->D, d->type, a, b, lda, ldb, true, true, d->chunk.z + v - d->chunk.col0, d->chunk.ld, d->cfg.scale, 0.0f,
                             d->bias ? d->bias + v : NULL, false };
        cuda_gemm(d->c, &g);
    }
}

/* dh (+)= scale z w; replace: the first stretch of a row's columns writes, all others add. */
static void add_dh(Head *d, Tensor *dh, bool replace)
{
    const Mat out = mat_of(dh);
    for (int64_t end = d->chunk.col0 + d->chunk.cols, v; end > d->chunk.col0; end = v) {
        v = stretch_down(d, end);
        int64_t        ldb;
        const void    *b = w_operand(d, v, &ldb);
        const int64_t  lda = d->type == DT_BF16 ? 2 * d->chunk.ld : d->chunk.ld;
        const CudaGemm g = { d->chunk_rows, d->D, end - v, d->type, (const char *)d->chunk.z + (v - d->chunk.col0) * size_of(d), b, lda, ldb, true, false,
                             out.p + d->chunk.row0 * out.ld, out.ld, d->cfg.scale, replace ? 0.0f : 1.0f, NULL, false };
        cuda_gemm(d->c, &g);
        replace = false;
    }
}

/* dw += scale z' h, db += column sums of z */
static void add_dw_db(Head *d, Tensor *dw, Tensor *db)
{
    const Chunk   k = d->chunk;
    const int64_t rows = d->chunk_rows;
    if (dw) {
        int64_t        ldb;
        const Mat      out = mat_of(dw);
        const void    *b = h_operand(d, &ldb);
        const CudaGemm g = { k.cols, d->D, rows, d->type, k.z, b, d->type == DT_BF16 ? 2 * k.ld : k.ld, ldb, false, false, out.p + k.col0 * out.ld, out.ld, d->cfg.scale,
                             1.0f, NULL, false };
        cuda_gemm(d->c, &g);
    }
    if (db) {
        float *p = mat_of(db).p;
        if (d->type == DT_BF16)
            CUDA_LAUNCH(d->c, (unsigned)((k.cols + 127) / 128), 128, 0, (head_columns<true>), k, rows, p);
        else
            CUDA_LAUNCH(d->c, (unsigned)((k.cols + 127) / 128), 128, 0, (head_columns<false>), k, rows, p);
    }
}

/* Threads of a block for a row. */
static unsigned threads_of(const Head *d) { return d->chunk.cols >= 8192 ? MOST_WARPS * 32 : 128; }

static void forward_rows(Head *d, PerRow logp, PerRow lse)
{
    for (int64_t col = 0; col < d->V; col += d->cols) {
        cols_at(d, col);
        make_logits(d);
        const Chunk k = d->chunk;
        RowState   *state = d->state;
        const bool  first = col == 0, last = col + d->cols >= d->V;
        CUDA_LAUNCH(d->c, (unsigned)d->chunk_rows, threads_of(d), 0, head_rows_forward, k, state, first, last, logp, lse);
    }
}

static void backward_rows(Head *d, PerRow lse, PerRow coef, Tensor *dh, Tensor *dw, Tensor *db, bool replace)
{
    for (int64_t col = 0; col < d->V; col += d->cols) {
        cols_at(d, col);
        make_logits(d);
        const Chunk k = d->chunk;
        if (d->type == DT_BF16)
            CUDA_LAUNCH(d->c, (unsigned)d->chunk_rows, threads_of(d), 0, (head_rows_backward<true>), k, lse, coef);
        else
            CUDA_LAUNCH(d->c, (unsigned)d->chunk_rows, threads_of(d), 0, (head_rows_backward<false>), k, lse, coef);
        if (dh)
            add_dh(d, dh, replace && col == 0);
        add_dw_db(d, dw, db);
    }
}

void cuda_head_logp(Backend *be, Tensor *logp, Tensor *lse, const Tensor *h, const Tensor *w, const Tensor *b, const Tensor *target, const HeadCfg *cfg)
{
    Head d;
    if (!begin(&d, be, h, w, b, target, cfg))
        return;
    for (int64_t row = 0; row < d.n; row += d.rows) {
        rows_at(&d, row);
        forward_rows(&d, per_row(logp), per_row(lse));
    }
}

void cuda_head_logp_bwd(Backend *be, Tensor *dh, Tensor *dw, Tensor *db, const Tensor *dlogp, const Tensor *lse, const Tensor *h, const Tensor *w,
                        const Tensor *b, const Tensor *target, const HeadCfg *cfg)
{
    Head d;
    if ((!dh && !dw && !db) || !begin(&d, be, h, w, b, target, cfg))
        return;
    for (int64_t row = 0; row < d.n; row += d.rows) {
        rows_at(&d, row);
        backward_rows(&d, per_row(lse), per_row(dlogp), dh, dw, db, false);
    }
}

void cuda_head_fused(Backend *be, Tensor *logp, Tensor *dh, Tensor *dw, Tensor *db, const Tensor *h, const Tensor *w, const Tensor *b,
                     const Tensor *target, const Tensor *coef, const HeadCfg *cfg)
{
    Head d;
    if (!begin(&d, be, h, w, b, target, cfg))
        return;
    const PerRow p = per_row(logp), f = per_row(coef);
    for (int64_t row = 0; row < d.n; row += d.rows) {
        rows_at(&d, row);
        if (d.cols < d.V) {
            forward_rows(&d, p, d.lse);
            backward_rows(&d, d.lse, f, dh, dw, db, true);
            continue;
        }
        cols_at(&d, 0);
        make_logits(&d);
        const Chunk k = d.chunk;
        if (d.type == DT_BF16)
            CUDA_LAUNCH(d.c, (unsigned)d.chunk_rows, threads_of(&d), 0, (head_rows_fused<true>), k, p, f);
        else
            CUDA_LAUNCH(d.c, (unsigned)d.chunk_rows, threads_of(&d), 0, (head_rows_fused<false>), k, p, f);
        add_dh(&d, dh, true);
        add_dw_db(&d, dw, db);
    }
}
