/* select_walk.c - the two walks down a ranking that look at vectors: diverse (keep what is not near anything kept) and cover (greedy facility location).
 * Invariant: both choose what the plain loops over all pairs would choose; blocks and lazy sums only spare work. */
#include "prep/select_int.h"

#include <math.h>
#include <stdlib.h>

#define BLOCK 256 /* candidates that are compared with the kept rows at once, and kept rows in one product */

/* ---- diverse ---- */

/* The nearest of the rows b to each candidate: near and cosine of the verdict grow; first of equals. */
static void nearest_of(Selection *s, const int64_t *cand, int64_t n, const int64_t *b, int64_t nb, const float *cosine)
{
    for (int64_t i = 0; i < n; i++) {
        SelectVerdict *v = &s->verdict[cand[i]];
        for (int64_t j = 0; j < nb; j++)
            if (v->near < 0 || cosine[i * nb + j] > v->cosine) {
                v->near = b[j];
                v->cosine = cosine[i * nb + j];
            }
    }
}

/* Candidates of one block: near is up to date with all rows kept before the block; `own` [n, n] are their cosines to each other. */
static void walk_block(Selection *s, const int64_t *cand, int64_t n, const float *own, size_t k, float most)
{
    for (int64_t i = 0; i < n && s->n < k; i++) {
        SelectVerdict *v = &s->verdict[cand[i]];
        for (int64_t j = 0; j < i; j++)
            if (s->verdict[cand[j]].why == SELECT_KEPT && (v->near < 0 || own[i * n + j] > v->cosine)) {
                v->near = cand[j];
                v->cosine = own[i * n + j];
            }
        if (v->near < 0 || v->cosine < most)
            select_keep(s, cand[i]);
        else
            v->why = SELECT_TOO_NEAR;
    }
}

int select_walk_diverse(Selection *s, const Ranking *r, const SelectInput *in, const SelectOptions *o, Err *e)
{
    const float most = (float)(o->max_cosine > 0 ? o->max_cosine : SELECT_COSINE);
    float      *cosine = mem_alloc((size_t)BLOCK * BLOCK * sizeof *cosine);
    TArena      scratch;
    int         rc = 0;
    tarena_init(&scratch, in->embed->be);
    for (size_t at = 0; at < r->n && s->n < o->k && !rc; at += BLOCK) {
        const int64_t  n = (int64_t)MIN((size_t)BLOCK, r->n - at);
        const int64_t *cand = r->row + at;
        rc = score_stopped(&o->hooks, at, r->n, e);
        for (size_t b = 0; b < s->n && !rc; b += BLOCK) {
            const int64_t nb = (int64_t)MIN((size_t)BLOCK, s->n - b);
            if (!(rc = embed_cosines(in->embed, &scratch, cand, n, s->row + b, nb, cosine, e)))
                nearest_of(s, cand, n, s->row + b, nb, cosine);
        }
        if (!rc && !(rc = embed_cosines(in->embed, &scratch, cand, n, cand, n, cosine, e)))
            walk_block(s, cand, n, cosine, o->k, most);
        if (!rc)
            score_progress(&o->hooks, at + (size_t)n, r->n);
    }
    for (size_t i = 0; i < r->n; i++) { /* those that the walk did not come to, but their block did */
        SelectVerdict *v = &s->verdict[r->row[i]];
        if (v->why == SELECT_RANKED_OUT) {
            v->near = -1;
            v->cosine = 0;
        }
    }
    tarena_release(&scratch);
    free(cosine);
    return rc;
}

/* ---- cover: f(S) = sum_i max(0, max_{j in S} cosine(i, j)) over the pool ---- */

typedef struct Cover {
    const int64_t *row;      /* [n] the pool, in order of row number, so that equal gains go to the lower one */
    int64_t        n;
    float         *cosine;   /* [n, n] */
    float         *best;     /* [n] the highest cosine to a chosen row, at least 0 */
    int64_t       *mate;     /* [n] that row's place in the pool; -1: none */
    double        *bound;    /* [n] its gain when it was last summed: gains only fall (f is submodular); -1: chosen */
    int64_t       *summed;   /* [n] the step of that */
    int64_t        step;
} Cover;

static double gain(const Cover *c, int64_t j)
{
    double sum = 0;
    for (int64_t i = 0; i < c->n; i++) {
        const float more = c->cosine[j * c->n + i] - c->best[i];
        if (more > 0)
            sum += (double)more;
    }
    return sum;
}

/* The place with the highest gain now, the lower of equals: the highest bound is summed anew until one that was summed in this step stays the highest. */
static int64_t cover_next(Cover *c)
{
    for (c->step++;;) {
        int64_t top = 0;
        for (int64_t j = 1; j < c->n; j++)
            if (c->bound[j] > c->bound[top])
                top = j;
        if (c->summed[top] == c->step)
            return top;
        c->bound[top] = gain(c, top);
        c->summed[top] = c->step;
    }
}

static void cover_take(Cover *c, int64_t j)
{
    for (int64_t i = 0; i < c->n; i++)
        if (c->mate[i] < 0 || c->cosine[j * c->n + i] > c->best[i]) {
            c->best[i] = MAX(c->cosine[j * c->n + i], 0.0f);
            c->mate[i] = j;
        }
    c->bound[j] = -1;
}

static int by_number(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int cosines_of_pool(const Cover *c, const Embeddings *x, const ScoreHooks *h, Err *e)
{
    float *block = mem_alloc((size_t)BLOCK * (size_t)c->n * sizeof *block);
    TArena scratch;
    int    rc = 0;
    tarena_init(&scratch, x->be);
    for (int64_t i = 0; i < c->n && !rc; i += BLOCK) {
        const int64_t ni = MIN(BLOCK, c->n - i);
        if (!(rc = score_stopped(h, 0, (size_t)c->n, e)) && !(rc = embed_cosines(x, &scratch, c->row + i, ni, c->row, c->n, block, e)))
            memcpy(c->cosine + i * c->n, block, (size_t)(ni * c->n) * sizeof *block);
    }
    tarena_release(&scratch);
    free(block);
    return rc;
}

int select_walk_cover(Selection *s, const Ranking *r, const SelectInput *in, const SelectOptions *o, Err *e)
{
    const double share = o->cover_share > 0 ? o->cover_share : SELECT_COVER_SHARE;
    const size_t pool = MIN(r->n, MAX(o->k, (size_t)ceil(share * (double)in->n)));
    if (pool > SELECT_COVER_MAX)
        return err_set(e, ERR_ARG, "a pool of %zu rows (the best %g of %zu, at least the %zu wanted) is too large to be covered; expected are at most %d: "
                                   "take a smaller share or fewer rows, or choose \"diverse\"", pool, share, in->n, o->k, SELECT_COVER_MAX);
    int64_t *row = mem_zalloc(pool, sizeof *row);
    Cover    c = { .row = row, .n = (int64_t)pool, .cosine = mem_zalloc(pool, pool * sizeof *c.cosine), .best = mem_zalloc(pool, sizeof *c.best),
                   .mate = mem_zalloc(pool, sizeof *c.mate), .bound = mem_zalloc(pool, sizeof *c.bound), .summed = mem_zalloc(pool, sizeof *c.summed) };
    for (size_t i = 0; i < pool; i++)
        row[i] = r->row[i];
    if (pool)
        qsort(row, pool, sizeof *row, by_number);
    const int rc = cosines_of_pool(&c, in->embed, &o->hooks, e);
    for (int64_t j = 0; j < c.n; j++) {
        c.mate[j] = -1;
        c.bound[j] = INFINITY;
    }
    while (!rc && s->n < MIN(o->k, pool)) {
        const int64_t j = cover_next(&c);
        cover_take(&c, j);
        select_keep(s, c.row[j]);
        score_progress(&o->hooks, s->n, MIN(o->k, pool));
    }
    for (int64_t i = 0; i < c.n && !rc; i++) {
        SelectVerdict *v = &s->verdict[c.row[i]];
        if (v->why == SELECT_KEPT)
            continue;
        v->why = SELECT_COVERED;
        v->near = c.row[c.mate[i]];
        v->cosine = c.cosine[c.mate[i] * c.n + i];
    }
    free(row);
    free(c.cosine);
    free(c.best);
    free(c.mate);
    free(c.bound);
    free(c.summed);
    return rc;
}
