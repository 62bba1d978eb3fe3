/* unigram.c - Unigram: of all ways to cut a piece into entries of the vocabulary, the one with the largest sum of scores (Viterbi).
 *
 * One walk from left to right: at each character, every entry that begins there (a Dat gives them, shortest first) may improve the best path to
 * its end; where no entry is exactly the one character, the unknown token may stand for it, ten below the worst score. Of equal sums the first
 * found stays. Neighbouring unknown characters become one token; with byte fallback it is spelled in bytes if the vocabulary has them all.
 *
 * Ties are real ("lala" may be cut in ways whose sums differ by rounding alone), so sums are in double precision in the library's order, and the
 * scores are what the library makes of the decimals in the file: its JSON reader rounds twice (see score_read).
 *
 * A file with "unmatched" came from a SentencePiece model (source.h): its sums are those of that library, in single precision.
 *
 * Invariant: an entry is valid UTF-8, so a match that begins between characters ends between characters. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "tokenizer/tok_int.h"

#define UNK_PENALTY   10.0
#define UNI_ENTRY_MAX 4096u /* bytes of one entry: bounds the steps per character */

static double sum(const Unigram *u, double a, double b)
{
    return u->single ? (double)((float)a + (float)b) : a + b;
}

int unigram_encode(const Tok *t, Work *w, const Piece *piece, bool guard, TokIds *ids, TokSpans *spans, Err *e)
{
    const Unigram *u = &t->unigram;
    Str s = { w->text.p + piece->begin, piece->end - piece->begin };
    vec_clear(&w->path);
    *vec_push(&w->path) = (PathNode){ 0, 0, -1 };
    for (size_t i = 0; i < s.n; i++)
        *vec_push(&w->path) = (PathNode){ 0, UINT32_MAX, -1 };
    PathNode *path = w->path.p;
    const double unk = sum(u, u->min_score, -UNK_PENALTY);
    for (size_t at = 0, len; at < s.n; at += len) {
        uint32_t cp;
        len = (unsigned char)s.p[at] < 0x80 ? 1 : (size_t)utf8_decode(s.p + at, s.n - at, &cp);
        const double here = path[at].score;
        bool single = false;
        for (uint32_t i = (uint32_t)at, node = 0; i < s.n;) {
            node = dat_step(&u->trie, node, (unsigned char)s.p[i++]);
            if (!node)
                break;
            int32_t id = u->trie.units[node].id;
            if (id < 0 || (guard && t->entries[id].special))
                continue;
            double score = sum(u, u->scores[id], here);
            if (path[i].start == UINT32_MAX || score > path[i].score)
                path[i] = (PathNode){ score, (uint32_t)at, id };
            single = single || i - at == len;
        }
        if (!single && (path[at + len].start == UINT32_MAX || sum(u, unk, here) > path[at + len].score)) {
            if (u->unk_id < 0)
                return err_set(e, ERR_INPUT, "the text has a character that the vocabulary of the tokenizer lacks, and the tokenizer has no unknown token (unk_id)");
            path[at + len] = (PathNode){ sum(u, unk, here), (uint32_t)at, u->unk_id };
        }
    }
    /* Read back from the end, neighbouring unknowns joined; cuts then hold the pieces from last to first. */
    uint32_t end = (uint32_t)s.n;
    vec_clear(&w->cuts);
    while (end > 0) {
        uint32_t begin = path[end].start, stop = end;
        bool unknown = u->unk_id >= 0 && path[end].id == u->unk_id;
        while (unknown && begin > 0 && path[begin].id == u->unk_id)
            begin = path[begin].start;
        *vec_push(&w->cuts) = (Cut){ begin, stop, unknown };
        end = begin;
    }
    for (size_t k = w->cuts.n; k-- > 0;) {
        Cut c = w->cuts.p[k];
        Str text = { s.p + c.begin, c.end - c.begin };
        int64_t id = path[c.end].id;
        bool known = !c.is_match || map_get(t->vocab, text, &id); /* the joined unknowns may be an entry themselves: the library asks again */
        known = known && !(c.is_match && u->unmatched[id]);
        bool bytes = !known && u->byte_fallback;
        for (size_t i = 0; bytes && i < text.n; i++)
            bytes = u->fallback[(unsigned char)text.p[i]] >= 0;
        if (!known)
            id = u->unk_id;
        for (size_t i = 0; i < (bytes ? text.n : 1); i++) {
            *vec_push(ids) = bytes ? u->fallback[(unsigned char)text.p[i]] : (int32_t)id;
            if (spans)
                *vec_push(spans) = bytes ? work_span(w, piece->begin + c.begin + i, piece->begin + c.begin + i + 1)
                                         : work_span(w, piece->begin + c.begin, piece->begin + c.end);
        }
    }
    return 0;
}

/* --- parsing ---------------------------------------------------------------------------------------------------------------------- */

/* The double that serde_json makes of the shortest decimals of v: digits as an integer, then one multiplication or division by a power of ten. Both
 * round, so the last bit can differ from v; files are written with the shortest decimals, hence these are the digits in the file. */
static double score_read(double v)
{
    char text[40];
    uint64_t digits = 0;
    int exponent = 0;
    for (int n = 1; n <= 17; n++) {
        snprintf(text, sizeof text, "%.*e", n - 1, v);
        if (strtod(text, NULL) == v)
            break;
    }
    char *at = text + (text[0] == '-');
    for (bool fraction = false; *at && *at != 'e'; at++)
        if (*at == '.') {
            fraction = true;
        } else {
            digits = digits * 10 + (uint64_t)(*at - '0');
            exponent -= fraction;
        }
    exponent += *at ? (int)strtol(at + 1, NULL, 10) : 0;
    double f = (double)digits;
    for (; exponent < -308; exponent += 308)
        f /= 1e308;
    char power[16];
    snprintf(power, sizeof power, "1e%d", abs(exponent));
    f = exponent < 0 ? f / strtod(power, NULL) : f * strtod(power, NULL);
    return text[0] == '-' ? -f : f;
}

static int entry_parse(Tok *t, const Json *entry, size_t i, Str *text, const char *where, Err *e)
{
    const Json *score = json_at(entry, 1);
    *text = json_str(json_at(entry, 0));
    bool number = json_kind(score) == JSON_INT || json_kind(score) == JSON_REAL;
    if (json_kind(entry) != JSON_ARRAY || json_len(entry) != 2 || !text->p || !number)
        return err_set(e, ERR_INPUT, "%s: entry %zu of \"vocab\" should be [text, score]", where, i);
    double v = json_num(score);
    if (!isfinite(v))
        return err_set(e, ERR_INPUT, "%s: the score of entry %zu of \"vocab\" is not finite", where, i);
    if (text->n > UNI_ENTRY_MAX)
        return err_set(e, ERR_INPUT, "%s: entry %zu of \"vocab\" has %zu bytes, hone accepts %u", where, i, text->n, UNI_ENTRY_MAX);
    t->unigram.scores[i] = json_kind(score) == JSON_REAL ? score_read(v) : v;
    map_put(t->vocab, *text, (int64_t)i); /* of equal entries the last one counts */
    return 0;
}

int unigram_parse(Tok *t, const Json *model, const char *where, Err *e)
{
    Unigram *u = &t->unigram;
    Json *vocab = NULL, *unmatched = NULL; /* the latter is ours, not the library's: see source.h */
    int64_t unk = -1;
    int rc = check_keys(model, "type|unk_id|vocab|byte_fallback|unmatched", where, e);
    rc = rc ? rc : json_opt_int(model, "unk_id", &unk, where, e);
    rc = rc ? rc : json_opt_bool(model, "byte_fallback", &u->byte_fallback, where, e);
    rc = rc ? rc : json_opt_array(model, "vocab", &vocab, where, e);
    rc = rc ? rc : json_opt_array(model, "unmatched", &unmatched, where, e);
    size_t n = json_len(vocab), kept = 0;
    bool has_unk = json_kind(json_get(model, "unk_id")) == JSON_INT;
    if (!rc && (!n || n > TOK_ID_MAX))
        rc = err_set(e, ERR_INPUT, "%s: \"vocab\" should be a list of 1 to %d entries [text, score], it has %zu", where, TOK_ID_MAX, n);
    if (!rc && has_unk && (unk < 0 || unk >= (int64_t)n))
        rc = err_set(e, ERR_INPUT, "%s: \"unk_id\" is %lld, but the vocabulary has the ids 0 to %zu", where, (long long)unk, n - 1);
    if (rc)
        return rc;
    u->unk_id = (int32_t)unk;
    u->scores = mem_alloc(n * sizeof *u->scores);
    Str *texts = mem_alloc(n * sizeof *texts), *matched = mem_alloc(n * sizeof *matched);
    int32_t *ids = mem_alloc(n * sizeof *ids);
    u->min_score = INFINITY;
    u->unmatched = mem_zalloc(n, sizeof *u->unmatched);
    u->single = unmatched != NULL;
    for (size_t i = 0; i < json_len(unmatched) && !rc; i++) {
        int64_t id = json_kind(json_at(unmatched, i)) == JSON_INT ? json_int(json_at(unmatched, i)) : -1;
        if (id < 0 || id >= (int64_t)n)
            rc = err_set(e, ERR_INPUT, "%s: entry %zu of \"unmatched\" should be an id from 0 to %zu", where, i, n - 1);
        else
            u->unmatched[id] = true;
    }
    for (size_t i = 0; i < n && !rc; i++) {
        rc = entry_parse(t, json_at(vocab, i), i, &texts[i], where, e);
        if (rc || u->unmatched[i])
            continue;
        matched[kept] = texts[i];
        ids[kept++] = (int32_t)i;
        u->min_score = u->scores[i] < u->min_score ? u->scores[i] : u->min_score;
    }
    for (unsigned i = 0; i < 256 && !rc; i++) {
        char name[8];
        int64_t id = -1;
        snprintf(name, sizeof name, "<0x%02X>", i);
        map_get(t->vocab, str_of(name), &id);
        u->fallback[i] = (int32_t)id;
    }
    if (!rc) {
        dat_build(&u->trie, matched, ids, kept);
        t->vocab_size = n;
        t->entries_of = arena_zalloc(&t->arena, n, sizeof *t->entries_of);
        for (size_t i = 0; i < n; i++)
            t->entries_of[i] = arena_str(&t->arena, texts[i]);
    }
    free(texts);
    free(matched);
    free(ids);
    return rc;
}

void unigram_release(Unigram *u)
{
    free(u->scores);
    free(u->unmatched);
    dat_release(&u->trie);
}
