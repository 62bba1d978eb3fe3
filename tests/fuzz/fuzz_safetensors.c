/* fuzz_safetensors.c - any bytes as a weights file: refused with a sentence, or every tensor lies inside. Touches each byte it is given. */
#include "formats/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    Err e = {0};
    StFile *f = NULL;
    if (st_open_memory(&f, p, n, "fuzz", &e)) {
        BUG_ON(f || e.code != ERR_INPUT || !e.text[0]);
        return 0;
    }
    size_t total = 0, set = 0;
    for (size_t i = 0; i < st_count(f); i++) {
        const StTensor *t = st_at(f, i);
        BUG_ON(st_find(f, t->name) != t || strcmp(st_where(f, t), "fuzz") != 0);
        BUG_ON(t->known && (size_t)t->count * dtype_size(t->dtype) != t->nbytes);
        for (size_t k = 0; k < t->nbytes; k++)
            set += ((const uint8_t *)t->data)[k] != 0;
        total += t->nbytes;
    }
    BUG_ON(total > n || set > total);
    st_metadata(f, "format");
    st_close(f);
    return 0;
}
