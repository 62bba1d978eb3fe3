/* jinja_test.c - the tests behind "is": one function per test, one row per name. */
#include "base/utf8.h"
#include "tokenizer/jinja_int.h"

#define TEST(name, expr) static Value name(Run *r, Value v, const Args *a) { (void)r; (void)a; (void)v; return v_bool(expr); }

static bool cased(Text t, bool upper)
{
    bool some = false;
    for (size_t i = 0; i < t.n;) {
        uint32_t cp;
        i += (size_t)utf8_decode(t.p + i, t.n - i, &cp);
        if (upper ? utf8_is_lower(cp) : utf8_is_upper(cp))
            return false;
        some = some || (upper ? utf8_is_upper(cp) : utf8_is_lower(cp));
    }
    return some;
}

static bool sizeable(Value v)
{
    return v.kind == V_STR || v.kind == V_DICT || v.kind == V_UNDEF || (v.kind == V_SEQ && v.seq->kind <= SEQ_RANGE);
}

static bool same(Run *r, Value a, Value b)
{
    if (a.kind != b.kind)
        return false;
    if (a.kind == V_SEQ)
        return a.seq == b.seq;
    if (a.kind == V_DICT)
        return a.dict == b.dict;
    return equal(r, a, b);
}

TEST(is_defined, v.kind != V_UNDEF)
TEST(is_undefined, v.kind == V_UNDEF)
TEST(is_none, v.kind == V_NONE)
TEST(is_boolean, v.kind == V_BOOL)
TEST(is_true, v.kind == V_BOOL && v.b)
TEST(is_false, v.kind == V_BOOL && !v.b)
TEST(is_integer, v.kind == V_INT)
TEST(is_float, v.kind == V_REAL)
TEST(is_number, v.kind == V_INT || v.kind == V_REAL || v.kind == V_BOOL)
TEST(is_string, v.kind == V_STR)
TEST(is_mapping, v.kind == V_DICT)
TEST(is_sequence, sizeable(v))
TEST(is_iterable, v.kind == V_STR || v.kind == V_DICT || v.kind == V_SEQ || v.kind == V_UNDEF || v.kind == V_LOOP)
TEST(is_callable, v.kind == V_CALL || v.kind == V_MACRO || v.kind == V_LOOP || v.kind == V_UNDEF)
TEST(is_escaped, v.kind == V_STR && v.s.safe)
TEST(is_lower, cased(to_text(r, v), false))
TEST(is_upper, cased(to_text(r, v), true))
TEST(is_sameas, same(r, v, a->p[0]))
TEST(is_in, contains(r, a->p[0], v))
TEST(is_eq, compares(r, OP_EQ, v, a->p[0]))
TEST(is_ne, compares(r, OP_NE, v, a->p[0]))
TEST(is_lt, compares(r, OP_LT, v, a->p[0]))
TEST(is_le, compares(r, OP_LE, v, a->p[0]))
TEST(is_gt, compares(r, OP_GT, v, a->p[0]))
TEST(is_ge, compares(r, OP_GE, v, a->p[0]))
TEST(is_odd, equal(r, binary(r, OP_MOD, v, v_int(2)), v_int(1)))
TEST(is_even, equal(r, binary(r, OP_MOD, v, v_int(2)), v_int(0)))
TEST(is_divisibleby, equal(r, binary(r, OP_MOD, v, a->p[0]), v_int(0)))
TEST(is_filter, filter_find(to_text(r, v)) != NULL)
TEST(is_test, test_find(to_text(r, v)) != NULL)

static const Method tests[] = {
    { "defined", "", 0, is_defined }, { "undefined", "", 0, is_undefined }, { "none", "", 0, is_none }, { "boolean", "", 0, is_boolean },
    { "true", "", 0, is_true }, { "false", "", 0, is_false }, { "integer", "", 0, is_integer }, { "float", "", 0, is_float },
    { "number", "", 0, is_number }, { "string", "", 0, is_string }, { "mapping", "", 0, is_mapping }, { "sequence", "", 0, is_sequence },
    { "iterable", "", 0, is_iterable }, { "callable", "", 0, is_callable }, { "escaped", "", 0, is_escaped }, { "lower", "", 0, is_lower },
    { "upper", "", 0, is_upper }, { "odd", "", 0, is_odd }, { "even", "", 0, is_even }, { "filter", "", 0, is_filter }, { "test", "", 0, is_test },
    { "sameas", "!other", 1, is_sameas }, { "in", "!seq", 1, is_in }, { "divisibleby", "!num", 1, is_divisibleby },
    { "eq", "!b", 1, is_eq }, { "equalto", "!b", 1, is_eq }, { "==", "!b", 1, is_eq }, { "ne", "!b", 1, is_ne }, { "!=", "!b", 1, is_ne },
    { "lt", "!b", 1, is_lt }, { "lessthan", "!b", 1, is_lt }, { "<", "!b", 1, is_lt }, { "le", "!b", 1, is_le }, { "<=", "!b", 1, is_le },
    { "gt", "!b", 1, is_gt }, { "greaterthan", "!b", 1, is_gt }, { ">", "!b", 1, is_gt }, { "ge", "!b", 1, is_ge }, { ">=", "!b", 1, is_ge },
};

const Method *test_find(Text name)
{
    for (size_t i = 0; i < ARRAY_LEN(tests); i++)
        if (text_eq(name, tests[i].name))
            return &tests[i];
    return NULL;
}
