/* elem.cu - elementwise functions: one kernel whose element is chosen when it is compiled, and the gate of whole rows with its sum.
 * Main struct: ElemJob. Invariant: an element is computed from its own inputs alone, so cutting is free; the sum of a row (gate_rows_bwd) is taken by one warp, lane by lane and then
 * over the lanes, in an order that depends on the width alone. To add a function: a row of ElemKind, its traffic in uses_of, its line in elem_of. */
#include "tensor/cuda/cuda_int.h"
#include "tensor/cuda/elem.cuh"

typedef enum { ELEM_FILL, ELEM_ADD, ELEM_SCALE, ELEM_SOFTCAP, ELEM_GLU, ELEM_GLU_BWD, ELEM_ACT, ELEM_ACT_BWD } ElemKind;

typedef struct ElemJob {
    Mat     out[2];        /* p NULL: not wanted */
    Mat     in[3];
    int64_t rows, cols;    /* dense tensors are one long row */
    float   f;
    ActKind act;
} ElemJob;

enum { IN0 = 1, IN1 = 2, IN2 = 4, OUT0 = 8, OUT1 = 16 }; /* OUT: read as well as written */

static constexpr __host__ __device__ int uses_of(ElemKind k)
{
    return k == ELEM_FILL ? 0 : k == ELEM_ADD || k == ELEM_GLU ? IN0 | IN1 : k == ELEM_SCALE || k == ELEM_SOFTCAP ? OUT0 : k == ELEM_ACT ? IN0 : k == ELEM_ACT_BWD ? IN0 | IN1 | OUT0
         : IN0 | IN1 | IN2 | OUT0 | OUT1;
}

template <ElemKind kind> static __host__ __device__ inline void elem_of(float out[2], const float in[3], float f, ActKind act)
{
    if (kind == ELEM_FILL)
        out[0] = f;
    if (kind == ELEM_ADD)
        out[0] = in[0] + in[1];
    if (kind == ELEM_SCALE)
        out[0] *= f;
    if (kind == ELEM_SOFTCAP)
        out[0] = softcap_of(out[0], f);
    if (kind == ELEM_GLU)
        out[0] = act_of(act, in[0]).f * up_of(act, in[1]).f;
    if (kind == ELEM_GLU_BWD) {
        const Slope g = act_of(act, in[1]), u = up_of(act, in[2]);
        out[0] = fmaf(in[0] * u.f, g.df, out[0]);
        out[1] = fmaf(in[0] * u.df, g.f, out[1]);
    }
    if (kind == ELEM_ACT)
        out[0] = act_of(act, in[0]).f;
    if (kind == ELEM_ACT_BWD)
        out[0] = fmaf(in[0], act_of(act, in[1]).df, out[0]);
}

template <ElemKind kind> static __device__ inline void elem_at(const ElemJob &j, int64_t row, int64_t col)
{
    const int uses = uses_of(kind);
    float in[3] = { 0, 0, 0 }, out[2] = { 0, 0 };
    for (int i = 0; i < 3; i++)
        if (uses & IN0 << i)
            in[i] = j.in[i].p[row * j.in[i].ld + col];
    for (int i = 0; i < 2; i++)
        if (uses & OUT0 << i && j.out[i].p)
            out[i] = j.out[i].p[row * j.out[i].ld + col];
    elem_of<kind>(out, in, j.f, j.act);
    for (int i = 0; i < 2; i++)
        if ((i == 0 || uses & OUT1) && j.out[i].p)
            j.out[i].p[row * j.out[i].ld + col] = out[i];
}

/* Four neighbours by loads of 16 bytes. */
template <ElemKind kind> static __device__ inline void elem_at4(const ElemJob &j, int64_t row, int64_t col)
{
    const int uses = uses_of(kind);
    float4 in[3], out[2];
#pragma unroll
    for (int i = 0; i < 3; i++)
        in[i] = uses & IN0 << i ? *(const float4 *)(j.in[i].p + row * j.in[i].ld + col) : make_float4(0, 0, 0, 0);
#pragma unroll
    for (int i = 0; i < 2; i++)
        out[i] = uses & OUT0 << i && j.out[i].p ? *(const float4 *)(j.out[i].p + row * j.out[i].ld + col) : make_float4(0, 0, 0, 0);
    const float a[4][3] = { { in[0].x, in[1].x, in[2].x }, { in[0].y, in[1].y, in[2].y }, { in[0].z, in[1].z, in[2].z }, { in[0].w, in[1].w, in[2].w } };
    float       y[4][2] = { { out[0].x, out[1].x }, { out[0].y, out[1].y }, { out[0].z, out[1].z }, { out[0].w, out[1].w } };
#pragma unroll
    for (int k = 0; k < 4; k++)
        elem_of<kind>(y[k], a[k], j.f, j.act);
#pragma unroll
    for (int i = 0; i < 2; i++)
        if ((i == 0 || uses & OUT1) && j.out[i].p)
            *(float4 *)(j.out[i].p + row * j.out[i].ld + col) = make_float4(y[0][i], y[1][i], y[2][i], y[3][i]);
}

/* 4 bytes for each tensor that is read or written (glu: 12, glu_bwd: 28), nothing else counts; the bar is the card's copy rate. */
template <ElemKind kind, int width> static __global__ void __launch_bounds__(256) kernel_elem(ElemJob j)
{
    const int64_t col = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) * width;
    for (int64_t row = (int64_t)blockIdx.y * blockDim.y + threadIdx.y; row < j.rows; row += (int64_t)gridDim.y * blockDim.y) {
        if (width == 4 && col + 4 <= j.cols)
            elem_at4<kind>(j, row, col);
        else
            for (int64_t c = col; c < col + width && c < j.cols; c++)
                elem_at<kind>(j, row, c);
    }
}

#define GRID_Y_MOST 65535
#define GRID_X_MOST 0x7fffffff

/* Whether m can be read in fours from each of its rows. */
static bool in_fours(const Mat *m, int64_t rows)
{
    return !m->p || ((uintptr_t)m->p % 16 == 0 && (rows == 1 || m->ld % 4 == 0));
}

template <ElemKind kind> static void elem_run(Backend *be, Tensor *out0, Tensor *out1, const Tensor *in0, const Tensor *in1, const Tensor *in2, float f, ActKind act)
{
    Cuda   *c = cuda_of(be);
    ElemJob j = { { mat_of(out0), mat_of(out1) }, { mat_of(in0), mat_of(in1), mat_of(in2) }, 0, 0, f, act };
    const Mat *like = j.out[0].p ? &j.out[0] : &j.out[1], *all[] = { &j.out[0], &j.out[1], &j.in[0], &j.in[1], &j.in[2] };
    j.rows = like->rows;
    j.cols = like->cols;
    if (!cuda_ok(c) || j.rows == 0 || j.cols == 0)
        return;
    bool dense = true, fours = true;
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        dense &= !all[i]->p || all[i]->ld == j.cols;
    if (dense) {
        j.cols *= j.rows;
        j.rows = 1;
    }
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        fours &= in_fours(all[i], j.rows);
    const int64_t width = fours ? 4 : 1, units = (j.cols + width - 1) / width;
    unsigned across = 256; /* threads beside each other in a row: narrow matrices take several rows into a block */
    while (across > 1 && across / 2 >= units)
        across /= 2;
    const unsigned down = 256 / across;
    const int64_t x = (units + across - 1) / across, y = MIN((j.rows + down - 1) / down, (int64_t)GRID_Y_MOST);
    BUG_ON(x > GRID_X_MOST);
    const dim3 grid((unsigned)x, (unsigned)y), block(across, down);
    if (fours)
        CUDA_LAUNCH(c, grid, block, 0, (kernel_elem<kind, 4>), j);
    else
        CUDA_LAUNCH(c, grid, block, 0, (kernel_elem<kind, 1>), j);
}

void cuda_fill(Backend *be, Tensor *x, float v)
{
    elem_run<ELEM_FILL>(be, x, NULL, NULL, NULL, NULL, v, ACT_RELU);
}

void cuda_add(Backend *be, Tensor *y, const Tensor *a, const Tensor *b)
{
    elem_run<ELEM_ADD>(be, y, NULL, a, b, NULL, 0, ACT_RELU);
}

void cuda_acc(Backend *be, Tensor *y, const Tensor *x)
{
    cuda_add(be, y, y, x);
}

void cuda_scale(Backend *be, Tensor *y, float f)
{
    elem_run<ELEM_SCALE>(be, y, NULL, NULL, NULL, NULL, f, ACT_RELU);
}

void cuda_softcap(Backend *be, Tensor *y, float cap)
{
    elem_run<ELEM_SOFTCAP>(be, y, NULL, NULL, NULL, NULL, cap, ACT_RELU);
}

void cuda_glu(Backend *be, Tensor *y, const Tensor *gate, const Tensor *up, ActKind a)
{
    elem_run<ELEM_GLU>(be, y, NULL, gate, up, NULL, 0, a);
}

void cuda_glu_bwd(Backend *be, Tensor *dgate, Tensor *dup, const Tensor *dy, const Tensor *gate, const Tensor *up, ActKind a)
{
    if (dgate || dup)
        elem_run<ELEM_GLU_BWD>(be, dgate, dup, dy, gate, up, 0, a);
}

void cuda_act(Backend *be, Tensor *y, const Tensor *x, ActKind a)
{
    elem_run<ELEM_ACT>(be, y, NULL, x, NULL, NULL, 0, a);
}

void cuda_act_bwd(Backend *be, Tensor *dx, const Tensor *dy, const Tensor *x, ActKind a)
{
    elem_run<ELEM_ACT_BWD>(be, dx, NULL, dy, x, NULL, 0, a);
}

/* ---- rows times the sigmoid of one number each ---- */

#define WARPS 8 /* rows of a block */

/* 8 bytes for each element; the bar is the copy rate. */
static __global__ void __launch_bounds__(32 * WARPS) kernel_gate_rows(Mat y, Mat x, Mat g)
{
    const int lane = (int)threadIdx.x;
    for (int64_t row = (int64_t)blockIdx.x * WARPS + threadIdx.y; row < y.rows; row += (int64_t)gridDim.x * WARPS) {
        const float s = sigmoid_of(g.p[row * g.ld]);
        for (int64_t i = lane; i < y.cols; i += 32)
            y.p[row * y.ld + i] = x.p[row * x.ld + i] * s;
    }
}

/* dx += s dy; dg += s (1 - s) dy . x. 16 bytes for each element; the bar is the copy rate. */
static __global__ void __launch_bounds__(32 * WARPS) kernel_gate_rows_bwd(Mat dx, Mat dg, Mat dy, Mat x, Mat g)
{
    const int lane = (int)threadIdx.x;
    for (int64_t row = (int64_t)blockIdx.x * WARPS + threadIdx.y; row < dy.rows; row += (int64_t)gridDim.x * WARPS) {
        const float s = sigmoid_of(g.p[row * g.ld]);
        float dot = 0;
        for (int64_t i = lane; i < dy.cols; i += 32) {
            const float d = dy.p[row * dy.ld + i];
            if (dg.p)
                dot = fmaf(d, x.p[row * x.ld + i], dot);
            if (dx.p)
                dx.p[row * dx.ld + i] = fmaf(s, d, dx.p[row * dx.ld + i]);
        }
        for (int step = 16; step > 0; step /= 2)
            dot += __shfl_xor_sync(0xffffffffu, dot, step);
        if (dg.p && lane == 0)
            dg.p[row * dg.ld] = fmaf(s * (1.0f - s), dot, dg.p[row * dg.ld]);
    }
}

static dim3 row_grid(int64_t rows)
{
    return dim3((unsigned)MIN((rows + WARPS - 1) / WARPS, (int64_t)GRID_X_MOST));
}

void cuda_gate_rows(Backend *be, Tensor *y, const Tensor *x, const Tensor *g)
{
    Cuda     *c = cuda_of(be);
    const Mat ym = mat_of(y);
    if (cuda_ok(c) && ym.rows && ym.cols)
        CUDA_LAUNCH(c, row_grid(ym.rows), dim3(32, WARPS), 0, kernel_gate_rows, ym, mat_of(x), mat_of(g));
}

void cuda_gate_rows_bwd(Backend *be, Tensor *dx, Tensor *dg, const Tensor *dy, const Tensor *x, const Tensor *g)
{
    Cuda     *c = cuda_of(be);
    const Mat d = mat_of(dy);
    if (cuda_ok(c) && (dx || dg) && d.rows && d.cols)
        CUDA_LAUNCH(c, row_grid(d.rows), dim3(32, WARPS), 0, kernel_gate_rows_bwd, mat_of(dx), mat_of(dg), d, mat_of(x), mat_of(g));
}
