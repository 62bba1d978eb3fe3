/* hf_dir.c - opens a Hugging Face folder. Two tables say what is looked for: parts[] the small JSON files, weight_files[] the weights.
 * An adapter_config.json makes it an adapter folder, as for transformers: its weights are the adapter's.
 *
 * To read another JSON file of such folders: a field in HfDir and a row in parts[]. */
#include "formats/hf_dir.h"

#include "base/file.h"
#include "base/mem.h"

#include <stdlib.h>

static const struct { const char *name; size_t off; } parts[] = {
    { "config.json",            offsetof(HfDir, config) },
    { "generation_config.json", offsetof(HfDir, generation) },
    { "adapter_config.json",    offsetof(HfDir, adapter) },
    { "tokenizer.json",         offsetof(HfDir, tokenizer) },
    { "tokenizer_config.json",  offsetof(HfDir, tokenizer_config) },
};

/* The first that is there is opened; a row without open is a file that hone does not read. */
static const struct { const char *name; bool adapter; int (*open)(StFile **, const char *, Err *); } weight_files[] = {
    { "model.safetensors",            false, st_open       },
    { "model.safetensors.index.json", false, st_open_index },
    { "pytorch_model.bin",            false, NULL          },
    { "pytorch_model.bin.index.json", false, NULL          },
    { "adapter_model.safetensors",    true,  st_open       },
    { "adapter_model.bin",            true,  NULL          },
};

static Json **part_of(HfDir *d, size_t off)
{
    return (Json **)(void *)((char *)d + off);
}

static int open_parts(HfDir *d, Err *e)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < ARRAY_LEN(parts); i++) {
        char *path = path_join(d->path, parts[i].name);
        Json **part = part_of(d, parts[i].off);
        if (file_exists(path))
            rc = json_read_file(part, path, e);
        if (!rc && *part && json_kind(*part) != JSON_OBJECT)
            rc = err_set(e, ERR_INPUT, "%s: expected a JSON object, found %s", path, json_kind_name(*part));
        free(path);
    }
    return rc;
}

static int open_weights(HfDir *d, Err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(weight_files); i++) {
        if (weight_files[i].adapter != (d->adapter != NULL))
            continue;
        char *path = path_join(d->path, weight_files[i].name);
        bool there = file_exists(path);
        int rc = 0;
        if (there && weight_files[i].open)
            rc = weight_files[i].open(&d->weights, path, e);
        else if (there)
            rc = err_set(e, ERR_INPUT, "%s: hone does not read pickled PyTorch files, because they can run code; save the model as safetensors, "
                         "in Python with model.save_pretrained(folder, safe_serialization=True)", path);
        free(path);
        if (there)
            return rc;
    }
    return 0;
}

/* The folder itself, its name without slashes at the end. */
static int open_folder(HfDir **d, const char *path, Err *e)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    if (!file_is_dir(path))
        return err_set(e, ERR_INPUT, "%s: %s; expected the path of a model folder or of a .gguf file on this machine", path,
                       file_exists(path) ? "this is a file" : "there is no such folder or file");
    *d = mem_zalloc(1, sizeof **d);
    (*d)->path = mem_strndup(path, n);
    return 0;
}

static int give_out(HfDir **out, HfDir *d, int rc)
{
    if (rc) {
        hf_dir_close(d);
        d = NULL;
    }
    *out = d;
    return rc;
}

int hf_dir_open(HfDir **out, const char *path, Err *e)
{
    HfDir *d = NULL;
    int rc = open_folder(&d, path, e);
    if (!rc)
        rc = open_parts(d, e);
    if (!rc && !d->config && !d->adapter) {
        char *gguf = path_join(d->path, "model.gguf"); /* the name in Ollama's folders */
        rc = err_set(e, ERR_INPUT, "%s: this is not a model folder; it has neither config.json (a model) nor adapter_config.json (an adapter)%s%s",
                     d->path, file_exists(gguf) ? "; name the file in it, " : "", file_exists(gguf) ? gguf : "");
        free(gguf);
    }
    if (!rc)
        rc = open_weights(d, e);
    return give_out(out, d, rc);
}

void hf_dir_close(HfDir *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        json_free(*part_of(d, parts[i].off));
    st_close(d->weights);
    free(d->path);
    free(d);
}
