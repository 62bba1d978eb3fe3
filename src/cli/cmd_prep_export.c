/* cmd_prep_export.c - hone prep export: a data folder's rows, or any file's, in the shape and the container of another tool. */
#include "cli/cli.h"

#include <stddef.h>
#include <stdio.h>

#include "prep/prep_export.h"

typedef struct ExportArgs {
    char *out;
    int   shape, part_index;
    bool  help;
} ExportArgs;

static const char *const parts[] = { "train", "validation", "test", "all" };

static const CfgOption options[] = {
    { "out",   CFG_STR,    offsetof(ExportArgs, out),        NULL,        0, 0, "FILE", "its ending says the container: .jsonl .json .csv .tsv .parquet" },
    { "shape", CFG_CHOICE, offsetof(ExportArgs, shape),      "canonical", 0, 0, CONVERT_CHOICES, "of the rows" },
    { "part",  CFG_CHOICE, offsetof(ExportArgs, part_index), "train",     0, 0, "train|validation|test|all", "of a data folder" },
    { "help",  CFG_BOOL,   offsetof(ExportArgs, help),       "false",     0, 0, NULL, "this text", true },
    { 0 },
};

int cmd_prep_export(int argc, char **argv, Err *e)
{
    ExportArgs  a = { 0 };
    const char *from = NULL;
    int         n = 0;
    int64_t     rows = 0;
    bool        help;
    int         rc = cli_parse("prep export", options, &a, argc, argv, &from, 1, &n, NULL, &help, e);
    if (!rc && !help && !n)
        rc = err_set(e, ERR_ARG, "no data: name a data folder or a file, as in hone prep export data --out train.parquet");
    if (!rc && !help && !(a.out && *a.out))
        rc = err_set(e, ERR_ARG, "no --out: name the file to write");
    if (!rc && !help && !(rc = prep_export(from, parts[a.part_index], (ConvertShape)a.shape, a.out, &rows, e)))
        printf("%lld rows written to %s\n", (long long)rows, a.out);
    cfg_release(options, &a);
    return rc;
}
