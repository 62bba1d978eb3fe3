/* packed.c - finds the packed matrices of a checkpoint: config.json names the method, methods[] says how its tensors are called, and the tensors of
 * one module are brought together by what their names share. What the bytes mean is in packed_bnb.c, packed_scaled.c and packed_words.c.
 * The main struct is PackedWeights. Invariants: every tensor of the file is a plain weight, a part of one packed matrix, or named in a method's list as
 * passed over; a packed matrix has all its parts, and their shapes agree.
 *
 * To add a method: its suffixes, a row in methods[], and a describe function that checks the parts and sets `read`. */
#include "formats/packed.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/vec.h"
#include "formats/half.h"
#include "formats/packed_int.h"

typedef struct PackedWeights {
    Weights       face;
    const StFile *f;
    Weights      *plain;               /* the same file as it stands: its entries serve the unpacked tensors */
    VEC(Packed)   m;
    Map          *by_stem;             /* -> index in m */
    Arena         names;
} PackedWeights;

typedef struct Method {
    const char   *name;                /* quant_method */
    const Suffix *suffix;              /* ends with text == NULL */
    const char   *helper;              /* the part without which codes mean nothing; for errors */
    int (*configure)(PackedConfig *c, Err *e);
    int (*describe)(Packed *p, const PackedConfig *c, Err *e);
} Method;

/* --- what the methods call their tensors ---------------------------------------------------------------------------------------------- */

static const Suffix bnb_suffix[] = {
    { ".weight", PART_CODE }, { ".weight.absmax", PART_SCALE }, { ".weight.quant_map", PART_MAP }, { ".weight.nested_absmax", PART_SCALE2 },
    { ".weight.nested_quant_map", PART_MAP2 }, { ".weight.quant_state.bitsandbytes__nf4", PART_STATE },
    { ".weight.quant_state.bitsandbytes__fp4", PART_STATE }, { ".SCB", PART_ROW_SCALE }, { ".weight_format", PART_FORMAT }, { NULL, 0 },
};
static const Suffix fp8_suffix[] = {
    { ".weight", PART_CODE }, { ".weight_scale_inv", PART_SCALE }, { ".activation_scale", PART_IGNORED }, { ".input_scale", PART_IGNORED }, { NULL, 0 },
};
static const Suffix fbgemm_suffix[] = {
    { ".weight", PART_CODE }, { ".weight_scale", PART_SCALE }, { ".input_scale_ub", PART_IGNORED }, { ".input_scale", PART_IGNORED }, { NULL, 0 },
};
static const Suffix ct_suffix[] = {
    { ".weight", PART_CODE }, { ".weight_packed", PART_CODE }, { ".weight_scale", PART_SCALE }, { ".weight_zero_point", PART_ZERO },
    { ".weight_shape", PART_SHAPE }, { ".weight_g_idx", PART_GROUP }, { ".input_scale", PART_IGNORED }, { ".input_zero_point", PART_IGNORED },
    { ".output_scale", PART_IGNORED }, { ".output_zero_point", PART_IGNORED }, { ".k_scale", PART_IGNORED }, { ".v_scale", PART_IGNORED }, { NULL, 0 },
};
static const Suffix gptq_suffix[] = {
    { ".qweight", PART_CODE }, { ".scales", PART_SCALE }, { ".qzeros", PART_ZERO }, { ".g_idx", PART_GROUP }, { NULL, 0 },
};
static const Suffix awq_suffix[] = { { ".qweight", PART_CODE }, { ".scales", PART_SCALE }, { ".qzeros", PART_ZERO }, { NULL, 0 } };

/* --- what quantization_config says -------------------------------------------------------------------------------------------------------- */

static int no_settings(PackedConfig *c, Err *e)
{
    (void)c;
    (void)e;
    return 0;
}

static int read_block(const PackedConfig *c, const Json *pair, const char *key, int64_t block[2], Err *e)
{
    if (!pair || json_kind(pair) == JSON_NULL)
        return 0;
    for (size_t i = 0; i < 2; i++) {
        block[i] = json_kind(pair) == JSON_ARRAY && json_len(pair) == 2 ? json_int(json_at(pair, i)) : 0;
        if (block[i] < 1 || block[i] > INT32_MAX)
            return err_set(e, ERR_INPUT, "%s: %s of quantization_config must be a list of two whole numbers of at least 1", c->where, key);
    }
    return 0;
}

static int fp8_settings(PackedConfig *c, Err *e)
{
    return read_block(c, json_get(c->quant, "weight_block_size"), "weight_block_size", c->block, e);
}

static bool one_of(Str s, const char *const *list)
{
    for (; *list; list++)
        if (str_eqz(s, *list))
            return true;
    return false;
}

static int unknown_value(const PackedConfig *c, const char *key, Str value, const char *known, Err *e)
{
    return err_set(e, ERR_INPUT, "%s: %s of quantization_config is \"%.*s\"; hone reads %s", c->where, key, (int)MIN(value.n, 60), value.p, known);
}

/* Old files write "checkpoint_format" for "format" and "w_bit" for "bits". */
static int word_settings(PackedConfig *c, const char *bits, const char *group, Err *e)
{
    int rc;
    c->group = -1;
    if ((rc = json_need_int(c->quant, bits, &c->bits, c->where, e)) || (rc = json_need_int(c->quant, group, &c->group, c->where, e)))
        return rc;
    if (c->group != -1 && (c->group < 1 || c->group > INT32_MAX))
        return err_set(e, ERR_INPUT, "%s: %s of quantization_config must be -1 or at least 1, it is %lld", c->where, group, (long long)c->group);
    return 0;
}

static int gptq_settings(PackedConfig *c, Err *e)
{
    Str format = STR_LIT("gptq");
    bool marlin = false;
    const Json *dynamic = json_get(c->quant, "dynamic");
    int rc = word_settings(c, "bits", "group_size", e);
    if (rc || (rc = json_opt_str(c->quant, "format", &format, c->where, e)) || (rc = json_opt_str(c->quant, "checkpoint_format", &format, c->where, e)) ||
        (rc = json_opt_bool(c->quant, "desc_act", &c->act_order, c->where, e)) || (rc = json_opt_bool(c->quant, "is_marlin_format", &marlin, c->where, e)))
        return rc;
    if (!one_of(format, (const char *const[]){ "gptq", "gptq_v2", NULL }) || marlin)
        return unknown_value(c, "checkpoint_format", marlin ? STR_LIT("marlin") : format, "gptq and gptq_v2", e);
    if (c->bits != 2 && c->bits != 3 && c->bits != 4 && c->bits != 8)
        return err_set(e, ERR_INPUT, "%s: bits of quantization_config is %lld; hone reads GPTQ with 2, 3, 4 and 8", c->where, (long long)c->bits);
    if (dynamic && json_len(dynamic))
        return err_set(e, ERR_INPUT, "%s: quantization_config has \"dynamic\" settings of single modules, which hone does not read", c->where);
    c->zero_less_one = str_eqz(format, "gptq");
    return 0;
}

static int awq_settings(PackedConfig *c, Err *e)
{
    Str version = STR_LIT("gemm");
    const bool old = json_get(c->quant, "w_bit");
    int rc = word_settings(c, old ? "w_bit" : "bits", old ? "q_group_size" : "group_size", e);
    if (rc || (rc = json_opt_str(c->quant, "version", &version, c->where, e)) || (rc = json_opt_str(c->quant, "format", &version, c->where, e)))
        return rc;
    if (!one_of(version, (const char *const[]){ "gemm", "GEMM", NULL }))
        return unknown_value(c, "version", version, "AWQ in the order gemm", e);
    if (c->bits != 4)
        return err_set(e, ERR_INPUT, "%s: bits of quantization_config is %lld; hone reads AWQ with 4", c->where, (long long)c->bits);
    return 0;
}

/* Groups of modules may have different bits; the shapes of each matrix say which of them is its own. */
static int ct_group(PackedConfig *c, const Json *group, Err *e)
{
    static const char *const kinds[] = { "int", "float", NULL };
    const Json *w = json_get(group, "weights");
    Str     type = STR_LIT("int");
    int64_t bits = 8;
    bool    symmetric = true;
    int     rc;
    if (!w || json_kind(w) != JSON_OBJECT)
        return 0;
    if ((rc = json_need_int(w, "num_bits", &bits, c->where, e)) || (rc = json_opt_str(w, "type", &type, c->where, e)) ||
        (rc = json_opt_bool(w, "symmetric", &symmetric, c->where, e)))
        return rc;
    if (!one_of(type, kinds))
        return unknown_value(c, "weights.type", type, "int and float", e);
    if (bits < 1 || bits > 8 || (str_eqz(type, "float") && bits != 8))
        return err_set(e, ERR_INPUT, "%s: quantization_config has weights of type %.*s with %lld bits; hone reads int with 1 to 8 and float with 8", c->where,
                       (int)type.n, type.p, (long long)bits);
    c->bit_sizes |= 1u << bits;
    c->wants_zero |= !symmetric;
    return read_block(c, json_get(w, "block_structure"), "block_structure", c->block, e);
}

static int ct_format(const PackedConfig *c, const Json *holder, Err *e)
{
    static const char *const known[] = { "float-quantized", "int-quantized", "naive-quantized", "pack-quantized", "mixed-precision", "dense", NULL };
    Str format = STR_LIT("dense");
    int rc = json_opt_str(holder, "format", &format, c->where, e);
    return rc || one_of(format, known) ? rc : unknown_value(c, "format", format, "float-, int-, naive- and pack-quantized", e);
}

static int ct_settings(PackedConfig *c, Err *e)
{
    const Json *groups = json_get(c->quant, "config_groups"), *sparsity = json_get(c->quant, "sparsity_config"), *turned = json_get(c->quant, "transform_config");
    Json       *group;
    Str         key;
    int         rc = ct_format(c, c->quant, e);
    if (!rc && sparsity)
        rc = ct_format(c, sparsity, e);
    if (!rc && turned && json_len(turned))
        rc = err_set(e, ERR_INPUT, "%s: quantization_config has a transform_config (rotated weights), which hone does not compute", c->where);
    for (JsonIter it = { 0 }; !rc && groups && json_each(groups, &it, &key, &group); ) {
        rc = ct_format(c, group, e);
        rc = rc ? rc : ct_group(c, group, e);
    }
    return rc;
}

static int ct_describe(Packed *p, const PackedConfig *c, Err *e)
{
    return p->part[PART_SHAPE] ? packed_ct_words_describe(p, c, e) : packed_ct_describe(p, c, e);
}

static const Method methods[] = {
    { "bitsandbytes",       bnb_suffix,    ".weight.quant_state.bitsandbytes__nf4 or .SCB", no_settings,   packed_bnb_describe  },
    { "fp8",                fp8_suffix,    ".weight_scale_inv",                             fp8_settings,  packed_fp8_describe  },
    { "fbgemm_fp8",         fbgemm_suffix, ".weight_scale",                                 no_settings,   packed_fp8_describe  },
    { "compressed-tensors", ct_suffix,     ".weight_scale",                                 ct_settings,   ct_describe          },
    { "gptq",               gptq_suffix,   ".scales",                                       gptq_settings, packed_gptq_describe },
    { "awq",                awq_suffix,    ".scales",                                       awq_settings,  packed_awq_describe  },
};

/* --- bringing the parts together ---------------------------------------------------------------------------------------------------------- */

static const Suffix *suffix_of(const Method *k, Str name)
{
    for (const Suffix *s = k->suffix; s->text; s++)
        if (str_ends(name, s->text) && name.n > strlen(s->text))
            return s;
    return NULL;
}

static bool is_plain_name(const Suffix *s)
{
    return s->part == PART_CODE && !strcmp(s->text, ".weight");
}

static int add_part(PackedWeights *w, const StTensor *t, const Suffix *s, Err *e)
{
    const Str name = str_of(t->name), stem = { name.p, name.n - strlen(s->text) };
    int64_t   i = (int64_t)w->m.n;
    if (!map_get(w->by_stem, stem, &i)) {
        if (is_plain_name(s))
            return 0; /* no helper asked for it: a weight as it stands */
        map_put(w->by_stem, stem, i);
        Packed *p = vec_push(&w->m);
        p->f = w->f;
        p->kernel = DT_COUNT;
        p->stem = arena_printf(&w->names, "%.*s", (int)stem.n, stem.p);
        p->name = arena_printf(&w->names, "%s.weight", p->stem);
    }
    const StTensor **slot = &w->m.p[i].part[s->part];
    if (*slot)
        return err_set(e, ERR_INPUT, "%s: %s and %s stand for the same part of a packed matrix", st_where(w->f, t), (*slot)->name, t->name);
    *slot = t;
    return 0;
}

/* Helpers first: they tell which of the tensors called "weight" are packed. */
static int gather(PackedWeights *w, const Method *k, Err *e)
{
    int rc = 0;
    for (int codes = 0; codes < 2; codes++)
        for (size_t i = 0; i < st_count(w->f) && !rc; i++) {
            const StTensor *t = st_at(w->f, i);
            const Suffix   *s = suffix_of(k, str_of(t->name));
            if (s && s->part != PART_IGNORED && is_plain_name(s) == (codes == 1))
                rc = add_part(w, t, s, e);
        }
    return rc;
}

static int describe_all(PackedWeights *w, const Method *k, const PackedConfig *c, Err *e)
{
    int rc = 0;
    for (size_t i = 0; i < w->m.n && !rc; i++) {
        Packed *p = &w->m.p[i];
        if (!p->part[PART_CODE])
            return packed_missing(p, is_plain_name(k->suffix) ? ".weight" : k->suffix->text, e);
        rc = k->describe(p, c, e);
    }
    return rc;
}

static WeightInfo info_of(const Packed *p, DType copy)
{
    WeightInfo i = { .name = p->name, .dtype = copy, .kernel = p->kernel, .readable = true, .packed = true, .rank = 2, .dim = { p->rows, p->cols }, .count = p->rows * p->cols,
                     .source = p };
    memcpy(i.stored, p->stored, sizeof i.stored);
    for (int k = 0; k < PART_COUNT; k++)
        i.nbytes += p->part[k] ? p->part[k]->nbytes : 0;
    return i;
}

/* In the order of the file, a packed matrix at the place of its codes. */
static int list(PackedWeights *w, const Method *k, const PackedConfig *c, Err *e)
{
    static const char *const codes[] = { "U8", "I8", "F8_E4M3", "F8_E5M2", NULL };
    for (size_t i = 0; i < st_count(w->f); i++) {
        const StTensor *t = st_at(w->f, i);
        const Suffix   *s = suffix_of(k, str_of(t->name));
        WeightInfo     *info = &w->face.info[w->face.n];
        int64_t         at = -1;
        if (s && (s->part == PART_IGNORED || !map_get(w->by_stem, (Str){ t->name, strlen(t->name) - strlen(s->text) }, &at) || s->part != PART_CODE)) {
            if (!is_plain_name(s))
                continue;
        }
        *info = at >= 0 ? info_of(&w->m.p[at], c->copy) : *weights_find(w->plain, t->name);
        if (at < 0 && s && one_of(str_of(t->dtype_text), codes))
            return err_set(e, ERR_INPUT, "%s: %s is packed (%s), but there is no %.*s%s to unpack it by", st_where(w->f, t), t->name, t->dtype_text,
                           (int)(strlen(t->name) - strlen(s->text)), t->name, k->helper);
        if (!map_put(w->face.by_name, str_of(info->name), (int64_t)w->face.n))
            return err_set(e, ERR_INPUT, "%s: %s is there twice, packed and plain", st_where(w->f, t), info->name);
        w->face.n++;
    }
    return 0;
}

/* --- the face ------------------------------------------------------------------------------------------------------------------------------- */

static int packed_weights_read(const Weights *face, const WeightInfo *i, int64_t first, int64_t n, float *dst, Err *e)
{
    const PackedWeights *w = (const PackedWeights *)face;
    if (!i->packed)
        return w->plain->read(w->plain, i, first, n, dst, e);
    const Packed *p = i->source;
    return n ? p->read(p, first, n, dst, e) : 0;
}

static const void *packed_weights_row(const Weights *face, const WeightInfo *i, int64_t row)
{
    const PackedWeights *w = (const PackedWeights *)face;
    return i->packed ? NULL : w->plain->row(w->plain, i, row);
}

static int packed_weights_make_row(const Weights *face, const WeightInfo *i, int64_t row, void *dst, Err *e)
{
    (void)face;
    const Packed *p = i->source;
    return p->make_row(p, row, dst, e);
}

static void packed_weights_forget(const Weights *face, const WeightInfo *i)
{
    const PackedWeights *w = (const PackedWeights *)face;
    const Packed        *p = i->source;
    if (!i->packed)
        w->plain->forget(w->plain, i);
    for (int k = 0; k < PART_COUNT && i->packed; k++)
        if (p->part[k])
            file_forget(p->part[k]->data, p->part[k]->nbytes);
}

static const char *packed_weights_where(const Weights *face, const WeightInfo *i)
{
    return st_where(((const PackedWeights *)face)->f, i->packed ? ((const Packed *)i->source)->part[PART_CODE] : i->source);
}

static void packed_weights_close(Weights *face)
{
    PackedWeights *w = (PackedWeights *)face;
    weights_close(w->plain);
    map_free(w->by_stem);
    arena_release(&w->names);
    vec_release(&w->m);
    free(w);
}

static int find_method(const Method **k, const PackedConfig *c, Err *e)
{
    Str    name;
    StrBuf known = { 0 };
    int    rc = json_need_str(c->quant, "quant_method", &name, c->where, e);
    if (rc)
        return rc;
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        if (str_eqz(name, methods[i].name)) {
            *k = &methods[i];
            strbuf_release(&known);
            return 0;
        }
        strbuf_addf(&known, "%s%s", i ? ", " : "", methods[i].name);
    }
    rc = err_set(e, ERR_INPUT, "%s: quant_method of quantization_config is \"%.*s\"; hone reads %s, or the model in 16 bits", c->where,
                 (int)MIN(name.n, 60), name.p, strbuf_z(&known));
    strbuf_release(&known);
    return rc;
}

/* Packed weights beside a config.json that does not say how: their numbers would be guessed. */
static int check_unsaid(const StFile *f, const char *where, Err *e)
{
    for (size_t i = 0; i < st_count(f); i++) {
        const StTensor *t = st_at(f, i);
        const Str       name = str_of(t->name);
        if (str_ends(name, ".qweight") || str_ends(name, ".SCB") || str_ends(name, ".weight_scale") || str_ends(name, ".weight_scale_inv") ||
            str_ends(name, ".weight_packed") || str_ends(name, ".weight.absmax"))
            return err_set(e, ERR_INPUT, "%s: %s belongs to a packed matrix, but %s has no quantization_config that says how it is packed", st_where(f, t), t->name,
                           where);
    }
    return 0;
}

static DType copy_type(const Json *config)
{
    Str name = json_str(json_get(config, "dtype"));
    name = name.p ? name : json_str(json_get(config, "torch_dtype"));
    return str_eqz(name, "float32") ? DT_F32 : str_eqz(name, "float16") ? DT_F16 : DT_BF16;
}

int weights_open_hf(Weights **out, const StFile *f, const Json *config, const char *where, Err *e)
{
    PackedConfig  c = { .quant = json_get(config, "quantization_config"), .where = where, .copy = copy_type(config) };
    const Method *k = NULL;
    int           rc;
    *out = NULL;
    if (!c.quant || json_kind(c.quant) == JSON_NULL)
        return (rc = check_unsaid(f, where, e)) ? rc : weights_open_st(out, f, e);
    if ((rc = find_method(&k, &c, e)) || (rc = k->configure(&c, e)))
        return rc;
    PackedWeights *w = mem_zalloc(1, sizeof *w);
    w->f = f;
    w->by_stem = map_new();
    w->face = (Weights){ .info = mem_zalloc(st_count(f) + 1, sizeof *w->face.info), .by_name = map_new(), .read = packed_weights_read, .row = packed_weights_row,
                         .make_row = packed_weights_make_row,
                         .forget = packed_weights_forget, .where = packed_weights_where, .close = packed_weights_close };
    if ((rc = weights_open_st(&w->plain, f, e)) || (rc = gather(w, k, e)) || (rc = describe_all(w, k, &c, e)) || (rc = list(w, k, &c, e)))
        weights_close(&w->face);
    else
        *out = &w->face;
    return rc;
}

/* --- shared by the readers ------------------------------------------------------------------------------------------------------------------ */

static const StTensor *any_part(const Packed *p)
{
    const StTensor *t = NULL;
    for (int k = 0; k < PART_COUNT && !t; k++)
        t = p->part[k];
    BUG_ON(!t);
    return t;
}

const char *packed_where(const Packed *p)
{
    return st_where(p->f, any_part(p));
}

int packed_missing(const Packed *p, const char *suffix, Err *e)
{
    return err_set(e, ERR_INPUT, "%s: %s%s is missing, without which %s cannot be unpacked", packed_where(p), p->stem, suffix, any_part(p)->name);
}

int packed_misshapen(const Packed *p, Part part, const char *want, Err *e)
{
    const StTensor *t = p->part[part];
    char got[128] = "";
    for (int i = 0, n = 0; i < t->rank && n < 100; i++)
        n += snprintf(got + n, sizeof got - (size_t)n, "%s%lld", i ? ", " : "", (long long)t->dim[i]);
    return err_set(e, ERR_INPUT, "%s: %s is %s of shape [%s]; expected %s", st_where(p->f, t), t->name, t->dtype_text, got, want);
}

bool packed_is(const StTensor *t, const char *dtype, int rank)
{
    return t->rank == rank && t->count > 0 && !strcmp(t->dtype_text, dtype);
}

bool packed_is_float(const StTensor *t)
{
    return t->known && t->count > 0 && (t->dtype == DT_F32 || t->dtype == DT_F16 || t->dtype == DT_BF16);
}

float packed_number(const StTensor *t, int64_t i)
{
    const size_t   size = dtype_size(t->dtype);
    const uint8_t *from = (const uint8_t *)t->data + (size_t)i * size;
    float          f;
    uint16_t       h;
    if (t->dtype == DT_F32) {
        memcpy(&f, from, sizeof f);
        return f;
    }
    memcpy(&h, from, sizeof h);
    if (t->dtype == DT_F16)
        return f32_of_f16(h);
    const uint32_t u = (uint32_t)h << 16;
    memcpy(&f, &u, sizeof f);
    return f;
}

int packed_scale(const Packed *p, Part part, int64_t i, float *scale, Err *e)
{
    const StTensor *t = p->part[part];
    if (t->known)
        *scale = packed_number(t, i);
    else { /* a power of two */
        const int byte = ((const uint8_t *)t->data)[i];
        *scale = byte == 255 ? NAN : ldexpf(1.0f, byte - 127);
    }
    if (isfinite(*scale))
        return 0;
    return err_set(e, ERR_INPUT, "%s: %s holds a scale that is not a number at element %lld; the file is damaged", st_where(p->f, t), t->name, (long long)i);
}

void packed_round(float *v, int64_t n, DType to)
{
    uint16_t half[256];
    for (int64_t i = 0; i < n && to != DT_F32; i += (int64_t)ARRAY_LEN(half)) {
        const int64_t len = MIN(n - i, (int64_t)ARRAY_LEN(half));
        dtype_from_f32(half, v + i, to, len);
        dtype_to_f32(v + i, half, to, len);
    }
}
