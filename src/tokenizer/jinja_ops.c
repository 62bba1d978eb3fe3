/* jinja_ops.c - the operators: arithmetic, comparison, membership, subscripts and slices, as Python computes them.
 * Whole numbers are 64 bits; what would need more is refused. */
#include <math.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "tokenizer/jinja_int.h"

static const char *const signs[] = { "+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", "<=", ">", ">=", "in", "not in" };

static bool as_int(Value v, int64_t *i)
{
    *i = v.kind == V_BOOL ? v.b : v.i;
    return v.kind == V_INT || v.kind == V_BOOL;
}

static bool as_real(Value v, double *f)
{
    int64_t i;
    bool whole = as_int(v, &i);
    *f = whole ? (double)i : v.f;
    return whole || v.kind == V_REAL;
}

static Value too_big(Run *r)
{
    return fail(r, "a whole number beyond 64 bits is refused");
}

static Value int_power(Run *r, int64_t a, int64_t n)
{
    int64_t v = 1;
    if (n < 0)
        return a ? v_real(pow((double)a, (double)n)) : fail(r, "0 cannot be raised to a negative power");
    if (a == 0 || a == 1)
        return v_int(n ? a : 1);
    if (a == -1)
        return v_int(n % 2 ? -1 : 1);
    for (; n > 0; n--)
        if (__builtin_mul_overflow(v, a, &v))
            return too_big(r);
    return v_int(v);
}

/* a / b rounded once, also where a or b is no double: the quotient to 64 bits and more, its rest kept as a last bit. */
static double quotient(int64_t a, int64_t b)
{
    unsigned __int128 n = a < 0 ? 0 - (uint64_t)a : (uint64_t)a, d = b < 0 ? 0 - (uint64_t)b : (uint64_t)b;
    int shift = 0;
    if (!a)
        return b < 0 ? -0.0 : 0.0;
    for (; !(n >> 127); shift++)
        n <<= 1;
    double q = ldexp((double)(n / d | (n % d != 0)), -shift);
    return (a < 0) != (b < 0) ? -q : q;
}

static Value ints(Run *r, Op op, int64_t a, int64_t b)
{
    int64_t v = 0;
    bool over = false;
    switch (op) {
    case OP_ADD: over = __builtin_add_overflow(a, b, &v); break;
    case OP_SUB: over = __builtin_sub_overflow(a, b, &v); break;
    case OP_MUL: over = __builtin_mul_overflow(a, b, &v); break;
    case OP_POW: return int_power(r, a, b);
    default:
        if (!b)
            return fail(r, "division by zero");
        if (op == OP_DIV) {
            return v_real(quotient(a, b));
        }
        if (b == -1) { /* the one quotient that does not fit, and a remainder that would trap */
            if (op == OP_MOD)
                return v_int(0);
            over = __builtin_sub_overflow((int64_t)0, a, &v);
            break;
        }
        v = op == OP_MOD ? a % b : a / b;
        if (a % b && (a < 0) != (b < 0))
            v += op == OP_MOD ? b : -1;
    }
    return over ? too_big(r) : v_int(v);
}

static Value reals(Run *r, Op op, double a, double b)
{
    double m, d;
    switch (op) {
    case OP_ADD: return v_real(a + b);
    case OP_SUB: return v_real(a - b);
    case OP_MUL: return v_real(a * b);
    case OP_POW:
        if (a == 0 && b < 0)
            return fail(r, "0.0 cannot be raised to a negative power");
        d = pow(a, b);
        if (a < 0 && b != floor(b) && isfinite(b))
            return fail(r, "a negative number cannot be raised to a power that is not whole");
        return isinf(d) && isfinite(a) && isfinite(b) ? fail(r, "the result of ** is too large") : v_real(d);
    default: break;
    }
    if (b == 0)
        return fail(r, "division by zero");
    if (op == OP_DIV)
        return v_real(a / b);
    m = fmod(a, b);
    d = (a - m) / b;
    if (m != 0) {
        if ((b < 0) != (m < 0)) {
            m += b;
            d -= 1;
        }
    } else {
        m = copysign(0.0, b);
    }
    if (op == OP_MOD)
        return v_real(m);
    if (d != 0) {
        double whole = floor(d);
        return v_real(d - whole > 0.5 ? whole + 1 : whole);
    }
    return v_real(copysign(0.0, a / b));
}

static Value repeat(Run *r, Value v, int64_t times)
{
    if (v.kind == V_STR) {
        Build b = { .r = r, .safe = v.s.safe };
        size_t bytes;
        if (times > 0 && (__builtin_mul_overflow(v.s.n, (size_t)times, &bytes) || bytes > r->memory))
            return fail(r, "a text repeated %lld times is too long", (long long)times);
        for (int64_t i = 0; i < times && v.s.n && spend(r, 1); i++)
            build_add(&b, v.s);
        return v_str(build_text(&b));
    }
    Seq *s = seq_new(r, v.seq->kind);
    for (int64_t i = 0; i < times && v.seq->n && !r->rc; i++)
        for (size_t k = 0; k < v.seq->n && !r->rc; k++)
            seq_push(r, s, v.seq->p[k]);
    return v_seq(s);
}

static bool is_row(Value v)
{
    return v.kind == V_SEQ && v.seq->kind <= SEQ_TUPLE;
}

Value binary(Run *r, Op op, Value a, Value b)
{
    int64_t i, k;
    double f, g;
    if (r->rc)
        return a;
    if (op == OP_MOD && a.kind == V_STR)
        return percent_format(r, a.s, b);
    if (a.kind == V_UNDEF || b.kind == V_UNDEF)
        return fail(r, "%s", a.kind == V_UNDEF ? a.s.p : b.s.p);
    if (as_int(a, &i) && as_int(b, &k))
        return ints(r, op, i, k);
    if (as_real(a, &f) && as_real(b, &g))
        return reals(r, op, f, g);
    if (op == OP_ADD && a.kind == V_STR && b.kind == V_STR) {
        Build t = { .r = r, .safe = a.s.safe || b.s.safe };
        build_add(&t, build_escaped(&t, a.s));
        build_add(&t, build_escaped(&t, b.s));
        return v_str(build_text(&t));
    }
    if (op == OP_ADD && is_row(a) && is_row(b) && a.seq->kind == b.seq->kind) {
        Seq *s = seq_new(r, a.seq->kind);
        iterate(r, a, s, "+");
        iterate(r, b, s, "+");
        return v_seq(s);
    }
    if (op == OP_MUL && (a.kind == V_STR || is_row(a)) && as_int(b, &k))
        return repeat(r, a, k);
    if (op == OP_MUL && (b.kind == V_STR || is_row(b)) && as_int(a, &i))
        return repeat(r, b, i);
    return fail(r, "%s cannot be used between a %s and a %s", signs[op], type_name(a), type_name(b));
}

bool contains(Run *r, Value seq, Value item)
{
    if (seq.kind == V_STR) {
        if (item.kind != V_STR) {
            fail(r, "\"in\" a text needs a text on its left, found a %s", type_name(item));
            return false;
        }
        spend(r, seq.s.n / 8);
        return !item.s.n || memmem(seq.s.p, seq.s.n, item.s.p, item.s.n);
    }
    if (seq.kind == V_DICT) {
        Value v;
        return dict_get(r, seq.dict, item, &v);
    }
    if (seq.kind == V_SEQ && seq.seq->kind == SEQ_ITER) {
        while (seq.seq->used < seq.seq->n && spend(r, 1))
            if (equal(r, seq.seq->p[seq.seq->used++], item))
                return true;
        return false;
    }
    if (seq.kind == V_SEQ) {
        for (size_t i = 0; i < seq.seq->n && spend(r, 1); i++)
            if (equal(r, seq.seq->p[i], item))
                return true;
        return false;
    }
    if (seq.kind != V_UNDEF)
        fail(r, "\"in\" needs a text, a list or a mapping on its right, found a %s", type_name(seq));
    return false;
}

bool compares(Run *r, Op op, Value a, Value b)
{
    if (r->rc)
        return false;
    if (op == OP_EQ || op == OP_NE)
        return equal(r, a, b) == (op == OP_EQ);
    if (op == OP_IN || op == OP_NOTIN)
        return contains(r, b, a) == (op == OP_IN);
    int c = compare(r, a, b, signs[op]);
    if (c == 2)
        return false;
    return op == OP_LT ? c < 0 : op == OP_LE ? c <= 0 : op == OP_GT ? c > 0 : c >= 0;
}

Value negate(Run *r, Value v, bool minus)
{
    int64_t i;
    if (as_int(v, &i)) {
        if (minus && __builtin_sub_overflow((int64_t)0, i, &i))
            return too_big(r);
        return v_int(i);
    }
    if (v.kind == V_REAL)
        return v_real(minus ? -v.f : v.f);
    if (v.kind == V_UNDEF)
        return fail(r, "%s", v.s.p);
    return fail(r, "a sign cannot stand before a %s", type_name(v));
}

/* --- parts --- */

static Value item_at(Run *r, Value v, int64_t at)
{
    if (v.kind == V_SEQ) {
        int64_t n = (int64_t)v.seq->n;
        at += at < 0 ? n : 0;
        return at < 0 || at >= n ? v_undef(r, "%s object has no element %lld", type_name(v), (long long)at) : v.seq->p[at];
    }
    if (at < 0)
        at += (int64_t)text_count(r, v.s);
    size_t from = at < 0 ? v.s.n : text_at(r, v.s, (size_t)at);
    if (from >= v.s.n)
        return v_undef(r, "str object has no element %lld", (long long)at);
    uint32_t cp;
    int n = utf8_decode(v.s.p + from, v.s.n - from, &cp);
    return v_str(text_cut(v.s, from, from + (size_t)n));
}

static Value no_part(Run *r, Value v, Value key, bool dotted)
{
    if (key.kind == V_STR)
        return v_undef(r, "'%s object' has no attribute '%.*s'", type_name(v), (int)utf8_complete(key.s.p, MIN(key.s.n, (size_t)80)), key.s.p);
    (void)dotted;
    return v_undef(r, "%s object has no such element", type_name(v));
}

static Value loop_part(Run *r, const Loop *l, Text name, bool *found)
{
    static const char *const names[] = { "index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "depth0", "previtem", "nextitem" };
    int64_t at = (int64_t)l->at, n = (int64_t)l->items->n;
    size_t k = 0;
    while (k < ARRAY_LEN(names) && !text_eq(name, names[k]))
        k++;
    *found = k < ARRAY_LEN(names);
    switch (k) {
    case 0: return v_int(at + 1);
    case 1: return v_int(at);
    case 2: return v_int(n - at);
    case 3: return v_int(n - at - 1);
    case 4: return v_bool(at == 0);
    case 5: return v_bool(at + 1 == n);
    case 6: return v_int(n);
    case 7: return v_int(l->depth0 + 1);
    case 8: return v_int(l->depth0);
    case 9: return at ? l->items->p[at - 1] : v_undef(r, "there is no previous item");
    case 10: return at + 1 < n ? l->items->p[at + 1] : v_undef(r, "there is no next item");
    default: return V_NIL;
    }
}

/* What Python's getattr would find. */
static bool get_attr(Run *r, Value v, Text name, Value *to)
{
    bool found = false;
    if (v.kind == V_SPACE) {
        Value key = v_str(name);
        return dict_get(r, v.dict, key, to);
    }
    if (v.kind == V_LOOP) {
        *to = loop_part(r, v.loop, name, &found);
        if (found)
            return true;
    }
    if (v.kind == V_MACRO && text_eq(name, "name")) {
        *to = v_str(v.macro->node->name);
        return true;
    }
    if (mutates(v, name)) {
        *to = v_undef(r, "access to attribute '%.*s' of '%s' object is unsafe: templates cannot change values", (int)MIN(name.n, (size_t)40), name.p, type_name(v));
        return true;
    }
    const Method *m = method_find(v, name);
    if (!m)
        return false;
    Value *self = take(r, 1, sizeof *self);
    if (!self)
        return false;
    *self = v;
    *to = (Value){ .kind = V_CALL, .call = { m, self } };
    return true;
}

Value subscript(Run *r, Value v, Value key)
{
    Value found;
    int64_t at;
    if (r->rc)
        return v;
    if (v.kind == V_UNDEF)
        return fail(r, "%s", v.s.p);
    if (v.kind == V_DICT && (key.kind != V_DICT && key.kind != V_SEQ) && dict_get(r, v.dict, key, &found))
        return found;
    if (v.kind == V_DICT && key.kind == V_SEQ && key.seq->kind == SEQ_TUPLE && dict_get(r, v.dict, key, &found))
        return found;
    if ((v.kind == V_STR || (v.kind == V_SEQ && v.seq->kind <= SEQ_RANGE)) && as_int(key, &at))
        return item_at(r, v, at);
    if (key.kind == V_STR && get_attr(r, v, key.s, &found))
        return found;
    return no_part(r, v, key, false);
}

Value attribute(Run *r, Value v, Text name)
{
    Value found;
    if (r->rc)
        return v;
    if (v.kind == V_UNDEF)
        return fail(r, "%s", v.s.p);
    if (get_attr(r, v, name, &found))
        return found;
    if (v.kind == V_DICT && dict_get(r, v.dict, v_str(name), &found))
        return found;
    return no_part(r, v, v_str(name), true);
}

static bool bound(Run *r, Value v, int64_t *to, bool *given)
{
    *given = v.kind != V_NONE && v.kind != V_MISSING;
    if (*given && !as_int(v, to)) {
        fail(r, "the border of a slice should be a whole number, it is a %s", type_name(v));
        return false;
    }
    return true;
}

Value slice(Run *r, Value v, Value from_v, Value to_v, Value step_v)
{
    int64_t from, to, step = 1, n;
    bool has_from, has_to, has_step;
    if (r->rc)
        return v;
    if (v.kind == V_UNDEF)
        return fail(r, "%s", v.s.p);
    if (v.kind != V_STR && !(v.kind == V_SEQ && v.seq->kind <= SEQ_RANGE))
        return fail(r, "a %s cannot be sliced", type_name(v));
    if (!bound(r, from_v, &from, &has_from) || !bound(r, to_v, &to, &has_to) || !bound(r, step_v, &step, &has_step))
        return V_NIL;
    if (!has_step)
        step = 1;
    if (!step)
        return fail(r, "the step of a slice cannot be 0");
    step = MAX(step, -INT64_MAX);
    n = v.kind == V_STR ? (int64_t)text_count(r, v.s) : (int64_t)v.seq->n;
    int64_t low = step < 0 ? -1 : 0, high = step < 0 ? n - 1 : n;
    from = !has_from ? (step < 0 ? high : low) : from < 0 ? MAX(from + n, low) : MIN(from, high);
    to = !has_to ? (step < 0 ? low : high) : to < 0 ? MAX(to + n, low) : MIN(to, high);
    if (v.kind == V_STR && step == 1) {
        if (from >= to)
            return v_str(text_cut(v.s, 0, 0));
        size_t begin = text_at(r, v.s, (size_t)from);
        Text rest = text_cut(v.s, begin, v.s.n);
        return v_str(text_cut(rest, 0, text_at(r, rest, (size_t)(to - from))));
    }
    Seq *items = v.kind == V_STR ? seq_new(r, SEQ_LIST) : v.seq;
    if (v.kind == V_STR && !iterate(r, v, items, "slice"))
        return V_NIL;
    Seq *part = seq_new(r, v.kind == V_SEQ ? v.seq->kind : SEQ_LIST);
    Build b = { .r = r, .safe = v.kind == V_STR && v.s.safe };
    int64_t first = from;
    while ((step > 0 ? from < to : from > to) && !r->rc) {
        if (v.kind == V_STR)
            build_add(&b, items->p[from].s);
        else
            seq_push(r, part, items->p[from]);
        if (__builtin_add_overflow(from, step, &from))
            break;
    }
    if (v.kind == V_SEQ && v.seq->kind == SEQ_RANGE) {
        int64_t s = v.seq->step;
        part->from = v.seq->from + first * s;
        part->step = s * step;
        part->to = v.seq->from + to * s;
    }
    return v.kind == V_STR ? v_str(build_text(&b)) : v_seq(part);
}
