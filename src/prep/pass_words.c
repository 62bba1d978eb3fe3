/* pass_words.c - what is asked and what is answered as one hash each, so that settle.c finds rows that ask the same and answer differently without holding
 * their texts. The same means the same words and punctuation marks, whatever the case and the spaces; of texts of more than LONG_TEXT bytes, the same bytes. */
#include "prep/prep_int.h"

#include <stdlib.h>

#include "base/mem.h"
#include "prep/row_checks.h"

#define LONG_TEXT ((size_t)4 << 20) /* cutting it into words would take several times its size */

typedef struct Words { Shingles **work; int threads; } Words; /* work: [threads] */

Shingles *row_asked_work(void)
{
    static const ShingleCfg cfg = { .words = 1, .keep_punct = true };
    return shingles_new(&cfg);
}

static int words_open(Prep *p, void **state, Err *e)
{
    Words *s = mem_zalloc(1, sizeof *s);
    (void)e;
    s->threads = pool_threads(p->pool);
    s->work = mem_zalloc((size_t)s->threads, sizeof *s->work);
    for (int i = 0; i < s->threads; i++)
        s->work[i] = row_asked_work();
    *state = s;
    return 0;
}

static uint64_t hash_words(Shingles *s, Str text)
{
    if (text.n > LONG_TEXT)
        return hash64(text.p, text.n) | 1;
    shingles_read(s, text);
    size_t n = shingles_words(s);
    return n ? shingles_run(s, 0, n) | 1 : 0; /* never the 0 of "none" */
}

static bool asks(const Record *r) { return r->kind == REC_CHAT || r->kind == REC_PAIR; }

uint64_t row_asked(const Record *r, Shingles *work)
{
    StrBuf   text = { 0 };
    uint64_t hash = 0;
    if (asks(r)) {
        record_question(r, &text);
        hash = hash_words(work, strbuf_str(&text));
    }
    strbuf_release(&text);
    return hash;
}

static void words_row(const void *state, RowWork *w)
{
    const Words *s = state;
    if (!asks(&w->rec))
        return;
    w->entry.asked = row_asked(&w->rec, s->work[w->worker]);
    strbuf_clear(&w->scratch);
    record_answer(&w->rec, &w->scratch);
    w->entry.answered = hash_words(s->work[w->worker], strbuf_str(&w->scratch));
}

static void words_close(void *state)
{
    Words *s = state;
    for (int i = 0; i < s->threads; i++)
        shingles_free(s->work[i]);
    free(s->work);
    free(s);
}

const Pass pass_words = { "words", false, words_open, words_row, words_close };
