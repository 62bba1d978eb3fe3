/* mem.c - malloc that never returns NULL. Small allocations have no sensible recovery: the program says how much it asked for and stops.
 * Invariant: a size of zero still yields a pointer of its own, so NULL never means "empty" by accident. Products are checked for overflow. */
#include "base/mem.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void mem_stop(size_t count, size_t size)
{
    fprintf(stderr, "hone: out of memory: %zu x %zu bytes were refused by the system\n", count, size);
    exit(1);
}

void *mem_realloc(void *p, size_t count, size_t size)
{
    size_t nbytes;
    if (__builtin_mul_overflow(count, size, &nbytes))
        mem_stop(count, size);
    p = realloc(p, nbytes ? nbytes : 1);
    if (!p)
        mem_stop(count, size);
    return p;
}

void *mem_alloc(size_t nbytes)
{
    return mem_realloc(NULL, nbytes, 1);
}

void *mem_zalloc(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size ? size : 1);
    if (!p)
        mem_stop(count, size);
    return p;
}

/* glibc raises its limits by what it sees freed, and would keep tens of megabytes. */
void mem_give_back(void)
{
    mallopt(M_MMAP_THRESHOLD, 128 << 10);
    mallopt(M_TRIM_THRESHOLD, 128 << 10);
    malloc_trim(0);
}

char *mem_strndup(const char *s, size_t n)
{
    n = strnlen(s, n);
    char *copy = mem_alloc(n + 1);
    memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}

char *mem_strdup(const char *s)
{
    return mem_strndup(s, strlen(s));
}
