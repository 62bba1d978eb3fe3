/* arena.h - bump allocation by lifetime on the host. No single frees: mark and rewind, or release the whole.
 * Chunks grow by doubling and are kept across rewinds, so a loop that rewinds stops allocating after its first turn. */
#ifndef HONE_ARENA_H
#define HONE_ARENA_H

#include "base/base.h"

typedef struct ArenaChunk ArenaChunk;
typedef struct Arena {
    ArenaChunk *first, *cur;
    size_t      used;  /* bytes in use, all chunks */
    size_t      high;  /* high-water mark of used */
} Arena; /* a zeroed struct is a valid empty arena */

typedef struct ArenaMark { ArenaChunk *chunk; size_t off, used; } ArenaMark;

void     *arena_alloc(Arena *a, size_t nbytes);            /* 64-byte aligned, uninitialised */
void     *arena_zalloc(Arena *a, size_t count, size_t size);
char     *arena_strdup(Arena *a, const char *s);
char     *arena_printf(Arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
ArenaMark arena_mark(const Arena *a);
void      arena_rewind(Arena *a, ArenaMark m);
void      arena_release(Arena *a);

#endif
