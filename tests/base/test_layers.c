/* test_layers.c - tools/check_layers.sh must find each kind of breach in a small tree made for it, and must not mistake a text for a call. */
#include "base/check.h"

#include "base/str.h"

#include <stdio.h>

static char *dir;

static void put(const char *name, const char *text)
{
    Err e;
    char *path = path_join(dir, name), *parent = path_join(dir, name);
    *strrchr(parent, '/') = '\0';
    if (dir_make(parent, &e) || file_write_atomic(path, text, strlen(text), &e))
        fail_msg("%s", e.text);
    free(path);
    free(parent);
}

static int check(StrBuf *out)
{
    char command[1024], line[512];
    snprintf(command, sizeof command, "%s/../tools/check_layers.sh %s", TEST_DIR, dir);
    strbuf_clear(out);
    FILE *p = popen(command, "r");
    assert_non_null(p);
    while (fgets(line, sizeof line, p))
        strbuf_addz(out, line);
    return WEXITSTATUS(pclose(p));
}

static void test_layers(void **state)
{
    (void)state;
    static const struct { const char *file, *text, *place; } breaches[] = {
        { "src/base/a.c", "#include \"base/err.h\"\n#include \"formats/dtype.h\"\n", "src/base/a.c:2:" },
        { "src/tensor/b.c", "# include \"tokenizer/tok.h\"\n", "src/tensor/b.c:1:" },
        { "src/data/c.h", "#include \"model/model.h\"\n", "src/data/c.h:1:" },
        { "src/model/d.c", "\n#include <jansson.h>\n", "src/model/d.c:2:" },
        { "src/base/e.c", "#include <pcre2.h>\n", "src/base/e.c:1:" },
        { "src/tensor/cpu/f.c", "#include <cuda_runtime.h>\n", "src/tensor/cpu/f.c:1:" },
        { "src/infer/g.c", "int f(void) { return 0; } /* */ void g(void) { strcpy(a, b); }\n", "src/infer/g.c:1:" },
        { "src/infer/h.c", "/* one\n * two */ x = sprintf (a, \"b\");\n", "src/infer/h.c:2:" },
        { "src/formats/i.c", "#include \"../base/err.h\"\n", "src/formats/i.c:1:" },
        { "src/attic/j.c", "int x;\n", "src/attic/j.c:1:" },
    };
    StrBuf out = { 0 };
    dir = check_dir();
    put("src/model/fine.c", "#include \"base/err.h\"\n#include \"tokenizer/tok.h\"\n#include \"tensor/ops.h\"\n#include \"model_int.h\"\n"
                            "/* strcpy(x) is\n   sprintf(banned) */ // gets(s)\nconst char *t = \"strcat(a, b)\"; my_strtok(a); snprintf(a, 1, b);\n");
    put("src/tensor/cuda/fine.cu", "#include <cuda_runtime.h>\n#include <cublasLt.h>\n");
    put("src/base/fine.c", "#include <jansson.h>\n#include <yaml.h>\n");
    put("src/tokenizer/fine.c", "#include <pcre2.h>\n");
    assert_int_equal(check(&out), 0);
    assert_string_equal(strbuf_z(&out), "4 files, no breach\n");
    for (size_t i = 0; i < ARRAY_LEN(breaches); i++)
        put(breaches[i].file, breaches[i].text);
    assert_int_equal(check(&out), 1);
    for (size_t i = 0; i < ARRAY_LEN(breaches); i++)
        if (!strstr(strbuf_z(&out), breaches[i].place))
            fail_msg("%s is not reported in:\n%s", breaches[i].place, strbuf_z(&out));
    assert_non_null(strstr(strbuf_z(&out), "14 files, 10 breaches"));
    strbuf_release(&out);
    check_dir_done(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_layers) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
