/* questions_cache.c - see questions_cache.h. */
#include "prep/questions_cache.h"

#include "base/utf8.h"

static const char *const end_names[] = { [ANSWER_WHOLE] = "whole", [ANSWER_CUT] = "cut", [ANSWER_REFUSED] = "refused" };

static bool end_of(Str name, AnswerEnd *end)
{
    for (size_t i = 0; i < ARRAY_LEN(end_names); i++)
        if (str_eqz(name, end_names[i])) {
            *end = (AnswerEnd)i;
            return true;
        }
    return false;
}

void answer_key(char key[SHA256_HEX], const char *teacher, const TeacherWork *how, const Json *messages)
{
    StrBuf text = { 0 };
    Sha256 h;
    strbuf_addf(&text, "%s\n%lld\n%llu\n", teacher, (long long)how->max_tokens, (unsigned long long)how->seed);
    strbuf_add_real(&text, how->temperature);
    strbuf_addc(&text, '\n');
    json_write(&text, messages, false);
    sha256_init(&h);
    sha256_add(&h, text.p, text.n);
    sha256_hex(&h, key);
    strbuf_release(&text);
}

/* The line at an offset of the map; *next: behind it. */
static int read_line(const AnswerCache *c, size_t at, size_t *next, Json **line, Err *e)
{
    const char *p = (const char *)c->map.p + at, *lf = memchr(p, '\n', c->map.n - at);
    BUG_ON(!lf); /* lines are whole up to the length that is kept */
    *next = at + (size_t)(lf - p) + 1;
    int       rc = json_parse(line, (Str){ p, (size_t)(lf - p) }, c->log.path, e);
    AnswerEnd end;
    if (!rc && (json_str(json_get(*line, "key")).n != SHA256_HEX - 1 || !end_of(json_str(json_get(*line, "end")), &end) ||
                json_kind(json_get(*line, "text")) != JSON_STRING)) {
        json_free(*line);
        rc = err_set(e, ERR_INPUT, "a line without key, end and text");
    }
    return rc ? err_wrap(e, "%s is damaged; remove it, and what was asked is asked again", c->log.path) : 0;
}

static size_t whole_lines(const FileMap *m)
{
    const char *lf = m->n ? memrchr(m->p, '\n', m->n) : NULL;
    return lf ? (size_t)(lf - (const char *)m->p) + 1 : 0;
}

int answer_cache_open(AnswerCache *c, const char *path, Err *e)
{
    *c = (AnswerCache){ .log.fd = -1, .at = map_new() };
    int rc = file_exists(path) ? file_map(&c->map, path, e) : 0;
    const size_t keep = whole_lines(&c->map);
    if (!rc)
        rc = file_log_open(&c->log, path, keep, e);
    if (!rc && keep < c->map.n) { /* what was cut off must not be read any more */
        file_unmap(&c->map);
        rc = file_map(&c->map, path, e);
    }
    for (size_t at = 0, next; at < keep && !rc; at = next) {
        Json *line = NULL;
        rc = read_line(c, at, &next, &line, e);
        if (!rc) {
            map_put(c->at, json_str(json_get(line, "key")), (int64_t)at);
            json_free(line);
        }
    }
    if (rc)
        answer_cache_close(c);
    return rc;
}

bool answer_cache_has(const AnswerCache *c, const char *key)
{
    int64_t at;
    return map_get(c->at, str_of(key), &at);
}

int answer_cache_get(AnswerCache *c, const char *key, AnswerEnd *end, StrBuf *text, Err *e)
{
    int64_t at = 0;
    size_t  next;
    Json   *line = NULL;
    int     rc = 0;
    BUG_ON(!map_get(c->at, str_of(key), &at));
    if ((size_t)at >= c->map.n) { /* it came in the meantime */
        file_unmap(&c->map);
        rc = file_map(&c->map, c->log.path, e);
    }
    if (!rc)
        rc = read_line(c, (size_t)at, &next, &line, e);
    if (rc)
        return rc;
    const Str s = json_str(json_get(line, "text"));
    end_of(json_str(json_get(line, "end")), end);
    strbuf_add(text, s.p, s.n);
    json_free(line);
    return 0;
}

int answer_cache_add(AnswerCache *c, const char *key, AnswerEnd end, Str text, Err *e)
{
    StrBuf line = { 0 };
    const int64_t at = (int64_t)c->log.size;
    strbuf_addf(&line, "{\"key\":\"%s\",\"end\":\"%s\",\"text\":", key, end_names[end]);
    StrBuf good = { 0 };
    utf8_repair(&good, text);
    json_write_string(&line, strbuf_str(&good));
    strbuf_addz(&line, "}\n");
    int rc = file_log_add(&c->log, line.p, line.n, e);
    if (!rc)
        map_put(c->at, str_of(key), at);
    strbuf_release(&line);
    strbuf_release(&good);
    return rc;
}

size_t answer_cache_count(const AnswerCache *c) { return map_count(c->at); }

void answer_cache_close(AnswerCache *c)
{
    file_unmap(&c->map);
    file_log_close(&c->log);
    map_free(c->at);
    *c = (AnswerCache){ .log.fd = -1 };
}
