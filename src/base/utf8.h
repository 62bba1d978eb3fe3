/* utf8.h - decode, check, classify, normalise (over utf8proc; Unicode 15). */
#ifndef HONE_UTF8_H
#define HONE_UTF8_H

#include <stdarg.h>

#include "base/err.h"
#include "base/str.h"

/* Decodes one character at p (n > 0 bytes left). Returns its length in bytes, or -1 when the bytes are not valid UTF-8
 * (overlong forms, surrogates and > U+10FFFF are invalid). */
int    utf8_decode(const char *p, size_t n, uint32_t *cp);
int    utf8_encode(uint32_t cp, char out[4]);             /* returns the length */
bool   utf8_valid(Str s, size_t *bad_offset);             /* bad_offset may be NULL */
size_t utf8_complete(const char *p, size_t n);            /* length of the longest prefix that does not end inside a character */
void   utf8_vformat(char *out, size_t size, const char *fmt, va_list ap) PRINTF_LIKE(3, 0); /* as vsnprintf; a text too long is cut between characters */

void   utf8_repair(StrBuf *out, Str s);                   /* appends s; each truncated character or stray byte becomes one U+FFFD */

typedef enum { UTF8_NFC, UTF8_NFD, UTF8_NFKC, UTF8_NFKD } Utf8Form;
void   utf8_normalise(StrBuf *out, Str s, Utf8Form form); /* s must be valid; appends */
/* Foreign text for a terminal: control characters other than line break and tab, and bytes that are no UTF-8, become \xNN. */
void   utf8_visible(StrBuf *out, Str s);
void   utf8_lower(StrBuf *out, Str s);
void   utf8_upper(StrBuf *out, Str s);                    /* one character becomes one, sharp s and ligatures excepted */
uint32_t utf8_title(uint32_t cp);                        /* title case of one character, one to one */
bool   utf8_is_upper(uint32_t cp);                        /* categories Lu; utf8_is_lower: Ll */
bool   utf8_is_lower(uint32_t cp);
bool   utf8_is_alpha(uint32_t cp);                        /* categories L* */
bool   utf8_is_printable(uint32_t cp);                    /* what Python prints unescaped: no C*, no Z* but the space */
bool   utf8_is_space(uint32_t cp);                        /* Unicode White_Space */
bool   utf8_is_punct(uint32_t cp);                        /* category P* */
bool   utf8_is_mark_nonspacing(uint32_t cp);              /* category Mn */
bool   utf8_is_mark(uint32_t cp);                         /* categories M* */
bool   utf8_is_number(uint32_t cp);                       /* categories N* */
uint32_t utf8_lower_one(uint32_t cp);                     /* lower case of one character, one to one */

#endif
