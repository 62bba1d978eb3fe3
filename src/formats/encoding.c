/* encoding.c - a stream of UTF-8 over a stream of anything.
 * Two ways: wide text and text of a given encoding run through iconv block by block; all other text is judged line by line, where blocks of valid UTF-8 pass
 * as they are.
 * Invariants: `ready` is text not yet taken, in raw[] (untouched input) or in out; the older encoding, once found, stays; finding it late looks at the ENCODING_PEEK
 * bytes from the first bad line on, so it does not depend on where blocks end.
 * To add an encoding to be found: encoding_guess.c. */
#include "formats/encoding.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "base/vec.h"
#include "formats/encoding_guess.h"

#include <errno.h>
#include <iconv.h>
#include <stdlib.h>

#define DECODER_RAW   (ENCODING_BLOCK + ENCODING_PEEK)
#define DECODER_MARKS ((size_t)1 << 20)       /* places of U+FFFD kept apart; further ones count for the last */
static const char replacement[] = "\xef\xbf\xbd";

typedef struct Mark { uint64_t at; uint32_t n; } Mark;
typedef struct Marks { VEC(Mark) at; size_t taken; } Marks; /* places in the output, ascending; the first `taken` are asked already */

/* How an encoding that was given reads two bytes that are a letter in UTF-8; wide: none was given, or one whose lines do not end in the byte 0x0a. */
typedef enum { GIVEN_WIDE, GIVEN_UTF8, GIVEN_PAIRS, GIVEN_SINGLE } GivenKind;

struct Decoder {
    EncodingRead read;
    void        *ctx;
    char        *where;
    char        *raw;                         /* [DECODER_RAW] input bytes; unread ones in [pos, end) */
    size_t       pos, end;
    bool         eof;
    Err          failed;                      /* why reading ended early; told when what was read is out */
    bool         whole;                       /* everything runs through iconv; otherwise line by line */
    bool         only_utf8;                   /* UTF-8 was asked for: what is not becomes U+FFFD */
    bool         found, pairs;                /* the older encoding is known; it has double bytes */
    size_t       unit;                        /* bytes that iconv passes over where nothing fits */
    iconv_t      cd;
    bool         cd_open;
    char        *given;                       /* the encoding's name, when the caller gave it */
    GivenKind    given_kind;
    char         line_end;
    int64_t      line;                        /* number of the line at raw[pos] */
    Str          ready;
    StrBuf       out;
    uint64_t     offset;                      /* of ready's first byte, in the output */
    Marks        lost, misread;               /* each U+FFFD; the starts of lines of UTF-8 that are read as another encoding */
    EncodingReport report;
};

/* ---- helpers ---- */

/* How many of the first n bytes are valid UTF-8; *beyond: one of them is not ASCII. */
static size_t valid_prefix(const char *p, size_t n, bool *beyond)
{
    size_t i = 0;
    while (i < n) {
        uint64_t w[4];
        while (n - i >= sizeof w) {           /* most text is ASCII: 32 bytes at a time */
            memcpy(w, p + i, sizeof w);
            if ((w[0] | w[1] | w[2] | w[3]) & 0x8080808080808080u)
                break;
            i += sizeof w;
        }
        for (size_t k = 0; i < n && k < sizeof w; k++) {
            uint32_t cp;
            const int len = (signed char)p[i] >= 0 ? 1 : utf8_decode(p + i, n - i, &cp);
            if (len < 0)
                return i;
            *beyond |= len > 1;
            i += (size_t)len;
        }
    }
    return n;
}

static int64_t count_lines(const char *p, size_t n, char line_end)
{
    int64_t lines = 0;
    for (const char *end = p + n; (p = memchr(p, line_end, (size_t)(end - p))); p++)
        lines++;
    return lines;
}

static void note_line(EncodingLines *l, int64_t line)
{
    if (l->count < ENCODING_FIRST)
        l->first[l->count] = line;
    l->count++;
}

/* Something is to be told of what goes out next. */
static void put_mark(Decoder *d, Marks *m)
{
    if (m->at.n - m->taken >= DECODER_MARKS)
        m->at.p[m->at.n - 1].n++;
    else
        *vec_push(&m->at) = (Mark){ d->offset + d->out.n, 1 };
}

/* One U+FFFD goes out next, from this line. */
static void replace(Decoder *d, int64_t line, int64_t *noted)
{
    put_mark(d, &d->lost);
    strbuf_addz(&d->out, replacement);
    d->report.characters++;
    if (*noted != line)
        note_line(&d->report.replaced, line);
    *noted = line;
}

static void fill(Decoder *d)
{
    memmove(d->raw, d->raw + d->pos, d->end - d->pos);
    d->end -= d->pos;
    d->pos = 0;
    while (!d->eof && d->end < DECODER_RAW) {
        size_t n = 0;
        d->eof = d->read(d->ctx, d->raw + d->end, DECODER_RAW - d->end, &n, &d->failed) || n == 0;
        d->end += n;
    }
}

static int open_iconv(Decoder *d, const char *name, Err *e)
{
    d->cd = iconv_open("UTF-8", name);
    d->cd_open = d->cd != (iconv_t)-1;
    if (d->cd_open)
        return 0;
    return err_set(e, ERR_ARG, "%s: this system cannot convert the encoding \"%s\"; \"iconv -l\" lists the names it knows", d->where, name);
}

/* Runs [p, p + n) through iconv into out; returns the bytes used, which are less only when the last character is cut off and `last` is false. */
static size_t convert(Decoder *d, const char *p, size_t n, bool last, int64_t line)
{
    char *in = (char *)(uintptr_t)p;          /* iconv does not write to it */
    size_t left = n, from = d->out.n;
    int64_t noted = 0;
    if (!n)
        return 0;
    while (left) {
        char text[4096], *to = text;
        size_t room = sizeof text;
        const size_t rc = iconv(d->cd, &in, &left, &to, &room);
        const int why = errno;
        strbuf_add(&d->out, text, sizeof text - room);
        if (rc != (size_t)-1 || why == E2BIG)
            continue;
        if (why == EINVAL && !last)
            break;
        if (d->whole) {                       /* lines are counted in the output, where a line end is one byte */
            line += count_lines(d->out.p + from, d->out.n - from, d->line_end);
            from = d->out.n;
        }
        replace(d, line, &noted);
        const size_t skip = why == EINVAL ? left : MIN(d->unit, left);
        in += skip;
        left -= skip;
        iconv(d->cd, NULL, NULL, NULL, NULL);
    }
    if (d->whole)
        d->line = line + count_lines(d->out.p + from, d->out.n - from, d->line_end);
    return n - left;
}

/* ---- line by line ---- */

typedef enum { LINE_GOOD, LINE_DAMAGED, LINE_OLD } LineKind;

typedef struct LineCounts { size_t whole, longer, broken; } LineCounts; /* characters of several bytes, of three and more, and what is none */

static LineCounts count_characters(Str line)
{
    LineCounts c = { 0 };
    for (size_t i = 0; i < line.n;) {
        uint32_t cp;
        const int len = (signed char)line.p[i] >= 0 ? 1 : utf8_decode(line.p + i, line.n - i, &cp);
        c.whole += len > 1;
        c.longer += len > 2;
        c.broken += len < 0;
        i += len < 0 ? 1 : (size_t)len;
    }
    return c;
}

/* Whole characters of several bytes speak for UTF-8, broken ones against it. In double-byte text a few short characters may look like UTF-8 by chance. */
static LineKind judge(const Decoder *d, Str line, bool *beyond)
{
    const LineCounts c = count_characters(line);
    const bool chance = d->pairs && c.longer == 0 && c.whole > 0;
    if (!c.broken && !chance) {
        *beyond |= c.whole > 0;
        return LINE_GOOD;
    }
    return d->only_utf8 || (c.broken && c.whole > c.broken && !d->pairs) ? LINE_DAMAGED : LINE_OLD;
}

/* The line is UTF-8 beyond ASCII, whatever the encoding that was given. */
static bool is_misread(const Decoder *d, Str line)
{
    const LineCounts c = count_characters(line);
    return c.whole > c.broken && (d->given_kind == GIVEN_SINGLE || (c.longer && !c.broken));
}

static size_t line_length(const Decoder *d, const char *p, size_t n)
{
    const char *end = memchr(p, d->line_end, n);
    return end ? (size_t)(end - p) + 1 : n;
}

/* Finds the older encoding from the lines of raw[at..] that need it, if there are any. */
static void find_old(Decoder *d, size_t at)
{
    StrBuf lines = { 0 };
    const size_t end = MIN(d->end, at + ENCODING_PEEK);
    bool beyond = false;
    while (at < end) {
        const size_t n = line_length(d, d->raw + at, end - at);
        Str line = { d->raw + at, n };
        if (at + n == end && !(d->eof && end == d->end))
            line.n = utf8_complete(line.p, n); /* a line cut by the end of what is looked at */
        if (valid_prefix(line.p, line.n, &beyond) < line.n && judge(d, line, &beyond) == LINE_OLD)
            strbuf_add(&lines, line.p, line.n);
        at += n;
    }
    if (lines.n) {
        const EncodingGuess g = encoding_guess(strbuf_str(&lines));
        d->found = open_iconv(d, g.iconv, NULL) == 0;
        d->only_utf8 = !d->found;             /* a system without this converter: what is not UTF-8 becomes U+FFFD, and is reported */
        d->pairs = d->found && g.pairs;
        d->report.name = d->found ? g.label : "UTF-8";
        d->report.guessed = true;
        d->report.unsure = g.unsure || !d->found;
        d->report.rival = d->found ? g.rival : NULL;
    }
    strbuf_release(&lines);
}

static void put_line(Decoder *d, Str line)
{
    switch (judge(d, line, &d->report.utf8)) {
    case LINE_GOOD:
        strbuf_add(&d->out, line.p, line.n);
        break;
    case LINE_DAMAGED: {
        int64_t noted = 0, converted = 0;
        for (size_t i = 0; i < line.n;) {
            bool beyond = true;
            const size_t good = valid_prefix(line.p + i, line.n - i, &beyond);
            strbuf_add(&d->out, line.p + i, good);
            i += good;
            if (i == line.n)
                break;
            if (d->found && !d->pairs) {      /* a field of the older encoding beside one of UTF-8: each byte says what it says there */
                if (converted != d->line)
                    note_line(&d->report.converted, d->line);
                converted = d->line;
                i += convert(d, line.p + i, 1, true, d->line);
                continue;
            }
            replace(d, d->line, &noted);
            StrBuf one = { 0 };               /* utf8_repair knows how many bytes belong to one broken character */
            size_t len = 1;
            while (len < 4 && i + len < line.n && ((unsigned char)line.p[i + len] & 0xc0) == 0x80) {
                strbuf_clear(&one);
                utf8_repair(&one, (Str){ line.p + i, len + 1 });
                if (one.n > sizeof replacement - 1)
                    break;
                len++;
            }
            strbuf_release(&one);
            i += len;
        }
        break;
    }
    case LINE_OLD:
        note_line(&d->report.converted, d->line);
        convert(d, line.p, line.n, true, d->line);
        break;
    }
}

/* The next piece of raw[] that may be judged: whole lines, or a cut that no encoding minds when a line is longer than a block. */
static size_t next_piece(const Decoder *d)
{
    const char *p = d->raw + d->pos;
    const size_t n = MIN(d->end - d->pos, ENCODING_BLOCK);
    if (d->eof && n == d->end - d->pos)
        return d->failed.code ? utf8_complete(p, n) : n;
    const char *end = memrchr(p, d->line_end, n);
    if (end)
        return (size_t)(end - p) + 1;
    for (size_t i = n; i > 0; i--)
        if ((unsigned char)p[i - 1] <= 0x2f)  /* never the second byte of a pair */
            return i;
    const size_t whole = utf8_complete(p, n);
    return whole ? whole : n;
}

static void step_lines(Decoder *d)
{
    const size_t n = next_piece(d);
    const char *p = d->raw + d->pos;
    size_t good = d->pairs ? 0 : valid_prefix(p, n, &d->report.utf8);
    if (good < n) {
        const char *start = memrchr(p, d->line_end, good);
        good = start ? (size_t)(start - p) + 1 : 0;
    }
    if (good) {
        d->ready = (Str){ p, good };
        d->line += count_lines(p, good, d->line_end);
        d->pos += good;
        return;
    }
    if (!d->found && !d->only_utf8)
        find_old(d, d->pos);
    for (size_t i = 0; i < n;) {
        const size_t len = line_length(d, p + i, n - i);
        put_line(d, (Str){ p + i, len });
        d->line += p[i + len - 1] == d->line_end;
        i += len;
    }
    d->pos += n;
    d->ready = strbuf_str(&d->out);
}

static void step_whole(Decoder *d)
{
    const bool by_line = d->given_kind == GIVEN_SINGLE || d->given_kind == GIVEN_PAIRS;
    const char *p = d->raw + d->pos;
    const size_t n = by_line ? next_piece(d) : MIN(d->end - d->pos, ENCODING_BLOCK);
    const bool last = d->eof && !d->failed.code && n == d->end - d->pos;
    size_t done = 0;
    for (size_t i = 0; i < n && by_line;) {       /* what lies between such lines is converted at once */
        const Str line = { p + i, line_length(d, p + i, n - i) };
        if (is_misread(d, line)) {
            done += convert(d, p + done, i - done, false, d->line);
            put_mark(d, &d->misread);
            note_line(&d->report.misread, d->line);
            done += convert(d, p + done, i + line.n - done, false, d->line);
        }
        i += line.n;
    }
    done += convert(d, p + done, n - done, last, d->line);
    d->pos += done;
    d->ready = strbuf_str(&d->out);
}

/* What iconv makes of a few bytes; returns its length, 0: they are no whole characters. */
static size_t probe(iconv_t cd, const char *bytes, char out[16])
{
    char *in = (char *)(uintptr_t)bytes, *to = out; /* iconv does not write to it */
    size_t left = strlen(bytes), room = 16;
    const size_t rc = iconv(cd, &in, &left, &to, &room);
    iconv(cd, NULL, NULL, NULL, NULL);
    return rc == (size_t)-1 || left ? 0 : 16 - room;
}

/* What the encoding that was given makes of a line end, and of a small e with acute in UTF-8. */
static GivenKind kind_of_given(const char *name)
{
    const iconv_t cd = iconv_open("UTF-8", name);
    char out[16];
    uint32_t cp = 0;
    GivenKind kind = GIVEN_WIDE;
    if (cd == (iconv_t)-1)
        return kind;
    if (probe(cd, "\n", out) == 1 && out[0] == '\n') {
        const size_t n = probe(cd, "\xc3\xa9", out);
        const bool one = n && utf8_decode(out, n, &cp) == (int)n;
        kind = !one ? GIVEN_SINGLE : cp == 0xe9 ? GIVEN_UTF8 : GIVEN_PAIRS;
    }
    iconv_close(cd);
    return kind;
}

int decoder_read(Decoder *d, char *p, size_t cap, size_t *n, Err *e)
{
    *n = 0;
    while (!d->ready.n) {
        strbuf_clear(&d->out);
        if (!d->eof && d->end - d->pos < ENCODING_PEEK) /* so much lies ahead when an encoding is looked for */
            fill(d);
        const size_t before = d->pos;
        if (d->pos < d->end)
            (d->whole ? step_whole : step_lines)(d);
        if (d->pos == before) {                         /* the end; or what was read ends inside a character */
            if (d->failed.code && e)
                *e = d->failed;
            return d->failed.code;
        }
    }
    *n = MIN(cap, d->ready.n);
    memcpy(p, d->ready.p, *n);
    d->ready.p += *n;
    d->ready.n -= *n;
    d->offset += *n;
    return 0;
}

/* ---- opening ---- */

/* A byte order mark, or UTF-16 without one. */
static int find_wide(Decoder *d, Err *e)
{
    static const struct { const char *bytes; size_t n, unit; const char *name; } boms[] = {
        { "\xff\xfe\x00\x00", 4, 4, "UTF-32LE" }, { "\x00\x00\xfe\xff", 4, 4, "UTF-32BE" }, { "\xef\xbb\xbf", 3, 1, "UTF-8" },
        { "\xff\xfe", 2, 2, "UTF-16LE" },         { "\xfe\xff", 2, 2, "UTF-16BE" },
    };
    for (size_t i = 0; i < ARRAY_LEN(boms); i++)
        if (d->end >= boms[i].n && memcmp(d->raw, boms[i].bytes, boms[i].n) == 0) {
            d->report.name = boms[i].name;
            d->report.bom = true;
            d->pos = boms[i].n;
            d->unit = boms[i].unit;
            d->whole = d->unit > 1;
            d->offset = d->whole ? 0 : boms[i].n; /* UTF-8 keeps the places of its bytes */
            return d->whole ? open_iconv(d, boms[i].name, e) : 0;
        }
    const EncodingWide wide = encoding_guess_wide((Str){ d->raw, MIN(d->end, ENCODING_PEEK) });
    if (wide == WIDE_NONE)
        return 0;
    d->report.name = wide == WIDE_LE ? "UTF-16LE" : "UTF-16BE";
    d->report.guessed = true;
    d->unit = 2;
    d->whole = true;
    return open_iconv(d, d->report.name, e);
}

static void find_line_end(Decoder *d)
{
    const size_t n = MIN(d->end, ENCODING_PEEK);
    const bool lf = memchr(d->raw, '\n', n) != NULL, cr = memchr(d->raw, '\r', n) != NULL; /* in wide text too, one half of the character */
    d->line_end = cr && !lf ? '\r' : '\n';
}

int decoder_open(Decoder **out, EncodingRead read, void *ctx, const char *encoding, const char *where, Err *e)
{
    Decoder *d = mem_zalloc(1, sizeof *d);
    *d = (Decoder){ .read = read, .ctx = ctx, .where = mem_strdup(where), .raw = mem_alloc(DECODER_RAW), .unit = 1, .line = 1 };
    d->report.name = "UTF-8";
    int rc = 0;
    fill(d);
    find_line_end(d);
    if (encoding) {
        d->given = mem_strdup(encoding);
        d->only_utf8 = strcasecmp(encoding, "UTF-8") == 0 || strcasecmp(encoding, "UTF8") == 0;
        d->whole = !d->only_utf8;
        d->report.name = d->given;
        if (d->whole) {
            static const struct { const char *prefix; size_t unit; } wide[] = { { "UTF-16", 2 }, { "UCS-2", 2 }, { "UTF-32", 4 }, { "UCS-4", 4 } };
            for (size_t i = 0; i < ARRAY_LEN(wide); i++)
                d->unit = strncasecmp(encoding, wide[i].prefix, strlen(wide[i].prefix)) == 0 ? wide[i].unit : d->unit;
            rc = open_iconv(d, encoding, e);
            d->given_kind = kind_of_given(encoding);
        } else if (d->end >= 3 && memcmp(d->raw, "\xef\xbb\xbf", 3) == 0) {
            d->offset = d->pos = 3;
            d->report.bom = true;
        }
    } else {
        rc = find_wide(d, e);
        if (!rc && !d->whole)
            find_old(d, d->pos);
    }
    if (rc) {
        decoder_close(d);
        d = NULL;
    }
    *out = d;
    return rc;
}

/* ---- asking ---- */

uint64_t decoder_offset(const Decoder *d)
{
    return d->offset;
}

char decoder_line_end(const Decoder *d)
{
    return d->line_end;
}

const EncodingReport *decoder_report(const Decoder *d)
{
    return &d->report;
}

static uint32_t take_marks(Marks *m, uint64_t from, uint64_t to)
{
    uint32_t n = 0;
    for (; m->taken < m->at.n && m->at.p[m->taken].at < to; m->taken++)
        n += m->at.p[m->taken].at >= from ? m->at.p[m->taken].n : 0;
    if (m->taken == m->at.n) {
        vec_clear(&m->at);
        m->taken = 0;
    }
    return n;
}

uint32_t decoder_replaced(Decoder *d, uint64_t from, uint64_t to) { return take_marks(&d->lost, from, to); }

uint32_t decoder_misread(Decoder *d, uint64_t from, uint64_t to) { return take_marks(&d->misread, from, to); }

void decoder_close(Decoder *d)
{
    if (!d)
        return;
    if (d->cd_open)
        iconv_close(d->cd);
    strbuf_release(&d->out);
    vec_release(&d->lost.at);
    vec_release(&d->misread.at);
    free(d->where);
    free(d->given);
    free(d->raw);
    free(d);
}

/* ---- a whole text ---- */

static int read_memory(void *ctx, void *p, size_t cap, size_t *n, Err *e)
{
    (void)e;
    Str *left = ctx;
    *n = MIN(cap, left->n);
    if (*n)
        memcpy(p, left->p, *n);
    *left = (Str){ left->p + *n, left->n - *n };
    return 0;
}

int encoding_to_utf8(StrBuf *out, Str text, const char *encoding, const char *where, EncodingReport *report, Err *e)
{
    Decoder *d = NULL;
    char block[16384];
    size_t n = 0;
    int rc = decoder_open(&d, read_memory, &text, encoding, where, e);
    while (!rc && !(rc = decoder_read(d, block, sizeof block, &n, e)) && n)
        strbuf_add(out, block, n);
    if (!rc && report) {
        *report = d->report;
        report->name = encoding ? encoding : report->name; /* the decoder's copy is gone afterwards */
    }
    decoder_close(d);
    return rc;
}
