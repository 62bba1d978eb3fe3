/* fuzz_json.c - What json_parse accepts is written, read again, and must be written the same, compact and pretty. */
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_again(const Json *j, bool pretty)
{
    Err e;
    Json *again;
    StrBuf first = { 0 }, second = { 0 };
    json_write(&first, j, pretty);
    BUG_ON(json_parse(&again, strbuf_str(&first), "again", &e) != 0);
    json_write(&second, again, pretty);
    BUG_ON(!str_eq(strbuf_str(&first), strbuf_str(&second)));
    json_free(again);
    strbuf_release(&first);
    strbuf_release(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    Err e;
    Json *j;
    if (json_parse(&j, (Str){ (const char *)data, n }, "input", &e) == 0) {
        check_again(j, false);
        check_again(j, true);
        json_free(j);
    } else {
        BUG_ON(e.code != ERR_INPUT || !str_starts(str_of(e.text), "input, line "));
    }
    return 0;
}
