/* embed.c - rows to vectors: the packed pass through the model, the pooling, and the geometry of all rows (see embed.h; neighbours are in embed_near.c).
 * Invariant: a vector is a function of its row and the model, up to the last bits (a micro-batch with very few tokens goes another way through the
 * backend); windows and micro-batches follow from the rows alone. */
#include "prep/embed.h"

#include <math.h>
#include <stdlib.h>

#include "data/encode.h"
#include "data/pack.h"
#include "tensor/tape.h"

typedef struct Pass {
    const Model *model;
    TArena       scratch;
    MicroBatch   batch;
    float       *hidden;      /* [cap, D] host */
    int64_t      cap;
} Pass;

/* The first tokens of the row that its vector needs, as an example whose mask marks the tokens to be pooled. n 0: there are none. */
static Example prompt_of(const ChatOut *row, int32_t bos, int64_t max_length, uint8_t *pooled, bool *cut)
{
    size_t last = 0, end = 0, n_pooled = 0;
    for (size_t i = 0; i < row->ids.n; i++)
        if (row->mask.p[i])
            last = i;
    for (size_t i = 0; i < last; i++) {
        pooled[i] = !row->mask.p[i] && i < (size_t)max_length;
        *cut |= !row->mask.p[i] && i >= (size_t)max_length;
        if (pooled[i]) {
            end = i + 1;
            n_pooled++;
        }
    }
    if (n_pooled > 1 && row->ids.p[0] == bos)
        pooled[0] = 0;
    return (Example){ .ids = row->ids.p, .train = pooled, .n = (int32_t)end };
}

static Tensor *put(Pass *p, const int32_t *src, int64_t n)
{
    Tensor *x = tarena_tensor(&p->scratch, NULL, DT_I32, 1, &n);
    if (x)
        p->model->be->upload(p->model->be, x->data, src, (size_t)n * sizeof *src);
    return x;
}

/* Hidden states of a micro-batch into p->hidden. */
static int run(Pass *p, const DataSet *d, const int64_t *examples, int64_t n, Err *e)
{
    const Model *m = p->model;
    MicroBatch  *b = &p->batch;
    Step         s;
    Tape         t;
    int          rc = 0;
    microbatch_fill(b, d, examples, n);
    if (p->cap < b->n_tokens) {
        p->cap = b->n_tokens;
        p->hidden = mem_realloc(p->hidden, (size_t)(p->cap * m->cfg.hidden), sizeof *p->hidden);
    }
    TArenaMark mark = tarena_mark(&p->scratch);
    Tensor    *ids = put(p, b->ids, b->n_tokens), *pos = put(p, b->pos, b->n_tokens);
    if (tarena_failed(&p->scratch, e))
        return e->code;
    step_init(&s, m, &p->scratch, ids, pos, b->n_seg, b->seg_start, b->seg_len);
    tape_init(&t, m->be, &p->scratch, false);
    Tensor *hidden = model_hidden(&t, m, &s, NULL);
    if (tarena_failed(&p->scratch, e))
        rc = err_wrap(e, "%d tokens at once", b->n_tokens);
    else if (!(rc = m->be->sync(m->be, e)))
        m->be->download(m->be, p->hidden, hidden->data, (size_t)(b->n_tokens * m->cfg.hidden) * sizeof *p->hidden);
    tape_release(&t);
    tarena_rewind(&p->scratch, mark);
    return rc;
}

/* v becomes v / |v|; the zero vector stays. */
static void normalise(float *v, int64_t dim)
{
    double sum = 0;
    for (int64_t j = 0; j < dim; j++)
        sum += (double)v[j] * (double)v[j];
    for (int64_t j = 0; j < dim && sum > 0; j++)
        v[j] = (float)((double)v[j] / sqrt(sum));
}

/* The mean of the marked rows of hidden [n, dim], in double. */
static void pool(float *v, const float *hidden, const uint8_t *marked, int32_t n, int64_t dim, double *sum)
{
    int32_t count = 0;
    memset(sum, 0, (size_t)dim * sizeof *sum);
    for (int32_t t = 0; t < n; t++) {
        if (!marked[t])
            continue;
        count++;
        for (int64_t j = 0; j < dim; j++)
            sum[j] += (double)hidden[t * dim + j];
    }
    for (int64_t j = 0; j < dim; j++)
        v[j] = (float)(sum[j] / count);
    normalise(v, dim);
}

/* The prompts of a window of rows. The marks of the tokens to be pooled lie in `mark`, example after example: dataset_add clears an example's first one. */
typedef struct Prompts {
    DataSet *d;
    size_t   cap;                                   /* of d->ex */
    struct { size_t row, mark; } at[SCORE_WINDOW];  /* of each example */
    VEC(uint8_t) mark;
    double  *sum;                                   /* [dim] scratch */
} Prompts;

static int add_prompt(Prompts *w, Embeddings *x, const ScoreRows *rows, size_t i, int32_t vocab, int64_t max_length, ChatOut *text, Err *e)
{
    bool      cut = false;
    const int rc = score_row_encode(rows, i, vocab, text, e);
    if (rc)
        return rc;
    uint8_t *pooled = mem_zalloc(text->ids.n, 1);
    const Example ex = prompt_of(text, tok_bos(rows->tok), max_length, pooled, &cut);
    x->cut += cut;
    if (ex.n) {
        w->at[w->d->n].row = i;
        w->at[w->d->n].mark = w->mark.n;
        for (int32_t k = 0; k < ex.n; k++)
            *vec_push(&w->mark) = pooled[k];
        dataset_add(w->d, &w->cap, ex);
    }
    free(pooled);
    return 0;
}

/* The vectors of a micro-batch that has just run. */
static void pool_batch(const Prompts *w, const Pass *p, Embeddings *x)
{
    for (int32_t s = 0; s < p->batch.n_seg; s++) {
        const int64_t k = p->batch.example[s];
        pool(x->x + (int64_t)w->at[k].row * x->dim, p->hidden + p->batch.seg_start[s] * x->dim, w->mark.p + w->at[k].mark, w->d->ex[k].n, x->dim, w->sum);
    }
}

/* Rows [begin, end). */
static int embed_window(Embeddings *x, Pass *p, const ScoreRows *rows, size_t begin, size_t end, int64_t max_length, int64_t capacity, ChatOut *text,
                        const ScoreHooks *h, Err *e)
{
    Prompts  w = { .d = mem_zalloc(1, sizeof *w.d), .sum = mem_alloc((size_t)x->dim * sizeof *w.sum) };
    PackPlan plan = { 0 };
    int      rc = 0;
    for (size_t i = begin; i < end && !rc; i++)
        rc = add_prompt(&w, x, rows, i, (int32_t)p->model->cfg.vocab, max_length, text, e);
    if (!rc)
        pack_plan(&plan, w.d, capacity, true, false, 0, 0);
    for (int64_t b = 0; b < plan.n_bins && !rc; b++) {
        if ((rc = score_stopped(h, begin, rows->n, e)) || (rc = run(p, w.d, plan.item + plan.first[b], plan.first[b + 1] - plan.first[b], e)))
            break;
        pool_batch(&w, p, x);
    }
    pack_plan_release(&plan);
    vec_release(&w.mark);
    free(w.sum);
    dataset_free(w.d);
    return rc;
}

static int check_finite(const Embeddings *x, const ScoreRows *rows, Err *e)
{
    for (int64_t i = 0; i < x->n * x->dim; i++)
        if (!isfinite(x->x[i]))
            return err_set(e, ERR_WORK, "%s, row %lld: the model's hidden state is not a finite number; its weights are damaged, or the training that "
                                        "made them had diverged", rows->name, (long long)(i / x->dim + 1));
    return 0;
}

int embed_rows(Embeddings *x, Model *m, const ScoreRows *rows, const EmbedOptions *o, Err *e)
{
    int64_t max_length = o->max_length, capacity = o->batch_tokens;
    Pass    p = { .model = m };
    ChatOut text = { 0 };
    int     rc = score_lengths(m, &max_length, &capacity, e);
    *x = (Embeddings){ .be = m->be, .n = (int64_t)rows->n, .dim = m->cfg.hidden };
    if (rc)
        return rc;
    x->x = calloc(rows->n + 1, (size_t)x->dim * sizeof *x->x);
    if (!x->x)
        return err_set(e, ERR_MEM, "%s: the vectors of %zu rows need %.1f GB of memory, and there is not so much; take fewer rows or a narrower model",
                       rows->name, rows->n, 4e-9 * (double)rows->n * (double)x->dim);
    tarena_init(&p.scratch, m->be);
    for (size_t begin = 0; begin < rows->n && !rc; begin += SCORE_WINDOW) {
        const size_t end = MIN(begin + SCORE_WINDOW, rows->n);
        if (!(rc = embed_window(x, &p, rows, begin, end, max_length, capacity, &text, &o->hooks, e)))
            score_progress(&o->hooks, end, rows->n);
    }
    if (!rc)
        rc = check_finite(x, rows, e);
    tarena_release(&p.scratch);
    microbatch_release(&p.batch);
    free(p.hidden);
    chat_out_release(&text);
    if (rc)
        embed_release(x);
    return rc;
}

void embed_release(Embeddings *x)
{
    free(x->x);
    *x = (Embeddings){ 0 };
}

static bool is_zero(const float *v, int64_t dim)
{
    for (int64_t j = 0; j < dim; j++)
        if (v[j] != 0)
            return false;
    return true;
}

/* sum[dim] of all rows, in double, in order of rows; how many are not zero. */
static int64_t sum_rows(const Embeddings *x, double *sum)
{
    int64_t count = 0;
    for (int64_t i = 0; i < x->n; i++) {
        const float *v = x->x + i * x->dim;
        count += !is_zero(v, x->dim);
        for (int64_t j = 0; j < x->dim; j++)
            sum[j] += (double)v[j];
    }
    return count;
}

void embed_centre(Embeddings *x)
{
    double       *sum = mem_zalloc((size_t)x->dim, sizeof *sum);
    const int64_t count = sum_rows(x, sum);
    for (int64_t i = 0; i < x->n; i++) {
        float *v = x->x + i * x->dim;
        if (is_zero(v, x->dim))
            continue;
        for (int64_t j = 0; j < x->dim; j++)
            v[j] = (float)((double)v[j] - sum[j] / (double)count);
        normalise(v, x->dim);
    }
    free(sum);
}

/* |sum of unit vectors|^2 is their number and twice the cosines of all pairs. */
double embed_mean_cosine(const Embeddings *x)
{
    double *sum = mem_zalloc((size_t)x->dim, sizeof *sum), square = 0;
    const double count = (double)sum_rows(x, sum);
    for (int64_t j = 0; j < x->dim; j++)
        square += sum[j] * sum[j];
    free(sum);
    return count < 2 ? 0 : (square - count) / (count * (count - 1));
}
