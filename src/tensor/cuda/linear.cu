/* linear.cu - the products of linear layers and their gradients, over cuda_gemm.
 *
 * What a product reads: with COMPUTE_F32 activations where they lie, with COMPUTE_BF16 a copy rounded to bf16 (SLOT_A). A weight that has the product's type is read
 * where it lies, one of another type is widened (SLOT_B), both in panels of rows of at most PANEL_BYTES, so that a head of a 70B model takes no gigabytes.
 * The pair of a weight w [N, K] and its low-rank addition is one product over K + R numbers, [x | x2] [w | w2]', when that moves fewer bytes:
 *   side by side   6 T R to round x2, 6 N R for w2; and 4 N K to copy w if it could have stayed where it lies
 *   one after the other   the same 6 T R and 6 N R, and 8 T N, since y is read and written once more
 * So a widened w always takes its addition along (at T 8192, K = N 4096, R 16: nothing more instead of 268 MB, a tenth of the time of the product itself), and a
 * bf16 w is copied for it when T > K / 2 (67 MB instead of 268). In F32 nothing is copied anyway and the second product stands alone. Back the same with
 * K in the place of N: dx = [dy | dy2] [w; w2], where w2 lies below w.
 * Few rows go to few.cu. Skinny products of F32 tensors, those inside a low-rank pair, read both where they lie and round on the way (CudaGemm.rounds): 4 bytes for a
 * number of x instead of 8.
 * Invariant: panels follow from shapes (and panel_bytes) alone.
 * To add a product: its panels here, its sums are gemm.cu's. */
#include "tensor/cuda/cuda_int.h"

#define PANEL_BYTES ((int64_t)256 << 20)
#define PANEL_ROWS  64                  /* panels are multiples of it: their rows stay aligned, and no product is slimmer but the last */

static int64_t whole8(int64_t n) { return (n + 7) / 8 * 8; }
static DType product_type(const Cuda *c) { return c->be.compute == COMPUTE_BF16 ? DT_BF16 : DT_F32; }
static int64_t size_of(DType product) { return product == DT_BF16 ? 2 : 4; }

/* Rows of `ld` numbers that one panel holds, at most `rows`. */
static int64_t panel_of(const Cuda *c, int64_t rows, int64_t ld, DType type)
{
    const int64_t limit = c->panel_bytes ? c->panel_bytes : PANEL_BYTES;
    return MIN(rows, MAX(1, limit / (ld * size_of(type)) / PANEL_ROWS) * PANEL_ROWS);
}

/* Read where it lies: it has the type, and for the matrix units rows at multiples of 16 bytes. */
static bool lies_ready(const Tensor *w, DType type)
{
    return w->dtype == type && (type == DT_F32 || (w->ld % 8 == 0 && (uintptr_t)w->data % 16 == 0));
}

typedef struct Operand { const void *p; int64_t ld; } Operand;

static Operand in_place(const Tensor *t, int64_t row)
{
    Operand o = { (const char *)t->data + dtype_bytes(t->dtype, row * t->ld), t->ld };
    return o;
}

/* The product of F32 tensors with COMPUTE_BF16 whose result is at most CUDA_SKINNY high or wide. */
static bool rounds_on_the_way(DType product, const Tensor *w, int64_t m, int64_t n)
{
    return product == DT_BF16 && w->dtype == DT_F32 && MIN(m, n) <= CUDA_SKINNY;
}

/* Rows [first, first + rows) of t at column `col` of a matrix in scratch. */
static void put(Cuda *c, const Operand *o, DType type, int64_t row, int64_t col, const Tensor *t, int64_t first, int64_t rows)
{
    cuda_widen(c, (char *)o->p + (row * o->ld + col) * size_of(type), type, o->ld, t, first, rows);
}

/* A matrix of a panel's size in scratch; p NULL: no memory. */
static Operand scratch(Cuda *c, CudaSlot s, DType type, int64_t rows, int64_t cols)
{
    Operand o = { NULL, whole8(cols) };
    o.p = cuda_slot(c, s, (size_t)(rows * o.ld * size_of(type)));
    return o;
}

static void forward(Cuda *c, Tensor *y, const Tensor *x, const Tensor *w, const float *bias, float alpha, float beta, const Tensor *x2, const Tensor *w2)
{
    const Mat     out = mat_of(y);
    const DType   type = product_type(c);
    const int64_t T = out.rows, N = out.cols, K = tensor_cols(x), R = x2 ? tensor_cols(x2) : 0;
    if (!cuda_ok(c) || T == 0 || N == 0)
        return;
    if (T <= CUDA_FEW) {
        cuda_few(c, y, x, w, bias, alpha, beta);
        if (x2)
            cuda_few(c, y, x2, w2, NULL, alpha, 1.0f);
        return;
    }
    if (!x2 && rounds_on_the_way(type, w, T, N)) {
        const CudaGemm g = { T, N, K, DT_F32, x->data, w->data, x->ld, w->ld, true, true, out.p, out.ld, alpha, beta, bias, true };
        cuda_gemm(c, &g);
        return;
    }
    bool          ready = lies_ready(w, type);
    const bool    joined = x2 && type == DT_BF16 && (!ready || 2 * T > K), copied = type != DT_F32;
    ready = ready && !joined;
    const int64_t k = K + (joined ? R : 0), ld = whole8(k);
    const int64_t rows = copied ? panel_of(c, T, ld, type) : T, high = ready ? N : panel_of(c, N, ld, type);
    Operand a = { NULL, 0 }, b = { NULL, 0 };
    if ((copied && !(a = scratch(c, SLOT_A, type, rows, k)).p) || (!ready && !(b = scratch(c, SLOT_B, type, high, k)).p))
        return;
    for (int64_t t = 0, held = -1; t < T; t += rows) {
        const int64_t m = MIN(rows, T - t);
        if (copied) {
            put(c, &a, type, 0, 0, x, t, m);
            if (joined)
                put(c, &a, type, 0, K, x2, t, m);
        } else {
            a = in_place(x, t);
        }
        for (int64_t j = 0; j < N; j += high) {
            const int64_t n = MIN(high, N - j);
            if (ready) {
                b = in_place(w, j);
            } else if (held != j) { /* the only panel, from the rows before */
                put(c, &b, type, 0, 0, w, j, n);
                if (joined)
                    put(c, &b, type, 0, K, w2, j, n);
                held = j;
            }
            const CudaGemm g = { m, n, k, type, a.p, b.p, a.ld, b.ld, true, true, out.p + t * out.ld + j, out.ld, alpha, beta, bias ? bias + j : NULL, false };
            cuda_gemm(c, &g);
        }
    }
    if (x2 && !joined)
        forward(c, y, x2, w2, NULL, alpha, 1.0f, NULL, NULL);
}

/* dx += alpha dy w (+ dy2 w2) */
static void backward(Cuda *c, Tensor *dx, const Tensor *dy, const Tensor *w, float alpha, const Tensor *dy2, const Tensor *w2)
{
    const Mat     out = mat_of(dx);
    const DType   type = product_type(c);
    const int64_t T = out.rows, K = out.cols, N = tensor_cols(dy), R = dy2 ? tensor_cols(dy2) : 0;
    if (!cuda_ok(c) || T == 0 || K == 0)
        return;
    if (!dy2 && rounds_on_the_way(type, w, T, K)) {
        const CudaGemm g = { T, K, N, DT_F32, dy->data, w->data, dy->ld, w->ld, true, false, out.p, out.ld, alpha, 1.0f, NULL, true };
        cuda_gemm(c, &g);
        return;
    }
    bool          ready = lies_ready(w, type);
    const bool    joined = dy2 && type == DT_BF16 && (!ready || 2 * T > N), copied = type != DT_F32;
    ready = ready && !joined;
    const int64_t more = joined ? R : 0, rows = copied ? panel_of(c, T, whole8(N + more), type) : T, high = ready ? N : panel_of(c, N, whole8(K), type);
    Operand a = { NULL, 0 }, b = { NULL, 0 };
    if ((copied && !(a = scratch(c, SLOT_A, type, rows, N + more)).p) || (!ready && !(b = scratch(c, SLOT_B, type, high + more, K)).p))
        return;
    for (int64_t t = 0, held = -1; t < T; t += rows) {
        const int64_t m = MIN(rows, T - t);
        if (copied) {
            put(c, &a, type, 0, 0, dy, t, m);
            if (joined)
                put(c, &a, type, 0, N, dy2, t, m);
        } else {
            a = in_place(dy, t);
        }
        for (int64_t j = 0; j < N; j += high) {
            const int64_t n = MIN(high, N - j), below = j + n == N ? more : 0; /* the last panel takes w2 along */
            if (ready) {
                b = in_place(w, j);
            } else if (held != j) {
                put(c, &b, type, 0, 0, w, j, n);
                if (below)
                    put(c, &b, type, n, 0, w2, 0, R);
                held = j;
            }
            const CudaGemm g = { m, K, n + below, type, (const char *)a.p + j * size_of(type), b.p, a.ld, b.ld, true, false, out.p + t * out.ld, out.ld,
                                 alpha, 1.0f, NULL, false };
            cuda_gemm(c, &g);
        }
    }
    if (dy2 && !joined)
        backward(c, dx, dy2, w2, alpha, NULL, NULL);
}

void cuda_linear(Backend *be, Tensor *y, const Tensor *x, const Tensor *w, const Tensor *b, float alpha, bool accumulate)
{
    Cuda        *c = cuda_of(be);
    const float *bias = cuda_vector(c, SLOT_BIAS, b);
    forward(c, y, x, w, bias, alpha, accumulate ? 1.0f : 0.0f, NULL, NULL);
}

void cuda_linear_dx(Backend *be, Tensor *dx, const Tensor *dy, const Tensor *w, float alpha)
{
    backward(cuda_of(be), dx, dy, w, alpha, NULL, NULL);
}

void cuda_linear_pair(Backend *be, Tensor *y, const Tensor *x, const Tensor *w, const Tensor *b, const Tensor *x2, const Tensor *w2)
{
    Cuda        *c = cuda_of(be);
    const float *bias = cuda_vector(c, SLOT_BIAS, b);
    forward(c, y, x, w, bias, 1.0f, 0.0f, x2, w2);
}

void cuda_linear_dx_pair(Backend *be, Tensor *dx, const Tensor *dy, const Tensor *w, const Tensor *dy2, const Tensor *w2)
{
    backward(cuda_of(be), dx, dy, w, 1.0f, dy2, w2);
}

/* dw += alpha dy' x: the sum runs over the rows of both, in panels of rows. */
void cuda_linear_dw(Backend *be, Tensor *dw, const Tensor *dy, const Tensor *x, float alpha)
{
    Cuda         *c = cuda_of(be);
    const Mat     out = mat_of(dw);
    const DType   type = product_type(c);
    const int64_t T = tensor_rows(x), N = out.rows, K = out.cols;
    if (!cuda_ok(c) || T == 0 || N == 0 || K == 0)
        return;
    const bool    on_the_way = rounds_on_the_way(type, x, N, K), copied = type != DT_F32 && !on_the_way;
    const int64_t rows = copied ? panel_of(c, T, whole8(MAX(N, K)), type) : T;
    Operand a = { NULL, 0 }, b = { NULL, 0 };
    if (copied && (!(a = scratch(c, SLOT_A, type, rows, N)).p || !(b = scratch(c, SLOT_B, type, rows, K)).p))
        return;
    for (int64_t t = 0; t < T; t += rows) {
        const int64_t m = MIN(rows, T - t);
        if (copied) {
            put(c, &a, type, 0, 0, dy, t, m);
            put(c, &b, type, 0, 0, x, t, m);
        } else {
            a = in_place(dy, t);
            b = in_place(x, t);
        }
        const CudaGemm g = { N, K, m, on_the_way ? DT_F32 : type, a.p, b.p, a.ld, b.ld, false, false, out.p, out.ld, alpha, 1.0f, NULL, on_the_way };
        cuda_gemm(c, &g);
    }
}
