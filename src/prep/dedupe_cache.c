/* dedupe_cache.c - the shingles of the rows that are being compared. Struct: Cache. What was admitted is read by all threads at once, each text once, in the
 * order of the texts' file, and stays until everything is cleared. A row's set has as many entries as its sketch said, so places in the pool of hashes are dealt out
 * before any text is read. Everything that grows with the number of sets is charged to cache_bytes: a set takes ENTRY_WORDS beside its hashes. */
#include "prep/dedupe_int.h"

#include <pthread.h>
#include <stdlib.h>

#define ENTRY_WORDS 6             /* of 8 bytes: the entry 2, its slots (of which three eighths are taken at least) up to 1.4, its turn 2 */
#define LOAD_TEXTS  ((int64_t)4096) /* read between two looks at whether to stop */

typedef struct Entry { uint32_t row, n; size_t at; } Entry;    /* at: where the set begins in the pool */
typedef struct Hand { Shingles *shingles; StrBuf text; } Hand; /* of one thread */

struct Cache {
    const Dedupe *d;
    Hand       *hand;               /* [threads] */
    int         hands;
    VEC(Entry)  entry;
    size_t      loaded;             /* entries whose sets are there */
    uint32_t   *slot;               /* by row: entry + 1, 0 free; open addressing */
    int         slot_bits;
    uint64_t   *turn;               /* row << 32 | entry - loaded, of those that are being read */
    size_t      turn_cap;
    int64_t     turn_from;
    uint64_t   *pool;
    size_t      n, cap, max;        /* hashes of the pool; with ENTRY_WORDS for each set never more than max, but for one pair */
    pthread_mutex_t lock;           /* of the two below */
    Err         error;
    size_t      error_entry;        /* the first row that failed, whichever thread met it */
};

Cache *cache_new(const Dedupe *d)
{
    Cache *c = mem_zalloc(1, sizeof *c);
    *c = (Cache){ .d = d, .hands = pool_threads(d->c.pool), .slot_bits = 8, .max = d->c.cache_bytes / sizeof *c->pool };
    c->hand = mem_zalloc((size_t)c->hands, sizeof *c->hand);
    for (int i = 0; i < c->hands; i++)
        c->hand[i].shingles = minhash_shingles(d->c.minhash);
    c->slot = mem_zalloc((size_t)1 << c->slot_bits, sizeof *c->slot);
    pthread_mutex_init(&c->lock, NULL);
    return c;
}

void cache_free(Cache *c)
{
    if (!c)
        return;
    for (int i = 0; i < c->hands; i++) {
        shingles_free(c->hand[i].shingles);
        strbuf_release(&c->hand[i].text);
    }
    pthread_mutex_destroy(&c->lock);
    free(c->hand);
    vec_release(&c->entry);
    free(c->slot);
    free(c->turn);
    free(c->pool);
    free(c);
}

/* The place of a row, or the free place where it belongs. */
static uint32_t *slot_of(const Cache *c, uint32_t row)
{
    const size_t mask = ((size_t)1 << c->slot_bits) - 1;
    size_t at = row * 0x9E3779B97F4A7C15u >> (64 - c->slot_bits);
    while (c->slot[at] && c->entry.p[c->slot[at] - 1].row != row)
        at = (at + 1) & mask;
    return &c->slot[at];
}

static void slots_grow(Cache *c)
{
    free(c->slot);
    c->slot = mem_zalloc((size_t)1 << ++c->slot_bits, sizeof *c->slot);
    for (size_t i = 0; i < c->entry.n; i++)
        *slot_of(c, c->entry.p[i].row) = (uint32_t)i + 1;
}

void cache_clear(Cache *c)
{
    memset(c->slot, 0, ((size_t)1 << c->slot_bits) * sizeof *c->slot);
    vec_clear(&c->entry);
    c->loaded = c->n = 0;
}

static size_t needs(const Cache *c, uint32_t row)
{
    return *slot_of(c, row) ? 0 : exact_size(c->d, row) + ENTRY_WORDS;
}

bool cache_has_room(const Cache *c, uint32_t a, uint32_t b)
{
    return c->n + c->entry.n * ENTRY_WORDS + needs(c, a) + (b == a ? 0 : needs(c, b)) <= c->max;
}

void cache_admit(Cache *c, uint32_t row)
{
    uint32_t *slot = slot_of(c, row);
    if (*slot)
        return;
    const Entry entry = { row, exact_size(c->d, row), c->n };
    *vec_push(&c->entry) = entry;
    c->n += entry.n;
    *slot = (uint32_t)c->entry.n;
    if (4 * c->entry.n > (size_t)3 << c->slot_bits)
        slots_grow(c);
}

/* Puts the set of one entry into its place. */
static void load_one(void *ctx, int64_t piece, int worker)
{
    Cache *c = ctx;
    Hand *h = &c->hand[worker];
    const size_t i = c->loaded + (uint32_t)c->turn[c->turn_from + piece];
    const Entry entry = c->entry.p[i];
    const int64_t id = key_file_id(&c->d->file, exact_row(c->d, entry.row));
    Err e = { 0 };
    strbuf_clear(&h->text);
    int rc = c->d->c.text_of(c->d->c.ctx, id, worker, &h->text, &e);
    size_t n = 0;
    const uint64_t *set = NULL;
    if (!rc && h->text.n > SHINGLE_TEXT_MAX)
        rc = err_set(&e, ERR_INPUT, "row %lld has %zu bytes of text; at most %zu can be compared", (long long)id, h->text.n, SHINGLE_TEXT_MAX);
    if (!rc) {
        shingles_read(h->shingles, strbuf_str(&h->text));
        shingles_sorted(h->shingles);
        set = shingles_set(h->shingles, &n);
        if (n != entry.n)
            rc = err_set(&e, ERR_INPUT, "row %lld is not the text that it was when it was first read (%zu shingles, then %u); files must not change while "
                                        "duplicates are searched", (long long)id, n, entry.n);
    }
    if (!rc) {
        memcpy(c->pool + entry.at, set, n * sizeof *set);
        return;
    }
    pthread_mutex_lock(&c->lock);
    if (!c->error.code || i < c->error_entry) {
        c->error = e;
        c->error.code = rc;
        c->error_entry = i;
    }
    pthread_mutex_unlock(&c->lock);
}

int cache_load(Cache *c, Err *e)
{
    const size_t n = c->entry.n - c->loaded;
    if (c->n > c->cap) {
        c->cap = MAX(c->n, c->max); /* at once: of what is not written to nothing is in memory */
        c->pool = mem_realloc(c->pool, c->cap, sizeof *c->pool);
    }
    if (2 * n > c->turn_cap) {
        c->turn_cap = 2 * n;
        free(c->turn);
        c->turn = mem_alloc(c->turn_cap * sizeof *c->turn);
    }
    for (size_t i = 0; i < n; i++)
        c->turn[i] = (uint64_t)c->entry.p[c->loaded + i].row << 32 | i;
    if (n)
        dedupe_sort(c->turn, c->turn + n, n, c->d->c.pool);
    for (c->turn_from = 0; c->turn_from < (int64_t)n; c->turn_from += LOAD_TEXTS) {
        const int rc = dedupe_stopped(c->d, e);
        if (rc)
            return rc;
        parallel_for(c->d->c.pool, MIN((int64_t)n - c->turn_from, LOAD_TEXTS), load_one, c);
        if (c->error.code) {
            if (e)
                *e = c->error;
            return c->error.code;
        }
    }
    c->loaded = c->entry.n;
    return 0;
}

const uint64_t *cache_set(const Cache *c, uint32_t row, size_t *n)
{
    const Entry *entry = &c->entry.p[*slot_of(c, row) - 1];
    *n = entry->n;
    return c->pool + entry->at;
}
