/* cmd_export.c - hone export: a merged model or an adapter for other programs. What was written is opened again and compared with what it was made
 * from, on a short text, before the command says that it is done.
 * To add a format: a row in `formats`. */
#include "cli/cli.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "cli/target.h"
#include "infer/generate.h"

typedef struct Options {
    char   *adapter, *format, *out, *dtype, *device;
    int64_t threads;
    bool    json, help;
} Options;

#define AT(f) offsetof(Options, f)

static const CfgOption table[] = {
    { "format",  CFG_STR,  AT(format),  NULL,    0, 0,    "safetensors|peft", "a whole model with the adapter merged in, or the adapter alone" },
    { "out",     CFG_STR,  AT(out),     NULL,    0, 0,    "PATH",             "new folder for it" },
    { "adapter", CFG_STR,  AT(adapter), NULL,    0, 0,    "DIR",              "adapter to put on the model; a run brings its own" },
    { "dtype",   CFG_STR,  AT(dtype),   NULL,    0, 0,    "f32|bf16|f16",     "number format of a merged model; default: the base's" },
    { "json",    CFG_BOOL, AT(json),    "false", 0, 0,    NULL,               "the comparison as one JSON object" },
    { "device",  CFG_STR,  AT(device),  "auto",  0, 0,    "auto|cpu|ref",     "where to compute" },
    { "threads", CFG_INT,  AT(threads), "0",     0, 1024, NULL,               "0: all cores" },
    { 0 },
};

/* Number formats with the difference of logits that their rounding explains, as a share of the largest logit. A wrong tensor is far beyond it. */
static const struct { const char *name; DType dtype; double rounding; } dtypes[] = {
    { "f32", DT_F32, 1e-4 }, { "bf16", DT_BF16, 6e-2 }, { "f16", DT_F16, 1e-2 },
};

static int save_merged(const Opened *o, const char *out, DType dtype, Err *e)
{
    return model_save(o->model, o->adapter, out, dtype, e);
}

static int save_adapter(const Opened *o, const char *out, DType dtype, Err *e)
{
    (void)dtype;
    return adapter_save(o->adapter, o->model, out, e);
}

static const struct { const char *name; int (*save)(const Opened *o, const char *out, DType dtype, Err *e); bool adapter; } formats[] = {
    { "safetensors", save_merged,  false },
    { "peft",        save_adapter, true  },
    { "gguf",        NULL,         false },
    { "ollama",      NULL,         false },
};

static int find_format(const char *text, size_t *found, Err *e)
{
    const Str name = { text, strcspn(text, ":") };
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        if (!str_eqz(name, formats[i].name))
            continue;
        if (!formats[i].save)
            return err_set(e, ERR_ARG, "--format %s: this version does not write it yet; use safetensors, which most programs read or convert", text);
        if (text[name.n])
            return err_set(e, ERR_ARG, "--format %s: %s has no variants; write the name alone", text, formats[i].name);
        *found = i;
        return 0;
    }
    return err_set(e, ERR_ARG, "--format %s%sis not a format; expected is safetensors or peft", text, *text ? " " : "");
}

static int find_dtype(const char *name, size_t *found, Err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(dtypes); i++)
        if (!strcmp(name, dtypes[i].name)) {
            *found = i;
            return 0;
        }
    return err_set(e, ERR_ARG, "--dtype %s: expected f32, bf16 or f16", name);
}

/* ---- the proof ---- */

typedef struct Proof {
    TokIds  ids;
    float  *logits;  /* [n, V] of the source */
    int64_t vocab;
    double  difference, largest; /* of two logits; of all logits of the source */
    int32_t same;    /* positions with the same likeliest token */
} Proof;

/* A text of every kind of character that the tokenizer can hardly fail on, short enough for any model. */
static const char proof_text[] = "Once upon a time, the 27 engineers of Oslo & Co. measured everything twice: \"3.14\", then again.";
#define PROOF_TOKENS 32

static int64_t largest_of(const float *x, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best])
            best = i;
    return best;
}

/* Logits after each token, through the cache as when serving. */
static int logits_of(Generator *g, const Proof *p, int32_t i, const float **row, Err *e)
{
    int rc = generator_prompt(g, p->ids.p, i + 1, e);
    *row = g->prompt_logits;
    return rc;
}

static int proof_begin(Proof *p, const Opened *o, Err *e)
{
    Generator g;
    int       rc = tok_encode(o->tok, str_of(proof_text), TOK_SPECIAL, &p->ids, e);
    if (rc)
        return rc;
    p->vocab = o->model->cfg.vocab;
    generator_open(&g, o->model, o->adapter, NULL);
    p->ids.n = MIN(p->ids.n, (size_t)MIN(PROOF_TOKENS, generator_positions(&g) - 1));
    p->logits = mem_alloc((p->ids.n * (size_t)p->vocab + 1) * sizeof *p->logits);
    for (int32_t i = 0; i < (int32_t)p->ids.n && !rc; i++) {
        const float *row;
        if (!(rc = logits_of(&g, p, i, &row, e)))
            memcpy(p->logits + i * p->vocab, row, (size_t)p->vocab * sizeof *row);
    }
    generator_close(&g);
    return rc;
}

static int proof_compare(Proof *p, const Opened *o, Err *e)
{
    Generator g;
    int       rc = 0;
    generator_open(&g, o->model, o->adapter, NULL);
    for (int32_t i = 0; i < (int32_t)p->ids.n && !rc; i++) {
        const float *now, *was = p->logits + i * p->vocab;
        rc = logits_of(&g, p, i, &now, e);
        for (int64_t v = 0; v < p->vocab && !rc; v++) {
            const double d = fabs((double)now[v] - (double)was[v]);
            p->difference = isnan(d) || d > p->difference ? d : p->difference;
            p->largest = MAX(p->largest, fabs((double)was[v]));
        }
        p->same += !rc && largest_of(now, p->vocab) == largest_of(was, p->vocab);
    }
    generator_close(&g);
    return rc;
}

static int proof_report(const Proof *p, const Options *o, const char *dtype, double rounding, Err *e)
{
    const double allowed = rounding * MAX(p->largest, 1);
    const bool   good = p->difference <= allowed; /* false for NaN */
    if (o->json) {
        Json  *j = json_obj_new();
        StrBuf text = { 0 };
        json_set(j, "path", json_str_new(str_of(o->out)));
        json_set(j, "format", json_str_new(str_of(o->format)));
        json_set(j, "dtype", json_str_new(str_of(dtype)));
        json_set(j, "largest_logit_difference", json_num_new(p->difference));
        json_set(j, "allowed_difference", json_num_new(allowed));
        json_set(j, "greedy_agreement", json_num_new((double)p->same / (double)p->ids.n));
        json_set(j, "tokens_compared", json_int_new((int64_t)p->ids.n));
        json_set(j, "verified", json_bool_new(good));
        json_write(&text, j, false);
        puts(strbuf_z(&text));
        strbuf_release(&text);
        json_free(j);
    } else {
        printf("%s: written as %s in %s, opened again and compared on %zu tokens:\nlargest difference of a logit %.3g (rounding explains %.3g), same likeliest "
               "token at %d of %zu\n", o->out, o->format, dtype, p->ids.n, p->difference, allowed, p->same, p->ids.n);
    }
    if (!good)
        return err_set(e, ERR_WORK, "%s: the exported files do not compute what the source does: a logit differs by %g, rounding to %s explains %g; do not use them",
                       o->out, p->difference, dtype, allowed);
    return 0;
}

static int check_options(const Options *o, int n_pos, Err *e)
{
    if (!n_pos)
        return err_set(e, ERR_ARG, "RUN or MODEL is missing, as in hone export RUN --format safetensors --out PATH");
    if (!*o->format)
        return err_set(e, ERR_ARG, "--format is missing: safetensors for a whole model, peft for the adapter alone");
    return target_check(o->out, "--out", e);
}

/* What can only be said once the source is open: whether there is an adapter, and what dtype the base has. */
static int check_source(const Options *o, const Opened *src, const char *path, size_t format, size_t *dtype, Err *e)
{
    if (formats[format].adapter && !src->adapter)
        return err_set(e, ERR_ARG, "%s: there is no adapter to write; give --adapter DIR, or a run that trained one", path);
    if (formats[format].adapter && *o->dtype)
        return err_set(e, ERR_ARG, "--dtype goes with --format safetensors; an adapter is written in f32, as it was trained");
    for (size_t i = 0; i < ARRAY_LEN(dtypes); i++)
        if (dtypes[i].dtype == (formats[format].adapter ? DT_F32 : src->model->file_dtype) && !*o->dtype)
            *dtype = i;
    return 0;
}

int cmd_export(int argc, char **argv, Err *e)
{
    Options     o = { 0 };
    const char *path = NULL;
    char       *base = NULL;
    Opened      src = { 0 }, again = { 0 };
    Proof       proof = { 0 };
    size_t      format = 0, dtype = 0;
    int         n_pos = 0, rc = cli_parse("export", table, &o, argc, argv, &path, 1, &n_pos, NULL, &o.help, e);
    if (rc || o.help || (rc = check_options(&o, n_pos, e)) || (rc = find_format(o.format, &format, e)) || (*o.dtype && (rc = find_dtype(o.dtype, &dtype, e))))
        goto done;
    if ((rc = cli_open(&src, path, o.adapter, o.device, o.threads, e)) || (rc = check_source(&o, &src, path, format, &dtype, e)) ||
        (rc = proof_begin(&proof, &src, e)) || (rc = formats[format].save(&src, o.out, dtypes[dtype].dtype, e)))
        goto done;
    base = mem_strdup(src.model->path);
    cli_close(&src); /* two models at once may not fit */
    rc = formats[format].adapter ? cli_open(&again, base, o.out, o.device, o.threads, e) : cli_open(&again, o.out, NULL, o.device, o.threads, e);
    if (!rc && again.model->cfg.vocab != proof.vocab)
        rc = err_set(e, ERR_WORK, "the vocabulary has %lld entries, the source's %lld", (long long)again.model->cfg.vocab, (long long)proof.vocab);
    if (rc || (rc = proof_compare(&proof, &again, e))) {
        err_wrap(e, "%s was written, but opening it again failed", o.out);
        goto done;
    }
    rc = proof_report(&proof, &o, dtypes[dtype].name, dtypes[dtype].rounding, e);
done:
    cli_close(&again);
    cli_close(&src);
    vec_release(&proof.ids);
    free(proof.logits);
    free(base);
    cfg_release(table, &o);
    return rc;
}
