/* gguf_meta.c - metadata of GGUF files: reads the values of one file, checks them, and converts them for whoever asks.
 * Everything here comes from a stranger: a length is believed when the remaining bytes hold it, and only then is memory taken for it.
 * Invariant of a GgufMeta: raw lies inside the file, a bool is 0 or 1, array.at holds a place for each string.
 *
 * To add a kind of value: a row in kinds[], and its case in int_of and num_of. */
#include "formats/gguf_int.h"

#include "formats/stranger.h"

#include <inttypes.h>
#include <math.h>

static const struct { const char *name; size_t size; bool integer; } kinds[GGUF_KINDS] = {
    [GGUF_U8]   = { "u8",     1, true  }, [GGUF_I8]  = { "i8",  1, true  }, [GGUF_U16]   = { "u16",   2, true  }, [GGUF_I16] = { "i16", 2, true  },
    [GGUF_U32]  = { "u32",    4, true  }, [GGUF_I32] = { "i32", 4, true  }, [GGUF_F32]   = { "f32",   4, false }, [GGUF_U64] = { "u64", 8, false },
    [GGUF_BOOL] = { "bool",   1, true  }, [GGUF_I64] = { "i64", 8, true  }, [GGUF_F64]   = { "f64",   8, false },
    [GGUF_STR]  = { "string", 0, false }, [GGUF_ARRAY] = { "array", 0, false },
};

const char *gguf_kind_name(GgufKind kind)
{
    BUG_ON((unsigned)kind >= GGUF_KINDS);
    return kinds[kind].name;
}

size_t gguf_kind_size(GgufKind kind)
{
    return kinds[kind].size;
}

uint64_t gguf_le(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = n; i-- > 0; )
        v = v << 8 | p[i];
    return v;
}

/* ---- Numbers ---- */

static float f32_at(const uint8_t *p)
{
    uint32_t u = (uint32_t)gguf_le(p, 4);
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static double f64_at(const uint8_t *p)
{
    uint64_t u = gguf_le(p, 8);
    double d;
    memcpy(&d, &u, sizeof d);
    return d;
}

/* kind: a number or bool. */
static double num_of(GgufKind kind, const uint8_t *p)
{
    uint64_t u = gguf_le(p, kinds[kind].size);
    switch (kind) {
    case GGUF_F32: return (double)f32_at(p);
    case GGUF_F64: return f64_at(p);
    case GGUF_I8:  return (double)(int8_t)u;
    case GGUF_I16: return (double)(int16_t)u;
    case GGUF_I32: return (double)(int32_t)u;
    case GGUF_I64: return (double)(int64_t)u;
    default:       return (double)u;
    }
}

/* false: not a whole number, or too large; *v stays. */
static bool int_of(GgufKind kind, const uint8_t *p, int64_t *v)
{
    uint64_t u = gguf_le(p, kinds[kind].size);
    double d;
    switch (kind) {
    case GGUF_F32:
    case GGUF_F64:
        d = num_of(kind, p);
        if (!(fabs(d) <= 0x1p53) || d != nearbyint(d))
            return false;
        *v = (int64_t)d;
        return true;
    case GGUF_I8:  *v = (int8_t)u;  return true;
    case GGUF_I16: *v = (int16_t)u; return true;
    case GGUF_I32: *v = (int32_t)u; return true;
    default:
        if (kind != GGUF_I64 && u > INT64_MAX)
            return false;
        *v = (int64_t)u;
        return true;
    }
}

/* ---- Reading ---- */

typedef struct Reader { const uint8_t *p; size_t n, at; } Reader;

static int cut_off(const Reader *r, const char *what, uint64_t need, Err *e)
{
    return err_set(e, ERR_INPUT, "%s needs %" PRIu64 " bytes at byte %zu but only %zu follow; the file was cut off or damaged, download or copy it "
                   "again", what, need, r->at, r->n - r->at);
}

static int read_le(Reader *r, size_t size, const char *what, uint64_t *v, Err *e)
{
    if (size > r->n - r->at)
        return cut_off(r, what, size, e);
    *v = gguf_le(r->p + r->at, size);
    r->at += size;
    return 0;
}

static int read_text(Reader *r, const char *what, Str *text, Err *e)
{
    uint64_t len = 0;
    int rc = read_le(r, 8, what, &len, e);
    if (rc)
        return rc;
    if (len > r->n - r->at)
        return cut_off(r, what, len, e);
    *text = (Str){ (const char *)r->p + r->at, (size_t)len };
    r->at += (size_t)len;
    return 0;
}

static int read_kind(Reader *r, GgufKind *kind, Err *e)
{
    uint64_t id = 0;
    int rc = read_le(r, 4, "the kind of the value", &id, e);
    if (!rc && id >= GGUF_KINDS)
        rc = err_set(e, ERR_INPUT, "the value is of kind %" PRIu64 ", the format has kinds 0 (u8) to %d (f64)", id, GGUF_KINDS - 1);
    *kind = (GgufKind)id;
    return rc;
}

/* count values of a kind of fixed size. */
static int read_plain(Reader *r, GgufKind kind, uint64_t count, Err *e)
{
    size_t size = kinds[kind].size;
    if (count > (r->n - r->at) / size)
        return err_set(e, ERR_INPUT, "%" PRIu64 " values of kind %s cannot follow, only %zu bytes do; the file was cut off or damaged, download or "
                       "copy it again", count, kinds[kind].name, r->n - r->at);
    for (size_t i = 0; kind == GGUF_BOOL && i < count; i++)
        if (r->p[r->at + i] > 1)
            return err_set(e, ERR_INPUT, "a bool must be 0 or 1, it is %u", r->p[r->at + i]);
    r->at += (size_t)count * size;
    return 0;
}

static int read_array(Gguf *g, Reader *r, GgufArray *a, Err *e)
{
    uint64_t count = 0;
    int rc = read_kind(r, &a->kind, e);
    if (!rc)
        rc = read_le(r, 8, "the length of the array", &count, e);
    if (rc)
        return rc;
    if (a->kind == GGUF_ARRAY)
        return err_set(e, ERR_INPUT, "the value is an array of arrays, which hone does not read; no model file of llama.cpp has one");
    a->n = (size_t)count;
    a->data = r->p + r->at;
    if (a->kind != GGUF_STR)
        return read_plain(r, a->kind, count, e);
    if (count > (r->n - r->at) / 8)            /* a string takes 8 bytes at least: the table below is never larger than the file */
        return err_set(e, ERR_INPUT, "%" PRIu64 " strings cannot follow, only %zu bytes do; the file was cut off or damaged, download or copy it "
                       "again", count, r->n - r->at);
    uint64_t *at = count ? arena_alloc(&g->arena, (size_t)count * sizeof *at) : NULL;
    for (size_t i = 0; !rc && i < count; i++) {
        Str text = {0};
        rc = read_text(r, "a string of the array", &text, e);
        if (!rc)
            at[i] = (uint64_t)((const uint8_t *)text.p - a->data);
    }
    a->at = at;
    return rc;
}

static int read_value(Gguf *g, Reader *r, GgufMeta *m, Err *e)
{
    Str text;
    int rc = read_kind(r, &m->kind, e);
    if (rc)
        return rc;
    size_t begin = r->at;
    if (m->kind == GGUF_ARRAY)
        rc = read_array(g, r, &m->array, e);
    else if (m->kind == GGUF_STR)
        rc = read_text(r, "the text", &text, e);
    else
        rc = read_plain(r, m->kind, 1, e);
    m->raw = (Str){ (const char *)r->p + begin, r->at - begin };
    m->array.key = m->key.p;
    return rc;
}

static int read_key(Gguf *g, GgufShard *s, Reader *r, Str *key, Err *e)
{
    Str text = {0};
    int rc = read_text(r, "the key", &text, e);
    if (rc)
        return rc;
    if (!text.n || text.n > GGUF_KEY_MAX || !is_printable(text))
        return err_set(e, ERR_INPUT, "the key \"%s\" has %zu bytes; expected 1 to %d bytes of UTF-8 without control characters", shown(text).text,
                       text.n, GGUF_KEY_MAX);
    if (!map_put(s->keys, text, (int64_t)s->meta.n))
        return err_set(e, ERR_INPUT, "the key \"%s\" stands there twice", shown(text).text);
    char *copy = arena_alloc(&g->arena, text.n + 1);
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    *key = (Str){ copy, text.n };
    return 0;
}

int gguf_read_meta(Gguf *g, GgufShard *s, uint64_t count, const uint8_t *p, size_t n, size_t *at, Err *e)
{
    Reader r = { p, n, *at };
    int rc = 0;
    for (uint64_t i = 0; !rc && i < count; i++) {
        Str key = {0};
        rc = read_key(g, s, &r, &key, e);
        if (rc) {
            err_wrap(e, "metadata value %" PRIu64 " of %" PRIu64, i + 1, count);
            break;
        }
        GgufMeta *m = vec_push(&s->meta);
        m->key = key;
        rc = read_value(g, &r, m, e);
        if (rc)
            err_wrap(e, "metadata value \"%s\"", shown(key).text);
    }
    *at = r.at;
    return rc;
}

/* ---- Asking ---- */

static const GgufMeta *find_in(const GgufShard *s, const char *key)
{
    int64_t i;
    return map_get(s->keys, str_of(key), &i) ? &s->meta.p[i] : NULL;
}

static const GgufMeta *find(const Gguf *g, const char *key)
{
    return find_in(&g->shard.p[0], key);
}

size_t gguf_meta_count(const Gguf *g)
{
    return g->shard.p[0].meta.n;
}

Str gguf_meta_key(const Gguf *g, size_t i)
{
    BUG_ON(i >= gguf_meta_count(g));
    return g->shard.p[0].meta.p[i].key;
}

bool gguf_has(const Gguf *g, const char *key)
{
    return find(g, key) != NULL;
}

bool gguf_kind(const Gguf *g, const char *key, GgufKind *kind)
{
    const GgufMeta *m = find(g, key);
    if (m)
        *kind = m->kind;
    return m != NULL;
}

static bool is_number(const GgufMeta *m)
{
    return kinds[m->kind].size && m->kind != GGUF_BOOL;
}

static int need(const Gguf *g, const char *key, const GgufMeta **m, Err *e)
{
    *m = find(g, key);
    return *m ? 0 : err_set(e, ERR_INPUT, "%s: the metadata value \"%s\" is missing", g->shard.p[0].path, shown(str_of(key)).text);
}

static int wrong_kind(const GgufShard *s, const GgufMeta *m, const char *want, Err *e)
{
    return err_set(e, ERR_INPUT, "%s: the metadata value \"%s\" must be %s, it is of kind %s", s->path, shown(m->key).text, want,
                   kinds[m->kind].name);
}

static int meta_int(const GgufShard *s, const GgufMeta *m, int64_t *v, Err *e)
{
    if (!is_number(m))
        return wrong_kind(s, m, "a whole number", e);
    if (!int_of(m->kind, (const uint8_t *)m->raw.p, v))
        return err_set(e, ERR_INPUT, "%s: the metadata value \"%s\" must be a whole number that fits in 64 bits, it is %g", s->path,
                       shown(m->key).text, num_of(m->kind, (const uint8_t *)m->raw.p));
    return 0;
}

int gguf_shard_int(const GgufShard *s, const char *key, int64_t *v, Err *e)
{
    const GgufMeta *m = find_in(s, key);
    return m ? meta_int(s, m, v, e) : 0;
}

int gguf_need_int(const Gguf *g, const char *key, int64_t *v, Err *e)
{
    const GgufMeta *m;
    int rc = need(g, key, &m, e);
    return rc ? rc : meta_int(&g->shard.p[0], m, v, e);
}

int gguf_need_num(const Gguf *g, const char *key, double *v, Err *e)
{
    const GgufMeta *m;
    int rc = need(g, key, &m, e);
    if (!rc && !is_number(m))
        rc = wrong_kind(&g->shard.p[0], m, "a number", e);
    if (!rc)
        *v = num_of(m->kind, (const uint8_t *)m->raw.p);
    return rc;
}

int gguf_need_bool(const Gguf *g, const char *key, bool *v, Err *e)
{
    const GgufMeta *m;
    int rc = need(g, key, &m, e);
    if (!rc && m->kind != GGUF_BOOL)
        rc = wrong_kind(&g->shard.p[0], m, "true or false", e);
    if (!rc)
        *v = m->raw.p[0] != 0;
    return rc;
}

int gguf_need_str(const Gguf *g, const char *key, Str *v, Err *e)
{
    const GgufMeta *m;
    int rc = need(g, key, &m, e);
    if (!rc && m->kind != GGUF_STR)
        rc = wrong_kind(&g->shard.p[0], m, "a string", e);
    if (!rc)
        *v = (Str){ m->raw.p + 8, m->raw.n - 8 };
    return rc;
}

int gguf_need_array(const Gguf *g, const char *key, GgufArray *v, Err *e)
{
    const GgufMeta *m;
    int rc = need(g, key, &m, e);
    if (!rc && m->kind != GGUF_ARRAY)
        rc = wrong_kind(&g->shard.p[0], m, "an array", e);
    if (!rc)
        *v = m->array;
    return rc;
}

int gguf_opt_int(const Gguf *g, const char *key, int64_t *v, Err *e)     { return gguf_has(g, key) ? gguf_need_int(g, key, v, e) : 0; }
int gguf_opt_num(const Gguf *g, const char *key, double *v, Err *e)      { return gguf_has(g, key) ? gguf_need_num(g, key, v, e) : 0; }
int gguf_opt_bool(const Gguf *g, const char *key, bool *v, Err *e)       { return gguf_has(g, key) ? gguf_need_bool(g, key, v, e) : 0; }
int gguf_opt_str(const Gguf *g, const char *key, Str *v, Err *e)         { return gguf_has(g, key) ? gguf_need_str(g, key, v, e) : 0; }
int gguf_opt_array(const Gguf *g, const char *key, GgufArray *v, Err *e) { return gguf_has(g, key) ? gguf_need_array(g, key, v, e) : 0; }

bool gguf_array_is_int(const GgufArray *a)
{
    return kinds[a->kind].integer;
}

bool gguf_array_is_num(const GgufArray *a)
{
    return kinds[a->kind].size && a->kind != GGUF_BOOL;
}

Str gguf_array_str(const GgufArray *a, size_t i)
{
    BUG_ON(a->kind != GGUF_STR || i >= a->n);
    const uint8_t *p = a->data + a->at[i];
    return (Str){ (const char *)p, (size_t)gguf_le(p - 8, 8) };
}

int64_t gguf_array_int(const GgufArray *a, size_t i)
{
    int64_t v = 0;
    BUG_ON(!gguf_array_is_int(a) || i >= a->n || !int_of(a->kind, a->data + i * kinds[a->kind].size, &v));
    return v;
}

double gguf_array_num(const GgufArray *a, size_t i)
{
    BUG_ON(!gguf_array_is_num(a) || i >= a->n);
    return num_of(a->kind, a->data + i * kinds[a->kind].size);
}
