/* table_json.c - the rows of one JSON text: the elements of an array, at the top or as a member of the top object, or the top objects themselves when there
 * is no such array. The text streams by: only one element is in memory at a time, other members of the object are walked over.
 * What is checked here is what lies between the elements; an element itself is judged by json_parse. After a missing comma or a stray character reading goes on
 * with the next element.
 * Invariant: state and walk tell everything about the text before the window, so a value may be longer than it. */
#include "formats/table_int.h"

size_t json_walk(JsonWalk *w, Str s, size_t i, bool *done)
{
    *done = false;
    if (!w->begun && i < s.n) {
        w->begun = true;
        w->scalar = s.p[i] != '{' && s.p[i] != '[' && s.p[i] != '"';
    }
    while (i < s.n) {
        if (w->escaped) {
            w->escaped = false;
            i++;
            continue;
        }
        if (w->in_string) {
            const char *q = memchr(s.p + i, '"', s.n - i);
            const size_t end = q ? (size_t)(q - s.p) : s.n;
            const char *esc = memchr(s.p + i, '\\', end - i);
            if (esc) {
                w->escaped = true;
                i = (size_t)(esc - s.p) + 1;
                continue;
            }
            w->in_string = !q;
            i = end + (q != NULL);
        } else {
            const char c = s.p[i];
            if (w->scalar && (c == ',' || c == ']' || c == '}' || c == ' ' || c == '\t' || c == '\n' || c == '\r')) {
                *done = true;
                return i;
            }
            i++;
            if (c == '"')
                w->in_string = true;
            else if (c == '{' || c == '[')
                w->depth++;
            else if (c == '}' || c == ']')
                w->depth--;
            else
                continue;
        }
        if (!w->scalar && w->depth <= 0 && !w->in_string) {
            *done = true;
            return i;
        }
    }
    return i;
}

static size_t white(Str s, size_t i)
{
    while (i < s.n && (s.p[i] == ' ' || s.p[i] == '\t' || s.p[i] == '\n' || s.p[i] == '\r'))
        i++;
    return i;
}

static TableCut go_on(Table *t, Str s, size_t used, JsonState state)
{
    t->json.state = state;
    t->json.walk = (JsonWalk){ 0 };
    t->json.walked = 0;
    return (TableCut){ .kind = CUT_SKIP, .used = used, .lines = table_lines(t, s, used) };
}

static TableCut complain(Table *t, Str s, size_t used, JsonState state, TableBad bad)
{
    TableCut c = go_on(t, s, used, state);
    c.kind = CUT_ROW;
    c.bad = bad;
    table_keep_raw(&c, s, used);
    return c;
}

/* Nothing more can be made of the rest. */
static TableCut give_up(Table *t, Str s, TableBad bad)
{
    TableCut c = complain(t, s, s.n, JSON_AT_TAIL, bad);
    c.kind = CUT_END;
    return c;
}

static bool begins_rows(const Table *t, Str s, bool last, bool *more)
{
    if (s.p[0] != '[')
        return false;
    const size_t i = white(s, 1);
    *more = i == s.n && !last && s.n <= t->row_max;
    return t->array ? t->json.wanted : i < s.n && s.p[i] == '{';
}

/* Whether the object s has a member that is an array of rows. */
static bool has_rows(const Table *t, Str s)
{
    for (size_t i = white(s, 1); i < s.n && s.p[i] == '"';) {
        JsonWalk key = { 0 }, value = { 0 };
        bool done, more;
        i = white(s, json_walk(&key, s, i, &done));
        if (i == s.n || s.p[i] != ':')
            return false;
        i = white(s, i + 1);
        if (i < s.n && begins_rows(t, (Str){ s.p + i, s.n - i }, true, &more))
            return true;
        i = white(s, json_walk(&value, s, i, &done));
        i = i < s.n && s.p[i] == ',' ? white(s, i + 1) : s.n;
    }
    return false;
}

/* Where a text, or a further object of it, begins. A short object without rows in it is a row itself. */
static TableCut at_start(Table *t, Str s, bool last)
{
    JsonWalk w = { 0 };
    bool done;
    if (s.p[0] == '[') {
        t->json.found = true;
        return go_on(t, s, 1, JSON_AT_ROW);
    }
    if (s.p[0] != '{')
        return table_bad_member(t, "line %lld: a JSON file of rows begins with [ or {, and this does not", (long long)t->line);
    if (s.n < ENCODING_PEEK && s.n <= t->row_max && !last)
        return (TableCut){ .kind = CUT_MORE };
    const Str head = { s.p, MIN(s.n, ENCODING_PEEK) };
    json_walk(&w, head, 0, &done);
    if (done && !t->array && !has_rows(t, head)) {
        t->json.alone = true;
        return go_on(t, s, 0, JSON_IN_ROW);
    }
    t->json.in_object = true;
    t->json.alone = false;
    t->json.behind_comma = false;
    return go_on(t, s, 1, JSON_AT_KEY);
}

static bool is_key(const Table *t, Str key)
{
    Json *j = NULL;
    const bool same = t->array && !json_parse(&j, key, "key", NULL) && str_eqz(json_str(j), t->array);
    json_free(j);
    return same;
}

/* A key of the top object, or its end. */
static TableCut at_key(Table *t, Str s, bool last)
{
    JsonWalk w = { 0 };
    bool done;
    if (s.p[0] == '}' && !t->json.behind_comma) {
        if (t->json.found)
            return go_on(t, s, 1, JSON_AT_TAIL);
        if (t->array)
            return table_bad_member(t, "it has no array named \"%.100s\" at its top level", t->array);
        return table_bad_member(t, "it is an object without an array of objects in it; rows are expected as [{...}, ...] or {\"data\": [{...}, ...]}");
    }
    if (s.p[0] != '"')
        return table_bad_member(t, "line %lld: a key in quotes was expected in the outer object; the JSON is damaged", (long long)t->line);
    const size_t end = json_walk(&w, s, 0, &done), colon = white(s, end);
    if (!done || colon == s.n)
        return last || s.n > t->row_max ? table_bad_member(t, "line %lld: the outer object ends inside of a key; the JSON is damaged", (long long)t->line)
                                        : (TableCut){ .kind = CUT_MORE };
    if (s.p[colon] != ':')
        return table_bad_member(t, "line %lld: a colon was expected behind a key of the outer object; the JSON is damaged", (long long)t->line);
    t->json.wanted = is_key(t, (Str){ s.p, end });
    return go_on(t, s, colon + 1, JSON_AT_VALUE);
}

static TableCut at_value(Table *t, Str s, bool last)
{
    bool more = false;
    const bool rows = begins_rows(t, s, last, &more);
    if (more)
        return (TableCut){ .kind = CUT_MORE };
    if (!rows)
        return go_on(t, s, 0, JSON_SKIP_VALUE);
    if (t->json.found)
        return table_bad_member(t, "line %lld: a second array of rows begins; say by its key which one is meant", (long long)t->line);
    t->json.found = true;
    return go_on(t, s, 1, JSON_AT_ROW);
}

/* Walks on over a value that nobody needs, or the rest of a row that is too long. */
static TableCut skip_value(Table *t, Str s, JsonState then)
{
    bool done;
    const size_t end = json_walk(&t->json.walk, s, 0, &done);
    if (done)
        return go_on(t, s, end, then);
    return (TableCut){ .kind = CUT_SKIP, .used = end, .lines = table_lines(t, s, end) };
}

static TableCut at_row(Table *t, Str s)
{
    if (s.p[0] == ']') {
        const bool comma = t->json.behind_comma;
        t->json.behind_comma = false;
        const JsonState next = t->json.in_object ? JSON_AFTER_VALUE : JSON_AT_TAIL;
        return comma ? complain(t, s, 1, next, BAD_JSON_NO_ROW) : go_on(t, s, 1, next);
    }
    if (s.p[0] == ',' || s.p[0] == '}' || s.p[0] == ':')
        return complain(t, s, 1, JSON_AT_ROW, BAD_JSON_NO_ROW);
    return go_on(t, s, 0, JSON_IN_ROW);
}

static TableCut in_row(Table *t, Str s, bool last)
{
    bool done;
    TableJson *j = &t->json;
    j->walked = json_walk(&j->walk, s, j->walked, &done);
    if (j->walked > t->row_max) {
        const size_t used = j->walked;
        const JsonWalk walk = j->walk;
        TableCut c = complain(t, s, used, done ? JSON_AFTER_ROW : JSON_SKIP_ROW, BAD_LONG);
        if (!done)
            j->walk = walk;
        return c;
    }
    if (!done)
        return last ? give_up(t, s, BAD_JSON_END) : (TableCut){ .kind = CUT_MORE };
    TableCut c = { .kind = CUT_ROW, .text = { s.p, j->walked }, .used = j->walked, .lines = table_lines(t, s, j->walked) };
    go_on(t, s, 0, j->alone ? JSON_AT_TAIL : JSON_AFTER_ROW);
    return c;
}

static TableCut after_row(Table *t, Str s)
{
    t->json.behind_comma = s.p[0] == ',';
    if (s.p[0] == ',')
        return go_on(t, s, 1, JSON_AT_ROW);
    return s.p[0] == ']' ? go_on(t, s, 0, JSON_AT_ROW) : complain(t, s, 0, JSON_AT_ROW, BAD_JSON_COMMA);
}

static TableCut after_value(Table *t, Str s)
{
    t->json.behind_comma = s.p[0] == ',';
    if (s.p[0] == ',')
        return go_on(t, s, 1, JSON_AT_KEY);
    if (s.p[0] == '}')
        return go_on(t, s, 0, JSON_AT_KEY);
    return table_bad_member(t, "line %lld: a comma or } was expected in the outer object; the JSON is damaged", (long long)t->line);
}

/* The text is at its end: is that where it may end? */
static TableCut at_end(Table *t, Str s)
{
    const JsonState state = t->json.state;
    const bool fine = state == JSON_AT_TAIL || state == JSON_AT_START;
    t->json.state = JSON_AT_TAIL;
    return fine ? (TableCut){ .kind = CUT_END } : give_up(t, s, BAD_JSON_END);
}

TableCut table_cut_json(Table *t, Str s, bool last)
{
    TableJson *j = &t->json;
    const bool walking = j->state == JSON_IN_ROW || j->state == JSON_SKIP_ROW || j->state == JSON_SKIP_VALUE;
    const size_t lead = walking ? 0 : white(s, 0);
    if (lead)
        return (TableCut){ .kind = CUT_SKIP, .used = lead, .lines = table_lines(t, s, lead) };
    if (!s.n)
        return at_end(t, s);
    switch (j->state) {
    case JSON_AT_START:    return at_start(t, s, last);
    case JSON_AT_KEY:      return at_key(t, s, last);
    case JSON_AT_VALUE:    return at_value(t, s, last);
    case JSON_SKIP_VALUE:  return skip_value(t, s, JSON_AFTER_VALUE);
    case JSON_AFTER_VALUE: return after_value(t, s);
    case JSON_AT_ROW:      return at_row(t, s);
    case JSON_IN_ROW:      return in_row(t, s, last);
    case JSON_SKIP_ROW:    return skip_value(t, s, JSON_AFTER_ROW);
    case JSON_AFTER_ROW:   return after_row(t, s);
    case JSON_AT_TAIL:     break;
    }
    return s.p[0] == '{' && !j->found ? go_on(t, s, 0, JSON_AT_START) : give_up(t, s, BAD_JSON_TAIL);
}
