/* parquet_meta.c - the footer: "... FileMetaData, 4 bytes length, PAR1". Field numbers are those of parquet.thrift.
 * Invariants: row groups stay in the footer as bytes and are parsed again when read, so that a footer never grows by more than a small factor in
 * memory; all that leaves this file is in range on its own (row counts, offsets within the file's data); the tree is checked in parquet_schema.c. */
#include "formats/parquet_int.h"

#include "base/mem.h"

#include <inttypes.h>

/* ---- the schema's elements ---- */

static int parse_unit(ThriftReader *r)
{
    int unit = 0;
    for (ThriftField f = {0}; thrift_next(r, &f); thrift_skip(r, &f))
        unit = f.id;
    return unit;
}

/* The fields of the logical types that have some: a union's member. */
static void parse_logical_fields(ThriftReader *r, PqLogical *l)
{
    for (ThriftField f = {0}; thrift_next(r, &f);)
        switch (l->kind << 8 | f.id) {
        case PQ_L_DECIMAL << 8 | 1:   l->scale = thrift_int32(r, &f); break;
        case PQ_L_DECIMAL << 8 | 2:   l->precision = thrift_int32(r, &f); break;
        case PQ_L_TIME << 8 | 1:
        case PQ_L_TIMESTAMP << 8 | 1: l->utc = thrift_bool(r, &f); break;
        case PQ_L_TIME << 8 | 2:
        case PQ_L_TIMESTAMP << 8 | 2: l->unit = thrift_enter(r, &f) ? parse_unit(r) : 0; break;
        case PQ_L_INTEGER << 8 | 1:   l->bits = thrift_int32(r, &f); break;
        case PQ_L_INTEGER << 8 | 2:   l->is_signed = thrift_bool(r, &f); break;
        default:                      thrift_skip(r, &f);
        }
}

static void parse_logical(ThriftReader *r, PqLogical *l)
{
    for (ThriftField f = {0}; thrift_next(r, &f);) {
        l->kind = f.id > 0 && f.id < PQ_LOGICALS ? f.id : PQ_LOGICALS;
        if (thrift_enter(r, &f))
            parse_logical_fields(r, l);
    }
}

static const PqLogical of_converted[] = {
    [0]  = { PQ_L_STRING },                                      [1]  = { PQ_L_MAP },
    [2]  = { PQ_L_MAP },                                         [3]  = { PQ_L_LIST },
    [4]  = { PQ_L_ENUM },                                        [5]  = { PQ_L_DECIMAL },
    [6]  = { PQ_L_DATE },                                        [7]  = { PQ_L_TIME, PQ_MILLIS, true },
    [8]  = { PQ_L_TIME, PQ_MICROS, true },                       [9]  = { PQ_L_TIMESTAMP, PQ_MILLIS, true },
    [10] = { PQ_L_TIMESTAMP, PQ_MICROS, true },                  [11] = { PQ_L_INTEGER, .bits = 8 },
    [12] = { PQ_L_INTEGER, .bits = 16 },                         [13] = { PQ_L_INTEGER, .bits = 32 },
    [14] = { PQ_L_INTEGER, .bits = 64 },                         [15] = { PQ_L_INTEGER, .bits = 8, .is_signed = true },
    [16] = { PQ_L_INTEGER, .bits = 16, .is_signed = true },      [17] = { PQ_L_INTEGER, .bits = 32, .is_signed = true },
    [18] = { PQ_L_INTEGER, .bits = 64, .is_signed = true },      [19] = { PQ_L_JSON },
    [20] = { PQ_L_BSON },                                        [21] = { PQ_L_INTERVAL },
};

static void parse_element(ThriftReader *r, PqElement *x)
{
    int32_t scale = 0, precision = 0;
    *x = (PqElement){ .converted = -1 };
    for (ThriftField f = {0}; thrift_next(r, &f);)
        switch (f.id) {
        case 1:  x->type = thrift_int32(r, &f); x->is_leaf = true; break;
        case 2:  x->length = thrift_int32(r, &f); break;
        case 3:  x->repeat = thrift_int32(r, &f); break;
        case 4:  x->name = thrift_bytes(r, &f); break;
        case 5:  x->children = thrift_int32(r, &f); break;
        case 6:  x->converted = thrift_int32(r, &f); break;
        case 7:  scale = thrift_int32(r, &f); break;
        case 8:  precision = thrift_int32(r, &f); break;
        case 10: if (thrift_enter(r, &f)) parse_logical(r, &x->logical); break;
        default: thrift_skip(r, &f);
        }
    if (x->logical.kind || x->converted < 0)
        return;
    x->logical = x->converted < (int32_t)ARRAY_LEN(of_converted) ? of_converted[x->converted] : (PqLogical){ PQ_LOGICALS };
    if (x->logical.kind == PQ_L_DECIMAL) {
        x->logical.scale = scale;
        x->logical.precision = precision;
    }
}

static int parse_schema(ParquetFile *file, ThriftReader *r, const ThriftField *f, Err *e)
{
    size_t n = thrift_list(r, f, THRIFT_STRUCT);
    if (n > PARQUET_NODES_MAX)
        return err_set(e, ERR_INPUT, "%s: the schema has %zu fields, at most %d are allowed", file->path, n, PARQUET_NODES_MAX);
    if (file->element)
        return err_set(e, ERR_INPUT, "%s: the footer has two schemas; the file is damaged", file->path);
    file->element = mem_zalloc(n, sizeof *file->element);
    file->n_elements = n;
    for (size_t i = 0; i < n; i++)
        parse_element(r, &file->element[i]);
    return 0;
}

/* ---- row groups ---- */

static int parse_groups(ParquetFile *file, ThriftReader *r, const ThriftField *f, Err *e)
{
    size_t n = thrift_list(r, f, THRIFT_STRUCT);
    if (n > PARQUET_GROUPS_MAX)
        return err_set(e, ERR_INPUT, "%s: the file has %zu row groups, at most %d are allowed", file->path, n, PARQUET_GROUPS_MAX);
    for (size_t i = 0; i < n && !r->bad; i++) {
        PqRowGroup g = { .rows = -1 };
        const uint8_t *start = r->p;
        for (ThriftField k = {0}; thrift_next(r, &k);)
            if (k.id == 3)
                g.rows = thrift_int(r, &k);
            else
                thrift_skip(r, &k);
        if (r->bad)
            break;
        if (g.rows < 0 || g.rows >= PARQUET_ROWS_MAX)
            return err_set(e, ERR_INPUT, "%s: row group %zu says that it has %" PRId64 " rows; from 0 to 2^31 - 1 are allowed", file->path, i + 1,
                           g.rows);
        g.bytes = (Str){ (const char *)start, (size_t)(r->p - start) };
        g.first = i ? file->group[i - 1].first + file->group[i - 1].rows : 0;
        if (file->n_groups == file->cap_groups) {
            file->cap_groups = MAX(file->cap_groups * 2, (size_t)8);
            file->group = mem_realloc(file->group, file->cap_groups, sizeof *file->group);
        }
        file->group[file->n_groups++] = g;
    }
    return 0;
}

static void parse_column(ThriftReader *r, PqChunk *c)
{
    c->there = true;
    for (ThriftField f = {0}; thrift_next(r, &f);)
        switch (f.id) {
        case 1:  c->type = thrift_int32(r, &f); break;
        case 4:  c->codec = thrift_int32(r, &f); break;
        case 5:  c->values = thrift_int(r, &f); break;
        case 9:  c->start = thrift_int(r, &f); break;
        case 11: c->dictionary = thrift_int(r, &f); break;
        default: thrift_skip(r, &f);
        }
}

static void parse_chunk(ThriftReader *r, PqChunk *c)
{
    *c = (PqChunk){0};
    for (ThriftField f = {0}; thrift_next(r, &f);)
        switch (f.id) {
        case 1:  c->elsewhere = thrift_bytes(r, &f).n > 0; break;
        case 3:  if (thrift_enter(r, &f)) parse_column(r, c); break;
        case 8:  c->encrypted = true; thrift_skip(r, &f); break;
        default: thrift_skip(r, &f);
        }
}

int pq_group_chunks(const ParquetFile *f, size_t i, PqChunk *chunk, Err *e)
{
    const uint8_t *p = (const uint8_t *)f->group[i].bytes.p;
    ThriftReader r = { p, p + f->group[i].bytes.n, NULL };
    size_t n = 0;
    for (ThriftField k = {0}; thrift_next(&r, &k);) {
        if (k.id != 1) {
            thrift_skip(&r, &k);
            continue;
        }
        n = thrift_list(&r, &k, THRIFT_STRUCT);
        for (size_t c = 0; c < n && n == f->n_leaves; c++)
            parse_chunk(&r, &chunk[c]);
        if (n != f->n_leaves)
            break;
    }
    if (r.bad)
        return err_set(e, ERR_INPUT, "the footer's description of it is damaged: %s", r.bad);
    if (n != f->n_leaves)
        return err_set(e, ERR_INPUT, "it has %zu columns, the schema has %zu; the file is damaged", n, f->n_leaves);
    return 0;
}

/* ---- the footer ---- */

static int parse_footer(ParquetFile *file, ThriftReader *r, Err *e)
{
    int rc = 0;
    int64_t rows = -1;
    for (ThriftField f = {0}; !rc && thrift_next(r, &f);)
        switch (f.id) {
        case 2:  rc = parse_schema(file, r, &f, e); break;
        case 3:  rows = thrift_int(r, &f); break;
        case 4:  rc = parse_groups(file, r, &f, e); break;
        default: thrift_skip(r, &f);
        }
    if (rc)
        return rc;
    if (r->bad)
        return err_set(e, ERR_INPUT, "%s: the footer is damaged: %s; is the file complete?", file->path, r->bad);
    if (file->n_groups)
        file->rows = file->group[file->n_groups - 1].first + file->group[file->n_groups - 1].rows;
    if (rows != file->rows)
        return err_set(e, ERR_INPUT, "%s: the footer says %" PRId64 " rows, its row groups have %" PRId64 "; the file is damaged", file->path, rows,
                       file->rows);
    return 0;
}

int pq_footer_read(ParquetFile *f, Err *e)
{
    const uint8_t *p = f->map.p;
    size_t n = f->map.n;
    if (n < 12 || (memcmp(p, "PAR1", 4) != 0 && memcmp(p, "PARE", 4) != 0))
        return err_set(e, ERR_INPUT, "%s: this is not a Parquet file: it does not start with PAR1", f->path);
    if (memcmp(p + n - 4, "PARE", 4) == 0)
        return err_set(e, ERR_INPUT, "%s: the footer is encrypted, which is not supported; write the file without encryption", f->path);
    if (memcmp(p + n - 4, "PAR1", 4) != 0)
        return err_set(e, ERR_INPUT, "%s: a Parquet file ends with PAR1, this one does not; it was cut off or is still being written", f->path);
    size_t length = pq_u32(p + n - 8);
    if (length > n - 12 || length > PARQUET_FOOTER_MAX)
        return err_set(e, ERR_INPUT, "%s: the footer says it has %zu bytes; the file has room for %zu, and at most %zu MiB are allowed", f->path, length,
                       n - 12, PARQUET_FOOTER_MAX >> 20);
    f->data_end = n - 8 - length;
    ThriftReader r = { p + f->data_end, p + n - 8, NULL };
    return parse_footer(f, &r, e);
}
