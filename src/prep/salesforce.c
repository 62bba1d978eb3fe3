/* salesforce.c - see salesforce.h. */
#include "prep/salesforce.h"

#include <stdlib.h>
#include <strings.h>

#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "formats/table.h"

#define READ_ROWS 256

typedef struct Said { int64_t of; char *when, *text; bool asks; size_t order; } Said; /* of: index of the case */

typedef struct Export {
    const char *folder;
    Map        *id;         /* of a case -> index in cases */
    VEC(Json *) cases;      /* rows of Case.csv; owned */
    VEC(Said)   said;
    int64_t     internal, orphans;
} Export;

static Str column(const Json *row, const char *name) { return json_str(json_get(row, name)); }
static bool yes(Str s) { return (s.n == 1 && *s.p == '1') || (s.n == 4 && !strncasecmp(s.p, "true", 4)); }
static char *copy(Str s) { return mem_strndup(s.p ? s.p : "", s.n); }

/* Every row of a table of the folder; one that is not there has no rows. */
static int each_row(Export *x, const char *name, int (*fn)(Export *, Json *, Err *), Err *e)
{
    char     *path = path_join(x->folder, name);
    Table    *t = NULL;
    TableItem item[READ_ROWS];
    size_t    n = 0;
    int       rc = file_exists(path) ? table_open(&t, path, &(TableOptions){ .csv.header = CSV_YES }, e) : 0;
    while (t && !rc && !(rc = table_read(t, item, READ_ROWS, (size_t)8 << 20, &n, e)) && n)
        for (size_t i = 0; i < n && !rc; i++) {
            Json *row = NULL;
            rc = table_parse(t, &item[i], &row, e);
            if (!rc)
                rc = fn(x, row, e);
        }
    if (rc)
        err_wrap(e, "%s", path);
    table_close(t);
    free(path);
    return rc;
}

static int need(const Json *row, const char *name, Err *e)
{
    return json_get(row, name) ? 0 : err_set(e, ERR_INPUT, "the column \"%s\" is missing; export the object with all of its fields", name);
}

static int case_row(Export *x, Json *row, Err *e)
{
    int rc = need(row, "Id", e);
    if (!rc && !map_put(x->id, column(row, "Id"), (int64_t)x->cases.n))
        rc = err_set(e, ERR_INPUT, "the case %.*s stands in it twice", (int)column(row, "Id").n, column(row, "Id").p);
    if (rc)
        json_free(row);
    else
        *vec_push(&x->cases) = row;
    return rc;
}

static void keep(Export *x, const Json *row, const char *when, Str text, bool asks)
{
    int64_t of;
    if (!map_get(x->id, column(row, "ParentId"), &of)) {
        x->orphans++;
        return;
    }
    Said *s = vec_push(&x->said);
    *s = (Said){ of, copy(column(row, when)), copy(text), asks, x->said.n };
}

static int mail_row(Export *x, Json *row, Err *e)
{
    int rc = need(row, "ParentId", e);
    if (!rc)
        rc = need(row, "Incoming", e);
    if (!rc)
        keep(x, row, json_get(row, "MessageDate") ? "MessageDate" : "CreatedDate", column(row, column(row, "TextBody").n ? "TextBody" : "HtmlBody"), yes(column(row, "Incoming")));
    json_free(row);
    return rc;
}

static int comment_row(Export *x, Json *row, Err *e)
{
    int rc = need(row, "ParentId", e);
    if (!rc && json_get(row, "IsPublished") && !yes(column(row, "IsPublished")))
        x->internal++;
    else if (!rc)
        keep(x, row, "CreatedDate", column(row, "CommentBody"), false);
    json_free(row);
    return rc;
}

static int by_case_and_time(const void *a, const void *b)
{
    const Said *x = a, *y = b;
    if (x->of != y->of)
        return x->of < y->of ? -1 : 1;
    int c = strcmp(x->when, y->when); /* ISO 8601 sorts as text */
    return c ? c : (x->order > y->order) - (x->order < y->order);
}

static void add_turn(Json *messages, bool asks, StrBuf *text)
{
    if (text->n) {
        Json *turn = json_obj_new();
        json_set(turn, "role", json_str_new(str_of(asks ? "user" : "assistant")));
        json_set(turn, "content", json_str_new(strbuf_str(text)));
        json_push(messages, turn);
    }
    strbuf_clear(text);
}

static void add_text(StrBuf *out, Str s)
{
    if (s.n)
        strbuf_addf(out, "%s%.*s", out->n ? "\n\n" : "", (int)s.n, s.p);
}

static Json *conversation(Json *row, const Said *said, size_t n)
{
    Json  *messages = json_arr_new();
    StrBuf text = { 0 };
    bool   asks = true;
    add_text(&text, column(row, "Subject"));
    add_text(&text, column(row, "Description"));
    for (size_t i = 0; i < n; i++) {
        if (said[i].asks != asks)
            add_turn(messages, asks, &text);
        asks = said[i].asks;
        add_text(&text, str_of(said[i].text));
    }
    add_turn(messages, asks, &text);
    strbuf_release(&text);
    json_drop(row, "Subject");
    json_drop(row, "Description");
    json_set(row, "messages", messages);
    return row;
}

bool salesforce_is(const char *folder)
{
    char *cases = path_join(folder, "Case.csv"), *mails = path_join(folder, "EmailMessage.csv"), *comments = path_join(folder, "CaseComment.csv");
    bool  is = file_exists(cases) && (file_exists(mails) || file_exists(comments));
    free(cases);
    free(mails);
    free(comments);
    return is;
}

int salesforce_read(const char *folder, Json ***rows, size_t *n, size_t *cap, StrBuf *note, Err *e)
{
    Export x = { .folder = folder, .id = map_new() };
    int    rc = each_row(&x, "Case.csv", case_row, e);
    if (!rc)
        rc = each_row(&x, "EmailMessage.csv", mail_row, e);
    if (!rc)
        rc = each_row(&x, "CaseComment.csv", comment_row, e);
    if (x.said.n)
        qsort(x.said.p, x.said.n, sizeof *x.said.p, by_case_and_time);
    for (size_t i = 0, at = 0, end; i < x.cases.n && !rc; i++, at = end) {
        for (end = at; end < x.said.n && x.said.p[end].of == (int64_t)i;)
            end++;
        *rows = vec_grow_(*rows, sizeof **rows, *n, cap);
        (*rows)[(*n)++] = conversation(json_ref(x.cases.p[i]), x.said.p + at, end - at);
    }
    if (x.internal)
        strbuf_addf(note, "%lld comments that are not published were left out", (long long)x.internal);
    if (x.orphans)
        strbuf_addf(note, "%s%lld mails or comments belong to no case in Case.csv", note->n ? "; " : "", (long long)x.orphans);
    for (size_t i = 0; i < x.cases.n; i++)
        json_free(x.cases.p[i]);
    for (size_t i = 0; i < x.said.n; i++) {
        free(x.said.p[i].when);
        free(x.said.p[i].text);
    }
    vec_release(&x.cases);
    vec_release(&x.said);
    map_free(x.id);
    return rc;
}
