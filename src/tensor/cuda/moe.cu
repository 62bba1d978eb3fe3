/* moe.cu - mixture of experts: routing tokens, counting where they went, bringing the experts' rows back.
 * Main structs: Route, Combine. A row of logits or probabilities belongs to a warp: lane l holds experts l, l + 32, ...
 * Invariants: experts are chosen by their logits in a total order (ordered_key), so every row gets top_k different ones whatever it holds. Rows that come back to one
 * row of y are added by one block, in order of their index. */
#include "tensor/cuda/lanes.cuh"

#define BLOCK 256
#define WARPS (BLOCK / 32)

/* ---- route ---- */

typedef struct Route {
    const float   *logits, *prob, *dweight, *aux;   /* route_bwd: dweight, aux NULL: none */
    float         *weight, *prob_out, *dlogits;
    const int32_t *pick;
    int32_t       *pick_out;
    int64_t        T, ld_logits, ld_prob, ld_weight, ld_pick;
    int            E, K;
    bool           renormalise;
} Route;

/* Numbers as integers of the same order, from 1 on; 0 and -0 are equal, NaN has a place at an end. */
static __host__ __device__ inline uint32_t ordered_key(float x)
{
    uint32_t bits;
    x += 0.0f; /* -0 becomes 0 */
    memcpy(&bits, &x, sizeof bits);
    return bits & 0x80000000u ? max(~bits, 1u) : bits | 0x80000000u;
}

static __device__ inline float lanes_top(float v)
{
#pragma unroll
    for (int apart = 16; apart > 0; apart /= 2)
        v = fmaxf(v, __shfl_xor_sync(ALL_LANES, v, apart));
    return v;
}
static __device__ inline uint32_t lanes_top(uint32_t v)
{
#pragma unroll
    for (int apart = 16; apart > 0; apart /= 2)
        v = max(v, __shfl_xor_sync(ALL_LANES, v, apart));
    return v;
}

/* Reads 4 bytes for each expert and writes 4; K passes over registers, with 10 shuffles each. Small beside the product that made the logits: bounded by latency. */
template <int each> static __global__ void __launch_bounds__(BLOCK) route_rows(Route a)
{
    const int lane = threadIdx.x % 32;
    for (int64_t t = (int64_t)blockIdx.x * WARPS + threadIdx.x / 32; t < a.T; t += (int64_t)gridDim.x * WARPS) {
        const float *z = a.logits + t * a.ld_logits;
        float        p[each], top = -INFINITY, sum = 0, kept = 0;
        uint32_t     key[each]; /* 0: no expert, or chosen */
#pragma unroll
        for (int j = 0; j < each; j++) {
            const int e = j * 32 + lane;
            p[j] = e < a.E ? z[e] : -INFINITY;
            key[j] = e < a.E ? ordered_key(p[j]) : 0;
            top = fmaxf(top, p[j]);
        }
        top = lanes_top(top);
#pragma unroll
        for (int j = 0; j < each; j++) {
            p[j] = j * 32 + lane < a.E ? expf(p[j] - top) : 0.0f;
            sum += p[j];
        }
        sum = lanes_sum<32>(sum);
#pragma unroll
        for (int j = 0; j < each; j++) {
            const int e = j * 32 + lane;
            p[j] /= sum;
            if (e < a.E)
                a.prob_out[t * a.ld_prob + e] = p[j];
        }
        for (int k = 0; k < a.K; k++) {
            uint32_t best = 0;
            int      at = 0;
            float    pk = 0;
#pragma unroll
            for (int j = 0; j < each; j++) {
                if (key[j] > best) { /* the lower one among equals */
                    best = key[j];
                    at = j * 32 + lane;
                    pk = p[j];
                }
            }
            const uint32_t most = lanes_top(best);
            const int      e = (int)~lanes_top(best == most ? ~(uint32_t)at : 0u); /* the lowest of those that have it */
            pk = __shfl_sync(ALL_LANES, pk, e % 32);
            kept += pk;
#pragma unroll
            for (int j = 0; j < each; j++) {
                if (j * 32 + lane == e)
                    key[j] = 0;
            }
            if (lane == k % 32) {
                a.pick_out[t * a.ld_pick + k] = e;
                a.weight[t * a.ld_weight + k] = pk;
            }
        }
        for (int k = lane; a.renormalise && k < a.K; k += 32) /* what this lane wrote */
            a.weight[t * a.ld_weight + k] /= kept;
    }
}

static unsigned warp_blocks(int64_t rows) { return (unsigned)MIN(pieces(rows, WARPS), 1 << 30); }

void cuda_route(Backend *be, Tensor *weight, Tensor *pick, Tensor *prob, const Tensor *logits, const RouteCfg *cfg)
{
    Cuda     *c = cuda_of(be);
    const Mat z = mat_of(logits), p = mat_of(prob), w = mat_of(weight);
    BUG_ON(z.cols > 1024 || cfg->top_k > z.cols); /* as many as a warp holds, and as a family may have */
    if (!cuda_ok(c) || z.rows == 0 || z.cols == 0)
        return;
    Route a = {};
    a.logits = z.p;
    a.ld_logits = z.ld;
    a.prob_out = p.p;
    a.ld_prob = p.ld;
    a.weight = w.p;
    a.ld_weight = w.ld;
    a.pick_out = (int32_t *)pick->data;
    a.ld_pick = pick->ld;
    a.T = z.rows;
    a.E = (int)z.cols;
    a.K = cfg->top_k;
    a.renormalise = cfg->renormalise;
    if (a.E <= 128)
        CUDA_LAUNCH(c, warp_blocks(a.T), BLOCK, 0, route_rows<4>, a);
    else if (a.E <= 256)
        CUDA_LAUNCH(c, warp_blocks(a.T), BLOCK, 0, route_rows<8>, a);
    else
        CUDA_LAUNCH(c, warp_blocks(a.T), BLOCK, 0, route_rows<32>, a);
}

/* With w_k = p_k / s, s the sum of the picked (or 1):  dp_k = (dw_k - sum dw w) / s (or dw_k), plus aux;  dz += p (dp - sum p dp). Reads p twice, the second time from the cache, and
 * reads and writes dz, 12 bytes for each expert: bounded by latency, as route is. */
static __device__ inline float route_share(const Route *a, float dw, float inner, float kept)
{
    return a->renormalise ? (dw - inner / kept) / kept : dw;
}

static __global__ void __launch_bounds__(BLOCK) route_backward(Route a)
{
    const int lane = threadIdx.x % 32, K = a.dweight ? a.K : 0;
    for (int64_t t = (int64_t)blockIdx.x * WARPS + threadIdx.x / 32; t < a.T; t += (int64_t)gridDim.x * WARPS) {
        const float   *p = a.prob + t * a.ld_prob, *dw = a.dweight + t * a.ld_weight;
        const int32_t *pick = a.pick + t * a.ld_pick;
        float         *dz = a.dlogits + t * a.ld_logits, kept = 0, inner = 0, mean = 0;
        for (int k = lane; k < K; k += 32) {
            kept += p[pick[k]];
            inner = fmaf(dw[k], p[pick[k]], inner);
        }
        kept = lanes_sum<32>(kept);
        inner = lanes_sum<32>(inner);
        for (int e = lane; a.aux && e < a.E; e += 32)
            mean = fmaf(p[e], a.aux[e], mean);
        for (int k = lane; k < K; k += 32)
            mean = fmaf(p[pick[k]], route_share(&a, dw[k], inner, kept), mean);
        mean = lanes_sum<32>(mean);
        for (int e = lane; e < a.E; e += 32) {
            float dp = a.aux ? a.aux[e] : 0.0f;
            for (int k = 0; k < K; k++) {
                if (pick[k] == e)
                    dp += route_share(&a, dw[k], inner, kept);
            }
            dz[e] = fmaf(p[e], dp - mean, dz[e]);
        }
    }
}

void cuda_route_bwd(Backend *be, Tensor *dlogits, const Tensor *dweight, const float *aux, const Tensor *pick, const Tensor *prob, const RouteCfg *cfg)
{
    Cuda     *c = cuda_of(be);
    const Mat dz = mat_of(dlogits), p = mat_of(prob), dw = mat_of(dweight);
    if (!cuda_ok(c) || p.rows == 0 || p.cols == 0)
        return;
    Route a = {};
    a.dlogits = dz.p;
    a.ld_logits = dz.ld;
    a.prob = p.p;
    a.ld_prob = p.ld;
    a.dweight = dw.p;
    a.ld_weight = dw.ld;
    a.aux = aux ? (const float *)cuda_stage(c, aux, (size_t)p.cols * sizeof(float)) : NULL;
    a.pick = i32_of(pick);
    a.ld_pick = pick->ld;
    a.T = p.rows;
    a.E = (int)p.cols;
    a.K = cfg->top_k;
    a.renormalise = cfg->renormalise;
    if (cuda_ok(c))
        CUDA_LAUNCH(c, warp_blocks(a.T), BLOCK, 0, route_backward, a);
}

/* ---- where tokens went ---- */

#define COUNT_LEAST 32   /* rows of a part */
#define COUNT_PARTS 256  /* at most */

/* A block sums a run of rows, one expert to a thread: part[run][0 .. E) tokens, [E .. 2 E) probabilities. Reads 4 bytes for each expert and goes over the run's picks from
 * the cache: bounded by latency, some microseconds. */
static __global__ void __launch_bounds__(BLOCK) route_counts(double *part, Route a, int64_t parts)
{
    const int64_t first = a.T * blockIdx.x / parts, end = a.T * (blockIdx.x + 1) / parts;
    for (int e = (int)threadIdx.x; e < a.E; e += BLOCK) {
        int64_t count = 0;
        double  sum = 0;
        for (int64_t t = first; t < end; t++) {
            for (int k = 0; k < a.K; k++)
                count += a.pick[t * a.ld_pick + k] == e;
            sum += (double)a.prob[t * a.ld_prob + e];
        }
        part[blockIdx.x * 2 * (int64_t)a.E + e] = (double)count;
        part[blockIdx.x * 2 * (int64_t)a.E + a.E + e] = sum;
    }
}

void cuda_route_count(Backend *be, double *count, double *sum, const Tensor *pick, const Tensor *prob)
{
    Cuda     *c = cuda_of(be);
    const Mat p = mat_of(prob);
    double    both[2 * 1024];
    BUG_ON(p.cols > 1024);
    if (!cuda_ok(c) || p.rows == 0 || p.cols == 0)
        return;
    Route a = {};
    a.prob = p.p;
    a.ld_prob = p.ld;
    a.pick = i32_of(pick);
    a.ld_pick = pick->ld;
    a.T = p.rows;
    a.E = (int)p.cols;
    a.K = (int)tensor_cols(pick);
    const int64_t parts = MIN(pieces(a.T, COUNT_LEAST), COUNT_PARTS), n = 2 * p.cols;
    double       *part = (double *)cuda_slot(c, SLOT_SUMS, (size_t)((parts + 1) * n) * sizeof(double)), *total = part + parts * n;
    if (!part)
        return;
    for (int64_t e = 0; e < n; e++)
        both[e] = 0;
    be->upload(be, total, both, (size_t)n * sizeof(double));
    CUDA_LAUNCH(c, (unsigned)parts, BLOCK, 0, route_counts, part, a, parts);
    cuda_sum_parts_double(c, total, part, parts, n);
    cuda_fetch(c, both, total, (size_t)n * sizeof(double));
    for (int64_t e = 0; e < p.cols && cuda_ok(c); e++) {
        count[e] += both[e];
        sum[e] += both[p.cols + e];
    }
}

/* ---- combine ---- */

typedef struct Combine {
    Mat            x, y;                /* combine_bwd: y is dy */
    float         *dx, *dweight;        /* NULL: not wanted */
    const float   *weight;              /* NULL: 1 */
    const int32_t *rows, *pick;
    int64_t        ld_dx, n;
} Combine;

#define COMBINE_BLOCKS 1024     /* about so many, each with a run of y's rows */
#define CHUNK          (BLOCK * 4) /* places that a block looks through at a time, four to a thread */

/* A block owns a run of rows of y: it goes through all of `rows`, notes in order what is for it, and adds that. Reads x and y and writes y, 12 bytes of each number of x, and
 * 4 blocks bytes of each place from the cache, a tenth of that for 4096 columns: bounded by memory, at least 75 % of the copy rate. */
template <int width> static __global__ void __launch_bounds__(BLOCK) combine_rows(Combine a)
{
    __shared__ int32_t found_row[CHUNK];
    __shared__ int32_t found_at[CHUNK];
    __shared__ float   found_f[CHUNK];
    __shared__ int32_t warp_found[WARPS];
    const int64_t      first = a.y.rows * blockIdx.x / gridDim.x, end = a.y.rows * (blockIdx.x + 1) / gridDim.x;
    const int          lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    for (int64_t chunk = 0; chunk < a.n; chunk += CHUNK) {
        const int64_t at = chunk + threadIdx.x * 4;
        int32_t       row[4], mine = 0, before = 0, all = 0;
#pragma unroll
        for (int k = 0; k < 4; k++) {
            row[k] = at + k < a.n ? a.rows[at + k] : -1;
            if (row[k] < first || row[k] >= end)
                row[k] = -1;
            mine += row[k] >= 0;
        }
        int32_t upto = mine; /* of the warp's lanes up to this one */
#pragma unroll
        for (int apart = 1; apart < 32; apart *= 2) {
            const int32_t lower = __shfl_sync(ALL_LANES, upto, (lane - apart) & 31);
            upto += lane >= apart ? lower : 0;
        }
        if (lane == 31)
            warp_found[warp] = upto;
        __syncthreads();
#pragma unroll
        for (int i = 0; i < WARPS; i++) {
            before += i < warp ? warp_found[i] : 0;
            all += warp_found[i];
        }
        before += upto - mine;
#pragma unroll
        for (int k = 0; k < 4; k++) {
            if (row[k] >= 0) {
                found_row[before] = row[k];
                found_at[before] = threadIdx.x * 4 + k;
                found_f[before] = a.weight ? a.weight[a.pick[at + k]] : 1.0f;
                before++;
            }
        }
        __syncthreads();
        for (int i = 0; i < all; i++) {
            const float *x = a.x.p + (chunk + found_at[i]) * a.x.ld;
            float       *y = a.y.p + found_row[i] * a.y.ld;
            const float  f = found_f[i];
#pragma unroll 4
            for (int64_t col = threadIdx.x * width; col < a.x.cols; col += BLOCK * width) {
                float v[width], to[width];
                load<width>(v, x + col);
                load<width>(to, y + col);
#pragma unroll
                for (int k = 0; k < width; k++)
                    to[k] = fmaf(f, v[k], to[k]);
                store<width>(y + col, to);
            }
        }
        __syncthreads(); /* the notes are free again */
    }
}

static Combine combine_of(const Tensor *y, const Tensor *x, const Tensor *rows, const Tensor *weight, const Tensor *pick)
{
    Combine a = {};
    a.x = mat_of(x);
    a.y = mat_of(y);
    a.weight = mat_of(weight).p;
    a.rows = i32_of(rows);
    a.pick = pick ? i32_of(pick) : NULL;
    a.n = a.x.rows;
    return a;
}

void cuda_combine(Backend *be, Tensor *y, const Tensor *x, const Tensor *rows, const Tensor *weight, const Tensor *pick)
{
    Cuda         *c = cuda_of(be);
    const Combine a = combine_of(y, x, rows, weight, pick);
    if (!cuda_ok(c) || a.n == 0 || a.x.cols == 0)
        return;
    const unsigned blocks = (unsigned)MIN(a.y.rows, COMBINE_BLOCKS);
    if (mat_by_four(&a.x) && mat_by_four(&a.y))
        CUDA_LAUNCH(c, blocks, BLOCK, 0, combine_rows<4>, a);
    else
        CUDA_LAUNCH(c, blocks, BLOCK, 0, combine_rows<1>, a);
}

/* A block for each place. Reads dy and dx, writes dx, and for dweight reads x: 16 bytes of each number, bounded by memory, at least 85 % of the copy rate. */
template <int width> static __global__ void __launch_bounds__(BLOCK) combine_backward(Combine a)
{
    __shared__ float room[WARPS_MOST];
    for (int64_t i = blockIdx.x; i < a.n; i += gridDim.x) {
        const float *dy = a.y.p + a.rows[i] * a.y.ld, *x = a.x.p + i * a.x.ld, f = a.weight ? a.weight[a.pick[i]] : 1.0f;
        float        dot[1] = { 0 };
#pragma unroll 4
        for (int64_t col = threadIdx.x * width; col < a.x.cols; col += BLOCK * width) {
            float d[width], v[width];
            load<width>(d, dy + col);
            if (a.dweight) {
                load<width>(v, x + col);
#pragma unroll
                for (int k = 0; k < width; k++)
                    dot[0] = fmaf(d[k], v[k], dot[0]);
            }
            if (a.dx) {
                load<width>(v, a.dx + i * a.ld_dx + col);
#pragma unroll
                for (int k = 0; k < width; k++)
                    v[k] = fmaf(f, d[k], v[k]);
                store<width>(a.dx + i * a.ld_dx + col, v);
            }
        }
        if (a.dweight) {
            row_sums<BLOCK, 1>(dot, room);
            if (threadIdx.x == 0)
                a.dweight[a.pick[i]] += dot[0];
            __syncthreads();
        }
    }
}

void cuda_combine_bwd(Backend *be, Tensor *dx, Tensor *dweight, const Tensor *dy, const Tensor *x, const Tensor *rows, const Tensor *weight, const Tensor *pick)
{
    Cuda     *c = cuda_of(be);
    Combine   a = combine_of(dy, x, rows, weight, pick);
    const Mat out = mat_of(dx);
    a.dx = out.p;
    a.ld_dx = out.ld;
    a.dweight = mat_of(dweight).p;
    if (!cuda_ok(c) || a.n == 0 || a.x.cols == 0)
        return;
    const Combine  args = a;
    const unsigned blocks = (unsigned)MIN(a.n, 1 << 30);
    if (mat_by_four(&a.x) && mat_by_four(&a.y) && by_four(a.dx, a.ld_dx, a.x.cols))
        CUDA_LAUNCH(c, blocks, BLOCK, 0, combine_backward<4>, args);
    else
        CUDA_LAUNCH(c, blocks, BLOCK, 0, combine_backward<1>, args);
}
