/* spm_json.c - a SentencePiece model, from its own file or from GGUF metadata, as tokenizer.json.
 *
 * The aim is the ids of the sentencepiece library for text without special tokens, byte for byte; text around special tokens is cut as
 * transformers does it (they are found first, in the raw text, and only the very start of a text gets the prefix space). What that takes:
 *
 *   - prepend_scheme "start": transformers' "first" leaves out the prefix when the text begins with a space; the library never does.
 *   - "ranks": the library joins the pair whose union has the best score, the leftmost of equals. Its pairs are all splits of a piece into two
 *     pieces; a list of merges alone would put the splits of one piece, and pieces of equal score, in an order that the library does not have.
 *   - "longest": the library's character map takes the longest key at each place; the tokenizers library goes by grapheme clusters and loses marks.
 *   - pieces of type control, unknown and byte are never found in text (no merge makes them; "unmatched" for Unigram).
 *   - user-defined pieces are found in the normalised text ("normalized": true), where their U+2581 stands for a space, unless a character map or
 *     its case folding could change them.
 *   - an ASCII character that only a byte piece stands for, but that longer pieces contain, takes the place of that byte piece, as transformers
 *     does it for the tab of Gemma; else no merge could begin with it.
 *
 * Where that is not reached: a piece of type unused is treated as ordinary in Unigram models (a warning says so), characters outside ASCII that
 * only occur inside longer pieces cannot be merged, and a text of which the character map leaves nothing gives no ids where the library
 * may give the prefix space alone. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/log.h"
#include "base/map.h"
#include "base/utf8.h"
#include "tokenizer/source_int.h"

void spm_release(SpmModel *m)
{
    vec_release(&m->pieces);
}

static bool is_piece(const SpmModel *m, int64_t id)
{
    return id >= 0 && id < (int64_t)m->pieces.n;
}

/* --- checks ----------------------------------------------------------------------------------------------------------------------- */

static int check_pieces(const SpmModel *m, Map *ids, const char *where, Err *e)
{
    if (!m->pieces.n)
        return err_set(e, ERR_INPUT, "%s: the tokenizer has no pieces", where);
    if (m->pieces.n > SPM_PIECES_MAX)
        return err_set(e, ERR_INPUT, "%s: the tokenizer has %zu pieces, more than the %d that hone takes", where, m->pieces.n, SPM_PIECES_MAX);
    for (size_t i = 0; i < m->pieces.n; i++) {
        const SpmPiece *p = &m->pieces.p[i];
        int64_t first;
        if (!p->text.n)
            return err_set(e, ERR_INPUT, "%s: piece %zu is empty", where, i);
        if (!source_text_ok(p->text))
            return err_set(e, ERR_INPUT, "%s: piece %zu is not valid UTF-8 or holds a NUL character", where, i);
        if (!isfinite(p->score))
            return err_set(e, ERR_INPUT, "%s: piece %zu, \"%.*s\", has the score %g; a finite number was expected", where, i, (int)MIN(p->text.n, 60),
                           p->text.p, p->score);
        if (p->type < SPM_NORMAL || p->type > SPM_BYTE)
            return err_set(e, ERR_INPUT, "%s: piece %zu, \"%.*s\", has the type %lld; the types are 1 to 6", where, i, (int)MIN(p->text.n, 60), p->text.p,
                           (long long)p->type);
        if (map_get(ids, p->text, &first))
            return err_set(e, ERR_INPUT, "%s: pieces %lld and %zu are both \"%.*s\"", where, (long long)first, i, (int)MIN(p->text.n, 60), p->text.p);
        map_put(ids, p->text, (int64_t)i);
    }
    if (!is_piece(m, m->unk) && (m->kind == SPM_UNIGRAM || !m->byte_fallback))
        return err_set(e, ERR_INPUT, "%s: the tokenizer has no unknown token, which a %s tokenizer needs", where,
                       m->kind == SPM_UNIGRAM ? "Unigram" : "BPE");
    for (unsigned b = 0; m->byte_fallback && b < 256; b++) {
        char name[8];
        int64_t id;
        snprintf(name, sizeof name, "<0x%02X>", b);
        if (!map_get(ids, str_of(name), &id))
            return err_set(e, ERR_INPUT, "%s: the tokenizer spells unknown characters as bytes, but has no piece \"%s\"", where, name);
    }
    return 0;
}

/* --- merges ----------------------------------------------------------------------------------------------------------------------- */

typedef struct Split { double score; uint32_t piece, at; } Split; /* the piece is joined from its first `at` bytes and the rest */
typedef VEC(Split) Splits;

static int by_score(const void *a, const void *b)
{
    const Split *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    if (x->piece != y->piece)
        return x->piece < y->piece ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* Whether text may stand as a symbol while merging. */
static bool joins(const SpmModel *m, const Map *ids, const Map *renamed, Str text)
{
    int64_t id;
    if (map_get(renamed, text, &id))
        return true;
    if (!map_get(ids, text, &id))
        return false;
    int64_t type = m->pieces.p[id].type;
    return type == SPM_NORMAL || type == SPM_UNUSED;
}

static int find_splits(const SpmModel *m, const Map *ids, const Map *renamed, Splits *out, const char *where, Err *e)
{
    for (size_t i = 0; i < m->pieces.n; i++) {
        const SpmPiece *p = &m->pieces.p[i];
        uint32_t cp;
        size_t first = (size_t)utf8_decode(p->text.p, p->text.n, &cp);
        if (p->type != SPM_NORMAL || p->text.n == first)
            continue;
        if (p->text.n > SPM_PIECE_MAX)
            return err_set(e, ERR_INPUT, "%s: piece %zu has %zu bytes; hone takes pieces of up to %d", where, i, p->text.n, SPM_PIECE_MAX);
        for (size_t at = first; at < p->text.n; at += (size_t)utf8_decode(p->text.p + at, p->text.n - at, &cp)) {
            if (!joins(m, ids, renamed, (Str){ p->text.p, at }) || !joins(m, ids, renamed, (Str){ p->text.p + at, p->text.n - at }))
                continue;
            if (out->n >= SPM_MERGES_MAX)
                return err_set(e, ERR_INPUT, "%s: the pieces can be joined in more than %d ways, which no tokenizer in use comes near", where, SPM_MERGES_MAX);
            *vec_push(out) = (Split){ p->score, (uint32_t)i, (uint32_t)at };
        }
    }
    if (out->n)
        qsort(out->p, out->n, sizeof *out->p, by_score);
    return 0;
}

static Json *merge_json(Str text, size_t at)
{
    Str left = { text.p, at }, right = { text.p + at, text.n - at };
    if (memchr(text.p, ' ', text.n)) {
        Json *pair = json_arr_new();
        json_push(pair, json_str_new(left));
        json_push(pair, json_str_new(right));
        return pair;
    }
    char joined[SPM_PIECE_MAX + 1];
    memcpy(joined, left.p, left.n);
    joined[left.n] = ' ';
    memcpy(joined + left.n + 1, right.p, right.n);
    return json_str_new((Str){ joined, text.n + 1 });
}

/* ASCII characters that need the place of their byte piece: character -> id. */
static Map *find_renamed(const SpmModel *m, const Map *ids)
{
    Map *renamed = map_new();
    for (size_t i = 0; m->byte_fallback && i < m->pieces.n; i++) {
        Str text = m->pieces.p[i].text;
        for (size_t k = 0; m->pieces.p[i].type == SPM_NORMAL && text.n > 1 && k < text.n; k++) {
            char name[8];
            int64_t id;
            if ((unsigned char)text.p[k] >= 0x80 || map_get(ids, (Str){ text.p + k, 1 }, &id))
                continue;
            snprintf(name, sizeof name, "<0x%02X>", (unsigned)(unsigned char)text.p[k]);
            if (map_get(ids, str_of(name), &id))
                map_put(renamed, (Str){ text.p + k, 1 }, id);
        }
    }
    return renamed;
}

static int bpe_model(const SpmModel *m, const Map *ids, Json **model, const char *where, Err *e)
{
    Map *renamed = find_renamed(m, ids);
    Splits splits = { 0 };
    int rc = find_splits(m, ids, renamed, &splits, where, e);
    if (!rc) {
        Json *vocab = json_obj_new(), *merges = json_arr_new(), *ranks = json_arr_new();
        Str *text = mem_zalloc(m->pieces.n, sizeof *text);
        StrBuf key = { 0 };
        for (size_t i = 0; i < map_count(renamed); i++)
            text[map_value(renamed, i)] = map_key(renamed, i);
        for (size_t i = 0; i < m->pieces.n; i++) {
            Str piece = text[i].n ? text[i] : m->pieces.p[i].text;
            strbuf_clear(&key);
            strbuf_add(&key, piece.p, piece.n);
            json_set(vocab, strbuf_z(&key), json_int_new((int64_t)i));
        }
        strbuf_release(&key);
        int64_t rank = 0;
        for (size_t i = 0; i < splits.n; i++) {
            rank += i && splits.p[i].score != splits.p[i - 1].score;
            json_push(merges, merge_json(m->pieces.p[splits.p[i].piece].text, splits.p[i].at));
            json_push(ranks, json_int_new(rank));
        }
        *model = source_literal("{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,\"continuing_subword_prefix\":null,"
                                "\"end_of_word_suffix\":null,\"fuse_unk\":true,\"byte_fallback\":false,\"ignore_merges\":false}");
        if (is_piece(m, m->unk))
            json_set(*model, "unk_token", json_str_new(m->pieces.p[m->unk].text));
        json_set(*model, "byte_fallback", json_bool_new(m->byte_fallback));
        json_set(*model, "vocab", vocab);
        json_set(*model, "merges", merges);
        json_set(*model, "ranks", ranks);
        free(text);
    }
    vec_release(&splits);
    map_free(renamed);
    return rc;
}

/* --- Unigram ---------------------------------------------------------------------------------------------------------------------- */

static Json *unigram_model(const SpmModel *m, const char *where)
{
    Json *vocab = json_arr_new(), *unmatched = json_arr_new(), *model = source_literal("{\"type\":\"Unigram\"}");
    size_t unused = 0;
    for (size_t i = 0; i < m->pieces.n; i++) {
        const SpmPiece *p = &m->pieces.p[i];
        Json *pair = json_arr_new();
        json_push(pair, json_str_new(p->text));
        json_push(pair, json_num_new(p->score));
        json_push(vocab, pair);
        if (p->type == SPM_CONTROL || p->type == SPM_UNKNOWN || p->type == SPM_BYTE)
            json_push(unmatched, json_int_new((int64_t)i));
        unused += p->type == SPM_UNUSED;
    }
    if (unused)
        log_warn("tokenizer", "%s: %zu pieces are marked as unused; they are treated as ordinary pieces", where, unused);
    json_set(model, "unk_id", json_int_new(m->unk));
    json_set(model, "vocab", vocab);
    json_set(model, "byte_fallback", json_bool_new(m->byte_fallback));
    json_set(model, "unmatched", unmatched);
    return model;
}

/* --- around the model ------------------------------------------------------------------------------------------------------------- */

/* A character map may change what is no lower-case ASCII (and U+2581, which no map in use touches). */
static bool found_normalised(const SpmModel *m, Str text)
{
    for (size_t i = 0; m->charsmap.n && i < text.n; i++) {
        if (text.n - i >= 3 && memcmp(text.p + i, SPM_SPACE, 3) == 0)
            i += 2;
        else if ((unsigned char)text.p[i] >= 0x80 || (text.p[i] >= 'A' && text.p[i] <= 'Z'))
            return false;
    }
    return true;
}

static Json *added_json(const SpmModel *m)
{
    Json *added = json_arr_new();
    for (size_t i = 0; i < m->pieces.n; i++) {
        const SpmPiece *p = &m->pieces.p[i];
        if (p->type == SPM_CONTROL || p->type == SPM_UNKNOWN)
            json_push(added, source_added((int64_t)i, p->text, true, false));
        else if (p->type == SPM_USER)
            json_push(added, source_added((int64_t)i, p->text, false, found_normalised(m, p->text)));
    }
    return added;
}

static Json *normalizer_json(const SpmModel *m)
{
    Json *list = json_arr_new(), *all = source_literal("{\"type\":\"Sequence\"}");
    if (m->charsmap.n) {
        Json *map = source_literal("{\"type\":\"Precompiled\",\"longest\":true}");
        StrBuf text = { 0 };
        base64_write(&text, m->charsmap.p, m->charsmap.n);
        json_set(map, "precompiled_charsmap", json_str_new(strbuf_str(&text)));
        strbuf_release(&text);
        json_push(list, map);
    }
    if (m->squeeze) {
        json_push(list, source_literal("{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"\\\\A +\"},\"content\":\"\"}"));
        json_push(list, source_literal("{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" {2,}\"},\"content\":\" \"}"));
    }
    if (m->escape)
        json_push(list, source_literal("{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"" SPM_SPACE "\"}"));
    if (m->squeeze) /* at the end, the library strips what is a space by now */
        json_push(list, source_literal(m->escape ? "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"" SPM_SPACE "+\\\\z\"},\"content\":\"\"}"
                                                 : "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" +\\\\z\"},\"content\":\"\"}"));
    json_set(all, "normalizers", list);
    return all;
}

static Json *prefix_json(const SpmModel *m)
{
    if (!m->dummy_prefix)
        return NULL;
    return source_literal(m->escape ? "{\"type\":\"Metaspace\",\"replacement\":\"" SPM_SPACE "\",\"prepend_scheme\":\"start\",\"split\":false}"
                                    : "{\"type\":\"Metaspace\",\"replacement\":\" \",\"prepend_scheme\":\"start\",\"split\":false}");
}

static Json *decoder_json(const SpmModel *m)
{
    Json *list = json_arr_new(), *all = source_literal("{\"type\":\"Sequence\"}");
    if (m->escape)
        json_push(list, source_literal("{\"type\":\"Replace\",\"pattern\":{\"String\":\"" SPM_SPACE "\"},\"content\":\" \"}"));
    if (m->byte_fallback)
        json_push(list, source_literal("{\"type\":\"ByteFallback\"}"));
    json_push(list, source_literal("{\"type\":\"Fuse\"}"));
    if (m->dummy_prefix)
        json_push(list, source_literal("{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}"));
    json_set(all, "decoders", list);
    return all;
}

int spm_json(const SpmModel *m, Json **tokenizer, Json **config, const char *where, Err *e)
{
    static const char *const names[] = { "unk_token", "bos_token", "eos_token", "pad_token" };
    const int64_t ids_of[] = { m->unk, m->bos, m->eos, m->pad };
    Map *ids = map_new();
    Json *model = NULL;
    int rc = check_pieces(m, ids, where, e);
    if (!rc && m->kind == SPM_BPE)
        rc = bpe_model(m, ids, &model, where, e);
    else if (!rc)
        model = unigram_model(m, where);
    map_free(ids);
    if (rc)
        return rc;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (is_piece(m, ids_of[i]))
            source_name(config, names[i], m->pieces.p[ids_of[i]].text);
    bool before = m->add_bos && is_piece(m, m->bos), after = m->add_eos && is_piece(m, m->eos);
    const char *around[2] = { before ? m->pieces.p[m->bos].text.p : NULL, after ? m->pieces.p[m->eos].text.p : NULL };
    char *z[2] = { before ? mem_strndup(around[0], m->pieces.p[m->bos].text.n) : NULL, after ? mem_strndup(around[1], m->pieces.p[m->eos].text.n) : NULL };
    *tokenizer = source_file(added_json(m), normalizer_json(m), prefix_json(m), source_template((const char *const[]){ z[0], z[1] },
                             (const int64_t[]){ m->bos, m->eos }), decoder_json(m), model);
    free(z[0]);
    free(z[1]);
    return 0;
}
