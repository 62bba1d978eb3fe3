/* plan_time.c - see plan.h: how long a run will take. Real micro-batches of the run go through the real model on the real backend, all its layers or,
 * where that would take long, a few of them; what they took, divided by the work in them, times the work of the whole run.
 * Work is counted in multiplications of one forward pass, so that micro-batches of other sizes and compositions can be told from those measured.
 * Nothing measured here leaves a trace: gradients are zeroed before every step, moments and weights are not touched. */
#include "train/plan.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/machine.h"
#include "base/mem.h"
#include "train/ckpt.h"
#include "train/identity.h"
#include "train/run.h"

#define LEAST_SECONDS 0.7   /* measuring may take this long, or this share of the run, but never longer than the most */
#define SHARE         0.015
#define MOST_SECONDS  20.0
#define BINS_MOST     24    /* micro-batches measured */
#define TURNS         3     /* of what is too short to be trusted once */
#define DECODED       16    /* tokens */
#define FILE_SAMPLE   ((int64_t)32 << 20) /* bytes with which the disk is tried as a place for block inputs */
#define WRITTEN       ((size_t)32 << 20) /* bytes, at most, with which writing is tried */
#define PIECE         ((size_t)1 << 20)  /* of them in memory at a time: measuring must not be what takes the most */
#define SAVE_FLUSHES  15    /* fsyncs of a checkpoint with its three journals, and of writing what is best so far (strace -e fsync) */
#define BEST_FLUSHES  8
#define ATTN_COST     2.0   /* a multiplication of attention takes so many times as long as one of a large product */

/* --- work -------------------------------------------------------------------------------------------------------------------------------------- */

typedef struct Work { double block, head, tokens; } Work; /* multiplications of one forward pass */

static double linear_work(const TrainRun *r)
{
    const Model *m = r->model;
    double       all = (double)model_active_count(m) - (double)tensor_numel(m->embed) - (m->cfg.tied ? 0 : (double)tensor_numel(m->head_w));
    return all + (r->adapter ? (double)r->opt.n_values * (double)model_active_count(m) / (double)model_param_count(m) : 0);
}

/* Keys that n tokens of one text meet in all layers. */
static double pairs_of(const Model *m, double n)
{
    const double all = n * (n + 1) / 2, w = (double)m->cfg.window, within = w > 0 && w < n ? all - (n - w) * (n - w + 1) / 2 : all;
    double       sum = 0;
    for (int64_t i = 0; i < m->cfg.layers; i++)
        sum += m->cfg.layer[i] & LAYER_WINDOW ? within : all;
    return sum;
}

static Work work_of(const TrainRun *r, const DataSet *d, const int64_t *example, int64_t n)
{
    const Model *m = r->model;
    Work         w = { 0 };
    const double linear = linear_work(r);
    for (int64_t i = 0; i < n; i++) {
        const Example *x = &d->ex[example ? example[i] : i];
        w.block += x->n * linear + 2 * ATTN_COST * (double)(m->cfg.heads * m->cfg.head_dim) * pairs_of(m, x->n);
        w.head += x->n_train * (double)tensor_numel(m->head_w);
        w.tokens += x->n;
    }
    return w;
}

/* --- measuring ---------------------------------------------------------------------------------------------------------------------------------- */

/* Seconds of one pass over examples through `layers` blocks; negative: the pass failed. */
static double pass_seconds(TrainRun *r, int layers, const DataSet *d, const int64_t *example, int64_t n, bool train, ActivationPolicy policy)
{
    const double started = clock_seconds();
    Model        m = model_slice(r->model, 0, layers);
    PassCtx     *p = &r->pass;
    double       ignored = 0;
    Err          e = { 0 };
    p->model = &m;
    int rc = train ? pass_train(p, d, example, n, n, policy, &ignored, &ignored, &e) : pass_eval(p, d, example, n, &ignored, &e);
    p->model = r->model;
    return rc ? -1 : clock_seconds() - started;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The middle one; sorts them. What is measured in a moment and multiplied by a whole run must not hang on what else the machine did in that moment. */
static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, compare);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* What blocks and head take per unit of work, over the micro-batches of a plan. `deep` layers of all are run, and one alone, which tells the head from
 * the blocks. */
static void rate_passes(TrainRun *r, const DataSet *d, const PackPlan *p, bool train, ActivationPolicy policy, double budget, double *block, double *head,
                        int *deep)
{
    const int    layers = (int)r->model->cfg.layers;
    const double began = clock_seconds();
    double       block_rate[BINS_MOST], head_rate[BINS_MOST];
    int          n_rates = 0;
    for (int64_t k = 0, most = MIN(p->n_bins, BINS_MOST); k < most && (k == 0 || clock_seconds() - began < budget * (double)k / (double)(k + 1)); k++) {
        const int64_t  b = k * p->n_bins / most, *example = p->item + p->first[b], n = p->first[b + 1] - p->first[b];
        double         one = pass_seconds(r, 1, d, example, n, train, policy);
        if (k == 0) { /* the first one came to cold caches */
            const double cold = one;
            one = pass_seconds(r, 1, d, example, n, train, policy);
            *deep = (int)MAX(MIN(layers, 2), MIN((double)layers, budget / 3 / MAX(MIN(one, cold), 1e-6)));
        }
        const double some = pass_seconds(r, *deep, d, example, n, train, policy);
        const Work   w = work_of(r, d, example, n);
        const double in_blocks = *deep > 1 ? (some - one) / (*deep - 1) * layers : some * w.block / (w.block + w.head);
        const double whole = *deep == layers ? some : MAX(one - in_blocks / layers, 0) + in_blocks;
        block_rate[n_rates] = MIN(MAX(in_blocks, 0), whole) / MAX(w.block, 1);
        head_rate[n_rates++] = (whole - MIN(MAX(in_blocks, 0), whole)) / MAX(w.head, 1);
    }
    *block = median(block_rate, n_rates);
    *head = median(head_rate, n_rates);
}

/* Seconds of what stands around the passes of a step. A device does what it is asked later: before the clock is read it must have done it. */
static int optimizer_seconds(TrainRun *r, double *out, Err *e)
{
    Optimizer    *o = &r->opt;
    const int64_t n = MIN(o->n_values, (int64_t)(r->plan.pass / sizeof(float) / 4) & ~255);
    double        seconds[TURNS], norm = 0;
    TArenaMark    mark = tarena_mark(&r->pass.scratch);
    Tensor       *t[4];
    int           rc = 0;
    for (int i = 0; i < 4; i++) { /* not the run's own: an update would change them */
        t[i] = tarena_tensor(&r->pass.scratch, NULL, DT_F32, 1, &n);
        if (t[i])
            r->be->fill(r->be, t[i], 0);
        if (t[i] && i > 1 && r->cfg.optim == OPTIM_ADAMW_8BIT)
            t[i]->dtype = i == 2 ? DT_DYN8 : DT_UDYN8; /* smaller, and zeros as well */
    }
    for (int turn = 0; turn < TURNS; turn++) {
        double started = clock_seconds();
        optimizer_zero_grad(o);
        norm = optimizer_grad_norm(o);
        seconds[turn] = clock_seconds() - started;
        if (n > 0 && t[3]) {
            const AdamW a = { .lr = (float)norm, .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f, .step = 1 };
            rc = rc ? rc : r->be->sync(r->be, e);
            started = clock_seconds();
            r->be->adamw(r->be, t[0], t[1], t[2], t[3], &a, 1);
            rc = rc ? rc : r->be->sync(r->be, e);
            seconds[turn] += (clock_seconds() - started) * (double)o->n_values / (double)n;
        }
    }
    rc = rc ? rc : r->be->sync(r->be, e);
    const double started = clock_seconds();
    optimizer_turn(o);
    rc = rc ? rc : r->be->sync(r->be, e);
    const double paging = clock_seconds() - started;
    tarena_rewind(&r->pass.scratch, mark);
    *out = MAX(median(seconds, TURNS), paging);
    return rc;
}

/* Seconds of one token decoded with a cache, through `layers` blocks; 0: there is no example of three tokens. */
static double decode_seconds(TrainRun *r, const DataSet *d, int layers)
{
    Model    m = model_slice(r->model, 0, layers);
    PassCtx *p = &r->pass;
    double   seconds[DECODED];
    int64_t  i = 0;
    while (i + 1 < (int64_t)d->n && d->ex[i].n <= DECODED)
        i++;
    const int32_t n = MIN(d->ex[i].n - 1, DECODED);
    p->model = &m;
    const int rc = identity_time(p, d, i, n, seconds, NULL);
    p->model = r->model;
    return rc || n < 2 ? 0 : median(seconds + 1, n - 1); /* the first comes to cold caches */
}

/* Seconds until n bytes of a new file, in pieces of at most PIECE, are on the disk; 0: no file can be made there. */
static double durable_seconds(const char *dir, const char *piece, size_t n)
{
    const int    fd = open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    const double started = clock_seconds();
    bool         done = fd >= 0;
    for (size_t at = 0; at < n && done; at += PIECE)
        done = write(fd, piece, MIN(PIECE, n - at)) == (ssize_t)MIN(PIECE, n - at);
    done = done && fsync(fd) == 0;
    const double seconds = clock_seconds() - started;
    if (fd >= 0)
        close(fd);
    return done ? seconds : 0;
}

/* A byte hashed, and, where the run will write, a flush and a byte written: a small file is all flush, so its time is taken off that of a large one. */
static void rate_disk(const TrainRun *r, PlanRates *rate, size_t expected)
{
    const size_t n = MAX(MIN(expected, WRITTEN), PIECE);
    char        *buf = mem_alloc(PIECE), hex[SHA256_HEX], *dir = path_absolute(r->cfg.out);
    double       hash[TURNS], flush[TURNS];
    Sha256       h;
    while (!file_is_dir(dir) && strrchr(dir, '/') > dir)
        *strrchr(dir, '/') = '\0';
    const char *where = file_is_dir(dir) ? dir : ".";
    memset(buf, 1, PIECE);
    for (int turn = 0; turn < TURNS; turn++) {
        const double started = clock_seconds();
        sha256_init(&h);
        sha256_add(&h, buf, PIECE);
        sha256_hex(&h, hex);
        hash[turn] = (clock_seconds() - started) / (double)PIECE;
        flush[turn] = durable_seconds(where, buf, 4096);
    }
    rate->hash = median(hash, TURNS);
    rate->flush = median(flush, TURNS);
    rate->write = MAX(durable_seconds(where, buf, n) - rate->flush, 0) / (double)n;
    free(dir);
    free(buf);
}

/* --- summing up ---------------------------------------------------------------------------------------------------------------------------------- */

static int64_t multiples(int64_t every, int64_t n) { return every > 0 ? n / every : 0; }

/* Steps after which something is done that is done at every `a`-th and `b`-th step (0: not) and at the last. */
static int64_t times_done(int64_t a, int64_t b, int64_t n)
{
    int64_t both = a, rest = b;
    while (rest) {
        const int64_t next = both % rest;
        both = rest;
        rest = next;
    }
    const int64_t hit = multiples(a, n) + multiples(b, n) - (a && b ? multiples(a / both * b, n) : 0);
    return hit + !((a && n % a == 0) || (b && n % b == 0));
}

static double answers_seconds(const TrainRun *r, const PlanRates *rate, bool first)
{
    double sum = 0;
    for (size_t i = 0; r->held_out && i < MIN((size_t)r->cfg.samples, r->held_out->n); i++) {
        const Example *x = &r->held_out->ex[i];
        const int32_t  n = train_prompt_length(r, x);
        const double   most = (double)MIN(r->cfg.sample_tokens, r->model->cfg.max_positions - n), asked = MIN((double)(x->n - n), most);
        /* Before training answers run to their limit; later they end somewhere between there and the length they were taught. */
        const double tokens = first || r->cfg.objective == GOAL_TEXT ? most : (most + asked) / 2;
        sum += (double)n / x->n * work_of(r, r->held_out, &(int64_t){ (int64_t)i }, 1).block * rate->eval_block + tokens * rate->decode;
    }
    return sum;
}

static double train_seconds(const TrainRun *r, const Work *w, double epochs, Compute c)
{
    const PlanRates *rate = r->plan.rates;
    return epochs * (w->block * rate->block[c] + w->head * rate->head[c]) + (double)r->total_steps * rate->step;
}

double plan_wait(double inputs, size_t room, size_t unwritten, const PlanRates *rate, double forward, double back)
{
    const double put = MAX(inputs - (double)unwritten, 0) * rate->put - forward, get = MAX(inputs - (double)room, 0) * rate->get - back;
    return (put > 0 ? put : 0) + (get > 0 ? get : 0); /* not measured: NaN, which is not more */
}

/* Of training over micro-batches of so many tokens that computes for so many seconds: how long it waits for the disk besides. Blocks run once before the way
 * back; on it once more, and back, which costs as much as once or, where all weights are trained, twice. */
static double disk_wait(const TrainRun *r, double batches, double tokens, double compute_seconds, bool full)
{
    const size_t room = memory_free();
    const double one = compute_seconds / MAX(batches, 1), forward = one / (full ? 4 : 3);
    return batches * plan_wait((double)model_spill_bytes(r->model, (int64_t)tokens), room, memory_unwritten(room), r->plan.rates, forward, one - forward);
}

static void sum_up(TrainRun *r, const PackPlan *epoch)
{
    TrainPlan       *p = &r->plan;
    const PlanRates *rate = p->rates;
    const Work       w = work_of(r, r->train, NULL, (int64_t)r->train->n);
    const double     epochs = (double)r->total_steps / (double)train_steps_of(r, epoch);
    const int64_t    n = r->total_steps, evals = r->held_out ? 1 + times_done(r->cfg.eval_every, 0, n) : 0;
    const int64_t    saves = 1 + times_done(r->cfg.eval_every, r->cfg.save_every, n);
    const double     best = r->adapter ? 4 * (double)r->opt.n_values : (double)(model_param_count(r->model) * (int64_t)dtype_size(r->model->file_dtype));
    p->train_seconds = train_seconds(r, &w, epochs, r->pass.compute);
    const double batches = epochs * (double)epoch->n_bins;
    p->wait_seconds = p->file ? disk_wait(r, batches, epochs * w.tokens / MAX(batches, 1), p->train_seconds, r->cfg.method == METHOD_FULL) : 0;
    p->train_seconds += p->wait_seconds;
    if (evals) {
        const Work e = work_of(r, r->held_out, NULL, (int64_t)r->held_out->n);
        p->eval_seconds = (double)evals * (e.block * rate->eval_block + e.head * rate->eval_head);
        p->sample_seconds = answers_seconds(r, rate, true) + (double)(evals - 1) * answers_seconds(r, rate, false);
    }
    const DataSet *d = r->held_out ? r->held_out : r->train;
    p->eval_seconds += MIN(d->ex[0].n, IDENTITY_TOKENS) * rate->decode;
    p->save_seconds = train_base_bytes(r->cfg.model) * rate->hash +
                      (double)saves * (SAVE_FLUSHES * rate->flush + (double)ckpt_bytes(&r->opt) * (rate->hash + rate->write)) +
                      (double)MAX(evals, 1) * (BEST_FLUSHES * rate->flush + best * rate->write);
    p->tokens_per_second = epochs * w.tokens / MAX(p->train_seconds, 1e-9);
    p->seconds = p->open_seconds + p->train_seconds + p->eval_seconds + p->sample_seconds + p->save_seconds;
}

/* Of the card, where it says so, else of the processors. */
static double joules_now(TrainRun *r)
{
    NvmlState s;
    nvml_read(r->card, &s);
    return isfinite(s.joules) ? s.joules : energy_joules();
}

int plan_time(TrainRun *r, Err *e)
{
    TrainPlan             *p = &r->plan;
    const ActivationPolicy policy = train_policy(r->cfg.activations);
    const int              layers = (int)r->model->cfg.layers;
    PackPlan               epoch, eval;
    int                    deep = 1;
    const double joules = joules_now(r), began = clock_seconds();
    train_plan_epoch(r, &epoch, 0);
    free(p->rates);
    PlanRates *rate = p->rates = mem_zalloc(1, sizeof *rate);
    /* From one layer of one micro-batch to the order of magnitude of the whole, which says how long measuring may take. */
    const double bins = (double)r->total_steps * (double)train_bins_per_step(r);
    const double one = pass_seconds(r, 1, r->train, epoch.item, epoch.first[1], true, policy);
    const double budget = MIN(MAX(LEAST_SECONDS, SHARE * MAX(one, 0) * layers * bins), MOST_SECONDS);
    rate_passes(r, r->train, &epoch, true, policy, budget * 0.6, &rate->block[r->pass.compute], &rate->head[r->pass.compute], &deep);
    if (r->held_out) {
        pack_plan(&eval, r->held_out, r->cfg.micro_tokens, true, false, 0, 0);
        rate_passes(r, r->held_out, &eval, false, policy, budget * 0.2, &rate->eval_block, &rate->eval_head, &deep);
        pack_plan_release(&eval);
    }
    int rc = optimizer_seconds(r, &rate->step, e);
    const DataSet *d = r->held_out ? r->held_out : r->train;
    const double   first = decode_seconds(r, d, 1), some = deep > 1 ? decode_seconds(r, d, deep) : first;
    rate->decode = deep > 1 ? first + MAX(some - first, 0) / (deep - 1) * (layers - 1) : first;
    rate_disk(r, rate, ckpt_bytes(&r->opt));
    if (p->file)
        plan_rate_file(r, p->file);
    p->open_seconds = clock_seconds() - r->opened_at;
    sum_up(r, &epoch);
    p->joules = (joules_now(r) - joules) / (clock_seconds() - began) * p->seconds;
    p->timed = true;
    pack_plan_release(&epoch);
    return rc ? rc : r->be->sync(r->be, e);
}

void plan_rate(TrainRun *r, Compute c)
{
    const Compute own = r->pass.compute;
    PackPlan      epoch;
    int           deep;
    train_plan_epoch(r, &epoch, 0);
    r->pass.compute = c;
    rate_passes(r, r->train, &epoch, true, train_policy(r->cfg.activations), LEAST_SECONDS, &r->plan.rates->block[c], &r->plan.rates->head[c], &deep);
    r->pass.compute = own;
    pack_plan_release(&epoch);
}

void plan_rate_file(TrainRun *r, int64_t file)
{
    const size_t n = (size_t)MAX(MIN(file, FILE_SAMPLE), 1);
    spill_measure(r->cfg.out, n, &r->plan.rates->put, &r->plan.rates->get);
    r->plan.rates->put /= (double)n;
    r->plan.rates->get /= (double)n;
}

/* The training seconds of another way, told from those measured; other micro-tokens are taken to cost the same. Blocks computed twice cost one forward pass more; gradients of all weights one product more for each linear. */
double plan_way_seconds(const TrainRun *r, bool full, int activations, Compute c, int64_t micro)
{
    const TrainPlan *p = &r->plan;
    const bool       is_full = r->cfg.method == METHOD_FULL, checkpoint = activations != ACTIVATIONS_KEEP, is_checkpoint = r->cfg.activations != ACTIVATIONS_KEEP;
    if (!p->timed)
        return NAN;
    const Work   w = work_of(r, r->train, NULL, (int64_t)r->train->n);
    const bool   as_eval = p->rates->eval_block > 0 && c == COMPUTE_F32;
    const double forward = as_eval ? p->rates->eval_block : p->rates->block[c] / (3 + is_checkpoint);
    const double epochs = p->tokens_per_second * p->train_seconds / w.tokens;
    const double seconds = train_seconds(r, &w, epochs, c) + epochs * forward * w.block * ((int)checkpoint - (int)is_checkpoint + (int)full - (int)is_full);
    const double tokens = r->cfg.packing ? (double)micro * (1 - r->pad_share) : w.tokens / (double)r->train->n;
    return seconds + (train_policy(activations) == SPILL_INPUTS ? disk_wait(r, epochs * w.tokens / tokens, tokens, seconds, full) : 0);
}
