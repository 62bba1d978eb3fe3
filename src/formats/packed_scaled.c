/* packed_scaled.c - matrices of one byte a number (FP8 or INT8) under a grid of scales: one for the tensor, for each row, for a group of columns in a
 * row, or for a block of rows and columns. Which grid it is follows from the shape of the scales; only the size of two-dimensional blocks must be
 * said by the config. */
#include "formats/packed_int.h"

#include <math.h>
#include <stdio.h>

static const struct Code { const char *dtype; int exponent_bits; bool has_infinity; } codes[] = {
    { "F8_E4M3", 4, false },           /* no infinities: all ones is NaN */
    { "F8_E5M2", 5, true  },
    { "I8",      0, false },
};

void float8_table(float table[256], int exponent_bits, bool has_infinity)
{
    const int fraction_bits = 7 - exponent_bits, bias = (1 << (exponent_bits - 1)) - 1, top = (1 << exponent_bits) - 1;
    for (int i = 0; i < 256; i++) {
        const int exponent = (i & 127) >> fraction_bits, fraction = i & ((1 << fraction_bits) - 1), one = 1 << fraction_bits;
        float     v = exponent ? ldexpf((float)(one + fraction), exponent - bias - fraction_bits) : ldexpf((float)fraction, 1 - bias - fraction_bits);
        if (exponent == top && (has_infinity || fraction == one - 1))
            v = has_infinity && fraction == 0 ? INFINITY : NAN;
        table[i] = i & 128 ? -v : v;
    }
}

static const struct Code *code_of(const StTensor *t)
{
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (!strcmp(t->dtype_text, codes[i].dtype))
            return &codes[i];
    return NULL;
}

static int read_scaled(const Packed *p, int64_t first, int64_t n, float *dst, Err *e)
{
    const StTensor *zero = p->part[PART_ZERO];
    const uint8_t  *code = p->part[PART_CODE]->data;
    const int64_t   across = (p->cols - 1) / p->block_cols + 1;
    const struct Code *kind = code_of(p->part[PART_CODE]);
    float           table[256];
    if (kind->exponent_bits)
        float8_table(table, kind->exponent_bits, kind->has_infinity);
    for (int i = 0; i < 256 && !kind->exponent_bits; i++)
        table[i] = (float)(i < 128 ? i : i - 256);
    for (int64_t i = first; i < first + n; ) {
        const int64_t row = i / p->cols, col = i % p->cols, cell = row / p->block_rows * across + col / p->block_cols;
        const int64_t to = MIN((col / p->block_cols + 1) * p->block_cols, p->cols), end = MIN(row * p->cols + to, first + n);
        const float   origin = zero ? (float)((const int8_t *)zero->data)[cell] : 0;
        float         scale;
        int           rc = packed_scale(p, PART_SCALE, cell, &scale, e);
        if (rc)
            return rc;
        float *out = dst + (i - first);
        const int64_t len = end - i;
        for (; i < end; i++)
            out[i - (end - len)] = (table[code[i]] - origin) * scale;
        packed_round(out, len, p->round_to);
    }
    return 0;
}

/* Blocks of the config first, then what the shape says by itself. */
static int find_grid(Packed *p, const int64_t block[2], bool groups, Err *e)
{
    const StTensor *s = p->part[PART_SCALE];
    const int64_t   down = s->rank > 0 ? s->dim[0] : 1, across = s->rank > 1 ? s->dim[1] : 1;
    p->block_rows = p->rows;
    p->block_cols = p->cols;
    if (s->count == 1 && s->rank <= 2)
        return block[0] && (block[0] < p->rows || block[1] < p->cols) && s->rank == 2 ?
               packed_misshapen(p, PART_SCALE, "one scale for each block of weight_block_size", e) : 0;
    if (block[0] && s->rank == 2 && down == (p->rows - 1) / block[0] + 1 && across == (p->cols - 1) / block[1] + 1) {
        p->block_rows = block[0];
        p->block_cols = block[1];
        return 0;
    }
    p->block_rows = 1;
    if (!block[0] && s->rank <= 2 && down == p->rows && across == 1)
        return 0;
    if (!block[0] && groups && s->rank == 2 && down == p->rows && p->cols % across == 0) {
        p->block_cols = p->cols / across;
        return 0;
    }
    return packed_misshapen(p, PART_SCALE, block[0] ? "one scale for each block of the block size that config.json names" :
                            "one scale for the whole weight, or for each of its rows", e);
}

static int describe(Packed *p, const PackedConfig *c, bool groups, bool integers, Err *e)
{
    const StTensor *code = p->part[PART_CODE], *scale = p->part[PART_SCALE];
    const struct Code *kind = code_of(code);
    if (!scale)
        return packed_missing(p, ".weight_scale", e);
    if (!kind || (!kind->exponent_bits && !integers) || code->rank != 2 || code->count < 1)
        return packed_misshapen(p, PART_CODE, integers ? "F8_E4M3, F8_E5M2 or I8 of two dimensions" : "F8_E4M3 or F8_E5M2 of two dimensions", e);
    if (!packed_is_float(scale) && (integers || (strcmp(scale->dtype_text, "F8_E8M0") != 0 && strcmp(scale->dtype_text, "U8") != 0)))
        return packed_misshapen(p, PART_SCALE, "numbers in F32, F16 or BF16", e);
    p->rows = code->dim[0];
    p->cols = code->dim[1];
    p->read = read_scaled;
    snprintf(p->stored, sizeof p->stored, "%s", kind->exponent_bits ? kind->dtype : "INT8");
    return find_grid(p, c->block, groups, e);
}

int packed_fp8_describe(Packed *p, const PackedConfig *c, Err *e)
{
    p->round_to = DT_F32;
    return describe(p, c, false, false, e);
}

int packed_ct_describe(Packed *p, const PackedConfig *c, Err *e)
{
    const StTensor *zero = p->part[PART_ZERO];
    int rc = describe(p, c, true, true, e);
    if (rc)
        return rc;
    p->round_to = p->part[PART_SCALE]->dtype;
    if (p->part[PART_GROUP])
        return err_set(e, ERR_INPUT, "%s: %s: hone does not read reordered groups in this format", packed_where(p), p->part[PART_GROUP]->name);
    if (zero && (strcmp(zero->dtype_text, "I8") != 0 || zero->count != p->part[PART_SCALE]->count))
        return packed_misshapen(p, PART_ZERO, "I8, one for each scale", e);
    return 0;
}
