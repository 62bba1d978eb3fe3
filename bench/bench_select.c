/* bench_select.c - what tools/selection_experiment.sh trains on: scores the rows of a file with a base model and writes the selections that are to be compared, and
 * prints what the scores and the vectors look like.
 *   bench_select MODEL ROWS.jsonl K SEED OUT SEPARATOR
 * writes OUT/best.jsonl (IFD by the loss ratio, highest below 1), diverse.jsonl (the same ranking, centred cosines below SELECT_COSINE), cover.jsonl, random.jsonl
 * and longest.jsonl, K rows each (diverse may find fewer). */
#include "base/clock.h"
#include "base/file.h"
#include "formats/jsonl.h"
#include "prep/select.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef VEC(Json *) Rows;

static int read_rows(Rows *rows, const char *path, Err *e)
{
    Jsonl in;
    Json *row;
    int   rc = jsonl_open(&in, path, e);
    if (rc)
        return rc;
    while ((rc = jsonl_next(&in, &row, e)) == 1)
        *vec_push(rows) = row;
    jsonl_close(&in);
    return rc;
}

static int write_selection(const Selection *s, const Rows *rows, const char *folder, const char *name, Err *e)
{
    StrBuf text = { 0 }, path = { 0 };
    for (size_t i = 0; i < s->n; i++) {
        json_write(&text, rows->p[s->row[i]], false);
        strbuf_addc(&text, '\n');
    }
    strbuf_addf(&path, "%s/%s.jsonl", folder, name);
    const int rc = file_write_atomic(strbuf_z(&path), strbuf_z(&text), text.n, e);
    strbuf_release(&text);
    strbuf_release(&path);
    return rc;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_scores(const RowScore *s, size_t n, double seconds)
{
    double *v = mem_zalloc(n, sizeof *v);
    size_t  m = 0, above = 0, cut = 0;
    int64_t tokens = 0;
    for (size_t i = 0; i < n; i++) {
        cut += s[i].cut;
        tokens += s[i].tokens;
        above += s[i].ifd_loss >= 1;
        if (isfinite(s[i].ifd_loss))
            v[m++] = s[i].ifd_loss;
    }
    qsort(v, m, sizeof *v, by_size);
    printf("scores: %zu rows, %lld tokens, %.1f s, %zu cut; IFD (loss ratio) 10 %% %.3f, median %.3f, 90 %% %.3f; %zu at 1 or above\n", n, (long long)tokens, seconds, cut,
           m ? v[m / 10] : NAN, m ? v[m / 2] : NAN, m ? v[m * 9 / 10] : NAN, above);
    free(v);
}

int main(int argc, char **argv)
{
    Err        e = { 0 };
    Rows       rows = { 0 };
    Model     *m = NULL;
    Tok       *tok = NULL;
    Embeddings x = { 0 };
    if (argc != 7) {
        fprintf(stderr, "usage: bench_select MODEL ROWS.jsonl K SEED OUT SEPARATOR\n");
        return 2;
    }
    Backend *be = backend_open("cpu", 0, &e);
    if (!be || model_open(&m, argv[1], be, NULL, &e) || tok_open(&tok, argv[1], &e) || read_rows(&rows, argv[2], &e))
        goto fail;
    const ScoreRows in = { rows.p, rows.n, argv[2], tok, argv[6] };
    RowScore       *score = mem_zalloc(rows.n, sizeof *score);
    double         *ifd = mem_zalloc(rows.n, sizeof *ifd), begin = clock_seconds();
    SelectWhy      *barred = mem_zalloc(rows.n, sizeof *barred);
    int64_t        *length = mem_zalloc(rows.n, sizeof *length);
    EmbedPairs      near = { 0 };
    if (score_rows(m, &in, &(ScoreOptions){ 0 }, score, &e))
        goto fail;
    print_scores(score, rows.n, clock_seconds() - begin);
    begin = clock_seconds();
    if (embed_rows(&x, m, &in, &(EmbedOptions){ 0 }, &e))
        goto fail;
    printf("vectors: %.1f s; mean cosine raw %.3f", clock_seconds() - begin, embed_mean_cosine(&x));
    embed_centre(&x);
    printf(", centred %.4f\n", embed_mean_cosine(&x));
    for (double t = 0.9; t > 0.5; t -= 0.2) {
        begin = clock_seconds();
        vec_clear(&near);
        if (embed_near(&x, t, 8, NULL, &near, &e))
            goto fail;
        printf("near rows: %zu pairs at %.1f, %.2f s\n", near.n, t, clock_seconds() - begin);
    }
    select_by_ifd(score, rows.n, IFD_LOSS, ifd, barred);
    for (size_t i = 0; i < rows.n; i++)
        length[i] = score[i].trained;
    const SelectInput   what = { rows.n, ifd, barred, length, &x };
    const SelectOptions o = { .k = (size_t)atoll(argv[3]), .seed = (uint64_t)atoll(argv[4]) };
    for (SelectWay w = SELECT_BEST; w < SELECT_WAYS; w++) {
        Selection s;
        begin = clock_seconds();
        if (select_rows(&s, w, &what, &o, &e) || write_selection(&s, &rows, argv[5], select_way_name(w), &e))
            goto fail;
        printf("%s: %zu rows, %.2f s\n", select_way_name(w), s.n, clock_seconds() - begin);
        select_release(&s);
    }
    return 0;
fail:
    fprintf(stderr, "bench_select: %s\n", e.text);
    return 1;
}
