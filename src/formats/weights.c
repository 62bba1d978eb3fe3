/* weights.c - the common face of weight files, and its plainest case: safetensors as they stand.
 * To add a way of packing: a file of its own that embeds Weights as its first member and fills info[] and the three functions. */
#include "formats/weights.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"

typedef struct StWeights { Weights face; const StFile *f; } StWeights;

const WeightInfo *weights_find(const Weights *w, const char *name)
{
    int64_t i;
    return map_get(w->by_name, str_of(name), &i) ? &w->info[i] : NULL;
}

const char *weights_where(const Weights *w, const WeightInfo *i)
{
    return w->where(w, i);
}

int weights_read(const Weights *w, const WeightInfo *i, int64_t first, int64_t n, float *dst, Err *e)
{
    const int64_t row = i->rank > 0 ? i->dim[i->rank - 1] : 1;
    BUG_ON(first < 0 || n < 0 || n > i->count || first > i->count - n || (row > 0 && (first % row || n % row)));
    if (!i->readable)
        return err_set(e, ERR_INPUT, "%s: %s is stored as %s; hone reads weights in F32, F16 and BF16", weights_where(w, i), i->name, i->stored);
    return w->read(w, i, first, n, dst, e);
}

void weights_forget(const Weights *w, const WeightInfo *i)
{
    w->forget(w, i);
}

static const void *row_at(const Weights *w, const WeightInfo *i, int64_t row)
{
    return w->row ? w->row(w, i, row) : NULL;
}

const void *weights_mapped(const Weights *w, const WeightInfo *i)
{
    if (i->kernel == DT_COUNT || i->rank != 2 || !i->count)
        return NULL;
    const char  *first = row_at(w, i, 0);
    const size_t step = dtype_bytes(i->kernel, i->dim[1]);
    if (!first || (dtype_block(i->kernel) == 1 && (uintptr_t)first % dtype_size(i->kernel)))
        return NULL;
    for (int64_t r = 1; r < i->dim[0]; r++)
        if (row_at(w, i, r) != first + (size_t)r * step)
            return NULL;
    return first;
}

int weights_rows(const Weights *w, const WeightInfo *i, void *dst, Err *e)
{
    BUG_ON(i->kernel == DT_COUNT || i->rank != 2);
    const size_t step = dtype_bytes(i->kernel, i->dim[1]);
    int          rc = 0;
    for (int64_t r = 0; r < i->dim[0] && !rc; r++) {
        char       *to = (char *)dst + (size_t)r * step;
        const void *from = row_at(w, i, r);
        if (from)
            memcpy(to, from, step);
        else
            rc = w->make_row(w, i, r, to, e);
    }
    return rc;
}

void weights_close(Weights *w)
{
    if (!w)
        return;
    map_free(w->by_name);
    free(w->info);
    w->close(w);
}

/* --- plain safetensors ---------------------------------------------------------------------------------------------------------------- */

static int st_read(const Weights *w, const WeightInfo *i, int64_t first, int64_t n, float *dst, Err *e)
{
    (void)w;
    (void)e;
    const StTensor *t = i->source;
    dtype_to_f32(dst, (const char *)t->data + (size_t)first * dtype_size(t->dtype), t->dtype, n);
    return 0;
}

static void st_forget(const Weights *w, const WeightInfo *i)
{
    (void)w;
    file_forget(((const StTensor *)i->source)->data, i->nbytes);
}

static const void *st_row(const Weights *w, const WeightInfo *i, int64_t row)
{
    (void)w;
    const StTensor *t = i->source;
    return (const char *)t->data + dtype_bytes(t->dtype, row * i->dim[1]);
}

static const char *st_weight_where(const Weights *w, const WeightInfo *i)
{
    return st_where(((const StWeights *)w)->f, i->source);
}

static void st_weights_close(Weights *w)
{
    free(w);
}

static int describe(WeightInfo *i, const StFile *f, const StTensor *t, Err *e)
{
    *i = (WeightInfo){ .name = t->name, .dtype = DT_F32, .kernel = DT_COUNT, .rank = t->rank, .count = t->count, .nbytes = t->nbytes,
                        .source = t };
    if (t->rank > WEIGHT_RANK_MAX)
        return err_set(e, ERR_INPUT, "%s: %s has %d dimensions; weights have at most %d", st_where(f, t), t->name, t->rank, WEIGHT_RANK_MAX);
    for (int d = 0; d < t->rank; d++)
        i->dim[d] = t->dim[d];
    snprintf(i->stored, sizeof i->stored, "%s", t->dtype_text);
    i->readable = t->known && (t->dtype == DT_F32 || t->dtype == DT_F16 || t->dtype == DT_BF16);
    if (i->readable)
        i->dtype = i->kernel = t->dtype;
    return 0;
}

int weights_open_st(Weights **out, const StFile *f, Err *e)
{
    const size_t n = st_count(f);
    StWeights   *s = mem_zalloc(1, sizeof *s);
    int          rc = 0;
    s->f = f;
    s->face = (Weights){ .info = mem_zalloc(MAX(n, (size_t)1), sizeof *s->face.info), .n = n, .by_name = map_new(), .read = st_read,
                         .row = st_row, .forget = st_forget, .where = st_weight_where, .close = st_weights_close };
    for (size_t i = 0; i < n && !rc; i++) {
        rc = describe(&s->face.info[i], f, st_at(f, i), e);
        map_put(s->face.by_name, str_of(st_at(f, i)->name), (int64_t)i);
    }
    if (rc) {
        weights_close(&s->face);
        s = NULL;
    }
    *out = s ? &s->face : NULL;
    return rc;
}
