/* dedupe_verify.c - true Jaccard of pairs, and the clusters it makes. Struct: Verify. Pairs wait in `pair` until there are many; then all threads read the texts
 * that are not in the cache and compare. Joining is done afterwards by one thread in the order of the pairs, so that what is skipped because it is joined already
 * does not depend on threads either. `lately` remembers pairs given before (similar ones are one cluster by the time they come again); forgetting one costs a
 * comparison. It takes half of what the cache takes; rows of one long form meet in millions of pairs. */
#include "prep/dedupe_int.h"

#include <stdlib.h>

#define BATCH_PAIRS ((size_t)1 << 16)
#define PIECE_PAIRS ((size_t)64) /* compared by one call */
#define STOP_PAIRS  ((size_t)1 << 16) /* given between two looks at whether to stop */

typedef struct Pair { uint32_t a, b; double jaccard; } Pair;

struct Verify {
    const Dedupe *d;
    Cache      *cache;
    double      threshold, floor;   /* floor: what the comparison at hand may stop below */
    uint32_t   *parent;             /* [distinct] a tree whose root is its smallest row */
    uint64_t   *lately;             /* [1 << lately_bits] a << 32 | b with a < b, 0 none */
    int         lately_bits;
    VEC(Pair)   pair;
    size_t      given;
    uint64_t    compared;
};

Verify *verify_new(const Dedupe *d)
{
    Verify *v = mem_zalloc(1, sizeof *v);
    *v = (Verify){ .d = d, .threshold = minhash_cfg(d->c.minhash)->threshold };
    v->floor = v->threshold;
    v->cache = cache_new(d);
    v->parent = mem_alloc(MAX(d->distinct, (size_t)1) * sizeof *v->parent);
    for (size_t i = 0; i < d->distinct; i++)
        v->parent[i] = (uint32_t)i;
    while (sizeof *v->lately << (v->lately_bits + 1) <= d->c.cache_bytes / 2)
        v->lately_bits++;
    v->lately = mem_zalloc((size_t)1 << v->lately_bits, sizeof *v->lately);
    return v;
}

void verify_end_joining(Verify *v)
{
    free(v->parent);
    free(v->lately);
    v->parent = NULL;
    v->lately = NULL;
}

void verify_free(Verify *v)
{
    if (!v)
        return;
    verify_end_joining(v);
    cache_free(v->cache);
    vec_release(&v->pair);
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
    const uint32_t na = exact_size(v->d, a), nb = exact_size(v->d, b);
    return (double)MIN(na, nb) / (double)MAX(na, nb) >= v->threshold; /* the Jaccard if one held the other */
}

static void compare_piece(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    Verify *v = ctx;
    for (size_t i = (size_t)piece * PIECE_PAIRS, end = MIN(i + PIECE_PAIRS, v->pair.n); i < end; i++) {
        size_t na, nb;
        const uint64_t *a = cache_set(v->cache, v->pair.p[i].a, &na), *b = cache_set(v->cache, v->pair.p[i].b, &nb);
        v->pair.p[i].jaccard = shingles_jaccard(a, na, b, nb, v->floor);
    }
}

/* Reads what is missing and fills in the Jaccard of all waiting pairs. */
static int compare(Verify *v, Err *e)
{
    const int rc = cache_load(v->cache, e);
    if (rc)
        return rc;
    parallel_for(v->d->c.pool, (int64_t)((v->pair.n + PIECE_PAIRS - 1) / PIECE_PAIRS), compare_piece, v);
    v->compared += v->pair.n;
    return 0;
}

/* The pair waits; there is room for it. */
static void wait_for(Verify *v, uint32_t a, uint32_t b)
{
    cache_admit(v->cache, a);
    cache_admit(v->cache, b);
    *vec_push(&v->pair) = (Pair){ .a = a, .b = b };
}

static uint64_t *lately_slot(const Verify *v, uint64_t pair)
{
    return &v->lately[pair * 0x9E3779B97F4A7C15u >> (64 - v->lately_bits)];
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
    int rc = ++v->given % STOP_PAIRS ? 0 : dedupe_stopped(v->d, e);
    if (rc || verify_root(v, a) == verify_root(v, b) || *lately == pair_of(a, b))
        return rc;
    const bool over = !cache_has_room(v->cache, a, b);
    if (over || v->pair.n == BATCH_PAIRS) {
        rc = verify_flush(v, e);
        if (rc)
            return rc;
        if (over)
            cache_clear(v->cache);
    }
    wait_for(v, a, b);
    *lately = pair_of(a, b);
    return 0;
}

int verify_measure(Verify *v, const uint32_t *a, const uint32_t *b, size_t n, double *jaccard, Err *e)
{
    int rc = 0;
    BUG_ON(v->pair.n);
    v->floor = 0;
    for (size_t i = 0, done = 0; i <= n && !rc; i++) {
        const bool over = i < n && !cache_has_room(v->cache, a[i], b[i]);
        if (i == n || over || v->pair.n == BATCH_PAIRS) {
            rc = compare(v, e);
            for (size_t k = 0; k < v->pair.n && !rc; k++)
                jaccard[done++] = v->pair.p[k].jaccard;
            vec_clear(&v->pair);
            if (over)
                cache_clear(v->cache);
        }
        if (i < n)
            wait_for(v, a[i], b[i]);
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
    const uint64_t *set = cache_set(x->v->cache, x->rows[i], &n);
    x->fn(x->ctx, i, set, n);
}

int verify_each(Verify *v, const uint32_t *rows, size_t n, VerifyEach fn, void *ctx, Err *e)
{
    BUG_ON(v->pair.n);
    for (size_t from = 0, to = 0; from < n; from = to) {
        if (!cache_has_room(v->cache, rows[from], rows[from]))
            cache_clear(v->cache);
        for (; to < n && to - from < BATCH_PAIRS && (to == from || cache_has_room(v->cache, rows[to], rows[to])); to++)
            cache_admit(v->cache, rows[to]);
        const int rc = cache_load(v->cache, e);
        if (rc)
            return rc;
        Each x = { v, rows, from, fn, ctx };
        parallel_for(v->d->c.pool, (int64_t)(to - from), each_one, &x);
    }
    return 0;
}
