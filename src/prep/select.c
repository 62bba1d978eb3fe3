/* select.c - see select.h. Every way is a ranking of the rows that may be chosen, and a walk down that ranking.
 * The walks that look at vectors stand in select_walk.c; here is what ranks, what all ways share, and the sentences. */
#include "prep/select_int.h"

#include <math.h>
#include <stdlib.h>

#include "base/rng.h"

typedef enum { BY_SCORE, BY_LENGTH, BY_DRAW } RankBy;

typedef struct Way {
    const char *name;
    RankBy      by;
    bool        embeds;
    int       (*walk)(Selection *s, const Ranking *r, const SelectInput *in, const SelectOptions *o, Err *e);
} Way;

static int walk_first(Selection *s, const Ranking *r, const SelectInput *in, const SelectOptions *o, Err *e)
{
    (void)in;
    (void)e;
    for (size_t i = 0; i < r->n && s->n < o->k; i++)
        select_keep(s, r->row[i]);
    return 0;
}

static const Way ways[] = {
    [SELECT_BEST]    = { "best",    BY_SCORE,  false, walk_first },
    [SELECT_DIVERSE] = { "diverse", BY_SCORE,  true,  select_walk_diverse },
    [SELECT_COVER]   = { "cover",   BY_SCORE,  true,  select_walk_cover },
    [SELECT_RANDOM]  = { "random",  BY_DRAW,   false, walk_first },
    [SELECT_LONGEST] = { "longest", BY_LENGTH, false, walk_first },
};

const char *select_way_name(SelectWay w)
{
    BUG_ON((size_t)w >= ARRAY_LEN(ways));
    return ways[w].name;
}

void select_keep(Selection *s, int64_t row)
{
    s->row[s->n++] = row;
    s->verdict[row].why = SELECT_KEPT;
    s->verdict[row].place = (int64_t)s->n;
}

static int best_first(const void *a, const void *b)
{
    const Ranked *x = a, *y = b;
    return x->value != y->value ? (x->value > y->value ? -1 : 1) : (x->row > y->row) - (x->row < y->row);
}

/* Fills r->row with the rows that may be chosen, best first, and the verdicts of all rows as if none had been chosen yet. */
static void rank(Ranking *r, Selection *s, const Way *w, const SelectInput *in, uint64_t seed)
{
    Ranked *item = mem_zalloc(in->n, sizeof *item);
    r->row = mem_zalloc(in->n, sizeof *r->row);
    for (size_t i = 0; i < in->n; i++) {
        SelectVerdict *v = &s->verdict[i];
        *v = (SelectVerdict){ .why = SELECT_RANKED_OUT, .near = -1 };
        v->value = w->by == BY_SCORE ? in->score[i] : w->by == BY_LENGTH ? (double)in->length[i] : 0;
        if (w->by == BY_SCORE && in->barred && in->barred[i] != SELECT_KEPT)
            v->why = in->barred[i];
        else if (isnan(v->value))
            v->why = SELECT_NO_SCORE;
        else
            item[r->n++] = (Ranked){ (int64_t)i, v->value };
    }
    if (r->n)
        qsort(item, r->n, sizeof *item, best_first);
    for (size_t i = 0; i < r->n; i++)
        r->row[i] = item[i].row;
    if (w->by == BY_DRAW) {
        Rng draw = rng_at(seed, RNG_SPLIT, hash64("select", 6), 0);
        rng_shuffle(&draw, r->row, (int64_t)r->n);
    }
    for (size_t i = 0; i < r->n; i++)
        s->verdict[r->row[i]].rank = (int64_t)i + 1;
    free(item);
}

static int check(const Way *w, const SelectInput *in, const SelectOptions *o, Err *e)
{
    BUG_ON((w->by == BY_SCORE && !in->score) || (w->by == BY_LENGTH && !in->length) || (w->embeds && (!in->embed || (size_t)in->embed->n != in->n)));
    if (o->k < 1 || o->k > in->n)
        return err_set(e, ERR_ARG, "%zu rows are to be selected of %zu; expected are 1 to %zu", o->k, in->n, in->n);
    if (o->max_cosine < 0 || o->max_cosine > 1)
        return err_set(e, ERR_ARG, "rows nearer than a cosine of %g are to be left out; expected is a number above 0 and up to 1, such as %g",
                       o->max_cosine, SELECT_COSINE);
    if (o->cover_share < 0 || o->cover_share > 1)
        return err_set(e, ERR_ARG, "the best %g of the rows are to be covered; expected is a share above 0 and up to 1, such as %g",
                       o->cover_share, SELECT_COVER_SHARE);
    return 0;
}

int select_rows(Selection *s, SelectWay way, const SelectInput *in, const SelectOptions *o, Err *e)
{
    BUG_ON((size_t)way >= ARRAY_LEN(ways));
    const Way *w = &ways[way];
    Ranking    r = { 0 };
    *s = (Selection){ .way = way };
    int rc = check(w, in, o, e);
    if (rc)
        return rc;
    s->rows = in->n;
    s->row = mem_zalloc(o->k, sizeof *s->row);
    s->verdict = mem_zalloc(in->n, sizeof *s->verdict);
    rank(&r, s, w, in, o->seed);
    if ((rc = w->walk(s, &r, in, o, e)))
        select_release(s);
    free(r.row);
    return rc;
}

int select_with_controls(Selection out[3], SelectWay way, const SelectInput *in, const SelectOptions *o, Err *e)
{
    static const SelectWay control[] = { SELECT_RANDOM, SELECT_LONGEST };
    SelectOptions          same = *o;
    int                    rc = select_rows(&out[0], way, in, o, e);
    for (size_t i = 1; i < 3; i++)
        out[i] = (Selection){ 0 };
    if (!rc && !out[0].n)
        rc = err_set(e, ERR_INPUT, "none of %zu rows can be selected (%s): all are barred or have no score", in->n, select_way_name(way));
    same.k = out[0].n;
    for (size_t i = 1; i < 3 && !rc; i++)
        rc = select_rows(&out[i], control[i - 1], in, &same, e);
    for (size_t i = 0; i < 3 && rc; i++)
        select_release(&out[i]);
    return rc;
}

void select_release(Selection *s)
{
    free(s->row);
    free(s->verdict);
    *s = (Selection){ 0 };
}

void select_by_ifd(const RowScore *from, size_t n, IfdKind kind, double *score, SelectWhy *barred)
{
    for (size_t i = 0; i < n; i++) {
        score[i] = kind == IFD_LOSS ? from[i].ifd_loss : from[i].ifd_perplexity;
        barred[i] = from[i].cut ? SELECT_CUT : !isfinite(score[i]) ? SELECT_NO_SCORE : score[i] >= 1 ? SELECT_NO_HELP : SELECT_KEPT;
    }
}
