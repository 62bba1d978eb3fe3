/* chat.c - the door of the room for conversations: the model's own template (chat_template.c), else the built-in ones, which are here, and the mask of
 * what the assistant says.
 * Main struct: Style, which control tokens open and end a turn. A conversation is a chain of control tokens with one piece of plain text between
 * each two, and each piece is encoded whole, so that the ids equal those which the tokenizer gives for ChatOut.text.
 * Invariant: the ids of a conversation up to the opened assistant turn (generation_prompt) are a prefix of the ids of the same conversation with
 * the answer, so the trained model later sees exactly the beginning it was trained on. Where the tokenizer would join the end of the header
 * with the beginning of the answer (an answer that starts with a newline), the two are therefore encoded apart.
 * To add a template: add a row to `styles`. To add a role: add it to `roles`. */
#include "tokenizer/chat_template.h"
#include "tokenizer/tok_int.h"
#include "base/utf8.h"

typedef struct Style {
    const char *open, *end;  /* control tokens before the role and behind the content; NULL: no opening token, EOS ends */
    const char *after_role;
    int32_t     open_id, end_id;
} Style;

static const Style styles[] = { /* the first whose tokens the vocabulary has; the last row needs none */
    { "<|im_start|>", "<|im_end|>", "\n", -1, -1 },
    { NULL, NULL, ":\n", -1, -1 },
};

static const char assistant[] = "assistant";
static const char *const roles[] = { "system", "user", assistant, "developer", "tool" };

/* Parts of a message or row that only the model's own template can render; ignoring them would train on something else than the file says. */
static const char *const message_needs_template[] = { "tool_calls", "function_call", "reasoning_content" };
static const char *const row_never[] = { "functions" };

void chat_out_release(ChatOut *o)
{
    strbuf_release(&o->text);
    vec_release(&o->ids);
    vec_release(&o->mask);
}

void chat_out_clear(ChatOut *o)
{
    strbuf_clear(&o->text);
    vec_clear(&o->ids);
    vec_clear(&o->mask);
}

void chat_out_add(ChatOut *o, int32_t id, bool trained)
{
    *vec_push(&o->ids) = id;
    *vec_push(&o->mask) = trained;
}

static int style_find(const Tok *t, Style *s, Err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(styles); i++) {
        *s = styles[i];
        bool open = !s->open || tok_find(t, str_of(s->open), &s->open_id);
        bool end = !s->end || tok_find(t, str_of(s->end), &s->end_id);
        if (open && end)
            break;
    }
    if (!s->end)
        s->end_id = tok_eos(t);
    if (s->end_id < 0)
        return err_set(e, ERR_INPUT, "the tokenizer has no token that could end an answer (neither <|im_end|> nor an end-of-text token), so the model "
                                     "would never learn to stop; name one as \"eos_token\" in tokenizer_config.json");
    return 0;
}

int32_t chat_terminator(const Tok *t, Err *e)
{
    if (t->chat && t->chat->terminator < 0)
        return err_set(e, ERR_INPUT, "%s", t->chat->why.code ? t->chat->why.text : t->chat->terminator_why.text);
    if (t->chat)
        return t->chat->terminator;
    Style s;
    int rc = style_find(t, &s, e);
    return rc ? rc : s.end_id;
}

static void control_add(const Tok *t, ChatOut *out, int32_t id, bool trained)
{
    Str text = tok_text(t, id);
    strbuf_add(&out->text, text.p, text.n);
    chat_out_add(out, id, trained);
}

/* What the tokenizer's post-processor puts before a text. A probe text is needed: on an empty one prefix and suffix could not be told apart. */
static int prefix_add(const Tok *t, ChatOut *out, Err *e)
{
    TokIds ids = { 0 };
    TokSpans spans = { 0 };
    int rc = tok_encode_spans(t, STR_LIT("a"), TOK_SPECIAL, &ids, &spans, e);
    for (size_t i = 0; !rc && i < ids.n && spans.p[i].begin == spans.p[i].end; i++)
        control_add(t, out, ids.p[i], false);
    vec_release(&ids);
    vec_release(&spans);
    return rc;
}

static bool ids_start(const TokIds *ids, const TokIds *head)
{
    return ids->n >= head->n && (!head->n || !memcmp(ids->p, head->p, head->n * sizeof *ids->p));
}

/* One piece of plain text: header and content. An answer (content behind an assistant's header) begins at a token border. */
static int piece_add(const Tok *t, Str head, Str content, bool answer, bool trained, ChatOut *out, Err *e)
{
    TokIds ids = { 0 }, head_ids = { 0 };
    size_t begin = out->text.n;
    strbuf_add(&out->text, head.p, head.n);
    strbuf_add(&out->text, content.p, content.n);
    Str whole = { strbuf_z(&out->text) + begin, out->text.n - begin };

    int rc = tok_encode(t, whole, TOK_PLAIN, &ids, e);
    if (!rc && answer)
        rc = tok_encode(t, head, TOK_PLAIN, &head_ids, e);
    if (!rc && !ids_start(&ids, &head_ids)) {
        vec_clear(&ids);
        for (size_t i = 0; i < head_ids.n; i++)
            *vec_push(&ids) = head_ids.p[i];
        rc = tok_encode(t, content, TOK_PLAIN, &ids, e);
    }
    for (size_t i = 0; !rc && i < ids.n; i++)
        chat_out_add(out, ids.p[i], trained && i >= head_ids.n);
    vec_release(&ids);
    vec_release(&head_ids);
    return rc;
}

/* A turn up to its content; `between` is the text that stands after the terminator before. */
static int turn_add(const Tok *t, const Style *s, const char *between, Str role, Str content, bool trained, ChatOut *out, Err *e)
{
    StrBuf head = { 0 };
    strbuf_addz(&head, between);
    int rc = 0;
    if (s->open_id >= 0) {
        if (head.n)
            rc = piece_add(t, strbuf_str(&head), (Str){ 0 }, false, false, out, e);
        strbuf_clear(&head);
        control_add(t, out, s->open_id, false);
    }
    strbuf_add(&head, role.p, role.n);
    strbuf_addz(&head, s->after_role);
    if (!rc)
        rc = piece_add(t, strbuf_str(&head), content, str_eqz(role, assistant), trained, out, e);
    strbuf_release(&head);
    return rc;
}

static bool says_something(const Json *j)
{
    return j && json_kind(j) != JSON_NULL && !((json_kind(j) == JSON_ARRAY || json_kind(j) == JSON_OBJECT) && !json_len(j));
}

static int no_template_parts(const Json *obj, const char *const *keys, size_t n, const char *where, Err *e)
{
    for (size_t i = 0; i < n; i++)
        if (says_something(json_get(obj, keys[i])))
            return err_set(e, ERR_INPUT, "%s: \"%s\" needs the model's own chat template, and this model has none; remove the row or the key", where,
                           keys[i]);
    return 0;
}

static int role_check(Str role, const char *where, Err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(roles); i++)
        if (str_eqz(role, roles[i]))
            return 0;
    return err_set(e, ERR_INPUT, "%s: unknown role \"%.*s\"; expected system, user, assistant, developer or tool", where,
                   (int)utf8_complete(role.p, MIN(role.n, (size_t)40)), role.p);
}

int chat_weight(const Json *m, Str role, int64_t *weight, const char *where, Err *e)
{
    int rc = json_opt_int(m, "weight", weight, where, e);
    if (rc || !says_something(json_get(m, "weight")))
        return rc;
    if (!str_eqz(role, assistant))
        return err_set(e, ERR_INPUT, "%s: \"weight\" stands on a message of role %.*s; only assistant messages can have one", where, (int)role.n, role.p);
    if (*weight != 0 && *weight != 1)
        return err_set(e, ERR_INPUT, "%s: \"weight\" is %lld; expected 0 (not trained) or 1", where, (long long)*weight);
    return 0;
}

static int message_read(const Json *m, const char *where, Str *role, Str *content, int64_t *weight, Err *e)
{
    if (json_kind(m) != JSON_OBJECT)
        return err_set(e, ERR_INPUT, "%s: expected an object with role and content, found %s", where, json_kind_name(m));
    int rc = json_need_str(m, "role", role, where, e);
    if (!rc)
        rc = role_check(*role, where, e);
    if (!rc)
        rc = no_template_parts(m, message_needs_template, ARRAY_LEN(message_needs_template), where, e);
    if (!rc)
        rc = json_need_str(m, "content", content, where, e);
    return rc ? rc : chat_weight(m, *role, weight, where, e);
}

static int render_builtin(const Tok *t, const Json *messages, const ChatExtra *x, bool generation_prompt, const char *where, ChatOut *out, Err *e)
{
    Style s;
    StrBuf place = { 0 };
    const char *between = "";
    int rc = style_find(t, &s, e);
    if (rc) {
        err_wrap(e, "%s", where);
        goto done;
    }
    if (says_something(x->tools) || says_something(x->documents) || says_something(x->kwargs)) {
        rc = err_set(e, ERR_INPUT, "%s: \"%s\" needs the model's own chat template, and this model has none; remove the row or the key", where,
                     says_something(x->tools) ? "tools" : says_something(x->documents) ? "documents" : "chat_template_kwargs");
        goto done;
    }
    rc = prefix_add(t, out, e);
    for (size_t i = 0; !rc && i < json_len(messages); i++) {
        Str role = { 0 }, content = { 0 };
        int64_t weight = 1;
        strbuf_clear(&place);
        strbuf_addf(&place, "%s, messages[%zu]", where, i);
        rc = message_read(json_at(messages, i), strbuf_z(&place), &role, &content, &weight, e);
        if (rc)
            break;
        bool trained = weight && str_eqz(role, assistant);
        rc = turn_add(t, &s, between, role, content, trained, out, e);
        if (rc)
            err_wrap(e, "%s", strbuf_z(&place));
        control_add(t, out, s.end_id, trained);
        between = "\n";
    }
    if (!rc)
        rc = generation_prompt ? turn_add(t, &s, between, str_of(assistant), (Str){ 0 }, false, out, e)
                               : piece_add(t, str_of(between), (Str){ 0 }, false, false, out, e);
done:
    strbuf_release(&place);
    return rc;
}

int chat_render_with(const Tok *t, const Json *messages, const ChatExtra *x, bool generation_prompt, const char *where, ChatOut *out, Err *e)
{
    static const ChatExtra nothing = { 0 };
    bool is_array = messages && json_kind(messages) == JSON_ARRAY;
    if (!is_array || !json_len(messages))
        return err_set(e, ERR_INPUT, "%s: \"messages\" must be an array with at least one message, found %s", where,
                       is_array ? "an empty one" : json_kind_name(messages));
    return t->chat ? chat_template_render(t, t->chat, messages, x, generation_prompt, where, out, e)
                   : render_builtin(t, messages, x ? x : &nothing, generation_prompt, where, out, e);
}

int chat_render(const Tok *t, const Json *messages, bool generation_prompt, const char *where, ChatOut *out, Err *e)
{
    return chat_render_with(t, messages, NULL, generation_prompt, where, out, e);
}

int chat_render_row(const Tok *t, const Json *row, bool generation_prompt, const char *where, ChatOut *out, Err *e)
{
    static const struct { const char *key; JsonKind kind; } parts[] = { { "tools", JSON_ARRAY }, { "documents", JSON_ARRAY }, { "chat_template_kwargs", JSON_OBJECT } };
    Json *found[ARRAY_LEN(parts)] = { NULL };
    int rc = no_template_parts(row, row_never, ARRAY_LEN(row_never), where, e);
    for (size_t i = 0; !rc && i < ARRAY_LEN(parts); i++) {
        Json *v = json_get(row, parts[i].key);
        if (!v || json_kind(v) == JSON_NULL)
            continue;
        if (json_kind(v) != parts[i].kind)
            rc = err_set(e, ERR_INPUT, "%s: \"%s\" should be %s, it is %s", where, parts[i].key, parts[i].kind == JSON_ARRAY ? "a list of objects" : "an object",
                         json_kind_name(v));
        found[i] = v;
    }
    ChatExtra x = { found[0], found[1], found[2] };
    return rc ? rc : chat_render_with(t, json_get(row, "messages"), &x, generation_prompt, where, out, e);
}

const char *chat_template_hash(const Tok *t)
{
    return t->chat ? t->chat->hash : "built-in";
}

int chat_use_template(Tok *t, Str source, const char *where, Err *e)
{
    Json *config = json_obj_new(), *special = t->chat ? json_ref(t->chat->special) : NULL;
    ChatTemplate *c = NULL;
    json_set(config, "chat_template", json_str_new(source));
    int rc = chat_template_open(&c, config, where, e);
    if (!rc && c->why.code)
        rc = err_set(e, c->why.code, "%s", c->why.text);
    if (!rc) {
        if (special) {
            json_free(c->special);
            c->special = json_ref(special);
        } else {
            chat_template_names(t, c);
        }
        chat_template_free(t->chat);
        t->chat = c;
        c = NULL;
        chat_template_finish(t, t->chat);
    }
    chat_template_free(c);
    json_free(special);
    json_free(config);
    return rc;
}
