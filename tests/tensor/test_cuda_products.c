/* test_cuda_products.c - what the rows of op_cases.c do not reach of the cuda backend's products, on the stand-in for a card: every stored type as F32 and BF16 to the bit, from
 * any block pattern and row pitch; hone's own product in all orientations, tiles and splits; the panels and chunks that large shapes are cut into; few rows, each by
 * itself, of every type. */
#include "tensor/cuda/cuda.h"
#include "tensor/op_kits.c"
#ifdef HONE_CUDA_HOST
#include "tensor/cuda_host/host_control.h"
#include "tensor/cuda_host/products.h"

static Backend *open_card(void)
{
    Err e = { 0 };
    Backend *be = backend_cuda_open(-1, &e);
    if (!be)
        fail_msg("%s", e.text);
    return be;
}

static void close_card(Backend *be)
{
    Err e = { 0 };
    if (be->sync(be, &e))
        fail_msg("%s", e.text);
    be->close(be);
    if (host_cuda_fault())
        fail_msg("%s", host_cuda_fault());
    assert_int_equal(host_cuda_leaks(), 0);
}

static void *on_card(Backend *be, const void *host, size_t nbytes)
{
    void *p = be->alloc(be, nbytes);
    assert_non_null(p);
    if (host)
        be->upload(be, p, host, nbytes);
    return p;
}

static bool holds_weights(int t) { return t < DT_DYN8 && t != DT_I32; }

/* ---- stored types ---- */

static void halves_are_exact(void **state)
{
    (void)state;
    assert_int_equal(product_wrong_halves(), 0);
}

/* Rows 1, 2 and then row 0 of three, from random bytes: every scale, infinities and NaNs. A NaN may come out as another one. */
static void check_widen(Backend *be, DType type, int64_t cols, int64_t gap, DType to, int64_t gap_dst)
{
    const int64_t ld = cols + gap * dtype_block(type), ld_dst = cols + gap_dst, rows = 3;
    const size_t  nbytes = dtype_bytes(type, rows * ld), size = to == DT_F32 ? 4 : 2, wide = (size_t)(rows * ld_dst) * size;
    unsigned char *src = mem_alloc(nbytes), *got = mem_alloc(wide), *want = mem_alloc((size_t)cols * size);
    float *v = mem_alloc((size_t)cols * sizeof *v);
    Rng rng = rng_at(5, RNG_TEST, (uint64_t)type, (uint64_t)(cols + gap));
    for (size_t i = 0; i < nbytes; i++)
        src[i] = (unsigned char)rng_below(&rng, 256);
    memset(got, 0x5A, wide);
    void *s = on_card(be, src, nbytes), *d = on_card(be, got, wide);
    const Tensor w = { .dtype = type, .rank = 2, .dim = { rows, cols }, .ld = ld, .data = s };
    product_widen(be, d, to, ld_dst, &w, 1, 2);
    product_widen(be, (char *)d + (size_t)(2 * ld_dst) * size, to, ld_dst, &w, 0, 1);
    be->download(be, got, d, wide);
    for (int64_t r = 0; r < rows; r++) {
        dtype_to_f32(v, src + dtype_bytes(type, (r + 1) % rows * ld), type, cols);
        dtype_from_f32(want, v, to, cols);
        for (int64_t i = 0; i < cols; i++) {
            float g;
            const unsigned char *at = got + (size_t)(r * ld_dst + i) * size;
            dtype_to_f32(&g, at, to, 1);
            if (memcmp(at, want + (size_t)i * size, size) != 0 && !(isnan(v[i]) && isnan(g)))
                fail_msg("%s to %s: number %d of row %d is %.9g, not %.9g", dtype_name(type), dtype_name(to), (int)i, (int)r, (double)g, (double)v[i]);
        }
        for (int64_t i = cols; i < ld_dst; i++)
            assert_int_equal(got[(size_t)(r * ld_dst + i) * size], 0x5A);
    }
    be->release(be, s, nbytes);
    be->release(be, d, wide);
    free(src);
    free(got);
    free(want);
    free(v);
}

static void stored_types_have_their_bits(void **state)
{
    (void)state;
    Backend *be = open_card();
    for (int t = 0; t < DT_DYN8; t++) {
        const int64_t block = dtype_block((DType)t);
        if (!holds_weights(t))
            continue;
        for (int to = 0; to < 2; to++)
            for (int gap = 0; gap < 3; gap++) {
                check_widen(be, (DType)t, block == 1 ? 37 : 3 * block, gap, to ? DT_BF16 : DT_F32, gap == 0 ? 0 : gap == 1 ? 8 : 3);
                if (gap < 2)
                    check_widen(be, (DType)t, block == 1 ? 4099 : 4096 + 2 * block, gap, to ? DT_BF16 : DT_F32, gap ? 8 : 0);
            }
    }
    close_card(be);
}

/* ---- the product ---- */

static float *host_numbers(int64_t n, int64_t from, bool bf16)
{
    float    *v = mem_alloc((size_t)n * sizeof *v);
    uint16_t *h = mem_alloc((size_t)n * sizeof *h);
    for (int64_t i = 0; i < n; i++)
        v[i] = (float)pool_at(from + i);
    if (bf16) {
        dtype_from_f32(h, v, DT_BF16, n);
        dtype_to_f32(v, h, DT_BF16, n);
    }
    free(h);
    return v;
}

static void *operand_on_card(Backend *be, const float *v, int64_t n, bool bf16)
{
    uint16_t *h = mem_alloc((size_t)n * sizeof *h);
    dtype_from_f32(h, v, DT_BF16, n);
    void *p = on_card(be, bf16 ? (const void *)h : v, (size_t)n * (bf16 ? sizeof *h : sizeof *v));
    free(h);
    return p;
}

/* Against sums in double, at some hundred places of c and in all its gaps. */
static void check_gemm(Backend *be, const ProductCase *p, bool bias)
{
    const int64_t na = p->lda * (p->a_rows ? p->m : p->k), nb = p->ldb * (p->b_rows ? p->n : p->k), nc = p->ldc * p->m;
    float *a = host_numbers(na, 3, p->bf16), *b = host_numbers(nb, 1009, p->bf16), *c = host_numbers(nc, 77, false), *v = host_numbers(p->n, 501, false);
    float *got = mem_alloc((size_t)nc * sizeof *got);
    for (int64_t i = 0; p->beta == 0.0f && i < nc; i++)
        if (i % p->ldc < p->n)
            c[i] = NAN; /* is not read */
    const bool halves = p->bf16 && !p->rounds;
    void *da = operand_on_card(be, a, na, halves), *db = operand_on_card(be, b, nb, halves), *dc = on_card(be, c, (size_t)nc * 4), *dv = on_card(be, v, (size_t)p->n * 4);
    product_gemm(be, p, da, db, dc, bias ? dv : NULL);
    be->download(be, got, dc, (size_t)nc * 4);
    double top = 0, off = 0;
    for (int64_t e = 0; e < p->m * p->n; e += MAX(1, p->m * p->n / 499)) {
        const int64_t i = e / p->n, j = e % p->n;
        double sum = 0;
        for (int64_t q = 0; q < p->k; q++)
            sum += (double)a[p->a_rows ? i * p->lda + q : q * p->lda + i] * (double)b[p->b_rows ? j * p->ldb + q : q * p->ldb + j];
        const double want = p->alpha * sum + (p->beta != 0.0f ? (double)p->beta * c[i * p->ldc + j] : 0.0) + (bias ? v[j] : 0.0f);
        top = fmax(top, fabs(want));
        off = fmax(off, isnan(got[i * p->ldc + j]) ? INFINITY : fabs(want - (double)got[i * p->ldc + j]));
    }
    if (!(off <= CPU_TOL * top))
        fail_msg("[%d, %d] over %d, %s, a by %s, b by %s, beta %g: off by %.2g of the largest", (int)p->m, (int)p->n, (int)p->k, p->rounds ? "rounded" : p->bf16 ? "bf16" : "f32", p->a_rows ? "rows" : "columns",
                 p->b_rows ? "rows" : "columns", (double)p->beta, off / top);
    for (int64_t i = 0; i < nc; i++) {
        if (i % p->ldc >= p->n)
            assert_memory_equal(&got[i], &c[i], sizeof *c);
        else
            assert_true(!isnan(got[i]));
    }
    be->release(be, da, (size_t)na * (halves ? 2 : 4));
    be->release(be, db, (size_t)nb * (halves ? 2 : 4));
    be->release(be, dc, (size_t)nc * 4);
    be->release(be, dv, (size_t)p->n * 4);
    free(a);
    free(b);
    free(c);
    free(v);
    free(got);
}

/* Small tiles with and without splits, large tiles, no k at all; pitches at whole 16 bytes and odd ones. */
static void products_are_right_in_every_orientation(void **state)
{
    (void)state;
    static const int64_t shapes[][3] = { { 3, 5, 7 }, { 65, 130, 70 }, { 9, 67, 1500 }, { 130, 16, 600 }, { 64, 128, 0 }, { 1030, 1025, 19 } };
    Backend *be = open_card();
    for (size_t s = 0; s < ARRAY_LEN(shapes); s++)
        for (int kind = 0; kind < 12; kind++) /* from 8 on: rounded on the way */
            for (int odd = 0; odd < 2; odd++) {
                const bool    big = s == ARRAY_LEN(shapes) - 1, rounds = kind >= 8, bf16 = rounds || kind & 1, a_rows = (rounds ? kind & 1 : kind & 2) != 0, b_rows = (rounds ? kind & 2 : kind & 4) != 0;
                const int64_t m = shapes[s][0], n = shapes[s][1], k = shapes[s][2], wide_a = a_rows ? k : m, wide_b = b_rows ? k : n;
                if ((big && odd) || (rounds && MIN(m, n) > 64))
                    continue;
                const ProductCase p = { .m = m, .n = n, .k = k, .bf16 = bf16, .rounds = rounds, .a_rows = a_rows, .b_rows = b_rows, .lda = odd ? wide_a + 5 : (wide_a + 7) / 8 * 8,
                                        .ldb = odd ? wide_b + 3 : (wide_b + 7) / 8 * 8, .ldc = odd ? n + 1 : (n + 1) / 2 * 2, .alpha = 0.75f,
                                        .beta = kind % 3 == 0 ? 1.0f : kind % 3 == 1 ? 0.5f : 0.0f };
                check_gemm(be, &p, (kind + odd) % 2);
            }
    close_card(be);
}

/* ---- panels and chunks ---- */

static void check_case(const OpCase *c, int64_t panel, bool bf16, Backend *ref)
{
    Backend *be = open_card();
    Lab      want, got;
    product_panels(be, panel);
    be->compute = bf16 ? COMPUTE_BF16 : COMPUTE_F32;
    run_kernels(&want, c, ref, bf16);
    run_kernels(&got, c, be, bf16);
    const double allowed = (bf16 && c->op != OP_LINEAR ? BF16_TOL : CPU_TOL) * (c->slack > 0 ? c->slack : 1.0);
    const double d = lab_difference(&got, &want, allowed, "in pieces");
    lab_release(&got);
    lab_release(&want);
    close_card(be);
    if (!(d <= allowed))
        fail_msg("%s [%d, %d, %d], %s, in pieces of %lld bytes: off by %.2g, allowed %.2g", op_name((OpKind)c->op), c->T, c->K, c->N, bf16 ? "bf16" : "f32", (long long)panel, d,
                 allowed);
}

/* Pieces of 64 rows of w and of x; chunks of rows; pieces of the vocabulary, each of several panels. */
static void large_shapes_are_cut(void **state)
{
    (void)state;
    static const struct { OpCase c; int64_t panel; } rows[] = {
        { { OP_LINEAR, .T = 70, .K = 40, .N = 131, .rank = 8, .bias = true, .no_grad = true }, 4096 },
        { { OP_LINEAR, .T = 150, .K = 64, .N = 67, .rank = 16, .stored = DT_BF16, .no_grad = true }, 4096 },
        { { OP_HEAD_FUSED, .T = 600, .K = 8, .N = 70, .bias = true, .no_grad = true, .slack = 2 }, 300 * 72 * 4 },
        { { OP_HEAD_FUSED, .T = 20, .K = 16, .N = 300, .bias = true, .softcap = 4, .no_grad = true }, 4096 * 3 },
        { { OP_HEAD_LOGP, .T = 20, .K = 136, .N = 300, .bias = true, .no_grad = true, .slack = 2 }, 4096 * 3 },
        { { OP_HEAD_LOGP, .T = 270, .K = 8, .N = 70, .stored = DT_F16, .no_grad = true, .slack = 2 }, 64 * 256 * 4 },
    };
    Backend *ref = backend_open("ref", 1, NULL);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (int bf16 = 0; bf16 < 2; bf16++)
            if (!bf16 || rows[i].c.stored != DT_F16)
                check_case(&rows[i].c, rows[i].panel, bf16, ref);
    ref->close(ref);
}

/* ---- few rows ---- */

static Tensor *linear_of(TArena *a, const Tensor *x, const Tensor *w)
{
    Tensor *y = tarena_tensor(a, NULL, DT_F32, 2, (int64_t[]){ tensor_rows(x), tensor_rows(w) });
    a->be->linear(a->be, y, x, w, NULL, 0.75f, false);
    return y;
}

static void expect_equal(const Tensor *a, const Tensor *b, DType type, const char *what)
{
    const size_t n = (size_t)tensor_numel(a);
    float *x = mem_alloc(n * sizeof *x), *y = mem_alloc(n * sizeof *y);
    tensor_get(a, x);
    tensor_get(b, y);
    if (memcmp(x, y, n * sizeof *x) != 0)
        fail_msg("weight of %s: %s has other bits", dtype_name(type), what);
    free(x);
    free(y);
}

/* A weight as it is stored and the F32 numbers that it means: the same bits, for few rows and for many; and a row among eight those of the row alone. */
static void stored_types_mean_their_numbers(void **state)
{
    (void)state;
    enum { N = 35 };
    Backend *be = open_card();
    for (int t = 0; t < DT_DYN8; t++) {
        const int64_t K = dtype_block((DType)t) == 1 ? 301 : 512;
        TArena a;
        if (!holds_weights(t))
            continue;
        tarena_init(&a, be);
        float *v = host_numbers(N * K, t, false);
        Tensor *w = tarena_tensor(&a, NULL, (DType)t, 2, (int64_t[]){ N, K }), *wide = tarena_tensor(&a, NULL, DT_F32, 2, (int64_t[]){ N, K });
        Tensor *x = tarena_tensor(&a, NULL, DT_F32, 2, (int64_t[]){ 9, K });
        for (int64_t i = 0; i < N * K; i++)
            v[i] *= i / K % 7 == 0 ? 1e-6f : i / K % 7 == 3 ? 1000.0f : 1.0f;
        tensor_put(w, v);
        tensor_get(w, v);
        tensor_put(wide, v);
        float *xs = host_numbers(9 * K, 11, false);
        tensor_put(x, xs);
        free(v);
        free(xs);
        for (int64_t rows = 8; rows <= 9; rows++) { /* 9: tiles */
            const Tensor some = tensor_row_view(x, 0, rows);
            expect_equal(linear_of(&a, &some, w), linear_of(&a, &some, wide), (DType)t, rows == 8 ? "a product of 8 rows" : "a product of 9 rows");
        }
        const Tensor eight = tensor_row_view(x, 0, 8), *all = linear_of(&a, &eight, w);
        for (int r = 0; r < 8; r += 7) {
            const Tensor row = tensor_row_view(x, r, 1), of_all = tensor_row_view(all, r, 1);
            expect_equal(linear_of(&a, &row, w), &of_all, (DType)t, "a row alone");
        }
        tarena_release(&a);
    }
    close_card(be);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(halves_are_exact),
        cmocka_unit_test(stored_types_have_their_bits),
        cmocka_unit_test(products_are_right_in_every_orientation),
        cmocka_unit_test(large_shapes_are_cut),
        cmocka_unit_test(stored_types_mean_their_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void) { return 77; } /* no C++ compiler, no stand-in */

#endif
