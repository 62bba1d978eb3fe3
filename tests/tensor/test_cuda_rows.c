/* test_cuda_rows.c - what the rows of op_cases.c do not reach of the cuda backend's norms, sums, optimiser and routing, each against `ref` on the stand-in for a card (or on a
 * card, where one is and the stand-in cannot be built): the bytes of 8-bit moments, rows that come back many times, logits in a tie or no numbers at all, sums over gaps. */
#include "base/check.h"

#include <math.h>

#include "base/mem.h"
#include "base/rng.h"
#include "tensor/backend.h"
#include "tensor/cuda/cuda.h"
#ifdef HONE_CUDA_HOST
#include "tensor/cuda_host/host_control.h"
#endif

/* ---- two backends, the same tensors ---- */

typedef struct Pair { Backend *be[2]; TArena a[2]; } Pair; /* the card, ref */

static void pair_open(Pair *p)
{
    Err e = { 0 };
    p->be[0] = backend_cuda_open(-1, &e);
    if (!p->be[0])
        fail_msg("%s", e.text);
    p->be[1] = backend_open("ref", 1, NULL);
    for (int k = 0; k < 2; k++)
        tarena_init(&p->a[k], p->be[k]);
#ifdef HONE_CUDA_HOST
    host_cuda_order(HOST_SHUFFLED);
#endif
}

static void pair_close(Pair *p)
{
    Err e = { 0 };
    for (int k = 0; k < 2; k++) {
        if (p->be[k]->sync(p->be[k], &e))
            fail_msg("%s: %s", p->be[k]->name, e.text);
        tarena_release(&p->a[k]);
        p->be[k]->close(p->be[k]);
    }
#ifdef HONE_CUDA_HOST
    if (host_cuda_fault())
        fail_msg("%s", host_cuda_fault());
    assert_int_equal(host_cuda_leaks(), 0);
    host_cuda_order(HOST_FORWARD);
#endif
}

/* Rows of `cols` numbers, ld apart, from v [rows * ld]. */
static void pair_put(Pair *p, Tensor *t[2], DType type, int64_t rows, int64_t cols, int64_t ld, const void *v)
{
    for (int k = 0; k < 2; k++) {
        Tensor *whole = tarena_tensor(&p->a[k], NULL, type, 2, (int64_t[]){ rows, ld });
        assert_non_null(whole);
        p->be[k]->upload(p->be[k], whole->data, v, dtype_bytes(type, rows * ld));
        t[k] = arena_alloc(&p->a[k].structs, sizeof *whole);
        *t[k] = ld == cols ? *whole : tensor_col_view(whole, 0, cols);
    }
}

static void *pair_take(const Pair *p, int k, const Tensor *t)
{
    const size_t n = dtype_bytes(t->dtype, tensor_rows(t) * t->ld);
    void        *v = mem_alloc(n);
    p->be[k]->download(p->be[k], v, t->data, n);
    return v;
}

static void expect_same_bytes(const Pair *p, Tensor *const t[2], const char *what)
{
    const size_t n = dtype_bytes(t[0]->dtype, tensor_rows(t[0]) * t[0]->ld);
    uint8_t     *got = pair_take(p, 0, t[0]), *want = pair_take(p, 1, t[1]);
    for (size_t i = 0; i < n; i++)
        if (got[i] != want[i])
            fail_msg("%s: byte %zu of %zu is %d, ref has %d", what, i, n, got[i], want[i]);
    free(got);
    free(want);
}

/* At most `most` of the largest of ref's numbers apart. */
static void expect_near(const Pair *p, Tensor *const t[2], double most, const char *what)
{
    float *got = pair_take(p, 0, t[0]), *want = pair_take(p, 1, t[1]);
    double size = 0, off = 0;
    for (int64_t r = 0; r < tensor_rows(t[0]); r++)
        for (int64_t c = 0; c < tensor_cols(t[0]); c++) {
            const double w = want[r * t[1]->ld + c], d = fabs((double)got[r * t[0]->ld + c] - w);
            size = fmax(size, fabs(w));
            off = d <= off ? off : d; /* NaN stays */
        }
    if (!(off <= most * size))
        fail_msg("%s: off by %.3g, the largest is %.3g", what, off, size);
    free(got);
    free(want);
}

static float *numbers(int64_t n, uint64_t seed)
{
    float *v = mem_alloc((size_t)n * sizeof *v);
    Rng    rng = rng_at(12, RNG_TEST, seed, 0);
    rng_normals(&rng, v, n);
    return v;
}

/* ---- the optimiser ---- */

#define BLOCK 256

typedef struct Step8 { Tensor *w[2], *g[2], *m[2], *v[2]; int64_t n; } Step8;

/* w begins `skip` numbers behind where four lie in one access. */
static void step8_put(Pair *p, Step8 *s, int64_t n, int64_t skip, const float *w, const float *g)
{
    const int64_t blocks = (n + BLOCK - 1) / BLOCK;
    uint8_t      *zero = mem_zalloc((size_t)blocks, BLOCK + sizeof(float));
    s->n = n;
    pair_put(p, s->w, DT_F32, 1, n + skip, n + skip, w);
    pair_put(p, s->g, DT_F32, 1, n + skip, n + skip, g);
    pair_put(p, s->m, DT_DYN8, 1, blocks * BLOCK, blocks * BLOCK, zero);
    pair_put(p, s->v, DT_UDYN8, 1, blocks * BLOCK, blocks * BLOCK, zero);
    for (int k = 0; k < 2; k++) {
        Tensor *t[] = { s->w[k], s->g[k] };
        for (int i = 0; i < 2; i++) {
            t[i]->data = (float *)t[i]->data + skip;
            t[i]->dim[0] = 1;
            t[i]->dim[1] = t[i]->ld = n;
        }
    }
    free(zero);
}

static void step8_run(Pair *p, const Step8 *s, const AdamW *a, float grad_scale)
{
    for (int k = 0; k < 2; k++)
        p->be[k]->adamw(p->be[k], s->w[k], s->g[k], s->m[k], s->v[k], a, grad_scale);
}

/* With betas of 0 the moments are the gradient and its square, so what is quantised is known to the bit: ordinary numbers, exact borders between codes of both signs, numbers too
 * small to be told from 0, blocks of zeros, magnitudes at both ends; in a second step, what is no number. */
static void moments_have_the_bytes_of_the_type(void **state)
{
    (void)state;
    static const int64_t sizes[] = { 1, BLOCK - 1, BLOCK, BLOCK + 1, 21 * BLOCK + 77 };
    static const float   scale[] = { 1, 1e-6f, 1e-19f, 3e-38f, 1e-41f, 1e18f, 0 }, bad[] = { NAN, INFINITY, -INFINITY };
    uint8_t all[BLOCK + 4];
    float   code[BLOCK];
    const float one = 1;
    memcpy(all, &one, sizeof one);
    for (int i = 0; i < BLOCK; i++)
        all[4 + i] = (uint8_t)i;
    dtype_to_f32(code, all, DT_DYN8, BLOCK);
    for (size_t i = 0; i < ARRAY_LEN(sizes) * 2; i++) {
        const int64_t n = sizes[i / 2], skip = i % 2;
        Pair          p;
        Step8         s;
        pair_open(&p);
        float *w = numbers(n + skip, i), *g = mem_zalloc((size_t)(n + skip), sizeof *g);
        Rng    draw = rng_at(1, RNG_TEST, (uint64_t)n, 0);
        for (int64_t j = 0; j < n; j++) {
            const int64_t at = j % BLOCK;
            const float   border = (code[at] + code[(at + 1) % BLOCK]) / 2;
            g[j + skip] = scale[j / BLOCK % (int64_t)ARRAY_LEN(scale)]
                        * (j / BLOCK % 2 ? at < BLOCK - 1 ? border : 1 : (float)((rng_unit(&draw) - 0.5) * exp(-20 * rng_unit(&draw))));
        }
        step8_put(&p, &s, n, skip, w, g);
        AdamW a = { .lr = 1e-3f, .eps = 1e-8f, .step = 1 };
        step8_run(&p, &s, &a, 1);
        expect_same_bytes(&p, s.m, "first moments");
        expect_same_bytes(&p, s.v, "second moments");
        expect_near(&p, s.w, 1e-6, "weights");
        for (int64_t j = 0; j < n; j += BLOCK)
            g[skip + MIN(j + 3, n - 1)] = bad[j / BLOCK % 3];
        for (int k = 0; k < 2; k++)
            p.be[k]->upload(p.be[k], (float *)s.g[k]->data - skip, g, (size_t)(n + skip) * sizeof *g);
        step8_run(&p, &s, &a, 1);
        expect_same_bytes(&p, s.m, "first moments of what is no number");
        expect_same_bytes(&p, s.v, "second moments of what is no number");
        free(w);
        free(g);
        pair_close(&p);
    }
}

/* Codes that f32 and double put on the two sides of a border differ by one; few do, and the weights stay together. */
static void twenty_steps_stay_with_ref(void **state)
{
    (void)state;
    enum { N = 9 * BLOCK + 100, SKIP = 0, BYTES = 10 * (BLOCK + 4) };
    Pair   p;
    Step8  s;
    AdamW  a = { .lr = 1e-2f, .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f, .weight_decay = 0.1f };
    float *w = numbers(N, 5), *g = numbers(N, 6);
    int    other = 0;
    pair_open(&p);
    step8_put(&p, &s, N, SKIP, w, g);
    for (a.step = 1; a.step <= 20; a.step++)
        step8_run(&p, &s, &a, 0.5f);
    expect_near(&p, s.w, 1e-4, "weights after 20 steps");
    for (int i = 0; i < 2; i++) {
        uint8_t *got = pair_take(&p, 0, (i ? s.v : s.m)[0]), *want = pair_take(&p, 1, (i ? s.v : s.m)[1]);
        for (int at = 0; at < BYTES; at++)
            if (at % (BLOCK + 4) >= 4) {
                other += got[at] != want[at];
                assert_true(abs(got[at] - want[at]) <= 1);
            }
        free(got);
        free(want);
    }
    print_message("%d of %d codes are others\n", other, 2 * N);
    assert_true(other <= 2 * N / 200);
    free(w);
    free(g);
    pair_close(&p);
}

/* Rows with gaps, by fours and not; g alone without gaps. */
static void optimiser_takes_rows_with_gaps(void **state)
{
    (void)state;
    static const struct { int64_t rows, cols, ld; } shapes[] = { { 3, 1100, 1104 }, { 5, 36, 40 }, { 5, 37, 41 }, { 1, 5, 5 }, { 7, 64, 64 } };
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        const int64_t rows = shapes[i].rows, cols = shapes[i].cols, ld = shapes[i].ld;
        Pair    p;
        Tensor *w[2], *g[2], *m[2], *v[2];
        float  *wv = numbers(rows * ld, 1), *gv = numbers(rows * cols, 2), *mv = numbers(rows * ld, 3), *vv = numbers(rows * ld, 4);
        const AdamW a = { .lr = 1e-2f, .beta1 = 0.9f, .beta2 = 0.99f, .eps = 1e-6f, .weight_decay = 0.1f, .step = 3 };
        for (int64_t j = 0; j < rows * ld; j++)
            vv[j] = fabsf(vv[j]);
        pair_open(&p);
        pair_put(&p, w, DT_F32, rows, cols, ld, wv);
        pair_put(&p, g, DT_F32, rows, cols, cols, gv);
        pair_put(&p, m, DT_F32, rows, cols, ld, mv);
        pair_put(&p, v, DT_F32, rows, cols, ld, vv);
        for (int k = 0; k < 2; k++)
            p.be[k]->adamw(p.be[k], w[k], g[k], m[k], v[k], &a, 0.7f);
        expect_near(&p, w, 1e-6, "w");
        expect_near(&p, m, 1e-6, "m");
        expect_near(&p, v, 1e-6, "v");
        for (int64_t r = 0; r < rows; r++) { /* the gaps keep what they held */
            float *got = pair_take(&p, 0, w[0]);
            assert_memory_equal(got + r * ld + cols, wv + r * ld + cols, (size_t)(ld - cols) * sizeof *got);
            free(got);
        }
        free(wv);
        free(gv);
        free(mv);
        free(vv);
        pair_close(&p);
    }
}

/* ---- sums ---- */

static void sums_over_gaps_and_many_parts(void **state)
{
    (void)state;
    static const struct { int64_t rows, cols, ld; } shapes[] = { { 1, 70001, 70001 }, { 300, 244, 244 }, { 300, 244, 248 }, { 301, 33, 35 }, { 90, 1, 1 }, { 90, 1, 3 } };
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        const int64_t rows = shapes[i].rows, cols = shapes[i].cols;
        Pair    p;
        Tensor *x[2], *db[2];
        float  *v = numbers(rows * shapes[i].ld, i), *b = numbers(cols, 99);
        double  sum[2];
        pair_open(&p);
        pair_put(&p, x, DT_F32, rows, cols, shapes[i].ld, v);
        pair_put(&p, db, DT_F32, 1, cols, cols, b);
        for (int k = 0; k < 2; k++) {
            sum[k] = p.be[k]->sumsq(p.be[k], x[k]);
            p.be[k]->linear_db(p.be[k], db[k], x[k]);
        }
        assert_true(fabs(sum[0] - sum[1]) <= 1e-13 * sum[1]);
        assert_true(p.be[0]->sumsq(p.be[0], x[0]) == sum[0]);
        expect_near(&p, db, 1e-6, "column sums");
        free(v);
        free(b);
        pair_close(&p);
    }
}

/* ---- routing ---- */

/* Ties go to the lower index, 0 and -0 tie; of what is no number every row gets top_k different experts all the same. */
static void route_picks_in_a_total_order(void **state)
{
    (void)state;
    enum { T = 6, E = 70, K = 9 };
    Pair     p;
    Tensor  *z[2], *weight[2], *pick[2], *prob[2];
    float    zv[T * E];
    int32_t  none[T * K] = { 0 };
    const RouteCfg cfg = { .top_k = K, .renormalise = true };
    for (int e = 0; e < E; e++) {
        zv[e] = 1;                                                  /* all equal */
        zv[E + e] = (float)(e / 7 % 3);                             /* equal in groups */
        zv[2 * E + e] = e % 2 ? 0.0f : -0.0f;
        zv[3 * E + e] = e % 3 ? -INFINITY : (float)-e;
        zv[4 * E + e] = NAN;
        zv[5 * E + e] = e % 4 ? (float)e : e % 8 ? NAN : -NAN;
    }
    pair_open(&p);
    pair_put(&p, z, DT_F32, T, E, E, zv);
    pair_put(&p, prob, DT_F32, T, E, E, zv);
    pair_put(&p, weight, DT_F32, T, K, K, zv);
    pair_put(&p, pick, DT_I32, T, K, K, none);
    for (int k = 0; k < 2; k++)
        p.be[k]->route(p.be[k], weight[k], pick[k], prob[k], z[k], &cfg);
    int32_t *got = pair_take(&p, 0, pick[0]), *want = pair_take(&p, 1, pick[1]);
    for (int t = 0; t < T; t++) {
        bool seen[E] = { false };
        for (int k = 0; k < K; k++) {
            const int32_t e = got[t * K + k];
            assert_true(e >= 0 && e < E && !seen[e]);
            seen[e] = true;
            if (t < 4)
                assert_int_equal(e, want[t * K + k]);
        }
    }
    free(got);
    free(want);
    pair_close(&p);
}

/* All to one row, over several turns of the kernel's look through `rows`; and none to most. The order shows in the bits: large and small numbers alternate. */
static void rows_come_back_in_order(void **state)
{
    (void)state;
    enum { N = 2500, D = 8, ROWS = 3 };
    for (int spread = 0; spread < 2; spread++) {
        Pair    p;
        Tensor *x[2], *y[2], *rows[2];
        float  *xv = numbers(N * D, 7), yv[ROWS * D] = { 0 };
        int32_t to[N];
        float   want[ROWS * D] = { 0 };
        for (int i = 0; i < N; i++) {
            to[i] = spread ? i * 7 % 2 * 2 : 1;
            for (int c = 0; c < D; c++) {
                xv[i * D + c] *= i % 2 ? 1e4f : 1;
                want[to[i] * D + c] += xv[i * D + c]; /* each sum rounded, as the kernel's */
            }
        }
        pair_open(&p);
        pair_put(&p, x, DT_F32, N, D, D, xv);
        pair_put(&p, y, DT_F32, ROWS, D, D, yv);
        pair_put(&p, rows, DT_I32, 1, N, N, to);
        p.be[0]->combine(p.be[0], y[0], x[0], rows[0], NULL, NULL);
        float *got = pair_take(&p, 0, y[0]);
        assert_memory_equal(got, want, sizeof want);
        free(got);
        free(xv);
        pair_close(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moments_have_the_bytes_of_the_type),
        cmocka_unit_test(twenty_steps_stay_with_ref),
        cmocka_unit_test(optimiser_takes_rows_with_gaps),
        cmocka_unit_test(sums_over_gaps_and_many_parts),
        cmocka_unit_test(route_picks_in_a_total_order),
        cmocka_unit_test(rows_come_back_in_order),
    };
    if (!backend_cuda_count()) {
        print_message("SKIPPED: no card, and no stand-in for one\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
