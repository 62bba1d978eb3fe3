/* pack.c - one epoch's order of examples in micro-batches, and the flat arrays of one micro-batch.
 * Main structs: PackPlan, MicroBatch (pack.h). Invariants: every example is in exactly one bin; no bin holds more than the capacity; the plan is a
 * function of the lengths, the capacity, the two switches, seed and epoch alone.
 *
 * The plan, exactly, so that another program can make the same one:
 *   1. order = 0 .. n-1. With shuffle: r = rng_at(seed, RNG_SHUFFLE, epoch, 0) and rng_shuffle(r, order) (rng.h: Fisher-Yates from the back).
 *   2. Without packing each example of the order is a bin.
 *   3. With packing the order is cut into windows: an example opens a new one when with it the window would hold more than PACK_WINDOW * capacity
 *      tokens. In each window the examples are sorted by length, longest first, equal lengths in the order of step 1; each goes into the
 *      first bin of this window with room for it, else into a new bin behind them (first fit decreasing, at most 11/9 of the best plus 6/9 bin; the window
 *      keeps examples of an epoch's beginning at its beginning and bounds the search).
 *   4. With shuffle and packing: rng_shuffle, with the same r going on, over the numbers of all bins; position b of the plan holds bin shuffled[b]. */
#include "data/pack.h"
#include "base/rng.h"

#include <stdlib.h>

typedef struct Item {
    int64_t example, n; /* its tokens */
    int64_t place;      /* in the order of the epoch */
    int64_t bin;        /* counted over all windows */
} Item;

typedef VEC(int64_t) Bins; /* tokens in each */

static int longest_first(const void *a, const void *b)
{
    const Item *x = a, *y = b;
    return x->n != y->n ? (x->n > y->n ? -1 : 1) : (x->place > y->place) - (x->place < y->place);
}

static void fill_window(Item *item, int64_t n, int64_t capacity, Bins *bins)
{
    size_t first = bins->n;
    qsort(item, (size_t)n, sizeof *item, longest_first);
    for (int64_t i = 0; i < n; i++) {
        size_t b = first;
        while (b < bins->n && bins->p[b] + item[i].n > capacity)
            b++;
        if (b == bins->n)
            *vec_push(bins) = 0;
        bins->p[b] += item[i].n;
        item[i].bin = (int64_t)b;
    }
}

static void fill_bins(Item *item, int64_t n, int64_t capacity, Bins *bins)
{
    int64_t begin = 0, tokens = 0;
    for (int64_t i = 0; i < n; i++) {
        if (i > begin && tokens + item[i].n > PACK_WINDOW * capacity) {
            fill_window(item + begin, i - begin, capacity, bins);
            begin = i;
            tokens = 0;
        }
        tokens += item[i].n;
    }
    fill_window(item + begin, n - begin, capacity, bins);
}

/* Gives the bins their places in the epoch. */
static void shuffle_bins(Item *item, int64_t n, int64_t n_bins, Rng *r)
{
    int64_t *shuffled = mem_alloc((size_t)n_bins * sizeof *shuffled), *place = mem_alloc((size_t)n_bins * sizeof *place);
    for (int64_t b = 0; b < n_bins; b++)
        shuffled[b] = b;
    rng_shuffle(r, shuffled, n_bins);
    for (int64_t b = 0; b < n_bins; b++)
        place[shuffled[b]] = b;
    for (int64_t i = 0; i < n; i++)
        item[i].bin = place[item[i].bin];
    free(shuffled);
    free(place);
}

void pack_plan(PackPlan *p, const DataSet *d, int64_t capacity, bool packing, bool shuffle, uint64_t seed, int64_t epoch)
{
    int64_t n = (int64_t)d->n, tokens = 0;
    Rng r = rng_at(seed, RNG_SHUFFLE, (uint64_t)epoch, 0);
    Bins bins = { 0 };
    BUG_ON(capacity < 1 || capacity > INT32_MAX);
    *p = (PackPlan){ .item = mem_zalloc(d->n, sizeof *p->item), .capacity = capacity };
    for (int64_t i = 0; i < n; i++)
        p->item[i] = i;
    if (shuffle)
        rng_shuffle(&r, p->item, n);

    Item *item = mem_zalloc(d->n, sizeof *item);
    for (int64_t i = 0; i < n; i++) {
        item[i] = (Item){ .example = p->item[i], .n = d->ex[p->item[i]].n, .place = i, .bin = i };
        BUG_ON(item[i].n > capacity); /* the caller's capacity is at least max_length */
        tokens += item[i].n;
    }
    p->n_bins = n;
    if (packing && n) {
        fill_bins(item, n, capacity, &bins);
        p->n_bins = (int64_t)bins.n;
        if (shuffle)
            shuffle_bins(item, n, p->n_bins, &r);
    }
    p->first = mem_zalloc((size_t)p->n_bins + 1, sizeof *p->first);
    for (int64_t i = 0; i < n; i++)
        p->first[item[i].bin + 1]++;
    for (int64_t b = 0; b < p->n_bins; b++)
        p->first[b + 1] += p->first[b];
    int64_t *next = mem_alloc((size_t)MAX(p->n_bins, 1) * sizeof *next);
    memcpy(next, p->first, (size_t)p->n_bins * sizeof *next);
    for (int64_t i = 0; i < n; i++) /* a bin's examples stand longest first already: they are of one window, in its order */
        p->item[next[item[i].bin]++] = item[i].example;
    free(next);
    p->pad_share = n ? 1.0 - (double)tokens / ((double)p->n_bins * (double)capacity) : 0.0;
    vec_release(&bins);
    free(item);
}

void pack_plan_release(PackPlan *p)
{
    free(p->item);
    free(p->first);
    *p = (PackPlan){ 0 };
}

static void microbatch_reserve(MicroBatch *m, int64_t n_tokens, int64_t n_seg)
{
    if (n_tokens > m->cap_tokens) {
        m->cap_tokens = (int32_t)n_tokens;
        int32_t **arrays[] = { &m->ids, &m->pos, &m->row, &m->target };
        for (size_t i = 0; i < ARRAY_LEN(arrays); i++)
            *arrays[i] = mem_realloc(*arrays[i], (size_t)n_tokens, sizeof(int32_t));
    }
    if (n_seg > m->cap_seg) {
        m->cap_seg = (int32_t)n_seg;
        m->seg_start = mem_realloc(m->seg_start, (size_t)n_seg, sizeof *m->seg_start);
        m->seg_len = mem_realloc(m->seg_len, (size_t)n_seg, sizeof *m->seg_len);
        m->example = mem_realloc(m->example, (size_t)n_seg, sizeof *m->example);
    }
}

void microbatch_fill(MicroBatch *m, const DataSet *d, const int64_t *examples, int64_t n)
{
    int64_t n_tokens = 0;
    for (int64_t i = 0; i < n; i++) {
        BUG_ON(examples[i] < 0 || (size_t)examples[i] >= d->n);
        n_tokens += d->ex[examples[i]].n;
    }
    BUG_ON(n_tokens > INT32_MAX);
    microbatch_reserve(m, n_tokens, n);
    m->n_tokens = m->n_seg = m->n_rows = 0;
    for (int64_t i = 0; i < n; i++) {
        const Example *x = &d->ex[examples[i]];
        m->seg_start[m->n_seg] = m->n_tokens;
        m->seg_len[m->n_seg] = x->n;
        m->example[m->n_seg++] = examples[i];
        for (int32_t t = 0; t < x->n; t++, m->n_tokens++) {
            m->ids[m->n_tokens] = x->ids[t];
            m->pos[m->n_tokens] = t;
            if (!x->train[t])
                continue;
            m->row[m->n_rows] = m->n_tokens - 1; /* train[0] is never 1, so this is a token of the same segment */
            m->target[m->n_rows++] = x->ids[t];
        }
    }
}

void microbatch_release(MicroBatch *m)
{
    free(m->ids);
    free(m->pos);
    free(m->seg_start);
    free(m->seg_len);
    free(m->example);
    free(m->row);
    free(m->target);
    *m = (MicroBatch){ 0 };
}
