/* test_sample.c - the distribution that a draw is made from, against numbers of transformers' logits processors (RepetitionPenalty, Temperature,
 * TopK, TopP, MinP, in float64), and what draws must have in common. */
#include "base/check.h"
#include "infer/sample.h"

#include <math.h>

#define V 8
static const float logits[V] = { 2.0f, -1.0f, 0.5f, 3.0f, 1.5f, -2.0f, 0.25f, 1.5f };

/* Seen in the text: 3 and 1. Of the equals 4 and 7, top-p keeps the lower id first (transformers leaves the order of equals open). */
static const struct { SampleOptions o; double p[V]; } rows[] = {
    { { .temperature = 1 }, { 0.185310442734, 0.00922606368166, 0.0413483487643, 0.503726009107, 0.112396465083, 0.00339407915142, 0.0322021263964, 0.112396465083 } },
    { { .temperature = 0.7 }, { 0.157028181124, 0.00216130239607, 0.0184224152628, 0.655236812057, 0.0768718363847, 0.000517958359283, 0.0128896580315, 0.0768718363847 } },
    { { .temperature = 1, .top_k = 3 }, { 0.202784509212, 0, 0, 0.551225446484, 0.122995022152, 0, 0, 0.122995022152 } },
    { { .temperature = 1, .top_k = 4 }, { 0.202784509212, 0, 0, 0.551225446484, 0.122995022152, 0, 0, 0.122995022152 } },
    { { .temperature = 1, .top_k = 99 }, { 0.185310442734, 0.00922606368166, 0.0413483487643, 0.503726009107, 0.112396465083, 0.00339407915142, 0.0322021263964, 0.112396465083 } },
    { { .temperature = 1, .top_p = 0.8 }, { 0.231223897622, 0, 0, 0.628531719212, 0.140244383166, 0, 0, 0 } },
    { { .temperature = 1, .top_p = 0.5 }, { 0, 0, 0, 1, 0, 0, 0, 0 } },
    { { .temperature = 1, .top_p = 1e-9 }, { 0, 0, 0, 1, 0, 0, 0, 0 } },
    { { .temperature = 1, .min_p = 0.2 }, { 0.202784509212, 0, 0, 0.551225446484, 0.122995022152, 0, 0, 0.122995022152 } },
    { { .temperature = 1, .min_p = 1 }, { 0, 0, 0, 1, 0, 0, 0, 0 } },
    { { .temperature = 1, .repetition_penalty = 1.5 }, { 0.273337677109, 0.00825408263942, 0.0609898796679, 0.273337677109, 0.165787681621, 0.00500635418861, 0.0474989660448, 0.165787681621 } },
    { { .temperature = 0.7, .top_k = 5, .top_p = 0.9, .min_p = 0.1, .repetition_penalty = 1.2 }, { 0.24864424306, 0, 0, 0.507912326165, 0.121721715387, 0, 0, 0.121721715387 } },
    { { .temperature = 2, .top_p = 0.35 }, { 0.377540668798, 0, 0, 0.622459331202, 0, 0, 0, 0 } },
    { { .temperature = 1.5, .min_p = 0.5 }, { 0.339243631234, 0, 0, 0.660756368766, 0, 0, 0, 0 } },
    { { .temperature = 1e-300 }, { 0, 0, 0, 1, 0, 0, 0, 0 } },
    { { .temperature = 0 }, { 0, 0, 0, 1, 0, 0, 0, 0 } },
    { { .temperature = 0, .repetition_penalty = 2 }, { 1, 0, 0, 0, 0, 0, 0, 0 } },
};

static Sampler sampler(void)
{
    Sampler s;
    sampler_init(&s, V);
    sampler_see(&s, 3);
    sampler_see(&s, 1);
    return s;
}

static void weigh(Sampler *s, const SampleOptions *o, double p[V])
{
    Err e = { 0 };
    if (sampler_weigh(s, logits, o, &e))
        fail_msg("%s", e.text);
    memset(p, 0, V * sizeof *p);
    for (int32_t i = 0; i < s->n_cand; i++)
        p[s->cand[i].id] += s->cand[i].p;
}

static void test_distribution(void **state)
{
    (void)state;
    Sampler s = sampler();
    for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
        double p[V];
        weigh(&s, &rows[r].o, p);
        for (int i = 0; i < V; i++)
            if (fabs(p[i] - rows[r].p[i]) > 1e-11)
                fail_msg("row %zu, token %d: %.12g, expected %.12g", r, i, p[i], rows[r].p[i]);
    }
    sampler_release(&s);
}

/* Draws follow the distribution: 20000 of them, each count within five standard deviations. */
static void test_draws(void **state)
{
    (void)state;
    const int64_t n = 20000;
    Sampler       s = sampler();
    for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
        int64_t       count[V] = { 0 };
        SampleOptions o = rows[r].o;
        o.seed = 7;
        for (int64_t i = 0; i < n; i++) {
            Err     e;
            int32_t id;
            assert_int_equal(sampler_pick(&s, logits, &o, 3, (uint64_t)i, &id, &e), 0);
            count[id]++;
        }
        for (int i = 0; i < V; i++) {
            const double p = rows[r].p[i], sd = sqrt((double)n * p * (1 - p));
            if (fabs((double)count[i] - (double)n * p) > 5 * sd + 1e-6)
                fail_msg("row %zu, token %d: drawn %lld times of %lld, expected about %g", r, i, (long long)count[i], (long long)n, (double)n * p);
        }
    }
    sampler_release(&s);
}

/* A draw depends on seed, sequence and step, and on nothing that was drawn before. */
static void test_counter_based(void **state)
{
    (void)state;
    Sampler s = sampler();
    int32_t a[64], b[64], differs[3] = { 0 };
    Err     e;
    const SampleOptions o = { .temperature = 1, .seed = 5 }, other = { .temperature = 1, .seed = 6 };
    for (uint64_t i = 0; i < 64; i++)
        sampler_pick(&s, logits, &o, 0, i, &a[i], &e);
    for (uint64_t i = 64; i-- > 0;)
        sampler_pick(&s, logits, &o, 0, i, &b[i], &e);
    assert_memory_equal(a, b, sizeof a);
    for (uint64_t i = 0; i < 63; i++) {
        sampler_pick(&s, logits, &o, 1, i, &b[i], &e);
        differs[0] += a[i] != b[i];
        sampler_pick(&s, logits, &other, 0, i, &b[i], &e);
        differs[1] += a[i] != b[i];
        differs[2] += a[i] != a[i + 1];
    }
    for (int i = 0; i < 3; i++)
        assert_true(differs[i] > 10);
    sampler_release(&s);
}

/* The k-th largest by selection equals the one by sorting, with many equal values among them. */
static int by_value(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

static void test_top_k_selection(void **state)
{
    (void)state;
    enum { N = 997 };
    float    v[N], sorted[N];
    uint32_t x = 1;
    Sampler  s;
    Err      e;
    sampler_init(&s, N);
    for (int i = 0; i < N; i++) {
        x = x * 1664525u + 1013904223u;
        v[i] = (float)(x >> 24) / 16.0f; /* 256 different values */
    }
    memcpy(sorted, v, sizeof v);
    qsort(sorted, N, sizeof *sorted, by_value);
    for (int k = 1; k <= N; k += 31) {
        int32_t want = 0;
        for (int i = 0; i < N; i++)
            want += v[i] >= sorted[k - 1];
        assert_int_equal(sampler_weigh(&s, v, &(SampleOptions){ .temperature = 1, .top_k = k }, &e), 0);
        assert_int_equal(s.n_cand, want);
    }
    sampler_release(&s);
}

static void test_not_finite(void **state)
{
    (void)state;
    Sampler s = sampler();
    int32_t id;
    for (int i = 0; i < 3; i++) {
        float bad[V];
        Err   e = { 0 };
        memcpy(bad, logits, sizeof bad);
        bad[6] = i == 0 ? NAN : i == 1 ? INFINITY : -INFINITY;
        assert_int_equal(sampler_pick(&s, bad, &(SampleOptions){ 0 }, 0, 0, &id, &e), ERR_WORK);
        check_says(&e, ERR_WORK, "token 6");
    }
    sampler_release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distribution),    cmocka_unit_test(test_draws),      cmocka_unit_test(test_counter_based),
        cmocka_unit_test(test_top_k_selection), cmocka_unit_test(test_not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
