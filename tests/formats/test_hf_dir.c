/* test_hf_dir.c - which folders open, which do not, and what the user is told. */
#include "formats/hf_dir.h"

#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define GOLDEN TEST_DIR "/formats/golden/"

static char root[] = "/tmp/hone-hf-XXXXXX";
static const char no_tensors[10] = "\2\0\0\0\0\0\0\0{}";

/* The folder root/name with the files of a list that ends with NULL; weights get a valid file without tensors, the rest "{}". */
static char *make_folder(const char *name, const char *const *files)
{
    Err e = {0};
    char *dir = path_join(root, name);
    assert_int_equal(dir_make(dir, &e), 0);
    for (; *files; files++) {
        char *path = path_join(dir, *files);
        Str text = str_ends(str_of(*files), ".safetensors") ? (Str){ no_tensors, sizeof no_tensors } : STR_LIT("{}");
        assert_int_equal(file_write_atomic(path, text.p, text.n, &e), 0);
        free(path);
    }
    return dir;
}

static void put(const char *dir, const char *name, const char *text)
{
    Err e = {0};
    char *path = path_join(dir, name);
    assert_int_equal(file_write_atomic(path, text, strlen(text), &e), 0);
    free(path);
}

typedef int (*OpenFn)(HfDir **, const char *, Err *);

static HfDir *expect_opens(OpenFn fn, const char *path)
{
    Err e = {0};
    HfDir *d = NULL;
    int rc = fn(&d, path, &e);
    if (rc)
        print_error("%s\n", e.text);
    assert_int_equal(rc, 0);
    assert_non_null(d);
    return d;
}

static void expect_refused(OpenFn fn, const char *path, const char *words)
{
    Err e = {0};
    HfDir *d = (HfDir *)(void *)&e;
    int rc = fn(&d, path, &e);
    if (rc != ERR_INPUT || !strstr(e.text, words))
        print_error("expected \"%s\", got %d: %s\n", words, rc, e.text);
    assert_int_equal(rc, ERR_INPUT);
    assert_null(d);
    assert_non_null(strstr(e.text, words));
    assert_int_equal(strncmp(e.text, path, strlen(path)), 0);
}

static void test_sharded_folder_and_slashes(void **state)
{
    (void)state;
    static const char *const paths[] = { GOLDEN "sharded", GOLDEN "sharded/", GOLDEN "sharded///" };
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        HfDir *d = expect_opens(hf_dir_open, paths[i]);
        assert_string_equal(d->path, GOLDEN "sharded");
        assert_int_equal(json_int(json_get(d->config, "hidden_size")), 2);
        assert_int_equal(st_count(d->weights), 4);
        assert_null(d->generation);
        assert_null(d->tokenizer);
        assert_null(d->tokenizer_config);
        assert_null(d->adapter);
        hf_dir_close(d);
    }
    hf_dir_close(NULL);
}

static void test_real_folder(void **state)
{
    (void)state;
    static const char path[] = SHARED_DIR "/models/stories260K";
    if (!file_is_dir(path)) {
        print_message("SKIPPED: %s is not there\n", path);
        skip();
    }
    HfDir *d = expect_opens(hf_dir_open, path);
    assert_non_null(json_get(d->config, "hidden_size"));
    assert_non_null(d->generation);
    assert_non_null(json_get(d->tokenizer, "model"));
    assert_non_null(d->tokenizer_config);
    assert_non_null(st_find(d->weights, "model.embed_tokens.weight"));
    hf_dir_close(d);
}

static void test_which_weights(void **state)
{
    (void)state;
    static const struct { const char *files[6]; const char *weights; } rows[] = {
        { { "config.json" },                                                                           NULL },
        { { "config.json", "model.safetensors" },                                                      "model.safetensors" },
        { { "config.json", "model.safetensors", "model.safetensors.index.json" },                      "model.safetensors" },
        { { "config.json", "model.safetensors", "pytorch_model.bin" },                                 "model.safetensors" },
        { { "config.json", "adapter_model.safetensors" },                                              NULL },
        { { "adapter_config.json" },                                                                   NULL },
        { { "adapter_config.json", "adapter_model.safetensors" },                                      "adapter_model.safetensors" },
        { { "adapter_config.json", "config.json", "model.safetensors", "adapter_model.safetensors" },  "adapter_model.safetensors" },
        { { "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin" },                 "adapter_model.safetensors" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char name[32];
        snprintf(name, sizeof name, "weights%zu", i);
        char *dir = make_folder(name, rows[i].files);
        for (size_t k = 0; rows[i].files[k]; k++)                              /* mark the file that should be chosen */
            if (rows[i].weights && !strcmp(rows[i].files[k], rows[i].weights)) {
                char *path = path_join(dir, rows[i].weights);
                Err e = {0};
                StWriter *w = NULL;
                assert_int_equal(st_create(&w, path, &e), 0);
                st_meta(w, "chosen", "yes");
                assert_int_equal(st_commit(&w, &e), 0);
                free(path);
            }
        HfDir *d = expect_opens(hf_dir_open, dir);
        assert_int_equal(d->weights != NULL, rows[i].weights != NULL);
        if (d->weights)
            assert_true(str_eqz(st_metadata(d->weights, "chosen"), "yes"));
        hf_dir_close(d);
        free(dir);
    }
}

static void test_refused_folders(void **state)
{
    (void)state;
    static const struct { const char *files[4]; OpenFn fn; const char *words; } rows[] = {
        { { NULL },                                               hf_dir_open, "neither config.json (a model) nor adapter_config.json" },
        { { "tokenizer.json", "model.safetensors" },              hf_dir_open, "neither config.json (a model) nor adapter_config.json" },
        { { "config.json", "pytorch_model.bin" },                 hf_dir_open, "save the model as safetensors" },
        { { "config.json", "pytorch_model.bin.index.json" },      hf_dir_open, "save the model as safetensors" },
        { { "adapter_config.json", "adapter_model.bin" },         hf_dir_open, "save the model as safetensors" },
        { { "config.json", "model.safetensors.index.json" },      hf_dir_open, "\"weight_map\" must be an object" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char name[32];
        snprintf(name, sizeof name, "refused%zu", i);
        char *dir = make_folder(name, rows[i].files);
        expect_refused(rows[i].fn, dir, rows[i].words);
        free(dir);
    }
    char *absent = path_join(root, "absent"), *dir = make_folder("plain", (const char *const[]){ "config.json", NULL });
    char *file = path_join(dir, "config.json");
    expect_refused(hf_dir_open, absent, "there is no such folder");
    expect_refused(hf_dir_open, "", "there is no such folder");
    expect_refused(hf_dir_open, file, "this is a file");
    free(absent);
    free(dir);
    free(file);
}

static void test_broken_parts(void **state)
{
    (void)state;
    static const char *const parts[] = { "config.json", "generation_config.json", "adapter_config.json", "tokenizer.json", "tokenizer_config.json" };
    static const struct { const char *text, *words; } rows[] = {
        { "",               "line 1, column" },
        { "{\"a\":",        "line 1, column" },
        { "{\n\"a\":1,}",   "line 2, column" },
        { "{\"a\":\"\xff\"}", "line 1, column" },
        { "[]",             "expected a JSON object, found an array" },
        { "null",           "expected a JSON object, found null" },
    };
    for (size_t p = 0; p < ARRAY_LEN(parts); p++) {
        char *dir = make_folder(parts[p], (const char *const[]){ "config.json", "tokenizer.json", NULL });
        char *path = path_join(dir, parts[p]);
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
            Err e = {0};
            HfDir *d = NULL;
            put(dir, parts[p], rows[i].text);
            assert_int_equal(hf_dir_open(&d, dir, &e), ERR_INPUT);
            assert_null(d);
            assert_int_equal(strncmp(e.text, path, strlen(path)), 0);
            assert_non_null(strstr(e.text, rows[i].words));
        }
        free(path);
        free(dir);
    }
}

static int make_root(void **state)
{
    (void)state;
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    (void)state;
    return dir_remove(root, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sharded_folder_and_slashes),
        cmocka_unit_test(test_real_folder),
        cmocka_unit_test(test_which_weights),
        cmocka_unit_test(test_refused_folders),
        cmocka_unit_test(test_broken_parts),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
