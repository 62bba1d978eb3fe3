/* bpe.c - byte pair encoding: one piece of text -> symbols -> merges in order of rank -> ids.
 *
 * A piece starts as one symbol per character (or per byte, see Bpe.raw), then the neighbouring pair with the lowest rank is merged, the
 * leftmost first, until no pair is in the table. Short pieces scan for the lowest rank; long ones (languages without spaces, models without
 * pre-tokenizer) use a heap and a linked list, O(n log n), with the same result. Results for short words are kept in a small cache.
 *
 * Invariants: a heap entry is valid while the rank stored at its position is still the entry's rank; symbols only grow to the right, so a
 * pair that changed has another rank or none. The cache holds only what does not depend on flags.
 *
 * The order in which unknown characters and byte tokens are written follows the tokenizers library to the letter, oddities included: a
 * pending unknown token is written before the next known character, not before byte tokens. */
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/utf8.h"
#include "tokenizer/tok_int.h"

#define BPE_SCAN_MAX  32u    /* symbols; longer pieces use the heap */
#define BPE_CACHE     16384u /* slots, a power of two */
#define CACHE_WORD    22u    /* bytes */
#define CACHE_IDS     8u
#define NO_RANK       UINT32_MAX
#define NO_SYM        UINT32_MAX
#define NO_PAIR       UINT64_MAX

typedef struct Sym { int32_t id; uint32_t begin, end; } Sym; /* bytes of the piece */
typedef struct Link { uint32_t prev, next, rank; int32_t to; } Link; /* rank and result of the pair (this, next) */
typedef struct CacheSlot { uint8_t len, n; char word[CACHE_WORD]; int32_t id[CACHE_IDS]; } CacheSlot; /* len 0: free */

struct BpeScratch {
    VEC(Sym)      syms;
    VEC(uint64_t) heap; /* rank << 32 | position */
    Link         *links;
    size_t        nlinks;
    CacheSlot    *cache;
};

BpeScratch *bpe_scratch_new(void)
{
    BpeScratch *s = mem_zalloc(1, sizeof *s);
    s->cache = mem_zalloc(BPE_CACHE, sizeof *s->cache);
    return s;
}

void bpe_scratch_free(BpeScratch *s)
{
    if (!s)
        return;
    vec_release(&s->syms);
    vec_release(&s->heap);
    free(s->links);
    free(s->cache);
    free(s);
}

size_t bpe_scratch_held(const BpeScratch *s)
{
    return s->syms.cap * sizeof(Sym) + s->heap.cap * sizeof(uint64_t) + s->nlinks * sizeof(Link);
}

/* --- the table of merges ---------------------------------------------------------------------------------------------------------- */

static size_t merge_slot(const Bpe *b, uint64_t pair)
{
    return (size_t)((pair * 0x9E3779B97F4A7C15u) >> 32) & b->merge_mask;
}

static const Merge *merge_find(const Tok *t, int32_t left, int32_t right, bool guard)
{
    const Bpe *b = &t->bpe;
    uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    for (size_t i = merge_slot(b, pair);; i = (i + 1) & b->merge_mask) {
        const Merge *m = &b->merges[i];
        if (m->pair == pair)
            return guard && t->entries[m->to].special ? NULL : m;
        if (m->pair == NO_PAIR)
            return NULL;
    }
}

static void merge_put(Bpe *b, uint64_t pair, uint32_t rank, int32_t to)
{
    size_t i = merge_slot(b, pair);
    while (b->merges[i].pair != NO_PAIR && b->merges[i].pair != pair)
        i = (i + 1) & b->merge_mask;
    b->merges[i] = (Merge){ pair, rank, to };
}

/* --- symbols of a piece ----------------------------------------------------------------------------------------------------------- */

static void sym_add(BpeScratch *k, int32_t id, size_t begin, size_t end)
{
    *vec_push(&k->syms) = (Sym){ id, (uint32_t)begin, (uint32_t)end };
}

static int32_t vocab_id(const Bpe *b, Str s)
{
    int64_t id;
    return map_get(b->vocab, s, &id) ? (int32_t)id : -1;
}

/* Bytes that stand in for an unknown character; false when the vocabulary lacks one of them. */
static bool fallback_add(const Bpe *b, BpeScratch *k, Str s, size_t begin, size_t end)
{
    for (size_t i = 0; i < s.n; i++)
        if (b->fallback[(unsigned char)s.p[i]] < 0)
            return false;
    for (size_t i = 0; i < s.n; i++)
        sym_add(k, b->fallback[(unsigned char)s.p[i]], MIN(begin + i, end - 1), MIN(begin + i + 1, end));
    return true;
}

static int syms_of_chars(const Bpe *b, Work *w, BpeScratch *k, Str s, Err *e)
{
    size_t unk_begin = 0, unk_end = 0; /* pending unknown stretch; empty: none */
    bool dressed = b->prefix.n || b->suffix.n;
    for (size_t i = 0, end; i < s.n; i = end) {
        uint32_t cp;
        end = i + (size_t)utf8_decode(s.p + i, s.n - i, &cp);
        Str text = { s.p + i, end - i };
        if (dressed) {
            strbuf_clear(&w->tmp);
            if (i > 0)
                strbuf_add(&w->tmp, b->prefix.p, b->prefix.n);
            strbuf_add(&w->tmp, text.p, text.n);
            if (end == s.n)
                strbuf_add(&w->tmp, b->suffix.p, b->suffix.n);
            text = strbuf_str(&w->tmp);
        }
        int32_t id = !dressed && cp < BPE_LOW ? b->low[cp] : vocab_id(b, text);
        if (id < 0 && b->byte_fallback && fallback_add(b, k, text, i, end))
            continue;
        if (id < 0 && !b->unk.n)
            continue; /* the library drops what it cannot name */
        if (id < 0 && b->unk_id < 0)
            return err_set(e, ERR_INPUT, "the text has a character that the vocabulary lacks, and the tokenizer's unknown token \"%.*s\" is not in "
                           "the vocabulary either", (int)MIN(b->unk.n, 60), b->unk.p);
        if (unk_end && (id >= 0 || !b->fuse_unk)) {
            sym_add(k, b->unk_id, unk_begin, unk_end);
            unk_end = 0;
        }
        if (id >= 0) {
            sym_add(k, id, i, end);
        } else {
            unk_begin = unk_end ? unk_begin : i;
            unk_end = end;
        }
    }
    if (unk_end)
        sym_add(k, b->unk_id, unk_begin, unk_end);
    return 0;
}

/* --- merging ---------------------------------------------------------------------------------------------------------------------- */

static void merge_scan(const Tok *t, BpeScratch *k, bool guard)
{
    const Merge *pair[BPE_SCAN_MAX];
    Sym *s = k->syms.p;
    size_t n = k->syms.n;
    for (size_t i = 0; i + 1 < n; i++)
        pair[i] = merge_find(t, s[i].id, s[i + 1].id, guard);
    while (n > 1) {
        size_t best = n;
        uint32_t rank = NO_RANK;
        for (size_t i = 0; i + 1 < n; i++)
            if (pair[i] && pair[i]->rank < rank) {
                best = i;
                rank = pair[i]->rank;
            }
        if (best == n)
            break;
        s[best].id = pair[best]->to;
        s[best].end = MAX(s[best].end, s[best + 1].end);
        memmove(&s[best + 1], &s[best + 2], (n - best - 2) * sizeof *s);
        n--;
        if (best + 1 < n) {
            memmove(&pair[best + 1], &pair[best + 2], (n - best - 2) * sizeof(Merge *));
            pair[best] = merge_find(t, s[best].id, s[best + 1].id, guard);
        }
        if (best > 0)
            pair[best - 1] = merge_find(t, s[best - 1].id, s[best].id, guard);
    }
    k->syms.n = n;
}

static void heap_down(uint64_t *h, size_t n, size_t i)
{
    uint64_t v = h[i];
    for (size_t c; (c = 2 * i + 1) < n; i = c) {
        c += c + 1 < n && h[c + 1] < h[c];
        if (h[c] >= v)
            break;
        h[i] = h[c];
    }
    h[i] = v;
}

static void heap_push(BpeScratch *k, uint64_t v)
{
    size_t i = k->heap.n;
    (void)vec_push(&k->heap);
    for (; i > 0 && k->heap.p[(i - 1) / 2] > v; i = (i - 1) / 2)
        k->heap.p[i] = k->heap.p[(i - 1) / 2];
    k->heap.p[i] = v;
}

/* Looks up the pair that starts at symbol i; true when it can merge. */
static bool link_pair(const Tok *t, BpeScratch *k, uint32_t i, bool guard)
{
    Link *l = &k->links[i];
    const Merge *m = l->next == NO_SYM ? NULL : merge_find(t, k->syms.p[i].id, k->syms.p[l->next].id, guard);
    l->rank = m ? m->rank : NO_RANK;
    l->to = m ? m->to : -1;
    return m != NULL;
}

static void merge_heap(const Tok *t, BpeScratch *k, bool guard)
{
    Sym *s = k->syms.p;
    uint32_t n = (uint32_t)k->syms.n;
    if (n > k->nlinks) {
        k->links = mem_realloc(k->links, n, sizeof *k->links);
        k->nlinks = n;
    }
    vec_clear(&k->heap);
    for (uint32_t i = 0; i < n; i++)
        k->links[i] = (Link){ i ? i - 1 : NO_SYM, i + 1 < n ? i + 1 : NO_SYM, NO_RANK, -1 };
    for (uint32_t i = 0; i + 1 < n; i++)
        if (link_pair(t, k, i, guard))
            *vec_push(&k->heap) = (uint64_t)k->links[i].rank << 32 | i;
    for (size_t i = k->heap.n / 2; i-- > 0;)
        heap_down(k->heap.p, k->heap.n, i);
    while (k->heap.n) {
        uint64_t top = k->heap.p[0];
        uint32_t i = (uint32_t)top;
        k->heap.p[0] = k->heap.p[--k->heap.n];
        if (k->heap.n)
            heap_down(k->heap.p, k->heap.n, 0);
        Link *l = &k->links[i];
        if (l->rank != (uint32_t)(top >> 32))
            continue;
        uint32_t right = l->next;
        s[i].id = l->to;
        s[i].end = MAX(s[i].end, s[right].end);
        k->links[right].rank = NO_RANK;
        s[right].id = -1;
        l->next = k->links[right].next;
        if (l->next != NO_SYM)
            k->links[l->next].prev = i;
        if (link_pair(t, k, i, guard))
            heap_push(k, (uint64_t)l->rank << 32 | i);
        if (l->prev != NO_SYM && link_pair(t, k, l->prev, guard))
            heap_push(k, (uint64_t)k->links[l->prev].rank << 32 | l->prev);
    }
    size_t kept = 0;
    for (uint32_t i = 0; i < n; i++)
        if (s[i].id >= 0)
            s[kept++] = s[i];
    k->syms.n = kept;
}

/* --- one piece -------------------------------------------------------------------------------------------------------------------- */

static void id_add(Work *w, const Piece *p, Sym s, TokIds *ids, TokSpans *spans)
{
    *vec_push(ids) = s.id;
    if (spans)
        *vec_push(spans) = work_span(w, p->begin + s.begin, p->begin + s.end);
}

int bpe_encode(const Tok *t, Work *w, const Piece *piece, bool guard, TokIds *ids, TokSpans *spans, Err *e)
{
    const Bpe *b = &t->bpe;
    BpeScratch *k = w->bpe;
    Str s = { w->text.p + piece->begin, piece->end - piece->begin };
    CacheSlot *slot = NULL;
    if (!spans && !guard && s.n <= CACHE_WORD) {
        uint64_t h = hash64(s.p, s.n);
        slot = &k->cache[(h ^ h >> 32) & (BPE_CACHE - 1)];
        if (slot->len == s.n && memcmp(slot->word, s.p, s.n) == 0) {
            for (size_t i = 0; i < slot->n; i++)
                *vec_push(ids) = slot->id[i];
            return 0;
        }
    }
    size_t first = ids->n;
    int64_t whole;
    if (b->ignore_merges && map_get(b->raw ? b->raw_vocab : b->vocab, s, &whole) && !(guard && t->entries[whole].special)) {
        id_add(w, piece, (Sym){ (int32_t)whole, 0, (uint32_t)s.n }, ids, spans);
    } else {
        vec_clear(&k->syms);
        int rc = b->raw ? 0 : syms_of_chars(b, w, k, s, e);
        if (rc)
            return rc;
        for (size_t i = 0; b->raw && i < s.n; i++)
            sym_add(k, b->byte_id[(unsigned char)s.p[i]], i, i + 1);
        if (k->syms.n <= BPE_SCAN_MAX)
            merge_scan(t, k, guard);
        else
            merge_heap(t, k, guard);
        for (size_t i = 0; i < k->syms.n; i++)
            id_add(w, piece, k->syms.p[i], ids, spans);
    }
    size_t n = ids->n - first;
    if (slot && n && n <= CACHE_IDS) {
        slot->len = (uint8_t)s.n;
        slot->n = (uint8_t)n;
        memcpy(slot->word, s.p, s.n);
        memcpy(slot->id, ids->p + first, n * sizeof *ids->p);
    }
    return 0;
}

/* --- parsing ---------------------------------------------------------------------------------------------------------------------- */

static int vocab_parse(Tok *t, const Json *vocab, const char *where, Err *e)
{
    Bpe *b = &t->bpe;
    int rc = vocab_object(t, vocab, where, e);
    for (size_t i = 0; !rc && i < map_count(t->vocab); i++) {
        Str key = map_key(t->vocab, i);
        uint32_t cp;
        if (one_char(key) && utf8_decode(key.p, key.n, &cp) > 0 && cp < BPE_LOW)
            b->low[cp] = (int32_t)map_value(t->vocab, i);
    }
    for (unsigned i = 0; i < 256; i++) {
        char name[8], c[4];
        snprintf(name, sizeof name, "<0x%02X>", i);
        b->fallback[i] = vocab_id(b, str_of(name));
        b->byte_id[i] = vocab_id(b, (Str){ c, (size_t)byte_char((unsigned char)i, c) });
    }
    return rc;
}

/* "a b" or ["a", "b"]. */
static int merge_sides(const Json *merge, Str side[2], size_t rank, const char *where, Err *e)
{
    Str text = json_str(merge);
    const char *space = text.n ? memchr(text.p, ' ', text.n) : NULL;
    side[0] = space ? (Str){ text.p, (size_t)(space - text.p) } : json_str(json_at(merge, 0));
    side[1] = space ? (Str){ space + 1, text.n - side[0].n - 1 } : json_str(json_at(merge, 1));
    bool pair = json_kind(merge) == JSON_ARRAY && json_len(merge) == 2 && side[0].p && side[1].p;
    if (!pair && (!space || memchr(side[1].p, ' ', side[1].n)))
        return err_set(e, ERR_INPUT, "%s: merge number %zu should be \"left right\" or [\"left\", \"right\"]", where, rank);
    return 0;
}

/* Merges of one rank are equals, of which the leftmost goes first. The library numbers merges by their place, which is what a file without "ranks"
 * means; our converters (source.h) write the ranks of SentencePiece and tiktoken, where all ways to join one piece are equal. */
static int merges_parse(Tok *t, const Json *list, const Json *ranks, const char *where, Err *e)
{
    Bpe *b = &t->bpe;
    if (json_kind(list) != JSON_ARRAY)
        return err_set(e, ERR_INPUT, "%s: \"merges\" should be a list, it is %s", where, json_kind_name(list));
    size_t n = json_len(list), slots = 16;
    if (ranks && json_len(ranks) != n)
        return err_set(e, ERR_INPUT, "%s: \"ranks\" should be a list of %zu numbers, one for each merge", where, n);
    while (slots < 2 * n)
        slots *= 2;
    b->merges = mem_alloc(slots * sizeof *b->merges);
    b->merge_mask = slots - 1;
    memset(b->merges, 0xFF, slots * sizeof *b->merges);
    StrBuf joined = { 0 };
    int rc = 0;
    uint32_t rank = 0;
    for (size_t i = 0; i < n && !rc; i++) {
        const Json *merge = json_at(list, i);
        Str side[2];
        if (str_starts(json_str(merge), "#version"))
            continue;
        rc = merge_sides(merge, side, i, where, e);
        if (rc)
            break;
        int32_t left = vocab_id(b, side[0]), right = vocab_id(b, side[1]), to = -1;
        if (side[1].n >= b->prefix.n) {
            strbuf_clear(&joined);
            strbuf_add(&joined, side[0].p, side[0].n);
            strbuf_add(&joined, side[1].p + b->prefix.n, side[1].n - b->prefix.n);
            to = vocab_id(b, strbuf_str(&joined));
        }
        if (left < 0 || right < 0 || to < 0)
            rc = err_set(e, ERR_INPUT, "%s: merge number %zu joins \"%.*s\" and \"%.*s\", but the vocabulary lacks one of them or their union", where, i,
                         (int)MIN(side[0].n, 60), side[0].p, (int)MIN(side[1].n, 60), side[1].p);
        else if (ranks && (json_int(json_at(ranks, i)) < 0 || json_int(json_at(ranks, i)) >= (int64_t)n))
            rc = err_set(e, ERR_INPUT, "%s: rank number %zu should be a number from 0 to %zu", where, i, n - 1);
        else
            merge_put(b, (uint64_t)(uint32_t)left << 32 | (uint32_t)right, ranks ? (uint32_t)json_int(json_at(ranks, i)) : rank++, to);
    }
    strbuf_release(&joined);
    return rc;
}

static int opt_text(Tok *t, const Json *model, const char *key, Str *text, const char *where, Err *e)
{
    Str s = { NULL, 0 };
    int rc = json_opt_str(model, key, &s, where, e);
    *text = s.n ? arena_str(&t->arena, s) : (Str){ NULL, 0 };
    return rc;
}

int bpe_parse(Tok *t, const Json *model, const char *where, Err *e)
{
    Bpe *b = &t->bpe;
    b->vocab = t->vocab;
    memset(b->low, -1, sizeof b->low);
    b->unk_id = -1;
    double dropout = 0;
    int rc = check_keys(model, "type|dropout|unk_token|continuing_subword_prefix|end_of_word_suffix|fuse_unk|byte_fallback|ignore_merges|vocab|merges|ranks",
                        where, e);
    rc = rc ? rc : json_opt_num(model, "dropout", &dropout, where, e);
    if (!rc && dropout != 0)
        rc = err_set(e, ERR_INPUT, "%s: \"dropout\" is %g: ids would be random; set it to null", where, dropout);
    rc = rc ? rc : opt_text(t, model, "unk_token", &b->unk, where, e);
    rc = rc ? rc : opt_text(t, model, "continuing_subword_prefix", &b->prefix, where, e);
    rc = rc ? rc : opt_text(t, model, "end_of_word_suffix", &b->suffix, where, e);
    rc = rc ? rc : json_opt_bool(model, "fuse_unk", &b->fuse_unk, where, e);
    rc = rc ? rc : json_opt_bool(model, "byte_fallback", &b->byte_fallback, where, e);
    rc = rc ? rc : json_opt_bool(model, "ignore_merges", &b->ignore_merges, where, e);
    rc = rc ? rc : vocab_parse(t, json_get(model, "vocab"), where, e);
    rc = rc ? rc : merges_parse(t, json_get(model, "merges"), json_get(model, "ranks"), where, e);
    if (!rc && b->unk.n)
        b->unk_id = vocab_id(b, b->unk);
    return rc;
}

/* The bytes that a byte-level entry spells; false when it is not made of that alphabet only. */
static bool raw_text(Str text, StrBuf *out)
{
    strbuf_clear(out);
    for (size_t i = 0; i < text.n;) {
        uint32_t cp;
        int len = utf8_decode(text.p + i, text.n - i, &cp), byte = byte_of_char(cp);
        if (byte < 0)
            return false;
        strbuf_addc(out, (char)byte);
        i += (size_t)len;
    }
    return true;
}

void bpe_finish(Tok *t)
{
    Bpe *b = &t->bpe;
    bool last_is_bytes = t->pretok.n && t->pretok.p[t->pretok.n - 1].kind == STEP_BYTES;
    b->raw = last_is_bytes && !b->prefix.n && !b->suffix.n;
    for (size_t i = 0; i < 256; i++)
        b->raw = b->raw && b->byte_id[i] >= 0;
    if (b->raw)
        t->pretok.n--; /* bpe_encode spells the bytes itself */
    StrBuf bytes = { 0 };
    if (b->raw && b->ignore_merges)
        b->raw_vocab = map_new();
    for (size_t i = 0; i < map_count(b->vocab); i++) {
        if (b->raw_vocab && raw_text(map_key(b->vocab, i), &bytes))
            map_put(b->raw_vocab, strbuf_str(&bytes), map_value(b->vocab, i));
        if (b->ignore_merges && t->entries[map_value(b->vocab, i)].special)
            t->makes_special = true;
    }
    strbuf_release(&bytes);
    for (size_t i = 0; i <= b->merge_mask; i++)
        if (b->merges[i].pair != NO_PAIR && t->entries[b->merges[i].to].special)
            t->makes_special = true;
}

void bpe_release(Bpe *b)
{
    map_free(b->raw_vocab);
    free(b->merges);
}
