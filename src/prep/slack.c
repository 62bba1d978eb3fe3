/* slack.c - see slack.h. The archive is read twice: for the names of people, then for the messages. */
#include "prep/slack.h"

#include <stdlib.h>

#include "base/mem.h"
#include "formats/source.h"

typedef struct Message {
    char       *channel, *thread, *ts, *user, *text; /* owned */
    size_t      order;                               /* of reading, for equal times */
} Message;

typedef struct Reader {
    Json        *users;       /* id -> name */
    VEC(Message) message;
    int64_t      events, files;
    bool         full;        /* SLACK_MESSAGES_MAX */
} Reader;

/* ---- texts ----------------------------------------------------------------------------------------------------------------------------------------- */

static void add_reference(StrBuf *out, Str inside, const Json *users)
{
    const char *bar = memchr(inside.p, '|', inside.n);
    Str         target = bar ? (Str){ inside.p, (size_t)(bar - inside.p) } : inside;
    Str         label = bar ? (Str){ bar + 1, inside.n - target.n - 1 } : (Str){ 0 };
    if (target.n && (target.p[0] == '@' || target.p[0] == '#' || target.p[0] == '!')) {
        char *id = mem_strndup(target.p + 1, target.n - 1);
        Str   name = json_str(json_get(users, id));
        Str   shown = label.n ? label : name.n ? name : (Str){ target.p + 1, target.n - 1 };
        strbuf_addf(out, "%c%.*s", target.p[0] == '#' ? '#' : '@', (int)shown.n, shown.p);
        free(id);
    } else if (label.n && !str_eq(label, target)) {
        strbuf_addf(out, "%.*s (%.*s)", (int)label.n, label.p, (int)target.n, target.p);
    } else {
        strbuf_add(out, target.p, target.n);
    }
}

void slack_text(StrBuf *out, Str s, const Json *users)
{
    static const struct { const char *entity; char c; } entities[] = { { "&lt;", '<' }, { "&gt;", '>' }, { "&amp;", '&' } };
    for (size_t i = 0; i < s.n;) {
        Str         rest = { s.p + i, s.n - i };
        const char *end = *rest.p == '<' ? memchr(rest.p, '>', rest.n) : NULL;
        size_t      k = 0;
        if (end) {
            add_reference(out, (Str){ rest.p + 1, (size_t)(end - rest.p) - 1 }, users);
            i += (size_t)(end - rest.p) + 1;
            continue;
        }
        while (k < ARRAY_LEN(entities) && !str_starts(rest, entities[k].entity))
            k++;
        strbuf_addc(out, k < ARRAY_LEN(entities) ? entities[k].c : *rest.p);
        i += k < ARRAY_LEN(entities) ? strlen(entities[k].entity) : 1;
    }
}

/* ---- members of the archive ------------------------------------------------------------------------------------------------------------------------ */

static int read_member(Source *s, StrBuf *out, Err *e)
{
    char   block[65536];
    size_t n = 0;
    int    rc;
    strbuf_clear(out);
    out->max = SLACK_FILE_MAX;
    while (!(rc = source_read(s, block, sizeof block, &n, e)) && n)
        strbuf_add(out, block, n);
    if (!rc && out->over)
        rc = err_set(e, ERR_INPUT, "%s has more than %zu MiB; a day of one conversation should not", source_where(s), SLACK_FILE_MAX >> 20);
    return rc;
}

static int read_users(Reader *r, Source *s, StrBuf *text, Err *e)
{
    Json *list = NULL;
    int   rc = read_member(s, text, e);
    if (!rc)
        rc = json_parse(&list, strbuf_str(text), source_where(s), e);
    for (size_t i = 0; !rc && i < json_len(list); i++) {
        const Json *u = json_at(list, i), *profile = json_get(u, "profile");
        Str         id = json_str(json_get(u, "id")), name = json_str(json_get(profile, "real_name"));
        if (!name.n)
            name = json_str(json_get(u, "name"));
        if (id.n && name.n)
            json_set(r->users, id.p, json_str_new(name));
    }
    json_free(list);
    return rc;
}

static char *copy(Str s) { return mem_strndup(s.p ? s.p : "", s.n); }

static int keep_message(Reader *r, Str channel, const Json *m, Source *s, Err *e)
{
    Str ts = json_str(json_get(m, "ts")), thread = json_str(json_get(m, "thread_ts")), user = json_str(json_get(m, "user")), subtype = json_str(json_get(m, "subtype"));
    Str text = json_str(json_get(m, "text"));
    r->files += (int64_t)json_len(json_get(m, "files"));
    if (!str_eqz(json_str(json_get(m, "type")), "message") || !ts.n)
        return err_set(e, ERR_INPUT, "%s: an item is no message of Slack (it needs \"type\": \"message\" and \"ts\")", source_where(s));
    if (!text.n || (subtype.n && !str_eqz(subtype, "bot_message") && !str_eqz(subtype, "thread_broadcast") && !str_eqz(subtype, "me_message"))) {
        r->events++;
        return 0;
    }
    if ((r->full = r->message.n == SLACK_MESSAGES_MAX))
        return err_set(e, ERR_INPUT, "%s: more than %d messages in one export; export a shorter time", source_where(s), SLACK_MESSAGES_MAX);
    StrBuf plain = { 0 };
    slack_text(&plain, text, r->users);
    Message *k = vec_push(&r->message);
    *k = (Message){ copy(channel), copy(thread.n ? thread : ts), copy(ts), copy(user.n ? user : json_str(json_get(m, "bot_id"))), strbuf_take(&plain), r->message.n };
    return 0;
}

static void forget_messages(Reader *r, size_t from)
{
    while (r->message.n > from) {
        Message *m = &r->message.p[--r->message.n];
        free(m->channel);
        free(m->thread);
        free(m->ts);
        free(m->user);
        free(m->text);
    }
}

/* All of it or nothing: half a day tears threads. */
static int read_day(Reader *r, Source *s, Str channel, StrBuf *text, Err *e)
{
    Json         *list = NULL;
    const size_t  before = r->message.n;
    const int64_t events = r->events, files = r->files;
    int           rc = read_member(s, text, e);
    if (!rc)
        rc = json_parse(&list, strbuf_str(text), source_where(s), e);
    if (!rc && json_kind(list) != JSON_ARRAY)
        rc = err_set(e, ERR_INPUT, "%s must be a list of messages, found %s", source_where(s), json_kind_name(list));
    for (size_t i = 0; !rc && i < json_len(list); i++)
        rc = keep_message(r, channel, json_at(list, i), s, e);
    if (rc) {
        forget_messages(r, before);
        r->events = events;
        r->files = files;
    }
    json_free(list);
    return rc;
}

/* CHANNEL/2026-01-31.json */
static bool is_day(const char *member, Str *channel)
{
    const char *slash = strchr(member, '/');
    if (!slash || strchr(slash + 1, '/') || strlen(slash + 1) != 15 || strcmp(slash + 11, ".json"))
        return false;
    *channel = (Str){ member, (size_t)(slash - member) };
    return true;
}

/* What is wrong with one member is the end of it alone: lost gets the sentence, where it is given. */
static int sweep(Reader *r, const char *path, SlackRows *lost, bool *is, Err *e)
{
    Source *s = NULL;
    StrBuf  text = { 0 };
    bool    users = false, channels = false;
    Str     channel;
    int     rc = source_open(&s, path, NULL, e);
    while (!rc) {
        Err why = { 0 };
        rc = source_next(s, &why);
        if (!rc)
            break;
        const char *name = source_member(s); /* it has one, too, where its data cannot be read */
        const bool  people = !strcmp(name, "users.json") || !strcmp(name, "org_users.json");
        channels |= !strcmp(name, "channels.json");
        users |= people;
        if (rc > 0)
            rc = people ? read_users(r, s, &text, &why) : lost && is_day(name, &channel) ? read_day(r, s, channel, &text, &why) : 0;
        if (rc == ERR_INPUT && !r->full) {
            if (lost)
                *vec_push(&lost->lost) = mem_strdup(why.text);
            rc = 0;
        } else if (rc) {
            err_set(e, rc, "%s", why.text);
        }
    }
    *is = users && channels;
    strbuf_release(&text);
    source_close(s);
    return rc;
}

/* ---- threads to rows ------------------------------------------------------------------------------------------------------------------------------- */

static int by_thread(const void *a, const void *b)
{
    const Message *x = a, *y = b;
    int            c = strcmp(x->channel, y->channel);
    if (!c)
        c = strcmp(x->thread, y->thread);
    if (!c)
        c = strcmp(x->ts, y->ts);
    return c ? c : (x->order > y->order) - (x->order < y->order);
}

static Json *thread_row(const Message *m, size_t n)
{
    Json  *row = json_obj_new(), *messages = json_arr_new();
    StrBuf text = { 0 };
    for (size_t i = 0, k; i < n; i = k) { /* neighbours of one side are one turn */
        bool asks = !strcmp(m[i].user, m[0].user);
        strbuf_clear(&text);
        for (k = i; k < n && !strcmp(m[k].user, m[0].user) == asks; k++)
            strbuf_addf(&text, "%s%s", text.n ? "\n\n" : "", m[k].text);
        Json *turn = json_obj_new();
        json_set(turn, "role", json_str_new(str_of(asks ? "user" : "assistant")));
        json_set(turn, "content", json_str_new(strbuf_str(&text)));
        json_push(messages, turn);
    }
    json_set(row, "messages", messages);
    json_set(row, "channel", json_str_new(str_of(m->channel)));
    json_set(row, "thread", json_str_new(str_of(m->thread)));
    json_set(row, "started", json_str_new(str_of(m->ts)));
    strbuf_release(&text);
    return row;
}

static bool answered(const Message *m, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (strcmp(m[i].user, m[0].user))
            return true;
    return false;
}

static void note(SlackRows *out, int64_t n, const char *what)
{
    StrBuf text = { 0 };
    if (!n)
        return;
    strbuf_addf(&text, "%lld %s", (long long)n, what);
    *vec_push(&out->note) = strbuf_take(&text);
}

static void make_rows(Reader *r, SlackRows *out)
{
    int64_t alone = 0;
    if (r->message.n)
        qsort(r->message.p, r->message.n, sizeof *r->message.p, by_thread);
    for (size_t i = 0, k; i < r->message.n; i = k) {
        const Message *m = &r->message.p[i];
        for (k = i + 1; k < r->message.n && !strcmp(r->message.p[k].channel, m->channel) && !strcmp(r->message.p[k].thread, m->thread);)
            k++;
        if (answered(m, k - i))
            *vec_push(&out->row) = thread_row(m, k - i);
        else
            alone += (int64_t)(k - i);
    }
    note(out, alone, "messages stand in no thread with an answer and make no conversation");
    note(out, r->events, "joins, topics and other events passed over");
    note(out, r->files, "attached files are not in the export (it holds only links)");
}

int slack_read(const char *path, bool *is, SlackRows *out, Err *e)
{
    Reader r = { .users = json_obj_new() };
    Err    why = { 0 };
    int    rc = sweep(&r, path, NULL, is, &why);
    if (rc == ERR_INPUT && !*is) /* an archive of another kind, whose reader says what is wrong with it and keeps what is not */
        rc = 0;
    else if (rc)
        err_set(e, rc, "%s", why.text);
    if (!rc && *is)
        rc = sweep(&r, path, out, is, e);
    if (!rc && *is)
        make_rows(&r, out);
    forget_messages(&r, 0);
    vec_release(&r.message);
    json_free(r.users);
    if (rc)
        slack_release(out);
    return rc;
}

void slack_release(SlackRows *s)
{
    for (size_t i = 0; i < s->row.n; i++)
        json_free(s->row.p[i]);
    for (size_t i = 0; i < s->note.n; i++)
        free(s->note.p[i]);
    for (size_t i = 0; i < s->lost.n; i++)
        free(s->lost.p[i]);
    vec_release(&s->row);
    vec_release(&s->note);
    vec_release(&s->lost);
}
