/* pass_overlap.c - with --eval: a row that asks what an evaluation row asks would make the evaluation worthless, so it is removed. A row overlaps when
 *   - the question, or one turn of the user in it, is a near-duplicate of one at --near, which also finds what is shorter than 13 words (texts of up to
 *     MINHASH_TEXT_MAX bytes), or
 *   - its question (of a plain text: the text) holds one nearly whole: runs of NGRAM_WORDS words that both have (13, as GPT-3 and lm-eval do) cover --near of the
 *     words of the evaluation question, or
 *   - both share a run by which the evaluation question is known: no other evaluation question has it, and no more than NGRAM_FORM_TEXTS rows.
 * A greeting or a disclaimer is a run of many words, too, and stands below questions that have nothing else in common; GPT-3's authors met the same and left
 * out runs that more than ten documents share (Brown et al. 2020, appendix C). Words that a run of several evaluation questions covers, or one of many rows,
 * count for no further run, so that a form and the word behind it are none. How many rows have a run is known when all are read, so overlap_settle judges
 * those that share nothing else.
 * System texts are no part of a question here: one that all rows of a set share would make every row overlap, and hide a short question below it.
 * Rows come here repaired and without personal data; evaluation rows are indexed as they are and, where those passes change them, as changed, too.
 * The log says with which row, and the words that both have. An evaluation row that has no answer counts by its question; one that has no question
 * either stops the preparation before anything is read, since whoever names an evaluation set relies on it. */
#include "prep/prep_int.h"

#include <math.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "prep/dedupe_near.h"
#include "prep/dedupe_ngram.h"
#include "prep/feed.h"
#include "prep/minhash.h"
#include "prep/overlap.h"
#include "prep/removal.h"

typedef struct EvalRow { const char *file; int64_t line; size_t words; } EvalRow; /* number in both indexes -> place */
typedef struct EvalRun { uint64_t hash; uint32_t question, questions; } EvalRun;  /* a run, the first question that has it (index in row), and how many have it */

typedef struct Overlap {
    MinHash     *minhash;  /* for its shingles' cfg */
    Shingles   **work;     /* [threads] */
    int          threads;
    NgramIndex  *runs;
    NearIndex   *near;
    VEC(char *)  file;
    char       (*hash)[SHA256_HEX]; /* [file.n] taken before the file is read, so that a later change shows; "": a folder */
    VEC(EvalRow) row;
    VEC(EvalRun) run;      /* ascending by hash */
    Map         *same;     /* hash of all words of a question -> the first of them (index in row) */
    double       share;    /* of the words of an evaluation question */
    int64_t      bare;     /* rows that count by their question alone */
} Overlap;

/* What makes a row known beforehand is its question; answers share stock phrases ("we send a return label") with everything. */
static void asked(const Record *r, StrBuf *out)
{
    record_asked(r, out);
    if (!out->n)
        record_answer(r, out);
}

/* question: of which it is another form; -1: it is one of its own, unless its words are those of an earlier one. */
static int index_text(Overlap *o, Str text, RowPlace at, int64_t question, Err *e)
{
    bool         long_enough;
    Shingles    *s = o->work[0];
    shingles_read(s, text);
    const size_t   words = shingles_words(s);
    const uint64_t all = words ? shingles_run(s, 0, words) : 0;
    const Str      key = { (const char *)&all, sizeof all };
    if (question < 0 && !map_get(o->same, key, &question)) {
        question = (int64_t)o->row.n;
        map_put(o->same, key, question);
    }
    for (size_t i = 0; i + NGRAM_WORDS <= words; i++)
        *vec_push(&o->run) = (EvalRun){ shingles_run(s, i, NGRAM_WORDS), (uint32_t)question, 1 };
    int rc = ngram_index_add(o->runs, s, &long_enough, e);
    if (!rc && !(rc = near_index_add(o->near, s, e)))
        *vec_push(&o->row) = (EvalRow){ at.file, at.line, words };
    return rc;
}

static int by_hash(const void *a, const void *b)
{
    const EvalRun *x = a, *y = b;
    return x->hash != y->hash ? (x->hash < y->hash ? -1 : 1) : (x->question > y->question) - (x->question < y->question);
}

static void build_runs(Overlap *o)
{
    size_t   n = 0;
    uint32_t last = 0;
    if (o->run.n)
        qsort(o->run.p, o->run.n, sizeof *o->run.p, by_hash);
    for (size_t i = 0; i < o->run.n; i++) {
        const EvalRun r = o->run.p[i];
        if (n && o->run.p[n - 1].hash == r.hash)
            o->run.p[n - 1].questions += r.question != last;
        else
            o->run.p[n++] = r;
        last = r.question;
    }
    o->run.n = n;
}

static const EvalRun *find_run(const Overlap *o, uint64_t hash)
{
    size_t lo = 0, hi = o->run.n;
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (o->run.p[mid].hash < hash)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < o->run.n && o->run.p[lo].hash == hash ? &o->run.p[lo] : NULL;
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
        rc = index_text(o, strbuf_str(&text), at, -1, e);
    if (!rc && changed.n && !str_eq(strbuf_str(&text), strbuf_str(&changed)))
        rc = index_text(o, strbuf_str(&changed), at, (int64_t)o->row.n - 1, e);
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
    o->share = p->cfg.near;
    o->same = map_new();
    while (!rc && cfg_list_each(&list, &item)) {
        char *path = *vec_push(&o->file) = mem_strndup(item.p, item.n);
        o->hash = mem_realloc(o->hash, o->file.n, sizeof *o->hash);
        *o->hash[o->file.n - 1] = '\0';
        rc = file_is_dir(path) ? 0 : sha256_file(path, o->hash[o->file.n - 1], e);
        if (!rc)
            rc = index_file(o, p, path, e);
    }
    build_runs(o);
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

/* ---- runs by which an evaluation question is known ---------------------------------------------------------------------------------------------------- */

typedef struct Mark { uint64_t hash; size_t at; uint32_t question; } Mark; /* words [at, at + NGRAM_WORDS) of the text that was read */
typedef VEC(Mark) Marks;

/* Those that begin where `form` does not cover their words; form [words], a byte each. */
static bool is_covered(const uint8_t *form, size_t at) { return memchr(form + at, 1, NGRAM_WORDS); }

/* The runs of the text that s has read which one evaluation question alone has. */
static void find_marks(const Overlap *o, const Shingles *s, Marks *out)
{
    const size_t words = shingles_words(s);
    uint8_t     *form = mem_zalloc(words + 1, 1);
    size_t       kept = 0;
    vec_clear(out);
    for (size_t i = 0; i + NGRAM_WORDS <= words; i++) {
        const EvalRun *r = find_run(o, shingles_run(s, i, NGRAM_WORDS));
        if (r && r->questions > 1)
            memset(form + i, 1, NGRAM_WORDS);
        else if (r)
            *vec_push(out) = (Mark){ r->hash, i, r->question };
    }
    for (size_t i = 0; i < out->n; i++)
        if (!is_covered(form, out->p[i].at))
            out->p[kept++] = out->p[i];
    out->n = kept;
    free(form);
}

/* Whether a match is the evaluation question itself, or most of it. */
static bool nearly_whole(const Overlap *o, const NgramMatch *m)
{
    return (double)(m->runs + NGRAM_WORDS - 1) >= o->share * (double)o->row.p[m->text].words;
}

static size_t piece_end(Str text, size_t at)
{
    size_t end = MIN(text.n, at + MINHASH_TEXT_MAX);
    while (end < text.n && end > at + 1 && ((unsigned char)text.p[end] & 0xC0) == 0x80) /* not inside a character; a word that is cut comes whole in the next piece */
        end--;
    return end;
}

/* Long texts come piece by piece, each with the end of the one before it. */
static void read_piece(Shingles *s, Str text, size_t at, size_t *end)
{
    const size_t from = at > OVERLAP_BYTES ? at - OVERLAP_BYTES : 0;
    *end = piece_end(text, at);
    shingles_read(s, (Str){ text.p + from, *end - from });
}

/* The first words that a row and an evaluation row share. */
static Json *words_of(const Overlap *o, uint32_t text, const Shingles *s, size_t at)
{
    Json *words = place_of(o, text);
    json_set(words, "words", json_str_new(shingles_text(s, at, NGRAM_WORDS)));
    return words;
}

static const char form_note[] = "shares words with evaluation rows that other rows have, too: taken for a form";

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
    Marks          marks = { 0 };
    Json          *whole = NULL, *form = NULL; /* what is told of the first match of its kind */
    uint32_t       shared = 0;
    strbuf_clear(&w->scratch);
    asked(&w->rec, &w->scratch);
    const Str text = strbuf_str(&w->scratch);
    for (size_t at = 0, end; at < text.n && !whole && !t.near.n; at = end) {
        read_piece(t.s, text, at, &end);
        if (text.n <= MINHASH_TEXT_MAX)
            near_index_find(o->near, t.s, &t.near);
        ngram_index_find(o->runs, t.s, &runs);
        for (size_t i = 0; i < runs.n && !whole; i++)
            if (nearly_whole(o, &runs.p[i])) {
                whole = words_of(o, runs.p[i].text, t.s, runs.p[i].at);
                shared = runs.p[i].runs;
            }
        if (!runs.n || whole)
            continue;
        find_marks(o, t.s, &marks);
        w->entry.shares |= marks.n > 0;
        form = form ? form : words_of(o, runs.p[0].text, t.s, runs.p[0].at);
    }
    if (!t.near.n && !whole)
        record_each_text(&w->rec, find_turn, &t);
    if (t.near.n) {
        row_remove(w, "overlap", "near duplicate of an evaluation row", t.near.p[0].jaccard, place_of(o, t.near.p[0].text));
    } else if (whole) {
        row_remove(w, "overlap", OVERLAP_RUN, shared, whole);
        whole = NULL;
    } else if (form && !w->entry.shares) {
        row_note(w, "overlap", form_note, NAN, form);
        form = NULL;
    }
    json_free(whole);
    json_free(form);
    vec_release(&marks);
    vec_release(&runs);
    vec_release(&t.near);
}

/* ---- when all rows are read --------------------------------------------------------------------------------------------------------------------------- */

typedef struct Count { uint32_t row, rows; } Count; /* the last row that has a run (index + 1), and how many have it */

struct OverlapCount { const Overlap *o; Map *count; /* run -> index in counts */ VEC(Count) counts; Marks marks; StrBuf text; };

static Count *count_of(OverlapCount *c, uint64_t hash)
{
    const Str key = { (const char *)&hash, sizeof hash };
    int64_t   at;
    if (map_get(c->count, key, &at))
        return &c->counts.p[at];
    map_put(c->count, key, (int64_t)c->counts.n);
    Count *n = vec_push(&c->counts);
    *n = (Count){ 0 };
    return n;
}

OverlapCount *overlap_count_new(const void *state)
{
    OverlapCount *c = mem_zalloc(1, sizeof *c);
    c->o = state;
    c->count = map_new();
    return c;
}

void overlap_count_free(OverlapCount *c)
{
    if (!c)
        return;
    map_free(c->count);
    vec_release(&c->counts);
    vec_release(&c->marks);
    strbuf_release(&c->text);
    free(c);
}

static Str text_of(OverlapCount *c, const Record *r)
{
    strbuf_clear(&c->text);
    asked(r, &c->text);
    return strbuf_str(&c->text);
}

void overlap_count(OverlapCount *c, const Record *r, uint32_t row)
{
    Shingles *s = c->o->work[0];
    const Str text = text_of(c, r);
    for (size_t at = 0, end; at < text.n; at = end) {
        read_piece(s, text, at, &end);
        find_marks(c->o, s, &c->marks);
        for (size_t i = 0; i < c->marks.n; i++) {
            Count *n = count_of(c, c->marks.p[i].hash);
            n->rows += n->row != row + 1;
            n->row = row + 1;
        }
    }
}

size_t overlap_judge(OverlapCount *c, const Record *r, Json **told)
{
    Shingles *s = c->o->work[0];
    const Str text = text_of(c, r);
    size_t    overlaps = 0;
    *told = NULL;
    for (size_t at = 0, end; at < text.n; at = end) {
        read_piece(s, text, at, &end);
        find_marks(c->o, s, &c->marks);
        uint8_t *form = mem_zalloc(shingles_words(s) + 1, 1);
        for (size_t i = 0; i < c->marks.n; i++)
            if (count_of(c, c->marks.p[i].hash)->rows > NGRAM_FORM_TEXTS)
                memset(form + c->marks.p[i].at, 1, NGRAM_WORDS);
        for (size_t i = 0; i < c->marks.n; i++) {
            const Mark *m = &c->marks.p[i];
            const bool  covered = is_covered(form, m->at);
            if (!*told || (!covered && !overlaps)) {
                json_free(*told);
                *told = words_of(c->o, m->question, s, m->at);
            }
            overlaps += !covered;
        }
        free(form);
    }
    return overlaps;
}

int overlap_settle(Prep *p, Removal *out, Err *e)
{
    const Overlap *o = pass_state(p, &pass_overlap);
    OverlapCount  *c = o ? overlap_count_new(o) : NULL;
    int            rc = 0;
    for (int judge = 0; judge < 2 && c; judge++)
        for (size_t i = 0; i < p->rows.n && !rc; i++) {
            if (entries_part(&p->rows, i) == PART_REMOVED || !entries_at(&p->rows, i)->shares)
                continue;
            Record rec = { .kind = (RecordKind)entries_at(&p->rows, i)->kind };
            if ((rc = json_parse(&rec.row, removal_line(out, i), "work/rows.jsonl", e)))
                break;
            if (!judge) {
                overlap_count(c, &rec, (uint32_t)i);
            } else {
                Json        *told;
                const size_t overlaps = overlap_judge(c, &rec, &told);
                if (overlaps)
                    removal_add(out, i, "overlap", OVERLAP_RUN, (double)overlaps, told);
                else
                    decision_add(&out->log, removal_place(out, i), "overlap", ACTION_NOTE, form_note, NAN, told);
                rc = removal_flush(out, false, e);
            }
            json_free(rec.row);
        }
    overlap_count_free(c);
    return rc;
}

const char *overlap_set_hash(const void *state, size_t i)
{
    const Overlap *o = state;
    BUG_ON(i >= o->file.n);
    return o->hash[i];
}

static void overlap_close(void *state)
{
    Overlap *o = state;
    map_free(o->same);
    vec_release(&o->run);
    for (int i = 0; i < o->threads; i++)
        shingles_free(o->work[i]);
    for (size_t i = 0; i < o->file.n; i++)
        free(o->file.p[i]);
    free(o->work);
    free(o->hash);
    vec_release(&o->file);
    vec_release(&o->row);
    ngram_index_free(o->runs);
    near_index_free(o->near);
    minhash_free(o->minhash);
    free(o);
}

const Pass pass_overlap = { "overlap", false, overlap_open, overlap_row, overlap_close };
