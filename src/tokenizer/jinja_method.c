/* jinja_method.c - what can be called on texts, lists and mappings, as Python's methods of the same name; marks of bytes go along.
 * To add a method: a row in the table of its kind. Methods that would change a value are in `mutating`, which the sandbox refuses. */
#include <math.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "tokenizer/jinja_int.h"

/* --- helpers that filters use too --- */

Text text_case(Run *r, Text t, char how)
{
    Build b = { .r = r, .safe = t.safe };
    StrBuf one = { 0 };
    bool inside = false; /* behind a letter */
    for (size_t i = 0, first = 1; i < t.n && spend(r, 1); first = 0) {
        uint32_t cp, title;
        char bytes[4];
        int n = utf8_decode(t.p + i, t.n - i, &cp);
        Str c = { t.p + i, (size_t)n };
        char to = how == 'c' || how == 'w' ? (!first ? 'l' : how == 'c' ? 'T' : 'u') : how == 't' ? (inside ? 'l' : 'T') : how == 's' ? (utf8_is_upper(cp) ? 'l' : utf8_is_lower(cp) ? 'u' : '-') : how;
        strbuf_clear(&one);
        if (to == 'T' && cp != 0xDF && (title = utf8_title(cp)) != cp)
            strbuf_add(&one, bytes, (size_t)utf8_encode(title, bytes));
        else if (to == 'u' || (to == 'T' && cp != 0xDF))
            utf8_upper(&one, c);
        else if (to == 'T')
            strbuf_addz(&one, "Ss");
        else if (to == 'l')
            utf8_lower(&one, c);
        else
            strbuf_add(&one, c.p, c.n);
        if (to == 'l' && cp == 0x3A3) { /* sigma at the end of a word */
            uint32_t next = 0;
            if (i + (size_t)n < t.n)
                utf8_decode(t.p + i + n, t.n - i - (size_t)n, &next);
            if (inside && !utf8_is_alpha(next)) {
                strbuf_clear(&one);
                strbuf_addz(&one, "\xCF\x82");
            }
        }
        build_mark(&b, one.p, one.n, t.mark ? t.mark[i] : t.tag);
        inside = utf8_is_alpha(cp);
        i += (size_t)n;
    }
    strbuf_release(&one);
    return build_text(&b);
}

static bool in_set(Value chars, const char *p, size_t n, uint32_t cp)
{
    return chars.kind == V_STR ? chars.s.n && memmem(chars.s.p, chars.s.n, p, n) : py_space(cp);
}

Text text_strip(Run *r, Text t, Value chars, char side)
{
    size_t from = 0, to = t.n;
    uint32_t cp;
    if (chars.kind != V_STR && chars.kind != V_NONE && chars.kind != V_MISSING) {
        fail(r, "the characters to strip should be a text, they are a %s", type_name(chars));
        return t;
    }
    while (side != 'r' && from < to && spend(r, 1)) {
        size_t n = (size_t)utf8_decode(t.p + from, to - from, &cp);
        if (!in_set(chars, t.p + from, n, cp))
            break;
        from += n;
    }
    while (side != 'l' && from < to && spend(r, 1)) {
        size_t i = to - 1;
        while (((unsigned char)t.p[i] & 0xC0) == 0x80)
            i--;
        utf8_decode(t.p + i, to - i, &cp);
        if (!in_set(chars, t.p + i, to - i, cp))
            break;
        to = i;
    }
    return text_cut(t, from, to);
}

static size_t find(Run *r, Text t, size_t from, Text what)
{
    const char *p = from <= t.n ? memmem(t.p + from, t.n - from, what.p, what.n) : NULL;
    size_t at = p ? (size_t)(p - t.p) : SIZE_MAX;
    spend(r, (p ? at - from : t.n - MIN(from, t.n)) / 16 + 1);
    return at;
}

Text text_replace(Run *r, Text t, Text old, Text new, int64_t count)
{
    Build b = { .r = r, .safe = t.safe };
    size_t from = 0;
    new = build_escaped(&b, new);
    if (!old.n) { /* before every character and at the end */
        while (count && !r->rc) {
            build_add(&b, new);
            count--;
            if (from >= t.n)
                break;
            uint32_t cp;
            size_t n = (size_t)utf8_decode(t.p + from, t.n - from, &cp);
            build_add(&b, text_cut(t, from, from + n));
            from += n;
        }
    } else {
        for (size_t at; count && !r->rc && (at = find(r, t, from, old)) != SIZE_MAX; from = at + old.n, count--) {
            build_add(&b, text_cut(t, from, at));
            build_add(&b, new);
        }
    }
    if (from == 0 && !b.n)
        return t;
    build_add(&b, text_cut(t, MIN(from, t.n), t.n));
    return build_text(&b);
}

void text_lines(Run *r, Text t, bool keep, Seq *into)
{
    for (size_t from = 0, i = 0; from < t.n && !r->rc;) {
        uint32_t cp = 0;
        size_t n = 0;
        for (; i < t.n; i += n) {
            n = (size_t)utf8_decode(t.p + i, t.n - i, &cp);
            if ((cp >= 0x0A && cp <= 0x0D) || (cp >= 0x1C && cp <= 0x1E) || cp == 0x85 || cp == 0x2028 || cp == 0x2029)
                break;
        }
        size_t end = i;
        if (i < t.n)
            i += n + (cp == '\r' && i + 1 < t.n && t.p[i + 1] == '\n');
        spend(r, (i - from) / 16);
        seq_push(r, into, v_str(text_cut(t, from, keep ? i : end)));
        from = i;
    }
}

Value py_int(Run *r, Text t, int base, bool *ok)
{
    Text s = text_strip(r, t, V_NIL, 'b');
    int64_t v = 0;
    size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+');
    bool minus = i && s.p[0] == '-', digit = false;
    *ok = false;
    if (base != 10 && s.n >= i + 2 && s.p[i] == '0') {
        char c = (char)(s.p[i + 1] | 0x20);
        if ((base == 16 && c == 'x') || (base == 8 && c == 'o') || (base == 2 && c == 'b'))
            i += 2;
    }
    for (; i < s.n; i++) {
        char c = s.p[i];
        int d = c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'z' ? (c | 0x20) - 'a' + 10 : 99;
        if (c == '_' && digit && i + 1 < s.n && s.p[i + 1] != '_')
            continue;
        if (d >= base)
            return V_NIL;
        digit = true;
        if (__builtin_mul_overflow(v, (int64_t)base, &v) || __builtin_sub_overflow(v, (int64_t)d, &v))
            return fail(r, "a whole number beyond 64 bits is refused");
    }
    if (!digit)
        return V_NIL;
    *ok = true;
    if (!minus && v == INT64_MIN)
        return fail(r, "a whole number beyond 64 bits is refused");
    return v_int(minus ? v : -v);
}

bool py_float(Text t, double *f)
{
    char text[400];
    size_t n = 0, from = 0, to = t.n;
    while (from < to && py_space((unsigned char)t.p[from]) && (unsigned char)t.p[from] < 0x80)
        from++;
    while (to > from && py_space((unsigned char)t.p[to - 1]) && (unsigned char)t.p[to - 1] < 0x80)
        to--;
    for (size_t i = from; i < to; i++) {
        char c = t.p[i];
        if (n + 1 >= sizeof text || !strchr("0123456789+-.eE_infatyINFATY", c) || !c)
            return false;
        if (c == '_') {
            bool between = i > from && i + 1 < to && t.p[i - 1] >= '0' && t.p[i - 1] <= '9' && t.p[i + 1] >= '0' && t.p[i + 1] <= '9';
            if (!between)
                return false;
            continue;
        }
        text[n++] = c;
    }
    text[n] = '\0';
    char *end;
    *f = strtod(text, &end);
    return n && !*end;
}

/* --- texts --- */

static Value m_upper(Run *r, Value v, const Args *a) { (void)a; return v_str(text_case(r, v.s, 'u')); }
static Value m_lower(Run *r, Value v, const Args *a) { (void)a; return v_str(text_case(r, v.s, 'l')); }
static Value m_title(Run *r, Value v, const Args *a) { (void)a; return v_str(text_case(r, v.s, 't')); }
static Value m_capitalize(Run *r, Value v, const Args *a) { (void)a; return v_str(text_case(r, v.s, 'c')); }
static Value m_swapcase(Run *r, Value v, const Args *a) { (void)a; return v_str(text_case(r, v.s, 's')); }
static Value m_strip(Run *r, Value v, const Args *a) { return v_str(text_strip(r, v.s, a->p[0], 'b')); }
static Value m_lstrip(Run *r, Value v, const Args *a) { return v_str(text_strip(r, v.s, a->p[0], 'l')); }
static Value m_rstrip(Run *r, Value v, const Args *a) { return v_str(text_strip(r, v.s, a->p[0], 'r')); }

static Value split(Run *r, Value v, const Args *a, bool from_right)
{
    Seq *s = seq_new(r, SEQ_LIST);
    Text t = v.s, sep = { "", 0, NULL, 0, false };
    bool white = a->p[0].kind == V_NONE || a->p[0].kind == V_MISSING;
    int64_t max;
    if (!want_int(r, a->p[1], -1, &max, "the number of splits") || (!white && !want_text(r, a->p[0], &sep, "the separator")))
        return V_NIL;
    if (!white && !sep.n)
        return fail(r, "the separator of split() is empty");
    if (max < 0)
        max = INT64_MAX;
    if (white) {
        Text rest = text_strip(r, t, V_NIL, from_right ? 'r' : 'l');
        for (; rest.n && !r->rc; max--) {
            size_t i = from_right ? rest.n : 0, n;
            uint32_t cp;
            if (!max) {
                seq_push(r, s, v_str(rest));
                break;
            }
            while (from_right ? i > 0 : i < rest.n) {
                size_t k = i;
                if (from_right) {
                    do
                        k--;
                    while (((unsigned char)rest.p[k] & 0xC0) == 0x80);
                }
                n = (size_t)utf8_decode(rest.p + k, rest.n - k, &cp);
                if (py_space(cp) || !spend(r, 1))
                    break;
                i = from_right ? k : i + n;
            }
            seq_push(r, s, v_str(from_right ? text_cut(rest, i, rest.n) : text_cut(rest, 0, i)));
            rest = text_strip(r, from_right ? text_cut(rest, 0, i) : text_cut(rest, i, rest.n), V_NIL, from_right ? 'r' : 'l');
        }
    } else if (!from_right) {
        size_t from = 0;
        for (size_t at; max-- > 0 && !r->rc && (at = find(r, t, from, sep)) != SIZE_MAX; from = at + sep.n)
            seq_push(r, s, v_str(text_cut(t, from, at)));
        seq_push(r, s, v_str(text_cut(t, from, t.n)));
    } else {
        size_t to = t.n, i = t.n;
        while (max > 0 && i >= sep.n && spend(r, 1)) {
            if (memcmp(t.p + i - sep.n, sep.p, sep.n) != 0) {
                i--;
                continue;
            }
            seq_push(r, s, v_str(text_cut(t, i, to)));
            to = i = i - sep.n;
            max--;
        }
        seq_push(r, s, v_str(text_cut(t, 0, to)));
    }
    for (size_t i = 0; from_right && i < s->n / 2; i++) {
        Value other = s->p[i];
        s->p[i] = s->p[s->n - 1 - i];
        s->p[s->n - 1 - i] = other;
    }
    return v_seq(s);
}

static Value m_split(Run *r, Value v, const Args *a) { return split(r, v, a, false); }
static Value m_rsplit(Run *r, Value v, const Args *a) { return split(r, v, a, true); }

static Value m_splitlines(Run *r, Value v, const Args *a)
{
    Seq *s = seq_new(r, SEQ_LIST);
    text_lines(r, v.s, truth(a->p[0]), s);
    return v_seq(s);
}

static size_t find_last(Run *r, Text t, Text what)
{
    spend(r, t.n / 8);
    for (size_t i = t.n + 1; i-- > 0;)
        if (t.n - i >= what.n && !memcmp(t.p + i, what.p, what.n))
            return i;
    return SIZE_MAX;
}

static Value partition(Run *r, Value v, const Args *a, bool last)
{
    Text sep;
    Seq *s = seq_new(r, SEQ_TUPLE);
    if (!want_text(r, a->p[0], &sep, "the separator"))
        return V_NIL;
    if (!sep.n)
        return fail(r, "the separator of partition() is empty");
    size_t at = last ? find_last(r, v.s, sep) : find(r, v.s, 0, sep);
    bool found = at != SIZE_MAX;
    if (!found)
        at = last ? 0 : v.s.n;
    Value head = v_str(text_cut(v.s, 0, at)), tail = v_str(text_cut(v.s, found ? at + sep.n : last ? 0 : v.s.n, v.s.n));
    seq_push(r, s, head);
    seq_push(r, s, v_str(text_cut(v.s, at, found ? at + sep.n : at)));
    seq_push(r, s, tail);
    return v_seq(s);
}

static Value m_partition(Run *r, Value v, const Args *a) { return partition(r, v, a, false); }
static Value m_rpartition(Run *r, Value v, const Args *a) { return partition(r, v, a, true); }

/* The part that start and end (characters) of find, count, startswith leave; false: none. *base: its first byte. */
static bool window(Run *r, Value v, const Args *a, size_t at, Text *part, size_t *base)
{
    *part = v.s;
    *base = 0;
    bool has_from = a->p[at].kind != V_MISSING && a->p[at].kind != V_NONE, has_to = a->p[at + 1].kind != V_MISSING && a->p[at + 1].kind != V_NONE;
    if (!has_from && !has_to)
        return true;
    int64_t from = 0, to = 0, n = (int64_t)text_count(r, v.s);
    if ((has_from && !want_int(r, a->p[at], 0, &from, "the start")) || (has_to && !want_int(r, a->p[at + 1], 0, &to, "the end")))
        return false;
    if (!has_to)
        to = n;
    from = from < 0 ? MAX(from + n, (int64_t)0) : from;
    to = to < 0 ? MAX(to + n, (int64_t)0) : MIN(to, n);
    if (from > to)
        return false;
    *base = text_at(r, v.s, (size_t)from);
    *part = text_cut(v.s, *base, text_at(r, v.s, (size_t)to));
    return true;
}

static bool has_affix(Text t, Text x, bool end)
{
    return t.n >= x.n && !memcmp(end ? t.p + t.n - x.n : t.p, x.p, x.n);
}

static Value affix(Run *r, Value v, const Args *a, bool end)
{
    Text part, x;
    size_t base;
    Value what = a->p[0];
    if (!window(r, v, a, 1, &part, &base))
        return v_bool(false);
    if (what.kind == V_SEQ && what.seq->kind == SEQ_TUPLE) {
        for (size_t i = 0; i < what.seq->n && spend(r, 1); i++)
            if (!want_text(r, what.seq->p[i], &x, "what to look for") || has_affix(part, x, end))
                return v_bool(!r->rc);
        return v_bool(false);
    }
    return want_text(r, what, &x, "what to look for") ? v_bool(has_affix(part, x, end)) : V_NIL;
}

static Value m_startswith(Run *r, Value v, const Args *a) { return affix(r, v, a, false); }
static Value m_endswith(Run *r, Value v, const Args *a) { return affix(r, v, a, true); }

static Value remove_affix(Run *r, Value v, const Args *a, bool end)
{
    Text x;
    if (!want_text(r, a->p[0], &x, "what to remove") || !has_affix(v.s, x, end))
        return v;
    return v_str(end ? text_cut(v.s, 0, v.s.n - x.n) : text_cut(v.s, x.n, v.s.n));
}

static Value m_removeprefix(Run *r, Value v, const Args *a) { return remove_affix(r, v, a, false); }
static Value m_removesuffix(Run *r, Value v, const Args *a) { return remove_affix(r, v, a, true); }

static Value seek(Run *r, Value v, const Args *a, bool last, bool must)
{
    Text x, part;
    size_t base, at = SIZE_MAX;
    if (!want_text(r, a->p[0], &x, "what to look for"))
        return V_NIL;
    if (window(r, v, a, 1, &part, &base))
        at = last ? find_last(r, part, x) : find(r, part, 0, x);
    if (at == SIZE_MAX)
        return must ? fail(r, "index(): the text does not hold what was looked for") : v_int(-1);
    return v_int((int64_t)text_count(r, text_cut(v.s, 0, base + at)));
}

static Value m_find(Run *r, Value v, const Args *a) { return seek(r, v, a, false, false); }
static Value m_rfind(Run *r, Value v, const Args *a) { return seek(r, v, a, true, false); }
static Value m_index(Run *r, Value v, const Args *a) { return seek(r, v, a, false, true); }
static Value m_rindex(Run *r, Value v, const Args *a) { return seek(r, v, a, true, true); }

static Value m_count(Run *r, Value v, const Args *a)
{
    Text x, part;
    size_t base;
    int64_t n = 0;
    if (!want_text(r, a->p[0], &x, "what to count") || !window(r, v, a, 1, &part, &base))
        return v_int(0);
    if (!x.n)
        return v_int((int64_t)text_count(r, part) + 1);
    for (size_t at = 0; !r->rc && (at = find(r, part, at, x)) != SIZE_MAX; at += x.n)
        n++;
    return v_int(n);
}

static Value m_replace(Run *r, Value v, const Args *a)
{
    Text old, new;
    int64_t count;
    if (!want_text(r, a->p[0], &old, "what to replace") || !want_text(r, a->p[1], &new, "the replacement") || !want_int(r, a->p[2], -1, &count, "the count"))
        return V_NIL;
    return v_str(text_replace(r, v.s, old, new, count));
}

static Value m_join(Run *r, Value v, const Args *a)
{
    Build b = { .r = r, .safe = v.s.safe };
    Seq *items = seq_new(r, SEQ_LIST);
    Text t;
    if (!iterate(r, a->p[0], items, "join()"))
        return V_NIL;
    for (size_t i = 0; i < items->n; i++) {
        if (!want_text(r, v.s.safe ? v_str(to_text(r, items->p[i])) : items->p[i], &t, "what is joined"))
            return V_NIL;
        if (i)
            build_add(&b, v.s);
        build_add(&b, build_escaped(&b, t));
    }
    return v_str(build_text(&b));
}

static bool all_of(Text t, bool (*test)(uint32_t))
{
    for (size_t i = 0; i < t.n;) {
        uint32_t cp;
        i += (size_t)utf8_decode(t.p + i, t.n - i, &cp);
        if (!test(cp))
            return false;
    }
    return t.n > 0;
}

static bool is_digit(uint32_t cp) { return cp >= '0' && cp <= '9'; }
static bool is_alnum(uint32_t cp) { return is_digit(cp) || utf8_is_alpha(cp); }
static bool is_ascii(uint32_t cp) { return cp < 0x80; }

static Value m_isdigit(Run *r, Value v, const Args *a) { (void)a; spend(r, v.s.n / 8); return v_bool(all_of(v.s, is_digit)); }
static Value m_isalpha(Run *r, Value v, const Args *a) { (void)a; spend(r, v.s.n / 8); return v_bool(all_of(v.s, utf8_is_alpha)); }
static Value m_isalnum(Run *r, Value v, const Args *a) { (void)a; spend(r, v.s.n / 8); return v_bool(all_of(v.s, is_alnum)); }
static Value m_isspace(Run *r, Value v, const Args *a) { (void)a; spend(r, v.s.n / 8); return v_bool(all_of(v.s, py_space)); }
static Value m_isascii(Run *r, Value v, const Args *a) { (void)a; spend(r, v.s.n / 8); return v_bool(!v.s.n || all_of(v.s, is_ascii)); }

static Value m_islower(Run *r, Value v, const Args *a)
{
    static const Args none = { 0 };
    (void)a;
    return call_method(r, test_find(text_z("lower")), v, &none);
}

static Value m_isupper(Run *r, Value v, const Args *a)
{
    static const Args none = { 0 };
    (void)a;
    return call_method(r, test_find(text_z("upper")), v, &none);
}

static Value m_format(Run *r, Value v, const Args *a) { return brace_format(r, v.s, a); }

/* 'l' text at the left, 'r' at the right, 'c' in the middle */
static Value justify(Run *r, Value v, const Args *a, char how)
{
    int64_t width;
    Text fill = text_z(" ");
    Build b = { .r = r, .safe = v.s.safe };
    if (!want_int(r, a->p[0], 0, &width, "the width") || (a->p[1].kind != V_MISSING && !want_text(r, a->p[1], &fill, "the fill")))
        return V_NIL;
    if (text_count(r, fill) != 1)
        return fail(r, "the fill should be one character");
    int64_t n = (int64_t)text_count(r, v.s), pad = MAX(width - n, (int64_t)0);
    int64_t left = how == 'l' ? 0 : how == 'r' ? pad : pad / 2 + (pad & width & 1);
    if (pad > (int64_t)r->memory)
        return fail(r, "a text of %lld characters is too long", (long long)width);
    for (int64_t i = 0; i < left && spend(r, 1); i++)
        build_add(&b, fill);
    build_add(&b, v.s);
    for (int64_t i = left; i < pad && spend(r, 1); i++)
        build_add(&b, fill);
    return v_str(build_text(&b));
}

static Value m_ljust(Run *r, Value v, const Args *a) { return justify(r, v, a, 'l'); }
static Value m_rjust(Run *r, Value v, const Args *a) { return justify(r, v, a, 'r'); }
static Value m_center(Run *r, Value v, const Args *a) { return justify(r, v, a, 'c'); }

static Value m_zfill(Run *r, Value v, const Args *a)
{
    Value args[2] = { a->p[0], v_z("0") };
    Args with = { .p = args, .n = 2 };
    bool sign = v.s.n && (v.s.p[0] == '-' || v.s.p[0] == '+');
    int64_t width;
    if (!want_int(r, a->p[0], 0, &width, "the width"))
        return V_NIL;
    if (!sign)
        return justify(r, v, &with, 'r');
    Build b = { .r = r, .safe = v.s.safe };
    args[0] = v_int(width - (width > INT64_MIN));
    build_add(&b, text_cut(v.s, 0, 1));
    build_add(&b, to_text(r, justify(r, v_str(text_cut(v.s, 1, v.s.n)), &with, 'r')));
    return v_str(build_text(&b));
}

static const Method texts[] = {
    { "upper", "", 0, m_upper }, { "lower", "", 0, m_lower }, { "casefold", "", 0, m_lower }, { "title", "", 0, m_title }, { "capitalize", "", 0, m_capitalize },
    { "swapcase", "", 0, m_swapcase }, { "strip", "!chars", 0, m_strip }, { "lstrip", "!chars", 0, m_lstrip }, { "rstrip", "!chars", 0, m_rstrip },
    { "split", "sep,maxsplit", 0, m_split }, { "rsplit", "sep,maxsplit", 0, m_rsplit }, { "splitlines", "keepends", 0, m_splitlines },
    { "partition", "!sep", 1, m_partition }, { "rpartition", "!sep", 1, m_rpartition }, { "startswith", "!prefix,start,end", 1, m_startswith },
    { "endswith", "!suffix,start,end", 1, m_endswith }, { "removeprefix", "!prefix", 1, m_removeprefix }, { "removesuffix", "!suffix", 1, m_removesuffix },
    { "find", "!sub,start,end", 1, m_find }, { "rfind", "!sub,start,end", 1, m_rfind }, { "index", "!sub,start,end", 1, m_index },
    { "rindex", "!sub,start,end", 1, m_rindex }, { "count", "!sub,start,end", 1, m_count }, { "replace", "!old,new,count", 2, m_replace },
    { "join", "!iterable", 1, m_join }, { "isdigit", "", 0, m_isdigit }, { "isdecimal", "", 0, m_isdigit }, { "isnumeric", "", 0, m_isdigit },
    { "isalpha", "", 0, m_isalpha }, { "isalnum", "", 0, m_isalnum }, { "isspace", "", 0, m_isspace }, { "isascii", "", 0, m_isascii },
    { "islower", "", 0, m_islower }, { "isupper", "", 0, m_isupper }, { "format", "*", 0, m_format }, { "ljust", "!width,fill", 1, m_ljust },
    { "rjust", "!width,fill", 1, m_rjust }, { "center", "!width,fill", 1, m_center }, { "zfill", "!width", 1, m_zfill },
};

/* --- mappings and lists --- */

static Value view(Run *r, Value v, SeqKind kind)
{
    Seq *s = seq_new(r, kind);
    for (size_t i = 0; i < v.dict->n && !r->rc; i++) {
        Value item = kind == SEQ_VALUES ? v.dict->values[i] : v.dict->keys[i];
        if (kind == SEQ_ITEMS) {
            Seq *pair = seq_new(r, SEQ_TUPLE);
            seq_push(r, pair, v.dict->keys[i]);
            seq_push(r, pair, v.dict->values[i]);
            item = v_seq(pair);
        }
        seq_push(r, s, item);
    }
    return v_seq(s);
}

static Value m_items(Run *r, Value v, const Args *a) { (void)a; return view(r, v, SEQ_ITEMS); }
static Value m_keys(Run *r, Value v, const Args *a) { (void)a; return view(r, v, SEQ_KEYS); }
static Value m_values(Run *r, Value v, const Args *a) { (void)a; return view(r, v, SEQ_VALUES); }

static Value m_get(Run *r, Value v, const Args *a)
{
    Value found;
    if (dict_get(r, v.dict, a->p[0], &found))
        return found;
    return a->p[1].kind == V_MISSING ? V_NIL : a->p[1];
}

static Value m_copy(Run *r, Value v, const Args *a)
{
    (void)r;
    (void)a;
    return v; /* values never change, so a copy is the value */
}

static const Method dicts[] = {
    { "items", "", 0, m_items }, { "keys", "", 0, m_keys }, { "values", "", 0, m_values }, { "get", "!key,default", 1, m_get }, { "copy", "", 0, m_copy },
};

static Value m_list_index(Run *r, Value v, const Args *a)
{
    for (size_t i = 0; i < v.seq->n && spend(r, 1); i++)
        if (equal(r, v.seq->p[i], a->p[0]))
            return v_int((int64_t)i);
    return fail(r, "index(): the list does not hold what was looked for");
}

static Value m_list_count(Run *r, Value v, const Args *a)
{
    int64_t n = 0;
    for (size_t i = 0; i < v.seq->n && spend(r, 1); i++)
        n += equal(r, v.seq->p[i], a->p[0]);
    return v_int(n);
}

static const Method rows[] = { { "index", "!value", 1, m_list_index }, { "count", "!value", 1, m_list_count } };
static const Method list_only[] = { { "copy", "", 0, m_copy } };

/* --- loops --- */

static Value m_cycle(Run *r, Value v, const Args *a)
{
    if (!a->n)
        return fail(r, "loop.cycle() needs something to cycle through");
    return a->p[v.loop->at % a->n];
}

static Value m_changed(Run *r, Value v, const Args *a)
{
    Seq *s = seq_new(r, SEQ_TUPLE);
    for (size_t i = 0; i < a->n; i++)
        seq_push(r, s, a->p[i]);
    if (v.loop->changed.kind == V_SEQ && equal(r, v.loop->changed, v_seq(s)))
        return v_bool(false);
    v.loop->changed = v_seq(s);
    return v_bool(true);
}

static const Method loops[] = { { "cycle", "*", 0, m_cycle }, { "changed", "*", 0, m_changed } };

const Method *method_find(Value v, Text name)
{
    const Method *table = NULL;
    size_t n = 0;
    if (v.kind == V_STR) {
        table = texts;
        n = ARRAY_LEN(texts);
    } else if (v.kind == V_DICT) {
        table = dicts;
        n = ARRAY_LEN(dicts);
    } else if (v.kind == V_SEQ && v.seq->kind <= SEQ_RANGE) {
        if (v.seq->kind == SEQ_LIST && text_eq(name, "copy"))
            return &list_only[0];
        table = rows;
        n = ARRAY_LEN(rows);
    } else if (v.kind == V_LOOP) {
        table = loops;
        n = ARRAY_LEN(loops);
    }
    for (size_t i = 0; i < n; i++)
        if (text_eq(name, table[i].name))
            return &table[i];
    return NULL;
}

bool mutates(Value v, Text name)
{
    static const char *const lists[] = { "append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove" };
    static const char *const maps[] = { "clear", "pop", "popitem", "setdefault", "update" };
    bool list = v.kind == V_SEQ && v.seq->kind == SEQ_LIST;
    const char *const *mutating = list ? lists : maps;
    for (size_t i = 0; (list || v.kind == V_DICT) && i < (list ? ARRAY_LEN(lists) : ARRAY_LEN(maps)); i++)
        if (text_eq(name, mutating[i]))
            return true;
    return false;
}
