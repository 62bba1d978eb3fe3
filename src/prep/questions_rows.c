/* questions_rows.c - what was said of a passage as rows of the file that the intake reads: a conversation for each pair, with where it is from as "meta", and what is
 * wrong with those that are refused (questions_stage.c has the form). An answer that gave no pair is a row of text. */
#include "prep/questions_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"

static void put_text(Json *to, const char *key, Str s)
{
    if (s.n)
        json_set(to, key, json_str_new(s));
}

static Json *meta_of(const Maker *m, const Passage *q)
{
    const PassagePlace place = passage_place(m, q);
    const Paper       *a = &m->paper.p[q->paper];
    StrBuf             source = { 0 };
    Json              *meta = json_obj_new();
    put_text(meta, "document", str_of(m->p->input.p[a->input].path));
    put_text(meta, "title", str_of(a->doc.title));
    put_text(meta, "part", place.part);
    put_text(meta, "section", place.section);
    json_set(meta, "passage", json_int_new(q->number));
    put_text(meta, "teacher", str_of(teacher_name(m->teacher)));
    strbuf_addf(&source, "%.*s%s%.*s", (int)place.lead.n, place.lead.n ? place.lead.p : "", place.lead.n ? "\n" : "", (int)place.text.n, place.text.p);
    put_text(meta, "source", strbuf_str(&source));
    strbuf_release(&source);
    return meta;
}

/* What the teacher said, with the passage's own values. */
static Json *said(const Maker *m, const Passage *q, const char *text)
{
    StrBuf own = { 0 };
    if (!m->veil)
        return json_str_new(str_of(text));
    veiled_lift(&q->veiled, str_of(text), &own);
    Json *j = json_str_new(strbuf_str(&own));
    strbuf_release(&own);
    return j;
}

static Json *message(const Maker *m, const Passage *q, const char *role, const char *text)
{
    Json *j = json_obj_new();
    json_set(j, "role", json_str_new(str_of(role)));
    json_set(j, "content", said(m, q, text));
    return j;
}

/* what: of the texts, so for the log only where personal data may stay; "": nothing. */
static void refuse(const Maker *m, Counts *n, Json *meta, const char *reason, const char *what, double score)
{
    const bool open = m->p->cfg.pii == PREP_PII_OFF || m->p->cfg.pii == PREP_PII_REPORT;
    Json      *j = json_obj_new();
    json_set(j, "reason", json_str_new(str_of(reason)));
    if (isfinite(score))
        json_set(j, "score", json_num_new(score));
    if (*what && open)
        json_set(j, "what", json_str_new(str_of(what)));
    json_set(meta, "refused", j);
    if (!*n->first) {
        StrBuf first = { 0 };
        strbuf_addf(&first, "%s%s%s", reason, *what ? ": " : "", what);
        snprintf(n->first, sizeof n->first, "%.*s", (int)utf8_complete(first.p, MIN(first.n, sizeof n->first - 1)), first.p);
        strbuf_release(&first);
    }
}

static void put_row(StrBuf *out, Json *row, Json *meta)
{
    json_set(row, "meta", meta);
    json_write(out, row, false);
    strbuf_addc(out, '\n');
    json_free(row);
}

static void put_pair(const Maker *m, const Passage *q, size_t i, Counts *n, StrBuf *out)
{
    const Grounding *g = &q->grounding[i];
    const int        least = (int)m->p->cfg.judge;
    char             why[96];
    Json            *row = json_obj_new(), *list = json_arr_new(), *meta = meta_of(m, q);
    json_push(list, message(m, q, "user", q->pair.item.p[i].question));
    json_push(list, message(m, q, "assistant", q->pair.item.p[i].answer));
    json_set(row, "messages", list);
    json_set(meta, "grounding", json_num_new(round(g->share * 100) / 100));
    if (q->score[i])
        json_set(meta, "score", json_int_new(q->score[i]));
    if (*g->why) {
        refuse(m, n, meta, g->why, g->what, g->share);
    } else if (least && !q->score[i]) {
        refuse(m, n, meta, "unscored: the teacher was asked for its judgement and gave no number for this pair", "", NAN);
    } else if (least && q->score[i] < least) {
        snprintf(why, sizeof why, "low_score: the teacher gives the pair %d of %d", q->score[i], QUESTIONS_SCORE_MAX);
        refuse(m, n, meta, why, "", q->score[i]);
    }
    if (json_get(meta, "refused"))
        n->refused++;
    else
        n->usable++;
    put_row(out, row, meta);
}

/* An answer, or a part of one, that gave no pair. */
static void put_unread(const Maker *m, const Passage *q, const char *reason, Counts *n, StrBuf *out)
{
    Json *row = json_obj_new(), *meta = meta_of(m, q);
    json_set(row, "text", *q->answer ? said(m, q, q->answer) : json_str_new(STR_LIT("(no answer)")));
    refuse(m, n, meta, reason, q->end == ANSWER_REFUSED ? q->answer : "", NAN);
    n->unreadable++;
    put_row(out, row, meta);
}

void questions_put_rows(const Maker *m, const Passage *q, Counts *n, StrBuf *out)
{
    StrBuf why = { 0 };
    n->passages++;
    if (q->unreadable)
        put_unread(m, q, q->unreadable, n, out);
    for (size_t i = 0; !q->unreadable && i < q->pair.item.n; i++)
        put_pair(m, q, i, n, out);
    if (!q->unreadable && q->pair.malformed)
        strbuf_addf(&why, "malformed_pair: %zu objects of the answer have no question or no answer", q->pair.malformed);
    else if (!q->unreadable && q->end == ANSWER_CUT)
        strbuf_addf(&why, "cut_answer: it was cut at its greatest length, behind %zu whole pairs", q->pair.item.n);
    if (why.n)
        put_unread(m, q, why.p, n, out);
    strbuf_release(&why);
}
