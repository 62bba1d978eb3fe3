/* import_tickets.c - help-desk tickets to conversations: what the person who opened the ticket wrote is the user's, every other public comment the
 * assistant's; neighbouring comments of one side become one turn. Private notes are left out and counted in the log.
 *   Zendesk   a ticket with "requester_id" and "comments" [{"author_id", "plain_body" | "body", "public"}], "subject", "description" (its first comment)
 *   Jira      an issue of the REST API: "key", "fields" {"summary", "description", "reporter", "comment" {"comments" [{"author", "body"}]}}; texts may be
 *             Atlassian's document format (version 3 of the API)
 *   Jira CSV  columns "Issue key", "Summary", "Description", "Reporter", and "Comment" once per comment, each "DATE;AUTHOR;TEXT" */
#include "prep/import_int.h"

/* ---- turns ----------------------------------------------------------------------------------------------------------------------------------------- */

typedef struct Turns {
    Json       *messages;
    StrBuf      text;      /* of the turn that is growing */
    const char *role;      /* of it; NULL: none yet */
} Turns;

static void turn_end(Turns *t)
{
    if (t->role && t->text.n)
        json_push(t->messages, import_message(t->role, strbuf_str(&t->text)));
    strbuf_clear(&t->text);
}

static void turn_add(Turns *t, const char *role, Str text)
{
    while (text.n && memchr(" \t\r\n", text.p[text.n - 1], 4))
        text.n--;
    if (!text.n)
        return;
    if (t->role != role)
        turn_end(t);
    t->role = role;
    if (t->text.n)
        strbuf_addz(&t->text, "\n\n");
    strbuf_add(&t->text, text.p, text.n);
}

static int turns_done(ImportJob *j, Turns *t)
{
    turn_end(t);
    strbuf_release(&t->text);
    return import_chat(j, t->messages);
}

static void drop_all(Json *row, const char *const *keys, size_t n)
{
    for (size_t i = 0; i < n; i++)
        json_drop(row, keys[i]);
}

/* ---- Zendesk --------------------------------------------------------------------------------------------------------------------------------------- */

bool import_is_zendesk(const Json *row) { return import_has(row, "requester_id") && json_kind(json_get(row, "comments")) == JSON_ARRAY; }

static bool same_value(const Json *a, const Json *b)
{
    StrBuf x = { 0 }, y = { 0 };
    json_write(&x, a, false);
    json_write(&y, b, false);
    bool same = str_eq(strbuf_str(&x), strbuf_str(&y));
    strbuf_release(&x);
    strbuf_release(&y);
    return same;
}

int import_zendesk(ImportJob *j)
{
    Turns       t = { .messages = json_arr_new() };
    const Json *comments = json_get(j->row, "comments"), *requester = json_get(j->row, "requester_id");
    int64_t     hidden = 0;
    turn_add(&t, "user", json_str(json_get(j->row, "subject")));
    if (!json_len(comments))
        turn_add(&t, "user", json_str(json_get(j->row, "description")));
    for (size_t i = 0; i < json_len(comments); i++) {
        const Json *c = json_at(comments, i), *public = json_get(c, "public");
        Str         body = json_str(json_get(c, import_has(c, "plain_body") ? "plain_body" : "body"));
        if (public && json_kind(public) == JSON_BOOL && !json_bool(public))
            hidden++;
        else
            turn_add(&t, same_value(json_get(c, "author_id"), requester) ? "user" : "assistant", body);
    }
    static const char *const used[] = { "subject", "raw_subject", "description", "comments" };
    drop_all(j->row, used, ARRAY_LEN(used));
    if (hidden) {
        StrBuf note = { 0 };
        strbuf_addf(&note, "%lld private notes left out", (long long)hidden);
        import_note(j, strbuf_z(&note));
        strbuf_release(&note);
    }
    return turns_done(j, &t);
}

/* ---- Jira ------------------------------------------------------------------------------------------------------------------------------------------ */

bool import_is_jira(const Json *row) { return import_has(row, "key") && import_has(json_get(row, "fields"), "summary"); }

/* Atlassian document format: nodes with "type", "text", "content". What stands before and behind a node's own content. */
static const struct { const char *type, *before, *behind; } adf_nodes[] = {
    { "paragraph", "", "\n" },   { "heading", "", "\n" },         { "hardBreak", "\n", "" },     { "listItem", "- ", "" },
    { "codeBlock", "```\n", "\n```\n" }, { "blockquote", "> ", "" }, { "rule", "---\n", "" }, { "tableCell", "", " | " },
    { "tableHeader", "", " | " }, { "tableRow", "", "\n" },
};

static void adf_text(StrBuf *out, const Json *node)
{
    const Json *content = json_get(node, "content"), *attrs = json_get(node, "attrs");
    Str         type = json_str(json_get(node, "type")), text = json_str(json_get(node, "text"));
    size_t      at = 0;
    while (at < ARRAY_LEN(adf_nodes) && !str_eqz(type, adf_nodes[at].type))
        at++;
    strbuf_addz(out, at < ARRAY_LEN(adf_nodes) ? adf_nodes[at].before : "");
    strbuf_add(out, text.p, text.n);
    if (!text.n && attrs) { /* mentions, emoji and cards keep their text in attributes */
        Str label = json_str(json_get(attrs, import_has(attrs, "text") ? "text" : "url"));
        strbuf_add(out, label.p, label.n);
    }
    for (size_t i = 0; i < json_len(content); i++)
        adf_text(out, json_at(content, i));
    strbuf_addz(out, at < ARRAY_LEN(adf_nodes) ? adf_nodes[at].behind : "");
}

static void jira_turn(Turns *t, const char *role, const Json *body)
{
    StrBuf text = { 0 };
    if (json_kind(body) == JSON_OBJECT)
        adf_text(&text, body);
    else
        strbuf_add(&text, json_str(body).p, json_str(body).n);
    turn_add(t, role, strbuf_str(&text));
    strbuf_release(&text);
}

/* People are named by one of these, depending on the kind of server. */
static bool same_person(const Json *a, const Json *b)
{
    static const char *const names[] = { "accountId", "key", "name", "emailAddress", "displayName" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (import_has(a, names[i]) && import_has(b, names[i]))
            return str_eq(json_str(json_get(a, names[i])), json_str(json_get(b, names[i])));
    return false;
}

int import_jira(ImportJob *j)
{
    Turns t = { .messages = json_arr_new() };
    Json *fields = json_get(j->row, "fields");
    const Json *comments = json_get(json_get(fields, "comment"), "comments"), *reporter = json_get(fields, "reporter");
    jira_turn(&t, "user", json_get(fields, "summary"));
    jira_turn(&t, "user", json_get(fields, "description"));
    for (size_t i = 0; i < json_len(comments); i++) {
        const Json *c = json_at(comments, i);
        jira_turn(&t, same_person(json_get(c, "author"), reporter) ? "user" : "assistant", json_get(c, "body"));
    }
    static const char *const used[] = { "summary", "description", "comment" };
    drop_all(fields, used, ARRAY_LEN(used));
    return turns_done(j, &t);
}

bool import_is_jira_csv(const Json *row) { return import_has(row, "Issue key") && import_has(row, "Summary") && json_get(row, "Description"); }

/* "12/Mar/26 9:30 AM;5b10ac8d82e05b22cc7d4ef5;text with; semicolons" */
static Str comment_part(Str comment, int part)
{
    for (; part > 0; part--) {
        const char *semicolon = memchr(comment.p, ';', comment.n);
        if (!semicolon)
            return comment;
        comment = (Str){ semicolon + 1, comment.n - (size_t)(semicolon + 1 - comment.p) };
    }
    return comment;
}

static Str up_to_semicolon(Str s)
{
    const char *semicolon = s.n ? memchr(s.p, ';', s.n) : NULL;
    return semicolon ? (Str){ s.p, (size_t)(semicolon - s.p) } : s;
}

int import_jira_csv(ImportJob *j)
{
    Turns    t = { .messages = json_arr_new() };
    VEC(Str) used = { 0 };
    JsonIter it = { 0 };
    Str      key, reporter = json_str(json_get(j->row, import_has(j->row, "Reporter Id") ? "Reporter Id" : "Reporter"));
    Json    *value;
    turn_add(&t, "user", json_str(json_get(j->row, "Summary")));
    turn_add(&t, "user", json_str(json_get(j->row, "Description")));
    while (json_each(j->row, &it, &key, &value)) {
        Str text = json_str(value);
        if (!str_starts(key, "Comment") || !text.n) /* "Comment", "Comment (2)", ... */
            continue;
        turn_add(&t, str_eq(up_to_semicolon(comment_part(text, 1)), reporter) ? "user" : "assistant", comment_part(text, 2));
        *vec_push(&used) = key;
    }
    for (size_t i = 0; i < used.n; i++)
        json_drop(j->row, used.p[i].p);
    vec_release(&used);
    json_drop(j->row, "Summary");
    json_drop(j->row, "Description");
    return turns_done(j, &t);
}
