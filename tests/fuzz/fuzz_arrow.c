/* fuzz_arrow.c - any bytes as an Arrow file or stream: refused with a sentence, or every row becomes a JSON object. Memory per batch is held to 16 MiB here, the
 * batches and rows looked at to a few, because a batch may honestly claim millions of nulls in a few bytes. */
#include "formats/arrow.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    Err        e = { 0 };
    ArrowFile *f = NULL;
    arrow_is((Str){ (const char *)p, n });
    if (arrow_open_memory(&f, p, n, "fuzz", (size_t)16 << 20, &e)) {
        BUG_ON(f || e.code != ERR_INPUT || !e.text[0]);
        return 0;
    }
    for (size_t i = 0; i < arrow_batches(f) && i < 4; i++) {
        ArrowBatch *b = NULL;
        int         rc = arrow_batch_read(f, i, &b, &e);
        BUG_ON(rc ? b || e.code != ERR_INPUT || !e.text[0] : !b);
        const int64_t rows = rc ? 0 : arrow_batch_rows(b);
        for (int64_t r = 0; r < rows; r += r < 16 ? 1 : rows / 16 + 1) {
            Json *row = NULL;
            rc = arrow_row(b, r, &row, &e);
            BUG_ON(rc ? row || e.code != ERR_INPUT || !e.text[0] : json_kind(row) != JSON_OBJECT);
            StrBuf text = { .max = 1 << 20 };
            if (!rc)
                json_write(&text, row, false);
            strbuf_release(&text);
            json_free(row);
        }
        arrow_batch_free(b);
    }
    arrow_close(f);
    return 0;
}
