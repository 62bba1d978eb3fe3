/* optim.cu - AdamW, with moments in f32 or in blocks of 8 bits. The arithmetic is adam.cuh's.
 * Main structs: AdamwMats; MomentMap, which the first step with moments of 8 bits makes from what formats/dtype.h says of the codes, and which then stays in SLOT_MOMENTS.
 * Invariant: the bytes of a block are those of dtype_from_f32 for the numbers that the step gives. */
#include "tensor/cuda/adam.cuh"
#include "tensor/cuda/lanes.cuh"

extern "C" {
#include "formats/dtype.h"
}

#define BLOCK 256

static AdamwStep adamw_step(const AdamW *a, float grad_scale)
{
    const double b1 = a->beta1, b2 = a->beta2;
    AdamwStep    s;
    s.b1 = a->beta1;
    s.c1 = (float)(1.0 - b1);
    s.b2 = a->beta2;
    s.c2 = (float)(1.0 - b2);
    s.grad_scale = grad_scale;
    s.unbias1 = (float)(1.0 / (1.0 - pow(b1, (double)a->step)));
    s.unbias2 = (float)(1.0 / (1.0 - pow(b2, (double)a->step)));
    s.lr = a->lr;
    s.eps = a->eps;
    s.decay = a->weight_decay;
    return s;
}

/* ---- moments in f32 ---- */

typedef struct AdamwMats { Mat w, g, m, v; } AdamwMats;

/* Reads w, g, m, v and writes w, m, v, 28 bytes of each number: bounded by memory, at least 85 % of the copy rate. */
template <int width> static __global__ void __launch_bounds__(BLOCK) adamw_f32(AdamwMats x, AdamwStep a)
{
    const int64_t col = ((int64_t)blockIdx.x * BLOCK + threadIdx.x) * width;
    if (col >= x.w.cols)
        return;
    for (int64_t r = blockIdx.y; r < x.w.rows; r += gridDim.y) {
        float w[width], g[width], m[width], v[width];
        load<width>(w, x.w.p + r * x.w.ld + col);
        load<width>(g, x.g.p + r * x.g.ld + col);
        load<width>(m, x.m.p + r * x.m.ld + col);
        load<width>(v, x.v.p + r * x.v.ld + col);
#pragma unroll
        for (int k = 0; k < width; k++)
            adamw_number(&w[k], g[k], &m[k], &v[k], &a);
        store<width>(x.w.p + r * x.w.ld + col, w);
        store<width>(x.m.p + r * x.m.ld + col, m);
        store<width>(x.v.p + r * x.v.ld + col, v);
    }
}

static bool no_gaps(const Mat *m) { return m->ld == m->cols; }

static void adamw_plain(Cuda *c, Tensor *w, const Tensor *g, Tensor *m, Tensor *v, const AdamwStep *a)
{
    AdamwMats       x = { mat_of(w), mat_of(g), mat_of(m), mat_of(v) };
    const AdamwStep step = *a;
    if (no_gaps(&x.w) && no_gaps(&x.g) && no_gaps(&x.m) && no_gaps(&x.v))
        x = { mat_flat(x.w), mat_flat(x.g), mat_flat(x.m), mat_flat(x.v) };
    const bool wide = mat_by_four(&x.w) && mat_by_four(&x.g) && mat_by_four(&x.m) && mat_by_four(&x.v);
    const dim3 grid((unsigned)pieces(x.w.cols, BLOCK * (wide ? 4 : 1)), (unsigned)MIN(x.w.rows, 65535));
    if (wide)
        CUDA_LAUNCH(c, grid, BLOCK, 0, adamw_f32<4>, x, step);
    else
        CUDA_LAUNCH(c, grid, BLOCK, 0, adamw_f32<1>, x, step);
}

/* ---- moments in blocks ---- */

#define EACH   (MOMENT_BLOCK / 32)  /* numbers of a lane, as fours */
#define WARPS  (BLOCK / 32)
#define MAP_WORDS (int)(sizeof(MomentMap) / sizeof(uint32_t))
#define BLOCKS 1024                 /* at most: each reads the maps once */

/* A warp takes a block of moments at a time; lane l its numbers 4 l .. 4 l + 3 and 128 further on. Reads w, g, m, v and writes w, m, v, 16.1 bytes of each number; bounded by memory,
 * at least 85 % of the copy rate. Beside it stand about 75 instructions and 4 reads of tables for each number, which must not grow by half. */
static __global__ void __launch_bounds__(BLOCK) adamw_8bit(float *w, const float *g, uint8_t *m, uint8_t *v, int64_t n, bool wide, const MomentMap *maps, AdamwStep a)
{
    __shared__ MomentMap map[2];
    for (int i = (int)threadIdx.x; i < 2 * MAP_WORDS; i += BLOCK)
        ((uint32_t *)map)[i] = ((const uint32_t *)maps)[i];
    __syncthreads();
    const int     lane = threadIdx.x % 32;
    const int64_t blocks = (n + MOMENT_BLOCK - 1) / MOMENT_BLOCK;
    for (int64_t k = (int64_t)blockIdx.x * WARPS + threadIdx.x / 32; k < blocks; k += (int64_t)gridDim.x * WARPS) {
        const int64_t left = n - k * MOMENT_BLOCK; /* behind it the block holds what it held */
        const bool    four = wide && left >= MOMENT_BLOCK;
        uint8_t      *mk = m + k * MOMENT_BYTES, *vk = v + k * MOMENT_BYTES;
        const float   m_unit = *(const float *)mk, v_unit = *(const float *)vk;
        float         mv[EACH], vv[EACH], m_most = 0, v_most = 0;
#pragma unroll
        for (int j = 0; j < EACH; j += 4) {
            const int      at = j * 32 + lane * 4;
            const uint32_t mq = *(const uint32_t *)(mk + 4 + at), vq = *(const uint32_t *)(vk + 4 + at);
            float         *pw = w + k * MOMENT_BLOCK + at, wv[4] = { 0 }, gv[4] = { 0 };
            const float   *pg = g + k * MOMENT_BLOCK + at;
            if (four) {
                load<4>(wv, pw);
                load<4>(gv, pg);
            } else {
#pragma unroll
                for (int t = 0; t < 4; t++) {
                    if (at + t < left) {
                        wv[t] = pw[t];
                        gv[t] = pg[t];
                    }
                }
            }
#pragma unroll
            for (int t = 0; t < 4; t++) {
                mv[j + t] = map[0].code[mq >> 8 * t & 255] * m_unit;
                vv[j + t] = map[1].code[vq >> 8 * t & 255] * v_unit;
                if (at + t < left)
                    adamw_number(&wv[t], gv[t], &mv[j + t], &vv[j + t], &a);
                m_most = fmaxf(m_most, fabsf(mv[j + t]));
                v_most = fmaxf(v_most, fabsf(vv[j + t]));
            }
            if (four) {
                store<4>(pw, wv);
            } else {
#pragma unroll
                for (int t = 0; t < 4; t++) {
                    if (at + t < left)
                        pw[t] = wv[t];
                }
            }
        }
#pragma unroll
        for (int apart = 16; apart > 0; apart /= 2) {
            m_most = fmaxf(m_most, __shfl_xor_sync(ALL_LANES, m_most, apart));
            v_most = fmaxf(v_most, __shfl_xor_sync(ALL_LANES, v_most, apart));
        }
        const float m_inverse = 1.0f / fmaxf(m_most, DTYPE_DYNAMIC_LEAST), v_inverse = 1.0f / fmaxf(v_most, DTYPE_DYNAMIC_LEAST);
#pragma unroll
        for (int j = 0; j < EACH; j += 4) {
            const int at = j * 32 + lane * 4;
            uint32_t  mq = 0, vq = 0;
#pragma unroll
            for (int t = 0; t < 4; t++) {
                mq |= (uint32_t)moment_code(&map[0], mv[j + t] * m_inverse) << 8 * t;
                vq |= (uint32_t)moment_code(&map[1], vv[j + t] * v_inverse) << 8 * t;
            }
            *(uint32_t *)(mk + 4 + at) = mq;
            *(uint32_t *)(vk + 4 + at) = vq;
        }
        if (lane == 0) { /* the others have read them: they met above */
            *(float *)mk = m_most;
            *(float *)vk = v_most;
        }
    }
}

static float float_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* The lowest code of the numbers from x on. */
static uint8_t code_from(const MomentMap *map, float x)
{
    int q = 0;
    while (map->border[q] < x)
        q++;
    return (uint8_t)q;
}

static void map_make(MomentMap *map, DType type)
{
    uint8_t     all[MOMENT_BYTES];
    const float one = 1;
    memcpy(all, &one, sizeof one);
    for (int i = 0; i < MOMENT_BLOCK; i++)
        all[sizeof one + (size_t)i] = (uint8_t)i;
    dtype_to_f32(map->code, all, type, MOMENT_BLOCK);
    for (int i = 0; i < MOMENT_BLOCK - 1; i++)
        map->border[i] = (map->code[i] + map->code[i + 1]) / 2.0f;
    map->border[MOMENT_BLOCK - 1] = INFINITY;
    memset(map->least, 0, sizeof map->least);
    for (uint32_t i = 0; i < MOMENT_CELLS; i++) {
        const uint32_t bits = MOMENT_LEAST_BITS + (i << MOMENT_CELL_SHIFT);
        const float    low = i ? float_of(bits) : 0, high = float_of(bits + (1u << MOMENT_CELL_SHIFT) - 1);
        map->least[i] = code_from(map, low);
        map->least[MOMENT_CELLS + i] = code_from(map, -high);
        BUG_ON(code_from(map, high) > map->least[i] + 1 || code_from(map, -low) > map->least[MOMENT_CELLS + i] + 1);
    }
}

/* NULL: no memory. */
static const MomentMap *moment_maps(Cuda *c)
{
    if (c->slot[SLOT_MOMENTS].p)
        return (const MomentMap *)c->slot[SLOT_MOMENTS].p;
    MomentMap map[2];
    map_make(&map[0], DT_DYN8);
    map_make(&map[1], DT_UDYN8);
    void *to = cuda_slot(c, SLOT_MOMENTS, sizeof map);
    if (to)
        c->be.upload(&c->be, to, map, sizeof map);
    return (const MomentMap *)to;
}

static void adamw_blocks(Cuda *c, Tensor *w, const Tensor *g, Tensor *m, Tensor *v, const AdamwStep *a)
{
    const Mat wm = mat_of(w), gm = mat_of(g);
    BUG_ON(m->dtype != DT_DYN8 || v->dtype != DT_UDYN8 || !no_gaps(&wm) || !no_gaps(&gm));
    const MomentMap *maps = moment_maps(c);
    if (!maps)
        return;
    const int64_t   n = wm.rows * wm.cols;
    const bool      wide = by_four(wm.p, 0, 0) && by_four(gm.p, 0, 0);
    const AdamwStep step = *a;
    CUDA_LAUNCH(c, (unsigned)MIN(pieces(n, MOMENT_BLOCK * WARPS), BLOCKS), BLOCK, 0, adamw_8bit, wm.p, gm.p, (uint8_t *)m->data, (uint8_t *)v->data, n, wide, maps, step);
}

void cuda_adamw(Backend *be, Tensor *w, const Tensor *g, Tensor *m, Tensor *v, const AdamW *a, float grad_scale)
{
    Cuda           *c = cuda_of(be);
    const AdamwStep step = adamw_step(a, grad_scale);
    if (!cuda_ok(c) || tensor_numel(w) == 0)
        return;
    if (m->dtype == DT_F32)
        adamw_plain(c, w, g, m, v, &step);
    else
        adamw_blocks(c, w, g, m, v, &step);
}
