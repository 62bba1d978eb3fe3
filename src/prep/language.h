/* language.h - guesses the language of a text: scripts that one language writes are told by their characters, the others by linear models over
 * hashed character n-grams (tools/train_language.py; table in language_weights.inc). Pure and thread-safe.
 *
 * Codes: ISO 639-1; "code" for source code, shell commands and JSON; "und" when unsure: fewer than LANGUAGE_LETTERS_MIN letters, or a probability
 * below LANGUAGE_SURE. "no" is Bokmaal and Nynorsk; "sr" is known in Cyrillic only (Serbian in Latin letters is answered "hr"); "ku" in
 * Arabic letters only. Indonesian prose is mostly answered "ms", which it is hard to tell from; Kazakh, Macedonian, Galician, Irish, Welsh and
 * Afrikaans were learnt from interface texts, Maltese from word lists: expect less of them. Bounds: any length; of a text longer than LANGUAGE_SAMPLE bytes three windows are read, from its start, middle and end. */
#ifndef HONE_PREP_LANGUAGE_H
#define HONE_PREP_LANGUAGE_H

#include "base/str.h"

#define LANGUAGE_SAMPLE      300 /* bytes, three windows of 100: by the judge, more tells nothing new */
#define LANGUAGE_LETTERS_MIN 3
#define LANGUAGE_SURE        0.5  /* below: "und" */

typedef struct LanguageGuess {
    char  code[5], second[5];     /* second: the runner-up, "und" when there is none; of an "und" it is the best guess */
    float probability, second_probability;
    float code_probability;       /* that it is source code */
    char  script[5];              /* ISO 15924 of most letters, "Zyyy" when there are none */
} LanguageGuess;

/* Ill-formed bytes count as spaces. */
void language_guess(Str text, LanguageGuess *g);
/* The languages that can be answered: n-th code, NULL past the last. */
const char *language_known(size_t n);
/* The script that a language is written in, ISO 15924; NULL: not known. For Japanese "Jpan", Korean "Kore", Chinese "Hani". */
const char *language_script(const char *code);
/* The script of most letters of a text: its name, and how many letters there are in all and in that script. */
const char *language_script_of(Str text, size_t *letters, size_t *in_script);

#endif
