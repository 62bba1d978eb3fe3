/* teacher_own.c - hone's own engine as a teacher: a model folder, one text after the other. An answer is a function of the model, the seed and what is asked,
 * whatever was asked before. */
#include "infer/teacher_int.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "infer/generate.h"
#include "tokenizer/chat.h"

#define ANSWER_LEAST 16 /* positions that are left for an answer, else the passage is refused */

typedef struct Own {
    Backend  *be;
    Model    *model;
    Tok      *tok;
    Generator gen;
} Own;

static int own_open(Teacher *t, const TeacherOptions *o, Err *e)
{
    Own *s = t->state = mem_zalloc(1, sizeof *s);
    t->name = mem_strdup(o->where);
    s->be = backend_open("cpu", o->threads, e);
    if (!s->be)
        return e->code;
    int rc = model_open(&s->model, o->where, s->be, &(ModelOptions){ 0 }, e);
    if (!rc)
        rc = tok_open(&s->tok, o->where, e);
    if (rc)
        return rc;
    generator_open(&s->gen, s->model, NULL, s->tok);
    generator_end_add(&s->gen, chat_terminator(s->tok, NULL)); /* a base model may have none */
    return 0;
}

static void own_close(void *state)
{
    Own *s = state;
    generator_close(&s->gen);
    tok_free(s->tok);
    model_close(s->model);
    if (s->be)
        s->be->close(s->be);
    free(s);
}

static int refuse(const TeacherWork *w, size_t i, const char *sentence, Err *e)
{
    return w->answered(w->user, i, &(TeacherAnswer){ ANSWER_REFUSED, str_of(sentence) }, e);
}

static int answer(Own *s, const TeacherWork *w, size_t i, const TokIds *ids, Err *e)
{
    const int64_t    positions = s->model->cfg.max_positions, wanted = MIN((int64_t)ids->n + w->max_tokens, positions);
    const GenOptions o = { .max_tokens = w->max_tokens, .sample = { .temperature = w->temperature, .seed = w->seed } };
    const GenHooks   hooks = { .user = w->user, .stop_asked = w->stop_asked };
    const uint64_t   sequence = hash64(ids->p, ids->n * sizeof *ids->p);
    StrBuf           text = { 0 };
    GenResult        r;
    int              rc = model_reserve_positions(s->model, wanted, e);
    if (rc)
        return rc;
    generator_plan(&s->gen, wanted);
    if ((rc = generator_prompt(&s->gen, ids->p, (int32_t)ids->n, e)) || (rc = generator_run(&s->gen, &o, sequence, &hooks, &text, &r, e)))
        goto done;
    if (r.finish == FINISH_ASKED)
        rc = err_set(e, ERR_STOP, "stopped while %s was answering", s->model->path);
    else
        rc = w->answered(w->user, i, &(TeacherAnswer){ r.finish == FINISH_LENGTH ? ANSWER_CUT : ANSWER_WHOLE, strbuf_str(&text) }, e);
done:
    strbuf_release(&text);
    return rc;
}

static int own_ask(void *state, const TeacherWork *w, Err *e)
{
    Own          *s = state;
    const int64_t positions = s->model->cfg.max_positions;
    int           rc = 0;
    for (size_t i = 0; i < w->n && !rc; i++) {
        char    why[160];
        ChatOut out = { 0 };
        Json   *messages = w->messages(w->user, i);
        rc = chat_render(s->tok, messages, true, "the teacher's question", &out, e);
        if (!rc && (int64_t)out.ids.n + ANSWER_LEAST > positions) {
            snprintf(why, sizeof why, "passage and instructions have %zu tokens, and the model has %lld positions for them and the answer", out.ids.n,
                     (long long)positions);
            rc = refuse(w, i, why, e);
        } else if (!rc) {
            rc = answer(s, w, i, &out.ids, e);
        }
        chat_out_release(&out);
        json_free(messages);
    }
    return rc;
}

const TeacherKind teacher_own = { own_open, own_ask, own_close };
