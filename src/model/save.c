/* save.c - Model -> a Hugging Face folder: weights under the names they were read by, merged with an adapter if asked, and the base folder's
 * side files. The folder appears whole or not at all. */
#include "model/gguf_model.h"
#include "model/lora.h"
#include "model/model_int.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "tensor/inspect.h"

#define SHARD_BYTES 5000000000u /* the usual limit of a file; larger models lie in several, with an index */

/* What belongs to a model beside its weights. config.json is written apart, since the stored number format may have changed. */
static const char *const side_files[] = {
    "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
    "merges.txt", "tokenizer.model", "chat_template.jinja", "chat_template.json", "LICENSE", "NOTICE",
};

static int copy_side_files(const char *from, const char *to, Err *e)
{
    int rc = 0;
    if (gguf_path_is(from))
        return gguf_write_side_files(from, to, e);
    for (size_t i = 0; i < ARRAY_LEN(side_files) && !rc; i++) {
        char   *src = path_join(from, side_files[i]), *dst = path_join(to, side_files[i]), *text = NULL;
        size_t  n = 0;
        if (file_exists(src) && !(rc = file_read_text(src, &text, &n, e)))
            rc = file_write_atomic(dst, text, n, e);
        free(text);
        free(src);
        free(dst);
    }
    return rc;
}

static int write_config(const Model *m, const Adapter *ad, const char *to, const SaveOptions *o, Err *e)
{
    static const char *const torch_name[DT_COUNT] = { [DT_F32] = "float32", [DT_F16] = "float16", [DT_BF16] = "bfloat16" };
    char  *src = path_join(m->path, "config.json"), *dst = path_join(to, "config.json");
    Json  *j = NULL;
    StrBuf text = { 0 };
    int    rc = gguf_path_is(m->path) ? gguf_read_config(&j, m->path, e) : json_read_file(&j, src, e);
    if (!rc) {
        json_set(j, json_get(j, "dtype") ? "dtype" : "torch_dtype", json_str_new(str_of(torch_name[o->dtype])));
        if (adapter_unties(ad, m))
            json_set(j, "tie_word_embeddings", json_bool_new(false));
        json_drop(j, "quantization_config"); /* of the base */
        if (o->packed)
            json_set(j, "quantization_config", pack_config(o->pack, o->dtype, (const char *const[]){ m->fam->head ? m->fam->head : "lm_head", NULL }));
        if (!json_get(j, "architectures")) {
            Json *a = json_arr_new();
            json_push(a, json_str_new(str_of(m->fam->architecture)));
            json_set(j, "architectures", a);
        }
        json_write(&text, j, true);
        rc = file_write_atomic(dst, text.p, text.n, e);
    }
    strbuf_release(&text);
    json_free(j);
    free(src);
    free(dst);
    return rc;
}

int slot_merged(const Model *m, const Adapter *ad, const Slot *s, TArena *scratch, float *buf, const float **out, Err *e)
{
    const Tensor  *t = adapter_weight(ad, m, s);
    const int64_t  n = tensor_numel(t);
    const LoraPair none = { 0 }, *p = ad && s->linear >= 0 ? &ad->pair[s->linear] : &none;
    *out = buf;
    slot_numbers(s, t, buf);
    if (p->a) {
        TArenaMark mark = tarena_mark(scratch);
        Tensor    *sum = tarena_tensor(scratch, s->name, DT_F32, 2, s->dim);
        if (tarena_failed(scratch, e))
            return e->code;
        tensor_get(t, buf);
        tensor_put(sum, buf);
        m->be->linear_dx(m->be, sum, p->b, p->a, ad->scale); /* W + s B A */
        tensor_get(sum, buf);
        tarena_rewind(scratch, mark);
    }
    if (!slot_same_layout(s)) {
        slot_to_file(m, s, buf + n, buf);
        *out = buf + n;
    }
    return 0;
}

/* A matrix that bitsandbytes would pack: a linear of a block, in the orientation that it knows. */
static bool is_packed(const Slot *s, const SaveOptions *o)
{
    return o->packed && s->linear >= 0 && s->rank == 2 && !s->transposed;
}

static int write_slot(const Model *m, const Adapter *ad, const Slot *s, const char *name, const SaveOptions *o, TArena *scratch, StWriter *w, float *buf, Err *e)
{
    const int64_t n = tensor_numel(*s->at);
    const float  *v = NULL;
    int           rc = slot_merged(m, ad, s, scratch, buf, &v, e);
    if (!rc && is_packed(s, o))
        return pack_write(w, o->pack, name, v, s->dim[0], s->dim[1], o->dtype, e);
    if (rc || o->dtype == DT_F32)
        return rc ? rc : st_write(w, v, (size_t)n * sizeof *v, e);
    void *half = mem_alloc((size_t)n * dtype_size(o->dtype));
    dtype_from_f32(half, v, o->dtype, n);
    rc = st_write(w, half, (size_t)n * dtype_size(o->dtype), e);
    free(half);
    return rc;
}

/* Shards as huggingface_hub cuts them: a weight that would pass the limit opens the next file; one larger than the limit has a file to itself. */
static int *plan_shards(const SlotList *l, DType dtype, size_t limit, int *n)
{
    int   *shard = mem_zalloc((size_t)MAX(l->n, 1), sizeof *shard);
    size_t used = 0;
    *n = 1;
    for (int i = 0; i < l->n; i++) {
        const size_t nbytes = (size_t)(l->p[i].dim[0] * l->p[i].dim[1]) * dtype_size(dtype);
        if (used && used + nbytes > limit) {
            ++*n;
            used = 0;
        }
        used += nbytes;
        shard[i] = *n - 1;
    }
    return shard;
}

static void shard_name(StrBuf *out, int number, int n)
{
    strbuf_clear(out);
    if (n == 1)
        strbuf_addz(out, "model.safetensors");
    else
        strbuf_addf(out, "model-%05d-of-%05d.safetensors", number + 1, n);
}

/* Weights [first, end) into one file. */
static int write_shard(const Model *m, const SlotList *l, const Adapter *ad, const char *path, const SaveOptions *o, int first, int end, TArena *scratch,
                       float *buf, Err *e)
{
    StWriter *w = NULL;
    Arena     names = { 0 };
    StrBuf    name = { 0 };
    int       rc = st_create(&w, path, e);
    if (rc)
        goto done;
    st_meta(w, "format", "pt"); /* transformers refuses a file without it */
    const char *template = ad && ad->chat_template[0] ? ad->chat_template : m->chat_template;
    if (template[0])
        st_meta(w, CHAT_TEMPLATE_KEY, template);
    for (int i = first; i < end; i++) {
        const Slot   *s = &l->p[i];
        const int64_t dim[2] = { s->transposed ? s->dim[1] : s->dim[0], s->transposed ? s->dim[0] : s->dim[1] };
        slot_name(m, s, &name);
        if (is_packed(s, o))
            pack_declare(w, o->pack, arena_strdup(&names, strbuf_z(&name)), dim[0], dim[1]);
        else
            st_declare(w, arena_strdup(&names, strbuf_z(&name)), o->dtype, s->rank, dim);
    }
    for (int i = first; i < end && !rc; i++) {
        slot_name(m, &l->p[i], &name);
        rc = write_slot(m, ad, &l->p[i], strbuf_z(&name), o, scratch, w, buf, e);
    }
    if (!rc)
        rc = st_commit(&w, e);
done:
    st_abort(&w);
    arena_release(&names);
    strbuf_release(&name);
    return rc;
}

static int write_index(const Model *m, const SlotList *l, const char *to, DType dtype, const int *shard, int n, Err *e)
{
    Json   *j = json_obj_new(), *meta = json_obj_new(), *map = json_obj_new();
    StrBuf  name = { 0 }, file = { 0 }, text = { 0 };
    int64_t total = 0;
    for (int i = 0; i < l->n; i++) {
        const Slot *s = &l->p[i];
        slot_name(m, s, &name);
        shard_name(&file, shard[i], n);
        json_set(map, strbuf_z(&name), json_str_new(strbuf_str(&file)));
        total += s->dim[0] * s->dim[1] * (int64_t)dtype_size(dtype);
    }
    json_set(meta, "total_size", json_int_new(total));
    json_set(j, "metadata", meta);
    json_set(j, "weight_map", map);
    json_write(&text, j, true);
    char *path = path_join(to, "model.safetensors.index.json");
    int   rc = file_write_atomic(path, text.p, text.n, e);
    free(path);
    strbuf_release(&name);
    strbuf_release(&file);
    strbuf_release(&text);
    json_free(j);
    return rc;
}

static int write_weights(const Model *m, const Adapter *ad, const char *to, const SaveOptions *o, Err *e)
{
    const size_t limit = o->packed ? SIZE_MAX : o->max_shard_bytes ? o->max_shard_bytes : SHARD_BYTES; /* the index does not name what packing adds */
    /* What files hold: the model's weights, and the head of a tied model that the adapter has untied. */
    SlotList l = { .n = m->slots->n, .p = mem_alloc((size_t)(m->slots->n + 1) * sizeof *l.p) };
    memcpy(l.p, m->slots->p, (size_t)l.n * sizeof *l.p);
    if (adapter_unties(ad, m))
        l.p[l.n++] = m->slots->tied_head;
    int     n, rc = 0, *shard = plan_shards(&l, o->dtype, limit, &n);
    StrBuf  name = { 0 };
    TArena  scratch;
    int64_t largest = 1;
    for (int i = 0; i < l.n; i++)
        largest = MAX(largest, l.p[i].dim[0] * l.p[i].dim[1]);
    float *buf = mem_alloc((size_t)largest * 2 * sizeof *buf);
    tarena_init(&scratch, m->be);
    for (int k = 0, first = 0, end; k < n && !rc; k++, first = end) {
        for (end = first; end < l.n && shard[end] == k;)
            end++;
        shard_name(&name, k, n);
        char *path = path_join(to, strbuf_z(&name));
        rc = write_shard(m, &l, ad, path, o, first, end, &scratch, buf, e);
        free(path);
    }
    if (!rc && n > 1)
        rc = write_index(m, &l, to, o->dtype, shard, n, e);
    tarena_release(&scratch);
    strbuf_release(&name);
    free(buf);
    free(shard);
    free(l.p);
    return rc;
}

/* write_weights' buffer, of which a weight in another layout uses the second half, and the numbers of one weight in the type of the file. */
size_t model_save_room(const Model *m, const SaveOptions *o)
{
    size_t wide = 0, half = 0;
    for (int i = 0; i < m->slots->n; i++) {
        const Slot  *s = &m->slots->p[i];
        const size_t n = (size_t)tensor_numel(*s->at);
        wide = MAX(wide, n * sizeof(float) * (slot_same_layout(s) ? 1 : 2));
        half = MAX(half, o->dtype == DT_F32 ? 0 : n * dtype_size(o->dtype));
    }
    return wide + half;
}

int model_write(const Model *m, const Adapter *adapter, const char *dir, const SaveOptions *o, Err *e)
{
    int rc;
    if (o->packed && (m->fam->transposed || gguf_experts(m) > 0))
        return err_set(e, ERR_INPUT, "%s: matrices of %s models cannot be packed for bitsandbytes (%s); choose f32, bf16 or f16", m->path, m->fam->hf,
                       m->fam->transposed ? "they are stored transposed" : "it packs no experts");
    if ((rc = write_weights(m, adapter, dir, o, e)) || (rc = write_config(m, adapter, dir, o, e)))
        return rc;
    return copy_side_files(m->path, dir, e);
}

int model_save(const Model *m, const Adapter *adapter, const char *path, const SaveOptions *o, Err *e)
{
    char *tmp = NULL;
    int   rc = folder_begin(&tmp, path, e);
    if (!rc && !(rc = model_write(m, adapter, tmp, o, e)))
        rc = folder_commit(&tmp, path, e);
    folder_abort(&tmp);
    return rc;
}
