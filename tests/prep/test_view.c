/* test_view.c - a view gives the bytes of the file, wherever and by whichever thread they are read, and what is read does not stay. */
#include "base/check.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/thread.h"
#include "prep/view.h"

#define BYTES ((size_t)96 << 20)

/* Pages of files that are resident in this process. */
static size_t resident(void)
{
    char *text = check_read("/proc/self", "statm");
    unsigned long pages = 0;
    assert_int_equal(sscanf(text, "%*u %*u %lu", &pages), 1);
    free(text);
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

static uint64_t word_at(uint64_t off) { return off * 0x9E3779B97F4A7C15u; }

static char *file_made(const char *dir)
{
    char    *path = path_join(dir, "file");
    FileOut *f = NULL;
    Err      e;
    assert_int_equal(file_out_open(&f, path, &e), 0);
    for (uint64_t off = 0; off < BYTES; off += 8) {
        const uint64_t word = word_at(off);
        assert_int_equal(file_out_write(f, &word, sizeof word, &e), 0);
    }
    assert_int_equal(file_out_finish(&f, &e), 0);
    return path;
}

static void read_words(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    const View *v = ctx;
    Rng r = rng_at((uint64_t)piece, RNG_TEST, 3, 0);
    for (int i = 0; i < 2000; i++) {
        const uint64_t off = rng_below(&r, BYTES / 8) * 8;
        BUG_ON(*(const uint64_t *)view_at(v, off, 8) != word_at(off));
    }
}

static void test_view(void **state)
{
    (void)state;
    char *dir = check_dir(), *path = file_made(dir);
    Err   e;
    View  v;
    Pool *pool = pool_new(3);
    assert_int_equal(view_open(&v, path, &e), 0);
    assert_int_equal(v.map.n, BYTES);
    const size_t before = resident(), most = (VIEW_KEPT + 2) * VIEW_WINDOW, threads = 6 * VIEW_WINDOW; /* that were interrupted */
    for (uint64_t off = 0; off < BYTES; off += 8)
        assert_true(*(const uint64_t *)view_at(&v, off, 8) == word_at(off));
    assert_true(resident() < before + most);
    parallel_for(pool, 16, read_words, &v);
    assert_true(resident() < before + most + threads);
    const uint64_t *all = view_at(&v, 0, BYTES); /* a stretch of any length is whole, though not all of it stays */
    for (uint64_t i = 0; i < BYTES / 8; i += 4096)
        assert_true(all[i] == word_at(8 * i));
    view_at(&v, BYTES, 0);
    view_close(&v);
    view_close(&v);
    pool_free(pool);
    free(path);
    check_dir_done(dir);
}

static void test_empty(void **state)
{
    (void)state;
    char *dir = check_dir(), *path = path_join(dir, "empty");
    Err   e;
    View  v;
    assert_int_equal(file_write_atomic(path, "", 0, &e), 0);
    assert_int_equal(view_open(&v, path, &e), 0);
    view_at(&v, 0, 0);
    view_close(&v);
    assert_int_not_equal(view_open(&v, dir, &e), 0);
    free(path);
    check_dir_done(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_view), cmocka_unit_test(test_empty) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
