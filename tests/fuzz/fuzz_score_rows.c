/* fuzz_score_rows.c - any bytes as rows that the base model is asked about: they become tokens with and without their prompt, questions, and groups of
 * contradictions, or are refused with a sentence that names the row. The first byte chooses the tokenizer and the separator. */
#include "base/log.h"
#include "formats/jsonl.h"
#include "prep/knowledge.h"
#include "../data/tiny_tok.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define ROWS_MAX 64

static void ask(const Json *row)
{
    Str    question, answer;
    StrBuf text = { 0 };
    if (!knowledge_question(row, &question, &answer))
        return;
    knowledge_normalise(&text, question);
    BUG_ON(!utf8_valid(strbuf_str(&text), NULL) || str_starts(strbuf_str(&text), " "));
    strbuf_release(&text);
    BUG_ON(!knowledge_right(answer, answer) || knowledge_right(question, answer) != knowledge_right(question, answer));
}

static void encode(const ScoreRows *rows, size_t i)
{
    ChatOut full = { 0 }, alone = { 0 };
    int32_t skipped;
    Err     e = { 0 };
    if (score_row_encode(rows, i, 0, &full, &e)) {
        BUG_ON(e.code != ERR_INPUT || !str_starts(str_of(e.text), "fuzz, row "));
    } else if (score_row_alone(rows, i, 0, &full, &alone, &skipped) == ALONE_SAME) {
        BUG_ON(score_trained(&full) < 1 || score_trained(&alone) + (size_t)skipped != score_trained(&full));
    }
    chat_out_release(&full);
    chat_out_release(&alone);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static Tok *tok[4];
    static const TinyTok kinds[4] = { TINY_BYTES, TINY_CHATML, TINY_NOBOS, TINY_GPT2 };
    Json          *row[ROWS_MAX];
    size_t         n_rows = 0;
    Jsonl          in;
    Err            e;
    if (!n)
        return 0;
    const unsigned c = p[0] & 3;
    if (!tok[c]) {
        tok[c] = tiny_tok(kinds[c]);
        log_stderr(false);
    }
    jsonl_open_memory(&in, (Str){ (const char *)p + 1, n - 1 }, "fuzz");
    while (n_rows < ROWS_MAX && jsonl_next(&in, &row[n_rows], &e) == 1)
        n_rows++;
    jsonl_close(&in);
    const ScoreRows rows = { row, n_rows, "fuzz", tok[c], p[0] & 4 ? "\n" : NULL };
    for (size_t i = 0; i < n_rows; i++) {
        encode(&rows, i);
        ask(row[i]);
    }
    for (size_t i = 0; i < n_rows; i++)
        json_free(row[i]);
    return 0;
}
