/* jinja_global.c - the functions that every template can call, and how arguments meet parameters.
 * To add a function: a row in `globals`. */
#include <stdio.h>
#include <time.h>

#include "base/utf8.h"
#include "tokenizer/jinja_int.h"

#define PARAMS_MAX 8

static size_t param_at(const char *params, Text name)
{
    size_t k = 0;
    for (const char *p = params; *p; k++) {
        size_t n = strcspn(p, ",");
        if (name.n == n && !memcmp(name.p, p, n))
            return k;
        p += n + (p[n] == ',');
    }
    return SIZE_MAX;
}

static size_t param_count(const char *params)
{
    size_t n = *params != '\0';
    for (; *params; params++)
        n += *params == ',';
    return n;
}

bool jinja_bind(Run *r, const Method *m, const Args *a, Value *to, size_t max)
{
    const char *params = m->params + (m->params[0] == '!');
    size_t n = param_count(params);
    BUG_ON(n > max);
    for (size_t i = 0; i < max; i++)
        to[i] = i < a->n && i < n ? a->p[i] : (Value){ .kind = V_MISSING };
    if (a->n > n)
        fail(r, "\"%s\" takes at most %zu argument%s, %zu were given", m->name, n, n == 1 ? "" : "s", a->n);
    for (size_t i = 0; i < a->n_named && !r->rc; i++) {
        size_t k = m->params[0] == '!' ? SIZE_MAX : param_at(params, a->names[i]);
        if (k == SIZE_MAX)
            fail(r, "\"%s\" takes no argument \"%.*s\"", m->name, (int)MIN(a->names[i].n, (size_t)60), a->names[i].p);
        else if (to[k].kind != V_MISSING)
            fail(r, "the argument \"%.*s\" of \"%s\" is given twice", (int)MIN(a->names[i].n, (size_t)60), a->names[i].p, m->name);
        else
            to[k] = a->named[i];
    }
    for (size_t i = 0; i < m->need && !r->rc; i++)
        if (to[i].kind == V_MISSING)
            fail(r, "\"%s\" needs %zu argument%s", m->name, m->need, m->need == 1 ? "" : "s");
    return !r->rc;
}

Value call_method(Run *r, const Method *m, Value self, const Args *a)
{
    Value to[PARAMS_MAX];
    if (m->params[0] == '*')
        return m->fn(r, self, a);
    Args bound = { .p = to, .n = PARAMS_MAX };
    return jinja_bind(r, m, a, to, PARAMS_MAX) ? m->fn(r, self, &bound) : V_NIL;
}

bool want_int(Run *r, Value v, int64_t absent, int64_t *to, const char *what)
{
    *to = v.kind == V_MISSING ? absent : v.kind == V_BOOL ? v.b : v.i;
    if (v.kind != V_MISSING && v.kind != V_INT && v.kind != V_BOOL)
        fail(r, "%s should be a whole number, it is a %s", what, type_name(v));
    return !r->rc;
}

bool want_text(Run *r, Value v, Text *to, const char *what)
{
    if (v.kind != V_STR) {
        fail(r, "%s should be a text, it is a %s", what, type_name(v));
        return false;
    }
    *to = v.s;
    return true;
}

static Value g_range(Run *r, Value self, const Args *a)
{
    (void)self;
    int64_t v[3] = { 0, 0, 1 };
    size_t n = 0;
    while (n < 3 && a->p[n].kind != V_MISSING) {
        if (!want_int(r, a->p[n], 0, &v[n], "an argument of range()"))
            return V_NIL;
        n++;
    }
    Seq *s = seq_new(r, SEQ_RANGE);
    s->from = n > 1 ? v[0] : 0;
    s->to = n > 1 ? v[1] : v[0];
    s->step = n > 2 ? v[2] : 1;
    if (!s->step)
        return fail(r, "the step of range() cannot be 0");
    uint64_t span = s->step > 0 ? (s->to > s->from ? (uint64_t)s->to - (uint64_t)s->from : 0) : (s->from > s->to ? (uint64_t)s->from - (uint64_t)s->to : 0);
    uint64_t step = s->step > 0 ? (uint64_t)s->step : 0 - (uint64_t)s->step, count = span / step + (span % step != 0);
    if (count > JINJA_RANGE_MAX)
        return fail(r, "a range of %llu numbers is refused; the most is %d", (unsigned long long)count, JINJA_RANGE_MAX);
    for (uint64_t i = 0; i < count; i++)
        seq_push(r, s, v_int((int64_t)((uint64_t)s->from + i * (uint64_t)s->step)));
    return v_seq(s);
}

static void add_pairs(Run *r, Dict *d, Value v)
{
    Seq *pairs = seq_new(r, SEQ_LIST);
    if (v.kind == V_DICT || v.kind == V_SPACE) {
        for (size_t i = 0; i < v.dict->n; i++)
            dict_put(r, d, v.dict->keys[i], v.dict->values[i]);
        return;
    }
    if (!iterate(r, v, pairs, "dict()"))
        return;
    for (size_t i = 0; i < pairs->n && !r->rc; i++) {
        Seq *pair = seq_new(r, SEQ_LIST);
        if (!iterate(r, pairs->p[i], pair, "dict()"))
            return;
        if (pair->n != 2)
            fail(r, "dict() expects pairs, found %zu values", pair->n);
        else
            dict_put(r, d, pair->p[0], pair->p[1]);
    }
}

static Value g_dict(Run *r, Value self, const Args *a)
{
    (void)self;
    Dict *d = dict_new(r);
    if (a->n > 1)
        return fail(r, "dict() takes at most one argument without a name");
    if (a->n)
        add_pairs(r, d, a->p[0]);
    for (size_t i = 0; i < a->n_named; i++)
        dict_put(r, d, v_str(a->names[i]), a->named[i]);
    return v_dict(d);
}

static Value g_namespace(Run *r, Value self, const Args *a)
{
    Value v = g_dict(r, self, a);
    for (size_t i = 0; !r->rc && i < v.dict->n; i++)
        if (v.dict->keys[i].kind == V_STR && v.dict->keys[i].s.n && v.dict->keys[i].s.p[0] == '_')
            fail(r, "the part of a namespace cannot be called \"%.*s\": names with an underscore in front are refused",
                 (int)MIN(v.dict->keys[i].s.n, (size_t)60), v.dict->keys[i].s.p);
    if (!r->rc)
        v.kind = V_SPACE;
    return v;
}

static Value g_raise(Run *r, Value self, const Args *a)
{
    (void)self;
    Text t = to_text(r, a->p[0]);
    StrBuf seen = { 0 };
    utf8_visible(&seen, (Str){ t.p, utf8_complete(t.p, MIN(t.n, (size_t)400)) });
    Value v = fail(r, "the template refuses the conversation: %s", strbuf_z(&seen));
    strbuf_release(&seen);
    return v;
}

static Value g_strftime(Run *r, Value self, const Args *a)
{
    (void)self;
    Text format;
    struct tm now;
    if (!want_text(r, a->p[0], &format, "the format of strftime_now()"))
        return V_NIL;
    if (r->now) {
        now = *r->now;
    } else {
        time_t t = time(NULL);
        localtime_r(&t, &now);
    }
    char f[128], text[512] = "";
    if (format.n >= sizeof f || memchr(format.p, '\0', format.n))
        return fail(r, "the format of strftime_now() is longer than %zu bytes or holds a NUL", sizeof f - 1);
    memcpy(f, format.p, format.n);
    f[format.n] = '\0';
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    size_t n = strftime(text, sizeof text, f, &now);
#pragma GCC diagnostic pop
    if (!utf8_valid((Str){ text, n }, NULL))
        return fail(r, "strftime_now() gave no valid text");
    char *copy = take(r, n + 1, 1);
    if (!copy)
        return V_NIL;
    memcpy(copy, text, n);
    return v_str((Text){ copy, n, NULL, 0, false });
}

static Value g_joiner(Run *r, Value self, const Args *a)
{
    (void)self;
    (void)a;
    return fail(r, "cycler(), joiner() and lipsum() are not available in templates");
}

static const Method globals[] = {
    { "range", "!start,stop,step", 1, g_range }, { "dict", "*", 0, g_dict }, { "namespace", "*", 0, g_namespace },
    { "raise_exception", "message", 1, g_raise }, { "strftime_now", "format", 1, g_strftime },
    { "cycler", "*", 0, g_joiner }, { "joiner", "*", 0, g_joiner }, { "lipsum", "*", 0, g_joiner },
};

const Method *global_find(Text name)
{
    for (size_t i = 0; i < ARRAY_LEN(globals); i++)
        if (text_eq(name, globals[i].name))
            return &globals[i];
    return NULL;
}
