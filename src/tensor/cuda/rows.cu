/* rows.cu - functions that move or turn whole rows: embedding and its gradient, copies into a cache, rotary positions.
 * Main struct: RowMove. Invariant: each element is written by one thread. In embed_bwd a row of the table may gather many rows; the thread of its first occurrence takes them all, in
 * order, along a chain from each id to its next occurrence. An id outside the table stops the kernel (a bug of the caller's, which checks what users give). */
#include "tensor/cuda/cuda_int.h"
#include "tensor/cuda/rows.cuh"

extern "C" {
#include "base/mem.h"
}
#include <stdlib.h>

#define GRID_Y_MOST 65535
#define GRID_X_MOST 0x7fffffff

static const void *row_at(const Tensor *t, int64_t row) { return (const char *)t->data + dtype_bytes(t->dtype, row * t->ld); }
static int64_t     row_bytes(const Tensor *t) { return (int64_t)dtype_bytes(t->dtype, t->ld); }

/* A block of 256 threads for rows of `units`: so many beside each other. */
static void shape_of(int64_t rows, int64_t units, dim3 *grid, dim3 *block)
{
    unsigned across = 256;
    while (across > 1 && across / 2 >= units)
        across /= 2;
    const unsigned down = 256 / across;
    const int64_t  x = (units + across - 1) / across, y = MIN((rows + down - 1) / down, (int64_t)GRID_Y_MOST);
    BUG_ON(x > GRID_X_MOST);
    *grid = dim3((unsigned)x, (unsigned)y);
    *block = dim3(across, down);
}

static __device__ inline int64_t id_at(const int32_t *ids, int64_t i, int64_t limit)
{
    const int32_t id = ids[i];
    if (id < 0 || id >= limit)
        __trap();
    return id;
}

/* ---- whole rows of any stored type ---- */

typedef struct RowMove {
    char          *dst;
    const char    *src;
    const int32_t *ids;            /* NULL: row i comes from row i */
    int64_t        limit;          /* rows of src, with ids */
    int64_t        dst_step, src_step, rows, units; /* bytes from row to row; units of a row */
} RowMove;

/* The bytes of the rows, read and written; the bar is the copy rate. */
template <typename Unit> static __global__ void __launch_bounds__(256) kernel_move_rows(RowMove m)
{
    const int64_t at = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    for (int64_t row = (int64_t)blockIdx.y * blockDim.y + threadIdx.y; row < m.rows; row += (int64_t)gridDim.y * blockDim.y) {
        const int64_t from = m.ids ? id_at(m.ids, row, m.limit) : row;
        if (at < m.units)
            ((Unit *)(m.dst + row * m.dst_step))[at] = ((const Unit *)(m.src + from * m.src_step))[at];
    }
}

static void move_rows(Cuda *c, RowMove m, int64_t nbytes)
{
    const uint64_t all = (uint64_t)(uintptr_t)m.dst | (uint64_t)(uintptr_t)m.src | (uint64_t)m.dst_step | (uint64_t)m.src_step | (uint64_t)nbytes;
    const int64_t  unit = all % 16 == 0 ? 16 : all % 4 == 0 ? 4 : all % 2 == 0 ? 2 : 1;
    dim3 grid, block;
    if (!cuda_ok(c) || m.rows == 0 || nbytes == 0)
        return;
    m.units = nbytes / unit;
    shape_of(m.rows, m.units, &grid, &block);
    if (unit == 16)
        CUDA_LAUNCH(c, grid, block, 0, kernel_move_rows<uint4>, m);
    else if (unit == 4)
        CUDA_LAUNCH(c, grid, block, 0, kernel_move_rows<uint32_t>, m);
    else if (unit == 2)
        CUDA_LAUNCH(c, grid, block, 0, kernel_move_rows<uint16_t>, m);
    else
        CUDA_LAUNCH(c, grid, block, 0, kernel_move_rows<uint8_t>, m);
}

/* ---- embedding ---- */

/* Rows of another type are gathered as they are and widened in place of a table: the bytes of the stored type go twice, the table itself is not touched. */
void cuda_embed(Backend *be, Tensor *y, const Tensor *table, const Tensor *ids)
{
    Cuda         *c = cuda_of(be);
    const Mat     ym = mat_of(y);
    const int64_t nbytes = (int64_t)dtype_bytes(table->dtype, tensor_cols(table));
    RowMove m = { (char *)ym.p, (const char *)table->data, i32_of(ids), tensor_rows(table), ym.ld * (int64_t)sizeof(float), row_bytes(table), ym.rows, 0 };
    if (!cuda_ok(c) || ym.rows == 0 || ym.cols == 0)
        return;
    if (table->dtype == DT_F32) {
        move_rows(c, m, nbytes);
        return;
    }
    Tensor rows = *table;
    rows.rank = 2;
    rows.dim[0] = ym.rows;
    rows.dim[1] = rows.ld = tensor_cols(table);
    rows.data = cuda_slot(c, SLOT_ROWS, (size_t)(ym.rows * nbytes));
    m.dst = (char *)rows.data;
    m.dst_step = nbytes;
    move_rows(c, m, nbytes);
    if (cuda_ok(c))
        cuda_widen(c, ym.p, DT_F32, ym.ld, &rows, 0, ym.rows);
}

/* next[i]: where ids[i] occurs next, -1: nowhere; later[j]: it has occurred before (written by the one place before it). A warp for each id reads on from it: at most
 * 4 n^2 / 2 bytes from the second cache, 0.1 ms for 8,192 ids. */
static __global__ void __launch_bounds__(256) kernel_chain_ids(const int32_t *ids, int64_t n, int64_t *next, int32_t *later)
{
    const int lane = (int)threadIdx.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.y + threadIdx.y; i < n; i += (int64_t)gridDim.x * blockDim.y) {
        const int32_t id = ids[i];
        int64_t found = -1;
        for (int64_t j = i + 1; j < n && found < 0; j += 32) {
            const unsigned same = __ballot_sync(0xffffffffu, j + lane < n && ids[j + lane < n ? j + lane : i] == id);
            if (same)
                found = j + __ffs((int)same) - 1;
        }
        if (lane == 0) {
            next[i] = found;
            if (found >= 0)
                later[found] = 1;
        }
    }
}

/* 8 bytes for each element of dtable that is touched and 4 for each of dy; an id that comes often is one long chain, walked by as many threads as there are columns. */
static __global__ void __launch_bounds__(256) kernel_embed_bwd(Mat dtable, Mat dy, const int32_t *ids, const int64_t *next, const int32_t *later)
{
    const int64_t col = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    for (int64_t i = (int64_t)blockIdx.y * blockDim.y + threadIdx.y; i < dy.rows; i += (int64_t)gridDim.y * blockDim.y) {
        const int64_t id = id_at(ids, i, dtable.rows);
        if (later[i] || col >= dy.cols)
            continue;
        float *to = dtable.p + id * dtable.ld + col, sum = *to;
        for (int64_t j = i; j >= 0; j = next[j])
            sum += dy.p[j * dy.ld + col];
        *to = sum;
    }
}

void cuda_embed_bwd(Backend *be, Tensor *dtable, const Tensor *dy, const Tensor *ids)
{
    Cuda     *c = cuda_of(be);
    const Mat d = mat_of(dy);
    if (!cuda_ok(c) || d.rows == 0 || d.cols == 0)
        return;
    int64_t *next = (int64_t *)cuda_slot(c, SLOT_ROWS, (size_t)d.rows * (sizeof(int64_t) + sizeof(int32_t)));
    int32_t *later = (int32_t *)(next + d.rows);
    if (!next || !cuda_try(c, cudaMemsetAsync(later, 0, (size_t)d.rows * sizeof *later, c->stream), "clearing the chain of ids"))
        return;
    dim3 grid, block;
    shape_of(d.rows, d.cols, &grid, &block);
    CUDA_LAUNCH(c, dim3((unsigned)MIN((d.rows + 7) / 8, (int64_t)GRID_X_MOST)), dim3(32, 8), 0, kernel_chain_ids, i32_of(ids), d.rows, next, later);
    CUDA_LAUNCH(c, grid, block, 0, kernel_embed_bwd, mat_of(dtable), d, i32_of(ids), next, later);
}

/* ---- copies into a cache ---- */

typedef struct RowPack { char *dst; int64_t dst_step; const float *src; int64_t ld, rows, cols; } RowPack;

/* 6 bytes for each number; the bar is the copy rate. */
template <DType type> static __global__ void __launch_bounds__(256) kernel_pack_16(RowPack p)
{
    const int64_t col = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    for (int64_t row = (int64_t)blockIdx.y * blockDim.y + threadIdx.y; row < p.rows; row += (int64_t)gridDim.y * blockDim.y)
        if (col < p.cols) {
            const float v = p.src[row * p.ld + col];
            ((uint16_t *)(p.dst + row * p.dst_step))[col] = type == DT_F16 ? f16_bits(v) : bf16_bits(v);
        }
}

/* A warp for each block of 32 numbers. 5 bytes for each number; the bar is the copy rate. */
static __global__ void __launch_bounds__(256) kernel_pack_q8_0(RowPack p, int64_t blocks)
{
    const int lane = (int)threadIdx.x;
    for (int64_t b = (int64_t)blockIdx.x * blockDim.y + threadIdx.y; b < p.rows * blocks; b += (int64_t)gridDim.x * blockDim.y) {
        const int64_t row = b / blocks, col = b % blocks * 32 + lane;
        const float   v = col < p.cols ? p.src[row * p.ld + col] : 0.0f;
        float top = fabsf(v) >= 0.0f ? fabsf(v) : 0.0f; /* a NaN is not the largest */
        for (int step = 16; step > 0; step /= 2) {
            const float other = __shfl_xor_sync(0xffffffffu, top, step);
            top = top < other ? other : top;
        }
        const float d = top / 127.0f;
        char *to = p.dst + row * p.dst_step + b % blocks * 34;
        if (lane == 0)
            *(uint16_t *)to = f16_bits(d);
        to[2 + lane] = (char)q8_0_code(v, q8_0_inverse(d));
    }
}

/* Any other pair of types goes through the program's own memory: no cache has them, so it is rare and may be slow. */
static void pack_on_host(Cuda *c, Tensor *dst, int64_t dst_row, const Tensor *src, int64_t src_row, int64_t n)
{
    const int64_t cols = tensor_cols(src), whole = tensor_cols(dst);
    const size_t  from = dtype_bytes(src->dtype, cols), to = dtype_bytes(dst->dtype, whole);
    char  *stored = (char *)mem_alloc(MAX(from, to));
    float *wide = (float *)mem_zalloc((size_t)whole, sizeof *wide);
    for (int64_t i = 0; i < n && cuda_ok(c); i++) {
        cuda_fetch(c, stored, row_at(src, src_row + i), from);
        dtype_to_f32(wide, stored, src->dtype, cols);
        dtype_from_f32(stored, wide, dst->dtype, whole);
        cuda_send(c, (char *)dst->data + dtype_bytes(dst->dtype, (dst_row + i) * dst->ld), stored, to);
    }
    free(stored);
    free(wide);
}

void cuda_copy_rows(Backend *be, Tensor *dst, int64_t dst_row, const Tensor *src, int64_t src_row, int64_t n)
{
    Cuda         *c = cuda_of(be);
    const int64_t cols = tensor_cols(src), whole = dtype_whole(dst->dtype, cols);
    char         *to = (char *)dst->data + dtype_bytes(dst->dtype, dst_row * dst->ld);
    const void   *from = row_at(src, src_row);
    BUG_ON(tensor_cols(dst) != whole);
    if (!cuda_ok(c) || n == 0 || cols == 0)
        return;
    if (dst->dtype == src->dtype) {
        const RowMove m = { to, (const char *)from, NULL, 0, row_bytes(dst), row_bytes(src), n, 0 };
        move_rows(c, m, (int64_t)dtype_bytes(src->dtype, cols));
        return;
    }
    const RowPack p = { to, row_bytes(dst), (const float *)from, src->ld, n, cols };
    const int64_t blocks = whole / 32;
    dim3 grid, block;
    shape_of(n, cols, &grid, &block);
    if (src->dtype == DT_F32 && dst->dtype == DT_F16)
        CUDA_LAUNCH(c, grid, block, 0, kernel_pack_16<DT_F16>, p);
    else if (src->dtype == DT_F32 && dst->dtype == DT_BF16)
        CUDA_LAUNCH(c, grid, block, 0, kernel_pack_16<DT_BF16>, p);
    else if (src->dtype == DT_F32 && dst->dtype == DT_Q8_0)
        CUDA_LAUNCH(c, dim3((unsigned)MIN((n * blocks + 7) / 8, (int64_t)GRID_X_MOST)), dim3(32, 8), 0, kernel_pack_q8_0, p, blocks);
    else
        pack_on_host(c, dst, dst_row, src, src_row, n);
}

/* ---- rotary positions ---- */

typedef struct RopeJob { Mat x, cosv, sinv; const int32_t *pos; int head_dim, half; float sign; } RopeJob;

/* One thread for each pair (width 1), or for four neighbouring pairs. 8 bytes for each element, the tables stay in the caches; the bar is the copy rate. */
template <int width> static __global__ void __launch_bounds__(256) kernel_rope(RopeJob j)
{
    const int64_t at = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, units = j.half / width, heads = j.x.cols / j.head_dim;
    for (int64_t row = (int64_t)blockIdx.y * blockDim.y + threadIdx.y; row < j.x.rows; row += (int64_t)gridDim.y * blockDim.y) {
        const int64_t p = id_at(j.pos, row, j.cosv.rows), i = at % units * width;
        float        *a = j.x.p + row * j.x.ld + at / units * j.head_dim + i, *b = a + j.half;
        const float  *c = j.cosv.p + p * j.cosv.ld + i, *s = j.sinv.p + p * j.sinv.ld + i;
        if (at >= heads * units)
            continue;
        if (width == 4) {
            float4 av = *(const float4 *)a, bv = *(const float4 *)b;
            const float4 cv = *(const float4 *)c, sv = *(const float4 *)s;
            rope_turn(&av.x, &bv.x, cv.x, j.sign * sv.x);
            rope_turn(&av.y, &bv.y, cv.y, j.sign * sv.y);
            rope_turn(&av.z, &bv.z, cv.z, j.sign * sv.z);
            rope_turn(&av.w, &bv.w, cv.w, j.sign * sv.w);
            *(float4 *)a = av;
            *(float4 *)b = bv;
        } else {
            float av = *a, bv = *b;
            rope_turn(&av, &bv, *c, j.sign * *s);
            *a = av;
            *b = bv;
        }
    }
}

static bool in_fours(const Mat *m) { return (uintptr_t)m->p % 16 == 0 && m->ld % 4 == 0; }

void cuda_rope(Backend *be, Tensor *x, const Tensor *pos, const RopeTable *r, int head_dim, int sign)
{
    Cuda   *c = cuda_of(be);
    RopeJob j = { mat_of(x), mat_of(r->cos), mat_of(r->sin), i32_of(pos), head_dim, r->rot / 2, (float)sign };
    BUG_ON(tensor_cols(x) % head_dim || r->rot > head_dim);
    if (!cuda_ok(c) || j.x.rows == 0 || j.x.cols == 0 || j.half == 0)
        return;
    const bool fours = head_dim % 4 == 0 && j.half % 4 == 0 && in_fours(&j.x) && in_fours(&j.cosv) && in_fours(&j.sinv);
    dim3 grid, block;
    shape_of(j.x.rows, j.x.cols / head_dim * (j.half / (fours ? 4 : 1)), &grid, &block);
    if (fours)
        CUDA_LAUNCH(c, grid, block, 0, kernel_rope<4>, j);
    else
        CUDA_LAUNCH(c, grid, block, 0, kernel_rope<1>, j);
}
