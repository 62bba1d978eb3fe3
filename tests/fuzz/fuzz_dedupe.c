/* fuzz_dedupe.c - any bytes as texts (cut at line feeds): words are clean, copies are exact duplicates of each other, and what is removed reaches somebody. */
#include "base/utf8.h"
#include "base/vec.h"
#include "prep/dedupe.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

typedef struct Texts { VEC(Str) v; } Texts;

static int text_of(void *ctx, int64_t row, int worker, StrBuf *out, Err *e)
{
    (void)worker;
    (void)e;
    const Str s = ((const Texts *)ctx)->v.p[row / 2];
    strbuf_add(out, s.p, s.n);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n < 1)
        return 0;
    const MinHashCfg cfg = { .shingle = { p[0] % 4, p[0] & 4, p[0] & 8 }, .bands = 4, .rows = 1, .threshold = 0.5, .exact_bytes = p[0] & 16 };
    Texts t = { 0 };
    MinHash *m;
    Err e;
    BUG_ON(minhash_new(&m, &cfg, &e));
    Shingles *s = minhash_shingles(m);
    Dedupe *d = dedupe_new(m, 1);
    for (size_t i = 1, end; i < n && t.v.n < 300; i = end + 1) {
        for (end = i; end < n && p[end] != '\n';)
            end++;
        const Str text = { (const char *)p + i, end - i };
        MinHashRow row;
        minhash_row(m, s, text, &row);
        const size_t words = shingles_words(s);
        const Str clean = shingles_text(s, 0, words);
        BUG_ON(!utf8_valid(clean, NULL) || (words == 0) != (row.n_shingles == 0) || row.n_shingles > words);
        for (int copy = 0; copy < 2; copy++)
            BUG_ON(dedupe_add(d, (int64_t)t.v.n * 2 + copy, &row, (float)copy, &e));
        *vec_push(&t.v) = text;
    }
    DedupeResult r;
    BUG_ON(dedupe_finish(d, NULL, text_of, &t, &r, &e));
    BUG_ON(r.rows != 2 * t.v.n || r.n_removed < t.v.n || r.n_removed + r.n_clusters > r.rows || r.n_exact > r.n_removed);
    for (size_t i = 0; i < r.n_removed; i++)
        BUG_ON(r.removed[i].row == r.removed[i].kept || !(r.removed[i].jaccard >= 0 && r.removed[i].jaccard <= 1));
    dedupe_result_release(&r);
    dedupe_free(d);
    shingles_free(s);
    minhash_free(m);
    vec_release(&t.v);
    return 0;
}
