/* dat.c - a trie of texts as a double array: the child of node u by byte c is unit u.base ^ c, if that unit's check is u. One step is one look.
 *
 * Built breadth first from the sorted texts. Children of a node stay inside one block of 256 units; a base is sought among the free units of
 * the newest blocks only, so that building is linear whatever the texts are.
 *
 * Invariants: unit 0 is the root and nobody's child; the array is a whole number of blocks, so base ^ c always lies in it. */
#include <stdlib.h>

#include "tokenizer/tok_int.h"

#define DAT_BLOCK 256u
#define DAT_OPEN  8u /* newest blocks that are searched for room */

typedef struct DatKey { Str text; int32_t id; } DatKey;
typedef struct DatNode { uint32_t unit; size_t lo, hi, depth; } DatNode; /* keys lo..hi share their first `depth` bytes, which lead to unit */

typedef struct DatBuild {
    Dat     *d;
    DatKey  *keys;
    bool    *taken;      /* [n] */
    uint32_t cap;
    VEC(DatNode) queue;
} DatBuild;

static int key_order(const void *a, const void *b)
{
    const DatKey *x = a, *y = b;
    size_t n = MIN(x->text.n, y->text.n);
    int c = n ? memcmp(x->text.p, y->text.p, n) : 0;
    if (c || x->text.n != y->text.n)
        return c ? c : x->text.n < y->text.n ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static void add_block(DatBuild *b)
{
    if (b->d->n + DAT_BLOCK > b->cap) {
        b->cap = b->cap ? 2 * b->cap : 16 * DAT_BLOCK;
        b->d->units = mem_realloc(b->d->units, b->cap, sizeof *b->d->units);
        b->taken = mem_realloc(b->taken, b->cap, sizeof *b->taken);
    }
    for (uint32_t i = 0; i < DAT_BLOCK; i++, b->d->n++) {
        b->d->units[b->d->n] = (DatUnit){ 0, UINT32_MAX, -1 };
        b->taken[b->d->n] = false;
    }
}

static bool fits(const DatBuild *b, uint32_t base, const unsigned char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (b->taken[base ^ bytes[i]])
            return false;
    return true;
}

static uint32_t find_base(DatBuild *b, const unsigned char *bytes, size_t n)
{
    uint32_t from = b->d->n > DAT_OPEN * DAT_BLOCK ? b->d->n - DAT_OPEN * DAT_BLOCK : 0;
    for (uint32_t u = from; u < b->d->n; u++)
        if (!b->taken[u] && fits(b, u ^ bytes[0], bytes, n))
            return u ^ bytes[0];
    add_block(b);
    return (b->d->n - DAT_BLOCK) ^ bytes[0];
}

static void place(DatBuild *b, DatNode node)
{
    unsigned char bytes[256];
    size_t start[257], n = 0, i = node.lo;
    for (; i < node.hi && b->keys[i].text.n == node.depth; i++) /* equal texts: the last one counts */
        b->d->units[node.unit].id = b->keys[i].id;
    for (; i < node.hi; i++) {
        unsigned char c = (unsigned char)b->keys[i].text.p[node.depth];
        if (n && bytes[n - 1] == c)
            continue;
        bytes[n] = c;
        start[n++] = i;
    }
    if (!n)
        return;
    start[n] = node.hi;
    uint32_t base = find_base(b, bytes, n);
    b->d->units[node.unit].base = base;
    for (size_t k = 0; k < n; k++) {
        uint32_t child = base ^ bytes[k];
        b->taken[child] = true;
        b->d->units[child].check = node.unit;
        *vec_push(&b->queue) = (DatNode){ child, start[k], start[k + 1], node.depth + 1 };
    }
}

void dat_build(Dat *d, const Str *texts, const int32_t *ids, size_t n)
{
    DatBuild b = { .d = d };
    size_t kept = 0;
    *d = (Dat){ 0 };
    b.keys = mem_alloc((n + 1) * sizeof *b.keys);
    for (size_t i = 0; i < n; i++)
        if (texts[i].n)
            b.keys[kept++] = (DatKey){ texts[i], ids[i] };
    if (kept)
        qsort(b.keys, kept, sizeof *b.keys, key_order);
    add_block(&b);
    b.taken[0] = true;
    *vec_push(&b.queue) = (DatNode){ 0, 0, kept, 0 };
    for (size_t i = 0; i < b.queue.n; i++)
        place(&b, b.queue.p[i]);
    vec_release(&b.queue);
    free(b.keys);
    free(b.taken);
}

void dat_release(Dat *d)
{
    free(d->units);
    *d = (Dat){ 0 };
}
