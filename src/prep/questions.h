/* questions.h - questions with answers made from documents by a model (infer/teacher.h), the texts of it: what the teacher is asked, and what its answers say.
 * The stage that uses them is questions.c, the judgement questions_ground.h. All functions are pure.
 *
 * Asked are two things, with a passage before each: N pairs as JSON, [{"question": "..", "answer": ".."}, ...], and of given pairs a score from 1 to 5 each.
 * Models put words, code fences and their thoughts around JSON, or forget its brackets, so an answer is searched for JSON values; of what is found the shape is
 * taken strictly: an object with a text under "question" and one under "answer", no more than QUESTIONS_MOST of them, alone, in a list, or in a list that is
 * the one list of an object. What stands before "</think>" is left out. Objects of another shape count as malformed and are told. */
#ifndef HONE_PREP_QUESTIONS_H
#define HONE_PREP_QUESTIONS_H

#include "base/json.h"
#include "base/vec.h"

#define QUESTIONS_MOST       50                  /* pairs of one passage that can be asked for */
#define QUESTIONS_READ_MAX   200                 /* pairs of one answer that are read */
#define QUESTIONS_ANSWER_MAX ((size_t)256 << 10) /* bytes of an answer that is read */
#define QUESTIONS_TRIES      128                 /* beginnings of JSON in an answer that lead nowhere */
#define QUESTIONS_SCORE_MAX  5

typedef struct QuestionPair { char *question, *answer; } QuestionPair; /* without white space at the ends; never empty; owned */
typedef struct QuestionPairs { VEC(QuestionPair) item; size_t malformed; } QuestionPairs; /* malformed: objects of another shape */

/* ERR_INPUT: "unreadable_answer: ..." when there is neither a pair nor an empty list. An empty list is fine: the passage says nothing worth asking. */
int  questions_parse(Str answer, QuestionPairs *out, Err *e);
void questions_release(QuestionPairs *p);

/* score [n], each 1 .. QUESTIONS_SCORE_MAX. False: the answer has no list of n such numbers. */
bool questions_parse_scores(Str answer, size_t n, int *score);

/* Where a passage stands; texts may be empty. */
typedef struct PassagePlace { Str title, part, section, lead, text; } PassagePlace; /* lead: head of the table that the text is a part of */

/* Messages, owned. */
Json *questions_ask(const PassagePlace *p, int64_t n);
Json *questions_ask_scores(const PassagePlace *p, const QuestionPair *pair, size_t n);

#endif
