/* pass.c - the passes that look at one row alone, in their order, and what they have in common.
 * Order: texts are put right first, so that everything behind sees the same texts as training; personal data goes before anything is written; then
 * what may remove a row; then what is only counted.
 * To add a pass: a file pass_x.c with a Pass, its name in prep_int.h, and its place here. */
#include "prep/prep_int.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "prep/before.h"

static const Pass *const passes[] = { &pass_questions, &pass_repair, &pass_exact, &pass_pii, &pass_language, &pass_quality, &pass_overlap, &pass_tokens, &pass_duplicates,
                                      &pass_words };

int passes_open(Prep *p, Err *e)
{
    BUG_ON(ARRAY_LEN(passes) > PASSES_MAX);
    for (size_t i = 0; i < ARRAY_LEN(passes); i++) {
        int rc = passes[i]->open(p, &p->state[i], e);
        if (rc)
            return rc;
    }
    return 0;
}

void passes_row(const Prep *p, RowWork *w)
{
    for (size_t i = 0; i < ARRAY_LEN(passes); i++)
        if (p->state[i] && (passes[i]->always || !row_removed(w)))
            passes[i]->row(p->state[i], w);
    row_held_edit(w);
}

void passes_edit(const Prep *p, RowWork *w)
{
    for (size_t i = 0; i < ARRAY_LEN(passes); i++)
        if (p->state[i] && (passes[i] == &pass_repair || passes[i] == &pass_pii))
            passes[i]->row(p->state[i], w);
}

static size_t number_of(const Pass *pass)
{
    size_t i = 0;
    while (passes[i] != pass)
        i++;
    return i;
}

int passes_open_one(Prep *p, const Pass *pass, Err *e) { return pass->open(p, &p->state[number_of(pass)], e); }

void *pass_state(const Prep *p, const Pass *pass) { return p->state[number_of(pass)]; }

void passes_close(Prep *p)
{
    for (size_t i = 0; i < ARRAY_LEN(passes); i++)
        if (p->state[i]) {
            passes[i]->close(p->state[i]);
            p->state[i] = NULL;
        }
}

int kinds_of_list(const char *option, const char *list, int (*find)(const char *), const char *(*name)(int k), uint32_t *bits, Err *e)
{
    Str item;
    while (list && cfg_list_each(&list, &item)) {
        char     *text = mem_strndup(item.p, item.n);
        const int k = find(text);
        free(text);
        if (k >= 0) {
            *bits |= 1u << k;
            continue;
        }
        StrBuf names = { 0 };
        for (int i = 0; name(i); i++)
            strbuf_addf(&names, "%s%s", i ? ", " : "", name(i));
        err_set(e, ERR_ARG, "%s: \"%.*s\" is none of %s", option, (int)item.n, item.p, strbuf_z(&names));
        strbuf_release(&names);
        return ERR_ARG;
    }
    return 0;
}

void row_edit(RowWork *w, const char *pass, const char *reason, Json *more)
{
    decision_add(&w->log, w->at, pass, ACTION_EDIT, reason, NAN, more);
}

void row_note(RowWork *w, const char *pass, const char *reason, double score, Json *more)
{
    decision_add(&w->log, w->at, pass, ACTION_NOTE, reason, score, more);
}

void row_remove(RowWork *w, const char *pass, const char *reason, double score, Json *more)
{
    decision_add(&w->log, w->at, pass, ACTION_REMOVE, reason, score, more);
    if (row_removed(w))
        return;
    w->why_pass = pass;
    strbuf_addz(&w->why, reason);
}

void row_release(RowWork *w)
{
    record_clear(&w->rec);
    json_free(w->before);
    strbuf_release(&w->raw);
    strbuf_release(&w->log);
    strbuf_release(&w->subjects);
    strbuf_release(&w->held);
    strbuf_release(&w->why);
    strbuf_release(&w->scratch);
}

void row_held_edit(RowWork *w)
{
    if (!w->before)
        return;
    Json *more = json_obj_new();
    before_seal(w->before, &w->rec);
    json_set(more, "before", w->before);
    w->before = NULL;
    row_edit(w, "repair", strbuf_z(&w->held), more);
}
