/* doc.c - the way of a document: its bytes go to a caged child (PDF: to two programs in the same cage), and what comes back is checked.
 * Invariant: this process looks at no more of a foreign file than its first bytes, to see whether it is a PDF. */
#include "docs/doc.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "docs/doc_int.h"

static DocLimits with_defaults(const DocLimits *l)
{
    DocLimits out = l ? *l : (DocLimits){ 0 };
    out.file_max = out.file_max ? out.file_max : (size_t)1 << 30;
    out.text_max = out.text_max ? out.text_max : (size_t)256 << 20;
    out.depth = out.depth ? out.depth : 4;
    out.proc.memory = out.proc.memory ? out.proc.memory : (size_t)4 << 30; /* the file, its text and a parser's own */
    return out;
}

static void begin(DocOut *d)
{
    *d = (DocOut){ .title = mem_strdup(""), .author = mem_strdup(""), .date = mem_strdup(""), .meta = mem_strdup("{}") };
}

int doc_parse(DocKind kind, Str bytes, const DocLimits *limits, DocOut *out, Err *e)
{
    DocWork w = { .out = out, .limits = with_defaults(limits), .parent = -1 };
    begin(out);
    int rc = 0;
    if (bytes.n > w.limits.file_max)
        rc = err_set(e, ERR_INPUT, "it has %zu MiB, and at most %zu MiB are allowed", bytes.n >> 20, w.limits.file_max >> 20);
    Err why = { 0 };
    if (!rc && kind == DOC_UNKNOWN && (kind = kind_of(bytes, &why)) == DOC_UNKNOWN)
        rc = err_set(e, why.code, "%s", why.text);
    if (!rc) {
        out->kind = kind;
        rc = parse_as(&w, kind, bytes, e);
    }
    if (rc)
        doc_release(out);
    return rc;
}

/* ---- in the child ---- */

static int run_docs(Str arg, StrBuf *out, Err *e)
{
    DocLimits   l = { 0 };
    struct stat s;
    DocOut      d;
    if (sscanf(arg.p, "%zu %zu %d", &l.file_max, &l.text_max, &l.depth) != 3 || fstat(0, &s) || s.st_size < 0)
        return err_set(e, ERR_WORK, "the document did not reach the process that was to read it");
    const size_t n = (size_t)s.st_size;
    void        *p = n ? mmap(NULL, n, PROT_READ, MAP_PRIVATE, 0, 0) : NULL;
    if (p == MAP_FAILED)
        return err_set(e, ERR_MEM, "the document's %zu MiB do not fit into the memory of the process that reads it", n >> 20);
    int rc = doc_parse(DOC_UNKNOWN, (Str){ n ? p : "", n }, &l, &d, e);
    if (!rc)
        doc_pack(out, &d);
    return rc; /* the process ends here */
}

PROC_JOB(docs_job, "documents to text", run_docs);

/* ---- in the parent ---- */

static bool begins_as_pdf(const char *path)
{
    char    head[1024];
    int     fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof head);
    if (fd >= 0)
        close(fd);
    return n > 0 && is_pdf((Str){ head, (size_t)n });
}

/* Attached PDFs come back as they are; here they become pages in their place. */
static void convert_raw(DocOut *d, const DocLimits *limits)
{
    DocOut  all = { 0 };
    int64_t *place = mem_zalloc(d->part.n + 1, sizeof *place); /* old number of a part -> new one; parents stand before their children */
    DocWork w = { .out = &all, .limits = *limits, .depth = 1 };
    bool    any = false;
    for (size_t i = 0; i < d->part.n; i++)
        any |= d->part.p[i].raw;
    for (size_t i = 0; i < d->part.n && any; i++) {
        DocPart *p = &d->part.p[i];
        place[i] = (int64_t)all.part.n;
        p->parent = p->parent < 0 ? -1 : place[p->parent];
        if (!p->raw) {
            w.text += p->n;
            *vec_push(&all.part) = *p;
            *p = (DocPart){ 0 };
            continue;
        }
        Err why = { 0 };
        const size_t before = all.part.n, text_before = w.text;
        w.prefix = p->name;
        w.parent = p->parent;
        if (pdf_to_text(&w, &(ProcIn){ .bytes = { p->text, p->n } }, &why)) {
            for (size_t k = before; k < all.part.n; k++) {
                free(all.part.p[k].name);
                free(all.part.p[k].text);
                free(all.part.p[k].meta);
            }
            all.part.n = before;
            w.text = text_before;
            w.prefix = NULL;
            work_note(&w, "%s: not converted: %s", p->name, why.text);
        }
    }
    if (any) {
        for (size_t i = 0; i < all.note.n; i++)
            *vec_push(&d->note) = all.note.p[i];
        for (size_t i = 0; i < d->part.n; i++) {
            free(d->part.p[i].name);
            free(d->part.p[i].text);
            free(d->part.p[i].meta);
            vec_release(&d->part.p[i].span);
        }
        vec_release(&d->part);
        vec_release(&all.note);
        d->part.p = all.part.p;
        d->part.n = all.part.n;
        d->part.cap = all.part.cap;
    }
    free(place);
}

static int in_child(const char *path, size_t size, const DocLimits *l, DocOut *out, Err *e)
{
    char       arg[96];
    StrBuf     packed = { 0 };
    ProcLimits proc = l->proc;
    snprintf(arg, sizeof arg, "%zu %zu %d", l->file_max, l->text_max, l->depth);
    /* names, meta and lengths beside the text; attached PDFs are pieces of the file, once more for each message around them */
    proc.out_max = l->text_max + l->text_max / 2 + ((size_t)64 << 20) + (size_t)(l->depth + 1) * size;
    int rc = proc_call(&docs_job, str_of(arg), &(ProcIn){ .path = path }, &proc, &packed, e);
    if (!rc)
        rc = doc_unpack(strbuf_str(&packed), out, e);
    strbuf_release(&packed);
    return rc;
}

int doc_to_text(const char *path, const DocLimits *limits, DocOut *out, Err *e)
{
    const DocLimits l = with_defaults(limits);
    uint64_t        size;
    *out = (DocOut){ 0 };
    int rc = file_size(path, &size, e);
    if (rc)
        return rc;
    if (size > l.file_max)
        return err_set(e, ERR_INPUT, "%s: it has %llu MiB, and at most %zu MiB are allowed", path, (unsigned long long)size >> 20, l.file_max >> 20);
    if (begins_as_pdf(path)) {
        DocWork w = { .out = out, .limits = l, .parent = -1 };
        begin(out);
        out->kind = DOC_PDF;
        rc = pdf_to_text(&w, &(ProcIn){ .path = path }, e);
    } else {
        rc = in_child(path, (size_t)size, &l, out, e);
        if (!rc)
            convert_raw(out, &l);
    }
    if (rc) {
        doc_release(out);
        if (!str_starts(str_of(e->text), path))
            err_wrap(e, "%s", path);
    }
    return rc;
}
