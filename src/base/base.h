/* base.h - what every file starts with: integer names, small macros, the assertion that never vanishes. */
#ifndef HONE_BASE_H
#define HONE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

/* A broken promise between two parts of this program: stop with the place. Never for input, files or devices (those are an Err). */
#define BUG_ON(cond) ((cond) ? bug_stop(#cond, __FILE__, __LINE__) : (void)0)
__attribute__((noreturn)) void bug_stop(const char *what, const char *file, int line); /* so written that CUDA C reads it as well */

#endif
