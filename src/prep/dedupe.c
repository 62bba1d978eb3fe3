/* dedupe.c - the search from beginning to end: copies, near duplicates, and what became of each row. Struct: Dedupe (dedupe_int.h). Invariant: a distinct row's
 * number is smaller than that of every distinct row added after it, so the smallest of a cluster, its root in dedupe_verify.c, is its first row.
 * What is kept for each row, by step, in bytes (rows of the file, of which distinct ones may be fewer); all else lies in files that are sorted (sorter.h):
 *   copies    0.2 first, before
 *   search    2.2 as before, size + 4 parent
 *   members   6.2 as before + 0.1 shared
 *   judging   2.2 first, before, size
 * so DEDUPE_ROW_BYTES is that of the members. */
#include "prep/dedupe_int.h"

#include <math.h>
#include <stdlib.h>

#define TOLD ((size_t)1 << 15) /* pairs that are measured at once */

/* A row of a cluster of two and more. */
typedef struct Member { uint32_t root, number, id; float score; } Member;

/* A row that leaves; pair: index into Judge.jaccard, MEASURED_EXACT of a copy. */
typedef struct Told { uint32_t id, kept, cluster, pair; double jaccard; } Told;

int dedupe_stopped(const Dedupe *d, Err *e)
{
    return d->c.stop_asked && d->c.stop_asked(d->c.ctx) ? err_set(e, ERR_STOP, "stopped while duplicates were searched; the same command goes on") : 0;
}

static Sorter *sorter_of(const Dedupe *d, const char *ending, size_t size, SorterOrder order)
{
    StrBuf path = { 0 };
    strbuf_addf(&path, "%s.%s", d->c.keys, ending);
    Sorter *s = sorter_new(strbuf_z(&path), size, order, d->c.sort_bytes / 4);
    strbuf_release(&path);
    return s;
}

/* ---- the members of clusters ------------------------------------------------------------------------------------------------------------------------- */

static int by_cluster(const void *a, const void *b)
{
    const Member *x = a, *y = b;
    if (x->root != y->root)
        return x->root < y->root ? -1 : 1;
    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static const Member *member_at(const Sorter *s, size_t i) { return sorter_at(s, i); }

static uint32_t number_of_copy(const Dedupe *d, size_t i) { return exact_number(d, ((const Copy *)sorter_at(d->copies, i))->first); }

/* A bit for each distinct row: it is the root of a cluster with other rows in it. */
static uint64_t *shared_roots(const Dedupe *d, Verify *v)
{
    uint64_t *bits = mem_zalloc(d->distinct / 64 + 1, sizeof *bits);
    for (uint32_t i = 0; i < d->distinct; i++) {
        const uint32_t root = verify_root(v, i);
        if (root != i)
            bits[root / 64] |= (uint64_t)1 << root % 64;
    }
    for (size_t i = 0; i < sorter_count(d->copies); i++) {
        const uint32_t root = verify_root(v, number_of_copy(d, i));
        bits[root / 64] |= (uint64_t)1 << root % 64;
    }
    return bits;
}

static int members_find(const Dedupe *d, Verify *v, Sorter *members, Err *e)
{
    uint64_t *shared = shared_roots(d, v);
    uint32_t  next = 0;
    size_t    copy = 0;
    int       rc = 0;
    for (size_t k = 0; k < d->file.block.n && !rc; k++) {
        const KeyBlock *b = &d->file.block.p[k];
        const uint32_t *id = key_file_ids(&d->file, b);
        const float    *score = key_file_scores(&d->file, b);
        rc = dedupe_stopped(d, e);
        for (size_t i = 0; i < b->n && !rc; i++) {
            const uint32_t number = dedupe_is_first(d, b->first + i) ? next++ : number_of_copy(d, copy++);
            const uint32_t root = verify_root(v, number);
            if (shared[root / 64] >> root % 64 & 1)
                rc = sorter_add(members, &(Member){ root, number, id[i], isnan(score[i]) ? -INFINITY : score[i] }, e);
        }
    }
    free(shared);
    return rc ? rc : sorter_end(members, e);
}

/* ---- who stays of each ------------------------------------------------------------------------------------------------------------------------------- */

enum { MEASURED_EXACT, MEASURED_BEFORE, MEASURED_NEW }; /* places in Judge.jaccard: 1, the last one of the batch before, and those of the batch */

typedef struct Judge {
    Verify   *v;
    Sorter   *told;
    uint32_t *a, *b;      /* [MEASURED_NEW + TOLD] pairs of distinct rows */
    double   *jaccard;
    size_t    n;
    Told     *wait;       /* [TOLD] rows whose pair has no number yet */
    size_t    n_wait;
} Judge;

static int by_id(const void *a, const void *b)
{
    const Told *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static int judge_measure(Judge *j, Err *e)
{
    int rc = verify_measure(j->v, j->a + MEASURED_NEW, j->b + MEASURED_NEW, j->n - MEASURED_NEW, j->jaccard + MEASURED_NEW, e);
    for (size_t i = 0; i < j->n_wait && !rc; i++) {
        j->wait[i].jaccard = j->jaccard[j->wait[i].pair];
        rc = sorter_add(j->told, &j->wait[i], e);
    }
    j->jaccard[MEASURED_BEFORE] = j->jaccard[j->n - 1];
    j->n = MEASURED_NEW;
    j->n_wait = 0;
    return rc;
}

/* Members [from, to) are a cluster. Each distinct row that is near the best is measured once; its copies follow it and have the same number. */
static int judge_cluster(Judge *j, const Sorter *members, size_t from, size_t to, uint32_t cluster, Err *e)
{
    Member best = *member_at(members, from);
    for (size_t i = from + 1; i < to; i++) {
        const Member m = *member_at(members, i);
        if (m.score > best.score || (m.score == best.score && m.id < best.id))
            best = m;
    }
    uint32_t measured = best.number;
    for (size_t i = from; i < to; i++) {
        const Member m = *member_at(members, i);
        if (m.id == best.id)
            continue;
        if (j->n == MEASURED_NEW + TOLD || j->n_wait == TOLD) {
            const int rc = judge_measure(j, e);
            if (rc)
                return rc;
        }
        if (m.number != best.number && m.number != measured) {
            j->a[j->n] = measured = m.number;
            j->b[j->n++] = best.number;
        }
        j->wait[j->n_wait++] = (Told){ .id = m.id, .kept = best.id, .cluster = cluster, .pair = m.number == best.number ? MEASURED_EXACT : (uint32_t)j->n - 1 };
    }
    return 0;
}

static int judge(Verify *v, const Sorter *members, Sorter *told, size_t *clusters, Err *e)
{
    Judge j = { .v = v, .told = told, .n = MEASURED_NEW };
    int   rc = 0;
    j.a = mem_alloc((MEASURED_NEW + TOLD) * sizeof *j.a);
    j.b = mem_alloc((MEASURED_NEW + TOLD) * sizeof *j.b);
    j.jaccard = mem_alloc((MEASURED_NEW + TOLD) * sizeof *j.jaccard);
    j.wait = mem_alloc(TOLD * sizeof *j.wait);
    j.jaccard[MEASURED_EXACT] = j.jaccard[MEASURED_BEFORE] = 1;
    for (size_t from = 0, to; from < sorter_count(members) && !rc; from = to) {
        const uint32_t root = member_at(members, from)->root;
        for (to = from + 1; to < sorter_count(members) && member_at(members, to)->root == root;)
            to++;
        rc = judge_cluster(&j, members, from, to, (uint32_t)(*clusters)++, e);
    }
    rc = rc ? rc : judge_measure(&j, e);
    free(j.a);
    free(j.b);
    free(j.jaccard);
    free(j.wait);
    return rc ? rc : sorter_end(told, e);
}

static int tell(const Dedupe *d, const Sorter *told, DedupeFound *out, Err *e)
{
    int rc = 0;
    for (size_t i = 0; i < sorter_count(told) && !rc; i++) {
        const Told         *t = sorter_at(told, i);
        const DedupeRemoved x = { t->id, t->kept, t->cluster, t->jaccard, t->pair == MEASURED_EXACT };
        out->removed++;
        out->exact += x.exact;
        rc = i % DEDUPE_BLOCK ? 0 : dedupe_stopped(d, e);
        rc = rc ? rc : d->c.removed(d->c.ctx, &x, e);
    }
    return rc;
}

/* ---- the search -------------------------------------------------------------------------------------------------------------------------------------- */

static void forget_copies(Dedupe *d)
{
    sorter_free(d->copies);
    d->copies = NULL;
}

static void forget_rows(Dedupe *d)
{
    forget_copies(d);
    key_file_close(&d->file);
    free(d->first);
    free(d->before);
    free(d->size);
    d->first = NULL;
    d->before = NULL;
    d->size = NULL;
}

int dedupe_find(const DedupeCfg *c, DedupeFound *out, Err *e)
{
    Dedupe d = { .c = *c };
    d.c.cache_bytes = c->cache_bytes ? MAX(c->cache_bytes, DEDUPE_CACHE_MIN) : DEDUPE_CACHE;
    d.c.sort_bytes = c->sort_bytes ? MAX(c->sort_bytes, DEDUPE_SORT_MIN) : DEDUPE_SORT;
    *out = (DedupeFound){ 0 };
    Verify *v = NULL;
    Sorter *members = sorter_of(&d, "members", sizeof(Member), by_cluster), *told = sorter_of(&d, "told", sizeof(Told), by_id);
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
        rc = members_find(&d, v, members, e);
    if (!rc) {
        forget_copies(&d);
        verify_end_joining(v);
        rc = judge(v, members, told, &out->clusters, e);
    }
    out->compared = v ? verify_compared(v) : 0;
    verify_free(v);
    sorter_free(members);
    forget_rows(&d);
    if (!rc)
        rc = tell(&d, told, out, e);
    sorter_free(told);
    return rc;
}
