/* norm.cu - rmsnorm and layernorm over groups of D = dim(w) numbers, with their gradients.
 * Main struct: Norm, what all kernels here take. A group lies in the registers of `lanes` threads, as fours of neighbours: part of a warp for the heads of a q/k norm, a
 * block for a model's width; a group is read once. What is too wide for that, or lies so that four numbers are not one access, goes through the plain kernels.
 *
 * Invariants: statistics are f32, summed in the order of lanes.cuh. The gradients of w and b are summed over runs of groups, whose number follows from the shape, then
 * over the runs in order (cuda_sum_parts). Where only dx is wanted nothing is written but dx.
 * To add a width: a row in `forward` and `backward`. */
#include "tensor/cuda/lanes.cuh"

typedef struct Norm {
    const float *x, *w, *b, *dy;    /* b NULL: none */
    float       *y, *stat, *dx;
    const float *saved;             /* stat, read */
    int64_t      ldx, ldy, ld_stat, ld_dy, ld_dx;
    int64_t      n, groups;         /* groups in all and in a row */
    int64_t      D;
    float        eps, offset;       /* offset: y = x^ (offset + w) */
    float       *part_w, *part_b;   /* [runs, D]; NULL: not wanted */
    int64_t      runs;
} Norm;

#define BLOCK 256 /* threads where a group needs fewer than a block */

static constexpr __host__ __device__ int block_of(int lanes) { return lanes > 32 ? lanes : BLOCK; }
static constexpr __host__ __device__ int slots_of(int lanes) { return block_of(lanes) / lanes; } /* groups that a block holds at a time */

/* Group i: its row, and the first of its columns over D. */
typedef struct Place { int64_t row, group; } Place;
static __device__ inline Place place_of(const Norm *a, int64_t i)
{
    if (a->groups == 1)
        return { i, 0 };
    const int64_t row = (uint32_t)i / (uint32_t)a->groups;
    return { row, i - row * a->groups };
}
static __device__ inline int64_t at(const Norm *a, Place p, int64_t ld) { return p.row * ld + p.group * a->D; }

typedef struct Stat { float mean, rstd; } Stat;
template <bool centred> static __device__ inline Stat stat_of(const Norm *a, Place p)
{
    const float *s = a->saved + p.row * a->ld_stat + p.group * (centred ? 2 : 1);
    return { centred ? s[0] : 0.0f, s[centred] };
}
template <bool centred> static __device__ inline void stat_put(const Norm *a, Place p, Stat s)
{
    float *to = a->stat + p.row * a->ld_stat + p.group * (centred ? 2 : 1);
    if (centred)
        to[0] = s.mean;
    to[centred] = s.rstd;
}

static __host__ __device__ inline float norm_rstd(float sum, int64_t D, float eps) { return 1.0f / sqrtf(sum / (float)D + eps); }
static __host__ __device__ inline float norm_y(float hat, float w, float offset, float b) { return fmaf(hat, offset + w, b); }

/* ---- forward ---- */

/* Reads and writes 4 bytes of each number: bounded by memory, at least 85 % of the copy rate. */
template <int lanes, int fours, bool centred> static __global__ void __launch_bounds__(block_of(lanes)) norm_forward(Norm a)
{
    __shared__ float room[2][WARPS_MOST];
    const int        lane = threadIdx.x % lanes;
    for (int64_t first = (int64_t)blockIdx.x * slots_of(lanes); first < a.n; first += (int64_t)gridDim.x * slots_of(lanes)) {
        const int64_t i = first + threadIdx.x / lanes;
        const int     D = i < a.n ? (int)a.D : 0; /* no columns: the lanes only take part in the sums */
        const Place   p = place_of(&a, i < a.n ? i : first);
        const float  *x = a.x + at(&a, p, a.ldx);
        float         v[fours][4], sum[1] = { 0 };
        Stat          s = { 0, 0 };
#pragma unroll
        for (int j = 0; j < fours; j++) {
            const int col = (j * lanes + lane) * 4;
            v[j][0] = v[j][1] = v[j][2] = v[j][3] = 0;
            if (col < D)
                load<4>(v[j], x + col);
        }
        if (centred) {
#pragma unroll
            for (int j = 0; j < fours; j++)
                sum[0] += (v[j][0] + v[j][1]) + (v[j][2] + v[j][3]);
            row_sums<lanes, 1>(sum, room[0]);
            s.mean = sum[0] / (float)a.D;
            sum[0] = 0;
        }
#pragma unroll
        for (int j = 0; j < fours; j++) {
            if ((j * lanes + lane) * 4 < D) {
#pragma unroll
                for (int k = 0; k < 4; k++) {
                    v[j][k] -= s.mean;
                    sum[0] = fmaf(v[j][k], v[j][k], sum[0]);
                }
            }
        }
        row_sums<lanes, 1>(sum, room[1]);
        s.rstd = norm_rstd(sum[0], a.D, a.eps);
        if (lane == 0 && D)
            stat_put<centred>(&a, p, s);
        float *y = a.y + at(&a, p, a.ldy);
#pragma unroll
        for (int j = 0; j < fours; j++) {
            const int col = (j * lanes + lane) * 4;
            if (col < D) {
                float w[4], b[4] = { 0, 0, 0, 0 };
                load<4>(w, a.w + col);
                if (centred && a.b)
                    load<4>(b, a.b + col);
#pragma unroll
                for (int k = 0; k < 4; k++)
                    w[k] = norm_y(v[j][k] * s.rstd, w[k], a.offset, b[k]);
                store<4>(y + col, w);
            }
        }
        if (!centred && lanes > 32)
            __syncthreads(); /* the one room is free again */
    }
}

/* The same for any width and place: a block walks its group two or three times. Fallback: no bar. */
template <bool centred> static __global__ void __launch_bounds__(BLOCK) norm_forward_plain(Norm a)
{
    __shared__ float room[2][WARPS_MOST];
    for (int64_t i = blockIdx.x; i < a.n; i += gridDim.x) {
        const Place  p = place_of(&a, i);
        const float *x = a.x + at(&a, p, a.ldx);
        float        sum[1] = { 0 }, *y = a.y + at(&a, p, a.ldy);
        Stat         s = { 0, 0 };
        if (centred) {
            for (int64_t j = threadIdx.x; j < a.D; j += BLOCK)
                sum[0] += x[j];
            row_sums<BLOCK, 1>(sum, room[0]);
            s.mean = sum[0] / (float)a.D;
            sum[0] = 0;
        }
        for (int64_t j = threadIdx.x; j < a.D; j += BLOCK)
            sum[0] = fmaf(x[j] - s.mean, x[j] - s.mean, sum[0]);
        row_sums<BLOCK, 1>(sum, room[1]);
        s.rstd = norm_rstd(sum[0], a.D, a.eps);
        if (threadIdx.x == 0)
            stat_put<centred>(&a, p, s);
        for (int64_t j = threadIdx.x; j < a.D; j += BLOCK)
            y[j] = norm_y((x[j] - s.mean) * s.rstd, a.w[j], a.offset, centred && a.b ? a.b[j] : 0.0f);
        if (!centred)
            __syncthreads();
    }
}

/* ---- backward: with x^ = (x - mean) rstd and a = dy (offset + w),  dx += rstd (a - mean(a) - x^ mean(a x^)); the rms norm has neither mean.  dw += dy x^, db += dy ---- */

#define BWD_FOURS 4

/* What a group adds to a sum over w's places, from the slots of a block in order. */
template <int lanes> static __device__ inline void put_part(float *part, int64_t D, const float (&v)[BWD_FOURS][4], float *room)
{
    const int lane = threadIdx.x % lanes, slot = threadIdx.x / lanes;
#pragma unroll
    for (int j = 0; j < BWD_FOURS; j++) {
        const int col = (j * lanes + lane) * 4;
        if (lanes > 32) {
            if (col < D)
                store<4>(part + blockIdx.x * D + col, v[j]);
        } else {
            store<4>(room + slot * (lanes * BWD_FOURS * 4) + col, v[j]);
        }
    }
    if (lanes > 32)
        return;
    __syncthreads();
    for (int col = (int)threadIdx.x; col < D; col += BLOCK) {
        float sum = 0;
        for (int i = 0; i < slots_of(lanes); i++)
            sum += room[i * (lanes * BWD_FOURS * 4) + col];
        part[blockIdx.x * D + col] = sum;
    }
    __syncthreads();
}

/* Reads x, dy and dx, writes dx: 16 bytes of each number, bounded by memory, at least 85 % of the copy rate. With sums a block goes over a run of groups and writes D (layernorm 2 D)
 * numbers more at its end. */
template <int lanes, bool centred, bool sums> static __global__ void __launch_bounds__(block_of(lanes)) norm_backward(Norm a)
{
    constexpr int n = centred ? 2 : 1;
    __shared__ float room[2][WARPS_MOST * n];
    __shared__ __align__(16) float pool[sums && lanes <= 32 ? BLOCK * BWD_FOURS * 4 : 4];
    const int        lane = threadIdx.x % lanes;
    float            dw[BWD_FOURS][4] = { { 0 } }, db[BWD_FOURS][4] = { { 0 } };
    int              turn = 0;
    for (int64_t first = (int64_t)blockIdx.x * slots_of(lanes); first < a.n; first += (int64_t)gridDim.x * slots_of(lanes), turn ^= 1) {
        const int64_t i = first + threadIdx.x / lanes;
        const int     D = i < a.n ? (int)a.D : 0;
        const Place   p = place_of(&a, i < a.n ? i : first);
        const float  *x = a.x + at(&a, p, a.ldx), *dy = a.dy + at(&a, p, a.ld_dy);
        const Stat    s = stat_of<centred>(&a, p);
        float         hat[BWD_FOURS][4], d[BWD_FOURS][4], mean[n] = { 0 };
#pragma unroll
        for (int j = 0; j < BWD_FOURS; j++) {
            const int col = (j * lanes + lane) * 4;
#pragma unroll
            for (int k = 0; k < 4; k++)
                hat[j][k] = d[j][k] = 0;
            if (col < D) {
                load<4>(hat[j], x + col);
                load<4>(d[j], dy + col);
            }
        }
#pragma unroll
        for (int j = 0; j < BWD_FOURS; j++) {
            const int col = (j * lanes + lane) * 4;
            float     w[4] = { 0, 0, 0, 0 };
            if (col < D)
                load<4>(w, a.w + col);
#pragma unroll
            for (int k = 0; k < 4; k++) {
                hat[j][k] = (hat[j][k] - s.mean) * s.rstd;
                if (sums) {
                    dw[j][k] = fmaf(d[j][k], hat[j][k], dw[j][k]);
                    if (centred)
                        db[j][k] += d[j][k];
                }
                d[j][k] *= a.offset + w[k];
                mean[0] = fmaf(d[j][k], hat[j][k], mean[0]);
                if (centred)
                    mean[n - 1] += d[j][k];
            }
        }
        row_sums<lanes, n>(mean, room[turn]);
        const float along = mean[0] / (float)a.D, level = centred ? mean[n - 1] / (float)a.D : 0.0f;
        float      *dx = a.dx + at(&a, p, a.ld_dx);
#pragma unroll
        for (int j = 0; j < BWD_FOURS; j++) {
            const int col = (j * lanes + lane) * 4;
            if (col < D) {
                float out[4];
                load<4>(out, dx + col);
#pragma unroll
                for (int k = 0; k < 4; k++)
                    out[k] = fmaf(s.rstd, d[j][k] - level - hat[j][k] * along, out[k]);
                store<4>(dx + col, out);
            }
        }
    }
    if (sums && a.part_w)
        put_part<lanes>(a.part_w, a.D, dw, pool);
    if (sums && centred && a.part_b)
        put_part<lanes>(a.part_b, a.D, db, pool);
}

/* dx alone, for any width and place. Fallback: no bar. */
template <bool centred> static __global__ void __launch_bounds__(BLOCK) norm_backward_plain(Norm a)
{
    __shared__ float room[2][WARPS_MOST * 2];
    int              turn = 0;
    for (int64_t i = blockIdx.x; i < a.n; i += gridDim.x, turn ^= 1) {
        const Place  p = place_of(&a, i);
        const float *x = a.x + at(&a, p, a.ldx), *dy = a.dy + at(&a, p, a.ld_dy);
        const Stat   s = stat_of<centred>(&a, p);
        float        mean[2] = { 0, 0 }, *dx = a.dx + at(&a, p, a.ld_dx);
        for (int64_t j = threadIdx.x; j < a.D; j += BLOCK) {
            const float d = dy[j] * (a.offset + a.w[j]);
            mean[0] = fmaf(d, (x[j] - s.mean) * s.rstd, mean[0]);
            mean[1] += d;
        }
        row_sums<BLOCK, 2>(mean, room[turn]);
        const float along = mean[0] / (float)a.D, level = centred ? mean[1] / (float)a.D : 0.0f;
        for (int64_t j = threadIdx.x; j < a.D; j += BLOCK)
            dx[j] = fmaf(s.rstd, dy[j] * (a.offset + a.w[j]) - level - (x[j] - s.mean) * s.rstd * along, dx[j]);
    }
}

#define STRIP  32               /* columns of a block */
#define PLACES (BLOCK / STRIP)  /* threads that share a column */

/* dw and db alone, where dx is not wanted or the plain kernel made it. Reads x and dy, 8 bytes of each number: bounded by memory, at least 70 % of the copy rate. */
template <bool centred> static __global__ void __launch_bounds__(BLOCK) norm_columns(Norm a)
{
    __shared__ float room[2][BLOCK];
    const int        place = threadIdx.x / STRIP;
    const int64_t    col = (int64_t)blockIdx.x * STRIP + threadIdx.x % STRIP;
    const int64_t    first = a.n * blockIdx.y / a.runs, end = a.n * (blockIdx.y + 1) / a.runs;
    float            dw = 0, db = 0;
    if (col < a.D) {
#pragma unroll 4
        for (int64_t i = first + place; i < end; i += PLACES) {
            const Place p = place_of(&a, i);
            const Stat  s = stat_of<centred>(&a, p);
            const float d = a.dy[at(&a, p, a.ld_dy) + col];
            dw = fmaf(d, (a.x[at(&a, p, a.ldx) + col] - s.mean) * s.rstd, dw);
            db += d;
        }
    }
    room[0][threadIdx.x] = dw;
    room[1][threadIdx.x] = db;
    __syncthreads();
    if (place == 0 && col < a.D) {
#pragma unroll
        for (int i = 1; i < PLACES; i++) {
            dw += room[0][threadIdx.x + i * STRIP];
            db += room[1][threadIdx.x + i * STRIP];
        }
        if (a.part_w)
            a.part_w[blockIdx.y * a.D + col] = dw;
        if (a.part_b)
            a.part_b[blockIdx.y * a.D + col] = db;
    }
}

/* ---- which kernel: by width, narrowest first ---- */

template <int lanes, int fours, bool centred> static void launch_forward(Cuda *c, unsigned blocks, const Norm *a)
{
    CUDA_LAUNCH(c, blocks, block_of(lanes), 0, (norm_forward<lanes, fours, centred>), *a);
}
template <int lanes, bool centred, bool sums> static void launch_backward(Cuda *c, unsigned blocks, const Norm *a)
{
    CUDA_LAUNCH(c, blocks, block_of(lanes), 0, (norm_backward<lanes, centred, sums>), *a);
}

typedef void (*Launch)(Cuda *, unsigned blocks, const Norm *);
typedef struct Width { int64_t most; int slots; Launch launch[2], with_sums[2]; /* [centred]; NULL: the plain kernel; the sums by columns */ } Width;

#define FORWARD(most, lanes, fours) { most, slots_of(lanes), { launch_forward<lanes, fours, false>, launch_forward<lanes, fours, true> }, {} }
#define BACKWARD(most, lanes) \
    { most, slots_of(lanes), { launch_backward<lanes, false, false>, launch_backward<lanes, true, false> }, { launch_backward<lanes, false, true>, launch_backward<lanes, true, true> } }

static const Width forward[] = {
    FORWARD(128, 8, 4), FORWARD(256, 16, 4), FORWARD(1024, 32, 8), FORWARD(4096, 128, 8), FORWARD(8192, 256, 8), FORWARD(16384, 512, 8),
};
static const Width backward[] = {
    BACKWARD(128, 8), BACKWARD(256, 16), BACKWARD(512, 32), BACKWARD(2048, 128), BACKWARD(4096, 256), BACKWARD(8192, 512),
    { 16384, 1, { launch_backward<1024, false, false>, NULL }, {} }, /* 64 registers hold no more */
};

static const Width *width_for(const Width *w, size_t n, int64_t D, bool centred)
{
    for (size_t i = 0; i < n; i++)
        if (D <= w[i].most && w[i].launch[centred])
            return &w[i];
    return NULL;
}

#define BLOCKS_MOST (1 << 30)   /* of a launch; beyond it a block takes several groups */
#define SUM_BLOCKS  512         /* norm_backward with sums: at most */
#define SUM_LEAST   4           /* groups of a slot before there is a further block */
#define RUN_BLOCKS  2048        /* norm_columns: about so many */
#define RUN_LEAST   32          /* groups of a run */
#define RUNS_MOST   1024

/* false: nothing to do, or a failure. */
static bool norm_begin(Cuda *c, Norm *a, const Tensor *x, const Tensor *w, const Tensor *b)
{
    const Mat m = mat_of(x);
    if (!cuda_ok(c) || m.rows == 0 || m.cols == 0)
        return false;
    a->D = tensor_cols(w);
    BUG_ON(m.cols % a->D);
    a->groups = m.cols / a->D;
    a->n = m.rows * a->groups;
    BUG_ON(a->n > UINT32_MAX); /* place_of; no card holds so many groups */
    a->x = m.p;
    a->ldx = m.ld;
    a->w = cuda_vector(c, SLOT_A, w);
    a->b = cuda_vector(c, SLOT_B, b);
    return cuda_ok(c);
}

static unsigned blocks_for(int64_t n, int64_t each) { return (unsigned)MIN(pieces(n, each), BLOCKS_MOST); }

static void norm_run(Backend *be, Norm *a, Tensor *y, Tensor *stat, const Tensor *x, const Tensor *w, const Tensor *b, bool centred)
{
    Cuda     *c = cuda_of(be);
    const Mat out = mat_of(y), s = mat_of(stat);
    if (!norm_begin(c, a, x, w, b))
        return;
    a->y = out.p;
    a->ldy = out.ld;
    a->stat = s.p;
    a->ld_stat = s.ld;
    const bool   wide = by_four(a->x, a->ldx, a->D) && by_four(a->y, a->ldy, a->D) && by_four(a->w, 0, a->D) && by_four(a->b, 0, a->D);
    const Width *by = wide ? width_for(forward, ARRAY_LEN(forward), a->D, centred) : NULL;
    if (by)
        by->launch[centred](c, blocks_for(a->n, by->slots), a);
    else if (centred)
        CUDA_LAUNCH(c, blocks_for(a->n, 1), BLOCK, 0, norm_forward_plain<true>, *a);
    else
        CUDA_LAUNCH(c, blocks_for(a->n, 1), BLOCK, 0, norm_forward_plain<false>, *a);
}

static void norm_bwd_run(Backend *be, Norm *a, Tensor *dx, Tensor *dw, Tensor *db, const Tensor *dy, const Tensor *x, const Tensor *w, const Tensor *stat, bool centred)
{
    Cuda      *c = cuda_of(be);
    const Mat  out = mat_of(dx), d = mat_of(dy), s = mat_of(stat), to_w = mat_of(dw), to_b = mat_of(db);
    const bool sums = dw || db;
    if (!norm_begin(c, a, x, w, NULL))
        return;
    a->dx = out.p;
    a->ld_dx = out.ld;
    a->dy = d.p;
    a->ld_dy = d.ld;
    a->saved = s.p;
    a->ld_stat = s.ld;
    const bool   wide = dx && by_four(a->x, a->ldx, a->D) && by_four(a->dy, a->ld_dy, a->D) && by_four(a->dx, a->ld_dx, a->D) && by_four(a->w, 0, a->D);
    const Width *by = wide ? width_for(backward, ARRAY_LEN(backward), a->D, centred) : NULL;
    const bool   in_one = sums && by && by->with_sums[centred];
    const int64_t strips = pieces(a->D, STRIP), slots = by ? by->slots : 1;
    if (sums) {
        a->runs = in_one ? MIN(pieces(a->n, slots * SUM_LEAST), SUM_BLOCKS) : MIN(MIN(MAX(RUN_BLOCKS / strips, 32), pieces(a->n, RUN_LEAST)), RUNS_MOST);
        float *part = (float *)cuda_slot(c, SLOT_SUMS, (size_t)(2 * a->runs * a->D) * sizeof(float));
        if (!part)
            return;
        a->part_w = dw ? part : NULL;
        a->part_b = db ? part + a->runs * a->D : NULL;
    }
    if (by)
        (in_one ? by->with_sums : by->launch)[centred](c, in_one ? (unsigned)a->runs : blocks_for(a->n, slots), a);
    else if (dx && centred)
        CUDA_LAUNCH(c, blocks_for(a->n, 1), BLOCK, 0, norm_backward_plain<true>, *a);
    else if (dx)
        CUDA_LAUNCH(c, blocks_for(a->n, 1), BLOCK, 0, norm_backward_plain<false>, *a);
    const dim3 grid((unsigned)strips, (unsigned)a->runs);
    if (sums && !in_one && centred)
        CUDA_LAUNCH(c, grid, BLOCK, 0, norm_columns<true>, *a);
    else if (sums && !in_one)
        CUDA_LAUNCH(c, grid, BLOCK, 0, norm_columns<false>, *a);
    if (dw)
        cuda_sum_parts(c, to_w.p, a->part_w, a->runs, a->D);
    if (db)
        cuda_sum_parts(c, to_b.p, a->part_b, a->runs, a->D);
}

void cuda_rmsnorm(Backend *be, Tensor *y, Tensor *stat, const Tensor *x, const Tensor *w, float eps, float offset)
{
    Norm a = {};
    a.eps = eps;
    a.offset = offset;
    norm_run(be, &a, y, stat, x, w, NULL, false);
}

void cuda_rmsnorm_bwd(Backend *be, Tensor *dx, Tensor *dw, const Tensor *dy, const Tensor *x, const Tensor *w, const Tensor *stat, float offset)
{
    Norm a = {};
    a.offset = offset;
    norm_bwd_run(be, &a, dx, dw, NULL, dy, x, w, stat, false);
}

void cuda_layernorm(Backend *be, Tensor *y, Tensor *stat, const Tensor *x, const Tensor *w, const Tensor *b, float eps)
{
    Norm a = {};
    a.eps = eps;
    norm_run(be, &a, y, stat, x, w, b, true);
}

void cuda_layernorm_bwd(Backend *be, Tensor *dx, Tensor *dw, Tensor *db, const Tensor *dy, const Tensor *x, const Tensor *w, const Tensor *stat)
{
    Norm a = {};
    norm_bwd_run(be, &a, dx, dw, db, dy, x, w, stat, true);
}
