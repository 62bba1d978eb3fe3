/* doc.h - a document as text. Each kind gives plain UTF-8 with its structure as light Markdown: "# " headings, "- " and "1. " lists, pipe tables,
 * a line with a form feed where a page was broken by hand, the text of links without their targets. What a document is says its content, never
 * its name.
 *
 *   DocOut d;  doc_to_text("report.docx", NULL, &d, e);  for (i < d.part.n) use(d.part.p[i].name, d.part.p[i].text);  doc_release(&d);
 *
 * Everything foreign is parsed in a caged child process (base/proc.h); PDF by pdftotext of the package poppler-utils, in the same cage.
 * Left out, and so by design: headers, footers and comments of office documents, deleted text of tracked changes; scripts, styles, menus and page
 * frames of HTML. What could not be converted stands as a sentence in `note`: nothing is dropped in silence.
 * Title, author and date keep at most 4096 bytes, other properties 16 KiB, names of parts 1 KiB; a mail's head is kept whole.
 * Refused with a sentence: files over the limits, with a password, the formats of Office before 2007 (.doc, .xls, .ppt), RTF, OpenDocument, EPUB,
 * pictures, archives, binary data; PDF without any text (scans).
 * To add a kind: a row in DocKind, in kinds[] of kind.c and a function like doc_parse_docx. */
#ifndef HONE_DOC_H
#define HONE_DOC_H

#include "base/proc.h"
#include "base/vec.h"

#define DOC_NEST_MAX  200   /* elements inside elements of one XML part; parts inside parts of a mail: a tenth of it */
#define DOC_PARTS_MAX 200000 /* pages, sheets, slides, messages with their attachments */

typedef enum {
    DOC_UNKNOWN, DOC_TEXT, DOC_MARKDOWN, DOC_HTML, DOC_XML, DOC_DOCX, DOC_XLSX, DOC_PPTX, DOC_PDF, DOC_MAIL, DOC_MBOX, DOC_KINDS
} DocKind;

typedef enum { DOC_QUOTE = 1, DOC_SIGNATURE } DocMark;      /* of mails: the text of an earlier message; what stands behind "-- " */
typedef struct DocSpan { size_t from, to; DocMark mark; } DocSpan; /* bytes of the part's text, [from, to); in order, not overlapping */

typedef struct DocPart {
    DocKind  kind;    /* of this part: an attachment has its own */
    char    *name;    /* "page 3", "sheet Sales", "slide 2", "message 7", "attachment plan.docx: sheet A"; "" where the document is one piece */
    char    *text;    /* UTF-8, zero-terminated, line ends \n */
    size_t   n;
    char    *meta;    /* a JSON object. Mail: from, to, cc, date, subject, message_id, in_reply_to, thread, attachments [{name, type, bytes}];
                        what a message does not say is absent. Page: page. Sheet: sheet, hidden. Slide: title, hidden */
    int64_t  parent;  /* the message that an attachment belongs to; -1: none */
    VEC(DocSpan) span;
    bool     raw;     /* bytes of an attached PDF on their way to pdftotext; never true in what doc_to_text gives */
} DocPart;

typedef struct DocOut {
    DocKind kind;
    char   *title, *author, *date; /* "" when unknown; date as ISO 8601 where the document gives one that can be read so, else as it stands there */
    char   *meta;                  /* a JSON object of further properties: front matter, language, description, pages, ... */
    VEC(DocPart) part;
    VEC(char *)  note;             /* sentences: what was not converted and why */
} DocOut;

typedef struct DocLimits {
    size_t     file_max; /* bytes of the file; 0: 1 GiB */
    size_t     text_max; /* bytes of text in all; 0: 256 MiB */
    int        depth;    /* attachments within attachments that are converted; 0: 4; deeper ones are noted */
    ProcLimits proc;     /* of each child process; its out_max is set from text_max */
} DocLimits;

int  doc_to_text(const char *path, const DocLimits *limits, DocOut *out, Err *e); /* errors begin with the path; out is empty after one */
void doc_release(DocOut *out);                                                    /* a zeroed DocOut is fine */
const char *doc_kind_name(DocKind k);                                             /* "Word document (.docx)" */

/* The same in this very process, for fuzzers and for code that is in a cage already. DOC_UNKNOWN: found by content. PDF gives one raw part. */
int  doc_parse(DocKind kind, Str bytes, const DocLimits *limits, DocOut *out, Err *e);

/* Whether doc_to_text is the way to read this file: it has a form of its own. Plain text, Markdown and tables have not. */
bool doc_is_document(Str bytes);

/* A DocOut as bytes and back, the way it comes out of the child: every length is checked. */
void doc_pack(StrBuf *out, const DocOut *d);
int  doc_unpack(Str bytes, DocOut *d, Err *e);

#endif
