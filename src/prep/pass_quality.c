/* pass_quality.c - signals of quality (heuristics.h) for a question and its answer. A rule that takes half of the score or more removes the row (--quality
 * drop), a milder one is noted. The score chooses the best of a cluster of duplicates. Plain texts have no answer and are left alone. */
#include "prep/prep_int.h"

#include <stdlib.h>

#include "prep/heuristics.h"

#define REMOVES 0.5f

static int quality_open(Prep *p, void **state, Err *e)
{
    static const bool drop = true, report = false;
    (void)e;
    *state = p->cfg.quality == QUALITY_OFF ? NULL : (void *)(uintptr_t)(p->cfg.quality == QUALITY_DROP ? &drop : &report);
    return 0;
}

static void quality_row(const void *state, RowWork *w)
{
    const bool      drop = *(const bool *)state;
    HeuristicReport r;
    StrBuf          question = { 0 };
    if (w->rec.kind == REC_TEXT || w->rec.kind == REC_LABEL) { /* an answer that is not wanted may well be a bad one */
        w->entry.quality = 1;
        return;
    }
    strbuf_clear(&w->scratch);
    record_question(&w->rec, &question);
    record_answer(&w->rec, &w->scratch);
    heuristics_score(strbuf_str(&question), strbuf_str(&w->scratch), &r);
    w->entry.quality = r.score;
    for (int k = 0; k < HEURISTIC_KINDS; k++) {
        const HeuristicRow *rule = &heuristic_rows[k];
        if (!(r.fired >> k & 1))
            continue;
        StrBuf why = { 0 };
        strbuf_addf(&why, "%s: %s", rule->name, rule->removes);
        if (drop && rule->weight >= REMOVES)
            row_remove(w, "quality", strbuf_z(&why), (double)r.value[k], NULL);
        else
            row_note(w, "quality", strbuf_z(&why), (double)r.value[k], NULL);
        strbuf_release(&why);
    }
    strbuf_release(&question);
}

static void quality_close(void *state) { (void)state; }

const Pass pass_quality = { "quality", false, quality_open, quality_row, quality_close };
