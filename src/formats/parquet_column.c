/* parquet_column.c - one column chunk: its pages, levels and values, and where each row begins.
 * Invariants: page headers are walked once before anything is allocated, so that the number of values is what the pages themselves claim; memory is
 * counted by the group's budget before it is asked for; entries, values and rows of a finished column agree with each other and with the row group. */
#include "formats/parquet_int.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <zlib.h>

int pq_alloc(PqBudget *b, void **out, uint64_t count, size_t size, Err *e)
{
    uint64_t bytes = 0;
    *out = NULL;
    if (__builtin_mul_overflow(count, (uint64_t)size, &bytes) || bytes > b->left)
        return err_set(e, ERR_INPUT, "decoding it takes more than the %zu MiB that a row group may use; ask for fewer columns, or write the file with "
                       "smaller row groups", b->max >> 20);
    *out = malloc(bytes ? (size_t)bytes : 1);
    if (!*out)
        return err_set(e, ERR_MEM, "%" PRIu64 " MiB of memory were refused by the system; ask for fewer columns", bytes >> 20);
    b->left -= (size_t)bytes;
    return 0;
}

void pq_give(PqBudget *b, void *p, uint64_t count, size_t size)
{
    if (p)
        b->left += (size_t)count * size;
    free(p);
}

/* ---- page headers ---- */

typedef struct Page {
    int32_t type, packed, size;                    /* bytes in the file, and decompressed */
    bool    has_crc, has_v1, has_v2, has_dictionary;
    uint32_t crc;
    int32_t values, encoding, def_encoding, rep_encoding;
    int32_t def_bytes, rep_bytes;                  /* V2 */
    bool    compressed;                            /* V2 */
    Str     body;
} Page;

static void parse_v1(ThriftReader *r, Page *p)
{
    p->has_v1 = true;
    for (ThriftField f = {0}; thrift_next(r, &f);)
        switch (f.id) {
        case 1:  p->values = thrift_int32(r, &f); break;
        case 2:  p->encoding = thrift_int32(r, &f); break;
        case 3:  p->def_encoding = thrift_int32(r, &f); break;
        case 4:  p->rep_encoding = thrift_int32(r, &f); break;
        default: thrift_skip(r, &f);
        }
}

static void parse_v2(ThriftReader *r, Page *p)
{
    p->has_v2 = p->compressed = true;
    for (ThriftField f = {0}; thrift_next(r, &f);)
        switch (f.id) {
        case 1:  p->values = thrift_int32(r, &f); break;
        case 4:  p->encoding = thrift_int32(r, &f); break;
        case 5:  p->def_bytes = thrift_int32(r, &f); break;
        case 6:  p->rep_bytes = thrift_int32(r, &f); break;
        case 7:  p->compressed = thrift_bool(r, &f); break;
        default: thrift_skip(r, &f);
        }
}

static void parse_dictionary(ThriftReader *r, Page *p)
{
    p->has_dictionary = true;
    for (ThriftField f = {0}; thrift_next(r, &f);)
        switch (f.id) {
        case 1:  p->values = thrift_int32(r, &f); break;
        case 2:  p->encoding = thrift_int32(r, &f); break;
        default: thrift_skip(r, &f);
        }
}

/* A page of a known kind has the part of the header that says how many values it holds. */
static bool is_described(const Page *p)
{
    switch (p->type) {
    case PQ_DATA_PAGE:       return p->has_v1 && p->values >= 0;
    case PQ_DATA_PAGE_V2:    return p->has_v2 && p->values >= 0;
    case PQ_DICTIONARY_PAGE: return p->has_dictionary && p->values >= 0;
    default:                 return true;
    }
}

/* Takes one page, header and body, off the front of *in. */
static int next_page(Page *p, Str *in, Err *e)
{
    const uint8_t *start = (const uint8_t *)in->p;
    ThriftReader r = { start, start + in->n, NULL };
    *p = (Page){ .type = -1, .packed = -1, .size = -1, .values = -1 };
    for (ThriftField f = {0}; thrift_next(&r, &f);)
        switch (f.id) {
        case 1:  p->type = thrift_int32(&r, &f); break;
        case 2:  p->size = thrift_int32(&r, &f); break;
        case 3:  p->packed = thrift_int32(&r, &f); break;
        case 4:  p->crc = (uint32_t)thrift_int32(&r, &f); p->has_crc = true; break;
        case 5:  if (thrift_enter(&r, &f)) parse_v1(&r, p); break;
        case 7:  if (thrift_enter(&r, &f)) parse_dictionary(&r, p); break;
        case 8:  if (thrift_enter(&r, &f)) parse_v2(&r, p); break;
        default: thrift_skip(&r, &f);
        }
    if (r.bad)
        return err_set(e, ERR_INPUT, "the page's header is damaged: %s", r.bad);
    size_t left = (size_t)(r.end - r.p);
    if (p->size < 0 || p->packed < 0 || (size_t)p->packed > left)
        return err_set(e, ERR_INPUT, "the page says it has %d bytes, %d decompressed; the file has %zu left; it is damaged", p->packed, p->size, left);
    p->body = (Str){ (const char *)r.p, (size_t)p->packed };
    *in = (Str){ (const char *)r.p + p->packed, left - (size_t)p->packed };
    if (!is_described(p))
        return err_set(e, ERR_INPUT, "the page's header does not say how many values there are; the file is damaged");
    return 0;
}

static bool is_data(const Page *p)
{
    return p->type == PQ_DATA_PAGE || p->type == PQ_DATA_PAGE_V2;
}

/* ---- one page ---- */

typedef struct Decoder {
    PqColumn      *c;
    const PqChunk *chunk;
    PqBudget      *budget;
    PqValues       dictionary;
    bool           has_dictionary;
    Err           *e;
} Decoder;

static int expect_crc(const Page *p, Err *e)
{
    if (!p->has_crc)
        return 0;
    uint32_t crc = (uint32_t)crc32_z(0, (const Bytef *)p->body.p, p->body.n);
    return crc == p->crc ? 0 : err_set(e, ERR_INPUT, "the page's checksum is %08" PRIx32 ", its bytes give %08" PRIx32 "; the file is damaged",
                                             p->crc, crc);
}

/* The bytes behind the first `plain` ones, decompressed; into the file where nothing was compressed, else into *memory. */
static int unpack(Decoder *d, const Page *p, size_t plain, bool compressed, Str *out, void **memory)
{
    Str in = { p->body.p + plain, p->body.n - plain };
    size_t size = (size_t)p->size - plain;
    *out = in;
    if (!compressed || d->chunk->codec == PQ_UNCOMPRESSED)
        return in.n == size ? 0 : err_set(d->e, ERR_INPUT, "a page that is not compressed says %zu bytes and has %zu; the file is damaged", size, in.n);
    int rc = pq_alloc(d->budget, memory, size, 1, d->e);
    *out = (Str){ *memory, size };
    return rc || !size ? rc : pq_decompress(*memory, size, in, d->chunk->codec, d->e);
}

/* Memory that texts point into stays with the column; other memory goes back. */
static void settle(Decoder *d, void *memory, uint64_t size)
{
    if (memory && d->c->text)
        d->c->page[d->c->n_pages++] = memory;
    else
        pq_give(d->budget, memory, size, 1);
}

static int take_levels(Decoder *d, uint8_t *out, int64_t n, int max, int encoding, Str *in)
{
    size_t head = 0, bytes = 0;
    if (!max)
        return 0;
    if (encoding == PQ_BIT_PACKED) {
        bytes = ((size_t)n * (size_t)pq_bits((uint32_t)max) + 7) / 8;
    } else if (encoding == PQ_RLE) {
        head = 4;
        bytes = in->n < 4 ? SIZE_MAX - 4 : pq_u32(in->p);
    } else {
        return err_set(d->e, ERR_INPUT, "levels in the encoding with number %d are not allowed; the file is damaged", encoding);
    }
    if (head + bytes > in->n)
        return err_set(d->e, ERR_INPUT, "the levels take %zu bytes, the page has %zu; the file is damaged", head + bytes, in->n);
    Str part = { in->p + head, bytes };
    *in = (Str){ part.p + bytes, in->n - head - bytes };
    return pq_levels(out, n, max, part, encoding == PQ_BIT_PACKED, d->e);
}

static int read_levels(Decoder *d, const Page *p, Str *in)
{
    PqColumn *c = d->c;
    uint8_t *def = c->def ? c->def + c->entries : NULL, *rep = c->rep ? c->rep + c->entries : NULL;
    if (p->type == PQ_DATA_PAGE) {
        int rc = take_levels(d, rep, p->values, c->leaf->rep, p->rep_encoding, in);
        return rc ? rc : take_levels(d, def, p->values, c->leaf->def, p->def_encoding, in);
    }
    Str r = { p->body.p, (size_t)p->rep_bytes }, l = { p->body.p + p->rep_bytes, (size_t)p->def_bytes };
    int rc = rep ? pq_levels(rep, p->values, c->leaf->rep, r, false, d->e) : 0;
    return rc || !def ? rc : pq_levels(def, p->values, c->leaf->def, l, false, d->e);
}

static int read_data(Decoder *d, const Page *p)
{
    PqColumn *c = d->c;
    Str in;
    void *memory = NULL;
    size_t plain = 0;
    if (p->type == PQ_DATA_PAGE_V2) {
        if (p->def_bytes < 0 || p->rep_bytes < 0 || (int64_t)p->def_bytes + p->rep_bytes > MIN(p->packed, p->size))
            return err_set(d->e, ERR_INPUT, "the levels say %d and %d bytes, the page has %d; the file is damaged", p->rep_bytes, p->def_bytes,
                           p->packed);
        plain = (size_t)p->def_bytes + (size_t)p->rep_bytes;
    }
    int rc = unpack(d, p, plain, p->type == PQ_DATA_PAGE || p->compressed, &in, &memory);
    if (!rc)
        rc = read_levels(d, p, &in);
    int64_t n = p->values;
    if (!rc && c->def) {
        n = 0;
        for (int32_t i = 0; i < p->values; i++)
            n += c->def[c->entries + i] == c->leaf->def;
    }
    PqValues v = { c->leaf->type, c->width, c->leaf->length, n, c->fixed ? c->fixed + (size_t)c->values * c->width : NULL,
                   c->text ? c->text + c->values : NULL, d->has_dictionary ? &d->dictionary : NULL, d->budget };
    if (!rc)
        rc = pq_decode(&v, p->encoding, in, d->e);
    settle(d, memory, (uint64_t)p->size - plain);
    settle(d, v.owned, 0);
    c->entries += p->values;
    c->values += n;
    return rc;
}

static int read_dictionary(Decoder *d, const Page *p)
{
    PqColumn *c = d->c;
    Str in;
    void *memory = NULL, *room = NULL;
    if (d->has_dictionary || c->entries)
        return err_set(d->e, ERR_INPUT, "a dictionary page comes after another page; the file is damaged");
    if (p->encoding != PQ_PLAIN && p->encoding != PQ_PLAIN_DICTIONARY)
        return err_set(d->e, ERR_INPUT, "a dictionary in the encoding with number %d is not allowed", p->encoding);
    int rc = unpack(d, p, 0, true, &in, &memory);
    size_t least = c->width ? c->width : c->leaf->type == PQ_FIXED ? (size_t)c->leaf->length : 4;
    if (!rc && c->leaf->type != PQ_BOOLEAN && in.n / least < (size_t)p->values)
        rc = err_set(d->e, ERR_INPUT, "the dictionary says %d values and has %zu bytes; the file is damaged", p->values, in.n);
    if (!rc)
        rc = pq_alloc(d->budget, &room, (uint64_t)p->values, c->width ? c->width : sizeof(Str), d->e);
    d->dictionary = (PqValues){ c->leaf->type, c->width, c->leaf->length, p->values, c->width ? room : NULL, c->width ? NULL : room, NULL, d->budget };
    if (!rc)
        rc = pq_decode(&d->dictionary, PQ_PLAIN, in, d->e);
    d->has_dictionary = true;
    settle(d, memory, (uint64_t)p->size);
    return rc;
}

/* ---- the chunk ---- */

/* Counts pages and values, so that what is allocated rests on the pages and not on the footer alone. */
static int count_pages(Str in, const PqChunk *chunk, size_t *pages, Err *e)
{
    int64_t values = 0;
    for (*pages = 0; values < chunk->values; ++*pages) {
        Page p;
        int rc = next_page(&p, &in, e);
        if (rc)
            return err_wrap(e, "page %zu", *pages + 1);
        values += is_data(&p) ? p.values : 0;
    }
    if (values != chunk->values)
        return err_set(e, ERR_INPUT, "its pages hold %" PRId64 " values, the footer says %" PRId64 "; the file is damaged", values, chunk->values);
    return 0;
}

static int make_room(PqColumn *c, int64_t n, PqBudget *b, Err *e)
{
    uint64_t count = (uint64_t)n;
    int rc = c->leaf->def ? pq_alloc(b, (void **)&c->def, count, 1, e) : 0;
    if (!rc && c->leaf->rep)
        rc = pq_alloc(b, (void **)&c->rep, count, 1, e);
    if (!rc)
        rc = c->width ? pq_alloc(b, (void **)&c->fixed, count, c->width, e) : pq_alloc(b, (void **)&c->text, count, sizeof(Str), e);
    return rc;
}

static int index_rows(PqColumn *c, PqBudget *b, Err *e)
{
    uint64_t places = (uint64_t)c->rows + 1;
    int rc = 0;
    if (!c->leaf->rep && c->entries != c->rows)
        return err_set(e, ERR_INPUT, "it has %" PRId64 " values for %" PRId64 " rows; the file is damaged", c->entries, c->rows);
    if (c->leaf->rep)
        rc = pq_alloc(b, (void **)&c->entry_at, places, sizeof *c->entry_at, e);
    if (!rc && c->leaf->def)
        rc = pq_alloc(b, (void **)&c->value_at, places, sizeof *c->value_at, e);
    if (rc || !c->leaf->def)
        return rc;
    int64_t row = 0;
    uint32_t value = 0;
    for (int64_t i = 0; i < c->entries; i++) {
        if (!c->rep || !c->rep[i]) {
            if (row == c->rows)
                return err_set(e, ERR_INPUT, "it has more rows than the row group's %" PRId64 "; the file is damaged", c->rows);
            if (c->entry_at)
                c->entry_at[row] = (uint32_t)i;
            c->value_at[row++] = value;
        } else if (!row) {
            return err_set(e, ERR_INPUT, "it begins within a row; the file is damaged");
        }
        value += c->def[i] == c->leaf->def;
    }
    if (row != c->rows)
        return err_set(e, ERR_INPUT, "it has %" PRId64 " rows, the row group %" PRId64 "; the file is damaged", row, c->rows);
    if (c->entry_at)
        c->entry_at[row] = (uint32_t)c->entries;
    c->value_at[row] = value;
    return 0;
}

static int expect_chunk(const ParquetFile *f, const PqNode *leaf, const PqChunk *k, Err *e)
{
    if (k->encrypted || !k->there)
        return err_set(e, ERR_INPUT, "it is encrypted or its description is missing, which is not supported");
    if (k->elsewhere)
        return err_set(e, ERR_INPUT, "its data lies in another file, which is not supported; join the files with the program that wrote them");
    if (k->type != (int32_t)leaf->type)
        return err_set(e, ERR_INPUT, "it has physical type %d, the schema says %d; the file is damaged", k->type, (int)leaf->type);
    if (k->values < 0 || k->values >= PARQUET_ROWS_MAX)
        return err_set(e, ERR_INPUT, "it says that it has %" PRId64 " values; from 0 to 2^31 - 1 are allowed in a row group", k->values);
    if (k->values && (k->start < 4 || (uint64_t)k->start >= f->data_end))
        return err_set(e, ERR_INPUT, "its pages begin at byte %" PRId64 ", outside of the file's data; the file is damaged", k->start);
    return 0;
}

int pq_column_read(PqColumn *c, const ParquetFile *f, const PqNode *leaf, const PqChunk *chunk, int64_t rows, PqBudget *b, Err *e)
{
    *c = (PqColumn){ .leaf = leaf, .rows = rows, .width = pq_width(leaf->type) };
    Decoder d = { c, chunk, b, .e = e };
    size_t pages = 0;
    int rc = expect_chunk(f, leaf, chunk, e);
    if (rc)
        return rc;
    int64_t start = chunk->dictionary >= 4 && chunk->dictionary < chunk->start ? chunk->dictionary : chunk->start;
    Str in = chunk->values ? (Str){ (const char *)f->map.p + start, f->data_end - (size_t)start } : (Str){ NULL, 0 };
    rc = count_pages(in, chunk, &pages, e);
    if (!rc)
        rc = pq_alloc(b, (void **)&c->page, 2 * pages, sizeof *c->page, e);   /* a page leaves at most two pieces of memory */
    if (!rc)
        rc = make_room(c, chunk->values, b, e);
    for (size_t i = 0; !rc && i < pages; i++) {
        Page p;
        rc = next_page(&p, &in, e);
        if (!rc && (is_data(&p) || p.type == PQ_DICTIONARY_PAGE))              /* other pages are indexes */
            rc = expect_crc(&p, e);
        if (!rc && is_data(&p))
            rc = read_data(&d, &p);
        else if (!rc && p.type == PQ_DICTIONARY_PAGE)
            rc = read_dictionary(&d, &p);
        if (rc)
            err_wrap(e, "page %zu", i + 1);
    }
    if (!rc)
        rc = index_rows(c, b, e);
    void *room = d.dictionary.fixed ? (void *)d.dictionary.fixed : (void *)d.dictionary.text;
    pq_give(b, room, (uint64_t)d.dictionary.n, c->width ? c->width : sizeof(Str));
    return rc;
}

void pq_column_release(PqColumn *c)
{
    for (size_t i = 0; i < c->n_pages; i++)
        free(c->page[i]);
    free(c->page);
    free(c->def);
    free(c->rep);
    free(c->fixed);
    free(c->text);
    free(c->entry_at);
    free(c->value_at);
    *c = (PqColumn){0};
}
