/* test_packed_model.c - whole models on packed weights: the logits of every format against the official implementation run on the same numbers, and what is
 * saved from them. */
#include "golden/golden.h"

#define GOLDEN_PACKED TEST_DIR "/formats/golden/packed/"
#define LOGITS_TOL    1e-5

static Backend *be;

static const char *const folders[] = {
    "nf4", "nf4_double", "nf4_stored_bf16", "fp4", "int8", "fp8_block", "fp8_tensor", "ct_fp8_tensor", "ct_fp8_channel", "ct_int8", "ct_int8_zero", "ct_int4",
    "ct_int4_zero", "ct_int3_zero", "gptq4", "gptq4_order", "gptq4_v2", "gptq2", "gptq3", "gptq8", "awq4",
};

static float *logits_of(const Model *m, const StTensor *ids)
{
    TArena  a;
    Tape    t;
    Step    s;
    int32_t pos[64], zero = 0, n = (int32_t)ids->count;
    assert_true(n <= 64);
    for (int32_t i = 0; i < n; i++)
        pos[i] = i;
    tarena_init(&a, be);
    step_init(&s, m, &a, golden_put(&a, DT_I32, ids->data, n), golden_put(&a, DT_I32, pos, n), 1, &zero, &n);
    tape_init(&t, be, &a, false);
    Tensor *y = model_logits(&t, m, s.adapter, model_hidden(&t, m, &s, NULL));
    float  *v = mem_alloc((size_t)tensor_numel(y) * sizeof *v);
    tensor_get(y, v);
    tape_release(&t);
    tarena_release(&a);
    return v;
}

static double difference(const float *a, const float *b, int64_t n)
{
    double off = 0, top = 0;
    for (int64_t i = 0; i < n; i++) {
        off = fmax(off, fabs((double)a[i] - (double)b[i]));
        top = fmax(top, fabs((double)b[i]));
    }
    return off / top;
}

static Model *open_model(const char *folder, Err *e)
{
    Model *m;
    char   path[600];
    snprintf(path, sizeof path, GOLDEN_PACKED "%s", folder);
    return model_open(&m, path, be, NULL, e) ? NULL : m;
}

static void test_official_logits(void **state)
{
    (void)state;
    Err     e = { 0 };
    StFile *f;
    double  worst = 0;
    must(st_open(&f, GOLDEN_PACKED "expected.safetensors", &e));
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        Model          *m = open_model(folders[i], &e);
        const StTensor *want = st_find(f, folders[i]);
        if (!m || !want)
            fail_msg("%s: %s", folders[i], e.text);
        float *got = logits_of(m, st_find(f, "ids")), *official = mem_alloc(want->nbytes);
        memcpy(official, want->data, want->nbytes);
        const double off = difference(got, official, want->count);
        if (!(off <= LOGITS_TOL))
            fail_msg("%s: logits differ by %.3g of the largest", folders[i], off);
        worst = fmax(worst, off);
        assert_true(m->packed);
        free(got);
        free(official);
        model_close(m);
    }
    print_message("%s: %zu packed models, logits differ by %.2g of the largest\n", be->name, ARRAY_LEN(folders), worst);
    st_close(f);
}

/* What is saved from a packed base is a plain model: config.json no longer speaks of packing, and in f32 the logits are the same bits. */
static void test_saved_plain(void **state)
{
    (void)state;
    Err     e = { 0 };
    StFile *f;
    char    dir[] = "/tmp/hone-packed-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char   *path = path_join(dir, "saved");
    Model  *m = open_model("nf4_double", &e), *again;
    must(st_open(&f, GOLDEN_PACKED "expected.safetensors", &e));
    assert_non_null(m);
    assert_int_equal(m->file_dtype, DT_F16);                    /* the type that config.json names */
    must(model_save(m, NULL, path, &(SaveOptions){ .dtype = DT_F32 }, &e));
    must(model_open(&again, path, be, NULL, &e));
    assert_false(again->packed);
    float *a = logits_of(m, st_find(f, "ids")), *b = logits_of(again, st_find(f, "ids"));
    assert_memory_equal(a, b, (size_t)st_find(f, "nf4_double")->nbytes);
    free(a);
    free(b);
    model_close(m);
    model_close(again);
    st_close(f);
    must(dir_remove(dir, &e));
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_official_logits), cmocka_unit_test(test_saved_plain) };
    golden_main(be, tests);
}
