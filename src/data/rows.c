/* rows.c - finds out what a data file is and hands out its rows.
 * Main struct: RowReader. Invariants: all rows of a reader have the same shape, the one of the first row; a file that calls itself JSON is
 * never taken for raw text. The kind comes from the first line that is not blank: a JSON object there means one row per line, a "[" in a file
 * named .json means one array of rows, anything else is raw text.
 * To add a shape of row: a DataKind, a row in `shapes`, and an encoder in encode.c. */
#include "data/data_int.h"
#include "base/utf8.h"

#define ARRAY_FILE_MAX JSONL_LINE_MAX /* a whole array is parsed at once, so it gets the bound of one line */

typedef struct Shape {
    DataKind    kind;
    const char *key[2]; /* all needed; the second may be NULL */
    const char *name;
} Shape;

static const Shape shapes[] = {
    { DATA_MESSAGES,  { "messages", NULL },         "messages"              },
    { DATA_PAIR,      { "prompt",   "completion" }, "prompt and completion" },
    { DATA_TEXT_ROWS, { "text",     NULL },         "text"                  },
    { DATA_RAW_TEXT,  { NULL,       NULL },         "raw text"              },
};

const char *data_kind_name(DataKind k)
{
    BUG_ON((size_t)k >= ARRAY_LEN(shapes) || shapes[k].kind != k);
    return shapes[k].name;
}

/* null counts as absent: exports of tables fill the columns of other rows with it. */
static bool has(const Json *row, const char *key)
{
    const Json *v = key ? json_get(row, key) : NULL;
    return v && json_kind(v) != JSON_NULL;
}

int rows_kind(const Json *row, const char *where, DataKind *kind, Err *e)
{
    const Shape *found = NULL;
    for (const Shape *s = shapes; s < shapes + ARRAY_LEN(shapes); s++) {
        if (!has(row, s->key[0]) && !has(row, s->key[1]))
            continue;
        if (found)
            return err_set(e, ERR_INPUT, "%s: the row mixes two shapes, %s and %s; keep the keys of one", where, found->name, s->name);
        for (size_t i = 0; i < ARRAY_LEN(s->key); i++)
            if (s->key[i] && !has(row, s->key[i]))
                return err_set(e, ERR_INPUT, "%s: the row has no \"%s\"; rows of this shape need %s", where, s->key[i], s->name);
        found = s;
    }
    if (!found)
        return err_set(e, ERR_INPUT, "%s: the row has none of the known shapes; expected \"messages\", or \"prompt\" and \"completion\", or \"text\" (hone prep makes them of many others)", where);
    *kind = found->kind;
    return 0;
}

static Str after_bom(Str s)
{
    return str_starts(s, "\xEF\xBB\xBF") ? (Str){ s.p + 3, s.n - 3 } : s;
}

static int first_character(Str s) /* not blank; -1: none */
{
    for (size_t i = 0; i < s.n; i++)
        if (!memchr(" \t\r\n", s.p[i], 4))
            return (unsigned char)s.p[i];
    return -1;
}

static int next_of_array(RowReader *r, Json **row, Err *e)
{
    size_t i = (size_t)r->line;
    if (i == r->end)
        return 0;
    r->line++;
    Json *item = json_at(r->array, i);
    if (json_kind(item) != JSON_OBJECT)
        return err_set(e, ERR_INPUT, "%s, row %zu: each item of the array must be an object, found %s", r->name, i + 1, json_kind_name(item));
    *row = json_ref(item);
    return 1;
}

/* The next row of whatever shape. */
static int next_any(RowReader *r, Json **row, DataKind *kind, Err *e)
{
    *row = NULL;
    int rc = r->array ? next_of_array(r, row, e) : jsonl_next(&r->lines, row, e);
    if (rc != 1)
        return rc;
    if (!r->array)
        r->line = r->lines.line;
    strbuf_clear(&r->where);
    strbuf_addf(&r->where, ROW_PLACE, r->name, r->array ? "row" : "line", (long long)r->line);
    rc = rows_kind(*row, strbuf_z(&r->where), kind, e);
    if (rc) {
        json_free(*row);
        *row = NULL;
    }
    return rc ? rc : 1;
}

int rows_next(RowReader *r, Json **row, Err *e)
{
    DataKind kind = r->kind;
    int rc = next_any(r, row, &kind, e);
    if (rc != 1 || kind == r->kind)
        return rc;
    json_free(*row);
    *row = NULL;
    return err_set(e, ERR_INPUT, "%s: the row has %s, but the rows before have %s; put them into separate files", strbuf_z(&r->where), data_kind_name(kind),
                   data_kind_name(r->kind));
}

static void rewind_rows(RowReader *r)
{
    r->line = 0;
    jsonl_close(&r->lines);
    jsonl_open_memory(&r->lines, r->text, r->name);
}

static int kind_by_first_row(RowReader *r, Err *e)
{
    Json *row;
    int rc = next_any(r, &row, &r->kind, e);
    if (rc == 0)
        return err_set(e, ERR_INPUT, "%s: the file has no rows", r->name);
    json_free(row);
    rewind_rows(r);
    return MIN(rc, 0);
}

static int open_array(RowReader *r, Err *e)
{
    if (r->text.n > ARRAY_FILE_MAX)
        return err_set(e, ERR_INPUT, "%s: one JSON array may have at most %zu MiB; convert larger files to JSONL, one object per line (jq -c '.[]')", r->name,
                       ARRAY_FILE_MAX >> 20);
    int rc = json_parse(&r->array, r->text, r->name, e);
    r->end = json_len(r->array);
    return rc ? rc : kind_by_first_row(r, e);
}

static bool first_line_is_object(RowReader *r, Err *why)
{
    Json *row = NULL;
    int rc = jsonl_next(&r->lines, &row, why);
    json_free(row);
    rewind_rows(r);
    return rc == 1;
}

static int check_raw(const RowReader *r, Err *e)
{
    size_t bad = 0, line = 1;
    if (r->text.n > DATA_RAW_MAX)
        return err_set(e, ERR_INPUT, "%s: one raw text may have at most %zu MiB; split it into several files", r->name, DATA_RAW_MAX >> 20);
    if (utf8_valid(r->text, &bad))
        return 0;
    for (size_t i = 0; i < bad; i++)
        line += r->text.p[i] == '\n';
    return err_set(e, ERR_INPUT, "%s, line %zu: the byte 0x%02x is not valid UTF-8 text; save the file as UTF-8, or leave it out if it is not text", r->name,
                   line, (unsigned)(unsigned char)r->text.p[bad]);
}

int rows_open(RowReader *r, Str text, const char *name, Err *e)
{
    Err why = { 0 };
    *r = (RowReader){ .kind = DATA_RAW_TEXT, .name = name, .text = after_bom(text) };
    jsonl_open_memory(&r->lines, r->text, name);
    int first = first_character(r->text);
    bool one_json = str_ends(str_of(name), ".json"), named_json = one_json || str_ends(str_of(name), ".jsonl");

    if (str_ends(str_of(name), ".csv") || str_ends(str_of(name), ".tsv"))
        return err_set(e, ERR_INPUT, "%s: training reads JSONL; turn the table into it with hone prep FILE -o DATA --prompt \"{column}\" --completion \"{column}\"", name);
    if (first < 0)
        return err_set(e, ERR_INPUT, "%s: the file is empty; expected rows or text to train on", name);
    if (first == '{' && first_line_is_object(r, &why))
        return kind_by_first_row(r, e);
    if (first == '[' && one_json)
        return open_array(r, e);
    if (!named_json)
        return check_raw(r, e);
    if (first == '{')
        return err_set(e, ERR_INPUT, "%s; expected is one whole object per line (convert with jq -c .), or one array of "
                                     "objects in a file named .json", why.text);
    return err_set(e, ERR_INPUT, "%s: the first line is not a JSON object; expected is one object per line, or one array of objects in a file named .json; "
                                 "give raw text another ending, such as .txt", name);
}

bool rows_part(RowReader *part, const RowReader *r, RowMark *from)
{
    const char *text = (const char *)r->lines.map.p;
    *part = (RowReader){ .kind = r->kind, .name = r->name, .line = from->line };
    if (r->array) {
        if (from->at == r->end)
            return false;
        part->array = json_ref(r->array);
        part->end = from->at = MIN(from->at + PART_ROWS, r->end);
        from->line = (int64_t)from->at;
        return true;
    }
    size_t begin = from->at, end = MIN(begin + PART_BYTES, r->lines.map.n);
    if (begin == r->lines.map.n)
        return false;
    const char *newline = memchr(text + end - 1, '\n', r->lines.map.n - end + 1);
    end = newline ? (size_t)(newline - text) + 1 : r->lines.map.n;
    jsonl_open_part(&part->lines, (Str){ text + begin, end - begin }, r->name, from->line);
    for (const char *at = text + begin; at < text + end && (at = memchr(at, '\n', (size_t)(text + end - at))); at++)
        from->line++;
    from->at = end;
    return true;
}

void rows_close(RowReader *r)
{
    jsonl_close(&r->lines);
    json_free(r->array);
    strbuf_release(&r->where);
    *r = (RowReader){ 0 };
}

int data_kind(const char *path, DataKind *kind, Err *e)
{
    FileMap   map = { 0 };
    RowReader r = { 0 };
    int       rc = file_map(&map, path, e);
    if (!rc)
        rc = rows_open(&r, (Str){ (const char *)map.p, map.n }, path, e);
    *kind = r.kind;
    rows_close(&r);
    file_unmap(&map);
    return rc;
}

int data_sniff(const char *path, DataKind *kind, int64_t *rows, Err *e)
{
    FileMap map = { 0 };
    RowReader r = { 0 };
    Json *row = NULL;
    *rows = 0;
    int rc = file_map(&map, path, e);
    if (!rc)
        rc = rows_open(&r, (Str){ (const char *)map.p, map.n }, path, e);
    if (!rc)
        *kind = r.kind;
    if (!rc && r.kind == DATA_RAW_TEXT) {
        *rows = 1;
        goto done;
    }
    while (!rc && (rc = rows_next(&r, &row, e)) == 1) {
        json_free(row);
        (*rows)++;
        rc = 0;
    }
done:
    rows_close(&r);
    file_unmap(&map);
    return rc;
}
