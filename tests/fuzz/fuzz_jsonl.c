/* fuzz_jsonl.c - any bytes as a data set: rows are objects, line numbers grow, a bad line is one sentence, and the walk ends. */
#include "formats/jsonl.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    Jsonl r;
    Json *row = NULL;
    Err e = {0};
    int rc;
    int64_t line = 0;
    jsonl_open_memory(&r, (Str){ (const char *)p, n }, "fuzz");
    while ((rc = jsonl_next(&r, &row, &e)) != 0) {
        BUG_ON(r.line <= line || (rc > 0) != (row != NULL));
        BUG_ON(rc > 0 ? json_kind(row) != JSON_OBJECT : rc != ERR_INPUT || !str_starts(str_of(e.text), "fuzz, line "));
        line = r.line;
        json_free(row);
    }
    BUG_ON(row || r.off != n);
    jsonl_close(&r);
    return 0;
}
