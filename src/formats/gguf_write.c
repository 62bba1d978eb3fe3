/* gguf_write.c - writes one GGUF file of version 3, whole or not at all. Setting and declaring build the head, the data then streams through, so a
 * model larger than the memory can be written. Tensors lie in the file in the order of declaring, each at a multiple of GGUF_ALIGN.
 * Invariant: `done` bytes of `total`, padding included, are in the file behind the head; the file gets its name only when they are equal.
 *
 * To set another kind of value: its function beside the others; put_le and its kind's number are all it takes. */
#include "formats/gguf_int.h"

#include <inttypes.h>

struct GgufWriter {
    char         *path;
    FileOut      *out;
    StrBuf        meta;        /* the values, as they will stand in the file */
    StrBuf        entries;     /* the tensors, likewise */
    Map          *keys;        /* those set */
    Map          *names;       /* those declared */
    VEC(uint64_t) ends;        /* [names] where each tensor's bytes end, from the start of the data */
    size_t        tensor;      /* the one being written */
    uint64_t      total, done;
    bool          begun;       /* the head is in the file */
};

static uint64_t padded(uint64_t n)
{
    return (n + GGUF_ALIGN - 1) / GGUF_ALIGN * GGUF_ALIGN;
}

static void put_le(StrBuf *b, uint64_t v, size_t size)
{
    for (size_t i = 0; i < size; i++)
        strbuf_addc(b, (char)(v >> (8 * i)));
}

static void put_str(StrBuf *b, Str s)
{
    put_le(b, s.n, 8);
    strbuf_add(b, s.p, s.n);
}

static void put_f32(StrBuf *b, float v)
{
    uint32_t u;
    memcpy(&u, &v, sizeof u);
    put_le(b, u, 4);
}

int gguf_create(GgufWriter **out, const char *path, Err *e)
{
    FileOut *file = NULL;
    *out = NULL;
    int rc = file_out_open(&file, path, e);
    if (rc)
        return rc;
    GgufWriter *w = mem_zalloc(1, sizeof *w);
    w->path = mem_strdup(path);
    w->out = file;
    w->keys = map_new();
    w->names = map_new();
    *out = w;
    return 0;
}

/* ---- Metadata ---- */

static StrBuf *put_key(GgufWriter *w, const char *key, GgufKind kind)
{
    Str k = str_of(key);
    BUG_ON(w->begun || !k.n || k.n > GGUF_KEY_MAX || !map_put(w->keys, k, 0));
    put_str(&w->meta, k);
    put_le(&w->meta, kind, 4);
    return &w->meta;
}

static StrBuf *put_array(GgufWriter *w, const char *key, GgufKind kind, size_t n)
{
    StrBuf *b = put_key(w, key, GGUF_ARRAY);
    put_le(b, kind, 4);
    put_le(b, n, 8);
    return b;
}

void gguf_set_str(GgufWriter *w, const char *key, Str v)       { put_str(put_key(w, key, GGUF_STR), v); }
void gguf_set_bool(GgufWriter *w, const char *key, bool v)     { put_le(put_key(w, key, GGUF_BOOL), v, 1); }
void gguf_set_u32(GgufWriter *w, const char *key, uint32_t v)  { put_le(put_key(w, key, GGUF_U32), v, 4); }
void gguf_set_i32(GgufWriter *w, const char *key, int32_t v)   { put_le(put_key(w, key, GGUF_I32), (uint32_t)v, 4); }
void gguf_set_u64(GgufWriter *w, const char *key, uint64_t v)  { put_le(put_key(w, key, GGUF_U64), v, 8); }
void gguf_set_f32(GgufWriter *w, const char *key, float v)     { put_f32(put_key(w, key, GGUF_F32), v); }

void gguf_set_strs(GgufWriter *w, const char *key, const Str *v, size_t n)
{
    StrBuf *b = put_array(w, key, GGUF_STR, n);
    for (size_t i = 0; i < n; i++)
        put_str(b, v[i]);
}

void gguf_set_bools(GgufWriter *w, const char *key, const bool *v, size_t n)
{
    StrBuf *b = put_array(w, key, GGUF_BOOL, n);
    for (size_t i = 0; i < n; i++)
        put_le(b, v[i], 1);
}

void gguf_set_u32s(GgufWriter *w, const char *key, const uint32_t *v, size_t n)
{
    StrBuf *b = put_array(w, key, GGUF_U32, n);
    for (size_t i = 0; i < n; i++)
        put_le(b, v[i], 4);
}

void gguf_set_u8s(GgufWriter *w, const char *key, const uint8_t *v, size_t n)
{
    strbuf_add(put_array(w, key, GGUF_U8, n), v, n);
}

void gguf_set_i32s(GgufWriter *w, const char *key, const int32_t *v, size_t n)
{
    StrBuf *b = put_array(w, key, GGUF_I32, n);
    for (size_t i = 0; i < n; i++)
        put_le(b, (uint32_t)v[i], 4);
}

void gguf_set_f32s(GgufWriter *w, const char *key, const float *v, size_t n)
{
    StrBuf *b = put_array(w, key, GGUF_F32, n);
    for (size_t i = 0; i < n; i++)
        put_f32(b, v[i]);
}

void gguf_set_copy(GgufWriter *w, const Gguf *from, const char *key)
{
    const GgufShard *s = &from->shard.p[0];
    int64_t i = 0;
    BUG_ON(!map_get(s->keys, str_of(key), &i));
    const GgufMeta *m = &s->meta.p[i];
    strbuf_add(put_key(w, key, m->kind), m->raw.p, m->raw.n);
}

/* ---- Tensors ---- */

void gguf_declare(GgufWriter *w, const char *name, DType t, int rank, const int64_t *dim)
{
    Str n = str_of(name);
    StrBuf *b = &w->entries;
    int64_t count = 1;
    BUG_ON(w->begun || rank < 1 || rank > GGUF_RANK_MAX || !n.n || n.n > GGUF_NAME_MAX || dim[rank - 1] % dtype_block(t));
    BUG_ON(!map_put(w->names, n, 0));
    put_str(b, n);
    put_le(b, (uint64_t)rank, 4);
    for (int i = rank; i-- > 0; ) {
        BUG_ON(dim[i] < 0 || __builtin_mul_overflow(count, dim[i], &count));
        put_le(b, (uint64_t)dim[i], 8);
    }
    put_le(b, gguf_type_of_dtype(t)->id, 4);
    put_le(b, w->total, 8);
    *vec_push(&w->ends) = w->total + dtype_bytes(t, count);
    w->total = padded(w->total + dtype_bytes(t, count));
}

static int write_padding(GgufWriter *w, uint64_t n, Err *e)
{
    static const uint8_t zeros[GGUF_ALIGN];
    return n ? file_out_write(w->out, zeros, (size_t)n, e) : 0;
}

/* Once: everything before the data. */
static int begin(GgufWriter *w, Err *e)
{
    if (w->begun)
        return 0;
    StrBuf head = {0};
    strbuf_addz(&head, "GGUF");
    put_le(&head, 3, 4);
    put_le(&head, map_count(w->names), 8);
    put_le(&head, map_count(w->keys), 8);
    uint64_t n = head.n + w->meta.n + w->entries.n;
    int rc = file_out_write(w->out, head.p, head.n, e);
    if (!rc && w->meta.n)
        rc = file_out_write(w->out, w->meta.p, w->meta.n, e);
    if (!rc && w->entries.n)
        rc = file_out_write(w->out, w->entries.p, w->entries.n, e);
    if (!rc)
        rc = write_padding(w, padded(n) - n, e);
    strbuf_release(&head);
    w->begun = !rc;
    return rc;
}

/* Past tensors that are complete, empty ones too: their padding. */
static int end_tensors(GgufWriter *w, Err *e)
{
    int rc = 0;
    while (!rc && w->tensor < w->ends.n && w->done == w->ends.p[w->tensor]) {
        rc = write_padding(w, padded(w->done) - w->done, e);
        w->done = padded(w->done);
        w->tensor++;
    }
    return rc;
}

int gguf_write(GgufWriter *w, const void *p, size_t nbytes, Err *e)
{
    const uint8_t *from = p;
    int rc = begin(w, e);
    if (!rc)
        rc = end_tensors(w, e);
    while (!rc && nbytes) {
        BUG_ON(w->tensor >= w->ends.n);
        uint64_t room = w->ends.p[w->tensor] - w->done;
        size_t n = room < nbytes ? (size_t)room : nbytes;
        rc = file_out_write(w->out, from, n, e);
        from += n;
        nbytes -= n;
        w->done += n;
        if (!rc)
            rc = end_tensors(w, e);
    }
    return rc;
}

int gguf_commit(GgufWriter **w, Err *e)
{
    GgufWriter *g = *w;
    int rc = gguf_write(g, NULL, 0, e);
    if (!rc && g->done != g->total)
        rc = err_set(e, ERR_WORK, "%s: only %" PRIu64 " of %" PRIu64 " bytes of tensor data were given; the file was not written", g->path, g->done,
                     g->total);
    if (!rc)
        rc = file_out_commit(&g->out, e);
    gguf_abort(w);
    return rc;
}

void gguf_abort(GgufWriter **w)
{
    GgufWriter *g = *w;
    if (!g)
        return;
    file_out_abort(&g->out);
    strbuf_release(&g->meta);
    strbuf_release(&g->entries);
    map_free(g->keys);
    map_free(g->names);
    vec_release(&g->ends);
    free(g->path);
    free(g);
    *w = NULL;
}
