/* pass_duplicates.c - the part of de-duplication that looks at one row alone: its hash and its sketch (minhash.h). settle.c compares rows. */
#include "prep/prep_int.h"

#include <stdlib.h>

#include "base/mem.h"
#include "prep/dedupe.h"

typedef struct Sketches {
    MinHash   *minhash;
    Shingles **work;   /* [threads] */
    int        threads;
} Sketches;

static int sketches_open(Prep *p, void **state, Err *e)
{
    if (p->cfg.duplicates == DUPLICATES_OFF)
        return 0;
    Sketches  *s = mem_zalloc(1, sizeof *s);
    MinHashCfg cfg = { .threshold = p->cfg.near };
    *state = s;
    int rc = minhash_new(&s->minhash, &cfg, e);
    if (rc)
        return rc;
    s->threads = pool_threads(p->pool);
    s->work = mem_zalloc((size_t)s->threads, sizeof *s->work);
    for (int i = 0; i < s->threads; i++)
        s->work[i] = minhash_shingles(s->minhash);
    p->keys_bytes = sizeof(MinHashRow) - (size_t)(MINHASH_BANDS_MAX - minhash_cfg(s->minhash)->bands) * sizeof(uint32_t);
    p->dedupe = dedupe_new(s->minhash, 0);
    return 0;
}

static void sketches_row(const void *state, RowWork *w)
{
    const Sketches *s = state;
    StrBuf          text = { 0 };
    record_text(&w->rec, &text);
    minhash_row(s->minhash, s->work[w->worker], strbuf_str(&text), w->keys);
    if (text.n > MINHASH_TEXT_MAX)
        row_note(w, "duplicates", "longer than 4 MiB: compared with exact copies only", (double)text.n, NULL);
    strbuf_release(&text);
}

static void sketches_close(void *state)
{
    Sketches *s = state;
    for (int i = 0; i < s->threads; i++)
        shingles_free(s->work[i]);
    free(s->work);
    minhash_free(s->minhash);
    free(s);
}

const Pass pass_duplicates = { "duplicates", false, sketches_open, sketches_row, sketches_close };
