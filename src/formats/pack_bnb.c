/* pack_bnb.c - quantises as bitsandbytes does on the CPU. Invariants: every step is one f32 operation, in bitsandbytes' order; the tensors of a matrix are
 * declared and written in the order of parts[], so that the two passes agree. */
#include "formats/pack_bnb.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "formats/packed_int.h"
#include "formats/quant.h"

#define BLOCK  64                      /* numbers to an absmax */
#define BLOCK2 256                     /* absmaxes to a second absmax */
#define STATE_BYTES 256                /* of the JSON text, padded with spaces: its length must be declared before its numbers are known */

/* --- arithmetic --------------------------------------------------------------------------------------------------------------------------- */

static float largest(const float *v, int64_t n)
{
    float top = 0;
    for (int64_t i = 0; i < n; i++)
        top = fmaxf(top, fabsf(v[i]));
    return top;
}

/* How many of the borders between neighbouring codes lie below x: the nearest code, the lower one in the middle. */
static int nearest(const float *code, int n, float x)
{
    int low = 0, high = n - 1;
    while (low < high) {
        const int   mid = (low + high) / 2;
        const float border = (code[mid] + code[mid + 1]) / 2;
        if (border < x)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static float clamp1(float x) { return x < -1 ? -1 : x > 1 ? 1 : x; }

void pack_nf4(uint8_t *code, float *absmax, const float *v, int64_t n)
{
    const int64_t whole = n / BLOCK * BLOCK, left = n - whole;
    for (int64_t i = 0; i < whole; i += BLOCK)
        nf4_pack(code + i / 2, absmax + i / BLOCK, v + i);
    if (left == 0)
        return;
    const float safe = fmaxf(largest(v + whole, left), 1e-38f); /* the last, short block is divided */
    absmax[whole / BLOCK] = safe;
    memset(code + whole / 2, 0, (size_t)(left / 2 + left % 2));
    for (int64_t k = whole; k < n + n % 2; k++) {
        const int c = nearest(dtype_nf4_code, 16, k < n ? clamp1(v[k] / safe) : 0);
        code[k / 2] = (uint8_t)(code[k / 2] | (k % 2 ? c : c << 4));
    }
}

/* Dettmers 2015, "8-Bit Approximations for Parallelism in Deep Learning": seven decades, each with twice the steps of the one below. */
void pack_dynamic_map(float map[256])
{
    int n = 128;
    map[127] = 0;
    for (int decade = 0; decade < 7; decade++) {
        const int   steps = 1 << decade;
        const float step = (1.0f - 0.1f) / (float)steps, unit = (float)pow(10, decade - 6);
        for (int i = 0; i < steps; i++) {
            const float low = i < (steps + 1) / 2 ? fmaf(step, (float)i, 0.1f) : fmaf(-step, (float)(steps - i), 1.0f);
            const float high = i + 1 < (steps + 1) / 2 ? fmaf(step, (float)(i + 1), 0.1f) : fmaf(-step, (float)(steps - i - 1), 1.0f);
            map[n++] = unit * ((low + high) / 2);
        }
    }
    for (int i = 0; i < 127; i++)
        map[126 - i] = -map[128 + i];
    map[255] = 1;
}

/* The nearest code is looked up for the middle of one of 65536 steps, not for the number itself: that is how bitsandbytes' table works. */
void pack_absmax(uint8_t *code2, float *absmax2, float *offset, const float *absmax, int64_t n)
{
    float  map[256], centred[BLOCK2];
    double sum = 0;
    pack_dynamic_map(map);
    for (int64_t i = 0; i < n; i++)
        sum += (double)absmax[i];
    *offset = (float)(sum / (double)n);
    for (int64_t i = 0; i < n; i += BLOCK2) {
        const int64_t len = MIN(n - i, BLOCK2);
        for (int64_t k = 0; k < len; k++)
            centred[k] = absmax[i + k] - *offset;
        const float top = largest(centred, len), inverse = top > 0 ? 1.0f / top : 0;
        absmax2[i / BLOCK2] = top;
        for (int64_t k = 0; k < len; k++) {
            const float x = clamp1(centred[k] * inverse), step = floorf((x + 1.0f) * 0.5f * 65535.0f + 0.5f);
            code2[i + k] = top > 0 ? (uint8_t)nearest(map, 256, (float)((double)step / 32767.5 - 1)) : 0;
        }
    }
}

void pack_nf4_blocks(void *dst, const float *v, int64_t n)
{
    const int64_t blocks = (n + BLOCK - 1) / BLOCK;
    const size_t  step = dtype_bytes(DT_NF4, BLOCK);
    uint8_t      *to = dst, *code = mem_zalloc((size_t)blocks, BLOCK / 2), *code2 = mem_alloc((size_t)blocks);
    float        *absmax = mem_alloc((size_t)(2 * blocks) * sizeof *absmax), *absmax2 = absmax + blocks, map[256], offset;
    pack_nf4(code, absmax, v, n);
    pack_absmax(code2, absmax2, &offset, absmax, blocks);
    pack_dynamic_map(map);
    for (int64_t b = 0; b < blocks; b++, to += step) {
        const float product = map[code2[b]] * absmax2[b / BLOCK2], scale = product + offset;
        memcpy(to, &scale, sizeof scale);
        memcpy(to + sizeof scale, code + b * BLOCK / 2, BLOCK / 2);
    }
    free(code);
    free(code2);
    free(absmax);
}

void pack_int8(int8_t *code, float *scb, const float *m, int64_t rows, int64_t cols)
{
    for (int64_t r = 0; r < rows; r++) {
        scb[r] = largest(m + r * cols, cols);
        const float factor = scb[r] > 0 ? 1.0f / scb[r] * 127.0f : 0; /* a row of zeros stays zero */
        for (int64_t c = 0; c < cols; c++)
            code[r * cols + c] = (int8_t)rintf(m[r * cols + c] * factor);
    }
}

/* --- tensors -------------------------------------------------------------------------------------------------------------------------------- */

typedef enum { T_CODE4, T_ABSMAX, T_ABSMAX_CODE, T_ABSMAX2, T_MAP2, T_MAP, T_STATE, T_CODE8, T_SCB, T_FORMAT } TensorKind;

/* What stands behind the module's name, what is in it, and for which kinds (a bit each) it is written. */
static const struct { const char *suffix; TensorKind what; unsigned kinds; bool bytes; } parts[] = {
    { ".weight",                                 T_CODE4,       1u << PACK_NF4 | 1u << PACK_NF4_DOUBLE, true  },
    { ".weight.absmax",                          T_ABSMAX,      1u << PACK_NF4,                         false },
    { ".weight.absmax",                          T_ABSMAX_CODE, 1u << PACK_NF4_DOUBLE,                  true  },
    { ".weight.nested_absmax",                   T_ABSMAX2,     1u << PACK_NF4_DOUBLE,                  false },
    { ".weight.nested_quant_map",                T_MAP2,        1u << PACK_NF4_DOUBLE,                  false },
    { ".weight.quant_map",                       T_MAP,         1u << PACK_NF4 | 1u << PACK_NF4_DOUBLE, false },
    { ".weight.quant_state.bitsandbytes__nf4",   T_STATE,       1u << PACK_NF4 | 1u << PACK_NF4_DOUBLE, true  },
    { ".weight",                                 T_CODE8,       1u << PACK_INT8,                        true  },
    { ".SCB",                                    T_SCB,         1u << PACK_INT8,                        false },
    { ".weight_format",                          T_FORMAT,      1u << PACK_INT8,                        true  },
};

static int64_t blocks_of(int64_t n, int64_t block) { return n / block + (n % block != 0); }

static int shape_of(TensorKind what, int64_t rows, int64_t cols, int64_t dim[2])
{
    const int64_t n = rows * cols, blocks = blocks_of(n, BLOCK);
    const int64_t first[] = { [T_CODE4] = n / 2 + n % 2, [T_ABSMAX] = blocks, [T_ABSMAX_CODE] = blocks, [T_ABSMAX2] = blocks_of(blocks, BLOCK2), [T_MAP2] = 256,
                              [T_MAP] = 16, [T_STATE] = STATE_BYTES, [T_CODE8] = rows, [T_SCB] = rows, [T_FORMAT] = 1 };
    dim[0] = first[what];
    dim[1] = what == T_CODE8 ? cols : 1;
    return what == T_FORMAT ? 0 : what == T_CODE4 || what == T_CODE8 ? 2 : 1;
}

void pack_declare(StWriter *w, PackKind kind, const char *name, int64_t rows, int64_t cols)
{
    BUG_ON(!str_ends(str_of(name), ".weight") || rows < 1 || cols < 1);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        int64_t dim[2];
        StrBuf  full = { 0 };
        if (!(parts[i].kinds >> kind & 1))
            continue;
        const int rank = shape_of(parts[i].what, rows, cols, dim);
        strbuf_add(&full, name, strlen(name) - strlen(".weight"));
        strbuf_addz(&full, parts[i].suffix);
        if (parts[i].bytes)
            st_declare_bytes(w, strbuf_z(&full), parts[i].what == T_CODE8, rank, dim);
        else
            st_declare(w, strbuf_z(&full), DT_F32, rank, dim);
        strbuf_release(&full);
    }
}

static const char *type_name(DType t) { return t == DT_F32 ? "float32" : t == DT_F16 ? "float16" : "bfloat16"; }

static void state_text(char text[STATE_BYTES], PackKind kind, int64_t rows, int64_t cols, DType dtype, float offset)
{
    StrBuf s = { 0 };
    strbuf_addf(&s, "{\"quant_type\": \"nf4\", \"blocksize\": %d, \"dtype\": \"%s\", \"shape\": [%lld, %lld]", BLOCK, type_name(dtype), (long long)rows,
                (long long)cols);
    if (kind == PACK_NF4_DOUBLE)
        strbuf_addf(&s, ", \"nested_blocksize\": %d, \"nested_dtype\": \"float32\", \"nested_offset\": %.17g", BLOCK2, (double)offset);
    strbuf_addc(&s, '}');
    BUG_ON(s.n > STATE_BYTES);
    memset(text, ' ', STATE_BYTES);
    memcpy(text, s.p, s.n);
    strbuf_release(&s);
}

/* Everything that is written for one matrix, one block of memory each. */
typedef struct Parts { uint8_t *code, *code2; float *absmax, *absmax2, offset; char state[STATE_BYTES]; } Parts;

static const void *bytes_of(const Parts *p, TensorKind what, const float map2[256], size_t n, size_t *nbytes)
{
    static const uint8_t row_format = 0;
    const void *at[] = { [T_CODE4] = p->code, [T_ABSMAX] = p->absmax, [T_ABSMAX_CODE] = p->code2, [T_ABSMAX2] = p->absmax2, [T_MAP2] = map2,
                         [T_MAP] = dtype_nf4_code, [T_STATE] = p->state, [T_CODE8] = p->code, [T_SCB] = p->absmax, [T_FORMAT] = &row_format };
    *nbytes = n;
    return at[what];
}

static int write_parts(StWriter *w, PackKind kind, const Parts *p, int64_t rows, int64_t cols, Err *e)
{
    float map2[256];
    int   rc = 0;
    pack_dynamic_map(map2);
    for (size_t i = 0; i < ARRAY_LEN(parts) && !rc; i++) {
        int64_t dim[2];
        size_t  nbytes;
        if (!(parts[i].kinds >> kind & 1))
            continue;
        const int rank = shape_of(parts[i].what, rows, cols, dim);
        const size_t count = (size_t)dim[0] * (rank == 2 ? (size_t)dim[1] : 1);
        const void *bytes = bytes_of(p, parts[i].what, map2, count * (parts[i].bytes ? 1 : sizeof(float)), &nbytes);
        rc = st_write(w, bytes, nbytes, e);
    }
    return rc;
}

int pack_write(StWriter *w, PackKind kind, const char *name, const float *m, int64_t rows, int64_t cols, DType dtype, Err *e)
{
    const int64_t n = rows * cols, blocks = blocks_of(n, BLOCK);
    float        *v = mem_alloc((size_t)n * sizeof *v);
    Parts         p = { 0 };
    int           rc = 0;
    memcpy(v, m, (size_t)n * sizeof *v);
    packed_round(v, n, dtype);
    if (kind == PACK_INT8)
        packed_round(v, n, DT_F16);
    for (int64_t i = 0; i < n && !rc; i++)
        if (!isfinite(v[i]))
            rc = err_set(e, ERR_WORK, "%s: number %lld is %g, which cannot be packed%s", name, (long long)i, (double)m[i],
                         isfinite(m[i]) ? ": it is too large for 16 bits" : "");
    if (rc)
        goto done;
    p.code = mem_alloc((size_t)n);
    p.absmax = mem_alloc((size_t)MAX(blocks, rows) * sizeof *p.absmax);
    if (kind == PACK_INT8) {
        pack_int8((int8_t *)p.code, p.absmax, v, rows, cols);
    } else {
        p.code2 = mem_alloc((size_t)blocks);
        p.absmax2 = mem_alloc((size_t)blocks_of(blocks, BLOCK2) * sizeof *p.absmax2);
        pack_nf4(p.code, p.absmax, v, n);
        pack_absmax(p.code2, p.absmax2, &p.offset, p.absmax, blocks);
        state_text(p.state, kind, rows, cols, dtype, p.offset);
    }
    rc = write_parts(w, kind, &p, rows, cols, e);
done:
    free(p.code);
    free(p.code2);
    free(p.absmax);
    free(p.absmax2);
    free(v);
    return rc;
}

Json *pack_config(PackKind kind, DType dtype, const char *const *skip)
{
    Json *q = json_obj_new(), *list = json_arr_new();
    for (; *skip; skip++)
        json_push(list, json_str_new(str_of(*skip)));
    json_set(q, "quant_method", json_str_new(STR_LIT("bitsandbytes")));
    json_set(q, "load_in_4bit", json_bool_new(kind != PACK_INT8));
    json_set(q, "load_in_8bit", json_bool_new(kind == PACK_INT8));
    json_set(q, "llm_int8_skip_modules", list);
    if (kind != PACK_INT8) {
        json_set(q, "bnb_4bit_quant_type", json_str_new(STR_LIT("nf4")));
        json_set(q, "bnb_4bit_use_double_quant", json_bool_new(kind == PACK_NF4_DOUBLE));
        json_set(q, "bnb_4bit_compute_dtype", json_str_new(str_of(type_name(dtype))));
        json_set(q, "bnb_4bit_quant_storage", json_str_new(STR_LIT("uint8")));
    }
    return q;
}
