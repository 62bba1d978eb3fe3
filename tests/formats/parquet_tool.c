/* parquet_tool.c - for tools/judge_parquet.py, tools/judge_arrow.py and by hand: one Parquet or Arrow file to JSON lines, its schema, or JSON lines to a Parquet
 * file.
 *   parquet_tool read FILE [COLUMN...]     parquet_tool schema FILE     parquet_tool time FILE     parquet_tool arrow FILE
 *   parquet_tool write zstd|snappy|none ROWS.jsonl FILE [GROUP_ROWS]
 * `time` makes every row and prints their number and the seconds from opening to the last row. */
#include "base/clock.h"
#include "formats/arrow.h"
#include "formats/jsonl.h"
#include "formats/parquet.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int each_row(const ParquetFile *f, bool print, Err *e)
{
    int rc = 0;
    StrBuf line = {0};
    for (size_t i = 0; !rc && i < parquet_groups(f); i++) {
        ParquetGroup *g = NULL;
        rc = parquet_group_read(f, i, &g, e);
        for (int64_t r = 0; !rc && r < parquet_group_rows(g); r++) {
            Json *row = NULL;
            rc = parquet_row(g, r, &row, e);
            if (!rc && print) {
                strbuf_clear(&line);
                json_write(&line, row, false);
                strbuf_addc(&line, '\n');
                fwrite(line.p, 1, line.n, stdout);
            }
            json_free(row);
        }
        parquet_group_free(g);
    }
    strbuf_release(&line);
    return rc;
}

static int arrow_rows_of(const char *path, Err *e)
{
    ArrowFile *f = NULL;
    StrBuf     line = {0};
    int rc = arrow_open(&f, path, e);
    for (size_t i = 0; !rc && i < arrow_batches(f); i++) {
        ArrowBatch *b = NULL;
        rc = arrow_batch_read(f, i, &b, e);
        for (int64_t r = 0; !rc && r < arrow_batch_rows(b); r++) {
            Json *row = NULL;
            rc = arrow_row(b, r, &row, e);
            if (!rc) {
                strbuf_clear(&line);
                json_write(&line, row, false);
                strbuf_addc(&line, '\n');
                fwrite(line.p, 1, line.n, stdout);
            }
            json_free(row);
        }
        arrow_batch_free(b);
    }
    arrow_close(f);
    strbuf_release(&line);
    return rc;
}

static int write_rows(int argc, char **argv, Err *e)
{
    static const char *const names[] = { [PARQUET_ZSTD] = "zstd", [PARQUET_SNAPPY] = "snappy", [PARQUET_PLAIN] = "none" };
    unsigned packing = 0;
    while (packing < ARRAY_LEN(names) && strcmp(names[packing], argv[2]) != 0)
        packing++;
    if (packing == ARRAY_LEN(names))
        return err_set(e, ERR_ARG, "\"%s\" is none of zstd, snappy, none", argv[2]);
    ParquetWriteOptions o = { .packing = (ParquetPacking)packing, .group_rows = argc > 5 ? atoll(argv[5]) : 0 };
    ParquetShape *shape = parquet_shape_new();
    ParquetWriter *w = NULL;
    int rc = 0;
    for (int pass = 0; !rc && pass < 2; pass++) {
        Jsonl in;
        Json *row = NULL;
        rc = jsonl_open(&in, argv[3], e);
        if (!rc && pass)
            rc = parquet_create(&w, argv[4], shape, &o, e);
        while (!rc && (rc = jsonl_next(&in, &row, e)) > 0) {
            rc = pass ? parquet_write_row(w, row, e) : parquet_shape_add(shape, row, e);
            json_free(row);
        }
        jsonl_close(&in);
    }
    if (!rc)
        rc = parquet_commit(&w, e);
    parquet_abort(&w);
    parquet_shape_free(shape);
    return rc;
}

int main(int argc, char **argv)
{
    Err e = {0};
    ParquetFile *f = NULL;
    const char *verb = argc > 2 ? argv[1] : "";
    int rc;
    if (!strcmp(verb, "write") && argc > 4) {
        rc = write_rows(argc, argv, &e);
    } else if (!strcmp(verb, "arrow")) {
        rc = arrow_rows_of(argv[2], &e);
    } else if (!strcmp(verb, "read") || !strcmp(verb, "schema") || !strcmp(verb, "time")) {
        double start = clock_seconds();
        ParquetOptions o = { .columns = (const char *const *)argv + 3, .n_columns = (size_t)argc - 3 };
        rc = parquet_open(&f, argv[2], &o, &e);
        if (!rc && *verb == 's') {
            StrBuf text = {0};
            Json *schema = parquet_schema(f);
            json_write(&text, schema, true);
            puts(strbuf_z(&text));
            json_free(schema);
            strbuf_release(&text);
        } else if (!rc) {
            rc = each_row(f, *verb == 'r', &e);
        }
        if (!rc && *verb == 't')
            printf("%" PRId64 " rows %.6f s\n", parquet_rows(f), clock_seconds() - start);
        parquet_close(f);
    } else {
        fprintf(stderr, "usage: parquet_tool read|schema|time FILE [COLUMN...] | arrow FILE | write zstd|snappy|none ROWS.jsonl FILE [GROUP_ROWS]\n");
        return 2;
    }
    if (rc)
        fprintf(stderr, "%s\n", e.text);
    return rc ? err_exit_status(rc) : 0;
}
