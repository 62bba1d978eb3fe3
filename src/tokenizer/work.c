/* work.c - the state of one encode call: the text as it stands, its pieces, and (when asked for) where each byte came from.
 *
 * A step that only cuts writes new pieces (Work.next) and swaps. A step that rewrites writes a whole new text beside the old one and its pieces
 * with it, then flips. Two buffers are enough because a step reads only the text before it. Work objects are kept on a list in the Tok and
 * reused, so that a stream of short calls neither allocates nor forgets its cache of words; the list is the only mutable part of a Tok.
 *
 * Invariants: pieces are in order, never empty, and cut between characters; finished pieces (id >= 0) hold offsets in the user's text. */
#include <stdlib.h>

#include "base/utf8.h"
#include "tokenizer/tok_int.h"

#define WORK_KEEP_MAX ((size_t)16 << 20) /* bytes of buffers that an idle Work may hold on to */

void work_start(Work *w, Str text, bool aligned)
{
    w->text = text;
    w->align = NULL;
    w->aligned = aligned;
    w->turn = 0;
    w->text_max = MIN(TOK_TEXT_MAX, text.n * TOK_GROWTH_MAX + ((size_t)64 << 10));
    vec_clear(&w->pieces);
    if (text.n)
        *vec_push(&w->pieces) = (Piece){ 0, (uint32_t)text.n, -1 };
    if (!aligned)
        return;
    vec_clear(&w->from[1]); /* the first rewriting step writes to turn 0 */
    for (size_t i = 0; i < text.n;) {
        size_t end = i + 1;
        while (end < text.n && ((unsigned char)text.p[end] & 0xC0) == 0x80)
            end++;
        for (Align from = { { (uint32_t)i, (uint32_t)end }, (uint32_t)i }; i < end; i++)
            *vec_push(&w->from[1]) = from;
    }
    w->align = w->from[1].p;
}

void work_begin_write(Work *w)
{
    strbuf_clear(&w->buf[w->turn]);
    w->buf[w->turn].max = w->text_max;
    w->buf[w->turn].over = false;
    vec_clear(&w->from[w->turn]);
    vec_clear(&w->next);
}

int work_end_write(Work *w, Err *e)
{
    if (w->buf[w->turn].over)
        return err_set(e, ERR_INPUT, "the normalizer of the tokenizer makes the text longer than %zu bytes, which is more than hone accepts", w->text_max);
    w->text = strbuf_str(&w->buf[w->turn]);
    w->align = w->aligned ? w->from[w->turn].p : NULL;
    w->turn ^= 1;
    work_swap_pieces(w);
    return 0;
}

void work_swap_pieces(Work *w)
{
    Pieces was = w->pieces;
    w->pieces = w->next;
    w->next = was;
}

void work_put(Work *w, const char *p, size_t n, Align from)
{
    strbuf_add(&w->buf[w->turn], p, n);
    for (size_t i = 0; w->aligned && i < n && !w->buf[w->turn].over; i++)
        *vec_push(&w->from[w->turn]) = from;
}

void work_copy(Work *w, size_t begin, size_t end)
{
    strbuf_add(&w->buf[w->turn], w->text.p + begin, end - begin);
    for (size_t i = begin; w->aligned && i < end && !w->buf[w->turn].over; i++)
        *vec_push(&w->from[w->turn]) = w->align[i];
}

/* The library counts in characters, one number per character written: 0, it replaces the next old one; -n, and n more behind that go with it;
 * 1, it is new and begins where the old one before it does. We count as it does, also where its count is off: it decides who is first. */
void work_origins(Work *w, size_t begin, size_t end, size_t written)
{
    Align *to = w->from[w->turn].p;
    size_t at = begin, n = w->from[w->turn].n;
    uint32_t cp;
    for (size_t i = written, k = 0; i < n; k++) {
        int change = w->changes.p[k];
        uint32_t origin = w->align[change > 0 && at > begin ? at - 1 : MIN(at, end - 1)].origin;
        for (size_t next = i + (size_t)utf8_decode(w->buf[w->turn].p + i, n - i, &cp); i < next; i++)
            to[i].origin = origin;
        for (; change <= 0 && at < end; change++)
            at += (size_t)utf8_decode(w->text.p + at, end - at, &cp);
    }
}

size_t work_written(const Work *w)
{
    return w->buf[w->turn].n;
}

Align work_align(const Work *w, size_t begin, size_t end)
{
    if (!w->aligned)
        return (Align){ 0 };
    Align a = w->align[begin];
    a.span.end = MAX(a.span.begin, w->align[end - 1].span.end);
    return a;
}

TokSpan work_span(const Work *w, size_t begin, size_t end)
{
    return work_align(w, begin, end).span;
}

Step *step_add(StepParse *sp, StepKind kind, Err *e)
{
    if (sp->out->n >= TOK_STEPS_MAX) {
        err_set(e, ERR_INPUT, "%s: more than %d steps in one list", sp->where, TOK_STEPS_MAX);
        return NULL;
    }
    Step *s = vec_push(sp->out);
    s->kind = kind;
    return s;
}

void steps_release(Steps *steps)
{
    for (size_t i = 0; i < steps->n; i++) {
        pattern_release(&steps->p[i].pattern);
        charsmap_free(steps->p[i].charsmap);
    }
    vec_release(steps);
}

int steps_run(Work *w, const Steps *steps, Err *e)
{
    int rc = 0;
    for (size_t i = 0; i < steps->n && !rc; i++)
        rc = steps->p[i].kind == STEP_SPLIT ? step_split(w, &steps->p[i], e) : step_rewrite(w, &steps->p[i], e);
    return rc;
}

Work *work_new(void)
{
    Work *w = mem_zalloc(1, sizeof *w);
    w->matcher = matcher_new();
    w->bpe = bpe_scratch_new();
    return w;
}

void work_free(Work *w)
{
    if (!w)
        return;
    for (int i = 0; i < 2; i++) {
        strbuf_release(&w->buf[i]);
        vec_release(&w->from[i]);
    }
    vec_release(&w->changes);
    strbuf_release(&w->tmp);
    vec_release(&w->pieces);
    vec_release(&w->next);
    vec_release(&w->cuts);
    vec_release(&w->path);
    matcher_free(w->matcher);
    bpe_scratch_free(w->bpe);
    free(w);
}

/* The lock and the list are the mutable part of a const Tok, hence the casts. */
Work *tok_work_take(const Tok *t)
{
    Tok *m = (Tok *)(uintptr_t)t;
    pthread_mutex_lock(&m->lock);
    Work *w = m->idle;
    if (w)
        m->idle = w->free_next;
    pthread_mutex_unlock(&m->lock);
    return w ? w : work_new();
}

void tok_work_give(const Tok *t, Work *w)
{
    Tok *m = (Tok *)(uintptr_t)t;
    size_t held = w->buf[0].cap + w->buf[1].cap + (w->from[0].cap + w->from[1].cap) * sizeof(Align) + w->changes.cap * sizeof(int) +
                  (w->pieces.cap + w->next.cap) * sizeof(Piece) + w->cuts.cap * sizeof(Cut) + w->path.cap * sizeof(PathNode) + bpe_scratch_held(w->bpe);
    if (held > WORK_KEEP_MAX) {
        work_free(w);
        return;
    }
    pthread_mutex_lock(&m->lock);
    w->free_next = m->idle;
    m->idle = w;
    pthread_mutex_unlock(&m->lock);
}
