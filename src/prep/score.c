/* score.c - see score.h. A window of rows becomes a set of examples, two for each row, that is packed and evaluated as a set for training is.
 * Main struct: Window. Invariant: the log-probabilities of an example lie at Part.first of `logp`, in the order of its trained tokens, whatever
 * micro-batch computed them. */
#include "prep/score.h"

#include <math.h>
#include <stdlib.h>

#include "data/encode.h"
#include "train/pass.h"

#define BATCH_MOST ((int64_t)1 << 24)

typedef struct Part { size_t first; int32_t n; } Part; /* of Window.logp; n 0: this text is not computed */
typedef struct RowParts { Part full, alone; int32_t skipped; } RowParts;

typedef struct Window {
    DataSet   *d;
    size_t     cap;                 /* of d->ex */
    size_t    *place;               /* [2 * SCORE_WINDOW] of each example: where its log-probabilities begin */
    RowParts   row[SCORE_WINDOW];
    float     *logp;                /* [n_logp] */
    size_t     n_logp, logp_cap;
    ChatOut    full, alone;
    PassCtx    pass;
} Window;

const char *score_note_name(ScoreNote n)
{
    static const char *const name[] = { [SCORE_WHOLE] = "whole", [SCORE_CUT_ANSWER] = "cut", [SCORE_OTHER_TOKENS] = "other tokens",
                                        [SCORE_REFUSED] = "refused", [SCORE_NOTHING_BEFORE] = "nothing before" };
    BUG_ON((size_t)n >= ARRAY_LEN(name));
    return name[n];
}

int score_lengths(Model *m, int64_t *max_length, int64_t *batch_tokens, Err *e)
{
    const int64_t positions = m->cfg.max_positions;
    if (!*max_length)
        *max_length = MIN(SCORE_LENGTH, positions);
    if (*max_length < 2 || *max_length > positions)
        return err_set(e, ERR_ARG, "the rows are to be cut at %lld tokens; expected are 2 to %lld, the positions of %s", (long long)*max_length,
                       (long long)positions, m->path);
    if (*batch_tokens < 0 || *batch_tokens > BATCH_MOST)
        return err_set(e, ERR_ARG, "%lld tokens are to be computed at once; expected are at most %lld", (long long)*batch_tokens, (long long)BATCH_MOST);
    *batch_tokens = MAX(*batch_tokens ? *batch_tokens : SCORE_BATCH, *max_length);
    return model_reserve_positions(m, *max_length, e);
}

/* Keeps the row's first `tokens` tokens with at most `trained` trained ones as an example; what follows the last trained token predicts nothing. */
static Part keep(Window *w, const ChatOut *row, int64_t tokens, size_t trained)
{
    size_t  n = MIN(row->ids.n, (size_t)tokens), end = 0, count = 0;
    for (size_t i = 1; i < n && count < trained; i++)
        if (row->mask.p[i]) {
            count++;
            end = i + 1;
        }
    if (!count)
        return (Part){ 0 };
    const Part p = { w->n_logp, (int32_t)count };
    w->place[w->d->n] = w->n_logp;
    w->n_logp += count;
    dataset_add(w->d, &w->cap, (Example){ .ids = row->ids.p, .train = row->mask.p, .n = (int32_t)end });
    return p;
}

static int add_row(Window *w, const ScoreRows *rows, size_t i, int64_t max_length, int32_t vocab, RowScore *s, RowParts *p, Err *e)
{
    const int rc = score_row_encode(rows, i, vocab, &w->full, e);
    if (rc)
        return rc;
    *s = (RowScore){ .tokens = (int32_t)w->full.ids.n, .trained = (int32_t)score_trained(&w->full), .cut = w->full.ids.n > (size_t)max_length };
    *p = (RowParts){ .full = keep(w, &w->full, max_length, SIZE_MAX) };
    if (p->full.n < s->trained)
        s->note = SCORE_CUT_ANSWER;
    if (!p->full.n)
        return 0;
    const ScoreAlone a = score_row_alone(rows, i, vocab, &w->full, &w->alone, &p->skipped);
    if (a != ALONE_SAME)
        s->note = a == ALONE_DIFFERS ? SCORE_OTHER_TOKENS : SCORE_REFUSED;
    else if (p->full.n == p->skipped)
        s->note = SCORE_NOTHING_BEFORE;
    else
        p->alone = keep(w, &w->alone, max_length, (size_t)(p->full.n - p->skipped));
    return 0;
}

static double mean_loss(const Window *w, size_t first, int32_t n)
{
    double sum = 0;
    for (size_t i = first; i < first + (size_t)n; i++)
        sum -= (double)w->logp[i];
    return n ? sum / n : NAN;
}

static void finish_row(const Window *w, const RowParts *p, RowScore *s)
{
    s->scored = p->full.n;
    s->compared = p->alone.n;
    s->loss = mean_loss(w, p->full.first, p->full.n);
    s->perplexity = exp(s->loss);
    s->given = p->alone.n ? mean_loss(w, p->full.first + (size_t)p->skipped, p->alone.n) : NAN;
    s->alone = mean_loss(w, p->alone.first, p->alone.n);
    s->ifd_loss = s->given / s->alone;
    s->ifd_perplexity = exp(s->given - s->alone);
}

static int evaluate(Window *w, int64_t capacity, const ScoreOptions *o, size_t done, size_t of, Err *e)
{
    PackPlan plan;
    int      rc = 0;
    if (w->logp_cap < w->n_logp) {
        w->logp_cap = w->n_logp;
        w->logp = mem_realloc(w->logp, w->logp_cap, sizeof *w->logp);
    }
    pack_plan(&plan, w->d, capacity, true, false, 0, 0);
    for (int64_t b = 0; b < plan.n_bins && !rc; b++) {
        double        nll = 0;
        const int64_t first = plan.first[b], n = plan.first[b + 1] - first;
        if ((rc = score_stopped(&o->hooks, done, of, e)) || (rc = pass_eval(&w->pass, w->d, plan.item + first, n, &nll, e)))
            break;
        const float *from = w->pass.logp;
        for (int32_t i = 0; i < w->pass.batch.n_seg; i++) {
            const int64_t x = w->pass.batch.example[i];
            memcpy(w->logp + w->place[x], from, (size_t)w->d->ex[x].n_train * sizeof *from);
            from += w->d->ex[x].n_train;
        }
    }
    pack_plan_release(&plan);
    return rc;
}

/* Rows [begin, end), of which those from `first` on are wanted. */
static int score_window(Window *w, const ScoreRows *rows, size_t begin, size_t end, const ScoreOptions *o, int64_t max_length, int64_t capacity,
                        RowScore *out, Err *e)
{
    RowScore score[SCORE_WINDOW];
    int      rc = 0;
    w->d = mem_zalloc(1, sizeof *w->d);
    w->cap = w->n_logp = 0;
    for (size_t i = begin; i < end && !rc; i++)
        rc = add_row(w, rows, i, max_length, (int32_t)w->pass.model->cfg.vocab, &score[i - begin], &w->row[i - begin], e);
    if (!rc)
        rc = evaluate(w, capacity, o, MAX(begin, o->first), rows->n, e);
    for (size_t i = begin; i < end && !rc; i++) {
        if (i < o->first)
            continue;
        finish_row(w, &w->row[i - begin], &score[i - begin]);
        if (score[i - begin].scored && !isfinite(score[i - begin].loss)) {
            rc = err_set(e, ERR_WORK, "%s, row %zu: the model's loss is not a finite number; its weights are damaged, or the training that made them had "
                                      "diverged", rows->name, i + 1);
            break;
        }
        out[i] = score[i - begin];
        if (o->scored)
            o->scored(o->hooks.user, i, &out[i]);
    }
    dataset_free(w->d);
    w->d = NULL;
    return rc;
}

int score_rows(Model *m, const ScoreRows *rows, const ScoreOptions *o, RowScore *out, Err *e)
{
    int64_t max_length = o->max_length, capacity = o->batch_tokens;
    int     rc = score_lengths(m, &max_length, &capacity, e);
    if (rc)
        return rc;
    Window *w = mem_zalloc(1, sizeof *w);
    w->place = mem_zalloc((size_t)2 * SCORE_WINDOW, sizeof *w->place);
    pass_open(&w->pass, m, NULL);
    for (size_t begin = o->first / SCORE_WINDOW * SCORE_WINDOW; begin < rows->n && !rc; begin += SCORE_WINDOW) {
        const size_t end = MIN(begin + SCORE_WINDOW, rows->n);
        if (!(rc = score_window(w, rows, begin, end, o, max_length, capacity, out, e)))
            score_progress(&o->hooks, end, rows->n);
    }
    pass_close(&w->pass);
    chat_out_release(&w->full);
    chat_out_release(&w->alone);
    free(w->place);
    free(w->logp);
    free(w);
    return rc;
}
