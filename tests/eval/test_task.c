/* test_task.c - what counts as right, field by field; the intervals; and a run over a real small model. */
#include "base/check.h"
#include "eval/task.h"

#include <math.h>
#include <stdio.h>

#define STORIES SHARED_DIR "/models/stories260K"

static const struct { const char *expected, *got; bool exact, valid; int64_t hits, of; } rows[] = {
    { "yes", "yes", true, false, 0, 0 },
    { "yes", "no", false, false, 0, 0 },
    { "[1]", "[1]", true, false, 0, 0 }, /* only objects have fields */
    { "{\"a\":1,\"b\":\"x\"}", "{\"a\":1,\"b\":\"x\"}", true, true, 2, 2 },
    { "{\"a\":1,\"b\":\"x\"}", "{ \"b\": \"x\", \"a\": 1.0 }", false, true, 2, 2 },
    { "{\"a\":1,\"b\":\"x\"}", "{\"a\":1,\"b\":\"y\",\"c\":3}", false, true, 1, 2 },
    { "{\"a\":1,\"b\":null}", "{\"a\":1}", false, true, 1, 2 }, /* null is a value, absence is not */
    { "{\"a\":1}", "{\"a\":1", false, false, 0, 1 },
    { "{\"a\":1}", "[1]", false, false, 0, 1 },
    { "{\"a\":1}", "", false, false, 0, 1 },
    { "{\"a\":true}", "{\"a\":1}", false, true, 0, 1 },
    { "{\"a\":[1,{\"b\":2}]}", "{\"a\":[1,{\"b\":2}]}", true, true, 1, 1 },
    { "{\"a\":[1,{\"b\":2}]}", "{\"a\":[1,{\"b\":3}]}", false, true, 0, 1 },
    { "{\"a\":[1,2]}", "{\"a\":[1]}", false, true, 0, 1 },
    { "{\"a\":{\"x\":1}}", "{\"a\":{\"x\":1,\"y\":2}}", false, true, 0, 1 },
};

static void test_judge(void **state)
{
    (void)state;
    TaskScore all = { 0 };
    for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
        TaskScore  s = { 0 };
        const bool exact = task_judge(&s, str_of(rows[r].expected), str_of(rows[r].got));
        task_judge(&all, str_of(rows[r].expected), str_of(rows[r].got));
        if (exact != rows[r].exact || s.exact.hits != exact || s.exact.of != 1 || s.valid_json.hits != rows[r].valid || s.fields.hits != rows[r].hits ||
            s.fields.of != rows[r].of)
            fail_msg("row %zu: exact %d, valid %lld, fields %lld of %lld", r, exact, (long long)s.valid_json.hits, (long long)s.fields.hits,
                     (long long)s.fields.of);
        task_score_release(&s);
    }
    assert_int_equal(all.field.n, 2); /* a and b, in this order */
    assert_true(str_eqz(map_key(all.field_names, 0), "a"));
    assert_int_equal(all.field.p[1].of, 4);
    assert_int_equal(all.field.p[1].hits, 2);
    assert_int_equal(all.valid_json.of, 12);
    task_score_release(&all);
}

static void test_interval(void **state)
{
    (void)state;
    static const struct { TaskShare s; double low, high; } want[] = { /* statsmodels' proportion_confint(method="wilson") */
        { { 0, 3 }, 0, 0.561497031755 }, { { 8, 10 }, 0.490162471538, 0.943317848545 }, { { 50, 100 }, 0.403831530366, 0.596168469634 }, { { 5, 5 }, 0.565517529032, 1 },
    };
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        double low, high;
        task_interval(want[i].s, &low, &high);
        assert_true(fabs(low - want[i].low) < 1e-6);
        assert_true(fabs(high - want[i].high) < 1e-6);
    }
    assert_true(isnan(task_share((TaskShare){ 0, 0 })));
}

static void count_answer(void *user, const TaskAnswer *a)
{
    int *n = user;
    *n += 1;
    assert_true(str_eqz(a->prompt, "Once upon a time"));
    assert_int_equal(a->exact, *n == 1);
    assert_int_equal(str_eqz(a->got, ", there was a little girl named Lily."), 1);
}

static bool stop_at_once(void *user)
{
    (void)user;
    return true;
}

static void test_run(void **state)
{
    (void)state;
    static const char data[] = "{\"prompt\":\"Once upon a time\",\"completion\":\", there was a little girl named Lily.\"}\n"
                               "{\"prompt\":\"Once upon a time\",\"completion\":\", there was a little girl named Anna.\"}\n";
    Err e = { 0 };
    if (!file_exists(STORIES "/model.safetensors")) {
        fprintf(stderr, "SKIPPED: %s is not there; the run over a real model was not checked\n", STORIES);
        skip();
    }
    char     *dir = check_dir(), *path = path_join(dir, "pairs.jsonl");
    Backend  *be = backend_open("ref", 1, &e);
    Model    *m = NULL;
    Tok      *tok = NULL;
    DataSet  *d = NULL;
    TaskScore s = { 0 };
    Generator g;
    int       n = 0;
    if (file_write_atomic(path, data, sizeof data - 1, &e) || model_open(&m, STORIES, be, NULL, &e) || tok_open(&tok, STORIES, &e) ||
        dataset_load(&d, path, tok, &(DataOptions){ .max_length = 256, .vocab = 512 }, &e))
        fail_msg("%s", e.text);
    generator_open(&g, m, NULL, tok);
    const TaskOptions o = { .max_tokens = d->ex[0].n_train - 1, .user = &n, .answered = count_answer };
    if (task_run(&g, d, &o, &s, &e))
        fail_msg("%s", e.text);
    assert_int_equal(n, 2);
    assert_int_equal(s.exact.hits, 1);
    assert_int_equal(s.exact.of, 2);
    assert_int_equal(s.valid_json.of, 0);
    task_score_release(&s);
    assert_int_equal(task_run(&g, d, &(TaskOptions){ .stop_asked = stop_at_once }, &s, &e), ERR_STOP);
    task_score_release(&s);
    generator_close(&g);
    dataset_free(d);
    tok_free(tok);
    model_close(m);
    be->close(be);
    free(path);
    check_dir_done(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_judge), cmocka_unit_test(test_interval), cmocka_unit_test(test_run) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
