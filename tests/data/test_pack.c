/* test_pack.c - properties of the packing plan over many random sets, the plan held against one made by the plainest possible code, and the
 * arrays of a micro-batch. */
#include "base/check.h"
#include "base/rng.h"
#include "data/data_int.h"
#include "data/pack.h"

/* A set of examples with the given lengths; token k of example i is i * 1000 + k, and the second half is trained. */
static DataSet *set_of(const int32_t *len, size_t n)
{
    DataSet *d = mem_zalloc(1, sizeof *d);
    size_t cap = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t *ids = mem_zalloc((size_t)len[i], sizeof *ids);
        uint8_t *train = mem_zalloc((size_t)len[i], 1);
        for (int32_t k = 0; k < len[i]; k++) {
            ids[k] = (int32_t)i * 1000 + k;
            train[k] = k >= len[i] / 2;
        }
        dataset_add(d, &cap, (Example){ .ids = ids, .train = train, .n = len[i], .line = (int64_t)i + 1 });
        free(ids);
        free(train);
    }
    return d;
}

static DataSet *random_set(uint64_t seed, size_t n, int32_t longest)
{
    Rng r = rng_at(seed, RNG_TEST, 0, 0);
    int32_t *len = mem_zalloc(n, sizeof *len);
    for (size_t i = 0; i < n; i++)
        len[i] = 2 + (int32_t)rng_below(&r, (uint64_t)longest - 1);
    DataSet *d = set_of(len, n);
    free(len);
    return d;
}

static int64_t bin_tokens(const PackPlan *p, const DataSet *d, int64_t b)
{
    int64_t tokens = 0;
    for (int64_t i = p->first[b]; i < p->first[b + 1]; i++)
        tokens += d->ex[p->item[i]].n;
    return tokens;
}

static void check_plan(const PackPlan *p, const DataSet *d, int64_t capacity)
{
    int64_t tokens = 0;
    bool *seen = mem_zalloc(d->n, 1);
    assert_int_equal(p->first[0], 0);
    assert_int_equal(p->first[p->n_bins], d->n);
    for (int64_t b = 0; b < p->n_bins; b++) {
        assert_true(p->first[b + 1] > p->first[b]);
        assert_in_range(bin_tokens(p, d, b), 1, capacity);
        tokens += bin_tokens(p, d, b);
    }
    for (size_t i = 0; i < d->n; i++) {
        assert_false(seen[p->item[i]]);
        seen[p->item[i]] = true;
    }
    double want = 1.0 - (double)tokens / ((double)p->n_bins * (double)capacity);
    assert_true(p->pad_share > want - 1e-12 && p->pad_share < want + 1e-12);
    free(seen);
}

static bool same_plan(const PackPlan *a, const PackPlan *b, size_t n)
{
    return a->n_bins == b->n_bins && !memcmp(a->item, b->item, n * sizeof *a->item) && !memcmp(a->first, b->first, ((size_t)a->n_bins + 1) * sizeof *a->first);
}

/* The four steps of pack.c's essay, written without any of its data structures. */
static void plain_plan(PackPlan *p, const DataSet *d, int64_t capacity, uint64_t seed, int64_t epoch)
{
    int64_t n = (int64_t)d->n, n_bins = 0, used = 0, *order = mem_zalloc(d->n, 8), *bin_of = mem_zalloc(d->n, 8), *room = mem_zalloc(d->n, 8);
    int64_t *place = mem_zalloc(d->n, 8), *shuffled = mem_zalloc(d->n, 8);
    Rng r = rng_at(seed, RNG_SHUFFLE, (uint64_t)epoch, 0);
    for (int64_t i = 0; i < n; i++)
        order[i] = i;
    rng_shuffle(&r, order, n);
    for (int64_t begin = 0, end; begin < n; begin = end) {
        int64_t tokens = d->ex[order[begin]].n, first = n_bins;
        for (end = begin + 1; end < n && tokens + d->ex[order[end]].n <= PACK_WINDOW * capacity; end++)
            tokens += d->ex[order[end]].n;
        for (int64_t len = capacity; len > 0; len--) /* longest first, then in order */
            for (int64_t i = begin; i < end; i++) {
                if (d->ex[order[i]].n != len)
                    continue;
                int64_t b = first;
                while (b < n_bins && room[b] < len)
                    b++;
                if (b == n_bins)
                    room[n_bins++] = capacity;
                room[b] -= len;
                bin_of[used] = b;
                place[used++] = order[i];
            }
    }
    for (int64_t b = 0; b < n_bins; b++)
        shuffled[b] = b;
    rng_shuffle(&r, shuffled, n_bins);
    *p = (PackPlan){ .n_bins = n_bins, .item = mem_zalloc(d->n, 8), .first = mem_zalloc((size_t)n_bins + 1, 8) };
    int64_t at = 0;
    for (int64_t b = 0; b < n_bins; b++) {
        for (int64_t i = 0; i < n; i++)
            if (bin_of[i] == shuffled[b])
                p->item[at++] = place[i];
        p->first[b + 1] = at;
    }
    free(order);
    free(bin_of);
    free(room);
    free(place);
    free(shuffled);
}

static void test_properties(void **state)
{
    (void)state;
    static const struct { size_t n; int32_t longest; int64_t capacity; } sizes[] = {
        { 1, 10, 10 }, { 2, 10, 10 }, { 300, 64, 64 }, { 300, 8, 64 }, { 2000, 100, 128 }, { 1500, 40, 1000 }, { 700, 2, 3 },
    };
    for (uint64_t seed = 0; seed < 10; seed++)
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            DataSet *d = random_set(seed, sizes[i].n, sizes[i].longest);
            PackPlan p, again, plain, other;
            pack_plan(&p, d, sizes[i].capacity, true, true, seed, 0);
            check_plan(&p, d, sizes[i].capacity);
            pack_plan(&again, d, sizes[i].capacity, true, true, seed, 0);
            assert_true(same_plan(&p, &again, d->n));
            plain_plan(&plain, d, sizes[i].capacity, seed, 0);
            assert_true(same_plan(&p, &plain, d->n));
            if (d->n > 2) {
                pack_plan(&other, d, sizes[i].capacity, true, true, seed, 1);
                check_plan(&other, d, sizes[i].capacity);
                assert_false(same_plan(&p, &other, d->n));
                pack_plan_release(&other);
                pack_plan(&other, d, sizes[i].capacity, true, true, seed + 1, 0);
                assert_false(same_plan(&p, &other, d->n));
                pack_plan_release(&other);
            }
            pack_plan_release(&p);
            pack_plan_release(&again);
            pack_plan_release(&plain);
            dataset_free(d);
        }
}

static void test_orders(void **state)
{
    (void)state;
    static const int32_t len[] = { 3, 5, 2, 6, 4, 8 };
    DataSet *d = set_of(len, ARRAY_LEN(len));
    PackPlan p;
    pack_plan(&p, d, 10, false, false, 1, 0); /* one each, in the order of the file */
    assert_int_equal(p.n_bins, 6);
    for (int64_t i = 0; i < 6; i++) {
        assert_int_equal(p.item[i], i);
        assert_int_equal(p.first[i + 1], i + 1);
    }
    assert_true(p.pad_share > 0.5333 && p.pad_share < 0.5334);
    pack_plan_release(&p);

    pack_plan(&p, d, 10, true, false, 1, 0); /* 8+2, 6+4, 5+3 */
    static const int64_t item[] = { 5, 2, 3, 4, 1, 0 }, first[] = { 0, 2, 4, 6 };
    assert_int_equal(p.n_bins, 3);
    assert_memory_equal(p.item, item, sizeof item);
    assert_memory_equal(p.first, first, sizeof first);
    pack_plan_release(&p);

    pack_plan(&p, d, 10, false, true, 1, 0);
    check_plan(&p, d, 10);
    assert_int_equal(p.n_bins, 6);
    pack_plan_release(&p);

    size_t n = d->n;
    d->n = 0;
    pack_plan(&p, d, 10, true, true, 1, 0);
    assert_int_equal(p.n_bins, 0);
    assert_int_equal(p.first[0], 0);
    pack_plan_release(&p);
    d->n = n;
    dataset_free(d);
}

static void test_microbatch(void **state)
{
    (void)state;
    static const int32_t len[] = { 4, 2, 7, 3 };
    static const int64_t pick[] = { 2, 0, 3 };
    DataSet *d = set_of(len, ARRAY_LEN(len));
    MicroBatch m = { 0 };
    microbatch_fill(&m, d, pick, 1);
    assert_int_equal(m.n_tokens, 7);
    for (int turn = 0; turn < 2; turn++) { /* reuse gives the same */
        int32_t rows = 0, at = 0;
        microbatch_fill(&m, d, pick, 3);
        assert_int_equal(m.n_tokens, 14);
        assert_int_equal(m.n_seg, 3);
        for (int32_t s = 0; s < m.n_seg; s++) {
            const Example *x = &d->ex[pick[s]];
            assert_int_equal(m.example[s], pick[s]);
            assert_int_equal(m.seg_start[s], at);
            assert_int_equal(m.seg_len[s], x->n);
            for (int32_t k = 0; k < x->n; k++, at++) {
                assert_int_equal(m.ids[at], x->ids[k]);
                assert_int_equal(m.pos[at], k);
                if (!x->train[k])
                    continue;
                assert_true(rows < m.n_rows);
                assert_int_equal(m.row[rows], at - 1);
                assert_true(m.row[rows] >= m.seg_start[s]); /* never predicted from another segment */
                assert_int_equal(m.target[rows++], x->ids[k]);
            }
        }
        assert_int_equal(rows, m.n_rows);
    }
    microbatch_fill(&m, d, pick, 0);
    assert_int_equal(m.n_tokens, 0);
    assert_int_equal(m.n_rows, 0);
    microbatch_release(&m);
    assert_null(m.ids);
    dataset_free(d);
}

/* Every target of the set appears once in an epoch of micro-batches, whatever the packing. */
static void test_epoch_has_every_target(void **state)
{
    (void)state;
    DataSet *d = random_set(5, 400, 50);
    int64_t want = 0;
    for (size_t i = 0; i < d->n; i++)
        want += d->ex[i].n_train;
    for (int packing = 0; packing < 2; packing++) {
        PackPlan p;
        MicroBatch m = { 0 };
        int64_t got = 0;
        pack_plan(&p, d, 128, packing, true, 3, 2);
        for (int64_t b = 0; b < p.n_bins; b++) {
            microbatch_fill(&m, d, p.item + p.first[b], p.first[b + 1] - p.first[b]);
            got += m.n_rows;
        }
        assert_int_equal(got, want);
        microbatch_release(&m);
        pack_plan_release(&p);
    }
    dataset_free(d);
}

static void test_real_pad_share(void **state)
{
    (void)state;
    static const char model[] = SHARED_DIR "/models/stories260K", path[] = SHARED_DIR "/data/nl2bash/nl2bash.jsonl";
    static const int64_t capacities[] = { 2048, 4096, 8192, 16384 };
    Tok *t = NULL;
    DataSet *d = NULL;
    Err e;
    if (!file_exists(model) || !file_exists(path)) {
        print_message("SKIPPED: this test needs %s and %s\n", model, path);
        return;
    }
    if (tok_open(&t, model, &e) || dataset_load(&d, path, t, &(DataOptions){ .max_length = 2048, .separator = "\n" }, &e))
        fail_msg("%s", e.text);
    for (size_t i = 0; i < ARRAY_LEN(capacities); i++) {
        PackPlan p;
        pack_plan(&p, d, capacities[i], true, true, 1, 0);
        check_plan(&p, d, capacities[i]);
        print_message("NL2Bash, %lld tokens in %lld micro-batches of %lld: %.2f %% padding\n", (long long)d->stats.tokens, (long long)p.n_bins,
                      (long long)capacities[i], 100 * p.pad_share);
        assert_true(p.pad_share < 0.05);
        pack_plan_release(&p);
    }
    dataset_free(d);
    tok_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_properties), cmocka_unit_test(test_orders),         cmocka_unit_test(test_microbatch),
        cmocka_unit_test(test_epoch_has_every_target), cmocka_unit_test(test_real_pad_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
