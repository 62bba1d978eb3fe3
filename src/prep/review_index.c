/* review_index.c - opens a data folder for review: where each row and each decision stands, in 16 bytes each.
 * Invariants: rows ascend by id and no id stands twice; decisions lie by row and keep the order of the log; a line that hone prep wrote is read by its first
 * members only (quick), any other is parsed whole, with the same outcome. What is not read here is read, and checked, when it is shown. */
#include "prep/review_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/log.h"
#include "prep/provenance.h"

#define FORGET_EACH ((size_t)64 << 20) /* pages of a file that was run through leave memory by pieces of this size */
#define COLUMN_ROWS 200
#define COLUMNS_MAX 64

const char *const review_part[RP_PARTS] = { "removed", "train", "validation", "test" };
const char *const review_file[RP_PARTS] = { "removed.jsonl", "train.jsonl", "validation.jsonl", "test.jsonl" };

/* ---- lines ----------------------------------------------------------------------------------------------------------------------------------------- */

static Str line_at(const FileMap *m, uint64_t off)
{
    BUG_ON(off >= m->n);
    const char *p = (const char *)m->p + off, *end = memchr(p, '\n', m->n - off);
    size_t      n = end ? (size_t)(end - p) : m->n - off;
    return (Str){ p, n && p[n - 1] == '\r' ? n - 1 : n };
}

Str review_line(const Review *r, uint32_t row)
{
    const ReviewRow *w = &r->row.p[row];
    return line_at(&r->map[w->part], row_off(w));
}

Str review_mark_line(const Review *r, const ReviewMark *m) { return line_at(&r->decisions, mark_off(m)); }

typedef int (*LineFn)(Review *r, void *ctx, Str line, uint64_t off, const char *where, Err *e);

static int each_line(Review *r, const FileMap *m, const char *name, LineFn fn, void *ctx, Err *e)
{
    char   where[64];
    size_t forgotten = 0;
    int    rc = 0;
    int64_t number = 0;
    for (size_t off = 0; off < m->n && !rc;) {
        const char *end = memchr(m->p + off, '\n', m->n - off);
        Str         line = line_at(m, off);
        snprintf(where, sizeof where, "%s, line %lld", name, (long long)++number);
        if (line.n)
            rc = fn(r, ctx, line, off, where, e);
        off = end ? (size_t)(end - (const char *)m->p) + 1 : m->n;
        if (off - forgotten > FORGET_EACH) {
            file_forget(m->p + forgotten, off - forgotten);
            forgotten = off;
        }
    }
    return rc ? err_wrap(e, "%s", r->dir) : 0;
}

/* ---- reading the first members of a line ------------------------------------------------------------------------------------------------------------ */

typedef struct Scan { const char *p, *end; } Scan;

static bool scan_text(Scan *s, const char *text)
{
    size_t n = strlen(text);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, text, n))
        return false;
    s->p += n;
    return true;
}

static bool scan_int(Scan *s, int64_t *v)
{
    const char *start = s->p;
    for (*v = 0; s->p < s->end && *s->p >= '0' && *s->p <= '9' && s->p - start < 18; s->p++)
        *v = *v * 10 + (*s->p - '0');
    return s->p > start && s->p < s->end && (*s->p < '0' || *s->p > '9') && *s->p != '.' && *s->p != 'e' && *s->p != 'E';
}

/* Behind the opening quote, up to and with the closing one; false: an escape is in it, so that the text is not what stands there. */
static bool scan_string(Scan *s, Str *v)
{
    const char *start = s->p;
    while (s->p < s->end && *s->p != '"' && *s->p != '\\')
        s->p++;
    *v = (Str){ start, (size_t)(s->p - start) };
    return scan_text(s, "\"");
}

static bool skip_string(Scan *s)
{
    while (s->p < s->end && *s->p != '"')
        s->p += *s->p == '\\' && s->end - s->p > 1 ? 2 : 1;
    return scan_text(s, "\"");
}

static bool scan_num(Scan *s, double *v)
{
    char   text[40];
    size_t n = 0;
    while (n < sizeof text - 1 && s->p < s->end && strchr("+-.0123456789eE", *s->p) && *s->p)
        text[n++] = *s->p++;
    text[n] = '\0';
    char *end;
    *v = strtod(text, &end);
    return n && !*end && s->p < s->end && (*s->p == ',' || *s->p == '}');
}

bool review_mark_quick(Str line, MarkHead *h)
{
    Scan    s = { line.p, line.p + line.n };
    int64_t n;
    *h = (MarkHead){ .score = NAN };
    if (!scan_text(&s, "{\"row\":") || !scan_int(&s, &h->row) || !scan_text(&s, ",\"file\":\"") || !skip_string(&s) || !scan_text(&s, ",\"line\":") ||
        !scan_int(&s, &n) || !scan_text(&s, ",\"pass\":\"") || !scan_string(&s, &h->pass) || !scan_text(&s, ",\"action\":\"") || !scan_string(&s, &h->action) ||
        !scan_text(&s, ",\"reason\":\"") || !scan_string(&s, &h->reason))
        return false;
    if (scan_text(&s, ",\"score\":") && !scan_num(&s, &h->score))
        return false;
    if (scan_text(&s, ",\"review\":") && !scan_int(&s, &h->review))
        return false;
    return s.p < s.end && (*s.p == '}' || *s.p == ',');
}

int review_mark_slow(Str line, const char *where, MarkHead *h, Json **owner, Err *e)
{
    *h = (MarkHead){ .score = NAN };
    int rc = json_parse(owner, line, where, e);
    if (rc || (rc = json_need_int(*owner, "row", &h->row, where, e)) || (rc = json_need_str(*owner, "pass", &h->pass, where, e)) ||
        (rc = json_need_str(*owner, "action", &h->action, where, e)) || (rc = json_need_str(*owner, "reason", &h->reason, where, e)) ||
        (rc = json_opt_num(*owner, "score", &h->score, where, e)) || (rc = json_opt_int(*owner, "review", &h->review, where, e)))
        return rc;
    return 0;
}

static bool id_quick(Str line, int64_t *id)
{
    Scan s = { line.p, line.p + line.n };
    return scan_text(&s, "{\"id\":") && scan_int(&s, id) && (*s.p == ',' || *s.p == '}');
}

/* ---- rows ------------------------------------------------------------------------------------------------------------------------------------------- */

static int index_row(Review *r, void *ctx, Str line, uint64_t off, const char *where, Err *e)
{
    const uint8_t part = *(const uint8_t *)ctx;
    Json         *j = NULL;
    int64_t       id = 0;
    int           rc = 0;
    if (!id_quick(line, &id) && !(rc = json_parse(&j, line, where, e)))
        rc = json_need_int(j, "id", &id, where, e);
    json_free(j);
    if (rc)
        return rc;
    if (id < 1 || id >= UINT32_MAX)
        return err_set(e, ERR_INPUT, "%s: \"id\" is %lld; the ids of a prepared data set are 1 to %u", where, (long long)id, UINT32_MAX - 1);
    *vec_push(&r->row) = (ReviewRow){ .id = (uint32_t)id, .off_lo = (uint32_t)off, .off_hi = (uint16_t)(off >> 32), .part = part };
    r->part[part]++;
    return 0;
}

static int by_id(const void *a, const void *b)
{
    const ReviewRow *x = a, *y = b;
    return x->id != y->id ? (x->id < y->id ? -1 : 1) : (x->part > y->part) - (x->part < y->part);
}

bool review_find(const Review *r, int64_t id, uint32_t *row)
{
    size_t lo = 0, hi = r->row.n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (r->row.p[mid].id < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    *row = (uint32_t)lo;
    return lo < r->row.n && r->row.p[lo].id == id;
}

static int index_rows(Review *r, Err *e)
{
    int rc = 0;
    for (uint8_t p = 0; p < RP_PARTS && !rc; p++) {
        char *path = path_join(r->dir, review_file[p]);
        rc = file_map(&r->map[p], path, e);
        if (!rc)
            rc = each_line(r, &r->map[p], review_file[p], index_row, &p, e);
        free(path);
    }
    if (rc)
        return rc;
    if (r->row.n)
        qsort(r->row.p, r->row.n, sizeof *r->row.p, by_id);
    for (size_t i = 1; i < r->row.n; i++)
        if (r->row.p[i].id == r->row.p[i - 1].id)
            return err_set(e, ERR_INPUT, "%s: row %u stands in %s and in %s; a row must be in one place", r->dir, r->row.p[i].id, review_file[r->row.p[i - 1].part],
                           review_file[r->row.p[i].part]);
    return 0;
}

int review_parse(const Review *r, uint32_t row, Json **whole, Json **content, Err *e)
{
    char             where[96];
    const ReviewRow *w = &r->row.p[row];
    snprintf(where, sizeof where, "%s, row %u", review_file[w->part], w->id);
    int rc = json_parse(whole, review_line(r, row), where, e);
    *content = w->part == RP_REMOVED ? json_get(*whole, "row") : *whole;
    if (!rc && json_kind(*whole) != JSON_OBJECT)
        rc = err_set(e, ERR_INPUT, "%s: expected an object, found %s", where, json_kind_name(*whole));
    if (!rc && *content && json_kind(*content) != JSON_OBJECT)
        rc = err_set(e, ERR_INPUT, "%s: \"row\" should be an object, it is %s", where, json_kind_name(*content));
    if (!rc && *content && json_int(json_get(*content, "id")) != w->id)
        rc = err_set(e, ERR_INPUT, "%s: the row in it has another \"id\" (%lld)", where, (long long)json_int(json_get(*content, "id")));
    return rc;
}

const char *review_source(const Review *r, uint32_t row)
{
    const Json *inputs = json_get(r->manifest, "inputs");
    int64_t     end = 0;
    for (size_t i = 0; i < json_len(inputs); i++) {
        const Json *in = json_at(inputs, i);
        Str         file = json_str(json_get(in, "file"));
        end += json_int(json_get(in, "rows"));
        if (r->row.p[row].id <= end)
            return file.p ? file.p : "";
    }
    return "";
}

/* ---- decisions -------------------------------------------------------------------------------------------------------------------------------------- */

typedef struct MarkIndex { VEC(ReviewMark) raw; Map *kinds; StrBuf key, reason; } MarkIndex;

static bool is_digit(Str s, size_t i) { return i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; }

void review_reason_key(StrBuf *out, Str s)
{
    for (size_t i = 0; i < s.n;) {
        size_t      end = i;
        const char *close = s.p[i] == '"' ? memchr(s.p + i + 1, '"', s.n - i - 1) : NULL;
        while (is_digit(s, end) || (end > i && end < s.n && (s.p[end] == '.' || s.p[end] == ',') && is_digit(s, end + 1)))
            end++;
        if (close)
            end = (size_t)(close - s.p) + 1;
        if (end > i) {
            strbuf_addz(out, "…");
            i = end;
        } else {
            strbuf_addc(out, s.p[i++]);
        }
    }
}

static uint16_t kind_of(Review *r, MarkIndex *x, MarkHead h)
{
    int64_t at;
    for (bool full = false;; full = true) {
        if (full)
            h.pass = h.action = h.reason = STR_LIT("(others)");
        strbuf_clear(&x->reason);
        review_reason_key(&x->reason, h.reason);
        strbuf_clear(&x->key);
        strbuf_add(&x->key, h.pass.p, h.pass.n);
        strbuf_addc(&x->key, '\0');
        strbuf_add(&x->key, h.action.p, h.action.n);
        strbuf_addc(&x->key, '\0');
        strbuf_add(&x->key, x->reason.p, x->reason.n);
        if (map_get(x->kinds, strbuf_str(&x->key), &at))
            return (uint16_t)at;
        if (full || r->reason.n < REVIEW_REASONS_MAX)
            break;
    }
    ReviewReason *k = vec_push(&r->reason);
    *k = (ReviewReason){ mem_strndup(h.pass.p, h.pass.n), mem_strndup(h.action.p, h.action.n), mem_strdup(strbuf_z(&x->reason)), 0 };
    map_put(x->kinds, strbuf_str(&x->key), (int64_t)r->reason.n - 1);
    return (uint16_t)(r->reason.n - 1);
}

static int index_mark(Review *r, void *ctx, Str line, uint64_t off, const char *where, Err *e)
{
    MarkIndex *x = ctx;
    MarkHead   h;
    Json      *owner = NULL;
    uint32_t   row;
    int        rc = review_mark_quick(line, &h) ? 0 : review_mark_slow(line, where, &h, &owner, e);
    if (!rc && str_eqz(h.pass, "review") && h.review > 0) {
        r->logged = MAX(r->logged, h.review); /* review.jsonl has it in full */
    } else if (!rc && (h.row < 1 || !review_find(r, h.row, &row))) {
        r->loose++;
    } else if (!rc) {
        if (x->raw.n == UINT32_MAX)
            rc = err_set(e, ERR_INPUT, "%s: more than %u decisions", where, UINT32_MAX);
        uint16_t kind = kind_of(r, x, h);
        r->reason.p[kind].rows++;
        *vec_push(&x->raw) = (ReviewMark){ row, (uint32_t)off, (uint16_t)(off >> 32), kind, (float)h.score };
    }
    json_free(owner);
    return rc;
}

/* Counting sort by row: the order of the log stays within one. */
static void place_marks(Review *r, const ReviewMark *raw, size_t n)
{
    uint32_t *at = mem_zalloc(r->row.n + 2, sizeof *at);
    for (size_t i = 0; i < n; i++)
        at[raw[i].row + 1]++;
    for (size_t i = 0; i < r->row.n; i++) {
        at[i + 1] += at[i];
        r->row.p[i].mark = at[i];
    }
    r->mark.p = mem_alloc((n + 1) * sizeof *r->mark.p);
    r->mark.n = r->mark.cap = n;
    for (size_t i = 0; i < n; i++)
        r->mark.p[at[raw[i].row]++] = raw[i];
    free(at);
}

static int index_marks(Review *r, Err *e)
{
    MarkIndex x = { .kinds = map_new() };
    char     *path = path_join(r->dir, "decisions.jsonl");
    int       rc = file_map(&r->decisions, path, e);
    size_t    whole = r->decisions.n;
    while (whole && r->decisions.p[whole - 1] != '\n') /* a line of ours that a power loss cut; review_log.c takes it away */
        whole--;
    FileMap m = { r->decisions.p, whole };
    if (!rc)
        rc = each_line(r, &m, "decisions.jsonl", index_mark, &x, e);
    if (!rc)
        place_marks(r, x.raw.p, x.raw.n);
    vec_release(&x.raw);
    map_free(x.kinds);
    strbuf_release(&x.key);
    strbuf_release(&x.reason);
    free(path);
    return rc;
}

/* ---- the folder ------------------------------------------------------------------------------------------------------------------------------------- */

static int read_manifest(Review *r, Err *e)
{
    char *path = path_join(r->dir, "manifest.json"), *done = path_join(r->dir, "DONE");
    Str   options = { 0 };
    int   rc = 0;
    if (!file_is_dir(r->dir))
        rc = err_set(e, ERR_INPUT, "%s: there is no such folder; name the one that hone prep wrote", r->dir);
    else if (!file_exists(path) || !file_exists(done))
        rc = err_set(e, ERR_INPUT, "%s is no finished data folder (no %s in it); run its hone prep command to the end first", r->dir, file_exists(path) ? "DONE" : "manifest.json");
    cfg_defaults(prep_options, &r->cfg);
    if (!rc && !(rc = json_read_file(&r->manifest, path, e)) && !(rc = json_opt_str(r->manifest, "options", &options, path, e)) && options.n)
        rc = cfg_parse_yaml(prep_options, &r->cfg, options, path, NULL, e);
    if (rc == ERR_ARG) /* options of the folder, not of this command */
        rc = e->code = ERR_INPUT;
    if (!rc)
        r->applied = json_int(json_get(json_get(r->manifest, "review"), "actions"));
    free(path);
    free(done);
    return rc;
}

static void find_columns(Review *r)
{
    Map *seen = map_new();
    Err  err;
    for (uint32_t i = 0; i < r->row.n && i < COLUMN_ROWS; i++) {
        Json    *whole = NULL, *content = NULL, *value;
        JsonIter it = { 0 };
        Str      key;
        if (!review_parse(r, i, &whole, &content, &err))
            while (content && map_count(seen) < COLUMNS_MAX && json_each(json_get(content, "meta"), &it, &key, &value))
                map_put(seen, key, 1);
        json_free(whole);
    }
    r->columns = json_arr_new();
    for (size_t i = 0; i < map_count(seen); i++)
        json_push(r->columns, json_str_new(map_key(seen, i)));
    map_free(seen);
}

/* ---- numbers beside the rows -------------------------------------------------------------------------------------------------------------------------- */

static int index_score(Review *r, void *ctx, Str line, uint64_t off, const char *where, Err *e)
{
    Json    *j = NULL;
    int64_t  id = 0;
    uint32_t row;
    double   loss = NAN, ifd = NAN;
    int      rc = json_parse(&j, line, where, e);
    (void)ctx, (void)off;
    if (!rc && !(rc = json_need_int(j, "id", &id, where, e)) && !(rc = json_opt_num(j, "loss", &loss, where, e)))
        rc = json_opt_num(j, "ifd_loss", &ifd, where, e);
    if (!rc && review_find(r, id, &row))
        r->score[row] = (ReviewScore){ (float)loss, (float)ifd };
    json_free(j);
    return rc;
}

/* scores.jsonl, of training rows, when hone prep was asked for them. */
static int index_scores(Review *r, Err *e)
{
    char   *path = path_join(r->dir, "scores.jsonl");
    FileMap m = { 0 };
    int     rc = 0;
    if (file_exists(path) && !(rc = file_map(&m, path, e))) {
        r->score = mem_alloc((r->row.n + 1) * sizeof *r->score);
        for (size_t i = 0; i < r->row.n; i++)
            r->score[i] = (ReviewScore){ NAN, NAN };
        rc = each_line(r, &m, "scores.jsonl", index_score, NULL, e);
    }
    file_unmap(&m);
    free(path);
    return rc;
}

/* Who holds the lock stands in it: "1234 page". What an earlier holder left means nothing while nobody holds it. */
static void sign_lock(int fd, bool page)
{
    char      text[40];
    const int n = snprintf(text, sizeof text, "%ld %s\n", (long)getpid(), page ? "page" : "change");
    if (ftruncate(fd, 0) || pwrite(fd, text, (size_t)n, 0) != n)
        log_info("review", "the lock cannot be signed"); /* it holds all the same */
}

static int say_holder(const Review *r, const char *path, Err *e)
{
    char  *text = NULL, what[8] = "";
    size_t n = 0;
    long   pid = 0;
    if (!file_read_text(path, &text, &n, NULL) && sscanf(text, "%ld %7s", &pid, what) == 2 && pid > 0) {
        if (!strcmp(what, "page"))
            err_set(e, ERR_IO, "%s: the review page of this folder is open (process %ld); end it with Ctrl-C there or with kill %ld, its verdicts are on disk already, and give the command again",
                    r->dir, pid, pid);
        else
            err_set(e, ERR_IO, "%s: another process is changing this folder (process %ld: --apply, --erase or --forget); wait until it is done", r->dir, pid);
    }
    free(text);
    return ERR_IO;
}

static int take_lock(Review *r, bool page, Err *e)
{
    char *path = path_join(r->dir, "review.lock");
    int   rc = r->read_only ? 0 : lock_take(&r->lock, path, e);
    if (!rc && !r->read_only)
        sign_lock(r->lock, page);
    else if (rc == ERR_IO && strstr(e->text, "another process"))
        rc = say_holder(r, path, e);
    free(path);
    return rc;
}

int review_open(Review **out, const char *dir, const ReviewOptions *o, Err *e)
{
    Review *r = mem_zalloc(1, sizeof *r);
    *r = (Review){ .dir = path_absolute(dir), .lock = -1, .read_only = o->read_only, .log.fd = -1, .prov.fd = -1 };
    pthread_mutex_init(&r->mu, NULL);
    r->last = map_new();
    r->people = map_new();
    r->labels = map_new();
    *out = NULL;
    int rc = file_is_dir(dir) ? take_lock(r, o->page, e) : 0;
    if (!rc && !r->read_only)
        rc = swap_resume(r->dir, e);
    if (!rc && !(rc = read_manifest(r, e)) && !(rc = index_rows(r, e)) && !(rc = index_marks(r, e)) && !(rc = index_scores(r, e)) &&
        !(rc = measures_open(&r->measures, r->dir, e)))
        rc = review_log_open(r, e);
    if (!rc)
        rc = pii_scanner_new(&r->pii, &(PiiOptions){ 0 }, e);
    if (!rc && o->model && *o->model) {
        r->model = mem_strdup(o->model);
        rc = tok_open(&r->tok, o->model, e);
    }
    if (rc) {
        review_close(r);
        return rc;
    }
    find_columns(r);
    *out = r;
    return 0;
}

void review_close(Review *r)
{
    if (!r)
        return;
    review_log_close(r);
    for (int p = 0; p < RP_PARTS; p++)
        file_unmap(&r->map[p]);
    file_unmap(&r->decisions);
    measures_close(&r->measures);
    free(r->score);
    for (size_t i = 0; i < r->reason.n; i++) {
        free(r->reason.p[i].pass);
        free(r->reason.p[i].action);
        free(r->reason.p[i].reason);
    }
    for (int i = 0; i < VIEWS; i++) {
        free(r->view[i].key);
        vec_release(&r->view[i].row);
        vec_release(&r->view[i].order);
    }
    vec_release(&r->reason);
    vec_release(&r->row);
    vec_release(&r->mark);
    map_free(r->last);
    map_free(r->people);
    map_free(r->labels);
    cfg_release(prep_options, &r->cfg);
    json_free(r->manifest);
    json_free(r->columns);
    tok_free(r->tok);
    pii_scanner_free(r->pii);
    free(r->model);
    pthread_mutex_destroy(&r->mu);
    lock_drop(&r->lock);
    free(r->dir);
    free(r);
}
