/* parquet_row.c - the columns' levels and values back into one nested row (Melnik et al., Dremel, VLDB 2010, section 4.3; here by walking the schema).
 * Each leaf has a cursor over its entries of this row. A node knows from the definition level of its first leaf whether it is there, and a repeated node
 * from the repetition level of the next entry whether it goes on.
 * Invariant: every entry is taken once, by its leaf, at the repetition level that the walk expects; leaves that disagree about the structure they
 * share are an Err, so a damaged file cannot shift values from one row or element into another. */
#include "formats/parquet_group.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>

typedef struct Cursor { int64_t entry, end, value; } Cursor;
typedef struct Walk { const ParquetGroup *g; Cursor *at; size_t left; Err *e; } Walk;   /* at: [n_leaves]; left: bytes that the row may still take */

static int node_at(Walk *w, const PqNode *n, int rep, Json **out);

static int in_column(Walk *w, const PqNode *n)
{
    StrBuf path = {0};
    pq_node_path(&path, n);
    int rc = err_wrap(w->e, "column %s", strbuf_z(&path));
    strbuf_release(&path);
    return rc;
}

static int disagree(Walk *w, const PqNode *n)
{
    err_set(w->e, ERR_INPUT, "its levels do not fit the schema or its neighbours; the file is damaged");
    return in_column(w, n);
}

/* Counts what a piece of the row will take before it is made: runs and dictionaries let a few bytes of a page stand for a very long row. */
static int charge(Walk *w, const PqNode *n, size_t bytes)
{
    enum { VALUE = 64 };   /* about what an empty JSON value takes with its place in an array or object */
    if (bytes > w->left || w->left - bytes < VALUE) {
        err_set(w->e, ERR_INPUT, "the row takes more than %zu MiB of memory, which is refused", MIN(w->g->f->group_max, PARQUET_ROW_BYTES_MAX) >> 20);
        return in_column(w, n);
    }
    w->left -= bytes + VALUE;
    return 0;
}

/* The definition level of the leaf's next entry, or -1 when there is none at this repetition level. */
static int peek(const Walk *w, uint32_t leaf, int rep)
{
    const PqColumn *c = &w->g->column[leaf];
    const Cursor *at = &w->at[leaf];
    if (at->entry == at->end || (c->rep ? c->rep[at->entry] : 0) != rep)
        return -1;
    return c->def ? c->def[at->entry] : 0;
}

/* The node is not there: one entry of each leaf below says so, and that the parent is. */
static int skip(Walk *w, const PqNode *n, int rep)
{
    for (uint32_t i = n->leaf; i < n->leaf_end; i++) {
        if (peek(w, i, rep) != n->def - 1)
            return disagree(w, w->g->f->leaf[i]);
        w->at[i].entry++;
    }
    return 0;
}

static int leaf_value(Walk *w, const PqNode *n, int rep, Json **out)
{
    const PqColumn *c = &w->g->column[n->leaf];
    Cursor *at = &w->at[n->leaf];
    if (peek(w, n->leaf, rep) != n->def)
        return disagree(w, n);
    at->entry++;
    int64_t k = at->value++;
    PqValue v = {0};
    const uint8_t *p = c->fixed ? c->fixed + (size_t)k * c->width : NULL;
    float f;
    switch (n->type) {
    case PQ_BOOLEAN: v.i = *p; break;
    case PQ_INT32:   v.i = (int32_t)pq_u32(p); break;
    case PQ_INT64:   v.i = (int64_t)pq_u64(p); break;
    case PQ_FLOAT:   memcpy(&f, p, sizeof f); v.d = (double)f; break;
    case PQ_DOUBLE:  memcpy(&v.d, p, sizeof v.d); break;
    case PQ_INT96:   v.s = (Str){ (const char *)p, 12 }; break;
    default:         v.s = c->text[k];
    }
    int rc = charge(w, n, v.s.n);
    if (rc)
        return rc;
    return n->kind->json(n, &v, out, w->e) ? in_column(w, n) : 0;
}

static int struct_value(Walk *w, const PqNode *n, int rep, Json **out)
{
    int rc = 0;
    Json *obj = json_obj_new();
    for (const PqNode *c = n->child; !rc && c; c = c->next) {
        Json *value = NULL;
        if (!n->parent && !c->wanted)
            continue;
        rc = charge(w, c, strlen(c->name));
        if (!rc)
            rc = node_at(w, c, rep, &value);
        if (!rc)
            json_set(obj, c->name, value);
    }
    if (rc) {
        json_free(obj);
        obj = NULL;
    }
    *out = obj;
    return rc;
}

/* Pairs with text keys to an object; of keys that come twice the last counts. */
static int map_of_pairs(Walk *w, const PqNode *n, Json **io)
{
    Json *pairs = *io, *obj = json_obj_new();
    int rc = 0;
    for (size_t i = 0; !rc && i < json_len(pairs); i++) {
        Json *key = json_get(json_at(pairs, i), "key"), *value = json_get(json_at(pairs, i), "value");
        Str k = json_str(key);
        if (!k.p || memchr(k.p, 0, k.n)) {
            err_set(w->e, ERR_INPUT, "the key of a map's entry %zu is %s; it must be text without zero bytes", i + 1,
                    k.p ? "text with a zero byte" : json_kind_name(key));
            rc = in_column(w, n);
        } else {
            json_set(obj, k.p, value ? json_ref(value) : json_null_new());
        }
    }
    json_free(pairs);
    if (rc) {
        json_free(obj);
        obj = NULL;
    }
    *io = obj;
    return rc;
}

static bool has_text_keys(const PqNode *map)
{
    const PqNode *key = map->child->child;
    return key->shape == PQ_LEAF && key->type == PQ_BYTE_ARRAY && key->logical.kind != PQ_L_DECIMAL;
}

/* The node's value when it is there. */
static int node_value(Walk *w, const PqNode *n, int rep, Json **out)
{
    int rc;
    switch (n->shape) {
    case PQ_LEAF:   return leaf_value(w, n, rep, out);
    case PQ_STRUCT: return struct_value(w, n, rep, out);
    case PQ_LIST:
    case PQ_WRAP:   return node_at(w, n->child, rep, out);
    case PQ_MAP:
        rc = node_at(w, n->child, rep, out);
        return rc || !has_text_keys(n) ? rc : map_of_pairs(w, n, out);
    }
    return disagree(w, n);
}

static int repeated(Walk *w, const PqNode *n, int rep, Json **out)
{
    Json *list = json_arr_new();
    int rc = 0, def = peek(w, n->leaf, rep);
    if (def < n->def)
        rc = skip(w, n, rep);
    else
        do {
            Json *item = NULL;
            rc = charge(w, n, 0);
            if (!rc)
                rc = node_value(w, n, rep, &item);
            if (!rc)
                json_push(list, item);
            rep = n->rep;
        } while (!rc && peek(w, n->leaf, rep) >= 0);
    if (rc) {
        json_free(list);
        list = NULL;
    }
    *out = list;
    return rc;
}

/* A node whose parent is there: absent, once, or several times. */
static int node_at(Walk *w, const PqNode *n, int rep, Json **out)
{
    if (n->repeat == PQ_REPEATED)
        return repeated(w, n, rep, out);
    int def = n->repeat == PQ_OPTIONAL ? peek(w, n->leaf, rep) : n->def;
    if (def >= n->def)
        return node_value(w, n, rep, out);
    *out = json_null_new();
    return skip(w, n, rep);
}

static int expect_all_taken(Walk *w)
{
    for (size_t i = 0; i < w->g->f->n_leaves; i++)
        if (w->at[i].entry != w->at[i].end)
            return disagree(w, w->g->f->leaf[i]);
    return 0;
}

int parquet_row(const ParquetGroup *g, int64_t row, Json **out, Err *e)
{
    BUG_ON(row < 0 || row >= g->rows);
    Cursor few[32], *at = g->f->n_leaves <= ARRAY_LEN(few) ? few : mem_alloc(g->f->n_leaves * sizeof *at);
    for (size_t i = 0; i < g->f->n_leaves; i++) {
        const PqColumn *c = &g->column[i];
        int64_t entry = c->entry_at ? c->entry_at[row] : row;
        at[i] = (Cursor){ entry, c->entry_at ? c->entry_at[row + 1] : row + 1, c->value_at ? c->value_at[row] : entry };
        if (!c->leaf)
            at[i] = (Cursor){0};
    }
    Walk w = { g, at, MIN(g->f->group_max, PARQUET_ROW_BYTES_MAX), e };
    int rc = struct_value(&w, g->f->node, 0, out);
    if (!rc)
        rc = expect_all_taken(&w);
    if (rc) {
        err_wrap(e, "%s, row %" PRId64, g->f->path, g->first + row + 1);
        json_free(*out);
        *out = NULL;
    }
    if (at != few)
        free(at);
    return rc;
}
