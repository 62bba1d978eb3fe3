/* jinja_scope.c - which names a body hides. jinja2 decides it before anything is rendered: a name whose first mention in a body is that it is set,
 * outside of any {% if %}, belongs to that body and is undefined until then, also for macros and blocks inside of it, unless a body around mentions
 * it too. Every other name is looked for outside. So {% set x %}{{ s }}{% endset %}{% set s = 1 %} prints no caller's s, though it is set later.
 * Main struct: Scope, the names that one body mentions; a body's inner bodies are looked at when it is known whole. The walk is as deep as the tree,
 * whose height the parser bounds. To add a statement: a case in mention, and in inside when it has a body of its own. */
#include "base/map.h"
#include "tokenizer/jinja_int.h"

typedef struct Scope {
    const struct Scope *around;
    Map                *seen; /* every name mentioned */
    VEC(Text)           set;  /* those whose first mention sets them */
} Scope;

static void mention(Scope *s, const Nodes *body, bool maybe);
static void inside(Jinja *j, const Scope *s, const Nodes *body);

static void first(Scope *s, Text name, bool sets)
{
    if (map_put(s->seen, (Str){ name.p, name.n }, 0) && sets)
        *vec_push(&s->set) = name;
}

static void reads(Scope *s, const Node *n)
{
    if (!n)
        return;
    if (n->kind == N_NAME || n->kind == N_NSREF)
        first(s, n->name, false);
    reads(s, n->a);
    reads(s, n->b);
    reads(s, n->c);
    for (size_t i = 0; i < n->list.n; i++)
        reads(s, n->list.p[i]);
}

static void writes(Scope *s, const Node *target, bool sets)
{
    if (target->kind != N_TUPLE)
        first(s, target->name, sets && target->kind == N_NAME);
    for (size_t i = 0; target->kind == N_TUPLE && i < target->list.n; i++)
        writes(s, target->list.p[i], sets);
}

static void mention_one(Scope *s, const Node *n, bool maybe)
{
    switch (n->kind) {
    case N_PRINT: case N_CALL_BLOCK: reads(s, n->a); break;
    case N_SET:
        reads(s, n->b);
        writes(s, n->a, !maybe);
        break;
    case N_SET_BLOCK: writes(s, n->a, !maybe); break;
    case N_FOR: case N_FILTER_BLOCK: reads(s, n->b); break;
    case N_MACRO: first(s, n->name, !maybe); break;
    case N_WITH:
        for (size_t i = 0; i < n->more.n; i++)
            reads(s, n->more.p[i]->b);
        break;
    case N_IF:
        for (; n; n = n->b) {
            reads(s, n->a);
            mention(s, &n->list, true);
            mention(s, &n->more, true);
        }
        break;
    default: break;
    }
}

static void mention(Scope *s, const Nodes *body, bool maybe)
{
    for (size_t i = 0; i < body->n; i++)
        mention_one(s, body->p[i], maybe);
}

/* given: what the body finds set when it begins, names and tuples of names or, as in with, N_SET; defaults: read before it begins */
static void body_scope(Jinja *j, const Scope *around, Nodes *body, const Nodes *given, const Nodes *defaults)
{
    Scope s = { .around = around, .seen = map_new() };
    for (size_t i = 0; given && i < given->n; i++)
        writes(&s, given->p[i]->kind == N_SET ? given->p[i]->a : given->p[i], false);
    for (size_t i = 0; defaults && i < defaults->n; i++)
        reads(&s, defaults->p[i]);
    mention(&s, body, false);
    body->hidden = arena_alloc(&j->arena, s.set.n * sizeof *body->hidden);
    for (size_t i = 0; i < s.set.n; i++) {
        int64_t known;
        bool hides = true;
        for (const Scope *o = around; hides && o; o = o->around)
            hides = !map_get(o->seen, (Str){ s.set.p[i].p, s.set.p[i].n }, &known);
        if (hides)
            body->hidden[body->n_hidden++] = s.set.p[i];
    }
    inside(j, &s, body);
    vec_release(&s.set);
    map_free(s.seen);
}

static void inside(Jinja *j, const Scope *s, const Nodes *body)
{
    for (size_t i = 0; i < body->n; i++) {
        Node *n = body->p[i];
        switch (n->kind) {
        case N_SET_BLOCK: case N_FILTER_BLOCK: case N_GENERATION: body_scope(j, s, &n->list, NULL, NULL); break;
        case N_FOR:
            body_scope(j, s, &n->list, &(Nodes){ .p = &n->a, .n = 1 }, NULL);
            body_scope(j, s, &n->more, NULL, NULL);
            break;
        case N_CALL_BLOCK: body_scope(j, s, &n->b->list, &n->b->b->list, &n->b->b->more); break;
        case N_MACRO: body_scope(j, s, &n->list, &n->b->list, &n->b->more); break;
        case N_WITH: body_scope(j, s, &n->list, &n->more, NULL); break;
        case N_IF:
            for (; n; n = n->b) {
                inside(j, s, &n->list);
                inside(j, s, &n->more);
            }
            break;
        default: break;
        }
    }
}

void jinja_scopes(Jinja *j)
{
    body_scope(j, NULL, &j->body, NULL, NULL);
}
