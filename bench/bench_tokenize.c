/* bench_tokenize.c - megabytes of text per second that a tokenizer encodes: the median of some turns over all lines of a file.
 *   bench_tokenize TOKENIZER.JSON LINES [THREADS] [REPS]      LINES: one JSON string per line
 * bench/tokenizers.sh sets it beside the tokenizers library. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/thread.h"
#include "tokenizer/tok.h"

#define REPS_MAX 64

typedef struct Texts { VEC(Str) list; VEC(Json *) owners; size_t nbytes; } Texts;

static int texts_read(Texts *x, const char *path, Err *e)
{
    char *text;
    size_t n;
    int rc = file_read_text(path, &text, &n, e);
    for (char *at = rc ? NULL : text, *next; !rc && (next = strchr(at, '\n')); at = next + 1) {
        Json *j = NULL;
        rc = json_parse(&j, (Str){ at, (size_t)(next - at) }, path, e);
        *vec_push(&x->owners) = j;
        *vec_push(&x->list) = json_str(j);
        x->nbytes += json_str(j).n;
    }
    if (!rc)
        free(text);
    return rc;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int measure(const Tok *t, Pool *pool, const Texts *x, int reps, Err *e)
{
    double mb[REPS_MAX];
    size_t n_ids = 0;
    TokIds *ids = mem_zalloc(x->list.n, sizeof *ids);
    int rc = 0;
    for (int r = -1; r < reps && !rc; r++) { /* turn -1 warms up */
        double start = clock_seconds();
        for (size_t i = 0; i < x->list.n; i++)
            vec_clear(&ids[i]);
        rc = tok_encode_many(t, pool, x->list.p, x->list.n, TOK_SPECIAL, ids, NULL, e);
        if (r >= 0)
            mb[r] = (double)x->nbytes / 1e6 / (clock_seconds() - start);
    }
    qsort(mb, (size_t)reps, sizeof *mb, by_value);
    for (size_t i = 0; i < x->list.n; i++) {
        n_ids += ids[i].n;
        vec_release(&ids[i]);
    }
    if (!rc)
        printf("%.2f %zu\n", mb[reps / 2], n_ids);
    free(ids);
    return rc;
}

int main(int argc, char **argv)
{
    Texts x = { 0 };
    Json *file = NULL;
    Tok *t = NULL;
    Pool *pool = NULL;
    Err e = { 0 };
    if (argc < 3) {
        fprintf(stderr, "usage: bench_tokenize TOKENIZER.JSON LINES [THREADS] [REPS]\n");
        return 2;
    }
    int reps = argc > 4 ? atoi(argv[4]) : 5;
    log_stderr(false);
    int rc = texts_read(&x, argv[2], &e);
    rc = rc ? rc : json_read_file(&file, argv[1], &e);
    rc = rc ? rc : tok_open_json(&t, file, NULL, argv[1], &e);
    if (!rc) {
        pool = pool_new(argc > 3 ? atoi(argv[3]) : 1);
        rc = measure(t, pool, &x, MIN(MAX(reps, 1), REPS_MAX), &e);
    }
    if (rc)
        fprintf(stderr, "bench_tokenize: %s\n", e.text);
    for (size_t i = 0; i < x.owners.n; i++)
        json_free(x.owners.p[i]);
    vec_release(&x.owners);
    vec_release(&x.list);
    pool_free(pool);
    tok_free(t);
    json_free(file);
    return rc != 0;
}
