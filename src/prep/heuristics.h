/* heuristics.h - signals of quality for one pair of prompt and answer. Not web rules: short answers, code, JSON and tickets are normal here.
 * Each rule measures one value and fires when that lies beyond its bound; the caller may set bounds of its own with heuristic_fires. Pure and thread-safe.
 * Bounds: any length; repetition reads the first HEURISTIC_WORDS_MAX words, a loop the last HEURISTIC_TAIL bytes. Ill-formed bytes count as symbols.
 *
 * score = (0.9 + 0.1 n / (n + 200)) * product over the rules that fire of (1 - weight), n = bytes of the answer: in [0, 1]; among duplicates
 * the one with the highest score is kept, so of two sound answers the longer one, by a little. */
#ifndef HONE_PREP_HEURISTICS_H
#define HONE_PREP_HEURISTICS_H

#include "base/str.h"

#define HEURISTIC_WORDS_MAX 4096
#define HEURISTIC_TAIL      1200

typedef enum {
    HEURISTIC_EMPTY,       /* letters and digits in the answer; 0 for one that says nothing: "n/a", "k.A.", "none", unless the prompt speaks of that */
    HEURISTIC_ECHO,        /* 1: the answer is the prompt, but for case, spaces and punctuation */
    HEURISTIC_LEAK,        /* 1: the answer begins with the whole prompt, or holds the marks of a chat template */
    HEURISTIC_TRUNCATED,   /* how sure, of an answer that does not end in a loop: 1 unclosed code fence; 0.95 a list's item or a table's row without its text; 0.9 ends on a
                            comma or a word such as "the"; 0.8 ends on "...", on a word that seldom ends a sentence, or inside a bracket, a mark, a sentence or a letter:
                            heuristics_end.c */
    HEURISTIC_REFUSAL,     /* sentences that begin as refusals do, among the first HEURISTIC_REFUSAL_READ bytes */
    HEURISTIC_TOP_GRAM,    /* share of the words that the most frequent 3 words in a row cover */
    HEURISTIC_GRAMS,       /* share of the sequences of 5 words that came before */
    HEURISTIC_LINES,       /* share of the lines that came before */
    HEURISTIC_LOOP,        /* how often the answer's end repeats one piece of text without anything between */
    HEURISTIC_ENTROPY,     /* bits per byte */
    HEURISTIC_CONSONANTS,  /* share of the Latin words of 5 letters and more that nobody can pronounce */
    HEURISTIC_LETTERS,     /* share of letters and digits among what is no space */
    HEURISTIC_PLACEHOLDER, /* lorem ipsum, TODO, [Your Name], {{variable}} that the prompt does not have */
    HEURISTIC_LENGTH,      /* |log10(bytes of the answer / bytes of the prompt)| */
    HEURISTIC_SCRIPT,      /* share of the answer's letters outside the prompt's script, when no translation is asked for */
    HEURISTIC_QUOTES,      /* 1: a double quote is not closed */
    HEURISTIC_JSON,        /* 1: the prompt asks for JSON, and what starts as JSON in the answer does not parse */
    HEURISTIC_URLS,        /* share of URLs in what is no space, when no link is asked for */
    HEURISTIC_KINDS,
} HeuristicKind;

#define HEURISTIC_REFUSAL_READ 400

typedef struct HeuristicRow {
    const char *name;    /* for recipes and logs; never changes */
    bool        below;   /* fires when the value is below the bound, otherwise when above */
    float       bound;   /* default */
    float       weight;  /* what is lost of the score, in [0, 1] */
    const char *removes; /* in words */
} HeuristicRow;
extern const HeuristicRow heuristic_rows[HEURISTIC_KINDS];

typedef struct HeuristicReport {
    float    value[HEURISTIC_KINDS]; /* a rule that does not apply (too short, not asked) has a value that does not fire */
    uint32_t fired;                  /* bit n: HeuristicKind n, by the default bounds */
    float    score;                  /* [0, 1] */
} HeuristicReport;

void heuristics_score(Str prompt, Str answer, uint32_t off, HeuristicReport *r); /* off: bit n, HeuristicKind n never fires */
bool heuristic_fires(HeuristicKind kind, float value, float bound);
/* The kind called so, or -1. */
int  heuristic_kind_of(const char *name);

#endif
