/* asked.c - see asked.h. */
#include "prep/asked.h"
#include "base/log.h"

#include <stdlib.h>

int asked_open(Asked *a, Prep *p, Part part, Err *e)
{
    *a = (Asked){ .p = p };
    int rc = removal_open(&a->out, p, e);
    for (size_t i = 0; i < p->row.n && !rc; i++) {
        RowEntry *r = &p->row.p[i];
        Json     *row = NULL;
        if (part == PART_REMOVED || r->part != part || (r->kind != REC_CHAT && r->kind != REC_PAIR))
            continue;
        rc = json_parse(&row, removal_line(&a->out, r), "work/rows.jsonl", e);
        if (!rc) {
            *vec_push(&a->row) = row;
            *vec_push(&a->entry) = r;
        }
    }
    return rc;
}

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
    vec_release(&a->entry);
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
        p->hooks.progress(p->hooks.user, stage, done, of, (int64_t)p->row.n);
}

void asked_tell_embed(void *prep, size_t done, size_t of) { asked_tell(prep, "embedding", done, of); }

bool asked_stop(void *prep) { return prep_stop_asked(prep); }
