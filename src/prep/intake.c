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
#include "prep/met.h"
#include "prep/time_text.h"

#define SAVE_SECONDS 5.0
#define PARTS_SAID   5 /* of one file that cannot be read, on the screen */

/* The files that grow, and how long they were at the last save. */
enum { LOG_ROWS, LOG_REMOVED, LOG_DECISIONS, LOG_SUBJECTS, LOG_INDEX, LOG_KEYS, LOGS };
static const char *const log_name[LOGS] = { "work/rows.jsonl", "removed.jsonl", "decisions.jsonl", "subjects.jsonl", "work/index.bin", "work/keys.bin" };

typedef struct Intake {
    Prep      *p;
    Feed      *feed;
    size_t     input;            /* index of the one being read */
    FeedItem  *item;             /* [BATCH_ROWS] */
    RowWork   *work;             /* [BATCH_ROWS] */
    DedupeKeys *keys;            /* NULL: --duplicates off */
    Met        met;
    VEC(char *) early;           /* what was wrong with its parts before the first row; owned */
    StrBuf     lack;             /* why the first row of the member in hand lacks columns, and in which line */
    StrBuf     told;             /* lines for prep_tell when all is read: they outlive a stop */
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

/* What stands there: the reader has it, or, of what has no text of its own (Parquet, a ready-made row), its JSON. */
static void keep_raw(const Intake *in, const FeedItem *item, RowWork *w)
{
    Json  *row = NULL;
    StrBuf text = { 0 };
    if (!item->item.text.n && !item->item.bad && !feed_parse(in->feed, item, &row, NULL))
        json_write(&text, row, false);
    utf8_repair(&w->raw, text.n ? strbuf_str(&text) : item->item.text);
    strbuf_release(&text);
    json_free(row);
}

/* Why it could not be read. The reader's sentences begin with the place, which the decision has of its own. */
static void remove_unread(RowWork *w, const char *why, bool cut)
{
    StrBuf       reason = { 0 };
    const char  *row = strstr(why, ", row "), *colon = row ? strstr(row, ": ") : NULL;
    const size_t name = strlen(w->at.file);
    if (str_starts(str_of(why), w->at.file) && !strncmp(why + name, ": ", 2))
        why += name + 2;
    strbuf_addf(&reason, "%s%s", colon ? "unreadable: " : "", colon ? colon + 2 : why);
    if (cut)
        strbuf_addf(&reason, "; of its text the first %zu KiB are kept", TABLE_RAW_MAX >> 10);
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

/* The columns of a template that are empty in a row that goes on all the same. */
static void note_gaps(RowWork *w, const StrBuf *gaps)
{
    for (size_t at = 0; at < gaps->n; at += strlen(gaps->p + at) + 1)
        row_note(w, "import", gaps->p + at, NAN, NULL);
}

static void one_row(void *ctx, int64_t i, int worker)
{
    Intake  *in = ctx;
    RowWork *w = &in->work[i];
    Json    *row = NULL;
    StrBuf   note = { 0 }, gaps = { 0 };
    Err      err = { 0 };
    const bool known = feed_ready(&in->item[i]) || in->p->input.p[in->input].made;
    w->worker = worker;
    w->cut = in->item[i].cut;
    int rc = feed_parse(in->feed, &in->item[i], &row, &err);
    if (!rc && !known)
        import_gaps(in->p->import, row, &gaps);
    if (!rc)
        rc = (known ? import_known_row : import_row)(in->p->import, row, &w->rec, &note, &err);
    w->rec.id = w->at.row;
    if (rc) {
        keep_raw(in, &in->item[i], w);
        w->entry.lacks = import_lacks(err.text);
        remove_unread(w, err.text, in->item[i].item.cut);
    } else {
        note_gaps(w, &gaps);
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
    strbuf_release(&gaps);
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

/* A column of a template that no row has is a slip of the pen, too, and so is a table without a template. */
static int check_templates(const Intake *in, Err *e)
{
    const Prep *p = in->p;
    return !in->met.read && p->first_lack.n && met_all_lack((int64_t)p->rows.n, 0, in->met.lacks) ? err_set(e, ERR_ARG, "%s", p->first_lack.p) : 0;
}

/* The same of the input in hand, if it was named: what is found in a folder may well be something else. Once inputs before it gave rows, it is told as such a
 * find is (end_member) and the others go on: a refusal would take those rows away. */
static int check_named(const Intake *in, Err *e)
{
    const Prep  *p = in->p;
    const Input *input = &p->input.p[in->input];
    if (in->met.read || !(input->named || p->input.n == 1) || !met_all_lack(in->met.here, in->met.good, in->met.lack))
        return 0;
    return err_set(e, ERR_ARG, "%s%s%s", input->path, in->lack.n ? ", " : ": none of its rows has the columns that are asked for", in->lack.n ? in->lack.p : "");
}

/* A member of an archive, or a file of a folder, that gives no row for want of columns is told by its name. */
static void end_member(Intake *in)
{
    const Met *m = &in->met;
    if (met_all_lack(m->m_here, m->m_good, m->m_lack)) {
        StrBuf      line = { 0 };
        const char *where = feed_where(in->feed, m->member);
        strbuf_addf(&line, "none of its %lld rows can be used, since they lack the columns that are asked for%s%s", (long long)m->m_here, in->lack.n ? "; " : "", in->lack.n ? in->lack.p : "");
        decision_add(&in->buf[LOG_DECISIONS], (RowPlace){ 0, where, 0 }, "input", ACTION_NOTE, strbuf_z(&line), NAN, NULL);
        strbuf_addf(&in->told, "%s: %s\n", where, strbuf_z(&line));
        strbuf_release(&line);
    }
    strbuf_clear(&in->lack);
}

static void keep_lack(Intake *in, RowWork *w)
{
    Prep *p = in->p;
    if (!in->lack.n && w->at.line)
        strbuf_addf(&in->lack, "line %lld: %s", (long long)w->at.line, strbuf_z(&w->why));
    else if (!in->lack.n)
        strbuf_addz(&in->lack, strbuf_z(&w->why));
    if (!p->first_lack.n)
        strbuf_addf(&p->first_lack, "%s%s%s", w->at.file, w->at.line ? ", " : ": ", in->lack.p);
}

static int put_batch(Intake *in, size_t n, Err *e)
{
    Prep *p = in->p;
    if (in->work[0].entry.member != (int32_t)in->met.member) { /* a batch has rows of one */
        end_member(in);
        met_member(&in->met, (uint32_t)in->work[0].entry.member);
    }
    for (size_t i = 0; i < n; i++) {
        RowWork *w = &in->work[i];
        StrBuf  *rows = &in->buf[LOG_ROWS];
        if (w->entry.lacks)
            keep_lack(in, w);
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
        met_row(&in->met, &w->entry);
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
    json_set(j, "told", json_str_new(strbuf_str(&in->told)));
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
        if (r->source == (int32_t)in->input && r->member != (int32_t)in->met.member)
            met_member(&in->met, (uint32_t)r->member);
        met_row(&in->met, r);
        if (r->source != (int32_t)in->input)
            met_input(&in->met);
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
    const Str told = json_str(json_get(j, "told"));
    in->input = (size_t)json_int(json_get(j, "input"));
    strbuf_add(&in->told, told.p ? told.p : "", told.n);
    if (!rc)
        rc = open_logs(in, json_get(j, "bytes"), e);
    if (!rc && j)
        rc = load_rows(in, e);
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

static TableOptions table_options(const PrepCfg *c)
{
    TableOptions o = { .row_max = ROW_MAX, .encoding = c->encoding && *c->encoding ? c->encoding : NULL, .csv.header = (CsvChoice)c->header };
    if (c->delimiter && *c->delimiter)
        o.csv.delimiter = strcmp(c->delimiter, "\\t") ? *c->delimiter : '\t';
    return o;
}

/* A table that was named and lacks columns is told before the hours that the files before it may take. */
static int look_ahead(const Prep *p, Err *e)
{
    const TableOptions o = table_options(&p->cfg);
    int                rc = 0;
    for (size_t i = 0; i < p->input.n && !rc && p->input.n > 1; i++) {
        const Input *input = &p->input.p[i];
        Json        *row = NULL;
        Record       rec = { 0 };
        StrBuf       note = { 0 };
        Err          why = { 0 };
        int64_t      line = 0;
        if (!input->named || input->made)
            continue;
        feed_first_row(input->path, &o, &row, &line);
        if (row && import_row(p->import, row, &rec, &note, &why) && import_lacks(why.text))
            rc = err_set(e, ERR_ARG, "%s, line %lld: %s", input->path, (long long)line, why.text);
        record_clear(&rec);
        strbuf_release(&note);
    }
    return rc;
}

static int open_input(Intake *in, const TablePlace *at, Err *e)
{
    TableOptions o = table_options(&in->p->cfg);
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
        if (!rc && in->met.here == (int64_t)n && feed_has_columns(in->feed)) /* at once, not after hours */
            rc = check_named(in, e);
        if (!rc && p->input.n == 1 && p->rows.n == n)
            rc = met_check_columns(p, &in->met, e);
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
    if (!rc && in->met.here)
        rc = check_named(in, e);
    if (!rc && in->met.here)
        end_member(in);
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

static void tell_lines(Prep *p, Str lines)
{
    for (size_t at = 0; at < lines.n;) {
        const char  *lf = memchr(lines.p + at, '\n', lines.n - at);
        const size_t n = lf ? (size_t)(lf - lines.p) - at : lines.n - at;
        prep_tell(p, "%.*s", (int)n, lines.p + at);
        at += n + 1;
    }
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
    int rc = look_ahead(p, e);
    if (!rc)
        rc = restore(&in, &from, e);
    for (; !rc && in.input < p->input.n; from = (TablePlace){ 0 }) {
        rc = read_input(&in, &from, e);
        if (rc)
            break;
        in.input++;
        met_input(&in.met);
        rc = save(&in, e);
    }
    if (!rc)
        tell_lines(p, strbuf_str(&in.told));
    if (!rc)
        rc = check_templates(&in, e);
    if (!rc)
        rc = met_check_columns(p, &in.met, e);
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
    strbuf_release(&in.lack);
    strbuf_release(&in.told);
    free(in.item);
    free(in.work);
    return rc;
}
