/* safetensors_write.c - writes one safetensors file, whole or not at all. Declaring builds the header, the data then streams through, so a
 * model larger than the memory can be written. Tensors lie in the file in the order of declaring: sorting is the caller's.
 * Invariant: `done` bytes of `total` are in the file behind the header, and the file gets its name only when they are equal. */
#include "formats/safetensors.h"

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdlib.h>

struct StWriter {
    char    *path;
    FileOut *out;
    Json    *header;
    Json    *meta;             /* borrowed from header; NULL before the first st_meta */
    uint64_t total, done;      /* bytes of data, declared and written */
    bool     begun;            /* the header is in the file */
};

int st_create(StWriter **out, const char *path, Err *e)
{
    FileOut *file = NULL;
    *out = NULL;
    int rc = file_out_open(&file, path, e);
    if (rc)
        return rc;
    StWriter *w = mem_zalloc(1, sizeof *w);
    w->path = mem_strdup(path);
    w->out = file;
    w->header = json_obj_new();
    *out = w;
    return 0;
}

void st_meta(StWriter *w, const char *key, const char *value)
{
    BUG_ON(w->begun);
    if (!w->meta) {
        w->meta = json_obj_new();
        json_set(w->header, "__metadata__", w->meta);
    }
    json_set(w->meta, key, json_str_new(str_of(value)));
}

static void declare(StWriter *w, const char *name, const char *dtype, size_t item, int rank, const int64_t *dim)
{
    BUG_ON(w->begun || rank < 0 || rank > ST_RANK_MAX);
    BUG_ON(json_get(w->header, name) || !strcmp(name, "__metadata__") || strlen(name) > ST_NAME_MAX || !utf8_valid(str_of(name), NULL));
    uint64_t nbytes = item, end;
    Json *shape = json_arr_new(), *offsets = json_arr_new(), *entry = json_obj_new();
    for (int i = 0; i < rank; i++) {
        BUG_ON(dim[i] < 0 || __builtin_mul_overflow(nbytes, (uint64_t)dim[i], &nbytes));
        json_push(shape, json_int_new(dim[i]));
    }
    BUG_ON(__builtin_add_overflow(w->total, nbytes, &end) || end > INT64_MAX);
    json_push(offsets, json_int_new((int64_t)w->total));
    json_push(offsets, json_int_new((int64_t)end));
    json_set(entry, "dtype", json_str_new(str_of(dtype)));
    json_set(entry, "shape", shape);
    json_set(entry, "data_offsets", offsets);
    json_set(w->header, name, entry);
    w->total = end;
}

void st_declare(StWriter *w, const char *name, DType t, int rank, const int64_t *dim)
{
    declare(w, name, dtype_name(t), dtype_size(t), rank, dim);
}

void st_declare_bytes(StWriter *w, const char *name, bool is_signed, int rank, const int64_t *dim)
{
    declare(w, name, is_signed ? "I8" : "U8", 1, rank, dim);
}

/* Once: the length and the header. The length takes 8 bytes, so a header of a multiple of 8 puts the data at one too. */
static int begin(StWriter *w, Err *e)
{
    if (w->begun)
        return 0;
    StrBuf text = {0};
    uint8_t length[8];
    json_write(&text, w->header, false);
    while (text.n % 8)
        strbuf_addc(&text, ' ');
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)((uint64_t)text.n >> (8 * i));
    int rc = 0;
    if (text.n > ST_HEADER_MAX)
        rc = err_set(e, ERR_WORK, "%s: the header takes %zu bytes, the format allows at most %u; write fewer tensors or less metadata into one file",
                     w->path, text.n, ST_HEADER_MAX);
    if (!rc)
        rc = file_out_write(w->out, length, sizeof length, e);
    if (!rc)
        rc = file_out_write(w->out, text.p, text.n, e);
    strbuf_release(&text);
    w->begun = !rc;
    return rc;
}

int st_write(StWriter *w, const void *p, size_t nbytes, Err *e)
{
    BUG_ON(nbytes > w->total - w->done);
    int rc = begin(w, e);
    if (!rc && nbytes)
        rc = file_out_write(w->out, p, nbytes, e);
    if (!rc)
        w->done += nbytes;
    return rc;
}

int st_commit(StWriter **w, Err *e)
{
    StWriter *s = *w;
    int rc = begin(s, e);
    if (!rc && s->done != s->total)
        rc = err_set(e, ERR_WORK, "%s: only %" PRIu64 " of %" PRIu64 " bytes of tensor data were given; the file was not written", s->path, s->done,
                     s->total);
    if (!rc)
        rc = file_out_finish(&s->out, e);
    st_abort(w);
    return rc;
}

void st_abort(StWriter **w)
{
    StWriter *s = *w;
    if (!s)
        return;
    file_out_abort(&s->out);
    json_free(s->header);
    free(s->path);
    free(s);
    *w = NULL;
}
