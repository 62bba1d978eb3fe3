/* pass_duplicates.c - the part of de-duplication that looks at one row alone: its hash and its sketch (minhash.h). settle.c compares rows.
 * Where personal data gets a value of its own, texts that were the same stay the same, but for names that are told in one way of writing and not in
 * another ("Evan" and "EVAN"): so the hash is taken before personal data leaves (pass_exact), the sketch behind it, since settle.c verifies it on texts. */
#include "prep/prep_int.h"

#include <stdlib.h>

#include "base/mem.h"
#include "prep/minhash.h"

typedef struct Sketches {
    MinHash   *minhash;
    Shingles **work;   /* [threads] */
    int        threads;
} Sketches;

static int work_open(const Prep *p, void **state, Err *e)
{
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
    return 0;
}

static int exact_open(Prep *p, void **state, Err *e)
{
    const bool own_values = p->cfg.pii == PREP_PII_REPLACE || p->cfg.pii == PREP_PII_HASH;
    return p->cfg.duplicates != DUPLICATES_OFF && own_values ? work_open(p, state, e) : 0;
}

static void exact_row(const void *state, RowWork *w)
{
    const Sketches *s = state;
    StrBuf          text = { 0 };
    record_text(&w->rec, &text);
    w->exact = minhash_exact(s->minhash, s->work[w->worker], strbuf_str(&text));
    w->exact_known = true;
    strbuf_release(&text);
}

static int sketches_open(Prep *p, void **state, Err *e)
{
    if (p->cfg.duplicates == DUPLICATES_OFF)
        return 0;
    int rc = work_open(p, state, e);
    if (rc)
        return rc;
    const Sketches *s = *state;
    p->minhash = s->minhash;
    return 0;
}

static void sketches_row(const void *state, RowWork *w)
{
    const Sketches *s = state;
    StrBuf          text = { 0 };
    record_text(&w->rec, &text);
    minhash_row(s->minhash, s->work[w->worker], strbuf_str(&text), w->keys);
    if (w->exact_known)
        w->keys->exact = w->exact;
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

const Pass pass_exact = { "duplicates", false, exact_open, exact_row, sketches_close };
const Pass pass_duplicates = { "duplicates", false, sketches_open, sketches_row, sketches_close };
