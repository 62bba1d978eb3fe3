/* inspect.c - numbers out of and into tensors, and what tests and guards ask about them.
 * Everything goes through one row at a time in dense host f32, so column slices and stored types need no case of their own. */
#include "tensor/inspect.h"
#include "base/mem.h"
#include <math.h>
#include <stdlib.h>

/* One row of t as f32; raw is scratch of one row's bytes. */
static void row_get(const Tensor *t, int64_t row, float *dst, void *raw)
{
    int64_t cols = tensor_cols(t);
    const char *src = (const char *)t->data + dtype_bytes(t->dtype, row * t->ld);
    t->be->download(t->be, raw, src, dtype_bytes(t->dtype, cols));
    if (t->dtype == DT_I32)
        for (int64_t i = 0; i < cols; i++)
            dst[i] = (float)((const int32_t *)raw)[i];
    else
        dtype_to_f32(dst, raw, t->dtype, cols);
}

void tensor_get(const Tensor *t, float *dst)
{
    int64_t rows = tensor_rows(t), cols = tensor_cols(t);
    void *raw = mem_alloc(dtype_bytes(t->dtype, cols));
    for (int64_t r = 0; r < rows; r++)
        row_get(t, r, dst + r * cols, raw);
    free(raw);
}

void tensor_put(Tensor *t, const float *src)
{
    BUG_ON(t->dtype == DT_I32);
    int64_t rows = tensor_rows(t), cols = tensor_cols(t);
    size_t  size = dtype_bytes(t->dtype, cols);
    void *raw = mem_alloc(size);
    for (int64_t r = 0; r < rows; r++) {
        dtype_from_f32(raw, src + r * cols, t->dtype, cols);
        t->be->upload(t->be, (char *)t->data + dtype_bytes(t->dtype, r * t->ld), raw, size);
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
