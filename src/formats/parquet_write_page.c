/* parquet_write_page.c - a column's values as data pages of version 1, strings that repeat through a dictionary. Levels and indices are written as
 * the hybrid of runs and packed groups of eight (Encodings.md).
 * Invariant: a page ends where a row ends; every page has a checksum (zlib's CRC-32 of the bytes in the file). */
#include "formats/parquet_write.h"

#include <snappy-c.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#define ZSTD_LEVEL 3

PqType pq_leaf_type(const ParquetShape *leaf)
{
    static const PqType of[] = { [SHAPE_NULL] = PQ_INT32, [SHAPE_BOOL] = PQ_BOOLEAN, [SHAPE_INT] = PQ_INT64, [SHAPE_REAL] = PQ_DOUBLE,
                                 [SHAPE_TEXT] = PQ_BYTE_ARRAY };
    return of[leaf->kind];
}

/* ---- the hybrid ---- */

static bool is_run(const uint32_t *v, size_t n)
{
    for (size_t i = 1; i < 8 && n >= 8; i++)
        if (v[i] != v[0])
            return false;
    return n >= 8;
}

static void put_packed(StrBuf *out, const uint32_t *v, size_t n, int bits)
{
    size_t groups = (n + 7) / 8;
    uint64_t hold = 0;
    int held = 0;
    thrift_put_varint(out, groups << 1 | 1);
    for (size_t i = 0; i < groups * 8; i++) {
        hold |= (uint64_t)(i < n ? v[i] : 0) << held;
        for (held += bits; held >= 8; held -= 8, hold >>= 8)
            strbuf_addc(out, (char)hold);
    }
}

static void put_hybrid(StrBuf *out, const uint32_t *v, size_t n, int bits)
{
    for (size_t i = 0, j; i < n; i = j) {
        j = i;
        if (is_run(v + i, n - i)) {
            while (j < n && v[j] == v[i])
                j++;
            thrift_put_varint(out, (j - i) << 1);
            for (int k = 0; k < bits; k += 8)
                strbuf_addc(out, (char)(v[i] >> k));
        } else {
            while (j < n && !is_run(v + j, n - j))
                j += 8;
            j = MIN(j, n);
            put_packed(out, v + i, j - i, bits);
        }
    }
}

static void put_u32(StrBuf *out, size_t v)
{
    char b[4] = { (char)v, (char)(v >> 8), (char)(v >> 16), (char)(v >> 24) };
    strbuf_add(out, b, sizeof b);
}

static void put_levels(StrBuf *out, const uint8_t *level, size_t n, int max)
{
    if (!max)
        return;
    uint32_t *v = mem_alloc(n * sizeof *v);
    StrBuf packed = {0};
    for (size_t i = 0; i < n; i++)
        v[i] = level[i];
    put_hybrid(&packed, v, n, pq_bits((uint32_t)max));
    put_u32(out, packed.n);
    strbuf_add(out, packed.p, packed.n);
    strbuf_release(&packed);
    free(v);
}

/* ---- the dictionary ---- */

typedef struct Dictionary { Map *index; StrBuf plain; uint32_t *at; } Dictionary;   /* at: [values] place of each; NULL: not worth one */

/* Worth it when the distinct strings fit one page and are at most half as many as the values. */
static void make_dictionary(Dictionary *d, const PqLeafOut *l)
{
    const char *p = l->data.p;
    *d = (Dictionary){ .index = map_new(), .at = mem_alloc(l->values * sizeof *d->at) };
    size_t i;
    for (i = 0; i < l->values; i++) {
        Str s = { p + 4, pq_u32(p) };
        int64_t k = (int64_t)map_count(d->index);
        if (!map_get(d->index, s, &k)) {
            if (d->plain.n + 4 + s.n > PARQUET_PAGE)
                break;
            map_put(d->index, s, k);
            strbuf_add(&d->plain, p, 4 + s.n);
        }
        d->at[i] = (uint32_t)k;
        p += 4 + s.n;
    }
    if (i == l->values && map_count(d->index) * 2 <= l->values)
        return;
    free(d->at);
    d->at = NULL;
}

/* ---- pages ---- */

typedef struct Out { ParquetPacking packing; FileOut *f; uint64_t *at; PqChunkOut *chunk; Err *e; } Out;

static void pack(StrBuf *out, Str in, ParquetPacking packing)
{
    if (packing == PARQUET_PLAIN) {
        strbuf_add(out, in.p, in.n);
        return;
    }
    size_t n = packing == PARQUET_ZSTD ? ZSTD_compressBound(in.n) : snappy_max_compressed_length(in.n);
    char *to = mem_alloc(n);
    bool good = true;
    if (packing == PARQUET_ZSTD)
        good = !ZSTD_isError(n = ZSTD_compress(to, n, in.p, in.n, ZSTD_LEVEL));
    else
        good = snappy_compress(in.p, in.n, to, &n) == SNAPPY_OK;
    BUG_ON(!good);   /* the room is what the library asked for */
    strbuf_add(out, to, n);
    free(to);
}

static int put_page(Out *o, Str bytes, bool dictionary, size_t values, int encoding)
{
    StrBuf head = {0}, body = {0};
    ThriftWriter w = { .out = &head };
    pack(&body, bytes, o->packing);
    BUG_ON(bytes.n > INT32_MAX || body.n > INT32_MAX);   /* PARQUET_TEXT_MAX keeps a page below */
    thrift_put_int(&w, 1, THRIFT_I32, dictionary ? PQ_DICTIONARY_PAGE : PQ_DATA_PAGE);
    thrift_put_int(&w, 2, THRIFT_I32, (int64_t)bytes.n);
    thrift_put_int(&w, 3, THRIFT_I32, (int64_t)body.n);
    thrift_put_int(&w, 4, THRIFT_I32, (int32_t)(uint32_t)crc32_z(0, (const Bytef *)body.p, body.n));
    thrift_put_begin(&w, dictionary ? 7 : 5);
    thrift_put_int(&w, 1, THRIFT_I32, (int64_t)values);
    thrift_put_int(&w, 2, THRIFT_I32, encoding);
    for (int id = 3; !dictionary && id <= 4; id++)
        thrift_put_int(&w, id, THRIFT_I32, PQ_RLE);
    thrift_put_end(&w);
    thrift_put_end(&w);
    int rc = file_out_write(o->f, head.p, head.n, o->e);
    if (!rc)
        rc = file_out_write(o->f, body.p, body.n, o->e);
    *o->at += head.n + body.n;
    o->chunk->plain += head.n + bytes.n;
    o->chunk->packed += head.n + body.n;
    strbuf_release(&head);
    strbuf_release(&body);
    return rc;
}

static void put_bools(StrBuf *out, const char *v, size_t n)
{
    for (size_t i = 0; i < n; i += 8) {
        unsigned b = 0;
        for (size_t k = 0; k < 8 && i + k < n; k++)
            b |= (unsigned)(v[i + k] != 0) << k;
        strbuf_addc(out, (char)b);
    }
}

static int put_data(Out *o, const PqLeafOut *l, const Dictionary *d, PqCut from, PqCut to)
{
    StrBuf bytes = {0};
    size_t entries = to.entries - from.entries, values = to.values - from.values;
    put_levels(&bytes, l->rep_of.p + from.entries, entries, l->rep);
    put_levels(&bytes, l->def_of.p + from.entries, entries, l->def);
    if (d->at) {
        int bits = MAX(pq_bits((uint32_t)map_count(d->index) - 1), 1);
        strbuf_addc(&bytes, (char)bits);
        put_hybrid(&bytes, d->at + from.values, values, bits);
    } else if (l->shape->kind == SHAPE_BOOL) {
        put_bools(&bytes, l->data.p + from.bytes, values);
    } else if (values) {
        strbuf_add(&bytes, l->data.p + from.bytes, to.bytes - from.bytes);
    }
    int rc = put_page(o, (Str){ bytes.n ? bytes.p : "", bytes.n }, false, entries, d->at ? PQ_RLE_DICTIONARY : PQ_PLAIN);
    strbuf_release(&bytes);
    return rc;
}

int pq_leaf_write(PqLeafOut *l, ParquetPacking packing, FileOut *f, uint64_t *at, PqChunkOut *chunk, Err *e)
{
    Out o = { packing, f, at, chunk, e };
    Dictionary d = {0};
    PqCut from = {0}, end = { l->def_of.n, l->values, l->data.n };
    int rc = 0;
    *chunk = (PqChunkOut){0};
    if (l->shape->kind == SHAPE_TEXT && l->values)
        make_dictionary(&d, l);
    if (d.at) {
        chunk->dictionary = *at;
        chunk->has_dictionary = true;
        rc = put_page(&o, strbuf_str(&d.plain), true, map_count(d.index), PQ_PLAIN);
    }
    chunk->start = *at;
    if (!l->cut.n || l->cut.p[l->cut.n - 1].entries != end.entries)
        *vec_push(&l->cut) = end;
    for (size_t i = 0; !rc && i < l->cut.n; i++) {
        rc = put_data(&o, l, &d, from, l->cut.p[i]);
        from = l->cut.p[i];
    }
    map_free(d.index);
    strbuf_release(&d.plain);
    free(d.at);
    return rc;
}
