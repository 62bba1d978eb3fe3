/* gguf_pre.c - the table of pre-tokenizer names of GGUF files, as llama.cpp knows them (September 2026).
 *
 * A name stands for regular expressions that cut a text one after the other, matches and what lies between them apart, before bytes are spelled
 * in the byte-level alphabet. Where llama.cpp writes an expression around the limits of its own matcher, the table has the one of the models'
 * tokenizer.json, which is what they were trained with; gaps that it leaves to "what lies between" (\s+ at the end) are the same either way.
 * Rows that differ only in whole_words are different names. Writing takes the first row that fits, so the best known name comes first.
 *
 * To add a name: a row, or an alias of one. A name that is not here is refused: a wrong guess would train on other tokens. */
#include "tokenizer/gguf_pre.h"

#include "tokenizer/source_int.h"

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define REST "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define LLAMA3 CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}" REST
#define QWEN2 CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}" REST
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define LEAD "[^\\r\\n\\p{L}\\p{N}]?"
#define CASED(tail, digits) LEAD UPPER "*" LOWER "+" tail "|" LEAD UPPER "+" LOWER "*" tail "|" digits \
                            "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define GPT4O CASED(CONTRACTIONS "?", "\\p{N}{1,3}")
#define BLOOM " ?[^(\\s|.,!?…。，、।۔،)]+"
#define DEEPSEEK3 "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*" \
                  "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define DEEPSEEK_LETTERS \
    "\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ" \
    "-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+"
#define DEEPSEEK_HAN "[一-龥ࠀ-一가-\xED\x9F\xBF]+"

static const GgufPre rows[] = {
    { "llama-bpe",      { LLAMA3 }, true, true },
    { "dbrx",           { LLAMA3 }, false, false },
    { "qwen2",          { QWEN2 }, false, false },
    { "qwen35",         { CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+" }, false, false },
    { "gpt-2",          { GPT2 }, false, false },
    { "starcoder",      { "\\p{N}", GPT2 }, false, false },
    { "tekken",         { CASED("", "\\p{N}") }, true, true },
    { "gpt-4o",         { GPT4O }, false, false },
    { "deepseek-v3",    { "\\p{N}{1,3}", "[一-龥\xE3\x81\x80-\xE3\x82\x9F\xE3\x82\xA0-\xE3\x83\xBF]+", DEEPSEEK3 }, false, false },
    { "deepseek-coder", { "[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", DEEPSEEK_HAN, "\\p{N}" }, false, false },
    { "deepseek-llm",   { "[\\r\\n]", DEEPSEEK_LETTERS, "\\s?[!-/:-~！-／：-～‘-‟　-。]+", "\\s+$", DEEPSEEK_HAN, "\\p{N}+" }, false, false },
    { "falcon",         { "[\\p{P}\\$\\+<=>\\^~\\|`]+", GPT2, "[0-9][0-9][0-9]" }, false, false },
    { "default",        { "[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]" }, false, false },
    { "glm4",           { LLAMA3 }, true, false },
    { "seed-coder",     { CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+" }, false, false },
    { "bailingmoe",     { "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+" }, false, false },
    { "exaone-moe",     { CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+" },
      false, false },
    { "superbpe",       { "\\p{N}+", "(?=(\\d{3})+(?!\\d))" }, false, false },
    { "minicpm5",       { "\\p{N}{1,3}", CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}+" REST }, true, false },
    { "tiny_aya",       { "\\d{1,3}(?=(?:\\d{3})*\\b)", GPT4O }, false, false },
    { "ufakzeka",       { "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}" REST }, false, false },
    { "bloom",          { BLOOM }, false, false },
    { "viking",         { BLOOM, "\\p{N}" }, false, false },
};

static const struct { const char *name, *of; } aliases[] = {
    { "llama3", "llama-bpe" },        { "llama-v3", "llama-bpe" },    { "falcon3", "llama-bpe" },       { "falcon-h1", "llama-bpe" },
    { "pixtral", "llama-bpe" },       { "midm-2.0", "llama-bpe" },    { "lfm2", "llama-bpe" },          { "jina-v5-nano", "llama-bpe" },
    { "smaug-bpe", "dbrx" },          { "chatglm-bpe", "dbrx" },      { "glm5", "glm4" },               { "stablelm2", "qwen2" },
    { "deepseek-r1-qwen", "qwen2" },  { "kormo", "qwen2" },           { "f2llmv2", "qwen2" },           { "megrez", "qwen2" },
    { "hunyuan", "qwen2" },           { "grok-2", "qwen2" },          { "solar-open", "qwen2" },        { "mpt", "gpt-2" },
    { "olmo", "gpt-2" },              { "jais", "gpt-2" },            { "trillion", "gpt-2" },          { "granite-docling", "gpt-2" },
    { "phi-2", "gpt-2" },             { "gigachat", "gpt-2" },        { "a.x-4.0", "gpt-2" },           { "mellum", "gpt-2" },
    { "exaone4", "gpt-2" },           { "refact", "starcoder" },      { "command-r", "starcoder" },     { "smollm", "starcoder" },
    { "codeshell", "starcoder" },     { "exaone", "starcoder" },      { "minerva-7b", "starcoder" },    { "mellum2", "starcoder" },
    { "hunyuan-dense", "deepseek-v3" }, { "joyai-llm", "deepseek-v3" }, { "hy_v4", "deepseek-v3" },     { "llama4", "gpt-4o" },
    { "kanana2", "gpt-4o" },          { "talkie", "gpt-4o" },         { "minimax-m2", "gpt-4o" },       { "cohere2moe", "tiny_aya" },
    { "bailingmoe2", "bailingmoe" },  { "llada-moe", "bailingmoe" },  { "poro-chat", "bloom" },         { "gpt3-finnish", "bloom" },
};

const GgufPre *gguf_pre_find(Str name)
{
    for (size_t i = 0; i < ARRAY_LEN(aliases); i++)
        if (str_eqz(name, aliases[i].name))
            return gguf_pre_find(str_of(aliases[i].of));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (str_eqz(name, rows[i].name))
            return &rows[i];
    return NULL;
}

Json *gguf_pre_json(const GgufPre *p)
{
    Json *all = source_literal("{\"type\":\"Sequence\"}"), *list = json_arr_new();
    for (size_t i = 0; i < ARRAY_LEN(p->regex) && p->regex[i]; i++) {
        Json *split = source_literal("{\"type\":\"Split\",\"pattern\":{},\"behavior\":\"Isolated\",\"invert\":false}");
        json_set(json_get(split, "pattern"), "Regex", json_str_new(str_of(p->regex[i])));
        json_push(list, split);
    }
    json_push(list, source_literal("{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":false}"));
    json_set(all, "pretokenizers", list);
    return all;
}

/* --- from a pre_tokenizer to its name --------------------------------------------------------------------------------------------- */

typedef struct Cuts { Str regex[8]; size_t n; bool bytes; } Cuts;

/* What other components mean in regular expressions of the table. */
static const struct { const char *type, *key, *value, *regex; bool bytes; } others[] = {
    { "ByteLevel",   "use_regex",         "true",        GPT2,                              true  },
    { "ByteLevel",   "use_regex",         "false",       NULL,                              true  },
    { "Digits",      "individual_digits", "true",        "\\p{N}",                          false },
    { "Digits",      "individual_digits", "false",       "\\p{N}+",                         false },
    { "Punctuation", "behavior",          "Contiguous",  "[\\p{P}\\$\\+<=>\\^~\\|`]+",      false },
};

/* Spellings of one expression in published files. */
static const struct { const char *ours, *theirs; } spellings[] = {
    { QWEN2,  "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}" REST },
};

static bool add_cut(Cuts *c, Str regex)
{
    if (c->n == ARRAY_LEN(c->regex) || c->bytes)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(spellings); i++)
        if (str_eqz(regex, spellings[i].theirs))
            regex = str_of(spellings[i].ours);
    c->regex[c->n++] = regex;
    return true;
}

static bool add_component(Cuts *c, const Json *p, int depth)
{
    Str type = json_str(json_get(p, "type"));
    if (str_eqz(type, "Sequence")) {
        const Json *list = json_get(p, "pretokenizers");
        bool fine = depth < 8;
        for (size_t i = 0; fine && i < json_len(list); i++)
            fine = add_component(c, json_at(list, i), depth + 1);
        return fine;
    }
    if (str_eqz(type, "Split")) {
        Str regex = json_str(json_get(json_get(p, "pattern"), "Regex")), behaviour = json_str(json_get(p, "behavior"));
        bool invert = json_bool(json_get(p, "invert"));
        return regex.p && ((str_eqz(behaviour, "Isolated") && !invert) || (str_eqz(behaviour, "Removed") && invert)) && add_cut(c, regex);
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        const Json *value = json_get(p, others[i].key);
        bool same = json_kind(value) == JSON_STRING ? str_eqz(json_str(value), others[i].value)
                                                    : !strcmp(others[i].value, !value || json_bool(value) ? "true" : "false");
        if (!str_eqz(type, others[i].type) || !same || (others[i].bytes && json_bool(json_get(p, "add_prefix_space"))))
            continue;
        if (others[i].regex && !add_cut(c, str_of(others[i].regex)))
            return false;
        c->bytes = c->bytes || others[i].bytes;
        return true;
    }
    return false;
}

const GgufPre *gguf_pre_of(const Json *pre_tokenizer, bool whole_words, const char *where, Err *e)
{
    Cuts c = { 0 };
    bool known = add_component(&c, pre_tokenizer, 0) && c.bytes;
    for (size_t i = 0; known && i < ARRAY_LEN(rows); i++) {
        bool same = rows[i].whole_words == whole_words;
        size_t n = 0;
        for (; n < ARRAY_LEN(rows[i].regex) && rows[i].regex[n]; n++)
            same = same && n < c.n && str_eqz(c.regex[n], rows[i].regex[n]);
        if (same && n == c.n)
            return &rows[i];
    }
    StrBuf text = { .max = 300 };
    json_write(&text, pre_tokenizer, false);
    err_set(e, ERR_INPUT, "%s: GGUF files name the way in which a tokenizer cuts words, and there is no name for this one%s, so that llama.cpp would cut "
            "otherwise: %s%s", where, whole_words ? " (with ignore_merges)" : "", strbuf_z(&text), text.over ? " ..." : "");
    strbuf_release(&text);
    return NULL;
}
