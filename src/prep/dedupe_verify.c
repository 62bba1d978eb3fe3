/* dedupe_verify.c - true Jaccard of pairs, and the clusters it makes. Struct: pairs wait in `pair` until the batch is full; then all threads read the texts
 * that are not in the cache, each once, and compare. Joining is done afterwards by one thread in the order of the pairs, so that what is skipped because
 * it is joined already does not depend on threads either.
 * Invariants: a row's set has n_shingles entries, known beforehand: places in the pool of hashes are dealt out before any text is read. `slot` says
 * which entry of the cache is a row's, and is 0 for all rows outside it. `lately` remembers pairs given before (similar ones are one cluster by
 * the time they come again); forgetting one costs a comparison. */
#include "prep/dedupe_int.h"

#include <pthread.h>
#include <stdlib.h>

#define BATCH_PAIRS  ((size_t)1 << 16)
#define LATELY_BITS  22                        /* 32 MB, of which only what is written to takes memory */
#define LATELY_SLOTS ((size_t)1 << LATELY_BITS)
#define PIECE_PAIRS  ((size_t)64) /* compared by one call */

typedef struct Pair { uint32_t a, b; double jaccard; } Pair;
typedef struct Entry { uint32_t row; size_t at; } Entry; /* at: where the set begins in pool_hash */
typedef struct Hand { Shingles *shingles; StrBuf text; } Hand; /* of one thread */

struct Verify {
    const Dedupe *d;
    Pool       *pool;
    double      threshold, floor;   /* floor: what the comparison at hand may stop below */
    Hand       *hand;               /* [threads] */
    int         hands;
    uint32_t   *parent;             /* [distinct] a tree whose root is its smallest row */
    uint32_t   *slot;               /* [distinct] entry + 1 */
    uint64_t   *lately;             /* [LATELY_SLOTS] a << 32 | b with a < b, 0 none */
    VEC(Pair)   pair;
    VEC(Entry)  entry;
    size_t      loaded;             /* entries whose sets are there */
    uint64_t   *turn;               /* row << 32 | entry - loaded, of those that are being read: in the order of the texts' file */
    size_t      turn_cap;
    uint64_t   *pool_hash;
    size_t      pool_n, pool_cap, pool_max;
    uint64_t    compared;
    pthread_mutex_t lock;           /* of the two below */
    Err         error;
    size_t      error_entry;        /* the first row that failed, whichever thread met it */
};

Verify *verify_new(const Dedupe *d)
{
    Verify *v = mem_zalloc(1, sizeof *v);
    *v = (Verify){ .d = d, .pool = d->c.pool, .threshold = minhash_cfg(d->c.minhash)->threshold };
    v->floor = v->threshold;
    v->hands = pool_threads(v->pool);
    v->hand = mem_zalloc((size_t)v->hands, sizeof *v->hand);
    for (int i = 0; i < v->hands; i++)
        v->hand[i].shingles = minhash_shingles(d->c.minhash);
    v->parent = mem_alloc(MAX(d->distinct, (size_t)1) * sizeof *v->parent);
    for (size_t i = 0; i < d->distinct; i++)
        v->parent[i] = (uint32_t)i;
    v->slot = mem_zalloc(MAX(d->distinct, (size_t)1), sizeof *v->slot);
    v->lately = mem_zalloc(LATELY_SLOTS, sizeof *v->lately);
    v->pool_max = d->c.cache_bytes / sizeof *v->pool_hash;
    pthread_mutex_init(&v->lock, NULL);
    return v;
}

void verify_end(Verify *v)
{
    for (int i = 0; i < v->hands; i++) {
        shingles_free(v->hand[i].shingles);
        strbuf_release(&v->hand[i].text);
    }
    v->hands = 0;
    free(v->slot);
    free(v->lately);
    free(v->pool_hash);
    free(v->turn);
    v->slot = NULL;
    v->lately = v->pool_hash = v->turn = NULL;
    vec_release(&v->pair);
    vec_release(&v->entry);
}

void verify_free(Verify *v)
{
    if (!v)
        return;
    verify_end(v);
    pthread_mutex_destroy(&v->lock);
    free(v->hand);
    free(v->parent);
    free(v);
}

uint64_t verify_compared(const Verify *v)
{
    return v->compared;
}

uint32_t verify_root(Verify *v, uint32_t i)
{
    while (v->parent[i] != i) {
        v->parent[i] = v->parent[v->parent[i]]; /* halving: paths stay short without a second walk */
        i = v->parent[i];
    }
    return i;
}

static void join(Verify *v, uint32_t a, uint32_t b)
{
    a = verify_root(v, a);
    b = verify_root(v, b);
    v->parent[MAX(a, b)] = MIN(a, b);
}

bool verify_near_size(const Verify *v, uint32_t a, uint32_t b)
{
    const uint32_t na = v->d->n_shingles[a], nb = v->d->n_shingles[b];
    return (double)MIN(na, nb) / (double)MAX(na, nb) >= v->threshold; /* the Jaccard if one held the other */
}

static void cache_clear(Verify *v)
{
    for (size_t i = 0; i < v->entry.n; i++)
        v->slot[v->entry.p[i].row] = 0;
    vec_clear(&v->entry);
    v->loaded = 0;
    v->pool_n = 0;
}

static size_t needs(const Verify *v, uint32_t row)
{
    return v->slot[row] ? 0 : v->d->n_shingles[row];
}

static void admit(Verify *v, uint32_t row)
{
    if (v->slot[row])
        return;
    *vec_push(&v->entry) = (Entry){ row, v->pool_n };
    v->pool_n += v->d->n_shingles[row];
    v->slot[row] = (uint32_t)v->entry.n;
}

/* Puts the set of one entry into its place. */
static void load_one(void *ctx, int64_t piece, int worker)
{
    Verify *v = ctx;
    Hand *h = &v->hand[worker];
    const size_t i = v->loaded + (uint32_t)v->turn[piece];
    const uint32_t row = v->entry.p[i].row;
    const int64_t id = v->d->id[row];
    Err e = { 0 };
    strbuf_clear(&h->text);
    int rc = v->d->c.text_of(v->d->c.ctx, id, worker, &h->text, &e);
    size_t n = 0;
    const uint64_t *set = NULL;
    if (!rc && h->text.n > SHINGLE_TEXT_MAX)
        rc = err_set(&e, ERR_INPUT, "row %lld has %zu bytes of text; at most %zu can be compared", (long long)id, h->text.n, SHINGLE_TEXT_MAX);
    if (!rc) {
        shingles_read(h->shingles, strbuf_str(&h->text));
        shingles_sorted(h->shingles);
        set = shingles_set(h->shingles, &n);
        if (n != v->d->n_shingles[row])
            rc = err_set(&e, ERR_INPUT, "row %lld is not the text that it was when it was first read (%zu shingles, then %u); files must not change while "
                                        "duplicates are searched", (long long)id, n, v->d->n_shingles[row]);
    }
    if (!rc) {
        memcpy(v->pool_hash + v->entry.p[i].at, set, n * sizeof *set);
        return;
    }
    pthread_mutex_lock(&v->lock);
    if (!v->error.code || i < v->error_entry) {
        v->error = e;
        v->error.code = rc;
        v->error_entry = i;
    }
    pthread_mutex_unlock(&v->lock);
}

static int load(Verify *v, Err *e)
{
    if (v->pool_n > v->pool_cap) {
        v->pool_cap = v->pool_n;
        v->pool_hash = mem_realloc(v->pool_hash, v->pool_cap, sizeof *v->pool_hash);
    }
    const size_t n = v->entry.n - v->loaded;
    if (!n)
        return 0;
    if (2 * n > v->turn_cap) {
        v->turn_cap = 2 * n;
        free(v->turn);
        v->turn = mem_alloc(v->turn_cap * sizeof *v->turn);
    }
    for (size_t i = 0; i < n; i++)
        v->turn[i] = (uint64_t)v->entry.p[v->loaded + i].row << 32 | i;
    dedupe_sort(v->turn, v->turn + n, n, v->pool);
    parallel_for(v->pool, (int64_t)n, load_one, v);
    if (v->error.code) {
        if (e)
            *e = v->error;
        return v->error.code;
    }
    v->loaded = v->entry.n;
    return 0;
}

static const uint64_t *set_of(const Verify *v, uint32_t row, size_t *n)
{
    *n = v->d->n_shingles[row];
    return v->pool_hash + v->entry.p[v->slot[row] - 1].at;
}

static void compare_piece(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    Verify *v = ctx;
    for (size_t i = (size_t)piece * PIECE_PAIRS, end = MIN(i + PIECE_PAIRS, v->pair.n); i < end; i++) {
        size_t na, nb;
        const uint64_t *a = set_of(v, v->pair.p[i].a, &na), *b = set_of(v, v->pair.p[i].b, &nb);
        v->pair.p[i].jaccard = shingles_jaccard(a, na, b, nb, v->floor);
    }
}

/* Reads what is missing and fills in the Jaccard of all waiting pairs. */
static int compare(Verify *v, Err *e)
{
    const int rc = load(v, e);
    if (rc)
        return rc;
    parallel_for(v->pool, (int64_t)((v->pair.n + PIECE_PAIRS - 1) / PIECE_PAIRS), compare_piece, v);
    v->compared += v->pair.n;
    return 0;
}

static uint64_t *lately_slot(const Verify *v, uint64_t pair)
{
    return &v->lately[pair * 0x9E3779B97F4A7C15u >> (64 - LATELY_BITS)];
}

static uint64_t pair_of(uint32_t a, uint32_t b)
{
    return (uint64_t)MIN(a, b) << 32 | MAX(a, b);
}

int verify_flush(Verify *v, Err *e)
{
    const int rc = compare(v, e);
    if (rc)
        return rc;
    for (size_t i = 0; i < v->pair.n; i++)
        if (v->pair.p[i].jaccard >= v->threshold)
            join(v, v->pair.p[i].a, v->pair.p[i].b);
    vec_clear(&v->pair);
    return 0;
}

int verify_pair(Verify *v, uint32_t a, uint32_t b, Err *e)
{
    uint64_t *lately = lately_slot(v, pair_of(a, b));
    if (verify_root(v, a) == verify_root(v, b) || *lately == pair_of(a, b))
        return 0;
    const bool over = v->pool_n + needs(v, a) + needs(v, b) > v->pool_max;
    if (over || v->pair.n == BATCH_PAIRS) {
        const int rc = verify_flush(v, e);
        if (rc)
            return rc;
        if (over)
            cache_clear(v);
    }
    admit(v, a);
    admit(v, b);
    *vec_push(&v->pair) = (Pair){ .a = a, .b = b };
    *lately = pair_of(a, b);
    return 0;
}

int verify_measure(Verify *v, const uint32_t *a, const uint32_t *b, size_t n, double *jaccard, Err *e)
{
    int rc = 0;
    BUG_ON(v->pair.n);
    v->floor = 0;
    for (size_t i = 0, done = 0; i <= n && !rc; i++) {
        const bool over = i < n && v->pool_n + needs(v, a[i]) + needs(v, b[i]) > v->pool_max;
        if (i == n || over || v->pair.n == BATCH_PAIRS) {
            rc = compare(v, e);
            for (size_t k = 0; k < v->pair.n && !rc; k++)
                jaccard[done++] = v->pair.p[k].jaccard;
            vec_clear(&v->pair);
            if (over)
                cache_clear(v);
        }
        if (i < n) {
            admit(v, a[i]);
            admit(v, b[i]);
            *vec_push(&v->pair) = (Pair){ .a = a[i], .b = b[i] };
        }
    }
    v->floor = v->threshold;
    return rc;
}

typedef struct Each { Verify *v; const uint32_t *rows; size_t from; VerifyEach fn; void *ctx; } Each;

static void each_one(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    const Each *x = ctx;
    const size_t i = x->from + (size_t)piece;
    size_t n;
    const uint64_t *set = set_of(x->v, x->rows[i], &n);
    x->fn(x->ctx, i, set, n);
}

int verify_each(Verify *v, const uint32_t *rows, size_t n, VerifyEach fn, void *ctx, Err *e)
{
    BUG_ON(v->pair.n);
    for (size_t from = 0, to = 0; from < n; from = to) {
        if (v->pool_n + needs(v, rows[from]) > v->pool_max)
            cache_clear(v);
        for (; to < n && to - from < BATCH_PAIRS && (to == from || v->pool_n + needs(v, rows[to]) <= v->pool_max); to++)
            admit(v, rows[to]);
        const int rc = load(v, e);
        if (rc)
            return rc;
        Each x = { v, rows, from, fn, ctx };
        parallel_for(v->pool, (int64_t)(to - from), each_one, &x);
    }
    return 0;
}
