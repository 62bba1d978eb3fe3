/* saving.c - see saving.h. */
#include "train/saving.h"

#include <stdlib.h>

#include "base/file.h"

static int write_best(const SaveJob *j, const char *dir, Err *e)
{
    if (!j->adapter)
        return model_write(j->model, NULL, dir, &(SaveOptions){ .dtype = j->model->file_dtype }, e);
    model_fingerprint(j->model, j->adapter->trained_on);
    return adapter_write(j->adapter, j->model, dir, e);
}

static void tell_read(Saving *s)
{
    pthread_mutex_lock(&s->lock);
    s->read = true;
    pthread_cond_signal(&s->is_read);
    pthread_mutex_unlock(&s->lock);
}

/* All that training changes, into files without a name. */
static int read_all(Saving *s, Err *e)
{
    const SaveJob *j = &s->job;
    Backend       *be = j->model->be;
    int            rc = 0;
    s->best = path_join(j->run, j->adapter ? "adapter" : "model");
    if (j->best && !(rc = folder_begin(&s->tmp, s->best, e)))
        rc = write_best(j, s->tmp, e);
    if (!rc && j->opt)
        rc = ckpt_begin(&s->ckpt, j->run, j->opt, &j->state, e);
    return rc || be->host ? rc : be->sync(be, e); /* numbers of a device that failed on the way are nobody's */
}

/* And their names, when the rest is safe. */
static int name_all(Saving *s, Err *e)
{
    const SaveJob *j = &s->job;
    int            rc = j->settle(j->user, e);
    if (!rc && j->best)
        rc = folder_commit(&s->tmp, s->best, e);
    return !rc && j->opt ? ckpt_commit(&s->ckpt, j->keep, e) : rc;
}

static void save(void *ctx)
{
    Saving *s = ctx;
    int     rc = s->read ? s->rc : read_all(s, &s->err);
    atomic_store(&s->failed, rc != 0);
    tell_read(s);
    if (!rc)
        rc = name_all(s, &s->err);
    folder_abort(&s->tmp);
    ckpt_close(&s->ckpt);
    free(s->best);
    s->best = NULL;
    s->rc = rc;
    atomic_store(&s->failed, rc != 0);
}

void saving_begin(Saving *s, const SaveJob *job)
{
    BUG_ON(s->begun);
    *s = (Saving){ .job = *job, .begun = true };
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->is_read, NULL);
    if (!job->model->be->host) {
        s->rc = read_all(s, &s->err);
        s->read = true;
    }
    s->thread = beside_start(save, s);
}

int saving_let_change(Saving *s, Err *e)
{
    if (!s->begun)
        return 0;
    pthread_mutex_lock(&s->lock);
    while (!s->read)
        pthread_cond_wait(&s->is_read, &s->lock);
    pthread_mutex_unlock(&s->lock);
    return atomic_load(&s->failed) ? saving_end(s, NULL, e) : 0;
}

int saving_end(Saving *s, bool *saved, Err *e)
{
    if (saved)
        *saved = s->begun;
    if (!s->begun)
        return 0;
    beside_join(s->thread);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->is_read);
    s->begun = false;
    if (s->rc && e)
        *e = s->err;
    return s->rc;
}
