/* arrow.c - opens an Arrow file or stream and its record batches: the buffers of every column are found, unpacked where they are packed, and measured against
 * the length that the metadata claims. See arrow_int.h for the other files.
 * Invariants: an ArrowFile is complete after opening and never changes; a batch owns what was unpacked for it and borrows the rest from the file. Which
 * dictionaries a batch uses: of each id the last whole one before it and the deltas behind that. A file lists all its dictionaries before its batches. */
#include "formats/arrow_int.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- files ---------------------------------------------------------------------------------------------------------------------------------------------- */

static int open_mapped(ArrowFile **out, ArrowFile *f, size_t group_max, Err *e)
{
    f->group_max = group_max ? group_max : PARQUET_GROUP_MAX;
    int rc = ar_file_index(f, e);
    if (rc) {
        err_wrap(e, "%s", f->path);
        arrow_close(f);
        f = NULL;
    }
    *out = f;
    return rc;
}

int arrow_open(ArrowFile **out, const char *path, Err *e)
{
    ArrowFile *f = mem_zalloc(1, sizeof *f);
    *out = NULL;
    f->path = mem_strdup(path);
    int rc = file_map(&f->map, path, e);
    if (rc) {
        arrow_close(f);
        return rc;
    }
    return open_mapped(out, f, 0, e);
}

int arrow_open_memory(ArrowFile **out, const void *p, size_t n, const char *name, size_t group_max, Err *e)
{
    ArrowFile *f = mem_zalloc(1, sizeof *f);
    f->path = mem_strdup(name);
    f->map = (FileMap){ p, n };
    f->borrowed = true;
    return open_mapped(out, f, group_max, e);
}

void arrow_close(ArrowFile *f)
{
    if (!f)
        return;
    if (!f->borrowed)
        file_unmap(&f->map);
    ar_field_release(&f->root);
    vec_release(&f->message);
    vec_release(&f->batch);
    free(f->path);
    free(f);
}

int64_t arrow_rows(const ArrowFile *f) { return f->rows; }
size_t  arrow_batches(const ArrowFile *f) { return f->batch.n; }

/* ---- buffers -------------------------------------------------------------------------------------------------------------------------------------------- */

/* The columns of one message are taken in the order of the schema: nodes, buffers and counts of view buffers one after the other. */
typedef struct Take {
    ArrowBatch      *b;
    const ArMessage *m;
    ArBatchMeta      meta;
    uint32_t         node, buffer, variadic;
    PqBudget        *budget;
    size_t           up_to;      /* dictionaries: those of messages before this one count */
    int              depth;
    Err             *e;
} Take;

static int damaged(Take *t, const ArField *f, const char *what)
{
    StrBuf path = {0};
    ar_field_path(&path, f);
    int rc = err_set(t->e, ERR_INPUT, "column %s: %s; the file is damaged", strbuf_z(&path), what);
    strbuf_release(&path);
    return rc;
}

static void *own(Take *t, void *p) { return *vec_push(&t->b->owned) = p; }

/* Bytes that a column's arrays take here, which the file's size does not bound. */
static int take_memory(Take *t, void **out, uint64_t count, size_t size)
{
    int rc = pq_alloc(t->budget, out, count, size, t->e);
    if (!rc && *out)
        own(t, *out);
    return rc;
}

static int take_buffer(Take *t, const ArField *f, Str *out)
{
    *out = (Str){ "", 0 };
    if (t->buffer >= t->meta.n_buffer)
        return damaged(t, f, "a buffer is missing");
    const uint8_t *at = t->meta.buffer + (size_t)t->buffer++ * 16;
    const int64_t  offset = (int64_t)pq_u64(at), n = (int64_t)pq_u64(at + 8);
    if (offset < 0 || n < 0 || offset > t->m->body_n || n > t->m->body_n - offset)
        return damaged(t, f, "a buffer lies outside of its batch");
    Str raw = { (const char *)t->b->f->map.p + t->m->body + offset, (size_t)n };
    if (t->meta.codec < 0 || !n) {
        *out = raw;
        return 0;
    }
    const int64_t size = n >= 8 ? (int64_t)pq_u64(raw.p) : -2;
    raw = (Str){ raw.p + 8, raw.n - MIN(raw.n, (size_t)8) };
    if (size == -1) { /* it would not have become smaller */
        *out = raw;
        return 0;
    }
    void *memory = NULL;
    if (size < 0)
        return damaged(t, f, "a packed buffer has no size");
    int rc = take_memory(t, &memory, (uint64_t)size, 1);
    if (!rc && size && (t->meta.codec == 1 ? pq_decompress(memory, (size_t)size, raw, PQ_ZSTD, t->e) : !pq_lz4_frame(memory, (size_t)size, raw)))
        rc = damaged(t, f, t->meta.codec == 1 ? "its Zstandard bytes do not unpack" : "its LZ4 bytes do not unpack");
    if (!rc && size)
        *out = (Str){ memory, (size_t)size };
    return rc;
}

static int expect(Take *t, const ArField *f, Str buffer, uint64_t count, size_t size, const char *what)
{
    return count > buffer.n / size && count ? damaged(t, f, what) : 0;
}

/* ---- columns -------------------------------------------------------------------------------------------------------------------------------------------- */

static int take_values(Take *t, const ArField *f, ArColumn *c, bool coded);
static int take_dictionary(Take *t, ArColumn *c);

static int take_views(Take *t, ArColumn *c)
{
    void *memory = NULL;
    if (t->variadic >= t->meta.n_variadic)
        return damaged(t, c->field, "the number of its buffers is missing");
    const int64_t n = (int64_t)pq_u64(t->meta.variadic + (size_t)t->variadic++ * 8);
    if (n < 0 || n > t->meta.n_buffer)
        return damaged(t, c->field, "it claims more buffers than there are");
    int rc = take_memory(t, &memory, (uint64_t)n, sizeof *c->view);
    c->view = memory;
    for (c->n_view = 0; c->n_view < (size_t)n && !rc; c->n_view++)
        rc = take_buffer(t, c->field, &c->view[c->n_view]);
    return rc;
}

static int take_children(Take *t, ArColumn *c)
{
    const ArField *f = c->field;
    void          *memory = NULL;
    int            rc = take_memory(t, &memory, f->n_child, sizeof *c->child);
    c->child = memory;
    for (size_t i = 0; i < f->n_child && !rc; i++) {
        rc = take_values(t, &f->child[i], &c->child[i], f->child[i].coded);
        if (rc)
            break;
        const int64_t least = f->layout == AR_STRUCT ? c->length : f->layout == AR_FIXED_LIST && c->length ? c->length * (int64_t)f->width : 0;
        if (c->child[i].length < least)
            rc = damaged(t, &f->child[i], "it is shorter than what holds it");
    }
    return rc;
}

/* Of one field, buffers as its layout has them: Columnar.html, "Buffer listing for each layout". */
static int take_values(Take *t, const ArField *f, ArColumn *c, bool coded)
{
    Str valid = { 0 };
    int rc = 0;
    *c = (ArColumn){ .field = f };
    if (t->node >= t->meta.n_node)
        return damaged(t, f, "it is missing from a batch");
    const uint8_t *at = t->meta.node + (size_t)t->node++ * 16;
    const int64_t  nulls = (int64_t)pq_u64(at + 8);
    const ArLayout layout = coded ? AR_FIXED : f->layout;
    const size_t   width = (size_t)(coded ? f->index_width : f->width);
    c->length = (int64_t)pq_u64(at);
    if (c->length < 0 || c->length >= PARQUET_ROWS_MAX || nulls < 0 || nulls > c->length)
        return damaged(t, f, "it has an impossible number of values");
    const uint64_t n = (uint64_t)c->length;
    if (layout == AR_NULL)
        return 0;
    if ((rc = take_buffer(t, f, &valid)) || (nulls && (rc = expect(t, f, valid, (n + 7) / 8, 1, "its marks of nulls are cut"))))
        return rc;
    c->valid = nulls ? (const uint8_t *)valid.p : NULL;
    switch (layout) {
    case AR_BOOL:
        if (!(rc = take_buffer(t, f, &c->data)))
            rc = expect(t, f, c->data, (n + 7) / 8, 1, "its values are cut");
        break;
    case AR_FIXED:
        if (!(rc = take_buffer(t, f, &c->data)))
            rc = expect(t, f, c->data, n, width, "its values are cut");
        break;
    case AR_VIEW:
        if (!(rc = take_buffer(t, f, &c->data)) && !(rc = expect(t, f, c->data, n, 16, "its values are cut")))
            rc = take_views(t, c);
        break;
    case AR_BYTES:
    case AR_LARGE_BYTES:
    case AR_LIST:
    case AR_LARGE_LIST:
    case AR_MAP:
        rc = take_buffer(t, f, &c->offsets);
        if (!rc && n)
            rc = expect(t, f, c->offsets, n + 1, layout == AR_LARGE_BYTES || layout == AR_LARGE_LIST ? 8 : 4, "its offsets are cut");
        if (!rc && layout <= AR_LARGE_BYTES)
            rc = take_buffer(t, f, &c->data);
        break;
    default:
        break;
    }
    if (!rc && layout >= AR_LIST)
        rc = take_children(t, c);
    if (!rc && coded)
        rc = take_dictionary(t, c);
    return rc;
}

static int take_message(Take *from, const ArMessage *m, const ArField *f, ArColumn *c, Err *e)
{
    Take t = { .b = from->b, .m = m, .budget = from->budget, .up_to = from->up_to, .depth = from->depth + 1, .e = e };
    int  rc = ar_batch_meta(from->b->f, m, &t.meta, e);
    if (!rc && t.depth > 8)
        rc = err_set(e, ERR_INPUT, "dictionaries stand within dictionaries more than 8 deep, which is refused");
    return rc ? rc : take_values(&t, f, c, false);
}

/* The last whole one before the batch, and the deltas up to the batch. */
static int take_dictionary(Take *t, ArColumn *c)
{
    const ArrowFile *file = t->b->f;
    size_t           first = SIZE_MAX, n = 0;
    void            *parts = NULL, *columns = NULL;
    for (size_t i = 0; i < t->up_to; i++) {
        const ArMessage *m = &file->message.p[i];
        if (!m->is_dictionary || m->id != c->field->dictionary || (m->is_delta && first == SIZE_MAX))
            continue;
        n = m->is_delta ? n + 1 : 1;
        first = m->is_delta ? first : i;
    }
    if (first == SIZE_MAX)
        return damaged(t, c->field, "its dictionary is missing");
    int rc = take_memory(t, &columns, n, sizeof(ArColumn));
    if (!rc)
        rc = take_memory(t, &parts, n, sizeof(ArColumn *));
    for (size_t i = first, k = 0; k < n && !rc; i++) {
        const ArMessage *m = &file->message.p[i];
        ArColumn        *part = (ArColumn *)columns + k;
        if (!m->is_dictionary || m->id != c->field->dictionary)
            continue;
        rc = take_message(t, m, c->field, part, t->e);
        ((const ArColumn **)parts)[k++] = part;
    }
    c->dictionary = (ArDictionary){ parts, rc ? 0 : n };
    return rc;
}

/* ---- batches -------------------------------------------------------------------------------------------------------------------------------------------- */

int arrow_batch_read(const ArrowFile *f, size_t i, ArrowBatch **out, Err *e)
{
    BUG_ON(i >= f->batch.n);
    const ArMessage *m = &f->message.p[f->batch.p[i]];
    ArrowBatch      *b = mem_zalloc(1, sizeof *b);
    PqBudget         budget = { f->group_max, f->group_max };
    Take             t = { .b = b, .m = m, .budget = &budget, .up_to = f->batch.p[i], .e = e };
    *b = (ArrowBatch){ .f = f, .rows = m->rows, .first = m->first, .root = { .field = &f->root, .length = m->rows } };
    int rc = ar_batch_meta(f, m, &t.meta, e);
    if (!rc)
        rc = take_children(&t, &b->root);
    if (rc) {
        err_wrap(e, "%s, batch %zu, rows %" PRId64 " to %" PRId64, f->path, i + 1, m->first + 1, m->first + m->rows);
        arrow_batch_free(b);
        b = NULL;
    }
    *out = b;
    return rc;
}

void arrow_batch_free(ArrowBatch *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->owned.n; i++)
        free(b->owned.p[i]);
    vec_release(&b->owned);
    free(b);
}

int64_t arrow_batch_rows(const ArrowBatch *b) { return b->rows; }
int64_t arrow_batch_first(const ArrowBatch *b) { return b->first; }
