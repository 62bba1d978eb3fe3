/* sets.c - disjoint sets of row indices (Tarjan 1975, with path halving). The smallest index stands for its set, so results do not depend on the
 * order of the joins. */
#include "prep/prep_int.h"

#include <stdlib.h>

#include "base/mem.h"

void sets_init(Sets *s, size_t n)
{
    BUG_ON(n > UINT32_MAX);
    if (s->up)
        return;
    *s = (Sets){ mem_alloc((n + 1) * sizeof *s->up), n };
    for (size_t i = 0; i < n; i++)
        s->up[i] = (uint32_t)i;
}

uint32_t sets_find(Sets *s, uint32_t i)
{
    while (s->up[i] != i) {
        s->up[i] = s->up[s->up[i]];
        i = s->up[i];
    }
    return i;
}

void sets_join(Sets *s, uint32_t a, uint32_t b)
{
    a = sets_find(s, a);
    b = sets_find(s, b);
    if (a < b)
        s->up[b] = a;
    else
        s->up[a] = b;
}

void sets_release(Sets *s)
{
    free(s->up);
    *s = (Sets){ 0 };
}
