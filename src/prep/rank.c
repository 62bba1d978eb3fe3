/* rank.c - what the base model says about the training rows (--score, --ask), and the choice of the best (--select).
 * Only the training part is chosen from: rows held out stay an honest sample of the data. Scores go to scores.jsonl; a choice has its two controls of
 * the same size beside it, control_random.jsonl and control_longest.jsonl, so that its worth can be measured by training on each.
 * Memory: the training rows as JSON where the model is asked, and some 250 bytes for each of them. */
#include "prep/prep_int.h"

#include <math.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "prep/asked.h"
#include "prep/knowledge.h"
#include "prep/select.h"

#define BLOCK ((size_t)1 << 20) /* bytes of a file on their way */

typedef struct Rank {
    Prep          *p;
    Asked          a;          /* the training rows that can be scored or compared */
    RowScore      *score;      /* [number.n]; NULL: not asked for */
    KnowledgeRow  *known;      /* likewise */
    Embeddings     embed;
    bool           embedded;
} Rank;


/* ---- the model -------------------------------------------------------------------------------------------------------------------------------------- */

static void tell_score(void *user, size_t done, size_t of) { asked_tell(user, "scoring", done, of); }
static void tell_ask(void *user, size_t done, size_t of) { asked_tell(user, "asking the model", done, of); }

static bool is_diverse(const Prep *p) { return p->cfg.select && (p->cfg.select_by == SELECT_DIVERSE || p->cfg.select_by == SELECT_COVER); }
static bool asks_model(const Prep *p) { return p->cfg.score || p->cfg.ask || is_diverse(p); }

static int ask_model(Rank *k, Err *e)
{
    Prep      *p = k->p;
    const bool diverse = is_diverse(p);
    ScoreRows  rows;
    int        rc = 0;
    if ((rc = asked_model(&k->a, e)))
        return rc;
    rows = asked_rows(&k->a);
    if (p->cfg.score) {
        k->score = mem_zalloc(k->a.number.n, sizeof *k->score);
        rc = score_rows(k->a.model, &rows, &(ScoreOptions){ .hooks = { p, tell_score, asked_stop } }, k->score, e);
    }
    if (!rc && p->cfg.ask) {
        Knowledge sum;
        k->known = mem_zalloc(k->a.number.n, sizeof *k->known);
        rc = knowledge_ask(k->a.model, &rows, &(KnowledgeOptions){ .most = (size_t)p->cfg.ask, .seed = (uint64_t)p->cfg.seed, .hooks = { p, tell_ask, asked_stop } }, k->known, &sum, e);
        if (!rc)
            knowledge_advice(&sum, &p->advice);
    }
    if (!rc && diverse) {
        rc = embed_rows(&k->embed, k->a.model, &rows, &(EmbedOptions){ .hooks = { p, asked_tell_embed, asked_stop } }, e);
        k->embedded = !rc;
        if (!rc)
            embed_centre(&k->embed);
    }
    return rc;
}

/* The rest of a file, unless something failed before; takes all of it. */
static int commit(FileOut **f, StrBuf *text, char *path, int rc, Err *e)
{
    if (!rc)
        rc = file_out_drain(*f, text, 0, e);
    if (!rc)
        rc = file_out_commit(f, e);
    file_out_abort(f);
    strbuf_release(text);
    free(path);
    return rc;
}

static void put_number(Json *j, const char *key, double v)
{
    if (isfinite(v))
        json_set(j, key, json_num_new(v));
}

/* scores.jsonl: a line per training row that the model was asked about. */
static int write_scores(Rank *k, Err *e)
{
    char    *path = prep_path(k->p, "scores.jsonl");
    FileOut *f = NULL;
    StrBuf   text = { 0 };
    int      rc = file_out_open(&f, path, e);
    for (size_t i = 0; i < k->a.number.n && !rc; i++) {
        Json *j = json_obj_new();
        json_set(j, "id", json_int_new(asked_entry(&k->a, i)->id));
        if (k->score) {
            const RowScore *s = &k->score[i];
            put_number(j, "loss", s->loss);
            put_number(j, "perplexity", s->perplexity);
            put_number(j, "ifd_loss", s->ifd_loss);
            put_number(j, "ifd_perplexity", s->ifd_perplexity);
            json_set(j, "note", json_str_new(str_of(score_note_name(s->note))));
        }
        if (k->known)
            json_set(j, "known", json_str_new(str_of(know_class_name(k->known[i].class))));
        json_write(&text, j, false);
        strbuf_addc(&text, '\n');
        json_free(j);
        rc = file_out_drain(f, &text, BLOCK, e);
    }
    return commit(&f, &text, path, rc, e);
}

/* ---- the choice ------------------------------------------------------------------------------------------------------------------------------------- */

static int write_control(Rank *k, const Selection *s, const char *name, Err *e)
{
    char    *path = prep_path(k->p, name);
    FileOut *f = NULL;
    StrBuf   text = { 0 };
    uint8_t *in = mem_zalloc(k->a.number.n + 1, 1);
    int      rc = file_out_open(&f, path, e);
    for (size_t i = 0; i < s->n; i++)
        in[s->row[i]] = 1;
    for (size_t i = 0; i < k->a.number.n && !rc; i++) /* in the order of the inputs, like train.jsonl */
        if (in[i]) {
            Str line = removal_line(&k->a.out, k->a.number.p[i]);
            strbuf_add(&text, line.p, line.n);
            strbuf_addc(&text, '\n');
            rc = file_out_drain(f, &text, BLOCK, e);
        }
    free(in);
    return commit(&f, &text, path, rc, e);
}

static int remove_others(Rank *k, const Selection *s, Err *e)
{
    static const char *const why[] = {
        [SELECT_RANKED_OUT] = "not among the chosen", [SELECT_TOO_NEAR] = "too near to a chosen row", [SELECT_COVERED] = "a chosen row stands for it",
        [SELECT_NO_HELP] = "the prompt does not help the model to the answer (its IFD is not below one)", [SELECT_CUT] = "too long to be scored whole", [SELECT_NO_SCORE] = "has no score",
    };
    int rc = 0;
    for (size_t i = 0; i < k->a.number.n && !rc; i++) {
        const SelectVerdict *v = &s->verdict[i];
        Json                *more = json_obj_new();
        if (v->why == SELECT_KEPT) {
            json_free(more);
            continue;
        }
        if (v->rank)
            json_set(more, "rank", json_int_new(v->rank));
        if (v->near >= 0) {
            json_set(more, "near", json_int_new(asked_entry(&k->a, (size_t)v->near)->id));
            json_set(more, "cosine", json_num_new((double)v->cosine));
        }
        removal_add(&k->a.out, k->a.number.p[i], "select", why[v->why], v->value, more);
        rc = removal_flush(&k->a.out, false, e);
    }
    return rc;
}

static int choose(Rank *k, Err *e)
{
    Prep      *p = k->p;
    Selection  s[3] = { { 0 } };
    double    *score = mem_zalloc(k->a.number.n + 1, sizeof *score);
    SelectWhy *barred = mem_zalloc(k->a.number.n + 1, sizeof *barred);
    int64_t   *length = mem_zalloc(k->a.number.n + 1, sizeof *length);
    for (size_t i = 0; i < k->a.number.n; i++) {
        score[i] = (double)asked_entry(&k->a, i)->quality;
        length[i] = k->score ? k->score[i].trained : (int64_t)asked_entry(&k->a, i)->answer; /* tokens where they are known, else bytes */
    }
    if (k->score)
        select_by_ifd(k->score, k->a.number.n, IFD_LOSS, score, barred);
    SelectInput   in = { .n = k->a.number.n, .score = score, .barred = barred, .length = length, .embed = k->embedded ? &k->embed : NULL };
    SelectOptions o = { .k = (size_t)p->cfg.select, .seed = (uint64_t)p->cfg.seed, .hooks = { p, NULL, asked_stop } };
    int           rc = select_with_controls(s, (SelectWay)p->cfg.select_by, &in, &o, e);
    if (!rc && !(rc = write_control(k, &s[1], "control_random.jsonl", e)) && !(rc = write_control(k, &s[2], "control_longest.jsonl", e)))
        rc = remove_others(k, &s[0], e);
    for (int i = 0; i < 3; i++)
        select_release(&s[i]);
    free(score);
    free(barred);
    free(length);
    return rc;
}

/* ---- the stage -------------------------------------------------------------------------------------------------------------------------------------- */

int rank(Prep *p, Err *e)
{
    Rank       k = { .p = p };
    int        rc;
    if (!p->cfg.score && !p->cfg.ask && !p->cfg.select)
        return 0;
    rc = asked_open(&k.a, p, PART_TRAIN, asks_model(p), e);
    if (!rc && k.a.row.n)
        rc = ask_model(&k, e);
    if (!rc && (k.score || k.known))
        rc = write_scores(&k, e);
    if (!rc && p->cfg.select && k.a.number.n)
        rc = choose(&k, e);
    if (k.embedded)
        embed_release(&k.embed);
    free(k.score);
    free(k.known);
    return asked_close(&k.a, rc, e);
}
