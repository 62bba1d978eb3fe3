/* jinja_filter.c - the filters: one function per filter, one row per name in `filters`. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "tokenizer/jinja_int.h"

#define FILTER(name) static Value name(__attribute__((unused)) Run *r, Value v, const Args *a)

static bool given(Value v)
{
    return v.kind != V_MISSING && v.kind != V_NONE;
}

static Text opt_text(Run *r, Value v, const char *absent)
{
    return v.kind == V_MISSING ? text_z(absent) : to_text(r, v);
}

static Seq *items_of(Run *r, Value v, const char *what)
{
    Seq *s = seq_new(r, SEQ_LIST);
    iterate(r, v, s, what);
    return s;
}

/* "a.b.0" step by step, each as value[part]; a part of digits is an index */
static Value get_path(Run *r, Value v, Value path, Value absent)
{
    if (!given(path))
        return v;
    if (path.kind != V_STR)
        return subscript(r, v, path);
    for (size_t from = 0; from <= path.s.n && !r->rc;) {
        const char *dot = memchr(path.s.p + from, '.', path.s.n - from);
        size_t to = dot ? (size_t)(dot - path.s.p) : path.s.n;
        Text part = text_cut(path.s, from, to);
        bool digits = part.n > 0 && part.n < 18;
        for (size_t i = 0; i < part.n; i++)
            digits = digits && part.p[i] >= '0' && part.p[i] <= '9';
        bool ok = false;
        v = subscript(r, v, digits ? py_int(r, part, 10, &ok) : v_str(part));
        if (v.kind == V_UNDEF && absent.kind != V_MISSING && absent.kind != V_NONE)
            v = absent;
        from = to + 1;
    }
    return v;
}

static Value fold(Run *r, Value v, bool case_sensitive)
{
    return v.kind == V_STR && !case_sensitive ? v_str(text_case(r, v.s, 'l')) : v;
}

/* --- sorting: a stable merge of (key, item) pairs --- */

typedef struct Pair { Value key, item; } Pair;

static void merge_sort(Run *r, Pair *p, Pair *spare, size_t n, bool reverse)
{
    if (n < 2 || r->rc)
        return;
    size_t half = n / 2, i = 0, k = half;
    merge_sort(r, p, spare, half, reverse);
    merge_sort(r, p + half, spare, n - half, reverse);
    for (size_t to = 0; to < n && spend(r, 1); to++) {
        bool right = i >= half || (k < n && (reverse ? compare(r, p[i].key, p[k].key, "<") < 0 : compare(r, p[k].key, p[i].key, "<") == -1));
        spare[to] = right ? p[k++] : p[i++];
    }
    if (!r->rc)
        memcpy(p, spare, n * sizeof *p);
}

/* The items sorted by the key that `attribute` names (several with commas where `several`). */
static Seq *sorted(Run *r, const Seq *items, Value attribute_v, bool several, bool case_sensitive, bool reverse)
{
    Seq *out = seq_new(r, SEQ_LIST);
    Pair *p = take(r, items->n + 1, sizeof *p), *spare = take(r, items->n + 1, sizeof *spare);
    for (size_t i = 0; i < items->n && !r->rc; i++) {
        Value key;
        if (several && attribute_v.kind == V_STR) {
            Seq *keys = seq_new(r, SEQ_LIST);
            for (size_t from = 0; from <= attribute_v.s.n && !r->rc;) {
                const char *comma = memchr(attribute_v.s.p + from, ',', attribute_v.s.n - from);
                size_t to = comma ? (size_t)(comma - attribute_v.s.p) : attribute_v.s.n;
                seq_push(r, keys, fold(r, get_path(r, items->p[i], v_str(text_cut(attribute_v.s, from, to)), V_NIL), case_sensitive));
                from = to + 1;
            }
            key = v_seq(keys);
        } else {
            key = fold(r, get_path(r, items->p[i], attribute_v, V_NIL), case_sensitive);
            if (several) { /* compared as a list of one, as jinja does */
                Seq *one = seq_new(r, SEQ_LIST);
                seq_push(r, one, key);
                key = v_seq(one);
            }
        }
        p[i] = (Pair){ key, items->p[i] };
    }
    if (!r->rc)
        merge_sort(r, p, spare, items->n, reverse);
    for (size_t i = 0; i < items->n && !r->rc; i++)
        seq_push(r, out, p[i].item);
    return out;
}

FILTER(f_sort)
{
    return v_seq(sorted(r, items_of(r, v, "sort"), a->p[2], true, truth(a->p[1]), truth(a->p[0])));
}

static Value pair_of(Run *r, Value key, Value value)
{
    Seq *s = seq_new(r, SEQ_TUPLE);
    seq_push(r, s, key);
    seq_push(r, s, value);
    return v_seq(s);
}

FILTER(f_dictsort)
{
    Text by = opt_text(r, a->p[1], "key");
    Seq *items = seq_new(r, SEQ_LIST);
    if (!text_eq(by, "key") && !text_eq(by, "value"))
        return fail(r, "dictsort sorts by \"key\" or by \"value\"");
    if (v.kind != V_DICT)
        return fail(r, "dictsort needs a mapping, found a %s", type_name(v));
    for (size_t i = 0; i < v.dict->n && !r->rc; i++)
        seq_push(r, items, pair_of(r, v.dict->keys[i], v.dict->values[i]));
    return v_seq(sorted(r, items, v_int(text_eq(by, "value")), false, truth(a->p[0]), truth(a->p[2])));
}

FILTER(f_groupby)
{
    Seq *items = sorted(r, items_of(r, v, "groupby"), a->p[0], false, truth(a->p[2]), false), *out = seq_new(r, SEQ_LIST), *group = NULL;
    Value last = V_NIL;
    if (given(a->p[1]))
        return fail(r, "the default of groupby is not available");
    for (size_t i = 0; i < items->n && !r->rc; i++) {
        Value key = get_path(r, items->p[i], a->p[0], V_NIL), folded = fold(r, key, truth(a->p[2]));
        if (!group || !equal(r, folded, last)) {
            group = seq_new(r, SEQ_LIST);
            seq_push(r, out, pair_of(r, key, v_seq(group)));
        }
        seq_push(r, group, items->p[i]);
        last = folded;
    }
    return v_seq(out);
}

static Value extreme(Run *r, Value v, const Args *a, int sign)
{
    Seq *items = items_of(r, v, sign < 0 ? "min" : "max");
    Value best = V_NIL, best_key = V_NIL;
    for (size_t i = 0; i < items->n && !r->rc; i++) {
        Value key = fold(r, get_path(r, items->p[i], a->p[1], V_NIL), truth(a->p[0]));
        int c = i ? compare(r, key, best_key, sign < 0 ? "<" : ">") : 0;
        if (!i || (c != 2 && c * sign > 0)) {
            best = items->p[i];
            best_key = key;
        }
    }
    return items->n ? best : v_undef(r, "No aggregated item, sequence was empty.");
}

FILTER(f_min) { return extreme(r, v, a, -1); }
FILTER(f_max) { return extreme(r, v, a, 1); }

FILTER(f_unique)
{
    Dict *seen = dict_new(r);
    Seq *items = items_of(r, v, "unique"), *out = seq_of_iter(r, "unique");
    for (size_t i = 0; i < items->n && !r->rc; i++) {
        Value key = fold(r, get_path(r, items->p[i], a->p[1], V_NIL), truth(a->p[0]));
        size_t before = seen->n;
        dict_put(r, seen, key, V_NIL);
        if (seen->n > before)
            seq_push(r, out, items->p[i]);
    }
    return v_seq(out);
}

/* --- rows --- */

static Value length(Run *r, Value v)
{
    switch (v.kind) {
    case V_STR:   return v_int((int64_t)text_count(r, v.s));
    case V_DICT:  return v_int((int64_t)v.dict->n);
    case V_UNDEF: return v_int(0);
    case V_LOOP:  return v_int((int64_t)v.loop->items->n);
    case V_SEQ:
        if (v.seq->kind != SEQ_ITER)
            return v_int((int64_t)v.seq->n);
        return fail(r, "the result of \"%s\" is an iterator and has no length; put |list before |length", v.seq->made_by);
    default: return fail(r, "a %s has no length", type_name(v));
    }
}

FILTER(f_length) { (void)a; return length(r, v); }
FILTER(f_list) { (void)a; return v_seq(items_of(r, v, "list")); }

FILTER(f_first)
{
    (void)a;
    if (v.kind == V_SEQ && v.seq->kind == SEQ_ITER)
        return v.seq->used < v.seq->n ? v.seq->p[v.seq->used++] : v_undef(r, "No first item, sequence was empty.");
    Seq *s = items_of(r, v, "first");
    return s->n ? s->p[0] : v_undef(r, "No first item, sequence was empty.");
}

static bool reversible(Run *r, Value v, const char *what)
{
    if (v.kind == V_SEQ && v.seq->kind == SEQ_ITER)
        fail(r, "%s needs a text, a list or a mapping, found a %s", what, type_name(v));
    return !r->rc;
}

FILTER(f_last)
{
    (void)a;
    if (!reversible(r, v, "last"))
        return V_NIL;
    if (v.kind == V_STR && v.s.n)
        return subscript(r, v, v_int(-1));
    Seq *s = items_of(r, v, "last");
    return s->n ? s->p[s->n - 1] : v_undef(r, "No last item, sequence was empty.");
}

FILTER(f_reverse)
{
    (void)a;
    Seq *s = items_of(r, v, "reverse"), *out = seq_of_iter(r, "reverse");
    if (v.kind == V_STR)
        return slice(r, v, V_NIL, V_NIL, v_int(-1));
    for (size_t i = s->n; i-- > 0 && !r->rc;)
        seq_push(r, out, s->p[i]);
    if (v.kind == V_SEQ && v.seq->kind == SEQ_ITER)
        out->kind = SEQ_LIST;
    return v_seq(out);
}

FILTER(f_join)
{
    Text sep = opt_text(r, a->p[0], "");
    Seq *s = items_of(r, v, "join");
    Build b = { .r = r };
    for (size_t i = 0; i < s->n && !r->rc; i++) {
        if (i)
            build_add(&b, sep);
        build_add(&b, to_text(r, get_path(r, s->p[i], a->p[1], V_NIL)));
    }
    return v_str(build_text(&b));
}

FILTER(f_sum)
{
    Value total = a->p[1].kind == V_MISSING ? v_int(0) : a->p[1];
    Seq *s = items_of(r, v, "sum");
    if (total.kind == V_STR)
        return fail(r, "sum cannot start with a text; use |join");
    for (size_t i = 0; i < s->n && !r->rc; i++)
        total = binary(r, OP_ADD, total, get_path(r, s->p[i], a->p[0], V_NIL));
    return total;
}

FILTER(f_items)
{
    (void)a;
    Seq *out = seq_of_iter(r, "items");
    if (v.kind == V_UNDEF)
        return v_seq(out);
    if (v.kind != V_DICT)
        return fail(r, "items needs a mapping, found a %s", type_name(v));
    for (size_t i = 0; i < v.dict->n && !r->rc; i++)
        seq_push(r, out, pair_of(r, v.dict->keys[i], v.dict->values[i]));
    return v_seq(out);
}

FILTER(f_batch)
{
    int64_t n;
    Seq *s = items_of(r, v, "batch"), *out = seq_of_iter(r, "batch"), *row = NULL;
    if (!want_int(r, a->p[0], 0, &n, "the size of a batch"))
        return V_NIL;
    if (n < 1)
        return fail(r, "the size of a batch should be at least 1");
    for (size_t i = 0; i < s->n && !r->rc; i++) {
        if (i % (size_t)n == 0) {
            row = seq_new(r, SEQ_LIST);
            seq_push(r, out, v_seq(row));
        }
        seq_push(r, row, s->p[i]);
    }
    while (row && given(a->p[1]) && (int64_t)row->n < n && !r->rc)
        seq_push(r, row, a->p[1]);
    return v_seq(out);
}

FILTER(f_slice)
{
    int64_t n;
    Seq *s = items_of(r, v, "slice"), *out = seq_of_iter(r, "slice");
    if (!want_int(r, a->p[0], 0, &n, "the number of slices"))
        return V_NIL;
    if (n < 1)
        return fail(r, "the number of slices should be at least 1");
    size_t per = s->n / (size_t)n, extra = s->n % (size_t)n, at = 0;
    for (size_t k = 0; k < (size_t)n && !r->rc; k++) {
        Seq *row = seq_new(r, SEQ_LIST);
        for (size_t i = 0; i < per + (k < extra); i++)
            seq_push(r, row, s->p[at++]);
        if (given(a->p[1]) && k >= extra)
            seq_push(r, row, a->p[1]);
        seq_push(r, out, v_seq(row));
    }
    return v_seq(out);
}

/* --- map, select, reject --- */

static bool named_arg(const Args *a, const char *name, Value *v)
{
    for (size_t i = 0; i < a->n_named; i++)
        if (text_eq(a->names[i], name)) {
            *v = a->named[i];
            return true;
        }
    return false;
}

FILTER(f_map)
{
    Seq *out = seq_of_iter(r, "map");
    Value path = { .kind = V_MISSING }, absent = { .kind = V_MISSING };
    const Method *filter = NULL;
    Args rest = { 0 };
    if (!truth(v))
        return v_seq(out);
    if (!a->n && named_arg(a, "attribute", &path)) {
        named_arg(a, "default", &absent);
        if (a->n_named > 1u + (absent.kind != V_MISSING))
            return fail(r, "map takes \"attribute\" and \"default\" by name, nothing else");
    } else {
        Text name;
        if (!a->n)
            return fail(r, "map needs the name of a filter, or attribute=");
        if (!want_text(r, a->p[0], &name, "the filter of map"))
            return V_NIL;
        filter = filter_find(name);
        if (!filter)
            return fail(r, "the filter \"%.*s\" is not one that hone knows", (int)MIN(name.n, (size_t)60), name.p);
        rest = *a;
        rest.p++;
        rest.n--;
    }
    Seq *items = items_of(r, v, "map");
    for (size_t i = 0; i < items->n && !r->rc; i++)
        seq_push(r, out, filter ? call_method(r, filter, items->p[i], &rest) : get_path(r, items->p[i], path, absent));
    return v_seq(out);
}

static Value choose(Run *r, Value v, const Args *a, const char *made_by, bool by_attribute, bool keep)
{
    Seq *out = seq_of_iter(r, made_by);
    const Method *test = NULL;
    size_t off = by_attribute;
    Args rest = *a;
    if (!truth(v))
        return v_seq(out);
    if (a->n < off)
        return fail(r, "%s needs the name of an attribute", made_by);
    if (a->n > off) {
        Text name;
        if (!want_text(r, a->p[off], &name, "the name of a test"))
            return V_NIL;
        test = test_find(name);
        if (!test)
            return fail(r, "the test \"%.*s\" is not one that hone knows", (int)MIN(name.n, (size_t)60), name.p);
        rest.p += off + 1;
        rest.n -= off + 1;
    }
    Seq *items = items_of(r, v, made_by);
    for (size_t i = 0; i < items->n && !r->rc; i++) {
        Value x = by_attribute ? get_path(r, items->p[i], a->p[0], V_NIL) : items->p[i];
        if (truth(test ? call_method(r, test, x, &rest) : x) == keep)
            seq_push(r, out, items->p[i]);
    }
    return v_seq(out);
}

FILTER(f_select) { return choose(r, v, a, "select", false, true); }
FILTER(f_reject) { return choose(r, v, a, "reject", false, false); }
FILTER(f_selectattr) { return choose(r, v, a, "selectattr", true, true); }
FILTER(f_rejectattr) { return choose(r, v, a, "rejectattr", true, false); }

/* --- texts --- */

FILTER(f_string) { (void)a; return v_str(to_text(r, v)); }
FILTER(f_upper) { (void)a; return v_str(text_case(r, to_text(r, v), 'u')); }
FILTER(f_lower) { (void)a; return v_str(text_case(r, to_text(r, v), 'l')); }
FILTER(f_capitalize) { (void)a; return v_str(text_case(r, to_text(r, v), 'c')); }
FILTER(f_trim) { return v_str(text_strip(r, to_text(r, v), a->p[0], 'b')); }
FILTER(f_escape) { (void)a; Text t = to_text(r, v); return v_str(t.safe ? t : escape_html(r, t)); }

FILTER(f_forceescape) { (void)a; return v_str(escape_html(r, to_text(r, v))); }

FILTER(f_safe)
{
    (void)a;
    Text t = to_text(r, v);
    t.safe = true;
    return v_str(t);
}

/* Words begin behind white space and - ( { [ < : the first character is raised, the rest lowered. */
FILTER(f_title)
{
    (void)a;
    Text t = to_text(r, v);
    Build b = { .r = r };
    for (size_t from = 0, i = 0; from < t.n && !r->rc; from = i) {
        uint32_t cp = 0;
        bool border = false, is_border;
        for (i = from; i < t.n;) {
            size_t n = (size_t)utf8_decode(t.p + i, t.n - i, &cp);
            is_border = py_space(cp) || (cp < 0x80 && strchr("-({[<", (int)cp) && cp);
            if (i > from && is_border != border)
                break;
            border = is_border;
            i += n;
        }
        if (from == 0 && border && i == t.n) {
            build_add(&b, t);
            continue;
        }
        build_add(&b, border ? text_cut(t, from, i) : text_case(r, text_cut(t, from, i), 'w'));
    }
    return v_str(build_text(&b));
}

FILTER(f_replace)
{
    int64_t count;
    if (!want_int(r, a->p[2].kind == V_NONE ? (Value){ .kind = V_MISSING } : a->p[2], -1, &count, "the count"))
        return V_NIL;
    Text t = to_text(r, v);
    t.safe = false; /* the filter, unlike the method, makes a plain text of it */
    return v_str(text_replace(r, t, to_text(r, a->p[0]), to_text(r, a->p[1]), count));
}

FILTER(f_indent)
{
    Text with = text_z("");
    int64_t width;
    Seq *lines = seq_new(r, SEQ_LIST);
    Build b = { .r = r, .safe = v.kind == V_STR && v.s.safe };
    if (v.kind != V_STR)
        return fail(r, "indent needs a text, found a %s", type_name(v));
    if (a->p[0].kind == V_STR) {
        with = a->p[0].s;
    } else {
        if (!want_int(r, a->p[0], 4, &width, "the width of indent"))
            return V_NIL;
        with = to_text(r, binary(r, OP_MUL, v_z(" "), v_int(width)));
    }
    text_lines(r, to_text(r, binary(r, OP_ADD, v, v_z("\n"))), false, lines);
    if (truth(a->p[1]))
        build_add(&b, with);
    for (size_t i = 0; i < lines->n && !r->rc; i++) {
        if (i)
            build_addz(&b, "\n");
        if (i && (lines->p[i].s.n || truth(a->p[2])))
            build_add(&b, with);
        build_add(&b, lines->p[i].s);
    }
    return v_str(build_text(&b));
}

FILTER(f_wordcount)
{
    (void)a;
    Text t = to_text(r, v);
    int64_t words = 0;
    bool inside = false;
    for (size_t i = 0; i < t.n && spend(r, 1);) {
        uint32_t cp;
        i += (size_t)utf8_decode(t.p + i, t.n - i, &cp);
        bool word = utf8_is_alpha(cp) || (cp >= '0' && cp <= '9') || cp == '_';
        words += word && !inside;
        inside = word;
    }
    return v_int(words);
}

FILTER(f_truncate)
{
    int64_t length_v, leeway;
    Text end = opt_text(r, a->p[2], "...");
    if (!want_int(r, a->p[0], 255, &length_v, "the length") || !want_int(r, given(a->p[3]) ? a->p[3] : (Value){ .kind = V_MISSING }, 5, &leeway, "the leeway"))
        return V_NIL;
    int64_t tail = (int64_t)text_count(r, end);
    if (length_v < tail || leeway < 0)
        return fail(r, "truncate needs a length of at least %lld and a leeway that is not negative", (long long)tail);
    Value n = length(r, v);
    if (r->rc || n.i <= length_v + MIN(leeway, INT64_MAX - length_v))
        return v;
    if (v.kind != V_STR)
        return fail(r, "truncate needs a text, found a %s", type_name(v));
    Text head = text_cut(v.s, 0, text_at(r, v.s, (size_t)(length_v - tail)));
    const char *space = truth(a->p[1]) || !head.n ? NULL : memrchr(head.p, ' ', head.n);
    if (space)
        head = text_cut(head, 0, (size_t)(space - head.p));
    return binary(r, OP_ADD, v_str(head), v_str(end));
}

FILTER(f_center)
{
    Value args[2] = { a->p[0].kind == V_MISSING ? v_int(80) : a->p[0], { .kind = V_MISSING } };
    Args with = { .p = args, .n = 1 };
    Value t = v_str(to_text(r, v));
    return call_method(r, method_find(t, text_z("center")), t, &with);
}

FILTER(f_format)
{
    Text t = to_text(r, v);
    if (a->n && a->n_named)
        return fail(r, "format takes values either by place or by name");
    Seq *s = seq_new(r, SEQ_TUPLE);
    Dict *d = dict_new(r);
    for (size_t i = 0; i < a->n; i++)
        seq_push(r, s, a->p[i]);
    for (size_t i = 0; i < a->n_named; i++)
        dict_put(r, d, v_str(a->names[i]), a->named[i]);
    return percent_format(r, t, a->n_named ? v_dict(d) : v_seq(s));
}

FILTER(f_tojson)
{
    Build b = { .r = r };
    add_json(r, &b, v, a);
    return v_str(build_text(&b));
}

/* --- numbers and defaults --- */

FILTER(f_default)
{
    return v.kind == V_UNDEF || (truth(a->p[1]) && !truth(v)) ? (a->p[0].kind == V_MISSING ? v_z("") : a->p[0]) : v;
}

static Value to_whole(Run *r, double f)
{
    if (isnan(f) || isinf(f))
        return V_NIL;
    if (f >= 9223372036854775808.0 || f < -9223372036854775808.0)
        return fail(r, "a whole number beyond 64 bits is refused");
    return v_int((int64_t)f);
}

FILTER(f_int)
{
    Value absent = a->p[0].kind == V_MISSING ? v_int(0) : a->p[0], n = V_NIL;
    int64_t base;
    bool ok = false;
    double f;
    if (!want_int(r, a->p[1], 10, &base, "the base of int"))
        return V_NIL;
    if (base < 2 || base > 36)
        return fail(r, "the base of int should be from 2 to 36");
    if (v.kind == V_BOOL || v.kind == V_INT)
        return v_int(v.kind == V_BOOL ? v.b : v.i);
    if (v.kind == V_UNDEF)
        return fail(r, "%s", v.s.p);
    if (v.kind == V_REAL) {
        if (isinf(v.f))
            return fail(r, "infinity is no whole number");
        n = to_whole(r, v.f);
        return n.kind == V_INT ? n : absent;
    }
    if (v.kind != V_STR)
        return absent;
    n = py_int(r, v.s, (int)base, &ok);
    if (ok)
        return n;
    if (!py_float(v.s, &f))
        return absent;
    n = to_whole(r, f);
    return n.kind == V_INT ? n : absent;
}

FILTER(f_float)
{
    Value absent = a->p[0].kind == V_MISSING ? v_real(0) : a->p[0];
    double f;
    if (v.kind == V_REAL)
        return v;
    if (v.kind == V_INT || v.kind == V_BOOL)
        return v_real(v.kind == V_BOOL ? v.b : (double)v.i);
    if (v.kind == V_UNDEF)
        return fail(r, "%s", v.s.p);
    return v.kind == V_STR && py_float(v.s, &f) ? v_real(f) : absent;
}

FILTER(f_abs)
{
    (void)a;
    if (v.kind == V_REAL)
        return v_real(fabs(v.f));
    if (v.kind == V_BOOL)
        return v_int(v.b);
    if (v.kind != V_INT)
        return fail(r, "abs needs a number, found a %s", type_name(v));
    return v.i < 0 ? negate(r, v, true) : v;
}

FILTER(f_round)
{
    int64_t digits;
    Text how = opt_text(r, a->p[1], "common");
    char text[400];
    if (!want_int(r, a->p[0], 0, &digits, "the precision of round"))
        return V_NIL;
    if (!text_eq(how, "common") && !text_eq(how, "ceil") && !text_eq(how, "floor"))
        return fail(r, "round knows \"common\", \"ceil\" and \"floor\"");
    if (v.kind != V_REAL && v.kind != V_INT && v.kind != V_BOOL)
        return fail(r, "round needs a number, found a %s", type_name(v));
    if (digits < -18 || digits > 18)
        return fail(r, "round to %lld digits is refused", (long long)digits);
    double f = v.kind == V_REAL ? v.f : v.kind == V_BOOL ? v.b : (double)v.i;
    if (!text_eq(how, "common")) {
        double scale = pow(10, (double)digits), x = f * scale;
        return v_real((text_eq(how, "ceil") ? ceil(x) : floor(x)) / scale);
    }
    if (v.kind != V_REAL) {
        int64_t n = v.kind == V_BOOL ? v.b : v.i, unit = 1;
        if (digits >= 0)
            return v_int(n);
        while (digits++ < 0)
            unit *= 10;
        int64_t rest = n % unit + (n % unit < 0 ? unit : 0), low = n - rest;
        bool up = rest * 2 > unit || (rest * 2 == unit && (low / unit) % 2 != 0);
        return v_int(low + (up ? unit : 0));
    }
    if (!isfinite(f))
        return v;
    if (digits >= 0) { /* printf rounds the exact value half to even, as Python does */
        snprintf(text, sizeof text, "%.*f", (int)digits, f);
        return v_real(strtod(text, NULL));
    }
    double scale = pow(10, (double)-digits);
    return v_real(nearbyint(f / scale) * scale);
}

FILTER(f_attr)
{
    Text name;
    Value found;
    if (!want_text(r, a->p[0], &name, "the name of attr"))
        return V_NIL;
    if (v.kind == V_DICT && dict_get(r, v.dict, a->p[0], &found) && !method_find(v, name))
        return v_undef(r, "a mapping has no attribute \"%.*s\"", (int)MIN(name.n, (size_t)60), name.p);
    return attribute(r, v, name);
}

static const Method filters[] = {
    { "abs", "", 0, f_abs }, { "attr", "name", 1, f_attr }, { "batch", "linecount,fill_with", 1, f_batch }, { "capitalize", "", 0, f_capitalize },
    { "center", "width", 0, f_center }, { "count", "", 0, f_length }, { "d", "default_value,boolean", 0, f_default },
    { "default", "default_value,boolean", 0, f_default }, { "dictsort", "case_sensitive,by,reverse", 0, f_dictsort }, { "e", "", 0, f_escape },
    { "escape", "", 0, f_escape }, { "first", "", 0, f_first }, { "float", "default", 0, f_float }, { "forceescape", "", 0, f_forceescape }, { "format", "*", 0, f_format },
    { "groupby", "attribute,default,case_sensitive", 1, f_groupby }, { "indent", "width,first,blank", 0, f_indent }, { "int", "default,base", 0, f_int },
    { "items", "", 0, f_items }, { "join", "d,attribute", 0, f_join }, { "last", "", 0, f_last }, { "length", "", 0, f_length },
    { "list", "", 0, f_list }, { "lower", "", 0, f_lower }, { "map", "*", 0, f_map }, { "max", "case_sensitive,attribute", 0, f_max },
    { "min", "case_sensitive,attribute", 0, f_min }, { "reject", "*", 0, f_reject }, { "rejectattr", "*", 0, f_rejectattr },
    { "replace", "old,new,count", 2, f_replace }, { "reverse", "", 0, f_reverse }, { "round", "precision,method", 0, f_round }, { "safe", "", 0, f_safe },
    { "select", "*", 0, f_select }, { "selectattr", "*", 0, f_selectattr }, { "slice", "slices,fill_with", 1, f_slice },
    { "sort", "reverse,case_sensitive,attribute", 0, f_sort }, { "string", "", 0, f_string }, { "sum", "attribute,start", 0, f_sum },
    { "title", "", 0, f_title }, { "tojson", "ensure_ascii,indent,separators,sort_keys", 0, f_tojson }, { "trim", "chars", 0, f_trim },
    { "truncate", "length,killwords,end,leeway", 0, f_truncate }, { "unique", "case_sensitive,attribute", 0, f_unique }, { "upper", "", 0, f_upper },
    { "wordcount", "", 0, f_wordcount },
};

const Method *filter_find(Text name)
{
    for (size_t i = 0; i < ARRAY_LEN(filters); i++)
        if (text_eq(name, filters[i].name))
            return &filters[i];
    return NULL;
}
