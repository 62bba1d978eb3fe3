/* semantic.c - with --semantic: rows whose questions mean the same to the base model (the cosine of their centred embeddings, embed.h), though they share few
 * words. Of each group the row of the highest quality stays, and of equal ones the first. It comes before the division, so no twin is left on the other side.
 * Embeddings of a language model are a blunt tool: look at the report before believing a threshold. On 1,200 questions of banking77 with the base model of
 * examples/base, 3 of 3 rows that left at 0.95 had the label of the row that stayed, 7 of 9 at 0.9, and 45 of 71 at 0.8. */
#include "prep/asked.h"
#include "prep/embed.h"

#include <stdlib.h>

#include "base/mem.h"

#define NEAREST 8

static int remove_twins(Asked *a, const EmbedPairs *pairs, Err *e)
{
    int64_t *group = mem_alloc((a->row.n + 1) * sizeof *group), *best = mem_alloc((a->row.n + 1) * sizeof *best);
    int64_t  left = 0;
    int      rc = 0;
    float   *cosine = mem_zalloc(a->row.n + 1, sizeof *cosine); /* to the nearest of its group */
    embed_groups((int64_t)a->row.n, pairs, group);
    for (size_t i = 0; i < a->row.n; i++)
        best[i] = -1;
    for (size_t i = 0; i < a->row.n; i++) {
        int64_t *b = &best[group[i]];
        if (*b < 0 || asked_entry(a, i)->quality > asked_entry(a, (size_t)*b)->quality)
            *b = (int64_t)i;
    }
    for (size_t i = 0; i < pairs->n; i++) {
        cosine[pairs->p[i].a] = MAX(cosine[pairs->p[i].a], pairs->p[i].cosine);
        cosine[pairs->p[i].b] = MAX(cosine[pairs->p[i].b], pairs->p[i].cosine);
    }
    for (size_t i = 0; i < a->row.n && !rc; i++) {
        if (best[group[i]] == (int64_t)i)
            continue;
        Json *more = json_obj_new();
        json_set(more, "kept", json_int_new(asked_entry(a, (size_t)best[group[i]])->id));
        left++;
        removal_add(&a->out, a->number.p[i], "semantic", "asks the same in other words", (double)cosine[i], more);
        rc = removal_flush(&a->out, false, e);
    }
    prep_tell(a->p, "--semantic %g: %lld rows ask in other words what a row that stays asks; read some of the pairs in the report before you believe the threshold", a->p->cfg.semantic,
              (long long)left);
    free(cosine);
    free(best);
    free(group);
    return rc;
}

int semantic(Prep *p, Err *e)
{
    Asked      a;
    Embeddings x = { 0 };
    EmbedPairs pairs = { 0 };
    ScoreHooks hooks = { p, asked_tell_embed, asked_stop };
    bool       embedded = false;
    if (p->cfg.semantic <= 0)
        return 0;
    int rc = asked_open(&a, p, PART_TRAIN, true, e); /* nothing is divided yet: all rows that stay */
    if (!rc && a.row.n && !(rc = asked_model(&a, e))) {
        ScoreRows rows = asked_rows(&a);
        rc = embed_rows(&x, a.model, &rows, &(EmbedOptions){ .hooks = hooks }, e);
        embedded = !rc;
    }
    if (embedded) {
        embed_centre(&x);
        rc = embed_near(&x, p->cfg.semantic, NEAREST, &hooks, &pairs, e);
        if (!rc)
            rc = remove_twins(&a, &pairs, e);
        embed_release(&x);
    }
    vec_release(&pairs);
    return asked_close(&a, rc, e);
}
