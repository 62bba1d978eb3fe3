/* jinja_eval.c - walks the tree of a template: statements, expressions, calls, scopes.
 * Scopes are frames in a chain: loops, macros, blocks of set, filter, call and generation open one, if does not; names that jinja_scope.c found
 * hidden are undefined there until they are set. A name is looked for in the frames, then in the trusted and the caller's values, then among the
 * global functions; what is not found is undefined, which prints as nothing, is false, and fails when a part of it is asked for. To add a statement: a case in exec; an expression: a case in eval. */
#include <stdlib.h>

#include "base/utf8.h"
#include "tokenizer/jinja_int.h"

typedef enum { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE } Flow;

static Value eval(Run *r, const Node *n, Frame *f);
static Flow exec_body(Run *r, const Nodes *body, Frame *f);

static bool same_name(Text a, Text b)
{
    return a.n == b.n && !memcmp(a.p, b.p, a.n);
}

static void assign_name(Run *r, Frame *f, Text name, Value v)
{
    for (size_t i = 0; i < f->n; i++)
        if (same_name(f->names[i], name)) {
            f->values[i] = v;
            return;
        }
    if (f->n == f->cap) {
        size_t cap = MAX(f->cap * 2, (size_t)4);
        Text *names = take(r, cap, sizeof *names);
        Value *values = take(r, cap, sizeof *values);
        if (!names || !values)
            return;
        if (f->n) {
            memcpy(names, f->names, f->n * sizeof *names);
            memcpy(values, f->values, f->n * sizeof *values);
        }
        f->names = names;
        f->values = values;
        f->cap = cap;
    }
    f->names[f->n] = name;
    f->values[f->n++] = v;
}

/* body: the one that will run in the frame, or NULL */
static Frame *frame_new(Run *r, Frame *parent, const Nodes *body)
{
    spend(r, 1);
    Frame *f = arena_zalloc(&r->arena, 1, sizeof *f);
    f->parent = parent;
    for (size_t i = 0; body && i < body->n_hidden && spend(r, 1); i++)
        assign_name(r, f, body->hidden[i], (Value){ .kind = V_MISSING });
    return f;
}

static Value undefined(Run *r, Text name)
{
    return v_undef(r, "'%.*s' is undefined", (int)utf8_complete(name.p, MIN(name.n, (size_t)80)), name.p);
}

static Value lookup(Run *r, Frame *f, Text name)
{
    Value key = v_str(name), v;
    for (; f; f = f->parent)
        for (size_t i = 0; i < f->n; i++)
            if (same_name(f->names[i], name))
                return f->values[i].kind == V_MISSING ? undefined(r, name) : f->values[i];
    if ((r->trusted && dict_get(r, r->trusted, key, &v)) || (r->data && dict_get(r, r->data, key, &v)))
        return v;
    const Method *m = global_find(name);
    if (m)
        return (Value){ .kind = V_CALL, .call = { m, NULL } };
    return undefined(r, name);
}

static void assign(Run *r, Frame *f, const Node *target, Value v)
{
    if (r->rc)
        return;
    if (target->kind == N_NAME) {
        assign_name(r, f, target->name, v);
    } else if (target->kind == N_NSREF) {
        Value space = lookup(r, f, target->name);
        if (space.kind != V_SPACE)
            fail(r, "\"%.*s\" is no namespace, so its parts cannot be set", (int)MIN(target->name.n, (size_t)60), target->name.p);
        else if (target->value.s.n && target->value.s.p[0] == '_')
            fail(r, "the part of a namespace cannot be called \"%.*s\": names with an underscore in front are refused", (int)MIN(target->value.s.n, (size_t)60), target->value.s.p);
        else
            dict_put(r, space.dict, target->value, v);
    } else {
        Seq *items = seq_new(r, SEQ_LIST);
        if (v.kind == V_UNDEF || !iterate(r, v, items, "unpacking")) {
            if (!r->rc)
                fail(r, "%s", v.s.p);
            return;
        }
        if (items->n != target->list.n) {
            fail(r, "%zu values cannot be unpacked into %zu names", items->n, target->list.n);
            return;
        }
        for (size_t i = 0; i < items->n; i++)
            assign(r, f, target->list.p[i], items->p[i]);
    }
}

/* --- calls --- */

static void arg_push(Run *r, Args *a, Value v)
{
    if (a->n >= 256) {
        fail(r, "more than 256 arguments of one call are refused");
        return;
    }
    a->p[a->n++] = v;
}

static void arg_name(Run *r, Args *a, Text name, Value v)
{
    for (size_t i = 0; i < a->n_named; i++)
        if (same_name(a->names[i], name)) {
            fail(r, "the argument \"%.*s\" is given twice", (int)MIN(name.n, (size_t)60), name.p);
            return;
        }
    if (a->n_named >= 256) {
        fail(r, "more than 256 arguments of one call are refused");
        return;
    }
    a->names[a->n_named] = name;
    a->named[a->n_named++] = v;
}

static void eval_args(Run *r, const Nodes *list, Frame *f, Args *a)
{
    size_t n = list->n + 1;
    for (size_t i = 0; i < list->n; i++)
        n = list->p[i]->kind >= N_STAR && list->p[i]->kind <= N_STARSTAR ? 257 : n;
    n = MAX(n, (size_t)2) + 1; /* one more for a caller */
    *a = (Args){ .p = take(r, n, sizeof *a->p), .names = take(r, n, sizeof *a->names), .named = take(r, n, sizeof *a->named) };
    for (size_t i = 0; i < list->n && !r->rc; i++) {
        const Node *arg = list->p[i];
        bool wraps = arg->kind == N_KEYWORD || arg->kind == N_STAR || arg->kind == N_STARSTAR;
        Value v = eval(r, wraps ? arg->a : arg, f);
        if (r->rc)
            return;
        if (arg->kind == N_KEYWORD) {
            arg_name(r, a, arg->name, v);
        } else if (arg->kind == N_STAR) {
            Seq *items = seq_new(r, SEQ_LIST);
            iterate(r, v, items, "*");
            for (size_t k = 0; k < items->n && !r->rc; k++)
                arg_push(r, a, items->p[k]);
        } else if (arg->kind == N_STARSTAR) {
            if (v.kind != V_DICT)
                fail(r, "** needs a mapping, found a %s", type_name(v));
            for (size_t k = 0; !r->rc && k < v.dict->n; k++)
                if (v.dict->keys[k].kind == V_STR)
                    arg_name(r, a, v.dict->keys[k].s, v.dict->values[k]);
                else
                    fail(r, "** needs texts as names");
        } else {
            arg_push(r, a, v);
        }
    }
}

static Text capture(Run *r, const Nodes *body, Frame *f)
{
    Build b = { .r = r }, *outer = r->out;
    r->out = &b;
    exec_body(r, body, f);
    r->out = outer;
    return build_text(&b);
}

static Value call_macro(Run *r, const Macro *m, const Args *a)
{
    const Node *n = m->node;
    const Nodes *params = &n->b->list, *defaults = &n->b->more;
    Text caller = text_z("caller");
    size_t used = 0;
    bool explicit_caller = false;
    Frame *f = frame_new(r, m->frame, &n->list);
    for (size_t i = 0; i < params->n && !r->rc; i++) {
        Text name = params->p[i]->name;
        Value v = { .kind = V_MISSING };
        explicit_caller = explicit_caller || same_name(name, caller);
        if (i < a->n)
            v = a->p[i];
        for (size_t k = 0; k < a->n_named; k++)
            if (same_name(a->names[k], name)) {
                if (i < a->n)
                    return fail(r, "the argument \"%.*s\" of a macro is given twice", (int)MIN(name.n, (size_t)60), name.p);
                v = a->named[k];
                used++;
            }
        size_t first = params->n - defaults->n;
        if (v.kind == V_MISSING && i >= first)
            v = eval(r, defaults->p[i - first], f);
        else if (v.kind == V_MISSING)
            v = v_undef(r, "parameter '%.*s' was not provided", (int)MIN(name.n, (size_t)60), name.p);
        assign_name(r, f, name, v);
    }
    Value given = v_undef(r, "No caller defined");
    bool has_caller = false;
    for (size_t k = 0; k < a->n_named && !explicit_caller && n->flag; k++)
        if (same_name(a->names[k], caller)) {
            given = a->named[k];
            has_caller = true;
        }
    if (n->flag && !explicit_caller)
        assign_name(r, f, caller, given);
    if (a->n_named > used + has_caller) {
        size_t k = 0;
        bool known = true;
        for (; k < a->n_named && known; k++) {
            known = has_caller && same_name(a->names[k], caller);
            for (size_t i = 0; i < params->n && !known; i++)
                known = same_name(params->p[i]->name, a->names[k]);
        }
        return fail(r, "the macro \"%.*s\" takes no argument \"%.*s\"", (int)MIN(n->name.n, (size_t)60), n->name.p, (int)MIN(a->names[k - 1].n, (size_t)60),
                    a->names[k - 1].p);
    }
    if (a->n > params->n)
        return fail(r, "the macro \"%.*s\" takes at most %zu arguments, %zu were given", (int)MIN(n->name.n, (size_t)60), n->name.p, params->n, a->n);
    return v_str(capture(r, &n->list, f));
}

static void loop_run(Run *r, const Node *n, Frame *outer, Value over, int64_t depth0);

static Value call_loop(Run *r, const Loop *l, const Args *a)
{
    if (!l->node)
        return fail(r, "loop(...) can be called only in a loop that is marked \"recursive\"");
    if (a->n != 1 || a->n_named)
        return fail(r, "loop(...) takes one argument");
    Build b = { .r = r }, *outer = r->out;
    r->out = &b;
    loop_run(r, l->node, l->frame, a->p[0], l->depth0 + 1);
    r->out = outer;
    return v_str(build_text(&b));
}

Value call_value(Run *r, Value callee, const Args *a)
{
    Value v = V_NIL;
    if (!enter(r)) {
        leave(r);
        return v;
    }
    switch (callee.kind) {
    case V_CALL:  v = call_method(r, callee.call.method, callee.call.self ? *callee.call.self : V_NIL, a); break;
    case V_MACRO: v = call_macro(r, callee.macro, a); break;
    case V_LOOP:  v = call_loop(r, callee.loop, a); break;
    case V_UNDEF: fail(r, "%s", callee.s.p); break;
    default:      fail(r, "a %s cannot be called", type_name(callee));
    }
    leave(r);
    return v;
}

/* --- expressions --- */

/* An unknown filter is an error only where it is used: templates ask for other programs' filters in branches that are not taken here. */
static Value eval_filter(Run *r, const Node *n, Value v, Frame *f)
{
    Args a;
    if (!n->method)
        return fail(r, "the %s \"%.*s\" is not one that hone knows", n->kind == N_TEST ? "test" : "filter", (int)MIN(n->name.n, (size_t)60), n->name.p);
    eval_args(r, &n->list, f, &a);
    r->line = n->line;
    return r->rc ? v : call_method(r, n->method, v, &a);
}

/* A chain of filters whose first one works on a text that is not in the tree (set and filter blocks). */
static Value eval_chain(Run *r, const Node *n, Value text, Frame *f)
{
    return !n ? text : eval_filter(r, n, eval_chain(r, n->a, text, f), f);
}

static Value eval_dict(Run *r, const Node *n, Frame *f)
{
    Dict *d = dict_new(r);
    for (size_t i = 0; i + 1 < n->list.n && !r->rc; i += 2) {
        Value key = eval(r, n->list.p[i], f);
        dict_put(r, d, key, eval(r, n->list.p[i + 1], f));
    }
    return v_dict(d);
}

static Value eval_compare(Run *r, const Node *n, Frame *f)
{
    Value left = eval(r, n->a, f);
    bool yes = true;
    for (size_t i = 0; i < n->list.n && yes && !r->rc; i++) {
        Value right = eval(r, n->list.p[i]->a, f);
        yes = compares(r, n->list.p[i]->op, left, right);
        left = right;
    }
    return v_bool(yes);
}

static Value eval_node(Run *r, const Node *n, Frame *f)
{
    Value v, w;
    Args a;
    switch (n->kind) {
    case N_CONST: return n->value;
    case N_NAME:  return lookup(r, f, n->name);
    case N_LIST: case N_TUPLE: {
        Seq *s = seq_new(r, n->kind == N_LIST ? SEQ_LIST : SEQ_TUPLE);
        for (size_t i = 0; i < n->list.n && !r->rc; i++)
            seq_push(r, s, eval(r, n->list.p[i], f));
        return v_seq(s);
    }
    case N_DICT: return eval_dict(r, n, f);
    case N_ATTR:
        v = eval(r, n->a, f);
        r->line = n->line;
        return attribute(r, v, n->name);
    case N_ITEM:
        v = eval(r, n->a, f);
        if (n->b->kind == N_SLICE) {
            Value part[3];
            const Node *const nodes[] = { n->b->a, n->b->b, n->b->c };
            for (size_t i = 0; i < 3; i++)
                part[i] = nodes[i] ? eval(r, nodes[i], f) : V_NIL;
            r->line = n->line;
            if (n->a->kind == N_CONST && v.kind != V_STR) /* jinja2 computes it beforehand, and there this is undefined */
                return v_undef(r, "a literal %s has no parts", type_name(v));
            return slice(r, v, part[0], part[1], part[2]);
        }
        w = eval(r, n->b, f);
        r->line = n->line;
        return subscript(r, v, w);
    case N_SLICE: return fail(r, "a slice can stand only alone between brackets");
    case N_CALL:
        v = eval(r, n->a, f);
        eval_args(r, &n->list, f, &a);
        r->line = n->line;
        return r->rc ? v : call_value(r, v, &a);
    case N_FILTER: return eval_filter(r, n, eval(r, n->a, f), f);
    case N_TEST: return eval_filter(r, n, eval(r, n->a, f), f);
    case N_NOT: return v_bool(!truth(eval(r, n->a, f)));
    case N_NEG: case N_POS: return negate(r, eval(r, n->a, f), n->kind == N_NEG);
    case N_BINARY:
        v = eval(r, n->a, f);
        w = eval(r, n->b, f);
        r->line = n->line;
        return binary(r, n->op, v, w);
    case N_CONCAT: {
        Build b = { .r = r };
        for (size_t i = 0; i < n->list.n && !r->rc; i++)
            build_add(&b, to_text(r, eval(r, n->list.p[i], f)));
        return v_str(build_text(&b));
    }
    case N_COMPARE: return eval_compare(r, n, f);
    case N_AND:
        v = eval(r, n->a, f);
        return truth(v) ? eval(r, n->b, f) : v;
    case N_OR:
        v = eval(r, n->a, f);
        return truth(v) ? v : eval(r, n->b, f);
    case N_COND:
        if (truth(eval(r, n->b, f)))
            return eval(r, n->a, f);
        return n->c ? eval(r, n->c, f) : v_undef(r, "the inline if-expression on line %d evaluated to false and has no else", n->line);
    default: BUG_ON(true);
    }
    return V_NIL;
}

static Value eval(Run *r, const Node *n, Frame *f)
{
    Value v = V_NIL;
    if (spend(r, 1) && enter(r)) {
        r->line = n->line;
        v = eval_node(r, n, f);
        leave(r);
    } else if (r->rc) {
        return v;
    }
    return v;
}

/* --- statements --- */

static void loop_run(Run *r, const Node *n, Frame *outer, Value over, int64_t depth0)
{
    Seq *all = seq_new(r, SEQ_LIST), *items = all;
    if (!enter(r) || !iterate(r, over, all, "for")) {
        leave(r);
        return;
    }
    if (n->c) {
        items = seq_new(r, SEQ_LIST);
        for (size_t i = 0; i < all->n && spend(r, 1); i++) {
            Frame *f = frame_new(r, outer, NULL);
            assign(r, f, n->a, all->p[i]);
            if (truth(eval(r, n->c, f)))
                seq_push(r, items, all->p[i]);
        }
    }
    bool finished = false;
    Loop *l = take(r, 1, sizeof *l);
    if (l)
        *l = (Loop){ .items = items, .depth0 = depth0, .changed = { .kind = V_MISSING }, .node = n->flag ? n : NULL, .frame = outer };
    for (size_t i = 0; i < items->n && spend(r, 1); i++) {
        Frame *f = frame_new(r, outer, &n->list);
        l->at = i;
        assign_name(r, f, text_z("loop"), (Value){ .kind = V_LOOP, .loop = l });
        assign(r, f, n->a, items->p[i]);
        Flow flow = exec_body(r, &n->list, f);
        if (flow == FLOW_BREAK)
            break;
        finished = finished || flow == FLOW_ON;
    }
    if (!finished) /* also when break or continue ended every turn early: so jinja2 decides it */
        exec_body(r, &n->more, frame_new(r, outer, &n->more));
    leave(r);
}

static Value macro_value(Run *r, const Node *n, Frame *f)
{
    Macro *m = take(r, 1, sizeof *m);
    if (m)
        *m = (Macro){ .node = n, .frame = f };
    return (Value){ .kind = m ? V_MACRO : V_NONE, .macro = m };
}

static void call_block(Run *r, const Node *n, Frame *f)
{
    const Node *call = n->a;
    Value callee = eval(r, call->a, f);
    Args a;
    eval_args(r, &call->list, f, &a);
    if (r->rc)
        return;
    arg_name(r, &a, text_z("caller"), macro_value(r, n->b, f));
    r->line = n->line;
    build_add(r->out, to_text(r, call_value(r, callee, &a)));
}

static void generation(Run *r, const Node *n, Frame *f)
{
    Text t = capture(r, &n->list, frame_new(r, f, &n->list));
    size_t begin = r->out->n;
    build_add(r->out, t);
    if (r->out == r->main_out && !r->rc)
        *vec_push(&r->result->generation) = (JinjaSpan){ begin, r->out->n };
}

static Flow exec(Run *r, const Node *n, Frame *f)
{
    r->line = n->line;
    switch (n->kind) {
    case N_DATA: build_add(r->out, n->value.s); break;
    case N_PRINT: {
        Value v = eval(r, n->a, f);
        r->line = n->line;
        build_add(r->out, to_text(r, v));
        break;
    }
    case N_SET: assign(r, f, n->a, eval(r, n->b, f)); break;
    case N_SET_BLOCK: {
        Frame *inner = frame_new(r, f, &n->list);
        Text t = capture(r, &n->list, inner);
        assign(r, f, n->a, eval_chain(r, n->b, v_str(t), inner));
        break;
    }
    case N_FOR: loop_run(r, n, f, eval(r, n->b, f), 0); break;
    case N_IF:
        for (; n && !r->rc; n = n->b) {
            if (truth(eval(r, n->a, f)))
                return exec_body(r, &n->list, f);
            if (n->more.n)
                return exec_body(r, &n->more, f);
        }
        break;
    case N_MACRO: assign_name(r, f, n->name, macro_value(r, n, f)); break;
    case N_CALL_BLOCK: call_block(r, n, f); break;
    case N_FILTER_BLOCK: {
        Frame *inner = frame_new(r, f, &n->list);
        Text t = capture(r, &n->list, inner);
        build_add(r->out, to_text(r, eval_chain(r, n->b, v_str(t), inner)));
        break;
    }
    case N_WITH: {
        Frame *inner = frame_new(r, f, &n->list);
        for (size_t i = 0; i < n->more.n && !r->rc; i++)
            assign(r, inner, n->more.p[i]->a, eval(r, n->more.p[i]->b, f));
        return exec_body(r, &n->list, inner);
    }
    case N_GENERATION: generation(r, n, f); break;
    case N_BREAK: return FLOW_BREAK;
    case N_CONTINUE: return FLOW_CONTINUE;
    default: BUG_ON(true);
    }
    return FLOW_ON;
}

static Flow exec_body(Run *r, const Nodes *body, Frame *f)
{
    Flow flow = FLOW_ON;
    if (enter(r))
        for (size_t i = 0; i < body->n && flow == FLOW_ON && spend(r, 1); i++)
            flow = exec(r, body->p[i], f);
    leave(r);
    return flow;
}

/* --- the interface --- */

int jinja_compile(Jinja **out, Str source, const char *where, Err *e)
{
    Tokens tokens = { 0 };
    size_t bad;
    *out = NULL;
    if (source.n > JINJA_SOURCE_MAX)
        return err_set(e, ERR_INPUT, "%s: the template has %zu bytes, more than the %zu that are read", where, source.n, JINJA_SOURCE_MAX);
    if (!utf8_valid(source, &bad))
        return err_set(e, ERR_INPUT, "%s: the template is not valid UTF-8 at byte %zu", where, bad);
    Jinja *j = mem_zalloc(1, sizeof *j);
    j->where = mem_strdup(where);
    int rc = jinja_lex(&tokens, &j->arena, source, j->where, e);
    if (!rc)
        rc = jinja_parse(j, &tokens, e);
    if (!rc)
        jinja_scopes(j);
    vec_release(&tokens);
    if (rc) {
        jinja_free(j);
        j = NULL;
    }
    *out = j;
    return rc;
}

void jinja_free(Jinja *j)
{
    if (!j)
        return;
    arena_release(&j->arena);
    free(j->where);
    free(j);
}

bool jinja_marks_answers(const Jinja *j)
{
    return j->generation;
}

void jinja_out_release(JinjaOut *o)
{
    strbuf_release(&o->text);
    vec_release(&o->marks);
    vec_release(&o->generation);
}

static Dict *import(Run *r, const Json *j, uint32_t tag)
{
    Dict *d = dict_new(r);
    JsonIter it = { 0 };
    Str key;
    Json *value;
    while (j && !r->rc && json_each(j, &it, &key, &value)) {
        Value v;
        if (tag && str_eqz(key, "messages") && json_kind(value) == JSON_ARRAY) {
            Seq *s = seq_new(r, SEQ_LIST);
            for (size_t i = 0; i < json_len(value) && !r->rc; i++)
                seq_push(r, s, from_json(r, json_at(value, i), (uint32_t)MIN(i + 1, (size_t)JINJA_DATA - 1)));
            v = v_seq(s);
        } else {
            v = from_json(r, value, tag);
        }
        dict_put(r, d, v_str((Text){ key.n ? key.p : "", key.n, NULL, tag, false }), v);
    }
    return d;
}

int jinja_render(const Jinja *j, const Json *data, const Json *trusted, const JinjaOptions *o, JinjaOut *out, Err *e)
{
    Run r = { .jinja = j, .e = e, .line = 1, .result = out, .now = o ? o->now : NULL };
    r.steps = o && o->steps ? o->steps : JINJA_STEPS;
    r.memory = o && o->memory ? o->memory : JINJA_MEMORY;
    r.output = o && o->output ? o->output : JINJA_OUTPUT;
    Build b = { .r = &r };
    strbuf_clear(&out->text);
    vec_clear(&out->marks);
    vec_clear(&out->generation);
    r.out = r.main_out = &b;
    r.data = import(&r, data, JINJA_DATA);
    r.trusted = import(&r, trusted, 0);
    r.top = frame_new(&r, NULL, &j->body);
    exec_body(&r, &j->body, r.top);
    if (!r.rc) {
        strbuf_add(&out->text, b.p ? b.p : "", b.n);
        for (size_t i = 0; i < b.n; i++)
            *vec_push(&out->marks) = b.mark ? b.mark[i] : b.tag;
    }
    arena_release(&r.arena);
    return r.rc;
}
