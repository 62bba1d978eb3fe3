/* intake.c - reads every input once: rows are cut out in order, parsed, imported and taken through the passes on all cores, and put down in order.
 * Invariants: what is on disk up to the lengths in work/progress.json belongs together, and everything behind them is forgotten at the next start;
 * ids are given in the order of reading, so they depend on the inputs alone. */
#include "prep/prep_int.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "prep/dedupe.h"
#include "prep/feed.h"
#include "prep/time_text.h"

#define SAVE_SECONDS 5.0
#define PARTS_SAID   5 /* of one file that cannot be read, on the screen */

/* The files that grow, and how long they were at the last save. */
enum { LOG_ROWS, LOG_REMOVED, LOG_DECISIONS, LOG_SUBJECTS, LOG_INDEX, LOG_KEYS, LOGS };
static const char *const log_name[LOGS] = { "work/rows.jsonl", "removed.jsonl", "decisions.jsonl", "subjects.jsonl", "work/index.bin", "work/keys.bin" };

/* What the rows so far have, since their entries are on disk. */
typedef struct Met { int64_t here, used; bool read, group, label, subject, timed; } Met; /* here: rows of the input in hand; used: those of them that no pass removed; read: some row could be */

typedef struct Intake {
    Prep      *p;
    Feed      *feed;
    size_t     input;            /* index of the one being read */
    FeedItem  *item;             /* [BATCH_ROWS] */
    RowWork   *work;             /* [BATCH_ROWS] */
    DedupeKeys *keys;            /* NULL: --duplicates off */
    Met        met;
    VEC(char *) early;           /* what was wrong with its parts before the first row; owned */
    StrBuf     buf[LOGS];
    FileLog    log[LOGS];
    double     saved;
} Intake;

/* One large row leaves no large buffers behind. */
static void empty(StrBuf *b)
{
    strbuf_clear(b);
    if (b->cap > ROW_KEEP)
        strbuf_release(b);
}

/* ---- one row, on any thread ------------------------------------------------------------------------------------------------------------------------ */

static uint64_t column_hash(const Record *r, const char *columns, StrBuf *scratch)
{
    uint64_t h = 0;
    Str      item;
    while (columns && cfg_list_each(&columns, &item)) {
        char *name = mem_strndup(item.p, item.n);
        Str   value = record_meta(r, name, scratch);
        free(name);
        if (value.n) /* the order of columns counts; two columns with the same value differ */
            h = h * 0x9E3779B97F4A7C15u + hash64(value.p, value.n) + 1;
    }
    return h;
}

static void read_keys(const Prep *p, RowWork *w)
{
    w->entry.group = column_hash(&w->rec, p->cfg.group, &w->scratch);
    if (!w->entry.group && p->input.p[w->entry.source].made) /* questions of one document know of each other */
        w->entry.group = column_hash(&w->rec, "document", &w->scratch);
    w->entry.label = column_hash(&w->rec, p->cfg.label, &w->scratch);
    w->entry.subject = column_hash(&w->rec, p->cfg.subject, &w->scratch);
    w->entry.time = INT64_MIN;
    if (p->cfg.time && *p->cfg.time) {
        Str when = record_meta(&w->rec, p->cfg.time, &w->scratch);
        if (!time_from_text(when, &w->entry.time))
            row_note(w, "time", when.n ? "the time is in no known form, so the row counts as old" : "the row has no time, so it counts as old", NAN, NULL);
    }
}

/* Why it could not be read. The reader's sentences begin with the place, which the decision has of its own. */
static void remove_unread(RowWork *w, const char *why)
{
    StrBuf       reason = { 0 };
    const char  *row = strstr(why, ", row "), *colon = row ? strstr(row, ": ") : NULL;
    const size_t name = strlen(w->at.file);
    if (str_starts(str_of(why), w->at.file) && !strncmp(why + name, ": ", 2))
        why += name + 2;
    strbuf_addf(&reason, "%s%s", colon ? "unreadable: " : "", colon ? colon + 2 : why);
    row_remove(w, "import", strbuf_z(&reason), NAN, NULL);
    strbuf_release(&reason);
}

/* What is told of a row's texts once no pass changes them any more. */
static void measure(RowWork *w)
{
    strbuf_clear(&w->scratch);
    record_question(&w->rec, &w->scratch);
    w->entry.question = (uint32_t)MIN(w->scratch.n, (size_t)UINT32_MAX);
    strbuf_clear(&w->scratch);
    record_answer(&w->rec, &w->scratch);
    w->entry.answer = (uint32_t)MIN(w->scratch.n, (size_t)UINT32_MAX);
    strbuf_clear(&w->scratch);
    record_text(&w->rec, &w->scratch);
    w->entry.content = hash64(w->scratch.p, w->scratch.n);
}

static void one_row(void *ctx, int64_t i, int worker)
{
    Intake  *in = ctx;
    RowWork *w = &in->work[i];
    Json    *row = NULL;
    StrBuf   note = { 0 };
    Err      err = { 0 };
    w->worker = worker;
    w->cut = in->item[i].cut;
    int rc = feed_parse(in->feed, &in->item[i], &row, &err);
    if (!rc)
        rc = (feed_ready(&in->item[i]) || in->p->input.p[in->input].made ? import_known_row : import_row)(in->p->import, row, &w->rec, &note, &err);
    w->rec.id = w->at.row;
    if (rc) {
        utf8_repair(&w->raw, in->item[i].item.text);
        remove_unread(w, err.text);
    } else {
        w->entry.kind = (uint8_t)w->rec.kind;
        read_keys(in->p, w);
        if (note.n)
            row_edit(w, "import", strbuf_z(&note), NULL);
        if (in->item[i].item.replaced)
            row_note(w, "encoding", "bytes that fit no encoding became U+FFFD", in->item[i].item.replaced, NULL);
        if (in->item[i].unanswered && in->p->cfg.unanswered == UNANSWERED_DROP)
            row_remove(w, "import", in->item[i].unanswered, NAN, NULL);
    }
    passes_row(in->p, w);
    if (w->rec.row)
        measure(w);
    empty(&w->scratch);
    strbuf_release(&note);
}

/* ---- rows to the files, in order ------------------------------------------------------------------------------------------------------------------- */

/* {"id": 7, ...the row...} */
static void put_row(StrBuf *out, const RowWork *w)
{
    size_t at = out->n;
    strbuf_addf(out, "{\"id\":%lld,", (long long)w->at.row);
    size_t body = out->n;
    json_write(out, w->rec.row, false);
    memmove(out->p + body, out->p + body + 1, out->n - body); /* its own opening brace; the terminator moves along */
    out->n--;
    BUG_ON(out->p[at] != '{');
}

static void put_removed(StrBuf *out, const RowWork *w)
{
    removed_begin(out, w->at, w->why_pass, strbuf_str(&w->why));
    if (w->rec.row) {
        strbuf_addz(out, "\"row\":");
        put_row(out, w);
    } else {
        strbuf_addz(out, "\"raw\":");
        json_write_string(out, strbuf_str(&w->raw));
    }
    strbuf_addz(out, "}\n");
}

static void meet(Met *m, const RowEntry *r)
{
    m->here++;
    m->used += r->part != PART_REMOVED;
    m->read |= r->why != prep_pass_number("import");
    m->group |= r->group != 0;
    m->label |= r->label != 0;
    m->subject |= r->subject != 0;
    m->timed |= r->time != INT64_MIN;
}

static int flush_batch(Intake *in, Err *e)
{
    for (int i = 0; i < LOGS; i++) {
        int rc = file_log_add(&in->log[i], in->buf[i].p ? in->buf[i].p : "", in->buf[i].n, e);
        if (rc)
            return rc;
        empty(&in->buf[i]);
    }
    return 0;
}

static void note_columns(Prep *p, const RowWork *w)
{
    JsonIter it = { 0 };
    Str      key;
    Json    *value, *meta = json_get(w->rec.row, "meta");
    if (p->columns.n || !w->rec.row)
        return;
    p->columns.max = 500;
    while (json_kind(meta) == JSON_OBJECT && json_each(meta, &it, &key, &value))
        strbuf_addf(&p->columns, "%s%.*s", p->columns.n ? ", " : "", (int)key.n, key.p);
    if (!p->columns.n)
        strbuf_addz(&p->columns, "no others");
}

/* A column that no row has would change nothing, and nobody would know: a leak between parts by a slip of the pen. */
static int check_columns(const Intake *in, Err *e)
{
    const Prep *p = in->p;
    const struct { const char *option, *name; bool found; } asked[] = {
        { "--group", p->cfg.group, in->met.group }, { "--label", p->cfg.label, in->met.label }, { "--subject", p->cfg.subject, in->met.subject },
    };
    for (size_t a = 0; a < ARRAY_LEN(asked) && in->met.read; a++)
        if (asked[a].name && *asked[a].name && !asked[a].found)
            return err_set(e, ERR_ARG, "%s %s: no row has this column; beside what became texts the rows have %s", asked[a].option, asked[a].name, strbuf_z(&p->columns));
    if (p->cfg.time && *p->cfg.time && !in->met.timed && in->met.read)
        return err_set(e, ERR_ARG, "--time %s: no row has a time there in a form that is known (2026-01-31, 2026-01-31T09:30:00Z, 31.01.2026, seconds since 1970); the rows have %s",
                       p->cfg.time, strbuf_z(&p->columns));
    return 0;
}

/* A column of a template that no row has is a slip of the pen, too. */
static int check_templates(const Intake *in, Err *e)
{
    const Prep *p = in->p;
    return !in->met.read && p->rows.n && strstr(strbuf_z(&p->first_why), " asks for the column ") ? err_set(e, ERR_ARG, "%s", strbuf_z(&p->first_why)) : 0;
}

static int put_batch(Intake *in, size_t n, Err *e)
{
    Prep *p = in->p;
    for (size_t i = 0; i < n; i++) {
        RowWork *w = &in->work[i];
        StrBuf  *rows = &in->buf[LOG_ROWS];
        w->entry.part = row_removed(w) ? PART_REMOVED : PART_TRAIN;
        w->entry.why = row_removed(w) ? prep_pass_number(w->why_pass) : 0;
        note_columns(p, w);
        w->entry.off = in->log[LOG_ROWS].size + rows->n;
        size_t before = rows->n;
        if (row_removed(w)) {
            if (!p->first_why.n && w->at.line)
                strbuf_addf(&p->first_why, "%s, line %lld: %s", w->at.file, (long long)w->at.line, strbuf_z(&w->why));
            else if (!p->first_why.n)
                strbuf_addf(&p->first_why, "%s: %s", w->at.file, strbuf_z(&w->why));
            put_removed(&in->buf[LOG_REMOVED], w);
        } else {
            put_row(rows, w);
            strbuf_addc(rows, '\n');
            if (rows->n - before > ROW_MAX) { /* line ends and quotes take two bytes in JSON */
                rows->n = before;
                row_remove(w, "import", "the row is longer than 64 MiB as a line of JSON, which hone train does not read; split it", NAN, NULL);
                w->entry.part = PART_REMOVED;
                w->entry.why = prep_pass_number("import");
                put_removed(&in->buf[LOG_REMOVED], w);
            }
        }
        w->entry.bytes = rows->n - before;
        strbuf_add(&in->buf[LOG_DECISIONS], w->log.p, w->log.n);
        strbuf_add(&in->buf[LOG_SUBJECTS], w->subjects.p, w->subjects.n);
        strbuf_add(&in->buf[LOG_INDEX], &w->entry, sizeof w->entry);
        int rc = in->keys && !row_removed(w) ? dedupe_add(in->keys, w->entry.id, w->keys, w->entry.quality, &in->buf[LOG_KEYS], e) : 0;
        if (rc)
            return rc;
        meet(&in->met, &w->entry);
        p->rows.n++;
    }
    if (in->keys)
        dedupe_end_block(in->keys, &in->buf[LOG_KEYS]);
    return flush_batch(in, e);
}

/* ---- going on after a stop ------------------------------------------------------------------------------------------------------------------------- */

static int save(Intake *in, Err *e)
{
    int    rc = 0;
    Json  *j = json_obj_new(), *sizes = json_obj_new();
    char  *path = prep_path(in->p, "work/progress.json");
    StrBuf text = { 0 };
    for (int i = 0; i < LOGS && !rc; i++) {
        rc = file_log_sync(&in->log[i], e);
        json_set(sizes, log_name[i], json_int_new((int64_t)in->log[i].size));
    }
    TablePlace at = in->feed ? feed_place(in->feed) : (TablePlace){ 0 };
    json_set(j, "command", json_str_new(str_of(in->p->command)));
    json_set(j, "input", json_int_new((int64_t)in->input));
    json_set(j, "member", json_int_new(at.member));
    json_set(j, "row", json_int_new(at.row));
    json_set(j, "left_out", json_int_new(in->p->facts.left_out));
    json_set(j, "cut_short", json_int_new(in->p->facts.cut_short));
    json_set(j, "bytes", sizes);
    json_write(&text, j, true);
    if (!rc)
        rc = file_write_atomic(path, text.p, text.n, e);
    in->saved = clock_seconds();
    strbuf_release(&text);
    free(path);
    json_free(j);
    return rc;
}

/* What the last start left. */
static int load_rows(Intake *in, Err *e)
{
    Prep   *p = in->p;
    View    index = { 0 };
    char   *path = prep_path(p, log_name[LOG_INDEX]);
    int     rc = view_open(&index, path, e);
    if (!rc && in->log[LOG_INDEX].size % sizeof(RowEntry))
        rc = err_set(e, ERR_INPUT, "%s has %llu bytes, which is no number of rows of this version; remove the folder and start anew", path, (unsigned long long)in->log[LOG_INDEX].size);
    for (uint64_t off = 0; off < in->log[LOG_INDEX].size && !rc; off += sizeof(RowEntry), p->rows.n++) {
        const RowEntry *r = view_at(&index, off, sizeof *r);
        meet(&in->met, r);
        if (r->source != (int32_t)in->input)
            in->met.here = in->met.used = 0;
    }
    view_close(&index);
    free(path);
    return rc;
}

static int open_logs(Intake *in, const Json *sizes, Err *e)
{
    int rc = 0;
    for (int i = 0; i < LOGS && !rc; i++) {
        char *path = prep_path(in->p, log_name[i]);
        rc = file_log_open(&in->log[i], path, (uint64_t)json_int(json_get(sizes, log_name[i])), e);
        free(path);
    }
    return rc;
}

int intake_progress(const Prep *p, Json **j, Err *e)
{
    char *path = prep_path(p, "work/progress.json");
    int   rc = 0;
    *j = NULL;
    if (file_exists(path) && !(rc = json_read_file(j, path, e)) && !str_eqz(json_str(json_get(*j, "command")), p->command)) {
        json_free(*j);
        *j = NULL;
        rc = err_set(e, ERR_ARG, "%s holds an unfinished preparation of other inputs or options; give the same command, choose another --out, or remove the folder", p->cfg.out);
    }
    free(path);
    return rc;
}

static int restore(Intake *in, TablePlace *at, Err *e)
{
    char *path = prep_path(in->p, "work/progress.json");
    Json *j = NULL;
    int   rc = intake_progress(in->p, &j, e);
    if (!rc)
        rc = open_logs(in, json_get(j, "bytes"), e);
    if (!rc && j)
        rc = load_rows(in, e);
    in->input = (size_t)json_int(json_get(j, "input"));
    in->p->facts.left_out = json_int(json_get(j, "left_out"));
    in->p->facts.cut_short = json_int(json_get(j, "cut_short"));
    *at = (TablePlace){ .member = (uint32_t)json_int(json_get(j, "member")), .row = json_int(json_get(j, "row")) };
    if (!rc && in->input > in->p->input.n)
        rc = err_set(e, ERR_INPUT, "%s speaks of input %zu of %zu; remove the folder and start anew", path, in->input + 1, in->p->input.n);
    json_free(j);
    free(path);
    return rc;
}

/* ---- the loop -------------------------------------------------------------------------------------------------------------------------------------- */

static void prepare_work(Intake *in, size_t n)
{
    const Input *input = &in->p->input.p[in->input];
    for (size_t i = 0; i < n; i++) {
        RowWork *w = &in->work[i];
        record_clear(&w->rec);
        empty(&w->raw);
        empty(&w->log);
        empty(&w->subjects);
        empty(&w->held);
        empty(&w->why);
        const TablePlace *at = &in->item[i].item.at; /* row 0: what is wrong with a whole member, which has no line */
        w->at = (RowPlace){ (int64_t)(in->p->rows.n + i) + 1, input->path, at->row ? at->line : 0 };
        w->entry = (RowEntry){ .id = w->at.row, .line = w->at.line, .source = (int32_t)in->input, .member = (int32_t)in->item[i].item.at.member, .tokens = -1, .trained = -1, .time = INT64_MIN };
        w->rec.source = (int32_t)in->input;
        w->rec.line = w->at.line;
        w->exact_known = false;
    }
}

static void tell(const Intake *in)
{
    const Prep *p = in->p;
    uint64_t    done = 0, total = 0, here = 0, all = 0;
    if (!p->hooks.progress)
        return;
    feed_progress(in->feed, &here, &all);
    here = all ? (uint64_t)((double)p->input.p[in->input].bytes * (double)here / (double)all) : 0; /* documents count parts */
    for (size_t i = 0; i < p->input.n; i++) {
        done += i < in->input ? p->input.p[i].bytes : 0;
        total += p->input.p[i].bytes;
    }
    p->hooks.progress(p->hooks.user, "reading", done + here, total, (int64_t)p->rows.n);
}

static int open_input(Intake *in, const TablePlace *at, Err *e)
{
    const PrepCfg *c = &in->p->cfg;
    TableOptions   o = { .row_max = ROW_MAX, .encoding = c->encoding && *c->encoding ? c->encoding : NULL, .csv.header = (CsvChoice)c->header };
    if (c->delimiter && *c->delimiter)
        o.csv.delimiter = strcmp(c->delimiter, "\\t") ? *c->delimiter : '\t';
    const Input *input = &in->p->input.p[in->input];
    char        *spool = prep_path(in->p, "work"); /* what lies packed in an input and must be looked at anywhere is unpacked beside the rows */
    o.spool = spool;
    int rc = input->made ? feed_open(&in->feed, input->made, NULL, e) : feed_open(&in->feed, input->path, &o, e);
    free(spool);
    return rc || !at->row ? rc : feed_seek(in->feed, at, e);
}

/* What the reader found out about the input as a whole goes into the log, too. */
static void put_notes(Intake *in)
{
    const char  *text, *where;
    const Input *input = &in->p->input.p[in->input];
    if (input->made)
        decision_add(&in->buf[LOG_DECISIONS], (RowPlace){ 0, input->path, 0 }, "input", ACTION_NOTE, input->made_note, NAN, NULL);
    for (size_t i = 0; !input->made && (text = feed_note(in->feed, i, &where)); i++) {
        decision_add(&in->buf[LOG_DECISIONS], (RowPlace){ 0, where, 0 }, "input", ACTION_NOTE, text, NAN, NULL);
        if (strchr(text, ';')) /* more than what it is and how long */
            log_warn("prep", "%s: %s", where, text);
    }
}

/* One bad document in a folder does not stop the others: it is left out, in the log and on the screen. The only one there is stops. */
static int leave_out(Intake *in, const Err *why, Err *e)
{
    const char *path = in->p->input.p[in->input].path;
    if (in->p->input.n == 1)
        return err_set(e, why->code, "%s", why->text);
    decision_add(&in->buf[LOG_DECISIONS], (RowPlace){ 0, path, 0 }, "input", ACTION_REMOVE, why->text, NAN, NULL);
    log_warn("prep", "left out: %s", why->text);
    if (!in->p->first_why.n)
        strbuf_addz(&in->p->first_why, why->text);
    in->p->facts.left_out++;
    return flush_batch(in, e);
}

/* A part of a file that cannot be read, a member of an archive or all behind a damage, leaves what comes before it and behind it; it is told at once, at the
 * end and in the log. */
static int leave_part(Intake *in, const char *why, int64_t parts, Err *e)
{
    const char *path = in->p->input.p[in->input].path;
    StrBuf      text = { 0 };
    strbuf_addf(&text, "%s; this part is left out", why);
    if (in->met.used)
        strbuf_addf(&text, ", and the %lld rows of the file before it are used: to have the rest, get a whole copy and prepare anew", (long long)in->met.used);
    decision_add(&in->buf[LOG_DECISIONS], (RowPlace){ 0, path, 0 }, "input", ACTION_REMOVE, strbuf_z(&text), NAN, NULL);
    if (parts <= PARTS_SAID)
        log_warn("prep", "%s%s", strbuf_z(&text), parts == PARTS_SAID ? " (further parts of this file are in the log)" : "");
    strbuf_release(&text);
    in->p->facts.cut_short += parts == 1;
    return flush_batch(in, e);
}

static void forget_early(Intake *in)
{
    for (size_t i = 0; i < in->early.n; i++)
        free(in->early.p[i]);
    vec_release(&in->early);
}

/* Parts at the beginning of a file wait until it has given a row: a file that gives none is left out as a whole. */
static int leave_early(Intake *in, Err *e)
{
    int rc = 0;
    for (size_t i = 0; i < in->early.n && !rc; i++)
        rc = leave_part(in, in->early.p[i], (int64_t)i + 1, e);
    forget_early(in);
    return rc;
}

/* The next rows; parts that cannot be read are passed over. *first: what was wrong with the first of them. */
static int next_rows(Intake *in, size_t *n, Err *first, int64_t *parts, Err *e)
{
    for (;;) {
        Err why = { 0 };
        int rc = feed_read(in->feed, in->item, BATCH_ROWS, BATCH_BYTES, n, &why);
        if (!rc && *n && feed_refused(in->feed, &in->item[0])) {
            Json *none = NULL;
            rc = feed_parse(in->feed, &in->item[0], &none, &why);
            *n = 0;
        }
        if (!rc)
            return 0;
        if (rc != ERR_INPUT)
            return err_set(e, rc, "%s", why.text);
        if (!first->code)
            *first = why;
        ++*parts;
        if (!in->met.here)
            *vec_push(&in->early) = mem_strdup(why.text);
        else if ((rc = leave_part(in, why.text, *parts, e)))
            return rc;
    }
}

static int read_input(Intake *in, const TablePlace *from, Err *e)
{
    Prep   *p = in->p;
    size_t  n = 0;
    int64_t parts = 0; /* that could not be read */
    Err     why = { 0 };
    if (p->input.p[in->input].made && !p->input.p[in->input].made_rows) { /* a document that gave no questions */
        put_notes(in);
        return flush_batch(in, e);
    }
    int rc = open_input(in, from, &why);
    if (rc == ERR_INPUT || rc == ERR_WORK) /* ERR_WORK: the process that read a document crashed or passed a limit */
        return leave_out(in, &why, e);
    if (rc)
        *e = why;
    while (!rc && !(rc = next_rows(in, &n, &why, &parts, e)) && n) {
        rc = leave_early(in, e);
        prepare_work(in, n);
        parallel_for(p->pool, (int64_t)n, one_row, in);
        if (!rc)
            rc = put_batch(in, n, e);
        if (!rc && p->input.n == 1 && p->rows.n == n) { /* at once, not after hours */
            rc = feed_has_columns(in->feed) ? check_templates(in, e) : 0;
            rc = rc ? rc : check_columns(in, e);
        }
        tell(in);
        if (!rc && prep_stop_asked(p))
            rc = err_set(e, ERR_STOP, "stopped after %zu rows; the same command goes on from there", p->rows.n);
        if ((!rc && clock_seconds() - in->saved > SAVE_SECONDS) || rc == ERR_STOP) {
            int saved = save(in, rc ? NULL : e);
            rc = rc ? rc : saved;
        }
    }
    if (!rc && !in->met.here) {
        if (!why.code)
            err_set(&why, ERR_INPUT, "%s %s: there is nothing to prepare in it", p->input.p[in->input].path, feed_nothing(in->feed));
        rc = leave_out(in, &why, e);
    }
    if (!rc) {
        put_notes(in);
        rc = flush_batch(in, e);
    }
    forget_early(in);
    feed_close(in->feed);
    in->feed = NULL;
    return rc;
}

static int open_rows(Prep *p, Err *e)
{
    char *path = prep_path(p, log_name[LOG_INDEX]);
    int   rc = entries_open(&p->rows, path, e);
    free(path);
    return rc;
}

int intake(Prep *p, Err *e)
{
    Intake     in = { .p = p, .saved = clock_seconds() };
    TablePlace from = { 0 };
    for (int i = 0; i < LOGS; i++)
        in.log[i].fd = -1;
    in.item = mem_zalloc(BATCH_ROWS, sizeof *in.item);
    in.work = mem_zalloc(BATCH_ROWS, sizeof *in.work);
    for (size_t i = 0; p->minhash && i < BATCH_ROWS; i++)
        in.work[i].keys = mem_zalloc(1, sizeof(MinHashRow));
    in.keys = p->minhash ? dedupe_keys_new(p->minhash) : NULL;
    int rc = restore(&in, &from, e);
    for (; !rc && in.input < p->input.n; from = (TablePlace){ 0 }) {
        rc = read_input(&in, &from, e);
        if (rc)
            break;
        in.input++;
        in.met.here = in.met.used = 0;
        rc = save(&in, e);
    }
    if (!rc)
        rc = check_templates(&in, e);
    if (!rc)
        rc = check_columns(&in, e);
    if (!rc)
        rc = open_rows(p, e);
    for (size_t i = 0; i < BATCH_ROWS; i++) {
        row_release(&in.work[i]);
        free(in.work[i].keys);
    }
    for (int i = 0; i < LOGS; i++) {
        strbuf_release(&in.buf[i]);
        file_log_close(&in.log[i]);
    }
    dedupe_keys_free(in.keys);
    free(in.item);
    free(in.work);
    return rc;
}
