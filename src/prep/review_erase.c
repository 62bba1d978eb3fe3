/* review_erase.c - rows leave a data folder for good, or their earlier texts leave its logs: every file that can hold a text of a row is written anew without it.
 * Lines of review.jsonl are numbered without a gap, so those of an erased row stay as {"n", "row", "reviewer", "action", "time", "erased": true}.
 * Main struct: Erase. To add a file to the data folder that holds texts: a row in files[]. */
#include "prep/review_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "prep/provenance.h"

typedef struct Erase {
    Review *r;
    Map    *ids;       /* row (8 bytes) -> 1 */
    bool    keep;      /* the rows stay, their earlier texts go */
    StrBuf  line;      /* what stands instead */
} Erase;

static bool is_asked(const Erase *x, int64_t id)
{
    int64_t one;
    return map_get(x->ids, (Str){ (const char *)&id, sizeof id }, &one);
}

/* The number behind "key" when it is the line's first member, as in every line that hone writes but those of subjects.jsonl; else the line is parsed. */
static int row_of(Str line, const char *key, int64_t *id, Json **j, Err *e)
{
    const size_t n = strlen(key);
    if (line.n > n && !memcmp(line.p, key, n) && line.p[n] >= '0' && line.p[n] <= '9') {
        *id = 0;
        for (size_t i = n; i < line.n && i < n + 18 && line.p[i] >= '0' && line.p[i] <= '9'; i++)
            *id = *id * 10 + (line.p[i] - '0');
        return 0;
    }
    int rc = json_parse(j, line, "a line", e);
    *id = json_int(json_get(*j, str_eqz(str_of(key), "{\"id\":") ? "id" : "row"));
    return rc;
}

/* A line of a row that is asked for goes; `key` is what such a line begins with. */
static int drop_keyed(const Erase *x, const char *key, Str line, Str *instead, Err *e)
{
    Json   *j = NULL;
    int64_t id = 0;
    int     rc = line.n ? row_of(line, key, &id, &j, e) : 0;
    if (line.n && (!is_asked(x, id) || x->keep))
        *instead = line;
    json_free(j);
    return rc;
}

static int drop_line(void *user, Str line, Str *instead, Err *e) { return drop_keyed(user, "{\"id\":", line, instead, e); }
static int drop_subject(void *user, Str line, Str *instead, Err *e) { return drop_keyed(user, "{\"row\":", line, instead, e); }

static void write_instead(Erase *x, const Json *j, Str *instead)
{
    strbuf_clear(&x->line);
    json_write(&x->line, j, false);
    *instead = strbuf_str(&x->line);
}

/* Of decisions: those of a person keep their numbers and lose their words; of the others the texts before a repair go, or all. */
static int strip_decision(void *user, Str line, Str *instead, Err *e)
{
    Erase  *x = user;
    Json   *j = NULL;
    int64_t id = 0;
    int     rc = line.n ? row_of(line, "{\"row\":", &id, &j, e) : 0;
    if (line.n && !rc && !is_asked(x, id)) {
        *instead = line;
    } else if (line.n && !rc && (j || !(rc = json_parse(&j, line, "decisions.jsonl", e)))) {
        const bool persons = json_get(j, "review");
        json_drop(j, "before");
        json_drop(j, "text");
        if (persons || x->keep)
            write_instead(x, j, instead);
    }
    json_free(j);
    return rc;
}

static int strip_action(void *user, Str line, Str *instead, Err *e)
{
    static const char *const texts[] = { "text", "row_new", "row_old", "raw_old" };
    Erase  *x = user;
    Json   *j = NULL;
    int64_t id = 0;
    int     rc = line.n ? json_parse(&j, line, "review.jsonl", e) : 0;
    *instead = line;
    if (line.n && !rc && (rc = json_need_int(j, "row", &id, "review.jsonl", e)) == 0 && is_asked(x, id)) {
        bool found = !x->keep;
        for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
            const bool label = x->keep && i == 0 && str_eqz(json_str(json_get(j, "action")), "label");
            found |= json_get(j, texts[i]) && !label;
            if (!label)
                json_drop(j, texts[i]);
        }
        if (found)
            json_set(j, "erased", json_bool_new(true));
        write_instead(x, j, instead);
    }
    json_free(j);
    return rc;
}

static const struct { const char *name; SwapLineFn line; bool keep; } files[] = { /* keep: also when the rows stay */
    { "train.jsonl", drop_line, false },          { "validation.jsonl", drop_line, false },      { "test.jsonl", drop_line, false },
    { "removed.jsonl", drop_line, false },        { "scores.jsonl", drop_line, false },          { "control_random.jsonl", drop_line, false },
    { "control_longest.jsonl", drop_line, false }, { "subjects.jsonl", drop_subject, false },    { "decisions.jsonl", strip_decision, true },
    { "review.jsonl", strip_action, true },
};

static bool not_erased(const void *user, size_t i, Measure *m)
{
    const Erase *x = user;
    *m = x->r->measures.row[i];
    return !is_asked(x, (int64_t)i + 1);
}

static int put_measures(const Erase *x, const char *folder, Err *e)
{
    char *path = path_join(folder, "measures.bin");
    int   rc = x->r->measures.n && !x->keep ? measures_write(path, not_erased, x, x->r->measures.n, e) : 0;
    free(path);
    return rc;
}

static bool staying(const void *user, size_t i, Measure *m)
{
    const Erase    *x = user;
    const ReviewRow *w = &x->r->row.p[i];
    if (w->part == RP_REMOVED || is_asked(x, w->id) || w->id > x->r->measures.n)
        return false;
    *m = x->r->measures.row[w->id - 1];
    return true;
}

/* The counts of the manifest, and a line for each row that says where its texts went. */
static void account(const Erase *x, StrBuf *log)
{
    const Review *r = x->r;
    Json         *rows = json_get(r->manifest, "rows");
    int64_t       left[RP_PARTS], n = 0;
    memcpy(left, r->part, sizeof left);
    for (uint32_t i = 0; i < r->row.n; i++) {
        if (!is_asked(x, r->row.p[i].id))
            continue;
        decision_add(log, (RowPlace){ r->row.p[i].id, review_source(r, i), 0 }, "review", x->keep ? ACTION_NOTE : ACTION_REMOVE,
                     x->keep ? "its earlier texts were erased from the logs" : "erased", NAN, NULL);
        left[r->row.p[i].part]--;
        n++;
    }
    if (x->keep)
        return;
    for (int p = 0; p < RP_PARTS; p++)
        json_set(rows, review_part[p], json_int_new(left[p]));
    json_set(rows, "erased", json_int_new(json_int(json_get(rows, "erased")) + n));
    json_drop(r->manifest, "divided"); /* a label may name a person */
    if (r->measures.n)
        json_set(r->manifest, "statistics", measures_statistics(staying, x, r->row.n));
}

static int write_files(Erase *x, Err *e)
{
    char  *folder = NULL;
    StrBuf log = { 0 };
    int    rc = swap_begin(x->r, &folder, e);
    account(x, &log);
    for (size_t i = 0; i < ARRAY_LEN(files) && !rc; i++)
        if (!x->keep || files[i].keep)
            rc = swap_lines(x->r, folder, files[i].name, files[i].line, x, e);
    if (!rc) { /* behind the stripped ones, in the folder */
        char    *path = path_join(folder, "decisions.jsonl");
        FileLog  f = { .fd = -1 };
        uint64_t size = 0;
        if (!(rc = file_size(path, &size, e)) && !(rc = file_log_open(&f, path, size, e)) && !(rc = file_log_add(&f, log.p, log.n, e)))
            rc = file_log_sync(&f, e);
        file_log_close(&f);
        free(path);
    }
    if (!rc)
        rc = put_measures(x, folder, e);
    if (!rc)
        rc = swap_manifest(x->r, folder, e);
    if (!rc)
        rc = swap_commit(x->r, &folder, e);
    swap_abort(&folder);
    strbuf_release(&log);
    return rc;
}

int review_erase(const char *dir, const int64_t *id, size_t n, bool keep, Err *e)
{
    Erase    x = { .ids = map_new(), .keep = keep };
    uint32_t row;
    int      rc = review_open(&x.r, dir, &(ReviewOptions){ 0 }, e);
    for (size_t i = 0; i < n && !rc; i++) {
        map_put(x.ids, (Str){ (const char *)&id[i], sizeof id[i] }, 1);
        if (!review_find(x.r, id[i], &row))
            rc = err_set(e, ERR_ARG, "%s has no row %lld; nothing was erased", dir, (long long)id[i]);
    }
    if (!rc && (int64_t)x.r->action.n > x.r->applied)
        rc = err_set(e, ERR_ARG, "%s: the review has verdicts that are not in the files yet; give --apply first, and then erase", dir);
    if (!rc && !(rc = write_files(&x, e)))
        rc = swap_report(x.r, e);
    review_close(x.r);
    map_free(x.ids);
    strbuf_release(&x.line);
    return rc;
}
