/* test_stored.c - weights in the types they are stored in: whatever a file holds, computing from the stored numbers gives the bits that their f32
 * copies give, forward and backward, and matrices that can be are parts of the mapped file. QLoRA's packing at load is the packing that export writes. */
#include "golden/golden.h"

#include <unistd.h>

#include "model/gguf_model.h"
#include "model/gguf_save.h"
#include "model/model_int.h"

static Backend *be;

/* 256 inputs wherever K-quants need them; q and k rows are moved in GGUF files; tied or not. */
#define SHAPE(more) "{\"model_type\":\"llama\",\"hidden_size\":256,\"num_hidden_layers\":2,\"num_attention_heads\":4,\"num_key_value_heads\":2," \
                    "\"intermediate_size\":512,\"vocab_size\":90,\"max_position_embeddings\":64,\"rms_norm_eps\":1e-5" more "}"
static const char *const shapes[] = { SHAPE(""), SHAPE(",\"tie_word_embeddings\":true") };

typedef struct Kind { const char *name; bool gguf; SaveOptions save; DType linear; bool mapped; } Kind;
static const Kind kinds[] = {
    { "F32",       false, { .dtype = DT_F32 },                                            DT_F32,  true  },
    { "BF16",      false, { .dtype = DT_BF16 },                                           DT_BF16, true  },
    { "F16",       false, { .dtype = DT_F16 },                                            DT_F16,  true  },
    { "NF4",       false, { .dtype = DT_BF16, .packed = true, .pack = PACK_NF4 },         DT_NF4,  false },
    { "NF4 twice", false, { .dtype = DT_BF16, .packed = true, .pack = PACK_NF4_DOUBLE },  DT_NF4,  false },
    { "INT8",      false, { .dtype = DT_F16, .packed = true, .pack = PACK_INT8 },         DT_INT8, false },
    { "F16",       true,  { 0 },                                                          DT_F16,  true  },
    { "Q8_0",      true,  { 0 },                                                          DT_Q8_0, true  },
    { "Q4_0",      true,  { 0 },                                                          DT_Q4_0, true  },
    { "Q5_1",      true,  { 0 },                                                          DT_Q5_1, true  },
    { "Q4_K_S",    true,  { 0 },                                                          DT_Q4_K, true  },
    { "Q6_K",      true,  { 0 },                                                          DT_Q6_K, true  },
    { "Q2_K",      true,  { 0 },                                                          DT_Q3_K, true  },
};

#define TEXT 37

typedef struct Numbers { float *logits, *grads; int64_t n_logits, n_grads; } Numbers;

/* Logits of one text, and the gradients of an adapter on all linears. */
static Numbers numbers_of(Model *m)
{
    Err      e = { 0 };
    Numbers  r = { 0 };
    TArena   a;
    Tape     t;
    Step     s;
    Adapter *ad;
    Tensor  *logp;
    int32_t  ids[TEXT], pos[TEXT], row[TEXT - 1], target[TEXT - 1], zero = 0, n = TEXT;
    float    coef[TEXT - 1];
    for (int32_t i = 0; i < TEXT; i++) {
        ids[i] = (i * 31 + 7) % 90;
        pos[i] = i;
    }
    for (int32_t i = 0; i < TEXT - 1; i++) {
        row[i] = i;
        target[i] = ids[i + 1];
        coef[i] = -1.0f / (TEXT - 1);
    }
    tarena_init(&a, be);
    must(adapter_new(&ad, m, "all", 4, 8, false, 3, &e));
    for (int i = 0; i < m->n_linear; i++) { /* B is zero at first, and then A has no gradient */
        float *b = mem_zalloc((size_t)tensor_numel(ad->pair[i].b), sizeof *b);
        for (int64_t k = 0; k < tensor_numel(ad->pair[i].b); k++)
            b[k] = 0.01f * (float)((k * 17 + i) % 13 - 6);
        tensor_put(ad->pair[i].b, b);
        free(b);
        Tensor *leaf[] = { ad->pair[i].a, ad->pair[i].b }; /* what is trained brings its own gradient */
        for (int k = 0; k < 2; k++) {
            leaf[k]->wants_grad = true;
            leaf[k]->grad = tarena_tensor(&a, NULL, DT_F32, 2, leaf[k]->dim);
            be->fill(be, leaf[k]->grad, 0);
        }
    }
    step_init(&s, m, &a, golden_put(&a, DT_I32, ids, n), golden_put(&a, DT_I32, pos, n), 1, &zero, &n);
    s.adapter = ad;
    tape_init(&t, be, &a, false);
    Tensor *y = model_logits(&t, m, ad, model_hidden(&t, m, &s, NULL));
    r.n_logits = tensor_numel(y);
    r.logits = mem_alloc((size_t)r.n_logits * sizeof *r.logits);
    tensor_get(y, r.logits);
    tape_release(&t);
    must(model_train_pass(m, &a, &s, golden_put(&a, DT_I32, row, n - 1), golden_put(&a, DT_I32, target, n - 1), golden_put(&a, DT_F32, coef, n - 1), KEEP_ALL,
                          &logp, &e));
    for (int i = 0; i < m->n_linear; i++)
        r.n_grads += tensor_numel(ad->pair[i].a) + tensor_numel(ad->pair[i].b);
    float *g = r.grads = mem_alloc((size_t)r.n_grads * sizeof *r.grads);
    for (int i = 0; i < m->n_linear; i++) {
        tensor_get(ad->pair[i].a->grad, g);
        g += tensor_numel(ad->pair[i].a);
        tensor_get(ad->pair[i].b->grad, g);
        g += tensor_numel(ad->pair[i].b);
    }
    adapter_free(ad);
    tarena_release(&a);
    return r;
}

static void same_bits(const char *what, Model *a, Model *b)
{
    Numbers x = numbers_of(a), y = numbers_of(b);
    if (x.n_logits != y.n_logits || memcmp(x.logits, y.logits, (size_t)x.n_logits * sizeof *x.logits) != 0)
        fail_msg("%s: other logits than from f32 copies", what);
    if (x.n_grads != y.n_grads || memcmp(x.grads, y.grads, (size_t)x.n_grads * sizeof *x.grads) != 0)
        fail_msg("%s: other gradients than from f32 copies", what);
    assert_true(x.grads[0] != 0);
    free(x.logits);
    free(x.grads);
    free(y.logits);
    free(y.grads);
}

static char *scratch(void)
{
    char text[] = "/tmp/hone-stored-XXXXXX";
    return mem_strdup(mkdtemp(text));
}

static Model *random_model(const char *dir, const char *config)
{
    Err    e = { 0 };
    Model *m;
    char  *path = path_join(dir, "config.json");
    must(file_write_atomic(path, config, strlen(config), &e));
    must(model_open_random(&m, dir, be, DT_F32, 5, &e));
    free(path);
    return m;
}

/* The model in a file of the kind. */
static char *written(const Model *m, const char *dir, const char *name, const Kind *kind)
{
    Err             e = { 0 };
    StrBuf          notes = { 0 };
    const GgufType *type;
    char           *path = path_join(dir, name);
    if (kind->gguf) {
        must(gguf_type_find(&type, kind->name, &e));
        must(gguf_save(m, NULL, NULL, NULL, path, type, 2, &notes, &e));
    } else {
        must(model_save(m, NULL, path, &kind->save, &e));
    }
    strbuf_release(&notes);
    return path;
}

static void test_every_kind(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
        for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
            Err    e = { 0 };
            char  *dir = scratch();
            Model *m = random_model(dir, shapes[i]), *stored, *wide;
            char  *path = written(m, dir, kinds[k].gguf ? "m.gguf" : "saved", &kinds[k]), *numbers;
            must(model_open(&stored, path, be, NULL, &e));
            numbers = written(stored, dir, kinds[k].gguf ? "numbers.gguf" : "numbers", &(Kind){ "F32", kinds[k].gguf, { .dtype = DT_F32 }, DT_F32, true });
            must(model_open(&wide, numbers, be, &(ModelOptions){ .trainable = true }, &e));
            const Linear *down = &stored->block[0].down, *q = &stored->block[0].q;
            if (down->w->dtype != kinds[k].linear)
                fail_msg("%s: kept as %s", kinds[k].name, dtype_name(down->w->dtype));
            assert_int_not_equal(q->w->dtype, kinds[k].linear == DT_F32 ? DT_F16 : DT_F32);
            assert_int_equal(wide->block[0].down.w->dtype, DT_F32);
            if (kinds[k].mapped && be->host) /* the adaptable matrices, but for the moved ones, are no memory of the model's */
                assert_true(stored->weights.used < (kinds[k].gguf ? (size_t)1200000 : (size_t)20000));
            same_bits(kinds[k].name, stored, wide);
            model_close(stored);
            model_close(wide);
            model_close(m);
            must(dir_remove(dir, &e));
            free(numbers);
            free(path);
            free(dir);
        }
}

/* Packed while it loads = packed by export and opened: the same blocks. Rows that are no whole number of blocks are rounded all the same. */
static void test_nf4_at_load(void **state)
{
    (void)state;
    static const char *const odd = "{\"model_type\":\"llama\",\"hidden_size\":64,\"num_hidden_layers\":2,\"num_attention_heads\":4,\"num_key_value_heads\":2,"
                                   "\"intermediate_size\":172,\"vocab_size\":90,\"max_position_embeddings\":64,\"rms_norm_eps\":1e-5}";
    const char *const configs[] = { shapes[0], odd };
    for (size_t i = 0; i < ARRAY_LEN(configs); i++) {
        Err    e = { 0 };
        char  *dir = scratch(), *plain = path_join(dir, "plain"), *packed = path_join(dir, "packed");
        Model *m = random_model(dir, configs[i]), *at_load, *exported, *source;
        must(model_save(m, NULL, plain, &(SaveOptions){ .dtype = DT_BF16 }, &e));
        must(model_open(&source, plain, be, NULL, &e));
        must(model_save(source, NULL, packed, &(SaveOptions){ .dtype = DT_BF16, .packed = true, .pack = PACK_NF4_DOUBLE }, &e));
        must(model_open(&at_load, plain, be, &(ModelOptions){ .nf4 = true }, &e));
        must(model_open(&exported, packed, be, NULL, &e));
        assert_int_equal(at_load->block[0].q.w->dtype, DT_NF4);
        assert_int_equal(at_load->unblocked, i ? 2 : 0);
        assert_int_equal(at_load->embed->dtype, DT_BF16);
        same_bits(configs[i], at_load, exported);
        model_close(m);
        model_close(source);
        model_close(at_load);
        model_close(exported);
        must(dir_remove(dir, &e));
        free(dir);
        free(plain);
        free(packed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_every_kind), cmocka_unit_test(test_nf4_at_load) };
    golden_main(be, tests);
}
