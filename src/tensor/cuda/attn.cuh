/* attn.cuh - what both directions of attention share: how the work is cut, the mathematics of a score, rows of any type that a cache has, and tiles of bf16 in shared memory
 * with their products in the matrix units.
 *
 * Work: a segment's queries or keys are cut on the host into tiles of a fixed number of rows (AttnItem); the lists go to the card with the segments (AttnSeg). Rows that lie in no
 * segment are in no list, so nothing ever reads them; what a tile lacks at a segment's end is filled with zeros.
 * Head sizes are padded with zeros to the next of ATTN_WIDTHS.
 * In bf16 the operands are first copied, rounded, to [heads][rows of all segments, one after the other][width] (attn_round, attn_plan.cu): a tile is then one run of memory that
 * cp.async can bring by itself, which it could not from F32 (it does not convert), and a number that many blocks read is rounded once and read in half the bytes.
 *
 * Everything here also means the same on the host. To add a head size: ATTN_WIDTHS and a case in the four switches of attn.cu and attn_bwd.cu. */
#ifndef HONE_CUDA_ATTN_CUH
#define HONE_CUDA_ATTN_CUH

#include "tensor/cuda/cuda_int.h"
#include "tensor/cuda/mma.cuh"
#include <math.h>

#define ATTN_WIDTHS    64, 80, 96, 128, 192, 256
#define ATTN_WIDEST    256
#define ATTN_FEW       8     /* queries of a segment that has a cache, up to which it goes the way of decoding */
#define ATTN_ROWS      64    /* rows of an item of attn_round and of attn_sums */
#define FEW_CHUNK      256   /* of that way: keys whose scores stand in shared memory at once; parts are whole chunks */
#define FEW_PARTS      64    /* of a segment, at most */
#define FEW_PAIRS      8     /* pairs of query and head in one block */
#define ATTN_LOG2E     1.44269504088896341f
#define ATTN_LN2       0.69314718055994531f

/* ---- the work ---- */

typedef struct AttnSeg {
    int32_t q0, nq, k0, nk;         /* AttnShape's */
    int32_t q_at, k_at;             /* first row in the copies; -1: it has none */
    int32_t part_keys, parts;       /* few queries: keys of a part and parts; 0: the segment is cut into tiles */
    int32_t part0, part_at;         /* first part that is seen; first row of its partial results */
} AttnSeg;

typedef struct AttnItem {
    int32_t seg, first;             /* first row of the tile in its segment; of a part: its first key */
    int32_t run;                    /* of a part: which FEW_PAIRS pairs of query and head */
    int32_t meets;                  /* keys that a tile of queries sees, or queries that see a tile of keys: the long ones go first; of a part: its number */
} AttnItem;

typedef enum { ATTN_QUERIES, ATTN_KEYS, ATTN_QUERY_ROWS, ATTN_KEY_ROWS } AttnCut; /* the first two are sorted by what they meet */

typedef struct AttnPlan {           /* on the host */
    const AttnShape *s;
    int       window;               /* 0 where it is as long as the longest segment */
    AttnSeg  *seg;
    AttnItem *item;
    int64_t   n_item, room;
    int64_t   q_rows, k_rows;       /* of the copies */
    const AttnSeg  *seg_at;         /* on the card, after attn_plan_stage */
    const AttnItem *item_at;
} AttnPlan;

typedef struct AttnList { int64_t first, n; } AttnList; /* some of a plan's items */

int      attn_width(int d);                                                     /* the next of ATTN_WIDTHS; 0: too wide */
void     attn_plan_init(AttnPlan *p, const AttnShape *s, bool few);              /* few: segments may go the way of decoding */
AttnList attn_plan_cut(AttnPlan *p, AttnCut what, int tile);                     /* segments that are cut into tiles */
AttnList attn_plan_parts(AttnPlan *p);                                          /* the parts of the others, and */
AttnList attn_plan_few(AttnPlan *p);                                            /* each query whose parts are to be joined */
bool     attn_plan_stage(Cuda *c, AttnPlan *p);                                  /* false: failed */
void     attn_plan_release(AttnPlan *p);

/* ---- the mathematics of a score ---- */

/* A query at position pos sees the keys up to itself, at most `window` of them; 0: all. */
__host__ __device__ static inline bool attn_sees(int pos, int key, int window)
{
    return key <= pos && (window == 0 || key > pos - window);
}

/* What running maxima are taken off before exp: nothing as long as no key was seen. */
__host__ __device__ static inline float attn_base(float high)
{
    return high == -INFINITY ? 0.0f : high;
}

/* tanh to about 2 ulp, without a branch (in an unrolled loop each would cost the compiler a barrier register). Near 0 x + x^3 p(x^2), p a minimax fit with relative error 3e-9 for
 * |x| up to 0.6; beyond 1 - 2 / (exp(2 |x|) + 1), which is 1 where the power is infinite. */
static __device__ __forceinline__ float attn_tanh(float x)
{
    const float z = fabsf(x), u = x * x;
    float p = -0.00589515546f;
    p = fmaf(p, u, 0.0207959693f);
    p = fmaf(p, u, -0.0537838295f);
    p = fmaf(p, u, 0.133319241f);
    p = fmaf(p, u, -0.33333298f);
    const float near_0 = fmaf(x * u, p, x), far_off = copysignf(1.0f - __fdividef(2.0f, expf(z + z) + 1.0f), x);
    return z < 0.6f ? near_0 : far_off;
}

/* Of p = exp(score - lse) and dp = dout . v: d(loss)/d(scale q . k) but for the cap's slope. Dao et al. 2022, algorithm 4. */
__host__ __device__ static inline float attn_slope(float p, float dp, float inner)
{
    return p * (dp - inner);
}

/* ---- rows of any type ---- */

typedef struct AttnRead {
    const unsigned char *p;
    int64_t step, head;             /* bytes from row to row, from head to head */
    int     type;                   /* DT_F32, DT_F16, DT_Q8_0 */
    int     wide;                   /* four numbers of F32 or F16 can be read at once; then d is a multiple of 4 */
} AttnRead;

AttnRead attn_read_of(const Tensor *t, int heads, int d);

/* F16 to F32, exact. */
static __device__ __forceinline__ float attn_half(uint16_t h)
{
    const unsigned sign = (unsigned)(h & 0x8000) << 16, body = (unsigned)(h & 0x7fff) << 13;
    const unsigned r = body >= 0x0f800000u ? body | 0x7f800000u : __float_as_uint(__uint_as_float(body) * 0x1p112f);
    return __uint_as_float(sign | r);
}

/* Numbers c .. c+3 of a head's row (c a multiple of 4); those from d on are 0. */
template <int TYPE> static __device__ __forceinline__ float4 attn_quad(const unsigned char *row, int c, int d, int wide)
{
    float4 v = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    if (TYPE == DT_Q8_0) { /* an F16 scale and 32 whole numbers; blocks begin at even bytes */
        if (c < d) {
            const unsigned char *block = row + c / 32 * 34;
            const uint16_t *q = (const uint16_t *)(block + 2 + c % 32);
            const float scale = attn_half(*(const uint16_t *)block);
            const unsigned low = q[0], high = q[1];
            v.x = scale * (float)(signed char)(low & 255);
            v.y = c + 1 < d ? scale * (float)(signed char)(low >> 8) : 0.0f;
            v.z = c + 2 < d ? scale * (float)(signed char)(high & 255) : 0.0f;
            v.w = c + 3 < d ? scale * (float)(signed char)(high >> 8) : 0.0f;
        }
    } else if (TYPE == DT_F16) {
        const uint16_t *x = (const uint16_t *)row + c;
        if (wide) {
            const uint2 two = c < d ? *(const uint2 *)x : make_uint2(0, 0);
            v = make_float4(attn_half((uint16_t)(two.x & 0xffff)), attn_half((uint16_t)(two.x >> 16)), attn_half((uint16_t)(two.y & 0xffff)), attn_half((uint16_t)(two.y >> 16)));
        } else {
            v.x = c < d ? attn_half(x[0]) : 0.0f;
            v.y = c + 1 < d ? attn_half(x[1]) : 0.0f;
            v.z = c + 2 < d ? attn_half(x[2]) : 0.0f;
            v.w = c + 3 < d ? attn_half(x[3]) : 0.0f;
        }
    } else {
        const float *x = (const float *)row + c;
        if (wide) {
            if (c < d)
                v = *(const float4 *)x;
        } else {
            v.x = c < d ? x[0] : 0.0f;
            v.y = c + 1 < d ? x[1] : 0.0f;
            v.z = c + 2 < d ? x[2] : 0.0f;
            v.w = c + 3 < d ? x[3] : 0.0f;
        }
    }
    return v;
}

static __device__ __forceinline__ float4 attn_quad_any(int type, const unsigned char *row, int c, int d, int wide)
{
    if (type == DT_F32)
        return attn_quad<DT_F32>(row, c, d, wide);
    return type == DT_F16 ? attn_quad<DT_F16>(row, c, d, wide) : attn_quad<DT_Q8_0>(row, c, d, wide);
}

/* Rows first .. first + n of head h as F32 into shared memory, [ROWS][WIDTH + 4]: four numbers more, so that the quarter of a warp that reads the same columns of eight rows
 * finds them in different banks. Zeros for rows from n on. */
template <int WIDTH, int ROWS, int THREADS> static __device__ __forceinline__ void attn_take(float *to, const AttnRead &from, int64_t first, int n, int h, int d)
{
    for (int i = (int)threadIdx.x; i < ROWS * (WIDTH / 4); i += THREADS) {
        const int r = i / (WIDTH / 4), c = i % (WIDTH / 4) * 4;
        float4 v = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        if (r < n)
            v = attn_quad_any(from.type, from.p + (first + r) * from.step + h * from.head, c, d, from.wide);
        *(float4 *)(to + r * (WIDTH + 4) + c) = v;
    }
}

/* ---- products in F32: a warp is two rows of threads of 16; thread (tx, ty) owns RI rows from ty RI on, and columns tx, tx + 16, ... or, of a head, attn_col ---- */

/* Columns of a head go to the 16 threads in turns of 4, 2 or 1, the most that WIDTH allows. */
template <int WIDTH> struct AttnCols { static const int TURN = WIDTH % 64 == 0 ? 4 : WIDTH % 32 == 0 ? 2 : 1, N = WIDTH / 16; };
template <int WIDTH> static __device__ __forceinline__ int attn_col(int i, int tx)
{
    return (i / AttnCols<WIDTH>::TURN * 16 + tx) * AttnCols<WIDTH>::TURN + i % AttnCols<WIDTH>::TURN;
}

/* s[i][j] = a row ty RI + i . b row tx + 16 j */
template <int WIDTH, int RI, int RJ> static __device__ __forceinline__ void attn_dot_f32(float s[RI][RJ], const float *a, const float *b, int tx, int ty)
{
#pragma unroll
    for (int i = 0; i < RI; i++)
#pragma unroll
        for (int j = 0; j < RJ; j++)
            s[i][j] = 0.0f;
#pragma unroll 4
    for (int c = 0; c < WIDTH; c += 4) {
        float4 y[RJ];
#pragma unroll
        for (int j = 0; j < RJ; j++)
            y[j] = *(const float4 *)(b + (tx + 16 * j) * (WIDTH + 4) + c);
#pragma unroll
        for (int i = 0; i < RI; i++) {
            const float4 x = *(const float4 *)(a + (ty * RI + i) * (WIDTH + 4) + c);
#pragma unroll
            for (int j = 0; j < RJ; j++)
                s[i][j] = fmaf(x.x, y[j].x, fmaf(x.y, y[j].y, fmaf(x.z, y[j].z, fmaf(x.w, y[j].w, s[i][j]))));
        }
    }
}

/* o[i][:] += sum over k < K of p[ty RI + i][k] times row k of b; p has rows of K + 4 */
template <int WIDTH, int RI, int K> static __device__ __forceinline__ void attn_add_f32(float o[RI][WIDTH / 16], const float *p, const float *b, int tx, int ty)
{
    constexpr int TURN = AttnCols<WIDTH>::TURN;
    for (int k = 0; k < K; k += 4) {
        float4 x[RI];
#pragma unroll
        for (int i = 0; i < RI; i++)
            x[i] = *(const float4 *)(p + (ty * RI + i) * (K + 4) + k);
#pragma unroll
        for (int kk = 0; kk < 4; kk++) {
            const float *row = b + (k + kk) * (WIDTH + 4);
#pragma unroll
            for (int c = 0; c < WIDTH / 16; c += TURN) {
                float y[TURN];
                if constexpr (TURN == 4) {
                    const float4 w = *(const float4 *)(row + attn_col<WIDTH>(c, tx));
                    y[0] = w.x, y[1] = w.y, y[2] = w.z, y[3] = w.w;
                } else if constexpr (TURN == 2) {
                    const float2 w = *(const float2 *)(row + attn_col<WIDTH>(c, tx));
                    y[0] = w.x, y[1] = w.y;
                } else {
                    y[0] = row[attn_col<WIDTH>(c, tx)];
                }
#pragma unroll
                for (int i = 0; i < RI; i++)
#pragma unroll
                    for (int e = 0; e < TURN; e++)
                        o[i][c + e] = fmaf(kk == 0 ? x[i].x : kk == 1 ? x[i].y : kk == 2 ? x[i].z : x[i].w, y[e], o[i][c + e]);
            }
        }
    }
}

/* ---- tiles of bf16: [rows][WIDTH] with 8 numbers, 16 bytes, more in a row, so that the eight rows of a matrix lie in different banks whatever WIDTH is, and every place is
 * one register of the lane plus a constant ---- */

#define TILE_STEP(width) ((width) + 8)

/* Begins to bring n rows; zeros behind. */
template <int WIDTH, int ROWS, int THREADS> static __device__ __forceinline__ void tile_fetch(uint16_t *to, const uint16_t *from, int n)
{
    constexpr int CHUNKS = WIDTH / 8;
    for (int i = (int)threadIdx.x; i < ROWS * CHUNKS; i += THREADS) {
        const int r = i / CHUNKS, chunk = i % CHUNKS;
        copy_begin16(to + r * TILE_STEP(WIDTH) + chunk * 8, from + (r < n ? r * WIDTH : 0) + chunk * 8, r < n ? 16 : 0);
    }
}

/* s[MT][NT] = rows row0 .. of a times rows 0 .. 8 NT - 1 of b, over the head */
template <int WIDTH, int MT, int NT> static __device__ __forceinline__ void tile_dot(float s[MT][NT][4], const uint16_t *a, int row0, const uint16_t *b, int lane)
{
#pragma unroll
    for (int m = 0; m < MT; m++)
#pragma unroll
        for (int n = 0; n < NT; n++)
#pragma unroll
            for (int e = 0; e < 4; e++)
                s[m][n][e] = 0.0f;
    a += (row0 + (lane & 15)) * TILE_STEP(WIDTH) + (lane >> 4) * 8;
    b += ((lane >> 4) * 8 + (lane & 7)) * TILE_STEP(WIDTH) + (lane >> 3 & 1) * 8;
#pragma unroll 2
    for (int k = 0; k < WIDTH / 16; k++) {
        uint32_t x[MT][4];
#pragma unroll
        for (int m = 0; m < MT; m++)
            load_matrices(x[m], a + m * 16 * TILE_STEP(WIDTH) + k * 16);
#pragma unroll
        for (int n = 0; n < NT; n += 2) {
            uint32_t y[4];
            load_matrices(y, b + n * 8 * TILE_STEP(WIDTH) + k * 16);
#pragma unroll
            for (int m = 0; m < MT; m++) {
                mma_bf16(s[m][n], x[m], y);
                mma_bf16(s[m][n + 1], x[m], y + 2);
            }
        }
    }
}

/* o[MT][WIDTH / 8] += p, rounded, times rows 0 .. 8 NT - 1 of b. What the units give for p's place is what they take for its rows: no exchange between lanes. */
template <int WIDTH, int MT, int NT> static __device__ __forceinline__ void tile_add(float o[MT][WIDTH / 8][4], const float p[MT][NT][4], const uint16_t *b, int lane)
{
    b += (lane & 15) * TILE_STEP(WIDTH) + (lane >> 4) * 8;
#pragma unroll
    for (int k = 0; k < NT / 2; k++) {
        uint32_t x[MT][4];
#pragma unroll
        for (int m = 0; m < MT; m++) {
            x[m][0] = bf16_pair(p[m][2 * k][0], p[m][2 * k][1]);
            x[m][1] = bf16_pair(p[m][2 * k][2], p[m][2 * k][3]);
            x[m][2] = bf16_pair(p[m][2 * k + 1][0], p[m][2 * k + 1][1]);
            x[m][3] = bf16_pair(p[m][2 * k + 1][2], p[m][2 * k + 1][3]);
        }
#pragma unroll
        for (int n = 0; n < WIDTH / 8; n += 2) {
            uint32_t y[4];
            load_matrices_transposed(y, b + k * 16 * TILE_STEP(WIDTH) + n * 8);
#pragma unroll
            for (int m = 0; m < MT; m++) {
                mma_bf16(o[m][n], x[m], y);
                mma_bf16(o[m][n + 1], x[m], y + 2);
            }
        }
    }
}

/* ---- the rounded copies ---- */

typedef struct AttnRound {
    const AttnSeg  *seg;
    const AttnItem *item;
    int      heads, d, width;
    int      keys;                  /* rows are a segment's keys, else its queries */
    AttnRead from;
    uint16_t *to;                   /* NULL: only inner is wanted */
    int64_t  plane;                 /* numbers of a head in `to` */
    AttnRead o;                     /* with inner: */
    float   *inner;                 /* [rows of o, heads] from . o, from as it was rounded; NULL: not wanted */
} AttnRound;

void attn_round(Cuda *c, const AttnRound *r, int64_t items);

#endif
