/* cmd_render.c - hone render: conversations as the model sees them: text, token ids, and which of them are trained. */
#include "cli/cli.h"

#include <stdlib.h>

#include "base/file.h"
#include "cli/lines.h"
#include "tokenizer/chat.h"

typedef struct Options { bool generation_prompt, help; char *template; char *kwargs; } Options;

static const CfgOption table[] = {
    { "generation-prompt", CFG_BOOL, offsetof(Options, generation_prompt), "false", 0, 0, NULL, "end with the opening of an assistant's turn" },
    { "template", CFG_STR, offsetof(Options, template), "", 0, 0, NULL, "a file with a chat template to use in the place of the model's own" },
    { "kwargs", CFG_STR, offsetof(Options, kwargs), "", 0, 0, NULL, "a JSON object of further variables for the template, as {\"enable_thinking\":false}; a row's own chat_template_kwargs count more" },
    { 0 },
};

static int kwargs_add(Json *row, const Json *kwargs, const char *where, Err *e)
{
    Json    *own = json_get(row, "chat_template_kwargs"), *both = json_obj_new(), *value;
    JsonIter it = { 0 }, own_it = { 0 };
    Str      key;
    if (own && json_kind(own) != JSON_NULL && json_kind(own) != JSON_OBJECT) {
        json_free(both);
        return err_set(e, ERR_INPUT, "%s: \"chat_template_kwargs\" should be an object, it is %s", where, json_kind_name(own));
    }
    while (json_each(kwargs, &it, &key, &value))
        json_set(both, key.p, json_ref(value));
    while (own && json_kind(own) == JSON_OBJECT && json_each(own, &own_it, &key, &value))
        json_set(both, key.p, json_ref(value));
    json_set(row, "chat_template_kwargs", both);
    return 0;
}

static int render_line(const Tok *tok, const Lines *in, const Options *o, const Json *kwargs, ChatOut *chat, StrBuf *out, Err *e)
{
    Json *row = NULL;
    int   rc = lines_json(in, &row, e);
    if (!rc && json_kind(row) != JSON_OBJECT)
        rc = err_set(e, ERR_INPUT, "%s: expected one object like {\"messages\":[...]}, found %s", in->where, json_kind_name(row));
    if (!rc && kwargs)
        rc = kwargs_add(row, kwargs, in->where, e);
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

static int use_options(Tok *tok, const Options *o, Json **kwargs, Err *e)
{
    char  *text = NULL;
    size_t n = 0;
    int    rc = 0;
    if (o->template && *o->template) {
        rc = file_read_text(o->template, &text, &n, e);
        if (!rc)
            rc = chat_use_template(tok, (Str){ text, n }, o->template, e);
        free(text);
    }
    if (!rc && o->kwargs && *o->kwargs)
        rc = json_parse(kwargs, str_of(o->kwargs), "--kwargs", e);
    if (!rc && *kwargs && json_kind(*kwargs) != JSON_OBJECT)
        rc = err_set(e, ERR_ARG, "--kwargs should be a JSON object like {\"enable_thinking\":false}, it is %s", json_kind_name(*kwargs));
    return rc;
}

int cmd_render(int argc, char **argv, Err *e)
{
    Options     o = { 0 };
    const char *dir = NULL;
    Tok        *tok = NULL;
    Json       *kwargs = NULL;
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
    if ((rc = cli_open_tokenizer(&tok, dir, e)) || (rc = use_options(tok, &o, &kwargs, e)))
        goto done;
    while ((rc = lines_next(&in, &line, e)) == 1) {
        strbuf_clear(&out);
        chat_out_clear(&chat);
        if ((rc = render_line(tok, &in, &o, kwargs, &chat, &out, e)))
            break;
        strbuf_addc(&out, '\n');
        fwrite(out.p, 1, out.n, stdout);
    }
done:
    chat_out_release(&chat);
    strbuf_release(&out);
    lines_close(&in);
    tok_free(tok);
    json_free(kwargs);
    cfg_release(table, &o);
    return rc;
}
