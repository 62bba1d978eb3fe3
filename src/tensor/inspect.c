/* inspect.c - numbers out of and into tensors, and what tests and guards ask about them.
 * Everything goes through dense host f32, so column slices and stored types need no case of their own; rows that lie one after the other are fetched and put many at
 * a time, since each time waits for a device. */
#include "tensor/inspect.h"
#include "base/mem.h"
#include <math.h>
#include <stdlib.h>

#define RUN_BYTES ((size_t)4 << 20) /* moved at once */

/* Rows moved at once, and the bytes between the first byte of the first and the last of the last. */
static int64_t run_rows(const Tensor *t)
{
    const size_t row = MAX(dtype_bytes(t->dtype, tensor_cols(t)), 1);
    return t->ld == tensor_cols(t) ? MAX((int64_t)(RUN_BYTES / row), 1) : 1;
}

static char *place(const Tensor *t, int64_t row) { return (char *)t->data + dtype_bytes(t->dtype, row * t->ld); }

/* n rows of t as f32, n at most run_rows; raw is scratch of their bytes. */
static void rows_get(const Tensor *t, int64_t row, int64_t n, float *dst, void *raw)
{
    const int64_t count = n * tensor_cols(t);
    t->be->download(t->be, raw, place(t, row), dtype_bytes(t->dtype, count));
    if (t->dtype == DT_I32)
        for (int64_t i = 0; i < count; i++)
            dst[i] = (float)((const int32_t *)raw)[i];
    else
        dtype_to_f32(dst, raw, t->dtype, count);
}

static void row_get(const Tensor *t, int64_t row, float *dst, void *raw) { rows_get(t, row, 1, dst, raw); }

static void *raw_room(const Tensor *t)
{
    return mem_alloc(MAX(dtype_bytes(t->dtype, MIN(run_rows(t), tensor_rows(t)) * tensor_cols(t)), 1));
}

void tensor_get(const Tensor *t, float *dst)
{
    const int64_t rows = tensor_rows(t), cols = tensor_cols(t), run = run_rows(t);
    void         *raw = raw_room(t);
    for (int64_t r = 0; r < rows; r += run)
        rows_get(t, r, MIN(run, rows - r), dst + r * cols, raw);
    free(raw);
}

void tensor_put(Tensor *t, const float *src)
{
    BUG_ON(t->dtype == DT_I32);
    const int64_t rows = tensor_rows(t), cols = tensor_cols(t), run = run_rows(t);
    void         *raw = raw_room(t);
    for (int64_t r = 0; r < rows; r += run) {
        const int64_t n = MIN(run, rows - r) * cols;
        dtype_from_f32(raw, src + r * cols, t->dtype, n);
        t->be->upload(t->be, place(t, r), raw, dtype_bytes(t->dtype, n));
    }
    free(raw);
}

TensorDiff tensor_diff(const Tensor *a, const float *want)
{
    TensorDiff d = { .at = -1 };
    int64_t rows = tensor_rows(a), cols = tensor_cols(a);
    float *got = mem_alloc((size_t)cols * sizeof *got);
    void  *raw = mem_alloc(dtype_bytes(a->dtype, cols));
    double num = 0, den = 0;
    for (int64_t r = 0; r < rows; r++) {
        row_get(a, r, got, raw);
        for (int64_t c = 0; c < cols; c++) {
            double x = got[c], y = want[r * cols + c];
            double abs_err = x == y ? 0 : fabs(x - y); /* equal infinities agree */
            if (isnan(abs_err))
                abs_err = INFINITY;                    /* a NaN on either side is the worst difference */
            double largest = fmax(fabs(x), fabs(y));
            double rel = abs_err == 0 ? 0 : isinf(abs_err) ? INFINITY : abs_err / largest;
            if (abs_err > d.max_abs || d.at < 0) {
                d.max_abs = abs_err;
                d.at = r * cols + c;
            }
            d.max_rel = fmax(d.max_rel, rel);
            num += abs_err * abs_err;
            den += isfinite(y) ? y * y : 0;
        }
    }
    d.rel_norm = num == 0 ? 0 : den == 0 ? INFINITY : sqrt(num / den);
    free(raw);
    free(got);
    return d;
}

bool tensor_first_bad(const Tensor *t, int64_t *at)
{
    int64_t rows = tensor_rows(t), cols = tensor_cols(t);
    float *got = mem_alloc((size_t)cols * sizeof *got);
    void  *raw = mem_alloc(dtype_bytes(t->dtype, cols));
    bool bad = false;
    for (int64_t r = 0; r < rows && !bad; r++) {
        row_get(t, r, got, raw);
        for (int64_t c = 0; c < cols && !bad; c++)
            if (!isfinite(got[c])) {
                bad = true;
                *at = r * cols + c;
            }
    }
    free(raw);
    free(got);
    return bad;
}

void tensor_print(StrBuf *out, const Tensor *t, int64_t max_elems)
{
    strbuf_addf(out, "%s %s [", t->name ? t->name : "(unnamed)", dtype_name(t->dtype));
    for (int i = 0; i < t->rank; i++)
        strbuf_addf(out, "%s%lld", i ? ", " : "", (long long)t->dim[i]);
    strbuf_addz(out, "]");

    int64_t rows = tensor_rows(t), cols = tensor_cols(t), left = MIN(max_elems, tensor_numel(t));
    float *got = mem_alloc((size_t)cols * sizeof *got);
    void  *raw = mem_alloc(dtype_bytes(t->dtype, cols));
    for (int64_t r = 0; r < rows && left > 0; r++) {
        row_get(t, r, got, raw);
        strbuf_addc(out, '\n');
        for (int64_t c = 0; c < cols && left > 0; c++, left--)
            strbuf_addf(out, " %.6g", (double)got[c]);
    }
    strbuf_addz(out, max_elems < tensor_numel(t) ? " ...\n" : "\n");
    free(raw);
    free(got);
}
