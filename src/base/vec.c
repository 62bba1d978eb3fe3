/* vec.c - the one function behind the macros of vec.h.
 * Invariant: after it, element n exists and is zeroed; capacity doubles, so pushing is O(1) on average. */
#include "base/vec.h"

#include <string.h>

void *vec_grow_(void *p, size_t size, size_t n, size_t *cap)
{
    if (n >= *cap) {
        size_t more = MAX(*cap * 2, (size_t)8);
        p = mem_realloc(p, more, size);
        *cap = more;
    }
    memset((char *)p + n * size, 0, size);
    return p;
}
