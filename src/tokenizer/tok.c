/* tok.c - the interface of the room: encode, and questions about entries. (Decoding and streams: decode.c; opening: tok_load.c.)
 *
 * One call of encode takes a Work from the Tok, walks the row of steps told in tok_int.h, and gives it back. Nothing of the Tok changes
 * but that list, so any number of threads may encode with the same Tok. */
#include "base/utf8.h"
#include "tokenizer/tok_int.h"

static int encode_pieces(const Tok *t, Work *w, bool plain, TokIds *ids, TokSpans *spans, Err *e)
{
    int rc = 0;
    bool guard = plain && t->makes_special;
    added_cut(w, &t->added, &t->added.raw[plain]);
    rc = steps_run(w, &t->normal, e);
    if (rc)
        return rc;
    added_cut(w, &t->added, &t->added.norm[plain]);
    rc = steps_run(w, &t->pretok, e);
    for (size_t i = 0; i < w->pieces.n && !rc; i++) {
        const Piece *p = &w->pieces.p[i];
        if (p->id < 0) {
            rc = t->model->encode(t, w, p, guard, ids, spans, e);
            continue;
        }
        *vec_push(ids) = p->id;
        if (spans)
            *vec_push(spans) = (TokSpan){ p->begin, p->end };
    }
    return rc;
}

static void put_template(const TokIds *template, uint32_t at, TokIds *ids, TokSpans *spans)
{
    for (size_t i = 0; i < template->n; i++) {
        *vec_push(ids) = template->p[i];
        if (spans)
            *vec_push(spans) = (TokSpan){ at, at };
    }
}

static int encode_with(const Tok *t, Work *w, Str text, unsigned flags, TokIds *ids, TokSpans *spans, Err *e)
{
    size_t bad, n_ids = ids->n, n_spans = spans ? spans->n : 0;
    if (text.n > TOK_TEXT_MAX)
        return err_set(e, ERR_INPUT, "a text of %zu bytes is longer than the %zu that hone tokenises at once", text.n, TOK_TEXT_MAX);
    if (!utf8_valid(text, &bad))
        return err_set(e, ERR_INPUT, "the text is not valid UTF-8 at byte %zu", bad);
    work_start(w, text, spans || t->needs_align);
    if (flags & TOK_SPECIAL)
        put_template(&t->before, 0, ids, spans);
    int rc = encode_pieces(t, w, flags & TOK_PLAIN, ids, spans, e);
    if (flags & TOK_SPECIAL)
        put_template(&t->after, (uint32_t)text.n, ids, spans);
    if (rc) {
        ids->n = n_ids;
        if (spans)
            spans->n = n_spans;
    }
    return rc;
}

static int encode(const Tok *t, Str text, unsigned flags, TokIds *ids, TokSpans *spans, Err *e)
{
    Work *w = tok_work_take(t);
    int rc = encode_with(t, w, text, flags, ids, spans, e);
    tok_work_give(t, w);
    return rc;
}

int tok_encode(const Tok *t, Str text, unsigned flags, TokIds *ids, Err *e)
{
    return encode(t, text, flags, ids, NULL, e);
}

int tok_encode_spans(const Tok *t, Str text, unsigned flags, TokIds *ids, TokSpans *spans, Err *e)
{
    return encode(t, text, flags, ids, spans, e);
}

/* --- many texts ------------------------------------------------------------------------------------------------------------------- */

#define MANY_BYTES ((size_t)64 << 10) /* of text in one share: enough to forget the cost of handing it out */

typedef struct Share { size_t first, end, bad; int rc; Err err; } Share;
typedef struct Many { const Tok *t; const Str *texts; unsigned flags; TokIds *ids; VEC(Share) shares; } Many;

static void encode_share(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    Many *m = ctx;
    Share *s = &m->shares.p[piece];
    Work *w = tok_work_take(m->t);
    for (size_t i = s->first; i < s->end && !s->rc; i++) {
        s->rc = encode_with(m->t, w, m->texts[i], m->flags, &m->ids[i], NULL, &s->err);
        s->bad = i;
    }
    tok_work_give(m->t, w);
}

int tok_encode_many(const Tok *t, Pool *pool, const Str *texts, size_t n, unsigned flags, TokIds *ids, size_t *bad, Err *e)
{
    Many m = { .t = t, .texts = texts, .flags = flags, .ids = ids };
    for (size_t i = 0, nbytes = MANY_BYTES; i < n; i++) {
        if (nbytes >= MANY_BYTES) {
            *vec_push(&m.shares) = (Share){ .first = i };
            nbytes = 0;
        }
        nbytes += texts[i].n + 16;
        m.shares.p[m.shares.n - 1].end = i + 1;
    }
    parallel_for(pool, (int64_t)m.shares.n, encode_share, &m);
    int rc = 0;
    for (size_t k = 0; k < m.shares.n && !rc; k++) {
        rc = m.shares.p[k].rc;
        if (rc && e)
            *e = m.shares.p[k].err;
        if (rc && bad)
            *bad = m.shares.p[k].bad;
    }
    vec_release(&m.shares);
    return rc;
}

int32_t tok_size(const Tok *t)
{
    return t->size;
}

bool tok_find(const Tok *t, Str token, int32_t *id)
{
    int64_t found;
    if (map_get(t->added.by_content, token, &found))
        *id = t->added.list.p[found].id;
    else if (map_get(t->vocab, token, &found))
        *id = (int32_t)found;
    else
        return false;
    return true;
}

Str tok_text(const Tok *t, int32_t id)
{
    return id >= 0 && id < t->size ? t->entries[id].text : (Str){ NULL, 0 };
}

bool tok_is_special(const Tok *t, int32_t id)
{
    return id >= 0 && id < t->size && t->entries[id].special;
}

int32_t tok_bos(const Tok *t)
{
    return t->bos;
}

int32_t tok_eos(const Tok *t)
{
    return t->eos;
}

int32_t tok_pad(const Tok *t)
{
    return t->pad;
}

const char *tok_hash(const Tok *t)
{
    return t->hash;
}

const char *tok_kind(const Tok *t)
{
    return t->kind;
}
