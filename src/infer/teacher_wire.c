/* teacher_wire.c - chat completions as bytes: the request, the answer in a reply, and what servers say when they refuse. */
#include "infer/teacher_int.h"

#include "base/utf8.h"

const char *const wire_field[WIRE_FIELDS] = { "max_tokens", "temperature", "seed" };
static const char max_tokens_new[] = "max_completion_tokens"; /* what newer models of OpenAI call the first */

void wire_request(StrBuf *out, const char *model, const Json *messages, const TeacherWork *w, unsigned left_out)
{
    strbuf_addz(out, "{\"model\":");
    json_write_string(out, str_of(model));
    strbuf_addz(out, ",\"messages\":");
    json_write(out, messages, false);
    strbuf_addf(out, ",\"%s\":%lld", left_out & 1u << WIRE_MAX_TOKENS ? max_tokens_new : wire_field[WIRE_MAX_TOKENS], (long long)w->max_tokens);
    if (!(left_out & 1u << WIRE_TEMPERATURE)) {
        strbuf_addz(out, ",\"temperature\":");
        strbuf_add_real(out, w->temperature);
    }
    if (!(left_out & 1u << WIRE_SEED))
        strbuf_addf(out, ",\"seed\":%llu", (unsigned long long)w->seed);
    strbuf_addz(out, ",\"stream\":false}");
}

int wire_answer(Str body, StrBuf *text, AnswerEnd *end, Err *e)
{
    Json *j = NULL;
    int   rc = json_parse(&j, body, "the reply", e);
    if (rc)
        return err_set(e, ERR_INPUT, "the reply is no JSON");
    const Json *choice = json_at(json_get(j, "choices"), 0), *message = json_get(choice, "message"), *content = json_get(message, "content");
    const Str   finish = json_str(json_get(choice, "finish_reason"));
    if (json_kind(message) != JSON_OBJECT || (content && json_kind(content) != JSON_STRING && json_kind(content) != JSON_NULL)) {
        rc = err_set(e, ERR_INPUT, "the reply has no text at choices[0].message.content");
    } else {
        const Str said = json_str(content), refusal = json_str(json_get(message, "refusal"));
        *end = refusal.n && !said.n ? ANSWER_REFUSED : str_eqz(finish, "length") ? ANSWER_CUT : ANSWER_WHOLE;
        strbuf_add(text, *end == ANSWER_REFUSED ? refusal.p : said.p ? said.p : "", *end == ANSWER_REFUSED ? refusal.n : said.n);
    }
    json_free(j);
    return rc;
}

/* The sentence in a body of an error; borrowed from j or from the body. */
static Str sentence_of(const Json *j, Str body)
{
    static const char *const keys[] = { "message", "detail", "error" };
    const Json *error = json_get(j, "error");
    if (error && json_kind(error) == JSON_OBJECT)
        j = error;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (json_str(json_get(j, keys[i])).n)
            return json_str(json_get(j, keys[i]));
    return body;
}

void wire_says(Str body, StrBuf *out)
{
    Json  *j = NULL;
    StrBuf line = { 0 }, clean = { 0 };
    if (json_parse(&j, body, "the reply", NULL))
        j = NULL;
    const Str s = sentence_of(j, body);
    const Str head = { s.p, MIN(s.n, (size_t)4 * WIRE_SAYS) };
    for (size_t i = 0; i < head.n; i++) {
        const char c = head.p[i] == '\n' || head.p[i] == '\t' || head.p[i] == '\r' ? ' ' : head.p[i];
        if (c != ' ' || (line.n && line.p[line.n - 1] != ' '))
            strbuf_addc(&line, c);
    }
    utf8_visible(&clean, (Str){ line.p, line.p ? utf8_complete(line.p, line.n) : 0 });
    const bool cut = clean.n > WIRE_SAYS || head.n < s.n;
    strbuf_add(out, strbuf_z(&clean), utf8_complete(strbuf_z(&clean), MIN(clean.n, (size_t)WIRE_SAYS)));
    if (cut)
        strbuf_addz(out, "...");
    strbuf_release(&line);
    strbuf_release(&clean);
    json_free(j);
}

/* Whether the text has the word in quotes, as servers name fields; bare words may stand in a passage that is quoted. */
static bool names(Str text, const char *word)
{
    static const char quotes[] = "'`\"";
    const size_t n = strlen(word);
    for (const char *p = text.p; text.n && (p = memmem(p, text.n - (size_t)(p - text.p), word, n)); p++)
        if (p > text.p && p + n < text.p + text.n && strchr(quotes, p[-1]) && p[n] == p[-1] && p[n])
            return true;
    return false;
}

int wire_unknown_field(Str body)
{
    Json *j = NULL;
    int   found = -1;
    if (json_parse(&j, body, "the reply", NULL))
        return -1;
    const Str s = sentence_of(j, body), param = json_str(json_get(json_get(j, "error"), "param"));
    for (int i = 0; i < WIRE_FIELDS && found < 0; i++)
        if (str_eqz(param, wire_field[i]) || names(s, wire_field[i]))
            found = i;
    json_free(j);
    return found;
}
