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

static int encode(const Tok *t, Str text, unsigned flags, TokIds *ids, TokSpans *spans, Err *e)
{
    size_t bad, n_ids = ids->n, n_spans = spans ? spans->n : 0;
    if (text.n > TOK_TEXT_MAX)
        return err_set(e, ERR_INPUT, "a text of %zu bytes is longer than the %zu that hone tokenises at once", text.n, TOK_TEXT_MAX);
    if (!utf8_valid(text, &bad))
        return err_set(e, ERR_INPUT, "the text is not valid UTF-8 at byte %zu", bad);
    Work *w = tok_work_take(t);
    work_start(w, text, spans || t->needs_align);
    if (flags & TOK_SPECIAL)
        put_template(&t->before, 0, ids, spans);
    int rc = encode_pieces(t, w, flags & TOK_PLAIN, ids, spans, e);
    if (flags & TOK_SPECIAL)
        put_template(&t->after, (uint32_t)text.n, ids, spans);
    tok_work_give(t, w);
    if (rc) {
        ids->n = n_ids;
        if (spans)
            spans->n = n_spans;
    }
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

const char *tok_kind(const Tok *t)
{
    return t->kind;
}
