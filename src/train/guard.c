/* guard.c - see guard.h. */
#include "train/guard.h"

#include <math.h>

#define WEIGHT_RMS_MAX 1e4 /* weights of a working model are of the order of one; norms can hide an explosion from the loss */
#define ADVICE "try a lower lr (now %g) or more warm-up, with another --out; the checkpoints before this step are kept"

static double limit(const TrainRun *r)
{
    return 10 * log((double)r->model->cfg.vocab);
}

int guard_step(const TrainRun *r, const TrainProgress *p, Err *e)
{
    const long long step = (long long)p->step;
    if (!isfinite(p->loss))
        return err_set(e, ERR_WORK, "step %lld: the loss is not a number; " ADVICE, step, r->cfg.lr);
    if (p->loss > limit(r))
        return err_set(e, ERR_WORK, "step %lld: the loss is %.4g, a guess would give %.3g: training has diverged; " ADVICE, step, p->loss,
                       log((double)r->model->cfg.vocab), r->cfg.lr);
    if (!isfinite(p->grad_norm))
        return err_set(e, ERR_WORK, "step %lld: the gradient is not a number; " ADVICE, step, r->cfg.lr);
    if (p->step == 1 && p->grad_norm == 0)
        return err_set(e, ERR_WORK, "step 1: every gradient is zero, so nothing would be learnt; is every row of the data answered perfectly already?");
    return 0;
}

int guard_eval(const TrainRun *r, const TrainProgress *p, Err *e)
{
    if (isfinite(p->eval_loss) && p->eval_loss <= limit(r))
        return 0;
    if (p->step == 0)
        return err_set(e, ERR_INPUT, "%s: the base model's held-out loss is %.4g, a guess would give %.3g; do the model and its tokenizer belong together?",
                       r->cfg.model, p->eval_loss, log((double)r->model->cfg.vocab));
    return err_set(e, ERR_WORK, "step %lld: the held-out loss is %.4g: training has diverged; " ADVICE, (long long)p->step, p->eval_loss, r->cfg.lr);
}

int guard_weights(const TrainRun *r, Err *e)
{
    const double rms = optimizer_weight_norm(&r->opt) / sqrt((double)r->opt.n_values);
    if (rms < WEIGHT_RMS_MAX)
        return 0;
    return err_set(e, ERR_WORK, "step %lld: the trained weights have grown to %.3g on average: training has diverged; " ADVICE, (long long)r->state.step,
                   rms, r->cfg.lr);
}
