/* advice.c - see advice.h. */
#include "train/advice.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "tensor/inspect.h"

/* Held-out rows that are also trained on measure memory, not skill. */
void advise_on_overlap(const TrainRun *r)
{
    Map    *seen = map_new();
    int64_t both = 0, dummy;
    for (size_t i = 0; i < r->train->n; i++)
        map_put(seen, (Str){ (const char *)r->train->ex[i].ids, (size_t)r->train->ex[i].n * sizeof(int32_t) }, 1);
    for (size_t i = 0; r->held_out && i < r->held_out->n; i++)
        both += map_get(seen, (Str){ (const char *)r->held_out->ex[i].ids, (size_t)r->held_out->ex[i].n * sizeof(int32_t) }, &dummy);
    if (both)
        log_warn("train", "%lld of %zu held-out rows are also training rows; their loss says how well they are remembered, not what was learnt",
                 (long long)both, r->held_out->n);
    map_free(seen);
}

#define ROWS_AT_ONCE 1024

/* An end token whose row in the head equals many others was never trained: an adapter on the linears cannot tell it from them, so answers
 * trained with it would not end (their loss cannot fall below the log of the number of such rows). Conversations end with their own token. */
int advise_on_end_token(const TrainRun *r, Err *e)
{
    const Tensor *head = r->model->head_w;
    const int64_t width = tensor_cols(head), rows = tensor_rows(head);
    const int32_t end = r->train->file[0].kind == DATA_MESSAGES ? chat_terminator(r->tok, NULL) : tok_eos(r->tok);
    int64_t       same = 0;
    if (r->cfg.objective != GOAL_SFT || !r->adapter || end < 0)
        return 0;
    float *x = mem_alloc((size_t)width * sizeof *x), *w = mem_alloc((size_t)(width * ROWS_AT_ONCE) * sizeof *w);
    Tensor row = tensor_row_view(head, end, 1);
    tensor_get(&row, x);
    double nx = 0;
    for (int64_t k = 0; k < width; k++)
        nx += (double)x[k] * (double)x[k];
    for (int64_t first = 0; first < rows; first += ROWS_AT_ONCE) {
        const int64_t n = MIN(rows - first, ROWS_AT_ONCE);
        Tensor        part = tensor_row_view(head, first, n);
        tensor_get(&part, w);
        for (int64_t i = 0; i < n; i++) {
            double dot = 0, ny = 0;
            for (int64_t k = 0; k < width; k++) {
                dot += (double)x[k] * (double)w[i * width + k];
                ny += (double)w[i * width + k] * (double)w[i * width + k];
            }
            same += first + i != end && (nx == 0 ? ny == 0 : dot * dot > 0.998 * nx * ny); /* cosine above 0.999 */
        }
    }
    free(x);
    free(w);
    if (same)
        log_warn("train", "the end token of answers was never trained in this model: %lld other tokens have the same row in its head, and an adapter cannot "
                 "tell them apart, so answers will not end well; method full can learn it", (long long)same);
    return r->be->sync(r->be, e);
}
