/* arena.c - bump allocation in a chain of chunks.
 * Invariants: chunks up to and including `cur` hold live blocks, the ones behind it are empty and wait to be used again; `cur` is NULL only
 * before the first allocation; `used` counts whole aligned blocks. A chunk is at least twice as large as the one before it, so a growing
 * arena asks the system O(log n) times. Under the address sanitizer everything that is not handed out is poisoned, so that a block used
 * after its rewind is reported like a use after free. */
#include "base/arena.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISON 1
#endif
#endif
#ifdef ARENA_POISON
#include <sanitizer/asan_interface.h>
#define arena_hide(p, n) __asan_poison_memory_region((p), (n))
#define arena_show(p, n) __asan_unpoison_memory_region((p), (n))
#else
#define arena_hide(p, n) ((void)(p), (void)(n))
#define arena_show(p, n) ((void)(p), (void)(n))
#endif

#define ARENA_ALIGN ((size_t)64)
#define ARENA_FIRST ((size_t)64 << 10) /* bytes of the first chunk */

struct ArenaChunk {
    ArenaChunk *next;
    char       *data; /* the first aligned byte behind this header */
    size_t      off, cap;
};

static ArenaChunk *chunk_new(size_t cap)
{
    ArenaChunk *c = mem_alloc(sizeof *c + ARENA_ALIGN + cap);
    uintptr_t past = (uintptr_t)(c + 1);
    c->next = NULL;
    c->data = (char *)(c + 1) + ((ARENA_ALIGN - past % ARENA_ALIGN) % ARENA_ALIGN);
    c->off = 0;
    c->cap = cap;
    arena_hide(c->data, cap);
    return c;
}

/* Steps to the next chunk with room for n bytes; smaller ones on the way stay empty until the next rewind. */
static void arena_step(Arena *a, size_t n)
{
    ArenaChunk *last = a->cur;
    for (ArenaChunk *c = last ? last->next : a->first; c; last = c, c = c->next) {
        c->off = 0;
        if (c->cap >= n) {
            a->cur = c;
            return;
        }
    }
    ArenaChunk *c = chunk_new(MAX(n, last ? 2 * last->cap : ARENA_FIRST));
    if (last)
        last->next = c;
    else
        a->first = c;
    a->cur = c;
}

void *arena_alloc(Arena *a, size_t nbytes)
{
    if (nbytes > SIZE_MAX / 4) /* so large that the sums below could wrap: let the allocator refuse it with its message */
        return mem_alloc(nbytes);
    size_t n = (nbytes + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    if (n == 0)
        n = ARENA_ALIGN;
    if (!a->cur || a->cur->cap - a->cur->off < n)
        arena_step(a, n);
    char *p = a->cur->data + a->cur->off;
    a->cur->off += n;
    a->used += n;
    a->high = MAX(a->high, a->used);
    arena_show(p, nbytes);
    return p;
}

void *arena_zalloc(Arena *a, size_t count, size_t size)
{
    size_t n;
    if (__builtin_mul_overflow(count, size, &n))
        n = SIZE_MAX;
    return memset(arena_alloc(a, n), 0, n);
}

char *arena_strdup(Arena *a, const char *s)
{
    size_t n = strlen(s) + 1;
    return memcpy(arena_alloc(a, n), s, n);
}

char *arena_printf(Arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    BUG_ON(n < 0);
    char *text = arena_alloc(a, (size_t)n + 1);
    vsnprintf(text, (size_t)n + 1, fmt, again);
    va_end(again);
    return text;
}

ArenaMark arena_mark(const Arena *a)
{
    return (ArenaMark){ a->cur, a->cur ? a->cur->off : 0, a->used };
}

void arena_rewind(Arena *a, ArenaMark m)
{
    BUG_ON(m.used > a->used);
    a->cur = m.chunk ? m.chunk : a->first; /* a mark from before the first allocation means the start of the first chunk */
    if (a->cur) {
        BUG_ON(m.off > a->cur->cap);
        a->cur->off = m.off;
        arena_hide(a->cur->data + m.off, a->cur->cap - m.off);
        for (ArenaChunk *c = a->cur->next; c; c = c->next)
            arena_hide(c->data, c->cap);
    }
    a->used = m.used;
}

void arena_release(Arena *a)
{
    for (ArenaChunk *c = a->first, *next; c; c = next) {
        next = c->next;
        arena_show(c->data, c->cap);
        free(c);
    }
    *a = (Arena){ 0 };
}
