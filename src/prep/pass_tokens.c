/* pass_tokens.c - with --model: every row through the model's own tokenizer and template, and through the gate of training. Counts its tokens, notes
 * what would not fit into --max-length, and removes what hone train would refuse, with the sentence that it would say. */
#include "prep/prep_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "data/dataset.h"
#include "prep/row_checks.h"

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

int row_tokens(const Record *r, const Tok *tok, int64_t max_length, int32_t *tokens, int32_t *trained, char note[160], Err *e)
{
    DataOptions o = { .objective = r->kind == REC_TEXT ? OBJECTIVE_TEXT : OBJECTIVE_SFT, .max_length = (int32_t)max_length };
    int64_t     n, n_trained;
    *tokens = *trained = -1;
    note[0] = '\0';
    if (r->kind == REC_PREFERENCE) /* not a row of supervised training */
        return 0;
    int rc = dataset_count_row(r->row, tok, &o, &n, &n_trained, e);
    if (rc)
        return rc;
    *tokens = (int32_t)n;
    *trained = (int32_t)n_trained;
    if (n > max_length && r->kind != REC_TEXT) /* a text is cut into pieces */
        snprintf(note, 160, "longer than --max-length: %lld tokens, and %lld are allowed", (long long)n, (long long)max_length);
    return 0;
}

static void tokens_row(const void *state, RowWork *w)
{
    const Tokens *t = state;
    Err           err = { 0 };
    char          note[160];
    if (row_tokens(&w->rec, t->tok, t->max_length, &w->entry.tokens, &w->entry.trained, note, &err))
        row_remove(w, "tokens", err.text, NAN, NULL);
    else if (note[0])
        row_note(w, "tokens", note, (double)w->entry.tokens, NULL);
}

static void tokens_close(void *state)
{
    Tokens *t = state;
    tok_free(t->tok);
    free(t);
}

const Pass pass_tokens = { "tokens", false, tokens_open, tokens_row, tokens_close };
