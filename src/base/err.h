/* err.h - one error, one complete sentence for a person: what, where, what was expected, what to do.
 * Functions that can fail on input return 0 or a negative ErrCode and fill the caller's Err once, near the cause; callers add context
 * with err_wrap ("FILE: " + sentence) and pass the code on. The code decides the exit status: see err_exit_status. */
#ifndef HONE_ERR_H
#define HONE_ERR_H

#include "base/base.h"

typedef enum {
    ERR_NONE  = 0,
    ERR_ARG   = -1, /* wrong command line or recipe            -> exit 2 */
    ERR_INPUT = -2, /* a file of the user's is wrong           -> exit 2 */
    ERR_IO    = -3, /* the system refused: disk full, no right -> exit 1 */
    ERR_MEM   = -4, /* a large buffer does not fit             -> exit 1 */
    ERR_WORK  = -5, /* the work itself failed: NaN, no samples -> exit 1 */
    ERR_STOP  = -6, /* stopped on the user's wish (Ctrl-C)     -> exit 1 */
    ERR_DEVICE = -7, /* the device that computes has failed    -> exit 3: the same command may be given again */
} ErrCode;

typedef struct Err {
    int  code;
    char text[1024]; /* UTF-8; cut at a character boundary with "..." when longer */
} Err;

int err_set(Err *e, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);  /* returns code; e may be NULL */
int err_sys(Err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);            /* ERR_IO, the text plus ": " and strerror(errno) */
int err_wrap(Err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);           /* puts "text: " before the sentence; returns e->code */
int err_exit_status(int code);                                          /* 0, 1, 2 or 3 */

#endif
