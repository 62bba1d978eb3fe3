/* err.c - the one error value, and the end of the program when a promise of our own is broken.
 * Invariant: `text` is always terminated, valid as UTF-8 up to its end when the arguments were, and complete: a longer sentence is cut at a
 * character boundary and ends in "...". A sentence may be built from the Err it replaces (err_set(e, c, "%s", e->text)), so text is
 * formatted beside the target first.
 * To add a code: a row in ErrCode (err.h) and, when it does not exit with 1, a case in err_exit_status. */
#include "base/err.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bug_stop(const char *what, const char *file, int line)
{
    fprintf(stderr, "hone: a bug in this program: %s must not hold (%s:%d); please report it\n", what, file, line);
    abort();
}

/* Stores head + tail (either may be empty) in e->text, cutting the end when it does not fit. */
static void err_store(Err *e, int code, const char *head, const char *tail)
{
    char text[2 * sizeof e->text];
    size_t nh = strnlen(head, sizeof e->text), nt = strnlen(tail, sizeof e->text - 1);
    memcpy(text, head, nh);
    memcpy(text + nh, tail, nt);
    size_t n = nh + nt;
    if (n >= sizeof e->text) {
        n = utf8_complete(text, sizeof e->text - sizeof "...");
        memcpy(text + n, "...", 3);
        n += 3;
    }
    memcpy(e->text, text, n);
    e->text[n] = '\0';
    e->code = code;
}

/* vsnprintf cuts at a byte; the buffers are twice the size of Err.text, so err_store always sees the overflow and cuts at a character. */
#define ERR_FORMAT(buf, fmt)                      \
    do {                                          \
        va_list ap_;                              \
        va_start(ap_, fmt);                       \
        vsnprintf((buf), sizeof(buf), (fmt), ap_); \
        va_end(ap_);                              \
    } while (0)

int err_set(Err *e, int code, const char *fmt, ...)
{
    char text[2 * sizeof e->text];
    if (e) {
        ERR_FORMAT(text, fmt);
        err_store(e, code, text, "");
    }
    return code;
}

int err_sys(Err *e, const char *fmt, ...)
{
    int number = errno;
    char text[2 * sizeof e->text], why[128];
    if (e) {
        ERR_FORMAT(text, fmt);
        snprintf(why, sizeof why, ": %s", strerrordesc_np(number) ? strerrordesc_np(number) : "unknown system error");
        err_store(e, ERR_IO, text, why);
    }
    errno = number;
    return ERR_IO;
}

int err_wrap(Err *e, const char *fmt, ...)
{
    char text[2 * sizeof e->text], tail[sizeof e->text + 2];
    if (!e)
        return ERR_WORK;
    ERR_FORMAT(text, fmt);
    snprintf(tail, sizeof tail, ": %s", e->text);
    err_store(e, e->code, text, tail);
    return e->code;
}

int err_exit_status(int code)
{
    switch (code) {
    case ERR_NONE:  return 0;
    case ERR_ARG:
    case ERR_INPUT: return 2;
    case ERR_DEVICE: return 3;
    default:        return 1;
    }
}
