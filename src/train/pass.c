/* pass.c - see pass.h. Moves a host micro-batch to the backend, runs the pass, brings the log-probabilities back. */
#include "train/pass.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

void pass_open(PassCtx *p, const Model *m, const Adapter *a)
{
    *p = (PassCtx){ .model = m, .adapter = a, .spill = { .fd = -1 } };
    tarena_init(&p->scratch, m->be);
}

int pass_spill_memory(PassCtx *p, uint64_t nbytes, Err *e)
{
    Backend  *be = p->model->be;
    const int rc = spill_open_memory(&p->spill, nbytes, e);
    if (!rc && be->pin && p->spill.mem)
        be->pin(be, p->spill.mem, (size_t)nbytes);
    return rc;
}

void pass_close(PassCtx *p)
{
    if (p->model)
        tarena_release(&p->scratch);
    if (p->model && p->model->be->unpin && p->spill.mem)
        p->model->be->unpin(p->model->be, p->spill.mem);
    microbatch_release(&p->batch);
    free(p->logp);
    spill_close(&p->spill);
    *p = (PassCtx){ 0 };
}

static Tensor *put(PassCtx *p, DType t, const void *src, int64_t n)
{
    Tensor *x = tarena_tensor(&p->scratch, NULL, t, 1, &n);
    if (x)
        p->model->be->upload(p->model->be, x->data, src, (size_t)n * dtype_size(t));
    return x;
}

/* One micro-batch; coef NULL: no gradient. */
static int run(PassCtx *p, const DataSet *d, const int64_t *examples, int64_t n, int64_t total_trained, ActivationPolicy policy, bool train,
               double *nll, Err *e)
{
    const Model *m = p->model;
    MicroBatch  *b = &p->batch;
    Tensor      *logp = NULL;
    int          rc;
    microbatch_fill(b, d, examples, n);
    if (p->cap < b->n_rows) {
        p->cap = b->n_rows;
        p->logp = mem_realloc(p->logp, (size_t)p->cap, sizeof *p->logp);
    }
    TArenaMark mark = tarena_mark(&p->scratch);
    Tensor    *ids = put(p, DT_I32, b->ids, b->n_tokens), *pos = put(p, DT_I32, b->pos, b->n_tokens);
    Tensor    *row = put(p, DT_I32, b->row, b->n_rows), *target = put(p, DT_I32, b->target, b->n_rows), *coef = NULL;
    if (train) {
        for (int32_t i = 0; i < b->n_rows; i++)
            p->logp[i] = (float)(-1.0 / (double)total_trained);
        coef = put(p, DT_F32, p->logp, b->n_rows);
    }
    if (tarena_failed(&p->scratch, e))
        return e->code;
    Step s;
    step_init(&s, m, &p->scratch, ids, pos, b->n_seg, b->seg_start, b->seg_len);
    s.adapter = p->adapter;
    s.spill = &p->spill;
    if (train && m->cfg.experts) {
        p->route = (RouteStats){ .coef = (float)(p->aux_coef * b->n_rows / (double)total_trained) };
        s.route = &p->route;
    }
    m->be->compute = train ? p->compute : COMPUTE_F32;
    rc = train ? model_train_pass(m, &p->scratch, &s, row, target, coef, policy, &logp, e)
               : model_logp(m, &p->scratch, &s, row, target, &logp, e);
    m->be->compute = COMPUTE_F32;
    if (!rc) {
        m->be->download(m->be, p->logp, logp->data, (size_t)b->n_rows * sizeof *p->logp);
        rc = m->be->sync(m->be, e);
        for (int32_t i = 0; i < b->n_rows && !rc; i++)
            *nll -= (double)p->logp[i];
    }
    tarena_rewind(&p->scratch, mark);
    return rc;
}

int pass_train(PassCtx *p, const DataSet *d, const int64_t *examples, int64_t n, int64_t total_trained, ActivationPolicy policy, double *nll,
               double *balance, Err *e)
{
    int rc = run(p, d, examples, n, total_trained, policy, true, nll, e);
    if (!rc && p->model->cfg.experts)
        *balance += route_aux(&p->route) * (double)p->batch.n_rows / (double)total_trained;
    return rc;
}

int pass_eval(PassCtx *p, const DataSet *d, const int64_t *examples, int64_t n, double *nll, Err *e)
{
    return run(p, d, examples, n, 1, KEEP_ALL, false, nll, e);
}

int pass_eval_set(PassCtx *p, const DataSet *d, int64_t capacity, EvalResult *r, Err *e)
{
    PackPlan plan;
    double   nll = 0;
    int      rc = 0;
    *r = (EvalResult){ .examples = (int64_t)d->n };
    pack_plan(&plan, d, capacity, true, false, 0, 0);
    for (int64_t b = 0; b < plan.n_bins && !rc; b++) {
        rc = pass_eval(p, d, plan.item + plan.first[b], plan.first[b + 1] - plan.first[b], &nll, e);
        r->tokens += p->batch.n_rows;
    }
    pack_plan_release(&plan);
    r->loss = r->tokens ? nll / (double)r->tokens : 0;
    r->perplexity = exp(r->loss);
    return rc;
}
