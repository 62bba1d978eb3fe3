/* mem.h - small allocations that cannot fail: out of memory stops the program with one line. Large blocks (weights, caches, batches) are
 * asked for through a Backend and fail with an Err. All results are freed with free(). */
#ifndef HONE_MEM_H
#define HONE_MEM_H

#include "base/base.h"

void *mem_alloc(size_t nbytes);                   /* uninitialised */
void *mem_zalloc(size_t count, size_t size);      /* zeroed; count * size checked for overflow */
void *mem_realloc(void *p, size_t count, size_t size);
/* From now on large blocks go back to the system when they are freed, so that what the process holds is what it uses; and those freed before. */
void  mem_give_back(void);
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t n);

#endif
