/* sample.c - see sample.h. Each rule shortens or reweighs the list of candidates; at least one always stays. */
#include "infer/sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

void sampler_init(Sampler *s, int32_t vocab)
{
    const size_t n = (size_t)vocab;
    *s = (Sampler){ .vocab = vocab, .cand = mem_zalloc(n, sizeof *s->cand), .work = mem_zalloc(n, sizeof *s->work), .seen = mem_zalloc(n, 1) };
}

void sampler_release(Sampler *s)
{
    free(s->cand);
    free(s->work);
    free(s->seen);
    *s = (Sampler){ 0 };
}

void sampler_forget(Sampler *s)
{
    memset(s->seen, 0, (size_t)s->vocab);
}

void sampler_see(Sampler *s, int32_t id)
{
    BUG_ON(id < 0 || id >= s->vocab);
    s->seen[id] = 1;
}

static bool is_on(double rule) /* top_p and repetition_penalty: 0 and 1 both say "off" */
{
    return rule > 0 && rule != 1;
}

static int take_all(Sampler *s, const float *logits, double penalty, Err *e)
{
    s->n_cand = s->vocab;
    for (int32_t i = 0; i < s->vocab; i++) {
        double score = (double)logits[i];
        if (!isfinite(score))
            return err_set(e, ERR_WORK, "the model gave token %d a logit that is not a finite number; its weights or the adapter are damaged, or the "
                                        "training that made them had diverged", i);
        if (s->seen[i] && is_on(penalty))
            score = score < 0 ? score * penalty : score / penalty;
        s->cand[i] = (Candidate){ .id = i, .score = score };
    }
    return 0;
}

static Candidate likeliest(const Sampler *s)
{
    Candidate best = s->cand[0];
    for (int32_t i = 1; i < s->n_cand; i++)
        if (s->cand[i].score > best.score)
            best = s->cand[i];
    return best;
}

/* The k-th largest of v[0..n), k from 1 (Hoare's quickselect); reorders v. */
static double kth_largest(double *v, int64_t n, int64_t k)
{
    int64_t lo = 0, hi = n - 1;
    while (lo < hi) {
        const double pivot = v[lo + (hi - lo) / 2];
        int64_t      i = lo, j = hi;
        while (i <= j) {
            while (v[i] > pivot)
                i++;
            while (v[j] < pivot)
                j--;
            if (i <= j) {
                const double t = v[i];
                v[i++] = v[j];
                v[j--] = t;
            }
        }
        if (k - 1 <= j)
            hi = j;
        else if (k - 1 >= i)
            lo = i;
        else
            break;
    }
    return v[k - 1];
}

static void keep_top_k(Sampler *s, int64_t k)
{
    int32_t kept = 0;
    if (k <= 0 || k >= s->n_cand)
        return;
    for (int32_t i = 0; i < s->n_cand; i++)
        s->work[i] = s->cand[i].score;
    const double least = kth_largest(s->work, s->n_cand, k);
    for (int32_t i = 0; i < s->n_cand; i++)
        if (s->cand[i].score >= least)
            s->cand[kept++] = s->cand[i];
    s->n_cand = kept;
}

static void softmax(Sampler *s, double temperature)
{
    const double top = likeliest(s).score;
    double       sum = 0;
    for (int32_t i = 0; i < s->n_cand; i++)
        sum += s->cand[i].p = exp((s->cand[i].score - top) / temperature); /* the difference first: a tiny temperature must not overflow */
    for (int32_t i = 0; i < s->n_cand; i++)
        s->cand[i].p /= sum;
}

static int by_probability(const void *a, const void *b)
{
    const Candidate *x = a, *y = b;
    return x->p != y->p ? (x->p < y->p) - (x->p > y->p) : (x->id > y->id) - (x->id < y->id);
}

static void keep_top_p(Sampler *s, double top_p)
{
    /* A token of at most (1 - p) / n cannot be kept, since all such tokens together hold no more than 1 - p: they need not be sorted. */
    const double floor = (1 - top_p) / s->n_cand;
    const double top = likeliest(s).score;
    double       above = 0;
    int32_t      n = 0, kept = 0;
    for (int32_t i = 0; i < s->n_cand; i++)
        if (s->cand[i].p > floor || s->cand[i].score == top)
            s->cand[n++] = s->cand[i];
    qsort(s->cand, (size_t)n, sizeof *s->cand, by_probability);
    for (; kept < n && (!kept || above < top_p); kept++)
        above += s->cand[kept].p;
    s->n_cand = kept;
}

static void keep_min_p(Sampler *s, double min_p)
{
    double  top = 0;
    int32_t kept = 0;
    for (int32_t i = 0; i < s->n_cand; i++)
        top = MAX(top, s->cand[i].p);
    for (int32_t i = 0; i < s->n_cand; i++)
        if (s->cand[i].p >= MIN(min_p, 1) * top)
            s->cand[kept++] = s->cand[i];
    s->n_cand = kept;
}

int sampler_weigh(Sampler *s, const float *logits, const SampleOptions *o, Err *e)
{
    int rc = take_all(s, logits, o->repetition_penalty, e);
    if (rc)
        return rc;
    if (!(o->temperature > 0)) {
        s->cand[0] = likeliest(s);
        s->cand[0].p = 1;
        s->n_cand = 1;
        return 0;
    }
    keep_top_k(s, o->top_k);
    softmax(s, o->temperature);
    if (is_on(o->top_p))
        keep_top_p(s, o->top_p);
    if (o->min_p > 0)
        keep_min_p(s, o->min_p);
    double sum = 0;
    for (int32_t i = 0; i < s->n_cand; i++)
        sum += s->cand[i].p;
    for (int32_t i = 0; i < s->n_cand; i++)
        s->cand[i].p /= sum;
    return 0;
}

int sampler_pick(Sampler *s, const float *logits, const SampleOptions *o, uint64_t sequence, uint64_t step, int32_t *id, Err *e)
{
    int rc = sampler_weigh(s, logits, o, e);
    if (rc)
        return rc;
    Rng     r = rng_at(o->seed, RNG_SAMPLE, sequence, 2 * step); /* a unit takes two draws */
    double  left = rng_unit(&r);
    int32_t i = 0;
    while (i + 1 < s->n_cand && left >= s->cand[i].p)
        left -= s->cand[i++].p;
    *id = s->cand[i].id;
    return 0;
}
