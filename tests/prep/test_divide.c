/* test_divide.c - rows to parts: shares hold, nothing that belongs together is divided, and neither the order of the inputs nor a removed row changes
 * where the others go. */
#include "base/check.h"
#include "base/mem.h"
#include "base/rng.h"
#include "prep/prep_int.h"

/* Entries as a test describes them, and the preparation that has read them. */
typedef struct Data { Prep p; VEC(RowEntry) row; char *dir; } Data;

static void data_start(Data *s, size_t n)
{
    Err e;
    *s = (Data){ .p = { .cfg = { .validation = 0.1, .test = 0.2, .seed = 7 } }, .dir = check_dir() };
    s->p.cfg.out = s->dir;
    char *work = prep_path(&s->p, "work");
    assert_int_equal(dir_make(work, &e), 0);
    free(work);
    for (size_t i = 0; i < n; i++)
        *vec_push(&s->row) = (RowEntry){ .id = (int64_t)i + 1, .content = 1000 + i, .part = PART_TRAIN, .time = INT64_MIN };
    sets_init(&s->p.together, n);
}

static void data_end(Data *s)
{
    vec_release(&s->row);
    entries_close(&s->p.rows);
    sets_release(&s->p.together);
    strbuf_release(&s->p.told);
    check_dir_done(s->dir);
}

static int try_run(Data *s, Err *e)
{
    char *index = prep_path(&s->p, "work/index.bin");
    s->p.rows.n = s->row.n;
    int rc = file_write_atomic(index, s->row.p, s->row.n * sizeof *s->row.p, e);
    if (!rc)
        rc = entries_open(&s->p.rows, index, e);
    free(index);
    return rc ? rc : divide(&s->p, e);
}

static void run(Data *s)
{
    Err e = { 0 };
    if (try_run(s, &e))
        fail_msg("%s", e.text);
}

static Part part_of(const Data *s, size_t i) { return entries_part(&s->p.rows, i); }

static int64_t count(const Data *s, Part part)
{
    int64_t n = 0;
    for (size_t i = 0; i < s->row.n; i++)
        n += part_of(s, i) == part;
    return n;
}

static void test_shares(void **state)
{
    (void)state;
    Data s;
    data_start(&s, 1000);
    run(&s);
    assert_int_equal(count(&s, PART_TEST), 200);
    assert_int_equal(count(&s, PART_VALIDATION), 100);
    assert_int_equal(count(&s, PART_TRAIN), 700);
    data_end(&s);
}

/* 77 labels, some with one row: the whole has its shares, and every label with enough rows its own. */
static void test_labels(void **state)
{
    (void)state;
    Data s;
    Rng  r = rng_at(3, RNG_TEST, 0, 0);
    int64_t rows[78] = { 0 }, test[78] = { 0 };
    data_start(&s, 4000);
    for (size_t i = 0; i < s.row.n; i++)
        s.row.p[i].label = 1 + (rng_below(&r, 77) * rng_below(&r, 77)) / 77;
    run(&s);
    for (size_t i = 0; i < s.row.n; i++) {
        rows[s.row.p[i].label]++;
        test[s.row.p[i].label] += (part_of(&s, i) == PART_TEST);
    }
    assert_in_range(count(&s, PART_TEST), 799, 801);
    assert_in_range(count(&s, PART_VALIDATION), 399, 401);
    for (int l = 1; l < 78; l++)
        if (rows[l] >= 10)
            assert_true(test[l] * 5 >= rows[l] - 5 && test[l] * 5 <= rows[l] + 5); /* 20 %, one row more or less */
    data_end(&s);
}

/* Groups, subjects and near-duplicates chain: whoever shares any of them with another is in its part. */
static void test_together(void **state)
{
    (void)state;
    Data s;
    Rng  r = rng_at(5, RNG_TEST, 0, 0);
    data_start(&s, 3000);
    for (size_t i = 0; i < s.row.n; i++) {
        s.row.p[i].group = rng_below(&r, 4) ? 0 : 1 + rng_below(&r, 400);
        s.row.p[i].subject = rng_below(&r, 8) ? 0 : 1 + rng_below(&r, 300);
        if (i && !rng_below(&r, 20))
            sets_join(&s.p.together, (uint32_t)i, (uint32_t)rng_below(&r, i));
    }
    uint32_t *near = mem_alloc(s.row.n * sizeof *near);
    for (size_t i = 0; i < s.row.n; i++)
        near[i] = sets_find(&s.p.together, (uint32_t)i);
    run(&s);
    for (size_t i = 0; i < s.row.n; i++) {
        assert_int_equal(part_of(&s, i), part_of(&s, near[i]));
        for (size_t k = i + 1; k < s.row.n; k++)
            if ((s.row.p[i].group && s.row.p[i].group == s.row.p[k].group) || (s.row.p[i].subject && s.row.p[i].subject == s.row.p[k].subject))
                assert_int_equal(part_of(&s, i), part_of(&s, k));
    }
    assert_true(count(&s, PART_TRAIN) > 0);
    free(near);
    data_end(&s);
}

/* A group of half the rows does not become the test part. */
static void test_huge_group(void **state)
{
    (void)state;
    Data s;
    data_start(&s, 1000);
    for (size_t i = 0; i < 500; i++)
        s.row.p[i].group = 9;
    run(&s);
    assert_int_equal(part_of(&s, 0), PART_TRAIN);
    assert_int_equal(count(&s, PART_TEST), 200);
    data_end(&s);
}

static void test_order_and_removed(void **state)
{
    (void)state;
    Data a, b;
    data_start(&a, 500);
    run(&a);
    data_start(&b, 501);
    for (size_t i = 0; i < 500; i++)
        b.row.p[500 - i] = (RowEntry){ .id = (int64_t)i, .content = 1000 + i, .part = PART_TRAIN, .time = INT64_MIN }; /* the other way round */
    b.row.p[0] = (RowEntry){ .content = 1003, .part = PART_REMOVED };
    run(&b);
    for (size_t i = 0; i < 500; i++)
        assert_int_equal(part_of(&a, i), part_of(&b, 500 - i));
    assert_int_equal(part_of(&b, 0), PART_REMOVED);
    data_end(&a);
    data_end(&b);
}

/* The row that stood for a set may be removed; the others keep together. */
static void test_removed_root(void **state)
{
    (void)state;
    Data s;
    data_start(&s, 100);
    for (uint32_t i = 1; i < 40; i++)
        sets_join(&s.p.together, 0, i);
    s.row.p[0].part = PART_REMOVED;
    run(&s);
    for (size_t i = 2; i < 40; i++)
        assert_int_equal(part_of(&s, i), part_of(&s, 1));
    assert_int_equal(part_of(&s, 0), PART_REMOVED);
    data_end(&s);
}

static void test_time(void **state)
{
    (void)state;
    Data s;
    char column[] = "day";
    data_start(&s, 1000);
    s.p.cfg.time = column;
    for (size_t i = 0; i < 1000; i++)
        s.row.p[i].time = (int64_t)((i * 617) % 1000);
    run(&s);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(part_of(&s, i), s.row.p[i].time >= 800 ? PART_TEST : s.row.p[i].time >= 700 ? PART_VALIDATION : PART_TRAIN);
    assert_string_equal(strbuf_z(&s.p.told), "--time: validation begins at 700\n--time: test begins at 800"); /* nothing crosses */
    data_end(&s);
}

/* What a group carries over the boundary is counted: older rows into the test part with the group's newest, and a group that is too large for the parts that
 * are held out keeps its newest rows in training. */
static void test_time_and_groups(void **state)
{
    (void)state;
    Data s;
    char column[] = "day";
    data_start(&s, 100);
    s.p.cfg = (PrepCfg){ .out = s.dir, .time = column, .test = 0.1, .seed = 7 };
    for (size_t i = 0; i < 100; i++)
        s.row.p[i].time = (int64_t)i;
    s.row.p[10].group = s.row.p[95].group = 1;                  /* 10 comes along into the test part */
    for (size_t i = 50; i < 90; i += 2)
        s.row.p[i].group = 2;                                    /* 20 rows and the newest one: twice the test part */
    s.row.p[99].group = 2;
    run(&s);
    assert_int_equal(part_of(&s, 10), PART_TEST);
    assert_int_equal(part_of(&s, 99), PART_TRAIN);
    assert_non_null(strstr(strbuf_z(&s.p.told), "--time: test begins at 90; 1 rows of 1 groups are older and stand there too, with the newer rows of their group"));
    assert_non_null(strstr(strbuf_z(&s.p.told), "--time: 1 rows of 1 groups are newer than 90 and yet stand in train"));
    data_end(&s);
}

static void test_nothing_left(void **state)
{
    (void)state;
    Data s;
    Err  e = { 0 };
    data_start(&s, 3);
    for (size_t i = 0; i < 3; i++)
        s.row.p[i].part = PART_REMOVED;
    try_run(&s, &e);
    check_says(&e, ERR_INPUT, "no row is left of 3");
    data_end(&s);
}

/* Other answers to one question stay in its part; a question that very many rows ask is a form and binds nothing. */
static void test_questions(void **state)
{
    (void)state;
    Data s;
    data_start(&s, 3000);
    for (size_t i = 0; i < s.row.n; i++)
        s.row.p[i].asked = i < 2000 ? 10 + i / 4 : 5;
    run(&s);
    for (size_t i = 0; i < 2000; i++)
        assert_int_equal(part_of(&s, i), part_of(&s, i - i % 4));
    int64_t of_form[PARTS] = { 0 };
    for (size_t i = 2000; i < s.row.n; i++)
        of_form[part_of(&s, i)]++;
    assert_true(of_form[PART_TEST] > 0 && of_form[PART_VALIDATION] > 0);
    assert_in_range(count(&s, PART_TEST), 598, 602);
    assert_in_range(count(&s, PART_VALIDATION), 298, 302);
    data_end(&s);
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
