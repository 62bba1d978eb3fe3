/* plan.c - see plan.h: memory, what is chosen by it, disk. Main struct: Shapes, the micro-batches that can cost the most. */
#include "train/plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/mem.h"
#include "base/vec.h"
#include "tensor/dry/dry.h"
#include "train/ckpt.h"
#include "train/identity.h"
#include "train/run.h"

#define SURVEY_MOST 2000000 /* examples laid out to find the largest micro-batches; a longer run's late epochs are taken to be like the early ones */
#define SAMPLE_HOST 3       /* vectors of the vocabulary's size that an answer keeps on the host */
#define DEVICE_SPARE ((size_t)128 << 20) /* of a card's free memory, at most: its driver loads kernels when they are first run */
#define HOST_SPARE   ((size_t)1 << 30)   /* of the program's: what is left to the system when block inputs are put there */

bool plan_device(const Backend *be, DeviceMemory *m)
{
    *m = (DeviceMemory){ 0 };
    return be->memory && be->memory(be, m);
}

/* --- the micro-batches that matter ---------------------------------------------------------------------------------------------------------- */

typedef struct Shape { int64_t *example, n, tokens, rows; } Shape; /* n examples, of so many tokens, so many of them trained */
typedef VEC(Shape) ShapeVec;
/* few: fewer examples count as larger. A pass holds a little more for each; but attention's scratch is larger for few long texts. */
typedef struct Shapes { ShapeVec v; bool few; } Shapes;

static bool covers(const Shape *a, const Shape *b, bool few)
{
    return (few ? a->n <= b->n : a->n >= b->n) && a->tokens >= b->tokens && a->rows >= b->rows;
}

/* Keeps a micro-batch unless another is at least as large in everything that memory depends on. */
static void shapes_add(Shapes *s, const DataSet *d, const int64_t *example, int64_t n)
{
    Shape x = { .n = n };
    for (int64_t i = 0; i < n; i++) {
        x.tokens += d->ex[example[i]].n;
        x.rows += d->ex[example[i]].n_train;
    }
    for (size_t i = 0; i < s->v.n; i++)
        if (covers(&s->v.p[i], &x, s->few))
            return;
    size_t left = 0;
    for (size_t i = 0; i < s->v.n; i++) {
        if (covers(&x, &s->v.p[i], s->few))
            free(s->v.p[i].example);
        else
            s->v.p[left++] = s->v.p[i];
    }
    s->v.n = left;
    x.example = mem_alloc((size_t)n * sizeof *x.example);
    memcpy(x.example, example, (size_t)n * sizeof *x.example);
    *vec_push(&s->v) = x;
}

static void shapes_release(Shapes *s)
{
    for (size_t i = 0; i < s->v.n; i++)
        free(s->v.p[i].example);
    vec_release(&s->v);
}

/* Of all micro-batches of the run, or of an evaluation, those that can cost the most. With smaller micro-batches there are more of them, in as many steps. */
static Shapes shapes_of(const TrainRun *r, const DataSet *d, int64_t micro, bool few)
{
    const bool train = d == r->train;
    Shapes     s = { .few = few };
    PackPlan   p;
    double     epochs = train ? r->cfg.epochs : 1;
    for (int64_t epoch = 0; d && (epoch == 0 || ((double)epoch < epochs && (epoch + 1) * (int64_t)d->n <= SURVEY_MOST)); epoch++) {
        pack_plan(&p, d, micro, !train || r->cfg.packing, train, (uint64_t)r->cfg.seed, epoch);
        for (int64_t b = 0; b < p.n_bins; b++)
            shapes_add(&s, d, p.item + p.first[b], p.first[b + 1] - p.first[b]);
        if (train && r->cfg.steps)
            epochs = (double)r->cfg.steps / (double)train_steps_of(r, &p);
        pack_plan_release(&p);
    }
    return s;
}

/* --- the dry run ------------------------------------------------------------------------------------------------------------------------------- */

/* The longest prompt that will be answered, to its limit, or to `most_tokens`. */
static int longest_answer(const TrainRun *r, const TrainHooks *h, const Model *m, const Adapter *a, int64_t most_tokens, Err *e)
{
    const Example *most = NULL;
    StrBuf         text = { 0 };
    for (size_t i = 0; r->held_out && i < MIN((size_t)r->cfg.samples, r->held_out->n); i++)
        if (!most || train_prompt_length(r, &r->held_out->ex[i]) > train_prompt_length(r, most))
            most = &r->held_out->ex[i];
    const int32_t n = most ? train_prompt_length(r, most) : 0;
    const int64_t room = MIN(MIN(r->cfg.sample_tokens, most_tokens), m->cfg.max_positions - n);
    int           rc = most && room > 0 && h && h->answer ? h->answer(h->user, m, a, r->tok, most->ids, n, room, &text, e) : 0;
    strbuf_release(&text);
    return rc;
}

/* state: adapter, gradients and moments if not the run's own, moments: those of them in the program's memory; see TrainPlan. host: of aside, on a device, what is the program's memory */
typedef struct DryRun { size_t state, moments, pass, aside, host; } DryRun;

/* What blocks take: of the program's memory pages that are written to, of a device's all that is asked for. */
static size_t taken(const Backend *be, bool high)
{
    const DryBytes b = backend_dry_bytes(be);
    return be->host ? high ? b.resident_high : b.resident : high ? b.asked_high : b.asked;
}

/* Goes through one pass of each shape, an answer and the last check, with adapter and optimizer of its own when `method` is not the run's. */
static int dry_run(const TrainRun *r, const TrainHooks *h, int method, Optim optim, int64_t micro, ActivationPolicy policy, bool own_state, bool paged, DryRun *out,
                   Err *e)
{
    Backend  *be = backend_dry_open();
    Model     m = *r->model;
    Adapter  *own = NULL;
    Optimizer opt = { 0 };
    PassCtx   ctx = { 0 };
    Shapes    train = shapes_of(r, r->train, micro, false), eval = shapes_of(r, r->held_out, micro, false);
    double    ignored = 0;
    int       rc = 0;
    *out = (DryRun){ 0 };
    be->host = r->be->host;
    m.be = be;
    m.stream = false; /* nothing is read */
    m.rooms = NULL;
    if (own_state && ((method != METHOD_FULL && (rc = adapter_new(&own, &m, r->cfg.target_modules, (int)r->cfg.rank, r->cfg.alpha, r->cfg.rslora, 0, e))) ||
                      (rc = optimizer_open(&opt, &m, own, optim, paged, e))))
        goto done;
    out->state = taken(be, false);
    out->moments = opt.paged ? optimizer_host_bytes(&opt) : 0;
    pass_open(&ctx, &m, own_state ? own : r->adapter);
    ctx.aux_coef = r->cfg.router_aux_loss;
    ctx.spill.fd = SPILL_DRY;
    for (size_t i = 0; i < train.v.n && !rc; i++)
        rc = pass_train(&ctx, r->train, train.v.p[i].example, train.v.p[i].n, 1, policy, &ignored, &ignored, e);
    for (size_t i = 0; i < eval.v.n && !rc; i++)
        rc = pass_eval(&ctx, r->held_out, eval.v.p[i].example, eval.v.p[i].n, &ignored, e);
    out->pass = ctx.scratch.high;
    const size_t before = taken(be, false);
    backend_dry_restart(be);
    const size_t host = r->cfg.samples && r->held_out ? SAMPLE_HOST * (size_t)m.cfg.vocab * sizeof(float) : 0;
    if (rc || (rc = longest_answer(r, h, &m, ctx.adapter, INT64_MAX, e)) ||
        (rc = identity_check(&ctx, r->held_out ? r->held_out : r->train, 0, IDENTITY_TOKENS, &ignored, e)))
        goto done;
    const Optimizer *o = own_state ? &opt : &r->opt;
    const size_t aside = taken(be, true) - before;
    out->host = MAX(host + (be->host ? aside : 0), ckpt_room(o));
    if (method == METHOD_FULL)
        out->host = MAX(out->host, model_save_room(r->model, &(SaveOptions){ .dtype = r->model->file_dtype }));
    out->aside = be->host ? out->host : aside;
done:
    pass_close(&ctx);
    optimizer_close(&opt);
    adapter_free(own);
    shapes_release(&train);
    shapes_release(&eval);
    be->close(be);
    return rc;
}

/* Pages of a mapping are read by runs of this size, where the file lies in the system's cache. */
#define READ_RUN ((size_t)64 << 10)

/* A mapped embedding that is no head as well is read where the data's tokens are. */
static size_t embedding_read(const TrainRun *r, size_t most)
{
    const Tensor *t = r->model->embed;
    const size_t  row = dtype_bytes(t->dtype, tensor_cols(t)), runs = most / READ_RUN + 1;
    uint8_t      *seen = mem_zalloc(runs, 1);
    size_t        n = 0;
    const DataSet *d[] = { r->train, r->held_out };
    for (size_t k = 0; k < ARRAY_LEN(d); k++)
        for (size_t i = 0; d[k] && i < d[k]->n; i++)
            for (int32_t j = 0; j < d[k]->ex[i].n; j++)
                for (size_t at = (size_t)d[k]->ex[i].ids[j] * row / READ_RUN; at <= ((size_t)d[k]->ex[i].ids[j] * row + row - 1) / READ_RUN; at++)
                    n += !seen[at] && (seen[at] = 1);
    free(seen);
    return MIN(n * READ_RUN, most);
}

static size_t mapped_blocks(const Model *m)
{
    size_t n = 0;
    for (int i = 0; i < m->cfg.layers; i++)
        n += model_mapped_bytes(m, i);
    return n;
}

/* The most of the mapped weights that is in memory at one time: all that is read, or outside the blocks and two of them, and a run on either side of each
 * block that came in with its edge. */
static size_t mapped(const TrainRun *r, int activations)
{
    const Model *m = r->model;
    if (!r->be->host) /* a device has copies; the pages are let go as soon as those are made */
        return 0;
    size_t       rest = model_mapped_bytes(m, -1), all = mapped_blocks(m), two = 0, before = 0;
    if (m->head_w != m->embed && model_is_mapped(m, m->embed)) {
        const size_t table = dtype_bytes(m->embed->dtype, tensor_numel(m->embed));
        rest += embedding_read(r, table) - table;
    }
    for (int i = 0; i < m->cfg.layers; i++) {
        const size_t n = model_mapped_bytes(m, i);
        two = MAX(two, n + before);
        before = n;
    }
    return rest + (activations == ACTIVATIONS_STREAM ? MIN(two + 2 * READ_RUN * (size_t)m->cfg.layers, all) : all);
}

/* The arena of the passes is one block of exactly that size. */
static size_t total(const TrainRun *r, size_t standing, const DryRun *d)
{
    return standing + (r->plan.device ? d->pass : backend_dry_pages(d->pass, d->pass)) + d->aside;
}

/* What stands when weights are streamed, or not, and moments paged, or not. */
static size_t standing_as(const TrainRun *r, int activations, bool paged)
{
    const Model *m = r->model;
    return r->plan.standing + mapped(r, activations) - m->blocks.reserved + model_blocks_bytes(m, activations == ACTIVATIONS_STREAM) +
           (r->plan.device ? optimizer_bytes(&r->opt, paged) - r->opt.arena.reserved : 0);
}

/* --- what stands already ------------------------------------------------------------------------------------------------------------------------ */

/* The largest of a few kinds: tokens, trained tokens, tokens of one text. */
static double score(const Shape *x, int kind)
{
    return kind == 0 ? (double)x->tokens : kind == 1 ? (double)x->rows : (double)x->tokens / (double)x->n;
}

/* Passes over those, through `layers` layers from `first` on. */
static int meet_data(TrainRun *r, const DataSet *d, int first, int layers, Err *e)
{
    Model        m = model_slice(r->model, first, layers);
    PassCtx     *p = &r->pass;
    const Shape *last = NULL;
    Shapes       s = shapes_of(r, d, r->cfg.micro_tokens, true);
    double       ignored = 0;
    int          rc = 0;
    p->model = &m;
    for (int kind = 0; kind < 3 && s.v.n && !rc; kind++) {
        const Shape *x = &s.v.p[0];
        for (size_t i = 1; i < s.v.n; i++)
            if (score(&s.v.p[i], kind) > score(x, kind))
                x = &s.v.p[i];
        if (x != last)
            rc = d == r->train ? pass_train(p, d, x->example, x->n, 1, CHECKPOINT_BLOCKS, &ignored, &ignored, e)
                               : pass_eval(p, d, x->example, x->n, &ignored, e);
        last = x;
    }
    p->model = r->model;
    shapes_release(&s);
    return rc;
}

/* An update, of numbers that are nobody's. */
static void meet_update(TrainRun *r)
{
    const bool    blocks = r->cfg.optim == OPTIM_ADAMW_8BIT;
    const DType   type[4] = { DT_F32, DT_F32, blocks ? DT_DYN8 : DT_F32, blocks ? DT_UDYN8 : DT_F32 };
    const int64_t n = dtype_block(DT_DYN8);
    const AdamW   a = { .lr = 0, .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f, .step = 1 };
    Tensor       *t[4];
    for (int i = 0; i < 4; i++) {
        t[i] = tarena_tensor(&r->pass.scratch, NULL, DT_F32, 1, &n);
        if (!t[i]) /* the arena tells it */
            return;
        r->be->fill(r->be, t[i], 0);
        t[i]->dtype = type[i]; /* smaller, and zeros as well */
    }
    r->be->adamw(r->be, t[0], t[1], t[2], t[3], &a, 1);
}

/* A device's plan is exact, so it meets what is small as well: norms and update of a step, an answer, the last check. */
static int meet_rest(TrainRun *r, const TrainHooks *h, Err *e)
{
    Model  m = model_slice(r->model, 0, 1);
    double ignored = 0;
    r->pass.model = &m;
    meet_update(r);
    optimizer_zero_grad(&r->opt);
    optimizer_grad_norm(&r->opt);
    optimizer_weight_norm(&r->opt);
    int rc = longest_answer(r, h, &m, r->adapter, 2, e);
    rc = rc ? rc : identity_check(&r->pass, r->held_out ? r->held_out : r->train, 0, 3, &ignored, e);
    r->pass.model = r->model;
    return rc ? rc : r->be->sync(r->be, e);
}

/* The backend's scratch grows with the shapes it meets and follows from no dry run: it meets the largest here, in the first layers of each kind. Two, since
 * the first of all may want no gradient of its input. */
static int meet_shapes(TrainRun *r, const TrainHooks *h, Err *e)
{
    const int layers = (int)r->model->cfg.layers;
    int       other = 0, rc;
    r->be->sizing = !r->model->cfg.experts; /* which experts are at work, and with how many rows, must be computed */
    while (other < layers && (r->model->cfg.layer[other] & LAYER_EXPERTS) == (r->model->cfg.layer[0] & LAYER_EXPERTS))
        other++;
    if (!(rc = meet_data(r, r->train, 0, MIN(2, layers), e)))
        rc = meet_data(r, r->held_out, 0, 1, e);
    if (!rc && other < layers)
        rc = meet_data(r, r->train, other, 1, e);
    r->be->sizing = false;
    if (!rc && r->plan.device)
        rc = meet_rest(r, h, e);
    tarena_release(&r->pass.scratch);
    return rc;
}

/* --- choosing ----------------------------------------------------------------------------------------------------------------------------------- */

/* micro-tokens to try: the usual, halves of it, the longest example. false behind the last. */
static bool next_micro(int64_t *micro, int64_t longest)
{
    if (*micro <= longest)
        return false;
    *micro = MAX(*micro / 2, longest);
    return true;
}

/* Of the disk, for the inputs of blocks: no micro-batch has more tokens. */
static int64_t file_bytes(const TrainRun *r, int activations, int64_t micro)
{
    return train_policy(activations) == SPILL_INPUTS ? (int64_t)model_spill_bytes(r->model, r->cfg.packing ? MIN(micro, r->train->stats.tokens) : r->longest) : 0;
}

/* What would need less, of what this recipe has not done yet. */
static const char *what_needs_less(const TrainRun *r)
{
    const bool full = r->cfg.method == METHOD_FULL, lora_wide = r->cfg.method == METHOD_LORA && !r->model->packed && r->plan.device;
    return r->cfg.activations != ACTIVATIONS_AUTO                                    ? "; --activations auto takes the first way that fits"
           : r->plan.device && full && r->cfg.moments == MOMENTS_DEVICE              ? "; --moments auto puts moments into the program's memory"
           : full && r->cfg.optim == OPTIM_ADAMW                                     ? "; optim adamw_8bit, method lora or a smaller max-length need less"
           : lora_wide                                                               ? "; method qlora, which packs the weights in 4 bits, or a smaller max-length need less"
           : r->free_micro                                                           ? "; a smaller max-length or rank needs less"
                                                                                     : "; leave micro-tokens to hone, or choose fewer";
}

static int no_choice(const TrainRun *r, int64_t file, Err *e)
{
    const TrainPlan *p = &r->plan;
    const size_t     mib = (p->smallest >> 20) + 2;
    char             most[32], need[32], have[32], disk[128] = "", model[128] = "";
    size_print(most, p->limit);
    size_print(need, (size_t)file);
    size_print(have, (size_t)MAX(p->disk_free, 0));
    if (file)
        snprintf(disk, sizeof disk, "; with %s of disk it would need less, but only %s are free there", need, have);
    if (p->device) /* all that stands grows with the model, and so does most of a pass */
        snprintf(model, sizeof model, "; a model of the same kind with %.2g thousand million parameters would fit as this one does not",
                 (double)model_param_count(r->model) * (double)p->limit / (double)MAX(p->smallest, 1) / 1e9);
    return err_set(e, ERR_MEM, "this run needs at least %zuMiB of %s (--memory %zuMiB), and %s %s%s%s%s", mib, p->device ? "the device's memory" : "memory", mib,
                   r->cfg.memory ? "--memory allows" : p->device ? "the device gives" : "the machine has", most, disk, what_needs_less(r), model);
}

/* What the disk must have for the run besides a file; of one that goes on, most of it is there. */
static int64_t disk_rest(const TrainRun *r)
{
    char      *path = path_join(r->cfg.out, "checkpoints");
    const bool began = file_is_dir(path);
    free(path);
    return began ? 0 : r->plan.disk;
}

/* Of a device, block inputs go to the program's memory where that has room for them, else to a file. more: bytes that go there besides. */
static bool host_has(const TrainRun *r, int64_t inputs, size_t more)
{
    const size_t room = memory_free();
    return r->plan.device && (room == SIZE_MAX || (size_t)inputs + more + HOST_SPARE <= room);
}

/* Bytes that paging moments would take of the program's memory from now on. */
static size_t to_page(const TrainRun *r, bool paged) { return paged && !r->opt.host.mem ? optimizer_host_bytes(&r->opt) : 0; }

static bool may_page(const TrainRun *r, bool paged)
{
    return r->plan.device ? r->cfg.moments != (paged ? MOMENTS_DEVICE : MOMENTS_HOST) && (!to_page(r, paged) || host_has(r, 0, to_page(r, paged))) : !paged;
}

static int no_host(const TrainRun *r, Err *e)
{
    char need[32], have[32];
    size_print(need, optimizer_host_bytes(&r->opt));
    size_print(have, memory_free());
    return err_set(e, ERR_MEM, "moments host needs %s of the program's memory for the moments of %lld trained numbers, and the machine has %s; %smoments auto puts them on the device "
                   "where they fit there", need, (long long)r->opt.n_values, have, r->cfg.optim == OPTIM_ADAMW ? "optim adamw_8bit needs a quarter of that, " : "");
}

/* Moments where they were chosen to be, and weights. In this order what leaves the device goes before what comes. */
static int settle_there(TrainRun *r, bool paged, bool stream, Err *e)
{
    int rc = stream ? model_stream(r->model, true, e) : 0;
    if (!rc && (paged || r->opt.paged))
        rc = optimizer_page(&r->opt, paged, e);
    return rc || stream ? rc : model_stream(r->model, false, e);
}

static int choose(TrainRun *r, const TrainHooks *h, Err *e)
{
    TrainPlan    *p = &r->plan;
    const int     asked = r->cfg.activations;
    const bool    in_memory = !p->device && spill_in_memory(r->cfg.out);
    DeviceMemory  device;
    plan_device(r->be, &device);
    const int64_t rest = disk_rest(r);
    int64_t       lacking = 0; /* the least disk that another choice would need */
    const bool can_stream = mapped_blocks(r->model) > 0;
    int64_t    micro = r->cfg.micro_tokens;
    int        rc = 0;
    if (asked == ACTIVATIONS_STREAM && !can_stream)
        return err_set(e, ERR_ARG, "activations stream reads a block's weights anew from the model's file, but those of %s are held in memory%s; use "
                       "activations spill", r->cfg.model,
                       r->cfg.method == METHOD_FULL ? " to be trained" : r->model->nf4 ? ", packed for method qlora" : ", since hone computes with another form of them");
    if (p->device && r->cfg.moments == MOMENTS_HOST && !may_page(r, true))
        return no_host(r, e);
    p->moments_asked = (int)r->cfg.moments;
    p->smallest = SIZE_MAX;
    do {
        for (int way = ACTIVATIONS_KEEP; way <= 2 * ACTIVATIONS_STREAM; way++) { /* all with moments on the device, then all without */
            DryRun        d;
            const bool    paged = way > ACTIVATIONS_STREAM;
            const int     a = paged ? way - ACTIVATIONS_STREAM : way;
            const int64_t inputs = file_bytes(r, a, micro), file = host_has(r, inputs, to_page(r, paged)) ? 0 : inputs;
            if (!may_page(r, paged) || (asked != ACTIVATIONS_AUTO ? asked != a : a == ACTIVATIONS_STREAM && !can_stream))
                continue;
            if ((rc = dry_run(r, h, r->cfg.method, (Optim)r->cfg.optim, micro, train_policy(a), false, paged, &d, e))) {
                if (rc == ERR_MEM) /* it takes addresses, not memory */
                    err_set(e, rc, "this process may not address as much as the run would take to be planned (see ulimit -v): %s", e->text);
                return rc;
            }
            const size_t peak = p->device ? device.most : memory_peak(), bytes = MAX(total(r, standing_as(r, a, paged), &d), peak), with_file = bytes + (in_memory ? (size_t)file : 0);
            if (asked == ACTIVATIONS_AUTO && file && p->disk_free >= 0 && rest + file > p->disk_free) {
                lacking = with_file < p->smallest && (!lacking || rest + file < lacking) ? rest + file : lacking;
                continue;
            }
            p->smallest = MIN(p->smallest, with_file);
            if (with_file > p->limit)
                continue;
            if (in_memory && file)
                log_warn("train", "%s lies in memory, so the file that block inputs are put into takes memory as well; choose an --out on a disk", r->cfg.out);
            if (micro != r->cfg.micro_tokens)
                log_warn("train", "micro-tokens is %lld instead of %lld, since there is not the memory for more; give --micro-tokens %lld to repeat this run elsewhere",
                         (long long)micro, (long long)r->cfg.micro_tokens, (long long)micro);
            r->cfg.activations = a;
            r->cfg.micro_tokens = micro;
            p->pass = d.pass;
            p->aside = d.aside;
            p->host = d.host;
            p->file = file;
            p->inputs = inputs - file;
            p->disk += file;
            p->memory = bytes;
            p->moments = paged ? optimizer_host_bytes(&r->opt) : 0;
            r->cfg.moments = p->device ? paged ? MOMENTS_HOST : MOMENTS_DEVICE : r->cfg.moments;
            return settle_there(r, paged, a == ACTIVATIONS_STREAM, e);
        }
    } while (r->free_micro && next_micro(&micro, r->longest));
    return no_choice(r, lacking, e);
}

int plan_open_optimizer(TrainRun *r, Err *e)
{
    DeviceMemory m;
    const bool   paged = plan_device(r->be, &m) && r->cfg.moments != MOMENTS_DEVICE;
    r->be->sizing = paged && !train_is_done(r); /* no moments yet, neither here nor there */
    const int rc = optimizer_open(&r->opt, r->model, r->adapter, (Optim)r->cfg.optim, paged, e);
    r->be->sizing = false;
    return rc;
}

int plan_check_full(const char *model, int optim, int moments, const Backend *on, Err *e)
{
    DeviceMemory device;
    const size_t free_now = plan_device(on, &device) ? device.free : memory_free();
    Backend     *be = backend_dry_open();
    Model       *m = NULL;
    Optimizer    opt = { 0 };
    char         need[32], have[32];
    int          rc = 0;
    if (free_now == SIZE_MAX || 8 * train_base_bytes(model) < (double)free_now) /* of 16 bits become 4 x 32 at most; so a look at the weights is spared */
        goto done;
    be->host = on->host;
    if ((rc = model_open(&m, model, be, &(ModelOptions){ .trainable = true }, e)) || (rc = optimizer_open(&opt, m, NULL, (Optim)optim, moments != MOMENTS_DEVICE, e)))
        goto done;
    size_print(need, taken(be, false));
    size_print(have, free_now);
    if (taken(be, false) > free_now)
        rc = err_set(e, ERR_MEM, "%s: its weights with %s take %s before anything is computed, and the %s has %s; %smethod lora needs a fraction of that", model,
                     opt.paged ? "gradients" : "gradients and moments", need, on->host ? "machine" : "device", have,
                     optim == OPTIM_ADAMW && !opt.paged ? "optim adamw_8bit needs three eighths less, " : "");
done:
    optimizer_close(&opt);
    model_close(m);
    be->close(be);
    return rc;
}

static void plan_disk(TrainRun *r)
{
    const Optimizer *o = &r->opt;
    const int64_t    result = r->adapter ? 4 * o->n_values : model_param_count(r->model) * (int64_t)dtype_size(r->model->file_dtype);
    /* One more of each while it is replaced; a megabyte of journals and report. */
    r->plan.disk = (int64_t)ckpt_bytes(o) * (r->cfg.keep_checkpoints + 1) + 2 * result + (1 << 20);
    r->plan.disk_free = disk_free(r->cfg.out);
}

int plan_check_disk(const TrainRun *r, Err *e)
{
    char need[32], have[32];
    if (r->plan.disk_free < 0 || r->plan.disk <= r->plan.disk_free)
        return 0;
    size_print(need, (size_t)r->plan.disk);
    size_print(have, (size_t)r->plan.disk_free);
    return err_set(e, ERR_IO, "%s: this run writes up to %s, and there are %s free; make room, choose another --out, or keep fewer checkpoints", r->cfg.out,
                   need, have);
}

/* The device holds the weights, and nothing can be computed beside them. */
static int no_pass(const TrainRun *r, Err *e)
{
    DeviceMemory m;
    char         held[32], left[32], total[32];
    plan_device(r->be, &m);
    size_print(held, m.held);
    size_print(left, m.free);
    size_print(total, m.total);
    return err_set(e, ERR_MEM, "%s: its weights and what is trained take %s of the device's memory, the device gives %s more of its %s, and not even a pass through two layers fits%s",
                   r->cfg.model, held, left, total, what_needs_less(r));
}

/* What was free is not any more. was: when the plan was made. */
static int not_reserved(const TrainRun *r, const DeviceMemory *was, Err *e)
{
    DeviceMemory now;
    char         need[32], then[32], left[32];
    if (!plan_device(r->be, &now)) {
        tarena_failed(&r->pass.scratch, e);
        return err_wrap(e, "reserving the memory of a training pass");
    }
    size_print(need, r->plan.pass);
    size_print(then, was->free);
    size_print(left, now.free);
    return err_set(e, ERR_MEM, "a training pass needs %s of the device's memory; %s of it were free when this run was planned, and %s are now: another program takes "
                   "memory there. End it, or give --memory BYTES, less than what is free now and held together, for a plan that leaves room for both", need, then, left);
}

int plan_make(TrainRun *r, const TrainHooks *h, bool timed, Err *e)
{
    TrainPlan *p = &r->plan;
    DeviceMemory device;
    *p = (TrainPlan){ .joules = NAN, .device = plan_device(r->be, &device) };
    int rc = meet_shapes(r, h, e);
    if (rc == ERR_MEM && p->device && !r->model->stream && mapped_blocks(r->model) && !(rc = model_stream(r->model, true, e)))
        rc = meet_shapes(r, h, e);
    if (rc)
        return rc == ERR_MEM && p->device ? no_pass(r, e) : rc;
    mem_give_back();
    model_forget(r->model);
    plan_device(r->be, &device);
    p->standing = p->device ? device.held : memory_held();
    const size_t more = p->device ? device.free - MIN(device.free / 16, DEVICE_SPARE) : memory_free();
    p->limit = r->cfg.memory ? (size_t)r->cfg.memory : more == SIZE_MAX ? SIZE_MAX : p->standing + more;
    plan_disk(r);
    if ((rc = choose(r, h, e)))
        return rc;
    train_count_steps(r);
    if (p->file && (rc = spill_open(&r->pass.spill, r->cfg.out, (uint64_t)p->file, e)))
        return err_wrap(e, "activations %s", train_activations[r->cfg.activations]);
    if (p->inputs && (rc = pass_spill_memory(&r->pass, (uint64_t)p->inputs, e)))
        return err_wrap(e, "activations %s", train_activations[r->cfg.activations]);
    if (!tarena_reserve(&r->pass.scratch, p->pass))
        return not_reserved(r, &device, e);
    if ((rc = r->be->sync(r->be, e)))
        return rc;
    if (timed && (rc = plan_time(r, e)))
        return rc;
    model_forget(r->model);
    if (p->device) {
        plan_device(r->be, &device);
        p->standing = device.held - p->pass;
        p->memory = MAX(device.held + p->aside, device.most);
        p->host = MAX(memory_held() + p->host, memory_peak());
    } else {
        p->standing += mapped(r, r->cfg.activations);
        p->memory = MAX(memory_held() + mapped(r, r->cfg.activations) + p->aside, memory_peak());
    }
    p->planned = true;
    return 0;
}

/* --- the ways not taken --------------------------------------------------------------------------------------------------------------------------- */

/* Bytes of the weights as they are held now, or as another method would hold them: all in f32 to be trained, else as stored. */
static size_t weight_bytes(const Model *m, bool as_held, bool full)
{
    size_t sum = 0;
    for (int i = 0; i < m->n_param; i++) {
        const Tensor *w = m->param[i].w;
        sum += dtype_bytes(as_held ? w->dtype : full || w->rank == 1 ? DT_F32 : m->file_dtype, tensor_numel(w));
    }
    return sum;
}

static size_t arena_bytes(const TrainRun *r, const TArena *a) { return r->plan.device ? a->reserved : backend_dry_pages(a->high, a->high); }

int plan_rows(TrainRun *r, const TrainHooks *h, PlanRow row[PLAN_ROWS], int *n, Err *e)
{
    const bool   full = r->cfg.method == METHOD_FULL;
    const size_t standing = r->plan.standing - arena_bytes(r, &r->opt.arena) - (r->adapter ? arena_bytes(r, &r->adapter->arena) : 0);
    const Compute own = r->pass.compute, other = own == COMPUTE_F32 ? COMPUTE_BF16 : COMPUTE_F32;
    const bool    both = r->plan.timed && !backend_check(r->be, other, NULL);
    int rc = 0;
    *n = 0;
    if (both)
        plan_rate(r, other);
    if (r->plan.timed && !r->plan.file)
        plan_rate_file(r, file_bytes(r, ACTIVATIONS_SPILL, r->cfg.micro_tokens));
    for (int way = 0; way < 2; way++) {
        const bool as_full = way ? !full : full;
        int64_t    micro = MAX(r->longest, MIN(r->cfg.batch_tokens, MAX(r->cfg.micro_tokens, 1024)));
        if (as_full && (r->model->packed || r->model->nf4))
            continue;
        do {
            const bool first = *n == 0 || row[*n - 1].full != as_full; /* the other compute beside the usual micro-batch only */
            for (int c = 0; c < (first && both ? 2 : 1); c++)
                for (int a = ACTIVATIONS_KEEP; a <= ACTIVATIONS_SPILL && *n < PLAN_ROWS; a++)
                    row[(*n)++] = (PlanRow){ .full = as_full, .activations = a, .compute = c ? other : own, .micro_tokens = micro, .file = file_bytes(r, a, micro),
                                             .train_seconds = plan_way_seconds(r, as_full, a, c ? other : own, micro) };
        } while (*n < PLAN_ROWS / 2 * (way + 1) && next_micro(&micro, r->longest));
    }
    tarena_release(&r->pass.scratch);
    optimizer_close(&r->opt); /* weights want no gradients now, but for those that a dry run asks for */
    for (int k = 0; k < *n; k++) {
        const size_t weights = row[k].full == full ? 0 : weight_bytes(r->model, false, row[k].full) - weight_bytes(r->model, true, false);
        /* Training all weights is offered with moments of 8 bits where it fits only so. */
        for (Optim optim = (Optim)r->cfg.optim; optim <= (row[k].full ? OPTIM_ADAMW_8BIT : (Optim)r->cfg.optim) && !row[k].fits; optim++)
            for (int paged = r->plan.device && r->plan.moments_asked == MOMENTS_HOST; paged <= (r->plan.device && r->plan.moments_asked != MOMENTS_DEVICE) && !row[k].fits; paged++) {
                DryRun d;
                if ((rc = dry_run(r, h, row[k].full ? METHOD_FULL : METHOD_LORA, optim, row[k].micro_tokens, train_policy(row[k].activations), true, paged, &d, e)))
                    return rc;
                const size_t bytes = total(r, standing + weights + d.state, &d); /* the working space of products is part of what stands, and of other ways hardly another */
                const bool   disk = r->plan.disk_free < 0 || r->plan.disk - r->plan.file + row[k].file <= r->plan.disk_free;
                row[k].fits = bytes <= r->plan.limit && (!paged || host_has(r, 0, d.moments)) && (!row[k].file || host_has(r, row[k].file, d.moments) || disk);
                if (row[k].fits || (optim == (Optim)r->cfg.optim && !paged)) {
                    row[k].optim = (int)optim;
                    row[k].memory = bytes;
                }
            }
    }
    PlanRow *best = NULL;
    for (int k = 0; k < *n; k++)
        if (row[k].full == full && row[k].compute == own && row[k].fits && (!best || row[k].train_seconds < best->train_seconds))
            best = &row[k];
    if (best)
        best->best = true;
    return 0;
}

Json *plan_json(const TrainPlan *p)
{
    static const struct { const char *key; size_t off; } bytes[] = {
        { "memory_bytes", offsetof(TrainPlan, memory) }, { "standing_bytes", offsetof(TrainPlan, standing) }, { "pass_bytes", offsetof(TrainPlan, pass) },
        { "aside_bytes", offsetof(TrainPlan, aside) },
    };
    static const struct { const char *key; size_t off; } times[] = {
        { "seconds", offsetof(TrainPlan, seconds) },           { "tokens_per_second", offsetof(TrainPlan, tokens_per_second) },
        { "train_seconds", offsetof(TrainPlan, train_seconds) }, { "eval_seconds", offsetof(TrainPlan, eval_seconds) },
        { "sample_seconds", offsetof(TrainPlan, sample_seconds) }, { "save_seconds", offsetof(TrainPlan, save_seconds) },
        { "open_seconds", offsetof(TrainPlan, open_seconds) },     { "wait_seconds", offsetof(TrainPlan, wait_seconds) },
    };
    Json *j = json_obj_new();
    for (size_t i = 0; i < ARRAY_LEN(bytes); i++)
        json_set(j, bytes[i].key, json_int_new((int64_t)*(const size_t *)(const void *)((const char *)p + bytes[i].off)));
    for (size_t i = 0; i < ARRAY_LEN(times) && p->timed; i++)
        json_set(j, times[i].key, json_num_new(*(const double *)(const void *)((const char *)p + times[i].off)));
    if (p->device) {
        json_set(j, "of_device", json_bool_new(true));
        json_set(j, "host_bytes", json_int_new((int64_t)p->host));
        json_set(j, "inputs_bytes", json_int_new(p->inputs));
        json_set(j, "moments_bytes", json_int_new((int64_t)p->moments));
    }
    json_set(j, "disk_bytes", json_int_new(p->disk));
    json_set(j, "file_bytes", json_int_new(p->file));
    if (p->disk_free >= 0)
        json_set(j, "disk_free_bytes", json_int_new(p->disk_free));
    if (isfinite(p->joules))
        json_set(j, "energy_joules", json_num_new(p->joules));
    return j;
}
