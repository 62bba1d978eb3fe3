/* added.c - added tokens: texts like <|im_end|> that become one id wherever they stand, before any other rule is asked.
 *
 * Two tries, as in the tokenizers library: tokens that are matched in the user's text, and those ("normalized") matched in the normalised
 * text by their own normalised form. At each place the longest token wins; a token that fails its single_word condition is passed over
 * whole. Each trie exists twice, the second without the special tokens: with TOK_PLAIN their text is ordinary text.
 *
 * Ids follow the library, not the file: a content that the vocabulary knows has that id, others are numbered on from the vocabulary's size in
 * the order of the list. Files written by the library agree with themselves; where one does not, we say so and do as the library does. */
#include "base/log.h"
#include "base/utf8.h"
#include "tokenizer/tok_int.h"

static void trie_init(Trie *t)
{
    memset(t->root, -1, sizeof t->root);
}

/* The node for `byte` among the children of `*link`, made when missing. */
static int32_t trie_child(Trie *t, int32_t node, unsigned char byte)
{
    int32_t at = node < 0 ? t->root[byte] : t->nodes.p[node].child;
    while (at >= 0 && t->nodes.p[at].byte != byte)
        at = t->nodes.p[at].sibling;
    if (at >= 0)
        return at;
    at = (int32_t)t->nodes.n;
    TrieNode *made = vec_push(&t->nodes);
    *made = (TrieNode){ -1, -1, -1, byte };
    if (node < 0) {
        t->root[byte] = at;
    } else {
        made->sibling = t->nodes.p[node].child;
        t->nodes.p[node].child = at;
    }
    return at;
}

/* false: another token has the same text. */
static bool trie_add(Trie *t, Str text, int32_t added)
{
    int32_t node = -1;
    for (size_t i = 0; i < text.n; i++)
        node = trie_child(t, node, (unsigned char)text.p[i]);
    if (t->nodes.p[node].added >= 0)
        return false;
    t->nodes.p[node].added = added;
    return true;
}

/* The longest token that begins at s.p[i]: its index, or -1. */
static int32_t trie_longest(const Trie *t, Str s, size_t i, size_t *end)
{
    int32_t found = -1;
    for (int32_t node = t->root[(unsigned char)s.p[i]]; node >= 0;) {
        i++;
        if (t->nodes.p[node].added >= 0) {
            found = t->nodes.p[node].added;
            *end = i;
        }
        if (i == s.n)
            break;
        node = t->nodes.p[node].child;
        while (node >= 0 && t->nodes.p[node].byte != (unsigned char)s.p[i])
            node = t->nodes.p[node].sibling;
    }
    return found;
}

static size_t char_before(Str s, size_t end)
{
    size_t at = end - 1;
    while (at > 0 && ((unsigned char)s.p[at] & 0xC0) == 0x80)
        at--;
    return at;
}

static bool stands_alone(Work *w, const AddedSet *a, Str s, size_t begin, size_t end)
{
    if (begin > 0) {
        size_t at = char_before(s, begin);
        if (pattern_matches(&a->word, w->matcher, (Str){ s.p + at, begin - at }))
            return false;
    }
    if (end < s.n) {
        uint32_t cp;
        int len = utf8_decode(s.p + end, s.n - end, &cp);
        if (pattern_matches(&a->word, w->matcher, (Str){ s.p + end, (size_t)len }))
            return false;
    }
    return true;
}

static void cut_piece(Work *w, const AddedSet *a, const Trie *trie, Piece p)
{
    Str s = { w->text.p + p.begin, p.end - p.begin };
    size_t done = 0; /* everything before is in pieces */
    size_t run_begin = 0, run_end = 0; /* the last run of spaces that an rstrip token took */
    for (size_t i = 0; i < s.n;) {
        size_t begin = i, end = 0;
        int32_t index = trie->root[(unsigned char)s.p[i]] < 0 ? -1 : trie_longest(trie, s, i, &end);
        if (index < 0) {
            i++;
            continue;
        }
        i = end;
        const Added *t = &a->list.p[index];
        uint32_t cp;
        if (t->single_word && !stands_alone(w, a, s, begin, end))
            continue;
        if (t->lstrip)
            begin = MAX(begin, done);
        while (t->lstrip && begin > done) {
            size_t at = char_before(s, begin);
            utf8_decode(s.p + at, begin - at, &cp);
            if (!utf8_is_space(cp))
                break;
            begin = at;
        }
        if (t->rstrip && end < run_end && end >= run_begin) { /* spaces already walked over: a long run is not walked again from each place */
            end = run_end;
        } else if (t->rstrip) {
            run_begin = end;
            for (int len; end < s.n && (len = utf8_decode(s.p + end, s.n - end, &cp), utf8_is_space(cp)); end += (size_t)len)
                ;
            run_end = end;
        }
        if (done < begin)
            *vec_push(&w->next) = (Piece){ p.begin + (uint32_t)done, p.begin + (uint32_t)begin, -1 };
        if (begin < end) {
            TokSpan from = { p.begin + (uint32_t)begin, p.begin + (uint32_t)end };
            if (w->align)
                from = work_span(w, from.begin, from.end);
            *vec_push(&w->next) = (Piece){ from.begin, from.end, t->id };
        }
        done = end; /* as in the library: a match inside what the one before took away (rstrip) sets back */
    }
    if (done < s.n)
        *vec_push(&w->next) = (Piece){ p.begin + (uint32_t)done, p.end, -1 };
}

void added_cut(Work *w, const AddedSet *a, const Trie *trie)
{
    if (!trie->nodes.n)
        return;
    vec_clear(&w->next);
    for (size_t i = 0; i < w->pieces.n; i++)
        if (w->pieces.p[i].id >= 0)
            *vec_push(&w->next) = w->pieces.p[i];
        else
            cut_piece(w, a, trie, w->pieces.p[i]);
    work_swap_pieces(w);
}

/* --- parsing ---------------------------------------------------------------------------------------------------------------------- */

/* id -1: none is told, which only tokens of tokenizer_config.json may do. */
static int added_read(Added *a, const Json *c, bool need_id, int64_t *id, const char *where, Err *e)
{
    int rc = check_keys(c, "id|content|single_word|lstrip|rstrip|normalized|special", where, e);
    *id = -1;
    rc = rc ? rc : (need_id ? json_need_int : json_opt_int)(c, "id", id, where, e);
    if (!rc && *id < 0 && json_get(c, "id"))
        rc = err_set(e, ERR_INPUT, "%s: an added token has the id %lld", where, (long long)*id);
    rc = rc ? rc : json_need_str(c, "content", &a->content, where, e);
    rc = rc ? rc : need_bool(c, "single_word", &a->single_word, where, e);
    rc = rc ? rc : need_bool(c, "lstrip", &a->lstrip, where, e);
    rc = rc ? rc : need_bool(c, "rstrip", &a->rstrip, where, e);
    rc = rc ? rc : need_bool(c, "normalized", &a->normalized, where, e);
    rc = rc ? rc : need_bool(c, "special", &a->special, where, e);
    if (!rc && a->content.n > TOK_ADDED_MAX)
        rc = err_set(e, ERR_INPUT, "%s: an added token of %zu bytes is longer than the %d that hone accepts", where, a->content.n, TOK_ADDED_MAX);
    return rc;
}

static int normal_form(Tok *t, Added *a, Err *e)
{
    a->text = a->content;
    if (!a->normalized || !t->normal.n)
        return 0;
    Work *w = tok_work_take(t);
    work_start(w, a->content, false);
    int rc = steps_run(w, &t->normal, e);
    if (!rc)
        a->text = arena_str(&t->arena, w->pieces.n ? w->text : (Str){ "", 0 });
    tok_work_give(t, w);
    return rc;
}

int added_parse(Tok *t, const Json *list, size_t n_file, const char *where, Err *e)
{
    AddedSet *set = &t->added;
    int32_t next_id = (int32_t)t->vocab_size;
    set->by_content = map_new();
    for (int plain = 0; plain < 2; plain++) {
        trie_init(&set->raw[plain]);
        trie_init(&set->norm[plain]);
    }
    int rc = pattern_regex(&set->word, STR_LIT("[" PATTERN_WORD "]"), where, e);
    for (size_t i = 0; !rc && i < json_len(list); i++) {
        Added a = { 0 };
        int64_t id, known = -1;
        rc = added_read(&a, json_at(list, i), i < n_file, &id, where, e);
        if (rc)
            return rc;
        if (!a.content.n)
            continue;
        a.content = arena_str(&t->arena, a.content);
        int64_t index = -1;
        if (map_get(set->by_content, a.content, &index))
            known = set->list.p[index].id;
        else if (!map_get(t->vocab, a.content, &known))
            known = next_id++;
        if (known >= TOK_ID_MAX)
            return err_set(e, ERR_INPUT, "%s: there are more tokens than the %d that hone accepts", where, TOK_ID_MAX);
        if (id != known && id >= 0)
            log_warn("tokenizer", "%s: the added token \"%.*s\" is written with id %lld, but by its place it has id %lld, which is used (the "
                     "tokenizers library does the same)", where, (int)MIN(a.content.n, 60), a.content.p, (long long)id, (long long)known);
        a.id = (int32_t)known;
        rc = normal_form(t, &a, e);
        if (index < 0) {
            map_put(set->by_content, a.content, (int64_t)set->list.n);
            (void)vec_push(&set->list);
            index = (int64_t)set->list.n - 1;
        }
        set->list.p[index] = a;
    }
    for (size_t i = 0; !rc && i < set->list.n; i++) {
        const Added *a = &set->list.p[i];
        Str text = a->normalized ? a->text : a->content;
        Trie *tries = a->normalized ? set->norm : set->raw;
        if (!text.n)
            return err_set(e, ERR_INPUT, "%s: nothing is left of the added token \"%.*s\" after normalisation", where, (int)MIN(a->content.n, 60), a->content.p);
        bool alone = trie_add(&tries[0], text, (int32_t)i);
        if (!a->special)
            trie_add(&tries[1], text, (int32_t)i);
        if (!alone)
            return err_set(e, ERR_INPUT, "%s: the added token \"%.*s\" has the same normalised text as another one", where,
                           (int)MIN(a->content.n, 60), a->content.p);
    }
    return rc;
}

void added_release(AddedSet *a)
{
    vec_release(&a->list);
    map_free(a->by_content);
    pattern_release(&a->word);
    for (int plain = 0; plain < 2; plain++) {
        vec_release(&a->raw[plain].nodes);
        vec_release(&a->norm[plain].nodes);
    }
}
