/* http.c - see http.h. Over libmicrohttpd, which parses the protocol; the gates, the routes and the bounds are here.
 * A request lives from the first call of on_request to on_done. MHD wants refusals before the body is read, so all gates but the body's length in chunked
 * form are tried in the first call. */
#include "serve/http.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"

#define DISCARD_MAX ((size_t)16 << 20) /* what is read past a bound so that the client hears why, and then no more */

struct Http {
    struct MHD_Daemon *daemon;
    HttpOptions        o;
    _Atomic int        port;                   /* 0 until the system has given one: nobody knows the address before */
    char               token[HTTP_TOKEN_HEX];
};

struct HttpRequest {
    const Http            *http;
    struct MHD_Connection *conn;
    const HttpRoute       *route;
    char                  *path;
    StrBuf                 body;
    size_t                 dropped;
};

typedef enum MHD_Result Result;

/* ---- what a route reads ---------------------------------------------------------------------------------------------------------------------------- */

Str http_path(const HttpRequest *r) { return str_of(r->path); }
Str http_body(const HttpRequest *r) { return strbuf_str(&r->body); }

static Str lookup(struct MHD_Connection *c, enum MHD_ValueKind kind, const char *key)
{
    const char *value = NULL;
    size_t      n = 0;
    if (MHD_lookup_connection_value_n(c, kind, key, strlen(key), &value, &n) != MHD_YES || !value)
        return (Str){ 0 };
    return (Str){ value, n };
}

Str http_query(const HttpRequest *r, const char *key) { return lookup(r->conn, MHD_GET_ARGUMENT_KIND, key); }
Str http_header(const HttpRequest *r, const char *name) { return lookup(r->conn, MHD_HEADER_KIND, name); }

void http_refuse(HttpAnswer *a, int status, const char *fmt, ...)
{
    char    text[1024];
    va_list ap;
    va_start(ap, fmt);
    utf8_vformat(text, sizeof text, fmt, ap);
    va_end(ap);
    a->status = status;
    a->type = NULL;
    a->fixed = (Str){ 0 };
    strbuf_clear(&a->body);
    strbuf_addz(&a->body, "{\"error\":");
    json_write_string(&a->body, str_of(text));
    strbuf_addc(&a->body, '}');
}

/* ---- answers --------------------------------------------------------------------------------------------------------------------------------------- */

static const char *const fixed_headers[][2] = {
    { "Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
                                 "frame-ancestors 'none'" },
    { "X-Content-Type-Options", "nosniff" },
    { "X-Frame-Options", "DENY" },
    { "Referrer-Policy", "no-referrer" },
    { "Cache-Control", "no-store" },
    { "Cross-Origin-Resource-Policy", "same-origin" },
    { "Cross-Origin-Opener-Policy", "same-origin" },
};

static Result send_answer(struct MHD_Connection *c, HttpAnswer *a, const char *name, const char *value)
{
    struct MHD_Response *r;
    if (a->fixed.p) {
        r = MHD_create_response_from_buffer(a->fixed.n, (void *)(uintptr_t)a->fixed.p, MHD_RESPMEM_PERSISTENT);
        strbuf_release(&a->body);
    } else {
        size_t n = a->body.n;
        r = MHD_create_response_from_buffer(n, strbuf_take(&a->body), MHD_RESPMEM_MUST_FREE);
    }
    if (!r)
        return MHD_NO;
    for (size_t i = 0; i < ARRAY_LEN(fixed_headers); i++)
        MHD_add_response_header(r, fixed_headers[i][0], fixed_headers[i][1]);
    MHD_add_response_header(r, "Content-Type", a->type ? a->type : "application/json");
    if (name)
        MHD_add_response_header(r, name, value);
    Result rc = MHD_queue_response(c, (unsigned)(a->status ? a->status : MHD_HTTP_OK), r);
    MHD_destroy_response(r);
    return rc;
}

/* ---- gates ----------------------------------------------------------------------------------------------------------------------------------------- */

static bool host_ours(const Http *h, Str host)
{
    static const char *const names[] = { "127.0.0.1", "localhost", "[::1]" };
    char text[32];
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(text, sizeof text, "%s:%d", names[i], h->port);
        if (str_eqz(host, text))
            return true;
    }
    return false;
}

/* In the same time wherever they differ. */
static bool same_secret(Str given, const char *secret)
{
    unsigned char diff = given.n == strlen(secret) ? 0 : 1;
    for (size_t i = 0; secret[i]; i++)
        diff = (unsigned char)(diff | (unsigned char)((given.n ? given.p[i % given.n] : 0) ^ secret[i]));
    return !diff;
}

/* The cookie's name has the port, since cookies do not know ports. */
static void cookie_name(const Http *h, char name[32]) { snprintf(name, 32, "hone_%d", h->port); }

static bool has_token(const HttpRequest *r)
{
    char name[32];
    Str auth = http_header(r, "Authorization");
    if (str_starts(auth, "Bearer "))
        return same_secret((Str){ auth.p + 7, auth.n - 7 }, r->http->token);
    cookie_name(r->http, name);
    return same_secret(lookup(r->conn, MHD_COOKIE_KIND, name), r->http->token);
}

static bool origin_ours(const HttpRequest *r)
{
    Str origin = http_header(r, "Origin"), site = http_header(r, "Sec-Fetch-Site");
    if (site.n && !str_eqz(site, "same-origin") && !str_eqz(site, "none"))
        return false;
    return !origin.n || (str_starts(origin, "http://") && host_ours(r->http, (Str){ origin.p + 7, origin.n - 7 }));
}

static bool route_fits(const HttpRoute *route, const char *path)
{
    size_t n = strlen(route->path);
    return route->path[n - 1] == '*' ? !strncmp(path, route->path, n - 1) : !strcmp(path, route->path);
}

/* The route of the request, or what keeps it from one. */
static const HttpRoute *find_route(const Http *h, const char *path, const char *method, const char **allow)
{
    if (!strcmp(method, "HEAD"))
        method = "GET";
    *allow = NULL;
    for (const HttpRoute *route = h->o.routes; route->path; route++) {
        if (!route_fits(route, path))
            continue;
        if (!strcmp(route->method, method))
            return route;
        *allow = route->method;
    }
    return NULL;
}

static void check_body(const HttpRequest *r, HttpAnswer *a)
{
    Str      length = http_header(r, "Content-Length"), type = http_header(r, "Content-Type");
    uint64_t n = 0;
    if (!r->route->body_max)
        return;
    if (!origin_ours(r)) {
        http_refuse(a, MHD_HTTP_FORBIDDEN, "this request comes from another page; only the page that this server sends may ask for changes");
        return;
    }
    for (size_t i = 0; i < length.n && n < (uint64_t)1 << 50; i++)
        n = n * 10 + (uint64_t)(length.p[i] - '0'); /* MHD has seen that they are digits */
    if (n > r->route->body_max)
        http_refuse(a, MHD_HTTP_CONTENT_TOO_LARGE, "the request has %llu bytes; at most %zu are read", (unsigned long long)n, r->route->body_max);
    else if (!str_starts(type, "application/json")) /* a plain form of another page cannot send this type */
        http_refuse(a, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "send JSON, with Content-Type: application/json");
}

/* GET PATH?token=TOKEN: the cookie, and on to PATH. The cookie is for this address only, is not shown to scripts, and does not go out with requests that
 * other sites cause. */
static Result let_in(const HttpRequest *r)
{
    char cookie[160], name[32];
    cookie_name(r->http, name);
    snprintf(cookie, sizeof cookie, "%s=%s; HttpOnly; SameSite=Strict; Path=/", name, r->http->token);
    struct MHD_Response *answer = MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);
    if (!answer)
        return MHD_NO;
    for (size_t i = 0; i < ARRAY_LEN(fixed_headers); i++)
        MHD_add_response_header(answer, fixed_headers[i][0], fixed_headers[i][1]);
    MHD_add_response_header(answer, "Set-Cookie", cookie);
    MHD_add_response_header(answer, "Location", r->route->path); /* a row of our table, never what was asked for */
    Result rc = MHD_queue_response(r->conn, MHD_HTTP_SEE_OTHER, answer);
    MHD_destroy_response(answer);
    return rc;
}

/* ---- one request ----------------------------------------------------------------------------------------------------------------------------------- */

/* *answered: the request ends here. */
static Result gates(HttpRequest *r, const char *method, bool *answered)
{
    HttpAnswer  a = { 0 };
    const char *allow = NULL;
    const Http *h = r->http;
    *answered = true;
    if (!host_ours(h, http_header(r, "Host"))) {
        http_refuse(&a, MHD_HTTP_FORBIDDEN, "this server answers for 127.0.0.1:%d only", h->port);
        return send_answer(r->conn, &a, NULL, NULL);
    }
    r->route = find_route(h, r->path, method, &allow);
    if (!r->route && allow) {
        http_refuse(&a, MHD_HTTP_METHOD_NOT_ALLOWED, "%s is for %s", r->path, allow);
        return send_answer(r->conn, &a, "Allow", strcmp(allow, "GET") ? allow : "GET, HEAD");
    }
    if (!r->route) {
        http_refuse(&a, MHD_HTTP_NOT_FOUND, "there is nothing at %s", r->path);
        return send_answer(r->conn, &a, NULL, NULL);
    }
    if (!r->route->open && !strcmp(r->route->method, "GET") && !strchr(r->route->path, '*') && same_secret(http_query(r, "token"), h->token))
        return let_in(r);
    if (!r->route->open && !has_token(r)) {
        http_refuse(&a, MHD_HTTP_UNAUTHORIZED, "the token is missing or of an earlier start; open the address that was printed at the start");
        return send_answer(r->conn, &a, "WWW-Authenticate", "Bearer");
    }
    check_body(r, &a);
    if (a.status)
        return send_answer(r->conn, &a, NULL, NULL);
    *answered = false;
    return MHD_YES;
}

static void take_body(HttpRequest *r, const char *data, size_t n)
{
    size_t room = r->route->body_max - MIN(r->body.n, r->route->body_max);
    if (n > room || r->dropped)
        r->dropped += n;
    else
        strbuf_add(&r->body, data, n);
}

static Result on_request(void *user, struct MHD_Connection *c, const char *url, const char *method, const char *version, const char *data, size_t *n, void **state)
{
    HttpRequest *r = *state;
    HttpAnswer   a = { 0 };
    bool         answered;
    (void)version;
    if (!r) {
        r = mem_zalloc(1, sizeof *r);
        *r = (HttpRequest){ .http = user, .conn = c, .path = mem_strdup(url) };
        *state = r;
        return gates(r, method, &answered);
    }
    if (*n) {
        take_body(r, data, *n);
        *n = 0;
        return r->dropped > DISCARD_MAX ? MHD_NO : MHD_YES;
    }
    if (r->dropped)
        http_refuse(&a, MHD_HTTP_CONTENT_TOO_LARGE, "the request has more than %zu bytes, the most that is read", r->route->body_max);
    else
        r->route->fn(r->http->o.user, r, &a);
    return send_answer(c, &a, NULL, NULL);
}

static void on_done(void *user, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode why)
{
    HttpRequest *r = *state;
    (void)user, (void)c, (void)why;
    if (!r)
        return;
    strbuf_release(&r->body);
    free(r->path);
    free(r);
    *state = NULL;
}

/* ---- life ------------------------------------------------------------------------------------------------------------------------------------------ */

static int make_token(Http *h, Err *e)
{
    unsigned char bytes[(HTTP_TOKEN_HEX - 1) / 2];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return err_sys(e, "no random numbers for the token");
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(h->token + 2 * i, 3, "%02x", bytes[i]);
    return 0;
}

int http_open(Http **out, const HttpOptions *o, Err *e)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)o->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    *out = NULL;
    if (o->port < 0 || o->port > 65535)
        return err_set(e, ERR_ARG, "port %lld: ports are 1 to 65535, and 0 is any free one", (long long)o->port);
    Http *h = mem_zalloc(1, sizeof *h);
    h->o = *o;
    int rc = make_token(h, e);
    if (!rc) {
        h->daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, (uint16_t)o->port, NULL, NULL, on_request, h, MHD_OPTION_SOCK_ADDR, &at,
                                     MHD_OPTION_THREAD_POOL_SIZE, (unsigned)o->threads, MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CLIENTS,
                                     MHD_OPTION_CONNECTION_TIMEOUT, HTTP_IDLE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, HTTP_HEADERS_MAX,
                                     MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_COMPLETED, on_done, NULL, MHD_OPTION_END);
        if (!h->daemon)
            rc = o->port ? err_sys(e, "port %lld of 127.0.0.1 cannot be listened on (choose another --port)", (long long)o->port)
                         : err_sys(e, "no port of 127.0.0.1 can be listened on");
    }
    if (rc) {
        free(h);
        return rc;
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_BIND_PORT);
    h->port = info ? info->port : (int)o->port;
    *out = h;
    return 0;
}

int http_port(const Http *h) { return h->port; }
const char *http_token(const Http *h) { return h->token; }

void http_close(Http *h)
{
    if (!h)
        return;
    MHD_stop_daemon(h->daemon);
    free(h);
}
