/* mail_threads.c - see mail_threads.h. */
#include "prep/mail_threads.h"

#include <stdlib.h>

#include "base/map.h"

typedef struct Mail {
    StrBuf  text, cut; /* without quotes and signature; those */
    Json   *meta;
    Str     from;      /* of meta */
    int64_t thread;    /* number, in the order of first messages */
    size_t  order;
    bool    attached;  /* to a message, and none itself */
} Mail;
typedef VEC(Mail) Mails;

/* The mail's head, which the parser puts in front as text, stands in the part's meta as well. */
static size_t behind_head(const DocPart *p)
{
    static const char *const names[] = { "From: ", "To: ", "Cc: ", "Date: ", "Subject: " };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (p->kind == DOC_MAIL && str_starts((Str){ p->text, p->n }, names[i])) {
            const char *blank = strstr(p->text, "\n\n");
            return blank ? (size_t)(blank - p->text) + 2 : p->n;
        }
    return 0;
}

static void own_words(const DocPart *p, StrBuf *out, StrBuf *cut)
{
    size_t at = behind_head(p);
    for (size_t i = 0; i < p->span.n; i++) {
        if (p->span.p[i].from > at)
            strbuf_add(out, p->text + at, p->span.p[i].from - at);
        strbuf_add(cut, p->text + p->span.p[i].from, p->span.p[i].to - p->span.p[i].from);
        strbuf_addz(cut, "\n\n");
        at = MAX(at, p->span.p[i].to);
    }
    strbuf_add(out, p->text + at, p->n - at);
    while (out->n && memchr(" \t\r\n", out->p[out->n - 1], 4))
        out->p[--out->n] = 0;
}

/* "Ann <ann@example.com>" and "ann@example.com" are one person. */
static Str address_of(Str from)
{
    const char *open = from.n ? memchr(from.p, '<', from.n) : NULL;
    const char *close = open ? memchr(open, '>', from.n - (size_t)(open - from.p)) : NULL;
    return close ? (Str){ open + 1, (size_t)(close - open) - 1 } : from;
}

static void collect(const DocOut *d, Mails *mails)
{
    Map *threads = map_new();
    for (size_t i = 0; i < d->part.n; i++) {
        const DocPart *p = &d->part.p[i];
        Mail           m = { .order = i, .attached = p->parent >= 0 };
        own_words(p, &m.text, &m.cut);
        if (json_parse(&m.meta, str_of(p->meta ? p->meta : "{}"), "mail", NULL))
            m.meta = json_obj_new();
        Str id = json_str(json_get(m.meta, "thread"));
        m.from = address_of(json_str(json_get(m.meta, "from")));
        m.thread = (int64_t)map_count(threads);
        StrBuf own = { 0 };
        strbuf_addf(&own, "#%zu", i); /* attachments and mails without an id are threads of their own */
        Str key = id.n && p->parent < 0 ? id : strbuf_str(&own);
        if (!map_get(threads, key, &m.thread))
            map_put(threads, key, m.thread);
        strbuf_release(&own);
        *vec_push(mails) = m;
    }
    map_free(threads);
}

static int by_thread(const void *a, const void *b)
{
    const Mail *x = a, *y = b;
    return x->thread != y->thread ? (x->thread < y->thread ? -1 : 1) : (x->order > y->order) - (x->order < y->order);
}

static bool answered(const Mail *m, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (m[i].text.n && !str_eq(m[i].from, m[0].from))
            return true;
    return false;
}

static void add_turn(Json *messages, const char *role, StrBuf *text)
{
    if (text->n) {
        Json *turn = json_obj_new();
        json_set(turn, "role", json_str_new(str_of(role)));
        json_set(turn, "content", json_str_new(strbuf_str(text)));
        json_push(messages, turn);
    }
    strbuf_clear(text);
}

static Json *conversation(const Mail *m, size_t n)
{
    Json  *row = json_obj_new(), *messages = json_arr_new();
    StrBuf text = { 0 };
    Str    subject = json_str(json_get(m->meta, "subject"));
    bool   asks = true;
    strbuf_add(&text, subject.p, subject.n);
    for (size_t i = 0; i < n; i++) {
        bool first = str_eq(m[i].from, m[0].from);
        if (first != asks)
            add_turn(messages, asks ? "user" : "assistant", &text);
        asks = first;
        if (m[i].text.n)
            strbuf_addf(&text, "%s%s", text.n ? "\n\n" : "", strbuf_z(&m[i].text));
    }
    add_turn(messages, asks ? "user" : "assistant", &text);
    json_set(row, "messages", messages);
    strbuf_release(&text);
    return row;
}

static Json *single(const Mail *m)
{
    Json  *row = json_obj_new();
    StrBuf text = { 0 };
    Str    subject = json_str(json_get(m->meta, "subject"));
    if (subject.n)
        strbuf_addf(&text, "%.*s\n\n", (int)subject.n, subject.p);
    strbuf_add(&text, m->text.p, m->text.n);
    json_set(row, "text", json_str_new(strbuf_str(&text)));
    strbuf_release(&text);
    return row;
}

void mail_threads(const DocOut *d, MailRows *rows)
{
    static const char *const keep[] = { "subject", "thread", "date", "from" };
    Mails mails = { 0 };
    collect(d, &mails);
    if (mails.n)
        qsort(mails.p, mails.n, sizeof *mails.p, by_thread);
    for (size_t i = 0, k; i < mails.n; i = k) {
        for (k = i + 1; k < mails.n && mails.p[k].thread == mails.p[i].thread;)
            k++;
        bool talk = answered(&mails.p[i], k - i);
        for (size_t a = i; a < (talk ? i + 1 : k); a++) {
            Json *row = talk ? conversation(&mails.p[i], k - i) : single(&mails.p[a]);
            for (size_t m = 0; m < ARRAY_LEN(keep); m++)
                if (json_get(mails.p[a].meta, keep[m]))
                    json_set(row, keep[m], json_ref(json_get(mails.p[a].meta, keep[m])));
            StrBuf cut = { 0 };
            for (size_t m = a; m < (talk ? k : a + 1); m++)
                strbuf_add(&cut, mails.p[m].cut.p ? mails.p[m].cut.p : "", mails.p[m].cut.n);
            *vec_push(rows) = (MailRow){ row, talk ? MAIL_TALK : mails.p[a].attached ? MAIL_ATTACHMENT : MAIL_UNANSWERED, strbuf_take(&cut) };
        }
    }
    for (size_t i = 0; i < mails.n; i++) {
        strbuf_release(&mails.p[i].text);
        strbuf_release(&mails.p[i].cut);
        json_free(mails.p[i].meta);
    }
    vec_release(&mails);
}
