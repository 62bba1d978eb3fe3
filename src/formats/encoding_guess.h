/* encoding_guess.h - which older encoding some lines are in; for encoding.c alone. */
#ifndef HONE_ENCODING_GUESS_H
#define HONE_ENCODING_GUESS_H

#include "base/str.h"

typedef struct EncodingGuess {
    const char *label;   /* for people */
    const char *iconv;   /* for iconv_open */
    bool        pairs;   /* characters of two bytes */
    bool        unsure;  /* no language fits well, or two encodings nearly as well as each other */
    const char *rival;   /* label of the encoding that fits nearly as well; NULL: none */
} EncodingGuess;

/* lines: bytes that are not UTF-8, with what surrounds them. */
EncodingGuess encoding_guess(Str lines);

typedef enum { WIDE_NONE, WIDE_LE, WIDE_BE } EncodingWide;
/* UTF-16 without a byte order mark, found by its zero bytes. */
EncodingWide encoding_guess_wide(Str sample);

#endif
