/* check.h - what cmocka tests of every room share: its includes in the order it needs, a scratch folder, and a child process for code
 * that must end the program. */
#ifndef HONE_TESTS_CHECK_H
#define HONE_TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The error's sentence must contain `part`; the whole sentence is printed when it does not. */
static inline void check_says(const Err *e, int code, const char *part)
{
    if (e->code != code || !strstr(e->text, part))
        fail_msg("expected code %d and \"%s\", got code %d and \"%s\"", code, part, e->code, e->text);
}

/* The whole of DIR/NAME; to be freed. */
static inline char *check_read(const char *dir, const char *name)
{
    char  *path = path_join(dir, name), *text;
    size_t n;
    Err    e;
    if (file_read_text(path, &text, &n, &e))
        fail_msg("%s", e.text);
    free(path);
    return text;
}

static inline void check_text(const char *got, const char *want)
{
    assert_non_null(got);
    assert_string_equal(got, want);
}

/* An empty folder of this test's own; free it with check_dir_done. */
static inline char *check_dir(void)
{
    const char *base = getenv("TMPDIR");
    char *dir = path_join(base && *base ? base : "/tmp", "hone-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    return dir;
}

static inline void check_dir_done(char *dir)
{
    Err e;
    if (dir_remove(dir, &e))
        fail_msg("%s", e.text);
    free(dir);
}

static inline void check_file_is(const char *path, const char *want)
{
    Err e;
    char *text;
    size_t n;
    if (file_read_text(path, &text, &n, &e))
        fail_msg("%s", e.text);
    assert_string_equal(text, want);
    free(text);
}

/* The wait status of a child that runs fn with standard error closed. */
static inline int check_child(void (*fn)(void))
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY);
        dup2(null, 2);
        fn();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

#endif
