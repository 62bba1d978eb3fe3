/* identity.c - see identity.h. */
#include "train/identity.h"

#include <math.h>

#include "base/clock.h"

/* Feeds token t of the example and gives log p of the next one. */
static int decode_one(PassCtx *p, KvCache *kv, const Example *x, int32_t t, int32_t plan, float *logp, Err *e)
{
    static const int32_t zero = 0, one = 1;
    const Model *m = p->model;
    const int32_t nk = t + 1;
    TArenaMark mark = tarena_mark(&p->scratch);
    Tensor *ids = tarena_tensor(&p->scratch, NULL, DT_I32, 1, (int64_t[]){ 1 }), *pos = tarena_tensor(&p->scratch, NULL, DT_I32, 1, (int64_t[]){ 1 });
    Tensor *target = tarena_tensor(&p->scratch, NULL, DT_I32, 1, (int64_t[]){ 1 });
    if (tarena_failed(&p->scratch, e))
        return e->code;
    m->be->upload(m->be, ids->data, &x->ids[t], sizeof(int32_t));
    m->be->upload(m->be, pos->data, &t, sizeof(int32_t));
    m->be->upload(m->be, target->data, &x->ids[t + 1], sizeof(int32_t));
    Step s;
    step_init_cached(&s, m, &p->scratch, ids, pos, 1, &zero, &one, kv, &zero, &nk, &plan);
    s.adapter = p->adapter;
    Tape tape;
    tape_init(&tape, m->be, &p->scratch, false);
    Tensor *out = model_head_logp(&tape, m, p->adapter, model_hidden(&tape, m, &s, NULL), target);
    int rc = tarena_failed(&p->scratch, e) ? e->code : 0;
    if (!rc)
        m->be->download(m->be, logp, out->data, sizeof *logp);
    tape_release(&tape);
    tarena_rewind(&p->scratch, mark);
    return rc ? rc : m->be->sync(m->be, e);
}

int identity_check(PassCtx *p, const DataSet *d, int64_t example, int32_t tokens, double *largest, Err *e)
{
    const Example *x = &d->ex[example];
    const int32_t  n = MIN(x->n, tokens);
    KvCache        kv;
    double         nll = 0;
    int            rc = kv_open(&kv, p->model, 1, n, DT_F32, e);
    *largest = 0;
    if (rc)
        return rc;
    rc = pass_eval(p, d, &example, 1, &nll, e);
    for (int32_t t = 0, row = 0; t + 1 < n && !rc; t++) {
        float served;
        rc = decode_one(p, &kv, x, t, x->n, &served, e);
        if (!rc && row < p->batch.n_rows && p->batch.row[row] == t) {
            const double off = fabs((double)p->logp[row++] - (double)served);
            if (!(off <= *largest)) /* a NaN is the largest of all and stays */
                *largest = isnan(*largest) ? *largest : off;
        }
    }
    kv_close(&kv);
    return rc;
}

int identity_time(PassCtx *p, const DataSet *d, int64_t example, int32_t tokens, double *seconds, Err *e)
{
    const Example *x = &d->ex[example];
    const int32_t  n = MIN(x->n - 1, tokens);
    KvCache        kv;
    int            rc = kv_open(&kv, p->model, 1, MAX(n, 1), DT_F32, e);
    for (int32_t t = 0; t < n && !rc; t++) {
        const double started = clock_seconds();
        float        ignored;
        rc = decode_one(p, &kv, x, t, x->n, &ignored, e);
        seconds[t] = clock_seconds() - started;
    }
    kv_close(&kv);
    return rc;
}
