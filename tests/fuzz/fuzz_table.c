/* fuzz_table.c - any bytes as a data file of the kind that the first byte chooses: places grow, each row is an object or a sentence, the rows do not depend on
 * the size of the calls, and reading ends. */
#include "formats/table.h"
#include "base/hash.h"
#include "formats/columnar.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* A number that stands for all rows, sentences and places. */
static uint64_t read_all(Str bytes, const TableOptions *opt, size_t max_items, size_t max_bytes)
{
    Table *t = NULL;
    TableItem items[16];
    Err e = {0};
    size_t n = 0;
    uint64_t sum = 1;
    int rc, failures = 0;
    TablePlace last = {0};
    if (table_open_memory(&t, bytes, "fuzz", opt, &e))
        return 0;
    while (!(rc = table_read(t, items, max_items, max_bytes, &n, &e)) ? n > 0 : failures++ < 100) {
        if (rc) {
            BUG_ON(rc != ERR_INPUT || !e.text[0]);
            sum = sum * 31 + hash64(e.text, strlen(e.text));
            continue;
        }
        for (size_t i = 0; i < n; i++) {
            const TablePlace *at = &items[i].at;
            Json *row = NULL;
            StrBuf text = {0};
            rc = table_parse(t, &items[i], &row, &e);
            BUG_ON(rc ? row || rc != ERR_INPUT || !str_starts(str_of(e.text), "fuzz") : json_kind(row) != JSON_OBJECT);
            BUG_ON(at->member == last.member && (at->line < last.line || at->offset < last.offset || (at->row && at->row <= last.row)));
            last = *at;
            if (row)
                json_write(&text, row, false);
            else
                strbuf_addz(&text, e.text);
            sum = (sum * 31 + hash64(strbuf_z(&text), text.n)) * 31 + (uint64_t)at->line * 7 + at->offset * 3 + (uint64_t)at->row + items[i].replaced;
            strbuf_release(&text);
            json_free(row);
        }
    }
    BUG_ON(failures > 50);
    table_close(t);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static const TableKind kinds[] = { TABLE_AUTO, TABLE_JSONL, TABLE_JSON, TABLE_CSV, TABLE_TSV, TABLE_TEXT, TABLE_TEXT, TABLE_JSON };
    if (n < 1)
        return 0;
    const TableOptions opt = { .kind = kinds[p[0] & 7], .paragraphs = (p[0] & 7) == 6, .array = (p[0] & 7) == 7 ? "data" : NULL,
                               .row_max = p[0] & 8 ? 200 : 0, .limits = { .members = 10, .bytes = 1 << 20 }, .csv.header = (CsvChoice)(p[0] >> 4 & 3) % 3 };
    const Str bytes = { (const char *)p + 1, n - 1 };
    if (columnar_name(bytes)) /* fuzz_parquet, fuzz_arrow: a few bytes may claim millions of rows */
        return 0;
    const uint64_t many = read_all(bytes, &opt, 16, 1 << 20), one = read_all(bytes, &opt, 1, 1);
    BUG_ON(many != one);
    return 0;
}
