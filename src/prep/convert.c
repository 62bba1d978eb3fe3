/* convert.c - see convert.h. */
#include "prep/convert.h"

static const char *const shape_name[] = { "canonical", "messages", "pair", "alpaca", "sharegpt", "preference", "kto", "text" };

static Str text_at(const Json *obj, const char *key) { return json_str(json_get(obj, key)); }

static int refuse(ConvertShape to, const char *what, Err *e)
{
    return err_set(e, ERR_INPUT, "it %s, which the %s shape cannot express; export it in another shape", what, shape_name[to]);
}

static Json *message(const char *role, Str content)
{
    Json *m = json_obj_new();
    json_set(m, "role", json_str_new(str_of(role)));
    json_set(m, "content", json_str_new(content));
    return m;
}

/* Plain turns only: a role and a text. */
static int plain_turns(const Json *messages, ConvertShape to, Err *e)
{
    for (size_t i = 0; i < json_len(messages); i++) {
        const Json *m = json_at(messages, i);
        if (json_len(json_get(m, "tool_calls")) || str_eqz(text_at(m, "role"), "tool"))
            return refuse(to, "has tool calls", e);
        if (json_get(m, "weight") || json_get(m, "name"))
            return refuse(to, "has weights or names of single turns", e);
    }
    return 0;
}

static int to_messages(const Record *r, Json *out, Err *e)
{
    Json *messages;
    if (r->kind == REC_PAIR) {
        messages = json_arr_new();
        json_push(messages, message("user", text_at(r->row, "prompt")));
        json_push(messages, message("assistant", text_at(r->row, "completion")));
    } else if (r->kind == REC_CHAT) {
        messages = json_ref(json_get(r->row, "messages"));
    } else {
        return refuse(CONVERT_MESSAGES, r->kind == REC_TEXT ? "is plain text without a question" : "is a preference or carries a label", e);
    }
    json_set(out, "messages", messages);
    if (json_get(r->row, "tools"))
        json_set(out, "tools", json_ref(json_get(r->row, "tools")));
    return 0;
}

/* One question, one answer: a system text, when there is one, would be lost. */
static int to_pair(const Record *r, Json *out, Err *e)
{
    const Json *messages = json_get(r->row, "messages");
    if (r->kind == REC_PAIR) {
        json_set(out, "prompt", json_ref(json_get(r->row, "prompt")));
        json_set(out, "completion", json_ref(json_get(r->row, "completion")));
        return 0;
    }
    int rc = plain_turns(messages, CONVERT_PAIR, e);
    if (rc)
        return rc;
    if (r->kind != REC_CHAT || json_len(messages) != 2 || !str_eqz(text_at(json_at(messages, 0), "role"), "user") || json_get(r->row, "tools"))
        return refuse(CONVERT_PAIR, "is not one question with one answer", e);
    json_set(out, "prompt", json_str_new(text_at(json_at(messages, 0), "content")));
    json_set(out, "completion", json_str_new(text_at(json_at(messages, 1), "content")));
    return 0;
}

static int to_alpaca(const Record *r, Json *out, Err *e)
{
    const Json *messages = json_get(r->row, "messages");
    size_t      n = json_len(messages), first = 0;
    if (r->kind == REC_PAIR) {
        json_set(out, "instruction", json_str_new(text_at(r->row, "prompt")));
        json_set(out, "input", json_str_new(STR_LIT("")));
        json_set(out, "output", json_str_new(text_at(r->row, "completion")));
        return 0;
    }
    int rc = plain_turns(messages, CONVERT_ALPACA, e);
    if (rc)
        return rc;
    if (n && str_eqz(text_at(json_at(messages, 0), "role"), "system"))
        first = 1;
    bool pairs = r->kind == REC_CHAT && n > first && (n - first) % 2 == 0 && !json_get(r->row, "tools");
    for (size_t i = first; i < n && pairs; i++)
        pairs = str_eqz(text_at(json_at(messages, i), "role"), (i - first) % 2 ? "assistant" : "user");
    if (!pairs)
        return refuse(CONVERT_ALPACA, "is not a row of questions, each with its answer", e);
    json_set(out, "instruction", json_str_new(text_at(json_at(messages, n - 2), "content")));
    json_set(out, "input", json_str_new(STR_LIT("")));
    json_set(out, "output", json_str_new(text_at(json_at(messages, n - 1), "content")));
    if (first)
        json_set(out, "system", json_str_new(text_at(json_at(messages, 0), "content")));
    if (n - first > 2) {
        Json *history = json_arr_new();
        for (size_t i = first; i + 2 < n; i += 2) {
            Json *turn = json_arr_new();
            json_push(turn, json_str_new(text_at(json_at(messages, i), "content")));
            json_push(turn, json_str_new(text_at(json_at(messages, i + 1), "content")));
            json_push(history, turn);
        }
        json_set(out, "history", history);
    }
    return 0;
}

static const char *sharegpt_name(Str role)
{
    return str_eqz(role, "user") ? "human" : str_eqz(role, "assistant") ? "gpt" : str_eqz(role, "tool") ? "observation" : "system";
}

static int to_sharegpt(const Record *r, Json *out, Err *e)
{
    Json *as = json_obj_new(), *turns = json_arr_new();
    int   rc = to_messages(r, as, e);
    if (!rc)
        rc = json_get(as, "tools") ? refuse(CONVERT_SHAREGPT, "has tools", e) : plain_turns(json_get(as, "messages"), CONVERT_SHAREGPT, e);
    for (size_t i = 0; i < json_len(json_get(as, "messages")) && !rc; i++) {
        const Json *m = json_at(json_get(as, "messages"), i);
        Json       *turn = json_obj_new();
        json_set(turn, "from", json_str_new(str_of(sharegpt_name(text_at(m, "role")))));
        json_set(turn, "value", json_str_new(text_at(m, "content")));
        json_push(turns, turn);
    }
    json_set(out, "conversations", turns);
    json_free(as);
    return rc;
}

/* OpenAI's preference format. */
static int to_preference(const Record *r, Json *out, Err *e)
{
    if (r->kind != REC_PREFERENCE)
        return refuse(CONVERT_PREFERENCE, "has no rejected answer", e);
    Json *input = json_obj_new();
    json_set(input, "messages", json_ref(json_get(r->row, "messages")));
    if (json_get(r->row, "tools"))
        json_set(input, "tools", json_ref(json_get(r->row, "tools")));
    json_set(out, "input", input);
    json_set(out, "preferred_output", json_ref(json_get(r->row, "chosen")));
    json_set(out, "non_preferred_output", json_ref(json_get(r->row, "rejected")));
    return 0;
}

static int to_kto(const Record *r, Json *out, Err *e)
{
    if (r->kind != REC_LABEL)
        return refuse(CONVERT_KTO, "has no label", e);
    json_set(out, "messages", json_ref(json_get(r->row, "messages")));
    if (json_get(r->row, "tools"))
        json_set(out, "tools", json_ref(json_get(r->row, "tools")));
    json_set(out, "label", json_ref(json_get(r->row, "label")));
    return 0;
}

static int to_text(const Record *r, Json *out, Err *e)
{
    if (r->kind != REC_TEXT)
        return refuse(CONVERT_TEXT, "has questions and answers", e);
    json_set(out, "text", json_ref(json_get(r->row, "text")));
    return 0;
}

static int (*const shapes[])(const Record *, Json *, Err *) = {
    [CONVERT_MESSAGES] = to_messages,     [CONVERT_PAIR] = to_pair, [CONVERT_ALPACA] = to_alpaca, [CONVERT_SHAREGPT] = to_sharegpt,
    [CONVERT_PREFERENCE] = to_preference, [CONVERT_KTO] = to_kto,   [CONVERT_TEXT] = to_text,
};

int convert_row(const Record *r, ConvertShape to, Json **out, Err *e)
{
    if (to == CONVERT_CANONICAL) {
        *out = json_ref(r->row);
        return 0;
    }
    BUG_ON((size_t)to >= ARRAY_LEN(shapes));
    Json *j = json_obj_new();
    int   rc = shapes[to](r, j, e);
    if (rc) {
        json_free(j);
        return rc;
    }
    if (json_get(r->row, "id"))
        json_set(j, "id", json_ref(json_get(r->row, "id")));
    if (json_get(r->row, "meta"))
        json_set(j, "meta", json_ref(json_get(r->row, "meta")));
    *out = j;
    return 0;
}
