/* run.c - the training run as a story: open everything, go on from where the folder stands, step, evaluate, save, finish.
 * Invariant: whatever is done after a checkpoint is a function of the checkpoint and the recipe alone, so a run that is killed and started
 * again ends with the same bits. */
#include "train/run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/mem.h"
#include "train/advice.h"
#include "train/guard.h"
#include "train/identity.h"
#include "train/journal.h"
#include "train/report.h"
#include "train/schedule.h"

#define IDENTITY_MAX 1e-2 /* rounding explains about 1e-5 */
#define KEEP_TOKENS_FROM ((size_t)16 << 20) /* bytes of a data file; smaller ones are tokenised in a second or two, and need no second copy of what they say */
#define FEW_STEPS 50 /* fewer optimizer steps than this teach little (LoRA Without Regret, 2025); worth a warning */

/* --- opening ------------------------------------------------------------------------------------------------------------------------------ */

static void copy_cfg(TrainCfg *dst, const TrainCfg *src)
{
    *dst = *src;
    for (const CfgOption *o = train_options; o->name; o++)
        if (o->kind == CFG_STR || o->kind == CFG_LIST) {
            char **s = (char **)(void *)((char *)dst + o->off);
            *s = *s ? mem_strdup(*s) : NULL;
        }
}

/* eval is a share ("0.1"), nothing ("0", ""), or files. */
static int held_out_share(const char *eval, double *share, Err *e)
{
    char *end;
    *share = eval && *eval ? strtod(eval, &end) : 0;
    if (!eval || !*eval)
        return 0;
    if (*end) {
        *share = -1;
        return 0;
    }
    if (!(*share >= 0 && *share < 1))
        return err_set(e, ERR_ARG, "eval: %s is neither a file nor a share below 1 of the data", eval);
    return 0;
}

int train_load_data(const TrainCfg *cfg, const Tok *tok, int32_t vocab, DataSet **train, DataSet **held_out, Err *e)
{
    double      share;
    Pool       *pool = pool_new((int)cfg->threads);
    DataOptions opt = { .objective = cfg->objective == GOAL_TEXT ? OBJECTIVE_TEXT : OBJECTIVE_SFT, .max_length = (int32_t)cfg->max_length,
                        .on_long = (LongPolicy)cfg->on_long, .separator = cfg->separator, .vocab = vocab, .pool = pool,
                        .keep_from = cfg->keep_tokens ? KEEP_TOKENS_FROM : 0 };
    int         rc = held_out_share(cfg->eval, &share, e);
    if (!rc)
        rc = dataset_load(train, cfg->data, tok, &opt, e);
    if (!rc && share < 0)
        rc = dataset_load(held_out, cfg->eval, tok, &opt, e);
    if (!rc && share > 0 && (*train)->n < 2)
        rc = err_set(e, ERR_INPUT, "%s: one example cannot be split into training and held-out data; give --eval FILE or --eval 0", cfg->data);
    if (!rc && share > 0)
        rc = dataset_split(*train, share, (uint64_t)cfg->seed, held_out, e);
    pool_free(pool);
    return rc;
}

/* Micro-batches of one step. Unpacked ones hold one example each, so their mean length counts. */
static int64_t bins_per_step(const TrainRun *r, int64_t micro)
{
    const int64_t mean = MAX(r->train->stats.tokens / (int64_t)MAX(r->train->n, 1), 1);
    return MAX(r->cfg.batch_tokens / (r->cfg.packing ? micro : mean), 1);
}
int64_t train_bins_per_step(const TrainRun *r) { return bins_per_step(r, r->cfg.micro_tokens); }

int64_t train_steps_of(const TrainRun *r, const PackPlan *p)
{
    const int64_t bins = bins_per_step(r, p->capacity);
    return (p->n_bins + bins - 1) / bins;
}

void train_plan_epoch(const TrainRun *r, PackPlan *p, int64_t epoch)
{
    pack_plan(p, r->train, r->cfg.micro_tokens, r->cfg.packing, true, (uint64_t)r->cfg.seed, epoch);
}

void train_count_steps(TrainRun *r)
{
    double left = r->cfg.epochs;
    PackPlan p;
    r->total_steps = r->cfg.steps;
    if (r->free_eval)
        r->cfg.eval_every = 0;
    if (r->free_save)
        r->cfg.save_every = 0;
    for (int64_t epoch = 0; epoch == 0 || (r->cfg.steps == 0 && left > 0); epoch++, left -= 1) {
        train_plan_epoch(r, &p, epoch);
        if (epoch == 0)
            r->pad_share = p.pad_share;
        if (r->cfg.steps == 0)
            r->total_steps += left >= 1 ? train_steps_of(r, &p) : (int64_t)ceil(left * (double)train_steps_of(r, &p));
        pack_plan_release(&p);
    }
    if (r->cfg.eval_every == 0)
        r->cfg.eval_every = MAX((r->total_steps + 9) / 10, 1);
    if (r->cfg.save_every == 0)
        r->cfg.save_every = r->cfg.eval_every;
}

/* The first file decides the objective when the recipe leaves it open. */
static int first_kind(const char *files, DataKind *kind, Err *e)
{
    char     *first = mem_strndup(files ? files : "", files ? strcspn(files, ",") : 0);
    const int rc = *first ? data_kind(first, kind, e) : 0;
    free(first);
    return rc;
}

double train_base_bytes(const char *model)
{
    FileList l = { 0 };
    uint64_t size;
    double   sum = 0;
    if (!file_is_dir(model))
        return file_size(model, &size, NULL) ? 0 : (double)size;
    if (!file_list(&l, model, NULL))
        for (size_t i = 0; i < l.n; i++) {
            char *path = path_join(model, l.name[i]);
            sum += !file_is_dir(path) && !file_size(path, &size, NULL) ? (double)size : 0;
            free(path);
        }
    file_list_release(&l);
    return sum;
}

static int open_model(TrainRun *r, Err *e)
{
    const ModelOptions o = { .trainable = r->cfg.method == METHOD_FULL, .nf4 = r->cfg.method == METHOD_QLORA, .memory = (size_t)r->cfg.memory };
    int rc = r->cfg.method == METHOD_FULL ? plan_check_full(r->cfg.model, r->cfg.optim, r->cfg.moments, r->be, e) : 0;
    rc = rc ? rc : model_open(&r->model, r->cfg.model, r->be, &o, e);
    if (!rc && r->model->unblocked)
        log_warn("train", "%d linears of %s have rows that are no whole number of blocks of 64; they are rounded to NF4 like the others, but kept in 32 bits "
                          "each", r->model->unblocked, r->cfg.model);
    return rc;
}

/* A given adapter brings its own rank and scale; a recipe that says otherwise would be ignored in silence. */
static int open_adapter(TrainRun *r, Err *e)
{
    TrainCfg *c = &r->cfg, usual = { 0 };
    if (!c->init_adapter || !*c->init_adapter)
        return adapter_new(&r->adapter, r->model, c->target_modules, (int)c->rank, c->alpha, c->rslora, (uint64_t)c->seed, e);
    ModelOptions was;
    int rc = adapter_base_options(&was, c->init_adapter, e);
    if (!rc && was.nf4 && c->method == METHOD_LORA && !r->model->packed)
        rc = err_set(e, ERR_ARG, "%s: this adapter was trained with method qlora, on a base packed in 4 bits; go on with --method qlora", c->init_adapter);
    if (rc || (rc = adapter_open(&r->adapter, r->model, c->init_adapter, e)))
        return rc;
    const Adapter *a = r->adapter;
    cfg_defaults(train_options, &usual);
    if ((c->rank != usual.rank && c->rank != a->rank) || (c->alpha != usual.alpha && c->alpha != a->alpha) || (c->rslora && !a->rslora) ||
        strcmp(c->target_modules, usual.target_modules) != 0)
        rc = err_set(e, ERR_ARG, "%s: this adapter has rank %d and alpha %g on linears of its own; leave out rank, alpha, rslora and target-modules",
                     c->init_adapter, a->rank, a->alpha);
    c->rank = a->rank;
    c->alpha = a->alpha;
    c->rslora = a->rslora;
    cfg_release(train_options, &usual);
    return rc;
}

/* Micro-tokens that were left to hone when an unfinished run began were chosen then, and it goes on with them. Activations do not change the result;
 * they are chosen anew, by the memory there is now. */
static int take_chosen(TrainCfg *c, Err *e)
{
    char    *path = path_join(c->out ? c->out : "", "recipe.yaml"), *text = NULL;
    size_t   n = 0;
    TrainCfg then = { 0 };
    int      rc = 0;
    cfg_defaults(train_options, &then);
    if (c->out && *c->out && file_exists(path) && !(rc = file_read_text(path, &text, &n, e)) &&
        !(rc = cfg_parse_yaml(train_options, &then, (Str){ text, n }, path, NULL, e)) && c->micro_tokens == 0)
        c->micro_tokens = then.micro_tokens;
    cfg_release(train_options, &then);
    free(text);
    free(path);
    return rc;
}

/* A large tokenizer takes as long to open as a mapped model, and on one thread only: both at once. */
typedef struct OpenTok { const char *model; Tok *tok; int rc; Err err; } OpenTok;

static void open_tok(void *ctx)
{
    OpenTok *o = ctx;
    o->rc = tok_open(&o->tok, o->model, &o->err);
}

static int open_model_and_tok(TrainRun *r, DataKind kind, Err *e)
{
    OpenTok o = { .model = r->cfg.model };
    Beside *beside = beside_start(open_tok, &o);
    int     rc = open_model(r, e);
    rc = rc ? rc : train_cfg_resolve(&r->cfg, r->model, kind, e);
    beside_join(beside);
    r->tok = o.tok;
    if (!rc && (rc = o.rc) != 0 && e)
        *e = o.err;
    return rc;
}

int train_open(TrainRun **out, const TrainCfg *cfg, Backend *be, Err *e)
{
    TrainRun *r = *out = mem_zalloc(1, sizeof *r);
    DataKind  kind = DATA_MESSAGES;
    int       rc;
    r->be = be;
    r->lock = -1;
    r->opened_at = clock_seconds();
    r->card = nvml_open(be->bus, NULL);
    nvml_read(r->card, &r->card_state);
    copy_cfg(&r->cfg, cfg);
    mem_give_back();
    if (!r->cfg.model || !*r->cfg.model) {
        rc = err_set(e, ERR_ARG, "model is missing: give --model DIR, or model: in the recipe");
        goto done;
    }
    /* The run folder and the adapter name the base, so the name must hold from any working directory. */
    char *model = path_absolute(r->cfg.model);
    free(r->cfg.model);
    r->cfg.model = model;
    if ((rc = backend_check(be, (Compute)r->cfg.compute, e)) || (rc = take_chosen(&r->cfg, e)) || (rc = first_kind(r->cfg.data, &kind, e)) || (rc = open_model_and_tok(r, kind, e)))
        goto done;
    if (tok_size(r->tok) > r->model->cfg.vocab) {
        rc = err_set(e, ERR_INPUT, "%s: the tokenizer has %d entries, the embedding %lld rows; they do not belong together", r->cfg.model,
                     tok_size(r->tok), (long long)r->model->cfg.vocab);
        goto done;
    }
    if ((rc = train_load_data(&r->cfg, r->tok, (int32_t)r->model->cfg.vocab, &r->train, &r->held_out, e)) ||
        (rc = model_reserve_positions(r->model, MIN(r->cfg.max_length + r->cfg.sample_tokens, r->model->cfg.max_positions), e)))
        goto done;
    r->longest = MAX(r->train->stats.longest, r->held_out ? r->held_out->stats.longest : 0);
    if (cfg->micro_tokens == 0 && r->cfg.micro_tokens < r->longest)
        r->cfg.micro_tokens = 0; /* chosen then, for other data; that it is other data is said where the folder is compared with the recipe */
    r->free_micro = r->cfg.micro_tokens == 0;
    r->free_eval = r->cfg.eval_every == 0;
    r->free_save = r->cfg.save_every == 0;
    if ((rc = train_cfg_resolve_batch(&r->cfg, r->longest, !be->host, e)))
        goto done;
    advise_on_overlap(r);
    train_count_steps(r);
    if ((r->cfg.method != METHOD_FULL && (rc = open_adapter(r, e))) || (rc = plan_open_optimizer(r, e)))
        goto done;
    if ((rc = advise_on_end_token(r, e)))
        goto done;
    pass_open(&r->pass, r->model, r->adapter);
    r->pass.aux_coef = r->cfg.router_aux_loss;
    r->pass.compute = (Compute)r->cfg.compute;
done:
    if (rc) {
        train_close(r);
        *out = NULL;
    }
    return rc;
}

void train_close(TrainRun *r)
{
    if (!r)
        return;
    lock_drop(&r->lock);
    nvml_close(r->card);
    pass_close(&r->pass);
    json_free(r->facts);
    free(r->plan.rates);
    optimizer_close(&r->opt);
    adapter_free(r->adapter);
    dataset_free(r->train);
    dataset_free(r->held_out);
    tok_free(r->tok);
    model_close(r->model);
    cfg_release(train_options, &r->cfg);
    free(r);
}

/* --- what stands between training and saving -------------------------------------------------------------------------------------------------- */

/* The base is the one that the run began with; a new run writes down which. */
static int settle_base(TrainRun *r, Err *e)
{
    Json *base = NULL;
    int   rc = r->settled ? 0 : base_hash_end(&r->base, &base, e);
    if (!rc && !r->settled)
        rc = journal_settle(r, r->facts, base, e);
    json_free(base);
    r->settled = !rc;
    return rc;
}

/* On the saving thread, before anything gets its name. */
static int settle(void *user, Err *e)
{
    TrainRun *r = user;
    const int rc = journal_sync(r, e);
    return rc ? rc : settle_base(r, e);
}

/* Before weights change: what saves them has read them; and a run that goes on does so with its own base, of which a new one is assured when it first saves. */
static int let_change(TrainRun *r, Err *e)
{
    const int rc = r->facts ? 0 : settle_base(r, e);
    return rc ? rc : saving_let_change(&r->saving, e);
}

/* --- one step ----------------------------------------------------------------------------------------------------------------------------- */

/* Where the run stands in the data: the plan of the epoch, and the next bin of it. */
typedef struct Cursor { PackPlan plan; int64_t epoch, bin, steps_before; } Cursor;

static void cursor_to(const TrainRun *r, Cursor *c, int64_t step) /* before the 0-based step */
{
    train_plan_epoch(r, &c->plan, c->epoch);
    while (step - c->steps_before >= train_steps_of(r, &c->plan)) {
        c->steps_before += train_steps_of(r, &c->plan);
        pack_plan_release(&c->plan);
        train_plan_epoch(r, &c->plan, ++c->epoch);
    }
    c->bin = (step - c->steps_before) * train_bins_per_step(r);
}

static void tell(const TrainHooks *h, const TrainProgress *p)
{
    if (h->progress)
        h->progress(h->user, p);
}

#define CARD_EVERY 1.0 /* seconds: some of what NVML is asked takes it a millisecond */

/* How the card is doing, and what the run has spent. */
static void look_at_card(TrainRun *r, bool now)
{
    const double at = clock_seconds();
    if (!r->card || (!now && at - r->card_seen < CARD_EVERY))
        return;
    nvml_read(r->card, &r->card_state);
    r->card_seen = at;
    r->state.joules += r->card_state.joules - r->card_joules;
    r->card_joules = r->card_state.joules;
}

static int train_step(TrainRun *r, Cursor *c, const TrainHooks *h, TrainProgress *p, Err *e)
{
    const double  started = clock_seconds();
    const int64_t last = MIN(c->bin + train_bins_per_step(r), c->plan.n_bins);
    int64_t       trained = 0, tokens = 0;
    double        nll = 0, balance = 0;
    int           rc = 0;
    for (int64_t i = c->plan.first[c->bin]; i < c->plan.first[last]; i++) {
        trained += r->train->ex[c->plan.item[i]].n_train;
        tokens += r->train->ex[c->plan.item[i]].n;
    }
    optimizer_zero_grad(&r->opt);
    for (int64_t b = c->bin; b < last && !rc; b++)
        rc = pass_train(&r->pass, r->train, c->plan.item + c->plan.first[b], c->plan.first[b + 1] - c->plan.first[b], trained,
                        train_policy(r->cfg.activations), &nll, &balance, e);
    if (rc == ERR_IO) /* what was put aside is lost, and with it this step; the checkpoint is not */
        err_set(e, rc, "%s; when it is mended, run the same command again to go on from the last checkpoint", e->text);
    if (rc)
        return rc;
    if ((rc = let_change(r, e)))
        return rc;
    p->event = TRAIN_STEP;
    p->step = r->state.step + 1;
    p->loss = nll / (double)trained;
    p->balance = balance;
    p->grad_norm = optimizer_grad_norm(&r->opt);
    if ((rc = r->be->sync(r->be, e)))
        return rc;
    p->lr = schedule_lr(&r->cfg, p->step, r->total_steps);
    p->epoch = (double)c->epoch + (double)last / (double)c->plan.n_bins;
    if ((rc = guard_step(r, p, e)))
        return rc;
    optimizer_step(&r->opt, &r->cfg, p->lr, p->grad_norm, p->step);
    if ((rc = r->be->sync(r->be, e))) /* before the clock is read, and before anything is told of a step that was not done */
        return rc;
    const double seconds = clock_seconds() - started;
    r->state.step++;
    r->state.tokens += tokens;
    r->state.trained_tokens += trained;
    r->state.seconds += seconds;
    p->tokens_per_second = (double)tokens / MAX(seconds, 1e-9);
    p->seconds_left = r->state.seconds / (double)r->state.step * (double)(r->total_steps - r->state.step);
    look_at_card(r, false);
    p->card = r->card_state;
    if ((rc = journal_step(r, p, e)) || (rc = journal_order(r, &c->plan, c->bin, last, e)))
        return rc;
    tell(h, p);
    return 0;
}

/* --- evaluation, samples, saving ----------------------------------------------------------------------------------------------------------- */

/* The prompt is what stands before the first trained token; of plain text, a beginning. */
int32_t train_prompt_length(const TrainRun *r, const Example *x)
{
    int32_t n = 0;
    if (r->cfg.objective == GOAL_TEXT)
        return MAX(MIN(16, x->n / 2), 1);
    while (n < x->n && !x->train[n])
        n++;
    return n;
}

static int write_samples(TrainRun *r, const TrainHooks *h, Err *e)
{
    int    rc = 0;
    StrBuf prompt = { 0 }, expected = { 0 }, output = { 0 };
    for (size_t i = 0; h->answer && i < MIN((size_t)r->cfg.samples, r->held_out->n) && !rc; i++) {
        const Example *x = &r->held_out->ex[i];
        const int32_t  n = train_prompt_length(r, x), rest = MIN(x->n - n, (int32_t)r->cfg.sample_tokens);
        const int64_t  room = MIN(r->cfg.sample_tokens, r->model->cfg.max_positions - n);
        if (room < 1)
            continue;
        strbuf_clear(&prompt);
        strbuf_clear(&expected);
        strbuf_clear(&output);
        tok_decode(r->tok, x->ids, (size_t)n, true, &prompt);
        tok_decode(r->tok, x->ids + n, (size_t)rest, true, &expected);
        rc = h->answer(h->user, r->model, r->adapter, r->tok, x->ids, n, room, &output, e);
        if (!rc)
            rc = journal_sample(r, x, strbuf_str(&prompt), strbuf_str(&expected), strbuf_str(&output), e);
    }
    strbuf_release(&prompt);
    strbuf_release(&expected);
    strbuf_release(&output);
    return rc;
}

static int evaluate(TrainRun *r, const TrainHooks *h, TrainProgress *p, Err *e)
{
    EvalResult res;
    int        rc = pass_eval_set(&r->pass, r->held_out, r->cfg.micro_tokens, &res, e);
    if (rc)
        return rc;
    p->event = TRAIN_EVAL;
    p->step = r->state.step;
    p->eval_loss = res.loss;
    if ((rc = guard_eval(r, p, e)))
        return rc;
    p->best = r->state.step == 0 || res.loss < r->state.best_loss;
    r->state.last_loss = res.loss;
    r->state.since_best = p->best ? 0 : r->state.since_best + 1;
    if (r->state.step == 0)
        r->state.first_loss = res.loss;
    if (p->best) {
        r->state.best_loss = res.loss;
        r->state.best_step = r->state.step;
    }
    if ((rc = journal_eval(r, p, e)) || (rc = write_samples(r, h, e)))
        return rc;
    tell(h, p);
    return 0;
}

static int saved(TrainRun *r, const TrainHooks *h, Err *e)
{
    bool done;
    int  rc = saving_end(&r->saving, &done, e);
    if (!rc && done)
        tell(h, &(TrainProgress){ .event = TRAIN_SAVED, .step = r->saving.job.state.step, .total = r->total_steps });
    return rc;
}

/* Begins to save where the run stands, and (best) what it has come to as other tools load it: RUN/adapter or RUN/model. */
static int save(TrainRun *r, const TrainHooks *h, bool checkpoint, bool best, Err *e)
{
    int rc = saved(r, h, e);
    look_at_card(r, true);
    if (rc || (rc = guard_weights(r, e)) || (rc = r->be->sync(r->be, e)) || (rc = journal_mark(r, e)))
        return rc;
    char *template = r->adapter ? r->adapter->chat_template : r->model->chat_template;
    if (r->train->file[0].kind == DATA_MESSAGES)
        snprintf(template, SHA256_HEX, "%s", chat_template_hash(r->tok));
    SaveJob job = { .run = r->cfg.out, .opt = checkpoint ? &r->opt : NULL, .state = r->state, .keep = r->cfg.keep_checkpoints, .best = best,
                    .adapter = r->adapter, .model = r->model, .settle = settle, .user = r };
    job.state.run_seconds += clock_seconds() - r->opened_at;
    saving_begin(&r->saving, &job);
    return 0;
}

/* --- the run ------------------------------------------------------------------------------------------------------------------------------- */

static int start_or_resume(TrainRun *r, const TrainHooks *h, Err *e)
{
    bool found;
    int  rc = ckpt_load(r->cfg.out, &r->opt, &r->state, &found, e);
    rc = rc ? rc : r->be->sync(r->be, e);
    if (!rc && !found)
        r->state = (RunState){ .best_loss = NAN, .first_loss = NAN, .last_loss = NAN, .joules = r->card ? 0 : NAN };
    if (!rc && !found)
        rc = plan_check_disk(r, e);
    if (rc || (rc = journal_rewind(r, e)))
        return rc;
    TrainProgress p = { .event = found ? TRAIN_RESUMED : TRAIN_STARTED, .step = r->state.step, .total = r->total_steps };
    tell(h, &p);
    if (found)
        return 0;
    r->facts = journal_facts(r);
    if (r->held_out && (rc = evaluate(r, h, &p, e)))
        return rc;
    return save(r, h, true, p.best, e);
}

static bool patience_ended(const TrainRun *r)
{
    return r->held_out && r->cfg.patience > 0 && r->state.since_best >= r->cfg.patience;
}

static int go(TrainRun *r, const TrainHooks *h, TrainResult *res, Err *e)
{
    Cursor c = { 0 };
    int    rc = start_or_resume(r, h, e);
    if (rc)
        return rc;
    cursor_to(r, &c, r->state.step);
    while (!rc && r->state.step < r->total_steps && !patience_ended(r)) {
        TrainProgress p = { .total = r->total_steps };
        if (c.bin >= c.plan.n_bins) {
            c.steps_before += train_steps_of(r, &c.plan);
            pack_plan_release(&c.plan);
            train_plan_epoch(r, &c.plan, ++c.epoch);
            c.bin = 0;
        }
        if ((rc = train_step(r, &c, h, &p, e)))
            break;
        c.bin += train_bins_per_step(r);
        const bool last = r->state.step == r->total_steps;
        const bool stop = h->stop_asked && h->stop_asked(h->user);
        if (r->held_out && (last || r->state.step % r->cfg.eval_every == 0) && (rc = evaluate(r, h, &p, e)))
            break;
        if ((stop || last || r->state.step % r->cfg.save_every == 0 || r->state.step % r->cfg.eval_every == 0) && (rc = save(r, h, true, p.best, e)))
            break;
        if (stop && !last && !(rc = saved(r, h, e)))
            rc = err_set(e, ERR_STOP, "stopped after step %lld of %lld; run the same command again to go on from there", (long long)r->state.step,
                         (long long)r->total_steps);
    }
    pack_plan_release(&c.plan);
    if (!rc && !r->held_out)
        rc = save(r, h, false, true, e);
    if (!rc)
        rc = saved(r, h, e);
    if (!rc)
        rc = identity_check(&r->pass, r->held_out ? r->held_out : r->train, 0, IDENTITY_TOKENS, &res->identity, e);
    if (!rc && !(res->identity <= IDENTITY_MAX))
        log_warn("train", "log-probabilities of the trained and the served model differ by %.2g; please report this", res->identity);
    return rc;
}

/* A device that has failed stays so, whatever failed first in the program; and its memory may have gone to another program meanwhile. What stands on the disk was
 * saved before. */
static int tell_device(const TrainRun *r, int rc, Err *e)
{
    static const char on[] = "run the same command again to go on from the last checkpoint";
    const long long   step = (long long)r->state.step + 1;
    Err               why = { 0 };
    DeviceMemory      m;
    char              held[32], left[32];
    if (r->be->host || rc == ERR_STOP)
        return rc;
    if (r->be->sync(r->be, &why) && why.code != ERR_MEM)
        return err_set(e, ERR_DEVICE, "step %lld: %s; nothing was saved after it: %s", step, why.text, on);
    if ((rc != ERR_MEM && why.code != ERR_MEM) || !plan_device(r->be, &m))
        return rc;
    size_print(held, m.held);
    size_print(left, m.free);
    return err_set(e, ERR_MEM, "step %lld: %s The device has %s free now beside the %s that this run holds; if another program took memory since the plan, end it, and %s",
                   step, why.code ? why.text : e ? e->text : "", left, held, on);
}

bool train_is_done(const TrainRun *r)
{
    char      *mark = path_join(r->cfg.out, "DONE");
    const bool done = file_exists(mark);
    free(mark);
    return done;
}

int train_go(TrainRun *r, const TrainHooks *h, TrainResult *res, Err *e)
{
    bool  done = false;
    char *lock = NULL;
    int   rc = dir_make(r->cfg.out, e);
    DeviceMemory device;
    *res = (TrainResult){ 0 };
    if (rc)
        return rc;
    lock = path_join(r->cfg.out, "lock");
    if ((rc = lock_take(&r->lock, lock, e)) || (!train_is_done(r) && !r->plan.planned && (rc = plan_make(r, h, false, e))) ||
        (rc = journal_begin(r, &done, e)))
        goto done;
    base_hash_begin(&r->base, r->cfg.model, r->cfg.init_adapter);
    if (done) {
        if (!(rc = settle_base(r, e)) && !(rc = journal_read_done(r, res, e)))
            rc = report_write(r->cfg.out, e); /* the one thing that may have failed after DONE */
        goto done;
    }
    journal_running(r);
    log_sink_add(journal_log, r->cfg.out);
    if (r->total_steps < FEW_STEPS)
        log_warn("train", "only %lld optimizer steps; more epochs, more data or fewer batch-tokens give the model more to learn from",
                 (long long)r->total_steps);
    rc = go(r, h, res, e);
    rc = rc ? tell_device(r, rc, e) : 0;
    saving_end(&r->saving, NULL, NULL); /* after an error of the run's own; what was begun is brought to its end */
    if (!rc) {
        const RunState *s = &r->state;
        look_at_card(r, true);
        res->joules = s->joules;
        res->steps = s->step;
        res->best_step = s->best_step;
        res->first_loss = s->first_loss;
        res->best_loss = s->best_loss;
        res->last_loss = s->last_loss;
        res->seconds = s->run_seconds + clock_seconds() - r->opened_at;
        res->memory = plan_device(r->be, &device) ? device.most : memory_peak();
        res->host_memory = memory_peak();
        res->tokens_per_second = (double)s->tokens / MAX(s->seconds, 1e-9);
        res->early = s->step < r->total_steps;
        if (!(rc = journal_done(r, res, e)))
            rc = report_write(r->cfg.out, e);
    } else {
        if (rc != ERR_STOP)
            journal_failed(r, e->text);
        report_write(r->cfg.out, NULL); /* how far it came; the error that is told stays the run's own */
    }
    log_sink_remove(journal_log, r->cfg.out);
done:
    base_hash_drop(&r->base);
    lock_drop(&r->lock);
    free(lock);
    return rc;
}
