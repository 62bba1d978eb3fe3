/* dedupe_sort.c - radix sort of (key << 32 | row), eight bits a turn, from the lowest byte of the key. Each of up to PARTS stretches counts its own
 * bytes, and one walk over the counts tells every stretch where its entries of every byte go: so the order is stable, the same for any number of threads. */
#include "prep/dedupe_int.h"

#include <stdlib.h>

#define PARTS 64
#define PART_MIN ((size_t)1 << 14) /* entries that are worth a piece of work */

typedef struct Turn {
    const uint64_t *from;
    uint64_t *to;
    size_t    n, parts;
    int       shift;
    size_t  (*at)[256]; /* [parts] counts, then places */
} Turn;

static void turn_count(void *ctx, int64_t part, int worker)
{
    (void)worker;
    const Turn *t = ctx;
    size_t *at = t->at[part];
    memset(at, 0, sizeof t->at[0]);
    for (size_t i = t->n * (size_t)part / t->parts, end = t->n * ((size_t)part + 1) / t->parts; i < end; i++)
        at[t->from[i] >> t->shift & 255]++;
}

static void turn_move(void *ctx, int64_t part, int worker)
{
    (void)worker;
    const Turn *t = ctx;
    size_t *at = t->at[part];
    for (size_t i = t->n * (size_t)part / t->parts, end = t->n * ((size_t)part + 1) / t->parts; i < end; i++)
        t->to[at[t->from[i] >> t->shift & 255]++] = t->from[i];
}

void dedupe_sort(uint64_t *v, uint64_t *tmp, size_t n, Pool *pool)
{
    Turn t = { .from = v, .to = tmp, .n = n, .parts = MIN(MAX(n / PART_MIN, (size_t)1), (size_t)PARTS) };
    t.at = mem_alloc(t.parts * sizeof *t.at);
    for (t.shift = 32; t.shift < 64; t.shift += 8) { /* four turns: the result is back in v */
        parallel_for(pool, (int64_t)t.parts, turn_count, &t);
        size_t place = 0;
        for (size_t byte = 0; byte < 256; byte++)
            for (size_t p = 0; p < t.parts; p++) {
                const size_t count = t.at[p][byte];
                t.at[p][byte] = place;
                place += count;
            }
        parallel_for(pool, (int64_t)t.parts, turn_move, &t);
        uint64_t *was = t.to;
        t.to = t.from == v ? v : tmp;
        t.from = was;
    }
    free(t.at);
}
