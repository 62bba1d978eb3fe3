/* dedupe_exact.c - copies: which rows have the same exact hash. Of each range of the hashes a table (open addressing) is made in memory; a range is so large
 * that its table fits into sort_bytes. Rows come in order, so the first that a table meets is the first of all. */
#include "prep/dedupe_int.h"

#include <stdlib.h>

#define SHINGLES_MAX (8 * MINHASH_TEXT_MAX) /* of a text: a character of 3 bytes may become 18 */
#define TABLE_BYTES  40 /* of a distinct row at most: the entry, and 4 bytes a slot of which up to three quarters, and at least three eighths, are taken */

typedef struct Seen { Hash128 hash; uint32_t row; } Seen;
typedef struct Table {
    VEC(Seen) seen;
    uint32_t *slot;    /* index into seen + 1, 0 free */
    size_t    n_slot;  /* a power of two */
} Table;

/* The place of a hash, or the free place where it belongs. */
static uint32_t *slot_of(const Table *t, const Hash128 *h)
{
    const size_t mask = t->n_slot - 1;
    size_t at = h->lo & mask;
    for (; t->slot[at]; at = (at + 1) & mask) {
        const Hash128 *x = &t->seen.p[t->slot[at] - 1].hash;
        if (x->lo == h->lo && x->hi == h->hi)
            break;
    }
    return &t->slot[at];
}

static void slots_grow(Table *t)
{
    free(t->slot);
    t->n_slot *= 2;
    t->slot = mem_zalloc(t->n_slot, sizeof *t->slot);
    for (size_t i = 0; i < t->seen.n; i++)
        *slot_of(t, &t->seen.p[i].hash) = (uint32_t)i + 1;
}

/* The first row with this hash, which is the given one if it is new. */
static uint32_t first_of(Table *t, const Hash128 *h, uint32_t row)
{
    uint32_t *slot = slot_of(t, h);
    if (*slot)
        return t->seen.p[*slot - 1].row;
    *vec_push(&t->seen) = (Seen){ *h, row };
    *slot = (uint32_t)t->seen.n;
    if (4 * t->seen.n > 3 * t->n_slot)
        slots_grow(t);
    return row;
}

/* d->same becomes the first row of the file that each equals. */
static void find_first(Dedupe *d)
{
    const size_t ranges = d->file.rows * TABLE_BYTES / d->c.sort_bytes + 1;
    Table t = { .n_slot = 1024 };
    t.slot = mem_alloc(t.n_slot * sizeof *t.slot);
    for (size_t range = 0; range < ranges; range++) {
        vec_clear(&t.seen);
        memset(t.slot, 0, t.n_slot * sizeof *t.slot);
        for (size_t k = 0; k < d->file.block.n; k++) {
            const KeyBlock *b = &d->file.block.p[k];
            const Hash128  *exact = key_file_exact(&d->file, b);
            for (size_t i = 0; i < b->n; i++)
                if ((exact[i].hi >> 32) * ranges >> 32 == range)
                    d->same[b->first + i] = first_of(&t, &exact[i], (uint32_t)(b->first + i));
        }
    }
    vec_release(&t.seen);
    free(t.slot);
}

int exact_find(Dedupe *d, Err *e)
{
    size_t   next = 0;
    uint32_t last = 0;
    d->same = mem_alloc((d->file.rows + 1) * sizeof *d->same);
    find_first(d);
    for (size_t i = 0; i < d->file.rows; i++)
        d->distinct += d->same[i] == i;
    d->id = mem_alloc((d->distinct + 1) * sizeof *d->id);
    d->n_shingles = mem_alloc((d->distinct + 1) * sizeof *d->n_shingles);
    for (size_t k = 0; k < d->file.block.n; k++) {
        const KeyBlock *b = &d->file.block.p[k];
        const uint32_t *id = key_file_ids(&d->file, b), *shingles = key_file_shingles(&d->file, b);
        for (size_t i = 0; i < b->n; i++) {
            const size_t row = b->first + i;
            if ((row && id[i] <= last) || shingles[i] > SHINGLES_MAX)
                return err_set(e, ERR_INPUT, "%s: row %u stands behind row %u with %u shingles, which cannot be; it was changed: remove the folder and start anew", d->c.keys, id[i],
                               last, shingles[i]);
            last = id[i];
            if (d->same[row] != row) {
                d->same[row] = d->same[d->same[row]]; /* which has its number, since it is an earlier row */
                continue;
            }
            d->id[next] = id[i];
            d->n_shingles[next] = shingles[i];
            d->same[row] = (uint32_t)next++;
        }
    }
    return 0;
}
