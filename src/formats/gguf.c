/* gguf.c - reads GGUF files: one, or the pieces of a split model behind one face. Nothing is copied: tensors point into the mapping.
 * The main struct is Gguf (gguf_int.h). Everything in such a file comes from a stranger, so a file is checked as a whole before it is given out:
 * its head, its metadata (gguf_meta.c), each tensor entry by itself, then that the entries' data lie in the file without overlap.
 * Invariant of an open Gguf: every tensor's bytes lie inside its piece's mapping, names are unique and printable.
 *
 * To add a number format of the file format: a row in types[]. The writer is in gguf_write.c. */
#include "formats/gguf_int.h"

#include "formats/stranger.h"

#include <inttypes.h>
#include <stdio.h>

#define HEAD_BYTES  24            /* magic, version, counts of tensors and of metadata values */
#define ENTRY_BYTES 24            /* least bytes of a tensor entry: length of the name, rank, type, offset */
#define META_BYTES  14            /* least bytes of a metadata value: length of the key, a letter, kind, a byte */

#define KNOWN(t) true, t
static const GgufType types[] = {
    { 0,  "F32",     1,   4,   KNOWN(DT_F32)    }, { 1,  "F16",  1,   2,   KNOWN(DT_F16)  }, { 30, "BF16",   1,   2,   KNOWN(DT_BF16)   },
    { 2,  "Q4_0",    32,  18,  KNOWN(DT_Q4_0)   }, { 3,  "Q4_1", 32,  20,  KNOWN(DT_Q4_1) }, { 6,  "Q5_0",   32,  22,  KNOWN(DT_Q5_0)   },
    { 7,  "Q5_1",    32,  24,  KNOWN(DT_Q5_1)   }, { 8,  "Q8_0", 32,  34,  KNOWN(DT_Q8_0) }, { 10, "Q2_K",   256, 84,  KNOWN(DT_Q2_K)   },
    { 11, "Q3_K",    256, 110, KNOWN(DT_Q3_K)   }, { 12, "Q4_K", 256, 144, KNOWN(DT_Q4_K) }, { 13, "Q5_K",   256, 176, KNOWN(DT_Q5_K)   },
    { 14, "Q6_K",    256, 210, KNOWN(DT_Q6_K)   }, { 26, "I32",  1,   4,   KNOWN(DT_I32)  }, { 20, "IQ4_NL", 32,  18,  KNOWN(DT_IQ4_NL) },
    { 23, "IQ4_XS",  256, 136, KNOWN(DT_IQ4_XS) },
    { 9,  "Q8_1",    32,  40  }, { 15, "Q8_K",   256, 292 }, { 16, "IQ2_XXS", 256, 66 }, { 17, "IQ2_XS", 256, 74 }, { 18, "IQ3_XXS", 256, 98 },
    { 19, "IQ1_S",   256, 50  }, { 21, "IQ3_S",  256, 110 }, { 22, "IQ2_S",   256, 82 }, { 29, "IQ1_M",  256, 56 }, { 34, "TQ1_0",   256, 54 },
    { 35, "TQ2_0",   256, 66  }, { 39, "MXFP4",  32,  17  }, { 40, "NVFP4",   64,  36 }, { 41, "Q1_0",   128, 18 },
    { 24, "I8",      1,   1   }, { 25, "I16",    1,   2   }, { 27, "I64",     1,   8  }, { 28, "F64",    1,   8  },
};

const GgufType *gguf_type_of_id(uint32_t id)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (types[i].id == id)
            return &types[i];
    return NULL;
}

const GgufType *gguf_type_of_dtype(DType t)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (types[i].known && types[i].dtype == t)
            return &types[i];
    bug_stop("a number format without a row in types[]", __FILE__, __LINE__);
}

/* ---- One tensor entry ---- */

typedef struct Span { size_t begin, end; size_t tensor; } Span;       /* bytes from the start of the data */
typedef VEC(Span) Spans;

typedef struct Piece { const uint8_t *p; size_t n, at; } Piece;       /* a file, read up to at */

static bool take(Piece *f, size_t size, uint64_t *v)
{
    if (size > f->n - f->at)
        return false;
    *v = gguf_le(f->p + f->at, size);
    f->at += size;
    return true;
}

static int cut_off(const Piece *f, Err *e)
{
    return err_set(e, ERR_INPUT, "the entry goes on past the end of the file at byte %zu; the file was cut off or damaged, download or copy it "
                   "again", f->n);
}

static int read_name(Gguf *g, Piece *f, GgufTensor *t, Err *e)
{
    uint64_t len = 0;
    if (!take(f, 8, &len))
        return cut_off(f, e);
    if (!len || len > GGUF_NAME_MAX)
        return err_set(e, ERR_INPUT, "its name has %" PRIu64 " bytes, expected 1 to %d", len, GGUF_NAME_MAX);
    if (len > f->n - f->at)
        return cut_off(f, e);
    Str name = { (const char *)f->p + f->at, (size_t)len };
    if (!is_printable(name))
        return err_set(e, ERR_INPUT, "its name \"%s\" holds control characters or is not UTF-8", shown(name).text);
    f->at += name.n;
    char *copy = arena_alloc(&g->arena, name.n + 1);
    memcpy(copy, name.p, name.n);
    copy[name.n] = '\0';
    t->name = copy;
    return 0;
}

static int read_shape(Piece *f, GgufTensor *t, Err *e)
{
    uint64_t rank = 0;
    if (!take(f, 4, &rank))
        return cut_off(f, e);
    if (rank > GGUF_RANK_MAX)
        return err_set(e, ERR_INPUT, "it has %" PRIu64 " dimensions, the format allows at most %d", rank, GGUF_RANK_MAX);
    t->rank = (int)rank;
    t->count = 1;
    for (int i = 0; i < t->rank; i++) {
        uint64_t dim = 0;
        if (!take(f, 8, &dim))
            return cut_off(f, e);
        if (dim > INT64_MAX || __builtin_mul_overflow(t->count, (int64_t)dim, &t->count))
            return err_set(e, ERR_INPUT, "the product of its dimensions does not fit in 64 bits");
        t->dim[t->rank - 1 - i] = (int64_t)dim;
    }
    return 0;
}

static int read_type(Piece *f, GgufTensor *t, Err *e)
{
    uint64_t id = 0;
    int64_t bytes, row = t->rank ? t->dim[t->rank - 1] : 1;
    if (!take(f, 4, &id))
        return cut_off(f, e);
    const GgufType *type = gguf_type_of_id((uint32_t)id);
    if (!type)
        return err_set(e, ERR_INPUT, "its number format has the id %" PRIu64 ", which hone does not know; a newer program wrote the file, or it is "
                       "damaged", id);
    snprintf(t->type_text, sizeof t->type_text, "%s", type->name);
    t->known = type->known;
    t->dtype = type->dtype;
    if (row % type->block)
        return err_set(e, ERR_INPUT, "its rows have %" PRId64 " numbers, %s needs a multiple of %" PRId64, row, type->name, type->block);
    if (__builtin_mul_overflow(t->count / type->block, type->bytes, &bytes))
        return err_set(e, ERR_INPUT, "its bytes do not fit in 64 bits");
    t->nbytes = (size_t)bytes;
    return 0;
}

static int read_place(Piece *f, const GgufTensor *t, uint64_t align, Span *s, Err *e)
{
    uint64_t begin = 0, end;
    if (!take(f, 8, &begin))
        return cut_off(f, e);
    if (begin % align)
        return err_set(e, ERR_INPUT, "its data begins at byte %" PRIu64 " of the data, which is not a multiple of the alignment %" PRIu64, begin,
                       align);
    if (__builtin_add_overflow(begin, (uint64_t)t->nbytes, &end) || end > f->n)
        return err_set(e, ERR_INPUT, "its %zu bytes begin at byte %" PRIu64 " of the data but the whole file has only %zu; the file was cut off, "
                       "download or copy it again", t->nbytes, begin, f->n);
    s->begin = (size_t)begin;
    s->end = (size_t)end;
    return 0;
}

/* Appends to g; data is still unknown, because it begins behind the last entry. */
static int read_tensor(Gguf *g, Piece *f, uint64_t align, Spans *spans, Err *e)
{
    GgufTensor t = {0};
    Span s = { .tensor = g->tensor.n };
    int rc = read_name(g, f, &t, e);
    if (rc)
        return rc;
    int64_t other;
    rc = read_shape(f, &t, e);
    if (!rc)
        rc = read_type(f, &t, e);
    if (!rc)
        rc = read_place(f, &t, align, &s, e);
    if (!rc && map_get(g->index, str_of(t.name), &other))
        rc = err_set(e, ERR_INPUT, "it is also in %s; a name may appear only once", g->shard.p[g->owner.p[other]].path);
    if (rc)
        return err_wrap(e, "\"%s\"", shown(str_of(t.name)).text), rc;
    map_put(g->index, str_of(t.name), (int64_t)g->tensor.n);
    *vec_push(&g->tensor) = t;
    *vec_push(&g->owner) = g->shard.n - 1;
    *vec_push(spans) = s;
    return 0;
}

/* ---- One file ---- */

static int read_head(Piece *f, uint64_t *tensors, uint64_t *values, Err *e)
{
    uint64_t version = 0;
    if (refuse_lfs_pointer(f->p, f->n, e))
        return ERR_INPUT;
    if (f->n < 4 || memcmp(f->p, "GGUF", 4) != 0)
        return err_set(e, ERR_INPUT, "the file must start with \"GGUF\"; this is not a GGUF file, or one of the formats before it, which "
                       "llama.cpp's own scripts convert");
    if (f->n < HEAD_BYTES)
        return err_set(e, ERR_INPUT, "the file has %zu bytes, a GGUF file starts with %d bytes of version and counts; it was cut off, download "
                       "or copy it again", f->n, HEAD_BYTES);
    f->at = 4;
    take(f, 4, &version);
    take(f, 8, tensors);
    take(f, 8, values);
    if (version > 0xffff && !(version & 0xffff))
        return err_set(e, ERR_INPUT, "the file was written for big-endian machines; hone reads little-endian files, as nearly all are");
    if (version != 2 && version != 3)
        return err_set(e, ERR_INPUT, "the file is of GGUF version %" PRIu64 ", hone reads versions 2 and 3", version);
    if (*values > GGUF_VALUES_MAX && *values <= (f->n - f->at) / META_BYTES)
        return err_set(e, ERR_INPUT, "the file has %" PRIu64 " metadata values, hone reads at most %d", *values, GGUF_VALUES_MAX);
    if (*tensors > GGUF_TENSORS_MAX && *tensors <= (f->n - f->at) / ENTRY_BYTES)
        return err_set(e, ERR_INPUT, "the file has %" PRIu64 " tensors, hone reads at most %d", *tensors, GGUF_TENSORS_MAX);
    if (*values > (f->n - f->at) / META_BYTES)
        return err_set(e, ERR_INPUT, "the file claims %" PRIu64 " metadata values, its %zu bytes cannot hold them", *values, f->n);
    if (*tensors > (f->n - f->at) / ENTRY_BYTES)
        return err_set(e, ERR_INPUT, "the file claims %" PRIu64 " tensors, its %zu bytes cannot hold them", *tensors, f->n);
    return 0;
}

static int read_alignment(const GgufShard *s, uint64_t *align, Err *e)
{
    int64_t v = GGUF_ALIGN;
    int rc = gguf_shard_int(s, "general.alignment", &v, e);
    if (!rc && (v < 1 || v > GGUF_ALIGN_MAX || (v & (v - 1))))
        rc = err_set(e, ERR_INPUT, "general.alignment must be a power of two up to %d, it is %" PRId64, GGUF_ALIGN_MAX, v);
    *align = (uint64_t)v;
    return rc;
}

static int span_order(const void *a, const void *b)
{
    const Span *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end)      /* an empty tensor stands before the one that starts at the same byte */
        return x->end < y->end ? -1 : 1;
    return x->tensor < y->tensor ? -1 : x->tensor > y->tensor;
}

static size_t padded(size_t n, uint64_t align)
{
    return (n + (size_t)align - 1) / (size_t)align * (size_t)align;
}

/* The data begins behind the entries: no tensor past the end, none inside another. */
static int place_tensors(Gguf *g, Spans *spans, const Piece *f, uint64_t align, Err *e)
{
    size_t start = padded(f->at, align), have = start < f->n ? f->n - start : 0, used = 0;
    if (spans->n)
        qsort(spans->p, spans->n, sizeof *spans->p, span_order);
    for (size_t i = 0; i < spans->n; i++) {
        const Span *s = &spans->p[i], *before = i ? s - 1 : NULL;
        GgufTensor *t = &g->tensor.p[s->tensor];
        if (s->end > have)
            return err_set(e, ERR_INPUT, "tensor \"%s\": its data ends at byte %zu but the file holds only %zu bytes of data; the file was cut off, "
                           "download or copy it again", shown(str_of(t->name)).text, s->end, have);
        if (before && s->begin < before->end)
            return err_set(e, ERR_INPUT, "tensor \"%s\": its data begins at byte %zu, inside that of tensor \"%s\", which ends at byte %zu",
                           shown(str_of(t->name)).text, s->begin, shown(str_of(g->tensor.p[before->tensor].name)).text, before->end);
        t->data = f->p + (t->nbytes ? start + s->begin : 0);
        used = padded(s->end, align);
    }
    g->excess += have > used ? have - used : 0;
    return 0;
}

/* The last shard of g, from its bytes. */
static int read_shard(Gguf *g, const uint8_t *p, size_t n, Err *e)
{
    GgufShard *s = &g->shard.p[g->shard.n - 1];
    Piece f = { p, n, 0 };
    Spans spans = {0};
    uint64_t tensors = 0, values = 0, align = GGUF_ALIGN;
    int rc = read_head(&f, &tensors, &values, e);
    if (!rc)
        rc = gguf_read_meta(g, s, values, p, n, &f.at, e);
    if (!rc)
        rc = read_alignment(s, &align, e);
    for (uint64_t i = 0; !rc && i < tensors; i++) {
        rc = read_tensor(g, &f, align, &spans, e);
        if (rc)
            err_wrap(e, "tensor %" PRIu64 " of %" PRIu64, i + 1, tensors);
    }
    if (!rc)
        rc = place_tensors(g, &spans, &f, align, e);
    if (rc)
        err_wrap(e, "%s", s->path);
    vec_release(&spans);
    return rc;
}

static GgufShard *add_shard(Gguf *g, const char *path)
{
    GgufShard *s = vec_push(&g->shard);
    s->path = mem_strdup(path);
    s->keys = map_new();
    return s;
}

static int open_shard(Gguf *g, const char *path, Err *e)
{
    GgufShard *s = add_shard(g, path);
    int rc = file_map(&s->map, path, e);
    return rc ? rc : read_shard(g, s->map.p, s->map.n, e);
}

static Gguf *gguf_new(const char *path)
{
    Gguf *g = mem_zalloc(1, sizeof *g);
    g->path = mem_strdup(path);
    g->index = map_new();
    return g;
}

void gguf_close(Gguf *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < g->shard.n; i++) {
        GgufShard *s = &g->shard.p[i];
        free(s->path);
        file_unmap(&s->map);
        vec_release(&s->meta);
        map_free(s->keys);
    }
    vec_release(&g->shard);
    vec_release(&g->tensor);
    vec_release(&g->owner);
    map_free(g->index);
    arena_release(&g->arena);
    free(g->path);
    free(g);
}

static int give_out(Gguf **out, Gguf *g, int rc)
{
    if (rc) {
        gguf_close(g);
        g = NULL;
    }
    *out = g;
    return rc;
}

/* ---- Split models ---- */

#define SPLIT_TAIL "-00001-of-00001.gguf"

/* How many files the model lies in, from the metadata of its piece; and that its bound holds. */
static int split_count(const GgufShard *s, int64_t *count, Err *e)
{
    *count = 1;
    int rc = gguf_shard_int(s, "split.count", count, e);
    if (!rc && *count == 0)                    /* a model that was put together again says 0 */
        *count = 1;
    if (!rc && (*count < 1 || *count > GGUF_SPLITS_MAX))
        rc = err_set(e, ERR_INPUT, "%s: split.count must be a number from 1 to %d, it is %" PRId64, s->path, GGUF_SPLITS_MAX, *count);
    return rc;
}

/* Writes the path of piece number k of count, k from 1, beside `path`, which must be one of them. */
static int split_path(StrBuf *b, const char *path, int64_t k, int64_t count, Err *e)
{
    size_t n = strlen(path), tail = sizeof SPLIT_TAIL - 1;
    unsigned own = 0, all = 0;
    char want[32] = "";
    if (n > tail && sscanf(path + n - tail, "-%5u-of-%5u.gguf", &own, &all) == 2)
        snprintf(want, sizeof want, "-%05u-of-%05u.gguf", own, all);
    if (n <= tail || strcmp(path + n - tail, want) != 0 || all != count || own < 1 || own > all)
        return err_set(e, ERR_INPUT, "%s: the file says that it is one of %" PRId64 " files of a model, so its name must end like "
                       "\"-00001-of-%05" PRId64 ".gguf\"; give the files their names back", path, count, count);
    strbuf_clear(b);
    strbuf_add(b, path, n - tail);
    strbuf_addf(b, "-%05" PRId64 "-of-%05" PRId64 ".gguf", k, count);
    return 0;
}

/* The piece that was opened last says that it is number k, from 1. */
static int check_piece(const Gguf *g, int64_t k, int64_t count, Err *e)
{
    const GgufShard *s = &g->shard.p[g->shard.n - 1];
    int64_t no = -1, own = 0;
    int rc = gguf_shard_int(s, "split.no", &no, e);
    if (!rc)
        rc = split_count(s, &own, e);
    if (!rc && (no != k - 1 || own != count))
        rc = err_set(e, ERR_INPUT, "%s: by its name it is file %" PRId64 " of %" PRId64 " of the model, its metadata say file %" PRId64 " of %"
                     PRId64, s->path, k, count, no + 1, own);
    return rc;
}

static int open_pieces(Gguf *g, const char *path, int64_t count, Err *e)
{
    StrBuf piece = {0};
    int rc = 0;
    for (int64_t k = 1; !rc && k <= count; k++) {
        rc = split_path(&piece, path, k, count, e);
        if (!rc && !file_exists(strbuf_z(&piece)))
            rc = err_set(e, ERR_INPUT, "%s: the file %s, one of the %" PRId64 " of this model, is missing; download or copy it into the same folder",
                         path, strbuf_z(&piece), count);
        if (!rc)
            rc = open_shard(g, strbuf_z(&piece), e);
        if (!rc)
            rc = check_piece(g, k, count, e);
    }
    strbuf_release(&piece);
    int64_t tensors = (int64_t)g->tensor.n, want = tensors;
    if (!rc)
        rc = gguf_shard_int(&g->shard.p[0], "split.tensors.count", &want, e);
    if (!rc && want != tensors)
        rc = err_set(e, ERR_INPUT, "%s: the model has %" PRId64 " tensors by its metadata (split.tensors.count), its %" PRId64 " files hold %" PRId64,
                     g->shard.p[0].path, want, count, tensors);
    return rc;
}

int gguf_open(Gguf **out, const char *path, Err *e)
{
    Gguf *g = gguf_new(path);
    int64_t count = 1;
    int rc = open_shard(g, path, e);
    if (!rc)
        rc = split_count(&g->shard.p[0], &count, e);
    if (!rc && count > 1) {
        gguf_close(g);
        g = gguf_new(path);
        rc = open_pieces(g, path, count, e);
    }
    return give_out(out, g, rc);
}

int gguf_open_memory(Gguf **out, const void *p, size_t n, const char *name, Err *e)
{
    Gguf *g = gguf_new(name);
    int64_t count = 1;
    GgufShard *s = add_shard(g, name);
    int rc = read_shard(g, p, n, e);
    if (!rc)
        rc = split_count(s, &count, e);
    if (!rc && count > 1)
        rc = err_set(e, ERR_INPUT, "%s: it is one of %" PRId64 " files of a model; open it by its path", name, count);
    return give_out(out, g, rc);
}

/* ---- Looking at an open file ---- */

const char *gguf_path(const Gguf *g)
{
    return g->path;
}

size_t gguf_excess(const Gguf *g)
{
    return g->excess;
}

size_t gguf_count(const Gguf *g)
{
    return g->tensor.n;
}

const GgufTensor *gguf_at(const Gguf *g, size_t i)
{
    BUG_ON(i >= g->tensor.n);
    return &g->tensor.p[i];
}

const GgufTensor *gguf_find(const Gguf *g, const char *name)
{
    int64_t i;
    return map_get(g->index, str_of(name), &i) ? &g->tensor.p[i] : NULL;
}

const char *gguf_where(const Gguf *g, const GgufTensor *t)
{
    size_t i = (size_t)(t - g->tensor.p);
    BUG_ON(i >= g->tensor.n);
    return g->shard.p[g->owner.p[i]].path;
}
