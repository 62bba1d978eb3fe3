/* fuzz_language.c - any bytes get a known code, probabilities in range, the same answer twice; and finite values and a score in [0, 1]. */
#include "prep/heuristics.h"
#include "prep/language.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const Str s = { (const char *)data, n };
    LanguageGuess g, h;
    language_guess(s, &g);
    language_guess(s, &h);
    BUG_ON(strcmp(g.code, h.code) != 0 || strcmp(g.second, h.second) != 0 || g.probability < h.probability || g.probability > h.probability);
    BUG_ON(!(g.probability >= 0 && g.probability <= 1 && g.second_probability >= 0 && g.second_probability <= 1));
    bool known = strcmp(g.code, "und") == 0;
    for (size_t k = 0; language_known(k); k++)
        known = known || strcmp(g.code, language_known(k)) == 0;
    BUG_ON(!known);

    const size_t cut = n ? data[0] * n / 256 : 0;
    HeuristicReport r;
    heuristics_score((Str){ s.p, cut }, (Str){ s.p + cut, n - cut }, 0, &r);
    BUG_ON(!(r.score >= 0 && r.score <= 1));
    for (int k = 0; k < HEURISTIC_KINDS; k++)
        BUG_ON(!(r.value[k] >= 0 && r.value[k] < 1e9f));
    return 0;
}
