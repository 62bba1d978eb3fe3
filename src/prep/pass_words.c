/* pass_words.c - what is asked and what is answered as one hash each, so that settle.c finds rows that ask the same and answer differently without holding
 * their texts. The same means the same words and punctuation marks, whatever the case and the spaces; of texts of more than LONG_TEXT bytes, the same bytes. */
#include "prep/prep_int.h"

#include <stdlib.h>

#include "base/mem.h"
#include "prep/minhash_shingle.h"

#define LONG_TEXT ((size_t)4 << 20) /* cutting it into words would take several times its size */

typedef struct Words { Shingles **work; int threads; } Words; /* work: [threads] */

static int words_open(Prep *p, void **state, Err *e)
{
    static const ShingleCfg cfg = { .words = 1, .keep_punct = true };
    Words *s = mem_zalloc(1, sizeof *s);
    (void)e;
    s->threads = pool_threads(p->pool);
    s->work = mem_zalloc((size_t)s->threads, sizeof *s->work);
    for (int i = 0; i < s->threads; i++)
        s->work[i] = shingles_new(&cfg);
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

static void words_row(const void *state, RowWork *w)
{
    const Words *s = state;
    if (w->rec.kind != REC_CHAT && w->rec.kind != REC_PAIR)
        return;
    strbuf_clear(&w->scratch);
    record_question(&w->rec, &w->scratch);
    w->entry.asked = hash_words(s->work[w->worker], strbuf_str(&w->scratch));
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
