/* questions_parse.c - the pairs and the scores in a teacher's answer (questions.h). An answer is walked from one beginning of JSON to the next: where a value
 * ends is found by counting brackets outside of strings, and what lies between is parsed as JSON or passed over by its first bracket alone. So a list that was
 * cut off, or that has one bad element, still gives its good ones.
 * Cost: at most QUESTIONS_TRIES walks over the answer beside those that lead somewhere. */
#include "prep/questions.h"

#include <stdlib.h>
#include <strings.h>

static Str trimmed(Str s)
{
    while (s.n && memchr(" \t\r\n", s.p[0], 4))
        s = (Str){ s.p + 1, s.n - 1 };
    while (s.n && memchr(" \t\r\n", s.p[s.n - 1], 4))
        s.n--;
    return s;
}

/* Behind the thoughts of models that write them down. */
static Str without_thoughts(Str s)
{
    static const char end[] = "</think>";
    for (const char *p = s.p; s.n && (p = memmem(p, s.n, end, sizeof end - 1));) {
        p += sizeof end - 1;
        s = (Str){ p, s.n - (size_t)(p - s.p) };
    }
    return s;
}

/* The length of the value that begins with a bracket at `at`; 0: it does not end. */
static size_t value_length(Str s, size_t at)
{
    size_t depth = 0;
    bool   text = false;
    for (size_t i = at; i < s.n; i++) {
        const char c = s.p[i];
        if (text) {
            i += c == '\\';
            text = c != '"';
        } else if (c == '"') {
            text = true;
        } else if (c == '[' || c == '{') {
            depth++;
        } else if ((c == ']' || c == '}') && --depth == 0) {
            return i + 1 - at;
        }
    }
    return 0;
}

/* The next JSON list or object of the answer; owned; NULL: there is none. */
static Json *next_value(Str s, size_t *at, int *tries)
{
    for (; *at < s.n && *tries < QUESTIONS_TRIES; (*at)++) {
        Json *j = NULL;
        if (s.p[*at] != '[' && s.p[*at] != '{')
            continue;
        const size_t n = value_length(s, *at);
        if (n && !json_parse(&j, (Str){ s.p + *at, n }, "the answer", NULL)) {
            *at += n;
            return j;
        }
        (*tries)++;
    }
    return NULL;
}

/* "question", "Question" and "q" are one. */
static Str text_under(const Json *object, const char *name)
{
    JsonIter it = { 0 };
    Str      key;
    Json    *value;
    while (json_each(object, &it, &key, &value))
        if ((key.n == strlen(name) || key.n == 1) && !strncasecmp(key.p, name, key.n) && json_kind(value) == JSON_STRING)
            return trimmed(json_str(value));
    return (Str){ 0 };
}

static void take_pair(const Json *object, QuestionPairs *out)
{
    const Str q = text_under(object, "question"), a = text_under(object, "answer");
    if (!q.n || !a.n || memchr(q.p, '\0', q.n) || memchr(a.p, '\0', a.n))
        out->malformed++;
    else
        *vec_push(&out->item) = (QuestionPair){ mem_strndup(q.p, q.n), mem_strndup(a.p, a.n) };
}

static void take_list(const Json *list, QuestionPairs *out)
{
    for (size_t i = 0; i < json_len(list); i++)
        take_pair(json_at(list, i), out);
}

/* {"pairs": [...]}: the one list in an object; NULL: it has none, or several. */
static const Json *only_list(const Json *object)
{
    JsonIter    it = { 0 };
    Str         key;
    Json       *value;
    const Json *list = NULL;
    while (json_each(object, &it, &key, &value))
        if (json_kind(value) == JSON_ARRAY) {
            if (list)
                return NULL;
            list = value;
        }
    return list;
}

int questions_parse(Str answer, QuestionPairs *out, Err *e)
{
    const Str s = without_thoughts(answer);
    size_t    at = 0;
    int       tries = 0;
    bool      empty = false;
    Json     *j;
    *out = (QuestionPairs){ 0 };
    if (answer.n > QUESTIONS_ANSWER_MAX)
        return err_set(e, ERR_INPUT, "unreadable_answer: it has %zu KiB, and at most %zu KiB are read", answer.n >> 10, QUESTIONS_ANSWER_MAX >> 10);
    while (out->item.n <= QUESTIONS_READ_MAX && (j = next_value(s, &at, &tries))) {
        const Json *list = json_kind(j) == JSON_ARRAY ? j : text_under(j, "question").n ? NULL : only_list(j);
        empty |= list && !json_len(list);
        if (list)
            take_list(list, out);
        else
            take_pair(j, out);
        json_free(j);
    }
    if (out->item.n > QUESTIONS_READ_MAX) {
        questions_release(out);
        return err_set(e, ERR_INPUT, "unreadable_answer: it has more than %d pairs", QUESTIONS_READ_MAX);
    }
    if (out->item.n || (empty && !out->malformed))
        return 0;
    return err_set(e, ERR_INPUT, "unreadable_answer: %s; expected is JSON, [{\"question\": \"...\", \"answer\": \"...\"}]",
                   !trimmed(s).n ? "it is empty" : out->malformed ? "its objects have no text under \"question\" and \"answer\"" : "there is no JSON in it");
}

void questions_release(QuestionPairs *p)
{
    for (size_t i = 0; i < p->item.n; i++) {
        free(p->item.p[i].question);
        free(p->item.p[i].answer);
    }
    vec_release(&p->item);
    *p = (QuestionPairs){ 0 };
}

/* [5, 4], {"scores": [5, 4]} or, for one pair, {"score": 5}. */
static bool take_scores(const Json *j, size_t n, int *score)
{
    const Json *list = json_kind(j) == JSON_ARRAY ? j : only_list(j);
    const Json *one = json_get(j, "score");
    if (!list && n == 1 && one) {
        score[0] = json_kind(one) == JSON_INT && json_int(one) >= 1 && json_int(one) <= QUESTIONS_SCORE_MAX ? (int)json_int(one) : 0;
        return score[0] > 0;
    }
    if (!list || json_len(list) != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        const Json   *v = json_at(list, i);
        const Json   *number = json_kind(v) == JSON_OBJECT ? json_get(v, "score") : v;
        const int64_t x = number && json_kind(number) == JSON_INT ? json_int(number) : 0;
        if (x < 1 || x > QUESTIONS_SCORE_MAX)
            return false;
        score[i] = (int)x;
    }
    return true;
}

bool questions_parse_scores(Str answer, size_t n, int *score)
{
    const Str s = without_thoughts(answer);
    size_t    at = 0;
    int       tries = 0;
    bool      found = false;
    Json     *j;
    while (answer.n <= QUESTIONS_ANSWER_MAX && !found && (j = next_value(s, &at, &tries))) {
        found = take_scores(j, n, score);
        json_free(j);
    }
    return found;
}
