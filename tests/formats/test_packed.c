/* test_packed.c - packed checkpoints of the official libraries unpack to their bits, what is packed here equals theirs, and a file that disagrees with
 * itself is refused by name. The folders come from tools/golden_packed.py. */
#include "formats/pack_bnb.h"
#include "formats/packed.h"
#include "formats/packed_int.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define GOLDEN TEST_DIR "/formats/golden/packed/"

#define must(call)                                                                                                                                   \
    do {                                                                                                                                             \
        if ((call) != 0)                                                                                                                             \
            fail_msg("%s: %s", #call, e.text);                                                                                                       \
    } while (0)

/* A folder with its config, opened. */
typedef struct Box { StFile *f; Json *config, *expected; Weights *w; } Box;

static Box box_open(const char *name)
{
    Box  b = { 0 };
    Err  e = { 0 };
    char path[600];
    snprintf(path, sizeof path, GOLDEN "%s/model.safetensors", name);
    must(st_open(&b.f, path, &e));
    snprintf(path, sizeof path, GOLDEN "%s/expected.json", name);
    must(json_read_file(&b.expected, path, &e));
    snprintf(path, sizeof path, GOLDEN "%s/config.json", name);
    must(json_read_file(&b.config, path, &e));
    must(weights_open_hf(&b.w, b.f, b.config, path, &e));
    return b;
}

static void box_close(Box *b)
{
    weights_close(b->w);
    st_close(b->f);
    json_free(b->config);
    json_free(b->expected);
}

static const struct { const char *folder, *stored; } formats[] = {
    { "nf4", "NF4" }, { "nf4_double", "NF4" }, { "nf4_stored_bf16", "NF4" }, { "fp4", "FP4" }, { "int8", "INT8" }, { "fp8_block", "F8_E4M3" },
    { "fp8_tensor", "F8_E4M3" }, { "ct_fp8_tensor", "F8_E4M3" }, { "ct_fp8_channel", "F8_E4M3" }, { "ct_int8", "INT8" }, { "ct_int8_zero", "INT8" },
    { "ct_int4", "INT4" }, { "ct_int4_zero", "INT4" }, { "ct_int3_zero", "INT3" }, { "gptq4", "GPTQ4" }, { "gptq4_order", "GPTQ4" }, { "gptq4_v2", "GPTQ4" },
    { "gptq2", "GPTQ2" }, { "gptq3", "GPTQ3" }, { "gptq8", "GPTQ8" }, { "awq4", "AWQ4" },
};

/* ---- reading ---- */

static void check_bits(const Box *b, const WeightInfo *i)
{
    char   hex[SHA256_HEX];
    Err    e = { 0 };
    Sha256 h;
    float *v = mem_alloc((size_t)i->count * sizeof *v), *row = mem_alloc((size_t)i->dim[i->rank - 1] * sizeof *row);
    must(weights_read(b->w, i, 0, i->count, v, &e));
    sha256_init(&h);
    sha256_add(&h, v, (size_t)i->count * sizeof *v);
    sha256_hex(&h, hex);
    if (!str_eqz(json_str(json_get(b->expected, i->name)), hex))
        fail_msg("%s: %s unpacks to other bits than the official ones", weights_where(b->w, i), i->name);
    const int64_t cols = i->dim[i->rank - 1];
    for (int64_t at = 0; at < i->count; at += cols) {          /* row by row: the same */
        must(weights_read(b->w, i, at, cols, row, &e));
        assert_memory_equal(row, v + at, (size_t)cols * sizeof *row);
    }
    free(v);
    free(row);
}

static void test_official_bits(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(formats); k++) {
        Box    b = box_open(formats[k].folder);
        size_t packed = 0;
        assert_int_equal(b.w->n, json_len(b.expected));        /* no helper is left over, no weight is lost */
        for (size_t i = 0; i < b.w->n; i++) {
            const WeightInfo *info = &b.w->info[i];
            assert_ptr_equal(weights_find(b.w, info->name), info);
            packed += info->packed;
            if (info->packed)
                assert_string_equal(info->stored, formats[k].stored);
            check_bits(&b, info);
        }
        assert_int_equal(packed, 7);
        box_close(&b);
    }
}

static void test_float8_codes(void **state)
{
    (void)state;
    static const struct { const char *name; int exponent_bits; bool has_infinity; } rows[] = { { "F8_E4M3", 4, false }, { "F8_E5M2", 5, true } };
    Err     e = { 0 };
    StFile *f;
    must(st_open(&f, GOLDEN "expected.safetensors", &e));
    for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
        float table[256], want[256];
        float8_table(table, rows[k].exponent_bits, rows[k].has_infinity);
        memcpy(want, st_find(f, rows[k].name)->data, sizeof want);
        for (int i = 0; i < 256; i++)
            assert_true(isnan(want[i]) ? isnan(table[i]) : memcmp(&want[i], &table[i], sizeof want[i]) == 0);
    }
    st_close(f);
}

/* ---- writing ---- */

static const StTensor *part(const StFile *f, const char *kind, const char *suffix)
{
    char name[128];
    snprintf(name, sizeof name, "%s%s", kind, suffix);
    const StTensor *t = st_find(f, name);
    if (!t)
        fail_msg("no tensor %s", name);
    return t;
}

static double number_in(const StTensor *text, const char *key)
{
    Err    e = { 0 };
    Json  *j;
    must(json_parse(&j, (Str){ text->data, text->nbytes }, "state", &e));
    const double v = json_num(json_get(j, key));
    json_free(j);
    return v;
}

/* One matrix packed in each way by bitsandbytes; ours must have the same tensors, types, shapes and bytes. */
static void test_same_bits_as_bitsandbytes(void **state)
{
    (void)state;
    static const struct { const char *name; PackKind kind; const char *suffix[6]; } rows[] = {
        { "nf4",    PACK_NF4,        { ".weight", ".weight.absmax", ".weight.quant_map" } },
        { "double", PACK_NF4_DOUBLE, { ".weight", ".weight.absmax", ".weight.quant_map", ".weight.nested_absmax", ".weight.nested_quant_map" } },
        { "int8",   PACK_INT8,       { ".weight", ".SCB" } },
    };
    Err     e = { 0 };
    StFile *golden, *mine;
    must(st_open(&golden, GOLDEN "quantised.safetensors", &e));
    const StTensor *t = st_find(golden, "matrix");
    float          *m = mem_alloc((size_t)t->count * sizeof *m);
    dtype_to_f32(m, t->data, t->dtype, t->count);
    Err      dir_error = { 0 };
    char     dir[] = "/tmp/hone-packed-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char    *path = path_join(dir, "mine.safetensors");
    StWriter *w;
    must(st_create(&w, path, &e));
    for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
        char name[64];
        snprintf(name, sizeof name, "%s.weight", rows[k].name);
        pack_declare(w, rows[k].kind, name, t->dim[0], t->dim[1]);
    }
    for (size_t k = 0; k < ARRAY_LEN(rows); k++)
        must(pack_write(w, rows[k].kind, rows[k].name, m, t->dim[0], t->dim[1], DT_BF16, &e));
    must(st_commit(&w, &e));
    must(st_open(&mine, path, &e));
    for (size_t k = 0; k < ARRAY_LEN(rows); k++)
        for (int i = 0; i < 6 && rows[k].suffix[i]; i++) {
            const StTensor *a = part(mine, rows[k].name, rows[k].suffix[i]), *b = part(golden, rows[k].name, rows[k].suffix[i]);
            assert_string_equal(a->dtype_text, b->dtype_text);
            assert_int_equal(a->rank, b->rank);
            assert_int_equal(a->nbytes, b->nbytes);
            size_t off = 0;
            for (size_t at = 0; at < a->nbytes; at++)
                off += ((const uint8_t *)a->data)[at] != ((const uint8_t *)b->data)[at];
            if (off)
                fail_msg("%s: %zu of %zu bytes differ from bitsandbytes'", a->name, off, a->nbytes);
        }
    const char *state_name = ".weight.quant_state.bitsandbytes__nf4";
    const double a = number_in(part(mine, "double", state_name), "nested_offset"), b = number_in(part(golden, "double", state_name), "nested_offset");
    assert_true(fabs(a - b) <= 1e-7 * fabs(b));
    assert_int_equal(part(mine, "int8", ".weight_format")->count, 1);
    st_close(mine);
    st_close(golden);
    free(m);
    free(path);
    assert_int_equal(dir_remove(dir, &dir_error), 0);
}

static void test_numbers_that_cannot_be_packed(void **state)
{
    (void)state;
    static const struct { float v; PackKind kind; const char *words; } rows[] = {
        { NAN, PACK_NF4, "number 2 is nan" }, { INFINITY, PACK_NF4_DOUBLE, "number 2 is inf" }, { 70000, PACK_INT8, "too large for 16 bits" },
    };
    Err      dir_error = { 0 };
    char     dir[] = "/tmp/hone-packed-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char    *path = path_join(dir, "w.safetensors");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        Err       e = { 0 };
        StWriter *w;
        const float m[4] = { 0, 1, rows[i].v, 2 };
        must(st_create(&w, path, &e));
        pack_declare(w, rows[i].kind, "a.weight", 2, 2);
        assert_int_equal(pack_write(w, rows[i].kind, "a.weight", m, 2, 2, DT_F32, &e), ERR_WORK);
        assert_non_null(strstr(e.text, rows[i].words));
        st_abort(&w);
    }
    free(path);
    assert_int_equal(dir_remove(dir, &dir_error), 0);
}

/* ---- files that disagree with themselves ---- */

typedef struct Piece { const char *name, *dtype; const char *shape; size_t nbytes; const char *data; } Piece;   /* data NULL: zeros */

static int open_pieces(const Piece *p, size_t n, const char *quant, float *first_row, Err *e)
{
    StrBuf header = { 0 }, bytes = { 0 }, config = { 0 };
    size_t at = 0;
    for (size_t i = 0; i < n && p[i].name; i++) {
        strbuf_addf(&header, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}", i ? "," : "{", p[i].name, p[i].dtype, p[i].shape, at,
                    at + p[i].nbytes);
        at += p[i].nbytes;
    }
    strbuf_addz(&header, header.n ? "}" : "{}");
    for (int i = 0; i < 8; i++)
        strbuf_addc(&bytes, (char)((uint64_t)header.n >> (8 * i)));
    strbuf_add(&bytes, header.p, header.n);
    for (size_t i = 0; i < n && p[i].name; i++)
        for (size_t k = 0; k < p[i].nbytes; k++)
            strbuf_addc(&bytes, p[i].data ? p[i].data[k] : 0);
    strbuf_addf(&config, "{\"quantization_config\":%s}", quant);
    StFile  *f = NULL;
    Json    *j = NULL;
    Weights *w = NULL;
    int      rc = st_open_memory(&f, bytes.p, bytes.n, "x.safetensors", e);
    rc = rc ? rc : json_parse(&j, strbuf_str(&config), "config.json", e);
    rc = rc ? rc : weights_open_hf(&w, f, j, "config.json", e);
    for (size_t i = 0; !rc && i < w->n; i++) {
        BUG_ON(w->info[i].count > 64);
        rc = weights_read(w, &w->info[i], 0, w->info[i].count, first_row, e);
    }
    weights_close(w);
    st_close(f);
    json_free(j);
    strbuf_release(&header);
    strbuf_release(&bytes);
    strbuf_release(&config);
    return rc;
}

#define GPTQ(bits) "{\"quant_method\":\"gptq\",\"bits\":" bits ",\"group_size\":8}"
#define BNB "{\"quant_method\":\"bitsandbytes\"}"
#define CT "{\"quant_method\":\"compressed-tensors\",\"format\":\"pack-quantized\",\"config_groups\":{\"a\":{\"weights\":{\"num_bits\":4}}}}"
#define NF4_STATE "{\"quant_type\":\"nf4\",\"blocksize\":64,\"dtype\":\"float32\",\"shape\":[2,2]}"
#define INF4 "\0\0\x80\x7f"

static void test_disagreements(void **state)
{
    (void)state;
    static const struct { const char *quant, *words; Piece p[6]; } rows[] = {
        { "{}", "quant_method", { { "a.weight", "F32", "1", 4, NULL } } },
        { "{\"quant_method\":\"hqq\"}", "quant_method of quantization_config is \"hqq\"", { { "a.weight", "F32", "1", 4, NULL } } },
        { GPTQ("5"), "bits of quantization_config is 5", { { "a.weight", "F32", "1", 4, NULL } } },
        { "{\"quant_method\":\"awq\",\"bits\":4,\"group_size\":8,\"version\":\"gemv\"}", "version of quantization_config is \"gemv\"", { { NULL } } },
        { "{\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":8,\"checkpoint_format\":\"marlin\"}", "\"marlin\"", { { NULL } } },
        { "{\"quant_method\":\"fp8\",\"weight_block_size\":[0,1]}", "weight_block_size of quantization_config must be", { { NULL } } },
        { "{\"quant_method\":\"compressed-tensors\",\"format\":\"nvfp4-pack-quantized\"}", "\"nvfp4-pack-quantized\"", { { NULL } } },
        { "null", "x.safetensors: a.qweight belongs to a packed matrix, but config.json has no", { { "a.qweight", "I32", "1,8", 32, NULL } } },
        /* parts that are missing */
        { GPTQ("4"), "a.scales is missing", { { "a.qweight", "I32", "1,8", 32, NULL }, { "a.qzeros", "I32", "1,1", 4, NULL } } },
        { GPTQ("4"), "a.qzeros is missing", { { "a.qweight", "I32", "1,8", 32, NULL }, { "a.scales", "F16", "1,8", 16, NULL } } },
        { GPTQ("4"), "a.qweight is missing", { { "a.scales", "F16", "1,8", 16, NULL } } },
        { BNB, "a.weight is packed (I8), but there is no a.weight.quant_state.bitsandbytes__nf4 or .SCB", { { "a.weight", "I8", "2,2", 4, NULL } } },
        { BNB, "a.weight is missing", { { "a.SCB", "F32", "2", 8, NULL } } },
        { BNB, "a.weight.quant_state.bitsandbytes__nf4 is missing", { { "a.weight", "U8", "2,1", 2, NULL }, { "a.weight.absmax", "F32", "1", 4, NULL } } },
        { BNB, "a.weight.absmax is missing", { { "a.weight", "U8", "2,1", 2, NULL }, { "a.weight.quant_state.bitsandbytes__nf4", "U8", "2", 2, "{}" } } },
        { "{\"quant_method\":\"fp8\"}", "a.weight is packed (F8_E4M3)", { { "a.weight", "F8_E4M3", "1,1", 1, NULL } } },
        { CT, "a.weight_scale is missing", { { "a.weight_packed", "I32", "1,1", 4, NULL }, { "a.weight_shape", "I64", "2", 16, NULL } } },
        /* shapes that disagree */
        { GPTQ("4"), "a.scales is F16 of shape [1, 7]", { { "a.qweight", "I32", "1,8", 32, NULL }, { "a.qzeros", "I32", "1,1", 4, NULL },
                                                          { "a.scales", "F16", "1,7", 14, NULL } } },
        { GPTQ("4"), "a.qzeros is I32 of shape [1, 2]", { { "a.qweight", "I32", "1,8", 32, NULL }, { "a.qzeros", "I32", "1,2", 8, NULL },
                                                          { "a.scales", "F16", "1,8", 16, NULL } } },
        { GPTQ("4"), "a.qweight is I32 of shape [1, 8]", { { "a.qweight", "I32", "1,8", 32, NULL }, { "a.qzeros", "I32", "1,1", 4, NULL },
                                                           { "a.scales", "F16", "1,8", 16, NULL }, { "a.g_idx", "I32", "9", 36, NULL } } },
        { GPTQ("4"), "a.qweight is I32 of shape [0, 8]", { { "a.qweight", "I32", "0,8", 0, NULL }, { "a.qzeros", "I32", "1,1", 4, NULL },
                                                           { "a.scales", "F16", "1,8", 16, NULL } } },
        { GPTQ("4"), "puts input 0 into group 1, and there are 1 groups", { { "a.qweight", "I32", "1,8", 32, NULL }, { "a.qzeros", "I32", "1,1", 4, NULL },
                                                           { "a.scales", "F16", "1,8", 16, NULL }, { "a.g_idx", "I32", "8", 32, "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" } } },
        { GPTQ("4"), "puts input 0 into group -1", { { "a.qweight", "I32", "1,8", 32, NULL }, { "a.qzeros", "I32", "1,1", 4, NULL },
                                                     { "a.scales", "F16", "1,8", 16, NULL }, { "a.g_idx", "I32", "8", 32, "\377\377\377\377\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" } } },
        { BNB, "a.SCB is F32 of shape [3]", { { "a.weight", "I8", "2,2", 4, NULL }, { "a.SCB", "F32", "3", 12, NULL } } },
        { BNB, "are not laid out row by row", { { "a.weight", "I8", "2,2", 4, NULL }, { "a.SCB", "F32", "2", 8, NULL }, { "a.weight_format", "U8", "", 1, "\2" } } },
        { "{\"quant_method\":\"fp8\",\"weight_block_size\":[1,1]}", "a.weight_scale_inv is F32 of shape [1, 2]",
          { { "a.weight", "F8_E4M3", "2,2", 4, NULL }, { "a.weight_scale_inv", "F32", "1,2", 8, NULL } } },
        { CT, "a.weight_packed is I32 of shape [1, 1]", { { "a.weight_packed", "I32", "1,1", 4, NULL }, { "a.weight_shape", "I64", "2", 16, "\2\0\0\0\0\0\0\0\10\0\0\0\0\0\0" },
                                                          { "a.weight_scale", "F32", "1,1", 4, NULL } } },
        { CT, "num_bits that config.json names", { { "a.weight_packed", "I32", "1,2", 8, NULL }, { "a.weight_shape", "I64", "2", 16, "\1\0\0\0\0\0\0\0\10\0\0\0\0\0\0" },
                                                   { "a.weight_scale", "F32", "1,1", 4, NULL } } },
        { CT, "stand for the same part", { { "a.weight_packed", "I32", "1,1", 4, NULL }, { "a.weight", "F32", "1", 4, NULL } } },
        { GPTQ("4"), "a.weight is there twice", { { "a.weight", "F32", "1", 4, NULL }, { "a.qweight", "I32", "1,8", 32, NULL }, { "a.qzeros", "I32", "1,1", 4, NULL },
                                                  { "a.scales", "F16", "1,8", 16, NULL } } },
        /* scales that are none */
        { BNB, "a.SCB holds a scale that is not a number at element 0", { { "a.weight", "I8", "1,2", 2, NULL }, { "a.SCB", "F32", "1", 4, INF4 } } },
        { "{\"quant_method\":\"fp8\"}", "a.weight_scale_inv holds a scale that is not a number", { { "a.weight", "F8_E4M3", "1,1", 1, NULL },
                                                                                                  { "a.weight_scale_inv", "F32", "", 4, INF4 } } },
        { "{\"quant_method\":\"fp8\"}", "a.weight_scale_inv holds a scale that is not a number", { { "a.weight", "F8_E4M3", "1,1", 1, NULL },
                                                                                                  { "a.weight_scale_inv", "F8_E8M0", "1", 1, "\377" } } },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        float v[64];
        Err   e = { 0 };
        int   rc = open_pieces(rows[i].p, ARRAY_LEN(rows[i].p), rows[i].quant, v, &e);
        if (rc != ERR_INPUT || !strstr(e.text, rows[i].words))
            fail_msg("row %zu: expected \"%s\", got %d: %s", i, rows[i].words, rc, e.text);
    }
}

/* The quant_state of a 2 x 2 matrix, and everything that can be wrong in it. */
static void test_quant_state(void **state)
{
    (void)state;
    static const struct { const char *text, *words; } rows[] = {
        { NF4_STATE, NULL },
        { "[]", "quant_type" },
        { "{", "line 1" },
        { "{\"quant_type\":\"fp4\",\"blocksize\":64,\"dtype\":\"float32\",\"shape\":[2,2]}", "quant_type is \"fp4\"" },
        { "{\"quant_type\":\"nf4\",\"blocksize\":0,\"dtype\":\"float32\",\"shape\":[2,2]}", "blocksize is 0" },
        { "{\"quant_type\":\"nf4\",\"blocksize\":64,\"dtype\":\"float32\",\"shape\":[2,2],\"turn\":1}", "does not know the key \"turn\"" },
        { "{\"quant_type\":\"nf4\",\"blocksize\":64,\"dtype\":\"float32\",\"shape\":[4]}", "shape must be a list of two" },
        { "{\"quant_type\":\"nf4\",\"blocksize\":64,\"dtype\":\"float32\",\"shape\":[4294967296,4294967296]}", "shape must be a list of two" },
        { "{\"quant_type\":\"nf4\",\"blocksize\":64,\"dtype\":\"float32\",\"shape\":[2,3]}", "has 2 bytes, but its quant_state speaks of 2 x 3 numbers" },
    };
    char map[64];
    memcpy(map, dtype_nf4_code, sizeof map);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char  length[32];
        float v[64];
        Err   e = { 0 };
        snprintf(length, sizeof length, "%zu", strlen(rows[i].text));
        const Piece p[] = { { "a.weight", "U8", "2,1", 2, "\x0f\xf0" }, { "a.weight.absmax", "F32", "1", 4, "\0\0\0\x40" }, { "a.weight.quant_map", "F32", "16", 64, map },
                            { "a.weight.quant_state.bitsandbytes__nf4", "U8", length, strlen(rows[i].text), rows[i].text } };
        int rc = open_pieces(p, ARRAY_LEN(p), BNB, v, &e);
        if (!rows[i].words && rc == 0)
            assert_true(v[0] == -2 && v[1] == 2 && v[2] == 2 && v[3] == -2);
        else if (rc != ERR_INPUT || !rows[i].words || !strstr(e.text, rows[i].words))
            fail_msg("row %zu: expected \"%s\", got %d: %s", i, rows[i].words, rc, e.text);
    }
    map[0] ^= 1;
    map[3] ^= 1;
    const Piece p[] = { { "a.weight", "U8", "2,1", 2, NULL }, { "a.weight.absmax", "F32", "1", 4, NULL }, { "a.weight.quant_map", "F32", "16", 64, map },
                        { "a.weight.quant_state.bitsandbytes__nf4", "U8", NULL, sizeof NF4_STATE - 1, NF4_STATE } };
    Piece q[ARRAY_LEN(p)];
    char  length[32];
    float v[64];
    Err   e = { 0 };
    memcpy(q, p, sizeof q);
    snprintf(length, sizeof length, "%zu", sizeof NF4_STATE - 1);
    q[3].shape = length;
    assert_int_equal(open_pieces(q, ARRAY_LEN(q), BNB, v, &e), ERR_INPUT);
    assert_non_null(strstr(e.text, "is not the code book of NF4"));
    q[2].shape = "15,1";
    q[2].nbytes = 60;
    assert_int_equal(open_pieces(q, ARRAY_LEN(q), BNB, v, &e), ERR_INPUT);
    assert_non_null(strstr(e.text, "expected the 16 numbers of the code book"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_official_bits),
        cmocka_unit_test(test_float8_codes),
        cmocka_unit_test(test_same_bits_as_bitsandbytes),
        cmocka_unit_test(test_numbers_that_cannot_be_packed),
        cmocka_unit_test(test_disagreements),
        cmocka_unit_test(test_quant_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
