/* chat_template.c - conversations through the model's own template.
 *
 * Text: the template is given what transformers gives it: messages, tools, documents, add_generation_prompt, the special tokens and the row's
 * chat_template_kwargs; reasoning under its three names (reasoning_content, thinking, reasoning). Arguments of tool calls that are a text holding
 * a JSON object are offered as that object; a template that cannot use them so is tried once more with texts.
 *
 * Ids: the text is tokenised whole, without what the post-processor adds (templates write BOS themselves). A special token counts only where the
 * template or a special token variable wrote it: the same spelling in a message stays ordinary text, and the text is then encoded in the runs
 * between the real ones.
 *
 * Mask: {% generation %} blocks where the template has them. Otherwise, for each assistant message i: (1) the text of messages[:i] with a generation
 * prompt, where it is a prefix of the whole text, says where the answer begins; (2) where a template rewrites history it is not: then the answer
 * begins behind the first generation prompt between the bytes of earlier messages and the last byte of message i. In both cases the answer ends
 * with the first control token behind its last byte, and all bytes of the message must lie between. What no rule finds is an error.
 * A token that would join the end of the prompt and the beginning of an answer is cut there, so that the model sees at generation what it saw
 * in training. */
#include <stdlib.h>

#include "base/file.h"
#include "base/utf8.h"
#include "tokenizer/chat_template.h"
#include "tokenizer/tok_int.h"

static const char assistant[] = "assistant";
static const char *const reasoning[] = { "reasoning_content", "thinking", "reasoning" };
static const char *const specials[] = { "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token" };

/* --- opening --- */

static Str template_named(const Json *list, const char *name)
{
    for (size_t i = 0; json_kind(list) == JSON_ARRAY && i < json_len(list); i++)
        if (str_eqz(json_str(json_get(json_at(list, i), "name")), name))
            return json_str(json_get(json_at(list, i), "template"));
    if (json_kind(list) == JSON_OBJECT) /* {"default": "...", "tool_use": "..."} */
        return json_str(json_get(list, name));
    return (Str){ NULL, 0 };
}

static void compile(ChatTemplate *c, Jinja **to, Str source)
{
    if (!c->why.code)
        jinja_compile(to, source, c->where, &c->why);
}

int chat_template_open(ChatTemplate **out, const Json *config, const char *where, Err *e)
{
    const Json *given = config ? json_get(config, "chat_template") : NULL;
    Str plain = json_str(given), tools = { NULL, 0 };
    *out = NULL;
    if (!given || json_kind(given) == JSON_NULL)
        return 0;
    if (!plain.p) {
        plain = template_named(given, "default");
        tools = template_named(given, "tool_use");
    }
    if (!plain.p)
        return err_set(e, ERR_INPUT, "%s: \"chat_template\" should be a text, or a list of {\"name\", \"template\"} with one called \"default\"; it is %s", where,
                       json_kind_name(given));
    ChatTemplate *c = mem_zalloc(1, sizeof *c);
    StrBuf name = { 0 };
    /* `where` may be tokenizer.json: the template stands in some file of that folder, but not in this one. */
    const bool beside = str_ends(str_of(where), "/tokenizer.json");
    strbuf_addf(&name, "%.*s, chat template", (int)(strlen(where) - (beside ? strlen("/tokenizer.json") : 0)), where);
    c->where = strbuf_take(&name);
    c->terminator = -1;
    c->special = json_obj_new();
    for (size_t i = 0; i < ARRAY_LEN(specials); i++) {
        const Json *v = json_get(config, specials[i]);
        Str s = json_str(json_kind(v) == JSON_OBJECT ? json_get(v, "content") : v);
        if (s.p)
            json_set(c->special, specials[i], json_str_new(s));
    }
    compile(c, &c->plain, plain);
    if (tools.p)
        compile(c, &c->tools, tools);
    Sha256 h;
    sha256_init(&h);
    sha256_add(&h, plain.p, plain.n);
    sha256_add(&h, tools.p ? tools.p : "", tools.n);
    sha256_hex(&h, c->hash);
    *out = c;
    return 0;
}

void chat_template_names(const Tok *t, ChatTemplate *c)
{
    const struct { const char *name; int32_t id; } own[] = { { "bos_token", tok_bos(t) }, { "eos_token", tok_eos(t) }, { "pad_token", tok_pad(t) } };
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        if (own[i].id >= 0)
            json_set(c->special, own[i].name, json_str_new(tok_text(t, own[i].id)));
}

void chat_template_free(ChatTemplate *c)
{
    if (!c)
        return;
    jinja_free(c->plain);
    jinja_free(c->tools);
    json_free(c->special);
    free(c->where);
    free(c);
}

int chat_template_files(Json **config, const char *model_dir, Err *e)
{
    char *text_path = path_join(model_dir, "chat_template.jinja"), *json_path = path_join(model_dir, "chat_template.json"), *text = NULL;
    Json *file = NULL, *found = NULL;
    size_t n = 0;
    int rc = 0;
    if (file_exists(text_path)) {
        rc = file_read_text(text_path, &text, &n, e);
        if (!rc)
            found = json_str_new((Str){ text, n });
    } else if (file_exists(json_path)) {
        rc = json_read_file(&file, json_path, e);
        if (!rc && json_get(file, "chat_template"))
            found = json_ref(json_get(file, "chat_template"));
    }
    if (found && !*config)
        *config = json_obj_new();
    if (found)
        json_set(*config, "chat_template", found);
    json_free(file);
    free(text);
    free(text_path);
    free(json_path);
    return rc;
}

int chat_template_folder_hash(char hash[SHA256_HEX], const char *dir, Err *e)
{
    char         *path = path_join(dir, "tokenizer_config.json");
    Json         *config = NULL;
    ChatTemplate *c = NULL;
    hash[0] = '\0';
    int rc = file_exists(path) ? json_read_file(&config, path, e) : 0;
    rc = rc ? rc : chat_template_files(&config, dir, e);
    rc = rc ? rc : chat_template_open(&c, config, dir, e);
    if (!rc && c)
        memcpy(hash, c->hash, SHA256_HEX);
    chat_template_free(c);
    json_free(config);
    free(path);
    return rc;
}

/* --- what the template is given --- */

typedef enum { ARGUMENTS_OBJECTS, ARGUMENTS_TEXTS } Arguments;

static Json *copy_object(const Json *from)
{
    Json *to = json_obj_new(), *v;
    JsonIter it = { 0 };
    Str key;
    while (json_each(from, &it, &key, &v)) {
        char *name = mem_strndup(key.p, key.n);
        json_set(to, name, json_ref(v));
        free(name);
    }
    return to;
}

static void offer_arguments(Json *holder, Arguments how, bool *converted)
{
    Json *v = json_get(holder, "arguments"), *parsed = NULL;
    Str s = json_str(v);
    Err e;
    if (how == ARGUMENTS_OBJECTS && s.p && json_parse(&parsed, s, "arguments", &e) == 0 && json_kind(parsed) == JSON_OBJECT) {
        json_set(holder, "arguments", json_ref(parsed));
        *converted = true;
    } else if (how == ARGUMENTS_TEXTS && json_kind(v) == JSON_OBJECT) {
        StrBuf b = { 0 };
        json_write(&b, v, false);
        json_set(holder, "arguments", json_str_new(strbuf_str(&b)));
        strbuf_release(&b);
    }
    json_free(parsed);
}

static int copy_calls(Json *m, Arguments how, bool *converted, const char *where, Err *e)
{
    Json *calls = json_get(m, "tool_calls"), *copy;
    if (!calls || json_kind(calls) == JSON_NULL)
        return 0;
    if (json_kind(calls) != JSON_ARRAY)
        return err_set(e, ERR_INPUT, "%s: \"tool_calls\" should be a list of calls, it is %s", where, json_kind_name(calls));
    copy = json_arr_new();
    for (size_t i = 0; i < json_len(calls); i++) {
        Json *call = json_at(calls, i);
        if (json_kind(call) != JSON_OBJECT) {
            json_free(copy);
            return err_set(e, ERR_INPUT, "%s: tool_calls[%zu] should be an object like {\"type\": \"function\", \"function\": {\"name\", \"arguments\"}}, it is %s",
                           where, i, json_kind_name(call));
        }
        call = copy_object(call);
        Json *function = json_get(call, "function"), *own = json_kind(function) == JSON_OBJECT ? copy_object(function) : NULL;
        if (own) {
            offer_arguments(own, how, converted);
            json_set(call, "function", own);
        } else {
            offer_arguments(call, how, converted);
        }
        json_push(copy, call);
    }
    json_set(m, "tool_calls", copy);
    return 0;
}

/* A message as the template sees it. */
static int message_copy(Json **out, const Json *m, Arguments how, bool *converted, const char *where, Err *e)
{
    Json *copy = json_obj_new(), *thought = NULL, *v;
    JsonIter it = { 0 };
    Str key, role = { 0 };
    int64_t weight = 1;
    *out = copy;
    if (json_kind(m) != JSON_OBJECT)
        return err_set(e, ERR_INPUT, "%s: expected an object with role and content, found %s", where, json_kind_name(m));
    int rc = json_need_str(m, "role", &role, where, e);
    if (!rc)
        rc = chat_weight(m, role, &weight, where, e);
    for (size_t i = 0; i < ARRAY_LEN(reasoning) && !thought; i++)
        if ((v = json_get(m, reasoning[i])) && json_kind(v) != JSON_NULL)
            thought = v;
    if (thought)
        json_set(copy, "thinking", json_ref(thought));
    while (!rc && json_each(m, &it, &key, &v)) {
        if (str_eqz(key, "weight"))
            continue;
        char *name = mem_strndup(key.p, key.n);
        json_set(copy, name, json_ref(v));
        free(name);
    }
    if (thought)
        json_set(copy, "reasoning_content", json_ref(thought));
    return rc ? rc : copy_calls(copy, how, converted, where, e);
}

/* messages[:n] and the rest of what transformers passes */
static int variables(Json **out, const Json *messages, size_t n, const ChatExtra *x, bool prompt, Arguments how, bool *converted, const char *where, Err *e)
{
    Json *vars = x->kwargs && json_kind(x->kwargs) == JSON_OBJECT ? copy_object(x->kwargs) : json_obj_new(), *list = json_arr_new();
    StrBuf place = { 0 };
    int rc = 0;
    for (size_t i = 0; !rc && i < n; i++) {
        Json *m = NULL;
        strbuf_clear(&place);
        strbuf_addf(&place, "%s, messages[%zu]", where, i);
        rc = message_copy(&m, json_at(messages, i), how, converted, strbuf_z(&place), e);
        json_push(list, m);
    }
    json_set(vars, "messages", list);
    json_set(vars, "tools", x->tools ? json_ref(x->tools) : json_null_new());
    json_set(vars, "documents", x->documents ? json_ref(x->documents) : json_null_new());
    json_set(vars, "add_generation_prompt", json_bool_new(prompt));
    strbuf_release(&place);
    *out = vars;
    return rc;
}

typedef struct Chat {
    const Tok          *t;
    const ChatTemplate *c;
    const Json         *messages;
    ChatExtra           x;
    Arguments           how;
    const char         *where;
} Chat;

static const Jinja *template_of(const Chat *c)
{
    return c->c->tools && c->x.tools ? c->c->tools : c->c->plain;
}

static int render(Chat *c, size_t n, bool prompt, JinjaOut *out, bool *converted, Err *e)
{
    Json *vars = NULL;
    int rc = variables(&vars, c->messages, n, &c->x, prompt, c->how, converted, c->where, e);
    if (!rc) {
        rc = jinja_render(template_of(c), vars, c->c->special, NULL, out, e);
        if (rc)
            err_wrap(e, "%s", c->where);
    }
    json_free(vars);
    return rc;
}

/* --- ids --- */

/* Does a special token found at this span stand in the template's own text? Only the bytes that spell it count, not white space it swallows. */
static bool is_ours(const Tok *t, const JinjaOut *text, int32_t id, TokSpan s)
{
    Str name = tok_text(t, id);
    const char *p = text->text.p + s.begin, *at = name.n ? memmem(p, s.end - s.begin, name.p, name.n) : NULL;
    size_t begin = at ? (size_t)(at - text->text.p) : s.begin, end = at ? begin + name.n : s.end;
    for (size_t i = begin; i < end; i++)
        if (text->marks.p[i])
            return false;
    return true;
}

static int encode_run(const Tok *t, const JinjaOut *text, size_t from, size_t to, unsigned flags, TokIds *ids, TokSpans *spans, Err *e)
{
    size_t n = spans->n;
    int rc = from < to ? tok_encode_spans(t, (Str){ text->text.p + from, to - from }, flags, ids, spans, e) : 0;
    for (size_t i = n; i < spans->n; i++) {
        spans->p[i].begin += (uint32_t)from;
        spans->p[i].end += (uint32_t)from;
    }
    return rc;
}

/* The stretch [from, to): whole, or in runs between the real special tokens when a message holds the spelling of one. */
static int encode_stretch(const Tok *t, const JinjaOut *text, size_t from, size_t to, TokIds *ids, TokSpans *spans, Err *e)
{
    TokIds all = { 0 };
    TokSpans at = { 0 };
    bool foreign = false;
    int rc = encode_run(t, text, from, to, 0, &all, &at, e);
    for (size_t i = 0; i < all.n && !rc; i++)
        foreign = foreign || (tok_is_special(t, all.p[i]) && !is_ours(t, text, all.p[i], at.p[i]));
    if (!foreign) {
        for (size_t i = 0; i < all.n && !rc; i++) {
            *vec_push(ids) = all.p[i];
            *vec_push(spans) = at.p[i];
        }
    } else {
        size_t begin = from;
        for (size_t i = 0; i < all.n && !rc; i++) {
            if (!tok_is_special(t, all.p[i]) || !is_ours(t, text, all.p[i], at.p[i]))
                continue;
            rc = encode_run(t, text, begin, at.p[i].begin, TOK_PLAIN, ids, spans, e);
            *vec_push(ids) = all.p[i];
            *vec_push(spans) = at.p[i];
            begin = at.p[i].end;
        }
        if (!rc)
            rc = encode_run(t, text, begin, to, TOK_PLAIN, ids, spans, e);
    }
    vec_release(&all);
    vec_release(&at);
    return rc;
}

/* --- the mask --- */

typedef struct Answer { size_t message, begin, end; bool trained; } Answer; /* bytes */
typedef VEC(Answer) Answers;

static bool marked(const JinjaOut *o, size_t i, size_t message)
{
    return o->marks.p[i] == (uint32_t)message + 1;
}

static int no_span(const Chat *c, size_t message, const char *why, Err *e)
{
    return err_set(e, ERR_INPUT, "%s, messages[%zu]: what the assistant says cannot be told apart in the text of %s: %s; use a template with {%% generation %%} blocks, "
                   "or set \"weight\": 0 so that the answer is not trained", c->where, message, c->c->where, why);
}

static bool is_control(const Tok *t, int32_t id)
{
    return tok_is_special(t, id) || id == tok_eos(t);
}

/* Where the answer of message i begins: behind what a generation prompt would say. */
static int answer_begin(Chat *c, size_t i, const JinjaOut *full, size_t *begin, Err *e)
{
    JinjaOut with = { 0 }, without = { 0 };
    bool converted = false;
    size_t n = full->text.n, lo = 0, hi = 0;
    int rc = render(c, i, true, &with, &converted, e);
    if (rc)
        goto done;
    if (with.text.n && with.text.n <= n && !memcmp(with.text.p, full->text.p, with.text.n)) {
        *begin = with.text.n;
        goto done;
    }
    if (i) /* an empty conversation is refused by most templates */
        rc = render(c, i, false, &without, &converted, e);
    if (rc)
        goto done;
    if (without.text.n >= with.text.n || memcmp(with.text.p, strbuf_z(&without.text), without.text.n) != 0) {
        rc = no_span(c, i, "the template has no generation prompt", e);
        goto done;
    }
    for (size_t k = 0; k < n; k++) {
        uint32_t m = full->marks.p[k];
        if (m && m <= i)
            lo = k + 1;
        if (marked(full, k, i))
            hi = k + 1;
    }
    const char *head = with.text.p + without.text.n;
    size_t n_head = with.text.n - without.text.n;
    const char *at = hi > lo ? memmem(full->text.p + lo, n - lo, head, n_head) : NULL;
    if (!at || (size_t)(at - full->text.p) + n_head > hi)
        rc = no_span(c, i, "its generation prompt does not stand before the answer", e);
    else
        *begin = (size_t)(at - full->text.p) + n_head;
done:
    jinja_out_release(&with);
    jinja_out_release(&without);
    return rc;
}

static bool is_answer(const Json *m, bool *trained)
{
    const Json *w = json_get(m, "weight");
    *trained = !w || json_kind(w) == JSON_NULL || json_int(w) != 0;
    return str_eqz(json_str(json_get(m, "role")), assistant);
}

/* From {% generation %}: a block belongs to the message whose bytes it holds. */
static int answers_marked(Chat *c, const JinjaOut *full, Answers *to, Err *e)
{
    for (size_t s = 0; s < full->generation.n; s++) {
        JinjaSpan span = full->generation.p[s];
        Answer a = { .message = SIZE_MAX, .begin = span.begin, .end = span.end };
        for (size_t k = span.begin; k < span.end && a.message == SIZE_MAX; k++)
            if (full->marks.p[k] && full->marks.p[k] != JINJA_DATA)
                a.message = full->marks.p[k] - 1;
        if (a.message == SIZE_MAX)
            continue; /* an empty answer */
        is_answer(json_at(c->messages, a.message), &a.trained);
        *vec_push(to) = a;
    }
    for (size_t i = 0; i < json_len(c->messages); i++) {
        bool trained, found = false;
        if (!is_answer(json_at(c->messages, i), &trained) || !trained)
            continue;
        for (size_t k = 0; k < to->n; k++)
            found = found || to->p[k].message == i;
        if (!found)
            return no_span(c, i, "no {% generation %} block holds it", e);
    }
    return 0;
}

static int answers_found(Chat *c, const JinjaOut *full, const TokIds *ids, const TokSpans *spans, Answers *to, Err *e)
{
    size_t n = json_len(c->messages);
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++) {
        Answer a = { .message = i };
        size_t last = 0;
        if (!is_answer(json_at(c->messages, i), &a.trained) || !a.trained)
            continue;
        rc = answer_begin(c, i, full, &a.begin, e);
        if (rc)
            break;
        last = a.begin;
        for (size_t k = a.begin; k < full->text.n; k++)
            if (marked(full, k, i))
                last = k + 1;
        for (size_t k = a.begin; k < last; k++)
            if (full->marks.p[k] && full->marks.p[k] != JINJA_DATA && !marked(full, k, i))
                return no_span(c, i, "other messages stand between its parts", e);
        for (size_t k = 0; k < ids->n && !a.end; k++)
            if (spans->p[k].begin >= last && spans->p[k].end > last && is_control(c->t, ids->p[k]))
                a.end = spans->p[k].end;
        for (size_t k = last; k < a.end; k++)
            if (full->marks.p[k] && !marked(full, k, i))
                a.end = 0;
        if (!a.end)
            return no_span(c, i, "no control token ends it", e);
        *vec_push(to) = a;
    }
    return rc;
}

static int encode_all(const Tok *t, const JinjaOut *text, const Answers *cuts, TokIds *ids, TokSpans *spans, Err *e)
{
    size_t from = 0;
    int rc = 0;
    for (size_t i = 0; i < cuts->n && !rc; i++) {
        if (cuts->p[i].begin <= from)
            continue;
        rc = encode_stretch(t, text, from, cuts->p[i].begin, ids, spans, e);
        from = cuts->p[i].begin;
    }
    return rc ? rc : encode_stretch(t, text, from, text->text.n, ids, spans, e);
}

int chat_template_render(const Tok *t, const ChatTemplate *template, const Json *messages, const ChatExtra *x, bool generation_prompt, const char *where,
                         ChatOut *out, Err *e)
{
    Chat c = { t, template, messages, x ? *x : (ChatExtra){ 0 }, ARGUMENTS_OBJECTS, where };
    JinjaOut full = { 0 };
    TokIds ids = { 0 };
    TokSpans spans = { 0 };
    Answers answers = { 0 }, cuts = { 0 };
    bool converted = false;
    if (template->why.code)
        return err_set(e, ERR_INPUT, "%s: the conversation needs the model's chat template, which cannot be used: %s", where, template->why.text);
    int rc = render(&c, json_len(messages), generation_prompt, &full, &converted, e);
    if (rc) { /* perhaps the template wants arguments as texts */
        Err second;
        bool was = converted;
        c.how = ARGUMENTS_TEXTS;
        if (was && !render(&c, json_len(messages), generation_prompt, &full, &converted, &second))
            rc = 0;
    }
    if (rc)
        goto done;
    rc = encode_all(t, &full, &cuts, &ids, &spans, e);
    if (!rc)
        rc = jinja_marks_answers(template_of(&c)) ? answers_marked(&c, &full, &answers, e) : answers_found(&c, &full, &ids, &spans, &answers, e);
    if (rc)
        goto done;
    for (size_t i = 0; i < answers.n; i++) /* tokens across the beginning of an answer */
        for (size_t k = 0; k < ids.n; k++)
            if (spans.p[k].begin < answers.p[i].begin && spans.p[k].end > answers.p[i].begin) {
                *vec_push(&cuts) = answers.p[i];
                break;
            }
    if (cuts.n) {
        vec_clear(&ids);
        vec_clear(&spans);
        rc = encode_all(t, &full, &cuts, &ids, &spans, e);
    }
    if (!rc && ids.n > 1 && tok_bos(t) >= 0 && ids.p[0] == tok_bos(t) && ids.p[1] == tok_bos(t))
        rc = err_set(e, ERR_INPUT, "%s: the text of %s begins with two %.*s tokens; remove one from the template or from the messages", where, template->where,
                     (int)tok_text(t, tok_bos(t)).n, tok_text(t, tok_bos(t)).p);
    for (size_t k = 0; k < ids.n && !rc; k++) {
        bool trained = false;
        for (size_t i = 0; i < answers.n; i++)
            trained = trained || (answers.p[i].trained && spans.p[k].begin >= answers.p[i].begin && spans.p[k].end <= answers.p[i].end);
        chat_out_add(out, ids.p[k], trained);
    }
    strbuf_add(&out->text, strbuf_z(&full.text), full.text.n);
done:
    jinja_out_release(&full);
    vec_release(&ids);
    vec_release(&spans);
    vec_release(&answers);
    vec_release(&cuts);
    return rc;
}

/* --- the terminator --- */

void chat_template_finish(const Tok *t, ChatTemplate *c)
{
    static const char sample[] = "[{\"role\":\"user\",\"content\":\"Q\"},{\"role\":\"assistant\",\"content\":\"A\"}]";
    Json *messages = NULL;
    ChatOut out = { 0 };
    Err e = { 0 };
    BUG_ON(json_parse(&messages, str_of(sample), "sample", &e));
    if (chat_template_render(t, c, messages, NULL, false, "a sample conversation", &out, &c->terminator_why) == 0) {
        for (size_t i = 0; i < out.ids.n; i++)
            if (out.mask.p[i])
                c->terminator = out.ids.p[i];
        if (c->terminator >= 0 && !is_control(t, c->terminator))
            c->terminator = -1;
        if (c->terminator < 0)
            err_set(&c->terminator_why, ERR_INPUT, "%s: in a sample conversation the trained part does not end with a control token, so the model would not learn to stop",
                    c->where);
    }
    json_free(messages);
    chat_out_release(&out);
}
