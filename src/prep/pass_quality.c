/* pass_quality.c - signals of quality (heuristics.h) for a question and its answer. A rule that takes half of the score or more removes the row (--quality
 * drop), a milder one is noted. The score chooses the best of a cluster of duplicates. Plain texts have no answer and are left alone. */
#include "prep/prep_int.h"

#include <stdlib.h>

#include "base/mem.h"
#include "prep/row_checks.h"

#define REMOVES 0.5f

typedef struct Quality { bool drop; uint32_t off; } Quality; /* off: bits of HeuristicKind that are not looked at */

static const char *rule_name(int k) { return k < HEURISTIC_KINDS ? heuristic_rows[k].name : NULL; }

static int quality_open(Prep *p, void **state, Err *e)
{
    uint32_t off = 0;
    int      rc = kinds_of_list("--quality-skip", p->cfg.quality_skip, heuristic_kind_of, rule_name, &off, e);
    if (rc || p->cfg.quality == QUALITY_OFF)
        return rc;
    Quality *s = mem_zalloc(1, sizeof *s);
    *s = (Quality){ p->cfg.quality == QUALITY_DROP, off };
    *state = s;
    return 0;
}

void row_quality(const Record *r, uint32_t off, HeuristicReport *out)
{
    StrBuf question = { 0 }, answer = { 0 };
    *out = (HeuristicReport){ .score = 1 };
    if (r->kind == REC_TEXT || r->kind == REC_LABEL) /* an answer that is not wanted may well be a bad one */
        return;
    record_question(r, &question);
    record_answer(r, &answer);
    heuristics_score(strbuf_str(&question), strbuf_str(&answer), off, out);
    strbuf_release(&question);
    strbuf_release(&answer);
}

/* The rule that takes most of those whose bits are set; of equals the first. */
static int heaviest(uint32_t fired)
{
    int best = -1;
    for (int k = 0; k < HEURISTIC_KINDS; k++)
        if ((fired >> k & 1) && (best < 0 || heuristic_rows[k].weight > heuristic_rows[best].weight))
            best = k;
    return best;
}

static void quality_row(const void *state, RowWork *w)
{
    const Quality  *s = state;
    HeuristicReport r;
    row_quality(&w->rec, s->off, &r);
    w->entry.quality = r.score;
    for (int k; (k = heaviest(r.fired)) >= 0; r.fired &= ~(1u << k)) { /* the first to remove the row is the reason that is told */
        const HeuristicRow *rule = &heuristic_rows[k];
        StrBuf why = { 0 };
        strbuf_addf(&why, "%s: %s", rule->name, rule->removes);
        if (s->drop && rule->weight >= REMOVES)
            row_remove(w, "quality", strbuf_z(&why), (double)r.value[k], NULL);
        else
            row_note(w, "quality", strbuf_z(&why), (double)r.value[k], NULL);
        strbuf_release(&why);
    }
}

static void quality_close(void *state) { free(state); }

const Pass pass_quality = { "quality", false, quality_open, quality_row, quality_close };
