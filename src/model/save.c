/* save.c - Model -> a Hugging Face folder: weights under the names they were read by, merged with an adapter if asked, and the base folder's
 * side files. The folder appears whole or not at all. */
#include "model/gguf_model.h"
#include "model/lora.h"
#include "model/model_int.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"

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

static int write_config(const Model *m, const char *to, DType dtype, Err *e)
{
    static const char *const torch_name[DT_COUNT] = { [DT_F32] = "float32", [DT_F16] = "float16", [DT_BF16] = "bfloat16" };
    char  *src = path_join(m->path, "config.json"), *dst = path_join(to, "config.json");
    Json  *j = NULL;
    StrBuf text = { 0 };
    int    rc = gguf_path_is(m->path) ? gguf_read_config(&j, m->path, e) : json_read_file(&j, src, e);
    if (!rc) {
        json_set(j, json_get(j, "dtype") ? "dtype" : "torch_dtype", json_str_new(str_of(torch_name[dtype])));
        json_drop(j, "quantization_config"); /* what is written is not packed */
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
    const Tensor  *t = *s->at;
    const int64_t  n = tensor_numel(t);
    const LoraPair none = { 0 }, *p = ad && s->linear >= 0 ? &ad->pair[s->linear] : &none;
    *out = buf;
    if (p->a) {
        TArenaMark mark = tarena_mark(scratch);
        Tensor    *sum = tarena_tensor(scratch, s->name, DT_F32, 2, s->dim);
        if (tarena_failed(scratch, e))
            return e->code;
        m->be->copy_rows(m->be, sum, 0, t, 0, s->dim[0]);
        m->be->linear_dx(m->be, sum, p->b, p->a, ad->scale); /* W + s B A */
        m->be->download(m->be, buf, sum->data, (size_t)n * sizeof *buf);
        tarena_rewind(scratch, mark);
    } else {
        m->be->download(m->be, buf, t->data, (size_t)n * sizeof *buf);
    }
    if (!slot_same_layout(s)) {
        slot_to_file(m, s, buf + n, buf);
        *out = buf + n;
    }
    return 0;
}

static int write_slot(const Model *m, const Adapter *ad, const Slot *s, DType dtype, TArena *scratch, StWriter *w, float *buf, Err *e)
{
    const int64_t n = tensor_numel(*s->at);
    const float  *v = NULL;
    int           rc = slot_merged(m, ad, s, scratch, buf, &v, e);
    if (rc || dtype == DT_F32)
        return rc ? rc : st_write(w, v, (size_t)n * sizeof *v, e);
    void *half = mem_alloc((size_t)n * dtype_size(dtype));
    dtype_from_f32(half, v, dtype, n);
    rc = st_write(w, half, (size_t)n * dtype_size(dtype), e);
    free(half);
    return rc;
}

static int write_weights(const Model *m, const Adapter *ad, const char *to, DType dtype, Err *e)
{
    const SlotList *slots = m->slots;
    StWriter       *w = NULL;
    TArena          scratch;
    Arena           names = { 0 };
    StrBuf          name = { 0 };
    char           *path = path_join(to, "model.safetensors");
    float          *buf = NULL;
    int64_t         largest = 1;
    tarena_init(&scratch, m->be);
    int rc = st_create(&w, path, e);
    if (rc)
        goto done;
    st_meta(w, "format", "pt"); /* transformers refuses a file without it */
    for (int i = 0; i < slots->n; i++) {
        const Slot   *s = &slots->p[i];
        const int64_t dim[2] = { s->transposed ? s->dim[1] : s->dim[0], s->transposed ? s->dim[0] : s->dim[1] };
        slot_name(m, s, &name);
        st_declare(w, arena_strdup(&names, strbuf_z(&name)), dtype, s->rank, dim);
        largest = MAX(largest, s->dim[0] * s->dim[1]);
    }
    buf = mem_alloc((size_t)largest * 2 * sizeof *buf);
    for (int i = 0; i < slots->n && !rc; i++)
        rc = write_slot(m, ad, &slots->p[i], dtype, &scratch, w, buf, e);
    if (!rc)
        rc = st_commit(&w, e);
done:
    st_abort(&w);
    tarena_release(&scratch);
    arena_release(&names);
    strbuf_release(&name);
    free(buf);
    free(path);
    return rc;
}

int model_save(const Model *m, const Adapter *adapter, const char *path, DType dtype, Err *e)
{
    char *tmp = NULL;
    int   rc = folder_begin(&tmp, path, e);
    if (rc || (rc = write_weights(m, adapter, tmp, dtype, e)) || (rc = write_config(m, tmp, dtype, e)) || (rc = copy_side_files(m->path, tmp, e)))
        goto done;
    rc = folder_commit(&tmp, path, e);
done:
    folder_abort(&tmp);
    return rc;
}
