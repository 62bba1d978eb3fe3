/* provenance.c - see provenance.h. */
#include "prep/provenance.h"

#include <math.h>

static const char *const names[] = { "remove", "edit", "note", "keep" };

const char *action_name(Action a)
{
    BUG_ON((size_t)a >= ARRAY_LEN(names));
    return names[a];
}

static void add_member(StrBuf *log, const char *key, Str value)
{
    strbuf_addf(log, ",\"%s\":", key);
    json_write_string(log, value);
}

void decision_add(StrBuf *log, RowPlace at, const char *pass, Action action, const char *reason, double score, Json *more)
{
    strbuf_addf(log, "{\"row\":%lld", (long long)at.row);
    add_member(log, "file", str_of(at.file));
    strbuf_addf(log, ",\"line\":%lld", (long long)at.line);
    add_member(log, "pass", str_of(pass));
    add_member(log, "action", str_of(action_name(action)));
    add_member(log, "reason", str_of(reason));
    if (isfinite(score)) {
        strbuf_addz(log, ",\"score\":");
        strbuf_add_real(log, score);
    }
    JsonIter it = { 0 };
    Str      key;
    Json    *value;
    while (more && json_each(more, &it, &key, &value)) {
        strbuf_addc(log, ',');
        json_write_string(log, key);
        strbuf_addc(log, ':');
        json_write(log, value, false);
    }
    json_free(more);
    strbuf_addz(log, "}\n");
}

void removed_begin(StrBuf *out, RowPlace at, const char *pass, Str reason)
{
    strbuf_addf(out, "{\"id\":%lld", (long long)at.row);
    add_member(out, "pass", str_of(pass));
    add_member(out, "reason", reason);
    add_member(out, "file", str_of(at.file));
    strbuf_addf(out, ",\"line\":%lld,", (long long)at.line);
}
