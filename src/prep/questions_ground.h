/* questions_ground.h - whether an answer says what its passage says, by words alone: a judge that costs nothing, hangs on no model and can be read.
 * Main struct: Ground, a passage made ready; of one passage any number of pairs is judged. A pair passes when
 *   - its question stands alone: it has none of the phrases that point at a passage ("according to the text", "im obigen Abschnitt", ...), and at least one of
 *     its words is the passage's
 *   - every number of question and answer is in the passage, and every name. A number is compared by its value: 1,000 is 1000 and 1.000, 3.50 is 3,50, 07 is 7,
 *     "two" is 2 (nought to twelve in five languages); of dates, versions and addresses each number counts. A name is a word with a capital letter that does not
 *     begin a sentence; where more than a quarter of a passage's words are so (German nouns), only words with a second capital (API, iPhone) are names
 *   - its grounding is at least GROUND_LEAST: of the words of the answer that carry meaning, the share that the passage has. Words of fewer than four letters and
 *     those of the stop list (seven languages) carry none; words of the question that the passage has not are left out of both numbers, since an answer may
 *     repeat them. Title and section of the passage count as passage. Two words are one when they differ by an ending: the shorter is the beginning of the longer
 *     and at most three letters are over, or they begin with at least five equal letters that are two thirds of the longer and at most three letters are over in
 *     each. In scripts without spaces pairs of neighbouring characters are the words
 *   - the answer says something: it has a word, a number or a name that can be looked for ("Yes." has none).
 * Measured with passages of 2000 characters of technical documents, their own sentences as answers beside every other passage of the same documents: at 0.7 between
 * 0.4 and 2.8 of 100 pass beside a foreign passage (0.6 and 6.3 at a share of 0.6), and none of the paraphrases that were written for the test is refused.
 * It does not see whether the words say the same: "open from 9" for "closed from 9" passes. That is for the teacher's own score, and for a person (prep review).
 * Words are compared after NFKC and in lower case. Bounds: texts of any length; cost about (words of the pair) * log(words of the passage). */
#ifndef HONE_PREP_QUESTIONS_GROUND_H
#define HONE_PREP_QUESTIONS_GROUND_H

#include "base/str.h"

#define GROUND_LEAST 0.7

typedef struct Ground Ground;

typedef struct Grounding {
    double share;      /* 0..1; of an answer without words of meaning: 1 when its numbers and names are there */
    int    words;      /* that carry meaning and count */
    int    found;      /* of these in the passage */
    char   why[120];   /* "": the pair passes; else "pointing_question: ...", "foreign_question: ...", "unsupported_number: ...", "unsupported_name: ...",
                          "unsupported_answer: ...", "empty_answer: ...". Nothing of the texts stands in it */
    char   what[64];   /* the number, name or phrase that `why` is about, in lower case; it may be personal data. "": none */
} Grounding;

Ground *ground_new(Str passage, Str title, Str section);   /* valid UTF-8, copied */
void    ground_free(Ground *g);
bool    ground_judge(const Ground *g, Str question, Str answer, Grounding *out); /* thread-safe; true: it passes */

#endif
