/* jinja_value.c - the values of templates: making, comparing and printing them as Python does; budgets of a rendering.
 * Invariants: texts are valid UTF-8 and are indexed by character; the first error of a Run stays; whatever is done per byte or item is paid for
 * with spend() before it is done, so a rendering ends whatever the template says. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "tokenizer/jinja_int.h"

/* --- budgets and errors --- */

Value fail(Run *r, const char *fmt, ...)
{
    char text[700];
    va_list ap;
    va_start(ap, fmt);
    utf8_vformat(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!r->rc)
        r->rc = err_set(r->e, ERR_INPUT, "%s, line %d of the template: %s", r->jinja->where, r->line, text);
    return (Value){ .kind = V_UNDEF, .s = { "", 0, NULL, 0, false } };
}

bool spend(Run *r, uint64_t steps)
{
    if (r->rc)
        return false;
    if (r->steps >= steps) {
        r->steps -= steps;
        return true;
    }
    r->steps = 0;
    fail(r, "the rendering takes more steps than a template may take; it probably never ends");
    return false;
}

void *take(Run *r, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes) || bytes > r->memory || r->arena.used > r->memory - bytes) {
        fail(r, "the rendering needs more than %zu MiB of memory", r->memory >> 20);
        return NULL;
    }
    return spend(r, bytes / 64 + 1) ? arena_alloc(&r->arena, bytes) : NULL;
}

/* Small things are always given; the number of steps bounds how many. */
static void *take_small(Run *r, size_t n)
{
    spend(r, 1);
    return arena_zalloc(&r->arena, 1, n);
}

bool enter(Run *r)
{
    if (r->depth >= JINJA_DEPTH_MAX && !r->rc)
        fail(r, "values or macros are nested more than %d levels deep; a macro probably calls itself for ever", JINJA_DEPTH_MAX);
    r->depth++;
    return !r->rc;
}

void leave(Run *r)
{
    r->depth--;
}

/* --- making --- */

Text text_z(const char *z)
{
    return (Text){ z, strlen(z), NULL, 0, false };
}

Value v_undef(Run *r, const char *fmt, ...)
{
    char text[200];
    va_list ap;
    va_start(ap, fmt);
    utf8_vformat(text, sizeof text, fmt, ap);
    va_end(ap);
    size_t len = strlen(text);
    char *why = take_small(r, len + 1);
    memcpy(why, text, len);
    return (Value){ .kind = V_UNDEF, .s = { why, len, NULL, 0, false } };
}

Value v_bool(bool b)
{
    return (Value){ .kind = V_BOOL, .b = b };
}

Value v_int(int64_t i)
{
    return (Value){ .kind = V_INT, .i = i };
}

Value v_real(double f)
{
    return (Value){ .kind = V_REAL, .f = f };
}

Value v_str(Text t)
{
    return (Value){ .kind = V_STR, .s = t };
}

Value v_z(const char *z)
{
    return v_str(text_z(z));
}

Value v_seq(Seq *s)
{
    return (Value){ .kind = V_SEQ, .seq = s };
}

Value v_dict(Dict *d)
{
    return (Value){ .kind = V_DICT, .dict = d };
}

Text text_cut(Text t, size_t from, size_t to)
{
    return (Text){ t.p + from, to - from, t.mark ? t.mark + from : NULL, t.tag, t.safe };
}

bool text_eq(Text a, const char *z)
{
    return a.n == strlen(z) && memcmp(a.p, z, a.n) == 0;
}

static bool starts_character(char c)
{
    return ((unsigned char)c & 0xC0) != 0x80;
}

size_t text_count(Run *r, Text t)
{
    size_t n = 0;
    spend(r, t.n / 32);
    for (size_t i = 0; i < t.n; i++)
        n += starts_character(t.p[i]);
    return n;
}

size_t text_at(Run *r, Text t, size_t k)
{
    size_t i = 0;
    for (; i < t.n; i++)
        if (starts_character(t.p[i]) && k-- == 0)
            break;
    spend(r, i / 32);
    return i;
}

bool py_space(uint32_t cp)
{
    return utf8_is_space(cp) || (cp >= 0x1C && cp <= 0x1F);
}

Seq *seq_new(Run *r, SeqKind kind)
{
    Seq *s = take_small(r, sizeof *s);
    s->kind = kind;
    return s;
}

void seq_push(Run *r, Seq *s, Value v)
{
    if (r->rc || !spend(r, 1))
        return;
    if (s->n == s->cap) {
        size_t cap = MAX(s->cap * 2, (size_t)4);
        Value *p = take(r, cap, sizeof *p);
        if (!p)
            return;
        if (s->n)
            memcpy(p, s->p, s->n * sizeof *p);
        s->p = p;
        s->cap = cap;
    }
    s->p[s->n++] = v;
}

Seq *seq_of_iter(Run *r, const char *made_by)
{
    Seq *s = seq_new(r, SEQ_ITER);
    s->made_by = made_by;
    return s;
}

Dict *dict_new(Run *r)
{
    return take_small(r, sizeof(Dict));
}

static Value *dict_slot(Run *r, const Dict *d, Value key)
{
    for (size_t i = 0; i < d->n; i++)
        if ((d->keys[i].kind == V_STR && key.kind == V_STR ? d->keys[i].s.n == key.s.n && !memcmp(d->keys[i].s.p, key.s.p, key.s.n)
                                                           : equal(r, d->keys[i], key)))
            return spend(r, i / 8), &d->values[i];
    spend(r, d->n / 8);
    return NULL;
}

bool hashable(Run *r, Value v)
{
    if (v.kind == V_DICT || (v.kind == V_SEQ && v.seq->kind != SEQ_TUPLE && v.seq->kind != SEQ_RANGE && v.seq->kind != SEQ_ITER)) {
        fail(r, "unhashable type: '%s'", type_name(v));
        return false;
    }
    bool ok = enter(r);
    for (size_t i = 0; ok && v.kind == V_SEQ && v.seq->kind == SEQ_TUPLE && i < v.seq->n; i++)
        ok = spend(r, 1) && hashable(r, v.seq->p[i]);
    leave(r);
    return ok;
}

void dict_put(Run *r, Dict *d, Value key, Value value)
{
    if (r->rc || !hashable(r, key))
        return;
    Value *slot = dict_slot(r, d, key);
    if (slot) {
        *slot = value;
        return;
    }
    if (d->n == d->cap) {
        size_t cap = MAX(d->cap * 2, (size_t)4);
        Value *keys = take(r, cap, sizeof *keys), *values = take(r, cap, sizeof *values);
        if (!keys || !values)
            return;
        if (d->n) {
            memcpy(keys, d->keys, d->n * sizeof *keys);
            memcpy(values, d->values, d->n * sizeof *values);
        }
        d->keys = keys;
        d->values = values;
        d->cap = cap;
    }
    d->keys[d->n] = key;
    d->values[d->n++] = value;
}

bool dict_get(Run *r, const Dict *d, Value key, Value *value)
{
    if (!hashable(r, key))
        return false;
    Value *slot = dict_slot(r, d, key);
    if (slot)
        *value = *slot;
    return slot;
}

bool dict_find(const Dict *d, const char *name, Value *value)
{
    for (size_t i = 0; d && i < d->n; i++)
        if (d->keys[i].kind == V_STR && text_eq(d->keys[i].s, name)) {
            *value = d->values[i];
            return true;
        }
    return false;
}

Value from_json(Run *r, const Json *j, uint32_t tag)
{
    Str s;
    Dict *d;
    Seq *list;
    JsonIter it = { 0 };
    Str key;
    Json *value;
    if (!spend(r, 1))
        return V_NIL;
    switch (json_kind(j)) {
    case JSON_NULL: break;
    case JSON_BOOL: return v_bool(json_bool(j));
    case JSON_INT:  return v_int(json_int(j));
    case JSON_REAL: return v_real(json_num(j));
    case JSON_STRING:
        s = json_str(j);
        return v_str((Text){ s.n ? s.p : "", s.n, NULL, tag, false });
    case JSON_ARRAY:
        list = seq_new(r, SEQ_LIST);
        for (size_t i = 0; i < json_len(j) && !r->rc; i++)
            seq_push(r, list, from_json(r, json_at(j, i), tag));
        return v_seq(list);
    case JSON_OBJECT:
        d = dict_new(r);
        d->keys = take(r, MAX(json_len(j), (size_t)1), sizeof *d->keys);
        d->values = take(r, MAX(json_len(j), (size_t)1), sizeof *d->values);
        d->cap = d->keys && d->values ? MAX(json_len(j), (size_t)1) : 0;
        while (!r->rc && json_each(j, &it, &key, &value)) { /* the parser refused duplicates */
            d->keys[d->n] = v_str((Text){ key.n ? key.p : "", key.n, NULL, tag, false });
            d->values[d->n++] = from_json(r, value, tag);
        }
        return v_dict(d);
    }
    return V_NIL;
}

/* --- asking --- */

bool truth(Value v)
{
    switch (v.kind) {
    case V_UNDEF: case V_NONE: case V_MISSING: return false;
    case V_BOOL: return v.b;
    case V_INT:  return v.i != 0;
    case V_REAL: return v.f != 0;
    case V_STR:  return v.s.n != 0;
    case V_SEQ:  return v.seq->kind == SEQ_ITER || v.seq->n != 0;
    case V_DICT: return v.dict->n != 0;
    case V_SPACE: case V_MACRO: case V_CALL: break;
    case V_LOOP: return v.loop->items->n != 0;
    }
    return true;
}

const char *type_name(Value v)
{
    static const char *const seqs[] = { "list", "tuple", "range", "dict_keys", "dict_values", "dict_items", "generator" };
    static const char *const names[] = { "Undefined", "NoneType", "bool", "int", "float", "str", "", "dict", "Namespace", "Macro", "function", "LoopContext", "nothing" };
    return v.kind == V_SEQ ? seqs[v.seq->kind] : names[v.kind];
}

static bool is_number(Value v)
{
    return v.kind == V_INT || v.kind == V_REAL || v.kind == V_BOOL;
}

/* Whole numbers against reals are compared exactly, as Python does. */
static int compare_numbers(Value a, Value b)
{
    if (a.kind != V_REAL && b.kind != V_REAL) {
        int64_t x = a.kind == V_BOOL ? a.b : a.i, y = b.kind == V_BOOL ? b.b : b.i;
        return (x > y) - (x < y);
    }
    if (a.kind == V_REAL && b.kind == V_REAL)
        return isnan(a.f) || isnan(b.f) ? 2 : (a.f > b.f) - (a.f < b.f);
    if (a.kind == V_REAL) {
        int c = compare_numbers(b, a);
        return c == 2 ? 2 : -c;
    }
    int64_t x = a.kind == V_BOOL ? a.b : a.i;
    if (isnan(b.f))
        return 2;
    if (b.f >= 9223372036854775808.0)
        return -1;
    if (b.f < -9223372036854775808.0)
        return 1;
    int64_t whole = (int64_t)b.f;
    if (x != whole)
        return x < whole ? -1 : 1;
    double rest = b.f - (double)whole;
    return rest > 0 ? -1 : rest < 0;
}

bool equal(Run *r, Value a, Value b)
{
    if (is_number(a) && is_number(b))
        return compare_numbers(a, b) == 0;
    if (a.kind != b.kind)
        return false;
    bool same = true;
    switch (a.kind) {
    case V_UNDEF: case V_NONE: case V_MISSING: return true;
    case V_BOOL: case V_INT: case V_REAL: return true;
    case V_STR:
        spend(r, a.s.n == b.s.n ? a.s.n / 64 : 0);
        return a.s.n == b.s.n && !memcmp(a.s.p, b.s.p, a.s.n);
    case V_SEQ:
        if (a.seq == b.seq)
            return true;
        if (a.seq->kind != b.seq->kind || a.seq->n != b.seq->n || a.seq->kind == SEQ_ITER || a.seq->kind == SEQ_VALUES || !enter(r))
            return false;
        for (size_t i = 0; same && i < a.seq->n && spend(r, 1); i++)
            same = equal(r, a.seq->p[i], b.seq->p[i]);
        leave(r);
        return same;
    case V_DICT:
        if (a.dict == b.dict)
            return true;
        if (a.dict->n != b.dict->n || !enter(r))
            return false;
        for (size_t i = 0; same && i < a.dict->n && spend(r, 1); i++) {
            Value *other = dict_slot(r, b.dict, a.dict->keys[i]);
            same = other && equal(r, a.dict->values[i], *other);
        }
        leave(r);
        return same;
    case V_SPACE: return a.dict == b.dict;
    case V_MACRO: return a.macro == b.macro;
    case V_CALL:  return a.call.method == b.call.method && a.call.self == b.call.self;
    case V_LOOP:  return a.loop == b.loop;
    }
    return false;
}

int compare(Run *r, Value a, Value b, const char *op)
{
    if (is_number(a) && is_number(b))
        return compare_numbers(a, b);
    if (a.kind == V_STR && b.kind == V_STR) {
        size_t n = MIN(a.s.n, b.s.n);
        spend(r, n / 64);
        int c = n ? memcmp(a.s.p, b.s.p, n) : 0;
        return c ? (c > 0) - (c < 0) : (a.s.n > b.s.n) - (a.s.n < b.s.n);
    }
    if (a.kind == V_SEQ && b.kind == V_SEQ && a.seq->kind == b.seq->kind && a.seq->kind <= SEQ_TUPLE) {
        int c = 0;
        if (!enter(r))
            return 0;
        for (size_t i = 0; !r->rc && !c && i < a.seq->n && i < b.seq->n && spend(r, 1); i++)
            if (!equal(r, a.seq->p[i], b.seq->p[i]))
                c = compare(r, a.seq->p[i], b.seq->p[i], op);
        leave(r);
        return c ? c : (a.seq->n > b.seq->n) - (a.seq->n < b.seq->n);
    }
    if (a.kind == V_UNDEF || b.kind == V_UNDEF)
        fail(r, "%s", a.kind == V_UNDEF ? a.s.p : b.s.p);
    fail(r, "'%s' is not supported between a %s and a %s", op, type_name(a), type_name(b));
    return 0;
}

/* --- printing --- */

void build_mark(Build *b, const char *p, size_t n, uint32_t tag)
{
    build_add(b, (Text){ p, n, NULL, tag, false });
}

void build_addn(Build *b, const char *p, size_t n)
{
    build_mark(b, p, n, 0);
}

void build_addz(Build *b, const char *z)
{
    build_mark(b, z, strlen(z), 0);
}

void build_add(Build *b, Text t)
{
    Run *r = b->r;
    if (!t.n || r->rc)
        return;
    if (t.n > b->cap - b->n) {
        size_t cap = MAX(MAX(b->cap * 2, b->n + t.n), (size_t)48);
        char *p = take(r, cap, 1);
        if (!p)
            return;
        if (b->n)
            memcpy(p, b->p, b->n);
        b->p = p;
        if (b->mark) {
            uint32_t *mark = take(r, cap, sizeof *mark);
            if (!mark)
                return;
            memcpy(mark, b->mark, b->n * sizeof *mark);
            b->mark = mark;
        }
        b->cap = cap;
    }
    if (!spend(r, t.n / 32))
        return;
    if (!b->n)
        b->tag = t.tag;
    if (!b->mark && (t.mark || t.tag != b->tag)) {
        b->mark = take(r, b->cap, sizeof *b->mark);
        if (!b->mark)
            return;
        for (size_t i = 0; i < b->n; i++)
            b->mark[i] = b->tag;
    }
    memcpy(b->p + b->n, t.p, t.n);
    for (size_t i = 0; b->mark && i < t.n; i++)
        b->mark[b->n + i] = t.mark ? t.mark[i] : t.tag;
    b->n += t.n;
    if (b == r->main_out && b->n > r->output)
        fail(r, "the text grows beyond %zu MiB", r->output >> 20);
}

Text build_text(Build *b)
{
    return (Text){ b->p ? b->p : "", b->n, b->mark, b->mark ? 0 : b->tag, b->safe };
}

Text build_escaped(Build *b, Text t)
{
    return b->safe && !t.safe ? escape_html(b->r, t) : t;
}

/* Python's repr of a float: the shortest digits that read back, 1e16 and larger with an exponent. */
void add_real(Build *b, double f)
{
    char digits[40], text[64];
    if (!isfinite(f)) {
        build_addz(b, isnan(f) ? "nan" : f < 0 ? "-inf" : "inf");
        return;
    }
    int precision = 0;
    do {
        snprintf(digits, sizeof digits, "%.*e", precision, f);
    } while (strtod(digits, NULL) != f && ++precision < 17);
    int exponent = atoi(strchr(digits, 'e') + 1);
    if (exponent < -4 || exponent >= 16) {
        *strchr(digits, 'e') = '\0';
        snprintf(text, sizeof text, "%se%c%02d", digits, exponent < 0 ? '-' : '+', abs(exponent));
    } else {
        snprintf(text, sizeof text, "%.*f", MAX(precision - exponent, 1), f);
    }
    build_addz(b, text);
}

static void add_repr_text(Build *b, Text t)
{
    bool single = memchr(t.p, '\'', t.n), twice = memchr(t.p, '"', t.n);
    char quote = single && !twice ? '"' : '\'', buf[16];
    if (t.safe)
        build_addz(b, "Markup(");
    build_addn(b, &quote, 1);
    for (size_t i = 0; i < t.n && !b->r->rc;) {
        uint32_t cp;
        int n = utf8_decode(t.p + i, t.n - i, &cp);
        Text c = text_cut(t, i, i + (size_t)n);
        uint32_t tag = t.mark ? t.mark[i] : t.tag;
        i += (size_t)n;
        if (cp == (unsigned char)quote || cp == '\\')
            snprintf(buf, sizeof buf, "\\%c", (char)cp);
        else if (cp == '\n' || cp == '\r' || cp == '\t')
            snprintf(buf, sizeof buf, "\\%c", cp == '\n' ? 'n' : cp == '\r' ? 'r' : 't');
        else if (utf8_is_printable(cp))
            buf[0] = '\0';
        else
            snprintf(buf, sizeof buf, cp < 0x100 ? "\\x%02x" : cp < 0x10000 ? "\\u%04x" : "\\U%08x", cp);
        if (buf[0])
            build_mark(b, buf, strlen(buf), tag);
        else
            build_add(b, c);
        buf[0] = '\0';
    }
    build_addn(b, &quote, 1);
    if (t.safe)
        build_addz(b, ")");
}

static void add_items(Build *b, const char *open, const Value *p, size_t n, const char *close)
{
    build_addz(b, open);
    for (size_t i = 0; i < n && spend(b->r, 1); i++) {
        if (i)
            build_addz(b, ", ");
        add_repr(b, p[i]);
    }
    build_addz(b, close);
}

static void add_repr_seq(Build *b, const Seq *s)
{
    char text[100];
    switch (s->kind) {
    case SEQ_LIST:   add_items(b, "[", s->p, s->n, "]"); break;
    case SEQ_TUPLE:  add_items(b, "(", s->p, s->n, s->n == 1 ? ",)" : ")"); break;
    case SEQ_KEYS:   add_items(b, "dict_keys([", s->p, s->n, "])"); break;
    case SEQ_VALUES: add_items(b, "dict_values([", s->p, s->n, "])"); break;
    case SEQ_ITEMS:  add_items(b, "dict_items([", s->p, s->n, "])"); break;
    case SEQ_RANGE:
        snprintf(text, sizeof text, s->step == 1 ? "range(%lld, %lld)" : "range(%lld, %lld, %lld)", (long long)s->from, (long long)s->to, (long long)s->step);
        build_addz(b, text);
        break;
    case SEQ_ITER: fail(b->r, "the result of \"%s\" is an iterator and has no text; put |list or |join behind it", s->made_by); break;
    }
}

void add_repr(Build *b, Value v)
{
    char text[32];
    if (!enter(b->r)) {
        leave(b->r);
        return;
    }
    switch (v.kind) {
    case V_UNDEF: build_addz(b, "Undefined"); break;
    case V_NONE: case V_MISSING: build_addz(b, "None"); break;
    case V_BOOL: build_addz(b, v.b ? "True" : "False"); break;
    case V_INT:
        snprintf(text, sizeof text, "%lld", (long long)v.i);
        build_addz(b, text);
        break;
    case V_REAL: add_real(b, v.f); break;
    case V_STR:  add_repr_text(b, v.s); break;
    case V_SEQ:  add_repr_seq(b, v.seq); break;
    case V_DICT:
        build_addz(b, "{");
        for (size_t i = 0; i < v.dict->n && spend(b->r, 1); i++) {
            if (i)
                build_addz(b, ", ");
            add_repr(b, v.dict->keys[i]);
            build_addz(b, ": ");
            add_repr(b, v.dict->values[i]);
        }
        build_addz(b, "}");
        break;
    case V_SPACE: case V_MACRO: case V_CALL: case V_LOOP: fail(b->r, "a %s has no text", type_name(v)); break;
    }
    leave(b->r);
}

Text to_text(Run *r, Value v)
{
    if (v.kind == V_STR)
        return v.s;
    if (v.kind == V_UNDEF)
        return text_z("");
    Build b = { .r = r };
    add_repr(&b, v);
    return build_text(&b);
}

Text escape_html(Run *r, Text t)
{
    static const struct { char c; const char *to; } rows[] = { { '&', "&amp;" }, { '<', "&lt;" }, { '>', "&gt;" }, { '\'', "&#39;" }, { '"', "&#34;" } };
    Build b = { .r = r };
    for (size_t i = 0; i < t.n && !r->rc; i++) {
        const char *to = NULL;
        for (size_t k = 0; k < ARRAY_LEN(rows); k++)
            to = t.p[i] == rows[k].c ? rows[k].to : to;
        if (to)
            build_mark(&b, to, strlen(to), t.mark ? t.mark[i] : t.tag);
        else
            build_add(&b, text_cut(t, i, i + 1));
    }
    Text out = build_text(&b);
    out.safe = true;
    return out;
}

/* --- looping --- */

bool iterate(Run *r, Value v, Seq *into, const char *what)
{
    switch (v.kind) {
    case V_UNDEF: return true;
    case V_STR:
        for (size_t i = 0, n; i < v.s.n && !r->rc; i += n) {
            uint32_t cp;
            n = (size_t)utf8_decode(v.s.p + i, v.s.n - i, &cp);
            Text one = text_cut(v.s, i, i + n);
            one.safe = false;
            seq_push(r, into, v_str(one));
        }
        return !r->rc;
    case V_SEQ:
        for (; v.seq->used < v.seq->n && v.seq->kind == SEQ_ITER && !r->rc; v.seq->used++)
            seq_push(r, into, v.seq->p[v.seq->used]);
        for (size_t i = 0; i < v.seq->n && v.seq->kind != SEQ_ITER && !r->rc; i++)
            seq_push(r, into, v.seq->p[i]);
        return !r->rc;
    case V_DICT:
        for (size_t i = 0; i < v.dict->n && !r->rc; i++)
            seq_push(r, into, v.dict->keys[i]);
        return !r->rc;
    default:
        fail(r, "%s: a %s cannot be looped over", what, type_name(v));
        return false;
    }
}
