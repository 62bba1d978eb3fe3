/* small_run.h - what tests of whole runs start from: a scratch folder, random models of a given shape in it with the tests' byte-level tokenizer, forty rows, a run that is
 * opened with options. */
#ifndef HONE_TESTS_SMALL_RUN_H
#define HONE_TESTS_SMALL_RUN_H

#include "base/check.h"

#include "train/run.h"

static char *home; /* scratch folder with the models and data.jsonl */

static inline char *at(const char *name) { return path_join(home, name); }

static inline void write_file(const char *name, const char *text)
{
    Err   e = { 0 };
    char *path = at(name);
    if (file_write_atomic(path, text, strlen(text), &e))
        fail_msg("%s", e.text);
    free(path);
}

/* A folder with a config.json and the tokenizer. */
static inline void small_shape(const char *name, const char *config)
{
    static const char *const file[] = { "config.json", "tokenizer.json", "tokenizer_config.json" };
    Err    e = { 0 };
    char  *dir = at(name), *tokenizer;
    size_t n;
    if (dir_make(dir, &e) || file_read_text(TEST_DIR "/golden/tokenizer/byte_level.json", &tokenizer, &n, &e))
        fail_msg("%s", e.text);
    const char *const text[] = { config, tokenizer, "{\"bos_token\":\"<|begin_of_text|>\",\"eos_token\":\"<|end_of_text|>\"}" };
    for (size_t i = 0; i < ARRAY_LEN(file); i++) {
        char *path = path_join(name, file[i]);
        write_file(path, text[i]);
        free(path);
    }
    free(tokenizer);
    free(dir);
}

/* A random model in F32, of the shape in "shape", which stays. */
static inline void small_model(const char *name, const char *config)
{
    Err      e = { 0 };
    Model   *m;
    Backend *be = backend_open("cpu", 1, &e);
    small_shape("shape", config);
    char *shape = at("shape"), *model = at(name);
    if (!be || model_open_random(&m, shape, be, DT_F32, 7, &e) || model_save(m, NULL, model, &(SaveOptions){ .dtype = DT_F32 }, &e))
        fail_msg("%s: %s", name, e.text);
    model_close(m);
    be->close(be);
    free(shape);
    free(model);
}

static inline void small_rows(void)
{
    StrBuf data = { 0 };
    for (int i = 0; i < 40; i++)
        strbuf_addf(&data, "{\"prompt\":\"item %d: what colour is %s\",\"completion\":\" %s %d\"}\n", i, i % 3 ? "the sea" : "grass and the leaves of trees",
                    i % 3 ? "blue" : "green", i);
    write_file("data.jsonl", strbuf_z(&data));
    strbuf_release(&data);
}

static int remove_home(void **state)
{
    (void)state;
    check_dir_done(home);
    return 0;
}

/* options: pairs of names and values up to NULL; those of `more` (may be NULL) win. */
static inline int small_open(TrainRun **r, Backend *be, const char *model, const char *out, const char *const *options, const char *const *more, Err *e)
{
    TrainCfg          cfg = { 0 };
    char             *m = at(model), *d = at("data.jsonl"), *o = at(out);
    const char *const place[] = { "model", m, "data", d, "out", o, NULL }, *const *lists[] = { place, options, more };
    int               rc = 0;
    cfg_defaults(train_options, &cfg);
    for (size_t k = 0; k < ARRAY_LEN(lists); k++)
        for (const char *const *p = lists[k]; p && p[0]; p += 2)
            rc |= cfg_set(train_options, &cfg, str_of(p[0]), str_of(p[1]), "test", e);
    assert_int_equal(rc, 0);
    rc = train_open(r, &cfg, be, e);
    cfg_release(train_options, &cfg);
    free(m);
    free(d);
    free(o);
    return rc;
}

#endif
