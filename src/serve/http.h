/* http.h - a small HTTP/1.1 server for this machine alone: a table of routes, answered by a pool of threads.
 * Main struct: Http. It listens on 127.0.0.1 and nothing else, and every request passes the same gates, in this order, before a route sees it:
 *   Host       127.0.0.1, localhost or [::1] with our port: a page elsewhere whose name was bent to this address is refused (DNS rebinding) - 403
 *   route      404; known path, other method: 405 with Allow
 *   token      64 hex digits from the system's random source. Either "Authorization: Bearer TOKEN", or the cookie that GET PATH?token=TOKEN
 *              sets before it leads on to PATH (so the token leaves the address bar) - 401
 *   origin     a request with a body must not come from another origin, by Origin and Sec-Fetch-Site - 403
 *   body       at most the route's bound, JSON where there is one - 413, 415
 * Every answer forbids foreign scripts, styles, frames and connections (Content-Security-Policy), guessing of types, caching and referrers; there are
 * no CORS headers. What a client can make the server hold: HTTP_CLIENTS connections, HTTP_HEADERS_MAX bytes of headers each, one body each.
 * To add a route: a row in the caller's table. */
#ifndef HONE_SERVE_HTTP_H
#define HONE_SERVE_HTTP_H

#include "base/err.h"
#include "base/str.h"

#define HTTP_CLIENTS     64
#define HTTP_HEADERS_MAX ((size_t)32 << 10)
#define HTTP_IDLE_SECONDS 60u                /* a connection that says nothing for so long is closed */
#define HTTP_TOKEN_HEX   65                  /* 64 digits and the terminator */

typedef struct HttpRequest HttpRequest;
Str http_path(const HttpRequest *r);
Str http_body(const HttpRequest *r);
Str http_query(const HttpRequest *r, const char *key);    /* percent-decoded, any bytes; {NULL, 0}: absent */
Str http_header(const HttpRequest *r, const char *name);

typedef struct HttpAnswer {
    int         status;    /* 200 unless set */
    const char *type;      /* "application/json" unless set */
    StrBuf      body;
    Str         fixed;     /* in the place of body: bytes that live as long as the server */
} HttpAnswer;
/* {"error": "sentence"} with a status. */
void http_refuse(HttpAnswer *a, int status, const char *fmt, ...) PRINTF_LIKE(3, 4);

typedef void (*HttpFn)(void *user, const HttpRequest *r, HttpAnswer *a); /* called on any of the server's threads */

typedef struct HttpRoute {
    const char *method;    /* "GET" (HEAD is answered, too) or "POST" */
    const char *path;      /* as it is; a '*' at its end stands for any rest */
    HttpFn      fn;
    size_t      body_max;  /* bytes; 0: no body */
    bool        open;      /* without a token */
} HttpRoute; /* a table ends with { 0 } */

typedef struct HttpOptions {
    int64_t          port;     /* 0: any free one */
    int              threads;  /* 1..64 */
    const HttpRoute *routes;
    void            *user;
} HttpOptions;

typedef struct Http Http;
int         http_open(Http **h, const HttpOptions *o, Err *e); /* ERR_ARG: no such port; ERR_IO: the port is taken */
int         http_port(const Http *h);
const char *http_token(const Http *h);
void        http_close(Http *h);                               /* answers what is being worked on, then stops; NULL is fine */

#endif
