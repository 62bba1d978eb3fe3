/* tok_load.c - tokenizer.json and tokenizer_config.json -> Tok.
 *
 * What is in the file is either understood or refused by name: a component or option that we skipped would change ids silently. The order of
 * opening matters: the vocabulary numbers the added tokens, the normaliser rewrites them, the template and the names refer to them.
 *
 * Where transformers (5.23) looks elsewhere than tokenizer.json, so do we: tokens of added_tokens_decoder in tokenizer_config.json are added or change
 * those of the file, then the named tokens (bos_token ...) and additional_special_tokens become special ones. It ignores add_bos_token and
 * add_eos_token where there is a tokenizer.json (version 4 rebuilt the template for some classes): the template counts, and we warn where the
 * flags say something else. Its classes that build a tokenizer anew from the vocabulary are not followed: the file counts. truncation and
 * padding in the file are settings of a caller: a warning, no effect. clean_up_tokenization_spaces is not followed in decoding. */
#include <stdlib.h>

#include "base/log.h"
#include "base/utf8.h"
#include "tokenizer/source.h"
#include "tokenizer/chat_template.h"
#include "tokenizer/tok_int.h"

int check_keys(const Json *obj, const char *known, const char *where, Err *e)
{
    JsonIter it = { 0 };
    Str key;
    Json *value;
    if (json_kind(obj) != JSON_OBJECT)
        return err_set(e, ERR_INPUT, "%s: an object was expected, this is %s", where, json_kind_name(obj));
    while (json_each(obj, &it, &key, &value)) {
        const char *p = known;
        size_t n;
        while ((n = strcspn(p, "|")) != key.n || memcmp(p, key.p, n) != 0) {
            p += n;
            if (!*p)
                return err_set(e, ERR_INPUT, "%s: the option \"%.*s\" is not one that hone knows (it knows %s)", where, (int)MIN(key.n, 60), key.p, known);
            p++;
        }
    }
    return 0;
}

int need_bool(const Json *obj, const char *key, bool *v, const char *where, Err *e)
{
    if (json_kind(json_get(obj, key)) != JSON_BOOL)
        return err_set(e, ERR_INPUT, "%s: \"%s\" should be true or false, it is %s", where, key, json_kind_name(json_get(obj, key)));
    *v = json_bool(json_get(obj, key));
    return 0;
}

bool one_char(Str s)
{
    uint32_t cp;
    return s.n && utf8_decode(s.p, s.n, &cp) == (int)s.n;
}

Str arena_str(Arena *a, Str s)
{
    char *p = arena_alloc(a, s.n + 1);
    memcpy(p, s.n ? s.p : "", s.n);
    p[s.n] = '\0';
    return (Str){ p, s.n };
}

static Json *part(const Json *tokenizer, const char *key)
{
    Json *j = json_get(tokenizer, key);
    return j && json_kind(j) != JSON_NULL ? j : NULL;
}

static const char *where_of(Tok *t, const char *where, const char *key)
{
    return arena_printf(&t->arena, "%s, %s", where, key);
}

int vocab_object(Tok *t, const Json *vocab, const char *where, Err *e)
{
    if (json_kind(vocab) != JSON_OBJECT)
        return err_set(e, ERR_INPUT, "%s: \"vocab\" should be an object of texts and ids, it is %s", where, json_kind_name(vocab));
    JsonIter it = { 0 };
    Str key;
    Json *value;
    while (json_each(vocab, &it, &key, &value)) {
        int64_t id = json_kind(value) == JSON_INT ? json_int(value) : -1;
        if (id < 0 || id >= TOK_ID_MAX)
            return err_set(e, ERR_INPUT, "%s: the entry \"%.*s\" of the vocabulary should have an id from 0 to %d", where, (int)MIN(key.n, 60), key.p,
                           TOK_ID_MAX - 1);
        map_put(t->vocab, key, id);
    }
    t->vocab_size = map_count(t->vocab);
    return 0;
}

static const TokModel token_models[] = {
    { "BPE",       "BPE",       bpe_parse,       bpe_encode,       bpe_finish },
    { "Unigram",   "Unigram",   unigram_parse,   unigram_encode,   NULL       },
    { "WordPiece", "WordPiece", wordpiece_parse, wordpiece_encode, NULL       },
    { "WordLevel", "WordLevel", wordlevel_parse, wordpiece_encode, NULL       },
};

static int load_model(Tok *t, const Json *tokenizer, const char *where, Err *e)
{
    const Json *model = json_get(tokenizer, "model");
    if (json_kind(model) != JSON_OBJECT)
        return err_set(e, ERR_INPUT, "%s: \"model\" should be an object, it is %s", where, json_kind_name(model));
    Str type = STR_LIT("BPE"); /* the oldest files do not say it */
    if (!json_get(model, "merges"))
        type = json_get(model, "continuing_subword_prefix") ? STR_LIT("WordPiece") : json_get(model, "unk_id") ? STR_LIT("Unigram") : STR_LIT("WordLevel");
    int rc = json_opt_str(model, "type", &type, where, e);
    t->vocab = map_new();
    for (size_t i = 0; !rc && i < ARRAY_LEN(token_models); i++)
        if (str_eqz(type, token_models[i].type)) {
            t->model = &token_models[i];
            return t->model->parse(t, model, where_of(t, where, "model"), e);
        }
    return rc ? rc : err_set(e, ERR_INPUT, "%s: the model \"%.*s\" is not one that hone knows; it reads BPE, Unigram, WordPiece and WordLevel", where,
                             (int)MIN(type.n, 60), type.p);
}

static int load_steps(Tok *t, const Json *tokenizer, const char *where, Err *e)
{
    StepParse normal = { &t->normal, &t->arena, where_of(t, where, "normalizer"), 0 };
    StepParse pretok = { &t->pretok, &t->arena, where_of(t, where, "pre_tokenizer"), 0 };
    const Json *n = part(tokenizer, "normalizer"), *p = part(tokenizer, "pre_tokenizer");
    int rc = n ? normal_parse(&normal, n, e) : 0;
    return !rc && p ? pretok_parse(&pretok, p, e) : rc;
}

static int load_entries(Tok *t, const char *where, Err *e)
{
    const Map *vocab = t->vocab;
    int64_t size = (int64_t)(t->entries_of ? t->vocab_size : 0);
    for (size_t i = 0; i < map_count(vocab); i++)
        size = MAX(size, map_value(vocab, i) + 1);
    for (size_t i = 0; i < t->added.list.n; i++)
        size = MAX(size, (int64_t)t->added.list.p[i].id + 1);
    if (!size)
        return err_set(e, ERR_INPUT, "%s: the vocabulary is empty", where);
    t->size = (int32_t)size;
    t->entries = mem_zalloc((size_t)size, sizeof *t->entries);
    for (size_t i = 0; t->entries_of && i < t->vocab_size; i++)
        t->entries[i] = (Entry){ .text = t->entries_of[i], .added = -1 };
    for (size_t i = 0; !t->entries_of && i < map_count(vocab); i++) {
        Entry *entry = &t->entries[map_value(vocab, i)];
        Str key = map_key(vocab, i);
        if (entry->text.p)
            return err_set(e, ERR_INPUT, "%s: the vocabulary gives the id %lld to both \"%.*s\" and \"%.*s\"", where, (long long)map_value(vocab, i),
                           (int)MIN(entry->text.n, 60), entry->text.p, (int)MIN(key.n, 60), key.p);
        *entry = (Entry){ .text = key, .added = -1 };
    }
    for (size_t i = 0; i < t->added.list.n; i++) {
        const Added *a = &t->added.list.p[i];
        int64_t other;
        /* The library compares the text it would write with the contents of special tokens: a normalised form may escape, or be caught. */
        bool skip = map_get(t->added.by_content, a->text, &other) && t->added.list.p[other].special;
        t->entries[a->id] = (Entry){ .text = a->content, .added = (int32_t)i, .skip = skip, .special = a->special };
    }
    return 0;
}

/* --- the template ----------------------------------------------------------------------------------------------------------------- */

typedef struct Template { Tok *t; const char *where; bool given; } Template;

static int template_ids(Template *x, const Json *specials, Str name, TokIds *to, Err *e)
{
    Json *special = json_get(specials, name.p ? name.p : ""), *ids = NULL;
    int rc = special ? json_opt_array(special, "ids", &ids, x->where, e) : 0;
    if (!rc && !ids)
        rc = err_set(e, ERR_INPUT, "%s: the template names the special token \"%.*s\" but \"special_tokens\" has no ids for it", x->where,
                     (int)MIN(name.n, 60), name.p);
    for (size_t i = 0; !rc && i < json_len(ids); i++) {
        int64_t id = json_kind(json_at(ids, i)) == JSON_INT ? json_int(json_at(ids, i)) : -1;
        if (id < 0 || id >= x->t->size)
            rc = err_set(e, ERR_INPUT, "%s: the special token \"%.*s\" should have ids from 0 to %d", x->where, (int)MIN(name.n, 60), name.p, x->t->size - 1);
        else if (!tok_text(x->t, (int32_t)id).p)
            rc = err_set(e, ERR_INPUT, "%s: the special token \"%.*s\" has the id %d, which is no token of this vocabulary", x->where,
                         (int)MIN(name.n, 60), name.p, (int)id);
        else
            *vec_push(to) = (int32_t)id;
    }
    return rc;
}

/* Processors of a Sequence work on each other's result: a later one stands further out. A template is the last: the library would take its parts for
 * several texts. */
static void put_before(Tok *t, TokIds *outer)
{
    for (size_t i = 0; i < t->before.n; i++)
        *vec_push(outer) = t->before.p[i];
    vec_release(&t->before);
    t->before.p = outer->p;
    t->before.n = outer->n;
    t->before.cap = outer->cap;
}

static int parse_template(Template *x, const Json *c, Err *e)
{
    Json *single = NULL;
    TokIds before = { 0 };
    bool text_seen = false;
    int rc = check_keys(c, "type|single|pair|special_tokens", x->where, e);
    rc = rc ? rc : json_opt_array(c, "single", &single, x->where, e);
    for (size_t i = 0; !rc && i < json_len(single); i++) {
        const Json *piece = json_at(single, i), *special = json_get(piece, "SpecialToken"), *sequence = json_get(piece, "Sequence");
        Str id;
        rc = json_need_str(special ? special : sequence, "id", &id, x->where, e);
        if (rc)
            break;
        if (special) {
            rc = template_ids(x, json_get(c, "special_tokens"), id, text_seen ? &x->t->after : &before, e);
        } else if (text_seen || !str_eqz(id, "A")) {
            rc = err_set(e, ERR_INPUT, "%s: the template of a single text should have the sequence A once", x->where);
        } else {
            text_seen = true;
        }
    }
    if (!rc && !text_seen)
        rc = err_set(e, ERR_INPUT, "%s: the template of a single text should have the sequence A once", x->where);
    put_before(x->t, &before);
    x->given = true;
    return rc;
}

/* ["[SEP]", 102]: the name does not count. */
static int pair_id(Template *x, const Json *c, const char *key, int32_t *out, Err *e)
{
    const Json *pair = json_get(c, key), *id = json_at(pair, 1);
    bool good = json_kind(pair) == JSON_ARRAY && json_len(pair) == 2 && json_kind(json_at(pair, 0)) == JSON_STRING && json_kind(id) == JSON_INT;
    if (!good || json_int(id) < 0 || json_int(id) >= x->t->size || !tok_text(x->t, (int32_t)json_int(id)).p)
        return err_set(e, ERR_INPUT, "%s: \"%s\" should be [text, id] with the id of a token", x->where, key);
    *out = (int32_t)json_int(id);
    return 0;
}

static int parse_pair(Template *x, const Json *c, const char *keys, Err *e)
{
    int32_t cls = -1, sep = -1;
    TokIds before = { 0 };
    int rc = check_keys(c, keys, x->where, e);
    rc = rc ? rc : pair_id(x, c, "cls", &cls, e);
    rc = rc ? rc : pair_id(x, c, "sep", &sep, e);
    if (rc)
        return rc;
    *vec_push(&before) = cls;
    put_before(x->t, &before);
    *vec_push(&x->t->after) = sep;
    return 0;
}

/* ByteLevel as a post-processor only trims the offsets that the library reports; ours cover the whole token. */
static int parse_post(Template *x, const Json *c, int depth, Err *e)
{
    Str type;
    int rc = json_need_str(c, "type", &type, x->where, e);
    if (rc)
        return rc;
    if (x->given && !str_eqz(type, "ByteLevel") && !str_eqz(type, "Sequence")) /* it would dress each part of the template on its own */
        return err_set(e, ERR_INPUT, "%s: a %.*s behind a TemplateProcessing is not what hone knows how to read", x->where, (int)MIN(type.n, 60), type.p);
    if (str_eqz(type, "TemplateProcessing"))
        return parse_template(x, c, e);
    if (str_eqz(type, "BertProcessing"))
        return parse_pair(x, c, "type|sep|cls", e);
    if (str_eqz(type, "RobertaProcessing"))
        return parse_pair(x, c, "type|sep|cls|trim_offsets|add_prefix_space", e);
    if (str_eqz(type, "ByteLevel"))
        return check_keys(c, "type|add_prefix_space|trim_offsets|use_regex", x->where, e);
    if (!str_eqz(type, "Sequence") || depth >= TOK_NEST_MAX)
        return err_set(e, ERR_INPUT, "%s: the post-processor \"%.*s\" is not one that hone knows, or it is nested too deep", x->where,
                       (int)MIN(type.n, 60), type.p);
    Json *list = NULL;
    rc = check_keys(c, "type|processors", x->where, e);
    rc = rc ? rc : json_opt_array(c, "processors", &list, x->where, e);
    for (size_t i = 0; !rc && i < json_len(list); i++)
        rc = parse_post(x, json_at(list, i), depth + 1, e);
    return rc;
}

/* --- tokenizer_config.json -------------------------------------------------------------------------------------------------------- */

/* "bos_token": "<s>", or an object with "content", or null. A name that nothing answers to is an error where `must`. */
static int load_name(Tok *t, const Json *config, const char *key, bool must, int32_t *id, const char *where, Err *e)
{
    Json *value = part(config, key);
    Str name = json_str(json_kind(value) == JSON_OBJECT ? json_get(value, "content") : value);
    *id = -1;
    if (!value)
        return 0;
    if (!name.p)
        return err_set(e, ERR_INPUT, "%s: \"%s\" of the tokenizer configuration should be a text or have a \"content\", it is %s", where, key,
                       json_kind_name(value));
    if (tok_find(t, name, id))
        return 0;
    if (must)
        return err_set(e, ERR_INPUT, "%s: the tokenizer configuration names \"%.*s\" as %s, but the tokenizer has no such token", where,
                       (int)MIN(name.n, 60), name.p, key);
    log_warn("tokenizer", "%s: the tokenizer configuration names \"%.*s\" as %s, but the tokenizer has no such token; it is left out", where,
             (int)MIN(name.n, 60), name.p, key);
    return 0;
}

static void warn_flag(const Json *config, const char *key, const TokIds *around, int32_t id, const char *where)
{
    Json *flag = part(config, key);
    bool does = false;
    for (size_t i = 0; i < around->n; i++)
        does = does || around->p[i] == id;
    if (json_kind(flag) == JSON_BOOL && id >= 0 && json_bool(flag) != does)
        log_warn("tokenizer", "%s: the tokenizer configuration says \"%s\": %s, but the template of the tokenizer does otherwise; the template counts",
                 where, key, json_bool(flag) ? "true" : "false");
}

static int load_config(Tok *t, const Json *config, const char *where, Err *e)
{
    t->bos = t->eos = t->pad = -1;
    if (!config)
        return 0;
    int rc = load_name(t, config, "bos_token", true, &t->bos, where, e);
    rc = rc ? rc : load_name(t, config, "eos_token", true, &t->eos, where, e);
    rc = rc ? rc : load_name(t, config, "pad_token", false, &t->pad, where, e);
    if (!rc) {
        warn_flag(config, "add_bos_token", &t->before, t->bos, where);
        warn_flag(config, "add_eos_token", &t->after, t->eos, where);
    }
    return rc;
}

/* --- added tokens: the file's, then those of tokenizer_config.json --------------------------------------------------------------- */

static const char *const names[] = { "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token" };

/* A token as tokenizer_config.json spells it (a text or an object whose flags may be missing) as tokenizer.json would. */
static Json *added_spelled(const Json *token, int64_t id, bool special)
{
    static const char *const flags[] = { "single_word", "lstrip", "rstrip" };
    bool object = json_kind(token) == JSON_OBJECT;
    Json *out = json_obj_new(), *given;
    special = special || json_bool(json_get(token, "special"));
    if (id >= 0)
        json_set(out, "id", json_int_new(id));
    json_set(out, "content", json_str_new(json_str(object ? json_get(token, "content") : token)));
    for (size_t i = 0; i < ARRAY_LEN(flags); i++)
        json_set(out, flags[i], json_bool_new(json_bool(json_get(token, flags[i]))));
    given = json_get(token, "normalized");
    json_set(out, "normalized", json_bool_new(json_kind(given) == JSON_BOOL ? json_bool(given) : !special));
    json_set(out, "special", json_bool_new(special));
    return out;
}

typedef struct Decoded { int64_t id; const Json *token; } Decoded;

static int by_id(const void *a, const void *b)
{
    const Decoded *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static int add_decoder(const Json *config, Json *list, const char *where, Err *e)
{
    const Json *decoder = part(config, "added_tokens_decoder");
    VEC(Decoded) found = { 0 };
    JsonIter it = { 0 };
    Str key;
    Json *token;
    int rc = 0;
    while (decoder && !rc && json_each(decoder, &it, &key, &token)) {
        int64_t id = 0;
        for (size_t i = 0; i < key.n && id >= 0; i++)
            id = key.p[i] >= '0' && key.p[i] <= '9' && i < 9 ? id * 10 + key.p[i] - '0' : -1;
        if (!key.n || id < 0 || json_kind(json_get(token, "content")) != JSON_STRING)
            rc = err_set(e, ERR_INPUT, "%s: \"added_tokens_decoder\" of the tokenizer configuration should have an id and an object with a \"content\" in "
                         "each entry, \"%.*s\" has not", where, (int)MIN(key.n, 60), key.p);
        *vec_push(&found) = (Decoded){ id, token };
    }
    if (!rc && found.n)
        qsort(found.p, found.n, sizeof *found.p, by_id);
    for (size_t i = 0; i < found.n && !rc; i++)
        json_push(list, added_spelled(found.p[i].token, found.p[i].id, false));
    vec_release(&found);
    return rc;
}

static bool listed(const Json *list, Str content)
{
    for (size_t i = json_len(list); i-- > 0;)
        if (str_eq(json_str(json_get(json_at(list, i), "content")), content))
            return true;
    return false;
}

/* Named tokens that are entries of the vocabulary become special added tokens; load_name says what is wrong with those that are nothing. */
static int add_names(Tok *t, const Json *config, Json *list, const char *where, Err *e)
{
    static const char *const extra[] = { "additional_special_tokens", "extra_special_tokens" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const Json *token = part(config, names[i]);
        Str name = json_str(json_kind(token) == JSON_OBJECT ? json_get(token, "content") : token);
        int64_t id;
        if (name.n && map_get(t->vocab, name, &id) && !listed(list, name))
            json_push(list, added_spelled(token, id, true));
    }
    for (size_t k = 0; k < ARRAY_LEN(extra); k++) {
        const Json *tokens = part(config, extra[k]);
        for (size_t i = 0; json_kind(tokens) == JSON_ARRAY && i < json_len(tokens); i++) {
            const Json *token = json_at(tokens, i);
            Str name = json_str(json_kind(token) == JSON_OBJECT ? json_get(token, "content") : token);
            if (!name.n)
                return err_set(e, ERR_INPUT, "%s: entry %zu of \"%s\" of the tokenizer configuration is no token", where, i, extra[k]);
            if (!listed(list, name))
                json_push(list, added_spelled(token, -1, true));
        }
    }
    return 0;
}

static int load_added(Tok *t, const Json *added, const Json *config, const char *where, Err *e)
{
    Json *list = json_arr_new();
    for (size_t i = 0; i < json_len(added); i++)
        json_push(list, json_ref(json_at(added, i)));
    int rc = config ? add_decoder(config, list, where, e) : 0;
    rc = !rc && config ? add_names(t, config, list, where, e) : rc;
    rc = rc ? rc : added_parse(t, list, json_len(added), where, e);
    json_free(list);
    return rc;
}

/* --- opening ---------------------------------------------------------------------------------------------------------------------- */

static bool has_step(const Steps *steps, StepKind kind, PrependWhen when)
{
    for (size_t i = 0; i < steps->n; i++)
        if (steps->p[i].kind == kind && (kind != STEP_PREPEND || steps->p[i].when == when))
            return true;
    return false;
}

static int load(Tok *t, const Json *tokenizer, const Json *config, const char *where, Err *e)
{
    static const char *const callers[] = { "truncation", "padding" };
    Str version = STR_LIT("1.0");
    Json *added = NULL;
    int rc = check_keys(tokenizer, "version|truncation|padding|added_tokens|normalizer|pre_tokenizer|post_processor|decoder|model", where, e);
    rc = rc ? rc : json_opt_str(tokenizer, "version", &version, where, e);
    rc = rc ? rc : json_opt_array(tokenizer, "added_tokens", &added, where, e);
    if (!rc && !str_eqz(version, "1.0"))
        rc = err_set(e, ERR_INPUT, "%s: the version \"%.*s\" is not one that hone knows; it reads 1.0", where, (int)MIN(version.n, 60), version.p);
    for (size_t i = 0; !rc && i < ARRAY_LEN(callers); i++)
        if (part(tokenizer, callers[i]))
            log_warn("tokenizer", "%s: \"%s\" in the file is not used; hone decides about lengths itself", where, callers[i]);
    rc = rc ? rc : load_model(t, tokenizer, where, e);
    rc = rc ? rc : load_steps(t, tokenizer, where, e);
    rc = rc ? rc : load_added(t, added, config, where_of(t, where, "added_tokens"), e);
    rc = rc ? rc : load_entries(t, where, e);
    rc = rc ? rc : decoder_parse(&t->decoder, part(tokenizer, "decoder"), where_of(t, where, "decoder"), e);
    Template x = { t, where_of(t, where, "post_processor"), false };
    if (!rc && part(tokenizer, "post_processor"))
        rc = parse_post(&x, part(tokenizer, "post_processor"), 0, e);
    rc = rc ? rc : load_config(t, config, where, e);
    if (rc)
        return rc;
    bool bytes = has_step(&t->normal, STEP_BYTES, PREPEND_NEVER) || has_step(&t->pretok, STEP_BYTES, PREPEND_NEVER);
    bool fallback = t->bpe.byte_fallback || t->unigram.byte_fallback;
    t->kind = arena_printf(&t->arena, "%s%s", t->model->kind, bytes ? " (byte-level)" : fallback ? " (byte fallback)" : "");
    t->needs_align = has_step(&t->pretok, STEP_PREPEND, PREPEND_FIRST);
    for (size_t i = 0; t->model->encode != bpe_encode && i < t->vocab_size && !t->makes_special; i++)
        t->makes_special = t->entries[t->entries_of ? (int64_t)i : map_value(t->vocab, i)].special;
    if (t->model->finish)
        t->model->finish(t);
    return 0;
}

/* Kind, length and content of each value, so that no two that differ read the same. */
static void hash_value(Sha256 *h, const Json *j)
{
    const uint64_t kind = (uint64_t)json_kind(j), n = json_kind(j) == JSON_STRING ? json_str(j).n : json_len(j);
    const int64_t  whole = json_kind(j) == JSON_BOOL ? json_bool(j) : json_int(j);
    const double   real = json_num(j);
    JsonIter       it = { 0 };
    Str            key;
    Json          *value;
    sha256_add(h, (const uint64_t[]){ j ? kind + 1 : 0, n, (uint64_t)whole }, 3 * sizeof n);
    if (kind == JSON_REAL)
        sha256_add(h, &real, sizeof real);
    if (kind == JSON_STRING)
        sha256_add(h, json_str(j).p, n);
    for (size_t i = 0; kind == JSON_ARRAY && i < n; i++)
        hash_value(h, json_at(j, i));
    while (kind == JSON_OBJECT && json_each(j, &it, &key, &value)) {
        sha256_add(h, &key.n, sizeof key.n);
        sha256_add(h, key.p, key.n);
        hash_value(h, value);
    }
}

int tok_open_json(Tok **out, const Json *tokenizer, const Json *tokenizer_config, const char *where, Err *e)
{
    Tok *t = mem_zalloc(1, sizeof *t);
    pthread_mutex_init(&t->lock, NULL);
    Sha256 hash;
    sha256_init(&hash);
    hash_value(&hash, tokenizer);
    hash_value(&hash, tokenizer_config);
    sha256_hex(&hash, t->hash);
    int rc = load(t, tokenizer, tokenizer_config, where, e);
    rc = rc ? rc : chat_template_open(&t->chat, tokenizer_config, where, e);
    if (!rc && t->chat)
        chat_template_finish(t, t->chat);
    if (rc) {
        tok_free(t);
        t = NULL;
    }
    *out = t;
    return rc;
}

int tok_open(Tok **out, const char *model_dir, Err *e)
{
    Json *tokenizer = NULL, *config = NULL;
    char *where = NULL;
    *out = NULL;
    int rc = tok_json_from_dir(&tokenizer, &config, &where, model_dir, e);
    rc = rc ? rc : chat_template_files(&config, model_dir, e);
    rc = rc ? rc : tok_open_json(out, tokenizer, config, where, e);
    json_free(tokenizer);
    json_free(config);
    free(where);
    return rc;
}

void tok_free(Tok *t)
{
    if (!t)
        return;
    while (t->idle) {
        Work *w = t->idle;
        t->idle = w->free_next;
        work_free(w);
    }
    chat_template_free(t->chat);
    pthread_mutex_destroy(&t->lock);
    steps_release(&t->normal);
    steps_release(&t->pretok);
    added_release(&t->added);
    bpe_release(&t->bpe);
    unigram_release(&t->unigram);
    wordpiece_release(&t->wordpiece);
    map_free(t->vocab);
    decoder_free(t->decoder);
    vec_release(&t->before);
    vec_release(&t->after);
    free(t->entries);
    arena_release(&t->arena);
    free(t);
}
