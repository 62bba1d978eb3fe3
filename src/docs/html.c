/* html.c - pages by gumbo (the parsing algorithm of HTML 5), walked without recursion into light Markdown.
 * What is taken: the <main> element, else the only <article>, else the body. What is dropped: scripts, styles, forms' controls, menus (<nav>), page
 * footers and whatever is hidden; the tables dropped[] and roles[] say all of it. A table that holds headings, lists or tables is one of layout, and
 * its cells are ordinary blocks.
 * Bounds: HTML_BYTES_MAX; HTML_NEST_MAX open elements (counted before gumbo sees the page, since its work grows with their square); gumbo's memory
 * HTML_MEMORY_BASE + HTML_MEMORY_RATIO times the page, kept by an allocator that leaves by longjmp: all blocks hang on one list, so nothing leaks.
 * To treat a tag otherwise: the tables below. */
#include "docs/doc_int.h"

#include <gumbo.h>
#include <setjmp.h>
#include <stdio.h>
#include <strings.h>

#include "base/mem.h"

#define HTML_BYTES_MAX    ((size_t)256 << 20)
#define HTML_NEST_MAX     2000 /* browsers flatten what is deeper than 512 */
#define HTML_MEMORY_BASE  ((size_t)64 << 20)
#define HTML_MEMORY_RATIO 60
#define LISTS             32
#define SPANS             256  /* columns whose row spans are followed */

static const GumboTag dropped[] = { GUMBO_TAG_SCRIPT, GUMBO_TAG_STYLE, GUMBO_TAG_NOSCRIPT, GUMBO_TAG_TEMPLATE, GUMBO_TAG_SVG, GUMBO_TAG_IFRAME,
                                    GUMBO_TAG_OBJECT, GUMBO_TAG_EMBED, GUMBO_TAG_AUDIO, GUMBO_TAG_VIDEO, GUMBO_TAG_CANVAS, GUMBO_TAG_SELECT,
                                    GUMBO_TAG_BUTTON, GUMBO_TAG_INPUT, GUMBO_TAG_TEXTAREA, GUMBO_TAG_NAV, GUMBO_TAG_HEAD, GUMBO_TAG_TITLE };
static const char *const roles[] = { "navigation", "banner", "contentinfo", "search", "menu", "menubar", "dialog" };
static const GumboTag blocks[] = { GUMBO_TAG_P, GUMBO_TAG_DIV, GUMBO_TAG_SECTION, GUMBO_TAG_ARTICLE, GUMBO_TAG_MAIN, GUMBO_TAG_HEADER, GUMBO_TAG_FOOTER,
                                   GUMBO_TAG_ASIDE, GUMBO_TAG_ADDRESS, GUMBO_TAG_FIGURE, GUMBO_TAG_FIGCAPTION, GUMBO_TAG_DL, GUMBO_TAG_DT, GUMBO_TAG_DD,
                                   GUMBO_TAG_FORM, GUMBO_TAG_FIELDSET, GUMBO_TAG_LEGEND, GUMBO_TAG_DETAILS, GUMBO_TAG_SUMMARY, GUMBO_TAG_CAPTION,
                                   GUMBO_TAG_CENTER, GUMBO_TAG_HR, GUMBO_TAG_BODY, GUMBO_TAG_TABLE, GUMBO_TAG_TR, GUMBO_TAG_TD, GUMBO_TAG_TH,
                                   GUMBO_TAG_UL, GUMBO_TAG_OL, GUMBO_TAG_LI, GUMBO_TAG_BLOCKQUOTE, GUMBO_TAG_PRE, GUMBO_TAG_HGROUP };
/* Elements that need no end tag or have none: not counted as nesting. */
static const char *const closing_themselves[] = { "p", "li", "br", "hr", "img", "input", "meta", "link", "td", "th", "tr", "tbody", "thead", "tfoot",
                                                  "option", "optgroup", "dt", "dd", "col", "colgroup", "area", "base", "embed", "source", "track", "wbr",
                                                  "param", "html", "body", "head", "rt", "rp" };

/* ---- memory ---- */

typedef struct Block { struct Block *prev, *next; size_t n; char pad[8]; } Block; /* keeps 16-byte alignment */
typedef struct HtmlMemory { Block first; size_t used, max; jmp_buf full; } HtmlMemory;

static void *html_alloc(void *user, size_t n)
{
    HtmlMemory *m = user;
    Block      *b = m->used > m->max || n > m->max - m->used ? NULL : malloc(sizeof *b + n);
    if (!b)
        longjmp(m->full, 1);
    *b = (Block){ .prev = &m->first, .next = m->first.next, .n = n };
    if (b->next)
        b->next->prev = b;
    m->first.next = b;
    m->used += sizeof *b + n;
    return b + 1;
}

static void html_free(void *user, void *p)
{
    HtmlMemory *m = user;
    if (!p)
        return;
    Block *b = (Block *)p - 1;
    b->prev->next = b->next;
    if (b->next)
        b->next->prev = b->prev;
    m->used -= sizeof *b + b->n;
    free(b);
}

/* The deepest nesting that the page's tags could give, from their letters alone. */
static size_t nesting(Str s)
{
    size_t depth = 0, most = 0;
    for (size_t i = 0; i + 1 < s.n; i++) {
        if (s.p[i] != '<')
            continue;
        const bool   end = s.p[i + 1] == '/';
        const char  *name = s.p + i + 1 + end;
        const size_t left = s.n - (size_t)(name - s.p);
        size_t       n = 0;
        bool         counts = true;
        while (n < MIN(left, (size_t)20) && ((name[n] >= 'a' && name[n] <= 'z') || (name[n] >= 'A' && name[n] <= 'Z') || (n && name[n] >= '0' && name[n] <= '9')))
            n++;
        for (size_t k = 0; k < ARRAY_LEN(closing_themselves) && counts; k++)
            counts = n != strlen(closing_themselves[k]) || strncasecmp(name, closing_themselves[k], n) != 0;
        if (!n || !counts)
            continue;
        if (end) {
            depth -= depth > 0;
            continue;
        }
        depth++;
        most = MAX(most, depth);
        const char *const raw = n == 6 && strncasecmp(name, "script", 6) == 0 ? "</script" : n == 5 && strncasecmp(name, "style", 5) == 0 ? "</style" : NULL;
        while (raw && i + 1 < s.n && !(s.n - i >= strlen(raw) && strncasecmp(s.p + i, raw, strlen(raw)) == 0))
            i++;
        i -= raw != NULL; /* the end tag is read next */
    }
    return most;
}

/* ---- looking at nodes ---- */

static bool tag_in(GumboTag tag, const GumboTag *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == tag)
            return true;
    return false;
}

static bool is_element(const GumboNode *n)
{
    return n->type == GUMBO_NODE_ELEMENT || n->type == GUMBO_NODE_TEMPLATE;
}

static GumboTag tag_of(const GumboNode *n)
{
    return is_element(n) ? n->v.element.tag : GUMBO_TAG_LAST;
}

static const char *attr(const GumboNode *n, const char *name)
{
    const GumboAttribute *a = is_element(n) ? gumbo_get_attribute(&n->v.element.attributes, name) : NULL;
    return a ? a->value : NULL;
}

static int span_of(const GumboNode *n, const char *name)
{
    const char *v = attr(n, name);
    const long  k = v ? strtol(v, NULL, 10) : 1;
    return (int)MIN(MAX(k, 1L), (long)SPANS);
}

static bool is_dropped(const GumboNode *n, bool in_article)
{
    const GumboTag tag = tag_of(n);
    const char    *role = attr(n, "role"), *hidden = attr(n, "aria-hidden"), *style = attr(n, "style");
    if (n->type == GUMBO_NODE_TEMPLATE || tag_in(tag, dropped, ARRAY_LEN(dropped)) || (tag == GUMBO_TAG_FOOTER && !in_article) || attr(n, "hidden"))
        return true;
    for (size_t i = 0; role && i < ARRAY_LEN(roles); i++)
        if (strcasecmp(role, roles[i]) == 0)
            return true;
    const char *display = style ? strcasestr(style, "display") : NULL;
    if (display) {
        display += 7;
        display += strspn(display, " :");
    }
    return (hidden && strcasecmp(hidden, "true") == 0) || (display && strncasecmp(display, "none", 4) == 0);
}

static const GumboVector *children(const GumboNode *n)
{
    return n->type == GUMBO_NODE_DOCUMENT ? &n->v.document.children : is_element(n) ? &n->v.element.children : &kGumboEmptyVector;
}

/* The next node below root in document order; NULL at the end. */
static const GumboNode *following(const GumboNode *n, const GumboNode *root, bool down)
{
    if (down && children(n)->length)
        return children(n)->data[0];
    while (n != root) {
        const GumboVector *siblings = children(n->parent);
        if (n->index_within_parent + 1 < siblings->length)
            return siblings->data[n->index_within_parent + 1];
        n = n->parent;
    }
    return NULL;
}

static bool is_layout(const GumboNode *table)
{
    static const GumboTag inside[] = { GUMBO_TAG_TABLE, GUMBO_TAG_H1, GUMBO_TAG_H2, GUMBO_TAG_H3, GUMBO_TAG_UL, GUMBO_TAG_OL, GUMBO_TAG_ARTICLE };
    const char           *role = attr(table, "role");
    if (role && strcasecmp(role, "presentation") == 0)
        return true;
    for (const GumboNode *n = following(table, table, true); n; n = following(n, table, true))
        if (tag_in(tag_of(n), inside, ARRAY_LEN(inside)))
            return true;
    return false;
}

static const GumboNode *content_root(const GumboNode *root)
{
    const GumboNode *article = NULL, *body = NULL;
    int              articles = 0;
    for (const GumboNode *n = root; n; n = following(n, root, true)) {
        const char *role = attr(n, "role");
        if (tag_of(n) == GUMBO_TAG_MAIN || (role && strcasecmp(role, "main") == 0))
            return n;
        if (tag_of(n) == GUMBO_TAG_ARTICLE && articles++ == 0)
            article = n;
        if (tag_of(n) == GUMBO_TAG_BODY && !body)
            body = n;
    }
    return articles == 1 ? article : body ? body : root;
}

/* ---- writing ---- */

typedef struct Page {
    Md      md;
    StrBuf  para, cell, quote;   /* quote: a blockquote's own page, set off with "> " at its end */
    StrBuf *out;
    MdTable table;
    const GumboNode *table_node, *quote_node;
    int     heading, pre, articles;
    struct { bool ordered; int count; } list[LISTS];
    int     lists;
    bool    marker;              /* the next paragraph is the beginning of a list's item */
    int     row_span[SPANS];     /* rows that a cell above still covers */
    int     column;
} Page;

static void flush(Page *p)
{
    StrBuf flat = { 0 };
    char   marker[24];
    if (p->pre && !p->table_node) {
        md_code(&p->md, strbuf_str(&p->para));
        strbuf_clear(&p->para);
        return;
    }
    md_squeeze(&flat, strbuf_str(&p->para));
    strbuf_clear(&p->para);
    if (p->table_node) {
        if (flat.n && p->cell.n)
            strbuf_addc(&p->cell, ' ');
        strbuf_add(&p->cell, flat.p, flat.n);
    } else if (flat.n && p->marker && p->lists && !p->heading) {
        snprintf(marker, sizeof marker, p->list[p->lists - 1].ordered ? "%d." : "-", p->list[p->lists - 1].count);
        md_item(&p->md, p->lists - 1, marker, strbuf_str(&flat));
        p->marker = false;
    } else {
        md_para(&p->md, p->heading, strbuf_str(&flat));
    }
    strbuf_release(&flat);
}

static void next_column(Page *p)
{
    while (p->column < SPANS && p->row_span[p->column] > 0) {
        p->row_span[p->column++]--;
        table_cell(&p->table, (Str){ 0 });
    }
}

static void end_cell(Page *p, const GumboNode *n)
{
    next_column(p);
    for (int i = 0, k = span_of(n, "colspan"); i < k; i++) {
        table_cell(&p->table, i ? (Str){ 0 } : strbuf_str(&p->cell));
        if (p->column < SPANS)
            p->row_span[p->column++] = span_of(n, "rowspan") - 1;
    }
    strbuf_clear(&p->cell);
}

static void end_quote(Page *p)
{
    StrBuf quote = p->quote;
    Md     md = { .out = p->out };
    StrBuf marked = { .max = p->out->max };
    for (size_t at = 0; at < quote.n;) {
        const char  *nl = memchr(quote.p + at, '\n', quote.n - at);
        const size_t n = nl ? (size_t)(nl - quote.p) - at : quote.n - at;
        strbuf_addf(&marked, "%s>%s", at ? "\n" : "", n ? " " : "");
        strbuf_add(&marked, quote.p + at, n);
        at += n + 1;
    }
    md_para(&md, 0, strbuf_str(&marked));
    p->md = md;
    p->quote_node = NULL;
    strbuf_release(&marked);
    strbuf_clear(&p->quote);
}

static void enter(Page *p, const GumboNode *n)
{
    const GumboTag tag = tag_of(n);
    if (n->type == GUMBO_NODE_TEXT || n->type == GUMBO_NODE_WHITESPACE || n->type == GUMBO_NODE_CDATA) {
        strbuf_addz(&p->para, n->v.text.text);
        return;
    }
    if (tag == GUMBO_TAG_BR) {
        strbuf_addc(&p->para, p->pre ? '\n' : '\v');
    } else if (tag == GUMBO_TAG_IMG) {
        const char *alt = attr(n, "alt");
        if (alt && *alt)
            strbuf_addf(&p->para, " [picture: %s] ", alt);
    } else if (tag >= GUMBO_TAG_H1 && tag <= GUMBO_TAG_H6) {
        flush(p);
        p->heading = (int)(tag - GUMBO_TAG_H1) + 1;
    } else if (tag_in(tag, blocks, ARRAY_LEN(blocks))) {
        flush(p);
    }
    if (tag == GUMBO_TAG_ARTICLE || tag == GUMBO_TAG_MAIN) {
        p->articles++;
    } else if (tag == GUMBO_TAG_PRE) {
        p->pre++;
    } else if ((tag == GUMBO_TAG_UL || tag == GUMBO_TAG_OL) && p->lists < LISTS) {
        const char *from = attr(n, "start");
        p->list[p->lists].ordered = tag == GUMBO_TAG_OL;
        p->list[p->lists++].count = from ? (int)MIN(MAX(strtol(from, NULL, 10), -1000000L), 1000000L) - 1 : 0;
    } else if (tag == GUMBO_TAG_LI) {
        p->marker = p->lists > 0;
        if (p->lists)
            p->list[p->lists - 1].count++;
    } else if (tag == GUMBO_TAG_TABLE && !p->table_node && !is_layout(n)) {
        p->table_node = n;
        table_clear(&p->table);
        strbuf_clear(&p->cell);
        memset(p->row_span, 0, sizeof p->row_span);
    } else if (tag == GUMBO_TAG_TR && p->table_node) {
        table_row(&p->table);
        p->column = 0;
    } else if (tag == GUMBO_TAG_BLOCKQUOTE && !p->quote_node && !p->table_node) {
        p->quote_node = n;
        p->md = (Md){ .out = &p->quote };
    }
}

static void leave(Page *p, const GumboNode *n)
{
    const GumboTag tag = tag_of(n);
    if (tag >= GUMBO_TAG_H1 && tag <= GUMBO_TAG_H6) {
        flush(p);
        p->heading = 0;
    } else if (tag_in(tag, blocks, ARRAY_LEN(blocks))) {
        flush(p);
    }
    if (tag == GUMBO_TAG_ARTICLE || tag == GUMBO_TAG_MAIN) {
        p->articles--;
    } else if (tag == GUMBO_TAG_PRE) {
        p->pre--;
    } else if ((tag == GUMBO_TAG_UL || tag == GUMBO_TAG_OL) && p->lists) {
        p->lists--;
        p->marker = false;
    } else if (tag == GUMBO_TAG_LI) {
        p->marker = false;
    } else if ((tag == GUMBO_TAG_TD || tag == GUMBO_TAG_TH) && p->table_node) {
        end_cell(p, n);
    } else if (tag == GUMBO_TAG_TR && p->table_node) {
        next_column(p);
    } else if (n == p->table_node) {
        p->table_node = NULL;
        if (p->cell.n) /* a caption */
            md_para(&p->md, 0, strbuf_str(&p->cell));
        md_table(&p->md, &p->table);
        table_clear(&p->table);
        strbuf_clear(&p->cell);
    } else if (n == p->quote_node) {
        end_quote(p);
    } else if (tag == GUMBO_TAG_CAPTION && p->table_node && p->cell.n) {
        md_para(&p->md, 0, strbuf_str(&p->cell));
        strbuf_clear(&p->cell);
    }
}

static void walk(Page *p, const GumboNode *root)
{
    const GumboNode *n = root;
    while (n && !p->out->over) {
        const bool drop = n != root && is_dropped(n, p->articles > 0);
        if (!drop)
            enter(p, n);
        if (!drop && children(n)->length) {
            n = children(n)->data[0];
            continue;
        }
        for (bool left = drop;; left = false) { /* out of this node and of all that end with it */
            if (!left)
                leave(p, n);
            if (n == root) {
                n = NULL;
                break;
            }
            const GumboVector *siblings = children(n->parent);
            if (n->index_within_parent + 1 < siblings->length) {
                n = siblings->data[n->index_within_parent + 1];
                break;
            }
            n = n->parent;
        }
    }
    flush(p);
}

/* ---- the page's own words about itself ---- */

static void read_head(DocWork *w, const GumboNode *root)
{
    DocOut *d = w->out;
    const struct { const char *name; char **field; const char *key; } fields[] = {
        { "author", &d->author, NULL }, { "article:published_time", &d->date, NULL }, { "date", &d->date, NULL }, { "dcterms.modified", &d->date, NULL },
        { "description", NULL, "description" }, { "keywords", NULL, "keywords" },
    };
    for (const GumboNode *n = root; n; n = following(n, root, tag_of(n) != GUMBO_TAG_BODY)) {
        const char *lang = tag_of(n) == GUMBO_TAG_HTML ? attr(n, "lang") : NULL;
        if (lang)
            work_meta(w, "language", str_of(lang));
        if (tag_of(n) == GUMBO_TAG_TITLE && n->v.element.attributes.length == 0 && children(n)->length) {
            const GumboNode *text = children(n)->data[0];
            if (text->type == GUMBO_NODE_TEXT)
                work_field(w, &d->title, str_of(text->v.text.text));
        }
        if (tag_of(n) != GUMBO_TAG_META)
            continue;
        const char *name = attr(n, "name") ? attr(n, "name") : attr(n, "property"), *value = attr(n, "content");
        for (size_t i = 0; name && value && i < ARRAY_LEN(fields); i++)
            if (strcasecmp(name, fields[i].name) == 0) {
                if (fields[i].field)
                    work_field(w, fields[i].field, str_of(value));
                else
                    work_meta(w, fields[i].key, str_of(value));
            }
    }
}

static void page_release(Page *p)
{
    table_release(&p->table);
    strbuf_release(&p->para);
    strbuf_release(&p->cell);
    strbuf_release(&p->quote);
}

/* Everything allocated outside the HtmlMemory is released by the caller, also after a longjmp; which is why it lies outside of this frame. */
static bool parse_page(DocWork *w, Str utf8, Page *p, HtmlMemory *m, bool whole)
{
    if (setjmp(m->full))
        return false;
    GumboOptions o = kGumboDefaultOptions;
    o.allocator = html_alloc;
    o.deallocator = html_free;
    o.userdata = m;
    o.max_errors = 0;
    const GumboOutput *page = gumbo_parse_with_options(&o, utf8.p, utf8.n);
    if (whole)
        read_head(w, page->document);
    walk(p, whole ? content_root(page->document) : page->document);
    return true;
}

static int convert(DocWork *w, Str utf8, StrBuf *out, bool whole, Err *e)
{
    if (utf8.n > HTML_BYTES_MAX)
        return err_set(e, ERR_INPUT, "the page has more than the %zu MiB of HTML that are allowed", HTML_BYTES_MAX >> 20);
    const size_t deep = nesting(utf8);
    if (deep > HTML_NEST_MAX)
        return err_set(e, ERR_INPUT, "the page nests its elements %zu deep, and at most %d are allowed: refused", deep, HTML_NEST_MAX);
    HtmlMemory *m = mem_zalloc(1, sizeof *m);
    Page       *p = mem_zalloc(1, sizeof *p);
    m->max = HTML_MEMORY_BASE + HTML_MEMORY_RATIO * utf8.n;
    p->out = out;
    p->md.out = out;
    p->para.max = p->cell.max = p->quote.max = out->max;
    const bool fits = parse_page(w, utf8, p, m, whole);
    out->over |= p->para.over | p->cell.over | p->quote.over;
    for (Block *b = m->first.next; b;) {
        Block *next = b->next;
        free(b);
        b = next;
    }
    page_release(p);
    free(p);
    free(m);
    return fits ? 0 : err_set(e, ERR_INPUT, "the page would take more than %d times its size in memory: refused", HTML_MEMORY_RATIO);
}

int html_to_text(DocWork *w, Str utf8, StrBuf *out, Err *e)
{
    return convert(w, utf8, out, false, e);
}

int doc_parse_html(DocWork *w, Str bytes, Err *e)
{
    StrBuf utf8 = { .max = HTML_BYTES_MAX + 1 }, out = { .max = work_room(w) };
    char   said[64];
    charset_meta(bytes, said);
    const char *charset = w->charset ? w->charset : *said ? said : NULL;
    if (!charset_decode(&utf8, bytes, charset))
        work_note(w, "the character set %.40s is not known here; the text was read by its own look", charset);
    int rc = utf8.over ? err_set(e, ERR_INPUT, "the page has more than the %zu MiB of HTML that are allowed", HTML_BYTES_MAX >> 20)
                       : convert(w, strbuf_str(&utf8), &out, true, e);
    if (!rc)
        rc = work_part(w, DOC_HTML, &out, NULL, e, "%s", "");
    strbuf_release(&utf8);
    strbuf_release(&out);
    return rc;
}
