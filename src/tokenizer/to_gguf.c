/* to_gguf.c - tokenizer.json -> tokenizer.ggml.*, as llama.cpp's own converter writes it and its loader reads it.
 *
 * Three kinds: byte-level BPE is "gpt2" (merges, and a name for the cutting: gguf_pre.c), BPE over U+2581 is "llama" (scores instead of merges),
 * Unigram is "t5". llama.cpp's "llama" joins the two neighbours whose union has the best score, so a token's score is the negative rank of the
 * first merge that makes it; whether that says the same as the merges is checked, and said where it does not.
 *
 * Everything is collected in Out before the first key is written. To add a kind: a row in kinds[]. */
#include "tokenizer/to_gguf.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/log.h"
#include "base/map.h"
#include "base/utf8.h"
#include "tokenizer/gguf_pre.h"
#include "tokenizer/source_int.h"

#define KEY "tokenizer.ggml."

typedef struct Out {
    const Json *tokenizer, *config, *model;
    const char *where, *name, *pre;
    VEC(Str)     text;      /* by id; p NULL: no token */
    VEC(int32_t) type;
    VEC(float)   score;
    Map         *id;        /* of a token's text */
    VEC(char *)  owned;     /* texts that stand in no JSON value */
    VEC(Str)     merges;
    StrBuf       charsmap;
    bool         scores, prefix, squeeze, says_prefix;
    bool         add_bos, add_eos;
    int64_t      bos, eos, unk, pad, eot;
} Out;

static Str own(Out *o, const char *p, size_t n)
{
    char *copy = mem_strndup(p, n);
    *vec_push(&o->owned) = copy;
    return (Str){ copy, n };
}

/* --- tokens and types ------------------------------------------------------------------------------------------------------------- */

static int put_token(Out *o, int64_t id, Str text, SpmType type, double score, Err *e)
{
    if (id < 0 || id >= SPM_PIECES_MAX)
        return err_set(e, ERR_INPUT, "%s: the token \"%.*s\" has the id %lld", o->where, (int)MIN(text.n, 60), text.p, (long long)id);
    while (o->text.n <= (size_t)id) {
        *vec_push(&o->text) = (Str){ NULL, 0 };
        *vec_push(&o->type) = (int32_t)SPM_UNUSED;
        *vec_push(&o->score) = -10000.0F; /* as llama.cpp's converter gives to what is no token */
    }
    o->text.p[id] = text;
    o->type.p[id] = (int32_t)type;
    o->score.p[id] = (float)score;
    map_put(o->id, text, id);
    return 0;
}

static bool is_byte(Str s)
{
    if (s.n != 6 || memcmp(s.p, "<0x", 3) != 0 || s.p[5] != '>')
        return false;
    for (size_t i = 3; i < 5; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'A' && s.p[i] <= 'F')))
            return false;
    return true;
}

/* Models that forgot to mark a control token as special, as llama.cpp's converter sees it. */
static bool looks_special(Str s)
{
    static const char *const names[] = { "<pad>", "<mask>", "<2mass>", "[@BOS@]" };
    static const char *const ends[][2] = { { "<|", "|>" }, { "<｜", "｜>" }, { "<unused", ">" } };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eqz(s, names[i]))
            return true;
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        if (str_starts(s, ends[i][0]) && str_ends(s, ends[i][1]))
            return true;
    return false;
}

static int collect_vocab(Out *o, Err *e)
{
    const Json *vocab = json_get(o->model, "vocab");
    JsonIter it = { 0 };
    Str key;
    Json *value;
    int rc = 0;
    while (!rc && json_each(vocab, &it, &key, &value))
        rc = put_token(o, json_int(value), key, o->scores && is_byte(key) ? SPM_BYTE : SPM_NORMAL, 0, e);
    for (size_t i = 0; !rc && json_kind(vocab) == JSON_ARRAY && i < json_len(vocab); i++) {
        Str text = json_str(json_at(json_at(vocab, i), 0));
        rc = put_token(o, (int64_t)i, text.p ? text : STR_LIT(""), is_byte(text) ? SPM_BYTE : SPM_NORMAL, json_num(json_at(json_at(vocab, i), 1)), e);
    }
    return rc;
}

static int collect_added(Out *o, Err *e)
{
    const Json *added = json_get(o->tokenizer, "added_tokens");
    size_t stripped = 0;
    int64_t next = (int64_t)map_count(o->id);
    for (size_t i = 0; i < json_len(added); i++) {
        const Json *a = json_at(added, i);
        Str content = json_str(json_get(a, "content"));
        bool special = json_bool(json_get(a, "special")) || looks_special(content), known;
        int64_t id = next;
        if (!content.n)
            continue;
        known = map_get(o->id, content, &id);
        next += !known; /* the engine numbers them so, whatever "id" says */
        stripped += json_bool(json_get(a, "lstrip")) || json_bool(json_get(a, "rstrip"));
        StrBuf text = { 0 };
        for (size_t k = 0; k < content.n; k++) { /* llama.cpp looks for user-defined tokens in the text as it is */
            bool space = !special && o->scores && content.n - k >= 3 && memcmp(content.p + k, SPM_SPACE, 3) == 0;
            strbuf_addc(&text, space ? ' ' : content.p[k]);
            k += space ? 2 : 0;
        }
        double score = o->scores && known ? (double)o->score.p[id] : o->scores ? -1000.0 : 0;
        int rc = put_token(o, id, own(o, text.p, text.n), special ? SPM_CONTROL : SPM_USER, score, e);
        strbuf_release(&text);
        if (rc)
            return rc;
        map_put(o->id, content, id);
    }
    if (stripped)
        log_warn("export", "%s: %zu tokens take up spaces beside them (lstrip, rstrip), which a GGUF file cannot say", o->where, stripped);
    return 0;
}

/* --- merges and scores ------------------------------------------------------------------------------------------------------------ */

static bool merge_sides(const Json *merge, Str side[2])
{
    Str text = json_str(merge);
    const char *space = text.n > 1 ? memchr(text.p + 1, ' ', text.n - 1) : NULL;
    side[0] = text.p ? (Str){ text.p, space ? (size_t)(space - text.p) : 0 } : json_str(json_at(merge, 0));
    side[1] = text.p ? (Str){ space ? space + 1 : text.p, space ? text.n - side[0].n - 1 : 0 } : json_str(json_at(merge, 1));
    return side[0].n && side[1].n;
}

static int bad_merge(const Out *o, size_t i, Err *e)
{
    return err_set(e, ERR_INPUT, "%s: merge number %zu should be \"left right\" or [\"left\", \"right\"]", o->where, i);
}

static int collect_merges(Out *o, Err *e)
{
    const Json *merges = json_get(o->model, "merges");
    StrBuf text = { 0 };
    int rc = 0;
    for (size_t i = 0; !rc && i < json_len(merges); i++) {
        Str side[2];
        if (str_starts(json_str(json_at(merges, i)), "#version"))
            continue;
        if (!merge_sides(json_at(merges, i), side)) {
            rc = bad_merge(o, i, e);
            break;
        }
        strbuf_clear(&text);
        for (size_t s = 0; s < 2; s++) {
            if (s)
                strbuf_addc(&text, ' ');
            for (size_t k = 0; k < side[s].n; k++) /* a space inside a token would end it */
                strbuf_add(&text, side[s].p[k] == ' ' ? "Ġ" : &side[s].p[k], side[s].p[k] == ' ' ? 2 : 1);
        }
        *vec_push(&o->merges) = own(o, text.p, text.n);
    }
    strbuf_release(&text);
    return rc;
}

/* Scores from ranks. Two things a score cannot say are counted: a split of a token that is no merge, and merges of one token with those of
 * another between them. */
static int collect_scores(Out *o, Err *e)
{
    const Json *merges = json_get(o->model, "merges"), *ranks = json_get(o->model, "ranks");
    size_t n = o->text.n, odd = 0, splits = 0, made = 0;
    VEC(int64_t) order = { 0 };  /* token of each merge */
    int64_t *first = mem_alloc((n + 1) * sizeof *first), *seen = mem_alloc((n + 1) * sizeof *seen);
    StrBuf joined = { 0 };
    int rc = 0;
    for (size_t i = 0; i < n; i++)
        first[i] = seen[i] = -1;
    for (size_t i = 0; !rc && i < json_len(merges); i++) {
        Str side[2];
        int64_t id;
        if (str_starts(json_str(json_at(merges, i)), "#version"))
            continue;
        if (!merge_sides(json_at(merges, i), side)) {
            rc = bad_merge(o, i, e);
            break;
        }
        strbuf_clear(&joined);
        strbuf_add(&joined, side[0].p, side[0].n);
        strbuf_add(&joined, side[1].p, side[1].n);
        if (!map_get(o->id, strbuf_str(&joined), &id)) {
            rc = err_set(e, ERR_INPUT, "%s: merge number %zu makes \"%.60s\", which is no token", o->where, i, strbuf_z(&joined));
            break;
        }
        made++;
        if (first[id] < 0) {
            first[id] = ranks ? json_int(json_at(ranks, i)) : (int64_t)order.n;
            o->score.p[id] = (float)-first[id];
        } else if (!ranks && order.n && order.p[order.n - 1] != id) {
            odd++;
        }
        *vec_push(&order) = id;
    }
    for (size_t i = 0; !rc && i < n; i++) {
        Str t = o->text.p[i];
        int64_t l, r;
        if (first[i] < 0 || t.n > SPM_PIECE_MAX)
            continue;
        for (size_t at = 1; at < t.n; at++)
            splits += map_get(o->id, (Str){ t.p, at }, &l) && map_get(o->id, (Str){ t.p + at, t.n - at }, &r);
    }
    if (!rc && (odd || splits > made))
        log_warn("export", "%s: llama.cpp joins tokens of this kind by scores; %zu merges stand in an order that scores cannot say, and %zu joins are none of "
                 "the tokenizer's merges: rare words may be cut otherwise there", o->where, odd, splits > made ? splits - made : 0);
    vec_release(&order);
    strbuf_release(&joined);
    free(first);
    free(seen);
    return rc;
}

/* --- normaliser and pre-tokenizer of the U+2581 kinds ----------------------------------------------------------------------------- */

static int refuse(const Out *o, const char *what, const Json *component, Err *e)
{
    StrBuf text = { .max = 300 };
    json_write(&text, component, false);
    err_set(e, ERR_INPUT, "%s: llama.cpp has no %s like this one, it would find other tokens: %s%s", o->where, what, strbuf_z(&text), text.over ? " ..." : "");
    strbuf_release(&text);
    return ERR_INPUT;
}

static int walk(Out *o, const Json *c, const char *what, int depth, Err *e)
{
    Str type = json_str(json_get(c, "type"));
    const Json *list = json_get(c, *what == 'n' ? "normalizers" : "pretokenizers"), *pattern = json_get(c, "pattern");
    Str from = json_str(json_get(pattern, "String")), regex = json_str(json_get(pattern, "Regex")), to = json_str(json_get(c, "content"));
    bool unigram = str_eqz(json_str(json_get(o->model, "type")), "Unigram");
    if (json_kind(c) == JSON_NULL)
        return 0;
    if (str_eqz(type, "Sequence") && depth < 8) {
        int rc = 0;
        for (size_t i = 0; !rc && i < json_len(list); i++)
            rc = walk(o, json_at(list, i), what, depth + 1, e);
        return rc;
    }
    if (str_eqz(type, "Prepend") && str_eqz(json_str(json_get(c, "prepend")), SPM_SPACE))
        return o->prefix = true, 0;
    if (str_eqz(type, "Replace") && str_eqz(from, " ") && str_eqz(to, SPM_SPACE))
        return 0;
    if (str_eqz(type, "Metaspace") && str_eqz(json_str(json_get(c, "replacement")), SPM_SPACE)) {
        o->prefix = o->prefix || !str_eqz(json_str(json_get(c, "prepend_scheme")), "never");
        return 0;
    }
    if (str_eqz(type, "Split") && str_eqz(from, " ")) /* behind the Replace above it never finds a space */
        return 0;
    if (unigram && str_eqz(type, "Precompiled") && base64_read(&o->charsmap, json_str(json_get(c, "precompiled_charsmap"))))
        return 0;
    bool squeezes = str_eqz(type, "WhitespaceSplit") || str_eqz(type, "Strip") || (str_eqz(type, "Replace") && (str_eqz(regex, " {2,}") ||
                    str_eqz(regex, "\\A +") || str_eqz(regex, SPM_SPACE "+\\z")));
    if (unigram && squeezes)
        return o->squeeze = true, 0;
    return refuse(o, what, c, e);
}

/* --- the kinds -------------------------------------------------------------------------------------------------------------------- */

static int make_gpt2(Out *o, Err *e)
{
    const Json *normal = json_get(o->tokenizer, "normalizer");
    Str type = json_str(json_get(normal, "type"));
    const GgufPre *pre = gguf_pre_of(json_get(o->tokenizer, "pre_tokenizer"), json_bool(json_get(o->model, "ignore_merges")), o->where, e);
    if (!pre)
        return ERR_INPUT;
    bool empty = str_eqz(type, "Sequence") && json_len(json_get(normal, "normalizers")) == 0;
    if (type.p && !empty && !str_eqz(type, "NFC"))
        return refuse(o, "normalizer", normal, e);
    if (str_eqz(type, "NFC"))
        log_info("export", "%s: the tokenizer composes characters (NFC) first, llama.cpp does not; text that is composed already is not touched", o->where);
    o->pre = pre->name;
    int rc = collect_vocab(o, e);
    rc = rc ? rc : collect_merges(o, e);
    return rc ? rc : collect_added(o, e);
}

static int make_pieces(Out *o, Err *e)
{
    bool unigram = str_eqz(json_str(json_get(o->model, "type")), "Unigram");
    o->scores = o->says_prefix = true;
    o->pre = "default";
    int rc = walk(o, json_get(o->tokenizer, "normalizer"), "normalizer", 0, e);
    rc = rc ? rc : walk(o, json_get(o->tokenizer, "pre_tokenizer"), "pre-tokenizer", 0, e);
    rc = rc ? rc : collect_vocab(o, e);
    rc = rc || unigram ? rc : collect_scores(o, e);
    return rc ? rc : collect_added(o, e);
}

static bool uses_bytes(const Json *component, int depth)
{
    const Json *list = json_get(component, "pretokenizers");
    if (str_eqz(json_str(json_get(component, "type")), "ByteLevel"))
        return true;
    for (size_t i = 0; depth < 8 && i < json_len(list); i++)
        if (uses_bytes(json_at(list, i), depth + 1))
            return true;
    return false;
}

static const struct { const char *type; bool bytes; const char *name; int (*make)(Out *, Err *); } kinds[] = {
    { "BPE", true, "gpt2", make_gpt2 }, { "BPE", false, "llama", make_pieces }, { "Unigram", false, "t5", make_pieces },
};

/* --- names and the template ------------------------------------------------------------------------------------------------------- */

static int find_names(Out *o, Err *e)
{
    const struct { const char *key; int64_t *id; } names[] = { { "bos_token", &o->bos }, { "eos_token", &o->eos }, { "unk_token", &o->unk },
                                                               { "pad_token", &o->pad }, { "eot_token", &o->eot } };
    Str unk = json_str(json_get(o->model, "unk_token"));
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        Str name = source_config_str(o->config, names[i].key);
        *names[i].id = -1;
        if (!name.n && names[i].id == &o->unk)
            name = unk;
        if (name.n && !map_get(o->id, name, names[i].id) && i < 2)
            return err_set(e, ERR_INPUT, "%s: the configuration names \"%.*s\" as %s, but the tokenizer has no such token", o->where, (int)MIN(name.n, 60),
                           name.p, names[i].key);
    }
    int64_t unk_id = o->unk >= 0 ? o->unk : json_kind(json_get(o->model, "unk_id")) == JSON_INT ? json_int(json_get(o->model, "unk_id")) : -1;
    if (o->scores && unk_id >= 0 && unk_id < (int64_t)o->type.n && (o->type.p[unk_id] == SPM_CONTROL || o->type.p[unk_id] == SPM_NORMAL)) {
        o->type.p[unk_id] = (int32_t)SPM_UNKNOWN;
        o->unk = unk_id;
    }
    return 0;
}

/* One TemplateProcessing, alone or in a Sequence beside a ByteLevel. */
static int read_template(Out *o, const Json *post, int depth, Err *e)
{
    Str type = json_str(json_get(post, "type"));
    const Json *list = json_get(post, "processors"), *single = json_get(post, "single");
    int rc = 0;
    if (json_kind(post) == JSON_NULL || str_eqz(type, "ByteLevel"))
        return 0;
    if (str_eqz(type, "Sequence") && depth < 8) {
        for (size_t i = 0; !rc && i < json_len(list); i++)
            rc = read_template(o, json_at(list, i), depth + 1, e);
        return rc;
    }
    if (!str_eqz(type, "TemplateProcessing"))
        return refuse(o, "post-processor", post, e);
    bool behind = false;
    size_t before = 0, after = 0;
    for (size_t i = 0; i < json_len(single); i++) {
        const Json *special = json_get(json_at(single, i), "SpecialToken"), *ids;
        if (!special) {
            behind = true;
            continue;
        }
        Str name = json_str(json_get(special, "id"));
        ids = json_get(json_get(json_get(post, "special_tokens"), name.p ? name.p : ""), "ids");
        int64_t id = json_len(ids) == 1 ? json_int(json_at(ids, 0)) : -2;
        if (id != (behind ? o->eos : o->bos) || (behind ? after++ : before++))
            return err_set(e, ERR_INPUT, "%s: the tokenizer puts \"%.*s\" %s every text; a GGUF file can only say that bos stands before and eos behind it",
                           o->where, (int)MIN(name.n, 60), name.p ? name.p : "", behind ? "behind" : "before");
    }
    o->add_bos = before > 0;
    o->add_eos = after > 0;
    return 0;
}

static int find_around(Out *o, Err *e)
{
    int rc = read_template(o, json_get(o->tokenizer, "post_processor"), 0, e);
    if (!rc && o->config) /* as in llama.cpp's converter the flags win */
        rc = json_opt_bool(o->config, "add_bos_token", &o->add_bos, o->where, e);
    if (!rc && o->config)
        rc = json_opt_bool(o->config, "add_eos_token", &o->add_eos, o->where, e);
    o->add_bos = o->add_bos && o->bos >= 0;
    o->add_eos = o->add_eos && o->eos >= 0;
    return rc;
}

static int fill_up(Out *o, int64_t vocab_size, Err *e)
{
    if (vocab_size && vocab_size < (int64_t)o->text.n)
        return err_set(e, ERR_INPUT, "%s: the tokenizer has %zu tokens, the model has rows for %lld", o->where, o->text.n, (long long)vocab_size);
    if (vocab_size > SPM_PIECES_MAX)
        return err_set(e, ERR_INPUT, "%s: the model has rows for %lld tokens, more than the %d that hone takes", o->where, (long long)vocab_size, SPM_PIECES_MAX);
    int64_t n = vocab_size ? vocab_size : (int64_t)o->text.n;
    for (int64_t i = 0; i < n; i++) {
        char name[32];
        if (i < (int64_t)o->text.n && o->text.p[i].p)
            continue;
        int len = snprintf(name, sizeof name, "[PAD%lld]", (long long)i);
        int64_t other;
        if (map_get(o->id, (Str){ name, (size_t)len }, &other))
            return err_set(e, ERR_INPUT, "%s: id %lld has no token and would be called \"%s\", but token %lld is called so", o->where, (long long)i, name,
                           (long long)other);
        int rc = put_token(o, i, own(o, name, (size_t)len), SPM_UNUSED, -10000.0, e);
        if (rc)
            return rc;
    }
    return 0;
}

/* --- writing ---------------------------------------------------------------------------------------------------------------------- */

static Str find_chat(const Json *config, Str given)
{
    const Json *own_chat = json_get(config, "chat_template");
    Str found = given.p ? given : json_str(own_chat);
    for (size_t i = 0; !given.p && json_kind(own_chat) == JSON_ARRAY && i < json_len(own_chat); i++)
        if (str_eqz(json_str(json_get(json_at(own_chat, i), "name")), "default"))
            found = json_str(json_get(json_at(own_chat, i), "template"));
    return found;
}

static void write_all(const Out *o, Str chat, GgufWriter *w)
{
    const struct { const char *key; int64_t id; } ids[] = {
        { KEY "bos_token_id", o->bos }, { KEY "eos_token_id", o->eos },     { KEY "unknown_token_id", o->unk },
        { KEY "padding_token_id", o->pad }, { KEY "eot_token_id", o->eot },
    };
    gguf_set_str(w, KEY "model", str_of(o->name));
    gguf_set_str(w, KEY "pre", str_of(o->pre));
    gguf_set_strs(w, KEY "tokens", o->text.p, o->text.n);
    gguf_set_i32s(w, KEY "token_type", o->type.p, o->type.n);
    if (o->scores)
        gguf_set_f32s(w, KEY "scores", o->score.p, o->score.n);
    else
        gguf_set_strs(w, KEY "merges", o->merges.p, o->merges.n);
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        if (ids[i].id >= 0)
            gguf_set_u32(w, ids[i].key, (uint32_t)ids[i].id);
    gguf_set_bool(w, KEY "add_bos_token", o->add_bos);
    gguf_set_bool(w, KEY "add_eos_token", o->add_eos);
    if (o->says_prefix)
        gguf_set_bool(w, KEY "add_space_prefix", o->prefix);
    if (o->squeeze)
        gguf_set_bool(w, KEY "remove_extra_whitespaces", true);
    if (o->charsmap.n)
        gguf_set_u8s(w, KEY "precompiled_charsmap", (const uint8_t *)o->charsmap.p, o->charsmap.n);
    if (chat.p)
        gguf_set_str(w, "tokenizer.chat_template", chat);
}

int tok_gguf_meta(const Json *tokenizer, const Json *config, int64_t vocab_size, Str chat_template, GgufWriter *w, const char *where, Err *e)
{
    Out o = { .tokenizer = tokenizer, .config = config, .model = json_get(tokenizer, "model"), .where = where, .id = map_new() };
    Str type = json_str(json_get(o.model, "type"));
    bool bytes = uses_bytes(json_get(tokenizer, "pre_tokenizer"), 0);
    int rc = ERR_INPUT;
    size_t i = 0;
    while (i < ARRAY_LEN(kinds) && !(str_eqz(type.p ? type : STR_LIT("BPE"), kinds[i].type) && kinds[i].bytes == bytes))
        i++;
    if (i < ARRAY_LEN(kinds)) {
        o.name = kinds[i].name;
        rc = kinds[i].make(&o, e);
    } else {
        err_set(e, ERR_INPUT, "%s: hone writes BPE and Unigram tokenizers into GGUF files, this one is %.*s", where, (int)MIN(type.n, 60), type.p);
    }
    rc = rc ? rc : find_names(&o, e);
    rc = rc ? rc : find_around(&o, e);
    rc = rc ? rc : fill_up(&o, vocab_size, e);
    if (!rc)
        write_all(&o, find_chat(config, chat_template), w);
    for (size_t k = 0; k < o.owned.n; k++)
        free(o.owned.p[k]);
    vec_release(&o.owned);
    vec_release(&o.text);
    vec_release(&o.type);
    vec_release(&o.score);
    vec_release(&o.merges);
    strbuf_release(&o.charsmap);
    map_free(o.id);
    return rc;
}
