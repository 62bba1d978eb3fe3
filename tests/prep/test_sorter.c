/* test_sorter.c - records against the C library's sort of all of them at once, with memory for all, for few and for hardly any; a full disk; files that go. */
#include "base/check.h"

#include "base/file_test.h"
#include "base/mem.h"
#include "base/rng.h"
#include "prep/sorter.h"

typedef struct Pair { uint64_t key; uint32_t row; } Pair;

static int by_key(const void *a, const void *b)
{
    const Pair *x = a, *y = b;
    return x->key != y->key ? (x->key < y->key ? -1 : 1) : (x->row > y->row) - (x->row < y->row);
}

/* n pairs, of which many have the same key. */
static Pair *pairs_of(size_t n)
{
    Rng   r = rng_at(n, RNG_TEST, 2, 0);
    Pair *p = mem_zalloc(n + 1, sizeof *p);
    for (size_t i = 0; i < n; i++)
        p[i] = (Pair){ rng_below(&r, n / 3 + 1) << 40, (uint32_t)i };
    return p;
}

static size_t files_in(const char *dir)
{
    FileList list;
    assert_int_equal(file_list(&list, dir, NULL), 0);
    const size_t n = list.n;
    file_list_release(&list);
    return n;
}

static void test_order(void **state)
{
    (void)state;
    static const size_t count[] = { 0, 1, 2, 3, 63, 64, 65, 1000, 50000 }, bytes[] = { 1, 100, 1600, 100000, 0 };
    char *dir = check_dir(), *path = path_join(dir, "sort");
    for (size_t k = 0; k < ARRAY_LEN(count); k++)
        for (size_t b = 0; b < ARRAY_LEN(bytes); b++) {
            const size_t n = count[k];
            Err     e = { 0 };
            Pair   *want = pairs_of(n);
            Sorter *s = sorter_new(path, sizeof(Pair), by_key, bytes[b]);
            for (size_t i = 0; i < n; i++)
                if (sorter_add(s, &want[i], &e))
                    fail_msg("%s", e.text);
            if (sorter_end(s, &e))
                fail_msg("%s", e.text);
            qsort(want, n, sizeof *want, by_key);
            assert_int_equal(sorter_count(s), n);
            for (size_t i = 0; i < n; i++)
                assert_memory_equal(sorter_at(s, i), &want[i], sizeof *want);
            for (size_t i = n; i-- > 0;) /* in any order */
                assert_int_equal(((const Pair *)sorter_at(s, i))->row, want[i].row);
            assert_int_equal(files_in(dir), bytes[b] && n * sizeof(Pair) > MAX(bytes[b], 2 * sizeof(Pair)) ? 1 : 0); /* the runs are gone, or there were none */
            sorter_free(s);
            assert_int_equal(files_in(dir), 0);
            free(want);
        }
    sorter_free(NULL);
    free(path);
    check_dir_done(dir);
}

/* Wherever the disk is full, in a run or in the merged file, it is one sentence, and nothing is left. */
static void test_full_disk(void **state)
{
    (void)state;
    enum { ROWS = 3000 };
    char *dir = check_dir(), *path = path_join(dir, "sort");
    Pair *all = pairs_of(ROWS);
    for (int64_t room = 0; room < 2 * ROWS * (int64_t)sizeof(Pair); room += 5000) {
        Err     e = { 0 };
        Sorter *s = sorter_new(path, sizeof(Pair), by_key, 10000);
        int     rc = 0;
        file_test_fail_after(room);
        for (size_t i = 0; i < ROWS && !rc; i++)
            rc = sorter_add(s, &all[i], &e);
        rc = rc ? rc : sorter_end(s, &e);
        file_test_fail_after(-1);
        assert_int_equal(rc, ERR_IO);
        check_says(&e, ERR_IO, "cannot write it: the disk is full; free some space and run again");
        sorter_free(s);
        assert_int_equal(files_in(dir), 0);
    }
    free(all);
    free(path);
    check_dir_done(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_order), cmocka_unit_test(test_full_disk) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
