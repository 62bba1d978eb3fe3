/* parquet_shape.c - what rows look like: a tree of kinds, learnt row by row or read from a description.
 * Invariants: a kind changes only from null to anything and from int to real; keys keep the order in which they first came, so the same rows give the
 * same file; nothing is widened to text to make it fit. */
#include "formats/parquet_shape.h"

#include <inttypes.h>
#include <stdlib.h>

static const char *const kind_names[] = { [SHAPE_NULL] = "null", [SHAPE_BOOL] = "bool", [SHAPE_INT] = "int64", [SHAPE_REAL] = "double",
                                          [SHAPE_TEXT] = "string", [SHAPE_LIST] = "list", [SHAPE_STRUCT] = "struct" };

const char *shape_kind_name(ShapeKind kind)
{
    return kind_names[kind];
}

ShapeKind shape_kind_of(const Json *value)
{
    static const ShapeKind of[] = { [JSON_NULL] = SHAPE_NULL, [JSON_BOOL] = SHAPE_BOOL, [JSON_INT] = SHAPE_INT, [JSON_REAL] = SHAPE_REAL,
                                    [JSON_STRING] = SHAPE_TEXT, [JSON_ARRAY] = SHAPE_LIST, [JSON_OBJECT] = SHAPE_STRUCT };
    return of[json_kind(value)];
}

bool shape_int_is_exact(int64_t v)
{
    double d = (double)v;
    return d < 0x1p63 && (int64_t)d == v;
}

ParquetShape *parquet_shape_new(void)
{
    ParquetShape *s = mem_zalloc(1, sizeof *s);
    s->kind = SHAPE_STRUCT;
    s->index = map_new();
    return s;
}

void parquet_shape_free(ParquetShape *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->child.n; i++)
        parquet_shape_free(s->child.p[i]);
    vec_release(&s->child);
    map_free(s->index);
    free(s->name);
    free(s);
}

ParquetShape *shape_find(const ParquetShape *s, Str key)
{
    int64_t i;
    return map_get(s->index, key, &i) ? s->child.p[i] : NULL;
}

int shape_depth(const ParquetShape *s)
{
    int depth = 1;
    for (; s->parent; s = s->parent)
        depth++;
    return depth;
}

void shape_path(StrBuf *out, const ParquetShape *s)
{
    const ParquetShape *up[PARQUET_WRITE_DEPTH + 2];
    size_t n = 0;
    for (; s->parent; s = s->parent)
        up[n++] = s;
    while (n--)
        if (up[n]->name)
            strbuf_addf(out, "%s%s", out->n ? "." : "", up[n]->name);
        else
            strbuf_addz(out, "[]");
}

static void set_kind(ParquetShape *s, ShapeKind kind)
{
    s->kind = kind;
    if (kind == SHAPE_STRUCT && !s->index)
        s->index = map_new();
}

static ParquetShape *add_child(ParquetShape *s, const char *name)
{
    ParquetShape *c = mem_zalloc(1, sizeof *c), *root = s;
    c->name = name ? mem_strdup(name) : NULL;
    c->parent = s;
    if (name)
        map_put(s->index, str_of(name), (int64_t)s->child.n);
    *vec_push(&s->child) = c;
    while (root->parent)
        root = root->parent;
    root->fields++;
    return c;
}

/* The child for a key, made when it is new. */
static int take_child(ParquetShape **out, ParquetShape *s, Str key, Err *e)
{
    const ParquetShape *root = s;
    *out = shape_find(s, key);
    if (*out)
        return 0;
    while (root->parent)
        root = root->parent;
    if (root->fields >= SHAPE_FIELDS_MAX)
        return err_set(e, ERR_INPUT, "there are more than %d different keys; each would be a column; write such an object as text", SHAPE_FIELDS_MAX);
    *out = add_child(s, key.p);
    return 0;
}

static int expect_depth(const ParquetShape *s, Err *e)
{
    if (shape_depth(s) <= PARQUET_WRITE_DEPTH)
        return 0;
    return err_set(e, ERR_INPUT, "arrays and objects are nested more than %d levels deep, which is refused", PARQUET_WRITE_DEPTH);
}

static int misfit(const ParquetShape *s, const char *found, Err *e)
{
    StrBuf path = {0};
    shape_path(&path, s);
    int rc = err_set(e, ERR_INPUT, "%s is %s here and was %s in earlier rows; a column has one kind", strbuf_z(&path), found, shape_kind_name(s->kind));
    strbuf_release(&path);
    return rc;
}

/* Numbers of both kinds become double, when no integer loses a digit by it. */
static int learn_number(ParquetShape *s, ShapeKind kind, const Json *value, Err *e)
{
    bool wide = kind == SHAPE_INT && !shape_int_is_exact(json_int(value));
    if (s->kind != kind && (wide || s->wide))
        return misfit(s, kind == SHAPE_INT ? "an integer that no double holds exactly" : "a real number beside integers that no double holds exactly", e);
    s->wide = s->wide || wide;
    s->kind = s->kind == kind ? kind : SHAPE_REAL;
    return 0;
}

static int learn(ParquetShape *s, const Json *value, Err *e)
{
    ShapeKind kind = shape_kind_of(value);
    JsonIter it = {0};
    Str key;
    Json *v;
    int rc = 0;
    if (kind == SHAPE_NULL)
        return 0;
    if (s->kind == SHAPE_NULL)
        set_kind(s, kind);
    if ((kind == SHAPE_INT || kind == SHAPE_REAL) && (s->kind == SHAPE_INT || s->kind == SHAPE_REAL))
        return learn_number(s, kind, value, e);
    if (s->kind != kind)
        return misfit(s, shape_kind_name(kind), e);
    if (kind != SHAPE_LIST && kind != SHAPE_STRUCT)
        return 0;
    rc = expect_depth(s, e);
    if (!rc && kind == SHAPE_LIST && !s->child.n)
        add_child(s, NULL);
    for (size_t i = 0; !rc && kind == SHAPE_LIST && i < json_len(value); i++)
        rc = learn(s->child.p[0], json_at(value, i), e);
    while (!rc && kind == SHAPE_STRUCT && json_each(value, &it, &key, &v)) {
        ParquetShape *c;
        rc = take_child(&c, s, key, e);
        if (!rc)
            rc = learn(c, v, e);
    }
    return rc;
}

int parquet_shape_add(ParquetShape *s, const Json *row, Err *e)
{
    s->rows++;
    int rc = shape_kind_of(row) == SHAPE_STRUCT ? learn(s, row, e) : err_set(e, ERR_INPUT, "a row must be an object, this is %s", json_kind_name(row));
    return rc ? err_wrap(e, "row %" PRId64, s->rows) : 0;
}

/* ---- descriptions ---- */

static int describe_into(ParquetShape *s, const Json *d, Err *e)
{
    JsonIter it = {0};
    Str key;
    Json *v;
    int rc = 0;
    switch (json_kind(d)) {
    case JSON_STRING:
        for (ShapeKind k = SHAPE_NULL; k <= SHAPE_TEXT; k++)
            if (str_eqz(json_str(d), kind_names[k])) {
                s->kind = k;
                return 0;
            }
        break;
    case JSON_ARRAY:
        if (json_len(d) != 1)
            break;
        set_kind(s, SHAPE_LIST);
        rc = expect_depth(s, e);
        return rc ? rc : describe_into(add_child(s, NULL), json_at(d, 0), e);
    case JSON_OBJECT:
        set_kind(s, SHAPE_STRUCT);
        rc = expect_depth(s, e);
        while (!rc && json_each(d, &it, &key, &v)) {
            ParquetShape *c;
            rc = take_child(&c, s, key, e);
            if (!rc)
                rc = describe_into(c, v, e);
        }
        return rc;
    default:
        break;
    }
    return err_set(e, ERR_INPUT,
                   "a description of rows is made of \"string\", \"int64\", \"double\", \"bool\", \"null\", [one element] and {\"key\": ...}");
}

int parquet_shape_parse(ParquetShape **out, const Json *description, Err *e)
{
    *out = parquet_shape_new();
    int rc = json_kind(description) == JSON_OBJECT ? describe_into(*out, description, e)
                                                   : err_set(e, ERR_INPUT, "a description of rows must be an object of columns");
    if (rc) {
        parquet_shape_free(*out);
        *out = NULL;
    }
    return rc;
}

Json *parquet_shape_json(const ParquetShape *s)
{
    if (s->kind != SHAPE_LIST && s->kind != SHAPE_STRUCT)
        return json_str_new(str_of(kind_names[s->kind]));
    Json *j = s->kind == SHAPE_LIST ? json_arr_new() : json_obj_new();
    for (size_t i = 0; i < s->child.n; i++)
        if (s->kind == SHAPE_LIST)
            json_push(j, parquet_shape_json(s->child.p[i]));
        else
            json_set(j, s->child.p[i]->name, parquet_shape_json(s->child.p[i]));
    return j;
}
