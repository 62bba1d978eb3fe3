/* score_rows.c - see score_rows.h. */
#include "prep/score_rows.h"

#include "data/encode.h"

int score_stopped(const ScoreHooks *h, size_t done, size_t of, Err *e)
{
    if (!h || !h->stop_asked || !h->stop_asked(h->user))
        return 0;
    return err_set(e, ERR_STOP, "stopped after %zu of %zu rows", done, of);
}

void score_progress(const ScoreHooks *h, size_t done, size_t of)
{
    if (h && h->progress)
        h->progress(h->user, done, of);
}

static bool present(const Json *row, const char *key)
{
    const Json *v = json_get(row, key);
    return v && json_kind(v) != JSON_NULL;
}

static int kind_of(const Json *row, const char *where, DataKind *kind, Err *e)
{
    const bool chat = present(row, "messages"), pair = present(row, "prompt") && present(row, "completion");
    if (chat == pair)
        return err_set(e, ERR_INPUT, "%s: the base model is asked about rows with \"messages\", or with \"prompt\" and \"completion\"; this one has %s", where,
                       chat ? "both" : "neither");
    *kind = chat ? DATA_MESSAGES : DATA_PAIR;
    return 0;
}

int score_row_encode(const ScoreRows *rows, size_t i, int32_t vocab, ChatOut *out, Err *e)
{
    const DataOptions o = { .objective = OBJECTIVE_SFT, .max_length = INT32_MAX, .separator = rows->separator, .vocab = vocab };
    DataKind          kind = DATA_PAIR;
    StrBuf            where = { 0 };
    BUG_ON(i >= rows->n);
    strbuf_addf(&where, "%s, row %zu", rows->name, i + 1);
    int rc = kind_of(rows->row[i], strbuf_z(&where), &kind, e);
    if (!rc)
        rc = encode_possible(kind, rows->tok, &o, strbuf_z(&where), e);
    if (!rc)
        rc = encode_row(rows->row[i], kind, rows->tok, &o, strbuf_z(&where), out, e);
    if (!rc)
        rc = encode_check(out, kind, rows->tok, &o, strbuf_z(&where), e);
    strbuf_release(&where);
    return rc;
}

size_t score_trained(const ChatOut *row)
{
    size_t n = 0;
    for (size_t i = 1; i < row->mask.n; i++)
        n += row->mask.p[i];
    return n;
}

static ScoreAlone pair_alone(const ScoreRows *rows, const ChatOut *full, ChatOut *out, int32_t *skipped)
{
    const bool answer_first = full->mask.p[0]; /* nothing stands before it: in neither text is it a target */
    if (answer_first || full->ids.p[0] == tok_bos(rows->tok))
        *vec_push(&out->ids) = full->ids.p[0];
    if (!answer_first && rows->separator && tok_encode(rows->tok, str_of(rows->separator), 0, &out->ids, NULL))
        return ALONE_REFUSED; /* not UTF-8; the row itself would have been refused before */
    while (out->mask.n < out->ids.n)
        *vec_push(&out->mask) = 0;
    *skipped = !out->ids.n;
    for (size_t i = 1; i < full->ids.n; i++)
        if (full->mask.p[i])
            chat_out_add(out, full->ids.p[i], true);
    return ALONE_SAME;
}

/* The message with "" as its content; a message of the assistant's as it is. */
static Json *without_content(Json *message)
{
    JsonIter it = { 0 };
    Str      key;
    Json    *value;
    if (str_eqz(json_str(json_get(message, "role")), "assistant"))
        return json_ref(message);
    Json *copy = json_obj_new();
    while (json_each(message, &it, &key, &value)) /* keys are terminated: json.h hands out jansson's own */
        json_set(copy, key.p, str_eqz(key, "content") ? json_str_new(STR_LIT("")) : json_ref(value));
    return copy;
}

static bool same_answer(const ChatOut *a, const ChatOut *b)
{
    size_t i = 1, j = 1;
    for (;; i++, j++) {
        while (i < a->ids.n && !a->mask.p[i])
            i++;
        while (j < b->ids.n && !b->mask.p[j])
            j++;
        if (i >= a->ids.n || j >= b->ids.n)
            return i >= a->ids.n && j >= b->ids.n;
        if (a->ids.p[i] != b->ids.p[j])
            return false;
    }
}

static ScoreAlone chat_alone(const ScoreRows *rows, const Json *row, const ChatOut *full, ChatOut *out)
{
    const Json *messages = json_get(row, "messages");
    Json       *bare = json_obj_new(), *list = json_arr_new(), *kwargs = json_get(row, "chat_template_kwargs");
    for (size_t i = 0; i < json_len(messages); i++)
        json_push(list, without_content(json_at(messages, i)));
    json_set(bare, "messages", list);
    if (kwargs)
        json_set(bare, "chat_template_kwargs", json_ref(kwargs));
    const int rc = chat_render_row(rows->tok, bare, false, rows->name, out, NULL);
    json_free(bare);
    return rc ? ALONE_REFUSED : same_answer(full, out) ? ALONE_SAME : ALONE_DIFFERS;
}

ScoreAlone score_row_alone(const ScoreRows *rows, size_t i, int32_t vocab, const ChatOut *full, ChatOut *out, int32_t *skipped)
{
    const Json *row = rows->row[i];
    *skipped = 0;
    chat_out_clear(out);
    const ScoreAlone a = present(row, "messages") ? chat_alone(rows, row, full, out) : pair_alone(rows, full, out, skipped);
    for (size_t k = 0; vocab && k < out->ids.n; k++)
        if (out->ids.p[k] < 0 || out->ids.p[k] >= vocab)
            return ALONE_REFUSED;
    return a;
}
