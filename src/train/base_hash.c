/* base_hash.c - see base_hash.h. */
#include "train/base_hash.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/hash.h"

static int hash_file(BaseHash *b, const char *path, const char *prefix, Err *e)
{
    char      hex[SHA256_HEX];
    StrBuf    key = { 0 };
    const int rc = sha256_file_until(path, &b->stop, hex, e);
    strbuf_addf(&key, "%s%s", prefix, path_base(path));
    if (!rc)
        json_set(b->hash, strbuf_z(&key), json_str_new(str_of(hex)));
    strbuf_release(&key);
    return rc;
}

/* Every weight and JSON file of a folder; a GGUF file is all there is. */
static int hash_folder(BaseHash *b, const char *dir, const char *prefix, Err *e)
{
    FileList l = { 0 };
    if (!file_is_dir(dir))
        return hash_file(b, dir, prefix, e);
    int rc = file_list(&l, dir, e);
    for (size_t i = 0; i < l.n && !rc; i++) {
        char *path = path_join(dir, l.name[i]);
        if ((str_ends(str_of(path), ".json") || str_ends(str_of(path), ".safetensors")) && !file_is_dir(path))
            rc = hash_file(b, path, prefix, e);
        free(path);
    }
    file_list_release(&l);
    return rc;
}

static void hash_base(void *ctx)
{
    BaseHash *b = ctx;
    b->hash = json_obj_new();
    b->rc = hash_folder(b, b->model, "", &b->err);
    if (!b->rc && b->adapter && *b->adapter)
        b->rc = hash_folder(b, b->adapter, "init-adapter/", &b->err);
}

void base_hash_begin(BaseHash *b, const char *model, const char *adapter)
{
    *b = (BaseHash){ .model = model, .adapter = adapter };
    b->thread = beside_start(hash_base, b);
}

int base_hash_end(BaseHash *b, Json **out, Err *e)
{
    beside_join(b->thread);
    b->thread = NULL;
    *out = b->hash;
    b->hash = NULL;
    if (b->rc && e)
        *e = b->err;
    return b->rc;
}

void base_hash_drop(BaseHash *b)
{
    Json *hash;
    atomic_store(&b->stop, true);
    base_hash_end(b, &hash, NULL);
    json_free(hash);
}
