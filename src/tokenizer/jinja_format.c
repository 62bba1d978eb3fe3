/* jinja_format.c - values into texts by a pattern: "%s" % x, "{}".format(x), and tojson as transformers defines it (json.dumps with
 * ensure_ascii=False: nothing escaped for HTML, ", " and ": " between, Python's spelling of numbers).
 * Marks: what comes from a value keeps its mark, also through the escapes of JSON. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "tokenizer/jinja_int.h"

#define FORMAT_WIDTH_MAX 10000

/* What stands between the introducer and the type of both notations. */
typedef struct Spec { bool left, plus, space, zero, alt, comma; char align, type; Text fill; int64_t width, precision; } Spec;

static void add_padded(Build *b, const Spec *s, Text sign, Text body, bool number)
{
    Run *r = b->r;
    int64_t n = (int64_t)text_count(r, body) + (int64_t)sign.n, pad = MAX(s->width - n, (int64_t)0);
    char align = s->align ? s->align : s->left ? '<' : s->zero && number ? '=' : number ? '>' : '<';
    int64_t before = align == '<' ? 0 : align == '^' ? pad / 2 : pad;
    Text fill = s->fill.n ? s->fill : text_z(s->zero && number && !s->left ? "0" : " ");
    if (align == '=')
        build_add(b, sign);
    for (int64_t i = 0; i < before; i++)
        build_add(b, fill);
    if (align != '=')
        build_add(b, sign);
    build_add(b, body);
    for (int64_t i = before; i < pad; i++)
        build_add(b, fill);
}

static void add_digits(Build *b, const Spec *s, bool minus, const char *digits)
{
    unsigned char sign = minus ? '-' : s->plus ? '+' : s->space ? ' ' : 0;
    char prefix[4] = { (char)sign, '\0' };
    Build body = { .r = b->r };
    for (int64_t n = (int64_t)strlen(digits); n < s->precision; n++)
        build_addz(&body, "0");
    build_addz(&body, digits);
    if (s->alt && s->type && s->type != 'd')
        snprintf(prefix + (sign != 0), 3, "0%c", s->type);
    add_padded(b, s, text_z(prefix), build_text(&body), true);
}

static void add_whole(Build *b, const Spec *s, int64_t v)
{
    char digits[96];
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    unsigned base = s->type == 'x' || s->type == 'X' ? 16 : s->type == 'o' ? 8 : s->type == 'b' ? 2 : 10;
    size_t at = sizeof digits - 1, n = 0;
    digits[at] = '\0';
    do {
        if (s->comma && n++ % 4 == 3)
            digits[--at] = ',', n++;
        digits[--at] = (s->type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef")[u % base];
        u /= base;
    } while (u);
    add_digits(b, s, v < 0, digits + at);
}

/* The whole part of a real: printf writes every digit of it, so no number is too large. */
static void add_whole_real(Build *b, const Spec *s, double f)
{
    char digits[400];
    snprintf(digits, sizeof digits, "%.0f", trunc(fabs(f)));
    add_digits(b, s, f <= -1, digits);
}

static void add_decimal(Build *b, const Spec *s, double f, bool brace)
{
    char text[400], format[8] = "%.*", type = s->type ? s->type : 'g';
    int precision = s->precision < 0 ? 6 : (int)s->precision;
    int sign = signbit(f) && !isnan(f) ? '-' : s->plus ? '+' : s->space ? ' ' : 0;
    double x = fabs(f);
    Build body = { .r = b->r };
    if (type == '%') {
        x *= 100;
        type = 'f';
    }
    if (precision > 60) {
        fail(b->r, "more than 60 digits of a number are refused");
        return;
    }
    if (brace && !s->type && s->precision < 0) {
        add_real(&body, x);
    } else {
        format[3] = (char)(type == 'F' ? 'f' : type);
        if (s->alt)
            snprintf(format, sizeof format, "%%#.*%c", type);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(text, sizeof text, format, precision, x);
#pragma GCC diagnostic pop
        size_t whole = strspn(text, "0123456789");
        for (size_t i = 0; text[i]; i++) {
            if (s->comma && i && i < whole && (whole - i) % 3 == 0)
                build_addz(&body, ",");
            build_addn(&body, text + i, 1);
        }
        if (brace && !s->type && isfinite(f) && !strpbrk(text, ".e"))
            build_addz(&body, ".0");
    }
    if (s->type == '%')
        build_addz(&body, "%");
    char prefix[2] = { (char)sign, '\0' };
    Text digits = build_text(&body);
    char *own = take(b->r, digits.n + 1, 1);
    if (own) {
        memcpy(own, digits.p, digits.n);
        add_padded(b, s, text_z(prefix), (Text){ own, digits.n, NULL, 0, false }, true);
    }
}

static bool number(Value v, double *f, int64_t *i)
{
    *i = v.kind == V_BOOL ? v.b : v.kind == V_INT ? v.i : 0;
    *f = v.kind == V_REAL ? v.f : (double)*i;
    return v.kind == V_REAL || v.kind == V_INT || v.kind == V_BOOL;
}

static void add_text(Build *b, const Spec *s, Text t)
{
    if (s->precision >= 0)
        t = text_cut(t, 0, text_at(b->r, t, (size_t)s->precision));
    add_padded(b, s, text_z(""), t, false);
}

static Text repr_of(Run *r, Value v)
{
    Build b = { .r = r };
    add_repr(&b, v);
    return build_text(&b);
}

static void add_conversion(Build *b, Spec *s, Value v)
{
    Run *r = b->r;
    double f = 0;
    int64_t i = 0;
    bool right = !s->left;
    switch (s->type) {
    case 's': case 'r': case 'a':
        if (right)
            s->align = '>';
        s->zero = false;
        if (s->type == 'a')
            fail(r, "the conversion %%a is refused");
        else
            add_text(b, s, build_escaped(b, s->type == 'r' ? repr_of(r, v) : to_text(r, v)));
        break;
    case 'd': case 'i': case 'u': case 'x': case 'X': case 'o':
        if (!number(v, &f, &i) || (v.kind == V_REAL && (s->type == 'x' || s->type == 'X' || s->type == 'o'))) {
            fail(r, "%%%c needs a number, found a %s", s->type, type_name(v));
            break;
        }
        if (!isfinite(f)) {
            fail(r, "%%%c needs a finite number", s->type);
            break;
        }
        if (s->type == 'i' || s->type == 'u')
            s->type = 'd';
        if (v.kind == V_REAL)
            add_whole_real(b, s, f);
        else
            add_whole(b, s, i);
        break;
    case 'f': case 'F': case 'e': case 'E': case 'g': case 'G':
        if (!number(v, &f, &i))
            fail(r, "%%%c needs a number, found a %s", s->type, type_name(v));
        else
            add_decimal(b, s, f, false);
        break;
    default: fail(r, "the conversion %%%c is not one that hone knows", s->type >= ' ' && s->type < 0x7F ? s->type : '?');
    }
}

static int64_t read_number(Run *r, Text t, size_t *i)
{
    int64_t v = 0;
    for (; *i < t.n && t.p[*i] >= '0' && t.p[*i] <= '9'; (*i)++)
        v = MIN(v * 10 + (t.p[*i] - '0'), (int64_t)FORMAT_WIDTH_MAX + 1);
    if (v > FORMAT_WIDTH_MAX)
        fail(r, "a width of more than %d characters is refused", FORMAT_WIDTH_MAX);
    return v;
}

Value percent_format(Run *r, Text f, Value args)
{
    Build b = { .r = r, .safe = f.safe };
    bool tuple = args.kind == V_SEQ && args.seq->kind == SEQ_TUPLE, named = false;
    size_t used = 0, n = tuple ? args.seq->n : 1;
    for (size_t i = 0; i < f.n && spend(r, 1);) {
        const char *p = memchr(f.p + i, '%', f.n - i);
        size_t at = p ? (size_t)(p - f.p) : f.n;
        build_add(&b, text_cut(f, i, at));
        if (!p)
            break;
        i = at + 1;
        Spec s = { .precision = -1 };
        Value v = V_NIL;
        bool key = false;
        if (i < f.n && f.p[i] == '(') {
            const char *end = memchr(f.p + i, ')', f.n - i);
            if (!end || args.kind != V_DICT)
                return fail(r, end ? "%%(name) needs a mapping" : "%%(name) is not closed");
            Value name = v_str(text_cut(f, i + 1, (size_t)(end - f.p)));
            if (!dict_get(r, args.dict, name, &v))
                return fail(r, "%%(name): the mapping has no \"%.*s\"", (int)utf8_complete(name.s.p, MIN(name.s.n, (size_t)60)), name.s.p);
            i = (size_t)(end - f.p) + 1;
            key = named = true;
        }
        for (; i < f.n && strchr("-+ 0#", f.p[i]) && f.p[i]; i++) {
            s.left = s.left || f.p[i] == '-';
            s.plus = s.plus || f.p[i] == '+';
            s.space = s.space || f.p[i] == ' ';
            s.zero = s.zero || f.p[i] == '0';
            s.alt = s.alt || f.p[i] == '#';
        }
        s.width = read_number(r, f, &i);
        if (i < f.n && f.p[i] == '.') {
            i++;
            s.precision = read_number(r, f, &i);
        }
        if (i >= f.n)
            return fail(r, "the format ends inside of a %% conversion");
        s.type = f.p[i++];
        if (s.type == '%') {
            build_addz(&b, "%");
            continue;
        }
        if (!key) {
            if (used >= n)
                return fail(r, "the format has more %% conversions than there are values");
            v = tuple ? args.seq->p[used] : args;
            used++;
        }
        add_conversion(&b, &s, v);
    }
    if (!r->rc && used < n && !named && args.kind != V_DICT && !(args.kind == V_SEQ && !tuple) && args.kind != V_UNDEF)
        return fail(r, "the format has fewer %% conversions than there are values");
    return v_str(build_text(&b));
}

/* --- {} --- */

static void add_field(Build *b, Value v, Text spec)
{
    Run *r = b->r;
    Spec s = { .precision = -1 };
    size_t i = 0;
    double f = 0;
    int64_t whole = 0;
    uint32_t cp;
    if (spec.n) {
        size_t n = (size_t)utf8_decode(spec.p, spec.n, &cp);
        if (n < spec.n && strchr("<>=^", spec.p[n]) && spec.p[n]) {
            s.fill = text_cut(spec, 0, n);
            s.align = spec.p[n];
            i = n + 1;
        } else if (strchr("<>=^", spec.p[0]) && spec.p[0]) {
            s.align = spec.p[0];
            i = 1;
        }
    }
    if (i < spec.n && (spec.p[i] == '+' || spec.p[i] == '-' || spec.p[i] == ' ')) {
        s.plus = spec.p[i] == '+';
        s.space = spec.p[i++] == ' ';
    }
    if (i < spec.n && spec.p[i] == '#')
        s.alt = ++i > 0;
    if (i < spec.n && spec.p[i] == '0')
        s.zero = ++i > 0;
    s.width = read_number(r, spec, &i);
    if (i < spec.n && spec.p[i] == ',')
        s.comma = ++i > 0;
    if (i < spec.n && spec.p[i] == '.') {
        i++;
        s.precision = read_number(r, spec, &i);
    }
    if (i < spec.n)
        s.type = spec.p[i++];
    if (i < spec.n) {
        fail(r, "the format \"%.*s\" is not one that hone knows", (int)utf8_complete(spec.p, MIN(spec.n, (size_t)60)), spec.p);
        return;
    }
    if (v.kind == V_STR || (!spec.n && !number(v, &f, &whole))) {
        if ((s.type && s.type != 's') || s.comma || s.plus || s.space || s.align == '=')
            fail(r, "the format \"%.*s\" does not fit a text", (int)utf8_complete(spec.p, MIN(spec.n, (size_t)60)), spec.p);
        else
            add_text(b, &s, to_text(r, v));
        return;
    }
    if (!number(v, &f, &whole)) {
        fail(r, "a format with \"%.*s\" does not fit a %s", (int)utf8_complete(spec.p, MIN(spec.n, (size_t)60)), spec.p, type_name(v));
        return;
    }
    if (v.kind == V_BOOL && !spec.n)
        build_add(b, to_text(r, v));
    else if (v.kind != V_REAL && (!s.type || strchr("dxXob", s.type)) && s.precision < 0)
        add_whole(b, &s, whole);
    else if (!s.type || strchr("fFeEgG%", s.type))
        add_decimal(b, &s, f, true);
    else
        fail(r, "the format \"%c\" does not fit a %s", s.type, type_name(v));
}

Value brace_format(Run *r, Text f, const Args *a)
{
    Build b = { .r = r, .safe = f.safe };
    size_t next = 0;
    for (size_t i = 0; i < f.n && spend(r, 1);) {
        size_t n = 0;
        while (i + n < f.n && f.p[i + n] != '{' && f.p[i + n] != '}')
            n++;
        build_add(&b, text_cut(f, i, i + n));
        i += n;
        if (i >= f.n)
            break;
        char c = f.p[i];
        if (i + 1 < f.n && f.p[i + 1] == c) {
            build_add(&b, text_cut(f, i, i + 1));
            i += 2;
            continue;
        }
        const char *end = c == '{' ? memchr(f.p + i, '}', f.n - i) : NULL;
        if (!end)
            return fail(r, "a single { or } stands in the text of format()");
        Text field = text_cut(f, i + 1, (size_t)(end - f.p)), spec = text_z("");
        i = (size_t)(end - f.p) + 1;
        if (memchr(field.p, '{', field.n))
            return fail(r, "fields inside of fields of format() are refused");
        const char *colon = memchr(field.p, ':', field.n);
        if (colon) {
            spec = text_cut(field, (size_t)(colon - field.p) + 1, field.n);
            field = text_cut(field, 0, (size_t)(colon - field.p));
        }
        char convert = '\0';
        if (field.n >= 2 && field.p[field.n - 2] == '!') {
            convert = field.p[field.n - 1];
            field = text_cut(field, 0, field.n - 2);
        }
        size_t stop = 0;
        while (stop < field.n && field.p[stop] != '.' && field.p[stop] != '[')
            stop++;
        Text head = text_cut(field, 0, stop);
        Value v = V_NIL;
        bool ok = false;
        Value at = head.n && head.p[0] >= '0' && head.p[0] <= '9' ? py_int(r, head, 10, &ok) : V_NIL;
        if (!head.n || ok) {
            size_t k = ok ? (size_t)at.i : next++;
            if (k >= a->n)
                return fail(r, "format() has no value number %zu", k);
            v = a->p[k];
        } else {
            size_t k = 0;
            while (k < a->n_named && !(a->names[k].n == head.n && !memcmp(a->names[k].p, head.p, head.n)))
                k++;
            if (k == a->n_named)
                return fail(r, "format() has no value \"%.*s\"", (int)utf8_complete(head.p, MIN(head.n, (size_t)60)), head.p);
            v = a->named[k];
        }
        while (stop < field.n && !r->rc) {
            bool item = field.p[stop] == '[';
            size_t from = ++stop;
            while (stop < field.n && (item ? field.p[stop] != ']' : field.p[stop] != '.' && field.p[stop] != '['))
                stop++;
            Text part = text_cut(field, from, stop);
            ok = false;
            at = item && part.n && part.p[0] >= '0' && part.p[0] <= '9' ? py_int(r, part, 10, &ok) : V_NIL;
            v = item ? subscript(r, v, ok ? at : v_str(part)) : attribute(r, v, part);
            stop += item && stop < field.n;
        }
        if (convert && convert != 's' && convert != 'r')
            return fail(r, "the conversion !%c of format() is refused", convert > ' ' && convert < 0x7F ? convert : '?');
        Build part = { .r = r, .safe = v.kind == V_STR && v.s.safe && convert != 'r' };
        add_field(&part, convert ? v_str(convert == 'r' ? repr_of(r, v) : to_text(r, v)) : v, spec);
        build_add(&b, build_escaped(&b, build_text(&part)));
    }
    return v_str(build_text(&b));
}

/* --- tojson --- */

typedef struct JsonStyle { bool ascii, sort, pretty; Text indent, comma, colon; } JsonStyle;

static void add_json_text(Build *b, Text t, bool ascii)
{
    static const char shorts[] = { ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't', ['"'] = '"', ['\\'] = '\\' };
    char buf[16];
    build_addz(b, "\"");
    for (size_t i = 0, n; i < t.n && !b->r->rc; i += n) {
        uint32_t cp, tag = t.mark ? t.mark[i] : t.tag;
        n = (size_t)utf8_decode(t.p + i, t.n - i, &cp);
        if (cp < sizeof shorts && shorts[cp])
            snprintf(buf, sizeof buf, "\\%c", shorts[cp]);
        else if (cp < 0x20 || (ascii && cp >= 0x7F && cp < 0x10000))
            snprintf(buf, sizeof buf, "\\u%04x", cp);
        else if (ascii && cp >= 0x10000)
            snprintf(buf, sizeof buf, "\\u%04x\\u%04x", 0xD800 + ((cp - 0x10000) >> 10), 0xDC00 + ((cp - 0x10000) & 0x3FF));
        else {
            build_add(b, text_cut(t, i, i + n));
            continue;
        }
        build_mark(b, buf, strlen(buf), tag);
    }
    build_addz(b, "\"");
}

static void add_line(Build *b, const JsonStyle *s, int level)
{
    if (!s->pretty)
        return;
    build_addz(b, "\n");
    for (int i = 0; i < level && !b->r->rc; i++)
        build_add(b, s->indent);
}

static void add_number(Build *b, double f)
{
    if (isfinite(f))
        add_real(b, f);
    else
        build_addz(b, isnan(f) ? "NaN" : f < 0 ? "-Infinity" : "Infinity");
}

static int by_key(const void *a, const void *b)
{
    const Value *const *x = a, *const *y = b;
    size_t n = MIN((*x)->s.n, (*y)->s.n);
    int c = memcmp((*x)->s.p, (*y)->s.p, n);
    return c ? c : ((*x)->s.n > (*y)->s.n) - ((*x)->s.n < (*y)->s.n);
}

static void add_json_at(Build *b, const JsonStyle *s, Value v, int level);

static void add_json_dict(Build *b, const JsonStyle *s, const Dict *d, int level)
{
    Run *r = b->r;
    const Value **order = take(r, d->n + 1, sizeof *order);
    bool texts = true;
    build_addz(b, "{");
    for (size_t i = 0; order && i < d->n; i++) {
        order[i] = &d->keys[i];
        texts = texts && d->keys[i].kind == V_STR;
    }
    if (order && s->sort && !texts)
        fail(r, "tojson sorts by key only where all keys are texts");
    if (order && s->sort && !r->rc)
        qsort(order, d->n, sizeof *order, by_key);
    for (size_t i = 0; i < d->n && spend(r, 1); i++) {
        Value key = *order[i];
        if (i)
            build_add(b, s->comma);
        add_line(b, s, level + 1);
        if (key.kind == V_STR) {
            add_json_text(b, key.s, s->ascii);
        } else if (key.kind == V_INT || key.kind == V_REAL || key.kind == V_BOOL || key.kind == V_NONE) {
            build_addz(b, "\"");
            add_json_at(b, s, key, level);
            build_addz(b, "\"");
        } else {
            fail(r, "tojson: a %s cannot be a key", type_name(key));
        }
        build_add(b, s->colon);
        add_json_at(b, s, d->values[order[i] - d->keys], level + 1);
    }
    if (d->n)
        add_line(b, s, level);
    build_addz(b, "}");
}

static void add_json_at(Build *b, const JsonStyle *s, Value v, int level)
{
    Run *r = b->r;
    if (!enter(r)) {
        leave(r);
        return;
    }
    switch (v.kind) {
    case V_NONE: build_addz(b, "null"); break;
    case V_BOOL: build_addz(b, v.b ? "true" : "false"); break;
    case V_INT:  add_repr(b, v); break;
    case V_REAL: add_number(b, v.f); break;
    case V_STR:  add_json_text(b, v.s, s->ascii); break;
    case V_DICT: add_json_dict(b, s, v.dict, level); break;
    case V_SEQ:
        if (v.seq->kind <= SEQ_TUPLE) {
            build_addz(b, "[");
            for (size_t i = 0; i < v.seq->n && spend(r, 1); i++) {
                if (i)
                    build_add(b, s->comma);
                add_line(b, s, level + 1);
                add_json_at(b, s, v.seq->p[i], level + 1);
            }
            if (v.seq->n)
                add_line(b, s, level);
            build_addz(b, "]");
            break;
        } /* fall through */
    default: fail(r, "tojson: a %s cannot be written as JSON", type_name(v));
    }
    leave(r);
}

void add_json(Run *r, Build *b, Value v, const Args *o)
{
    JsonStyle s = { .ascii = truth(o->p[0]), .sort = truth(o->p[3]), .comma = text_z(", "), .colon = text_z(": ") };
    Value indent = o->p[1], separators = o->p[2];
    if (indent.kind != V_MISSING && indent.kind != V_NONE) {
        int64_t width = 0;
        s.pretty = true;
        s.comma = text_z(",");
        if (indent.kind == V_STR)
            s.indent = indent.s;
        else if (want_int(r, indent, 0, &width, "the indent of tojson"))
            s.indent = to_text(r, binary(r, OP_MUL, v_z(" "), v_int(width)));
    }
    if (separators.kind != V_MISSING && separators.kind != V_NONE) {
        if (separators.kind != V_SEQ || separators.seq->n != 2)
            fail(r, "the separators of tojson should be two texts");
        else if (want_text(r, separators.seq->p[0], &s.comma, "a separator of tojson"))
            want_text(r, separators.seq->p[1], &s.colon, "a separator of tojson");
    }
    add_json_at(b, &s, v, 0);
}
