/* arrow_meta.c - the metadata of Arrow: flatbuffers (https://flatbuffers.dev/internals/) with the tables of Schema.fbs, Message.fbs and File.fbs.
 * Main struct: Fb, the bytes of one flatbuffer. Invariant: no place outside of it is read; the first one that would be sets `bad`, and zeros come out from then on. */
#include "formats/arrow_int.h"

#include "base/mem.h"
#include "formats/stranger.h"

#include <inttypes.h>
#include <stdlib.h>

typedef struct Fb { const uint8_t *p; size_t n; bool bad; } Fb;

static const uint8_t *fb_at(Fb *b, size_t at, size_t n)
{
    static const uint8_t zero[16];
    if (at > b->n || n > b->n - at) {
        b->bad = true;
        return zero;
    }
    return b->p + at;
}

static uint32_t fb_u16(Fb *b, size_t at) { const uint8_t *p = fb_at(b, at, 2); return (uint32_t)p[0] | (uint32_t)p[1] << 8; }
static uint32_t fb_u32(Fb *b, size_t at) { return pq_u32(fb_at(b, at, 4)); }

/* Where field `slot` of the table at `table` stands; 0: it is not there, so its default counts. Place 0 is the root's offset and never a field. */
static size_t fb_field(Fb *b, size_t table, int slot)
{
    const int64_t vtable = (int64_t)table - (int32_t)fb_u32(b, table);
    if (!table || vtable < 0 || (uint64_t)vtable > b->n) {
        b->bad |= table != 0;
        return 0;
    }
    const uint32_t at = 4 + 2 * (uint32_t)slot;
    const uint32_t off = at + 2 <= fb_u16(b, (size_t)vtable) ? fb_u16(b, (size_t)vtable + at) : 0;
    return off ? table + off : 0;
}

static int64_t fb_int(Fb *b, size_t table, int slot, int bytes, int64_t otherwise)
{
    const size_t at = fb_field(b, table, slot);
    if (!at)
        return otherwise;
    switch (bytes) {
    case 1:  return *fb_at(b, at, 1);
    case 2:  return (int16_t)fb_u16(b, at);
    case 4:  return (int32_t)fb_u32(b, at);
    default: return (int64_t)pq_u64(fb_at(b, at, 8));
    }
}

/* Tables, strings and vectors stand behind an offset; 0: absent. */
static size_t fb_ref(Fb *b, size_t table, int slot)
{
    const size_t at = fb_field(b, table, slot);
    return at ? at + fb_u32(b, at) : 0;
}

static const uint8_t *fb_vector(Fb *b, size_t table, int slot, size_t size, uint32_t *n)
{
    const size_t at = fb_ref(b, table, slot);
    *n = at ? fb_u32(b, at) : 0;
    const uint8_t *p = fb_at(b, at + 4, (size_t)*n * size); /* 2^32 * 16 fits */
    *n = b->bad ? 0 : *n;
    return p;
}

static size_t fb_table_in(Fb *b, size_t table, int slot, uint32_t i)
{
    const size_t at = fb_ref(b, table, slot) + 4 + (size_t)i * 4;
    return at + fb_u32(b, at);
}

/* ---- the schema ---------------------------------------------------------------------------------------------------------------------------------------- */

enum { T_NULL = 1, T_INT, T_FLOAT, T_BINARY, T_UTF8, T_BOOL, T_DECIMAL, T_DATE, T_TIME, T_TIMESTAMP, T_INTERVAL, T_LIST, T_STRUCT, T_UNION, T_FIXED_BINARY, T_FIXED_LIST,
       T_MAP, T_DURATION, T_LARGE_BINARY, T_LARGE_UTF8, T_LARGE_LIST, T_RUN_END, T_BINARY_VIEW, T_UTF8_VIEW, T_LIST_VIEW, T_LARGE_LIST_VIEW, TYPES };

/* Layout, logical and physical type by number; refused: what it is called. */
static const struct { ArLayout layout; int logical; PqType type; const char *refused; } types[TYPES] = {
    [0] = { 0, 0, 0, "no type" },
    [T_NULL] = { AR_NULL, PQ_L_UNKNOWN, PQ_INT32, NULL },           [T_INT] = { AR_FIXED, PQ_L_INTEGER, PQ_INT32, NULL },
    [T_FLOAT] = { AR_FIXED, PQ_L_NONE, PQ_DOUBLE, NULL },           [T_BINARY] = { AR_BYTES, PQ_L_NONE, PQ_BYTE_ARRAY, NULL },
    [T_UTF8] = { AR_BYTES, PQ_L_STRING, PQ_BYTE_ARRAY, NULL },      [T_BOOL] = { AR_BOOL, PQ_L_NONE, PQ_BOOLEAN, NULL },
    [T_DECIMAL] = { AR_FIXED, PQ_L_DECIMAL, PQ_FIXED, NULL },       [T_DATE] = { AR_FIXED, PQ_L_DATE, PQ_INT32, NULL },
    [T_TIME] = { AR_FIXED, PQ_L_TIME, PQ_INT32, NULL },             [T_TIMESTAMP] = { AR_FIXED, PQ_L_TIMESTAMP, PQ_INT64, NULL },
    [T_INTERVAL] = { 0, 0, 0, "an interval" },                      [T_LIST] = { AR_LIST, 0, 0, NULL },
    [T_STRUCT] = { AR_STRUCT, 0, 0, NULL },                         [T_UNION] = { 0, 0, 0, "a union" },
    [T_FIXED_BINARY] = { AR_FIXED, PQ_L_NONE, PQ_FIXED, NULL },     [T_FIXED_LIST] = { AR_FIXED_LIST, 0, 0, NULL },
    [T_MAP] = { AR_MAP, 0, 0, NULL },                               [T_DURATION] = { AR_FIXED, PQ_L_NONE, PQ_INT64, NULL },
    [T_LARGE_BINARY] = { AR_LARGE_BYTES, PQ_L_NONE, PQ_BYTE_ARRAY, NULL }, [T_LARGE_UTF8] = { AR_LARGE_BYTES, PQ_L_STRING, PQ_BYTE_ARRAY, NULL },
    [T_LARGE_LIST] = { AR_LARGE_LIST, 0, 0, NULL },                 [T_RUN_END] = { 0, 0, 0, "run-end encoded" },
    [T_BINARY_VIEW] = { AR_VIEW, PQ_L_NONE, PQ_BYTE_ARRAY, NULL },  [T_UTF8_VIEW] = { AR_VIEW, PQ_L_STRING, PQ_BYTE_ARRAY, NULL },
    [T_LIST_VIEW] = { 0, 0, 0, "a list view" },                     [T_LARGE_LIST_VIEW] = { 0, 0, 0, "a list view" },
};

void ar_field_path(StrBuf *out, const ArField *f)
{
    const ArField *up[PARQUET_DEPTH_MAX + 2];
    size_t n = 0;
    for (; f->parent && n < ARRAY_LEN(up); f = f->parent)
        up[n++] = f;
    while (n--)
        strbuf_addf(out, "%s%s", out->n ? "." : "", shown(str_of(up[n]->name)).text);
}

static int refuse(const ArField *f, const char *what, Err *e)
{
    StrBuf path = {0};
    ar_field_path(&path, f);
    int rc = err_set(e, ERR_INPUT, "column %s is %s, which is not supported; drop the column where the file is made", strbuf_z(&path), what);
    strbuf_release(&path);
    return rc;
}

/* Units of Arrow: 0 seconds, 1 ms, 2 us, 3 ns. Seconds are told as milliseconds. */
static void set_unit(ArField *f, int64_t unit)
{
    f->times = unit == 0 ? 1000 : 1;
    f->leaf.logical.unit = unit <= 1 ? PQ_MILLIS : unit == 2 ? PQ_MICROS : unit == 3 ? PQ_NANOS : 0;
}

/* What the type's own table says. */
static int read_type(ArField *f, Fb *b, int type, size_t t, Err *e)
{
    PqNode    *leaf = &f->leaf;
    PqLogical *l = &leaf->logical;
    int64_t    bits = 0;
    f->layout = types[type].layout;
    f->times = 1;
    f->is_signed = true;
    leaf->type = types[type].type;
    l->kind = types[type].logical;
    switch (type) {
    case T_INT:
        bits = fb_int(b, t, 0, 4, 0);
        f->is_signed = l->is_signed = fb_int(b, t, 1, 1, 0);
        l->bits = (int)bits;
        leaf->type = bits == 64 ? PQ_INT64 : PQ_INT32;
        break;
    case T_FLOAT:
        bits = 16 << (fb_int(b, t, 0, 2, 0) & 3);
        f->real = bits != 16;
        if (bits == 16)
            *leaf = (PqNode){ .type = PQ_FIXED, .length = 2, .logical.kind = PQ_L_FLOAT16 };
        break;
    case T_DECIMAL:
        bits = fb_int(b, t, 2, 4, 128);
        l->precision = (int32_t)fb_int(b, t, 0, 4, 0);
        l->scale = (int32_t)fb_int(b, t, 1, 4, 0);
        leaf->length = (int32_t)(bits / 8);
        break;
    case T_DATE:
        bits = fb_int(b, t, 0, 2, 1) == 0 ? 32 : 64;
        f->times = bits == 64 ? -86400000 : 1;
        break;
    case T_TIME:
        bits = fb_int(b, t, 1, 4, 32);
        set_unit(f, fb_int(b, t, 0, 2, 1));
        leaf->type = l->unit == PQ_MILLIS ? PQ_INT32 : PQ_INT64;
        break;
    case T_TIMESTAMP:
        bits = 64;
        set_unit(f, fb_int(b, t, 0, 2, 0));
        l->utc = fb_ref(b, t, 1);
        break;
    case T_DURATION:                                       /* a number of its unit, as in Parquet, which has no such type */
        bits = 64;
        break;
    case T_FIXED_BINARY:
        bits = 8 * fb_int(b, t, 0, 4, 0);
        leaf->length = (int32_t)(bits / 8);
        break;
    case T_FIXED_LIST:
        f->width = (int32_t)fb_int(b, t, 0, 4, 0);
        return f->width < 0 ? refuse(f, "a list of less than no elements", e) : 0;
    default:
        break;
    }
    if (f->layout == AR_FIXED && (bits < 8 || bits % 8 || bits > (int64_t)8 << 20 || (type != T_FIXED_BINARY && type != T_DECIMAL && bits > 64) || (type == T_DECIMAL && bits > 256)))
        return refuse(f, "of a width that its type cannot have", e);
    f->width = (int32_t)(bits / 8);
    if (f->layout <= AR_VIEW) {
        pq_kind_find(leaf);
        if (leaf->refused)
            return refuse(f, leaf->refused, e);
    }
    return 0;
}

static int read_dictionary(ArField *f, Fb *b, size_t t, Err *e)
{
    const size_t index = fb_ref(b, t, 1);
    f->coded = true;
    f->dictionary = fb_int(b, t, 0, 8, 0);
    f->index_width = index ? (int32_t)(fb_int(b, index, 0, 4, 0) / 8) : 4;
    f->index_signed = index ? fb_int(b, index, 1, 1, 0) : true;
    return f->index_width == 1 || f->index_width == 2 || f->index_width == 4 || f->index_width == 8 ? 0 : refuse(f, "a dictionary with indices of an odd width", e);
}

static int read_fields(ArrowFile *file, ArField *parent, Fb *b, size_t table, int slot, int depth, Err *e);

static int read_field(ArrowFile *file, ArField *f, Fb *b, size_t t, int depth, Err *e)
{
    const size_t name = fb_ref(b, t, 0), coding = fb_ref(b, t, 4);
    const uint32_t n = name ? fb_u32(b, name) : 0;
    const int64_t  type = fb_int(b, t, 2, 1, 0);
    const uint8_t *p = fb_at(b, name + 4, n);
    f->name = mem_strndup((const char *)p, b->bad ? 0 : n);
    if (b->bad)
        return err_set(e, ERR_INPUT, "the schema reaches beyond its end; the file is damaged");
    if (!is_printable(str_of(f->name)) || strlen(f->name) != n)
        return err_set(e, ERR_INPUT, "the name of a column (%s) holds characters that cannot be printed", shown(str_of(f->name)).text);
    if (type >= TYPES || types[type].refused)
        return refuse(f, type < TYPES ? types[type].refused : "of a type that this version does not know", e);
    int rc = read_type(f, b, (int)type, fb_ref(b, t, 3), e);
    if (!rc && coding)
        rc = read_dictionary(f, b, coding, e);
    if (!rc && f->layout >= AR_LIST)
        rc = read_fields(file, f, b, t, 5, depth, e);
    if (!rc && f->layout >= AR_LIST && f->layout != AR_STRUCT && f->n_child != 1)
        rc = refuse(f, "a list without the type of its elements", e);
    if (!rc && f->layout == AR_MAP && (f->child[0].layout != AR_STRUCT || f->child[0].n_child != 2))
        rc = refuse(f, "a map whose entries are no pairs", e);
    return rc;
}

static int read_fields(ArrowFile *file, ArField *parent, Fb *b, size_t table, int slot, int depth, Err *e)
{
    uint32_t n;
    int      rc = 0;
    fb_vector(b, table, slot, 4, &n);
    file->n_fields += n;
    if (file->n_fields > PARQUET_NODES_MAX || depth > PARQUET_DEPTH_MAX)
        return err_set(e, ERR_INPUT, "the schema has more than %d columns, or is nested more than %d deep, which is refused", PARQUET_NODES_MAX, PARQUET_DEPTH_MAX);
    parent->child = mem_zalloc((size_t)n + 1, sizeof *parent->child);
    for (uint32_t i = 0; i < n && !rc; i++) {
        parent->child[i].parent = parent;
        parent->n_child = i + 1;
        rc = read_field(file, &parent->child[i], b, fb_table_in(b, table, slot, i), depth + 1, e);
    }
    for (uint32_t i = 0; i < n && !rc && parent->layout == AR_STRUCT; i++)
        for (uint32_t k = 0; k < i && n <= 2000; k++) /* of wider structs the last of two counts, as in every JSON object */
            if (!strcmp(parent->child[i].name, parent->child[k].name))
                rc = err_set(e, ERR_INPUT, "two columns are named \"%s\"; rename one where the file is made", parent->child[i].name);
    return rc;
}

void ar_field_release(ArField *f)
{
    for (size_t i = 0; i < f->n_child; i++)
        ar_field_release(&f->child[i]);
    free(f->child);
    free(f->name);
}

/* ---- messages ------------------------------------------------------------------------------------------------------------------------------------------- */

enum { M_SCHEMA = 1, M_DICTIONARY, M_BATCH };

static int batch_of(Fb *b, size_t t, ArBatchMeta *out)
{
    const size_t packed = fb_ref(b, t, 3);
    *out = (ArBatchMeta){ .length = fb_int(b, t, 0, 8, 0), .codec = -1 };
    out->node = fb_vector(b, t, 1, 16, &out->n_node);
    out->buffer = fb_vector(b, t, 2, 16, &out->n_buffer);
    out->variadic = fb_vector(b, t, 4, 8, &out->n_variadic);
    if (packed)
        out->codec = (int)fb_int(b, packed, 0, 1, 0);
    return b->bad;
}

static size_t header_of(Fb *b, int *kind, int64_t *body)
{
    const size_t root = fb_u32(b, 0);
    *kind = (int)fb_int(b, root, 1, 1, 0);
    *body = fb_int(b, root, 3, 8, 0);
    return fb_ref(b, root, 2);
}

int ar_batch_meta(const ArrowFile *f, const ArMessage *m, ArBatchMeta *out, Err *e)
{
    Fb      b = { f->map.p + m->meta, m->meta_n, false };
    int     kind;
    int64_t body;
    size_t  t = header_of(&b, &kind, &body);
    if (kind == M_DICTIONARY)
        t = fb_ref(&b, t, 1);
    if (batch_of(&b, t, out) || !t)
        return err_set(e, ERR_INPUT, "the metadata of a batch reaches beyond its end; the file is damaged");
    return 0;
}

static int read_schema(ArrowFile *f, Fb *b, size_t t, Err *e)
{
    if (f->root.child)
        return err_set(e, ERR_INPUT, "a second schema follows; the file is damaged");
    if (fb_int(b, t, 0, 2, 0) != 0)
        return err_set(e, ERR_INPUT, "its numbers have the high byte first, which is not supported; write it on a little-endian machine");
    f->root.layout = AR_STRUCT;
    return read_fields(f, &f->root, b, t, 1, 0, e);
}

/* Metadata at [meta, meta + n) and the body behind it. */
static int read_message(ArrowFile *f, size_t meta, size_t n, size_t end, int64_t *body, Err *e)
{
    Fb           b = { f->map.p + meta, n, false };
    ArBatchMeta  batch;
    int          kind;
    const size_t t = header_of(&b, &kind, body);
    ArMessage    m = { .meta = meta, .meta_n = n, .body = meta + n, .is_dictionary = kind == M_DICTIONARY };
    if (b.bad || !t || *body < 0 || (uint64_t)*body > end - (meta + n))
        return err_set(e, ERR_INPUT, "a message at byte %zu is cut or damaged", meta);
    m.body_n = *body;
    if (kind == M_SCHEMA)
        return read_schema(f, &b, t, e);
    if (kind != M_DICTIONARY && kind != M_BATCH)
        return err_set(e, ERR_INPUT, "a message at byte %zu is of kind %d, neither rows nor a dictionary; only tables are read", meta, kind);
    if (!f->root.child)
        return err_set(e, ERR_INPUT, "rows come before the schema; the file is damaged");
    m.id = m.is_dictionary ? fb_int(&b, t, 0, 8, 0) : 0;
    m.is_delta = m.is_dictionary && fb_int(&b, t, 2, 1, 0);
    if (batch_of(&b, m.is_dictionary ? fb_ref(&b, t, 1) : t, &batch) || batch.length < 0 || batch.length >= PARQUET_ROWS_MAX)
        return err_set(e, ERR_INPUT, "a batch at byte %zu is damaged, or has %" PRId64 " rows or more", meta, PARQUET_ROWS_MAX);
    m.rows = batch.length;
    m.first = f->rows;
    if (f->message.n == PARQUET_GROUPS_MAX)
        return err_set(e, ERR_INPUT, "it has more than %d batches, which is refused", PARQUET_GROUPS_MAX);
    if (!m.is_dictionary) {
        *vec_push(&f->batch) = f->message.n;
        f->rows += m.rows;
    }
    *vec_push(&f->message) = m;
    return 0;
}

/* The message that begins at `at`, within `end`: a mark, the length of the metadata (before 2019 without the mark), the metadata, the body. *next: behind it;
 * 0: the stream says that it is over. */
static int message_at(ArrowFile *f, size_t at, size_t end, size_t *next, Err *e)
{
    int64_t    body = 0;
    const bool marked = end - at >= 8 && pq_u32(f->map.p + at) == UINT32_MAX;
    *next = 0;
    if (end - at < 8)
        return err_set(e, ERR_INPUT, "the message at byte %zu is cut; the file is not whole", at);
    const uint32_t n = pq_u32(f->map.p + at + (marked ? 4 : 0));
    const size_t   meta = at + (marked ? 8 : 4);
    if (!n)
        return 0;
    if (n > end - meta)
        return err_set(e, ERR_INPUT, "the message at byte %zu is cut; the file is not whole", at);
    int rc = read_message(f, meta, n, end, &body, e);
    *next = meta + n + (size_t)body;
    return rc;
}

/* It ends with a length of 0 (four bytes before 2019, else eight), or just so. */
static int index_stream(ArrowFile *f, Err *e)
{
    size_t at = 0, next = 1;
    int    rc = 0;
    while (!rc && next && at < f->map.n) {
        if (f->map.n - at >= 4 && f->map.n - at < 8 && !pq_u32(f->map.p + at))
            break;
        rc = message_at(f, at, f->map.n, &next, e);
        at = MIN((next + 7) & ~(size_t)7, f->map.n);
    }
    return rc;
}

/* Blocks of the footer: where a message begins (8 bytes), the length of its metadata, 4 bytes of nothing, and of its body. */
static int index_blocks(ArrowFile *f, Fb *footer, size_t root, int slot, size_t end, Err *e)
{
    uint32_t       n;
    const uint8_t *block = fb_vector(footer, root, slot, 24, &n);
    size_t         next;
    int            rc = 0;
    for (uint32_t i = 0; i < n && !rc; i++) {
        const uint64_t at = pq_u64(block + (size_t)i * 24);
        rc = at > end ? err_set(e, ERR_INPUT, "the footer names a batch beyond the end of the file; it is damaged") : message_at(f, (size_t)at, end, &next, e);
    }
    return rc;
}

/* A file has a footer that says where everything is: its schema, dictionaries and batches. */
static int index_file(ArrowFile *f, Err *e)
{
    if (f->map.n < 8 + 10 || memcmp(f->map.p + f->map.n - 6, "ARROW1", 6))
        return err_set(e, ERR_INPUT, "the file does not end as an Arrow file; it was cut, or its writer did not finish");
    const uint32_t n = pq_u32(f->map.p + f->map.n - 10);
    if (n > f->map.n - 18)
        return err_set(e, ERR_INPUT, "the footer is longer than the file; it is damaged");
    const size_t end = f->map.n - 10 - n;
    Fb           b = { f->map.p + end, n, false };
    const size_t root = fb_u32(&b, 0);
    int rc = read_schema(f, &b, fb_ref(&b, root, 1), e);
    if (!rc)
        rc = index_blocks(f, &b, root, 2, end, e);
    if (!rc)
        rc = index_blocks(f, &b, root, 3, end, e);
    return !rc && b.bad ? err_set(e, ERR_INPUT, "the footer reaches beyond its end; the file is damaged") : rc;
}

int ar_file_index(ArrowFile *f, Err *e)
{
    const bool is_file = f->map.n >= 6 && !memcmp(f->map.p, "ARROW1", 6);
    int        rc = is_file ? index_file(f, e) : index_stream(f, e);
    return !rc && !f->root.child ? err_set(e, ERR_INPUT, "there is no schema in it; the file is damaged") : rc;
}

bool arrow_is(Str head)
{
    if (str_starts(head, "ARROW1"))
        return true;
    if (head.n < 16 || pq_u32(head.p) != UINT32_MAX)
        return false;
    const uint32_t n = pq_u32(head.p + 4), root = pq_u32(head.p + 8);   /* a stream: the first message is a schema */
    return n >= 16 && n <= PARQUET_FOOTER_MAX && n % 8 == 0 && root < n;
}
