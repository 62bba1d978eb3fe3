/* parquet_write.c - rows of JSON to one Parquet file: values go to their columns with the levels that say where they belong, a full row group is
 * written out, the footer comes last (https://github.com/apache/parquet-format; nested columns as in parquet_row.c, the other way round).
 * Invariants: every field is optional, hence a list adds two definition levels and one repetition level, a struct or a leaf one; after a refused row
 * each column stands where it stood before; the file gets its name only when it is whole. */
#include "formats/parquet_write.h"

#include <inttypes.h>
#include <stdlib.h>

#define GROUP_BYTES     ((size_t)64 << 20)
#define GROUP_BYTES_MAX ((size_t)1 << 30)
#define GROUP_ROWS      ((int64_t)1 << 20)

struct ParquetWriter {
    char         *path;
    ParquetShape *shape;
    ParquetWriteOptions o;
    FileOut      *f;
    uint64_t      at;           /* bytes in the file */
    VEC(PqLeafOut) leaf;
    int64_t       rows, group_rows;   /* of the file, and of the group being filled */
    StrBuf        groups;       /* the row groups written, as the footer will have them */
    size_t        n_groups;
};

/* ---- columns of a shape ---- */

static int add_leaves(ParquetWriter *w, const ParquetShape *s, const PqLeafOut *above, Err *e);

static int add_below(ParquetWriter *w, const ParquetShape *s, PqLeafOut *here, Err *e)
{
    int rc = 0;
    if (s->kind == SHAPE_STRUCT && !s->child.n) {
        StrBuf path = {0};
        shape_path(&path, s);
        rc = err_set(e, ERR_INPUT, "%s: %s is an object without keys in every row, which Parquet cannot hold; leave it out", w->path,
                     path.n ? strbuf_z(&path) : "the row");
        strbuf_release(&path);
    }
    for (size_t i = 0; !rc && i < s->child.n; i++)
        rc = add_leaves(w, s->child.p[i], here, e);
    return rc;
}

static int add_leaves(ParquetWriter *w, const ParquetShape *s, const PqLeafOut *above, Err *e)
{
    int rc = 0;
    PqLeafOut here = { .shape = s, .def = above->def + 1, .rep = above->rep };
    for (size_t i = 0; i < above->path.n; i++)
        *vec_push(&here.path) = above->path.p[i];
    *vec_push(&here.path) = s->name ? str_of(s->name) : STR_LIT("element");
    if (s->kind == SHAPE_LIST) {
        *vec_push(&here.path) = STR_LIT("list");
        here.def++;
        here.rep++;
    }
    if (s->kind != SHAPE_LIST && s->kind != SHAPE_STRUCT) {
        *vec_push(&w->leaf) = here;   /* the path goes along */
        return 0;
    }
    rc = add_below(w, s, &here, e);
    vec_release(&here.path);
    return rc;
}

int parquet_create(ParquetWriter **out, const char *path, const ParquetShape *s, const ParquetWriteOptions *o, Err *e)
{
    ParquetWriter *w = mem_zalloc(1, sizeof *w);
    PqLeafOut top = {0};
    *out = NULL;
    w->path = mem_strdup(path);
    w->o = o ? *o : (ParquetWriteOptions){0};
    w->o.group_bytes = w->o.group_bytes ? MIN(w->o.group_bytes, GROUP_BYTES_MAX) : GROUP_BYTES;
    w->o.group_rows = w->o.group_rows > 0 ? MIN(w->o.group_rows, PARQUET_ROWS_MAX - 1) : GROUP_ROWS;
    Json *copy = parquet_shape_json(s);
    int rc = parquet_shape_parse(&w->shape, copy, e);
    json_free(copy);
    if (!rc)
        rc = add_below(w, w->shape, &top, e);
    if (!rc)
        rc = file_out_open(&w->f, path, e);
    if (!rc)
        rc = file_out_write(w->f, "PAR1", 4, e);
    w->at = 4;
    if (rc)
        parquet_abort(&w);
    *out = w;
    return rc;
}

/* ---- one row ---- */

typedef struct Shred { ParquetWriter *w; size_t leaf; Err *e; } Shred;   /* leaf: the next column; a walk meets them in order */

static void put_entry(PqLeafOut *l, int rep, int def)
{
    *vec_push(&l->rep_of) = (uint8_t)rep;
    *vec_push(&l->def_of) = (uint8_t)def;
}

/* No value for anything below s. */
static void put_absent(Shred *t, const ParquetShape *s, int rep, int def)
{
    if (s->kind != SHAPE_LIST && s->kind != SHAPE_STRUCT)
        put_entry(&t->w->leaf.p[t->leaf++], rep, def);
    for (size_t i = 0; i < s->child.n; i++)
        put_absent(t, s->child.p[i], rep, def);
}

static int misfit(const ParquetShape *s, const char *found, Err *e)
{
    StrBuf path = {0};
    shape_path(&path, s);
    int rc = err_set(e, ERR_INPUT, "%s is %s, the file's column is %s", path.n ? strbuf_z(&path) : "the row", found, shape_kind_name(s->kind));
    strbuf_release(&path);
    return rc;
}

static int put_value(Shred *t, const ParquetShape *s, const Json *value, int rep, int def)
{
    PqLeafOut *l = &t->w->leaf.p[t->leaf++];
    ShapeKind kind = shape_kind_of(value);
    int64_t i = json_int(value);
    double d = json_num(value);
    if (kind == SHAPE_INT && s->kind == SHAPE_REAL && !shape_int_is_exact(i))
        return misfit(s, "an integer that no double holds exactly", t->e);
    if (kind != s->kind && !(kind == SHAPE_INT && s->kind == SHAPE_REAL))
        return misfit(s, shape_kind_name(kind), t->e);
    put_entry(l, rep, def);
    l->values++;
    if (s->kind == SHAPE_TEXT) {
        Str text = json_str(value);
        size_t n = l->data.n - l->row.bytes + 4;
        if (text.n > PARQUET_TEXT_MAX - MIN(n, PARQUET_TEXT_MAX))
            return misfit(s, "more than 1 GiB of text in one row", t->e);
        char head[4] = { (char)text.n, (char)(text.n >> 8), (char)(text.n >> 16), (char)(text.n >> 24) };
        strbuf_add(&l->data, head, sizeof head);
        strbuf_add(&l->data, text.p, text.n);
    } else if (s->kind == SHAPE_BOOL) {
        strbuf_addc(&l->data, json_bool(value) ? 1 : 0);
    } else if (s->kind == SHAPE_INT) {
        strbuf_add(&l->data, &i, sizeof i);
    } else {
        strbuf_add(&l->data, &d, sizeof d);
    }
    return 0;
}

static int shred(Shred *t, const ParquetShape *s, const Json *value, int rep, int def, int reps);

static int shred_struct(Shred *t, const ParquetShape *s, const Json *value, int rep, int def, int reps)
{
    int rc = 0;
    size_t used = 0;
    for (size_t i = 0; !rc && i < s->child.n; i++) {
        const Json *v = json_get(value, s->child.p[i]->name);
        used += v != NULL;
        rc = shred(t, s->child.p[i], v, rep, def, reps);
    }
    if (rc || used == json_len(value))
        return rc;
    JsonIter it = {0};
    Str key = {0};
    Json *v;
    while (json_each(value, &it, &key, &v) && shape_find(s, key)) { }
    StrBuf path = {0};
    shape_path(&path, s);
    rc = err_set(t->e, ERR_INPUT, "the key \"%.*s\"%s%s has no column in the file", (int)MIN(key.n, (size_t)200), key.p,
                 path.n ? " of " : "", strbuf_z(&path));
    strbuf_release(&path);
    return rc;
}

/* s with its value, at repetition level rep; def: the levels of what is around it, all there; reps: repeated levels around it. */
static int shred(Shred *t, const ParquetShape *s, const Json *value, int rep, int def, int reps)
{
    int rc = 0;
    ShapeKind kind = shape_kind_of(value);
    if (kind == SHAPE_NULL) {
        put_absent(t, s, rep, def);
        return 0;
    }
    if (s->kind != SHAPE_LIST && s->kind != SHAPE_STRUCT)
        return put_value(t, s, value, rep, def + 1);
    if (kind != s->kind)
        return misfit(s, shape_kind_name(kind), t->e);
    if (kind == SHAPE_STRUCT)
        return shred_struct(t, s, value, rep, def + 1, reps);
    size_t first = t->leaf;
    if (!json_len(value))
        put_absent(t, s->child.p[0], rep, def + 1);
    for (size_t i = 0; !rc && i < json_len(value); i++) {
        t->leaf = first;
        rc = shred(t, s->child.p[0], json_at(value, i), i ? reps + 1 : rep, def + 2, reps + 1);
    }
    return rc;
}

static int flush(ParquetWriter *w, Err *e);

int parquet_write_row(ParquetWriter *w, const Json *row, Err *e)
{
    Shred t = { w, 0, e };
    size_t bytes = 0;
    for (size_t i = 0; i < w->leaf.n; i++) {
        PqLeafOut *l = &w->leaf.p[i];
        l->row = (PqCut){ l->def_of.n, l->values, l->data.n };
    }
    int rc = shape_kind_of(row) == SHAPE_STRUCT ? shred_struct(&t, w->shape, row, 0, 0, 0) : misfit(w->shape, shape_kind_name(shape_kind_of(row)), e);
    for (size_t i = 0; i < w->leaf.n; i++) {
        PqLeafOut *l = &w->leaf.p[i];
        if (rc) {
            l->def_of.n = l->rep_of.n = l->row.entries;
            l->values = l->row.values;
            l->data.n = l->row.bytes;
            continue;
        }
        size_t last = l->cut.n ? l->cut.p[l->cut.n - 1].bytes + 2 * l->cut.p[l->cut.n - 1].entries : 0;
        if (l->data.n + 2 * l->def_of.n - last >= PARQUET_PAGE)
            *vec_push(&l->cut) = (PqCut){ l->def_of.n, l->values, l->data.n };
        bytes += l->data.n + 2 * l->def_of.n;
    }
    if (rc)
        return err_wrap(e, "%s, row %" PRId64, w->path, w->rows + 1);
    w->rows++;
    w->group_rows++;
    return w->group_rows >= w->o.group_rows || bytes >= w->o.group_bytes ? flush(w, e) : 0;
}

/* ---- row groups and the footer ---- */

static void describe_chunk(ThriftWriter *t, const PqLeafOut *l, const PqChunkOut *c, ParquetPacking packing)
{
    static const int codec[] = { [PARQUET_ZSTD] = PQ_ZSTD, [PARQUET_SNAPPY] = PQ_SNAPPY, [PARQUET_PLAIN] = PQ_UNCOMPRESSED };
    thrift_put_item_begin(t);
    thrift_put_int(t, 2, THRIFT_I64, 0);                        /* file_offset, deprecated: 0 */
    thrift_put_begin(t, 3);
    thrift_put_int(t, 1, THRIFT_I32, pq_leaf_type(l->shape));
    thrift_put_list(t, 2, THRIFT_I32, c->has_dictionary ? 3 : 2);
    thrift_put_item_int(t, PQ_PLAIN);
    thrift_put_item_int(t, PQ_RLE);
    if (c->has_dictionary)
        thrift_put_item_int(t, PQ_RLE_DICTIONARY);
    thrift_put_list(t, 3, THRIFT_BYTES, l->path.n);
    for (size_t i = 0; i < l->path.n; i++)
        thrift_put_item_bytes(t, l->path.p[i]);
    thrift_put_int(t, 4, THRIFT_I32, codec[packing]);
    thrift_put_int(t, 5, THRIFT_I64, (int64_t)l->def_of.n);
    thrift_put_int(t, 6, THRIFT_I64, (int64_t)c->plain);
    thrift_put_int(t, 7, THRIFT_I64, (int64_t)c->packed);
    thrift_put_int(t, 9, THRIFT_I64, (int64_t)c->start);
    if (c->has_dictionary)
        thrift_put_int(t, 11, THRIFT_I64, (int64_t)c->dictionary);
    thrift_put_end(t);
    thrift_put_end(t);
}

static void empty_leaf(PqLeafOut *l)
{
    vec_clear(&l->def_of);
    vec_clear(&l->rep_of);
    vec_clear(&l->cut);
    strbuf_clear(&l->data);
    l->values = 0;
}

static int flush(ParquetWriter *w, Err *e)
{
    int rc = 0;
    uint64_t bytes = 0;
    ThriftWriter t = { .out = &w->groups };
    thrift_put_item_begin(&t);
    thrift_put_list(&t, 1, THRIFT_STRUCT, w->leaf.n);
    for (size_t i = 0; !rc && i < w->leaf.n; i++) {
        PqChunkOut c;
        rc = pq_leaf_write(&w->leaf.p[i], w->o.packing, w->f, &w->at, &c, e);
        describe_chunk(&t, &w->leaf.p[i], &c, w->o.packing);
        bytes += c.plain;
        empty_leaf(&w->leaf.p[i]);
    }
    thrift_put_int(&t, 2, THRIFT_I64, (int64_t)bytes);
    thrift_put_int(&t, 3, THRIFT_I64, w->group_rows);
    thrift_put_end(&t);
    w->n_groups++;
    w->group_rows = 0;
    return rc;
}

/* Elements of the schema below and with s. */
static size_t count_elements(const ParquetShape *s)
{
    size_t n = s->kind == SHAPE_LIST ? 2 : 1;
    for (size_t i = 0; i < s->child.n; i++)
        n += count_elements(s->child.p[i]);
    return n;
}

static void put_element(ThriftWriter *t, const char *name, int type, int repeat, size_t children, int converted, int logical)
{
    thrift_put_item_begin(t);
    if (type >= 0)
        thrift_put_int(t, 1, THRIFT_I32, type);
    if (repeat >= 0)
        thrift_put_int(t, 3, THRIFT_I32, repeat);
    thrift_put_bytes(t, 4, str_of(name));
    if (children)
        thrift_put_int(t, 5, THRIFT_I32, (int64_t)children);
    if (converted >= 0)
        thrift_put_int(t, 6, THRIFT_I32, converted);
    if (logical) {
        thrift_put_begin(t, 10);
        thrift_put_begin(t, logical);
        thrift_put_end(t);
        thrift_put_end(t);
    }
    thrift_put_end(t);
}

static void put_elements(ThriftWriter *t, const ParquetShape *s)
{
    static const struct { int converted, logical; } marks[] = {
        [SHAPE_NULL] = { -1, PQ_L_UNKNOWN }, [SHAPE_BOOL] = { -1, 0 },         [SHAPE_INT] = { -1, 0 },    [SHAPE_REAL] = { -1, 0 },
        [SHAPE_TEXT] = { 0, PQ_L_STRING },   [SHAPE_LIST] = { 3, PQ_L_LIST },  [SHAPE_STRUCT] = { -1, 0 },
    };
    const char *name = !s->parent ? "schema" : s->name ? s->name : "element";
    bool group = s->kind == SHAPE_LIST || s->kind == SHAPE_STRUCT;
    put_element(t, name, group ? -1 : (int)pq_leaf_type(s), s->parent ? PQ_OPTIONAL : -1, s->child.n, marks[s->kind].converted, marks[s->kind].logical);
    if (s->kind == SHAPE_LIST)
        put_element(t, "list", -1, PQ_REPEATED, 1, -1, 0);
    for (size_t i = 0; i < s->child.n; i++)
        put_elements(t, s->child.p[i]);
}

static int write_footer(ParquetWriter *w, Err *e)
{
    StrBuf out = {0};
    ThriftWriter t = { .out = &out };
    thrift_put_int(&t, 1, THRIFT_I32, 1);
    thrift_put_list(&t, 2, THRIFT_STRUCT, count_elements(w->shape));
    put_elements(&t, w->shape);
    thrift_put_int(&t, 3, THRIFT_I64, w->rows);
    thrift_put_list(&t, 4, THRIFT_STRUCT, w->n_groups);
    if (w->groups.n)
        strbuf_add(&out, w->groups.p, w->groups.n);
    thrift_put_bytes(&t, 6, STR_LIT("hone version " HONE_VERSION));
    thrift_put_end(&t);
    int rc = 0;
    if (out.n > PARQUET_FOOTER_MAX)
        rc = err_set(e, ERR_WORK, "%s: the footer would take %zu bytes; write larger row groups or fewer columns", w->path, out.n);
    char tail[8] = { (char)out.n, (char)(out.n >> 8), (char)(out.n >> 16), (char)(out.n >> 24), 'P', 'A', 'R', '1' };
    if (!rc)
        rc = file_out_write(w->f, out.p, out.n, e);
    if (!rc)
        rc = file_out_write(w->f, tail, sizeof tail, e);
    strbuf_release(&out);
    return rc;
}

int parquet_commit(ParquetWriter **w, Err *e)
{
    ParquetWriter *x = *w;
    int rc = x->group_rows ? flush(x, e) : 0;
    if (!rc)
        rc = write_footer(x, e);
    if (!rc)
        rc = file_out_commit(&x->f, e);
    parquet_abort(w);
    return rc;
}

void parquet_abort(ParquetWriter **w)
{
    ParquetWriter *x = *w;
    if (!x)
        return;
    for (size_t i = 0; i < x->leaf.n; i++) {
        PqLeafOut *l = &x->leaf.p[i];
        vec_release(&l->path);
        vec_release(&l->def_of);
        vec_release(&l->rep_of);
        vec_release(&l->cut);
        strbuf_release(&l->data);
    }
    vec_release(&x->leaf);
    strbuf_release(&x->groups);
    file_out_abort(&x->f);
    parquet_shape_free(x->shape);
    free(x->path);
    free(x);
    *w = NULL;
}
