/* test_minhash.c - words and shingles of many scripts, signatures against a plain version, and the catch probability against its formula. */
#include "base/check.h"

#include "base/mem.h"
#include "base/rng.h"
#include "prep/minhash.h"

#include <math.h>

static void words_are(const ShingleCfg *c, const char *text, const char *want)
{
    Shingles *s = shingles_new(c);
    shingles_read(s, str_of(text));
    Str got = shingles_text(s, 0, shingles_words(s));
    if (!str_eqz(got, want))
        fail_msg("\"%s\": got \"%.*s\", expected \"%s\"", text, (int)got.n, got.p, want);
    shingles_free(s);
}

static void test_words(void **state)
{
    (void)state;
    static const struct { const char *text, *want; } row[] = {
        { "", "" },
        { " \t\r\n ... ?!", "" },
        { "Hello", "hello" },
        { "  Hello,\tWORLD!\n", "hello world" },
        { "don't stop", "don t stop" },
        { "page 12, 3.14", "page 12 3 14" },
        { "na\xC3\xAFve caf\xC3\xA9", "naive cafe" },                               /* composed */
        { "nai\xCC\x88ve cafe\xCC\x81", "naive cafe" },                             /* decomposed */
        { "\xEF\xBC\xA6\xEF\xBD\x95\xEF\xBD\x8C\xEF\xBD\x8C", "full" },             /* full-width letters */
        { "\xC4\xB0stanbul", "istanbul" },                                         /* capital I with a dot */
        { "\xE4\xBD\xA0\xE5\xA5\xBD, abc\xE4\xB8\x96", "\xE4\xBD\xA0 \xE5\xA5\xBD abc \xE4\xB8\x96" }, /* Han: a word each */
        { "\xE3\x81\x8C", "\xE3\x81\x8B\xE3\x82\x99" },                             /* kana ga is ka and its mark, one word */
        { "\xE3\x81\x8B\xE3\x82\x99", "\xE3\x81\x8B\xE3\x82\x99" },
        { "\xE0\xB8\x81\xE0\xB8\xB4\xE0\xB8\x99", "\xE0\xB8\x81\xE0\xB8\xB4 \xE0\xB8\x99" }, /* Thai: the vowel sign stays with its letter */
        { "\xE0\xA4\x95\xE0\xA4\xBF\xE0\xA4\xA4\xE0\xA4\xBE\xE0\xA4\xAC", "\xE0\xA4\x95\xE0\xA4\xBF\xE0\xA4\xA4\xE0\xA4\xBE\xE0\xA4\xAC" }, /* Hindi: one word */
        { "\xD9\x83\xD9\x8E\xD8\xAA\xD9\x8E\xD8\xA8", "\xD9\x83\xD8\xAA\xD8\xA8" }, /* Arabic vowel signs go */
        { "ok\xF0\x9F\x91\x8Dgo", "ok \xF0\x9F\x91\x8D go" },                       /* an emoji is a word */
        { "soft\xC2\xADhyphen zero\xE2\x80\x8Dwidth", "softhyphen zerowidth" },
        { "a\xFF" "b", "a \xEF\xBF\xBD b" },                                        /* a stray byte */
        { "[\xCC\x81x", "x" },
        { "[\xE0\xA4\xBEx", "\xE0\xA4\xBEx" },                                      /* a vowel sign without its letter begins a word */
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++)
        words_are(&(ShingleCfg){ 0 }, row[i].text, row[i].want);
    words_are(&(ShingleCfg){ .fold_numbers = true }, "page 12, v3x45 \xD9\xA1\xD9\xA2", "page 0 v0x0 0");
    words_are(&(ShingleCfg){ .keep_punct = true }, "a|b > c", "a | b > c");
    words_are(&(ShingleCfg){ .keep_punct = true }, "x++;", "x + + ;");
}

static size_t set_size(int words, const char *text)
{
    Shingles *s = shingles_new(&(ShingleCfg){ .words = words });
    shingles_read(s, str_of(text));
    size_t n;
    shingles_set(s, &n);
    shingles_free(s);
    return n;
}

static void test_sets(void **state)
{
    (void)state;
    assert_int_equal(set_size(5, ""), 0);
    assert_int_equal(set_size(5, "one"), 1);
    assert_int_equal(set_size(5, "one two three"), 1); /* shorter than a shingle: itself */
    assert_int_equal(set_size(5, "one two three four five six"), 2);
    assert_int_equal(set_size(1, "to be or not to be"), 4);
    assert_int_equal(set_size(2, "a a a a a a"), 1);
    assert_int_equal(set_size(0, "1 2 3 4 5 6 7"), 3);
    assert_int_equal(set_size(3, "\xE4\xBD\xA0\xE5\xA5\xBD\xE4\xB8\x96\xE7\x95\x8C\xE4\xBA\xBA"), 3); /* five characters */

    Rng r = rng_at(1, RNG_TEST, 1, 0);
    Shingles *s = shingles_new(&(ShingleCfg){ .words = 1 });
    StrBuf text = { 0 };
    for (size_t words = 1; words < 3000; words = words * 3 + 1) { /* ascending order, small and large */
        strbuf_clear(&text);
        for (size_t i = 0; i < words; i++)
            strbuf_addf(&text, "%u ", rng_u32(&r) % 2000);
        shingles_read(s, strbuf_str(&text));
        size_t n, m;
        const uint64_t *set = shingles_set(s, &n);
        uint64_t sum = 0, again = 0;
        for (size_t i = 0; i < n; i++)
            sum += set[i];
        shingles_sorted(s);
        set = shingles_set(s, &m);
        assert_int_equal(n, m);
        for (size_t i = 0; i < n; i++) {
            assert_true(i == 0 || set[i - 1] < set[i]);
            again += set[i];
        }
        assert_true(sum == again);
    }
    strbuf_release(&text);
    shingles_free(s);
}

static void test_jaccard(void **state)
{
    (void)state;
    static const uint64_t a[] = { 1, 2, 3, 4, 5 }, b[] = { 2, 3, 4, 5 }, c[] = { 9 };
    assert_true(shingles_jaccard(a, 5, b, 4, 0.8) == 0.8);
    assert_true(shingles_jaccard(b, 4, a, 5, 0.8) == 0.8);
    assert_true(shingles_jaccard(a, 5, a, 5, 1) == 1);
    assert_true(shingles_jaccard(a, 5, c, 1, 0) == 0);
    assert_true(shingles_jaccard(a, 0, c, 0, 0) == 0);
    assert_true(shingles_jaccard(a, 5, b, 4, 0.81) < 0.81);
    assert_int_equal(shingles_prefix(10, 0.8), 3);
    assert_int_equal(shingles_prefix(1, 0.8), 1);
    assert_int_equal(shingles_prefix(0, 0.8), 0);
    assert_int_equal(shingles_prefix(10, 0.7), 4); /* 0.7 * 10 is 7, and its double is not more */
}

static void test_plan(void **state)
{
    (void)state;
    int bands, rows;
    minhash_plan(0.8, &bands, &rows);
    assert_int_equal(bands, 23);
    assert_int_equal(rows, 6);
    assert_true(fabs(minhash_catch(0.8, 23, 6) - 0.99908) < 1e-5); /* 1 - (1 - 0.8^6)^23 */
    assert_true(fabs(minhash_catch(0.8, 17, 8) - 0.95593) < 1e-5); /* 1 - (1 - 0.8^8)^17 */
    assert_true(minhash_catch(0.9, 23, 6) > 0.999999);
    assert_true(fabs(minhash_catch(0.8, 14, 8) - 0.924) < 5e-4);   /* datatrove's */
    for (double t = 0.3; t < 1; t += 0.05) {
        minhash_plan(t, &bands, &rows);
        assert_true(minhash_catch(t, bands, rows) >= MINHASH_RECALL && bands * rows <= MINHASH_PERM_PLAN);
    }
    MinHash *m;
    Err e;
    assert_int_equal(minhash_new(&m, &(MinHashCfg){ .threshold = 1.5 }, &e), ERR_ARG);
    check_says(&e, ERR_ARG, "1.5");
    assert_int_equal(minhash_new(&m, &(MinHashCfg){ .threshold = NAN }, &e), ERR_ARG);
    assert_int_equal(minhash_new(&m, &(MinHashCfg){ .bands = 65, .rows = 1 }, &e), ERR_ARG);
    assert_int_equal(minhash_new(&m, &(MinHashCfg){ .bands = 64, .rows = 9 }, &e), ERR_ARG);
    assert_int_equal(minhash_new(&m, &(MinHashCfg){ .bands = 4 }, &e), ERR_ARG);
    assert_int_equal(minhash_new(&m, &(MinHashCfg){ .shingle.words = 65 }, &e), ERR_ARG);
    assert_null(m);
}

/* The header's definition, one permutation and one shingle after the other. */
static void plain_keys(const MinHashCfg *c, const uint64_t *set, size_t n, uint32_t *key)
{
    for (int b = 0; b < c->bands; b++) {
        int32_t least[MINHASH_PERM_MAX];
        for (int r = 0; r < c->rows; r++) {
            const uint32_t counter[4] = { (uint32_t)(b * c->rows + r) }, philox[2] = { (uint32_t)c->seed, (uint32_t)(c->seed >> 32) };
            uint32_t word[4];
            rng_philox(counter, philox, word);
            least[r] = INT32_MAX;
            for (size_t i = 0; i < n; i++) {
                const int32_t h = (int32_t)((uint32_t)(set[i] >> 32) * (word[0] | 1) + word[1]);
                least[r] = h < least[r] ? h : least[r];
            }
        }
        key[b] = (uint32_t)xxh3_64(least, (size_t)c->rows * sizeof *least);
    }
}

static void test_keys(void **state)
{
    (void)state;
    static const struct { int bands, rows; } shape[] = { { 1, 1 }, { 17, 8 }, { 5, 3 }, { 64, 8 }, { 3, 5 } };
    static const char *const text[] = { "one", "the quick brown fox jumps over the lazy dog and runs away from all the others in the wood" };
    for (size_t i = 0; i < ARRAY_LEN(shape); i++)
        for (size_t k = 0; k < ARRAY_LEN(text); k++) {
            MinHash *m;
            Err e;
            MinHashRow got;
            uint32_t want[MINHASH_BANDS_MAX];
            size_t n;
            assert_int_equal(minhash_new(&m, &(MinHashCfg){ .bands = shape[i].bands, .rows = shape[i].rows, .seed = 0x123456789u + i }, &e), 0);
            Shingles *s = minhash_shingles(m);
            minhash_row(m, s, str_of(text[k]), &got);
            const uint64_t *set = shingles_set(s, &n);
            plain_keys(minhash_cfg(m), set, n, want);
            assert_int_equal(n, got.n_shingles);
            assert_memory_equal(got.key, want, (size_t)shape[i].bands * sizeof *want);
            shingles_free(s);
            minhash_free(m);
        }
}

static Hash128 exact_of(bool bytes, const char *text, uint32_t *n)
{
    MinHash *m;
    Err e;
    MinHashRow r;
    assert_int_equal(minhash_new(&m, &(MinHashCfg){ .exact_bytes = bytes }, &e), 0);
    Shingles *s = minhash_shingles(m);
    minhash_row(m, s, str_of(text), &r);
    shingles_free(s);
    minhash_free(m);
    *n = r.n_shingles;
    return r.exact;
}

static bool same_exact(bool bytes, const char *a, const char *b)
{
    uint32_t n;
    const Hash128 x = exact_of(bytes, a, &n), y = exact_of(bytes, b, &n);
    return x.lo == y.lo && x.hi == y.hi;
}

static void test_exact(void **state)
{
    (void)state;
    uint32_t n;
    assert_true(same_exact(false, "Hello,  World", "hello world!"));
    assert_false(same_exact(true, "Hello,  World", "hello world!"));
    assert_true(same_exact(true, "Hello", "Hello"));
    assert_false(same_exact(false, "hello world", "helloworld"));
    assert_false(same_exact(false, "?", "!"));  /* texts without words are compared as they stand */
    assert_false(same_exact(false, "", "!"));
    assert_true(same_exact(false, "", ""));
    exact_of(false, "?!", &n);
    assert_int_equal(n, 0);
    exact_of(false, "w", &n);
    assert_int_equal(n, 1);
}

/* Of `pairs` pairs of sets with `both` common and `own` + `own` other elements, how many share a band's key. */
static int caught(const MinHash *m, Shingles *s, Rng *r, int pairs, int both, int own)
{
    StrBuf a = { 0 }, b = { 0 };
    int n = 0;
    for (int i = 0; i < pairs; i++) {
        MinHashRow x, y;
        strbuf_clear(&a);
        strbuf_clear(&b);
        for (int k = 0; k < both + 2 * own; k++) {
            const uint32_t high = rng_u32(r), low = rng_u32(r);
            if (k < both + own)
                strbuf_addf(&a, "%x%08x ", high, low);
            if (k < both || k >= both + own)
                strbuf_addf(&b, "%x%08x ", high, low);
        }
        minhash_row(m, s, strbuf_str(&a), &x);
        minhash_row(m, s, strbuf_str(&b), &y);
        assert_int_equal(x.n_shingles, both + own);
        bool any = false;
        for (int k = 0; k < minhash_cfg(m)->bands; k++)
            any |= x.key[k] == y.key[k];
        n += any;
    }
    strbuf_release(&a);
    strbuf_release(&b);
    return n;
}

static void test_catch(void **state)
{
    (void)state;
    enum { PAIRS = 4000 };
    static const struct { int both, own; } row[] = { /* Jaccard both / (both + 2 own): 0.5, 0.6, 0.8, 0.9, of few elements and of many */
        { 4, 2 }, { 6, 2 }, { 8, 1 }, { 18, 1 }, { 40, 20 }, { 120, 40 }, { 160, 20 }, { 180, 10 },
    };
    MinHash *m;
    Err e;
    assert_int_equal(minhash_new(&m, &(MinHashCfg){ .shingle.words = 1 }, &e), 0);
    Shingles *s = minhash_shingles(m);
    Rng r = rng_at(3, RNG_TEST, 2, 0);
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        const double p = minhash_catch((double)row[i].both / (row[i].both + 2 * row[i].own), minhash_cfg(m)->bands, minhash_cfg(m)->rows);
        const int got = caught(m, s, &r, PAIRS, row[i].both, row[i].own);
        const double sigma = sqrt(PAIRS * p * (1 - p)); /* binomial */
        if (fabs(got - PAIRS * p) > 4 * sigma + 1)
            fail_msg("%d common, %d own: %d of %d pairs caught, the formula says %.1f with a deviation of %.1f", row[i].both, row[i].own, got, PAIRS,
                     PAIRS * p, sigma);
    }
    shingles_free(s);
    minhash_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words), cmocka_unit_test(test_sets),  cmocka_unit_test(test_jaccard), cmocka_unit_test(test_plan),
        cmocka_unit_test(test_keys),  cmocka_unit_test(test_exact), cmocka_unit_test(test_catch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
