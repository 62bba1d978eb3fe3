/* packed_bnb.c - matrices packed by bitsandbytes. Four bits: two codes a byte, the high half first, running through the matrix row by row; `block`
 * codes share an absmax, and when double quantised the absmaxes are bytes of a code book of their own. What is no tensor lies as JSON text in
 * "weight.quant_state.bitsandbytes__nf4". Eight bits: a row of bytes shares the scale SCB.
 * The code books of NF4 and FP4 are the ones bitsandbytes computes with; a file that carries others is refused, since bitsandbytes itself would
 * not look at them. */
#include "formats/packed_int.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

#define STATE_MAX 4096                 /* bytes of the JSON text; written ones have about 200 */

/* Sign, two bits of exponent, one of fraction, divided by the largest. */
static const float fp4[16] = {
    0, 0x1.555556p-8f, 0x1.555556p-1f, 1, 0x1.555556p-2f, 0.5f, 0x1.555556p-3f, 0.25f,
    0, -0x1.555556p-8f, -0x1.555556p-1f, -1, -0x1.555556p-2f, -0.5f, -0x1.555556p-3f, -0.25f,
};
static const struct Book { const char *name, *stored; const float *code; } books[] = { { "nf4", "NF4", dtype_nf4_code }, { "fp4", "FP4", fp4 } };

/* --- four bits ------------------------------------------------------------------------------------------------------------------------------ */

static int block_scale(const Packed *p, int64_t b, float *absmax, Err *e)
{
    float scale2;
    if (!p->part[PART_SCALE2])
        return packed_scale(p, PART_SCALE, b, absmax, e);
    int rc = packed_scale(p, PART_SCALE2, b / p->block2, &scale2, e);
    if (rc)
        return rc;
    const uint8_t code = ((const uint8_t *)p->part[PART_SCALE]->data)[b];
    const float   product = packed_number(p->part[PART_MAP2], code) * scale2;
    *absmax = product + p->offset;
    return 0;
}

static int read4(const Packed *p, int64_t first, int64_t n, float *dst, Err *e)
{
    const uint8_t *code = p->part[PART_CODE]->data;
    for (int64_t i = first; i < first + n; ) {
        const int64_t block_end = (i / p->block + 1) * p->block, end = MIN(block_end, first + n);
        float         absmax;
        int           rc = block_scale(p, i / p->block, &absmax, e);
        if (rc)
            return rc;
        for (; i < end; i++)
            *dst++ = p->table[i % 2 ? code[i / 2] & 15 : code[i / 2] >> 4] * absmax;
    }
    return 0;
}

/* A row as DT_NF4 has it: each block of 64 codes behind its absmax. */
static int make_row4(const Packed *p, int64_t row, void *dst, Err *e)
{
    const uint8_t *code = (const uint8_t *)p->part[PART_CODE]->data + row * p->cols / 2;
    uint8_t       *to = dst;
    int            rc = 0;
    for (int64_t i = 0; i < p->cols && !rc; i += p->block, code += p->block / 2, to += dtype_bytes(DT_NF4, p->block)) {
        float absmax = 0;
        rc = block_scale(p, (row * p->cols + i) / p->block, &absmax, e);
        memcpy(to, &absmax, sizeof absmax);
        memcpy(to + sizeof absmax, code, (size_t)p->block / 2);
    }
    return rc;
}

static int state_int(const Json *state, const char *key, int64_t low, int64_t high, int64_t *v, const char *where, Err *e)
{
    int rc = json_need_int(state, key, v, where, e);
    if (!rc && (*v < low || *v > high))
        rc = err_set(e, ERR_INPUT, "%s: %s is %lld; expected %lld to %lld", where, key, (long long)*v, (long long)low, (long long)high);
    return rc;
}

/* shape, blocks and the offset, out of the JSON text. */
static int read_state(Packed *p, const Json *state, const char *where, Err *e)
{
    static const char *const known[] = { "quant_type", "blocksize", "dtype", "shape", "nested_blocksize", "nested_dtype", "nested_offset" };
    const Json *shape = json_get(state, "shape");
    double      offset = 0;
    Str         key, type;
    Json       *value;
    size_t      i;
    int         rc;
    for (JsonIter it = { 0 }; json_each(state, &it, &key, &value); ) {
        for (i = 0; i < ARRAY_LEN(known) && !str_eqz(key, known[i]); i++)
            ;
        if (i == ARRAY_LEN(known))
            return err_set(e, ERR_INPUT, "%s: hone does not know the key \"%.*s\"", where, (int)MIN(key.n, 40), key.p);
    }
    if ((rc = json_need_str(state, "quant_type", &type, where, e)) || (rc = state_int(state, "blocksize", 16, 4096, &p->block, where, e)))
        return rc;
    for (i = 0; i < ARRAY_LEN(books) && !str_eqz(type, books[i].name); i++)
        ;
    if (i == ARRAY_LEN(books) || !str_ends(str_of(p->part[PART_STATE]->name), books[i].name))
        return err_set(e, ERR_INPUT, "%s: quant_type is \"%.*s\"; expected nf4 or fp4, and the same as the tensor's name says", where, (int)MIN(type.n, 40), type.p);
    p->table = books[i].code;
    memcpy(p->stored, books[i].stored, strlen(books[i].stored) + 1);
    p->rows = json_kind(shape) == JSON_ARRAY && json_len(shape) == 2 ? json_int(json_at(shape, 0)) : 0;
    p->cols = json_kind(shape) == JSON_ARRAY && json_len(shape) == 2 ? json_int(json_at(shape, 1)) : 0;
    int64_t count;
    if (p->rows < 1 || p->cols < 1 || __builtin_mul_overflow(p->rows, p->cols, &count))
        return err_set(e, ERR_INPUT, "%s: shape must be a list of two whole numbers, outputs and inputs", where);
    if (!p->part[PART_SCALE2])
        return 0;
    if ((rc = json_need_num(state, "nested_offset", &offset, where, e)) || (rc = state_int(state, "nested_blocksize", 1, 1 << 20, &p->block2, where, e)))
        return rc;
    p->offset = (float)offset;
    return isfinite(p->offset) ? 0 : err_set(e, ERR_INPUT, "%s: nested_offset is not a finite number", where);
}

static int check_book(const Packed *p, Err *e)
{
    const StTensor *map = p->part[PART_MAP];
    if (!packed_is(map, "F32", 1) || map->count != 16)
        return packed_misshapen(p, PART_MAP, "the 16 numbers of the code book, in F32", e);
    for (int i = 0; i < 16; i++)
        if (!(fabsf(packed_number(map, i) - p->table[i]) <= 1e-5f))
            return err_set(e, ERR_INPUT, "%s: %s is not the code book of %s: number %d is %g, expected %g", st_where(p->f, map), map->name, p->stored, i,
                           (double)packed_number(map, i), (double)p->table[i]);
    return 0;
}

static int check_book2(const Packed *p, Err *e)
{
    const StTensor *map = p->part[PART_MAP2];
    float ignored;
    int   rc = 0;
    if (!map)
        return packed_missing(p, ".weight.nested_quant_map", e);
    if (!packed_is(map, "F32", 1) || map->count != 256)
        return packed_misshapen(p, PART_MAP2, "the 256 numbers of the code book, in F32", e);
    for (int i = 0; i < 256 && !rc; i++)
        rc = packed_scale(p, PART_MAP2, i, &ignored, e);
    return rc;
}

static int check4(const Packed *p, Err *e)
{
    const int64_t   n = p->rows * p->cols, blocks = n / p->block + (n % p->block != 0), bytes = n / 2 + n % 2;
    const StTensor *code = p->part[PART_CODE], *scale = p->part[PART_SCALE];
    if ((int64_t)code->nbytes != bytes)
        return err_set(e, ERR_INPUT, "%s: %s has %zu bytes, but its quant_state speaks of %lld x %lld numbers, two a byte", st_where(p->f, code), code->name,
                       code->nbytes, (long long)p->rows, (long long)p->cols);
    if (scale->count != blocks || scale->rank != 1)
        return packed_misshapen(p, PART_SCALE, "one number for each block of blocksize codes", e);
    if (!p->part[PART_SCALE2])
        return packed_is_float(scale) ? 0 : packed_misshapen(p, PART_SCALE, "F32, or U8 with a nested_absmax beside it", e);
    if (!packed_is(scale, "U8", 1))
        return packed_misshapen(p, PART_SCALE, "U8, since there is a nested_absmax", e);
    if (!packed_is(p->part[PART_SCALE2], "F32", 1) || p->part[PART_SCALE2]->count != blocks / p->block2 + (blocks % p->block2 != 0))
        return packed_misshapen(p, PART_SCALE2, "one F32 number for each nested_blocksize blocks", e);
    return check_book2(p, e);
}

static int describe4(Packed *p, Err *e)
{
    const StTensor *t = p->part[PART_STATE];
    Json           *state = NULL;
    StrBuf          where = { 0 };
    int             rc;
    if (!p->part[PART_SCALE])
        return packed_missing(p, ".weight.absmax", e);
    if (!p->part[PART_MAP])
        return packed_missing(p, ".weight.quant_map", e);
    if (!packed_is(t, "U8", 1) || t->nbytes > STATE_MAX)
        return packed_misshapen(p, PART_STATE, "a short JSON text, in U8", e);
    strbuf_addf(&where, "%s: %s", packed_where(p), t->name);
    rc = json_parse(&state, (Str){ t->data, t->nbytes }, strbuf_z(&where), e);
    rc = rc ? rc : read_state(p, state, strbuf_z(&where), e);
    rc = rc ? rc : check_book(p, e);
    rc = rc ? rc : check4(p, e);
    p->read = read4;
    if (!rc && p->table == dtype_nf4_code && p->block == 64 && p->cols % 64 == 0) {
        p->kernel = DT_NF4;
        p->make_row = make_row4;
    }
    json_free(state);
    strbuf_release(&where);
    return rc;
}

/* --- eight bits ----------------------------------------------------------------------------------------------------------------------------- */

static int read8(const Packed *p, int64_t first, int64_t n, float *dst, Err *e)
{
    const int8_t *code = p->part[PART_CODE]->data;
    for (int64_t i = first; i < first + n; ) {
        const int64_t row_end = (i / p->cols + 1) * p->cols, end = MIN(row_end, first + n);
        float         scale;
        int           rc = packed_scale(p, PART_ROW_SCALE, i / p->cols, &scale, e);
        if (rc)
            return rc;
        for (; i < end; i++) {
            const float product = (float)code[i] * scale;
            *dst++ = product * DTYPE_INT8_UNIT;
        }
    }
    return 0;
}

/* A row as DT_INT8 has it: every block of 64 with the row's scale. */
static int make_row8(const Packed *p, int64_t row, void *dst, Err *e)
{
    const int8_t *code = (const int8_t *)p->part[PART_CODE]->data + row * p->cols;
    uint8_t      *to = dst;
    float         scale;
    int           rc = packed_scale(p, PART_ROW_SCALE, row, &scale, e);
    for (int64_t i = 0; i < p->cols && !rc; i += 64, code += 64, to += dtype_bytes(DT_INT8, 64)) {
        memcpy(to, &scale, sizeof scale);
        memcpy(to + sizeof scale, code, 64);
    }
    return rc;
}

static int describe8(Packed *p, Err *e)
{
    const StTensor *code = p->part[PART_CODE], *scale = p->part[PART_ROW_SCALE], *format = p->part[PART_FORMAT];
    if (!scale)
        return packed_missing(p, ".SCB", e);
    if (!packed_is(code, "I8", 2))
        return packed_misshapen(p, PART_CODE, "I8 of two dimensions, since there is an SCB beside it", e);
    if (!packed_is_float(scale) || scale->count != code->dim[0] || scale->rank > 2)
        return packed_misshapen(p, PART_ROW_SCALE, "one number for each row of the weight", e);
    if (format && (format->count != 1 || strcmp(format->dtype_text, "U8") != 0 || *(const uint8_t *)format->data != 0))
        return err_set(e, ERR_INPUT, "%s: %s says that the bytes are not laid out row by row; hone reads weight_format 0 (row)", packed_where(p), format->name);
    p->rows = code->dim[0];
    p->cols = code->dim[1];
    p->read = read8;
    if (p->cols % 64 == 0) {
        p->kernel = DT_INT8;
        p->make_row = make_row8;
    }
    memcpy(p->stored, "INT8", sizeof "INT8");
    return 0;
}

int packed_bnb_describe(Packed *p, const PackedConfig *c, Err *e)
{
    static const Part four[] = { PART_STATE, PART_SCALE, PART_MAP, PART_SCALE2, PART_MAP2 };
    bool any_four = false;
    (void)c;
    for (size_t i = 0; i < ARRAY_LEN(four); i++)
        any_four |= p->part[four[i]] != NULL;
    if (!any_four)
        return describe8(p, e);
    if (!p->part[PART_STATE])
        return packed_missing(p, ".weight.quant_state.bitsandbytes__nf4", e);
    if (p->part[PART_ROW_SCALE] || p->part[PART_FORMAT])
        return err_set(e, ERR_INPUT, "%s: %s has parts of 4-bit and of 8-bit packing", packed_where(p), p->name);
    return describe4(p, e);
}
