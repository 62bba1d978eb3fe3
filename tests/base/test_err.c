/* test_err.c - sentences: set, wrapped, cut at a character; and the two ways the program stops. */
#include "base/check.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <errno.h>
#include <signal.h>

static void test_set_and_wrap(void **state)
{
    (void)state;
    Err e;
    assert_int_equal(err_set(&e, ERR_INPUT, "%d rows, expected %d", 3, 4), ERR_INPUT);
    check_says(&e, ERR_INPUT, "3 rows, expected 4");
    assert_int_equal(err_wrap(&e, "part %s", "a.bin"), ERR_INPUT);
    assert_string_equal(e.text, "part a.bin: 3 rows, expected 4");
    assert_int_equal(err_set(&e, ERR_WORK, "again: %s", e.text), ERR_WORK); /* from its own text */
    assert_string_equal(e.text, "again: part a.bin: 3 rows, expected 4");
    assert_int_equal(err_set(NULL, ERR_MEM, "nobody listens"), ERR_MEM);
    assert_int_equal(err_wrap(NULL, "nobody"), ERR_WORK);
}

static void test_sys(void **state)
{
    (void)state;
    Err e;
    errno = ENOSPC;
    assert_int_equal(err_sys(&e, "writing %s", "x"), ERR_IO);
    assert_string_equal(e.text, "writing x: No space left on device");
    assert_int_equal(errno, ENOSPC);
}

static void test_cut(void **state)
{
    (void)state;
    Err e;
    char text[3001];
    for (size_t shift = 0; shift < 4; shift++) {
        memset(text, 'a', shift);
        for (size_t i = shift; i + 3 < sizeof text; i += 3)
            memcpy(text + i, "\xE2\x82\xAC", 4); /* euro signs */
        err_set(&e, ERR_WORK, "%s", text);
        size_t n = strlen(e.text);
        assert_true(n < sizeof e.text && n + 4 >= sizeof e.text - 3);
        assert_string_equal(e.text + n - 3, "...");
        assert_true(utf8_valid(str_of(e.text), NULL));
        err_wrap(&e, "%s", text); /* a head that leaves no room */
        assert_true(utf8_valid(str_of(e.text), NULL) && strlen(e.text) < sizeof e.text);
    }
    text[sizeof e.text - 1] = '\0';
    memset(text, 'b', sizeof e.text - 1);
    err_set(&e, ERR_WORK, "%s", text); /* just fits */
    assert_string_equal(e.text, text);
}

static void test_exit_status(void **state)
{
    (void)state;
    assert_int_equal(err_exit_status(0), 0);
    assert_int_equal(err_exit_status(ERR_ARG), 2);
    assert_int_equal(err_exit_status(ERR_INPUT), 2);
    assert_int_equal(err_exit_status(ERR_IO), 1);
    assert_int_equal(err_exit_status(ERR_STOP), 1);
}

static void break_promise(void)
{
    BUG_ON(1 + 1 == 2);
}

static void overflow_product(void)
{
    volatile size_t half = SIZE_MAX / 2;
    free(mem_realloc(NULL, half, 4));
}

static void test_stops(void **state)
{
    (void)state;
    int status = check_child(break_promise);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    status = check_child(overflow_product);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

static void test_mem(void **state)
{
    (void)state;
    char *p = mem_alloc(0), *q = mem_zalloc(0, 8), *s = mem_strndup("abc", 2), *t = mem_strndup("abc", 9);
    assert_non_null(p);
    assert_non_null(q);
    assert_string_equal(s, "ab");
    assert_string_equal(t, "abc");
    free(p), free(q), free(s), free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_and_wrap), cmocka_unit_test(test_sys),   cmocka_unit_test(test_cut),
        cmocka_unit_test(test_exit_status),  cmocka_unit_test(test_stops), cmocka_unit_test(test_mem),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
