/* minhash.c - signatures and band keys. Struct: `mul` and `add` have one entry per permutation, in groups of LANES, filled up with unused ones.
 * Smallest values are compared as signed numbers (what the oldest vector instructions can do), which is one more fixed permutation. The same source is
 * compiled twice, for any processor and for AVX2; both give the same bits. To add a width: a row in minhash_new's choice. */
#include "prep/minhash.h"

#include "base/mem.h"
#include "base/rng.h"

#include <stdlib.h>

#define LANES 8
#define PERM_CEIL (MINHASH_PERM_MAX + LANES)

typedef uint32_t Lanes __attribute__((vector_size(4 * LANES)));
typedef int32_t  Signed __attribute__((vector_size(4 * LANES)));
typedef void (*SignFn)(const MinHash *m, const uint64_t *set, size_t n, uint32_t *out);

struct MinHash {
    MinHashCfg cfg;
    int        groups; /* of LANES permutations */
    SignFn     sign;
    _Alignas(4 * LANES) uint32_t mul[PERM_CEIL], add[PERM_CEIL];
};

/* The smallest value of each permutation over the set: two groups at a time stay in registers while the shingles go by. */
static inline __attribute__((always_inline)) void sign_body(const MinHash *m, const uint64_t *set, size_t n, uint32_t *out)
{
    for (int g = 0; g < m->groups; g += 2) {
        const int second = MIN(g + 1, m->groups - 1);
        const Lanes mul0 = *(const Lanes *)(const void *)&m->mul[g * LANES], add0 = *(const Lanes *)(const void *)&m->add[g * LANES];
        const Lanes mul1 = *(const Lanes *)(const void *)&m->mul[second * LANES], add1 = *(const Lanes *)(const void *)&m->add[second * LANES];
        Signed least0 = (Signed){ 0 } + INT32_MAX, least1 = least0;
        for (size_t i = 0; i < n; i++) {
            const Lanes x = (Lanes){ 0 } + (uint32_t)(set[i] >> 32);
            const Signed v0 = (Signed)(x * mul0 + add0), v1 = (Signed)(x * mul1 + add1);
            const Signed less0 = v0 < least0, less1 = v1 < least1;
            least0 = (v0 & less0) | (least0 & ~less0);
            least1 = (v1 & less1) | (least1 & ~less1);
        }
        memcpy(out + g * LANES, &least0, sizeof least0);
        memcpy(out + second * LANES, &least1, sizeof least1);
    }
}

static void sign_any(const MinHash *m, const uint64_t *set, size_t n, uint32_t *out)
{
    sign_body(m, set, n, out);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void sign_avx2(const MinHash *m, const uint64_t *set, size_t n, uint32_t *out)
{
    sign_body(m, set, n, out);
}
#endif

double minhash_catch(double jaccard, int bands, int rows)
{
    double band = 1, none = 1;
    for (int i = 0; i < rows; i++)
        band *= jaccard;
    for (int i = 0; i < bands; i++)
        none *= 1 - band;
    return 1 - none;
}

/* The integral of P (or of 1 - P) from lo to hi by the midpoint rule. */
static double area(double lo, double hi, int bands, int rows, bool caught)
{
    enum { STEPS = 200 };
    double sum = 0;
    for (int i = 0; i < STEPS; i++) {
        const double p = minhash_catch(lo + (hi - lo) * (i + 0.5) / STEPS, bands, rows);
        sum += caught ? p : 1 - p;
    }
    return sum * (hi - lo) / STEPS;
}

void minhash_plan(double threshold, int *bands, int *rows)
{
    double best = 2;
    *bands = MINHASH_BANDS_MAX;
    *rows = 1; /* what is left when the threshold is so low that no choice reaches the recall */
    for (int r = 1; r <= MINHASH_PERM_PLAN; r++)
        for (int b = 1; b <= MINHASH_BANDS_MAX && b * r <= MINHASH_PERM_PLAN; b++) {
            if (minhash_catch(threshold, b, r) < MINHASH_RECALL)
                continue;
            const double cost = area(0, threshold, b, r, true) / 2 + area(threshold, 1, b, r, false) / 2;
            if (cost < best) {
                best = cost;
                *bands = b;
                *rows = r;
            }
        }
}

int minhash_new(MinHash **out, const MinHashCfg *c, Err *e)
{
    *out = NULL;
    const double threshold = c->threshold != 0 ? c->threshold : MINHASH_THRESHOLD;
    if (!(threshold >= 0.1 && threshold <= 1))
        return err_set(e, ERR_ARG, "the similarity from which two texts count as near duplicates is %g; expected is a number from 0.1 to 1, such as 0.8",
                       threshold);
    if (c->shingle.words < 0 || c->shingle.words > SHINGLE_MAX)
        return err_set(e, ERR_ARG, "a shingle of %d words; expected are 1 to %d", c->shingle.words, SHINGLE_MAX);
    const bool plan = !c->bands && !c->rows;
    if (!plan && (c->bands < 1 || c->rows < 1 || c->bands > MINHASH_BANDS_MAX || c->rows > MINHASH_PERM_MAX / c->bands))
        return err_set(e, ERR_ARG, "%d bands of %d rows; expected are 1 to %d bands and at most %d rows in all, or 0 and 0 for the usual choice",
                       c->bands, c->rows, MINHASH_BANDS_MAX, MINHASH_PERM_MAX);
    void *p = NULL;
    BUG_ON(posix_memalign(&p, 4 * LANES, sizeof(MinHash)) != 0);
    MinHash *m = p;
    memset(m, 0, sizeof *m);
    m->cfg = *c;
    m->cfg.threshold = threshold;
    if (!m->cfg.shingle.words)
        m->cfg.shingle.words = SHINGLE_WORDS;
    if (plan)
        minhash_plan(threshold, &m->cfg.bands, &m->cfg.rows);
    m->groups = (m->cfg.bands * m->cfg.rows + LANES - 1) / LANES;
    uint32_t counter[4] = { 0 }, word[4];
    const uint32_t key[2] = { (uint32_t)c->seed, (uint32_t)(c->seed >> 32) };
    for (int i = 0; i < m->groups * LANES; i++) {
        counter[0] = (uint32_t)i;
        rng_philox(counter, key, word);
        m->mul[i] = word[0] | 1; /* odd: a permutation */
        m->add[i] = word[1];
    }
    m->sign = sign_any;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2"))
        m->sign = sign_avx2;
#endif
    *out = m;
    return 0;
}

void minhash_free(MinHash *m)
{
    free(m);
}

const MinHashCfg *minhash_cfg(const MinHash *m)
{
    return &m->cfg;
}

Shingles *minhash_shingles(const MinHash *m)
{
    return shingles_new(&m->cfg.shingle);
}

/* work has read the text, if it is not too long. */
static Hash128 exact_of(const MinHash *m, const Shingles *work, Str text)
{
    const size_t words = text.n > MINHASH_TEXT_MAX ? 0 : shingles_words(work);
    const Str    same = m->cfg.exact_bytes || !words ? text : shingles_text(work, 0, words);
    return xxh3_128(same.p, same.n);
}

Hash128 minhash_exact(const MinHash *m, Shingles *work, Str text)
{
    if (text.n <= MINHASH_TEXT_MAX)
        shingles_read(work, text);
    return exact_of(m, work, text);
}

void minhash_row(const MinHash *m, Shingles *work, Str text, MinHashRow *out)
{
    uint32_t least[PERM_CEIL];
    size_t n;
    if (text.n > MINHASH_TEXT_MAX) {
        *out = (MinHashRow){ .exact = exact_of(m, work, text) };
        return;
    }
    shingles_read(work, text);
    const uint64_t *set = shingles_set(work, &n);
    out->exact = exact_of(m, work, text);
    out->n_shingles = (uint32_t)n;
    if (!n)
        return;
    m->sign(m, set, n, least);
    for (int b = 0; b < m->cfg.bands; b++)
        out->key[b] = (uint32_t)xxh3_64(least + b * m->cfg.rows, (size_t)m->cfg.rows * sizeof *least);
}
