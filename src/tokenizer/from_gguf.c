/* from_gguf.c - tokenizer.ggml.* -> tokenizer.json.
 *
 * models[] has a row for each tokenizer.ggml.model: which reader makes it, and what llama.cpp takes where the file is silent. "llama" is
 * SentencePiece BPE by scores, "t5" SentencePiece Unigram, "gpt2" byte-level BPE whose cutting tokenizer.ggml.pre names (gguf_pre.c), "bert"
 * WordPiece with U+2581 before words instead of ## inside them. Ids and texts are llama.cpp's for text without special tokens; behind a special
 * token in the text llama.cpp puts another prefix space ("llama"), we do as transformers does and put none. */
#include "tokenizer/from_gguf.h"

#include <stdio.h>
#include <stdlib.h>

#include "tokenizer/gguf_pre.h"
#include "tokenizer/source_int.h"

#define KEY "tokenizer.ggml."

typedef struct Meta {
    const Gguf *g;
    const char *where;
    SpmModel    m;       /* pieces, names and flags; the other readers use these too */
    int64_t     sep, cls, mask;
    Str         pre;
} Meta;

typedef struct ModelRow {
    const char *name;
    int (*read)(Meta *x, Json **tokenizer, Json **config, Err *e);
    int64_t bos, eos, unk, pad, sep, mask;
    bool    add_bos, add_eos, scores, prefix;
} ModelRow;

static int bad_array(const Meta *x, const char *key, const char *want, Err *e)
{
    return err_set(e, ERR_INPUT, "%s: %s should be %s", x->where, key, want);
}

static int read_tokens(Meta *x, bool need_scores, Err *e)
{
    GgufArray tokens = { 0 }, types = { 0 }, scores = { 0 };
    int rc = gguf_need_array(x->g, KEY "tokens", &tokens, e);
    rc = rc ? rc : gguf_opt_array(x->g, KEY "token_type", &types, e);
    rc = rc ? rc : need_scores ? gguf_need_array(x->g, KEY "scores", &scores, e) : 0;
    if (!rc && (tokens.kind != GGUF_STR || !tokens.n || tokens.n > SPM_PIECES_MAX))
        rc = bad_array(x, KEY "tokens", "an array of texts, at least one and not more than 4194304", e);
    if (!rc && types.n && (types.n != tokens.n || !gguf_array_is_int(&types)))
        rc = bad_array(x, KEY "token_type", "an array with a whole number for each token", e);
    if (!rc && need_scores && (scores.n != tokens.n || !gguf_array_is_num(&scores)))
        rc = bad_array(x, KEY "scores", "an array with a number for each token", e);
    for (size_t i = 0; !rc && i < tokens.n; i++) {
        SpmPiece p = { gguf_array_str(&tokens, i), need_scores ? gguf_array_num(&scores, i) : 0, types.n ? gguf_array_int(&types, i) : SPM_NORMAL };
        p.type = p.type == 0 ? SPM_NORMAL : p.type; /* undefined */
        if (!p.text.n || !source_text_ok(p.text))
            rc = err_set(e, ERR_INPUT, "%s: token %zu is empty, not valid UTF-8 or holds a NUL character", x->where, i);
        else if (p.type < SPM_NORMAL || p.type > SPM_BYTE)
            rc = err_set(e, ERR_INPUT, "%s: token %zu has the type %lld; the types are 1 to 6", x->where, i, (long long)p.type);
        else
            *vec_push(&x->m.pieces) = p;
    }
    return rc;
}

/* An id that no token has is an error; -1 stands for none. */
static int read_names(Meta *x, Err *e)
{
    const struct { const char *key; int64_t *id; } names[] = {
        { KEY "bos_token_id", &x->m.bos }, { KEY "eos_token_id", &x->m.eos }, { KEY "unknown_token_id", &x->m.unk }, { KEY "padding_token_id", &x->m.pad },
        { KEY "seperator_token_id", &x->sep }, { KEY "cls_token_id", &x->cls }, { KEY "mask_token_id", &x->mask },
    };
    int64_t n = (int64_t)x->m.pieces.n;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (*names[i].id >= n)
            *names[i].id = -1; /* a default of a larger vocabulary */
        int rc = gguf_opt_int(x->g, names[i].key, names[i].id, e);
        if (rc)
            return rc;
        if (*names[i].id == 0xFFFFFFFF)
            *names[i].id = -1;
        if (*names[i].id < -1 || *names[i].id >= n)
            return err_set(e, ERR_INPUT, "%s: %s is %lld, but there are %lld tokens", x->where, names[i].key, (long long)*names[i].id, (long long)n);
    }
    int rc = gguf_opt_bool(x->g, KEY "add_bos_token", &x->m.add_bos, e);
    return rc ? rc : gguf_opt_bool(x->g, KEY "add_eos_token", &x->m.add_eos, e);
}

static const SpmPiece *piece_at(const Meta *x, int64_t id)
{
    return id >= 0 && id < (int64_t)x->m.pieces.n ? &x->m.pieces.p[id] : NULL;
}

static Json *around_json(const Meta *x, int64_t before, int64_t after)
{
    const SpmPiece *p[2] = { piece_at(x, before), piece_at(x, after) };
    char *z[2] = { p[0] ? mem_strndup(p[0]->text.p, p[0]->text.n) : NULL, p[1] ? mem_strndup(p[1]->text.p, p[1]->text.n) : NULL };
    Json *post = source_template((const char *const[]){ z[0], z[1] }, (const int64_t[]){ before, after });
    free(z[0]);
    free(z[1]);
    return post;
}

/* --- SentencePiece ---------------------------------------------------------------------------------------------------------------- */

static bool has_bytes(const Meta *x)
{
    size_t n = 0;
    for (size_t i = 0; i < x->m.pieces.n; i++)
        n += x->m.pieces.p[i].type == SPM_BYTE;
    return n == 256;
}

static int read_pieces(Meta *x, Json **tokenizer, Json **config, Err *e)
{
    GgufArray map = { 0 };
    StrBuf charsmap = { 0 };
    x->m.escape = true;
    x->m.byte_fallback = has_bytes(x);
    int rc = gguf_opt_bool(x->g, KEY "add_space_prefix", &x->m.dummy_prefix, e);
    rc = rc ? rc : gguf_opt_bool(x->g, KEY "remove_extra_whitespaces", &x->m.squeeze, e);
    rc = rc ? rc : gguf_opt_array(x->g, KEY "precompiled_charsmap", &map, e);
    if (!rc && map.n && map.kind != GGUF_U8 && map.kind != GGUF_I8)
        rc = bad_array(x, KEY "precompiled_charsmap", "an array of bytes", e);
    for (size_t i = 0; !rc && i < map.n; i++)
        strbuf_addc(&charsmap, (char)(gguf_array_int(&map, i) & 0xFF));
    x->m.charsmap = strbuf_str(&charsmap);
    rc = rc ? rc : spm_json(&x->m, tokenizer, config, x->where, e);
    strbuf_release(&charsmap);
    return rc;
}

static int read_llama(Meta *x, Json **tokenizer, Json **config, Err *e)
{
    x->m.kind = SPM_BPE;
    return read_pieces(x, tokenizer, config, e);
}

static int read_t5(Meta *x, Json **tokenizer, Json **config, Err *e)
{
    x->m.kind = SPM_UNIGRAM;
    return read_pieces(x, tokenizer, config, e);
}

/* --- byte-level BPE --------------------------------------------------------------------------------------------------------------- */

static int vocab_json(const Meta *x, Json **vocab, bool words, Err *e)
{
    StrBuf key = { 0 };
    int rc = 0;
    *vocab = json_obj_new();
    for (size_t i = 0; !rc && i < x->m.pieces.n; i++) {
        const SpmPiece *p = &x->m.pieces.p[i];
        bool begins = words && p->text.n > 3 && memcmp(p->text.p, SPM_SPACE, 3) == 0, plain = p->type == SPM_NORMAL;
        strbuf_clear(&key);
        if (words && plain && !begins)
            strbuf_addz(&key, "##");
        strbuf_add(&key, p->text.p + (plain && begins ? 3 : 0), p->text.n - (plain && begins ? 3 : 0));
        if (json_get(*vocab, strbuf_z(&key)))
            rc = err_set(e, ERR_INPUT, "%s: tokens %lld and %zu are both \"%.60s\"", x->where, (long long)json_int(json_get(*vocab, strbuf_z(&key))), i,
                         strbuf_z(&key));
        else
            json_set(*vocab, strbuf_z(&key), json_int_new((int64_t)i));
    }
    strbuf_release(&key);
    return rc;
}

static Json *added_json(const Meta *x)
{
    Json *added = json_arr_new();
    for (size_t i = 0; i < x->m.pieces.n; i++) {
        const SpmPiece *p = &x->m.pieces.p[i];
        if (p->type == SPM_CONTROL || p->type == SPM_UNKNOWN || p->type == SPM_USER)
            json_push(added, source_added((int64_t)i, p->text, p->type != SPM_USER, false));
    }
    return added;
}

/* "left right"; the left side may begin with a space. */
static int merges_json(const Meta *x, Json **merges, Err *e)
{
    GgufArray list = { 0 };
    int rc = gguf_need_array(x->g, KEY "merges", &list, e);
    if (!rc && (list.kind != GGUF_STR || list.n > SPM_MERGES_MAX))
        rc = bad_array(x, KEY "merges", "an array of texts, not more than 4194304", e);
    *merges = json_arr_new();
    for (size_t i = 0; !rc && i < list.n; i++) {
        Str text = gguf_array_str(&list, i);
        const char *space = text.n > 1 ? memchr(text.p + 1, ' ', text.n - 1) : NULL;
        if (!space || !source_text_ok(text))
            return err_set(e, ERR_INPUT, "%s: merge number %zu should be \"left right\" in valid UTF-8", x->where, i);
        Json *pair = json_arr_new();
        json_push(pair, json_str_new((Str){ text.p, (size_t)(space - text.p) }));
        json_push(pair, json_str_new((Str){ space + 1, text.n - (size_t)(space - text.p) - 1 }));
        json_push(*merges, pair);
    }
    return rc;
}

static int read_gpt2(Meta *x, Json **tokenizer, Json **config, Err *e)
{
    static const char *const names[] = { "unk_token", "bos_token", "eos_token", "pad_token" };
    const int64_t ids[] = { x->m.unk, x->m.bos, x->m.eos, x->m.pad };
    const GgufPre *pre = gguf_pre_find(x->pre);
    Json *vocab = NULL, *merges = NULL;
    if (!x->pre.p)
        return err_set(e, ERR_INPUT, "%s: %spre is missing, so nothing says how the tokenizer cuts words; convert the model again with a llama.cpp of 2024 or "
                       "later", x->where, KEY);
    if (!pre)
        return err_set(e, ERR_INPUT, "%s: the pre-tokenizer \"%.*s\" is not one that hone knows", x->where, (int)MIN(x->pre.n, 60), x->pre.p);
    if (pre->bos && !gguf_has(x->g, KEY "add_bos_token"))
        x->m.add_bos = true;
    int rc = vocab_json(x, &vocab, false, e);
    rc = rc ? rc : merges_json(x, &merges, e);
    if (rc) {
        json_free(vocab);
        json_free(merges);
        return rc;
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (piece_at(x, ids[i]))
            source_name(config, names[i], piece_at(x, ids[i])->text);
    Json *model = source_literal("{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,"
                                 "\"fuse_unk\":false,\"byte_fallback\":false}");
    json_set(model, "ignore_merges", json_bool_new(pre->whole_words));
    json_set(model, "vocab", vocab);
    json_set(model, "merges", merges);
    *tokenizer = source_file(added_json(x), NULL, gguf_pre_json(pre), around_json(x, x->m.add_bos ? x->m.bos : -1, x->m.add_eos ? x->m.eos : -1),
                             source_literal("{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true,\"use_regex\":true}"), model);
    return 0;
}

/* --- WordPiece -------------------------------------------------------------------------------------------------------------------- */

static int read_bert(Meta *x, Json **tokenizer, Json **config, Err *e)
{
    static const char *const names[] = { "unk_token", "cls_token", "sep_token", "pad_token", "mask_token" };
    int64_t first = x->cls >= 0 ? x->cls : x->m.bos;
    const int64_t ids[] = { x->m.unk, first, x->sep, x->m.pad, x->mask };
    bool lower = true;
    Json *vocab = NULL;
    int rc = gguf_opt_bool(x->g, KEY "normalizer.lowercase", &lower, e);
    rc = rc ? rc : vocab_json(x, &vocab, true, e);
    if (!rc && (!piece_at(x, x->m.unk) || !piece_at(x, first) || !piece_at(x, x->sep)))
        rc = err_set(e, ERR_INPUT, "%s: a WordPiece tokenizer needs the ids of its unknown, first and separator tokens", x->where);
    if (rc) {
        json_free(vocab);
        return rc;
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (piece_at(x, ids[i]))
            source_name(config, names[i], piece_at(x, ids[i])->text);
    Json *model = source_literal("{\"type\":\"WordPiece\",\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":100}");
    Json *normal = source_literal("{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,\"strip_accents\":null}");
    json_set(normal, "lowercase", json_bool_new(lower));
    json_set(model, "unk_token", json_str_new(piece_at(x, x->m.unk)->text));
    json_set(model, "vocab", vocab);
    *tokenizer = source_file(added_json(x), normal, source_literal("{\"type\":\"BertPreTokenizer\"}"), around_json(x, first, x->sep),
                             source_literal("{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true}"), model);
    return 0;
}

/* --- all -------------------------------------------------------------------------------------------------------------------------- */

static const ModelRow models[] = {
    /* name, reader,          bos, eos, unk, pad, sep, mask, add bos, add eos, scores, prefix */
    { "llama", read_llama,      1,   2,   0,  -1,  -1,   -1,    true,   false,   true,   true },
    { "gpt2",  read_gpt2,      -1,  -1,  -1,  -1,  -1,   -1,   false,   false,  false,  false },
    { "bert",  read_bert,     101,  -1, 100,   0, 102,  103,    true,   false,  false,  false },
    { "t5",    read_t5,        -1,   1,   2,   0,  -1,   -1,   false,    true,   true,  false },
};

static int add_config(const Meta *x, Json **config, Err *e)
{
    Str chat = { NULL, 0 };
    int64_t eot = -1, eom = -1;
    int rc = gguf_opt_str(x->g, "tokenizer.chat_template", &chat, e);
    rc = rc ? rc : gguf_opt_int(x->g, KEY "eot_token_id", &eot, e);
    rc = rc ? rc : gguf_opt_int(x->g, KEY "eom_token_id", &eom, e);
    if (!rc && chat.p && !source_text_ok(chat))
        rc = err_set(e, ERR_INPUT, "%s: tokenizer.chat_template is not valid UTF-8 or holds a NUL character", x->where);
    if (rc)
        return rc;
    if (!*config)
        *config = json_obj_new();
    json_set(*config, "add_bos_token", json_bool_new(x->m.add_bos && x->m.bos >= 0));
    json_set(*config, "add_eos_token", json_bool_new(x->m.add_eos && x->m.eos >= 0));
    if (chat.p)
        json_set(*config, "chat_template", json_str_new(chat));
    if (piece_at(x, eot))
        source_name(config, "eot_token", piece_at(x, eot)->text);
    if (piece_at(x, eom))
        source_name(config, "eom_token", piece_at(x, eom)->text);
    return 0;
}

int tok_json_from_gguf(const Gguf *g, Json **tokenizer, Json **config, Err *e)
{
    Meta x = { .g = g, .where = gguf_path(g), .sep = -1, .cls = -1, .mask = -1 };
    Str name = { NULL, 0 };
    const ModelRow *row = NULL;
    *tokenizer = *config = NULL;
    int rc = gguf_opt_str(g, KEY "model", &name, e);
    rc = rc ? rc : gguf_opt_str(g, KEY "pre", &x.pre, e);
    for (size_t i = 0; !rc && i < ARRAY_LEN(models); i++)
        if (str_eqz(name, models[i].name))
            row = &models[i];
    if (!rc && !row)
        rc = name.p ? err_set(e, ERR_INPUT, "%s: the tokenizer model \"%.*s\" is not one that hone knows; it reads llama, gpt2, bert and t5", x.where,
                              (int)MIN(name.n, 60), name.p)
                    : err_set(e, ERR_INPUT, "%s: the file has no tokenizer (%smodel is missing)", x.where, KEY);
    if (!rc) {
        x.m.bos = row->bos;
        x.m.eos = row->eos;
        x.m.unk = row->unk;
        x.m.pad = row->pad;
        x.sep = row->sep;
        x.mask = row->mask;
        x.m.add_bos = row->add_bos;
        x.m.add_eos = row->add_eos;
        x.m.dummy_prefix = row->prefix;
        rc = read_tokens(&x, row->scores, e);
    }
    rc = rc ? rc : read_names(&x, e);
    rc = rc ? rc : row->read(&x, tokenizer, config, e);
    rc = rc ? rc : add_config(&x, config, e);
    spm_release(&x.m);
    return rc;
}
