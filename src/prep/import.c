/* import.c - see import.h. Values are moved from the foreign row into the canonical one, not copied. */
#include "prep/import_int.h"

#include <stdlib.h>

#include "base/cfg.h"
#include "base/mem.h"
#include "base/vec.h"

/* Names that exports use for our four roles. */
static const struct { const char *from, *to; } role_names[] = {
    { "system", "system" },    { "developer", "system" },    { "user", "user" },      { "human", "user" },         { "prompter", "user" },
    { "assistant", "assistant" }, { "gpt", "assistant" },    { "bot", "assistant" },  { "model", "assistant" },    { "chatgpt", "assistant" },
    { "function_call", "assistant" }, { "tool", "tool" },    { "function", "tool" },  { "observation", "tool" },   { "ipython", "tool" },
};

/* Two columns that are a question and its answer; a third may stand beside them as context before the question. */
static const struct { const char *question, *answer, *context; } column_pairs[] = {
    { "question", "answer", "context" },  { "question", "response", "context" }, { "query", "response", "context" }, { "query", "answer", "context" },
    { "instruction", "response", "context" }, { "instruction", "completion", "input" }, { "input", "output", "context" },
    { "user", "assistant", "context" },   { "human", "assistant", "context" },   { "source", "target", "context" }, { "prompt", "response", "context" },
    { "prompt", "answer", "context" },    { "prompt", "output", "context" },     { "request", "reply", "context" },
};

static const char *const text_columns[] = { "text", "content", "document", "body" };

/* ---- options ------------------------------------------------------------------------------------------------------------------------------------- */

static const char *our_role(Str name)
{
    for (size_t i = 0; i < ARRAY_LEN(role_names); i++)
        if (str_eqz(name, role_names[i].from))
            return role_names[i].to;
    return NULL;
}

static int read_roles(Import *im, const char *list, Err *e)
{
    Str item;
    while (cfg_list_each(&list, &item)) {
        const char *eq = memchr(item.p, '=', item.n);
        Str         to = eq ? (Str){ eq + 1, (size_t)(item.p + item.n - eq - 1) } : (Str){ 0 };
        const char *known = eq ? our_role(to) : NULL;
        if (!known)
            return err_set(e, ERR_ARG, "--roles: \"%.*s\" is not NAME=ROLE with ROLE one of system, user, assistant, tool", (int)item.n, item.p);
        *vec_push(&im->role) = (RoleName){ mem_strndup(item.p, (size_t)(eq - item.p)), known };
    }
    return 0;
}

int import_new(Import **out, const ImportOptions *o, Err *e)
{
    Import *im = mem_zalloc(1, sizeof *im);
    struct { const char *text, *option; Mapping **to; } part[] = {
        { o->system, "--system", &im->system }, { o->prompt, "--prompt", &im->prompt }, { o->completion, "--completion", &im->completion }, { o->text, "--text", &im->text },
    };
    int rc = o->roles ? read_roles(im, o->roles, e) : 0;
    for (size_t i = 0; i < ARRAY_LEN(part) && !rc; i++)
        if (part[i].text && *part[i].text)
            rc = mapping_new(part[i].to, part[i].text, part[i].option, e);
    if (!rc && !im->prompt != !im->completion)
        rc = err_set(e, ERR_ARG, "--prompt and --completion belong together: the first says what is asked, the second what is answered");
    if (!rc && im->text && im->prompt)
        rc = err_set(e, ERR_ARG, "--text makes plain texts and --prompt questions with answers; give one of them");
    if (!rc && im->system && !im->prompt)
        rc = err_set(e, ERR_ARG, "--system stands before --prompt and --completion; give them, too");
    if (rc) {
        import_free(im);
        return rc;
    }
    *out = im;
    return 0;
}

void import_free(Import *im)
{
    if (!im)
        return;
    mapping_free(im->system);
    mapping_free(im->prompt);
    mapping_free(im->completion);
    mapping_free(im->text);
    for (size_t i = 0; i < im->role.n; i++)
        free(im->role.p[i].from);
    vec_release(&im->role);
    free(im);
}

/* ---- moving values ------------------------------------------------------------------------------------------------------------------------------- */

void import_note(ImportJob *j, const char *text)
{
    strbuf_addf(j->note, "%s%s", j->note->n ? "; " : "", text);
}

bool import_has(const Json *row, const char *key)
{
    const Json *v = json_get(row, key);
    return v && json_kind(v) != JSON_NULL;
}

Json *import_take(Json *row, const char *key)
{
    Json *v = json_get(row, key);
    if (v) {
        json_ref(v);
        json_drop(row, key);
    }
    return v;
}

static void move(Json *to, const char *as, Json *from, const char *key)
{
    Json *v = import_take(from, key);
    if (v && json_kind(v) != JSON_NULL)
        json_set(to, as, v);
    else
        json_free(v);
}

static int need_text(ImportJob *j, const char *key)
{
    const Json *v = json_get(j->row, key);
    if (json_kind(v) == JSON_STRING)
        return 0;
    return err_set(j->e, ERR_INPUT, "data_type: \"%s\" must be a text, found %s", key, json_kind_name(v));
}

Json *import_message(const char *role, Str content)
{
    Json *m = json_obj_new();
    json_set(m, "role", json_str_new(str_of(role)));
    json_set(m, "content", json_str_new(content));
    return m;
}

/* ---- one message --------------------------------------------------------------------------------------------------------------------------------- */

static const char *role_for(const Import *im, Str name)
{
    for (size_t i = 0; i < im->role.n; i++)
        if (str_eqz(name, im->role.p[i].from))
            return im->role.p[i].to;
    return our_role(name);
}

/* [{"type": "text", "text": ".."}, ...] to one text. */
static int join_parts(ImportJob *j, Json *message, size_t at)
{
    StrBuf text = { 0 };
    Json  *parts = json_get(message, "content");
    int    rc = 0;
    for (size_t i = 0; i < json_len(parts) && !rc; i++) {
        const Json *part = json_at(parts, i), *t = json_get(part, "text");
        Str         type = json_str(json_get(part, "type"));
        if ((type.n && !str_eqz(type, "text")) || json_kind(t) != JSON_STRING)
            rc = err_set(j->e, ERR_INPUT, "data_type: messages[%zu] has a part of type \"%.*s\"; only texts can be trained", at, (int)MIN(type.n, 40), type.p ? type.p : "");
        else
            strbuf_add(&text, json_str(t).p, json_str(t).n);
    }
    if (!rc) {
        json_set(message, "content", json_str_new(strbuf_str(&text)));
        import_note(j, "content of parts joined");
    }
    strbuf_release(&text);
    return rc;
}

static const char *const message_keys[] = { "role", "content", "name", "weight", "tool_calls", "tool_call_id", "reasoning_content" };

static int check_keys(ImportJob *j, const Json *message, size_t at)
{
    JsonIter it = { 0 };
    Str      key;
    Json    *value;
    while (json_each(message, &it, &key, &value)) {
        bool known = json_kind(value) == JSON_NULL;
        for (size_t i = 0; i < ARRAY_LEN(message_keys); i++)
            known = known || str_eqz(key, message_keys[i]);
        if (!known)
            return err_set(j->e, ERR_INPUT, "message_unrecognized_key: messages[%zu] has \"%.*s\"; known are role, content, name, weight, tool_calls, tool_call_id", at,
                           (int)MIN(key.n, 60), key.p);
    }
    return 0;
}

/* The old {"function_call": {...}} is one call of a tool. */
static void modern_call(Json *message)
{
    Json *call = import_take(message, "function_call"), *calls, *one;
    if (json_kind(call) != JSON_OBJECT) {
        json_free(call);
        return;
    }
    calls = json_arr_new();
    one = json_obj_new();
    json_set(one, "type", json_str_new(STR_LIT("function")));
    json_set(one, "function", call);
    json_push(calls, one);
    json_set(message, "tool_calls", calls);
}

static int message_ready(ImportJob *j, Json *m, size_t at)
{
    if (json_kind(m) != JSON_OBJECT)
        return err_set(j->e, ERR_INPUT, "data_type: messages[%zu] must be an object, found %s", at, json_kind_name(m));
    const Json *role = json_get(m, "role");
    if (json_kind(role) != JSON_STRING)
        return err_set(j->e, ERR_INPUT, "message_missing_key: messages[%zu] has no \"role\"", at);
    const char *ours = role_for(j->im, json_str(role));
    if (!ours)
        return err_set(j->e, ERR_INPUT, "unrecognized_role: messages[%zu] is from \"%.*s\"; known are system, user, assistant, tool; name others with --roles \"%.*s=user\"", at,
                       (int)MIN(json_str(role).n, 40), json_str(role).p, (int)MIN(json_str(role).n, 40), json_str(role).p);
    if (!str_eqz(json_str(role), ours))
        json_set(m, "role", json_str_new(str_of(ours)));
    modern_call(m);
    json_drop(m, "refusal"); /* null in exports of answers that were given */
    int rc = check_keys(j, m, at);
    if (!rc && json_kind(json_get(m, "content")) == JSON_ARRAY && json_get(m, "content"))
        rc = join_parts(j, m, at);
    if (rc)
        return rc;
    const Json *content = json_get(m, "content");
    bool        calls = json_len(json_get(m, "tool_calls")) > 0;
    if (!calls && !content)
        return err_set(j->e, ERR_INPUT, "message_missing_key: messages[%zu] has no \"content\"", at);
    if (content && json_kind(content) != JSON_STRING && json_kind(content) != JSON_NULL)
        return err_set(j->e, ERR_INPUT, "data_type: the content of messages[%zu] must be a text, found %s", at, json_kind_name(content));
    if (!calls && record_blank(json_str(content)) && !str_eqz(json_str(role), "tool"))
        return err_set(j->e, ERR_INPUT, "missing_content: messages[%zu] (%s) is empty", at, ours);
    return 0;
}

/* ---- conversations ------------------------------------------------------------------------------------------------------------------------------- */

static bool is_answer(const Json *m) { return str_eqz(json_str(json_get(m, "role")), "assistant"); }

/* messages to canonical ones, in place. trained: the last turn has to be an answer; questions behind the last answer are cut off and noted. */
static int messages_ready(ImportJob *j, Json *messages, bool trained)
{
    if (json_kind(messages) != JSON_ARRAY || !json_len(messages))
        return err_set(j->e, ERR_INPUT, "missing_messages_list: \"messages\" must be a list with at least one message, found %s",
                       messages && json_kind(messages) == JSON_ARRAY ? "an empty one" : json_kind_name(messages));
    size_t n = json_len(messages), end = 0;
    int    rc = 0;
    for (size_t i = 0; i < n && !rc; i++) {
        rc = message_ready(j, json_at(messages, i), i);
        if (!rc && is_answer(json_at(messages, i)))
            end = i + 1;
    }
    if (rc || !trained)
        return rc;
    if (!end)
        return err_set(j->e, ERR_INPUT, "example_missing_assistant_message: none of the %zu messages is from the assistant, so there is no answer to learn", n);
    if (end < n) {
        json_cut(messages, end);
        import_note(j, "turns behind the last answer cut off");
    }
    return 0;
}

/* A text or a list of messages to a list of messages; `role` is who said a text. */
static int as_messages(ImportJob *j, const char *key, const char *role, bool trained, Json **out)
{
    Json *v = import_take(j->row, key);
    *out = NULL;
    if (v && json_kind(v) == JSON_STRING) {
        *out = json_arr_new();
        json_push(*out, import_message(role, json_str(v)));
        const bool nothing = !strcmp(role, "user") && record_blank(json_str(v));
        json_free(v);
        if (!nothing)
            return 0;
        json_free(*out);
        *out = NULL;
        return err_set(j->e, ERR_INPUT, "missing_content: \"%s\" is empty", key);
    }
    int rc = messages_ready(j, v, trained);
    if (rc) {
        json_free(v);
        return err_wrap(j->e, "\"%s\"", key);
    }
    *out = v;
    return 0;
}

static int from_messages(ImportJob *j)
{
    Json *messages = import_take(j->row, "messages");
    int   rc = messages_ready(j, messages, true);
    if (rc) {
        json_free(messages);
        return rc;
    }
    json_set(j->out->row, "messages", messages);
    move(j->out->row, "tools", j->row, "tools");
    j->out->kind = REC_CHAT;
    const Json *label = json_get(j->row, "label");
    if (label && json_kind(label) == JSON_BOOL) {
        move(j->out->row, "label", j->row, "label");
        j->out->kind = REC_LABEL;
    }
    return 0;
}

/* {"from": "human", "value": ".."} to {"role", "content"}; rows whose turns have role and content already pass. */
static int from_sharegpt(ImportJob *j)
{
    Json *turns = import_take(j->row, "conversations");
    for (size_t i = 0; json_kind(turns) == JSON_ARRAY && i < json_len(turns); i++) {
        Json *t = json_at(turns, i);
        if (json_kind(t) != JSON_OBJECT || !json_get(t, "from"))
            continue;
        move(t, "role", t, "from");
        move(t, "content", t, "value");
    }
    Json *system = import_take(j->row, "system");
    if (turns && json_kind(turns) == JSON_ARRAY && json_str(system).n) {
        Json *all = json_arr_new();
        json_push(all, import_message("system", json_str(system)));
        for (size_t i = 0; i < json_len(turns); i++)
            json_push(all, json_ref(json_at(turns, i)));
        json_free(turns);
        turns = all;
    }
    json_free(system);
    json_set(j->row, "messages", turns ? turns : json_null_new());
    return from_messages(j);
}

/* ---- questions with answers ---------------------------------------------------------------------------------------------------------------------- */

static int pair_ready(ImportJob *j, Json *prompt, Json *completion) /* two texts, stolen */
{
    const bool asks = !record_blank(json_str(prompt)), answers = !record_blank(json_str(completion));
    json_set(j->out->row, "prompt", prompt);
    json_set(j->out->row, "completion", completion);
    j->out->kind = REC_PAIR;
    return !answers ? err_set(j->e, ERR_INPUT, "missing_content: the answer is empty")
           : !asks  ? err_set(j->e, ERR_INPUT, "missing_content: the question is empty (texts without one are taken by --text)") : 0;
}

static int from_pair(ImportJob *j)
{
    int rc = need_text(j, "prompt");
    if (!rc)
        rc = need_text(j, "completion");
    if (!rc)
        rc = pair_ready(j, import_take(j->row, "prompt"), import_take(j->row, "completion"));
    return rc;
}

int import_chat(ImportJob *j, Json *messages)
{
    json_set(j->row, "messages", messages);
    return from_messages(j);
}

/* instruction, and input below it, ask; output answers; history holds earlier [question, answer] pairs. */
static int from_alpaca(ImportJob *j)
{
    int rc = need_text(j, "instruction");
    if (!rc)
        rc = need_text(j, "output");
    if (rc)
        return rc;
    Json  *messages = json_arr_new(), *history = json_get(j->row, "history");
    StrBuf ask = { 0 };
    Str    system = json_str(json_get(j->row, "system")), input = json_str(json_get(j->row, "input")), text = json_str(json_get(j->row, "instruction"));
    if (system.n)
        json_push(messages, import_message("system", system));
    for (size_t i = 0; i < json_len(history); i++) {
        json_push(messages, import_message("user", json_str(json_at(json_at(history, i), 0))));
        json_push(messages, import_message("assistant", json_str(json_at(json_at(history, i), 1))));
    }
    strbuf_addf(&ask, "%.*s%s%.*s", (int)text.n, text.p, input.n ? "\n\n" : "", (int)input.n, input.n ? input.p : "");
    json_push(messages, import_message("user", strbuf_str(&ask)));
    json_push(messages, import_message("assistant", json_str(json_get(j->row, "output"))));
    strbuf_release(&ask);
    static const char *const used[] = { "instruction", "input", "output", "system", "history" };
    for (size_t i = 0; i < ARRAY_LEN(used); i++)
        json_drop(j->row, used[i]);
    return import_chat(j, messages);
}

static int from_columns(ImportJob *j)
{
    for (size_t i = 0; i < ARRAY_LEN(column_pairs); i++) {
        const char *q = column_pairs[i].question, *a = column_pairs[i].answer, *c = column_pairs[i].context;
        if (!import_has(j->row, q) || !import_has(j->row, a))
            continue;
        int rc = need_text(j, q);
        if (!rc)
            rc = need_text(j, a);
        if (rc)
            return rc;
        Json *question = import_take(j->row, q), *answer = import_take(j->row, a);
        if (json_str(json_get(j->row, c)).n) {
            Json  *context = import_take(j->row, c);
            StrBuf ask = { 0 };
            strbuf_add(&ask, json_str(context).p, json_str(context).n);
            strbuf_addz(&ask, "\n\n");
            strbuf_add(&ask, json_str(question).p, json_str(question).n);
            json_free(question);
            json_free(context);
            question = json_str_new(strbuf_str(&ask));
            strbuf_release(&ask);
        }
        return pair_ready(j, question, answer);
    }
    BUG_ON(true); /* the table said that there are two such columns */
    return ERR_INPUT;
}

/* ---- preferences and labels ---------------------------------------------------------------------------------------------------------------------- */

static int preference_ready(ImportJob *j, const char *better, const char *worse)
{
    Json *chosen = NULL, *rejected = NULL;
    int   rc = as_messages(j, better, "assistant", true, &chosen);
    if (!rc)
        rc = as_messages(j, worse, "assistant", true, &rejected);
    if (rc) {
        json_free(chosen);
        return rc;
    }
    json_set(j->out->row, "chosen", chosen);
    json_set(j->out->row, "rejected", rejected);
    move(j->out->row, "tools", j->row, "tools");
    j->out->kind = REC_PREFERENCE;
    return 0;
}

static const char *question_key(const Json *row)
{
    static const char *const keys[] = { "messages", "prompt", "question", "instruction" };
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (import_has(row, keys[i]))
            return keys[i];
    return NULL;
}

/* Both answers hold the whole conversation when no prompt stands beside them: what they have in common is the prompt. */
static int split_common(ImportJob *j)
{
    Json  *chosen = json_get(j->out->row, "chosen"), *rejected = json_get(j->out->row, "rejected"), *prompt = json_arr_new();
    StrBuf a = { 0 }, b = { 0 };
    size_t n = 0;
    for (; n < json_len(chosen) && n < json_len(rejected); n++) {
        strbuf_clear(&a);
        strbuf_clear(&b);
        json_write(&a, json_at(chosen, n), false);
        json_write(&b, json_at(rejected, n), false);
        if (!str_eq(strbuf_str(&a), strbuf_str(&b)))
            break;
        json_push(prompt, json_ref(json_at(chosen, n)));
    }
    strbuf_release(&a);
    strbuf_release(&b);
    Json *tail[2] = { json_arr_new(), json_arr_new() };
    for (size_t i = n; i < json_len(chosen); i++)
        json_push(tail[0], json_ref(json_at(chosen, i)));
    for (size_t i = n; i < json_len(rejected); i++)
        json_push(tail[1], json_ref(json_at(rejected, i)));
    bool whole = n && json_len(tail[0]) && json_len(tail[1]);
    json_set(j->out->row, "messages", prompt);
    json_set(j->out->row, "chosen", tail[0]);
    json_set(j->out->row, "rejected", tail[1]);
    return whole ? 0 : err_set(j->e, ERR_INPUT, "missing_messages_list: \"chosen\" and \"rejected\" have %s", n ? "the same answer, so nothing is preferred" :
                                                 "no question before them; add \"prompt\", or begin both with the same turns");
}

static int from_preference(ImportJob *j)
{
    const char *key = question_key(j->row);
    Json       *messages = NULL;
    int         rc = key ? as_messages(j, key, "user", false, &messages) : 0;
    if (rc)
        return rc;
    json_set(j->out->row, "messages", messages ? messages : json_arr_new()); /* in front, even where split_common has still to fill it */
    rc = preference_ready(j, "chosen", "rejected");
    return rc || key ? rc : split_common(j);
}

/* OpenAI's file format for preferences. */
static int from_openai_preference(ImportJob *j)
{
    Json *input = json_get(j->row, "input"), *messages = import_take(input, "messages");
    int   rc = messages_ready(j, messages, false);
    if (rc) {
        json_free(messages);
        return rc;
    }
    json_set(j->out->row, "messages", messages);
    if (import_has(input, "tools"))
        move(j->out->row, "tools", input, "tools");
    json_drop(j->row, "input");
    return preference_ready(j, "preferred_output", "non_preferred_output");
}

static int from_label(ImportJob *j)
{
    Json *messages = NULL, *answer = NULL;
    int   rc = as_messages(j, "prompt", "user", false, &messages);
    if (!rc)
        rc = as_messages(j, "completion", "assistant", true, &answer);
    for (size_t i = 0; !rc && i < json_len(answer); i++)
        json_push(messages, json_ref(json_at(answer, i)));
    json_free(answer);
    if (rc) {
        json_free(messages);
        return rc;
    }
    return import_chat(j, messages);
}

/* ---- texts --------------------------------------------------------------------------------------------------------------------------------------- */

static int text_ready(ImportJob *j, Str text)
{
    if (record_blank(text))
        return err_set(j->e, ERR_INPUT, "missing_content: the text is empty");
    json_set(j->out->row, "text", json_str_new(text));
    j->out->kind = REC_TEXT;
    return 0;
}

static int from_text(ImportJob *j)
{
    for (size_t i = 0; i < ARRAY_LEN(text_columns); i++) {
        if (!import_has(j->row, text_columns[i]))
            continue;
        int rc = need_text(j, text_columns[i]);
        if (!rc)
            rc = text_ready(j, json_str(json_get(j->row, text_columns[i])));
        json_drop(j->row, text_columns[i]);
        return rc;
    }
    BUG_ON(true); /* the table said that there is such a column */
    return ERR_INPUT;
}

/* ---- the table ----------------------------------------------------------------------------------------------------------------------------------- */

static bool has_label(const Json *row) { return json_get(row, "label") && json_kind(json_get(row, "label")) == JSON_BOOL; }
static bool is_openai_preference(const Json *r) { return import_has(r, "preferred_output") && import_has(r, "non_preferred_output") && import_has(json_get(r, "input"), "messages"); }
static bool is_preference(const Json *r) { return import_has(r, "chosen") && import_has(r, "rejected"); }
static bool is_label(const Json *r) { return import_has(r, "prompt") && import_has(r, "completion") && has_label(r); }
static bool is_messages(const Json *r) { return import_has(r, "messages"); }
static bool is_sharegpt(const Json *r) { return import_has(r, "conversations"); }
static bool is_pair(const Json *r) { return import_has(r, "prompt") && import_has(r, "completion"); }
static bool is_alpaca(const Json *r) { return import_has(r, "instruction") && import_has(r, "output"); }

static bool is_columns(const Json *r)
{
    for (size_t i = 0; i < ARRAY_LEN(column_pairs); i++)
        if (import_has(r, column_pairs[i].question) && import_has(r, column_pairs[i].answer))
            return true;
    return false;
}

/* A row with an answer is no plain text: which column asks has to be said. */
static bool is_text(const Json *r)
{
    static const char *const answers[] = { "answer", "response", "reply", "completion", "output", "target", "solution" };
    for (size_t i = 0; i < ARRAY_LEN(answers); i++)
        if (import_has(r, answers[i]))
            return false;
    for (size_t i = 0; i < ARRAY_LEN(text_columns); i++)
        if (import_has(r, text_columns[i]))
            return true;
    return false;
}

static const struct { bool (*fits)(const Json *row); int (*read)(ImportJob *); } shapes[] = {
    { import_is_zendesk, import_zendesk },            { import_is_jira, import_jira },    { import_is_jira_csv, import_jira_csv },
    { is_openai_preference, from_openai_preference }, { is_preference, from_preference }, { is_label, from_label },
    { is_messages, from_messages },                   { is_sharegpt, from_sharegpt },     { is_pair, from_pair },
    { is_alpaca, from_alpaca },                       { is_columns, from_columns },       { is_text, from_text },
};

/* In a table lists and objects stand as their JSON. */
static void unpack(Json *row)
{
    static const char *const keys[] = { "messages", "conversations", "tools", "chosen", "rejected", "input", "preferred_output", "non_preferred_output", "history", "meta" };
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        Str   text = json_str(json_get(row, keys[i]));
        Json *value = NULL;
        if (text.n && (*text.p == '[' || *text.p == '{') && !json_parse(&value, text, keys[i], NULL))
            json_set(row, keys[i], value);
    }
}

#define NO_SHAPE "missing_messages_list: the row has none of the known shapes"

static int no_shape(ImportJob *j)
{
    StrBuf   list = { .max = 300 };
    JsonIter it = { 0 };
    Str      key, two[2] = { STR_LIT("question"), STR_LIT("answer") }; /* for the example: the row's own columns when it has just these */
    Json    *value;
    for (size_t n = 0; json_each(j->row, &it, &key, &value); n++) {
        strbuf_addf(&list, "%s%.*s", list.n ? ", " : "", (int)key.n, key.p);
        if (json_len(j->row) == 2 && key.n <= 60)
            two[n] = key;
    }
    err_set(j->e, ERR_INPUT, NO_SHAPE " (its columns: %s%s); say which column is what, as in "
                             "--prompt \"{%.*s}\" --completion \"{%.*s}\"", list.n ? strbuf_z(&list) : "none", list.over ? ", ..." : "", (int)two[0].n, two[0].p, (int)two[1].n, two[1].p);
    strbuf_release(&list);
    return ERR_INPUT;
}

static int from_mapping(ImportJob *j)
{
    const Import *im = j->im;
    StrBuf        system = { 0 }, a = { 0 }, b = { 0 };
    int           rc = im->system ? mapping_apply(im->system, j->row, &system, j->e) : 0;
    if (!rc)
        rc = mapping_apply(im->text ? im->text : im->prompt, j->row, &a, j->e);
    if (!rc && im->completion)
        rc = mapping_apply(im->completion, j->row, &b, j->e);
    if (!rc && im->text) {
        rc = text_ready(j, strbuf_str(&a));
    } else if (!rc && im->system) {
        Json *messages = json_arr_new();
        json_push(messages, import_message("system", strbuf_str(&system)));
        json_push(messages, import_message("user", strbuf_str(&a)));
        json_push(messages, import_message("assistant", strbuf_str(&b)));
        rc = messages_ready(j, messages, true);
        json_set(j->out->row, "messages", messages);
        j->out->kind = REC_CHAT;
    } else if (!rc) {
        rc = pair_ready(j, json_str_new(strbuf_str(&a)), json_str_new(strbuf_str(&b)));
    }
    strbuf_release(&system);
    strbuf_release(&a);
    strbuf_release(&b);
    return rc;
}

/* What is left of the foreign row, but the columns that became texts by a mapping. */
static void keep_meta(ImportJob *j, bool templates)
{
    const Import *im = j->im;
    Json         *meta = json_obj_new();
    JsonIter      it = { 0 };
    Str           key;
    Json         *value, *old = json_get(j->row, "meta");
    while (json_kind(old) == JSON_OBJECT && json_each(old, &it, &key, &value))
        json_set(meta, key.p, json_ref(value));
    it = (JsonIter){ 0 };
    while (json_each(j->row, &it, &key, &value))
        if (!(templates && (mapping_uses(im->prompt, key) || mapping_uses(im->completion, key) || mapping_uses(im->system, key) || mapping_uses(im->text, key))) &&
            !(value == old && json_kind(old) == JSON_OBJECT))
            json_set(meta, key.p, json_ref(value));
    if (json_len(meta))
        json_set(j->out->row, "meta", meta);
    else
        json_free(meta);
}

bool import_fits(const Import *im, const Json *row)
{
    return mapping_fits(im->system, row) && mapping_fits(im->prompt, row) && mapping_fits(im->completion, row) && mapping_fits(im->text, row);
}

void import_gaps(const Import *im, const Json *row, StrBuf *out)
{
    const Mapping *const all[] = { im->system, im->prompt, im->completion, im->text };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        mapping_gaps(all[i], row, out);
}

bool import_lacks(const char *why) { return str_starts(str_of(why), NO_SHAPE) || (str_starts(str_of(why), "--") && strstr(why, " asks for the column \"")); }

static int import_one(const Import *im, bool templates, Json *row, Record *out, StrBuf *note, Err *e)
{
    ImportJob j = { im, row, out, note, e };
    int rc = -1;
    out->row = json_obj_new();
    if (json_kind(row) != JSON_OBJECT) {
        rc = err_set(e, ERR_INPUT, "data_type: the row must be an object, found %s", json_kind_name(row));
    } else if (templates && (im->prompt || im->text)) {
        rc = from_mapping(&j);
    } else {
        unpack(row);
        size_t s = 0;
        while (s < ARRAY_LEN(shapes) && !shapes[s].fits(row))
            s++;
        rc = s < ARRAY_LEN(shapes) ? shapes[s].read(&j) : no_shape(&j);
    }
    if (!rc)
        keep_meta(&j, templates);
    else
        record_clear(out);
    json_free(row);
    return rc;
}

int import_row(const Import *im, Json *row, Record *out, StrBuf *note, Err *e) { return import_one(im, true, row, out, note, e); }

int import_known_row(const Import *im, Json *row, Record *out, StrBuf *note, Err *e) { return import_one(im, false, row, out, note, e); }

bool import_question(const Import *im, const Json *row, StrBuf *out)
{
    const size_t begin = out->n;
    if (im->prompt && mapping_fits(im->prompt, row) && !mapping_apply(im->prompt, row, out, NULL))
        return out->n > begin;
    static const char *const turns[] = { "messages", "conversations", "prompt" };
    for (size_t t = 0; t < ARRAY_LEN(turns) && out->n == begin; t++) {
        const Json *list = json_get(row, turns[t]);
        for (size_t i = 0; json_kind(list) == JSON_ARRAY && i < json_len(list); i++) {
            const Json *m = json_at(list, i);
            const char *role = role_for(im, json_str(json_get(m, json_get(m, "role") ? "role" : "from")));
            Str         text = json_str(json_get(m, json_get(m, "content") ? "content" : "value"));
            if (role && strcmp(role, "user") == 0 && text.n)
                strbuf_addf(out, "%s%.*s", out->n > begin ? "\n" : "", (int)text.n, text.p);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(column_pairs) && out->n == begin; i++) {
        Str text = json_str(json_get(row, column_pairs[i].question)), more = json_str(json_get(row, column_pairs[i].context));
        if (!text.n)
            continue;
        const bool alpaca = !strcmp(column_pairs[i].question, "instruction") && !more.n; /* there the input stands below */
        const Str  below = alpaca ? json_str(json_get(row, "input")) : (Str){ 0 };
        strbuf_addf(out, "%.*s%s", (int)more.n, more.n ? more.p : "", more.n ? "\n\n" : "");
        strbuf_add(out, text.p, text.n);
        strbuf_addf(out, "%s%.*s", below.n ? "\n\n" : "", (int)below.n, below.n ? below.p : "");
    }
    return out->n > begin;
}
