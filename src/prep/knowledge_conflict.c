/* knowledge_conflict.c - rows that ask the same and answer differently, found by hashes of normalised texts (see knowledge.h).
 * Invariant: the groups depend on the rows and their order alone: the map iterates in order of insertion. */
#include "prep/knowledge.h"

#include <stdlib.h>

#include "base/map.h"

typedef VEC(size_t) Numbers;
typedef struct Hashed { char question[SHA256_HEX], answer[SHA256_HEX]; } Hashed;

/* Length in front, so that two texts cannot be cut in another place and be the same. */
static void add_text(Sha256 *h, StrBuf *scratch, Str text)
{
    strbuf_clear(scratch);
    knowledge_normalise(scratch, text);
    /* Of a text without letters or digits nothing would be left: its bytes speak. */
    const Str what = scratch->n ? strbuf_str(scratch) : text;
    sha256_add(h, &(uint64_t){ what.n }, sizeof(uint64_t));
    sha256_add(h, what.p ? what.p : "", what.n);
}

static void add_value(Sha256 *h, StrBuf *scratch, const Json *value)
{
    StrBuf text = { 0 };
    if (json_kind(value) == JSON_STRING) {
        add_text(h, scratch, json_str(value));
        return;
    }
    if (value)
        json_write(&text, value, false);
    add_text(h, scratch, strbuf_str(&text));
    strbuf_release(&text);
}

static void add_message(Sha256 *h, StrBuf *scratch, const Json *m)
{
    static const char *const key[] = { "content", "tool_calls" };
    for (size_t i = 0; i < ARRAY_LEN(key); i++)
        add_value(h, scratch, json_get(m, key[i]));
}

static bool hash_row(const Json *row, StrBuf *scratch, Hashed *out)
{
    const Json *messages = json_get(row, "messages");
    Sha256      question, answer;
    sha256_init(&question);
    sha256_init(&answer);
    if (messages) {
        const size_t n = json_len(messages);
        if (!n || !str_eqz(json_str(json_get(json_at(messages, n - 1), "role")), "assistant"))
            return false;
        for (size_t i = 0; i + 1 < n; i++) {
            add_value(&question, scratch, json_get(json_at(messages, i), "role"));
            add_message(&question, scratch, json_at(messages, i));
        }
        add_message(&answer, scratch, json_at(messages, n - 1));
    } else {
        if (json_kind(json_get(row, "prompt")) != JSON_STRING || json_kind(json_get(row, "completion")) != JSON_STRING)
            return false;
        add_value(&question, scratch, json_get(row, "prompt"));
        add_value(&answer, scratch, json_get(row, "completion"));
    }
    sha256_hex(&question, out->question);
    sha256_hex(&answer, out->answer);
    return true;
}

/* The group of rows with one question; nothing when they all answer the same. */
static void add_group(const Numbers *rows, const Hashed *hash, ConflictGroups *out)
{
    ConflictGroup g = { .n = rows->n };
    Map          *answers = map_new();
    g.row = mem_alloc(rows->n * sizeof *g.row);
    g.answer = mem_alloc(rows->n * sizeof *g.answer);
    for (size_t i = 0; i < rows->n; i++) {
        const Str key = str_of(hash[rows->p[i]].answer);
        int64_t   number = (int64_t)map_count(answers);
        if (!map_get(answers, key, &number))
            map_put(answers, key, number);
        g.row[i] = rows->p[i];
        g.answer[i] = (int32_t)number;
    }
    g.answers = (int32_t)map_count(answers);
    map_free(answers);
    if (g.answers > 1) {
        *vec_push(&out->group) = g;
        return;
    }
    free(g.row);
    free(g.answer);
}

void knowledge_conflicts(Json *const *row, size_t n, ConflictGroups *out)
{
    Hashed *hash = mem_zalloc(n, sizeof *hash);
    Map    *questions = map_new();
    VEC(Numbers) same = { 0 };
    StrBuf  scratch = { 0 };
    *out = (ConflictGroups){ 0 };
    for (size_t i = 0; i < n; i++) {
        int64_t k = (int64_t)same.n;
        if (!hash_row(row[i], &scratch, &hash[i]))
            continue;
        if (!map_get(questions, str_of(hash[i].question), &k)) {
            map_put(questions, str_of(hash[i].question), k);
            vec_push(&same);
        }
        *vec_push(&same.p[k]) = i;
    }
    for (size_t k = 0; k < same.n; k++) {
        if (same.p[k].n > 1)
            add_group(&same.p[k], hash, out);
        vec_release(&same.p[k]);
    }
    vec_release(&same);
    map_free(questions);
    free(hash);
    strbuf_release(&scratch);
}

void knowledge_conflicts_release(ConflictGroups *g)
{
    for (size_t i = 0; i < g->group.n; i++) {
        free(g->group.p[i].row);
        free(g->group.p[i].answer);
    }
    vec_release(&g->group);
}
