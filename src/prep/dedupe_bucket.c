/* dedupe_bucket.c - which pairs of rows are looked at. Band by band, the rows are sorted by the band's key; a run of one key is a bucket. Neighbours go
 * first, in all buckets, so that copies are one cluster before anything quadratic begins; then the pairs of small buckets, and large ones by prefix filter
 * (dedupe.h has the rule and its sources). Invariant: everything here is one thread's work in a fixed order; only sorting, reading and comparing is shared. */
#include "prep/dedupe_int.h"

#include <stdatomic.h>
#include <stdlib.h>

#define COUNT_BITS_MAX 20

typedef struct Search {
    const Dedupe *d;
    Verify  *v;
    Pool    *pool;
    uint64_t left_out;
} Search;

/* A large bucket being joined. Rows are in ascending order of size, so that whoever shares a shingle is met in that order, too. */
typedef struct Bucket {
    Search   *s;
    uint32_t *row;              /* [n] distinct rows */
    size_t    n;
    _Atomic uint32_t *count;    /* [1 << count_bits] rows with a shingle of this place: how frequent a shingle is, at least */
    int       count_bits;
    uint64_t  group, groups;    /* which part of the shingles is in hand */
    size_t   *at;               /* [n + 1] where a row's entries begin */
    uint64_t *entry;            /* shingle << 32 | index into row; NULL while counting */
} Bucket;

typedef struct Ranked { uint32_t count; uint64_t h; } Ranked;

static int rank_order(const void *a, const void *b)
{
    const Ranked *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count ? -1 : 1) : (x->h > y->h) - (x->h < y->h);
}

static _Atomic uint32_t *count_of(const Bucket *k, uint64_t h)
{
    return &k->count[h >> (64 - k->count_bits)];
}

static void count_set(void *ctx, size_t i, const uint64_t *set, size_t n)
{
    (void)i;
    const Bucket *k = ctx;
    for (size_t j = 0; j < n; j++)
        atomic_fetch_add_explicit(count_of(k, set[j]), 1, memory_order_relaxed);
}

/* The rarest shingles of a row, as many as its prefix has, without those that no other row has: counted, or written down. */
static void prefix_set(void *ctx, size_t i, const uint64_t *set, size_t n)
{
    Bucket *k = ctx;
    const size_t prefix = shingles_prefix(n, minhash_cfg(k->s->d->m)->threshold);
    Ranked *r = mem_alloc(n * sizeof *r);
    for (size_t j = 0; j < n; j++)
        r[j] = (Ranked){ atomic_load_explicit(count_of(k, set[j]), memory_order_relaxed), set[j] };
    qsort(r, n, sizeof *r, rank_order);
    size_t kept = 0;
    for (size_t j = 0; j < prefix; j++) {
        if (r[j].count < 2 || r[j].h % k->groups != k->group)
            continue;
        if (k->entry)
            k->entry[k->at[i] + kept] = (r[j].h & 0xFFFFFFFFu) << 32 | i; /* half of the hash: what meets by chance is compared in vain */
        kept++;
    }
    if (!k->entry)
        k->at[i] = kept;
    free(r);
}

/* Counts the entries of the group in hand and turns the counts into places; returns how many. */
static int prefix_count(Bucket *k, size_t *total, Err *e)
{
    Search *s = k->s;
    k->entry = NULL;
    const int rc = verify_each(s->v, k->row, k->n, prefix_set, k, e);
    size_t place = 0;
    for (size_t i = 0; i < k->n && !rc; i++) {
        const size_t n = k->at[i];
        k->at[i] = place;
        place += n;
    }
    *total = place;
    return rc;
}

static size_t run_end(const uint64_t *v, size_t n, size_t from)
{
    size_t end = from + 1;
    while (end < n && v[end] >> 32 == v[from] >> 32)
        end++;
    return end;
}

/* How many of the rows behind `from` are not too large to be similar to a. */
static size_t size_limit(const Bucket *k, const uint64_t *run, size_t from, size_t n, uint32_t a)
{
    size_t lo = from, hi = n;
    while (lo < hi) {
        const size_t mid = (lo + hi) / 2;
        if (verify_near_size(k->s->v, a, k->row[(uint32_t)run[mid]]))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo - from;
}

/* Rows that share one rare shingle, ascending in size: each with up to DEDUPE_WINDOW of those behind it that are in other clusters. next[i] is where the
 * rows behind i begin to be of another cluster than i's, so that a large cluster is passed over in one step. */
static int window(Bucket *k, const uint64_t *run, size_t n, uint32_t *next, Err *e)
{
    Search *s = k->s;
    int rc = 0;
    for (size_t i = n; i-- > 0;) {
        const bool same = i + 1 < n && verify_root(s->v, k->row[(uint32_t)run[i]]) == verify_root(s->v, k->row[(uint32_t)run[i + 1]]);
        next[i] = same ? next[i + 1] : (uint32_t)i + 1;
    }
    for (size_t i = 0; i < n && !rc; i++) {
        const uint32_t a = k->row[(uint32_t)run[i]];
        size_t met = 0, j = i + 1;
        while (j < n && met < DEDUPE_WINDOW && !rc) {
            const uint32_t b = k->row[(uint32_t)run[j]];
            if (!verify_near_size(s->v, a, b))
                break; /* and those behind are larger still */
            if (verify_root(s->v, a) == verify_root(s->v, b)) {
                j = next[j];
                continue;
            }
            rc = verify_pair(s->v, a, b, e);
            met++;
            j++;
        }
        if (met == DEDUPE_WINDOW)
            s->left_out += size_limit(k, run, j, n, a);
    }
    return rc;
}

static bool one_cluster(Verify *v, const uint64_t *run, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (verify_root(v, (uint32_t)run[i]) != verify_root(v, (uint32_t)run[0]))
            return false;
    return true;
}

static int neighbours(Search *s, uint32_t a, uint32_t b, Err *e)
{
    return verify_near_size(s->v, a, b) ? verify_pair(s->v, a, b, e) : 0;
}

/* Joins the entries of one group. */
static int prefix_join(Bucket *k, uint64_t *tmp, size_t total, Err *e)
{
    Search *s = k->s;
    int rc = 0;
    uint32_t *next = mem_alloc(MAX(total, (size_t)1) * sizeof *next);
    dedupe_sort(k->entry, tmp, total, s->pool);
    for (size_t i = 1; i < total && !rc; i++)
        if (k->entry[i] >> 32 == k->entry[i - 1] >> 32)
            rc = neighbours(s, k->row[(uint32_t)k->entry[i - 1]], k->row[(uint32_t)k->entry[i]], e);
    if (!rc)
        rc = verify_flush(s->v, e);
    for (size_t from = 0, end; from < total && !rc; from = end) {
        end = run_end(k->entry, total, from);
        if (end - from > 2) /* two are neighbours, and done */
            rc = window(k, k->entry + from, end - from, next, e);
    }
    free(next);
    return rc ? rc : verify_flush(s->v, e);
}

static int bucket_large(Search *s, const uint64_t *run, size_t n, Err *e)
{
    if (one_cluster(s->v, run, n))
        return 0;
    Bucket k = { .s = s, .n = n, .groups = 1 };
    uint64_t *order = mem_alloc(2 * n * sizeof *order), *entry = NULL;
    size_t total = 0, shingles = 0;
    k.row = mem_alloc(n * sizeof *k.row);
    k.at = mem_alloc(n * sizeof *k.at);
    for (size_t i = 0; i < n; i++) {
        order[i] = (uint64_t)s->d->n_shingles.p[(uint32_t)run[i]] << 32 | (uint32_t)run[i];
        shingles += s->d->n_shingles.p[(uint32_t)run[i]];
    }
    dedupe_sort(order, order + n, n, s->pool);
    for (size_t i = 0; i < n; i++)
        k.row[i] = (uint32_t)order[i];
    free(order);
    for (k.count_bits = 8; k.count_bits < COUNT_BITS_MAX && (size_t)1 << k.count_bits < 2 * shingles;)
        k.count_bits++;
    k.count = mem_zalloc((size_t)1 << k.count_bits, sizeof *k.count);
    int rc = verify_flush(s->v, e);
    if (!rc)
        rc = verify_each(s->v, k.row, n, count_set, &k, e);
    if (!rc)
        rc = prefix_count(&k, &total, e);
    k.groups = total * 2 * sizeof *entry / s->d->cache_bytes + 1; /* long texts: a part of the shingles at a time */
    for (; k.group < k.groups && !rc; k.group++) {
        if (k.groups > 1)
            rc = prefix_count(&k, &total, e);
        if (rc)
            break;
        entry = mem_alloc(MAX(2 * total, (size_t)1) * sizeof *entry);
        k.entry = entry;
        rc = verify_each(s->v, k.row, n, prefix_set, &k, e);
        if (!rc)
            rc = prefix_join(&k, entry + total, total, e);
        free(entry);
    }
    free(k.row);
    free(k.at);
    free((void *)k.count);
    return rc;
}

static int bucket_small(Search *s, const uint64_t *run, size_t n, Err *e)
{
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++)
        for (size_t j = i + 2; j < n && !rc; j++) /* i + 1: its neighbour, and done */
            rc = neighbours(s, (uint32_t)run[i], (uint32_t)run[j], e);
    return rc;
}

int bucket_search(const Dedupe *d, Verify *v, Pool *pool, uint64_t *left_out, Err *e)
{
    Search s = { .d = d, .v = v, .pool = pool };
    const size_t bands = (size_t)minhash_cfg(d->m)->bands;
    uint64_t *entry = mem_alloc(MAX(2 * d->exact.n, (size_t)1) * sizeof *entry);
    int rc = 0;
    for (size_t band = 0; band < bands && !rc; band++) {
        size_t n = 0;
        for (size_t i = 0; i < d->exact.n; i++)
            if (d->n_shingles.p[i])
                entry[n++] = (uint64_t)d->key.p[i * bands + band] << 32 | i;
        dedupe_sort(entry, entry + n, n, pool);
        for (size_t i = 1; i < n && !rc; i++)
            if (entry[i] >> 32 == entry[i - 1] >> 32)
                rc = neighbours(&s, (uint32_t)entry[i - 1], (uint32_t)entry[i], e);
        if (!rc)
            rc = verify_flush(v, e);
        for (size_t from = 0, end; from < n && !rc; from = end) {
            end = run_end(entry, n, from);
            rc = (end - from > DEDUPE_BUCKET ? bucket_large : bucket_small)(&s, entry + from, end - from, e);
        }
        if (!rc)
            rc = verify_flush(v, e);
    }
    free(entry);
    *left_out = s.left_out;
    return rc;
}
