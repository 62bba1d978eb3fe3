/* docx.c - Word documents (ECMA-376 part 1, WordprocessingML) as one part of light Markdown.
 * Headings come from the styles "heading N" and "Title" and from outline levels, lists from numbering.xml, tables as pipe tables (a table inside
 * a cell becomes text of the cell), footnotes as [^1] with their text at the end, pictures as their description. Deleted and moved-away text of tracked
 * changes, field codes and fallback drawings are passed over; inserted text is kept.
 * Invariant: `para` is a stack, for text boxes hold paragraphs inside a paragraph; a finished paragraph goes to the open cell or to the page.
 * To pass over another element: a row in skipped[]. */
#include "docs/doc_int.h"

#include <stdio.h>
#include <strings.h>

#include "base/map.h"
#include "base/mem.h"

#define PARA_NEST   16   /* text boxes inside text boxes */
#define LIST_LEVELS 9    /* what the format has */
#define STYLE_HOPS  16   /* basedOn chains */

typedef struct Style { char *name, *based_on; int outline, num, level; } Style;              /* -1: not said */
typedef struct ListLevel { char kind; int start, count; } ListLevel;                         /* 'b' bullet, 'n' number, '-' none */
typedef struct List { int64_t id, abstract; ListLevel level[LIST_LEVELS]; } List;
typedef struct Para { StrBuf text; char style[128]; int outline, num, level; bool page_break; } Para;

typedef struct Docx {
    Opc      opc;
    DocWork *w;
    StrBuf   out;
    Md       md;
    Map     *style_of;            /* id -> index */
    VEC(Style) style;
    VEC(List)  abstract, list;    /* abstract: id only; list: its own counters */
    Para     para[PARA_NEST];
    int      paras;
    int      tables;              /* depth */
    MdTable  table;
    StrBuf   cell;
    int      span;
    VEC(char *) note_mark;        /* "f1", "e2": footnotes and endnotes in order of their references */
} Docx;

static int to_int(const char *s, int absent)
{
    return s ? (int)strtol(s, NULL, 10) : absent;
}

/* ---- styles and lists ---- */

static int read_styles(Docx *d, const char *member, Err *e)
{
    StrBuf bytes = { 0 };
    Xml   *x = NULL;
    Style *s = NULL;
    int    rc = opc_xml(&d->opc, member, &bytes, &x, e);
    while (!rc && (rc = xml_next(x, e)) > 0) {
        const bool open = rc == XML_OPEN;
        rc = 0;
        if (!open)
            continue;
        const char *val = xml_attr(x, "val");
        if (xml_is(x, "style")) {
            const char *id = xml_attr(x, "styleId");
            map_put(d->style_of, str_of(id ? id : ""), (int64_t)d->style.n);
            s = vec_push(&d->style);
            *s = (Style){ .outline = -1, .num = -1, .level = -1 };
        } else if (s && val && xml_is(x, "name") && !s->name) {
            s->name = mem_strdup(val);
        } else if (s && val && xml_is(x, "basedOn") && !s->based_on) {
            s->based_on = mem_strdup(val);
        } else if (s && xml_is(x, "outlineLvl")) {
            s->outline = to_int(val, -1);
        } else if (s && xml_is(x, "numId")) {
            s->num = to_int(val, -1);
        } else if (s && xml_is(x, "ilvl")) {
            s->level = to_int(val, -1);
        }
    }
    xml_close(x);
    strbuf_release(&bytes);
    return rc < 0 ? rc : 0;
}

static List *find_list(List *p, size_t n, int64_t id)
{
    for (size_t i = 0; i < n; i++)
        if (p[i].id == id)
            return &p[i];
    return NULL;
}

static int read_numbering(Docx *d, const char *member, Err *e)
{
    StrBuf bytes = { 0 };
    Xml   *x = NULL;
    int    level = -1, rc = opc_xml(&d->opc, member, &bytes, &x, e);
    List  *a = NULL, *l = NULL;
    while (!rc && (rc = xml_next(x, e)) > 0) {
        const bool open = rc == XML_OPEN;
        rc = 0;
        if (!open)
            continue;
        const char *val = xml_attr(x, "val");
        if (xml_is(x, "abstractNum")) {
            a = vec_push(&d->abstract);
            *a = (List){ .id = to_int(xml_attr(x, "abstractNumId"), -1) };
            for (int i = 0; i < LIST_LEVELS; i++)
                a->level[i] = (ListLevel){ 'n', 1, 0 };
            l = NULL;
            level = -1;
        } else if (xml_is(x, "lvl")) {
            level = to_int(xml_attr(x, "ilvl"), -1);
        } else if (a && !l && val && level >= 0 && level < LIST_LEVELS && xml_is(x, "numFmt")) {
            a->level[level].kind = strcmp(val, "bullet") == 0 ? 'b' : strcmp(val, "none") == 0 ? '-' : 'n';
        } else if (a && !l && level >= 0 && level < LIST_LEVELS && xml_is(x, "start")) {
            a->level[level].start = MAX(0, to_int(val, 1));
        } else if (xml_is(x, "num")) {
            l = vec_push(&d->list);
            *l = (List){ .id = to_int(xml_attr(x, "numId"), -1), .abstract = -1 };
            a = NULL;
        } else if (l && xml_is(x, "abstractNumId")) {
            l->abstract = to_int(val, -1);
        }
    }
    for (size_t i = 0; i < d->list.n; i++) {
        const List *from = find_list(d->abstract.p, d->abstract.n, d->list.p[i].abstract);
        if (from)
            memcpy(d->list.p[i].level, from->level, sizeof from->level);
    }
    xml_close(x);
    strbuf_release(&bytes);
    return rc < 0 ? rc : 0;
}

/* Heading level (0: none), list and level of a paragraph; the paragraph's own word wins over its style, the style over what it is based on. */
static int resolve(Docx *d, Para *p)
{
    int         heading = p->outline >= 0 && p->outline < 9 ? p->outline + 1 : 0;
    char        id[128];
    int64_t     at;
    snprintf(id, sizeof id, "%s", p->style);
    for (int hop = 0; hop < STYLE_HOPS && id[0] && map_get(d->style_of, str_of(id), &at); hop++) {
        const Style *s = &d->style.p[at];
        int          n;
        if (!heading && s->name && sscanf(s->name, "%*[hH]eading %d", &n) == 1 && n >= 1 && n <= 9)
            heading = n;
        if (!heading && s->name && strcasecmp(s->name, "title") == 0)
            heading = 1;
        if (!heading && p->outline < 0 && s->outline >= 0 && s->outline < 9)
            heading = s->outline + 1;
        if (p->num < 0)
            p->num = s->num;
        if (p->level < 0)
            p->level = s->level;
        snprintf(id, sizeof id, "%s", s->based_on ? s->based_on : "");
    }
    return heading;
}

/* ---- paragraphs and tables ---- */

static void end_para(Docx *d)
{
    Para  *p = &d->para[--d->paras];
    StrBuf flat = { 0 };
    char   marker[24] = "";
    const int heading = resolve(d, p);
    md_squeeze(&flat, strbuf_str(&p->text));
    List *l = heading || !flat.n || p->num <= 0 ? NULL : find_list(d->list.p, d->list.n, p->num);
    const int level = MIN(MAX(p->level, 0), LIST_LEVELS - 1);
    if (l && l->level[level].kind == 'n') {
        ListLevel *at = &l->level[level];
        snprintf(marker, sizeof marker, "%d.", at->start + at->count);
        at->count = MIN(at->count + 1, 1000000);
    } else if (l && l->level[level].kind == 'b') {
        snprintf(marker, sizeof marker, "-");
    }
    for (int i = level + 1; l && i < LIST_LEVELS; i++)
        l->level[i].count = 0; /* deeper numbers begin again */
    if (d->tables) {
        if (flat.n && d->cell.n)
            strbuf_addc(&d->cell, ' ');
        if (*marker)
            strbuf_addf(&d->cell, "%s ", marker);
        strbuf_add(&d->cell, flat.p, flat.n);
    } else if (d->paras) { /* a text box: behind the paragraph that holds it would be too late to know its place */
        StrBuf *outer = &d->para[d->paras - 1].text;
        strbuf_addc(outer, '\v');
        strbuf_add(outer, flat.p, flat.n);
        strbuf_addc(outer, '\v');
    } else if (*marker) {
        md_item(&d->md, level, marker, strbuf_str(&flat));
    } else {
        md_para(&d->md, heading, strbuf_str(&flat));
    }
    if (heading == 1 && !d->tables)
        work_field(d->w, &d->w->out->title, strbuf_str(&flat)); /* the properties were read before and win */
    if (p->page_break && !d->tables && !d->paras)
        md_break(&d->md);
    strbuf_release(&flat);
    strbuf_clear(&p->text);
}

static void end_cell(Docx *d)
{
    table_cell(&d->table, strbuf_str(&d->cell));
    for (int i = 1; i < d->span; i++)
        table_cell(&d->table, (Str){ 0 });
    strbuf_clear(&d->cell);
    d->span = 1;
}

static void add_text(Docx *d, const char *p, size_t n)
{
    if (d->paras)
        strbuf_add(&d->para[d->paras - 1].text, p, n);
    else if (n && d->tables)
        strbuf_add(&d->cell, p, n);
}

static const char *const skipped[] = { "del", "moveFrom", "Fallback", "instrText", "delText", "pPrChange", "rPrChange", "tblPrChange", "trPrChange",
                                       "tcPrChange", "sectPr", "fldData", "binData", "tblGrid" };
/* Elements that are a piece of text by themselves. */
static const struct { const char *name, *text; } pieces[] = { { "tab", " " }, { "cr", "\v" }, { "noBreakHyphen", "-" }, { "ptab", " " } };

static void note_reference(Docx *d, Xml *x, char kind)
{
    const char *id = xml_attr(x, "id");
    char        mark[24], text[32];
    if (!id || d->note_mark.n >= 100000)
        return;
    snprintf(mark, sizeof mark, "%c%d", kind, to_int(id, 0));
    *vec_push(&d->note_mark) = mem_strdup(mark);
    const int n = snprintf(text, sizeof text, "[^%zu]", d->note_mark.n);
    add_text(d, text, (size_t)n);
}

static int open_element(Docx *d, Xml *x, bool *in_text, Err *e)
{
    Para *p = d->paras ? &d->para[d->paras - 1] : NULL;
    for (size_t i = 0; i < ARRAY_LEN(skipped); i++)
        if (xml_is(x, skipped[i]))
            return xml_skip(x, e);
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++)
        if (p && xml_is(x, pieces[i].name))
            add_text(d, pieces[i].text, 1);
    if (xml_is(x, "altChunk"))
        work_note(d->w, "a piece of the document is stored in another format (altChunk) and was not converted; save it anew in Word");
    if (xml_is(x, "p")) {
        if (d->paras == PARA_NEST)
            return err_set(e, ERR_INPUT, "text boxes are nested more than %d deep, which is refused", PARA_NEST);
        Para *own = &d->para[d->paras++];
        own->style[0] = '\0';
        own->outline = own->num = own->level = -1;
        own->page_break = false;
    } else if (xml_is(x, "tbl")) {
        if (d->tables++ == 0) {
            table_clear(&d->table);
            strbuf_clear(&d->cell);
            d->span = 1;
        }
    } else if (d->tables == 1 && xml_is(x, "tr")) {
        table_row(&d->table);
    } else if (d->tables == 1 && xml_is(x, "gridSpan")) {
        d->span = MIN(MAX(to_int(xml_attr(x, "val"), 1), 1), 256);
    } else if (p && xml_is(x, "pStyle")) {
        const char *val = xml_attr(x, "val");
        snprintf(p->style, sizeof p->style, "%s", val ? val : "");
    } else if (p && xml_is(x, "outlineLvl")) {
        p->outline = to_int(xml_attr(x, "val"), -1);
    } else if (p && xml_is(x, "numId")) {
        p->num = to_int(xml_attr(x, "val"), -1);
    } else if (p && xml_is(x, "ilvl")) {
        p->level = to_int(xml_attr(x, "val"), -1);
    } else if (p && xml_is(x, "br")) {
        const char *type = xml_attr(x, "type");
        if (type && strcmp(type, "page") == 0)
            p->page_break = true;
        else
            add_text(d, "\v", 1);
    } else if (xml_is(x, "footnoteReference")) {
        note_reference(d, x, 'f');
    } else if (xml_is(x, "endnoteReference")) {
        note_reference(d, x, 'e');
    } else if (p && xml_is(x, "docPr")) {
        const char *text = xml_attr(x, "descr");
        if (text && *text) {
            add_text(d, " [picture: ", 11);
            add_text(d, text, strlen(text));
            add_text(d, "] ", 2);
        }
    }
    *in_text = xml_is(x, "t");
    return 0;
}

static void close_element(Docx *d, Xml *x)
{
    if (xml_is(x, "p") && d->paras) {
        end_para(d);
    } else if (d->tables == 1 && xml_is(x, "tc")) {
        end_cell(d);
    } else if (xml_is(x, "tbl") && d->tables && --d->tables == 0) {
        md_table(&d->md, &d->table);
        table_clear(&d->table);
    }
}

/* The paragraphs and tables of a part. */
static int read_body(Docx *d, const char *member, Err *e)
{
    StrBuf bytes = { 0 };
    Xml   *x = NULL;
    bool   in_text = false;
    int    rc = opc_xml(&d->opc, member, &bytes, &x, e);
    while (!rc && (rc = xml_next(x, e)) > 0) {
        const int event = rc;
        rc = 0;
        if (event == XML_OPEN) {
            rc = open_element(d, x, &in_text, e);
        } else if (event == XML_CHARS && in_text) {
            const Str s = xml_chars(x);
            add_text(d, s.p, s.n);
        } else if (event == XML_CLOSE) {
            in_text = false;
            close_element(d, x);
        }
        if (!rc && (d->out.over || (d->paras && d->para[d->paras - 1].text.over) || d->cell.over))
            break; /* work_part says so */
    }
    xml_close(x);
    strbuf_release(&bytes);
    return rc < 0 ? rc : 0;
}

/* The texts of footnotes.xml or endnotes.xml, by number. */
static int read_notes(Docx *d, const char *member, char kind, Map *index, StrBuf *texts, Err *e)
{
    StrBuf bytes = { 0 }, text = { .max = d->out.max };
    Xml   *x = NULL;
    int    id = 0, rc = opc_xml(&d->opc, member, &bytes, &x, e);
    bool   in_text = false;
    while (!rc && (rc = xml_next(x, e)) > 0) {
        const int event = rc;
        rc = 0;
        if (event == XML_OPEN && (xml_is(x, "footnote") || xml_is(x, "endnote"))) {
            id = to_int(xml_attr(x, "id"), 0);
            strbuf_clear(&text);
        } else if (event == XML_CLOSE && (xml_is(x, "footnote") || xml_is(x, "endnote"))) {
            char key[24];
            snprintf(key, sizeof key, "%c%d", kind, id);
            map_put(index, str_of(key), (int64_t)texts->n);
            md_squeeze(texts, strbuf_str(&text));
            strbuf_addc(texts, '\0');
        } else if (event == XML_CHARS && in_text) {
            const Str s = xml_chars(x);
            strbuf_add(&text, s.p, s.n);
        } else if (event == XML_OPEN) {
            if (xml_is(x, "p") || xml_is(x, "tab") || xml_is(x, "br"))
                strbuf_addc(&text, ' ');
            if (xml_is(x, "del") || xml_is(x, "Fallback") || xml_is(x, "instrText"))
                rc = xml_skip(x, e);
        }
        in_text = event == XML_OPEN && !rc && xml_is(x, "t");
    }
    xml_close(x);
    strbuf_release(&bytes);
    strbuf_release(&text);
    return rc < 0 ? rc : 0;
}

static int put_notes(Docx *d, const RelList *rels, Err *e)
{
    StrBuf texts = { .max = d->out.max };
    Map   *index = map_new();
    const char *foot = rel_target(rels, NULL, "footnotes"), *end = rel_target(rels, NULL, "endnotes");
    int rc = foot ? read_notes(d, foot, 'f', index, &texts, e) : 0;
    if (!rc && end)
        rc = read_notes(d, end, 'e', index, &texts, e);
    for (size_t i = 0; i < d->note_mark.n && !rc; i++) {
        int64_t at;
        StrBuf  line = { 0 };
        strbuf_addf(&line, "[^%zu]: ", i + 1);
        if (map_get(index, str_of(d->note_mark.p[i]), &at) && (size_t)at < texts.n)
            strbuf_addz(&line, texts.p + at);
        md_para(&d->md, 0, strbuf_str(&line));
        strbuf_release(&line);
    }
    map_free(index);
    strbuf_release(&texts);
    return rc;
}

static void release(Docx *d)
{
    for (size_t i = 0; i < d->style.n; i++) {
        free(d->style.p[i].name);
        free(d->style.p[i].based_on);
    }
    for (size_t i = 0; i < d->note_mark.n; i++)
        free(d->note_mark.p[i]);
    for (int i = 0; i < PARA_NEST; i++)
        strbuf_release(&d->para[i].text);
    vec_release(&d->style);
    vec_release(&d->abstract);
    vec_release(&d->list);
    vec_release(&d->note_mark);
    map_free(d->style_of);
    table_release(&d->table);
    strbuf_release(&d->cell);
    strbuf_release(&d->out);
    opc_close(&d->opc);
}

int doc_parse_docx(DocWork *w, Str bytes, Err *e)
{
    Docx    d = { .w = w, .style_of = map_new() };
    RelList rels = { 0 };
    char   *main = NULL;
    d.out.max = d.cell.max = work_room(w);
    for (int i = 0; i < PARA_NEST; i++)
        d.para[i].text.max = d.out.max;
    d.md.out = &d.out;
    int rc = opc_open(&d.opc, w, bytes, e);
    if (!rc)
        rc = opc_properties(&d.opc, e);
    if (!rc)
        rc = opc_main(&d.opc, &main, e);
    if (!rc)
        rc = opc_rels(&d.opc, main, &rels, e);
    if (!rc && rel_target(&rels, NULL, "styles"))
        rc = read_styles(&d, rel_target(&rels, NULL, "styles"), e);
    if (!rc && rel_target(&rels, NULL, "numbering"))
        rc = read_numbering(&d, rel_target(&rels, NULL, "numbering"), e);
    if (!rc)
        rc = read_body(&d, main, e);
    if (!rc && d.note_mark.n)
        rc = put_notes(&d, &rels, e);
    if (!rc) {
        for (int i = 0; i < PARA_NEST; i++)
            d.out.over |= d.para[i].text.over;
        d.out.over |= d.cell.over;
        rc = work_part(w, DOC_DOCX, &d.out, NULL, e, "%s", "");
    }
    opc_rels_release(&rels);
    free(main);
    release(&d);
    return rc;
}
