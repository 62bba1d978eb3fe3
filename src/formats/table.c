/* table.c - the stream of rows: members of the source, through the decoder, into a window from which the kind's cutter takes rows.
 * Invariants: the window moves only while no item of this call points into it, so rows are cut until the first one that is not whole; a member's rows are
 * never mixed with another's in one call; an error of the stream waits in `failed` until the rows before it are out.
 * The kinds of files stand in table_kinds.c. */
#include "formats/table.h"

#include "formats/table_int.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define WINDOW_MIN ENCODING_PEEK      /* what finding the kind looks at */
#define WINDOW_SLACK ((size_t)64 << 10)

/* ---- open and close ---- */

static Table *table_new(const char *name, const TableOptions *opt)
{
    Table *t = mem_zalloc(1, sizeof *t);
    t->path = mem_strdup(name);
    if (opt)
        t->opt = *opt;
    t->encoding = t->opt.encoding ? mem_strdup(t->opt.encoding) : NULL;
    t->array = t->opt.array ? mem_strdup(t->opt.array) : NULL;
    t->spool = t->opt.spool ? mem_strdup(t->opt.spool) : NULL;
    t->opt.encoding = t->encoding;
    t->opt.array = t->array;
    t->opt.spool = t->spool;
    t->row_max = t->opt.row_max ? MIN(t->opt.row_max, TABLE_ROW_MAX) : TABLE_ROW_MAX;
    t->row = t->line = 1;
    t->resume = (size_t)1 << 20;
    return t;
}

int table_open(Table **out, const char *path, const TableOptions *opt, Err *e)
{
    Table *t = table_new(path, opt);
    int rc = source_open(&t->source, path, opt ? &opt->limits : NULL, e);
    if (rc) {
        table_close(t);
        t = NULL;
    }
    *out = t;
    return rc;
}

int table_open_memory(Table **out, Str bytes, const char *name, const TableOptions *opt, Err *e)
{
    Table *t = table_new(name, opt);
    *out = t;
    return source_open_memory(&t->source, bytes, name, opt ? &opt->limits : NULL, e);
}

void table_forget_columns(Table *t)
{
    for (size_t i = 0; i < t->columns.n; i++)
        free(t->columns.p[i]);
    vec_clear(&t->columns);
    t->columns_known = false;
}

void table_close(Table *t)
{
    if (!t)
        return;
    decoder_close(t->decoder);
    columnar_close(t->columnar);
    source_close(t->source);
    for (size_t i = 0; i < t->members.n; i++) {
        free(t->members.p[i]->name);
        free(t->members.p[i]->where);
        free(t->members.p[i]);
    }
    vec_release(&t->members);
    table_forget_columns(t);
    vec_release(&t->columns);
    strbuf_release(&t->why);
    free(t->window);
    free(t->encoding);
    free(t->array);
    free(t->spool);
    free(t->path);
    free(t);
}

/* ---- the window ---- */

static int read_source(void *ctx, void *p, size_t cap, size_t *n, Err *e)
{
    return source_read(ctx, p, cap, n, e);
}

/* Reads until `want` unread bytes are there, or the end, or a failure, which is kept. Unread text moves to the front only when there is something to read
 * behind it: after a row that was too long the window is large, and moving it for each call would take longer than all else. */
static void fill(Table *t, size_t want)
{
    if (t->end - t->pos >= want || t->last || t->failed.code)
        return;
    if (t->pos) {
        memmove(t->window, t->window + t->pos, t->end - t->pos);
        t->base += t->pos;
        t->end -= t->pos;
        t->pos = 0;
    }
    if (want > t->cap) {
        t->cap = want;
        t->window = mem_realloc(t->window, t->cap, 1);
    }
    while (t->end < want && !t->last && !t->failed.code) {
        size_t n = 0;
        if (decoder_read(t->decoder, t->window + t->end, t->cap - t->end, &n, &t->failed))
            return;
        t->end += n;
        t->last = n == 0;
    }
}

static void end_member(Table *t)
{
    if (t->decoder)
        t->member->encoding = *decoder_report(t->decoder);
    if (t->encoding && t->member)
        t->member->encoding.name = t->encoding;   /* the decoder's copy goes */
    decoder_close(t->decoder);
    columnar_close(t->columnar);
    t->decoder = NULL;
    t->columnar = NULL;
    t->pos = t->end = 0;
    t->row = t->line = 1;
    t->cut_line = false;
    t->json = (TableJson){ 0 };
}

/* A plain file is looked at where it lies, a packed one is unpacked. */
static int begin_columnar(Table *t, Err *e)
{
    const char *dir = t->spool ? t->spool : getenv("TMPDIR");
    TableMember *m = t->member;
    m->kind = !strcmp(columnar_name(source_peek(t->source)), "parquet") ? TABLE_PARQUET : TABLE_ARROW;
    int rc = source_is_plain(t->source) ? columnar_open(&t->columnar, source_bytes(t->source), m->where, e)
                                        : columnar_unpack(&t->columnar, t->source, dir && *dir ? dir : "/tmp", m->where, e);
    return rc ? rc : 1;
}

/* Begins the next member: 1, 0 at the end, or an error; then the one behind it may still be read. */
static int next_member(Table *t, Err *e)
{
    uint64_t total;
    source_progress(t->source, &t->began, &total);
    int rc = source_next(t->source, e);
    if (rc <= 0)
        return rc;
    TableMember *m = mem_zalloc(1, sizeof *m);
    *vec_push(&t->members) = m;
    m->name = mem_strdup(source_member(t->source));
    m->where = mem_strdup(source_where(t->source));
    m->encoding.name = "UTF-8";
    t->member = m;
    table_forget_columns(t);
    if (t->opt.kind == TABLE_AUTO && columnar_name(source_peek(t->source)))
        return begin_columnar(t, e);
    rc = decoder_open(&t->decoder, read_source, t->source, t->encoding, m->where, e);
    if (rc)
        return rc;
    t->line_end = decoder_line_end(t->decoder);
    t->base = t->start = decoder_offset(t->decoder);
    t->last = false;
    t->failed = (Err){ 0 };
    t->ops = NULL;
    return 1;
}

/* ---- reading ---- */

static TablePlace place_of(const Table *t, const TableCut *c)
{
    return (TablePlace){ .member = (uint32_t)(t->members.n - 1), .offset = t->base + t->pos, .row = c && c->whole_member ? 0 : t->row, .line = t->line };
}

static void take_item(Table *t, const TableCut *c, TableItem *item)
{
    *item = (TableItem){ .text = c->text, .at = place_of(t, c), .bad = (int)c->bad, .bad_line = t->line + c->bad_lines,
                         .cut = c->cut, .until = c->until ? t->line + c->until : 0, .resumed = c->resumed };
    item->replaced = decoder_replaced(t->decoder, item->at.offset, item->at.offset + c->used);
    t->member->misread += decoder_misread(t->decoder, item->at.offset, item->at.offset + c->used) > 0;
    if (!c->whole_member)
        t->member->rows = t->row++;
}

/* Rows of one row group, which live until the next is decoded. *n == 0: the member is at its end. */
static int take_columnar(Table *t, TableItem *items, size_t max_items, size_t *n, Err *e)
{
    const uint32_t member = (uint32_t)(t->members.n - 1);
    while (!columnar_group(t->columnar) || t->row > columnar_first(t->columnar) + columnar_group(t->columnar)) {
        const int rc = columnar_next(t->columnar, e);
        if (rc <= 0) {
            end_member(t);
            return rc;
        }
    }
    const int64_t end = columnar_first(t->columnar) + columnar_group(t->columnar);
    for (; *n < max_items && t->row <= end; t->row++)
        items[(*n)++] = (TableItem){ .at = { .member = member, .row = t->row, .line = t->row } };
    t->member->rows = t->row - 1;
    return 0;
}

/* Cuts one row into *item. 1: done; 0: more text is needed; -1: the member is at its end. */
static int cut_one(Table *t, TableItem *item)
{
    for (;;) {
        const Str s = { t->window + t->pos, t->end - t->pos };
        if (t->cut_line) {
            const char *end = s.n ? memchr(s.p, t->line_end, s.n) : NULL;
            t->pos += end ? (size_t)(end - s.p) + 1 : s.n;
            t->line += end != NULL;
            t->cut_line = !end && !t->last;
            if (t->cut_line)
                return 0;
            continue;
        }
        if (!s.n && !t->last)
            return 0;
        if (!t->ops && !(t->ops = table_find_kind(t, (Str){ s.p, MIN(s.n, WINDOW_MIN) }, t->last && s.n <= WINDOW_MIN))) {
            const TableCut c = { .kind = CUT_END, .used = s.n, .text = strbuf_str(&t->why), .bad = BAD_TEXT, .whole_member = true };
            take_item(t, &c, item);
            t->pos = t->end;
            t->last = true;
            t->ops = table_ops(TABLE_TEXT);          /* of which there is none left */
            return 1;
        }
        const TableCut c = t->ops->cut(t, s, t->last);
        BUG_ON(c.used > s.n || (c.kind == CUT_MORE && t->last));
        if (c.kind == CUT_MORE)
            return 0;
        const bool told = c.kind == CUT_ROW || c.bad;
        if (told)
            take_item(t, &c, item);
        t->pos += c.used;
        t->line += c.lines;
        t->cut_line = c.cut_line;
        if (c.kind == CUT_END) {
            t->pos = t->end;
            t->last = true;
        }
        if (told)
            return 1;
        if (c.kind == CUT_END)
            return -1;
    }
}

int table_read(Table *t, TableItem *items, size_t max_items, size_t max_bytes, size_t *n, Err *e)
{
    const size_t most = t->row_max + WINDOW_SLACK;
    size_t want = MIN(MAX(max_bytes, WINDOW_MIN), most), bytes = 0;
    *n = 0;
    while (*n == 0) {
        if (!t->decoder && !t->columnar) {
            int rc = next_member(t, e);
            if (rc <= 0)
                return rc;
        }
        if (t->columnar) {
            int rc = take_columnar(t, items, max_items, n, e);
            if (rc)
                return rc;
            continue;
        }
        fill(t, want);
        int got = 0;
        while (*n < max_items && bytes < MAX(max_bytes, (size_t)1) && (got = cut_one(t, &items[*n])) > 0)
            bytes += items[(*n)++].text.n;
        t->member->encoding = *decoder_report(t->decoder);
        if (*n || got > 0)
            break;
        if (got == 0 && t->failed.code) {            /* all rows before the failure are out */
            const Err failed = t->failed;
            end_member(t);
            if (e)
                *e = failed;
            return failed.code;
        }
        BUG_ON(got == 0 && t->end - t->pos >= most);  /* a cutter that wants more than the largest row */
        if (got < 0)
            end_member(t);
        else if (t->end > t->pos)                    /* a row that is not whole; where all was used up, the window is large enough */
            want = MIN(MAX(want, t->end - t->pos) * 2, most);
    }
    return 0;
}

int table_parse(const Table *t, const TableItem *item, Json **row, Err *e)
{
    static const char *const reasons[BAD_COUNT] = {
        [BAD_OPEN_QUOTE] = "a quote opens here and is never closed; close it, or double it if it belongs to the text",
        [BAD_BEHIND_QUOTE] = "text follows behind the closing quote of the field that opens here; a quote inside a quoted field must be doubled",
        [BAD_JSON_COMMA] = "a comma or the end of the array was expected here",
        [BAD_JSON_NO_ROW] = "an element of the array was expected here",
        [BAD_JSON_END] = "the file ends inside of this element of the array; it is cut short, or a quote or bracket is missing",
        [BAD_JSON_TAIL] = "text follows behind the end of the rows",
    };
    const TableMember *m = t->members.p[item->at.member];
    *row = NULL;
    if (item->bad == BAD_TEXT)
        return err_set(e, ERR_INPUT, "%s: %.*s", m->where, (int)MIN(item->text.n, (size_t)800), item->text.p);
    if (item->bad == BAD_LONG)
        return table_say(item, m, item->bad_line, e, "the row is longer than %zu bytes, the most that is allowed; split it", t->row_max);
    char more[120] = "";
    if (item->until)
        snprintf(more, sizeof more, item->resumed ? "; the lines up to %" PRId64 " are taken as part of this row, and behind them the next whole row begins"
                                                  : "; no whole row begins in the lines behind it, so those up to %" PRId64 " are taken as part of it", item->until);
    if (item->bad == BAD_OPEN_QUOTE_LONG)
        return table_say(item, m, item->bad_line, e, "a quote opens here and is not closed within %zu bytes, the most that one row may have; close it, double it if it belongs to the "
                         "text, or split the row%s", t->row_max, more);
    if (item->bad)
        return table_say(item, m, item->bad_line, e, "%s%s", reasons[item->bad], more);
    return t->columnar ? columnar_row(t->columnar, item->at.row - 1, row, e) : t->ops->parse(t, item, row, e);
}

int table_say(const TableItem *item, const TableMember *m, int64_t line, Err *e, const char *fmt, ...)
{
    char text[700];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return err_set(e, ERR_INPUT, "%s, line %" PRId64 ", row %" PRId64 ": %s", m->where, line, item->at.row, text);
}

TableCut table_bad_member(Table *t, const char *fmt, ...)
{
    char text[800];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    strbuf_clear(&t->why);
    strbuf_addz(&t->why, text);
    t->json.state = JSON_AT_TAIL;                    /* nothing more is said about this member */
    return (TableCut){ .kind = CUT_END, .text = strbuf_str(&t->why), .bad = BAD_TEXT, .whole_member = true };
}

/* ---- places ---- */

TablePlace table_place(const Table *t)
{
    if (t->columnar)
        return (TablePlace){ .member = (uint32_t)(t->members.n - 1), .row = t->row, .line = t->row };
    if (!t->decoder)
        return (TablePlace){ .member = (uint32_t)t->members.n, .row = 1, .line = 1 };
    return place_of(t, NULL);
}

/* ---- asking ---- */

size_t table_members(const Table *t)
{
    return t->members.n;
}

const TableMember *table_member(const Table *t, size_t i)
{
    BUG_ON(i >= t->members.n);
    return t->members.p[i];
}

size_t table_columns(const Table *t, const char *const **names)
{
    *names = (const char *const *)t->columns.p;
    return t->columns.n;
}

void table_progress(const Table *t, uint64_t *done, uint64_t *total)
{
    source_progress(t->source, done, total);
    if (t->columnar && source_is_plain(t->source) && columnar_rows(t->columnar)) /* it is not read from its start to its end */
        *done = (uint64_t)((double)*total * (double)(t->row - 1) / (double)columnar_rows(t->columnar));
    else if (t->decoder && t->end > t->pos && *done > t->began) { /* read ahead, but no row yet */
        const double text = (double)(t->base + t->end - t->start), cut = (double)(t->base + t->pos - t->start);
        *done = t->began + (uint64_t)((double)(*done - t->began) * cut / text);
    }
}
