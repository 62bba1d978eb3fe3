/* record.c - see record.h. */
#include "prep/record.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "base/vec.h"

static const char *const kind_names[REC_KINDS] = { "messages", "prompt and completion", "text", "preference pair", "labelled answer" };
static const char *const role_names[TEXT_ROLES] = { "system", "user", "assistant", "tool", "text", "meta" };

const char *record_kind_name(RecordKind k)
{
    BUG_ON((size_t)k >= REC_KINDS);
    return kind_names[k];
}

const char *text_role_name(TextRole r)
{
    BUG_ON((size_t)r >= TEXT_ROLES);
    return role_names[r];
}

bool record_blank(Str s)
{
    uint32_t cp = ' ';
    for (size_t i = 0; i < s.n && utf8_is_space(cp);) {
        const int n = utf8_decode(s.p + i, s.n - i, &cp);
        if (n < 1)
            return false;
        i += (size_t)n;
    }
    return utf8_is_space(cp);
}

void record_clear(Record *r)
{
    json_free(r->row);
    *r = (Record){ 0 };
}

int record_kind_of(const Json *row)
{
    if (json_get(row, "chosen") && json_get(row, "rejected"))
        return REC_PREFERENCE;
    if (json_get(row, "messages"))
        return json_get(row, "label") ? REC_LABEL : REC_CHAT;
    if (json_get(row, "prompt") && json_get(row, "completion"))
        return REC_PAIR;
    return json_get(row, "text") ? REC_TEXT : -1;
}

/* ---- walking over texts -------------------------------------------------------------------------------------------------------------------------- */

typedef struct Walk {
    RecordTextFn fn;
    void        *user;
    StrBuf       out;
    int          replaced;
} Walk;

static void walk_key(Walk *w, Json *holder, const char *key, TextRole role)
{
    const Json *v = json_get(holder, key);
    if (!v || json_kind(v) != JSON_STRING)
        return;
    strbuf_clear(&w->out);
    if (!w->fn(w->user, role, json_str(v), &w->out))
        return;
    json_set(holder, key, json_str_new(strbuf_str(&w->out)));
    w->replaced++;
}

static TextRole role_of(const Json *message)
{
    Str role = json_str(json_get(message, "role"));
    for (int i = 0; i < TEXT_PLAIN; i++)
        if (str_eqz(role, role_names[i]))
            return (TextRole)i;
    BUG_ON(true); /* a canonical row has only the roles of record.h */
    return TEXT_USER;
}

/* Every string below a value, however deep (json_parse bounds the depth). */
static void walk_below(Walk *w, Json *value, TextRole role)
{
    VEC(char *) keys = { 0 };
    JsonIter it = { 0 };
    Str      key;
    Json    *child;
    while (json_kind(value) == JSON_OBJECT && json_each(value, &it, &key, &child))
        *vec_push(&keys) = mem_strndup(key.p, key.n); /* replacing a value would disturb the walk */
    for (size_t i = 0; i < keys.n; i++) {
        walk_key(w, value, keys.p[i], role);
        walk_below(w, json_get(value, keys.p[i]), role);
        free(keys.p[i]);
    }
    for (size_t i = 0; json_kind(value) == JSON_ARRAY && i < json_len(value); i++)
        walk_below(w, json_at(value, i), role);
    vec_release(&keys);
}

/* What a tool is called with is data as well: names, numbers and addresses stand in it. */
static void walk_calls(Walk *w, Json *message)
{
    Json *calls = json_get(message, "tool_calls");
    for (size_t i = 0; i < json_len(calls); i++) {
        Json *function = json_get(json_at(calls, i), "function");
        walk_key(w, function, "arguments", TEXT_ANSWER);
        walk_below(w, json_get(function, "arguments"), TEXT_ANSWER);
    }
}

static void walk_messages(Walk *w, Json *row, const char *key)
{
    Json *messages = json_get(row, key);
    for (size_t i = 0; i < json_len(messages); i++) {
        Json *m = json_at(messages, i);
        walk_key(w, m, "content", role_of(m));
        walk_calls(w, m);
    }
}

int record_each_text(Record *r, RecordTextFn fn, void *user)
{
    Walk w = { .fn = fn, .user = user };
    walk_key(&w, r->row, "prompt", TEXT_USER);
    walk_key(&w, r->row, "completion", TEXT_ANSWER);
    walk_key(&w, r->row, "text", TEXT_PLAIN);
    walk_messages(&w, r->row, "messages");
    walk_messages(&w, r->row, "chosen");
    walk_messages(&w, r->row, "rejected");
    walk_below(&w, json_get(r->row, "meta"), TEXT_META);
    strbuf_release(&w.out);
    return w.replaced;
}

/* ---- walking over names -------------------------------------------------------------------------------------------------------------------------- */

static bool is_word(Str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] | 32) >= 'a' && (s.p[i] | 32) <= 'z') && s.p[i] != '_' && !(s.p[i] >= '0' && s.p[i] <= '9' && i && s.n < 8) && (unsigned char)s.p[i] < 0x80)
            return false;
    return true;
}

typedef struct Named { char *key; Json *value; } Named; /* both owned */

static void set_apart(Json *object, const char *key, Json *value)
{
    StrBuf name = { 0 };
    strbuf_addz(&name, key);
    for (int n = 2; json_get(object, strbuf_z(&name)); n++) {
        strbuf_clear(&name);
        strbuf_addf(&name, "%s %d", key, n);
    }
    json_set(object, strbuf_z(&name), value);
    strbuf_release(&name);
}

static void names_below(Walk *w, Json *value)
{
    VEC(Named) all = { 0 };
    JsonIter it = { 0 };
    Str      key;
    Json    *child;
    bool     any = false;
    for (size_t i = 0; json_kind(value) == JSON_ARRAY && i < json_len(value); i++)
        names_below(w, json_at(value, i));
    while (json_kind(value) == JSON_OBJECT && json_each(value, &it, &key, &child))
        *vec_push(&all) = (Named){ mem_strndup(key.p, key.n), json_ref(child) };
    for (size_t i = 0; i < all.n; i++) {
        names_below(w, all.p[i].value);
        strbuf_clear(&w->out);
        if (is_word(str_of(all.p[i].key)) || !w->fn(w->user, TEXT_META, str_of(all.p[i].key), &w->out))
            continue;
        json_drop(value, all.p[i].key);
        free(all.p[i].key);
        all.p[i].key = mem_strndup(w->out.p, w->out.n);
        any = true;
        w->replaced++;
    }
    for (size_t i = 0; i < all.n && any; i++) /* all anew, so that the order stays */
        json_drop(value, all.p[i].key);
    for (size_t i = 0; i < all.n; i++) {
        if (any)
            set_apart(value, all.p[i].key, all.p[i].value);
        else
            json_free(all.p[i].value);
        free(all.p[i].key);
    }
    vec_release(&all);
}

int record_each_key(Record *r, RecordTextFn fn, void *user)
{
    Walk w = { .fn = fn, .user = user };
    names_below(&w, json_get(r->row, "meta"));
    strbuf_release(&w.out);
    return w.replaced;
}

/* ---- parts of a row ------------------------------------------------------------------------------------------------------------------------------ */

static void add_text(StrBuf *out, const Json *j)
{
    Str s = json_str(j);
    if (!s.n)
        return;
    if (out->n)
        strbuf_addc(out, '\n');
    strbuf_add(out, s.p, s.n);
}

static void add_message(StrBuf *out, const Json *m)
{
    add_text(out, json_get(m, "content"));
    const Json *calls = json_get(m, "tool_calls");
    for (size_t i = 0; i < json_len(calls); i++) {
        add_text(out, json_get(json_get(json_at(calls, i), "function"), "name"));
        add_text(out, json_get(json_get(json_at(calls, i), "function"), "arguments"));
    }
}

static void add_messages(StrBuf *out, const Json *messages, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        add_message(out, json_at(messages, i));
}

static size_t last_answer(const Json *messages) /* its index; the number of messages when there is none */
{
    size_t n = json_len(messages);
    for (size_t i = n; i-- > 0;)
        if (str_eqz(json_str(json_get(json_at(messages, i), "role")), "assistant"))
            return i;
    return n;
}

void record_question(const Record *r, StrBuf *out)
{
    const Json *messages = json_get(r->row, "messages");
    add_text(out, json_get(r->row, "prompt"));
    add_messages(out, messages, 0, r->kind == REC_PREFERENCE ? json_len(messages) : last_answer(messages));
}

void record_asked(const Record *r, StrBuf *out)
{
    const Json *messages = json_get(r->row, "messages");
    const size_t end = r->kind == REC_PREFERENCE ? json_len(messages) : last_answer(messages);
    add_text(out, json_get(r->row, "prompt"));
    for (size_t i = 0; i < end; i++)
        if (role_of(json_at(messages, i)) != TEXT_SYSTEM)
            add_message(out, json_at(messages, i));
}

void record_answer(const Record *r, StrBuf *out)
{
    const Json *messages = json_get(r->row, "messages"), *chosen = json_get(r->row, "chosen");
    size_t      at = last_answer(messages);
    add_text(out, json_get(r->row, "completion"));
    add_text(out, json_get(r->row, "text"));
    add_messages(out, chosen, 0, json_len(chosen));
    if (r->kind != REC_PREFERENCE && at < json_len(messages))
        add_message(out, json_at(messages, at));
}

void record_text(const Record *r, StrBuf *out)
{
    record_question(r, out);
    record_answer(r, out);
    if (r->kind == REC_PREFERENCE)
        add_messages(out, json_get(r->row, "rejected"), 0, json_len(json_get(r->row, "rejected")));
}

Str record_meta(const Record *r, const char *key, StrBuf *scratch)
{
    const Json *v = json_get(json_get(r->row, "meta"), key);
    if (!v || json_kind(v) == JSON_NULL)
        return (Str){ 0 };
    if (json_kind(v) == JSON_STRING)
        return json_str(v);
    strbuf_clear(scratch);
    json_write(scratch, v, false);
    return strbuf_str(scratch);
}
