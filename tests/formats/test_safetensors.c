/* test_safetensors.c - files of the safetensors package are read, ours equal them, and no lie in a header gets through. */
#include "formats/safetensors.h"

#include "base/file.h"
#include "base/file_test.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define GOLDEN TEST_DIR "/formats/golden/"

/* ---- what the package wrote ---- */

/* The rule of tools/golden_safetensors.py. */
static void expect_rule_values(const StTensor *t)
{
    float *x = mem_alloc((size_t)t->count * sizeof *x);
    dtype_to_f32(x, t->data, t->dtype, t->count);
    for (int64_t i = 0; i < t->count; i++)
        assert_true(x[i] == (float)(i % 61 - 30) / 4);
    free(x);
}

static const StTensor *expect_tensor(const StFile *f, const char *name, const char *dtype, int rank, const int64_t *dim, size_t nbytes)
{
    const StTensor *t = st_find(f, name);
    assert_non_null(t);
    assert_string_equal(t->name, name);
    assert_string_equal(t->dtype_text, dtype);
    assert_int_equal(t->rank, rank);
    int64_t count = 1;
    for (int i = 0; i < rank; i++) {
        assert_int_equal(t->dim[i], dim[i]);
        count *= dim[i];
    }
    assert_int_equal(t->count, count);
    assert_int_equal(t->nbytes, nbytes);
    return t;
}

static void test_golden_single(void **state)
{
    (void)state;
    Err e = {0};
    StFile *f = NULL;
    int rc = st_open(&f, GOLDEN "single.safetensors", &e);
    if (rc)
        print_error("%s\n", e.text);
    assert_int_equal(rc, 0);
    assert_int_equal(st_count(f), 14);
    const StTensor *t = expect_tensor(f, "rank0", "F32", 0, NULL, 4);
    float value;
    dtype_to_f32(&value, t->data, DT_F32, 1);
    assert_true(value == -7.5f);
    expect_rule_values(expect_tensor(f, "rank1", "F16", 1, (int64_t[]){ 5 }, 10));
    expect_rule_values(expect_tensor(f, "rank2", "BF16", 2, (int64_t[]){ 3, 4 }, 24));
    expect_rule_values(expect_tensor(f, "rank3", "F32", 3, (int64_t[]){ 2, 3, 4 }, 96));
    t = expect_tensor(f, "rank4", "I32", 4, (int64_t[]){ 1, 2, 3, 20 }, 480);
    for (int32_t i = 0, got; i < 120; i++) {
        memcpy(&got, (const uint8_t *)t->data + 4 * i, 4);
        assert_int_equal(got, i);
    }
    expect_tensor(f, "empty", "F32", 2, (int64_t[]){ 0, 7 }, 0);
    expect_tensor(f, "name with \xc3\xbcn\xc3\xaf" "code", "F32", 1, (int64_t[]){ 1 }, 4);
    assert_memory_equal(expect_tensor(f, "bytes", "U8", 1, (int64_t[]){ 3 }, 3)->data, "\1\2\3", 3);
    expect_tensor(f, "truth", "BOOL", 1, (int64_t[]){ 2 }, 2);
    expect_tensor(f, "small_float", "F8_E4M3", 1, (int64_t[]){ 2 }, 2);
    expect_tensor(f, "wide", "I64", 1, (int64_t[]){ 1 }, 8);
    static const struct { const char *name; bool known; } known[] = {
        { "rank0", true }, { "rank1", true }, { "rank2", true }, { "rank4", true }, { "bytes", false }, { "truth", false },
        { "small_float", false }, { "wide", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        assert_int_equal(st_find(f, known[i].name)->known, known[i].known);
    assert_null(st_find(f, "absent"));
    assert_true(str_eqz(st_metadata(f, "note"), "a \"quoted\" line\nand \xc3\xa9"));
    assert_true(str_eqz(st_metadata(f, "format"), "pt"));
    assert_null(st_metadata(f, "absent").p);
    assert_string_equal(st_where(f, st_at(f, 3)), GOLDEN "single.safetensors");
    for (size_t i = 1; i < st_count(f); i++)                                   /* file order */
        assert_true(st_at(f, i)->data >= st_at(f, i - 1)->data);
    st_close(f);
}

static void test_golden_sharded(void **state)
{
    (void)state;
    static const char *const order[] = { "embed", "layer.0.w", "norm", "layer.1.w" };
    Err e = {0};
    StFile *f = NULL;
    int rc = st_open_index(&f, GOLDEN "sharded/model.safetensors.index.json", &e);
    if (rc)
        print_error("%s\n", e.text);
    assert_int_equal(rc, 0);
    assert_int_equal(st_count(f), ARRAY_LEN(order));
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        assert_string_equal(st_at(f, i)->name, order[i]);
        assert_ptr_equal(st_at(f, i), st_find(f, order[i]));
        expect_rule_values(st_at(f, i));
        assert_string_equal(path_base(st_where(f, st_at(f, i))),
                            i < 2 ? "model-00001-of-00002.safetensors" : "model-00002-of-00002.safetensors");
    }
    assert_true(str_eqz(st_metadata(f, "format"), "pt"));
    st_close(f);
}

static void test_real_model(void **state)
{
    (void)state;
    static const char path[] = SHARED_DIR "/models/stories260K/model.safetensors";
    if (!file_exists(path)) {
        print_message("SKIPPED: %s is not there\n", path);
        skip();
    }
    Err e = {0};
    StFile *f = NULL;
    assert_int_equal(st_open(&f, path, &e), 0);
    const StTensor *t = st_find(f, "model.embed_tokens.weight");
    assert_non_null(t);
    assert_int_equal(t->rank, 2);
    for (size_t i = 0; i < st_count(f); i++)
        assert_true(st_at(f, i)->known);
    st_close(f);
}

/* ---- lies ---- */

/* The length of the header, the header, and data_n bytes of data; an own block, so that a read past the end is seen. */
static uint8_t *make_file(Str header, size_t data_n, size_t *n)
{
    *n = 8 + header.n + data_n;
    uint8_t *p = mem_zalloc(*n, 1);
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)((uint64_t)header.n >> (8 * i));
    memcpy(p + 8, header.p, header.n);
    return p;
}

static void expect_refused(const uint8_t *p, size_t n, const char *words)
{
    Err e = {0};
    StFile *f = (StFile *)&e;
    int rc = st_open_memory(&f, p, n, "x.safetensors", &e);
    if (rc != ERR_INPUT || !strstr(e.text, words))
        print_error("expected \"%s\", got %d: %s\n", words, rc, e.text);
    assert_int_equal(rc, ERR_INPUT);
    assert_null(f);
    assert_int_equal(strncmp(e.text, "x.safetensors", 13), 0);
    assert_non_null(strstr(e.text, words));
    for (const char *c = e.text; *c; c++)
        assert_true((unsigned char)*c >= 0x20 && *c != 0x7f);
    assert_int_equal(st_open_memory(&f, p, n, "x.safetensors", NULL), ERR_INPUT);   /* also for callers who do not want to know */
}

static void expect_header_refused(Str header, size_t data_n, const char *words)
{
    size_t n;
    uint8_t *p = make_file(header, data_n, &n);
    expect_refused(p, n, words);
    free(p);
}

#define ONE(name, dtype, shape, offsets) "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":[" shape "],\"data_offsets\":[" offsets "]}"

static void test_lying_headers(void **state)
{
    (void)state;
    static const struct { const char *header; size_t data_n; const char *words; } rows[] = {
        { "",                                                          0, "must start with \"{\"" },
        { " {}",                                                       0, "must start with \"{\"" },
        { "[]",                                                        0, "must start with \"{\"" },
        { "{",                                                         0, "header, line 1, column" },
        { "{}x",                                                       0, "header, line 1, column" },
        { "{\"a\":\"\xff\"}",                                          0, "header, line 1, column" },
        { "{\"\xc3\":{}}",                                             0, "header, line 1, column" },
        { "{\"a\\u0000b\":1}",                                         0, "header, line 1, column" },
        { "{}",                                                        1, "nothing may follow the last tensor" },
        /* entries of the wrong kind */
        { "{\"a\":1}",                                                 0, "tensor \"a\": its entry must be an object" },
        { "{\"a\":null}",                                              0, "tensor \"a\": its entry must be an object" },
        { "{\"a\":{}}",                                                0, "\"dtype\" must be a string, it is nothing" },
        { "{\"a\":{\"dtype\":5}}",                                     0, "\"dtype\" must be a string, it is a number" },
        { "{\"a\":{\"dtype\":\"F32\"}}",                               0, "\"shape\" must be a list" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":{}}}",                  0, "\"shape\" must be a list" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[]}}",                  0, "\"data_offsets\" must be a list" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":4}}", 4, "\"data_offsets\" must be a list" },
        { "{" ONE("a", "F32", "1", "0") "}",                           4, "\"data_offsets\" must be a list of two" },
        { "{" ONE("a", "F32", "1", "0,4,8") "}",                       4, "\"data_offsets\" must be a list of two" },
        { "{" ONE("a", "F32", "1", "0,4.0") "}",                       4, "\"data_offsets\" must be a list of two" },
        { "{" ONE("a", "F32", "1", "\"0\",4") "}",                     4, "\"data_offsets\" must be a list of two" },
        { "{" ONE("a", "F32", "1", "-4,0") "}",                        4, "\"data_offsets\" must be a list of two" },
        { "{" ONE("a", "F31", "1", "0,4") "}",                         4, "the dtype \"F31\" is not one of" },
        { "{" ONE("a", "f32", "1", "0,4") "}",                         4, "the dtype \"f32\" is not one of" },
        { "{" ONE("a", "F32\\u0000", "1", "0,4") "}",                  4, "the dtype \"F32\\u{0}\" is not one of" },
        { "{" ONE("a", "\\u001b[31m", "1", "0,4") "}",                 4, "the dtype \"\\u{1b}[31m\" is not one of" },
        { "{" ONE("a", "F32", "1.0", "0,4") "}",                       4, "number 1 of its \"shape\"" },
        { "{" ONE("a", "F32", "1,-1", "0,4") "}",                      4, "number 2 of its \"shape\"" },
        { "{" ONE("a", "F32", "1,null", "0,4") "}",                    4, "number 2 of its \"shape\"" },
        { "{" ONE("a", "F32", "[1]", "0,4") "}",                       4, "number 1 of its \"shape\"" },
        { "{" ONE("a", "F32", "1,1,1,1,1,1,1,1,1", "0,4") "}",         4, "it has 9 dimensions" },
        /* sizes that overflow or do not fit */
        { "{" ONE("a", "F32", "4294967296,4294967296", "0,0") "}",     0, "does not fit in 64 bits" },
        { "{" ONE("a", "F32", "4611686018427387904,4,0", "0,0") "}",   0, "does not fit in 64 bits" },
        { "{" ONE("a", "F32", "4611686018427387904", "0,0") "}",       0, "fits in 64 bits" },
        { "{" ONE("a", "F32", "9223372036854775807", "0,4") "}",       4, "fits in 64 bits" },
        { "{" ONE("a", "F32", "9223372036854775808", "0,4") "}",       4, "header, line 1, column" },
        { "{" ONE("a", "F32", "99999999999999999999", "0,4") "}",      4, "header, line 1, column" },
        { "{" ONE("a", "U8", "1", "9223372036854775806,9223372036854775807") "}", 4, "ends at byte 9223372036854775807 but the file holds" },
        { "{" ONE("a", "F4", "3", "0,1") "}",                          1, "whole number of bytes" },
        { "{" ONE("a", "F6_E2M3", "2", "0,2") "}",                     2, "whole number of bytes" },
        { "{" ONE("a", "F32", "1", "0,5") "}",                         5, "need 4 bytes, its data_offsets span 5" },
        { "{" ONE("a", "F32", "2", "0,4") "}",                         4, "need 8 bytes, its data_offsets span 4" },
        { "{" ONE("a", "F32", "0", "0,4") "}",                         4, "need 0 bytes, its data_offsets span 4" },
        { "{" ONE("a", "F32", "1", "4,0") "}",                         4, "before it begins" },
        { "{" ONE("a", "F32", "2", "0,8") "}",                         4, "the file was cut off" },
        /* places that do not fit each other */
        { "{" ONE("a", "F32", "1", "4,8") "}",                         8, "the first must begin at byte 0; tensors must follow each other without gap" },
        { "{" ONE("a", "F32", "1", "0,4") "," ONE("b", "F32", "1", "8,12") "}", 12, "without gap" },
        { "{" ONE("a", "F32", "2", "0,8") "," ONE("b", "F32", "1", "4,8") "}",  8, "without overlap" },
        { "{" ONE("a", "F32", "1", "0,4") "," ONE("b", "F32", "1", "0,4") "}",  4, "without overlap" },
        { "{" ONE("a", "F32", "2", "0,8") "," ONE("b", "F32", "0", "4,4") "}",  8, "without overlap" },
        { "{" ONE("a", "F32", "1", "0,4") "}",                         5, "the tensors end at byte 4 of the data but the file holds 5" },
        { "{" ONE("a", "F32", "0", "4,4") "}",                         4, "the first must begin at byte 0" },
        /* names and metadata */
        { "{" ONE("a", "F32", "1", "0,4") "," ONE("a", "F32", "1", "4,8") "}",  8, "header, line 1, column" },
        { "{" ONE("a", "F32", "1", "0,4") "," ONE("\\u0061", "F32", "1", "4,8") "}", 8, "header, line 1, column" },
        { "{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "header, line 1, column" },
        { "{" ONE("a\\nb", "F32", "1", "0,4") "}",                     4, "tensor \"a\\u{a}b\": the name holds control characters" },
        { "{" ONE("\\u009b2J", "F32", "1", "0,4") "}",                 4, "tensor \"\\u{9b}2J\": the name holds control characters" },
        { "{" ONE("\\u202ea", "F32", "1", "0,4") "}",                  4, "tensor \"\\u{202e}a\": the name holds control characters" },
        { "{\"__metadata__\":[]}",                                     0, "__metadata__ must be an object of strings, it is an array" },
        { "{\"__metadata__\":null}",                                   0, "__metadata__ must be an object of strings, it is null" },
        { "{\"__metadata__\":{\"a\":1}}",                              0, "__metadata__: \"a\" must be a string, it is a number" },
        { "{\"__metadata__\":{\"\\u001b\":{}}}",                       0, "__metadata__: \"\\u{1b}\" must be a string" },
        { "{\"__metadata__\":{},\"__metadata__\":{}}",                 0, "header, line 1, column" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        expect_header_refused(str_of(rows[i].header), rows[i].data_n, rows[i].words);
}

static void test_long_names_and_deep_nesting(void **state)
{
    (void)state;
    StrBuf text = {0};
    strbuf_addz(&text, "{\"");
    for (int i = 0; i < ST_NAME_MAX + 1; i++)
        strbuf_addc(&text, 'n');
    strbuf_addz(&text, "\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}");
    expect_header_refused(strbuf_str(&text), 1, "nnn...\": the name has 513 bytes, at most 512 are allowed");
    strbuf_clear(&text);
    strbuf_addz(&text, "{\"a\":");
    for (int i = 0; i < 1000000; i++)
        strbuf_addz(&text, i % 2 ? "[" : "{\"a\":");
    expect_header_refused(strbuf_str(&text), 0, "nested more than 128 levels deep");
    strbuf_release(&text);
}

static void test_header_length(void **state)
{
    (void)state;
    static const uint64_t lengths[] = { 3, 8, 1000, ST_HEADER_MAX, (uint64_t)ST_HEADER_MAX + 1, INT64_MAX, UINT64_MAX - 7, UINT64_MAX };
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        uint8_t p[10] = { [8] = '{', [9] = '}' };
        for (int k = 0; k < 8; k++)
            p[k] = (uint8_t)(lengths[i] >> (8 * k));
        expect_refused(p, sizeof p, lengths[i] > ST_HEADER_MAX ? "the format allows at most 100000000" : "the file was cut off");
    }
    static const char lfs[] = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    expect_refused((const uint8_t *)lfs, sizeof lfs - 1, "git lfs pull");
}

static void test_what_the_format_allows(void **state)
{
    (void)state;
    static const struct { const char *header; size_t data_n, count; } rows[] = {
        { "{}", 0, 0 },
        { "{}      \n", 0, 0 },
        { "{\"__metadata__\":{}}", 0, 0 },
        { "{" ONE("b", "F32", "1", "4,8") "," ONE("a", "F32", "1", "0,4") "}", 8, 2 },   /* the header's order is free */
        { "{" ONE("a", "F32", "1", "0,4") "," ONE("b", "F32", "0", "0,0") "," ONE("c", "F32", "3,0", "4,4") "}", 4, 3 },
        { "{" ONE("a", "F4", "4", "0,2") "," ONE("b", "F6_E3M2", "4", "2,5") "," ONE("c", "F8_E8M0", "1", "5,6") "}", 6, 3 },
        { "{" ONE("a", "C64", "1", "0,8") "," ONE("b", "F8_E5M2FNUZ", "", "8,9") "," ONE("c", "F64", "", "9,17") "}", 17, 3 },
        { "{" ONE("a", "U8", "1,1,1,1,1,1,1,3", "0,3") "}", 3, 1 },
        { "{" ONE("", "U8", "0", "0,0") "}", 0, 1 },                           /* a name may be empty */
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1],\"later\":true}}", 1, 1 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        Err e = {0};
        StFile *f = NULL;
        size_t n;
        uint8_t *p = make_file(str_of(rows[i].header), rows[i].data_n, &n);
        int rc = st_open_memory(&f, p, n, "x", &e);
        if (rc)
            print_error("%s\n", e.text);
        assert_int_equal(rc, 0);
        assert_int_equal(st_count(f), rows[i].count);
        for (size_t k = 0; k < st_count(f); k++) {
            const uint8_t *data = st_at(f, k)->data;
            assert_true(data >= p + 8 && data + st_at(f, k)->nbytes <= p + n);
        }
        st_close(f);
        free(p);
    }
}

static void test_every_truncation(void **state)
{
    (void)state;
    Err e = {0};
    FileMap whole;
    assert_int_equal(file_map(&whole, GOLDEN "exact.safetensors", &e), 0);
    for (size_t n = 0; n <= whole.n; n++) {
        uint8_t *part = mem_alloc(n + 1);
        memcpy(part, whole.p, n);
        part = mem_realloc(part, MAX(n, 1), 1);
        StFile *f = NULL;
        if (n < whole.n) {
            expect_refused(part, n, " ");
        } else {
            assert_int_equal(st_open_memory(&f, part, n, "x", &e), 0);
            st_close(f);
        }
        free(part);
    }
    file_unmap(&whole);
}

/* Any one byte of the header changed: whatever comes of it, the tensors lie inside. */
static void test_every_flipped_byte(void **state)
{
    (void)state;
    Err e = {0};
    FileMap whole;
    assert_int_equal(file_map(&whole, GOLDEN "exact.safetensors", &e), 0);
    uint8_t *p = mem_alloc(whole.n);
    for (size_t at = 0; at < whole.n; at++)
        for (int value = 0; value < 256; value += at < 8 ? 1 : 5) {
            memcpy(p, whole.p, whole.n);
            p[at] = (uint8_t)value;
            StFile *f = NULL;
            if (st_open_memory(&f, p, whole.n, "x", &e))
                continue;
            for (size_t i = 0; i < st_count(f); i++) {
                const uint8_t *data = st_at(f, i)->data;
                assert_true(data >= p + 8 && data + st_at(f, i)->nbytes <= p + whole.n);
            }
            st_close(f);
        }
    free(p);
    file_unmap(&whole);
}

static void test_not_a_file(void **state)
{
    (void)state;
    Err e = {0};
    StFile *f = NULL;
    assert_int_equal(st_open(&f, GOLDEN "absent.safetensors", &e), ERR_INPUT);
    assert_non_null(strstr(e.text, "absent.safetensors"));
    assert_null(f);
    assert_true(st_open(&f, TEST_DIR, &e) < 0);
    assert_true(st_open(&f, "/dev/null", &e) < 0);
    assert_true(st_open_index(&f, GOLDEN "absent.json", &e) < 0);
    assert_null(f);
    st_close(NULL);
}

/* ---- lying indexes ---- */

static void write_text(const char *dir, const char *name, Str text)
{
    Err e = {0};
    char *path = path_join(dir, name);
    assert_int_equal(file_write_atomic(path, text.p, text.n, &e), 0);
    free(path);
}

static void write_shard(const char *dir, const char *name, const char *header, size_t data_n)
{
    size_t n;
    uint8_t *p = make_file(str_of(header), data_n, &n);
    write_text(dir, name, (Str){ (const char *)p, n });
    free(p);
}

static void test_lying_indexes(void **state)
{
    (void)state;
    static const struct { const char *index, *words; } rows[] = {
        { "[]",                                    "\"weight_map\" must be an object" },
        { "{}",                                    "\"weight_map\" must be an object that says for each tensor which file holds it, it is nothing" },
        { "{\"weight_map\":{}}",                   "it is empty" },
        { "{\"weight_map\":[\"one\"]}",            "it is an array" },
        { "{\"weight_map\":{\"a\":1}}",            "the file of tensor \"a\" must be a string, it is a number" },
        { "{\"weight_map\":{\"a\":\"\"}}",         "the file of tensor \"a\" is \"\"; expected the plain name" },
        { "{\"weight_map\":{\"a\":\"..\"}}",       "expected the plain name" },
        { "{\"weight_map\":{\"a\":\"../one\"}}",   "expected the plain name" },
        { "{\"weight_map\":{\"a\":\"/etc/hosts\"}}", "expected the plain name" },
        { "{\"weight_map\":{\"a\":\"sub/one\"}}",  "expected the plain name" },
        { "{\"weight_map\":{\"a\":\"one\\u0000\"}}", "is \"one\\u{0}\"; expected the plain name" },
        { "{\"weight_map\":{\"a\":\"one\\u001b[2J\"}}", "is \"one\\u{1b}[2J\"; expected the plain name" },
        { "{\"weight_map\":{\"a\":\"one\",\"b\":\"one\",\"c\":\"three\"}}", "/three, one of 2 that it names, is missing" },
        { "{\"weight_map\":{\"a\":\"one\",\"b\":\"one\",\"c\":\"bad\"}}",   "/bad: the header claims" },
        { "{\"weight_map\":{\"a\":\"one\",\"b\":\"one\",\"x\":\"one\"}}",   "tensor \"x\" is in one, but no such tensor is there" },
        { "{\"weight_map\":{\"a\":\"one\",\"b\":\"two\",\"c\":\"two\"}}",   "tensor \"b\" is in two, but it is in one" },
        { "{\"weight_map\":{\"a\":\"one\"}}",      "hold 1 tensor that weight_map does not list: \"b\" in one" },
        { "{\"weight_map\":{\"a\":\"one\",\"c\":\"two\"}}", "hold 1 tensor that weight_map does not list: \"b\" in one" },
        { "{\"weight_map\":{\"many0\":\"many\"}}", "hold 4 tensors that weight_map does not list: \"many1\" in many, \"many2\" in many, "
                                                "\"many3\" in many, ..." },
        { "{\"weight_map\":{\"a\":\"one\",\"b\":\"one\",\"c\":\"twin\"}}",  "tensor \"a\" is also in " },
        { "{\"weight_map\":{\"a\":\"one\",\"a\":\"one\"}}", "line 1, column" },
        { "{\"weight_map\":",                      "line 1, column" },
    };
    char dir[] = "/tmp/hone-st-XXXXXX";
    Err e = {0};
    StFile *f = NULL;
    assert_non_null(mkdtemp(dir));
    write_shard(dir, "one", "{" ONE("a", "U8", "", "0,1") "," ONE("b", "U8", "", "1,2") "}", 2);
    write_shard(dir, "two", "{" ONE("c", "U8", "", "0,1") "}", 1);
    write_shard(dir, "twin", "{" ONE("a", "U8", "", "0,1") "," ONE("c", "U8", "", "1,2") "}", 2);
    write_shard(dir, "many", "{" ONE("many0", "U8", "0", "0,0") "," ONE("many1", "U8", "0", "0,0") "," ONE("many2", "U8", "0", "0,0") ","
                ONE("many3", "U8", "0", "0,0") "," ONE("many4", "U8", "0", "0,0") "}", 0);
    write_text(dir, "bad", STR_LIT("0123456789"));
    char *index = path_join(dir, "index.json");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        write_text(dir, "index.json", str_of(rows[i].index));
        int rc = st_open_index(&f, index, &e);
        if (rc != ERR_INPUT || !strstr(e.text, rows[i].words))
            print_error("expected \"%s\", got %d: %s\n", rows[i].words, rc, e.text);
        assert_int_equal(rc, ERR_INPUT);
        assert_null(f);
        assert_non_null(strstr(e.text, rows[i].words));
        assert_int_equal(strncmp(e.text, dir, strlen(dir)), 0);
    }
    write_text(dir, "index.json", STR_LIT("{\"weight_map\":{\"c\":\"two\",\"a\":\"one\",\"b\":\"one\"}}"));
    assert_int_equal(st_open_index(&f, index, &e), 0);
    assert_int_equal(st_count(f), 3);
    assert_string_equal(st_at(f, 0)->name, "a");                               /* shards by name, whatever the index's order */
    st_close(f);

    char *here = mem_alloc(4096);                                              /* a path without a folder names the current one */
    assert_non_null(getcwd(here, 4096));
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(st_open_index(&f, "index.json", &e), 0);
    st_close(f);
    assert_int_equal(chdir(here), 0);
    free(here);
    free(index);
    assert_int_equal(dir_remove(dir, &e), 0);
}

static void test_too_many_shards(void **state)
{
    (void)state;
    char dir[] = "/tmp/hone-st-XXXXXX";
    Err e = {0};
    StFile *f = NULL;
    StrBuf text = {0};
    assert_non_null(mkdtemp(dir));
    strbuf_addz(&text, "{\"weight_map\":{");
    for (int i = 0; i <= ST_SHARDS_MAX; i++)
        strbuf_addf(&text, "%s\"t%d\":\"f%d\"", i ? "," : "", i, i);
    strbuf_addz(&text, "}}");
    write_text(dir, "index.json", strbuf_str(&text));
    char *index = path_join(dir, "index.json");
    assert_int_equal(st_open_index(&f, index, &e), ERR_INPUT);
    assert_non_null(strstr(e.text, "names more than 4096 files"));
    strbuf_release(&text);
    free(index);
    assert_int_equal(dir_remove(dir, &e), 0);
}

/* ---- writing ---- */

static void rule_values(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(i % 61 - 30) / 4;
}

/* The tensors of golden/exact.safetensors. */
static int write_exact(const char *path, Err *e)
{
    StWriter *w = NULL;
    float a[6], b[4], c = 1.0f;
    rule_values(a, 6);
    rule_values(b, 4);
    int rc = st_create(&w, path, e);
    if (rc)
        return rc;
    st_meta(w, "format", "pt");
    st_declare(w, "a", DT_F32, 2, (int64_t[]){ 2, 3 });
    st_declare(w, "b", DT_F32, 1, (int64_t[]){ 4 });
    st_declare(w, "c", DT_F32, 0, NULL);
    rc = st_write(w, a, 10, e);                                                /* pieces may end anywhere */
    if (!rc)
        rc = st_write(w, (const uint8_t *)a + 10, sizeof a - 10, e);
    if (!rc)
        rc = st_write(w, b, sizeof b, e);
    if (!rc)
        rc = st_write(w, &c, sizeof c, e);
    if (!rc)
        return st_commit(&w, e);
    st_abort(&w);
    return rc;
}

static void expect_same_files(const char *a, const char *b)
{
    Err e = {0};
    FileMap x, y;
    assert_int_equal(file_map(&x, a, &e), 0);
    assert_int_equal(file_map(&y, b, &e), 0);
    assert_int_equal(x.n, y.n);
    assert_memory_equal(x.p, y.p, x.n);
    file_unmap(&x);
    file_unmap(&y);
}

static void test_writes_what_the_package_writes(void **state)
{
    (void)state;
    char dir[] = "/tmp/hone-st-XXXXXX";
    Err e = {0};
    assert_non_null(mkdtemp(dir));
    char *path = path_join(dir, "ours.safetensors");
    int rc = write_exact(path, &e);
    if (rc)
        print_error("%s\n", e.text);
    assert_int_equal(rc, 0);
    expect_same_files(path, GOLDEN "exact.safetensors");
    free(path);
    assert_int_equal(dir_remove(dir, &e), 0);
}

static void test_writes_everything_back(void **state)
{
    (void)state;
    char dir[] = "/tmp/hone-st-XXXXXX";
    Err e = {0};
    StFile *in = NULL, *out = NULL;
    StWriter *w = NULL;
    assert_non_null(mkdtemp(dir));
    char *path = path_join(dir, "copy.safetensors");
    assert_int_equal(st_open(&in, GOLDEN "single.safetensors", &e), 0);
    assert_int_equal(st_create(&w, path, &e), 0);
    st_meta(w, "note", "line\n\"quoted\" \xc3\xa9");
    for (size_t i = 0; i < st_count(in); i++) {
        const StTensor *t = st_at(in, i);
        if (t->known)
            st_declare(w, t->name, t->dtype, t->rank, t->dim);
    }
    for (size_t i = 0; i < st_count(in); i++)
        if (st_at(in, i)->known)
            assert_int_equal(st_write(w, st_at(in, i)->data, st_at(in, i)->nbytes, &e), 0);
    assert_int_equal(st_commit(&w, &e), 0);
    assert_null(w);
    assert_int_equal(st_open(&out, path, &e), 0);
    assert_true(str_eqz(st_metadata(out, "note"), "line\n\"quoted\" \xc3\xa9"));
    size_t known = 0;
    for (size_t i = 0; i < st_count(in); i++) {
        const StTensor *t = st_at(in, i);
        known += t->known;
        if (t->known) {
            const StTensor *copy = expect_tensor(out, t->name, t->dtype_text, t->rank, t->dim, t->nbytes);
            assert_memory_equal(copy->data, t->data, t->nbytes);
        }
    }
    assert_int_equal(st_count(out), known);
    uint64_t size, data = 0;
    for (size_t i = 0; i < st_count(out); i++)
        data += st_at(out, i)->nbytes;
    assert_int_equal(file_size(path, &size, &e), 0);
    assert_int_equal((size - data) % 8, 0);                                    /* data starts at a multiple of 8 */
    st_close(in);
    st_close(out);
    free(path);
    assert_int_equal(dir_remove(dir, &e), 0);
}

static void test_file_without_data(void **state)
{
    (void)state;
    char dir[] = "/tmp/hone-st-XXXXXX";
    Err e = {0};
    StFile *f = NULL;
    StWriter *w = NULL;
    assert_non_null(mkdtemp(dir));
    char *path = path_join(dir, "x.safetensors");
    for (int tensors = 0; tensors < 2; tensors++) {
        assert_int_equal(st_create(&w, path, &e), 0);
        if (tensors)
            st_declare(w, "empty", DT_F16, 2, (int64_t[]){ 3, 0 });
        assert_int_equal(st_commit(&w, &e), 0);
        assert_int_equal(st_open(&f, path, &e), 0);
        assert_int_equal(st_count(f), tensors);
        st_close(f);
    }
    free(path);
    assert_int_equal(dir_remove(dir, &e), 0);
}

static void expect_only_old_file(const char *dir, const char *path)
{
    Err e = {0};
    FileList list;
    char *text = NULL;
    size_t n;
    assert_int_equal(file_list(&list, dir, &e), 0);
    assert_int_equal(list.n, 1);
    assert_int_equal(file_read_text(path, &text, &n, &e), 0);
    assert_string_equal(text, "old");
    free(text);
    file_list_release(&list);
}

static void test_unfinished_writes_leave_the_old_file(void **state)
{
    (void)state;
    char dir[] = "/tmp/hone-st-XXXXXX";
    Err e = {0};
    StWriter *w = NULL;
    float x[4] = {0};
    uint64_t size;
    assert_non_null(mkdtemp(dir));
    write_text(dir, "x.safetensors", STR_LIT("old"));
    char *path = path_join(dir, "x.safetensors");

    assert_int_equal(st_create(&w, path, &e), 0);                              /* bytes missing */
    st_declare(w, "a", DT_F32, 1, (int64_t[]){ 4 });
    assert_int_equal(st_write(w, x, 12, &e), 0);
    assert_int_equal(st_commit(&w, &e), ERR_WORK);
    assert_non_null(strstr(e.text, "only 12 of 16 bytes"));
    assert_null(w);
    expect_only_old_file(dir, path);

    assert_int_equal(st_create(&w, path, &e), 0);                              /* given up */
    st_declare(w, "a", DT_F32, 1, (int64_t[]){ 4 });
    assert_int_equal(st_write(w, x, sizeof x, &e), 0);
    st_abort(&w);
    assert_null(w);
    st_abort(&w);
    expect_only_old_file(dir, path);

    assert_int_equal(file_size(GOLDEN "exact.safetensors", &size, &e), 0);     /* the disk full after each number of bytes */
    for (int64_t room = 0; room < (int64_t)size; room++) {
        file_test_fail_after(room);
        int rc = write_exact(path, &e);
        file_test_fail_after(-1);
        assert_int_equal(rc, ERR_IO);
        assert_non_null(strstr(e.text, "x.safetensors"));
        expect_only_old_file(dir, path);
    }

    enum { BIG = 1 << 20 };                                                    /* larger than any buffer: fails in st_write itself */
    float *big = mem_zalloc(BIG, sizeof *big);
    assert_int_equal(st_create(&w, path, &e), 0);
    st_declare(w, "big", DT_F32, 1, (int64_t[]){ 2 * BIG });
    file_test_fail_after(BIG);
    assert_int_equal(st_write(w, big, BIG * sizeof *big, &e), ERR_IO);
    file_test_fail_after(-1);
    assert_true(st_commit(&w, &e) < 0);                                        /* a caller who goes on all the same gets no file */
    assert_null(w);
    expect_only_old_file(dir, path);
    free(big);

    assert_int_equal(write_exact(path, &e), 0);                                /* and with room it is replaced */
    expect_same_files(path, GOLDEN "exact.safetensors");
    free(path);
    assert_int_equal(dir_remove(dir, &e), 0);
    assert_true(st_create(&w, "/nowhere/x.safetensors", &e) < 0);
    assert_null(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_single),
        cmocka_unit_test(test_golden_sharded),
        cmocka_unit_test(test_real_model),
        cmocka_unit_test(test_lying_headers),
        cmocka_unit_test(test_long_names_and_deep_nesting),
        cmocka_unit_test(test_header_length),
        cmocka_unit_test(test_what_the_format_allows),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_every_flipped_byte),
        cmocka_unit_test(test_not_a_file),
        cmocka_unit_test(test_lying_indexes),
        cmocka_unit_test(test_too_many_shards),
        cmocka_unit_test(test_writes_what_the_package_writes),
        cmocka_unit_test(test_writes_everything_back),
        cmocka_unit_test(test_file_without_data),
        cmocka_unit_test(test_unfinished_writes_leave_the_old_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
