/* packed_words.c - matrices whose codes lie in 32-bit words: GPTQ (words run down the inputs), AWQ (words run along the outputs, in an order of their
 * own) and compressed-tensors' pack-quantized (words run along the inputs of a row). Codes follow each other bit by bit, the first in the
 * lowest bits; where the bits do not divide 32, a code may begin in one word and end in the next. The scale and the zero point of a number are
 * those of its output and of the group of its input. */
#include "formats/packed_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

static uint32_t word(const StTensor *t, int64_t i)
{
    uint32_t w;
    memcpy(&w, (const uint8_t *)t->data + (size_t)i * sizeof w, sizeof w);
    return w;
}

/* Code `index` of those packed into the words first, first + step, ...; `add` is added to every word before. */
static uint32_t code_at(const StTensor *t, int64_t first, int64_t step, int64_t index, int bits, uint32_t add)
{
    const int64_t at = first + index * bits / 32 * step;
    const int     shift = (int)(index * bits % 32);
    uint32_t      v = (word(t, at) + add) >> shift;
    if (shift + bits > 32)
        v |= (word(t, at + step) + add) << (32 - shift);
    return v & ((1u << bits) - 1);
}

static int64_t words_of(int64_t n, int bits) { return (n * bits + 31) / 32; }

/* The 8 codes of a word belong to outputs 0 2 4 6 1 3 5 7; this is where each output is found. */
static int64_t awq_place(int64_t o)
{
    static const int place[8] = { 0, 4, 1, 5, 2, 6, 3, 7 };
    return o / 8 * 8 + place[o % 8];
}

/* --- one row ------------------------------------------------------------------------------------------------------------------------------ */

typedef struct Line { float *scale, *zero; const int32_t *group; } Line;       /* [groups], [groups], [cols] or NULL */
typedef int RowScales(const Packed *p, int64_t o, int64_t g, float *scale, float *zero, Err *e);
typedef uint32_t RowCode(const Packed *p, int64_t o, int64_t i);

/* Zero points of the first GPTQ format lie one too low. They are raised word by word, as the programs do that read and write them: a carry out of
 * one code's bits undoes the borrow of the writer. Codes of 3 bits straddle words, so those are raised one by one. */
static int gptq_scales(const Packed *p, int64_t o, int64_t g, float *scale, float *zero, Err *e)
{
    static const uint32_t ones[9] = { [2] = 0x55555555u, [4] = 0x11111111u, [8] = 0x01010101u };
    const StTensor *z = p->part[PART_ZERO];
    uint32_t code = code_at(z, g * z->dim[1], 1, o, p->bits, p->zero_less_one ? ones[p->bits] : 0);
    if (p->zero_less_one && p->bits == 3)
        code = (code + 1) & 7;
    *zero = (float)code;
    return packed_scale(p, PART_SCALE, g * p->rows + o, scale, e);
}

static uint32_t gptq_code(const Packed *p, int64_t o, int64_t i)
{
    return code_at(p->part[PART_CODE], o, p->rows, i, p->bits, 0);
}

static int awq_scales(const Packed *p, int64_t o, int64_t g, float *scale, float *zero, Err *e)
{
    const StTensor *z = p->part[PART_ZERO];
    *zero = (float)code_at(z, g * z->dim[1], 1, awq_place(o), 4, 0);
    return packed_scale(p, PART_SCALE, g * p->rows + o, scale, e);
}

static uint32_t awq_code(const Packed *p, int64_t o, int64_t i)
{
    return code_at(p->part[PART_CODE], i * (p->rows / 8), 1, awq_place(o), 4, 0);
}

static int ct_scales(const Packed *p, int64_t o, int64_t g, float *scale, float *zero, Err *e)
{
    const StTensor *z = p->part[PART_ZERO];
    const int64_t   groups = p->cols / p->block_cols;
    *zero = z ? (float)code_at(z, g, groups, o, p->bits, 0) : (float)(1 << (p->bits - 1));
    return packed_scale(p, PART_SCALE, o * groups + g, scale, e);
}

static uint32_t ct_code(const Packed *p, int64_t o, int64_t i)
{
    return code_at(p->part[PART_CODE], o * p->part[PART_CODE]->dim[1], 1, i, p->bits, 0);
}

static int read_rows(const Packed *p, int64_t first, int64_t n, float *dst, RowCode *code, RowScales *scales, Err *e)
{
    const StTensor *by_input = p->part[PART_GROUP];
    const int64_t   groups = (p->cols - 1) / p->block_cols + 1, held = by_input ? p->part[PART_SCALE]->dim[0] : groups;
    float          *scale = mem_alloc((size_t)held * 2 * sizeof *scale), *zero = scale + held;
    int             rc = 0;
    for (int64_t o = first / p->cols; o < (first + n) / p->cols && !rc; o++) {
        for (int64_t g = 0; g < held && !rc; g++)
            rc = scales(p, o, g, &scale[g], &zero[g], e);
        for (int64_t i = 0; i < p->cols && !rc; i++) {
            const int64_t g = by_input ? (int64_t)word(by_input, i) : i / p->block_cols;
            dst[i] = ((float)code(p, o, i) - zero[g]) * scale[g];
        }
        packed_round(dst, rc ? 0 : p->cols, p->round_to);
        dst += p->cols;
    }
    free(scale);
    return rc;
}

static int read_gptq(const Packed *p, int64_t first, int64_t n, float *dst, Err *e) { return read_rows(p, first, n, dst, gptq_code, gptq_scales, e); }
static int read_awq(const Packed *p, int64_t first, int64_t n, float *dst, Err *e) { return read_rows(p, first, n, dst, awq_code, awq_scales, e); }
static int read_ct(const Packed *p, int64_t first, int64_t n, float *dst, Err *e) { return read_rows(p, first, n, dst, ct_code, ct_scales, e); }

/* --- do the parts agree? -------------------------------------------------------------------------------------------------------------------- */

/* scales [groups, out] and qzeros [groups, out in words], for GPTQ and AWQ. Sets block_cols and round_to. */
static int check_scales(Packed *p, const PackedConfig *c, Err *e)
{
    const StTensor *scale = p->part[PART_SCALE], *zero = p->part[PART_ZERO];
    p->block_cols = c->group == -1 ? p->cols : c->group;
    if (!packed_is_float(scale) || scale->rank != 2 || scale->dim[1] != p->rows || scale->dim[0] != (p->cols - 1) / p->block_cols + 1)
        return packed_misshapen(p, PART_SCALE, "numbers, a row for each group of group_size inputs, a column for each output", e);
    if (!packed_is(zero, "I32", 2) || zero->dim[0] != scale->dim[0] || zero->dim[1] != words_of(p->rows, p->bits))
        return packed_misshapen(p, PART_ZERO, "I32, a row for each group and as many words as its outputs take", e);
    p->round_to = scale->dtype;
    return 0;
}

static int check_groups(const Packed *p, Err *e)
{
    const StTensor *g = p->part[PART_GROUP];
    const int64_t   n = p->part[PART_SCALE]->dim[0];
    for (int64_t i = 0; g && i < g->count; i++)
        if ((int64_t)word(g, i) >= n)
            return err_set(e, ERR_INPUT, "%s: %s puts input %lld into group %d, and there are %lld groups", st_where(p->f, g), g->name, (long long)i,
                           (int)(int32_t)word(g, i), (long long)n);
    return 0;
}

static int need_parts(const Packed *p, Err *e)
{
    if (!p->part[PART_SCALE])
        return packed_missing(p, ".scales", e);
    return p->part[PART_ZERO] ? 0 : packed_missing(p, ".qzeros", e);
}

int packed_gptq_describe(Packed *p, const PackedConfig *c, Err *e)
{
    const StTensor *code = p->part[PART_CODE], *group = p->part[PART_GROUP];
    int rc = need_parts(p, e);
    if (rc)
        return rc;
    p->bits = (int)c->bits;
    if (!packed_is(code, "I32", 2))
        return packed_misshapen(p, PART_CODE, "I32 of two dimensions", e);
    if (!group && c->act_order)
        return packed_missing(p, ".g_idx", e);
    if (group && !packed_is(group, "I32", 1))
        return packed_misshapen(p, PART_GROUP, "I32, one for each input", e);
    p->rows = code->dim[1];
    p->cols = group ? group->count : code->dim[0] * 32 / p->bits;
    if (code->dim[0] != words_of(p->cols, p->bits))
        return packed_misshapen(p, PART_CODE, "as many words down as the inputs take with the bits that config.json names", e);
    p->zero_less_one = c->zero_less_one;
    p->read = read_gptq;
    snprintf(p->stored, sizeof p->stored, "GPTQ%d", p->bits);
    return (rc = check_scales(p, c, e)) ? rc : check_groups(p, e);
}

int packed_awq_describe(Packed *p, const PackedConfig *c, Err *e)
{
    const StTensor *code = p->part[PART_CODE];
    int rc = need_parts(p, e);
    if (rc)
        return rc;
    if (!packed_is(code, "I32", 2))
        return packed_misshapen(p, PART_CODE, "I32 of two dimensions", e);
    p->bits = 4;
    p->rows = code->dim[1] * 8;
    p->cols = code->dim[0];
    p->read = read_awq;
    snprintf(p->stored, sizeof p->stored, "AWQ4");
    return check_scales(p, c, e);
}

/* The bits of this matrix: those named in the config that give words of this length. */
static int find_bits(Packed *p, const PackedConfig *c, Err *e)
{
    const StTensor *code = p->part[PART_CODE];
    for (int bits = 1; bits <= 8; bits++)
        if (c->bit_sizes >> bits & 1 && words_of(p->cols, bits) == code->dim[1]) {
            if (p->bits)
                return err_set(e, ERR_INPUT, "%s: %s may have %d or %d bits a number; the config names both", packed_where(p), code->name, p->bits, bits);
            p->bits = bits;
        }
    return p->bits ? 0 : packed_misshapen(p, PART_CODE, "words for the inputs of weight_shape with the num_bits that config.json names", e);
}

int packed_ct_words_describe(Packed *p, const PackedConfig *c, Err *e)
{
    const StTensor *code = p->part[PART_CODE], *shape = p->part[PART_SHAPE], *scale = p->part[PART_SCALE], *zero = p->part[PART_ZERO];
    int64_t dim[2] = { 0 };
    int     rc;
    if (!scale)
        return packed_missing(p, ".weight_scale", e);
    if (p->part[PART_GROUP])
        return err_set(e, ERR_INPUT, "%s: %s: hone does not read reordered groups in this format", packed_where(p), p->part[PART_GROUP]->name);
    if (shape->count != 2 || (strcmp(shape->dtype_text, "I64") != 0 && strcmp(shape->dtype_text, "I32") != 0))
        return packed_misshapen(p, PART_SHAPE, "two numbers, outputs and inputs, in I64 or I32", e);
    for (int i = 0; i < 2; i++)
        if (shape->nbytes == 16)
            memcpy(&dim[i], (const char *)shape->data + 8 * i, 8);
        else
            dim[i] = (int64_t)word(shape, i);
    if (!packed_is(code, "I32", 2) || code->dim[0] != dim[0] || dim[1] < 1 || dim[1] > code->dim[1] * 32)
        return packed_misshapen(p, PART_CODE, "I32, a row for each output of weight_shape", e);
    p->rows = dim[0];
    p->cols = dim[1];
    if ((rc = find_bits(p, c, e)))
        return rc;
    const int64_t groups = scale->rank == 2 ? scale->dim[1] : 1;
    if (!packed_is_float(scale) || scale->rank > 2 || scale->rank < 1 || scale->dim[0] != p->rows || p->cols % groups)
        return packed_misshapen(p, PART_SCALE, "numbers, one for each output, or for each group of its inputs", e);
    if (zero && (!packed_is(zero, "I32", 2) || zero->dim[0] != words_of(p->rows, p->bits) || zero->dim[1] != groups))
        return packed_misshapen(p, PART_ZERO, "I32, as many words down as the outputs take, a column for each group", e);
    if (!zero && c->wants_zero)
        return packed_missing(p, ".weight_zero_point", e);
    p->block_cols = p->cols / groups;
    p->round_to = scale->dtype;
    p->read = read_ct;
    snprintf(p->stored, sizeof p->stored, "INT%d", p->bits);
    return 0;
}
