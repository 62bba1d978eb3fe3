/* cmd_tokenize.c - hone tokenize: lines of text to token ids, and back. */
#include "cli/cli.h"
#include "cli/lines.h"

typedef struct Options { bool decode, no_special, json, help; } Options;

static const CfgOption table[] = {
    { "decode",     CFG_BOOL, offsetof(Options, decode),     "false", 0, 0, NULL, "the way back: one JSON array of ids per line to text" },
    { "no-special", CFG_BOOL, offsetof(Options, no_special), "false", 0, 0, NULL, "leave out the special tokens (BOS ...) that the tokenizer adds, or spells out" },
    { "json",       CFG_BOOL, offsetof(Options, json),       "false", 0, 0, NULL, "each line is a JSON string, so that a text may hold line breaks; with --decode such strings are printed" },
    { 0 },
};

static int encode_line(const Tok *tok, const Lines *in, const Options *o, StrBuf *out, Err *e)
{
    TokIds ids = { 0 };
    Json  *j = NULL;
    int    rc = o->json ? lines_json(in, &j, e) : 0;
    if (!rc && o->json && json_kind(j) != JSON_STRING)
        rc = err_set(e, ERR_INPUT, "%s: expected a JSON string, found %s", in->where, json_kind_name(j));
    if (rc)
        goto done;
    rc = tok_encode(tok, o->json ? json_str(j) : strbuf_str(&in->text), o->no_special ? 0 : TOK_SPECIAL, &ids, e);
    if (rc)
        err_wrap(e, "%s", in->where);
    strbuf_addc(out, '[');
    for (size_t i = 0; i < ids.n; i++)
        strbuf_addf(out, "%s%d", i ? "," : "", ids.p[i]);
    strbuf_addc(out, ']');
done:
    vec_release(&ids);
    json_free(j);
    return rc;
}

static int decode_line(const Tok *tok, const Lines *in, const Options *o, StrBuf *out, Err *e)
{
    TokIds ids = { 0 };
    Json  *j = NULL;
    int    rc = lines_json(in, &j, e);
    if (!rc && json_kind(j) != JSON_ARRAY)
        rc = err_set(e, ERR_INPUT, "%s: expected a JSON array of token ids like [1,403,407], found %s", in->where, json_kind_name(j));
    for (size_t i = 0; !rc && i < json_len(j); i++) {
        const Json *v = json_at(j, i);
        if (json_kind(v) != JSON_INT)
            rc = err_set(e, ERR_INPUT, "%s: item %zu is %s; expected a token id", in->where, i + 1, json_kind_name(v));
        else if (json_int(v) < 0 || json_int(v) >= tok_size(tok))
            rc = err_set(e, ERR_INPUT, "%s: item %zu is %lld; the tokenizer's ids are 0 to %d", in->where, i + 1, (long long)json_int(v), tok_size(tok) - 1);
        else
            *vec_push(&ids) = (int32_t)json_int(v);
    }
    if (!rc) {
        StrBuf text = { 0 };
        tok_decode(tok, ids.p, ids.n, o->no_special, &text);
        if (o->json)
            json_write_string(out, strbuf_str(&text));
        else
            strbuf_add(out, text.p, text.n);
        strbuf_release(&text);
    }
    vec_release(&ids);
    json_free(j);
    return rc;
}

int cmd_tokenize(int argc, char **argv, Err *e)
{
    Options     o = { 0 };
    const char *dir = NULL;
    Tok        *tok = NULL;
    StrBuf      out = { 0 };
    Lines       in;
    Str         line;
    int         n_pos = 0, rc = cli_parse("tokenize", table, &o, argc, argv, &dir, 1, &n_pos, NULL, &o.help, e);
    lines_open(&in);
    if (rc || o.help)
        goto done;
    if (!n_pos) {
        rc = err_set(e, ERR_ARG, "MODEL is missing: name the folder with the tokenizer, as in hone tokenize MODEL < lines.txt");
        goto done;
    }
    if ((rc = cli_open_tokenizer(&tok, dir, e)))
        goto done;
    while ((rc = lines_next(&in, &line, e)) == 1) {
        strbuf_clear(&out);
        rc = (o.decode ? decode_line : encode_line)(tok, &in, &o, &out, e);
        if (rc)
            break;
        strbuf_addc(&out, '\n');
        fwrite(out.p, 1, out.n, stdout);
    }
done:
    strbuf_release(&out);
    lines_close(&in);
    tok_free(tok);
    cfg_release(table, &o);
    return rc;
}
