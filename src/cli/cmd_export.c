/* cmd_export.c - hone export: a merged model or an adapter for other programs. What was written is opened again and compared with what it was made
 * from (certificate.c) before the command says that it is done; there is no way around that. What does not compare well is kept under PATH.failed.
 * To add a format: a row in `formats`. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/certificate.h"
#include "cli/ollama.h"
#include "cli/target.h"
#include "model/gguf_save.h"
#include "tokenizer/chat_template.h"
#include "tokenizer/source.h"

typedef struct Options {
    char   *adapter, *format, *out, *dtype, *data, *device;
    int64_t threads, max_shard;
    bool    json, help;
} Options;

#define AT(f)     offsetof(Options, f)
#define MAX_SHARD 5000000000 /* of one safetensors file, unless told otherwise */

static const CfgOption table[] = {
    { "format", CFG_STR, AT(format), NULL, 0, 0, "FORMAT", "safetensors, peft, gguf[:TYPE], gguf-lora, ollama[:TYPE] or ollama-lora[:TYPE]; TYPE: F32, BF16, Q8_0, Q4_K_M ..., F16 where none is given" },
    { "out", CFG_STR, AT(out), NULL, 0, 0, "PATH", "new folder for it; a file for gguf and gguf-lora" },
    { "adapter", CFG_STR, AT(adapter), NULL, 0, 0, "DIR", "adapter to put on the model: a PEFT folder or a .gguf file; a run brings its own" },
    { "dtype", CFG_STR, AT(dtype), NULL, 0, 0, "DTYPE", "of safetensors: f32, bf16, f16, nf4, nf4-double or int8; default: the base's" },
    { "max-shard", CFG_INT, AT(max_shard), "0", 0, 1e15, NULL, "bytes of one safetensors file; a larger model becomes several; 0: 5G" },
    { "data", CFG_STR, AT(data), NULL, 0, 0, "FILE", "texts to compare on; default: a run's held-out rows, else hone's own" },
    { "json", CFG_BOOL, AT(json), "false", 0, 0, NULL, "the certificate as one JSON object" },
    { "device", CFG_STR, AT(device), "auto", 0, 0, "auto|cpu|cuda[:n]|ref", "where to compute" },
    { "threads", CFG_INT, AT(threads), "0", 0, 1024, NULL, "0: all cores" },
    { 0 },
};

/* Number formats with what their rounding explains: the largest difference of logits as a share of the largest logit for plain ones, which a wrong tensor
 * is far beyond; for packed ones the logits' noise, as in gguf_mix.c. */
static const struct { const char *name; DType dtype; double bound; bool packed; PackKind pack; } dtypes[] = {
    { "f32",        DT_F32,  1e-4, false, 0               }, { "bf16",       DT_BF16, 6e-2, false, 0               },
    { "f16",        DT_F16,  1e-2, false, 0               }, { "nf4",        DT_BF16, 1.00, true,  PACK_NF4        },
    { "nf4-double", DT_BF16, 1.00, true,  PACK_NF4_DOUBLE }, { "int8",       DT_F16,  0.30, true,  PACK_INT8       },
};

/* One export on its way: what was asked, found and written. */
typedef struct Export {
    Options         o;
    const char     *path;       /* RUN or MODEL */
    size_t          format, dtype;
    const GgufType *type;
    Opened          src;
    char           *base;       /* the base model's path, kept when src is closed */
    bool            experts;    /* the model chooses experts */
    StrBuf          notes;
} Export;

static int save_safetensors(Export *x, Err *e)
{
    return model_save(x->src.model, x->src.adapter, x->o.out, &(SaveOptions){ .dtype = dtypes[x->dtype].dtype, .max_shard_bytes = (size_t)(x->o.max_shard ? x->o.max_shard : MAX_SHARD),
                      .packed = dtypes[x->dtype].packed, .pack = dtypes[x->dtype].pack }, e);
}

static int save_peft(Export *x, Err *e)
{
    return adapter_save(x->src.adapter, x->src.model, x->o.out, e);
}

static int write_gguf(Export *x, const Adapter *adapter, const char *path, Err *e)
{
    Json *tokenizer = NULL, *config = NULL;
    char *where = NULL;
    int   rc = tok_json_from_dir(&tokenizer, &config, &where, x->src.model->path, e);
    if (!rc && file_is_dir(x->src.model->path))
        rc = chat_template_files(&config, x->src.model->path, e);
    if (!rc)
        rc = gguf_save(x->src.model, adapter, tokenizer, config, path, x->type, (int)x->o.threads, &x->notes, e);
    json_free(tokenizer);
    json_free(config);
    free(where);
    return rc;
}

static int save_gguf(Export *x, Err *e)
{
    return write_gguf(x, x->src.adapter, x->o.out, e);
}

static int save_gguf_lora(Export *x, Err *e)
{
    return gguf_save_adapter(x->src.adapter, x->src.model, x->o.out, e);
}

static int save_ollama(Export *x, bool apart, Err *e)
{
    StrBuf text = { 0 };
    char  *tmp = NULL, *model = NULL, *adapter = NULL, *file = NULL;
    int    rc = folder_begin(&tmp, x->o.out, e);
    if (rc)
        goto done;
    model = path_join(tmp, "model.gguf");
    adapter = path_join(tmp, "adapter.gguf");
    file = path_join(tmp, "Modelfile");
    ollama_modelfile(&text, "model.gguf", apart ? "adapter.gguf" : NULL, x->src.tok, &x->notes);
    if ((rc = write_gguf(x, apart ? NULL : x->src.adapter, model, e)) || (apart && (rc = gguf_save_adapter(x->src.adapter, x->src.model, adapter, e))) ||
        (rc = file_write_atomic(file, text.p, text.n, e)))
        goto done;
    rc = folder_commit(&tmp, x->o.out, e);
done:
    folder_abort(&tmp);
    strbuf_release(&text);
    free(model);
    free(adapter);
    free(file);
    return rc;
}

static int save_ollama_merged(Export *x, Err *e) { return save_ollama(x, false, e); }
static int save_ollama_apart(Export *x, Err *e) { return save_ollama(x, true, e); }

/* How the result is opened again: base and adapter, each below --out (""; --out itself) or, NULL, the source's base and none. */
static const struct Format {
    const char *name;
    int  (*save)(Export *x, Err *e);
    bool        adapter, types, file;   /* an adapter is needed; takes :TYPE; one file, not a folder */
    const char *model, *lora;
} formats[] = {
    { "safetensors", save_safetensors,   false, false, false, "",           NULL           },
    { "peft",        save_peft,          true,  false, false, NULL,         ""             },
    { "gguf",        save_gguf,          false, true,  true,  "",           NULL           },
    { "gguf-lora",   save_gguf_lora,     true,  false, true,  NULL,         ""             },
    { "ollama",      save_ollama_merged, false, true,  false, "model.gguf", NULL           },
    { "ollama-lora", save_ollama_apart,  true,  true,  false, "model.gguf", "adapter.gguf" },
};

static int find_format(Export *x, Err *e)
{
    const char *text = x->o.format;
    const Str   name = { text, strcspn(text, ":") };
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        if (!str_eqz(name, formats[i].name))
            continue;
        x->format = i;
        if (text[name.n] && !formats[i].types)
            return err_set(e, ERR_ARG, "--format %s: %s has no variants; write the name alone", text, formats[i].name);
        if (text[name.n] && !text[name.n + 1])
            return err_set(e, ERR_ARG, "--format %s: a TYPE should stand behind the colon, as in %s:Q8_0; the name alone is %s:F16", text, formats[i].name,
                           formats[i].name);
        int rc = formats[i].types ? gguf_type_find(&x->type, text[name.n] ? text + name.n + 1 : "", e) : 0;
        return rc ? err_wrap(e, "--format %s", text) : 0;
    }
    StrBuf known = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        strbuf_addf(&known, "%s%s%s", i ? ", " : "", formats[i].name, formats[i].types ? "[:TYPE]" : "");
    int rc = err_set(e, ERR_ARG, "--format %s%sis not a format; expected is %s", text, *text ? " " : "", strbuf_z(&known));
    strbuf_release(&known);
    return rc;
}

static int find_dtype(const char *name, size_t *found, Err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(dtypes); i++)
        if (!strcmp(name, dtypes[i].name)) {
            *found = i;
            return 0;
        }
    return err_set(e, ERR_ARG, "--dtype %s: expected f32, bf16 or f16, or nf4, nf4-double, int8", name);
}

static int check_options(Export *x, int n_pos, Err *e)
{
    const Options *o = &x->o;
    int            rc;
    if (!n_pos)
        return err_set(e, ERR_ARG, "RUN or MODEL is missing, as in hone export RUN --format safetensors --out PATH");
    if (!*o->format)
        return err_set(e, ERR_ARG, "--format is missing: safetensors or gguf for a whole model, peft or gguf-lora for the adapter alone");
    if ((rc = find_format(x, e)) || (*o->dtype && (rc = find_dtype(o->dtype, &x->dtype, e))))
        return rc;
    return formats[x->format].file ? target_check_file(o->out, "--out", ".gguf", e) : target_check(o->out, "--out", e);
}

/* What can only be said once the source is open: whether there is an adapter, and what dtype the base has. */
static int check_source(Export *x, Err *e)
{
    const bool plain = formats[x->format].save == save_safetensors;
    if (formats[x->format].adapter && !x->src.adapter)
        return err_set(e, ERR_ARG, "%s: there is no adapter to write; give --adapter DIR, or a run that trained one", x->path);
    if (!plain && *x->o.dtype)
        return err_set(e, ERR_ARG, "--dtype goes with --format safetensors; %s", formats[x->format].types
                       ? "a GGUF file's type stands behind its name, as in gguf:Q8_0" : "an adapter is written in f32, as it was trained");
    if (!plain && x->o.max_shard)
        return err_set(e, ERR_ARG, "--max-shard goes with --format safetensors; %s is written as one file", formats[x->format].name);
    for (size_t i = 0; i < ARRAY_LEN(dtypes); i++)
        if (dtypes[i].dtype == (plain ? x->src.model->file_dtype : DT_F32) && !dtypes[i].packed && !*x->o.dtype)
            x->dtype = i;
    return 0;
}

static char *below(const char *out, const char *name)
{
    return *name ? path_join(out, name) : mem_strdup(out);
}

static int open_again(const Export *x, Opened *again, Err *e)
{
    const struct Format *f = &formats[x->format];
    char                *model = f->model ? below(x->o.out, f->model) : mem_strdup(x->base), *lora = f->lora ? below(x->o.out, f->lora) : NULL;
    int                  rc = cli_open(again, model, lora, x->o.device, x->o.threads, e);
    free(model);
    free(lora);
    return rc;
}

/* PATH/certificate.json, or PATH.certificate.json without the file's ending. */
static int write_certificate(const Export *x, const Json *j, Err *e)
{
    StrBuf path = { 0 }, text = { 0 };
    if (formats[x->format].file)
        strbuf_addf(&path, "%.*s.certificate.json", (int)(strlen(x->o.out) - strlen(".gguf")), x->o.out);
    else
        strbuf_addf(&path, "%s/certificate.json", x->o.out);
    json_write(&text, j, true);
    strbuf_addc(&text, '\n');
    int rc = file_write_atomic(strbuf_z(&path), text.p, text.n, e);
    strbuf_release(&path);
    strbuf_release(&text);
    return rc;
}

/* Bad files lose the name under which somebody would use them. */
static int put_aside(const Export *x, StrBuf *kept, Err *e)
{
    strbuf_addf(kept, "%s.failed", x->o.out);
    int rc = dir_remove(strbuf_z(kept), e);
    return rc ? rc : file_rename(x->o.out, strbuf_z(kept), e);
}

static int mismatch(const Export *x, const Certificate *c, const CertClaim *claim, Err *e)
{
    StrBuf kept = { 0 };
    int    rc = put_aside(x, &kept, e);
    rc = rc ? rc : certificate_error(c, claim, strbuf_z(&kept), e);
    strbuf_release(&kept);
    return rc;
}

static int not_opened(const Export *x, Err *e)
{
    StrBuf kept = { 0 };
    Err    second = { 0 };
    if (put_aside(x, &kept, &second))
        err_wrap(e, "%s was written, but opening it again failed, and it could not be put aside (%s)", x->o.out, second.text);
    else
        err_wrap(e, "%s was written, but opening it again failed; it is kept as %s", x->o.out, strbuf_z(&kept));
    strbuf_release(&kept);
    return e->code;
}

/* Rounding may turn a close choice between two experts, and then a token's logits differ by more than rounding: such models are judged by the noise. */
#define CHOICE_NOISE 0.3

static int report(const Export *x, const Certificate *c, Err *e)
{
    const bool      types = formats[x->format].types;
    const DType     dtype = types ? x->type->dtype : dtypes[x->dtype].dtype;
    const bool      exact = (types ? dtype_block(dtype) == 1 : !dtypes[x->dtype].packed) && (dtype == DT_F32 || !x->experts);
    const double    bound = types ? x->type->noise : dtypes[x->dtype].bound;
    const CertClaim claim = { .path = x->o.out, .format = formats[x->format].name, .type = types ? x->type->name : dtypes[x->dtype].name,
                              .source = x->path, .notes = strbuf_z(&x->notes), .bound = x->experts && !exact && bound < CHOICE_NOISE ? CHOICE_NOISE : bound,
                              .exact = exact };
    const bool      good = certificate_good(c, &claim);
    Json           *j = certificate_json(c, &claim);
    int             rc = good ? write_certificate(x, j, e) : mismatch(x, c, &claim, e);
    if (x->o.json) {
        StrBuf text = { 0 };
        json_write(&text, j, false);
        puts(strbuf_z(&text));
        strbuf_release(&text);
    } else {
        certificate_print(c, &claim);
    }
    json_free(j);
    return rc;
}

int cmd_export(int argc, char **argv, Err *e)
{
    Export      x = { 0 };
    Opened      again = { 0 };
    Certificate c = { 0 };
    int         n_pos = 0, rc = cli_parse("export", table, &x.o, argc, argv, &x.path, 1, &n_pos, NULL, &x.o.help, e);
    if (rc || x.o.help || (rc = check_options(&x, n_pos, e)))
        goto done;
    if ((rc = cli_open(&x.src, x.path, x.o.adapter, x.o.device, x.o.threads, e)) || (rc = check_source(&x, e)) ||
        (rc = certificate_texts(&c, &x.src, x.path, x.o.data, e)) || (rc = certificate_source(&c, &x.src, e)) || (rc = formats[x.format].save(&x, e)))
        goto done;
    x.base = mem_strdup(x.src.model->path);
    x.experts = x.src.model->cfg.experts > 0;
    cli_close(&x.src); /* two models at once may not fit */
    if ((rc = open_again(&x, &again, e)) || (rc = certificate_compare(&c, &again, e))) {
        rc = not_opened(&x, e);
        goto done;
    }
    rc = report(&x, &c, e);
done:
    cli_close(&again);
    cli_close(&x.src);
    certificate_release(&c);
    strbuf_release(&x.notes);
    free(x.base);
    cfg_release(table, &x.o);
    return rc;
}
