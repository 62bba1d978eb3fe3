/* pass_overlap.c - with --eval: a row that asks what an evaluation row asks would make the evaluation worthless, so it is removed. A row overlaps when
 *   - its question (of a plain text: the text) shares a run of NGRAM_WORDS words with that of an evaluation row (13, as GPT-3 and lm-eval do), or
 *   - the question, or one turn of the user in it, is a near-duplicate of one at --near, which also finds what is shorter than 13 words (texts of up to
 *     MINHASH_TEXT_MAX bytes).
 * System texts are no part of a question here: one that all rows of a set share would make every row overlap, and hide a short question below it.
 * Rows come here repaired and without personal data; evaluation rows are indexed as they are and, where those passes change them, as changed, too.
 * The log says with which row, and the words that both have. An evaluation row that has no answer counts by its question; one that has no question
 * either stops the preparation before anything is read, since whoever names an evaluation set relies on it. */
#include "prep/prep_int.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "prep/dedupe_near.h"
#include "prep/dedupe_ngram.h"
#include "prep/feed.h"
#include "prep/minhash.h"

typedef struct EvalRow { const char *file; int64_t line; } EvalRow; /* number in both indexes -> place */

typedef struct Overlap {
    MinHash     *minhash;  /* for its shingles' cfg */
    Shingles   **work;     /* [threads] */
    int          threads;
    NgramIndex  *runs;
    NearIndex   *near;
    VEC(char *)  file;
    VEC(EvalRow) row;
    int64_t      bare;     /* rows that count by their question alone */
} Overlap;

/* What makes a row known beforehand is its question; answers share stock phrases ("we send a return label") with everything. */
static void asked(const Record *r, StrBuf *out)
{
    record_asked(r, out);
    if (!out->n)
        record_answer(r, out);
}

static int index_text(Overlap *o, Str text, RowPlace at, Err *e)
{
    bool long_enough;
    shingles_read(o->work[0], text);
    int rc = ngram_index_add(o->runs, o->work[0], &long_enough, e);
    if (!rc && !(rc = near_index_add(o->near, o->work[0], e)))
        *vec_push(&o->row) = (EvalRow){ at.file, at.line };
    return rc;
}

/* The question of a row in any of the known shapes, as it stands and as the passes change it; changed stays empty where they cannot. */
static int question_of(Overlap *o, const Prep *p, const Feed *f, const FeedItem *item, RowPlace at, StrBuf *text, StrBuf *changed, Err *e)
{
    const Import *im = p->import;
    RowWork       w = { .at = at };
    StrBuf        note = { 0 };
    Json         *row = NULL;
    Err           why = { 0 };
    int           rc = feed_parse(f, item, &row, e);
    if (rc)
        return rc;
    rc = (import_fits(im, row) ? import_row : import_known_row)(im, row, &w.rec, &note, &why);
    if (!rc) {
        asked(&w.rec, text);
        passes_edit(p, &w);
        asked(&w.rec, changed);
    }
    if (rc && !feed_parse(f, item, &row, NULL)) { /* the import took the first one apart */
        bool asks = import_question(im, row, text);
        json_free(row);
        o->bare += asks;
        rc = asks ? 0 : err_set(e, rc, "it has no question that could be compared (%s); an evaluation row needs at least one, as in {\"prompt\": ...} or {\"messages\": [...]}", why.text);
    }
    row_release(&w);
    strbuf_release(&note);
    return rc;
}

static int index_row(Overlap *o, const Prep *p, const Feed *f, const FeedItem *item, const char *file, Err *e)
{
    const RowPlace at = { 0, file, item->item.at.line };
    StrBuf         text = { 0 }, changed = { 0 };
    int            rc = question_of(o, p, f, item, at, &text, &changed, e);
    if (!rc)
        rc = index_text(o, strbuf_str(&text), at, e);
    if (!rc && changed.n && !str_eq(strbuf_str(&text), strbuf_str(&changed)))
        rc = index_text(o, strbuf_str(&changed), at, e);
    if (rc && !strstr(e->text, file))
        err_wrap(e, "%s, line %lld", file, (long long)at.line);
    if (rc)
        err_wrap(e, "--eval");
    strbuf_release(&text);
    strbuf_release(&changed);
    return rc;
}

static int index_file(Overlap *o, const Prep *p, const char *path, Err *e)
{
    Feed    *f = NULL;
    FeedItem item[64];
    size_t   n = 0, before = o->row.n;
    int      rc = feed_open(&f, path, NULL, e);
    while (!rc && !(rc = feed_read(f, item, ARRAY_LEN(item), BATCH_BYTES, &n, e)) && n)
        for (size_t i = 0; i < n && !rc; i++)
            rc = index_row(o, p, f, &item[i], path, e);
    if (!rc && o->row.n == before)
        rc = err_set(e, ERR_INPUT, "--eval: %s %s: there is nothing to compare with", path, feed_nothing(f));
    feed_close(f);
    return rc;
}

static int overlap_open(Prep *p, void **state, Err *e)
{
    const char *list = p->cfg.eval;
    Str         item;
    if (!list || !*list)
        return 0;
    Overlap   *o = mem_zalloc(1, sizeof *o);
    MinHashCfg cfg = { .threshold = p->cfg.near };
    *state = o;
    int rc = minhash_new(&o->minhash, &cfg, e);
    if (rc)
        return rc;
    o->threads = pool_threads(p->pool);
    o->work = mem_zalloc((size_t)o->threads, sizeof *o->work);
    for (int i = 0; i < o->threads; i++)
        o->work[i] = minhash_shingles(o->minhash);
    o->runs = ngram_index_new(NGRAM_WORDS);
    o->near = near_index_new(p->cfg.near);
    while (!rc && cfg_list_each(&list, &item)) {
        char *path = *vec_push(&o->file) = mem_strndup(item.p, item.n);
        rc = index_file(o, p, path, e);
    }
    ngram_index_build(o->runs);
    near_index_build(o->near);
    if (o->bare)
        log_warn("prep", "%lld of %zu evaluation rows have no answer and are compared by their question alone", (long long)o->bare, o->row.n);
    size_t forms = rc ? 0 : ngram_index_forms(o->runs);
    if (forms)
        log_info("prep", "%zu runs of %d words stand in more than a tenth of the evaluation rows: they are taken for a form and are no overlap", forms, NGRAM_WORDS);
    return rc;
}

static Json *place_of(const Overlap *o, uint32_t text)
{
    Json *more = json_obj_new();
    json_set(more, "eval_file", json_str_new(str_of(o->row.p[text].file)));
    json_set(more, "eval_line", json_int_new(o->row.p[text].line));
    return more;
}

#define OVERLAP_BYTES ((size_t)2000) /* more than NGRAM_WORDS words take */

static size_t piece_end(Str text, size_t at)
{
    size_t end = MIN(text.n, at + MINHASH_TEXT_MAX);
    while (end < text.n && end > at + 1 && ((unsigned char)text.p[end] & 0xC0) == 0x80) /* not inside a character; a word that is cut comes whole in the next piece */
        end--;
    return end;
}

typedef struct Turns { const Overlap *o; Shingles *s; NearMatches near; } Turns;

static bool find_turn(void *user, TextRole role, Str text, StrBuf *out)
{
    Turns *t = user;
    (void)out;
    if (role == TEXT_USER && !t->near.n && text.n <= MINHASH_TEXT_MAX) {
        shingles_read(t->s, text);
        near_index_find(t->o->near, t->s, &t->near);
    }
    return false;
}

static void overlap_row(const void *state, RowWork *w)
{
    const Overlap *o = state;
    Turns          t = { .o = o, .s = o->work[w->worker] };
    NgramMatches   runs = { 0 };
    strbuf_clear(&w->scratch);
    asked(&w->rec, &w->scratch);
    const Str text = strbuf_str(&w->scratch);
    for (size_t at = 0, end; at < text.n && !runs.n && !t.near.n; at = end) { /* long texts piece by piece, each with the end of the one before it */
        const size_t from = at > OVERLAP_BYTES ? at - OVERLAP_BYTES : 0;
        end = piece_end(text, at);
        shingles_read(t.s, (Str){ text.p + from, end - from });
        if (text.n <= MINHASH_TEXT_MAX)
            near_index_find(o->near, t.s, &t.near);
        ngram_index_find(o->runs, t.s, &runs);
    }
    if (!t.near.n && runs.n) {
        Json *words = place_of(o, runs.p[0].text);
        json_set(words, "words", json_str_new(shingles_text(t.s, runs.p[0].at, NGRAM_WORDS)));
        row_remove(w, "overlap", "shares a run of words with an evaluation row", runs.p[0].runs, words);
    } else {
        if (!t.near.n)
            record_each_text(&w->rec, find_turn, &t);
        if (t.near.n)
            row_remove(w, "overlap", "near duplicate of an evaluation row", t.near.p[0].jaccard, place_of(o, t.near.p[0].text));
    }
    vec_release(&runs);
    vec_release(&t.near);
}

static void overlap_close(void *state)
{
    Overlap *o = state;
    for (int i = 0; i < o->threads; i++)
        shingles_free(o->work[i]);
    for (size_t i = 0; i < o->file.n; i++)
        free(o->file.p[i]);
    free(o->work);
    vec_release(&o->file);
    vec_release(&o->row);
    ngram_index_free(o->runs);
    near_index_free(o->near);
    minhash_free(o->minhash);
    free(o);
}

const Pass pass_overlap = { "overlap", false, overlap_open, overlap_row, overlap_close };
