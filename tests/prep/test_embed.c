/* test_embed.c - near rows against all pairs one by one, groups, centring and the mean cosine against their definitions. */
#include "base/check.h"
#include "base/rng.h"
#include "prep/embed.h"

#include <math.h>
#include <stdio.h>

#define ROWS 1100 /* three blocks, the last one not whole */
#define DIM 20

static Backend *be;

/* Vectors around a common direction, as a language model's are; every seventh row is near an earlier one, every eleventh the same as one, row 5 zero. */
static Embeddings make_rows(int64_t n)
{
    Embeddings x = { .be = be, .n = n, .dim = DIM, .x = mem_zalloc((size_t)n * DIM, sizeof(float)) };
    Rng        r = rng_at(1, RNG_TEST, 0, 0);
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        float *v = x.x + i * DIM, noise[DIM];
        rng_normals(&r, noise, DIM);
        const float *from = i % 7 == 6 || i % 11 == 10 ? x.x + (i * 3 / 5) * DIM : NULL;
        for (int j = 0; j < DIM; j++)
            v[j] = from ? from[j] + (i % 11 == 10 ? 0.0f : 0.04f * noise[j]) : noise[j] + 1.5f;
        for (int j = 0; j < DIM; j++)
            sum += (double)v[j] * (double)v[j];
        for (int j = 0; j < DIM; j++)
            v[j] = i == 5 || sum == 0 ? 0 : (float)((double)v[j] / sqrt(sum));
    }
    return x;
}

static double cosine(const Embeddings *x, int64_t a, int64_t b)
{
    double sum = 0;
    for (int64_t j = 0; j < x->dim; j++)
        sum += (double)x->x[a * x->dim + j] * (double)x->x[b * x->dim + j];
    return sum;
}

static void test_near_equals_all_pairs(void **state)
{
    (void)state;
    const double threshold = 0.97;
    Embeddings   x = make_rows(ROWS);
    EmbedPairs   got = { 0 };
    Err          e = { 0 };
    size_t       want = 0;
    int64_t     *group = mem_zalloc(ROWS, sizeof *group), *plain = mem_zalloc(ROWS, sizeof *plain);
    if (embed_near(&x, threshold, EMBED_NEAREST_MAX, NULL, &got, &e))
        fail_msg("%s", e.text);
    for (int64_t a = 0; a < ROWS; a++)
        plain[a] = a;
    for (int64_t a = 0; a < ROWS; a++)
        for (int64_t b = a + 1; b < ROWS; b++) {
            const double c = cosine(&x, a, b);
            if (fabs(c - threshold) < 1e-6)
                fail_msg("rows %lld and %lld lie on the threshold; choose another", (long long)a, (long long)b);
            if (c < threshold)
                continue;
            if (want >= got.n || got.p[want].a != a || got.p[want].b != b || fabs((double)got.p[want].cosine - c) > 1e-6)
                fail_msg("pair %zu should be %lld, %lld (%.6f)", want, (long long)a, (long long)b, c);
            want++;
            const int64_t low = MIN(plain[a], plain[b]), high = MAX(plain[a], plain[b]);
            for (int64_t i = 0; i < ROWS; i++)
                plain[i] = plain[i] == high ? low : plain[i];
        }
    assert_int_equal(got.n, want);
    assert_true(want > 200);
    embed_groups(ROWS, &got, group);
    assert_memory_equal(group, plain, ROWS * sizeof *group);
    free(group);
    free(plain);
    vec_release(&got);
    embed_release(&x);
}

/* One row's nearest, equal ones by number: a crowd of copies keeps few links and stays one group. */
static void test_nearest_few(void **state)
{
    (void)state;
    Embeddings x = { .be = be, .n = 600, .dim = 2, .x = mem_zalloc(1200, sizeof(float)) };
    EmbedPairs got = { 0 };
    Err        e = { 0 };
    int64_t    group[600];
    for (int64_t i = 0; i < x.n; i++)
        x.x[2 * i + (i >= 590)] = 1; /* 590 copies of one, 10 of another */
    if (embed_near(&x, 0.99, 2, NULL, &got, &e))
        fail_msg("%s", e.text);
    assert_true(got.n <= 2 * 600);
    assert_int_equal(got.p[0].a, 0);
    assert_int_equal(got.p[0].b, 1);
    embed_groups(x.n, &got, group);
    for (int64_t i = 0; i < x.n; i++)
        assert_int_equal(group[i], i < 590 ? 0 : 590);
    assert_int_equal(embed_near(&x, 0, 2, NULL, &got, &e), ERR_ARG);
    assert_int_equal(embed_near(&x, 0.9, 65, NULL, &got, &e), ERR_ARG);
    vec_release(&got);
    embed_release(&x);
}

static double mean_cosine(const Embeddings *x)
{
    double  sum = 0;
    int64_t n = 0;
    for (int64_t a = 0; a < x->n; a++)
        for (int64_t b = 0; b < a; b++)
            if (a != 5 && b != 5) {
                sum += cosine(x, a, b);
                n++;
            }
    return sum / (double)n;
}

static void test_centre(void **state)
{
    (void)state;
    Embeddings x = make_rows(300), y = make_rows(300);
    double     mean[DIM] = { 0 };
    const double before = mean_cosine(&x);
    assert_true(before > 0.5);
    assert_true(fabs(embed_mean_cosine(&x) - before) < 1e-6);
    for (int64_t i = 0; i < x.n; i++)
        for (int j = 0; j < DIM; j++)
            mean[j] += (double)x.x[i * DIM + j] / 299; /* row 5 is zero */
    embed_centre(&x);
    for (int64_t i = 0; i < x.n; i++) {
        double sum = 0;
        for (int j = 0; j < DIM; j++)
            sum += pow((double)y.x[i * DIM + j] - mean[j], 2);
        for (int j = 0; j < DIM; j++) {
            const double want = i == 5 ? 0 : ((double)y.x[i * DIM + j] - mean[j]) / sqrt(sum);
            assert_true(fabs((double)x.x[i * DIM + j] - want) < 1e-6);
        }
    }
    assert_true(fabs(embed_mean_cosine(&x)) < 0.02);
    assert_true(fabs(embed_mean_cosine(&x) - mean_cosine(&x)) < 1e-6);
    embed_release(&x);
    embed_release(&y);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_near_equals_all_pairs), cmocka_unit_test(test_nearest_few), cmocka_unit_test(test_centre) };
    Err e = { 0 };
    if (!(be = backend_open("cpu", 2, &e))) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    be->close(be);
    return failed;
}
