/* review_page.c - see review_page.h. */
#include "serve/review_page.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "serve/console.h"

#define PAGE_THREADS 4
#define ACT_MAX      (REVIEW_ROW_MAX + REVIEW_TEXT_MAX * 6 + 4096) /* a text may be six times as long in JSON */

static void send_json(HttpAnswer *a, Json *j)
{
    json_write(&a->body, j, false);
    json_free(j);
}

static void send_error(HttpAnswer *a, const Err *e)
{
    http_refuse(a, e->code == ERR_ARG || e->code == ERR_INPUT ? 400 : 500, "%s", e->text);
}

/* ---- files ---- */

static void send_file(void *user, const HttpRequest *r, HttpAnswer *a)
{
    const char *name = http_path(r).p + 1;
    (void)user;
    if (!*name)
        name = "review.html";
    if (!console_find(name, &a->fixed))
        http_refuse(a, 404, "there is no %s", name);
    else
        a->type = console_type(name);
}

/* ---- reading ---- */

/* A number of the query; absent: left alone. */
static bool take_num(const HttpRequest *r, const char *key, double *v, HttpAnswer *a)
{
    Str   s = http_query(r, key);
    char *text, *end;
    if (!s.n)
        return true;
    text = mem_strndup(s.p, s.n);
    *v = strtod(text, &end);
    bool good = !*end && strlen(text) == s.n && isfinite(*v);
    free(text);
    if (!good)
        http_refuse(a, 400, "\"%s\" should be a number", key);
    return good;
}

static bool take_whole(const HttpRequest *r, const char *key, int64_t min, int64_t max, int64_t *v, HttpAnswer *a)
{
    double d = (double)*v;
    if (!take_num(r, key, &d, a))
        return false;
    if (d != floor(d) || d < (double)min || d > (double)max) {
        http_refuse(a, 400, "\"%s\" should be a whole number from %lld to %lld", key, (long long)min, (long long)max);
        return false;
    }
    *v = (int64_t)d;
    return true;
}

static bool take_filter(const HttpRequest *r, ReviewFilter *f, HttpAnswer *a)
{
    int64_t parts = 0, kind = -1, turn = 0, down = 0;
    Str     look = http_query(r, "look"), sort = http_query(r, "sort");
    *f = REVIEW_ALL;
    if (!take_whole(r, "parts", 0, 15, &parts, a) || !take_whole(r, "kind", -1, UINT16_MAX, &kind, a) || !take_whole(r, "turn", 0, (int64_t)1 << 50, &turn, a) ||
        !take_whole(r, "down", 0, 1, &down, a) || !take_num(r, "least", &f->least, a) || !take_num(r, "most", &f->most, a))
        return false;
    if (sort.n && !review_sort_find(sort, &f->sort)) {
        http_refuse(a, 400, "\"sort\" is none of those that the page offers");
        return false;
    }
    if (look.n && !review_look_find(look, &f->look)) {
        http_refuse(a, 400, "\"look\" is none of those that the page offers");
        return false;
    }
    f->parts = (unsigned)parts;
    f->kind = (int)kind;
    f->turn = (uint64_t)turn;
    f->down = down;
    f->pass = http_query(r, "pass");
    f->action = http_query(r, "action");
    f->reviewer = http_query(r, "reviewer");
    f->label = http_query(r, "label");
    f->column = http_query(r, "column");
    f->value = http_query(r, "value");
    f->text = http_query(r, "text");
    return true;
}

static void send_facts(void *user, const HttpRequest *r, HttpAnswer *a)
{
    Json *j = NULL;
    (void)r;
    review_facts(user, &j);
    send_json(a, j);
}

static void send_rows(void *user, const HttpRequest *r, HttpAnswer *a)
{
    ReviewFilter f;
    int64_t      from = 0, n = 50;
    Json        *j = NULL;
    Err          e = { 0 };
    if (!take_filter(r, &f, a) || !take_whole(r, "from", 0, UINT32_MAX, &from, a) || !take_whole(r, "n", 0, REVIEW_PAGE_MAX, &n, a))
        return;
    if (review_rows(user, &f, (size_t)from, (size_t)n, &j, &e))
        send_error(a, &e);
    else
        send_json(a, j);
}

static void send_row(void *user, const HttpRequest *r, HttpAnswer *a)
{
    int64_t id = 0;
    Json   *j = NULL;
    Err     e = { 0 };
    if (!take_whole(r, "id", 1, UINT32_MAX, &id, a))
        return;
    if (review_row(user, id, &j, &e))
        send_error(a, &e);
    else
        send_json(a, j);
}

/* ---- acting ---- */

static int read_act(const Json *j, ReviewAct *act, Err *e)
{
    static const char where[] = "the request";
    Str action = { 0 };
    int rc;
    if (json_kind(j) != JSON_OBJECT)
        return err_set(e, ERR_ARG, "the request should be an object, it is %s", json_kind_name(j));
    if ((rc = json_need_str(j, "action", &action, where, e)) || (rc = json_need_str(j, "reviewer", &act->reviewer, where, e)) ||
        (rc = json_opt_int(j, "row", &act->row, where, e)) || (rc = json_opt_str(j, "text", &act->text, where, e)) || (rc = json_opt_int(j, "edit", &act->edit, where, e)))
        return rc;
    if (!review_kind_find(action, &act->kind))
        return err_set(e, ERR_ARG, "the request: \"%.*s\" is no action", (int)MIN(action.n, 40), action.p);
    act->row_new = json_get(j, "row_new");
    if (act->row_new && act->kind != REVIEW_EDIT)
        return err_set(e, ERR_ARG, "the request: only an edit has a \"row_new\"");
    return 0;
}

void review_page_act(Review *r, Str body, HttpAnswer *a)
{
    Json     *j = NULL;
    ReviewAct act = { 0 };
    int64_t   row = 0;
    Err       e = { 0 };
    int       rc = json_parse(&j, body, "the request", &e);
    if (!rc)
        rc = read_act(j, &act, &e);
    if (!rc)
        rc = review_act(r, &act, &row, &e);
    if (rc)
        send_error(a, &e);
    else
        strbuf_addf(&a->body, "{\"row\":%lld}", (long long)row);
    json_free(j);
}

static void take_act(void *user, const HttpRequest *r, HttpAnswer *a) { review_page_act(user, http_body(r), a); }

static const HttpRoute routes[] = {
    { "GET",  "/",           send_file,  0,       false },
    { "GET",  "/review.css", send_file,  0,       false },
    { "GET",  "/review.js",  send_file,  0,       false },
    { "GET",  "/icon.svg",   send_file,  0,       true  }, /* browsers fetch it when they like, also without a cookie */
    { "GET",  "/api/facts",  send_facts, 0,       false },
    { "GET",  "/api/rows",   send_rows,  0,       false },
    { "GET",  "/api/row",    send_row,   0,       false },
    { "POST", "/api/act",    take_act,   ACT_MAX, false },
    { 0 },
};

int review_page_open(Http **h, Review *r, int64_t port, Err *e)
{
    return http_open(h, &(HttpOptions){ .port = port, .threads = PAGE_THREADS, .routes = routes, .user = r }, e);
}
