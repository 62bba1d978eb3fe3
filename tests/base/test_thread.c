/* test_thread.c - every piece exactly once whatever the number of threads, many small jobs in a row, idle threads that sleep.
 * The build with the thread sanitizer runs the same tests. */
#include "base/check.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/thread.h"

#include <math.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

typedef struct Count {
    int       *times; /* [n]; plain: two threads on one piece are a data race that the sanitizer reports */
    int        threads;
    atomic_int bad_worker;
} Count;

static void count_piece(void *ctx, int64_t piece, int worker)
{
    Count *c = ctx;
    c->times[piece]++;
    if (worker < 0 || worker >= c->threads)
        atomic_fetch_add(&c->bad_worker, 1);
}

static void test_each_piece_once(void **state)
{
    (void)state;
    int times[2000];
    for (int threads = 1; threads <= 8; threads++) {
        Pool *p = pool_new(threads);
        assert_int_equal(pool_threads(p), threads);
        for (int64_t n = 0; n <= 2000; n = n < 10 ? n + 1 : n * 2 - 1) {
            memset(times, 0, sizeof times);
            Count c = { .times = times, .threads = threads };
            parallel_for(p, n, count_piece, &c);
            assert_int_equal(c.bad_worker, 0);
            for (int64_t i = 0; i < 2000; i++)
                assert_int_equal(times[i], i < n);
        }
        pool_free(p);
    }
    Count c = { .times = times, .threads = 1 };
    memset(times, 0, sizeof times);
    parallel_for(NULL, 5, count_piece, &c);
    assert_true(times[4] == 1 && times[5] == 0 && c.bad_worker == 0);
    assert_int_equal(pool_threads(NULL), 1);
    pool_free(NULL);
}

/* Small jobs whose size goes up and down, so that late threads meet the next job with more or fewer pieces than the last. */
static void test_many_jobs(void **state)
{
    (void)state;
    int times[40];
    Rng r = rng_at(5, RNG_TEST, 0, 0);
    for (int threads = 2; threads <= 5; threads++) {
        Pool *p = pool_new(threads);
        for (int job = 0; job < 5000; job++) {
            int64_t n = (int64_t)rng_below(&r, 40);
            memset(times, 0, sizeof times);
            Count c = { .times = times, .threads = threads };
            parallel_for(p, n, count_piece, &c);
            for (int64_t i = 0; i < 40; i++)
                if (times[i] != (i < n))
                    fail_msg("job %d of %lld pieces: piece %lld ran %d times", job, (long long)n, (long long)i, times[i]);
            if (job % 1000 == 999)
                nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL); /* long enough for everyone to fall asleep */
        }
        pool_free(p);
    }
}

typedef struct Sum { const double *x; double *part; } Sum;

static void sum_piece(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    Sum *s = ctx;
    double sum = 0;
    for (int64_t i = piece * 100; i < (piece + 1) * 100; i++)
        sum += sin(s->x[i]);
    s->part[piece] = sum;
}

static void test_same_result(void **state)
{
    (void)state;
    double x[10000], part[100], want[100];
    for (int i = 0; i < 10000; i++)
        x[i] = i * 0.37;
    parallel_for(NULL, 100, sum_piece, &(Sum){ x, want });
    for (int threads = 2; threads <= 4; threads++) {
        Pool *p = pool_new(threads);
        parallel_for(p, 100, sum_piece, &(Sum){ x, part });
        assert_memory_equal(part, want, sizeof part);
        pool_free(p);
    }
}

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void test_speed_and_idle(void **state)
{
    (void)state;
    int times[2] = { 0 }, jobs = 20000;
    Count c = { .times = times, .threads = 2 };
    Pool *p = pool_new(2);
    double start = clock_seconds();
    for (int i = 0; i < jobs; i++)
        parallel_for(p, 2, count_piece, &c);
    print_message("a job of two pieces on two threads: %.2f us\n", (clock_seconds() - start) / jobs * 1e6);
    assert_int_equal(times[0] + times[1], 2 * jobs);
    nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
    double used = cpu_seconds();
    nanosleep(&(struct timespec){ .tv_nsec = 200000000 }, NULL);
    used = cpu_seconds() - used;
    print_message("idle for 0.2 s: %.6f s of processor time\n", used);
    assert_true(used < 0.02);
    pool_free(p);
}

static Pool *shared;

static void nested_piece(void *ctx, int64_t piece, int worker)
{
    (void)ctx, (void)piece, (void)worker;
    parallel_for(shared, 2, count_piece, NULL);
}

static void nested(void)
{
    shared = pool_new(2);
    parallel_for(shared, 2, nested_piece, NULL);
}

static void test_nesting_stops(void **state)
{
    (void)state;
    int status = check_child(nested);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void test_cores(void **state)
{
    (void)state;
    assert_true(thread_cores() >= 1);
    Pool *p = pool_new(0);
    assert_int_equal(pool_threads(p), thread_cores());
    pool_free(p);
    for (int i = 0; i < 100; i++) /* ends before its threads have begun */
        pool_free(pool_new(4));
}

/* --- beside ---------------------------------------------------------------------------------------------------------------------------------- */

typedef struct Held { bool ran, held; } Held;

static void look_at_signals(void *ctx)
{
    Held    *h = ctx;
    sigset_t now;
    pthread_sigmask(SIG_SETMASK, NULL, &now);
    h->held = sigismember(&now, SIGINT) == 1;
    h->ran = true;
}

static void test_beside(void **state)
{
    (void)state;
    Held     h[50] = { 0 };
    Beside  *b[50];
    sigset_t now;
    for (size_t i = 0; i < ARRAY_LEN(b); i++)
        b[i] = beside_start(look_at_signals, &h[i]);
    for (size_t i = 0; i < ARRAY_LEN(b); i++) {
        beside_join(b[i]);
        assert_true(h[i].ran && h[i].held);
    }
    beside_join(NULL);
    pthread_sigmask(SIG_SETMASK, NULL, &now);
    assert_int_equal(sigismember(&now, SIGINT), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nesting_stops), /* first: a child of a process that has threads is none of ours */
        cmocka_unit_test(test_each_piece_once), cmocka_unit_test(test_many_jobs), cmocka_unit_test(test_same_result),
        cmocka_unit_test(test_speed_and_idle),  cmocka_unit_test(test_cores), cmocka_unit_test(test_beside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
