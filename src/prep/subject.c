/* subject.c - see subject.h. */
#include "prep/subject.h"

#include "base/utf8.h"

#define WORD_MIN 2 /* characters */

/* Letters, and what joins letters within one word: marks, hyphens and apostrophes. */
static bool in_word(uint32_t cp) { return utf8_is_alpha(cp) || utf8_is_mark(cp) || cp == '-' || cp == '\'' || cp == 0x2019 || cp == 0x2010; }

void subject_words(Str s, Str word[SUBJECT_WORDS], size_t *n)
{
    size_t begin = 0, letters = 0;
    *n = 0;
    for (size_t i = 0; i <= s.n;) {
        uint32_t  cp = 0;
        const int bytes = i < s.n ? utf8_decode(s.p + i, s.n - i, &cp) : 1;
        if (i < s.n && bytes > 0 && in_word(cp)) {
            begin = letters ? begin : i;
            letters++;
        } else {
            if (letters >= WORD_MIN && *n < SUBJECT_WORDS)
                word[(*n)++] = (Str){ s.p + begin, i - begin };
            letters = 0;
        }
        i += (size_t)(bytes > 0 ? bytes : 1);
    }
    *n = *n < 2 ? 0 : *n;
}

void subject_keys(const PiiReplacer *r, PiiKind kind, Str value, SubjectFn fn, void *user)
{
    char   key[PII_KEY_HEX];
    Str    word[SUBJECT_WORDS];
    size_t n = 0;
    pii_key(r, kind, value, key);
    fn(user, key, false);
    if (kind == PII_PERSON)
        subject_words(value, word, &n);
    for (size_t i = 0; i < n; i++) {
        pii_key(r, kind, word[i], key);
        fn(user, key, true);
    }
}
