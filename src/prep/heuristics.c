/* heuristics.c - the table of rules and the score. To add a rule: a kind in heuristics.h, a row here, and its measure in heuristics_score. */
#include "prep/heuristics_int.h"

#include <math.h>

#include "prep/language.h"

const HeuristicRow heuristic_rows[HEURISTIC_KINDS] = {
    [HEURISTIC_EMPTY] = { "empty", true, 1, 1.0f, "answers that say nothing: no letter or digit, or n/a, none and the like" },
    [HEURISTIC_ECHO] = { "echo", false, 0.5f, 0.9f, "answers that only repeat the prompt" },
    [HEURISTIC_LEAK] = { "leak", false, 0.5f, 0.6f, "answers that begin with the prompt or hold marks of a chat template" },
    [HEURISTIC_TRUNCATED] = { "truncated", false, 0.75f, 0.5f, "answers that break off" },
    [HEURISTIC_REFUSAL] = { "refusal", false, 0.5f, 0.6f, "refusals in stock phrases" },
    [HEURISTIC_TOP_GRAM] = { "top_gram", false, 0.5f, 0.4f, "answers in which the same three words cover half" },
    [HEURISTIC_GRAMS] = { "repeated_grams", false, 0.4f, 0.5f, "answers of which two fifths were said before" },
    [HEURISTIC_LINES] = { "repeated_lines", false, 0.4f, 0.4f, "answers that repeat their lines" },
    [HEURISTIC_LOOP] = { "loop", false, 3.9f, 0.7f, "answers whose end repeats itself four times or more" },
    [HEURISTIC_ENTROPY] = { "entropy", true, 2.2f, 0.5f, "long answers made of very few characters" },
    [HEURISTIC_CONSONANTS] = { "consonants", false, 0.3f, 0.5f, "keyboard noise" },
    [HEURISTIC_LETTERS] = { "letters", true, 0.25f, 0.4f, "answers of symbols" },
    [HEURISTIC_PLACEHOLDER] = { "placeholder", false, 0.5f, 0.4f, "answers with unfilled blanks" },
    [HEURISTIC_LENGTH] = { "length_ratio", false, 2.7f, 0.2f, "answers 500 times as long or as short as their prompt" },
    [HEURISTIC_SCRIPT] = { "script", false, 0.5f, 0.5f, "answers in another script than the prompt's" },
    [HEURISTIC_QUOTES] = { "quotes", false, 0.5f, 0.1f, "answers with a quotation that is not closed" },
    [HEURISTIC_JSON] = { "json", false, 0.75f, 0.6f, "broken JSON where JSON was asked for" },
    [HEURISTIC_URLS] = { "urls", false, 0.9f, 0.5f, "answers that are nothing but links" },
};

#define SCRIPT_LETTERS_MIN 20  /* fewer letters say little about the script */
#define ENTROPY_BYTES_MIN  60
#define LETTERS_MIN        30  /* characters */
#define LONG_WORDS_MIN     4

bool heuristic_fires(HeuristicKind kind, float value, float bound)
{
    return heuristic_rows[kind].below ? value < bound : value > bound;
}

int heuristic_kind_of(const char *name)
{
    for (int k = 0; k < HEURISTIC_KINDS; k++)
        if (strcmp(heuristic_rows[k].name, name) == 0)
            return k;
    return -1;
}

/* Share of the answer's letters outside the prompt's script; 0 where the prompt may ask for another one. */
static float script_differs(Str prompt, Str answer)
{
    static const char *const asks[] = {
        "transl", "\xC3\xBC" "bersetz", "tradu", "vertaal", "oversett", "overs\xC3\xA6t", "\xC3\xB6vers\xC3\xA4tt", "t\xC5\x82umacz", "p\xC5\x99" "elo\xC5\xBE",
        "\xD0\xBF\xD0\xB5\xD1\x80\xD0\xB5\xD0\xB2\xD0\xB5\xD0\xB4", "\xD0\xBF\xD0\xB5\xD1\x80\xD0\xB5\xD0\xB2\xD0\xBE\xD0\xB4", "\xE7\xBF\xBB\xE8\xAF\x91", "\xE7\xBF\xBB\xE8\xAD\xAF",
        "\xE7\xBF\xBB\xE8\xA8\xB3", "\xEB\xB2\x88\xEC\x97\xAD", "\xD8\xAA\xD8\xB1\xD8\xAC\xD9\x85", "language", "russian", "greek", "chinese", "japanese", "korean",
        "arabic", "hebrew", "hindi", "ukrainian", "bulgarian", "persian", "thai", "english", "script", "alphabet", "sprache", "idioma", "langue",
    };
    size_t letters, inside;
    const char *here = language_script_of(prompt, &letters, &inside);
    if (letters < SCRIPT_LETTERS_MIN || inside * 5 < letters * 4)
        return 0;
    const char *there = language_script_of(answer, &letters, &inside);
    const bool east = (strcmp(here, "Jpan") == 0 || strcmp(here, "Hani") == 0) && (strcmp(there, "Jpan") == 0 || strcmp(there, "Hani") == 0);
    if (letters < SCRIPT_LETTERS_MIN || strcmp(here, there) == 0 || east || text_has_any(prompt, asks, ARRAY_LEN(asks)))
        return 0;
    LanguageGuess g; /* code is written in Latin letters whatever language asks for it */
    language_guess(answer, &g);
    return strcmp(g.code, "code") == 0 ? 0 : (float)inside / (float)letters;
}

void heuristics_score(Str prompt, Str answer, uint32_t off, HeuristicReport *r)
{
    static const char *const links[] = { "url", "link", "website", "http", "web site", "webseite", "source", "where can" };
    TextCounts c;
    *r = (HeuristicReport){ .score = 0 };
    float *v = r->value;
    answer = text_trim(answer);
    heuristic_text_count(answer, &c);
    v[HEURISTIC_EMPTY] = says_nothing(prompt, answer) ? 0 : (float)(c.letters + c.digits);
    v[HEURISTIC_ECHO] = echoes_prompt(prompt, answer);
    v[HEURISTIC_LEAK] = leaks_prompt(prompt, answer);
    v[HEURISTIC_REFUSAL] = says_refusal(answer);
    repeat_measure(&c, &v[HEURISTIC_TOP_GRAM], &v[HEURISTIC_GRAMS]);
    v[HEURISTIC_LINES] = repeat_lines(answer);
    v[HEURISTIC_LOOP] = repeat_loop(answer);
    const bool loops = !(off >> HEURISTIC_LOOP & 1) && heuristic_fires(HEURISTIC_LOOP, v[HEURISTIC_LOOP], heuristic_rows[HEURISTIC_LOOP].bound);
    v[HEURISTIC_TRUNCATED] = loops ? 0 : ends_truncated(answer, &c); /* the last piece of a loop tells nothing more */
    v[HEURISTIC_ENTROPY] = answer.n < ENTROPY_BYTES_MIN ? 8 : c.entropy;
    v[HEURISTIC_CONSONANTS] = c.long_words < LONG_WORDS_MIN ? 0 : (float)c.hard / (float)c.long_words;
    v[HEURISTIC_LETTERS] = c.solid < LETTERS_MIN ? 1 : (float)(c.letters + c.digits) / (float)c.solid;
    v[HEURISTIC_PLACEHOLDER] = has_placeholder(prompt, answer);
    v[HEURISTIC_LENGTH] = fabsf(log10f((float)(answer.n + 1) / (float)(prompt.n + 1)));
    v[HEURISTIC_SCRIPT] = script_differs(prompt, answer);
    v[HEURISTIC_QUOTES] = quotes_open(answer);
    v[HEURISTIC_JSON] = json_broken(prompt, answer);
    v[HEURISTIC_URLS] = c.urls == 0 || text_has_any(prompt, links, ARRAY_LEN(links)) ? 0 : (float)c.urls / (float)c.solid;
    text_release(&c);

    const float n = (float)answer.n;
    r->score = 0.9f + 0.1f * n / (n + 200);
    for (int k = 0; k < HEURISTIC_KINDS; k++)
        if (!(off >> k & 1) && heuristic_fires((HeuristicKind)k, v[k], heuristic_rows[k].bound)) {
            r->fired |= 1u << k;
            r->score *= 1 - heuristic_rows[k].weight;
        }
}
