/* knowledge.h - which rows teach the model facts that it does not know, by asking it.
 * Main structs: KnowledgeRow, what the model makes of one row; Knowledge, the shares.
 *
 * Why: rows that state what the base model does not know are learned slowly, and once they are learned the model states more that is wrong (Gekhman et al.
 * 2024, arXiv:2405.05904). The classes are those of SliCK there: a question is put behind a few other rows with their answers, and the model's answers are
 * compared with the row's:
 *   HighlyKnown   every greedy answer is right (with one prompt only: and every sampled one)
 *   MaybeKnown    some greedy answer is right
 *   WeaklyKnown   no greedy answer is right, some sampled one is
 *   Unknown       no answer is right
 * Deviations from the paper, which asks 10 prompts of 4 other rows, 1 greedy and 16 sampled answers each (T = 0.5), 170 answers for a row:
 *   - KNOWLEDGE_PROMPTS x (1 + KNOWLEDGE_SAMPLES) answers unless the caller wants more: fewer answers find less that is weakly known, so the share of Unknown
 *     is an upper bound, and with one prompt MaybeKnown means "greedy right, a sampled one wrong", which the paper does not have
 *   - right: the same text after normalisation (below), or token F1 of at least KNOWLEDGE_F1 (the paper: exact match)
 *   - the other rows are drawn from the data set itself, not from rows of the same relation.
 * Fed: "Q: question\nA: answer\n\n" for each of the shots, drawn for this row and prompt from the other rows that can be asked and have another question, then
 * "Q: question\nA:". Of a conversation the user's message is the question; a system message is left out. The answer is what comes before the first line
 * break.
 * Asked are rows of one question and one answer that is short: one line of at most KNOWLEDGE_WORDS words; what else there is has KNOW_NOT_ASKED, and so has
 * a question that does not fit into KNOWLEDGE_POSITIONS beside its answer even without shots. Shots that do not fit are left out, the last drawn first.
 * Cost for a row: prompts * (its prompt's tokens once through the model, and (1 + samples) answers token by token of at most answer_tokens). One text at a
 * time, so the model's weights are read once for each answered token.
 *
 * Normalisation (SQuAD's, Rajpurkar et al. 2016, for any script): NFKC, lower case, punctuation away, the words a, an and the away, single spaces. */
#ifndef HONE_KNOWLEDGE_H
#define HONE_KNOWLEDGE_H

#include "prep/score.h"

#define KNOWLEDGE_PROMPTS 1
#define KNOWLEDGE_SAMPLES 4
#define KNOWLEDGE_SHOTS   4
#define KNOWLEDGE_WORDS   12
#define KNOWLEDGE_F1      0.8
#define KNOWLEDGE_MOST    64    /* prompts, samples and shots, each */
#define KNOWLEDGE_TOKENS  48    /* of an answer */
#define KNOWLEDGE_POSITIONS 4096 /* tokens of a prompt and its answer, or as many as the model has */

typedef enum { KNOW_NOT_ASKED, KNOW_HIGHLY, KNOW_MAYBE, KNOW_WEAKLY, KNOW_UNKNOWN, KNOW_CLASSES } KnowClass;
const char *know_class_name(KnowClass c); /* "HighlyKnown", ...; "not asked" */

typedef struct KnowledgeRow {
    KnowClass class;
    int32_t   greedy, greedy_right;
    int32_t   sampled, sampled_right;
} KnowledgeRow;

typedef struct Knowledge { int64_t count[KNOW_CLASSES]; } Knowledge;

typedef struct KnowledgeOptions {
    int64_t    prompts, samples, shots; /* 0: the defaults above; samples -1, shots -1: none. Else ERR_ARG */
    double     temperature;             /* 0: 0.5 */
    int64_t    answer_tokens;           /* 0: KNOWLEDGE_TOKENS */
    size_t     most;                    /* rows to ask about, drawn among those that can be asked; 0: all */
    uint64_t   seed;
    ScoreHooks hooks;
    void     (*asked)(void *user, size_t row, const KnowledgeRow *k); /* hooks.user; may be NULL; in order of rows */
} KnowledgeOptions;

/* out [rows->n]. Rows that are passed over count as not asked. */
int  knowledge_ask(Model *m, const ScoreRows *rows, const KnowledgeOptions *o, KnowledgeRow *out, Knowledge *sum, Err *e);
/* What the shares advise, in one to three sentences. */
void knowledge_advice(const Knowledge *k, StrBuf *out);

/* The question and the answer of a row of one of each; false: it has not one question and one answer. The texts live as long as the row. */
bool   knowledge_question(const Json *row, Str *question, Str *answer);
void   knowledge_normalise(StrBuf *out, Str text);              /* appends */
double knowledge_f1(Str normalised_a, Str normalised_b);        /* of their words as bags; 1 when both have none */
bool   knowledge_right(Str expected, Str answer);

#endif
