/* questions_int.h - what the two files of the stage `questions` share: passages with what the teacher said of them, and what is counted of them. */
#ifndef HONE_PREP_QUESTIONS_INT_H
#define HONE_PREP_QUESTIONS_INT_H

#include "docs/chunk.h"
#include "infer/teacher.h"
#include "prep/prep_int.h"
#include "prep/questions.h"
#include "prep/questions_cache.h"
#include "prep/questions_ground.h"
#include "prep/questions_veil.h"

#define QUESTIONS_FIRST_MAX 400 /* bytes of the first refusal that are kept for the error */

typedef struct Passage {
    size_t        paper;      /* of the window */
    const Chunk  *chunk;
    int64_t       number;     /* in its document, from 1 */
    AnswerEnd     end;
    char         *answer;     /* owned */
    QuestionPairs pair;
    char         *unreadable; /* why there are no pairs; owned; NULL: they are there */
    Grounding    *grounding;  /* [pair.item.n] */
    int          *score;      /* [pair.item.n] 0: not asked, or not told */
    Veiled        veiled;     /* where the maker has a veil; answer, pair and unreadable speak of what the teacher was shown */
} Passage;

typedef struct Paper { size_t input; DocOut doc; ChunkList chunk; } Paper; /* a document of the window */

/* What came of documents; of one and of all. */
typedef struct Counts { int64_t passages, unreadable, refused, usable; char first[QUESTIONS_FIRST_MAX]; /* refusal */ } Counts;

typedef struct Maker {
    Prep        *p;
    Teacher     *teacher;      /* NULL: nothing had to be asked yet */
    Veil        *veil;         /* NULL: the teacher sees passages as they stand */
    AnswerCache  cache;
    VEC(Paper)   paper;
    VEC(Passage) passage;
    Counts       all;
    int64_t      documents, unread;
    uint64_t     bytes_before, bytes; /* of inputs before the window, and of those in it */
} Maker;

PassagePlace passage_place(const Maker *m, const Passage *q);
PassagePlace passage_shown(const Maker *m, const Passage *q); /* as the teacher sees it */

/* ---- questions_rows.c ---- */
/* The rows of a passage, a line each; counted. */
void questions_put_rows(const Maker *m, const Passage *q, Counts *n, StrBuf *out);

#endif
