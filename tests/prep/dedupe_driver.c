/* dedupe_driver.c - duplicates of a file of {"text": ...} lines, for tools/judge_dedupe.py, which compares the outcome with other programs'.
 *   dedupe_driver words    FILE WORDS                     a line of normalised words per text
 *   dedupe_driver clusters FILE WORDS THRESHOLD THREADS   "row kept jaccard exact" per removed row
 *   dedupe_driver near     FILE WORDS THRESHOLD INDEXED   "row text jaccard" per match among the texts of INDEXED
 *   dedupe_driver ngram    FILE N     -         INDEXED   "row text runs words..." per match
 * Standard error has the bytes of text and the seconds of processor time of each step. */
#include "base/file.h"
#include "formats/jsonl.h"
#include "prep/dedupe.h"
#include "prep/dedupe_near.h"
#include "prep/dedupe_ngram.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static double cpu_seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

typedef struct Texts { VEC(Str) v; size_t bytes; } Texts;

static int texts_read(Texts *t, const char *path, Err *e)
{
    Jsonl r;
    Json *row;
    int rc = jsonl_open(&r, path, e);
    if (rc)
        return rc;
    while ((rc = jsonl_next(&r, &row, e)) > 0) {
        Str s;
        rc = json_need_str(row, "text", &s, path, e);
        if (rc)
            break;
        *vec_push(&t->v) = (Str){ mem_strndup(s.p, s.n), s.n };
        t->bytes += s.n;
        json_free(row);
    }
    jsonl_close(&r);
    return rc;
}

typedef struct Sketch { const MinHash *m; const Texts *t; Shingles **work; MinHashRow *row; size_t n; } Sketch;
#define PIECE 256

static void sketch_piece(void *ctx, int64_t piece, int worker)
{
    const Sketch *s = ctx;
    for (size_t i = (size_t)piece * PIECE; i < MIN(((size_t)piece + 1) * PIECE, s->n); i++)
        minhash_row(s->m, s->work[worker], s->t->v.p[i], &s->row[i]);
}

static int text_of(void *ctx, int64_t row, int worker, StrBuf *out, Err *e)
{
    (void)worker;
    (void)e;
    const Str s = ((const Texts *)ctx)->v.p[row];
    strbuf_add(out, s.p, s.n);
    return 0;
}

static int print_removed(void *ctx, const DedupeRemoved *r, Err *e)
{
    (void)ctx;
    (void)e;
    printf("%lld %lld %.17g %d\n", (long long)r->row, (long long)r->kept, r->jaccard, r->exact);
    return 0;
}

static int clusters(Texts *t, const MinHash *m, int threads, Err *e)
{
    char path[] = "/tmp/dedupe_driver-XXXXXX";
    const int made = mkstemp(path);
    if (made < 0)
        return err_sys(e, "%s: cannot make it", path);
    close(made);
    Pool *pool = pool_new(threads);
    Sketch s = { m, t, mem_zalloc((size_t)threads, sizeof(Shingles *)), mem_zalloc(t->v.n + 1, sizeof(MinHashRow)), t->v.n };
    for (int i = 0; i < threads; i++)
        s.work[i] = minhash_shingles(m);
    const double start = cpu_seconds();
    parallel_for(pool, (int64_t)((s.n + PIECE - 1) / PIECE), sketch_piece, &s);
    const double sketched = cpu_seconds();
    DedupeKeys *k = dedupe_keys_new(m);
    DedupeFound r;
    StrBuf keys = { 0 };
    int rc = 0;
    for (size_t i = 0; i < s.n && !rc; i++)
        rc = dedupe_add(k, (int64_t)i, &s.row[i], (float)t->v.p[i].n, &keys, e);
    dedupe_end_block(k, &keys);
    dedupe_keys_free(k);
    if (!rc)
        rc = file_write_atomic(path, keys.p ? keys.p : "", keys.n, e);
    strbuf_release(&keys);
    const double added = cpu_seconds();
    if (!rc)
        rc = dedupe_find(&(DedupeCfg){ .minhash = m, .keys = path, .pool = pool, .text_of = text_of, .removed = print_removed, .ctx = t }, &r, e);
    if (!rc)
        fprintf(stderr, "bytes %zu sketch %.4f add %.4f finish %.4f rows %zu distinct %zu exact %zu removed %zu compared %llu left_out %llu\n", t->bytes,
                sketched - start, added - sketched, cpu_seconds() - added, r.rows, r.distinct, r.exact, r.removed, (unsigned long long)r.compared,
                (unsigned long long)r.left_out);
    unlink(path);
    for (int i = 0; i < threads; i++)
        shingles_free(s.work[i]);
    free(s.work);
    free(s.row);
    pool_free(pool);
    return rc;
}

static int near(const Texts *t, const Texts *indexed, Shingles *work, double threshold, Err *e)
{
    NearIndex *x = near_index_new(threshold);
    NearMatches found = { 0 };
    int rc = 0;
    for (size_t i = 0; i < indexed->v.n && !rc; i++) {
        shingles_read(work, indexed->v.p[i]);
        rc = near_index_add(x, work, e);
    }
    near_index_build(x);
    const double start = cpu_seconds();
    for (size_t i = 0; i < t->v.n && !rc; i++) {
        shingles_read(work, t->v.p[i]);
        near_index_find(x, work, &found);
        for (size_t k = 0; k < found.n; k++)
            printf("%zu %u %.17g\n", i, found.p[k].text, found.p[k].jaccard);
    }
    fprintf(stderr, "bytes %zu find %.4f\n", t->bytes, cpu_seconds() - start);
    vec_release(&found);
    near_index_free(x);
    return rc;
}

static int ngram(const Texts *t, const Texts *indexed, Shingles *work, int n, Err *e)
{
    NgramIndex *x = ngram_index_new(n);
    NgramMatches found = { 0 };
    bool has;
    int rc = 0;
    for (size_t i = 0; i < indexed->v.n && !rc; i++) {
        shingles_read(work, indexed->v.p[i]);
        rc = ngram_index_add(x, work, &has, e);
    }
    ngram_index_build(x);
    const double start = cpu_seconds();
    for (size_t i = 0; i < t->v.n && !rc; i++) {
        shingles_read(work, t->v.p[i]);
        ngram_index_find(x, work, &found);
        for (size_t k = 0; k < found.n; k++) {
            const Str words = shingles_text(work, found.p[k].at, (size_t)n);
            printf("%zu %u %u %.*s\n", i, found.p[k].text, found.p[k].runs, (int)words.n, words.p);
        }
    }
    fprintf(stderr, "bytes %zu find %.4f\n", t->bytes, cpu_seconds() - start);
    vec_release(&found);
    ngram_index_free(x);
    return rc;
}

static int words(const Texts *t, Shingles *work)
{
    for (size_t i = 0; i < t->v.n; i++) {
        shingles_read(work, t->v.p[i]);
        const Str s = shingles_text(work, 0, shingles_words(work));
        printf("%.*s\n", (int)s.n, s.p);
    }
    return 0;
}

int main(int argc, char **argv)
{
    Err e = { 0 };
    Texts t = { 0 }, indexed = { 0 };
    const char *mode = argc > 3 ? argv[1] : "";
    const bool indexes = !strcmp(mode, "near") || !strcmp(mode, "ngram");
    if (argc != (!strcmp(mode, "words") ? 4 : 6) || (!indexes && strcmp(mode, "words") != 0 && strcmp(mode, "clusters") != 0)) {
        fprintf(stderr, "usage: dedupe_driver words|clusters|near|ngram FILE WORDS [THRESHOLD THREADS|INDEXED]\n");
        return 2;
    }
    MinHash *m = NULL;
    const int n = atoi(argv[3]);
    const MinHashCfg cfg = { .shingle.words = indexes && !strcmp(mode, "ngram") ? 0 : n, .threshold = argc > 4 ? atof(argv[4]) : 0 };
    int rc = minhash_new(&m, &cfg, &e);
    Shingles *work = rc ? NULL : minhash_shingles(m);
    if (!rc)
        rc = texts_read(&t, argv[2], &e);
    if (!rc && indexes)
        rc = texts_read(&indexed, argv[5], &e);
    if (!rc && !strcmp(mode, "words"))
        rc = words(&t, work);
    else if (!rc && !strcmp(mode, "clusters"))
        rc = clusters(&t, m, atoi(argv[5]), &e);
    else if (!rc && !strcmp(mode, "near"))
        rc = near(&t, &indexed, work, atof(argv[4]), &e);
    else if (!rc)
        rc = ngram(&t, &indexed, work, n, &e);
    if (rc)
        fprintf(stderr, "%s\n", e.text);
    shingles_free(work);
    minhash_free(m);
    return rc ? 1 : 0;
}
