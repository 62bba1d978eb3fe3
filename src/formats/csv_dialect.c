/* csv_dialect.c - finds delimiter, quote, escape and header of a CSV file in its beginning.
 * The delimiter is the one that cuts most records into the same number of fields, two or more. Of equals the rarer character wins: in "1,5;2,5" both cut evenly,
 * and semicolons are not in numbers. A header is recognised by a name that data sets use, by numbers below a word, or else by names that look like names and do not
 * come again below, nor twice in the row; what is not plain is marked as a guess.
 * To add a delimiter or a well-known column name: delimiters[], known_names[]. */
#include "formats/csv.h"

#include "base/map.h"
#include "base/mem.h"

#include <stdlib.h>
#include <strings.h>

#define SAMPLE_RECORDS 300

static const char delimiters[] = "\t;|,";         /* of equals the first */

static bool is_line_end(char c)
{
    return c == '\n' || c == '\r';
}

static bool is_delimiter(char c)
{
    return c && strchr(delimiters, c);
}

/* ---- the marks ---- */

/* \" inside a field speaks for the backslash, "" inside a field for doubling. At a field's end \" is a path, "" an empty field. */
static void find_escape(CsvDialect *d, Str s, CsvChoice backslash)
{
    size_t escaped = 0, doubled = 0;
    for (size_t i = 1; d->quote && i + 1 < s.n; i++) {
        if (s.p[i] != d->quote)
            continue;
        const char before = s.p[i - 1], after = s.p[i + 1];
        const bool at_end = is_delimiter(after) || is_line_end(after);
        if (before == '\\')
            escaped += !at_end && after != d->quote;
        else if (after == d->quote && i + 2 < s.n)
            doubled += !(is_delimiter(before) || is_line_end(before)) || !(is_delimiter(s.p[i + 2]) || is_line_end(s.p[i + 2]));
    }
    const bool found = escaped && !doubled;
    d->escape = backslash == CSV_YES || (backslash == CSV_FIND && found) ? '\\' : 0;
    d->doubled = !d->escape || !found;
}

static bool find_skip_space(const CsvDialect *d, Str s)
{
    bool spaced = false;
    for (size_t i = 0; i + 2 < s.n; i++) {
        if (s.p[i] != d->delimiter)
            continue;
        if (s.p[i + 1] == d->quote)
            return false;
        spaced |= s.p[i + 1] == ' ' && s.p[i + 2] == d->quote;
    }
    return spaced;
}

/* ---- how evenly a dialect cuts ---- */

typedef struct Fit {
    size_t records, bad, mode, in_mode, quoted;       /* mode: the most frequent number of fields */
} Fit;

static bool is_blank(Str s)
{
    return s.n == 0;
}

static Fit fit(const CsvDialect *d, Str s, bool whole)
{
    Fit f = { 0 };
    CsvFields fields = { 0 };
    size_t counts[SAMPLE_RECORDS], first = 0, budget = 4 * s.n; /* first: fields of the first record; budget: as csv_resume has them */
    while (s.n && f.records < SAMPLE_RECORDS) {
        CsvCut c = csv_cut(d, s, whole, 0);
        if (c.kind == CSV_MORE || (c.kind != CSV_RECORD && c.kind != CSV_TOO_LONG && !csv_resume(d, s, whole, 0, first, &budget, &c)))
            break;
        const Str record = { s.p, c.n };
        const bool good = c.kind == CSV_RECORD && !csv_split(&fields, d, record, NULL);
        if (!good || !is_blank(record)) {
            first = first || !good ? first : fields.n;
            counts[f.records++] = good ? fields.n : 0;
            f.bad += !good;
            f.quoted += good ? fields.quoted : 0;
        }
        s = (Str){ s.p + c.used, s.n - c.used };
    }
    for (size_t i = 0; i < f.records; i++) {
        size_t same = 0;
        for (size_t k = 0; k < f.records; k++)
            same += counts[k] == counts[i];
        if (counts[i] >= 2 && same > f.in_mode) {
            f.in_mode = same;
            f.mode = counts[i];
        }
    }
    csv_fields_release(&fields);
    return f;
}

/* a cuts more evenly than b. */
static bool is_better(Fit a, Fit b)
{
    return a.in_mode * MAX(b.records, (size_t)1) > b.in_mode * MAX(a.records, (size_t)1);
}

static Fit find_delimiter(CsvDialect *d, Str s, bool whole, char given)
{
    const char one[] = { given, 0 }, *list = given ? one : delimiters;
    Fit best = { 0 };
    CsvDialect found = *d;
    found.delimiter = given ? given : ',';
    for (const char *c = list; *c; c++) {
        CsvDialect try = *d;
        try.delimiter = *c;
        try.skip_space = d->quote && find_skip_space(&try, s);
        const Fit f = fit(&try, s, whole);
        if (is_better(f, best) || given) {
            best = f;
            found = try;
        }
    }
    if (!given && best.in_mode * 2 < best.records)    /* one column of text with commas in it */
        found.delimiter = ',';
    *d = found;
    return best;
}

bool csv_is_regular(const CsvDialect *d, Str sample, bool whole)
{
    const Fit f = fit(d, sample, whole);
    return f.records && f.in_mode == f.records;
}

/* ---- the header ---- */

static const char *const known_names[] = {
    "text",     "label",   "labels",  "category", "class",      "intent",   "prompt",   "completion", "instruction", "input",    "output",  "question",
    "answer",   "answers", "messages", "system",  "user",       "assistant", "context", "response",   "id",          "name",     "title",   "body",
    "content",  "summary", "source",  "target",   "chosen",     "rejected", "score",    "date",       "url",         "language", "lang",    "description",
    "subject",  "email",   "query",   "document", "sentence",   "premise",  "hypothesis", "translation", "topic",    "type",     "status",  "comment",
    "message",  "rating",  "review",  "sentiment", "value",     "key",      "index",    "time",       "timestamp",   "author",   "tags",    "split",
};

/* A number, a date or a time: digits and their signs alone. */
static bool is_number(Str s)
{
    bool digit = false;
    for (size_t i = 0; i < s.n; i++) {
        digit |= s.p[i] >= '0' && s.p[i] <= '9';
        if (!s.p[i] || !strchr("0123456789.,+-eE%/: ", s.p[i]))
            return false;
    }
    return digit;
}

static bool is_known(Str s)
{
    for (size_t i = 0; i < ARRAY_LEN(known_names); i++)
        if (strlen(known_names[i]) == s.n && strncasecmp(known_names[i], s.p, s.n) == 0)
            return true;
    return false;
}

/* Short, no sentence. */
static bool looks_like_name(Str s)
{
    size_t spaces = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (is_line_end(s.p[i]) || s.p[i] == '?' || s.p[i] == '!' || (s.p[i] == '.' && (i + 1 == s.n || s.p[i + 1] == ' ')))
            return false;
        spaces += s.p[i] == ' ';
    }
    return s.n <= 64 && spaces <= 4;
}

typedef struct Heads {
    size_t n;
    bool   known, possible;    /* a well-known name among them; no number, no sentence, none empty but the first */
    bool   twice;              /* two are the same */
} Heads;

static Heads look_at_heads(const CsvFields *f)
{
    Heads h = { .n = f->n, .possible = f->n > 0 };
    Map *seen = map_new();
    for (size_t i = 0; i < f->n; i++) {
        const Str s = f->field[i];
        h.known |= is_known(s);
        h.possible &= (s.n || (i == 0 && f->n > 1)) && !is_number(s) && looks_like_name(s);
        h.twice |= s.n && !map_put(seen, s, 0);
    }
    map_free(seen);
    return h;
}

/* Looks at the first record against those below. */
static void find_header(CsvDialect *d, Str s, bool whole)
{
    CsvFields head = { 0 }, row = { 0 };
    size_t rows = 0, *numbers = NULL, again = 0;
    bool numeric = false;
    Heads h = { 0 };
    while (s.n && rows <= SAMPLE_RECORDS) {
        const CsvCut c = csv_cut(d, s, whole, 0);
        if (c.kind == CSV_MORE)
            break;
        const Str record = { s.p, c.n };
        CsvFields *to = h.n ? &row : &head;
        if (c.kind == CSV_RECORD && !is_blank(record) && !csv_split(to, d, record, NULL)) {
            if (!h.n) {
                h = look_at_heads(&head);
                numbers = mem_zalloc(h.n, sizeof *numbers);
            } else if (row.n == h.n) {
                rows++;
                for (size_t i = 0; i < h.n; i++) {
                    numbers[i] += is_number(row.field[i]);
                    again += str_eq(row.field[i], head.field[i]) && row.field[i].n;
                }
            }
        }
        s = (Str){ s.p + c.used, s.n - c.used };
    }
    for (size_t i = 0; i < h.n; i++)
        numeric |= rows && numbers[i] == rows;        /* numbers below, and the head is none: it is possible */
    d->header = h.possible && (h.known || numeric || (!again && !h.twice)); /* names that are plainly names stay so when two are the same: the reader refuses them */
    d->header_sure = !h.possible || h.known || numeric;
    free(numbers);
    csv_fields_release(&head);
    csv_fields_release(&row);
}

void csv_find_dialect(CsvDialect *d, Str sample, bool whole, char line_end, const CsvOptions *opt)
{
    const CsvOptions none = { 0 };
    opt = opt ? opt : &none;
    CsvDialect best = { .quote = opt->quote ? opt->quote : '"', .line_end = line_end };
    if (opt->quoting == CSV_NO)
        best.quote = 0;
    find_escape(&best, sample, opt->backslash);
    const CsvDialect start = best;
    const Fit f = find_delimiter(&best, sample, whole, opt->delimiter);
    if (!opt->quote && best.quote && !f.quoted) {     /* apostrophes are quotes only where they quote whole fields, evenly, and nothing else does */
        CsvDialect other = start;
        other.quote = '\'';
        find_escape(&other, sample, opt->backslash);
        const Fit g = find_delimiter(&other, sample, whole, opt->delimiter);
        if (g.quoted && !g.bad && !is_better(f, g))
            best = other;
    }
    best.header = opt->header == CSV_YES;
    best.header_sure = opt->header != CSV_FIND;
    if (opt->header == CSV_FIND)
        find_header(&best, sample, whole);
    *d = best;
}
