/* ckpt.c - see ckpt.h. */
#include "train/ckpt.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "formats/safetensors.h"

static const char *const kept_file[] = { "state.json", "state.safetensors" };

/* RunState <-> state.json, by one table. */
static const struct { const char *key; size_t off; bool real; } field[] = {
    { "step", offsetof(RunState, step), false },                     { "best_step", offsetof(RunState, best_step), false },
    { "since_best", offsetof(RunState, since_best), false },         { "best_loss", offsetof(RunState, best_loss), true },
    { "first_loss", offsetof(RunState, first_loss), true },          { "last_loss", offsetof(RunState, last_loss), true },
    { "tokens", offsetof(RunState, tokens), false },                 { "trained_tokens", offsetof(RunState, trained_tokens), false },
    { "seconds", offsetof(RunState, seconds), true },                { "metrics_bytes", offsetof(RunState, metrics_bytes), false },
    { "run_seconds", offsetof(RunState, run_seconds), true },       { "joules", offsetof(RunState, joules), true },
    { "order_bytes", offsetof(RunState, order_bytes), false },       { "samples_bytes", offsetof(RunState, samples_bytes), false },
};

static int write_json(const char *dir, const char *name, Json *j, Err *e)
{
    StrBuf text = { 0 };
    char  *path = path_join(dir, name);
    json_write(&text, j, true);
    int rc = file_write_atomic(path, text.p, text.n, e);
    free(path);
    strbuf_release(&text);
    json_free(j);
    return rc;
}

static int write_state(const char *dir, const RunState *s, Err *e)
{
    Json *j = json_obj_new();
    for (size_t i = 0; i < ARRAY_LEN(field); i++) {
        const char *at = (const char *)s + field[i].off;
        json_set(j, field[i].key, field[i].real ? json_num_new(*(const double *)(const void *)at) : json_int_new(*(const int64_t *)(const void *)at));
    }
    return write_json(dir, "state.json", j, e);
}

static int read_state(const char *dir, RunState *s, Err *e)
{
    Json *j = NULL;
    char *path = path_join(dir, "state.json");
    int   rc = json_read_file(&j, path, e);
    for (size_t i = 0; i < ARRAY_LEN(field) && !rc; i++) {
        char *at = (char *)s + field[i].off;
        if (field[i].real) {
            *(double *)(void *)at = NAN; /* NaN is written as null */
            rc = json_opt_num(j, field[i].key, (double *)(void *)at, path, e);
        } else {
            rc = json_need_int(j, field[i].key, (int64_t *)(void *)at, path, e);
        }
    }
    json_free(j);
    free(path);
    return rc;
}

/* The three tensors that belong to one trainable. */
static Tensor *part(const Trainable *t, int k, char name[static 512])
{
    static const char *const tail[] = { "", ".m", ".v" };
    snprintf(name, 512, "%s%s", t->name, tail[k]);
    return k == 0 ? t->w : k == 1 ? t->m : t->v;
}

static size_t part_bytes(const Tensor *t) { return dtype_bytes(t->dtype, tensor_numel(t)); }

size_t ckpt_room(const Optimizer *o)
{
    size_t largest = 1;
    for (int i = 0; i < o->n; i++)
        largest = MAX(largest, part_bytes(o->t[i].w));
    return largest;
}

size_t ckpt_bytes(const Optimizer *o)
{
    size_t sum = 0;
    for (int i = 0; i < o->n; i++)
        sum += part_bytes(o->t[i].w) + part_bytes(o->t[i].m) + part_bytes(o->t[i].v);
    return sum;
}

static int write_tensors(const char *dir, const Optimizer *o, Err *e)
{
    StWriter *w = NULL;
    char      name[512], *path = path_join(dir, "state.safetensors");
    void     *buf = NULL;
    int       rc = st_create(&w, path, e);
    if (rc)
        goto done;
    for (int i = 0; i < o->n; i++)
        for (int k = 0; k < 3; k++) {
            const Tensor *t = part(&o->t[i], k, name);
            const int64_t blocks = tensor_numel(t) / dtype_block(t->dtype);
            if (t->dtype == DT_F32)
                st_declare(w, name, DT_F32, t->rank, t->dim);
            else
                st_declare_bytes(w, name, false, 2, (int64_t[]){ blocks, (int64_t)dtype_bytes(t->dtype, dtype_block(t->dtype)) });
        }
    buf = mem_alloc(ckpt_room(o));
    for (int i = 0; i < o->n && !rc; i++)
        for (int k = 0; k < 3 && !rc; k++) {
            const Tensor *t = part(&o->t[i], k, name);
            const size_t  nbytes = part_bytes(t);
            if (k == 0 || !o->paged)
                o->be->download(o->be, buf, t->data, nbytes);
            rc = st_write(w, k && o->paged ? t->data : buf, nbytes, e);
        }
    if (!rc)
        rc = st_commit(&w, e);
done:
    st_abort(&w);
    free(buf);
    free(path);
    return rc;
}

static int read_tensors(const char *dir, Optimizer *o, Err *e)
{
    StFile *f = NULL;
    char    name[512], *path = path_join(dir, "state.safetensors");
    int     rc = st_open(&f, path, e);
    if (!rc && st_count(f) != 3 * (size_t)o->n)
        rc = err_set(e, ERR_INPUT, "%s: holds %zu tensors, this run has %d", path, st_count(f), 3 * o->n);
    for (int i = 0; i < o->n && !rc; i++)
        for (int k = 0; k < 3 && !rc; k++) {
            Tensor         *t = part(&o->t[i], k, name);
            const StTensor *s = st_find(f, name);
            const char     *type = t->dtype == DT_F32 ? "F32" : "U8"; /* blocks lie there as bytes */
            if (s && strcmp(s->dtype_text, type) != 0)
                rc = err_set(e, ERR_INPUT, "%s: %s is %s and should be %s; the moments of optim adamw and of adamw_8bit cannot be exchanged", path, name,
                             s->dtype_text, type);
            else if (!s || s->nbytes != part_bytes(t))
                rc = err_set(e, ERR_INPUT, "%s: %s is missing or of another shape", path, name);
            else if (k && o->paged)
                memcpy(t->data, s->data, s->nbytes);
            else
                o->be->upload(o->be, t->data, s->data, s->nbytes);
        }
    st_close(f);
    free(path);
    return rc;
}

static int write_manifest(const char *dir, Err *e)
{
    Json *j = json_obj_new();
    int   rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(kept_file) && !rc; i++) {
        char     hex[SHA256_HEX], *path = path_join(dir, kept_file[i]);
        uint64_t size = 0;
        if (!(rc = sha256_file(path, hex, e)) && !(rc = file_size(path, &size, e))) {
            Json *f = json_obj_new();
            json_set(f, "bytes", json_int_new((int64_t)size));
            json_set(f, "sha256", json_str_new(str_of(hex)));
            json_set(j, kept_file[i], f);
        }
        free(path);
    }
    if (rc) {
        json_free(j);
        return rc;
    }
    return write_json(dir, "manifest.json", j, e);
}

static int check_manifest(const char *dir, Err *e)
{
    Json *j = NULL;
    char *path = path_join(dir, "manifest.json");
    int   rc = json_read_file(&j, path, e);
    for (size_t i = 0; i < ARRAY_LEN(kept_file) && !rc; i++) {
        char  hex[SHA256_HEX], *file = path_join(dir, kept_file[i]);
        if (!(rc = sha256_file(file, hex, e)) && !str_eqz(json_str(json_get(json_get(j, kept_file[i]), "sha256")), hex))
            rc = err_set(e, ERR_INPUT, "%s: its SHA-256 is not the one in manifest.json", file);
        free(file);
    }
    json_free(j);
    free(path);
    return rc;
}

static bool is_step_name(const char *name, int64_t *step)
{
    int       used = 0;
    long long v = 0;
    if (sscanf(name, "step-%lld%n", &v, &used) != 1 || name[used] || v < 0)
        return false;
    *step = v;
    return true;
}

static int not_saved(const Ckpt *c, Err *e)
{
    return err_wrap(e, "the checkpoint of step %lld was not saved", (long long)c->step);
}

/* After the checkpoint of step `newest`: keeps the newest ones. Later steps are of a past that was damaged and is being gone through again;
 * unfinished folders are of saves that were killed. The run's lock is held, so nobody else writes here. */
static void prune(const char *dir, int64_t newest, int64_t keep)
{
    FileList l = { 0 };
    int64_t  step, n = 0;
    if (file_list(&l, dir, NULL) == 0) {
        for (size_t i = l.n; i-- > 0;) { /* names sort by step, newest last */
            if (is_step_name(l.name[i], &step) ? step <= newest && n++ < keep : !strstr(l.name[i], ".tmp-"))
                continue;
            char *path = path_join(dir, l.name[i]);
            dir_remove(path, NULL);
            free(path);
        }
        file_list_release(&l);
    }
}

int ckpt_begin(Ckpt *c, const char *run, const Optimizer *o, const RunState *s, Err *e)
{
    char  name[64], *dir = path_join(run, "checkpoints");
    snprintf(name, sizeof name, "step-%09lld", (long long)s->step);
    *c = (Ckpt){ .step = s->step, .path = path_join(dir, name) };
    int rc = dir_make(dir, e);
    if (rc || (rc = folder_begin(&c->tmp, c->path, e)) || (rc = write_tensors(c->tmp, o, e)) || (rc = write_state(c->tmp, s, e)))
        rc = not_saved(c, e);
    free(dir);
    return rc;
}

int ckpt_commit(Ckpt *c, int64_t keep, Err *e)
{
    int rc;
    if ((rc = write_manifest(c->tmp, e)) || (rc = folder_commit(&c->tmp, c->path, e)))
        return not_saved(c, e);
    char *dir = mem_strndup(c->path, (size_t)(path_base(c->path) - c->path));
    prune(dir, c->step, keep);
    free(dir);
    return 0;
}

void ckpt_close(Ckpt *c)
{
    folder_abort(&c->tmp);
    free(c->path);
    *c = (Ckpt){ 0 };
}

int ckpt_load(const char *run, Optimizer *o, RunState *s, bool *found, Err *e)
{
    FileList l = { 0 };
    char    *dir = path_join(run, "checkpoints");
    int      rc = 0;
    *found = false;
    if (file_is_dir(dir))
        rc = file_list(&l, dir, e);
    for (size_t i = l.n; i-- > 0 && !rc && !*found;) {
        int64_t step;
        Err     why = { 0 };
        if (!is_step_name(l.name[i], &step))
            continue;
        char *path = path_join(dir, l.name[i]);
        if (check_manifest(path, &why) || read_state(path, s, &why))
            log_warn("train", "passing over a damaged checkpoint: %s", why.text);
        else if (!(rc = read_tensors(path, o, e)))
            *found = true;
        free(path);
    }
    if (!rc && l.n && !*found)
        log_warn("train", "%s: no checkpoint is whole, so the run starts again from the beginning", dir);
    file_list_release(&l);
    free(dir);
    return rc;
}
