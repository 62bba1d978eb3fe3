/* xml.c - a small streaming face over libxml2's xmlReader; see doc_int.h for what is forbidden here.
 * Why it is safe: entities are never substituted (no XML_PARSE_NOENT), so neither files nor expansions enter the text, and a reference to a declared
 * entity is refused; libxml2's own bounds (10 MB of one text, 256 levels, amplification inside attributes) stay on (no XML_PARSE_HUGE). */
#include "docs/doc_int.h"

#include <libxml/xmlreader.h>
#include <limits.h>

#include "base/mem.h"
#include "formats/stranger.h"

struct Xml {
    xmlTextReaderPtr r;
    const char      *where;
    bool             doctype, pending_close, done;
    int              depth;     /* open elements */
    xmlChar         *attr;      /* last answer of xml_attr */
    char             why[200];  /* first complaint of the parser */
    int              line;
};

static void on_error(void *arg, const xmlError *error)
{
    Xml *x = arg;
    if (x->why[0] || error->level < XML_ERR_ERROR)
        return;
    snprintf(x->why, sizeof x->why, "%s", error->message ? error->message : "not well-formed");
    x->why[strcspn(x->why, "\n")] = '\0';
    x->line = error->line;
}

/* libxml2 2.12 made the argument const; the cast fits both. */
static void set_handler(Xml *x)
{
    xmlTextReaderSetStructuredErrorHandler(x->r, (xmlStructuredErrorFunc)(void (*)(void))on_error, x);
}

int xml_open(Xml **out, Str bytes, const char *where, bool doctype, Err *e)
{
    *out = NULL;
    if (bytes.n > INT_MAX)
        return err_set(e, ERR_INPUT, "%s has more than 2 GiB of XML: refused", shown(str_of(where)).text);
    Xml *x = mem_zalloc(1, sizeof *x);
    x->where = where;
    x->doctype = doctype;
    x->r = xmlReaderForMemory(bytes.n ? bytes.p : "", (int)bytes.n, NULL, NULL, XML_PARSE_NONET | XML_PARSE_NOCDATA);
    if (!x->r) {
        free(x);
        return err_set(e, ERR_INPUT, "%s is no XML", shown(str_of(where)).text);
    }
    set_handler(x);
    *out = x;
    return 0;
}

static int refuse(Xml *x, const char *what, const char *name, Err *e)
{
    return err_set(e, ERR_INPUT, "%s, line %d: %s%s", shown(str_of(x->where)).text, xmlTextReaderGetParserLineNumber(x->r), what, shown(str_of(name)).text);
}

int xml_next(Xml *x, Err *e)
{
    if (x->attr)
        xmlFree(x->attr);
    x->attr = NULL;
    if (x->pending_close) {
        x->pending_close = false;
        x->depth--;
        return XML_CLOSE;
    }
    for (;;) {
        const int rc = xmlTextReaderRead(x->r);
        if (rc < 0)
            return err_set(e, ERR_INPUT, "%s, line %d: this is no usable XML: %s", shown(str_of(x->where)).text, x->line,
                           x->why[0] ? shown(str_of(x->why)).text : "not well-formed");
        if (rc == 0)
            return XML_END;
        switch (xmlTextReaderNodeType(x->r)) {
        case XML_READER_TYPE_ELEMENT:
            if (++x->depth > DOC_NEST_MAX)
                return refuse(x, "elements are nested more than 200 levels deep, which is refused", "", e);
            x->pending_close = xmlTextReaderIsEmptyElement(x->r) == 1;
            return XML_OPEN;
        case XML_READER_TYPE_END_ELEMENT:
            x->depth--;
            return XML_CLOSE;
        case XML_READER_TYPE_TEXT:
        case XML_READER_TYPE_CDATA:
        case XML_READER_TYPE_SIGNIFICANT_WHITESPACE:
            return XML_CHARS;
        case XML_READER_TYPE_DOCUMENT_TYPE:
            if (!x->doctype)
                return refuse(x, "it has a DOCTYPE, which office documents never have: refused", "", e);
            break;
        case XML_READER_TYPE_ENTITY_REFERENCE:
            return refuse(x, "the text uses an entity that the document itself declares, which is not followed (it could name a file or grow without end): &",
                          (const char *)xmlTextReaderConstName(x->r), e);
        default: break;
        }
    }
}

const char *xml_name(const Xml *x)
{
    const xmlChar *name = xmlTextReaderConstLocalName(x->r);
    return name ? (const char *)name : "";
}

bool xml_is(const Xml *x, const char *name)
{
    return strcmp(xml_name(x), name) == 0;
}

Str xml_chars(const Xml *x)
{
    return str_of((const char *)xmlTextReaderConstValue(x->r));
}

/* The value of the first attribute that fits; the reader stands on the element again afterwards. */
static const char *find_attr(const Xml *cx, const char *local, bool rel)
{
    Xml *x = (Xml *)(uintptr_t)cx; /* only remembers the answer */
    if (x->attr)
        xmlFree(x->attr);
    x->attr = NULL;
    for (int rc = xmlTextReaderMoveToFirstAttribute(x->r); rc == 1 && !x->attr; rc = xmlTextReaderMoveToNextAttribute(x->r)) {
        const char *name = (const char *)xmlTextReaderConstLocalName(x->r), *space = (const char *)xmlTextReaderConstNamespaceUri(x->r);
        const bool  is_rel = space && strstr(space, "/relationships");
        if (name && (rel ? is_rel && strcmp(name, "id") == 0 : !is_rel && strcmp(name, local) == 0))
            x->attr = xmlTextReaderValue(x->r);
    }
    xmlTextReaderMoveToElement(x->r);
    return (const char *)x->attr;
}

const char *xml_attr(const Xml *x, const char *local)
{
    return find_attr(x, local, false);
}

const char *xml_rel(const Xml *x)
{
    return find_attr(x, "id", true);
}

int xml_inner(Xml *x, StrBuf *out, Err *e)
{
    const int inside = x->depth;
    int       rc;
    while ((rc = xml_next(x, e)) > 0 && !(rc == XML_CLOSE && x->depth < inside))
        if (rc == XML_CHARS && out) {
            const Str s = xml_chars(x);
            strbuf_add(out, s.p, s.n);
        }
    return rc < 0 ? rc : 0;
}

int xml_skip(Xml *x, Err *e)
{
    return xml_inner(x, NULL, e);
}

void xml_close(Xml *x)
{
    if (!x)
        return;
    if (x->attr)
        xmlFree(x->attr);
    xmlFreeTextReader(x->r);
    free(x);
}
