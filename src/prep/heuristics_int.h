/* heuristics_int.h - the measures behind the rules: each takes prompt and answer and gives the value that heuristics.h describes. */
#ifndef HONE_PREP_HEURISTICS_INT_H
#define HONE_PREP_HEURISTICS_INT_H

#include "base/utf8.h"
#include "prep/heuristics.h"

/* What one pass over the answer finds. */
typedef struct TextCounts {
    size_t letters, digits, solid;  /* characters; solid: all that is no space */
    size_t words, hard, long_words; /* hard: of the long Latin words, those that cannot be pronounced */
    size_t urls;                    /* bytes of URLs */
    float  entropy;                 /* bits per byte */
    uint64_t *word;                 /* [words, at most HEURISTIC_WORDS_MAX] hashes */
} TextCounts;

void heuristic_text_count(Str s, TextCounts *c);
void text_release(TextCounts *c);
Str  text_trim(Str s);
bool text_has(Str s, const char *part);           /* ASCII letters in any case */
bool text_has_any(Str s, const char *const *parts, size_t n);
void repeat_measure(const TextCounts *c, float *top, float *repeated);
float repeat_lines(Str answer);
float repeat_loop(Str answer);
float ends_truncated(Str answer, const TextCounts *c);
float says_refusal(Str answer);
bool  says_nothing(Str prompt, Str answer);
float has_placeholder(Str prompt, Str answer);
float echoes_prompt(Str prompt, Str answer);
float leaks_prompt(Str prompt, Str answer);
float quotes_open(Str answer);
float json_broken(Str prompt, Str answer);

#endif
