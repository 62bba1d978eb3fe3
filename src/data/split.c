/* split.c - holds a part of the rows out, so that the loss can be measured on text that was not trained on.
 * A unit is what must not be torn apart: all pieces of one row (same file and line). The units of all JSONL files are one pool; each gets the
 * first 64 bits drawn at (seed, RNG_SPLIT, hash of its tokens), and those with the smallest draws are held out. So the choice hangs on the seed and
 * on what a row says, not on where it stands, and copies of a row, which have the same draw, go to the same side. Neighbouring pieces of a raw text
 * are told apart by nothing but their place, so there the last pieces of each text are held out.
 * Invariant: both sides keep the order of the files, and every example is on exactly one side. */
#include "data/data_int.h"
#include "base/rng.h"

#include <math.h>
#include <stdlib.h>

typedef struct Unit {
    uint64_t draw;
    size_t   first, n; /* examples */
} Unit;
typedef VEC(Unit) Units;

static uint64_t draw_of(const DataSet *d, uint64_t seed, size_t first, size_t n)
{
    uint64_t hash = 0;
    for (size_t i = first; i < first + n; i++) {
        uint64_t part[2] = { hash, hash64(d->ex[i].ids, (size_t)d->ex[i].n * sizeof *d->ex[i].ids) };
        hash = hash64(part, sizeof part);
    }
    Rng r = rng_at(seed, RNG_SPLIT, hash, 0);
    uint64_t high = rng_u32(&r);
    return high << 32 | rng_u32(&r);
}

static int by_draw(const void *a, const void *b)
{
    const Unit *x = a, *y = b;
    return x->draw != y->draw ? (x->draw < y->draw ? -1 : 1) : (x->first > y->first) - (x->first < y->first);
}

static size_t share(double fraction, size_t n)
{
    return n < 2 ? 0 : MIN(MAX((size_t)llround(fraction * (double)n), (size_t)1), n - 1);
}

/* How many of the sorted units to take: the share, moved to the next border between rows that differ. */
static size_t share_of_rows(double fraction, const Units *u)
{
    size_t take = share(fraction, u->n), up = take, down = take;
    while (up > 0 && up < u->n && u->p[up].draw == u->p[up - 1].draw)
        up++;
    while (down > 0 && down < u->n && u->p[down].draw == u->p[down - 1].draw)
        down--;
    if (up < u->n)
        return up;
    return down > 0 ? down : take; /* all rows are copies of one */
}

/* Marks what is held out; returns how many examples. */
static size_t mark(const DataSet *d, double fraction, uint64_t seed, bool *held)
{
    Units rows = { 0 };
    size_t n_held = 0;
    for (size_t i = 0, end; i < d->n; i = end) {
        bool raw = d->file[d->ex[i].file].kind == DATA_RAW_TEXT;
        for (end = i + 1; end < d->n && d->ex[end].file == d->ex[i].file && (raw || d->ex[end].line == d->ex[i].line);)
            end++;
        if (!raw)
            *vec_push(&rows) = (Unit){ draw_of(d, seed, i, end - i), i, end - i };
        size_t last = raw ? share(fraction, end - i) : 0;
        for (size_t k = end - last; k < end; k++, n_held++)
            held[k] = true;
    }
    if (rows.n)
        qsort(rows.p, rows.n, sizeof *rows.p, by_draw);
    for (size_t i = 0, take = share_of_rows(fraction, &rows); i < take; i++)
        for (size_t k = rows.p[i].first; k < rows.p[i].first + rows.p[i].n; k++, n_held++)
            held[k] = true;
    vec_release(&rows);
    return n_held;
}

int dataset_split(DataSet *d, double fraction, uint64_t seed, DataSet **held_out, Err *e)
{
    *held_out = NULL;
    if (!(fraction > 0 && fraction < 1))
        return err_set(e, ERR_ARG, "the share of rows to hold out is %g; expected is a number between 0 and 1, such as 0.1", fraction);
    bool *held = mem_zalloc(d->n, sizeof *held);
    if (!mark(d, fraction, seed, held)) {
        free(held);
        return err_set(e, ERR_INPUT, "%s: one row or piece of text cannot be split into a part to train on and a part to evaluate on; name a second file "
                                     "with --eval", d->file[0].path);
    }
    DataSet *h = mem_zalloc(1, sizeof *h);
    h->file = arena_zalloc(&h->arena, d->n_files, sizeof *h->file);
    for (; h->n_files < d->n_files; h->n_files++) {
        h->file[h->n_files] = d->file[h->n_files];
        h->file[h->n_files].path = arena_strdup(&h->arena, d->file[h->n_files].path);
    }
    size_t cap = 0, kept = 0;
    for (size_t i = 0; i < d->n; i++) {
        if (held[i])
            dataset_add(h, &cap, d->ex[i]);
        else
            d->ex[kept++] = d->ex[i];
    }
    d->n = kept;
    dataset_count(d);
    dataset_count(h);
    free(held);
    *held_out = h;
    return 0;
}
