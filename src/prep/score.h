/* score.h - what the base model says about each row: how well it predicts the answer, and how much the prompt helps it.
 * Main struct: RowScore. All losses are means of -log p (natural logarithm) over trained tokens, the terminator included, computed in f32 by the passes
 * that training evaluates with; score_rows.h says exactly what is fed.
 *
 *   loss            mean -log p(token | prompt, answer so far) over all trained tokens of the row
 *   perplexity      exp(loss)
 *   given, alone    the same mean over the tokens that both texts predict (all but the first where nothing stands before the answer), with the
 *                   prompt and without it
 *   ifd_loss        given / alone: the Instruction-Following Difficulty of Cherry_LLM (Li et al. 2024a, arXiv:2308.12032, eq. 4)
 *   ifd_perplexity  exp(given - alone): that of Superfiltering (Li et al. 2024b, arXiv:2402.00530: a ratio of perplexities)
 * The two rank rows differently (0.1 / 0.2 and 2.1 / 4.2 are the same loss ratio), so each keeps its name. Above 1: the prompt makes the answer less
 * likely, which both papers take for a mismatch and leave out.
 * Deviations from the authors' programs: Cherry's "alone" text is "### Response:" and the answer tokenised anew, ours has the row's own ids behind the template's
 * words; Superfiltering's has no marker, so with GPT-2 it lacks the answer's first token, which its other mean has: ours are means over the same tokens;
 * both leave the terminator out, we count it, as training does. Both keep a ratio of exactly 1; select.h does not.
 *
 * A row longer than max_length tokens is cut from the right, as in Cherry_LLM, and marked: its scores are those of the answer tokens that remain, the same
 * ones in both texts; with no answer token left they are NaN.
 * Cost: two passes over each row's text (the second over the answer and its marker), no gradient. Memory: one micro-batch's activations and the tokens
 * of SCORE_WINDOW rows. Scores depend on the rows alone: not on threads, nor on the row that the work began with (windows begin at multiples of
 * SCORE_WINDOW whatever `first` is). To add a measure: a field, its line in `finish_row` (score.c), and in the golden file (tools/golden_scores.py). */
#ifndef HONE_SCORE_H
#define HONE_SCORE_H

#include "model/model.h"
#include "prep/score_rows.h"

#define SCORE_LENGTH 512   /* tokens of prompt and answer unless the caller says otherwise: Cherry_LLM's */
#define SCORE_BATCH  2048  /* tokens computed at once, or one row's where it is longer */
#define SCORE_WINDOW 256   /* rows that are packed together */

typedef enum {
    SCORE_WHOLE,         /* all scores are there */
    SCORE_CUT_ANSWER,    /* cut: the answer is not whole (scores are those of its beginning), or nothing of it is left (NaN) */
    SCORE_OTHER_TOKENS,  /* the template writes another answer without the prompt: no alone, no IFD */
    SCORE_REFUSED,       /* the template refuses a conversation without the user's words: no alone, no IFD */
    SCORE_NOTHING_BEFORE,/* an answer of one token with nothing before it: no alone, no IFD */
} ScoreNote;
const char *score_note_name(ScoreNote n); /* "whole", "cut", ... */

typedef struct RowScore {
    double    loss, perplexity;
    double    given, alone;
    double    ifd_loss, ifd_perplexity;
    int32_t   tokens;        /* of the row as it is, before any cut */
    int32_t   trained;       /* of these, as it is */
    int32_t   scored;        /* trained tokens that `loss` is the mean of */
    int32_t   compared;      /* trained tokens that `given` and `alone` are means of */
    bool      cut;           /* the row was longer than max_length */
    ScoreNote note;
} RowScore;

typedef struct ScoreOptions {
    int64_t    max_length;   /* 0: SCORE_LENGTH, or the positions of the model if fewer; 2 to the positions of the model, else ERR_ARG */
    int64_t    batch_tokens; /* 0: SCORE_BATCH; at most 2^24 */
    size_t     first;        /* rows before this one have been scored before: their places in `out` are left alone */
    ScoreHooks hooks;
    void     (*scored)(void *user, size_t row, const RowScore *s); /* hooks.user; may be NULL; each row once, in order */
} ScoreOptions;

/* out [rows->n]. After ERR_STOP or another error all rows that `scored` was called for are whole, and the work can go on with the next one as `first`. */
int score_rows(Model *m, const ScoreRows *rows, const ScoreOptions *o, RowScore *out, Err *e);

/* Checks and fills in max_length and batch_tokens as score_rows understands them, and makes the model's positions ready. */
int score_lengths(Model *m, int64_t *max_length, int64_t *batch_tokens, Err *e);

#endif
