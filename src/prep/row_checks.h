/* row_checks.h - what the passes of one row find out, also for a row that a person edited (review_check.c). All are pure and thread-safe. */
#ifndef HONE_ROW_CHECKS_H
#define HONE_ROW_CHECKS_H

#include "prep/heuristics.h"
#include "prep/minhash_shingle.h"
#include "prep/record.h"
#include "tokenizer/tok.h"

/* pass_tokens.c: its tokens in training; -1: of no such kind. note: why it does not fit, or "". ERR_INPUT: the sentence with which training would refuse it. */
int  row_tokens(const Record *r, const Tok *tok, int64_t max_length, int32_t *tokens, int32_t *trained, char note[160], Err *e);
/* pass_quality.c: the heuristics over question and answer; off: bits of HeuristicKind. Rows without an answer to be judged: no rule fires, score 1. */
void row_quality(const Record *r, uint32_t off, HeuristicReport *out);
/* pass_language.c: the code of language.h, filled with zero bytes. */
void row_language(const Record *r, char code[4]);
/* pass_words.c: the words of its question as one hash; 0: it asks nothing, or is no conversation and no pair. work: of row_asked_work, one thread's. */
uint64_t row_asked(const Record *r, Shingles *work);
Shingles *row_asked_work(void);
/* A question that more of the rows ask is a form ("Write a poem"), and no part would take it whole (divide.c). */
#define QUESTION_FORM_SHARE 0.05

#endif
