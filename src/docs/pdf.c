/* pdf.c - PDF through pdfinfo and pdftotext (poppler-utils), each a caged child that gets the document as its standard input. Their licence keeps
 * them apart from this program, and so does their history of faults. A part for each page. Pages without text are scans more often than not, and a
 * note names them; a document without any is refused.
 * What the two programs print came from the document: their exit status and sentences are read, their text is repaired to UTF-8. */
#include "docs/doc_int.h"

#include <ctype.h>

#include "base/utf8.h"
#include "formats/stranger.h"

#define INFO_MAX ((size_t)1 << 20)

static int run(const char *const argv[], const ProcIn *in, ProcLimits limits, size_t out_max, StrBuf *out, Err *e)
{
    StrBuf said = { 0 };
    int    status = 0;
    limits.out_max = out_max;
    int rc = proc_run(argv, in, &limits, out, &status, &said, e);
    const char *words = strbuf_z(&said);
    if (rc == ERR_IO && strstr(e->text, "install it"))
        rc = err_set(e, ERR_IO, "the program %s, which reads PDF, is not installed; install the package poppler-utils", argv[0]);
    else if (rc)
        err_wrap(e, "%s", argv[0]);
    else if (strstr(words, "Incorrect password"))
        rc = err_set(e, ERR_INPUT, "the PDF is encrypted and needs a password; save it without one");
    else if (status == 3 || strstr(words, "Copying of text from this document is not allowed"))
        rc = err_set(e, ERR_INPUT, "the PDF forbids to copy its text; ask its author for one that permits it");
    else if (status != 0) {
        Str first = { words, strcspn(words, "\n") };
        rc = err_set(e, ERR_INPUT, "the PDF cannot be read (%s: %s); open it in a viewer and save it anew", argv[0],
                     first.n ? shown(first).text : "no reason given");
    }
    strbuf_release(&said);
    return rc;
}

/* "Title:          A report" */
static void read_info(DocWork *w, Str s)
{
    DocOut *d = w->out;
    const struct { const char *label; char **field; const char *key; } fields[] = {
        { "Title:", &d->title, NULL }, { "Author:", &d->author, NULL }, { "ModDate:", &d->date, NULL }, { "CreationDate:", NULL, "created" },
        { "Pages:", NULL, "pages" }, { "Subject:", NULL, "subject" }, { "Keywords:", NULL, "keywords" }, { "Producer:", NULL, "producer" },
    };
    for (size_t at = 0; at < s.n;) {
        const char *nl = memchr(s.p + at, '\n', s.n - at);
        Str         line = { s.p + at, nl ? (size_t)(nl - s.p) - at : s.n - at };
        at += line.n + 1;
        for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
            Str value = line;
            if (!str_starts(line, fields[i].label))
                continue;
            value.p += strlen(fields[i].label);
            value.n -= strlen(fields[i].label);
            while (value.n && *value.p == ' ')
                value.p++, value.n--;
            if (fields[i].field)
                work_field(w, fields[i].field, value);
            else
                work_meta(w, fields[i].key, value);
        }
    }
}

static void add_page_number(StrBuf *list, size_t *count, size_t page)
{
    if ((*count)++ < 20)
        strbuf_addf(list, "%s%zu", list->n ? ", " : "", page);
}

/* The text of pages, each ending with a form feed. */
static int put_pages(DocWork *w, Str s, Err *e)
{
    StrBuf empty = { 0 }, page = { 0 };
    size_t number = 0, blank = 0;
    int    rc = 0;
    for (size_t at = 0; at < s.n && !rc;) {
        const char *ff = memchr(s.p + at, '\f', s.n - at);
        Str         text = { s.p + at, ff ? (size_t)(ff - s.p) - at : s.n - at };
        at += text.n + 1;
        while (text.n && isspace((unsigned char)text.p[text.n - 1]))
            text.n--;
        while (text.n && text.p[0] == '\n')
            text.p++, text.n--;
        number++;
        if (!text.n)
            add_page_number(&empty, &blank, number);
        strbuf_clear(&page);
        strbuf_add(&page, text.p, text.n);
        Json *meta = json_obj_new();
        json_set(meta, "page", json_int_new((int64_t)number));
        rc = work_part(w, DOC_PDF, &page, meta, e, "page %zu", number);
    }
    if (!rc && number == blank)
        rc = err_set(e, ERR_INPUT, "the PDF has no text on any of its %zu pages: they are pictures; run OCR first", number);
    else if (!rc && blank)
        work_note(w, "no text on %zu of %zu pages (%s%s); if they are scans, run OCR first", blank, number, strbuf_z(&empty), blank > 20 ? ", ..." : "");
    strbuf_release(&empty);
    strbuf_release(&page);
    return rc;
}

int pdf_to_text(DocWork *w, const ProcIn *in, Err *e)
{
    StrBuf info = { 0 }, raw = { 0 }, text = { 0 };
    int rc = run((const char *const[]){ "pdfinfo", "-isodates", "-enc", "UTF-8", "-", NULL }, in, w->limits.proc, INFO_MAX, &info, e);
    if (!rc)
        rc = run((const char *const[]){ "pdftotext", "-q", "-enc", "UTF-8", "-eol", "unix", "-", "-", NULL }, in, w->limits.proc, work_room(w) + DOC_PARTS_MAX, &raw, e);
    if (!rc) {
        read_info(w, strbuf_str(&info));
        utf8_repair(&text, strbuf_str(&raw));
        rc = put_pages(w, strbuf_str(&text), e);
    }
    strbuf_release(&info);
    strbuf_release(&raw);
    strbuf_release(&text);
    return rc;
}
