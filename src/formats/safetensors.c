/* safetensors.c - reads safetensors files: one, or the shards of an index behind one face. Nothing is copied: tensors point into the mapping.
 * The main struct is StFile: its shards (mapping and metadata each), the tensors of all shards in file order, and a map from name to tensor.
 * Everything in such a file comes from a stranger. So the header is checked as a whole before StFile is given out, in three steps:
 * find_header bounds it, read_tensor checks each entry by itself, place_tensors checks that the entries together cover the data exactly.
 * Invariant of an open StFile: every tensor's bytes lie inside its shard's mapping, names are unique and printable.
 * Shapes with more than ST_RANK_MAX dimensions and names with control characters are refused although the format allows them: no model has
 * them, and terminals and fixed arrays are safer without.
 *
 * To add a number format of the file format: a row in items[]. The writer is in safetensors_write.c. */
#include "formats/safetensors.h"

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "base/map.h"
#include "base/vec.h"
#include "formats/stranger.h"

#include <inttypes.h>
#include <stdio.h>

typedef struct StShard {
    char   *path;
    FileMap map;               /* p NULL when the bytes are the caller's */
    Json   *meta;              /* __metadata__, an object of strings, or NULL */
} StShard;

struct StFile {
    VEC(StShard)  shard;
    VEC(StTensor) tensor;      /* in file order, shard after shard */
    VEC(size_t)   owner;       /* [tensor.n] number of the shard that holds the tensor */
    Map          *index;       /* name -> number of the tensor */
    Arena         names;       /* the text behind StTensor.name */
};

/* A header entry that is right by itself, not yet known to fit its neighbours. begin, end: bytes from the start of the data. */
typedef struct StSpan { StTensor t; size_t begin, end, order; } StSpan;
typedef VEC(StSpan) StSpans;

/* Every number format of the file format; in bits, because the small floats pack several into a byte. */
static const struct { const char *name; int64_t bits; } items[] = {
    { "F4", 4 },         { "F6_E2M3", 6 },     { "F6_E3M2", 6 },
    { "BOOL", 8 },       { "U8", 8 },          { "I8", 8 },          { "F8_E5M2", 8 },
    { "F8_E4M3", 8 },    { "F8_E8M0", 8 },     { "F8_E4M3FNUZ", 8 }, { "F8_E5M2FNUZ", 8 },
    { "I16", 16 },       { "U16", 16 },        { "F16", 16 },        { "BF16", 16 },
    { "I32", 32 },       { "U32", 32 },        { "F32", 32 },
    { "I64", 64 },       { "U64", 64 },        { "F64", 64 },        { "C64", 64 },
};

/* ---- One entry of the header ---- */

static int64_t item_bits(Str name)
{
    for (size_t i = 0; i < ARRAY_LEN(items); i++)
        if (str_eqz(name, items[i].name))
            return items[i].bits;
    return 0;
}

static bool is_kind(const Json *j, JsonKind kind)
{
    return j && json_kind(j) == kind;
}

/* A whole number >= 0, or -1. */
static int64_t natural(const Json *j)
{
    return is_kind(j, JSON_INT) && json_int(j) >= 0 ? json_int(j) : -1;
}

static int read_dtype(StTensor *t, int64_t *bits, const Json *entry, Err *e)
{
    Str text = json_str(json_get(entry, "dtype"));
    if (!text.p)
        return err_set(e, ERR_INPUT, "\"dtype\" must be a string, it is %s", json_kind_name(json_get(entry, "dtype")));
    *bits = item_bits(text);
    if (!*bits)
        return err_set(e, ERR_INPUT, "the dtype \"%s\" is not one of the safetensors format (F32, F16, BF16, ...)", shown(text).text);
    BUG_ON(text.n >= sizeof t->dtype_text);
    memcpy(t->dtype_text, text.p, text.n);     /* the struct is zeroed: terminated */
    t->known = dtype_find(text, &t->dtype);
    return 0;
}

static int read_shape(StTensor *t, const Json *entry, Err *e)
{
    const Json *shape = json_get(entry, "shape");
    if (!is_kind(shape, JSON_ARRAY))
        return err_set(e, ERR_INPUT, "\"shape\" must be a list of whole numbers, it is %s", json_kind_name(shape));
    if (json_len(shape) > ST_RANK_MAX)
        return err_set(e, ERR_INPUT, "it has %zu dimensions, hone reads at most %d", json_len(shape), ST_RANK_MAX);
    t->count = 1;
    for (size_t i = 0; i < json_len(shape); i++) {
        int64_t dim = natural(json_at(shape, i));
        if (dim < 0)
            return err_set(e, ERR_INPUT, "number %zu of its \"shape\" must be a whole number of at least 0", i + 1);
        if (__builtin_mul_overflow(t->count, dim, &t->count))
            return err_set(e, ERR_INPUT, "the product of its \"shape\" does not fit in 64 bits");
        t->dim[t->rank++] = dim;
    }
    return 0;
}

static int read_span(StSpan *s, const Json *entry, size_t data_n, int64_t bits, Err *e)
{
    const Json *offsets = json_get(entry, "data_offsets");
    int64_t begin = natural(json_at(offsets, 0)), end = natural(json_at(offsets, 1)), total;
    if (!is_kind(offsets, JSON_ARRAY) || json_len(offsets) != 2 || begin < 0 || end < 0)
        return err_set(e, ERR_INPUT, "\"data_offsets\" must be a list of two whole numbers, begin and end");
    if (begin > end)
        return err_set(e, ERR_INPUT, "its data ends at byte %" PRId64 ", before it begins at byte %" PRId64, end, begin);
    if (__builtin_mul_overflow(s->t.count, bits, &total) || total % 8)
        return err_set(e, ERR_INPUT, "its shape and its dtype %s do not make a whole number of bytes that fits in 64 bits", s->t.dtype_text);
    if (total / 8 != end - begin)
        return err_set(e, ERR_INPUT, "its shape and its dtype %s need %" PRId64 " bytes, its data_offsets span %" PRId64,
                       s->t.dtype_text, total / 8, end - begin);
    if ((uint64_t)end > data_n)
        return err_set(e, ERR_INPUT, "its data ends at byte %" PRId64 " but the file holds only %zu bytes of data; the file was cut off, "
                       "download or copy it again", end, data_n);
    s->begin = (size_t)begin;
    s->end = (size_t)end;
    s->t.nbytes = s->end - s->begin;
    return 0;
}

static int read_tensor(StSpan *s, StFile *f, Str name, const Json *entry, size_t data_n, Err *e)
{
    int64_t bits = 0;
    int rc = 0;
    if (name.n > ST_NAME_MAX)
        rc = err_set(e, ERR_INPUT, "the name has %zu bytes, at most %d are allowed", name.n, ST_NAME_MAX);
    else if (!is_printable(name))
        rc = err_set(e, ERR_INPUT, "the name holds control characters");
    else if (!is_kind(entry, JSON_OBJECT))
        rc = err_set(e, ERR_INPUT, "its entry must be an object with dtype, shape and data_offsets, it is %s", json_kind_name(entry));
    if (!rc)
        rc = read_dtype(&s->t, &bits, entry, e);
    if (!rc)
        rc = read_shape(&s->t, entry, e);
    if (!rc)
        rc = read_span(s, entry, data_n, bits, e);
    if (rc) {
        err_wrap(e, "tensor \"%s\"", shown(name).text);
        return rc;
    }
    char *copy = arena_alloc(&f->names, name.n + 1);
    memcpy(copy, name.p, name.n);
    copy[name.n] = '\0';
    s->t.name = copy;
    return 0;
}

static int read_metadata(StShard *shard, Json *meta, Err *e)
{
    JsonIter it = {0};
    Str key;
    Json *value;
    if (!is_kind(meta, JSON_OBJECT))
        return err_set(e, ERR_INPUT, "__metadata__ must be an object of strings, it is %s", json_kind_name(meta));
    while (json_each(meta, &it, &key, &value))
        if (!is_kind(value, JSON_STRING))
            return err_set(e, ERR_INPUT, "__metadata__: \"%s\" must be a string, it is %s", shown(key).text, json_kind_name(value));
    shard->meta = json_ref(meta);
    return 0;
}

/* ---- One file ---- */

/* The JSON text of the header, without believing a word of it. */
static int find_header(Str *text, const uint8_t *p, size_t n, Err *e)
{
    uint64_t len = 0;
    if (refuse_lfs_pointer(p, n, e))
        return ERR_INPUT;
    if (n < 8)
        return err_set(e, ERR_INPUT, "the file has %zu bytes, a safetensors file starts with 8 bytes that say how long its header is", n);
    for (int i = 7; i >= 0; i--)
        len = len << 8 | p[i];
    if (len > ST_HEADER_MAX)
        return err_set(e, ERR_INPUT, "the header claims %" PRIu64 " bytes, the format allows at most %u; this is not a safetensors file, "
                       "or a damaged one", len, ST_HEADER_MAX);
    if (len > n - 8)
        return err_set(e, ERR_INPUT, "the header claims %" PRIu64 " bytes but only %zu follow; the file was cut off, download or copy it "
                       "again", len, n - 8);
    *text = (Str){ (const char *)p + 8, (size_t)len };
    if (!str_starts(*text, "{"))
        return err_set(e, ERR_INPUT, "the header must start with \"{\"; this is not a safetensors file, or a damaged one");
    return 0;
}

static int span_order(const void *a, const void *b)
{
    const StSpan *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end)      /* an empty tensor stands before the one that starts at the same byte */
        return x->end < y->end ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* Sorts the entries by place, checks that they cover the data without hole or overlap, and hands them to f. */
static int place_tensors(StFile *f, size_t shard, StSpans *spans, const uint8_t *data, size_t data_n, Err *e)
{
    size_t end = 0;
    if (spans->n)
        qsort(spans->p, spans->n, sizeof *spans->p, span_order);
    for (size_t i = 0; i < spans->n; i++) {
        StSpan *s = &spans->p[i];
        if (s->begin != end)
            return err_set(e, ERR_INPUT, "tensor \"%s\": its data begins at byte %zu, %s at byte %zu; tensors must follow each other without %s",
                           shown(str_of(s->t.name)).text, s->begin, i ? "the tensor before it ends" : "the first must begin", end,
                           s->begin < end ? "overlap" : "gap");
        int64_t other;
        if (map_get(f->index, str_of(s->t.name), &other))
            return err_set(e, ERR_INPUT, "tensor \"%s\" is also in %s; a name may appear only once", shown(str_of(s->t.name)).text,
                           f->shard.p[f->owner.p[other]].path);
        end = s->end;
        s->t.data = data + s->begin;
        map_put(f->index, str_of(s->t.name), (int64_t)f->tensor.n);
        *vec_push(&f->tensor) = s->t;
        *vec_push(&f->owner) = shard;
    }
    if (end != data_n)
        return err_set(e, ERR_INPUT, "the tensors end at byte %zu of the data but the file holds %zu bytes; nothing may follow the last tensor",
                       end, data_n);
    return 0;
}

static int read_shard(StFile *f, size_t shard, const uint8_t *p, size_t n, Err *e)
{
    Str text = {0};
    Json *header = NULL;
    StSpans spans = {0};
    JsonIter it = {0};
    Str key;
    Json *value;
    int rc = find_header(&text, p, n, e);
    if (!rc)
        rc = json_parse(&header, text, "header", e);
    if (rc)
        goto done;
    const uint8_t *data = p + 8 + text.n;
    size_t data_n = n - 8 - text.n;
    while (!rc && json_each(header, &it, &key, &value)) {
        if (str_eqz(key, "__metadata__")) {
            rc = read_metadata(&f->shard.p[shard], value, e);
        } else {
            StSpan *s = vec_push(&spans);
            s->order = spans.n;
            rc = read_tensor(s, f, key, value, data_n, e);
        }
    }
    if (!rc)
        rc = place_tensors(f, shard, &spans, data, data_n, e);
done:
    if (rc)
        err_wrap(e, "%s", f->shard.p[shard].path);
    vec_release(&spans);
    json_free(header);
    return rc;
}

static int open_shard(StFile *f, const char *path, Err *e)
{
    StShard *s = vec_push(&f->shard);
    s->path = mem_strdup(path);
    int rc = file_map(&s->map, path, e);
    return rc ? rc : read_shard(f, f->shard.n - 1, s->map.p, s->map.n, e);
}

static StFile *file_new(void)
{
    StFile *f = mem_zalloc(1, sizeof *f);
    f->index = map_new();
    return f;
}

static int give_out(StFile **out, StFile *f, int rc)
{
    if (rc) {
        st_close(f);
        f = NULL;
    }
    *out = f;
    return rc;
}

int st_open(StFile **out, const char *path, Err *e)
{
    StFile *f = file_new();
    return give_out(out, f, open_shard(f, path, e));
}

int st_open_memory(StFile **out, const void *p, size_t n, const char *name, Err *e)
{
    StFile *f = file_new();
    vec_push(&f->shard)->path = mem_strdup(name);
    return give_out(out, f, read_shard(f, 0, p, n, e));
}

void st_close(StFile *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->shard.n; i++) {
        StShard *s = &f->shard.p[i];
        free(s->path);
        file_unmap(&s->map);
        json_free(s->meta);
    }
    vec_release(&f->shard);
    vec_release(&f->tensor);
    vec_release(&f->owner);
    map_free(f->index);
    arena_release(&f->names);
    free(f);
}

/* ---- The shards of an index ---- */

typedef VEC(Str) Names;

static int str_order(const void *a, const void *b)
{
    const Str *x = a, *y = b;
    int c = memcmp(x->p, y->p, MIN(x->n, y->n));
    return c ? c : (x->n > y->n) - (x->n < y->n);
}

/* A file of the index's own folder: an index must not make hone read anywhere else. */
static bool is_plain_name(Str s)
{
    return s.n > 0 && s.n < 256 && !memchr(s.p, '/', s.n) && !memchr(s.p, '\\', s.n) && !str_eqz(s, ".") && !str_eqz(s, "..") && is_printable(s);
}

/* The shards that weight_map names, each once, sorted. The texts belong to weight_map. */
static int list_shards(Names *names, const Json *weight_map, Err *e)
{
    Map *seen = map_new();
    JsonIter it = {0};
    Str tensor;
    Json *value;
    int rc = 0;
    if (!is_kind(weight_map, JSON_OBJECT) || !json_len(weight_map))
        rc = err_set(e, ERR_INPUT, "\"weight_map\" must be an object that says for each tensor which file holds it, it is %s",
                     is_kind(weight_map, JSON_OBJECT) ? "empty" : json_kind_name(weight_map));
    while (!rc && json_each(weight_map, &it, &tensor, &value)) {
        Str name = json_str(value);
        if (!is_kind(value, JSON_STRING))
            rc = err_set(e, ERR_INPUT, "weight_map: the file of tensor \"%s\" must be a string, it is %s", shown(tensor).text,
                         json_kind_name(value));
        else if (!is_plain_name(name))
            rc = err_set(e, ERR_INPUT, "weight_map: the file of tensor \"%s\" is \"%s\"; expected the plain name of a file in the same folder",
                         shown(tensor).text, shown(name).text);
        else if (map_put(seen, name, 0))
            *vec_push(names) = name;
        if (names->n > ST_SHARDS_MAX)
            rc = err_set(e, ERR_INPUT, "weight_map names more than %d files", ST_SHARDS_MAX);
    }
    if (!rc)
        qsort(names->p, names->n, sizeof *names->p, str_order);
    map_free(seen);
    return rc;
}

/* Each tensor that weight_map names lies where it says. */
static int check_mapped(const StFile *f, const Json *weight_map, Err *e)
{
    JsonIter it = {0};
    Str tensor;
    Json *value;
    while (json_each(weight_map, &it, &tensor, &value)) {
        Str want = json_str(value);
        int64_t i;
        if (!map_get(f->index, tensor, &i))
            return err_set(e, ERR_INPUT, "weight_map says that tensor \"%s\" is in %s, but no such tensor is there", shown(tensor).text,
                           shown(want).text);
        const char *have = path_base(f->shard.p[f->owner.p[i]].path);
        if (!str_eqz(want, have))
            return err_set(e, ERR_INPUT, "weight_map says that tensor \"%s\" is in %s, but it is in %s", shown(tensor).text, shown(want).text, have);
    }
    return 0;
}

/* No shard holds a tensor that weight_map leaves out. */
static int check_unlisted(const StFile *f, const Json *weight_map, Err *e)
{
    StrBuf some = {0};
    size_t n = 0;
    for (size_t i = 0; i < f->tensor.n; i++) {
        const char *name = f->tensor.p[i].name;
        if (json_get(weight_map, name))
            continue;
        if (n++ < 3)
            strbuf_addf(&some, "%s\"%s\" in %s", n > 1 ? ", " : "", shown(str_of(name)).text, path_base(f->shard.p[f->owner.p[i]].path));
    }
    int rc = n ? err_set(e, ERR_INPUT, "the shards hold %zu tensor%s that weight_map does not list: %s%s", n, n > 1 ? "s" : "", strbuf_z(&some),
                         n > 3 ? ", ..." : "") : 0;
    strbuf_release(&some);
    return rc;
}

static int open_shards(StFile *f, const char *index_path, const Json *weight_map, Err *e)
{
    Names names = {0};
    StrBuf path = {0};
    int rc = list_shards(&names, weight_map, e);
    if (rc)
        err_wrap(e, "%s", index_path);
    for (size_t i = 0; !rc && i < names.n; i++) {
        strbuf_clear(&path);
        strbuf_add(&path, index_path, (size_t)(path_base(index_path) - index_path));
        strbuf_add(&path, names.p[i].p, names.p[i].n);
        if (file_exists(strbuf_z(&path)))
            rc = open_shard(f, strbuf_z(&path), e);
        else
            rc = err_set(e, ERR_INPUT, "%s: the file %s, one of %zu that it names, is missing; download or copy it into the same folder", index_path,
                         strbuf_z(&path), names.n);
    }
    strbuf_release(&path);
    vec_release(&names);
    return rc;
}

int st_open_index(StFile **out, const char *index_json_path, Err *e)
{
    StFile *f = file_new();
    Json *index = NULL;
    uint64_t size = 0;
    int rc = file_size(index_json_path, &size, e);
    if (!rc && size > ST_HEADER_MAX)
        rc = err_set(e, ERR_INPUT, "%s: the index has %" PRIu64 " bytes, at most %u are allowed", index_json_path, size, ST_HEADER_MAX);
    if (!rc)
        rc = json_read_file(&index, index_json_path, e);
    if (rc)
        goto done;
    const Json *weight_map = json_get(index, "weight_map");
    rc = open_shards(f, index_json_path, weight_map, e);
    if (rc)
        goto done;
    rc = check_mapped(f, weight_map, e);
    if (!rc)
        rc = check_unlisted(f, weight_map, e);
    if (rc)
        err_wrap(e, "%s", index_json_path);
done:
    json_free(index);
    return give_out(out, f, rc);
}

/* ---- Looking at an open file ---- */

size_t st_count(const StFile *f)
{
    return f->tensor.n;
}

const StTensor *st_at(const StFile *f, size_t i)
{
    BUG_ON(i >= f->tensor.n);
    return &f->tensor.p[i];
}

const StTensor *st_find(const StFile *f, const char *name)
{
    int64_t i;
    return map_get(f->index, str_of(name), &i) ? &f->tensor.p[i] : NULL;
}

Str st_metadata(const StFile *f, const char *key)
{
    for (size_t i = 0; i < f->shard.n; i++) {
        Str value = json_str(json_get(f->shard.p[i].meta, key));
        if (value.p)
            return value;
    }
    return (Str){0};
}

const char *st_where(const StFile *f, const StTensor *t)
{
    int64_t i = 0;
    BUG_ON(!map_get(f->index, str_of(t->name), &i));
    return f->shard.p[f->owner.p[i]].path;
}
