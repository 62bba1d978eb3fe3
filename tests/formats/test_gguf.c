/* test_gguf.c - files of the gguf package are read, ours are read back, and no lie in a file gets through. */
#include "formats/gguf.h"

#include "base/file.h"
#include "base/file_test.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define GOLDEN TEST_DIR "/formats/golden/gguf/"

static Gguf *open_good(const char *path)
{
    Err e = {0};
    Gguf *g = NULL;
    int rc = gguf_open(&g, path, &e);
    if (rc)
        print_error("%s\n", e.text);
    assert_int_equal(rc, 0);
    return g;
}

/* ---- what the package wrote ---- */

/* The rule of tools/golden_gguf.py. */
static void expect_rule_values(const GgufTensor *t)
{
    float *x = mem_alloc((size_t)t->count * sizeof *x);
    dtype_to_f32(x, t->data, t->dtype, t->count);
    for (int64_t i = 0; i < t->count; i++)
        assert_true(x[i] == (float)(i % 61 - 30) / 4);
    free(x);
}

static const GgufTensor *expect_tensor(const Gguf *g, const char *name, const char *type, int rank, const int64_t *dim, size_t nbytes)
{
    const GgufTensor *t = gguf_find(g, name);
    assert_non_null(t);
    assert_string_equal(t->name, name);
    assert_string_equal(t->type_text, type);
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

static void test_golden_tensors(void **state)
{
    (void)state;
    Gguf *g = open_good(GOLDEN "kinds.gguf");
    assert_int_equal(gguf_count(g), 7);
    expect_rule_values(expect_tensor(g, "rank1", "F32", 1, (int64_t[]){ 5 }, 20));
    expect_rule_values(expect_tensor(g, "rank2", "F16", 2, (int64_t[]){ 3, 4 }, 24));
    expect_rule_values(expect_tensor(g, "rank3", "F32", 3, (int64_t[]){ 2, 3, 4 }, 96));
    expect_rule_values(expect_tensor(g, "bf16", "BF16", 2, (int64_t[]){ 2, 4 }, 16));
    const GgufTensor *t = expect_tensor(g, "rank4", "I32", 4, (int64_t[]){ 1, 2, 3, 20 }, 480);
    for (int32_t i = 0, got; i < 120; i++) {
        memcpy(&got, (const uint8_t *)t->data + 4 * i, 4);
        assert_int_equal(got, i);
    }
    t = expect_tensor(g, "bytes", "I8", 1, (int64_t[]){ 3 }, 3);
    assert_memory_equal(t->data, "\1\2\3", 3);
    assert_false(t->known);
    assert_false(expect_tensor(g, "wide", "F64", 1, (int64_t[]){ 2 }, 16)->known);
    assert_null(gguf_find(g, "absent"));
    assert_string_equal(gguf_where(g, t), GOLDEN "kinds.gguf");
    assert_string_equal(gguf_path(g), GOLDEN "kinds.gguf");
    gguf_close(g);
}

static void expect_int(const Gguf *g, const char *key, int64_t want)
{
    int64_t v = 0;
    Err e = {0};
    int rc = gguf_need_int(g, key, &v, &e);
    if (rc)
        print_error("%s\n", e.text);
    assert_int_equal(rc, 0);
    assert_true(v == want);
}

static void expect_num(const Gguf *g, const char *key, double want)
{
    double v = 0;
    Err e = {0};
    assert_int_equal(gguf_need_num(g, key, &v, &e), 0);
    assert_true(v == want);
}

static void expect_sentence(int rc, const Err *e, const char *words)
{
    if (rc != ERR_INPUT || !strstr(e->text, words))
        print_error("expected \"%s\", got %d: %s\n", words, rc, e->text);
    assert_int_equal(rc, ERR_INPUT);
    assert_non_null(strstr(e->text, words));
}

static void test_golden_metadata(void **state)
{
    (void)state;
    Gguf *g = open_good(GOLDEN "kinds.gguf");
    Err e = {0};
    Str s;
    bool b = false;
    int64_t i = 7;
    double d = 7;
    GgufArray a;
    GgufKind kind;
    assert_int_equal(gguf_meta_count(g), 20);
    assert_true(str_eqz(gguf_meta_key(g, 0), "general.architecture"));
    expect_int(g, "k.u8", 200);
    expect_int(g, "k.i8", -100);
    expect_int(g, "k.u16", 60000);
    expect_int(g, "k.i16", -30000);
    expect_int(g, "k.u32", 4000000000);
    expect_int(g, "k.i32", -2000000000);
    expect_int(g, "k.u64.small", ((int64_t)1 << 53) + 1);
    expect_int(g, "k.i64", -((int64_t)1 << 62));
    expect_int(g, "k.f32.whole", 10000);
    expect_num(g, "k.i8", -100);
    expect_num(g, "k.u64", 0x1p63);
    expect_num(g, "k.f32", (double)0.1f);
    expect_num(g, "k.f64", 1e300);
    assert_int_equal(gguf_need_bool(g, "k.true", &b, &e), 0);
    assert_true(b);
    assert_int_equal(gguf_need_bool(g, "k.false", &b, &e), 0);
    assert_false(b);
    assert_int_equal(gguf_need_str(g, "k.string", &s, &e), 0);
    assert_true(str_eqz(s, "a \"quoted\" line\nand \xc3\xa9"));
    assert_int_equal(gguf_need_array(g, "k.strings", &a, &e), 0);
    static const char *const strings[] = { "", "\xc3\xa9", "three words here", "\xe2\x96\x81x" };
    assert_int_equal(a.n, ARRAY_LEN(strings));
    for (size_t k = 0; k < a.n; k++)
        assert_true(str_eqz(gguf_array_str(&a, k), strings[k]));
    assert_int_equal(gguf_need_array(g, "k.ints", &a, &e), 0);
    assert_true(a.n == 3 && gguf_array_is_int(&a) && gguf_array_int(&a, 0) == 1 && gguf_array_int(&a, 1) == -2 && gguf_array_num(&a, 2) == 3);
    assert_int_equal(gguf_need_array(g, "k.floats", &a, &e), 0);
    assert_true(a.n == 2 && !gguf_array_is_int(&a) && gguf_array_is_num(&a) && gguf_array_num(&a, 1) == -1.25);
    assert_int_equal(gguf_need_array(g, "k.bools", &a, &e), 0);
    assert_true(a.n == 3 && !gguf_array_is_num(&a) && gguf_array_int(&a, 0) == 1 && gguf_array_int(&a, 1) == 0);
    assert_true(gguf_kind(g, "k.bools", &kind) && kind == GGUF_ARRAY && gguf_kind(g, "k.u16", &kind) && kind == GGUF_U16);
    assert_false(gguf_kind(g, "absent", &kind));
    /* what does not fit */
    expect_sentence(gguf_need_int(g, "absent", &i, &e), &e, "kinds.gguf: the metadata value \"absent\" is missing");
    expect_sentence(gguf_need_int(g, "k.u64", &i, &e), &e, "must be a whole number that fits in 64 bits, it is 9.22337e+18");
    expect_sentence(gguf_need_int(g, "k.f32", &i, &e), &e, "must be a whole number that fits in 64 bits, it is 0.1");
    expect_sentence(gguf_need_int(g, "k.f64", &i, &e), &e, "must be a whole number");
    expect_sentence(gguf_need_int(g, "k.true", &i, &e), &e, "must be a whole number, it is of kind bool");
    expect_sentence(gguf_need_num(g, "k.string", &d, &e), &e, "must be a number, it is of kind string");
    expect_sentence(gguf_need_bool(g, "k.u8", &b, &e), &e, "must be true or false, it is of kind u8");
    expect_sentence(gguf_need_str(g, "k.strings", &s, &e), &e, "must be a string, it is of kind array");
    expect_sentence(gguf_opt_array(g, "k.u8", &a, &e), &e, "must be an array, it is of kind u8");
    assert_int_equal(gguf_opt_int(g, "absent", &i, &e), 0);
    assert_int_equal(gguf_opt_num(g, "absent", &d, &e), 0);
    assert_true(i == 7 && d == 7);
    gguf_close(g);
}

static void test_golden_split(void **state)
{
    (void)state;
    static const char *const names[] = { "embed", "layer.0.w", "norm", "layer.1.w", "head" };
    for (int k = 1; k <= 3; k++) {                         /* by the path of any piece */
        char path[256];
        snprintf(path, sizeof path, GOLDEN "split-%05d-of-00003.gguf", k);
        Gguf *g = open_good(path);
        assert_int_equal(gguf_count(g), ARRAY_LEN(names));
        for (int i = 0; i < (int)ARRAY_LEN(names); i++) {
            assert_string_equal(gguf_at(g, (size_t)i)->name, names[i]);
            expect_rule_values(expect_tensor(g, names[i], "F32", 2, (int64_t[]){ i + 1, 4 }, (size_t)(i + 1) * 16));
            char want[64];
            snprintf(want, sizeof want, "split-%05d-of-00003.gguf", i / 2 + 1);
            assert_string_equal(path_base(gguf_where(g, gguf_at(g, (size_t)i))), want);
        }
        expect_int(g, "llama.block_count", 1);
        gguf_close(g);
    }
}


/* ---- lies ---- */

/* Bytes from words: "4:7" is 7 in 4 little-endian bytes, "s:abc" a length in 8 bytes and the text, "r:GGUF" the text alone, "z:5" zeros, "p:32"
 * zeros up to a multiple of 32. An own block, so that a read past the end is seen. */
static uint8_t *assemble(const char *words, size_t *n)
{
    StrBuf b = {0};
    for (const char *w = words; *w; ) {
        size_t len = strcspn(w, " ");
        assert_true(len >= 2 && w[1] == ':');
        const char *text = w + 2;
        uint64_t v = strtoull(text, NULL, 0), size = w[0] == 's' ? len - 2 : v;
        for (int i = 0; (w[0] == 's' && i < 8) || (w[0] >= '1' && w[0] <= '8' && i < w[0] - '0'); i++)
            strbuf_addc(&b, (char)(size >> (8 * i)));
        if (w[0] == 's' || w[0] == 'r')
            strbuf_add(&b, text, len - 2);
        for (uint64_t i = 0; (w[0] == 'z' && i < v) || (w[0] == 'p' && b.n % v); i++)
            strbuf_addc(&b, '\0');
        w += len;
        w += *w == ' ';
    }
    *n = b.n;
    uint8_t *p = mem_alloc(b.n + (b.n == 0));
    memcpy(p, strbuf_z(&b), b.n);
    strbuf_release(&b);
    return p;
}

static void expect_refused(const uint8_t *p, size_t n, const char *words)
{
    Err e = {0};
    Gguf *g = (Gguf *)&e;
    int rc = gguf_open_memory(&g, p, n, "x.gguf", &e);
    if (rc != ERR_INPUT || !strstr(e.text, words))
        print_error("expected \"%s\", got %d: %s\n", words, rc, e.text);
    assert_int_equal(rc, ERR_INPUT);
    assert_null(g);
    assert_int_equal(strncmp(e.text, "x.gguf", 6), 0);
    assert_non_null(strstr(e.text, words));
    for (const char *c = e.text; *c; c++)
        assert_true((unsigned char)*c >= 0x20 && *c != 0x7f);
    assert_int_equal(gguf_open_memory(&g, p, n, "x.gguf", NULL), ERR_INPUT);   /* also for callers who do not want to know */
}

#define HEAD(tensors, values) "r:GGUF 4:3 8:" #tensors " 8:" #values " "
#define T(name, dims, type, at) "s:" name " " dims " 4:" #type " 8:" #at " "
#define BIG "0xffffffffffffffff"

static void test_lies(void **state)
{
    (void)state;
    static const struct { const char *words, *sentence; } rows[] = {
        { "",                                                   "must start with \"GGUF\"" },
        { "r:GGU",                                              "must start with \"GGUF\"" },
        { "r:ggjt 4:3 8:0 8:0",                                 "must start with \"GGUF\"" },
        { "r:version z:1",                                      "must start with \"GGUF\"" },
        { "r:GGUF 4:3 8:0 4:0",                                 "the file has 20 bytes, a GGUF file starts with 24" },
        { "r:GGUF 4:1 8:0 8:0",                                 "of GGUF version 1, hone reads versions 2 and 3" },
        { "r:GGUF 4:4 8:0 8:0",                                 "of GGUF version 4" },
        { "r:GGUF 4:0 8:0 8:0",                                 "of GGUF version 0" },
        { "r:GGUF 4:0x03000000 8:0 8:0",                        "written for big-endian machines" },
        { "r:GGUF 4:3 8:" BIG " 8:0",                           "claims 18446744073709551615 tensors, its 24 bytes cannot hold them" },
        { "r:GGUF 4:3 8:0 8:" BIG,                              "claims 18446744073709551615 metadata values" },
        { "r:GGUF 4:3 8:0 8:65537 z:917518",                    "has 65537 metadata values, hone reads at most 65536" },
        { "r:GGUF 4:3 8:262145 8:0 z:6291480",                  "has 262145 tensors, hone reads at most 262144" },
        { "r:GGUF 4:3 8:2 8:0 z:47",                            "claims 2 tensors, its 71 bytes cannot hold them" },
        /* metadata */
        { HEAD(0, 1) "z:14",                                    "metadata value 1 of 1: the key \"\" has 0 bytes" },
        { HEAD(0, 1) "8:" BIG " z:20",                          "the key needs 18446744073709551615 bytes" },
        { HEAD(0, 1) "8:100 z:20",                              "the key needs 100 bytes at byte 32 but only 20 follow" },
        { HEAD(0, 1) "8:65536 z:70000",                         "has 65536 bytes; expected 1 to 65535" },
        { HEAD(0, 1) "s:a\x1b[2J 4:4 4:7",                      "the key \"a\\u{1b}[2J\" has" },
        { HEAD(0, 1) "s:a\xff 4:4 4:7",                         "the key \"a\\xff\" has" },
        { HEAD(0, 2) "s:a 4:4 4:7 s:a 4:4 4:7",                 "metadata value 2 of 2: the key \"a\" stands there twice" },
        { HEAD(0, 1) "s:a 4:13 4:7 4:0",                        "metadata value \"a\": the value is of kind 13" },
        { HEAD(0, 1) "s:a 4:" BIG " 4:7",                       "the value is of kind 4294967295" },
        { HEAD(0, 1) "s:abcdef",                                "\"abcdef\": the kind of the value needs 4 bytes at byte 38 but only 0 follow" },
        { HEAD(0, 1) "s:abc 4:10 4:7",                          "1 values of kind u64 cannot follow, only 4 bytes do" },
        { HEAD(0, 1) "s:abc 4:7 1:2",                           "a bool must be 0 or 1, it is 2" },
        { HEAD(0, 1) "s:abc 4:8 8:9 z:8",                       "metadata value \"abc\": the text needs 9 bytes" },
        { HEAD(0, 1) "s:abc 4:8 8:" BIG,                        "the text needs 18446744073709551615 bytes" },
        { HEAD(0, 1) "s:a 4:9 4:4 8:3 4:1 4:2",                 "3 values of kind u32 cannot follow, only 8 bytes do" },
        { HEAD(0, 1) "s:a 4:9 4:4 8:0x4000000000000001 4:1",    "4611686018427387905 values of kind u32 cannot follow" },
        { HEAD(0, 1) "s:a 4:9 4:0 8:" BIG,                      "18446744073709551615 values of kind u8 cannot follow" },
        { HEAD(0, 1) "s:a 4:9 4:8 8:0x2000000000000001 z:8",    "2305843009213693953 strings cannot follow, only 8 bytes do" },
        { HEAD(0, 1) "s:a 4:9 4:8 8:2 s:x 8:3 r:ab",            "a string of the array needs 3 bytes" },
        { HEAD(0, 1) "s:a 4:9 4:8 8:2 s:x z:7",                 "a string of the array needs 8 bytes at byte 58 but only 7 follow" },
        { HEAD(0, 1) "s:a 4:9 4:8 8:2 z:15",                    "2 strings cannot follow, only 15 bytes do" },
        { HEAD(0, 1) "s:a 4:9 4:7 8:3 1:1 1:0 1:255",           "a bool must be 0 or 1, it is 255" },
        { HEAD(0, 1) "s:a 4:9 4:9 8:1 4:9 8:1 4:4 8:1 4:5",     "metadata value \"a\": the value is an array of arrays" },
        { HEAD(0, 1) "s:a 4:9 4:99 8:1 z:8",                    "the value is of kind 99" },
        { HEAD(0, 1) "s:a 4:9 4:4 4:1",                         "the length of the array needs 8 bytes" },
        { HEAD(0, 1) "s:general.alignment 4:4 4:0",             "general.alignment must be a power of two up to 65536, it is 0" },
        { HEAD(0, 1) "s:general.alignment 4:4 4:48",            "general.alignment must be a power of two up to 65536, it is 48" },
        { HEAD(0, 1) "s:general.alignment 4:4 4:0x80000000",    "general.alignment must be a power of two up to 65536, it is 2147483648" },
        { HEAD(0, 1) "s:general.alignment 4:5 4:0xffffffe0",    "general.alignment must be a power of two up to 65536, it is -32" },
        { HEAD(0, 1) "s:general.alignment 4:8 s:32",            "\"general.alignment\" must be a whole number, it is of kind string" },
        { HEAD(0, 1) "s:split.count 4:2 2:3",                   "it is one of 3 files of a model; open it by its path" },
        { HEAD(0, 1) "s:split.count 4:4 4:5000",                "split.count must be a number from 1 to 4096, it is 5000" },
        { HEAD(0, 1) "s:split.count 4:5 4:-1",                  "split.count must be a number from 1 to 4096, it is -1" },
        /* tensor entries */
        { HEAD(1, 0) "8:0 z:40",                                "tensor 1 of 1: its name has 0 bytes" },
        { HEAD(1, 0) "8:513 z:600",                             "its name has 513 bytes" },
        { HEAD(1, 0) "8:" BIG " z:40",                          "its name has 18446744073709551615 bytes" },
        { HEAD(1, 0) "8:100 z:40",                              "the entry goes on past the end of the file" },
        { HEAD(1, 0) "s:a\nb z:60",                             "its name \"a\\u{a}b\" holds control characters" },
        { HEAD(1, 0) "s:a\xc3 z:60",                            "its name \"a\\xc3\" holds control characters or is not UTF-8" },
        { HEAD(1, 0) T("abc", "4:5 8:1 8:1 8:1 8:1 8:1", 0, 0), "\"abc\": it has 5 dimensions, the format allows at most 4" },
        { HEAD(1, 0) T("abc", "4:" BIG, 0, 0) "z:16",           "it has 4294967295 dimensions" },
        { HEAD(1, 0) "s:abc 4:4 8:1 8:1",                       "the entry goes on past the end of the file" },
        { HEAD(1, 0) T("abc", "4:1 8:" BIG, 0, 0),              "the product of its dimensions does not fit" },
        { HEAD(1, 0) T("abc", "4:2 8:0x100000000 8:0x100000000", 0, 0), "the product of its dimensions does not fit" },
        { HEAD(1, 0) T("abc", "4:3 8:0x100000000 8:0x100000000 8:0", 0, 0), "the product of its dimensions does not fit" },
        { HEAD(1, 0) T("abc", "4:1 8:0x4000000000000000", 0, 0), "its bytes do not fit in 64 bits" },
        { HEAD(1, 0) T("abc", "4:1 8:1", 99, 0),                "its number format has the id 99, which hone does not know" },
        { HEAD(1, 0) T("abc", "4:1 8:1", 4, 0),                 "its number format has the id 4" },
        { HEAD(1, 0) T("abc", "4:1 8:33", 8, 0) "z:100",        "its rows have 33 numbers, Q8_0 needs a multiple of 32" },
        { HEAD(1, 0) T("abc", "4:2 8:128 8:2", 12, 0) "z:999",  "its rows have 128 numbers, Q4_K needs a multiple of 256" },
        { HEAD(1, 0) T("abc", "4:0", 8, 0) "z:100",             "its rows have 1 numbers, Q8_0 needs a multiple of 32" },
        { HEAD(1, 0) T("abc", "4:1 8:1", 0, 4) "z:100",         "begins at byte 4 of the data, which is not a multiple of the alignment 32" },
        { HEAD(1, 0) T("abc", "4:1 8:1", 0, 0xffffffffffffffe0) "z:100", "byte 18446744073709551584 of the data but the whole file has only" },
        { HEAD(1, 0) T("abc", "4:1 8:1", 0, 64) "p:32 z:64",    "ends at byte 68 but the file holds only 64 bytes of data; the file was cut off" },
        { HEAD(1, 0) T("abc", "4:1 8:9", 0, 0) "p:32 z:35",     "its data ends at byte 36 but the file holds only 35" },
        { HEAD(1, 0) T("abc", "4:1 8:1", 0, 0),                 "its data ends at byte 4 but the file holds only 0" },
        { HEAD(2, 0) T("a", "4:1 8:9", 0, 0) T("b", "4:1 8:1", 0, 32) "p:32 z:99", "tensor \"b\": its data begins at byte 32, inside" },
        { HEAD(2, 0) T("a", "4:1 8:1", 0, 0) T("b", "4:1 8:1", 0, 0) "p:32 z:99",  "begins at byte 0, inside that of tensor \"a\"" },
        { HEAD(2, 0) T("a", "4:1 8:1", 0, 0) T("a", "4:1 8:1", 0, 32) "p:32 z:99", "tensor 2 of 2: \"a\": it is also in x.gguf" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t n;
        uint8_t *p = assemble(rows[i].words, &n);
        expect_refused(p, n, rows[i].sentence);
        free(p);
    }
    static const char lfs[] = "version https://git-lfs.github.com/spec/v1\n";
    expect_refused((const uint8_t *)lfs, sizeof lfs - 1, "Git LFS pointer");
}

static void test_what_the_format_allows(void **state)
{
    (void)state;
    static const struct { const char *words; size_t tensors; } rows[] = {
        { HEAD(0, 0),                                                                                            0 },
        { "r:GGUF 4:2 8:1 8:0 " T("a", "4:1 8:1", 0, 0) "p:32 4:1",                                              1 },   /* version 2; no padding */
        { HEAD(1, 0) T("a", "4:0", 0, 0) "p:32 4:1",                                                             1 },   /* a single number */
        { HEAD(1, 0) T("a", "4:2 8:0 8:7", 0, 0),                                                                1 },   /* no numbers, no data */
        { HEAD(2, 0) T("a", "4:1 8:1", 0, 32) T("b", "4:1 8:1", 0, 0) "p:32 z:36",                               2 },   /* data in another order */
        { HEAD(2, 0) T("a", "4:1 8:0", 0, 0) T("b", "4:1 8:8", 0, 0) "p:32 z:32",                                2 },
        { HEAD(1, 1) "s:general.alignment 4:4 4:64 " T("a", "4:1 8:1", 0, 64) "p:64 z:64 4:1",                   1 },
        { HEAD(1, 1) "s:general.alignment 4:4 4:1 " T("a", "4:1 8:1", 24, 3) "z:4",                              1 },
        { HEAD(1, 0) T("a", "4:1 8:256", 19, 0) "p:32 z:50",                                                     1 },   /* a format known by name */
        { HEAD(0, 2) "s:a 4:9 4:8 8:0 s:split.count 4:2 2:0",                                                    0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t n;
        uint8_t *p = assemble(rows[i].words, &n);
        Err e = {0};
        Gguf *g = NULL;
        if (gguf_open_memory(&g, p, n, "x", &e))
            print_error("row %zu: %s\n", i, e.text);
        assert_non_null(g);
        assert_int_equal(gguf_count(g), rows[i].tensors);
        for (size_t k = 0; k < gguf_count(g); k++) {
            const GgufTensor *t = gguf_at(g, k);
            assert_true((const uint8_t *)t->data >= p && (const uint8_t *)t->data + t->nbytes <= p + n);
        }
        gguf_close(g);
        free(p);
    }
}

static uint8_t *golden_bytes(const char *name, size_t *n)
{
    FileMap m = {0};
    Err e = {0};
    char path[256];
    snprintf(path, sizeof path, GOLDEN "%s", name);
    assert_int_equal(file_map(&m, path, &e), 0);
    uint8_t *p = mem_alloc(m.n);
    memcpy(p, m.p, m.n);
    *n = m.n;
    file_unmap(&m);
    return p;
}

static void test_every_truncation(void **state)
{
    (void)state;
    size_t whole;
    uint8_t *all = golden_bytes("kinds.gguf", &whole);
    for (size_t n = 0; n < whole - 32; n++) {                  /* the last tensor has 16 bytes, then padding */
        uint8_t *p = mem_alloc(n + (n == 0));
        Gguf *g = NULL;
        Err e = {0};
        memcpy(p, all, n);
        if (gguf_open_memory(&g, p, n, "x", &e) == 0)
            print_error("opened although only %zu of %zu bytes are there\n", n, whole);
        assert_null(g);
        assert_int_equal(e.code, ERR_INPUT);
        free(p);
    }
    free(all);
}

static void test_every_flipped_byte(void **state)
{
    (void)state;
    static const uint8_t flips[] = { 0x01, 0x10, 0x80, 0xff };
    size_t n, opened = 0;
    uint8_t *p = golden_bytes("kinds.gguf", &n);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < ARRAY_LEN(flips); k++) {
            Gguf *g = NULL;
            Err e = {0};
            p[i] ^= flips[k];
            if (gguf_open_memory(&g, p, n, "x", &e) == 0)
                for (size_t t = 0; t < gguf_count(g); t++)
                    assert_true((const uint8_t *)gguf_at(g, t)->data + gguf_at(g, t)->nbytes <= p + n);
            else
                assert_true(!g && e.code == ERR_INPUT);
            opened += g != NULL;
            gguf_close(g);
            p[i] ^= flips[k];
        }
    assert_true(opened > n && opened < n * ARRAY_LEN(flips));  /* values may change unseen, structure may not */
    free(p);
}

/* ---- splits that do not fit ---- */

static void copy_piece(const char *dir, const char *name, int piece)
{
    char from[64], to[256];
    size_t n;
    Err e = {0};
    snprintf(from, sizeof from, "split-%05d-of-00003.gguf", piece);
    snprintf(to, sizeof to, "%s/%s", dir, name);
    uint8_t *p = golden_bytes(from, &n);
    assert_int_equal(file_write_atomic(to, p, n, &e), 0);
    free(p);
}

static void test_lying_splits(void **state)
{
    (void)state;
    static const struct { const char *name[3]; int piece[3]; const char *open, *sentence; } rows[] = {
        { { "m-00001-of-00003.gguf", "m-00002-of-00003.gguf" }, { 1, 2 }, "m-00001-of-00003.gguf",
          "m-00003-of-00003.gguf, one of the 3 of this model, is missing" },
        { { "m-00002-of-00003.gguf", "m-00003-of-00003.gguf" }, { 2, 3 }, "m-00003-of-00003.gguf", "m-00001-of-00003.gguf, one of the 3" },
        { { "m.gguf" }, { 1 }, "m.gguf", "its name must end like \"-00001-of-00003.gguf\"" },
        { { "m-00001-of-00002.gguf" }, { 1 }, "m-00001-of-00002.gguf", "its name must end like" },
        { { "m-00004-of-00003.gguf" }, { 1 }, "m-00004-of-00003.gguf", "its name must end like" },
        { { "m-1-of-3.gguf" }, { 1 }, "m-1-of-3.gguf", "its name must end like" },
        { { "m-00001-of-00003.gguf", "m-00002-of-00003.gguf", "m-00003-of-00003.gguf" }, { 1, 3, 2 }, "m-00001-of-00003.gguf",
          "by its name it is file 2 of 3 of the model, its metadata say file 3 of 3" },
        { { "m-00001-of-00003.gguf", "m-00002-of-00003.gguf", "m-00003-of-00003.gguf" }, { 1, 1, 3 }, "m-00001-of-00003.gguf",
          "\"embed\": it is also in" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char dir[] = "/tmp/hone-gguf-XXXXXX", path[256];
        Err e = {0};
        Gguf *g = NULL;
        assert_non_null(mkdtemp(dir));
        for (int k = 0; k < 3 && rows[i].name[k]; k++)
            copy_piece(dir, rows[i].name[k], rows[i].piece[k]);
        snprintf(path, sizeof path, "%s/%s", dir, rows[i].open);
        expect_sentence(gguf_open(&g, path, &e), &e, rows[i].sentence);
        assert_null(g);
        assert_int_equal(dir_remove(dir, &e), 0);
    }
}

/* ---- the writer ---- */

static void rule_values(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(i % 61 - 30) / 4;
}

/* What make_exact of tools/golden_gguf.py writes. */
static int write_exact(const char *path, Err *e)
{
    static const Str strings[] = { STR_LIT(""), STR_LIT("\xc3\xa9"), STR_LIT("two words") };
    GgufWriter *w = NULL;
    int rc = gguf_create(&w, path, e);
    if (rc)
        return rc;
    gguf_set_str(w, "general.architecture", STR_LIT("llama"));
    gguf_set_u32(w, "a.u32", 4000000000);
    gguf_set_i32(w, "a.i32", -5);
    gguf_set_u64(w, "a.u64", (uint64_t)1 << 63);
    gguf_set_f32(w, "a.f32", 0.1f);
    gguf_set_bool(w, "a.bool", true);
    gguf_set_strs(w, "a.strs", strings, ARRAY_LEN(strings));
    gguf_set_i32s(w, "a.i32s", (int32_t[]){ 1, -2, 3 }, 3);
    gguf_set_f32s(w, "a.f32s", (float[]){ 0.5f, -1.25f }, 2);
    gguf_set_bools(w, "a.bools", (bool[]){ true, false }, 2);
    gguf_declare(w, "first", DT_F32, 2, (int64_t[]){ 3, 5 });
    gguf_declare(w, "second", DT_F16, 1, (int64_t[]){ 7 });
    gguf_declare(w, "third", DT_Q8_0, 3, (int64_t[]){ 1, 2, 64 });
    float x[128];
    uint16_t half[7];
    uint8_t blocks[136];
    rule_values(x, 128);
    dtype_from_f32(half, x, DT_F16, 7);
    dtype_from_f32(blocks, x, DT_Q8_0, 128);
    for (int i = 0; !rc && i < 15; i += 5)                     /* in pieces */
        rc = gguf_write(w, x + i, 5 * sizeof *x, e);
    if (!rc)
        rc = gguf_write(w, half, sizeof half, e);
    if (!rc)
        rc = gguf_write(w, blocks, sizeof blocks, e);
    if (!rc)
        return gguf_commit(&w, e);
    gguf_abort(&w);
    return rc;
}

static void test_writes_what_the_package_writes(void **state)
{
    (void)state;
    char dir[] = "/tmp/hone-gguf-XXXXXX", path[256];
    Err e = {0};
    FileMap ours = {0}, theirs = {0};
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/exact.gguf", dir);
    assert_int_equal(write_exact(path, &e), 0);
    assert_int_equal(file_map(&ours, path, &e), 0);
    assert_int_equal(file_map(&theirs, GOLDEN "exact.gguf", &e), 0);
    assert_int_equal(ours.n, theirs.n);
    assert_memory_equal(ours.p, theirs.p, ours.n);
    file_unmap(&ours);
    file_unmap(&theirs);
    assert_int_equal(dir_remove(dir, &e), 0);
}

/* Values of an open file, an array of u32, tensors without numbers, one write over several tensors. */
static void test_reads_back_what_it_writes(void **state)
{
    (void)state;
    char dir[] = "/tmp/hone-gguf-XXXXXX", path[256];
    Err e = {0};
    Gguf *from = open_good(GOLDEN "kinds.gguf");
    GgufWriter *w = NULL;
    float x[24];
    rule_values(x, 24);
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/a.gguf", dir);
    assert_int_equal(gguf_create(&w, path, &e), 0);
    for (size_t i = 0; i < gguf_meta_count(from); i++)
        gguf_set_copy(w, from, gguf_meta_key(from, i).p);
    gguf_set_u32s(w, "u32s", (uint32_t[]){ 1, 4000000000 }, 2);
    gguf_declare(w, "none", DT_F32, 2, (int64_t[]){ 0, 4 });
    gguf_declare(w, "a", DT_F32, 2, (int64_t[]){ 2, 8 });
    gguf_declare(w, "void", DT_Q4_K, 2, (int64_t[]){ 0, 256 });
    gguf_declare(w, "b", DT_F32, 1, (int64_t[]){ 8 });
    gguf_declare(w, "last", DT_F32, 1, (int64_t[]){ 0 });
    assert_int_equal(gguf_write(w, x, sizeof x, &e), 0);
    assert_int_equal(gguf_commit(&w, &e), 0);
    assert_null(w);
    Gguf *g = open_good(path);
    assert_int_equal(gguf_meta_count(g), gguf_meta_count(from) + 1);
    expect_int(g, "k.u8", 200);
    expect_num(g, "k.f64", 1e300);
    GgufArray a;
    assert_int_equal(gguf_need_array(g, "k.strings", &a, &e), 0);
    assert_true(a.n == 4 && str_eqz(gguf_array_str(&a, 2), "three words here"));
    assert_int_equal(gguf_need_array(g, "u32s", &a, &e), 0);
    assert_true(a.n == 2 && gguf_array_int(&a, 1) == 4000000000);
    expect_tensor(g, "none", "F32", 2, (int64_t[]){ 0, 4 }, 0);
    expect_tensor(g, "void", "Q4_K", 2, (int64_t[]){ 0, 256 }, 0);
    expect_rule_values(expect_tensor(g, "a", "F32", 2, (int64_t[]){ 2, 8 }, 64));
    assert_memory_equal(expect_tensor(g, "b", "F32", 1, (int64_t[]){ 8 }, 32)->data, x + 16, 32);
    gguf_close(g);
    gguf_close(from);
    assert_int_equal(dir_remove(dir, &e), 0);
}

static void test_unfinished_writes_leave_nothing(void **state)
{
    (void)state;
    char dir[] = "/tmp/hone-gguf-XXXXXX", path[256];
    Err e = {0};
    GgufWriter *w = NULL;
    FileList l = {0};
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/a.gguf", dir);
    assert_int_equal(gguf_create(&w, path, &e), 0);
    gguf_declare(w, "a", DT_F32, 1, (int64_t[]){ 2 });
    assert_int_equal(gguf_write(w, "abcd", 4, &e), 0);
    assert_int_equal(gguf_commit(&w, &e), ERR_WORK);
    assert_non_null(strstr(e.text, "only 4 of 32 bytes of tensor data were given"));
    for (int64_t room = 0; room < 600; room += 37) {           /* the disk is full somewhere in the head, the data, or at the end */
        file_test_fail_after(room);
        assert_int_equal(write_exact(path, &e), ERR_IO);
        file_test_fail_after(-1);
    }
    assert_int_equal(file_list(&l, dir, &e), 0);
    assert_int_equal(l.n, 0);
    file_list_release(&l);
    assert_int_equal(dir_remove(dir, &e), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_tensors),
        cmocka_unit_test(test_golden_metadata),
        cmocka_unit_test(test_golden_split),
        cmocka_unit_test(test_lies),
        cmocka_unit_test(test_what_the_format_allows),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_every_flipped_byte),
        cmocka_unit_test(test_lying_splits),
        cmocka_unit_test(test_writes_what_the_package_writes),
        cmocka_unit_test(test_reads_back_what_it_writes),
        cmocka_unit_test(test_unfinished_writes_leave_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
