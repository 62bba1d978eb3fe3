/* fuzz_packed.c - any bytes as a packed checkpoint: two bytes length of the config, the config, the safetensors file. Refused with a sentence, or every weight
 * can be asked for all its numbers, in as much memory as promised. */
#include "formats/packed.h"

#include <stdlib.h>

#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void read_all(const Weights *w, size_t n)
{
    Err e = { 0 };
    for (size_t i = 0; i < w->n; i++) {
        const WeightInfo *info = &w->info[i];
        BUG_ON(weights_find(w, info->name) != info || !weights_where(w, info));
        if (!info->packed)
            continue;
        BUG_ON(info->rank != 2 || info->dim[0] < 1 || info->dim[1] < 1 || (uint64_t)info->count > 32 * (uint64_t)n);
        float *v = mem_alloc((size_t)info->count * sizeof *v), *row = v + info->count - info->dim[1];
        const float last = weights_read(w, info, 0, info->count, v, &e) ? 0 : row[0];
        if (!weights_read(w, info, info->count - info->dim[1], info->dim[1], v, &e))
            BUG_ON(memcmp(&v[0], &last, sizeof last) != 0 && info->dim[0] > 1 && !e.code);
        free(v);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    Err      e = { 0 };
    Json    *config = NULL;
    StFile  *f = NULL;
    Weights *w = NULL;
    if (n < 2)
        return 0;
    const size_t length = MIN((size_t)(p[0] | p[1] << 8), n - 2);
    if (!json_parse(&config, (Str){ (const char *)p + 2, length }, "config.json", &e) && !st_open_memory(&f, p + 2 + length, n - 2 - length, "fuzz", &e)) {
        if (weights_open_hf(&w, f, config, "config.json", &e))
            BUG_ON(w || e.code != ERR_INPUT || !e.text[0]);
        else
            read_all(w, n);
    }
    weights_close(w);
    st_close(f);
    json_free(config);
    return 0;
}
