/* advice.c - see advice.h. */
#include "train/advice.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/thread.h"
#include "tensor/inspect.h"

static Hash128 hash_of(const Example *x) { return xxh3_128(x->ids, (size_t)x->n * sizeof *x->ids); }

static Str key_of(const Hash128 *h) { return (Str){ (const char *)h, sizeof *h }; }

/* Held-out rows that are also trained on measure memory, not skill. */
void advise_on_overlap(const TrainRun *r)
{
    Map    *held = map_new(); /* how many of them say the same; 0: counted */
    int64_t both = 0, n;
    for (size_t i = 0; r->held_out && i < r->held_out->n; i++) {
        const Hash128 h = hash_of(&r->held_out->ex[i]);
        n = 0;
        map_get(held, key_of(&h), &n);
        map_put(held, key_of(&h), n + 1);
    }
    for (size_t i = 0; map_count(held) && i < r->train->n; i++) {
        const Hash128 h = hash_of(&r->train->ex[i]);
        if (map_get(held, key_of(&h), &n) && n) {
            both += n;
            map_put(held, key_of(&h), 0);
        }
    }
    if (both)
        log_warn("train", "%lld of %zu held-out rows are also training rows; their loss says how well they are remembered, not what was learnt",
                 (long long)both, r->held_out->n);
    map_free(held);
}

#define ROWS_AT_ONCE 256
#define LANES        16 /* sums that run side by side: without them one addition would wait for the other */

#define FIRST        128 /* numbers of a row that tell nearly all others from it */

typedef struct Likeness { const Tensor *head; const float *row; double norm; int64_t end; _Atomic int64_t same; } Likeness; /* norms are squared here */

/* x . y and y . y, of n numbers */
static void products(const float *x, const float *y, int64_t n, double *xy, double *yy)
{
    float dot[LANES] = { 0 }, square[LANES] = { 0 };
    int64_t k = 0;
    for (; k + LANES <= n; k += LANES)
        for (int j = 0; j < LANES; j++) {
            dot[j] += x[k + j] * y[k + j];
            square[j] += y[k + j] * y[k + j];
        }
    *xy = *yy = 0;
    for (; k < n; k++) {
        *xy += (double)x[k] * (double)y[k];
        *yy += (double)y[k] * (double)y[k];
    }
    for (int j = 0; j < LANES; j++) {
        *xy += (double)dot[j];
        *yy += (double)square[j];
    }
}

#define UNLIKE 0.002 /* 1 - cosine^2 of a cosine of about 0.999 */

/* What is left of x, of norm xx, when the best multiple of y has been taken from it. */
static double rest(double xx, double xy, double yy) { return yy > 0 ? xx - xy * xy / yy : xx; }

/* Of the first numbers alone no more can be left than of all; of two rows that have nothing to do with each other it is too much already. */
static bool is_like(const Likeness *l, const Tensor *row, float *y)
{
    const int64_t width = tensor_cols(row), block = dtype_block(row->dtype), first = MIN(width, (FIRST + block - 1) / block * block);
    const Tensor  begin = tensor_col_view(row, 0, first);
    double        xy, yy, xx;
    tensor_get(&begin, y);
    products(l->row, l->row, first, &xy, &xx);
    products(l->row, y, first, &xy, &yy);
    if (rest(xx, xy, yy) > UNLIKE * l->norm || (l->norm == 0 && yy > 0))
        return false;
    tensor_get(row, y);
    products(l->row, y, width, &xy, &yy);
    return l->norm == 0 ? yy == 0 : yy > 0 && rest(l->norm, xy, yy) < UNLIKE * l->norm;
}

static void compare_rows(void *ctx, int64_t piece, int worker)
{
    Likeness     *l = ctx;
    const int64_t end = MIN(tensor_rows(l->head), (piece + 1) * ROWS_AT_ONCE);
    float        *y = mem_alloc((size_t)tensor_cols(l->head) * sizeof *y);
    int64_t       same = 0;
    (void)worker;
    for (int64_t i = piece * ROWS_AT_ONCE; i < end; i++) {
        const Tensor row = tensor_row_view(l->head, i, 1);
        same += i != l->end && is_like(l, &row, y);
    }
    free(y);
    atomic_fetch_add(&l->same, same);
}

/* An end token whose row in the head equals many others was never trained: an adapter on the linears cannot tell it from them, so answers
 * trained with it would not end (their loss cannot fall below the log of the number of such rows). Conversations end with their own token. */
int advise_on_end_token(const TrainRun *r, Err *e)
{
    const Tensor *head = r->model->head_w;
    const int32_t end = r->train->file[0].kind == DATA_MESSAGES ? chat_terminator(r->tok, NULL) : tok_eos(r->tok);
    double        ignored;
    if (r->cfg.objective != GOAL_SFT || !r->adapter || end < 0)
        return 0;
    float   *x = mem_alloc((size_t)tensor_cols(head) * sizeof *x);
    Tensor   row = tensor_row_view(head, end, 1);
    Likeness l = { .head = head, .row = x, .end = end };
    Pool    *pool = pool_new(r->be->threads);
    tensor_get(&row, x);
    products(x, x, tensor_cols(head), &ignored, &l.norm);
    parallel_for(pool, (tensor_rows(head) + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE, compare_rows, &l);
    pool_free(pool);
    free(x);
    if (l.same)
        log_warn("train", "the end token of answers was never trained in this model: %lld other tokens have the same row in its head, and an adapter cannot "
                 "tell them apart, so answers will not end well; method full can learn it", (long long)l.same);
    return r->be->sync(r->be, e);
}
