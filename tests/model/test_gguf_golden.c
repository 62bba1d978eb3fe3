/* test_gguf_golden.c - the golden tiny models written as GGUF against what llama.cpp's own converter writes for them (tools/golden_gguf_model.py): every
 * tensor by name, shape and SHA-256, every key by its value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "formats/gguf.h"
#include "model/gguf_save.h"

/* Where hone knowingly writes something else. */
static const struct { const char *family, *key, *why; } otherwise[] = {
    { "mistral",    "llama.context_length",  "llama.cpp has no window here, so the context ends where the window does" },
    { "starcoder2", "starcoder2.context_length", "the same" },
    { "gpt2",       "gpt2.feed_forward_length", "the converter writes four times the width, whatever n_inner says" },
    { "llama_dynamic", "llama.context_length", "without dynamic scaling the context is the original one" },
    { "qwen2_yarn", "qwen2.context_length",  "hone's configuration counts the stretched context" },
};

/* Models for which the converter writes a file that computes something else, and which hone refuses. */
static const struct { const char *family, *says; } refused[] = {
    { "gemma2", "scaled by another number" },
    { "gemma3", "scaled by another number" },
    { "smollm3", "layers without rotation" },
};

static const char *refusal(const char *family)
{
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        if (!strcmp(refused[i].family, family))
            return refused[i].says;
    return NULL;
}

static bool is_excused(const char *family, const char *key)
{
    for (size_t i = 0; i < ARRAY_LEN(otherwise); i++)
        if (!strcmp(otherwise[i].family, family) && !strcmp(otherwise[i].key, key))
            return true;
    return false;
}

static void value_text(const Gguf *g, const char *key, StrBuf *out)
{
    GgufKind  kind = GGUF_U8;
    int64_t   n = 0;
    double    x = 0;
    bool      b = false;
    Str       s = { 0 };
    GgufArray a = { 0 };
    if (!gguf_kind(g, key, &kind)) {
        strbuf_addz(out, "(absent)");
    } else if (kind == GGUF_STR) {
        assert_int_equal(gguf_need_str(g, key, &s, NULL), 0);
        strbuf_add(out, s.p, s.n);
    } else if (kind == GGUF_BOOL) {
        assert_int_equal(gguf_need_bool(g, key, &b, NULL), 0);
        strbuf_addz(out, b ? "true" : "false");
    } else if (kind == GGUF_F32) {
        assert_int_equal(gguf_need_num(g, key, &x, NULL), 0);
        strbuf_addf(out, "%.9g", x);
    } else if (kind == GGUF_ARRAY) {
        assert_int_equal(gguf_need_array(g, key, &a, NULL), 0);
        for (size_t i = 0; i < a.n; i++)
            strbuf_addf(out, "%s%lld", i ? "," : "[", (long long)gguf_array_int(&a, i));
        strbuf_addc(out, ']');
    } else {
        assert_int_equal(gguf_need_int(g, key, &n, NULL), 0);
        strbuf_addf(out, "%lld", (long long)n);
    }
}

static void tensor_text(const Gguf *g, const char *name, StrBuf *out)
{
    const GgufTensor *t = gguf_find(g, name);
    Sha256            h;
    char              hex[SHA256_HEX];
    if (!t) {
        strbuf_addz(out, "(absent)");
        return;
    }
    for (int i = 0; i < t->rank; i++)
        strbuf_addf(out, "%s%lld", i ? "x" : "", (long long)t->dim[i]);
    sha256_init(&h);
    sha256_add(&h, t->data, t->nbytes);
    sha256_hex(&h, hex);
    strbuf_addf(out, " %s", hex);
}

static int check_family(const char *family, Backend *be, const char *path)
{
    Err             e = { 0 };
    Model          *m = NULL;
    Gguf           *g = NULL;
    const GgufType *type = NULL;
    StrBuf          notes = { 0 };
    char            dir[600], list[600], *text = NULL;
    size_t          n = 0, tensors = 0, wrong = 0;
    snprintf(dir, sizeof dir, "%s/golden/models/%s", TEST_DIR, family);
    snprintf(list, sizeof list, "%s/golden/gguf/%s.txt", TEST_DIR, family);
    if (gguf_type_find(&type, "F32", &e) || file_read_text(list, &text, &n, &e) || model_open(&m, dir, be, NULL, &e))
        fail_msg("%s: %s", family, e.text);
    const int rc = gguf_save(m, NULL, NULL, NULL, path, type, 1, &notes, &e);
    if (refusal(family)) {
        if (!rc || !strstr(e.text, refusal(family)))
            fail_msg("%s should be refused with \"%s\", not: %s", family, refusal(family), e.text);
        model_close(m);
        free(text);
        strbuf_release(&notes);
        return 1;
    }
    if (rc || gguf_open(&g, path, &e))
        fail_msg("%s: %s", family, e.text);
    for (char *rest = NULL, *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        StrBuf     got = { 0 };
        char      *name = strchr(line, ' ') + 1, *want = strchr(name, ' ');
        const bool meta = !strncmp(line, "meta ", 5);
        assert_non_null(want);
        *want++ = 0;
        if (meta)
            value_text(g, name, &got);
        else
            tensor_text(g, name, &got);
        tensors += !meta;
        if (strcmp(strbuf_z(&got), want) != 0 && !(meta && is_excused(family, name)))
            print_error("%s: %s is %s, llama.cpp's converter writes %s\n", family, name, strbuf_z(&got), want), wrong++;
        strbuf_release(&got);
    }
    if (gguf_count(g) != tensors) {
        print_error("%s: %zu tensors, llama.cpp's converter writes %zu\n", family, gguf_count(g), tensors);
        wrong++;
    }
    strbuf_release(&notes);
    gguf_close(g);
    model_close(m);
    free(text);
    unlink(path);
    assert_int_equal(wrong, 0);
    return 1;
}

static void test_as_the_converter(void **state)
{
    (void)state;
    Err      e = { 0 };
    Backend *be = backend_open("cpu", 1, &e);
    char     dir[600], scratch[] = "/tmp/hone-gguf-XXXXXX", *path;
    FileList l = { 0 };
    int      done = 0;
    snprintf(dir, sizeof dir, "%s/golden/gguf", TEST_DIR);
    assert_non_null(mkdtemp(scratch));
    path = path_join(scratch, "m.gguf");
    assert_int_equal(file_list(&l, dir, &e), 0);
    for (size_t i = 0; i < l.n; i++) {
        l.name[i][strcspn(l.name[i], ".")] = 0;
        done += check_family(l.name[i], be, path);
    }
    assert_true(done >= 16);
    file_list_release(&l);
    dir_remove(scratch, NULL);
    free(path);
    be->close(be);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_as_the_converter) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
