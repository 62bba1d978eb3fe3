/* from_tiktoken.c - tiktoken rank files -> tokenizer.json.
 *
 * tiktoken joins the two neighbours whose union has the lowest rank, the leftmost of equals, and takes a word whole that is a rank itself. In the
 * terms of tokenizer.json: every split of a token into two tokens is a merge, its rank ("ranks") that of the token, and ignore_merges is set.
 * Tokens are bytes; the vocabulary spells them in the byte-level alphabet.
 *
 * A rank file holds neither the pattern that cuts words nor the special tokens: families[] does. A row is chosen by "tokenizer_class", else by the
 * number of ranks. Special tokens listed in "added_tokens_decoder" of the configuration are taken from there. To add a family: a row. */
#include <stdio.h>

#include "base/base64.h"
#include "base/map.h"
#include "tokenizer/source_int.h"
#include "tokenizer/tok_int.h"

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)|"
#define TAIL "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

typedef struct Family {
    const char *name;
    const char *classes[3];                 /* tokenizer_class */
    size_t      ranks;                      /* how many the published file has */
    const char *pattern;
    bool        nfc;                        /* its tokenizer composes characters first */
    const char *specials[12];               /* the first ones, from id `ranks` on; NULL ends */
    bool        extras;                     /* then <|extra_0|> to <|extra_204|> */
    const char *bos, *eos;
    bool        listed;                     /* versions differ in the names of the specials: the configuration must list them */
} Family;

static const Family families[] = {
    { .name = "Llama 3", .classes = { "PreTrainedTokenizerFast", "TokenizersBackend" }, .ranks = 128000, .listed = true,
      .pattern = CONTRACTIONS "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}" TAIL, .bos = "<|begin_of_text|>", .eos = "<|end_of_text|>" },
    { .name = "Qwen", .classes = { "QWenTokenizer" }, .ranks = 151643, .nfc = true,
      .pattern = CONTRACTIONS "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}" TAIL, .specials = { "<|endoftext|>", "<|im_start|>", "<|im_end|>" },
      .extras = true, .eos = "<|endoftext|>" },
};

typedef struct Ranks {
    VEC(Str) token;  /* by rank; borrowed from the map */
    Map     *rank;   /* of a token's bytes */
} Ranks;

static int read_line(Ranks *r, Str line, size_t number, StrBuf *bytes, const char *where, Err *e)
{
    const char *space = memchr(line.p, ' ', line.n);
    Str code = { line.p, space ? (size_t)(space - line.p) : 0 }, digits = { space ? space + 1 : line.p, space ? line.n - code.n - 1 : 0 };
    int64_t rank = 0, twice;
    bool fine = space && code.n && digits.n && digits.n < 10;
    for (size_t i = 0; fine && i < digits.n; i++) {
        fine = digits.p[i] >= '0' && digits.p[i] <= '9';
        rank = rank * 10 + digits.p[i] - '0';
    }
    strbuf_clear(bytes);
    if (!fine || !base64_read(bytes, code) || !bytes->n)
        return err_set(e, ERR_INPUT, "%s, line %zu: a token in base64, a space and its rank were expected", where, number);
    if (bytes->n > SPM_PIECE_MAX)
        return err_set(e, ERR_INPUT, "%s, line %zu: the token has %zu bytes; hone takes tokens of up to %d", where, number, bytes->n, SPM_PIECE_MAX);
    if (rank >= SPM_PIECES_MAX)
        return err_set(e, ERR_INPUT, "%s, line %zu: the rank %lld is larger than the %d that hone takes", where, number, (long long)rank, SPM_PIECES_MAX - 1);
    if (map_get(r->rank, strbuf_str(bytes), &twice))
        return err_set(e, ERR_INPUT, "%s, line %zu: this token already has the rank %lld", where, number, (long long)twice);
    map_put(r->rank, strbuf_str(bytes), rank);
    return 0;
}

static int read_ranks(Ranks *r, Str text, const char *where, Err *e)
{
    StrBuf bytes = { 0 };
    int rc = 0;
    size_t number = 0;
    r->rank = map_new();
    for (size_t at = 0, end; !rc && at < text.n; at = end + 1) {
        const char *newline = memchr(text.p + at, '\n', text.n - at);
        end = newline ? (size_t)(newline - text.p) : text.n;
        Str line = { text.p + at, end - at };
        number++;
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        if (line.n)
            rc = read_line(r, line, number, &bytes, where, e);
    }
    strbuf_release(&bytes);
    size_t n = map_count(r->rank);
    if (!rc && !n)
        rc = err_set(e, ERR_INPUT, "%s: the file has no ranks", where);
    for (size_t i = 0; !rc && i < n; i++)
        *vec_push(&r->token) = (Str){ NULL, 0 };
    for (size_t i = 0; !rc && i < n; i++) {
        int64_t rank = map_value(r->rank, i);
        if (rank >= (int64_t)n)
            rc = err_set(e, ERR_INPUT, "%s: there are %zu tokens, but one has the rank %lld; the ranks should be 0 to %zu without holes", where, n,
                         (long long)rank, n - 1);
        else if (r->token.p[rank].p)
            rc = err_set(e, ERR_INPUT, "%s: two tokens have the rank %lld", where, (long long)rank);
        else
            r->token.p[rank] = map_key(r->rank, i);
    }
    for (unsigned b = 0; !rc && b < 256; b++) {
        char c = (char)b;
        int64_t rank;
        if (!map_get(r->rank, (Str){ &c, 1 }, &rank))
            rc = err_set(e, ERR_INPUT, "%s: the byte 0x%02X has no rank; all 256 bytes need one, or some texts would have no tokens", where, b);
    }
    return rc;
}

/* --- the model -------------------------------------------------------------------------------------------------------------------- */

static void spell(StrBuf *out, Str bytes)
{
    for (size_t i = 0; i < bytes.n; i++) {
        char c[4];
        strbuf_add(out, c, (size_t)byte_char((unsigned char)bytes.p[i], c));
    }
}

static int make_model(const Ranks *r, Json **model, const char *where, Err *e)
{
    Json *vocab = json_obj_new(), *merges = json_arr_new(), *ranks = json_arr_new();
    StrBuf text = { 0 };
    int64_t rank = -1; /* counts the tokens that are joined from others */
    int rc = 0;
    for (size_t i = 0; !rc && i < r->token.n; i++) {
        Str token = r->token.p[i];
        size_t before = json_len(merges);
        int64_t unused;
        strbuf_clear(&text);
        spell(&text, token);
        json_set(vocab, strbuf_z(&text), json_int_new((int64_t)i));
        for (size_t at = 1; at < token.n && !rc; at++) {
            if (!map_get(r->rank, (Str){ token.p, at }, &unused) || !map_get(r->rank, (Str){ token.p + at, token.n - at }, &unused))
                continue;
            if (json_len(merges) >= SPM_MERGES_MAX) {
                rc = err_set(e, ERR_INPUT, "%s: the tokens can be joined in more than %d ways, which no tokenizer in use comes near", where, SPM_MERGES_MAX);
                break;
            }
            strbuf_clear(&text);
            spell(&text, (Str){ token.p, at });
            strbuf_addc(&text, ' ');
            spell(&text, (Str){ token.p + at, token.n - at });
            json_push(merges, json_str_new(strbuf_str(&text)));
            rank += json_len(merges) == before + 1;
            json_push(ranks, json_int_new(rank));
        }
    }
    strbuf_release(&text);
    *model = source_literal("{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,"
                            "\"fuse_unk\":false,\"byte_fallback\":false,\"ignore_merges\":true}");
    json_set(*model, "vocab", vocab);
    json_set(*model, "merges", merges);
    json_set(*model, "ranks", ranks);
    return rc;
}

/* --- the family ------------------------------------------------------------------------------------------------------------------- */

static int find_family(const Family **f, const Ranks *r, const Json *config, const char *where, Err *e)
{
    Str class = source_config_str(config, "tokenizer_class");
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        bool named = false;
        for (size_t k = 0; k < ARRAY_LEN(families[i].classes) && families[i].classes[k]; k++)
            named = named || str_eqz(class, families[i].classes[k]);
        if (named || (!class.p && families[i].ranks == r->token.n)) {
            *f = &families[i];
            return 0;
        }
    }
    return err_set(e, ERR_INPUT, "%s: a tiktoken file holds neither the pattern that cuts words nor the special tokens, and hone does not know them for "
                   "%zu ranks%s%.*s; it knows Llama 3 (128000 ranks) and Qwen (151643, QWenTokenizer). Save the tokenizer as tokenizer.json", where,
                   r->token.n, class.p ? " of a " : "", (int)MIN(class.n, 60), class.p ? class.p : "");
}

static int add_specials(const Family *f, size_t base, Json *vocab, Json *added, const char *where, Err *e)
{
    size_t id = base;
    for (size_t i = 0; i < ARRAY_LEN(f->specials) && f->specials[i]; i++)
        json_push(added, source_added((int64_t)id++, str_of(f->specials[i]), true, false));
    for (int i = 0; f->extras && i <= 204; i++) {
        char name[48];
        snprintf(name, sizeof name, "<|extra_%d|>", i);
        json_push(added, source_added((int64_t)id++, str_of(name), true, false));
    }
    for (size_t i = 0; i < json_len(added); i++) {
        Str content = json_str(json_get(json_at(added, i), "content"));
        if (json_get(vocab, content.p))
            return err_set(e, ERR_INPUT, "%s: the special token \"%s\" of %s is an ordinary token of this file", where, content.p, f->name);
        json_set(vocab, content.p, json_int_new((int64_t)(base + i)));
    }
    return 0;
}

static Json *pretok_json(const Family *f)
{
    Json *all = source_literal("{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{},\"behavior\":\"Isolated\",\"invert\":false},"
                               "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":false}]}");
    json_set(json_get(json_at(json_get(all, "pretokenizers"), 0), "pattern"), "Regex", json_str_new(str_of(f->pattern)));
    return all;
}

int tok_json_from_tiktoken(Json **tokenizer, Json **config, Str text, const char *where, Err *e)
{
    Ranks r = { 0 };
    const Family *f = NULL;
    Json *model = NULL;
    *tokenizer = NULL;
    int rc = read_ranks(&r, text, where, e);
    rc = rc ? rc : find_family(&f, &r, *config, where, e);
    bool listed = json_len(json_get(*config, "added_tokens_decoder")) > 0;
    if (!rc && f->listed && !listed)
        rc = err_set(e, ERR_INPUT, "%s: the versions of %s call their special tokens differently, and no tokenizer_config.json with \"added_tokens_decoder\" "
                     "says which these are; put that file beside it, or save the tokenizer as tokenizer.json", where, f->name);
    rc = rc ? rc : make_model(&r, &model, where, e);
    Json *added = json_arr_new();
    if (!rc && !listed)
        rc = add_specials(f, r.token.n, json_get(model, "vocab"), added, where, e);
    if (rc) {
        json_free(added);
        json_free(model);
    } else {
        *tokenizer = source_file(added, f->nfc ? source_literal("{\"type\":\"NFC\"}") : NULL, pretok_json(f), NULL,
                                 source_literal("{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true,\"use_regex\":true}"), model);
        rc = source_add_tokens(*tokenizer, *config, where, e);
        const char *names[] = { f->bos, f->eos };
        for (size_t i = 0; !rc && i < 2; i++)
            if (names[i] && json_get(json_get(model, "vocab"), names[i]))
                source_name(config, i ? "eos_token" : "bos_token", str_of(names[i]));
    }
    vec_release(&r.token);
    map_free(r.rank);
    return rc;
}
