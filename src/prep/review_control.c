/* review_control.c - the control sets of --select (control_random.jsonl, control_longest.jsonl) follow a review like train.jsonl: what a person took out of training
 * is not trained as a control either, and an edited row says there what it says in train. They were drawn from rows that mostly are in no part (--select took those
 * out), so being removed is no reason to leave. Nothing takes the place of a row that leaves, and one that comes back does not return: the sets get smaller. */
#include <stdlib.h>

#include "prep/review_int.h"

static const char *const controls[] = { "control_random.jsonl", "control_longest.jsonl" };

typedef struct Control {
    const Review  *r;
    const uint8_t *to;
    StrBuf         line;      /* what stands instead */
    int64_t        left;
} Control;

static bool changed(uint32_t action, const Review *r) { return action != NO_ACTION && action >= r->applied; }

/* Out: rejected, gone from its part or to one that is evaluated on, or edited where no part has it, so that nobody compared what it says now. */
static bool leaves(const Control *c, uint32_t row, const RowState *s)
{
    const uint8_t part = c->r->row.p[row].part, to = c->to[row];
    return s->verdict == REVIEW_REJECT || (to != RP_REMOVED && to != RP_TRAIN) || (to == RP_REMOVED && (part != RP_REMOVED || s->edit != NO_ACTION));
}

static int follow(void *user, Str line, Str *instead, Err *e)
{
    Control *c = user;
    Json    *j = NULL, *owner = NULL, *content = NULL;
    int64_t  id = 0;
    uint32_t row;
    RowState s;
    int      rc = line.n ? json_parse(&j, line, "a control set", e) : 0;
    if (!line.n || rc || (rc = json_need_int(j, "id", &id, "a control set", e)))
        goto done;
    *instead = line;
    if (!review_find(c->r, id, &row)) { /* erased elsewhere, by hand */
        *instead = (Str){ 0 };
        c->left++;
        goto done;
    }
    review_state(c->r, row, &s);
    if (leaves(c, row, &s)) {
        *instead = (Str){ 0 };
        c->left++;
    } else if ((changed(s.edit, c->r) || changed(s.label, c->r)) && !(rc = review_content(c->r, row, &owner, &content, e)) && content) {
        review_set_label(c->r, &s, content);
        strbuf_clear(&c->line);
        json_write(&c->line, content, false);
        *instead = strbuf_str(&c->line);
    }
done:
    json_free(j);
    json_free(owner);
    return rc;
}

int review_controls(const Review *r, const uint8_t *to, const char *folder, int64_t *left, Err *e)
{
    Control c = { .r = r, .to = to };
    int     rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(controls) && !rc; i++)
        rc = swap_lines(r, folder, controls[i], follow, &c, e);
    *left = c.left;
    strbuf_release(&c.line);
    return rc;
}
