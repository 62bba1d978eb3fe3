/* dedupe.c - the rows as they come, exact duplicates among them, and the clusters in the end. Struct: Dedupe (dedupe_int.h): `row` has an entry per row,
 * the other arrays one per distinct exact hash. Invariant: a distinct row's index is smaller than that of every distinct row added after it, so the
 * smallest index of a cluster, its root in dedupe_verify.c, is its first row. */
#include "prep/dedupe_int.h"

#include <math.h>
#include <stdlib.h>

#define NONE UINT32_MAX

Dedupe *dedupe_new(const MinHash *m, size_t cache_bytes)
{
    Dedupe *d = mem_zalloc(1, sizeof *d);
    d->m = m;
    d->cache_bytes = cache_bytes ? MAX(cache_bytes, DEDUPE_CACHE_MIN) : DEDUPE_CACHE;
    d->n_slot = 1024;
    d->slot = mem_zalloc(d->n_slot, sizeof *d->slot);
    return d;
}

void dedupe_free(Dedupe *d)
{
    if (!d)
        return;
    vec_release(&d->row);
    vec_release(&d->exact);
    vec_release(&d->first);
    vec_release(&d->n_shingles);
    vec_release(&d->key);
    free(d->slot);
    free(d);
}

/* The place of a hash, or the free place where it belongs. */
static uint32_t *slot_of(const Dedupe *d, Hash128 h)
{
    const size_t mask = d->n_slot - 1;
    size_t at = h.lo & mask;
    for (; d->slot[at]; at = (at + 1) & mask) {
        const Hash128 *x = &d->exact.p[d->slot[at] - 1];
        if (x->lo == h.lo && x->hi == h.hi)
            break;
    }
    return &d->slot[at];
}

static void slots_grow(Dedupe *d)
{
    free(d->slot);
    d->n_slot *= 2;
    d->slot = mem_zalloc(d->n_slot, sizeof *d->slot);
    for (size_t i = 0; i < d->exact.n; i++)
        *slot_of(d, d->exact.p[i]) = (uint32_t)i + 1;
}

int dedupe_add(Dedupe *d, int64_t row, const MinHashRow *h, float score, Err *e)
{
    const size_t bands = (size_t)minhash_cfg(d->m)->bands;
    BUG_ON(d->finished || row < 0 || (d->row.n && row <= d->row.p[d->row.n - 1].id));
    if (d->row.n == DEDUPE_ROWS_MAX)
        return err_set(e, ERR_INPUT, "row %lld: more than %zu rows cannot be searched for duplicates at once; split the data set", (long long)row,
                       DEDUPE_ROWS_MAX);
    uint32_t *slot = slot_of(d, h->exact);
    if (!*slot) {
        *vec_push(&d->exact) = h->exact;
        *vec_push(&d->first) = (uint32_t)d->row.n;
        *vec_push(&d->n_shingles) = h->n_shingles;
        if (d->key.n + bands > d->key.cap) {
            d->key.cap = MAX(2 * d->key.cap, 1024 * bands);
            d->key.p = mem_realloc(d->key.p, d->key.cap, sizeof *d->key.p);
        }
        for (size_t b = 0; b < bands; b++)
            d->key.p[d->key.n++] = h->n_shingles ? h->key[b] : 0;
        *slot = (uint32_t)d->exact.n;
    }
    const uint32_t distinct = *slot - 1;
    *vec_push(&d->row) = (DedupeRow){ row, isnan(score) ? -INFINITY : score, distinct };
    if (4 * d->exact.n > 3 * d->n_slot)
        slots_grow(d);
    return 0;
}

/* What the clusters are made from: per root, how many rows it has, the best of them, and its number among the clusters of two and more. */
typedef struct Roots { uint32_t *size, *best, *number; } Roots;

static void roots_find(const Dedupe *d, Verify *v, Roots *r)
{
    const size_t n = MAX(d->exact.n, (size_t)1);
    r->size = mem_zalloc(n, sizeof *r->size);
    r->best = mem_alloc(n * sizeof *r->best);
    r->number = mem_alloc(n * sizeof *r->number);
    for (size_t i = 0; i < d->row.n; i++) {
        const uint32_t root = verify_root(v, d->row.p[i].distinct);
        if (!r->size[root]++ || d->row.p[i].score > d->row.p[r->best[root]].score)
            r->best[root] = (uint32_t)i;
    }
}

static void clusters_fill(const Dedupe *d, Verify *v, const Roots *r, DedupeResult *out)
{
    size_t members = 0;
    for (size_t i = 0; i < d->exact.n; i++)
        if (r->size[i] > 1) {
            members += r->size[i];
            r->number[i] = (uint32_t)out->n_clusters++;
        } else
            r->number[i] = NONE;
    out->cluster = mem_alloc(MAX(out->n_clusters, (size_t)1) * sizeof *out->cluster);
    out->member = mem_alloc(MAX(members, (size_t)1) * sizeof *out->member);
    size_t first = 0;
    for (size_t i = 0; i < d->exact.n; i++)
        if (r->number[i] != NONE) {
            out->cluster[r->number[i]] = (DedupeCluster){ d->row.p[r->best[i]].id, first, 0 };
            first += r->size[i];
        }
    for (size_t i = 0; i < d->row.n; i++) {
        const uint32_t number = r->number[verify_root(v, d->row.p[i].distinct)];
        if (number != NONE) {
            DedupeCluster *c = &out->cluster[number];
            out->member[c->first + c->n++] = d->row.p[i].id;
        }
    }
    out->n_removed = members - out->n_clusters;
}

/* The distinct rows that are near duplicates of another distinct row that stays, ascending, and what they share with it. */
typedef struct Near { uint32_t *a, *b; double *jaccard; size_t n; } Near;

static int near_measure(const Dedupe *d, Verify *v, const Roots *r, Near *x, Err *e)
{
    size_t n = 0;
    for (size_t i = 0; i < d->exact.n; i++)
        n += r->number[verify_root(v, (uint32_t)i)] != NONE;
    x->a = mem_alloc(MAX(n, (size_t)1) * sizeof *x->a);
    x->b = mem_alloc(MAX(n, (size_t)1) * sizeof *x->b);
    x->jaccard = mem_alloc(MAX(n, (size_t)1) * sizeof *x->jaccard);
    for (size_t i = 0; i < d->exact.n; i++) {
        const uint32_t root = verify_root(v, (uint32_t)i);
        const uint32_t kept = d->row.p[r->best[root]].distinct;
        if (r->number[root] != NONE && kept != i) {
            x->a[x->n] = (uint32_t)i;
            x->b[x->n++] = kept;
        }
    }
    return verify_measure(v, x->a, x->b, x->n, x->jaccard, e);
}

static double near_jaccard(const Near *x, uint32_t distinct)
{
    size_t lo = 0, hi = x->n;
    while (lo < hi) {
        const size_t mid = (lo + hi) / 2;
        if (x->a[mid] < distinct)
            lo = mid + 1;
        else
            hi = mid;
    }
    BUG_ON(lo == x->n || x->a[lo] != distinct);
    return x->jaccard[lo];
}

static void removed_fill(const Dedupe *d, Verify *v, const Roots *r, const Near *x, DedupeResult *out)
{
    out->removed = mem_alloc(MAX(out->n_removed, (size_t)1) * sizeof *out->removed);
    size_t n = 0;
    for (size_t i = 0; i < d->row.n; i++) {
        const DedupeRow *row = &d->row.p[i];
        const uint32_t root = verify_root(v, row->distinct);
        const DedupeRow *kept = &d->row.p[r->best[root]];
        if (r->number[root] == NONE || kept == row)
            continue;
        const bool exact = row->distinct == kept->distinct;
        out->n_exact += exact;
        out->removed[n++] = (DedupeRemoved){ row->id, kept->id, r->number[root], exact ? 1 : near_jaccard(x, row->distinct), exact };
    }
    BUG_ON(n != out->n_removed);
}

int dedupe_finish(Dedupe *d, Pool *pool, DedupeText text_of, void *ctx, DedupeResult *out, Err *e)
{
    BUG_ON(d->finished);
    d->finished = true;
    *out = (DedupeResult){ .rows = d->row.n, .distinct = d->exact.n };
    Roots roots = { 0 };
    Near near = { 0 };
    Verify *v = verify_new(d, pool, text_of, ctx);
    int rc = bucket_search(d, v, pool, &out->left_out, e);
    if (rc)
        goto done;
    roots_find(d, v, &roots);
    clusters_fill(d, v, &roots, out);
    rc = near_measure(d, v, &roots, &near, e);
    if (rc)
        goto done;
    removed_fill(d, v, &roots, &near, out);
    out->compared = verify_compared(v);
done:
    if (rc)
        dedupe_result_release(out);
    verify_free(v);
    free(roots.size);
    free(roots.best);
    free(roots.number);
    free(near.a);
    free(near.b);
    free(near.jaccard);
    return rc;
}

void dedupe_result_release(DedupeResult *r)
{
    free(r->removed);
    free(r->cluster);
    free(r->member);
    *r = (DedupeResult){ 0 };
}
