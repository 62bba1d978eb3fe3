/* dedupe_exact.c - copies: which rows have the same exact hash, and the numbers of those that have none before them. Of each range of the hashes a table (open
 * addressing) is made in memory; a range is so large that its table fits into half of sort_bytes. Rows come in order, so the first that a table meets is the
 * first of all. Copies are found range by range and put into the order of the file; they take a quarter of sort_bytes, and twice that while they are found. */
#include "prep/dedupe_int.h"

#include <stdlib.h>

#define SHINGLES_MAX (8 * MINHASH_TEXT_MAX) /* of a text: a character of 3 bytes may become 18 */
#define STRETCH      8 /* words of bits: 512 rows */
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

static int find_first(Dedupe *d, Err *e)
{
    const size_t ranges = d->file.rows * TABLE_BYTES / (d->c.sort_bytes / 2) + 1;
    Table t = { .n_slot = 64 };
    int   rc = 0;
    t.slot = mem_alloc(t.n_slot * sizeof *t.slot);
    for (size_t range = 0; range < ranges && !rc; range++) {
        vec_clear(&t.seen);
        memset(t.slot, 0, t.n_slot * sizeof *t.slot);
        for (size_t k = 0; k < d->file.block.n && !rc; k++) {
            const KeyBlock *b = &d->file.block.p[k];
            const Hash128  *exact = key_file_exact(&d->file, b);
            rc = dedupe_stopped(d, e);
            for (size_t i = 0; i < b->n && !rc; i++) {
                const size_t row = b->first + i;
                if ((exact[i].hi >> 32) * ranges >> 32 != range)
                    continue;
                const uint32_t first = first_of(&t, &exact[i], (uint32_t)row);
                if (first == row)
                    d->first[row / 64] |= (uint64_t)1 << row % 64;
                else
                    rc = sorter_add(d->copies, &(Copy){ (uint32_t)row, first }, e);
            }
        }
    }
    vec_release(&t.seen);
    free(t.slot);
    return rc ? rc : sorter_end(d->copies, e);
}

static int by_row(const void *a, const void *b)
{
    const Copy *x = a, *y = b;
    return (x->row > y->row) - (x->row < y->row);
}

/* ---- numbers of distinct rows: what was counted before a stretch, and the bits within it ----------------------------------------------------------- */

static void count_stretches(Dedupe *d)
{
    for (size_t word = 0; word <= d->file.rows / 64; word++) {
        if (word % STRETCH == 0)
            d->before[word / STRETCH] = (uint32_t)d->distinct;
        d->distinct += (size_t)__builtin_popcountll(d->first[word]);
    }
}

uint32_t exact_number(const Dedupe *d, size_t row)
{
    const size_t word = row / 64;
    uint32_t     n = d->before[word / STRETCH];
    for (size_t w = word / STRETCH * STRETCH; w < word; w++)
        n += (uint32_t)__builtin_popcountll(d->first[w]);
    return n + (uint32_t)__builtin_popcountll(d->first[word] & (((uint64_t)1 << row % 64) - 1));
}

size_t exact_row(const Dedupe *d, uint32_t number)
{
    size_t lo = 0, hi = d->file.rows / 64 / STRETCH + 1;
    while (hi - lo > 1) {
        const size_t mid = (lo + hi) / 2;
        if (d->before[mid] <= number)
            lo = mid;
        else
            hi = mid;
    }
    size_t   word = lo * STRETCH;
    uint32_t left = number - d->before[lo];
    for (uint32_t n; (n = (uint32_t)__builtin_popcountll(d->first[word])) <= left; word++)
        left -= n;
    uint64_t bits = d->first[word];
    for (; left; left--)
        bits &= bits - 1;
    return word * 64 + (size_t)__builtin_ctzll(bits);
}

uint32_t exact_size(const Dedupe *d, uint32_t number)
{
    return d->size[number] < DEDUPE_LARGE ? d->size[number] : key_file_size(&d->file, exact_row(d, number));
}

int exact_find(Dedupe *d, Err *e)
{
    StrBuf   path = { 0 };
    size_t   next = 0;
    uint32_t last = 0;
    strbuf_addf(&path, "%s.copies", d->c.keys);
    d->first = mem_zalloc(d->file.rows / 64 + 1, sizeof *d->first);
    d->before = mem_alloc((d->file.rows / 64 / STRETCH + 1) * sizeof *d->before);
    d->copies = sorter_new(strbuf_z(&path), sizeof(Copy), by_row, d->c.sort_bytes / 4);
    strbuf_release(&path);
    int rc = find_first(d, e);
    if (rc)
        return rc;
    count_stretches(d);
    d->size = mem_alloc((d->distinct + 1) * sizeof *d->size);
    for (size_t k = 0; k < d->file.block.n; k++) {
        const KeyBlock *b = &d->file.block.p[k];
        const uint32_t *id = key_file_ids(&d->file, b), *shingles = key_file_shingles(&d->file, b);
        for (size_t i = 0; i < b->n; i++) {
            if ((b->first + i && id[i] <= last) || shingles[i] > SHINGLES_MAX)
                return err_set(e, ERR_INPUT, "%s: row %u stands behind row %u with %u shingles, which cannot be; it was changed: remove the folder and start anew", d->c.keys, id[i],
                               last, shingles[i]);
            last = id[i];
            if (dedupe_is_first(d, b->first + i))
                d->size[next++] = (uint16_t)MIN(shingles[i], (uint32_t)DEDUPE_LARGE);
        }
    }
    return 0;
}
