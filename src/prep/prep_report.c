/* prep_report.c - see prep_report.h. Three sweeps: over the decisions (counted by pass, action and class of reason, with the first rows of each kept as
 * examples), over the rows (only those that became examples are parsed), and then the page.
 * Main struct: Report. Invariant: memory depends on the number of classes and examples, not on the number of rows. */
#include "prep/prep_report.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "base/utf8.h"
#include "formats/jsonl.h"
#include "prep/record.h"
#include "train/report_html.h"

#define EXAMPLES    3    /* of one class of decisions */
#define CLASSES_MAX 400  /* further classes are counted together */
#define NOTES_MAX   200  /* about inputs that are shown */
#define TEXT_MAX    1200 /* bytes of an example's text that are shown */
#define FORGET      ((size_t)4 << 20) /* bytes of a file that stay in memory behind the place that is read */

typedef struct Example {
    int64_t row, line;
    char   *file, *reason;
    Json   *decision;  /* owned */
    Json   *record;    /* the row as it is now, or as it was when it left; owned; NULL: not found */
    int64_t kept;      /* of a duplicate: the row that stays; 0: none */
    Json   *other;     /* that row; owned; NULL: not found */
} Example;

typedef struct Class {
    char   *pass, *action, *reason;
    int64_t rows;
    Example example[EXAMPLES];
    int     n;
} Class;

typedef struct Report {
    const char *data;
    const Json *manifest;
    VEC(Class)  class;
    Map        *by_name;      /* "pass action reason" -> index in class */
    Map        *wanted;       /* row id as text -> 1: an example is made of it */
    VEC(char *) input_note;   /* what was found out about inputs as a whole */
    Map        *pii;          /* kind -> spans */
    StrBuf      out;
} Report;

/* ---- counting -------------------------------------------------------------------------------------------------------------------------------------- */

/* What a reason says before its details: "unrecognized_role: messages[2] ..." counts with all others of its name, and numbers do not tell classes apart. */
static void class_of_reason(StrBuf *out, Str reason)
{
    const char *colon = memchr(reason.p, ':', reason.n);
    size_t      n = colon ? (size_t)(colon - reason.p) : reason.n;
    for (size_t i = 0; i < n; i++) {
        bool digit = reason.p[i] >= '0' && reason.p[i] <= '9';
        if (!digit)
            strbuf_addc(out, reason.p[i]);
        else if (!out->n || out->p[out->n - 1] != '#')
            strbuf_addc(out, '#');
    }
}

static Class *class_for(Report *r, Str pass, Str action, Str reason)
{
    StrBuf  name = { 0 }, kind = { 0 };
    int64_t at;
    class_of_reason(&kind, reason);
    strbuf_addf(&name, "%.*s\n%.*s\n%s", (int)pass.n, pass.p, (int)action.n, action.p, strbuf_z(&kind));
    if (!map_get(r->by_name, strbuf_str(&name), &at)) {
        if (r->class.n == CLASSES_MAX) { /* one class takes the rest */
            strbuf_clear(&kind);
            strbuf_addz(&kind, "other reasons");
            at = CLASSES_MAX;
        } else {
            at = (int64_t)r->class.n;
        }
        map_put(r->by_name, strbuf_str(&name), at);
        if ((size_t)at == r->class.n)
            *vec_push(&r->class) = (Class){ .pass = mem_strndup(pass.p, pass.n), .action = mem_strndup(action.p, action.n), .reason = mem_strdup(strbuf_z(&kind)) };
    }
    strbuf_release(&name);
    strbuf_release(&kind);
    return &r->class.p[at];
}

static void want(Report *r, int64_t row)
{
    StrBuf id = { 0 };
    strbuf_addf(&id, "%lld", (long long)row);
    map_put(r->wanted, strbuf_str(&id), 1);
    strbuf_release(&id);
}

static void keep_example(Report *r, Class *c, Json *decision)
{
    Example *x = &c->example[c->n++];
    Str      file = json_str(json_get(decision, "file")), reason = json_str(json_get(decision, "reason"));
    *x = (Example){ .row = json_int(json_get(decision, "row")), .line = json_int(json_get(decision, "line")), .file = mem_strndup(file.p, file.n),
                    .reason = mem_strndup(reason.p, reason.n), .decision = json_ref(decision), .kept = json_int(json_get(decision, "kept")) };
    want(r, x->row);
    want(r, x->kept);
}

static void count_pii(Report *r, const Json *decision)
{
    JsonIter it = { 0 };
    Str      kind;
    Json    *n;
    int64_t  so_far;
    const Json *kinds = json_get(decision, "kinds");
    while (json_kind(kinds) == JSON_OBJECT && json_each(kinds, &it, &kind, &n)) {
        so_far = 0;
        map_get(r->pii, kind, &so_far);
        map_put(r->pii, kind, so_far + json_int(n));
    }
}

/* A file that is read once from beginning to end need not stay in memory. */
static void forget_behind(const FileMap *m, size_t at, size_t *forgotten)
{
    if (at - *forgotten < FORGET)
        return;
    file_forget(m->p + *forgotten, at - *forgotten);
    *forgotten = at;
}

static int sweep_decisions(Report *r, Err *e)
{
    char *path = path_join(r->data, "decisions.jsonl");
    Jsonl  in = { 0 };
    Json  *row = NULL;
    size_t forgotten = 0;
    int    rc = jsonl_open(&in, path, e);
    while (!rc && (rc = jsonl_next(&in, &row, e)) == 1) {
        forget_behind(&in.map, in.off, &forgotten);
        Str pass = json_str(json_get(row, "pass"));
        if (json_int(json_get(row, "row")) || str_eqz(json_str(json_get(row, "action")), "remove")) { /* 0: of a file as a whole; the inputs' table has it */
            Class *c = class_for(r, pass, json_str(json_get(row, "action")), json_str(json_get(row, "reason")));
            c->rows++;
            if (c->n < EXAMPLES)
                keep_example(r, c, row);
            if (str_eqz(pass, "pii"))
                count_pii(r, row);
        } else {
            StrBuf text = { 0 };
            Str    file = json_str(json_get(row, "file")), reason = json_str(json_get(row, "reason"));
            strbuf_addf(&text, "%.*s%s%.*s", (int)file.n, file.p, file.n ? ": " : "", (int)reason.n, reason.p);
            *vec_push(&r->input_note) = strbuf_take(&text);
        }
        json_free(row);
        rc = 0;
    }
    jsonl_close(&in);
    free(path);
    return rc;
}

/* ---- fetching the examples' rows ------------------------------------------------------------------------------------------------------------------- */

static void give_record(Report *r, int64_t id, Json *record)
{
    for (size_t i = 0; i < r->class.n; i++)
        for (int k = 0; k < r->class.p[i].n; k++) {
            Example *x = &r->class.p[i].example[k];
            if (x->row == id && !x->record)
                x->record = json_ref(record);
            if (x->kept == id && !x->other)
                x->other = json_ref(record);
        }
}

/* Every line begins with {"id":N, so most lines are passed over unread. */
static int sweep_rows(Report *r, const char *name, Err *e)
{
    FileMap map = { 0 };
    size_t  forgotten = 0;
    char   *path = path_join(r->data, name);
    int     rc = file_map(&map, path, e);
    for (size_t at = 0, end; at < map.n && !rc; at = end + 1) {
        forget_behind(&map, at, &forgotten);
        const char *p = (const char *)map.p + at, *lf = memchr(p, '\n', map.n - at);
        end = lf ? (size_t)(lf - (const char *)map.p) : map.n;
        Str     line = { p, end - at };
        size_t  n = 6;
        int64_t one;
        while (str_starts(line, "{\"id\":") && n < line.n && line.p[n] >= '0' && line.p[n] <= '9')
            n++;
        if (n == 6 || n >= line.n || !map_get(r->wanted, (Str){ line.p + 6, n - 6 }, &one))
            continue;
        Json *row = NULL;
        rc = json_parse(&row, line, path, e);
        if (!rc)
            give_record(r, json_int(json_get(row, "id")), row);
        json_free(row);
    }
    file_unmap(&map);
    free(path);
    return rc;
}

/* ---- the page -------------------------------------------------------------------------------------------------------------------------------------- */

static void add_number(StrBuf *out, double v)
{
    strbuf_addz(out, "<td class=\"number\">");
    html_count(out, v);
    strbuf_addz(out, "</td>");
}

static void figure(StrBuf *out, const char *name, double value, const char *detail)
{
    strbuf_addf(out, "<div><dt>%s</dt><dd class=\"value\">", name);
    html_count(out, value);
    strbuf_addz(out, "</dd><dd class=\"detail\">");
    html_textz(out, detail);
    strbuf_addz(out, "</dd></div>\n");
}

static double count_of(const Json *rows, const char *key) { return (double)json_int(json_get(rows, key)); }

static void put_figures(Report *r)
{
    const Json *rows = json_get(r->manifest, "rows");
    double      read = count_of(rows, "read"), removed = count_of(rows, "removed");
    StrBuf      share = { 0 };
    strbuf_addf(&share, "%.1f %% of what came in", read > 0 ? 100 * removed / read : 0.0);
    strbuf_addz(&r->out, "<dl class=\"figures\">\n");
    figure(&r->out, "Rows read", read, "");
    figure(&r->out, "Removed", removed, strbuf_z(&share));
    figure(&r->out, "Stay", count_of(rows, "train") + count_of(rows, "validation") + count_of(rows, "test"), "");
    figure(&r->out, "Train", count_of(rows, "train"), "train.jsonl");
    figure(&r->out, "Validation", count_of(rows, "validation"), "validation.jsonl");
    figure(&r->out, "Test", count_of(rows, "test"), "test.jsonl");
    strbuf_addz(&r->out, "</dl>\n");
    strbuf_release(&share);
}

static void put_advice(Report *r)
{
    Str advice = json_str(json_get(r->manifest, "advice"));
    if (!advice.n)
        return;
    strbuf_addz(&r->out, "<h2>What the base model knows</h2>\n<p>");
    html_text(&r->out, advice);
    strbuf_addz(&r->out, "</p>\n");
}

/* What was told on the screen, line by line. */
static void put_told(Report *r)
{
    Str told = json_str(json_get(r->manifest, "told"));
    for (size_t at = 0, end; at < told.n; at = end + 1) {
        const char *lf = memchr(told.p + at, '\n', told.n - at);
        end = lf ? (size_t)(lf - told.p) : told.n;
        strbuf_addz(&r->out, "<p class=\"note\">");
        html_text(&r->out, (Str){ told.p + at, end - at });
        strbuf_addz(&r->out, "</p>\n");
    }
}

static void put_inputs(Report *r)
{
    const Json *inputs = json_get(r->manifest, "inputs");
    strbuf_addz(&r->out, "<h2>Inputs</h2>\n<div class=\"scroll\"><table><thead><tr><th>File</th><th class=\"number\">Rows</th><th class=\"number\">Bytes</th><th>SHA-256</th></tr></thead>\n");
    for (size_t i = 0; i < json_len(inputs); i++) {
        const Json *in = json_at(inputs, i);
        strbuf_addz(&r->out, "<tr><td>");
        html_text(&r->out, json_str(json_get(in, "file")));
        strbuf_addz(&r->out, "</td>");
        add_number(&r->out, count_of(in, "rows"));
        add_number(&r->out, count_of(in, "bytes"));
        strbuf_addz(&r->out, "<td><code>");
        html_text(&r->out, (Str){ json_str(json_get(in, "sha256")).p, MIN(json_str(json_get(in, "sha256")).n, (size_t)16) });
        strbuf_addz(&r->out, "</code></td></tr>\n");
    }
    strbuf_addz(&r->out, "</table></div>\n");
    for (size_t i = 0; i < MIN(r->input_note.n, (size_t)NOTES_MAX); i++) {
        strbuf_addz(&r->out, "<p class=\"note\">");
        html_textz(&r->out, r->input_note.p[i]);
        strbuf_addz(&r->out, "</p>\n");
    }
    if (r->input_note.n > NOTES_MAX)
        strbuf_addf(&r->out, "<p class=\"note\">and %zu more in decisions.jsonl</p>\n", r->input_note.n - NOTES_MAX);
}

static void put_cut(StrBuf *out, Str text)
{
    Str shown = { text.p, MIN(text.n, (size_t)TEXT_MAX) };
    shown.n = shown.n < text.n ? utf8_complete(shown.p, shown.n) : shown.n;
    strbuf_addz(out, "<div class=\"text prompt\">");
    html_text(out, shown);
    if (shown.n < text.n)
        strbuf_addf(out, " <span class=\"sub\">and %zu bytes more</span>", text.n - shown.n);
    strbuf_addz(out, "</div>\n");
}

static void put_part_of_row(StrBuf *out, const char *name, void (*part)(const Record *, StrBuf *), const Record *rec)
{
    StrBuf text = { 0 };
    part(rec, &text);
    if (text.n) {
        strbuf_addf(out, "<h4>%s</h4>", name);
        put_cut(out, strbuf_str(&text));
    }
    strbuf_release(&text);
}

static void put_record(StrBuf *out, const Json *line)
{
    const Json *row = json_get(line, "row") ? json_get(line, "row") : line, *raw = json_get(line, "raw");
    int         kind = record_kind_of(row);
    if (raw) {
        strbuf_addz(out, "<h4>As it stands in the file</h4>");
        put_cut(out, json_str(raw));
    } else if (kind >= 0) {
        Record rec = { .row = (Json *)(uintptr_t)row, .kind = (RecordKind)kind };
        put_part_of_row(out, "Question", record_question, &rec);
        put_part_of_row(out, kind == REC_TEXT ? "Text" : "Answer", record_answer, &rec);
    }
}

static void put_before(StrBuf *out, const Json *before)
{
    for (size_t i = 0; i < json_len(before); i++) {
        strbuf_addz(out, "<h4>Before</h4>");
        put_cut(out, json_str(json_get(json_at(before, i), "text")));
    }
}

static void put_example(Report *r, const Example *x)
{
    strbuf_addf(&r->out, "<div class=\"sample\"><p class=\"note\">row %lld, ", (long long)x->row);
    html_textz(&r->out, x->file);
    strbuf_addf(&r->out, ", line %lld: ", (long long)x->line);
    html_textz(&r->out, x->reason);
    strbuf_addz(&r->out, "</p>\n");
    put_before(&r->out, json_get(x->decision, "before"));
    put_record(&r->out, x->record);
    if (x->other) {
        strbuf_addf(&r->out, "<p class=\"note\">row %lld stays</p>\n", (long long)x->kept);
        put_record(&r->out, x->other);
    }
    strbuf_addz(&r->out, "</div>\n");
}

static int by_rows(const void *a, const void *b)
{
    const Class *x = a, *y = b;
    if (x->rows != y->rows)
        return x->rows > y->rows ? -1 : 1;
    int c = strcmp(x->pass, y->pass);
    return c ? c : strcmp(x->reason, y->reason);
}

static void put_actions(Report *r, const char *action, const char *title, const char *none)
{
    int64_t most = 0, n = 0;
    for (size_t i = 0; i < r->class.n; i++)
        if (!strcmp(r->class.p[i].action, action)) {
            most = MAX(most, r->class.p[i].rows);
            n++;
        }
    strbuf_addf(&r->out, "<h2>%s</h2>\n", title);
    const int64_t control_left = json_int(json_get(json_get(r->manifest, "review"), "control_left"));
    if (control_left)
        strbuf_addf(&r->out, "<p class=\"note\">%lld lines left control_random.jsonl and control_longest.jsonl with the rows that a review took out of training; none took their "
                    "places.</p>\n", (long long)control_left);
    if (json_get(r->manifest, "review"))
        strbuf_addz(&r->out, "<p class=\"note\">Counted are decisions: a removal that a reviewer took back stands here and under his own.</p>\n");
    if (!n) {
        strbuf_addf(&r->out, "<p class=\"none\">%s</p>\n", none);
        return;
    }
    for (size_t i = 0; i < r->class.n; i++) {
        const Class *c = &r->class.p[i];
        if (strcmp(c->action, action))
            continue;
        strbuf_addz(&r->out, "<details class=\"class\"><summary><span class=\"pass\">");
        html_textz(&r->out, c->pass);
        strbuf_addz(&r->out, "</span><span class=\"why\">");
        html_textz(&r->out, c->reason);
        strbuf_addf(&r->out, "</span><span class=\"bar\"><i style=\"width:%.1f%%\"></i></span><span class=\"number\">", 100.0 * (double)c->rows / (double)most);
        html_count(&r->out, (double)c->rows);
        strbuf_addz(&r->out, "</span></summary>\n");
        for (int k = 0; k < c->n; k++)
            put_example(r, &c->example[k]);
        strbuf_addz(&r->out, "</details>\n");
    }
}

static void put_bar_row(StrBuf *out, Str name, double n, double most)
{
    strbuf_addz(out, "<tr><td>");
    html_text(out, name);
    strbuf_addf(out, "</td><td class=\"wide-bar\"><span class=\"bar\"><i style=\"width:%.1f%%\"></i></span></td>", most > 0 ? 100 * n / most : 0.0);
    add_number(out, n);
    strbuf_addz(out, "</tr>\n");
}

static void put_pii(Report *r)
{
    int64_t most = 0;
    if (!map_count(r->pii))
        return;
    strbuf_addz(&r->out, "<h2>Personal data found</h2>\n<table>");
    for (size_t i = 0; i < map_count(r->pii); i++)
        most = MAX(most, map_value(r->pii, i));
    for (size_t i = 0; i < map_count(r->pii); i++)
        put_bar_row(&r->out, map_key(r->pii, i), (double)map_value(r->pii, i), (double)most);
    strbuf_addz(&r->out, "</table>\n");
}

/* "divided" of the manifest: division.c. */
static void put_labels(StrBuf *out, const Json *labels)
{
    const Json *rows = json_get(labels, "rows"), *others = json_get(labels, "others");
    strbuf_addz(out, "<div class=\"scroll\"><table><thead><tr><th>");
    html_text(out, json_str(json_get(labels, "column")));
    strbuf_addz(out, "</th><th class=\"number\">Train</th><th class=\"number\">Validation</th><th class=\"number\">Test</th></tr></thead>\n");
    for (size_t i = 0; i < json_len(rows) + (others != NULL); i++) {
        const Json  *row = i < json_len(rows) ? json_at(rows, i) : others;
        const size_t first = i < json_len(rows) ? 1 : 0;
        const Json  *name = first ? json_at(row, 0) : NULL;
        strbuf_addz(out, "<tr><td>");
        if (!first)
            strbuf_addz(out, "<span class=\"sub\">others</span>");
        else if (json_kind(name) != JSON_STRING)
            strbuf_addz(out, "<span class=\"sub\">none</span>");
        else
            html_text(out, json_str(name));
        strbuf_addz(out, "</td>");
        for (size_t k = first; k < json_len(row); k++)
            add_number(out, json_num(json_at(row, k)));
        strbuf_addz(out, "</tr>\n");
    }
    strbuf_addz(out, "</table></div>\n");
}

static void put_division(Report *r)
{
    const Json *divided = json_get(r->manifest, "divided"), *labels = json_get(divided, "labels"), *groups = json_get(divided, "groups");
    const long long torn = (long long)json_int(json_get(groups, "in_two_parts")), without = (long long)json_int(json_get(groups, "rows_without"));
    if (!divided)
        return;
    strbuf_addz(&r->out, "<h2>Labels and groups</h2>\n");
    if (json_get(r->manifest, "review"))
        strbuf_addz(&r->out, "<p class=\"note\">As hone prep divided them, before the review.</p>\n");
    if (groups) {
        strbuf_addz(&r->out, "<p>");
        html_text(&r->out, json_str(json_get(groups, "column")));
        strbuf_addf(&r->out, ": %lld groups, the largest of %lld rows; ", (long long)json_int(json_get(groups, "groups")), (long long)json_int(json_get(groups, "largest")));
        if (torn)
            strbuf_addf(&r->out, "%lld of them are in more than one part", torn);
        else
            strbuf_addz(&r->out, "none is in two parts");
        if (without)
            strbuf_addf(&r->out, "; %lld rows are of no group", without);
        strbuf_addz(&r->out, ".</p>\n");
    }
    if (labels)
        put_labels(&r->out, labels);
}

/* "statistics" of the manifest: {"title": {"bucket": rows, ...}, ...} */
static void put_statistics(Report *r)
{
    JsonIter it = { 0 };
    Str      title, name;
    Json    *table, *n;
    const Json *all = json_get(r->manifest, "statistics");
    while (json_kind(all) == JSON_OBJECT && json_each(all, &it, &title, &table)) {
        double   most = 0;
        JsonIter in = { 0 };
        while (json_each(table, &in, &name, &n))
            most = MAX(most, json_num(n));
        strbuf_addz(&r->out, "<h2>");
        html_text(&r->out, title);
        strbuf_addz(&r->out, "</h2>\n<table>");
        in = (JsonIter){ 0 };
        while (json_each(table, &in, &name, &n))
            put_bar_row(&r->out, name, json_num(n), most);
        strbuf_addz(&r->out, "</table>\n");
    }
}

static const char own_style[] =
    ".class{background:var(--card);border:1px solid var(--edge);border-radius:8px;margin:6px 0;padding:0 14px}\n"
    ".class summary{display:grid;grid-template-columns:7.5em 1fr 160px 5.5em;gap:12px;align-items:center;cursor:pointer;padding:8px 0;font-size:15px}\n"
    ".class .pass{color:var(--soft)}.class .why{overflow-wrap:anywhere}.class .sample{background:none}\n"
    ".bar{display:block;height:8px;border-radius:4px;background:var(--grid)}.bar i{display:block;height:8px;border-radius:4px;background:var(--blue);min-width:2px}\n"
    ".wide-bar{width:50%;vertical-align:middle}\n"
    "@media screen and (max-width:640px){.class summary{grid-template-columns:6em 1fr 4em}.class summary .bar{display:none}}\n";

static void put_page(Report *r)
{
    StrBuf *out = &r->out;
    strbuf_addz(out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
                     "<title>Data preparation</title><style>\n");
    strbuf_addz(out, report_style);
    strbuf_addz(out, own_style);
    strbuf_addz(out, "</style></head><body><header><h1>Data preparation <span class=\"run\">");
    html_textz(out, path_base(r->data));
    strbuf_addz(out, "</span></h1><p class=\"sub\">What came in, what left and why. Every decision stands in decisions.jsonl, every row that left in removed.jsonl.</p></header><main>\n");
    put_figures(r);
    put_told(r);
    put_advice(r);
    put_actions(r, "remove", "Removed rows, by reason", "No row was removed.");
    put_actions(r, "edit", "Changed rows", "No row was changed.");
    put_actions(r, "note", "Noted, and left as they are", "Nothing was noted.");
    put_division(r);
    put_pii(r);
    put_statistics(r);
    put_inputs(r);
    strbuf_addz(out, "<h2>Options</h2>\n<pre>");
    html_text(out, json_str(json_get(r->manifest, "options")));
    strbuf_addf(out, "</pre></main><footer>hone %s</footer></body></html>\n", HONE_VERSION);
}

static void report_release(Report *r)
{
    for (size_t i = 0; i < r->class.n; i++) {
        Class *c = &r->class.p[i];
        for (int k = 0; k < c->n; k++) {
            free(c->example[k].file);
            free(c->example[k].reason);
            json_free(c->example[k].decision);
            json_free(c->example[k].record);
            json_free(c->example[k].other);
        }
        free(c->pass);
        free(c->action);
        free(c->reason);
    }
    for (size_t i = 0; i < r->input_note.n; i++)
        free(r->input_note.p[i]);
    vec_release(&r->input_note);
    vec_release(&r->class);
    map_free(r->by_name);
    map_free(r->wanted);
    map_free(r->pii);
    strbuf_release(&r->out);
}

int prep_report_write(const char *data, const Json *manifest, Err *e)
{
    static const char *const files[] = { "removed.jsonl", "train.jsonl", "validation.jsonl", "test.jsonl" };
    Report r = { .data = data, .manifest = manifest, .by_name = map_new(), .wanted = map_new(), .pii = map_new() };
    char  *path = path_join(data, "report.html");
    int    rc = sweep_decisions(&r, e);
    for (size_t i = 0; i < ARRAY_LEN(files) && !rc; i++)
        rc = sweep_rows(&r, files[i], e);
    if (!rc) {
        if (r.class.n)
            qsort(r.class.p, r.class.n, sizeof *r.class.p, by_rows);
        put_page(&r);
        rc = file_write_atomic(path, r.out.p, r.out.n, e);
    }
    free(path);
    report_release(&r);
    return rc;
}
