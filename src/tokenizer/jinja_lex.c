/* jinja_lex.c - a template's text to tokens, with the white space rules of trim_blocks and lstrip_blocks.
 * Main struct: Lex. Line ends become \n first and one trailing line end is dropped. A "-" at a tag strips all white space on that side, a "+"
 * keeps what would be stripped; without them a block tag alone on its line takes its indentation and the line end behind it along. */
#include <stdlib.h>

#include "base/utf8.h"
#include "tokenizer/jinja_int.h"

typedef struct Lex {
    Tokens     *out;
    Arena      *arena;
    const char *p;
    size_t      n, at;
    int         line;
    const char *where;
    Err        *e;
} Lex;

#define LEX_BRACES 256 /* open brackets inside of one tag */

static int lex_fail(Lex *x, const char *what)
{
    return err_set(x->e, ERR_INPUT, "%s, line %d of the template: %s", x->where, x->line, what);
}

static bool at(const Lex *x, size_t i, const char *z)
{
    size_t n = strlen(z);
    return i <= x->n && x->n - i >= n && memcmp(x->p + i, z, n) == 0;
}

/* Bytes of the white space character at i; 0: none. */
static size_t space_at(const Lex *x, size_t i)
{
    uint32_t cp;
    int n = i < x->n ? utf8_decode(x->p + i, x->n - i, &cp) : 0;
    return n > 0 && py_space(cp) ? (size_t)n : 0;
}

static size_t skip_space(const Lex *x, size_t i)
{
    for (size_t n; (n = space_at(x, i)) > 0;)
        i += n;
    return i;
}

/* The end of the text [from, to) without the white space at its end. */
static size_t strip_end(const Lex *x, size_t from, size_t to)
{
    while (to > from) {
        size_t i = to - 1;
        while (i > from && ((unsigned char)x->p[i] & 0xC0) == 0x80)
            i--;
        if (!space_at(x, i))
            break;
        to = i;
    }
    return to;
}

static void move(Lex *x, size_t to)
{
    for (; x->at < to; x->at++)
        x->line += x->p[x->at] == '\n';
}

static Token *add(Lex *x, TokenKind kind)
{
    Token *t = vec_push(x->out);
    t->kind = kind;
    t->line = x->line;
    return t;
}

/* Template text up to `end`, where a tag with the sign begins. */
static void add_data(Lex *x, size_t end, char sign, bool variable)
{
    size_t from = x->at, stop = end;
    if (sign == '-') {
        stop = strip_end(x, from, end);
    } else if (sign != '+' && !variable) {
        size_t line = end;
        while (line > from && x->p[line - 1] != '\n')
            line--;
        bool starts = line > from || from == 0 || x->p[from - 1] == '\n';
        if (starts && skip_space(x, line) >= end)
            stop = line;
    }
    if (stop > from)
        add(x, T_DATA)->text = (Str){ x->p + from, stop - from };
    move(x, end);
}

static char sign_at(const Lex *x, size_t i)
{
    return i < x->n && (x->p[i] == '-' || x->p[i] == '+') ? x->p[i] : '\0';
}

/* Behind the closing mark of a block or comment at i ("%}" or "#}"), whose sign stood before it. */
static size_t after_close(const Lex *x, size_t i, char sign)
{
    i += 2;
    if (sign == '-')
        return skip_space(x, i);
    return sign != '+' && i < x->n && x->p[i] == '\n' ? i + 1 : i;
}

static int lex_comment(Lex *x, size_t from)
{
    for (size_t i = from; i + 1 < x->n; i++)
        if (at(x, i, "#}")) {
            move(x, after_close(x, i, i > from ? sign_at(x, i - 1) : '\0'));
            return 0;
        }
    return lex_fail(x, "a comment {# is not closed with #}");
}

/* {% raw %} at x->at: 0 not one, 1 done, negative error. */
static int lex_raw(Lex *x, size_t begin, char sign)
{
    size_t i = skip_space(x, begin + 2 + (sign != 0));
    if (!at(x, i, "raw"))
        return 0;
    i = skip_space(x, i + 3);
    if (at(x, i, "-%}"))
        i = skip_space(x, i + 3);
    else if (at(x, i, "%}"))
        i += 2;
    else
        return 0;
    add_data(x, begin, sign, false);
    move(x, i);
    for (size_t k = i; k + 1 < x->n; k++) {
        if (!at(x, k, "{%"))
            continue;
        char open = sign_at(x, k + 2);
        size_t w = skip_space(x, k + 2 + (open != 0));
        if (!at(x, w, "endraw"))
            continue;
        w = skip_space(x, w + 6);
        char close = sign_at(x, w);
        if (!at(x, w + (close != 0), "%}"))
            continue;
        add_data(x, k, open, false);
        move(x, after_close(x, w + (close != 0), close));
        return 1;
    }
    return lex_fail(x, "{% raw %} is not closed with {% endraw %}");
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

/* digits with single underscores between them */
static size_t digits(const Lex *x, size_t i, int base)
{
    size_t end = i;
    for (;; i++) {
        char c = i < x->n ? x->p[i] : '\0';
        int d = is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
        if (d < base)
            end = i + 1;
        else if (c != '_' || i != end)
            return end;
    }
}

static int lex_number(Lex *x)
{
    char text[128];
    size_t from = x->at, i = digits(x, from, 10), n = 0, whole = i;
    bool real = false, after_dot = from > 0 && x->p[from - 1] == '.';
    if (!after_dot) {
        if (i < x->n && x->p[i] == '.' && digits(x, i + 1, 10) > i + 1) {
            i = digits(x, i + 1, 10);
            real = true;
        }
        if (i < x->n && (x->p[i] == 'e' || x->p[i] == 'E')) {
            size_t k = i + 1 + (sign_at(x, i + 1) != 0);
            if (digits(x, k, 10) > k) {
                i = digits(x, k, 10);
                real = true;
            }
        }
    }
    int base = 10;
    size_t body = from;
    if (!real) {
        i = whole;
        char c = x->p[from] == '0' && from + 1 < x->n ? (char)(x->p[from + 1] | 0x20) : '\0';
        base = c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 10;
        size_t start = from + 2 + (base != 10 && from + 2 < x->n && x->p[from + 2] == '_');
        if (base != 10 && digits(x, start, base) > start) {
            body = start;
            i = digits(x, start, base);
        } else {
            base = 10;
            if (x->p[from] == '0') /* 007 is no number: 00, then 7 */
                for (i = from + 1; i < whole && (x->p[i] == '0' || x->p[i] == '_'); i++)
                    ;
        }
    }
    for (size_t k = body; k < i; k++) {
        if (n + 1 >= sizeof text)
            return lex_fail(x, "a number of more than 120 digits is refused");
        if (x->p[k] != '_')
            text[n++] = x->p[k];
    }
    text[n] = '\0';
    Token *t = add(x, real ? T_FLOAT : T_INT);
    t->text = (Str){ x->p + from, i - from };
    if (real) {
        t->f = strtod(text, NULL);
    } else {
        int64_t v = 0;
        for (size_t k = 0; k < n; k++) {
            int d = is_digit(text[k]) ? text[k] - '0' : (text[k] | 0x20) - 'a' + 10;
            if (__builtin_mul_overflow(v, (int64_t)base, &v) || __builtin_add_overflow(v, (int64_t)d, &v))
                return lex_fail(x, "a whole number beyond 64 bits is refused");
        }
        t->i = v;
    }
    move(x, i);
    return 0;
}

static int hex(const Lex *x, size_t i, size_t n, size_t end, uint32_t *v)
{
    *v = 0;
    for (size_t k = 0; k < n; k++) {
        char c = i + k < end ? x->p[i + k] : '\0';
        int d = is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (d < 0)
            return -1;
        *v = *v << 4 | (uint32_t)d;
    }
    return 0;
}

/* The escapes of Python's texts; a backslash before anything else stays. */
static int lex_string(Lex *x)
{
    static const char plain[] = "n\nt\tr\rb\bf\fv\va\a\\\\''\"\"";
    char quote = x->p[x->at];
    size_t from = x->at + 1, end = from, n = 0;
    while (end < x->n && x->p[end] != quote)
        end += x->p[end] == '\\' ? 2 : 1;
    if (end >= x->n)
        return lex_fail(x, "a text in quotes is not closed");
    char *text = arena_alloc(x->arena, end - from + 1);
    for (size_t i = from; i < end; i++) {
        if (x->p[i] != '\\') {
            text[n++] = x->p[i];
            continue;
        }
        char c = x->p[++i];
        const char *known = memchr(plain, c, sizeof plain - 1);
        uint32_t v = 0;
        if (c == '\n')
            continue;
        if (known && (known - plain) % 2 == 0) {
            text[n++] = known[1];
            continue;
        }
        if (c >= '0' && c <= '7') {
            size_t k = i;
            for (; k < i + 3 && k < end && x->p[k] >= '0' && x->p[k] <= '7'; k++)
                v = v << 3 | (uint32_t)(x->p[k] - '0');
            i = k - 1;
        } else if (c == 'x' || c == 'u' || c == 'U') {
            size_t want = c == 'x' ? 2 : c == 'u' ? 4 : 8;
            if (hex(x, i + 1, want, end, &v))
                return lex_fail(x, "an escape in a text is cut short: \\x needs two, \\u four, \\U eight hexadecimal digits");
            i += want;
        } else if (c == 'N') {
            return lex_fail(x, "the escape \\N in a text is refused; write the character itself");
        } else {
            text[n++] = '\\';
            text[n++] = c;
            continue;
        }
        if (v > 0x10FFFF || (v >= 0xD800 && v <= 0xDFFF))
            return lex_fail(x, "an escape in a text names no character");
        n += (size_t)utf8_encode(v, text + n);
    }
    add(x, T_STRING)->text = (Str){ text, n };
    move(x, end + 1);
    return 0;
}

static int lex_operator(Lex *x, char *stack, size_t *open)
{
    static const char *const two[] = { "//", "**", "==", "!=", ">=", "<=" };
    static const char one[] = "+-/*%~[](){}><=.:|,;", opens[] = "([{", closes[] = ")]}";
    char c = x->p[x->at];
    for (size_t i = 0; i < ARRAY_LEN(two); i++)
        if (at(x, x->at, two[i])) {
            Token *t = add(x, T_OP);
            memcpy(t->op, two[i], 3);
            move(x, x->at + 2);
            return 0;
        }
    if (!strchr(one, c) || !c)
        return err_set(x->e, ERR_INPUT, "%s, line %d of the template: a character that means nothing in a tag (byte 0x%02x)", x->where, x->line,
                       (unsigned)(unsigned char)c);
    const char *opened = strchr(opens, c), *closed = strchr(closes, c);
    if (opened && *open == LEX_BRACES)
        return lex_fail(x, "brackets are nested too deep");
    if (opened)
        stack[(*open)++] = closes[opened - opens];
    if (closed && (!*open || stack[--*open] != c))
        return lex_fail(x, "a closing bracket does not match the one that was opened");
    add(x, T_OP)->op[0] = c;
    move(x, x->at + 1);
    return 0;
}

static int lex_tag(Lex *x, bool variable)
{
    char stack[LEX_BRACES];
    size_t open = 0;
    const char *close = variable ? "}}" : "%}";
    for (int rc = 0; !rc;) {
        size_t space = skip_space(x, x->at);
        char sign = sign_at(x, x->at);
        if (sign == '+' && variable)
            sign = '\0';
        if (!open && at(x, x->at + (sign != 0), close)) {
            add(x, variable ? T_VAR_END : T_BLOCK_END);
            size_t i = x->at + (sign != 0);
            move(x, !variable ? after_close(x, i, sign) : sign ? skip_space(x, i + 2) : i + 2);
            return 0;
        }
        if (x->at >= x->n)
            return lex_fail(x, variable ? "{{ is not closed with }}" : "{% is not closed with %}");
        char c = x->p[x->at];
        if (space > x->at) {
            move(x, space);
        } else if (is_digit(c)) {
            rc = lex_number(x);
        } else if (is_word(c)) {
            size_t end = x->at;
            while (end < x->n && is_word(x->p[end]) && !space_at(x, end))
                end++;
            add(x, T_NAME)->text = (Str){ x->p + x->at, end - x->at };
            move(x, end);
        } else {
            rc = c == '\'' || c == '"' ? lex_string(x) : lex_operator(x, stack, &open);
        }
        if (rc)
            return rc;
    }
    return 0;
}

int jinja_lex(Tokens *out, Arena *arena, Str source, const char *where, Err *e)
{
    char *text = arena_alloc(arena, source.n + 1);
    Lex x = { out, arena, text, 0, 0, 1, where, e };
    int rc = 0;
    for (size_t i = 0; i < source.n; i++) {
        bool cr = source.p[i] == '\r';
        text[x.n++] = cr ? '\n' : source.p[i];
        i += cr && i + 1 < source.n && source.p[i + 1] == '\n';
    }
    x.n -= x.n && text[x.n - 1] == '\n';
    while (!rc && x.at < x.n) {
        size_t i = x.at;
        while (i < x.n && !(text[i] == '{' && i + 1 < x.n && (text[i + 1] == '%' || text[i + 1] == '{' || text[i + 1] == '#')))
            i++;
        if (i >= x.n) {
            add(&x, T_DATA)->text = (Str){ text + x.at, x.n - x.at };
            break;
        }
        char what = text[i + 1], sign = sign_at(&x, i + 2);
        int raw = what == '%' ? lex_raw(&x, i, sign) : 0;
        if (raw) {
            rc = MIN(raw, 0);
            continue;
        }
        add_data(&x, i, sign, what == '{');
        if (what != '#')
            add(&x, what == '{' ? T_VAR_BEGIN : T_BLOCK_BEGIN);
        move(&x, i + 2 + (sign != 0));
        rc = what == '#' ? lex_comment(&x, x.at) : lex_tag(&x, what == '{');
    }
    add(&x, T_EOF);
    return rc;
}
