/* fuzz_config.c - any bytes as config.json: a configuration that is accepted has sane, bounded numbers; a refusal is a sentence. */
#include "base/json.h"
#include "model/model_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    Err           e = { 0 };
    Json         *j = NULL;
    ModelConfig   c;
    const Family *f = NULL;
    if (json_parse(&j, (Str){ (const char *)p, n }, "config.json", &e) == 0 && json_kind(j) == JSON_OBJECT) {
        if (model_config_read(&c, &f, j, json_get(j, "generation"), "config.json", &e) == 0) {
            BUG_ON(!f || c.hidden < 1 || c.layers < 1 || c.heads < 1 || c.kv_heads < 1 || c.heads % c.kv_heads || c.head_dim < 1 || c.ffn < 1 || c.vocab < 1);
            BUG_ON(c.n_eos < 0 || c.n_eos > (int)ARRAY_LEN(c.eos) || !(c.rope[ROPE_GLOBAL].theta >= 0));
        } else {
            BUG_ON(!e.text[0]);
        }
    }
    json_free(j);
    return 0;
}
