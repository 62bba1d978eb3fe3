/* repair_markup.c - HTML entities and presentational tags that an export left in plain text. Conservative: a text that speaks of markup, or
 * holds any tag that is not in tags[], or an unclosed one that may be a placeholder ("<table>"), stays as it is.
 * A text that is HTML itself, as mails and tickets in exports are, is judged by what a reader of the page would see: what it hides (scripts, styles, comments,
 * its head) is taken out first and does not make it a text about markup.
 * Invariant: nothing inside code fences or `inline code` is touched. To add a tag: a row of tags[]; an entity: tools/repair_tables.py. */
#include "prep/repair_int.h"

#include <stdlib.h>
#include <strings.h>

#define REPAIR_ENTITY_TABLES
#include "prep/repair_tables.inc"

#define ENTITY_MAX 12  /* bytes between & and ; */
#define TAG_MAX    512 /* bytes of a tag with its attributes */

/* Whether text holds `part` (lower case, ASCII) in any case. */
static bool is_letter(char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }

/* A part that begins with a letter begins a word: "used it" does not speak of sed. */
static bool holds_nocase(Str text, const char *part)
{
    const size_t n = strlen(part);
    for (size_t i = 0; i + n <= text.n; i++)
        if ((text.p[i] | 0x20) == (part[0] | 0x20) && !(i && is_letter(part[0]) && is_letter(text.p[i - 1])) && strncasecmp(text.p + i, part, n) == 0)
            return true;
    return false;
}

/* ---- what a page hides ----------------------------------------------------------------------------------------------------------------------------- */

/* Elements whose content is no text, and marks: from the first string to the last. */
static const struct { const char *open, *close; bool element; } hides[] = {
    { "<script", "</script", true }, { "<style", "</style", true },     { "<head", "</head", true },    { "<title", "</title", true }, { "<noscript", "</noscript", true },
    { "<svg", "</svg", true },       { "<template", "</template", true }, { "<!--", "-->", false },      { "<![", ">", false },         { "<!doctype", ">", false },
    { "<?xml", ">", false },         { "<xml", "</xml", true },
};

static const char *find_nocase(const char *p, const char *end, const char *part)
{
    const size_t n = strlen(part);
    for (; (size_t)(end - p) >= n; p++) {
        p = memchr(p, part[0], (size_t)(end - p) - n + 1); /* '<' or '-': the same in both cases */
        if (!p)
            return NULL;
        if (strncasecmp(p, part, n) == 0)
            return p;
    }
    return NULL;
}

/* The length of the hidden part at p, which is '<'; 0: none. One that is not closed is none: the text may be cut, or be about the tag. */
static size_t hidden_at(const char *p, const char *end)
{
    for (size_t i = 0; i < ARRAY_LEN(hides); i++) {
        const size_t n = strlen(hides[i].open);
        if ((size_t)(end - p) <= n || strncasecmp(p, hides[i].open, n) != 0 || (hides[i].element && !memchr(" >\t\r\n/", p[n], 6)))
            continue;
        const char *close = find_nocase(p + n, end, hides[i].close);
        const char *last = close && hides[i].element ? memchr(close, '>', (size_t)(end - close)) : close;
        return last ? (size_t)(last - p) + (hides[i].element ? 1 : strlen(hides[i].close)) : 0;
    }
    return 0;
}

/* The text without its hidden parts, and how many there were; only those where a page has them: behind a tag, at the start of a line or of the text. */
static size_t take_hidden(StrBuf *out, Str in)
{
    const char *end = in.p + in.n;
    size_t      count = 0, tick = 0;
    for (size_t i = 0; i < in.n;) {
        tick += in.p[i] == '`';
        const size_t n = in.p[i] == '<' && !(tick & 1) ? hidden_at(in.p + i, end) : 0;
        size_t       k = out->n;
        while (n && k > 0 && memchr(" \t", out->p[k - 1], 2))
            k--;
        if (n && (k == 0 || out->p[k - 1] == '\n' || out->p[k - 1] == '>')) {
            count++;
            i += n;
        } else {
            strbuf_addc(out, in.p[i++]);
        }
    }
    return count;
}

static bool begins_as_page(Str s)
{
    static const char *const starts[] = { "<!doctype", "<html", "<head", "<body", "<div", "<p>", "<p ", "<table", "<style", "<script", "<span", "<meta", "<center", "<font", "<!--", "<?xml" };
    while (s.n && memchr(" \t\n", *s.p, 3))
        s = (Str){ s.p + 1, s.n - 1 };
    for (size_t i = 0; i < ARRAY_LEN(starts); i++)
        if (s.n > strlen(starts[i]) && strncasecmp(s.p, starts[i], strlen(starts[i])) == 0)
            return true;
    return false;
}

bool repair_is_page(Str s)
{
    if (!s.n || !memchr(s.p, '<', s.n) || !memchr(s.p, '>', s.n) || memmem(s.p, s.n, "```", 3))
        return false;
    if (begins_as_page(s))
        return true;
    StrBuf shown = { 0 };
    const size_t n = take_hidden(&shown, s);
    strbuf_release(&shown);
    return n > 0;
}

bool repair_asks_for_page(Str text)
{
    static const char *const words[] = { "page", "website", "web site", "site ", "webseite", "seite ", "sito ", "pagina", "p\xC3\xA1gina", "javascript", "script", "button", "form ", "code",
                                         "function", "frontend", "front-end", "layout", "component", "stylesheet", "template", "snippet", "tag", "element", "bootstrap", "svg" };
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (holds_nocase(text, words[i]))
            return true;
    return repair_about_markup(text);
}

static bool says_markup(Str text);

bool repair_about_markup(Str text)
{
    if (!repair_is_page(text))
        return says_markup(text);
    StrBuf shown = { 0 }, words = { 0 };
    take_hidden(&shown, text);
    for (size_t i = 0; i < shown.n; i++) { /* of tags and their attributes nothing is said */
        const char *close = shown.p[i] == '<' ? memchr(shown.p + i, '>', shown.n - i) : NULL;
        strbuf_addc(&words, close ? ' ' : shown.p[i]);
        i = close ? (size_t)(close - shown.p) : i;
    }
    const bool about = says_markup(strbuf_str(&words));
    strbuf_release(&shown);
    strbuf_release(&words);
    return about;
}

size_t repair_hidden(StrBuf *out, Str in)
{
    static const char *const about[] = { "script", "style", "tag", "code", "browser", "comment" };
    if (!repair_is_page(in) || repair_about_markup(in))
        return 0;
    const size_t count = take_hidden(out, in);
    if (!begins_as_page(in)) /* a text with something hidden in it: it must not speak of that */
        for (size_t i = 0; count && i < ARRAY_LEN(about); i++)
            if (holds_nocase(strbuf_str(out), about[i]))
                return 0;
    for (size_t i = 0; i < out->n; i++)
        if (!memchr(" \t\n", out->p[i], 3))
            return count;
    return 0; /* nothing is shown at all: left for a person to see */
}

/* ---- entities and tags ------------------------------------------------------------------------------------------------------------------------------- */

static bool says_markup(Str text)
{
    static const char *const words[] = { "html", "xml", "svg", "markup", "entity", "entities", "escape ", "<script", "<?", "<!", "css", "jsx", "react ",
                                         "xpath", "href attr", "regex", "web page", "webpage", "sed ", "grep", "awk ", "tags ", "tag>" };
    if (!memchr(text.p ? text.p : "", '<', text.n) && !memchr(text.p ? text.p : "", '&', text.n) && text.n > (size_t)1 << 16)
        return false; /* a long text that only mentions one of the words in passing */
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (holds_nocase(text, words[i]))
            return true;
    for (const char *p = text.p, *end = text.p + text.n; p && (p = memmem(p, (size_t)(end - p), "&lt;", 4)); p += 4)
        if (p + 4 < end && (p[4] == '/' || p[4] == '!' || ((p[4] | 0x20) >= 'a' && (p[4] | 0x20) <= 'z')))
            return true; /* an escaped tag was meant to be seen */
    return false;
}

static int entity_order(const void *key, const void *row)
{
    return strcmp(key, ((const char *)row));
}

/* The character of the entity at p, which is '&'; *len its length with ; . 0: none. */
static uint32_t entity_at(const char *p, size_t n, size_t *len, bool *plain)
{
    char name[ENTITY_MAX + 1];
    size_t k = 1;
    while (k < n && k <= ENTITY_MAX && (p[k] == '#' || (p[k] >= '0' && p[k] <= '9') || ((p[k] | 0x20) >= 'a' && (p[k] | 0x20) <= 'z')))
        k++;
    if (k == 1 || k >= n || p[k] != ';')
        return 0;
    memcpy(name, p + 1, k - 1);
    name[k - 1] = '\0';
    *len = k + 1;
    *plain = true;
    if (name[0] != '#') {
        static const char *const xml[] = { "amp", "lt", "gt", "quot", "apos", "nbsp" };
        const void *row = bsearch(name, entities, ARRAY_LEN(entities), sizeof entities[0], entity_order);
        *plain = false;
        for (size_t i = 0; i < ARRAY_LEN(xml); i++)
            *plain = *plain || strcmp(name, xml[i]) == 0;
        return row ? entities[(size_t)((const char *)row - (const char *)entities) / sizeof entities[0]].cp : 0;
    }
    const bool hex = name[1] == 'x' || name[1] == 'X';
    const char *digits = name + (hex ? 2 : 1);
    char *end;
    if (!*digits || !((*digits >= '0' && *digits <= '9') || (hex && strchr("abcdefABCDEF", *digits))))
        return 0;
    const unsigned long v = strtoul(digits, &end, hex ? 16 : 10);
    if (*end || v > 0x10FFFF || (v >= 0xD800 && v < 0xE000) || (v < 0x20 && v != 9 && v != 10) || (v >= 0x7F && v < 0xA0))
        return 0;
    return (uint32_t)v;
}

size_t repair_entities(StrBuf *out, Str in)
{
    size_t count = 0;
    Str line;
    if (memchr(in.p, '<', in.n) || repair_about_markup(in))
        return 0;
    for (RepairLines l = { 0 }; repair_next_line(&l, in, &line);) {
        bool code = false;
        for (size_t i = 0; i < line.n;) {
            size_t len = 0;
            bool plain = false;
            uint32_t cp = 0;
            code = code != (line.p[i] == '`');
            if (line.p[i] == '&' && !code && !l.code)
                cp = entity_at(line.p + i, line.n - i, &len, &plain);
            size_t k = i; /* `= &copy;` in C is the address of a variable */
            while (k > 0 && line.p[k - 1] == ' ')
                k--;
            if (cp && (plain || k == 0 || !strchr("=(,*&", line.p[k - 1]))) {
                char bytes[4];
                strbuf_add(out, bytes, (size_t)utf8_encode(cp, bytes));
                i += len;
                count++;
            } else {
                strbuf_addc(out, line.p[i++]);
            }
        }
        if (l.ended)
            strbuf_addc(out, '\n');
    }
    return count;
}

typedef enum { TAG_PAIR, TAG_LOOSE, TAG_VOID } TagKind; /* must be closed; may be left open where other tags show that this is HTML; has no end */
static const struct { const char *name; TagKind kind; const char *open, *close; } tags[] = {
    { "a", TAG_PAIR, "", "" },       { "abbr", TAG_PAIR, "", "" },    { "b", TAG_PAIR, "", "" },       { "html", TAG_LOOSE, "", "" },
    { "body", TAG_LOOSE, "", "" },   { "meta", TAG_VOID, "", "" },    { "link", TAG_VOID, "", "" },    { "o:p", TAG_PAIR, "", "" },
    { "article", TAG_PAIR, "\n", "\n" }, { "section", TAG_PAIR, "\n", "\n" }, { "header", TAG_PAIR, "\n", "\n" }, { "footer", TAG_PAIR, "\n", "\n" },
    { "main", TAG_PAIR, "\n", "\n" }, { "figure", TAG_PAIR, "\n", "\n" }, { "col", TAG_VOID, "", "" }, { "colgroup", TAG_PAIR, "", "" },       { "big", TAG_PAIR, "", "" },
    { "blockquote", TAG_PAIR, "\n", "\n" }, { "br", TAG_VOID, "\n", "\n" }, { "center", TAG_PAIR, "", "" }, { "cite", TAG_PAIR, "", "" },
    { "dd", TAG_LOOSE, " ", "\n" },  { "del", TAG_PAIR, "", "" },     { "div", TAG_PAIR, "\n", "\n" },   { "dl", TAG_PAIR, "", "\n" },
    { "dt", TAG_LOOSE, "", "\n" },   { "em", TAG_PAIR, "", "" },      { "font", TAG_PAIR, "", "" },    { "h1", TAG_PAIR, "", "\n" },
    { "h2", TAG_PAIR, "", "\n" },    { "h3", TAG_PAIR, "", "\n" },    { "h4", TAG_PAIR, "", "\n" },    { "h5", TAG_PAIR, "", "\n" },
    { "h6", TAG_PAIR, "", "\n" },    { "hr", TAG_VOID, "\n", "\n" },  { "i", TAG_PAIR, "", "" },       { "img", TAG_VOID, "", "" },
    { "ins", TAG_PAIR, "", "" },     { "li", TAG_LOOSE, "- ", "\n" }, { "ol", TAG_PAIR, "\n", "\n" },  { "p", TAG_LOOSE, "", "\n" },
    { "small", TAG_PAIR, "", "" },   { "span", TAG_PAIR, "", "" },    { "strong", TAG_PAIR, "", "" },  { "table", TAG_PAIR, "\n", "\n" },
    { "tbody", TAG_PAIR, "", "" },   { "td", TAG_LOOSE, " ", " " },   { "th", TAG_LOOSE, " ", " " },   { "thead", TAG_PAIR, "", "" },
    { "tr", TAG_LOOSE, "", "\n" },   { "u", TAG_PAIR, "", "" },       { "ul", TAG_PAIR, "\n", "\n" },  { "wbr", TAG_VOID, "", "" },
}; /* not sub and sup: without them 10<sup>2</sup> is another number; not code and pre */

typedef struct Tag { size_t row, len; bool close; } Tag;

static bool is_tag_start(const char *p, size_t n)
{
    return n > 1 && p[0] == '<' && (p[1] == '/' || p[1] == '!' || p[1] == '?' || ((p[1] | 0x20) >= 'a' && (p[1] | 0x20) <= 'z'));
}

static bool tag_at(const char *p, size_t n, Tag *t)
{
    const size_t name = 1 + (p[1] == '/');
    size_t k = name;
    while (k < n && (((p[k] | 0x20) >= 'a' && (p[k] | 0x20) <= 'z') || (p[k] >= '1' && p[k] <= '6') || p[k] == ':'))
        k++;
    for (t->row = 0; t->row < ARRAY_LEN(tags); t->row++)
        if (strlen(tags[t->row].name) == k - name && strncasecmp(tags[t->row].name, p + name, k - name) == 0)
            break;
    if (t->row == ARRAY_LEN(tags) || k >= n || !strchr(" />\t", p[k]))
        return false;
    const char *end = memchr(p + k, '>', MIN(n - k, (size_t)TAG_MAX));
    if (!end || memchr(p + k, '<', (size_t)(end - (p + k))))
        return false;
    t->len = (size_t)(end - p) + 1;
    t->close = p[1] == '/';
    if (t->close || end[-1] == '/')
        return true;
    return end == p + k || memchr(p + k, '=', (size_t)(end - (p + k))); /* "<a file>" is a placeholder, "<a href=...>" a tag */
}

/* Every tag is known, outside code, and closed as its kind asks. */
static bool tags_are_leftovers(Str in)
{
    int opened[ARRAY_LEN(tags)] = { 0 };
    bool sure = false, any = false;
    Str line;
    for (RepairLines l = { 0 }; repair_next_line(&l, in, &line);) {
        bool code = false;
        for (size_t i = 0; i < line.n; i++) {
            Tag t;
            code = code != (line.p[i] == '`');
            if (!is_tag_start(line.p + i, line.n - i))
                continue;
            if (code || l.code || !tag_at(line.p + i, line.n - i, &t))
                return false;
            any = true;
            sure = sure || t.close || tags[t.row].kind == TAG_VOID;
            opened[t.row] += t.close ? (opened[t.row] > 0 ? -1 : 0) : 1;
            i += t.len - 1;
        }
    }
    for (size_t k = 0; k < ARRAY_LEN(tags); k++)
        if (opened[k] > 0 && (tags[k].kind == TAG_PAIR || (tags[k].kind == TAG_LOOSE && !sure)))
            return false;
    return any;
}

size_t repair_tags(StrBuf *out, Str in)
{
    size_t count = 0;
    Str line;
    if (!tags_are_leftovers(in) || repair_about_markup(in))
        return 0;
    for (RepairLines l = { 0 }; repair_next_line(&l, in, &line);) {
        const bool table = repair_trim(line).n && *repair_trim(line).p == '|'; /* a row of a Markdown table must stay one line */
        for (size_t i = 0; i < line.n;) {
            Tag t;
            if (!is_tag_start(line.p + i, line.n - i)) {
                strbuf_addc(out, line.p[i++]);
                continue;
            }
            BUG_ON(!tag_at(line.p + i, line.n - i, &t)); /* tags_are_leftovers has seen all of them */
            const char *to = t.close ? tags[t.row].close : tags[t.row].open;
            strbuf_addz(out, table && *to ? " " : to);
            i += t.len;
            count++;
        }
        if (l.ended)
            strbuf_addc(out, '\n');
    }
    return count;
}
