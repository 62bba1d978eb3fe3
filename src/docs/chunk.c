/* chunk.c - see chunk.h. Three steps for each part: its text is cut into blocks (headings, paragraphs, tables, code), blocks over the target into
 * pieces, and pieces are joined into passages as long as the target allows.
 * Invariants: pieces lie in order and do not overlap; a passage is [from, to) of consecutive pieces, plus the overlap before them; headings never end
 * a passage, they open the next. To know another abbreviation: a row in short_words[]. */
#include "docs/chunk.h"

#include <ctype.h>

#include "base/mem.h"
#include "base/utf8.h"

#define DEFAULT_TARGET 4000
#define LEVELS         6

typedef enum { PIECE_TEXT, PIECE_HEADING, PIECE_TABLE, PIECE_BREAK } PieceKind;
typedef struct Piece { size_t from, to; PieceKind kind; int level; Str lead; } Piece; /* level of a heading, from 1 */

typedef struct Cutter {
    const DocPart *part;
    size_t         number;
    ChunkCfg       cfg;
    Str            s;
    VEC(Piece)     piece;
    ChunkList     *out;
    Str            heading[LEVELS]; /* open headings by level */
    /* the passage that grows */
    bool   open, only_headings;
    size_t from, to, units, overlap, last_text_to;
    char  *path;
    Str    lead;
} Cutter;

/* ---- sentences ---- */

static const char *const short_words[] = { "e.g", "i.e", "z.B", "d.h", "u.a", "vs", "cf", "Dr", "Mr", "Mrs", "Ms", "Prof", "St", "No", "Nr", "Fig", "Eq", "bzw",
                                           "ca", "vgl", "Abs", "Art", "approx", "Inc", "Ltd", "al", "p", "pp", "S", "Jan", "Feb", "Mar", "Apr", "Aug", "Sept",
                                           "Sep", "Oct", "Nov", "Dec" };

static bool is_space_at(Str s, size_t i)
{
    return i >= s.n || isspace((unsigned char)s.p[i]);
}

/* Is the full stop at `dot` part of a word? */
static bool is_short(Str s, size_t at, size_t dot)
{
    size_t from = dot;
    while (from > at && !isspace((unsigned char)s.p[from - 1]) && s.p[from - 1] != '(')
        from--;
    const Str word = { s.p + from, dot - from };
    if (!word.n)
        return false;
    if (word.n == 1 && isupper((unsigned char)word.p[0]))
        return true; /* an initial */
    bool digits = word.n <= 3;
    for (size_t i = 0; i < word.n; i++)
        digits = digits && isdigit((unsigned char)word.p[i]);
    if (digits && (from == at || s.p[from - 1] == '\n' || s.p[from - 1] == ' ') && dot + 1 < s.n && s.p[dot + 1] == ' ' && (from == at || s.p[from - 1] == '\n'))
        return true; /* a list's number */
    for (size_t i = 0; i < ARRAY_LEN(short_words); i++)
        if (str_eqz(word, short_words[i]))
            return true;
    return false;
}

static size_t mark_length(Str s, size_t i, bool *wide)
{
    static const char *const wides[] = { "\xe3\x80\x82", "\xef\xbc\x81", "\xef\xbc\x9f" }; /* 。！？ */
    *wide = false;
    if (s.p[i] == '.' || s.p[i] == '!' || s.p[i] == '?')
        return 1;
    for (size_t k = 0; k < ARRAY_LEN(wides); k++)
        if (str_starts((Str){ s.p + i, s.n - i }, wides[k])) {
            *wide = true;
            return 3;
        }
    return str_starts((Str){ s.p + i, s.n - i }, "\xe2\x80\xa6") ? 3 : 0; /* … */
}

size_t sentence_end(Str s, size_t at)
{
    static const char *const closers[] = { "\"", "'", ")", "]", "\xe2\x80\x9d", "\xe2\x80\x9c", "\xe2\x80\x99", "\xc2\xbb", "\xe3\x80\x8d" };
    for (size_t i = at; i < s.n;) {
        bool         wide;
        const size_t n = mark_length(s, i, &wide);
        if (s.p[i] == '\n' && i + 1 < s.n && (s.p[i + 1] == '-' || s.p[i + 1] == '\n' || s.p[i + 1] == '|') && i > at)
            return i; /* a list's line, a paragraph, a row */
        if (!n) {
            i++;
            continue;
        }
        size_t end = i + n;
        bool   more = true, again;
        while (more) {
            more = end < s.n && mark_length(s, end, &again) > 0;
            end += more ? mark_length(s, end, &again) : 0;
        }
        for (size_t k = 0; k < ARRAY_LEN(closers); k++)
            if (str_starts((Str){ s.p + end, s.n - end }, closers[k])) {
                end += strlen(closers[k]);
                k = SIZE_MAX; /* another may follow */
            }
        size_t next = end;
        while (next < s.n && isspace((unsigned char)s.p[next]))
            next++;
        const bool small = next < s.n && islower((unsigned char)s.p[next]);
        if (wide || (is_space_at(s, end) && !small && !(s.p[i] == '.' && end == i + 1 && is_short(s, at, i))))
            return end;
        i = end;
    }
    return s.n;
}

/* ---- counting ---- */

static size_t count(const Cutter *c, size_t from, size_t to)
{
    const Str s = { c->s.p + from, to - from };
    if (c->cfg.count)
        return c->cfg.count(c->cfg.ctx, s);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

/* ---- pieces ---- */

static void add_piece(Cutter *c, size_t from, size_t to, PieceKind kind, int level, Str lead)
{
    while (from < to && isspace((unsigned char)c->s.p[from]) && kind != PIECE_BREAK)
        from++;
    while (from < to && isspace((unsigned char)c->s.p[to - 1]) && kind != PIECE_BREAK)
        to--;
    if (from < to)
        *vec_push(&c->piece) = (Piece){ from, to, kind, level, lead };
}

/* The longest beginning of [from, to) that fits, by halving; at a blank when there is one, never inside a character, at least one character. */
static size_t fitting(const Cutter *c, size_t from, size_t to)
{
    size_t good = from, bad = to + 1;
    while (bad - good > 1) {
        const size_t half = good + (bad - good) / 2;
        size_t       whole = half; /* a counter sees whole characters only */
        while (whole > from && whole < c->s.n && ((unsigned char)c->s.p[whole] & 0xc0) == 0x80)
            whole--;
        if (count(c, from, whole) <= c->cfg.target)
            good = half;
        else
            bad = half;
    }
    size_t at = good;
    while (at > from && at < c->s.n && ((unsigned char)c->s.p[at] & 0xc0) == 0x80)
        at--;
    if (at == from) { /* one character alone passes the target */
        at++;
        while (at < to && ((unsigned char)c->s.p[at] & 0xc0) == 0x80)
            at++;
        return at;
    }
    for (size_t k = at; k > from && at < to; k--)
        if (isspace((unsigned char)c->s.p[k - 1]))
            return k;
    return at;
}

static void cut_hard(Cutter *c, size_t from, size_t to, PieceKind kind, Str lead)
{
    while (from < to) {
        size_t window = MIN(to, from + 16 * MIN(c->cfg.target, (size_t)1 << 40)); /* counting to the end each time would take the square of its length */
        while (window < to && ((unsigned char)c->s.p[window] & 0xc0) == 0x80)
            window++;
        while (window < to && count(c, from, window) <= c->cfg.target) {
            window = MIN(to, from + 2 * (window - from));
            while (window < to && ((unsigned char)c->s.p[window] & 0xc0) == 0x80)
                window++;
        }
        const size_t end = count(c, from, window) <= c->cfg.target ? window : fitting(c, from, window);
        add_piece(c, from, end, kind, 0, lead);
        from = end;
    }
}

static size_t line_end(Str s, size_t at, size_t to)
{
    const char *nl = memchr(s.p + at, '\n', to - at);
    return nl ? (size_t)(nl - s.p) : to;
}

/* By sentences (text) or by lines (tables, code). */
static void cut_block(Cutter *c, size_t from, size_t to, PieceKind kind, bool lines)
{
    const Str block = { c->s.p, to };
    Str       lead = { 0 };
    if (count(c, from, to) <= c->cfg.target) {
        add_piece(c, from, to, kind, 0, lead);
        return;
    }
    if (kind == PIECE_TABLE) {
        size_t rule = line_end(c->s, from, to), end = rule < to ? line_end(c->s, rule + 1, to) : to;
        if (rule + 2 < end && c->s.p[rule + 1] == '|' && memmem(c->s.p + rule, end - rule, "---", 3))
            lead = (Str){ c->s.p + from, end - from };
    }
    for (size_t at = from; at < to;) {
        while (at < to && isspace((unsigned char)c->s.p[at]))
            at++;
        if (at >= to)
            break;
        const size_t end = MAX(lines ? line_end(c->s, at, to) : sentence_end(block, at), at + 1);
        const bool   inside_head = lead.n && at < from + lead.n;
        if (count(c, at, end) <= c->cfg.target)
            add_piece(c, at, end, kind, 0, inside_head ? (Str){ 0 } : lead);
        else
            cut_hard(c, at, end, kind, inside_head ? (Str){ 0 } : lead);
        at = end;
    }
}

/* Which kinds have headings, tables and code by their first letters: others are letters as they are. */
static bool has_structure(DocKind k)
{
    return k != DOC_TEXT && k != DOC_MAIL && k != DOC_PDF && k != DOC_XML;
}

static int heading_level(Str line)
{
    int n = 0;
    while ((size_t)n < line.n && line.p[n] == '#')
        n++;
    return n >= 1 && n <= LEVELS && (size_t)n < line.n && line.p[n] == ' ' ? n : 0;
}

static bool is_blank(Str line)
{
    for (size_t i = 0; i < line.n; i++)
        if (line.p[i] != ' ' && line.p[i] != '\t' && line.p[i] != '\r')
            return false;
    return true;
}

static void cut_range(Cutter *c, size_t from, size_t to)
{
    const bool structure = has_structure(c->part->kind);
    size_t     para = SIZE_MAX;
    for (size_t at = from; at < to;) {
        const size_t end = line_end(c->s, at, to);
        const Str    line = { c->s.p + at, end - at };
        const int    looks = structure ? heading_level(line) : 0, level = looks && count(c, at, end) <= c->cfg.target ? looks : 0; /* else it is text */
        const bool   fence = structure && str_starts(line, "```"), row = structure && line.n && *line.p == '|', page = str_eqz(line, "\f");
        const bool   ends = is_blank(line) || level || fence || row || page;
        if (ends && para != SIZE_MAX) {
            cut_block(c, para, at, PIECE_TEXT, false);
            para = SIZE_MAX;
        }
        size_t next = MIN(end + 1, to);
        if (level) {
            add_piece(c, at, end, PIECE_HEADING, level, (Str){ 0 });
        } else if (page) {
            add_piece(c, at, end, PIECE_BREAK, 0, (Str){ 0 });
        } else if (fence) {
            while (next < to && !str_starts((Str){ c->s.p + next, to - next }, "```"))
                next = MIN(line_end(c->s, next, to) + 1, to);
            next = next < to ? MIN(line_end(c->s, next, to) + 1, to) : to;
            cut_block(c, at, next, PIECE_TEXT, true);
        } else if (row) {
            while (next < to && c->s.p[next] == '|')
                next = MIN(line_end(c->s, next, to) + 1, to);
            cut_block(c, at, next, PIECE_TABLE, true);
        } else if (!ends && para == SIZE_MAX) {
            para = at;
        }
        at = next;
    }
    if (para != SIZE_MAX)
        cut_block(c, para, to, PIECE_TEXT, false);
}

/* ---- passages ---- */

static char *path_of(const Cutter *c)
{
    StrBuf b = { 0 };
    for (int i = 0; i < LEVELS; i++)
        if (c->heading[i].n)
            strbuf_addf(&b, "%s%.*s", b.n ? " > " : "", (int)MIN(c->heading[i].n, (size_t)1000), c->heading[i].p);
    return strbuf_take(&b);
}

static void set_heading(Cutter *c, const Piece *p)
{
    Str text = { c->s.p + p->from + p->level, p->to - p->from - (size_t)p->level };
    while (text.n && *text.p == ' ')
        text.p++, text.n--;
    c->heading[p->level - 1] = (Str){ text.p, utf8_complete(text.p, MIN(text.n, (size_t)1000)) };
    for (int i = p->level; i < LEVELS; i++)
        c->heading[i] = (Str){ 0 };
}

/* What two paths share, whole headings only; into a. */
static void common_path(char *a, const char *b)
{
    size_t same = 0, end = 0;
    for (; a[same] && a[same] == b[same]; same++)
        if (strncmp(a + same, " > ", 3) == 0)
            end = same;
    const bool a_ends = !a[same] && (!b[same] || strncmp(b + same, " > ", 3) == 0), b_ends = !b[same] && strncmp(a + same, " > ", 3) == 0;
    a[a_ends || b_ends ? same : end] = '\0';
}

static void emit(Cutter *c, size_t from, size_t to, size_t overlap, char *path, Str lead)
{
    *vec_push(&c->out->item) = (Chunk){ .part = c->number, .from = from, .to = to, .text = { c->s.p + from, to - from }, .units = count(c, from, to),
                                        .overlap = overlap, .path = path, .lead = lead };
}

/* Also a passage of headings alone, at the end of a part or before a page break: nothing of the text is lost. */
static void close_passage(Cutter *c)
{
    if (c->open)
        emit(c, c->from, c->to, c->overlap, c->path, c->lead);
    c->path = NULL;
    c->open = false;
}

static void open_passage(Cutter *c, const Piece *p)
{
    c->open = true;
    c->only_headings = p->kind == PIECE_HEADING;
    c->from = p->from;
    c->to = p->to;
    c->units = count(c, p->from, p->to);
    c->overlap = 0;
    c->lead = p->lead;
    c->path = path_of(c);
}

/* Where the last sentences of the passage before begin that fit into the overlap; its end when none does. */
static size_t overlap_from(const Cutter *c, size_t from, size_t to)
{
    VEC(size_t) begin = { 0 };
    const Str   s = { c->s.p, to };
    for (size_t at = from; at < to; at = MAX(sentence_end(s, at), at + 1)) {
        while (at < to && isspace((unsigned char)c->s.p[at]))
            at++;
        if (at < to)
            *vec_push(&begin) = at;
    }
    size_t best = to;
    for (size_t i = begin.n; i-- > 1;) { /* the first one would repeat the whole passage */
        if (count(c, begin.p[i], to) > c->cfg.overlap)
            break;
        best = begin.p[i];
    }
    vec_release(&begin);
    return best;
}

/* The open passage is full, and p begins the next one. Headings at its end (from headings_from; SIZE_MAX: none) come along: before p when they fit,
 * else as a passage of their own; without headings, the overlap comes along. */
static void next_passage(Cutter *c, const Piece *p, size_t headings_from)
{
    if (!c->open) {
        open_passage(c, p);
        return;
    }
    const size_t before_from = c->from, head = c->only_headings ? c->from : headings_from, head_to = c->to;
    if (c->only_headings) {
        free(c->path);
        c->path = NULL;
        c->open = false;
    } else {
        c->to = c->last_text_to;
        close_passage(c);
    }
    const size_t before_to = c->last_text_to;
    const bool   fits = head != SIZE_MAX && count(c, head, p->to) <= c->cfg.target;
    if (head != SIZE_MAX && !fits)
        emit(c, head, head_to, 0, path_of(c), (Str){ 0 });
    open_passage(c, p);
    if (fits) {
        c->from = head;
    } else if (head == SIZE_MAX && c->cfg.overlap && p->kind == PIECE_TEXT) {
        const size_t from = overlap_from(c, before_from, before_to);
        if (from < before_to && count(c, from, p->to) <= c->cfg.target) {
            c->from = from;
            c->overlap = before_to - from;
        }
    }
    c->units = count(c, c->from, p->to);
}

static void join(Cutter *c)
{
    const size_t least = c->cfg.target / 4;
    size_t       headings_from = SIZE_MAX; /* first of the headings that end the open passage */
    for (size_t i = 0; i < c->piece.n; i++) {
        const Piece *p = &c->piece.p[i];
        if (p->kind == PIECE_BREAK) {
            close_passage(c);
            continue;
        }
        if (p->kind == PIECE_HEADING) {
            if (c->open && !c->only_headings && headings_from == SIZE_MAX && c->units >= least)
                close_passage(c);
            set_heading(c, p);
        }
        const size_t more = c->open ? count(c, c->to, p->to) : 0;
        if (c->open && c->units + more <= c->cfg.target) {
            if (p->kind == PIECE_HEADING) {
                if (headings_from == SIZE_MAX || c->only_headings)
                    headings_from = p->from;
            } else {
                char *here = path_of(c);
                if (c->only_headings) {
                    free(c->path);
                    c->path = here;
                } else {
                    common_path(c->path, here);
                    free(here);
                }
                c->only_headings = false;
                headings_from = SIZE_MAX;
                c->last_text_to = p->to;
            }
            c->to = p->to;
            c->units += more;
            continue;
        }
        next_passage(c, p, headings_from);
        headings_from = p->kind == PIECE_HEADING ? p->from : SIZE_MAX;
        c->last_text_to = p->to;
    }
    close_passage(c);
}

int doc_chunk(const DocOut *doc, const ChunkCfg *cfg, ChunkList *out, Err *e)
{
    ChunkCfg own = cfg ? *cfg : (ChunkCfg){ 0 };
    own.target = own.target ? own.target : DEFAULT_TARGET;
    if (own.overlap >= (own.target + 1) / 2)
        return err_set(e, ERR_ARG, "an overlap of %zu is half of the passages' target of %zu or more; take a smaller one", own.overlap, own.target);
    for (size_t i = 0; i < doc->part.n; i++) {
        const DocPart *p = &doc->part.p[i];
        Cutter         c = { .part = p, .number = i, .cfg = own, .s = { p->text, p->n }, .out = out };
        size_t         at = 0;
        for (size_t k = 0; own.drop_marked && k < p->span.n; k++) {
            cut_range(&c, at, p->span.p[k].from);
            if (c.piece.n && c.piece.p[c.piece.n - 1].kind != PIECE_BREAK) /* what was left out parts passages */
                *vec_push(&c.piece) = (Piece){ .from = p->span.p[k].from, .to = p->span.p[k].from, .kind = PIECE_BREAK };
            at = p->span.p[k].to;
        }
        cut_range(&c, at, p->n);
        join(&c);
        vec_release(&c.piece);
    }
    return 0;
}

void chunk_release(ChunkList *l)
{
    for (size_t i = 0; i < l->item.n; i++)
        free(l->item.p[i].path);
    vec_release(&l->item);
}
