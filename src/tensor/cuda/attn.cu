/* attn.cu - attention forward, without a T x T matrix (Dao et al. 2022; the order of work in the tiles is that of FlashAttention-2, Dao 2023).
 *
 * Three ways. attn_tile: bf16 products in the matrix units, statistics in F32. attn_tile_f32: all in F32, for COMPUTE_F32. attn_few and attn_merge: few queries of a segment
 * with a cache (decoding), in F32 whatever compute says, since such a product waits for memory alone; the keys are cut into parts whose number follows from nk, and
 * what the parts bring is joined in their order (flash-decoding, Dao et al. 2023).
 * Invariants: a block alone writes its rows of o and lse; sums over keys run in the order of the keys, in tiles that begin at multiples of the tile's size. */
#include "tensor/cuda/attn.cuh"

/* ---- forward, in tiles ---- */

typedef struct AttnForward {
    const AttnSeg  *seg;
    const AttnItem *item;
    int      heads, kv_heads, group, d, window;
    float    scale, cap, to_cap;    /* to_cap: 1 / cap */
    AttnRead q, k, v;               /* bf16: of k and v the copies instead */
    const uint16_t *k_copy, *v_copy; /* [kv heads][rows][width] */
    int64_t  plane;                 /* numbers of a kv head in them */
    float   *o, *lse;
    int64_t  ldo, ldl;
    int      pairs;                 /* two numbers of o can be written at once */
    const float *sinks;
    float   *parts;                 /* few queries: rows of d sums, their top, the sum of their exponentials */
} AttnForward;

#define FORWARD_KEYS(MT) ((MT) == 2 ? 32 : 64) /* as many scores in the registers */
#define FORWARD_SHARED(width, WARPS, MT) (((WARPS) * (MT) * 16 + 2 * FORWARD_KEYS(MT)) * TILE_STEP(width) * sizeof(uint16_t))

/* 4 d FLOPs for each query and key that it sees; the matrix units bound it (and shared memory nearly as much: a warp of 32 rows reads each key and value once, 4 bytes for
 * 32 products). Bar: half of cuDNN's rate, on an H200 240 TFLOP/s at 2,048 tokens and 295 at 4,096, head size 128.
 * WARPS * MT * 16 queries of a head; MT = 2 halves what is read of shared memory, and fits the registers up to head size 128. While a tile's scores are worked out its values
 * arrive, and while those are added the next keys: both through cp.async, one buffer each, two barriers a tile. */
template <int WIDTH, int WARPS, int MT> __global__ static __launch_bounds__(WARPS * 32, 8 / WARPS) void attn_tile(AttnForward a)
{
    constexpr int BQ = WARPS * MT * 16, BK = FORWARD_KEYS(MT), NT = BK / 8, ND = WIDTH / 8;
    SHARED_DYNAMIC(uint16_t, shared);
    uint16_t *const qs = shared, *const ks = qs + BQ * TILE_STEP(WIDTH), *const vs = ks + BK * TILE_STEP(WIDTH);
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32, g = lane / 4, t = lane % 4;
    const AttnItem item = a.item[blockIdx.x / (unsigned)a.heads];
    const AttnSeg seg = a.seg[item.seg];
    const int h = (int)(blockIdx.x % (unsigned)a.heads), rows = min(BQ, seg.nq - item.first), pos = seg.nk - seg.nq + item.first;
    const int64_t row = (int64_t)seg.q0 + item.first;
    const uint16_t *k = a.k_copy + (h / a.group) * a.plane + (int64_t)seg.k_at * WIDTH, *v = a.v_copy + (h / a.group) * a.plane + (int64_t)seg.k_at * WIDTH;

    const int last = pos + rows - 1;
    int j = (a.window ? max(0, pos - a.window + 1) : 0) / BK * BK;
    tile_fetch<WIDTH, BK, WARPS * 32>(ks, k + (int64_t)j * WIDTH, seg.nk - j);
    copy_group();

    /* the sign of the scale goes to q, so that a row's maximum can be taken before its scores are scaled */
    const float sign = a.scale < 0.0f ? -1.0f : 1.0f, size = fmaxf(fabsf(a.scale), 1e-30f), to_cap = size * a.to_cap;
    const float factor = (a.cap > 0.0f ? 1.0f : size) * ATTN_LOG2E; /* of a score: exponents are of 2 */
    for (int i = (int)threadIdx.x; i < BQ * (WIDTH / 8); i += WARPS * 32) {
        const int r = i / (WIDTH / 8), chunk = i % (WIDTH / 8);
        float4 x = make_float4(0.0f, 0.0f, 0.0f, 0.0f), y = x;
        if (r < rows) {
            const unsigned char *from = a.q.p + (row + r) * a.q.step + h * a.q.head;
            x = attn_quad<DT_F32>(from, chunk * 8, a.d, a.q.wide);
            y = attn_quad<DT_F32>(from, chunk * 8 + 4, a.d, a.q.wide);
        }
        *(uint4 *)(qs + r * TILE_STEP(WIDTH) + chunk * 8) = make_uint4(bf16_pair(sign * x.x, sign * x.y), bf16_pair(sign * x.z, sign * x.w), bf16_pair(sign * y.x, sign * y.y),
                                                              bf16_pair(sign * y.z, sign * y.w));
    }

    float o[MT][ND][4], high[MT][2], sum[MT][2];
#pragma unroll
    for (int m = 0; m < MT; m++) {
#pragma unroll
        for (int n = 0; n < ND; n++)
#pragma unroll
            for (int e = 0; e < 4; e++)
                o[m][n][e] = 0.0f;
        high[m][0] = high[m][1] = -INFINITY;
        sum[m][0] = sum[m][1] = 0.0f;
    }
    const int low = pos + warp * MT * 16, top = low + MT * 16 - 1; /* positions of this warp's rows */
    for (; j <= last; j += BK) {
        copy_wait<0>();
        __syncthreads(); /* the keys are there, and nobody reads the values before them any more */
        tile_fetch<WIDTH, BK, WARPS * 32>(vs, v + (int64_t)j * WIDTH, seg.nk - j);
        copy_group();
        const bool works = low <= last && j <= top && (!a.window || j + BK - 1 > low - a.window);
        float s[MT][NT][4];
        if (works)
            tile_dot<WIDTH, MT, NT>(s, qs, warp * MT * 16, ks, lane);
        copy_wait<0>();
        __syncthreads(); /* the values are there, and nobody reads the keys any more */
        if (j + BK <= last) {
            tile_fetch<WIDTH, BK, WARPS * 32>(ks, k + (int64_t)(j + BK) * WIDTH, seg.nk - j - BK);
            copy_group();
        }
        if (works) {
            if (a.cap > 0.0f) {
#pragma unroll
                for (int m = 0; m < MT; m++)
#pragma unroll
                    for (int n = 0; n < NT; n++)
#pragma unroll
                        for (int e = 0; e < 4; e++)
                            s[m][n][e] = a.cap * attn_tanh(s[m][n][e] * to_cap);
            }
            if (j + BK - 1 > low || (a.window && j <= top - a.window)) {
#pragma unroll
                for (int m = 0; m < MT; m++)
#pragma unroll
                    for (int n = 0; n < NT; n++)
#pragma unroll
                        for (int e = 0; e < 4; e++)
                            if (!attn_sees(low + m * 16 + g + e / 2 * 8, j + n * 8 + 2 * t + e % 2, a.window))
                                s[m][n][e] = -INFINITY;
            }
#pragma unroll
            for (int m = 0; m < MT; m++)
#pragma unroll
                for (int r = 0; r < 2; r++) {
                    float now = high[m][r];
#pragma unroll
                    for (int n = 0; n < NT; n++)
                        now = fmaxf(now, fmaxf(s[m][n][2 * r], s[m][n][2 * r + 1]));
                    now = fmaxf(now, __shfl_xor_sync(0xffffffffu, now, 1));
                    now = fmaxf(now, __shfl_xor_sync(0xffffffffu, now, 2));
                    const float base = attn_base(now) * factor, fade = exp2f(fmaf(high[m][r], factor, -base));
                    high[m][r] = now;
                    float add = 0.0f;
#pragma unroll
                    for (int n = 0; n < NT; n++)
#pragma unroll
                        for (int e = 2 * r; e < 2 * r + 2; e++) {
                            s[m][n][e] = exp2f(fmaf(s[m][n][e], factor, -base));
                            add += s[m][n][e];
                        }
                    sum[m][r] = fmaf(sum[m][r], fade, add);
#pragma unroll
                    for (int n = 0; n < ND; n++) {
                        o[m][n][2 * r] *= fade;
                        o[m][n][2 * r + 1] *= fade;
                    }
                }
            tile_add<WIDTH, MT, NT>(o, s, vs, lane);
        }
    }

    const float sink = a.sinks ? a.sinks[h] * ATTN_LOG2E : -INFINITY;
#pragma unroll
    for (int m = 0; m < MT; m++)
#pragma unroll
        for (int r = 0; r < 2; r++) {
            float all = sum[m][r];
            all += __shfl_xor_sync(0xffffffffu, all, 1);
            all += __shfl_xor_sync(0xffffffffu, all, 2);
            const int i = warp * MT * 16 + m * 16 + g + r * 8;
            if (i < rows) {
                const float mine = high[m][r] * factor, most = fmaxf(mine, sink), fade = exp2f(mine - most);
                all = fmaf(all, fade, exp2f(sink - most));
                const float by = fade / all;
                float *to = a.o + (row + i) * a.ldo + (int64_t)h * a.d;
#pragma unroll
                for (int n = 0; n < ND; n++) {
                    const int c = n * 8 + 2 * t;
                    if (a.pairs) {
                        if (c < a.d)
                            *(float2 *)(to + c) = make_float2(o[m][n][2 * r] * by, o[m][n][2 * r + 1] * by);
                    } else {
                        if (c < a.d)
                            to[c] = o[m][n][2 * r] * by;
                        if (c + 1 < a.d)
                            to[c + 1] = o[m][n][2 * r + 1] * by;
                    }
                }
                if (a.lse && t == 0)
                    a.lse[(row + i) * a.ldl + h] = (most + log2f(all)) * ATTN_LN2;
            }
        }
}

/* The same in F32: 4 d FLOPs for each query and key; the multipliers bound it. Bar: 40 % of the card's F32 rate. 4 TY queries, tiles of 32 keys; keys and values
 * share a buffer, so that head size 256 fits the smallest shared memory. Keys of any type of a cache, as the F32 numbers that they mean. */
template <int WIDTH, int TY> __global__ static __launch_bounds__(16 * TY, 2) void attn_tile_f32(AttnForward a)
{
    constexpr int RI = 4, BQ = RI * TY, BK = 32, LD = WIDTH + 4, ND = WIDTH / 16, THREADS = 16 * TY;
    SHARED_DYNAMIC(float, shared);
    float *const qs = shared, *const kvs = qs + BQ * LD, *const ps = kvs + BK * LD; /* ps [BQ][BK + 4] */
    const int tx = (int)threadIdx.x % 16, ty = (int)threadIdx.x / 16;
    const AttnItem item = a.item[blockIdx.x / (unsigned)a.heads];
    const AttnSeg seg = a.seg[item.seg];
    const int h = (int)(blockIdx.x % (unsigned)a.heads), rows = min(BQ, seg.nq - item.first), pos = seg.nk - seg.nq + item.first, last = pos + rows - 1;
    const int64_t row = (int64_t)seg.q0 + item.first;

    float o[RI][ND], high[RI], sum[RI];
#pragma unroll
    for (int i = 0; i < RI; i++) {
#pragma unroll
        for (int n = 0; n < ND; n++)
            o[i][n] = 0.0f;
        high[i] = -INFINITY;
        sum[i] = 0.0f;
    }
    attn_take<WIDTH, BQ, THREADS>(qs, a.q, row, rows, h, a.d);
    for (int j = (a.window ? max(0, pos - a.window + 1) : 0) / BK * BK; j <= last; j += BK) {
        const int keys = min(BK, seg.nk - j);
        __syncthreads();
        attn_take<WIDTH, BK, THREADS>(kvs, a.k, (int64_t)seg.k0 + j, keys, h / a.group, a.d);
        __syncthreads();
        float s[RI][2];
        attn_dot_f32<WIDTH, RI, 2>(s, qs, kvs, tx, ty);
        __syncthreads();
        attn_take<WIDTH, BK, THREADS>(kvs, a.v, (int64_t)seg.k0 + j, keys, h / a.group, a.d);
#pragma unroll
        for (int i = 0; i < RI; i++) {
            float now = high[i];
#pragma unroll
            for (int k = 0; k < 2; k++) {
                s[i][k] *= a.scale;
                if (a.cap > 0.0f)
                    s[i][k] = a.cap * attn_tanh(s[i][k] * a.to_cap);
                if (!attn_sees(pos + ty * RI + i, j + tx + 16 * k, a.window))
                    s[i][k] = -INFINITY;
                now = fmaxf(now, s[i][k]);
            }
#pragma unroll
            for (int bit = 1; bit < 16; bit *= 2)
                now = fmaxf(now, __shfl_xor_sync(0xffffffffu, now, bit));
            const float base = attn_base(now), fade = expf(high[i] - base), p0 = expf(s[i][0] - base), p1 = expf(s[i][1] - base);
            high[i] = now;
            sum[i] = fmaf(sum[i], fade, p0 + p1);
            ps[(ty * RI + i) * (BK + 4) + tx] = p0;
            ps[(ty * RI + i) * (BK + 4) + tx + 16] = p1;
#pragma unroll
            for (int n = 0; n < ND; n++)
                o[i][n] *= fade;
        }
        __syncthreads();
        attn_add_f32<WIDTH, RI, BK>(o, ps, kvs, tx, ty);
    }
    const float sink = a.sinks ? a.sinks[h] : -INFINITY;
#pragma unroll
    for (int i = 0; i < RI; i++) {
        float all = sum[i];
#pragma unroll
        for (int bit = 1; bit < 16; bit *= 2)
            all += __shfl_xor_sync(0xffffffffu, all, bit);
        if (ty * RI + i < rows) {
            const float most = fmaxf(high[i], sink), fade = expf(high[i] - most);
            all = fmaf(all, fade, expf(sink - most));
            const float by = fade / all;
            float *to = a.o + (row + ty * RI + i) * a.ldo + (int64_t)h * a.d;
#pragma unroll
            for (int n = 0; n < ND; n++)
                if (attn_col<WIDTH>(n, tx) < a.d)
                    to[attn_col<WIDTH>(n, tx)] = o[i][n] * by;
            if (a.lse && tx == 0)
                a.lse[(row + ty * RI + i) * a.ldl + h] = most + logf(all);
        }
    }
}

/* ---- forward, few queries ---- */

/* A part of the keys for up to PAIRS pairs of query and head of one kv head. 2 d numbers of the cache are read for each key and kv head, and 4 d FLOPs done for each
 * pair: memory bounds it up to some 8 pairs. Bar: 80 % of the copy rate.
 * Four blocks on a multiprocessor are asked for so that the compiler does not aim at more and spill for it; so everywhere here.
 * Scores: eight lanes to a key, four keys to a warp at a time, 128 bytes of F32 a row and load. Values: a thread owns four numbers of the head and every so manieth key. */
template <int TYPE, int PAIRS> __global__ static __launch_bounds__(128, 3) void attn_few(AttnForward a)
{
    __shared__ float q[PAIRS][ATTN_WIDEST], p[PAIRS][FEW_CHUNK], fades[PAIRS];
    __shared__ float4 outs[128];
    const int tid = (int)threadIdx.x, lane = tid % 32, warp = tid / 32;
    const AttnItem item = a.item[blockIdx.x / (unsigned)a.kv_heads];
    const AttnSeg seg = a.seg[item.seg];
    const int kv = (int)(blockIdx.x % (unsigned)a.kv_heads), first_pair = item.run * FEW_PAIRS, pairs = min(PAIRS, seg.nq * a.group - first_pair);
    const int shift = seg.nk - seg.nq, quads = (a.d + 3) / 4, slices = 128 / quads, slice = tid / quads, mine = tid % quads * 4;
    const int seen = a.window ? max(0, shift - a.window + 1) : 0, end = min(item.first + seg.part_keys, seg.nk);
    const unsigned char *k = a.k.p + (int64_t)seg.k0 * a.k.step + kv * a.k.head, *v = a.v.p + (int64_t)seg.k0 * a.v.step + kv * a.v.head;

    for (int i = tid; i < PAIRS * quads; i += 128) {
        const int n = i / quads, pair = first_pair + n, c = i % quads * 4;
        float4 x = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        if (n < pairs)
            x = attn_quad<DT_F32>(a.q.p + ((int64_t)seg.q0 + pair / a.group) * a.q.step + (kv * a.group + pair % a.group) * a.q.head, c, a.d, a.q.wide);
        *(float4 *)&q[n][c] = x;
    }
    float4 out[PAIRS];
    float high[(PAIRS + 3) / 4], sum[(PAIRS + 3) / 4]; /* of the pairs warp, warp + 4, the same in all lanes */
#pragma unroll
    for (int n = 0; n < PAIRS; n++)
        out[n] = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
#pragma unroll
    for (int n = 0; n < (PAIRS + 3) / 4; n++) {
        high[n] = -INFINITY;
        sum[n] = 0.0f;
    }
    __syncthreads();
    for (int j = max(item.first, seen); j < end; j += FEW_CHUNK) {
        const int keys = min(FEW_CHUNK, end - j);
#pragma unroll 2
        for (int step = 0; step < FEW_CHUNK; step += 16) {
            const int key = step + warp * 4 + lane / 8;
            float s[PAIRS];
#pragma unroll
            for (int n = 0; n < PAIRS; n++)
                s[n] = 0.0f;
            if (key < keys)
                for (int c = lane % 8 * 4; c < a.d; c += 32) {
                    const float4 x = attn_quad<TYPE>(k + (int64_t)(j + key) * a.k.step, c, a.d, a.k.wide);
#pragma unroll
                    for (int n = 0; n < PAIRS; n++) {
                        const float4 y = *(const float4 *)&q[n][c];
                        s[n] = fmaf(x.x, y.x, fmaf(x.y, y.y, fmaf(x.z, y.z, fmaf(x.w, y.w, s[n]))));
                    }
                }
#pragma unroll
            for (int n = 0; n < PAIRS; n++) {
                s[n] += __shfl_xor_sync(0xffffffffu, s[n], 4);
                s[n] += __shfl_xor_sync(0xffffffffu, s[n], 2);
                s[n] += __shfl_xor_sync(0xffffffffu, s[n], 1);
                if (lane % 8 == n) {
                    float score = a.scale * s[n];
                    if (a.cap > 0.0f)
                        score = a.cap * attn_tanh(score * a.to_cap);
                    p[n][key] = key < keys && attn_sees(shift + (first_pair + n) / a.group, j + key, a.window) ? score : -INFINITY;
                }
            }
        }
        __syncthreads();
#pragma unroll
        for (int n = 0; n < (PAIRS + 3) / 4; n++) {
            const int pair = n * 4 + warp;
            if (pair < PAIRS) {
                float s[FEW_CHUNK / 32], now = high[n], add = 0.0f;
#pragma unroll
                for (int i = 0; i < FEW_CHUNK / 32; i++) {
                    s[i] = p[pair][i * 32 + lane];
                    now = fmaxf(now, s[i]);
                }
#pragma unroll
                for (int bit = 16; bit > 0; bit /= 2)
                    now = fmaxf(now, __shfl_xor_sync(0xffffffffu, now, bit));
                const float base = attn_base(now), fade = expf(high[n] - base);
#pragma unroll
                for (int i = 0; i < FEW_CHUNK / 32; i++) {
                    s[i] = expf(s[i] - base);
                    p[pair][i * 32 + lane] = s[i];
                    add += s[i];
                }
#pragma unroll
                for (int bit = 16; bit > 0; bit /= 2)
                    add += __shfl_xor_sync(0xffffffffu, add, bit);
                high[n] = now;
                sum[n] = fmaf(sum[n], fade, add);
                if (lane == 0)
                    fades[pair] = fade;
            }
        }
        __syncthreads();
        if (slice < slices) {
#pragma unroll
            for (int n = 0; n < PAIRS; n++) {
                const float fade = fades[n];
                out[n] = make_float4(out[n].x * fade, out[n].y * fade, out[n].z * fade, out[n].w * fade);
            }
#pragma unroll(PAIRS > 4 ? 2 : 4)
            for (int key = slice; key < keys; key += slices) {
                const float4 x = attn_quad<TYPE>(v + (int64_t)(j + key) * a.v.step, mine, a.d, a.v.wide);
#pragma unroll
                for (int n = 0; n < PAIRS; n++) {
                    const float w = p[n][key];
                    out[n] = make_float4(fmaf(w, x.x, out[n].x), fmaf(w, x.y, out[n].y), fmaf(w, x.z, out[n].z), fmaf(w, x.w, out[n].w));
                }
            }
        }
        __syncthreads();
    }
#pragma unroll
    for (int n = 0; n < PAIRS; n++) {
        const int pair = first_pair + n;
        float *to = a.parts + (seg.part_at + ((int64_t)item.meets * seg.nq + pair / a.group) * a.heads + kv * a.group + pair % a.group) * (a.d + 2);
        outs[tid] = out[n];
        __syncthreads();
        if (n < pairs && tid < quads) {
            float4 x = outs[tid];
            for (int i = 1; i < slices; i++) {
                const float4 y = outs[i * quads + tid];
                x = make_float4(x.x + y.x, x.y + y.y, x.z + y.z, x.w + y.w);
            }
            to[mine] = x.x;
            if (mine + 1 < a.d)
                to[mine + 1] = x.y;
            if (mine + 2 < a.d)
                to[mine + 2] = x.z;
            if (mine + 3 < a.d)
                to[mine + 3] = x.w;
        }
        if (n < pairs && lane == 0 && warp == n % 4) {
            to[a.d] = high[n / 4];
            to[a.d + 1] = sum[n / 4];
        }
        __syncthreads();
    }
}

/* Joins the parts of one query and head, in their order. 4 (d + 2) bytes a part: at most 3 % of what attn_few read. */
__global__ static __launch_bounds__(128) void attn_merge(AttnForward a)
{
    __shared__ float by[FEW_PARTS];
    const int tid = (int)threadIdx.x;
    const AttnItem item = a.item[blockIdx.x / (unsigned)a.heads];
    const AttnSeg seg = a.seg[item.seg];
    const int h = (int)(blockIdx.x % (unsigned)a.heads);
    const int64_t each = a.d + 2, step = (int64_t)seg.nq * a.heads * each, row = (int64_t)seg.q0 + item.first;
    const float *from = a.parts + (seg.part_at + (int64_t)item.first * a.heads + h) * each;
    const float sink = a.sinks ? a.sinks[h] : -INFINITY;
    float most = sink, all;
    for (int i = 0; i < seg.parts; i++)
        most = fmaxf(most, from[i * step + a.d]);
    if (tid < seg.parts)
        by[tid] = expf(from[tid * step + a.d] - most);
    __syncthreads();
    all = expf(sink - most);
    for (int i = 0; i < seg.parts; i++)
        all = fmaf(by[i], from[i * step + a.d + 1], all);
    for (int c = tid; c < a.d; c += 128) {
        float sum = 0.0f;
        for (int i = 0; i < seg.parts; i++)
            sum = fmaf(by[i], from[i * step + c], sum);
        a.o[row * a.ldo + (int64_t)h * a.d + c] = sum / all;
    }
    if (a.lse && tid == 0)
        a.lse[row * a.ldl + h] = most + logf(all);
}

/* ---- the call ---- */

template <int WIDTH, int WARPS, int MT> static void forward_bf16(Cuda *c, const AttnForward *a, int64_t items)
{
    void (*const attn_tile)(AttnForward) = ::attn_tile<WIDTH, WARPS, MT>;
    const size_t shared = FORWARD_SHARED(WIDTH, WARPS, MT);
    if (CUDA_SHARED(c, attn_tile, shared))
        CUDA_LAUNCH(c, (unsigned)(items * a->heads), WARPS * 32, shared, attn_tile, *a);
}

template <int WIDTH, int TY> static void forward_f32(Cuda *c, const AttnForward *a, int64_t items)
{
    void (*const attn_tile_f32)(AttnForward) = ::attn_tile_f32<WIDTH, TY>;
    const size_t shared = (size_t)((4 * TY + 32) * (WIDTH + 4) + 4 * TY * 36) * sizeof(float);
    if (CUDA_SHARED(c, attn_tile_f32, shared))
        CUDA_LAUNCH(c, (unsigned)(items * a->heads), 16 * TY, shared, attn_tile_f32, *a);
}

template <int TYPE> static void few_of(Cuda *c, const AttnForward *a, int64_t items, int pairs)
{
    void (*const attn_few)(AttnForward) = pairs == 1 ? ::attn_few<TYPE, 1> : pairs <= 4 ? ::attn_few<TYPE, 4> : ::attn_few<TYPE, FEW_PAIRS>;
    CUDA_LAUNCH(c, (unsigned)(items * a->kv_heads), 128, 0, attn_few, *a);
}

/* Queries in a tile. Above head size 128, where a warp has 16 rows: eight warps if they fit, since then a key is brought for 128 queries and not for 64. */
static int tile_of(const Cuda *c, int width, bool bf16)
{
    if (!bf16)
        return width <= 128 ? 64 : 32;
    return width <= 128 || (size_t)c->shared_limit >= FORWARD_SHARED(width, 8, 1) ? 128 : 64;
}

static void forward_tiles(Cuda *c, AttnForward *a, int64_t items, int width, bool bf16)
{
    const bool large = tile_of(c, width, bf16) == 128;
    switch (width) {
    case 64:  bf16 ? forward_bf16<64, 4, 2>(c, a, items) : forward_f32<64, 16>(c, a, items); break;
    case 80:  bf16 ? forward_bf16<80, 4, 2>(c, a, items) : forward_f32<80, 16>(c, a, items); break;
    case 96:  bf16 ? forward_bf16<96, 4, 2>(c, a, items) : forward_f32<96, 16>(c, a, items); break;
    case 128: bf16 ? forward_bf16<128, 4, 2>(c, a, items) : forward_f32<128, 16>(c, a, items); break;
    case 192: !bf16 ? forward_f32<192, 8>(c, a, items) : large ? forward_bf16<192, 8, 1>(c, a, items) : forward_bf16<192, 4, 1>(c, a, items); break;
    default:  !bf16 ? forward_f32<256, 8>(c, a, items) : large ? forward_bf16<256, 8, 1>(c, a, items) : forward_bf16<256, 4, 1>(c, a, items); break;
    }
}

/* Rounds keys and values of the segments that are cut into tiles. */
static bool round_cache(Cuda *c, AttnForward *a, const AttnPlan *p, AttnList rows, int width)
{
    AttnRound r = AttnRound();
    a->plane = p->k_rows * width;
    uint16_t *copy = (uint16_t *)cuda_slot(c, SLOT_A, (size_t)(2 * a->kv_heads * a->plane) * sizeof *copy);
    if (!copy)
        return false;
    a->k_copy = copy;
    a->v_copy = copy + a->kv_heads * a->plane;
    r.seg = p->seg_at;
    r.item = p->item_at + rows.first;
    r.heads = a->kv_heads;
    r.d = a->d;
    r.width = width;
    r.keys = 1;
    r.plane = a->plane;
    r.from = a->k;
    r.to = copy;
    attn_round(c, &r, rows.n);
    r.from = a->v;
    r.to = copy + a->kv_heads * a->plane;
    attn_round(c, &r, rows.n);
    return cuda_ok(c);
}

static void forward_few(Cuda *c, AttnForward *a, const AttnPlan *p, AttnList parts, AttnList few)
{
    int pairs = 0;
    for (int i = 0; i < p->s->n_seg; i++)
        if (p->seg[i].parts)
            pairs = MAX(pairs, p->seg[i].nq * a->group);
    a->parts = (float *)cuda_slot(c, SLOT_SUMS, (size_t)p->seg[p->s->n_seg].part_at * (size_t)(a->d + 2) * sizeof *a->parts);
    if (!a->parts)
        return;
    a->item = p->item_at + parts.first;
    switch (a->k.type) {
    case DT_F32: few_of<DT_F32>(c, a, parts.n, pairs); break;
    case DT_F16: few_of<DT_F16>(c, a, parts.n, pairs); break;
    default:     few_of<DT_Q8_0>(c, a, parts.n, pairs); break;
    }
    a->item = p->item_at + few.first;
    CUDA_LAUNCH(c, (unsigned)(few.n * a->heads), 128, 0, attn_merge, *a);
}

void cuda_attn(Backend *be, Tensor *o, Tensor *lse, const Tensor *q, const Tensor *k, const Tensor *v, const AttnShape *s)
{
    Cuda *c = cuda_of(be);
    const Mat mo = mat_of(o), ml = mat_of(lse);
    const int width = attn_width(s->head_dim);
    const bool bf16 = c->be.compute == COMPUTE_BF16;
    BUG_ON(s->heads % s->kv_heads || k->dtype != v->dtype || (k->dtype != DT_F32 && k->dtype != DT_F16 && k->dtype != DT_Q8_0));
    if (!cuda_ok(c) || mo.rows == 0)
        return;
    if (!width) {
        cuda_fail(c, cudaErrorInvalidValue, "attention: heads of more than 256 numbers");
        return;
    }
    AttnPlan p;
    attn_plan_init(&p, s, true);
    const AttnList tiles = attn_plan_cut(&p, ATTN_QUERIES, tile_of(c, width, bf16));
    const AttnList rows = bf16 ? attn_plan_cut(&p, ATTN_KEY_ROWS, ATTN_ROWS) : AttnList();
    const AttnList parts = attn_plan_parts(&p), few = attn_plan_few(&p);

    AttnForward a = AttnForward();
    a.heads = s->heads;
    a.kv_heads = s->kv_heads;
    a.group = s->heads / s->kv_heads;
    a.d = s->head_dim;
    a.window = p.window;
    a.scale = s->scale;
    a.cap = s->softcap;
    a.to_cap = s->softcap > 0 ? 1.0f / s->softcap : 0.0f;
    a.q = attn_read_of(q, s->heads, s->head_dim);
    a.k = attn_read_of(k, s->kv_heads, s->head_dim);
    a.v = attn_read_of(v, s->kv_heads, s->head_dim);
    a.o = mo.p;
    a.ldo = mo.ld;
    a.lse = ml.p;
    a.ldl = ml.ld;
    a.pairs = (uintptr_t)mo.p % 8 == 0 && mo.ld % 2 == 0 && s->head_dim % 2 == 0;
    a.sinks = cuda_vector(c, SLOT_ROWS, s->sinks);
    if (p.n_item && attn_plan_stage(c, &p)) {
        a.seg = p.seg_at;
        a.item = p.item_at + tiles.first;
        if (tiles.n && (!bf16 || round_cache(c, &a, &p, rows, width)))
            forward_tiles(c, &a, tiles.n, width, bf16);
        if (parts.n && cuda_ok(c))
            forward_few(c, &a, &p, parts, few);
    }
    attn_plan_release(&p);
}
