/* questions_stage.c - with --questions: of each document that would give rows of plain text, a file of rows is made, work/questions/KEY-N.jsonl, which the
 * intake reads in its place: a conversation for each pair of a question and an answer (questions_rows.c), with "meta" that says where it is from:
 *   {"document", "title", "part", "section", "passage": its number in the document, "teacher", "grounding": 0..1, "score": 1..5, "source": the passage}
 * Pairs that the judges refuse, and answers that nothing could be read from (as a text), are rows, too, with "refused": {"reason", "score"} in their meta:
 * the pass `questions` (pass_questions.c) removes them, so they stand in removed.jsonl and decisions.jsonl like all others. Texts with personal data stand in
 * work/questions until the folder is done; the passes behind this stage see them as they see any row.
 * Documents are Word, PowerPoint, Excel, PDF, HTML, XML, and files named as text (.txt, .md, ...). Mails and mailboxes hold conversations already and stay what
 * they are, and so do tables.
 *
 * Main struct: Maker. Documents are taken in windows of WINDOW_PASSAGES passages (or one document, if it has more), so that small documents, too, keep many
 * requests in flight; within a window all passages are asked about, then all pairs that passed by words are scored in a second request for each passage.
 * Invariants: what a document's file says hangs on the document, the options and the teacher's answers, not on when they came; a file is there whole (beside it
 * KEY-N.json with its counts) or not at all; KEY is of inputs and options, so files of another command are never taken for ours. */
#include "prep/questions_int.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#define WINDOW_PASSAGES 256
#define TEMPERATURE     0.7  /* of questions; scores are asked for at 0 */
#define TOKENS_FIRST    1024 /* of an answer, thoughts included, and for each pair */
#define TOKENS_PAIR     256

typedef enum { ROUND_PAIRS, ROUND_SCORES, ROUNDS } RoundKind;

/* ---- passages -------------------------------------------------------------------------------------------------------------------------------------- */

PassagePlace passage_place(const Maker *m, const Passage *q)
{
    const Paper   *a = &m->paper.p[q->paper];
    const DocPart *part = &a->doc.part.p[q->chunk->part];
    const char    *title = *a->doc.title ? a->doc.title : path_base(m->p->input.p[a->input].path);
    return (PassagePlace){ str_of(title), str_of(part->name), str_of(q->chunk->path), q->chunk->lead, q->chunk->text };
}

PassagePlace passage_shown(const Maker *m, const Passage *q) { return m->veil ? veiled_place(&q->veiled) : passage_place(m, q); }

static void passage_release(Passage *q)
{
    veiled_release(&q->veiled);
    free(q->answer);
    free(q->unreadable);
    free(q->grounding);
    free(q->score);
    questions_release(&q->pair);
}

/* Reads what the teacher said of a passage, and judges it by words. */
static void read_pairs(const Maker *m, Passage *q)
{
    const PassagePlace place = passage_shown(m, q);
    Err                why = { 0 };
    StrBuf             all = { 0 };
    if (q->end == ANSWER_REFUSED) {
        q->unreadable = mem_strdup("refused_by_teacher: it answered with a refusal, which stands in the place of the row"); /* its words may quote the passage */
        return;
    }
    if (questions_parse(str_of(q->answer), &q->pair, &why)) {
        strbuf_addf(&all, "%s%s", why.text, q->end == ANSWER_CUT ? " (it was cut at its greatest length)" : "");
        q->unreadable = strbuf_take(&all);
        return;
    }
    q->grounding = mem_zalloc(q->pair.item.n + 1, sizeof *q->grounding);
    q->score = mem_zalloc(q->pair.item.n + 1, sizeof *q->score);
    strbuf_add(&all, place.lead.p ? place.lead.p : "", place.lead.n);
    strbuf_addc(&all, '\n');
    strbuf_add(&all, place.text.p, place.text.n);
    Ground *g = ground_new(strbuf_str(&all), place.title, place.section);
    for (size_t i = 0; i < q->pair.item.n; i++)
        ground_judge(g, str_of(q->pair.item.p[i].question), str_of(q->pair.item.p[i].answer), &q->grounding[i]);
    ground_free(g);
    strbuf_release(&all);
}

/* The pairs of a passage that passed by words, for the second judge; which they are in `at`. Both owned, texts borrowed. */
static size_t passed_pairs(const Passage *q, QuestionPair **pair, size_t **at)
{
    size_t n = 0;
    *pair = mem_zalloc(q->pair.item.n + 1, sizeof **pair);
    *at = mem_zalloc(q->pair.item.n + 1, sizeof **at);
    for (size_t i = 0; i < q->pair.item.n; i++)
        if (!*q->grounding[i].why) {
            (*at)[n] = i;
            (*pair)[n++] = q->pair.item.p[i];
        }
    return n;
}

/* What was said stays 0 for all pairs when the answer does not have a number for each. */
static void read_scores(Passage *q, Str answer)
{
    QuestionPair *pair;
    size_t       *at, n = passed_pairs(q, &pair, &at);
    int          *score = mem_zalloc(n + 1, sizeof *score);
    if (questions_parse_scores(answer, n, score))
        for (size_t i = 0; i < n; i++)
            q->score[at[i]] = score[i];
    free(score);
    free(pair);
    free(at);
}

/* ---- a round of asking ------------------------------------------------------------------------------------------------------------------------------ */

typedef struct Ask { size_t passage; char key[SHA256_HEX]; bool twin; /* the same is asked by one before it */ } Ask;

typedef struct Round {
    Maker      *m;
    RoundKind   kind;
    TeacherWork work;
    VEC(Ask)  asked;     /* what the cache has not, twins behind the others */
    size_t      done;
} Round;

static bool takes_part(const Passage *q, RoundKind kind)
{
    if (kind == ROUND_PAIRS)
        return !q->unreadable; /* it was withheld */
    for (size_t i = 0; i < q->pair.item.n; i++)
        if (!*q->grounding[i].why)
            return true;
    return false;
}

static Json *messages_of(const Round *r, const Passage *q)
{
    const PassagePlace place = passage_shown(r->m, q);
    QuestionPair      *pair;
    size_t            *at;
    if (r->kind == ROUND_PAIRS)
        return questions_ask(&place, r->m->p->cfg.questions);
    const size_t n = passed_pairs(q, &pair, &at);
    Json        *j = questions_ask_scores(&place, pair, n);
    free(pair);
    free(at);
    return j;
}

static void take(Round *r, Passage *q, AnswerEnd end, Str text)
{
    if (r->kind == ROUND_SCORES) {
        read_scores(q, end == ANSWER_REFUSED ? (Str){ "", 0 } : text);
        return;
    }
    q->end = end;
    q->answer = mem_strndup(text.n ? text.p : "", text.n);
    read_pairs(r->m, q);
}

static int take_cached(Round *r, Passage *q, const char *key, Err *e)
{
    StrBuf    text = { 0 };
    AnswerEnd end;
    int       rc = answer_cache_get(&r->m->cache, key, &end, &text, e);
    if (!rc)
        take(r, q, end, strbuf_str(&text));
    strbuf_release(&text);
    return rc;
}

static void tell(const Round *r)
{
    const Maker    *m = r->m;
    const PrepHooks *h = &m->p->hooks;
    const double    share = ((double)r->kind + (double)r->done / (double)MAX(r->asked.n, (size_t)1)) / (m->p->cfg.judge ? ROUNDS : 1);
    if (h->progress)
        h->progress(h->user, "asking the teacher", m->bytes_before + (uint64_t)(share * (double)m->bytes), m->p->facts.bytes, m->all.usable);
}

static Json *on_messages(void *user, size_t i)
{
    Round *r = user;
    return messages_of(r, &r->m->passage.p[r->asked.p[i].passage]);
}

static int on_answer(void *user, size_t i, const TeacherAnswer *a, Err *e)
{
    Round       *r = user;
    const Ask *k = &r->asked.p[i];
    int          rc = answer_cache_add(&r->m->cache, k->key, a->end, a->text, e);
    if (!rc) /* as a later start reads it, so that both see the same bytes */
        rc = take_cached(r, &r->m->passage.p[k->passage], k->key, e);
    r->done++;
    tell(r);
    return rc;
}

static bool on_stop(void *user) { return prep_stop_asked(((Round *)user)->m->p); }

static int open_teacher(Maker *m, Err *e)
{
    const PrepCfg *c = &m->p->cfg;
    const char    *where = c->teacher && *c->teacher ? c->teacher : c->model;
    if (m->teacher)
        return 0;
    const TeacherOptions o = { .where = where, .model = c->teacher_model, .key = getenv(TEACHER_KEY_VARIABLE), .in_flight = c->teacher_requests, .threads = (int)c->threads };
    int                  rc = teacher_open(&m->teacher, &o, e);
    if (!rc && c->teacher_sees == TEACHER_SEES_ORIGINAL && teacher_away(m->teacher))
        rc = err_set(e, ERR_ARG, "%s lies outside this machine, and --teacher-sees original would send personal data there as it stands; leave that option out", where);
    if (!rc && teacher_far(m->teacher))
        log_warn("prep", "the passages of the documents go to %s, outside this machine and its networks, %s", teacher_name(m->teacher),
                 m->veil ? "with other values in the place of the personal data that was found in them; no detector finds all of it" : "as they stand, with the personal data in them");
    return rc ? err_wrap(e, where == c->model ? "--model" : "--teacher") : 0;
}

/* Answers that the cache has are taken; the others are listed, each once. */
static int sort_asks(Round *r, size_t *n, Err *e)
{
    Maker     *m = r->m;
    Map       *listed = map_new();
    VEC(Ask) twin = { 0 };
    int        rc = 0;
    int64_t    one;
    for (size_t i = 0; i < m->passage.n && !rc; i++) {
        Ask    k = { .passage = i };
        Passage *q = &m->passage.p[i];
        if (!takes_part(q, r->kind))
            continue;
        Json *messages = messages_of(r, q);
        answer_key(k.key, teacher_name(m->teacher), &r->work, messages);
        json_free(messages);
        if (answer_cache_has(&m->cache, k.key))
            rc = take_cached(r, q, k.key, e);
        else if (map_get(listed, str_of(k.key), &one))
            *vec_push(&twin) = k;
        else
            *vec_push(&r->asked) = k;
        map_put(listed, str_of(k.key), 1);
    }
    *n = r->asked.n;
    for (size_t i = 0; i < twin.n; i++)
        *vec_push(&r->asked) = twin.p[i];
    vec_release(&twin);
    map_free(listed);
    return rc;
}

static int ask_round(Maker *m, RoundKind kind, Err *e)
{
    const PrepCfg *c = &m->p->cfg;
    Round          r = { .m = m, .kind = kind };
    size_t         n = 0;
    int            rc = open_teacher(m, e);
    r.work = (TeacherWork){ .user = &r, .messages = on_messages, .answered = on_answer, .stop_asked = on_stop, .seed = (uint64_t)c->seed,
                            .max_tokens = TOKENS_FIRST + (kind == ROUND_PAIRS ? TOKENS_PAIR * c->questions : 0), .temperature = kind == ROUND_PAIRS ? TEMPERATURE : 0 };
    if (!rc)
        rc = sort_asks(&r, &n, e);
    r.work.n = n;
    r.work.proven = answer_cache_count(&m->cache) > 0;
    tell(&r);
    if (!rc && n)
        rc = teacher_ask(m->teacher, &r.work, e);
    for (size_t i = n; i < r.asked.n && !rc; i++)
        rc = take_cached(&r, &m->passage.p[r.asked.p[i].passage], r.asked.p[i].key, e);
    if (rc == ERR_WORK || rc == ERR_STOP)
        err_wrap(e, "%zu answers are kept, and the same command goes on from there", answer_cache_count(&m->cache));
    vec_release(&r.asked);
    return rc;
}

/* ---- files ------------------------------------------------------------------------------------------------------------------------------------------ */

static char *made_path(const Prep *p, size_t input, const char *ending)
{
    char name[80];
    snprintf(name, sizeof name, "work/questions/%.16s-%zu.%s", p->command, input + 1, ending);
    return prep_path(p, name);
}

static void add_counts(Counts *to, const Counts *n)
{
    to->passages += n->passages;
    to->unreadable += n->unreadable;
    to->refused += n->refused;
    to->usable += n->usable;
    if (!*to->first)
        memcpy(to->first, n->first, sizeof to->first);
}

/* From now on the intake reads this file in the place of the document. */
static void set_made(Maker *m, size_t input, const char *kind, const Counts *n)
{
    Input *in = &m->p->input.p[input];
    StrBuf note = { 0 };
    strbuf_addf(&note, "%s, %lld passages: %lld pairs kept, %lld refused, %lld answers not read", kind, (long long)n->passages, (long long)n->usable, (long long)n->refused,
                (long long)n->unreadable);
    in->made = made_path(m->p, input, "jsonl");
    in->made_note = strbuf_take(&note);
    in->made_rows = n->usable + n->refused + n->unreadable;
    add_counts(&m->all, n);
    m->documents++;
}

static const struct { const char *key; size_t field; } count_keys[] = {
    { "passages", offsetof(Counts, passages) }, { "unreadable", offsetof(Counts, unreadable) }, { "refused", offsetof(Counts, refused) }, { "usable", offsetof(Counts, usable) },
};

static int write_counts(const Prep *p, size_t input, const char *kind, const Counts *n, Err *e)
{
    Json  *j = json_obj_new();
    StrBuf text = { 0 };
    char  *path = made_path(p, input, "json");
    json_set(j, "kind", json_str_new(str_of(kind)));
    for (size_t i = 0; i < ARRAY_LEN(count_keys); i++) {
        int64_t v;
        memcpy(&v, (const char *)n + count_keys[i].field, sizeof v);
        json_set(j, count_keys[i].key, json_int_new(v));
    }
    json_set(j, "first", json_str_new(str_of(n->first)));
    json_write(&text, j, false);
    int rc = file_write_atomic(path, text.p, text.n, e);
    strbuf_release(&text);
    json_free(j);
    free(path);
    return rc;
}

/* An earlier start of this command has made the file. */
static bool made_before(Maker *m, size_t input)
{
    Counts n = { 0 };
    Json  *j = NULL;
    char  *path = made_path(m->p, input, "json");
    bool   there = file_exists(path) && !json_read_file(&j, path, NULL);
    for (size_t i = 0; i < ARRAY_LEN(count_keys) && there; i++) {
        int64_t v = json_int(json_get(j, count_keys[i].key));
        memcpy((char *)&n + count_keys[i].field, &v, sizeof v);
    }
    if (there) {
        const Str first = json_str(json_get(j, "first")), kind = json_str(json_get(j, "kind"));
        char     *name = mem_strndup(kind.n ? kind.p : "", kind.n);
        snprintf(n.first, sizeof n.first, "%.*s", (int)first.n, first.n ? first.p : "");
        set_made(m, input, name, &n);
        free(name);
    }
    json_free(j);
    free(path);
    return there;
}

static int write_paper(Maker *m, size_t paper, Err *e)
{
    const Paper *a = &m->paper.p[paper];
    const char  *kind = doc_kind_name(a->doc.kind);
    StrBuf       out = { 0 };
    Counts       n = { 0 };
    char        *path = made_path(m->p, a->input, "jsonl");
    for (size_t i = 0; i < m->passage.n; i++)
        if (m->passage.p[i].paper == paper)
            questions_put_rows(m, &m->passage.p[i], &n, &out);
    int rc = file_write_atomic(path, strbuf_z(&out), out.n, e);
    if (!rc)
        rc = write_counts(m->p, a->input, kind, &n, e);
    if (!rc)
        set_made(m, a->input, kind, &n);
    strbuf_release(&out);
    free(path);
    return rc;
}

/* ---- windows ---------------------------------------------------------------------------------------------------------------------------------------- */

static void clear_window(Maker *m)
{
    for (size_t i = 0; i < m->passage.n; i++)
        passage_release(&m->passage.p[i]);
    for (size_t i = 0; i < m->paper.n; i++) {
        chunk_release(&m->paper.p[i].chunk);
        doc_release(&m->paper.p[i].doc);
    }
    vec_clear(&m->passage);
    vec_clear(&m->paper);
    m->bytes_before += m->bytes;
    m->bytes = 0;
}

/* With --pii drop the rows of a passage with personal data would leave, so it is not sent at all. */
static int veil(Maker *m, Passage *q, Err *e)
{
    const PassagePlace place = passage_place(m, q);
    int                rc = veil_passage(m->veil, &place, &q->veiled, e);
    if (!rc && q->veiled.personal && m->p->cfg.pii == PREP_PII_DROP) {
        q->answer = mem_strdup("");
        q->unreadable = mem_strdup("withheld: the passage has personal data (--pii drop), so it was not sent to the teacher");
    }
    return rc;
}

static int run_window(Maker *m, Err *e)
{
    int rc = 0;
    for (size_t a = 0; a < m->paper.n; a++)
        for (size_t i = 0; i < m->paper.p[a].chunk.item.n; i++)
            *vec_push(&m->passage) = (Passage){ .paper = a, .chunk = &m->paper.p[a].chunk.item.p[i], .number = (int64_t)i + 1 };
    for (size_t i = 0; i < m->passage.n && m->veil && !rc; i++)
        rc = veil(m, &m->passage.p[i], e);
    for (RoundKind kind = ROUND_PAIRS; kind < ROUNDS && !rc && m->passage.n; kind++)
        if (kind == ROUND_PAIRS || m->p->cfg.judge)
            rc = ask_round(m, kind, e);
    for (size_t a = 0; a < m->paper.n && !rc; a++)
        rc = write_paper(m, a, e);
    clear_window(m);
    return rc;
}

/* Text files are documents here, by their names: their content is that of any table of one column. */
static bool is_text_file(const char *path)
{
    const char *dot = strrchr(path_base(path), '.');
    TableKind   kind;
    return dot && table_kind_of(dot + 1, &kind) && kind == TABLE_TEXT;
}

static bool is_document(const char *path, Err *e, int *rc)
{
    FileMap map = { 0 };
    if (file_is_dir(path)) /* an export of a help desk */
        return false;
    if (is_text_file(path))
        return true;
    *rc = file_map(&map, path, e);
    const bool is = !*rc && doc_is_document((Str){ map.p ? (const char *)map.p : "", map.n });
    file_unmap(&map);
    return is;
}

/* A document that cannot be read. The intake meets the same error, but with text files, which it would take for plain text: those have no rows from here. */
static int leave_out(Maker *m, size_t input, const Err *why, Err *e)
{
    Input *in = &m->p->input.p[input];
    m->unread++;
    if (!is_text_file(in->path))
        return 0;
    if (m->p->input.n == 1)
        return err_set(e, why->code, "%s", why->text);
    StrBuf note = { 0 };
    strbuf_addf(&note, "left out: %s", why->text);
    in->made_note = strbuf_take(&note);
    in->made = made_path(m->p, input, "jsonl");
    log_warn("prep", "%s", in->made_note);
    return 0;
}

/* Takes an input into the window, if it is a document with text of its own. */
static int take_input(Maker *m, size_t input, Err *e)
{
    const char *path = m->p->input.p[input].path;
    Paper       a = { .input = input };
    Err         why = { 0 };
    int         rc = 0;
    if (!is_document(path, e, &rc) || rc)
        return rc;
    rc = doc_to_text(path, NULL, &a.doc, &why);
    if (rc == ERR_INPUT || rc == ERR_WORK)
        return leave_out(m, input, &why, e);
    if (rc) {
        *e = why;
        return rc;
    }
    if (a.doc.kind != DOC_MAIL && a.doc.kind != DOC_MBOX) {
        rc = doc_chunk(&a.doc, &(ChunkCfg){ .target = (size_t)m->p->cfg.passage }, &a.chunk, e);
        *vec_push(&m->paper) = a;
    } else {
        doc_release(&a.doc);
    }
    return rc;
}

static size_t passages_waiting(const Maker *m)
{
    size_t n = 0;
    for (size_t i = 0; i < m->paper.n; i++)
        n += m->paper.p[i].chunk.item.n;
    return n;
}

/* ---- the stage -------------------------------------------------------------------------------------------------------------------------------------- */

static int judge_all(const Maker *m, Err *e)
{
    const PrepCfg *c = &m->p->cfg;
    const Counts  *n = &m->all;
    if (!m->documents && m->unread)
        return 0; /* the intake tells why */
    if (!m->documents)
        return err_set(e, ERR_ARG, "--questions makes questions from documents (Word, PowerPoint, Excel, PDF, HTML, text), and no input is one");
    if (!n->passages)
        return err_set(e, ERR_INPUT, "none of the %lld documents has any text, so there is nothing to ask about", (long long)m->documents);
    if (n->usable)
        return 0;
    return err_set(e, ERR_WORK, "no usable pair came out of %lld passages: %lld answers of %s could not be read, and %lld pairs were refused%s%s%s; a larger model as "
                                "--teacher does better", (long long)n->passages, (long long)n->unreadable, c->teacher && *c->teacher ? c->teacher : c->model,
                   (long long)n->refused, *n->first ? " (the first: " : "", n->first, *n->first ? ")" : "");
}

int questions(Prep *p, Err *e)
{
    Maker m = { .p = p, .cache.log.fd = -1 };
    if (!p->cfg.questions)
        return 0;
    char *dir = prep_path(p, "work/questions"), *answers = prep_path(p, "work/questions/answers.jsonl"), *key = prep_key_path(p);
    Json *earlier = NULL;
    int   rc = intake_progress(p, &earlier, e); /* before somebody pays for answers that could not be used */
    json_free(earlier);
    if (!rc)
        rc = dir_make(dir, e);
    if (!rc)
        rc = answer_cache_open(&m.cache, answers, e);
    if (!rc)
        rc = veil_open(&m.veil, &p->cfg, key, e);
    for (size_t i = 0; i < p->input.n && !rc; i++) {
        if (prep_stop_asked(p))
            rc = err_set(e, ERR_STOP, "stopped; the same command goes on");
        else if (!made_before(&m, i))
            rc = take_input(&m, i, e);
        m.bytes += p->input.p[i].bytes;
        if (!rc && passages_waiting(&m) >= WINDOW_PASSAGES)
            rc = run_window(&m, e);
    }
    if (!rc)
        rc = run_window(&m, e);
    if (!rc)
        rc = judge_all(&m, e);
    p->facts.passages = m.all.passages;
    p->facts.pairs_made = m.all.usable + m.all.refused;
    clear_window(&m);
    vec_release(&m.passage);
    vec_release(&m.paper);
    answer_cache_close(&m.cache);
    teacher_close(m.teacher);
    veil_close(m.veil);
    free(key);
    free(dir);
    free(answers);
    return rc;
}
