/* fuzz_gguf_model.c - any bytes as a GGUF model: what opens has a configuration that the family's reader can judge, and weights whose every row can be
 * read; a refusal is a sentence. */
#include "model/gguf_model.h"

#include "base/mem.h"

#include <stdlib.h>

#define NUMBERS_MAX ((int64_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void read_all(const Weights *w)
{
    Err     e = { 0 };
    int64_t left = NUMBERS_MAX;
    for (size_t i = 0; i < w->n; i++) {
        const WeightInfo *t = &w->info[i];
        const int64_t     row = t->rank > 0 ? t->dim[t->rank - 1] : 1, part = t->rank == 2 && t->dim[0] > 1 ? row : t->count;
        BUG_ON(weights_find(w, t->name) == NULL);
        if (!t->readable || t->count > left)
            continue;
        left -= t->count;
        float *v = mem_alloc((size_t)MAX(t->count, (int64_t)1) * sizeof *v);
        BUG_ON(weights_read(w, t, 0, t->count, v, &e));
        if (part > 0 && t->count > part)
            BUG_ON(weights_read(w, t, t->count - part, part, v, &e));
        free(v);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    Err           e = { 0 };
    Gguf         *g = NULL;
    GgufModel    *m = NULL;
    ModelConfig   c;
    const Family *f = NULL;
    if (gguf_open_memory(&g, p, n, "input.gguf", &e)) {
        BUG_ON(!e.text[0]);
        return 0;
    }
    if (gguf_model_from(&m, g, &e)) {
        BUG_ON(!e.text[0]);
        return 0;
    }
    e.text[0] = 0;
    if (model_config_read(&c, &f, m->config, m->generation, "input.gguf", &e))
        BUG_ON(!e.text[0]);
    read_all(m->weights);
    gguf_model_close(m);
    return 0;
}
