/* test_select.c - every way of choosing against a plain one: all pairs, sums from the beginning, sorting by hand. */
#include "base/check.h"
#include "base/rng.h"
#include "prep/select.h"

#include <math.h>
#include <stdio.h>

#define ROWS 900
#define DIM 12

static Backend *be;
static double    score[ROWS];
static SelectWhy barred[ROWS];
static int64_t   length[ROWS];
static Embeddings x;

static double cosine(int64_t a, int64_t b)
{
    double sum = 0;
    for (int64_t j = 0; j < DIM; j++)
        sum += (double)x.x[a * DIM + j] * (double)x.x[b * DIM + j];
    return sum;
}

/* Scores with ties and gaps, vectors in crowds. */
static int make_rows(void **state)
{
    (void)state;
    Rng r = rng_at(7, RNG_TEST, 0, 0);
    x = (Embeddings){ .be = be, .n = ROWS, .dim = DIM, .x = mem_zalloc((size_t)ROWS * DIM, sizeof(float)) };
    for (int64_t i = 0; i < ROWS; i++) {
        double sum = 0;
        float *v = x.x + i * DIM, noise[DIM];
        rng_normals(&r, noise, DIM);
        score[i] = i % 13 == 3 ? NAN : floor(rng_unit(&r) * 200) / 200;
        barred[i] = i % 17 == 4 ? SELECT_CUT : i % 19 == 5 ? SELECT_NO_HELP : SELECT_KEPT;
        length[i] = (int64_t)rng_below(&r, 60);
        for (int j = 0; j < DIM; j++)
            v[j] = i % 3 ? x.x[(i / 3) * DIM + j] + 0.12f * noise[j] : noise[j];
        for (int j = 0; j < DIM; j++)
            sum += (double)v[j] * (double)v[j];
        for (int j = 0; j < DIM; j++)
            v[j] = (float)((double)v[j] / sqrt(sum));
    }
    return 0;
}

static int free_rows(void **state)
{
    (void)state;
    embed_release(&x);
    return 0;
}

static SelectInput input(void)
{
    return (SelectInput){ ROWS, score, barred, length, &x };
}

static bool may(int64_t i)
{
    return barred[i] == SELECT_KEPT && !isnan(score[i]);
}

/* The best row that is not taken, by any value; the lower number of equals. -1: none. */
static int64_t next_best(const double *value, const bool *taken)
{
    int64_t top = -1;
    for (int64_t i = 0; i < ROWS; i++)
        if (!taken[i] && !isnan(value[i]) && (top < 0 || value[i] > value[top]))
            top = i;
    return top;
}

static Selection choose(SelectWay way, SelectOptions o)
{
    const SelectInput in = input();
    Selection         s, again;
    Err               e = { 0 };
    if (select_rows(&s, way, &in, &o, &e) || select_rows(&again, way, &in, &o, &e))
        fail_msg("%s", e.text);
    assert_int_equal(s.n, again.n);
    assert_memory_equal(s.row, again.row, s.n * sizeof *s.row);
    size_t kept = 0;
    for (size_t i = 0; i < s.rows; i++) { /* each row's verdict fits what was chosen */
        kept += s.verdict[i].why == SELECT_KEPT;
        if (s.verdict[i].why == SELECT_KEPT)
            assert_int_equal(s.row[s.verdict[i].place - 1], (int64_t)i);
    }
    assert_int_equal(kept, s.n);
    select_release(&again);
    return s;
}

static void test_best_and_longest(void **state)
{
    (void)state;
    double value[ROWS];
    for (int way = 0; way < 2; way++) {
        bool      taken[ROWS] = { false };
        Selection s = choose(way ? SELECT_LONGEST : SELECT_BEST, (SelectOptions){ .k = 200 });
        for (int64_t i = 0; i < ROWS; i++)
            value[i] = way ? (double)length[i] : may(i) ? score[i] : NAN;
        assert_int_equal(s.n, 200);
        for (size_t k = 0; k < s.n; k++) {
            const int64_t want = next_best(value, taken);
            assert_int_equal(s.row[k], want);
            taken[want] = true;
        }
        select_release(&s);
    }
}

static void test_diverse_equals_plain(void **state)
{
    (void)state;
    static const size_t k[] = { 5, 300, ROWS };
    for (size_t t = 0; t < ARRAY_LEN(k); t++) {
        const double most = 0.9;
        double       value[ROWS];
        bool         taken[ROWS] = { false };
        int64_t      kept[ROWS], at;
        size_t       n = 0;
        Selection    s = choose(SELECT_DIVERSE, (SelectOptions){ .k = k[t], .max_cosine = most });
        for (int64_t i = 0; i < ROWS; i++)
            value[i] = may(i) ? score[i] : NAN;
        while (n < k[t] && (at = next_best(value, taken)) >= 0) {
            int64_t near = -1;
            taken[at] = true;
            for (size_t j = 0; j < n; j++) {
                if (fabs(cosine(at, kept[j]) - most) < 1e-6)
                    fail_msg("rows lie on the threshold; choose another");
                if (near < 0 || cosine(at, kept[j]) > cosine(at, near))
                    near = kept[j];
            }
            if (near >= 0 && cosine(at, near) >= most) {
                assert_int_equal(s.verdict[at].why, SELECT_TOO_NEAR);
                assert_true(fabs(cosine(at, s.verdict[at].near) - cosine(at, near)) < 1e-6);
                continue;
            }
            kept[n++] = at;
        }
        assert_int_equal(s.n, n);
        assert_memory_equal(s.row, kept, n * sizeof *kept);
        if (k[t] == ROWS)
            assert_true(n > 200 && n < 600); /* the crowds are thinned out */
        select_release(&s);
    }
}

static void test_cover_equals_plain(void **state)
{
    (void)state;
    const double share = 0.3;
    const size_t k = 40, pool = 270;
    double       value[ROWS];
    bool         taken[ROWS] = { false }, chosen[ROWS] = { false };
    Selection    s = choose(SELECT_COVER, (SelectOptions){ .k = k, .cover_share = share });
    for (int64_t i = 0; i < ROWS; i++)
        value[i] = may(i) ? score[i] : NAN;
    for (size_t i = 0; i < pool; i++)
        taken[next_best(value, taken)] = true;
    assert_int_equal(s.n, k);
    for (size_t step = 0; step < k; step++) { /* every candidate's whole sum, from the beginning; the choice must be one of the best up to rounding */
        double  best = -1, ours = -1;
        for (int64_t j = 0; j < ROWS; j++) {
            double sum = 0;
            if (!taken[j] || chosen[j])
                continue;
            for (int64_t i = 0; i < ROWS; i++) {
                double most = 0;
                for (size_t c = 0; taken[i] && c < step; c++)
                    most = fmax(most, cosine(i, s.row[c]));
                sum += taken[i] ? fmax(most, cosine(i, j)) : 0;
            }
            best = fmax(best, sum);
            ours = j == s.row[step] ? sum : ours;
        }
        if (ours < best - 1e-4)
            fail_msg("step %zu: the chosen row covers %.6f, another %.6f", step, ours, best);
        chosen[s.row[step]] = true;
    }
    for (int64_t i = 0; i < ROWS; i++)
        assert_int_equal(s.verdict[i].why == SELECT_COVERED, taken[i] && !chosen[i]);
    select_release(&s);
}

static void test_controls(void **state)
{
    (void)state;
    SelectInput   in = input();
    SelectOptions o = { .k = ROWS, .max_cosine = 0.9, .seed = 3 };
    Selection     s[3], other;
    Err           e = { 0 };
    bool          seen[ROWS] = { false }, barred_too = false;
    if (select_with_controls(s, SELECT_DIVERSE, &in, &o, &e))
        fail_msg("%s", e.text);
    assert_int_equal(s[1].way, SELECT_RANDOM);
    assert_int_equal(s[2].way, SELECT_LONGEST);
    assert_int_equal(s[1].n, s[0].n);
    assert_int_equal(s[2].n, s[0].n);
    for (size_t i = 0; i < s[1].n; i++) {
        assert_false(seen[s[1].row[i]]);
        seen[s[1].row[i]] = true;
        barred_too |= !may(s[1].row[i]);
    }
    assert_true(barred_too); /* the draw is from all rows */
    o.k = s[0].n;
    o.seed = 4;
    if (select_rows(&other, SELECT_RANDOM, &in, &o, &e))
        fail_msg("%s", e.text);
    assert_memory_not_equal(other.row, s[1].row, other.n * sizeof *other.row);
    select_release(&other);
    for (int i = 0; i < 3; i++)
        select_release(&s[i]);

    SelectWhy none[ROWS];
    for (int64_t i = 0; i < ROWS; i++)
        none[i] = SELECT_NO_HELP;
    in.barred = none;
    assert_int_equal(select_with_controls(s, SELECT_BEST, &in, &o, &e), ERR_INPUT);
    o.k = ROWS + 1;
    assert_int_equal(select_rows(&other, SELECT_BEST, &in, &o, &e), ERR_ARG);
    check_says(&e, ERR_ARG, "expected are 1 to 900");
}

static void test_ifd_rule(void **state)
{
    (void)state;
    const RowScore from[] = { { .ifd_loss = 0.9, .ifd_perplexity = 0.7 }, { .ifd_loss = 1.0, .ifd_perplexity = 1.0 }, { .ifd_loss = NAN, .ifd_perplexity = NAN },
                              { .ifd_loss = 0.8, .ifd_perplexity = 0.2, .cut = true }, { .ifd_loss = 0.95, .ifd_perplexity = 0.5 } };
    const SelectWhy want[] = { SELECT_KEPT, SELECT_NO_HELP, SELECT_NO_SCORE, SELECT_CUT, SELECT_KEPT };
    double    s[5];
    SelectWhy why[5];
    Selection best;
    Err       e = { 0 };
    for (int kind = 0; kind < 2; kind++) {
        select_by_ifd(from, 5, kind ? IFD_PERPLEXITY : IFD_LOSS, s, why);
        assert_memory_equal(why, want, sizeof why);
        const SelectInput in = { .n = 5, .score = s, .barred = why };
        if (select_rows(&best, SELECT_BEST, &in, &(SelectOptions){ .k = 1 }, &e))
            fail_msg("%s", e.text);
        assert_int_equal(best.row[0], kind ? 0 : 4); /* the two ratios rank differently */
        select_release(&best);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_best_and_longest), cmocka_unit_test(test_diverse_equals_plain), cmocka_unit_test(test_cover_equals_plain),
                                        cmocka_unit_test(test_controls), cmocka_unit_test(test_ifd_rule) };
    Err e = { 0 };
    if (!(be = backend_open("cpu", 2, &e))) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    const int failed = cmocka_run_group_tests(tests, make_rows, free_rows);
    be->close(be);
    return failed;
}
