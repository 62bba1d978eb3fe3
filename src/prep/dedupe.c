/* dedupe.c - the search from beginning to end: copies, near duplicates, and what became of each row. Struct: Dedupe (dedupe_int.h). Invariant: a distinct row's
 * number is smaller than that of every distinct row added after it, so the smallest of a cluster, its root in dedupe_verify.c, is its first row.
 * What is kept for each row, by step, in bytes (rows of the file, of which distinct ones may be fewer):
 *   copies     4 same                              + the table of a range
 *   search     8 same, id + 12 shingles, slot, parent + the sorted range, the cache
 *   clusters  20 as before + 12 best, score, number
 *   measure   20 as before +  8 best, number       + the cache
 *   telling   12 same, parent, number + 4 best + 8 Jaccard
 * so DEDUPE_ROW_BYTES is that of the clusters. */
#include "prep/dedupe_int.h"

#include <math.h>
#include <stdlib.h>

#define NONE UINT32_MAX
#define TOLD ((size_t)1 << 16) /* pairs that are measured at once */

/* What the clusters are made from, by root: the best of its rows, and its number among the clusters of two and more (NONE: it is alone). */
typedef struct Roots { uint32_t *best, *number; size_t n; } Roots;

static void roots_find(const Dedupe *d, Verify *v, Roots *r)
{
    const size_t n = MAX(d->distinct, (size_t)1);
    float *score = mem_alloc(n * sizeof *score);
    r->best = mem_alloc(n * sizeof *r->best);
    r->number = mem_alloc(n * sizeof *r->number); /* for now: how many rows it has, of none, one, and more */
    memset(r->number, 0, n * sizeof *r->number);
    for (size_t k = 0; k < d->file.block.n; k++) {
        const KeyBlock *b = &d->file.block.p[k];
        const float    *given = key_file_scores(&d->file, b);
        for (size_t i = 0; i < b->n; i++) {
            const uint32_t root = verify_root(v, d->same[b->first + i]);
            const float    x = isnan(given[i]) ? -INFINITY : given[i];
            if (!r->number[root] || x > score[root]) {
                r->best[root] = (uint32_t)(b->first + i);
                score[root] = x;
            }
            r->number[root] = MIN(r->number[root] + 1, 2u);
        }
    }
    for (size_t i = 0; i < d->distinct; i++)
        r->number[i] = r->number[i] == 2 ? (uint32_t)r->n++ : NONE;
    free(score);
}

/* The distinct row that stays for i, another one than i; NONE: there is none. */
static uint32_t stands_for(const Dedupe *d, Verify *v, const Roots *r, uint32_t i)
{
    const uint32_t root = verify_root(v, i);
    const uint32_t kept = r->number[root] == NONE ? i : d->same[r->best[root]];
    return kept == i ? NONE : kept;
}

/* Measures what every distinct row that is a near duplicate shares with the one that stays, in order, into a file: while the cache is there, there is no
 * room for the numbers. */
static int near_measure(const Dedupe *d, Verify *v, const Roots *r, const char *path, Err *e)
{
    uint32_t *a = mem_alloc(TOLD * sizeof *a), *b = mem_alloc(TOLD * sizeof *b);
    double   *jaccard = mem_alloc(TOLD * sizeof *jaccard);
    FileLog   out = { .fd = -1 };
    size_t    n = 0;
    int       rc = file_log_open(&out, path, 0, e);
    for (size_t i = 0; i <= d->distinct && !rc; i++) {
        if (n && (i == d->distinct || n == TOLD)) {
            rc = verify_measure(v, a, b, n, jaccard, e);
            if (!rc)
                rc = file_log_add(&out, jaccard, n * sizeof *jaccard, e);
            n = 0;
        }
        const uint32_t kept = i < d->distinct ? stands_for(d, v, r, (uint32_t)i) : NONE;
        if (kept == NONE)
            continue;
        a[n] = (uint32_t)i;
        b[n++] = kept;
    }
    file_log_close(&out);
    free(a);
    free(b);
    free(jaccard);
    return rc;
}

/* [distinct] of those that were measured; what was not is never touched, and takes no memory. */
static int near_read(const Dedupe *d, Verify *v, const Roots *r, const char *path, double **jaccard, Err *e)
{
    View     from = { 0 };
    uint64_t at = 0;
    const int rc = view_open(&from, path, e);
    *jaccard = mem_zalloc(d->distinct + 1, sizeof **jaccard);
    for (size_t i = 0; i < d->distinct && !rc; i++)
        if (stands_for(d, v, r, (uint32_t)i) != NONE) {
            memcpy(&(*jaccard)[i], view_at(&from, at, sizeof **jaccard), sizeof **jaccard);
            at += sizeof **jaccard;
        }
    view_close(&from);
    return rc;
}

static int tell(const Dedupe *d, Verify *v, const Roots *r, const double *jaccard, DedupeFound *out, Err *e)
{
    int rc = 0;
    for (size_t k = 0; k < d->file.block.n && !rc; k++) {
        const KeyBlock *b = &d->file.block.p[k];
        const uint32_t *id = key_file_ids(&d->file, b);
        for (size_t i = 0; i < b->n && !rc; i++) {
            const size_t   row = b->first + i;
            const uint32_t root = verify_root(v, d->same[row]), best = r->best[root];
            if (r->number[root] == NONE || best == row)
                continue;
            const bool exact = d->same[row] == d->same[best];
            const DedupeRemoved x = { id[i], key_file_id(&d->file, best), r->number[root], exact ? 1 : jaccard[d->same[row]], exact };
            out->removed++;
            out->exact += exact;
            rc = d->c.removed(d->c.ctx, &x, e);
        }
    }
    return rc;
}

/* Clusters, what is near in them, and every row that leaves. */
static int clusters(Dedupe *d, Verify *v, DedupeFound *out, Err *e)
{
    StrBuf  path = { 0 };
    Roots   roots = { 0 };
    double *jaccard = NULL;
    roots_find(d, v, &roots);
    out->clusters = roots.n;
    strbuf_addf(&path, "%s.near", d->c.keys);
    int rc = near_measure(d, v, &roots, strbuf_z(&path), e);
    verify_end(v);
    free(d->n_shingles);
    free(d->id);
    d->n_shingles = d->id = NULL;
    if (!rc)
        rc = near_read(d, v, &roots, strbuf_z(&path), &jaccard, e);
    dir_remove(strbuf_z(&path), NULL); /* what cannot be removed goes with the folder */
    if (!rc)
        rc = tell(d, v, &roots, jaccard, out, e);
    strbuf_release(&path);
    free(roots.best);
    free(roots.number);
    free(jaccard);
    return rc;
}

int dedupe_find(const DedupeCfg *c, DedupeFound *out, Err *e)
{
    Dedupe d = { .c = *c };
    d.c.cache_bytes = c->cache_bytes ? MAX(c->cache_bytes, DEDUPE_CACHE_MIN) : DEDUPE_CACHE;
    d.c.sort_bytes = c->sort_bytes ? MAX(c->sort_bytes, DEDUPE_SORT_MIN) : DEDUPE_SORT;
    *out = (DedupeFound){ 0 };
    Verify *v = NULL;
    int rc = key_file_open(&d.file, c->keys, minhash_cfg(c->minhash)->bands, e);
    if (!rc)
        rc = exact_find(&d, e);
    if (!rc) {
        out->rows = d.file.rows;
        out->distinct = d.distinct;
        v = verify_new(&d);
        rc = bucket_search(&d, v, &out->left_out, e);
    }
    if (!rc)
        rc = clusters(&d, v, out, e);
    out->compared = v ? verify_compared(v) : 0;
    verify_free(v);
    key_file_close(&d.file);
    free(d.same);
    free(d.id);
    free(d.n_shingles);
    return rc;
}
