/* str.h - Str: a borrowed piece of text (pointer and length, not terminated). StrBuf: a growing owned text, always terminated.
 * A StrBuf may carry a maximum; past it nothing is appended and `over` is set, so that hostile input cannot eat the memory. */
#ifndef HONE_STR_H
#define HONE_STR_H

#include "base/base.h"
#include <string.h>

typedef struct Str { const char *p; size_t n; } Str;

#define STR_LIT(s) ((Str){ "" s, sizeof(s) - 1 })
static inline Str str_of(const char *s) { return (Str){ s, s ? strlen(s) : 0 }; }
bool str_eq(Str a, Str b);
bool str_eqz(Str a, const char *z);
bool str_starts(Str s, const char *prefix);
bool str_ends(Str s, const char *suffix);

typedef struct StrBuf {
    char  *p;   /* NULL only before the first append; use strbuf_str / strbuf_z to read */
    size_t n, cap;
    size_t max; /* 0 = no limit */
    bool   over;
} StrBuf; /* zeroed is empty and valid */

void        strbuf_add(StrBuf *b, const void *p, size_t n);
void        strbuf_addz(StrBuf *b, const char *z);
void        strbuf_addc(StrBuf *b, char c);
void        strbuf_addf(StrBuf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void        strbuf_add_real(StrBuf *b, double v); /* v finite; the shorter of 9 and 17 digits that reads back as the same double */
Str         strbuf_str(const StrBuf *b);
const char *strbuf_z(const StrBuf *b);     /* "" when empty */
char       *strbuf_take(StrBuf *b);        /* the owned text (never NULL); the buffer is empty afterwards */
void        strbuf_clear(StrBuf *b);       /* keeps the memory */
void        strbuf_release(StrBuf *b);

#endif
