/* parquet_schema.c - the flat list of schema elements becomes the tree that rows are assembled by: levels counted, lists and maps recognised, also in
 * the older two-level forms.
 * Invariants: recursion ends at PARQUET_DEPTH_MAX; siblings have different names, so that a row can be an object; every group has a child, so that
 * its leaves say whether it is there. */
#include "formats/parquet_int.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <stdlib.h>

typedef struct Build { ParquetFile *f; size_t at; char *name; Err *e; } Build;   /* at: the next element; name: where the next name goes */

void pq_node_path(StrBuf *out, const PqNode *n)
{
    const PqNode *up[PARQUET_DEPTH_MAX + 1];
    size_t k = 0;
    for (; n->parent; n = n->parent)
        up[k++] = n;
    while (k) {
        strbuf_addz(out, up[--k]->name);
        if (k)
            strbuf_addc(out, '.');
    }
}

static int take_name(Build *b, PqNode *n, Str s)
{
    if (memchr(s.n ? s.p : "", 0, s.n) || !utf8_valid(s, NULL))
        return err_set(b->e, ERR_INPUT, "%s: the name of field %zu of the schema is not UTF-8 text without zero bytes", b->f->path, b->at);
    memcpy(b->name, s.n ? s.p : "", s.n);
    n->name = b->name;
    b->name += s.n + 1;
    return 0;
}

static int expect_distinct(Build *b, const PqNode *group)
{
    Map *seen = map_new();
    int rc = 0;
    for (const PqNode *c = group->child; !rc && c; c = c->next)
        if (!map_put(seen, str_of(c->name), 0))
            rc = err_set(b->e, ERR_INPUT, "%s: two fields beside each other are both called \"%s\"; a row can hold only one of them", b->f->path, c->name);
    map_free(seen);
    return rc;
}

/* The backward-compatibility rules of LogicalTypes.md: is the repeated child of a list the element itself? */
static bool is_two_level(const PqNode *list, const PqNode *r)
{
    if (r->shape == PQ_LEAF || r->child->next || r->child->repeat == PQ_REPEATED || r->logical.kind == PQ_L_LIST || r->logical.kind == PQ_L_MAP)
        return true;
    size_t n = strlen(list->name);
    return !strcmp(r->name, "array") || (!strncmp(r->name, list->name, n) && !strcmp(r->name + n, "_tuple"));
}

/* What a group is. A LIST or MAP that does not look like one is refused, not guessed at. */
static void set_shape(PqNode *n)
{
    PqNode *r = n->child;
    bool one_repeated = r && !r->next && r->repeat == PQ_REPEATED;
    n->shape = PQ_STRUCT;
    if (n->logical.kind == PQ_L_LIST) {
        n->shape = PQ_LIST;
        if (!one_repeated)
            n->refused = "a LIST that does not hold one repeated field";
        else if (!is_two_level(n, r))
            r->shape = PQ_WRAP;
    } else if (n->logical.kind == PQ_L_MAP && n->repeat == PQ_REPEATED && !one_repeated) {
        n->logical.kind = PQ_L_NONE;   /* MAP_KEY_VALUE on the middle level, as older writers have it */
    } else if (n->logical.kind == PQ_L_MAP) {
        n->shape = PQ_MAP;
        if (!one_repeated || r->shape != PQ_STRUCT || (r->child->next && r->child->next->next)) {
            n->refused = "a MAP that does not hold repeated pairs of key and value";
            return;
        }
        r->child->name = "key";
        if (r->child->next)
            r->child->next->name = "value";
    } else if (n->logical.kind == PQ_L_VARIANT) {
        n->refused = "VARIANT";
    } else if (n->logical.kind >= PQ_LOGICALS) {
        n->refused = "a logical type that this version does not know";
    }
}

static int build(Build *b, PqNode *parent, int depth)
{
    ParquetFile *f = b->f;
    if (b->at == f->n_elements)
        return err_set(b->e, ERR_INPUT, "%s: the schema has fewer fields than its groups say; the file is damaged", f->path);
    if (depth > PARQUET_DEPTH_MAX)
        return err_set(b->e, ERR_INPUT, "%s: the schema is nested more than %d levels deep, which is refused", f->path, PARQUET_DEPTH_MAX);
    const PqElement *x = &f->element[b->at];
    PqNode *n = &f->node[b->at++];
    int rc = take_name(b, n, x->name);
    if (rc)
        return rc;
    *n = (PqNode){ .name = n->name, .repeat = parent ? (PqRepeat)x->repeat : PQ_REQUIRED, .logical = x->logical, .parent = parent,
                   .leaf = (uint32_t)f->n_leaves, .length = x->length };
    if (x->repeat < PQ_REQUIRED || x->repeat > PQ_REPEATED)
        return err_set(b->e, ERR_INPUT, "%s: field \"%s\" has repetition %d, which the format does not know", f->path, n->name, x->repeat);
    n->def = (parent ? parent->def : 0) + (n->repeat != PQ_REQUIRED);
    n->rep = (parent ? parent->rep : 0) + (n->repeat == PQ_REPEATED);
    if (x->is_leaf && !x->children && parent) {
        if (x->type < 0 || x->type >= PQ_TYPES || (x->type == PQ_FIXED && x->length <= 0))
            return err_set(b->e, ERR_INPUT, "%s: field \"%s\" has physical type %d of length %d, which the format does not know", f->path, n->name,
                           x->type, x->length);
        n->type = (PqType)x->type;
        f->leaf[f->n_leaves++] = n;
        pq_kind_find(n);
    } else {
        if (x->children <= 0 || x->is_leaf)
            return err_set(b->e, ERR_INPUT, "%s: group \"%s\" of the schema has %d fields; it must have at least one and no type", f->path, n->name,
                           x->children);
        PqNode **link = &n->child;
        for (int32_t i = 0; !rc && i < x->children; i++) {
            *link = &f->node[MIN(b->at, f->n_elements - 1)];
            PqNode *made = *link;
            rc = build(b, n, depth + 1);
            link = &made->next;
        }
        if (!rc)
            rc = expect_distinct(b, n);
        if (!rc && parent)
            set_shape(n);
        else
            n->shape = PQ_STRUCT;
    }
    n->leaf_end = (uint32_t)f->n_leaves;
    return rc;
}

int pq_schema_build(ParquetFile *f, Err *e)
{
    if (!f->n_elements)
        return err_set(e, ERR_INPUT, "%s: the footer has no schema; the file is damaged", f->path);
    size_t text = 0;
    for (size_t i = 0; i < f->n_elements; i++)
        text += f->element[i].name.n + 1;
    f->names = mem_zalloc(text, 1);
    f->node = mem_zalloc(f->n_elements, sizeof *f->node);
    f->leaf = mem_zalloc(f->n_elements, sizeof *f->leaf);
    Build b = { f, 0, f->names, e };
    int rc = build(&b, NULL, 0);
    if (!rc && b.at != f->n_elements)
        rc = err_set(e, ERR_INPUT, "%s: the schema has %zu fields, its groups hold %zu; the file is damaged", f->path, f->n_elements, b.at);
    return rc;
}

/* ---- as JSON ---- */

static Json *describe(const PqNode *n);

static Json *describe_children(const PqNode *n)
{
    Json *of = json_arr_new();
    for (const PqNode *c = n->child; c; c = c->next)
        json_push(of, describe(c));
    return of;
}

/* A list's element and a map's pair stand for themselves; the levels that only carry them are left out. */
static Json *describe(const PqNode *n)
{
    static const char *const names[] = { [PQ_STRUCT] = "struct", [PQ_LIST] = "list", [PQ_MAP] = "map", [PQ_WRAP] = "struct" };
    const PqNode *r = n->child;
    Json *j = json_obj_new(), *of = NULL;
    StrBuf type = {0};
    bool bare = n->repeat == PQ_REPEATED && n->parent->shape != PQ_LIST && n->parent->shape != PQ_MAP;
    if (n->shape == PQ_LEAF)
        pq_kind_text(&type, n);
    else
        strbuf_addz(&type, n->refused ? n->refused : names[n->shape]);
    if (n->shape == PQ_LIST && !n->refused) {
        of = json_arr_new();
        json_push(of, describe(r->shape == PQ_WRAP ? r->child : r));
    } else if (n->shape != PQ_LEAF) {
        of = describe_children(n->shape == PQ_MAP && !n->refused ? r : n);
    }
    if (bare) {   /* the list has no node of its own */
        Json *element = json_obj_new(), *list = json_arr_new();
        json_set(element, "name", json_str_new(str_of(n->name)));
        json_set(element, "type", json_str_new(strbuf_str(&type)));
        json_set(element, "nullable", json_bool_new(false));
        if (of)
            json_set(element, "of", of);
        json_push(list, element);
        of = list;
        strbuf_clear(&type);
        strbuf_addz(&type, "list");
    }
    json_set(j, "name", json_str_new(str_of(n->name)));
    json_set(j, "type", json_str_new(strbuf_str(&type)));
    json_set(j, "nullable", json_bool_new(n->repeat == PQ_OPTIONAL));
    if (of)
        json_set(j, "of", of);
    strbuf_release(&type);
    return j;
}

Json *parquet_schema(const ParquetFile *f)
{
    return describe_children(f->node);
}
