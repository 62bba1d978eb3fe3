/* kind.c - what a document is, by its content, and which parser reads it. The tables say it all: kinds[] the parsers, refused[] what is known by
 * name and not read, mail_heads[] how a message begins.
 * Invariant: kind_of never trusts a file's name and reads a bounded beginning of it, except for the list of members of a zip archive. */
#include "docs/doc_int.h"

#include <ctype.h>
#include <strings.h>


#define LOOK ((size_t)64 << 10) /* bytes looked at */

static const struct { const char *name; int (*parse)(DocWork *, Str, Err *); } kinds[DOC_KINDS] = {
    [DOC_UNKNOWN]  = { "unknown", NULL },
    [DOC_TEXT]     = { "plain text", doc_parse_text },
    [DOC_MARKDOWN] = { "Markdown", doc_parse_markdown },
    [DOC_HTML]     = { "HTML page", doc_parse_html },
    [DOC_XML]      = { "XML", doc_parse_xml },
    [DOC_DOCX]     = { "Word document (.docx)", doc_parse_docx },
    [DOC_XLSX]     = { "Excel workbook (.xlsx)", doc_parse_xlsx },
    [DOC_PPTX]     = { "PowerPoint presentation (.pptx)", doc_parse_pptx },
    [DOC_PDF]      = { "PDF", NULL },
    [DOC_MAIL]     = { "mail message", doc_parse_mail },
    [DOC_MBOX]     = { "mailbox (mbox)", doc_parse_mbox },
};

static const struct { const char *magic; size_t n; const char *sentence; } refused[] = {
    { "{\\rtf", 5, "this is RTF, which is not read; save it as .docx" },
    { "\x89PNG", 4, "this is a picture (PNG); run OCR first" },
    { "\xff\xd8\xff", 3, "this is a picture (JPEG); run OCR first" },
    { "GIF8", 4, "this is a picture (GIF); run OCR first" },
    { "II*\0", 4, "this is a picture (TIFF); run OCR first" },
    { "MM\0*", 4, "this is a picture (TIFF); run OCR first" },
    { "\x1f\x8b", 2, "this is a gzip archive; unpack it first" },
    { "BZh", 3, "this is a bzip2 archive; unpack it first" },
    { "\xfd" "7zXZ", 5, "this is an xz archive; unpack it first" },
    { "\x28\xb5\x2f\xfd", 4, "this is a zstd archive; unpack it first" },
    { "7z\xbc\xaf", 4, "this is a 7z archive; unpack it first" },
    { "Rar!", 4, "this is a RAR archive; unpack it first" },
    { "\x7f" "ELF", 4, "this is a program, not a document" },
    { "%!PS", 4, "this is PostScript; convert it to PDF first" },
    { "SQLite format 3", 15, "this is an SQLite database, not a document" },
    { "PAR1", 4, "this is a Parquet table, not a document" },
};

/* Streams of a compound file ([MS-CFB]) by their names, which stand in it as UTF-16; here every second byte. */
static const struct { const char *stream, *sentence; } compound[] = {
    { "EncryptedPackage", "this office document is protected by a password; save it without one" },
    { "WordDocument", "this is a Word document of the old format (.doc), which is not read; save it as .docx" },
    { "Workbook", "this is an Excel workbook of the old format (.xls), which is not read; save it as .xlsx" },
    { "Book", "this is an Excel workbook of the old format (.xls), which is not read; save it as .xlsx" },
    { "PowerPoint Document", "this is a presentation of the old format (.ppt), which is not read; save it as .pptx" },
    { "__substg1.0_", "this is an Outlook message (.msg), which is not read; save it as .eml" },
};

static const struct { const char *folder; DocKind kind; } packages[] = { { "word/", DOC_DOCX }, { "xl/", DOC_XLSX }, { "ppt/", DOC_PPTX } };
static const char *const mail_heads[] = { "From", "Date", "Message-ID", "Subject", "To", "Received", "Return-Path", "MIME-Version", "Delivered-To",
                                          "Content-Type", "Reply-To", "DKIM-Signature", "X-Mozilla-Status" };
static const char *const html_tags[] = { "html", "head", "body", "title", "h1", "div", "p", "table", "meta", "ul", "article", "section", "main" };

const char *doc_kind_name(DocKind k)
{
    return k < DOC_KINDS ? kinds[k].name : kinds[DOC_UNKNOWN].name;
}

static bool has_wide(Str s, const char *name)
{
    char wide[64];
    const size_t n = strlen(name);
    for (size_t i = 0; i < n; i++) {
        wide[2 * i] = name[i];
        wide[2 * i + 1] = '\0';
    }
    return memmem(s.p, s.n, wide, 2 * n) != NULL;
}

static DocKind compound_kind(Str s, Err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(compound); i++)
        if (has_wide(s, compound[i].stream)) {
            err_set(e, ERR_INPUT, "%s", compound[i].sentence);
            return DOC_UNKNOWN;
        }
    err_set(e, ERR_INPUT, "this is a compound file of an old office program, which is not read; save it in a newer format");
    return DOC_UNKNOWN;
}

static DocKind zip_kind(Str s, Err *e)
{
    Zip    *z;
    DocKind kind = DOC_UNKNOWN;
    if (zip_open_memory(&z, s, e))
        return DOC_UNKNOWN;
    const char *sentence = "this is a zip archive and no office document; unpack it first";
    if (zip_find(z, "[Content_Types].xml") >= 0) {
        for (size_t i = 0; i < zip_count(z) && kind == DOC_UNKNOWN; i++)
            for (size_t k = 0; k < ARRAY_LEN(packages); k++)
                if (strncasecmp(zip_name(z, i), packages[k].folder, strlen(packages[k].folder)) == 0)
                    kind = packages[k].kind;
        sentence = "this is an office package of a kind that is not read; save it as .docx, .xlsx or .pptx";
    } else if (zip_find(z, "mimetype") >= 0) {
        sentence = zip_find(z, "META-INF/container.xml") >= 0 ? "this is an e-book (EPUB), which is not read; convert it to HTML first"
                                                               : "this is an OpenDocument file, which is not read; save it as .docx, .xlsx or .pptx";
    }
    if (kind == DOC_UNKNOWN)
        err_set(e, ERR_INPUT, "%s", sentence);
    zip_close(z);
    return kind;
}

/* A header field of RFC 5322 at the beginning of a line: its name's length; 0: none. */
static size_t head_name(Str line)
{
    size_t n = 0;
    while (n < line.n && line.p[n] > ' ' && line.p[n] < 127 && line.p[n] != ':')
        n++;
    return n && n < line.n && n < 100 && line.p[n] == ':' ? n : 0;
}

static bool is_mail(Str s)
{
    int known = 0, lines = 0;
    for (size_t at = 0; at < s.n && lines < 200; lines++) {
        const char *nl = memchr(s.p + at, '\n', s.n - at);
        const Str   line = { s.p + at, nl ? (size_t)(nl - s.p) - at : s.n - at };
        const size_t n = head_name(line);
        at += line.n + 1;
        if (!line.n || (line.n == 1 && *line.p == '\r'))
            break;
        if (!n && !(lines && (*line.p == ' ' || *line.p == '\t')))
            return false;
        for (size_t i = 0; n && i < ARRAY_LEN(mail_heads); i++)
            known += n == strlen(mail_heads[i]) && strncasecmp(line.p, mail_heads[i], n) == 0;
    }
    return known >= 2;
}

static bool is_html(Str s)
{
    static const char doctype[] = "<!doctype html";
    while (s.n && isspace((unsigned char)*s.p))
        s.p++, s.n--;
    if (s.n >= sizeof doctype - 1 && strncasecmp(s.p, doctype, sizeof doctype - 1) == 0)
        return true;
    while (s.n > 4 && memcmp(s.p, "<!--", 4) == 0) { /* comments may stand before the page */
        const char *end = memmem(s.p, s.n, "-->", 3);
        if (!end)
            return false;
        s.n -= (size_t)(end + 3 - s.p);
        s.p = end + 3;
        while (s.n && isspace((unsigned char)*s.p))
            s.p++, s.n--;
    }
    if (!s.n || *s.p != '<')
        return false;
    for (size_t i = 0; i < ARRAY_LEN(html_tags); i++) {
        const size_t n = strlen(html_tags[i]);
        if (s.n > n + 1 && strncasecmp(s.p + 1, html_tags[i], n) == 0 && (s.p[n + 1] == '>' || isspace((unsigned char)s.p[n + 1])))
            return true;
    }
    return false;
}

/* <?xml ...?>, and whether its root is a page. */
static DocKind xml_kind(Str s)
{
    return memmem(s.p, s.n, "<html", 5) || memmem(s.p, MIN(s.n, (size_t)1024), "<!DOCTYPE html", 14) ? DOC_HTML : DOC_XML;
}

/* Front matter, or at least two lines that only Markdown begins so. */
static bool is_markdown(Str s)
{
    int marks = 0;
    if (str_starts(s, "---\n") || str_starts(s, "---\r\n"))
        return true;
    for (size_t at = 0; at < s.n && marks < 2;) {
        const char *nl = memchr(s.p + at, '\n', s.n - at);
        const Str   line = { s.p + at, nl ? (size_t)(nl - s.p) - at : s.n - at };
        size_t      hashes = 0;
        while (hashes < line.n && line.p[hashes] == '#')
            hashes++;
        marks += (hashes >= 1 && hashes <= 6 && hashes + 1 < line.n && line.p[hashes] == ' ') || str_starts(line, "```") || str_starts(line, "| --- ") ||
                 memmem(line.p, line.n, "](http", 6) != NULL;
        marks += at == 0 && hashes >= 1 && hashes <= 6 && hashes + 1 < line.n && line.p[hashes] == ' '; /* a title in the first line is enough */
        at += line.n + 1;
    }
    return marks >= 2;
}

/* Bytes that no text has: control characters, except where UTF-16 or UTF-32 announces itself. */
static bool is_binary(Str s)
{
    size_t odd = 0;
    if (s.n >= 2 && (memcmp(s.p, "\xff\xfe", 2) == 0 || memcmp(s.p, "\xfe\xff", 2) == 0))
        return false;
    if (s.n >= 4 && memcmp(s.p, "\0\0\xfe\xff", 4) == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        const unsigned char c = (unsigned char)s.p[i];
        if (c == 0)
            return true;
        odd += (c < 0x20 && !strchr("\t\n\r\f\v\x1b\x1a", c)) || c == 0x7f;
    }
    return odd > s.n / 100;
}

bool is_pdf(Str s)
{
    const char *at = memmem(s.p, MIN(s.n, (size_t)1024), "%PDF-", 5);
    return at && (at == s.p || at[-1] == '\n' || at[-1] == '\r' || (unsigned char)at[-1] >= 0x7f) && memcmp(s.p, "PK", 2) != 0 && memcmp(s.p, "From ", 5) != 0;
}

DocKind kind_of(Str bytes, Err *e)
{
    const Str look = { bytes.p, MIN(bytes.n, LOOK) };
    Str       text = look;
    if (str_starts(text, "\xef\xbb\xbf"))
        text = (Str){ text.p + 3, text.n - 3 };
    if (look.n >= 8 && memcmp(look.p, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 8) == 0)
        return compound_kind((Str){ bytes.p, MIN(bytes.n, (size_t)64 << 20) }, e);
    if (look.n >= 4 && (memcmp(look.p, "PK\3\4", 4) == 0 || memcmp(look.p, "PK\5\6", 4) == 0))
        return zip_kind(bytes, e);
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        if (look.n >= refused[i].n && memcmp(look.p, refused[i].magic, refused[i].n) == 0) {
            err_set(e, ERR_INPUT, "%s", refused[i].sentence);
            return DOC_UNKNOWN;
        }
    if (is_pdf(look))
        return DOC_PDF;
    if (is_binary(look)) {
        err_set(e, ERR_INPUT, "this is binary data of no kind that is known here, not a document");
        return DOC_UNKNOWN;
    }
    if (is_html(text))
        return DOC_HTML;
    if (str_starts(text, "<?xml"))
        return xml_kind(text);
    if (str_starts(text, "From ") && memchr(text.p, '\n', text.n)) {
        const char *nl = memchr(text.p, '\n', text.n);
        if (is_mail((Str){ nl + 1, text.n - (size_t)(nl + 1 - text.p) }))
            return DOC_MBOX;
    }
    if (is_mail(text))
        return DOC_MAIL;
    return is_markdown(text) ? DOC_MARKDOWN : DOC_TEXT;
}

int parse_as(DocWork *w, DocKind kind, Str bytes, Err *e)
{
    if (kind == DOC_PDF) { /* left to the parent, which alone may start another program */
        StrBuf none = { 0 };
        int    rc = work_part(w, DOC_PDF, &none, NULL, e, "%s", "");
        if (!rc) { /* bytes, not text: they do not count as such */
            DocPart *p = &w->out->part.p[w->out->part.n - 1];
            strbuf_add(&none, bytes.p, bytes.n);
            free(p->text);
            p->n = none.n;
            p->text = strbuf_take(&none);
            p->raw = true;
        }
        strbuf_release(&none);
        return rc;
    }
    BUG_ON(kind <= DOC_UNKNOWN || kind >= DOC_KINDS);
    return kinds[kind].parse(w, bytes, e);
}

bool doc_is_document(Str bytes)
{
    const DocKind k = kind_of(bytes, NULL);
    return k != DOC_UNKNOWN && k != DOC_TEXT && k != DOC_MARKDOWN;
}
