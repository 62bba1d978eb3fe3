/* fuzz_office.c - any bytes as an office document. The first byte says which; the rest is either a package as it stands, or (the byte's bit 2) the text of
 * its main part inside a package made here, so that the fuzzer need not learn how to deflate. What comes out must survive packing. */
#include "docs/doc.h"

#include <archive.h>
#include <archive_entry.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

typedef struct Frame { DocKind kind; const char *main, *other, *rels; } Frame;

#define REL(id, type, target) "<Relationship Id=\"" id "\" Type=\"http://x/relationships/" type "\" Target=\"" target "\"/>"
/* `other` is a second part that the main one needs; input behind a NUL byte goes there. */
static const Frame frames[] = {
    { DOC_DOCX, "word/document.xml", "word/numbering.xml", REL("r1", "numbering", "numbering.xml") REL("r2", "styles", "numbering.xml") REL("r3", "footnotes", "numbering.xml") },
    { DOC_XLSX, "xl/workbook.xml", "xl/sheet.xml", REL("rId1", "worksheet", "sheet.xml") REL("r2", "sharedStrings", "sheet.xml") REL("r3", "styles", "sheet.xml") },
    { DOC_PPTX, "ppt/presentation.xml", "ppt/slide.xml", REL("rId1", "slide", "slide.xml") },
};

static void add(struct archive *a, const char *name, Str bytes)
{
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, name);
    archive_entry_set_size(entry, (la_int64_t)bytes.n);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_write_header(a, entry);
    archive_write_data(a, bytes.p, bytes.n);
    archive_entry_free(entry);
}

static void parse(DocKind kind, Str bytes)
{
    DocLimits l = { .text_max = 4 << 20 };
    DocOut    d, again;
    StrBuf    packed = { 0 };
    Err       e = { 0 };
    if (doc_parse(kind, bytes, &l, &d, &e)) {
        BUG_ON(!e.text[0] || d.part.n);
        return;
    }
    doc_pack(&packed, &d);
    BUG_ON(doc_unpack(strbuf_str(&packed), &again, &e) != 0 || again.part.n != d.part.n);
    doc_release(&again);
    doc_release(&d);
    strbuf_release(&packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n == 0)
        return 0;
    const Frame *f = &frames[(p[0] & 3) % 3];
    const Str    all = { (const char *)p + 1, n - 1 };
    if (!(p[0] & 4)) {
        parse(p[0] & 8 ? DOC_UNKNOWN : f->kind, all);
        return 0;
    }
    const char *cut = all.n ? memchr(all.p, 0, all.n) : NULL;
    const Str   main = { all.p, cut ? (size_t)(cut - all.p) : all.n }, other = { cut ? cut + 1 : all.p + all.n, cut ? all.n - main.n - 1 : 0 };
    static char buf[1 << 20];
    char        rels[512], name[64];
    size_t      used = 0;
    if (n > sizeof buf / 2)
        return 0;
    struct archive *a = archive_write_new();
    archive_write_set_format_zip(a);
    archive_write_zip_set_compression_store(a);
    archive_write_open_memory(a, buf, sizeof buf, &used);
    snprintf(rels, sizeof rels, "<R>" REL("r1", "officeDocument", "%s") "</R>", f->main);
    add(a, "_rels/.rels", str_of(rels));
    snprintf(name, sizeof name, "%.*s_rels/%s.rels", (int)(strchr(f->main, '/') - f->main) + 1, f->main, strchr(f->main, '/') + 1);
    snprintf(rels, sizeof rels, "<R>%s</R>", f->rels);
    add(a, name, str_of(rels));
    add(a, f->main, main);
    add(a, f->other, other);
    archive_write_close(a);
    archive_write_free(a);
    parse(f->kind, (Str){ buf, used });
    return 0;
}
