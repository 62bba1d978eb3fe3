/* csv.c - cuts records, splits fields, writes rows; see csv.h. The dialect is found in csv_dialect.c.
 * Cutting skips from mark to mark with memchr and looks at single characters only around quotes; splitting does the same within one record.
 * Invariants: csv_cut never looks at a record twice in one call, and a record that needs more text is cut anew from its start, which a window that doubles
 * makes cheap; every cut but CSV_MORE uses at least one byte. */
#include "formats/csv.h"

#include "base/mem.h"

#include <stdlib.h>

/* ---- cutting ---- */

static size_t find(Str s, size_t from, size_t to, char c)
{
    const char *p = to > from ? memchr(s.p + from, c, to - from) : NULL;
    return p ? (size_t)(p - s.p) : to;
}

static size_t count_lines(const CsvDialect *d, Str s, size_t to)
{
    size_t lines = 0;
    for (size_t i = 0; (i = find(s, i, to, d->line_end)) < to; i++)
        lines++;
    return lines;
}

/* A record that ends at `end`, where a line end or the text's end stands. */
static CsvCut whole(const CsvDialect *d, Str s, size_t end, size_t row_max, bool one_line)
{
    CsvCut c = { .kind = end > row_max ? CSV_TOO_LONG : CSV_RECORD, .n = end, .used = end + (end < s.n) };
    c.lines = one_line ? end < s.n : count_lines(d, s, c.used);
    if (d->line_end == '\n' && end && s.p[end - 1] == '\r')
        c.n--;
    return c;
}

/* A record that is none because of the quote at `open`: reading may go on behind that line (csv_resume looks for a better place). */
static CsvCut spoiled(const CsvDialect *d, CsvCutKind kind, Str s, size_t open, size_t seen)
{
    CsvCut c = { .kind = kind, .seen = seen };
    const size_t end = find(s, open, s.n, d->line_end);
    c.n = end;
    c.used = end + (end < s.n);
    c.lines = count_lines(d, s, c.used);
    c.bad_lines = count_lines(d, s, open);
    return c;
}

/* The closing quote of the field that opens at `open`; s.n: there is none. */
static size_t close_quote(const CsvDialect *d, Str s, size_t open)
{
    for (size_t i = open + 1;;) {
        const size_t q = find(s, i, s.n, d->quote);
        const size_t esc = d->escape ? find(s, i, q, d->escape) : q;
        if (esc < q) {
            i = MIN(esc + 2, s.n);
            continue;
        }
        if (q < s.n && d->doubled && q + 1 < s.n && s.p[q + 1] == d->quote) {
            i = q + 2;
            continue;
        }
        return q;
    }
}

/* Where an unquoted field ends: at a delimiter, a line end, or s.n. *eol: a line end at or behind `from` that is already known. */
static size_t close_plain(const CsvDialect *d, Str s, size_t from, size_t *eol)
{
    for (size_t i = from;;) {
        if (*eol < i)
            *eol = find(s, i, s.n, d->line_end);
        const size_t end = find(s, i, *eol, d->delimiter);
        const size_t esc = d->escape ? find(s, i, end, d->escape) : end;
        if (esc == end)
            return end;
        i = MIN(esc + 2, s.n);
    }
}

CsvCut csv_cut(const CsvDialect *d, Str s, bool last, size_t row_max)
{
    const CsvCut more = { .kind = CSV_MORE };
    row_max = row_max ? row_max : CSV_ROW_MAX;
    size_t eol = find(s, 0, s.n, d->line_end);
    if (eol == s.n && !last && s.n <= row_max)
        return more;
    const bool plain = (!d->quote || find(s, 0, eol, d->quote) == eol) && (!d->escape || find(s, 0, eol, d->escape) == eol);
    if (plain)
        return whole(d, s, eol, row_max, true);
    for (size_t i = 0;;) {                            /* at a field's start */
        while (d->skip_space && i < s.n && s.p[i] == ' ')
            i++;
        if (!d->quote || i >= s.n || s.p[i] != d->quote) {
            i = close_plain(d, s, i, &eol);
            if (i == s.n && !last && s.n <= row_max)
                return more;
            if (i == s.n || s.p[i] == d->line_end)
                return whole(d, s, i, row_max, false);
            i++;
            continue;
        }
        const size_t open = i;
        i = close_quote(d, s, open);
        if (i + 2 >= s.n && !last && s.n <= row_max)  /* what follows a quote tells what it means: another one, or \r\n */
            return more;
        if (i == s.n)
            return spoiled(d, s.n > row_max ? CSV_OPEN_TOO_LONG : CSV_OPEN_QUOTE, s, open, s.n);
        i++;
        if (i < s.n && s.p[i] == '\r' && d->line_end == '\n' && (i + 1 == s.n || s.p[i + 1] == '\n'))
            i++;
        if (i >= s.n || s.p[i] == d->line_end)
            return whole(d, s, i, row_max, false);
        if (s.p[i] != d->delimiter) {
            const bool line_known = last || s.n > row_max || find(s, open, s.n, d->line_end) < s.n;
            return line_known ? spoiled(d, CSV_BEHIND_QUOTE, s, open, i) : more;
        }
        i++;
    }
}

/* ---- splitting ---- */

static int push_field(CsvFields *f, const char *p, size_t n, Err *e)
{
    if (n > CSV_FIELD_MAX)
        return err_set(e, ERR_INPUT, "column %zu has %zu bytes, at most %zu MiB are allowed", f->n + 1, n, CSV_FIELD_MAX >> 20);
    if (f->n == CSV_COLUMNS_MAX)
        return err_set(e, ERR_INPUT, "it has more than %d columns, the most that is allowed", CSV_COLUMNS_MAX);
    if (f->n == f->cap) {
        f->cap = MAX(f->cap * 2, (size_t)16);
        f->field = mem_realloc(f->field, f->cap, sizeof *f->field);
    }
    f->field[f->n++] = (Str){ p, n };
    return 0;
}

/* Takes escapes, and in a quoted field doubled quotes, out of s[from, to); the result stands in f->text behind *used. */
static Str unescape(CsvFields *f, const CsvDialect *d, Str s, size_t from, size_t to, bool quoted, size_t *used)
{
    char *start = f->text + *used, *out = start;
    for (size_t i = from; i < to; i++) {
        const bool skip = (d->escape && s.p[i] == d->escape) || (quoted && d->doubled && s.p[i] == d->quote);
        if (skip && i + 1 < to)
            i++;
        *out++ = s.p[i];
    }
    *used += (size_t)(out - start);
    return (Str){ start, (size_t)(out - start) };
}

static int split_marked(CsvFields *f, const CsvDialect *d, Str s, Err *e)
{
    size_t used = 0, never = s.n;                     /* a record's line ends, if any, are inside its fields */
    for (size_t i = 0;;) {
        while (d->skip_space && i < s.n && s.p[i] == ' ')
            i++;
        const bool quoted = d->quote && i < s.n && s.p[i] == d->quote;
        const size_t from = i + quoted, to = quoted ? close_quote(d, s, i) : close_plain(d, s, i, &never);
        if (quoted && to == s.n)
            return err_set(e, ERR_INPUT, "column %zu begins with a quote that is never closed", f->n + 1);
        f->quoted += quoted;
        i = to + quoted;
        if (i < s.n && s.p[i] != d->delimiter)
            return err_set(e, ERR_INPUT, "column %zu has text behind its closing quote", f->n + 1);
        const bool marks = (d->escape && find(s, from, to, d->escape) < to) || (quoted && find(s, from, to, d->quote) < to);
        const Str field = marks ? unescape(f, d, s, from, to, quoted, &used) : (Str){ s.p + from, to - from };
        int rc = push_field(f, field.p, field.n, e);
        if (rc || i >= s.n)
            return rc;
        i++;
    }
}

int csv_split(CsvFields *f, const CsvDialect *d, Str s, Err *e)
{
    f->n = f->quoted = 0;
    if ((d->quote && find(s, 0, s.n, d->quote) < s.n) || (d->escape && find(s, 0, s.n, d->escape) < s.n)) {
        if (f->text_cap < s.n) {                      /* never moves while fields point into it */
            f->text_cap = s.n;
            free(f->text);
            f->text = mem_alloc(s.n);
        }
        return split_marked(f, d, s, e);
    }
    for (size_t i = 0;; i++) {
        while (d->skip_space && i < s.n && s.p[i] == ' ')
            i++;
        const size_t end = find(s, i, s.n, d->delimiter);
        int rc = push_field(f, s.n ? s.p + i : "", end - i, e);
        if (rc || end == s.n)
            return rc;
        i = end;
    }
}

/* ---- going on behind a bad record ---- */

#define FEW_COLUMNS 4 /* with fewer a sentence may look like a record */

typedef enum { BEGINS_NO, BEGINS_YES, BEGINS_UNKNOWN } Begins;

/* Whether s begins with a record of `columns` fields; last: the text ends with s. *work: bytes that were looked at. */
static Begins begins_record(const CsvDialect *d, Str s, bool last, size_t columns, CsvFields *f, size_t *work)
{
    const size_t wanted = columns && columns < FEW_COLUMNS ? 2 : 1;
    for (size_t good = 0; good < wanted && (s.n || !good);) {
        const CsvCut c = csv_cut(d, s, last, 0);
        *work += c.kind == CSV_MORE ? s.n : c.kind == CSV_RECORD ? c.used : c.seen;
        if (c.kind == CSV_MORE)
            return BEGINS_UNKNOWN;
        if (c.kind != CSV_RECORD) /* behind a good one: a bad one of its own */
            return good ? BEGINS_YES : BEGINS_NO;
        if (c.n || !good) {
            if (!c.n || csv_split(f, d, (Str){ s.p, c.n }, NULL) || (columns && f->n != columns))
                return BEGINS_NO;
            good++;
        }
        s = (Str){ s.p + c.used, s.n - c.used };
        if (!s.n && !last && good < wanted)
            return BEGINS_UNKNOWN;
    }
    return BEGINS_YES;
}

bool csv_resume(const CsvDialect *d, Str s, bool last, size_t row_max, size_t columns, size_t *budget, CsvCut *bad)
{
    row_max = row_max ? row_max : CSV_ROW_MAX;
    const size_t most = MAX(bad->used, MIN(bad->used + CSV_RESUME_MAX, row_max)), end = MIN(most, s.n); /* of what is looked at */
    const bool   whole = last && s.n <= most, more = !last && s.n < most;
    CsvFields    f = { 0 };
    size_t       at = bad->used, vain = 0;
    Begins       b = BEGINS_NO;
    while (at < end && vain < *budget) {
        size_t work = 0;
        b = begins_record(d, (Str){ s.p + at, end - at }, whole, columns, &f, &work);
        if (b == BEGINS_YES || (b == BEGINS_UNKNOWN && more))
            break;
        vain += work;
        at = MIN(find(s, at, end, d->line_end) + 1, end);
    }
    csv_fields_release(&f);
    bad->resumed = b == BEGINS_YES;
    if (!bad->resumed && more && vain < *budget)
        return false;
    while (!bad->resumed && !whole && at > bad->used && s.p[at - 1] != d->line_end) /* a region ends anywhere */
        at--;
    *budget -= MIN(vain, *budget);
    bad->used = bad->n = at;
    bad->lines = count_lines(d, s, at);
    if (bad->n && s.p[bad->n - 1] == d->line_end)
        bad->n--;
    if (d->line_end == '\n' && bad->n && s.p[bad->n - 1] == '\r')
        bad->n--;
    return true;
}

void csv_fields_release(CsvFields *f)
{
    free(f->field);
    free(f->text);
    *f = (CsvFields){ 0 };
}

/* ---- writing ---- */

static bool has(Str s, char c)
{
    return s.n && memchr(s.p, c, s.n);
}

static void write_field(StrBuf *out, const CsvDialect *d, Str s, bool alone)
{
    const bool quote = has(s, d->delimiter) || has(s, d->quote) || has(s, '\n') || has(s, '\r') || (d->escape && has(s, d->escape)) ||
                       (d->skip_space && s.n && s.p[0] == ' ') || (alone && !s.n); /* an empty line is no row */
    if (!quote) {
        strbuf_add(out, s.p, s.n);
        return;
    }
    strbuf_addc(out, d->quote);
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == d->quote)
            strbuf_addc(out, d->doubled ? d->quote : d->escape);
        else if (d->escape && s.p[i] == d->escape)
            strbuf_addc(out, d->escape);
        strbuf_addc(out, s.p[i]);
    }
    strbuf_addc(out, d->quote);
}

void csv_write_row(StrBuf *out, const CsvDialect *d, bool lf, const Str *fields, size_t n)
{
    BUG_ON(!d->quote || !(d->doubled || d->escape) || !n);
    for (size_t i = 0; i < n; i++) {
        if (i)
            strbuf_addc(out, d->delimiter);
        write_field(out, d, fields[i], n == 1);
    }
    strbuf_addz(out, d->line_end == '\r' ? "\r" : lf ? "\n" : "\r\n");
}
