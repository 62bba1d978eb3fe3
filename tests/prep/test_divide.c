/* test_divide.c - rows to parts: shares hold, nothing that belongs together is divided, and neither the order of the inputs nor a removed row changes
 * where the others go. */
#include "base/check.h"
#include "base/mem.h"
#include "base/rng.h"
#include "prep/prep_int.h"

static void prep_start(Prep *p, size_t n)
{
    *p = (Prep){ .cfg = { .validation = 0.1, .test = 0.2, .seed = 7 } };
    for (size_t i = 0; i < n; i++)
        *vec_push(&p->row) = (RowEntry){ .id = (int64_t)i + 1, .content = 1000 + i, .part = PART_TRAIN, .time = INT64_MIN };
    sets_init(&p->together, n);
}

static void prep_end(Prep *p)
{
    vec_release(&p->row);
    sets_release(&p->together);
    strbuf_release(&p->told);
}

static int64_t count(const Prep *p, Part part)
{
    int64_t n = 0;
    for (size_t i = 0; i < p->row.n; i++)
        n += p->row.p[i].part == part;
    return n;
}

static void run(Prep *p)
{
    Err e = { 0 };
    if (divide(p, &e))
        fail_msg("%s", e.text);
}

static void test_shares(void **state)
{
    (void)state;
    Prep p;
    prep_start(&p, 1000);
    run(&p);
    assert_int_equal(count(&p, PART_TEST), 200);
    assert_int_equal(count(&p, PART_VALIDATION), 100);
    assert_int_equal(count(&p, PART_TRAIN), 700);
    prep_end(&p);
}

/* 77 labels, some with one row: the whole has its shares, and every label with enough rows its own. */
static void test_labels(void **state)
{
    (void)state;
    Prep p;
    Rng  r = rng_at(3, RNG_TEST, 0, 0);
    int64_t rows[78] = { 0 }, test[78] = { 0 };
    prep_start(&p, 4000);
    for (size_t i = 0; i < p.row.n; i++)
        p.row.p[i].label = 1 + (rng_below(&r, 77) * rng_below(&r, 77)) / 77;
    run(&p);
    for (size_t i = 0; i < p.row.n; i++) {
        rows[p.row.p[i].label]++;
        test[p.row.p[i].label] += p.row.p[i].part == PART_TEST;
    }
    assert_in_range(count(&p, PART_TEST), 799, 801);
    assert_in_range(count(&p, PART_VALIDATION), 399, 401);
    for (int l = 1; l < 78; l++)
        if (rows[l] >= 10)
            assert_true(test[l] * 5 >= rows[l] - 5 && test[l] * 5 <= rows[l] + 5); /* 20 %, one row more or less */
    prep_end(&p);
}

/* Groups, subjects and near-duplicates chain: whoever shares any of them with another is in its part. */
static void test_together(void **state)
{
    (void)state;
    Prep p;
    Rng  r = rng_at(5, RNG_TEST, 0, 0);
    prep_start(&p, 3000);
    for (size_t i = 0; i < p.row.n; i++) {
        p.row.p[i].group = rng_below(&r, 4) ? 0 : 1 + rng_below(&r, 400);
        p.row.p[i].subject = rng_below(&r, 8) ? 0 : 1 + rng_below(&r, 300);
        if (i && !rng_below(&r, 20))
            sets_join(&p.together, (uint32_t)i, (uint32_t)rng_below(&r, i));
    }
    uint32_t *near = mem_alloc(p.row.n * sizeof *near);
    for (size_t i = 0; i < p.row.n; i++)
        near[i] = sets_find(&p.together, (uint32_t)i);
    run(&p);
    for (size_t i = 0; i < p.row.n; i++) {
        assert_int_equal(p.row.p[i].part, p.row.p[near[i]].part);
        for (size_t k = i + 1; k < p.row.n; k++)
            if ((p.row.p[i].group && p.row.p[i].group == p.row.p[k].group) || (p.row.p[i].subject && p.row.p[i].subject == p.row.p[k].subject))
                assert_int_equal(p.row.p[i].part, p.row.p[k].part);
    }
    assert_true(count(&p, PART_TRAIN) > 0);
    free(near);
    prep_end(&p);
}

/* A group of half the rows does not become the test part. */
static void test_huge_group(void **state)
{
    (void)state;
    Prep p;
    prep_start(&p, 1000);
    for (size_t i = 0; i < 500; i++)
        p.row.p[i].group = 9;
    run(&p);
    assert_int_equal(p.row.p[0].part, PART_TRAIN);
    assert_int_equal(count(&p, PART_TEST), 200);
    prep_end(&p);
}

static void test_order_and_removed(void **state)
{
    (void)state;
    Prep a, b;
    prep_start(&a, 500);
    run(&a);
    prep_start(&b, 501);
    for (size_t i = 0; i < 500; i++)
        b.row.p[500 - i] = (RowEntry){ .id = (int64_t)i, .content = 1000 + i, .part = PART_TRAIN, .time = INT64_MIN }; /* the other way round */
    b.row.p[0] = (RowEntry){ .content = 1003, .part = PART_REMOVED };
    run(&b);
    for (size_t i = 0; i < 500; i++)
        assert_int_equal(a.row.p[i].part, b.row.p[500 - i].part);
    assert_int_equal(b.row.p[0].part, PART_REMOVED);
    prep_end(&a);
    prep_end(&b);
}

/* The row that stood for a set may be removed; the others keep together. */
static void test_removed_root(void **state)
{
    (void)state;
    Prep p;
    prep_start(&p, 100);
    for (uint32_t i = 1; i < 40; i++)
        sets_join(&p.together, 0, i);
    p.row.p[0].part = PART_REMOVED;
    run(&p);
    for (size_t i = 2; i < 40; i++)
        assert_int_equal(p.row.p[i].part, p.row.p[1].part);
    assert_int_equal(p.row.p[0].part, PART_REMOVED);
    prep_end(&p);
}

static void test_time(void **state)
{
    (void)state;
    Prep p;
    char column[] = "day";
    prep_start(&p, 1000);
    p.cfg.time = column;
    for (size_t i = 0; i < 1000; i++)
        p.row.p[i].time = (int64_t)((i * 617) % 1000);
    run(&p);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(p.row.p[i].part, p.row.p[i].time >= 800 ? PART_TEST : p.row.p[i].time >= 700 ? PART_VALIDATION : PART_TRAIN);
    assert_string_equal(strbuf_z(&p.told), "--time: validation begins at 700\n--time: test begins at 800"); /* nothing crosses */
    prep_end(&p);
}

/* What a group carries over the boundary is counted: older rows into the test part with the group's newest, and a group that is too large for the parts that
 * are held out keeps its newest rows in training. */
static void test_time_and_groups(void **state)
{
    (void)state;
    Prep p;
    char column[] = "day";
    prep_start(&p, 100);
    p.cfg = (PrepCfg){ .time = column, .test = 0.1, .seed = 7 };
    for (size_t i = 0; i < 100; i++)
        p.row.p[i].time = (int64_t)i;
    p.row.p[10].group = p.row.p[95].group = 1;                  /* 10 comes along into the test part */
    for (size_t i = 50; i < 90; i += 2)
        p.row.p[i].group = 2;                                    /* 20 rows and the newest one: twice the test part */
    p.row.p[99].group = 2;
    run(&p);
    assert_int_equal(p.row.p[10].part, PART_TEST);
    assert_int_equal(p.row.p[99].part, PART_TRAIN);
    assert_non_null(strstr(strbuf_z(&p.told), "--time: test begins at 90; 1 rows of 1 groups are older and stand there too, with the newer rows of their group"));
    assert_non_null(strstr(strbuf_z(&p.told), "--time: 1 rows of 1 groups are newer than 90 and yet stand in train"));
    prep_end(&p);
}

static void test_nothing_left(void **state)
{
    (void)state;
    Prep p;
    Err  e = { 0 };
    prep_start(&p, 3);
    for (size_t i = 0; i < 3; i++)
        p.row.p[i].part = PART_REMOVED;
    divide(&p, &e);
    check_says(&e, ERR_INPUT, "no row is left of 3");
    prep_end(&p);
}

/* Other answers to one question stay in its part; a question that very many rows ask is a form and binds nothing. */
static void test_questions(void **state)
{
    (void)state;
    Prep p;
    prep_start(&p, 3000);
    for (size_t i = 0; i < p.row.n; i++)
        p.row.p[i].asked = i < 2000 ? 10 + i / 4 : 5;
    run(&p);
    for (size_t i = 0; i < 2000; i++)
        assert_int_equal(p.row.p[i].part, p.row.p[i - i % 4].part);
    int64_t of_form[PARTS] = { 0 };
    for (size_t i = 2000; i < p.row.n; i++)
        of_form[p.row.p[i].part]++;
    assert_true(of_form[PART_TEST] > 0 && of_form[PART_VALIDATION] > 0);
    assert_in_range(count(&p, PART_TEST), 598, 602);
    assert_in_range(count(&p, PART_VALIDATION), 298, 302);
    prep_end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares),    cmocka_unit_test(test_labels),       cmocka_unit_test(test_together), cmocka_unit_test(test_huge_group),
        cmocka_unit_test(test_order_and_removed), cmocka_unit_test(test_removed_root), cmocka_unit_test(test_time), cmocka_unit_test(test_time_and_groups), cmocka_unit_test(test_nothing_left),
        cmocka_unit_test(test_questions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
