/* doc_int.h - what the parsers of the room share: building a DocOut, light Markdown, XML, packages of office documents, character sets.
 * A parser is `int doc_parse_x(DocWork *w, Str bytes, Err *e)`: it adds parts to w->out and stops with one sentence, or 0. */
#ifndef HONE_DOC_INT_H
#define HONE_DOC_INT_H

#include "base/json.h"
#include "docs/doc.h"
#include "formats/zip.h"

typedef struct DocWork {
    DocOut   *out;
    DocLimits limits;   /* none of them 0 */
    size_t    text;     /* bytes of text so far, parts that were closed */
    int       depth;    /* attachments around this document */
    int64_t   parent;   /* the message it is attached to; -1 */
    char     *prefix;   /* "attachment plan.docx" or NULL: stands before the names of its parts */
    const char *charset; /* named by a mail around this text; NULL */
} DocWork;

/* ---- out.c ---- */
/* Adds a part; takes text's memory. name is printed after the prefix. ERR_INPUT when the text of all parts passes limits.text_max (text->over counts). */
int  work_part(DocWork *w, DocKind kind, StrBuf *text, Json *meta, Err *e, const char *name, ...) PRINTF_LIKE(6, 7); /* meta: taken; NULL: {} */
size_t work_room(const DocWork *w);                        /* bytes of text that may still come, at least 1: a maximum for a StrBuf */
void work_note(DocWork *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
void work_field(DocWork *w, char **field, Str value);      /* title, author, date of the outermost document: kept when still empty */
void work_meta(DocWork *w, const char *key, Str value);    /* into out->meta, outermost document only */

/* ---- kind.c ---- */
DocKind kind_of(Str bytes, Err *e);                        /* DOC_UNKNOWN with a sentence: what it is and what to do */
bool is_pdf(Str head);                                     /* "%PDF-" begins a line of the first KiB; viewers bear with junk before it, too */
int  parse_as(DocWork *w, DocKind kind, Str bytes, Err *e);

int  doc_parse_text(DocWork *w, Str bytes, Err *e);
int  doc_parse_markdown(DocWork *w, Str bytes, Err *e);
int  doc_parse_html(DocWork *w, Str bytes, Err *e);
int  doc_parse_xml(DocWork *w, Str bytes, Err *e);
int  doc_parse_docx(DocWork *w, Str bytes, Err *e);
int  doc_parse_xlsx(DocWork *w, Str bytes, Err *e);
int  doc_parse_pptx(DocWork *w, Str bytes, Err *e);
int  doc_parse_mail(DocWork *w, Str bytes, Err *e);
int  doc_parse_mbox(DocWork *w, Str bytes, Err *e);
int  html_to_text(DocWork *w, Str utf8, StrBuf *out, Err *e); /* the body of a mail: no part, no fields */

/* ---- pdf.c: in the parent ---- */
int  pdf_to_text(DocWork *w, const ProcIn *in, Err *e);

/* ---- charset.c ---- */
/* Appends s as UTF-8 with \n line ends. charset NULL: a byte order mark says it, else valid UTF-8 is UTF-8, else Windows-1252 (what pages and mails
 * without a statement are). What does not fit the set becomes U+FFFD. False: the set has no such name here, and the guess was taken. */
bool charset_decode(StrBuf *out, Str s, const char *charset);
void charset_meta(Str html, char name[64]);                /* what a page says of itself in its first 1024 bytes; "" */

/* ---- md.c: light Markdown ---- */
typedef struct Md { StrBuf *out; bool in_list; } Md;
void md_squeeze(StrBuf *out, Str s);                       /* runs of white space become one blank, none at the ends; '\v' becomes a line break */
void md_para(Md *m, int heading, Str text);                /* heading 0: a paragraph, else 1 to 6; text as it is; empty: nothing */
void md_item(Md *m, int level, const char *marker, Str text); /* level from 0; marker "-" or "3." */
void md_code(Md *m, Str text);
void md_break(Md *m);                                      /* a page break */

typedef struct MdTable { VEC(char *) cell; VEC(size_t) row; } MdTable; /* row[i]: first cell of row i */
void table_row(MdTable *t);
void table_cell(MdTable *t, Str text);
void md_table(Md *m, const MdTable *t);                    /* columns and rows without any text are left out; one cell alone is a paragraph */
void table_clear(MdTable *t);
void table_release(MdTable *t);

/* ---- xml.c: the only door to libxml2 ---- */
typedef enum { XML_END, XML_OPEN, XML_CLOSE, XML_CHARS } XmlEvent;
typedef struct Xml Xml;
/* Streaming. No network, no external or declared entities, no parse options that lift libxml2's bounds; depth at most DOC_NEST_MAX.
 * `doctype`: a DOCTYPE is tolerated (and what it declares ignored); office documents never have one. bytes borrowed; `where` names the part. */
int         xml_open(Xml **x, Str bytes, const char *where, bool doctype, Err *e);
int         xml_next(Xml *x, Err *e);                      /* an XmlEvent, or < 0; an empty element gives XML_OPEN and XML_CLOSE */
const char *xml_name(const Xml *x);                        /* local name */
bool        xml_is(const Xml *x, const char *name);
Str         xml_chars(const Xml *x);
const char *xml_attr(const Xml *x, const char *local);     /* of the open element; NULL: none. Valid until the next call of xml_attr or xml_next */
const char *xml_rel(const Xml *x);                         /* its r:id, r:embed ... attribute "id" of the relationships namespace */
int         xml_skip(Xml *x, Err *e);                      /* after XML_OPEN: past its XML_CLOSE */
int         xml_inner(Xml *x, StrBuf *out, Err *e);        /* after XML_OPEN: all character data up to its XML_CLOSE */
void        xml_close(Xml *x);

/* ---- opc.c: packages of office documents (ECMA-376 part 2) ---- */
typedef struct Rel { char *id, *type, *target; } Rel;      /* type: the last word of its address; target: a member's name */
typedef struct Opc { Zip *zip; DocWork *w; } Opc;
typedef VEC(Rel) RelList;
int  opc_open(Opc *o, DocWork *w, Str bytes, Err *e);
void opc_close(Opc *o);
int  opc_rels(Opc *o, const char *member, RelList *list, Err *e);   /* of a member; "" the package's own; absent: empty */
void opc_rels_release(RelList *list);
const char *rel_target(const RelList *l, const char *id, const char *type); /* by id or (id NULL) the first of a type; NULL */
int  opc_xml(Opc *o, const char *member, StrBuf *bytes, Xml **x, Err *e);   /* reads and opens a member; 1: there is none */
int  opc_properties(Opc *o, Err *e);                       /* title, author, dates from docProps/core.xml */
int  opc_main(Opc *o, char **member, Err *e);              /* name of the main document */

#endif
