/* task.c - see task.h. */
#include "eval/task.h"

#include <math.h>

#define ANSWER_LEAST 64 /* tokens an answer may have even when a short one is expected: a wrong answer should be seen as a whole */

double task_share(TaskShare s)
{
    return s.of ? (double)s.hits / (double)s.of : NAN;
}

void task_interval(TaskShare s, double *low, double *high)
{
    const double z = 1.959963984540054, n = (double)s.of, p = task_share(s);
    const double middle = (p + z * z / (2 * n)) / (1 + z * z / n), half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n));
    *low = s.hits ? middle - half : 0; /* the formula's own values at the ends, without its rounding */
    *high = s.hits < s.of ? middle + half : 1;
}

void task_score_release(TaskScore *s)
{
    vec_release(&s->field);
    map_free(s->field_names);
    *s = (TaskScore){ 0 };
}

static bool is_number(const Json *j)
{
    return json_kind(j) == JSON_INT || json_kind(j) == JSON_REAL;
}

/* Equal values; the order of an object's keys means nothing, 1 and 1.0 are the same. The depth is bounded by json_parse. */
static bool json_equal(const Json *a, const Json *b)
{
    JsonIter it = { 0 };
    Str      key;
    Json    *value;
    if (!a || !b)
        return false;
    if (is_number(a) && is_number(b))
        return json_kind(a) == JSON_INT && json_kind(b) == JSON_INT ? json_int(a) == json_int(b) : json_num(a) == json_num(b);
    if (json_kind(a) != json_kind(b))
        return false;
    switch (json_kind(a)) {
    case JSON_STRING: return str_eq(json_str(a), json_str(b));
    case JSON_BOOL:   return json_bool(a) == json_bool(b);
    case JSON_ARRAY:
        for (size_t i = 0; json_len(a) == json_len(b) && i < json_len(a); i++)
            if (!json_equal(json_at(a, i), json_at(b, i)))
                return false;
        return json_len(a) == json_len(b);
    case JSON_OBJECT:
        while (json_len(a) == json_len(b) && json_each(a, &it, &key, &value))
            if (!json_equal(value, json_get(b, key.p)))
                return false;
        return json_len(a) == json_len(b);
    case JSON_NULL:
    case JSON_INT:
    case JSON_REAL: break; /* numbers were compared above */
    }
    return true;
}

static Json *parse_object(Str text)
{
    Json *j = NULL;
    if (json_parse(&j, text, "", NULL) || json_kind(j) != JSON_OBJECT) {
        json_free(j);
        return NULL;
    }
    return j;
}

static void count(TaskShare *s, bool hit)
{
    s->of++;
    s->hits += hit;
}

static TaskShare *field_share(TaskScore *s, Str name)
{
    int64_t i = (int64_t)s->field.n;
    if (!s->field_names)
        s->field_names = map_new();
    if (!map_get(s->field_names, name, &i)) {
        map_put(s->field_names, name, i);
        vec_push(&s->field);
    }
    return &s->field.p[i];
}

bool task_judge(TaskScore *s, Str expected, Str got)
{
    JsonIter   it = { 0 };
    Str        key;
    Json      *value, *want = parse_object(expected), *have = want ? parse_object(got) : NULL;
    const bool exact = str_eq(expected, got);
    count(&s->exact, exact);
    if (want)
        count(&s->valid_json, have != NULL);
    while (want && json_each(want, &it, &key, &value)) {
        const bool equal = have && json_equal(value, json_get(have, key.p));
        count(&s->fields, equal);
        count(field_share(s, key), equal);
    }
    json_free(want);
    json_free(have);
    return exact;
}

static Str trimmed(const StrBuf *b)
{
    Str s = strbuf_str(b);
    while (s.n && memchr(" \t\r\n", s.p[0], 4))
        s = (Str){ s.p + 1, s.n - 1 };
    while (s.n && memchr(" \t\r\n", s.p[s.n - 1], 4))
        s.n--;
    return s;
}

/* The last trained stretch of the example: [*begin, *end), without the token that ends it. */
static void expected_span(const Generator *g, const Example *x, int32_t *begin, int32_t *end)
{
    int32_t b, n = x->n;
    while (n > 0 && !x->train[n - 1])
        n--;
    for (b = n; b > 0 && x->train[b - 1]; b--)
        ;
    while (n > b && generator_ends(g, x->ids[n - 1]))
        n--;
    *begin = b;
    *end = n;
}

static int answer_one(Generator *g, const Example *x, const TaskOptions *o, TaskScore *s, StrBuf text[3], Err *e)
{
    int32_t begin, end;
    expected_span(g, x, &begin, &end);
    for (int i = 0; i < 3; i++)
        strbuf_clear(&text[i]);
    const int64_t most = o->max_tokens ? o->max_tokens : MAX(2 * (int64_t)(end - begin), ANSWER_LEAST);
    int           rc = generator_answer(g, x->ids, begin, most, &text[2], e);
    if (rc)
        return rc;
    /* The expected text is decoded behind its prompt, as the answer was. */
    tok_decode(g->tok, x->ids, (size_t)begin, true, &text[0]);
    TokStream *stream = tok_stream_new(g->tok, true);
    for (int32_t i = 0; i < begin; i++)
        tok_stream_push(stream, x->ids[i], &text[1]);
    strbuf_clear(&text[1]);
    for (int32_t i = begin; i < end; i++)
        tok_stream_push(stream, x->ids[i], &text[1]);
    tok_stream_end(stream, &text[1]);
    tok_stream_free(stream);
    TaskAnswer a = { .example = x, .prompt = strbuf_str(&text[0]), .expected = trimmed(&text[1]), .got = trimmed(&text[2]) };
    a.exact = task_judge(s, a.expected, a.got);
    if (o->answered)
        o->answered(o->user, &a);
    return 0;
}

int task_run(Generator *g, const DataSet *d, const TaskOptions *o, TaskScore *s, Err *e)
{
    StrBuf text[3] = { { 0 } }; /* prompt, expected, got */
    int    rc = 0;
    *s = (TaskScore){ 0 };
    for (size_t i = 0; i < d->n && !rc; i++) {
        const Example *x = &d->ex[i];
        if (o->stop_asked && o->stop_asked(o->user))
            rc = err_set(e, ERR_STOP, "stopped after %zu of %zu answers", i, d->n);
        else if ((rc = answer_one(g, x, o, s, text, e)))
            err_wrap(e, "%s, line %lld", d->file[x->file].path, (long long)x->line);
    }
    for (int i = 0; i < 3; i++)
        strbuf_release(&text[i]);
    return rc;
}
