/* fuzz_adapter.c - any bytes as an adapter: two bytes length of adapter_config.json, that file, adapter_model.safetensors; for a small model with an
 * untied head, and for the same one tied. Refused with a sentence, or every pair and table has the shape the model asks for. */
#include "model/lora.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static Model *open_model(bool tied)
{
    static const char config[] = "{\"model_type\":\"llama\",\"hidden_size\":4,\"num_hidden_layers\":1,\"num_attention_heads\":2,\"num_key_value_heads\":1,"
                                 "\"intermediate_size\":6,\"vocab_size\":8,\"max_position_embeddings\":8,\"tie_word_embeddings\":%s}";
    char     dir[] = "/tmp/fuzz_adapter_XXXXXX", text[sizeof config + 8];
    Err      e = { 0 };
    Model   *m = NULL;
    Backend *be = NULL;
    snprintf(text, sizeof text, config, tied ? "true" : "false");
    BUG_ON(!mkdtemp(dir));
    char *path = path_join(dir, "config.json");
    BUG_ON(file_write_atomic(path, text, strlen(text), &e) || !(be = backend_open("ref", 1, &e)) || model_open_random(&m, dir, be, DT_F32, 1, &e));
    unlink(path);
    rmdir(dir);
    free(path);
    return m;
}

static bool fits(const Tensor *t, int64_t rows, int64_t cols)
{
    return t->rank == 2 && t->dim[0] == rows && t->dim[1] == cols;
}

static void try(const Model *m, const Json *config, const StFile *f)
{
    Err      e = { 0 };
    Adapter *a = NULL;
    if (adapter_from(&a, m, config, f, "fuzz", &e)) {
        BUG_ON(a || !e.text[0]);
        return;
    }
    int pairs = 0;
    for (int i = 0; i < a->n_pair; i++)
        if (a->pair[i].a) {
            const Tensor *w = m->linear[i].w;
            BUG_ON(!fits(a->pair[i].a, a->rank, w->dim[1]) || !fits(a->pair[i].b, w->dim[0], a->rank));
            pairs++;
        }
    BUG_ON(pairs != a->n_adapted || (!pairs && !a->embed && !a->head));
    BUG_ON((a->embed && !fits(a->embed, m->cfg.vocab, m->cfg.hidden)) || (a->head && !fits(a->head, m->cfg.vocab, m->cfg.hidden)));
    adapter_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static Model *model[2];
    Err     e = { 0 };
    Json   *config = NULL;
    StFile *f = NULL;
    for (int i = 0; i < 2 && !model[i]; i++)
        model[i] = open_model(i == 1);
    if (n < 2)
        return 0;
    const size_t length = MIN((size_t)(p[0] | p[1] << 8), n - 2);
    if (!json_parse(&config, (Str){ (const char *)p + 2, length }, "adapter_config.json", &e) && !st_open_memory(&f, p + 2 + length, n - 2 - length, "fuzz", &e))
        for (int i = 0; i < 2; i++)
            try(model[i], config, f);
    st_close(f);
    json_free(config);
    return 0;
}
