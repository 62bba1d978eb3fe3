/* teacher_http.c - a server that speaks OpenAI's chat completions, over libcurl: several requests in flight, each in a slot of its own that keeps what it asks
 * until it is answered, through all its tries.
 * Main struct: Remote. Invariant: a slot is idle, waiting for its next try, or in flight; what ends a work takes all of them back.
 * To treat another status in its own way: a row in statuses[]. */
#include "infer/teacher_int.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/vec.h"

#define CONNECT_SECONDS 15L
#define POLL_MS         100

typedef enum { SLOT_IDLE, SLOT_WAITS, SLOT_FLIES } SlotState;

typedef struct Slot {
    SlotState state;
    size_t    ask;        /* number of what is asked */
    Json     *messages;
    int       tries;      /* that failed */
    double    not_before; /* of its next try, clock_seconds */
    unsigned  left_out;   /* fields that its last try did without */
    CURL     *curl;
    StrBuf    sent, got;
    char      why[CURL_ERROR_SIZE];
} Slot;

typedef struct Remote {
    CURLM             *multi;
    struct curl_slist *headers;
    char              *url;
    const char        *model;
    char              *key;        /* owned copy; "" for none */
    bool               direct;     /* no proxy: the address is near */
    Slot              *slot;
    size_t             n_slots;
    double             patience, pause;
    double             not_before; /* a server that is asked too much is left alone by all slots until then */
    unsigned           left_out;
    bool               global;
} Remote;

typedef struct Work { Remote *r; const TeacherWork *w; size_t next, done; bool proven; } Work;

/* ---- life ------------------------------------------------------------------------------------------------------------------------------------------ */

static bool add_header(Remote *r, const char *line)
{
    struct curl_slist *longer = curl_slist_append(r->headers, line);
    r->headers = longer ? longer : r->headers;
    return longer;
}

static int http_open(Teacher *t, const TeacherOptions *o, Err *e)
{
    Remote *r = t->state = mem_zalloc(1, sizeof *r);
    Reach   reach;
    char   *base = NULL;
    int     rc = teacher_address(&base, &reach, o->where, e);
    if (rc)
        return rc;
    StrBuf text = { 0 };
    strbuf_addf(&text, "%s at %s", o->model, base);
    t->name = strbuf_take(&text);
    t->far = reach == REACH_PUBLIC;
    t->away = reach != REACH_LOOPBACK;
    strbuf_addf(&text, "%s/chat/completions", base);
    r->url = strbuf_take(&text);
    free(base);
    r->model = o->model;
    r->key = mem_strdup(o->key ? o->key : "");
    r->direct = !t->far;
    r->patience = o->patience > 0 ? o->patience : TEACHER_PATIENCE;
    r->pause = o->pause > 0 ? o->pause : TEACHER_PAUSE;
    r->n_slots = (size_t)(o->in_flight ? o->in_flight : TEACHER_IN_FLIGHT);
    r->slot = mem_zalloc(r->n_slots, sizeof *r->slot);
    r->global = !curl_global_init(CURL_GLOBAL_DEFAULT);
    r->multi = r->global ? curl_multi_init() : NULL;
    bool good = r->multi && add_header(r, "Content-Type: application/json") && add_header(r, "Expect:"); /* no waiting for "100 Continue" */
    if (*r->key) {
        strbuf_addf(&text, "Authorization: Bearer %s", r->key);
        good = good && add_header(r, text.p);
    }
    strbuf_release(&text);
    for (size_t i = 0; i < r->n_slots && good; i++)
        good = (r->slot[i].curl = curl_easy_init()) != NULL;
    return good ? 0 : err_set(e, ERR_IO, "%s: libcurl does not start", r->url);
}

static void http_close(void *state)
{
    Remote *r = state;
    for (size_t i = 0; i < r->n_slots; i++) {
        curl_easy_cleanup(r->slot[i].curl);
        strbuf_release(&r->slot[i].sent);
        strbuf_release(&r->slot[i].got);
    }
    if (r->multi)
        curl_multi_cleanup(r->multi);
    curl_slist_free_all(r->headers);
    if (r->global)
        curl_global_cleanup();
    free(r->slot);
    free(r->url);
    free(r->key);
    free(r);
}

/* ---- one try --------------------------------------------------------------------------------------------------------------------------------------- */

static size_t take_body(char *p, size_t size, size_t n, void *user)
{
    Slot *s = user;
    strbuf_add(&s->got, p, size * n);
    return s->got.over ? 0 : size * n; /* fewer than were offered end the transfer */
}

static int start(Work *k, Slot *s, Err *e)
{
    Remote *r = k->r;
    s->left_out = r->left_out;
    s->got.max = TEACHER_BODY_MAX;
    s->got.over = false;
    strbuf_clear(&s->got);
    strbuf_clear(&s->sent);
    wire_request(&s->sent, r->model, s->messages, k->w, s->left_out);
    *s->why = '\0';
    curl_easy_reset(s->curl); /* connections and what is known of hosts stay */
    const struct { CURLoption option; long value; } numbers[] = {
        { CURLOPT_NOSIGNAL, 1 },
        { CURLOPT_FOLLOWLOCATION, 0 }, /* another host was not asked for, and the key is not for it */
        { CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS },
        { CURLOPT_TIMEOUT_MS, (long)(r->patience * 1000) },
        { CURLOPT_TCP_KEEPALIVE, 1 },
        { CURLOPT_SSL_VERIFYPEER, 1 },
        { CURLOPT_SSL_VERIFYHOST, 2 },
        { CURLOPT_MAXFILESIZE, (long)TEACHER_BODY_MAX },
        { CURLOPT_POST, 1 },
    };
    bool good = true;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        good = good && !curl_easy_setopt(s->curl, numbers[i].option, numbers[i].value);
    good = good && !curl_easy_setopt(s->curl, CURLOPT_URL, r->url) && !curl_easy_setopt(s->curl, CURLOPT_PROTOCOLS_STR, "http,https") &&
           !curl_easy_setopt(s->curl, CURLOPT_HTTPHEADER, r->headers) && !curl_easy_setopt(s->curl, CURLOPT_USERAGENT, "hone/" HONE_VERSION) &&
           !curl_easy_setopt(s->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)s->sent.n) && !curl_easy_setopt(s->curl, CURLOPT_POSTFIELDS, s->sent.p) &&
           !curl_easy_setopt(s->curl, CURLOPT_WRITEFUNCTION, take_body) && !curl_easy_setopt(s->curl, CURLOPT_WRITEDATA, (void *)s) &&
           !curl_easy_setopt(s->curl, CURLOPT_ERRORBUFFER, s->why) && !curl_easy_setopt(s->curl, CURLOPT_PRIVATE, (void *)s);
    if (good && r->direct)
        good = !curl_easy_setopt(s->curl, CURLOPT_PROXY, "");
    if (!good || curl_multi_add_handle(r->multi, s->curl))
        return err_set(e, ERR_IO, "%s: libcurl does not take the request", r->url);
    s->state = SLOT_FLIES;
    return 0;
}

static void set_idle(Slot *s)
{
    json_free(s->messages);
    s->messages = NULL;
    s->tries = 0;
    s->state = SLOT_IDLE;
}

/* ---- what came of it ------------------------------------------------------------------------------------------------------------------------------- */

typedef enum { AFTER_END, AFTER_REFUSAL, AFTER_PAUSE, AFTER_PAUSE_OF_ALL } After;

static const struct { int from, to; After after; const char *advice; } statuses[] = {
    { 300, 399, AFTER_END, "; redirects are not followed, give the address that it leads to" },
    { 400, 400, AFTER_REFUSAL, "; look at the name of the model and at the address" },
    { 401, 401, AFTER_END, "; the key is wrong or missing" },
    { 403, 403, AFTER_END, "; the key has no right to this model" },
    { 404, 404, AFTER_END, "; look at the name of the model, and at the address, which mostly ends in /v1" },
    { 408, 408, AFTER_PAUSE, "" },
    { 413, 413, AFTER_REFUSAL, "" },
    { 422, 422, AFTER_REFUSAL, "; look at the name of the model and at the address" },
    { 425, 425, AFTER_PAUSE, "" },
    { 429, 429, AFTER_PAUSE_OF_ALL, "" },
    { 503, 503, AFTER_PAUSE_OF_ALL, "" },
    { 500, 599, AFTER_PAUSE, "" },
    { 0, 999, AFTER_END, "" },
};

static size_t row_of(long status)
{
    size_t i = 0;
    while (status < statuses[i].from || status > statuses[i].to)
        i++;
    return i;
}

/* What a server says of an error; the key goes no further, should it be repeated there. */
static void tell_body(const Remote *r, Slot *s, StrBuf *out)
{
    const size_t n = strlen(r->key);
    for (char *p = s->got.p; n && p && (p = memmem(p, s->got.n - (size_t)(p - s->got.p), r->key, n));)
        memset(p, '*', n);
    wire_says(strbuf_str(&s->got), out);
}

/* "answered 429: "slow down"" */
static void tell_status(const Remote *r, Slot *s, long status, StrBuf *out)
{
    StrBuf says = { 0 };
    char  *to = NULL;
    tell_body(r, s, &says);
    strbuf_addf(out, "it answered %ld", status);
    if (says.n)
        strbuf_addf(out, ": \"%s\"", says.p);
    if (status / 100 == 3 && !curl_easy_getinfo(s->curl, CURLINFO_REDIRECT_URL, &to) && to)
        strbuf_addf(out, ", leading to %.200s", to);
    strbuf_release(&says);
}

static double pause_of(const Remote *r, const Slot *s)
{
    curl_off_t after = 0;
    double     wait = r->pause;
    for (int i = 1; i < s->tries; i++)
        wait *= 2;
    curl_easy_getinfo(s->curl, CURLINFO_RETRY_AFTER, &after);
    return MIN(MAX(wait, (double)after), TEACHER_PAUSE_MAX);
}

static int try_again(Work *k, Slot *s, int most, bool all, const char *what, Err *e)
{
    Remote *r = k->r;
    if (++s->tries >= most)
        return err_set(e, ERR_WORK, "%s was asked %d times, in vain: %s", r->url, most, what);
    const double wait = pause_of(r, s);
    s->state = SLOT_WAITS;
    s->not_before = clock_seconds() + wait;
    if (all)
        r->not_before = MAX(r->not_before, s->not_before);
    log_debug("teacher", "%s: %s; again in %.1f s", r->url, what, wait);
    return 0;
}

static int give(Work *k, Slot *s, AnswerEnd end, Str text, Err *e)
{
    const size_t ask = s->ask;
    set_idle(s);
    k->done++;
    return k->w->answered(k->w->user, ask, &(TeacherAnswer){ end, text }, e);
}

static int on_answer(Work *k, Slot *s, Err *e)
{
    StrBuf    text = { 0 };
    AnswerEnd end;
    Err       why = { 0 };
    int       rc = wire_answer(strbuf_str(&s->got), &text, &end, &why);
    if (rc) {
        StrBuf says = { 0 };
        tell_body(k->r, s, &says);
        strbuf_addf(&text, "%s; it begins: \"%s\"", why.text, strbuf_z(&says));
        rc = try_again(k, s, TEACHER_TRIES, false, text.p, e);
        strbuf_release(&says);
    } else {
        k->proven = true;
        rc = give(k, s, end, strbuf_str(&text), e);
    }
    strbuf_release(&text);
    return rc;
}

/* A field of ours that this server does not know is left out from now on. */
static bool does_without(Work *k, Slot *s, long status)
{
    Remote   *r = k->r;
    const int field = status == 400 || status == 422 ? wire_unknown_field(strbuf_str(&s->got)) : -1;
    if (field < 0 || s->left_out & 1u << field)
        return false;
    if (!(r->left_out & 1u << field))
        log_warn("teacher", "%s does not know \"%s\"; it is asked without", r->url, wire_field[field]);
    r->left_out |= 1u << field;
    s->state = SLOT_WAITS;
    s->not_before = 0;
    return true;
}

static int on_status(Work *k, Slot *s, long status, Err *e)
{
    StrBuf       what = { 0 };
    const size_t row = row_of(status);
    After        after = statuses[row].after;
    int          rc;
    if (does_without(k, s, status))
        return 0;
    tell_status(k->r, s, status, &what);
    if (after == AFTER_REFUSAL && !k->proven)
        after = AFTER_END;
    if (after == AFTER_REFUSAL)
        rc = give(k, s, ANSWER_REFUSED, strbuf_str(&what), e);
    else if (after == AFTER_END)
        rc = err_set(e, ERR_WORK, "%s cannot be asked: %s%s", k->r->url, strbuf_z(&what), statuses[row].advice);
    else
        rc = try_again(k, s, TEACHER_TRIES, after == AFTER_PAUSE_OF_ALL, strbuf_z(&what), e);
    strbuf_release(&what);
    return rc;
}

/* No status: the network, the certificate, the time. */
static int on_failure(Work *k, Slot *s, CURLcode code, Err *e)
{
    static const CURLcode for_good[] = { CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CONNECT_ERROR,
                                         CURLE_UNSUPPORTED_PROTOCOL, CURLE_URL_MALFORMAT };
    const char *what = *s->why ? s->why : curl_easy_strerror(code);
    char        text[CURL_ERROR_SIZE + 80];
    if (s->got.over || code == CURLE_FILESIZE_EXCEEDED) {
        snprintf(text, sizeof text, "the reply has more than %zu MiB, the most that is read", TEACHER_BODY_MAX >> 20);
        return try_again(k, s, TEACHER_TRIES_LATE, false, text, e);
    }
    if (code == CURLE_OPERATION_TIMEDOUT) {
        snprintf(text, sizeof text, "no answer within %g seconds", k->r->patience);
        return try_again(k, s, TEACHER_TRIES_LATE, false, text, e);
    }
    if (code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY)
        return try_again(k, s, TEACHER_TRIES_LATE, false, what, e);
    for (size_t i = 0; i < ARRAY_LEN(for_good); i++)
        if (code == for_good[i])
            return err_set(e, ERR_WORK, "%s cannot be asked: %s", k->r->url, what);
    return try_again(k, s, TEACHER_TRIES, false, what, e);
}

static int finish(Work *k, const CURLMsg *m, Err *e)
{
    Slot          *s = NULL;
    long           status = 0;
    const CURLcode code = m->data.result;
    curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)(void *)&s);
    curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_multi_remove_handle(k->r->multi, s->curl);
    s->state = SLOT_WAITS;
    return code ? on_failure(k, s, code, e) : status == 200 ? on_answer(k, s, e) : on_status(k, s, status, e);
}

/* ---- the work -------------------------------------------------------------------------------------------------------------------------------------- */

/* Fills the slots: those that wait for their next try, and idle ones with what comes next. Until there is a first answer, one alone. */
static int start_all(Work *k, Err *e)
{
    Remote      *r = k->r;
    const double now = clock_seconds();
    int          rc = 0;
    for (size_t i = 0; i < (k->proven ? r->n_slots : 1) && !rc && now >= r->not_before; i++) {
        Slot *s = &r->slot[i];
        if (s->state == SLOT_IDLE && k->next < k->w->n) {
            s->ask = k->next++;
            s->messages = k->w->messages(k->w->user, s->ask);
            rc = start(k, s, e);
        } else if (s->state == SLOT_WAITS && now >= s->not_before) {
            rc = start(k, s, e);
        }
    }
    return rc;
}

static int step(Work *k, Err *e)
{
    Remote  *r = k->r;
    CURLMsg *m;
    bool     any = false;
    int      flying, left, rc = start_all(k, e);
    if (rc)
        return rc;
    bool good = !curl_multi_perform(r->multi, &flying);
    while (good && !rc && (m = curl_multi_info_read(r->multi, &left))) {
        any = true;
        if (m->msg == CURLMSG_DONE)
            rc = finish(k, m, e);
    }
    if (good && !any)
        good = !curl_multi_poll(r->multi, NULL, 0, POLL_MS, NULL);
    if (!good)
        return err_set(e, ERR_IO, "%s: libcurl has lost its connections", r->url);
    if (!rc && k->w->stop_asked(k->w->user))
        rc = err_set(e, ERR_STOP, "stopped after %zu of %zu answers of %s", k->done, k->w->n, r->url);
    return rc;
}

static int http_ask(void *state, const TeacherWork *w, Err *e)
{
    Remote *r = state;
    Work    k = { .r = r, .w = w, .proven = w->proven };
    int     rc = 0;
    r->not_before = 0;
    while (!rc && k.done < w->n)
        rc = step(&k, e);
    for (size_t i = 0; i < r->n_slots; i++) {
        if (r->slot[i].state == SLOT_FLIES)
            curl_multi_remove_handle(r->multi, r->slot[i].curl);
        set_idle(&r->slot[i]);
    }
    return rc;
}

const TeacherKind teacher_http = { http_open, http_ask, http_close };
