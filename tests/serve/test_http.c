/* test_http.c - the gates of the server over a real socket: Host, token by link, cookie and header, methods, origin, type and length of bodies in both
 * codings, broken requests, many clients, clean stop; and the routes of the review page with its files. */
#include "base/check.h"

#include "prep/review_int.h"
#include "serve/console.h"
#include "serve/review_page.h"
#include "../prep/review_sample.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/time.h>

/* --- a client that says exactly what it is told ------------------------------------------------------------------------------------------------- */

static int dial(int port)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int                fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval     patience = { 20, 0 };
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

/* Sends the bytes, reads to the end (the request says Connection: close). The answer is owned. */
static char *talk(int port, const char *bytes, size_t n)
{
    StrBuf out = { 0 };
    char   piece[4096];
    int    fd = dial(port);
    for (size_t done = 0; done < n;) {
        ssize_t k = send(fd, bytes + done, n - done, MSG_NOSIGNAL);
        if (k <= 0)
            break; /* refused while we were still speaking: the answer is there */
        done += (size_t)k;
    }
    for (ssize_t k; (k = recv(fd, piece, sizeof piece, 0)) > 0;)
        strbuf_add(&out, piece, (size_t)k);
    close(fd);
    return strbuf_take(&out);
}

typedef struct Ask { const char *method, *path, *headers, *body; const char *host; bool no_token; } Ask;

static char *request(const Http *h, Ask a)
{
    StrBuf b = { 0 };
    strbuf_addf(&b, "%s %s HTTP/1.1\r\nConnection: close\r\n", a.method, a.path);
    if (a.host)
        strbuf_addf(&b, "%s", a.host);
    else
        strbuf_addf(&b, "Host: 127.0.0.1:%d\r\n", http_port(h));
    if (!a.no_token)
        strbuf_addf(&b, "Authorization: Bearer %s\r\n", http_token(h));
    if (a.headers)
        strbuf_addz(&b, a.headers);
    if (a.body)
        strbuf_addf(&b, "Content-Length: %zu\r\n", strlen(a.body));
    strbuf_addz(&b, "\r\n");
    if (a.body)
        strbuf_addz(&b, a.body);
    char *answer = talk(http_port(h), b.p, b.n);
    strbuf_release(&b);
    return answer;
}

static void expect(const Http *h, Ask a, int status, const char *says)
{
    char *answer = request(h, a), want[32];
    snprintf(want, sizeof want, "HTTP/1.1 %d ", status);
    if (!str_starts(str_of(answer), want) || (says && !strstr(answer, says)))
        fail_msg("%s %s: expected %d and \"%s\", got: %.600s", a.method, a.path, status, says ? says : "", answer);
    free(answer);
}

/* --- the server alone ---------------------------------------------------------------------------------------------------------------------------- */

static void echo(void *user, const HttpRequest *r, HttpAnswer *a)
{
    (void)user;
    Str q = http_query(r, "q");
    strbuf_addf(&a->body, "[%s|%.*s|%.*s]", http_path(r).p, (int)q.n, q.p ? q.p : "", (int)http_body(r).n, http_body(r).p ? http_body(r).p : "");
}

static const HttpRoute echo_routes[] = {
    { "GET",  "/",      echo, 0,    false },
    { "GET",  "/open",  echo, 0,    true  },
    { "GET",  "/any/*", echo, 0,    false },
    { "POST", "/take",  echo, 1000, false },
    { 0 },
};

static Http *server(void)
{
    Http *h;
    Err   e;
    if (http_open(&h, &(HttpOptions){ .threads = 3, .routes = echo_routes }, &e))
        fail_msg("%s", e.text);
    return h;
}

#define JSON_TYPE "Content-Type: application/json\r\n"

static void test_gates(void **state)
{
    Http *h = server();
    char  own[128], other[64];
    (void)state;
    expect(h, (Ask){ "GET", "/" }, 200, "[/||]");
    expect(h, (Ask){ "GET", "/any/thing?q=a%20b%00c" }, 200, "[/any/thing|a b");
    expect(h, (Ask){ "GET", "/none" }, 404, "there is nothing at /none");
    expect(h, (Ask){ "DELETE", "/" }, 405, "Allow: GET, HEAD");
    expect(h, (Ask){ "GET", "/take" }, 405, "Allow: POST");
    expect(h, (Ask){ "POST", "/", JSON_TYPE, "{}" }, 405, NULL);
    expect(h, (Ask){ "OPTIONS", "/take" }, 405, NULL); /* no CORS preflight succeeds */
    /* Host */
    expect(h, (Ask){ "GET", "/", .host = "" }, 400, NULL);
    expect(h, (Ask){ "GET", "/", .host = "Host: evil.example\r\n" }, 403, "127.0.0.1");
    expect(h, (Ask){ "GET", "/open", .host = "Host: evil.example\r\n" }, 403, NULL);
    snprintf(other, sizeof other, "Host: evil.example:%d\r\n", http_port(h));
    expect(h, (Ask){ "GET", "/", .host = other }, 403, NULL);
    snprintf(other, sizeof other, "Host: 127.0.0.1:%d.evil.example\r\n", http_port(h));
    expect(h, (Ask){ "GET", "/", .host = other }, 403, NULL);
    expect(h, (Ask){ "GET", "/", .host = "Host: 127.0.0.1\r\n" }, 403, NULL);
    snprintf(other, sizeof other, "Host: localhost:%d\r\n", http_port(h));
    expect(h, (Ask){ "GET", "/", .host = other }, 200, NULL);
    /* token */
    expect(h, (Ask){ "GET", "/", .no_token = true }, 401, "open the address");
    expect(h, (Ask){ "GET", "/open", .no_token = true }, 200, NULL);
    expect(h, (Ask){ "GET", "/", "Authorization: Bearer 0000\r\n", .no_token = true }, 401, NULL);
    expect(h, (Ask){ "GET", "/", "Authorization: Bearer \r\n", .no_token = true }, 401, NULL);
    expect(h, (Ask){ "GET", "/?token=", .no_token = true }, 401, NULL);
    expect(h, (Ask){ "POST", "/take", JSON_TYPE, "{}", .no_token = true }, 401, NULL);
    /* origin */
    expect(h, (Ask){ "POST", "/take", JSON_TYPE, "{}" }, 200, "[/take||{}]");
    expect(h, (Ask){ "POST", "/take", JSON_TYPE "Origin: http://evil.example\r\n", "{}" }, 403, "another page");
    expect(h, (Ask){ "POST", "/take", JSON_TYPE "Origin: null\r\n", "{}" }, 403, NULL);
    expect(h, (Ask){ "POST", "/take", JSON_TYPE "Sec-Fetch-Site: same-site\r\n", "{}" }, 403, NULL); /* another port of this machine */
    snprintf(own, sizeof own, JSON_TYPE "Origin: http://127.0.0.1:%d\r\n", http_port(h));
    expect(h, (Ask){ "POST", "/take", own, "{}" }, 200, NULL);
    expect(h, (Ask){ "POST", "/take", "Content-Type: text/plain\r\n", "{}" }, 415, NULL);
    expect(h, (Ask){ "POST", "/take", NULL, "{}" }, 415, NULL);
    http_close(h);
}

static void test_headers_and_link(void **state)
{
    static const char *const has[] = { "Content-Security-Policy: default-src 'none'", "frame-ancestors 'none'", "X-Content-Type-Options: nosniff", "Cache-Control: no-store",
                                       "Referrer-Policy: no-referrer", "Cross-Origin-Resource-Policy: same-origin" };
    Http *h = server();
    char  path[128], cookie[160];
    (void)state;
    Ask asks[] = { { "GET", "/" }, { "GET", "/none" }, { "GET", "/", .no_token = true } };
    for (size_t i = 0; i < ARRAY_LEN(asks); i++) { /* refusals, too */
        char *answer = request(h, asks[i]);
        for (size_t k = 0; k < ARRAY_LEN(has); k++)
            if (!strstr(answer, has[k]))
                fail_msg("no %s in %.900s", has[k], answer);
        assert_null(strstr(answer, "Access-Control"));
        free(answer);
    }
    assert_int_equal(strlen(http_token(h)), 64);
    snprintf(path, sizeof path, "/?token=%s", http_token(h));
    char *answer = request(h, (Ask){ "GET", path, .no_token = true });
    assert_true(str_starts(str_of(answer), "HTTP/1.1 303 "));
    assert_non_null(strstr(answer, "Location: /\r\n"));
    assert_non_null(strstr(answer, "HttpOnly; SameSite=Strict; Path=/"));
    free(answer);
    snprintf(cookie, sizeof cookie, "Cookie: hone_%d=%s\r\n", http_port(h), http_token(h));
    expect(h, (Ask){ "GET", "/", cookie, .no_token = true }, 200, NULL);
    cookie[strlen(cookie) - 3] ^= 1;
    expect(h, (Ask){ "GET", "/", cookie, .no_token = true }, 401, NULL);
    answer = request(h, (Ask){ "HEAD", "/" });
    assert_true(str_starts(str_of(answer), "HTTP/1.1 200 "));
    assert_true(str_ends(str_of(answer), "\r\n\r\n"));
    free(answer);
    Http *second = server();
    assert_string_not_equal(http_token(h), http_token(second));
    http_close(second);
    http_close(h);
}

static void test_bodies(void **state)
{
    Http  *h = server();
    StrBuf b = { 0 };
    char   text[2000];
    (void)state;
    memset(text, 'x', sizeof text);
    text[1000] = '\0';
    expect(h, (Ask){ "POST", "/take", JSON_TYPE, text }, 200, "xxx]");
    text[1000] = 'x', text[1001] = '\0';
    expect(h, (Ask){ "POST", "/take", JSON_TYPE, text }, 413, "at most 1000 are read");
    expect(h, (Ask){ "GET", "/", NULL, "a body where none is read" }, 413, NULL);
    for (int pieces = 2; pieces <= 6; pieces += 2) { /* 250 bytes each, the length not said in advance */
        strbuf_clear(&b);
        strbuf_addf(&b, "POST /take HTTP/1.1\r\nConnection: close\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\n" JSON_TYPE "Transfer-Encoding: chunked\r\n\r\n", http_port(h),
                    http_token(h));
        for (int i = 0; i < pieces; i++)
            strbuf_addf(&b, "fa\r\n%.250s\r\n", text);
        strbuf_addz(&b, "0\r\n\r\n");
        char *answer = talk(http_port(h), b.p, b.n);
        assert_true(str_starts(str_of(answer), pieces <= 4 ? "HTTP/1.1 200 " : "HTTP/1.1 413 "));
        free(answer);
    }
    strbuf_release(&b);
    http_close(h);
}

static void test_broken_requests(void **state)
{
    static const char *const bytes[] = {
        "", "\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\x16\x03\x01\x02\x00\x01", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n",
        "POST /take HTTP/1.1\r\nContent-Length: -1\r\nConnection: close\r\n\r\n", "POST /take HTTP/1.1\r\nContent-Length: 99999999999999999999\r\nConnection: close\r\n\r\n",
        "POST /take HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n",
    };
    Http  *h = server();
    StrBuf b = { 0 };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bytes); i++) {
        int fd = dial(http_port(h));
        send(fd, bytes[i], strlen(bytes[i]), MSG_NOSIGNAL);
        shutdown(fd, SHUT_WR);
        char buf[2048];
        ssize_t n = recv(fd, buf, sizeof buf - 1, 0);
        if (n > 0) {
            buf[n] = '\0';
            assert_null(strstr(buf, " 200 "));
        }
        close(fd);
    }
    strbuf_addf(&b, "GET /?q="); /* more headers than are held */
    for (int i = 0; i < 5000; i++)
        strbuf_addz(&b, "aaaaaaaaaa");
    strbuf_addz(&b, " HTTP/1.1\r\n\r\n");
    char *answer = talk(http_port(h), b.p, b.n);
    assert_null(strstr(answer, " 200 "));
    free(answer);
    strbuf_release(&b);
    expect(h, (Ask){ "GET", "/" }, 200, NULL); /* and it still answers */
    http_close(h);
}

static void *many(void *user)
{
    for (int i = 0; i < 25; i++) {
        char *answer = request(user, (Ask){ "POST", "/take", JSON_TYPE, "{\"a\":1}" });
        if (!strstr(answer, "[/take||{\"a\":1}]"))
            return answer;
        free(answer);
    }
    return NULL;
}

static void test_many_clients(void **state)
{
    Http     *h = server();
    pthread_t thread[8];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(thread); i++)
        assert_int_equal(pthread_create(&thread[i], NULL, many, h), 0);
    for (size_t i = 0; i < ARRAY_LEN(thread); i++) {
        void *wrong;
        pthread_join(thread[i], &wrong);
        assert_null(wrong);
    }
    int idle = dial(http_port(h)); /* a client that says nothing does not keep the server from stopping */
    http_close(h);
    close(idle);
}

static void test_ports(void **state)
{
    Http *h = server(), *second;
    Err   e = { 0 };
    (void)state;
    assert_int_equal(http_open(&second, &(HttpOptions){ .port = http_port(h), .threads = 2, .routes = echo_routes }, &e), ERR_IO);
    check_says(&e, ERR_IO, "cannot be listened on");
    assert_int_equal(http_open(&second, &(HttpOptions){ .port = 70000, .threads = 2, .routes = echo_routes }, &e), ERR_ARG);
    http_close(h);
    http_close(NULL);
}

/* --- the review page ------------------------------------------------------------------------------------------------------------------------------- */

static void test_review_page(void **state)
{
    char   *dir = check_dir();
    Review *r;
    Http   *h;
    Err     e;
    Str     file;
    (void)state;
    sample_folder(dir, true);
    if (review_open(&r, dir, &(ReviewOptions){ 0 }, &e) || review_page_open(&h, r, 0, &e))
        fail_msg("%s", e.text);
    expect(h, (Ask){ "GET", "/" }, 200, "<!doctype html>");
    expect(h, (Ask){ "GET", "/review.js" }, 200, "text/javascript");
    expect(h, (Ask){ "GET", "/review.css" }, 200, "text/css");
    expect(h, (Ask){ "GET", "/review.js", .no_token = true }, 401, NULL);
    expect(h, (Ask){ "GET", "/../../etc/passwd" }, 404, NULL);
    expect(h, (Ask){ "GET", "/api/facts" }, 200, "\"rows\":40");
    expect(h, (Ask){ "GET", "/api/rows?parts=1&from=2&n=3&pass=quality&look=open&reviewer=Ann" }, 200, "\"count\":5");
    expect(h, (Ask){ "GET", "/api/rows?look=strange" }, 400, "\"error\"");
    expect(h, (Ask){ "GET", "/api/rows?n=501" }, 400, NULL);
    expect(h, (Ask){ "GET", "/api/rows?from=-1" }, 400, NULL);
    expect(h, (Ask){ "GET", "/api/rows?least=abc" }, 400, "\\\"least\\\" should be a number");
    expect(h, (Ask){ "GET", "/api/rows?least=nan" }, 400, NULL);
    expect(h, (Ask){ "GET", "/api/rows?kind=999" }, 400, NULL);
    expect(h, (Ask){ "GET", "/api/rows?text=%ff" }, 400, "UTF-8");
    expect(h, (Ask){ "GET", "/api/row?id=33" }, 200, "\"near duplicate\"");
    expect(h, (Ask){ "GET", "/api/row?id=41" }, 400, "there is no row 41");
    expect(h, (Ask){ "GET", "/api/row" }, 400, NULL);
    expect(h, (Ask){ "POST", "/api/act", JSON_TYPE, "{\"action\":\"reject\",\"reviewer\":\"Ann\",\"row\":5}" }, 200, "{\"row\":5}");
    expect(h, (Ask){ "POST", "/api/act", JSON_TYPE, "{\"action\":\"fly\",\"reviewer\":\"Ann\",\"row\":5}" }, 400, "no action");
    expect(h, (Ask){ "POST", "/api/act", JSON_TYPE, "{\"action\":\"accept\",\"row\":5}" }, 400, "reviewer");
    expect(h, (Ask){ "POST", "/api/act", JSON_TYPE, "[" }, 400, NULL);
    expect(h, (Ask){ "POST", "/api/act", JSON_TYPE, "{\"action\":\"accept\",\"reviewer\":\"Ann\",\"row\":5,\"row_new\":{}}" }, 400, "only an edit");
    char *log = path_join(dir, "review.jsonl"), *text;
    size_t n;
    assert_int_equal(file_read_text(log, &text, &n, &e), 0);
    assert_non_null(strstr(text, "{\"n\":1,\"row\":5,\"reviewer\":\"Ann\",\"action\":\"reject\""));
    free(text);
    free(log);
    http_close(h);
    review_close(r);
    /* nothing on the page comes from elsewhere, and no script or style stands in the page itself, which the policy would stop */
    assert_true(console_find("review.html", &file));
    text = mem_strndup(file.p, file.n);
    assert_null(strstr(text, "http:"));
    assert_null(strstr(text, "https:"));
    assert_null(strstr(text, " style="));
    assert_null(strstr(text, "<script>"));
    assert_null(strstr(text, " onclick"));
    free(text);
    assert_true(console_find("review.js", &file));
    text = mem_strndup(file.p, file.n);
    assert_null(strstr(text, "innerHTML")); /* texts of the data are text nodes */
    assert_null(strstr(text, "eval("));
    free(text);
    check_dir_done(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gates),
        cmocka_unit_test(test_headers_and_link),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_broken_requests),
        cmocka_unit_test(test_many_clients),
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_review_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
