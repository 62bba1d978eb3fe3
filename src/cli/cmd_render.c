/* cmd_render.c - hone render: conversations as the model sees them: text, token ids, and which of them are trained. */
#include "cli/cli.h"
#include "cli/lines.h"
#include "tokenizer/chat.h"

typedef struct Options { bool generation_prompt, help; } Options;

static const CfgOption table[] = {
    { "generation-prompt", CFG_BOOL, offsetof(Options, generation_prompt), "false", 0, 0, NULL, "end with the opening of an assistant's turn" },
    { 0 },
};

static int render_line(const Tok *tok, const Lines *in, const Options *o, ChatOut *chat, StrBuf *out, Err *e)
{
    Json *row = NULL;
    int   rc = lines_json(in, &row, e);
    if (!rc && json_kind(row) != JSON_OBJECT)
        rc = err_set(e, ERR_INPUT, "%s: expected one object like {\"messages\":[...]}, found %s", in->where, json_kind_name(row));
    if (!rc)
        rc = chat_render_row(tok, row, o->generation_prompt, in->where, chat, e);
    if (!rc) {
        Json *j = json_obj_new(), *ids = json_arr_new(), *mask = json_arr_new();
        for (size_t i = 0; i < chat->ids.n; i++) {
            json_push(ids, json_int_new(chat->ids.p[i]));
            json_push(mask, json_int_new(chat->mask.p[i]));
        }
        json_set(j, "text", json_str_new(strbuf_str(&chat->text)));
        json_set(j, "ids", ids);
        json_set(j, "mask", mask);
        json_write(out, j, false);
        json_free(j);
    }
    json_free(row);
    return rc;
}

int cmd_render(int argc, char **argv, Err *e)
{
    Options     o = { 0 };
    const char *dir = NULL;
    Tok        *tok = NULL;
    ChatOut     chat = { 0 };
    StrBuf      out = { 0 };
    Lines       in;
    Str         line;
    int         n_pos = 0, rc = cli_parse("render", table, &o, argc, argv, &dir, 1, &n_pos, NULL, &o.help, e);
    lines_open(&in);
    if (rc || o.help)
        goto done;
    if (!n_pos) {
        rc = err_set(e, ERR_ARG, "MODEL is missing: name the folder with the tokenizer, as in hone render MODEL < conversations.jsonl");
        goto done;
    }
    if ((rc = tok_open(&tok, dir, e)))
        goto done;
    while ((rc = lines_next(&in, &line, e)) == 1) {
        strbuf_clear(&out);
        chat_out_clear(&chat);
        if ((rc = render_line(tok, &in, &o, &chat, &out, e)))
            break;
        strbuf_addc(&out, '\n');
        fwrite(out.p, 1, out.n, stdout);
    }
done:
    chat_out_release(&chat);
    strbuf_release(&out);
    lines_close(&in);
    tok_free(tok);
    cfg_release(table, &o);
    return rc;
}
