/* before.c - see before.h. */
#include "prep/before.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/vec.h"

void before_add(Json *list, int64_t at, Str text)
{
    Json *one = json_obj_new();
    json_set(one, "at", json_int_new(at));
    json_set(one, "text", json_str_new(text));
    json_push(list, one);
}

typedef struct Walk { const Json *list; size_t next; int64_t at; VEC(Json *) entry; VEC(Str) text; } Walk; /* entry: of each text of the row; NULL: none */

/* The list ascends by "at". Strings of the row are borrowed: they stand still while nothing is replaced. */
static bool gather(void *user, TextRole role, Str text, StrBuf *out)
{
    Walk *w = user;
    Json *entry = json_at(w->list, w->next), *at = json_get(entry, "at");
    (void)role, (void)out;
    const bool here = at && json_int(at) == w->at;
    w->next += here;
    *vec_push(&w->entry) = here ? entry : NULL;
    *vec_push(&w->text) = text;
    w->at++;
    return false;
}

static void walk_release(Walk *w)
{
    vec_release(&w->entry);
    vec_release(&w->text);
}

static void hash_text(Str text, char out[17]) { snprintf(out, 17, "%016llx", (unsigned long long)hash64(text.p, text.n)); }

void before_seal(Json *list, Record *row)
{
    Walk w = { .list = list };
    char hash[17];
    record_each_text(row, gather, &w);
    for (size_t i = 0; i < w.entry.n; i++)
        if (w.entry.p[i]) {
            hash_text(w.text.p[i], hash);
            json_set(w.entry.p[i], "now", json_str_new(str_of(hash)));
        }
    walk_release(&w);
}

static bool put(void *user, TextRole role, Str text, StrBuf *out)
{
    Walk       *w = user;
    const Json *entry = w->entry.p[w->at++];
    Str         before = json_str(json_get(entry, "text"));
    (void)role, (void)text;
    if (entry)
        strbuf_add(out, before.p, before.n);
    return entry;
}

int before_put_back(const Json *list, Record *row, Err *e)
{
    Walk   w = { .list = list };
    size_t found = 0;
    char   hash[17];
    int    rc = 0;
    record_each_text(row, gather, &w);
    for (size_t i = 0; i < w.entry.n && !rc; i++) {
        if (!w.entry.p[i])
            continue;
        found++;
        hash_text(w.text.p[i], hash);
        if (json_kind(json_get(w.entry.p[i], "text")) != JSON_STRING || !str_eqz(json_str(json_get(w.entry.p[i], "now")), hash))
            rc = err_set(e, ERR_ARG, "the text has been edited since; take that edit back first");
    }
    if (!rc && (!found || found != json_len(list)))
        rc = err_set(e, ERR_ARG, "the log does not say which texts it were (an older hone wrote it, or the row has other turns now)");
    w.at = 0;
    if (!rc)
        record_each_text(row, put, &w);
    walk_release(&w);
    return rc;
}
