/* gemm.cu - hone's own product c = alpha a b + beta c + bias, all four orientations: where the library is not there or does not take the shape, and for the
 * skinny products of low-rank pairs.
 * A block of threads makes one tile of c. Its stretches of a and b pass through shared memory as tiles of the row-major matrices that they are, so one loader serves
 * every orientation: 16-byte pieces where rows allow it, number by number elsewhere and at the edges (zeros beyond).
 *   F32   each thread TM x TN numbers of c, fused multiply-adds; the next stretch waits in registers while this one is multiplied.
 *   BF16  matrix units (mma.cuh), STAGES stretches of k underway by asynchronous copies; skinny ones also from F32, rounded on the way.
 * Results with few tiles cut k into splits, each summed by blocks of their own into SLOT_SUMS, then added in order.
 * Invariants: tiles, stretches and splits follow from m, n, k alone, an element's sum is one chain in each split; nothing depends on alignment or on the card.
 * To add an operand type: its tile kernel, its row in launch_tiles. */
#include "tensor/cuda/cuda_int.h"
#include "tensor/cuda/quant.cuh"

#define BIG       128                  /* tile of c where there is enough of it, else SMALL */
#define SMALL     64
#define BIG_TILES 64                   /* so many big tiles fill a card well enough */
#define GROUP     8                    /* tiles of rows that run side by side, so that b's tiles come from the second cache */
#define SPLIT_BLOCKS 512               /* blocks that a product with few tiles is cut into */
#define SPLIT_LEAST  256               /* numbers of k in one split, at least */
#define SPLIT_BYTES  ((int64_t)64 << 20)
#define STAGES    3
#define KH        32                   /* numbers of k in a stretch of BF16 */
#define PAD       8                    /* numbers behind a row of a BF16 tile: 16 bytes, so that 8 rows lie in 8 different groups of banks */

typedef struct Product {
    int64_t     m, n, k, lda, ldb, ldc;
    const void *a, *b;
    float      *c, *part;              /* part: [splits, m, n]; NULL: straight to c */
    const float *bias;
    int64_t     tiles_m, tiles_n, split;   /* numbers of k in a split */
    float       alpha, beta;
    bool        fast_a, fast_b;        /* rows begin at multiples of 16 bytes */
    bool        fast_c;                /* of 8 */
} Product;

typedef struct Place { int64_t row, col, k0, k1; float *part; } Place; /* this block's tile and stretch of k */

static __device__ __forceinline__ Place place_of(const Product &p, int rows, int cols)
{
    const int64_t id = blockIdx.x, per = GROUP * p.tiles_n, first = id / per * GROUP, high = p.tiles_m - first < GROUP ? p.tiles_m - first : GROUP;
    Place at;
    at.row = (first + id % per % high) * rows;
    at.col = id % per / high * cols;
    at.k0 = blockIdx.y * p.split;
    at.k1 = at.k0 + p.split < p.k ? at.k0 + p.split : p.k;
    at.part = p.part ? p.part + blockIdx.y * p.m * p.n : NULL;
    return at;
}

static __host__ __device__ __forceinline__ float finish(float sum, float alpha, float beta, float before, float bias)
{
    const float v = alpha * sum;
    return (beta != 0.0f ? mul_add(beta, before, v) : v) + bias;
}

/* Two neighbours of a row of c; the second may lie outside. */
static __device__ __forceinline__ void put_pair(const Product &p, const Place &at, int64_t i, int64_t j, float s0, float s1)
{
    if (i >= p.m || j >= p.n)
        return;
    const bool two = j + 1 < p.n;
    if (at.part) {
        at.part[i * p.n + j] = s0;
        if (two)
            at.part[i * p.n + j + 1] = s1;
        return;
    }
    float *c = p.c + i * p.ldc + j;
    const float b0 = p.bias ? p.bias[j] : 0.0f, b1 = p.bias && two ? p.bias[j + 1] : 0.0f;
    if (p.fast_c && two) {
        float2 v = p.beta != 0.0f ? *(const float2 *)c : make_float2(0.0f, 0.0f);
        v.x = finish(s0, p.alpha, p.beta, v.x, b0);
        v.y = finish(s1, p.alpha, p.beta, v.y, b1);
        *(float2 *)c = v;
        return;
    }
    c[0] = finish(s0, p.alpha, p.beta, p.beta != 0.0f ? c[0] : 0.0f, b0);
    if (two)
        c[1] = finish(s1, p.alpha, p.beta, p.beta != 0.0f ? c[1] : 0.0f, b1);
}

/* How many of `most` numbers from `at` on lie before `end`; none outside the rows. */
static __device__ __forceinline__ int valid_of(bool row_inside, int64_t at, int64_t end, int most)
{
    const int64_t left = row_inside ? end - at : 0;
    return left <= 0 ? 0 : left < most ? (int)left : most;
}

/* ---- BF16 ---- */

/* Begins to copy ROWS x COLS numbers from (row, col) of a row-major matrix of which rows below row_end and columns below col_end exist. */
template <int ROWS, int COLS, int THREADS>
static __device__ __forceinline__ void copy_tile(uint16_t *dst, const uint16_t *src, int64_t ld, int64_t row, int64_t row_end, int64_t col, int64_t col_end, bool fast)
{
    enum { PIECES = COLS / 8 };
#pragma unroll
    for (int i = 0; i < ROWS * PIECES / THREADS; i++) {
        const int      id = (int)threadIdx.x + i * THREADS, r = id / PIECES, c = id % PIECES * 8;
        const int      n = valid_of(row + r < row_end, col + c, col_end, 8);
        const uint16_t *from = src + (row + r) * ld + col + c;
        uint16_t       *to = dst + r * (COLS + PAD) + c;
        if ((fast && n == 8) || n == 0)
            copy_begin16(to, n ? (const void *)from : (const void *)src, n ? 16 : 0); /* none: zeros, the address is not read */
        else
            for (int e = 0; e < 8; e++)
                to[e] = e < n ? from[e] : (uint16_t)0;
    }
}

/* One stretch of k from shared memory: sum += a b. Tiles lie as their matrices do, rows PAD longer. */
template <int A_LD, int B_LD, int MT, int NT, bool a_rows, bool b_rows>
static __device__ __forceinline__ void multiply(float sum[MT][NT][4], const uint16_t *sa, const uint16_t *sb, int wm, int wn)
{
    const int lane = (int)threadIdx.x % 32;
#pragma unroll
    for (int k = 0; k < KH; k += 16) {
        uint32_t fa[MT][4], fb[4];
#pragma unroll
        for (int i = 0; i < MT; i++) {
            if (a_rows)
                load_matrices(fa[i], sa + (wm + 16 * i + lane % 16) * A_LD + k + lane / 16 * 8);
            else
                load_matrices_transposed(fa[i], sa + (k + lane % 8 + lane / 16 * 8) * A_LD + wm + 16 * i + lane / 8 % 2 * 8);
        }
#pragma unroll
        for (int j = 0; j < NT; j += 2) {
            if (b_rows)
                load_matrices(fb, sb + (wn + 8 * j + lane % 8 + lane / 16 * 8) * B_LD + k + lane / 8 % 2 * 8);
            else
                load_matrices_transposed(fb, sb + (k + lane % 16) * B_LD + wn + 8 * j + lane / 16 * 8);
#pragma unroll
            for (int i = 0; i < MT; i++) {
                mma_bf16(sum[i][j], fa[i], fb);
                mma_bf16(sum[i][j + 1], fa[i], fb + 2);
            }
        }
    }
}

template <int MT, int NT> static __device__ __forceinline__ void put_tile(const Product &p, const Place &at, float sum[MT][NT][4], int wm, int wn)
{
    const int lane = (int)threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < MT; i++)
#pragma unroll
        for (int j = 0; j < NT; j++)
#pragma unroll
            for (int h = 0; h < 2; h++)
                put_pair(p, at, at.row + wm + 16 * i + 8 * h + lane / 4, at.col + wn + 8 * j + lane % 4 * 2, sum[i][j][2 * h], sum[i][j][2 * h + 1]);
}

/* 2 m n k FLOP. Bound by the matrix units as mma.sync drives them: bar 0.55 of the library on 9.0 (where only wgmma reaches the rest), 0.85 on 8.x. */
template <int BM, int BN, int WARPS_M, int WARPS_N, bool a_rows, bool b_rows>
static __global__ void __launch_bounds__(WARPS_M * WARPS_N * 32, 2) gemm_bf16(const Product p)
{
    enum { THREADS = WARPS_M * WARPS_N * 32, WM = BM / WARPS_M, WN = BN / WARPS_N, MT = WM / 16, NT = WN / 8 };
    enum { A_LD = (a_rows ? KH : BM) + PAD, B_LD = (b_rows ? KH : BN) + PAD, A_SIZE = (a_rows ? BM : KH) * A_LD, B_SIZE = (b_rows ? BN : KH) * B_LD };
    SHARED_DYNAMIC(uint16_t, shared);
    const Place     at = place_of(p, BM, BN);
    const uint16_t *a = (const uint16_t *)p.a, *b = (const uint16_t *)p.b;
    const int       warp = (int)threadIdx.x / 32, wm = warp / WARPS_N * WM, wn = warp % WARPS_N * WN, stretches = (int)((at.k1 - at.k0 + KH - 1) / KH);
    float           sum[MT][NT][4];
#pragma unroll
    for (int i = 0; i < MT * NT * 4; i++)
        sum[i / (NT * 4)][i / 4 % NT][i % 4] = 0.0f;

    const auto begin = [&](int s) {
        uint16_t     *sa = shared + s % STAGES * (A_SIZE + B_SIZE), *sb = sa + A_SIZE;
        const int64_t k = at.k0 + (int64_t)s * KH;
        if (s < stretches) {
            if (a_rows)
                copy_tile<BM, KH, THREADS>(sa, a, p.lda, at.row, p.m, k, at.k1, p.fast_a);
            else
                copy_tile<KH, BM, THREADS>(sa, a, p.lda, k, at.k1, at.row, p.m, p.fast_a);
            if (b_rows)
                copy_tile<BN, KH, THREADS>(sb, b, p.ldb, at.col, p.n, k, at.k1, p.fast_b);
            else
                copy_tile<KH, BN, THREADS>(sb, b, p.ldb, k, at.k1, at.col, p.n, p.fast_b);
        }
        copy_group(); /* an empty one at the end: the count of those underway stays the same */
    };
    for (int s = 0; s < STAGES - 1; s++)
        begin(s);
    for (int s = 0; s < stretches; s++) {
        copy_wait<STAGES - 2>();
        __syncthreads(); /* this stretch is there for all, and nobody reads the one before it any more */
        begin(s + STAGES - 1);
        const uint16_t *sa = shared + s % STAGES * (A_SIZE + B_SIZE);
        multiply<A_LD, B_LD, MT, NT, a_rows, b_rows>(sum, sa, sa + A_SIZE, wm, wn);
    }
    copy_wait<0>();
    put_tile<MT, NT>(p, at, sum, wm, wn);
}

/* A tile of F32 numbers on its way into one of BF16: this thread's eights of it, first in registers. */
template <int ROWS, int COLS, int THREADS>
static __device__ __forceinline__ void fetch_eights(float v[ROWS * COLS / THREADS / 8][8], const float *src, int64_t ld, int64_t row, int64_t row_end, int64_t col,
                                                    int64_t col_end, bool fast)
{
    enum { PIECES = COLS / 8 };
#pragma unroll
    for (int i = 0; i < ROWS * PIECES / THREADS; i++) {
        const int    id = (int)threadIdx.x + i * THREADS, r = id / PIECES, c = id % PIECES * 8, n = valid_of(row + r < row_end, col + c, col_end, 8);
        const float *from = src + (row + r) * ld + col + c;
        if (fast && n == 8) {
            *(float4 *)v[i] = *(const float4 *)from;
            *(float4 *)(v[i] + 4) = *(const float4 *)(from + 4);
        } else {
#pragma unroll
            for (int e = 0; e < 8; e++)
                v[i][e] = e < n ? from[e] : 0.0f;
        }
    }
}

template <int ROWS, int COLS, int THREADS> static __device__ __forceinline__ void keep_eights(uint16_t *dst, const float v[ROWS * COLS / THREADS / 8][8])
{
    enum { PIECES = COLS / 8 };
#pragma unroll
    for (int i = 0; i < ROWS * PIECES / THREADS; i++) {
        const int id = (int)threadIdx.x + i * THREADS;
        store16(dst + id / PIECES * (COLS + PAD) + id % PIECES * 8, make_uint4(bf16_pair(v[i][0], v[i][1]), bf16_pair(v[i][2], v[i][3]), bf16_pair(v[i][4], v[i][5]),
                                                                              bf16_pair(v[i][6], v[i][7])));
    }
}

/* The skinny products of low-rank pairs read a long F32 operand once and do little with it: 4 bytes a number of it, where a copy in bf16 would take 6 to write and 2 to
 * read. Bound by memory, bar 3.0 TB/s. The next stretch waits in registers while this one is multiplied. */
template <bool a_rows, bool b_rows> static __global__ void __launch_bounds__(128, 4) gemm_rounded(const Product p)
{
    enum { THREADS = 128, A_ROWS = a_rows ? SMALL : KH, A_COLS = a_rows ? KH : SMALL, B_ROWS = b_rows ? SMALL : KH, B_COLS = b_rows ? KH : SMALL };
    enum { A_LD = A_COLS + PAD, B_LD = B_COLS + PAD, EIGHTS = SMALL * KH / THREADS / 8 };
    __shared__ __align__(16) uint16_t sa[2][A_ROWS * A_LD];
    __shared__ __align__(16) uint16_t sb[2][B_ROWS * B_LD];
    const Place  at = place_of(p, SMALL, SMALL);
    const float *a = (const float *)p.a, *b = (const float *)p.b;
    const int    warp = (int)threadIdx.x / 32, wm = warp / 2 * 32, wn = warp % 2 * 32;
    float        sum[2][4][4], va[EIGHTS][8], vb[EIGHTS][8];
#pragma unroll
    for (int i = 0; i < 2 * 4 * 4; i++)
        sum[i / 16][i / 4 % 4][i % 4] = 0.0f;

    const auto fetch = [&](int64_t k) {
        fetch_eights<A_ROWS, A_COLS, THREADS>(va, a, p.lda, a_rows ? at.row : k, a_rows ? p.m : at.k1, a_rows ? k : at.row, a_rows ? at.k1 : p.m, p.fast_a);
        fetch_eights<B_ROWS, B_COLS, THREADS>(vb, b, p.ldb, b_rows ? at.col : k, b_rows ? p.n : at.k1, b_rows ? k : at.col, b_rows ? at.k1 : p.n, p.fast_b);
    };
    const auto keep = [&](int s) {
        keep_eights<A_ROWS, A_COLS, THREADS>(sa[s], va);
        keep_eights<B_ROWS, B_COLS, THREADS>(sb[s], vb);
    };
    fetch(at.k0);
    keep(0);
    __syncthreads();
    int s = 0;
    for (int64_t k = at.k0; k < at.k1; k += KH, s ^= 1) {
        const bool more = k + KH < at.k1;
        if (more)
            fetch(k + KH);
        multiply<A_LD, B_LD, 2, 4, a_rows, b_rows>(sum, sa[s], sb[s], wm, wn);
        if (more)
            keep(s ^ 1);
        __syncthreads();
    }
    put_tile<2, 4>(p, at, sum, wm, wn);
}

/* ---- F32 ---- */

/* What one thread carries of a tile, stretch after stretch: four numbers of a row of the source. The tile's rows are rows of the result and k runs along
 * them, or its rows are numbers of k. */
typedef struct Carrier {
    const float *from;
    int64_t      step;   /* to the same place of the next stretch */
    int          first;  /* of k, from the begin of the split */
    int          most;   /* of the four, those that exist */
    bool         fast;
} Carrier;

template <int COLS, bool along>
static __device__ __forceinline__ Carrier carrier_of(const void *src, int64_t ld, int64_t side, int64_t side_end, int64_t k0, int bk, bool fast)
{
    const int r = (int)threadIdx.x / (COLS / 4), c = (int)threadIdx.x % (COLS / 4) * 4;
    const int64_t row = along ? side + r : k0 + r, col = along ? k0 + c : side + c;
    Carrier t;
    t.from = (const float *)src + row * ld + col;
    t.step = along ? bk : bk * ld;
    t.first = along ? c : r;
    t.most = along ? (row < side_end ? 4 : 0) : valid_of(true, col, side_end, 4);
    t.fast = fast;
    return t;
}

/* The four numbers of the stretch that begins `done` numbers behind the split's begin, and on to the next; zeros outside. */
template <bool along> static __device__ __forceinline__ float4 fetch_four(Carrier *t, int done, int span)
{
    const int    left = span - done - t->first, n = along ? (left < t->most ? left : t->most) : left > 0 ? t->most : 0;
    const float *from = t->from;
    t->from += t->step;
    if (t->fast && n == 4)
        return *(const float4 *)from;
    return make_float4(n > 0 ? from[0] : 0.0f, n > 1 ? from[1] : 0.0f, n > 2 ? from[2] : 0.0f, n > 3 ? from[3] : 0.0f);
}

/* ... into the tile as [k][LD]: k runs along the rows of the source, or across them. */
template <int COLS, int LD, bool along> static __device__ __forceinline__ void keep_four(float *dst, float4 v)
{
    const int r = (int)threadIdx.x / (COLS / 4), c = (int)threadIdx.x % (COLS / 4) * 4;
    if (along) {
        dst[c * LD + r] = v.x;
        dst[(c + 1) * LD + r] = v.y;
        dst[(c + 2) * LD + r] = v.z;
        dst[(c + 3) * LD + r] = v.w;
    } else {
        *(float4 *)(dst + r * LD + c) = v;
    }
}

/* 2 m n k FLOP. Bound by the multiply-add units, for which shared memory gives 16 numbers for 64 multiply-adds: bar 0.65 of their rate (43 of 67 TFLOP/s on 9.0): the big tile's
 * sums leave registers for one block on a multiprocessor. */
template <int BM, int BN, int BK, int TM, int TN, bool a_rows, bool b_rows>
static __global__ void __launch_bounds__(256, BM == BIG ? 1 : 2) gemm_f32(const Product p)
{
    enum { A_LD = BM + 4, B_LD = BN + 4, ACROSS = BN / TN };
    static_assert(BM / TM * ACROSS == 256 && BM * BK == 1024 && BN * BK == 1024, "each of 256 threads carries four numbers of either tile");
    __shared__ __align__(16) float sa[2][BK * A_LD];
    __shared__ __align__(16) float sb[2][BK * B_LD];
    const Place  at = place_of(p, BM, BN);
    const int    span = (int)(at.k1 - at.k0);
    const int    tx = (int)threadIdx.x % ACROSS, ty = (int)threadIdx.x / ACROSS;
    float        sum[TM][TN];
    float4       va, vb;
#pragma unroll
    for (int i = 0; i < TM * TN; i++)
        sum[i / TN][i % TN] = 0.0f;

    Carrier ca = carrier_of<a_rows ? BK : BM, a_rows>(p.a, p.lda, at.row, p.m, at.k0, BK, p.fast_a);
    Carrier cb = carrier_of<b_rows ? BK : BN, b_rows>(p.b, p.ldb, at.col, p.n, at.k0, BK, p.fast_b);
    const auto keep = [&](int s) {
        keep_four<a_rows ? BK : BM, A_LD, a_rows>(sa[s], va);
        keep_four<b_rows ? BK : BN, B_LD, b_rows>(sb[s], vb);
    };
    va = fetch_four<a_rows>(&ca, 0, span);
    vb = fetch_four<b_rows>(&cb, 0, span);
    keep(0);
    __syncthreads();
    int s = 0;
    for (int k = 0; k < span; k += BK, s ^= 1) {
        const bool more = k + BK < span;
        if (more) {
            va = fetch_four<a_rows>(&ca, k + BK, span);
            vb = fetch_four<b_rows>(&cb, k + BK, span);
        }
#pragma unroll
        for (int kk = 0; kk < BK; kk++) {
            float fa[TM], fb[TN];
#pragma unroll
            for (int i = 0; i < TM; i += 4) /* a thread's rows and columns lie in groups of four, so that neighbours read neighbouring banks */
                *(float4 *)(fa + i) = *(const float4 *)(sa[s] + kk * A_LD + i / 4 * (BM * 4 / TM) + 4 * ty);
#pragma unroll
            for (int j = 0; j < TN; j += 4)
                *(float4 *)(fb + j) = *(const float4 *)(sb[s] + kk * B_LD + j / 4 * (BN * 4 / TN) + 4 * tx);
#pragma unroll
            for (int i = 0; i < TM; i++)
#pragma unroll
                for (int j = 0; j < TN; j++)
                    sum[i][j] = mul_add(fa[i], fb[j], sum[i][j]);
        }
        if (more)
            keep(s ^ 1);
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < TM; i++)
#pragma unroll
        for (int j = 0; j < TN; j += 2)
            put_pair(p, at, at.row + i / 4 * (BM * 4 / TM) + 4 * ty + i % 4, at.col + j / 4 * (BN * 4 / TN) + 4 * tx + j % 4, sum[i][j], sum[i][j + 1]);
}

/* ---- splits ---- */

/* 4 (splits + 1) bytes an element, of which the second cache holds most; bar 3.0 TB/s. */
static __global__ void __launch_bounds__(256) add_splits(const Product p, int splits)
{
    const int64_t id = (int64_t)blockIdx.x * 256 + threadIdx.x, i = id / p.n, j = id % p.n;
    if (i >= p.m)
        return;
    float sum = 0.0f;
    for (int s = 0; s < splits; s++)
        sum += p.part[s * p.m * p.n + id];
    float *c = p.c + i * p.ldc + j;
    *c = finish(sum, p.alpha, p.beta, p.beta != 0.0f ? *c : 0.0f, p.bias ? p.bias[j] : 0.0f);
}

/* ---- launches ---- */

template <bool a_rows, bool b_rows> static void launch_tiles(Cuda *c, const Product *product, DType type, bool rounds, bool big, int splits)
{
    const Product p = *product;
    const dim3    grid((unsigned)(p.tiles_m * p.tiles_n), (unsigned)splits);
    if (rounds) {
        CUDA_LAUNCH(c, grid, 128, 0, (gemm_rounded<a_rows, b_rows>), p);
        return;
    }
    if (type == DT_F32) {
        if (big)
            CUDA_LAUNCH(c, grid, 256, 0, (gemm_f32<BIG, BIG, 8, 8, 8, a_rows, b_rows>), p);
        else
            CUDA_LAUNCH(c, grid, 256, 0, (gemm_f32<SMALL, SMALL, 16, 4, 4, a_rows, b_rows>), p);
        return;
    }
    const int  side = big ? BIG : SMALL, a_size = a_rows ? side * (KH + PAD) : KH * (side + PAD), b_size = b_rows ? side * (KH + PAD) : KH * (side + PAD);
    const int  nbytes = STAGES * (a_size + b_size) * (int)sizeof(uint16_t);
    if (!big) /* 30 KB */
        CUDA_LAUNCH(c, grid, 128, nbytes, (gemm_bf16<SMALL, SMALL, 2, 2, a_rows, b_rows>), p);
    else if (CUDA_SHARED(c, (gemm_bf16<BIG, BIG, 2, 4, a_rows, b_rows>), nbytes)) /* 60 KB: two blocks where a multiprocessor has 164 or more */
        CUDA_LAUNCH(c, grid, 256, nbytes, (gemm_bf16<BIG, BIG, 2, 4, a_rows, b_rows>), p);
}

static int64_t parts(int64_t whole, int64_t part) { return (whole + part - 1) / part; }
static bool aligned(const void *p, int64_t nbytes) { return (uintptr_t)p % (uintptr_t)nbytes == 0; }

void cuda_gemm_own(Cuda *c, const CudaGemm *g)
{
    BUG_ON((g->type != DT_F32 && g->type != DT_BF16) || (g->rounds && (g->type != DT_F32 || MIN(g->m, g->n) > CUDA_SKINNY)));
    BUG_ON(g->k > INT32_MAX / 2);
    if (!cuda_ok(c) || g->m == 0 || g->n == 0)
        return;
    const int64_t sixteen = g->type == DT_F32 ? 4 : 8;
    const bool    big = parts(g->m, BIG) * parts(g->n, BIG) >= BIG_TILES && g->m > SMALL && g->n > SMALL;
    const int64_t side = big ? BIG : SMALL;
    Product p = { g->m, g->n, g->k, g->lda, g->ldb, g->ldc, g->a, g->b, g->c, NULL, g->bias, parts(g->m, side), parts(g->n, side), g->k, g->alpha, g->beta,
                  g->lda % sixteen == 0 && aligned(g->a, 16), g->ldb % sixteen == 0 && aligned(g->b, 16), g->ldc % 2 == 0 && aligned(g->c, 8) };
    int64_t tiles = p.tiles_m * p.tiles_n, splits = big ? 1 : MIN(MIN(SPLIT_BLOCKS / tiles, g->k / SPLIT_LEAST), SPLIT_BYTES / 4 / g->m / g->n);
    BUG_ON(tiles > INT32_MAX);
    if (splits > 1) {
        p.split = parts(parts(g->k, splits), KH) * KH;
        splits = parts(g->k, p.split);
        p.part = (float *)cuda_slot(c, SLOT_SUMS, (size_t)(splits * g->m * g->n) * sizeof(float));
        if (!p.part)
            return;
    } else {
        splits = 1;
    }
    const auto launch = g->a_rows ? g->b_rows ? launch_tiles<true, true> : launch_tiles<true, false> : g->b_rows ? launch_tiles<false, true> : launch_tiles<false, false>;
    launch(c, &p, g->type, g->rounds, big, (int)splits);
    if (p.part) {
        const int n = (int)splits;
        CUDA_LAUNCH(c, (unsigned)parts(g->m * g->n, 256), 256, 0, add_splits, p, n);
    }
}

/* The library has no splits to give (lt.cu), so what is skinny and long stays here: one side of the result fits a small tile. */
static_assert(CUDA_SKINNY == SMALL, "a skinny product is one of small tiles");
void cuda_gemm(Cuda *c, const CudaGemm *g)
{
    if (!cuda_ok(c) || g->m == 0 || g->n == 0)
        return;
    if (MIN(g->m, g->n) <= CUDA_SKINNY || !cuda_lt_gemm(c, g))
        cuda_gemm_own(c, g);
}
