/* fuzz_gguf.c - any bytes as a GGUF file: refused with a sentence, or every tensor and every metadata value lies inside. Asks for each value as every
 * kind, reads every string, and widens the first blocks of each tensor. */
#include "formats/gguf.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void ask(const Gguf *g, const char *key, const uint8_t *p, size_t n)
{
    Err e = {0};
    int64_t i;
    double d;
    bool b;
    Str s;
    GgufArray a;
    GgufKind kind;
    BUG_ON(!gguf_has(g, key) || !gguf_kind(g, key, &kind) || !gguf_kind_name(kind));
    int good = (gguf_need_int(g, key, &i, &e) == 0) + (gguf_need_bool(g, key, &b, &e) == 0);
    BUG_ON(good == 2 || (good && (kind == GGUF_STR || kind == GGUF_ARRAY)));
    BUG_ON((gguf_need_num(g, key, &d, &e) == 0) == (kind == GGUF_STR || kind == GGUF_ARRAY || kind == GGUF_BOOL));
    if (gguf_need_str(g, key, &s, &e) == 0)
        BUG_ON((const uint8_t *)s.p < p || (const uint8_t *)s.p + s.n > p + n);
    if (gguf_need_array(g, key, &a, &e) != 0)
        return;
    for (size_t k = 0; k < a.n; k++) {
        if (a.kind == GGUF_STR) {
            s = gguf_array_str(&a, k);
            BUG_ON((const uint8_t *)s.p < p || (const uint8_t *)s.p + s.n > p + n);
        }
        if (gguf_array_is_int(&a))
            gguf_array_int(&a, k);
        if (gguf_array_is_num(&a))
            gguf_array_num(&a, k);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    Err e = {0};
    Gguf *g = NULL;
    if (gguf_open_memory(&g, p, n, "fuzz", &e)) {
        BUG_ON(g || e.code != ERR_INPUT || !e.text[0]);
        return 0;
    }
    size_t total = 0;
    for (size_t i = 0; i < gguf_meta_count(g); i++)
        ask(g, gguf_meta_key(g, i).p, p, n);
    for (size_t i = 0; i < gguf_count(g); i++) {
        const GgufTensor *t = gguf_at(g, i);
        float x[512];
        BUG_ON(gguf_find(g, t->name) != t || strcmp(gguf_where(g, t), "fuzz") != 0);
        BUG_ON((const uint8_t *)t->data < p || (const uint8_t *)t->data + t->nbytes > p + n);
        BUG_ON(t->known && dtype_bytes(t->dtype, t->count) != t->nbytes);
        if (t->known && t->dtype != DT_I32)
            dtype_to_f32(x, t->data, t->dtype, t->count < 512 ? t->count : 512);
        total += t->nbytes;
    }
    BUG_ON(total > n);
    gguf_close(g);
    return 0;
}
