/* cmd_init.c - hone init: a model with random weights from a config.json, to train from scratch. */
#include "cli/cli.h"

#include <stdio.h>

#include "base/file.h"
#include "cli/target.h"

typedef struct Options {
    char   *out, *device;
    int64_t seed, threads;
    int     dtype;
    bool    help;
} Options;

#define AT(f) offsetof(Options, f)

static const DType dtypes[] = { DT_F32, DT_BF16, DT_F16 };

static const CfgOption table[] = {
    { "out",     CFG_STR,    AT(out),     NULL,   0, 0,    "MODEL",        "new folder for the model" },
    { "seed",    CFG_INT,    AT(seed),    "0",    0, 9e15, NULL,           "same seed, same weights" },
    { "dtype",   CFG_CHOICE, AT(dtype),   "f32",  0, 0,    "f32|bf16|f16", "number format of the file" },
    { "device",  CFG_STR,    AT(device),  "auto", 0, 0,    "auto|cpu|cuda[:n]|ref", "where to compute" },
    { "threads", CFG_INT,    AT(threads), "0",    0, 1024, NULL,           "0: all cores" },
    { 0 },
};

int cmd_init(int argc, char **argv, Err *e)
{
    Options     o = { 0 };
    const char *dir = NULL;
    Backend    *be = NULL;
    Model      *m = NULL;
    int         n_pos = 0, rc = cli_parse("init", table, &o, argc, argv, &dir, 1, &n_pos, NULL, &o.help, e);
    if (rc || o.help)
        goto done;
    if (!n_pos) {
        rc = err_set(e, ERR_ARG, "DIR is missing: name a folder with a config.json (and the tokenizer's files), as in hone init DIR --out MODEL");
        goto done;
    }
    if ((rc = target_check(o.out, "--out", e)) || (rc = cli_backend(&be, o.device, o.threads, e)) ||
        (rc = model_open_random(&m, dir, be, dtypes[o.dtype], (uint64_t)o.seed, e)) || (rc = model_save(m, NULL, o.out, &(SaveOptions){ .dtype = dtypes[o.dtype] }, e)))
        goto done;
    fprintf(stderr, "%s: a %s model with %lld random parameters\n", o.out, m->fam->hf, (long long)model_param_count(m));
done:
    model_close(m);
    if (be)
        be->close(be);
    cfg_release(table, &o);
    return rc;
}
