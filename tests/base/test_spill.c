/* test_spill.c - a file without a name: what is put comes back, no name is left whatever happens, its room is taken at once, and a disk that is full,
 * breaks or loses bytes is told in a sentence. */
#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/spill.h"

#define SIZE ((size_t)3 << 20)

static size_t names_in(const char *dir)
{
    Err      e = { 0 };
    FileList l;
    assert_int_equal(file_list(&l, dir, &e), 0);
    const size_t n = l.n;
    file_list_release(&l);
    return n;
}

static void test_what_is_put_comes_back(void **state)
{
    (void)state;
    char     *dir = check_dir(), *deeper = path_join(dir, "not/there/yet");
    uint32_t *a = mem_alloc(SIZE), *b = mem_zalloc(SIZE, 1);
    Err       e = { 0 };
    Spill     s;
    struct stat st;
    for (size_t i = 0; i < SIZE / 4; i++)
        a[i] = (uint32_t)(i * 2654435761u);
    assert_int_equal(spill_open(&s, deeper, SIZE, &e), 0); /* in the nearest folder that is there */
    assert_int_equal(names_in(dir), 0);
    assert_int_equal(fstat(s.fd, &st), 0);
    assert_int_equal(st.st_nlink, 0);
    assert_int_equal(st.st_size, SIZE);
    assert_true((size_t)st.st_blocks * 512 >= SIZE); /* the room is taken, not promised */
    for (size_t at = 0; at < SIZE; at += SIZE / 3)
        assert_int_equal(spill_put(&s, at, (char *)a + at, SIZE / 3, &e), 0);
    spill_expect(&s, SIZE / 3, SIZE / 3);
    for (size_t at = SIZE; at; at -= SIZE / 3)
        assert_int_equal(spill_get(&s, at - SIZE / 3, (char *)b + at - SIZE / 3, SIZE / 3, &e), 0);
    assert_memory_equal(a, b, SIZE);
    assert_int_equal(spill_put(&s, 8, a, 4, &e), 0); /* over what was there */
    assert_int_equal(spill_get(&s, 8, b, 4, &e), 0);
    assert_int_equal(b[0], a[0]);
    spill_close(&s);
    spill_close(&s);
    free(a);
    free(b);
    free(deeper);
    check_dir_done(dir);
}

static void test_disks_that_fail(void **state)
{
    (void)state;
    char *dir = check_dir(), *buf = mem_zalloc(SIZE, 1);
    Err   e = { 0 };
    Spill s;
    assert_int_equal(spill_open(&s, dir, (uint64_t)1 << 60, &e), ERR_IO); /* needs and has are both said */
    check_says(&e, ERR_IO, "1048576 TiB");
    check_says(&e, ERR_IO, "are free");
    check_says(&e, ERR_IO, dir);
    assert_int_equal(s.fd, -1);

    assert_int_equal(spill_open(&s, dir, SIZE, &e), 0);
    assert_int_equal(spill_put(&s, 0, buf, SIZE, &e), 0);
    assert_int_equal(ftruncate(s.fd, (off_t)SIZE / 2), 0);
    assert_int_equal(spill_get(&s, 0, buf, SIZE, &e), ERR_IO);
    check_says(&e, ERR_IO, "only 1572864 of 3145728 bytes are there");

    close(s.fd);
    s.fd = open("/dev/full", O_RDWR | O_CLOEXEC);
    assert_true(s.fd >= 0);
    assert_int_equal(spill_put(&s, 0, buf, SIZE, &e), ERR_IO);
    check_says(&e, ERR_IO, "No space left on device");

    close(s.fd);
    s.fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC); /* nothing is mapped at 0 */
    assert_true(s.fd >= 0);
    assert_int_equal(spill_get(&s, 0, buf, SIZE, &e), ERR_IO);
    check_says(&e, ERR_IO, "cannot be read back: Input/output error");
    spill_close(&s);
    assert_int_equal(names_in(dir), 0);
    free(buf);
    check_dir_done(dir);
}

static void test_a_dry_run_looks_at_nothing(void **state)
{
    (void)state;
    Err   e = { 0 };
    Spill s = { .fd = SPILL_DRY };
    assert_int_equal(spill_put(&s, 1 << 20, (void *)8, 1 << 20, &e), 0);
    assert_int_equal(spill_get(&s, 1 << 20, (void *)8, 1 << 20, &e), 0);
    spill_expect(&s, 0, 1 << 20);
}

static void test_measuring(void **state)
{
    (void)state;
    char  *dir = check_dir();
    double put, get;
    spill_measure(dir, SIZE, &put, &get);
    assert_true(put > 0 && put < 60 && get > 0 && get < 60);
    assert_int_equal(names_in(dir), 0);
    assert_false(spill_in_memory("/proc"));
    check_dir_done(dir);
}

/* A device's numbers: the same in memory, which can be reached directly; what the system cannot give is told. */
static void test_memory(void **state)
{
    (void)state;
    uint32_t a[64], b[64];
    Err      e = { 0 };
    Spill    s;
    for (uint32_t i = 0; i < 64; i++)
        a[i] = i * 2654435761u;
    assert_int_equal(spill_open_memory(&s, SIZE, &e), 0);
    assert_int_equal(spill_put(&s, SIZE - sizeof a, a, sizeof a, &e), 0);
    spill_expect(&s, 0, SIZE);
    assert_memory_equal(spill_place(&s, SIZE - sizeof a, sizeof a), a, sizeof a);
    assert_int_equal(spill_get(&s, SIZE - sizeof a, b, sizeof b, &e), 0);
    assert_memory_equal(a, b, sizeof a);
    spill_close(&s);
    spill_close(&s);
    assert_int_equal(spill_open_memory(&s, (uint64_t)1 << 60, &e), ERR_MEM);
    check_says(&e, ERR_MEM, "to put numbers aside");
    spill_close(&s);
    assert_int_equal(spill_open_memory(&s, 0, &e), 0);
    assert_null(spill_place(&s, 0, 0));
    spill_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_what_is_put_comes_back),
        cmocka_unit_test(test_disks_that_fail),
        cmocka_unit_test(test_a_dry_run_looks_at_nothing),
        cmocka_unit_test(test_measuring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
