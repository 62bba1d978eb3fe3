/* pass_questions.c - takes out what the stage `questions` refused: pairs that their passage does not support, or that the teacher itself scores low, and answers that
 * no pair could be read from. The reason stands in the row's meta, where the stage wrote it (questions_stage.c). */
#include "prep/prep_int.h"

#include <math.h>

static int questions_open(Prep *p, void **state, Err *e)
{
    (void)e;
    *state = p->cfg.questions ? p : NULL;
    return 0;
}

static void questions_row(const void *state, RowWork *w)
{
    const Prep *p = state;
    Json       *meta = json_get(w->rec.row, "meta"), *refused = json_get(meta, "refused");
    if (!p->input.p[w->entry.source].made || !refused)
        return;
    const Json *score = json_get(refused, "score");
    StrBuf      reason = { 0 };
    const Str   s = json_str(json_get(refused, "reason"));
    strbuf_add(&reason, s.p ? s.p : "", s.n);
    Json *what = json_get(refused, "what"), *more = what ? json_obj_new() : NULL;
    if (what)
        json_set(more, "what", json_ref(what));
    row_remove(w, "questions", strbuf_z(&reason), score ? json_num(score) : NAN, more);
    json_drop(meta, "refused");
    strbuf_release(&reason);
}

static void questions_close(void *state) { (void)state; }

const Pass pass_questions = { "questions", false, questions_open, questions_row, questions_close };
