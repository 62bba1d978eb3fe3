/* table_kinds.c - the kinds of data files: how each is recognised, cut and parsed. JSON that is streamed out of an array stands in table_json.c.
 * To add a kind: a row in kinds[]; when its content tells it, a line in table_find_kind. */
#include "formats/table_int.h"

#include "base/map.h"
#include "base/utf8.h"
#include "formats/stranger.h"

#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

int64_t table_lines(const Table *t, Str s, size_t n)
{
    int64_t lines = 0;
    for (const char *p = s.p, *end = s.p + n; p < end && (p = memchr(p, t->line_end, (size_t)(end - p))); p++)
        lines++;
    return lines;
}

void table_keep_raw(TableCut *c, Str s, size_t n)
{
    c->cut = n > TABLE_RAW_MAX;
    c->text = (Str){ s.p, c->cut ? utf8_complete(s.p, TABLE_RAW_MAX) : n };
}

static bool is_white(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_blank(Str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_white(s.p[i]))
            return false;
    return true;
}

/* ---- JSON, one object per line ---- */

static TableCut cut_jsonl(Table *t, Str s, bool last)
{
    const char *end = s.n ? memchr(s.p, t->line_end, s.n) : NULL;
    if (!end && !last && s.n <= t->row_max)
        return (TableCut){ .kind = CUT_MORE };
    if (!s.n)
        return (TableCut){ .kind = CUT_END };
    TableCut c = { .kind = CUT_ROW, .text = { s.p, end ? (size_t)(end - s.p) : s.n }, .used = end ? (size_t)(end - s.p) + 1 : s.n, .lines = end != NULL };
    if (c.text.n > t->row_max) {
        c.bad = BAD_LONG;
        table_keep_raw(&c, s, c.text.n);
        c.cut_line = !end && !last;
    } else if (is_blank(c.text)) {
        c.kind = CUT_SKIP;
    }
    return c;
}

/* Whether a text of JSON has more than TABLE_VALUES_MAX commas and opening brackets outside of its strings. */
static bool has_too_many_values(Str s)
{
    size_t values = 0;
    for (size_t i = 0; i < s.n && values <= TABLE_VALUES_MAX; i++) {
        if (s.p[i] == '"')
            for (i++; i < s.n && s.p[i] != '"'; i++)
                i += s.p[i] == '\\';
        else
            values += s.p[i] == ',' || s.p[i] == '[' || s.p[i] == '{';
    }
    return values > TABLE_VALUES_MAX;
}

/* json_parse counts lines from the row's own; the sentence says those of the file. */
static int parse_json(const Table *t, const TableItem *item, Json **row, Err *e)
{
    const TableMember *m = t->members.p[item->at.member];
    Err inner = { 0 };
    int line = 1, column = 1, skip = 0;
    if (item->text.n > TABLE_VALUES_MAX && has_too_many_values(item->text)) /* a value takes a byte at least */
        return table_say(item, m, item->at.line, e, "the row holds more than %zu values, the most that is allowed; split it", TABLE_VALUES_MAX);
    int rc = json_parse(row, item->text, "", &inner);
    if (rc) {
        const bool placed = sscanf(inner.text, ", line %d, column %d: %n", &line, &column, &skip) == 2 && skip;
        const int64_t at = item->at.line + (t->line_end == '\n' ? line - 1 : 0);
        return placed ? table_say(item, m, at, e, "column %d: %s", column, inner.text + skip) : table_say(item, m, at, e, "%s", inner.text);
    }
    if (json_kind(*row) == JSON_OBJECT)
        return 0;
    rc = table_say(item, m, item->at.line, e, "each row must be a JSON object like {\"text\": ...}, this is %s", json_kind_name(*row));
    json_free(*row);
    *row = NULL;
    return rc;
}

/* ---- CSV ---- */

#define RESUME_MOST ((size_t)16 << 20)

/* The names of the columns: from the header, or "column_1", ... */
static TableCut name_columns(Table *t, const CsvFields *f, bool header)
{
    Map *seen = map_new();
    TableCut bad = { 0 };
    int64_t first = 0;
    for (size_t i = 0; i < f->n && !bad.bad; i++) {
        StrBuf name = { 0 };
        if (header && f->field[i].n)
            strbuf_add(&name, f->field[i].p, f->field[i].n);
        else
            strbuf_addf(&name, "column_%zu", i + 1);
        if (memchr(name.p, 0, name.n))
            bad = table_bad_member(t, "line %" PRId64 ": the name of column %zu holds a zero byte; correct the header", t->line, i + 1);
        else if (map_get(seen, strbuf_str(&name), &first))
            bad = table_bad_member(t, "line %" PRId64 ": columns %" PRId64 " and %zu are both named \"%s\"; rename one, or say that the file has no header "
                                   "(--header no), and they are called column_1, column_2, ...", t->line, first + 1, i + 1, shown(strbuf_str(&name)).text);
        map_put(seen, strbuf_str(&name), (int64_t)i);
        *vec_push(&t->columns) = strbuf_take(&name);
    }
    map_free(seen);
    return bad;
}

/* The first record: names the columns. kind CUT_SKIP when it was a header, CUT_ROW when it is data. */
static TableCut begin_csv(Table *t, Str record)
{
    CsvFields f = { 0 };
    Err e = { 0 };
    TableCut c = { .kind = t->member->csv.header ? CUT_SKIP : CUT_ROW };
    if (csv_split(&f, &t->member->csv, record, &e)) {
        c = table_bad_member(t, "line %" PRId64 ", the first record: %s", t->line, e.text);
    } else {
        const TableCut bad = name_columns(t, &f, t->member->csv.header);
        c = bad.bad ? bad : c;
    }
    t->columns_known = !c.bad;
    csv_fields_release(&f);
    return c;
}

static TableCut bad_csv(Table *t, Str s, bool last, CsvCut cut)
{
    static const TableBad bads[] = {
        [CSV_OPEN_QUOTE] = BAD_OPEN_QUOTE, [CSV_BEHIND_QUOTE] = BAD_BEHIND_QUOTE, [CSV_TOO_LONG] = BAD_LONG, [CSV_OPEN_TOO_LONG] = BAD_OPEN_QUOTE_LONG,
    };
    const CsvDialect *d = &t->member->csv;
    const size_t      least = cut.used;
    if (cut.kind != CSV_TOO_LONG && !csv_resume(d, s, last, t->row_max, t->columns.n, &t->resume, &cut))
        return (TableCut){ .kind = CUT_MORE };
    TableCut c = { .kind = CUT_ROW, .used = cut.used, .lines = (int64_t)cut.lines, .bad = bads[cut.kind], .bad_lines = (int64_t)cut.bad_lines, .resumed = cut.resumed };
    table_keep_raw(&c, s, cut.n);
    c.cut_line = s.p[cut.used - 1] != d->line_end && !last;
    if (cut.used > least)
        c.until = table_lines(t, s, cut.used - 1);
    return c;
}

static TableCut cut_csv(Table *t, Str s, bool last)
{
    if (!s.n)
        return (TableCut){ .kind = CUT_END };
    const CsvCut cut = csv_cut(&t->member->csv, s, last, t->row_max);
    if (cut.kind == CSV_MORE)
        return (TableCut){ .kind = CUT_MORE };
    TableCut c = { .kind = CUT_ROW, .text = { s.p, cut.n }, .used = cut.used, .lines = (int64_t)cut.lines };
    if (cut.kind == CSV_RECORD && !cut.n) {                /* in a file of one column an empty value is written "" */
        c.kind = CUT_SKIP;
    } else if (cut.kind != CSV_RECORD && !t->columns_known && t->member->csv.header) {
        c = table_bad_member(t, "line %" PRId64 ": the header cannot be read: %s", t->line + (int64_t)cut.bad_lines,
                             cut.kind == CSV_TOO_LONG ? "it is too long" : cut.kind == CSV_BEHIND_QUOTE ? "text follows behind a closing quote" : "a quote is never closed");
    } else if (cut.kind != CSV_RECORD) {
        c = bad_csv(t, s, last, cut);
    } else if (!t->columns_known) {
        const TableCut first = begin_csv(t, c.text);
        c.kind = first.kind;
        if (first.bad)
            c = first;
    }
    if (c.kind != CUT_MORE)
        t->resume = MIN(t->resume + 4 * c.used, RESUME_MOST);
    return c;
}

static int parse_csv(const Table *t, const TableItem *item, Json **row, Err *e)
{
    const TableMember *m = t->members.p[item->at.member];
    CsvFields f = { 0 };
    Err inner = { 0 };
    int rc = csv_split(&f, &m->csv, item->text, &inner);
    if (rc)
        table_say(item, m, item->at.line, e, "%s", inner.text);
    else if (f.n != t->columns.n)
        rc = table_say(item, m, item->at.line, e, "it has %zu fields and the %s has %zu; a delimiter or quote is missing or too many", f.n,
                       m->csv.header ? "header" : "first row", t->columns.n);
    if (!rc) {
        *row = json_obj_new();
        for (size_t i = 0; i < f.n; i++)
            json_set(*row, t->columns.p[i], json_str_new(f.field[i]));
    }
    csv_fields_release(&f);
    return rc;
}

/* ---- text ---- */

/* Up to the end of a paragraph: behind the blank lines that follow it. SIZE_MAX: not seen yet. */
static size_t paragraph_end(const Table *t, Str s, size_t *n)
{
    bool blank = false;
    for (size_t i = 0; i < s.n;) {
        const char *end = memchr(s.p + i, t->line_end, s.n - i);
        const size_t len = end ? (size_t)(end - s.p) - i : s.n - i;
        const bool empty = is_blank((Str){ s.p + i, len });
        if (blank && !empty)
            return i;
        if (!empty)
            *n = i + len;
        if (!end)
            return SIZE_MAX;
        blank |= empty;
        i += len + 1;
    }
    return SIZE_MAX;
}

static TableCut cut_text(Table *t, Str s, bool last)
{
    size_t n = s.n, used = s.n, lead = 0;
    if (!s.n)
        return (TableCut){ .kind = CUT_END };
    if (t->opt.paragraphs) {
        while (lead < s.n && is_white(s.p[lead]))
            lead++;
        if (lead)
            return (TableCut){ .kind = CUT_SKIP, .used = lead, .lines = table_lines(t, s, lead) };
        const size_t end = paragraph_end(t, s, &n);
        if (end == SIZE_MAX && !last && s.n <= t->row_max)
            return (TableCut){ .kind = CUT_MORE };
        used = end == SIZE_MAX ? s.n : end;
        n -= n && s.p[n - 1] == '\r';
    } else if (!last && s.n <= t->row_max) {
        return (TableCut){ .kind = CUT_MORE };
    }
    if (n > t->row_max)
        return table_bad_member(t, "line %" PRId64 ": the %s is longer than %zu bytes, the most that one row may have; it and what follows is not read", t->line,
                                t->opt.paragraphs ? "paragraph" : "text", t->row_max);
    return (TableCut){ .kind = CUT_ROW, .text = { s.p, n }, .used = used, .lines = table_lines(t, s, used) };
}

static int parse_text(const Table *t, const TableItem *item, Json **row, Err *e)
{
    (void)t;
    (void)e;
    *row = json_obj_new();
    json_set(*row, "text", json_str_new(item->text));
    return 0;
}

/* ---- the kinds ---- */

static const KindOps kinds[] = {
    { TABLE_JSONL, "jsonl", " jsonl ndjson ldjson jsonlines ", cut_jsonl,      parse_json },
    { TABLE_JSON,  "json",  " json ",                          table_cut_json, parse_json },
    { TABLE_CSV,   "csv",   " csv ",                           cut_csv,        parse_csv },
    { TABLE_TSV,   "tsv",   " tsv tab ",                       cut_csv,        parse_csv },
    { TABLE_TEXT,  "text",  " txt text md markdown rst log ",  cut_text,       parse_text },
};

const KindOps *table_ops(TableKind kind)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (kinds[i].kind == kind)
            return &kinds[i];
    return NULL;
}

const char *table_kind_name(TableKind kind)
{
    const KindOps *ops = table_ops(kind);
    return ops ? ops->name : kind == TABLE_PARQUET ? "parquet" : kind == TABLE_ARROW ? "arrow" : "auto";
}

bool table_kind_of(const char *name, TableKind *kind)
{
    char ending[32];
    snprintf(ending, sizeof ending, " %.20s ", name);
    for (char *p = ending; *p; p++)
        *p = (char)(*p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (strcasecmp(kinds[i].name, name) == 0 || (strlen(name) <= 20 && !strchr(name, ' ') && strstr(kinds[i].endings, ending))) {
            *kind = kinds[i].kind;
            return true;
        }
    return false;
}

/* ---- finding the kind ---- */

/* What the name's ending says; endings of packings are passed over. TABLE_AUTO: nothing. */
static TableKind kind_by_name(const char *path)
{
    static const char packings[] = " gz gzip zst zstd bz2 xz zip ";
    const char *base = strrchr(path, '/');
    char *name = mem_strdup(base ? base + 1 : path), *dot;
    TableKind kind = TABLE_AUTO;
    while ((dot = strrchr(name, '.')) && dot[1]) {
        char ending[16];
        snprintf(ending, sizeof ending, " %.10s ", dot + 1);
        if (table_kind_of(dot + 1, &kind) || !strstr(packings, ending))
            break;
        *dot = '\0';
    }
    free(name);
    return kind;
}

/* A text that begins with {: one object per line, or one text of JSON? */
static TableKind lines_or_one(Str s, bool whole, TableKind by_name)
{
    JsonWalk w = { 0 };
    bool done = false;
    size_t end = json_walk(&w, s, 0, &done);
    const bool broken = memchr(s.p, '\n', end) != NULL; /* the value spans several lines */
    const TableKind open = by_name == TABLE_JSON ? TABLE_JSON : TABLE_JSONL;
    if (!done) /* in a file that calls itself JSONL the first row may just be cut */
        return whole || !broken || by_name == TABLE_JSONL ? open : TABLE_JSON;
    while (end < s.n && is_white(s.p[end]))
        end++;
    if (end == s.n && whole)
        return broken && by_name != TABLE_JSONL ? TABLE_JSON : open;
    return broken ? TABLE_JSON : TABLE_JSONL;
}

/* Files that are something else, by their first bytes after white space. */
static const char *other_file(Str s)
{
    static const struct { const char *bytes, *what; } others[] = {
        { "PAR1", "a Parquet file and not of the kind that was asked for" },
        { "version https://git-lfs", "a Git LFS pointer and not the data; fetch it with \"git lfs pull\"" },
        { "%PDF-", "a PDF document; documents are read by their own reader, not as rows" },
        { "<?xml", "an XML file, not rows; turn it into JSONL or CSV" },
        { "<!DOCTYPE html", "an HTML page, not rows" },
        { "<!doctype html", "an HTML page, not rows" },
        { "<html", "an HTML page, not rows" },
        { "SQLite format 3", "an SQLite database; export its table as CSV" },
        { "ARROW1", "an Arrow file and not of the kind that was asked for" },
        { "Obj\x01", "an Avro file; save it as Parquet or JSONL" },
    };
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (str_starts(s, others[i].bytes))
            return others[i].what;
    return NULL;
}

/* Control characters and zero bytes: no text, whatever it is called. Wide text and older encodings are UTF-8 by now. */
static bool is_binary(Str s)
{
    size_t odd = 0;
    for (size_t i = 0; i < s.n; i++) {
        const unsigned char c = (unsigned char)s.p[i];
        odd += c < 0x20 && !strchr("\t\n\r\f\v\x1a\x1b", c ? c : 1);
    }
    return odd > 16 && odd > s.n / 25; /* a few zero bytes are a fault of a row */
}

/* The sentence about a content that is none of the kinds: what its name promises comes first. */
static const char *not_as_named(const char *path)
{
    static const struct { const char *ending, *sentence; } promised[] = {
        { "pdf", "its name says PDF, but its contents are no PDF document (they do not begin with %PDF-)" },
        { "zip", "its name says zip, but its contents are no zip archive" },
        { "docx", "its name says Word document, but its contents are none" },
        { "xlsx", "its name says Excel workbook, but its contents are none" },
        { "pptx", "its name says PowerPoint presentation, but its contents are none" },
        { "gz", "its name says gzip, but no text is packed in it by gzip" },
        { "tgz", "its name says gzip, but no text is packed in it by gzip" },
        { "bz2", "its name says bzip2, but no text is packed in it by bzip2" },
        { "xz", "its name says xz, but no text is packed in it by xz" },
        { "zst", "its name says zstd, but no text is packed in it by zstd" },
        { "tar", "its name says tar, but its contents are no tar archive" },
        { "arrow", "its name says Arrow, but its contents are no Arrow file or stream" },
        { "feather", "its name says Feather, but its contents are no Arrow file" },
        { "parquet", "its name says Parquet, but its contents are no Parquet file (they do not begin with PAR1)" },
        { "html", "its name says HTML, but its contents are no HTML page" },
        { "eml", "its name says mail, but its contents are no mail message" },
        { "mbox", "its name says mailbox, but its contents are no mailbox" },
    };
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < ARRAY_LEN(promised); i++)
        if (strcasecmp(dot + 1, promised[i].ending) == 0)
            return promised[i].sentence;
    return NULL;
}

static bool begins_object(Str s)
{
    size_t i = 1;
    while (i < s.n && is_white(s.p[i]))
        i++;
    return s.n && s.p[0] == '{' && (i == s.n || s.p[i] == '"' || s.p[i] == '}');
}

static TableKind find_text_kind(Table *t, Str s, bool whole, TableKind by_name)
{
    CsvDialect d;
    Str body = s;
    while (body.n && is_white(*body.p))
        body = (Str){ body.p + 1, body.n - 1 };
    if (begins_object(body)) {
        const TableKind kind = lines_or_one(body, whole, by_name);
        const bool is_csv = by_name == TABLE_CSV || by_name == TABLE_TSV;
        return is_csv && kind == TABLE_JSON ? by_name : kind;
    }
    if (body.n && *body.p == '[' && (by_name == TABLE_AUTO || by_name == TABLE_JSON || by_name == TABLE_JSONL)) {
        size_t i = 1;
        while (i < body.n && is_white(body.p[i]))
            i++;
        if (by_name == TABLE_JSON || (i < body.n && (body.p[i] == '{' || (body.p[i] == ']' && by_name == TABLE_AUTO))))
            return TABLE_JSON;
    }
    if (by_name != TABLE_AUTO || !body.n)
        return by_name != TABLE_AUTO ? by_name : TABLE_TEXT;
    csv_find_dialect(&d, s, whole, t->line_end, &t->opt.csv);
    return csv_is_regular(&d, s, whole) ? TABLE_CSV : TABLE_AUTO;
}

const KindOps *table_find_kind(Table *t, Str s, bool whole)
{
    TableMember *m = t->member;
    TableKind kind = t->opt.kind;
    const char *other = other_file(s);
    if (other && kind != TABLE_TEXT) {
        table_bad_member(t, "this is %s", other);
        return NULL;
    }
    if (kind == TABLE_AUTO)
        kind = find_text_kind(t, s, whole, kind_by_name(*m->name ? m->name : t->path));
    const KindOps *ops = table_ops(kind);
    const char *said = not_as_named(*m->name ? m->name : t->path);
    if (is_binary(s) && t->opt.kind == TABLE_AUTO) {
        table_bad_member(t, "%s", said ? said : "this is binary data of no kind that is known here, not rows");
        return NULL;
    }
    if (!ops) {
        table_bad_member(t, "%s", said ? said : "it is no JSON, its lines do not fall into columns, and its name tells nothing; give it the ending of what it is "
                                                "(.jsonl, .json, .csv, .tsv, .txt)");
        return NULL;
    }
    m->kind = kind;
    if (kind == TABLE_CSV || kind == TABLE_TSV) {
        CsvOptions opt = t->opt.csv;
        if (kind == TABLE_TSV && !opt.delimiter)
            opt.delimiter = '\t';
        csv_find_dialect(&m->csv, s, whole, t->line_end, &opt);
    }
    return ops;
}
