/* prep_export.c - see prep_export.h. The rows are read twice: a container that needs to know its columns beforehand learns them in the first sweep, and a
 * row that cannot be expressed is found before anything is written. */
#include "prep/prep_export.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "formats/parquet.h"
#include "prep/feed.h"
#include "prep/import.h"

#define BLOCK      ((size_t)1 << 20)
#define READ_ROWS  256
#define READ_BYTES ((size_t)8 << 20)

/* ---- containers ------------------------------------------------------------------------------------------------------------------------------------- */

typedef struct Sink {
    const char    *path;
    FileOut       *file;
    StrBuf         block;
    int64_t        rows;
    Map           *column;   /* tables: the names seen */
    VEC(char *)    name;     /* the same in order, terminated */
    CsvDialect     csv;
    ParquetShape  *shape;
    ParquetWriter *parquet;
} Sink;

static int put(Sink *s, bool last, Err *e)
{
    if (s->block.n < BLOCK && !last)
        return 0;
    int rc = file_out_write(s->file, s->block.p ? s->block.p : "", s->block.n, e);
    strbuf_clear(&s->block);
    return rc;
}

static int no_learning(Sink *s, const Json *row, Err *e) { (void)s, (void)row, (void)e; return 0; }
static int text_open(Sink *s, Err *e) { return file_out_open(&s->file, s->path, e); }
static int text_close(Sink *s, Err *e) { int rc = put(s, true, e); return rc ? rc : file_out_commit(&s->file, e); }

static int jsonl_row(Sink *s, const Json *row, Err *e)
{
    json_write(&s->block, row, false);
    strbuf_addc(&s->block, '\n');
    return put(s, false, e);
}

static int json_row(Sink *s, const Json *row, Err *e)
{
    strbuf_addz(&s->block, s->rows ? ",\n" : "[\n");
    json_write(&s->block, row, false);
    return put(s, false, e);
}

static int json_close(Sink *s, Err *e)
{
    strbuf_addz(&s->block, s->rows ? "\n]\n" : "[]\n");
    return text_close(s, e);
}

static int table_learn(Sink *s, const Json *row, Err *e)
{
    JsonIter it = { 0 };
    Str      key;
    Json    *value;
    int64_t  at;
    (void)e;
    while (json_each(row, &it, &key, &value))
        if (!map_get(s->column, key, &at)) {
            map_put(s->column, key, 0);
            *vec_push(&s->name) = mem_strndup(key.p, key.n);
        }
    return 0;
}

static int table_open_sink(Sink *s, Err *e)
{
    s->csv = (CsvDialect){ .delimiter = str_ends(str_of(s->path), ".tsv") ? '\t' : ',', .quote = '"', .doubled = true, .line_end = '\n', .header = true };
    int rc = text_open(s, e);
    Str *name = mem_zalloc(s->name.n + 1, sizeof *name);
    for (size_t i = 0; i < s->name.n; i++)
        name[i] = str_of(s->name.p[i]);
    csv_write_row(&s->block, &s->csv, true, name, s->name.n);
    free(name);
    return rc;
}

static int table_row(Sink *s, const Json *row, Err *e)
{
    size_t  n = s->name.n;
    Str    *field = mem_zalloc(n + 1, sizeof *field);
    StrBuf *text = mem_zalloc(n + 1, sizeof *text);
    for (size_t i = 0; i < n; i++) {
        const Json *v = json_get(row, s->name.p[i]);
        if (v && json_kind(v) != JSON_STRING && json_kind(v) != JSON_NULL)
            json_write(&text[i], v, false);
        field[i] = v && json_kind(v) == JSON_STRING ? json_str(v) : strbuf_str(&text[i]);
    }
    csv_write_row(&s->block, &s->csv, true, field, n);
    for (size_t i = 0; i < n; i++)
        strbuf_release(&text[i]);
    free(text);
    free(field);
    return put(s, false, e);
}

static int parquet_learn(Sink *s, const Json *row, Err *e) { return parquet_shape_add(s->shape, row, e); }
static int parquet_open_sink(Sink *s, Err *e) { return parquet_create(&s->parquet, s->path, s->shape, NULL, e); }
static int parquet_row_out(Sink *s, const Json *row, Err *e) { return parquet_write_row(s->parquet, row, e); }
static int parquet_close_sink(Sink *s, Err *e) { return parquet_commit(&s->parquet, e); }

typedef struct Container {
    const char *ending;
    int (*learn)(Sink *, const Json *, Err *);
    int (*open)(Sink *, Err *);
    int (*row)(Sink *, const Json *, Err *);
    int (*close)(Sink *, Err *);
} Container;

static const Container containers[] = {
    { ".jsonl",   no_learning,   text_open,         jsonl_row,       text_close },
    { ".json",    no_learning,   text_open,         json_row,        json_close },
    { ".csv",     table_learn,   table_open_sink,   table_row,       text_close },
    { ".tsv",     table_learn,   table_open_sink,   table_row,       text_close },
    { ".parquet", parquet_learn, parquet_open_sink, parquet_row_out, parquet_close_sink },
};

/* ---- reading ---------------------------------------------------------------------------------------------------------------------------------------- */

typedef struct Sweep {
    ConvertShape     shape;
    const Import    *import;
    const Container *container;
    Sink            *sink;
    bool             learn;
} Sweep;

static int one_row(Sweep *w, Json *row, const char *path, int64_t line, Err *e)
{
    Record rec = { .row = row };
    StrBuf note = { 0 };
    Json  *out = NULL;
    int    kind = record_kind_of(row), rc = 0;
    if (kind >= 0 && json_get(row, "id")) /* of a data folder: canonical already */
        rec.kind = (RecordKind)kind;
    else
        rc = import_row(w->import, row, &rec, &note, e);
    if (!rc)
        rc = convert_row(&rec, w->shape, &out, e);
    if (!rc)
        rc = w->learn ? w->container->learn(w->sink, out, e) : w->container->row(w->sink, out, e);
    if (rc)
        err_wrap(e, "%s, line %lld", path, (long long)line);
    else
        w->sink->rows++;
    json_free(out);
    record_clear(&rec);
    strbuf_release(&note);
    return rc;
}

static int sweep_file(Sweep *w, const char *path, Err *e)
{
    Feed    *f = NULL;
    FeedItem item[READ_ROWS];
    size_t   n = 0;
    int      rc = feed_open(&f, path, NULL, e);
    while (!rc && !(rc = feed_read(f, item, READ_ROWS, READ_BYTES, &n, e)) && n)
        for (size_t i = 0; i < n && !rc; i++) {
            Json *row = NULL;
            rc = feed_parse(f, &item[i], &row, e);
            if (!rc)
                rc = one_row(w, row, path, item[i].item.at.line, e);
        }
    feed_close(f);
    return rc;
}

static int sweep(Sweep *w, const char *from, const char *part, Err *e)
{
    static const char *const parts[] = { "train", "validation", "test" };
    bool found = !file_is_dir(from);
    int  rc = found ? sweep_file(w, from, e) : 0;
    for (size_t i = 0; i < ARRAY_LEN(parts) && !found && !rc; i++) {
        if (strcmp(part, "all") && strcmp(part, parts[i]))
            continue;
        StrBuf name = { 0 };
        strbuf_addf(&name, "%s/%s.jsonl", from, parts[i]);
        uint64_t bytes = 0;
        rc = file_size(strbuf_z(&name), &bytes, e);
        if (!rc && bytes)
            rc = sweep_file(w, strbuf_z(&name), e);
        strbuf_release(&name);
    }
    return rc;
}

int prep_export(const char *from, const char *part, ConvertShape shape, const char *to, int64_t *rows, Err *e)
{
    Sink    s = { .path = to, .column = map_new(), .shape = parquet_shape_new() };
    Import *im = NULL;
    Sweep   w = { .shape = shape, .sink = &s, .learn = true };
    int     rc = import_new(&im, &(ImportOptions){ 0 }, e);
    for (size_t i = 0; i < ARRAY_LEN(containers); i++)
        if (str_ends(str_of(to), containers[i].ending))
            w.container = &containers[i];
    w.import = im;
    if (!rc && !w.container)
        rc = err_set(e, ERR_ARG, "%s: the ending must say what to write: .jsonl, .json, .csv, .tsv or .parquet", to);
    if (!rc)
        rc = sweep(&w, from, part, e);
    if (!rc && !s.rows)
        rc = err_set(e, ERR_INPUT, "%s has no rows to export (part: %s)", from, part);
    if (rc)
        goto done;
    s.rows = 0;
    w.learn = false;
    if ((rc = w.container->open(&s, e)) || (rc = sweep(&w, from, part, e)) || (rc = w.container->close(&s, e)))
        goto done;
    *rows = s.rows;
done:
    file_out_abort(&s.file);
    parquet_abort(&s.parquet);
    parquet_shape_free(s.shape);
    map_free(s.column);
    for (size_t i = 0; i < s.name.n; i++)
        free(s.name.p[i]);
    vec_release(&s.name);
    strbuf_release(&s.block);
    import_free(im);
    return rc;
}
