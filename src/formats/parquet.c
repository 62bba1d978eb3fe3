/* parquet.c - opens a Parquet file, chooses columns, decodes row groups. See parquet_int.h for the path of the bytes.
 * Invariants: a ParquetFile is complete after parquet_open and never changes; a group owns its columns and borrows the file. */
#include "formats/parquet_group.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- columns ---- */

static void mark(ParquetFile *f, PqNode *top)
{
    top->wanted = true;
    for (uint32_t i = top->leaf; i < top->leaf_end; i++)
        f->leaf[i]->wanted = true;
}

static int mark_named(ParquetFile *f, const char *name, Err *e)
{
    for (PqNode *c = f->node->child; c; c = c->next)
        if (!strcmp(c->name, name)) {
            mark(f, c);
            return 0;
        }
    StrBuf have = {0};
    for (const PqNode *c = f->node->child; c && have.n < 500; c = c->next)
        strbuf_addf(&have, "%s%s", have.n ? ", " : "", c->name);
    err_set(e, ERR_INPUT, "%s: there is no column \"%s\"; the file has %s", f->path, name, strbuf_z(&have));
    strbuf_release(&have);
    return ERR_INPUT;
}

static int expect_readable(const ParquetFile *f, Err *e)
{
    StrBuf path = {0};
    int rc = 0;
    for (size_t i = 0; !rc && i < f->n_elements; i++) {
        const PqNode *n = &f->node[i], *top = n;
        while (top->parent && top->parent->parent)
            top = top->parent;
        if (!n->refused || !top->wanted)
            continue;
        pq_node_path(&path, n);
        rc = err_set(e, ERR_INPUT, "%s: column %s is %s, which is not supported; ask for the other columns by name", f->path,
                     strbuf_z(&path), n->refused);
    }
    strbuf_release(&path);
    return rc;
}

static int choose_columns(ParquetFile *f, const ParquetOptions *o, Err *e)
{
    int rc = 0;
    for (size_t i = 0; !rc && o && i < o->n_columns; i++)
        rc = mark_named(f, o->columns[i], e);
    for (PqNode *c = f->node->child; (!o || !o->n_columns) && c; c = c->next)
        mark(f, c);
    return rc ? rc : expect_readable(f, e);
}

/* ---- files ---- */

static int open_mapped(ParquetFile **out, ParquetFile *f, const ParquetOptions *o, Err *e)
{
    f->group_max = o && o->group_max ? o->group_max : PARQUET_GROUP_MAX;
    int rc = pq_footer_read(f, e);
    if (!rc)
        rc = pq_schema_build(f, e);
    if (!rc)
        rc = choose_columns(f, o, e);
    if (rc) {
        parquet_close(f);
        f = NULL;
    }
    *out = f;
    return rc;
}

int parquet_open(ParquetFile **out, const char *path, const ParquetOptions *o, Err *e)
{
    *out = NULL;
    ParquetFile *f = mem_zalloc(1, sizeof *f);
    f->path = mem_strdup(path);
    int rc = file_map(&f->map, path, e);
    if (rc) {
        parquet_close(f);
        return rc;
    }
    return open_mapped(out, f, o, e);
}

int parquet_open_memory(ParquetFile **out, const void *p, size_t n, const char *name, const ParquetOptions *o, Err *e)
{
    ParquetFile *f = mem_zalloc(1, sizeof *f);
    f->path = mem_strdup(name);
    f->map = (FileMap){ p, n };
    f->borrowed = true;
    return open_mapped(out, f, o, e);
}

void parquet_close(ParquetFile *f)
{
    if (!f)
        return;
    if (!f->borrowed)
        file_unmap(&f->map);
    free(f->element);
    free(f->group);
    free(f->node);
    free(f->leaf);
    free(f->names);
    free(f->path);
    free(f);
}

int64_t parquet_rows(const ParquetFile *f)
{
    return f->rows;
}

size_t parquet_groups(const ParquetFile *f)
{
    return f->n_groups;
}

/* ---- groups ---- */

static int read_columns(ParquetGroup *g, PqChunk *chunk, Err *e)
{
    const ParquetFile *f = g->f;
    PqBudget budget = { f->group_max, f->group_max };
    int rc = pq_group_chunks(f, g->index, chunk, e);
    for (size_t i = 0; !rc && i < f->n_leaves; i++) {
        if (!f->leaf[i]->wanted)
            continue;
        rc = pq_column_read(&g->column[i], f, f->leaf[i], &chunk[i], g->rows, &budget, e);
        if (rc) {
            StrBuf path = {0};
            pq_node_path(&path, f->leaf[i]);
            err_wrap(e, "column %s", strbuf_z(&path));
            strbuf_release(&path);
        }
    }
    return rc;
}

int parquet_group_read(const ParquetFile *f, size_t i, ParquetGroup **out, Err *e)
{
    BUG_ON(i >= f->n_groups);
    ParquetGroup *g = mem_zalloc(1, sizeof *g);
    *g = (ParquetGroup){ .f = f, .index = i, .rows = f->group[i].rows, .first = f->group[i].first,
                         .column = mem_zalloc(f->n_leaves, sizeof *g->column) };
    PqChunk *chunk = mem_zalloc(f->n_leaves, sizeof *chunk);
    int rc = read_columns(g, chunk, e);
    free(chunk);
    if (rc) {
        err_wrap(e, "%s, row group %zu, rows %" PRId64 " to %" PRId64, f->path, i + 1, g->first + 1, g->first + g->rows);
        parquet_group_free(g);
        g = NULL;
    }
    *out = g;
    return rc;
}

void parquet_group_free(ParquetGroup *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < g->f->n_leaves; i++)
        pq_column_release(&g->column[i]);
    free(g->column);
    free(g);
}

int64_t parquet_group_rows(const ParquetGroup *g)
{
    return g->rows;
}

int64_t parquet_group_first(const ParquetGroup *g)
{
    return g->first;
}
