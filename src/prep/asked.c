/* asked.c - see asked.h. */
#include "prep/asked.h"
#include "base/log.h"

#include <stdlib.h>

int asked_open(Asked *a, Prep *p, Part part, bool texts, Err *e)
{
    *a = (Asked){ .p = p };
    int rc = removal_open(&a->out, p, e);
    for (size_t i = 0; i < p->rows.n && !rc; i++) {
        const uint8_t kind = entries_at(&p->rows, i)->kind;
        Json         *row = NULL;
        if (part == PART_REMOVED || entries_part(&p->rows, i) != part || (kind != REC_CHAT && kind != REC_PAIR))
            continue;
        *vec_push(&a->number) = (uint32_t)i;
        if (texts && !(rc = json_parse(&row, removal_line(&a->out, i), "work/rows.jsonl", e)))
            *vec_push(&a->row) = row;
    }
    return rc;
}

const RowEntry *asked_entry(const Asked *a, size_t i) { return entries_at(&a->p->rows, a->number.p[i]); }

int asked_model(Asked *a, Err *e)
{
    const PrepCfg *c = &a->p->cfg;
    a->be = backend_open("cpu", (int)c->threads, e);
    if (!a->be)
        return e->code;
    if (a->be->note)
        log_warn("cpu", "%s", a->be->note);
    int rc = model_open(&a->model, c->model, a->be, &(ModelOptions){ 0 }, e);
    return rc ? rc : tok_open(&a->tok, c->model, e);
}

ScoreRows asked_rows(const Asked *a)
{
    return (ScoreRows){ .row = a->row.p, .n = a->row.n, .name = "prepared rows", .tok = a->tok };
}

int asked_close(Asked *a, int rc, Err *e)
{
    if (rc)
        removal_release(&a->out);
    else
        rc = removal_close(&a->out, e);
    for (size_t i = 0; i < a->row.n; i++)
        json_free(a->row.p[i]);
    vec_release(&a->row);
    vec_release(&a->number);
    tok_free(a->tok);
    model_close(a->model);
    if (a->be)
        a->be->close(a->be);
    return rc;
}

void asked_tell(void *prep, const char *stage, size_t done, size_t of)
{
    const Prep *p = prep;
    if (p->hooks.progress)
        p->hooks.progress(p->hooks.user, stage, done, of, (int64_t)p->rows.n);
}

void asked_tell_embed(void *prep, size_t done, size_t of) { asked_tell(prep, "embedding", done, of); }

bool asked_stop(void *prep) { return prep_stop_asked(prep); }
