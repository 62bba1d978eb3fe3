/* test_teacher.c - a model at an address (infer/teacher.h) against a server on this machine: right answers, answers in any order, 429 and 500 and then 200, garbage,
 * bodies without end, silence, refusals of one request and of all, fields that the server does not know, redirects, a key that must not be shown; and the
 * preparation of questions from documents through it, stopped and gone on with. */
#include "base/check.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "formats/jsonl.h"
#include "infer/teacher_int.h"
#include "prep/prep.h"
#include "prep/review.h"
#include "serve/http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

/* ---- a server of chat completions --------------------------------------------------------------------------------------------------------------------- */

/* What it does is in the path, what it has seen is counted. */
typedef struct Server {
    Http      *http;
    atomic_int asked, failed, at_once, most_at_once;
    char       last[4096]; /* body and key of the last request */
    pthread_mutex_t lock;
} Server;

static void sleep_ms(int64_t ms) { nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL); }

static void put_completion(StrBuf *b, Str text, const char *finish)
{
    strbuf_addz(b, "{\"id\":\"x\",\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":");
    json_write_string(b, text);
    strbuf_addf(b, "},\"finish_reason\":\"%s\"}],\"usage\":{\"total_tokens\":7}}", finish);
}

/* A teacher that needs no model: of each sentence of the passage "THING ... ." it asks "What holds for THING ...?" and answers with the sentence; one more pair says
 * what no passage does. Scores are 5, and 2 for an answer with "doubtful". */
static void write_pairs(StrBuf *out, Str ask)
{
    const char *from = memmem(ask.p, ask.n, "<<<\n", 4), *to = memmem(ask.p, ask.n, "\n>>>", 4);
    Json       *list = json_arr_new();
    BUG_ON(!from || !to);
    for (const char *p = from + 4, *dot; p < to && (dot = memchr(p, '.', (size_t)(to - p))); p = dot + 1) {
        while (p < dot && (*p == ' ' || *p == '\n'))
            p++;
        StrBuf q = { 0 };
        Json  *one = json_obj_new();
        strbuf_addf(&q, "What holds for %.*s?", (int)MIN((size_t)(dot - p), (size_t)25), p);
        while (q.n && (q.p[q.n - 1] & 0xc0) == 0x80)
            q.n--;
        json_set(one, "question", json_str_new(strbuf_str(&q)));
        json_set(one, "answer", json_str_new((Str){ p, (size_t)(dot - p) + 1 }));
        json_push(list, one);
        strbuf_release(&q);
    }
    Json *lie = json_obj_new();
    json_set(lie, "question", json_str_new(STR_LIT("What holds for the pump?")));
    json_set(lie, "answer", json_str_new(STR_LIT("The pump has 98765 valves.")));
    json_push(list, lie);
    strbuf_addz(out, "Here they are:\n```json\n");
    json_write(out, list, true);
    strbuf_addz(out, "\n```");
    json_free(list);
}

static void write_scores(StrBuf *out, Str ask)
{
    const char *list = memmem(ask.p, ask.n, "\n>>>\n\n", 6), *end = memmem(ask.p, ask.n, "\n\nJudge ", 8);
    Json       *pairs = NULL;
    Err         e;
    BUG_ON(!list || !end || json_parse(&pairs, (Str){ list + 6, (size_t)(end - list) - 6 }, "the pairs", &e));
    strbuf_addc(out, '[');
    for (size_t i = 0; i < json_len(pairs); i++)
        strbuf_addf(out, "%s%d", i ? ", " : "", strstr(json_str(json_get(json_at(pairs, i), "answer")).p, "doubtful") ? 2 : 5);
    strbuf_addc(out, ']');
    json_free(pairs);
}

static void answer_well(Server *s, const HttpRequest *r, HttpAnswer *a)
{
    Json  *j = NULL;
    StrBuf text = { 0 };
    Err    e;
    (void)s;
    BUG_ON(json_parse(&j, http_body(r), "request", &e));
    const Str ask = json_str(json_get(json_at(json_get(j, "messages"), 0), "content"));
    if (memmem(ask.p, ask.n, "\n\nJudge ", 8))
        write_scores(&text, ask);
    else if (memmem(ask.p, ask.n, "<<<\n", 4))
        write_pairs(&text, ask);
    else
        strbuf_addf(&text, "you said %.*s", (int)ask.n, ask.p);
    sleep_ms((int64_t)(hash64(ask.p, ask.n) % 12)); /* in no order of the requests */
    put_completion(&a->body, strbuf_str(&text), "stop");
    strbuf_release(&text);
    json_free(j);
}

static bool fails_first(Server *s, int times) { return atomic_fetch_add(&s->failed, 1) < times; }

static void on_chat(void *user, const HttpRequest *r, HttpAnswer *a)
{
    Server   *s = user;
    const Str path = http_path(r), body = http_body(r), key = http_header(r, "Authorization");
    const int now = atomic_fetch_add(&s->at_once, 1) + 1;
    Json     *j = NULL;
    atomic_fetch_add(&s->asked, 1);
    for (int most = atomic_load(&s->most_at_once); now > most && !atomic_compare_exchange_weak(&s->most_at_once, &most, now);)
        ;
    pthread_mutex_lock(&s->lock);
    snprintf(s->last, sizeof s->last, "%.*s|%.*s", (int)MIN(body.n, (size_t)3000), body.p, (int)key.n, key.p ? key.p : "");
    pthread_mutex_unlock(&s->lock);
    const bool seed = memmem(body.p, body.n, "\"seed\"", 6), old = memmem(body.p, body.n, "\"max_tokens\"", 12);
    if (str_starts(path, "/busy") && fails_first(s, 3))
        http_refuse(a, 429, "slow down");
    else if (str_starts(path, "/broken") && fails_first(s, 2))
        http_refuse(a, 500, "a worker died");
    else if (str_starts(path, "/dead"))
        http_refuse(a, 503, "no model is loaded");
    else if (str_starts(path, "/html"))
        strbuf_addz(&a->body, "<html><body>Log in first</body></html>");
    else if (str_starts(path, "/shape"))
        strbuf_addz(&a->body, "{\"choices\":[{\"message\":{\"content\":[1]}}]}");
    else if (str_starts(path, "/huge"))
        for (size_t i = 0; i < (TEACHER_BODY_MAX >> 10) + 2; i++)
            strbuf_addf(&a->body, "%1024d", 1);
    else if (str_starts(path, "/silent"))
        sleep_ms(600);
    else if (str_starts(path, "/nokey"))
        http_refuse(a, 401, "%.*s is a wrong key", (int)key.n, key.p);
    else if (str_starts(path, "/nomodel"))
        http_refuse(a, 404, "The model `m` does not exist");
    else if (str_starts(path, "/allbad"))
        http_refuse(a, 400, "this is no model for chats");
    else if (str_starts(path, "/some") && memmem(body.p, body.n, "ask 3", 5))
        http_refuse(a, 400, "the prompt is against our rules");
    else if (str_starts(path, "/fields") && seed)
        http_refuse(a, 400, "Unrecognized request argument: 'seed'");
    else if (str_starts(path, "/fields") && old)
        http_refuse(a, 400, "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.");
    else if (str_starts(path, "/away"))
        http_refuse(a, 307, "over there");
    else if (str_starts(path, "/cut"))
        put_completion(&a->body, STR_LIT("half an ans"), "length");
    else if (str_starts(path, "/no"))
        strbuf_addz(&a->body, "{\"choices\":[{\"message\":{\"content\":null,\"refusal\":\"I will not\"},\"finish_reason\":\"stop\"}]}");
    else
        answer_well(s, r, a);
    json_free(j);
    atomic_fetch_sub(&s->at_once, 1);
}

static const HttpRoute routes[] = { { "POST", "/*", on_chat, (size_t)1 << 20, true }, { 0 } };

static Server *server(void)
{
    Server *s = mem_zalloc(1, sizeof *s);
    Err     e;
    pthread_mutex_init(&s->lock, NULL);
    if (http_open(&s->http, &(HttpOptions){ .threads = 16, .routes = routes, .user = s }, &e))
        fail_msg("%s", e.text);
    return s;
}

static void server_close(Server *s)
{
    http_close(s->http);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* ---- asking -------------------------------------------------------------------------------------------------------------------------------------------- */

#define ASKS 40

typedef struct Said { char *text[ASKS]; AnswerEnd end[ASKS]; int times[ASKS]; int count, stop_after; } Said;

static Json *say(void *user, size_t i)
{
    char  text[32];
    Json *list = json_arr_new(), *m = json_obj_new();
    (void)user;
    snprintf(text, sizeof text, "ask %zu", i);
    json_set(m, "role", json_str_new(STR_LIT("user")));
    json_set(m, "content", json_str_new(str_of(text)));
    json_push(list, m);
    return list;
}

static int hear(void *user, size_t i, const TeacherAnswer *a, Err *e)
{
    Said *s = user;
    (void)e;
    free(s->text[i]);
    s->text[i] = mem_strndup(a->text.n ? a->text.p : "", a->text.n);
    s->end[i] = a->end;
    s->times[i]++;
    s->count++;
    return 0;
}

static bool enough(void *user)
{
    const Said *s = user;
    return s->stop_after && s->count >= s->stop_after;
}

static void said_release(Said *s)
{
    for (size_t i = 0; i < ASKS; i++)
        free(s->text[i]);
    *s = (Said){ 0 };
}

typedef struct How { const char *path, *key; int64_t in_flight; double patience; size_t n; } How;

/* Asks the server at a path; what it says is in *said. */
static int ask(Server *s, How h, Said *said, Err *e)
{
    char     where[96];
    Teacher *t = NULL;
    snprintf(where, sizeof where, "http://127.0.0.1:%d%s", http_port(s->http), h.path);
    int rc = teacher_open(&t, &(TeacherOptions){ .where = where, .model = "m", .key = h.key, .in_flight = h.in_flight, .patience = h.patience > 0 ? h.patience : 20, .pause = 0.01 }, e);
    if (rc)
        return rc;
    assert_false(teacher_far(t));
    rc = teacher_ask(t, &(TeacherWork){ .user = said, .n = h.n ? h.n : 1, .messages = say, .answered = hear, .stop_asked = enough, .max_tokens = 99, .temperature = 0.5, .seed = 7 }, e);
    teacher_close(t);
    return rc;
}

static void expect_error(Server *s, How h, int code, const char *says, int asked)
{
    Said      said = { 0 };
    Err       e = { 0 };
    const int before = atomic_load(&s->asked);
    if (ask(s, h, &said, &e) != code || !strstr(e.text, says) || strchr(e.text, '\n'))
        fail_msg("%s: got %d \"%s\", expected %d \"%s\"", h.path, e.code, e.text, code, says);
    if (asked && atomic_load(&s->asked) - before != asked)
        fail_msg("%s: asked %d times, expected %d", h.path, atomic_load(&s->asked) - before, asked);
    said_release(&said);
}

static void test_answers(void **state)
{
    Server *s = server();
    Said    said = { 0 };
    Err     e = { 0 };
    (void)state;
    setenv("http_proxy", "http://127.0.0.1:9", 1); /* what is near is asked without a proxy */
    /* the request as the server sees it */
    assert_int_equal(ask(s, (How){ .path = "/v1" }, &said, &e), 0);
    check_text(s->last, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"ask 0\"}],\"max_tokens\":99,\"temperature\":0.5,\"seed\":7,\"stream\":false}|");
    check_text(said.text[0], "you said ask 0");
    said_release(&said);
    /* forms of one address; the key in its header */
    static const char *const paths[] = { "/v1/", "/v1/chat/completions", "/v1/chat/completions/", "" };
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        assert_int_equal(ask(s, (How){ .path = paths[i], .key = "sk-1" }, &said, &e), 0);
        assert_true(str_ends(str_of(s->last), "|Bearer sk-1"));
        said_release(&said);
    }
    /* many, each answered once with its own, several at once, no more than allowed */
    for (int64_t in_flight = 1; in_flight <= 6; in_flight += 5) {
        atomic_store(&s->most_at_once, 0);
        assert_int_equal(ask(s, (How){ .path = "/v1", .n = ASKS, .in_flight = in_flight }, &said, &e), 0);
        for (size_t i = 0; i < ASKS; i++) {
            char want[32];
            snprintf(want, sizeof want, "you said ask %zu", i);
            check_text(said.text[i], want);
            assert_int_equal(said.times[i], 1);
        }
        assert_in_range(atomic_load(&s->most_at_once), in_flight > 1 ? 2 : 1, (int)in_flight);
        said_release(&said);
    }
    assert_int_equal(ask(s, (How){ .path = "/cut" }, &said, &e), 0);
    assert_int_equal(said.end[0], ANSWER_CUT);
    assert_int_equal(ask(s, (How){ .path = "/no" }, &said, &e), 0);
    assert_int_equal(said.end[0], ANSWER_REFUSED);
    check_text(said.text[0], "I will not");
    said_release(&said);
    server_close(s);
}

static void test_again(void **state)
{
    Server *s = server();
    Said    said = { 0 };
    Err     e = { 0 };
    (void)state;
    static const char *const paths[] = { "/busy", "/broken" };
    static const int times[] = { 3, 2 };
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        const int before = atomic_load(&s->asked);
        atomic_store(&s->failed, 0);
        assert_int_equal(ask(s, (How){ .path = paths[i], .n = 5 }, &said, &e), 0);
        check_text(said.text[4], "you said ask 4");
        assert_int_equal(atomic_load(&s->asked) - before, 5 + times[i]);
        said_release(&said);
    }
    expect_error(s, (How){ .path = "/dead", .n = 5 }, ERR_WORK, "was asked 6 times, in vain: it answered 503: \"no model is loaded\"", TEACHER_TRIES);
    expect_error(s, (How){ .path = "/html" }, ERR_WORK, "the reply is no JSON; it begins: \"<html><body>Log in first</body></html>\"", TEACHER_TRIES);
    expect_error(s, (How){ .path = "/shape" }, ERR_WORK, "no text at choices[0].message.content", TEACHER_TRIES);
    expect_error(s, (How){ .path = "/huge" }, ERR_WORK, "the reply has more than 4 MiB", TEACHER_TRIES_LATE);
    expect_error(s, (How){ .path = "/silent", .patience = 0.2 }, ERR_WORK, "no answer within 0.2 seconds", TEACHER_TRIES_LATE);
    server_close(s);
}

static void test_refusals(void **state)
{
    Server *s = server();
    Said    said = { 0 };
    Err     e = { 0 };
    (void)state;
    expect_error(s, (How){ .path = "/nokey", .key = "sk-secret-1", .n = 9 }, ERR_WORK, "it answered 401: \"Bearer *********** is a wrong key\"; the key is wrong or missing", 1);
    expect_error(s, (How){ .path = "/nomodel", .n = 9 }, ERR_WORK, "it answered 404: \"The model `m` does not exist\"; look at the name of the model", 1);
    expect_error(s, (How){ .path = "/allbad", .n = 9 }, ERR_WORK, "it answered 400: \"this is no model for chats\"", 1); /* one request, not nine */
    expect_error(s, (How){ .path = "/away", .n = 9 }, ERR_WORK, "redirects are not followed", 1);
    assert_int_equal(ask(s, (How){ .path = "/some", .n = 9 }, &said, &e), 0);
    for (int i = 0; i < 9; i++)
        assert_int_equal(said.end[i], i == 3 ? ANSWER_REFUSED : ANSWER_WHOLE);
    check_text(said.text[3], "it answered 400: \"the prompt is against our rules\"");
    said_release(&said);
    /* fields that it does not know are left out, and the work goes on */
    log_stderr(false);
    const int before = atomic_load(&s->asked);
    assert_int_equal(ask(s, (How){ .path = "/fields", .n = 9 }, &said, &e), 0);
    assert_int_equal(atomic_load(&s->asked) - before, 9 + 2);
    check_text(said.text[8], "you said ask 8");
    assert_non_null(strstr(s->last, "\"max_completion_tokens\":99,\"temperature\":0.5,\"stream\""));
    said_release(&said);
    log_stderr(true);
    /* a stop between two answers */
    said.stop_after = 5;
    assert_int_equal(ask(s, (How){ .path = "/v1", .n = ASKS, .in_flight = 2 }, &said, &e), ERR_STOP);
    assert_in_range(said.count, 5, 8);
    said_release(&said);
    server_close(s);
    /* nobody there */
    Teacher *t = NULL;
    assert_int_equal(teacher_open(&t, &(TeacherOptions){ .where = "http://127.0.0.1:9", .model = "m", .pause = 0.01 }, &e), 0);
    assert_int_equal(teacher_ask(t, &(TeacherWork){ .user = &said, .n = 1, .messages = say, .answered = hear, .stop_asked = enough, .max_tokens = 9 }, &e), ERR_WORK);
    check_says(&e, ERR_WORK, "http://127.0.0.1:9/chat/completions was asked 6 times, in vain: ");
    teacher_close(t);
    said_release(&said);
}

/* A server of bytes: what it says to the first connection, and to later ones. */
typedef struct Bytes { int fd; const char *first, *later; int accepted; pthread_t thread; } Bytes;

static void *say_bytes(void *arg)
{
    Bytes *b = arg;
    int    fd;
    char   in[4096];
    while ((fd = accept(b->fd, NULL, NULL)) >= 0) {
        const char *text = b->accepted++ ? b->later : b->first;
        if (recv(fd, in, sizeof in, 0) > 0)
            send(fd, text, strlen(text), MSG_NOSIGNAL);
        close(fd);
    }
    return NULL;
}

/* says NULL: the ask succeeds */
static void expect_bytes(const char *first, const char *later, const char *says, int accepted)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof at;
    Bytes     b = { .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .first = first, .later = later ? later : first };
    Said      said = { 0 };
    Teacher  *t = NULL;
    Err       e = { 0 };
    char      where[64];
    assert_true(b.fd >= 0 && !bind(b.fd, (struct sockaddr *)&at, sizeof at) && !listen(b.fd, 8) && !getsockname(b.fd, (struct sockaddr *)&at, &n));
    assert_int_equal(pthread_create(&b.thread, NULL, say_bytes, &b), 0);
    snprintf(where, sizeof where, "http://127.0.0.1:%d/v1", ntohs(at.sin_port));
    assert_int_equal(teacher_open(&t, &(TeacherOptions){ .where = where, .model = "m", .key = "sk-secret-1", .pause = 0.01, .patience = 5 }, &e), 0);
    int rc = teacher_ask(t, &(TeacherWork){ .user = &said, .n = 1, .messages = say, .answered = hear, .stop_asked = enough, .max_tokens = 9 }, &e);
    teacher_close(t);
    shutdown(b.fd, SHUT_RDWR);
    pthread_join(b.thread, NULL);
    close(b.fd);
    if (!rc != !says || (says && !strstr(e.text, says)) || strstr(e.text, "secret"))
        fail_msg("got \"%s\", expected \"%s\"", e.text, says ? says : "an answer");
    assert_int_equal(b.accepted, accepted);
    said_release(&said);
}

static void test_bytes(void **state)
{
    (void)state;
    expect_bytes("HTTP/1.1 302 Found\r\nLocation: https://elsewhere.example/v1/chat/completions\r\nContent-Length: 0\r\n\r\n", NULL,
                 "it answered 302, leading to https://elsewhere.example/v1/chat/completions; redirects are not followed", 1);
    expect_bytes("HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n", NULL, "the reply has more than 4 MiB", TEACHER_TRIES_LATE);
    expect_bytes("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"choices\":", NULL, "was asked 6 times, in vain", TEACHER_TRIES);
    expect_bytes("this is no HTTP\r\n\r\n", NULL, "cannot be asked: ", 1);
    expect_bytes("", NULL, "was asked 6 times, in vain", TEACHER_TRIES);
    expect_bytes("HTTP/1.1 418 I am\r\nContent-Length: 9\r\n\r\na\x1b[31mpot", NULL, "it answered 418: \"a\\x1b[31mpot\"", 1); /* nothing that a terminal obeys */
    /* Retry-After is heeded: a second instead of ten milliseconds */
    const double start = clock_seconds();
    expect_bytes("HTTP/1.1 429 Slow\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
                 "HTTP/1.1 200 OK\r\nContent-Length: 43\r\n\r\n{\"choices\":[{\"message\":{\"content\":\"yes\"}}]}", NULL, 2);
    assert_true(clock_seconds() - start > 0.9);
}

static void test_addresses(void **state)
{
    static const struct { const char *where, *base; Reach reach; const char *says; } rows[] = {
        { "http://127.0.0.1:8080/v1", "http://127.0.0.1:8080/v1", REACH_LOOPBACK, "" },
        { "http://localhost:1/v1/chat/completions", "http://localhost:1/v1", REACH_LOOPBACK, "" },
        { "HTTP://[::1]:8000//", "HTTP://[::1]:8000", REACH_LOOPBACK, "" },
        { "http://10.1.2.3/v1", "http://10.1.2.3/v1", REACH_PRIVATE, "" },
        { "http://172.31.0.1", "http://172.31.0.1", REACH_PRIVATE, "" },
        { "http://192.168.0.9", "http://192.168.0.9", REACH_PRIVATE, "" },
        { "http://[fd12::1]:80", "http://[fd12::1]:80", REACH_PRIVATE, "" },
        { "http://[::ffff:10.0.0.1]", "http://[::ffff:10.0.0.1]", REACH_PRIVATE, "" },
        { "https://93.184.216.34/v1", "https://93.184.216.34/v1", REACH_PUBLIC, "" },
        { "https://[2001:db8::1]/v1", "https://[2001:db8::1]/v1", REACH_PUBLIC, "" },
        { "https://no-such-host.invalid/v1", "https://no-such-host.invalid/v1", REACH_PUBLIC, "" },
        { "http://no-such-host.invalid/v1", NULL, REACH_PUBLIC, "there is no host no-such-host.invalid" },
        { "http://93.184.216.34/v1", NULL, REACH_PUBLIC, "use https" },
        { "http://172.32.0.1/v1", NULL, REACH_PUBLIC, "use https" },
        { "http://[::ffff:8.8.8.8]/v1", NULL, REACH_PUBLIC, "use https" },
        { "https://me:pass@host/v1", NULL, REACH_PUBLIC, "holds a user name or a password" },
        { "https://host/v1?key=1", NULL, REACH_PUBLIC, "without ? and #" },
        { "http://host\r\nX: y/v1", NULL, REACH_PUBLIC, "belongs into no address, at byte 12" },
        { "http://", NULL, REACH_PUBLIC, "is no address" },
        { "http://:80", NULL, REACH_PUBLIC, "is no address" },
        { "http://[::1", NULL, REACH_PUBLIC, "is no address" },
        { "http://127.0.0.1:", NULL, REACH_PUBLIC, "is no address" },
        { "http://127.0.0.1:80x", NULL, REACH_PUBLIC, "is no address" },
        { "http://127.0.0.1:1234567", NULL, REACH_PUBLIC, "is no address" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *base = NULL;
        Reach reach = REACH_LOOPBACK;
        Err   e = { 0 };
        int   rc = teacher_address(&base, &reach, rows[i].where, &e);
        if (!rows[i].base ? !rc || !strstr(e.text, rows[i].says) || strstr(e.text, "pass@") : rc || strcmp(base, rows[i].base) || reach != rows[i].reach)
            fail_msg("%s: %s %d \"%s\"", rows[i].where, base ? base : "-", reach, e.text);
        free(base);
    }
}

static void test_options(void **state)
{
    static const struct { TeacherOptions o; const char *says; } rows[] = {
        { { .where = "http://127.0.0.1:1" }, "the name of the model to ask there is missing" },
        { { .where = "models/x", .model = "y" }, "is a model folder" },
        { { .where = "http://127.0.0.1:1", .model = "m", .in_flight = 257 }, "1 to 256 are possible" },
        { { .where = "http://127.0.0.1:1", .model = "m", .key = "a\r\nX: y" }, "at byte 2" },
        { { .where = "no/such/folder" }, "no/such/folder" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        Teacher *t = NULL;
        Err      e = { 0 };
        if (!teacher_open(&t, &rows[i].o, &e) || !strstr(e.text, rows[i].says))
            fail_msg("row %zu: \"%s\"", i, e.text);
        assert_null(t);
    }
}

/* ---- documents through the whole preparation ------------------------------------------------------------------------------------------------------------ */

typedef struct Stop { Server *s; int after; } Stop;

static bool stop_after(void *user)
{
    const Stop *k = user;
    return k->after && atomic_load(&k->s->asked) >= k->after;
}

static void write_text(const char *dir, const char *name, const char *text)
{
    char *path = path_join(dir, name);
    Err   e;
    if (file_write_atomic(path, text, strlen(text), &e))
        fail_msg("%s", e.text);
    free(path);
}

/* Twelve manuals of a few passages. */
static void write_manuals(const char *dir)
{
    static const char *const part[] = { "Pump", "Valve", "Filter", "Motor", "Sensor", "Housing", "Switch", "Cable", "Gasket", "Nozzle", "Tank", "Hose" };
    for (size_t d = 0; d < ARRAY_LEN(part); d++) {
        StrBuf text = { 0 };
        char   name[32];
        strbuf_addf(&text, "# Manual of the %s\n\n", part[d]);
        for (size_t i = 0; i < 4; i++) {
            strbuf_addf(&text, "## Chapter %zu\n\n", i + 1);
            for (size_t k = 0; k < 3; k++)
                strbuf_addf(&text, "%s number %zu of series %zu weighs %zu grams and withstands a pressure of %zu bars%s. ", part[d], i * 10 + k, d, 100 + d * 37 + i * 11 + k,
                            3 + k * d, d == 3 && k == 1 ? ", which is doubtful" : "");
            strbuf_addz(&text, "\n\n");
        }
        snprintf(name, sizeof name, "%s.md", part[d]);
        write_text(dir, name, text.p);
        strbuf_release(&text);
    }
}

typedef struct Run { Server *s; const char *docs, *out; int64_t in_flight, judge; int stop; const char *path, *pii, *sees; } Run;

static int prepare(Run r, PrepFacts *facts, Err *e)
{
    char     where[64];
    PrepCfg  c = { 0 };
    Stop     stop = { r.s, r.stop };
    cfg_defaults(prep_options, &c);
    const struct { const char *name, *value; } set[] = { { "out", r.out }, { "questions", "3" }, { "teacher", where }, { "teacher-model", "m" }, { "passage", "300" }, { "pii", r.pii ? r.pii : "off" },
                                                        { "teacher-sees", r.sees ? r.sees : "replaced" },
                                                        { "duplicates", "exact" }, { "validation", "0.2" }, { "test", "0.2" } };
    snprintf(where, sizeof where, "http://127.0.0.1:%d%s", http_port(r.s->http), r.path ? r.path : "/v1");
    for (size_t i = 0; i < ARRAY_LEN(set); i++)
        if (cfg_set(prep_options, &c, str_of(set[i].name), str_of(set[i].value), "test", e))
            fail_msg("%s", e->text);
    c.teacher_requests = r.in_flight;
    c.judge = r.judge;
    const char *inputs[] = { r.docs };
    int rc = prep_run(&c, inputs, 1, &(PrepHooks){ .user = &stop, .stop_asked = stop_after }, facts, e);
    cfg_release(prep_options, &c);
    return rc;
}

static size_t count_in(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, what)); p++)
        n++;
    return n;
}

static void test_documents(void **state)
{
    static const char *const files[] = { "train.jsonl", "validation.jsonl", "test.jsonl", "removed.jsonl", "decisions.jsonl", "manifest.json" };
    Server   *s = server();
    char     *dir = check_dir(), *docs = path_join(dir, "docs"), *one = path_join(dir, "one"), *many = path_join(dir, "many"), *stopped = path_join(dir, "stopped");
    PrepFacts f, g;
    Err       e = { 0 };
    (void)state;
    assert_int_equal(dir_make(docs, &e), 0);
    write_manuals(docs);
    if (prepare((Run){ s, docs, one, .in_flight = 1, .judge = 4 }, &f, &e))
        fail_msg("%s", e.text);
    const int asked = atomic_load(&s->asked);
    assert_int_equal(asked, 2 * f.passages); /* pairs and scores, each once */
    assert_int_equal(f.passages, 48);
    /* what the teacher made up is out, and what it doubts itself; the rest is in, as conversations that say where they are from */
    char *removed = check_read(one, "removed.jsonl"), *train = check_read(one, "train.jsonl");
    assert_int_equal(count_in(removed, "\"reason\":\"unsupported_number: a number is not in the passage\""), f.passages);
    assert_int_equal(count_in(removed, "\"reason\":\"low_score: the teacher gives the pair 2 of 5\""), 4);
    assert_int_equal(count_in(train, "98765") + count_in(train, "doubtful") + count_in(train, "refused"), 0);
    assert_int_equal(f.part[1] + f.part[2] + f.part[3], 12 * 4 * 3 - 4);
    assert_true(f.part[2] > 0 && f.part[3] > 0);
    assert_int_equal(count_in(train, "{\"role\":\"user\",\"content\":\"What holds for "), f.part[1]);
    assert_int_equal(count_in(train, "\"teacher\":\"m at http://127.0.0.1:"), f.part[1]);
    assert_int_equal(count_in(train, "\"grounding\":1"), f.part[1]);
    assert_int_equal(count_in(train, "\"section\":\"Manual of the "), f.part[1]);
    /* no document in two parts */
    char *part[3] = { train, check_read(one, "validation.jsonl"), check_read(one, "test.jsonl") };
    FileList list;
    assert_int_equal(file_list(&list, docs, &e), 0);
    assert_int_equal(list.n, 12);
    for (size_t i = 0; i < list.n; i++) {
        int in = 0;
        for (int k = 0; k < 3; k++)
            in += strstr(part[k], list.name[i]) != NULL;
        if (in != 1)
            fail_msg("%s is in %d parts", list.name[i], in);
    }
    file_list_release(&list);
    /* many requests at once give the same bytes */
    assert_int_equal(prepare((Run){ s, docs, many, .in_flight = 16, .judge = 4 }, &g, &e), 0);
    assert_true(atomic_load(&s->most_at_once) > 2);
    /* stopped twice and gone on: nothing is asked again, and the bytes are the same */
    const int before = atomic_load(&s->asked);
    assert_int_equal(prepare((Run){ s, docs, stopped, .in_flight = 4, .judge = 4, .stop = before + 20 }, &g, &e), ERR_STOP);
    check_says(&e, ERR_STOP, "answers are kept, and the same command goes on from there");
    assert_int_equal(prepare((Run){ s, docs, stopped, .in_flight = 4, .judge = 4, .stop = before + 70 }, &g, &e), ERR_STOP);
    if (prepare((Run){ s, docs, stopped, .in_flight = 4, .judge = 4 }, &g, &e))
        fail_msg("%s", e.text);
    assert_in_range(atomic_load(&s->asked) - before, asked, asked + 2 * 4); /* those in flight at a stop are lost */
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char *a = check_read(one, files[i]), *b = check_read(many, files[i]), *c = check_read(stopped, files[i]);
        if (strcmp(a, b) || strcmp(a, c))
            fail_msg("%s differs", files[i]);
        free(a);
        free(b);
        free(c);
    }
    for (int k = 0; k < 3; k++)
        free(part[k]);
    free(removed);
    free(docs);
    free(one);
    free(many);
    free(stopped);
    check_dir_done(dir);
    server_close(s);
}

/* No judge: one request for each passage. Nothing to read in the answers: a sentence, and the answers are kept. A server that is gone: the same. */
static void test_document_ends(void **state)
{
    Server   *s = server();
    char     *dir = check_dir(), *docs = path_join(dir, "docs"), *out = path_join(dir, "out"), *bad = path_join(dir, "bad"), *cut = path_join(dir, "cut");
    PrepFacts f;
    Err       e = { 0 };
    (void)state;
    assert_int_equal(dir_make(docs, &e), 0);
    write_text(docs, "a.txt", "The lamp weighs 300 grams. The stand of the lamp weighs 700 grams.\n");
    write_text(docs, "empty.txt", "\n\n");
    assert_int_equal(prepare((Run){ s, docs, out, .in_flight = 1 }, &f, &e), 0);
    assert_int_equal(f.passages, 1);
    assert_int_equal(f.pairs_made, 3);
    assert_int_equal(atomic_load(&s->asked), 1);
    char *decisions = check_read(out, "decisions.jsonl");
    assert_non_null(strstr(decisions, "plain text, 1 passages: 2 pairs kept, 1 refused, 0 answers not read"));
    assert_non_null(strstr(decisions, "plain text, 0 passages: 0 pairs kept, 0 refused, 0 answers not read"));
    free(decisions);
    assert_int_equal(prepare((Run){ s, docs, cut, .in_flight = 1, .path = "/cut" }, &f, &e), ERR_WORK);
    check_says(&e, ERR_WORK, "no usable pair came out of 1 passages: 1 answers of http://127.0.0.1:");
    check_says(&e, ERR_WORK, "(the first: unreadable_answer: there is no JSON in it; ");
    log_stderr(false);
    assert_int_equal(prepare((Run){ s, docs, bad, .in_flight = 1, .path = "/nomodel" }, &f, &e), ERR_WORK);
    check_says(&e, ERR_WORK, "0 answers are kept, and the same command goes on from there: http://127.0.0.1:");
    log_stderr(true);
    /* the same folder again, and now the server is well: another address is another command, and nothing of the first is in the way */
    assert_int_equal(prepare((Run){ s, docs, bad, .in_flight = 1 }, &f, &e), 0);
    assert_int_equal(f.part[1] + f.part[2] + f.part[3], 2);
    free(docs);
    free(out);
    free(bad);
    free(cut);
    check_dir_done(dir);
    server_close(s);
}

/* What an address is sent holds no personal data that was found in the document; what it answers is told back with the document's own values, which then leave by
 * the way that --pii names, and are found again by the index of persons. */
static void test_personal_data(void **state)
{
    static const char *const own[] = { "Anna Schmidt", "DE89370400440532013000" };
    static const char *const ways[] = { "replace", "redact", "hash" };
    Server    *s = server();
    char      *dir = check_dir(), *docs = path_join(dir, "docs");
    PrepFacts  f;
    Err        e = { 0 };
    (void)state;
    assert_int_equal(dir_make(docs, &e), 0);
    write_text(docs, "a.txt", "The lamp is repaired by Anna Schmidt, account DE89370400440532013000, within 3 days. The stand of the lamp weighs 700 grams.\n");
    for (size_t w = 0; w < ARRAY_LEN(ways); w++) {
        char *out = path_join(dir, ways[w]);
        if (prepare((Run){ s, docs, out, .in_flight = 1, .pii = ways[w] }, &f, &e))
            fail_msg("%s", e.text);
        assert_non_null(strstr(s->last, "The lamp is repaired by"));
        for (size_t i = 0; i < ARRAY_LEN(own); i++) {
            ReviewRows rows = { 0 };
            char      *train = check_read(out, "train.jsonl"), *parts[] = { train, check_read(out, "validation.jsonl"), check_read(out, "test.jsonl"), check_read(out, "removed.jsonl") };
            if (strstr(s->last, own[i]))
                fail_msg("--pii %s: %s was sent", ways[w], own[i]);
            for (size_t k = 0; k < ARRAY_LEN(parts); k++) {
                assert_null(strstr(parts[k], own[i]));
                free(parts[k]);
            }
            if (review_person(out, str_of(own[i]), NULL, &rows, &e))
                fail_msg("%s", e.text);
            assert_true(rows.n >= 2); /* both pairs hold the passage beside them */
            vec_release(&rows);
        }
        free(out);
    }
    char *out = path_join(dir, "drop");
    assert_int_equal(prepare((Run){ s, docs, out, .in_flight = 1, .pii = "drop" }, &f, &e), ERR_WORK);
    check_says(&e, ERR_WORK, "withheld: the passage has personal data (--pii drop), so it was not sent");
    free(out);
    const int before = atomic_load(&s->asked);
    assert_int_equal(before, 3);
    out = path_join(dir, "original"); /* this machine, and the user says so */
    assert_int_equal(prepare((Run){ s, docs, out, .in_flight = 1, .pii = "replace", .sees = "original" }, &f, &e), 0);
    assert_non_null(strstr(s->last, own[0]));
    free(out);
    free(docs);
    check_dir_done(dir);
    server_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),   cmocka_unit_test(test_again),     cmocka_unit_test(test_refusals),  cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_addresses), cmocka_unit_test(test_options), cmocka_unit_test(test_documents),
        cmocka_unit_test(test_document_ends), cmocka_unit_test(test_personal_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
