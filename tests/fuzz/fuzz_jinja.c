/* fuzz_jinja.c - a hostile template, then values for it. The input is the template, a NUL byte, the values as JSON; without a NUL there are none.
 * Whatever compiles is rendered within small limits; every byte of a text has its mark. */
#include "tokenizer/jinja.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char values[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi <b>\"},{\"role\":\"assistant\",\"content\":[{\"type\":\"text\"}]}],\"l\":[3,1.5,null],\"d\":{\"x\":{\"y\":1}}}";
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    Str template = { size ? (const char *)data : "", nul ? (size_t)(nul - data) : size };
    Str text = nul ? (Str){ (const char *)nul + 1, size - template.n - 1 } : (Str){ values, sizeof values - 1 };
    Json *vars = NULL;
    Jinja *j = NULL;
    Err e;
    if (json_parse(&vars, text, "fuzz", &e) == 0 && json_kind(vars) == JSON_OBJECT && jinja_compile(&j, template, "fuzz", &e) == 0) {
        JinjaOptions o = { .steps = 200000, .memory = (size_t)32 << 20, .output = (size_t)1 << 20 };
        JinjaOut out = { 0 };
        if (jinja_render(j, vars, NULL, &o, &out, &e) == 0)
            BUG_ON(out.marks.n != out.text.n);
        jinja_out_release(&out);
    }
    jinja_free(j);
    json_free(vars);
    return 0;
}
