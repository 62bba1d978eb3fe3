/* pattern.c - what a tokenizer.json calls a pattern: a literal text, or a regular expression. The only file that calls PCRE2.
 *
 * The files are written for Oniguruma. Its syntax is close to PCRE2's but not the same, so an expression is translated character by character,
 * and whatever has another meaning there and no translation here is refused by name: a wrong cut would change ids without a word. The known
 * differences: \s (PCRE2 counts U+180E), \w (PCRE2 leaves out marks), \v, \h, \b, script names (PCRE2 means script extensions), X{n,m}+ (not
 * possessive there), X{n}? (optional there), sets inside sets and their intersections. Unicode versions differ too: PCRE2 10.42 knows Unicode 14, so characters
 * younger than that can fall into another class.
 *
 * Invariants: subjects are valid UTF-8 (checked once, at the door of tok_encode), matches are found by offset inside one piece, and no text
 * can make a match run away: the number of steps is bounded in proportion to the subject.
 *
 * To allow one more escape: a row in escapes[]. */
#include <stdio.h>
#include <stdlib.h>

#include "tokenizer/tok_int.h"

#define SPACES "\\x{9}-\\x{d}\\x{20}\\x{85}\\p{Z}"                       /* Unicode White_Space */
#define WORDS  "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"                     /* Oniguruma's \w */
#define WORDCH WORDS "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}"                 /* outside a set and in \b it counts these six as well */
#define HEX    "0-9a-fA-F"
#define SET_DEPTH_MAX 4 /* sets inside sets; what is inside is read twice on each level */
#define JIT_STACK_MAX ((size_t)1 << 20)
#define STEPS_FLOOR   1000000u                                          /* match steps any subject may take ... */
#define STEPS_A_BYTE  16u                                               /* ... and how many more per byte of it */

struct Matcher {
    pcre2_match_data    *data;
    pcre2_match_context *context;
    pcre2_jit_stack     *stack;
};

typedef struct Escape { char letter; const char *outside, *inside; } Escape; /* NULL: not there */
static const Escape escapes[] = {
    { 's', "[" SPACES "]",  SPACES             },
    { 'S', "[^" SPACES "]", "\\S\\x{180e}"     },
    { 'w', "[" WORDCH "]",  WORDS              },
    { 'W', "[^" WORDCH "]", NULL               },
    { 'd', "\\p{Nd}",       "\\p{Nd}"          },
    { 'D', "\\P{Nd}",       "\\P{Nd}"          },
    { 'h', "[" HEX "]",     HEX                },
    { 'H', "[^" HEX "]",    NULL               },
    { 'v', "\\x0b",         "\\x0b"            },
    { 'n', "\\n",           "\\n"              },
    { 'r', "\\r",           "\\r"              },
    { 't', "\\t",           "\\t"              },
    { 'f', "\\f",           "\\f"              },
    { 'a', "\\a",           "\\a"              },
    { 'e', "\\e",           "\\e"              },
    { 'R', "\\R",           NULL               },
    { 'A', "\\A",           NULL               },
    { 'z', "\\z",           NULL               },
    { 'Z', "\\Z",           NULL               },
    { 'b', "(?:(?<=[" WORDCH "])(?![" WORDCH "])|(?<![" WORDCH "])(?=[" WORDCH "]))",  NULL },
    { 'B', "(?:(?<=[" WORDCH "])(?=[" WORDCH "])|(?<![" WORDCH "])(?![" WORDCH "]))",  NULL },
};

static const char *const groups[] = { "(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!", "(?i:", "(?-i:" };

/* The translation of one expression: where we read, what we wrote, where the last atom and the open groups began in the output. */
typedef struct Translation {
    Str         in;
    size_t      i;
    StrBuf      out;
    size_t      atom;
    VEC(size_t) open;
    const char *where;
    int         set_depth;
} Translation;

static int refuse(const Translation *t, const char *what, Err *e)
{
    return err_set(e, ERR_INPUT, "%s: the regular expression has %s at offset %zu, which hone does not know how to read in the same way as the "
                   "tokenizers library; please report this tokenizer", t->where, what, t->i);
}

static char peek(const Translation *t, size_t ahead)
{
    return t->i + ahead < t->in.n ? t->in.p[t->i + ahead] : '\0';
}

static bool compiles(const char *pattern)
{
    int code;
    PCRE2_SIZE at;
    pcre2_code *re = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP, &code, &at, NULL);
    pcre2_code_free(re);
    return re != NULL;
}

/* \p{Name}, \P{Name}, \p{^Name}: a script name means the script itself, not the script extensions. */
static int translate_property(Translation *t, Err *e)
{
    size_t end = t->i + 2;
    if (peek(t, 2) != '{')
        return refuse(t, "\\p without braces", e);
    while (end < t->in.n && t->in.p[end] != '}')
        end++;
    size_t from = t->i + 3;
    bool negated = from < end && t->in.p[from] == '^';
    from += negated;
    if (end == t->in.n || end <= from || end - from > 40)
        return refuse(t, "a broken \\p{...}", e);
    for (size_t k = from; k < end; k++)
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789 -", t->in.p[k]) || !t->in.p[k])
            return refuse(t, "an unusual \\p{...}", e);
    char script[64];
    snprintf(script, sizeof script, "\\p{sc:%.*s}", (int)(end - from), t->in.p + from);
    bool is_script = end - from > 2 && compiles(script);
    strbuf_addf(&t->out, "\\%c{%s%s%.*s}", t->in.p[t->i + 1], negated ? "^" : "", is_script ? "sc:" : "", (int)(end - from), t->in.p + from);
    t->i = end + 1;
    return 0;
}

/* \x{H...}, \xHH below 0x80 (above, Oniguruma means a bare byte), \uHHHH. */
static int translate_code(Translation *t, Err *e)
{
    bool braces = peek(t, 1) == 'x' && peek(t, 2) == '{';
    size_t from = t->i + 2 + braces, end = from, want = braces ? 8 : peek(t, 1) == 'x' ? 2 : 4;
    while (end < t->in.n && end - from < want && strchr("0123456789abcdefABCDEF", t->in.p[end]) && t->in.p[end])
        end++;
    if (end == from || (braces ? end == t->in.n || t->in.p[end] != '}' : end - from != want))
        return refuse(t, "a broken character code", e);
    if (want == 2 && !strchr("01234567", t->in.p[from]))
        return refuse(t, "\\x with a byte above 7F", e);
    strbuf_addf(&t->out, "\\x{%.*s}", (int)(end - from), t->in.p + from);
    t->i = end + braces;
    return 0;
}

static int translate_escape(Translation *t, bool in_set, Err *e)
{
    char c = peek(t, 1);
    if (c == 'p' || c == 'P')
        return translate_property(t, e);
    if (c == 'x' || c == 'u')
        return translate_code(t, e);
    for (size_t k = 0; k < ARRAY_LEN(escapes); k++)
        if (escapes[k].letter == c) {
            const char *text = in_set ? escapes[k].inside : escapes[k].outside;
            if (!text)
                break;
            strbuf_addz(&t->out, text);
            t->i += 2;
            return 0;
        }
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'), digit = c >= '0' && c <= '9';
    if (letter || c == '0' || c == '\0' || (digit && (in_set || (peek(t, 2) >= '0' && peek(t, 2) <= '9')))) {
        char what[] = "the escape \\?";
        what[sizeof what - 2] = c && (unsigned char)c < 0x80 ? c : '?';
        return refuse(t, what, e);
    }
    strbuf_add(&t->out, t->in.p + t->i, 2);
    t->i += 2;
    return 0;
}

static int translate_set(Translation *t, Err *e);

/* Set items up to the closing bracket or "&&". Plain ones are written as one flat set, sets inside as further alternatives behind it. */
static int translate_operand(Translation *t, size_t start, bool *plain, Err *e)
{
    size_t head = t->out.n, n_inner = 0;
    VEC(size_t) inner = { 0 }; /* where each set inside began and ended in what was read */
    strbuf_addz(&t->out, "[");
    int rc = 0;
    for (size_t first = t->i; !rc;) {
        char c = peek(t, 0);
        if (t->i >= t->in.n) {
            t->i = start;
            rc = refuse(t, "a set without its closing bracket", e);
        } else if ((c == ']' && t->i > first) || (c == '&' && peek(t, 1) == '&')) {
            break;
        } else if (c == '[' && (peek(t, 1) == ':' || peek(t, 1) == '.' || peek(t, 1) == '=' || (t->i > first && t->in.p[t->i - 1] == '-'))) {
            rc = refuse(t, "a set inside a set of an unusual kind", e);
        } else if (c == '[') { /* translated when the flat part is closed; skipped here */
            size_t at = t->i;
            StrBuf keep = t->out;
            t->out = (StrBuf){ 0 };
            rc = translate_set(t, e);
            strbuf_release(&t->out);
            t->out = keep;
            *vec_push(&inner) = at;
            n_inner++;
        } else if (c == '\\') {
            rc = translate_escape(t, true, e);
        } else {
            strbuf_addc(&t->out, c);
            t->i++;
        }
    }
    size_t end = t->i;
    bool empty = t->out.n == head + 1;
    if (!rc && empty && !n_inner)
        rc = refuse(t, "an empty set", e);
    if (empty)
        t->out.n = head;
    else
        strbuf_addc(&t->out, ']');
    for (size_t k = 0; k < n_inner && !rc; k++) {
        if (k || !empty)
            strbuf_addc(&t->out, '|');
        t->i = inner.p[k];
        rc = translate_set(t, e);
    }
    t->i = rc ? t->i : end;
    *plain = !n_inner;
    vec_release(&inner);
    return rc;
}

/* A set. One with sets or intersections inside becomes a group that matches one character: (?:(?=first)(?:second)), negated (?:(?!..)any). */
static int translate_set(Translation *t, Err *e)
{
    size_t start = t->i, head = t->out.n, operands = 0;
    if (++t->set_depth > SET_DEPTH_MAX)
        return refuse(t, "sets nested too deep", e);
    t->i++;
    bool negated = peek(t, 0) == '^', plain = false;
    t->i += negated;
    strbuf_addz(&t->out, negated ? "(?:(?!" : "(?:");
    int rc = 0;
    size_t inside = t->out.n;
    for (bool more = true; more && !rc; operands++) {
        size_t from = t->out.n;
        rc = translate_operand(t, start, &plain, e);
        more = !rc && peek(t, 0) == '&';
        Str text = { mem_strndup(strbuf_z(&t->out) + from, t->out.n - from), t->out.n - from };
        t->out.n = from;
        strbuf_addz(&t->out, more ? "(?=" : "(?:");
        strbuf_add(&t->out, text.p, text.n);
        strbuf_addc(&t->out, ')');
        free((char *)(uintptr_t)text.p);
        t->i += more ? 2 : 0;
    }
    t->set_depth--;
    if (rc)
        return rc;
    t->i++; /* the closing bracket */
    if (operands == 1 && plain) { /* the usual set stays one */
        Str flat = { mem_strndup(t->out.p + inside + 4, t->out.n - inside - 6), t->out.n - inside - 6 };
        t->out.n = head;
        strbuf_addz(&t->out, negated ? "[^" : "[");
        strbuf_add(&t->out, flat.p, flat.n);
        strbuf_addc(&t->out, ']');
        free((char *)(uintptr_t)flat.p);
        return 0;
    }
    strbuf_addz(&t->out, negated ? ")[\\x{0}-\\x{10FFFF}])" : ")");
    return 0;
}

static int translate_group(Translation *t, Err *e)
{
    size_t n = 1;
    if (peek(t, 1) == '?') {
        if (t->i == 0 && str_starts(t->in, "(?i)")) { /* later in a pattern, Oniguruma lets it reach across the bars */
            strbuf_addz(&t->out, "(?i)");
            t->i += 4;
            return 0;
        }
        n = 0;
        for (size_t k = 0; k < ARRAY_LEN(groups); k++)
            if (str_starts((Str){ t->in.p + t->i, t->in.n - t->i }, groups[k]))
                n = strlen(groups[k]);
        if (!n)
            return refuse(t, "an unusual kind of group", e);
    } else if (peek(t, 1) == '*') {
        return refuse(t, "an unusual kind of group", e);
    }
    *vec_push(&t->open) = t->out.n;
    strbuf_add(&t->out, t->in.p + t->i, n);
    t->i += n;
    return 0;
}

/* {n}, {n,}, {n,m}: anything else is a literal brace in both syntaxes. */
static int translate_interval(Translation *t, Err *e)
{
    size_t k = t->i + 1, digits = k;
    bool comma = false;
    while (k < t->in.n && t->in.p[k] >= '0' && t->in.p[k] <= '9')
        k++;
    digits = k - digits;
    if (k < t->in.n && t->in.p[k] == ',') {
        comma = true;
        k++;
        while (k < t->in.n && t->in.p[k] >= '0' && t->in.p[k] <= '9')
            k++;
    }
    bool interval = k < t->in.n && t->in.p[k] == '}' && (digits || comma);
    if (interval && !digits)
        return refuse(t, "an interval without its lower bound", e);
    if (!interval) {
        t->atom = t->out.n;
        strbuf_addz(&t->out, "\\{");
        t->i++;
        return 0;
    }
    strbuf_add(&t->out, t->in.p + t->i, k + 1 - t->i);
    t->i = k + 1;
    if (peek(t, 0) == '?' && !comma)
        return refuse(t, "{n}?", e);
    if (peek(t, 0) == '+') { /* there: one or more times the whole; here it would be possessive */
        if (peek(t, 1) == '+' || peek(t, 1) == '?' || peek(t, 1) == '*' || peek(t, 1) == '{')
            return refuse(t, "three quantifiers in a row", e);
        Str tail = { mem_strndup(t->out.p + t->atom, t->out.n - t->atom), t->out.n - t->atom };
        t->out.n = t->atom;
        strbuf_addz(&t->out, "(?:");
        strbuf_add(&t->out, tail.p, tail.n);
        strbuf_addz(&t->out, ")+");
        free((char *)(uintptr_t)tail.p);
        t->i++;
    }
    return 0;
}

static int translate(Translation *t, Err *e)
{
    while (t->i < t->in.n) {
        char c = peek(t, 0);
        int rc = 0;
        if ((unsigned char)c < 0x80 && !strchr("*+?{)|", c))
            t->atom = t->out.n;
        else if (((unsigned char)c & 0xC0) == 0xC0)
            t->atom = t->out.n;
        switch (c) {
        case '\\': rc = translate_escape(t, false, e); break;
        case '[':  rc = translate_set(t, e); break;
        case '(':  rc = translate_group(t, e); break;
        case '{':  rc = translate_interval(t, e); break;
        case ')':
            if (!t->open.n)
                return refuse(t, "a closing parenthesis too many", e);
            t->atom = t->open.p[--t->open.n];
            /* fall through */
        default:
            strbuf_addc(&t->out, c);
            t->i++;
        }
        if (rc)
            return rc;
    }
    return 0;
}

int pattern_regex(Pattern *p, Str source, const char *where, Err *e)
{
    *p = (Pattern){ 0 };
    if (source.n > TOK_PATTERN_MAX)
        return err_set(e, ERR_INPUT, "%s: a regular expression of %zu bytes is longer than the %d that hone accepts", where, source.n, TOK_PATTERN_MAX);
    Translation t = { .in = source, .where = where };
    int rc = translate(&t, e);
    if (rc)
        goto done;
    int code;
    PCRE2_SIZE at;
    /* MULTILINE: ^ and $ mean lines in Oniguruma. */
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (context) {
        pcre2_set_newline(context, PCRE2_NEWLINE_LF);
        p->re = pcre2_compile((PCRE2_SPTR)strbuf_z(&t.out), t.out.n, PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &code, &at, context);
        pcre2_compile_context_free(context);
    }
    if (!p->re) {
        PCRE2_UCHAR why[160] = "out of memory";
        if (context)
            pcre2_get_error_message(code, why, sizeof why);
        rc = err_set(e, ERR_INPUT, "%s: the regular expression cannot be read: %s", where, (const char *)why);
        goto done;
    }
    pcre2_jit_compile(p->re, PCRE2_JIT_COMPLETE); /* where there is no JIT the interpreter does the same, slower */
done:
    strbuf_release(&t.out);
    vec_release(&t.open);
    return rc;
}

/* An empty literal matches between all characters, as an empty expression does. */
int pattern_literal(Pattern *p, Str text, Arena *a, const char *where, Err *e)
{
    if (!text.n)
        return pattern_regex(p, text, where, e);
    *p = (Pattern){ .literal = arena_str(a, text) };
    return 0;
}

int pattern_parse(Pattern *p, const Json *pattern, Arena *a, const char *where, Err *e)
{
    Json *text = json_get(pattern, "String"), *regex = json_get(pattern, "Regex");
    Json *one = text ? text : regex;
    if (json_len(pattern) != 1 || json_kind(one) != JSON_STRING)
        return err_set(e, ERR_INPUT, "%s: \"pattern\" should be {\"String\": ...} or {\"Regex\": ...}, it is %s", where, json_kind_name(pattern));
    return text ? pattern_literal(p, json_str(text), a, where, e) : pattern_regex(p, json_str(regex), where, e);
}

void pattern_release(Pattern *p)
{
    pcre2_code_free(p->re);
    *p = (Pattern){ 0 };
}

Matcher *matcher_new(void)
{
    Matcher *m = mem_zalloc(1, sizeof *m);
    m->data = pcre2_match_data_create(1, NULL);
    m->context = pcre2_match_context_create(NULL);
    if (m->context)
        m->stack = pcre2_jit_stack_create((size_t)32 << 10, JIT_STACK_MAX, NULL);
    if (m->stack)
        pcre2_jit_stack_assign(m->context, NULL, m->stack);
    return m;
}

void matcher_free(Matcher *m)
{
    if (!m)
        return;
    pcre2_match_data_free(m->data);
    pcre2_match_context_free(m->context);
    pcre2_jit_stack_free(m->stack);
    free(m);
}

static int regex_next(const Pattern *p, Matcher *m, Str s, PatternIter *it, size_t *begin, size_t *end, Err *e)
{
    if (!m->data || !m->context)
        return err_set(e, ERR_MEM, "there is no memory left to match a regular expression");
    pcre2_set_match_limit(m->context, STEPS_FLOOR + STEPS_A_BYTE * (uint32_t)MIN(s.n, UINT32_MAX / 32));
    while (it->at <= s.n) {
        int rc = pcre2_match(p->re, (PCRE2_SPTR)s.p, s.n, it->at, PCRE2_NO_UTF_CHECK, m->data, m->context);
        if (rc == PCRE2_ERROR_NOMATCH)
            break;
        const PCRE2_SIZE *at = pcre2_get_ovector_pointer(m->data);
        if (rc < 0 || at[0] > at[1])
            return err_set(e, ERR_INPUT, "a regular expression of the tokenizer takes too many steps on a stretch of %zu bytes of text (PCRE2 "
                           "error %d); break the text into shorter parts", s.n, rc);
        if (at[0] == at[1] && at[1] == it->last_end) { /* an empty match right behind the last one: look one character further */
            do
                it->at++;
            while (it->at < s.n && ((unsigned char)s.p[it->at] & 0xC0) == 0x80);
            continue;
        }
        *begin = at[0];
        *end = it->at = it->last_end = at[1];
        return 1;
    }
    return 0;
}

int pattern_next(const Pattern *p, Matcher *m, Str s, PatternIter *it, size_t *begin, size_t *end, Err *e)
{
    if (p->re)
        return regex_next(p, m, s, it, begin, end, e);
    if (it->at >= s.n)
        return 0;
    const char *hit = memmem(s.p + it->at, s.n - it->at, p->literal.p, p->literal.n);
    if (!hit)
        return 0;
    *begin = (size_t)(hit - s.p);
    *end = it->at = it->last_end = *begin + p->literal.n;
    return 1;
}

bool pattern_matches(const Pattern *p, Matcher *m, Str s)
{
    size_t begin, end;
    return pattern_next(p, m, s, &(PatternIter){ 0, SIZE_MAX }, &begin, &end, NULL) == 1;
}
