/* jinja_int.h - inside the template engine: text -> tokens (jinja_lex.c) -> tree (jinja_parse.c, jinja_scope.c) -> text (jinja_eval.c and its helpers).
 * Values are small tagged structs whose contents lie in the arena of the rendering; as in the sandbox, lists and dicts never change once made,
 * only namespaces do. Errors are sticky: the first one is kept in Run.rc, functions then return undefined and loops end.
 * To add a filter, a test, a method or a global function: a row in the table of its file. To add a statement: a row in jinja_parse.c's
 * `statements` and a case in jinja_eval.c's exec. */
#ifndef HONE_JINJA_INT_H
#define HONE_JINJA_INT_H

#include "base/arena.h"
#include "tokenizer/jinja.h"

/* --- values --- */
typedef enum { V_UNDEF, V_NONE, V_BOOL, V_INT, V_REAL, V_STR, V_SEQ, V_DICT, V_SPACE, V_MACRO, V_CALL, V_LOOP, V_MISSING } Kind;

/* A text and where its bytes came from: mark[i] when there is an array, else tag for all of them. safe: marked as HTML, so that + escapes. */
typedef struct Text { const char *p; size_t n; const uint32_t *mark; uint32_t tag; bool safe; } Text;

typedef struct Value Value;
typedef struct Run Run;
typedef struct Node Node;
typedef struct Frame Frame;

/* What a row of values is in Python; views and iterators cannot be indexed, iterators have no length and are used up. */
typedef enum { SEQ_LIST, SEQ_TUPLE, SEQ_RANGE, SEQ_KEYS, SEQ_VALUES, SEQ_ITEMS, SEQ_ITER } SeqKind;
typedef struct Seq { Value *p; size_t n, cap, used; SeqKind kind; int64_t from, to, step; const char *made_by; } Seq;

typedef struct Dict { Value *keys, *values; size_t n, cap; } Dict; /* in order of insertion */
typedef struct Macro { const Node *node; Frame *frame; bool caller; } Macro;
typedef struct Loop Loop;

typedef struct Args { Value *p; size_t n; Text *names; Value *named; size_t n_named; } Args;
typedef Value CallFn(Run *r, Value self, const Args *a);

struct Value {
    Kind kind;
    union {
        bool    b;
        int64_t i;
        double  f;
        Text    s;      /* V_STR; V_UNDEF: the sentence why */
        Seq    *seq;
        Dict   *dict;   /* V_DICT, V_SPACE */
        Macro  *macro;
        Loop   *loop;
        struct { const struct Method *method; Value *self; } call;
    };
};

/* A function or method: its parameters by name, comma between; "!" first: not by keyword; "*" alone: the function looks at Args itself. */
typedef struct Method { const char *name; const char *params; size_t need; CallFn *fn; } Method;

struct Frame { Frame *parent; Text *names; Value *values; size_t n, cap; };

struct Loop {
    Seq        *items;
    size_t      at;
    int64_t     depth0;
    Value       changed;
    const Node *node;   /* of a recursive loop */
    Frame      *frame;  /* the scope around it */
};

/* --- a text under construction --- */
typedef struct Build { Run *r; char *p; uint32_t *mark; size_t n, cap; uint32_t tag; bool safe; } Build; /* safe: what build_text makes is marked as HTML */
void  build_add(Build *b, Text t);
void  build_addz(Build *b, const char *z);
void  build_addn(Build *b, const char *p, size_t n);
void  build_mark(Build *b, const char *p, size_t n, uint32_t tag);
Text  build_text(Build *b);
Text  build_escaped(Build *b, Text t); /* t as it goes into b: escaped when b is safe and t is not */

struct Run {
    Arena        arena;
    const Jinja *jinja;
    int          rc;
    Err         *e;
    int          line;
    uint64_t     steps;
    size_t       memory, output;
    int          depth;
    const struct tm *now;
    Build       *out, *main_out;
    JinjaOut    *result;
    Dict        *data, *trusted;
    Frame       *top;
};

/* --- jinja_value.c --- */
Value fail(Run *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
bool  spend(Run *r, uint64_t steps);            /* false: the rendering has failed */
void *take(Run *r, size_t n, size_t size);      /* NULL: failed */
bool  enter(Run *r);                            /* with leave(r): bounds the depth */
void  leave(Run *r);
Value v_undef(Run *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
Value v_bool(bool b);
Value v_int(int64_t i);
Value v_real(double f);
Value v_str(Text t);
Value v_z(const char *z);
Value v_seq(Seq *s);
Value v_dict(Dict *d);
#define V_NIL ((Value){ .kind = V_NONE })
Text  text_z(const char *z);
Text  text_cut(Text t, size_t from, size_t to);  /* bytes */
size_t text_count(Run *r, Text t);               /* characters */
size_t text_at(Run *r, Text t, size_t k);        /* byte of the k-th character */
bool  text_eq(Text a, const char *z);
bool  py_space(uint32_t cp);
Seq  *seq_new(Run *r, SeqKind kind);
void  seq_push(Run *r, Seq *s, Value v);
Seq  *seq_of_iter(Run *r, const char *made_by);
Dict *dict_new(Run *r);
void  dict_put(Run *r, Dict *d, Value key, Value value);
bool  dict_get(Run *r, const Dict *d, Value key, Value *value);
bool  dict_find(const Dict *d, const char *name, Value *value);
Value from_json(Run *r, const Json *j, uint32_t tag);
bool  truth(Value v);
const char *type_name(Value v);
bool  equal(Run *r, Value a, Value b);
int   compare(Run *r, Value a, Value b, const char *op); /* -1, 0, 1; 2: not a number */
Text  to_text(Run *r, Value v);                  /* Python's str() */
void  add_repr(Build *b, Value v);
void  add_real(Build *b, double f);
bool  iterate(Run *r, Value v, Seq *into, const char *what); /* the items of anything that can be looped over; uses up an iterator */
bool  hashable(Run *r, Value v);
Text  escape_html(Run *r, Text t);

/* --- jinja_ops.c --- */
typedef enum { OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_FLOORDIV, OP_MOD, OP_POW, OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE, OP_IN, OP_NOTIN } Op;
Value binary(Run *r, Op op, Value a, Value b);
bool  compares(Run *r, Op op, Value a, Value b);
bool  contains(Run *r, Value seq, Value item);
Value negate(Run *r, Value v, bool minus);
Value subscript(Run *r, Value v, Value key);
Value attribute(Run *r, Value v, Text name);     /* a.name: methods first */
Value slice(Run *r, Value v, Value from, Value to, Value step);

/* --- jinja_format.c --- */
Value percent_format(Run *r, Text format, Value args);
Value brace_format(Run *r, Text format, const Args *a);
void  add_json(Run *r, Build *b, Value v, const Args *options);

/* --- jinja_method.c, jinja_filter.c, jinja_test.c, jinja_global.c --- */
const Method *method_find(Value v, Text name);
const Method *filter_find(Text name);
const Method *test_find(Text name);
const Method *global_find(Text name);
bool  mutates(Value v, Text name);               /* a method that the sandbox forbids */
Value call_method(Run *r, const Method *m, Value self, const Args *a);
/* Spreads the arguments over the parameters of m; absent ones are V_MISSING. */
bool  jinja_bind(Run *r, const Method *m, const Args *a, Value *to, size_t max);
bool  want_int(Run *r, Value v, int64_t absent, int64_t *to, const char *what);
bool  want_text(Run *r, Value v, Text *to, const char *what);
Text  text_case(Run *r, Text t, char how);       /* 'u' upper, 'l' lower, 'c' capitalize, 'w' the same with upper instead of title case, 't' title, 's' swapcase */
Text  text_strip(Run *r, Text t, Value chars, char side); /* 'l', 'r', 'b' */
Text  text_replace(Run *r, Text t, Text old, Text new, int64_t count);
void  text_lines(Run *r, Text t, bool keep, Seq *into);
Value py_int(Run *r, Text t, int base, bool *ok);
bool  py_float(Text t, double *f);

/* --- jinja_eval.c --- */
Value call_value(Run *r, Value callee, const Args *a);

/* --- tokens and tree --- */
typedef enum {
    T_EOF, T_DATA, T_VAR_BEGIN, T_VAR_END, T_BLOCK_BEGIN, T_BLOCK_END, T_NAME, T_STRING, T_INT, T_FLOAT, T_OP,
} TokenKind;
typedef struct Token { TokenKind kind; int line; Str text; char op[3]; int64_t i; double f; } Token;
typedef VEC(Token) Tokens;

typedef enum {
    /* expressions */
    N_CONST, N_NAME, N_LIST, N_TUPLE, N_DICT, N_ATTR, N_ITEM, N_SLICE, N_CALL, N_FILTER, N_TEST, N_NOT, N_NEG, N_POS, N_BINARY, N_CONCAT,
    N_COMPARE, N_AND, N_OR, N_COND, N_KEYWORD, N_STAR, N_STARSTAR,
    /* statements */
    N_DATA, N_PRINT, N_SET, N_SET_BLOCK, N_FOR, N_IF, N_MACRO, N_CALL_BLOCK, N_FILTER_BLOCK, N_WITH, N_GENERATION, N_BREAK, N_CONTINUE, N_NSREF,
} NodeKind;

typedef struct Nodes { Node **p; size_t n, cap, n_hidden; Text *hidden; } Nodes; /* hidden, of a body: names that are undefined when it begins */
struct Node {
    NodeKind kind;
    int      line;
    Op       op;
    bool     flag;      /* N_FOR: recursive; N_TEST: unused; N_MACRO: its body names caller */
    Text     name;
    Value    value;     /* N_CONST */
    Node    *a, *b, *c;
    Nodes    list;      /* items, arguments, body */
    Nodes    more;      /* else branch, defaults, values */
    const Method *method;
};

struct Jinja {
    Arena arena;
    char *where;
    Nodes body;
    bool  generation;
};

int  jinja_lex(Tokens *out, Arena *arena, Str source, const char *where, Err *e);
int  jinja_parse(Jinja *j, const Tokens *tokens, Err *e);
void jinja_scopes(Jinja *j); /* fills in `hidden` of every body that opens a frame */

#endif
