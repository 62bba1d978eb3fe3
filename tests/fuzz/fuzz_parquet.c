/* fuzz_parquet.c - any bytes as a Parquet file: refused with a sentence, or every row becomes a JSON object. Memory per row group is held to 64 MiB here,
 * the groups and rows looked at to a few, because a page of runs may honestly claim millions of values in ten bytes. */
#include "formats/parquet.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void read_rows(const ParquetGroup *g)
{
    Err e = {0};
    int64_t rows = parquet_group_rows(g);
    for (int64_t i = 0; i < rows; i += i < 64 ? 1 : rows / 16 + 1) {
        Json *row = NULL;
        int rc = parquet_row(g, i, &row, &e);
        BUG_ON(rc ? row || e.code != ERR_INPUT || !e.text[0] : json_kind(row) != JSON_OBJECT);
        StrBuf text = { .max = 1 << 20 };
        if (!rc)
            json_write(&text, row, false);
        strbuf_release(&text);
        json_free(row);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    Err e = {0};
    ParquetFile *f = NULL;
    ParquetOptions o = { .group_max = (size_t)64 << 20 };
    if (parquet_open_memory(&f, p, n, "fuzz", &o, &e)) {
        BUG_ON(f || e.code != ERR_INPUT || !e.text[0]);
        return 0;
    }
    StrBuf text = {0};
    Json *schema = parquet_schema(f);
    json_write(&text, schema, false);
    strbuf_release(&text);
    json_free(schema);
    for (size_t i = 0; i < parquet_groups(f) && i < 4; i++) {
        ParquetGroup *g = NULL;
        int rc = parquet_group_read(f, i, &g, &e);
        BUG_ON(rc ? g || e.code != ERR_INPUT || !e.text[0] : !g);
        if (!rc)
            read_rows(g);
        parquet_group_free(g);
    }
    parquet_close(f);
    return 0;
}
