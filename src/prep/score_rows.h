/* score_rows.h - what is fed to the base model for one row: its prompt and answer as training feeds them, and the answer alone.
 * Main structs: ScoreRows, the rows to ask about; ScoreHooks, who is told and who may stop.
 * A row is a canonical JSON object: {"messages": [...]} or {"prompt": "..", "completion": ".."}. It is encoded by the functions that encode rows for
 * training (data/encode.c), so prompt, answer, terminator and the mask are those that hone train would use; "trained" below means what that mask marks.
 *
 * The answer alone, exactly:
 *   pair   BOS (when the row's own first token is BOS), the tokens of the separator (none without one), then the row's own trained tokens, id by id. Without
 *          BOS and separator nothing stands before the answer's first token, so no loss exists for it: it is left out of both means of the IFD. (Where the row
 *          itself begins with the answer, without BOS and prompt, both texts are the row.)
 *   chat   the same conversation rendered by the same template with "" as content of every message that is not the assistant's; tools and documents are left
 *          out, chat_template_kwargs are kept. What remains before an answer are the template's own words, its headers and the assistant's opening
 *          (Cherry's bare "### Response:"), and in a conversation of several turns the earlier answers, since they are not the user's.
 * To add a shape of row: its line in `score_row_encode`, and what "alone" means for it here. */
#ifndef HONE_SCORE_ROWS_H
#define HONE_SCORE_ROWS_H

#include "base/json.h"
#include "tokenizer/chat.h"

typedef struct ScoreRows {
    Json *const *row;      /* [n] borrowed */
    size_t       n;
    const char  *name;     /* what errors call the rows: "train.jsonl"; a row is "NAME, row I", from 1 */
    const Tok   *tok;
    const char  *separator;/* between prompt and completion, as in training; NULL or "": none */
} ScoreRows;

typedef struct ScoreHooks { /* each may be NULL */
    void *user;
    void (*progress)(void *user, size_t done, size_t of);
    bool (*stop_asked)(void *user);  /* asked before each pass through the model; true: the work ends with ERR_STOP */
} ScoreHooks;

/* Is the work to end? Then ERR_STOP with what was done. */
int  score_stopped(const ScoreHooks *h, size_t done, size_t of, Err *e);
void score_progress(const ScoreHooks *h, size_t done, size_t of);

/* Row i as training encodes it, not cut. vocab: rows of the model's embedding. What hone train would refuse (no answer, a shape that is neither, ids outside
 * the vocabulary ...) is ERR_INPUT and names the row. */
int  score_row_encode(const ScoreRows *rows, size_t i, int32_t vocab, ChatOut *out, Err *e);

typedef enum {
    ALONE_SAME,     /* out's trained tokens are those of the row, but for the first *skipped */
    ALONE_DIFFERS,  /* the template renders other answer tokens without the user's words: nothing to compare */
    ALONE_REFUSED,  /* the template refuses such a conversation */
} ScoreAlone;
/* The answer of row i alone; full: what score_row_encode gave. *skipped: 0, or 1 where the answer's first token has nothing before it. A template that writes ids outside
 * the vocabulary (0: not checked) only here has refused, too. */
ScoreAlone score_row_alone(const ScoreRows *rows, size_t i, int32_t vocab, const ChatOut *full, ChatOut *out, int32_t *skipped);

size_t score_trained(const ChatOut *row); /* trained tokens; the first token of a row is never one */

#endif
