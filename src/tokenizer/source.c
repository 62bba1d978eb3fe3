/* source.c - finds what holds the tokenizer of a folder, and the small JSON pieces that the converters share.
 *
 * sources[] is asked in order; the first file that is there decides. tokenizer.json comes first, as for transformers. */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/utf8.h"
#include "tokenizer/from_gguf.h"
#include "tokenizer/source_int.h"

/* --- pieces of JSON --------------------------------------------------------------------------------------------------------------- */

Json *source_literal(const char *text)
{
    Json *j = NULL;
    int rc = json_parse(&j, str_of(text), "built in", NULL);
    BUG_ON(rc != 0);
    return j;
}

Json *source_added(int64_t id, Str content, bool special, bool normalized)
{
    Json *a = source_literal("{\"single_word\":false,\"lstrip\":false,\"rstrip\":false}");
    json_set(a, "id", json_int_new(id));
    json_set(a, "content", json_str_new(content));
    json_set(a, "special", json_bool_new(special));
    json_set(a, "normalized", json_bool_new(normalized));
    return a;
}

static Json *template_piece(const char *kind, const char *id)
{
    Json *piece = json_obj_new(), *inner = json_obj_new();
    json_set(inner, "id", json_str_new(str_of(id)));
    json_set(inner, "type_id", json_int_new(0));
    json_set(piece, kind, inner);
    return piece;
}

Json *source_template(const char *const names[2], const int64_t ids[2])
{
    if (!names[0] && !names[1])
        return NULL;
    Json *post = source_literal("{\"type\":\"TemplateProcessing\",\"pair\":[{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},"
                                "{\"Sequence\":{\"id\":\"B\",\"type_id\":1}}]}");
    Json *single = json_arr_new(), *specials = json_obj_new();
    if (names[0])
        json_push(single, template_piece("SpecialToken", names[0]));
    json_push(single, template_piece("Sequence", "A"));
    if (names[1])
        json_push(single, template_piece("SpecialToken", names[1]));
    for (size_t i = 0; i < 2; i++) {
        if (!names[i] || (i && names[0] && !strcmp(names[0], names[1])))
            continue;
        Json *special = json_obj_new(), *list = json_arr_new(), *tokens = json_arr_new();
        json_push(list, json_int_new(ids[i]));
        json_push(tokens, json_str_new(str_of(names[i])));
        json_set(special, "id", json_str_new(str_of(names[i])));
        json_set(special, "ids", list);
        json_set(special, "tokens", tokens);
        json_set(specials, names[i], special);
    }
    json_set(post, "single", single);
    json_set(post, "special_tokens", specials);
    return post;
}

Json *source_file(Json *added, Json *normalizer, Json *pre_tokenizer, Json *post_processor, Json *decoder, Json *model)
{
    Json *file = source_literal("{\"version\":\"1.0\",\"truncation\":null,\"padding\":null}");
    const struct { const char *key; Json *value; } parts[] = {
        { "added_tokens", added },     { "normalizer", normalizer }, { "pre_tokenizer", pre_tokenizer },
        { "post_processor", post_processor }, { "decoder", decoder }, { "model", model },
    };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        json_set(file, parts[i].key, parts[i].value ? parts[i].value : json_null_new());
    return file;
}

Str source_config_str(const Json *config, const char *key)
{
    const Json *value = json_get(config, key);
    return json_kind(value) == JSON_OBJECT ? json_str(json_get(value, "content")) : json_str(value);
}

void source_name(Json **config, const char *key, Str token)
{
    if (!*config)
        *config = json_obj_new();
    const Json *there = json_get(*config, key);
    if (!there || json_kind(there) == JSON_NULL)
        json_set(*config, key, json_str_new(token));
}

bool source_text_ok(Str text)
{
    return utf8_valid(text, NULL) && !memchr(text.p, '\0', text.n);
}

int source_check_class(const Json *config, const char *const *known, const char *what, const char *where, Err *e)
{
    Str class = source_config_str(config, "tokenizer_class");
    if (!class.p)
        return 0;
    for (size_t i = 0; known[i]; i++)
        if (str_eqz(class, known[i]))
            return 0;
    return err_set(e, ERR_INPUT, "%s: the tokenizer class \"%.*s\" is not one for which hone knows what it makes of %s; save it as tokenizer.json, in Python "
                   "with AutoTokenizer.from_pretrained(folder).save_pretrained(folder)", where, (int)MIN(class.n, 60), class.p, what);
}

/* Tokens that the configuration adds to a vocabulary: {"32000": {"content": "<|end|>", ...}, ...}, and the older added_tokens.json. An id
 * inside the vocabulary keeps its text there or renames it, as transformers does; one behind it is a new entry. */
int source_add_tokens(Json *tokenizer, const Json *config, const char *where, Err *e)
{
    const Json *decoder = json_get(config, "added_tokens_decoder");
    Json *vocab = json_get(json_get(tokenizer, "model"), "vocab"), *added = json_get(tokenizer, "added_tokens");
    if (json_kind(decoder) != JSON_OBJECT || json_kind(vocab) != JSON_OBJECT)
        return 0;
    JsonIter it = { 0 };
    Str key;
    Json *value;
    while (json_each(decoder, &it, &key, &value)) {
        static const char *const flags[] = { "special", "normalized", "single_word", "lstrip", "rstrip" };
        char *end, digits[24];
        Str content = json_str(json_get(value, "content"));
        snprintf(digits, sizeof digits, "%.*s", (int)MIN(key.n, sizeof digits - 1), key.p);
        long long id = strtoll(digits, &end, 10);
        if (!key.n || *end || id < 0 || id >= SPM_PIECES_MAX || !content.n || !source_text_ok(content))
            return err_set(e, ERR_INPUT, "%s: \"added_tokens_decoder\" has the entry \"%.*s\"; an id and an object with a \"content\" were expected", where,
                           (int)MIN(key.n, 60), key.p);
        const Json *known = json_get(vocab, content.p);
        if (known && json_int(known) != id)
            return err_set(e, ERR_INPUT, "%s: \"added_tokens_decoder\" gives the token \"%.*s\" the id %lld, in the vocabulary it is %lld", where,
                           (int)MIN(content.n, 60), content.p, id, (long long)json_int(known));
        bool listed = false;
        for (size_t i = 0; i < json_len(added) && !listed; i++)
            listed = str_eq(json_str(json_get(json_at(added, i), "content")), content);
        if (listed)
            continue;
        Json *a = source_added(id, content, false, false);
        for (size_t i = 0; i < ARRAY_LEN(flags); i++)
            if (json_kind(json_get(value, flags[i])) == JSON_BOOL)
                json_set(a, flags[i], json_bool_new(json_bool(json_get(value, flags[i]))));
        if (!known)
            json_set(vocab, content.p, json_int_new(id));
        json_push(added, a);
    }
    return 0;
}

/* --- GPT-2's pair of files -------------------------------------------------------------------------------------------------------- */

#define BYTE_LEVEL "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":"
static const struct { const char *class, *normalizer, *pre_tokenizer; } merge_classes[] = {
    { "GPT2Tokenizer", NULL, BYTE_LEVEL "true}" },
    { "GPT2TokenizerFast", NULL, BYTE_LEVEL "true}" },
    { "Qwen2Tokenizer", "{\"type\":\"NFC\"}",
      "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+"
      "|\\\\p{N}| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+\"},\"behavior\":\"Isolated\",\"invert\":false}," BYTE_LEVEL "false}]}" },
    { "Qwen2TokenizerFast", NULL, NULL }, /* as the row before */
};

int tok_json_from_merges(Json **tokenizer, Json **config, const Json *vocab, Str merges, const char *where, Err *e)
{
    Str class = source_config_str(*config, "tokenizer_class");
    size_t row = 0;
    *tokenizer = NULL;
    while (row < ARRAY_LEN(merge_classes) && !str_eqz(class, merge_classes[row].class))
        row++;
    if (row == ARRAY_LEN(merge_classes))
        return err_set(e, ERR_INPUT, "%s: vocab.json and merges.txt do not say how text is cut into words; \"tokenizer_class\" in tokenizer_config.json "
                       "should be GPT2Tokenizer or Qwen2Tokenizer%s%.*s%s. Or save the tokenizer as tokenizer.json", where,
                       class.p ? ", it is \"" : "", (int)MIN(class.n, 60), class.p ? class.p : "", class.p ? "\"" : "");
    row -= !merge_classes[row].pre_tokenizer;
    if (json_kind(vocab) != JSON_OBJECT)
        return err_set(e, ERR_INPUT, "%s: vocab.json should be an object of texts and ids, it is %s", where, json_kind_name(vocab));
    if (!utf8_valid(merges, NULL))
        return err_set(e, ERR_INPUT, "%s: merges.txt is not valid UTF-8", where);
    Json *list = json_arr_new(), *copy = json_obj_new(), *value;
    JsonIter it = { 0 };
    Str key;
    while (json_each(vocab, &it, &key, &value))
        json_set(copy, key.p, json_ref(value));
    for (size_t at = 0, end; at < merges.n; at = end + 1) {
        const char *newline = memchr(merges.p + at, '\n', merges.n - at);
        end = newline ? (size_t)(newline - merges.p) : merges.n;
        Str line = { merges.p + at, end - at };
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        if (line.n && !(at == 0 && str_starts(line, "#version")))
            json_push(list, json_str_new(line));
    }
    Json *model = source_literal("{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,\"continuing_subword_prefix\":\"\",\"end_of_word_suffix\":\"\","
                                 "\"fuse_unk\":false,\"byte_fallback\":false,\"ignore_merges\":false}");
    json_set(model, "vocab", copy);
    json_set(model, "merges", list);
    bool space = json_bool(json_get(*config, "add_prefix_space"));
    Json *pre = source_literal(merge_classes[row].pre_tokenizer), *added = json_arr_new();
    if (space)
        json_set(row == 2 ? json_at(json_get(pre, "pretokenizers"), 1) : pre, "add_prefix_space", json_bool_new(true));
    if (row < 2 && json_get(copy, "<|endoftext|>"))
        for (size_t i = 0; i < 3; i++)
            source_name(config, ((const char *[]){ "bos_token", "eos_token", "unk_token" })[i], STR_LIT("<|endoftext|>"));
    for (size_t i = 0; i < 4; i++) { /* the names are special tokens even when nothing else says so */
        Str name = source_config_str(*config, ((const char *[]){ "bos_token", "eos_token", "unk_token", "pad_token" })[i]);
        bool twice = false;
        for (size_t k = 0; name.n && k < json_len(added); k++)
            twice = twice || str_eq(json_str(json_get(json_at(added, k), "content")), name);
        if (name.n && !twice && source_text_ok(name) && json_get(copy, name.p))
            json_push(added, source_added(json_int(json_get(copy, name.p)), name, true, false));
    }
    *tokenizer = source_file(added, merge_classes[row].normalizer ? source_literal(merge_classes[row].normalizer) : NULL, pre, NULL,
                             source_literal(BYTE_LEVEL "true}"), model);
    return source_add_tokens(*tokenizer, *config, where, e);
}

/* --- BERT's list ------------------------------------------------------------------------------------------------------------------ */

int tok_json_from_wordpiece(Json **tokenizer, Json **config, Str vocab, const char *where, Err *e)
{
    static const char *const classes[] = { "BertTokenizer", "BertTokenizerFast", "DistilBertTokenizer", "DistilBertTokenizerFast", "TokenizersBackend", NULL };
    static const struct { const char *key, *text; } names[] = { { "unk_token", "[UNK]" }, { "sep_token", "[SEP]" }, { "pad_token", "[PAD]" },
                                                                { "cls_token", "[CLS]" }, { "mask_token", "[MASK]" } };
    bool lower = true, chinese = true;
    if (!*config)
        *config = json_obj_new();
    Json *accents = json_get(*config, "strip_accents");
    *tokenizer = NULL;
    int rc = source_check_class(*config, classes, "vocab.txt", where, e);
    rc = rc ? rc : json_opt_bool(*config, "do_lower_case", &lower, where, e);
    rc = rc ? rc : json_opt_bool(*config, "tokenize_chinese_chars", &chinese, where, e);
    if (!rc && !source_text_ok(vocab))
        rc = err_set(e, ERR_INPUT, "%s: the vocabulary is not valid UTF-8 or holds a NUL character", where);
    if (rc)
        return rc;
    Json *entries = json_obj_new(), *added = json_arr_new();
    StrBuf line = { 0 };
    int64_t id = 0, around[2] = { -1, -1 };
    for (size_t at = 0, end; at < vocab.n; at = end + 1, id++) {
        const char *newline = memchr(vocab.p + at, '\n', vocab.n - at);
        end = newline ? (size_t)(newline - vocab.p) : vocab.n;
        strbuf_clear(&line);
        strbuf_add(&line, vocab.p + at, end - at - (end > at && vocab.p[end - 1] == '\r'));
        if (!rc && json_get(entries, strbuf_z(&line)))
            rc = err_set(e, ERR_INPUT, "%s, line %lld: \"%.60s\" stands in the vocabulary twice", where, (long long)id + 1, strbuf_z(&line));
        if (rc)
            break;
        json_set(entries, strbuf_z(&line), json_int_new(id));
    }
    strbuf_release(&line);
    char *text[ARRAY_LEN(names)] = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        source_name(config, names[i].key, str_of(names[i].text));
        Str given = source_config_str(*config, names[i].key);
        text[i] = mem_strndup(given.p ? given.p : "", given.n);
        Json *there = json_get(entries, text[i]);
        if (!rc && !there && i != 4)
            rc = err_set(e, ERR_INPUT, "%s: the vocabulary has no \"%.60s\", the %s", where, text[i], names[i].key);
        if (there)
            json_push(added, source_added(json_int(there), str_of(text[i]), true, false));
        if (i == 1 || i == 3)
            around[i == 1] = json_int(there);
    }
    Json *normal = source_literal("{\"type\":\"BertNormalizer\",\"clean_text\":true}"), *model = source_literal("{\"type\":\"WordPiece\","
                   "\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":100}");
    json_set(normal, "handle_chinese_chars", json_bool_new(chinese));
    json_set(normal, "strip_accents", json_kind(accents) == JSON_BOOL ? json_ref(accents) : json_null_new());
    json_set(normal, "lowercase", json_bool_new(lower));
    json_set(model, "unk_token", json_str_new(str_of(text[0])));
    json_set(model, "vocab", entries);
    *tokenizer = source_file(added, normal, source_literal("{\"type\":\"BertPreTokenizer\"}"), source_template((const char *const[]){ text[3], text[1] }, around),
                             source_literal("{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true}"), model);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        free(text[i]);
    return rc ? rc : source_add_tokens(*tokenizer, *config, where, e);
}

/* --- folders ---------------------------------------------------------------------------------------------------------------------- */

/* A rank file begins with a line "base64 number"; a ModelProto with the tag of its first piece. */
static bool looks_like_ranks(Str text)
{
    const char *newline = memchr(text.p, '\n', MIN(text.n, (size_t)2048));
    size_t n = newline ? (size_t)(newline - text.p) : text.n;
    const char *space = memchr(text.p, ' ', MIN(n, (size_t)2048));
    if (!space || space == text.p || space + 1 >= text.p + n)
        return false;
    for (const char *p = text.p; p < text.p + n; p++)
        if (*p <= ' ' ? *p != ' ' && *p != '\r' : (unsigned char)*p >= 0x7F)
            return false;
    return space[1] >= '0' && space[1] <= '9';
}

static int open_json(Json **tokenizer, Json **config, const char *path, Err *e)
{
    (void)config;
    return json_read_file(tokenizer, path, e);
}

static int open_model(Json **tokenizer, Json **config, const char *path, Err *e)
{
    char *bytes = NULL;
    size_t n = 0;
    int rc = file_read_text(path, &bytes, &n, e);
    if (!rc)
        rc = (looks_like_ranks((Str){ bytes, n }) ? tok_json_from_tiktoken : tok_json_from_spm)(tokenizer, config, (Str){ bytes, n }, path, e);
    free(bytes);
    return rc ? rc : source_add_tokens(*tokenizer, *config, path, e);
}

static int open_merges(Json **tokenizer, Json **config, const char *path, Err *e)
{
    char *dir = mem_strndup(path, (size_t)(path_base(path) - path)), *other = path_join(*dir ? dir : ".", "vocab.json"), *text = NULL;
    size_t n = 0;
    Json *vocab = NULL;
    int rc = json_read_file(&vocab, other, e);
    rc = rc ? rc : file_read_text(path, &text, &n, e);
    rc = rc ? rc : tok_json_from_merges(tokenizer, config, vocab, (Str){ text, n }, path, e);
    json_free(vocab);
    free(text);
    free(other);
    free(dir);
    return rc;
}

static int open_words(Json **tokenizer, Json **config, const char *path, Err *e)
{
    char *text = NULL;
    size_t n = 0;
    int rc = file_read_text(path, &text, &n, e);
    rc = rc ? rc : tok_json_from_wordpiece(tokenizer, config, (Str){ text, n }, path, e);
    free(text);
    return rc;
}

static const struct { const char *name; int (*open)(Json **, Json **, const char *, Err *); } sources[] = {
    { "tokenizer.json", open_json },  { "tokenizer.model", open_model }, { "spiece.model", open_model }, { "*.tiktoken", open_model },
    { "merges.txt", open_merges },    { "vocab.txt", open_words },
};

/* The path of what the row names, or NULL. Of several files that end alike the first by name. */
static char *find_file(const char *dir, const char *name)
{
    char *path = name[0] == '*' ? NULL : path_join(dir, name);
    FileList list = { 0 };
    if (!path && file_list(&list, dir, NULL) == 0)
        for (size_t i = 0; i < list.n && !path; i++)
            if (str_ends(str_of(list.name[i]), name + 1))
                path = path_join(dir, list.name[i]);
    file_list_release(&list);
    if (path && file_exists(path))
        return path;
    free(path);
    return NULL;
}

static int open_gguf(Json **tokenizer, Json **config, const char *path, Err *e)
{
    Gguf *g = NULL;
    int rc = gguf_open(&g, path, e);
    rc = rc ? rc : tok_json_from_gguf(g, tokenizer, config, e);
    gguf_close(g);
    return rc;
}

int tok_json_from_dir(Json **tokenizer, Json **config, char **where, const char *dir, Err *e)
{
    *tokenizer = *config = NULL;
    *where = NULL;
    if (str_ends(str_of(dir), ".gguf") && !file_is_dir(dir)) {
        *where = mem_strdup(dir);
        return open_gguf(tokenizer, config, dir, e);
    }
    if (!file_is_dir(dir))
        return err_set(e, ERR_INPUT, "%s: %s; expected the path of a model folder or of a .gguf file", dir,
                       file_exists(dir) ? "this is a file" : "there is no such folder or file");
    char *config_path = path_join(dir, "tokenizer_config.json");
    int rc = file_exists(config_path) ? json_read_file(config, config_path, e) : 0;
    for (size_t i = 0; !rc && !*where && i < ARRAY_LEN(sources); i++) {
        *where = find_file(dir, sources[i].name);
        if (*where)
            rc = sources[i].open(tokenizer, config, *where, e);
    }
    if (!rc && !*where)
        rc = err_set(e, ERR_INPUT, "%s: there is no tokenizer; tokenizer.json, tokenizer.model, spiece.model, *.tiktoken, merges.txt with vocab.json, or "
                     "vocab.txt was expected", dir);
    free(config_path);
    return rc;
}
