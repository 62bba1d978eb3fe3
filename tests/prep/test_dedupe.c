/* test_dedupe.c - clusters against brute force over sets of word numbers, which share no code with the module; large buckets; threads; little memory for sorting;
 * the memory that a row takes; files that are none; the indexes. */
#include "base/check.h"

#include "base/file_test.h"
#include "base/mem.h"
#include "base/rng.h"
#include "prep/dedupe.h"
#include "prep/dedupe_near.h"
#include "prep/dedupe_ngram.h"

#include <malloc.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>

typedef struct Result { DedupeFound found; VEC(DedupeRemoved) removed; } Result;
typedef struct Corpus { VEC(char *) text; VEC(float) score; int fail_at, stop_at, asked; Result *result; } Corpus; /* stop_at: how many looks at it say no; 0: all */

static void corpus_add(Corpus *c, const char *text, float score)
{
    *vec_push(&c->text) = mem_strdup(text);
    *vec_push(&c->score) = score;
}

static void corpus_release(Corpus *c)
{
    for (size_t i = 0; i < c->text.n; i++)
        free(c->text.p[i]);
    vec_release(&c->text);
    vec_release(&c->score);
}

static int text_of(void *ctx, int64_t row, int worker, StrBuf *out, Err *e)
{
    (void)worker;
    const Corpus *c = ctx;
    if (c->fail_at && row == c->fail_at)
        return err_set(e, ERR_IO, "row %d cannot be read", (int)row);
    strbuf_addz(out, c->text.p[row]);
    return 0;
}

static int keep_removed(void *ctx, const DedupeRemoved *r, Err *e)
{
    (void)e;
    *vec_push(&((Corpus *)ctx)->result->removed) = *r;
    return 0;
}

static bool stop_asked(void *ctx)
{
    Corpus *c = ctx;
    return ++c->asked > c->stop_at && c->stop_at;
}

static void result_release(Result *r)
{
    vec_release(&r->removed);
    *r = (Result){ 0 };
}

/* What a test may turn: 0 is the default of each. full_after: bytes until the disk is full. */
typedef struct How { double threshold; int words, threads; size_t cache, sort, block; bool one_bucket; int64_t full_after; } How;

/* The rows as a file; block: rows of one, so that there are many of different sizes. */
static char *keys_written(const Corpus *c, const How *h, const MinHash *m, const char *dir)
{
    Shingles *s = minhash_shingles(m);
    DedupeKeys *k = dedupe_keys_new(m);
    StrBuf out = { 0 };
    Err e;
    for (size_t i = 0; i < c->text.n; i++) {
        MinHashRow row;
        minhash_row(m, s, str_of(c->text.p[i]), &row);
        if (h->one_bucket)
            row.key[0] = 7;
        assert_int_equal(dedupe_add(k, (int64_t)i, &row, c->score.p[i], &out, &e), 0);
        if (h->block && i % h->block == 0)
            dedupe_end_block(k, &out);
    }
    dedupe_end_block(k, &out);
    char *path = path_join(dir, "keys");
    assert_int_equal(file_write_atomic(path, out.p ? out.p : "", out.n, &e), 0);
    strbuf_release(&out);
    dedupe_keys_free(k);
    shingles_free(s);
    return path;
}

static int search(Corpus *c, const How *h, Result *r, Err *e)
{
    MinHash *m;
    FileList left;
    char *dir = check_dir();
    assert_int_equal(minhash_new(&m, &(MinHashCfg){ .shingle.words = h->words, .threshold = h->threshold, .bands = h->one_bucket, .rows = h->one_bucket }, e),
                     0);
    char *keys = keys_written(c, h, m, dir);
    Pool *pool = h->threads ? pool_new(h->threads) : NULL;
    *r = (Result){ 0 };
    c->result = r;
    if (h->full_after)
        file_test_fail_after(h->full_after);
    const int rc = dedupe_find(&(DedupeCfg){ m, keys, pool, text_of, keep_removed, c, h->cache, h->sort, stop_asked }, &r->found, e);
    file_test_fail_after(-1);
    assert_int_equal(file_list(&left, dir, e->code ? NULL : e), 0);
    assert_int_equal(left.n, 1); /* the keys: nothing else is left */
    file_list_release(&left);
    pool_free(pool);
    minhash_free(m);
    free(keys);
    check_dir_done(dir);
    if (!rc)
        assert_int_equal(r->found.removed, r->removed.n);
    return rc;
}

static void must_search(Corpus *c, const How *h, Result *r)
{
    Err e = { 0 };
    if (search(c, h, r, &e))
        fail_msg("%s", e.text);
}

/* --- brute force ------------------------------------------------------------------------------------------------------------------------ */
/* The texts of these tests are words w<number> between single blanks; n of them (n <= 3) are one number of 63 bits, and a set is a sorted list of those. */
typedef struct Plain { uint64_t *set; size_t n; } Plain;

static int by_value(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static Plain *plain_sets(const Corpus *c, int n)
{
    Plain *all = mem_zalloc(c->text.n, sizeof *all);
    for (size_t i = 0; i < c->text.n; i++) {
        uint64_t word[128], *set = mem_alloc(sizeof word);
        size_t words = 0, kept = 0;
        for (const char *p = c->text.p[i]; *p; p += strcspn(p, " "), p += strspn(p, " ")) {
            assert_true(words < ARRAY_LEN(word));
            word[words++] = (uint64_t)atoi(p + 1);
        }
        assert_true(words >= (size_t)n);
        for (size_t k = 0; k + (size_t)n <= words; k++) {
            set[k] = 0;
            for (int j = 0; j < n; j++)
                set[k] = set[k] << 21 | word[k + (size_t)j];
        }
        qsort(set, words - (size_t)n + 1, sizeof *set, by_value);
        for (size_t k = 0; k + (size_t)n <= words; k++)
            if (!k || set[k] != set[k - 1])
                set[kept++] = set[k];
        all[i] = (Plain){ set, kept };
    }
    return all;
}

static void plain_free(Plain *all, size_t rows)
{
    for (size_t i = 0; i < rows; i++)
        free(all[i].set);
    free(all);
}

static double plain_jaccard(const Plain *a, const Plain *b)
{
    size_t both = 0;
    for (size_t i = 0, j = 0; i < a->n; i++) {
        while (j < b->n && b->set[j] < a->set[i])
            j++;
        both += j < b->n && b->set[j] == a->set[i];
    }
    return (double)both / (double)(a->n + b->n - both);
}

static size_t *plain_roots(const Plain *all, size_t rows, double threshold)
{
    size_t *root = mem_alloc(rows * sizeof *root);
    for (size_t i = 0; i < rows; i++)
        root[i] = i;
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < i; j++)
            if (root[i] != root[j] && plain_jaccard(&all[i], &all[j]) >= threshold) {
                const size_t from = MAX(root[i], root[j]), to = MIN(root[i], root[j]);
                for (size_t k = 0; k <= i; k++)
                    root[k] = root[k] == from ? to : root[k];
            }
    return root;
}

/* The outcome is these clusters: the best row of each stays, the others are named with its id and the true Jaccard, and clusters are numbered in order. */
static void check_clusters(const Corpus *c, const Plain *all, const size_t *root, const Result *r)
{
    size_t removed = 0;
    size_t *first = mem_alloc((r->found.clusters + 1) * sizeof *first); /* root of each */
    memset(first, 0xFF, (r->found.clusters + 1) * sizeof *first);
    for (size_t i = 0; i < c->text.n; i++) {
        size_t best = i;
        for (size_t k = c->text.n; k-- > 0;)
            if (root[k] == root[i] && c->score.p[k] >= c->score.p[best])
                best = k;
        if (best == i)
            continue;
        assert_true(removed < r->removed.n);
        const DedupeRemoved *x = &r->removed.p[removed++];
        assert_int_equal(x->row, i);
        assert_int_equal(x->kept, best);
        assert_true(x->jaccard == plain_jaccard(&all[i], &all[best]));
        assert_true(x->exact == !strcmp(c->text.p[i], c->text.p[best]));
        assert_true(x->cluster < r->found.clusters);
        assert_true(first[x->cluster] == SIZE_MAX || first[x->cluster] == root[i]);
        first[x->cluster] = root[i];
    }
    assert_int_equal(removed, r->removed.n);
    for (size_t k = 0; k < r->found.clusters; k++)
        assert_true(first[k] != SIZE_MAX && (!k || first[k] > first[k - 1]));
    free(first);
}

static bool same_result(const Result *a, const Result *b)
{
    if (memcmp(&a->found, &b->found, sizeof a->found) != 0 || a->removed.n != b->removed.n)
        return false;
    for (size_t i = 0; i < a->removed.n; i++) {
        const DedupeRemoved *x = &a->removed.p[i], *y = &b->removed.p[i];
        if (x->row != y->row || x->kept != y->kept || x->cluster != y->cluster || x->jaccard != y->jaccard || x->exact != y->exact)
            return false;
    }
    return true;
}

/* --- texts ------------------------------------------------------------------------------------------------------------------------------- */
static uint32_t below(Rng *r, uint32_t n)
{
    return (uint32_t)rng_below(r, n);
}

/* `texts` texts of 30 to 120 words, and after each 0 to 3 copies with up to `edits` words changed. */
static void corpus_planted(Corpus *c, uint64_t seed, int texts, uint32_t edits)
{
    Rng r = rng_at(seed, RNG_TEST, 5, 0);
    StrBuf b = { 0 };
    for (int t = 0; t < texts; t++) {
        uint32_t word[120], n = 30 + below(&r, 91);
        for (uint32_t i = 0; i < n; i++)
            word[i] = below(&r, 5000);
        for (uint32_t copies = below(&r, 4), k = 0; k <= copies; k++) {
            for (uint32_t i = 0, changes = k ? below(&r, edits + 1) : 0; i < changes; i++)
                word[below(&r, n)] = below(&r, 5000);
            strbuf_clear(&b);
            for (uint32_t i = 0; i < n; i++)
                strbuf_addf(&b, "%sw%u", i ? " " : "", word[i]);
            corpus_add(c, strbuf_z(&b), (float)below(&r, 4));
        }
    }
    strbuf_release(&b);
}

static void test_brute_force(void **state)
{
    (void)state;
    Corpus c = { 0 };
    corpus_planted(&c, 1, 150, 2);
    size_t strong = 0, found = 0, middling = 0, caught = 0;
    double expected = 0, variance = 0;
    Result r;
    Plain *all = plain_sets(&c, 3);
    must_search(&c, &(How){ .words = 3 }, &r);
    size_t *cluster = mem_alloc(c.text.n * sizeof *cluster);
    for (size_t i = 0; i < c.text.n; i++)
        cluster[i] = SIZE_MAX - i;
    for (size_t i = 0; i < r.removed.n; i++)
        cluster[r.removed.p[i].row] = cluster[r.removed.p[i].kept] = r.removed.p[i].cluster;
    for (size_t i = 0; i < c.text.n; i++)
        for (size_t j = 0; j < i; j++) {
            const double jaccard = plain_jaccard(&all[i], &all[j]);
            const bool same = cluster[i] == cluster[j];
            if (jaccard >= 0.85) {
                strong++;
                found += same;
            } else if (jaccard >= 0.8) {
                const double p = minhash_catch(jaccard, 17, 8);
                middling++;
                caught += same;
                expected += p;
                variance += p * (1 - p);
            }
        }
    assert_true(strong > 100);
    assert_int_equal(found, strong); /* all of them at Jaccard 0.85 and above */
    assert_true(middling > 10);
    assert_true((double)caught >= expected - 4 * sqrt(variance)); /* and no fewer than the formula says below it; chains find more */

    /* no row is joined that brute force does not join: its clusters hold these */
    size_t *root = plain_roots(all, c.text.n, 0.8);
    for (size_t i = 0; i < r.removed.n; i++)
        assert_int_equal(root[r.removed.p[i].row], root[r.removed.p[i].kept]);
    free(root);
    plain_free(all, c.text.n);
    free(cluster);
    result_release(&r);
    corpus_release(&c);
}

/* With all rows in one bucket nothing is left to chance: the clusters are those of brute force, at any threshold, cache and number of threads. */
static void test_one_bucket(void **state)
{
    (void)state;
    Corpus c = { 0 };
    corpus_planted(&c, 2, 120, 6);
    assert_true(c.text.n > 2 * DEDUPE_BUCKET);
    Plain *all = plain_sets(&c, 2);
    static const double threshold[] = { 0.3, 0.5, 0.8, 0.9, 1 };
    for (size_t i = 0; i < ARRAY_LEN(threshold); i++) {
        Result r, other;
        size_t *root = plain_roots(all, c.text.n, threshold[i]);
        must_search(&c, &(How){ .words = 2, .threshold = threshold[i], .one_bucket = true }, &r);
        check_clusters(&c, all, root, &r);
        assert_int_equal(r.found.left_out, 0);
        for (int threads = 1; threads <= 4; threads *= 2) {
            must_search(&c, &(How){ .words = 2, .threshold = threshold[i], .one_bucket = true, .threads = threads }, &other);
            assert_true(same_result(&r, &other));
            result_release(&other);
        }
        static const size_t cache[] = { 1, 100000 }; /* texts are read again and again, shingles joined a part at a time */
        for (size_t k = 0; k < ARRAY_LEN(cache); k++) {
            must_search(&c, &(How){ .words = 2, .threshold = threshold[i], .one_bucket = true, .cache = cache[k] }, &other);
            check_clusters(&c, all, root, &other);
            result_release(&other);
        }
        free(root);
        result_release(&r);
    }
    plain_free(all, c.text.n);
    corpus_release(&c);
}

/* Neither threads, nor how the file is cut into blocks, nor the memory there is for sorting (4 KiB: 256 rows of 9,000 at once) changes anything, the number of
 * comparisons included. */
static void test_threads(void **state)
{
    (void)state;
    static const How how[] = { { .threads = 1 }, { .threads = 2 }, { .threads = 4 }, { .block = 1000 }, { .block = 1 }, { .sort = 1 }, { .sort = 1, .block = 77, .threads = 3 }, { .sort = 100000 } };
    Corpus c = { 0 };
    corpus_planted(&c, 3, 4000, 3);
    Result r, other;
    must_search(&c, &(How){ 0 }, &r);
    assert_true(r.found.clusters > 1000 && r.found.exact > 500);
    for (size_t i = 0; i < ARRAY_LEN(how); i++) {
        must_search(&c, &how[i], &other);
        assert_true(same_result(&r, &other));
        result_release(&other);
    }
    result_release(&r);
    corpus_release(&c);
}

/* 20,000 rows of boilerplate that differ in one word of 60: one cluster, for about one comparison a row and one for its report, not 2e8. */
static void test_boilerplate(void **state)
{
    (void)state;
    Corpus c = { 0 };
    StrBuf b = { 0 };
    enum { ROWS = 20000 };
    for (int i = 0; i < ROWS; i++) {
        strbuf_clear(&b);
        for (int k = 0; k < 60; k++)
            strbuf_addf(&b, "w%d ", k);
        strbuf_addf(&b, "x%d", i);
        corpus_add(&c, strbuf_z(&b), 0);
    }
    Result r;
    must_search(&c, &(How){ .threads = 2 }, &r);
    assert_int_equal(r.found.clusters, 1);
    assert_int_equal(r.removed.n, ROWS - 1);
    assert_int_equal(r.removed.p[0].kept, 0);
    assert_true(r.removed.p[17].jaccard == 56.0 / 58.0); /* of 57 shingles each, all but the last */
    assert_int_equal(r.found.exact, 0);
    assert_true(r.found.compared <= 3 * ROWS);
    assert_int_equal(r.found.left_out, 0);
    result_release(&r);
    corpus_release(&c);
    strbuf_release(&b);
}

/* 6,000 rows in one bucket share a long text (Jaccard 0.61 between any two) and are no duplicates but for 200 planted twins, far from each other in the
 * file: each twin is found, and the 18 million pairs are not looked at. */
static void test_template(void **state)
{
    (void)state;
    Corpus c = { 0 };
    StrBuf b = { 0 };
    enum { ROWS = 6000, TWINS = 200 };
    for (int i = 0; i < ROWS; i++) {
        const int own = i < ROWS - TWINS ? i : (i - (ROWS - TWINS)) * 7; /* the last rows are twins of rows 0, 7, 14, ... */
        strbuf_clear(&b);
        for (int k = 0; k < 38; k++)
            strbuf_addf(&b, "w%d ", k);
        for (int k = 0; k < 12; k++)
            strbuf_addf(&b, "x%d ", own * 12 + k);
        if (own != i)
            strbuf_addz(&b, "twin");
        corpus_add(&c, strbuf_z(&b), (float)-i);
    }
    Result r;
    must_search(&c, &(How){ .words = 1, .one_bucket = true }, &r);
    assert_int_equal(r.removed.n, TWINS);
    for (int i = 0; i < TWINS; i++) {
        assert_int_equal(r.removed.p[i].row, ROWS - TWINS + i);
        assert_int_equal(r.removed.p[i].kept, 7 * i);
        assert_true(r.removed.p[i].jaccard == 50.0 / 51.0);
    }
    assert_int_equal(r.found.left_out, 0);
    assert_true(r.found.compared < 20 * ROWS);
    result_release(&r);
    corpus_release(&c);
    strbuf_release(&b);
}

/* Sets drawn from so few elements that every shingle is frequent: what is not compared is counted, and what is found is true. */
static void test_left_out(void **state)
{
    (void)state;
    Corpus c = { 0 };
    StrBuf b = { 0 };
    Rng rng = rng_at(1, RNG_TEST, 9, 0);
    for (int i = 0; i < 3000; i++) {
        strbuf_clear(&b);
        for (uint32_t k = 0; k < 40; k++)
            if (below(&rng, 2) || k == 0)
                strbuf_addf(&b, "%sw%u", k ? " " : "", k);
        corpus_add(&c, strbuf_z(&b), 0);
    }
    Result r, other;
    must_search(&c, &(How){ .words = 1, .threshold = 0.8, .one_bucket = true }, &r);
    assert_true(r.found.left_out > 0);
    assert_true(r.found.compared < 3000u * DEDUPE_WINDOW * 40u);
    Plain *all = plain_sets(&c, 1);
    size_t *root = plain_roots(all, c.text.n, 0.8);
    for (size_t i = 0; i < r.removed.n; i++)
        assert_int_equal(root[r.removed.p[i].row], root[r.removed.p[i].kept]);
    must_search(&c, &(How){ .words = 1, .threshold = 0.8, .one_bucket = true, .threads = 4, .sort = 1 }, &other);
    assert_true(same_result(&r, &other));
    plain_free(all, c.text.n);
    free(root);
    result_release(&r);
    result_release(&other);
    corpus_release(&c);
    strbuf_release(&b);
}

static void test_small(void **state)
{
    (void)state;
    static const struct { const char *text; float score; } row[] = {
        { "", 0 },                                               /* 0 stays: empty texts are equal */
        { "yes", 1 },                                            /* 1 */
        { "", 0 },                                               /* 2 goes to 0 */
        { "Yes!", 1 },                                           /* 3 goes to 1: tie, the first stays */
        { "no", 0 },                                             /* 4 stays */
        { "?", 0 },                                              /* 5 stays: no words, other bytes */
        { "!", 0 },                                              /* 6 stays */
        { "?", NAN },                                            /* 7 goes to 5: a NaN is below all */
        { "caf\xC3\xA9 au lait s'il vous pla\xC3\xAEt", 0 },     /* 8 goes to 9, which has the better score */
        { "CAFE\xCC\x81 au lait, s il vous plait", 2 },          /* 9 */
        { "\xE4\xBD\xA0\xE5\xA5\xBD", NAN },                     /* 10 goes to 11: any number is above NaN */
        { "\xE4\xBD\xA0 \xE5\xA5\xBD\xE3\x80\x82", -1 },         /* 11 */
        { "\xFF\xFE", 0 },                                       /* 12 goes to 13 */
        { "\xFF\xFE", 1 },                                       /* 13 */
    };
    static const struct { int64_t row, kept; } want[] = { { 2, 0 }, { 3, 1 }, { 7, 5 }, { 8, 9 }, { 10, 11 }, { 12, 13 } };
    Corpus c = { 0 };
    Result r;
    for (size_t i = 0; i < ARRAY_LEN(row); i++)
        corpus_add(&c, row[i].text, row[i].score);
    must_search(&c, &(How){ 0 }, &r);
    assert_int_equal(r.removed.n, ARRAY_LEN(want));
    assert_int_equal(r.found.exact, ARRAY_LEN(want));
    assert_int_equal(r.found.clusters, ARRAY_LEN(want));
    assert_int_equal(r.found.distinct, ARRAY_LEN(row) - ARRAY_LEN(want));
    assert_int_equal(r.found.compared, 0); /* exact duplicates cost nothing more */
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_int_equal(r.removed.p[i].row, want[i].row);
        assert_int_equal(r.removed.p[i].kept, want[i].kept);
        assert_true(r.removed.p[i].exact && r.removed.p[i].jaccard == 1);
    }
    result_release(&r);
    corpus_release(&c);

    must_search(&c, &(How){ .threads = 2 }, &r); /* no rows at all */
    assert_int_equal(r.found.removed + r.found.clusters + r.found.rows, 0);
    result_release(&r);
}

static void test_errors(void **state)
{
    (void)state;
    Corpus c = { 0 };
    corpus_planted(&c, 4, 40, 1);
    Corpus many = { 0 };
    corpus_planted(&many, 4, 800, 1);
    Result r;
    Err e = { 0 };
    must_search(&c, &(How){ .words = 2 }, &r);
    assert_true(r.found.removed - r.found.exact > 3);
    size_t near = 0;
    while (r.removed.p[near].exact)
        near++;
    const int64_t row = r.removed.p[near].row;
    result_release(&r);
    c.fail_at = (int)row;
    assert_int_equal(search(&c, &(How){ .words = 2, .threads = 2 }, &r, &e), ERR_IO);
    check_says(&e, ERR_IO, "cannot be read");
    assert_int_equal(r.removed.n, 0);
    c.fail_at = 0;
    e = (Err){ 0 };
    for (int64_t room = 1; room < 30000; room += 2900) { /* whichever file is the first that has no room: 4 KiB of memory are none for 2,000 rows */
        e = (Err){ 0 };
        assert_int_equal(search(&many, &(How){ .words = 2, .sort = 1, .full_after = room }, &r, &e), ERR_IO);
        check_says(&e, ERR_IO, "cannot write it: the disk is full; free some space and run again");
        assert_int_equal(r.removed.n, 0);
    }
    corpus_release(&many);
    corpus_release(&c);
}

/* Asked often, in every step; wherever the answer is to stop, it stops, nothing of its files is left, and the next search knows nothing of it. */
static void test_stop(void **state)
{
    (void)state;
    Corpus c = { 0 };
    corpus_planted(&c, 8, 3000, 3);
    Result whole, r;
    must_search(&c, &(How){ .sort = 1, .threads = 2 }, &whole);
    const int asked = c.asked;
    assert_true(asked > 200);
    for (int at = 1; at < asked; at += 1 + asked / 13) {
        Err e = { 0 };
        c.asked = 0;
        c.stop_at = at;
        assert_int_equal(search(&c, &(How){ .sort = 1, .threads = 2 }, &r, &e), ERR_STOP);
        check_says(&e, ERR_STOP, "stopped while duplicates were searched");
        assert_int_equal(c.asked, at + 1);
        result_release(&r);
    }
    c.stop_at = 0;
    must_search(&c, &(How){ .sort = 1, .threads = 2 }, &r);
    assert_true(same_result(&r, &whole));
    result_release(&r);
    result_release(&whole);
    corpus_release(&c);
}

/* Rows around DEDUPE_LARGE shingles, whose number is asked of the file: of each size a row, one that lacks its last word, and a copy of that. */
static void test_large(void **state)
{
    (void)state;
    static const uint32_t size[] = { 65533, 65534, 65535, 65536, 90000 };
    Corpus c = { 0 };
    StrBuf b = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(size); i++) {
        strbuf_clear(&b);
        for (uint32_t k = 0; k + 1 < size[i]; k++)
            strbuf_addf(&b, "w%zux%u ", i, k);
        corpus_add(&c, strbuf_z(&b), 0);
        strbuf_addz(&b, "end");
        corpus_add(&c, strbuf_z(&b), 1);
        corpus_add(&c, strbuf_z(&b), 0);
    }
    Result r;
    must_search(&c, &(How){ .words = 1, .cache = 1, .threads = 2 }, &r);
    assert_int_equal(r.found.clusters, ARRAY_LEN(size));
    assert_int_equal(r.removed.n, 2 * ARRAY_LEN(size));
    for (size_t i = 0; i < r.removed.n; i++) {
        const DedupeRemoved *x = &r.removed.p[i];
        assert_int_equal(x->row, i / 2 * 3 + (i % 2 ? 2 : 0));
        assert_int_equal(x->kept, i / 2 * 3 + 1);
        assert_true(x->exact == (i % 2 == 1));
        assert_true(x->jaccard == (x->exact ? 1 : (size[i / 2] - 1.0) / size[i / 2]));
    }
    result_release(&r);
    corpus_release(&c);
    strbuf_release(&b);
}

/* A file that is none, one that is cut, one of other bands, and a text that is another one when it is read again. */
static void test_changed(void **state)
{
    (void)state;
    Corpus c = { 0 };
    Result r = { 0 };
    Err e = { 0 };
    MinHash *m, *other;
    char *dir = check_dir(), *text;
    size_t n;
    corpus_add(&c, "a b c d e f g h i j k l m n o p q r s t", 0);
    corpus_add(&c, "a b c d e f g h i j k l m n o p q r s t u", 0);
    c.result = &r;
    assert_int_equal(minhash_new(&m, &(MinHashCfg){ .shingle.words = 1, .bands = 1, .rows = 1 }, &e), 0);
    assert_int_equal(minhash_new(&other, &(MinHashCfg){ .shingle.words = 1, .bands = 2, .rows = 1 }, &e), 0);
    char *path = keys_written(&c, &(How){ .one_bucket = true }, m, dir);
    DedupeCfg cfg = { m, path, NULL, text_of, keep_removed, &c, 0, 0, NULL };
    assert_int_equal(dedupe_find(&cfg, &r.found, &e), 0);
    assert_int_equal(r.removed.n, 1);
    c.text.p[1][0] = 'b';
    assert_int_equal(dedupe_find(&cfg, &r.found, &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, "row 1 is not the text that it was");
    cfg.minhash = other;
    assert_int_equal(dedupe_find(&cfg, &r.found, &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, "at byte 0 there should be the keys of rows");
    cfg.minhash = m;
    assert_int_equal(file_read_text(path, &text, &n, &e), 0);
    for (size_t keep = 1; keep < n; keep += 7) {
        assert_int_equal(file_write_atomic(path, text, keep, &e), 0);
        assert_int_equal(dedupe_find(&cfg, &r.found, &e), ERR_INPUT);
    }
    free(text);
    result_release(&r);
    minhash_free(m);
    minhash_free(other);
    free(path);
    check_dir_done(dir);
    corpus_release(&c);
}

/* --- memory -------------------------------------------------------------------------------------------------------------------------------- */
/* Rows without texts in memory: each tenth is the twin of the one before it (Jaccard 19/21), each tenth after that a copy, the others are alone. What the C
 * library has given out is asked for whenever the search calls back: while it reads texts, for pairs and for what is told of them, and while it tells. */
typedef struct Count { size_t base; _Atomic size_t most; size_t told; } Count;

static size_t given_out(void)
{
    const struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

static void count_now(Count *k)
{
    const size_t now = given_out(), used = now > k->base ? now - k->base : 0;
    size_t most = atomic_load(&k->most);
    while (used > most && !atomic_compare_exchange_weak(&k->most, &most, used))
        ;
}

static int counted_text(void *ctx, int64_t row, int worker, StrBuf *out, Err *e)
{
    (void)worker;
    (void)e;
    const bool twin = row % 10 == 1;
    for (int i = 0; i < 20; i++)
        strbuf_addf(out, "w%lldx%d ", (long long)(twin ? row - 1 : row), twin && i == 7 ? 99 : i);
    count_now(ctx);
    return 0;
}

static int counted_removed(void *ctx, const DedupeRemoved *r, Err *e)
{
    (void)e;
    Count *k = ctx;
    assert_int_equal(r->row % 10, k->told++ % 2 ? 2 : 1);
    assert_int_equal(r->row / 10, r->kept / 10);
    assert_true(r->jaccard == (r->exact ? 1 : 19.0 / 21.0));
    count_now(k);
    return 0;
}

static size_t memory_of(int64_t rows, const char *dir)
{
    MinHash *m;
    Err e;
    StrBuf out = { 0 };
    assert_int_equal(minhash_new(&m, &(MinHashCfg){ .shingle.words = 1 }, &e), 0);
    const int bands = minhash_cfg(m)->bands;
    DedupeKeys *k = dedupe_keys_new(m);
    char *path = path_join(dir, "keys");
    for (int64_t i = 0; i < rows; i++) {
        const int64_t near = i % 10 == 1 || i % 10 == 2 ? i - i % 10 : i, same = i % 10 == 2 ? near : i;
        MinHashRow row = { .exact = xxh3_128(&same, sizeof same), .n_shingles = 20 };
        for (int b = 0; b < bands; b++)
            row.key[b] = (uint32_t)xxh3_64(&(int64_t[]){ near, b }, 2 * sizeof near);
        assert_int_equal(dedupe_add(k, i, &row, i % 10 ? 0 : 1, &out, &e), 0);
    }
    dedupe_end_block(k, &out);
    dedupe_keys_free(k);
    assert_int_equal(file_write_atomic(path, out.p, out.n, &e), 0);
    strbuf_release(&out);
    Count count = { .base = given_out() };
    DedupeFound found;
    if (dedupe_find(&(DedupeCfg){ m, path, NULL, counted_text, counted_removed, &count, 1, 1 << 20, NULL }, &found, &e))
        fail_msg("%s", e.text);
    assert_int_equal(found.rows, rows);
    assert_int_equal(found.removed, 2 * rows / 10);
    assert_int_equal(found.exact, rows / 10);
    free(path);
    minhash_free(m);
    return count.most;
}

/* Between 50,000 and 200,000 rows the memory grows by no more than the bound for each row, whatever else it takes. */
static void test_memory(void **state)
{
    (void)state;
    enum { FEW = 50000, MANY = 200000 };
    char *dir = check_dir();
    const size_t few = memory_of(FEW, dir), many = memory_of(MANY, dir);
    check_dir_done(dir);
    if (!few)
        skip(); /* a sanitizer's own memory, which does not count */
    const double row = (double)(many - few) / (MANY - FEW);
    assert_true(row <= DEDUPE_ROW_BYTES);
    assert_true(row > DEDUPE_ROW_BYTES / 2); /* it is what was counted */
    assert_true(few < ((size_t)10 << 20)); /* 1 MiB for sorting, pairs that wait and are told, and little more */
}

static void test_near_index(void **state)
{
    (void)state;
    Corpus c = { 0 }, asked = { 0 };
    Err e;
    corpus_planted(&c, 6, 60, 8);
    corpus_planted(&asked, 6, 60, 12); /* the same beginnings, other copies */
    size_t matches = 0;
    Plain *has = plain_sets(&c, 2), *asks = plain_sets(&asked, 2);
    for (double t = 0.3; t < 1; t += 0.25) {
        NearIndex *x = near_index_new(t);
        Shingles *s = shingles_new(&(ShingleCfg){ .words = 2 });
        NearMatches found = { 0 };
        for (size_t i = 0; i < c.text.n; i++) {
            shingles_read(s, str_of(c.text.p[i]));
            assert_int_equal(near_index_add(x, s, &e), 0);
        }
        near_index_build(x);
        for (size_t i = 0; i < asked.text.n; i++) {
            shingles_read(s, str_of(asked.text.p[i]));
            near_index_find(x, s, &found);
            size_t want = 0, got = 0;
            for (size_t k = 0; k < c.text.n; k++) {
                const double j = plain_jaccard(&asks[i], &has[k]);
                want += j >= t;
                for (size_t f = 0; f < found.n; f++)
                    got += found.p[f].text == k && found.p[f].jaccard == j && j >= t;
            }
            assert_int_equal(got, want);
            assert_int_equal(found.n, want);
            for (size_t f = 1; f < found.n; f++)
                assert_true(found.p[f - 1].jaccard >= found.p[f].jaccard);
            matches += want;
        }
        shingles_read(s, str_of(""));
        near_index_find(x, s, &found);
        assert_int_equal(found.n, 0);
        vec_release(&found);
        shingles_free(s);
        near_index_free(x);
    }
    assert_true(matches > 300);
    plain_free(has, c.text.n);
    plain_free(asks, asked.text.n);
    corpus_release(&c);
    corpus_release(&asked);
    NearIndex *none = near_index_new(0.8);
    near_index_build(none);
    near_index_free(none);
}

static void test_ngram_index(void **state)
{
    (void)state;
    static const char *const text[] = {
        "What is the capital of France? It is Paris.",      /* 0 */
        "too short",                                         /* 1 */
        "",                                                  /* 2 */
        "the capital of france it is the capital of france", /* 3 */
        "\xE6\xB3\x95\xE5\x9B\xBD\xE7\x9A\x84\xE9\xA6\x96\xE9\x83\xBD", /* 4: five characters */
    };
    static const bool indexed[] = { true, false, false, true, true };
    NgramIndex *x = ngram_index_new(4);
    Shingles *s = shingles_new(&(ShingleCfg){ 0 });
    NgramMatches found = { 0 };
    Err e;
    for (size_t i = 0; i < ARRAY_LEN(text); i++) {
        bool is;
        shingles_read(s, str_of(text[i]));
        assert_int_equal(ngram_index_add(x, s, &is, &e), 0);
        assert_true(is == indexed[i]);
    }
    ngram_index_build(x);

    shingles_read(s, STR_LIT("He asked: what is THE capital of France (again, the capital of France)?"));
    ngram_index_find(x, s, &found);
    assert_int_equal(found.n, 2);
    assert_int_equal(found.p[0].text, 0);
    assert_int_equal(found.p[0].runs, 3); /* what is the capital, is the capital of, the capital of france (twice, counted once) */
    assert_true(str_eqz(shingles_text(s, found.p[0].at, 4), "what is the capital"));
    assert_int_equal(found.p[1].text, 3);
    assert_int_equal(found.p[1].runs, 2); /* is the capital of, the capital of france */
    assert_true(str_eqz(shingles_text(s, found.p[1].at, 4), "is the capital of"));

    shingles_read(s, STR_LIT("x\xE6\xB3\x95\xE5\x9B\xBD\xE7\x9A\x84\xE9\xA6\x96y"));
    ngram_index_find(x, s, &found);
    assert_int_equal(found.n, 1);
    assert_int_equal(found.p[0].text, 4);
    assert_int_equal(found.p[0].at, 1);

    static const char *const none[] = { "too short", "", "the capital of spain and its king", "capital" };
    for (size_t i = 0; i < ARRAY_LEN(none); i++) {
        shingles_read(s, str_of(none[i]));
        ngram_index_find(x, s, &found);
        assert_int_equal(found.n, 0);
    }
    vec_release(&found);
    shingles_free(s);
    ngram_index_free(x);
}

/* 40 texts begin with one form: it is no match, runs that reach into it neither, and what follows it is found as ever. */
static void test_ngram_form(void **state)
{
    (void)state;
    NgramIndex *x = ngram_index_new(4);
    Shingles *s = shingles_new(&(ShingleCfg){ 0 });
    NgramMatches found = { 0 };
    char text[200];
    bool is;
    Err e;
    for (int i = 0; i < 40; i++) {
        snprintf(text, sizeof text, "translate this request into one line: list p%d q%d r%d s%d", i, i, i, i);
        shingles_read(s, str_of(text));
        assert_int_equal(ngram_index_add(x, s, &is, &e), 0);
    }
    ngram_index_build(x);
    assert_int_equal(ngram_index_forms(x), 4); /* of the seven words before p */
    shingles_read(s, STR_LIT("Translate this request into one line: list p7 and more"));
    ngram_index_find(x, s, &found);
    assert_int_equal(found.n, 0);
    shingles_read(s, STR_LIT("Translate this request into one line: list p7 q7 r7 s7"));
    ngram_index_find(x, s, &found);
    assert_int_equal(found.n, 1);
    assert_int_equal(found.p[0].text, 7);
    assert_int_equal(found.p[0].runs, 1);
    vec_release(&found);
    shingles_free(s);
    ngram_index_free(x);

    x = ngram_index_new(4); /* as many as the bound are no form */
    s = shingles_new(&(ShingleCfg){ 0 });
    for (int i = 0; i < NGRAM_FORM_TEXTS; i++) {
        shingles_read(s, STR_LIT("a question of four words"));
        assert_int_equal(ngram_index_add(x, s, &is, &e), 0);
    }
    ngram_index_build(x);
    ngram_index_find(x, s, &found);
    assert_int_equal(found.n, NGRAM_FORM_TEXTS);
    vec_release(&found);
    shingles_free(s);
    ngram_index_free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_brute_force), cmocka_unit_test(test_one_bucket), cmocka_unit_test(test_threads),     cmocka_unit_test(test_boilerplate),
        cmocka_unit_test(test_template),    cmocka_unit_test(test_left_out),   cmocka_unit_test(test_small),       cmocka_unit_test(test_errors),
        cmocka_unit_test(test_changed),     cmocka_unit_test(test_memory),   cmocka_unit_test(test_stop),       cmocka_unit_test(test_large),
        cmocka_unit_test(test_near_index),  cmocka_unit_test(test_ngram_index), cmocka_unit_test(test_ngram_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
