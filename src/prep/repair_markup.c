/* repair_markup.c - HTML entities and presentational tags that an export left in plain text. Conservative: a text that speaks of markup, or
 * holds any tag that is not in tags[], or an unclosed one that may be a placeholder ("<table>"), stays as it is.
 * A text that is HTML itself, as mails and tickets in exports are, is judged by what a reader of the page would see: what it hides (scripts, styles, comments,
 * its head) is taken out first and does not make it a text about markup. The page may stand behind words of a template or a form ("Subject: <html>..."), unless
 * these ask for a page and what it shows is no letter. An address in angle brackets is no tag.
 * Invariant: nothing inside code fences or `inline code` is touched. To add a tag: a row of tags[]; an entity: tools/repair_tables.py. */
#include "prep/repair_int.h"

#include <stdlib.h>
#include <strings.h>

#define REPAIR_ENTITY_TABLES
#include "prep/repair_tables.inc"

#define ENTITY_MAX 12  /* bytes between & and ; */
#define TAG_MAX    512 /* bytes of a tag with its attributes */
#define BLANK_MAX  64  /* bytes of blanks between two blocks that are looked at for line breaks */
#define ADDRESS_MAX 320 /* bytes of an address in angle brackets: 64 before the @ and 255 behind it (RFC 5321, 4.5.3.1) */

static bool is_letter(char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }

/* Whether character i is inside of `inline code`, as the one before it was or was not. A tick that no other follows is an apostrophe. */
static bool in_code(Str s, size_t i, bool code)
{
    return s.p[i] != '`' ? code : !code && i + 1 < s.n && memchr(s.p + i + 1, '`', s.n - i - 1);
}

/* The address of a mail or of a page, as stands between angle brackets: ann@x.example, https://x.example/a */
static bool is_address(Str s)
{
    static const char *const schemes[] = { "http://", "https://", "mailto:", "tel:", "www." };
    const char *at = s.n ? memchr(s.p, '@', s.n) : NULL;
    if (!s.n || !(is_letter(*s.p) || (*s.p >= '0' && *s.p <= '9')))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= ' ' || memchr("<>\"", s.p[i], 3))
            return false;
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
        if (s.n > strlen(schemes[i]) && strncasecmp(s.p, schemes[i], strlen(schemes[i])) == 0)
            return true;
    return at && at + 1 < s.p + s.n && !memchr(s.p, '/', (size_t)(at - s.p)) && !memchr(s.p, '=', (size_t)(at - s.p));
}

/* What mail programs put between angle brackets, at p, which is '<': <ann@x.example>. */
static bool is_bracketed_address(const char *p, size_t n)
{
    const char *end = n > 1 ? memchr(p + 1, '>', MIN(n - 1, (size_t)ADDRESS_MAX + 1)) : NULL;
    return end && is_address((Str){ p + 1, (size_t)(end - p) - 1 });
}

static bool is_tag_start(const char *p, size_t n)
{
    return n > 1 && p[0] == '<' && (p[1] == '/' || p[1] == '!' || p[1] == '?' || is_letter(p[1])) && !is_bracketed_address(p, n);
}

/* Whether text holds `part` (lower case, ASCII) in any case. A part that begins with a letter begins a word: "used it" does not speak of sed. */
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

/* Whether the <?xml ...> at p belongs to HTML: it is one of Office's ("<?xml:namespace"), or the prolog of a page. That of an XML file stays. */
static bool is_html_prolog(const char *p, const char *end, const char *close)
{
    static const char *const heads[] = { "<!doctype html", "<html" };
    bool html = p[strlen("<?xml")] == ':';
    for (p = close + 1; p < end && memchr(" \t\n", *p, 3); p++)
        continue;
    for (size_t i = 0; i < ARRAY_LEN(heads); i++)
        html = html || ((size_t)(end - p) > strlen(heads[i]) && strncasecmp(p, heads[i], strlen(heads[i])) == 0);
    return html;
}

/* Where the hidden parts of one text end that begin before it, for each of hides: the last place looked up, NULL: not looked up; none: there is no further one. It is asked
 * for at every '<', so that a text of nothing but openers would take the square of its length. */
typedef struct Ends { const char *close[ARRAY_LEN(hides)], *last[ARRAY_LEN(hides)]; bool none[ARRAY_LEN(hides)]; } Ends;

/* The last byte of the hidden part of kind i whose inside begins at p, of a mark the first byte of its end; NULL: it is not closed. */
static const char *end_of(Ends *e, size_t i, const char *p, const char *end)
{
    if (e->none[i] || (e->close[i] && e->close[i] >= p))
        return e->none[i] ? NULL : e->last[i];
    e->close[i] = find_nocase(p, end, hides[i].close);
    e->last[i] = e->close[i] && hides[i].element ? memchr(e->close[i], '>', (size_t)(end - e->close[i])) : e->close[i];
    e->none[i] = !e->last[i];
    return e->last[i];
}

/* The length of the hidden part at p, which is '<'; 0: none. One that is not closed is none: the text may be cut, or be about the tag. */
static size_t hidden_at(Ends *ends, const char *p, const char *end)
{
    for (size_t i = 0; i < ARRAY_LEN(hides); i++) {
        const size_t n = strlen(hides[i].open);
        if ((size_t)(end - p) <= n || strncasecmp(p, hides[i].open, n) != 0 || (hides[i].element && !memchr(" >\t\r\n/", p[n], 6)))
            continue;
        const char *last = end_of(ends, i, p + n, end);
        if (last && strcmp(hides[i].open, "<?xml") == 0 && !is_html_prolog(p, end, last))
            return 0;
        return last ? (size_t)(last - p) + (hides[i].element ? 1 : strlen(hides[i].close)) : 0;
    }
    return 0;
}

/* The length of the blank that ends the text, 0: none. Spaces are written in several ways between the tags of a page. */
static size_t blank_before(Str s)
{
    static const char *const blanks[] = { " ", "\t", "\xC2\xA0", "&nbsp;", "&#160;", "&#xa0;", "&ensp;", "&emsp;", "&thinsp;", "&zwnj;", "&#8203;", "\xE2\x80\x8B" };
    for (size_t i = 0; i < ARRAY_LEN(blanks); i++) {
        const size_t n = strlen(blanks[i]);
        if (s.n >= n && strncasecmp(s.p + s.n - n, blanks[i], n) == 0)
            return n;
    }
    return 0;
}

/* The text without its hidden parts, and how many there were; only those where a page has them: behind a tag, at the start of a line or of the page (at in.p[page]),
 * blanks not counted; in a document everywhere, since nothing in such an element is ever shown. */
static size_t take_hidden(StrBuf *out, Str in, size_t page, bool document)
{
    const char *end = in.p + in.n;
    size_t      count = 0;
    bool        code = false;
    Ends        ends = { 0 };
    for (size_t i = 0; i < in.n;) {
        code = !document && in_code(in, i, code);
        const size_t n = in.p[i] == '<' && !code ? hidden_at(&ends, in.p + i, end) : 0;
        size_t       k = out->n;
        for (size_t blank = 1; n && !document && k > 0 && blank; k -= blank)
            blank = blank_before((Str){ out->p, k });
        if (n && (document || k == 0 || i == page || out->p[k - 1] == '\n' || out->p[k - 1] == '>')) {
            count++;
            i += n;
        } else {
            strbuf_addc(out, in.p[i++]);
        }
    }
    return count;
}

/* Whether a tag of this name ("<div") begins the text. */
static bool begins_with_tag(Str s, const char *open)
{
    const size_t n = strlen(open);
    return s.n > n && strncasecmp(s.p, open, n) == 0 && !(is_letter(open[n - 1]) && is_letter(s.p[n]));
}

/* The document itself, and not a piece of one. */
static bool begins_as_document(Str s)
{
    static const char *const starts[] = { "<!doctype html", "<html", "<head", "<body" };
    while (s.n && memchr(" \t\n", *s.p, 3))
        s = (Str){ s.p + 1, s.n - 1 };
    for (size_t i = 0; i < ARRAY_LEN(starts); i++)
        if (begins_with_tag(s, starts[i]))
            return true;
    return begins_with_tag(s, "<?xml") && hidden_at(&(Ends){ 0 }, s.p, s.p + s.n);
}

static bool begins_as_page(Str s)
{
    static const char *const starts[] = { "<div", "<p", "<table", "<style", "<script", "<span", "<meta", "<center", "<font", "<!--" };
    if (begins_as_document(s))
        return true;
    while (s.n && memchr(" \t\n", *s.p, 3))
        s = (Str){ s.p + 1, s.n - 1 };
    for (size_t i = 0; i < ARRAY_LEN(starts); i++)
        if (begins_with_tag(s, starts[i]))
            return true;
    return false;
}

static bool is_blank(Str s)
{
    size_t i = 0;
    while (i < s.n && memchr(" \t\n", s.p[i], 3))
        i++;
    return i == s.n;
}

static size_t first_tag(Str s)
{
    for (const char *p = s.n ? memchr(s.p, '<', s.n) : NULL, *end = s.p + s.n; p; p = memchr(p + 1, '<', (size_t)(end - p) - 1))
        if (is_tag_start(p, (size_t)(end - p)))
            return (size_t)(p - s.p);
    return s.n;
}

/* The words that a page shows: its tags, with what is said in them, are blanks. */
static void shown_words(StrBuf *out, Str page)
{
    bool closes = true; /* some > is still ahead */
    for (size_t i = 0; i < page.n; i++) {
        const char *close = page.p[i] == '<' && closes ? memchr(page.p + i, '>', page.n - i) : NULL;
        closes = closes && (close || page.p[i] != '<');
        strbuf_addc(out, close ? ' ' : page.p[i]);
        i = close ? (size_t)(close - page.p) : i;
    }
}

/* Where the page begins: 0, or behind words that a template or a form put before it, which hold no tag and no code. Such a page is a document, or reaches to the end
 * of the text, and shows something. SIZE_MAX: there is none, or it is meant: the words ask for one ("Why is this page empty: <html>...") and what it shows is no letter. */
static size_t page_begins(Str s, bool *meant)
{
    *meant = false;
    if (begins_as_page(s))
        return 0;
    const size_t at = first_tag(s);
    size_t       end = s.n;
    while (end > at && memchr(" \t\n", s.p[end - 1], 3))
        end--;
    const Str before = { s.p, at }, page = { s.p + at, s.n - at };
    if (at == s.n || memchr(s.p, '`', at) || !begins_as_page(page) || (!begins_as_document(page) && s.p[end - 1] != '>'))
        return SIZE_MAX;
    StrBuf shown = { 0 }, words = { 0 };
    take_hidden(&shown, page, 0, true);
    shown_words(&words, strbuf_str(&shown));
    const bool shows = !is_blank(strbuf_str(&words));
    *meant = shows && repair_asks_for_page(before) && !repair_is_letter(strbuf_str(&words));
    strbuf_release(&shown);
    strbuf_release(&words);
    return shows && !*meant ? at : SIZE_MAX;
}

static bool is_document(Str s, size_t page)
{
    return page != SIZE_MAX && begins_as_document((Str){ s.p + page, s.n - page });
}

/* The text without what its page hides. */
static size_t show_page(StrBuf *out, Str in)
{
    bool meant;
    const size_t page = page_begins(in, &meant);
    return take_hidden(out, in, page, is_document(in, page));
}

bool repair_is_page(Str s)
{
    if (!s.n || !memchr(s.p, '<', s.n) || !memchr(s.p, '>', s.n) || memmem(s.p, s.n, "```", 3))
        return false;
    bool meant;
    if (page_begins(s, &meant) != SIZE_MAX || meant)
        return true;
    StrBuf shown = { 0 };
    const size_t n = take_hidden(&shown, s, SIZE_MAX, false);
    strbuf_release(&shown);
    return n > 0;
}

static bool ends_word(Str s, size_t at) { return at >= s.n || !(is_letter(s.p[at]) || (unsigned char)s.p[at] >= 0x80); }

/* Whether the text speaks of this (lower case, ASCII; with a space at the end: this very word), as of a thing that pages are made of: "page 7" is one of a manual, and
 * "Tag" is the German day. */
static bool speaks_of(Str text, const char *word)
{
    const bool   whole = word[strlen(word) - 1] == ' ';
    const size_t n = strlen(word) - whole;
    for (size_t i = 0; i + n <= text.n; i++) {
        size_t k = i + n;
        if ((text.p[i] | 0x20) != word[0] || (i && is_letter(text.p[i - 1])) || strncasecmp(text.p + i, word, n) != 0 || (whole && !ends_word(text, k)))
            continue;
        if (strcmp(word, "tag") == 0 && (text.p[i] != 't' || !ends_word(text, k + (k < text.n && text.p[k] == 's'))))
            continue;
        while (k < text.n && text.p[k] == ' ')
            k++;
        if (!(k < text.n && text.p[k - 1] == ' ' && text.p[k] >= '0' && text.p[k] <= '9'))
            return true;
    }
    return false;
}

bool repair_asks_for_page(Str text)
{
    static const char *const words[] = { "page", "website", "web site", "site ", "webseite", "seite ", "sito ", "pagina", "p\xC3\xA1gina", "javascript", "script", "button", "form ", "code",
                                         "function", "frontend", "front-end", "layout", "component", "stylesheet", "template", "snippet", "tag", "element", "bootstrap", "svg" };
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (speaks_of(text, words[i]))
            return true;
    return repair_about_markup(text);
}

static bool says_markup(Str text);

bool repair_about_markup(Str text)
{
    bool meant;
    if (!repair_is_page(text))
        return says_markup(text);
    page_begins(text, &meant);
    if (meant)
        return true;
    StrBuf shown = { 0 }, words = { 0 };
    show_page(&shown, text);
    shown_words(&words, strbuf_str(&shown));
    const bool about = says_markup(strbuf_str(&words));
    strbuf_release(&shown);
    strbuf_release(&words);
    return about;
}

static bool tags_are_leftovers(Str in);

size_t repair_hidden(StrBuf *out, Str in)
{
    static const char *const about[] = { "script", "style", "tag", "code", "browser", "comment" };
    if (!repair_is_page(in) || repair_about_markup(in))
        return 0;
    bool   meant;
    size_t count = show_page(out, in);
    const size_t page = page_begins(in, &meant);
    if (page != SIZE_MAX && page > 0 && first_tag(strbuf_str(out)) < out->n && !tags_are_leftovers(strbuf_str(out)))
        return 0; /* with forms, buttons and the like it is one that somebody works on, and stays whole */
    if (page == SIZE_MAX) { /* a text with something hidden in it: it must not speak of that */
        StrBuf words = { 0 };
        shown_words(&words, strbuf_str(out));
        for (size_t i = 0; i < ARRAY_LEN(about); i++)
            count = speaks_of(strbuf_str(&words), about[i]) ? 0 : count;
        strbuf_release(&words);
    }
    return is_blank(strbuf_str(out)) ? 0 : count; /* nothing is shown at all: left for a person to see */
}

/* ---- entities and tags ------------------------------------------------------------------------------------------------------------------------------- */

/* ann@x.example&gt;, behind a &lt; */
static bool is_escaped_address(const char *p, size_t n)
{
    const char *end = memmem(p, MIN(n, (size_t)ADDRESS_MAX + 4), "&gt;", 4);
    return end && is_address((Str){ p, (size_t)(end - p) });
}

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
        if (p + 4 < end && (p[4] == '/' || p[4] == '!' || is_letter(p[4])) && !is_escaped_address(p + 4, (size_t)(end - p) - 4))
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

/* Whether the text holds a < that is not the bracket of an address. */
static bool holds_angle(Str s)
{
    for (const char *p = s.n ? memchr(s.p, '<', s.n) : NULL, *end = s.p + s.n; p; p = memchr(p + 1, '<', (size_t)(end - p) - 1))
        if (!is_bracketed_address(p, (size_t)(end - p)))
            return true;
    return false;
}

size_t repair_entities(StrBuf *out, Str in)
{
    size_t count = 0;
    Str line;
    if (holds_angle(in) || repair_about_markup(in))
        return 0;
    for (RepairLines l = { 0 }; repair_next_line(&l, in, &line);) {
        bool code = false;
        for (size_t i = 0; i < line.n;) {
            size_t len = 0;
            bool plain = false;
            uint32_t cp = 0;
            code = in_code(line, i, code);
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
/* What stands in place of a tag. Line breaks of a block are as many as lie between it and what is before it, so blocks within blocks break once; br and hr break
 * for themselves. */
static const struct { const char *name; TagKind kind; const char *open, *close; } tags[] = {
    { "a", TAG_PAIR, "", "" },       { "abbr", TAG_PAIR, "", "" },    { "b", TAG_PAIR, "", "" },       { "html", TAG_LOOSE, "", "" },
    { "body", TAG_LOOSE, "", "" },   { "meta", TAG_VOID, "", "" },    { "link", TAG_VOID, "", "" },    { "o:p", TAG_PAIR, "", "" },
    { "article", TAG_PAIR, "\n", "\n" }, { "section", TAG_PAIR, "\n", "\n" }, { "header", TAG_PAIR, "\n", "\n" }, { "footer", TAG_PAIR, "\n", "\n" },
    { "main", TAG_PAIR, "\n", "\n" }, { "figure", TAG_PAIR, "\n", "\n" }, { "col", TAG_VOID, "", "" }, { "colgroup", TAG_PAIR, "", "" },       { "big", TAG_PAIR, "", "" },
    { "blockquote", TAG_PAIR, "\n", "\n" }, { "br", TAG_VOID, "\n", "\n" }, { "center", TAG_PAIR, "\n", "\n" }, { "cite", TAG_PAIR, "", "" },
    { "dd", TAG_LOOSE, " ", "\n" },  { "del", TAG_PAIR, "", "" },     { "div", TAG_PAIR, "\n", "\n" },   { "dl", TAG_PAIR, "\n", "\n" },
    { "dt", TAG_LOOSE, "\n", "\n" }, { "em", TAG_PAIR, "", "" },      { "font", TAG_PAIR, "", "" },    { "h1", TAG_PAIR, "\n\n", "\n" },
    { "h2", TAG_PAIR, "\n\n", "\n" }, { "h3", TAG_PAIR, "\n\n", "\n" }, { "h4", TAG_PAIR, "\n\n", "\n" }, { "h5", TAG_PAIR, "\n\n", "\n" },
    { "h6", TAG_PAIR, "\n\n", "\n" }, { "hr", TAG_VOID, "\n", "\n" },  { "i", TAG_PAIR, "", "" },       { "img", TAG_VOID, "", "" },
    { "ins", TAG_PAIR, "", "" },     { "li", TAG_LOOSE, "\n- ", "\n" }, { "ol", TAG_PAIR, "\n", "\n" },  { "p", TAG_LOOSE, "\n\n", "\n\n" },
    { "small", TAG_PAIR, "", "" },   { "span", TAG_PAIR, "", "" },    { "strong", TAG_PAIR, "", "" },  { "table", TAG_PAIR, "\n", "\n" },
    { "tbody", TAG_PAIR, "", "" },   { "td", TAG_LOOSE, " ", " " },   { "th", TAG_LOOSE, " ", " " },   { "thead", TAG_PAIR, "", "" },
    { "tr", TAG_LOOSE, "\n", "\n" }, { "u", TAG_PAIR, "", "" },       { "ul", TAG_PAIR, "\n", "\n" },  { "wbr", TAG_VOID, "", "" },
    { "address", TAG_PAIR, "\n", "\n" }, { "caption", TAG_PAIR, "", "\n" }, { "tfoot", TAG_PAIR, "", "" }, { "strike", TAG_PAIR, "", "" }, { "s", TAG_PAIR, "", "" },
    { "nobr", TAG_PAIR, "", "" },    { "tt", TAG_PAIR, "", "" },      { "base", TAG_VOID, "", "" },    { "map", TAG_PAIR, "", "" },       { "area", TAG_VOID, "", "" },
}; /* not sub and sup: without them 10<sup>2</sup> is another number; not code and pre */

typedef struct Tag { size_t row, len; bool close; } Tag;

static bool tag_at(const char *p, size_t n, Tag *t)
{
    const size_t name = 1 + (p[1] == '/');
    size_t k = name;
    while (k < n && (is_letter(p[k]) || (p[k] >= '1' && p[k] <= '6') || p[k] == ':'))
        k++;
    for (t->row = 0; t->row < ARRAY_LEN(tags); t->row++)
        if (strlen(tags[t->row].name) == k - name && strncasecmp(tags[t->row].name, p + name, k - name) == 0)
            break;
    if (t->row == ARRAY_LEN(tags) || k >= n || !memchr(" />\t\n", p[k], 5))
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

/* Whether the tag at line.p[i] of text is one of ours; one that is broken over lines takes those along. */
static bool tag_in_text(Str text, Str line, size_t i, Tag *t)
{
    return tag_at(line.p + i, text.n - (size_t)(line.p + i - text.p), t);
}

/* Every tag is known, outside code, and closed as its kind asks; a document may be cut off. */
static bool tags_are_leftovers(Str in)
{
    int opened[ARRAY_LEN(tags)] = { 0 };
    bool sure = false, any = false, meant;
    Str line;
    const bool document = is_document(in, page_begins(in, &meant));
    for (RepairLines l = { 0 }; repair_next_line(&l, in, &line);) {
        bool code = false;
        for (size_t i = 0; i < line.n; i++) {
            Tag t;
            code = !document && in_code(line, i, code);
            if (!is_tag_start(line.p + i, line.n - i))
                continue;
            if (code || l.code || !tag_in_text(in, line, i, &t))
                return false;
            any = true;
            sure = sure || t.close || tags[t.row].kind == TAG_VOID;
            opened[t.row] += t.close ? (opened[t.row] > 0 ? -1 : 0) : 1;
            i += t.len - 1;
            l.at = MAX(l.at, (size_t)(line.p - in.p) + i + 1);
        }
    }
    for (size_t k = 0; k < ARRAY_LEN(tags) && !document; k++)
        if (opened[k] > 0 && (tags[k].kind == TAG_PAIR || (tags[k].kind == TAG_LOOSE && !sure)))
            return false;
    return any;
}

/* Puts what stands for a tag: of a block's line breaks those that are not there yet, and none at the start of the text or of the page (out[start]). Returns whether a
 * block has broken the line here. */
static bool put_for_tag(StrBuf *out, const char *what, bool block, size_t start)
{
    size_t have = 0, want = 0;
    for (; block && what[want] == '\n'; want++)
        continue;
    for (size_t k = out->n; have < want && k > 0 && k + BLANK_MAX > out->n && memchr(" \t\n", out->p[k - 1], 3); k--)
        have += out->p[k - 1] == '\n';
    if (out->n && out->n != start)
        for (; have < want; have++)
            strbuf_addc(out, '\n');
    strbuf_addz(out, what + want);
    return want && !what[want];
}

size_t repair_tags(StrBuf *out, Str in)
{
    size_t count = 0;
    Str line;
    if (!tags_are_leftovers(in) || repair_about_markup(in))
        return 0;
    bool meant;
    const size_t start = page_begins(in, &meant); /* before it there is no tag: out begins with the same bytes. Blanks at the start of a page are not shown */
    for (RepairLines l = { 0 }; repair_next_line(&l, in, &line);) {
        const bool table = repair_trim(line).n && *repair_trim(line).p == '|'; /* a row of a Markdown table must stay one line */
        bool broken = false; /* a tag goes on in the next line, or a block's end has broken the line already */
        for (size_t i = 0; i < line.n;) {
            Tag t;
            if (!is_tag_start(line.p + i, line.n - i)) {
                if (!(out->n == start && memchr(" \t", line.p[i], 2)))
                    strbuf_addc(out, line.p[i]);
                broken = false;
                i++;
                continue;
            }
            BUG_ON(!tag_in_text(in, line, i, &t)); /* tags_are_leftovers has seen all of them */
            const char *to = t.close ? tags[t.row].close : tags[t.row].open;
            const bool block = strcmp(tags[t.row].name, "br") != 0 && strcmp(tags[t.row].name, "hr") != 0;
            const bool ends = put_for_tag(out, table && *to ? " " : to, block, start);
            i += t.len;
            broken = i > line.n || ends;
            l.at = MAX(l.at, (size_t)(line.p - in.p) + i);
            count++;
        }
        if (l.ended && !broken && out->n != start)
            strbuf_addc(out, '\n');
    }
    return count;
}
