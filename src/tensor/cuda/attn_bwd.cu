/* attn_bwd.cu - attention backward without a T x T matrix (Dao et al. 2022, algorithm 4): probabilities come back from the saved log-sum-exp.
 *
 * dk and dv: a block owns a tile of keys of one kv head and walks over the query heads of its group and their tiles of queries, in order. dq: a second pass, in which a block owns
 * a tile of queries and walks over the keys. Together 7 products of T x T x d, where one pass that adds to dq from every key tile does 5. But those additions would have to come
 * in a fixed order: dq in F32 read and written once for each tile of 64 keys is 8 d bytes for 64 keys against 10 d * 64 FLOPs, which at 4.8 TB/s and 300 TFLOP/s costs 0.8 of the
 * products' own time, and copies of dq for stripes of keys cost memory; the second pass costs 0.4 and no memory.
 * Before both, attn_round brings D = dout . o for each row and head (SLOT_ROWS) and in bf16 the rounded copies of all four operands (SLOT_A, SLOT_B).
 * Invariants: each element of dq, dk, dv is written by one thread once. Queries behind a segment's end have lse = infinity, so p = 0. */
#include "tensor/cuda/attn.cuh"

typedef struct AttnBack {
    const AttnSeg  *seg;
    const AttnItem *item;
    int      heads, kv_heads, group, d, window;
    float    scale, cap, to_cap;    /* to_cap: 1 / cap */
    AttnRead q, dout, k, v;         /* F32 */
    const uint16_t *q_copy, *dout_copy, *k_copy, *v_copy; /* bf16: [heads or kv heads][rows][width] */
    int64_t  q_plane, k_plane;      /* numbers of a head in them */
    const float *lse, *inner;       /* inner [rows of q, heads] */
    int64_t  ldl;
    float   *dq, *dk, *dv;          /* dk, dv: NULL: not wanted */
    int64_t  lddq, lddk, lddv;
    int      pairs;                 /* two numbers of each of the three can be written at once */
} AttnBack;

/* to[c], to[c + 1] += by x, by y */
static __device__ __forceinline__ void add_pair(float *to, int c, int d, float x, float y, float by, int pairs)
{
    if (pairs) {
        if (c < d) {
            float2 v = *(float2 *)(to + c);
            v.x = fmaf(by, x, v.x);
            v.y = fmaf(by, y, v.y);
            *(float2 *)(to + c) = v;
        }
    } else {
        if (c < d)
            to[c] = fmaf(by, x, to[c]);
        if (c + 1 < d)
            to[c + 1] = fmaf(by, y, to[c + 1]);
    }
}

/* ---- dk and dv, bf16 ---- */

typedef enum { BACK_BOTH, BACK_DK, BACK_DV } BackWhich;

#define BACK_Q 32 /* queries of a tile here, keys of a tile in dq's pass */
#define KEYS_SHARED(width, STAGES) ((2 * 64 + 2 * (STAGES) * BACK_Q) * TILE_STEP(width) * sizeof(uint16_t) + 2 * (STAGES) * BACK_Q * sizeof(float))

/* 8 d FLOPs for each query and key (4 products; up to head size 128 at once, above it 5 in two launches, for the registers). The matrix units and shared memory bound it. Bar for
 * both passes together, counted as 10 d: half of cuDNN's rate, on an H200 185 TFLOP/s at 2,048 tokens and 237 at 4,096, head size 128.
 * Scores stand transposed, keys as rows: a warp owns 16 keys, and its probabilities are in its registers what the next product takes, with no way through shared memory. With
 * two stages the next queries arrive while these are worked on. */
template <int WIDTH, int STAGES, int WHICH> __global__ static __launch_bounds__(128, 2) void attn_back_keys(AttnBack a)
{
    constexpr int BK = 64, NT = BACK_Q / 8, ND = WIDTH / 8, STEP = TILE_STEP(WIDTH);
    SHARED_DYNAMIC(uint16_t, shared);
    uint16_t *const ks = shared, *const vs = ks + BK * STEP, *const qs = vs + BK * STEP, *const ds = qs + STAGES * BACK_Q * STEP; /* ds: dout */
    float *const stat = (float *)(ds + STAGES * BACK_Q * STEP); /* [STAGES][2][BACK_Q]: lse, to base 2; inner */
    const int tid = (int)threadIdx.x, lane = tid % 32, warp = tid / 32, g = lane / 4, t = lane % 4;
    const AttnItem item = a.item[blockIdx.x / (unsigned)a.kv_heads];
    const AttnSeg seg = a.seg[item.seg];
    const int kv = (int)(blockIdx.x % (unsigned)a.kv_heads), key0 = item.first, keys = min(BK, seg.nk - key0), shift = seg.nk - seg.nq;
    const float factor = (a.cap > 0.0f ? a.cap : a.scale) * ATTN_LOG2E, to_tanh = a.scale * a.to_cap;

    tile_fetch<WIDTH, BK, 128>(ks, a.k_copy + kv * a.k_plane + (int64_t)(seg.k_at + key0) * WIDTH, keys);
    if (WHICH != BACK_DV)
        tile_fetch<WIDTH, BK, 128>(vs, a.v_copy + kv * a.k_plane + (int64_t)(seg.k_at + key0) * WIDTH, keys);

    float dk[1][ND][4], dv[1][ND][4]; /* in the shape that tile_add takes; one of them vanishes where it is not wanted */
#pragma unroll
    for (int n = 0; n < ND; n++)
#pragma unroll
        for (int e = 0; e < 4; e++)
            dk[0][n][e] = dv[0][n][e] = 0.0f;

    /* queries that see one of these keys, from a multiple of BACK_Q on; a turn is one tile of them and one head */
    const int begin = max(0, key0 - shift) / BACK_Q * BACK_Q, end = a.window ? min(seg.nq, key0 + keys - 1 + a.window - shift) : seg.nq;
    const int tiles = max(0, (end - begin + BACK_Q - 1) / BACK_Q), turns = tiles * a.group;
    int i = begin, h = kv * a.group, stage = 0; /* of this turn */
    float next = 0.0f;                          /* this thread's lse or inner of the next turn */
    for (int turn = -1; turn < turns; turn++) { /* turn -1 only asks for the first */
        const bool wraps = turn >= 0 && i + BACK_Q >= end;
        const int i1 = turn < 0 ? i : wraps ? begin : i + BACK_Q, h1 = h + wraps, stage1 = turn < 0 || STAGES == 1 ? 0 : stage ^ 1;
        const bool more = turn + 1 < turns;
        const uint16_t *q = a.q_copy + h1 * a.q_plane + (int64_t)(seg.q_at + i1) * WIDTH, *dout = a.dout_copy + h1 * a.q_plane + (int64_t)(seg.q_at + i1) * WIDTH;
        const float mine = next;
        if (more && (STAGES == 2 || turn < 0)) {
            tile_fetch<WIDTH, BACK_Q, 128>(qs + stage1 * BACK_Q * STEP, q, seg.nq - i1);
            tile_fetch<WIDTH, BACK_Q, 128>(ds + stage1 * BACK_Q * STEP, dout, seg.nq - i1);
        }
        copy_group();
        if (more && tid < 2 * BACK_Q) {
            const int r = i1 + tid % BACK_Q;
            next = tid < BACK_Q ? INFINITY : 0.0f;
            if (r < seg.nq)
                next = tid < BACK_Q ? a.lse[(int64_t)(seg.q0 + r) * a.ldl + h1] * ATTN_LOG2E : a.inner[(int64_t)(seg.q0 + r) * a.heads + h1];
        }
        if (turn < 0)
            continue;
        if (tid < 2 * BACK_Q)
            stat[stage * 2 * BACK_Q + tid] = mine;
        if (STAGES == 2)
            copy_wait<1>();
        else
            copy_wait<0>();
        __syncthreads();
        const float *const lse = stat + stage * 2 * BACK_Q, *const inner = lse + BACK_Q;
        const int low = shift + i, at = key0 + warp * 16; /* position of the first query, this warp's first key */
        if (at <= low + BACK_Q - 1 && (!a.window || at + 15 > low - a.window)) {
            float s[1][NT][4], dp[1][NT][4];
            tile_dot<WIDTH, 1, NT>(s, ks, warp * 16, qs + stage * BACK_Q * STEP, lane);
            if (WHICH != BACK_DV)
                tile_dot<WIDTH, 1, NT>(dp, vs, warp * 16, ds + stage * BACK_Q * STEP, lane);
            const bool masked = at + 15 > low || (a.window && at <= low + BACK_Q - 1 - a.window);
#pragma unroll
            for (int n = 0; n < NT; n++)
#pragma unroll
                for (int e = 0; e < 4; e++) {
                    const int col = n * 8 + 2 * t + e % 2;
                    float x = s[0][n][e], slope = 1.0f;
                    if (a.cap > 0.0f) {
                        x = attn_tanh(x * to_tanh);
                        slope = 1.0f - x * x;
                    }
                    float p = exp2f(fmaf(x, factor, -lse[col]));
                    if (masked && !attn_sees(low + col, at + g + e / 2 * 8, a.window))
                        p = 0.0f;
                    s[0][n][e] = p;
                    if (WHICH != BACK_DV)
                        dp[0][n][e] = p == 0.0f ? 0.0f : attn_slope(p, dp[0][n][e], inner[col]) * slope;
                }
            if constexpr (WHICH != BACK_DK)
                tile_add<WIDTH, 1, NT>(dv, s, ds + stage * BACK_Q * STEP, lane);
            if constexpr (WHICH != BACK_DV)
                tile_add<WIDTH, 1, NT>(dk, dp, qs + stage * BACK_Q * STEP, lane);
        }
        __syncthreads();
        if (STAGES == 1 && more) {
            tile_fetch<WIDTH, BACK_Q, 128>(qs, q, seg.nq - i1);
            tile_fetch<WIDTH, BACK_Q, 128>(ds, dout, seg.nq - i1);
        }
        i = i1;
        h = h1;
        stage = stage1;
    }
    copy_wait<0>();
#pragma unroll
    for (int r = 0; r < 2; r++) {
        const int key = warp * 16 + g + r * 8;
        const int64_t row = (int64_t)seg.k0 + key0 + key;
        if (key < keys) {
#pragma unroll
            for (int n = 0; n < ND; n++) {
                if (WHICH != BACK_DV && a.dk)
                    add_pair(a.dk + row * a.lddk + (int64_t)kv * a.d, n * 8 + 2 * t, a.d, dk[0][n][2 * r], dk[0][n][2 * r + 1], a.scale, a.pairs);
                if (WHICH != BACK_DK && a.dv)
                    add_pair(a.dv + row * a.lddv + (int64_t)kv * a.d, n * 8 + 2 * t, a.d, dv[0][n][2 * r], dv[0][n][2 * r + 1], 1.0f, a.pairs);
            }
        }
    }
}

/* ---- dq, bf16 ---- */

#define QUERIES_SHARED(width, MT, STAGES) ((2 * 64 * (MT) + 2 * (STAGES) * BACK_Q) * TILE_STEP(width) * sizeof(uint16_t))

/* 6 d FLOPs for each query and key; bounds and bar as above. 64 MT queries of a head; their scores and dout . v stand in the registers, tiles of 32 keys. */
template <int WIDTH, int MT, int STAGES> __global__ static __launch_bounds__(128, 2) void attn_back_queries(AttnBack a)
{
    constexpr int BQ = 64 * MT, BK = BACK_Q, NT = BK / 8, ND = WIDTH / 8, STEP = TILE_STEP(WIDTH);
    SHARED_DYNAMIC(uint16_t, shared);
    uint16_t *const qs = shared, *const ds = qs + BQ * STEP, *const ks = ds + BQ * STEP, *const vs = ks + STAGES * BK * STEP; /* ds: dout */
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32, g = lane / 4, t = lane % 4;
    const AttnItem item = a.item[blockIdx.x / (unsigned)a.heads];
    const AttnSeg seg = a.seg[item.seg];
    const int h = (int)(blockIdx.x % (unsigned)a.heads), rows = min(BQ, seg.nq - item.first), pos = seg.nk - seg.nq + item.first, last = pos + rows - 1;
    const float factor = (a.cap > 0.0f ? a.cap : a.scale) * ATTN_LOG2E, to_tanh = a.scale * a.to_cap;
    const uint16_t *k = a.k_copy + h / a.group * a.k_plane + (int64_t)seg.k_at * WIDTH, *v = a.v_copy + h / a.group * a.k_plane + (int64_t)seg.k_at * WIDTH;

    int j = (a.window ? max(0, pos - a.window + 1) : 0) / BK * BK, stage = 0;
    tile_fetch<WIDTH, BQ, 128>(qs, a.q_copy + h * a.q_plane + (int64_t)(seg.q_at + item.first) * WIDTH, rows);
    tile_fetch<WIDTH, BQ, 128>(ds, a.dout_copy + h * a.q_plane + (int64_t)(seg.q_at + item.first) * WIDTH, rows);
    tile_fetch<WIDTH, BK, 128>(ks, k + (int64_t)j * WIDTH, seg.nk - j);
    tile_fetch<WIDTH, BK, 128>(vs, v + (int64_t)j * WIDTH, seg.nk - j);
    copy_group();

    float dq[MT][ND][4], lse[MT][2], inner[MT][2];
#pragma unroll
    for (int m = 0; m < MT; m++) {
#pragma unroll
        for (int n = 0; n < ND; n++)
#pragma unroll
            for (int e = 0; e < 4; e++)
                dq[m][n][e] = 0.0f;
#pragma unroll
        for (int r = 0; r < 2; r++) {
            const int i = warp * MT * 16 + m * 16 + g + r * 8;
            const int64_t row = (int64_t)seg.q0 + item.first + i;
            lse[m][r] = i < rows ? a.lse[row * a.ldl + h] * ATTN_LOG2E : INFINITY;
            inner[m][r] = i < rows ? a.inner[row * a.heads + h] : 0.0f;
        }
    }
    const int low = pos + warp * MT * 16, top = low + MT * 16 - 1; /* positions of this warp's rows */
    for (; j <= last; j += BK, stage ^= STAGES - 1) {
        if (STAGES == 2 && j + BK <= last) {
            tile_fetch<WIDTH, BK, 128>(ks + (stage ^ 1) * BK * STEP, k + (int64_t)(j + BK) * WIDTH, seg.nk - j - BK);
            tile_fetch<WIDTH, BK, 128>(vs + (stage ^ 1) * BK * STEP, v + (int64_t)(j + BK) * WIDTH, seg.nk - j - BK);
        }
        if (STAGES == 2) {
            copy_group();
            copy_wait<1>();
        } else {
            copy_wait<0>();
        }
        __syncthreads();
        if (low <= last && j <= top && (!a.window || j + BK - 1 > low - a.window)) {
            float s[MT][NT][4], dp[MT][NT][4];
            tile_dot<WIDTH, MT, NT>(s, qs, warp * MT * 16, ks + stage * BK * STEP, lane);
            tile_dot<WIDTH, MT, NT>(dp, ds, warp * MT * 16, vs + stage * BK * STEP, lane);
            const bool masked = j + BK - 1 > low || (a.window && j <= top - a.window);
#pragma unroll
            for (int m = 0; m < MT; m++)
#pragma unroll
                for (int n = 0; n < NT; n++)
#pragma unroll
                    for (int e = 0; e < 4; e++) {
                        float x = s[m][n][e], slope = 1.0f;
                        if (a.cap > 0.0f) {
                            x = attn_tanh(x * to_tanh);
                            slope = 1.0f - x * x;
                        }
                        const float p = exp2f(fmaf(x, factor, -lse[m][e / 2]));
                        const bool sees = !masked || attn_sees(low + m * 16 + g + e / 2 * 8, j + n * 8 + 2 * t + e % 2, a.window);
                        dp[m][n][e] = sees && p > 0.0f ? attn_slope(p, dp[m][n][e], inner[m][e / 2]) * slope : 0.0f;
                    }
            tile_add<WIDTH, MT, NT>(dq, dp, ks + stage * BK * STEP, lane);
        }
        __syncthreads();
        if (STAGES == 1 && j + BK <= last) {
            tile_fetch<WIDTH, BK, 128>(ks, k + (int64_t)(j + BK) * WIDTH, seg.nk - j - BK);
            tile_fetch<WIDTH, BK, 128>(vs, v + (int64_t)(j + BK) * WIDTH, seg.nk - j - BK);
            copy_group();
        }
    }
#pragma unroll
    for (int m = 0; m < MT; m++)
#pragma unroll
        for (int r = 0; r < 2; r++) {
            const int i = warp * MT * 16 + m * 16 + g + r * 8;
            if (i < rows)
#pragma unroll
                for (int n = 0; n < ND; n++)
                    add_pair(a.dq + ((int64_t)seg.q0 + item.first + i) * a.lddq + (int64_t)h * a.d, n * 8 + 2 * t, a.d, dq[m][n][2 * r], dq[m][n][2 * r + 1], a.scale, a.pairs);
        }
}

/* ---- both in F32 ---- */

#define BACK_RI(width) ((width) <= 128 ? 2 : 1) /* rows of a thread; a tile has 16 times as many rows, of keys and of queries */
#define BACK_F32_SHARED(width) ((4 * 16 * BACK_RI(width) * ((width) + 4) + 2 * 16 * BACK_RI(width) * (16 * BACK_RI(width) + 4) + 2 * 16 * BACK_RI(width)) * sizeof(float))

/* In place: s = q . k becomes p, dp = dout . v becomes d(loss)/d(s) without the scale. */
static __device__ __forceinline__ void back_score(const AttnBack &a, float *s, float *dp, float lse, float inner, int pos, int key)
{
    float score = a.scale * *s, slope = 1.0f, p = 0.0f;
    if (a.cap > 0.0f) {
        const float x = attn_tanh(score * a.to_cap);
        score = a.cap * x;
        slope = 1.0f - x * x;
    }
    if (attn_sees(pos, key, a.window))
        p = expf(score - lse);
    *s = p;
    *dp = p > 0.0f ? attn_slope(p, *dp, inner) * slope : 0.0f;
}

/* 8 d FLOPs for each query and key in F32; bar: 30 % of the card's F32 rate. */
template <int WIDTH> __global__ static __launch_bounds__(256) void attn_back_keys_f32(AttnBack a)
{
    constexpr int RI = BACK_RI(WIDTH), B = 16 * RI, LD = WIDTH + 4, ND = WIDTH / 16;
    SHARED_DYNAMIC(float, shared);
    float *const ks = shared, *const vs = ks + B * LD, *const qs = vs + B * LD, *const ds = qs + B * LD, *const ps = ds + B * LD, *const gs = ps + B * (B + 4);
    float *const stat = gs + B * (B + 4); /* [2][B]: lse, inner */
    const int tid = (int)threadIdx.x, tx = tid % 16, ty = tid / 16;
    const AttnItem item = a.item[blockIdx.x / (unsigned)a.kv_heads];
    const AttnSeg seg = a.seg[item.seg];
    const int kv = (int)(blockIdx.x % (unsigned)a.kv_heads), key0 = item.first, keys = min(B, seg.nk - key0), shift = seg.nk - seg.nq;
    float dk[RI][ND], dv[RI][ND];
#pragma unroll
    for (int r = 0; r < RI; r++)
#pragma unroll
        for (int n = 0; n < ND; n++)
            dk[r][n] = dv[r][n] = 0.0f;
    attn_take<WIDTH, B, 256>(ks, a.k, (int64_t)seg.k0 + key0, keys, kv, a.d);
    attn_take<WIDTH, B, 256>(vs, a.v, (int64_t)seg.k0 + key0, keys, kv, a.d);
    const int begin = max(0, key0 - shift) / B * B, end = a.window ? min(seg.nq, key0 + keys - 1 + a.window - shift) : seg.nq;
    for (int h = kv * a.group; h < (kv + 1) * a.group; h++)
        for (int i = begin; i < end; i += B) {
            const int rows = min(B, seg.nq - i);
            __syncthreads();
            attn_take<WIDTH, B, 256>(qs, a.q, (int64_t)seg.q0 + i, rows, h, a.d);
            attn_take<WIDTH, B, 256>(ds, a.dout, (int64_t)seg.q0 + i, rows, h, a.d);
            if (tid < B) {
                const int64_t row = (int64_t)seg.q0 + i + tid;
                stat[tid] = tid < rows ? a.lse[row * a.ldl + h] : INFINITY;
                stat[B + tid] = tid < rows ? a.inner[row * a.heads + h] : 0.0f;
            }
            __syncthreads();
            float s[RI][RI], dp[RI][RI];
            attn_dot_f32<WIDTH, RI, RI>(s, ks, qs, tx, ty);
            attn_dot_f32<WIDTH, RI, RI>(dp, vs, ds, tx, ty);
#pragma unroll
            for (int r = 0; r < RI; r++)
#pragma unroll
                for (int c = 0; c < RI; c++) {
                    const int col = tx + 16 * c;
                    back_score(a, &s[r][c], &dp[r][c], stat[col], stat[B + col], shift + i + col, key0 + ty * RI + r);
                    ps[(ty * RI + r) * (B + 4) + col] = s[r][c];
                    gs[(ty * RI + r) * (B + 4) + col] = dp[r][c];
                }
            __syncthreads();
            attn_add_f32<WIDTH, RI, B>(dv, ps, ds, tx, ty);
            attn_add_f32<WIDTH, RI, B>(dk, gs, qs, tx, ty);
        }
#pragma unroll
    for (int r = 0; r < RI; r++)
        if (ty * RI + r < keys) {
            const int64_t row = (int64_t)seg.k0 + key0 + ty * RI + r;
#pragma unroll
            for (int n = 0; n < ND; n++) {
                const int c = attn_col<WIDTH>(n, tx);
                if (c < a.d && a.dk) {
                    float *to = a.dk + row * a.lddk + (int64_t)kv * a.d + c;
                    *to = fmaf(a.scale, dk[r][n], *to);
                }
                if (c < a.d && a.dv) {
                    float *to = a.dv + row * a.lddv + (int64_t)kv * a.d + c;
                    *to += dv[r][n];
                }
            }
        }
}

/* 6 d FLOPs for each query and key in F32; bar as above. */
template <int WIDTH> __global__ static __launch_bounds__(256) void attn_back_queries_f32(AttnBack a)
{
    constexpr int RI = BACK_RI(WIDTH), B = 16 * RI, LD = WIDTH + 4, ND = WIDTH / 16;
    SHARED_DYNAMIC(float, shared);
    float *const ks = shared, *const vs = ks + B * LD, *const qs = vs + B * LD, *const ds = qs + B * LD, *const gs = ds + B * LD;
    const int tid = (int)threadIdx.x, tx = tid % 16, ty = tid / 16;
    const AttnItem item = a.item[blockIdx.x / (unsigned)a.heads];
    const AttnSeg seg = a.seg[item.seg];
    const int h = (int)(blockIdx.x % (unsigned)a.heads), rows = min(B, seg.nq - item.first), pos = seg.nk - seg.nq + item.first, last = pos + rows - 1;
    float dq[RI][ND], lse[RI], inner[RI];
#pragma unroll
    for (int r = 0; r < RI; r++) {
        const int64_t row = (int64_t)seg.q0 + item.first + ty * RI + r;
        lse[r] = ty * RI + r < rows ? a.lse[row * a.ldl + h] : INFINITY;
        inner[r] = ty * RI + r < rows ? a.inner[row * a.heads + h] : 0.0f;
#pragma unroll
        for (int n = 0; n < ND; n++)
            dq[r][n] = 0.0f;
    }
    attn_take<WIDTH, B, 256>(qs, a.q, (int64_t)seg.q0 + item.first, rows, h, a.d);
    attn_take<WIDTH, B, 256>(ds, a.dout, (int64_t)seg.q0 + item.first, rows, h, a.d);
    for (int j = (a.window ? max(0, pos - a.window + 1) : 0) / B * B; j <= last; j += B) {
        __syncthreads();
        attn_take<WIDTH, B, 256>(ks, a.k, (int64_t)seg.k0 + j, min(B, seg.nk - j), h / a.group, a.d);
        attn_take<WIDTH, B, 256>(vs, a.v, (int64_t)seg.k0 + j, min(B, seg.nk - j), h / a.group, a.d);
        __syncthreads();
        float s[RI][RI], dp[RI][RI];
        attn_dot_f32<WIDTH, RI, RI>(s, qs, ks, tx, ty);
        attn_dot_f32<WIDTH, RI, RI>(dp, ds, vs, tx, ty);
#pragma unroll
        for (int r = 0; r < RI; r++)
#pragma unroll
            for (int c = 0; c < RI; c++) {
                back_score(a, &s[r][c], &dp[r][c], lse[r], inner[r], pos + ty * RI + r, j + tx + 16 * c);
                gs[(ty * RI + r) * (B + 4) + tx + 16 * c] = dp[r][c];
            }
        __syncthreads();
        attn_add_f32<WIDTH, RI, B>(dq, gs, ks, tx, ty);
    }
#pragma unroll
    for (int r = 0; r < RI; r++)
        if (ty * RI + r < rows)
#pragma unroll
            for (int n = 0; n < ND; n++) {
                const int c = attn_col<WIDTH>(n, tx);
                if (c < a.d) {
                    float *to = a.dq + ((int64_t)seg.q0 + item.first + ty * RI + r) * a.lddq + (int64_t)h * a.d + c;
                    *to = fmaf(a.scale, dq[r][n], *to);
                }
            }
}

/* ---- the call ---- */

template <int WIDTH, int STAGES, int WHICH> static void keys_bf16(Cuda *c, const AttnBack *a, int64_t items)
{
    void (*const attn_back_keys)(AttnBack) = ::attn_back_keys<WIDTH, STAGES, WHICH>;
    const size_t shared = KEYS_SHARED(WIDTH, STAGES);
    if (CUDA_SHARED(c, attn_back_keys, shared))
        CUDA_LAUNCH(c, (unsigned)(items * a->kv_heads), 128, shared, attn_back_keys, *a);
}

template <int WIDTH, int MT, int STAGES> static void queries_bf16(Cuda *c, const AttnBack *a, int64_t items)
{
    void (*const attn_back_queries)(AttnBack) = ::attn_back_queries<WIDTH, MT, STAGES>;
    const size_t shared = QUERIES_SHARED(WIDTH, MT, STAGES);
    if (CUDA_SHARED(c, attn_back_queries, shared))
        CUDA_LAUNCH(c, (unsigned)(items * a->heads), 128, shared, attn_back_queries, *a);
}

template <int WIDTH> static void keys_f32(Cuda *c, const AttnBack *a, int64_t items)
{
    void (*const attn_back_keys_f32)(AttnBack) = ::attn_back_keys_f32<WIDTH>;
    if (CUDA_SHARED(c, attn_back_keys_f32, BACK_F32_SHARED(WIDTH)))
        CUDA_LAUNCH(c, (unsigned)(items * a->kv_heads), 256, BACK_F32_SHARED(WIDTH), attn_back_keys_f32, *a);
}

template <int WIDTH> static void queries_f32(Cuda *c, const AttnBack *a, int64_t items)
{
    void (*const attn_back_queries_f32)(AttnBack) = ::attn_back_queries_f32<WIDTH>;
    if (CUDA_SHARED(c, attn_back_queries_f32, BACK_F32_SHARED(WIDTH)))
        CUDA_LAUNCH(c, (unsigned)(items * a->heads), 256, BACK_F32_SHARED(WIDTH), attn_back_queries_f32, *a);
}

/* 16-row tiles of queries that a warp has: two as long as its sums fit the registers. */
#define QUERIES_MT(width) ((width) <= 96 ? 2 : 1)

/* Above head size 128 the sums of dk and dv do not fit one thread's registers. */
template <int WIDTH, int STAGES> static void keys_apart(Cuda *c, const AttnBack *a, int64_t items)
{
    if (a->dk)
        keys_bf16<WIDTH, STAGES, BACK_DK>(c, a, items);
    if (a->dv)
        keys_bf16<WIDTH, STAGES, BACK_DV>(c, a, items);
}

static void back_keys(Cuda *c, const AttnBack *a, int64_t items, int width, bool bf16)
{
    const bool two = (size_t)c->shared_limit >= KEYS_SHARED(width, 2);
    switch (width) {
    case 64:  bf16 ? keys_bf16<64, 2, BACK_BOTH>(c, a, items) : keys_f32<64>(c, a, items); break;
    case 80:  bf16 ? keys_bf16<80, 2, BACK_BOTH>(c, a, items) : keys_f32<80>(c, a, items); break;
    case 96:  bf16 ? keys_bf16<96, 2, BACK_BOTH>(c, a, items) : keys_f32<96>(c, a, items); break;
    case 128: bf16 ? keys_bf16<128, 2, BACK_BOTH>(c, a, items) : keys_f32<128>(c, a, items); break;
    case 192: !bf16 ? keys_f32<192>(c, a, items) : two ? keys_apart<192, 2>(c, a, items) : keys_apart<192, 1>(c, a, items); break;
    default:  !bf16 ? keys_f32<256>(c, a, items) : two ? keys_apart<256, 2>(c, a, items) : keys_apart<256, 1>(c, a, items); break;
    }
}

static void back_queries(Cuda *c, const AttnBack *a, int64_t items, int width, bool bf16)
{
    const bool two = (size_t)c->shared_limit >= QUERIES_SHARED(width, QUERIES_MT(width), 2);
    switch (width) {
    case 64:  bf16 ? queries_bf16<64, QUERIES_MT(64), 2>(c, a, items) : queries_f32<64>(c, a, items); break;
    case 80:  bf16 ? queries_bf16<80, QUERIES_MT(80), 2>(c, a, items) : queries_f32<80>(c, a, items); break;
    case 96:  bf16 ? queries_bf16<96, QUERIES_MT(96), 2>(c, a, items) : queries_f32<96>(c, a, items); break;
    case 128: bf16 ? queries_bf16<128, QUERIES_MT(128), 2>(c, a, items) : queries_f32<128>(c, a, items); break;
    case 192: !bf16 ? queries_f32<192>(c, a, items) : two ? queries_bf16<192, 1, 2>(c, a, items) : queries_bf16<192, 1, 1>(c, a, items); break;
    default:  !bf16 ? queries_f32<256>(c, a, items) : two ? queries_bf16<256, 1, 2>(c, a, items) : queries_bf16<256, 1, 1>(c, a, items); break;
    }
}

/* Inner products, and in bf16 the copies of all four. */
static bool back_prepare(Cuda *c, AttnBack *a, const AttnPlan *p, AttnList q_rows, AttnList k_rows, int width, const Tensor *o, bool bf16)
{
    AttnRound r = AttnRound();
    float *inner = (float *)cuda_slot(c, SLOT_ROWS, (size_t)(tensor_rows(o) * a->heads) * sizeof *inner);
    uint16_t *k = NULL, *q = NULL;
    if (bf16) {
        a->k_plane = p->k_rows * width;
        a->q_plane = p->q_rows * width;
        k = (uint16_t *)cuda_slot(c, SLOT_A, (size_t)(2 * a->kv_heads * a->k_plane) * sizeof *k);
        q = (uint16_t *)cuda_slot(c, SLOT_B, (size_t)(2 * a->heads * a->q_plane) * sizeof *q);
    }
    if (!cuda_ok(c))
        return false;
    a->inner = inner;
    r.seg = p->seg_at;
    r.d = a->d;
    r.width = width;
    r.item = p->item_at + q_rows.first;
    r.heads = a->heads;
    r.plane = a->q_plane;
    r.from = a->dout;
    r.o = attn_read_of(o, a->heads, a->d);
    r.inner = inner;
    r.to = bf16 ? q + a->heads * a->q_plane : NULL;
    a->dout_copy = r.to;
    attn_round(c, &r, q_rows.n);
    if (bf16) {
        r.inner = NULL;
        r.from = a->q;
        r.to = q;
        a->q_copy = q;
        attn_round(c, &r, q_rows.n);
        r.item = p->item_at + k_rows.first;
        r.keys = 1;
        r.heads = a->kv_heads;
        r.plane = a->k_plane;
        r.from = a->k;
        r.to = k;
        a->k_copy = k;
        attn_round(c, &r, k_rows.n);
        r.from = a->v;
        r.to = k + a->kv_heads * a->k_plane;
        a->v_copy = r.to;
        attn_round(c, &r, k_rows.n);
    }
    return cuda_ok(c);
}

static bool in_pairs(const Mat *m)
{
    return !m->p || ((uintptr_t)m->p % 8 == 0 && m->ld % 2 == 0);
}

void cuda_attn_bwd(Backend *be, Tensor *dq, Tensor *dk, Tensor *dv, const Tensor *dout, const Tensor *o, const Tensor *lse, const Tensor *q, const Tensor *k, const Tensor *v,
                   const AttnShape *s)
{
    Cuda *c = cuda_of(be);
    const Mat mdq = mat_of(dq), mdk = mat_of(dk), mdv = mat_of(dv), ml = mat_of(lse);
    const int width = attn_width(s->head_dim), group = s->heads / s->kv_heads;
    const bool bf16 = c->be.compute == COMPUTE_BF16;
    BUG_ON(s->heads % s->kv_heads || k->dtype != DT_F32 || v->dtype != DT_F32);
    if (!cuda_ok(c) || (!dq && !dk && !dv) || tensor_rows(q) == 0)
        return;
    if (!width) {
        cuda_fail(c, cudaErrorInvalidValue, "attention: heads of more than 256 numbers");
        return;
    }
    AttnBack a = AttnBack();
    a.heads = s->heads;
    a.kv_heads = s->kv_heads;
    a.group = group;
    a.d = s->head_dim;
    a.scale = s->scale;
    a.cap = s->softcap;
    a.to_cap = s->softcap > 0 ? 1.0f / s->softcap : 0.0f;
    a.q = attn_read_of(q, s->heads, s->head_dim);
    a.dout = attn_read_of(dout, s->heads, s->head_dim);
    a.k = attn_read_of(k, s->kv_heads, s->head_dim);
    a.v = attn_read_of(v, s->kv_heads, s->head_dim);
    a.lse = ml.p;
    a.ldl = ml.ld;
    a.dq = mdq.p;
    a.dk = mdk.p;
    a.dv = mdv.p;
    a.lddq = mdq.ld;
    a.lddk = mdk.ld;
    a.lddv = mdv.ld;
    a.pairs = s->head_dim % 2 == 0 && in_pairs(&mdq) && in_pairs(&mdk) && in_pairs(&mdv);

    AttnPlan p;
    attn_plan_init(&p, s, false);
    a.window = p.window;
    const AttnList q_rows = attn_plan_cut(&p, ATTN_QUERY_ROWS, ATTN_ROWS), k_rows = bf16 ? attn_plan_cut(&p, ATTN_KEY_ROWS, ATTN_ROWS) : AttnList();
    const AttnList queries = dq ? attn_plan_cut(&p, ATTN_QUERIES, bf16 ? 64 * QUERIES_MT(width) : 16 * BACK_RI(width)) : AttnList();
    const AttnList keys = dk || dv ? attn_plan_cut(&p, ATTN_KEYS, bf16 ? 64 : 16 * BACK_RI(width)) : AttnList();
    if (p.n_item && attn_plan_stage(c, &p)) {
        a.seg = p.seg_at;
        if (back_prepare(c, &a, &p, q_rows, k_rows, width, o, bf16)) {
            a.item = p.item_at + queries.first;
            if (queries.n)
                back_queries(c, &a, queries.n, width, bf16);
            a.item = p.item_at + keys.first;
            if (keys.n)
                back_keys(c, &a, keys.n, width, bf16);
        }
    }
    attn_plan_release(&p);
}

/* ---- the sinks ----
 * A sink is a score without a value: its probability times (0 - dout . o). 8 bytes read for each number of o: memory, bar 85 % of the copy rate. A block adds ATTN_ROWS rows of a head,
 * each warp every eighth, then the warps in order; a thread adds the blocks of its head, in order, in double. */

typedef struct AttnSinks {
    AttnRead dout, o;
    int64_t  rows, ldl;
    int      heads, d;
    const float *lse, *sinks;
    float   *parts, *dsinks;        /* parts [blocks of rows][heads] */
} AttnSinks;

__global__ static __launch_bounds__(256) void attn_sinks_rows(AttnSinks a)
{
    __shared__ float warps[8];
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32, h = (int)(blockIdx.x % (unsigned)a.heads);
    const int64_t first = (int64_t)(blockIdx.x / (unsigned)a.heads) * ATTN_ROWS, end = first + ATTN_ROWS < a.rows ? first + ATTN_ROWS : a.rows;
    float all = 0.0f;
    for (int64_t row = first + warp; row < end; row += 8) {
        float sum = 0.0f;
        for (int c = lane * 4; c < a.d; c += 128) {
            const float4 x = attn_quad<DT_F32>(a.dout.p + row * a.dout.step + h * a.dout.head, c, a.d, a.dout.wide);
            const float4 y = attn_quad<DT_F32>(a.o.p + row * a.o.step + h * a.o.head, c, a.d, a.o.wide);
            sum = fmaf(x.x, y.x, fmaf(x.y, y.y, fmaf(x.z, y.z, fmaf(x.w, y.w, sum))));
        }
        for (int bit = 16; bit > 0; bit /= 2)
            sum += __shfl_xor_sync(0xffffffffu, sum, bit);
        all -= expf(a.sinks[h] - a.lse[row * a.ldl + h]) * sum;
    }
    if (lane == 0)
        warps[warp] = all;
    __syncthreads();
    if (threadIdx.x == 0) {
        all = 0.0f;
        for (int i = 0; i < 8; i++)
            all += warps[i];
        a.parts[blockIdx.x] = all;
    }
}

__global__ static __launch_bounds__(32) void attn_sinks_sum(AttnSinks a)
{
    const int h = (int)(blockIdx.x * 32 + threadIdx.x);
    if (h < a.heads) {
        double sum = 0.0;
        for (int64_t i = 0; i * ATTN_ROWS < a.rows; i++)
            sum += (double)a.parts[i * a.heads + h];
        a.dsinks[h] += (float)sum;
    }
}

void cuda_attn_sinks_bwd(Backend *be, Tensor *dsinks, const Tensor *dout, const Tensor *o, const Tensor *lse, const AttnShape *s)
{
    Cuda *c = cuda_of(be);
    AttnSinks a = AttnSinks();
    const Mat ml = mat_of(lse);
    a.rows = tensor_rows(o);
    if (!cuda_ok(c) || a.rows == 0)
        return;
    const int64_t blocks = (a.rows + ATTN_ROWS - 1) / ATTN_ROWS * s->heads;
    a.dout = attn_read_of(dout, s->heads, s->head_dim);
    a.o = attn_read_of(o, s->heads, s->head_dim);
    a.heads = s->heads;
    a.d = s->head_dim;
    a.lse = ml.p;
    a.ldl = ml.ld;
    a.sinks = cuda_vector(c, SLOT_ROWS, s->sinks);
    a.parts = (float *)cuda_slot(c, SLOT_SUMS, (size_t)blocks * sizeof *a.parts);
    a.dsinks = mat_of(dsinks).p;
    if (!cuda_ok(c))
        return;
    CUDA_LAUNCH(c, (unsigned)blocks, 256, 0, attn_sinks_rows, a);
    CUDA_LAUNCH(c, (unsigned)((s->heads + 31) / 32), 32, 0, attn_sinks_sum, a);
}
