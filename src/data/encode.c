/* encode.c - one row of a data file to tokens and the mask of what is trained, and the gate that every row passes.
 * Invariants: a pair is tokenised as one text and split by character offsets, so the border between prompt and completion falls where the
 * tokenizer puts it when it sees the text again at generation; special tokens' spellings act as such in pairs and texts, never in messages.
 * To add a shape of row: a row in `encoders`, a DataKind, and its keys in rows.c. */
#include "data/data_int.h"

typedef int EncodeFn(const Json *row, const Tok *t, const DataOptions *o, const char *where, ChatOut *out, Err *e);

/* EOS behind a text that does not end with it yet. */
static void end_add(ChatOut *out, const Tok *t, bool trained)
{
    int32_t eos = tok_eos(t);
    if (eos >= 0 && (!out->ids.n || out->ids.p[out->ids.n - 1] != eos))
        chat_out_add(out, eos, trained);
}

int encode_text(Str text, bool end, const Tok *t, const char *where, ChatOut *out, Err *e)
{
    int rc = tok_encode(t, text, TOK_SPECIAL, &out->ids, e);
    if (rc)
        return err_wrap(e, "%s", where);
    while (out->mask.n < out->ids.n)
        *vec_push(&out->mask) = 0;
    if (end)
        end_add(out, t, false);
    return 0;
}

/* {"messages": [...]}: what chat_render marks, and what would make an answer impossible to learn. */
static int encode_messages(const Json *row, const Tok *t, const DataOptions *o, const char *where, ChatOut *out, Err *e)
{
    int rc = chat_render_row(t, row, false, where, out, e);
    if (rc || o->objective == OBJECTIVE_TEXT)
        return rc;
    const Json *messages = json_get(row, "messages");
    size_t n = json_len(messages), n_trained = 0;
    for (size_t i = 0; i < n; i++) {
        const Json *m = json_at(messages, i), *weight = json_get(m, "weight");
        bool answers = str_eqz(json_str(json_get(m, "role")), "assistant");
        if (i + 1 == n && !answers)
            return err_set(e, ERR_INPUT, "%s, messages[%zu]: the last message is not from the assistant, so there is no answer to learn; "
                                         "add it or remove the row", where, i);
        if (!answers || (weight && json_kind(weight) != JSON_NULL && !json_int(weight)))
            continue;
        if (!json_str(json_get(m, "content")).n && !json_len(json_get(m, "content")) && !json_len(json_get(m, "tool_calls")))
            return err_set(e, ERR_INPUT, "%s, messages[%zu]: the answer is empty; write one, or set \"weight\": 0 so that it is not trained", where, i);
        n_trained++;
    }
    if (!n_trained)
        return err_set(e, ERR_INPUT, "%s: no message of the row is trained (every assistant message has weight 0); remove the row", where);
    return 0;
}

/* {"prompt": "..", "completion": ".."} */
static int encode_pair(const Json *row, const Tok *t, const DataOptions *o, const char *where, ChatOut *out, Err *e)
{
    Str prompt = { 0 }, completion = { 0 };
    TokSpans spans = { 0 };
    int rc = json_need_str(row, "prompt", &prompt, where, e);
    if (!rc)
        rc = json_need_str(row, "completion", &completion, where, e);
    if (!rc && !completion.n && o->objective == OBJECTIVE_SFT)
        rc = err_set(e, ERR_INPUT, "%s: the completion is empty, so there is no answer to learn; write one or remove the row", where);
    if (rc)
        goto done;
    strbuf_add(&out->text, prompt.p, prompt.n);
    strbuf_addz(&out->text, o->separator ? o->separator : "");
    size_t border = out->text.n;
    strbuf_add(&out->text, completion.p, completion.n);
    rc = tok_encode_spans(t, strbuf_str(&out->text), TOK_SPECIAL, &out->ids, &spans, e);
    if (rc) {
        err_wrap(e, "%s", where);
        goto done;
    }
    bool inside = false; /* an empty span is a special token that the tokenizer added: before the text, or behind it and so a part of the end */
    for (size_t i = 0; i < spans.n; i++) {
        TokSpan s = spans.p[i];
        bool trained = s.begin == s.end ? inside : s.end > border;
        inside = inside || trained;
        *vec_push(&out->mask) = trained;
    }
    end_add(out, t, true);
done:
    vec_release(&spans);
    return rc;
}

/* {"text": ".."} */
static int encode_text_row(const Json *row, const Tok *t, const DataOptions *o, const char *where, ChatOut *out, Err *e)
{
    (void)o;
    Str text = { 0 };
    int rc = json_need_str(row, "text", &text, where, e);
    if (!rc && !text.n)
        rc = err_set(e, ERR_INPUT, "%s: the text is empty; remove the row", where);
    return rc ? rc : encode_text(text, true, t, where, out, e);
}

static EncodeFn *const encoders[] = { [DATA_MESSAGES] = encode_messages, [DATA_PAIR] = encode_pair, [DATA_TEXT_ROWS] = encode_text_row };

int encode_row(const Json *row, DataKind kind, const Tok *t, const DataOptions *o, const char *where, ChatOut *out, Err *e)
{
    BUG_ON((size_t)kind >= ARRAY_LEN(encoders));
    chat_out_clear(out);
    return encoders[kind](row, t, o, where, out, e);
}

int encode_possible(DataKind kind, const Tok *t, const DataOptions *o, const char *name, Err *e)
{
    if (o->objective == OBJECTIVE_TEXT)
        return 0;
    if (kind == DATA_TEXT_ROWS || kind == DATA_RAW_TEXT)
        return err_set(e, ERR_INPUT, "%s: this is plain text (%s) and has no answers to train on; use --objective text to continue pre-training on it, or rows "
                                     "with prompt and completion, or messages", name, data_kind_name(kind));
    if (kind == DATA_MESSAGES) {
        int32_t id = chat_terminator(t, e);
        return id < 0 ? err_wrap(e, "%s", name) : 0;
    }
    if (tok_eos(t) < 0)
        return err_set(e, ERR_INPUT, "%s: the tokenizer has no end-of-text token, so the model would never learn to stop after a completion; name one as "
                                     "\"eos_token\" in tokenizer_config.json, or use --objective text", name);
    return 0;
}

static int check_bos(const ChatOut *row, const Tok *t, const char *where, Err *e)
{
    int32_t bos = tok_bos(t);
    Str name = bos < 0 ? (Str){ 0 } : tok_text(t, bos);
    if (bos < 0)
        return 0;
    if (row->ids.n > 1 && row->ids.p[0] == bos && row->ids.p[1] == bos)
        return err_set(e, ERR_INPUT, "%s: the row starts with two %.*s tokens, its own and the one that the tokenizer adds; remove "
                                     "%.*s from the text of the row", where, (int)name.n, name.p, (int)name.n, name.p);
    for (size_t i = 1; bos != tok_eos(t) && i < row->ids.n; i++)
        if (row->ids.p[i] == bos)
            return err_set(e, ERR_INPUT, "%s: token %zu is %.*s, which may only stand at the beginning; split the row there or "
                                         "remove %.*s from its text", where, i + 1, (int)name.n, name.p, (int)name.n, name.p);
    return 0;
}

static int check_vocabulary(const ChatOut *row, const Tok *t, int32_t vocab, const char *where, Err *e)
{
    for (size_t i = 0; vocab && i < row->ids.n; i++) {
        int32_t id = row->ids.p[i];
        if (id >= 0 && id < vocab)
            continue;
        Str name = tok_text(t, id);
        return err_set(e, ERR_INPUT, "%s: token %zu (%.*s) has id %d, but the model's embedding has only %d rows; this tokenizer does not belong to this model",
                       where, i + 1, (int)name.n, name.p, id, vocab);
    }
    return 0;
}

/* Every stretch of trained tokens ends with the terminator: a model that never sees it as a target never stops. */
static int check_answers(const ChatOut *row, DataKind kind, const Tok *t, const char *where, Err *e)
{
    int32_t end = kind == DATA_MESSAGES ? chat_terminator(t, NULL) : tok_eos(t); /* there is one: encode_possible looked */
    size_t n = row->ids.n, n_trained = 0;
    for (size_t i = 1; i < n; i++) { /* the first token is never a target: nothing stands before it */
        n_trained += row->mask.p[i];
        if (!row->mask.p[i] || (i + 1 < n && row->mask.p[i + 1]) || row->ids.p[i] == end)
            continue;
        Str name = tok_text(t, end);
        return err_set(e, ERR_INPUT, "%s: the trained part that ends at token %zu does not end with a trained %.*s, so the model "
                                     "would not learn to stop", where, i + 1, (int)name.n, name.p);
    }
    if (!n_trained)
        return err_set(e, ERR_INPUT, "%s: no token of the row is trained (%zu tokens, all of them prompt); remove the row or give it an answer", where, n);
    return 0;
}

int encode_check(const ChatOut *row, DataKind kind, const Tok *t, const DataOptions *o, const char *where, Err *e)
{
    BUG_ON(row->ids.n != row->mask.n || row->ids.n > INT32_MAX);
    int rc = check_bos(row, t, where, e);
    if (!rc)
        rc = check_vocabulary(row, t, o->vocab, where, e);
    if (!rc && o->objective == OBJECTIVE_SFT)
        rc = check_answers(row, kind, t, where, e);
    if (!rc && o->objective == OBJECTIVE_TEXT && row->ids.n < 2)
        rc = err_set(e, ERR_INPUT, "%s: the text has %zu token%s, too few to predict one from another; remove it", where, row->ids.n,
                     row->ids.n == 1 ? "" : "s");
    return rc;
}
