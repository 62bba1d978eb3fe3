/* test_docs.c - documents made by the official libraries must give the text that was put in (tools/golden_docs.py), through the caged child; and
 * hostile ones must end in a sentence. */
#include "base/check.h"

#include "base/json.h"
#include "base/mem.h"
#include "docs/doc.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>

static const char *const kind_words[DOC_KINDS] = { "unknown", "text", "markdown", "html", "xml", "docx", "xlsx", "pptx", "pdf", "mail", "mbox" };

/* ---- golden documents ---- */

static void dump(StrBuf *out, const DocOut *d)
{
    strbuf_addf(out, "%s|%s|%s\n", d->title, d->author, d->date);
    for (size_t i = 0; i < d->part.n; i++) {
        const DocPart *p = &d->part.p[i];
        size_t at = 0;
        strbuf_addf(out, "=== %s|%s|%d\n", kind_words[p->kind], p->name, (int)p->parent);
        assert_int_equal(strlen(p->text), p->n);
        for (size_t k = 0; k < p->span.n; k++) {
            const DocSpan *s = &p->span.p[k];
            strbuf_add(out, p->text + at, s->from - at);
            strbuf_addz(out, s->mark == DOC_QUOTE ? "[[quote]]" : "[[signature]]");
            strbuf_add(out, p->text + s->from, s->to - s->from);
            strbuf_addz(out, "[[end]]");
            at = s->to;
        }
        strbuf_add(out, p->text + at, p->n - at);
        strbuf_addc(out, '\n');
    }
    for (size_t i = 0; i < d->note.n; i++)
        strbuf_addf(out, "*** %s\n", d->note.p[i]);
}

static char *golden(const char *name)
{
    return path_join(TEST_DIR "/docs/golden", name);
}

static DocOut read_golden(const char *name)
{
    DocOut d;
    Err    e = { 0 };
    char  *path = golden(name);
    if (doc_to_text(path, NULL, &d, &e))
        fail_msg("%s", e.text);
    free(path);
    return d;
}

static void test_golden(void **state)
{
    (void)state;
    FileList l;
    Err      e = { 0 };
    int      seen = 0, wrong = 0;
    assert_int_equal(file_list(&l, TEST_DIR "/docs/golden", &e), 0);
    for (size_t i = 0; i < l.n; i++) {
        char  name[256], *want;
        size_t n;
        StrBuf got = { 0 };
        snprintf(name, sizeof name, "%s.txt", l.name[i]);
        char *path = golden(name);
        if (file_exists(path)) {
            DocOut d = read_golden(l.name[i]);
            if (file_read_text(path, &want, &n, &e))
                fail_msg("%s", e.text);
            dump(&got, &d);
            if (strcmp(strbuf_z(&got), want) != 0) {
                print_error("%s\n---- got\n%s---- wanted\n%s", l.name[i], strbuf_z(&got), want);
                wrong++;
            }
            seen++;
            doc_release(&d);
            free(want);
        }
        strbuf_release(&got);
        free(path);
    }
    file_list_release(&l);
    assert_int_equal(seen, 12);
    assert_int_equal(wrong, 0);
}

static Json *meta_of(const char *text)
{
    Json *j;
    Err   e;
    if (json_parse(&j, str_of(text), "meta", &e))
        fail_msg("%s", e.text);
    return j;
}

static void expect_str(const char *meta, const char *key, const char *want)
{
    Json *j = meta_of(meta);
    if (!str_eqz(json_str(json_get(j, key)), want))
        fail_msg("%s is not \"%s\" in %s", key, want, meta);
    json_free(j);
}

static void test_meta(void **state)
{
    (void)state;
    DocOut d = read_golden("box.mbox");
    assert_int_equal(d.kind, DOC_MBOX);
    static const char *const threads[] = { "1@example.org", "1@example.org", "1@example.org", "4@example.org", "1@example.org" };
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        expect_str(d.part.p[i].meta, "thread", threads[i]);
    expect_str(d.part.p[2].meta, "in_reply_to", "2@example.org");
    doc_release(&d);

    d = read_golden("letter.eml");
    Json *j = meta_of(d.part.p[0].meta), *list = json_get(j, "attachments");
    assert_int_equal(json_len(list), 5);
    assert_true(str_eqz(json_str(json_get(json_at(list, 2), "name")), "photo.png"));
    assert_true(str_eqz(json_str(json_get(json_at(list, 2), "type")), "image/png"));
    assert_int_equal(json_int(json_get(json_at(list, 2), "bytes")), 12);
    json_free(j);
    doc_release(&d);

    d = read_golden("stock.xlsx");
    j = meta_of(d.part.p[1].meta);
    assert_true(json_bool(json_get(j, "hidden")));
    json_free(j);
    doc_release(&d);

    d = read_golden("pages.pdf");
    expect_str(d.meta, "pages", "3");
    j = meta_of(d.part.p[2].meta);
    assert_int_equal(json_int(json_get(j, "page")), 3);
    json_free(j);
    doc_release(&d);

    d = read_golden("page.html");
    expect_str(d.meta, "language", "de");
    doc_release(&d);

    DocLimits shallow = { .depth = 1 };
    Err e;
    char *path = golden("letter.eml");
    assert_int_equal(doc_to_text(path, &shallow, &d, &e), 0);
    assert_int_equal(d.part.n, 5);
    doc_release(&d);
    shallow.text_max = 400; /* the message fits, its manual does not */
    assert_int_equal(doc_to_text(path, &shallow, &d, &e), 0);
    assert_int_equal(d.part.n, 4);
    assert_non_null(strstr(d.note.p[0], "attachment manual.docx: not converted: its text has more than"));
    doc_release(&d);
    shallow.text_max = 50;
    assert_int_equal(doc_to_text(path, &shallow, &d, &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, "its text has more than the 0 MiB that are allowed");
    assert_int_equal(d.part.n, 0);
    free(path);
}

/* Marks lie in order and apart: here an attribution, then a signature, then the quotation. */
static void test_marks(void **state)
{
    (void)state;
    DocOut d;
    Err    e = { 0 };
    if (doc_parse(DOC_MAIL, STR_LIT("From: a@b\nSubject: s\n\nBob wrote:\n-- \nme\n> old\nx\n> more\n"), NULL, &d, &e))
        fail_msg("%s", e.text);
    const DocPart *p = &d.part.p[0];
    assert_int_equal(p->span.n, 3);
    assert_int_equal(p->span.p[0].mark, DOC_SIGNATURE);
    assert_memory_equal(p->text + p->span.p[0].from, "-- \nme\n", p->span.p[0].to - p->span.p[0].from);
    assert_memory_equal(p->text + p->span.p[1].from, "> old\n", p->span.p[1].to - p->span.p[1].from);
    assert_memory_equal(p->text + p->span.p[2].from, "> more", p->span.p[2].to - p->span.p[2].from);
    doc_release(&d);
}

/* How other mail programs and languages introduce the mail before: from there on the text is a quotation. */
static void test_quotes(void **state)
{
    (void)state;
    static const char *const heads[] = {
        "Von: Ann\nGesendet: Montag, 6. Mai 2024 09:12\nAn: Bob\nBetreff: Dienstag",   "-----Urspr\xC3\xBCngliche Nachricht-----\nVon: Ann",
        "Am Mo., 6. Mai 2024 um 09:12 Uhr schrieb Ann Lee <ann@x.example>:",         "Am Mo., 6. Mai 2024 um 09:12 Uhr schrieb Ann Lee\n<ann@x.example>:",
        "De : Ann\nEnvoy\xC3\xA9 : lundi 6 mai 2024 09:12\n\xC3\x80 : Bob\nObjet : mardi", "De: Ann\nEnviado el: lunes, 6 de mayo de 2024 9:12\nPara: Bob",
        "Da: Ann\nInviato: luned\xC3\xAC 6 maggio 2024 09:12\nA: Bob",                 "Van: Ann\nVerzonden: maandag 6 mei 2024 09:12\nAan: Bob",
        "Anfang der weitergeleiteten Nachricht:",                                   "---------- Forwarded message ---------",
        "Op ma 6 mei 2024 om 09:12 schreef Ann Lee <ann@x.example>:",
    };
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        StrBuf mail = { 0 };
        DocOut d;
        Err    e = { 0 };
        strbuf_addf(&mail, "From: a@b\nSubject: s\nContent-Type: text/plain; charset=utf-8\n\nAgreed.\n\n%s\n\nOld text\n", heads[i]);
        if (doc_parse(DOC_MAIL, strbuf_str(&mail), NULL, &d, &e))
            fail_msg("%s", e.text);
        const DocPart *p = &d.part.p[0];
        if (p->span.n != 1 || p->span.p[0].mark != DOC_QUOTE || p->span.p[0].to != p->n || strncmp(p->text + p->span.p[0].from, heads[i], strlen(heads[i])) != 0)
            fail_msg("head %zu is not marked up to the end: %s", i, p->text);
        doc_release(&d);
        strbuf_release(&mail);
    }
}

/* ---- refusals ---- */

typedef struct Case { const char *bytes; size_t n; const char *sentence; } Case;

static void expect_refused_limits(Str bytes, const char *sentence, int code, const DocLimits *limits)
{
    char  *dir = check_dir(), *path = path_join(dir, "doc");
    Err    e = { 0 };
    DocOut d;
    assert_int_equal(file_write_atomic(path, bytes.p, bytes.n, &e), 0);
    e = (Err){ 0 };
    doc_to_text(path, limits, &d, &e);
    check_says(&e, code, sentence);
    if (strncmp(e.text, path, strlen(path)) != 0)
        fail_msg("the sentence does not name the file: %s", e.text);
    doc_release(&d);
    free(path);
    check_dir_done(dir);
}

static void expect_refused(Str bytes, const char *sentence)
{
    expect_refused_limits(bytes, sentence, ERR_INPUT, NULL);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct { const char *file, *sentence; } files[] = {
        { "locked.pdf", "encrypted and needs a password" }, { "scan.pdf", "no text on any of its 2 pages" },
    };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        Err    e = { 0 };
        DocOut d;
        char  *path = golden(files[i].file);
        doc_to_text(path, NULL, &d, &e);
        check_says(&e, ERR_INPUT, files[i].sentence);
        assert_int_equal(d.part.n, 0);
        free(path);
    }
#define OLE "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" "................"
    expect_refused(STR_LIT(OLE "W\0o\0r\0d\0D\0o\0c\0u\0m\0e\0n\0t\0"), "old format (.doc)");
    expect_refused(STR_LIT(OLE "W\0o\0r\0k\0b\0o\0o\0k\0"), "old format (.xls)");
    expect_refused(STR_LIT(OLE "P\0o\0w\0e\0r\0P\0o\0i\0n\0t\0 \0D\0o\0c\0u\0m\0e\0n\0t\0"), "old format (.ppt)");
    expect_refused(STR_LIT(OLE "E\0n\0c\0r\0y\0p\0t\0e\0d\0P\0a\0c\0k\0a\0g\0e\0"), "protected by a password");
    expect_refused(STR_LIT("{\\rtf1 hello}"), "this is RTF");
    expect_refused(STR_LIT("\x89PNG\r\n\x1a\n"), "this is a picture");
    expect_refused(STR_LIT("abc\0def"), "binary data");
    expect_refused(STR_LIT("%PDF-1.7\ngarbage that is no PDF at all"), "the PDF cannot be read");
    Err    e = { 0 };
    DocOut d;
    assert_int_equal(doc_to_text("/nowhere/x.docx", NULL, &d, &e), ERR_INPUT);
    assert_true(doc_to_text("/tmp", NULL, &d, &e) < 0);
    doc_release(&d);
    expect_refused_limits(STR_LIT("some text"), "it has 0 MiB, and at most 0 MiB are allowed", ERR_INPUT, &(DocLimits){ .file_max = 5 });
}

/* ---- packages made here, by libarchive ---- */

typedef struct Member { const char *name; Str bytes; } Member;

static Str pack(const Member *m, size_t n)
{
    size_t cap = 1 << 16, used = 0;
    for (size_t i = 0; i < n; i++)
        cap += m[i].bytes.n + 1024;
    char *buf = mem_alloc(cap);
    struct archive *a = archive_write_new();
    archive_write_set_format_zip(a);
    archive_write_open_memory(a, buf, cap, &used);
    for (size_t i = 0; i < n; i++) {
        struct archive_entry *entry = archive_entry_new();
        archive_entry_set_pathname(entry, m[i].name);
        archive_entry_set_size(entry, (la_int64_t)m[i].bytes.n);
        archive_entry_set_filetype(entry, AE_IFREG);
        archive_entry_set_perm(entry, 0644);
        assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
        assert_int_equal(archive_write_data(a, m[i].bytes.p, m[i].bytes.n), (la_ssize_t)m[i].bytes.n);
        archive_entry_free(entry);
    }
    archive_write_close(a);
    archive_write_free(a);
    return (Str){ buf, used };
}

#define TYPES "<Types/>"
#define RELS "<Relationships><Relationship Id=\"r1\" Type=\"x/officeDocument\" Target=\"word/document.xml\"/></Relationships>"
#define BODY(text) "<w:document xmlns:w=\"w\"><w:body><w:p><w:r><w:t>" text "</w:t></w:r></w:p></w:body></w:document>"

static Str docx_of(Str document)
{
    return pack((const Member[]){ { "[Content_Types].xml", STR_LIT(TYPES) }, { "_rels/.rels", STR_LIT(RELS) }, { "word/document.xml", document } }, 3);
}

static void expect_docx_refused(Str document, const char *sentence)
{
    Str zip = docx_of(document);
    expect_refused(zip, sentence);
    free((char *)(uintptr_t)zip.p);
}

static void expect_text(DocKind kind, Str bytes, const char *want)
{
    DocOut d;
    Err    e = { 0 };
    if (doc_parse(kind, bytes, NULL, &d, &e))
        fail_msg("%s", e.text);
    check_text(d.part.p[0].text, want);
    StrBuf packed = { 0 }; /* and so it comes out of the child process */
    DocOut again;
    doc_pack(&packed, &d);
    if (doc_unpack(strbuf_str(&packed), &again, &e))
        fail_msg("%s", e.text);
    check_text(again.part.p[0].text, want);
    strbuf_release(&packed);
    doc_release(&again);
    doc_release(&d);
}

/* What the official libraries cannot write, by hand: footnotes, a table in a cell, a text box, alternate content, field codes. */
static void test_docx_odds(void **state)
{
    (void)state;
#define P(inner) "<w:p>" inner "</w:p>"
#define R(inner) "<w:r>" inner "</w:r>"
#define T(text) R("<w:t>" text "</w:t>")
    Str zip = pack((const Member[]){
        { "[Content_Types].xml", STR_LIT(TYPES) }, { "_rels/.rels", STR_LIT(RELS) },
        { "word/_rels/document.xml.rels", STR_LIT("<R><Relationship Id=\"a\" Type=\"x/footnotes\" Target=\"/word/notes.xml\"/></R>") },
        { "word/notes.xml", STR_LIT("<w:footnotes xmlns:w=\"w\"><w:footnote w:id=\"-1\">" P(T("rule")) "</w:footnote><w:footnote w:id=\"5\">" P(T("Says "))
                                    P(T("who?")) "</w:footnote></w:footnotes>") },
        { "word/document.xml", STR_LIT("<w:document xmlns:w=\"w\" xmlns:mc=\"mc\"><w:body>"
            P(T("Claim") R("<w:footnoteReference w:id=\"5\"/>") T(" and") R("<w:instrText>PAGE</w:instrText>") T(" more"))
            P(T("Outer") R("<mc:AlternateContent><mc:Choice><w:txbxContent>" P(T("boxed")) "</w:txbxContent></mc:Choice><mc:Fallback>" P(T("twice")) "</mc:Fallback></mc:AlternateContent>") T("end"))
            "<w:tbl><w:tr><w:tc>" P(T("a")) P(T("b")) "</w:tc><w:tc><w:tbl><w:tr><w:tc>" P(T("in")) "</w:tc><w:tc>" P(T("ner")) "</w:tc></w:tr></w:tbl>" P("") "</w:tc></w:tr></w:tbl>"
            P("<w:pPr><w:outlineLvl w:val=\"2\"/></w:pPr>" T("Third") ) "</w:body></w:document>") } }, 5);
    expect_text(DOC_DOCX, zip, "Claim[^1] and more\n\nOuter\nboxed\nend\n\n| a b | in ner |\n| --- | --- |\n\n### Third\n\n[^1]: Says who?");
    free((char *)(uintptr_t)zip.p);
}

static void test_html_odds(void **state)
{
    (void)state;
    /* a table of layout, with a heading in it, is no table */
    expect_text(DOC_HTML, STR_LIT("<table><tr><td><h2>A</h2><p>x<td>side<table><tr><td>1<td>2<tr><td>3<td>4</table></table>"),
                "## A\n\nx\n\nside\n\n| 1 | 2 |\n| --- | --- |\n| 3 | 4 |");
    expect_text(DOC_HTML, STR_LIT("<body><p>around<article><p>the one</article><footer>f</footer>"), "the one");
    expect_text(DOC_HTML, STR_LIT("<body><article><p>one</article><article><p>two<footer>by me</footer></article><footer>f</footer>"), "one\n\ntwo\n\nby me");
    expect_text(DOC_HTML, STR_LIT("<p style='color:red; Display : none'>x</p><p aria-hidden=true>y<p>z<script><div>\"</script>!"), "z!");
    expect_text(DOC_HTML, STR_LIT("<table><caption>Cap</caption><tr><th>a<th>b<tr><td>1<td>2</table>"), "Cap\n\n| a | b |\n| --- | --- |\n| 1 | 2 |");
    expect_text(DOC_HTML, STR_LIT(""), "");
    expect_text(DOC_HTML, STR_LIT("\xef\xbb\xbf<p>\xc3\xa9"), "\xc3\xa9");
    expect_text(DOC_HTML, STR_LIT("<meta charset='y\xfe\xff'><p>Text"), "Text"); /* the note quotes the name: it must come through all the same */
    expect_text(DOC_HTML, STR_LIT("<meta http-equiv=Content-Type content='text/html; charset=windows-1251'><p>\xcf\xf0\xe8"), "\xd0\x9f\xd1\x80\xd0\xb8");
    expect_text(DOC_HTML, STR_LIT("<p>\xe9t\xe9"), "\xc3\xa9t\xc3\xa9"); /* says nothing and is no UTF-8 */
}

/* The 1904 system, elapsed hours, formats with quoted letters. */
static void test_xlsx_odds(void **state)
{
    (void)state;
    Str zip = pack((const Member[]){
        { "[Content_Types].xml", STR_LIT(TYPES) }, { "_rels/.rels", STR_LIT("<R><Relationship Id=\"r1\" Type=\"x/officeDocument\" Target=\"xl/w.xml\"/></R>") },
        { "xl/w.xml", STR_LIT("<workbook xmlns:r=\"http://x/relationships\"><workbookPr date1904=\"1\"/><sheets><sheet name=\"S\" sheetId=\"1\" r:id=\"rId9\"/></sheets></workbook>") },
        { "xl/_rels/w.xml.rels", STR_LIT("<R><Relationship Id=\"rId9\" Type=\"x/worksheet\" Target=\"s.xml\"/><Relationship Id=\"q\" Type=\"x/styles\" Target=\"t.xml\"/></R>") },
        { "xl/t.xml", STR_LIT("<s><numFmts><numFmt numFmtId=\"170\" formatCode=\"[h]:mm\"/><numFmt numFmtId=\"171\" formatCode=\"0.00&quot; days&quot;;[Red]-0\"/>"
                              "<numFmt numFmtId=\"172\" formatCode=\"[$-407]d. mmmm yyyy\"/></numFmts><cellStyleXfs><xf numFmtId=\"14\"/></cellStyleXfs>"
                              "<cellXfs><xf numFmtId=\"0\"/><xf numFmtId=\"170\"/><xf numFmtId=\"171\"/><xf numFmtId=\"172\"/><xf numFmtId=\"22\"/></cellXfs></s>") },
        { "xl/s.xml", STR_LIT("<w><row><c><v>1.5</v></c><c s=\"1\"><v>1.5</v></c><c s=\"2\"><v>1.5</v></c><c s=\"3\"><v>0</v></c><c s=\"4\"><v>36525.999999</v></c>"
                              "<c t=\"e\"><v>#DIV/0!</v></c><c t=\"str\"><f>A1</f><v>r</v></c></row></w>") } }, 6);
    expect_text(DOC_XLSX, zip, "| 1.5 | 36:00:00 | 1.5 | 1904-01-01 | 2004-01-02 00:00:00 | #DIV/0! | r |\n| --- | --- | --- | --- | --- | --- | --- |");
    free((char *)(uintptr_t)zip.p);
}

static void test_hostile_xml(void **state)
{
    (void)state;
    Str    zip = docx_of(STR_LIT(BODY("fine")));
    DocOut d;
    Err    e = { 0 };
    if (doc_parse(DOC_UNKNOWN, zip, NULL, &d, &e)) /* the package itself is good */
        fail_msg("%s", e.text);
    check_text(d.part.p[0].text, "fine");
    doc_release(&d);
    free((char *)(uintptr_t)zip.p);

    expect_docx_refused(STR_LIT("<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>" BODY("&e;")), "DOCTYPE");
    expect_docx_refused(STR_LIT(BODY("cut here") "<"), "no usable XML");
    expect_docx_refused(STR_LIT("<w:document xmlns:w=\"w\"><w:body><w:p>"), "no usable XML");
    expect_docx_refused(STR_LIT(""), "XML");
    expect_refused(STR_LIT("<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><x>&e;</x>"), "an entity");
    expect_refused(STR_LIT("<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY a \"lol\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;\">"
                           "<!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;\"><!ENTITY d \"&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;\">"
                           "<!ENTITY f \"&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;\"><!ENTITY g \"&f;&f;&f;&f;&f;&f;&f;&f;&f;&f;\">"
                           "<!ENTITY h \"&g;&g;&g;&g;&g;&g;&g;&g;&g;&g;\"><!ENTITY i \"&h;&h;&h;&h;&h;&h;&h;&h;&h;&h;\">"
                           "<!ENTITY j \"&i;&i;&i;&i;&i;&i;&i;&i;&i;&i;\">]><x>&j;</x>"), "an entity");
    /* the same laughs in an attribute, where a parser must expand them */
    expect_refused(STR_LIT("<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY a \"lol\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;\">"
                           "<!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;\"><!ENTITY d \"&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;\">"
                           "<!ENTITY f \"&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;\"><!ENTITY g \"&f;&f;&f;&f;&f;&f;&f;&f;&f;&f;\">"
                           "<!ENTITY h \"&g;&g;&g;&g;&g;&g;&g;&g;&g;&g;\"><!ENTITY i \"&h;&h;&h;&h;&h;&h;&h;&h;&h;&h;\">"
                           "<!ENTITY j \"&i;&i;&i;&i;&i;&i;&i;&i;&i;&i;\">]><x y=\"&j;\"/>"), "no usable XML");
    StrBuf deep = { 0 };
    strbuf_addz(&deep, "<w:document xmlns:w=\"w\">");
    for (int i = 0; i < 5000; i++)
        strbuf_addz(&deep, "<w:tbl><w:tr><w:tc>");
    expect_docx_refused(strbuf_str(&deep), "nested more than 200 levels");
    strbuf_release(&deep);
}

static void test_hostile_zip(void **state)
{
    (void)state;
    StrBuf zeros = { 0 };
    strbuf_addz(&zeros, "<w:document xmlns:w=\"w\"><w:body><w:p><w:r><w:t>");
    for (int i = 0; i < 40 << 10; i++)
        strbuf_addz(&zeros, "                                                                                                                                "
                            "                                                                                                                                "
                            "                                                                                                                                "
                            "                                                                                                                                "
                            "                                                                                                                                ");
    strbuf_addz(&zeros, "</w:t></w:r></w:p></w:body></w:document>");
    expect_docx_refused(strbuf_str(&zeros), "a zip bomb");
    strbuf_release(&zeros);

    char  *path = golden("manual.docx"), *text;
    size_t n;
    Err    e = { 0 };
    assert_int_equal(file_read_text(path, &text, &n, &e), 0);
    for (size_t cut = 0; cut < n; cut += n / 150 + 1) { /* in this process: a child for each would take its time */
        DocOut d;
        char  *copy = mem_alloc(cut + 1);
        memcpy(copy, text, cut);
        e = (Err){ 0 };
        assert_true(doc_parse(DOC_DOCX, (Str){ copy, cut }, NULL, &d, &e) < 0);
        assert_true(e.code == ERR_INPUT && e.text[0]);
        free(copy);
    }
    expect_refused((Str){ text, n / 2 }, "damaged or cut short");
    free(text);
    free(path);
    Str twice = pack((const Member[]){ { "a", STR_LIT("1") }, { "a", STR_LIT("2") } }, 2);
    expect_refused(twice, "two members named a");
    free((char *)(uintptr_t)twice.p);
    Str plain = pack((const Member[]){ { "a.txt", STR_LIT("1") } }, 1);
    expect_refused(plain, "a zip archive and no office document");
    free((char *)(uintptr_t)plain.p);
    Str odt = pack((const Member[]){ { "mimetype", STR_LIT("application/vnd.oasis.opendocument.text") }, { "content.xml", STR_LIT("<x/>") } }, 2);
    expect_refused(odt, "OpenDocument");
    free((char *)(uintptr_t)odt.p);
    Str lost = pack((const Member[]){ { "[Content_Types].xml", STR_LIT(TYPES) }, { "word/other.xml", STR_LIT("<x/>") } }, 2);
    expect_refused(lost, "has no main part");
    free((char *)(uintptr_t)lost.p);
}

static void test_hostile_html(void **state)
{
    (void)state;
    StrBuf b = { 0 };
    strbuf_addz(&b, "<!DOCTYPE html><body>");
    for (int i = 0; i < 100000; i++)
        strbuf_addz(&b, "<div>");
    expect_refused(strbuf_str(&b), "nests its elements 100000 deep");
    strbuf_clear(&b);
    strbuf_addz(&b, "<!DOCTYPE html><body>"); /* as deep as is allowed, and unclosed formatting, which each paragraph opens again */
    for (int i = 0; i < 1500; i++)
        strbuf_addz(&b, "<div>");
    strbuf_addz(&b, "<b>deep</b><p>next");
    DocOut d;
    Err    e = { 0 };
    if (doc_parse(DOC_UNKNOWN, strbuf_str(&b), NULL, &d, &e))
        fail_msg("%s", e.text);
    check_text(d.part.p[0].text, "deep\n\nnext");
    doc_release(&d);
    strbuf_release(&b);
}

static void test_hostile_mail(void **state)
{
    (void)state;
    StrBuf b = { 0 };
    strbuf_addz(&b, "From: a@b\nDate: Sat, 14 Mar 2026 09:26:53 +0100\nSubject: s\nMIME-Version: 1.0\n");
    for (int i = 0; i < 1000; i++)
        strbuf_addf(&b, "Content-Type: multipart/mixed; boundary=\"b%d\"\n\n--b%d\n", i, i);
    strbuf_addz(&b, "Content-Type: text/plain\n\nbottom\n");
    expect_refused(strbuf_str(&b), "nests its parts more than 20 deep");
    strbuf_clear(&b);
    strbuf_addz(&b, "From: a@b\nSubject: s\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"b\"\n\n");
    for (int i = 0; i < 5000; i++)
        strbuf_addz(&b, "--b\nContent-Type: text/plain\n\nx\n");
    expect_refused(strbuf_str(&b), "more than the 1000 parts");
    strbuf_clear(&b);
    /* messages inside messages: converted as deep as the limits say, noted below that */
    strbuf_addz(&b, "From: a@b\nSubject: s0\nMIME-Version: 1.0\n");
    for (int i = 1; i < 10; i++)
        strbuf_addf(&b, "Content-Type: message/rfc822\n\nFrom: a@b\nSubject: s%d\nMIME-Version: 1.0\n", i);
    strbuf_addz(&b, "\nbottom\n");
    DocOut d;
    Err    e = { 0 };
    if (doc_parse(DOC_UNKNOWN, strbuf_str(&b), NULL, &d, &e))
        fail_msg("%s", e.text);
    assert_int_equal(d.part.n, 5);
    assert_int_equal(d.part.p[4].parent, 3);
    assert_int_equal(d.note.n, 1);
    assert_non_null(strstr(d.note.p[0], "more than 4 attachments deep"));
    doc_release(&d);
    strbuf_release(&b);
}

static void test_junk_and_limits(void **state)
{
    (void)state;
    const size_t n = (size_t)100 << 20;
    uint32_t     x = 1;
    char        *junk = mem_alloc(n);
    for (size_t i = 0; i < n; i++) {
        x = x * 1664525u + 1013904223u;
        junk[i] = (char)(x >> 24);
    }
    expect_refused((Str){ junk, n }, "binary data");
    memcpy(junk, "%PDF-1.7\n", 9);
    expect_refused((Str){ junk, 1 << 20 }, "the PDF cannot be read");
    for (size_t i = 0; i < n; i++) /* 100 MB of letters are a text; a smaller limit of text is a sentence */
        junk[i] = i % 64 ? (char)('a' + i % 26) : '\n';
    expect_refused_limits((Str){ junk, n }, "its text has more than the 10 MiB that are allowed", ERR_INPUT, &(DocLimits){ .text_max = (size_t)10 << 20 });
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    expect_refused_limits((Str){ junk, n }, "of memory", ERR_WORK, &(DocLimits){ .proc.memory = (size_t)180 << 20 });
#endif
    free(junk);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    Err    e = { 0 };
    DocOut d;
    char  *path = golden("pages.pdf");
    doc_to_text(path, &(DocLimits){ .proc.memory = (size_t)16 << 20 }, &d, &e);
    assert_int_equal(d.part.n, 0);
    assert_non_null(strstr(e.text, "pdfinfo"));
    free(path);
#endif
}

/* Drawings that draw each other ten times, nine levels deep: a small file, and a day's work for whoever follows it. */
static void test_endless_pdf(void **state)
{
    (void)state;
    StrBuf b = { 0 };
    strbuf_addz(&b, "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
                    "3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources<</XObject<</X 10 0 R>>>>>>endobj\n"
                    "4 0 obj<</Length 5>>stream\n/X Do\nendstream endobj\n5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj\n");
    for (int i = 10; i < 20; i++)
        strbuf_addf(&b, "%d 0 obj<</Type/XObject/Subtype/Form/BBox[0 0 600 800]/Resources<</XObject<</X %d 0 R>>/Font<</F 5 0 R>>>>/Length 60>>stream\n%s\nendstream "
                        "endobj\n", i, i + 1, i < 19 ? "/X Do /X Do /X Do /X Do /X Do /X Do /X Do /X Do /X Do /X Do " : "BT /F 9 Tf (a) Tj ET                                        ");
    strbuf_addz(&b, "trailer<</Root 1 0 R>>\n%%EOF");
    expect_refused_limits(strbuf_str(&b), "pdftotext: the child process used up its 1 s of processor time", ERR_WORK, &(DocLimits){ .proc.cpu_s = 1 });
    expect_refused_limits(strbuf_str(&b), "the child process did not finish within 3 s", ERR_WORK, &(DocLimits){ .proc.wall_s = 3 });
    strbuf_release(&b);
}

/* What a child that was taken over might send. */
static void test_unpack(void **state)
{
    (void)state;
    DocOut d = read_golden("letter.eml"), again;
    StrBuf b = { 0 }, one = { 0 }, two = { 0 };
    Err    e = { 0 };
    doc_pack(&b, &d);
    dump(&one, &d);
    assert_int_equal(doc_unpack(strbuf_str(&b), &again, &e), 0);
    dump(&two, &again);
    check_text(strbuf_z(&two), strbuf_z(&one));
    doc_release(&again);
    for (size_t cut = 0; cut < b.n; cut++)
        assert_int_equal(doc_unpack((Str){ b.p, cut }, &again, &e), ERR_WORK);
    for (size_t at = 0; at < MIN(b.n, (size_t)3000); at++) { /* any byte wrong: refused or a sound document */
        const char was = b.p[at];
        b.p[at] = (char)(was ^ 0x81);
        if (doc_unpack(strbuf_str(&b), &again, &e) == 0)
            doc_release(&again);
        b.p[at] = was;
    }
    strbuf_release(&b);
    strbuf_release(&one);
    strbuf_release(&two);
    doc_release(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden), cmocka_unit_test(test_meta), cmocka_unit_test(test_marks), cmocka_unit_test(test_quotes), cmocka_unit_test(test_refused), cmocka_unit_test(test_docx_odds),
        cmocka_unit_test(test_html_odds), cmocka_unit_test(test_xlsx_odds), cmocka_unit_test(test_hostile_xml),
        cmocka_unit_test(test_hostile_zip), cmocka_unit_test(test_hostile_html), cmocka_unit_test(test_hostile_mail),
        cmocka_unit_test(test_junk_and_limits), cmocka_unit_test(test_endless_pdf),
        cmocka_unit_test(test_unpack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
