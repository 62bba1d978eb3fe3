/* arrow_row.c - one row of a batch as JSON. Every offset, index and length that the file gives is checked where it is used, and what a row takes is counted
 * before it is made: offsets may point many times at the same elements. */
#include "formats/arrow_int.h"

#include "base/mem.h"

#include <inttypes.h>

typedef struct Walk { const ArrowBatch *b; size_t left; Err *e; } Walk;

static int in_column(Walk *w, const ArField *f)
{
    StrBuf path = {0};
    ar_field_path(&path, f);
    int rc = err_wrap(w->e, "column %s", strbuf_z(&path));
    strbuf_release(&path);
    return rc;
}

static int damaged(Walk *w, const ArField *f, const char *what)
{
    err_set(w->e, ERR_INPUT, "%s; the file is damaged", what);
    return in_column(w, f);
}

static int charge(Walk *w, const ArField *f, size_t bytes)
{
    enum { VALUE = 64 };
    if (bytes > w->left || w->left - bytes < VALUE) {
        err_set(w->e, ERR_INPUT, "the row takes more than %zu MiB of memory, which is refused", MIN(w->b->f->group_max, PARQUET_ROW_BYTES_MAX) >> 20);
        return in_column(w, f);
    }
    w->left -= bytes + VALUE;
    return 0;
}

static int64_t int_at(Str data, int64_t i, int32_t width, bool is_signed)
{
    const uint8_t *p = (const uint8_t *)data.p + (size_t)i * (size_t)width;
    switch (width) {
    case 1:  return is_signed ? (int8_t)p[0] : p[0];
    case 2:  return is_signed ? (int16_t)(p[0] | p[1] << 8) : (p[0] | p[1] << 8);
    case 4:  return is_signed ? (int32_t)pq_u32(p) : (int64_t)pq_u32(p);
    default: return (int64_t)pq_u64(p);
    }
}

/* Elements or bytes [from, to) of value i, within `most`. */
static int range_at(Walk *w, const ArColumn *c, int64_t i, int64_t most, int64_t *from, int64_t *to)
{
    const int32_t width = c->field->layout == AR_LARGE_BYTES || c->field->layout == AR_LARGE_LIST ? 8 : 4;
    *from = int_at(c->offsets, i, width, true);
    *to = int_at(c->offsets, i + 1, width, true);
    return *from < 0 || *to < *from || *to > most ? damaged(w, c->field, "an offset lies outside of its values") : 0;
}

/* 16 bytes: the length, then the text when it has at most 12 bytes, else its first 4, the number of a buffer and a place in it. */
static int view_at(Walk *w, const ArColumn *c, int64_t i, Str *out)
{
    const char   *p = c->data.p + (size_t)i * 16;
    const int64_t n = (int32_t)pq_u32(p), buffer = (int32_t)pq_u32(p + 8), at = (int32_t)pq_u32(p + 12);
    if (n < 0)
        return damaged(w, c->field, "a text has less than no bytes");
    *out = (Str){ p + 4, (size_t)n };
    if (n <= 12)
        return 0;
    if (buffer < 0 || (size_t)buffer >= c->n_view || at < 0 || (size_t)at > c->view[buffer].n || (size_t)n > c->view[buffer].n - (size_t)at)
        return damaged(w, c->field, "a text lies outside of its buffers");
    *out = (Str){ c->view[buffer].p + at, (size_t)n };
    return 0;
}

/* ---- leaves --------------------------------------------------------------------------------------------------------------------------------------------- */

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

static int scaled(Walk *w, const ArField *f, int64_t *v)
{
    if (f->times < 0)
        *v = floor_div(*v, -f->times);
    else if (__builtin_mul_overflow(*v, f->times, v))
        return damaged(w, f, "a time lies beyond what 64 bits of milliseconds can say");
    return 0;
}

static int leaf_at(Walk *w, const ArColumn *c, int64_t i, Json **out)
{
    const ArField *f = c->field;
    PqValue        v = { 0 };
    char           turned[32];
    int64_t        from, to;
    float          single;
    int            rc = 0;
    switch (f->layout) {
    case AR_BOOL:
        v.i = c->data.p[i / 8] >> (i % 8) & 1;
        break;
    case AR_BYTES:
    case AR_LARGE_BYTES:
        if (!(rc = range_at(w, c, i, (int64_t)c->data.n, &from, &to)))
            v.s = (Str){ c->data.p + from, (size_t)(to - from) };
        break;
    case AR_VIEW:
        rc = view_at(w, c, i, &v.s);
        break;
    default:
        v.s = (Str){ c->data.p + (size_t)i * (size_t)f->width, (size_t)f->width };
        if (f->real && f->width == 4) {
            memcpy(&single, v.s.p, sizeof single);
            v.d = (double)single;
        } else if (f->real) {
            memcpy(&v.d, v.s.p, sizeof v.d);
        } else if (f->leaf.logical.kind == PQ_L_DECIMAL) { /* low byte first here */
            for (int32_t k = 0; k < f->width; k++)
                turned[k] = v.s.p[f->width - 1 - k];
            v.s.p = turned;
        } else if (f->leaf.type != PQ_FIXED) {
            v.i = int_at(c->data, i, f->width, f->is_signed);
            rc = scaled(w, f, &v.i);
        }
    }
    if (!rc && v.s.n)
        rc = charge(w, f, v.s.n);
    if (rc)
        return rc;
    return f->leaf.kind->json(&f->leaf, &v, out, w->e) ? in_column(w, f) : 0;
}

/* ---- nesting -------------------------------------------------------------------------------------------------------------------------------------------- */

static int value_at(Walk *w, const ArColumn *c, int64_t i, Json **out);

static int struct_at(Walk *w, const ArColumn *c, int64_t i, Json **out)
{
    Json *obj = json_obj_new();
    int   rc = 0;
    for (size_t k = 0; k < c->field->n_child && !rc; k++) {
        Json *value = NULL;
        rc = charge(w, &c->field->child[k], strlen(c->field->child[k].name));
        if (!rc)
            rc = value_at(w, &c->child[k], i, &value);
        if (!rc)
            json_set(obj, c->field->child[k].name, value);
    }
    if (rc) {
        json_free(obj);
        obj = NULL;
    }
    *out = obj;
    return rc;
}

static int list_at(Walk *w, const ArColumn *c, int64_t i, Json **out)
{
    const ArField *f = c->field;
    int64_t        from = i * (int64_t)f->width, to = from + f->width;
    int            rc = f->layout == AR_FIXED_LIST ? 0 : range_at(w, c, i, c->child[0].length, &from, &to);
    Json          *list = json_arr_new();
    for (; from < to && !rc; from++) {
        Json *item = NULL;
        rc = value_at(w, &c->child[0], from, &item);
        if (!rc)
            json_push(list, item);
    }
    if (rc) {
        json_free(list);
        list = NULL;
    }
    *out = list;
    return rc;
}

/* Entries with text keys to an object, others to a list of pairs: as parquet.h says. Of keys that come twice the last counts. */
static int map_at(Walk *w, const ArColumn *c, int64_t i, Json **out)
{
    const ArColumn *entries = &c->child[0];
    const bool      text = entries->field->child[0].layout >= AR_BYTES && entries->field->child[0].layout <= AR_VIEW;
    int64_t         from = 0, to = 0;
    int             rc = range_at(w, c, i, entries->length, &from, &to);
    Json           *all = text ? json_obj_new() : json_arr_new();
    for (; from < to && !rc; from++) {
        Json *key = NULL, *value = NULL;
        if ((rc = value_at(w, &entries->child[0], from, &key)) || (rc = value_at(w, &entries->child[1], from, &value))) {
            json_free(key);
            break;
        }
        Str k = json_str(key);
        if (!text) {
            Json *pair = json_obj_new();
            json_set(pair, "key", key);
            json_set(pair, "value", value);
            json_push(all, pair);
            continue;
        }
        if (!k.p || memchr(k.p, 0, k.n)) {
            err_set(w->e, ERR_INPUT, "the key of a map is %s; it must be text without zero bytes", k.p ? "text with a zero byte" : json_kind_name(key));
            rc = in_column(w, c->field);
            json_free(value);
        } else {
            json_set(all, k.p, value);
        }
        json_free(key);
    }
    if (rc) {
        json_free(all);
        all = NULL;
    }
    *out = all;
    return rc;
}

static int coded_at(Walk *w, const ArColumn *c, int64_t i, Json **out)
{
    int64_t at = int_at(c->data, i, c->field->index_width, c->field->index_signed);
    for (size_t p = 0; p < c->dictionary.n && at >= 0; at -= c->dictionary.part[p++]->length)
        if (at < c->dictionary.part[p]->length)
            return value_at(w, c->dictionary.part[p], at, out);
    return damaged(w, c->field, "an index lies outside of its dictionary");
}

/* A dictionary's own column has the field of the column that it codes, and no dictionary. */
static int value_at(Walk *w, const ArColumn *c, int64_t i, Json **out)
{
    *out = NULL;
    if (i >= c->length)
        return damaged(w, c->field, "a value is missing");
    int rc = charge(w, c->field, 0);
    if (rc)
        return rc;
    if (c->field->layout == AR_NULL || (c->valid && !(c->valid[i / 8] >> (i % 8) & 1))) {
        *out = json_null_new();
        return 0;
    }
    if (c->dictionary.n)
        return coded_at(w, c, i, out);
    switch (c->field->layout) {
    case AR_STRUCT: return struct_at(w, c, i, out);
    case AR_MAP:    return map_at(w, c, i, out);
    case AR_LIST:
    case AR_LARGE_LIST:
    case AR_FIXED_LIST: return list_at(w, c, i, out);
    default:        return leaf_at(w, c, i, out);
    }
}

int arrow_row(const ArrowBatch *b, int64_t row, Json **out, Err *e)
{
    BUG_ON(row < 0 || row >= b->rows);
    Walk w = { b, MIN(b->f->group_max, PARQUET_ROW_BYTES_MAX), e };
    int  rc = struct_at(&w, &b->root, row, out);
    return rc ? err_wrap(e, "%s, row %" PRId64, b->f->path, b->first + row + 1) : 0;
}
