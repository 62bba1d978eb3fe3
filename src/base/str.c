/* str.c - comparisons of borrowed text, and the growing owned text.
 * Invariants of StrBuf: p is NULL or holds n bytes and a terminator, cap counts the terminator; with a maximum, n <= max always. An append
 * that would pass the maximum changes nothing but `over`, and so does every later one: a cut text has one clean end, never a hole. */
#include "base/str.h"
#include "base/mem.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

bool str_eq(Str a, Str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool str_eqz(Str a, const char *z)
{
    return str_eq(a, str_of(z));
}

bool str_starts(Str s, const char *prefix)
{
    Str want = str_of(prefix);
    return s.n >= want.n && str_eq((Str){ s.p, want.n }, want);
}

bool str_ends(Str s, const char *suffix)
{
    Str want = str_of(suffix);
    return s.n >= want.n && (want.n == 0 || str_eq((Str){ s.p + (s.n - want.n), want.n }, want));
}

/* Room for `more` bytes and the terminator; false when the maximum forbids it. */
static bool strbuf_reserve(StrBuf *b, size_t more)
{
    if (b->over || (b->max && more > b->max - b->n)) {
        b->over = true;
        return false;
    }
    size_t want;
    if (__builtin_add_overflow(b->n + 1, more, &want))
        want = SIZE_MAX; /* mem_realloc refuses it with its message */
    if (want > b->cap) {
        size_t cap = MAX(want, MAX(b->cap + b->cap / 2, (size_t)64));
        b->p = mem_realloc(b->p, cap, 1);
        b->cap = cap;
    }
    return true;
}

void strbuf_add(StrBuf *b, const void *p, size_t n)
{
    if (!strbuf_reserve(b, n))
        return;
    if (n)
        memcpy(b->p + b->n, p, n);
    b->n += n;
    b->p[b->n] = '\0';
}

void strbuf_addz(StrBuf *b, const char *z)
{
    strbuf_add(b, z, strlen(z));
}

void strbuf_addc(StrBuf *b, char c)
{
    strbuf_add(b, &c, 1);
}

void strbuf_addf(StrBuf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    BUG_ON(n < 0);
    if (strbuf_reserve(b, (size_t)n)) {
        vsnprintf(b->p + b->n, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    }
    va_end(again);
}

void strbuf_add_real(StrBuf *b, double v)
{
    char text[32];
    BUG_ON(!isfinite(v));
    snprintf(text, sizeof text, "%.9g", v);
    if (strtod(text, NULL) != v)
        snprintf(text, sizeof text, "%.17g", v);
    strbuf_addz(b, text);
}

Str strbuf_str(const StrBuf *b)
{
    return (Str){ strbuf_z(b), b->n };
}

const char *strbuf_z(const StrBuf *b)
{
    return b->p ? b->p : "";
}

char *strbuf_take(StrBuf *b)
{
    char *text = b->p ? b->p : mem_strdup("");
    b->p = NULL;
    b->n = b->cap = 0;
    b->over = false;
    return text;
}

void strbuf_clear(StrBuf *b)
{
    b->n = 0;
    b->over = false;
    if (b->p)
        b->p[0] = '\0';
}

void strbuf_release(StrBuf *b)
{
    free(b->p);
    b->p = NULL;
    b->n = b->cap = 0;
    b->over = false;
}
