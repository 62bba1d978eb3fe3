/* jinja_parse.c - a template's tokens to its tree, by recursive descent with Jinja's precedence (which is not Python's everywhere: ** is left
 * associative, a filter binds tighter than a sign, ~ stands between + and *).
 * Main struct: Parse. Errors are sticky; after the first one every function returns the harmless node `nil`. Nesting is bounded by JINJA_NEST_MAX
 * and trees by their height, so that no later walk can exhaust the stack. To add a statement: a row in `statements`. */
#include <stdarg.h>
#include <stdio.h>

#include "base/utf8.h"
#include "tokenizer/jinja_int.h"

typedef struct Parse {
    Jinja       *j;
    const Token *t;
    int          depth, loops;
    int          rc;
    Err         *e;
    bool         caller; /* the macro being read names caller */
} Parse;

static Node nil = { .kind = N_CONST, .value = { .kind = V_NONE } };

static Node *parse_expr(Parse *p);
static Node *parse_or(Parse *p);
static Node *parse_unary(Parse *p, bool filters);
static Node *parse_primary(Parse *p, bool targets);
static void parse_body(Parse *p, Nodes *to, const char *const *ends, size_t n);

static Node *refuse(Parse *p, int line, const char *fmt, ...) PRINTF_LIKE(3, 4);
static Node *refuse(Parse *p, int line, const char *fmt, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    utf8_vformat(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!p->rc)
        p->rc = err_set(p->e, ERR_INPUT, "%s, line %d of the template: %s", p->j->where, line, text);
    return &nil;
}

static const char *said(const Token *t)
{
    static const char *const names[] = { [T_EOF] = "the end of the template", [T_DATA] = "text", [T_VAR_BEGIN] = "{{", [T_VAR_END] = "}}",
                                         [T_BLOCK_BEGIN] = "{%", [T_BLOCK_END] = "%}", [T_STRING] = "a text", [T_INT] = "a number",
                                         [T_FLOAT] = "a number", [T_NAME] = "a name" };
    return t->kind == T_OP ? t->op : names[t->kind];
}

static void next(Parse *p)
{
    if (p->t->kind != T_EOF)
        p->t++;
}

static bool is_op(const Token *t, const char *op)
{
    return t->kind == T_OP && strcmp(t->op, op) == 0;
}

static bool is_name(const Token *t, const char *name)
{
    return t->kind == T_NAME && str_eqz(t->text, name);
}

static bool skip_op(Parse *p, const char *op)
{
    bool yes = !p->rc && is_op(p->t, op);
    if (yes)
        next(p);
    return yes;
}

static bool skip_name(Parse *p, const char *name)
{
    bool yes = !p->rc && is_name(p->t, name);
    if (yes)
        next(p);
    return yes;
}

static void need_op(Parse *p, const char *op)
{
    if (!p->rc && !skip_op(p, op))
        refuse(p, p->t->line, "expected %s, found %s%s%.*s", op, said(p->t), p->t->kind == T_NAME ? " " : "",
               p->t->kind == T_NAME ? (int)MIN(p->t->text.n, (size_t)60) : 0, p->t->kind == T_NAME ? p->t->text.p : "");
}

static void need(Parse *p, TokenKind kind)
{
    static const Token sample[T_OP + 1] = { [T_BLOCK_END] = { T_BLOCK_END }, [T_VAR_END] = { T_VAR_END } };
    if (!p->rc && p->t->kind != kind)
        refuse(p, p->t->line, "expected %s, found %s%s%.*s", said(&sample[kind]), said(p->t), p->t->kind == T_NAME ? " " : "",
               p->t->kind == T_NAME ? (int)MIN(p->t->text.n, (size_t)60) : 0, p->t->kind == T_NAME ? p->t->text.p : "");
    if (!p->rc)
        next(p);
}

static Text need_name(Parse *p)
{
    Text name = { "", 0, NULL, 0, false };
    if (p->rc)
        return name;
    if (p->t->kind != T_NAME) {
        refuse(p, p->t->line, "expected a name, found %s", said(p->t));
        return name;
    }
    name.p = p->t->text.p;
    name.n = p->t->text.n;
    next(p);
    return name;
}

static Node *node_new(Parse *p, NodeKind kind, int line)
{
    Node *n = arena_zalloc(&p->j->arena, 1, sizeof *n);
    n->kind = kind;
    n->line = line;
    return n;
}

static void push(Parse *p, Nodes *list, Node *n)
{
    if (list->n == list->cap) {
        size_t cap = MAX(list->cap * 2, (size_t)4);
        Node **more = arena_alloc(&p->j->arena, cap * sizeof *more);
        if (list->n)
            memcpy(more, list->p, list->n * sizeof *more);
        list->p = more;
        list->cap = cap;
    }
    list->p[list->n++] = n;
}

static bool deeper(Parse *p)
{
    if (++p->depth > JINJA_NEST_MAX)
        refuse(p, p->t->line, "more than %d levels of nesting are refused", JINJA_NEST_MAX);
    return !p->rc;
}

static Node *two(Parse *p, NodeKind kind, int line, Node *a, Node *b)
{
    Node *n = node_new(p, kind, line);
    n->a = a;
    n->b = b;
    return n;
}

static Node *konst(Parse *p, int line, Value v)
{
    Node *n = node_new(p, N_CONST, line);
    n->value = v;
    return n;
}

/* --- expressions --- */

static void parse_args(Parse *p, Nodes *to)
{
    bool named = false, star = false, starstar = false;
    int line = p->t->line;
    need_op(p, "(");
    while (!p->rc && !is_op(p->t, ")")) {
        bool bad = false;
        Node *n;
        if (skip_op(p, "*")) {
            bad = star || starstar;
            star = true;
            n = two(p, N_STAR, line, parse_expr(p), NULL);
        } else if (skip_op(p, "**")) {
            bad = starstar;
            starstar = true;
            n = two(p, N_STARSTAR, line, parse_expr(p), NULL);
        } else if (p->t->kind == T_NAME && is_op(p->t + 1, "=")) {
            bad = starstar;
            n = node_new(p, N_KEYWORD, line);
            n->name = need_name(p);
            next(p);
            n->a = parse_expr(p);
            for (size_t i = 0; i < to->n; i++)
                if (to->p[i]->kind == N_KEYWORD && to->p[i]->name.n == n->name.n && !memcmp(to->p[i]->name.p, n->name.p, n->name.n))
                    bad = true;
            named = true;
        } else {
            bad = star || starstar || named;
            n = parse_expr(p);
        }
        if (bad)
            refuse(p, line, "the arguments of a call are out of order or given twice");
        push(p, to, n);
        if (!is_op(p->t, ")"))
            need_op(p, ",");
    }
    need_op(p, ")");
}

static Node *parse_list(Parse *p, NodeKind kind, const char *close)
{
    Node *n = node_new(p, kind, p->t->line);
    next(p);
    while (!p->rc && !is_op(p->t, close)) {
        push(p, &n->list, parse_expr(p));
        if (kind == N_DICT) {
            need_op(p, ":");
            push(p, &n->list, parse_expr(p));
        }
        if (!is_op(p->t, close))
            need_op(p, ",");
    }
    need_op(p, close);
    return n;
}

static bool tuple_ends(const Parse *p, const char *word)
{
    return p->rc || p->t->kind == T_VAR_END || p->t->kind == T_BLOCK_END || is_op(p->t, ")") || (word && is_name(p->t, word));
}

/* a | a, b | (nothing, where `empty`); word: a name that ends it; targets: only what can be assigned to */
static Node *parse_tuple(Parse *p, bool cond, const char *word, bool empty, bool targets)
{
    Node *t = node_new(p, N_TUPLE, p->t->line);
    bool tuple = false;
    while (!tuple_ends(p, word)) {
        push(p, &t->list, targets ? parse_primary(p, true) : cond ? parse_expr(p) : parse_or(p));
        if (!skip_op(p, ","))
            break;
        tuple = true;
    }
    if (tuple || p->rc)
        return t;
    if (t->list.n)
        return t->list.p[0];
    return empty ? t : refuse(p, p->t->line, "expected an expression, found %s", said(p->t));
}

static Node *parse_primary(Parse *p, bool targets)
{
    static const struct { const char *name; Value v; } words[] = {
        { "true", { V_BOOL, { .b = true } } }, { "True", { V_BOOL, { .b = true } } }, { "false", { V_BOOL, { .b = false } } },
        { "False", { V_BOOL, { .b = false } } }, { "none", { V_NONE, { 0 } } }, { "None", { V_NONE, { 0 } } },
    };
    const Token *t = p->t;
    Node *n = &nil;
    if (p->rc || !deeper(p))
        return n;
    if (t->kind == T_NAME) {
        n = node_new(p, N_NAME, t->line);
        n->name = need_name(p);
        for (size_t i = 0; i < ARRAY_LEN(words); i++)
            if (text_eq(n->name, words[i].name))
                n = konst(p, t->line, words[i].v);
        if (n->kind == N_NAME && text_eq(n->name, "caller"))
            p->caller = true;
        if (targets && n->kind == N_NAME && is_op(p->t, ".")) {
            next(p);
            n->kind = N_NSREF;
            n->value = v_str(need_name(p));
        }
    } else if (t->kind == T_STRING) {
        Str s = t->text;
        next(p);
        while (p->t->kind == T_STRING) { /* texts side by side are one */
            char *joined = arena_alloc(&p->j->arena, s.n + p->t->text.n + 1);
            if (s.n + p->t->text.n > JINJA_SOURCE_MAX || p->j->arena.used > 64 * JINJA_SOURCE_MAX)
                return refuse(p, t->line, "too many texts side by side");
            memcpy(joined, s.p, s.n);
            memcpy(joined + s.n, p->t->text.p, p->t->text.n);
            s = (Str){ joined, s.n + p->t->text.n };
            next(p);
        }
        n = konst(p, t->line, v_str((Text){ s.p, s.n, NULL, 0, false }));
    } else if (t->kind == T_INT || t->kind == T_FLOAT) {
        n = konst(p, t->line, t->kind == T_INT ? v_int(t->i) : v_real(t->f));
        next(p);
    } else if (is_op(t, "(")) {
        next(p);
        n = parse_tuple(p, true, NULL, true, false);
        need_op(p, ")");
    } else if (is_op(t, "[")) {
        n = parse_list(p, N_LIST, "]");
    } else if (is_op(t, "{")) {
        n = parse_list(p, N_DICT, "}");
    } else {
        refuse(p, t->line, "expected an expression, found %s", said(t));
    }
    p->depth--;
    return n;
}

static Node *parse_index(Parse *p)
{
    int line = p->t->line;
    Node *part[3] = { NULL, NULL, NULL };
    if (!is_op(p->t, ":")) {
        part[0] = parse_expr(p);
        if (!is_op(p->t, ":"))
            return part[0];
    }
    for (size_t i = 1; i < 3 && skip_op(p, ":"); i++)
        if (!is_op(p->t, ":") && !is_op(p->t, "]") && !is_op(p->t, ","))
            part[i] = parse_expr(p);
    Node *n = two(p, N_SLICE, line, part[0], part[1]);
    n->c = part[2];
    return n;
}

static Node *parse_call(Parse *p, Node *callee)
{
    Node *n = two(p, N_CALL, p->t->line, callee, NULL);
    parse_args(p, &n->list);
    return n;
}

static Node *parse_postfix(Parse *p, Node *n)
{
    for (int height = 0; !p->rc; height++) {
        int line = p->t->line;
        if (height > JINJA_NEST_MAX)
            return refuse(p, line, "more than %d steps in one chain of .name, [item] and calls are refused", JINJA_NEST_MAX);
        if (skip_op(p, ".")) {
            if (p->t->kind == T_INT) {
                n = two(p, N_ITEM, line, n, konst(p, line, v_int(p->t->i)));
                next(p);
            } else {
                n = two(p, N_ATTR, line, n, NULL);
                n->name = need_name(p);
            }
        } else if (skip_op(p, "[")) {
            Node *key = parse_index(p);
            if (is_op(p->t, ",")) {
                Node *tuple = node_new(p, N_TUPLE, line);
                push(p, &tuple->list, key);
                while (skip_op(p, ","))
                    push(p, &tuple->list, parse_index(p));
                key = tuple;
            }
            need_op(p, "]");
            n = two(p, N_ITEM, line, n, key);
        } else if (is_op(p->t, "(")) {
            n = parse_call(p, n);
        } else {
            break;
        }
    }
    return n;
}

static Text dotted_name(Parse *p)
{
    Text name = need_name(p);
    while (skip_op(p, ".")) { /* the texts lie side by side unless there is white space, and no such name exists anyway */
        Text more = need_name(p);
        if (!p->rc)
            name.n = (size_t)(more.p + more.n - name.p);
    }
    return name;
}

static Node *parse_filter(Parse *p, Node *n, bool first)
{
    for (int height = 0; !p->rc && (first || is_op(p->t, "|")); height++) {
        if (height > JINJA_NEST_MAX)
            return refuse(p, p->t->line, "more than %d filters in one chain are refused", JINJA_NEST_MAX);
        if (!first)
            next(p);
        Node *f = two(p, N_FILTER, p->t->line, n, NULL);
        f->name = dotted_name(p);
        f->method = filter_find(f->name);
        if (is_op(p->t, "("))
            parse_args(p, &f->list);
        n = f;
        first = false;
    }
    return n;
}

static Node *parse_test(Parse *p, Node *n)
{
    int line = p->t->line;
    bool negated = skip_name(p, "not");
    Node *test = two(p, N_TEST, line, n, NULL);
    test->name = dotted_name(p);
    test->method = test_find(test->name);
    TokenKind k = p->t->kind;
    if (is_op(p->t, "(")) {
        parse_args(p, &test->list);
    } else if (k == T_STRING || k == T_INT || k == T_FLOAT || is_op(p->t, "[") || is_op(p->t, "{") ||
               (k == T_NAME && !is_name(p->t, "else") && !is_name(p->t, "or") && !is_name(p->t, "and"))) {
        if (is_name(p->t, "is"))
            return refuse(p, line, "two tests with \"is\" cannot be chained");
        push(p, &test->list, parse_postfix(p, parse_primary(p, false)));
    }
    return negated ? two(p, N_NOT, line, test, NULL) : test;
}

static Node *parse_unary(Parse *p, bool filters)
{
    int line = p->t->line;
    Node *n;
    if (p->rc || !deeper(p))
        return &nil;
    if (skip_op(p, "-"))
        n = two(p, N_NEG, line, parse_unary(p, false), NULL);
    else if (skip_op(p, "+"))
        n = two(p, N_POS, line, parse_unary(p, false), NULL);
    else
        n = parse_primary(p, false);
    n = parse_postfix(p, n);
    for (int height = 0; filters && !p->rc; height++) {
        if (height > JINJA_NEST_MAX)
            refuse(p, line, "more than %d filters and tests in one chain are refused", JINJA_NEST_MAX);
        if (is_op(p->t, "|"))
            n = parse_filter(p, n, false);
        else if (skip_name(p, "is"))
            n = parse_test(p, n);
        else if (is_op(p->t, "("))
            n = parse_call(p, n);
        else
            break;
    }
    p->depth--;
    return n;
}

typedef struct OpRow { const char *text; Op op; } OpRow;

/* A row of operands of one rank: left associative. Its length counts as height, for the tree leans to the left. */
static Node *parse_row(Parse *p, Node *(*operand)(Parse *), const OpRow *ops, size_t n)
{
    Node *left = operand(p);
    for (int height = 0; !p->rc; height++) {
        int line = p->t->line;
        const OpRow *op = NULL;
        for (size_t i = 0; i < n && !op; i++)
            if (is_op(p->t, ops[i].text))
                op = &ops[i];
        if (!op)
            break;
        if (height >= JINJA_NEST_MAX * 2)
            return refuse(p, line, "more than %d operands in one row are refused", JINJA_NEST_MAX * 2);
        next(p);
        left = two(p, N_BINARY, line, left, operand(p));
        left->op = op->op;
    }
    return left;
}

static Node *operand_unary(Parse *p)
{
    return parse_unary(p, true);
}

static Node *parse_pow(Parse *p)
{
    static const OpRow ops[] = { { "**", OP_POW } };
    return parse_row(p, operand_unary, ops, ARRAY_LEN(ops));
}

static Node *parse_product(Parse *p)
{
    static const OpRow ops[] = { { "*", OP_MUL }, { "/", OP_DIV }, { "//", OP_FLOORDIV }, { "%", OP_MOD } };
    return parse_row(p, parse_pow, ops, ARRAY_LEN(ops));
}

static Node *parse_concat(Parse *p)
{
    Node *first = parse_product(p);
    if (p->rc || !is_op(p->t, "~"))
        return first;
    Node *n = node_new(p, N_CONCAT, p->t->line);
    push(p, &n->list, first);
    while (skip_op(p, "~"))
        push(p, &n->list, parse_product(p));
    return n;
}

static Node *parse_sum(Parse *p)
{
    static const OpRow ops[] = { { "+", OP_ADD }, { "-", OP_SUB } };
    return parse_row(p, parse_concat, ops, ARRAY_LEN(ops));
}

/* a < b < c: list holds b, c; the operators stand in nodes of `more` */
static Node *parse_compare(Parse *p)
{
    static const OpRow ops[] = { { "==", OP_EQ }, { "!=", OP_NE }, { "<", OP_LT }, { "<=", OP_LE }, { ">", OP_GT }, { ">=", OP_GE } };
    Node *first = parse_sum(p), *n = NULL;
    while (!p->rc) {
        int line = p->t->line, op = -1;
        for (size_t i = 0; i < ARRAY_LEN(ops) && op < 0; i++)
            if (is_op(p->t, ops[i].text))
                op = (int)ops[i].op;
        if (op < 0 && is_name(p->t, "in"))
            op = OP_IN;
        if (op < 0 && is_name(p->t, "not") && is_name(p->t + 1, "in")) {
            op = OP_NOTIN;
            next(p);
        }
        if (op < 0)
            break;
        next(p);
        if (!n)
            n = two(p, N_COMPARE, line, first, NULL);
        Node *operand = two(p, N_POS, line, parse_sum(p), NULL);
        operand->op = (Op)op;
        push(p, &n->list, operand);
    }
    return n ? n : first;
}

static Node *parse_not(Parse *p)
{
    int line = p->t->line;
    if (p->rc || !is_name(p->t, "not"))
        return parse_compare(p);
    if (!deeper(p))
        return &nil;
    next(p);
    Node *n = two(p, N_NOT, line, parse_not(p), NULL);
    p->depth--;
    return n;
}

static Node *parse_words(Parse *p, Node *(*operand)(Parse *), const char *word, NodeKind kind)
{
    Node *left = operand(p);
    for (int height = 0; !p->rc && is_name(p->t, word); height++) {
        int line = p->t->line;
        if (height >= JINJA_NEST_MAX * 2)
            return refuse(p, line, "more than %d operands in one row are refused", JINJA_NEST_MAX * 2);
        next(p);
        left = two(p, kind, line, left, operand(p));
    }
    return left;
}

static Node *parse_and(Parse *p)
{
    return parse_words(p, parse_not, "and", N_AND);
}

static Node *parse_or(Parse *p)
{
    return parse_words(p, parse_and, "or", N_OR);
}

static Node *parse_expr(Parse *p)
{
    if (p->rc || !deeper(p))
        return &nil;
    Node *n = parse_or(p);
    for (int height = 0; !p->rc && is_name(p->t, "if"); height++) {
        if (height >= JINJA_NEST_MAX)
            refuse(p, p->t->line, "too many \"if\" in one expression");
        int line = p->t->line;
        next(p);
        Node *test = parse_or(p);
        n = two(p, N_COND, line, n, test);
        if (skip_name(p, "else"))
            n->c = parse_expr(p);
    }
    p->depth--;
    return n;
}

/* --- statements --- */

static Node *parse_target(Parse *p, const char *word, bool spaces)
{
    int line = p->t->line;
    Node *n = parse_tuple(p, false, word, false, true);
    bool ok = n->kind == N_NAME || n->kind == N_TUPLE || (spaces && n->kind == N_NSREF);
    for (size_t i = 0; n->kind == N_TUPLE && i < n->list.n; i++) {
        NodeKind k = n->list.p[i]->kind;
        ok = ok && (k == N_NAME || k == N_TUPLE || (spaces && k == N_NSREF));
        for (size_t m = 0; k == N_TUPLE && m < n->list.p[i]->list.n; m++)
            ok = ok && n->list.p[i]->list.p[m]->kind == N_NAME;
    }
    return ok || p->rc ? n : refuse(p, line, "expected a name to assign to");
}

static void body_until(Parse *p, Nodes *to, const char *end)
{
    parse_body(p, to, &end, 1);
    next(p);
}

static Node *parse_set(Parse *p, int line)
{
    Node *target = parse_target(p, NULL, true);
    if (skip_op(p, "=")) {
        Node *n = two(p, N_SET, line, target, NULL);
        n->b = parse_tuple(p, true, NULL, false, false);
        return n;
    }
    Node *n = two(p, N_SET_BLOCK, line, target, NULL);
    n->b = parse_filter(p, NULL, false);
    body_until(p, &n->list, "endset");
    return n;
}

static bool names_loop(const Node *target)
{
    if (target->kind == N_NAME)
        return text_eq(target->name, "loop");
    for (size_t i = 0; target->kind == N_TUPLE && i < target->list.n; i++)
        if (names_loop(target->list.p[i]))
            return true;
    return false;
}

static Node *parse_for(Parse *p, int line)
{
    static const char *const ends[] = { "else", "endfor" };
    Node *n = two(p, N_FOR, line, parse_target(p, "in", false), NULL);
    if (names_loop(n->a))
        return refuse(p, line, "\"loop\" cannot be the variable of a loop");
    if (!skip_name(p, "in"))
        return refuse(p, line, "expected \"in\" behind the variable of a loop");
    n->b = parse_tuple(p, false, "recursive", false, false);
    if (skip_name(p, "if"))
        n->c = parse_expr(p);
    n->flag = skip_name(p, "recursive");
    p->loops++;
    parse_body(p, &n->list, ends, 2);
    p->loops--;
    bool other = is_name(p->t, "else");
    next(p);
    if (other)
        body_until(p, &n->more, "endfor");
    return n;
}

static Node *parse_if(Parse *p, int line)
{
    static const char *const ends[] = { "elif", "else", "endif" };
    Node *n = two(p, N_IF, line, parse_tuple(p, false, NULL, false, false), NULL), *last = n;
    parse_body(p, &n->list, ends, 3);
    while (!p->rc && is_name(p->t, "elif")) { /* list of the first: its body; b: the next branch */
        Node *more = node_new(p, N_IF, p->t->line);
        next(p);
        more->a = parse_tuple(p, false, NULL, false, false);
        parse_body(p, &more->list, ends, 3);
        last->b = more;
        last = more;
    }
    bool other = is_name(p->t, "else");
    next(p);
    if (other)
        body_until(p, &last->more, "endif");
    return n;
}

static void parse_signature(Parse *p, Nodes *names, Nodes *defaults)
{
    need_op(p, "(");
    while (!p->rc && !is_op(p->t, ")")) {
        if (names->n)
            need_op(p, ",");
        Node *name = node_new(p, N_NAME, p->t->line);
        name->name = need_name(p);
        if (skip_op(p, "="))
            push(p, defaults, parse_expr(p));
        else if (defaults->n)
            refuse(p, name->line, "a parameter without a default stands behind one that has one");
        push(p, names, name);
    }
    need_op(p, ")");
}

/* a macro: b is a list node of its parameters (list) and defaults (more); list its body */
static void macro_body(Parse *p, Node *n, const char *end)
{
    bool outer = p->caller;
    int loops = p->loops;
    p->loops = 0;
    p->caller = false;
    body_until(p, &n->list, end);
    n->flag = p->caller;
    p->caller = outer;
    p->loops = loops;
}

static Node *parse_macro(Parse *p, int line)
{
    Node *n = two(p, N_MACRO, line, NULL, node_new(p, N_LIST, line));
    n->name = need_name(p);
    parse_signature(p, &n->b->list, &n->b->more);
    macro_body(p, n, "endmacro");
    return n;
}

static Node *parse_call_block(Parse *p, int line)
{
    Node *n = node_new(p, N_CALL_BLOCK, line), *m = two(p, N_MACRO, line, NULL, node_new(p, N_LIST, line));
    m->name = text_z("caller");
    if (is_op(p->t, "("))
        parse_signature(p, &m->b->list, &m->b->more);
    n->a = parse_expr(p);
    if (!p->rc && n->a->kind != N_CALL)
        return refuse(p, line, "{%% call %%} expects the call of a macro");
    n->b = m;
    macro_body(p, m, "endcall");
    return n;
}

static Node *parse_filter_block(Parse *p, int line)
{
    Node *n = two(p, N_FILTER_BLOCK, line, NULL, parse_filter(p, NULL, true));
    body_until(p, &n->list, "endfilter");
    return n;
}

static Node *parse_with(Parse *p, int line)
{
    Node *n = node_new(p, N_WITH, line);
    while (!p->rc && p->t->kind != T_BLOCK_END) {
        if (n->more.n)
            need_op(p, ",");
        Node *set = two(p, N_SET, line, parse_target(p, NULL, false), NULL);
        need_op(p, "=");
        set->b = parse_expr(p);
        push(p, &n->more, set);
    }
    body_until(p, &n->list, "endwith");
    return n;
}

static Node *parse_generation(Parse *p, int line)
{
    Node *n = node_new(p, N_GENERATION, line);
    int loops = p->loops;
    p->j->generation = true;
    p->loops = 0;
    body_until(p, &n->list, "endgeneration");
    p->loops = loops;
    return n;
}

static Node *parse_print(Parse *p, int line)
{
    Node *n = node_new(p, N_GENERATION, line);
    n->kind = N_IF; /* a body that is always done */
    n->a = konst(p, line, v_bool(true));
    while (!p->rc && p->t->kind != T_BLOCK_END) {
        if (n->list.n)
            need_op(p, ",");
        push(p, &n->list, two(p, N_PRINT, line, parse_expr(p), NULL));
    }
    return n;
}

static Node *parse_break(Parse *p, int line)
{
    bool is_break = is_name(p->t - 1, "break");
    return p->loops ? node_new(p, is_break ? N_BREAK : N_CONTINUE, line)
                    : refuse(p, line, "{%% %s %%} stands outside of a loop", is_break ? "break" : "continue");
}

static const struct { const char *name; Node *(*parse)(Parse *p, int line); } statements[] = {
    { "set", parse_set }, { "for", parse_for }, { "if", parse_if }, { "macro", parse_macro }, { "call", parse_call_block },
    { "filter", parse_filter_block }, { "with", parse_with }, { "generation", parse_generation }, { "print", parse_print },
    { "break", parse_break }, { "continue", parse_break },
};

static Node *parse_statement(Parse *p, const char *const *ends, size_t n)
{
    int line = p->t->line;
    Text tag = need_name(p);
    for (size_t i = 0; !p->rc && i < ARRAY_LEN(statements); i++)
        if (text_eq(tag, statements[i].name)) {
            Node *node = deeper(p) ? statements[i].parse(p, line) : &nil;
            p->depth--;
            return node;
        }
    if (n)
        return refuse(p, line, "{%% %.*s %%} is not a statement that hone knows; {%% %s %%} is still to come", (int)MIN(tag.n, (size_t)60), tag.p, ends[n - 1]);
    return refuse(p, line, "{%% %.*s %%} is not a statement that hone knows", (int)MIN(tag.n, (size_t)60), tag.p);
}

/* Statements and text until one of `ends`, which then is the current token; without ends the whole template. */
static void parse_body(Parse *p, Nodes *to, const char *const *ends, size_t n)
{
    if (n) {
        skip_op(p, ":");
        need(p, T_BLOCK_END);
    }
    while (!p->rc) {
        const Token *t = p->t;
        if (t->kind == T_EOF) {
            if (n)
                refuse(p, t->line, "the template ends, but {%% %s %%} is still to come", ends[n - 1]);
            return;
        }
        next(p);
        if (t->kind == T_DATA) {
            Node *d = node_new(p, N_DATA, t->line);
            d->value = v_str((Text){ t->text.p, t->text.n, NULL, 0, false });
            push(p, to, d);
        } else if (t->kind == T_VAR_BEGIN) {
            push(p, to, two(p, N_PRINT, t->line, parse_tuple(p, true, NULL, false, false), NULL));
            need(p, T_VAR_END);
        } else {
            for (size_t i = 0; i < n; i++)
                if (is_name(p->t, ends[i]))
                    return;
            push(p, to, parse_statement(p, ends, n));
            need(p, T_BLOCK_END);
        }
    }
}

int jinja_parse(Jinja *j, const Tokens *tokens, Err *e)
{
    Parse p = { .j = j, .t = tokens->p, .e = e };
    parse_body(&p, &j->body, NULL, 0);
    return p.rc;
}
