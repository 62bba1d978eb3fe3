/* out.c - building, packing and freeing a DocOut.
 * Invariant: every string of a DocOut is owned and zero-terminated, meta is always a JSON object's text. The packed form is a row of lengths and
 * bytes in the order of the fields; doc_unpack trusts none of them. To add a field: one line in walk_doc or walk_part, which both directions share. */
#include "docs/doc_int.h"

#include <stdarg.h>

#include "base/mem.h"
#include "base/utf8.h"

size_t work_room(const DocWork *w)
{
    return w->text < w->limits.text_max ? w->limits.text_max - w->text : 1;
}

static char *PRINTF_LIKE(1, 0) print(const char *fmt, va_list ap)
{
    char text[1024];
    utf8_vformat(text, sizeof text, fmt, ap);
    return mem_strdup(text);
}

int work_part(DocWork *w, DocKind kind, StrBuf *text, Json *meta, Err *e, const char *name, ...)
{
    va_list ap;
    va_start(ap, name);
    char *own = print(name, ap);
    va_end(ap);
    int rc = 0;
    for (char *z = text->p; z && (z = memchr(z, 0, text->n - (size_t)(z - text->p))); z++)
        *z = ' '; /* texts are zero-terminated */
    if (!utf8_valid(strbuf_str(text), NULL)) {
        StrBuf sound = { .max = text->max };
        utf8_repair(&sound, strbuf_str(text));
        strbuf_release(text);
        *text = sound;
    }
    w->text += text->n;
    if (text->over || w->text > w->limits.text_max)
        rc = err_set(e, ERR_INPUT, "its text has more than the %zu MiB that are allowed", w->limits.text_max >> 20);
    else if (w->out->part.n >= DOC_PARTS_MAX)
        rc = err_set(e, ERR_INPUT, "it has more than the %d pages, sheets, slides or messages that are allowed", DOC_PARTS_MAX);
    if (rc) {
        free(own);
        json_free(meta);
        return rc;
    }
    StrBuf full = { 0 }, json = { 0 };
    strbuf_addf(&full, "%s%s%s", w->prefix ? w->prefix : "", w->prefix && *own ? ": " : "", own);
    if (meta)
        json_write(&json, meta, false);
    else
        strbuf_addz(&json, "{}");
    json_free(meta);
    free(own);
    const size_t n = text->n;
    *vec_push(&w->out->part) = (DocPart){ .kind = kind, .name = strbuf_take(&full), .n = n, .text = strbuf_take(text), .meta = strbuf_take(&json),
                                          .parent = w->parent };
    return 0;
}

void work_note(DocWork *w, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char  *text = print(fmt, ap);
    va_end(ap);
    StrBuf full = { 0 };
    strbuf_addf(&full, "%s%s", w->prefix ? w->prefix : "", w->prefix ? ": " : "");
    utf8_repair(&full, str_of(text)); /* it may quote the document, as the name of a character set */
    free(text);
    if (w->out->note.n < 1000) /* a hostile file could have millions of reasons */
        *vec_push(&w->out->note) = strbuf_take(&full);
    else if (w->out->note.n == 1000)
        *vec_push(&w->out->note) = mem_strdup("there are further notes, which are not kept");
    strbuf_release(&full);
}

void work_field(DocWork *w, char **field, Str value)
{
    StrBuf sound = { 0 }, flat = { 0 };
    if (w->depth > 0 || **field || !value.n)
        return;
    utf8_repair(&sound, (Str){ value.p, MIN(value.n, (size_t)4096) });
    md_squeeze(&flat, strbuf_str(&sound));
    free(*field);
    *field = strbuf_take(&flat);
    strbuf_release(&sound);
}

void work_meta(DocWork *w, const char *key, Str value)
{
    Json *j = NULL;
    Err   e;
    if (w->depth > 0 || !value.n || json_parse(&j, str_of(w->out->meta), "meta", &e))
        return;
    StrBuf text = { 0 };
    json_set(j, key, json_str_new((Str){ value.p, MIN(value.n, (size_t)16 << 10) }));
    json_write(&text, j, false);
    json_free(j);
    free(w->out->meta);
    w->out->meta = strbuf_take(&text);
}

void doc_release(DocOut *d)
{
    for (size_t i = 0; i < d->part.n; i++) {
        DocPart *p = &d->part.p[i];
        free(p->name);
        free(p->text);
        free(p->meta);
        vec_release(&p->span);
    }
    for (size_t i = 0; i < d->note.n; i++)
        free(d->note.p[i]);
    vec_release(&d->part);
    vec_release(&d->note);
    free(d->title);
    free(d->author);
    free(d->date);
    free(d->meta);
    *d = (DocOut){ 0 };
}

/* ---- packed ---- */

typedef struct Wire {
    StrBuf *put; /* writing, or */
    Str     get; /* what is still to be read */
    bool    bad;
} Wire;

static void wire_num(Wire *w, uint64_t *v, uint64_t max)
{
    if (w->put) {
        strbuf_add(w->put, v, sizeof *v);
        return;
    }
    if (w->bad || w->get.n < sizeof *v) {
        w->bad = true;
        *v = 0;
        return;
    }
    memcpy(v, w->get.p, sizeof *v);
    w->get.p += sizeof *v;
    w->get.n -= sizeof *v;
    if (*v > max) {
        w->bad = true;
        *v = 0;
    }
}

static void wire_bytes(Wire *w, char **p, size_t *n, bool text)
{
    uint64_t len = *n;
    wire_num(w, &len, w->get.n > sizeof len ? w->get.n - sizeof len : 0);
    if (w->put) {
        strbuf_add(w->put, *p, *n);
        return;
    }
    const Str in = { w->get.p, (size_t)len };
    if (!w->bad) {
        w->get.p += len;
        w->get.n -= len;
        w->bad = text && (!utf8_valid(in, NULL) || (in.n && memchr(in.p, 0, in.n)));
    }
    *p = mem_alloc((w->bad ? 0 : in.n) + 1);
    *n = w->bad ? 0 : in.n;
    if (*n)
        memcpy(*p, in.p, *n);
    (*p)[*n] = '\0';
}

static void wire_text(Wire *w, char **z)
{
    size_t n = w->put ? strlen(*z) : 0;
    wire_bytes(w, z, &n, true);
}

static void walk_part(Wire *w, DocPart *p, size_t i)
{
    uint64_t kind = p->kind, raw = p->raw, parent = (uint64_t)(p->parent + 1), spans = p->span.n;
    size_t   end = 0;
    wire_num(w, &kind, DOC_KINDS - 1);
    wire_num(w, &raw, 1);
    wire_num(w, &parent, i);
    p->kind = (DocKind)kind;
    p->raw = raw != 0;
    p->parent = (int64_t)parent - 1;
    wire_text(w, &p->name);
    wire_bytes(w, &p->text, &p->n, !p->raw);
    wire_text(w, &p->meta);
    wire_num(w, &spans, p->n);
    for (size_t k = 0; k < spans && !w->bad; k++) {
        DocSpan *s = w->put ? &p->span.p[k] : vec_push(&p->span);
        uint64_t from = s->from, to = s->to, mark = s->mark;
        wire_num(w, &from, p->n);
        wire_num(w, &to, p->n);
        wire_num(w, &mark, DOC_SIGNATURE);
        w->bad |= !w->put && (from < end || to < from || mark < DOC_QUOTE);
        *s = (DocSpan){ (size_t)from, (size_t)to, (DocMark)mark };
        end = s->to;
    }
}

static void walk_doc(Wire *w, DocOut *d)
{
    uint64_t kind = d->kind, parts = d->part.n, notes = d->note.n;
    wire_num(w, &kind, DOC_KINDS - 1);
    d->kind = (DocKind)kind;
    wire_text(w, &d->title);
    wire_text(w, &d->author);
    wire_text(w, &d->date);
    wire_text(w, &d->meta);
    wire_num(w, &parts, DOC_PARTS_MAX);
    for (size_t i = 0; i < parts && !w->bad; i++)
        walk_part(w, w->put ? &d->part.p[i] : vec_push(&d->part), i);
    wire_num(w, &notes, 1001);
    for (size_t i = 0; i < notes && !w->bad; i++)
        wire_text(w, w->put ? &d->note.p[i] : vec_push(&d->note));
}

void doc_pack(StrBuf *out, const DocOut *d)
{
    DocOut copy = *d; /* the walk writes what it reads */
    walk_doc(&(Wire){ .put = out }, &copy);
}

int doc_unpack(Str bytes, DocOut *d, Err *e)
{
    Wire w = { .get = bytes };
    *d = (DocOut){ 0 };
    walk_doc(&w, d);
    Json *j = NULL;
    for (size_t i = 0; i <= d->part.n && !w.bad; i++) {
        w.bad = json_parse(&j, str_of(i < d->part.n ? d->part.p[i].meta : d->meta), "meta", NULL) != 0 || json_kind(j) != JSON_OBJECT;
        json_free(j);
        j = NULL;
    }
    if (!w.bad && w.get.n == 0)
        return 0;
    doc_release(d);
    return err_set(e, ERR_WORK, "the process that read it gave a result that makes no sense");
}
