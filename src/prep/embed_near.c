/* embed_near.c - which rows lie near each other: exact search in blocks, and the groups that near pairs make (see embed.h).
 * Main struct: Near, the nearest rows found so far of each row. Invariants: a row's list is ordered by (cosine descending, number ascending) and holds the
 * best of all rows it has been compared with; each pair of rows is compared once. */
#include "prep/embed.h"

#include <stdlib.h>

#define BLOCK 512 /* rows of one product: BLOCK x BLOCK cosines, 1 MB */

typedef struct Mate { int64_t row; float cosine; } Mate;
typedef struct Near { Mate *mate; int *n; int most; float threshold; } Near; /* mate [rows, most] */

int embed_cosines(const Embeddings *x, TArena *scratch, const int64_t *a, int64_t na, const int64_t *b, int64_t nb, float *out, Err *e)
{
    const int64_t *row[2] = { a, b }, n[2] = { na, nb };
    const size_t   width = (size_t)x->dim * sizeof *x->x;
    Tensor        *t[3] = { NULL, NULL, NULL };
    Backend       *be = x->be;
    TArenaMark     mark = tarena_mark(scratch);
    BUG_ON(na < 1 || nb < 1);
    for (int k = 0; k < 2; k++) {
        t[k] = tarena_tensor(scratch, NULL, DT_F32, 2, (int64_t[]){ n[k], x->dim });
        for (int64_t i = 0; t[k] && i < n[k]; i++)
            be->upload(be, (float *)t[k]->data + i * x->dim, x->x + row[k][i] * x->dim, width);
    }
    t[2] = tarena_tensor(scratch, NULL, DT_F32, 2, (int64_t[]){ na, nb });
    if (tarena_failed(scratch, e))
        return err_wrap(e, "cosines of %lld by %lld rows", (long long)na, (long long)nb);
    be->linear(be, t[2], t[0], t[1], NULL, 1.0f, false);
    const int rc = be->sync(be, e);
    if (!rc)
        be->download(be, out, t[2]->data, (size_t)(na * nb) * sizeof *out);
    tarena_rewind(scratch, mark);
    return rc;
}

static void meet(Near *n, int64_t row, int64_t other, float cosine)
{
    Mate *list = n->mate + row * n->most;
    int   at = n->n[row];
    if (at == n->most && (list[at - 1].cosine > cosine || (list[at - 1].cosine == cosine && list[at - 1].row < other)))
        return;
    at = at < n->most ? n->n[row]++ : at - 1;
    for (; at > 0 && (list[at - 1].cosine < cosine || (list[at - 1].cosine == cosine && list[at - 1].row > other)); at--)
        list[at] = list[at - 1];
    list[at] = (Mate){ other, cosine };
}

static int by_rows(const void *a, const void *b)
{
    const EmbedPair *x = a, *y = b;
    return x->a != y->a ? (x->a > y->a) - (x->a < y->a) : (x->b > y->b) - (x->b < y->b);
}

/* Both rows of a pair may have the other on their list: it counts once. */
static void pairs_of(const Near *n, int64_t rows, EmbedPairs *out)
{
    for (int64_t i = 0; i < rows; i++)
        for (int k = 0; k < n->n[i]; k++) {
            const Mate *m = &n->mate[i * n->most + k];
            *vec_push(out) = (EmbedPair){ MIN(i, m->row), MAX(i, m->row), m->cosine };
        }
    if (out->n)
        qsort(out->p, out->n, sizeof *out->p, by_rows);
    size_t kept = 0;
    for (size_t i = 0; i < out->n; i++)
        if (!kept || by_rows(&out->p[kept - 1], &out->p[i]))
            out->p[kept++] = out->p[i];
    out->n = kept;
}

static void scan(Near *n, const float *cosine, int64_t i0, int64_t ni, int64_t j0, int64_t nj)
{
    for (int64_t i = 0; i < ni; i++)
        for (int64_t j = i0 == j0 ? i + 1 : 0; j < nj; j++) {
            const float c = cosine[i * nj + j];
            if (c < n->threshold)
                continue;
            meet(n, i0 + i, j0 + j, c);
            meet(n, j0 + j, i0 + i, c);
        }
}

int embed_near(const Embeddings *x, double threshold, int nearest, const ScoreHooks *h, EmbedPairs *out, Err *e)
{
    if (!(threshold > 0 && threshold <= 1) || nearest < 1 || nearest > EMBED_NEAREST_MAX)
        return err_set(e, ERR_ARG, "near rows are asked for at cosine %g, %d for each row; expected are a cosine above 0 and up to 1, and 1 to %d rows",
                       threshold, nearest, EMBED_NEAREST_MAX);
    if (x->n > EMBED_ROWS_MAX)
        return err_set(e, ERR_INPUT, "%lld rows are too many for an exact search among all pairs; expected are at most %d: remove near duplicates by words "
                                     "first, or take a part of the rows", (long long)x->n, EMBED_ROWS_MAX);
    Near     n = { .mate = mem_zalloc((size_t)x->n * (size_t)nearest, sizeof *n.mate), .n = mem_zalloc((size_t)x->n, sizeof *n.n), .most = nearest,
                   .threshold = (float)threshold };
    float   *cosine = mem_alloc((size_t)BLOCK * BLOCK * sizeof *cosine);
    int64_t *number = mem_zalloc((size_t)x->n, sizeof *number);
    TArena   scratch;
    int      rc = 0;
    tarena_init(&scratch, x->be);
    for (int64_t i = 0; i < x->n; i++)
        number[i] = i;
    for (int64_t i = 0; i < x->n && !rc; i += BLOCK) {
        const int64_t ni = MIN(BLOCK, x->n - i);
        rc = score_stopped(h, (size_t)i, (size_t)x->n, e);
        for (int64_t j = i; j < x->n && !rc; j += BLOCK) {
            const int64_t nj = MIN(BLOCK, x->n - j);
            if (!(rc = embed_cosines(x, &scratch, number + i, ni, number + j, nj, cosine, e)))
                scan(&n, cosine, i, ni, j, nj);
        }
        if (!rc)
            score_progress(h, (size_t)(i + ni), (size_t)x->n);
    }
    if (!rc)
        pairs_of(&n, x->n, out);
    tarena_release(&scratch);
    free(number);
    free(cosine);
    free(n.mate);
    free(n.n);
    return rc;
}

static int64_t root_of(int64_t *group, int64_t i)
{
    while (group[i] != i)
        i = group[i] = group[group[i]];
    return i;
}

void embed_groups(int64_t n, const EmbedPairs *pairs, int64_t *group)
{
    for (int64_t i = 0; i < n; i++)
        group[i] = i;
    for (size_t k = 0; k < pairs->n; k++) {
        const int64_t a = root_of(group, pairs->p[k].a), b = root_of(group, pairs->p[k].b);
        group[MAX(a, b)] = MIN(a, b);
    }
    for (int64_t i = 0; i < n; i++)
        group[i] = root_of(group, i);
}
