/* test_log.c - levels, sinks and safe lines; the clocks; the polite Ctrl-C. */
#include "base/check.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "base/term.h"
#include "base/utf8.h"

#include <signal.h>
#include <stdio.h>

static void gather(void *user, LogLevel level, const char *room, const char *text)
{
    strbuf_addf(user, "%d %s %s\n", level, room, text);
}

static void test_log(void **state)
{
    (void)state;
    StrBuf a = { 0 }, b = { 0 };
    log_stderr(false);
    log_sink_add(gather, &a);
    log_sink_add(gather, &b);
    log_debug("x", "not shown");
    log_info("train", "step %d", 3);
    log_sink_remove(gather, &b);
    log_warn("data", "a\nb\x1B[31m\tc \xC3\xA4");
    log_level(LOG_ERROR);
    log_warn("x", "not shown");
    log_error("x", "shown");
    log_level(LOG_DEBUG);
    log_debug("x", "shown");
    assert_string_equal(strbuf_z(&b), "1 train step 3\n");
    assert_string_equal(strbuf_z(&a), "1 train step 3\n2 data a b [31m c \xC3\xA4\n3 x shown\n0 x shown\n");
    strbuf_clear(&a);
    char text[6001];
    for (size_t i = 0; i < 6000; i += 3)
        memcpy(text + i, "\xE2\x82\xAC", 4);
    log_info("x", "%s", text); /* cut at a character */
    assert_true(a.n > 2000 && a.n < 2100 && utf8_valid(strbuf_str(&a), NULL));
    log_sink_remove(gather, &a);
    log_info("x", "nobody");
    log_level(LOG_INFO);
    log_stderr(true);
    strbuf_release(&a);
    strbuf_release(&b);
}

static void test_clock(void **state)
{
    (void)state;
    double a = clock_seconds(), b = clock_seconds();
    char text[32];
    int v[6];
    char z;
    assert_true(b >= a);
    clock_iso8601(text);
    assert_int_equal(sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%c", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &z), 7);
    assert_true(strlen(text) == 20 && z == 'Z' && v[0] >= 2024 && v[1] >= 1 && v[1] <= 12);
}

static void stop_once(void)
{
    term_catch_stop();
    if (term_stop_asked())
        _exit(1);
    raise(SIGINT);
    _exit(term_stop_asked() ? 42 : 2);
}

static void stop_twice(void)
{
    term_catch_stop();
    raise(SIGTERM);
    raise(SIGINT);
    _exit(3);
}

static void test_stop(void **state)
{
    (void)state;
    int status = check_child(stop_once);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
    status = check_child(stop_twice);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
}

static void test_terminal(void **state)
{
    (void)state;
    int null = open("/dev/null", O_RDWR), pty = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    assert_false(term_is_tty(null) || term_colour(null) || term_is_tty(-1));
    assert_int_equal(term_width(null), 80);
    if (pty >= 0) {
        unsetenv("NO_COLOR");
        setenv("TERM", "xterm", 1);
        assert_true(term_is_tty(pty) && term_colour(pty));
        setenv("TERM", "dumb", 1);
        assert_false(term_colour(pty));
        setenv("TERM", "xterm", 1);
        setenv("NO_COLOR", "1", 1);
        assert_false(term_colour(pty));
        close(pty);
    }
    close(null);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_log), cmocka_unit_test(test_clock), cmocka_unit_test(test_stop),
                                        cmocka_unit_test(test_terminal) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
