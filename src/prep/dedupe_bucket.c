/* dedupe_bucket.c - which pairs of rows are looked at. Band by band, the rows are sorted by the band's key; a run of one key is a bucket. Neighbours go
 * first, in all buckets, so that copies are one cluster before anything quadratic begins; then the pairs of small buckets, and large ones by prefix filter
 * (dedupe.h has the rule and its sources). Where the rows of a band are more than may be sorted at once, the keys are divided into ranges, and each is read
 * from the file and sorted when its turn comes, first for the neighbours and again for the buckets.
 * Invariant: everything here is one thread's work in a fixed order, that of the keys, with one range or many; only sorting, reading and comparing is shared. */
#include "prep/dedupe_int.h"

#include <stdatomic.h>
#include <stdlib.h>

#define COUNT_BITS_MAX 20
#define JOIN_CACHES    2 /* memory for shingles of a large bucket, in cache_bytes: every part of them reads all texts again */
#define BINS           ((size_t)1 << 16) /* of keys by their upper half: what ranges are made of. Keys are hashes, so a bin is small unless one key fills it */

typedef struct Range { uint32_t from, to; size_t n; } Range; /* bins [from, to), n rows */

typedef struct Search {
    const Dedupe *d;
    Verify  *v;
    Pool    *pool;
    uint64_t left_out;
    size_t   band;
    VEC(Range) range;      /* of the band */
    uint64_t *entry;       /* key << 32 | distinct row: a range in order, and behind it as much room for sorting */
    size_t   n, cap, loaded; /* entries; room for them; which range they are, or as many as there are ranges: none */
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
    const size_t prefix = shingles_prefix(n, minhash_cfg(k->s->d->c.minhash)->threshold);
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

static int bucket_large(Search *s, uint64_t *run, size_t n, Err *e)
{
    if (one_cluster(s->v, run, n))
        return 0;
    Bucket k = { .s = s, .n = n, .groups = 1 };
    uint64_t *entry = NULL;
    size_t total = 0, shingles = 0;
    k.row = mem_alloc(n * sizeof *k.row);
    k.at = mem_alloc(n * sizeof *k.at);
    for (size_t i = 0; i < n; i++) { /* the key has served: the run is put into order by size */
        const uint32_t size = exact_size(s->d, (uint32_t)run[i]);
        run[i] = (uint64_t)size << 32 | (uint32_t)run[i];
        shingles += size;
    }
    dedupe_sort(run, s->entry + s->n, n, s->pool);
    for (size_t i = 0; i < n; i++)
        k.row[i] = (uint32_t)run[i];
    for (k.count_bits = 8; k.count_bits < COUNT_BITS_MAX && (size_t)1 << k.count_bits < 2 * shingles;)
        k.count_bits++;
    k.count = mem_zalloc((size_t)1 << k.count_bits, sizeof *k.count);
    int rc = verify_flush(s->v, e);
    if (!rc)
        rc = verify_each(s->v, k.row, n, count_set, &k, e);
    if (!rc)
        rc = prefix_count(&k, &total, e);
    k.groups = total * 2 * sizeof *entry / (JOIN_CACHES * s->d->c.cache_bytes) + 1; /* many rows or long texts: a part of the shingles at a time */
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

static int bucket_small(Search *s, uint64_t *run, size_t n, Err *e)
{
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++)
        for (size_t j = i + 2; j < n && !rc; j++) /* i + 1: its neighbour, and done */
            rc = neighbours(s, (uint32_t)run[i], (uint32_t)run[j], e);
    return rc;
}

/* ---- the rows of a band, range by range ----------------------------------------------------------------------------------------------------------- */

/* Reads the band of every distinct row that has shingles. out NULL: counts the rows of each bin; else those of the range are put down, *n of them. */
static int band_read(const Search *s, const Range *r, uint32_t *bin, uint64_t *out, size_t *n, Err *e)
{
    const Dedupe *d = s->d;
    uint32_t next = 0;
    int      rc = 0;
    *n = 0;
    for (size_t k = 0; k < d->file.block.n && !(rc = dedupe_stopped(d, e)); k++) {
        const KeyBlock *b = &d->file.block.p[k];
        const uint32_t *key = key_file_band(&d->file, b, s->band);
        for (size_t i = 0; i < b->n; i++) {
            if (!dedupe_is_first(d, b->first + i))
                continue;
            const uint32_t row = next++;
            if (!d->size[row])
                continue;
            if (!out)
                bin[key[i] >> 16]++;
            else if ((key[i] >> 16) - r->from < r->to - r->from)
                out[(*n)++] = (uint64_t)key[i] << 32 | row;
        }
    }
    return rc;
}

/* One range, or as many as are needed so that none but a single bin has more rows than can be sorted at once. */
static int plan_ranges(Search *s, Err *e)
{
    const size_t most = s->d->c.sort_bytes / 4 * 3 / (2 * sizeof *s->entry); /* a quarter is for copies */
    int rc = 0;
    vec_clear(&s->range);
    if (s->d->distinct <= most) {
        *vec_push(&s->range) = (Range){ 0, BINS, s->d->distinct };
    } else {
        uint32_t *bin = mem_zalloc(BINS, sizeof *bin);
        size_t    none;
        rc = band_read(s, NULL, bin, NULL, &none, e);
        for (uint32_t k = 0; k < BINS; k++) {
            Range *last = s->range.n ? &s->range.p[s->range.n - 1] : NULL;
            if (last && last->n + bin[k] <= most) {
                last->to = k + 1;
                last->n += bin[k];
            } else {
                *vec_push(&s->range) = (Range){ k, k + 1, bin[k] };
            }
        }
        free(bin);
    }
    s->loaded = s->range.n;
    return rc;
}

static int load_range(Search *s, size_t number, Err *e)
{
    const Range *r = &s->range.p[number];
    if (s->loaded == number)
        return 0;
    if (!s->entry || r->n > s->cap) {
        free(s->entry);
        s->cap = MAX(r->n, (size_t)1);
        s->entry = mem_alloc(2 * s->cap * sizeof *s->entry);
    }
    const int rc = band_read(s, r, NULL, s->entry, &s->n, e);
    s->loaded = number;
    dedupe_sort(s->entry, s->entry + s->n, s->n, s->pool);
    return rc;
}

static int all_neighbours(Search *s, Err *e)
{
    int rc = 0;
    for (size_t i = 1; i < s->n && !rc; i++)
        if (s->entry[i] >> 32 == s->entry[i - 1] >> 32)
            rc = neighbours(s, (uint32_t)s->entry[i - 1], (uint32_t)s->entry[i], e);
    return rc;
}

static int all_buckets(Search *s, Err *e)
{
    int rc = 0;
    for (size_t from = 0, end; from < s->n && !rc; from = end) {
        end = run_end(s->entry, s->n, from);
        rc = (end - from > DEDUPE_BUCKET ? bucket_large : bucket_small)(s, s->entry + from, end - from, e);
    }
    return rc;
}

int bucket_search(const Dedupe *d, Verify *v, uint64_t *left_out, Err *e)
{
    static int (*const step[])(Search *, Err *) = { all_neighbours, all_buckets };
    Search s = { .d = d, .v = v, .pool = d->c.pool };
    const size_t bands = (size_t)minhash_cfg(d->c.minhash)->bands;
    int rc = 0;
    for (; s.band < bands && !rc; s.band++) {
        rc = plan_ranges(&s, e);
        for (size_t k = 0; k < ARRAY_LEN(step) && !rc; k++) {
            for (size_t i = 0; i < s.range.n && !rc; i++) {
                rc = load_range(&s, i, e);
                rc = rc ? rc : step[k](&s, e);
            }
            if (!rc)
                rc = verify_flush(v, e);
        }
    }
    vec_release(&s.range);
    free(s.entry);
    *left_out = s.left_out;
    return rc;
}
