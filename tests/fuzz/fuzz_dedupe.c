/* fuzz_dedupe.c - any bytes as texts (cut at line feeds): words are clean, copies are exact duplicates of each other, and what is removed reaches somebody. */
#include "base/file.h"
#include "base/utf8.h"
#include "base/vec.h"
#include "prep/dedupe.h"

#include <stdio.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

typedef struct Texts { VEC(Str) v; } Texts;
static char path[64]; /* of the file of rows: one process, one thread */

static int removed(void *ctx, const DedupeRemoved *r, Err *e)
{
    (void)ctx;
    (void)e;
    BUG_ON(r->row == r->kept || !(r->jaccard >= 0 && r->jaccard <= 1));
    return 0;
}

static void put(const char *bytes, size_t n)
{
    FileLog f;
    Err     e;
    BUG_ON(file_log_open(&f, path, 0, &e) || file_log_add(&f, bytes, n, &e));
    file_log_close(&f);
}

/* The bytes as a file of rows, which they hardly are: an error, or a search that ends. */
static int no_text(void *ctx, int64_t row, int worker, StrBuf *out, Err *e)
{
    (void)ctx;
    (void)worker;
    (void)out;
    return row < 0 ? err_set(e, ERR_IO, "no row") : 0;
}

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
    DedupeKeys *d = dedupe_keys_new(m);
    StrBuf keys = { 0 };
    if (!*path)
        snprintf(path, sizeof path, "/tmp/fuzz_dedupe-%ld", (long)getpid());
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
            BUG_ON(dedupe_add(d, (int64_t)t.v.n * 2 + copy, &row, (float)copy, &keys, &e));
        *vec_push(&t.v) = text;
    }
    dedupe_end_block(d, &keys);
    DedupeFound r;
    DedupeCfg find = { .minhash = m, .keys = path, .text_of = text_of, .removed = removed, .ctx = &t, .cache_bytes = 1, .sort_bytes = 1 };
    put(keys.p ? keys.p : "", keys.n);
    BUG_ON(dedupe_find(&find, &r, &e));
    BUG_ON(r.rows != 2 * t.v.n || r.removed < t.v.n || r.removed + r.clusters > r.rows || r.exact > r.removed);
    find.text_of = no_text;
    put((const char *)p, n);
    dedupe_find(&find, &r, &e);
    strbuf_release(&keys);
    dedupe_keys_free(d);
    shingles_free(s);
    minhash_free(m);
    vec_release(&t.v);
    return 0;
}
