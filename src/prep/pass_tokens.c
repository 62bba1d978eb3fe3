/* pass_tokens.c - with --model: every row through the model's own tokenizer and template, and through the gate of training. Counts its tokens, notes
 * what would not fit into --max-length, and removes what hone train would refuse, with the sentence that it would say. */
#include "prep/prep_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "data/dataset.h"

typedef struct Tokens {
    Tok    *tok;
    int64_t max_length;
} Tokens;

static int tokens_open(Prep *p, void **state, Err *e)
{
    if (!p->cfg.model || !*p->cfg.model)
        return 0;
    Tokens *t = mem_zalloc(1, sizeof *t);
    t->max_length = p->cfg.max_length;
    *state = t;
    return tok_open(&t->tok, p->cfg.model, e);
}

static void tokens_row(const void *state, RowWork *w)
{
    const Tokens *t = state;
    int64_t       n, trained;
    Err           err = { 0 };
    char          text[160];
    if (w->rec.kind == REC_PREFERENCE) /* not a row of supervised training */
        return;
    DataOptions o = { .objective = w->rec.kind == REC_TEXT ? OBJECTIVE_TEXT : OBJECTIVE_SFT, .max_length = (int32_t)t->max_length };
    if (dataset_count_row(w->rec.row, t->tok, &o, &n, &trained, &err)) {
        row_remove(w, "tokens", err.text, NAN, NULL);
        return;
    }
    w->entry.tokens = (int32_t)n;
    w->entry.trained = (int32_t)trained;
    if (n <= t->max_length || w->rec.kind == REC_TEXT) /* a text is cut into pieces */
        return;
    snprintf(text, sizeof text, "longer than --max-length: %lld tokens, and %lld are allowed", (long long)n, (long long)t->max_length);
    row_note(w, "tokens", text, (double)n, NULL);
}

static void tokens_close(void *state)
{
    Tokens *t = state;
    tok_free(t->tok);
    free(t);
}

const Pass pass_tokens = { "tokens", false, tokens_open, tokens_row, tokens_close };
