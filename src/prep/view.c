/* view.c - see view.h. The ring is shared by all threads without a lock: whoever still reads a window that another thread lets go has it come back, at the price of
 * one page fault. Such a window is in the ring no more, so now and then everything goes; that walks the page tables of the whole file, which is why it is
 * not done each time. Windows are counted in address space, from 0, since that is how the system aligns what it brings in. */
#include "prep/view.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/mem.h"

#define SWEEP ((size_t)1 << 10) /* windows */

struct ViewRing {
    _Atomic uintptr_t last;               /* the window that was touched just now: most reads follow one another */
    _Atomic size_t    next;
    _Atomic uintptr_t window[VIEW_KEPT];  /* 0: none */
};

int view_open(View *v, const char *path, Err *e)
{
    *v = (View){ 0 };
    const int rc = file_map(&v->map, path, e);
    if (!rc)
        v->ring = mem_zalloc(1, sizeof *v->ring);
    return rc;
}

void view_close(View *v)
{
    file_unmap(&v->map);
    free(v->ring);
    *v = (View){ 0 };
}

static void forget(const View *v, uintptr_t window)
{
    const uintptr_t from = MAX(window * VIEW_WINDOW, (uintptr_t)v->map.p), to = MIN((window + 1) * VIEW_WINDOW, (uintptr_t)v->map.p + v->map.n);
    file_forget((const void *)from, to - from);
}

static void touch(const View *v, uintptr_t window)
{
    if (atomic_load_explicit(&v->ring->last, memory_order_relaxed) == window)
        return;
    atomic_store_explicit(&v->ring->last, window, memory_order_relaxed);
    const size_t    n = atomic_fetch_add_explicit(&v->ring->next, 1, memory_order_relaxed);
    const uintptr_t old = atomic_exchange_explicit(&v->ring->window[n % VIEW_KEPT], window, memory_order_relaxed);
    if (n % SWEEP == SWEEP - 1)
        file_forget(v->map.p, v->map.n);
    else if (old && old != window)
        forget(v, old);
}

const void *view_at(const View *v, uint64_t off, size_t n)
{
    BUG_ON(off > v->map.n || n > v->map.n - off);
    const uintptr_t from = (uintptr_t)v->map.p + off;
    for (uintptr_t w = from / VIEW_WINDOW; n && w <= (from + n - 1) / VIEW_WINDOW; w++)
        touch(v, w);
    return n ? v->map.p + off : NULL;
}
