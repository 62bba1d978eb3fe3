/* wordpiece.c - WordPiece: the longest entry that begins the word, then again behind it with the continuing prefix; a word that cannot be used up
 * is the unknown token as a whole. WordLevel is the same without parts: a word is an entry or unknown.
 *
 * Both walk one Dat over the vocabulary; parts inside a word start at the node that the prefix leads to. */
#include <stdlib.h>

#include "tokenizer/tok_int.h"

#define WORD_ENTRY_MAX 4096u /* bytes of one entry: bounds the steps per character */

/* The longest entry from `node` on that begins s[at..]: its id, or -1. */
static int32_t longest(const Tok *t, uint32_t node, Str s, size_t at, bool guard, size_t *end)
{
    const Dat *d = &t->wordpiece.trie;
    int32_t found = -1;
    for (size_t i = at; i < s.n;) {
        node = dat_step(d, node, (unsigned char)s.p[i++]);
        if (!node)
            break;
        int32_t id = d->units[node].id;
        if (id >= 0 && !(guard && t->entries[id].special)) {
            found = id;
            *end = i;
        }
    }
    return found;
}

static int unknown(const Tok *t, Work *w, const Piece *p, TokIds *ids, TokSpans *spans, Err *e)
{
    const WordPiece *m = &t->wordpiece;
    if (m->unk_id < 0)
        return err_set(e, ERR_INPUT, "the text has a word that the vocabulary cannot spell, and the tokenizer's unknown token \"%.*s\" is not in the "
                       "vocabulary either", (int)MIN(m->unk.n, 60), m->unk.p);
    *vec_push(ids) = m->unk_id;
    if (spans)
        *vec_push(spans) = work_span(w, p->begin, p->end);
    return 0;
}

int wordpiece_encode(const Tok *t, Work *w, const Piece *p, bool guard, TokIds *ids, TokSpans *spans, Err *e)
{
    const WordPiece *m = &t->wordpiece;
    Str s = { w->text.p + p->begin, p->end - p->begin };
    size_t chars = 0, first = ids->n, first_span = spans ? spans->n : 0;
    for (size_t i = 0; i < s.n && chars <= m->max_chars; i++)
        chars += ((unsigned char)s.p[i] & 0xC0) != 0x80;
    if (!m->whole && chars > m->max_chars)
        return unknown(t, w, p, ids, spans, e);
    for (size_t at = 0, end = 0; at < s.n; at = end) {
        int32_t id = at && !m->prefix_node && m->prefix.n ? -1 : longest(t, at ? m->prefix_node : 0, s, at, guard, &end);
        if (id < 0 || (m->whole && end < s.n)) {
            ids->n = first;
            if (spans)
                spans->n = first_span;
            return unknown(t, w, p, ids, spans, e);
        }
        *vec_push(ids) = id;
        if (spans)
            *vec_push(spans) = work_span(w, p->begin + at, p->begin + end);
    }
    return 0;
}

/* --- parsing ---------------------------------------------------------------------------------------------------------------------- */

static int vocab_parse(Tok *t, const Json *vocab, const char *where, Err *e)
{
    int rc = vocab_object(t, vocab, where, e);
    size_t n = map_count(t->vocab), kept = 0;
    if (rc)
        return rc;
    Str *texts = mem_alloc((n + 1) * sizeof *texts);
    int32_t *ids = mem_alloc((n + 1) * sizeof *ids);
    for (size_t i = 0; i < n && !rc; i++, kept++) {
        texts[kept] = map_key(t->vocab, i);
        ids[kept] = (int32_t)map_value(t->vocab, i);
        if (texts[kept].n > WORD_ENTRY_MAX)
            rc = err_set(e, ERR_INPUT, "%s: the entry \"%.*s\" of the vocabulary has %zu bytes, hone accepts %u", where, 60, texts[kept].p, texts[kept].n,
                         WORD_ENTRY_MAX);
    }
    if (!rc)
        dat_build(&t->wordpiece.trie, texts, ids, kept);
    free(texts);
    free(ids);
    return rc;
}

static int parse(Tok *t, const Json *model, const char *keys, const char *where, Err *e)
{
    WordPiece *m = &t->wordpiece;
    Str unk;
    int64_t id;
    int rc = check_keys(model, keys, where, e);
    rc = rc ? rc : json_need_str(model, "unk_token", &unk, where, e);
    rc = rc ? rc : vocab_parse(t, json_get(model, "vocab"), where, e);
    if (rc)
        return rc;
    m->unk = arena_str(&t->arena, unk);
    m->unk_id = map_get(t->vocab, unk, &id) ? (int32_t)id : -1;
    return 0;
}

int wordpiece_parse(Tok *t, const Json *model, const char *where, Err *e)
{
    WordPiece *m = &t->wordpiece;
    Str prefix = { NULL, 0 };
    int64_t max = -1;
    int rc = parse(t, model, "type|unk_token|continuing_subword_prefix|max_input_chars_per_word|vocab", where, e);
    rc = rc ? rc : json_need_str(model, "continuing_subword_prefix", &prefix, where, e);
    rc = rc ? rc : json_need_int(model, "max_input_chars_per_word", &max, where, e);
    if (!rc && max < 0)
        rc = err_set(e, ERR_INPUT, "%s: \"max_input_chars_per_word\" should not be negative", where);
    if (rc)
        return rc;
    m->max_chars = (size_t)max;
    m->prefix = arena_str(&t->arena, prefix);
    for (size_t i = 0; i < prefix.n && (!i || m->prefix_node); i++)
        m->prefix_node = dat_step(&m->trie, m->prefix_node, (unsigned char)prefix.p[i]);
    return 0;
}

int wordlevel_parse(Tok *t, const Json *model, const char *where, Err *e)
{
    t->wordpiece.whole = true;
    return parse(t, model, "type|unk_token|vocab", where, e);
}

void wordpiece_release(WordPiece *m)
{
    dat_release(&m->trie);
}
