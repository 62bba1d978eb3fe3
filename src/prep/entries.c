/* entries.c - what is remembered of the rows once all are read: their entries in work/index.bin, a window of which is in memory (view.h), and the byte of each
 * that later stages change. */
#include "prep/prep_int.h"

#include <stdlib.h>

#include "base/mem.h"

int entries_open(Entries *r, const char *path, Err *e)
{
    int rc = view_open(&r->index, path, e);
    if (!rc && r->index.map.n != r->n * sizeof(RowEntry))
        rc = err_set(e, ERR_INPUT, "%s has %zu bytes, and the entries of %zu rows were written to it; it was changed or cut: remove the folder and start anew", path, r->index.map.n,
                     r->n);
    r->fate = mem_alloc(r->n + 1);
    for (size_t i = 0; i < r->n && !rc; i++) {
        const RowEntry *x = entries_at(r, i);
        entries_put(r, i, (Part)x->part, x->why);
    }
    return rc;
}

const RowEntry *entries_at(const Entries *r, size_t i)
{
    return view_at(&r->index, (uint64_t)i * sizeof(RowEntry), sizeof(RowEntry));
}

void entries_close(Entries *r)
{
    view_close(&r->index);
    free(r->fate);
    *r = (Entries){ 0 };
}
